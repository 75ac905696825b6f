"""A clock that jumps, between runs and within one: nothing is put off for years, nothing goes backwards."""

import asyncio

import pytest

from frumious.sync.options import Removal
from frumious.sync.summary import ExitCode
from support.index import Edit, Stale, Status
from support.world import World

DAY, YEAR = 86400, 365 * 86400


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path, removal=Removal(trash_seconds=30 * DAY))
    for name in ("alpha", "beta", "gamma"):
        world.index.upload(name, "1.0")
    return world


def modified(world, name):
    (stat,) = asyncio.run(world.storage.stat([f"web/simple/{name}/index.v1_json"]))
    return stat.modified


def jump(world, seconds):
    world.clock.now += seconds


def test_back_a_year_between_runs(world):
    world.mirror()
    was = modified(world, "alpha")
    jump(world, -YEAR)
    world.index.upload("alpha", "1.1")
    world.faults.add("page:beta", Status(450))
    world.index.upload("beta", "1.1")
    summary = world.mirror()
    assert modified(world, "alpha") == was + 1
    assert 0 <= summary.seconds < 60
    assert world.mirror().exit_code is ExitCode.WHOLE, "the retry did not wait for the old time"
    assert world.text("web/last-modified").startswith("2026"), "it says what the clock says"


@pytest.mark.parametrize("moment", ["list", "page:beta"])
def test_back_a_year_within_a_run(world, moment):
    world.mirror()
    for name in ("alpha", "beta"):
        world.index.upload(name, "1.1")
    was = modified(world, "beta")
    world.faults.add(moment, Edit(lambda: jump(world, -YEAR)))
    summary = world.mirror()
    assert summary.exit_code is ExitCode.WHOLE
    assert 0 <= summary.seconds < 60
    assert modified(world, "beta") > was


def test_ahead_ten_years_for_one_run(world):
    """What that run recorded for its own future is looked at as soon as the clock is right again."""
    world.mirror()
    world.index.delete_project("gamma")
    world.index.upload("alpha", "1.1")
    world.index.upload("beta", "1.1")
    world.faults.add("page:beta", Status(450), times=4)
    jump(world, 10 * YEAR)
    assert 0 <= world.mirror().seconds < 60
    world.mirror()
    for _ in range(3):  # so that its next try is hours away, in ten years
        world.mirror()
    assert world.catalog(lambda catalog: catalog.owed())[0].attempts == 4
    was = modified(world, "alpha")
    jump(world, -10 * YEAR)
    asked = len(world.upstream.requests("page:*"))
    assert world.mirror().exit_code is ExitCode.WHOLE, "the retry came at once"
    assert {r.target for r in world.upstream.requests("page:*")[asked:]} == {"page:alpha", "page:beta"}
    (trashed, *_) = world.catalog(lambda catalog: catalog.trash(int(world.clock.now), 9))
    assert trashed.at <= world.clock.now, "it stays for `trash-days`, not for ten years"
    world.index.upload("alpha", "1.2")
    world.mirror()
    assert modified(world, "alpha") == was + 1
    asked = len(world.upstream.requests("page:*"))
    world.mirror()
    assert world.upstream.requests("page:*")[asked:] == [], "pulled in once, not in every run"


def test_ahead_between_runs_loses_nothing_but_what_is_old_by_then(world):
    world.mirror()
    world.index.delete_file("gamma", "gamma-1.0-py3-none-any.whl")
    world.mirror()
    trash = world.keys(".frumious/trash/")
    assert trash
    jump(world, 29 * DAY)
    world.mirror()
    assert world.keys(".frumious/trash/") == trash
    jump(world, 10 * YEAR)
    assert world.mirror().exit_code is ExitCode.WHOLE
    assert world.keys(".frumious/trash/") == []


def test_a_page_that_is_stale_for_a_day_is_so_by_the_clock_that_is_right(world):
    world.mirror()
    jump(world, YEAR)
    world.index.upload("beta", "1.1")
    world.faults.add("page:beta", Stale(), times=None)
    world.mirror()
    jump(world, -YEAR)
    for _ in range(3):
        assert world.mirror().exit_code is ExitCode.OWED
    jump(world, DAY + 60)
    assert world.mirror().exit_code is ExitCode.WHOLE, "a day, not a year"
