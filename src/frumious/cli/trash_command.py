"""`trash`: what is typed, what is asked and printed, and with which code it ends."""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from frumious.catalog.base import DELETED, DROPPED, OPERATOR, QUARANTINED, Trashed
from frumious.cli.asking import agrees, can_ask
from frumious.cli.console import can_show_live, log, log_event, watching
from frumious.config import Loaded
from frumious.errors import UsageError
from frumious.model.names import InvalidName, NormalizedName, normalize
from frumious.sync.engine import restore, unpin
from frumious.sync.events import Observer
from frumious.sync.remove import empty
from frumious.sync.summary import ExitCode, Summary
from frumious.sync.text import counted, human_bytes
from frumious.sync.trash import empty_strays, listed, strays
from frumious.wiring import open_mirror, open_reader

Stoppable = Callable[[Coroutine[None, None, Any]], Coroutine[None, None, Any]]

DAY = 86400
_WHY = {
    DELETED: "upstream has deleted it",
    DROPPED: "a filter drops it",
    QUARANTINED: "upstream has it in quarantine",
    OPERATOR: "deleted by the operator",
    "stray": "no page listed it",
}


@dataclass(slots=True)
class _Totals:
    files: int = 0
    bytes: int = 0
    stray_files: int = 0
    """Of which nothing is known, as after a catalog was lost."""
    stray_bytes: int = 0


def run_trash(parsed: argparse.Namespace, loaded: Loaded, stoppable: Stoppable) -> tuple[int, Summary | None]:
    """Run an action on the trash; return the exit code, and what was done to the mirror if anything was."""
    match parsed.action:
        case "list" if parsed.pinned:
            asyncio.run(stoppable(_list_pins(loaded, _names(parsed.what), as_json=parsed.json)))
        case "list":
            asyncio.run(stoppable(_list(loaded, _names(parsed.what), as_json=parsed.json)))
        case "empty":
            return _empty(parsed, loaded, stoppable), None
        case _:
            return _change(parsed, loaded, stoppable)
    return ExitCode.WHOLE, None


def _names(texts: Sequence[str]) -> list[NormalizedName]:
    try:
        return [normalize(text) for text in texts]
    except InvalidName as error:
        raise UsageError(f"{error.text!r} is not a project name") from None


# ------------------------------------------------------------------------------------------------------------ list


async def _list(loaded: Loaded, names: Sequence[NormalizedName], *, as_json: bool) -> None:
    totals = _Totals()
    async with open_reader(loaded, log_event) as opened:
        seconds = opened.options.removal.trash_seconds
        if as_json:
            print('{"files": [', end="")
        async for one in listed(opened.ports, names):
            if as_json:
                print("," if totals.files else "", json.dumps(_as_json(one, seconds)), sep="\n", end="")
            else:
                print(_line(one, seconds))
            totals.files, totals.bytes = totals.files + 1, totals.bytes + one.size
        if not names:
            async for stray in strays(opened.ports):
                totals.stray_files, totals.stray_bytes = (
                    totals.stray_files + 1,
                    totals.stray_bytes + stray.size,
                )
    if as_json:
        print(f'\n], "totals": {json.dumps(asdict(totals))}}}')
        return
    print(f"{counted(totals.files, 'file')}, {human_bytes(totals.bytes)}")
    if totals.stray_files:
        print(
            f"{counted(totals.stray_files, 'file')} more, {human_bytes(totals.stray_bytes)}, of which nothing is"
            " known; `frumious trash empty` deletes them"
        )


def _line(one: Trashed, seconds: int) -> str:
    until = "while it is pinned" if one.is_pinned else f"until {_date(one.at + seconds)}"
    why = _WHY.get(one.reason, one.reason)
    filename = one.key.rpartition("/")[2]
    return f"{one.project or '?'}  {filename}  {human_bytes(one.size)}  {why}  since {_date(one.at)}  {until}"


