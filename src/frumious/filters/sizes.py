"""`size_release_file`: no file larger than a limit. (bandersnatch's `size_project_metadata` limits whole projects.)"""

from __future__ import annotations

from dataclasses import dataclass

from frumious.filters.offer import Offer
from frumious.filters.plugin import Builder, Context, Rules
from frumious.filters.rules import KEEP, Verdict
from frumious.filters.values import SIZES, parse_size, read, read_names, refused
from frumious.model.names import NormalizedName
from frumious.model.project import File

_SECTION = "size_release_file"


@dataclass(frozen=True, slots=True)
class LimitSize:
    """Drop files that are larger than a limit; where upstream does not say how large a file is, it is kept."""

    max_size: int
    exempt: frozenset[NormalizedName] = frozenset()
    name: str = _SECTION
    needs_document: bool = False

    @property
    def fingerprint(self) -> str:
        return f"file size {self.max_size} except {' '.join(sorted(self.exempt))}"

    def judge_file(self, offer: Offer, file: File) -> Verdict:
        if file.size is None or file.size <= self.max_size or offer.name in self.exempt:
            return KEEP
        reason = f"it has {_shown(file.size, self.max_size)}, more than {_shown(self.max_size)}"
        return Verdict(keep=False, reason=reason, rule=self.name)


def _shown(size: int, other: int = -1) -> str:
    """Return a size as people say it; in bytes where it would look like another one."""
    unit = min(max(size.bit_length() - 1, 0) // 10, 5)
    shown = f"{size / 1024**unit:.1f}".removesuffix(".0") + (f" {' KMGTP'[unit]}iB" if unit else " bytes")
    return f"{size} bytes" if other >= 0 and shown == _shown(other) else shown


def _size_release_file(context: Context, rules: Rules) -> None:
    limit = read(context.sections, _SECTION, "max_size", parse_size, SIZES)
    if limit is None:
        raise refused(_SECTION, "max_size", None, SIZES)
    rules.files.append(LimitSize(limit, read_names(context.sections, _SECTION, "except")))


BUILDERS: dict[str, Builder] = {"size_release_file": _size_release_file}
