"""The built-in rules on project names: bandersnatch's `allowlist_project` and `blocklist_project`."""

from __future__ import annotations

from dataclasses import dataclass

from frumious.filters.rules import KEEP, Verdict
from frumious.model.names import NormalizedName


@dataclass(frozen=True, slots=True)
class AllowNames:
    """Keep the named projects; an empty list keeps everything, as bandersnatch's does."""

    names: frozenset[NormalizedName]

    @property
    def fingerprint(self) -> str:
        return "allow " + " ".join(sorted(self.names))

    @property
    def only(self) -> frozenset[NormalizedName] | None:
        return self.names or None

    def judge(self, name: NormalizedName) -> Verdict:
        if not self.names or name in self.names:
            return KEEP
        return Verdict(keep=False, reason="allowlist_project: not in [allowlist] packages")


@dataclass(frozen=True, slots=True)
class BlockNames:
    """Drop the named projects."""

    names: frozenset[NormalizedName]

    @property
    def fingerprint(self) -> str:
        return "block " + " ".join(sorted(self.names))

    @property
    def only(self) -> frozenset[NormalizedName] | None:
        return None

    def judge(self, name: NormalizedName) -> Verdict:
        if name not in self.names:
            return KEEP
        return Verdict(keep=False, reason="blocklist_project: in [blocklist] packages")
