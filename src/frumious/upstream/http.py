"""The Transport port over pyreqwest: one HTTP/2 client for pages and small files, one HTTP/1.1 client for large ones.

What is ours here and not the client's: redirects, decoding (so that it is bounded, and never happens to a file),
credentials in addresses, certificates and proxies from the environment, and one table that turns the client's
exceptions into ours. Retries and limits are in `polite.py`.

A process that ends right after its last answer may be aborted by pyreqwest 0.15 (exit status 134): the command line
has to flush and leave by `os._exit`, or to keep the loop alive for 0.2 s after closing the transport.
"""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Self
from urllib.parse import unquote_to_bytes

from pyreqwest import exceptions as foreign
from pyreqwest.client import Client, ClientBuilder
from pyreqwest.http import HeaderMap, Url
from pyreqwest.proxy import ProxyBuilder
from pyreqwest.request import StreamRequest
from pyreqwest.response import Response, ResponseBodyReader

from frumious.errors import ConfigError, RefusedAddress, Unreachable
from frumious.upstream.address import (
    Reach,
    check_reach,
    nearest,
    parse_address,
    redacted,
    redirect_target,
)
from frumious.upstream.environment import CA_VARIABLES, Proxies, Roots, choose_proxies, read_roots
from frumious.upstream.transport import Answer, Stream

BLOCK = 256 * 1024
"""Largest block of a streamed body."""
MAX_REDIRECTS = 5
MOST_MEMBERS = 1000
"""Parts of one compressed body; a server sends one, a cache that glues answers together a few."""

# With the default of 64 KiB one connection carries 2 MB/s at 30 ms.
_STREAM_WINDOW = 2**20
_CONNECTION_WINDOW = 16 * 2**20
# A dead connection with many requests on it is found by a ping; more often than this would be rude.
_MIN_PING_SECONDS = 10.0
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """How to reach any host."""

    user_agent: str
    timeout: float = 10.0
    """Seconds to connect, and between any two signs of life."""
    global_timeout: float = 18000.0
    """Seconds for a request with all its redirects and its body."""
    proxy: str | None = None
    """`http`, `https`, `socks5` or `socks5h`; None: `https_proxy`, `http_proxy`, `all_proxy` of the environment."""
    allow_http: bool = False
    """Follow plain http addresses too."""
    max_connections: int = 10
    """Idle connections kept per host; how many requests are in flight is the caller's business (`Polite`)."""


@asynccontextmanager
async def open_http(
    options: HttpOptions, environment: Mapping[str, str] | None = None
) -> AsyncIterator[HttpTransport]:
    """Open a transport; connections are closed at the end of the block.

    `environment` (None: that of the process) names certificate authorities and proxies. Raises ConfigError where it,
    or `options.proxy`, cannot be used.
    """
    transport = HttpTransport.build(options, os.environ if environment is None else environment)
    try:
        yield transport
    finally:
        await transport.aclose()


Resolve = Callable[[str], Awaitable[Sequence[str]]]


