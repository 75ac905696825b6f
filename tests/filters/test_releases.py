"""bandersnatch's rules on releases, one row for each fact (reference: bandersnatch 8.2, section 5.2)."""

import itertools

import pytest

from frumious.filters.build import build_selection
from frumious.filters.offer import Offer
from frumious.filters.sections import BadSetting, sections
from frumious.model.names import normalize
from frumious.model.project import File


def offer(*versions, name="foo.bar", times=None, yanked=()):
    """Return an offer with one source archive for each version."""
    files = [
        File(
            f"{name}-{version}.tar.gz",
            "u",
            upload_time=(times or {}).get(version),
            yanked="bites" if version in yanked else None,
        )
        for version in versions
    ]
    return Offer(normalize(name), name, files, 0.0, versions)


def kept(enabled, given, **configured):
    """Return the releases of an offer that are left, in its order."""
    choice = build_selection(enabled, sections(**configured)).choose(given)
    return [given.release_of(file) for file in given.files if choice.keeps(file)]


def reasons(enabled, given, **configured):
    choice = build_selection(enabled, sections(**configured)).choose(given)
    return {release: str(verdict) for release, verdict in choice.releases.items()}


# --------------------------------------------------------------------- lists

ALLOWED = [
    ("foo.bar<2", ["1.0", "1.5rc1", "2.0"], ["1.0", "1.5rc1"]),
    ("Foo_Bar==2.0 # why", ["1.0", "2.0"], ["2.0"]),
    ("foo-bar", ["1.0", "2.0rc1"], ["1.0", "2.0rc1"]),
    ("foo-bar==1.0\nfoo-bar>=3", ["1.0", "2.0", "3.0"], ["1.0", "3.0"]),
    ("foo-bar[x]==1.0 ; python_version < '3'", ["1.0", "2.0"], ["1.0"]),
    ("foo-bar==1.0.*", ["1.0.1", "1.0.post1", "1.1"], ["1.0.1", "1.0.post1"]),
    ("foo-bar", ["1.0", "2004-x"], ["1.0"]),
    ("other", ["1.0", "2.0"], []),
    ("", ["1.0"], []),
]


@pytest.mark.parametrize(("lines", "versions", "left"), ALLOWED)
def test_an_allowlist_of_releases(lines, versions, left):
    assert kept(["allowlist_release"], offer(*versions), allowlist={"packages": lines}) == left


BLOCKED = [
    ("foo.bar<2", ["1.0", "1.5rc1", "2.0"], ["2.0"]),
    ("foo-bar", ["1.0", "2.0rc1", "2004-x"], ["2004-x"]),
    ("foo-bar==1.0\nfoo-bar>=3 # old", ["1.0", "2.0", "3.0"], ["2.0"]),
    ("other", ["1.0"], ["1.0"]),
    ("", ["1.0"], ["1.0"]),
]


@pytest.mark.parametrize(("lines", "versions", "left"), BLOCKED)
def test_a_blocklist_of_releases(lines, versions, left):
    assert kept(["blocklist_release"], offer(*versions), blocklist={"packages": lines}) == left


def test_both_lists_say_why():
    given = offer("1.0", "2.0", "x")

    assert reasons(["allowlist_release"], given, allowlist={"packages": "foo.bar<2\nfoo.bar==3"}) == {
        "2.0": "allowlist_release: [allowlist] packages wants <2 or ==3",
        "x": "allowlist_release: x is no version by PEP 440, so no line can allow it",
    }
    assert reasons(["allowlist_release"], given, allowlist={"packages": "a"})["1.0"] == (
        "allowlist_release: its project is not in [allowlist] packages"
    )
    assert reasons(["blocklist_release"], given, blocklist={"packages": "foo.bar"})["1.0"] == (
        "blocklist_release: [blocklist] packages names every version"
    )


def test_one_blocklist_serves_projects_and_releases():
    selection = build_selection(
        ["blocklist_project", "blocklist_release"], sections(blocklist={"packages": "a\nfoo.bar==2.0"})
    )

    assert not selection.judge(normalize("a")).keep
    assert selection.judge(normalize("foo-bar")).keep
    assert set(selection.choose(offer("1.0", "2.0")).releases) == {"2.0"}


# ------------------------------------------------------------------ patterns

PATTERNS = [
    (".*rc", ["1.0", "1.0rc1"], ["1.0"]),
    ("1", ["1.0", "2.1"], ["2.1"]),
    ("^1\\.0$", ["1.0", "1.0.1"], ["1.0.1"]),
    (".*RC", ["1.0rc1"], ["1.0rc1"]),
    ("a\n2 # no twos", ["1.0", "2.0"], ["1.0"]),
]


@pytest.mark.parametrize(("lines", "versions", "left"), PATTERNS)
def test_patterns_match_from_the_first_character(lines, versions, left):
    assert kept(["regex_release"], offer(*versions), filter_regex={"releases": lines}) == left


def test_a_pattern_says_that_it_matched():
    assert reasons(["regex_release"], offer("1.0rc1"), filter_regex={"releases": ".*rc"}) == {
        "1.0rc1": "regex_release: pattern '.*rc' matches 1.0rc1"
    }


