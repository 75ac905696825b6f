"""The trash: what lies in it, what can be had back, and with which words (design.md §5.5)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import msgspec

from frumious.catalog.base import HeldFile, PastRevision, Pin, Released, Trashed
from frumious.errors import BadPage, UsageError
from frumious.filters.rules import Selection
from frumious.model import layout
from frumious.model.names import InvalidName, NormalizedName, normalize
from frumious.model.project import Digest, File, ProjectStatus
from frumious.pages.simple_json import encode_project_detail
from frumious.storage.base import Stat
from frumious.sync.pins import read_entry, without_files, write_entry
from frumious.sync.ports import Ports
from frumious.sync.remove import TRASH
from frumious.sync.text import counted

PAGE = 1000
"""Rows that are in memory together."""
NAMED = 5
"""Names that an error tells of what is there."""


@dataclass(frozen=True, slots=True)
class Removed:
    """What is to be restored."""

    names: Sequence[NormalizedName]
    pins: Sequence[Pin]
    displays: Mapping[NormalizedName, str]
    unknown: Sequence[str]
    """Files of which no page is known that listed them."""


# -------------------------------------------------------------------------------------------------------- listing


async def listed(ports: Ports, projects: Sequence[NormalizedName] = ()) -> AsyncIterator[Trashed]:
    """Yield what lies in the trash, of all projects or of these, in order of names."""
    named: list[NormalizedName | None] = [*sorted(set(projects))]
    for project in named or [None]:
        after: Trashed | None = None
        while rows := await ports.catalog.trashed_files(after, PAGE, project=project):
            for row in rows:
                yield row
            after = rows[-1]


async def strays(ports: Ports) -> AsyncIterator[Stat]:
    """Yield what lies in the trash and nobody knows of, as after a catalog was lost."""
    part: list[Stat] = []
    async for stat in ports.storage.list(TRASH):
        part.append(stat)
        if len(part) == PAGE:
            for stray in await _unknown(ports, part):
                yield stray
            part = []
    for stray in await _unknown(ports, part):
        yield stray


async def _unknown(ports: Ports, part: Sequence[Stat]) -> list[Stat]:
    known = await ports.catalog.trash_places([stat.key for stat in part])
    return [stat for stat in part if stat.key not in known]


async def empty_strays(ports: Ports) -> tuple[int, int]:
    """Delete what lies in the trash and nobody knows of; return how many objects, and their bytes."""
    count = size = 0
    part: list[Stat] = []

    async def delete() -> None:
        await ports.storage.delete([stat.key for stat in part])
        part.clear()

    async for stray in strays(ports):
        count, size = count + 1, size + stray.size
        part.append(stray)
        if len(part) == PAGE:
            await delete()
    await delete()
    await ports.storage.barrier()
    return count, size


# ----------------------------------------------------------------------------------------------- what is asked for


async def find_removed(ports: Ports, asked: Sequence[str]) -> Removed:
    """Return what there is of projects and files that were named; raises UsageError if there is nothing of one.

    What is pinned already is no error: its page may not have come out.
    """
    names: dict[NormalizedName, None] = {}
    files: dict[tuple[NormalizedName, str], Trashed | Released] = {}
    for text in asked:
        found = await _named(ports, text)
        pinned = await _pinned(ports, text)
        if not found and not pinned:
            raise await _nothing(ports, text)
        if not pinned and all(one.project is None for one in found):
            error = UsageError(f"no page ever listed {text!r}: there is no project to bring it back to")
            error.hint = (
                f"its bytes are at {found[-1].place if isinstance(found[-1], Trashed) else found[-1].key}"
            )
            raise error
        for one in sorted(found, key=lambda one: one.at):
            if one.project is not None:
                files[one.project, _filename(one.key)] = one
        names |= dict.fromkeys([*(one.project for one in found if one.project is not None), *pinned])
    words = {name: await _words(ports, name) for name in names}
    pins: list[Pin] = []
    unknown: list[str] = []
    beside = await _beside(ports, [one.key for one in files.values()], names)
    for (project, filename), one in files.items():
        said = _said(words[project], filename, one)
        if said is None:
            unknown.append(filename)
        entry = _entry(filename, one, said, beside.get(one.key))
        pins.append(Pin(project, filename, write_entry(entry), 0))
    displays = {name: said.display for name, said in words.items()}
    return Removed(list(names), pins, displays, unknown)


async def find_pinned(ports: Ports, asked: Sequence[str]) -> dict[NormalizedName, list[str]]:
    """Return the pinned files that were named, by project; raises UsageError for a name that has none.

    Pins that were lifted before are returned, too: what follows from it may not have happened.
    """
    found: dict[NormalizedName, list[str]] = {}
    for text in asked:
        pinned = await _pinned(ports, text, lifted=True)
        if not pinned:
            error = UsageError(f"{text!r} is not pinned")
            error.hint = "`frumious trash list --pinned` shows what is"
            raise error
        for name, filenames in pinned.items():
            found.setdefault(name, []).extend(filenames)
    return found


def is_filename(text: str) -> bool:
    """Say whether somebody who typed this means a file, not a project."""
    return text.lower().endswith(
        (".whl", ".gz", ".zip", ".bz2", ".xz", ".egg", ".exe", ".msi", ".tgz", ".rpm")
    )


async def _named(ports: Ports, text: str) -> list[Trashed | Released]:
    """Return the files that can be had back, but for what lies beside them, which comes with them."""
    catalog = ports.catalog
    found: list[Trashed | Released] = []
    if is_filename(text):
        found += await catalog.trashed_as(text)
        found += await catalog.released_files(filename=text)
    else:
        name = _project(text)
        found += [row async for row in listed(ports, [name])]
        found += await catalog.released_files(project=name)
    return [one for one in found if not one.key.endswith(layout.SIDECARS)]


async def _pinned(ports: Ports, text: str, *, lifted: bool = False) -> dict[NormalizedName, list[str]]:
    catalog = ports.catalog
    if not is_filename(text):
        name = _project(text)
        pins = await catalog.pins(name, lifted=lifted)
        return {name: [pin.filename for pin in pins]} if pins else {}
    found: dict[NormalizedName, list[str]] = {}
    for name in await catalog.pinned(lifted=lifted):
        if any(pin.filename == text for pin in await catalog.pins(name, lifted=lifted)):
            found[name] = [text]
    return found


def _project(text: str) -> NormalizedName:
    try:
        return normalize(text)
    except InvalidName:
        raise UsageError(f"{text!r} is neither a project name nor the name of a file") from None


async def _nothing(ports: Ports, text: str) -> UsageError:
    error = UsageError(f"nothing of {text!r} is in the trash")
    projects = await ports.catalog.trash_projects()
    near: Sequence[str] = get_close_matches(text.lower(), projects, NAMED)
    if owners := [name for name in projects if text.lower().replace("_", "-").startswith(f"{name}-")]:
        near = get_close_matches(text, [_filename(row.key) async for row in listed(ports, owners)], NAMED)
    if near:
        error.hint = f"there is {', '.join(near)}; `frumious trash list` shows all"
    elif projects:
        error.hint = f"`frumious trash list` shows what is there, of {counted(len(projects), 'project')}"
    else:
        error.hint = "the trash is empty"
    return error


# ----------------------------------------------------------------------------------------------------------- words


@dataclass(frozen=True, slots=True)
class _Words:
    """What is known of the files of a project that left."""

    display: str
    pages: Sequence[tuple[int, Mapping[str, File]]]
    """The files of each earlier page, latest first, and until when it was out."""
    lifted: Mapping[str, File]


async def _words(ports: Ports, name: NormalizedName) -> _Words:
    past = await ports.catalog.past_revisions(name)
    pages = [(page.at, _files(ports, name, page)) for page in past]
    pins = await ports.catalog.pins(name, lifted=True)
    lifted = {pin.filename: read_entry(pin.entry) for pin in pins}
    return _Words(past[0].display if past else name, pages, lifted)


def _files(ports: Ports, name: NormalizedName, page: PastRevision) -> Mapping[str, File]:
    revision = page.revision
    try:
        detail = ports.upstream.read(name, revision.body, revision.form, revision.url)
    except BadPage:  # a page that an earlier version could read
        return {}
    return {file.filename: file for file in detail.files}


def _said(words: _Words, filename: str, one: Trashed | Released) -> File | None:
    """Return what upstream said of a file last: on the page with which it left, else on any, else when it was pinned."""
    left = one.released_at if isinstance(one, Trashed) else one.at
    pages = sorted(words.pages, key=lambda page: page[0] != left)
    for files in [*(files for _, files in pages), words.lifted]:
        file = files.get(filename)
        if file is not None and _may_be(file, one):
            return file
    return None


def _may_be(file: File, one: Trashed | Released) -> bool:
    is_same = file.digest is None or file.digest.algorithm != "sha256" or file.digest.hex == one.sha256
    return is_same and file.size in {None, one.size}


def _entry(filename: str, one: Trashed | Released, said: File | None, metadata: str | None) -> File:
    """Return a file as it is to be listed: upstream's words, and what we know of the bytes."""
    url = said.url if said is not None else ""
    if layout.file_key(url, filename) != one.key:
        url = layout.href(one.key, root="")  # where its bytes lay; upstream has no address for it
    file = said if said is not None else File(filename, url)
    if metadata is not None:
        file = msgspec.structs.replace(file, core_metadata=Digest("sha256", metadata))
    elif file.core_metadata:
        file = msgspec.structs.replace(file, core_metadata=False)
    return msgspec.structs.replace(file, url=url, digest=Digest("sha256", one.sha256), size=one.size)


