"""`diff-file`: references to other keys in its value, and where the list of a run goes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from frumious.config.settings import Settings

DEFAULT_NAME = "mirrored-files"
"""What the file is called where `diff-file` names a directory, as in bandersnatch."""
DELETED = ".deleted"
"""What the list of deletions has behind the name of the other."""

_REFERENCE = re.compile(r"\{\{([^{}]*)\}\}")
_PARTS = re.compile(r"([^_]{2,})_(.+)")
_STATE = frozenset({"status", "todo", "generation", ".lock", ".frumious"})
_PUBLISHED = frozenset(
    {"simple", "packages", "json", "pypi", "integrity", "local-stats", "last-modified"}
    | {"local.json", "local.db.serial"}
)


class Unresolved(ValueError):
    """A reference that names no key with a value; `reference` is as it stands in the file."""

    def __init__(self, reference: str, reason: str) -> None:
        super().__init__(f"{reference} {reason}")
        self.reference, self.reason = reference, reason


def expand(text: str, lookup: Callable[[str, str], str | None]) -> str:
    """Return `text` with the value of each key in place of its `{{SECTION_OPTION}}`; raises Unresolved.

    The section ends at the first underscore, as in bandersnatch; blanks inside the braces do not count. What `lookup`
    returns is taken as it is.
    """

    def value(match: re.Match[str]) -> str:
        parts = _PARTS.fullmatch(match[1].strip())
        if parts is None:
            raise Unresolved(match[0], "is not of the form {{SECTION_OPTION}}")
        found = lookup(parts[1], parts[2])
        if found is None:
            raise Unresolved(match[0], f"names a key that is not there: {parts[2]} in [{parts[1]}]")
        return found

    return _REFERENCE.sub(value, text)


def diff_paths(settings: Settings, started: int) -> tuple[Path, Path] | None:
    """Return where a run that started then (seconds since 1970) lists what it changed, and what it deleted.

    None where nothing is to be listed. The epoch comes first, as in bandersnatch: only what is an existing directory
    with it gets a file of the usual name inside.
    """
    path = settings.diff_file
    if path is None:
        return None
    if settings.diff_append_epoch:
        path = path.with_name(f"{path.name}-{started}")
    if path.is_dir() or path == settings.directory:
        path /= DEFAULT_NAME
    return path, path.with_name(f"{path.name}{DELETED}")


def is_taken(path: Path, settings: Settings) -> bool:
    """Say whether a path belongs to the mirror itself, so that a list there would replace something of it."""
    if path == settings.catalog:
        return True
    try:
        parts = path.resolve().relative_to(settings.directory.resolve()).parts
    except ValueError:
        return False
    if len(parts) < 2:
        return not parts or parts[0] in _STATE or parts[0] == "web"
    return parts[0] in _STATE or (parts[0] == "web" and parts[1] in _PUBLISHED)
