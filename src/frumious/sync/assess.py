"""What upstream offers of a project, what the filters choose of it, what is here and what must come.

Nothing here changes anything: a run goes on from an `Assessment` to the first byte, `frumious plan` stops at it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from frumious.catalog.base import Check, HeldFile
from frumious.errors import AbsentProject, BadPage, StaleProject
from frumious.filters.offer import Document, Offer
from frumious.filters.rules import EVERYTHING, KEEP, Choice
from frumious.model import layout
from frumious.model.names import NormalizedName
from frumious.model.project import File, ProjectDetail, ProjectStatus
from frumious.pages.simple_json import encode_project_detail
from frumious.sync.claims import Claims
from frumious.sync.events import Notice
from frumious.sync.options import SyncOptions
from frumious.sync.pins import Pins, keeping, read_entry, with_pins, without_files
from frumious.sync.plan import Job, is_gone, is_stuck
from frumious.sync.ports import Ports
from frumious.sync.provenance import Provenances
from frumious.upstream.base import OfferedProject


@dataclass(frozen=True, slots=True)
class FilePlan:
    """What a page is to list, where it belongs, what we have of it, what others have, and what must come."""

    files: Sequence[File]
    keys: Mapping[str, str | None]
    have: Mapping[str, HeldFile]
    taken: Mapping[str, tuple[str, int]]
    missing: tuple[File, ...] = ()
    bytes: int = 0
    """What `missing` adds to the disk, as far as upstream says."""
    fetch: int = 0
    """How many of `missing` do not seem to be in place already."""
    refused: frozenset[str] = frozenset()
    """Keys that another project is filling with something else."""
    left_out: tuple[File, ...] = ()
    """What must come, but not now."""
    deleted: tuple[str, ...] = ()
    """Files we hold that upstream no longer lists."""
    dropped: tuple[str, ...] = ()
    """Files we hold that a filter drops."""

    @property
    def lost(self) -> int:
        """How many files of ours would go."""
        return len(self.deleted) + len(self.dropped)


@dataclass(frozen=True, slots=True)
class Assessment:
    """Everything that is known of a project before the first byte of its files."""

    job: Job
    offered: OfferedProject
    """What upstream says, and what removal has been put off of."""
    body_digest: bytes | None
    """sha256 of upstream's page; None: the next answer is to be read, whatever it says."""
    choice: Choice
    detail: ProjectDetail
    """What is selected of it, and what is pinned."""
    plan: FilePlan
    document: bytes | None = None
    """Upstream's legacy JSON, if it was asked for."""
    is_bare: bool = False
    """Upstream offers nothing that is wanted: pins are all there is."""

    @property
    def serial(self) -> int | None:
        """Upstream's serial of the page: what the page says, else what the list said, else what we know.

        None where upstream's page was not looked at: whatever it is, it is news once somebody wants it.
        """
        return None if self.job.pins_only else _serial(self.job, self.offered.detail)

    @property
    def is_withdrawn(self) -> bool:
        """Whether upstream has quarantined it: everything goes at once, whatever the settings say."""
        return self.offered.detail.status is ProjectStatus.QUARANTINED

    @property
    def is_out(self) -> bool:
        """Whether it has a page of ours."""
        return self.job.row is not None and self.job.row.published is not None

    @property
    def is_put_off(self) -> bool:
        """Whether it goes on showing what should have gone."""
        return self.body_digest is None

    @property
    def loses(self) -> int:
        """How many files would be removed, if that is for the guard to decide; a project alone counts as one."""
        if self.is_withdrawn:
            return 0
        if not self.choice.project.keep:
            return max(1, len(self.plan.have)) if self.is_out else 0
        return self.plan.lost