async def resolve(host: str) -> Sequence[str]:
    """Return the addresses of a host, nothing if it has none."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM)
    except OSError:
        return ()
    return [str(address[0]).partition("%")[0] for *_, address in found]


async def refuse_inside(here: Url, target: Url, resolve: Resolve = resolve) -> None:
    """Refuse a redirect to a name that stands for an address nearer than those of the name it comes from.

    Raises RefusedAddress. The client resolves the name once more when it connects, and may be told another address
    then; through a proxy only the proxy knows, and nothing is resolved here.
    """
    reach = nearest(await resolve(target.host_str or ""))
    if reach is not Reach.PUBLIC:
        check_reach(here, target, nearest(await resolve(here.host_str or "")), reach)


class HttpTransport:
    """HTTP through pyreqwest; fills the Transport port, `open_http` makes one."""

    def __init__(self, shared: Client, single: Client, options: HttpOptions, *, is_proxied: bool) -> None:
        self._clients: tuple[Client, Client] | None = shared, single
        self._options, self._is_proxied = options, is_proxied
        self._credentials: dict[str, str] = {}

    @classmethod
    def build(cls, options: HttpOptions, environment: Mapping[str, str]) -> Self:
        """Return a transport for these options; raises ConfigError."""
        proxies = choose_proxies(options.proxy, environment)
        roots = read_roots(environment)
        ping = timedelta(seconds=max(options.timeout, _MIN_PING_SECONDS))
        shared = (
            _builder(options, proxies)
            .http2(enable=True)
            .http2_initial_stream_window_size(_STREAM_WINDOW)
            .http2_initial_connection_window_size(_CONNECTION_WINDOW)
            .http2_keep_alive_interval(ping)
            .http2_keep_alive_timeout(ping)
        )
        single = _builder(options, proxies).http1_only()
        return cls(_client(shared, roots), _client(single, roots), options, is_proxied=proxies != Proxies())

    async def get(self, url: str, headers: Mapping[str, str], *, max_bytes: int) -> Answer:
        """Fetch a whole response; Unreachable if the body is longer than `max_bytes` after decoding."""
        exchange = await self._exchange("GET", url, {"accept-encoding": "gzip", **headers})
        try:
            return exchange.answer(await exchange.body(max_bytes))
        finally:
            await exchange.close()

    async def head(self, url: str, headers: Mapping[str, str]) -> Answer:
        """Ask for the headers."""
        exchange = await self._exchange("HEAD", url, {"accept-encoding": "identity", **headers})
        try:
            return exchange.answer(b"")
        finally:
            await exchange.close()

    @asynccontextmanager
    async def stream(self, url: str, headers: Mapping[str, str], *, large: bool) -> AsyncIterator[Stream]:
        """Open a response for reading in blocks of up to 256 KiB; `large` ones get a connection of their own.

        The body is what was sent: Unreachable if it comes compressed for transport.
        """
        identity = {**headers, "accept-encoding": "identity"}
        exchange = await self._exchange("GET", url, identity, large=large)
        try:
            yield exchange.stream()
        finally:
            await exchange.close()

    async def aclose(self) -> None:
        """Close connections; asking afterwards raises Unreachable."""
        clients, self._clients = self._clients, None
        # `close` ends what is under way, but idle connections are closed when nobody holds the client any more.
        for client in clients or ():
            await client.close()

    async def _exchange(
        self, method: str, url: str, headers: Mapping[str, str], *, large: bool = False
    ) -> _Exchange:
        """Return the first answer that is no redirect; whoever gets it closes it."""
        allow_http = self._options.allow_http
        address = self._without_credentials(parse_address(url, allow_http=allow_http))
        # Shown as it was given, where that is fit to be shown.
        asked = _Asked(
            str(address) if "@" in url or "#" in url else url, self._options, self._is_proxied, _now()
        )
        if self._clients is None:
            raise asked.failure("the transport is closed", may_retry=False)
        client = self._clients[large]
        exchange = await self._sent(client, method, address, headers, asked)
        visited = {str(address)}
        while (location := exchange.location()) is not None:
            await exchange.close()
            target = redirect_target(address, location, allow_http=allow_http)
            if not self._is_proxied and target.host_str != address.host_str:
                await refuse_inside(address, target)
            if str(target) in visited:
                raise RefusedAddress(asked.url, "it redirects in a circle")
            if len(visited) > MAX_REDIRECTS:
                raise RefusedAddress(asked.url, f"that makes more than {MAX_REDIRECTS} redirects")
            if target.origin_ascii != address.origin_ascii:
                headers = {name: value for name, value in headers.items() if name.lower() != "authorization"}
            address = target
            visited.add(str(address))
            asked = replace(asked, url=str(address))
            exchange = await self._sent(client, method, address, headers, asked, asked.seconds_left())
        return exchange

    async def _sent(
        self,
        client: Client,
        method: str,
        address: Url,
        headers: Mapping[str, str],
        asked: _Asked,
        seconds: float | None = None,
    ) -> _Exchange:
        builder = client.request(method, address).headers(headers)
        # pip too sends what stood in the index's address to that origin at once, and to no other.
        credentials = self._credentials.get(address.origin_ascii) if self._credentials else None
        if credentials is not None:
            builder = builder.header("authorization", credentials, is_sensitive=True)
        if seconds is not None:
            builder = builder.timeout(timedelta(seconds=seconds))
        request = builder.build_streamed()
        try:
            return _Exchange(request, await request.__aenter__(), asked)
        except foreign.PyreqwestError as error:
            raise asked.translated(error) from error

    def _without_credentials(self, address: Url) -> Url:
        """Take user and password out of an address, and remember them for its origin."""
        if not address.username and address.password is None:
            return address
        pair = unquote_to_bytes(address.username) + b":" + unquote_to_bytes(address.password or "")
        self._credentials[address.origin_ascii] = f"Basic {base64.b64encode(pair).decode()}"
        return address.with_password(None).with_username("")


@dataclass(frozen=True, slots=True)
class _Asked:
    """What was asked for and when: the facts of whatever may go wrong."""

    url: str
    options: HttpOptions
    is_proxied: bool
    since: float

    def seconds_left(self) -> float:
        return max(0.001, self.since + self.options.global_timeout - _now())

    def failure(self, reason: str, *, hint: str | None = None, may_retry: bool = True) -> Unreachable:
        error = Unreachable(self.url, reason, hint=hint)
        error.may_retry = may_retry
        return error

    def translated(self, error: foreign.PyreqwestError) -> Unreachable | RefusedAddress:
        """Return our error for one of the client's."""
        meaning = next(TRANSLATIONS[kind] for kind in type(error).__mro__ if kind in TRANSLATIONS)
        causes = _causes(error)
        reason, hint = f"{meaning.words}: {causes[-1]}", None
        if isinstance(error, TimeoutError):
            reason = self._duration(meaning.words)
        elif any("certificate" in cause for cause in causes):
            reason = f"its certificate is not accepted: {causes[-1]}"
            hint = (
                f"if the network has a certificate authority of its own, name its file in {CA_VARIABLES[0]}"
            )
        elif "dns error" in causes:
            whose = "the host or of the proxy" if self.is_proxied else str(Url(self.url).host_str)
            reason = f"no address for the name of {whose}: {causes[-1]}"
        if hint is None and self.is_proxied and isinstance(error, _BEFORE_AN_ANSWER):
            hint = "this went through a proxy: check `proxy`, or https_proxy and no_proxy in the environment"
        if meaning.error is RefusedAddress:
            return RefusedAddress(self.url, reason, hint=hint)
        return self.failure(reason, hint=hint, may_retry=meaning.may_retry)

    def _duration(self, words: str) -> str:
        total, idle = self.options.global_timeout, self.options.timeout
        if _now() - self.since >= 0.99 * total:
            return f"not finished within {total:g} s"
        return f"{words} within {idle:g} s"


