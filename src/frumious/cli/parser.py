"""What can be typed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from frumious import __version__

DEFAULT_CONFIG = Path("/etc/bandersnatch.conf")


def build_parser(prog: str) -> argparse.ArgumentParser:
    """Return the parser of the whole command line; `prog` is the name we were called by."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Mirror PyPI, or the part of it that you choose.",
        epilog="Exit codes: 0 whole, 1 not started, 2 usage or configuration, 3 some projects are owed, 4 another run holds the lock.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--version", action="version", version=f"{prog} {__version__}", help="print the version and exit"
    )
    _add_common(parser, defaults=True)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")

    mirror = commands.add_parser(
        "mirror",
        help="bring the mirror up to date",
        description="Bring everything that the configuration selects up to date. Without a configuration file, write a default one and stop.",
        allow_abbrev=False,
    )
    _add_common(mirror, defaults=False)

    sync = commands.add_parser(
        "sync",
        help="bring just the named projects up to date",
        description="Bring just these projects up to date, whatever the filters say. `status` and `last-modified` stay as they are.",
        allow_abbrev=False,
    )
    sync.add_argument("package", nargs="+", metavar="NAME", help="name of a project")
    _add_common(sync, defaults=False)
    return parser


def _add_common(parser: argparse.ArgumentParser, *, defaults: bool) -> None:
    """Add the options that stand before or after the command; only the outer parser has their defaults."""
    unset = argparse.SUPPRESS
    parser.add_argument(
        "-c",
        "--config",
        type=_path,
        metavar="FILE",
        default=DEFAULT_CONFIG if defaults else unset,
        help=f"configuration file (default: {DEFAULT_CONFIG})",
    )
    parser.add_argument(
        "--debug",
        action="store_true",
        default=False if defaults else unset,
        help="log every project and file",
    )


def _path(text: str) -> Path:
    if not text:  # such as -c "$UNSET"; Path("") would be the current directory
        raise argparse.ArgumentTypeError("an empty name")
    return Path(text)


def parse(argv: Sequence[str]) -> argparse.Namespace | int:
    """Return what was asked for, or the exit code if nothing is left to do."""
    called = Path(sys.argv[0]).name
    prog = called if called in {"frumious", "bandersnatch"} else "frumious"
    parser = build_parser(prog)
    try:
        parsed = parser.parse_args(argv)
    except SystemExit as ended:  # argparse has printed; the process ends in one place only
        return ended.code if isinstance(ended.code, int) else 2
    parsed.prog = prog
    if parsed.command is None:
        parser.print_help()
        return 0
    return parsed
