"""The catalog as the server has it: opened when it is first needed, and anew when another file takes its place.

The server changes nothing in it, makes none, and lives without it: what needs the catalog is answered with 503 and the
reason, while pages and files go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from frumious.catalog.base import Catalog
from frumious.errors import CatalogError, FrumiousError, StorageError
from frumious.server.site import Unavailable


class Records:
    """One catalog, shared by all answers of a worker."""

    def __init__(self, open_it: Callable[[], Awaitable[Catalog]], path: Path) -> None:
        """Take how it is opened, for reading only, and where it lies."""
        self._open = open_it
        self._path = path
        self._catalog: Catalog | None = None
        self._identity: tuple[int, int] | None = None
        self._opening = asyncio.Lock()

    @asynccontextmanager
    async def catalog(self) -> AsyncIterator[Catalog]:
        """Give the catalog for one answer; raises Unavailable with a reason, also for what fails while it is used."""
        try:
            yield await self._current()
        except (CatalogError, StorageError) as error:
            raise Unavailable(_reason(error)) from error

    async def aclose(self) -> None:
        """Close it."""
        catalog, self._catalog = self._catalog, None
        if catalog is not None:
            await catalog.aclose()

    async def _current(self) -> Catalog:
        identity = self._identify()
        if self._catalog is not None and identity == self._identity:
            return self._catalog
        async with self._opening:
            if self._catalog is None or identity != self._identity:
                await self.aclose()
                self._catalog = await self._open()
                self._identity = identity
            return self._catalog

    def _identify(self) -> tuple[int, int]:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            raise Unavailable("there is no catalog; `frumious mirror` makes one") from None
        except OSError as error:
            raise Unavailable(f"the catalog cannot be read: {error.strerror}") from None
        return found.st_dev, found.st_ino


def _reason(error: FrumiousError) -> str:
    return f"{error}; {error.hint}" if error.hint else str(error)
