"""What the server itself counts, in memory that all workers share: no lock, no file, about a microsecond a request.

The parent makes it before it forks. Each worker writes a part of its own, and whoever is asked adds them up. A worker
that takes the place of another one while that is still ending gets the other half of the parts, so that no two ever
write the same; what an earlier worker has counted stays. What a worker has at the moment is gone with its process.
"""

from __future__ import annotations

import mmap
import os
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from frumious.server.http import Request, Response

ROUTES: Final = (
    "simple", "packages", "pypi", "RPC2", "integrity", "search", "rss", "stats", "json", "health", "ready", "metrics", "other",
)  # fmt: skip
"""The first segments of paths that are counted one by one."""
STATUSES: Final = (
    200, 204, 206, 301, 302, 304, 400, 401, 403, 404, 405, 406, 413, 416, 500, 503, 0,
)  # fmt: skip
"""0: any other."""
BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds."""
_ROUTE: Final = {route: number for number, route in enumerate(ROUTES)}
_STATUS: Final = {status: number for number, status in enumerate(STATUSES)}
_OTHER: Final = len(ROUTES) - 1
_BYTES: Final = len(STATUSES)
_NANOSECONDS: Final = _BYTES + 1
_FIRST_BUCKET: Final = _NANOSECONDS + 1
_ROW: Final = _FIRST_BUCKET + len(BUCKETS) + 1
PAGE_HITS, PAGE_MISSES, PAGES, PAGE_BYTES, IN_FLIGHT, _PROCESS = range(
    _ROW * len(ROUTES), _ROW * len(ROUTES) + 6
)
"""What is counted of no route: pages found in memory and not, those kept now and their bytes, requests that are waited for."""
_MOMENTARY: Final = (PAGES, PAGE_BYTES, IN_FLIGHT)
_PART: Final = _PROCESS + 1


class Counters:
    """Numbers of all workers."""

    def __init__(self, workers: int) -> None:
        self._parts = 2 * workers
        self._memory = mmap.mmap(-1, self._parts * _PART * 8)
        self._cells = memoryview(self._memory).cast("Q")
        self._mine = 0

    def begin(self, worker: int, generation: int) -> None:
        """Choose this worker's part."""
        self._mine = (2 * worker + generation % 2) * _PART
        for what in _MOMENTARY:
            self.set(what, 0)
        self.set(_PROCESS, os.getpid())

    def observe(self, request: Request, response: Response, seconds: float) -> None:
        """Count one answer."""
        row = self._mine + _ROW * _ROUTE.get(request.path[1:].partition("/")[0], _OTHER)
        cells = self._cells
        cells[row + _STATUS.get(response.status, _BYTES - 1)] += 1
        cells[row + _FIRST_BUCKET + bisect_left(BUCKETS, seconds)] += 1
        cells[row + _NANOSECONDS] += int(seconds * 1e9)
        if request.method != "HEAD":
            cells[row + _BYTES] += response.length

    def add(self, what: int, amount: int = 1) -> None:
        """Count something of no route."""
        self._cells[self._mine + what] += amount

    def set(self, what: int, value: int) -> None:
        """Say how much of something there is at this moment."""
        self._cells[self._mine + what] = value

    @contextmanager
    def in_flight(self) -> Iterator[None]:
        """Count a request as waited for while the block lasts."""
        self.add(IN_FLIGHT)
        try:
            yield
        finally:
            self.add(IN_FLIGHT, -1)

    def total(self, what: int) -> int:
        """Return what was counted by all workers, or what those that are there have at this moment."""
        parts = [part * _PART for part in range(self._parts)]
        if what in _MOMENTARY:
            parts = [part for part in parts if _is_there(self._cells[part + _PROCESS])]
        return sum(self._cells[part + what] for part in parts)

    def requests(self) -> Iterator[tuple[str, int, int]]:
        """Yield route, status and number of answers, where there were any."""
        for number, route in enumerate(ROUTES):
            for offset, status in enumerate(STATUSES):
                if count := self._sum(number, offset):
                    yield route, status, count

    def bytes_sent(self) -> Iterator[tuple[str, int]]:
        """Yield route and bytes of bodies, where there were any."""
        for number, route in enumerate(ROUTES):
            if total := self._sum(number, _BYTES):
                yield route, total

    def durations(self) -> Iterator[tuple[str, list[int], float]]:
        """Yield route, answers in each bucket and beyond the last one, and seconds together."""
        for number, route in enumerate(ROUTES):
            buckets = [self._sum(number, _FIRST_BUCKET + offset) for offset in range(len(BUCKETS) + 1)]
            if any(buckets):
                yield route, buckets, self._sum(number, _NANOSECONDS) / 1e9

    def _sum(self, route: int, offset: int) -> int:
        return sum(self._cells[part * _PART + route * _ROW + offset] for part in range(self._parts))


def _is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except OSError:
        return False
    return process > 0
