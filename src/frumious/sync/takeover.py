"""Build the catalog from a tree: one that bandersnatch made, one of ours without its catalog, one that somebody changed.

A page says what a project has, and the sizes of its files are compared; their bytes are read when the project is next
looked at. Nothing in the tree is changed here. Memory is bounded by a batch of projects, and by the largest page.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TypeVar

import msgspec

from frumious.catalog.base import Adopted, HeldFile
from frumious.errors import BadPage
from frumious.model import layout
from frumious.model.layout import PageKind
from frumious.model.names import InvalidName, NormalizedName, normalize
from frumious.model.project import Digest, File, ProjectStatus
from frumious.pages import legacy_json, simple_json, stored
from frumious.pages.reading import serial_of
from frumious.pages.stored import StoredPage
from frumious.storage.base import Stat, Storage
from frumious.sync.events import Notice, TreeRead
from frumious.sync.files import read_text
from frumious.sync.groups import first
from frumious.sync.options import Rendering, SyncOptions
from frumious.sync.ports import Ports
from frumious.sync.text import counted

T = TypeVar("T")

BATCH = 500
"""Projects that are read, compared and recorded together."""
BATCH_BYTES = 16 * 1024 * 1024
"""Pages that are in memory together, unless one alone is larger."""
LARGEST_PAGE = 256 * 1024 * 1024
LARGEST_TODO = 16 * 1024 * 1024
"""A longer `todo` is not read: then most of what it names is known by its serial."""
LIST_HEAD = 256
"""Bytes at the beginning or the end of a project list in which its serial stands."""
TOLD = 20
"""Pages that cannot be read and are named one by one."""

_EMPTY = hashlib.sha256(b"").hexdigest()
_KINDS = {kind.value: kind for kind in PageKind}
_ROOT_SERIAL = re.compile(rb'"_last-serial"\s*:\s*"?([0-9]{1,19})\b|<!--SERIAL ([0-9]{1,19})-->')


@dataclass(frozen=True, slots=True)
class TakenOver:
    """What came of reading a tree."""

    projects: int = 0
    """Recorded."""
    files: int = 0
    """In place with the right size, as far as that is known."""
    incomplete: int = 0
    """Of the projects those that the next run asks for: files are missing, or nobody knows how new the page is."""
    unreadable: int = 0
    """Of these the ones whose page cannot be read."""
    unchanged: int = 0
    """With `only_changed`: pages that are as the catalog knows them, unread."""
    gone: int = 0
    """Projects the catalog knew a page of that is not there any more."""


@dataclass(frozen=True, slots=True)
class Place:
    """A directory with pages of one project."""

    directory: str
    """Its own name, which may be another spelling than the project's."""
    name: NormalizedName
    pages: Mapping[PageKind, Stat]

    @property
    def is_normalized(self) -> bool:
        """Whether clients ask for this very directory."""
        return self.directory == self.name

    @property
    def modified(self) -> float:
        """When the latest of its pages was written, to the last digit: two programs may write in one second."""
        return max(stat.modified for stat in self.pages.values())

    @property
    def html(self) -> Stat | None:
        """Its page in HTML."""
        return self.pages.get(PageKind.HTML) or self.pages.get(PageKind.V1_HTML)

    def best(self, rendering: Rendering) -> PageKind:
        """Return which of its pages to read: JSON says more, but one that the settings do not want may be old."""
        order = [PageKind.V1_JSON, PageKind.HTML, PageKind.V1_HTML]
        if not rendering.json:
            order = order[1:] + order[:1]
        return next(kind for kind in order if kind in self.pages)


@dataclass(frozen=True, slots=True)
class Read:
    """A place and what its page says, or why nobody knows."""

    place: Place
    page: StoredPage | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """A file of a page that belongs into our `packages/`."""

    file: File
    key: str
    beside: str | None
    """Where its core metadata lies, if the page advertises it."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a tree says of itself beside its pages."""

    status: int | None = None
    """Up to which serial of upstream it is complete."""
    owed: frozenset[NormalizedName] = frozenset()
    """Projects of which that is not so."""
    head: int = 0
    """The serial of its project list."""
    displays: Mapping[NormalizedName, str] = field(default_factory=dict)
    """Names as upstream spells them, where only the project list says it."""


async def take_over(
    ports: Ports, options: SyncOptions, *, only_changed: bool = False, only_new: bool = False
) -> TakenOver:
    """Record in the catalog what lies in the tree, and say how much that is.

    With `only_changed` pages that are as old as the catalog says are not read: after another program has run here, and
    to go on after a take-over that did not come to its end. A project is asked for by the next run if it is not
    certain that everything is here that its page lists. With `only_new` pages of projects that the catalog knows are
    not read at all.

    Raises StorageError for what cannot be read because of its mode or the disk, and CatalogError.
    """
    return await _TakeOver(ports, options, only_changed=only_changed, only_new=only_new).run()


