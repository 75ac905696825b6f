"""Politeness in virtual time: how much is asked of a host, when it is asked again, and that no place is ever lost."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from random import Random

import pytest

from frumious.errors import RefusedAddress, Unreachable
from frumious.upstream.http import HttpOptions, open_http
from frumious.upstream.polite import (
    Gate,
    Pace,
    Polite,
    PoliteOptions,
    Traffic,
    Window,
    backoff,
    retry_after,
)
from frumious.upstream.transport import Answer, Stream
from support.httpd import Response, script, serve

A, B = "https://a.example.org/simple/", "https://b.example.org/simple/"
HTTP1, HTTP2 = "HTTP/1.1", "HTTP/2.0"
MAX = 2**20


class VirtualTime:
    """A clock that moves only when everybody sleeps, and a `sleep` that goes by it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        turn = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, next(self._order), turn))
        await turn

    async def settle(self) -> None:
        """Let everything happen that can happen now. Nothing in these tests takes more turns than this."""
        for _ in range(50):
            await asyncio.sleep(0)

    async def pass_by(self) -> None:
        """Move the clock as long as somebody sleeps."""
        await self.settle()
        while self._sleepers:
            until, _, turn = heapq.heappop(self._sleepers)
            if not turn.done():
                self.now = max(self.now, until)
                turn.set_result(None)
                await self.settle()


def answer(status: int = 200, body: bytes = b"", version: str = HTTP2, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, named, body, "https://answered.example.org/", version)


def timed_out(url: str = A) -> Unreachable:
    error = Unreachable(url, "timed out")
    error.__cause__ = TimeoutError()
    return error


@dataclass
class FakeTransport:
    """A transport whose answers take virtual time; `script` is played first, then `usual` for ever."""

    time: VirtualTime
    usual: Answer = field(default_factory=answer)
    seconds: float = 1.0
    script: list[Answer | Exception] = field(default_factory=list)
    body: list[bytes | Exception] = field(default_factory=list)
    asked: list[tuple[float, str, str]] = field(default_factory=list)
    in_flight: Counter[str] = field(default_factory=Counter)
    peak: Counter[str] = field(default_factory=Counter)
    closed: bool = False

    async def get(self, url, headers, *, max_bytes):
        async with self._asked("GET", url) as found:
            return found

    async def head(self, url, headers):
        async with self._asked("HEAD", url) as found:
            return found

    @asynccontextmanager
    async def stream(self, url, headers, *, large):
        async with self._asked("LARGE" if large else "STREAM", url) as found:
            yield Stream(found.status, found.headers, self._chunks(), found.url, found.http_version)

    async def aclose(self):
        self.closed = True

    @asynccontextmanager
    async def _asked(self, method: str, url: str) -> AsyncIterator[Answer]:
        self.asked.append((self.time.now, method, url))
        self.in_flight[url] += 1
        self.peak[url] = max(self.peak[url], self.in_flight[url])
        try:
            await self.time.sleep(self.seconds)
            found = self.script.pop(0) if self.script else self.usual
            if isinstance(found, Exception):
                raise found
            yield found
        finally:
            self.in_flight[url] -= 1

    async def _chunks(self) -> AsyncIterator[bytes]:
        for chunk in self.body:
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk

    @property
    def seconds_asked(self) -> list[float]:
        """When each request was sent, the first at 0."""
        return [when - self.asked[0][0] for when, _, _ in self.asked]


@dataclass
class World:
    """A Polite over a FakeTransport."""

    options: PoliteOptions = field(default_factory=PoliteOptions)
    chance: float = 1.0
    time: VirtualTime = field(default_factory=VirtualTime)
    notices: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.transport = FakeTransport(self.time)
        self.polite = Polite(
            self.transport,
            self.options,
            self.time.clock,
            self.time.sleep,
            lambda: self.chance,
            on_notice=self.notices.append,
        )

    def run(self, *tasks: Awaitable[object]) -> object:
        async def main() -> object:
            work = asyncio.gather(*tasks)
            passing = asyncio.create_task(self.time.pass_by())
            await asyncio.wait({work, passing}, return_when=asyncio.FIRST_COMPLETED)
            assert work.done(), "everybody waits, and nobody will ever come"
            passing.cancel()
            found = await work
            return found[0] if len(found) == 1 else found

        return asyncio.run(main())

    async def get(self, url: str = A) -> Answer:
        return await self.polite.get(url, {}, max_bytes=MAX)

    async def many(self, number: int, ask: Callable[[], Awaitable[object]]) -> None:
        await asyncio.gather(*(ask() for _ in range(number)))

    async def read(self, url: str = A, *, large: bool = False, seconds: float = 0) -> bytes:
        async with self.polite.stream(url, {}, large=large) as stream:
            if seconds:
                await self.time.sleep(seconds)
            return b"".join([chunk async for chunk in stream.chunks])

    @property
    def is_idle(self) -> bool:
        """Whether every place was given back."""
        return all(host.gate.inside == host.large.inside == 0 for host in self.polite._hosts.values())


