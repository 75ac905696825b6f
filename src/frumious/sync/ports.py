"""What a run acts on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from frumious.catalog.base import Catalog
from frumious.storage.base import Storage
from frumious.sync.events import Observer
from frumious.upstream.base import Upstream


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything a run acts on, and time."""

    upstream: Upstream
    storage: Storage
    catalog: Catalog
    observe: Observer
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    chance: Callable[[], float]
    """A number from 0 up to 1."""
