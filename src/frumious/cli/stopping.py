"""Signals: the first one asks a command to end, the second one ends it.

Imported before anything else, so only of what Python has loaded anyway.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def end_at_once_on_signals() -> None:
    """Have every signal that stops us end the process with one line and its exit code."""
    for number in _heeded():
        signal.signal(number, _end)


@contextmanager
def asked_by_signal(loop: AbstractEventLoop, ask: Callable[[int], None]) -> Iterator[None]:
    """Call `ask` with the number of the first signal that stops us, within the block; a second one ends the process."""
    before = {number: signal.getsignal(number) for number in _heeded()}

    def first(number: int) -> None:
        for one in before:
            loop.remove_signal_handler(one)
        end_at_once_on_signals()
        ask(number)

    for number in before:
        loop.add_signal_handler(number, first, number)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)


def _heeded() -> list[signal.Signals]:
    """Return the signals that stop us, without those that whoever started us wants ignored (`nohup`)."""
    return [number for number in STOPPING if signal.getsignal(number) is not signal.SIG_IGN]


def _end(number: int, _frame: FrameType | None) -> None:
    # Whatever is under way is left as a power cut would leave it: the next run puts it right (design.md §6).
    line = (
        f"ended by {signal.Signals(number).name}; what is published stays, the next run goes on from here\n"
    )
    try:
        os.write(sys.__stderr__.fileno() if sys.__stderr__ is not None else 2, line.encode())
    finally:
        os._exit(128 + number)
