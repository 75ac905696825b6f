"""PyPI's legacy JSON (`/pypi/<name>/json`): a source of facts that HTML lacks, and a document to pass on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from frumious.errors import BadPage
from frumious.pages.reading import count_of, digest_of, instant_of, serial_of, told

_PLACE = "legacy JSON"


class ReleaseFacts(msgspec.Struct, frozen=True, gc=False):
    """What the legacy JSON says of one file."""

    size: int | None = None
    upload_time: str | None = None
    """UTC instant ending in Z, as PEP 700 writes it."""
    sha256: str | None = None
    """Lower-case hex."""
    md5: str | None = None
    """Lower-case hex."""
    requires_python: str | None = None
    yanked: str | None = None
    """None is not yanked, "" is yanked without a reason."""


class _WireFile(msgspec.Struct):
    filename: str
    digests: Any = None
    md5_digest: Any = None
    requires_python: Any = None
    size: Any = None
    upload_time: Any = None
    upload_time_iso_8601: Any = None
    yanked: Any = None
    yanked_reason: Any = None


class _WireDocument(msgspec.Struct):
    last_serial: Any = None
    releases: dict[str, list[msgspec.Raw] | None] | None = None
    urls: list[msgspec.Raw] | None = None


_DOCUMENT = msgspec.json.Decoder(_WireDocument)
_FILE = msgspec.json.Decoder(_WireFile)


def parse_release_facts(body: bytes, url: str) -> Mapping[str, ReleaseFacts]:
    """Read what is said of each file, by file name; a file that cannot be read is left out.

    Raises BadPage for anything but a legacy JSON document.
    """
    return dict(_read_files(_read_document(body, url)))


def parse_contents(body: bytes, url: str) -> tuple[int | None, frozenset[str]]:
    """Read the serial of a document, and the names of the files in it; raises BadPage as `parse_release_facts`."""
    document = _read_document(body, url)
    return serial_of(document.last_serial), frozenset(name for name, _ in _read_files(document))


def canonical(body: bytes, serial: int | None = None) -> bytes:
    """Return a document as bandersnatch writes it to `web/json/<name>`: indented by 4, keys sorted, ASCII.

    With `serial` it says that one in place of its own. Raises BadPage for anything but a JSON object.
    """
    return _dumps(_object(body, serial))


def published(body: bytes, links: Mapping[str, str], serial: int | None = None) -> bytes:
    """Return a document of the files in `links` alone, by file name to address; releases without files go.

    With `serial` it says that one in place of its own. Raises BadPage for anything but a JSON object.
    """
    document = _object(body, serial)
    releases = document.get("releases")
    if isinstance(releases, dict):
        kept = {version: _linked(files, links) for version, files in releases.items()}
        document["releases"] = {version: files for version, files in kept.items() if files}
    if "urls" in document:
        document["urls"] = _linked(document["urls"], links)
    return _dumps(document)


def _linked(files: object, links: Mapping[str, str]) -> list[Any]:
    return [
        {**file, "url": links[name]}
        for file in (files if isinstance(files, list) else ())
        if isinstance(file, dict) and isinstance(name := file.get("filename"), str) and name in links
    ]


def _object(body: bytes, serial: int | None = None) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadPage(_PLACE, f"not JSON: {error}") from error
    if not isinstance(document, dict):
        raise BadPage(_PLACE, "not a JSON object")
    if serial is not None:
        document["last_serial"] = serial
    return document


def _dumps(document: dict[str, Any]) -> bytes:
    try:
        return json.dumps(document, indent=4, sort_keys=True, allow_nan=False).encode("ascii")
    except (ValueError, RecursionError) as error:
        raise BadPage(_PLACE, f"not JSON: {error}") from error


def _read_document(body: bytes, url: str) -> _WireDocument:
    try:
        document = _DOCUMENT.decode(body)
    except (ValueError, RecursionError) as error:
        raise BadPage(url, f"not a legacy JSON document: {error}") from error
    if document.releases is None and document.urls is None:
        raise BadPage(url, "not a legacy JSON document: neither `releases` nor `urls`")
    return document


def _read_files(document: _WireDocument) -> Iterator[tuple[str, ReleaseFacts]]:
    # `urls` repeats the latest release, and is all there is where `releases` was taken away.
    for files in (*(document.releases or {}).values(), document.urls):
        for raw in files or ():
            try:
                file = _FILE.decode(raw)
            except (ValueError, RecursionError):
                continue
            yield file.filename, _read_facts(file)


def _read_facts(file: _WireFile) -> ReleaseFacts:
    digests = file.digests if isinstance(file.digests, dict) else {}
    sha256 = digest_of("sha256", digests.get("sha256"))
    md5 = digest_of("md5", digests.get("md5")) or digest_of("md5", file.md5_digest)
    return ReleaseFacts(
        size=count_of(file.size),
        upload_time=instant_of(file.upload_time_iso_8601) or _without_zone(file.upload_time),
        sha256=sha256.hex if sha256 else None,
        md5=md5.hex if md5 else None,
        requires_python=told(file.requires_python) if isinstance(file.requires_python, str) else None,
        yanked=_read_yanked(file),
    )


def _without_zone(text: object) -> str | None:
    """Return the older field's instant: always UTC, though it does not say so."""
    return instant_of(f"{text}Z") if isinstance(text, str) else None


def _read_yanked(file: _WireFile) -> str | None:
    if not file.yanked:
        return None
    return file.yanked_reason if isinstance(file.yanked_reason, str) else ""