async def _beside(ports: Ports, keys: Sequence[str], names: Iterable[NormalizedName]) -> dict[str, str]:
    """Return the sha256 of the core metadata that can be had back with files, by the keys of the files."""
    beside = {key: f"{key}{layout.METADATA_SUFFIX}" for key in keys}
    found = {key: one.sha256 for key, one in (await ports.catalog.in_trash(list(beside.values()))).items()}
    for name in names:
        found |= {one.key: one.sha256 for one in await ports.catalog.released_files(project=name)}
    return {key: found[place] for key, place in beside.items() if place in found}


# -------------------------------------------------------------------------------------------------------- restored


async def clear_restored(ports: Ports, found: Removed) -> None:
    """Delete from the trash what is in place again."""
    back: list[str] = []
    for name in found.names:
        held, _ = await ports.catalog.held(name, ())
        places = await ports.catalog.in_trash(_keys(held.values()))
        bodies = {one.key: one.sha256 for one in held.values()}
        bodies |= {_metadata_key(one): one.metadata for one in held.values() if one.metadata is not None}
        bodies |= {
            _provenance_key(one): one.provenance for one in held.values() if one.provenance is not None
        }
        back += [one.place for one in places.values() if bodies.get(one.key) == one.sha256]
    await ports.storage.delete(back)
    await ports.storage.barrier()
    await ports.catalog.emptied(back)


