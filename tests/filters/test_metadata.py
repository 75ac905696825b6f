"""bandersnatch's rules on metadata, one row for each fact (reference: bandersnatch 8.2, sections 5.2 and 5.4)."""

import pytest

from frumious.filters.build import build_selection
from frumious.filters.metadata import parse_size
from frumious.filters.offer import Offer
from frumious.filters.sections import BadSetting, Sections, sections
from frumious.model.names import normalize
from frumious.model.project import Digest, File

PROJECT, FILE = "regex_project_metadata", "regex_release_file_metadata"
RANGE, RANGES = "version_range_release_file_metadata", "version_range_project_metadata"
SIZE, COUNT = "size_project_metadata", "versions_count_project_metadata"

INFO = {
    "name": "Foo.Bar",
    "license": "MIT",
    "keywords": "",
    "author": None,
    "classifiers": ["Topic :: Scientific", "Programming Language :: Python :: 3"],
    "requires_dist": [],
    "yanked": False,
    "count": 12,
    "summary": "two\nlines",
    "project_urls": {"Home": "https://example.org"},
    "requires_python": ">=3.8",
}


def offer(*files, document=None, versions=("1.0",), name="Foo.Bar"):
    return Offer(normalize(name), name, files, 0.0, versions, document)


def project(keys, document, plugin=PROJECT):
    return build_selection([plugin], sections(**{plugin: keys})).choose(offer(document=document)).project


def passes(keys, info=INFO):
    return project(keys, {"info": info}).keep


# ------------------------------------------------------------------ modes and nulls

MODES = [
    # key, patterns, whether it passes
    ("info.license", "MIT", True),
    ("info.license", "M", True),
    ("info.license", "IT", False),
    ("info.license", "mit", False),
    ("info.license", "(?i)mit", True),
    ("info.license", "BSD\nMIT # ours", True),
    ("any:info.license", "BSD\nMIT", True),
    ("all:info.license", "BSD\nMIT", False),
    ("all:info.license", "M\nMIT", True),
    ("none:info.license", "BSD\nGPL", True),
    ("none:info.license", "BSD\nMIT", False),
    ("info.classifiers", "Programming", True),
    ("all:info.classifiers", "Programming\nTopic", True),
    ("all:info.classifiers", "Programming\nPrivate", False),
    ("none:info.classifiers", "Private", True),
    ("info.summary", "two$", False),
    ("info.summary", "two", True),
    # null: absent, null, an empty list, a path into something else
    *(
        (f"{tags}{path}", ".*", expected)
        for path in (
            "info.author",
            "info.nosuch",
            "info.requires_dist",
            "info.classifiers.0",
            "info.license.x",
        )
        for tags, expected in (
            ("", True),
            ("any:", True),
            ("all:", True),
            ("match-null:", True),
            ("not-null:", False),
            ("any:not-null:", False),
            ("not-null:all:", False),
            ("none:", False),
            ("none:match-null:", False),
            ("none:not-null:", False),
            ("not-null:match-null:", True),
            ("match-null:not-null:", False),
            ("none:any:", True),
        )
    ),
    ("not-null:info.keywords", "", False),
    # what is there but empty is no null
    ("not-null:info.keywords", ".*", True),
    ("info.keywords", ".", False),
    ("none:info.keywords", "x", True),
    # what is no text counts by its JSON
    ("info.yanked", "false", True),
    ("info.yanked", "False", False),
    ("info.count", "12$", True),
    ("info.project_urls.Home", "https:", True),
    ("not-null:info.project_urls", '\\{"Home"', True),
    # without patterns
    ("info.license", "", False),
    ("all:info.license", "", True),
    ("none:info.license", "", True),
    ("none:info.author", "", True),
    # other roots
    ("releases.1.0", "x", True),
    ("last_serial", "7", True),
]


@pytest.mark.parametrize(("key", "patterns", "expected"), MODES)
def test_what_patterns_ask_of_a_path(key, patterns, expected):
    assert project({key: patterns}, {"info": INFO, "last_serial": 7}).keep is expected


