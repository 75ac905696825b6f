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
        epilog="Exit codes: 0 whole, 1 not started, 2 usage or configuration, 3 some projects are owed, 4 another run holds the lock, 5 a guard stopped a removal.",
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
    mirror.add_argument(
        "--force-check",
        action="store_true",
        help="ask upstream for every project again, changed or not, and compare the files that are here",
    )
    mirror.add_argument(
        "--cleanup-todo", action="store_true", help="accepted for bandersnatch's sake: this happens anyway"
    )
    mirror.add_argument(
        "--confirm",
        metavar="PLAN",
        help="make the removals that the last run held back under this name, as far as they are still to be made",
    )
    _add_common(mirror, defaults=False)

    sync = commands.add_parser(
        "sync",
        help="bring just the named projects up to date",
        description="Bring just these projects up to date, whatever the filters on names say. `status` and `last-modified` stay as they are.",
        allow_abbrev=False,
    )
    sync.add_argument("package", nargs="+", metavar="NAME", help="name of a project")
    sync.add_argument(
        "--skip-simple-root", action="store_true", help="leave the project list of the mirror as it is"
    )
    _add_common(sync, defaults=False)

    plan = commands.add_parser(
        "plan",
        help="print what the next `mirror` would do",
        description="Print what the next `mirror` would fetch, keep and remove, and change nothing. Upstream is asked for the pages that the run would ask for, and for no file.",
        allow_abbrev=False,
    )
    plan.add_argument("--json", action="store_true", help="print one JSON object")
    _add_common(plan, defaults=False)

    explain = commands.add_parser(
        "explain",
        help="say which filter keeps or drops a project, a release or a file",
        description="Say which filter keeps or drops a project, a release or a file, and why. Changes nothing.",
        allow_abbrev=False,
    )
    explain.add_argument("what", metavar="WHAT", help="NAME, NAME==VERSION, or the name of a file")
    explain.add_argument("--json", action="store_true", help="print one JSON object")
    _add_common(explain, defaults=False)

    catalog = commands.add_parser(
        "catalog",
        help="look after the catalog",
        description="Look after the catalog, in which Frumious keeps what it knows of the mirror.",
        allow_abbrev=False,
    )
    _add_common(catalog, defaults=False)
    catalog_actions = catalog.add_subparsers(dest="action", metavar="ACTION", required=True)
    rebuild = catalog_actions.add_parser(
        "rebuild",
        help="make a lost catalog again from the files of the mirror",
        description="Make the catalog again from the files of the mirror, without asking upstream. A catalog that is there is moved aside first.",
        allow_abbrev=False,
    )
    _add_common(rebuild, defaults=False)

    config = commands.add_parser(
        "config",
        help="check or show the configuration",
        description="Read the configuration as a run does, and change nothing.",
        allow_abbrev=False,
    )
    _add_common(config, defaults=False)
    actions = config.add_subparsers(dest="action", metavar="ACTION", required=True)
    check = actions.add_parser(
        "check",
        help="say whether a run could use it",
        description="Say whether a run could use the configuration, and whose program `bandersnatch` is. Exit codes: 0 or 2.",
        allow_abbrev=False,
    )
    _add_common(check, defaults=False)
    show = actions.add_parser(
        "show",
        help="print every setting and where it comes from",
        description="Print every setting as a run would use it, and where it comes from: a line of the file, or the default.",
        allow_abbrev=False,
    )
    show.add_argument("--json", action="store_true", help="print one JSON object")
    _add_common(show, defaults=False)
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
