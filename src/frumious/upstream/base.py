"""The upstream port: the questions a mirror asks of an index.

`tests/contract/upstream_contract.py` tests this page against every dialect. Every method raises UpstreamError; no
caller retries what `may_retry` says, since the client below has done so within its bounds already.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from frumious.model.names import NormalizedName
from frumious.model.project import ListedProject, ProjectDetail


@dataclass(frozen=True, slots=True)
class OfferedList:
    """The project list as upstream gives it now."""

    projects: tuple[ListedProject, ...]
    serial: int | None
    """Upstream's global serial."""
    etag: str | None


@dataclass(frozen=True, slots=True)
class OfferedProject:
    """One project page as it came, and what it says."""

    detail: ProjectDetail
    body: bytes
    """The page, byte for byte (decoded from any transport compression); a JSON page of the adapter's own making where
    `detail` says more than the page did, so that `read` gives `detail` again, but for `problems`."""
    form: str
    """`json` or `html`: how `body` is read again."""
    url: str
    """Where it came from, after redirects: the base of its relative links."""
    etag: str | None
    """None also where more may be learned although the page stays: it is asked for anew next time."""


@dataclass(frozen=True, slots=True)
class FileBody:
    """An open download."""

    chunks: AsyncIterator[bytes]
    """Blocks of up to 256 KiB; raises Unreachable if the body ends early or stalls."""
    offset: int
    """Where the body starts: the asked offset if upstream honoured it, else 0."""
    validator: str | None
    """ETag (strong) or Last-Modified, for a later `If-Range`."""
    modified: float | None
    """Last-Modified, seconds since 1970."""
    url: str
    """The address that answered."""


class Upstream(Protocol):
    """An index that can be mirrored."""

    async def project_list(self, etag: str | None) -> OfferedList | None:
        """Return the project list, or None if it is still the one with this ETag.

        Raises BadPage, UnsupportedVersion, Unreachable, BadStatus.
        """
        ...

    async def serial(self) -> int | None:
        """Return the global serial without fetching the list (a HEAD of it), None where upstream does not say."""
        ...

    async def project(
        self, name: NormalizedName, etag: str | None, *, fresh: bool = False
    ) -> OfferedProject | None:
        """Return a project's page, or None if it is still the one with this ETag.

        `fresh` asks caches on the way to revalidate. Raises AbsentProject on 404 and 410, BadPage, UnsupportedVersion,
        Unreachable, BadStatus.
        """
        ...

    def read(self, name: NormalizedName, body: bytes, form: str, url: str) -> ProjectDetail:
        """Read a page that was fetched earlier; raises BadPage."""
        ...

    async def legacy_document(self, name: NormalizedName) -> bytes | None:
        """Return the legacy JSON document (`/pypi/<name>/json`), None where there is none."""
        ...

    async def provenance(self, url: str) -> bytes | None:
        """Return the provenance document (PEP 740) that a page names by this address, None where there is none.

        It is asked of this index: one that passes on the address of another is asked for the same path.
        """
        ...

    def sources(self, url: str) -> Sequence[str]:
        """Return the addresses to try for a file, in order: a download mirror's, then `url` itself; never empty.

        The caller goes on to the next when one fails to open, breaks off for good, or holds other bytes than
        promised; only the last failure is the file's.
        """
        ...

    def file(
        self, address: str, *, size: int | None, offset: int = 0, validator: str | None = None
    ) -> AbstractAsyncContextManager[FileBody]:
        """Open a download of exactly this address; `size` is what the index says, for choosing a connection.

        With `offset` and `validator` the rest is asked for (Range, If-Range); without a validator, or if upstream
        has not that rest, the body starts at 0. Raises BadStatus, Unreachable, RefusedAddress on entering.
        """
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...