# --- how many at a time


def limits(window: Window, *steps: str | None) -> list[int]:
    """Return the limit after each step: a version is a good answer, `no` a refusal of what was sent just now."""
    said = []
    for step in steps:
        if step == "no":
            window.refused(window.round)
        else:
            window.answered(step)
        said.append(window.limit)
    return said


def test_requests_in_flight_grow_by_one_for_each_good_answer():
    window = Window(PoliteOptions(workers=3, streams=6))

    assert window.limit == 3
    assert limits(window, *[HTTP2] * 5) == [4, 5, 6, 6, 6]


def test_over_http1_there_are_as_many_as_workers():
    assert limits(Window(PoliteOptions(workers=3)), *[HTTP1] * 3) == [3, 3, 3]


def test_a_host_that_falls_back_to_http1_falls_back_to_workers():
    assert limits(Window(PoliteOptions(workers=3)), HTTP2, HTTP2, HTTP1, HTTP2) == [4, 5, 3, 4]


def test_answers_of_unknown_weight_do_not_raise_the_bound():
    assert limits(Window(PoliteOptions(workers=2)), None, HTTP2, None) == [2, 3, 4]


def test_a_refusal_halves_down_to_one():
    window = Window(PoliteOptions(workers=3, streams=9))

    assert limits(window, *[HTTP2] * 9)[-1] == 9
    assert limits(window, "no", "no", "no", "no", HTTP2, "no") == [4, 2, 1, 1, 2, 1]


def test_a_burst_that_is_refused_counts_once():
    window = Window(PoliteOptions(workers=8))
    burst = window.round

    for _ in range(8):
        window.refused(burst)
    assert window.limit == 4
    window.refused(window.round)
    assert window.limit == 2


@pytest.mark.parametrize(
    ("options", "most"),
    [
        (PoliteOptions(), 30),
        (PoliteOptions(workers=10), 100),
        (PoliteOptions(workers=50), 100),
        (PoliteOptions(streams=7), 7),
        (PoliteOptions(streams=500), 100),
    ],
)
def test_streams_are_ten_for_each_worker_and_never_more_than_a_hundred(options, most):
    assert options.most_streams == most


def test_an_http2_host_gets_more_and_more_up_to_streams():
    world = World(PoliteOptions(workers=3, streams=20))

    world.run(world.many(200, world.get))

    assert world.transport.peak[A] == 20
    # Doubling each second: 3, 6, 12, then 20 at a time.
    assert Counter(world.transport.seconds_asked)[0.0] == 3
    assert Counter(world.transport.seconds_asked)[1.0] == 6
    assert world.is_idle


def test_an_http1_host_gets_workers_at_a_time():
    world = World(PoliteOptions(workers=3))
    world.transport.usual = answer(version=HTTP1)

    world.run(world.many(30, world.get))

    assert world.transport.peak[A] == 3


def test_hosts_do_not_wait_for_each_other():
    world = World(PoliteOptions(workers=2))
    world.transport.usual = answer(version=HTTP1)

    async def main():
        await asyncio.gather(world.many(4, world.get), world.many(4, lambda: world.get(B)))

    world.run(main())

    assert world.transport.peak == {A: 2, B: 2}
    assert max(world.transport.seconds_asked) == 1.0


def test_a_host_is_the_same_under_any_path_and_spelling():
    world = World(PoliteOptions(workers=1, streams=1))
    urls = [
        "https://a.example.org/x",
        "https://u:p@A.example.org/y",
        "https://a.example.org",
        "https://a.example.org:8443/",
    ]

    world.run(*map(world.get, urls))

    assert world.transport.seconds_asked == [0, 0, 1, 2]
    assert world.transport.asked[1][2] == "https://a.example.org:8443/"


