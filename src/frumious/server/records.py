"""The catalog as the server has it: opened when it is first needed, and anew when another file takes its place.

The server changes nothing in it, makes none, and lives without it: what needs the catalog is answered with 503 and the
reason, while pages and files go on.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from frumious.catalog.base import Catalog
from frumious.errors import (
    CatalogBroken,
    CatalogError,
    CatalogLocked,
    CatalogTooNew,
    CatalogTooOld,
    FrumiousError,
    StorageError,
)
from frumious.server.site import Unavailable

log = logging.getLogger("frumious.server")

_AGAIN_SECONDS: Final = 1.0
"""How long a file that could not be opened is left alone."""
_TOLD_SECONDS: Final = 60.0
"""How long the log is spared what it has said last."""
_REASONS: Final[dict[type[FrumiousError], str]] = {
    CatalogBroken: "the catalog is damaged",
    CatalogLocked: "the catalog is locked by another program",
    CatalogTooNew: "the catalog was written by a newer Frumious",
    CatalogTooOld: "the catalog was written by an earlier Frumious",
}
"""What clients are told: no path of this machine. The log has the rest."""


@dataclass(slots=True, eq=False)
class _Opened:
    """A catalog that is open, and how many answers are made from it now."""

    catalog: Catalog
    identity: tuple[int, int]
    users: int = 0


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why a file could not be opened, and until when it is not tried again."""

    identity: tuple[int, int]
    reason: str
    until: float


class Records:
    """One catalog, shared by all answers of a worker."""

    def __init__(self, open_it: Callable[[], Awaitable[Catalog]], path: Path) -> None:
        """Take how it is opened, for reading only, and where it lies."""
        self._open = open_it
        self._path = path
        self._opened: _Opened | None = None
        self._failure: _Failure | None = None
        self._told = ""
        self._told_until = 0.0
        self._opening = asyncio.Lock()

    @asynccontextmanager
    async def catalog(self) -> AsyncIterator[Catalog]:
        """Give the catalog for one answer; raises Unavailable with a reason, also for what fails while it is used.

        It stays open for who has it, also when another file takes its place meanwhile.
        """
        try:
            opened = await self._current()
            opened.users += 1
            try:
                yield opened.catalog
            finally:
                opened.users -= 1
                await self._close_unused(opened)
        except (CatalogError, StorageError) as error:
            self._tell(error)
            raise Unavailable(_reason(error)) from error

    async def aclose(self) -> None:
        """Close it, as soon as nobody uses it."""
        opened, self._opened = self._opened, None
        if opened is not None:
            await self._close_unused(opened)

    async def _current(self) -> _Opened:
        if self._opened is not None and self._opened.identity == self._identify():
            return self._opened
        async with self._opening:
            identity = self._identify()
            if self._opened is not None and self._opened.identity == identity:
                return self._opened
            await self.aclose()
            self._opened = opened = await self._try(identity)
            return opened

    async def _try(self, identity: tuple[int, int]) -> _Opened:
        failure = self._failure
        if failure is not None and failure.identity == identity and time.monotonic() < failure.until:
            raise Unavailable(failure.reason)
        try:
            return _Opened(await self._open(), identity)
        except (CatalogError, StorageError) as error:
            # A lock is waited for: whoever stands in line behind this one need not wait for it as long again.
            self._failure = _Failure(identity, _reason(error), time.monotonic() + _AGAIN_SECONDS)
            raise

    def _tell(self, error: FrumiousError) -> None:
        said, now = f"{error}; {error.hint}" if error.hint else str(error), time.monotonic()
        if said != self._told or now >= self._told_until:
            self._told, self._told_until = said, now + _TOLD_SECONDS
            log.error("%s", said)

    async def _close_unused(self, opened: _Opened) -> None:
        if opened is not self._opened and not opened.users:
            await opened.catalog.aclose()

    def _identify(self) -> tuple[int, int]:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            raise Unavailable("there is no catalog; `frumious mirror` makes one") from None
        except OSError as error:
            raise Unavailable(f"the catalog cannot be read: {error.strerror}") from None
        return found.st_dev, found.st_ino


def _reason(error: FrumiousError) -> str:
    return _REASONS.get(type(error), "the catalog cannot be read") + "; the server's log says more"
