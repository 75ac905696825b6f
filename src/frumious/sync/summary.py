"""What a run amounts to: the one line at its end, the JSON summary, the exit code."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from enum import IntEnum
from typing import Any

from frumious.sync.events import (
    BytesReceived,
    BytesRemoved,
    Event,
    FileHeld,
    ProjectDeclined,
    ProjectFailed,
    ProjectMissing,
    ProjectPublished,
    ProjectsRemoved,
    ProjectUnchanged,
    RemovalsHeld,
)


class ExitCode(IntEnum):
    """Exit codes of design.md §10."""

    WHOLE = 0
    NOT_STARTED = 1
    USAGE = 2
    OWED = 3
    LOCKED = 4
    GUARDED = 5
    FOUND = 6


@dataclass(slots=True)
class Summary:
    """Counts of one run; an observer that only adds up."""

    command: str = "mirror"
    updated: int = 0
    unchanged: int = 0
    files: int = 0
    """Files downloaded."""
    adopted: int = 0
    """Files that stood in place and were right."""
    bytes: int = 0
    """Bytes of files that came over the network."""
    failed: dict[str, str] = field(default_factory=dict)
    """Projects asked for in this run that failed, with the reason."""
    missing: list[str] = field(default_factory=list)
    """Projects asked for by name that upstream does not have."""
    vanished: list[str] = field(default_factory=list)
    """Projects that upstream no longer has and we keep."""
    declined: int = 0
    """Projects looked at that the filters drop for what they offer."""
    removed: list[str] = field(default_factory=list)
    """Projects taken off the mirror."""
    trashed: int = 0
    """Files and other objects that left `web/`, since no page refers to them any more."""
    trashed_bytes: int = 0
    held_back: dict[str, Any] | None = None
    """The plan of removals that waits for the operator: `plan`, `projects`, `files`, `bytes`, `names` (ten of them)."""
    owed: int = 0
    """Projects owed at the end, from this and earlier runs."""
    serial: int | None = None
    stopped: str | None = None
    """Why the run ended before its end, if it did."""
    started: float = 0.0
    seconds: float = 0.0

    def see(self, event: Event) -> None:
        """Count an event."""
        match event:
            case BytesReceived():
                self.bytes += event.count
            case FileHeld(downloaded=True):
                self.files += 1
            case FileHeld():
                self.adopted += 1
            case ProjectMissing(held=True):
                self.vanished.append(event.name)
            case ProjectMissing():
                self.missing.append(event.name)
            case ProjectFailed():
                self.failed[event.name] = event.message
            case ProjectPublished() | ProjectUnchanged() | ProjectDeclined():
                self._see_done(event)
            case ProjectsRemoved() | BytesRemoved() | RemovalsHeld():
                self._see_removal(event)
            case _:
                pass

    def _see_done(self, event: ProjectPublished | ProjectUnchanged | ProjectDeclined) -> None:
        self.failed.pop(event.name, None)
        match event:
            case ProjectPublished():
                self.updated += 1
            case ProjectUnchanged():
                self.unchanged += 1
            case ProjectDeclined():
                self.declined += 1

    def _see_removal(self, event: ProjectsRemoved | BytesRemoved | RemovalsHeld) -> None:
        match event:
            case ProjectsRemoved():
                self.removed += event.names
            case BytesRemoved():
                self.trashed += event.objects
                self.trashed_bytes += event.bytes
            case RemovalsHeld():
                self.held_back = asdict(event)

    @property
    def exit_code(self) -> ExitCode:
        """0 only when everything asked for is there, and nothing that should go is."""
        if self.held_back is not None:
            return ExitCode.GUARDED
        return ExitCode.OWED if self.failed or self.owed or self.missing or self.stopped else ExitCode.WHOLE

    @property
    def changed(self) -> bool:
        """Whether the run changed what is published."""
        return self.updated > 0 or bool(self.removed)

    def as_json(self) -> dict[str, Any]:
        """Return the summary for machines (docs/operations.md)."""
        return {**asdict(self), "exit_code": int(self.exit_code)}

    def dumps(self) -> str:
        """Return `as_json` as text."""
        return json.dumps(self.as_json(), sort_keys=True)
