"""What leaves the mirror: who decides, and the order in which it goes (design.md §5.5, §6.4).

List, page, bytes to trash, grace, deletion. Each step is recorded when it is done, so that a run that dies is
finished by the next one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from frumious.catalog.base import Leave, Released, Trashed
from frumious.errors import UsageError
from frumious.model import layout
from frumious.model.names import NormalizedName
from frumious.storage.base import Storage
from frumious.sync.options import Removal, Rendering
from frumious.sync.page import EVERYWHERE, spelled_keys, stale_keys
from frumious.sync.ports import Ports
from frumious.sync.versions import folder_of, kept_pages

TRASH = ".frumious/trash/"
DROPPED_STAY = 3600
"""Seconds for which the bytes of what a filter drops stay in place, for clients that hold the page."""
BATCH = 1000
NOTHING = Rendering(html=False, json=False)
NO_NAMES: Mapping[NormalizedName, str] = {}


@dataclass(frozen=True, slots=True)
class Removals:
    """What a run would remove: projects, and files of projects that stay, by name."""

    projects: Mapping[NormalizedName, str] = field(default_factory=dict)
    """With the reason: deleted or dropped."""
    files: Mapping[NormalizedName, int] = field(default_factory=dict)
    """How many files each of them loses."""

    def dumps(self) -> str:
        """Return this as text that `loads` reads; equal removals give equal text."""
        return json.dumps({"projects": self.projects, "files": self.files}, sort_keys=True)

    @classmethod
    def loads(cls, text: str) -> Removals:
        """Read what `dumps` wrote."""
        said = json.loads(text)
        return cls(said["projects"], said["files"])

    @property
    def id(self) -> str:
        """A short name, the same for the same removals."""
        return hashlib.sha256(self.dumps().encode()).hexdigest()[:8]

    def without(self, confirmed: Removals) -> Removals:
        """Return what somebody who confirmed those has not confirmed."""
        return Removals(
            {name: why for name, why in self.projects.items() if name not in confirmed.projects},
            {
                name: count
                for name, count in self.files.items()
                if name not in confirmed.projects and count > confirmed.files.get(name, 0)
            },
        )


@dataclass(frozen=True, slots=True)
class Holdings:
    """What there is, for comparison."""

    projects: int
    files: int


def is_too_much(projects: int, files: int, holdings: Holdings, removal: Removal) -> bool:
    """Say whether so much is more than a run may remove on its own: more than the number *and* more than the share."""
    return _exceeds(projects, holdings.projects, removal.max_projects, removal.max_percent) or _exceeds(
        files, holdings.files, removal.max_files, removal.max_percent
    )


def _exceeds(count: int, whole: int, most: int, percent: float) -> bool:
    return count > most and count * 100 > whole * percent


async def confirmed_plan(ports: Ports, removal: Removal) -> Removals:
    """Return the plan that the operator has confirmed, an empty one if none; raises UsageError for an unknown one."""
    if removal.confirmed is None:
        return Removals()
    body = await ports.catalog.plan(removal.confirmed)
    if body is None:
        error = UsageError(f"no plan of removals {removal.confirmed!r} is waiting to be confirmed")
        error.hint = "a run that holds removals back prints the name of its plan; only the latest is kept"
        raise error
    return Removals.loads(body)


@dataclass(frozen=True, slots=True)
class Decision:
    """What the guard says: which of the removals may happen now."""

    allowed: Removals
    held: Removals
    """Empty: all of them."""
    files: int = 0
    """Files held back, those of whole projects included."""
    bytes: int = 0
    """Of the whole projects held back."""


async def guard(ports: Ports, removal: Removal, wanted: Removals) -> Decision:
    """Decide whether removals happen now or wait for the operator; what waits is kept as a plan."""
    fresh = wanted.without(await confirmed_plan(ports, removal))
    files, size = await ports.catalog.file_counts(list(fresh.projects))
    files += sum(fresh.files.values())
    if len(fresh.projects) <= removal.max_projects and files <= removal.max_files:
        return Decision(wanted, Removals())
    counts = await ports.catalog.counts()
    holdings = Holdings(counts["projects"], counts["files"])
    if not is_too_much(len(fresh.projects), files, holdings, removal):
        return Decision(wanted, Removals())
    await ports.catalog.put_plan(fresh.id, fresh.dumps(), int(ports.clock()))
    allowed = Removals(
        {name: why for name, why in wanted.projects.items() if name not in fresh.projects},
        {name: count for name, count in wanted.files.items() if name not in fresh.files},
    )
    return Decision(allowed, fresh, files, size)


async def leave(ports: Ports, projects: Mapping[NormalizedName, str], *, keep_out: bool = False) -> None:
    """Take projects off the list; their pages go when the list that does not name them is out."""
    names = list(projects)
    for start in range(0, len(names), BATCH):
        part = [Leave(name, projects[name]) for name in names[start : start + BATCH]]
        await ports.catalog.leave(part, int(ports.clock()), keep_out=keep_out)


async def remove_pages(ports: Ports, typed: Mapping[NormalizedName, str] = NO_NAMES) -> int:
    """Delete the pages of projects that are off the published list; return how many projects these were.

    Pages under other spellings of their names go, too: as upstream spells it, and as somebody has `typed` it.
    """
    names = await ports.catalog.leaving()
    for start in range(0, len(names), BATCH):
        part = names[start : start + BATCH]
        rows = await ports.catalog.known(part)
        spellings = {name: {rows[name].display, typed.get(name, name)} for name in part}
        await ports.storage.delete(await page_keys(ports.storage, spellings))
        await ports.storage.barrier()
        await ports.catalog.gone(part)
    return len(names)


async def page_keys(storage: Storage, spellings: Mapping[NormalizedName, Collection[str]]) -> list[str]:
    """Return every key at which pages of projects may lie, and those of earlier pages that do."""
    keys: list[str] = []
    for name, others in spellings.items():
        keys += [*stale_keys(name, EVERYWHERE, NOTHING), *spelled_keys(name, others)]
    folders = dict.fromkeys(folder_of(key) for key in keys if key.startswith(layout.SIMPLE))
    for folder in folders:
        keys += kept_pages([stat.key async for stat in storage.list(folder)])
    return keys


async def collect(ports: Ports, removal: Removal) -> tuple[int, int]:
    """Move what no page refers to out of `web/`, and delete what has been in the trash long enough.

    Return how many objects left `web/`, and their bytes.
    """
    count = size = 0
    now = int(ports.clock())
    while released := await ports.catalog.released(now, DROPPED_STAY, BATCH):
        # What is pinned is in quarantine, and wanted back when that is lifted.
        keeps = [one for one in released if removal.trash_seconds or one.is_pinned]
        goes = [one.key for one in released if not removal.trash_seconds and not one.is_pinned]
        if keeps:
            await _to_trash(ports, keeps, now)
        if goes:
            await ports.storage.delete(goes)
            await ports.storage.barrier()
            await ports.catalog.forget_objects(goes)
        count += len(released)
        size += sum(one.size for one in released)
    await empty(ports, now - removal.trash_seconds)
    return count, size


async def empty(ports: Ports, before: int) -> tuple[int, int]:
    """Delete what has been in the trash since `before` or longer; return how many objects, and their bytes."""
    count = size = 0
    while old := await ports.catalog.trash(before, BATCH):
        await ports.storage.delete([one.place for one in old])
        await ports.storage.barrier()
        await ports.catalog.emptied([one.place for one in old])
        count += len(old)
        size += sum(one.size for one in old)
    return count, size


def trash_place(key: str, sha256: str) -> str:
    """Return where an object lies in the trash: the same for the same bytes of the same key."""
    origin = hashlib.sha256(key.encode()).hexdigest()[:16]
    return f"{TRASH}{sha256[:2]}/{sha256[:32]}{origin}/{key.rpartition('/')[2]}"


async def _to_trash(ports: Ports, released: Sequence[Released], now: int) -> None:
    places = [trash_place(one.key, one.sha256) for one in released]
    there = await ports.storage.stat([one.key for one in released])
    moves = [
        (one.key, place) for one, place, stat in zip(released, places, there, strict=True) if stat is not None
    ]
    await ports.storage.move(moves)
    await ports.storage.barrier()
    # An earlier run may have moved it and died before it could say so.
    found = await ports.storage.stat(places)
    await ports.catalog.trashed(
        [
            Trashed(place, one.key, one.sha256, one.size, one.project, one.reason, now, one.at)
            for one, place, stat in zip(released, places, found, strict=True)
            if stat is not None
        ]
    )
    lost = [one.key for one, stat in zip(released, found, strict=True) if stat is None]
    await ports.catalog.forget_objects(lost)
