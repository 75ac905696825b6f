"""The built-in rules on project names: bandersnatch's `allowlist_project`, `blocklist_project` and `regex_project`."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement

from frumious.filters.plugin import Builder, Context, Rules
from frumious.filters.rules import KEEP, Verdict
from frumious.filters.sections import BadSetting, Entry, Sections
from frumious.filters.values import entries
from frumious.model.names import InvalidName, NormalizedName, normalize


@dataclass(frozen=True, slots=True)
class AllowNames:
    """Keep the named projects; an empty list keeps everything, as bandersnatch's does."""

    names: frozenset[NormalizedName]
    name: str = "allowlist_project"
    place: str = "[allowlist] packages"
    reads_display: bool = False

    @property
    def fingerprint(self) -> str:
        return "allow " + " ".join(sorted(self.names))

    @property
    def only(self) -> frozenset[NormalizedName] | None:
        return self.names or None

    def judge(self, name: NormalizedName, display: str) -> Verdict:  # noqa: ARG002 - the port's
        if not self.names or name in self.names:
            return KEEP
        return Verdict(keep=False, reason=f"not in {self.place}", rule=self.name)


@dataclass(frozen=True, slots=True)
class BlockNames:
    """Drop the named projects."""

    names: frozenset[NormalizedName]
    name: str = "blocklist_project"
    reads_display: bool = False

    @property
    def fingerprint(self) -> str:
        return "block " + " ".join(sorted(self.names))

    @property
    def only(self) -> frozenset[NormalizedName] | None:
        return None

    def judge(self, name: NormalizedName, display: str) -> Verdict:  # noqa: ARG002 - the port's
        if name not in self.names:
            return KEEP
        return Verdict(keep=False, reason="in [blocklist] packages", rule=self.name)


@dataclass(frozen=True, slots=True)
class BlockPatterns:
    """Drop projects whose name, as upstream spells it, matches a pattern from its first character on."""

    patterns: tuple[re.Pattern[str], ...]
    name: str = "regex_project"
    reads_display: bool = True

    @property
    def fingerprint(self) -> str:
        return f"block patterns {pattern_texts(self.patterns)}"

    @property
    def only(self) -> frozenset[NormalizedName] | None:
        return None

    def judge(self, name: NormalizedName, display: str) -> Verdict:  # noqa: ARG002 - the port's
        for pattern in self.patterns:
            if pattern.match(display):
                return Verdict(keep=False, reason=f"pattern {pattern.pattern!r} matches", rule=self.name)
        return KEEP


def requirements(
    sections: Sections, section: str, key: str = "packages"
) -> Iterator[tuple[NormalizedName, Requirement]]:
    """Yield the PEP 508 lines of a list, with comments at line ends allowed; raises BadSetting."""
    for entry in entries(sections, section, key):
        try:
            requirement = Requirement(entry.text)
            name = normalize(requirement.name)
        except (InvalidRequirement, InvalidName, RecursionError):  # the last for `six; ((((((…`
            raise BadSetting(
                section,
                key,
                f"{entry.text!r} is not a project name or requirement",
                line=entry.line,
                hint="one project on each line, as in `requests` or `requests>=2`",
            ) from None
        yield name, requirement


def read_patterns(sections: Sections, section: str, key: str) -> tuple[re.Pattern[str], ...]:
    """Return the regular expressions of a list, without comments at line ends; raises BadSetting."""
    return tuple(_pattern(section, key, entry) for entry in entries(sections, section, key))


def _pattern(section: str, key: str, entry: Entry) -> re.Pattern[str]:
    try:
        with warnings.catch_warnings():
            # Python announces what later versions will read differently; bandersnatch lets it pass.
            warnings.simplefilter("ignore")
            return re.compile(entry.text)
    # ValueError is for `a{9…}` with more digits than Python reads.
    except (re.error, ValueError, OverflowError, RecursionError) as error:
        raise BadSetting(
            section,
            key,
            f"{entry.text!r} is not a regular expression: {error}",
            line=entry.line,
            hint="the words of Python's `re` count; a `.` that is meant as such is written `\\.`",
        ) from None


def pattern_texts(patterns: Sequence[re.Pattern[str]]) -> str:
    """Return patterns for a fingerprint."""
    return repr([pattern.pattern for pattern in patterns])


def allowed_names(sections: Sections) -> frozenset[NormalizedName]:
    """Read `[allowlist] packages` for projects: PEP 508 lines of which only the name counts; raises BadSetting."""
    return frozenset(name for name, _ in requirements(sections, "allowlist"))


def blocked_names(sections: Sections) -> frozenset[NormalizedName]:
    """Read `[blocklist] packages` for projects: only bare names count, as with bandersnatch; raises BadSetting.

    A line with a version or extras belongs to the release filter of the same section.
    """
    return frozenset(name for name, said in requirements(sections, "blocklist") if _is_bare(said))


def _is_bare(said: Requirement) -> bool:
    return not (said.specifier or said.extras or said.marker or said.url)


def _allowlist_project(context: Context, rules: Rules) -> None:
    rules.projects.append(AllowNames(allowed_names(context.sections)))


def _blocklist_project(context: Context, rules: Rules) -> None:
    rules.projects.append(BlockNames(blocked_names(context.sections)))


def _regex_project(context: Context, rules: Rules) -> None:
    if patterns := read_patterns(context.sections, "filter_regex", "packages"):
        rules.projects.append(BlockPatterns(patterns))


BUILDERS: dict[str, Builder] = {
    "allowlist_project": _allowlist_project,
    "blocklist_project": _blocklist_project,
    "regex_project": _regex_project,
}
