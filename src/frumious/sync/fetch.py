"""Bring one project's files here: what it takes to go from a job to something that can be published.

Files become visible only checked (the storage sees to it); nothing here touches a page that is in place.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from weakref import WeakValueDictionary

from frumious.catalog.base import DELETED, QUARANTINED, Check, Decline, HeldFile, Publication, Revision
from frumious.errors import (
    BadPage,
    BadStatus,
    CatalogError,
    FrumiousError,
    NoSpace,
    NoSuchObject,
    NotWritable,
    PathTaken,
    StorageError,
    Unreachable,
    UpstreamError,
)
from frumious.model import layout
from frumious.model.names import NormalizedName
from frumious.model.project import Digest, File, ProjectStatus
from frumious.pages import legacy_json
from frumious.storage.base import STAGING, Expected, Options, Partial, Stat, Stored
from frumious.sync.assess import (
    Assessment,
    Assessor,
    FilePlan,
    due_at,
    has_digest,
    metadata_place,
    source_of,
)
from frumious.sync.claims import Claims
from frumious.sync.events import BytesReceived, FileHeld, FilesPlanned, Notice
from frumious.sync.groups import at_once
from frumious.sync.options import SyncOptions
from frumious.sync.page import Rendered, build_page, render
from frumious.sync.plan import Job, serial_to_publish
from frumious.sync.ports import Ports
from frumious.sync.provenance import Provenances
from frumious.sync.text import human_bytes

TRIES_PER_ADDRESS = 5
RESUME_FROM = 1024 * 1024
"""Files below this size are not worth asking for a partial left by an earlier run."""
SOON = 3600
"""Seconds until a project is looked at again of which something was not to be had."""


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
    attempts: int = 0
    """How often it has failed in a row before."""


@dataclass(frozen=True, slots=True)
class Losing:
    """A project that would lose files, or its page: nothing was done, the guard decides."""

    job: Job
    files: int
    whole: bool
    """Whether its page would go, too."""


Outcome = Prepared | Check | Decline
"""What can be published."""


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

    def check_one(self, name: NormalizedName, plan: FilePlan) -> None:
        """Raise StorageError for a single file that could never fit: it, or what upstream says of it, is one project's."""
        largest = max((file.size or 0 for file in plan.missing), default=0)
        if self._free is not None and min(largest, plan.bytes) > self._free:
            raise StorageError(
                f"{name}: one file of {human_bytes(largest)} is to come, and {human_bytes(self._free)} are free",
                hint="free some space, or leave it out with a filter",
            )

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
        self._assessor = Assessor(ports, options, self._claims)
        self._provenances = Provenances(ports, options)
        self._numbers = itertools.count()
        self._alone: WeakValueDictionary[tuple[str | None, str | None], asyncio.Lock] = WeakValueDictionary()
        """Digests that are being downloaded: two at a time would go on from one partial."""

    async def look_at(self, job: Job) -> Outcome | Losing:
        """Return what to publish for a project, that it is as it was, or that it would lose what we have of it.

        Raises StaleProject, AbsentProject and every other FrumiousError that is this project's alone; NoSpace,
        NotWritable and CatalogError concern the whole run.
        """
        try:
            outcome = await self._look_at(job)
        except BaseException:
            self._claims.release(job.name)
            raise
        if not isinstance(outcome, Prepared):
            self._claims.release(job.name)
        return outcome

    def settled(self, publication: Publication) -> None:
        """Forget the claims of a project that is in the catalog now."""
        self._claims.release(publication.name)

    async def _look_at(self, job: Job) -> Outcome | Losing:
        declared = False
        try:
            found = await self._assessor.assess(job)
            if isinstance(found, Check):
                return found
            removes = self._options.removal.follow and not job.keeps
            if removes and not job.may_remove and found.loses:
                return Losing(job, found.loses, whole=not found.choice.project.keep)
            if not found.choice.project.keep and (removes or not found.is_out):
                return self._declined(found)
            self._budget.check_one(job.name, found.plan)
            self._budget.declare(found.plan.bytes)
            declared = True
            if found.plan.missing:
                self._ports.observe(FilesPlanned(job.name, len(found.plan.missing), found.plan.bytes))
                await self._budget.admit()
            held, incomplete = await self._hold(job, found.plan)
            incomplete |= bool(found.plan.left_out)
            if not job.replay:
                held, is_whole = await self._with_provenance(job.name, found.plan, held)
                incomplete |= not is_whole
        finally:
            if not declared:
                self._budget.declare(0)
        return await self._prepare(found, held, incomplete=incomplete)

    def _declined(self, found: Assessment) -> Decline:
        """Record a project that the filters drop for what it offers."""
        job, offered = found.job, found.offered
        due = due_at(self._ports, self._options, found.choice.until)
        return Decline(
            name=job.name,
            display=job.display,
            serial=found.serial,
            revision=Revision(offered.form, offered.url, offered.body),
            body_digest=found.body_digest,
            etag=offered.etag,
            due_at=due,
            reason=str(found.choice.project),
            until=_whole(found.choice.until),
            document=found.document,
        )

    async def _prepare(
        self, found: Assessment, held: dict[str, HeldFile], *, incomplete: bool
    ) -> Prepared | Check:
        job, row, rendering = found.job, found.job.row, self._options.rendering
        for problem in found.offered.detail.problems:
            self._ports.observe(Notice(f"{job.name}: {problem}"))
        legacy = await self._legacy_document(found)
        published, modified = row.published if row else None, row.page_modified if row else 0.0
        rendered = None
        if row is not None and published is not None:
            # The words that are out, under the serial that is out: has anything changed?
            rendered = render(build_page(found.detail, held, published, rendering), job.display, rendering)
            moved = row.serial is not None and found.serial != row.serial and not job.again
            if rendered.digest != row.page_digest or moved:
                rendered = None
            elif self._stays(found, held) and legacy is None and (job.judges or not job.again):
                return self._as_it_was(found, incomplete=incomplete)
        if rendered is None or published is None:
            published = serial_to_publish(found.serial, self._head, row)
            modified = max(
                int(self._ports.clock()), int(modified) + 1
            )  # nginx makes its ETag of whole seconds
            rendered = render(build_page(found.detail, held, published, rendering), job.display, rendering)
        # A document says upstream's serial, unless we publish another (conformance 92).
        serial = None if published == found.serial else published
        documents = (
            () if legacy is None or found.is_withdrawn else self._documents(job.name, legacy, held, serial)
        )
        # Ask again soon, and read whatever comes.
        soon = incomplete or (job.again and rendering.legacy_json)
        offered, body_digest = found.offered, found.body_digest
        if soon or body_digest is None:
            offered, body_digest = replace(offered, etag=None), None
        due: int | None = None
        if job.keeps and found.is_put_off:
            due = int(self._ports.clock())
        elif soon:
            due = int(self._ports.clock()) + SOON
        elif not job.again or found.choice.until is not None:
            due = due_at(self._ports, self._options, found.choice.until)
        publication = Publication(
            name=job.name,
            display=job.display,
            serial=found.serial,
            published=published,
            revision=Revision(offered.form, offered.url, offered.body),
            body_digest=body_digest,
            page_digest=rendered.digest,
            page_modified=modified,
            etag=offered.etag,
            due_at=due,
            listed=found.detail.status is not ProjectStatus.QUARANTINED,
            hold=[held[name] for name in held if found.plan.have.get(name) != held[name]],
            release=[name for name in found.plan.deleted if self._releases(found, name, held)],
            release_reason=QUARANTINED if found.is_withdrawn else DELETED,
            dropped=[name for name in found.plan.dropped if self._releases(found, name, held)],
            until=_whole(found.choice.until),
            document=found.document,
            is_owed=job.again and row is not None and row.attempts > 0,
        )
        sweeps = row is not None and row.published is not None and row.page_digest is None
        attempts = row.attempts if row is not None else 0
        return Prepared(publication, rendered, documents, len(found.detail.files), sweeps, attempts)

    def _releases(self, found: Assessment, name: str, held: dict[str, HeldFile]) -> bool:
        removes = self._options.removal.follow and not found.job.keeps
        return name not in held and (removes or found.is_withdrawn)

    def _stays(self, found: Assessment, held: Mapping[str, HeldFile]) -> bool:
        """Say whether the catalog has the files as they are; bytes that were read again are news to it."""
        row = found.job.row
        if found.is_bare and row is not None and row.body_digest != found.body_digest:
            return False  # the reason for the page is another: from now on it goes with the pins
        return not found.plan.lost and all(found.plan.have.get(name) == one for name, one in held.items())

    def _as_it_was(self, found: Assessment, *, incomplete: bool) -> Check:
        until, row = found.choice.until, found.job.row
        due: int | None = None
        if not found.job.again or until is not None:
            due = due_at(self._ports, self._options, until)
        is_owed = found.job.again and row is not None and row.attempts > 0
        if found.is_put_off:
            due = int(self._ports.clock()) if found.job.keeps else due
            return Check(
                found.job.name, found.serial, None, due, reread=True, until=_whole(until), is_owed=is_owed
            )
        if incomplete:
            # It was not to be had twice: asked for again when the project is, and not sooner.
            return Check(
                found.job.name, found.serial, None, due, reread=True, until=_whole(until), is_owed=is_owed
            )
        return Check(
            found.job.name,
            found.serial,
            found.offered.etag,
            due,
            until=_whole(until),
            # What was to be read whatever upstream says of it still is.
            body_digest=None if found.job.again else found.body_digest,
            is_owed=is_owed,
        )

    async def _legacy_document(self, found: Assessment) -> bytes | None:
        """Return upstream's legacy JSON, if it is to be stored."""
        document, job = found.document, found.job
        if not self._options.rendering.legacy_json or (job.again and document is None):
            return None
        return document if document is not None else await self._ports.upstream.legacy_document(job.name)

    def _documents(
        self, name: NormalizedName, body: bytes, held: Mapping[str, HeldFile], serial: int | None
    ) -> tuple[tuple[str, bytes], ...]:
        """Return the legacy JSON that is stored, by key."""
        rendering = self._options.rendering
        whole, public = layout.legacy_json_keys(name)
        canonical = legacy_json.canonical(body, serial)
        if rendering.base_url is None or not rendering.release_files:
            return (whole, canonical), (public, canonical)
        links = {filename: layout.href(one.key, root=rendering.base_url) for filename, one in held.items()}
        return (whole, canonical), (public, legacy_json.published(body, links, serial))

    # ---------------------------------------------------------------- files

    async def _hold(self, job: Job, plan: FilePlan) -> tuple[dict[str, HeldFile], bool]:
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

    async def _hold_file(self, name: NormalizedName, file: File, plan: FilePlan) -> tuple[HeldFile, bool]:
        """Return a file that is in place with its core metadata; False beside it where advertised metadata is absent."""
        source = source_of(file)
        before = plan.have.get(file.filename)
        if before is not None and before.source == source and before.verified:
            held = before
        else:
            key = plan.keys[file.filename]
            if before is not None and before.key == key and before.source != source:
                key = None  # other bytes under that address: the page that is out still means the old ones
            stored = None
            if key is not None:
                stored = await self._in_place(name, key, file, plan)
            if stored is None:
                stored = await self._download(name, key, file)
            held = HeldFile(file.filename, stored.key, stored.sha256, stored.size, source)
        held, whole = await self._hold_metadata(file, held, plan)
        return await self._with_digest(held), whole

    async def _with_digest(self, held: HeldFile) -> HeldFile:
        """Add the digest that HTML pages want, from the bytes that are here."""
        wanted = self._options.rendering.digest
        if has_digest(held, self._options):
            return held
        digest = hashlib.new(wanted, usedforsecurity=False)
        async for block in self._ports.storage.open(held.key):
            digest.update(block)
        return replace(held, digest=f"{wanted}={digest.hexdigest()}")

    async def _in_place(self, name: NormalizedName, key: str, file: File, plan: FilePlan) -> Stored | None:
        """Return what stands under this key already, if it is this file.

        Raises PathTaken if another project holds or fetches something else there.
        """
        taken = plan.taken.get(key)
        if taken is not None and file.digest == Digest("sha256", taken[0]):
            return Stored(key, taken[1], taken[0])
        stored = None if key in plan.refused else await self._adopt(name, key, file)
        if stored is None and taken is None and key not in plan.refused:
            stored = await self._from_trash(key, file)
            if stored is not None:
                self._ports.observe(FileHeld(name, file.filename, stored.size, downloaded=False))
        if stored is None and (taken is not None or key in plan.refused):
            raise PathTaken(f"{file.filename}: {key} is already held with other content")
        return stored

    async def _adopt(self, name: NormalizedName, key: str, file: File) -> Stored | None:
        """Take over bytes that already stand in place, after their size and digest match."""
        stored = await self._same(key, file)
        if stored is not None:
            await self._date(key, file)
            self._ports.observe(FileHeld(name, file.filename, stored.size, downloaded=False))
        return stored

    async def _date(self, key: str, file: File) -> None:
        """Give what stands in place the time of its upload, for programs that trust size and time."""
        uploaded = _instant(file.upload_time)
        (stat,) = await self._ports.storage.stat([key])
        if uploaded is not None and stat is not None and abs(stat.modified - uploaded) >= 1:
            await self._ports.storage.date([(key, uploaded)])

    async def _same(self, key: str, file: File) -> Stored | None:
        """Return what stands under a key, if its size and digest are those of the file."""
        expected = _expected(file.digest, file.size)
        if expected.hexdigest is None:
            return None
        (found,) = await self._ports.storage.stat([key])
        if found is None or file.size not in {None, found.size}:
            return None
        if self._trusts(file, found):
            return Stored(key, found.size, expected.hexdigest)
        theirs = sha256 = hashlib.sha256()
        if expected.algorithm != "sha256":
            theirs = hashlib.new(expected.algorithm or "sha256", usedforsecurity=False)
        async for block in self._ports.storage.open(key):
            sha256.update(block)
            if theirs is not sha256:
                theirs.update(block)
        return (
            Stored(key, found.size, sha256.hexdigest()) if theirs.hexdigest() == expected.hexdigest else None
        )

    def _trusts(self, file: File, found: Stat) -> bool:
        """Say whether size and time are enough to take what stands there for the file (`compare-method = stat`)."""
        uploaded = _instant(file.upload_time)
        return (
            self._options.trust_stat
            and file.digest is not None
            and file.digest.algorithm == "sha256"
            and file.size == found.size
            and uploaded is not None
            and abs(found.modified - uploaded) < 1
        )

    async def _from_trash(self, key: str, file: File) -> Stored | None:
        """Bring back what was removed and is wanted again, if it is this very file."""
        trashed = (await self._ports.catalog.in_trash([key])).get(key)
        if trashed is None or file.digest != Digest("sha256", trashed.sha256):
            return None
        try:
            await self._ports.storage.copy([(trashed.place, key)])
        except NoSuchObject:
            return None
        stored = await self._same(key, file)
        if stored is not None:
            await self._date(key, file)
        return stored

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

    async def _hold_metadata(self, file: File, held: HeldFile, plan: FilePlan) -> tuple[HeldFile, bool]:
        """Bring a file's core metadata (PEP 658) where upstream advertises it.

        Upstream's 404 for it is no failure of the project: installers do without. But it is not advertised then, and
        the project is asked for again soon.
        """
        without = replace(held, metadata=None, metadata_size=0)
        key = metadata_place(file, held.key, self._options)
        if key is None:
            return without, True
        digest = file.core_metadata if isinstance(file.core_metadata, Digest) else None
        shared = plan.taken.get(key)
        if shared is not None and digest in {None, Digest("sha256", shared[0])}:
            digest = Digest("sha256", shared[0])  # whoever advertises it must stay right
        elif shared is not None or key in plan.refused:
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

        there = await self._same(key, sidecar) or await self._from_trash(key, sidecar)
        if there is not None:
            return replace(held, metadata=there.sha256, metadata_size=there.size), True

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

    async def _with_provenance(
        self, name: NormalizedName, plan: FilePlan, held: dict[str, HeldFile]
    ) -> tuple[dict[str, HeldFile], bool]:
        """Bring the provenance that the page names; False beside it where some of it was not to be had."""
        unread = [filename for filename, one in plan.have.items() if not one.verified]
        own = {one.key + layout.PROVENANCE_SUFFIX for one in plan.have.values() if one.provenance is not None}
        refused = plan.refused | (plan.taken.keys() - own)
        found = await self._provenances.complete(name, plan.files, held, unread, refused)
        return found.files, found.is_whole

    async def _counted(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            self._ports.observe(BytesReceived(len(chunk)))
            yield chunk


def _expected(digest: Digest | None, size: int | None) -> Expected:
    return Expected(digest.algorithm, digest.hex, size) if digest is not None else Expected(size=size)


def _whole(instant: float | None) -> int | None:
    return None if instant is None else int(instant) + 1


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
