"""One publisher at a time: flock(2) on a file that stays (design.md §6.6). The kernel frees it when the holder dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from frumious.errors import LockHeld, NotWritable, StorageError


@contextmanager
def hold_lock(path: Path, *, manage_modes: bool = True) -> Iterator[None]:
    """Hold the lock for the block; raises LockHeld at once if somebody else has it, NotWritable, StorageError.

    The file is empty, readable by everybody (with `manage_modes`), and stays: bandersnatch locks the same one.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644 if manage_modes else 0o666)
    except OSError as error:
        raise NotWritable(
            f"cannot open {path} ({error.strerror})",
            hint="run frumious as the user that owns the mirror's directory",
        ) from error
    try:
        if manage_modes:
            with suppress(PermissionError):  # made by somebody else, who chose its mode
                os.fchmod(descriptor, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockHeld(str(path), holder(descriptor)) from None
        except OSError as error:
            raise StorageError(
                f"cannot lock {path} ({error.strerror})",
                hint="the file system must support flock(2); over NFS that needs its lock service",
            ) from error
        yield
    finally:
        os.close(descriptor)


def holder(descriptor: int) -> str:
    """Return who holds the lock, as far as the system tells."""
    found = os.fstat(descriptor)
    try:
        table = Path("/proc/locks").read_text(encoding="ascii")
    except OSError:
        return "another process"
    return holder_in(table, os.major(found.st_dev), os.minor(found.st_dev), found.st_ino)


def holder_in(table: str, major: int, minor: int, inode: int) -> str:
    """Return who holds the lock on a file, by the text of `/proc/locks`.

    Some file systems (btrfs, overlayfs) have another device number there than in stat(2): the inode alone is the
    second best.
    """
    exact, by_inode = f"{major:02x}:{minor:02x}:{inode}", None
    for line in table.splitlines():
        # `1: FLOCK ADVISORY WRITE 1234 fe:01:5678 0 EOF`; waiting ones have an arrow in second place
        match line.split():
            case [_, "FLOCK", _, _, pid, place, *_] if (
                pid.isdecimal() and pid != "0"
            ):  # 0: in another container
                if place == exact:
                    return f"process {pid}"
                if place.rpartition(":")[2] == str(inode):
                    by_inode = f"process {pid}"
    return by_inode or "another process"
