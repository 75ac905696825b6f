"""An upstream that tests can edit: `SimulatedIndex`, and two faces of it.

    index = SimulatedIndex()
    index.upload("Foo.Bar", "1.0")                           # a small wheel that installs
    index.upload("Foo.Bar", "1.0", "foo_bar-1.0.tar.gz")     # the file name says what is made
    index.upload("big", content=b"x" * 5_000_000)            # or any bytes
    index.yank("foo-bar", "1.0", "broken")                   # any spelling of the name will do
    index.quarantine("big")
    index.serial                                             # as PyPI counts: one per journal row

In the process, as the Upstream port (no sockets, deterministic, for scenario and crash tests):

    upstream = SimulatedUpstream(index)
    upstream.faults.add("page:foo-bar", Stale())             # the next request gets the page before the last edit
    upstream.faults.add("file:*.whl", Cut(100), times=None)  # for ever, until upstream.faults.clear()
    upstream.faults.add("list", Edit(lambda: index.yank("foo-bar", "1.0")), after=1)   # something happens meanwhile
    ...
    assert upstream.requests("page:*") == [...]              # what was asked, oldest first

Over real HTTP(S), with the same faults and the same log:

    with serve(index, "html+legacy") as served:              # served.url, served.ca_pem, served.faults, served.requests


Targets and effects are described in `support.index_faults`, dialects in `support.index_pages`. Journal, serials and
the answers for quarantined, archived, empty and deleted projects follow PyPI (conformance sections 7 and 8).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from frumious.errors import AbsentProject, BadPage, BadStatus, Unreachable, UnsupportedVersion
from frumious.model.names import NormalizedName
from frumious.model.project import Digest, File, ListedProject, ProjectDetail, ProjectStatus
from frumious.upstream.base import FileBody, OfferedList, OfferedProject
from support import httpd, index_pages
from support.index_faults import (
    ApiVersion,
    Cut,
    Drip,
    Edit,
    Effect,
    EmptyList,
    Faults,
    Garbage,
    Hang,
    NoRange,
    OtherRange,
    Reset,
    ShortBytes,
    Stale,
    Status,
    Stuck,
    WrongBytes,
)
from support.index_files import (
    core_metadata,
    make_sdist,
    make_wheel,
    module_name,
    package_type,
    python_version,
)
from support.index_files import provenance as provenance_document
from support.index_pages import DIALECTS, HTML_TYPE, JSON_TYPE, Dialect, Place

__all__ = [
    "ApiVersion",
    "Cut",
    "Dialect",
    "Drip",
    "Edit",
    "EmptyList",
    "Garbage",
    "Hang",
    "IndexFile",
    "NoRange",
    "OtherRange",
    "Reset",
    "Served",
    "ShortBytes",
    "SimulatedIndex",
    "SimulatedUpstream",
    "Stale",
    "Status",
    "Stuck",
    "WrongBytes",
    "serve",
]

_IN_PROCESS = Place("https://index.example.org", "https://files.example.org")


@dataclass(frozen=True)
class IndexFile:
    """One file of a simulated project."""

    filename: str
    version: str
    content: bytes = field(repr=False)
    upload_time: str
    requires_python: str | None = None
    yanked: str | None = None
    metadata: bytes | None = field(default=None, repr=False)
    provenance: bytes | None = field(default=None, repr=False)
    project: str = ""
    declared_size: int | None = None
    """What the index says instead of the truth."""
    declared_kind: str | None = None
    """What the index says instead of what the file name tells (`bdist_dumb` has the names of an sdist)."""

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @cached_property
    def md5(self) -> str:
        return hashlib.md5(self.content, usedforsecurity=False).hexdigest()

    @cached_property
    def blake2b_256(self) -> str:
        return hashlib.blake2b(self.content, digest_size=32).hexdigest()

    @cached_property
    def metadata_sha256(self) -> str | None:
        return None if self.metadata is None else hashlib.sha256(self.metadata).hexdigest()

    @property
    def path(self) -> str:
        """The path of its URL, not percent-encoded; `web` + this is the key in a mirror."""
        digest = self.blake2b_256
        return f"/packages/{digest[:2]}/{digest[2:4]}/{digest[4:]}/{self.filename}"

    @property
    def provenance_path(self) -> str:
        return f"/integrity/{self.project}/{quote(self.version)}/{quote(self.filename)}/provenance"

    @property
    def size(self) -> int:
        return len(self.content) if self.declared_size is None else self.declared_size

    @property
    def packagetype(self) -> str:
        return self.declared_kind or package_type(self.filename)

    @property
    def python_version(self) -> str:
        return python_version(self.filename, self.packagetype)


@dataclass(frozen=True)
class Release:
    """One version of a simulated project."""

    version: str
    files: tuple[IndexFile, ...] = ()
    yanked: str | None = None
    quarantined: bool = False


@dataclass(frozen=True)
class Project:
    """A simulated project at one moment; edits make new values."""

    name: str
    """Display spelling."""
    serial: int
    releases: Mapping[str, Release] = field(default_factory=dict)
    status: str = "active"
    status_reason: str | None = None
    info: Mapping[str, Any] = field(default_factory=dict)
    """What the legacy JSON says beside, or instead of, what it says of any project."""

    def offered_files(self) -> list[IndexFile]:
        """Return what the Simple API lists: nothing of a quarantined project or release."""
        if self.status == "quarantined":
            return []
        return [
            file for release in self.releases.values() if not release.quarantined for file in release.files
        ]


@dataclass(frozen=True)
class Snapshot:
    """All projects at one moment, by normalized name."""

    projects: Mapping[str, Project]
    serial: int

    def listed(self) -> list[tuple[str, Project]]:
        """Return what the project list names: quarantined projects are left out, empty ones are not."""
        return [(name, project) for name, project in self.projects.items() if project.status != "quarantined"]


@dataclass(frozen=True)
class JournalRow:
    """One row of the journal, with the display name at that time."""

    serial: int
    name: str
    version: str | None
    action: str
    time: datetime


@dataclass(frozen=True)
class Blob:
    """Bytes under a path of the file host."""

    content: bytes
    modified: datetime


class SimulatedIndex:
    """A package index in memory. Every edit takes any spelling of a project's name, and a KeyError if it is absent.

    Time stands still between edits; each edit advances `now` by 1.5 seconds. Stored bytes stay when a file is
    deleted or quarantined, as on PyPI's file host; `lose_bytes` takes them away.
    """

    def __init__(self, *, now: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self.now = now
        self.journal: list[JournalRow] = []
        self.blobs: dict[str, Blob] = {}
        self.previous: dict[str, Project | None] = {}
        self._projects: dict[str, Project] = {}

    @property
    def serial(self) -> int:
        """The global serial: that of the last journal row."""
        return self.journal[-1].serial if self.journal else 0

    def project(self, name: str) -> Project:
        """Return a project as it is now."""
        return self._projects[_normal(name)]

    def file(self, filename: str) -> IndexFile:
        """Return a file as it is now, wherever it is."""
        return next(
            file
            for project in self._projects.values()
            for release in project.releases.values()
            for file in release.files
            if file.filename == filename
        )

    def names(self) -> list[str]:
        """Return the normalized names of all projects, quarantined ones too, sorted."""
        return sorted(self._projects)

    def snapshot(self) -> Snapshot:
        """Return the index as it is now, for `Stale(as_of=...)`."""
        return Snapshot(dict(self._projects), self.serial)

    def view(self) -> Snapshot:
        """Return a snapshot that is not kept: the next edit shows in it."""
        return Snapshot(self._projects, self.serial)

    # Edits that the journal records.

    def create(self, name: str) -> None:
        """Register a project without releases."""
        if _normal(name) in self._projects:
            raise ValueError(f"{name} exists")
        self._record(Project(name, 0), ("create", None), ("add Owner tove", None))

    def release(self, name: str, version: str) -> None:
        """Add a release without files."""
        project = self.project(name)
        self._record(_with_release(project, Release(version)), ("new release", version))

    def upload(
        self,
        name: str,
        version: str = "1.0",
        filename: str | None = None,
        content: bytes | None = None,
        *,
        requires_python: str | None = None,
        requires_dist: Sequence[str] = (),
        metadata: bytes | bool = True,
        provenance: bytes | bool | None = None,
        upload_time: str | None = None,
        size: int | None = None,
        kind: str | None = None,
    ) -> IndexFile:
        """Upload one file, creating project and release if need be, and return it.

        Without a file name a wheel is made; the end of the name (.whl, .tar.gz) chooses what is made, anything else
        gets filler bytes. `metadata=False` offers no core metadata for a wheel, bytes offer just those; `size` and
        `kind` (of the legacy JSON's `packagetype`) are said instead of the truth. `provenance=True` makes a document that
        fits. Uploading under another spelling of
        the name changes the display name.
        """
        filename = filename or f"{module_name(name)}-{version}-py3-none-any.whl"
        inside = core_metadata(name, version, requires_python=requires_python, requires_dist=requires_dist)
        if content is None:
            content = _made(name, version, filename, inside)
        if metadata is True:
            metadata = filename.endswith(".whl") and inside
        normal = _normal(name)
        project, rows = self._projects.get(normal), []
        if project is None:
            project, rows = Project(name, 0), [("create", None), ("add Owner tove", None)]
        if version not in project.releases:
            rows.append(("new release", version))
        release = project.releases.get(version, Release(version))
        if any(file.filename == filename for file in release.files):
            raise ValueError(f"{filename} exists; see replace()")
        self._tick()
        file = IndexFile(
            filename,
            version,
            content,
            self.now.isoformat().replace("+00:00", "Z") if upload_time is None else upload_time,
            requires_python,
            release.yanked,
            metadata or None,
            provenance_document(filename, hashlib.sha256(content).hexdigest())
            if provenance is True
            else provenance or None,
            normal,
            size,
            kind,
        )
        self._store(file)
        release = replace(release, files=(*release.files, file))
        rows.append((f"add py3 file {filename}", version))
        self._record(_with_release(replace(project, name=name), release), *rows, tick=False)
        return file

    def replace(self, name: str, filename: str, content: bytes) -> IndexFile:
        """Put other bytes under a file name that stays (PyPI refuses that, others do it; conformance 104)."""
        old = self.file(filename)
        new = replace(old, content=content)
        self._store(new)
        self._record(
            _map_files(self.project(name), lambda file: new if file is old else file),
            (f"add py3 file {filename}", old.version),
        )
        return new

    def delete_file(self, name: str, filename: str) -> None:
        """Delete one file; the release stays."""
        version = self.file(filename).version
        project = _map_files(self.project(name), lambda file: None if file.filename == filename else file)
        self._record(project, (f"remove file {filename}", version))

    def delete_release(self, name: str, version: str) -> None:
        """Delete a release with its files."""
        project = self.project(name)
        rest = {key: release for key, release in project.releases.items() if key != version}
        self._record(replace(project, releases=rest), ("remove release", version))

    def delete_project(self, name: str) -> None:
        """Delete a project: gone from the list, 404 elsewhere, one more row in the journal."""
        project = self.project(name)
        self._record(project, ("remove project", None))
        del self._projects[_normal(name)]

    def yank(self, name: str, version: str, reason: str = "") -> None:
        """Yank a release, as PyPI does: all its files, and those uploaded to it later."""
        self._set_yanked(name, version, reason, "yank release")

    def unyank(self, name: str, version: str) -> None:
        """Take a yank back."""
        self._set_yanked(name, version, None, "unyank release")

    def quarantine(self, name: str, version: str | None = None) -> None:
        """Quarantine a project, or one release of it."""
        self._set_quarantined(name, version, on=True, action="quarantined")

    def unquarantine(self, name: str, version: str | None = None) -> None:
        """Lift a quarantine; the files come back under the same URLs."""
        self._set_quarantined(name, version, on=False, action="quarantine cleared")

    def rename(self, display: str) -> None:
        """Change the spelling of a project's name, e.g. `rename("Foo_Bar")`."""
        self._record(replace(self.project(display), name=display), (f"rename to {display}", None))

    def describe(self, name: str, **info: Any) -> None:
        """Set fields of `info` in the legacy JSON, as a release with other metadata does: `summary`, `classifiers`, …"""
        project = self.project(name)
        self._record(replace(project, info={**project.info, **info}), ("update description", None))

    def touch(self, name: str, action: str = "add Maintainer lars") -> None:
        """Advance a project's serial without changing any page but for it."""
        self._record(self.project(name), (action, None))

    # Edits that no serial tells of (conformance finding 4).

    def set_status(self, name: str, status: str, reason: str | None = None) -> None:
        """Archive a project (`archived`), or bring it back (`active`), or mark it `deprecated`: no serial moves."""
        self._amend(replace(self.project(name), status=status, status_reason=reason))

    def archive(self, name: str) -> None:
        """Archive a project: no serial moves."""
        self.set_status(name, "archived")

    def unarchive(self, name: str) -> None:
        """Make an archived project active again: no serial moves."""
        self.set_status(name, "active")

    def backfill_metadata(self, name: str, filename: str, metadata: bytes | None = None) -> None:
        """Offer core metadata for a file that had none, as PyPI did in 2024: no serial moves."""
        old = self.file(filename)
        new = replace(old, metadata=metadata or core_metadata(name, old.version))
        self._store(new)
        self._amend(_map_files(self.project(name), lambda file: new if file is old else file))

    def set_provenance(self, filename: str, provenance: bytes | None) -> None:
        """Offer other provenance of a file, or none: no serial moves."""
        old = self.file(filename)
        new = replace(old, provenance=provenance)
        self.blobs.pop(old.provenance_path, None)
        self._store(new)
        self._amend(_map_files(self.project(old.project), lambda file: new if file is old else file))

    def lose_bytes(self, filename: str) -> None:
        """Make the file host answer 404 for a file that the index still lists."""
        path = self.file(filename).path
        self.blobs.pop(path, None)
        self.blobs.pop(f"{path}.metadata", None)

    def _record(self, project: Project, *rows: tuple[str, str | None], tick: bool = True) -> None:
        if tick:
            self._tick()
        for action, version in rows:
            self.journal.append(JournalRow(self.serial + 1, project.name, version, action, self.now))
        self._amend(replace(project, serial=self.serial))

    def _amend(self, project: Project) -> None:
        name = _normal(project.name)
        self.previous[name] = self._projects.get(name)
        self._projects[name] = project

    def _tick(self) -> None:
        # One and a half: every other upload time has no fraction, which PyPI then leaves out.
        self.now += timedelta(seconds=1.5)

    def _store(self, file: IndexFile) -> None:
        self.blobs[file.path] = Blob(file.content, self.now)
        if file.metadata is not None:
            self.blobs[f"{file.path}.metadata"] = Blob(file.metadata, self.now)
        if file.provenance is not None:
            self.blobs[file.provenance_path] = Blob(file.provenance, self.now)

    def _set_yanked(self, name: str, version: str, reason: str | None, action: str) -> None:
        release = self.project(name).releases[version]
        files = tuple(replace(file, yanked=reason) for file in release.files)
        release = replace(release, yanked=reason, files=files)
        self._record(_with_release(self.project(name), release), (action, version))

    def _set_quarantined(self, name: str, version: str | None, *, on: bool, action: str) -> None:
        project = self.project(name)
        if version is None:
            project = replace(project, status="quarantined" if on else "active")
            self._record(project, (f"project {action}", None))
        else:
            release = replace(project.releases[version], quarantined=on)
            self._record(_with_release(project, release), (f"release {action}", version))


@dataclass(frozen=True)
class Request:
    """One request as the index saw it."""

    target: str
    method: str
    headers: Mapping[str, str]
    """Lower-case names."""
    status: int | None
    """What was answered; None where nothing was."""

    @property
    def etag(self) -> str | None:
        return self.headers.get("if-none-match")


@dataclass(frozen=True)
class Response:
    """What the index says to one request. Both faces play it out in their own way."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cut: int | None = None
    drip: int | None = None


class Site:
    """An index at an address: routes, conditional requests, ranges, faults and the log of requests."""

    def __init__(self, index: SimulatedIndex, dialect: Dialect | str, place: Place) -> None:
        self.index = index
        self.dialect = DIALECTS[dialect] if isinstance(dialect, str) else dialect
        self.place = place
        self.faults = Faults()
        self.log: list[Request] = []

    def answer(
        self, method: str, path: str, headers: Mapping[str, str], *, files: str = "file"
    ) -> Response | Reset | Hang:
        """Answer one request; `path` is decoded and without prefix, header names are lower case."""
        target = _target(method, path, files)
        effect = self.faults.take(target)
        if isinstance(effect, Edit):
            effect.action()
        response = self._respond(method, path, headers, effect)
        status = response.status if isinstance(response, Response) else None
        self.log.append(Request(target, method, dict(headers), status))
        return response

    def requests(self, pattern: str = "*") -> list[Request]:
        return [request for request in self.log if fnmatchcase(request.target, pattern)]

    def _respond(
        self, method: str, path: str, headers: Mapping[str, str], effect: Effect | None
    ) -> Response | Reset | Hang:
        match effect:
            case Reset() | Hang():
                return effect
            case Status(code, retry_after):
                extra = {} if retry_after is None else {"retry-after": str(retry_after)}
                return Response(code, {"content-type": "text/plain", **extra}, f"{code}\n".encode())
            case Garbage(body, content_type):
                return Response(200, {"content-type": content_type}, body)
        response = self._route(path, headers, effect)
        match effect:
            case WrongBytes():
                body = bytes([response.body[0] ^ 0xFF]) + response.body[1:] if response.body else b"!"
                response = replace(response, body=body)
            case ShortBytes():
                response = replace(response, body=response.body[:-1])
            case Cut(at):
                response = replace(response, cut=at)
            case Drip(piece):
                response = replace(response, drip=piece)
        return replace(response, body=b"") if method == "HEAD" else response

    def _route(self, path: str, headers: Mapping[str, str], effect: Effect | None) -> Response:
        if path == "/simple/":
            return self._list(headers, effect)
        if path == "/simple":  # where bandersnatch asks for the list
            return Response(301, {"location": f"{self.place.index}/simple/"}, b"")
        if found := re.fullmatch(r"/simple/([^/]*)(/?)", path):
            name = _normal(found[1])
            if found[2] and name == found[1]:
                return self._page(name, headers, effect)
            return Response(
                301, {"location": f"{self.place.index}/simple/{name}/" if name else "/simple/"}, b""
            )
        if found := re.fullmatch(r"/pypi/([^/]+)/json", path):
            return self._legacy(_normal(found[1]))
        return self._blob(path, headers, effect)

    def _list(self, headers: Mapping[str, str], effect: Effect | None) -> Response:
        view, dialect = self.index.view(), self.dialect
        match effect:
            case Stale(None):
                raise ValueError("a stale list needs Stale(as_of=index.snapshot())")
            case Stale(Snapshot() as view):
                pass
            case EmptyList():
                view = Snapshot({}, view.serial)
            case ApiVersion(version):
                dialect = replace(dialect, api=version)
        if self._wants_json(headers):
            return self._document(index_pages.list_json(view, dialect), JSON_TYPE, view.serial, headers)
        return self._document(index_pages.list_html(view, dialect), HTML_TYPE, view.serial, headers)

    def _page(self, name: str, headers: Mapping[str, str], effect: Effect | None) -> Response:
        project, dialect = self.index.view().projects.get(name), self.dialect
        match effect:
            case Stale(None):
                project = self.index.previous.get(name)
            case Stale(Snapshot(projects)):
                project = projects.get(name)
            case Stuck(behind) if project is not None:
                project = replace(project, serial=project.serial - behind)
            case ApiVersion(version):
                dialect = replace(dialect, api=version)
        if project is None:
            return Response(404, {"content-type": "text/plain"}, b"404 Not Found\n")
        if self._wants_json(headers):
            body = index_pages.detail_json(name, project, dialect, self.place)
            return self._document(body, JSON_TYPE, project.serial, headers)
        body = index_pages.detail_html(name, project, dialect, self.place)
        return self._document(body, HTML_TYPE, project.serial, headers)

    def _legacy(self, name: str) -> Response:
        project = self.index.view().projects.get(name)
        body = index_pages.legacy_json(project, self.place) if project and self.dialect.legacy else None
        if project is None or body is None:
            return Response(404, {"content-type": "application/json"}, b'{"message": "Not Found"}')
        return self._document(body, "application/json", project.serial, {})

    def _blob(self, path: str, headers: Mapping[str, str], effect: Effect | None) -> Response:
        blob = self.index.blobs.get(path)
        if blob is None:
            return Response(404, {"content-type": "text/plain"}, b"404 Not Found\n")
        etag = f'"{hashlib.sha256(blob.content).hexdigest()[:32]}"'
        facts = {
            "content-type": "application/octet-stream",
            "last-modified": format_datetime(blob.modified.replace(microsecond=0), usegmt=True),
            "accept-ranges": "bytes",
            **({"etag": etag} if self.dialect.etags else {}),
        }
        asked = re.fullmatch(r"bytes=(\d+)-", headers.get("range", ""))
        validators = {None, facts.get("etag"), facts["last-modified"]}
        if asked is None or headers.get("if-range") not in validators or effect == NoRange():
            return Response(200, facts, blob.content)
        start, size = int(asked[1]), len(blob.content)
        if start >= size:
            return Response(416, {"content-range": f"bytes */{size}"}, b"")
        if isinstance(effect, OtherRange):
            start += effect.shift
        facts["content-range"] = f"bytes {start}-{size - 1}/{size}"
        return Response(206, facts, blob.content[start:])

    def _document(self, body: bytes, content_type: str, serial: int, headers: Mapping[str, str]) -> Response:
        facts = {"content-type": content_type, "vary": "Accept", "cache-control": "max-age=600, public"}
        if self.dialect.etags:
            facts["etag"] = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
        if self.dialect.serials != "none" and self.dialect.serial_header:
            facts["x-pypi-last-serial"] = str(serial)
        asked = headers.get("if-none-match", "").removeprefix("W/")
        if asked and asked == facts.get("etag"):
            return Response(304, facts, b"")
        return Response(200, facts, body)

    def _wants_json(self, headers: Mapping[str, str]) -> bool:
        return self.dialect.form == "json" and JSON_TYPE in headers.get("accept", "")


class SimulatedUpstream:
    """A simulated index as the Upstream port, in this process.

    It speaks the JSON dialects (`json`, `json-string-serials`, `json-1.0-no-serials`, or a `Dialect`), and does not
    retry: each planned fault is one error of one call. Files of `download_mirror` have targets `mirror:<filename>`.
    """

    def __init__(
        self, index: SimulatedIndex, dialect: Dialect | str = "json", *, download_mirror: str | None = None
    ) -> None:
        self._site = Site(index, dialect, _IN_PROCESS)
        if self._site.dialect.form != "json":
            raise ValueError("the in-process face speaks JSON; serve() speaks HTML")
        self._mirror = download_mirror
        self.faults = self._site.faults
        self.log = self._site.log

    def requests(self, pattern: str = "*") -> list[Request]:
        """Return the requests so far to matching targets, oldest first."""
        return self._site.requests(pattern)

    async def project_list(self, etag: str | None) -> OfferedList | None:
        response = await self._document("/simple/", etag)
        if response.status == 304:
            return None
        page = _read_json(f"{_IN_PROCESS.index}/simple/", response)
        projects = [ListedProject(item["name"], _serial_of(item)) for item in page["projects"]]
        return OfferedList(tuple(projects), _page_serial(page, response), response.headers.get("etag"))

    async def serial(self) -> int | None:
        response = await self._ask("HEAD", f"{_IN_PROCESS.index}/simple/", "/simple/", {})
        said = response.headers.get("x-pypi-last-serial") if response.status == 200 else None
        return None if said is None else int(said)

    async def project(
        self, name: NormalizedName, etag: str | None, *, fresh: bool = False
    ) -> OfferedProject | None:
        url = f"{_IN_PROCESS.index}/simple/{name}/"
        try:
            response = await self._document(f"/simple/{name}/", etag, fresh=fresh)
        except BadStatus as error:
            if error.status in {404, 410}:
                raise AbsentProject(name) from None
            raise
        if response.status == 304:
            return None
        page = _read_json(url, response)
        detail = _detail(name, page, _page_serial(page, response))
        # The header's serial is part of what the page says: kept in the body, so that `read` gives it again.
        page["meta"]["_last-serial"] = detail.serial
        return OfferedProject(detail, json.dumps(page).encode(), "json", url, response.headers.get("etag"))

    def read(self, name: NormalizedName, body: bytes, form: str, url: str) -> ProjectDetail:
        if form != "json":
            raise ValueError(f"this face gave no page of form {form!r}")
        page = _read_json(url, Response(200, {"content-type": JSON_TYPE}, body))
        return _detail(name, page, _serial_of(page["meta"]))

    async def legacy_document(self, name: NormalizedName) -> bytes | None:
        try:
            return (await self._document(f"/pypi/{name}/json", None)).body
        except BadStatus as error:
            if error.status == 404:
                return None
            raise

    async def provenance(self, url: str) -> bytes | None:
        try:
            return (await self._document(unquote(urlsplit(url).path), None)).body
        except BadStatus as error:
            if error.status == 404:
                return None
            raise

    def sources(self, url: str) -> Sequence[str]:
        if self._mirror is None:
            return (url,)
        return (self._mirror.rstrip("/") + urlsplit(url).path, url)

    @asynccontextmanager
    async def file(
        self, address: str, *, size: int | None, offset: int = 0, validator: str | None = None
    ) -> AsyncIterator[FileBody]:
        del size  # chooses a connection, and there is none
        kind, path = "file", unquote(urlsplit(address).path)
        if self._mirror is not None and address.startswith(self._mirror):
            kind, path = "mirror", unquote(address.removeprefix(self._mirror.rstrip("/")))
        headers = {}
        if offset and validator is not None:
            headers = {"range": f"bytes={offset}-", "if-range": validator}
        response = await self._ask("GET", address, path, headers, files=kind)
        if response.status == 416:
            response = await self._ask("GET", address, path, {}, files=kind)
        if response.status not in {200, 206}:
            raise _bad_status(address, response)
        start = 0
        if response.status == 206:
            start = int(response.headers["content-range"].removeprefix("bytes ").partition("-")[0])
            if start != offset:
                raise Unreachable(address, f"asked for bytes from {offset}, got from {start}")
        modified = response.headers.get("last-modified")
        yield FileBody(
            _chunks(address, response),
            start,
            response.headers.get("etag") or modified,
            None if modified is None else parsedate_to_datetime(modified).timestamp(),
            address,
        )

    async def aclose(self) -> None:
        """Nothing is open."""

    async def _document(self, path: str, etag: str | None, *, fresh: bool = False) -> Response:
        headers = {"accept": JSON_TYPE}
        if etag is not None:
            headers["if-none-match"] = etag
        if fresh:
            headers["cache-control"] = "no-cache"
        url = _IN_PROCESS.index + path
        response = await self._ask("GET", url, path, headers)
        if response.status not in {200, 304}:
            raise _bad_status(url, response)
        if response.cut is not None and response.cut < len(response.body):
            raise Unreachable(url, "the body ended early")
        return response

    async def _ask(
        self, method: str, url: str, path: str, headers: Mapping[str, str], *, files: str = "file"
    ) -> Response:
        await asyncio.sleep(0)  # a turn for everybody else, as a real request gives
        response = self._site.answer(method, path, headers, files=files)
        match response:
            case Reset():
                raise Unreachable(url, "connection reset")
            case Hang():
                await asyncio.Event().wait()
                raise AssertionError("unreachable")
        return response


@dataclass(frozen=True)
class Served:
    """A simulated index behind a real server. It answers each request as planned; clients may retry."""

    url: str
    """What a mirror has for `master`: no final slash, with the prefix."""
    ca_pem: Path | None
    """The certificate authority to trust, with TLS."""
    index: SimulatedIndex
    faults: Faults
    requests: Callable[..., list[Request]]
    """As `SimulatedUpstream.requests`."""
    httpd: httpd.Httpd


@contextmanager
def serve(
    index: SimulatedIndex, dialect: Dialect | str = "json", *, tls: bool = True, prefix: str = ""
) -> Iterator[Served]:
    """Serve an index over HTTP/1.1 on loopback until the block ends; all dialects of `support.index_pages`.

    Files lie on the same server, not under `prefix`.
    """

    async def handler(request: httpd.Request) -> httpd.Action:
        path = unquote(request.path)
        headers = {**request.headers, "accept": request.headers.get("accept", "*/*")}
        return _action(site.answer(request.method, path.removeprefix(prefix), headers))

    with httpd.serve(handler, tls=tls) as server:
        site = Site(index, dialect, Place(server.url + prefix, server.url))
        yield Served(server.url + prefix, server.ca_pem, index, site.faults, site.requests, server)


def _action(response: Response | Reset | Hang) -> httpd.Action:
    match response:
        case Reset():
            return httpd.Reset()
        case Hang():
            return httpd.Hang()
    cut = response.cut is not None and response.cut < len(response.body)
    return httpd.Response(
        response.status,
        {name.title(): value for name, value in response.headers.items()},
        response.body,
        ending=httpd.Cut(response.cut) if cut else None,
        piece=response.drip or 65536,
    )


async def _chunks(url: str, response: Response) -> AsyncIterator[bytes]:
    body = response.body if response.cut is None else response.body[: response.cut]
    piece = response.drip or 65536
    for start in range(0, len(body), piece):
        await asyncio.sleep(0)
        yield body[start : start + piece]
    if len(body) < len(response.body):
        raise Unreachable(url, "the body ended early")


def _bad_status(url: str, response: Response) -> BadStatus:
    wait = response.headers.get("retry-after")
    return BadStatus(url, response.status, None if wait is None else float(wait))


def _read_json(url: str, response: Response) -> dict[str, Any]:
    """Read a page of our own rendering; a second reader beside the program's, for the fake must not lean on it."""
    if response.headers.get("content-type") != JSON_TYPE:
        raise BadPage(url, "not a page of the Simple API")
    try:
        page = json.loads(response.body)
    except ValueError:
        raise BadPage(url, "not JSON") from None
    version = page["meta"]["api-version"]
    if not version.startswith("1."):
        raise UnsupportedVersion(url, version)
    return page


def _detail(name: NormalizedName, page: Mapping[str, Any], serial: int | None) -> ProjectDetail:
    status = page.get("project-status", {})
    return ProjectDetail(
        name,
        tuple(_file(entry) for entry in page["files"]),
        versions=tuple(page["versions"]) if "versions" in page else None,
        status=ProjectStatus(status["status"]) if status else None,
        status_reason=status.get("reason"),
        serial=serial,
        api_version=page["meta"]["api-version"],
    )


def _file(entry: Mapping[str, Any]) -> File:
    yanked, metadata = entry.get("yanked", False), entry.get("core-metadata")
    if isinstance(metadata, dict):
        metadata = Digest("sha256", metadata["sha256"])
    return File(
        entry["filename"],
        entry["url"],
        Digest("sha256", entry["hashes"]["sha256"]),
        size=entry.get("size"),
        requires_python=entry.get("requires-python") or None,
        upload_time=entry.get("upload-time"),
        yanked=None if yanked is False else "" if yanked is True else yanked,
        core_metadata=metadata,
        provenance=entry.get("provenance"),
    )


def _page_serial(page: Mapping[str, Any], response: Response) -> int | None:
    header = response.headers.get("x-pypi-last-serial")
    return _serial_of(page["meta"]) if header is None else int(header)


def _serial_of(entry: Mapping[str, Any]) -> int | None:
    said = entry.get("_last-serial")
    return None if said is None else int(said)


def _target(method: str, path: str, files: str) -> str:
    if path == "/simple/":
        return "serial" if method == "HEAD" else "list"
    segments = path.strip("/").split("/")
    match segments:
        case ["simple", name]:
            return f"page:{name}"
        case ["pypi", name, "json"]:
            return f"legacy:{name}"
        case ["integrity", _, _, filename, "provenance"]:
            return f"provenance:{filename}"
    return f"{files}:{segments[-1]}"


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _made(name: str, version: str, filename: str, metadata: bytes) -> bytes:
    if filename.endswith(".whl"):
        return make_wheel(name, version, metadata)
    if filename.endswith(".tar.gz"):
        return make_sdist(name, version, metadata)
    return f"filler for {filename}\n".encode() * 8


def _with_release(project: Project, release: Release) -> Project:
    return replace(project, releases={**project.releases, release.version: release})


def _map_files(project: Project, change: Any) -> Project:
    """Return the project with each file changed; None takes a file away."""
    releases = {
        version: replace(
            release, files=tuple(new for file in release.files if (new := change(file)) is not None)
        )
        for version, release in project.releases.items()
    }
    return replace(project, releases=releases)
