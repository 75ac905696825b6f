"""Compare the stored pages of a project with what the catalog holds. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from frumious.catalog.base import HeldFile, Holding
from frumious.errors import BadPage, UnsupportedVersion
from frumious.model import layout
from frumious.model.layout import PageKind
from frumious.model.names import InvalidName, NormalizedName, normalize
from frumious.model.project import Digest, File
from frumious.pages import stored
from frumious.storage.base import Inspected
from frumious.sync.options import Rendering
from frumious.sync.verify.finding import Finding, Kind


@dataclass(frozen=True, slots=True)
class Seen:
    """What lies under a key of a page."""

    body: bytes | None
    facts: Inspected | None


@dataclass(slots=True)
class PageCheck:
    """What a look at the pages of one project says; it grows while they are read."""

    findings: list[Finding] = field(default_factory=list)
    uploaded: dict[str, float] = field(default_factory=dict)
    """When each file came to upstream, by name: the modified time that it should have."""
    unheld: list[tuple[File, str]] = field(default_factory=list)
    """Files that the page lists and the catalog does not hold, and where they belong."""
    is_readable: bool = True
    """Whether everything that its pages name is known."""


def page_keys(name: NormalizedName, renderings: Sequence[Rendering]) -> dict[str, None]:
    """Return the keys at which a project's pages may lie."""
    return {
        layout.page_key(name, kind, hash_index=rendering.hash_index): None
        for rendering in renderings
        for kind in rendering.kinds
    }


def check_pages(holding: Holding, seen: Mapping[str, Seen], renderings: Sequence[Rendering]) -> PageCheck:
    """Compare a project's pages with its row; the first of `renderings` is the one that pages should have."""
    check = PageCheck()
    rendering = _rendered_as(holding, seen, renderings)
    if rendering is None:
        rendering = renderings[0]
        check.findings.extend(_not_as_published(holding, seen, rendering))
    keys = _keys(holding.row.name, rendering)
    check.findings.extend(_beside(holding, keys, seen))
    if not holding.is_readable:
        check.findings.append(
            Finding(
                Kind.CATALOG_DAMAGED,
                next(iter(keys.values())),
                "upstream's page, as the catalog keeps it, cannot be read",
                holding.row.name,
            )
        )
    _read_links(holding, keys, seen, rendering, check)
    return check


def _keys(name: NormalizedName, rendering: Rendering) -> dict[PageKind, str]:
    return {kind: layout.page_key(name, kind, hash_index=rendering.hash_index) for kind in rendering.kinds}


def _rendered_as(
    holding: Holding, seen: Mapping[str, Seen], renderings: Sequence[Rendering]
) -> Rendering | None:
    """Return the settings under which the pages are as they were published; None if they are not."""
    for rendering in renderings:
        keys = _keys(holding.row.name, rendering)
        bodies = {kind: seen[key].body for kind, key in keys.items()}
        if any(body is None for body in bodies.values()):
            continue
        if holding.row.page_digest is None:
            return rendering  # another program's: nobody knows more than what it says
        digest = hashlib.sha256()
        for kind in (PageKind.HTML, PageKind.V1_JSON):
            digest.update(bodies.get(kind) or b"")
        if digest.digest() == holding.row.page_digest:
            return rendering
    return None


def _not_as_published(holding: Holding, seen: Mapping[str, Seen], rendering: Rendering) -> Iterator[Finding]:
    name, keys = holding.row.name, _keys(holding.row.name, rendering)
    present: list[str] = []
    for kind, key in keys.items():
        if seen[key].body is not None:
            present.append(key)
        elif holding.row.page_digest is not None or kind is PageKind.HTML or len(keys) == 1:
            # bandersnatch before 6 wrote only one of them
            yield Finding(Kind.PAGE_MISSING, key, "the page is not there", name)
    if len(present) < len(keys):
        return
    changed = [key for key in present if _modified(seen[key]) != holding.row.page_modified]
    for key in changed:
        yield Finding(Kind.PAGE_WRONG, key, "not as it was published", name)
    if not changed:  # one digest stands for both
        files = " or ".join(
            key.rpartition("/")[2] for key in present if not key.endswith(PageKind.V1_HTML.value)
        )
        yield Finding(Kind.PAGE_WRONG, present[0], f"{files} is not as it was published", name)


