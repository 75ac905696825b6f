"""`upload_time`."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frumious.filters.age import LimitAge, instant
from frumious.filters.build import build_selection
from frumious.filters.offer import Offer
from frumious.filters.sections import BadSetting, sections
from frumious.model.names import normalize
from frumious.model.project import File

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()
DAY = 86400.0


def rule(**keys) -> LimitAge:
    (found,) = build_selection(["upload_time"], sections(upload_time=keys)).files
    return found


def judge(said: LimitAge, uploaded: str | None, name: str = "tove"):
    file = File(f"{name}-1.0.tar.gz", "u", upload_time=uploaded)
    return said.judge_file(Offer(normalize(name), name, [file], NOW), file)


@pytest.mark.parametrize(
    ("keys", "uploaded", "reason"),
    [
        ({"cool_down": "7d"}, "2026-11-20T10:00:00Z", "uploaded 2 days ago, held until 2026-11-27"),
        ({"cool_down": "1w"}, "2026-11-20T10:00:00.123456Z", "uploaded 2 days ago, held until 2026-11-27"),
        ({"cool_down": "48h"}, "2026-11-21T10:30:00Z", "uploaded 1 day ago, held until 2026-11-23 10:30 UTC"),
        ({"cool_down": "7d"}, "2026-11-22T09:00:00Z", "uploaded 3 hours ago, held until 2026-11-29"),
        ({"cool_down": "7d"}, "2026-11-22T11:58:30Z", "uploaded 1 minute ago, held until 2026-11-29"),
        ({"cool_down": "7d"}, "2026-11-22T12:00:00Z", "uploaded just now, held until 2026-11-29"),
        ({"cool_down": "7d"}, "2026-11-23T00:00:00Z", "uploaded in the future, held until 2026-11-30"),
        ({"cool_down": "2d"}, "2026-11-20T12:00:01Z", "uploaded 1 day ago, held until 2026-11-22 12:00 UTC"),
        ({"cool_down": "2d"}, "2026-11-20T12:00:00Z", None),
        ({"cool_down": "0d", "undated": "hold"}, "2026-11-22T12:00:00Z", None),
        ({"not_before": "2019-01-01"}, "2018-12-31T23:59:59Z", "uploaded on 2018-12-31, before 2019-01-01"),
        ({"not_before": "2019-01-01"}, "2019-01-01T00:00:00Z", None),
        ({"not_before": "2019-01-01T12:00:00+02:00"}, "2019-01-01T10:00:00Z", None),
        (
            {"not_before": "2019-01-01T12:00:00"},
            "2019-01-01T11:59:59Z",
            "uploaded on 2019-01-01, before 2019-01-01",
        ),
        ({"not_before": "2019-01-01", "cool_down": "1d"}, "2020-01-01T00:00:00Z", None),
    ],
)
def test_a_file_is_kept_between_the_oldest_time_and_the_cool_down(keys, uploaded, reason):
    verdict = judge(rule(**keys), uploaded)

    assert verdict.keep == (reason is None)
    if reason is not None:
        assert verdict.reason == reason
        assert verdict.rule == "upload_time"


def test_a_held_file_says_when_it_matures_and_is_kept_then():
    said = rule(cool_down="7d")
    file = File("tove-1.0.tar.gz", "u", upload_time="2026-11-20T12:00:00Z")

    until = judge(said, file.upload_time).until

    assert until == NOW + 5 * DAY
    assert said.judge_file(Offer(normalize("tove"), "tove", [file], until), file).keep
    assert not said.judge_file(Offer(normalize("tove"), "tove", [file], until - 1), file).keep


def test_time_alone_does_not_turn_what_is_too_old():
    assert judge(rule(not_before="2019-01-01"), "2018-01-01T00:00:00Z").until is None


@pytest.mark.parametrize(
    ("keys", "name", "kept"),
    [
        ({"cool_down": "7d"}, "tove", False),
        ({"cool_down": "7d", "except": "tove"}, "tove", True),
        ({"cool_down": "7d", "except": "tove 2d"}, "tove", False),
        ({"cool_down": "7d", "undated": "keep"}, "tove", True),
        ({"not_before": "2019-01-01"}, "tove", True),
        ({"not_before": "2019-01-01", "undated": "hold"}, "tove", False),
        ({"undated": "hold"}, "tove", False),
    ],
)
@pytest.mark.parametrize("undated", [None, "", "yesterday", "20-11-2026"])
def test_undated_files_are_held_where_a_cool_down_is(keys, name, kept, undated):
    verdict = judge(rule(**keys), undated, name)

    assert verdict.keep == kept
    assert verdict.until is None


def test_exceptions_have_no_cool_down_or_one_of_their_own():
    said = rule(cool_down="7d", **{"except": "Requests\nfoo.bar 1d  # quick\nslow 30 d\nnone 0d"})

    for name, uploaded, kept in [
        ("requests", "2026-11-22T11:59:59Z", True),
        ("none", "2026-11-22T11:59:59Z", True),
        ("foo-bar", "2026-11-22T00:00:00Z", False),
        ("foo-bar", "2026-11-21T00:00:00Z", True),
        ("slow", "2026-11-01T00:00:00Z", False),
        ("other", "2026-11-17T00:00:00Z", False),
        ("other", "2026-11-10T00:00:00Z", True),
    ]:
        assert judge(said, uploaded, name).keep == kept, (name, uploaded)


def test_exceptions_are_not_about_the_oldest_time():
    said = rule(not_before="2019-01-01", cool_down="7d", **{"except": "tove"})

    assert not judge(said, "2018-01-01T00:00:00Z").keep


@pytest.mark.parametrize(
    ("keys", "key", "text"),
    [
        ({}, None, "which age is wanted"),
        ({"cool_down": "0d"}, None, "which age is wanted"),
        ({"undated": "keep"}, None, "which age is wanted"),
        ({"cool_down": "7"}, "cool_down", "hours, days, weeks"),
        ({"cool_down": "7 days"}, "cool_down", "hours, days, weeks"),
        ({"cool_down": "-1d"}, "cool_down", "hours, days, weeks"),
        ({"cool_down": "1.5d"}, "cool_down", "hours, days, weeks"),
        ({"not_before": "last year"}, "not_before", "2019-01-31"),
        ({"not_before": "2019-13-01"}, "not_before", "2019-01-31"),
        ({"not_before": "2019-01-01", "undated": "drop"}, "undated", "`hold` or `keep`"),
        ({"cool_down": "1d", "except": "a b"}, "except", "one project on each line"),
        ({"cool_down": "1d", "except": "a 1d 2d"}, "except", "one project on each line"),
        ({"cool_down": "1d", "except": "-x"}, "except", "one project on each line"),
        ({"not_before": "2019-01-01", "except": "a"}, "except", "no `cool_down`"),
    ],
)
def test_a_bad_value_is_refused_with_its_place(keys, key, text):
    with pytest.raises(BadSetting, match=text) as caught:
        rule(**keys)

    assert (caught.value.section, caught.value.key) == ("upload_time", key)
    assert caught.value.line == (1 if key else None)


def test_the_fingerprint_changes_with_every_setting():
    settings = [
        {"cool_down": "7d"},
        {"cool_down": "8d"},
        {"cool_down": "7d", "not_before": "2019-01-01"},
        {"cool_down": "7d", "undated": "keep"},
        {"cool_down": "7d", "except": "a"},
        {"cool_down": "7d", "except": "a 1d"},
    ]

    assert len({rule(**keys).fingerprint for keys in settings}) == len(settings)


@given(st.one_of(st.none(), st.text(), st.datetimes().map(lambda d: d.isoformat() + "Z")), st.floats(0, 1e11))
def test_any_time_is_judged(uploaded, now):
    file = File("a-1.tar.gz", "u", upload_time=uploaded)
    said = LimitAge(0.0, 7 * 86400, hold_undated=True)

    verdict = said.judge_file(Offer(normalize("a"), "a", [file], now), file)

    assert verdict.keep or verdict.reason
    assert verdict.until is None or verdict.until > now


@given(st.text())
def test_any_text_is_an_instant_or_none(text):
    assert instant(text) is None or isinstance(instant(text), float)
