"""Compare some projects: their pages, their rows in the catalog, and the bytes they name.

Nothing is locked, so that a run may change a project while it is looked at: what seems wrong is looked at again, with a
row that is read again, before it is a finding.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from frumious.catalog.base import HeldFile, Holding
from frumious.model import layout
from frumious.model.names import NormalizedName
from frumious.model.project import File
from frumious.storage.base import Inspected, Stat
from frumious.sync.events import Verified
from frumious.sync.options import Rendering
from frumious.sync.ports import Ports
from frumious.sync.verify.finding import Finding, Kind, persisting
from frumious.sync.verify.pages import PageCheck, Seen, check_documents, check_pages, page_keys

AGAIN_AFTER = (0.2, 1.0, 3.0)
"""Seconds before another look at what seems wrong; the second and the third only where a run is changing it."""
INSPECTED_TOGETHER = 128


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an object must be."""

    file: HeldFile
    size: int
    sha256: str
    beside: Kind | None
    """What is wrong if it is, where it lies beside a file."""
    modified: float | None
    """None: nobody knows."""


@dataclass(slots=True)
class Audit:
    """What came of comparing some projects."""

    findings: dict[NormalizedName, list[Finding]] = field(default_factory=dict)
    projects: int = 0
    files: int = 0
    bytes: int = 0
    is_readable: bool = True
    """Whether everything that their pages name is known."""


class Auditor:
    """Compares projects; many calls run at once."""

    def __init__(self, ports: Ports, renderings: Sequence[Rendering], *, quick: bool) -> None:
        self._ports, self._renderings, self._quick = ports, renderings, quick

    async def audit(self, names: Sequence[NormalizedName]) -> Audit:
        """Return what is wrong with these projects, beyond doubt."""
        holdings = await self._ports.catalog.holdings(names)
        audit = Audit(projects=len(holdings))
        audit.findings = await self._look(holdings, audit, None)
        doubtful = {name for name, found in audit.findings.items() if found}
        for delay in AGAIN_AFTER:
            if not doubtful:
                break
            await self._ports.sleep(delay)
            before = {holding.row.name: holding for holding in holdings}
            holdings = await self._ports.catalog.holdings(sorted(doubtful))
            found = await self._look(holdings, None, audit.findings)
            for name in doubtful:
                audit.findings[name] = persisting(audit.findings[name], found.get(name, []))
            doubtful = {
                holding.row.name
                for holding in holdings
                if audit.findings[holding.row.name]
                and (holding.is_unsettled or holding != before[holding.row.name])
            }
        audit.findings = {name: found for name, found in sorted(audit.findings.items()) if found}
        return audit

    async def _look(
        self,
        holdings: Sequence[Holding],
        audit: Audit | None,
        only: Mapping[NormalizedName, Sequence[Finding]] | None,
    ) -> dict[NormalizedName, list[Finding]]:
        """Look at projects once; with `only`, of their files just at those of which something was found."""
        checks = await self._check_pages(holdings)
        found: dict[NormalizedName, list[Finding]] = {}
        wanted: dict[str, Wanted] = {}
        projects: dict[str, NormalizedName] = {}
        for holding, check in zip(holdings, checks, strict=True):
            name = holding.row.name
            found[name] = list(check.findings)
            if audit is not None:
                audit.is_readable &= check.is_readable and not check.unheld
            keys = None if only is None else {finding.key for finding in only[name]}
            for key, one in _wanted(holding, check).items():
                if keys is None or key in keys:
                    wanted[key], projects[key] = one, name
        for key, facts in (await self._inspect(wanted, audit)).items():
            name = projects[key]
            found[name] += _compare(name, key, wanted[key], facts)
        await self._look_for_unheld(holdings, checks, found)
        if self._renderings[0].legacy_json:
            await self._check_documents(holdings, found)
        return found

    # ----------------------------------------------------------------- pages

    async def _check_pages(self, holdings: Sequence[Holding]) -> list[PageCheck]:
        keys = [key for holding in holdings for key in page_keys(holding.row.name, self._renderings)]
        bodies = await self._ports.storage.read(keys)
        facts = await self._ports.storage.inspect(keys, sha256=False)
        seen = {key: Seen(body, one) for key, body, one in zip(keys, bodies, facts, strict=True)}

        def work() -> list[PageCheck]:
            return [check_pages(holding, seen, self._renderings) for holding in holdings]

        return await asyncio.to_thread(work)

    async def _look_for_unheld(
        self,
        holdings: Sequence[Holding],
        checks: Sequence[PageCheck],
        found: dict[NormalizedName, list[Finding]],
    ) -> None:
        """Find out whether files are there that a page lists and the catalog does not hold."""
        keys = [key for check in checks for _, key in check.unheld]
        there = dict(zip(keys, await self._ports.storage.stat(keys), strict=True))
        for holding, check in zip(holdings, checks, strict=True):
            page = next(iter(page_keys(holding.row.name, self._renderings)))
            for file, key in check.unheld:
                if (finding := _compare_unheld(holding, page, file, key, there[key])) is not None:
                    found[holding.row.name].append(finding)

    async def _check_documents(
        self, holdings: Sequence[Holding], found: dict[NormalizedName, list[Finding]]
    ) -> None:
        for holding in holdings:
            keys = layout.legacy_json_keys(holding.row.name)
            bodies = await self._ports.storage.read(keys)
            found[holding.row.name] += check_documents(
                holding.row.name, keys, bodies, expected=bool(holding.files)
            )

    # ----------------------------------------------------------------- files

    async def _inspect(
        self, wanted: Mapping[str, Wanted], audit: Audit | None
    ) -> dict[str, Inspected | None]:
        """Look at objects closely; with `quick`, at the bytes of those only whose time is not as it should be."""
        facts: dict[str, Inspected | None] = {}
        keys = list(wanted)
        for start in range(0, len(keys), INSPECTED_TOGETHER):
            part = keys[start : start + INSPECTED_TOGETHER]
            found = await self._ports.storage.inspect(part, sha256=not self._quick)
            facts |= zip(part, found, strict=True)
            again = [key for key in part if _is_suspicious(wanted[key], facts[key])] if self._quick else []
            facts |= zip(again, await self._ports.storage.inspect(again, sha256=True), strict=True)
            if audit is not None:
                files = sum(wanted[key].beside is None for key in part)
                size = sum(one.size for one in found if one is not None)
                audit.files, audit.bytes = audit.files + files, audit.bytes + size
                self._ports.observe(Verified(0, files, size))
        if audit is not None:
            self._ports.observe(Verified(audit.projects, 0, 0))
        return facts


