"""The Simple API as HTML (PEP 503, 592, 629, 714, 740, 792), frozen at version 1.4 for ever (PEP 833).

Reading is left to Python's own parser, in a way that takes no longer than the page is long, whatever is in it.
Writing is plain text with every value escaped once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from html.parser import HTMLParser
from typing import Final
from urllib.parse import unquote, urljoin, urlsplit

from frumious.errors import BadPage
from frumious.model.names import NormalizedName, normalize
from frumious.model.project import Digest, File, ListedProject, PageFile, ProjectDetail, ProjectPage
from frumious.pages.formats import API_VERSION, LEGACY_API_VERSION, check_api_version
from frumious.pages.parsed import ParsedList
from frumious.pages.reading import (
    Unusable,
    best_digest,
    metadata_of,
    read_files,
    resolve,
    safe_filename,
    secure_url,
    serial_of,
    status_of,
    tell,
    told,
)
from frumious.pages.writing import batches, chunks, files_in_order, writable

# Plain text or an empty answer must not pass for a project without files.
_MARKUP = re.compile(r"<(?:!doctype|html|head|body|a)[\s>]", re.IGNORECASE)
_SERIAL = re.compile(r"<!--\s*SERIAL\s+([0-9]+)\s*-->")
_METADATA_DIGEST = re.compile(r"([a-z0-9_]+)=([0-9a-f]+)\Z", re.IGNORECASE | re.ASCII)
# What installers know behind `#`; uv gives up a page with another name there (conformance 14).
_FRAGMENT_ALGORITHMS: Final = frozenset({"sha256", "sha384", "sha512", "blake2b", "md5"})


@dataclass(frozen=True, slots=True)
class Link:
    """A link of a page, its attributes with a value each and names in lower case."""

    url: str
    """As written."""
    attrs: Mapping[str, str]
    text: str = ""


@dataclass(frozen=True, slots=True)
class _Document:
    """An HTML page, read as far as both kinds of page have it in common."""

    metas: Mapping[str, Sequence[str]]
    """`<meta name="pypi:...">`, by what follows the colon."""
    base: str
    """What relative links are relative to."""
    links: Sequence[Link]
    api_version: str
    serial: int | None


def parse_project_list(body: bytes, url: str) -> ParsedList:
    """Read a project list; the text of a link is the project's name. HTML has no serials of projects.

    Raises BadPage and UnsupportedVersion.
    """
    page = _read(body, url)
    problems: list[str] = []
    projects = []
    for position, link in enumerate(page.links):
        if link.text:
            projects.append(ListedProject(link.text))
        else:
            tell(problems, f"link {position} left out: it has no text")
    return ParsedList(tuple(projects), page.serial, tuple(problems), page.api_version)


def parse_project_detail(body: bytes, *, url: str, name: NormalizedName) -> ProjectDetail:
    """Read the page of the project `name` that came from `url`; a file that cannot be used is left out and told.

    Raises BadPage and UnsupportedVersion.
    """
    page = _read(body, url)
    problems: list[str] = []
    status, reason = status_of(
        next(iter(page.metas.get("project-status", ())), None),
        next(iter(page.metas.get("project-status-reason", ())), None),
        problems,
    )
    files = read_files(
        (link for link in page.links if not is_directory(link.url)),
        lambda link: read_link(link, page.base),
        lambda link: link.text or link.url,
        problems,
    )
    return ProjectDetail(
        name=name,
        files=tuple(files),
        status=status,
        status_reason=reason,
        serial=page.serial,
        api_version=page.api_version,
        problems=tuple(problems),
    )


def _read(body: bytes, url: str) -> _Document:
    text = _decoded(body)
    if not _MARKUP.search(text):
        raise BadPage(url, "no HTML page")
    reader = _Reader()
    try:
        reader.feed(text)
        base = urljoin(url, reader.base)
    except (AssertionError, ValueError) as error:  # the parser's for `<![x`, and a base that is no address
        raise BadPage(url, f"HTML that cannot be read: {error}") from error
    if reader.is_cut_short:
        raise BadPage(url, "HTML that ends in the middle of a tag, a comment or a script")
    reader.end_link()
    version = next(iter(reader.metas.get("repository-version", ())), LEGACY_API_VERSION)
    for said in (version, *reader.late_versions):
        check_api_version(said, url)
    serials = _SERIAL.findall(text)
    return _Document(
        metas=reader.metas,
        base=base,
        links=reader.links,
        api_version=version,
        serial=serial_of(serials[-1]) if serials else None,
    )


def _decoded(body: bytes) -> str:
    """Return a page's text: UTF-8, as every client assumes, else what byte-wise encodings agree on."""
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return body.decode("cp1252", "replace")


