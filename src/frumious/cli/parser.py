"""What can be typed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from frumious import __version__
from frumious.cli.typed import days, duration, host, part, port, workers

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - it has no other name

DEFAULT_CONFIG = Path("/etc/bandersnatch.conf")


def build_parser(prog: str) -> argparse.ArgumentParser:
    """Return the parser of the whole command line; `prog` is the name we were called by."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Mirror PyPI, or the part of it that you choose.",
        epilog="Exit codes: 0 whole, 1 not started, 2 usage or configuration, 3 some projects are owed, 4 another run holds the lock, 5 a guard stopped a removal, 6 verify found something.",
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

    _add_serve(commands)
    _add_credentials(commands)
    _add_status(commands)
    _add_verify(commands)
    _add_delete(commands)
    _add_trash(commands)

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


def _add_serve(commands: Commands) -> None:
    serve = commands.add_parser(
        "serve",
        help="serve the mirror over HTTP",
        description="Serve the mirror to pip, uv and other mirrors until a signal asks for the end. Changes nothing; runs may go on at the same time.",
        allow_abbrev=False,
    )
    serve.add_argument(
        "--host",
        type=host,
        metavar="ADDRESS",
        help="listen there, or at unix:/PATH, instead of [server] host",
    )
    serve.add_argument("--port", type=port, metavar="N", help="listen on this port, instead of [server] port")
    serve.add_argument(
        "--workers", type=workers, metavar="N", help="so many processes, instead of [server] workers"
    )
    _add_common(serve, defaults=False)


def _add_credentials(commands: Commands) -> None:
    credentials = commands.add_parser(
        "credentials",
        help="make a line for the file of those who may read",
        description="Print a line for the file that [server] users names: of a password, which is asked for or read from standard input, or of a token, which is made and shown once on standard error.",
        allow_abbrev=False,
    )
    credentials.add_argument("name", metavar="NAME", help="who it is")
    credentials.add_argument(
        "--token", action="store_true", help="make a token: long, random, and quick to check"
    )
    _add_common(credentials, defaults=False)


def _add_status(commands: Commands) -> None:
    status = commands.add_parser(
        "status",
        help="say how the mirror stands",
        description="Say how far the mirror is behind upstream, what the last run did, what is owed and why. Changes nothing and waits for nobody, also while a run is on.",
        allow_abbrev=False,
    )
    status.add_argument("--offline", action="store_true", help="do not ask upstream for its serial")
    status.add_argument("--failing", action="store_true", help="name every failing project, not only ten")
    status.add_argument(
        "--max-age",
        type=duration,
        metavar="TIME",
        help="for monitoring: exit with 3 if something is later than this, such as 12h",
    )
    status.add_argument("--json", action="store_true", help="print one JSON object")
    _add_common(status, defaults=False)


def _add_verify(commands: Commands) -> None:
    verify = commands.add_parser(
        "verify",
        help="compare pages, catalog and files with each other",
        description="Compare pages, catalog and files with each other, and print what is wrong. Nothing is changed, unless asked for; under the name `bandersnatch`, what is wrong is repaired. Exit codes: 0 or 6.",
        allow_abbrev=False,
    )
    verify.add_argument(
        "--repair", action="store_true", help="fetch files and write pages that are missing or wrong"
    )
    verify.add_argument(
        "--delete",
        action="store_true",
        help="move files that no page knows to the trash, once every page has been read",
    )
    verify.add_argument("--dry-run", action="store_true", help="change nothing, whatever else is asked for")
    verify.add_argument(
        "--json-update",
        action="store_true",
        help="ask upstream for every project again before it is compared, and repair",
    )
    verify.add_argument(
        "--workers",
        type=_count,
        default=0,
        metavar="N",
        help="read so many files at the same time (default: `verifiers`, else one for each core)",
    )
    verify.add_argument(
        "--quick",
        action="store_true",
        help="compare sizes and times of files; read only those whose time is wrong",
    )
    verify.add_argument(
        "--slice", type=part, metavar="N/M", help="compare the Nth of M parts of all projects, such as 1/30"
    )
    verify.add_argument(
        "--budget",
        type=duration,
        metavar="TIME",
        help="stop after this time, such as 20m; the next verify goes on from there",
    )
    verify.add_argument(
        "--from-start", action="store_true", help="begin at the beginning, wherever the last verify stopped"
    )
    verify.add_argument("--json", action="store_true", help="print a JSON object for each finding")
    _add_common(verify, defaults=False)


