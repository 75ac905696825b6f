"""What is typed after an option, and is more than text."""

from __future__ import annotations

import argparse
import re

_DURATION = re.compile(r"([0-9]{1,6})([smhd]?)\Z", re.ASCII)
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_SLICE = re.compile(r"([0-9]{1,6})/([0-9]{1,6})\Z", re.ASCII)


def duration(text: str) -> float:
    """Read `90`, `90s`, `20m`, `2h` or `1d`; raises ArgumentTypeError."""
    match = _DURATION.match(text)
    if match is None or not int(match[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 90s, 20m or 2h")
    return float(int(match[1]) * _SECONDS[match[2]])


def part(text: str) -> tuple[int, int]:
    """Read `1/30`; raises ArgumentTypeError."""
    match = _SLICE.match(text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise argparse.ArgumentTypeError(f"{text!r} is no part such as 1/30")
    return int(match[1]), int(match[2])


def days(text: str) -> int:
    """Read a whole number of days, `0` or more; raises ArgumentTypeError."""
    if not text.isascii() or not text.isdecimal() or len(text) > 5:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of days")
    return int(text)


def host(text: str) -> str:
    """Read where to listen: an address, a name, or `unix:` and a path; raises ArgumentTypeError."""
    from frumious.config.readers import Refused, read_host

    try:
        return read_host(text)
    except Refused as refused:
        reason = refused.reason or "no address, no name and no unix:/PATH"
        raise argparse.ArgumentTypeError(f"{text!r}: {reason}") from None


def port(text: str) -> int:
    """Read a port, 0 to 65535; raises ArgumentTypeError."""
    return _number(text, 0, 65535, "port")


def workers(text: str) -> int:
    """Read a number of processes, 1 to 256; raises ArgumentTypeError."""
    return _number(text, 1, 256, "number of processes")


def _number(text: str, low: int, high: int, what: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 5 or not low <= int(text) <= high:
        raise argparse.ArgumentTypeError(f"{text!r} is no {what} from {low} to {high}")
    return int(text)
