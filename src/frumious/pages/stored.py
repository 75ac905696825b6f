"""Project pages as they lie in a tree, whoever wrote them: bandersnatch since 2.0, or Frumious.

The readers of upstream's pages do the work. What is different here: links are relative to the tree, and there are very
many pages, so HTML in the layout of bandersnatch's and ours, one link a line, is read without a parser.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape

import msgspec

from frumious.errors import BadPage
from frumious.model.layout import PACKAGES, PageKind, file_key
from frumious.model.names import InvalidName, NormalizedName, normalize
from frumious.model.project import Digest, File, ProjectDetail
from frumious.pages import simple_html, simple_json
from frumious.pages.formats import LEGACY_API_VERSION, check_api_version
from frumious.pages.legacy_json import ReleaseFacts
from frumious.pages.reading import read_files, serial_of, status_of

_HOST = "https://tree.invalid/"
_WEB = f"{_HOST}web/"
"""What stands for `web/` while links are resolved: a link that climbs higher leaves it, and is none of ours."""
_OURS = f"{_WEB}packages/"

# As bandersnatch 2.0 to 8.2 and Frumious write it; anything else goes to a parser.
_OPENING = re.compile(
    r"(?:<!DOCTYPE html>\n)?<html>\s*<head>((?:\s*<meta [^<>]*>)*)\s*<title>Links for ([^<>]*)</title>\s*</head>"
    r"\s*<body>\s*<h1>Links for [^<>]*</h1>\n"
)
_META = re.compile(r'<meta (?:charset="[^"]*"|name="pypi:([a-z-]+)" content="([^"]*)")>')
_LINE = re.compile(r' *<a href="([^"<>]*)"((?: [a-z-]+="[^"<>]*")*)>([^<>]*)</a><br ?/>\n')
_ATTRIBUTE = re.compile(r' ([a-z-]+)="([^"]*)"')
_CLOSING = re.compile(r"\s*</body>\s*</html>\s*(?:<!--SERIAL ([0-9]+)-->(\n?))?\Z")
_TITLE = re.compile(rb"<title>Links for ([^<>]{1,300})</title>")
# A path that `file_key` would leave as it is.
_PLAIN_PATH = re.compile(
    r"(?:[A-Za-z0-9_][A-Za-z0-9._+!~-]{0,254}/){1,15}[A-Za-z0-9_][A-Za-z0-9._+!~-]{0,254}\Z", re.ASCII
)

TITLE_WITHIN = 1024
"""Bytes of an HTML page in which its title stands."""


@dataclass(frozen=True, slots=True)
class StoredPage:
    """A page of a tree. The addresses of its files mean something to `key_of` only."""

    detail: ProjectDetail
    display: str | None
    """The name as upstream spells it, where the page says it (HTML)."""
    is_ours: bool
    """Frumious wrote it: its serial may be higher than upstream's."""


def read_page(body: bytes, kind: PageKind, name: NormalizedName) -> StoredPage:
    """Read the page of the project `name`; a file that cannot be used is left out and told. Raises BadPage."""
    url = f"{_WEB}simple/{name}/"
    if kind is PageKind.V1_JSON:
        detail = simple_json.parse_project_detail(body, url=url, name=name)
        return StoredPage(detail, None, body.startswith(b'{"files":['))  # bandersnatch's JSON has spaces
    page = _read_lines(body, url, name)
    if page is None:
        detail = simple_html.parse_project_detail(body, url=url, name=name)
        page = StoredPage(detail, read_title(body, name), is_ours=False)
    return page


def read_title(head: bytes, name: NormalizedName) -> str | None:
    """Return a project's name as upstream spells it from the beginning of its HTML page; raises BadPage for another's."""
    found = _TITLE.search(head)
    if found is None:
        return None
    return _checked(unescape(found[1].decode(errors="replace")), name)


def key_of(file: File, root_uri: str | None) -> str | None:
    """Return where a file of a stored page lies in the tree; None for a link to anything else.

    `root_uri` is the address of `web/` in pages with absolute links, where it is known.
    """
    url = file.url
    if url.startswith(_HOST):
        if not url.startswith(_OURS):
            return None
        path = url[len(_OURS) :]
        if _PLAIN_PATH.match(path) and path.endswith(f"/{file.filename}"):
            return PACKAGES + path
        return file_key(f"/packages/{path}", file.filename)
    if root_uri is not None and url.startswith(f"{root_uri}/"):
        url = url[len(root_uri) :]
    return file_key(url, file.filename)


def with_facts(file: File, facts: ReleaseFacts | None) -> File:
    """Return a file with what the legacy JSON says of it in addition; a document that contradicts the page says nothing."""
    if facts is None:
        return file
    digest, size = file.digest, file.size
    if digest is not None:
        other = {"sha256": facts.sha256, "md5": facts.md5}.get(digest.algorithm)
        if other is not None and other != digest.hex:
            return file
    if size is not None and facts.size is not None and size != facts.size:
        return file
    if facts.sha256 is not None:
        digest = Digest("sha256", facts.sha256)
    return msgspec.structs.replace(file, digest=digest, size=facts.size if size is None else size)


def _checked(display: str, name: NormalizedName) -> str | None:
    try:
        said = normalize(display)
    except InvalidName:
        return None
    if said != name:
        raise BadPage(name, f"a page naming another project: {display[:120]!r}")
    return display


def _read_lines(body: bytes, url: str, name: NormalizedName) -> StoredPage | None:
    """Read a page that has one link a line; None for any other."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    opening = _OPENING.match(text)
    metas = _read_metas(opening[1]) if opening else None
    if opening is None or metas is None:
        return None
    lines = list(_split(text, opening.end()))
    closing = _CLOSING.match(text, lines[-1].end() if lines else opening.end())
    if closing is None:
        return None
    version = metas.get("repository-version", LEGACY_API_VERSION)
    check_api_version(version, url)
    problems: list[str] = []
    status, reason = status_of(metas.get("project-status"), metas.get("project-status-reason"), problems)
    files = read_files(
        (line for line in lines if not simple_html.is_directory(line[1])),
        lambda line: simple_html.read_link(_link(line), url),
        lambda line: line[3],
        problems,
    )
    detail = ProjectDetail(
        name=name,
        files=tuple(files),
        status=status,
        status_reason=reason,
        serial=serial_of(closing[1]),
        api_version=version,
        problems=tuple(problems),
    )
    return StoredPage(detail, _checked(unescape(opening[2]), name), closing[2] == "\n")


def _read_metas(head: str) -> dict[str, str] | None:
    """Return what the `<meta>`s of a page say of the project; None if there is one of another kind."""
    found = [_META.fullmatch(said) for said in re.findall(r"<[^<>]*>", head)]
    if not all(found):
        return None
    return {match[1]: unescape(match[2]) for match in found if match is not None and match[1]}


def _split(text: str, start: int) -> Iterator[re.Match[str]]:
    while (line := _LINE.match(text, start)) is not None:
        yield line
        start = line.end()


def _link(line: re.Match[str]) -> simple_html.Link:
    said = line[2]
    return simple_html.Link(
        unescape(line[1]), {key: unescape(value) for key, value in _ATTRIBUTE.findall(said)} if said else {}
    )
