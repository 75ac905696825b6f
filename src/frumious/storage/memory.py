"""Storage in memory: passes the same suite as a disk, and can lose what came after the last barrier, as a disk can."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass

from frumious.errors import NoSuchObject, WrongContent
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

_OURS = ".frumious/"


@dataclass(frozen=True, slots=True)
class _Object:
    data: bytes
    modified: float


@dataclass(frozen=True, slots=True)
class _Alias:
    key: str


@dataclass(frozen=True, slots=True)
class _Effect:
    """One change since the last barrier: what stands at `key` then (None: nothing), and which key it came from."""

    key: str
    value: _Object | _Alias | None
    source: str | None = None


class MemoryStorage:
    """`frumious.storage.base.Storage` in a dict; `free` is what it says of free space."""

    def __init__(self, free: int | None = None) -> None:
        self._free = free
        self._objects: dict[str, _Object | _Alias] = {}
        self._durable: dict[str, _Object | _Alias] = {}
        self._effects: list[_Effect] = []
        self._partials: dict[Expected, tuple[bytes, str | None, float]] = {}

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            atomic_replace=True, links=True, resumable=True, barrier_needed=True, aliases=True
        )

    def lose(self, kept: Iterable[int] | Callable[[int], bool]) -> MemoryStorage:
        """Return the storage as it may be after a power cut.

        Of the effects after the last barrier only those are there that `kept` names (by number, from 0) or says
        yes to, in their order; a rename of something that was lost is lost, too.
        """
        says = kept if callable(kept) else frozenset(kept).__contains__
        after = MemoryStorage(self._free)
        after._objects = dict(self._durable)
        for number, effect in enumerate(self._effects):
            if not says(number):
                continue
            if effect.source is None:
                after._set(effect.key, effect.value)
            elif effect.source in after._objects:
                after._set(effect.key, after._objects.pop(effect.source))
        after._durable = dict(after._objects)
        after._effects = []
        return after

    def _set(self, key: str, value: _Object | _Alias | None) -> None:
        if value is None:
            self._objects.pop(key, None)
        else:
            self._objects[key] = value

    def _do(self, effect: _Effect) -> None:
        if effect.source is not None:
            self._objects.pop(effect.source)
        self._set(effect.key, effect.value)
        self._effects.append(effect)

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
        check_key(key)
        identity = _identity(expected)
        data = bytearray()
        known: str | None = None
        if offset:
            begun, known, _ = self._partials.get(identity, (b"", None, 0.0))
            data += begun
            if len(data) != offset or not expected.hexdigest:
                raise ValueError(f"the partial has {len(data)} bytes, not {offset}")
        try:
            async for block in body:
                data += block
                if expected.size is not None and len(data) > expected.size:
                    raise WrongContent(key, expected=f"{expected.size} bytes", got="more")
            _verify(key, data, expected)
        except WrongContent:
            self._partials.pop(identity, None)
            raise
        except BaseException:
            if expected.hexdigest and data:
                if offset and validator is None:
                    validator = known
                self._partials[identity] = (bytes(data), validator, time.time())
            raise
        self._partials.pop(identity, None)
        self._do(_Effect(key, _Object(bytes(data), _modified(options))))
        return Stored(key, len(data), hashlib.sha256(data).hexdigest())

    async def partial(self, expected: Expected) -> Partial | None:
        found = self._partials.get(_identity(expected))
        return Partial(len(found[0]), found[1]) if found else None

    async def discard_partial(self, expected: Expected) -> None:
        self._partials.pop(_identity(expected), None)

    async def write(self, items: Sequence[Item]) -> None:
        for item in items:
            check_key(item.key)
            self._do(_Effect(item.key, _Object(item.data, _modified(item.options))))

    async def copy(self, pairs: Sequence[tuple[str, str]]) -> None:
        for source, key in pairs:
            check_key(key)
            found = self._get(source)
            if source != key:
                self._do(_Effect(key, found))

    async def move(self, pairs: Sequence[tuple[str, str]]) -> None:
        for source, key in pairs:
            check_key(key)
            check_key(source)
            if source not in self._objects:
                raise _absent(source)
            if source != key:
                self._do(_Effect(key, self._objects[source], source))

    async def alias(self, pairs: Sequence[tuple[str, str]]) -> None:
        for source, key in pairs:
            check_key(key)
            check_key(source)
            if not isinstance(self._objects.get(source), _Object):
                raise _absent(source)
            if source != key:
                self._do(_Effect(key, _Alias(source)))

    async def date(self, times: Sequence[tuple[str, float]]) -> None:
        for key, modified in times:
            found = self._get(key)
            self._do(_Effect(key, _Object(found.data, modified)))

    async def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            check_key(key)
            if key in self._objects:
                self._do(_Effect(key, None))

    async def open(self, key: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        data = self._get(key).data
        await asyncio.sleep(0)
        block = data[start:] if length is None else data[start : start + length]
        if block:
            yield block

    async def read(self, keys: Sequence[str], length: int | None = None) -> list[bytes | None]:
        found = [self._find(check_key(key)) for key in keys]
        return [None if found is None else found.data[:length] for found in found]

    async def stat(self, keys: Sequence[str]) -> list[Stat | None]:
        for key in keys:
            check_key(key)
        return [self._stat(key) for key in keys]

    async def inspect(self, keys: Sequence[str], *, sha256: bool) -> list[Inspected | None]:
        found = [(key, self._find(check_key(key))) for key in keys]
        return [
            Inspected(key, len(o.data), o.modified, hashlib.sha256(o.data).hexdigest() if sha256 else None)
            if o is not None
            else None
            for key, o in found
        ]

    async def make_public(self, keys: Sequence[str]) -> None:
        for key in keys:
            self._get(key)

    async def list(self, prefix: str, after: str = "") -> AsyncIterator[Stat]:
        if folder := prefix.rpartition("/")[0]:
            check_key(folder)
        for key in sorted(self._objects):
            ours = key.startswith(_OURS) and not prefix.startswith(_OURS)
            if key.startswith(prefix) and key > after and not ours and (stat := self._stat(key)) is not None:
                yield stat

    async def barrier(self) -> None:
        self._durable = dict(self._objects)
        self._effects = []

    async def clean_staging(self, max_age: float) -> int:
        scratch = [key for key in self._objects if key.startswith(STAGING)]
        old = [e for e, (_, _, at) in self._partials.items() if at < time.time() - max_age]
        for key in scratch:
            self._do(_Effect(key, None))
        for expected in old:
            del self._partials[expected]
        return len(scratch) + len(old)

    async def free_bytes(self) -> int | None:
        return self._free

    async def aclose(self) -> None:
        """Nothing is open."""

    def _get(self, key: str) -> _Object:
        check_key(key)
        if (found := self._find(key)) is None:
            raise _absent(key)
        return found

    def _stat(self, key: str) -> Stat | None:
        found = self._find(key)
        return None if found is None else Stat(key, len(found.data), found.modified)

    def _find(self, key: str) -> _Object | None:
        """Follow aliases to an object; None where they lead to nothing, or round in a circle."""
        seen = set()
        found = self._objects.get(key)
        while isinstance(found, _Alias) and found.key not in seen:
            seen.add(found.key)
            found = self._objects.get(found.key)
        return found if isinstance(found, _Object) else None


def _absent(key: str) -> NoSuchObject:
    return NoSuchObject(f"{key} is not there")


def _identity(expected: Expected) -> Expected:
    return Expected(expected.algorithm, expected.hexdigest)


def _modified(options: Options) -> float:
    return time.time() if options.modified is None else options.modified


def _verify(key: str, data: bytes | bytearray, expected: Expected) -> None:
    if expected.size is not None and len(data) != expected.size:
        raise WrongContent(key, expected=f"{expected.size} bytes", got=f"{len(data)}")
    if expected.hexdigest:
        algorithm = expected.algorithm or "sha256"
        got = hashlib.new(algorithm, data, usedforsecurity=False).hexdigest()
        if got != expected.hexdigest:
            raise WrongContent(key, expected=f"{algorithm}={expected.hexdigest}", got=f"{algorithm}={got}")