class _Reader(HTMLParser):
    """What both kinds of page have in common, out of one text that is fed at once.

    Nobody calls `close`: for each tag that has no end it would look through the rest of the page again, which for a
    page made to harm takes hours. For the same reason there is no stack of open elements here: a link ends where the
    next one begins, if not before.
    """

    def __init__(self) -> None:
        super().__init__()
        self.metas: dict[str, list[str]] = {}
        self.late_versions: list[str] = []
        """Versions of the API that stand behind the head, where they do not count."""
        self.base = ""
        self.links: list[Link] = []
        self._is_head = True
        self._open: dict[str, str] | None = None
        self._text: list[str] = []

    @property
    def is_cut_short(self) -> bool:
        """Whether something that has begun had no end."""
        return self.rawdata.startswith("<") or self.cdata_elem is not None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        match tag:
            case "a":
                self._is_head = False
                self.end_link()
                self._open = {name: value or "" for name, value in attrs}
            case "body":
                self._is_head = False
            case "base" if self._is_head and not self.base:
                self.base = dict(attrs).get("href") or ""
            case "meta":
                self._read_meta(dict(attrs))

    def handle_endtag(self, tag: str) -> None:
        if tag == "head":
            self._is_head = False
        elif tag == "a":
            self.end_link()

    def handle_data(self, data: str) -> None:
        if self._open is not None:
            self._text.append(data)

    def end_link(self) -> None:
        """Keep the link that is open, if it leads anywhere."""
        if self._open is not None and (url := self._open.get("href")) is not None:
            self.links.append(Link(url, self._open, "".join(self._text).strip()))
        self._open = None
        self._text.clear()

    def _read_meta(self, said: Mapping[str, str | None]) -> None:
        name, content = said.get("name") or "", said.get("content")
        if content is None or not name.startswith("pypi:"):
            return
        if self._is_head:
            self.metas.setdefault(name.removeprefix("pypi:"), []).append(content)
        elif name == "pypi:repository-version":
            self.late_versions.append(content)


def is_directory(href: str) -> bool:
    """Say whether a link leads to no file: `../`, the columns of a directory listing, `#top`."""
    path = href.partition("#")[0].partition("?")[0]
    return path in {"", ".", ".."} or path.endswith("/")


def read_link(link: Link, base: str) -> File:
    """Read a link; raises Unusable. Its name is what the URL ends in, as for installers; the text may be cut short for people."""
    url = resolve(base, link.url)
    try:
        filename = unquote(urlsplit(url).path.rpartition("/")[2], errors="strict")
    except ValueError as error:
        raise Unusable("its name is not UTF-8") from error
    hashes = (part.partition("=") for part in link.url.partition("#")[2].split("&"))
    attrs = link.attrs
    return File(
        filename=safe_filename(filename),
        url=url,
        digest=best_digest({algorithm: value for algorithm, _, value in hashes if value}),
        requires_python=told(attrs.get("data-requires-python")),
        yanked=attrs.get("data-yanked"),
        core_metadata=_read_core_metadata(attrs),
        provenance=secure_url(attrs.get("data-provenance")),
    )


def _read_core_metadata(attrs: Mapping[str, str]) -> Digest | bool | None:
    said = attrs.get("data-core-metadata", attrs.get("data-dist-info-metadata"))
    if said is None or said.lower() == "false":
        return None if said is None else False
    found = _METADATA_DIGEST.match(said)
    return metadata_of({found[1]: found[2]}) if found else True


def render_project_detail(page: ProjectPage, display: str) -> bytes:
    """Return a project's page under its display name: one link a line, so equal pages are equal bytes."""
    head = ""
    if page.status is not None:
        head = f'    <meta name="pypi:project-status" content="{page.status.value}">\n'
        if page.status_reason:
            reason = _escaped(page.status_reason)
            head += f'    <meta name="pypi:project-status-reason" content="{reason}">\n'
    links = "".join([_write_file(file) for file in files_in_order(page)])
    return f"{_opening(f'Links for {display}', head)}{links}{_closing(page.serial)}".encode()


def render_project_list(projects: Iterable[ListedProject], serial: int) -> Iterator[bytes]:
    """Yield the project list in blocks of about 64 KiB, in the order in which `projects` come.

    Raises InvalidName for a name that has no page.
    """
    return chunks(_write_list(projects, serial))


def _write_list(projects: Iterable[ListedProject], serial: int) -> Iterator[bytes]:
    yield _opening("Simple index").encode()
    for batch in batches(projects, 256):
        # Relative, since some clients take the name from it (conformance 23). A valid name needs no escaping.
        lines = [f'    <a href="{normalize(project.name)}/">{project.name}</a><br />\n' for project in batch]
        yield "".join(lines).encode()
    yield _closing(serial).encode()


def _opening(title: str, head: str = "") -> str:
    title = _escaped(title)
    return (
        "<!DOCTYPE html>\n<html>\n  <head>\n"
        '    <meta charset="utf-8">\n'
        f'    <meta name="pypi:repository-version" content="{API_VERSION}">\n'
        f"{head}    <title>{title}</title>\n  </head>\n  <body>\n    <h1>{title}</h1>\n"
    )


def _closing(serial: int) -> str:
    return f"  </body>\n</html>\n<!--SERIAL {serial}-->\n"


def _write_file(file: PageFile) -> str:
    fragment = attributes = ""
    digest, metadata = file.fragment or file.digest, file.core_metadata
    if digest is not None and digest.algorithm in _FRAGMENT_ALGORITHMS:
        fragment = f"#{digest.algorithm}={digest.hex}"
    if file.requires_python:
        attributes = f' data-requires-python="{_escaped(file.requires_python)}"'
    if metadata:
        said = f"{metadata.algorithm}={metadata.hex}" if isinstance(metadata, Digest) else "true"
        attributes += f' data-dist-info-metadata="{said}" data-core-metadata="{said}"'
    if file.yanked is not None:
        # Never the bare attribute: pip takes that for "not yanked".
        attributes += f' data-yanked="{_escaped(file.yanked)}"'
    if file.provenance is not None:
        attributes += f' data-provenance="{escape(file.provenance)}"'
    return f'    <a href="{escape(file.href)}{fragment}"{attributes}>{escape(file.filename)}</a><br />\n'


def _escaped(text: str) -> str:
    """Return text for an attribute or between tags; line ends are spelled out, lest a parser or a regex trips."""
    if text.isprintable():
        return escape(text)
    text = escape(writable(text))
    return text.replace("\n", "&#10;").replace("\r", "&#13;").replace("\t", "&#9;")
