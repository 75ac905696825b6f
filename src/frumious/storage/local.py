"""Storage in a directory: what a web server can serve with no program running.

Bodies are written and renamed inside the event loop: at 20 KB a file, a hop to a thread costs more than the system
calls, and a slow disk should slow the download down (docs/decisions/0001). Everything that takes a whole batch, reads
or waits is one hop to a thread.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import hashlib
import itertools
import os
import shutil
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial as bind
from pathlib import Path
from typing import TypeVar

from frumious.errors import NoSpace, NoSuchObject, NotWritable, StorageError, WrongContent
from frumious.storage.base import (
    STAGING,
    Capabilities,
    Expected,
    Item,
    Options,
    Partial,
    Stat,
    Stored,
    check_key,
)

T = TypeVar("T")

BLOCK = 256 * 1024
VALIDATOR_FROM = 1024 * 1024
"""A body of this size gets its validator written beside it, so that a killed process can go on, too."""
LIST_CHUNK = 1000
MADE_MAX = 200_000
_OURS = ".frumious/"
_KEPT = frozenset({"web", "web/simple", "web/packages", "web/local-stats", "web/local-stats/days"})
_CREATE = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_DENIED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_UNLINKABLE = frozenset({errno.EPERM, errno.EMLINK, errno.EXDEV, errno.EOPNOTSUPP, errno.ENOSYS})


class LocalStorage:
    """`frumious.storage.base.Storage` in a directory, which must exist.

    `sync` makes everything below a directory durable; the default is the best that the system has. Files and
    directories may be symbolic links to another file system; bodies are then copied beside their place first.
    """

    def __init__(
        self,
        root: Path,
        *,
        sync: Callable[[Sequence[Path]], None] | None = None,
        link: Callable[[str, str], None] = os.link,
    ) -> None:
        self._root = root
        self._base = f"{root}/"
        self._threads = ThreadPoolExecutor(4, "storage")
        self._sync = sync or (sync_file_systems if sys.platform == "linux" else None)
        self._link = link
        self._touched: set[str] = set()
        self._made: set[str] = set()
        self._busy: set[str] = set()
        self._numbers = itertools.count()
        self._run = f"{os.getpid():x}-{time.time_ns() & 0xFFFFFFFF:x}"
        self._ready = False

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(atomic_replace=True, links=True, resumable=True, barrier_needed=True)

    def local_path(self, key: str) -> Path:
        """Return where an object lies, for programs that can read it without us."""
        return Path(self._path(key))

    # ------------------------------------------------------------------ put

    async def put(
        self,
        key: str,
        body: AsyncIterator[bytes],
        expected: Expected,
        options: Options = Options(),
        *,
        offset: int = 0,
        validator: str | None = None,
    ) -> Stored:
        target = self._path(key)
        self._prepare()
        scratch = self._scratch_for(expected) if expected.hexdigest else None
        if offset and scratch is None:
            raise ValueError("only the partial of an expected digest can be continued")
        keep = scratch is not None and scratch not in self._busy
        if offset and not keep:
            raise ValueError(f"that partial is being written already: {key}")
        writing = scratch if scratch is not None and keep else self._temporary()
        self._busy.add(writing)
        try:
            with _translated(key):
                descriptor = self._open_for_writing(writing, offset)
            try:
                stored = await self._receive(
                    descriptor, key, body, expected, offset, writing, validator, keep=keep
                )
                with _translated(key):
                    _finish(descriptor, options)
            except WrongContent:
                _unlink(writing, f"{writing}.v")
                raise
            except BaseException:
                if not keep:
                    _unlink(writing)
                else:
                    self._keep_partial(descriptor, writing, validator)
                raise
            finally:
                os.close(descriptor)
            with _translated(key):
                self._place(writing, target)
                if keep:
                    _unlink(f"{writing}.v")
        finally:
            self._busy.discard(writing)
        self._touch(target)
        return stored

    def _open_for_writing(self, path: str, offset: int) -> int:
        if not offset:
            with suppress(FileNotFoundError):
                os.unlink(path)
            return os.open(path, _CREATE, 0o644)
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        size = os.fstat(descriptor).st_size
        if size != offset:
            os.close(descriptor)
            raise ValueError(f"the partial has {size} bytes, not {offset}")
        return descriptor

    async def _receive(
        self,
        descriptor: int,
        key: str,
        body: AsyncIterator[bytes],
        expected: Expected,
        offset: int,
        writing: str,
        validator: str | None,
        *,
        keep: bool,
    ) -> Stored:
        sha256 = hashlib.sha256()
        theirs = sha256
        if expected.hexdigest and expected.algorithm != "sha256":
            theirs = hashlib.new(expected.algorithm or "sha256", usedforsecurity=False)
        both = [sha256] if theirs is sha256 else [sha256, theirs]
        size = offset
        if offset:
            await self._in_thread(_hash_again, descriptor, both)
        noted = not (keep and validator)
        async for block in body:
            size += len(block)
            if expected.size is not None and size > expected.size:
                raise WrongContent(key, expected=f"{expected.size} bytes", got="more")
            for digest in both:
                digest.update(block)
            with _translated(key):
                view = memoryview(block)
                while view:
                    view = view[os.write(descriptor, view) :]
                if not noted and size >= VALIDATOR_FROM:
                    _note_validator(writing, validator)
                    noted = True
        if expected.size is not None and size != expected.size:
            raise WrongContent(key, expected=f"{expected.size} bytes", got=f"{size}")
        if expected.hexdigest and theirs.hexdigest() != expected.hexdigest:
            raise WrongContent(
                key,
                expected=f"{expected.algorithm}={expected.hexdigest}",
                got=f"{expected.algorithm}={theirs.hexdigest()}",
            )
        return Stored(key, size, sha256.hexdigest())

    def _keep_partial(self, descriptor: int, path: str, validator: str | None) -> None:
        if os.fstat(descriptor).st_size and validator:
            with suppress(OSError):
                _note_validator(path, validator)
                return
        _unlink(path, f"{path}.v")

    async def partial(self, expected: Expected) -> Partial | None:
        if not expected.hexdigest:
            return None
        path = self._scratch_for(expected)
        if path in self._busy:
            return None

        def look() -> Partial | None:
            try:
                size = os.stat(path, follow_symlinks=False).st_size
            except FileNotFoundError:
                return None
            try:
                validator = Path(f"{path}.v").read_text(encoding="utf-8") or None
            except (FileNotFoundError, UnicodeDecodeError):
                validator = None
            return Partial(size, validator) if size else None

        return await self._in_thread(look)

    async def discard_partial(self, expected: Expected) -> None:
        path = self._scratch_for(expected)
        if expected.hexdigest and path not in self._busy:
            await self._in_thread(_unlink, path, f"{path}.v")

    # -------------------------------------------------------------- batches

    async def write(self, items: Sequence[Item]) -> None:
        def work() -> None:
            self._prepare()
            for item in items:
                target = self._path(item.key)
                scratch = target if item.key.startswith(STAGING) else self._temporary()
                with _translated(item.key):
                    self._write_one(scratch, item)
                    if scratch is not target:
                        self._place(scratch, target)
                self._touch(target)

        if items:
            await self._in_thread(work)

    def _write_one(self, scratch: str, item: Item) -> None:
        try:
            descriptor = os.open(scratch, _CREATE, 0o644)
        except FileExistsError:
            os.unlink(scratch)
            descriptor = os.open(scratch, _CREATE, 0o644)
        try:
            view = memoryview(item.data)
            while view:
                view = view[os.write(descriptor, view) :]
            _finish(descriptor, item.options)
        except BaseException:
            _unlink(scratch)
            raise
        finally:
            os.close(descriptor)

    async def copy(self, pairs: Sequence[tuple[str, str]]) -> None:
        def work() -> None:
            self._prepare()
            for source, key in pairs:
                origin, target = self._path(source), self._path(key)
                with _translated(source):
                    scratch = target if key.startswith(STAGING) else self._temporary()
                    self._share(origin, scratch)
                    if scratch is not target:
                        self._place(scratch, target)
                        _unlink(scratch)  # rename(2) does nothing if both names are links to one file
                self._touch(target)

        if pairs:
            await self._in_thread(work)

    def _share(self, origin: str, scratch: str) -> None:
        try:
            self._link(origin, scratch)
        except FileExistsError:
            os.unlink(scratch)
            self._link(origin, scratch)
        except OSError as error:
            if error.errno not in _UNLINKABLE:
                raise
            shutil.copy2(origin, scratch, follow_symlinks=False)

    async def move(self, pairs: Sequence[tuple[str, str]]) -> None:
        def work() -> None:
            for source, key in pairs:
                origin, target = self._path(source), self._path(key)
                with _translated(source):
                    self._rename(origin, target)
                    _unlink(origin)  # as in `copy`
                self._touch(target)

        if pairs:
            await self._in_thread(work)

    async def delete(self, keys: Sequence[str]) -> None:
        def work() -> None:
            for key in keys:
                path = self._path(key)
                with _translated(key):
                    try:
                        os.unlink(path)
                    except (FileNotFoundError, NotADirectoryError):
                        continue
                    self._prune(key)
                self._touch(path)

        if keys:
            await self._in_thread(work)

    def _prune(self, key: str) -> None:
        parent = key.rpartition("/")[0]
        while parent and parent not in _KEPT and not f"{parent}/".startswith(_OURS):
            path = self._base + parent
            try:
                os.rmdir(path)
            except OSError:
                return
            self._made.discard(path)
            parent = parent.rpartition("/")[0]

    # -------------------------------------------------------------- reading

    async def open(self, key: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        path = self._path(key)
        with _translated(key):
            descriptor = await self._in_thread(os.open, path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            position, left = start, length
            while left is None or left > 0:
                with _translated(key):
                    size = BLOCK * 4 if left is None else min(BLOCK * 4, left)
                    block = await self._in_thread(os.pread, descriptor, size, position)
                if not block:
                    return
                position += len(block)
                left = None if left is None else left - len(block)
                yield block
        finally:
            os.close(descriptor)

    async def stat(self, keys: Sequence[str]) -> list[Stat | None]:
        paths = [(key, self._path(key)) for key in keys]
        return await self._in_thread(lambda: [_stat(key, path) for key, path in paths])

    async def list(self, prefix: str, after: str = "") -> AsyncIterator[Stat]:
        walk = self._walk(prefix.rpartition("/")[0], prefix, after)
        while part := await self._in_thread(lambda: tuple(itertools.islice(walk, LIST_CHUNK))):
            for stat in part:
                yield stat

    def _walk(self, folder: str, prefix: str, after: str) -> Iterator[Stat]:
        """Yield objects below a folder in key order; a directory sorts as its name with the slash."""
        start = f"{folder}/" if folder else ""
        try:
            with os.scandir(self._base + folder) as entries:
                found = sorted(f"{start}{e.name}/" if e.is_dir() else f"{start}{e.name}" for e in entries)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise _error(error, folder) from error
        for key in found:
            if not prefix.startswith(_OURS) and (key == ".lock" or key.startswith(_OURS)):
                continue
            if key.endswith("/"):
                if (key.startswith(prefix) or prefix.startswith(key)) and (
                    key > after or after.startswith(key)
                ):
                    yield from self._walk(key[:-1], prefix, after)
            elif (
                key.startswith(prefix) and key > after and (stat := _stat(key, self._base + key)) is not None
            ):
                yield stat

    # -------------------------------------------------------------- the rest

    async def barrier(self) -> None:
        with _translated("barrier"):
            if self._sync is not None:
                await self._in_thread(self._sync, self._file_systems())
                return
            touched, self._touched = self._touched, set()
            await asyncio.gather(*(self._in_thread(_fsync, path) for path in sorted(touched)))

    def _file_systems(self) -> Sequence[Path]:
        """Return one directory on each file system that holds a part of the mirror."""
        devices: dict[int, Path] = {}
        for part in (".", *sorted(_KEPT)):
            with suppress(OSError):
                path = self._root / part
                devices.setdefault(path.stat().st_dev, path)
        return list(devices.values())

    async def clean_staging(self, max_age: float) -> int:
        oldest = time.time() - max_age

        def work() -> int:
            removed = 0
            with suppress(FileNotFoundError), os.scandir(self._base + STAGING) as entries:
                for entry in entries:
                    partial = entry.name.startswith("d")
                    if partial and entry.stat(follow_symlinks=False).st_mtime >= oldest:
                        continue
                    with suppress(FileNotFoundError):
                        os.unlink(entry.path)
                        removed += 1
            return removed

        with _translated(STAGING):
            return await self._in_thread(work)

    async def free_bytes(self) -> int | None:
        with _translated("free space"):
            disk = await self._in_thread(os.statvfs, self._root)
        return disk.f_bavail * disk.f_frsize

    async def aclose(self) -> None:
        # A cancelled call goes on in its thread. Whoever closes lets go of the lock next: nothing may be renamed then.
        await asyncio.to_thread(self._threads.shutdown, wait=True, cancel_futures=True)

    # ------------------------------------------------------------- plumbing

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, bind(work, *arguments))

    def _path(self, key: str) -> str:
        return self._base + check_key(key)

    def _prepare(self) -> None:
        if not self._ready:
            with _translated(STAGING):
                self._make_directory(self._base + STAGING.rstrip("/"))
            self._ready = True

    def _temporary(self) -> str:
        return f"{self._base}{STAGING}t{self._run}-{next(self._numbers):x}"

    def _scratch_for(self, expected: Expected) -> str:
        # Names by a short digest: an algorithm and 128 hex would not fit into every file system's idea of a name.
        name = hashlib.blake2s(
            f"{expected.algorithm}={expected.hexdigest}".encode(), digest_size=16
        ).hexdigest()
        return f"{self._base}{STAGING}d{name}"

    def _place(self, scratch: str, target: str) -> None:
        """Rename scratch into place; it is gone either way."""
        try:
            self._rename(scratch, target)
        except BaseException:
            _unlink(scratch, f"{scratch}.v")
            raise

    def _rename(self, source: str, target: str) -> None:
        folder = target.rpartition("/")[0]
        if folder not in self._made:
            self._make_directory(folder)
        try:
            self._replace(source, target)
        except FileNotFoundError:
            if not os.path.lexists(source):
                raise
            self._made.discard(folder)  # somebody removed the directory
            self._make_directory(folder)
            self._replace(source, target)

    def _replace(self, source: str, target: str) -> None:
        try:
            os.rename(source, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            beside = f"{target.rpartition('/')[0]}/.frumious-{next(self._numbers):x}"
            try:
                shutil.copy2(source, beside)
                os.rename(beside, target)
            except BaseException:
                _unlink(beside)
                raise
            os.unlink(source)

    def _make_directory(self, path: str) -> None:
        if not os.path.isdir(path):
            parent = path.rpartition("/")[0]
            if len(parent) >= len(self._base) - 1:
                self._make_directory(parent)
            with suppress(FileExistsError):
                os.mkdir(path)
                os.chmod(path, 0o755)
                self._touch(path)
        if len(self._made) >= MADE_MAX:
            self._made.clear()
        self._made.add(path)

    def _touch(self, path: str) -> None:
        if self._sync is None:
            self._touched |= {path, path.rpartition("/")[0]}


def make_directory(path: Path) -> None:
    """Make a directory and its parents where they are missing, readable by everybody whatever the umask.

    Raises OSError.
    """
    if not path.is_dir():
        make_directory(path.parent)
        path.mkdir(exist_ok=True)
        path.chmod(0o755)


def sync_file_systems(folders: Sequence[Path]) -> None:
    """Write out everything of the file systems on which these folders lie: syncfs(2)."""
    for folder in folders:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if _libc().syncfs(descriptor) != 0:
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number), str(folder))
        finally:
            os.close(descriptor)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _fsync(path: str) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return  # renamed or deleted since: its directory is in the same set
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _finish(descriptor: int, options: Options) -> None:
    os.fchmod(descriptor, 0o644)
    if options.modified is not None:
        # To the microsecond, which is what indexes give; a float has no more at this distance from 1970.
        stamp = round(options.modified * 1_000_000) * 1000
        os.utime(descriptor, ns=(stamp, stamp))


def _hash_again(descriptor: int, digests: Sequence[hashlib._Hash]) -> None:
    os.lseek(descriptor, 0, os.SEEK_SET)
    while block := os.read(descriptor, BLOCK):
        for digest in digests:
            digest.update(block)


def _note_validator(path: str, validator: str | None) -> None:
    Path(f"{path}.v").write_text(validator or "", encoding="utf-8")


def _stat(key: str, path: str) -> Stat | None:
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _error(error, key) from error
    return Stat(key, found.st_size, found.st_mtime_ns / 1e9)


def _unlink(*paths: str) -> None:
    for path in paths:
        with suppress(FileNotFoundError):
            os.unlink(path)


@contextmanager
def _translated(key: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _error(error, key) from error


def _error(error: OSError, key: str) -> StorageError:
    reason = error.strerror or str(error)
    if error.errno in _FULL:
        return NoSpace(
            f"no space left for {key} ({reason})", hint="free some space and run again; nothing is lost"
        )
    if error.errno in _DENIED:
        return NotWritable(
            f"cannot write {key} ({reason})", hint="check owner, mode and mount of the mirror's directory"
        )
    if error.errno in {errno.ENOENT, errno.ENOTDIR}:
        return NoSuchObject(f"{key} is not there")
    return StorageError(f"{key}: {reason}")
