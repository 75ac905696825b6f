"""What core metadata says of a release: for the index, and for the page of a project. Pure.

The bytes are whatever somebody uploaded. They are not given to `packaging.metadata.parse_email`: its time grows with the
square of the number of different headers, and 150 kB of them take it ten seconds.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from frumious.model.names import NormalizedName
from frumious.search.base import Entry
from frumious.search.text import one_line

LONGEST: Final = 4 << 20
"""Bytes of core metadata; what follows is not looked at."""

_MOST_HEADERS: Final = 20_000
_MOST_KEPT: Final = 5_000
"""Headers that are handed on to other parsers."""
_LONGEST_LINE: Final = 512
"""Characters of what is told in one line."""
_LONGEST_KEYWORDS: Final = 4000
_LONGEST_URL: Final = 2000
_LONGEST_REQUIREMENT: Final = 2000
_MOST_KEYWORDS: Final = 200
_UNKNOWN: Final = "UNKNOWN"
"""What setuptools wrote for years where nothing was said."""

_NEWLINE: Final = rb"(?:\r\n|\r|\n)"
# One header with the lines that go on with it, as the standard library's parser takes it. No part of it can match what
# the next one can, so that it takes no longer than the text is long.
_HEADER: Final = re.compile(
    rb"([!-9;-~]+):[ \t]*([^\r\n]*(?:" + _NEWLINE + rb"[ \t][^\r\n]*)*)(?:" + _NEWLINE + rb"|\Z)"
)
_BLANK: Final = re.compile(_NEWLINE)
# Where a description stands in a header (version 2.0 and older), its lines are indented by this.
_INDENT: Final = re.compile(r"^(?:        |       \|)", re.MULTILINE)
_BRACKETED: Final = re.compile(r"<[^<>]*>")
_WORD: Final = re.compile(r"[^\s,]+")


@dataclass(frozen=True, slots=True)
class CoreMetadata:
    """What a release says of itself. Everything is as its author wrote it: links may lead anywhere."""

    name: str = ""
    version: str = ""
    summary: str = ""
    """One line."""
    keywords: Sequence[str] = ()
    classifiers: Sequence[str] = ()
    author: str = ""
    """Names without addresses: who wrote it, else who maintains it."""
    license: str = ""
    """The expression (PEP 639), else one line of the older field, which some fill with the whole text."""
    license_expression: str | None = None
    """The expression alone."""
    home_page: str | None = None
    project_urls: Sequence[tuple[str, str]] = ()
    """Label and URL, in their order."""
    requires_dist: Sequence[str] = ()
    requires_python: str | None = None
    provides_extra: Sequence[str] = ()
    description: str = ""
    description_content_type: str | None = None
    """As it stands, with parameters; None means reStructuredText."""


def parse_core_metadata(body: bytes) -> CoreMetadata:
    """Return what core metadata says, as far as it can be read. Never fails, in time proportional to the bytes."""
    fields, text = _read(body[:LONGEST])
    expression = fields.line("license-expression") or None
    return CoreMetadata(
        name=fields.line("name"),
        version=fields.line("version"),
        summary=fields.line("summary"),
        keywords=_keywords(fields.line("keywords", _LONGEST_KEYWORDS)),
        classifiers=fields.lines("classifier"),
        author=_people(fields, "author", "author-email") or _people(fields, "maintainer", "maintainer-email"),
        license=expression or fields.line("license"),
        license_expression=expression,
        home_page=fields.line("home-page", _LONGEST_URL) or None,
        project_urls=_project_urls(fields.lines("project-url", _LONGEST_URL)),
        requires_dist=fields.lines("requires-dist", _LONGEST_REQUIREMENT),
        requires_python=fields.line("requires-python") or None,
        provides_extra=fields.lines("provides-extra"),
        description=text if text.strip() else _INDENT.sub("", fields.text("description")),
        description_content_type=fields.line("description-content-type") or None,
    )


def entry_of(
    name: NormalizedName,
    display: str,
    version: str,
    said: CoreMetadata,
    *,
    downloads: int = 0,
    modified: int | None = None,
) -> Entry:
    """Return the entry of a project: what the mirror knows of it, and what its metadata says."""
    return Entry(
        name=name,
        display=display,
        version=version,
        summary=said.summary,
        keywords=said.keywords,
        classifiers=said.classifiers,
        author=said.author,
        downloads=downloads,
        modified=modified,
    )


def known_headers(body: bytes, known: Collection[str]) -> bytes:
    """Return core metadata with just the headers of these names (in lower case), and the description.

    For parsers whose time grows with the number of different headers.
    """
    found, at = _headers(body[:LONGEST])
    kept = [(name, value) for name, value in found if name in known][:_MOST_KEPT]
    head = b"".join(name.encode() + b": " + value + b"\n" for name, value in kept)
    return head + b"\n" + body[_behind_blank(body, at) : LONGEST]


class _Fields:
    """The headers of core metadata, by their names in lower case."""

    def __init__(self) -> None:
        self._values: dict[str, list[str]] = {}

    def add(self, name: str, value: str) -> None:
        self._values.setdefault(name, []).append(value)

    def text(self, name: str) -> str:
        """Return a field as it stands, the first where it is there twice; empty where it is not, or says nothing."""
        said = self._values.get(name, [""])[0]
        return "" if said.strip() == _UNKNOWN else said

    def line(self, name: str, longest: int = _LONGEST_LINE) -> str:
        """Return a field as one line."""
        return one_line(self.text(name), longest)

    def lines(self, name: str, longest: int = _LONGEST_LINE) -> list[str]:
        """Return a field that may be there several times, each as one line."""
        said = [one_line(value, longest) for value in self._values.get(name, [])]
        return [value for value in said if value and value != _UNKNOWN]


def _read(body: bytes) -> tuple[_Fields, str]:
    """Return headers, and the text behind them, which is the description."""
    fields = _Fields()
    found, at = _headers(body)
    for name, value in found:
        fields.add(name, _decoded(value))
    return fields, _decoded(body[_behind_blank(body, at) :])


def _headers(body: bytes) -> tuple[list[tuple[str, bytes]], int]:
    """Return the headers, with their names in lower case, and where they end."""
    found: list[tuple[str, bytes]] = []
    at = 0
    for _ in range(_MOST_HEADERS):
        header = _HEADER.match(body, at)
        if header is None:
            break
        found.append((header[1].decode("ascii").lower(), header[2]))
        at = header.end()
    return found, at


def _behind_blank(body: bytes, at: int) -> int:
    blank = _BLANK.match(body, at)
    return at if blank is None else blank.end()


def _decoded(said: bytes) -> str:
    # UTF-8 since version 2.1; what was uploaded before that may be anything, and Latin-1 fits every byte.
    try:
        text = said.decode()
    except UnicodeDecodeError:
        text = said.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _keywords(said: str) -> list[str]:
    """Return keywords, which are to be separated by commas, and often are by blanks."""
    parts = said.split(",") if "," in said else said.split()
    return [part.strip() for part in parts if part.strip()][:_MOST_KEYWORDS]


def _people(fields: _Fields, name: str, address: str) -> str:
    said = _BRACKETED.sub(" ", fields.line(name) or fields.line(address))
    said = _WORD.sub(lambda word: " " if "@" in word[0] else word[0], said)
    people = [" ".join(person.replace('"', " ").split()) for person in said.split(",")]
    return ", ".join(person for person in people if person)


def _project_urls(lines: Sequence[str]) -> list[tuple[str, str]]:
    split = [line.partition(",") for line in lines]
    return [(label.strip(), url.strip()) for label, _, url in split if url.strip()]
