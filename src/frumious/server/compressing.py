"""Pages in the content codings that clients know (conformance 55). Files are never compressed (conformance 60)."""

from __future__ import annotations

import sys
import zlib
from typing import Protocol

from frumious.server.negotiation import GZIP

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SMALLEST = 1024
"""Bytes below which a page is sent as it is."""
_LARGE = 1 << 20
"""Bytes from which speed counts more than the last per cent."""
_GZIP = 16 + zlib.MAX_WBITS


class Compressor(Protocol):
    """One stream on its way to being compressed."""

    def compress(self, data: bytes, /) -> bytes:
        """Take the next bytes, and return what is ready."""
        ...

    def flush(self) -> bytes:
        """Return the rest: nothing more comes."""
        ...


def compressor(coding: str, size: int) -> Compressor:
    """Return what compresses `size` bytes in a coding; equal bytes come out equal."""
    if coding == GZIP:
        return zlib.compressobj(6 if size < _LARGE else 3, zlib.DEFLATED, _GZIP)
    return zstd.ZstdCompressor(level=6 if size < _LARGE else 3)


def compress(body: bytes, coding: str) -> bytes:
    """Return a body in a coding."""
    one = compressor(coding, len(body))
    return one.compress(body) + one.flush()