class _TakeOver:
    def __init__(self, ports: Ports, options: SyncOptions, *, only_changed: bool, only_new: bool) -> None:
        self._ports, self._options = ports, options
        self._only_changed, self._only_new = only_changed, only_new
        self._tree = _Tree(options.rendering)
        self._known = Known()
        self._done = TakenOver()

    async def run(self) -> TakenOver:
        """Take over everything; see `take_over`."""
        has_rows = bool(await self._ports.catalog.names("", 1))
        self._known = await _read_known(self._ports.storage, self._options.rendering)
        try:
            await self._take_all()
        except BaseExceptionGroup as errors:
            raise first(errors) from None
        if has_rows and not self._only_new:
            await self._strike_gone()
        self._tell_rest()
        return self._done

    async def _take_all(self) -> None:
        """Read batch after batch; the catalog writes one while the next is read."""
        recording: asyncio.Task[None] | None = None
        async with asyncio.TaskGroup() as group:
            async for places in _in_batches(self._tree.places(self._ports.storage), self._options.rendering):
                if recording is not None and not all(place.is_normalized for place in places):
                    await recording  # whether another spelling was found before is a question to the catalog
                adopted = await self._read(places)
                if recording is not None:
                    await recording
                recording = group.create_task(self._record(adopted))

    # --------------------------------------------------------------- reading

    async def _read(self, places: Sequence[Place]) -> list[Adopted]:
        """Return a batch as the catalog is to have it."""
        places = await self._unknown(await self._without_doubles(places))
        if not places:
            return []
        reads = await self._read_pages(places)
        links: list[Sequence[Link]] = [()] * len(reads)
        if self._options.rendering.release_files:
            reads = await self._with_facts(reads)
            links = await asyncio.to_thread(lambda: [find_links(read.page, self._options) for read in reads])
        keys = {key: None for part in links for link in part for key in (link.key, link.beside) if key}
        found = await self._ports.storage.stat(list(keys))
        sizes = {stat.key: stat.size for stat in found if stat is not None}
        return [self._decided(read, part, sizes) for read, part in zip(reads, links, strict=True)]

    async def _without_doubles(self, places: Sequence[Place]) -> list[Place]:
        """Leave out other spellings of a project that has a directory under its own name, or was found before."""
        others = list({place.name: None for place in places if not place.is_normalized})
        if not others:
            return list(places)
        present = await self._ports.storage.stat(self._page_keys(others))
        step = len(PageKind)
        seen = {name for i, name in enumerate(others) if any(present[i * step : (i + 1) * step])}
        seen |= (await self._ports.catalog.known(others)).keys()
        left: list[Place] = []
        for place in places:
            if not place.is_normalized and place.name in seen:
                continue
            seen.add(place.name)
            left.append(place)
        return left

    async def _unknown(self, places: Sequence[Place]) -> list[Place]:
        """Return the places that have to be read."""
        if not self._only_changed and not self._only_new:
            return list(places)
        rows = await self._ports.catalog.known([place.name for place in places])

        def is_known(place: Place) -> bool:
            row = rows.get(place.name)
            if self._only_new and row is not None:
                return True
            if row is None or row.published is None or row.page_modified != place.modified:
                return False
            # Pages of ours were written as one.
            times = {stat.modified for stat in place.pages.values()}
            return row.page_digest is None or times == {row.page_modified}

        left = [place for place in places if not is_known(place)]
        self._count(unchanged=len(places) - len(left))
        return left

    async def _read_pages(self, places: Sequence[Place]) -> list[Read]:
        kinds = [place.best(self._options.rendering) for place in places]
        pages = [place.pages[kind].key for place, kind in zip(places, kinds, strict=True)]
        bodies = await self._ports.storage.read(pages, LARGEST_PAGE + 1)
        # JSON does not know how upstream spells the name; the other page begins with it.
        beside = [
            place.html.key
            for place, kind in zip(places, kinds, strict=True)
            if kind is PageKind.V1_JSON and place.html is not None
        ]
        titles = dict(zip(beside, await self._ports.storage.read(beside, stored.TITLE_WITHIN), strict=True))

        def parse() -> list[Read]:
            return [
                parse_page(place, kind, body, titles.get(place.html.key) if place.html else None)
                for place, kind, body in zip(places, kinds, bodies, strict=True)
            ]

        reads = await asyncio.to_thread(parse)
        for read in reads:
            if read.page is None:
                self._tell_unreadable(read)
        return reads

    async def _with_facts(self, reads: Sequence[Read]) -> list[Read]:
        """Add sizes and digests that only the legacy JSON has."""
        poor = [
            read for read in reads if read.page is not None and any(map(_is_poor, read.page.detail.files))
        ]
        stats = await self._ports.storage.stat([layout.legacy_json_keys(read.place.name)[0] for read in poor])
        present = [(read, stat) for read, stat in zip(poor, stats, strict=True) if stat is not None]
        rich: dict[str, Read] = {}
        for part in _by_size(present, lambda pair: pair[1].size):
            bodies = await self._ports.storage.read([stat.key for _, stat in part], LARGEST_PAGE + 1)
            asked = [read for read, _ in part]
            for read in await asyncio.to_thread(_with_documents, asked, bodies):
                rich[read.place.directory] = read
        return [rich.get(read.place.directory, read) for read in reads]

    def _decided(self, read: Read, links: Sequence[Link], sizes: Mapping[str, int]) -> Adopted:
        adopted = decide(read, links, sizes, self._known)
        if adopted.published is None:
            return adopted  # nobody asks for it before upstream's list names it
        now = int(self._ports.clock())
        # Spread: a tree of 900 thousand projects shall not be due in one hour.
        later = now + 1 + int(self._options.recheck_seconds * self._ports.chance())
        return replace(adopted, due_at=now if adopted.serial is None else later)

    # ------------------------------------------------------------- recording

    async def _record(self, adopted: Sequence[Adopted]) -> None:
        if not adopted:
            return
        now = int(self._ports.clock())
        refused = await self._ports.catalog.adopt(adopted, now, head=self._known.head)
        files = sum(len(a.hold) for a in adopted)
        asked = {*refused, *(a.name for a in adopted if a.serial is None)}
        self._count(projects=len(adopted), files=files, incomplete=len(asked))
        self._ports.observe(TreeRead(len(adopted), files))

    async def _strike_gone(self) -> None:
        """Strike off the pages that the catalog knows and that are not there any more."""
        # Settings may have changed since: a page that lies in the other layout is still there.
        layouts = (False, True)
        after, step = "", len(PageKind) * len(layouts)
        while names := await self._ports.catalog.names(after, BATCH):
            after = names[-1]
            keys = [
                layout.page_key(name, kind, hash_index=hash_index)
                for name in names
                for hash_index in layouts
                for kind in PageKind
            ]
            present = await self._ports.storage.stat(keys)
            gone = [name for i, name in enumerate(names) if not any(present[i * step : (i + 1) * step])]
            if gone:
                await self._ports.catalog.lose_pages(gone, int(self._ports.clock()))
                self._count(gone=len(gone))

    def _page_keys(self, names: Sequence[NormalizedName]) -> list[str]:
        hash_index = self._options.rendering.hash_index
        return [layout.page_key(name, kind, hash_index=hash_index) for name in names for kind in PageKind]

    def _count(self, **more: int) -> None:
        self._done = replace(self._done, **{key: getattr(self._done, key) + n for key, n in more.items()})

    # --------------------------------------------------------------- telling

    def _tell_unreadable(self, read: Read) -> None:
        self._count(unreadable=1)
        if self._done.unreadable <= TOLD:
            key = read.place.pages[read.place.best(self._options.rendering)].key
            self._tell(
                f"{key}: cannot be read ({read.problem}); it stays, and upstream is asked for the project"
            )

    def _tell_rest(self) -> None:
        done, tree = self._done, self._tree
        if done.unreadable > TOLD:
            self._tell(f"pages that cannot be read: {done.unreadable}; upstream is asked for these projects")
        if tree.elsewhere:
            other = "false" if self._options.rendering.hash_index else "true"
            self._tell(f"pages left alone: {tree.elsewhere}; they lie where `hash-index = {other}` puts them")
        if tree.odd:
            names = ", ".join(map(repr, tree.odd_names))
            self._tell(
                f"directories below web/simple that are no project's, left alone: {tree.odd} ({names})"
            )
        if done.gone:
            self._tell(f"pages that are not there any more: {done.gone}")
        if done.projects:
            asked = f"; upstream is asked for {done.incomplete:,} of them" if done.incomplete else ""
            self._tell(
                f"taken over from the tree: {counted(done.projects, 'project')}, {counted(done.files, 'file')}{asked}",
                "info",
            )

    def _tell(self, text: str, level: str = "warning") -> None:
        self._ports.observe(Notice(text, level))


