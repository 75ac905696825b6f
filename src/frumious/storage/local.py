"""Storage in a directory: what a web server can serve with no program running.

Bodies are written and renamed inside the event loop: at 20 KB a file, a hop to a thread adds half again to the system
calls, and a slow disk should slow the download down (docs/decisions/0001). Everything that takes a whole batch, reads
or waits is one hop to a thread.

Where a directory of the mirror lies on another file system than staging (a symbolic link, a mount), rename(2) cannot
reach it: the bytes are copied to `.frumious-<number>` beside their place first, in a thread, and renamed there.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import hashlib
import itertools
import os
import re
import shutil
import stat as modes
import sys
import threading
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
    Inspected,
    Item,
    Options,
    Partial,
    Stat,
    Stored,
    check_key,
)
from frumious.storage.inspecting import Inspector, make_public

T = TypeVar("T")

BLOCK = 256 * 1024
VALIDATOR_FROM = 1024 * 1024
"""A body of this size gets its validator written beside it, so that a killed process can go on, too."""
LIST_CHUNK = 1000
INSPECTED_TOGETHER = 16
"""Files that one hop to a thread reads."""
MADE_MAX = 200_000
_OURS = ".frumious/"
_KEPT = frozenset({"web", "web/simple", "web/packages", "web/local-stats", "web/local-stats/days"})
_PARTIAL = re.compile(r"(d[0-9a-f]{32})(\.v)?\Z", re.ASCII)
_CREATE = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
_DENIED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_NO_FILE = frozenset({errno.ELOOP, errno.ENXIO})
"""What opening a symbolic link in a circle says, and a socket."""
_IN_THE_WAY = frozenset({errno.EEXIST, errno.EISDIR})
_UNLINKABLE = frozenset({errno.EPERM, errno.EMLINK, errno.EXDEV, errno.EOPNOTSUPP, errno.ENOSYS})


def sync_file_systems(descriptors: Sequence[int]) -> None:
    """Write out everything of the file systems on which these open directories lie: syncfs(2)."""
    for descriptor in descriptors:
        if _libc().syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))


BEST_SYNC = sync_file_systems if sys.platform == "linux" else None


class LocalStorage:
    """`frumious.storage.base.Storage` in a directory, which must exist.

    `sync` makes whole file systems durable, given a descriptor on each; None is a pool of fsyncs over what was
    touched. The default is the best that the system has. With `manage_modes` what is made is readable by everybody
    (0644, directories 0755); without, the umask decides. `readers` threads read what is inspected, by default one for
    each core. `check` raises StorageError where nothing may be changed any more; it is asked before each barrier.
    """

    def __init__(
        self,
        root: Path,
        *,
        sync: Callable[[Sequence[int]], None] | None = BEST_SYNC,
        link: Callable[[str, str], None] = os.link,
        manage_modes: bool = True,
        readers: int | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self._root = root
        self._manage_modes = manage_modes
        self._mode = 0o644 if manage_modes else 0o666
        self._base = f"{root}/"
        self._threads = ThreadPoolExecutor(4, "storage")
        self._readers = ThreadPoolExecutor(readers or _cores(), "storage-reader")
        self._inspector = Inspector(self._base, checks_modes=manage_modes)
        self._sync = sync
        self._link = link
        self._check = check
        self._touched: set[str] = set()
        self._touching = threading.Lock()
        self._systems: dict[int, int] = {}
        self._made: set[str] = set()
        self._busy: set[str] = set()
        self._numbers = itertools.count()
        self._run = f"{os.getpid():x}-{time.time_ns() & 0xFFFFFFFF:x}"
        self._ready = False

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            atomic_replace=True, links=True, resumable=True, barrier_needed=True, aliases=True
        )

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
                    self._finish(descriptor, options)
            except WrongContent:
                _unlink(writing, f"{writing}.v")
                raise
            except BaseException:
                if keep:
                    _keep_partial(descriptor, writing, validator)
                else:
                    _unlink(writing)
                raise
            finally:
                os.close(descriptor)
            with _translated(key):
                await self._publish(writing, target)
                if offset or (keep and stored.size >= VALIDATOR_FROM):
                    _unlink(f"{writing}.v")
        finally:
            self._busy.discard(writing)
        self._touch(target)
        return stored

    def _open_for_writing(self, path: str, offset: int) -> int:
        if not offset:
            _unlink(path, f"{path}.v")  # an earlier validator says nothing of the bytes that come now
            return self._create(path)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            raise ValueError(f"there is no partial, let alone one of {offset} bytes") from None
        size = os.fstat(descriptor).st_size
        if size != offset:
            os.close(descriptor)
            raise ValueError(f"the partial has {size} bytes, not {offset}")
        return descriptor

    def _create(self, path: str) -> int:
        """Make a file in staging; if somebody has removed staging, that, too."""
        try:
            return os.open(path, _CREATE, self._mode)
        except FileNotFoundError:
            self._make_directory(_folder(path))
            return os.open(path, _CREATE, self._mode)

    async def _publish(self, writing: str, target: str) -> None:
        """Rename a finished body into place; it is gone from staging either way."""
        try:
            try:
                self._rename(writing, target)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                await self._carry(writing, target)
        except BaseException:
            _unlink(writing, f"{writing}.v")
            raise

    async def _carry(self, writing: str, target: str) -> None:
        """Bring a body to another file system, in a thread: a large copy would hold the event loop.

        That thread cannot be stopped: one that nobody waits for any longer takes away what it made.
        """
        given_up = threading.Event()
        beside = self._beside(target)

        def copy() -> None:
            try:
                shutil.copy2(writing, beside)
            finally:
                if given_up.is_set():
                    _unlink(beside)

        try:
            await self._in_thread(copy)
            os.rename(beside, target)
        except BaseException:
            given_up.set()
            _unlink(beside)
            raise
        os.unlink(writing)

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
            with _translated(key):
                await self._in_thread(_hash_again, writing, both)
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

        with _translated(path):
            return await self._in_thread(look)

    async def discard_partial(self, expected: Expected) -> None:
        path = self._scratch_for(expected)
        if expected.hexdigest and path not in self._busy:
            with _translated(path):
                await self._in_thread(_unlink, path, f"{path}.v")

    # -------------------------------------------------------------- batches

    async def write(self, items: Sequence[Item]) -> None:
        def work() -> None:
            self._prepare()
            for item in items:
                target = self._path(item.key)
                scratch = target if _is_staged(item.key) else self._temporary()
                with _translated(item.key):
                    self._write_one(scratch, item)
                    if scratch is not target:
                        self._place(scratch, target)
                self._touch(target)

        if items:
            await self._in_thread(work)

    def _write_one(self, scratch: str, item: Item) -> None:
        try:
            descriptor = self._create(scratch)
        except FileExistsError:
            os.unlink(scratch)
            descriptor = self._create(scratch)
        try:
            view = memoryview(item.data)
            while view:
                view = view[os.write(descriptor, view) :]
            self._finish(descriptor, item.options)
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
                with _translated(source, key):
                    if modes.S_ISLNK(os.lstat(origin).st_mode):
                        os.stat(origin)
                        origin = os.path.realpath(origin)
                    if source == key:
                        continue
                    scratch = target if _is_staged(key) else self._temporary()
                    self._share(origin, scratch)
                    if scratch is not target:
                        self._place(scratch, target)
                        _unlink(scratch)  # rename(2) does nothing if both names are links to one file
                self._touch(target)

        if pairs:
            await self._in_thread(work)

    def _share(self, origin: str, scratch: str) -> None:
        """Give the bytes of one file a second name in staging, in place of what stood there."""
        try:
            try:
                self._link(origin, scratch)
            except FileExistsError:
                os.unlink(scratch)
                self._link(origin, scratch)
        except OSError as error:
            if error.errno not in _UNLINKABLE:
                raise
            _unlink(scratch)  # it may be a link to bytes that others show: never write through it
            try:
                shutil.copy2(origin, scratch, follow_symlinks=False)
            except BaseException:
                _unlink(scratch)
                raise

    async def move(self, pairs: Sequence[tuple[str, str]]) -> None:
        def work() -> None:
            for source, key in pairs:
                origin, target = self._path(source), self._path(key)
                with _translated(source, key):
                    found = os.lstat(origin)
                    if source == key:
                        continue
                    if modes.S_ISLNK(found.st_mode) and _folder(origin) != _folder(target):
                        self._move_link(origin, target)
                    else:
                        self._move_one(origin, target)
                        if found.st_nlink > 1:
                            _unlink_other_name(origin)
                self._touch(target, origin)
                if not source.startswith(_OURS):
                    self._touch(f"{self._prune(source)}/.")

        if pairs:
            await self._in_thread(work)

    async def alias(self, pairs: Sequence[tuple[str, str]]) -> None:
        def work() -> None:
            self._prepare()
            for source, key in pairs:
                origin, target = self._path(source), self._path(key)
                with _translated(source):
                    if not modes.S_ISREG(os.lstat(origin).st_mode):
                        raise FileNotFoundError(errno.ENOENT, "not a file of its own", origin)
                if source != key:
                    with _translated(key):
                        self._place_link(origin, target)

        if pairs:
            await self._in_thread(work)

    def _place_link(self, origin: str, target: str) -> None:
        """Put a relative symbolic link to one path at another, in one step."""
        self._make_directory(_folder(target))  # first, for the way there may lead through links
        scratch = self._temporary()
        os.symlink(_way(origin, _folder(target)), scratch)
        self._place(scratch, target)
        self._touch(f"{_folder(target)}/.")

    def _move_link(self, origin: str, target: str) -> None:
        """Move a symbolic link to another directory: a relative one is made anew, so that it leads where it led."""
        text = os.readlink(origin)
        if os.path.isabs(text):
            self._move_one(origin, target)
        else:
            self._prepare()
            self._place_link(os.path.normpath(f"{os.path.realpath(_folder(origin))}/{text}"), target)
            os.unlink(origin)

    async def date(self, times: Sequence[tuple[str, float]]) -> None:
        def work() -> None:
            for key, modified in times:
                path, stamp = self._path(key), round(modified * 1_000_000) * 1000
                with _translated(key):
                    if not modes.S_ISREG(os.stat(path).st_mode):
                        raise FileNotFoundError(errno.ENOENT, "not a file", path)
                    os.utime(path, ns=(stamp, stamp))
                self._touch(path)

        if times:
            await self._in_thread(work)

    async def delete(self, keys: Sequence[str]) -> None:
        def work() -> None:
            for key in keys:
                path = self._path(key)
                with _translated(key):
                    folder = path.rpartition("/")[0]
                    try:
                        if self._sync is not None and folder not in self._made:
                            self._know(folder, os.stat(folder).st_dev)
                        os.unlink(path)
                    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                        continue
                    self._touch(f"{self._prune(key)}/.")

        if keys:
            await self._in_thread(work)

    def _prune(self, key: str) -> str:
        """Remove the directories that a deletion left empty; return the path of the first that stays."""
        parent = key.rpartition("/")[0]
        while parent and parent not in _KEPT and not f"{parent}/".startswith(_OURS):
            path = self._base + parent
            try:
                os.rmdir(path)
            except OSError:
                break
            self._made.discard(path)
            parent = parent.rpartition("/")[0]
        return f"{self._base}{parent}".rstrip("/")

    # -------------------------------------------------------------- reading

    async def open(self, key: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        path = self._path(key)
        with _translated(key):
            descriptor = await self._in_thread(_open_object, path)
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

    async def read(self, keys: Sequence[str], length: int | None = None) -> list[bytes | None]:
        paths = [(key, self._path(key)) for key in keys]
        return await self._in_thread(lambda: [_read(key, path, length) for key, path in paths])

    async def stat(self, keys: Sequence[str]) -> list[Stat | None]:
        paths = [(key, self._path(key)) for key in keys]
        return await self._in_thread(lambda: [_stat(key, path) for key, path in paths])

    async def inspect(self, keys: Sequence[str], *, sha256: bool) -> list[Inspected | None]:
        for key in keys:
            check_key(key)
        step = INSPECTED_TOGETHER if sha256 else LIST_CHUNK
        parts = [keys[i : i + step] for i in range(0, len(keys), step)]
        look = bind(self._inspector.inspect, sha256=sha256)
        loop = asyncio.get_running_loop()
        found = await asyncio.gather(*(loop.run_in_executor(self._readers, look, part) for part in parts))
        return [one for part in found for one in part]

    async def make_public(self, keys: Sequence[str]) -> None:
        def work() -> None:
            for key in keys:
                with _translated(key):
                    make_public(self._base, check_key(key))

        if keys:
            await self._in_thread(work)

    async def list(self, prefix: str, after: str = "") -> AsyncIterator[Stat]:
        folder = prefix.rpartition("/")[0]
        walk = self._walk(check_key(folder) if folder else "", prefix, after)
        while part := await self._in_thread(lambda: tuple(itertools.islice(walk, LIST_CHUNK))):
            for stat in part:
                yield stat

    def _walk(self, folder: str, prefix: str, after: str) -> Iterator[Stat]:
        """Yield objects below a folder in key order; a directory sorts as its name with the slash."""
        start = f"{folder}/" if folder else ""
        try:
            with os.scandir(self._base + folder) as entries:
                found = sorted(f"{start}{e.name}/" if _is_folder(e) else f"{start}{e.name}" for e in entries)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise _error(error, folder, "read") from error
        for key in found:
            if not prefix.startswith(_OURS) and (key == ".lock" or key.startswith(_OURS)):
                continue
            if key.endswith("/"):
                if (
                    (key.startswith(prefix) or prefix.startswith(key))
                    and (key > after or after.startswith(key))
                    and not _leads_back(self._base + key[:-1])
                ):
                    yield from self._walk(key[:-1], prefix, after)
            elif (
                key.startswith(prefix) and key > after and (stat := _stat(key, self._base + key)) is not None
            ):
                yield stat

    # -------------------------------------------------------------- the rest

    async def barrier(self) -> None:
        self._check()
        with _translated("barrier"):
            if self._sync is not None:
                await self._in_thread(self._sync_systems, self._sync)
            else:
                await self._sync_touched()

    def _sync_systems(self, sync: Callable[[Sequence[int]], None]) -> None:
        for part in ("", *_KEPT):
            with suppress(FileNotFoundError, NotADirectoryError):
                path = f"{self._base}{part}"
                self._know(path, os.stat(path).st_dev)
        sync(list(self._systems.values()))

    async def _sync_touched(self) -> None:
        with self._touching:
            touched, self._touched = self._touched, set()
        try:
            await asyncio.gather(*(self._in_thread(_fsync, path) for path in sorted(touched)))
        except BaseException:
            with self._touching:
                self._touched |= touched  # still owed
            raise

    async def clean_staging(self, max_age: float) -> int:
        with _translated(STAGING):
            return await self._in_thread(_clean, self._base + STAGING, time.time() - max_age)

    async def free_bytes(self) -> int | None:
        with _translated(str(self._root)):
            disk = await self._in_thread(os.statvfs, self._root)
        return disk.f_bavail * disk.f_frsize

    async def aclose(self) -> None:
        # A cancelled call goes on in its thread. Whoever closes lets go of the lock next: nothing may be renamed then.
        self._inspector.stopped = True
        await asyncio.to_thread(self._readers.shutdown, wait=True, cancel_futures=True)
        await asyncio.to_thread(self._threads.shutdown, wait=True, cancel_futures=True)
        while self._systems:
            os.close(self._systems.popitem()[1])

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

    def _finish(self, descriptor: int, options: Options) -> None:
        if self._manage_modes:
            os.fchmod(descriptor, 0o644)
        if options.modified is not None:
            # To the microsecond, which is what indexes give; a float has no more at this distance from 1970.
            stamp = round(options.modified * 1_000_000) * 1000
            os.utime(descriptor, ns=(stamp, stamp))

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
            self._move_one(scratch, target)
        except BaseException:
            _unlink(scratch)
            raise

    def _move_one(self, source: str, target: str) -> None:
        try:
            self._rename(source, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            beside = self._beside(target)
            try:
                shutil.copy2(source, beside, follow_symlinks=False)
                os.rename(beside, target)
            except BaseException:
                _unlink(beside)
                raise
            os.unlink(source)

    def _beside(self, target: str) -> str:
        return f"{target.rpartition('/')[0]}/.frumious-{next(self._numbers):x}"

    def _rename(self, source: str, target: str) -> None:
        folder = target.rpartition("/")[0]
        for tries_left in (2, 1, 0):
            try:
                if folder not in self._made:
                    self._make_directory(folder)
                os.rename(source, target)
            except FileNotFoundError:
                # The directory was emptied and removed meanwhile, by a `delete` of ours or by somebody else.
                if not tries_left or not os.path.lexists(source):
                    raise
                self._made.discard(folder)
            except IsADirectoryError:
                if not tries_left:
                    raise
                try:
                    os.rmdir(target)  # an empty one in the way of a file
                except OSError:
                    raise _directory_in_the_way(target) from None
            else:
                return

    def _make_directory(self, path: str) -> None:
        try:
            found = os.stat(path)
        except FileNotFoundError:
            parent = path.rpartition("/")[0]
            if len(parent) >= len(self._base) - 1:
                self._make_directory(parent)
            self._make_one_directory(path)
        except OSError as error:
            if error.errno in {errno.ENOTDIR, errno.ELOOP}:
                raise _file_in_the_way(path) from None
            raise
        else:
            if not modes.S_ISDIR(found.st_mode):
                raise _file_in_the_way(path)
            self._know(path, found.st_dev)
        if len(self._made) >= MADE_MAX:
            self._made.clear()
        self._made.add(path)

    def _make_one_directory(self, path: str) -> None:
        try:
            os.mkdir(path)
        except FileExistsError:
            if os.path.isdir(path):
                return  # another thread was first
            raise _file_in_the_way(path) from None  # a symbolic link that leads nowhere
        if self._manage_modes:
            os.chmod(path, 0o755)
        self._touch(path)

    def _know(self, folder: str, device: int) -> None:
        """Keep one directory open on each file system that holds a part of the mirror, for syncfs(2).

        It stays open because syncfs tells of failed writes since its descriptor was opened, and only once to each.
        """
        if self._sync is None or device in self._systems:
            return
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        if self._systems.setdefault(device, descriptor) != descriptor:
            os.close(descriptor)  # another thread was first

    def _touch(self, *paths: str) -> None:
        """Note for a barrier of fsyncs that these names, and so the directories they are in, have changed."""
        if self._sync is None:
            with self._touching:
                for path in paths:
                    self._touched |= {path, path.rpartition("/")[0]}


def make_directory(path: Path, *, manage_modes: bool = True) -> None:
    """Make a directory and its parents where they are missing, readable by everybody or as the umask has it.

    Raises OSError.
    """
    if not path.is_dir():
        make_directory(path.parent, manage_modes=manage_modes)
        path.mkdir(exist_ok=True)
        if manage_modes:
            path.chmod(0o755)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _way(path: str, folder: str) -> str:
    """Return how a relative symbolic link in a folder names a path, also where folders are links themselves."""
    if path.startswith(f"{folder}/"):
        return path[len(folder) + 1 :]
    real = f"{os.path.realpath(_folder(path))}/{path.rpartition('/')[2]}"
    return os.path.relpath(real, os.path.realpath(folder))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError as error:
        if error.errno == errno.ELOOP:
            return False  # a symbolic link in a circle
        raise


def _leads_back(path: str) -> bool:
    """Say whether a directory is a symbolic link to one that it lies in, so that whoever follows it never ends."""
    if not os.path.islink(path):
        return False
    try:
        there = os.stat(path)
        return any(os.path.samestat(there, os.stat(above)) for above in Path(path).parents)
    except OSError:
        return True  # it has gone since


def _file_in_the_way(path: str) -> OSError:
    # Not ENOTDIR: that says of a source or of something read that it is not there.
    return OSError(errno.EEXIST, "a file stands where a directory must be", path)


def _directory_in_the_way(path: str) -> OSError:
    return OSError(errno.EISDIR, "a directory stands where a file must be", path)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _fsync(path: str) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return  # renamed or deleted since: its directory is in the same set
    except OSError as error:
        if error.errno == errno.ELOOP:
            return  # a symbolic link in a circle: its directory is in the same set
        raise
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _hash_again(path: str, digests: Sequence[hashlib._Hash]) -> None:
    # With a descriptor of its own: after a cancellation this thread still reads while the caller closes his, and the
    # number of a closed descriptor is soon another file's.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        while block := os.read(descriptor, BLOCK):
            for digest in digests:
                digest.update(block)
    finally:
        os.close(descriptor)


def _keep_partial(descriptor: int, path: str, validator: str | None) -> None:
    """Leave an unfinished body for later; without a new validator the one that stands beside it still holds."""
    if not os.fstat(descriptor).st_size:
        _unlink(path, f"{path}.v")
    elif validator:
        try:
            _note_validator(path, validator)
        except OSError:
            _unlink(f"{path}.v")  # half a validator is none


def _is_staged(key: str) -> bool:
    """Say whether a key lies flat in staging, where it is written in place: its directory is there, nobody reads it."""
    return key.startswith(STAGING) and key.count("/") == STAGING.count("/")


def _clean(folder: str, oldest: float) -> int:
    """Empty staging but for partials modified after `oldest`, each of which goes or stays with its validator."""
    removed = 0
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except FileNotFoundError:
        return 0
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            removed += sum(len(files) for _, _, files in os.walk(entry.path))
            shutil.rmtree(entry.path)
            continue
        partial = _PARTIAL.match(entry.name)
        if partial and _is_young(folder + partial[1], oldest):
            continue
        _unlink(entry.path)
        removed += not (partial and partial[2])
    return removed


def _is_young(path: str, oldest: float) -> bool:
    try:
        return os.lstat(path).st_mtime >= oldest
    except FileNotFoundError:
        return False


def _open_object(path: str) -> int:
    # O_NONBLOCK: a foreign FIFO in the tree must not hold a thread for ever.
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in _NO_FILE:
            raise FileNotFoundError(errno.ENOENT, "not a file", path) from None
        raise
    if modes.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise FileNotFoundError(errno.ENOENT, "not a file", path)


def _read(key: str, path: str, length: int | None) -> bytes | None:
    try:
        with open(_open_object(path), "rb", buffering=0) as file:
            return file.read() if length is None else file.read(length)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _error(error, key, "read") from error


def _note_validator(path: str, validator: str | None) -> None:
    Path(f"{path}.v").write_text(validator or "", encoding="utf-8")


def _stat(key: str, path: str) -> Stat | None:
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:
            return None
        raise _error(error, key, "read") from error
    if not modes.S_ISREG(found.st_mode):
        return None
    return Stat(key, found.st_size, found.st_mtime)


def _unlink(*paths: str) -> None:
    for path in paths:
        with suppress(FileNotFoundError):
            os.unlink(path)


def _unlink_other_name(path: str) -> None:
    """Take away a name that rename(2) left because it was a link to the file it should have replaced.

    A file with one name stays: then both keys lead to the same name, through a directory that is a symbolic link.
    """
    with suppress(FileNotFoundError):
        if os.lstat(path).st_nlink > 1:
            os.unlink(path)


@contextmanager
def _translated(key: str, target: str | None = None) -> Iterator[None]:
    """Translate errors of the system; with `target` what is absent is `key`, and what cannot be written is `target`."""
    try:
        yield
    except OSError as error:
        raise _error(error, key if target is None or error.errno in _ABSENT else target) from error


def _error(error: OSError, key: str, verb: str = "write") -> StorageError:
    reason = error.strerror or str(error)
    if error.errno in _FULL:
        return NoSpace(
            f"no space left for {key} ({reason})", hint="free some space and run again; nothing is lost"
        )
    if error.errno in _DENIED:
        place = (error.filename if verb == "read" else _refused_at(error)) or "the mirror's directory"
        return NotWritable(f"cannot {verb} {key} ({reason})", hint=f"check owner, mode and mount of {place}")
    if error.errno in _ABSENT:
        return NoSuchObject(f"{key} is not there")
    if error.errno in _IN_THE_WAY and error.filename is not None:
        return StorageError(f"{key}: {reason}", hint=f"move {error.filename} away")
    return StorageError(f"{key}: {reason}")


def _refused_at(error: OSError) -> str | None:
    """Return the directory that lets us make nothing, or what else was refused, as far as the system tells."""
    paths = [path for path in (error.filename2, error.filename) if isinstance(path, str)]
    for path in paths:
        folder = next(str(above) for above in Path(path).parents if above.is_dir())
        if not os.access(folder, os.W_OK | os.X_OK):
            return folder
    return paths[0] if paths else None
