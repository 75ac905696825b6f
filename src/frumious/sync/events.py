"""What happens in a run, as values: the engine tells an observer, the command line makes lines and bars of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from frumious.model.names import NormalizedName


@dataclass(frozen=True, slots=True)
class ListRead:
    """The project list came: how many it names, upstream's serial; `changed` is False on 304."""

    projects: int
    serial: int | None
    changed: bool


@dataclass(frozen=True, slots=True)
class TreeRead:
    """So many more projects of a tree that another program made were read, with so many files in place."""

    projects: int
    files: int


@dataclass(frozen=True, slots=True)
class Planned:
    """So many more projects will be looked at."""

    projects: int


@dataclass(frozen=True, slots=True)
class FilesPlanned:
    """So many files and bytes must come for one project."""

    name: NormalizedName
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class BytesReceived:
    """Bytes of a file arrived."""

    count: int


@dataclass(frozen=True, slots=True)
class FileHeld:
    """A file is in place and checked; `downloaded` is False where it already stood there."""

    name: NormalizedName
    filename: str
    size: int
    downloaded: bool


@dataclass(frozen=True, slots=True)
class ProjectPublished:
    """A project's new page is in place."""

    name: NormalizedName
    serial: int
    files: int


@dataclass(frozen=True, slots=True)
class ProjectUnchanged:
    """A project was asked for and is as it was."""

    name: NormalizedName


@dataclass(frozen=True, slots=True)
class ProjectDeclined:
    """The filters drop a project for what it offers."""

    name: NormalizedName
    reason: str


@dataclass(frozen=True, slots=True)
class ProjectFailed:
    """A project keeps its old page and is owed."""

    name: NormalizedName
    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class ProjectMissing:
    """Upstream has no such project; `held` says that we keep a page of it."""

    name: NormalizedName
    held: bool


@dataclass(frozen=True, slots=True)
class ProjectsRemoved:
    """Projects are off the list and their pages are gone."""

    names: tuple[NormalizedName, ...]


@dataclass(frozen=True, slots=True)
class BytesRemoved:
    """Objects that no page refers to have left `web/`."""

    objects: int
    bytes: int


@dataclass(frozen=True, slots=True)
class RemovalsHeld:
    """More would be removed than a run may do on its own: nothing of it is, until somebody confirms the plan."""

    plan: str
    projects: int
    files: int
    """Those of whole projects included."""
    bytes: int
    """Of whole projects."""
    names: tuple[NormalizedName, ...]
    """The first ten."""


@dataclass(frozen=True, slots=True)
class Verified:
    """So many more projects, files and bytes were compared with what they should be."""

    projects: int
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Searched:
    """So many more things that lie in the mirror's folders were looked at, whether anybody knows them."""

    keys: int


@dataclass(frozen=True, slots=True)
class Notice:
    """Something an operator should read; `level` is `info` or `warning`."""

    text: str
    level: str = "warning"


Event = (
    ListRead
    | TreeRead
    | Planned
    | FilesPlanned
    | BytesReceived
    | FileHeld
    | ProjectPublished
    | ProjectUnchanged
    | ProjectFailed
    | ProjectMissing
    | ProjectDeclined
    | ProjectsRemoved
    | BytesRemoved
    | RemovalsHeld
    | Verified
    | Searched
    | Notice
)
Observer = Callable[[Event], None]