# --------------------------------------------------------------- pre-releases


@pytest.mark.parametrize(
    "version",
    [
        "1.0rc1", "1.0a1", "1.0alpha2", "1.0b1", "1.0beta2", "1.0.dev1",  # bandersnatch drops them too
        "1.0c1", "1.0pre1", "1.0a", "1.0.dev", "1.0-alpha.1", "1.0a1.post1", "1.0.dev1+l", "2.0RC1", "1!0.5rc1",
        "x-rc1", "2004-xdev3",
    ],
)  # fmt: skip
def test_a_pre_release_is_dropped(version):
    assert kept(["prerelease_release"], offer(version)) == []


@pytest.mark.parametrize(
    "version", ["1.0", "1.0.post1", "1.0-2", "1.0+b1.x", "2004d", "rc1", "x-rc", "banana"]
)
def test_anything_else_is_no_pre_release(version):
    assert kept(["prerelease_release"], offer(version)) == [version]


@pytest.mark.parametrize(
    ("packages", "drops"), [("Foo.Bar", True), ("foo_bar # it", True), ("other", False), ("", True)]
)
def test_pre_releases_of_some_projects(packages, drops):
    left = kept(["prerelease_release"], offer("1.0rc1"), filter_prerelease={"packages": packages})
    assert left == ([] if drops else ["1.0rc1"])


# --------------------------------------------------------------------- latest

LATEST = [
    # keep, releases, what is left
    (1, ["1.0", "2.0"], ["2.0"]),
    (2, ["1.0", "2.0", "2.1b1", "2.1b2"], ["2.0", "2.1b2"]),
    (1, ["1.0", "2.0", "2.1b1"], ["2.0"]),
    (1, ["1.0a1", "1.0a2"], ["1.0a2"]),
    (2, ["1.2", "1.10", "1.9"], ["1.10", "1.9"]),
    (9, ["1.0", "2.0"], ["1.0", "2.0"]),
    (2, ["1.0", "2.0"], ["1.0", "2.0"]),
    (9, ["1.0", "2004-x"], ["1.0"]),
    (1, ["2004-x", "2004-y"], ["2004-y"]),
    (9, ["2004-x", "2004-y"], ["2004-x", "2004-y"]),
]


@pytest.mark.parametrize(("keep", "versions", "left"), LATEST)
def test_the_newest_by_version(keep, versions, left):
    for order in itertools.permutations(versions):
        found = kept(["latest_release"], offer(*order), latest_release={"keep": str(keep)})
        assert sorted(found) == sorted(left)


def test_a_yanked_release_is_not_the_projects_own_while_another_is_there():
    given = offer("1.0", "2.0", "3.0", yanked=["3.0", "2.0"])

    assert kept(["latest_release"], given, latest_release={"keep": "1"}) == ["1.0"]
    assert kept(["latest_release"], given, latest_release={"keep": "2"}) == ["1.0", "3.0"]
    given = offer("1.0", "2.0", yanked=["1.0", "2.0"])
    assert kept(["latest_release"], given, latest_release={"keep": "1"}) == ["2.0"]


TIMES = {
    "0.9": "2025-01-02T00:00:00Z",
    "1.0": "2025-03-01T00:00:00Z",
    "1.1": "2025-03-01T00:00:00.5Z",
    "2.0": "2024-01-01T00:00:00.000000Z",
}
BY_TIME = [
    (1, ["0.9", "1.0", "2.0"], ["2.0"]),  # it is the one that an index shows
    (2, ["0.9", "1.0", "2.0"], ["1.0", "2.0"]),
    (2, ["0.9", "1.0", "1.1"], ["1.0", "1.1"]),
    (1, ["1.0", "1.1"], ["1.1"]),
    (2, ["1.0", "5.0", "2.0"], ["1.0", "5.0"]),  # 5.0 is undated
    (1, ["old", "older"], ["older"]),  # without dates the text decides
]


@pytest.mark.parametrize(("keep", "versions", "left"), BY_TIME)
def test_the_newest_by_time(keep, versions, left):
    for order in itertools.permutations(versions):
        found = kept(
            ["latest_release"],
            offer(*order, times=TIMES),
            latest_release={"keep": str(keep), "sort_by": "time"},
        )
        assert sorted(found) == sorted(left)


def test_the_first_file_of_a_release_dates_it():
    files = [
        File("foo-0.9-py3-none-any.whl", "u", upload_time="2025-08-01T00:00:00Z"),
        File("foo-0.9.tar.gz", "u", upload_time="2019-01-01T00:00:00Z"),
        File("foo-0.8.tar.gz", "u", upload_time="2020-01-01T00:00:00Z"),
        File("foo-1.0.tar.gz", "u", upload_time="2018-01-01T00:00:00Z"),
    ]
    given = Offer(normalize("foo"), "foo", files, 0.0, ["0.8", "0.9", "1.0"])

    left = kept(["latest_release"], given, latest_release={"keep": "2", "sort_by": "time"})
    assert left == ["0.8", "1.0"]


