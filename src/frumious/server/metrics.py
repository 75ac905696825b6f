"""`/metrics`, in the text form that Prometheus reads: how the mirror stands, and what the server does.

docs/metrics.md names each metric; a test compares.
"""

from __future__ import annotations

import ipaddress
import json
import os
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Final

from frumious import __version__
from frumious.catalog.base import Catalog, LastRuns
from frumious.server.counters import (
    BUCKETS,
    IN_FLIGHT,
    PAGE_BYTES,
    PAGE_HITS,
    PAGE_MISSES,
    PAGES,
    Counters,
)
from frumious.server.http import Request, Response, text
from frumious.server.records import Records
from frumious.server.site import Unavailable
from frumious.sync.status import lag_serials

_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Answers `/metrics`."""

    def __init__(self, records: Records, counters: Counters, directory: Path, *, for_everybody: bool) -> None:
        self._records = records
        self._counters = counters
        self._directory = directory
        self._for_everybody = for_everybody

    async def answer(self, request: Request) -> Response:
        """Return the metrics to this machine, to whoever is known, or to everybody if that is set."""
        if not (self._for_everybody or request.is_known or is_loopback(request.client)):
            return text(403, "403 Forbidden: metrics are for this machine; see [server] metrics")
        lines = [*_build(), *self._of_server(), *_disk(self._directory)]
        try:
            async with self._records.catalog() as catalog:
                lines += await _of_mirror(catalog, time.time())
            lines += _metric("frumious_catalog_up", "gauge", "Whether the catalog can be read.", ("", 1))
        except Unavailable:
            lines += _metric("frumious_catalog_up", "gauge", "Whether the catalog can be read.", ("", 0))
        body = ("\n".join(lines) + "\n").encode()
        return Response(200, [("content-type", _TYPE), ("cache-control", "no-store")], body)

    def _of_server(self) -> Iterator[str]:
        counters = self._counters
        yield from _metric(
            "frumious_http_requests_total", "counter", "Answers by route and status.",
            *((f'{{route="{route}",status="{status or "other"}"}}', count) for route, status, count in counters.requests()),
        )  # fmt: skip
        yield from _metric(
            "frumious_http_response_bytes_total", "counter", "Bytes of the bodies of answers, as they were begun.",
            *((f'{{route="{route}"}}', total) for route, total in counters.bytes_sent()),
        )  # fmt: skip
        name = "frumious_http_request_seconds"
        yield from _metric(name, "histogram", "Seconds until an answer was ready to be sent.")
        for route, counts, seconds in counters.durations():
            total = 0
            for limit, count in zip((*BUCKETS, "+Inf"), counts, strict=True):
                total += count
                yield f'{name}_bucket{{route="{route}",le="{limit}"}} {total}'
            yield f'{name}_sum{{route="{route}"}} {seconds:.9f}'
            yield f'{name}_count{{route="{route}"}} {total}'
        for name, kind, help_text, what in (
            ("frumious_http_requests_in_flight", "gauge", "Requests that are waited for, this one included.", IN_FLIGHT),
            ("frumious_page_cache_hits_total", "counter", "Pages that were in memory when they were asked for.", PAGE_HITS),
            ("frumious_page_cache_misses_total", "counter", "Pages that were not, or had changed.", PAGE_MISSES),
            ("frumious_page_cache_pages", "gauge", "Pages that are in memory.", PAGES),
            ("frumious_page_cache_bytes", "gauge", "Bytes that they are taken to need.", PAGE_BYTES),
        ):  # fmt: skip
            yield from _metric(name, kind, help_text, ("", counters.total(what)))


async def _of_mirror(catalog: Catalog, now: float) -> list[str]:
    state, counts, backlog, runs = (
        await catalog.state(), await catalog.counts(), await catalog.backlog(int(now)), await catalog.last_runs(),
    )  # fmt: skip
    ours = _serial(state.status)
    lines = [
        *_metric("frumious_serial", "gauge", "Serial of the project list that is published.", ("", state.head)),
        *_metric("frumious_upstream_serial", "gauge", "Upstream's serial that `status` names.", *_known(ours)),
        *_metric("frumious_projects", "gauge", "Projects that are published.", ("", counts["projects"])),
        *_metric("frumious_files", "gauge", "Files that are held.", ("", counts["files"])),
        *_metric("frumious_bytes", "gauge", "Bytes of files and core metadata that are held.", ("", counts["bytes"])),
        *_metric("frumious_failing_projects", "gauge", "Projects that are owed.", ("", backlog.owed)),
        *_metric("frumious_due_projects", "gauge", "Projects whose retry or re-check is due.", ("", backlog.retries_due + backlog.rechecks_due)),
        *_metric("frumious_waiting_projects", "gauge", "Projects of which a filter keeps something back for a time.", ("", backlog.waiting)),
        *_metric("frumious_trash_files", "gauge", "Files in the trash.", ("", backlog.trashed)),
        *_metric("frumious_trash_bytes", "gauge", "Bytes in the trash.", ("", backlog.trashed_bytes)),
        *_metric("frumious_run_in_progress", "gauge", "Whether a run has begun and not ended.", ("", int(runs.running is not None))),
    ]  # fmt: skip
    seen = _list_seen(runs)
    if seen is not None:
        serial, at = seen
        lines += [
            *_metric("frumious_upstream_seen_serial", "gauge", "Upstream's serial when a run last looked at its list.", ("", serial)),
            *_metric("frumious_lag_serials", "gauge", "By how much `status` is behind that.", *_known(lag_serials(ours, serial))),
            *_metric("frumious_list_age_seconds", "gauge", "How long ago that run began.", ("", max(0, int(now) - at))),
        ]  # fmt: skip
    if runs.last is not None:
        last = runs.last
        lines += [
            *_metric("frumious_last_run_exit_code", "gauge", "Exit code of the run that ended last.", ("", last.exit_code)),
            *_metric("frumious_last_run_seconds", "gauge", "How long it took.", ("", last.finished - last.started)),
            *_metric("frumious_last_run_timestamp_seconds", "gauge", "When it ended.", ("", last.finished)),
        ]  # fmt: skip
    for which, run in (("through", runs.through), ("whole", runs.whole)):
        if run is not None:
            said = "looked at everything" if which == "through" else "left nothing owed"
            lines += [
                *_metric(f"frumious_last_{which}_timestamp_seconds", "gauge", f"When the last `mirror` that {said} began.", ("", run.started)),
                *_metric(f"frumious_age_{which}_seconds", "gauge", "How long ago that was.", ("", max(0, int(now) - run.started))),
            ]  # fmt: skip
    return lines


def _list_seen(runs: LastRuns) -> tuple[int, int] | None:
    """Return upstream's serial as the latest run saw it that saw one, and when that began."""
    ended = [run for run in (runs.last, runs.through, runs.whole) if run is not None]
    for run in sorted(ended, key=lambda run: run.started, reverse=True):
        serial = json.loads(run.summary).get("serial")
        if serial is not None:
            return serial, run.started
    return None