class _Tree:
    """Finds the pages of a tree, and counts what it leaves alone."""

    def __init__(self, rendering: Rendering) -> None:
        self._hash_index = rendering.hash_index
        self.elsewhere = 0
        """Pages in the layout that the settings do not want."""
        self.odd = 0
        """Directories that have no project's name."""
        self.odd_names: list[str] = []
        """The first few of them."""

    async def places(self, storage: Storage) -> AsyncIterator[Place]:
        """Yield the directories that have pages, in the order of their keys."""
        directory, pages = "", dict[PageKind, Stat]()
        async for stat in storage.list(layout.SIMPLE):
            found = self._page_of(stat.key)
            if found is None:
                continue
            if found[0] != directory and pages:
                if (place := self._place(directory, pages)) is not None:
                    yield place
                pages = {}
            directory = found[0]
            pages[found[1]] = stat
        if pages and (place := self._place(directory, pages)) is not None:
            yield place

    def _page_of(self, key: str) -> tuple[str, PageKind] | None:
        """Return the directory and the kind of a project's page; None for any other key."""
        parts = key.removeprefix(layout.SIMPLE).split("/")
        kind = _KINDS.get(parts[-1])
        if kind is None or len(parts) not in {2, 3}:
            return None
        if (len(parts) == 3) != self._hash_index:
            self.elsewhere += 1
            return None
        return "/".join(parts[:-1]), kind

    def _place(self, directory: str, pages: Mapping[PageKind, Stat]) -> Place | None:
        spelling = directory.rpartition("/")[2]
        try:
            name = normalize(spelling)
        except InvalidName:
            self.odd += 1
            if len(self.odd_names) < 3:
                self.odd_names.append(spelling[:60])
            return None
        if self._hash_index and directory == f"{name[0]}/{name}":
            directory = name  # where it belongs
        return Place(directory, name, pages)


