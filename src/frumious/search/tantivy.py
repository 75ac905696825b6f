"""The search index in a directory, by tantivy: `frumious.search.base.SearchIndex`.

Files of the engine are written once and named by `meta.json`, which is replaced with every commit: that is the instant
at which a commit happens. `<directory>/<format>/` holds them, so that no version reads what another one wrote.

Readers write nothing there. They look at `meta.json` with every question, and open what it names through a directory of
symbolic links of their own, which is gone again before the first question: the engine opens and maps all files at once,
and would make lock files beside them otherwise. A writer is opened for one commit, and the lock held no longer.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import threading
import time
from collections.abc import AsyncIterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

from tantivy import DocAddress, Index, Searcher
from tantivy import Query as Question

from frumious.errors import SearchIndexAbsent, SearchIndexBroken, SearchIndexLocked
from frumious.model.names import NormalizedName
from frumious.search.asking import Questions
from frumious.search.base import DEPTH, Entry, Hit, Query, Results
from frumious.search.failures import told
from frumious.search.fields import FORMAT, STATE, build_schema, read_position, read_shown
from frumious.search.ranking import FAR, FEW, FOUND, FURTHER_LIMIT, NEAR, Answer, Match, Place, Way, rank
from frumious.search.text import parse_typed
from frumious.search.writing import Writer, open_writer

WRITER_BYTES: Final = 50_000_000
"""Memory of a writer, beside what merging maps; the engine takes no less than 15 MB."""

_META: Final = "meta.json"
_LOCK: Final = "lock"
_ATTEMPTS: Final = 20
"""How often something is tried that others may disturb: a writer, or a thread of the engine."""


@dataclass(frozen=True, slots=True)
class _Opened:
    """One commit, as readers have it."""

    identity: tuple[int, int, int]
    searcher: Searcher
    questions: Questions
    position: int


class TantivyIndex:
    """`frumious.search.base.SearchIndex` in a directory, which is made when it is first written.

    Every method goes to a thread. One object is good for any number of them at a time.
    """

    def __init__(self, directory: Path, *, writer_bytes: int = WRITER_BYTES) -> None:
        """Take where the indexes of all versions lie; nothing is opened."""
        self._top = directory
        self._directory = directory / str(FORMAT)
        self._writer_bytes = writer_bytes
        self._opened: _Opened | None = None
        self._opening = threading.Lock()
        self._asking = threading.Lock()
        self._writing = asyncio.Lock()

    # ------------------------------------------------------------- reading

    async def search(self, query: Query) -> Results:
        """As the port says."""
        return await asyncio.to_thread(self._search, query)

    async def position(self) -> int:
        """As the port says."""
        return (await asyncio.to_thread(self._open)).position

    async def projects(self) -> int:
        """As the port says."""
        opened = await asyncio.to_thread(self._open)
        return opened.searcher.num_docs - 1  # the state is a document, too

    def _search(self, query: Query) -> Results:
        wanted = min(query.offset + query.limit, DEPTH)
        opened = self._open()
        typed = parse_typed(query.words)

        def ask(ways: Sequence[Way], limit: int) -> list[Answer]:
            with self._asking:
                questions = [(way, opened.questions.ask(way, typed, query.classifiers)) for way in ways]
            return [
                _answer(opened.searcher, way, asked, limit) for way, asked in questions if asked is not None
            ]

        with told(self._directory, "read"):
            answers = ask(FOUND, max(wanted, FEW))
            if len(rank(answers).places) < FEW:
                answers += ask(NEAR, FURTHER_LIMIT)
            if not any(answer.matches for answer in answers):
                answers += ask(FAR, FURTHER_LIMIT)
            found = rank(answers)
            hits = [
                _hit(opened.searcher, place, worth) for place, worth in found.places[query.offset : wanted]
            ]
        return Results(hits, found.total, found.is_exact, found.is_guess)

    def _open(self) -> _Opened:
        """Return the latest commit; raises SearchIndexAbsent, SearchIndexBroken, StorageError."""
        with self._opening:
            for _ in range(_ATTEMPTS):
                identity = self._identity()
                if self._opened is not None and self._opened.identity == identity:
                    return self._opened
                try:
                    with told(self._directory, "read"):
                        self._opened = self._open_commit(identity)
                except SearchIndexBroken:
                    # What a commit names is deleted after the next one.
                    if self._identity() == identity:
                        raise
        raise SearchIndexBroken(str(self._directory), "it changes faster than it can be opened")

    def _identity(self) -> tuple[int, int, int]:
        """Return what is another one after each commit."""
        with told(self._directory, "read"):
            try:
                said = (self._directory / _META).stat()
            except (FileNotFoundError, NotADirectoryError):
                raise SearchIndexAbsent(str(self._top)) from None
        return said.st_ino, said.st_mtime_ns, said.st_size

    def _open_commit(self, identity: tuple[int, int, int]) -> _Opened:
        with _scratch() as links:
            # The names first: a commit that comes between the two is noticed by its identity.
            shutil.copyfile(self._directory / _META, links / _META)
            for file in self._directory.iterdir():
                if not file.name.startswith(".") and file.name != _META:
                    (links / file.name).symlink_to(file.absolute())
            index = Index.open(str(links))
            index.config_reader("manual")
            searcher = index.searcher()
        schema = index.schema
        found = searcher.search(Question.term_query(schema, "name", STATE, "basic"), 1, count=False).hits
        if not found:  # made, and never committed
            raise SearchIndexAbsent(str(self._top))
        position = read_position(searcher.doc(found[0][1]))
        return _Opened(identity, searcher, Questions(schema), position)

    # ------------------------------------------------------------- writing

    async def apply(self, entries: Sequence[Entry], removed: Sequence[NormalizedName], position: int) -> None:
        """As the port says."""
        async with self._writing:
            await asyncio.to_thread(self._apply, entries, removed, position)

    async def rebuild(self, batches: AsyncIterable[Sequence[Entry]], position: int) -> None:
        """As the port says."""
        async with self._writing:
            with self._locked():
                await asyncio.to_thread(self._make_writable)
                writer = await asyncio.to_thread(self._writer)
                try:
                    await asyncio.to_thread(writer.remove_all)
                    async for batch in batches:
                        await asyncio.to_thread(writer.add, batch)
                    await asyncio.to_thread(writer.commit, position)
                finally:
                    await asyncio.to_thread(writer.close)
                await asyncio.to_thread(self._remove_others)

    async def clear(self) -> None:
        """As the port says."""
        async with self._writing:
            await asyncio.to_thread(self._clear)

    def _apply(self, entries: Sequence[Entry], removed: Sequence[NormalizedName], position: int) -> None:
        self._open()
        with self._locked(), closing(self._writer()) as writer:
            writer.put(entries)
            writer.remove(removed)
            writer.commit(position)

    def _clear(self) -> None:
        with self._locked():
            self._make_anew()
            with closing(self._writer()) as writer:
                writer.commit(0)
            self._remove_others()

    def _writer(self) -> Writer:
        return open_writer(self._directory, build_schema(), self._writer_bytes)

    def _make_writable(self) -> None:
        """Take away an index that cannot be read, and leave one that can."""
        try:
            self._open()
        except (SearchIndexAbsent, SearchIndexBroken):
            self._make_anew()

    def _make_anew(self) -> None:
        with told(self._directory, "write"):
            if self._directory.exists():
                # First what names the others: half an index must not look like one.
                (self._directory / _META).unlink(missing_ok=True)
                shutil.rmtree(self._directory)
            self._directory.mkdir()

    def _remove_others(self) -> None:
        """Take away what other versions of Frumious have left."""
        with told(self._top, "write"):
            for directory in self._top.iterdir():
                if directory.name.isdecimal() and directory != self._directory:
                    shutil.rmtree(directory, ignore_errors=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other writers away; the kernel lets them in again when this process dies."""
        with told(self._top, "write"):
            self._top.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._top / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise SearchIndexLocked(str(self._top)) from None
            yield
        finally:
            os.close(descriptor)


