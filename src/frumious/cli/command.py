"""From a parsed command line to an exit code: configuration, lock, signals, the run, and what comes after it."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import logging
import logging.config
import os
import shlex
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from frumious.cli.config_command import check, show
from frumious.cli.console import (
    can_show_live,
    hand_on,
    log,
    log_event,
    set_up_logging,
    tell,
    watching,
)
from frumious.cli.credentials_command import run_credentials
from frumious.cli.delete_command import read_names, run_delete
from frumious.cli.exit_codes import (
    THEIR_COMMANDS,
    bandersnatch_code,
    bandersnatch_verify_code,
    wants_bandersnatch_codes,
)
from frumious.cli.inspect import explanation_json, explanation_text, plan_json, plan_text, read_question
from frumious.cli.serve_command import run_serve
from frumious.cli.status_command import run_status
from frumious.cli.stopping import asked_by_signal
from frumious.cli.trash_command import run_trash
from frumious.cli.verify_command import run_verify
from frumious.config import Loaded, MissingConfig, Settings, load, write_default_config
from frumious.errors import ConfigError, FrumiousError, LockHeld, UsageError
from frumious.model.names import InvalidName, NormalizedName, normalize
from frumious.sync.engine import mirror, sync
from frumious.sync.events import Event, Observer
from frumious.sync.explain import explain
from frumious.sync.preview import preview
from frumious.sync.summary import ExitCode, Summary
from frumious.sync.takeover import TakenOver, take_over
from frumious.sync.text import human_bytes, human_seconds
from frumious.wiring import Asked, open_mirror, open_reader

INTERNAL_ERROR = 1

T = TypeVar("T")


class Interrupted(Exception):
    """A signal asked us to stop."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number
        self.exit_code = 128 + number


def execute(parsed: argparse.Namespace) -> int:
    """Run the command that was typed."""
    set_up_logging(debug=parsed.debug)
    try:
        return _flushed(_COMMANDS[parsed.command](parsed))
    except FrumiousError as error:
        tell(error)
        if parsed.command in THEIR_COMMANDS and wants_bandersnatch_codes(parsed.config):
            return bandersnatch_code(error.exit_code, usage=isinstance(error, UsageError))
        return error.exit_code
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except Interrupted as stop:
        log.warning("stopped by %s; what is published stays, the next run goes on from here", stop)
        return stop.exit_code
    except Exception as error:  # noqa: BLE001 - the last place that can turn a defect into a clear line
        log.critical("internal error: %s: %s", type(error).__name__, error)
        log.log(logging.CRITICAL if parsed.debug else logging.DEBUG, "%s", traceback.format_exc())
        log.critical("this is a defect of Frumious; please report it with the output of --debug")
        return INTERNAL_ERROR


def _flushed(code: int) -> int:
    """Return an exit code when what was printed is out."""
    sys.stdout.flush()
    return code


def _execute(parsed: argparse.Namespace) -> int:
    names = _project_names(parsed.package) if parsed.command == "sync" else None
    loaded = _configuration(parsed.config, parsed.prog)
    if loaded is None:
        return ExitCode.NOT_STARTED
    for warning in loaded.warnings:
        log.warning("%s", warning)
    settings = loaded.settings
    _apply_log_config(loaded)
    seen = Summary(command=parsed.command, started=time.time())
    try:
        with watching(live=can_show_live() and not parsed.debug) as observe:
            summary = asyncio.run(_stoppable(_run(loaded, names, _asked(parsed), _both(seen.see, observe))))
    except (FrumiousError, Interrupted) as error:
        _report_broken_off(seen, error, settings)
        if isinstance(error, FrumiousError) and settings.run_after and seen.changed:
            _run_after(settings, seen)  # what was published is published; a later run would not tell of it
        raise
    _report(summary)
    if _has_nothing_but_missing(summary):
        log.error("hint: upstream has none of these projects; check `master` (%s)", settings.master)
    if settings.summary_file is not None:
        _write_summary(settings.summary_file, summary.as_json())
    if settings.run_after and summary.changed:
        _run_after(settings, summary)
    if settings.exit_codes == "bandersnatch":
        return bandersnatch_code(summary.exit_code, stopped=summary.stopped is not None)
    return summary.exit_code


def _asked(parsed: argparse.Namespace) -> Asked:
    if parsed.command == "sync":
        return Asked(skip_root=parsed.skip_simple_root)
    return Asked(force_check=parsed.force_check, confirmed=parsed.confirm)


def _has_nothing_but_missing(summary: Summary) -> bool:
    there = summary.updated + summary.unchanged + len(summary.failed)
    return not there and len(summary.missing) + len(summary.vanished) > 1


