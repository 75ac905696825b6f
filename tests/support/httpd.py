"""A real HTTP/1.1 server for tests, on loopback in a thread of its own, that can misbehave on purpose.

    async def handler(request: Request) -> Action: ...       # any of the actions below

    with serve(handler) as httpd:                            # or serve(): everything is 404 but httpd.routes
        httpd.routes["/a"] = Response(body=b"hello")         # a path (without query) -> action or handler
        httpd.routes["/b"] = script(Response(503), Response(body=b"ok"))       # by call; the last one for ever
        httpd.routes["/c"] = static(data, etag='"1"')        # Range, If-Range, If-None-Match, HEAD
        ...
        assert [(seen.method, seen.target) for seen in httpd.requests] == [("GET", "/a")]

`serve(handler, tls=True)` speaks https for `localhost` and `127.0.0.1`; `httpd.ca_pem` is the file to trust. Routes may be
changed at any time. A handler that raises answers 500 and fails the `with` block when it ends.

Actions: `Response` (whole or broken off: `Response(body=..., ending=Reset(after=10))`), `Hang()`, `Reset()`, `Cut()` (no
answer at all), `Raw(bytes)` (then close) and `Takeover(function)` for everything else. Handlers run in the server's
loop: they may await anything there, for example an `asyncio.Event` of the server's (`httpd.call`).
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import http
import re
import socket
import ssl
import struct
import tempfile
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import trustme

Fields = Mapping[str, str] | Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Request:
    """One request as it came; header names are lower case, of repeated ones the last counts."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    connection: int
    """Which connection brought it, counted from 1."""

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


@dataclass(frozen=True)
class Cut:
    """Close the connection after so many bytes of the body (None: before the status line)."""

    after: int | None = None


@dataclass(frozen=True)
class Reset:
    """Like Cut, but with a TCP reset."""

    after: int | None = None


@dataclass(frozen=True)
class Hang:
    """Say nothing more after so many bytes of the body, until the client goes away."""

    after: int | None = None


Ending = Cut | Reset | Hang


@dataclass(frozen=True)
class Response:
    """An answer. Content-Length is right unless `headers` say otherwise; the connection is kept."""

    status: int = 200
    headers: Fields = ()
    body: bytes = b""
    chunked: bool = False
    ending: Ending | None = None
    delay: float = 0
    """Seconds before the status line."""
    piece: int = 65536
    """The body is written in pieces of so many bytes..."""
    pause: float = 0
    """...with so many seconds between them."""
    close: bool = False
    """Close the connection afterwards (`Connection: close`)."""


@dataclass(frozen=True)
class Raw:
    """These bytes, then the connection is closed."""

    data: bytes


@dataclass(frozen=True)
class Takeover:
    """From here on the function owns the connection, which is closed when it returns."""

    function: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


Action = Response | Ending | Raw | Takeover
Handler = Callable[[Request], Awaitable[Action]]


def redirect(to: str, status: int = 302) -> Response:
    return Response(status, {"Location": to})


def gzipped(body: bytes, **headers: str) -> Response:
    """Return an answer whose body is compressed for transport, whatever was accepted."""
    return Response(headers={"Content-Encoding": "gzip", **headers}, body=gzip.compress(body))


def script(*actions: Action | Handler) -> Handler:
    """Return a handler that plays the actions in order, the last one for ever."""
    left = list(actions)

    async def play(request: Request) -> Action:
        action = left.pop(0) if len(left) > 1 else left[0]
        return await action(request) if callable(action) else action

    return play


def static(data: bytes, *, etag: str | None = None, modified: str | None = None, **headers: str) -> Handler:
    """Return a handler that serves these bytes as a web server serves a file."""
    facts = {"ETag": etag, "Last-Modified": modified, "Accept-Ranges": "bytes"}
    common = {name: value for name, value in facts.items() if value is not None} | headers

    async def serve_bytes(request: Request) -> Action:
        if etag is not None and request.headers.get("if-none-match") == etag:
            return Response(304, common)
        part = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
        if part is None or request.headers.get("if-range", etag) not in {etag, modified}:
            return Response(200, common, data)
        first, last = int(part[1]), min(int(part[2] or len(data)), len(data) - 1)
        if first >= len(data):
            return Response(416, {**common, "Content-Range": f"bytes */{len(data)}"})
        place = {"Content-Range": f"bytes {first}-{last}/{len(data)}"}
        return Response(206, {**common, **place}, data[first : last + 1])

    return serve_bytes


@dataclass
class Httpd:
    """A running server: what it serves, what it was asked."""

    url: str = ""
    """`http://127.0.0.1:port` or `https://localhost:port`, without a final slash."""
    port: int = 0
    ca_pem: Path | None = None
    routes: dict[str, Action | Handler] = field(default_factory=dict)
    """Asked before the handler."""
    requests: list[Request] = field(default_factory=list)
    """All requests, oldest first."""
    connections: int = 0
    """How many were opened so far."""
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop, repr=False)
    errors: list[Exception] = field(default_factory=list)

    def count(self, path: str, method: str | None = None) -> int:
        """Return how often a path was asked for."""
        return sum(seen.path == path and method in {None, seen.method} for seen in self.requests)

    def call(self, function: Callable[..., object], *arguments: Any) -> None:
        """Call a function in the server's loop, soon."""
        self.loop.call_soon_threadsafe(function, *arguments)