def test_large_streams_are_workers_at_a_time_while_small_ones_go_on():
    world = World(PoliteOptions(workers=2, streams=10))
    large, small = "https://a.example.org/large", "https://a.example.org/small"

    async def main():
        await world.many(10, world.get)
        await asyncio.gather(
            world.many(6, lambda: world.read(large, large=True, seconds=100)),
            world.many(8, lambda: world.read(small)),
        )

    world.run(main())

    assert world.transport.peak[large] == 2
    assert world.transport.peak[small] == 8
    assert world.is_idle


def test_the_http1_of_a_large_stream_does_not_slow_the_host_down():
    world = World(PoliteOptions(workers=2, streams=10))

    async def main():
        await world.many(20, world.get)
        world.transport.usual = answer(version=HTTP1)
        await world.read("https://a.example.org/f", large=True)
        world.transport.usual = answer()
        await world.many(10, lambda: world.get("https://a.example.org/later"))

    world.run(main())

    assert world.transport.peak["https://a.example.org/later"] == 10


def test_a_stream_keeps_its_place_until_it_is_closed():
    world = World(PoliteOptions(workers=1, streams=1))

    world.run(world.read(seconds=10), world.get())

    assert world.transport.seconds_asked == [0, 11]


@pytest.mark.parametrize("bad", [answer(429), answer(503), timed_out()])
def test_a_host_that_has_had_enough_gets_half(bad):
    world = World(PoliteOptions(workers=4, streams=8), chance=0)

    async def main():
        await world.many(16, world.get)
        world.transport.script = [bad]
        await world.get("https://a.example.org/bad")
        await world.many(8, lambda: world.get("https://a.example.org/next"))

    world.run(main())

    before = [when for when, _, url in world.transport.asked if url.endswith("next")]
    # 8 were allowed; 4 after halving, and one more for the second try, which was answered.
    assert before.count(before[0]) == 5


def test_other_failures_are_no_reason_to_ask_less():
    world = World(PoliteOptions(workers=4, streams=4), chance=0)
    world.transport.script = [answer(500), answer(404), Unreachable(A, "reset")]

    async def main():
        for _ in range(3):
            await world.get()
        await world.many(4, lambda: world.get("https://a.example.org/next"))

    world.run(main())

    assert world.transport.peak["https://a.example.org/next"] == 4


def test_a_body_that_stalls_is_a_time_out_too():
    world = World(PoliteOptions(workers=4, streams=4))
    world.transport.body = [b"x", timed_out()]

    async def main():
        with pytest.raises(Unreachable):
            await world.read()
        await world.many(4, lambda: world.get("https://a.example.org/next"))

    world.run(main())

    asked = [when for when, _, url in world.transport.asked if url.endswith("next")]
    # The answer itself was good, so one was added before half was taken.
    assert asked.count(asked[0]) == 2


# --- asking again


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 520, 527])
def test_what_may_pass_is_asked_again(status):
    """Conformance 101."""
    world = World()
    world.transport.script = [answer(status), Unreachable(A, "reset")]

    assert world.run(world.get()).status == 200
    assert len(world.transport.asked) == 3


@pytest.mark.parametrize("status", [200, 304, 400, 401, 403, 404, 410, 501])
def test_what_will_not_pass_is_not_asked_again(status):
    world = World()
    world.transport.usual = answer(status)

    assert world.run(world.get()).status == status
    assert len(world.transport.asked) == 1


def test_the_last_answer_counts_when_the_tries_are_used_up():
    world = World()
    world.transport.script = [answer(503), answer(502), answer(500), answer(504)]

    assert world.run(world.get()).status == 504
    assert len(world.transport.asked) == 4


def test_the_last_error_rises_when_the_tries_are_used_up():
    world = World(PoliteOptions(tries=2))
    world.transport.script = [Unreachable(A, "first"), Unreachable(A, "second")]

    with pytest.raises(Unreachable, match="second"):
        world.run(world.get())

    assert len(world.transport.asked) == 2
    assert world.is_idle


