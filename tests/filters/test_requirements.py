"""`project_requirements` and `project_requirements_pinned`: requirements files as pip reads them."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frumious.filters.build import build_selection
from frumious.filters.offer import Offer
from frumious.filters.requirements import wanted_of
from frumious.filters.requirements_files import BadRequirements, read_requirements
from frumious.filters.sections import BadSetting, sections
from frumious.model.names import normalize
from frumious.model.project import File

BOTH = ["project_requirements", "project_requirements_pinned"]


def put(folder, **files):
    """Write files: `crew_txt` is crew.txt."""
    for name, content in files.items():
        data = content if isinstance(content, bytes) else content.encode()
        (folder / name.replace("_", ".")).write_bytes(data)
    return folder


def lines(path, environ=None):
    warnings = []
    found = read_requirements(path, environ or {}, warnings.append)
    return [f"{line.name}{line.specifier}" for line in found if not line.constraint], warnings


def asked(folder, content, environ=None):
    return lines(put(folder, r_txt=content) / "r.txt", environ)


def refused(path):
    with pytest.raises(BadRequirements) as caught:
        lines(path)
    return caught.value


# ------------------------------------------------------------------------------------------------ lines

HASH = "--hash=sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("foo\nBar.Baz\n", ["foo", "bar-baz"]),
        ("foo==1.0\r\nbar>=2,<3 # why\r\n\r\n# nothing\r\n", ["foo==1.0", "bar<3,>=2"]),
        (f"foo==1.0 {HASH}", ["foo==1.0"]),
        (f"foo==1.0 \\\n    {HASH} \\\n    {HASH}\nbar\n", ["foo==1.0", "bar"]),
        ("foo \\\n  ==1.0\n", ["foo==1.0"]),
        ("foo==\\\n1.0", ["foo==1.0"]),
        ("foo==1.0 \\", ["foo==1.0"]),
        ("foo \\\n# a comment ends it\nbar", ["foo", "bar"]),
        ("# no continuation \\\nfoo", ["foo"]),
        ("foo[x,y]>=1 ; python_version < '3' and sys_platform == 'win32'", ["foo>=1"]),
        ("foo @ https://index.example.org/foo-1.0.zip#sha256=00", ["foo"]),
        ("foo@git+https://index.example.org/foo.git@v1 ; python_version > '3'", ["foo"]),
        ("foo==1.0 --config-settings=x=y --global-option='--no x'", ["foo==1.0"]),
        ("foo==1.*", ["foo==1.*"]),
        ("foo===banana", ["foo===banana"]),
        ("-i https://index.example.org/simple\n--extra-index-url=https://x.example.org\nfoo", ["foo"]),
        ("--index-url https://a:b@x.example.org\n--no-index\n--pre\n--prefer-binary\nfoo", ["foo"]),
        ("--find-links ./wheels\n-f x\n--no-binary :all:\n--only-binary foo,bar\nfoo", ["foo"]),
        ("--trusted-host x.example.org\n--require-hashes\n--use-feature=fast-deps\nfoo", ["foo"]),
        ("--index https://x.example.org\nfoo", ["foo"]),
        ("", []),
    ],
)
def test_lines_are_read_as_pip_reads_them(tmp_path, content, found):
    assert asked(tmp_path, content) == (found, [])


@pytest.mark.parametrize(
    "line",
    [
        "-e ./x",
        "-e git+https://index.example.org/x.git#egg=x",
        "--editable=.",
        ".",
        "..",
        "./x.whl",
        "../x[extra]",
        "~/x",
        "/srv/x-1.0.tar.gz",
        "x-1.0-py3-none-any.whl",
        "x-1.0.tar.gz",
        "wheels/x-1.0-py3-none-any.whl ; python_version > '3'",
        "git+https://index.example.org/x.git@main#egg=x",
        "git+ssh://git@index.example.org/x.git",
        "https://index.example.org/x-1.0.zip",
        f"https://index.example.org/x-1.0.zip {HASH}",
        "file:///srv/x-1.0.zip",
        "C:\\x\\y",
        "--an-option-to-come",
    ],
)
def test_what_is_of_no_index_is_told_and_passed_over(tmp_path, line):
    found, warnings = asked(tmp_path, f"foo\n{line}\nbar")

    assert found == ["foo", "bar"]
    (warning,) = warnings
    assert warning.startswith(f"{tmp_path}/r.txt:2: ")
    assert warning.endswith("passed over")


def test_passwords_are_not_told(tmp_path):
    _, warnings = asked(
        tmp_path,
        "https://me:secret@x.example.org/x.zip\ngit+https://${TOKEN}@x.example.org/y",
        {"TOKEN": "secret"},
    )

    assert len(warnings) == 2
    assert "secret" not in "".join(warnings)


@pytest.mark.parametrize(
    "line",
    ["foo bar", "foo=1", "foo*", "==1.0", "[x]", "foo;bar", "-r", "--no x", '-i "x', "foo; " + "(" * 5000],
    ids=lambda line: line[:9],
)
def test_a_bad_line_is_named(tmp_path, line):
    put(tmp_path, r_txt=f"# first\nfoo \\\n >=1\n{line}\n")

    assert str(refused(tmp_path / "r.txt")).startswith(f"{tmp_path}/r.txt:4: ")


def test_variables_are_put_in_as_pip_does(tmp_path):
    environ = {"NAME": "foo", "V_1": "1.0", "EMPTY": "", "low": "x"}

    assert asked(tmp_path, "${NAME}==${V_1}\nbar # ${NAME}\n", environ) == (["foo==1.0", "bar"], [])
    for text in ("${EMPTY}x", "${UNSET}", "${low}", "$NAME"):
        with pytest.raises(BadRequirements, match=r"r\.txt:1: .* is not a requirement"):
            asked(tmp_path, text, environ)


def test_a_variable_that_is_missing_is_the_hint(tmp_path):
    put(tmp_path, r_txt="foo==${UNSET}")

    assert refused(tmp_path / "r.txt").hint == "the environment has no variable UNSET"


# -------------------------------------------------------------------------------------------- encodings


@pytest.mark.parametrize(
    "data",
    [
        "foo # é".encode(),
        codecs.BOM_UTF8 + "foo # é".encode(),
        codecs.BOM_UTF16_LE + "foo # é".encode("utf-16-le"),
        codecs.BOM_UTF16_BE + "foo # é".encode("utf-16-be"),
        codecs.BOM_UTF32_LE + "foo # é".encode("utf-32-le"),
        b"# -*- coding: latin-1 -*-\nfoo # \xe9",
        b"#!/usr/bin/pip\n# vim: set fileencoding=latin-1 :\nfoo # \xe9",
    ],
)
def test_files_are_in_the_encoding_they_say(tmp_path, data):
    assert asked(tmp_path, data) == (["foo"], [])


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"foo\nbar # \xe9\n", "r.txt:2: this is not utf-8"),
        (b"# coding: no-such-thing\nfoo", "r.txt: there is no encoding 'no-such-thing'"),
        (b"# coding: hex\nfoo", "r.txt: there is no encoding 'hex'"),
        (codecs.BOM_UTF16_LE + b"f", "r.txt:1: this is not utf-16-le"),
    ],
)
def test_a_file_in_no_encoding_is_refused(tmp_path, data, problem):
    put(tmp_path, r_txt=data)

    assert problem in str(refused(tmp_path / "r.txt"))


# ------------------------------------------------------------------------------------- files that include


def test_files_include_others_relative_to_themselves(tmp_path):
    sub = tmp_path / "sub"
    sub.mkdir()
    put(tmp_path, r_txt="-r sub/a.txt\n--requirement=b.txt\nlast", b_txt="b")
    put(sub, a_txt="a\n-rc.txt\n--requirement ../b.txt", c_txt="c")

    assert lines(tmp_path / "r.txt") == (["a", "c", "b", "last"], [])


def test_constraints_ask_for_nothing(tmp_path):
    put(tmp_path, r_txt="-c c.txt\nfoo", c_txt="foo<2\nbar==1\n./x.whl")

    found, warnings = lines(tmp_path / "r.txt")

    assert found == ["foo"]
    assert len(warnings) == 1


def test_a_loop_is_named(tmp_path):
    put(tmp_path, r_txt="foo\n-r a.txt", a_txt="-r r.txt")

    problem = str(refused(tmp_path / "r.txt"))

    assert problem == (
        f"{tmp_path}/r.txt:2 -> {tmp_path}/a.txt:1 -> {tmp_path}/r.txt: these files include each other in a loop"
    )


def test_a_missing_file_is_named_with_the_place_that_includes_it(tmp_path):
    put(tmp_path, r_txt="foo\n\n-r a.txt")

    assert str(refused(tmp_path / "r.txt")) == (
        f"{tmp_path}/a.txt: there is no such file, included by {tmp_path}/r.txt:3"
    )


@pytest.mark.parametrize("target", ["https://x.example.org/r.txt", "file:///srv/r.txt"])
def test_an_address_is_not_fetched(tmp_path, target):
    put(tmp_path, r_txt=f"-r {target}")

    assert "only files are read" in str(refused(tmp_path / "r.txt"))


def test_a_directory_is_no_file(tmp_path):
    assert "cannot be read" in str(refused(tmp_path))


@given(st.one_of(st.binary(max_size=60), st.text(max_size=60).map(str.encode)))
def test_any_file_is_read_or_refused(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "any.txt"
    path.write_bytes(data)

    try:
        found = read_requirements(path, {}, lambda _: None)
    except BadRequirements:
        return
    assert all(normalize(line.name) == line.name for line in found)


# ------------------------------------------------------------------------------------------ the two rules


def build(folder, requirements, plugins=BOTH):
    warnings = []
    keys = {"requirements_path": str(folder), "requirements": requirements}
    selection = build_selection(plugins, sections(allowlist=keys), warnings.append)
    return selection, warnings


def kept(selection, name, *versions):
    files = [File(f"{name}-{version}.tar.gz", "u") for version in versions]
    offer = Offer(normalize(name), name, files, 0.0, versions)
    choice = selection.choose(offer)
    return [version for version, file in zip(versions, files, strict=True) if choice.keeps(file)]


def test_projects_that_are_asked_for_are_mirrored(tmp_path):
    put(tmp_path, r_txt="foo.bar==1.0\na", b_in="Baz")

    selection, warnings = build(tmp_path, "# mine\nr.txt  # first\nb.in", ["project_requirements"])

    assert selection.only == {"foo-bar", "a", "baz"}
    assert str(selection.judge(normalize("other"))) == "project_requirements: not in [allowlist] requirements"
    assert warnings == []


def test_it_can_be_combined_with_the_allowlist(tmp_path):
    put(tmp_path, r_txt="a\nb")
    values = {"packages": "b\nc", "requirements": "r.txt", "requirements_path": str(tmp_path)}

    selection = build_selection(["allowlist_project", "project_requirements"], sections(allowlist=values))

    assert selection.only == {"b"}


@pytest.mark.parametrize(
    ("requirements", "left"),
    [
        ("foo==1.0", ["1.0"]),
        ("foo>=2", ["2.0", "2.1rc1"]),
        ("foo==1.0\nfoo==2.0", ["1.0", "2.0"]),
        ("foo==1.0\nfoo", ["1.0", "2.0", "2.1rc1"]),
        ("foo==1.0 ; python_version < '3'\nfoo==2.0 ; python_version >= '3'", ["1.0", "2.0"]),
        ("foo==9", []),
        ("other", []),
        # No version asked for: other rules decide.
        ("foo", ["1.0", "2.0"]),
        ("foo[x] ; python_version < '3'", ["1.0", "2.0"]),
        ("foo @ https://x.example.org/foo.zip", ["1.0", "2.0"]),
    ],
)
def test_pinned_releases_are_kept_and_nothing_else_is_asked(tmp_path, requirements, left):
    put(tmp_path, r_txt=requirements)
    keys = {"requirements_path": str(tmp_path), "requirements": "r.txt"}
    selection = build_selection(
        [*BOTH, "latest_per_line"],
        sections(allowlist=keys, latest_per_line={"keep": "1", "packages": "foo", "line": "major"}),
    )

    assert kept(selection, "foo", "1.0", "2.0", "2.1rc1") == left


@pytest.mark.parametrize(
    ("requirements", "constraints", "left"),
    [
        ("foo", "foo<2", ["1.0", "1.5"]),
        ("foo", "foo<2\nfoo>1", ["1.5"]),
        ("foo>1", "foo<2", ["1.5"]),
        ("foo", "bar==1", ["1.0", "1.5", "2.0"]),
        ("foo", "foo", ["1.0", "1.5", "2.0"]),
        ("foo", "foo==1.0; python_version < '3'\nfoo==2.0; python_version > '3'", ["1.0", "2.0"]),
        ("foo", "foo!=1.5\nfoo>=1.5; python_version < '3'", ["2.0"]),
    ],
)
def test_constraints_restrict_versions(tmp_path, requirements, constraints, left):
    put(tmp_path, r_txt=f"{requirements}\n-c c.txt", c_txt=constraints)

    selection, _ = build(tmp_path, "r.txt")

    assert kept(selection, "foo", "1.0", "1.5", "2.0") == left
    assert kept(selection, "bar", "1") == []


def test_constraints_hold_for_their_own_file_alone(tmp_path):
    put(tmp_path, a_txt="foo\n-c c.txt", c_txt="foo<2", b_txt="foo==2.0")

    selection, _ = build(tmp_path, "a.txt\nb.txt")

    assert kept(selection, "foo", "1.0", "2.0", "3.0") == ["1.0", "2.0"]


def test_the_reason_names_what_is_asked_for(tmp_path):
    put(tmp_path, r_txt="foo==1.0\nfoo>=3\nbar\n-c c.txt", c_txt="bar<2")
    selection, _ = build(tmp_path, "r.txt")
    (pinned,) = selection.releases

    def reason(name):
        offer = Offer(normalize(name), name, (), 0.0)
        return pinned.judge_releases(offer, ["2.0"])["2.0"].reason

    assert reason("foo") == "[allowlist] requirements asks for ==1.0 or >=3"
    assert reason("bar") == "[allowlist] requirements asks for <2"
    assert reason("baz") == "its project is not in [allowlist] requirements"


def test_what_is_no_version_is_dropped_where_one_is_asked_for(tmp_path):
    put(tmp_path, r_txt="foo>=0\nbar===banana\nbaz")
    (pinned,) = build(tmp_path, "r.txt")[0].releases

    for name, left in (("foo", False), ("bar", True), ("baz", True)):
        offer = Offer(normalize(name), name, (), 0.0)
        assert ("banana" not in pinned.judge_releases(offer, ["banana"])) == left


# ------------------------------------------------------------------------------------------- which files


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.txt", {"a"}),
        ("sub/*.txt", {"b"}),
        ("*/*.txt", {"b", "c"}),
        ("**/*.txt", {"a", "b", "c"}),
        ("sub/../*.txt", {"a"}),
        ("s*b/b.t*t", {"b"}),
    ],
)
def test_patterns_reach_into_directories(tmp_path, pattern, found):
    for path, name in (("a.txt", "a"), ("sub/b.txt", "b"), ("other/c.txt", "c"), ("sub/d.in", "d")):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(name)
    (tmp_path / "a-directory.txt").mkdir()

    assert build(tmp_path, pattern)[0].only == found
    assert build(tmp_path / "nowhere", f"{tmp_path}/{pattern}")[0].only == found


def test_the_current_directory_is_the_default(tmp_path, monkeypatch):
    put(tmp_path, r_txt="foo")
    monkeypatch.chdir(tmp_path)

    for entry in ("r.txt", "r*.txt"):
        selection = build_selection(["project_requirements"], sections(allowlist={"requirements": entry}))
        assert selection.only == {"foo"}


def test_variables_of_the_environment_count(tmp_path, monkeypatch):
    monkeypatch.setenv("FRUMIOUS_TEST_NAME", "foo")
    put(tmp_path, r_txt="${FRUMIOUS_TEST_NAME}")

    assert build(tmp_path, "r.txt")[0].only == {"foo"}


def test_a_pattern_that_matches_nothing_is_told_once(tmp_path):
    selection, warnings = build(tmp_path, "\n*.txt")

    assert selection.judge(normalize("anything")).keep
    assert kept(selection, "anything", "1.0") == []
    assert warnings == [
        f"[allowlist] requirements (line 2): no file matches '*.txt' in {tmp_path}",
        "[allowlist] requirements asks for nothing, so project_requirements allows every project",
        (
            "[allowlist] requirements asks for nothing, so project_requirements_pinned drops every release of every "
            "project"
        ),
    ]


def test_no_file_at_all_is_told():
    warnings = []

    selection = build_selection(["project_requirements"], sections(), warnings.append)

    assert selection.only is None
    assert warnings == [
        "[allowlist] requirements asks for nothing, so project_requirements allows every project"
    ]


@pytest.mark.parametrize(
    ("requirements", "problem", "line"),
    [
        ("r.txt\nmissing.txt", "missing.txt: there is no such file", 2),
        ("r.txt\n\nbad.txt", "bad.txt:1: 'a b' is not a requirement", 3),
        ("a**b", "is no pattern for files", 1),
        ("a\0b", "cannot be read", 1),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_the_place_in_the_configuration(
    tmp_path, requirements, problem, line
):
    put(tmp_path, r_txt="foo", bad_txt="a b")

    with pytest.raises(BadSetting) as caught:
        build(tmp_path, requirements)

    assert problem in caught.value.problem
    assert (caught.value.section, caught.value.key, caught.value.line) == ("allowlist", "requirements", line)


def test_the_fingerprints_change_with_the_files_and_not_with_their_order(tmp_path):
    def prints(content):
        selection, _ = build(put(tmp_path, r_txt=content), "r.txt")
        return selection.fingerprint, selection.choice_fingerprint

    assert prints("a\nb==1\nb==2") == prints("b==2 # x\nb==1\nA")
    assert prints("a")[0] != prints("b")[0]
    assert prints("a==1")[0] == prints("a==2")[0]
    assert prints("a==1")[1] != prints("a==2")[1]
    assert prints("a")[1] != prints("a==2")[1]


entries = st.lists(st.sampled_from(["foo", "foo==1.0", "foo>1", "bar<2", "bar", "baz==3"]), max_size=6)


@given(entries, st.randoms(), st.lists(st.text(max_size=6), unique=True, max_size=6))
def test_order_never_matters(tmp_path_factory, said, random, versions):
    path = tmp_path_factory.getbasetemp() / "order.txt"

    def judged():
        path.write_text("\n".join(said))
        selection, _ = build(path.parent, path.name)
        (pinned,) = selection.releases
        offer = Offer(normalize("foo"), "foo", (), 0.0)
        return selection.only, dict(pinned.judge_releases(offer, [*versions, "1.0", "2.0"]))

    one = judged()
    random.shuffle(said)

    assert judged() == one


def test_the_same_line_in_two_files_counts_once(tmp_path):
    files = [read_requirements(put(tmp_path, r_txt="foo==1") / "r.txt", {}, lambda _: None)] * 2

    assert len(wanted_of(files)[normalize("foo")]) == 1
