"""The built-in rules on names, as bandersnatch reads them (reference: bandersnatch 8.2, allowlist_ and blocklist_project)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frumious.filters.build import build_selection
from frumious.filters.names import allowed_names, blocked_names
from frumious.filters.rules import Selection
from frumious.filters.sections import BadSetting, Entry, Sections
from frumious.model.names import normalize

NOTHING = Selection()


def lists(allowlist=(), blocklist=()):
    values = {"allowlist": allowlist, "blocklist": blocklist}
    return Sections(
        {
            section: {"packages": tuple(Entry(line, n) for n, line in enumerate(lines, 1))}
            for section, lines in values.items()
        }
    )


@pytest.mark.parametrize(
    "line",
    [
        "Foo.Bar",
        "foo_bar>=2",
        "foo-bar[extra]",
        "Foo..Bar ; python_version < '3'",
        "foo.bar>=2 # why",
        "foo-bar  #x",
    ],
)
def test_an_allowlist_line_counts_by_its_name(line):
    assert allowed_names(lists([line])) == {"foo-bar"}


@pytest.mark.parametrize("line", ["", "   ", "# a comment", "  # indented"])
def test_comments_and_blanks_are_nothing(line):
    assert allowed_names(lists([line])) == frozenset()


@pytest.mark.parametrize(
    "line",
    ["foo*", "a b", "-x", "git+https://example.org/x", "./x.whl", "ünï", "foo; " + "(" * 5000],
    ids=lambda line: line[:9],
)
def test_a_bad_line_is_named(line):
    with pytest.raises(BadSetting, match="not a project name") as caught:
        allowed_names(lists(["good", line]))
    assert caught.value.line == 2


def test_a_blocklist_line_with_a_version_is_not_about_projects():
    assert blocked_names(lists(blocklist=["a", "b==1.0", "c[extra]", "D"])) == {"a", "d"}


def test_an_empty_allowlist_allows_everything():
    selection = build_selection(["allowlist_project"], lists())
    assert selection.judge(normalize("anything")).keep
    assert selection.only is None


def test_a_list_without_its_plugin_does_nothing():
    selection = build_selection([], lists(["a"], ["b"]))
    assert selection.rules == ()


def test_both_lists_together():
    selection = build_selection(["allowlist_project", "blocklist_project"], lists(["a", "b"], ["b"]))
    assert {name: selection.judge(normalize(name)).keep for name in "abc"} == {
        "a": True,
        "b": False,
        "c": False,
    }
    assert str(selection.judge(normalize("c"))) == "allowlist_project: not in [allowlist] packages"
    assert selection.only == {"a"}


def test_the_fingerprint_does_not_depend_on_order_or_spelling():
    one = build_selection(["allowlist_project"], lists(["A", "foo.bar>=1"]))
    other = build_selection(["allowlist_project"], lists(["Foo-Bar", "a"]))
    assert one.fingerprint == other.fingerprint != NOTHING.fingerprint


@given(st.text())
def test_any_text_is_a_line_or_a_bad_line(text):
    try:
        names = allowed_names(lists([text]))
    except BadSetting:
        return
    assert all(normalize(name) == name for name in names)


@given(st.text())
def test_keeps_answers_for_any_listed_name(display):
    name = NOTHING.keeps(display)
    assert name is None or normalize(display) == name


# ------------------------------------------------------------------ patterns


def patterns(*lines):
    return Sections({"filter_regex": {"packages": tuple(Entry(line, n) for n, line in enumerate(lines, 1))}})


PATTERNS = [
    ("foo", "foobar", False),
    ("foo", "Foo", True),
    ("foo", "a-foo", True),
    (".+-evil$", "snark-evil", False),
    (".+-evil$", "snark-evil-2", True),
    ("(?i)FOO[-.]", "Foo.Bar", False),
    ("foo-bar", "Foo.Bar", True),
    ("[A-Z] # shouting", "Foo", False),
    ("x#y", "x#y", False),
]


@pytest.mark.parametrize(("line", "display", "kept"), PATTERNS)
def test_a_pattern_drops_names_as_upstream_spells_them_from_their_start(line, display, kept):
    selection = build_selection(["regex_project"], patterns(line))
    name = normalize("foo-bar") if "#" in display else normalize(display)
    assert selection.judge(name, display).keep is kept
    assert selection.only is None


def test_a_pattern_says_that_it_matched():
    selection = build_selection(["regex_project"], patterns("a", ".*-evil"))
    assert str(selection.judge(normalize("snark-evil"))) == "regex_project: pattern '.*-evil' matches"


def test_no_patterns_are_no_rule():
    assert build_selection(["regex_project"], Sections()) == NOTHING


@pytest.mark.parametrize(
    "line",
    ["(", "*", "[z-a]", "a{99999999999999999999}", "a{" + "9" * 5000 + "}", "(?P<n>a)(?P<n>b)"],
    ids=lambda line: line[:9],
)
def test_a_bad_pattern_is_named(line):
    with pytest.raises(BadSetting, match="is not a regular expression") as caught:
        build_selection(["regex_project"], patterns("good", line))
    assert (caught.value.section, caught.value.key, caught.value.line) == ("filter_regex", "packages", 2)


def test_a_pattern_that_later_pythons_will_read_otherwise_is_used():
    assert not build_selection(["regex_project"], patterns("[[a]")).judge(normalize("a")).keep


@given(st.lists(st.text(), max_size=3), st.text())
def test_any_text_is_a_pattern_or_a_bad_pattern(lines, display):
    try:
        selection = build_selection(["regex_project"], patterns(*lines))
    except BadSetting:
        return
    selection.judge(normalize("a"), display)


def test_other_patterns_have_another_fingerprint():
    one, other = (build_selection(["regex_project"], patterns(line)) for line in ("a", "b"))
    assert one.fingerprint != other.fingerprint