class Assessor:
    """Looks at one project at a time, and changes nothing; many calls run at once."""

    def __init__(self, ports: Ports, options: SyncOptions, claims: Claims) -> None:
        self._ports, self._options, self._claims = ports, options, claims
        self._provenances = Provenances(ports, options)
        self._told_of_documents = False
        self._pinned: frozenset[NormalizedName] | None = None
        """Projects with pins; nobody else changes them while the run holds the lock."""

    async def assess(self, job: Job) -> Assessment | Check:
        """Return what is to be done for a project, or that it is as it was.

        Raises StaleProject, AbsentProject and every other FrumiousError that is this project's alone.
        """
        pins = await self._pins(job.name)
        offered, is_bare = await self._offered(job, pins)
        is_turned = self._is_turned(job)
        if offered is None and (is_turned or await self._provenances.are_old(job.name)):
            offered = await self._stored(job)
            is_turned = True
        if offered is None:
            return self._unchanged(job, job.row.etag if job.row else None)
        body_digest = hashlib.sha256(offered.body).digest()
        is_same = not job.again and not is_turned and self._is_same(job, offered, body_digest)
        if is_same and not await self._provenances.are_old(job.name):
            return self._unchanged(job, offered.etag)
        choice, document = await self._choose(job, offered)
        choice, whole = keeping(choice, offered.detail, pins), with_pins(offered.detail, pins)
        put_off = job.keeps or not self._options.removal.follow
        effective = choice
        if put_off and not choice.project.keep and job.row is not None and job.row.published is not None:
            effective = await self._nothing_new(job, offered.detail, choice)
        detail = selected(whole, effective)
        plan = await self._plan_files(job, whole, detail, effective)
        if put_off and plan.lost and offered.detail.status is not ProjectStatus.QUARANTINED:
            offered, detail, plan = await self._with_lost(job, offered, detail, plan)
        # What removal was put off of is read again, whatever upstream says of it then.
        settled = None if put_off and (plan.lost or not choice.project.keep) else body_digest
        return Assessment(job, offered, settled, choice, detail, plan, document, is_bare)

    # ----------------------------------------------------------------- pins

    async def _pins(self, name: NormalizedName) -> Pins:
        if self._pinned is None:
            self._pinned = frozenset(await self._ports.catalog.pinned())
        # Without release files there are only links to upstream, which says best what it has.
        if name not in self._pinned or not self._options.rendering.release_files:
            return {}
        return {pin.filename: read_entry(pin.entry) for pin in await self._ports.catalog.pins(name)}

    async def _offered(self, job: Job, pins: Pins) -> tuple[OfferedProject | None, bool]:
        """Return the page as `_page` does, or an empty one (True beside it) where upstream has none and pins stay."""
        if job.pins_only:
            return await self._nothing(job), True
        try:
            return await self._page(job), False
        except AbsentProject:
            if not pins:
                raise
            if not is_gone(job) and job.wanted is not None:
                raise  # upstream's list names it: its page may come
            held, _ = await self._ports.catalog.held(job.name, ())
            if not held.keys() <= pins.keys() and not (is_gone(job) and self._options.removal.follow):
                raise  # what is not pinned would go, too, and one 404 is no proof
            return await self._nothing(job), True

    async def _nothing(self, job: Job) -> OfferedProject:
        """Return a page without files that says what is known of the project beside them."""
        last = await self._stored(job)
        if last is not None:
            detail, url = last.detail, last.url
        elif past := await self._ports.catalog.past_revisions(job.name):
            page = past[0].revision
            detail, url = self._ports.upstream.read(job.name, page.body, page.form, page.url), page.url
        else:
            detail, url = ProjectDetail(job.name, ()), ""
        detail = without_files(detail)
        return OfferedProject(detail, encode_project_detail(detail), "json", url, None)

    # ----------------------------------------------------------------- page

    async def _page(self, job: Job) -> OfferedProject | None:
        """Return the page, None if it has not changed; raises StaleProject if it is older than the list says."""
        row = job.row
        if job.again and (stored := await self._stored(job)) is not None:
            return stored
        known_page = (
            row is not None and row.body_digest is not None and _is_settled(row.published, row.declined)
        )
        etag = row.etag if row is not None and known_page else None
        offered = await self._ports.upstream.project(job.name, etag, fresh=job.tries > 0)
        # Of a page that was taken over nobody knows whether its serial is upstream's, or one that we gave it once.
        known = row.serial if row is not None and row.body_digest is not None else None
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

    async def _stored(self, job: Job) -> OfferedProject | None:
        """Return the page as it came last time."""
        revision = await self._ports.catalog.revision(job.name)
        if revision is None:
            return None
        detail = self._ports.upstream.read(job.name, revision.body, revision.form, revision.url)
        etag = job.row.etag if job.row is not None else None
        return OfferedProject(detail, revision.body, revision.form, revision.url, etag)

    def _is_turned(self, job: Job) -> bool:
        """Say whether time alone may have turned a verdict since the last look."""
        until = job.row.until if job.row is not None else None
        return until is not None and until <= self._ports.clock()

    def _is_same(self, job: Job, offered: OfferedProject, body_digest: bytes) -> bool:
        row = job.row
        return (
            row is not None
            and _is_settled(row.published, row.declined)
            and row.body_digest == body_digest
            and row.serial == _serial(job, offered.detail)
        )

    def _unchanged(self, job: Job, etag: str | None) -> Check:
        row = job.row
        due = due_at(self._ports, self._options, row.until if row is not None else None)
        return Check(job.name, row.serial if row is not None else None, etag, due)

    # --------------------------------------------------------------- filters

    async def _choose(self, job: Job, offered: OfferedProject) -> tuple[Choice, bytes | None]:
        selection = self._options.selection
        if not selection.judges_offers or offered.detail.status is ProjectStatus.QUARANTINED:
            return EVERYTHING, None
        offer = Offer.of(offered.detail, job.display, self._ports.clock())
        document = None
        if selection.needs_document(offer):
            document = await self._document(job)
            offer = replace(offer, document=parse_document(job.name, document))
        return selection.choose(offer), document

    async def _nothing_new(self, job: Job, detail: ProjectDetail, choice: Choice) -> Choice:
        """Return the choice for a project that should go and stays: what it holds, and no more."""
        held, _ = await self._ports.catalog.held(job.name, ())
        new = {file.filename: choice.project for file in detail.files if file.filename not in held}
        return Choice(KEEP, new, {}, choice.until)

    async def _document(self, job: Job) -> bytes | None:
        if job.again and (known := await self._ports.catalog.document(job.name)) is not None:
            return known
        document = await self._ports.upstream.legacy_document(job.name)
        if document is None and not self._told_of_documents:
            self._told_of_documents = True
            self._ports.observe(
                Notice(
                    f"{job.name}: upstream has no legacy JSON, which a filter reads; it takes all of it as null"
                )
            )
        return document

    # ----------------------------------------------------------------- files

    async def _plan_files(
        self, job: Job, offered: ProjectDetail, detail: ProjectDetail, choice: Choice
    ) -> FilePlan:
        if not self._options.rendering.release_files:
            return FilePlan((), {}, {}, {})
        is_withdrawn = offered.status is ProjectStatus.QUARANTINED
        files = () if is_withdrawn or not choice.project.keep else detail.files
        keys = {file.filename: layout.file_key(file.url, file.filename) for file in files}
        wanted = {key: source_of(f) for f in files if (key := keys[f.filename]) is not None}
        for file in files:
            beside = metadata_place(file, keys[file.filename], self._options)
            if beside is not None:
                wanted.setdefault(beside, str(file.core_metadata))
            documented = provenance_place(file, keys[file.filename], self._options)
            if documented is not None:
                wanted.setdefault(documented, str(file.provenance))
        refused = self._claims.claim(job.name, wanted)
        have, taken = await self._ports.catalog.held(job.name, wanted)
        if not job.again:
            have = await self._without_lost_bytes(files, have)
        missing = tuple(f for f in files if not self._is_held(f, have.get(f.filename)))
        lost = [name for name in have if name not in keys]
        still = {file.filename for file in offered.files} if lost and not is_withdrawn else set()
        plan = FilePlan(
            files,
            keys,
            have,
            taken,
            refused=refused,
            deleted=tuple(name for name in lost if name not in still),
            dropped=tuple(name for name in lost if name in still),
        )
        if job.replay:
            return replace(plan, left_out=missing)
        fetch, size = await self._to_fetch(missing, keys, have)
        return replace(plan, missing=missing, bytes=size, fetch=fetch)

    async def _without_lost_bytes(
        self, files: Sequence[File], have: dict[str, HeldFile]
    ) -> dict[str, HeldFile]:
        """Return what we hold but for files whose bytes are gone, or have another size; these are brought again."""
        places: dict[str, tuple[str, int]] = {}
        for file in files:
            if (held := have.get(file.filename)) is None:
                continue
            places[held.key] = file.filename, held.size
            beside = layout.metadata_key(held.key) if held.metadata is not None else None
            if beside is not None:
                places[beside] = file.filename, held.metadata_size
        found = await self._ports.storage.stat(list(places)) if places else []
        lost = {
            filename
            for (filename, size), stat in zip(places.values(), found, strict=True)
            if stat is None or stat.size != size
        }
        return {name: held for name, held in have.items() if name not in lost} if lost else have

    async def _to_fetch(
        self, missing: Sequence[File], keys: Mapping[str, str | None], have: Mapping[str, HeldFile]
    ) -> tuple[int, int]:
        """Return how many files must come, and their bytes; what seems to stand in place takes no more space."""
        if not missing:
            return 0, 0
        places = {
            f.filename: have[f.filename].key if f.filename in have else keys[f.filename] for f in missing
        }
        found = await self._ports.storage.stat([place for place in places.values() if place is not None])
        sizes = {stat.key: stat.size for stat in found if stat is not None}
        absent = [f for f in missing if sizes.get(places[f.filename] or "") != f.size]
        return len(absent), sum(f.size or 0 for f in absent)

    def _is_held(self, file: File, held: HeldFile | None) -> bool:
        if held is None or held.source != source_of(file) or not held.verified:
            return False
        if not has_digest(held, self._options):
            return False
        wanted = file.core_metadata if self._options.rendering.core_metadata else None
        if not wanted or layout.metadata_key(held.key) is None:
            return True
        return held.metadata is not None and (
            wanted is True or wanted.hex == held.metadata or wanted.algorithm != "sha256"
        )

    async def _with_lost(
        self, job: Job, offered: OfferedProject, detail: ProjectDetail, plan: FilePlan
    ) -> tuple[OfferedProject, ProjectDetail, FilePlan]:
        """Go on listing what we hold and would lose, in the words in which it was offered."""
        lost = {*plan.deleted, *plan.dropped}
        words = {file.filename: file for file in offered.detail.files if file.filename in lost}
        if plan.deleted and (before := await self._stored(job)) is not None:
            words |= {f.filename: f for f in before.detail.files if f.filename in plan.deleted}
        if not words:
            return offered, detail, plan
        kept = tuple(words.values())
        if any(name in words for name in plan.deleted):
            # Upstream no longer says it, so that the page we keep has to.
            more = tuple(file for file in kept if file.filename in plan.deleted)
            whole = msgspec.structs.replace(offered.detail, files=(*offered.detail.files, *more))
            offered = replace(offered, detail=whole, body=encode_project_detail(whole), form="json")
        detail = msgspec.structs.replace(detail, files=(*detail.files, *kept))
        return offered, detail, replace(plan, files=(*plan.files, *kept))