# ------------------------------------------------------------------- decisions


def parse_page(place: Place, kind: PageKind, body: bytes | None, html: bytes | None = None) -> Read:
    """Read the page of a place, and how upstream spells its name from the beginning of its page in HTML."""
    if body is None:
        return Read(place, None, "it is not there any more")
    if len(body) > LARGEST_PAGE:
        return Read(place, None, "it is too large")
    try:
        page = stored.read_page(body, kind, place.name)
    except BadPage as error:
        return Read(place, None, error.reason)
    if page.display is None and html is not None:
        with suppress(BadPage):  # the page that counts is the other
            page = replace(page, display=stored.read_title(html, place.name))
    return Read(place, page)


def find_links(page: StoredPage | None, options: SyncOptions) -> tuple[Link, ...]:
    """Return the files of a page that belong into our `packages/`."""
    if page is None:
        return ()
    links: list[Link] = []
    for file in page.detail.files:
        key = stored.key_of(file, options.rendering.root_uri)
        if key is not None:
            # Whatever the settings say now: as long as this page is out, what it advertises has to stay.
            links.append(Link(file, key, layout.metadata_key(key) if file.core_metadata else None))
    return tuple(links)


def decide(read: Read, links: Sequence[Link], sizes: Mapping[str, int], known: Known) -> Adopted:
    """Return a project as the catalog is to have it, given the sizes of what is in place.

    A file without sha256 stays out: the next look at its project reads it. `due_at` is for the caller.
    """
    place, page = read.place, read.page
    if page is None:
        published = 0 if place.is_normalized else None
        return Adopted(place.name, None, None, published, place.modified, None)
    lost = [link.file.filename for link in links if not _is_right(link.file, sizes.get(link.key))]
    absent = set(lost)
    rest = [link for link in links if link.file.filename not in absent]
    is_whole = (
        not lost
        and not page.detail.problems
        and all(link.beside is None or link.beside in sizes for link in rest)
    )
    return Adopted(
        name=place.name,
        display=page.display or known.displays.get(place.name),
        serial=_upstream_serial(read, page, known) if is_whole else None,
        published=(page.detail.serial or 0) if place.is_normalized else None,
        page_modified=place.modified,
        due_at=None,
        listed=page.detail.status is not ProjectStatus.QUARANTINED,
        hold=[held for link in rest if (held := _held(link, sizes)) is not None],
        # What a page lists and nobody can read is not released either.
        names=None if page.detail.problems else [file.filename for file in page.detail.files],
        lost=lost,
    )


def _upstream_serial(read: Read, page: StoredPage, known: Known) -> int | None:
    """Return upstream's serial of a page, None if upstream has to be asked."""
    serial = page.detail.serial
    if serial is None or not read.place.is_normalized or read.place.name in known.owed:
        return None
    if page.is_ours and (known.status is None or serial > known.status):
        return None  # perhaps one that we gave it, since upstream's was not news to those who had our list
    return serial


