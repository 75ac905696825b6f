"""`latest_per_line`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frumious.filters.build import build_selection
from frumious.filters.latest import LatestPerLine
from frumious.filters.offer import Offer
from frumious.filters.sections import BadSetting, sections
from frumious.model.names import normalize
from frumious.model.project import File

OFFER = Offer(normalize("mome"), "mome", (), 0.0)


def kept(releases: str, rule: LatestPerLine) -> str:
    dropped = rule.judge_releases(OFFER, releases.split())
    return " ".join(release for release in releases.split() if release not in dropped)


@pytest.mark.parametrize(
    ("keep", "parts", "releases", "left"),
    [
        (1, 2, "1.0 1.1 1.1.1 1.1.2 2.0.0 2.0.1", "1.0 1.1.2 2.0.1"),
        (2, 2, "1.1 1.1.1 1.1.2 2.0.0", "1.1.1 1.1.2 2.0.0"),
        (1, 1, "1.0 1.10 1.9 2.0 2.0.1", "1.10 2.0.1"),
        (2, 1, "0.9 1.0 1.10 1.9 2.0", "0.9 1.10 1.9 2.0"),
        (9, 2, "1.0 1.0.1", "1.0 1.0.1"),
        # Pre-releases count where nothing else is there.
        (1, 2, "1.0a1 1.0rc1 1.0 1.1a1 1.1b1", "1.0 1.1b1"),
        (2, 2, "1.0 1.0.1rc1 1.0.1", "1.0 1.0.1"),
        (2, 2, "1.0 1.0.1rc1", "1.0"),
        (1, 2, "3.0.dev1 3.0.dev2", "3.0.dev2"),
        (1, 2, "1.0 1.0.post1", "1.0.post1"),
        # One part is a line of its own; an epoch is another world.
        (1, 2, "1 1.0.1 2", "1.0.1 2"),
        (1, 1, "2020.1 2021.3 1!0.5 1!0.6", "2020.1 2021.3 1!0.6"),
        # Builds of one version, and spellings of it, are one release.
        (1, 2, "2.0+cpu 2.0+cu121 2.0.1+cpu 2.0.1+cu121", "2.0.1+cpu 2.0.1+cu121"),
        (1, 2, "1.0 1.0.0", "1.0 1.0.0"),
        # What is no version is not ours to judge.
        (1, 2, "banana 1.0 1.0.1 2004-x", "banana 1.0.1 2004-x"),
        (1, 2, "", ""),
    ],
)
def test_the_newest_of_each_line_are_kept(keep, parts, releases, left):
    assert kept(releases, LatestPerLine(keep, parts)) == left


@pytest.mark.parametrize(
    ("keep", "release", "reason"),
    [
        (1, "1.0", "not the newest of line 1.0"),
        (2, "1.0", "not among the newest 2 of line 1.0"),
        (1, "1.0.3a1", "a pre-release, and line 1.0 has final releases"),
        (1, "1!1.0", "not the newest of line 1!1.0"),
    ],
)
def test_the_reason_names_the_line(keep, release, reason):
    releases = ["1.0", "1.0.1", "1.0.2", "1.0.3a1", "1!1.0", "1!1.0.1"]

    assert LatestPerLine(keep).judge_releases(OFFER, releases)[release].reason == reason


def test_the_section_is_read():
    rules = build_selection(
        ["latest_per_line"],
        sections(latest_per_line={"keep": "3", "line": "major", "packages": "Mome\nrath"}),
    )

    assert rules.releases == (LatestPerLine(3, 1, frozenset({"mome", "rath"})),)


def test_lines_are_minor_by_default_and_all_projects_are_meant():
    rules = build_selection(["latest_per_line"], sections(latest_per_line={"keep": f"{'0' * 5000}3"}))

    assert rules.releases == (LatestPerLine(3, 2),)


def test_other_projects_are_left_alone():
    assert kept("1.0 1.0.1", LatestPerLine(1, packages=frozenset({normalize("rath")}))) == "1.0 1.0.1"


@pytest.mark.parametrize(
    ("keys", "key", "text"),
    [
        ({}, "keep", "required"),
        ({"keep": "0"}, "keep", "1 or more"),
        ({"keep": "-2"}, "keep", "1 or more"),
        ({"keep": "two"}, "keep", "1 or more"),
        ({"keep": "1", "line": "patch"}, "line", "`major` or `minor`"),
        ({"keep": "1", "packages": "a b"}, "packages", "one project on each line"),
    ],
)
def test_a_bad_value_is_refused_with_its_place(keys, key, text):
    with pytest.raises(BadSetting, match=text) as caught:
        build_selection(["latest_per_line"], sections(latest_per_line=keys))

    assert (caught.value.section, caught.value.key) == ("latest_per_line", key)


def test_it_chooses_among_what_files_are_left_of():
    files = [
        File("mome-1.0.1.tar.gz", "u", yanked="bad"),
        File("mome-1.0.tar.gz", "u"),
        File("mome-0.9.tar.gz", "u"),
    ]
    offer = Offer(normalize("mome"), "mome", files, 0.0)

    choice = build_selection(
        ["latest_per_line", "exclude_yanked"], sections(latest_per_line={"keep": "1"})
    ).choose(offer)

    assert [file.filename for file in files if choice.keeps(file)] == ["mome-1.0.tar.gz", "mome-0.9.tar.gz"]


versions = st.one_of(
    st.text(max_size=8),
    st.from_regex(
        r"([0-2]!)?[0-3](\.[0-3]){0,3}((a|b|rc)[0-2])?(\.post[0-2])?(\.dev[0-2])?(\+x)?", fullmatch=True
    ),
)


@given(st.lists(versions, unique=True), st.randoms(), st.integers(1, 3), st.integers(1, 2))
def test_order_never_matters_and_nothing_raises(releases, random, keep, parts):
    rule = LatestPerLine(keep, parts)
    verdicts = rule.judge_releases(OFFER, releases)
    random.shuffle(releases)

    assert rule.judge_releases(OFFER, releases) == verdicts
    left = [release for release in releases if release not in verdicts]
    assert bool(left) == bool(releases)
    # What is left is a fixed point.
    assert rule.judge_releases(OFFER, left) == {}
