"""Put pages in place, in batches, each behind one barrier: the order of effects of design.md §6.

(1) bytes of files are already in place; pages are written in staging; (2) barrier; (3) one catalog transaction records
the batch and names its projects as unsettled; (4) pages are renamed into place. The next batch's barrier makes the
renames durable and its transaction settles them (docs/decisions/0002).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from frumious.catalog.base import Batch, Check, Decline, Failure, Publication
from frumious.errors import FrumiousError, NoSpace, NoSuchObject, NotWritable, PathTaken, StorageError
from frumious.model import layout
from frumious.model.names import NormalizedName
from frumious.storage.base import STAGING, Item, Options
from frumious.sync.events import ProjectDeclined, ProjectFailed, ProjectPublished, ProjectUnchanged
from frumious.sync.fetch import Prepared
from frumious.sync.options import Limits, Rendering
from frumious.sync.page import EVERYWHERE, stale_keys, unnormalized_keys
from frumious.sync.plan import next_retry
from frumious.sync.ports import Ports
from frumious.sync.versions import keep_only, version_key

Outcome = Prepared | Check | Decline | Failure


@dataclass(slots=True)
class _Open:
    """A batch that is filling."""

    prepared: list[Prepared] = field(default_factory=list)
    checked: list[Check] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    declined: list[Decline] = field(default_factory=list)
    size: int = 0

    def add(self, outcome: Outcome) -> None:
        match outcome:
            case Prepared():
                self.prepared.append(outcome)
                self.size += outcome.rendered.size + len(outcome.publication.revision.body)
            case Check():
                self.checked.append(outcome)
            case Failure():
                self.failed.append(outcome)
            case Decline():
                self.declined.append(outcome)
                self.size += len(outcome.revision.body)

    def __len__(self) -> int:
        return len(self.prepared) + len(self.checked) + len(self.failed) + len(self.declined)


@dataclass(frozen=True, slots=True)
class _Renames:
    """What puts staged pages in place, in this order."""

    moves: Sequence[tuple[str, str]] = ()
    aliases: Sequence[tuple[str, str]] = ()
    """With `keep_index_versions`: from a version to the page that it is."""


class Publisher:
    """The one task of a run that changes pages."""

    def __init__(
        self,
        ports: Ports,
        rendering: Rendering,
        before: Sequence[Rendering],
        limits: Limits,
        settled: Callable[[Publication], None],
        *,
        keep_versions: int = 0,
        clean_names: bool = False,
    ) -> None:
        self._ports, self._rendering, self._before, self._limits = ports, rendering, before, limits
        self._settled, self._keep_versions, self._clean_names = settled, keep_versions, clean_names
        self._queue: asyncio.Queue[Outcome | None] = asyncio.Queue(2 * limits.projects)
        self._staged = 0

    async def add(self, outcome: Outcome) -> None:
        """Hand over an outcome; waits while too many are waiting."""
        await self._queue.put(outcome)

    async def end(self) -> None:
        """Say that no more outcomes come."""
        await self._queue.put(None)

    async def run(self) -> None:
        """Publish batch after batch until `end`; then every page is in place and durable."""
        loop = asyncio.get_running_loop()
        more = True
        while more:
            batch = _Open()
            first = await self._queue.get()
            if first is None:
                break
            batch.add(first)
            deadline = loop.time() + self._limits.seconds
            while len(batch) < self._limits.projects and batch.size < self._limits.bytes:
                try:
                    async with asyncio.timeout_at(deadline):
                        outcome = await self._queue.get()
                except TimeoutError:
                    break
                if outcome is None:
                    more = False
                    break
                batch.add(outcome)
            await self._publish(batch)
        await self._ports.storage.barrier()

    async def _publish(self, batch: _Open) -> None:
        storage = self._ports.storage
        staged = await self._stage(batch.prepared)
        await storage.barrier()
        prepared = await self._put_in_place(batch, await self._record(batch), staged)
        await storage.delete([key for p in prepared for key in self._left_behind(p)])
        if self._clean_names:
            await self._remove_unnormalized(prepared)
        for p in prepared:
            self._settled(p.publication)
            self._ports.observe(ProjectPublished(p.publication.name, p.publication.published, p.files))
        for check in batch.checked:
            self._ports.observe(ProjectUnchanged(check.name))
        for decline in batch.declined:
            self._ports.observe(ProjectDeclined(decline.name, decline.reason))
        for failure in batch.failed:
            self._ports.observe(ProjectFailed(failure.name, failure.kind, failure.message))

    async def _remove_unnormalized(self, prepared: Sequence[Prepared]) -> None:
        """Delete pages under other spellings of a name (`cleanup`)."""
        storage = self._ports.storage
        for p in prepared:
            old = unnormalized_keys(p.publication.name, p.publication.display)
            found = [stat for stat in await storage.stat(old) if stat is not None]
            if not found:
                continue
            # Where case makes no difference, the other spelling is the page that was just put in place.
            now = [stat for stat in await storage.stat(list(p.rendered.pages)) if stat is not None]
            new = {(stat.modified, stat.size) for stat in now}
            await storage.delete([stat.key for stat in found if (stat.modified, stat.size) not in new])

    async def _put_in_place(
        self,
        batch: _Open,
        prepared: Sequence[Prepared],
        staged: Mapping[NormalizedName, Sequence[tuple[str, str]]],
    ) -> list[Prepared]:
        """Rename pages into place; return the projects of which all are there, the others have failed."""
        now = self._ports.clock()
        renames = [(p, self._renames(p, staged[p.publication.name], now)) for p in prepared]
        whole = _Renames(
            [pair for _, one in renames for pair in one.moves],
            [pair for _, one in renames for pair in one.aliases],
        )
        try:
            await self._carry_out(whole)
        except (NoSpace, NotWritable):
            raise  # ours, and everybody's
        except StorageError:
            pass
        else:
            return list(prepared)
        # Something stands in the way of one of them: one by one, so that it is this one's failure alone.
        good: list[Prepared] = []
        for p, one in renames:
            try:
                await self._carry_out(await self._left(p, one))
            except (NoSpace, NotWritable):
                raise
            except StorageError as error:
                batch.failed.append(await self._take_back(p, error))
            else:
                good.append(p)
        return good

    def _renames(self, p: Prepared, staged: Sequence[tuple[str, str]], now: float) -> _Renames:
        """Return what puts a project's pages in place."""
        if not self._keep_versions:
            return _Renames(staged)
        pages = {*p.rendered.pages, *p.rendered.links}
        moves: list[tuple[str, str]] = []
        aliases: list[tuple[str, str]] = []
        for scratch, key in staged:
            if key not in pages:
                moves.append((scratch, key))
                continue
            version = version_key(key, p.publication.published, now)
            moves.append((scratch, version))
            aliases.append((version, key))
        return _Renames(moves, aliases)

    async def _carry_out(self, renames: _Renames) -> None:
        storage = self._ports.storage
        await storage.move(renames.moves)
        if renames.aliases:
            await storage.alias(renames.aliases)
            await keep_only(storage, [key for _, key in renames.aliases], self._keep_versions)

    async def _left(self, p: Prepared, renames: _Renames) -> _Renames:
        """Return the renames without those that are done; raises NoSuchObject for a page that is nowhere."""
        storage = self._ports.storage
        staged = await storage.stat([scratch for scratch, _ in renames.moves])
        placed = await storage.stat([key for _, key in renames.moves])
        moves: list[tuple[str, str]] = []
        for pair, source, target in zip(renames.moves, staged, placed, strict=True):
            if source is not None:
                moves.append(pair)
            elif target is None or abs(target.modified - p.publication.page_modified) >= 0.001:
                raise NoSuchObject(f"{pair[1]}: its new bytes are gone from staging")
        return _Renames(moves, renames.aliases)

    def _left_behind(self, p: Prepared) -> tuple[str, ...]:
        """Return where earlier pages of a project are that its new ones have not replaced."""
        name = p.publication.name
        stale = stale_keys(name, EVERYWHERE if p.sweeps else self._before, self._rendering)
        # What is quarantined is on no list, and has no legacy document (conformance 73).
        return stale if p.publication.listed else (*stale, *layout.legacy_json_keys(name))

    async def _take_back(self, p: Prepared, error: StorageError) -> Failure:
        """Record that a project is not published as the catalog says; it is owed."""
        publication, at = p.publication, int(self._ports.clock())
        failure = replace(self._failure(p, error), refetch=True)
        there = await self._ports.storage.stat([*p.rendered.pages, *p.rendered.links])
        if not all(there):
            await self._ports.catalog.lose_pages([publication.name], at, forgets_list=False)
        await self._ports.catalog.commit_batch(Batch(at, failed=[failure], settles=False))
        return failure

    def _failure(self, p: Prepared, error: FrumiousError) -> Failure:
        publication, attempts = p.publication, p.attempts + 1
        return Failure(
            name=publication.name,
            display=publication.display,
            wanted=publication.serial,
            kind=error.kind,
            message=str(error),
            retry_at=next_retry(self._ports.clock(), attempts),
            attempts=attempts,
        )

    async def _stage(self, batch: list[Prepared]) -> dict[NormalizedName, list[tuple[str, str]]]:
        """Write every page of a batch in staging; return the renames that put them in place, by project."""
        items: list[Item] = []
        copies: list[tuple[str, str]] = []
        moves: dict[NormalizedName, list[tuple[str, str]]] = {}
        for prepared in batch:
            options = Options(modified=prepared.publication.page_modified)
            own = moves.setdefault(prepared.publication.name, [])
            staged: dict[str, str] = {}
            for key, body in (*prepared.rendered.pages.items(), *prepared.documents):
                staged[key] = self._scratch()
                items.append(Item(staged[key], body, options))
            for key, existing in prepared.rendered.links.items():
                staged[key] = self._scratch()
                copies.append((staged[existing], staged[key]))
            own += [(scratch, key) for key, scratch in staged.items()]
        await self._ports.storage.write(items)
        await self._ports.storage.copy(copies)
        return moves

    def _scratch(self) -> str:
        self._staged += 1
        return f"{STAGING}p{self._staged}"

    async def _record(self, batch: _Open) -> list[Prepared]:
        """Commit a batch; return what of it may be put in place.

        Two projects that claim one path cannot both be right: the batch is then committed one by one, and the one
        that comes second fails alone.
        """
        catalog, at = self._ports.catalog, int(self._ports.clock())
        whole = Batch(
            at, [p.publication for p in batch.prepared], batch.checked, batch.failed, batch.declined
        )
        try:
            await catalog.commit_batch(whole)
        except PathTaken:
            pass
        else:
            return batch.prepared
        good: list[Prepared] = []
        for prepared in batch.prepared:
            publication = prepared.publication
            try:
                await catalog.commit_batch(Batch(at, [publication], settles=False))
            except PathTaken as error:
                batch.failed.append(self._failure(prepared, error))
            else:
                good.append(prepared)
        await catalog.commit_batch(Batch(at, (), batch.checked, batch.failed, batch.declined, settles=False))
        return good
