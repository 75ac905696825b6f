"""Project names: text becomes a type at the door, once."""

from __future__ import annotations

import re
from typing import NewType

NormalizedName = NewType("NormalizedName", str)
"""A valid project name in normalized form; only `normalize` makes one."""

# Name normalization, packaging.python.org: ASCII only, and \Z because `$` would allow a final newline.
_VALID = re.compile(r"([A-Z0-9]|[A-Z0-9][A-Z0-9._-]*[A-Z0-9])\Z", re.IGNORECASE | re.ASCII)
_NORMAL = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*\Z", re.ASCII)
_RUNS = re.compile(r"[-_.]+")

MAX_NAME_BYTES = 250
"""Longest name we accept: it becomes one directory, and NAME_MAX is 255."""


class InvalidName(ValueError):
    """Text that is not a project name."""

    def __init__(self, text: str) -> None:
        super().__init__(f"not a project name: {text[:80]!r}")
        self.text = text


def normalize(text: str) -> NormalizedName:
    """Return the normalized form of a project name (PEP 503).

    Raises InvalidName for text that is no project name, so that nothing else can reach a path.
    """
    if len(text) <= MAX_NAME_BYTES:
        if _NORMAL.match(text):
            return NormalizedName(text)
        if _VALID.match(text):
            return NormalizedName(_RUNS.sub("-", text).lower())
    raise InvalidName(text)
