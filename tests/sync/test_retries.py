"""What failed yesterday costs a run its retries, and nothing else: counted in requests."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frumious.catalog.base import Batch, Failure
from frumious.model.names import normalize
from frumious.sync.plan import LONGEST_BACKOFF, next_retry
from support.index import Cut, Garbage, Reset, SimulatedIndex, Status, serve
from support.program import Mirror
from support.world import World

HOUR = 3600


@given(st.integers(0, 2**40), st.integers(1, 10**6), st.integers(0, 1000))
def test_a_retry_never_comes_sooner_after_more_failures_and_never_later_than_a_day(now, attempts, more):
    wait, longer = next_retry(now, attempts) - now, next_retry(now, attempts + more) - now
    assert 0 <= wait <= longer <= LONGEST_BACKOFF
    assert wait == (0 if attempts <= 3 else min(LONGEST_BACKOFF, 900 * 2 ** min(attempts - 4, 30)))


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    for name in ("a", "b", "bad", "c"):
        made.index.upload(name, "1.0")
    return made


def owed(world, name="bad"):
    return next((o for o in world.catalog(lambda c: c.owed()) if o.name == name), None)


def run(world) -> list[str]:
    """Run, and return what was asked for."""
    before = len(world.upstream.requests())
    world.mirror()
    return [request.target for request in world.upstream.requests()[before:]]


def test_a_run_with_nothing_new_asks_for_what_is_due_and_for_nothing_else(world):
    world.faults.add("page:bad", Status(500), times=None)
    world.mirror()
    asked = 0
    for _ in range(6 * 10):  # ten days, every four hours
        world.clock.now += 4 * HOUR - 60
        is_due = owed(world).retry_at <= world.clock.now + 60
        targets = [target for target in run(world) if target != "list"]
        assert targets == ["page:bad"] * is_due
        asked += is_due
    assert owed(world).attempts == asked + 1
    assert 10 <= asked <= 20  # of 60: a few at first, then one a day


FAULTS = {
    "page:bad-0": Status(500),
    "page:bad-1": Reset(),
    "page:bad-2": Garbage(),
    "file:bad_3-*.whl": Status(403),
    "file:bad_4-*.whl": Cut(5),
}


def test_what_has_failed_a_hundred_times_is_left_alone_until_its_time(world):
    for number, (target, effect) in enumerate(FAULTS.items()):
        world.index.upload(f"bad-{number}", "1.0")
        world.faults.add(target, effect, times=None)
    world.mirror()
    names = [f"bad-{number}" for number in range(len(FAULTS))]
    before = [
        Failure(normalize(name), name, None, "bad-status", "answered 500", int(world.clock.now))
        for name in names
    ]

    async def fail(catalog):
        for _ in range(95):
            await catalog.commit_batch(Batch(int(world.clock.now), failed=before))

    world.catalog(fail)
    while owed(world, "bad-0").attempts < 100:
        world.clock.now = max(world.clock.now, owed(world, "bad-0").retry_at)
        world.mirror()
    assert {owed(world, name).attempts for name in names} == {100}
    for _ in range(5):
        world.clock.now += 4 * HOUR
        assert run(world) == ["list"]
    world.index.upload("a", "2.0")
    assert not [target for target in run(world) if "bad" in target]  # news of others does not bring it up
    world.faults.clear()
    world.clock.now = max(owed(world, name).retry_at for name in names)
    run(world)
    assert [owed(world, name) for name in names] == [None] * 5
    assert all(world.page(name) for name in names)


def test_news_of_a_failing_project_is_asked_for_at_once(world):
    world.faults.add("page:bad", Status(500), times=None)
    for _ in range(8):
        world.mirror()
    assert run(world) == ["list"]
    world.faults.clear()
    world.index.upload("bad", "2.0")
    assert "page:bad" in run(world)
    assert owed(world) is None


def test_many_that_fail_wait_each_for_itself(world):
    for number in range(30):
        world.index.upload(f"bad-{number}", "1.0")
    world.faults.add("page:bad-*", Status(500), times=None)
    for _ in range(4):
        world.mirror()
    world.index.upload("late", "1.0")
    world.faults.add("page:late", Status(500), times=None)
    for _ in range(3):
        assert [target for target in run(world) if target != "list"] == ["page:late"]
    known = world.catalog(lambda c: c.known([normalize("late"), normalize("bad-1")]))
    assert (known["late"].attempts, known["bad-1"].attempts) == (3, 4)


def test_a_host_that_asks_for_a_pause_gets_it_and_the_run_goes_on(tmp_path):
    index = SimulatedIndex()
    for name in ("a", "b", "c"):
        index.upload(name, "1.0")
    with serve(index) as served:
        mirror = Mirror(tmp_path, served)
        served.faults.add("page:b", Status(429, retry_after=1))
        done = mirror.run("mirror")
        assert done.returncode == 0, done.stderr
        assert done.stderr.count(" asks to wait 1 s") == 1
        assert len(served.requests("page:b")) == 2
        assert len(served.requests("page:*")) == 4