def _compare_unheld(holding: Holding, page: str, file: File, key: str, there: Stat | None) -> Finding | None:
    """Return what is wrong of a file that a page lists and the catalog does not hold.

    None for one that is there, of a page that another program made: the next look at its project reads it.
    """
    name = holding.row.name
    if there is None:
        return Finding(Kind.DEAD_LINK, key, f"{page} lists it, and it is not there", name)
    if file.size not in {None, there.size}:
        detail = f"{there.size:,} bytes; {page} says {file.size:,}"
        return Finding(Kind.WRONG_SIZE, key, detail, name)
    if holding.row.page_digest is None:
        return None
    detail = f"lists {file.filename} otherwise than the catalog holds it"
    return Finding(Kind.PAGE_WRONG, page, detail, name)


def _wanted(holding: Holding, check: PageCheck) -> dict[str, Wanted]:
    """Return what a project's files must be, by key."""
    found: dict[str, Wanted] = {}
    for file in holding.files:
        modified = check.uploaded.get(file.filename)
        found[file.key] = Wanted(file, file.size, file.sha256, None, modified)
        beside = layout.metadata_key(file.key) if file.metadata is not None else None
        if beside is not None and file.metadata is not None:
            found[beside] = Wanted(file, file.metadata_size, file.metadata, Kind.METADATA_WRONG, modified)
        if file.provenance is not None:
            # Its time is when it was last compared with upstream's.
            found[file.key + layout.PROVENANCE_SUFFIX] = Wanted(
                file, file.provenance_size, file.provenance, Kind.PROVENANCE_WRONG, None
            )
    return found


def _is_suspicious(wanted: Wanted, facts: Inspected | None) -> bool:
    return (
        facts is not None
        and facts.size == wanted.size
        and wanted.modified is not None
        and abs(facts.modified - wanted.modified) >= 1
    )


def _compare(name: NormalizedName, key: str, wanted: Wanted, facts: Inspected | None) -> list[Finding]:
    """Return what is wrong of one object, as far as it was looked at."""
    kind, detail = None, ""
    if facts is None:
        kind, detail = Kind.MISSING, "not there"
    elif facts.problem is not None:
        kind, detail = Kind.UNREADABLE, f"cannot be read ({facts.problem})"
    elif facts.size != wanted.size:
        kind, detail = Kind.WRONG_SIZE, f"{facts.size:,} bytes instead of {wanted.size:,}"
    elif facts.sha256 not in {None, wanted.sha256}:
        kind, detail = Kind.WRONG_DIGEST, f"sha256 is {facts.sha256}, not {wanted.sha256}"
    found = []
    if kind is not None:
        found.append(Finding(wanted.beside or kind, key, detail, name))
    if facts is not None and not facts.is_public:
        found.append(Finding(Kind.WRONG_MODE, key, "others cannot read it", name))
    return found