def _keys(held: Iterable[HeldFile]) -> list[str]:
    return [key for one in held for key in (one.key, _metadata_key(one), _provenance_key(one))]


def _metadata_key(held: HeldFile) -> str:
    return f"{held.key}{layout.METADATA_SUFFIX}"


def _provenance_key(held: HeldFile) -> str:
    return f"{held.key}{layout.PROVENANCE_SUFFIX}"


async def quarantined(ports: Ports, names: Sequence[NormalizedName]) -> list[NormalizedName]:
    """Return the projects that upstream has in quarantine, or had when they went."""
    found: list[NormalizedName] = []
    for name in names:
        revision = await ports.catalog.revision(name)
        if revision is None:
            continue
        detail = ports.upstream.read(name, revision.body, revision.form, revision.url)
        if detail.status is ProjectStatus.QUARANTINED:
            found.append(name)
    return found


async def is_bare(ports: Ports, selection: Selection, name: NormalizedName) -> bool:
    """Say whether a project has a page although upstream offers nothing of it that is wanted, and no pin any more."""
    if await ports.catalog.pins(name):
        return False
    revision = await ports.catalog.revision(name)
    if (
        revision is None
    ):  # another program has written its page: the filters on names are all there is to go by
        row = (await ports.catalog.known([name])).get(name)
        return row is not None and not selection.judge(name, row.display).keep
    detail = ports.upstream.read(name, revision.body, revision.form, revision.url)
    return revision.body == encode_project_detail(without_files(detail))


def _filename(key: str) -> str:
    return key.rpartition("/")[2]
