"""Politeness: a Transport around a Transport that limits, waits and tries again (design.md §5).

To one host, requests in flight start at `workers`, grow by one for each good answer and halve when the host shows
that it has had enough (429, 503, a time-out). HTTP/1.x hosts get at most `workers` requests at a time, HTTP/2 hosts
`streams`; large streams, which have connections of their own, at most `workers`. What a host asks for in `Retry-After`
holds for all requests to it. Rates and bandwidth are limited over all hosts together.

The decisions are small values without a clock; `Polite` asks them and waits. One event loop, no locks, constant time
for each request.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from itertools import count
from typing import TypeVar

from frumious.errors import BadStatus, Unreachable
from frumious.upstream.transport import Answer, Stream, Transport

MAX_STREAMS = 100
STREAMS_PER_WORKER = 10
# How much of a second's allowance may be used at once after a pause.
_BURST_SECONDS = 0.1
_ENOUGH = frozenset({429, 503})

AnswerT = TypeVar("AnswerT", Answer, Stream)


@dataclass(frozen=True, slots=True)
class PoliteOptions:
    """How much to ask of others."""

    workers: int = 3
    """Requests in flight to one host over HTTP/1.x, and large streams in flight to one host."""
    streams: int | None = None
    """Requests in flight to one host over HTTP/2; None: ten for each worker. Never more than 100."""
    max_requests_per_second: float | None = None
    max_bandwidth: float | None = None
    """Bytes per second."""
    tries: int = 4
    """How often a request is sent at most."""
    backoff_base: float = 0.5
    """Seconds: the longest pause before the second try; doubles with each further one."""
    backoff_cap: float = 30.0
    max_retry_after: float = 600.0
    """Seconds: the longest that a host may make us wait with one answer."""

    @property
    def most_streams(self) -> int:
        """The bound over HTTP/2."""
        return min(MAX_STREAMS, STREAMS_PER_WORKER * self.workers if self.streams is None else self.streams)


@dataclass(frozen=True, slots=True)
class Traffic:
    """What was asked and got so far."""

    requests: int = 0
    """Sent, repeated ones included."""
    bytes_received: int = 0
    """Bodies as they came over the wire, as far as that is known."""
    retries: int = 0


class Polite:
    """A Transport that behaves; takes over `transport` and closes it.

    `clock` only ever rises (seconds), `random` gives numbers from 0 to 1. `on_notice` hears what an operator may want
    to know, such as a host that asks to wait.
    """

    def __init__(
        self,
        transport: Transport,
        options: PoliteOptions,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]],
        random: Callable[[], float],
        *,
        on_notice: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self._transport, self._options = transport, options
        self._clock, self._sleep, self._random, self._on_notice = clock, sleep, random, on_notice
        self._hosts: dict[str, _Host] = {}
        self._rate = _pace(options.max_requests_per_second)
        self._bandwidth = _pace(options.max_bandwidth)
        self._requests = self._received = self._retries = 0

    def traffic(self) -> Traffic:
        """Return the counts up to now."""
        return Traffic(self._requests, self._received, self._retries)

    async def get(self, url: str, headers: Mapping[str, str], *, max_bytes: int) -> Answer:
        """Fetch a whole response; if no try got a better one, the last."""
        asked = self._asked(
            url, lambda _held: self._transport.get(url, headers, max_bytes=max_bytes), large=False
        )
        async with asked as (_, answer):
            self._receive(_wire_size(answer))
            return answer

    async def head(self, url: str, headers: Mapping[str, str]) -> Answer:
        """Ask for the headers; as `get`."""
        asked = self._asked(url, lambda _held: self._transport.head(url, headers), large=False)
        async with asked as (_, answer):
            return answer

    @asynccontextmanager
    async def stream(self, url: str, headers: Mapping[str, str], *, large: bool) -> AsyncIterator[Stream]:
        """Open a response; only opening is tried again, what happens to the body is for the caller.

        It counts as in flight until the block is left.
        """
        asked = self._asked(
            url,
            lambda held: held.enter_async_context(self._transport.stream(url, headers, large=large)),
            large=large,
        )
        async with asked as (place, stream):
            yield replace(stream, chunks=self._metered(stream.chunks, place))

    async def aclose(self) -> None:
        """Close the transport below."""
        await self._transport.aclose()

    async def _metered(self, chunks: AsyncIterator[bytes], place: _Place) -> AsyncIterator[bytes]:
        """Count a body, and give it no faster than allowed."""
        try:
            async for chunk in chunks:
                await self._pause(self._receive(len(chunk)))
                yield chunk
        except Unreachable as error:
            self._notice_failure(place, error)
            raise

    @asynccontextmanager
    async def _asked(
        self, url: str, ask: Callable[[AsyncExitStack], Awaitable[AnswerT]], *, large: bool
    ) -> AsyncIterator[tuple[_Place, AnswerT]]:
        """Ask until there is an answer worth giving, and keep its place in flight until the block is left."""
        host = self._host(url)
        for tried in count(1):
            async with AsyncExitStack() as held:
                place = await self._enter(host, held, large=large)
                try:
                    answer = await ask(held)
                except Unreachable as error:
                    self._notice_failure(place, error)
                    if tried >= self._options.tries or not error.may_retry:
                        raise
                else:
                    self._notice_answer(place, answer)
                    if tried >= self._options.tries or answer.status not in BadStatus.RETRYABLE:
                        yield place, answer
                        return
            self._retries += 1
            await self._sleep(backoff(tried, self._options, self._random()))

    async def _enter(self, host: _Host, held: AsyncExitStack, *, large: bool) -> _Place:
        """Wait until a request may be sent; its place is given back when `held` is closed."""
        if large:
            # First this, then the common gate: who waits for a large place must not keep others from theirs.
            await host.large.enter()
            held.callback(host.large.leave)
        await host.gate.enter()
        held.callback(host.gate.leave)
        if self._rate is not None:
            await self._pause(self._rate.take(self._clock(), 1))
        if self._bandwidth is not None:
            await self._pause(self._bandwidth.owed(self._clock()))
        while (seconds := host.held_until - self._clock()) > 0:
            await self._sleep(seconds)
        self._requests += 1
        return _Place(host, host.window.round, large)

    async def _pause(self, seconds: float) -> None:
        if seconds > 0:
            await self._sleep(seconds)

    def _host(self, url: str) -> _Host:
        # `https://user@host:port/path`; cheaper than urlsplit, and whatever is no address the transport refuses.
        name = url.partition("//")[2].partition("/")[0].rpartition("@")[2].lower()
        host = self._hosts.get(name)
        if host is None:
            host = self._hosts[name] = _Host(name, self._options)
        return host

    def _notice_answer(self, place: _Place, answer: Answer | Stream) -> None:
        host = place.host
        if answer.status in _ENOUGH:
            host.window.refused(place.round)
        elif answer.status not in BadStatus.RETRYABLE:
            # Large streams ask for HTTP/1.1, so theirs says nothing of the host.
            host.window.answered(None if place.large else answer.http_version)
        host.gate.resize(host.window.limit)
        if answer.status in BadStatus.RETRYABLE:
            seconds = retry_after(answer.headers)
            if seconds:
                self._hold(host, min(seconds, self._options.max_retry_after))

    def _notice_failure(self, place: _Place, error: Unreachable) -> None:
        if isinstance(error.__cause__, TimeoutError):
            place.host.window.refused(place.round)
            place.host.gate.resize(place.host.window.limit)

    def _hold(self, host: _Host, seconds: float) -> None:
        now = self._clock()
        if host.held_until <= now:
            self._on_notice(f"{host.name} asks to wait {math.ceil(seconds)} s")
        host.held_until = max(host.held_until, now + seconds)

    def _receive(self, size: int) -> float:
        """Count bytes; return how many seconds the next ones should wait."""
        self._received += size
        if self._bandwidth is None:
            return 0.0
        self._bandwidth.take(self._clock(), size)
        return self._bandwidth.owed(self._clock())


class Window:
    """How many requests one host may get at a time: up by one, down by half; counts only."""

    __slots__ = ("_cap", "_options", "limit", "round")

    def __init__(self, options: PoliteOptions) -> None:
        self._options = options
        self._cap = options.workers
        self.limit = options.workers
        self.round = 0
        """Refusals so far. A request remembers the round it was sent in."""

    def answered(self, http_version: str | None) -> None:
        """Take note of a good answer; None: its version says nothing of the host."""
        if http_version is not None:
            options = self._options
            self._cap = options.workers if http_version.startswith("HTTP/1") else options.most_streams
        self.limit = min(self.limit + 1, self._cap)

    def refused(self, sent_in: int) -> None:
        """Take note of a refusal; those of requests sent before the last one are the same refusal once more."""
        if sent_in == self.round:
            self.limit = max(1, self.limit // 2)
            self.round += 1


class Gate:
    """Lets in so many at a time, in the order they came; the number may change."""

    __slots__ = ("_inside", "_limit", "_waiting")

    def __init__(self, limit: int) -> None:
        self._limit, self._inside = limit, 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def inside(self) -> int:
        """How many are in now."""
        return self._inside

    async def enter(self) -> None:
        """Return when let in; every return is owed a `leave`, a cancellation is not."""
        # Where there is room nobody waits: `_let_in` has seen to that.
        if self._inside < self._limit:
            self._inside += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self.leave()
            raise

    def leave(self) -> None:
        self._inside -= 1
        self._let_in()

    def resize(self, limit: int) -> None:
        """Change how many may be in; those inside stay."""
        if limit != self._limit:
            self._limit = limit
            self._let_in()

    def _let_in(self) -> None:
        while self._waiting and self._inside < self._limit:
            turn = self._waiting.popleft()
            # A cancelled one is passed over.
            if not turn.done():
                self._inside += 1
                turn.set_result(None)


class Pace:
    """An even flow of so much a second; whoever takes more than there is pays by waiting."""

    __slots__ = ("_paid_until", "_per_second")

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._paid_until = -math.inf

    def take(self, now: float, amount: float) -> float:
        """Take an amount; return how many seconds too early that is."""
        owed = self.owed(now)
        self._paid_until = max(self._paid_until, now - _BURST_SECONDS) + amount / self._per_second
        return owed

    def owed(self, now: float) -> float:
        """Return the seconds until all that was taken is paid for."""
        return max(0.0, self._paid_until - now)


class _Host:
    """What we know of one host."""

    __slots__ = ("gate", "held_until", "large", "name", "window")

    def __init__(self, name: str, options: PoliteOptions) -> None:
        self.name = name
        self.window = Window(options)
        self.gate = Gate(self.window.limit)
        self.large = Gate(options.workers)
        self.held_until = -math.inf


@dataclass(frozen=True, slots=True)
class _Place:
    """A request in flight."""

    host: _Host
    round: int
    large: bool


def backoff(tried: int, options: PoliteOptions, chance: float) -> float:
    """Return the pause after so many failed tries: anything up to a bound that doubles each time (full jitter)."""
    return chance * min(options.backoff_cap, options.backoff_base * 2.0 ** (tried - 1))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return `Retry-After` in seconds; a date counts from the answer's own `Date`, so no clock is needed."""
    said = headers.get("retry-after", "").strip()
    if said.isascii() and said.isdecimal():
        return float(said)
    try:
        until, now = parsedate_to_datetime(said), parsedate_to_datetime(headers.get("date", ""))
        return max(0.0, (until - now).total_seconds())
    except (TypeError, ValueError, OverflowError):
        # No date, or one with and one without a time zone.
        return None


def _wire_size(answer: Answer) -> int:
    said = answer.headers.get("content-length", "")
    return int(said) if said.isascii() and said.isdecimal() else len(answer.body)


def _pace(per_second: float | None) -> Pace | None:
    return Pace(per_second) if per_second else None