def test_the_newest_are_chosen_among_what_other_rules_leave_whatever_their_order():
    for versions in (["1.0", "2.0", "3.0a1", "3.0a2"], ["3.0a2", "3.0a1", "2.0", "1.0"]):
        for enabled in (["prerelease_release", "latest_release"], ["latest_release", "prerelease_release"]):
            left = kept(enabled, offer(*versions), latest_release={"keep": "2"})
            assert sorted(left) == ["1.0", "2.0"]


def test_the_place_of_the_projects_own_release_goes_to_the_newest_final_one_that_is_left():
    left = kept(
        ["blocklist_release", "latest_release"],
        offer("1.0", "2.0", "3.0b1", "3.0b2"),
        blocklist={"packages": "foo.bar==2.0"},
        latest_release={"keep": "2"},
    )
    assert left == ["1.0", "3.0b2"]


def test_a_release_without_files_is_none():
    given = Offer(normalize("foo"), "foo", [File("foo-1.0.tar.gz", "u")], 0.0, ["1.0", "2.0"])

    assert kept(["latest_release"], given, latest_release={"keep": "1"}) == ["1.0"]


def test_the_newest_say_who_they_are():
    given = offer("1.0", "1.1", "2.0", "x")

    assert reasons(["latest_release"], given, latest_release={"keep": "1"}) == {
        "1.0": "latest_release: not the newest (2.0)",
        "1.1": "latest_release: not the newest (2.0)",
        "x": "latest_release: x is no version by PEP 440, so it has no rank",
    }
    assert reasons(["latest_release"], given, latest_release={"keep": "2"})["1.0"] == (
        "latest_release: not among the newest 2 (2.0, 1.1)"
    )


def test_keep_0_keeps_every_release():
    assert kept(["latest_release"], offer("1.0", "2.0"), latest_release={"keep": "0"}) == ["1.0", "2.0"]


# --------------------------------------------------------------------- errors

BAD = [
    ("latest_release", {}, "latest_release", "keep", None, "whole number"),
    ("latest_release", {"latest_release": {"sort_by": "time"}}, "latest_release", "keep", None, "whole number"),
    ("latest_release", {"latest_release": {"keep": "-1"}}, "latest_release", "keep", 1, "whole number"),
    ("latest_release", {"latest_release": {"keep": "all"}}, "latest_release", "keep", 1, "whole number"),
    ("latest_release", {"latest_release": {"keep": "1\n2"}}, "latest_release", "keep", 2, "more than one line"),
    ("latest_release", {"latest_release": {"keep": "1", "sort_by": "date"}}, "latest_release", "sort_by", 1, "`version` or `time`"),
    ("regex_release", {"filter_regex": {"releases": "a\n("}}, "filter_regex", "releases", 2, "not a regular expression"),
    ("allowlist_release", {"allowlist": {"packages": "a\nb c"}}, "allowlist", "packages", 2, "not a project name"),
    ("blocklist_release", {"blocklist": {"packages": "a\n\n*"}}, "blocklist", "packages", 3, "not a project name"),
    ("prerelease_release", {"filter_prerelease": {"packages": "a>1"}}, "filter_prerelease", "packages", 1, "one project"),
]  # fmt: skip


@pytest.mark.parametrize(("plugin", "configured", "section", "key", "line", "problem"), BAD)
def test_what_cannot_be_used_is_refused_with_its_place(plugin, configured, section, key, line, problem):
    with pytest.raises(BadSetting, match=problem) as caught:
        build_selection([plugin], sections(**configured))

    assert (caught.value.section, caught.value.key, caught.value.line) == (section, key, line)


def test_what_is_needed_and_missing_comes_with_an_example():
    with pytest.raises(BadSetting) as caught:
        build_selection(["latest_release"], sections())

    assert "keep = 3" in caught.value.hint


# --------------------------------------------------------------- fingerprints


@pytest.mark.parametrize(
    ("plugin", "one", "other"),
    [
        ("allowlist_release", {"allowlist": {"packages": "a<1"}}, {"allowlist": {"packages": "a<2"}}),
        ("blocklist_release", {"blocklist": {"packages": "a<1"}}, {"blocklist": {"packages": "b<1"}}),
        ("regex_release", {"filter_regex": {"releases": "a"}}, {"filter_regex": {"releases": "a\nb"}}),
        ("prerelease_release", {}, {"filter_prerelease": {"packages": "a"}}),
        ("latest_release", {"latest_release": {"keep": "1"}}, {"latest_release": {"keep": "2"}}),
        (
            "latest_release",
            {"latest_release": {"keep": "1"}},
            {"latest_release": {"keep": "1", "sort_by": "time"}},
        ),
    ],
)
def test_other_settings_have_another_fingerprint(plugin, one, other):
    prints = [
        build_selection([plugin], sections(**configured)).choice_fingerprint
        for configured in (one, other, one)
    ]
    assert prints[0] == prints[2] != prints[1]


def test_the_order_of_lines_does_not_matter():
    one, other = (
        build_selection(["allowlist_release"], sections(allowlist={"packages": text})).choice_fingerprint
        for text in ("A<1\nb\na>3", "b\na>3\na<1")
    )
    assert one == other
