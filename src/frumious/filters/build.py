"""Rules from plain text, as they stand in a configuration file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from packaging.requirements import InvalidRequirement, Requirement

from frumious.filters.names import AllowNames, BlockNames
from frumious.filters.rules import ProjectRule, Selection
from frumious.model.names import InvalidName, NormalizedName, normalize

_COMMENT = re.compile(r"(^|\s)#.*")


class BadLine(ValueError):
    """A line of a list that cannot be read: its index in the list, and what is wrong."""

    def __init__(self, index: int, problem: str) -> None:
        super().__init__(problem)
        self.index, self.problem = index, problem


def allowed_names(lines: Iterable[str]) -> frozenset[NormalizedName]:
    """Read `[allowlist] packages` for projects: PEP 508 lines of which only the name counts; raises BadLine."""
    return frozenset(name for name, _ in _requirements(lines))


def blocked_names(lines: Iterable[str]) -> frozenset[NormalizedName]:
    """Read `[blocklist] packages` for projects: only bare names count, as with bandersnatch; raises BadLine.

    A line with a version or extras belongs to the release filter of the same section.
    """
    return frozenset(name for name, bare in _requirements(lines) if bare)


def _requirements(lines: Iterable[str]) -> Iterable[tuple[NormalizedName, bool]]:
    for index, line in enumerate(lines):
        text = _COMMENT.sub("", line).strip()
        if not text:
            continue
        try:
            requirement = Requirement(text)
            name = normalize(requirement.name)
        except (InvalidRequirement, InvalidName):
            raise BadLine(index, f"{text!r} is not a project name or requirement") from None
        yield name, not (requirement.specifier or requirement.extras or requirement.marker or requirement.url)


def build_selection(enabled: Sequence[str], lists: Mapping[str, Sequence[str]]) -> Selection:
    """Return the rules of the enabled plugins; `lists` maps `allowlist` and `blocklist` to their lines.

    Raises BadLine.
    """
    rules: list[ProjectRule] = []
    if "allowlist_project" in enabled:
        rules.append(AllowNames(allowed_names(lists.get("allowlist", ()))))
    if "blocklist_project" in enabled:
        rules.append(BlockNames(blocked_names(lists.get("blocklist", ()))))
    return Selection(tuple(rules))
