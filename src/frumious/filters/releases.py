"""bandersnatch's rules on releases: what a list or a pattern names, pre-releases, and the newest few."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from frumious.filters.age import instant
from frumious.filters.names import pattern_texts, read_patterns, requirements
from frumious.filters.offer import Offer, parsed
from frumious.filters.plugin import Builder, Context, Rules
from frumious.filters.rules import Verdict
from frumious.filters.sections import Sections
from frumious.filters.values import read, read_choice, read_names, refused
from frumious.model.names import NormalizedName

Specifiers = Mapping[NormalizedName, tuple[SpecifierSet, ...]]
"""What the lines of a list say of each project; an empty specifier takes every version."""


@dataclass(frozen=True, slots=True)
class _ReleaseRule:
    """What the rules here have in common."""

    name: str = ""
    needs_document: bool = False
    is_last: bool = False

    def decides_alone(self, name: NormalizedName) -> bool:  # noqa: ARG002 - the port's
        return False

    def _drop(self, releases: Iterable[str], reason: Callable[[str], str | None]) -> dict[str, Verdict]:
        return {
            release: Verdict(keep=False, reason=why, rule=self.name)
            for release in releases
            if (why := reason(release)) is not None
        }


@dataclass(frozen=True, slots=True)
class AllowReleases(_ReleaseRule):
    """Keep the releases that a line for their project takes, pre-releases too; what no line names has none."""

    wanted: Specifiers = field(default_factory=dict)
    name: str = "allowlist_release"

    @property
    def fingerprint(self) -> str:
        return f"allow releases {_texts(self.wanted)}"

    def judge_releases(self, offer: Offer, releases: Sequence[str]) -> Mapping[str, Verdict]:
        specifiers = self.wanted.get(offer.name)
        if specifiers is None:
            return self._drop(releases, lambda _: "its project is not in [allowlist] packages")

        def reason(release: str) -> str | None:
            version = parsed(release)
            if version is None:
                return f"{release} is no version by PEP 440, so no line can allow it"
            if any(_takes(specifier, version) for specifier in specifiers):
                return None
            return f"[allowlist] packages wants {' or '.join(map(_shown, specifiers))}"

        return self._drop(releases, reason)


@dataclass(frozen=True, slots=True)
class BlockReleases(_ReleaseRule):
    """Drop the releases that a line for their project takes; a bare name takes all that are versions by PEP 440."""

    unwanted: Specifiers = field(default_factory=dict)
    name: str = "blocklist_release"

    @property
    def fingerprint(self) -> str:
        return f"block releases {_texts(self.unwanted)}"

    def judge_releases(self, offer: Offer, releases: Sequence[str]) -> Mapping[str, Verdict]:
        specifiers = self.unwanted.get(offer.name, ())

        def reason(release: str) -> str | None:
            version = parsed(release)
            if version is None:
                return None
            found = next((specifier for specifier in specifiers if _takes(specifier, version)), None)
            return f"[blocklist] packages names {_shown(found)}" if found is not None else None

        return self._drop(releases, reason) if specifiers else {}


def _texts(specifiers: Specifiers) -> str:
    return "; ".join(
        f"{name} {' '.join(sorted(map(str, said)))}" for name, said in sorted(specifiers.items())
    )


def _shown(specifier: SpecifierSet) -> str:
    return str(specifier) or "every version"


def _takes(specifier: SpecifierSet, version: Version) -> bool:
    return not str(specifier) or specifier.contains(version, prereleases=True)


def _specifiers(sections: Sections, section: str) -> Specifiers:
    found: dict[NormalizedName, list[SpecifierSet]] = {}
    for name, said in requirements(sections, section):
        found.setdefault(name, []).append(said.specifier)
    return {name: tuple(specifiers) for name, specifiers in found.items()}


@dataclass(frozen=True, slots=True)
class BlockReleasePatterns(_ReleaseRule):
    """Drop releases whose version, as upstream spells it, matches a pattern from its first character on."""

    patterns: tuple[re.Pattern[str], ...] = ()
    name: str = "regex_release"

    @property
    def fingerprint(self) -> str:
        return f"block release patterns {pattern_texts(self.patterns)}"

    def judge_releases(self, offer: Offer, releases: Sequence[str]) -> Mapping[str, Verdict]:  # noqa: ARG002 - the port's
        def reason(release: str) -> str | None:
            found = next((pattern for pattern in self.patterns if pattern.match(release)), None)
            return f"pattern {found.pattern!r} matches {release}" if found is not None else None

        return self._drop(releases, reason)


# What bandersnatch goes by; for a version that PEP 440 does not know there is nothing better.
_PRE_RELEASE = re.compile(r".+(?:rc|a(?:lpha)?|b(?:eta)?|dev)\d+$")


@dataclass(frozen=True, slots=True)
class BlockPreReleases(_ReleaseRule):
    """Drop pre-releases by PEP 440, developmental releases included, even where a project has nothing else."""

    packages: frozenset[NormalizedName] = frozenset()
    """The projects it is about; all if there are none."""
    name: str = "prerelease_release"

    @property
    def fingerprint(self) -> str:
        return f"block pre-releases {' '.join(sorted(self.packages))}"

    def judge_releases(self, offer: Offer, releases: Sequence[str]) -> Mapping[str, Verdict]:
        if self.packages and offer.name not in self.packages:
            return {}
        return self._drop(
            releases, lambda release: f"{release} is a pre-release" if _is_pre(release) else None
        )


def _is_pre(release: str) -> bool:
    version = parsed(release)
    return version.is_prerelease if version is not None else _PRE_RELEASE.match(release) is not None


@dataclass(frozen=True, slots=True)
class LatestReleases(_ReleaseRule):
    """Keep the newest few of the releases that all other rules left.

    The one of them that an index would show as the project's own (`info.version`) keeps a place.
    """

    keep: int = 1
    by_time: bool = False
    name: str = "latest_release"
    is_last: bool = True

    @property
    def fingerprint(self) -> str:
        return f"latest {self.keep} by {'time' if self.by_time else 'version'}"

    def judge_releases(self, offer: Offer, releases: Sequence[str]) -> Mapping[str, Verdict]:
        versions = [release for release in releases if parsed(release) is not None]
        # Text that is no version cannot be ranked by it; by time, and if there is nothing else, it can.
        by_time = self.by_time or not versions
        ranked = list(releases) if by_time else versions
        if len(ranked) == len(releases) <= self.keep:
            return {}
        facts = _Facts(offer)
        newest = sorted(ranked, key=facts.by_time if by_time else facts.by_version, reverse=True)[: self.keep]
        shown = facts.shown(ranked)
        if shown not in newest:
            newest[-1] = shown
        return self._drop(
            releases, lambda release: None if release in newest else self._reason(release, newest)
        )

    def _reason(self, release: str, newest: Sequence[str]) -> str:
        if not self.by_time and parsed(release) is None and any(map(parsed, newest)):
            return f"{release} is no version by PEP 440, so it has no rank"
        if len(newest) == 1:
            return f"not the newest ({newest[0]})"
        listed = ", ".join(newest[:3]) + (", …" if len(newest) > 3 else "")
        return f"not among the newest {len(newest)} ({listed})"


_Rank = tuple[Any, ...]
_NONE: Final = Version("0")


class _Facts:
    """When the releases of an offer came, and which of them are yanked: whatever order its files have."""

    def __init__(self, offer: Offer) -> None:
        self._came: dict[str, float] = {}
        standing: dict[str, bool] = {}
        for file in offer.files:
            release = offer.release_of(file)
            if release is None:
                continue
            standing[release] = standing.get(release, False) or file.yanked is None
            came = instant(file.upload_time)
            if came is not None:
                self._came[release] = min(came, self._came.get(release, came))
        self._standing = standing

    def by_version(self, release: str) -> _Rank:
        version = parsed(release)
        return version is not None, version or _NONE, release

    def by_time(self, release: str) -> _Rank:
        """Rank by the first file; what has no date is oldest."""
        came = self._came.get(release)
        return came is not None, came or 0.0, *self.by_version(release)

    def shown(self, releases: Iterable[str]) -> str:
        """Return the release that PyPI would show of these: not yanked before yanked, final before pre-release, then
        the greatest.
        """
        return max(releases, key=self._rank)

    def _rank(self, release: str) -> _Rank:
        version = parsed(release)
        if version is None:
            return False, self._standing[release], False, *self.by_time(release)
        return True, self._standing[release], not version.is_prerelease, *self.by_version(release)


def _allowlist_release(context: Context, rules: Rules) -> None:
    rules.releases.append(AllowReleases(wanted=_specifiers(context.sections, "allowlist")))


def _blocklist_release(context: Context, rules: Rules) -> None:
    if unwanted := _specifiers(context.sections, "blocklist"):
        rules.releases.append(BlockReleases(unwanted=unwanted))


def _regex_release(context: Context, rules: Rules) -> None:
    if patterns := read_patterns(context.sections, "filter_regex", "releases"):
        rules.releases.append(BlockReleasePatterns(patterns=patterns))


def _prerelease_release(context: Context, rules: Rules) -> None:
    packages = read_names(context.sections, "filter_prerelease", "packages")
    rules.releases.append(BlockPreReleases(packages=packages))


_COUNTS: Final = "a whole number; 0 keeps every release"


def parse_count(text: str) -> int | None:
    """Return a whole number, 0 or more."""
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) else None


def _latest_release(context: Context, rules: Rules) -> None:
    keep = read(context.sections, "latest_release", "keep", parse_count, _COUNTS)
    by_time = read_choice(context.sections, "latest_release", "sort_by", ("version", "time")) == "time"
    if keep is None:
        hint = "without it latest_release would keep every release; write, for instance, keep = 3"
        raise refused("latest_release", "keep", None, _COUNTS, hint)
    if keep:
        rules.releases.append(LatestReleases(keep=keep, by_time=by_time))


BUILDERS: dict[str, Builder] = {
    "allowlist_release": _allowlist_release,
    "blocklist_release": _blocklist_release,
    "latest_release": _latest_release,
    "prerelease_release": _prerelease_release,
    "regex_release": _regex_release,
}