class _Exchange:
    """A request and its answer, open until closed."""

    __slots__ = ("_asked", "_headers", "_request", "_response", "_status")

    def __init__(self, request: StreamRequest, response: Response, asked: _Asked) -> None:
        self._request, self._response, self._asked = request, response, asked
        self._status = response.status
        self._headers = _lowered(response.headers)

    async def close(self) -> None:
        await self._request.__aexit__(None, None, None)

    def location(self) -> str | None:
        """Return where this answer redirects to, None if it does not."""
        return self._headers.get("location") if self._status in _REDIRECTS else None

    def answer(self, body: bytes) -> Answer:
        return Answer(self._status, self._headers, body, self._asked.url, self._response.version)

    def stream(self) -> Stream:
        encoding = self._encoding()
        if self._status in {200, 206} and encoding != "identity":
            raise self._asked.failure(
                f"sent with Content-Encoding {encoding} although asked for as it is", may_retry=False
            )
        return Stream(self._status, self._headers, self._blocks(), self._asked.url, self._response.version)

    async def body(self, max_bytes: int) -> bytes:
        """Return the whole body, decoded; reading stops as soon as it is too long."""
        encoding = self._encoding()
        if encoding not in {"identity", "gzip", "x-gzip"}:
            raise self._asked.failure(
                f"sent with Content-Encoding {encoding}, which was not asked for", may_retry=False
            )
        gunzip = None if encoding == "identity" else Gunzip()
        parts: list[bytes] = []
        room = max_bytes
        try:
            async for block in self._blocks():
                part = block if gunzip is None else gunzip.feed(block, room + 1)
                room -= len(part)
                if room < 0:
                    raise self._asked.failure(f"its body is longer than {max_bytes} bytes", may_retry=False)
                parts.append(part)
        except zlib.error as error:
            raise self._asked.failure(f"its compressed body is damaged: {error}") from error
        if gunzip is not None and not gunzip.is_complete:
            raise self._asked.failure("its compressed body ends early")
        return b"".join(parts)

    def _blocks(self) -> _Blocks:
        return _Blocks(self._response.body_reader, self._asked)

    def _encoding(self) -> str:
        return self._headers.get("content-encoding", "").strip().lower() or "identity"


class _Blocks:
    """A body block by block. That it is as long as it was announced to be is what the client sees to."""

    __slots__ = ("_asked", "_reader")

    def __init__(self, reader: ResponseBodyReader, asked: _Asked) -> None:
        self._reader, self._asked = reader, asked

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            block = await self._reader.read(BLOCK)
        except foreign.PyreqwestError as error:
            raise self._asked.translated(error) from error
        if block is None:
            raise StopAsyncIteration
        return bytes(block)


class Gunzip:
    """A gzip decoder that never gives more than it is told to."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(wbits=31)
        self._members = 1
        self._is_fed = False

    @property
    def is_complete(self) -> bool:
        """Whether the input may end here; nothing at all is complete too."""
        return self._member.eof or not self._is_fed

    def feed(self, data: bytes, room: int) -> bytes:
        """Decode up to `room` bytes, which must be more than the caller can use. Raises zlib.error."""
        self._is_fed = True
        parts: list[bytes] = []
        # RFC 1952 §2.2: there may be several members, one behind the other.
        while data and room > 0:
            if self._member.eof:
                self._members += 1
                if self._members > MOST_MEMBERS:  # each costs a copy of what follows it
                    raise zlib.error(f"more than {MOST_MEMBERS} members")
                self._member = zlib.decompressobj(wbits=31)
            parts.append(self._member.decompress(data, room))
            room -= len(parts[-1])
            data = self._member.unused_data
        return b"".join(parts)


@dataclass(frozen=True, slots=True)
class Meaning:
    """What one of the client's exceptions means to us."""

    words: str
    error: type[Unreachable | RefusedAddress] = Unreachable
    may_retry: bool = True


