"""The command line: one small module per command. Only here does the process end.

Heavy imports stand inside the functions that need them, so that `--version` and `--help` cost what Python costs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from frumious.cli.stopping import end_at_once_on_signals


def main(argv: Sequence[str] | None = None) -> None:
    """Run a command and end the process with its exit code (docs/operations.md)."""
    _open_standard_streams()
    end_at_once_on_signals()
    code = run(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # the reader of our pipe is gone; there is nobody left to tell
            code = code or 1
    # Not sys.exit: the HTTP client's runtime can abort an interpreter that shuts down right after a request
    # (docs/decisions/0001). Everything of ours is closed by now.
    os._exit(code)


def _open_standard_streams() -> None:
    """Put /dev/null where a standard stream is closed (`2>&-`, some supervisors).

    Else the next file that is opened, such as the catalog, would get its number, and what a library prints.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w", closefd=False))


def run(argv: Sequence[str]) -> int:
    """Run a command and return its exit code."""
    from frumious.cli.parser import parse

    parsed = parse(argv)
    if isinstance(parsed, int):
        return parsed
    from frumious.cli.command import execute

    return execute(parsed)
