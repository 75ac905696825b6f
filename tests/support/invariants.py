"""The invariants of docs/design.md §6, as one function over what is stored.

`check(storage)` reads the published tree the way a client does and fails with a sentence on the first lie.
"""

import hashlib
import json
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import apsw

from frumious.errors import NoSuchObject
from frumious.model.names import normalize
from frumious.pages.provenance import problem_of
from frumious.storage.base import Storage

PUBLIC = "https://mirror.example.org"
"""`base-url` of mirrors whose provenance is looked at."""
PAGE_NAMES = {"index.html", "index.v1_html", "index.v1_json"}


async def read(storage: Storage, key: str) -> bytes | None:
    """Return an object's bytes, None where there is none."""
    body = bytearray()
    try:
        async for block in storage.open(key):
            body += block
    except NoSuchObject:
        return None
    return bytes(body)


class _Anchors(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attributes):
        if tag == "a":
            self.found.append((dict(attributes)["href"] or "", dict(attributes)))


def anchors(page: bytes) -> list[tuple[str, dict[str, str | None]]]:
    """Return href and attributes of every anchor."""
    parser = _Anchors()
    parser.feed(page.decode())
    parser.close()
    return parser.found


async def keys(storage: Storage, prefix: str) -> list[str]:
    return [stat.key async for stat in storage.list(prefix)]


async def check(storage: Storage) -> None:
    """Raise AssertionError if the tree promises what it does not hold."""
    pages: dict[str, set[str]] = {}
    for key in await keys(storage, "web/simple/"):
        parts = key.removeprefix("web/simple/").split("/")
        assert parts[-1] in PAGE_NAMES, f"foreign object among the pages: {key}"
        assert len(parts) <= 3, f"page too deep: {key}"
        if len(parts) > 1:
            assert normalize(parts[-2]) == parts[-2], f"not a normalized directory: {key}"
            pages.setdefault("/".join(parts[:-1]), set()).add(parts[-1])
    for place, kinds in pages.items():
        await _check_project(storage, place, kinds)
    await _check_root(storage, {place.rpartition("/")[2] for place in pages})


def check_sums(catalog: Path) -> None:
    """Raise AssertionError if a catalog's running sums are not what counting gives."""
    db = apsw.Connection(str(catalog), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        sums = db.execute("SELECT projects, files, bytes FROM total").fetchone()
        counted = db.execute(
            "SELECT (SELECT count(*) FROM project WHERE published IS NOT NULL),"
            " (SELECT count(*) FROM object WHERE key NOT LIKE '%.metadata' AND key NOT LIKE '%.provenance'),"
            " (SELECT coalesce(sum(size), 0) FROM object)"
        ).fetchone()
    finally:
        db.close()
    assert sums == counted


async def _check_project(storage: Storage, place: str, kinds: set[str]) -> None:
    listings: list[list[str]] = []
    if "index.v1_json" in kinds:
        page = json.loads(await read(storage, f"web/simple/{place}/index.v1_json"))
        listings.append(sorted(file["filename"] for file in page["files"]))
        for file in page["files"]:
            key = _ours(file["url"])
            if key is None:
                continue
            body = await read(storage, key)
            assert body is not None, f"{place} links {key}, which is not there"
            assert hashlib.sha256(body).hexdigest() == file["hashes"]["sha256"], f"{key} has another digest"
            assert len(body) == file["size"], f"{key} has another size"
            metadata = await read(storage, f"{key}.metadata")
            if file.get("core-metadata"):
                assert metadata is not None, f"{place} advertises metadata of {key}, which is not there"
                assert hashlib.sha256(metadata).hexdigest() == file["core-metadata"]["sha256"]
            if file.get("provenance", "").startswith(f"{PUBLIC}/"):
                said = file["provenance"].removeprefix(PUBLIC)
                document = await read(storage, "web" + unquote(said))
                assert document is not None, f"{place} names {said}, which is not there"
                assert problem_of(document, file["filename"], file["hashes"]["sha256"]) is None
    for kind in sorted(kinds & {"index.html", "index.v1_html"}):
        found = anchors(await read(storage, f"web/simple/{place}/{kind}"))
        listings.append(sorted(unquote(urlsplit(href).path).rpartition("/")[2] for href, _ in found))
        for href, _ in found:
            address, _, fragment = href.partition("#")
            key = _ours(address)
            if key is not None:
                body = await read(storage, key)
                assert body is not None, f"{place}/{kind} links {key}, which is not there"
                assert fragment == f"sha256={hashlib.sha256(body).hexdigest()}"


def _ours(url: str) -> str | None:
    if urlsplit(url).scheme:
        return None
    path = urlsplit(urljoin("https://example.org/simple/name/", url)).path
    assert path.startswith("/packages/"), f"a link leaves the tree: {url}"
    return "web" + unquote(path)


async def _check_root(storage: Storage, pages: set[str]) -> None:
    body = await read(storage, "web/simple/index.v1_json")
    if body is not None:
        root = json.loads(body)
        named = [normalize(project["name"]) for project in root["projects"]]
        assert len(named) == len(set(named)), "a project is listed twice"
        assert set(named) <= pages, f"listed without a page: {set(named) - pages}"
        assert all(isinstance(project["_last-serial"], int) for project in root["projects"])
        assert all(project["_last-serial"] <= root["meta"]["_last-serial"] for project in root["projects"])
    html = await read(storage, "web/simple/index.html")
    if html is not None:
        assert {href.rstrip("/") for href, _ in anchors(html)} <= pages
    followed = await read(storage, "web/local.json")
    if followed is not None:
        serials = json.loads(followed)
        assert set(serials) <= pages, f"followed without a page: {set(serials) - pages}"
        assert all(isinstance(serial, int) for serial in serials.values())
