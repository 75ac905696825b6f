"""What a run looks at, and why: reads the catalog and upstream's list, and writes nothing.

`frumious mirror` and `frumious plan` get their work from here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from frumious.catalog.base import Check, ProjectRow, State
from frumious.errors import BadPage
from frumious.model.names import InvalidName, NormalizedName, normalize
from frumious.sync.events import ListRead, ProjectMissing, ProjectUnchanged
from frumious.sync.options import Rendering, SyncOptions
from frumious.sync.plan import Changes, Job, Wanted, compare_lists, is_done
from frumious.sync.ports import Ports
from frumious.sync.remove import Removals
from frumious.upstream.base import OfferedList

T = TypeVar("T")

CHUNK = 500
"""Jobs whose rows are read together."""
DUE_SLICE = 20_000
"""Re-checks in one run at most: all of PyPI in two weeks takes 10,700 every four hours."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run looks at because upstream or the time of day says so, and what its end may record."""

    jobs: AsyncIterator[Job]
    count: int
    serial: int | None = None
    """Upstream's global serial, read before the first page."""
    changes: Changes | None = None
    offered: OfferedList | None = None
    """Upstream's list; None where it was not asked for, or has not changed."""
    strike: Sequence[NormalizedName] = ()
    """Projects of the ledger that nobody selects any more."""
    put_off: Sequence[Check] = ()
    """Projects that are due and that nobody selects."""


@dataclass(frozen=True, slots=True)
class Anew:
    """What a run looks at because settings have changed, before anything else."""

    names: Sequence[NormalizedName] = ()
    """Projects to render or to judge again, from the catalog."""
    before: Sequence[Rendering] = ()
    """Other settings under which pages that are out may have been rendered."""
    dropped: Sequence[NormalizedName] = ()
    """Projects that the filters on names no longer select."""
    pinned: Sequence[NormalizedName] = ()
    """Such projects of which some files are pinned: these stay, and their pages."""

    @property
    def judges(self) -> bool:
        """Whether only the filters have changed."""
        return not self.before


class Lost(NamedTuple):
    """A project that would lose files, or its page, if the guard lets it; kept small, since there may be many."""

    name: NormalizedName
    display: str
    wanted: int | None
    again: bool
    files: int
    whole: bool
    vanished: bool = False
    pins_only: bool = False


@dataclass(slots=True)
class _Due:
    jobs: list[Job] = field(default_factory=list)
    strike: list[NormalizedName] = field(default_factory=list)
    put_off: list[Check] = field(default_factory=list)


