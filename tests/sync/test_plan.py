"""Decisions of a run, without a run."""

from array import array

import pytest

from frumious.catalog.base import Applied, ProjectRow
from frumious.filters.names import AllowNames, BlockNames
from frumious.filters.rules import Selection
from frumious.model.names import normalize
from frumious.model.project import ListedProject
from frumious.sync.plan import (
    LONGEST_BACKOFF,
    Wanted,
    compare_lists,
    is_done,
    is_stuck,
    next_retry,
    serial_to_publish,
    without,
)

EVERYTHING = Selection().keeps


def listed(*entries):
    return [ListedProject(name, serial) for name, serial in entries]


def applied(*entries):
    return Applied([name for name, _ in entries], array("q", [serial for _, serial in entries]))


def row(**changes):
    values = {
        "name": normalize("six"), "display": "six", "serial": 5, "published": 5, "etag": None, "body_digest": b"x",
        "page_digest": b"y", "page_modified": 0, "attempts": 0, "wanted": None, "retry_at": 0, "stuck_serial": None, "stuck_since": None,
    }  # fmt: skip
    return ProjectRow(**{**values, **changes})


def names(changes):
    return [wanted.name for wanted in changes.wanted]


def test_without_an_earlier_list_everything_is_wanted():
    changes = compare_lists(None, listed(("a", 1), ("Foo.Bar", 2)), EVERYTHING)
    assert changes.wanted == (Wanted("a", "a", 1), Wanted("foo-bar", "Foo.Bar", 2))
    assert changes.vanished == ()
    assert list(changes.applied.names) == ["a", "Foo.Bar"]


def test_only_entries_with_another_serial_are_wanted():
    before = applied(("a", 1), ("b", 2), ("c", 3))
    changes = compare_lists(before, listed(("a", 1), ("b", 7), ("d", 4)), EVERYTHING)
    assert names(changes) == ["b", "d"]
    assert changes.vanished == ("c",)


def test_the_same_list_changes_nothing():
    before = applied(("a", 1), ("b", 2))
    changes = compare_lists(before, listed(("a", 1), ("b", 2)), EVERYTHING)
    assert (changes.wanted, changes.vanished) == ((), ())


def test_entries_without_a_serial_are_always_wanted():
    before = applied(("a", 0), ("b", 2))
    assert names(compare_lists(before, listed(("a", None), ("b", 2)), EVERYTHING)) == ["a"]


def test_another_spelling_is_neither_new_directory_nor_vanished():
    before = applied(("Foo.Bar", 1), ("b", 2))
    changes = compare_lists(before, listed(("foo-bar", 9), ("b", 2)), EVERYTHING)
    assert changes.wanted == (Wanted("foo-bar", "foo-bar", 9),)
    assert changes.vanished == ()


def test_two_spellings_in_one_list_are_one_project():
    changes = compare_lists(None, listed(("Foo.Bar", 1), ("foo-bar", 2)), EVERYTHING)
    assert names(changes) == ["foo-bar"]


@pytest.mark.parametrize("name", ["../etc", "a b", "", "-x", "a\n", "ünicode"])
def test_names_that_are_no_project_names_are_passed_over(name):
    assert names(compare_lists(None, listed((name, 1), ("ok", 2)), EVERYTHING)) == ["ok"]


def test_filters_decide_what_is_wanted_and_what_can_vanish():
    keeps = Selection((AllowNames(frozenset({normalize("a"), normalize("b")})),)).keeps
    changes = compare_lists(applied(("b", 1), ("x", 1)), listed(("a", 1), ("z", 1)), keeps)
    assert names(changes) == ["a"]
    assert changes.vanished == ("b",)


def test_without_takes_entries_out():
    assert list(without(applied(("a", 1), ("b", 2)), ["a"]).names) == ["b"]
    assert list(without(applied(("a", 1), ("b", 2)), ["a"]).serials) == [2]


@pytest.mark.parametrize(
    ("wanted", "changes", "done"),
    [
        (5, {}, True),
        (4, {}, True),
        (6, {}, False),
        (None, {}, False),
        (5, {"attempts": 1}, False),
        (5, {"published": None}, False),
        (5, {"serial": None}, False),
    ],
)
def test_an_interrupted_run_does_not_repeat_what_is_done(wanted, changes, done):
    assert is_done(Wanted("six", "six", wanted), row(**changes)) is done


def test_a_project_without_a_row_is_not_done():
    assert not is_done(Wanted("six", "six", 1), None)


@pytest.mark.parametrize(
    ("upstream", "head", "published", "expected"),
    [
        (10, 0, None, 10),  # first sync: upstream's own
        (10, 9, 5, 10),  # news
        (10, 10, 5, 11),  # late: the list that shows 10 is out already
        (10, 50, 5, 51),
        (None, 50, 5, 51),  # upstream has no serials
        (None, 0, None, 1),
        (60, 50, 70, 71),  # numbers never fall
    ],
)
def test_published_serials_are_seen_and_never_fall(upstream, head, published, expected):
    assert serial_to_publish(upstream, head, row(published=published)) == expected


def test_retries_begin_at_once_and_back_off_to_a_day():
    assert [next_retry(0, n) for n in range(1, 7)] == [0, 0, 0, 900, 1800, 3600]
    assert next_retry(0, 1000) == LONGEST_BACKOFF


def test_a_serial_is_stuck_after_a_day_of_the_same_answer():
    stuck = row(stuck_serial=4, stuck_since=0)
    assert is_stuck(stuck, 4, 86400)
    assert not is_stuck(stuck, 4, 86399)
    assert not is_stuck(stuck, 5, 86400)
    assert not is_stuck(None, 4, 86400)


def test_a_plain_allowlist_is_known_in_advance():
    allow, block = (
        AllowNames(frozenset({normalize("a"), normalize("b")})),
        BlockNames(frozenset({normalize("b")})),
    )
    assert Selection((allow, block)).only == {"a"}
    assert Selection((block,)).only is None
    assert Selection((AllowNames(frozenset()),)).only is None
    assert Selection((allow,)).fingerprint != Selection((allow, block)).fingerprint
    assert Selection((allow, block)).judge(normalize("b")).rule == "blocklist_project"