def test_pauses_double_up_to_a_bound():
    options = PoliteOptions(backoff_base=0.5, backoff_cap=3)

    assert [backoff(tried, options, 1.0) for tried in range(1, 6)] == [0.5, 1, 2, 3, 3]
    assert [backoff(tried, options, 0.5) for tried in range(1, 4)] == [0.25, 0.5, 1]
    assert backoff(5, options, 0.0) == 0


def test_pauses_are_made_without_a_place():
    world = World(PoliteOptions(workers=1, streams=1))
    world.transport.script = [answer(500), answer(500)]

    world.run(world.get(), world.get(B.replace("b.", "a.")))

    # 1 s each; the first asks again after 0.5 s of pause, behind the second, which pauses behind it.
    assert world.transport.seconds_asked == [0, 1, 2, 3]


def test_a_refused_address_is_not_asked_again():
    world = World()
    world.transport.script = [RefusedAddress(A, "plain http")]

    with pytest.raises(RefusedAddress):
        world.run(world.get())

    assert len(world.transport.asked) == 1


def test_an_error_that_will_stay_is_not_asked_again():
    world = World()
    error = Unreachable(A, "longer than 10 bytes")
    error.may_retry = False
    world.transport.script = [error]

    with pytest.raises(Unreachable):
        world.run(world.get())

    assert len(world.transport.asked) == 1


def test_heads_are_asked_again_too():
    world = World()
    world.transport.script = [answer(503)]

    assert world.run(world.polite.head(A, {})).status == 200
    assert [method for _, method, _ in world.transport.asked] == ["HEAD", "HEAD"]


def test_opening_a_stream_is_tried_again():
    world = World()
    world.transport.script = [answer(503), Unreachable(A, "reset")]
    world.transport.body = [b"one", b"two"]

    assert world.run(world.read(large=True)) == b"onetwo"
    assert [method for _, method, _ in world.transport.asked] == ["LARGE"] * 3
    assert world.is_idle


def test_what_happens_to_a_body_is_for_the_caller():
    world = World()
    world.transport.body = [b"one", Unreachable(A, "reset")]

    with pytest.raises(Unreachable, match="reset"):
        world.run(world.read())

    assert len(world.transport.asked) == 1
    assert world.is_idle


# --- hosts that ask to wait


def test_retry_after_holds_for_the_whole_host_and_no_other():
    """Conformance 101."""
    world = World(PoliteOptions(workers=4))
    world.transport.script = [answer(429, retry_after="30")]

    async def main():
        first = asyncio.create_task(world.get())
        await world.time.sleep(2)
        await asyncio.gather(first, world.get("https://a.example.org/other"), world.get(B))

    world.run(main())

    assert world.transport.seconds_asked == [0, 2, 31, 31]
    assert world.transport.asked[1][2] == B
    assert world.notices == ["a.example.org asks to wait 30 s"]


def test_many_refusals_at_once_are_one_notice():
    world = World(PoliteOptions(workers=5))
    world.transport.script = [answer(503, retry_after="10") for _ in range(5)]

    world.run(world.many(5, world.get))

    assert world.notices == ["a.example.org asks to wait 10 s"]
    assert world.transport.seconds_asked[5] == 11


def test_those_who_wait_for_a_place_wait_for_the_host_too():
    world = World(PoliteOptions(workers=1, streams=1))
    world.transport.script = [answer(429, retry_after="60")]

    world.run(world.many(3, world.get))

    assert world.transport.seconds_asked == [0, 61, 62, 63]


def test_the_longest_pause_counts():
    world = World(PoliteOptions(workers=2))
    world.transport.script = [answer(429, retry_after="60"), answer(429, retry_after="10")]

    world.run(world.many(2, world.get))

    # One place after the refusals.
    assert world.transport.seconds_asked == [0, 0, 61, 62]


def test_no_host_can_make_us_wait_for_ever():
    world = World(PoliteOptions(max_retry_after=600))
    world.transport.script = [answer(503, retry_after="99999999")]

    world.run(world.get())

    assert world.transport.seconds_asked == [0, 601]


def test_retry_after_of_the_last_try_holds_for_those_who_follow():
    world = World(PoliteOptions(tries=1))
    world.transport.script = [answer(503, retry_after="20")]

    async def main():
        assert (await world.get()).status == 503
        await world.get()

    world.run(main())

    assert world.transport.seconds_asked == [0, 21]