def test_all_keys_must_hold():
    assert passes({"info.license": "MIT", "not-null:info.count": "1"})
    assert not passes({"info.license": "MIT", "not-null:info.author": "."})


@pytest.mark.parametrize(("search", "expected"), [("true", True), ("Yes", True), ("off", False), ("", False)])
def test_search_looks_anywhere(search, expected):
    assert passes({"info.license": "IT", "search": search}) is expected


def test_without_a_section_or_with_search_alone_everything_passes():
    assert not build_selection([PROJECT, FILE, RANGE, RANGES], sections()).judges_offers
    assert not build_selection([PROJECT], sections(**{PROJECT: {"search": "true"}})).judges_offers


REASONS = [
    ("info.license", "BSD", "'MIT' at info.license matches no pattern"),
    ("all:info.license", "M\nBSD", "pattern 'BSD' does not match info.license"),
    ("none:info.license", "BSD\nM", "pattern 'M' matches info.license"),
    ("not-null:info.author", ".", "info.author says nothing"),
    ("none:info.author", ".", "info.author says nothing"),
    ("info.license", "", "no pattern is given for info.license"),
]


@pytest.mark.parametrize(("key", "patterns", "reason"), REASONS)
def test_a_verdict_says_what_it_found(key, patterns, reason):
    assert str(project({key: patterns}, {"info": INFO})) == f"{PROJECT}: {reason}"


@pytest.mark.parametrize("document", [None, {}, {"info": None}, {"info": []}, {"info": "x"}])
def test_no_document_and_an_odd_one_are_null(document):
    assert project({"info.license": "x"}, document).keep
    assert not project({"not-null:info.license": "x"}, document).keep


# -------------------------------------------------------------------------- files

PAGE = File(
    "Foo.Bar-1.0.tar.gz",
    "https://files.example.org/Foo.Bar-1.0.tar.gz",
    Digest("sha256", "ab" * 32),
    size=1024,
    requires_python=">=3.8",
    upload_time="2026-01-02T03:04:05.000006Z",
    yanked="bites",
)
BARE = File("foo_bar-2.0-py3-none-any.whl", "u", Digest("md5", "cd" * 16))
ENTRY = {
    "filename": PAGE.filename,
    "packagetype": "sdist",
    "python_version": "source",
    "has_sig": False,
    "digests": {"md5": "00ff", "sha256": "other than on the page"},
}
DOCUMENT = {"info": INFO, "releases": {"1.0": [ENTRY]}}

ON_PAGE = [
    # path, of PAGE, of BARE; a pattern that matches the whole text, None for null
    ("release", "1\\.0", "2\\.0"),
    ("info.name", "Foo\\.Bar", "Foo\\.Bar"),
    ("release_file.filename", "Foo\\.Bar-1\\.0\\.tar\\.gz", "foo_bar-2\\.0-py3-none-any\\.whl"),
    ("release_file.url", "https://files\\.example\\.org/Foo\\.Bar-1\\.0\\.tar\\.gz", "u"),
    ("release_file.size", "1024", None),
    ("release_file.requires_python", ">=3\\.8", None),
    ("release_file.upload_time_iso_8601", "2026-01-02T03:04:05\\.000006Z", None),
    ("release_file.upload_time", "2026-01-02T03:04:05", None),
    ("release_file.yanked", "true", "false"),
    ("release_file.yanked_reason", "bites", None),
    ("release_file.digests.sha256", "(ab){32}", None),
    ("release_file.packagetype", "sdist", "bdist_wheel"),
]
ONLY_IN_DOCUMENT = [
    ("release_file.python_version", "source"),
    ("release_file.has_sig", "false"),
    ("release_file.digests.md5", "00ff"),
    ("info.license", "MIT"),
]


def keeps(keys, file, document=None, plugin=FILE):
    (rule,) = build_selection([plugin], sections(**{plugin: keys})).files
    return rule.judge_file(offer(file, document=document, versions=("1.0", "2.0")), file).keep


