"""Look closely at files on a disk: what `LocalStorage.inspect` does in its threads.

hashlib lets go of the interpreter's lock while it works on a block, so that threads use every core; blocks are large
enough that little else is done in between, and each thread has one buffer for all that it reads.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat as modes
import threading
from collections.abc import Sequence
from pathlib import Path

from frumious.storage.base import Inspected

BLOCK = 256 * 1024
READABLE, PASSABLE = 0o004, 0o005
MOST_FOLDERS = 50_000


class Inspector:
    """Inspects files below a directory; may be used by many threads."""

    def __init__(self, base: str, *, checks_modes: bool) -> None:
        self._base, self._checks_modes = base, checks_modes
        self._local = threading.local()
        self._passable: set[str] = set()
        self.stopped = False
        """Set by whoever waits no longer: what is being read is left."""

    def inspect(self, keys: Sequence[str], *, sha256: bool) -> list[Inspected | None]:
        """Return what lies under each key, None where there is no file."""
        return [self._one(key, sha256=sha256) for key in keys]

    def _one(self, key: str, *, sha256: bool) -> Inspected | None:
        try:
            # O_NONBLOCK: a foreign FIFO in the tree must not hold a thread for ever.
            descriptor = os.open(self._base + key, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if error.errno in {errno.ELOOP, errno.ENXIO}:
                return None  # a symbolic link in a circle, a socket
            return Inspected(key, 0, 0.0, problem=error.strerror or str(error))
        try:
            found = os.fstat(descriptor)
            if not modes.S_ISREG(found.st_mode):
                return None
            is_public = not self._checks_modes or (
                bool(found.st_mode & READABLE) and self._is_passable(key.rpartition("/")[0])
            )
            digest = self._sha256(descriptor, found.st_size) if sha256 else None
            return Inspected(
                key, found.st_size, found.st_mtime, digest, is_public=is_public, changed=found.st_ctime
            )
        except OSError as error:
            return Inspected(key, 0, 0.0, problem=error.strerror or str(error))
        finally:
            os.close(descriptor)

    def _sha256(self, descriptor: int, size: int) -> str:
        buffer: memoryview | None = getattr(self._local, "buffer", None)
        if buffer is None:
            buffer = self._local.buffer = memoryview(bytearray(BLOCK))
        digest = hashlib.sha256()
        left = size
        while not self.stopped and (count := os.readv(descriptor, [buffer])):
            digest.update(buffer[:count])
            left -= count
            if not left and count < BLOCK:
                break  # that was the end: no need to be told so
        return digest.hexdigest()

    def _is_passable(self, folder: str) -> bool:
        """Say whether others can enter a directory and all those above it that are the mirror's."""
        if not folder:
            return True
        if folder in self._passable:
            return True
        mode = Path(self._base + folder).stat().st_mode
        is_passable = mode & PASSABLE == PASSABLE and self._is_passable(folder.rpartition("/")[0])
        if is_passable:  # one that is not may be mended at any moment
            if len(self._passable) >= MOST_FOLDERS:
                self._passable.clear()
            self._passable.add(folder)
        return is_passable


def make_public(base: str, key: str) -> None:
    """Let everybody read a file and enter the directories above it that are the mirror's; raises OSError."""
    _allow(Path(base + key), READABLE, 0o444)
    folder = key.rpartition("/")[0]
    while folder:
        _allow(Path(base + folder), PASSABLE, 0o555)
        folder = folder.rpartition("/")[0]


def _allow(path: Path, needed: int, added: int) -> None:
    mode = modes.S_IMODE(path.stat().st_mode)
    if mode & needed != needed:
        path.chmod(mode | added)
