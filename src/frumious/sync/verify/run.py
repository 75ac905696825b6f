"""One verification, from the first project to the last stray; with repair, batch by batch under the lock."""

from __future__ import annotations

import asyncio
import zlib
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace

from frumious.catalog.base import State
from frumious.errors import LockHeld
from frumious.model.names import NormalizedName
from frumious.sync.engine import repair
from frumious.sync.events import Notice, Planned, Searched
from frumious.sync.groups import first
from frumious.sync.options import Rendering, SyncOptions
from frumious.sync.ports import Ports
from frumious.sync.takeover import take_over
from frumious.sync.text import counted
from frumious.sync.verify.audit import Audit, Auditor
from frumious.sync.verify.cursor import Cursor, forget_cursor, read_cursor, write_cursor
from frumious.sync.verify.finding import MENDED_BY_ASKING, MENDED_BY_RENDERING, Finding, Kind
from frumious.sync.verify.lists import wrong_lists
from frumious.sync.verify.strays import is_page, listed, remove_strays, strays_among

BATCH = 50
"""Projects that are compared together."""
IN_FLIGHT = 4
"""Batches that are looked at at the same time, so that every core has something to read."""
NAMES = 5000
"""Names that are read from the catalog together."""
CURSOR_EVERY = 5.0
SETTLES_WITHIN = 86400
"""While a run is at work, what came that lately may be what it is bringing."""

UNREADABLE = (
    "strays are left alone, since pages that cannot be read, or that the catalog does not know, may name them"
)

Publisher = Callable[[], AbstractAsyncContextManager[tuple[Ports, SyncOptions]]]
"""Opens the mirror for changing it; raises LockHeld."""


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """What is asked of one verification."""

    quick: bool = False
    """Compare sizes and times of files, and read only those whose time is not as it should be."""
    repair: bool = False
    delete: bool = False
    """Take strays away."""
    refresh: bool = False
    """Ask upstream for every project again first (`--json-update`)."""
    part: tuple[int, int] | None = None
    """Only such a part of all projects: number, from 1, and of how many."""
    seconds: float | None = None
    """Begin nothing new after this time."""
    anew: bool = False
    """Begin at the beginning, wherever the last one stopped."""


@dataclass(slots=True)
class Report:
    """What came of a verification, the parts before this one included."""

    cursor: Cursor
    whole: bool = False
    """Everything has been looked at; False: the next one goes on from here."""
    resumed: bool = False
    swept: bool = True
    """False: strays could not be told from what unreadable pages name."""
    repaired: int = 0
    remaining: int = 0
    strays: int = 0
    """Of the remaining ones."""
    seconds: float = 0.0
    not_repaired: str | None = None
    """Why nothing could be repaired."""
    kinds: dict[str, int] = field(default_factory=dict)


async def verify(
    ports: Ports,
    options: SyncOptions,
    wanted: VerifyOptions,
    publisher: Publisher,
    found: Callable[[Finding], None],
    is_busy: Callable[[], bool],
) -> Report:
    """Compare the whole mirror, or a part of it, and report each finding once.

    Nothing is changed but with `repair` and `delete`; these take the lock for each batch. Raises StorageError and
    CatalogError for what keeps the rest from being looked at.
    """
    return await _Verification(ports, options, wanted, publisher, found, is_busy).run()


