"""`verify` beside a run, in parts, and after an interruption."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from frumious.catalog.sqlite import open_catalog
from frumious.errors import LockHeld
from frumious.storage.base import Item
from frumious.sync.engine import mirror
from frumious.sync.options import Limits
from frumious.sync.ports import Ports
from frumious.sync.verify.cursor import KEY
from support.faults import PowerCut, StopAfter
from support.verifying import verify_in
from support.world import World

WHEEL = "-1.0-py3-none-any.whl"


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    for number in range(120):
        world.index.upload(f"p{number:03}", "1.0")
    world.mirror()
    return world


def key_of(world, name):
    (key,) = [key for key in world.keys("web/packages/") if key.endswith(name + WHEEL)]
    return key


def lose(world, *names):
    keys = [key_of(world, name) for name in names]
    asyncio.run(world.storage.delete(keys))
    return keys


class Ticking:
    """A clock that moves with every look at it."""

    def __init__(self, step):
        self.now, self.step = 1_800_000_000.0, step

    def __call__(self):
        self.now += self.step
        return self.now


def test_a_budget_is_kept_and_the_next_one_goes_on_until_everything_was_looked_at_once(world):
    lost = lose(world, "p000", "p060", "p119")
    seen, rounds = [], 0
    while True:
        clock = Ticking(1.0)
        report, findings = verify_in(world, wrap=lambda ports, c=clock: replace(ports, clock=c), seconds=4.0)
        seen += findings
        rounds += 1
        assert rounds < 50
        if report.whole:
            break
        assert KEY in world.keys(".frumious/")
    assert rounds >= 2
    assert [key for _, key in seen] == lost
    assert (report.cursor.projects, report.remaining) == (120, 3)
    assert KEY not in world.keys(".frumious/")
    assert verify_in(world)[0].cursor.projects == 120


def test_an_interruption_costs_only_what_was_under_way(world):
    lost = lose(world, "p000", "p119")
    seen = []

    class Interrupting:
        """Storage that is stopped in the middle."""

        def __init__(self, inner):
            self._inner, self._left = inner, 6

        def __getattr__(self, name):
            return getattr(self._inner, name)

        async def inspect(self, keys, *, sha256):
            self._left -= 1
            if self._left < 0:
                raise asyncio.CancelledError
            return await self._inner.inspect(keys, sha256=sha256)

    def stopping(ports):
        return replace(ports, storage=Interrupting(ports.storage))

    with pytest.raises(asyncio.CancelledError):
        seen += verify_in(world, wrap=stopping)[1]
    report, findings = verify_in(world)
    assert report.resumed
    assert [key for _, key in findings][-1] == lost[-1]
    assert report.cursor.projects == 120
    report, findings = verify_in(world, anew=True)
    assert not report.resumed
    assert [key for _, key in findings] == lost


def test_another_kind_of_verification_begins_at_the_beginning(world):
    clock = Ticking(1.0)
    report, _ = verify_in(world, wrap=lambda ports: replace(ports, clock=clock), seconds=3.0)
    assert not report.whole
    report, _ = verify_in(world, quick=True)
    assert not report.resumed
    assert report.cursor.projects == 120


def test_a_cursor_that_nobody_can_read_is_none(world):
    asyncio.run(world.storage.write([Item(KEY, b'{"began": 1, "other": 2}')]))
    report, findings = verify_in(world)
    assert (report.whole, report.cursor.projects, findings) == (True, 120, [])


class RunInBetween:
    """The catalog, with a whole run of `mirror` between one answer and what is looked at next."""

    def __init__(self, inner, world, ports):
        self._inner, self._world, self._ports, self.has_run = inner, world, ports, False

    def __getattr__(self, name):
        return getattr(self._inner, name)

    async def holdings(self, names):
        found = await self._inner.holdings(names)
        if not self.has_run:
            self.has_run = True
            await mirror(self._ports, self._world.options, Limits(projects=3, seconds=0.01))
        return found


def test_what_a_run_changes_meanwhile_is_no_finding(world):
    """Pages are replaced, files come and go, projects are deleted: while they are compared."""
    world.index.upload("p001", "2.0")
    world.index.delete_file("p002", f"p002{WHEEL}")
    world.index.upload("p002", "3.0")
    world.index.delete_project("p003")
    world.index.quarantine("p004")
    world.index.upload("p130", "1.0")
    lost = lose(world, "p100")

    def wrap(ports):
        return replace(ports, catalog=RunInBetween(ports.catalog, world, ports))

    report, findings = verify_in(world, wrap=wrap)
    assert findings == [("missing", lost[0])]
    assert report.whole
    assert world.page("p003") is None


def test_bytes_that_a_run_has_just_brought_are_no_strays_while_it_is_at_work(world):
    asyncio.run(world.storage.write([Item("web/packages/aa/new.whl", b"x")]))
    assert verify_in(world)[1] == [("stray", "web/packages/aa/new.whl")]

    class Fresh:
        def __init__(self, inner):
            self._inner = inner

        def __getattr__(self, name):
            return getattr(self._inner, name)

        async def inspect(self, keys, *, sha256):
            found = await self._inner.inspect(keys, sha256=sha256)
            return [one and replace(one, changed=world.clock.now - 60) for one in found]

    def wrap(ports):
        return replace(ports, storage=Fresh(ports.storage))

    assert verify_in(world, wrap=wrap, is_busy=lambda: True)[1] == []
    world.clock.now += 2 * 86400
    assert verify_in(world, is_busy=lambda: True)[1] == [("stray", "web/packages/aa/new.whl")]


def test_a_lock_that_is_taken_meanwhile_leaves_findings_unrepaired(world):
    lost = lose(world, "p000", "p119")
    calls = []

    @asynccontextmanager
    async def taken():
        calls.append(1)
        raise LockHeld(".lock", "process 1")
        yield

    report, findings = verify_in(world, publisher=taken, repair=True)
    assert [key for _, key in findings] == lost
    assert (report.remaining, report.repaired) == (2, 0)
    assert "process 1" in report.not_repaired
    assert len([event for event in world.events if "not repaired" in getattr(event, "text", "")]) == 1


def test_a_repair_asks_upstream_only_for_what_is_wrong(world):
    lose(world, "p000", "p060")
    before = len(world.upstream.requests())
    report, _ = verify_in(world, repair=True)
    assert (report.remaining, report.repaired) == (0, 2)
    asked = sorted(request.target for request in world.upstream.requests()[before:])
    assert [t for t in asked if t.startswith("file:") and not t.endswith(".metadata")] == [
        f"file:p000{WHEEL}", f"file:p060{WHEEL}",
    ]  # fmt: skip
    assert [t for t in asked if t.startswith("page:")] == ["page:p000", "page:p060"]
    world.check()
    serials = {name: world.page(name)["meta"]["_last-serial"] for name in ("p000", "p001")}
    summary = world.mirror()
    assert summary.updated == 0
    assert serials == {name: world.page(name)["meta"]["_last-serial"] for name in ("p000", "p001")}


def test_a_refresh_asks_for_every_project(world):
    before = len(world.upstream.requests())
    world.index.upload("p001", "2.0")
    report, findings = verify_in(world, repair=True, refresh=True)
    assert findings == []
    pages = [r.target for r in world.upstream.requests()[before:] if r.target.startswith("page:")]
    assert len(pages) == 120
    assert len(world.page("p001")["files"]) == 2
    assert report.cursor.files == 121


def damaged(tmp_path, number):
    """A small world of which a file, a sidecar, a page and the list are not as they were, with a stray."""
    folder = tmp_path / str(number)
    folder.mkdir()
    world = World(folder)
    for name in ("A", "b", "c"):
        world.index.upload(name, "1.0")
    world.mirror()
    stored = asyncio.run(world.storage.inspect([key_of(world, name) for name in "abc"], sha256=False))
    harm = {
        key_of(world, "a"): b"x" * stored[0].size,
        f"{key_of(world, 'b')}.metadata": b"",
        "web/simple/c/index.v1_json": b"{}",
        "web/simple/index.html": b"",
        "web/packages/stray": b"?",
    }
    asyncio.run(world.storage.write([Item(key, body) for key, body in harm.items()]))
    asyncio.run(world.storage.barrier())
    return world


def test_a_repair_may_stop_at_any_effect_and_lose_what_came_after_the_last_barrier(tmp_path):
    effects = 0
    while True:
        world = damaged(tmp_path, effects)
        stopping = StopAfter(world.storage, effects)

        def wrap(ports, storage=stopping):
            return replace(ports, storage=storage)

        @asynccontextmanager
        async def opened(world=world, storage=stopping):
            catalog = await open_catalog(world.catalog_path)
            try:
                yield Ports(
                    world.upstream, storage, catalog, world.events.append, world.clock, world.clock.sleep, lambda: 0.5
                ), world.options  # fmt: skip
            finally:
                await catalog.aclose()

        try:
            report, _ = verify_in(world, wrap=wrap, publisher=opened, repair=True, delete=True)
        except PowerCut:
            pass
        else:
            assert report.remaining == 0
            break
        for storage in (
            world.storage.lose(lambda _: False),
            world.storage.lose(lambda n: n % 2 == 0),
            world.storage,
        ):
            world.storage = storage
            report, _ = verify_in(world, repair=True, delete=True, anew=True)
            assert report.remaining == 0
            world.check()
            assert "web/packages/stray" not in world.keys()
        assert world.mirror().updated == 0
        effects += 1
    assert effects > 20
