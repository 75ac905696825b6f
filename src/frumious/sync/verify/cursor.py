"""How far a verification is: kept in the mirror's own folder, so that the next one goes on from there."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from frumious.errors import StorageError
from frumious.storage.base import Item, Storage
from frumious.sync.files import read_text

KEY = ".frumious/verify.json"


@dataclass(slots=True)
class Cursor:
    """The place up to which everything has been compared, and what was found up to there."""

    began: int
    """When the first part began, in seconds since 1970."""
    quick: bool
    projects_done: bool = False
    after: str = ""
    """The last project, and when those are done, the last key, that has been looked at."""
    is_readable: bool = True
    """Whether everything that pages name is known: nothing is a stray as long as it is not."""
    projects: int = 0
    files: int = 0
    bytes: int = 0
    findings: dict[str, int] = field(default_factory=dict)
    """How many of each kind."""
    repaired: int = 0

    @property
    def found(self) -> int:
        """How many findings there are, repaired ones included."""
        return sum(self.findings.values())


async def read_cursor(storage: Storage) -> Cursor | None:
    """Return where the last verification stopped; None if it came to its end, or cannot be known."""
    text = await read_text(storage, KEY)
    if text is None:
        return None
    try:
        return Cursor(**json.loads(text))
    except (ValueError, TypeError):
        return None  # half written, or by another version: it begins anew


async def write_cursor(storage: Storage, cursor: Cursor) -> bool:
    """Keep the place; False if that cannot be written, as by a user that may only read the mirror."""
    try:
        await storage.write([Item(KEY, json.dumps(asdict(cursor)).encode())])
    except StorageError:
        return False
    return True


async def forget_cursor(storage: Storage) -> None:
    """The next verification begins at the beginning."""
    try:
        await storage.delete([KEY])
    except StorageError:
        return