def _modified(seen: Seen) -> float | None:
    return seen.facts.modified if seen.facts is not None else None


def _beside(holding: Holding, keys: Mapping[PageKind, str], seen: Mapping[str, Seen]) -> Iterator[Finding]:
    """Yield what is wrong of pages whatever they say: two that should be one, and their modes."""
    name = holding.row.name
    html, v1_html = keys.get(PageKind.HTML), keys.get(PageKind.V1_HTML)
    if html is not None and v1_html is not None:
        bodies = seen[html].body, seen[v1_html].body
        if None not in bodies and bodies[0] != bodies[1] and holding.row.page_digest is not None:
            yield Finding(Kind.PAGE_WRONG, v1_html, "not the same as index.html", name)
    for key in keys.values():
        facts = seen[key].facts
        if facts is not None and not facts.is_public:
            yield Finding(Kind.WRONG_MODE, key, "others cannot read it", name)


def _read_links(
    holding: Holding,
    keys: Mapping[PageKind, str],
    seen: Mapping[str, Seen],
    rendering: Rendering,
    check: PageCheck,
) -> None:
    """Read what the pages name, and compare it with what is held."""
    told = {finding.key for finding in check.findings if finding.kind is Kind.PAGE_WRONG}
    held = {file.filename: file for file in holding.files}
    is_read = False
    for kind in (PageKind.V1_JSON, PageKind.HTML):
        key = keys.get(kind)
        body = seen[key].body if key is not None else None
        if key is None or body is None or (is_read and not told):
            continue  # both are made from the same words, and are as they were made
        try:
            page = stored.read_page(body, kind, holding.row.name)
        except (BadPage, UnsupportedVersion) as error:
            if key not in told:
                check.findings.append(
                    Finding(Kind.PAGE_WRONG, key, f"cannot be read ({error})", holding.row.name)
                )
            check.is_readable = False
            continue
        if page.detail.problems and holding.row.page_digest is None:
            check.is_readable = False
        is_read = True
        if rendering.release_files:
            _compare_links(page.detail.files, held, rendering, check)
    if not is_read:
        check.is_readable = False


def _compare_links(
    files: Sequence[File], held: Mapping[str, HeldFile], rendering: Rendering, check: PageCheck
) -> None:
    for file in files:
        place = stored.key_of(file, rendering.root_uri)
        if place is None:
            continue
        mine = held.get(file.filename)
        if mine is None or mine.key != place or not _is_same(file, mine.sha256):
            check.unheld.append((file, place))
        elif (uploaded := _instant(file.upload_time)) is not None:
            check.uploaded[file.filename] = uploaded


def _is_same(file: File, sha256: str) -> bool:
    return file.digest is None or file.digest.algorithm != "sha256" or file.digest == Digest("sha256", sha256)


def _instant(upload_time: str | None) -> float | None:
    try:
        return datetime.fromisoformat(upload_time).timestamp() if upload_time else None
    except (ValueError, OverflowError):
        return None


class _Info(msgspec.Struct):
    name: str


class _Document(msgspec.Struct):
    info: _Info


_DOCUMENT = msgspec.json.Decoder(_Document)


def check_documents(
    name: NormalizedName, keys: Sequence[str], bodies: Sequence[bytes | None], *, expected: bool
) -> Iterator[Finding]:
    """Compare a project's legacy JSON with what it should be; upstream has none for a project without releases."""
    for key, body in zip(keys, bodies, strict=True):
        if body is None:
            if expected or any(bodies):
                yield Finding(Kind.DOCUMENT_WRONG, key, "the document is not there", name)
            continue
        try:
            said = normalize(_DOCUMENT.decode(body).info.name)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, InvalidName) as error:
            yield Finding(Kind.DOCUMENT_WRONG, key, f"cannot be read ({error})", name)
            continue
        if said != name:
            yield Finding(Kind.DOCUMENT_WRONG, key, f"the document of {said}", name)
