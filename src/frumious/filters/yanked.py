"""`exclude_yanked`: files that upstream has yanked (PEP 592) stay out."""

from __future__ import annotations

from dataclasses import dataclass

from frumious.filters.offer import Offer
from frumious.filters.plugin import Builder, Context, Rules
from frumious.filters.rules import KEEP, Verdict
from frumious.model.project import File


@dataclass(frozen=True, slots=True)
class DropYanked:
    """Drop yanked files."""

    name: str = "exclude_yanked"
    needs_document: bool = False

    @property
    def fingerprint(self) -> str:
        return "not yanked"

    def judge_file(self, offer: Offer, file: File) -> Verdict:  # noqa: ARG002 - the port's
        if file.yanked is None:
            return KEEP
        reason = " ".join(file.yanked.split())
        return Verdict(keep=False, reason=f"yanked: {reason}" if reason else "yanked", rule=self.name)


def _exclude_yanked(context: Context, rules: Rules) -> None:  # noqa: ARG001 - it has no section
    rules.files.append(DropYanked())


BUILDERS: dict[str, Builder] = {"exclude_yanked": _exclude_yanked}