def _both(first: Observer, second: Observer) -> Observer:
    def observe(event: Event) -> None:
        first(event)
        second(event)

    return observe


def _report_broken_off(seen: Summary, error: FrumiousError | Interrupted, settings: Settings) -> None:
    """Tell how far a run came that ended before its end; one that never held the lock has nothing to tell."""
    if isinstance(error, (LockHeld, ConfigError)):
        return
    seen.seconds = max(0.0, time.time() - seen.started)
    seen.stopped = str(error)
    if seen.updated or seen.files:
        log.info("%s", _one_line(seen))
    if settings.summary_file is not None:
        _write_summary(settings.summary_file, {**seen.as_json(), "exit_code": error.exit_code})


def _project_names(texts: Sequence[str]) -> list[tuple[NormalizedName, str]]:
    try:
        return [(normalize(text), text) for text in texts]
    except InvalidName as error:
        raise UsageError(f"{error.text!r} is not a project name") from None


def _configuration(path: Path, prog: str) -> Loaded | None:
    """Read the configuration; where there is none, write a default one, say so in two lines and return None."""
    try:
        return load(path)
    except MissingConfig:
        pass
    write_default_config(path)
    log.warning("configuration file %s was missing: a default one has been created", path)
    log.warning("review it, then run '%s' again", prog)
    return None


def _apply_log_config(loaded: Loaded) -> None:
    path = loaded.settings.log_config
    if path is None:
        return
    try:
        logging.config.fileConfig(path, disable_existing_loggers=False)
    except (OSError, KeyError, ValueError, RuntimeError, TypeError, AttributeError, ImportError) as error:
        place = loaded.places.get(("mirror", "log-config"))
        missing = f"no {error} in it" if isinstance(error, KeyError) else str(error)
        raise ConfigError(
            f"{path} cannot be used for logging: {missing}",
            file=place.source if place else None,
            section="mirror",
            key="log-config",
            line=place.line if place else None,
            hint="it must be in the format of Python's logging.config.fileConfig",
        ) from error
    hand_on()


async def _run(
    loaded: Loaded, names: list[tuple[NormalizedName, str]] | None, asked: Asked, observe: Observer
) -> Summary:
    async with open_mirror(loaded, observe, asked) as opened:
        if names is not None:
            return await sync(opened.ports, opened.options, names)
        return await mirror(opened.ports, opened.options)


def _inspect(parsed: argparse.Namespace) -> int:
    """Run a command that reads and prints: `plan` or `explain`."""
    question = read_question(parsed.what) if parsed.command == "explain" else None
    loaded = load(parsed.config)
    for warning in loaded.warnings:
        log.warning("%s", warning)
    _apply_log_config(loaded)

    async def work(observe: Observer) -> str:
        async with open_reader(loaded, observe) as opened:
            if question is not None:
                answer = await explain(opened.ports, opened.options, question)
                return explanation_json(answer) if parsed.json else explanation_text(answer)
            if not opened.has_catalog:
                await take_over(opened.ports, opened.options)  # as the run would do first
            found = await preview(opened.ports, opened.options)
            return plan_json(found) if parsed.json else plan_text(found)

    if question is not None:
        print(asyncio.run(_stoppable(work(log_event))))
        return ExitCode.WHOLE
    with watching(live=can_show_live() and not parsed.debug) as observe:
        text = asyncio.run(_stoppable(work(observe)))
    print(text)
    return ExitCode.WHOLE


def _serve(parsed: argparse.Namespace) -> int:
    loaded = load(parsed.config)
    for warning in loaded.warnings:
        log.warning("%s", warning)
    _apply_log_config(loaded)
    return run_serve(parsed, loaded)


def _status(parsed: argparse.Namespace) -> int:
    loaded = load(parsed.config)
    _apply_log_config(loaded)
    return run_status(parsed, loaded, _stoppable)


def _verify(parsed: argparse.Namespace) -> int:
    loaded = load(parsed.config)
    for warning in loaded.warnings:
        log.warning("%s", warning)
    _apply_log_config(loaded)
    settings = loaded.settings
    documents = _count_documents(settings) if settings.json else 1
    code = run_verify(parsed, loaded, _stoppable)
    if settings.exit_codes == "bandersnatch":
        return bandersnatch_verify_code(code, documents=documents)
    return code


def _count_documents(settings: Settings) -> int | None:
    """Return whether `web/json` has something in it, before a repair changes that; None: it is not there."""
    try:
        with os.scandir(settings.directory / "web/json") as entries:
            return sum(1 for _ in itertools.islice(entries, 1))
    except OSError:
        return None


