"""The numbers of a run as they grow, and what they say: pure, the clock is an argument."""

from __future__ import annotations

from collections import deque

from frumious.sync.events import (
    BytesReceived,
    Event,
    FileHeld,
    FilesPlanned,
    Planned,
    ProjectDeclined,
    ProjectFailed,
    ProjectMissing,
    ProjectPublished,
    ProjectUnchanged,
    Searched,
    TreeRead,
    Verified,
)
from frumious.sync.text import human_bytes


class Tally:
    """The numbers of a run as they grow."""

    def __init__(self) -> None:
        self.planned = self.done = self.failed = self.files = self.files_planned = 0
        self.bytes = self.bytes_planned = 0
        self.tree_projects = self.tree_files = self.searched = 0

    def see(self, event: Event) -> None:
        """Count an event."""
        match event:
            case TreeRead():
                self.tree_projects += event.projects
                self.tree_files += event.files
            case Planned():
                self.planned += event.projects
            case FilesPlanned():
                self.files_planned += event.files
                self.bytes_planned += event.bytes
            case BytesReceived():
                self.bytes += event.count
            case FileHeld():
                self.files += 1
            case Searched():
                self.searched += event.keys
            case Verified():
                self.done += event.projects
                self.files += event.files
                self.bytes += event.bytes
            case ProjectFailed():
                self.done += 1
                self.failed += 1
            case ProjectPublished() | ProjectUnchanged() | ProjectMissing() | ProjectDeclined():
                self.done += 1
            case _:
                pass


class Pace:
    """How fast a run goes: bytes by what came lately, projects by the whole run, since few of them are huge."""

    WINDOW = 20.0

    def __init__(self, started: float) -> None:
        self._started = started
        self._samples = deque([(started, 0)])

    def seconds(self, now: float) -> float:
        """Return how long the run has gone on."""
        return now - self._started

    def bytes_per_second(self, tally: Tally, now: float) -> float:
        """Return how many bytes came in a second lately; notes how many there are now."""
        if now - self._samples[-1][0] >= 1:
            self._samples.append((now, tally.bytes))
        while len(self._samples) > 2 and now - self._samples[1][0] > self.WINDOW:
            self._samples.popleft()
        then, had = self._samples[0]
        return (tally.bytes - had) / max(0.1, now - then)

    def seconds_left(self, tally: Tally, now: float) -> float | None:
        """Return about how long it will still take; None as long as nothing can be said.

        The longer of two answers: what the projects say, and the bytes of those whose pages have been read.
        """
        if not tally.done or tally.done >= tally.planned:
            return None
        left = self.seconds(now) * (tally.planned - tally.done) / tally.done
        owed = tally.bytes_planned - tally.bytes
        rate = self.bytes_per_second(tally, now)
        return max(left, owed / rate) if owed > 0 and rate > 0 else left


def clock(seconds: float) -> str:
    """Return a duration as a clock shows it, `1:05` or `2:01:05`, in days and hours when it is long."""
    whole = int(seconds)
    if whole >= 48 * 3600:
        return f"{whole // 86400} d {whole % 86400 // 3600} h"
    hours, rest = divmod(whole, 3600)
    minutes, last = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{last:02}" if hours else f"{minutes}:{last:02}"


def live_lines(tally: Tally, pace: Pace, now: float) -> tuple[str, str]:
    """Return the two lines of live progress; each fits 80 columns beside a bar of 24 even for the whole of PyPI."""
    if tally.searched:
        parts = [f"looking for strays: {tally.searched:,}"]
    else:
        parts = [f"{tally.done:,}/{tally.planned:,} projects" if tally.planned else _beginning(tally)]
    return ", ".join([*parts, *_times(tally, pace, now)]), ", ".join(_downloads(tally, pace, now))


def progress_line(tally: Tally, pace: Pace, now: float) -> str:
    """Return the same in one line, for a log."""
    projects = f"{tally.done:,} of {tally.planned:,} projects"
    if tally.searched:
        projects = f"looking for strays: {tally.searched:,}"
    if tally.tree_projects and not tally.planned:
        return ", ".join([_beginning(tally), *_times(tally, pace, now)])
    return ", ".join([projects, *_downloads(tally, pace, now), *_times(tally, pace, now)])


def _beginning(tally: Tally) -> str:
    """Return what is done before anything is planned."""
    if tally.tree_projects:
        return f"reading the tree: {tally.tree_projects:,} projects"
    return "asking upstream"


def _times(tally: Tally, pace: Pace, now: float) -> list[str]:
    left = pace.seconds_left(tally, now)
    gone = f"{clock(pace.seconds(now))} gone"
    return [gone] if left is None else [f"{clock(left)} left", gone]


def _downloads(tally: Tally, pace: Pace, now: float) -> list[str]:
    size = human_bytes(tally.bytes)
    if tally.bytes_planned > tally.bytes:
        size += f" of {human_bytes(tally.bytes_planned)} known"
    parts = [f"{tally.files:,} files", size, f"{human_bytes(pace.bytes_per_second(tally, now))}/s"]
    return [*parts, f"{tally.failed:,} failed"] if tally.failed else parts
