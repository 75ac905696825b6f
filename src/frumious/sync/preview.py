"""What the next run would do: the run's own planning, stopped before the first byte of a file. Changes nothing."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from frumious.catalog.base import Check
from frumious.errors import AbsentProject, CatalogError, FrumiousError
from frumious.model.names import InvalidName, NormalizedName, normalize
from frumious.sync.assess import Assessment, Assessor
from frumious.sync.claims import Claims
from frumious.sync.events import Planned, ProjectFailed, ProjectUnchanged
from frumious.sync.groups import for_each
from frumious.sync.kept_out import with_kept_out
from frumious.sync.options import SyncOptions
from frumious.sync.plan import Job, is_gone
from frumious.sync.planner import Planner
from frumious.sync.ports import Ports
from frumious.sync.remove import Holdings, is_too_much
from frumious.upstream.base import OfferedList

LARGEST = 10


class Large(NamedTuple):
    """What one project would fetch."""

    bytes: int
    files: int
    name: NormalizedName


@dataclass(slots=True)
class RuleCount:
    """What one rule drops of what the run would look at."""

    projects: int = 0
    files: int = 0
    bytes: int = 0


@dataclass(slots=True)
class Preview:
    """What the next run would do, in numbers; sizes are what upstream says, in bytes."""

    looked_at: int = 0
    """Projects whose page is asked for, or judged again."""
    unchanged: int = 0
    updated: int = 0
    """Projects that would get a new page."""
    fetch_files: int = 0
    fetch_bytes: int = 0
    keep_projects: int = 0
    """Projects that are here and stay."""
    keep_files: int = 0
    keep_bytes: int = 0
    remove_projects: int = 0
    remove_files: int = 0
    """Those of whole projects included."""
    guarded: bool = False
    """Whether the guard would hold the removals back."""
    rules: dict[str, RuleCount] = field(default_factory=dict)
    largest: list[Large] = field(default_factory=list)
    """The projects that would fetch most."""
    failed: dict[str, str] = field(default_factory=dict)
    """Projects that could not be looked at, with the reason."""

    def as_json(self) -> dict[str, Any]:
        """Return this for machines (docs/operations.md)."""
        return {**asdict(self), "largest": [large._asdict() for large in self.largest]}


async def preview(ports: Ports, options: SyncOptions) -> Preview:
    """Return what `mirror` would do now; asks upstream for the list and for the pages that the run would ask for.

    Raises what a run would raise before its first page.
    """
    return await _Previewer(ports, await with_kept_out(ports, options)).run()


class _Previewer:
    def __init__(self, ports: Ports, options: SyncOptions) -> None:
        self._ports, self._options = ports, options
        self._planner = Planner(ports, options)
        self._assessor = Assessor(ports, options, Claims())
        self._found = Preview()
        self._seen: set[NormalizedName] = set()
        self._gone: Counter[NormalizedName] = Counter()
        """Files that would be removed, of each project that would lose any."""
        self._leaving: set[NormalizedName] = set()

    async def run(self) -> Preview:
        state = await self._ports.catalog.state()
        anew = await self._planner.anew(state)
        self._leaving |= set(anew.dropped)
        pinned = self._planner.again(anew.pinned, pins_only=True)
        await self._look_at_all(pinned, len(anew.pinned))
        await self._look_at_all(self._planner.again(anew.names, judges=anew.judges), len(anew.names))
        plan = await self._planner.plan(state)
        await self._look_at_all(plan.jobs, plan.count)
        if plan.offered is not None:
            self._count_names(plan.offered)
        await self._add_up()
        return self._found

    async def _look_at_all(self, jobs: AsyncIterator[Job], count: int) -> None:
        if not count:
            return
        self._ports.observe(Planned(count))

        async def look_at(job: Job) -> None:
            if job.name not in self._seen:
                self._seen.add(job.name)
                await self._look_at(job)

        await for_each(jobs, look_at, self._options.streams)

    async def _look_at(self, job: Job) -> None:
        found = self._found
        found.looked_at += 1
        try:
            outcome = await self._assessor.assess(job)
        except AbsentProject:
            self._absent(job)
        except CatalogError:
            raise
        except FrumiousError as error:
            found.failed[job.name] = str(error)
            self._ports.observe(ProjectFailed(job.name, error.kind, str(error)))
        else:
            if isinstance(outcome, Check):
                found.unchanged += 1
            else:
                self._add(outcome)
            self._ports.observe(ProjectUnchanged(job.name))

    def _absent(self, job: Job) -> None:
        if is_gone(job) and self._options.removal.follow:
            self._leaving.add(job.name)
        elif job.asked:
            self._found.failed[job.name] = "upstream has no such project"

    def _add(self, one: Assessment) -> None:
        found, plan, name = self._found, one.plan, one.job.name
        sizes = {file.filename: file.size or 0 for file in one.offered.detail.files}
        for filename, verdict in one.choice.files.items():
            self._rule(verdict.rule, files=1, size=sizes.get(filename, 0))
        if not one.choice.project.keep:
            self._rule(one.choice.project.rule, projects=1, files=len(sizes), size=sum(sizes.values()))
            if one.is_out and self._options.removal.follow:
                self._leaving.add(name)
            return
        found.updated += 1
        found.fetch_files += plan.fetch
        found.fetch_bytes += plan.bytes
        if plan.fetch:
            heapq.heappush(found.largest, Large(plan.bytes, plan.fetch, name))
            if len(found.largest) > LARGEST:
                heapq.heappop(found.largest)
        if plan.lost and (self._options.removal.follow or one.is_withdrawn):
            self._gone[name] += plan.lost

    def _rule(self, rule: str, *, projects: int = 0, files: int = 0, size: int = 0) -> None:
        count = self._found.rules.setdefault(rule, RuleCount())
        count.projects += projects
        count.files += files
        count.bytes += size

    def _count_names(self, offered: OfferedList) -> None:
        """Count what the filters on names drop of upstream's list."""
        selection = self._options.selection
        for project in offered.projects if selection.rules or selection.kept_out else ():
            try:
                verdict = selection.judge(normalize(project.name), project.name)
            except InvalidName:
                continue
            if not verdict.keep:
                self._rule(verdict.rule, projects=1)

    async def _add_up(self) -> None:
        found, removal = self._found, self._options.removal
        found.largest.sort(reverse=True)
        if not removal.follow:
            self._leaving.clear()
        files, size = await self._ports.catalog.file_counts(list(self._leaving))
        found.remove_projects = len(self._leaving)
        found.remove_files = files + sum(self._gone.values())
        counts = await self._ports.catalog.counts()
        found.keep_projects = counts["projects"] - found.remove_projects
        found.keep_files = counts["files"] - found.remove_files
        found.keep_bytes = counts["bytes"] - size
        holdings = Holdings(counts["projects"], counts["files"])
        found.guarded = is_too_much(found.remove_projects, found.remove_files, holdings, removal)
