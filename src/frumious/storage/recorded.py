"""Storage that lists what a run changes: a wrapper that notes keys, and two files of absolute paths (`diff-file`).

What a key is noted for says only that something may have happened to it. When a barrier has returned, those that hold
something are listed as changed; those that held something and do so no longer, as deleted. So the lists are complete
up to the last barrier, however the run ends.
"""

from __future__ import annotations

import asyncio
import os
import stat as modes
import threading
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from frumious.errors import NotWritable, StorageError
from frumious.storage.base import (
    Capabilities,
    Expected,
    Inspected,
    Item,
    Options,
    Partial,
    Stat,
    Storage,
    Stored,
    check_key,
)

PUBLISHED = "web/"
"""Only what lies below is listed."""


class PathList:
    """A file of absolute paths, separated by newlines, each once; methods may be called from any thread."""

    def __init__(self, path: Path, root: Path) -> None:
        self._path, self._prefix = path, os.fsencode(f"{root}/")
        # Hashes of keys, not keys: a first run of all of PyPI lists twenty million, at some 100 bytes each. That one of
        # those is taken for another has a chance of one in a hundred thousand.
        self._listed: set[int] = set()
        self._size = 0
        self._lock = threading.Lock()

    def start(self) -> None:
        """Remove the list of an earlier run and begin an empty one; raises NotWritable."""
        with _told(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):
                kind = self._path.lstat().st_mode
                if not modes.S_ISREG(kind) and not modes.S_ISLNK(kind):
                    raise NotWritable(
                        f"[mirror] diff-file: {self._path} is not a file, so it is left alone",
                        hint="choose another name for it",
                    )
                self._path.unlink()
            self._path.touch(exist_ok=False)

    def __contains__(self, key: str) -> bool:
        return hash(key) in self._listed

    def add(self, keys: Iterable[str]) -> None:
        """Append those that are not listed yet, all or none; raises NotWritable."""
        with self._lock, _told(self._path):
            new = [key for key in dict.fromkeys(keys) if key not in self]
            if not new:
                return
            text = b"\n".join(map(self._line, new))
            text = b"\n" + text if self._size else text
            with self._path.open("r+b", buffering=0) as file:
                file.truncate(self._size)  # what an append that failed has left
                file.seek(self._size)
                view = memoryview(text)
                while view:
                    view = view[file.write(view) :]
            self._size += len(text)
            self._listed.update(map(hash, new))

    def close(self, without: Iterable[str]) -> None:
        """Take some out again and make the list durable; raises NotWritable."""
        dropped = set(map(self._line, without))
        with self._lock, _told(self._path):
            if dropped:
                self._rewrite(dropped)
            with self._path.open("rb") as file:
                os.fsync(file.fileno())

    def _rewrite(self, dropped: set[bytes]) -> None:
        scratch = self._path.with_name(f".{self._path.name[:40]}.{os.getpid()}")
        try:
            with self._path.open("rb") as old, scratch.open("xb") as new:
                gap = b""
                for line in old:
                    path = line.removesuffix(b"\n")
                    if path not in dropped:
                        new.write(gap + path)
                        gap = b"\n"
            scratch.replace(self._path)
        finally:
            scratch.unlink(missing_ok=True)

    def _line(self, key: str) -> bytes:
        return self._prefix + os.fsencode(key)


class ChangeLists:
    """What a run changed and what it deleted; in the end each path stands in at most one of the two lists."""

    def __init__(self, changed: PathList, deleted: PathList) -> None:
        self._changed, self._deleted = changed, deleted
        self._turned: dict[str, bool] = {}
        """Keys that are in both lists, and whether they hold something now."""

    def start(self) -> None:
        """Begin both; raises NotWritable."""
        self._changed.start()
        self._deleted.start()

    def add(self, there: Sequence[str], gone: Sequence[str]) -> None:
        """List keys that hold something, and others that do so no longer; raises NotWritable."""
        self._changed.add(there)
        self._deleted.add(gone)
        self._turned.update((key, True) for key in there if key in self._deleted)
        self._turned.update((key, False) for key in gone if key in self._changed)

    def close(self) -> None:
        """Leave each path in the list that says how it ended; raises NotWritable."""
        self._changed.close(key for key, is_there in self._turned.items() if not is_there)
        self._deleted.close(key for key, is_there in self._turned.items() if is_there)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NotWritable(
            f"[mirror] diff-file: cannot write {path} ({error.strerror or error})",
            hint="check owner, mode and free space of its directory, or change [mirror] diff-file",
        ) from error


def change_lists(changed: Path, deleted: Path, root: Path) -> ChangeLists:
    """Return the lists for a mirror at `root`, where nothing is touched before `start`."""
    return ChangeLists(PathList(changed, root), PathList(deleted, root))


