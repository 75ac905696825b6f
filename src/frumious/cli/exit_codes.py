"""From our exit codes (design.md §10) to bandersnatch's, for cron jobs that know only those: `exit-codes`."""

from __future__ import annotations

import re
from pathlib import Path

from frumious.sync.summary import ExitCode

THEIR_COMMANDS = frozenset({"mirror", "sync", "verify", "delete"})
"""Commands that bandersnatch has, too; the others have our codes always."""

_WANTED = re.compile(rb"^exit-codes[ \t]*=[ \t]*bandersnatch[ \t]*\r?$", re.MULTILINE)


def bandersnatch_code(code: int, *, usage: bool = False, stopped: bool = False) -> int:
    """Return what bandersnatch would have ended with.

    `usage`: the command line was wrong, not the configuration. `stopped`: the run ended before its end, so that
    projects are owed which it did not look at.
    """
    match code:
        case ExitCode.OWED:
            return 1 if stopped else 0
        case ExitCode.USAGE:
            return 2 if usage else 1
        case ExitCode.LOCKED | ExitCode.GUARDED:
            return 1
        case ExitCode.FOUND:
            return 0
        case _:
            return code


def bandersnatch_verify_code(code: int, *, documents: int | None) -> int:
    """Return what bandersnatch's `verify` would have ended with, which goes by `web/json`.

    `documents`: how many there were; None: not even the folder.
    """
    if not documents:
        return 1 if documents is None else 3
    return bandersnatch_code(code)


def wants_bandersnatch_codes(config: Path) -> bool:
    """Say whether a file that could not be read as a configuration asks for bandersnatch's exit codes all the same."""
    try:
        return _WANTED.search(config.read_bytes()) is not None
    except (OSError, ValueError):
        return False
