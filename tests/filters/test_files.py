"""`exclude_platform`, one row for each fact (reference: bandersnatch 8.2, section 5.3)."""

import pytest

from frumious.filters.build import build_selection
from frumious.filters.files import _LINUX, _WINDOWS
from frumious.filters.offer import Offer
from frumious.filters.sections import BadSetting, sections
from frumious.model.names import normalize
from frumious.model.project import File


def verdict(platforms, filename, document=None):
    (rule,) = build_selection(["exclude_platform"], sections(blocklist={"platforms": platforms})).files
    offer = Offer(normalize("foo"), "foo", [File(filename, "u")], 0.0, ["1.0"], document)
    return rule.judge_file(offer, offer.files[0])


def wheel(tags):
    return f"foo-1.0-{tags}.whl"


WINDOWS = [
    wheel("cp36-cp36m-win32"),
    wheel("cp38-cp38-win_amd64"),
    wheel("cp310-cp310-win_arm64"),
    "foo-1.0-py2.7-win32.egg",
    "foo-1.0-py3.4-win-amd64.egg",
    "foo-1.0.win32.zip",
    "foo-1.0.win32-py2.7.exe",
    "foo-1.0.exe",
    "foo-1.0.msi",
]
MACOS = [
    wheel("cp39-cp39-macosx_11_0_arm64"),
    "foo-1.0-py2.6-macosx-10.9-x86_64.egg",
    "foo-1.0.macosx-10.9-x86_64.tar.gz",
    "foo-1.0.dmg",
]
FREEBSD = ["foo-1.0.freebsd-9.0-amd64.tar.gz", "foo-1.0-py2.7-freebsd-9.0-amd64.egg"]
LINUX = [
    wheel("cp27-cp27m-manylinux1_x86_64"),
    wheel("cp27-cp27mu-manylinux2010_i686"),
    wheel("cp311-cp311-manylinux2014_aarch64"),
    wheel("cp311-cp311-manylinux_2_28_aarch64"),
    wheel("cp311-cp311-musllinux_1_1_x86_64"),
    wheel("cp36-cp36m-linux_armv7l"),
    "foo-1.0-py3.4-linux-x86_64.egg",
    "foo-1.0.linux-i686.tar.gz",
    "foo-1.0-1.noarch.rpm",
]
NEVER = [
    "foo-1.0.tar.gz",
    "foo-1.0-win32.zip",  # an archive of source, whatever its name
    wheel("py3-none-any"),
    wheel("cp312-cp312-linux_x86_64"),
    wheel("cp312-abi3-android_21_arm64_v8a"),
    wheel("cp313-cp313-ios_13_0_arm64_iphoneos"),
    wheel("cp313-cp313-pyodide_2025_0_wasm32"),
    wheel("cp39-cp39-freebsd_13_amd64"),
    "foo-1.0.deb",
]
EVERYTHING = [*WINDOWS, *MACOS, *FREEBSD, *LINUX, *NEVER]
SYSTEMS = [
    ("windows", WINDOWS),
    ("win", WINDOWS),
    ("WINDOWS", WINDOWS),
    ("macos", MACOS),
    ("MacOSX", MACOS),
    ("freebsd", ["foo-1.0.freebsd-9.0-amd64.tar.gz", "foo-1.0-py2.7-freebsd-9.0-amd64.egg", wheel("cp39-cp39-freebsd_13_amd64")]),
    ("linux", LINUX),
    ("windows macos\nfreebsd  # and\nlinux", [*WINDOWS, *MACOS, *FREEBSD, *LINUX, wheel("cp39-cp39-freebsd_13_amd64")]),
]  # fmt: skip


@pytest.mark.parametrize(("platforms", "dropped"), SYSTEMS)
def test_a_system_stands_for_parts_of_names_and_for_kinds(platforms, dropped):
    assert {f for f in EVERYTHING if not verdict(platforms, f).keep} == set(dropped)


