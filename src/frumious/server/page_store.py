"""Pages of the tree, ready to be sent: read once, compressed once, looked at again with every request.

One `stat` says whether a page is still the one that is kept. A page is replaced by a rename, and read from one open
file, so that nobody ever gets half of one and half of another, nor the header of one with the body of the other.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import tempfile
from collections import OrderedDict
from pathlib import Path
from typing import IO, Final, NamedTuple

from frumious.pages.formats import HTML_TYPE, JSON_TYPE, TEXT_HTML
from frumious.server.compressing import SMALLEST, compress, compressor
from frumious.server.counters import PAGE_BYTES, PAGE_HITS, PAGE_MISSES, PAGES, Counters
from frumious.server.http import CORS, SERIAL_HEADER, Answer, Headers, Response, etag_matches
from frumious.server.negotiation import GZIP, ZSTD
from frumious.server.tree import Tree

LARGE: Final = 4 << 20
"""Bytes from which a page is not kept in memory: project lists, and the pages of a few very large projects."""
_MOST_LARGE: Final = 8
_INLINE: Final = 64 << 10
"""Bytes up to which compressing takes less than handing it to a thread is worth."""
_BLOCK: Final = 256 << 10
_ENDS: Final = 4096
"""Bytes at the beginning and at the end of a page in which its serial stands."""

# A quotation mark inside a JSON string has a backslash before it: neither can be found in what upstream says of a file.
_JSON_SERIAL = re.compile(rb'"meta":\s*\{[^{}]*?"_last-serial":\s*"?([0-9]{1,19})"?\s*[,}]')
_HTML_SERIAL = re.compile(rb"<!--SERIAL ([0-9]{1,19})-->\s*\Z")
_MARKS: Final = {JSON_TYPE: "j", HTML_TYPE: "h", TEXT_HTML: "t", GZIP: "g", ZSTD: "z", None: ""}


class KeptFile:
    """An open file, whole, as a body: it stays what it is when another takes its name.

    It is closed when the last answer that needs it is gone.
    """

    def __init__(self, file: IO[bytes], length: int) -> None:
        self._descriptor = os.dup(file.fileno())
        self.length = length

    def __del__(self) -> None:
        os.close(self._descriptor)

    def read(self, offset: int, size: int) -> bytes:
        """Return at most `size` bytes from `offset`; empty at the end."""
        return os.pread(self._descriptor, size, offset)


class Variant(NamedTuple):
    """One form of a page in one coding, as answers that need nothing more."""

    etag: str
    whole: Response
    unchanged: Response


class Page:
    """One stored page, in every form and coding that was asked for."""

    def __init__(self, body: bytes | KeptFile, found: os.stat_result, cache_control: str) -> None:
        self.identity = _identity(found)
        self._bodies: dict[str | None, bytes | KeptFile] = {None: body}
        self._length = _length(body)
        self._etag = f"{found.st_mtime_ns:x}-{found.st_size:x}"
        self.serial = serial = _serial(body)
        self._headers: Headers = [
            ("cache-control", cache_control),
            ("vary", "Accept, Accept-Encoding"),
            *CORS,
            *([(SERIAL_HEADER, serial)] if serial is not None else ()),
        ]
        self._variants: dict[tuple[str, str | None], Variant] = {}
        self._pending: dict[str, asyncio.Task[bytes | KeptFile]] = {}

    def read(self) -> bytes:
        """Return the page as it is stored."""
        body = self._bodies[None]
        return body if isinstance(body, bytes) else body.read(0, body.length)

    def answer(self, media_type: str, coding: str | None, if_none_match: str | None) -> Answer:
        """Return the page as a media type in a coding, or that it is unchanged (conformance 50, 51)."""
        if (media_type, coding) not in self._variants:
            if self._length < SMALLEST:
                coding = None
            if coding is not None and coding not in self._bodies:
                if self._length > _INLINE:
                    return self._compressed_answer(media_type, coding, if_none_match)
                self._bodies[coding] = compress(self.read(), coding)
        return self._sent(media_type, coding, if_none_match)

    def _sent(self, media_type: str, coding: str | None, if_none_match: str | None) -> Response:
        variant = self._variants.get((media_type, coding))
        if variant is None:
            variant = self._variants[media_type, coding] = self._variant(media_type, coding)
        if if_none_match is not None and etag_matches(if_none_match, variant.etag):
            return variant.unchanged
        return variant.whole

    async def _compressed_answer(self, media_type: str, coding: str, if_none_match: str | None) -> Response:
        task = self._pending.get(coding)
        if task is None:
            task = self._pending[coding] = asyncio.ensure_future(
                asyncio.to_thread(_compressed, self._bodies[None], coding)
            )
        try:
            self._bodies[coding] = await asyncio.shield(task)
        finally:
            self._pending.pop(coding, None)
        return self._sent(media_type, coding, if_none_match)

    def _variant(self, media_type: str, coding: str | None) -> Variant:
        etag = f'"{self._etag}-{_MARKS[media_type]}{_MARKS[coding]}"'
        headers = [("etag", etag), *self._headers]
        described = [
            ("content-type", media_type),
            *([("content-encoding", coding)] if coding is not None else ()),
        ]
        body = self._bodies[coding]
        if isinstance(body, KeptFile):
            described.append(("content-length", str(body.length)))
        return Variant(etag, Response(200, [*described, *headers], body), Response(304, headers))


class PageStore:
    """Pages that were asked for lately, in about `capacity` bytes of memory."""

    def __init__(
        self, tree: Tree, *, capacity: int, cache_control: str, counters: Counters | None = None
    ) -> None:
        self._tree = tree
        self._counters = counters or Counters(1)
        self._capacity = capacity
        self._cache_control = cache_control
        self._pages: OrderedDict[str, Page] = OrderedDict()
        self._charged: dict[str, int] = {}
        self._total = 0

    def page(self, relative: str) -> Page:
        """Return a stored page by its safe path below `web/`; raises FileNotFoundError, OSError."""
        page = self._pages.get(relative)
        if page is not None:
            if _identity(os.stat(f"{self._tree.web}/{relative}")) == page.identity:
                self._pages.move_to_end(relative)
                self._counters.add(PAGE_HITS)
                return page
            self._forget(relative)
        page, size = self._load(relative)
        self._keep(relative, page, 2 * size if size <= LARGE else self._capacity // _MOST_LARGE)
        return page

    def _load(self, relative: str) -> tuple[Page, int]:
        with Path(self._tree.at(relative).path).open("rb", buffering=0) as file:
            found = os.fstat(file.fileno())
            large = found.st_size > LARGE
            body = KeptFile(file, found.st_size) if large else file.read()
        return Page(body, found, self._cache_control), found.st_size

    def _keep(self, relative: str, page: Page, charge: int) -> None:
        self._pages[relative] = page
        self._charged[relative] = charge
        self._total += charge
        while self._total > self._capacity and len(self._pages) > 1:
            self._forget(next(iter(self._pages)))
        self._counters.add(PAGE_MISSES)
        self._counters.set(PAGES, len(self._pages))
        self._counters.set(PAGE_BYTES, self._total)

    def _forget(self, relative: str) -> None:
        del self._pages[relative]
        self._total -= self._charged.pop(relative)


def content_etag(body: bytes) -> str:
    """Return a strong validator of a body that lies in no file."""
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def _identity(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_ino, found.st_mtime_ns, found.st_size


def _length(body: bytes | KeptFile) -> int:
    return len(body) if isinstance(body, bytes) else body.length


def _serial(body: bytes | KeptFile) -> str | None:
    """Return the serial that a page says, in either form of it; None where it says none."""
    if isinstance(body, bytes):
        head = tail = body
    else:
        head, tail = body.read(0, _ENDS), body.read(max(0, body.length - _ENDS), _ENDS)
    found = _HTML_SERIAL.search(tail[-_ENDS:]) or _JSON_SERIAL.search(tail) or _JSON_SERIAL.search(head)
    return None if found is None else found[1].decode()


def _compressed(body: bytes | KeptFile, coding: str) -> bytes | KeptFile:
    """Return a body in a coding: what is large goes to a file that has no name."""
    if isinstance(body, bytes):
        return compress(body, coding)
    one = compressor(coding, body.length)
    with tempfile.TemporaryFile(prefix="frumious-") as file:
        offset = 0
        while block := body.read(offset, _BLOCK):
            file.write(one.compress(block))
            offset += len(block)
        file.write(one.flush())
        file.flush()
        return KeptFile(file, file.tell())