@pytest.mark.parametrize(("path", "of_page", "of_bare"), ON_PAGE)
@pytest.mark.parametrize("document", [None, DOCUMENT])
def test_what_the_simple_page_says_is_read_from_there(path, of_page, of_bare, document):
    for file, said in ((PAGE, of_page), (BARE, of_bare)):
        if said is None:
            assert keeps({path: "x"}, file, document)
            assert not keeps({f"not-null:{path}": ".*"}, file, document)
        else:
            assert keeps({f"not-null:{path}": f"{said}$"}, file, document)
            assert not keeps({f"none:{path}": f"{said}$"}, file, document)
    rule = build_selection([FILE], sections(**{FILE: {path: "x"}})).files[0]
    assert not rule.needs_document


@pytest.mark.parametrize(("path", "said"), ONLY_IN_DOCUMENT)
def test_what_only_the_legacy_json_says_needs_it(path, said):
    rule = build_selection([FILE], sections(**{FILE: {path: "x", "release": "1"}})).files[0]

    assert rule.needs_document
    assert keeps({f"not-null:{path}": f"{said}$"}, PAGE, DOCUMENT)
    assert not keeps({f"not-null:{path}": ".*"}, PAGE, {})


def test_yanked_without_a_reason_has_no_reason():
    assert keeps({"release_file.yanked_reason": "x"}, File("a-1.0.zip", "u", yanked=""))


@pytest.mark.parametrize(("path", "needs"), [("info.name", False), ("info.license", True), ("urls", True)])
def test_a_rule_on_projects_needs_the_document_unless_it_is_about_the_name(path, needs):
    selection = build_selection([PROJECT], sections(**{PROJECT: {path: "Foo"}}))

    assert selection.needs_document(offer()) is needs
    assert selection.offers[0].needs_document is needs


# -------------------------------------------------------------------------- ranges

SPECIFIERS = [
    # what the file says, listed versions, kept with match-null, kept with not-null
    (">=3.6", "3.8", True, True),
    ("<3", "3.8", False, False),
    ("<3", "3.8\n2.7 # old", True, True),
    (">=3.12.0rc1", "3.12.0rc1", True, True),
    (">=3.8,<3.12", "3.12", False, False),
    ("!=3.9.*", "3.9", False, False),
    (",>=3.9,", "3.9", True, True),
    (None, "3.8", True, False),
    ("", "3.8", True, False),
    (">=3.6.*", "3.8", True, False),
    ("python3", "3.8", True, False),
    (">=2.7 || >=3.4", "3.8", True, False),
    (">=" + "9" * 5000, "3.8", True, False),
    ("<3", "", False, False),
    (None, "", True, False),
]


@pytest.mark.parametrize(("said", "versions", "with_null", "without"), SPECIFIERS)
def test_a_range_must_contain_one_of_the_versions(said, versions, with_null, without):
    file = File("foo_bar-1.0.zip", "u", requires_python=said)
    for tags, expected in (
        ("", with_null),
        ("any:", with_null),
        ("any:match-null:", with_null),
        ("not-null:", without),
    ):
        assert keeps({f"{tags}release_file.requires_python": versions}, file, plugin=RANGE) is expected
        info = {"info": {"requires_python": said}}
        assert project({f"{tags}info.requires_python": versions}, info, RANGES).keep is expected


@pytest.mark.parametrize("said", [3, True, [">=3"], {"a": 1}, []])
def test_a_range_that_is_no_text_is_null(said):
    assert project({"info.requires_python": "3.8"}, {"info": {"requires_python": said}}, RANGES).keep
    assert not project(
        {"not-null:info.requires_python": "3.8"}, {"info": {"requires_python": said}}, RANGES
    ).keep


def test_a_range_of_files_costs_no_document():
    rule = build_selection([RANGE], sections(**{RANGE: {"any:release_file.requires_python": "3.8"}})).files[0]
    assert not rule.needs_document


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("<3", "'<3' at info.requires_python has none of 3.8, 3.9"),
        (None, "info.requires_python says nothing"),
        ("python3", "'python3' at info.requires_python is no range of versions"),
    ],
)
def test_a_range_says_why(said, reason):
    verdict = project(
        {"not-null:info.requires_python": "3.8\n3.9"}, {"info": {"requires_python": said}}, RANGES
    )
    assert str(verdict) == f"{RANGES}: {reason}"


