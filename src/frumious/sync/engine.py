"""One run, from the list to `last-modified`: the order of design.md §5. Each step is a function of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

from frumious.catalog.base import (
    DELETED,
    DROPPED,
    OPERATOR,
    Applied,
    Batch,
    Check,
    Failure,
    Finish,
    Owed,
    RunRecord,
    State,
)
from frumious.errors import (
    AbsentProject,
    CatalogError,
    FrumiousError,
    InternalError,
    NoSpace,
    NotWritable,
    StaleProject,
    StorageError,
    Unreachable,
)
from frumious.model import layout
from frumious.model.layout import PageKind
from frumious.model.names import NormalizedName
from frumious.model.project import ListedProject
from frumious.sync.delete import no_page, on_mirror, with_pages
from frumious.sync.events import (
    BytesRemoved,
    Event,
    Notice,
    Planned,
    ProjectMissing,
    ProjectsRemoved,
    RemovalsHeld,
)
from frumious.sync.fetch import SOON, Fetcher, Losing, Outcome, SpaceBudget
from frumious.sync.files import read_text, todo_text, write_root, write_texts
from frumious.sync.groups import first, for_each
from frumious.sync.kept_out import with_kept_out
from frumious.sync.options import Limits, Rendering, SyncOptions
from frumious.sync.plan import LONGEST_BACKOFF, Job, is_gone, next_retry, without
from frumious.sync.planner import Lost, Plan, Planner
from frumious.sync.ports import Ports
from frumious.sync.publish import Publisher
from frumious.sync.remove import Removals, collect, confirmed_plan, guard, leave, remove_pages
from frumious.sync.summary import Summary
from frumious.sync.takeover import take_over
from frumious.sync.trash import Removed, clear_restored, find_pinned, find_removed, is_bare, quarantined

T = TypeVar("T")

STALE_DELAYS = (1.0, 2.0, 4.0, 8.0)
"""Seconds before each further look at pages that were older than the list."""
GENERATION = "5"
PARTIALS_KEPT = 14 * 86400


class Stopped(Exception):
    """The run cannot go on; what was prepared is still published."""


async def mirror(ports: Ports, options: SyncOptions, limits: Limits = Limits()) -> Summary:
    """Bring the whole selection up to date."""
    options = await with_kept_out(ports, options)
    return await _recorded(ports, _Run(ports, options, limits, "mirror").mirror())


async def sync(
    ports: Ports, options: SyncOptions, names: Sequence[tuple[NormalizedName, str]], limits: Limits = Limits()
) -> Summary:
    """Bring just these projects up to date; `status` and `last-modified` stay.

    Whoever names a project wants it: it is not kept out any more.
    """
    options = await _let_in(ports, options, [name for name, _ in names])
    return await _recorded(ports, _Run(ports, options, limits, "sync").sync(names))


async def delete(
    ports: Ports,
    options: SyncOptions,
    names: Sequence[tuple[NormalizedName, str]],
    *,
    keep_out: bool = False,
    limits: Limits = Limits(),
) -> Summary:
    """Remove projects from the mirror; with `keep_out` they do not come back before somebody names them.

    `Summary.removed` are those that were here. Beside each name stands how it was typed.
    """
    options = await with_kept_out(ports, options)
    run = _Run(ports, options, limits, "delete")
    return await _recorded(ports, run.delete(dict(names), keep_out=keep_out))


async def restore(
    ports: Ports, options: SyncOptions, asked: Sequence[str], limits: Limits = Limits()
) -> Summary:
    """Bring projects or files back from the trash, and pin them.

    Raises UsageError for a name of which nothing is there, before anything happens.
    """
    found = await find_removed(ports, asked)
    options = await _let_in(ports, options, found.names)
    return await _recorded(ports, _Run(ports, options, limits, "restore").restore(found))


async def unpin(
    ports: Ports, options: SyncOptions, asked: Sequence[str], limits: Limits = Limits()
) -> Summary:
    """Lift pins of projects or files: what upstream or the filters do not want leaves.

    Raises UsageError for a name that has no pin, before anything happens.
    """
    found = await find_pinned(ports, asked)
    options = await with_kept_out(ports, options)
    return await _recorded(ports, _Run(ports, options, limits, "unpin").unpin(found))


async def _let_in(ports: Ports, options: SyncOptions, names: Sequence[NormalizedName]) -> SyncOptions:
    for name in await ports.catalog.let_in(names):
        ports.observe(Notice(f"{name}: was kept out, and is not any more", "info"))
    return await with_kept_out(ports, options)


async def settle(ports: Ports, options: SyncOptions) -> None:
    """Put right what the last run left, and take over what another program did since; nothing else."""
    await _Run(ports, options, Limits(), "verify").settle()


async def repair(
    ports: Ports,
    options: SyncOptions,
    *,
    asked: Sequence[NormalizedName] = (),
    rendered: Sequence[NormalizedName] = (),
    files: bool = True,
    root: bool = False,
) -> Summary:
    """Mend what a verification found: `asked` are read again from upstream, with `files` all their bytes are compared;

    then these and `rendered` have their pages written again as they are, and with `root` so has the project list.
    """
    run = _Run(ports, options, Limits(), "verify")
    return await _recorded(ports, run.repair(asked, rendered, files=files, root=root))


async def _recorded(ports: Ports, run: Awaitable[Summary]) -> Summary:
    """Wait for a run; where an error ends it before its end, the catalog remembers which."""
    try:
        return await run
    except FrumiousError as error:
        with suppress(CatalogError):  # it may be the very reason
            await ports.catalog.run_broke_off(error.exit_code, str(error), int(ports.clock()))
        raise


class _Run:
    def __init__(self, ports: Ports, options: SyncOptions, limits: Limits, command: str) -> None:
        self._options, self._limits = options, limits
        self.summary = Summary(command=command, started=ports.clock())
        self._time = asyncio.get_running_loop().time  # of day may jump; how long it takes does not
        self._began = self._time()
        outside = ports.observe

        def observe(event: Event) -> None:
            self.summary.see(event)
            outside(event)

        self._ports = replace(ports, observe=observe)
        self._planner = Planner(self._ports, options)
        self._unreached = 0
        """Projects in a row that upstream did not answer for."""
        self._absent: list[str] = []
        """Listed projects without a page: their entries are not recorded as seen."""
        self._leaving: dict[NormalizedName, str] = {}
        """Projects to be removed, with the reason: deleted (upstream) or dropped (by a filter)."""
        self._losing: dict[NormalizedName, Lost] = {}
        """What the latest look at a project would cost it."""
        self._before: Sequence[Rendering] = ()
        """Other settings under which pages that are out may have been rendered."""
        self._typed: Mapping[NormalizedName, str] = {}
        """Projects that the operator deletes, as typed."""

    # ------------------------------------------------------------- commands

    async def mirror(self) -> Summary:
        await confirmed_plan(self._ports, self._options.removal)
        state = await self._start()
        if self._options.force_check:
            await take_over(self._ports, self._options, only_changed=True)
            await self._ports.catalog.distrust(files=True)
            state = await self._ports.catalog.state()
        await self._look_anew(state)
        if self.summary.stopped is not None:
            await self._finish(state, None, rendered_anew=False)
            return self.summary
        plan = await self._planner.plan(state)
        await self._put_off(plan)
        await self._work(plan.jobs, plan.count, state, before=self._before, whole_known=plan.changes is None)
        await self._remove(state)
        await self._finish(state, plan, rendered_anew=True)
        return self.summary

    async def sync(self, names: Sequence[tuple[NormalizedName, str]]) -> Summary:
        state = await self._start()
        names = list(dict(names).items())  # each once, however often it was typed
        await self._begin(state)
        self._before = self._planner.earlier(state)
        await self._work(self._planner.named(names), len(names), state, before=self._before, whole_known=True)
        await self._remove(state)
        await self._finish(state, None, rendered_anew=not self._planner.earlier(state))
        return self.summary

    async def settle(self) -> None:
        await self._start(is_run=False)

    async def repair(
        self,
        asked: Sequence[NormalizedName],
        rendered: Sequence[NormalizedName],
        *,
        files: bool,
        root: bool,
    ) -> Summary:
        state = await self._start()
        await self._begin(state)
        self._before = self._planner.earlier(state)
        await self._ports.catalog.doubt(asked, files=files, root=root)
        rows = await self._ports.catalog.known(asked)
        names = [(name, row.display) for name, row in rows.items()]
        await self._work(self._planner.named(names), len(names), state, before=self._before, whole_known=True)
        again = [name for name, row in (await self._ports.catalog.known(rendered)).items() if row.published]
        await self._work(self._planner.again(again), len(again), state, before=self._before)
        await self._remove(state)
        await self._finish(state, None, rendered_anew=not self._planner.earlier(state))
        return self.summary

    async def delete(self, typed: Mapping[NormalizedName, str], *, keep_out: bool) -> Summary:
        catalog, names = self._ports.catalog, list(typed)
        state = await self._start()
        here = await self._here(typed)
        for name in names:
            if name not in here:
                self._tell(f"{name}: not on this mirror")
        await catalog.forget_failures(names)
        if keep_out:
            now = int(self._ports.clock())
            await catalog.keep_out([name for name in names if name not in here], now)
        if here:
            self._typed = {name: typed[name] for name in here}
            await leave(self._ports, dict.fromkeys(here, OPERATOR), keep_out=keep_out)
            # A mirror of this mirror looks at the list again when its serial grows.
            state = replace(state, head=state.head + 1)
        await self._finish(state, None, rendered_anew=False)
        return self.summary

    async def _here(self, typed: Mapping[NormalizedName, str]) -> list[NormalizedName]:
        """Return the projects that are on the mirror, or of which a page lies in the tree; these are taken over."""
        catalog = self._ports.catalog
        here = set(await on_mirror(self._ports, list(typed)))
        others = {name: typed[name] for name in typed if name not in here}
        found = await with_pages(self._ports, others)
        if found:
            await take_over(self._ports, self._options, only_changed=True)
            rows = await catalog.known(found)
            unknown = [name for name in found if name not in rows]  # where no setting wants a page
            await catalog.adopt([no_page(name) for name in unknown], int(self._ports.clock()))
        return [name for name in typed if name in here or name in found]

    async def restore(self, found: Removed) -> Summary:
        state = await self._start()
        await self._begin(state)
        self._before = self._planner.earlier(state)
        for filename in found.unknown:
            self._tell(f"{filename}: no page that listed it is known; name, digest and size are all there is")
        now = int(self._ports.clock())
        await self._ports.catalog.pin([replace(pin, at=now) for pin in found.pins], found.displays)
        jobs = self._planner.restored(found.names)
        await self._work(jobs, len(found.names), state, before=self._before, whole_known=True)
        await self._remove(state)
        await clear_restored(self._ports, found)
        for name in await quarantined(self._ports, found.names):
            self._tell(f"{name}: in quarantine; what is pinned comes back when upstream lifts that")
        await self._finish(state, None, rendered_anew=False)
        return self.summary

    async def unpin(self, found: Mapping[NormalizedName, Sequence[str]]) -> Summary:
        catalog = self._ports.catalog
        state = await self._start()
        await self._begin(state)
        self._before = self._planner.earlier(state)
        for name, filenames in found.items():
            await catalog.unpin(name, filenames, int(self._ports.clock()))
        names = list(found)
        if self._options.removal.follow:
            # There is a page only because of the pins.
            selection = self._options.selection
            gone = [name for name in names if await is_bare(self._ports, selection, name)]
            await leave(self._ports, dict.fromkeys(gone, DELETED))
            names = [name for name in names if name not in gone]
        await self._work(self._planner.restored(names), len(names), state, before=self._before)
        await self._remove(state)
        await self._finish(state, None, rendered_anew=False)
        return self.summary

    # ---------------------------------------------------------------- start

    async def _start(self, *, is_run: bool = True) -> State:
        """Look after what the last run left: scratch, pages that may not have reached their place, other writers."""
        storage, catalog = self._ports.storage, self._ports.catalog
        if is_run:
            await catalog.run_began(self.summary.command, int(self.summary.started))
        generation = await read_text(storage, layout.GENERATION)
        if generation is not None and generation.isdecimal() and int(generation) > int(GENERATION):
            raise StorageError(
                f"`generation` says {generation}: this tree was made by a program that Frumious does not know",
                hint="mirror into another directory, or look what wrote there",
            )
        await storage.clean_staging(PARTIALS_KEPT)
        now = int(self._ports.clock())
        checks_by = now + SOON + 2 * self._options.recheck_seconds  # more than jitter makes of it
        await catalog.pull_in(now, retries_by=now + LONGEST_BACKOFF, checks_by=checks_by)
        state = await catalog.state()
        unsettled = await catalog.unsettled()
        if unsettled:
            self._tell(
                f"the last run ended in the middle: {len(unsettled)} pages are put in place again", "info"
            )
            # The pages as they were: under the settings they were rendered with, whatever the file says now.
            before = [*state.begun, *([state.rendering] if state.rendering else [])]
            options = (
                replace(self._options, rendering=Rendering.loads(before[-1])) if before else self._options
            )
            jobs = self._planner.again(unsettled, replay=True)
            await self._work(jobs, len(unsettled), state, options=options, strict=True)
            await catalog.settle(head=state.head, status=state.status, todo=state.todo)
        if state.rendering is None:
            # No run of ours has ended here. What an earlier attempt has recorded is not read again.
            await take_over(self._ports, self._options, only_changed=True)
            return await catalog.state()
        if state.status is None and state.todo is None:
            return state
        status, todo = await read_text(storage, layout.STATUS), await read_text(storage, layout.TODO)
        if status not in {state.status, state.writing_status} or todo not in {state.todo, state.writing_todo}:
            state = await self._after_others(status)
        if (status, todo) != (state.status, state.todo):
            # Seen and dealt with: should this run die, the next one does not begin again.
            await catalog.found(status=status, todo=todo)
            state = replace(state, status=status, todo=todo)
        return state

    async def _after_others(self, status: str | None) -> State:
        """Take over what another program left here; where `status` says nothing, look at every project again."""
        has_status = status is not None and status.strip().isdigit()
        if has_status:
            self._tell(
                "`status` or `todo` was changed by another program: the pages it changed are taken over"
            )
        else:
            self._tell("`status` is gone or says nothing: every project is looked at again")
        await take_over(self._ports, self._options, only_changed=True)
        await self._ports.catalog.distrust(pages=not has_status)
        return await self._ports.catalog.state()

    async def _look_anew(self, state: State) -> None:
        """Look at every project again, from the catalog, if settings have changed that concern what is out.

        What cannot be rendered (a file cannot be had) is owed, and read again whatever upstream says of it.
        """
        await self._begin(state)
        anew = await self._planner.anew(state)
        self._before = anew.before
        self._leaving |= dict.fromkeys(anew.dropped, DROPPED)
        pinned = self._planner.again(anew.pinned, judges=True, pins_only=True)
        await self._work(pinned, len(anew.pinned), state, before=anew.before)
        if anew.names:
            changed = "filters" if anew.judges else "settings for pages"
            self._tell(f"{changed} have changed; projects looked at again: {len(anew.names)}", "info")
            jobs = self._planner.again(anew.names, judges=anew.judges)
            await self._work(jobs, len(anew.names), state, before=anew.before)

    async def _begin(self, state: State) -> None:
        """Record under which settings this run works, if that is not what all is like already."""
        selection, planner = self._options.selection, self._planner
        is_other = state.rendering is None or planner.earlier(state)
        if is_other or planner.renamed(state) or state.choice != selection.choice_fingerprint:
            # `sync` takes what it is asked for, whatever the filters on names say.
            names = selection.fingerprint if self.summary.command == "mirror" else None
            await self._ports.catalog.begin(
                self._options.rendering.dumps(), names, selection.choice_fingerprint
            )

    async def _put_off(self, plan: Plan) -> None:
        """Record that nobody asks for some projects any more."""
        if plan.strike:
            await self._ports.catalog.forget_failures(plan.strike)
        if plan.put_off:
            batch = Batch(int(self._ports.clock()), (), plan.put_off, settles=False)
            await self._ports.catalog.commit_batch(batch)

    async def _is_taking_over(self, state: State) -> bool:
        """Say whether this is somebody else's tree, or ours without its catalog: no run of ours has ended here."""
        if state.rendering is not None:
            return False
        return any(await self._ports.storage.stat([layout.root_page_key(kind) for kind in PageKind]))

    # ----------------------------------------------------------------- work

    async def _work(
        self,
        jobs: AsyncIterator[Job],
        count: int,
        state: State,
        *,
        options: SyncOptions | None = None,
        before: Sequence[Rendering] = (),
        whole_known: bool = False,
        strict: bool = False,
    ) -> None:
        """Look at projects, many at a time, and publish what comes of it.

        `strict` lets the first failure of any project end the run: for work that needs nobody but us.
        """
        if not count:
            return
        options = options or self._options
        self._ports.observe(Planned(count))
        waiting = count if whole_known and count <= options.small_selection else 0
        budget = SpaceBudget(await self._ports.storage.free_bytes(), options.min_free, known_first=waiting)
        fetcher = Fetcher(self._ports, options, state.head, budget)
        publisher = Publisher(
            self._ports,
            options.rendering,
            before,
            self._limits,
            fetcher.settled,
            keep_versions=options.keep_versions,
            clean_names=options.clean_names,
        )
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(publisher.run())
                try:
                    # With everybody waiting for the whole plan, everybody needs a task.
                    await self._passes(jobs, waiting or options.streams, fetcher, publisher, strict=strict)
                except Stopped as reason:
                    self.summary.stopped = str(reason)
                await publisher.end()
        except* FrumiousError as errors:
            raise first(errors) from None

    async def _passes(
        self, jobs: AsyncIterator[Job], workers: int, fetcher: Fetcher, publisher: Publisher, *, strict: bool
    ) -> None:
        """Look at every job; at those with a stale page again, after longer and longer waits."""
        stale: list[Job] | None = []
        await self._pass(jobs, workers, fetcher, publisher, stale, strict=strict)
        for number, delay in enumerate(STALE_DELAYS, 1):
            if not stale:
                return
            await self._ports.sleep(delay)
            again, stale = stale, [] if number < len(STALE_DELAYS) else None
            await self._pass(_each(again), workers, fetcher, publisher, stale, strict=strict)

    async def _pass(
        self,
        jobs: AsyncIterator[Job],
        workers: int,
        fetcher: Fetcher,
        publisher: Publisher,
        stale: list[Job] | None,
        *,
        strict: bool,
    ) -> None:
        async def work(job: Job) -> None:
            await self._look_at(job, fetcher, publisher, stale, strict=strict)

        await for_each(jobs, work, workers)

    async def _look_at(
        self, job: Job, fetcher: Fetcher, publisher: Publisher, stale: list[Job] | None, *, strict: bool
    ) -> None:
        try:
            outcome = await fetcher.look_at(job)
        except (NoSpace, NotWritable, CatalogError):
            raise  # ours, and everybody's
        except StaleProject as error:
            if stale is not None:
                stale.append(replace(job, tries=job.tries + 1))
                return
            await self._failed(job, error, publisher, stuck=error.got)
        except AbsentProject:
            await self._absent_project(job, publisher)
        except FrumiousError as error:
            if strict:
                raise
            self._count_unreached(error)
            await self._failed(job, error, publisher)
        except Exception as error:  # a defect of ours in one page must not cost the other 900 thousand
            if strict:
                raise
            await self._failed(job, InternalError(error), publisher)
        else:
            self._unreached = 0
            await self._take(job, outcome, publisher)

    async def _take(self, job: Job, outcome: Outcome | Losing, publisher: Publisher) -> None:
        if isinstance(outcome, Losing):
            self._losing[job.name] = Lost(
                job.name,
                job.display,
                job.wanted,
                job.again,
                outcome.files,
                outcome.whole,
                job.vanished,
                job.pins_only,
            )
        else:
            if not isinstance(outcome, Check):  # what is as it was would still lose what it would lose
                self._losing.pop(job.name, None)
            await publisher.add(outcome)

    async def _absent_project(self, job: Job, publisher: Publisher) -> None:
        row = job.row
        held = row is not None and row.published is not None
        self._absent.append(job.display)
        if is_gone(job) and self._options.removal.follow:
            self._leaving[job.name] = DELETED
            return
        if job.asked or held:
            self._ports.observe(ProjectMissing(job.name, held=held))
        else:
            self._tell(f"{job.name}: listed by upstream, but there is no page yet", "info")
        if held and row is not None:
            due = int(self._ports.clock()) + (
                SOON if row.absent_at is None else self._options.recheck_seconds
            )
            await publisher.add(Check(job.name, row.serial, None, due, is_absent=True))
        elif row is not None:
            await self._ports.catalog.forget_failures([job.name])

    async def _failed(
        self, job: Job, error: FrumiousError, publisher: Publisher, *, stuck: int | None = None
    ) -> None:
        attempts = (job.row.attempts if job.row else 0) + 1
        await publisher.add(
            Failure(
                name=job.name,
                display=job.display,
                wanted=job.wanted,
                kind=error.kind,
                message=str(error),
                retry_at=next_retry(self._ports.clock(), attempts),
                stuck_serial=stuck,
                refetch=job.again,
            )
        )
        if self._options.stop_on_error:
            raise Stopped(f"stop-on-error: {error}")

    def _count_unreached(self, error: FrumiousError) -> None:
        self._unreached = self._unreached + 1 if isinstance(error, Unreachable) else 0
        if self._unreached >= max(20, 2 * self._options.streams):
            raise Stopped(f"upstream stopped answering: {error}")

    # --------------------------------------------------------------- remove

    async def _remove(self, state: State) -> None:
        """Ask the guard; then projects lose what it allows, and go on with all they have where it does not."""
        if not self._leaving and not self._losing:
            return
        losing = list(self._losing.values())
        self._losing.clear()
        whole = {one.name: DROPPED for one in losing if one.whole}
        files = {one.name: one.files for one in losing if not one.whole}
        decision = await guard(
            self._ports, self._options.removal, Removals({**self._leaving, **whole}, files)
        )
        if decision.held.projects or decision.held.files:
            held = decision.held
            self._ports.observe(
                RemovalsHeld(
                    held.id,
                    len(held.projects),
                    decision.files,
                    decision.bytes,
                    tuple(sorted([*held.projects, *held.files])[:10]),
                )
            )
        jobs = self._planner.decided(losing, decision.allowed)
        await self._work(jobs, len(losing), state, before=self._before)
        leaving = {name: why for name, why in self._leaving.items() if name in decision.allowed.projects}
        await leave(self._ports, leaving)
        # What waits is looked at again by the next run, and the guard asked again.
        now = int(self._ports.clock())
        rows = await self._ports.catalog.known(
            [name for name, why in self._leaving.items() if why == DELETED and name not in leaving]
        )
        waiting = [Check(row.name, row.serial, None, now, is_absent=True) for row in rows.values()]
        if waiting:
            await self._ports.catalog.commit_batch(Batch(now, (), waiting, settles=False))

    # --------------------------------------------------------------- finish

    async def _finish(self, state: State, plan: Plan | None, *, rendered_anew: bool) -> None:
        """Publish the project list, then say how far we are (design.md §5.6, §6.2, §6.3)."""
        storage, catalog, summary = self._ports.storage, self._ports.catalog, self.summary
        owed = await catalog.owed()
        summary.owed, summary.seconds = len(owed), self._time() - self._began
        whole = plan is not None and summary.stopped is None
        upstream_serial = plan.serial if plan is not None else None
        head = max(state.head, await catalog.highest_published(), upstream_serial or 0 if whole else 0)
        status = str(upstream_serial) if whole and upstream_serial is not None else state.status
        todo = todo_text(status, owed) if owed and (whole or state.todo is not None) else None
        # Recorded before anybody can see it: should we die in between, the head never falls, and what we wrote to
        # `status` and `todo` is not taken for somebody else's.
        await catalog.settle(head=head, status=status, todo=todo)
        root_published = await self._publish_root(head, owed, whole=whole)
        await self._clear_away(root_published=root_published)
        await write_texts(storage, self._texts(todo, whole=whole))
        if todo is None:
            await storage.delete([layout.TODO])
        if whole and status is not None and status != state.status:
            # Last, and behind a barrier: what it claims is out, and what it does not claim is in `todo`.
            await storage.barrier()
            await write_texts(storage, {layout.STATUS: status})
        await storage.barrier()
        summary.serial = upstream_serial
        held_back = summary.held_back is not None
        applied, etag = self._applied(plan) if whole else (None, None)
        await catalog.finish(
            Finish(
                run=RunRecord(
                    summary.command,
                    int(summary.started),
                    int(self._ports.clock()),
                    int(summary.exit_code),
                    summary.dumps(),
                ),
                status=status,
                todo=todo,
                # A filter whose removals wait has not taken effect.
                selection=self._options.selection.fingerprint if whole and not held_back else None,
                choice=self._options.selection.choice_fingerprint if whole and not held_back else None,
                rendering=self._options.rendering.dumps() if rendered_anew else None,
                list_etag=etag,
                applied=applied,
                root_published=root_published,
            )
        )

    async def _clear_away(self, *, root_published: bool) -> None:
        """Delete the pages of what is off the list, then the bytes that no page refers to (design.md §6.4)."""
        names = await self._ports.catalog.leaving()
        if names and (root_published or not (await self._ports.catalog.state()).root_stale):
            await self._ports.storage.barrier()  # the list that does not name them is out for good
            await remove_pages(self._ports, self._typed)
            self._ports.observe(ProjectsRemoved(tuple(names)))
        objects, size = await collect(self._ports, self._options.removal)
        if objects:
            self._ports.observe(BytesRemoved(objects, size))

    def _applied(self, plan: Plan | None) -> tuple[Applied | None, str | None]:
        if plan is None or plan.changes is None:
            return None, None
        applied = without(plan.changes.applied, self._absent)
        etag = plan.offered.etag if plan.offered is not None else None
        return applied, etag if len(applied.names) == len(plan.changes.applied.names) else None

    async def _publish_root(self, head: int, owed: Sequence[Owed], *, whole: bool) -> bool:
        state = await self._ports.catalog.state()
        kinds = self._options.rendering.kinds
        lists = [*map(layout.root_page_key, kinds), layout.LOCAL_JSON, layout.LOCAL_SERIAL]
        present = await self._ports.storage.stat(lists)
        if self._options.skip_root or (not state.root_stale and all(present)):
            return False
        if not whole and not self._typed and await self._is_taking_over(state):
            return False  # what this run did not get to has its page all the same: the old list stays
        await write_root(self._ports, self._options.rendering, head, await self._kept(owed, head))
        return True

    async def _kept(self, owed: Sequence[Owed], head: int) -> list[ListedProject]:
        """Return projects that we never published and that have a page: of a tree taken over, and owed."""
        rows = await self._ports.catalog.known([o.name for o in owed])
        theirs = [o for o in owed if rows[o.name].published is None]
        rendering = self._options.rendering
        pages = [layout.page_key(o.name, rendering.kinds[0], hash_index=rendering.hash_index) for o in theirs]
        found = await self._ports.storage.stat(pages)
        return [
            ListedProject(o.display, min(o.wanted or 0, head))
            for o, page in zip(theirs, found, strict=True)
            if page
        ]

    def _texts(self, todo: str | None, *, whole: bool) -> dict[str, str]:
        texts = {layout.GENERATION: GENERATION}
        if todo is not None:
            texts[layout.TODO] = todo
        elif whole:
            started = datetime.fromtimestamp(self.summary.started, UTC)
            texts[layout.LAST_MODIFIED] = f"{started:%Y%m%dT%H:%M:%S}\n"
        return texts

    def _tell(self, text: str, level: str = "warning") -> None:
        self._ports.observe(Notice(text, level))


async def _each(jobs: Iterable[Job]) -> AsyncIterator[Job]:
    for job in jobs:
        yield job
