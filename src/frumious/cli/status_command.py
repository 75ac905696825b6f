"""`status`: what is printed, and with which code it ends."""

from __future__ import annotations

import argparse
import asyncio
import json
import textwrap
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from frumious.cli.verify_command import printable
from frumious.config import Loaded
from frumious.sync.status import AtWork, Failing, RunFacts, Stage, StatusReport, report, too_late
from frumious.sync.summary import ExitCode
from frumious.sync.text import counted, human_bytes, human_seconds
from frumious.wiring import open_reader, place_of

MOST_FAILING = 10
_WIDTH = 80
_LABEL = 12
_MEANINGS: Mapping[int, str] = {
    ExitCode.WHOLE: "whole",
    ExitCode.NOT_STARTED: "given up",
    ExitCode.OWED: "some projects are owed",
    ExitCode.GUARDED: "removals wait to be confirmed",
    ExitCode.FOUND: "verify found something",
}
_WITHOUT_CATALOG = {
    Stage.NOTHING: "no mirror yet; `frumious mirror` begins one",
    Stage.TREE: "pages without a catalog; the next `mirror` takes them over",
}

Stoppable = Callable[[Coroutine[None, None, StatusReport]], Coroutine[None, None, StatusReport]]


def run_status(parsed: argparse.Namespace, loaded: Loaded, stoppable: Stoppable) -> int:
    """Print how the mirror stands, and return the exit code."""
    found = asyncio.run(stoppable(_report(loaded, ask_upstream=not parsed.offline)))
    late = too_late(found, parsed.max_age) if parsed.max_age is not None else None
    if parsed.json:
        said = found.as_json() if late is None else {**found.as_json(), "late": late}
        print(json.dumps(said, indent=2, sort_keys=True))
    else:
        print(status_text(found, late or (), most_failing=None if parsed.failing else MOST_FAILING))
    return ExitCode.OWED if late else ExitCode.WHOLE


async def _report(loaded: Loaded, *, ask_upstream: bool) -> StatusReport:
    async with open_reader(loaded, lambda _event: None, briefly=True) as opened:
        return await report(opened.ports, opened.options, place_of(loaded), ask_upstream=ask_upstream)


