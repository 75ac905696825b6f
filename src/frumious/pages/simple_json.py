"""The Simple API as JSON (PEP 691, 700, 714, 740, 792): simple-repository-api on packaging.python.org.

Reading is on the hot path of a sync: typed decoding makes a well-formed page in one go, and only a page in which
that fails is taken apart file by file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import Any, TypeVar

import msgspec

from frumious.errors import BadPage
from frumious.model.names import InvalidName, NormalizedName, normalize
from frumious.model.project import (
    Digest,
    File,
    ListedProject,
    PageFile,
    ProjectDetail,
    ProjectPage,
    ProjectStatus,
)
from frumious.pages.formats import API_VERSION, LEGACY_API_VERSION, check_api_version
from frumious.pages.parsed import ParsedList
from frumious.pages.reading import (
    best_digest,
    count_of,
    instant_of,
    metadata_of,
    read_files,
    resolve,
    safe_filename,
    secure_url,
    serial_of,
    shown,
    status_of,
    tell,
    told,
)
from frumious.pages.writing import batches, chunks, files_in_order, writable

Strict = TypeVar("Strict")
Loose = TypeVar("Loose")

_NULL = msgspec.Raw(b"null")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class _WireFile(msgspec.Struct, rename="kebab", gc=False):
    """A file as upstream writes it. `Any` where a wrong type costs that fact only, not the file."""

    filename: str
    url: str
    hashes: dict[str, Any] | None = None
    requires_python: str | None = None
    size: Any = None
    upload_time: Any = None
    yanked: bool | str | None = None
    core_metadata: Any = None
    # Two older spellings (PEP 658, and PyPI's slip): not decoded where `core-metadata` is there.
    dist_info_metadata: msgspec.Raw = _NULL
    data_dist_info_metadata: msgspec.Raw = _NULL
    provenance: Any = None


class _WireDetail(msgspec.Struct, rename="kebab"):
    files: list[_WireFile]
    meta: Any = None
    name: Any = None
    versions: Any = None
    project_status: Any = None


class _LooseDetail(msgspec.Struct, rename="kebab"):
    files: list[msgspec.Raw]
    meta: Any = None
    name: Any = None
    versions: Any = None
    project_status: Any = None


class _WireEntry(msgspec.Struct, gc=False):
    name: str
    serial: int | str | None = msgspec.field(name="_last-serial", default=None)


class _WireList(msgspec.Struct):
    projects: list[_WireEntry]
    meta: Any = None
    serial: Any = msgspec.field(name="_last-serial", default=None)


class _LooseList(msgspec.Struct):
    projects: list[Any]
    meta: Any = None
    serial: Any = msgspec.field(name="_last-serial", default=None)


_DETAIL = msgspec.json.Decoder(_WireDetail)
_LOOSE_DETAIL = msgspec.json.Decoder(_LooseDetail)
_FILE = msgspec.json.Decoder(_WireFile)
_LIST = msgspec.json.Decoder(_WireList)
_LOOSE_LIST = msgspec.json.Decoder(_LooseList)


def parse_project_list(body: bytes, url: str) -> ParsedList:
    """Read a project list; entries without a name are left out and told. Names are not normalized here.

    Raises BadPage and UnsupportedVersion.
    """
    problems: list[str] = []
    page = _decode(body, _LIST, _LOOSE_LIST, url)
    if isinstance(page, _WireList):
        projects = tuple([ListedProject(entry.name, serial_of(entry.serial)) for entry in page.projects])
    else:
        projects = tuple(_read_entries(page.projects, problems))
    meta, version = _read_meta(page.meta, url)
    serial = serial_of(meta.get("_last-serial"))
    return ParsedList(
        projects=projects,
        serial=serial_of(page.serial) if serial is None else serial,
        problems=tuple(problems),
        api_version=version,
    )


def parse_project_detail(body: bytes, *, url: str, name: NormalizedName) -> ProjectDetail:
    """Read the page of the project `name` that came from `url`; a file that cannot be used is left out and told.

    Raises BadPage, also for a page of another project, and UnsupportedVersion.
    """
    problems: list[str] = []
    page = _decode(body, _DETAIL, _LOOSE_DETAIL, url)
    entries = page.files if isinstance(page, _WireDetail) else _read_entries_one_by_one(page.files, problems)
    meta, version = _read_meta(page.meta, url)
    _check_name(page.name, name, url)
    status, reason = _read_status(page.project_status, meta, problems)
    files = tuple(read_files(entries, lambda entry: _read_file(entry, url), attrgetter("filename"), problems))
    if page.files and not files:
        # Otherwise a page of nonsense would read as a project that has lost everything.
        raise BadPage(url, f"none of its {len(page.files)} files can be used ({problems[-1]})")
    return ProjectDetail(
        name=name,
        files=files,
        versions=_read_versions(page.versions, problems),
        status=status,
        status_reason=reason,
        serial=serial_of(meta.get("_last-serial")),
        api_version=version,
        problems=tuple(problems),
    )


def _decode(
    body: bytes, strict: msgspec.json.Decoder[Strict], loose: msgspec.json.Decoder[Loose], url: str
) -> Strict | Loose:
    """Decode at once where every type is right, else loosely, so that a wrong type spoils only its own entry."""
    try:
        return strict.decode(body)
    except msgspec.ValidationError:
        pass
    except (ValueError, RecursionError):
        body = _mended(body, url)
    try:
        return loose.decode(body)
    except (ValueError, RecursionError) as error:
        raise BadPage(url, f"not a page of the Simple API: {error}") from error


def _mended(body: bytes, url: str) -> bytes:
    """Return JSON that msgspec reads: without byte order mark, U+FFFD for escaped halves of surrogate pairs.

    Python writes such halves into JSON without complaint, so they are out there. Raises BadPage.
    """
    try:
        text = json.dumps(json.loads(body), ensure_ascii=False)
    except (ValueError, RecursionError) as error:
        raise BadPage(url, f"not JSON: {error}") from error
    return _LONE_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text).encode()


def _read_entries(entries: Iterable[Any], problems: list[str]) -> Iterator[ListedProject]:
    for position, entry in enumerate(entries):
        match entry:
            case {"name": str(name)}:
                yield ListedProject(name, serial_of(entry.get("_last-serial")))
            case _:
                tell(problems, f"projects[{position}] left out: it has no name")


def _read_entries_one_by_one(entries: Iterable[msgspec.Raw], problems: list[str]) -> Iterator[_WireFile]:
    for position, entry in enumerate(entries):
        try:
            yield _FILE.decode(entry)
        except (ValueError, RecursionError) as error:
            tell(problems, f"files[{position}] left out: {error}")


def _read_meta(meta: object, url: str) -> tuple[dict[str, Any], str]:
    """Return `meta` and the API version in it; a page without is of the first version (PEP 629)."""
    if meta is None:
        return {}, LEGACY_API_VERSION
    if not isinstance(meta, dict):
        raise BadPage(url, "`meta` is no object")
    version = meta.get("api-version", LEGACY_API_VERSION)
    if not isinstance(version, str):
        raise BadPage(url, "api-version is no text")
    check_api_version(version, url)
    return meta, version


def _check_name(said: object, asked: NormalizedName, url: str) -> None:
    if said is None or said == asked:
        return
    try:
        if isinstance(said, str) and normalize(said) == asked:
            return
    except InvalidName:
        pass
    raise BadPage(url, f"a page naming another project: {shown(said)} instead of {asked}")


def _read_status(
    said: object, meta: dict[str, Any], problems: list[str]
) -> tuple[ProjectStatus | None, str | None]:
    """Read the status marker: an object at top level as the rules say, or under `meta` as their example shows."""
    marker = meta.get("project-status") if said is None else said
    if isinstance(marker, dict):
        return status_of(marker.get("status"), marker.get("reason"), problems)
    return status_of(marker, meta.get("project-status-reason"), problems)


def _read_versions(said: object, problems: list[str]) -> tuple[str, ...] | None:
    if said is None:
        return None
    if not isinstance(said, list):
        tell(problems, "`versions` left out: it is no list")
        return None
    versions = tuple(dict.fromkeys(version for version in said if isinstance(version, str)))
    if not all(isinstance(version, str) for version in said):
        tell(problems, "some `versions` left out: they are no text")
    return versions


def _read_file(said: _WireFile, url: str) -> File:
    # Positional: keywords would cost a tenth of reading a page. The order is that of `File`.
    return File(
        safe_filename(said.filename),
        resolve(url, said.url),
        best_digest(said.hashes) if said.hashes else None,
        count_of(said.size),
        told(said.requires_python),
        instant_of(said.upload_time),
        _read_yanked(said.yanked),
        _read_core_metadata(said),
        None if said.provenance is None else secure_url(said.provenance),
    )


def _read_yanked(said: bool | str | None) -> str | None:  # noqa: FBT001 - a value of the page, no switch
    """Return the reason; any text marks the file, even an empty one: better marked for nothing than not marked."""
    if isinstance(said, str):
        return said
    return "" if said else None


def _read_core_metadata(said: _WireFile) -> Digest | bool | None:
    found = said.core_metadata
    if found is None:
        found = _old_spelling(said.dist_info_metadata)
    if found is None:
        found = _old_spelling(said.data_dist_info_metadata)
    if isinstance(found, dict):
        return metadata_of(found)
    return found if isinstance(found, bool) else None


def _old_spelling(raw: msgspec.Raw) -> Any:
    if raw is _NULL:
        return None
    try:
        return msgspec.json.decode(raw)
    except (ValueError, RecursionError):
        return None


class _OurFile(msgspec.Struct, rename="kebab", omit_defaults=True, gc=False):
    """A file as we write it. Fields are in the order of the keys in the page: sorted."""

    core_metadata: dict[str, str] | bool | None = None
    filename: str | msgspec.UnsetType = msgspec.UNSET
    hashes: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    provenance: str | None = None
    requires_python: str | None = None
    size: int | None = None
    upload_time: str | None = None
    url: str | msgspec.UnsetType = msgspec.UNSET
    yanked: bool | str | msgspec.UnsetType = msgspec.UNSET


class _OurStatus(msgspec.Struct, omit_defaults=True):
    reason: str | None = None
    status: str | msgspec.UnsetType = msgspec.UNSET


class _OurMeta(msgspec.Struct, rename="kebab"):
    last_serial: int = msgspec.field(name="_last-serial")
    api_version: str


class _OurPage(msgspec.Struct, rename="kebab"):
    files: list[_OurFile]
    meta: _OurMeta
    name: str
    project_status: _OurStatus | msgspec.UnsetType
    versions: list[str]


class _OurEntry(msgspec.Struct, omit_defaults=True, gc=False):
    serial: int | None = msgspec.field(name="_last-serial", default=None)
    name: str | msgspec.UnsetType = msgspec.UNSET


_ENCODER = msgspec.json.Encoder()


def render_project_detail(page: ProjectPage) -> bytes:
    """Return a project's page: compact, keys and files sorted, so equal pages are equal bytes."""
    files = files_in_order(page)
    # PEP 700 makes `size` mandatory from 1.1 on; a page that lacks one may not claim it.
    version = LEGACY_API_VERSION if any(file.size is None for file in files) else API_VERSION
    return (
        _ENCODER.encode(
            _OurPage(
                files=[_write_file(file) for file in files],
                meta=_OurMeta(page.serial, version),
                name=page.name,
                project_status=_write_status(page),
                versions=sorted({writable(version) for version in page.versions}),
            )
        )
        + b"\n"
    )


