"""What the renderers share, so that both forms say the same."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from operator import attrgetter
from typing import Final, TypeVar

from frumious.model.project import PageFile, ProjectPage

T = TypeVar("T")

CHUNK_BYTES: Final = 64 * 1024
_BY_FILENAME: Final = attrgetter("filename")
# HTML has no way to write these (html.spec.whatwg.org, "numeric character reference end state"), UTF-8 none for
# lone surrogates. Tab, line feed and carriage return it has.
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def writable(text: str) -> str:
    """Return text as both forms of a page can carry it: U+FFFD stands for what HTML or UTF-8 cannot."""
    return text if text.isprintable() else _UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def files_in_order(page: ProjectPage) -> list[PageFile]:
    """Return a page's files as every form lists them."""
    return sorted(page.files, key=_BY_FILENAME)


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield consecutive lists of up to `size` items."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def chunks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in blocks of about 64 KiB."""
    block = bytearray()
    for piece in pieces:
        block += piece
        if len(block) >= CHUNK_BYTES:
            yield bytes(block)
            block.clear()
    if block:
        yield bytes(block)
