"""One publisher at a time: flock(2) on a file that stays (design.md §6.6). The kernel frees it when the holder dies."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from frumious.errors import LockHeld, NotWritable, StorageError

_SOMEBODY = "another process"


@contextmanager
def hold_lock(
    path: Path, *, manage_modes: bool = True, lock: Callable[[int, int], None] = fcntl.flock
) -> Iterator[Callable[[], None]]:
    """Hold the lock for the block; raises LockHeld at once if somebody else has it, NotWritable, StorageError.

    The file is empty, readable by everybody (with `manage_modes`), and stays: bandersnatch locks the same one. Its
    modified time says since when it is held. What is yielded raises StorageError once the file is not at its path any
    more: then another run may hold a lock there, too.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644 if manage_modes else 0o666)
    except OSError as error:
        raise _cannot_open(path, error) from error
    try:
        if manage_modes:
            with suppress(PermissionError):  # made by somebody else, who chose its mode
                os.fchmod(descriptor, 0o644)
        try:
            lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockHeld(str(path), holder(descriptor), os.fstat(descriptor).st_mtime) from None
        except OSError as error:
            raise StorageError(
                f"cannot lock {path} ({error.strerror})",
                hint="the file system must support flock(2); over NFS that needs its lock service",
            ) from error
        with suppress(PermissionError):
            os.utime(descriptor)
        yield partial(_check_in_place, path, descriptor)
    finally:
        os.close(descriptor)


def _cannot_open(path: Path, error: OSError) -> NotWritable:
    if error.errno in {errno.EISDIR, errno.ENXIO, errno.ELOOP}:
        hint = "something else stands where the lock belongs: move it away"
    else:
        hint = "run frumious as the user that owns the mirror's directory"
    return NotWritable(f"cannot open {path} ({error.strerror})", hint=hint)


def _check_in_place(path: Path, descriptor: int) -> None:
    with suppress(OSError):
        ours, there = os.fstat(descriptor), path.stat()
        if (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino):
            return
    raise StorageError(
        f"{path} was removed or replaced during the run, so that nothing keeps another run away: this one ends",
        hint="see what removed it, then run again; what is published stays",
    )


def is_held(path: Path) -> bool:
    """Say whether somebody holds the lock, without getting in anybody's way; False where that cannot be known."""
    return held_by(path) is not None


def held_by(path: Path) -> str | None:
    """Return who holds the lock, without getting in anybody's way; None: nobody, or it cannot be known."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        found = holder(descriptor)
    finally:
        os.close(descriptor)
    return None if found == _SOMEBODY else found


def holder(descriptor: int) -> str:
    """Return who holds the lock, as far as the system tells."""
    found = os.fstat(descriptor)
    try:
        table = Path("/proc/locks").read_text(encoding="ascii")
    except OSError:
        return _SOMEBODY
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
    return by_inode or _SOMEBODY
