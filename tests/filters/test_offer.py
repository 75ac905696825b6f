"""What file names tell: the kind of a file and its release, for every shape of name that has been uploaded."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frumious.filters.offer import Offer, package_type, parsed, version_in
from frumious.model.names import normalize
from frumious.model.project import File

KINDS = {
    "foo-1.0.tar.gz": "sdist",
    "foo-1.0.tar.Z": "sdist",
    "foo-1.0.tgz": "sdist",
    "foo-1.0.zip": "sdist",
    "foo-1.0.tar": "sdist",
    "foo-1.0": "sdist",
    "foo-1.0-py3-none-any.whl": "bdist_wheel",
    "foo-1.0-py2.7.egg": "bdist_egg",
    "foo-1.0.win32-py2.7.exe": "bdist_wininst",
    "foo-1.0.EXE": "bdist_wininst",
    "foo-1.0.win-amd64-py3.4.msi": "bdist_msi",
    "foo-1.0.macosx-10.9-intel.dmg": "bdist_dmg",
    "foo-1.0-1.noarch.rpm": "bdist_rpm",
    "python-foo_1.0-1_all.deb": "bdist_deb",
    "foo-1.0.linux-x86_64.tar.gz": "bdist_dumb",
    "foo-1.0.linux-x86_64-py2.7.tar.gz": "bdist_dumb",
    "foo-1.0.macosx-10.9-x86_64.tar.gz": "bdist_dumb",
    "foo-1.0.darwin-8.11.1-i386.tar.gz": "bdist_dumb",
    "foo-1.0.freebsd-9.0-amd64.tar.gz": "bdist_dumb",
    "foo-1.0.win32.zip": "bdist_dumb",
    "foo-1.0.win-amd64.zip": "bdist_dumb",
    "foo-1.0-win32.zip": "sdist",
    "foo-linux-x86_64-1.0.tar.gz": "sdist",
    "foo-1.0.linuxish.tar.gz": "sdist",
}


@pytest.mark.parametrize(("filename", "kind"), KINDS.items())
def test_the_kind_of_a_file_by_its_name(filename, kind):
    assert package_type(filename) == kind


def test_a_platform_in_the_name_of_the_project_is_not_the_files():
    assert package_type("zope.linux-tools-1.0.tar.gz", normalize("zope.linux-tools")) == "sdist"
    assert (
        package_type("zope.linux-tools-1.0.linux-i686.tar.gz", normalize("zope.linux-tools")) == "bdist_dumb"
    )


RELEASES = [
    # project, file, what upstream lists, the release
    ("foo", "foo-1.0.tar.gz", ["1.0"], "1.0"),
    ("foo", "foo-1.0.0.tar.gz", ["1.0"], "1.0"),
    ("foo", "foo-1.0.tar.gz", ["1.0.0", "1.0"], "1.0"),
    ("foo", "foo-1.0.tar.Z", ["1.0"], "1.0"),
    ("foo", "foo-1.0.tar", ["1.0"], "1.0"),
    ("foo", "foo-1.0-beta1.zip", ["1.0-beta1"], "1.0-beta1"),
    ("foo", "foo-1.0-beta1.zip", ["1.0b1"], "1.0b1"),
    ("foo", "foo-1.0b1-py3-none-any.whl", ["1.0-beta1"], "1.0-beta1"),
    ("foo", "foo-1.0.tar.gz", [], "1.0"),
    ("foo", "foo-1.0.0-alpha.tar.gz", [], "1.0.0a0"),
    ("foo", "foo-2004-x.zip", [], "2004-x"),
    ("foo", "foo-2004-x.zip", ["2004-x"], "2004-x"),
    ("foo", "foo-2004-x.zip", ["2004_X"], "2004_X"),
    ("foo", "foo-2004-x.zip", ["1.0"], None),
    ("foo.bar-2", "foo.bar-2-1.0.tar.gz", ["1.0"], "1.0"),
    ("foo.bar-2", "foo_bar_2-1.0-py3-none-any.whl", ["1.0"], "1.0"),
    ("foo.bar-2", "Foo-Bar..2-1.0.tar.gz", ["1.0"], "1.0"),
    ("chortle-2", "chortle-2-2-1.0.tar.gz", ["2-1.0"], "2-1.0"),
    ("chortle-2", "chortle-2-3.0.tar.gz", ["2-1.0", "3.0"], "3.0"),
    ("python-3-thing", "python-3-thing-1.0.zip", ["1.0"], "1.0"),
    ("foo", "foo_-1.0.zip", ["1.0"], "1.0"),
    ("foo", "bar-1.0.zip", ["1.0"], None),
    ("foo", "foo.zip", ["1.0"], None),
    ("foo", "foo1.0.zip", ["1.0"], None),
    # wheels
    ("foo", "foo-1.0-1-py3-none-any.whl", ["1.0"], "1.0"),
    ("foo", "foo-1.0_1-py3-none-any.whl", ["1.0-1"], "1.0-1"),
    ("foo", "foo-1.0+cpu-cp312-cp312-linux_x86_64.whl", ["1.0", "1.0+cpu"], "1.0+cpu"),
    ("foo", "foo-1.0_cpu.2-cp312-cp312-linux_x86_64.whl", ["1.0", "1.0+cpu.2"], "1.0+cpu.2"),
    ("foo", "foo-1!0.5-py3-none-any.whl", ["1!0.5"], "1!0.5"),
    ("foo-bar", "foo-bar-1.0-py3-none-any.whl", ["1.0"], "1.0"),
    ("foo", "renamed-1.0-py3-none-any.whl", ["1.0"], "1.0"),
    ("foo", "foo-1.0.whl", ["1.0"], None),
    # eggs
    ("foo", "foo-1.0-py2.7.egg", ["1.0"], "1.0"),
    ("foo", "foo-.linux-.egg", ["", "1.0"], None),
    ("foo", "foo-1.0.egg", ["1.0"], "1.0"),
    ("foo-bar", "foo_bar-1.0-py3.6-linux-x86_64.egg", ["1.0"], "1.0"),
    ("foo", "foo-1.0_r12-py2.4-macosx-10.9-x86_64.egg", ["1.0", "1.0-r12"], "1.0-r12"),
    ("foo", "foo-0.5dev_r99-py2.4.egg", ["0.5dev-r99"], "0.5dev-r99"),
    ("foo", "foo-1.0-beta-py2.4.egg", ["1.0-beta", "0.9"], "1.0-beta"),
    # installers
    ("foo", "foo-1.0.win32-py2.7.exe", ["1.0"], "1.0"),
    ("foo", "foo-1.0.win32.exe", ["1.0"], "1.0"),
    ("foo", "foo-1.0.0.win-amd64-py3.4.msi", ["1.0"], "1.0"),
    ("foo", "foo-1.0-py2.5.exe", ["1.0"], "1.0"),
    ("foo", "foo-1.0.msi", ["1.0"], "1.0"),
    ("foo", "foo-1.0-r3.win32.exe", ["1.0", "1.0-r3"], "1.0-r3"),
    ("foo", "foo-1.0-setup.exe", ["1.0", "1"], "1.0"),
    ("foo", "foo-1.0.macosx-10.9-intel.dmg", ["1.0"], "1.0"),
    # rpm, dumb
    ("foo", "foo-1.0-1.noarch.rpm", ["1.0"], "1.0"),
    ("foo", "foo-1.0-1.noarch.rpm", ["1.0", "1.0-1"], "1.0"),
    ("foo", "foo-1.0_1-1.src.rpm", ["1.0", "1.0-1"], "1.0-1"),
    ("foo", "foo-1.0.linux-x86_64.tar.gz", ["1.0"], "1.0"),
    ("foo", "foo-1.0-r1.freebsd-9.0-amd64.tar.gz", ["1.0", "1.0-r1"], "1.0-r1"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "filename", "versions", "release"), RELEASES)
def test_the_release_that_a_file_name_shows(name, filename, versions, release):
    assert version_in(filename, normalize(name), versions) == release


def offer(*filenames, versions=None, document=None, name="foo"):
    return Offer(normalize(name), name, [File(f, "u") for f in filenames], 0.0, versions, document)


def test_a_version_that_is_not_listed_is_asked_of_the_legacy_json():
    plain = offer("foo-1.0-1.zip", versions=["1.0"])
    told = offer(
        "foo-1.0-1.zip", versions=["1.0"], document={"releases": {"1.0": [{"filename": "foo-1.0-1.zip"}]}}
    )
    untold = offer("foo-1.0-1.zip", versions=["1.0"], document={})

    assert plain.release_of(plain.files[0]) is None
    assert told.release_of(told.files[0]) == "1.0"
    assert untold.release_of(untold.files[0]) == "1.0.post1"


def test_what_the_legacy_json_says_of_a_kind_goes_before_the_name():
    entry = {"filename": "foo-1.0.zip", "packagetype": "bdist_dumb"}
    found = offer("foo-1.0.zip", document={"releases": {"1.0": [entry]}})

    assert found.package_type(found.files[0]) == "bdist_dumb"
    assert found.entry(found.files[0]) == entry


@pytest.mark.parametrize(
    "document",
    [{}, {"releases": None}, {"releases": {"1.0": None}}, {"releases": {"1.0": [None, {}, {"filename": 3}]}}],
)
def test_an_odd_document_says_nothing(document):
    found = offer("foo-1.0.zip", document=document)

    assert found.entry(found.files[0]) is None
    assert found.release_of(found.files[0]) == "1.0"


_PARTS = st.sampled_from(
    [
        "foo",
        "bar",
        "1.0",
        "2",
        "-",
        "_",
        ".",
        "py3",
        "none",
        "any",
        ".whl",
        ".tar.gz",
        ".egg",
        ".exe",
        ".rpm",
        "win32",
    ]
)
_NAMES = st.lists(_PARTS | st.text(max_size=3), max_size=9).map("".join)


@given(_NAMES, st.lists(st.text(max_size=5) | _NAMES, max_size=3))
def test_any_file_name_has_a_kind_and_perhaps_a_release(filename, versions):
    name = normalize("foo-bar")

    assert package_type(filename, name)
    assert version_in(filename, name, versions) != ""


def test_a_number_that_python_does_not_read_is_no_version():
    assert parsed("1" * 5000) is None


def test_releases_of_a_large_project_are_found_in_no_time():
    versions = [f"1.{n}.dev{m}" for n in range(60) for m in range(50)]
    files = [f"foo-{v}-cp3{n}-cp3{n}-win32.whl" for v in versions for n in range(4)]
    files += [f"foo-{v}.0.win32-py2.7.exe" for v in versions]  # spelled otherwise
    found = offer(*files, versions=versions)

    started = time.perf_counter()
    for file in found.files:
        found.release_of(file)

    assert time.perf_counter() - started < 3
