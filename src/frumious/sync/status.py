"""How a mirror stands, as one value: for `frumious status`, and for whatever else shows it. Changes nothing.

It is put together from sums and indexes of the catalog, so that it costs milliseconds, also while a run is on.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from frumious.catalog.base import Backlog, Owed, Running, RunRecord, State
from frumious.errors import StorageError, UpstreamError
from frumious.model import layout
from frumious.model.layout import PageKind
from frumious.model.names import NormalizedName
from frumious.storage.base import Storage
from frumious.sync.files import read_text
from frumious.sync.options import SyncOptions
from frumious.sync.ports import Ports
from frumious.sync.text import human_seconds


class Stage(Enum):
    """What lies in the mirror's directory."""

    NOTHING = "nothing"
    TREE = "tree"
    """Pages without a catalog: of another program, or ours after its catalog was lost."""
    BEGUN = "begun"
    """A catalog, and no run has come to its end yet."""
    MIRROR = "mirror"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a mirror lies and what it copies, as the caller knows it."""

    config: str
    directory: str
    upstream: str
    """The address, without user and password."""
    catalog_bytes: int | None
    """None: there is no catalog."""
    holder: str | None
    """Who holds the lock; None: nobody, as far as this machine can tell."""


@dataclass(frozen=True, slots=True)
class UpstreamNow:
    """What upstream says of itself at this moment."""

    address: str
    asked: bool
    serial: int | None = None
    """None also where it was asked and does not say."""
    error: str | None = None
    """Why it could not be asked."""


@dataclass(frozen=True, slots=True)
class RunFacts:
    """One run that ended."""

    command: str
    started: int
    seconds: float
    exit_code: int
    stopped: str | None
    """Why it ended before its end, if it did."""
    updated: int
    unchanged: int
    failed: int
    removed: int
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class AtWork:
    """Who is at work on the mirror: whoever holds the lock, and the run that began and has not ended."""

    holder: str | None
    """None: nobody, as far as this machine can tell; the run was ended from outside, or is on elsewhere."""
    command: str | None
    """None: what holds the lock is no run."""
    started: int | None
    changes: int
    """Pages published and projects removed so far."""


@dataclass(frozen=True, slots=True)
class HeldBack:
    """Removals that the guard held back, and that wait for the operator."""

    plan: str
    projects: int
    files: int
    bytes: int
    names: tuple[str, ...]
    """The first ten."""


@dataclass(frozen=True, slots=True)
class Failing:
    """A project that is owed, and why."""

    name: NormalizedName
    kind: str
    message: str
    attempts: int
    since: int
    retry_at: int
    """Not before this time; what has passed means: with the next run."""


@dataclass(frozen=True, slots=True)
class Totals:
    """What there is."""

    projects: int
    files: int
    """Without core metadata."""
    bytes: int
    free_bytes: int | None
    """None where nobody knows."""
    catalog_bytes: int


@dataclass(frozen=True, slots=True)
class StatusReport:
    """How a mirror stands; times are seconds since 1970."""

    at: int
    config: str
    directory: str
    stage: Stage
    serial: int | None
    """Upstream's, up to which the mirror is whole, but for what is owed."""
    changed_by_others: bool
    """`status` or `todo` is not as our last run left it: the next one takes over what another program did."""
    upstream: UpstreamNow
    lag_serials: int | None
    lag_seconds: int | None
    """For how long upstream may have been ahead, at most."""
    at_work: AtWork | None
    last_run: RunFacts | None
    last_through: RunFacts | None
    """The last `mirror` that looked at everything it had to."""
    last_whole: RunFacts | None
    """The last `mirror` that left nothing owed and nothing waiting."""
    backlog: Backlog
    trashed_until: int | None
    """When the oldest of the trash is deleted, by the first run after that."""
    held_back: HeldBack | None
    failing: tuple[Failing, ...]
    """Those that have failed longest come first."""
    totals: Totals

    def as_json(self) -> dict[str, Any]:
        """Return this for machines (docs/operations.md)."""
        return {**asdict(self), "stage": self.stage.value}


async def report(ports: Ports, options: SyncOptions, place: Place, *, ask_upstream: bool) -> StatusReport:
    """Return how the mirror stands now.

    Upstream is asked for its serial, if at all, and nothing else; that it cannot be asked is part of the answer.
    Raises StorageError, CatalogError.
    """
    storage, catalog = ports.storage, ports.catalog
    now = int(ports.clock())
    state, runs = await catalog.state(), await catalog.last_runs()
    status, todo = await read_text(storage, layout.STATUS), await read_text(storage, layout.TODO)
    serial = _number(status)
    upstream = await _ask(ports, place.upstream) if ask_upstream else UpstreamNow(place.upstream, asked=False)
    counts, backlog = await catalog.counts(), await catalog.backlog(now)
    trashed_until = (
        None if backlog.trashed_first is None else backlog.trashed_first + options.removal.trash_seconds
    )
    return StatusReport(
        at=now,
        config=place.config,
        directory=place.directory,
        stage=await _stage(storage, state, status, has_catalog=place.catalog_bytes is not None),
        serial=serial,
        changed_by_others=_is_changed(state, status, todo),
        upstream=upstream,
        lag_serials=lag_serials(serial, upstream.serial),
        lag_seconds=lag_seconds(serial, upstream.serial, runs.through, now),
        at_work=_at_work(place.holder, runs.running),
        last_run=_facts(runs.last),
        last_through=_facts(runs.through),
        last_whole=_facts(runs.whole),
        backlog=backlog,
        trashed_until=trashed_until,
        held_back=_held_back(runs.through),
        failing=longest_first(await catalog.owed()),
        totals=Totals(
            counts["projects"], counts["files"], counts["bytes"], await _free(storage), place.catalog_bytes or 0
        ),
    )  # fmt: skip


