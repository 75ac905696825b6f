"""What `frumious delete` finds of a project: in the catalog, and in the tree. Changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from frumious.catalog.base import Adopted
from frumious.model import layout
from frumious.model.names import NormalizedName
from frumious.sync.ports import Ports
from frumious.sync.remove import page_keys


@dataclass(frozen=True, slots=True)
class Deletable:
    """What would go with a project."""

    name: NormalizedName
    pages: Sequence[str]
    """Keys of its pages that are there, legacy JSON included."""
    files: Sequence[str]
    """Keys of its files and of what lies beside them; what another project lists, too, stays."""
    bytes: int


async def deletable(ports: Ports, typed: Mapping[NormalizedName, str]) -> list[Deletable]:
    """Return what would go with those of these projects that are on the mirror; the values are names as typed."""
    found: list[Deletable] = []
    for name, spelling in typed.items():
        pages = await _pages(ports, name, spelling)
        held, _ = await ports.catalog.held(name, ())
        sizes = {one.key: one.size for one in held.values()}
        for one in held.values():
            beside = layout.metadata_key(one.key) if one.metadata is not None else None
            if beside is not None:
                sizes[beside] = one.metadata_size
            if one.provenance is not None:
                sizes[one.key + layout.PROVENANCE_SUFFIX] = one.provenance_size
        if pages or sizes:
            found.append(Deletable(name, pages, list(sizes), sum(sizes.values())))
    return found


async def on_mirror(ports: Ports, names: Sequence[NormalizedName]) -> list[NormalizedName]:
    """Return those of these projects that have a page, hold files, or are about to go."""
    rows, leaving = await ports.catalog.known(names), set(await ports.catalog.leaving())
    found: list[NormalizedName] = []
    for name, row in rows.items():
        if row.published is not None or name in leaving or (await ports.catalog.held(name, ()))[0]:
            found.append(name)
    return found


async def with_pages(ports: Ports, typed: Mapping[NormalizedName, str]) -> list[NormalizedName]:
    """Return those of these projects of which anything lies where pages belong."""
    return [name for name, spelling in typed.items() if await _pages(ports, name, spelling)]


async def _pages(ports: Ports, name: NormalizedName, spelling: str) -> list[str]:
    row = (await ports.catalog.known([name])).get(name)
    keys = await page_keys(ports.storage, {name: {spelling, row.display if row else spelling}})
    return [stat.key for stat in await ports.storage.stat(keys) if stat is not None]


def no_page(name: NormalizedName) -> Adopted:
    """Return what the catalog is to know of a project that has pages where the settings want none."""
    return Adopted(name, None, None, None, 0.0, None, listed=False, names=())
