"""What a verification finds, as values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from frumious.model.names import NormalizedName


class Kind(StrEnum):
    """What is wrong; the words of `verify --json`."""

    MISSING = "missing"
    """A file that a page lists is not there."""
    WRONG_SIZE = "wrong-size"
    WRONG_DIGEST = "wrong-digest"
    UNREADABLE = "unreadable"
    """A file that is there and cannot be read."""
    WRONG_MODE = "wrong-mode"
    """A web server that runs as somebody else cannot read it."""
    METADATA_WRONG = "metadata-wrong"
    """The core metadata beside a file is not there, or not what the page says."""
    PROVENANCE_WRONG = "provenance-wrong"
    """The provenance beside a file is not there, or not what was checked."""
    PAGE_MISSING = "page-missing"
    PAGE_WRONG = "page-wrong"
    """A page is not as it was published, or cannot be read."""
    DEAD_LINK = "dead-link"
    """A page lists a file that is not there, and of which the catalog knows nothing."""
    DOCUMENT_WRONG = "document-wrong"
    """A legacy JSON document is not there, or cannot be read."""
    LIST_WRONG = "list-wrong"
    """The project list, or `local.json`, does not name the projects that have a page."""
    CATALOG_DAMAGED = "catalog-damaged"
    STRAY = "stray"
    """Nobody knows why it is there."""


MENDED_BY_RENDERING = frozenset({Kind.PAGE_MISSING, Kind.PAGE_WRONG})
"""Upstream need not be asked for these, unless what it said before cannot be read either."""
MENDED_BY_ASKING = frozenset(
    {
        Kind.MISSING,
        Kind.WRONG_SIZE,
        Kind.WRONG_DIGEST,
        Kind.UNREADABLE,
        Kind.METADATA_WRONG,
        Kind.PROVENANCE_WRONG,
        Kind.DEAD_LINK,
        Kind.DOCUMENT_WRONG,
        Kind.CATALOG_DAMAGED,
    }
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be."""

    kind: Kind
    key: str
    """Where: a path below the mirror's directory."""
    detail: str
    project: NormalizedName | None = None
    repaired: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return it for machines (docs/commands.md)."""
        return {
            "kind": self.kind.value,
            "key": self.key,
            "project": self.project,
            "detail": self.detail,
            "repaired": self.repaired,
        }


def persisting(first: Sequence[Finding], second: Sequence[Finding]) -> list[Finding]:
    """Return those of a second look that the first look found, too."""
    before = {(finding.kind, finding.key) for finding in first}
    return [finding for finding in second if (finding.kind, finding.key) in before]