def _add_delete(commands: Commands) -> None:
    delete = commands.add_parser(
        "delete",
        help="remove projects from the mirror",
        description="Remove projects from the mirror: from the project list, then their pages, then their files, by way of the trash. Asks first on a terminal.",
        allow_abbrev=False,
    )
    delete.add_argument("package", nargs="*", metavar="NAME", help="name of a project")
    delete.add_argument(
        "--dry-run", action="store_true", help="print what would go, and change nothing; no lock is taken"
    )
    delete.add_argument("--yes", action="store_true", help="do not ask")
    delete.add_argument(
        "--keep-out",
        action="store_true",
        help="never mirror them again, whatever the filters say, until `sync` or `trash restore` names them",
    )
    delete.add_argument(
        "--workers",
        type=_count,
        default=0,
        metavar="N",
        help="accepted for bandersnatch's sake: nothing here takes long",
    )
    delete.add_argument(
        "--skip-json-fetch",
        action="store_true",
        help="accepted for bandersnatch's sake: upstream is not asked anyway",
    )
    _add_common(delete, defaults=False)


def _add_trash(commands: Commands) -> None:
    trash = commands.add_parser(
        "trash",
        help="list, bring back or delete what has left the mirror",
        description="List what has left the mirror, bring it back, or delete it for good.",
        allow_abbrev=False,
    )
    _add_common(trash, defaults=False)
    actions = trash.add_subparsers(dest="action", metavar="ACTION", required=True)

    listing = actions.add_parser(
        "list",
        help="print what lies in the trash",
        description="Print what lies in the trash: project, file, size, why and since when, and until when it can be had back. Changes nothing and takes no lock.",
        allow_abbrev=False,
    )
    listing.add_argument("what", nargs="*", metavar="NAME", help="only of these projects")
    listing.add_argument("--pinned", action="store_true", help="print what was brought back and is pinned")
    listing.add_argument("--json", action="store_true", help="print one JSON object")
    _add_common(listing, defaults=False)

    restore = actions.add_parser(
        "restore",
        help="bring projects or files back, and pin them",
        description="Bring projects or files back from the trash. They are pinned: every later run keeps them, though upstream has removed them or a filter drops them.",
        allow_abbrev=False,
    )
    restore.add_argument("what", nargs="+", metavar="NAME", help="name of a project or of a file")
    _add_common(restore, defaults=False)

    unpin = actions.add_parser(
        "unpin",
        help="let go what was brought back",
        description="Lift the pins of projects or files. What upstream or the filters do not want leaves at once.",
        allow_abbrev=False,
    )
    unpin.add_argument("what", nargs="+", metavar="NAME", help="name of a project or of a file")
    _add_common(unpin, defaults=False)

    empty = actions.add_parser(
        "empty",
        help="delete what lies in the trash for good",
        description="Delete what lies in the trash for good, but for what is pinned. Asks first on a terminal.",
        allow_abbrev=False,
    )
    empty.add_argument(
        "--older-than",
        type=days,
        metavar="DAYS",
        help="only what has been there for so many days or longer",
    )
    empty.add_argument("--dry-run", action="store_true", help="print how much it is, and change nothing")
    empty.add_argument("--yes", action="store_true", help="do not ask")
    _add_common(empty, defaults=False)


def _count(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 4:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of workers")
    return int(text)


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
