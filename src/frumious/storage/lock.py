"""One publisher at a time: flock(2) on a file that stays (design.md §6.6). The kernel frees it when the holder dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from frumious.errors import LockHeld, NotWritable


@contextmanager
def hold_lock(path: Path) -> Iterator[None]:
    """Hold the lock for the block; raises LockHeld at once if somebody else has it, NotWritable."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise NotWritable(
            f"cannot open {path} ({error.strerror})",
            hint="run frumious as the user that owns the mirror's directory",
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockHeld(str(path), holder(descriptor)) from None
        yield
    finally:
        os.close(descriptor)


def holder(descriptor: int) -> str:
    """Return who holds the lock, as far as the system tells."""
    inode = os.fstat(descriptor).st_ino
    try:
        lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except OSError:
        return "another process"
    for line in lines:
        fields = line.split()
        # `1: FLOCK ADVISORY WRITE 1234 fe:01:5678 0 EOF`; waiting ones have an arrow in second place
        if len(fields) >= 6 and fields[1] == "FLOCK" and fields[5].rpartition(":")[2] == str(inode):
            return f"process {fields[4]}"
    return "another process"
