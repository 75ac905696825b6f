"""What an index says of a project, and what we say of it.

`ProjectDetail` and `File` are upstream's words after reading; `ProjectPage` and `PageFile` are ours before
rendering. Wire forms live in `frumious.pages`.
"""

from __future__ import annotations

from enum import Enum

import msgspec

from frumious.model.names import NormalizedName


class Digest(msgspec.Struct, frozen=True, gc=False):
    """A content digest: hashlib's lower-case algorithm name and lower-case hex of the right length."""

    algorithm: str
    hex: str

    def __str__(self) -> str:
        return f"{self.algorithm}={self.hex}"


class ProjectStatus(Enum):
    """Project status markers (PEP 792)."""

    ACTIVE = "active"
    ARCHIVED = "archived"
    QUARANTINED = "quarantined"
    DEPRECATED = "deprecated"


class File(msgspec.Struct, frozen=True, gc=False):
    """One distribution file as upstream describes it (PEP 691, `files`)."""

    filename: str
    url: str
    """Absolute, without fragment."""
    digest: Digest | None = None
    """sha256 where upstream gives it, else the strongest it gives; None where it gives none we know."""
    size: int | None = None
    """Bytes (PEP 700); absent before API 1.1 and in HTML."""
    requires_python: str | None = None
    """Verbatim (PEP 345); never empty."""
    upload_time: str | None = None
    """Verbatim UTC instant ending in Z (PEP 700)."""
    yanked: str | None = None
    """PEP 592: None is not yanked, "" is yanked without a reason."""
    core_metadata: Digest | bool | None = None
    """PEP 714: a digest, or True without one, False for none, None unknown."""
    provenance: str | None = None
    """PEP 740: absolute https URL."""


class ProjectDetail(msgspec.Struct, frozen=True):
    """The page of one project as upstream gave it (PEP 691, project detail)."""

    name: NormalizedName
    files: tuple[File, ...]
    versions: tuple[str, ...] | None = None
    """PEP 700; None where upstream does not say (API 1.0, HTML)."""
    status: ProjectStatus | None = None
    status_reason: str | None = None
    serial: int | None = None
    """Upstream's serial of this page, where it has one."""
    api_version: str = "1.0"
    problems: tuple[str, ...] = ()
    """What was left out of this page, one sentence each: a bad file never spoils a page."""


class ListedProject(msgspec.Struct, frozen=True, gc=False):
    """One entry of a project list: display name, and serial where the index has one."""

    name: str
    serial: int | None = None


class PageFile(msgspec.Struct, frozen=True, gc=False):
    """One file as we publish it."""

    filename: str
    href: str
    """Link as it stands in the page: percent-encoded, relative or absolute, without fragment."""
    digest: Digest | None
    """What stands in `hashes`, and in the fragment of HTML unless `fragment` does."""
    size: int | None = None
    requires_python: str | None = None
    upload_time: str | None = None
    yanked: str | None = None
    core_metadata: Digest | bool | None = None
    """A digest or True only where `href` + `.metadata` answers."""
    provenance: str | None = None
    fragment: Digest | None = None
    """Another digest for the fragment of HTML links (bandersnatch's `digest_name`)."""


class ProjectPage(msgspec.Struct, frozen=True):
    """One project as we publish it; both renderings come from this one value."""

    name: NormalizedName
    serial: int
    """What we publish as `_last-serial`; never falls (design.md §5)."""
    files: tuple[PageFile, ...]
    versions: tuple[str, ...]
    status: ProjectStatus | None = None
    status_reason: str | None = None
