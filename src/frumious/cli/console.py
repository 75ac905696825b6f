"""What a person sees: lines in a log, or live progress in a terminal. Both are fed by the same events."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from frumious.errors import FrumiousError
from frumious.sync.events import (
    BytesReceived,
    Event,
    FileHeld,
    FilesPlanned,
    ListRead,
    Notice,
    Observer,
    Planned,
    ProjectFailed,
    ProjectMissing,
    ProjectPublished,
    ProjectUnchanged,
)
from frumious.sync.text import human_bytes, human_seconds

if TYPE_CHECKING:
    from rich.console import Console

log = logging.getLogger("frumious")

PROGRESS_EVERY = 30.0
"""Seconds between progress lines where nobody watches live."""


def set_up_logging(*, debug: bool) -> None:
    """Send our log to stderr, one line each with time and level."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s: %(message)s"))
    log.handlers[:] = [handler]
    log.setLevel(logging.DEBUG if debug else logging.INFO)
    log.propagate = False


def tell(error: FrumiousError) -> None:
    """Log an error, and what to do about it."""
    log.error("%s", error)
    if error.hint:
        log.error("hint: %s", error.hint)


class Tally:
    """The numbers of a run as they grow."""

    def __init__(self) -> None:
        self.planned = self.done = self.failed = self.files = self.files_planned = 0
        self.bytes = self.bytes_planned = 0

    def see(self, event: Event) -> None:
        """Count an event."""
        match event:
            case Planned():
                self.planned += event.projects
            case FilesPlanned():
                self.files_planned += event.files
                self.bytes_planned += event.bytes
            case BytesReceived():
                self.bytes += event.count
            case FileHeld():
                self.files += 1
            case ProjectFailed():
                self.done += 1
                self.failed += 1
            case ProjectPublished() | ProjectUnchanged() | ProjectMissing():
                self.done += 1
            case _:
                pass


def log_event(event: Event) -> None:
    """Log what an operator should read; the rest at DEBUG."""
    match event:
        case ListRead(changed=False):
            log.info("project list: not changed since the last run")
        case ListRead():
            serial = f", serial {event.serial}" if event.serial is not None else ""
            log.info("project list: %s projects%s", f"{event.projects:,}", serial)
        case Planned():
            log.info("%s projects to look at", f"{event.projects:,}")
        case ProjectFailed():
            log.error("%s: %s", event.name, _without_name(event.message, event.name))
        case ProjectMissing(held=True):
            log.warning("%s: upstream no longer has it; our copy is kept", event.name)
        case ProjectMissing():
            log.error("%s: upstream has no such project; check its spelling", event.name)
        case Notice(level="info"):
            log.info("%s", event.text)
        case Notice():
            log.warning("%s", event.text)
        case ProjectPublished():
            log.debug("%s: published, serial %d, %d files", event.name, event.serial, event.files)
        case ProjectUnchanged():
            log.debug("%s: unchanged", event.name)
        case FileHeld():
            log.debug(
                "%s: %s (%s)",
                event.name,
                event.filename,
                "downloaded" if event.downloaded else "was in place",
            )
        case _:
            pass


def _without_name(message: str, name: str) -> str:
    return message.removeprefix(f"{name}: ")


@contextmanager
def watching(*, live: bool) -> Iterator[Observer]:
    """Yield an observer that shows a run: a live line if `live`, else a log line now and then."""
    tally = Tally()
    with _live(tally) if live else _lines(tally) as shown:

        def observe(event: Event) -> None:
            tally.see(event)
            log_event(event)
            shown()

        yield observe


@contextmanager
def _lines(tally: Tally) -> Iterator[Callable[[], None]]:
    started = last = time.monotonic()

    def shown() -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < PROGRESS_EVERY:
            return
        last = now
        log.info(
            "%s of %s projects, %s files, %s, %s failed, %s",
            f"{tally.done:,}",
            f"{tally.planned:,}",
            f"{tally.files:,}",
            human_bytes(tally.bytes),
            f"{tally.failed:,}",
            human_seconds(now - started),
        )

    yield shown


@contextmanager
def _live(tally: Tally) -> Iterator[Callable[[], None]]:
    from rich.console import Console  # noqa: PLC0415 - only a terminal pays for it
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        Progress,
        ProgressColumn,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns: list[str | ProgressColumn] = [
        SpinnerColumn(),
        BarColumn(bar_width=24),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f} projects"),
        TextColumn("{task.fields[files]}"),
        TextColumn("{task.fields[rate]}"),
        TextColumn("{task.fields[failed]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    ]
    console = Console(stderr=True)
    progress = Progress(*columns, console=console, transient=True, refresh_per_second=5)
    task = progress.add_task("", total=0, files="", rate="", failed="")
    started = time.monotonic()
    shown_at = 0.0

    def shown() -> None:
        nonlocal shown_at
        now = time.monotonic()
        if now - shown_at < 0.1:  # thousands of events a second must not cost thousands of updates
            return
        shown_at = now
        progress.update(
            task,
            completed=tally.done,
            total=tally.planned,
            files=f"{tally.files:,} files {human_bytes(tally.bytes)}",
            rate=f"{human_bytes(tally.bytes / max(0.001, now - started))}/s",
            failed=f"[red]{tally.failed} failed[/red]" if tally.failed else "",
        )

    with progress, _log_through(console):
        yield shown


@contextmanager
def _log_through(console: Console) -> Iterator[None]:
    """Print log lines above the live line instead of through it."""
    handlers = [h for h in log.handlers if isinstance(h, logging.StreamHandler) and h.stream is sys.stderr]

    class Above:
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
