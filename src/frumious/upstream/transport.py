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
    """The address that answered, after redirects, without credentials."""
    http_version: str = "HTTP/1.1"
    """`HTTP/1.1` or `HTTP/2.0`: how many requests may share the connection."""


@dataclass(frozen=True, slots=True)
class Stream:
    """An open response, status and headers known, body to come."""

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]
    """The body as it was sent, never decoded; raises Unreachable if it breaks off or stalls."""
    url: str
    """As in Answer."""
    http_version: str = "HTTP/1.1"


class Transport(Protocol):
    """One HTTP client.

    Follows at most 5 redirects, never to plain http unless allowed, never with credentials to another host. Every
    failure is Unreachable or RefusedAddress; statuses are values, not errors. An Unreachable that was a time-out is
    raised from a TimeoutError.
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
