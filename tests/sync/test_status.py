"""How a mirror stands, without a command line: the value, and what it is made of."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frumious.catalog.base import Owed, RunRecord
from frumious.errors import FrumiousError
from frumious.model.names import normalize
from frumious.storage.base import Item
from frumious.sync.options import Removal
from frumious.sync.status import (
    Place,
    Stage,
    lag_seconds,
    lag_serials,
    longest_first,
    report,
    too_late,
)
from support.faults import PowerCut, StopAfter
from support.index import Hang, Reset, Status
from support.world import START, World

PLACE = Place("frumious.conf", "/srv/mirror", "https://index.example.org", 4096, None)
HOUR = 3600


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    for name in ("a", "b", "c"):
        made.index.upload(name, "1.0")
    return made


def look(world, place=PLACE, *, ask=True):
    return world.ask(lambda ports: report(ports, world.options, place, ask_upstream=ask))


# ------------------------------------------------------------------------ lag


def ended(started):
    return RunRecord("mirror", started, started + 60, 0, "{}")


@pytest.mark.parametrize(
    ("ours", "theirs", "serials"), [(5, 9, 4), (5, 5, 0), (9, 5, 0), (None, 5, None), (5, None, None)]
)
def test_the_lag_in_serials_is_what_upstream_has_more(ours, theirs, serials):
    assert lag_serials(ours, theirs) == serials


@pytest.mark.parametrize(
    ("ours", "theirs", "through", "seconds"),
    [
        (5, 5, ended(100), 0),
        (5, 5, None, 0),
        (5, 9, ended(100), 900),
        (5, None, ended(100), 900),
        (5, 9, None, None),
        (5, 9, ended(2000), 1),  # a clock that was set back
    ],
)
def test_the_lag_in_time_counts_from_the_beginning_of_the_last_run_that_asked(ours, theirs, through, seconds):
    assert lag_seconds(ours, theirs, through, 1000) == seconds


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_no_lag_is_ever_negative_and_no_serials_means_no_time(ours, theirs, started, now):
    serials, seconds = lag_serials(ours, theirs), lag_seconds(ours, theirs, ended(started), now)
    assert serials >= 0
    assert seconds >= 0
    if not serials:
        assert seconds == 0


def test_upstream_ahead_is_told_with_the_time_since_the_last_run(world):
    world.mirror()
    found = look(world)
    assert (found.lag_serials, found.lag_seconds) == (0, 0)
    started = found.last_run.started
    world.index.upload("a", "2.0")
    ahead = world.index.serial - found.serial
    found = look(world)
    assert (found.lag_serials, found.lag_seconds) == (ahead, found.at - started)
    assert found.upstream.serial == world.index.serial


def test_an_upstream_without_serials_leaves_the_time(tmp_path):
    world = World(tmp_path, dialect="json-1.0-no-serials")
    world.index.upload("a", "1.0")
    world.mirror()
    found = look(world)
    assert (found.serial, found.upstream.serial, found.upstream.error, found.lag_serials) == (
        None,
        None,
        None,
        None,
    )
    assert found.lag_seconds == found.at - found.last_run.started


def test_an_upstream_that_cannot_be_asked_is_part_of_the_answer(world):
    world.mirror()
    world.faults.add("serial", Reset(), times=None)
    found = look(world)
    assert found.upstream.asked
    assert "index" in found.upstream.error
    assert (found.serial, found.lag_serials) == (world.index.serial, None)


def test_offline_asks_nothing(world):
    world.mirror()
    asked = len(world.upstream.requests())
    world.faults.add("*", Hang(), times=None)
    found = look(world, ask=False)
    assert len(world.upstream.requests()) == asked
    assert not found.upstream.asked
    assert found.lag_serials is None


# --------------------------------------------------------------------- stages


def test_the_stages_of_a_directory(world):
    none = replace(PLACE, catalog_bytes=None)
    assert look(world, none).stage is Stage.NOTHING
    assert look(world).stage is Stage.BEGUN
    world.mirror()
    assert look(world).stage is Stage.MIRROR
    assert look(world, none).stage is Stage.TREE


def test_a_fresh_mirror_has_nothing_to_say(world):
    found = look(world)
    assert (found.serial, found.lag_seconds, found.last_run, found.at_work, found.failing) == (
        None,
        None,
        None,
        None,
        (),
    )
    assert found.totals.projects == 0


# ----------------------------------------------------------------------- runs


def test_the_last_run_the_last_through_and_the_last_whole_are_three_things(world):
    world.mirror()
    whole = look(world).last_run
    world.faults.add("page:a", Status(500), times=None)
    world.index.upload("a", "2.0")
    world.mirror()
    found = look(world)
    assert found.last_run.exit_code == 3
    assert (found.last_run.failed, found.last_run.updated) == (1, 0)
    assert (found.last_through, found.last_whole) == (found.last_run, whole)
    world.sync("b")
    found = look(world)
    assert found.last_run.command == "sync"
    assert found.last_through.command == "mirror"


def test_a_run_that_an_error_ends_is_the_last_run(world):
    world.mirror()
    through = look(world).last_run
    world.faults.add("list", Status(403))
    with pytest.raises(FrumiousError) as caught:
        world.mirror()
    found = look(world)
    assert (found.last_run.command, found.last_run.exit_code) == ("mirror", 1)
    assert found.last_run.stopped == str(caught.value)
    assert (found.last_through, found.at_work) == (through, None)


def test_a_run_that_is_ended_from_outside_is_known_until_the_next_one(world):
    world.mirror()
    last = look(world).last_run
    world.index.upload("a", "2.0")
    with pytest.raises((PowerCut, ExceptionGroup)):
        world.mirror(storage=StopAfter(world.storage, 6), check=False)
    found = look(world)
    assert (found.at_work.command, found.at_work.holder, found.last_run) == ("mirror", None, last)
    assert look(world, replace(PLACE, holder="process 7")).at_work.holder == "process 7"
    world.mirror()
    assert look(world).at_work is None


def test_a_lock_that_no_run_holds_is_told(world):
    world.mirror()
    work = look(world, replace(PLACE, holder="process 7")).at_work
    assert (work.holder, work.command, work.started) == ("process 7", None, None)


def test_a_confirmation_that_is_no_use_is_no_run(world):
    world.mirror()
    last = look(world).last_run
    world.options = replace(world.options, removal=Removal(confirmed="nonsense"))
    with pytest.raises(FrumiousError):
        world.mirror()
    found = look(world)
    assert (found.last_run, found.at_work) == (last, None)


# -------------------------------------------------------------------- backlog


def test_failing_projects_come_with_everything_there_is_to_know(world):
    world.faults.add("page:a", Status(500), times=None)
    for _ in range(5):
        world.mirror()
    found = look(world)
    (one,) = found.failing
    assert (one.name, one.kind, one.attempts) == ("a", "bad-status", 4)  # the fourth made it wait
    assert "500" in one.message
    assert found.at < one.retry_at <= found.at + 900
    assert (found.backlog.owed, found.backlog.retries_due) == (1, 0)
    assert one.since <= found.at - 240


def owed(name, since):
    return Owed(normalize(name), name, None, "bad-status", "answered 500", 3, since, 0)


@given(st.permutations([owed("a", 5), owed("b", 1), owed("c", 5), owed("d", 9)]))
def test_what_has_failed_longest_comes_first(given_):
    assert [one.name for one in longest_first(given_)] == ["b", "a", "c", "d"]


def test_removals_that_wait_are_named_until_they_are_made(world):
    world.options = replace(world.options, removal=Removal(max_projects=0, max_files=0, max_percent=0))
    world.mirror()
    assert look(world).held_back is None
    world.index.delete_project("a")
    world.mirror()
    held = look(world).held_back
    assert (held.projects, held.files, held.names) == (1, 1, ("a",))
    world.sync("b")
    assert look(world).held_back == held  # a run that asked nobody about it says nothing
    confirmed = replace(world.options.removal, confirmed=held.plan)
    world.options = replace(world.options, removal=confirmed)
    world.mirror()
    found = look(world)
    assert found.held_back is None
    assert (found.backlog.trashed > 0, found.backlog.leaving) == (True, 0)
    assert found.trashed_until == found.backlog.trashed_first + 30 * 24 * HOUR


def test_what_another_program_wrote_is_noticed(world):
    world.mirror()
    assert not look(world).changed_by_others

    async def write(ports):
        await ports.storage.write([Item("status", b"7")])

    world.ask(write)
    found = look(world)
    assert (found.changed_by_others, found.serial) == (True, 7)


@pytest.mark.parametrize("text", ["", "x", "-1", "1" * 30, "\u0661"])
def test_a_status_that_says_nothing_is_no_serial(world, text):
    async def write(ports):
        await ports.storage.write([Item("status", text.encode())])

    world.ask(write)
    assert look(world, replace(PLACE, catalog_bytes=None)).serial is None


def test_the_totals_are_those_of_the_mirror(world):
    world.mirror()
    totals = look(world).totals
    sizes = [len(world.read(key)) for key in world.keys("web/packages/")]
    assert (totals.projects, totals.files, totals.bytes) == (3, 3, sum(sizes))
    assert (totals.free_bytes, totals.catalog_bytes) == (10**15, 4096)


# ----------------------------------------------------------------- monitoring


def test_a_mirror_that_is_up_to_date_is_not_late(world):
    assert too_late(look(world), HOUR) == ["no run has looked at everything yet"]
    world.mirror()
    assert too_late(look(world), HOUR) == []
    world.clock.now += 2 * HOUR
    (late,) = too_late(look(world), HOUR)
    assert late.startswith("the last run that looked at everything began 2 h")
    assert late.endswith("more than 1 h 0 min")


def test_a_failure_is_late_when_it_lasts(world):
    world.faults.add("page:[ab]", Status(500), times=None)
    world.mirror()
    assert too_late(look(world), HOUR) == []  # it passes by itself, most often
    world.clock.now += 2 * HOUR
    world.mirror()
    assert too_late(look(world), HOUR) == ["a and 1 more: owed for more than 1 h 0 min"]


def test_removals_that_wait_are_an_alarm_at_once(world):
    world.options = replace(world.options, removal=Removal(max_projects=0, max_files=0, max_percent=0))
    world.mirror()
    world.index.delete_project("a")
    world.mirror()
    found = look(world)
    assert too_late(found, HOUR) == [f"removals wait to be confirmed: {found.held_back.plan}"]


# ----------------------------------------------------------------------- JSON


def test_the_json_is_plain_and_says_everything(world):
    world.faults.add("page:a", Status(500), times=None)
    world.mirror()
    found = look(world, replace(PLACE, holder="process 7"))
    said = json.loads(json.dumps(found.as_json()))
    assert said["stage"] == "mirror"
    assert said["at"] == found.at >= START
    assert said["failing"][0]["name"] == "a"
    assert said["at_work"]["holder"] == "process 7"
    assert said["last_run"]["exit_code"] == 3
    assert said["last_whole"] is None
    assert said["totals"]["projects"] == 2


def test_looking_changes_nothing(world):
    world.mirror()
    before, catalog = world.tree(), world.catalog(lambda c: c.last_runs())
    look(world)
    assert world.tree() == before
    assert world.catalog(lambda c: c.last_runs()) == catalog