PYTHONS = [
    ("py2", wheel("py2-none-any"), True),
    ("py2", wheel("py2.py3-none-any"), True),  # `-py2.`, as in bandersnatch
    ("py2", wheel("cp27-cp27m-win32"), False),
    ("py2", "foo-1.0-py2.7.egg", True),
    ("py3", wheel("py3-none-any"), True),
    ("py3", wheel("cp3-none-any"), True),
    ("py2.7", wheel("cp27-cp27mu-manylinux1_x86_64"), True),
    ("py2.7", wheel("py27-none-any"), False),
    ("py2.7", wheel("py2.7-none-any"), True),
    ("py2.7", "foo-1.0-py2.7.egg", True),
    ("py2.7", "foo-1.0-py2.7-win32.egg", True),
    ("py2.7", "foo-1.0.win32-py2.7.exe", True),
    ("py2.7", "foo-1.0.win32-py2.6.exe", False),
    ("py3.6", wheel("cp36-abi3-manylinux2014_x86_64"), True),
    ("py3.6", wheel("pp36-pypy36_pp73-win_amd64"), True),
    ("py3.6", wheel("jy36-none-any"), True),
    ("py3.1", wheel("cp310-cp310-win32"), False),
    ("py3.1", wheel("cp31-none-any"), True),
    ("PY3.10", wheel("cp310-cp310-win32"), True),
    ("py3.10", wheel("py310-none-any"), False),
    ("py3.15", wheel("cp315-cp315-win32"), True),
    ("py3.20", wheel("cp320-cp320-win32"), True),
    ("py2.7", "foo-1.0-py2.7.tar.gz", False),
]


@pytest.mark.parametrize(("platforms", "filename", "drops"), PYTHONS)
def test_a_python_stands_for_tags(platforms, filename, drops):
    assert verdict(platforms, filename).keep is not drops


@pytest.mark.parametrize("part", [*_WINDOWS, *_LINUX])
def test_an_architecture_stands_for_itself(part):
    assert not verdict(part, f"foo-1.0{part}.egg").keep
    assert not verdict(part.upper(), f"foo-1.0{part}.egg").keep
    assert verdict(part, "foo-1.0-py3-none-any.whl").keep
    assert verdict(part, "foo-1.0.exe").keep


def test_the_legacy_json_says_what_is_source():
    document = {"releases": {"1.0": [{"filename": "foo-1.0.win32.zip", "packagetype": "sdist"}]}}

    assert not verdict("windows", "foo-1.0.win32.zip").keep
    assert verdict("windows", "foo-1.0.win32.zip", document).keep


def test_a_verdict_says_by_what():
    assert str(verdict("windows", "foo-1.0.exe")) == "exclude_platform: its kind is bdist_wininst"
    assert (
        str(verdict("windows", wheel("cp38-cp38-win_amd64"))) == "exclude_platform: its name has 'win_amd64'"
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [("aarch64", 1), ("windows\nwin32", 2), ("nux", 1), ("x", 1), ("py310", 1), ("py4", 1), ("py3.", 1), ("linux, win", 1), ("any", 1)],
)  # fmt: skip
def test_an_unknown_word_is_refused(text, line):
    with pytest.raises(BadSetting, match="cannot be used; allowed: `windows`") as caught:
        build_selection(["exclude_platform"], sections(blocklist={"platforms": text}))

    assert (caught.value.section, caught.value.key, caught.value.line) == ("blocklist", "platforms", line)
    assert ("," in text) == ("not commas" in (caught.value.hint or ""))


@pytest.mark.parametrize(
    "configured", [{}, {"blocklist": {"packages": "a"}}, {"blocklist": {"platforms": " # none"}}]
)
def test_no_platforms_are_refused(configured):
    with pytest.raises(BadSetting, match="this key is required") as caught:
        build_selection(["exclude_platform"], sections(**configured))

    assert "platforms = windows" in caught.value.hint


def test_no_document_is_needed_and_the_order_of_words_does_not_matter():
    one, other = (
        build_selection(["exclude_platform"], sections(blocklist={"platforms": text}))
        for text in ("windows py2", "py2\nwin")
    )
    assert one.choice_fingerprint == other.choice_fingerprint
    assert not one.files[0].needs_document