TRANSLATIONS: Mapping[type[BaseException], Meaning] = {
    foreign.PyreqwestError: Meaning("the HTTP client failed"),
    foreign.DetailedPyreqwestError: Meaning("the HTTP client failed"),
    foreign.BuilderError: Meaning("it cannot be asked for", RefusedAddress),
    # Among others a body that ends early, where nothing is decoded.
    foreign.RequestError: Meaning("the exchange broke off"),
    foreign.StatusError: Meaning("the status is an error"),
    foreign.RedirectError: Meaning("its redirect cannot be followed", RefusedAddress),
    foreign.ClientClosedError: Meaning("our side has closed its connections", may_retry=False),
    foreign.RequestPanicError: Meaning("the HTTP client broke down"),
    foreign.DecodeError: Meaning("what came is not HTTP"),
    foreign.BodyDecodeError: Meaning("its body is cut short or damaged"),
    foreign.JSONDecodeError: Meaning("its body is damaged"),
    foreign.TransportError: Meaning("the connection failed"),
    foreign.NetworkError: Meaning("the connection failed"),
    # The client calls "connect" all that happens before the status line.
    foreign.ConnectError: Meaning("no connection"),
    foreign.ReadError: Meaning("the connection broke"),
    foreign.WriteError: Meaning("the connection broke"),
    foreign.RequestTimeoutError: Meaning("nothing came"),
    foreign.ConnectTimeoutError: Meaning("no connection or no answer"),
    foreign.ReadTimeoutError: Meaning("nothing more came"),
    foreign.WriteTimeoutError: Meaning("nothing was taken"),
    foreign.PoolTimeoutError: Meaning("no connection became free"),
}
"""What each exception class of the client means; the words are followed by its cause, or by how long we waited."""

_BEFORE_AN_ANSWER = (foreign.ConnectError, foreign.ConnectTimeoutError)


def _causes(error: foreign.PyreqwestError) -> list[str]:
    """Return the client's own words, the outermost first, at least one, without credentials."""
    details = error.details if isinstance(error, foreign.DetailedPyreqwestError) else None
    causes = details["causes"] if details else None
    return [redacted(text) for text in [cause["message"] for cause in causes or ()] or [error.message]]


def _builder(options: HttpOptions, proxies: Proxies) -> ClientBuilder:
    idle = timedelta(seconds=options.timeout)
    builder = (
        ClientBuilder()
        .user_agent(options.user_agent)
        .connect_timeout(idle)
        .read_timeout(idle)
        .timeout(timedelta(seconds=options.global_timeout))
        .pool_max_idle_per_host(options.max_connections)
        .follow_redirects(enable=False)
        .referer(enable=False)
        .gzip(enable=False)
        .brotli(enable=False)
        .zstd(enable=False)
        .deflate(enable=False)
        .no_proxy()
    )
    for make, address in ((ProxyBuilder.http, proxies.http), (ProxyBuilder.https, proxies.https)):
        if address is not None:
            builder = builder.proxy(make(address).no_proxy(proxies.bypass))
    return builder


def _client(builder: ClientBuilder, roots: Roots | None) -> Client:
    try:
        for pem in roots.pem if roots else ():
            builder = builder.add_root_certificate_pem(pem)
        return builder.build()
    except foreign.BuilderError as error:
        cause = _causes(error)[-1]
        if roots is None:
            raise ConfigError(f"the HTTP client does not start: {cause}") from error
        raise ConfigError(
            f"not all certificates in {roots.place} can be used: {cause}", key=roots.variable
        ) from error


def _lowered(headers: HeaderMap) -> dict[str, str]:
    """Return headers by lower-case name, repeated ones joined (RFC 9110 §5.3), those that are not text left out."""
    try:
        fields = list(headers.items())
    except ValueError:
        fields = [(name, value) for name in dict.fromkeys(headers) for value in _readable(headers, name)]
    lowered = dict(fields)
    if len(lowered) == len(fields):
        return lowered
    return {name: ", ".join(value for other, value in fields if other == name) for name in lowered}


def _readable(headers: HeaderMap, name: str) -> list[str]:
    try:
        return headers.getall(name)
    except ValueError:
        return []


def _now() -> float:
    return asyncio.get_running_loop().time()
