"""`latest_per_line`: the newest few releases of each line of releases (1.4, 1.5, 2.0; or 1, 2).

bandersnatch's `latest_release` chooses among all releases of a project at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from packaging.version import Version

from frumious.filters.offer import Offer, parsed
from frumious.filters.plugin import Builder, Context, Rules
from frumious.filters.rules import Verdict
from frumious.filters.values import parse_count, read, read_choice, read_names, refused
from frumious.model.names import NormalizedName

_SECTION = "latest_per_line"
_COUNTS: Final = "a whole number, 1 or more"
_LEVELS: Final = {"major": 1, "minor": 2}

_Line: TypeAlias = tuple[int, tuple[int, ...]]
"""Epoch, and the first parts of the release number."""


@dataclass(frozen=True, slots=True)
class LatestPerLine:
    """Keep the newest releases of each line (PEP 440); what is no version is kept.

    Pre-releases count only in a line that has nothing else. Builds of one version (`1.0+cpu`, `1.0+cu121`) count once.
    """

    keep: int
    parts: int = 2
    """How many parts of the release number make a line: 2 for X.Y, 1 for X."""
    packages: frozenset[NormalizedName] = frozenset()
    """The projects it is about; all if there are none."""
    name: str = _SECTION
    needs_document: bool = False
    is_last: bool = True

    @property
    def fingerprint(self) -> str:
        return f"latest {self.keep} of {self.parts} {' '.join(sorted(self.packages))}"

    def decides_alone(self, name: NormalizedName) -> bool:  # noqa: ARG002 - the port's
        return False

    def judge_releases(self, offer: Offer, releases: Sequence[str]) -> Mapping[str, Verdict]:
        if self.packages and offer.name not in self.packages:
            return {}
        lines: dict[_Line, list[tuple[Version, str]]] = {}
        for release in releases:
            version = parsed(release)
            if version is not None:
                line = (version.epoch, (*version.release, 0)[: self.parts])
                lines.setdefault(line, []).append((version, release))
        return {
            release: verdict for line, found in lines.items() for release, verdict in self._drop(line, found)
        }

    def _drop(self, line: _Line, found: Sequence[tuple[Version, str]]) -> Iterator[tuple[str, Verdict]]:
        finals = {_public(version) for version, _ in found if not version.is_prerelease}
        candidates = finals or {_public(version) for version, _ in found}
        newest = set(sorted(candidates, reverse=True)[: self.keep])
        for version, release in found:
            if _public(version) in newest:
                continue
            if finals and version.is_prerelease:
                reason = f"a pre-release, and line {_shown(line)} has final releases"
            else:
                latest = "the newest" if self.keep == 1 else f"among the newest {self.keep}"
                reason = f"not {latest} of line {_shown(line)}"
            yield release, Verdict(keep=False, reason=reason, rule=self.name)


def _public(version: Version) -> Version:
    return Version(version.public) if version.local else version


def _shown(line: _Line) -> str:
    epoch, parts = line
    return (f"{epoch}!" if epoch else "") + ".".join(map(str, parts))


def _latest_per_line(context: Context, rules: Rules) -> None:
    sections = context.sections
    keep = read(sections, _SECTION, "keep", parse_count, _COUNTS)
    if keep is None:
        raise refused(_SECTION, "keep", None, _COUNTS)
    level = read_choice(sections, _SECTION, "line", tuple(_LEVELS)) or "minor"
    packages = read_names(sections, _SECTION, "packages")
    rules.releases.append(LatestPerLine(keep, _LEVELS[level], packages))


BUILDERS: dict[str, Builder] = {"latest_per_line": _latest_per_line}
