"""What a request asks and what we answer, as values: no socket and no framework.

`adapter` turns what the HTTP server hands over into a `Request`, and a `Response` into what it sends. Everything between
is a function from the one to the other, and can be called in a test as it is.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import lru_cache
from typing import Any, Protocol, TypeAlias

Headers: TypeAlias = list[tuple[str, str]]
"""Names in lower case."""

SERIAL_HEADER = "x-pypi-last-serial"
CORS: Headers = [
    ("access-control-allow-origin", "*"),
    ("access-control-expose-headers", "X-PyPI-Last-Serial"),
]
"""Anybody's script may read what we serve: micropip runs in browsers (conformance 54)."""
READING = ("GET", "HEAD")


class TooLong(Exception):
    """The body of a request is longer than its reader allows: 413."""


@dataclass(slots=True)
class Request:
    """One request. `path` is percent-decoded once, without the prefix under which the mirror is reached."""

    method: str
    path: str
    query: str = ""
    """As it came, without the question mark."""
    headers: HeaderLookup = field(default_factory=lambda: _no_header)
    """A header by its lower-case name."""
    client: str = ""
    """Address of who asks, without the port; behind a trusted proxy, of whom the proxy asks for."""
    base_url: str = ""
    """The public address of `/`, without a final slash; for the few links that must be absolute."""
    prefix: str = ""
    """The path of `base_url`: what stands before every path in a redirect."""
    read_body: BodyReader | None = None
    is_known: bool = False
    """Whoever asks has shown who he is."""

    async def body(self, limit: int) -> bytes:
        """Return the body; raises TooLong for one of more than `limit` bytes."""
        return b"" if self.read_body is None else await self.read_body(limit)


class HeaderLookup(Protocol):
    """The headers of a request."""

    def __call__(self, name: str, /) -> str | None:
        """Return what the header of a lower-case name says, None where it is not there."""
        ...


BodyReader: TypeAlias = Callable[[int], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class FileBody:
    """Bytes of a file that never changes in place; the HTTP server sends them without our help."""

    path: str
    start: int
    length: int
    whole: bool
    """It is the file from its first byte to its last."""


class StreamBody(Protocol):
    """Bytes that are made or read while they are sent; the headers say how many."""

    length: int

    def read(self, offset: int, size: int) -> bytes:
        """Return at most `size` bytes from `offset`; empty at the end."""


Body: TypeAlias = bytes | FileBody | StreamBody


@dataclass(slots=True)
class Response:
    """One answer. It may be kept and sent many times: nobody changes one that is made."""

    status: int
    headers: Headers
    body: Body = b""

    @property
    def length(self) -> int:
        """Bytes of the body."""
        return len(self.body) if isinstance(self.body, bytes) else self.body.length


Answer: TypeAlias = Response | Awaitable[Response]
Handler: TypeAlias = Callable[[Request], Answer]
"""What answers a path: at once where nothing is waited for, which is what makes pages fast."""


def text(status: int, said: str, headers: Headers | None = None) -> Response:
    """Return a short answer in plain text."""
    return Response(
        status,
        [
            ("content-type", "text/plain; charset=utf-8"),
            ("x-content-type-options", "nosniff"),
            *(headers or []),
        ],
        f"{said}\n".encode(),
    )


def json_answer(
    status: int,
    said: Mapping[str, Any],
    headers: Headers | None = None,
    *,
    media_type: str = "application/json",
) -> Response:
    """Return a JSON document, with sorted keys so that equal documents are equal bytes."""
    body = json.dumps(said, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode(
        errors="replace"
    )
    return Response(
        status,
        [("content-type", media_type), ("x-content-type-options", "nosniff"), *CORS, *(headers or [])],
        body + b"\n",
    )


def unchanged(headers: Headers) -> Response:
    """Return the answer to whoever has what these headers describe: without what they say of a body (RFC 9110 §15.4.5)."""
    return Response(304, [header for header in headers if not header[0].startswith("content-")])


def other_method(methods: Iterable[str]) -> Response:
    """Return the answer to a method that a path does not know (conformance 57)."""
    allow = ", ".join((*methods, "OPTIONS"))
    return text(405, f"405 Method Not Allowed: {allow}", [("allow", allow)])


def not_found() -> Response:
    """Return the answer for what is not here: small, and the same for whatever is asked (conformance 6, 7)."""
    return text(404, "404 Not Found", [*CORS, ("cache-control", "max-age=60, public")])


def not_acceptable(types: str) -> Response:
    """Return the answer for somebody who wants none of the forms we have (conformance 45)."""
    return text(406, f"406 Not Acceptable: available are {types}", [*CORS, ("vary", "Accept")])


def unavailable(reason: str, *, retry_after: int = 30) -> Response:
    """Return the answer for what we cannot say now; `retry_after` in seconds."""
    return text(
        503,
        f"503 Service Unavailable: {reason}",
        [("retry-after", str(retry_after)), ("cache-control", "no-store")],
    )


def moved(location: str, *, permanently: bool) -> Response:
    """Return a redirect. Only what can never be otherwise is permanent: pip keeps a 301 for ever (conformance 56)."""
    headers: Headers = [("location", location), *CORS]
    if not permanently:
        headers.append(("cache-control", "max-age=600, public"))
    return text(301 if permanently else 302, f"see {location}", headers)


@lru_cache(maxsize=4096)
def http_date(seconds: int) -> str:
    """Return a moment as headers put it."""
    return formatdate(seconds, usegmt=True)


def etag_matches(condition: str, etag: str) -> bool:
    """Say whether an If-None-Match covers an ETag: `*`, or a list, weak or strong (RFC 9110 §13.1.2)."""
    if condition == etag:
        return True
    return condition.strip() == "*" or any(
        said.strip().removeprefix("W/") == etag.removeprefix("W/") for said in condition.split(",")
    )


def _no_header(_name: str) -> str | None:
    return None