def render_project_list(projects: Iterable[ListedProject], serial: int) -> Iterator[bytes]:
    """Yield the project list in blocks of about 64 KiB, in the order in which `projects` come."""
    return chunks(_write_list(projects, serial))


def render_serials(projects: Iterable[ListedProject]) -> Iterator[bytes]:
    """Yield an object of normalized names and serials in blocks: shadowmire's `local.json` (conformance 92)."""
    return chunks(_write_serials(projects))


def _write_serials(projects: Iterable[ListedProject]) -> Iterator[bytes]:
    separator = b"{"
    for batch in batches(projects, 256):
        yield separator + _ENCODER.encode({normalize(one.name): one.serial or 0 for one in batch})[1:-1]
        separator = b","
    yield b"{}\n" if separator == b"{" else b"}\n"


def _write_list(projects: Iterable[ListedProject], serial: int) -> Iterator[bytes]:
    yield b'{"meta":' + _ENCODER.encode(_OurMeta(serial, API_VERSION)) + b',"projects":['
    separator = b""
    for batch in batches(projects, 256):
        entries = _ENCODER.encode([_OurEntry(project.serial, writable(project.name)) for project in batch])
        yield separator + entries[1:-1]
        separator = b","
    yield b"]}\n"


def _write_file(file: PageFile) -> _OurFile:
    digest, metadata, requires_python, yanked = (
        file.digest,
        file.core_metadata,
        file.requires_python,
        file.yanked,
    )
    return _OurFile(
        {metadata.algorithm: metadata.hex} if isinstance(metadata, Digest) else metadata,
        file.filename,
        {} if digest is None else {digest.algorithm: digest.hex},
        file.provenance,
        writable(requires_python) if requires_python else None,
        file.size,
        file.upload_time or None,
        file.href,
        False if yanked is None else writable(yanked) or True,
    )


