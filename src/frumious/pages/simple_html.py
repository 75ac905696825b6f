"""The Simple API as HTML (PEP 503, 592, 629, 714, 740, 792), frozen at version 1.4 for ever (PEP 833).

Reading is left to pypi-simple, which is imported when the first HTML page comes: an upstream with JSON costs nothing
of it. Writing is plain text with every value escaped once.
"""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import unquote, urlsplit

from frumious.errors import BadPage, UnsupportedVersion
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

if TYPE_CHECKING:
    from pypi_simple import Link

# Plain text or an empty answer must not pass for a project without files.
_MARKUP = re.compile(r"<(?:!doctype|html|head|body|a)[\s>]", re.IGNORECASE)
_END_OF_HEAD = re.compile(r"</head[\s>]|<body[\s>]|<a\s", re.IGNORECASE)
_SERIAL = re.compile(r"<!--\s*SERIAL\s+([0-9]+)\s*-->")
_METADATA_DIGEST = re.compile(r"([a-z0-9_]+)=([0-9a-f]+)\Z", re.IGNORECASE | re.ASCII)
# What installers know behind `#`; uv gives up a page with another name there (conformance 14).
_FRAGMENT_ALGORITHMS: Final = frozenset({"sha256", "sha384", "sha512", "blake2b", "md5"})
_WARNINGS = threading.Lock()


@dataclass(frozen=True, slots=True)
class _Document:
    """An HTML page, read as far as both kinds of page have it in common."""

    metas: Mapping[str, Sequence[str]]
    """`<meta name="pypi:...">`, by what follows the colon."""
    base: str
    """What relative links are relative to."""
    links: Sequence[Link]
    """Their `url` is as written."""
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
    end = _END_OF_HEAD.search(text)
    head, rest = (text[: end.start()], text[end.start() :]) if end else (text, "")
    metas, base = _read_head(head, url)
    version = next(iter(metas.get("repository-version", ())), LEGACY_API_VERSION)
    check_api_version(version, url)
    serials = _SERIAL.findall(text)
    return _Document(
        metas=metas,
        base=base,
        links=_read_links(rest, url),
        api_version=version,
        serial=serial_of(serials[-1]) if serials else None,
    )


def _decoded(body: bytes) -> str:
    """Return a page's text: UTF-8, as every client assumes, else what byte-wise encodings agree on."""
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return body.decode("cp1252", "replace")


@contextmanager
def _reading(url: str) -> Iterator[None]:
    """Make pypi-simple's errors ours, and keep its warnings back: ours come from `api_version`."""
    from pypi_simple import UnsupportedRepoVersionError  # noqa: PLC0415 - see the module

    try:
        # The lock keeps two of us from putting back each other's filters.
        with _WARNINGS, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except UnsupportedRepoVersionError as error:
        raise UnsupportedVersion(url, error.declared_version) from error
    except Exception as error:  # the parser states no set of errors, and any page may come
        raise BadPage(url, f"HTML that cannot be read: {error}") from error


def _read_head(head: str, url: str) -> tuple[Mapping[str, Sequence[str]], str]:
    """Return the metas of a page, and the base of its links: `<base>` counts, as a link to nowhere shows."""
    from pypi_simple import RepositoryPage  # noqa: PLC0415 - see the module

    with _reading(url):
        page = RepositoryPage.from_html(head + '<a href=""></a>', base_url=url)
    return page.pypi_meta, page.links[-1].url if page.links else url


def _read_links(text: str, url: str) -> Sequence[Link]:
    """Return the links, not joined to any base: one broken link must not spoil the page."""
    from pypi_simple import parse_links_stream  # noqa: PLC0415 - see the module

    with _reading(url):
        # Several times faster than `RepositoryPage`, and a list of all projects fits in memory.
        return list(parse_links_stream([text]))


def is_directory(href: str) -> bool:
    """Say whether a link leads to no file: `../`, the columns of a directory listing, `#top`."""
    path = href.partition("#")[0].partition("?")[0]
    return path in {"", ".", ".."} or path.endswith("/")


class AnyLink(Protocol):
    """A link of a page, whoever took it out of the text."""

    @property
    def url(self) -> str:
        """Return the address as it stands there."""
        ...

    @property
    def attrs(self) -> Mapping[str, str | list[str]]:
        """Return the attributes by name."""
        ...


def read_link(link: AnyLink, base: str) -> File:
    """Read a link; raises Unusable. Its name is what the URL ends in, as for installers; the text may be cut short for people."""
    url = resolve(base, link.url)
    try:
        filename = unquote(urlsplit(url).path.rpartition("/")[2], errors="strict")
    except ValueError as error:
        raise Unusable("its name is not UTF-8") from error
    hashes = (part.partition("=") for part in link.url.partition("#")[2].split("&"))
    provenance = _attribute(link, "data-provenance")
    return File(
        filename=safe_filename(filename),
        url=url,
        digest=best_digest({algorithm: value for algorithm, _, value in hashes if value}),
        requires_python=told(_attribute(link, "data-requires-python")),
        yanked=_attribute(link, "data-yanked"),
        core_metadata=_read_core_metadata(link),
        provenance=secure_url(provenance),
    )


def _attribute(link: AnyLink, name: str) -> str | None:
    value = link.attrs.get(name)
    return value if isinstance(value, str) else None


def _read_core_metadata(link: AnyLink) -> Digest | bool | None:
    said = _attribute(link, "data-core-metadata")
    if said is None:
        said = _attribute(link, "data-dist-info-metadata")
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
