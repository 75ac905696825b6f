"""The storage port: bytes under keys, all or nothing, durable when `barrier` has returned.

This page is the contract; `tests/contract/storage_contract.py` tests it sentence by sentence against every backend.
A key is a relative path with `/` between segments. Keys that begin with `STAGING` are scratch: they are where callers
stage what they will `move` into place, and where backends keep unfinished bodies. Nothing else is ever cleaned.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

STAGING = ".frumious/staging/"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a backend can do; callers ask for these, never for a backend's type."""

    atomic_replace: bool
    """`move` onto an existing key never shows a reader neither or half."""
    links: bool
    """`copy` shares the bytes instead of storing them twice."""
    resumable: bool
    """An interrupted `put` leaves a partial that `partial` reports."""
    barrier_needed: bool
    """False where a returned call is already durable."""
    aliases: bool
    """`alias` works."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What the bytes must be. Every field that is not None is checked before anything becomes visible."""

    algorithm: str | None = None
    """A `hashlib` name with a fixed digest length."""
    hexdigest: str | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """Facts of an object beside its bytes."""

    modified: float | None = None
    """Seconds since 1970; None means now. mtime on disk, metadata in a bucket."""
    media_type: str | None = None
    cache_control: str | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """A small object that is already in memory."""

    key: str
    data: bytes
    options: Options = Options()


@dataclass(frozen=True, slots=True)
class Stored:
    """What a `put` stored. The sha256 is always computed, whatever was expected."""

    key: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Stat:
    """Facts of a stored object."""

    key: str
    size: int
    modified: float


@dataclass(frozen=True, slots=True)
class Inspected:
    """What a close look at a stored object found."""

    key: str
    size: int
    modified: float
    sha256: str | None = None
    """Of its bytes, if these were read."""
    problem: str | None = None
    """Why it could not be read; nothing else is known then."""
    is_public: bool = True
    """False: a web server that runs as somebody else cannot read it."""
    changed: float = 0.0
    """When it came to be as it is, by the clock of whoever stores it: ctime on disk."""


@dataclass(frozen=True, slots=True)
class Partial:
    """An unfinished body that a later `put` of the same expected digest may continue."""

    size: int
    validator: str | None
    """The ETag or Last-Modified under which the bytes were served, for `If-Range`."""


def check_key(key: str) -> str:
    """Return a key that is one: relative, no empty, `.` or `..` segments, no NUL; raises ValueError for others."""
    if not key or "\0" in key or any(part in {"", ".", ".."} for part in key.split("/")):
        raise ValueError(f"not a key: {key!r}")
    return key


class Storage(Protocol):
    """Objects by key.

    Every method raises StorageError (NoSpace, NotWritable, NoSuchObject) for our own faults. No method retries.
    Sequences are done in order; when one item fails, those before it have happened and those after it have not.
    Files are readable by everybody (0644), directories too (0755), whatever the umask, unless the backend was told to
    leave modes alone.

    A key may be an *alias*: it stands for another key, whatever that holds at the moment. Reading (`open`, `stat`,
    `list`, the source of a `copy`) follows it; one whose other key is gone holds nothing. Whatever makes, replaces,
    moves or deletes a key does that to the alias itself, and never to what it stands for.
    """

    @property
    def capabilities(self) -> Capabilities:
        """Say what this backend can do."""
        ...

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
        """Store a stream under `key`, all or nothing, replacing what was there.

        With `offset`, `body` continues the partial of the same expected digest, which must hold exactly that many
        bytes (ValueError otherwise). `validator` is remembered with the partial.

        Raises WrongContent if the bytes differ from `expected`, as soon as more arrives than its size: nothing is
        visible then and no partial is left. Whatever `body` raises, and a cancellation, passes through: nothing is
        visible, and a backend that is `resumable` keeps the partial if a digest was expected.
        """
        ...

    async def partial(self, expected: Expected) -> Partial | None:
        """Return the partial left by an interrupted `put` of this digest, if there is one."""
        ...

    async def discard_partial(self, expected: Expected) -> None:
        """Forget that partial; nothing happens where there is none."""
        ...

    async def write(self, items: Sequence[Item]) -> None:
        """Store small objects that are in memory; each one all or nothing, replacing what was there."""
        ...

    async def copy(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Make the bytes and facts of each first key available under the second, which is replaced.

        Raises NoSuchObject if a source is absent. Where `links`, both share storage; replacing one leaves the other.
        """
        ...

    async def move(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Rename each first key to the second, replacing what was there; a reader sees the old or the new.

        Directories left empty may go.
        Raises NoSuchObject if a source is absent.
        """
        ...

    async def alias(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Make each second key stand for the first, replacing what was there; a reader sees the old or the new.

        Raises NoSuchObject if the first key holds nothing of its own: an alias has no alias. One that is moved goes on
        standing for the same key. Where not `aliases`, StorageError.
        """
        ...

    async def date(self, times: Sequence[tuple[str, float]]) -> None:
        """Set the modified time of objects; raises NoSuchObject for a key that holds nothing."""
        ...

    async def delete(self, keys: Sequence[str]) -> None:
        """Remove objects; an absent key is no error. Directories left empty may go too."""
        ...

    def open(self, key: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """Read an object, or `length` bytes of it from `start`; raises NoSuchObject on the first step."""
        ...

    async def read(self, keys: Sequence[str], length: int | None = None) -> list[bytes | None]:
        """Return small objects whole, or the first `length` bytes of each; None where a key holds nothing."""
        ...

    async def stat(self, keys: Sequence[str]) -> list[Stat | None]:
        """Return the facts of each key, None where it holds nothing."""
        ...

    async def inspect(self, keys: Sequence[str], *, sha256: bool) -> list[Inspected | None]:
        """Look closely at each key, None where it holds nothing; with `sha256` all of its bytes are read, on all cores.

        What cannot be read is no error here, but `Inspected.problem`.
        """
        ...

    async def make_public(self, keys: Sequence[str]) -> None:
        """Have objects readable by everybody, as what is made is; raises NoSuchObject for a key that holds nothing."""
        ...

    def list(self, prefix: str, after: str = "") -> AsyncIterator[Stat]:
        """Yield what lies under `prefix`, in key order, beginning behind `after`.

        What leads back to a place that it lies in (a symbolic link to a directory above) is left out.
        """
        ...

    async def barrier(self) -> None:
        """Return when all that was put, written, copied, moved, aliased or deleted before the call survives a power cut."""
        ...

    async def clean_staging(self, max_age: float) -> int:
        """Remove scratch objects, and partials older than `max_age` seconds; return how many. Only at start."""
        ...

    async def free_bytes(self) -> int | None:
        """Return the free space, None where there is no such number."""
        ...

    async def aclose(self) -> None:
        """Let go of threads and handles; stored objects stay."""
        ...