def test_retry_after_of_a_good_answer_means_nothing():
    world = World()
    world.transport.script = [answer(200, retry_after="20")]

    async def main():
        await world.get()
        await world.get()

    world.run(main())

    assert world.transport.seconds_asked == [0, 1]
    assert not world.notices


@pytest.mark.parametrize(
    ("said", "date", "seconds"),
    [
        ("120", None, 120),
        (" 0 ", None, 0),
        ("Fri, 31 Dec 1999 23:59:59 GMT", "Fri, 31 Dec 1999 23:58:59 GMT", 60),
        ("Fri, 31 Dec 1999 23:57:59 GMT", "Fri, 31 Dec 1999 23:58:59 GMT", 0),
        ("Fri, 31 Dec 1999 23:59:59 GMT", "Fri, 31 Dec 1999 23:58:59 -0000", None),
        ("Fri, 31 Dec 1999 23:59:59 GMT", None, None),
        ("-5", None, None),
        ("1.5", None, None),
        ("\u0663", None, None),
        ("soon", "Fri, 31 Dec 1999 23:58:59 GMT", None),
        ("", None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(said, date, seconds):
    headers = {"retry-after": said} if date is None else {"retry-after": said, "date": date}

    assert retry_after(headers) == seconds
    assert retry_after({}) is None


# --- rates


def test_a_pace_allows_a_tenth_of_a_second_at_once():
    pace = Pace(100)

    assert [pace.take(5.0, 1) for _ in range(10)] == [0] * 10
    assert [round(pace.take(5.0, 1), 6) for _ in range(3)] == [0, 0.01, 0.02]
    assert round(pace.owed(5.0), 6) == 0.03
    # After a pause there is no more than that, however long it was.
    assert pace.owed(500.0) == 0
    assert sum(pace.take(500.0, 1) == 0 for _ in range(30)) == 11


def test_requests_per_second_are_limited_over_all_hosts():
    world = World(PoliteOptions(workers=100, streams=100, max_requests_per_second=20))

    world.run(world.many(50, world.get), world.many(50, lambda: world.get(B)))

    when = sorted(world.transport.seconds_asked)
    for begin in range(4):
        assert sum(begin <= moment < begin + 1 for moment in when) <= 23
    assert 4.5 < when[-1] < 5.0


def test_bandwidth_is_limited_over_all_streams():
    world = World(PoliteOptions(max_bandwidth=1_000_000))
    world.transport.body = [bytes(250_000)] * 10

    async def main():
        start = world.time.now
        await asyncio.gather(world.read(), world.read(B))
        return world.time.now - start

    assert world.run(main()) == pytest.approx(1 + 4.9, abs=0.05)


def test_pages_count_as_bandwidth_by_what_came_over_the_wire():
    world = World(PoliteOptions(max_bandwidth=1000))
    world.transport.usual = answer(body=bytes(50_000), content_length="5000")

    async def main():
        await world.get()
        await world.get()

    world.run(main())

    assert world.transport.seconds_asked == [0, pytest.approx(1 + 4.9)]


def test_without_limits_nothing_waits():
    world = World()
    world.transport.body = [bytes(1000)] * 100

    async def main():
        for _ in range(10):
            await world.read()

    world.run(main())

    assert world.time.slept == [1.0] * 10


def test_traffic_counts_what_was_sent_and_what_came():
    world = World()
    world.transport.script = [answer(503), answer(200, bytes(30))]
    world.transport.body = [bytes(100), bytes(50)]
    before = world.polite.traffic()

    async def main():
        await world.get()
        await world.read()

    world.run(main())

    assert before == Traffic()
    assert world.polite.traffic() == Traffic(requests=3, bytes_received=180, retries=1)


# --- nothing is lost


def test_a_gate_lets_in_by_turns():
    async def main():
        gate, came = Gate(2), []

        async def visit(name):
            await gate.enter()
            came.append(name)
            await asyncio.sleep(0)
            gate.leave()

        await asyncio.gather(*map(visit, range(9)))
        return came, gate.inside

    assert asyncio.run(main()) == (list(range(9)), 0)


def test_a_gate_that_shrinks_waits_until_enough_have_left_and_one_that_grows_does_not():
    async def main():
        gate = Gate(3)
        for _ in range(3):
            await gate.enter()
        late = [asyncio.create_task(gate.enter()) for _ in range(3)]
        gate.resize(1)
        gate.leave()
        gate.leave()
        await asyncio.sleep(0)
        seen = [sum(task.done() for task in late)]
        gate.leave()
        await asyncio.sleep(0)
        seen.append(sum(task.done() for task in late))
        gate.resize(3)
        await asyncio.sleep(0)
        seen.append(sum(task.done() for task in late))
        return seen, gate.inside

    assert asyncio.run(main()) == ([0, 1, 3], 3)


def test_who_is_cancelled_just_when_let_in_leaves_again():
    async def main():
        gate = Gate(1)
        await gate.enter()
        waiting = asyncio.create_task(gate.enter())
        await asyncio.sleep(0)
        gate.leave()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        return gate.inside

    assert asyncio.run(main()) == 0


@pytest.mark.parametrize("large", [False, True])
def test_a_cancelled_stream_gives_its_place_back(large):
    world = World(PoliteOptions(workers=1, streams=1))

    async def main():
        reading = asyncio.create_task(world.read(large=large, seconds=1000))
        await world.time.sleep(5)
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading
        await world.read(large=large)

    world.run(main())

    assert world.transport.seconds_asked == [0, 5]
    assert world.is_idle


def test_a_stream_that_is_left_half_read_gives_its_place_back():
    world = World(PoliteOptions(workers=1, streams=1))
    world.transport.body = [b"one", b"two"]

    async def leave_early():
        async with world.polite.stream(A, {}, large=True) as stream:
            return await anext(stream.chunks)

    async def main():
        assert await leave_early() == b"one"
        await world.get()

    world.run(main())

    assert world.transport.in_flight[A] == 0
    assert world.is_idle


def test_no_place_is_lost_whoever_is_cancelled_whenever():
    world = World(
        PoliteOptions(workers=3, streams=9, max_requests_per_second=50, max_bandwidth=1e6), chance=0.5
    )
    random = Random(7)  # noqa: S311  # the same disorder every time
    bad = [answer(429, retry_after="1"), answer(503), answer(500), timed_out(), Unreachable(A, "reset")]
    world.transport.script = [random.choice([*bad, *[answer(body=bytes(999))] * 10]) for _ in range(400)]
    world.transport.body = [bytes(9999)] * 9
    world.transport.seconds = 0.3

    async def disturbed(seconds):
        kind = random.randrange(3)
        task = asyncio.ensure_future(world.get() if kind == 0 else world.read(large=kind == 1))
        await world.time.sleep(seconds)
        task.cancel()
        with suppress(asyncio.CancelledError, Unreachable):
            await task

    async def main():
        await asyncio.gather(*(disturbed(random.random() * 20) for _ in range(400)))

    world.run(main())

    assert len(world.transport.asked) > 100
    assert world.is_idle
    assert not +world.transport.in_flight


def test_closing_closes_the_transport():
    world = World()
    world.run(world.polite.aclose())

    assert world.transport.closed


# --- over real sockets


def test_a_real_server_that_asks_to_wait_is_obeyed():
    time, notices = VirtualTime(), []

    async def skip(seconds):
        time.now += seconds

    async def main(url):
        async with open_http(HttpOptions("frumious/0", timeout=0.3, allow_http=True), {}) as transport:
            polite = Polite(
                transport, PoliteOptions(), time.clock, skip, lambda: 1.0, on_notice=notices.append
            )
            page = await polite.get(f"{url}/a", {}, max_bytes=MAX)
            async with polite.stream(f"{url}/a", {}, large=True) as stream:
                return page.body, [chunk async for chunk in stream.chunks], polite.traffic()

    with serve() as httpd:
        busy = Response(429, {"Retry-After": "7"}, b"busy")
        httpd.routes["/a"] = script(busy, Response(body=b"one"), busy, Response(body=b"two"))
        page, chunks, traffic = asyncio.run(main(httpd.url))
        host = httpd.url.removeprefix("http://")

    assert (page, chunks) == (b"one", [b"two"])
    assert traffic == Traffic(requests=4, bytes_received=6, retries=2)
    assert notices == [f"{host} asks to wait 7 s"] * 2
    assert time.now == 1014
