"""The core metadata inside a distribution file, for those that have none beside them. Blocks: call it in a thread.

An archive is whatever somebody uploaded. Nothing of it is written anywhere, its names are compared and never used as
paths, and what is read of it is bounded, packed and unpacked, in memory and in total.
"""

from __future__ import annotations

import bz2
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from tarfile import AREGTYPE, BLOCKSIZE, GNUTYPE_LONGNAME, NUL, REGTYPE, XHDTYPE, TarError, TarInfo
from typing import IO, Final, cast

from frumious.search.documents import LONGEST

_UNPACKED: Final = 64 << 20
"""Bytes of a tar file in which metadata is looked for. Some build tools write it first, others last."""
_MEMBERS: Final = 20_000
_DIRECTORY: Final = 4 << 20
"""Bytes of a zip file's directory. Of each entry, 46 bytes or more, the library makes an object of some hundred."""
_EXTENDED: Final = 64 << 10
"""Bytes of a tar file's header of further facts, of which the name is the one that is wanted."""
_BLOCK: Final = 64 << 10
_UNPACKED_AT_ONCE: Final = 1 << 20
_DICTIONARY: Final = 128 << 20
"""Bytes that unpacking an xz file may take; its strongest preset takes 65 MiB."""
_METHODS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
"""Others may take as much memory as the file says, and no build tool writes them."""
_IN_WHEEL: Final = re.compile(r"[^/]+\.dist-info/METADATA\Z")
_IN_SDIST: Final = re.compile(r"(?:\./)?[^/]+/PKG-INFO\Z")  # in an egg it is EGG-INFO/PKG-INFO
_PATH: Final = re.compile(rb"(?:\A|\n)\d+ path=([^\n]*)\n")
_BROKEN: Final = (
    OSError,  # what the libraries say of some broken archives
    EOFError,
    ValueError,
    RuntimeError,  # encrypted
    NotImplementedError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    TarError,
)


def read_core_metadata(path: Path) -> bytes | None:
    """Return the core metadata in a wheel, a source distribution or an egg; raises OSError where it cannot be opened.

    None where there is none, or more of it than `documents.LONGEST`; where the file is of another kind, broken, or has
    more in it than anybody looks through.
    """
    with path.open("rb") as file:
        try:
            return _read(file, path.name.lower())
        except _BROKEN:
            return None


def _read(file: IO[bytes], name: str) -> bytes | None:
    if name.endswith(".whl"):
        return _from_zip(file, _IN_WHEEL)
    if name.endswith((".zip", ".egg")):
        return _from_zip(file, _IN_SDIST)
    for ends, blocks in _TARS.items():
        if name.endswith(ends):
            return _from_tar(blocks(file))
    return None


# ------------------------------------------------------------------ zip


class _Guarded:
    """A file of which nobody reads more at once than a zip file's directory may have."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.seek = file.seek
        self.tell = file.tell
        self.seekable = file.seekable

    def read(self, size: int = -1) -> bytes:
        """Return bytes as a file does; raises EOFError for too many."""
        if size > _DIRECTORY:
            raise EOFError("its directory is too long")
        return self._file.read(_DIRECTORY if size < 0 else size)


def _from_zip(file: IO[bytes], wanted: re.Pattern[str]) -> bytes | None:
    with zipfile.ZipFile(cast("IO[bytes]", _Guarded(file))) as archive:
        for member in archive.infolist()[:_MEMBERS]:
            if wanted.match(member.filename):
                if member.compress_type not in _METHODS:
                    return None
                with archive.open(member) as packed:
                    body = packed.read(LONGEST + 1)
                return body if len(body) <= LONGEST else None
    return None


# ------------------------------------------------------------------ tar


class _Stream:
    """Unpacked bytes, read from front to back, up to `_UNPACKED` of them."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = iter(blocks)
        self._block = memoryview(b"")  # taken apart without copies
        self._left = _UNPACKED

    def take(self, size: int) -> bytes:
        """Return the next bytes, all of them; raises EOFError."""
        return b"".join(self._pieces(size))

    def skip(self, size: int) -> None:
        """Go on behind them; raises EOFError."""
        for _ in self._pieces(size):
            pass

    def _pieces(self, size: int) -> Iterator[memoryview]:
        self._left -= size
        if self._left < 0:
            raise EOFError("too much")
        while size:
            while not self._block:
                block = next(self._blocks, None)
                if block is None:
                    raise EOFError("it ends too early")
                self._block = memoryview(block)
            piece, self._block = self._block[:size], self._block[size:]
            size -= len(piece)
            yield piece


def _from_tar(blocks: Iterable[bytes]) -> bytes | None:
    stream = _Stream(blocks)
    name = None
    for _ in range(_MEMBERS):
        block = stream.take(BLOCKSIZE)
        if block == NUL * BLOCKSIZE:
            return None
        member = TarInfo.frombuf(block, "utf-8", "surrogateescape")
        padding = -member.size % BLOCKSIZE
        if member.size < 0:
            return None
        if member.type in {XHDTYPE, GNUTYPE_LONGNAME}:
            if member.size > _EXTENDED:
                return None
            name = _longer_name(member.type, stream.take(member.size))
            stream.skip(padding)
            continue
        if member.type in {REGTYPE, AREGTYPE} and _IN_SDIST.match(name or member.name):
            return stream.take(member.size) if member.size <= LONGEST else None
        name = None
        stream.skip(member.size + padding)
    return None


def _longer_name(kind: bytes, body: bytes) -> str | None:
    """Return the name of the next member, where it is too long for its header."""
    if kind == GNUTYPE_LONGNAME:
        return body.rstrip(NUL).decode("utf-8", "surrogateescape")
    found = _PATH.search(body)
    return None if found is None else found[1].decode("utf-8", "surrogateescape")


def _gunzipped(file: IO[bytes]) -> Iterator[bytes]:
    unpacking = zlib.decompressobj(16 + zlib.MAX_WBITS)
    while not unpacking.eof:
        packed = unpacking.unconsumed_tail or file.read(_BLOCK)
        if not packed:
            return
        yield unpacking.decompress(packed, _UNPACKED_AT_ONCE)


def _decompressed(file: IO[bytes], unpacking: bz2.BZ2Decompressor | lzma.LZMADecompressor) -> Iterator[bytes]:
    while not unpacking.eof:
        packed = file.read(_BLOCK) if unpacking.needs_input else b""
        if unpacking.needs_input and not packed:
            return
        yield unpacking.decompress(packed, _UNPACKED_AT_ONCE)


def _plain(file: IO[bytes]) -> Iterator[bytes]:
    return iter(lambda: file.read(_BLOCK), b"")


_TARS: Final[dict[tuple[str, ...], Callable[[IO[bytes]], Iterator[bytes]]]] = {
    (".tar.gz", ".tgz"): _gunzipped,
    (".tar.bz2", ".tbz", ".tbz2"): lambda file: _decompressed(file, bz2.BZ2Decompressor()),
    (".tar.xz", ".txz"): lambda file: _decompressed(file, lzma.LZMADecompressor(memlimit=_DICTIONARY)),
    (".tar",): _plain,
}
"""Unpacked blocks of a tar file, by how its name ends."""
