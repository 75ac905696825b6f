"""Bring one project's page and files here: what it takes to go from a job to something that can be published.

Files become visible only checked (the storage sees to it); nothing here touches a page that is in place.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from weakref import WeakValueDictionary

from frumious.catalog.base import Catalog, Check, HeldFile, Publication, Revision
from frumious.errors import (
    BadPage,
    BadStatus,
    CatalogError,
    FrumiousError,
    NoSpace,
    NotWritable,
    PathTaken,
    StaleProject,
    Unreachable,
    UpstreamError,
)
from frumious.model import layout
from frumious.model.names import NormalizedName
from frumious.model.project import Digest, File, ProjectDetail, ProjectStatus
from frumious.pages import legacy_json
from frumious.storage.base import STAGING, Expected, Options, Partial, Storage, Stored
from frumious.sync.events import BytesReceived, FileHeld, FilesPlanned, Notice, Observer
from frumious.sync.groups import at_once
from frumious.sync.options import SyncOptions
from frumious.sync.page import Rendered, build_page, render
from frumious.sync.plan import Job, is_stuck, serial_to_publish
from frumious.sync.text import human_bytes
from frumious.upstream.base import OfferedProject, Upstream

TRIES_PER_ADDRESS = 5
RESUME_FROM = 1024 * 1024
"""Files below this size are not worth asking for a partial left by an earlier run."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything a run acts on, and time."""

    upstream: Upstream
    storage: Storage
    catalog: Catalog
    observe: Observer
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    chance: Callable[[], float]
    """A number from 0 up to 1."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A project whose files are in place and whose pages are rendered: ready to be published."""

    publication: Publication
    rendered: Rendered
    documents: tuple[tuple[str, bytes], ...] = ()
    """Legacy JSON, by key."""
    files: int = 0
    """How many files the page lists."""
    sweeps: bool = False
    """Nobody knows what lies at the places where this project's pages could be: whatever does not belong there goes."""


class _BrokenOff(Exception):
    """A body that ended before its end: worth another try at the same address."""

    def __init__(self, error: UpstreamError) -> None:
        super().__init__(str(error))
        self.error = error


class SpaceBudget:
    """Free space against planned bytes, before the first byte of them (`min-free`).

    With `known_first` projects still to be looked at, everybody waits until all have said how much they need, so
    that a run which cannot fit ends before it downloads anything.
    """

    def __init__(self, free: int | None, min_free: int, *, known_first: int = 0) -> None:
        self._free, self._min_free = free, min_free
        self._needed = 0
        self._undeclared = known_first
        self._all_known = asyncio.Event()
        if not known_first:
            self._all_known.set()

    def declare(self, size: int) -> None:
        """Say how many bytes one project needs."""
        self._needed += size
        self._undeclared -= 1
        if self._undeclared <= 0:
            self._all_known.set()

    async def admit(self) -> None:
        """Return when downloading may begin; raises NoSpace if what is planned does not fit."""
        await self._all_known.wait()
        if self._free is not None and self._needed and self._free - self._needed < self._min_free:
            raise NoSpace(
                f"{human_bytes(self._needed)} are planned, {human_bytes(self._free)} are free and"
                f" {human_bytes(self._min_free)} must stay free (min-free)",
                hint="free some space, or mirror less; nothing that was complete is lost",
            )


