"""What a rule is and what it says."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol

from frumious.model.names import InvalidName, NormalizedName, normalize


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rule decides, and why."""

    keep: bool
    reason: str
    until: float | None = None
    """When time alone turns the verdict; seconds since 1970."""


KEEP = Verdict(keep=True, reason="no rule drops it")


class ProjectRule(Protocol):
    """A rule on projects, by name alone."""

    @property
    def fingerprint(self) -> str:
        """Text that changes whenever a verdict may."""
        ...

    @property
    def only(self) -> frozenset[NormalizedName] | None:
        """The names it can keep, where these are plain names; None where it cannot list them."""
        ...

    def judge(self, name: NormalizedName) -> Verdict:
        """Keep or drop a project; pure."""
        ...


@dataclass(frozen=True, slots=True)
class Selection:
    """All rules together: a project is kept if no rule drops it."""

    rules: tuple[ProjectRule, ...] = ()

    @property
    def fingerprint(self) -> str:
        """A digest of all rules: when it changes, what is selected may have changed."""
        return hashlib.sha256("\n".join(rule.fingerprint for rule in self.rules).encode()).hexdigest()[:16]

    @property
    def only(self) -> frozenset[NormalizedName] | None:
        """Every name that can be selected, where the rules amount to a list of plain names."""
        listed = [rule.only for rule in self.rules if rule.only is not None]
        if not listed:
            return None
        return frozenset(name for name in frozenset.intersection(*listed) if self.judge(name).keep)

    def judge(self, name: NormalizedName) -> Verdict:
        """Return the first verdict that drops, else a keeping one."""
        for rule in self.rules:
            verdict = rule.judge(name)
            if not verdict.keep:
                return verdict
        return KEEP

    def keeps(self, display: str) -> NormalizedName | None:
        """Return the normalized name of a listed project if it is valid and selected."""
        try:
            name = normalize(display)
        except InvalidName:
            return None
        return name if not self.rules or self.judge(name).keep else None