def _delete(parsed: argparse.Namespace) -> int:
    names = read_names(parsed)
    if not names:
        return ExitCode.WHOLE
    return _changed(parsed, lambda loaded: run_delete(parsed, loaded, names, _stoppable))


def _trash(parsed: argparse.Namespace) -> int:
    return _changed(parsed, lambda loaded: run_trash(parsed, loaded, _stoppable))


def _changed(parsed: argparse.Namespace, change: Callable[[Loaded], tuple[int, Summary | None]]) -> int:
    """Run a command that may change what is published, and what the operator wants done then."""
    loaded = load(parsed.config)
    for warning in loaded.warnings:
        log.warning("%s", warning)
    _apply_log_config(loaded)
    code, summary = change(loaded)
    if loaded.settings.run_after and summary is not None and summary.changed:
        _run_after(loaded.settings, summary)
    if parsed.command in THEIR_COMMANDS and loaded.settings.exit_codes == "bandersnatch":
        return bandersnatch_code(code)
    return code


def _catalog(parsed: argparse.Namespace) -> int:
    """Run `catalog rebuild`."""
    loaded = load(parsed.config)
    _apply_log_config(loaded)

    async def work(observe: Observer) -> TakenOver:
        async with open_mirror(loaded, observe, Asked(fresh_catalog=True)) as opened:
            return await take_over(opened.ports, opened.options)

    with watching(live=can_show_live() and not parsed.debug) as observe:
        done = asyncio.run(_stoppable(work(observe)))
    asked = f"; the next `mirror` asks upstream for {done.incomplete:,} of them" if done.incomplete else ""
    log.info("catalog rebuilt: %s projects, %s files%s", f"{done.projects:,}", f"{done.files:,}", asked)
    return ExitCode.WHOLE


def _config(parsed: argparse.Namespace) -> int:
    return show(parsed.config, as_json=parsed.json) if parsed.action == "show" else check(parsed.config)


async def _stoppable(work: Coroutine[None, None, T]) -> T:
    """Run to the end, or until a signal: then everything is cancelled and closed; a second one ends the process."""
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)
    received: list[int] = []

    def stop(number: int) -> None:
        received.append(number)
        task.cancel()

    with asked_by_signal(loop, stop):
        try:
            return await task
        except asyncio.CancelledError:
            if received:
                raise Interrupted(received[0]) from None
            raise


def _report(summary: Summary) -> None:
    """Log the one line at the end of a run."""
    if summary.stopped:
        log.error("the run ended early: %s", summary.stopped)
    log.info("%s", _one_line(summary))


def _one_line(summary: Summary) -> str:
    parts = [
        f"{summary.updated:,} updated",
        f"{summary.unchanged:,} unchanged",
        f"{len(summary.failed) + len(summary.missing):,} failed",
    ]
    if summary.owed:
        parts.append(f"{summary.owed:,} owed")
    if summary.adopted:
        parts.append(f"{summary.adopted:,} files found in place")
    parts.append(f"{summary.files:,} files ({human_bytes(summary.bytes)}) downloaded")
    return f"{summary.command}: {', '.join(parts)}, {human_seconds(summary.seconds)}"


def _write_summary(path: Path, summary: Mapping[str, Any]) -> None:
    temporary = path.with_name(f".{path.name[:40]}.{os.getpid()}")
    try:
        temporary.write_text(json.dumps(summary, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        log.error("summary-file: cannot write %s (%s)", path, error.strerror)


def _run_after(settings: Settings, summary: Summary) -> None:
    """Run the operator's command; its failure is told, and is not the mirror's."""
    environment = {
        **os.environ,
        "FRUMIOUS_DIRECTORY": str(settings.directory),
        "FRUMIOUS_SUMMARY": summary.dumps(),
    }
    command = shlex.join(settings.run_after)
    log.info("run-after: %s", command)
    try:
        done = subprocess.run(settings.run_after, env=environment, check=False)  # noqa: S603 - the operator's own
    except OSError as error:
        log.error("run-after: cannot run %s (%s)", command, error.strerror)
        return
    if done.returncode:
        log.error("run-after: %s ended with %d", command, done.returncode)


_COMMANDS: Mapping[str, Callable[[argparse.Namespace], int]] = {
    "mirror": _execute,
    "sync": _execute,
    "plan": _inspect,
    "explain": _inspect,
    "serve": _serve,
    "credentials": run_credentials,
    "status": _status,
    "verify": _verify,
    "delete": _delete,
    "trash": _trash,
    "catalog": _catalog,
    "config": _config,
}
