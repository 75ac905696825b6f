"""`delete`: what is typed, what is asked and printed, and with which code it ends."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from frumious.cli.asking import agrees, can_ask
from frumious.cli.console import log, log_event
from frumious.config import Loaded
from frumious.errors import UsageError
from frumious.model.names import InvalidName, NormalizedName, normalize
from frumious.sync.delete import Deletable, deletable
from frumious.sync.engine import delete
from frumious.sync.summary import ExitCode, Summary
from frumious.sync.takeover import take_over
from frumious.sync.text import counted, human_bytes, human_seconds
from frumious.wiring import open_mirror, open_reader

Stoppable = Callable[[Coroutine[None, None, Any]], Coroutine[None, None, Any]]


def read_names(parsed: argparse.Namespace) -> dict[NormalizedName, str]:
    """Return the projects that were named, with how they were typed; raises UsageError before anything happens."""
    try:
        names = {normalize(text): text for text in parsed.package}
    except InvalidName as error:
        raise UsageError(f"{error.text!r} is not a project name; nothing is deleted") from None
    if not names and parsed.prog != "bandersnatch":
        usage = UsageError("no project is named; nothing is deleted")
        usage.hint = "frumious delete NAME..."
        raise usage
    return names


def run_delete(
    parsed: argparse.Namespace, loaded: Loaded, names: Mapping[NormalizedName, str], stoppable: Stoppable
) -> tuple[int, Summary | None]:
    """Delete projects, or say what would go; return the exit code, and what was done if anything was."""
    asks = not parsed.yes and parsed.prog != "bandersnatch" and can_ask()
    if parsed.dry_run or asks:
        found = asyncio.run(stoppable(_look(loaded, names)))
        _show(found, names, keys=parsed.dry_run)
        if parsed.dry_run:
            return _code(parsed, loaded, any_there=bool(found)), None
        if found and not agrees(f"delete {counted(len(found), 'project')} from this mirror?"):
            log.info("delete: nothing was done")
            return ExitCode.NOT_STARTED, None
    summary: Summary = asyncio.run(stoppable(_delete(loaded, names, keep_out=parsed.keep_out)))
    _report(summary, names, keep_out=parsed.keep_out)
    any_there = bool(summary.removed) or parsed.keep_out
    return _code(parsed, loaded, any_there=any_there), summary


def _code(parsed: argparse.Namespace, loaded: Loaded, *, any_there: bool) -> int:
    """Return 2 if nothing that was named is there: it is misspelt. bandersnatch does not mind."""
    if any_there or parsed.prog == "bandersnatch" or loaded.settings.exit_codes == "bandersnatch":
        return ExitCode.WHOLE
    return ExitCode.USAGE


async def _look(loaded: Loaded, names: Mapping[NormalizedName, str]) -> list[Deletable]:
    async with open_reader(loaded, log_event) as opened:
        if not opened.has_catalog:
            await take_over(opened.ports, opened.options)  # as the command would do first
        return await deletable(opened.ports, names)


def _show(found: Sequence[Deletable], names: Mapping[NormalizedName, str], *, keys: bool) -> None:
    there = {one.name for one in found}
    for name in names:
        if name not in there:
            log.warning("%s: not on this mirror", name)
    for one in found:
        pages, files = counted(len(one.pages), "page"), counted(len(one.files), "file")
        print(f"{one.name}: {pages}, {files}, {human_bytes(one.bytes)}")
        for key in (*one.pages, *one.files) if keys else ():
            print(f"  {key}")


async def _delete(loaded: Loaded, names: Mapping[NormalizedName, str], *, keep_out: bool) -> Summary:
    async with open_mirror(loaded, log_event) as opened:
        return await delete(opened.ports, opened.options, list(names.items()), keep_out=keep_out)


def _report(summary: Summary, names: Mapping[NormalizedName, str], *, keep_out: bool) -> None:
    log.info(
        "delete: %s removed, %s (%s) left web/, %s",
        counted(len(summary.removed), "project"),
        counted(summary.trashed, "file"),
        human_bytes(summary.trashed_bytes),
        human_seconds(summary.seconds),
    )
    if keep_out:
        log.info(
            "delete: kept out until `frumious sync` or `frumious trash restore` names them: %s",
            ", ".join(names),
        )
    elif summary.removed:
        log.info(
            "delete: what the configuration selects comes back when upstream changes it, or with the next run where"
            " it is on a short allowlist; `--keep-out` prevents that"
        )