def _as_json(one: Trashed, seconds: int) -> dict[str, Any]:
    return {
        "project": one.project,
        "filename": one.key.rpartition("/")[2],
        "key": one.key,
        "sha256": one.sha256,
        "size": one.size,
        "reason": one.reason,
        "since": one.at,
        "until": None if one.is_pinned else one.at + seconds,
    }


def _date(instant: int) -> str:
    return f"{datetime.fromtimestamp(instant, UTC):%Y-%m-%d}"


async def _list_pins(loaded: Loaded, names: Sequence[NormalizedName], *, as_json: bool) -> None:
    async with open_reader(loaded, log_event) as opened:
        catalog = opened.ports.catalog
        wanted = [name for name in await catalog.pinned() if not names or name in names]
        pins = [pin for name in wanted for pin in await catalog.pins(name)]
    if as_json:
        said = [{"project": pin.project, "filename": pin.filename, "since": pin.at} for pin in pins]
        print(json.dumps({"pins": said}, indent=2))
        return
    for pin in pins:
        print(f"{pin.project}  {pin.filename}  pinned since {_date(pin.at)}")
    print(f"{counted(len(pins), 'file')} pinned")


# ----------------------------------------------------------------------------------------------------------- empty


def _empty(parsed: argparse.Namespace, loaded: Loaded, stoppable: Stoppable) -> int:
    before = int(time.time()) - (parsed.older_than or 0) * DAY
    # Nobody knows how long the others have been there.
    with_strays = parsed.older_than is None
    asks = not parsed.yes and can_ask()
    if parsed.dry_run or asks:
        count, size = asyncio.run(stoppable(_old(loaded, before, with_strays=with_strays)))
        text = f"{counted(count, 'file')}, {human_bytes(size)}"
        if parsed.dry_run:
            print(f"{text} would be deleted")
            return ExitCode.WHOLE
        if count and not agrees(f"delete {text} for good?"):
            log.info("trash: nothing was done")
            return ExitCode.NOT_STARTED
    count, size = asyncio.run(stoppable(_delete_old(loaded, before, with_strays=with_strays)))
    log.info("trash: %s (%s) deleted", counted(count, "file"), human_bytes(size))
    return ExitCode.WHOLE


async def _old(loaded: Loaded, before: int, *, with_strays: bool) -> tuple[int, int]:
    count = size = 0
    async with open_reader(loaded, log_event) as opened:
        async for one in listed(opened.ports):
            if one.at <= before and not one.is_pinned:
                count, size = count + 1, size + one.size
        if with_strays:
            async for stray in strays(opened.ports):
                count, size = count + 1, size + stray.size
    return count, size


async def _delete_old(loaded: Loaded, before: int, *, with_strays: bool) -> tuple[int, int]:
    async with open_mirror(loaded, log_event) as opened:
        count, size = await empty(opened.ports, before)
        if with_strays:
            more, bytes_more = await empty_strays(opened.ports)
            count, size = count + more, size + bytes_more
    return count, size


# ------------------------------------------------------------------------------------------------- restore, unpin


def _change(parsed: argparse.Namespace, loaded: Loaded, stoppable: Stoppable) -> tuple[int, Summary | None]:
    with watching(live=can_show_live() and not parsed.debug) as observe:
        summary: Summary = asyncio.run(stoppable(_changed(parsed, loaded, observe)))
    if parsed.action == "restore":
        log.info(
            "restore: %s with a new page, %s back, pinned until `frumious trash unpin` or `frumious delete`",
            counted(summary.updated, "project"),
            counted(summary.adopted + summary.files, "file"),
        )
    else:
        log.info(
            "unpin: %s with a new page, %s removed",
            counted(summary.updated, "project"),
            counted(len(summary.removed), "project"),
        )
    return summary.exit_code, summary


async def _changed(parsed: argparse.Namespace, loaded: Loaded, observe: Observer) -> Summary:
    async with open_mirror(loaded, observe) as opened:
        change = restore if parsed.action == "restore" else unpin
        return await change(opened.ports, opened.options, parsed.what)
