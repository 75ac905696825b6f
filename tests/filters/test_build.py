"""All built-in plugins together: the table, unknown names, and what holds of every rule."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frumious.config import parse_config
from frumious.config.plugins import BANDERSNATCH_PLUGINS, PLUGINS
from frumious.errors import ConfigError
from frumious.filters.build import BUILDERS, UnknownPlugin, build_selection
from frumious.filters.offer import Offer
from frumious.filters.rules import EVERYTHING, KEEP, Verdict
from frumious.filters.sections import Sections, sections
from frumious.model.names import normalize
from frumious.model.project import Digest, File
from frumious.wiring import selection_of

BASE = "[mirror]\ndirectory = /srv/pypi\nmaster = https://index.example.org\n"


def test_the_configuration_knows_exactly_the_plugins_that_are_built():
    assert set(PLUGINS) == set(BUILDERS)


# --------------------------------------------------------------- unknown names


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("allowlist_projects", "did you mean `allowlist_project`?"),
        ("latest-release", "did you mean `latest_release`?"),
        ("zzz", "one that is not built in has to be installed"),
    ],
)
def test_a_name_that_no_plugin_has_is_refused_with_a_hint(name, hint):
    with pytest.raises(UnknownPlugin, match=f"there is no plugin '{name}'") as caught:
        build_selection([name], Sections())
    assert caught.value.hint == hint

    with pytest.raises(ConfigError) as told:
        selection_of(parse_config(f"{BASE}[plugins]\nenabled =\n  blocklist_project\n  {name}\n", "m.conf"))
    assert str(told.value) == f"m.conf:7: [plugins] enabled: there is no plugin {name!r}"
    assert told.value.hint is not None


def test_a_plugin_from_elsewhere_gets_the_same_context():
    seen = []

    def build(context, rules):
        seen.append((context.enabled, context.mirror["workers"], context.sections.one("mine", "x").text))
        context.warn("hm")

    warnings = []
    build_selection(
        ["mine"],
        sections(mine={"x": "1"}),
        warnings.append,
        others={"mine": build},
        mirror={"workers": "3"},
    )

    assert seen == [(frozenset({"mine"}), "3", "1")]
    assert warnings == ["hm"]


def test_a_plugin_that_is_named_twice_is_built_once():
    selection = build_selection(["regex_release", "regex_release"], sections(filter_regex={"releases": "a"}))
    assert len(selection.releases) == 1


def test_an_error_of_a_filter_stands_with_its_line_in_the_file():
    text = f"{BASE}[plugins]\nenabled = latest_release\n[latest_release]\nkeep = many\n"

    with pytest.raises(ConfigError) as told:
        selection_of(parse_config(text, "m.conf"))

    assert str(told.value).startswith(
        "m.conf:7: [latest_release] keep: 'many' cannot be used; allowed: a whole"
    )


# ------------------------------------------------------- what holds of all rules

EVERY = {
    "allowlist": {"packages": "foo>=1\nbar"},
    "blocklist": {"packages": "foo==2.0\nbar[x]", "platforms": "windows macos linux py2 py3.15"},
    "filter_regex": {"packages": ".*-evil", "releases": ".*rc"},
    "latest_release": {"keep": "2", "sort_by": "time"},
    "regex_project_metadata": {"not-null:info.license": "M", "none:info.classifiers": "Private", "all:urls": "x"},
    "regex_release_file_metadata": {
        "release_file.filename": "f",
        "none:release_file.yanked_reason": "b",
        "all:release_file.has_sig": "t",
        "release": "1",
        "release_file.digests.sha256": "a",
        "release_file.packagetype": "sdist",
        "search": "true",
    },
    "version_range_release_file_metadata": {"not-null:release_file.requires_python": "3.8"},
    "version_range_project_metadata": {"info.requires_python": "3.8"},
    "size_project_metadata": {"max_package_size": "1K"},
    "versions_count_project_metadata": {"min_versions": "1", "max_versions": "5"},
}  # fmt: skip
ALONE = [plugin.name for plugin in BANDERSNATCH_PLUGINS if "requirements" not in plugin.name]

_VERSIONS = st.sampled_from(["1.0", "1", "2.0rc1", "2.0", "2.0.dev1", "1!0.5", "2004-x", "banana", "1.0+x"])
_FILENAMES = st.builds(
    lambda name, version, end: f"{name}-{version}{end}",
    st.sampled_from(["foo", "Foo", "bar"]),
    _VERSIONS,
    st.sampled_from(
        ["-py3-none-any.whl", ".tar.gz", "-py2.7-win32.egg", ".win32.exe", ".linux-i686.tar.gz", ".rpm"]
    ),
) | st.text(min_size=1, max_size=8)
_TIMES = st.sampled_from(
    [None, "2025-01-01T00:00:00Z", "2025-01-01T00:00:00.5Z", "2024-01-01T00:00:00.000001Z", "then", ""]
)
_FILES = st.lists(
    st.builds(
        File,
        _FILENAMES,
        st.just("u"),
        st.sampled_from([None, Digest("md5", "00"), Digest("sha256", "ab")]),
        size=st.sampled_from([None, 0, 1, 5000, -1]),
        requires_python=st.sampled_from([None, "", ">=3.6", "<3", ">=3.6.*", "x"]) | st.text(max_size=4),
        upload_time=_TIMES,
        yanked=st.sampled_from([None, "", "bites"]),
    ),
    max_size=8,
    unique_by=lambda file: file.filename,
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["info", "releases", "license", "classifiers", "urls", "1.0", "filename", "requires_python"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)
_DOCUMENTS = st.none() | st.dictionaries(st.sampled_from(["info", "releases", "urls"]), _JSON, max_size=3)
_OFFERS = st.builds(
    Offer,
    st.sampled_from([normalize("foo"), normalize("bar")]),
    st.sampled_from(["Foo", "foo", "bar"]),
    _FILES.map(tuple),
    st.just(0.0),
    st.none() | st.lists(_VERSIONS, max_size=5, unique=True).map(tuple),
    _DOCUMENTS,
)  # fmt: skip


@given(st.lists(st.sampled_from(ALONE), unique=True), _OFFERS)
def test_no_rule_ever_raises_and_each_verdict_has_a_rule_and_a_reason(enabled, offer):
    selection = build_selection(enabled, sections(**EVERY))
    selection.needs_document(offer)

    choice = selection.choose(offer)

    for verdict in (*choice.files.values(), *choice.releases.values(), choice.project):
        if verdict.keep:
            assert verdict == EVERYTHING.project
        else:
            assert verdict.rule in enabled
            assert verdict.reason
            assert "\n" not in verdict.reason


@given(st.lists(st.sampled_from(ALONE), unique=True), _OFFERS, st.randoms())
def test_no_order_matters(enabled, offer, random):
    def shuffled(items):
        return None if items is None else tuple(random.sample(list(items), len(items)))

    one = build_selection(enabled, sections(**EVERY)).choose(offer)
    other = build_selection(list(shuffled(enabled)), sections(**EVERY)).choose(
        replace(offer, files=shuffled(offer.files), versions=shuffled(offer.versions))
    )

    assert one.project.keep == other.project.keep
    if one.project.keep:
        assert set(one.files) == set(other.files)
        assert set(one.releases) == set(other.releases)


@pytest.mark.parametrize("plugin", ALONE)
def test_each_plugin_builds_from_the_same_sections_and_is_a_value(plugin):
    one, other = (build_selection([plugin], sections(**EVERY)) for _ in range(2))
    rules = (*one.rules, *one.offers, *one.files, *one.releases)

    assert [rule.name for rule in rules] == [plugin] * len(rules)
    assert (one.fingerprint, one.choice_fingerprint) == (other.fingerprint, other.choice_fingerprint)
    assert all("\n" not in rule.fingerprint for rule in rules)
    with pytest.raises(AttributeError):
        rules[0].name = "x"


def test_only_paths_that_the_page_lacks_cost_a_document():
    free = {**EVERY, "regex_release_file_metadata": {"release": "1", "release_file.size": "2"}}
    enabled = [
        name for name in ALONE if name not in {"regex_project_metadata", "version_range_project_metadata"}
    ]
    offer = Offer(normalize("foo"), "foo", [File("foo-1.0.zip", "u")], 0.0, ["1.0"])

    assert not build_selection(enabled, sections(**free)).needs_document(offer)
    assert build_selection(enabled, sections(**EVERY)).needs_document(offer)


@pytest.mark.parametrize(
    ("others", "listed"),
    [
        ({}, True),
        ({"blocklist_project": {"blocklist": {"packages": "b"}}}, True),
        ({"regex_project": {"filter_regex": {"packages": "[A-Z]"}}}, False),
        ({"regex_project_metadata": {"regex_project_metadata": {"info.name": "[A-Z]"}}}, False),
        ({"regex_project_metadata": {"regex_project_metadata": {"info.license": "[A-Z]"}}}, True),
        ({"regex_release_file_metadata": {"regex_release_file_metadata": {"info.name": "[A-Z]"}}}, False),
        ({"prerelease_release": {}}, True),
    ],
)
def test_where_the_spelling_of_a_name_matters_the_list_of_upstream_has_to_be_read(others, listed):
    """Only it has the spelling: pages are found by the normalized name."""
    configured = {"allowlist": {"packages": "Foo\nBar"}}
    for values in others.values():
        configured |= values
    selection = build_selection(["allowlist_project", *others], sections(**configured))

    assert selection.only == ({"foo", "bar"} if listed else None)


def test_a_plugin_from_elsewhere_may_read_the_spelling():
    class ByCase:
        name, fingerprint, only = "by_case", "by case", None

        def judge(self, name, display):
            return KEEP if display.islower() else Verdict(keep=False, reason="it shouts")

    others = {"by_case": lambda _, rules: rules.projects.append(ByCase())}
    configured = sections(allowlist={"packages": "foo"})
    assert build_selection(["allowlist_project", "by_case"], configured, others=others).only is None
