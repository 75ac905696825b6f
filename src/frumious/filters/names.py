"""The built-in rules on project names: bandersnatch's `allowlist_project` and `blocklist_project`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement

from frumious.filters.plugin import Builder, Context, Rules
from frumious.filters.rules import KEEP, Verdict
from frumious.filters.sections import BadSetting, Sections
from frumious.model.names import InvalidName, NormalizedName, normalize

_COMMENT = re.compile(r"(^|\s)#.*")


@dataclass(frozen=True, slots=True)
class AllowNames:
    """Keep the named projects; an empty list keeps everything, as bandersnatch's does."""

    names: frozenset[NormalizedName]
    name: str = "allowlist_project"
    place: str = "[allowlist] packages"

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


def requirements(
    sections: Sections, section: str, key: str = "packages"
) -> Iterator[tuple[NormalizedName, Requirement]]:
    """Yield the PEP 508 lines of a list, with comments at line ends allowed; raises BadSetting."""
    for entry in sections.lines(section, key):
        text = _COMMENT.sub("", entry.text).strip()
        if not text:
            continue
        try:
            requirement = Requirement(text)
            name = normalize(requirement.name)
        except (InvalidRequirement, InvalidName):
            raise BadSetting(
                section,
                key,
                f"{text!r} is not a project name or requirement",
                line=entry.line,
                hint="one project on each line, as in `requests` or `requests>=2`",
            ) from None
        yield name, requirement


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


BUILDERS: dict[str, Builder] = {
    "allowlist_project": _allowlist_project,
    "blocklist_project": _blocklist_project,
}