def selected(detail: ProjectDetail, choice: Choice) -> ProjectDetail:
    """Return what the filters leave of a page; a release of which they leave no file is none any more."""
    if not choice.files and not choice.releases:
        return detail
    files = tuple(file for file in detail.files if choice.keeps(file))
    versions = detail.versions
    if versions is not None:
        offer = Offer(detail.name, detail.name, detail.files, 0.0, versions)
        had = {offer.release_of(file) for file in detail.files}
        left = {offer.release_of(file) for file in files}
        versions = tuple(v for v in versions if v in left or (v not in had and v not in choice.releases))
    return msgspec.structs.replace(detail, files=files, versions=versions)


def parse_document(name: NormalizedName, body: bytes | None) -> Document:
    """Read a legacy JSON document for filters; an absent one says nothing. Raises BadPage."""
    if body is None:
        return {}
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadPage(f"the legacy JSON of {name}", f"not JSON: {error}") from error
    if not isinstance(document, dict):
        raise BadPage(f"the legacy JSON of {name}", "not a JSON object")
    return document


def due_at(ports: Ports, options: SyncOptions, until: float | None = None) -> int:
    """Return when a project is looked at again, although nobody says that it changed."""
    # Jitter spreads the re-checks of a first run that published everything in one hour.
    again = int(ports.clock() + options.recheck_seconds * (0.75 + 0.5 * ports.chance()))
    return again if until is None else min(again, max(int(until) + 1, int(ports.clock())))


