"""The transport port: HTTP as four methods. `http.py` fills it for real, tests fill it with a few lines.

Nothing here knows about packages. `Politeness`-aware retries are a wrapper (`polite.py`), not part of an adapter.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole response, body decoded from any transport compression; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str
    """The address that answered, after redirects."""


@dataclass(frozen=True, slots=True)
class Stream:
    """An open response, status and headers known, body to come."""

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]
    url: str


class Transport(Protocol):
    """One HTTP client.

    Follows at most 5 redirects, never to plain http unless allowed, never with credentials to another host. Every
    failure is Unreachable or RefusedAddress; statuses are values, not errors.
    """

    async def get(self, url: str, headers: Mapping[str, str], *, max_bytes: int) -> Answer:
        """Fetch a whole response; Unreachable if the body is longer than `max_bytes` after decoding."""
        ...

    async def head(self, url: str, headers: Mapping[str, str]) -> Answer:
        """Ask for the headers."""
        ...

    def stream(
        self, url: str, headers: Mapping[str, str], *, large: bool
    ) -> AbstractAsyncContextManager[Stream]:
        """Open a response for reading block by block; `large` asks for HTTP/1.1 on a connection of its own."""
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...
