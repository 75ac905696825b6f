"""Between granian's RSGI and our values: a scope becomes a `Request`, a `Response` is sent.

Pages go from memory, files from the file system without passing through Python, and what is large and may be replaced
from an open file, block by block.
"""

from __future__ import annotations

import ipaddress
import os
import re
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from granian.rsgi import ProtocolClosed  # type: ignore[attr-defined] # exported in all but name

from frumious import __version__
from frumious.server.counters import Counters
from frumious.server.http import (
    Answer,
    FileBody,
    HeaderLookup,
    Request,
    Response,
    StreamBody,
    TooLong,
)

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from granian.rsgi import HTTPProtocol, Scope  # type: ignore[attr-defined] # as above

STOPPING: Final = (signal.SIGINT, signal.SIGTERM)
SERVER: Final = ("server", f"frumious/{__version__}")
_BLOCK: Final = 256 << 10
_SMALL: Final = 128 << 10
"""Bytes up to which a file in the page cache is sent at once: several times faster than by the threads of granian."""
_MOST_CLIENTS: Final = 4096
_NOBODY: Final = "unknown"
"""Who asks, where a trusted proxy says something that is no address."""
_HOST = re.compile(r"[A-Za-z0-9._:\[\]-]{1,255}\Z", re.ASCII)
_PREFIX = re.compile(r"(?=.{2,255}\Z)(?:/[A-Za-z0-9._~%!$&'()*+;=:@-]+)+/?\Z", re.ASCII)

Observe = Callable[[Request, Response, float], None]
"""Told of every answer, with the seconds that it took until it was ready to be sent."""


@dataclass(frozen=True, slots=True)
class Public:
    """How the mirror is reached."""

    base_url: str | None = None
    """Without a final slash; None: what the request was sent to."""
    trusted_proxies: tuple[str, ...] = ()
    """Networks of proxies whose word on a client is taken, as is that of whoever comes through a Unix socket."""

    @property
    def prefix(self) -> str:
        """The path of the base URL: `/pypi-mirror`, or nothing."""
        return "" if self.base_url is None else re.sub(r"^[a-z]+://[^/]*", "", self.base_url)


class Answering(Protocol):
    """A site, or what stands before one."""

    def answer(self, request: Request, /) -> Answer:
        """Return the response, or what becomes it; never raises."""
        ...


class Adapter:
    """The application as granian calls it."""

    def __init__(
        self, site: Answering, public: Public, counters: Counters, observe: tuple[Observe, ...] = ()
    ) -> None:
        self._site = site
        self._counters = counters
        self._trusted = Trusted(public.trusted_proxies)
        self._has_proxies = bool(public.trusted_proxies)
        self._base_url = public.base_url
        self._prefix = public.prefix
        self._observe = observe

    def __rsgi_init__(self, loop: AbstractEventLoop) -> None:
        """Let in the signals that were held back (`run`) as soon as the loop, which heeds them, is running."""
        loop.call_soon(signal.pthread_sigmask, signal.SIG_UNBLOCK, STOPPING)

    async def __rsgi__(self, scope: Scope, protocol: HTTPProtocol) -> None:
        began = time.perf_counter()
        request = self._request(scope, protocol)
        answer = self._site.answer(request)
        response = answer if isinstance(answer, Response) else await self._awaited(answer)
        for observe in self._observe:
            observe(request, response, time.perf_counter() - began)
        body = response.body
        if isinstance(body, bytes) and body:  # what nearly all answers are
            protocol.response_bytes(response.status, [*response.headers, SERVER], body)
            return
        with suppress(ProtocolClosed):  # whoever asked has gone
            if isinstance(body, bytes | FileBody) or request.method == "HEAD":
                _send(response, request.method, protocol)
            else:
                with self._counters.in_flight():
                    await _stream(response, body, protocol)

    async def _awaited(self, answer: Awaitable[Response]) -> Response:
        with self._counters.in_flight():
            return await answer

    def _request(self, scope: Scope, protocol: HTTPProtocol) -> Request:
        headers = scope.headers.get
        path, prefix = scope.path, self._prefix
        if prefix and path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in {"", "/"}:
            path = path[len(prefix) :] or "/"
        client = scope.client.rpartition(":")[0]
        base_url = self._base_url or _origin(scope)
        # Who has no address has come through a Unix socket, whose mode lets in none but proxies.
        if not client or (self._has_proxies and self._trusted.covers(client)):
            client = self._trusted.client(headers("x-forwarded-for"), client)
            if self._base_url is None:
                prefix = _forwarded_prefix(headers)
                base_url = _forwarded_origin(headers, base_url) + prefix
        return Request(
            scope.method,
            path,
            scope.query_string,
            headers,
            client,
            base_url,
            prefix,
            lambda limit: _read(protocol, limit),
        )