def metadata_place(file: File, key: str | None, options: SyncOptions) -> str | None:
    """Return where a file's core metadata belongs; None where there is none to be had, or no place for it."""
    if not options.rendering.core_metadata or not file.core_metadata or key is None:
        return None
    return layout.metadata_key(key)


def provenance_place(file: File, key: str | None, options: SyncOptions) -> str | None:
    """Return where a file's provenance belongs; None where there is none to be had, or no place for it."""
    if file.provenance is None or not options.rendering.provenance or key is None:
        return None
    return layout.provenance_key(key)


def has_digest(held: HeldFile, options: SyncOptions) -> bool:
    """Say whether the digest that HTML pages want is known of a file."""
    wanted = options.rendering.digest
    if wanted == "sha256" or not options.rendering.html:
        return True
    return held.digest is not None and held.digest.startswith(f"{wanted}=")


def _serial(job: Job, detail: ProjectDetail) -> int | None:
    if detail.serial is not None:
        return detail.serial
    if job.wanted is not None:
        return job.wanted
    return job.row.serial if job.row is not None else None


def _is_settled(published: int | None, declined: str | None) -> bool:
    return published is not None or declined is not None


def source_of(file: File) -> str:
    """Return by what upstream identifies the bytes: its digest, else the address."""
    return str(file.digest) if file.digest is not None else f"url {file.url}"
