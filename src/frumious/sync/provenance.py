"""Keep provenance documents (PEP 740) beside the files they speak of, and keep them fresh (conformance 79, 80, 95).

A document is in place before the page that names it. That there is none to be had, or a wrong one, is never a failure
of the project: nobody needs it to install. Its time on disk is when it was last compared with upstream's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from frumious.catalog.base import HeldFile
from frumious.errors import NoSuchObject, UpstreamError
from frumious.model import layout
from frumious.model.names import NormalizedName
from frumious.model.project import File
from frumious.pages.provenance import LONGEST, problem_of
from frumious.storage.base import Item, Options
from frumious.sync.events import BytesReceived, Notice
from frumious.sync.groups import at_once
from frumious.sync.options import SyncOptions
from frumious.sync.ports import Ports

AGED = 0.75
"""Share of the time between two looks at a project, after which its documents are compared again: no look comes sooner."""

SOON = 3600
"""Seconds until a document is compared again that could not be."""
TRIES = 3
"""Failures in a row, after which the rest of a project's documents wait for the next look at it."""


@dataclass(frozen=True, slots=True)
class Held:
    """What we hold of a project, documents included."""

    files: dict[str, HeldFile]
    is_whole: bool = True
    """False where a page names a document that was not to be had."""


class Provenances:
    """Brings what is missing and compares what is old; many calls run at once."""

    def __init__(self, ports: Ports, options: SyncOptions) -> None:
        self._ports, self._options = ports, options

    async def are_old(self, name: NormalizedName) -> bool:
        """Say whether documents of a project are to be compared with upstream's, although its page is as it was."""
        if not self._options.rendering.provenance:
            return False
        held, _ = await self._ports.catalog.held(name, ())
        return bool(await self._old(held.values()))

    async def complete(
        self,
        name: NormalizedName,
        files: Sequence[File],
        held: dict[str, HeldFile],
        unread: Iterable[str],
        refused: frozenset[str],
    ) -> Held:
        """Return what is held of `files` with the documents that upstream's page names, and without any others.

        Documents of the files `unread` are read again, and those at keys that are `refused` belong to somebody else.
        """
        named = {file.filename: file for file in files if file.provenance is not None}
        if not self._options.rendering.provenance:
            named = {}
        found = {
            filename: one if one.provenance is None or filename in named else _without(one)
            for filename, one in held.items()
        }
        if not named:
            return Held(found)
        doubtful = {*unread, *(await self._old(found.values()))}
        asked = [
            named[filename]
            for filename, one in found.items()
            if filename in named and (one.provenance is None or filename in doubtful)
        ]
        bringing = _Bringing(self._ports, self._options, name, found, refused)
        if asked:
            pending = iter(asked)

            async def work() -> None:
                for file in pending:
                    await bringing.bring(file)

            await at_once(work, min(len(asked), self._options.streams))
        return Held(found, bringing.is_whole)

    async def _old(self, held: Iterable[HeldFile]) -> set[str]:
        """Return the files whose documents were last compared long ago, or are not there."""
        documented = [one for one in held if one.provenance is not None]
        places = {_key(one): one.filename for one in documented}
        sizes = {_key(one): one.provenance_size for one in documented}
        since = self._ports.clock() - AGED * self._options.recheck_seconds
        stats = await self._ports.storage.stat(list(places)) if places else []
        return {
            filename
            for filename, stat in zip(places.values(), stats, strict=True)
            if stat is None or stat.modified < since or stat.size != sizes[stat.key]
        }


class _Bringing:
    """The documents of one project, on their way."""

    def __init__(
        self,
        ports: Ports,
        options: SyncOptions,
        name: NormalizedName,
        found: dict[str, HeldFile],
        refused: frozenset[str],
    ) -> None:
        self._ports, self._options = ports, options
        self._name, self._found, self._refused = name, found, refused
        self._failures = 0
        """In a row."""
        self._has_told = False
        self.is_whole = True

    async def bring(self, file: File) -> None:
        """Have the document of one file in place, and say so in `found`."""
        held = self._found[file.filename]
        if layout.provenance_key(held.key) is None:
            return
        key = _key(held)
        if key in self._refused:
            self._tell(
                f"{file.filename}: the provenance of another project's file lies at {key}; not published"
            )
            self._found[file.filename] = _without(held)
            return
        here = await self._here(key, held)
        if here is not None and held.provenance is None:
            # Left by a run that died, or removed and wanted again.
            self._found[file.filename] = _with(held, here)
            return
        said = await self._asked(file)
        if said is not None and (problem := problem_of(said, file.filename, held.sha256)) is not None:
            self._tell(
                f"{file.filename}: upstream's provenance is of something else, and not published: {problem}"
            )
            said = None
        self.is_whole &= said is not None
        now = self._ports.clock()
        if said is None:
            self._found[file.filename] = _without(held) if here is None else _with(held, here)
            if here is not None:  # not with every run
                await self._ports.storage.date([(key, now - AGED * self._options.recheck_seconds + SOON)])
            return
        if said == here:
            await self._ports.storage.date([(key, now)])
        else:
            await self._ports.storage.write([Item(key, said, Options(modified=now))])
        self._found[file.filename] = _with(held, said)

    async def _here(self, key: str, held: HeldFile) -> bytes | None:
        """Return what lies in place or in the trash, if it is the file's."""
        body = await self._read(key, held)
        if body is not None:
            return body
        trashed = (await self._ports.catalog.in_trash([key])).get(key)
        if trashed is None:
            return None
        try:
            await self._ports.storage.copy([(trashed.place, key)])
        except NoSuchObject:
            return None
        return await self._read(key, held)

    async def _read(self, key: str, held: HeldFile) -> bytes | None:
        (body,) = await self._ports.storage.read([key], LONGEST + 1)
        return body if body is not None and problem_of(body, held.filename, held.sha256) is None else None

    async def _asked(self, file: File) -> bytes | None:
        """Return upstream's document; None where it has none, or does not answer."""
        if self._failures >= TRIES or file.provenance is None:
            return None
        try:
            said = await self._ports.upstream.provenance(file.provenance)
        except UpstreamError as error:
            self._failures += 1
            if not self._has_told:
                self._has_told = True
                self._ports.observe(Notice(f"{self._name}: provenance is not to be had now: {error}"))
            return None
        self._failures = 0
        if said is not None:
            self._ports.observe(BytesReceived(len(said)))
        return said

    def _tell(self, sentence: str) -> None:
        self.is_whole = False
        self._ports.observe(Notice(sentence))


def _key(held: HeldFile) -> str:
    return held.key + layout.PROVENANCE_SUFFIX


def _with(held: HeldFile, body: bytes) -> HeldFile:
    return replace(held, provenance=hashlib.sha256(body).hexdigest(), provenance_size=len(body))


def _without(held: HeldFile) -> HeldFile:
    return held if held.provenance is None else replace(held, provenance=None, provenance_size=0)