def _build() -> Iterator[str]:
    yield from _metric(
        "frumious_info", "gauge", "The version that serves.", (f'{{version="{__version__}"}}', 1)
    )


def _disk(directory: Path) -> list[str]:
    try:
        found = os.statvfs(directory)
    except OSError:
        return []
    return [
        *_metric("frumious_disk_bytes", "gauge", "Size of the file system of the mirror.", ("", found.f_blocks * found.f_frsize)),
        *_metric("frumious_disk_free_bytes", "gauge", "What is free on it.", ("", found.f_bavail * found.f_frsize)),
    ]  # fmt: skip


def _metric(name: str, kind: str, help_text: str, *samples: tuple[str, int]) -> Iterator[str]:
    yield f"# HELP {name} {help_text}"
    yield f"# TYPE {name} {kind}"
    for labels, value in samples:
        yield f"{name}{labels} {value}"


def _serial(said: str | None) -> int | None:
    return int(said) if said is not None and said.strip().isdecimal() else None


def _known(value: int | None) -> list[tuple[str, int]]:
    return [] if value is None else [("", value)]


@lru_cache(maxsize=1024)
def is_loopback(client: str) -> bool:
    """Say whether an address is of this machine."""
    try:
        address = ipaddress.ip_address(client.strip("[]"))
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