class Planner:
    """Answers what is to be looked at."""

    def __init__(self, ports: Ports, options: SyncOptions) -> None:
        self._ports, self._options = ports, options
        self._pinned: frozenset[NormalizedName] | None = None

    async def _pins(self) -> frozenset[NormalizedName]:
        """Return the projects with pins; nobody else changes them while the run holds the lock."""
        if self._pinned is None:
            self._pinned = frozenset(await self._ports.catalog.pinned())
        return self._pinned

    # ------------------------------------------------------ settings changed

    def earlier(self, state: State) -> list[Rendering]:
        """Return other settings than those of now under which pages that are out may have been rendered."""
        known = [*state.begun, *([state.rendering] if state.rendering else [])]
        return [before for before in map(Rendering.loads, known) if before != self._options.rendering]

    def renamed(self, state: State) -> bool:
        """Say whether names may have been selected otherwise than now."""
        now = self._options.selection.fingerprint
        return state.selection != now or any(begun != now for begun in state.selections_begun)

    def rejudged(self, state: State) -> bool:
        """Say whether what is offered may have been judged otherwise than now."""
        known = {*state.choices_begun, *([state.choice] if state.choice is not None else [])}
        return bool(known - {self._options.selection.choice_fingerprint})

    async def anew(self, state: State) -> Anew:
        """Return what changed settings concern: how pages look, what is on them, what is mirrored at all."""
        before, renamed, rejudged = self.earlier(state), self.renamed(state), self.rejudged(state)
        if not before and not renamed and not rejudged:
            return Anew()
        names: list[NormalizedName] = []
        dropped: list[NormalizedName] = []
        async for part in self._all_names():
            for row in (await self._ports.catalog.known(part)).values():
                if self._selects(row):
                    # What was declined and not selected for a while may have been declined by filters of another time.
                    names += [row.name] if before or rejudged or row.declined is not None else ()
                elif row.published is None:
                    pass  # declined, and nobody asks for it
                elif renamed:
                    dropped.append(row.name)
                else:
                    names.append(row.name)  # somebody has named it
        pins = await self._pins() if dropped else frozenset()
        goes = [name for name in dropped if name not in pins]
        if before:
            names += goes  # the guard may keep them, and then they look like all others
        return Anew(names, before, goes, [name for name in dropped if name in pins])

    async def _all_names(self) -> AsyncIterator[list[NormalizedName]]:
        after = ""
        while names := await self._ports.catalog.names(after, CHUNK, declined=True):
            yield names
            after = names[-1]

    # -------------------------------------------------------------- the list

    async def plan(self, state: State) -> Plan:
        """Ask upstream what has changed, the catalog what is due, and return what is to be looked at."""
        selection = self._options.selection
        only = selection.only
        if only is not None and len(only) <= self._options.small_selection:
            serial = await self._ports.upstream.serial()
            owed = [o.name for o in await self._ports.catalog.owed()]
            strike = [name for name in owed if not selection.judge(name).keep]
            names = [(name, name) for name in sorted(only)]
            return Plan(self.named(names), len(names), serial, strike=strike)
        before = None if self.renamed(state) else await self._ports.catalog.applied()
        offered = await self._ports.upstream.project_list(state.list_etag if before is not None else None)
        if offered is None:
            self._ports.observe(ListRead(len(before.names) if before else 0, None, changed=False))
            due = await self._due(set())
            serial = int(state.status) if state.status and state.status.isdigit() else None
            return Plan(_each(due.jobs), len(due.jobs), serial, strike=due.strike, put_off=due.put_off)
        self._ports.observe(ListRead(len(offered.projects), offered.serial, changed=True))
        if not offered.projects and before is not None and before.names:
            raise BadPage("upstream's project list", "it is empty and ours is not: nothing is changed")
        changes = compare_lists(before, offered.projects, selection.keeps)
        gone = list(changes.vanished) if before is not None else await self._unlisted(offered)
        for name in gone[DUE_SLICE:]:
            self._ports.observe(ProjectMissing(name, held=True))
        # What left the list may be quarantined: its page says so.
        gone = gone[:DUE_SLICE]
        due = await self._due(set(gone))
        wanted = {w.name for w in changes.wanted}
        is_due = {job.name for job in due.jobs} & wanted
        due.jobs = [job for job in due.jobs if job.name not in wanted]
        return Plan(
            self._listed(changes.wanted, is_due, due.jobs, gone),
            len(changes.wanted) + len(due.jobs) + len(gone),
            offered.serial,
            changes,
            offered,
            due.strike,
            due.put_off,
        )

    async def _unlisted(self, offered: OfferedList) -> list[NormalizedName]:
        """Return our projects that the list does not name, where no earlier list is known to compare it with."""
        named: set[NormalizedName] | None = None
        unlisted: list[NormalizedName] = []
        async for part in self._all_names():
            if named is None:
                named = _names(project.name for project in offered.projects)
            unlisted += [name for name in part if name not in named]
        rows = await self._ports.catalog.known(unlisted)
        return [name for name in unlisted if rows[name].published is not None and self._selects(rows[name])]

    async def _due(self, already: set[NormalizedName]) -> _Due:
        """Return what is due for another look, beside what the list changed."""
        now = int(self._ports.clock())
        due = _Due()
        pins = await self._pins()
        for row in await self._ports.catalog.due(now, DUE_SLICE):
            if self._selects(row):
                if row.name not in already:
                    due.jobs.append(Job(row.name, row.display, row.wanted, row))
            elif row.name in pins:
                # It was pinned, or its page was changed by others: what is known of it is rendered again.
                later = now + self._options.recheck_seconds
                due.put_off.append(Check(row.name, row.serial, row.etag, later))
                is_unknown = row.published is None or row.page_digest is None
                due.jobs.append(
                    Job(row.name, row.display, row=row, again=True, judges=True, pins_only=is_unknown)
                )
            elif row.attempts:
                due.strike.append(row.name)
            else:
                # So that it does not stand before those that somebody does ask for.
                later = now + self._options.recheck_seconds
                due.put_off.append(Check(row.name, row.serial, row.etag, later))
        return due

    def _selects(self, row: ProjectRow) -> bool:
        return self._options.selection.judge(row.name, row.display).keep

    # ------------------------------------------------------------------ jobs

    async def named(self, names: Sequence[tuple[NormalizedName, str]]) -> AsyncIterator[Job]:
        """Yield jobs for projects that somebody named."""
        for part in _chunks(names):
            rows = await self._ports.catalog.known([name for name, _ in part])
            for name, display in part:
                row = rows.get(name)
                yield Job(name, row.display if row else display, row=row, asked=True)

    async def _listed(
        self,
        wanted: Sequence[Wanted],
        is_due: AbstractSet[NormalizedName],
        due: Sequence[Job],
        gone: Sequence[NormalizedName],
    ) -> AsyncIterator[Job]:
        for part in _chunks(wanted):
            rows = await self._ports.catalog.known([w.name for w in part])
            for w in part:
                row = rows.get(w.name)
                if is_done(w, row) and w.name not in is_due:
                    self._ports.observe(ProjectUnchanged(w.name))
                else:
                    yield Job(w.name, w.display, w.serial, row)
        for job in due:
            yield job
        for names in _chunks(gone):
            rows = await self._ports.catalog.known(names)
            for name in names:
                if (row := rows.get(name)) is not None:
                    yield Job(name, row.display, row=row, vanished=True)

    async def again(
        self,
        names: Sequence[NormalizedName],
        *,
        replay: bool = False,
        judges: bool = False,
        pins_only: bool = False,
    ) -> AsyncIterator[Job]:
        """Yield jobs that render or judge projects again, from the catalog."""
        for part in _chunks(names):
            rows = await self._ports.catalog.known(part)
            for name in part:
                row = rows.get(name)
                if row is not None and (row.published is not None or row.declined is not None):
                    yield Job(
                        name,
                        row.display,
                        row=row,
                        again=True,
                        replay=replay,
                        judges=judges,
                        pins_only=pins_only,
                    )

    async def restored(self, names: Sequence[NormalizedName]) -> AsyncIterator[Job]:
        """Yield jobs that render projects with their pins, from the catalog; those without a page get one."""
        rows = await self._ports.catalog.known(names)
        for row in rows.values():
            is_known = row.published is not None or row.declined is not None
            yield Job(row.name, row.display, row=row, again=True, judges=True, pins_only=not is_known)

    async def decided(self, lost: Sequence[Lost], allowed: Removals) -> AsyncIterator[Job]:
        """Yield jobs for projects that lose something, or keep it, as the guard has decided."""
        for part in _chunks(lost):
            rows = await self._ports.catalog.known([one.name for one in part])
            for one in part:
                row = rows[one.name]
                may = one.name in allowed.projects or one.name in allowed.files
                yield Job(
                    one.name,
                    one.display,
                    one.wanted,
                    row,
                    again=one.again,
                    may_remove=may,
                    keeps=not may,
                    vanished=one.vanished,
                    pins_only=one.pins_only,
                )


def _names(displays: Iterable[str]) -> set[NormalizedName]:
    found = set()
    for display in displays:
        try:
            found.add(normalize(display))
        except InvalidName:
            continue
    return found


async def _each(jobs: Iterable[Job]) -> AsyncIterator[Job]:
    for job in jobs:
        yield job


def _chunks(items: Sequence[T]) -> Iterable[Sequence[T]]:
    for start in range(0, len(items), CHUNK):
        yield items[start : start + CHUNK]
