"""What a person sees: lines in a log, or live progress in a terminal. Both are fed by the same events."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from frumious.cli.progress import Pace, Tally, live_lines, progress_line
from frumious.errors import FrumiousError
from frumious.sync.events import (
    BytesRemoved,
    Event,
    FileHeld,
    ListRead,
    Notice,
    Observer,
    Planned,
    ProjectDeclined,
    ProjectFailed,
    ProjectMissing,
    ProjectPublished,
    ProjectsRemoved,
    ProjectUnchanged,
    RemovalsHeld,
)
from frumious.sync.text import human_bytes

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

log = logging.getLogger("frumious")

PROGRESS_EVERY = 30.0
"""Seconds between progress lines where nobody watches live."""


# ----------------------------------------------------------------- the log


def set_up_logging(*, debug: bool) -> None:
    """Send our log to stderr, one line each with time and level."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s: %(message)s"))
    log.handlers[:] = [handler]
    log.setLevel(logging.DEBUG if debug else logging.INFO)
    log.propagate = False


def hand_on() -> None:
    """Let handlers of a `log-config` have our lines too, and no line twice on the same stream.

    Those written for bandersnatch configure the root, or the logger `bandersnatch`, whose level is ours then.
    """
    theirs, root = logging.getLogger("bandersnatch"), logging.getLogger()
    above = root.handlers
    if theirs.handlers or theirs.level:
        log.parent = theirs
        above = [*theirs.handlers, *(root.handlers if theirs.propagate else ())]
        if theirs.level:
            log.setLevel(theirs.level)
    log.propagate = bool(above)
    if any(_is_on_stderr(handler) for handler in above):
        for handler in _on_stderr(log):
            log.removeHandler(handler)


def _is_on_stderr(handler: logging.Handler) -> bool:
    return isinstance(handler, logging.StreamHandler) and handler.stream is sys.stderr


def _on_stderr(logger: logging.Logger) -> list[logging.StreamHandler[Any]]:
    streams = [handler for handler in logger.handlers if isinstance(handler, logging.StreamHandler)]
    return [handler for handler in streams if handler.stream is sys.stderr]


def tell(error: FrumiousError) -> None:
    """Log an error, a line for each thing that is wrong, and what to do about it."""
    for line in str(error).splitlines():
        log.error("%s", line)
    if error.hint:
        log.error("hint: %s", error.hint)


# ------------------------------------------------------- events as log lines

Line = tuple[Any, ...]
"""A level, a format, and what goes into it: formatted only if somebody reads it."""


def _projects(number: int) -> str:
    return "1 project" if number == 1 else f"{number:,} projects"


def _list_read(event: ListRead) -> Line:
    if not event.changed:
        return logging.INFO, "project list: not changed since the last run"
    serial = f", serial {event.serial}" if event.serial is not None else ""
    return logging.INFO, "project list: %s%s", _projects(event.projects), serial


def _planned(event: Planned) -> Line:
    return logging.INFO, "%s to look at", _projects(event.projects)


def _failed(event: ProjectFailed) -> Line:
    return logging.ERROR, "%s: %s", event.name, event.message.removeprefix(f"{event.name}: ")


def _missing(event: ProjectMissing) -> Line:
    if event.held:
        return logging.WARNING, "%s: upstream no longer has it; our copy is kept", event.name
    return logging.ERROR, "%s: upstream has no such project; check its spelling", event.name


def _notice(event: Notice) -> Line:
    return logging.INFO if event.level == "info" else logging.WARNING, "%s", event.text


def _published(event: ProjectPublished) -> Line:
    return logging.DEBUG, "%s: published, serial %d, %d files", event.name, event.serial, event.files


def _unchanged(event: ProjectUnchanged) -> Line:
    return logging.DEBUG, "%s: unchanged", event.name


def _held(event: FileHeld) -> Line:
    how = "downloaded" if event.downloaded else "was in place"
    return logging.DEBUG, "%s: %s (%s)", event.name, event.filename, how


def _declined(event: ProjectDeclined) -> Line:
    return logging.DEBUG, "%s: not mirrored (%s)", event.name, event.reason


