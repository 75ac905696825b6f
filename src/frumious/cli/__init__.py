"""The command line: one small module per command. Only here does the process end.

Heavy imports stand inside the functions that need them, so that `--version` and `--help` cost what Python costs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> None:
    """Run a command and end the process with its exit code (docs/operations.md)."""
    code = run(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # the reader of our pipe is gone; there is nobody left to tell
            code = code or 1
    # Not sys.exit: the HTTP client's runtime can abort an interpreter that shuts down right after a request
    # (docs/decisions/0001). Everything of ours is closed by now.
    os._exit(code)


def run(argv: Sequence[str]) -> int:
    """Run a command and return its exit code."""
    from frumious.cli.parser import parse  # noqa: PLC0415 - see the module's docstring

    parsed = parse(argv)
    if isinstance(parsed, int):
        return parsed
    from frumious.cli.command import execute  # noqa: PLC0415

    return execute(parsed)
