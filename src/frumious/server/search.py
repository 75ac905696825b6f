"""Search, as every door to it sees it: the XML-RPC interface of `pip search` is the first."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from frumious.errors import BadPage
from frumious.model.layout import PageKind
from frumious.model.names import NormalizedName
from frumious.server.page_store import Page
from frumious.server.records import Records
from frumious.server.releases import Projects

_WIDER = 10
"""How many more names are looked at than are told, so that the best of them can come first."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A project that was found."""

    name: str
    """As upstream spells it."""
    summary: str
    version: str
    """Of its newest release."""


class Search(Protocol):
    """Finds projects by words."""

    async def search(self, words: Sequence[str], limit: int) -> list[Hit]:
        """Return the projects that have all of the words, the best first; raises Unavailable."""
        ...


class NameSearch:
    """Looks for words in the names of projects, and in nothing else."""

    def __init__(self, records: Records, projects: Projects) -> None:
        self._records = records
        self._projects = projects

    async def search(self, words: Sequence[str], limit: int) -> list[Hit]:
        """Return the projects whose names have all of the words in them: exact, then beginning with them, then short."""
        parts = [part for word in words if (part := _as_in_names(word))]
        if not parts:
            return []
        async with self._records.catalog() as catalog:
            names = await catalog.names_with(parts, limit * _WIDER)
        whole = "-".join(parts)
        names.sort(key=lambda name: (name != whole, not name.startswith(whole), len(name), name))
        hits = [await self._hit(name) for name in names[:limit]]
        return [hit for hit in hits if hit is not None]

    async def _hit(self, name: NormalizedName) -> Hit | None:
        try:
            page, kind = self._projects.page(name)
            return await asyncio.to_thread(self._read, page, kind, name)
        except (FileNotFoundError, BadPage):
            return None

    def _read(self, page: Page, kind: PageKind, name: NormalizedName) -> Hit | None:
        project = self._projects.read(page, kind, name)
        newest = project.newest
        if newest is None:
            return None
        said = self._projects.metadata(newest)
        return Hit(project.display, said.get("summary") or "", newest.version)


def _as_in_names(word: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in word.lower()).split())