def _removed(event: ProjectsRemoved) -> Line:
    shown = ", ".join(event.names[:10])
    more = f" and {len(event.names) - 10:,} more" if len(event.names) > 10 else ""
    return logging.INFO, "removed from the mirror: %s%s", shown, more


def _bytes_removed(event: BytesRemoved) -> Line:
    return (
        logging.DEBUG,
        "%d objects (%s) that no page refers to have left web/",
        event.objects,
        human_bytes(event.bytes),
    )


def _removals_held(event: RemovalsHeld) -> Line:
    text = (
        "nothing is removed: %d projects (%s) and %d files in all would go, more than a run removes on its own:"
        " %s%s; look at it, then confirm with `mirror --confirm %s`, or keep everything with `removal = keep`"
    )
    return (
        logging.ERROR,
        text,
        event.projects,
        human_bytes(event.bytes),
        event.files,
        ", ".join(event.names),
        " ..." if event.projects > len(event.names) else "",
        event.plan,
    )


_LINES: Mapping[type, Callable[[Any], Line]] = {
    ListRead: _list_read,
    Planned: _planned,
    ProjectFailed: _failed,
    ProjectMissing: _missing,
    ProjectDeclined: _declined,
    ProjectsRemoved: _removed,
    BytesRemoved: _bytes_removed,
    RemovalsHeld: _removals_held,
    Notice: _notice,
    ProjectPublished: _published,
    ProjectUnchanged: _unchanged,
    FileHeld: _held,
}
"""What is not here is counted, and no line in a log."""


def log_event(event: Event) -> None:
    """Log what an operator should read; the rest at DEBUG."""
    if line := _LINES.get(type(event)):
        level, text, *facts = line(event)
        log.log(level, text, *facts)


# --------------------------------------------------------------- watching


def can_show_live() -> bool:
    """Tell whether stderr is a terminal that can draw over its own lines."""
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb") not in {"dumb", "unknown", ""}


@contextmanager
def watching(*, live: bool) -> Iterator[Observer]:
    """Yield an observer that shows a run: live if `live`, else with a log line now and then."""
    tally = Tally()
    with _live(tally) if live else _lines(tally) as shown:

        def observe(event: Event) -> None:
            tally.see(event)
            log_event(event)
            shown()

        yield observe


@contextmanager
def _lines(tally: Tally) -> Iterator[Callable[[], None]]:
    last = time.monotonic()
    pace = Pace(last)

    def shown() -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= PROGRESS_EVERY:
            last = now
            log.info("%s", progress_line(tally, pace, now))

    yield shown


@contextmanager
def _live(tally: Tally) -> Iterator[Callable[[], None]]:
    from rich.console import Console, Group
    from rich.live import Live
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    console = Console(stderr=True)
    pace = Pace(time.monotonic())

    def one_line(text: str) -> Text:
        return Text(text, no_wrap=True, overflow="ellipsis", style="red" if " failed" in text else "")

    def drawn() -> RenderableType:
        first, second = live_lines(tally, pace, time.monotonic())
        if console.width < 70:
            return Group(one_line(first), one_line(second))
        row = Table.grid(padding=(0, 1))
        row.add_row(ProgressBar(total=max(1, tally.planned), completed=tally.done, width=24), one_line(first))
        return Group(row, one_line(second))

    # Drawn by the clock, not by events: a run that waits for upstream shows that its rate falls.
    # The log goes through the console before `Live` puts itself in the place of sys.stderr.
    with (
        _log_through(console),
        Live(console=console, get_renderable=drawn, refresh_per_second=4, transient=True),
    ):
        yield lambda: None


@contextmanager
def _log_through(console: Console) -> Iterator[None]:
    """Print log lines above the live lines instead of through them."""
    handlers = [*_on_stderr(log), *_on_stderr(logging.getLogger())]

    class Above:
        """A stream whose lines stand above the live ones."""

        def write(self, text: str) -> None:
            if text.strip():
                console.print(text.rstrip("\n"), markup=False, highlight=False, soft_wrap=True)

        def flush(self) -> None:
            pass

    for handler in handlers:
        handler.setStream(Above())
    try:
        yield
    finally:
        for handler in handlers:
            handler.setStream(sys.stderr)
