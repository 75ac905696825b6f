"""The search port: values, and what an index promises. `tests/search/test_index.py` tests this page.

The index is made of what the catalog and the tree know, so that it can be thrown away at any time. It is as current as
its `position`: the id of the last entry of the catalog's journal that is in it.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from frumious.model.names import NormalizedName

DEPTH = 1000
"""Hits of one query that can be had; nobody looks at more pages, and each costs what all before it cost."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A project as it is found and shown. Texts are as upstream has them: any length, any character."""

    name: NormalizedName
    display: str
    """As upstream spells the name."""
    version: str
    """Of the release that stands for the project."""
    summary: str = ""
    keywords: Sequence[str] = ()
    classifiers: Sequence[str] = ()
    author: str = ""
    downloads: int = 0
    """How often it was downloaded, in whatever span of time; it orders what is equally good."""
    modified: int | None = None
    """When its newest file was uploaded, in seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Query:
    """What somebody looks for."""

    words: str
    """As typed: anything, of any length. What lies behind the 256th character is not looked at."""
    offset: int = 0
    limit: int = 20
    classifiers: Sequence[str] = ()
    """Trove classifiers, or beginnings of them up to a `::`; a project has to have all of them."""

    def __post_init__(self) -> None:
        if self.offset < 0 or self.limit < 1:
            raise ValueError(f"offset {self.offset}, limit {self.limit}")


@dataclass(frozen=True, slots=True)
class Hit:
    """A project that was found."""

    name: NormalizedName
    display: str
    version: str
    summary: str
    """In one line of at most 512 characters."""
    modified: int | None
    score: float
    """Comparable within one query: higher is better."""


@dataclass(frozen=True, slots=True)
class Results:
    """One page of what was found, the best first."""

    hits: Sequence[Hit]
    total: int
    """How many projects were found, this page's included."""
    is_exact: bool
    """Whether `total` is all of them; else there are at least so many."""
    is_guess: bool
    """Whether no project has what was typed, and these are what might have been meant."""


class SearchIndex(Protocol):
    """An index of projects. Many processes may read it while one writes.

    Every method raises SearchIndexBroken where the index cannot be read, StorageError where the disk refuses.
    """

    async def search(self, query: Query) -> Results:
        """Return the projects for which the words stand, whatever they are; raises SearchIndexAbsent.

        What another process has committed before the call is found. The same query gives the same order on every page.
        """
        ...

    async def position(self) -> int:
        """Return the id of the journal entry up to which the index is current; raises SearchIndexAbsent."""
        ...

    async def projects(self) -> int:
        """Return how many projects are in the index; raises SearchIndexAbsent."""
        ...

    async def apply(self, entries: Sequence[Entry], removed: Sequence[NormalizedName], position: int) -> None:
        """Put or replace projects and take others out, in one commit that survives a power cut.

        A name in both is taken out. Killed at any moment the index is as before, or as after.
        Raises SearchIndexAbsent, SearchIndexLocked while another process writes.
        """
        ...

    async def rebuild(self, batches: AsyncIterable[Sequence[Entry]], position: int) -> None:
        """Make the index anew of these entries alone, in one commit: what was there is found until then.

        Each project may come once. It needs no index, and mends one that is broken. Whatever `batches` raises leaves all as it was.
        Raises SearchIndexLocked.
        """
        ...

    async def clear(self) -> None:
        """Leave an empty index at position 0, whatever was there before; raises SearchIndexLocked."""
        ...