def status_text(found: StatusReport, late: Sequence[str] = (), *, most_failing: int | None) -> str:
    """Return a report for people; `most_failing`: how many failing projects are named, None: all."""
    blocks = [
        [f"{found.directory}: {_headline(found)}", *(f"  late: {reason}" for reason in late)],
        list(_standing(found)),
        list(_backlog(found)),
        list(_failing(found, most_failing)),
        list(_holdings(found)),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _headline(found: StatusReport) -> str:
    """Return the one thing that matters most."""
    if found.stage in _WITHOUT_CATALOG:
        return _WITHOUT_CATALOG[found.stage]
    is_on = found.at_work is not None and found.at_work.holder is not None
    return f"{_condition(found)}{'; a run is on' if is_on else ''}"


def _condition(found: StatusReport) -> str:
    if found.held_back is not None:
        return "removals wait for you"
    if found.last_run is not None and found.last_run.exit_code == ExitCode.NOT_STARTED:
        return "the last run gave up"
    if found.backlog.owed:
        return f"{counted(found.backlog.owed, 'project')} owed"
    if found.last_through is None:
        return "no run has looked at everything yet"
    return "whole, and up to date" if found.lag_serials == 0 else "whole, as of its last run"


def _standing(found: StatusReport) -> Iterator[str]:
    if found.stage is Stage.NOTHING:
        return
    yield _line("serial", "none" if found.serial is None else str(found.serial))
    yield _line("upstream", _upstream(found))
    if found.changed_by_others:
        yield _line(
            "changed", "another program wrote `status` or `todo`; the next run takes over what it did"
        )
    if found.lag_seconds:
        yield _line("as of", _ago(found.at - found.lag_seconds, found.at))
    elif found.lag_seconds == 0 and found.stage is Stage.MIRROR:
        yield _line("as of", "now, but for what is owed" if found.backlog.owed else "now")
    if found.at_work is not None:
        yield _line(*_at_work(found.at_work))
    if found.last_run is not None:
        yield _line("last run", _run(found.last_run))
        yield from _numbers(found.last_run)
    if found.last_whole is not None and found.last_whole != found.last_run:
        yield _line("last whole", f"{_ago(found.last_whole.started, found.at)}")


def _upstream(found: StatusReport) -> str:
    upstream = found.upstream
    if not upstream.asked:
        return "not asked"
    if upstream.error is not None:
        return f"cannot be asked: {printable(upstream.error)}"
    if upstream.serial is None:
        return "does not say its serial"
    if found.serial is None:
        return str(upstream.serial)
    if upstream.serial < found.serial:
        return f"{upstream.serial}, older than ours: a cache on the way, or another index"
    return f"{upstream.serial}, {found.lag_serials:,} ahead" if found.lag_serials else "the same"


def _at_work(work: AtWork) -> tuple[str, str]:
    """Return a label, and what stands behind it."""
    if work.command is None or work.started is None:
        return "at work", f"{work.holder} holds the lock"
    changed = counted(work.changes, "change")
    if work.holder is not None:
        return "at work", f"{work.holder}: {work.command} since {_moment(work.started)}, {changed} so far"
    return "unfinished", (
        f"{work.command} of {_moment(work.started)}, {changed}: it was stopped from outside, or is on"
        " where this machine cannot see it"
    )


def _run(run: RunFacts) -> str:
    said = f"{run.command} {_moment(run.started)}, {human_seconds(run.seconds)}"
    meaning = run.stopped if run.stopped is not None else _MEANINGS.get(run.exit_code, "")
    return f"{said}, code {run.exit_code}: {printable(meaning)}"


def _numbers(run: RunFacts) -> Iterator[str]:
    if run.updated or run.unchanged or run.failed or run.files or run.removed:
        removed = f"{run.removed:,} removed, " if run.removed else ""
        yield _line(
            "",
            f"{run.updated:,} updated, {run.unchanged:,} unchanged, {run.failed:,} failed, {removed}"
            f"{counted(run.files, 'file')} ({human_bytes(run.bytes)})",
        )


def _backlog(found: StatusReport) -> Iterator[str]:
    backlog = found.backlog
    if backlog.owed:
        due = "" if backlog.retries_due == backlog.owed else f"{backlog.retries_due:,} of them "
        yield _line("owed", f"{counted(backlog.owed, 'project')}, {due}to be tried by the next run")
    if found.held_back is not None:
        held = found.held_back
        yield _line(
            "held back",
            f"{counted(held.projects, 'project')} and {counted(held.files, 'file')} in all would go:"
            f" {', '.join(held.names)}{' ...' if held.projects > len(held.names) else ''}",
        )
        yield _line("", f"to confirm it: frumious mirror --confirm {held.plan}")
    if backlog.waiting and backlog.waiting_until is not None:
        first = _moment(backlog.waiting_until)
        yield _line(
            "waiting", f"{counted(backlog.waiting, 'project')} for a filter's time, the first until {first}"
        )
    if backlog.rechecks_due:
        yield _line("re-checks", f"{counted(backlog.rechecks_due, 'project')} due")
    if backlog.unsettled:
        yield _line("unsettled", f"{counted(backlog.unsettled, 'page')} that may not be in place yet")
    if backlog.leaving or backlog.released:
        size = human_bytes(backlog.released_bytes)
        yield _line(
            "leaving",
            f"{counted(backlog.leaving, 'project')}, {counted(backlog.released, 'file')} ({size}) in web/",
        )
    if backlog.trashed:
        until = (
            "" if found.trashed_until is None else f", kept until {_moment(found.trashed_until)} or longer"
        )
        size = human_bytes(backlog.trashed_bytes)
        yield _line("trash", f"{counted(backlog.trashed, 'file')}, {size}{until}")


def _failing(found: StatusReport, most: int | None) -> Iterator[str]:
    if not found.failing:
        return
    yield "failing, the longest first"
    for one in found.failing[:most]:
        yield from _failure(one, found.at)
    more = len(found.failing) - len(found.failing[:most])
    if more:
        yield f"  ... and {more:,} more (--failing shows all)"


def _failure(one: Failing, now: int) -> Iterator[str]:
    again = "next run" if one.retry_at <= now else f"after {_moment(one.retry_at)}"
    tried = "once" if one.attempts == 1 else f"{one.attempts:,} times"
    yield f"  {one.name}: {tried} since {_moment(one.since)}; tried again: {again}"
    yield from _wrapped(printable(one.message.removeprefix(f"{one.name}: ")), "    ", "    ")


def _holdings(found: StatusReport) -> Iterator[str]:
    totals = found.totals
    if found.stage in {Stage.BEGUN, Stage.MIRROR}:
        here = f"{counted(totals.projects, 'project')}, {counted(totals.files, 'file')}, {human_bytes(totals.bytes)}"
        yield _line("here", here)
    if totals.free_bytes is not None:
        catalog = f"; the catalog has {human_bytes(totals.catalog_bytes)}" if totals.catalog_bytes else ""
        yield _line("disk", f"{human_bytes(totals.free_bytes)} free{catalog}")
    yield _line("settings", found.config)


def _line(label: str, text: str) -> str:
    return "\n".join(_wrapped(text, f"  {label:<{_LABEL}}", " " * (_LABEL + 2)))


def _wrapped(text: str, first: str, others: str) -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _moment(at: int) -> str:
    """Return a time as people here read it."""
    return f"{datetime.fromtimestamp(at, UTC).astimezone():%Y-%m-%d %H:%M}"


def _ago(at: int, now: int) -> str:
    age = now - at
    return f"{_moment(at)}, {human_seconds(age) if age >= 60 else 'less than a minute'} ago"