def _write_status(page: ProjectPage) -> _OurStatus | msgspec.UnsetType:
    if page.status is None:
        return msgspec.UNSET
    return _OurStatus(writable(page.status_reason) if page.status_reason else None, page.status.value)


def encode_project_detail(detail: ProjectDetail) -> bytes:
    """Return a JSON page that reads as exactly this detail, but for `problems`; deterministic.

    Unlike a page that we publish it keeps upstream's URLs and leaves open what upstream left open.
    """
    page: dict[str, Any] = {
        "meta": {"api-version": detail.api_version},
        "name": detail.name,
        "files": [_encode_file(file) for file in detail.files],
    }
    if detail.serial is not None:
        page["meta"]["_last-serial"] = detail.serial
    if detail.versions is not None:
        page["versions"] = detail.versions
    if detail.status is not None:
        page["project-status"] = {"status": detail.status.value}
        if detail.status_reason is not None:
            page["project-status"]["reason"] = detail.status_reason
    return msgspec.json.encode(page, order="sorted")


def _encode_file(file: File) -> dict[str, Any]:
    entry = {
        "filename": file.filename,
        "url": file.url,
        "hashes": _hashes(file.digest),
        "size": file.size,
        "requires-python": file.requires_python,
        "upload-time": file.upload_time,
        "yanked": None if file.yanked is None else file.yanked or True,
        "core-metadata": _hashes(file.core_metadata)
        if isinstance(file.core_metadata, Digest)
        else file.core_metadata,
        "provenance": file.provenance,
    }
    return {key: value for key, value in entry.items() if value is not None}


def _hashes(digest: Digest | None) -> dict[str, str]:
    return {} if digest is None else {digest.algorithm: digest.hex}
