"""What a Range header asks of a file (RFC 9110 §14). Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

_ONE = re.compile(r"bytes=[ \t]*([0-9]{0,20})[ \t]*-[ \t]*([0-9]{0,20})[ \t]*\Z", re.IGNORECASE | re.ASCII)


class Span(NamedTuple):
    """Bytes of a file: where they begin, and how many."""

    start: int
    length: int


class Unsatisfiable(Exception):
    """No byte of what is asked for exists: 416."""


def asked_span(header: str | None, size: int) -> Span | None:
    """Return the one span of a file of `size` bytes that a Range asks for, or None: the whole file is to be sent.

    Several spans, other units and what cannot be read are answered with the whole file, as RFC 9110 §14.2 allows.
    Raises Unsatisfiable.
    """
    found = header and _ONE.match(header)
    if not found or found[1] == found[2] == "":
        return None
    if found[1] == "":  # the last n bytes
        length = min(int(found[2]), size)
        if length == 0:
            raise Unsatisfiable
        return Span(size - length, length)
    start = int(found[1])
    end = int(found[2]) if found[2] else size - 1
    if found[2] and end < start:
        return None  # turned round: not a range at all
    if start >= size:
        raise Unsatisfiable
    return Span(start, min(end, size - 1) - start + 1)


def still_applies(if_range: str | None, etag: str, modified: str) -> bool:
    """Say whether a Range holds under an If-Range: it names what we have, exactly (RFC 9110 §13.1.5)."""
    return if_range is None or if_range.strip() in {etag, modified}