@dataclass(slots=True)
class _Noted:
    """Keys since the last barrier: to which something may have happened, and which held something before."""

    touched: dict[str, None] = field(default_factory=dict)
    held: dict[str, None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.touched or self.held)

    def add(self, other: _Noted) -> None:
        self.touched.update(other.touched)
        self.held.update(other.held)


class RecordedStorage:
    """`frumious.storage.base.Storage` around another one, which it closes; `lists` must have been started.

    A call that fails half-way is noted whole: a path that is listed may be as it was. Nothing is listed as deleted
    that is there.
    """

    def __init__(self, inner: Storage, lists: ChangeLists) -> None:
        self._inner, self._lists = inner, lists
        self._noted = _Noted()
        self._listing = asyncio.Lock()

    @property
    def capabilities(self) -> Capabilities:
        return self._inner.capabilities

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
        stored = await self._inner.put(key, body, expected, options, offset=offset, validator=validator)
        self._touch(_published([key]))
        return stored

    async def partial(self, expected: Expected) -> Partial | None:
        return await self._inner.partial(expected)

    async def discard_partial(self, expected: Expected) -> None:
        await self._inner.discard_partial(expected)

    async def write(self, items: Sequence[Item]) -> None:
        made = _published(item.key for item in items)
        try:
            await self._inner.write(items)
        finally:
            self._touch(made)

    async def copy(self, pairs: Sequence[tuple[str, str]]) -> None:
        made = _published(key for _, key in pairs)
        try:
            await self._inner.copy(pairs)
        finally:
            self._touch(made)

    async def move(self, pairs: Sequence[tuple[str, str]]) -> None:
        left, made = _published(source for source, _ in pairs), _published(key for _, key in pairs)
        try:
            await self._inner.move(pairs)
        finally:
            self._hold(left)
            self._touch(made)

    async def alias(self, pairs: Sequence[tuple[str, str]]) -> None:
        made = _published(key for _, key in pairs)
        try:
            await self._inner.alias(pairs)
        finally:
            self._touch(made)

    async def date(self, times: Sequence[tuple[str, float]]) -> None:
        await self._inner.date(times)
        self._touch(_published(key for key, _ in times))

    async def delete(self, keys: Sequence[str]) -> None:
        held = [stat.key for stat in await self._inner.stat(_published(keys)) if stat is not None]
        try:
            await self._inner.delete(keys)
        finally:
            self._hold(held)

    def open(self, key: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        return self._inner.open(key, start, length)

    async def read(self, keys: Sequence[str], length: int | None = None) -> list[bytes | None]:
        return await self._inner.read(keys, length)

    async def stat(self, keys: Sequence[str]) -> list[Stat | None]:
        return await self._inner.stat(keys)

    async def inspect(self, keys: Sequence[str], *, sha256: bool) -> list[Inspected | None]:
        return await self._inner.inspect(keys, sha256=sha256)

    async def make_public(self, keys: Sequence[str]) -> None:
        await self._inner.make_public(keys)

    def list(self, prefix: str, after: str = "") -> AsyncIterator[Stat]:
        return self._inner.list(prefix, after)

    async def barrier(self) -> None:
        async with self._listing:
            noted, self._noted = self._noted, _Noted()
            try:
                await self._inner.barrier()
                await self._list(noted)
            except BaseException:
                noted.add(self._noted)
                self._noted = noted  # still owed
                raise

    async def clean_staging(self, max_age: float) -> int:
        return await self._inner.clean_staging(max_age)

    async def free_bytes(self) -> int | None:
        return await self._inner.free_bytes()

    async def aclose(self) -> None:
        try:
            if (
                self._noted
            ):  # the run was broken off: what it had put in place is not put there again by the next one
                with suppress(StorageError):
                    await self.barrier()
            await asyncio.to_thread(self._lists.close)
        finally:
            await self._inner.aclose()

    def _touch(self, keys: Iterable[str]) -> None:
        self._noted.touched.update(dict.fromkeys(keys))

    def _hold(self, keys: Iterable[str]) -> None:
        self._noted.held.update(dict.fromkeys(keys))

    async def _list(self, noted: _Noted) -> None:
        keys = [*{**noted.touched, **noted.held}]
        if not keys:
            return
        there, gone = [], []
        for key, stat in zip(keys, await self._inner.stat(keys), strict=True):
            if stat is None:
                if key in noted.held:
                    gone.append(key)
            elif key in noted.touched:
                there.append(key)
        await asyncio.to_thread(self._lists.add, there, gone)


def _published(keys: Iterable[str]) -> list[str]:
    return [key for key in map(check_key, keys) if key.startswith(PUBLISHED)]