@contextmanager
def _scratch() -> Iterator[Path]:
    """Give a directory for the block."""
    place = Path(mkdtemp(prefix="frumious-search-"))
    try:
        yield place
    finally:
        # A thread of the engine that has just been started may put a lock there while it is taken away.
        for _ in range(_ATTEMPTS):
            with suppress(OSError):
                shutil.rmtree(place)
                break
            time.sleep(0.01)


def _answer(searcher: Searcher, way: Way, question: Question, limit: int) -> Answer:
    """Return what is found in one way, in the order of `ranking.score`."""
    if way.is_by_text:
        found = searcher.search(question, limit, weight_by_field="popularity")
    else:
        found = searcher.search(question, limit, order_by_field="order")
    places = [place for _, place in found.hits]
    orders = searcher.fast_field_values("order", places)
    matches = [
        Match((place.segment_ord, place.doc), int(order or 0), worth if way.is_by_text else 0.0)
        for (worth, place), order in zip(found.hits, orders, strict=True)
    ]
    count = found.count if way in FOUND else len(matches)  # type: ignore[attr-defined]  # missing in its stub
    return Answer(way, matches, count)


def _hit(searcher: Searcher, place: Place, worth: float) -> Hit:
    shown = read_shown(searcher.doc(DocAddress(*place)))
    return Hit(NormalizedName(shown.name), shown.display, shown.version, shown.summary, shown.modified, worth)
