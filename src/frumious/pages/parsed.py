"""What reading a project list gives; project details have their value in `frumious.model.project`."""

from __future__ import annotations

import msgspec

from frumious.model.project import ListedProject


class ParsedList(msgspec.Struct, frozen=True):
    """A project list as upstream gave it. Names are as written: whoever uses one normalizes it."""

    projects: tuple[ListedProject, ...]
    serial: int | None = None
    """Upstream's global serial, where it has one."""
    problems: tuple[str, ...] = ()
    """What was left out, one sentence an entry."""
    api_version: str = "1.0"
    """As the list says; `formats.check_api_version` says whether that is newer than what we know."""