def plain_address(client: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return an address, that of IPv4 where a socket of IPv6 wraps it; raises ValueError."""
    address = ipaddress.ip_address(client.strip("[]"))
    return getattr(address, "ipv4_mapped", None) or address


class Trusted:
    """Proxies whose word on a client is taken."""

    def __init__(self, networks: tuple[str, ...]) -> None:
        self._networks = tuple(map(ipaddress.ip_network, networks))
        self._known: dict[str, bool] = {}

    def covers(self, client: str) -> bool:
        """Say whether an address is a trusted proxy's."""
        known = self._known.get(client)
        if known is None:
            if len(self._known) > _MOST_CLIENTS:
                self._known.clear()
            known = self._known[client] = self._looked_up(client)
        return known

    def client(self, forwarded_for: str | None, proxy: str) -> str:
        """Return the address nearest to us that is not a trusted proxy's: what stands before it may be made up."""
        said = [part.strip().removeprefix("[").partition("]")[0] for part in (forwarded_for or "").split(",")]
        for one in reversed(said):
            if not _is_address(one):
                return _NOBODY if one else proxy
            proxy = one
            if not self.covers(one):
                break
        return proxy

    def _looked_up(self, client: str) -> bool:
        if not _is_address(client.strip("[]")):
            return False
        address = plain_address(client)
        return any(address in network for network in self._networks)


def _is_address(said: str) -> bool:
    if "%" in said:  # a zone may be any text
        return False
    try:
        ipaddress.ip_address(said)
    except ValueError:
        return False
    return True


def _forwarded_origin(headers: HeaderLookup, origin: str) -> str:
    scheme, _, host = origin.partition("://")
    said_scheme, said_host = headers("x-forwarded-proto"), headers("x-forwarded-host")
    scheme = said_scheme if said_scheme in {"http", "https"} else scheme
    return f"{scheme}://{said_host if said_host and _HOST.match(said_host) else host}"


def _forwarded_prefix(headers: HeaderLookup) -> str:
    """Return the path that a proxy has taken away from before ours: not to be looked for in the request any more."""
    said = headers("x-forwarded-prefix")
    return said.rstrip("/") if said and _PREFIX.match(said) else ""


def _send(response: Response, method: str, protocol: HTTPProtocol) -> None:
    status, headers, body = response.status, [*response.headers, SERVER], response.body
    if isinstance(body, bytes):
        protocol.response_empty(status, headers)
    elif method == "HEAD":
        protocol.response_bytes(status, headers, b"")
    elif isinstance(body, FileBody):  # what else there is, is streamed
        cached = _cached(body) if body.length <= _SMALL else None
        if cached is not None:
            protocol.response_bytes(status, headers, cached)
        elif body.whole:
            protocol.response_file(status, headers, body.path)
        else:
            protocol.response_file_range(status, headers, body.path, body.start, body.start + body.length)


async def _stream(response: Response, body: StreamBody, protocol: HTTPProtocol) -> None:
    transport = protocol.response_stream(response.status, [*response.headers, SERVER])
    offset = 0
    while block := body.read(offset, _BLOCK):
        await transport.send_bytes(block)
        offset += len(block)


def _cached(body: FileBody) -> bytes | None:
    """Return what a file says where that is in memory already, so that nothing has to be waited for; else None."""
    try:
        descriptor = os.open(body.path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        buffer = bytearray(body.length)
        read = os.preadv(descriptor, [buffer], body.start, os.RWF_NOWAIT)
    except OSError:  # on a disk, or on a file system that does not tell
        return None
    finally:
        os.close(descriptor)
    return bytes(buffer) if read == body.length else None


async def _read(protocol: HTTPProtocol, limit: int) -> bytes:
    parts, length = [], 0
    async for part in protocol:
        length += len(part)
        if length > limit:
            raise TooLong(f"at most {limit} bytes")
        parts.append(part)
    return b"".join(parts)


def _origin(scope: Scope) -> str:
    host = scope.authority or scope.headers.get("host") or ""
    if not _HOST.match(host):
        host = scope.server if scope.client else "localhost"  # the path of a Unix socket is nobody's business
    return f"{scope.scheme}://{host}"