def too_late(found: StatusReport, max_age: float) -> list[str]:
    """Return what is later than an operator puts up with, in words: nothing, or reasons for an alarm."""
    late = []
    allowed = human_seconds(max_age)
    through = found.last_through
    if through is None:
        late.append("no run has looked at everything yet")
    elif found.at - through.started > max_age:
        age = human_seconds(found.at - through.started)
        late.append(f"the last run that looked at everything began {age} ago, more than {allowed}")
    for_long = [one for one in found.failing if found.at - one.since > max_age]
    if for_long:
        others = f" and {len(for_long) - 1:,} more" if len(for_long) > 1 else ""
        late.append(f"{for_long[0].name}{others}: owed for more than {allowed}")
    if found.held_back is not None:
        late.append(f"removals wait to be confirmed: {found.held_back.plan}")
    return late


def lag_serials(ours: int | None, theirs: int | None) -> int | None:
    """Return by how much upstream is ahead; None where either is not known."""
    return None if ours is None or theirs is None else max(0, theirs - ours)


def lag_seconds(ours: int | None, theirs: int | None, through: RunRecord | None, now: int) -> int | None:
    """Return for how long upstream may have been ahead.

    Nothing where it shows our serial. Else it moved after the last run that looked at everything had asked for the
    list, that is, after that run began; None where there was none.
    """
    behind = lag_serials(ours, theirs)
    if behind == 0:
        return 0
    least = 0 if behind is None else 1  # 0 is for those who are not behind
    return None if through is None else max(least, now - through.started)


def longest_first(owed: list[Owed]) -> tuple[Failing, ...]:
    """Return the failing projects in the order in which somebody should look at them."""
    return tuple(
        Failing(o.name, o.kind, o.message, o.attempts, o.since, o.retry_at)
        for o in sorted(owed, key=lambda o: (o.since, o.name))
    )


async def _ask(ports: Ports, address: str) -> UpstreamNow:
    try:
        return UpstreamNow(address, asked=True, serial=await ports.upstream.serial())
    except UpstreamError as error:
        return UpstreamNow(address, asked=True, error=str(error))


async def _stage(storage: Storage, state: State, status: str | None, *, has_catalog: bool) -> Stage:
    if has_catalog:
        return Stage.BEGUN if state.rendering is None else Stage.MIRROR
    pages = await storage.stat([layout.root_page_key(kind) for kind in PageKind])
    return Stage.TREE if status is not None or any(pages) else Stage.NOTHING


def _is_changed(state: State, status: str | None, todo: str | None) -> bool:
    if state.status is None and state.todo is None:
        return False
    return status not in {state.status, state.writing_status} or todo not in {state.todo, state.writing_todo}


def _at_work(holder: str | None, running: Running | None) -> AtWork | None:
    if running is not None:
        return AtWork(holder, running.command, running.started, running.changes)
    return None if holder is None else AtWork(holder, None, None, 0)


def _facts(run: RunRecord | None) -> RunFacts | None:
    if run is None:
        return None
    said = json.loads(run.summary)
    return RunFacts(
        command=run.command,
        started=run.started,
        seconds=round(said.get("seconds") or max(0, run.finished - run.started), 1),
        exit_code=run.exit_code,
        stopped=said.get("stopped"),
        updated=said.get("updated", 0),
        unchanged=said.get("unchanged", 0),
        failed=len(said.get("failed", ())) + len(said.get("missing", ())),
        removed=len(said.get("removed", ())),
        files=said.get("files", 0),
        bytes=said.get("bytes", 0),
    )


def _held_back(through: RunRecord | None) -> HeldBack | None:
    """Return the plan that still waits: only the last run that looked at everything can say so."""
    said = json.loads(through.summary).get("held_back") if through is not None else None
    if said is None:
        return None
    return HeldBack(said["plan"], said["projects"], said["files"], said["bytes"], tuple(said["names"]))


async def _free(storage: Storage) -> int | None:
    try:
        return await storage.free_bytes()
    except StorageError:  # such as: no directory yet
        return None


def _number(status: str | None) -> int | None:
    text = (status or "").strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None