@contextlib.contextmanager
def serve(handler: Handler | None = None, *, tls: bool = False) -> Iterator[Httpd]:
    """Run a server until the block ends; all connections are closed then."""
    with (
        tempfile.TemporaryDirectory() as folder,
        socket.create_server(("127.0.0.1", 0), backlog=512) as listening,
    ):
        # asyncio does this only where the socket names its protocol; without it each answer waits 40 ms for an ACK.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        httpd = Httpd(port=listening.getsockname()[1])
        httpd.url = f"https://localhost:{httpd.port}" if tls else f"http://127.0.0.1:{httpd.port}"
        context = None
        if tls:
            httpd.ca_pem = Path(folder, "ca.pem")
            context = _server_context(httpd.ca_pem)
        stopped = asyncio.Event()
        thread = threading.Thread(
            target=_run,
            args=(httpd, handler or _absent, listening, context, stopped),
            name="httpd",
            daemon=True,
        )
        thread.start()
        try:
            yield httpd
        finally:
            httpd.call(stopped.set)
            thread.join(10)
        if httpd.errors:
            raise httpd.errors[0]
        assert not thread.is_alive(), "the server does not stop"


def _server_context(ca_pem: Path) -> ssl.SSLContext:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(ca_pem))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["http/1.1"])
    ca.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


def _run(
    httpd: Httpd,
    handler: Handler,
    listening: socket.socket,
    context: ssl.SSLContext | None,
    stopped: asyncio.Event,
) -> None:
    # A refused certificate is the client's business, not news for the log.
    httpd.loop.set_exception_handler(lambda _loop, _news: None)
    clients: set[asyncio.Task[None]] = set()

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        clients.add(task)
        httpd.connections += 1
        try:
            with contextlib.suppress(OSError, EOFError, asyncio.CancelledError, asyncio.LimitOverrunError):
                await _converse(httpd, handler, reader, writer, httpd.connections)
        finally:
            clients.discard(task)
            writer.close()

    async def main() -> None:
        server = await asyncio.start_server(accepted, sock=listening, ssl=context)
        await stopped.wait()
        server.close()
        while clients:
            for task in clients:
                task.cancel()
            await asyncio.wait(clients)

    with contextlib.closing(httpd.loop):
        httpd.loop.run_until_complete(main())
        # Closed transports say goodbye in a later turn; one whose handshake is still going on never had a client.
        for transport in list(getattr(httpd.loop, "_transports", {}).values()):
            transport.abort()
        httpd.loop.run_until_complete(asyncio.sleep(0.01))


async def _converse(
    httpd: Httpd, handler: Handler, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
) -> None:
    # `drain` then waits until the kernel has everything; with a high mark of 0 asyncio's TLS never wakes it again.
    writer.transport.set_write_buffer_limits(high=1, low=0)
    while (request := await _read_request(reader, number)) is not None:
        httpd.requests.append(request)
        try:
            action = httpd.routes.get(request.path, handler)
            action = await action(request) if callable(action) else action
        except Exception as error:  # noqa: BLE001  # whatever is wrong with a test's handler fails that test
            httpd.errors.append(error)
            action = Response(500, body=repr(error).encode())
        if not await _act(action, request, reader, writer):
            return


async def _read_request(reader: asyncio.StreamReader, number: int) -> Request | None:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    method, target, _version = first.split(" ", 2)
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(method, target, headers, body, number)


async def _act(
    action: Action, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> bool:
    """Do it; say whether the connection is still of use."""
    if isinstance(action, Takeover):
        await action.function(reader, writer)
        return False
    if isinstance(action, Raw):
        writer.write(action.data)
        await writer.drain()
        return False
    if not isinstance(action, Response):
        action = Response(ending=replace(action, after=None))
    await asyncio.sleep(action.delay)
    ending = action.ending
    if ending is None or ending.after is not None:
        writer.write(_head(action))
        body = b"" if request.method == "HEAD" or action.status in {204, 304} else action.body
        async for piece in _pieces(action, body[: ending.after] if ending else body):
            writer.write(piece)
            await writer.drain()
        await writer.drain()
    if ending is None:
        return not action.close
    if isinstance(ending, Hang):
        await reader.read()
    elif isinstance(ending, Reset):
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    return False


def _head(response: Response) -> bytes:
    fields = list(response.headers.items() if isinstance(response.headers, Mapping) else response.headers)
    said = {name.lower() for name, _ in fields}
    if response.chunked:
        fields.append(("Transfer-Encoding", "chunked"))
    elif "content-length" not in said and response.status not in {204, 304}:
        fields.append(("Content-Length", str(len(response.body))))
    if response.close:
        fields.append(("Connection", "close"))
    phrase = http.HTTPStatus(response.status).phrase if response.status in set(http.HTTPStatus) else "Odd"
    lines = [f"HTTP/1.1 {response.status} {phrase}", *(f"{name}: {value}" for name, value in fields)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


async def _pieces(response: Response, body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), response.piece):
        if start:
            await asyncio.sleep(response.pause)
        piece = body[start : start + response.piece]
        yield b"%x\r\n%b\r\n" % (len(piece), piece) if response.chunked else piece
    if response.chunked and response.ending is None:
        yield b"0\r\n\r\n"


async def _absent(_request: Request) -> Action:
    return Response(404)