# ----------------------------------------------------------------- sizes and counts

SIZES = [
    ("2K", 2048, True),
    ("2K", 2049, False),
    ("2 KiB", 2049, False),
    ("2kb # two", 2048, None),
    ("2048", 2048, True),
    ("0", 10**12, True),
]


@pytest.mark.parametrize(("limit", "size", "kept"), SIZES)
def test_a_project_has_the_size_of_all_its_files(limit, size, kept):
    configured = sections(**{SIZE: {"max_package_size": limit}})
    if kept is None:
        with pytest.raises(BadSetting, match="cannot be used"):
            build_selection([SIZE], configured)
        return
    files = [File("foo_bar-1.0.zip", "u", size=size - 1), File("foo_bar-2.0.zip", "u", size=1), BARE]
    assert build_selection([SIZE], configured).choose(offer(*files)).project.keep is kept


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1), ("1b", 1), ("1 byte", 1), ("7 bytes", 7), ("1k", 1024), ("1KB", 1024), ("1 KiB", 1024), ("0.5K", 512),
        ("2 gigabytes", 2 << 30), ("1.5 megabyte", 3 << 19), ("1 mebibyte", 1 << 20), ("1T", 1 << 40), ("1 PB", 1 << 50),
        ("1 exbibyte", 1 << 60), ("0.0625 MB", 65536), ("lots", None), ("-1", None), ("", None), ("1 x", None), ("K", None),
        ("1,5K", None), ("٣", None), ("9" * 16, None),
    ],
)  # fmt: skip
def test_sizes_are_read_as_bandersnatch_reads_them(text, size):
    assert parse_size(text) == size


COUNTS = [
    ({"min_versions": "2"}, 1, False),
    ({"min_versions": "2"}, 2, True),
    ({"max_versions": "2"}, 3, False),
    ({"max_versions": "2"}, 2, True),
    ({"min_versions": "2", "max_versions": "2"}, 2, True),
    ({"min_versions": "0", "max_versions": "2"}, 0, True),
    ({"min_versions": "3", "max_versions": "0"}, 9, True),
    ({"min_versions": "0"}, 9, True),
]


@pytest.mark.parametrize(("limits", "count", "kept"), COUNTS)
def test_releases_count_with_or_without_files(limits, count, kept):
    given = offer(versions=tuple(f"1.{n}" for n in range(count)))
    assert build_selection([COUNT], sections(**{COUNT: limits})).choose(given).project.keep is kept


def test_where_upstream_lists_no_versions_the_files_count():
    given = offer(PAGE, BARE, versions=None)
    for least, kept in (("2", True), ("3", False)):
        assert (
            build_selection([COUNT], sections(**{COUNT: {"min_versions": least}})).choose(given).project.keep
            is kept
        )


@pytest.mark.parametrize(("names", "exempt"), [("Foo_Bar>1 # it", True), ("other", False), ("", False)])
def test_the_allowlist_exempts_from_limits(names, exempt):
    configured = sections(
        allowlist={"packages": names},
        **{SIZE: {"max_package_size": "1"}, COUNT: {"min_versions": "9"}},
    )
    assert build_selection([SIZE, COUNT], configured).choose(offer(PAGE)).project.keep is exempt


def test_limits_say_what_they_found():
    configured = sections(**{SIZE: {"max_package_size": "1000"}, COUNT: {"min_versions": "2"}})

    assert str(build_selection([SIZE], configured).choose(offer(PAGE)).project) == (
        f"{SIZE}: its files have 1,024 bytes together, more than 1,000"
    )
    assert str(build_selection([COUNT], configured).choose(offer(PAGE)).project) == (
        f"{COUNT}: it has 1 release, less than 2"
    )


# --------------------------------------------------------------------------- errors

