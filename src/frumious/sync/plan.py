"""Decide what to look at. Pure: the same lists and rows give the same plan."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import msgspec

from frumious.catalog.base import Applied, ProjectRow
from frumious.model.names import NormalizedName
from frumious.model.project import ListedProject

Keeps = Callable[[str], NormalizedName | None]
"""A display name to the normalized name if it is valid and selected."""

LONGEST_BACKOFF = 24 * 3600
STUCK_ACCEPTED_AFTER = 24 * 3600


@dataclass(frozen=True, slots=True)
class Job:
    """One project to look at."""

    name: NormalizedName
    display: str
    wanted: int | None = None
    """The serial that upstream's list shows; a page below it is stale."""
    row: ProjectRow | None = None
    asked: bool = False
    """Somebody named this very project: that upstream has none is a failure, not news."""
    again: bool = False
    """Render from the catalog, without asking upstream for the page."""
    replay: bool = False
    """With `again`: as it was published, without asking upstream for anything."""
    judges: bool = False
    """With `again`: only the filters have changed, so that a page which stays as it is need not be written."""
    vanished: bool = False
    """It has just left upstream's list: a page that is absent, too, is proof."""
    may_remove: bool = False
    """The guard has let it lose files, or its page."""
    keeps: bool = False
    """The guard has not: it goes on listing what it holds, and is owed another look."""
    pins_only: bool = False
    """Of all that upstream offers, nothing is wanted; what is pinned stays."""
    tries: int = 0


class Wanted(msgspec.Struct, frozen=True, gc=False):
    """A project that the list shows and the catalog may not have."""

    name: NormalizedName
    display: str
    serial: int | None


@dataclass(frozen=True, slots=True)
class Changes:
    """The difference between the list as last applied and the list now."""

    wanted: Sequence[Wanted]
    vanished: Sequence[NormalizedName]
    applied: Applied


def compare_lists(before: Applied | None, offered: Iterable[ListedProject], keeps: Keeps) -> Changes:
    """Return what the list changed, of what `keeps` selects.

    An entry without a serial always counts as changed. With `before` None everything does. A name that appears
    twice after normalization counts once.
    """
    names: list[str] = []
    serials = array("q")
    for project in offered:
        if "\n" in project.name:
            continue  # no project name, and it would break the catalog's packed list
        names.append(project.name)
        serials.append(project.serial or 0)
    now = Applied(names, serials)
    if before is not None and 0 not in serials and before.names == names and before.serials == serials:
        return Changes((), (), now)
    known = dict(zip(before.names, before.serials, strict=True)) if before else {}
    wanted: dict[NormalizedName, Wanted] = {}
    for display, serial in zip(names, serials, strict=True):
        if known.pop(display, None) == serial != 0:
            continue
        name = keeps(display)
        if name is not None:
            wanted.setdefault(name, Wanted(name, display, serial or None))
    # A changed spelling is not a vanished project.
    gone = {name for display in known if (name := keeps(display)) is not None} - wanted.keys()
    if gone:
        gone -= {name for display in names if (name := keeps(display)) is not None}
    return Changes(tuple(wanted.values()), tuple(sorted(gone)), now)


def without(applied: Applied, displays: Iterable[str]) -> Applied:
    """Return the list without these entries, so that the next run sees them as new."""
    drop = set(displays)
    if not drop:
        return applied
    kept = [(n, s) for n, s in zip(applied.names, applied.serials, strict=True) if n not in drop]
    return Applied([n for n, _ in kept], array("q", [s for _, s in kept]))


def is_done(wanted: Wanted, row: ProjectRow | None) -> bool:
    """Say whether the catalog already has what the list shows: a run that was interrupted got this far."""
    return (
        row is not None
        and (row.published is not None or row.declined is not None)
        and row.attempts == 0
        and row.serial is not None
        and wanted.serial is not None
        and row.serial >= wanted.serial
    )


def serial_to_publish(upstream: int | None, head: int, row: ProjectRow | None) -> int:
    """Return the serial under which a changed page is published (design.md §5, *Serials we publish*).

    It is upstream's where that is news to those who have our last list, else the next one: numbers never fall and
    every change is seen.
    """
    floor = max(head, (row.published or 0) if row else 0)
    return upstream if upstream is not None and upstream > floor else floor + 1


def next_retry(now: float, attempts: int) -> int:
    """Return when a project that failed `attempts` times is next asked for: three runs at once, then rarely."""
    if attempts <= 3:
        return int(now)
    return int(now) + min(LONGEST_BACKOFF, 900 << min(attempts - 4, 20))


def is_stuck(row: ProjectRow | None, got: int, now: float) -> bool:
    """Say whether upstream has given the same too old page for a day: then it is accepted (design.md §5.3)."""
    return (
        row is not None
        and row.stuck_serial == got
        and row.stuck_since is not None
        and now - row.stuck_since >= STUCK_ACCEPTED_AFTER
    )


def is_gone(job: Job) -> bool:
    """Say whether a page of ours that upstream answers with 404 is gone for good (design.md §5.5).

    One 404 is no proof: the list and the page agree, or two runs do.
    """
    row = job.row
    return row is not None and row.published is not None and (job.vanished or row.absent_at is not None)
