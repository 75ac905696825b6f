"""`verify`: what is typed, what is printed, and with which code it ends."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import asdict
from typing import Any

from frumious.cli.console import can_show_live, log, watching
from frumious.config import Loaded
from frumious.errors import StorageError, UsageError
from frumious.storage.lock import is_held
from frumious.sync.engine import settle
from frumious.sync.events import Observer
from frumious.sync.options import SyncOptions
from frumious.sync.ports import Ports
from frumious.sync.summary import ExitCode
from frumious.sync.takeover import take_over
from frumious.sync.text import human_bytes, human_seconds
from frumious.sync.verify.finding import Finding
from frumious.sync.verify.run import Report, VerifyOptions, summary_line, verify
from frumious.wiring import Opened, open_mirror, open_reader

_LAST_KIND = 15
"""Characters of the longest kind of finding."""

Stoppable = Callable[[Coroutine[None, None, Report]], Coroutine[None, None, Report]]


def run_verify(parsed: argparse.Namespace, loaded: Loaded, stoppable: Stoppable) -> int:
    """Verify the mirror, print the findings as they come, and return the exit code."""
    wanted = _wanted(parsed)
    directory = loaded.settings.directory
    if not (directory / "web").is_dir():
        raise StorageError(
            f"there is no mirror in {directory}",
            hint="`mirror` makes it; if it lies elsewhere, change [mirror] directory",
        )
    with watching(live=can_show_live() and not parsed.debug) as observe:
        report = asyncio.run(stoppable(_verify(loaded, wanted, observe, _printer(parsed), parsed.workers)))
    if parsed.json:
        print(json.dumps(_report_json(report)))
    log.info(
        "verify: %s, %s",
        summary_line(report),
        f"{human_bytes(report.cursor.bytes)} in {human_seconds(report.seconds)}",
    )
    if not report.whole:
        log.info("verify: the next one goes on after %s", report.cursor.after or "the beginning")
    if report.remaining and not (wanted.repair or wanted.delete):
        log.info("verify: nothing was changed; `--repair` mends, `--delete` removes strays")
    remaining = report.remaining
    if parsed.prog == "bandersnatch" and not wanted.delete:
        remaining -= report.strays  # its cron jobs did not ask for them
    return ExitCode.FOUND if remaining else ExitCode.WHOLE


def _wanted(parsed: argparse.Namespace) -> VerifyOptions:
    """Return what is asked for; under the name `bandersnatch`, a verification repairs (design.md §10)."""
    if parsed.delete and parsed.slice is not None:
        error = UsageError("--delete needs all pages, and --slice looks at a part of them")
        error.hint = "leave --slice out, or use --budget, which goes on where it stopped"
        raise error
    may_change = not parsed.dry_run
    return VerifyOptions(
        quick=parsed.quick,
        repair=may_change and (parsed.repair or parsed.json_update or parsed.prog == "bandersnatch"),
        delete=may_change and parsed.delete,
        refresh=may_change and parsed.json_update,
        part=parsed.slice,
        seconds=parsed.budget,
        anew=parsed.from_start,
    )


def _printer(parsed: argparse.Namespace) -> Callable[[Finding], None]:
    def show(finding: Finding) -> None:
        if parsed.json:
            line = json.dumps(finding.as_json())
        else:
            mark = " (repaired)" if finding.repaired else ""
            line = f"{finding.kind.value:<{_LAST_KIND}}  {printable(finding.key)}: {printable(finding.detail)}{mark}"
        sys.stdout.write(line + "\n")
        if sys.stdout.isatty():
            sys.stdout.flush()

    return show


def printable(text: str) -> str:
    """Return text of a tree so that no terminal acts on it, and no encoding refuses it."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )


def _report_json(report: Report) -> dict[str, Any]:
    return {
        "summary": {
            **asdict(report.cursor),
            "whole": report.whole,
            "resumed": report.resumed,
            "remaining": report.remaining,
            "not_repaired": report.not_repaired,
            "seconds": round(report.seconds, 3),
        }
    }


async def _verify(
    loaded: Loaded,
    wanted: VerifyOptions,
    observe: Observer,
    found: Callable[[Finding], None],
    readers: int,
) -> Report:
    lock = loaded.settings.directory / ".lock"

    @asynccontextmanager
    async def publisher() -> AsyncIterator[tuple[Ports, SyncOptions]]:
        async with open_mirror(loaded, observe) as opened:
            yield opened.ports, opened.options

    if wanted.repair or wanted.delete:
        async with publisher() as (ports, options):
            await settle(ports, options)  # what another program did here, or before us, is known from now on
    async with _opened(loaded, observe, readers) as opened:
        if not opened.has_catalog:
            await take_over(
                opened.ports, opened.options
            )  # as the run would do first, and forgotten afterwards
        return await verify(opened.ports, opened.options, wanted, publisher, found, lambda: is_held(lock))


def _opened(loaded: Loaded, observe: Observer, readers: int) -> AbstractAsyncContextManager[Opened]:
    return open_reader(loaded, observe, readers=readers or loaded.settings.verifiers)