def _is_right(file: File, size: int | None) -> bool:
    if size is None or file.size not in {None, size}:
        return False
    return size > 0 or file.digest in {None, Digest("sha256", _EMPTY)}


def _held(link: Link, sizes: Mapping[str, int]) -> HeldFile | None:
    digest, metadata = link.file.digest, link.file.core_metadata
    if digest is None or digest.algorithm != "sha256":
        return None
    beside = None
    if isinstance(metadata, Digest) and metadata.algorithm == "sha256" and link.beside is not None:
        beside = sizes.get(link.beside)
    return HeldFile(
        filename=link.file.filename,
        key=link.key,
        sha256=digest.hex,
        size=sizes[link.key],
        source=str(digest),
        metadata=metadata.hex if beside is not None and isinstance(metadata, Digest) else None,
        metadata_size=beside or 0,
        verified=False,
    )


def _is_poor(file: File) -> bool:
    return file.size is None or file.digest is None or file.digest.algorithm != "sha256"


def _with_documents(reads: Sequence[Read], documents: Sequence[bytes | None]) -> list[Read]:
    return [_with_document(read, document) for read, document in zip(reads, documents, strict=True)]


def _with_document(read: Read, document: bytes | None) -> Read:
    """Add what the legacy JSON says of the files; one that cannot be read says nothing."""
    if read.page is None or document is None:
        return read
    try:
        facts = legacy_json.parse_release_facts(document, read.place.name)
    except BadPage:
        return read
    files = tuple(stored.with_facts(file, facts.get(file.filename)) for file in read.page.detail.files)
    detail = msgspec.structs.replace(read.page.detail, files=files)
    return replace(read, page=replace(read.page, detail=detail))


# --------------------------------------------------------------------- effects


async def _read_known(storage: Storage, rendering: Rendering) -> Known:
    status = serial_of((await read_text(storage, layout.STATUS) or "").strip())
    return Known(status, await _owed(storage), await _head(storage), await _displays(storage, rendering))


async def _owed(storage: Storage) -> frozenset[NormalizedName]:
    (stat,) = await storage.stat([layout.TODO])
    if stat is None or stat.size > LARGEST_TODO:
        return frozenset()
    text = await read_text(storage, layout.TODO) or ""
    return frozenset(_normalized(line.partition(" ")[0] for line in text.splitlines()[1:]))


def _normalized(texts: Iterable[str]) -> Iterator[NormalizedName]:
    for text in texts:
        try:
            yield normalize(text)
        except InvalidName:
            continue


async def _head(storage: Storage) -> int:
    """Return the serial of the project list: at the beginning of the JSON, at the end of the HTML."""
    json, html = (layout.root_page_key(kind) for kind in (PageKind.V1_JSON, PageKind.HTML))
    found = b""
    for stat in await storage.stat([json, html]):
        if stat is not None:
            start = max(0, stat.size - LIST_HEAD) if stat.key == html else 0
            async for block in storage.open(stat.key, start, LIST_HEAD):
                found += block
    serials = [serial_of((said[0] or said[1]).decode()) or 0 for said in _ROOT_SERIAL.findall(found)]
    return max(serials, default=0)


async def _displays(storage: Storage, rendering: Rendering) -> Mapping[NormalizedName, str]:
    """Return how upstream spells names that differ, from our list; pages in HTML say it better."""
    if rendering.html:
        return {}
    (body,) = await storage.read([layout.root_page_key(PageKind.V1_JSON)], LARGEST_PAGE)
    if body is None:
        return {}

    def spellings() -> Mapping[NormalizedName, str]:
        try:
            listed = simple_json.parse_project_list(body, layout.SIMPLE).projects
        except BadPage:
            return {}
        names = [project.name for project in listed]
        return {name: text for text in names for name in _normalized([text]) if name != text}

    return await asyncio.to_thread(spellings)


async def _in_batches(places: AsyncIterator[Place], rendering: Rendering) -> AsyncIterator[list[Place]]:
    batch: list[Place] = []
    size = 0
    async for place in places:
        batch.append(place)
        size += place.pages[place.best(rendering)].size
        if len(batch) >= BATCH or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _by_size(items: Sequence[T], size_of: Callable[[T], int]) -> Iterator[list[T]]:
    """Yield consecutive lists of about `BATCH_BYTES`."""
    part: list[T] = []
    size = 0
    for item in items:
        part.append(item)
        size += size_of(item)
        if size >= BATCH_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part