class _Verification:
    def __init__(
        self,
        ports: Ports,
        options: SyncOptions,
        wanted: VerifyOptions,
        publisher: Publisher,
        found: Callable[[Finding], None],
        is_busy: Callable[[], bool],
    ) -> None:
        self._ports, self._options, self._wanted = ports, options, wanted
        self._publisher, self._found, self._is_busy = publisher, found, is_busy
        self._began = ports.clock()
        self._written = 0.0
        self._can_write = True
        self._has_told = False
        self._cursor = Cursor(int(self._began), wanted.quick)
        self._report = Report(self._cursor)

    async def run(self) -> Report:
        """Look at everything; see `verify`."""
        state = await self._ports.catalog.state()
        await self._resume()
        try:
            is_done = await self._look(state)
        except BaseException:
            await self._keep_place(now=True)
            raise
        if is_done:
            await forget_cursor(self._ports.storage)
        else:
            await self._keep_place(now=True)
        report = self._report
        report.whole, report.swept = is_done, self._cursor.is_readable
        report.kinds, report.repaired = self._cursor.findings, self._cursor.repaired
        report.remaining = self._cursor.found - self._cursor.repaired
        report.strays = self._cursor.findings.get(Kind.STRAY.value, 0)
        report.seconds = self._ports.clock() - self._began
        return report

    async def _look(self, state: State) -> bool:
        """Return whether everything has been looked at."""
        renderings = renderings_of(state, self._options)
        if not self._cursor.projects_done:
            counts = await self._ports.catalog.counts()
            self._ports.observe(Planned(counts["projects"]))
            if not self._cursor.after and self._is_first_part:
                await self._check_catalog()
            if not await self._check_projects(Auditor(self._ports, renderings, quick=self._wanted.quick)):
                return False
            if self._is_first_part:
                await self._check_list(renderings[0])
            self._cursor.projects_done, self._cursor.after = True, ""
            await self._keep_place(now=True)
        return await self._check_strays()

    # -------------------------------------------------------------- the place

    @property
    def _is_first_part(self) -> bool:
        return self._wanted.part is None or self._wanted.part[0] == 1

    @property
    def _is_over(self) -> bool:
        limit = self._wanted.seconds
        return limit is not None and self._ports.clock() - self._began >= limit

    def _is_mine(self, text: str) -> bool:
        """Say whether something belongs to the part that is looked at."""
        if self._wanted.part is None:
            return True
        number, parts = self._wanted.part
        return zlib.crc32(text.encode()) % parts == number - 1

    async def _resume(self) -> None:
        if self._wanted.part is not None or self._wanted.anew:
            return
        before = await read_cursor(self._ports.storage)
        if before is None or before.quick != self._wanted.quick:
            return
        self._cursor = self._report.cursor = before
        self._report.resumed = True

    async def _keep_place(self, *, now: bool = False) -> None:
        if self._wanted.part is not None or not self._can_write:
            return
        if not now and self._ports.clock() - self._written < CURSOR_EVERY:
            return
        self._written = self._ports.clock()
        self._can_write = await write_cursor(self._ports.storage, self._cursor)
        if not self._can_write:
            text = (
                "the place cannot be kept in the mirror's directory: the next verify begins at the beginning"
            )
            self._ports.observe(Notice(text))

    def _tell(self, finding: Finding) -> None:
        counts = Counter(self._cursor.findings)
        counts[finding.kind.value] += 1
        self._cursor.findings = dict(counts)
        self._cursor.repaired += finding.repaired
        self._found(finding)

    # --------------------------------------------------------------- catalog

    async def _check_catalog(self) -> None:
        if self._wanted.quick:
            return
        for said in await self._ports.catalog.damage():
            self._cursor.is_readable = False
            self._tell(Finding(Kind.CATALOG_DAMAGED, "catalog", said))

    # -------------------------------------------------------------- projects

    async def _check_projects(self, auditor: Auditor) -> bool:
        """Compare batch after batch, several at a time, and tell of them in order; False if time is over."""
        window: deque[tuple[str, asyncio.Task[Audit]]] = deque()
        is_over = False
        try:
            async with asyncio.TaskGroup() as group:
                async for names in self._batches():
                    window.append((names[-1], group.create_task(self._audit(auditor, names))))
                    if len(window) >= IN_FLIGHT:
                        await self._take(auditor, *window.popleft())
                    if is_over := self._is_over:
                        break
                while window:
                    await self._take(auditor, *window.popleft())
        except BaseExceptionGroup as errors:
            raise first(errors) from None
        return not is_over

    async def _batches(self) -> AsyncIterator[list[NormalizedName]]:
        batch: list[NormalizedName] = []
        after = self._cursor.after
        while names := await self._ports.catalog.names(after, NAMES):
            after = names[-1]
            for name in names:
                if self._is_mine(name):
                    batch.append(name)
                if len(batch) >= BATCH:
                    yield batch
                    batch = []
        if batch:
            yield batch

    async def _audit(self, auditor: Auditor, names: Sequence[NormalizedName]) -> Audit:
        if self._wanted.refresh:
            await self._change(asked=names, files=False)
        return await auditor.audit(names)

    async def _take(self, auditor: Auditor, last: str, task: asyncio.Task[Audit]) -> None:
        audit = await task
        findings = [finding for found in audit.findings.values() for finding in found]
        is_readable = audit.is_readable
        if self._wanted.repair and findings and await self._repair(findings):
            again = await auditor.audit(list(audit.findings))
            left = {(f.kind, f.key) for found in again.findings.values() for f in found}
            findings = [replace(f, repaired=(f.kind, f.key) not in left) for f in findings]
            if not is_readable and not left:
                is_readable = again.is_readable
        cursor = self._cursor
        cursor.projects, cursor.files = cursor.projects + audit.projects, cursor.files + audit.files
        cursor.bytes += audit.bytes
        cursor.is_readable &= is_readable
        cursor.after = last
        for finding in findings:
            self._tell(finding)
        await self._keep_place()

    # ---------------------------------------------------------------- repair

    async def _repair(self, findings: Sequence[Finding]) -> bool:
        """Mend what was found; False if nothing could be done."""
        asked = {f.project: None for f in findings if f.project and f.kind in MENDED_BY_ASKING}
        rendered = {f.project: None for f in findings if f.project and f.kind in MENDED_BY_RENDERING}
        public = [f.key for f in findings if f.kind is Kind.WRONG_MODE]
        return await self._change(asked=list(asked), rendered=list(rendered), public=public)

    async def _change(
        self,
        *,
        asked: Sequence[NormalizedName] = (),
        rendered: Sequence[NormalizedName] = (),
        public: Sequence[str] = (),
        files: bool = True,
        root: bool = False,
    ) -> bool:
        """Mend what is named under the lock; False if somebody else has it."""

        async def work(ports: Ports, options: SyncOptions) -> None:
            await ports.storage.make_public(public)
            if asked or rendered or root:
                await repair(ports, options, asked=asked, rendered=rendered, files=files, root=root)

        return await self._publishing(work)

    # ------------------------------------------------------------------ list

    async def _check_list(self, rendering: Rendering) -> None:
        """Compare the project list with the catalog, in every form in which it is stored."""
        wrong = await wrong_lists(self._ports, rendering)
        if wrong:
            await self._ports.sleep(1.0)
            wrong = {
                key: why for key, why in (await wrong_lists(self._ports, rendering)).items() if key in wrong
            }
        if wrong and self._wanted.repair and await self._change(root=True):
            left = await wrong_lists(self._ports, rendering)
        else:
            left = wrong
        for key, why in wrong.items():
            self._tell(Finding(Kind.LIST_WRONG, key, why, repaired=key not in left))

    # ---------------------------------------------------------------- strays

    async def _check_strays(self) -> bool:
        """Look for what nobody knows; False if time is over."""
        async for keys in listed(self._ports, self._cursor.after):
            strays = await self._strays([key for key in keys if self._is_mine(key)])
            gone: set[str] = set()
            if pages := [finding.key for finding in strays if is_page(finding)]:
                gone = await self._adopt(pages)
                self._cursor.is_readable &= len(gone) == len(pages)
            elif strays and self._wanted.delete:
                gone = await self._remove([finding.key for finding in strays])
            for finding in strays:
                self._tell(replace(finding, repaired=finding.key in gone))
            self._cursor.after = keys[-1]
            self._ports.observe(Searched(len(keys)))
            await self._keep_place()
            if self._is_over:
                return False
        return True

    async def _adopt(self, keys: Sequence[str]) -> set[str]:
        """Have the catalog know pages that it did not; return those that are no strays any more."""
        if not self._wanted.repair:
            return set()

        async def work(ports: Ports, options: SyncOptions) -> None:
            await take_over(ports, options, only_new=True)

        await self._publishing(work)
        left = {finding.key for finding in await strays_among(self._ports, keys)}
        return set(keys) - left

    async def _strays(self, keys: Sequence[str]) -> list[Finding]:
        strays = await strays_among(self._ports, keys)
        if not self._cursor.is_readable:
            if not self._has_told and not all(map(is_page, strays)):
                self._has_told = True
                self._ports.observe(Notice(UNREADABLE))
            strays = [finding for finding in strays if is_page(finding)]
        if not strays:
            return []
        facts = await self._ports.storage.inspect([finding.key for finding in strays], sha256=False)
        there = {one.key: one for one in facts if one is not None}
        strays = [finding for finding in strays if finding.key in there]
        if self._is_busy():
            since = self._ports.clock() - SETTLES_WITHIN
            strays = [finding for finding in strays if there[finding.key].changed < since]
        known = await strays_among(self._ports, [finding.key for finding in strays])
        still = {finding.key for finding in known}
        return [finding for finding in strays if finding.key in still]

    async def _remove(self, keys: Sequence[str]) -> set[str]:
        gone: set[str] = set()

        async def work(ports: Ports, options: SyncOptions) -> None:
            gone.update(await remove_strays(ports, keys, trash_seconds=options.removal.trash_seconds))

        await self._publishing(work)
        return gone

    async def _publishing(self, work: Callable[[Ports, SyncOptions], Awaitable[object]]) -> bool:
        """Take the lock and do something; False, and one line, if somebody else has it."""
        try:
            async with self._publisher() as (ports, options):
                await work(ports, options)
        except LockHeld as error:
            if self._report.not_repaired is None:
                self._report.not_repaired = str(error)
                self._ports.observe(Notice(f"not repaired while another run is at work: {error}"))
            return False
        return True


def renderings_of(state: State, options: SyncOptions) -> list[Rendering]:
    """Return the settings under which pages may have been rendered, the latest of a whole run first."""
    texts = [*([state.rendering] if state.rendering else []), *reversed(state.begun)]
    return list(dict.fromkeys(map(Rendering.loads, texts))) or [options.rendering]


def summary_line(report: Report) -> str:
    """Return a verification in one line."""
    cursor = report.cursor
    parts = [counted(cursor.projects, "project"), counted(cursor.files, "file")]
    if not report.kinds:
        return ", ".join([*parts, "nothing found"])
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(report.kinds.items()))
    parts.append(f"{counted(cursor.found, 'finding')} ({kinds})")
    if report.repaired:
        parts.append(f"{report.repaired:,} repaired")
    return ", ".join(parts)