class Fetcher:
    """Looks at one project at a time; many calls run at once."""

    def __init__(self, ports: Ports, options: SyncOptions, head: int, budget: SpaceBudget) -> None:
        self._ports, self._options, self._head, self._budget = ports, options, head, budget
        self._claims = Claims()
        self._numbers = itertools.count()
        self._alone: WeakValueDictionary[tuple[str | None, str | None], asyncio.Lock] = WeakValueDictionary()
        """Digests that are being downloaded: two at a time would go on from one partial."""

    async def look_at(self, job: Job) -> Prepared | Check:
        """Return what to publish for a project, or that it is as it was.

        Raises StaleProject, AbsentProject and every other FrumiousError that is this project's alone; NoSpace,
        NotWritable and CatalogError concern the whole run.
        """
        try:
            outcome = await self._look_at(job)
        except BaseException:
            self._claims.release(job.name)
            raise
        if isinstance(outcome, Check):
            self._claims.release(job.name)
        return outcome

    def settled(self, publication: Publication) -> None:
        """Forget the claims of a project that is in the catalog now."""
        self._claims.release(publication.name)

    async def _look_at(self, job: Job) -> Prepared | Check:
        declared = False
        try:
            offered = await self._page(job)
            if offered is None:
                return self._unchanged(job, job.row.etag if job.row else None)
            body_digest = hashlib.sha256(offered.body).digest()
            if job.row is not None and not job.again and self._is_same(job, offered, body_digest):
                return self._unchanged(job, offered.etag)
            plan = await self._plan_files(job, offered.detail)
            self._budget.declare(plan.bytes)
            declared = True
            if plan.missing:
                self._ports.observe(FilesPlanned(job.name, len(plan.missing), plan.bytes))
                await self._budget.admit()
            held, incomplete = await self._hold(job, plan)
            incomplete |= bool(plan.left_out)
        finally:
            if not declared:
                self._budget.declare(0)
        return await self._prepare(job, offered, body_digest, plan, held, incomplete=incomplete)

    # ----------------------------------------------------------------- page

    async def _page(self, job: Job) -> OfferedProject | None:
        """Return the page, None if it has not changed; raises StaleProject if it is older than the list says."""
        row = job.row
        upstream = self._ports.upstream
        if job.again:
            revision = await self._ports.catalog.revision(job.name)
            if revision is not None:
                detail = upstream.read(job.name, revision.body, revision.form, revision.url)
                return OfferedProject(
                    detail=detail,
                    body=revision.body,
                    form=revision.form,
                    url=revision.url,
                    etag=row.etag if row else None,
                )
        published = row is not None and row.published is not None and row.body_digest is not None
        etag = row.etag if row is not None and published else None
        offered = await upstream.project(job.name, etag, fresh=job.tries > 0)
        known = row.serial if row is not None else None
        got = known if offered is None else offered.detail.serial
        least = max(job.wanted or 0, known or 0)
        if got is None or got >= least:
            return offered
        if is_stuck(row, got, self._ports.clock()):
            self._ports.observe(
                Notice(f"{job.name}: upstream has given serial {got} instead of {least} for a day; accepted")
            )
            return offered
        raise StaleProject(job.name, asked=least, got=got)

    def _is_same(self, job: Job, offered: OfferedProject, body_digest: bytes) -> bool:
        row = job.row
        return (
            row is not None
            and row.published is not None
            and row.body_digest == body_digest
            and row.serial == _serial(job, offered.detail)
        )

    def _unchanged(self, job: Job, etag: str | None) -> Check:
        serial = job.row.serial if job.row else None
        return Check(job.name, serial, etag, self._due())

    def _due_after(self, job: Job, *, whole: bool) -> int | None:
        if not whole:
            return int(self._ports.clock()) + 3600
        return None if job.again else self._due()

    def _due(self) -> int:
        # Jitter spreads the re-checks of a first run that published everything in one hour.
        return int(self._ports.clock() + self._options.recheck_seconds * (0.75 + 0.5 * self._ports.chance()))

    async def _prepare(
        self,
        job: Job,
        offered: OfferedProject,
        body_digest: bytes,
        plan: _FilePlan,
        held: dict[str, HeldFile],
        *,
        incomplete: bool,
    ) -> Prepared | Check:
        detail, row, rendering = offered.detail, job.row, self._options.rendering
        serial = _serial(job, detail)
        for problem in detail.problems:
            self._ports.observe(Notice(f"{job.name}: {problem}"))
        documents: tuple[tuple[str, bytes], ...] = ()
        if rendering.legacy_json and not job.again:
            document = await self._ports.upstream.legacy_document(job.name)
            if document is not None:
                canonical = legacy_json.canonical(document)
                documents = tuple((key, canonical) for key in layout.legacy_json_keys(job.name))
        published, modified = row.published if row else None, row.page_modified if row else 0
        rendered = None
        if row is not None and published is not None:
            # The words that are out, under the serial that is out: has anything changed?
            rendered = render(build_page(detail, held, published, rendering), job.display, rendering)
            if rendered.digest != row.page_digest or (serial != row.serial and not job.again):
                rendered = None
            elif not job.again and not documents:
                return self._unchanged(job, offered.etag)
        if rendered is None or published is None:
            published = serial_to_publish(serial, self._head, row)
            modified = max(int(self._ports.clock()), modified + 1)  # nginx makes its ETag of whole seconds
            rendered = render(build_page(detail, held, published, rendering), job.display, rendering)
        if incomplete or (job.again and rendering.legacy_json):  # ask again soon, and read whatever comes
            offered, body_digest = replace(offered, etag=None), b""
        return self._prepared(job, offered, body_digest, plan, held, rendered, published, modified, documents)

    def _prepared(
        self,
        job: Job,
        offered: OfferedProject,
        body_digest: bytes,
        plan: _FilePlan,
        held: dict[str, HeldFile],
        rendered: Rendered,
        published: int,
        modified: int,
        documents: tuple[tuple[str, bytes], ...],
    ) -> Prepared:
        detail = offered.detail
        publication = Publication(
            name=job.name,
            display=job.display,
            serial=_serial(job, detail),
            published=published,
            revision=Revision(offered.form, offered.url, offered.body),
            body_digest=body_digest or None,
            page_digest=rendered.digest,
            page_modified=modified,
            etag=offered.etag,
            due_at=self._due_after(job, whole=bool(body_digest)),
            listed=detail.status is not ProjectStatus.QUARANTINED,
            hold=[held[name] for name in held if plan.have.get(name) != held[name]],
            release=[name for name in plan.have if name not in held],
        )
        sweeps = job.row is not None and job.row.published is not None and job.row.page_digest is None
        return Prepared(publication, rendered, documents, len(detail.files), sweeps)

    # ---------------------------------------------------------------- files

    async def _plan_files(self, job: Job, detail: ProjectDetail) -> _FilePlan:
        if not self._options.rendering.release_files or detail.status is ProjectStatus.QUARANTINED:
            return _FilePlan((), {}, {}, {})
        keys = {file.filename: layout.file_key(file.url, file.filename) for file in detail.files}
        wanted = {key: source_of(f) for f in detail.files if (key := keys[f.filename]) is not None}
        for file in detail.files:
            beside = self._metadata_key(file, keys[file.filename])
            if beside is not None:
                wanted.setdefault(beside, str(file.core_metadata))
        refused = self._claims.claim(job.name, wanted)
        have, taken = await self._ports.catalog.held(job.name, wanted)
        missing = tuple(f for f in detail.files if not self._is_held(f, have.get(f.filename)))
        if job.replay:
            return _FilePlan(detail.files, keys, have, taken, left_out=missing)
        size = await self._bytes(missing, keys, have)
        return _FilePlan(detail.files, keys, have, taken, missing, bytes=size, refused=refused)

    def _metadata_key(self, file: File, key: str | None) -> str | None:
        """Return where a file's core metadata belongs; None where there is none to be had, or no place for it."""
        if not self._options.rendering.core_metadata or not file.core_metadata or key is None:
            return None
        return layout.metadata_key(key)

    async def _bytes(
        self, missing: Sequence[File], keys: Mapping[str, str | None], have: Mapping[str, HeldFile]
    ) -> int:
        """Return how many bytes must come; what seems to stand in place takes no more space."""
        places = {
            f.filename: have[f.filename].key if f.filename in have else keys[f.filename] for f in missing
        }
        found = await self._ports.storage.stat([place for place in places.values() if place is not None])
        sizes = {stat.key: stat.size for stat in found if stat is not None}
        return sum(f.size or 0 for f in missing if sizes.get(places[f.filename] or "") != f.size)

    def _is_held(self, file: File, held: HeldFile | None) -> bool:
        if held is None or held.source != source_of(file):
            return False
        wanted = file.core_metadata if self._options.rendering.core_metadata else None
        if not wanted or layout.metadata_key(held.key) is None:
            return True
        return held.metadata is not None and (
            wanted is True or wanted.hex == held.metadata or wanted.algorithm != "sha256"
        )

    async def _hold(self, job: Job, plan: _FilePlan) -> tuple[dict[str, HeldFile], bool]:
        """Bring what is missing; every file is tried before the first failure rises."""
        held = {f.filename: plan.have[f.filename] for f in plan.files if f.filename in plan.have}
        failures: list[FrumiousError] = []
        incomplete = False
        pending = iter(plan.missing)

        async def work() -> None:
            nonlocal incomplete
            for file in pending:
                try:
                    held[file.filename], whole = await self._hold_file(job.name, file, plan)
                except (NoSpace, NotWritable, CatalogError):
                    raise  # ours, and everybody's
                except FrumiousError as error:
                    failures.append(error)
                else:
                    incomplete |= not whole

        if plan.missing:
            await at_once(work, min(len(plan.missing), self._options.streams))
        if failures:
            raise failures[0]
        # In upstream's order, so that equal input gives equal rows.
        return {f.filename: held[f.filename] for f in plan.files if f.filename in held}, incomplete

    async def _hold_file(self, name: NormalizedName, file: File, plan: _FilePlan) -> tuple[HeldFile, bool]:
        """Return a file that is in place with its core metadata; False beside it where advertised metadata is absent."""
        source = source_of(file)
        before = plan.have.get(file.filename)
        if before is not None and before.source == source:
            held = before
        else:
            key = plan.keys[file.filename]
            if key is not None and before is not None and before.key == key:
                key = (
                    None  # other bytes under the same address: the page that is out still means the old ones
                )
            stored = None
            if key is not None:
                stored = await self._in_place(name, key, file, plan)
            if stored is None:
                stored = await self._download(name, key, file)
            held = HeldFile(file.filename, stored.key, stored.sha256, stored.size, source)
        return await self._hold_metadata(file, held, plan)

    async def _in_place(self, name: NormalizedName, key: str, file: File, plan: _FilePlan) -> Stored | None:
        """Return what stands under this key already, if it is this file.

        Raises PathTaken if another project holds or fetches something else there.
        """
        taken = plan.taken.get(key)
        if taken is not None and file.digest == Digest("sha256", taken[0]):
            return Stored(key, taken[1], taken[0])
        stored = None if key in plan.refused else await self._adopt(name, key, file)
        if stored is None and (taken is not None or key in plan.refused):
            raise PathTaken(f"{file.filename}: {key} is already held with other content")
        return stored

    async def _adopt(self, name: NormalizedName, key: str, file: File) -> Stored | None:
        """Take over bytes that already stand in place, after their size and digest match."""
        expected = _expected(file.digest, file.size)
        if expected.hexdigest is None:
            return None
        (found,) = await self._ports.storage.stat([key])
        if found is None or file.size not in {None, found.size}:
            return None
        theirs = sha256 = hashlib.sha256()
        if expected.algorithm != "sha256":
            theirs = hashlib.new(expected.algorithm or "sha256", usedforsecurity=False)
        async for block in self._ports.storage.open(key):
            sha256.update(block)
            if theirs is not sha256:
                theirs.update(block)
        if theirs.hexdigest() != expected.hexdigest:
            return None
        self._ports.observe(FileHeld(name, file.filename, found.size, downloaded=False))
        return Stored(key, found.size, sha256.hexdigest())

    async def _download(self, name: NormalizedName, key: str | None, file: File) -> Stored:
        expected = _expected(file.digest, file.size)
        resumable = True

        async def once(address: str, attempt: int) -> Stored:
            if expected.hexdigest is None:
                return await alone(address, attempt)
            async with self._alone.setdefault((expected.algorithm, expected.hexdigest), asyncio.Lock()):
                return await alone(address, attempt)

        async def alone(address: str, attempt: int) -> Stored:
            nonlocal resumable
            if key is None:
                return await self._put_by_content(address, file, expected)
            partial = None
            if resumable and expected.hexdigest and (attempt or (file.size or 0) >= RESUME_FROM):
                partial = await self._usable_partial(expected)
            try:
                return await self._put(address, key, file, expected, partial)
            except UpstreamError as error:
                if partial is None:
                    raise
                resumable = False  # the rest could not be had; perhaps the whole can
                raise _BrokenOff(error) from error

        stored = await self._from_sources(file.url, once)
        self._ports.observe(FileHeld(name, file.filename, stored.size, downloaded=True))
        return stored

    async def _from_sources(self, url: str, once: Callable[[str, int], Awaitable[Stored]]) -> Stored:
        """Try every address that has a file, in order; the last failure rises.

        A body that breaks off is asked for again, from where it broke off if that is safe. All other failures move
        on to the next address at once: the client below has retried what a retry may help.
        """
        failure: UpstreamError = BadPage(url, "no address to fetch it from")
        for address in self._ports.upstream.sources(url):
            for attempt in range(TRIES_PER_ADDRESS):
                try:
                    return await once(address, attempt)
                except _BrokenOff as broken:
                    failure = broken.error
                    if attempt + 1 < TRIES_PER_ADDRESS:
                        await self._ports.sleep(0.5 * 2**attempt)
                except UpstreamError as error:
                    failure = error
                    break
        raise failure

    async def _usable_partial(self, expected: Expected) -> Partial | None:
        partial = await self._ports.storage.partial(expected)
        if partial is not None and partial.validator is None:
            await self._ports.storage.discard_partial(expected)  # nothing says that the rest would fit
            return None
        return partial

    async def _put(
        self, address: str, key: str, file: File, expected: Expected, partial: Partial | None = None
    ) -> Stored:
        """Download one address to its key, going on from a partial if there is one."""
        storage = self._ports.storage
        async with self._ports.upstream.file(
            address,
            size=file.size,
            offset=partial.size if partial else 0,
            validator=partial.validator if partial else None,
        ) as body:
            if partial is not None and not body.offset:
                await storage.discard_partial(expected)
            options = Options(modified=_instant(file.upload_time) or body.modified)
            try:
                return await storage.put(
                    key,
                    self._counted(body.chunks),
                    expected,
                    options,
                    offset=body.offset,
                    validator=body.validator,
                )
            except Unreachable as error:
                raise _BrokenOff(error) from error

    async def _put_by_content(self, address: str, file: File, expected: Expected) -> Stored:
        """Download to a key made of the bytes themselves, where upstream's path cannot be ours."""
        content = hashlib.blake2b(digest_size=32)
        staged = f"{STAGING}c{next(self._numbers)}"
        async with self._ports.upstream.file(address, size=file.size) as body:
            options = Options(modified=_instant(file.upload_time) or body.modified)
            try:
                chunks = _through(self._counted(body.chunks), content.update)
                stored = await self._ports.storage.put(staged, chunks, expected, options)
            except Unreachable as error:
                raise _BrokenOff(error) from error
        final = layout.content_key(content.hexdigest(), file.filename)
        await self._ports.storage.move([(staged, final)])
        return Stored(final, stored.size, stored.sha256)

    async def _hold_metadata(self, file: File, held: HeldFile, plan: _FilePlan) -> tuple[HeldFile, bool]:
        """Bring a file's core metadata (PEP 658) where upstream advertises it.

        Upstream's 404 for it is no failure of the project: installers do without. But it is not advertised then, and
        the project is asked for again soon.
        """
        without = replace(held, metadata=None, metadata_size=0)
        key = self._metadata_key(file, held.key)
        if key is None:
            return without, True
        digest = file.core_metadata if isinstance(file.core_metadata, Digest) else None
        if key in plan.taken:
            # Whoever advertises it must stay right: it is shared if it is the same, never replaced.
            sha256, size = plan.taken[key]
            if digest in {None, Digest("sha256", sha256)}:
                return replace(held, metadata=sha256, metadata_size=size), True
        if key in plan.taken or key in plan.refused:
            self._ports.observe(
                Notice(f"{file.filename}: its core metadata is not what was published; not advertised")
            )
            return without, False
        sidecar = File(
            filename=file.filename + layout.METADATA_SUFFIX,
            url=file.url + layout.METADATA_SUFFIX,
            digest=digest,
            upload_time=file.upload_time,
        )

        async def once(address: str, _: int) -> Stored:
            return await self._put(address, key, sidecar, _expected(digest, None))

        try:
            stored = await self._from_sources(sidecar.url, once)
        except BadStatus as error:
            if error.status not in {403, 404, 410}:
                raise
            self._ports.observe(
                Notice(f"{file.filename}: upstream advertises core metadata that it does not have")
            )
            return without, False
        return replace(held, metadata=stored.sha256, metadata_size=stored.size), True

    async def _counted(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            self._ports.observe(BytesReceived(len(chunk)))
            yield chunk


@dataclass(frozen=True, slots=True)
class _FilePlan:
    """What a page lists, where it belongs, what we have of it, what others have, and what must come."""

    files: Sequence[File]
    keys: dict[str, str | None]
    have: dict[str, HeldFile]
    taken: dict[str, tuple[str, int]]
    missing: tuple[File, ...] = ()
    bytes: int = 0
    """What `missing` adds to the disk, as far as upstream says."""
    refused: frozenset[str] = frozenset()
    """Keys that another project is filling with something else."""
    left_out: tuple[File, ...] = ()
    """What must come, but not now."""


class Claims:
    """Keys being filled in this run and not yet in the catalog, with what.

    Claim first, ask the catalog then: of two projects that want one key with different content, the later one finds
    the earlier one in one of the two places.
    """

    def __init__(self) -> None:
        self._sources: dict[str, tuple[str, int]] = {}
        """What fills a key, and for how many projects."""
        self._own: dict[NormalizedName, list[str]] = {}

    def claim(self, name: NormalizedName, wanted: Mapping[str, str]) -> frozenset[str]:
        """Claim keys for a project, in place of what it claimed before; return those that others fill otherwise."""
        self.release(name)
        refused = set()
        own = self._own[name] = []
        for key, source in wanted.items():
            present, count = self._sources.get(key, (source, 0))
            if present != source:
                refused.add(key)
                continue
            self._sources[key] = (source, count + 1)
            own.append(key)
        return frozenset(refused)

    def release(self, name: NormalizedName) -> None:
        """Give back what a project claimed."""
        for key in self._own.pop(name, ()):
            source, count = self._sources.pop(key)
            if count > 1:
                self._sources[key] = (source, count - 1)


def _serial(job: Job, detail: ProjectDetail) -> int | None:
    """Return upstream's serial of a page: what the page says, else what the list said, else what we know."""
    if detail.serial is not None:
        return detail.serial
    if job.wanted is not None:
        return job.wanted
    return job.row.serial if job.row is not None else None


def source_of(file: File) -> str:
    """Return by what upstream identifies the bytes: its digest, else the address."""
    return str(file.digest) if file.digest is not None else f"url {file.url}"


def _expected(digest: Digest | None, size: int | None) -> Expected:
    return Expected(digest.algorithm, digest.hex, size) if digest is not None else Expected(size=size)


def _instant(upload_time: str | None) -> float | None:
    if upload_time is None:
        return None
    try:
        return datetime.fromisoformat(upload_time).timestamp()
    except (ValueError, OverflowError):
        return None


async def _through(chunks: AsyncIterator[bytes], see: Callable[[bytes], object]) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        see(chunk)
        yield chunk