BAD = [
    (PROJECT, {PROJECT: {"some:info.license": "x"}}, "some:info.license", 1, "'some' is no tag"),
    (FILE, {FILE: {"All:release": "x"}}, "All:release", 1, "'All' is no tag"),
    (PROJECT, {PROJECT: {"release_file.size": "x"}}, "release_file.size", 1, "no path"),
    (FILE, {FILE: {"urls": "x"}}, "urls", 1, "no path"),
    (FILE, {FILE: {"any:": "x"}}, "any:", 1, "no path"),
    (FILE, {FILE: {"info..x": "x"}}, "info..x", 1, "no path"),
    (FILE, {FILE: {"release": "a\n("}}, "release", 2, "not a regular expression"),
    (FILE, {FILE: {"release": "a", "search": "maybe"}}, "search", 1, "true or false"),
    (RANGE, {RANGE: {"release_file.requires_python": "3.8\nthree"}}, "release_file.requires_python", 2, "one version"),
    (RANGE, {RANGE: {"release_file.requires_python": "3.8, 3.9"}}, "release_file.requires_python", 1, "one version"),
    (RANGE, {RANGE: {"all:release_file.requires_python": "3.8"}}, "all:release_file.requires_python", 1, "'all' is no tag"),
    (SIZE, {}, "max_package_size", None, "required"),
    (SIZE, {SIZE: {"max_package_size": "lots"}}, "max_package_size", 1, "a number of bytes"),
    (SIZE, {SIZE: {"max_package_size": "-1"}}, "max_package_size", 1, "a number of bytes"),
    (SIZE, {SIZE: {"max_package_size": "1"}, "allowlist": {"packages": "a b"}}, "packages", 1, "not a project name"),
    (COUNT, {}, "min_versions", None, "required"),
    (COUNT, {COUNT: {"min_versions": "few"}}, "min_versions", 1, "whole number"),
    (COUNT, {COUNT: {"max_versions": "2.5"}}, "max_versions", 1, "whole number"),
    (COUNT, {COUNT: {"max_versions": "-1"}}, "max_versions", 1, "whole number"),
    (COUNT, {COUNT: {"min_versions": "5", "max_versions": "2"}}, "min_versions", 1, "5 is more than max_versions"),
]  # fmt: skip


@pytest.mark.parametrize(("plugin", "configured", "key", "line", "problem"), BAD)
def test_what_cannot_be_used_is_refused_with_its_place(plugin, configured, key, line, problem):
    with pytest.raises(BadSetting, match=problem) as caught:
        build_selection([plugin], sections(**configured))

    assert (caught.value.key, caught.value.line) == (key, line)


def test_an_error_says_what_is_allowed():
    with pytest.raises(BadSetting) as caught:
        build_selection([FILE], sections(**{FILE: {"urls": "x"}}))
    assert caught.value.hint == "paths begin with info, release or release_file, as in `info.license`"
    with pytest.raises(BadSetting) as caught:
        build_selection([RANGE], sections(**{RANGE: {"some:release": "3"}}))
    assert caught.value.hint == "a path may have `any`, `match-null` or `not-null` in front of it"


def test_a_key_without_a_place_is_refused_too():
    with pytest.raises(BadSetting) as caught:
        build_selection([FILE], Sections({FILE: {"some:release": ()}}))
    assert caught.value.line is None


# --------------------------------------------------------------------- fingerprints


@pytest.mark.parametrize(
    ("plugin", "one", "other"),
    [
        (PROJECT, {"info.name": "a"}, {"info.name": "b"}),
        (PROJECT, {"info.name": "a"}, {"none:info.name": "a"}),
        (PROJECT, {"info.name": "a"}, {"not-null:info.name": "a"}),
        (PROJECT, {"info.name": "a"}, {"info.name": "a", "search": "true"}),
        (FILE, {"release": "a"}, {"release": "a", "info.name": "a"}),
        (RANGE, {"release": "1"}, {"release": "1\n2"}),
        (RANGES, {"info.name": "1"}, {"not-null:info.name": "1"}),
        (SIZE, {"max_package_size": "1"}, {"max_package_size": "2"}),
        (COUNT, {"min_versions": "1"}, {"max_versions": "1"}),
    ],
)
def test_other_settings_have_another_fingerprint(plugin, one, other):
    prints = [
        build_selection([plugin], sections(**{plugin: keys})).choice_fingerprint for keys in (one, other, one)
    ]
    assert prints[0] == prints[2] != prints[1]
