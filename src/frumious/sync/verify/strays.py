"""What lies in the mirror's folders and nobody knows why: find it, and take it away.

Looked for are `web/packages`, `web/simple` and the legacy JSON; what an operator puts elsewhere below `web/` is his.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Sequence

from frumious.catalog.base import Trashed
from frumious.model import layout
from frumious.model.layout import PageKind
from frumious.model.names import InvalidName, NormalizedName, normalize
from frumious.sync.ports import Ports
from frumious.sync.remove import trash_place
from frumious.sync.verify.finding import Finding, Kind

BATCH = 1000
FOLDERS = (layout.SIMPLE, f"{layout.WEB}json/", f"{layout.WEB}pypi/", layout.PACKAGES)
"""Pages first: what a page names that nobody knows is no stray."""
_PAGES = "|".join(re.escape(kind.value) for kind in PageKind)
_PAGE = re.compile(rf"{layout.SIMPLE}(?:[^/]/)?(?P<folder>[^/]+)/(?:{_PAGES}|versions/[^/]+)\Z", re.ASCII)
_DOCUMENT = re.compile(rf"{layout.WEB}(?:json/(?P<json>[^/]+)|pypi/(?P<pypi>[^/]+)/json)\Z", re.ASCII)
_ROOTS = frozenset(layout.root_page_key(kind) for kind in PageKind)


async def listed(ports: Ports, after: str) -> AsyncIterator[list[str]]:
    """Yield the keys of everything in the mirror's folders, folder by folder, beginning behind the key `after`."""
    begun = next((i for i, folder in enumerate(FOLDERS) if after.startswith(folder)), 0)
    for folder in FOLDERS[begun:]:
        part: list[str] = []
        async for stat in ports.storage.list(folder, after if after.startswith(folder) else ""):
            part.append(stat.key)
            if len(part) >= BATCH:
                yield part
                part = []
        if part:
            yield part


async def strays_among(ports: Ports, keys: Sequence[str]) -> list[Finding]:
    """Return those of these keys that nobody knows."""
    unknown = await _unknown(ports, [key for key in keys if key.startswith(layout.PACKAGES)])
    found = [Finding(Kind.STRAY, key, "no page and no catalog knows it") for key in unknown]
    names = {key: _name_of(key) for key in keys if not key.startswith(layout.PACKAGES)}
    asked = {name for name in names.values() if name is not None}
    rows = await ports.catalog.known(sorted(asked))
    for key, name in names.items():
        if key not in _ROOTS and (name is None or name not in rows):
            detail = (
                "nothing of ours lies there" if name is None else "the catalog does not know this project"
            )
            found.append(Finding(Kind.STRAY, key, detail, name))
    return sorted(found, key=lambda finding: finding.key)


async def _unknown(ports: Ports, keys: Sequence[str]) -> list[str]:
    unknown = await ports.catalog.unknown_objects(keys)
    # Provenance of a file that was taken over is known when its project is looked at.
    owners = {key: key.removesuffix(layout.PROVENANCE_SUFFIX) for key in unknown}
    beside = {key: owner for key, owner in owners.items() if owner != key}
    if not beside:
        return unknown
    alone = set(await ports.catalog.unknown_objects(list(beside.values())))
    return [key for key in unknown if key not in beside or beside[key] in alone]


def _name_of(key: str) -> NormalizedName | None:
    """Return the project to which a page or a document belongs by its place; None where that is no place for one."""
    match = _PAGE.match(key) or _DOCUMENT.match(key)
    if match is None:
        return None
    try:
        return normalize(next(text for text in match.groupdict().values() if text is not None))
    except InvalidName:
        return None


def is_page(finding: Finding) -> bool:
    """Say whether a stray may be a page, which may name files."""
    return finding.key.startswith(layout.SIMPLE)


def is_removable(finding: Finding) -> bool:
    """Say whether `verify --delete` may take it away: pages it leaves, since they may be all that says what there is."""
    return finding.kind is Kind.STRAY and not is_page(finding)


async def remove_strays(ports: Ports, keys: Iterable[str], *, trash_seconds: int) -> set[str]:
    """Move strays to the trash, or delete them; return those that are gone. The lock must be held.

    The catalog is asked again: what has come to be known since is left.
    """
    wanted = list(keys)
    still = {finding.key for finding in await strays_among(ports, wanted) if is_removable(finding)}
    gone = [key for key in wanted if key in still]
    if not trash_seconds:
        await ports.storage.delete(gone)
        await ports.storage.barrier()
        return set(gone)
    now = int(ports.clock())
    found = await ports.storage.inspect(gone, sha256=True)
    entries = [
        Trashed(trash_place(one.key, one.sha256), one.key, one.sha256, one.size, None, "stray", now)
        for one in found
        if one is not None and one.sha256 is not None
    ]
    await ports.storage.move([(entry.key, entry.place) for entry in entries])
    await ports.storage.barrier()
    await ports.catalog.trashed(entries)
    return {entry.key for entry in entries}
