"""One commit: a writer of the engine that is opened for it and closed after it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tantivy import Index, IndexWriter, Schema

from frumious.model.names import NormalizedName
from frumious.search.base import Entry
from frumious.search.failures import told
from frumious.search.fields import STATE, document_of, state_of

_THREADS: Final = 1
"""Making documents is most of the work, and this process does it."""


class Writer:
    """Collects changes of one index; `commit` makes all of them visible at once. Every method blocks."""

    def __init__(self, directory: Path, schema: Schema, writer: IndexWriter) -> None:
        self._directory = directory
        self._schema = schema
        self._writer = writer
        self._is_committed = False

    def add(self, entries: Iterable[Entry]) -> None:
        """Add projects that are not there."""
        for entry in entries:
            document = document_of(entry, self._schema)
            with told(self._directory, "write"):
                self._writer.add_document(document)

    def put(self, entries: Iterable[Entry]) -> None:
        """Put or replace projects. Each costs about 1 kB until the commit."""
        for entry in entries:
            self.remove([entry.name])
            self.add([entry])

    def remove(self, names: Iterable[NormalizedName]) -> None:
        """Take projects out, those that are not there included."""
        with told(self._directory, "write"):
            for name in names:
                self._writer.delete_documents_by_term("name", name)

    def remove_all(self) -> None:
        """Take everything out."""
        with told(self._directory, "write"):
            self._writer.delete_all_documents()

    def commit(self, position: int) -> None:
        """Make it so; it survives a power cut. Nothing but `close` may follow."""
        with told(self._directory, "write"):
            self._writer.delete_documents_by_term("name", STATE)
            self._writer.add_document(state_of(position, self._schema))
            self._writer.commit()
        self._is_committed = True

    def close(self) -> None:
        """Forget what is not committed, files included, and wait until the engine's threads have ended."""
        with told(self._directory, "write"):
            try:
                if not self._is_committed:
                    self._writer.rollback()
                    self._writer.garbage_collect_files()
            finally:
                # Merges keep the number of files small, and count only when the writer lives to see their end.
                self._writer.wait_merging_threads()


def open_writer(directory: Path, schema: Schema, memory: int) -> Writer:
    """Open a writer with so many bytes of memory, making the index where there is none; needs the lock."""
    with told(directory, "write"):
        writer = Index(schema, str(directory)).writer(memory, _THREADS)
        writer.garbage_collect_files()  # of one that was killed: its files may be what fills the disk
        return Writer(directory, schema, writer)
