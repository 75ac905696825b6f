"""Cases 39 to 49 of bandersnatch: filters. See test_bandersnatch_cases.py.

What each filter does to everything that an index may hold is compared with the real bandersnatch elsewhere
(test_bandersnatch_filters.py); here each stands in a file as somebody has it.
"""

from textwrap import dedent

import pytest

from support.drop_in import DropIn, u0
from support.index import SimulatedIndex, serve
from support.plugins import Site

WHEEL, SDIST, YANKED = "foo_bar-1.0-py3-none-any.whl", "foo_bar-1.0.tar.gz", "foo_bar-2.0.tar.gz"


@pytest.fixture
def drop_in(tmp_path):
    with serve(u0()) as served:
        yield DropIn(tmp_path, served)


@pytest.fixture
def empty(tmp_path):
    """An index for a test to fill."""
    with serve(SimulatedIndex()) as served:
        yield DropIn(tmp_path, served)


def versions(drop_in, name):
    return drop_in.page(name)["versions"]


# ------------------------------------------------------------------------------------- lists of projects


def test_case_39_an_allowlist_goes_by_the_names_alone(drop_in):
    drop_in.configure(
        plugins=["allowlist_project"], sections={"allowlist": {"packages": ["Foo.Bar>=2 # c", "# A"]}}
    )
    drop_in.mirror()
    assert drop_in.projects() == ["foo-bar"]
    assert drop_in.filenames("foo-bar") == [WHEEL, SDIST, YANKED]
    assert drop_in.status == "10"


@pytest.mark.parametrize("sections", [{}, {"allowlist": {"packages": ""}}], ids=["absent", "empty"])
def test_case_39_an_empty_allowlist_allows_everything_and_says_so(drop_in, sections):
    drop_in.configure(plugins=["allowlist_project"], sections=sections)
    ran = drop_in.mirror()
    assert drop_in.projects() == ["a", "foo-bar"]
    assert any(" WARNING: " in line and "allowlist" in line for line in ran.log.splitlines())


def test_case_40_allowed_releases_leave_unlisted_projects_empty(drop_in):
    drop_in.configure(plugins=["allowlist_release"], sections={"allowlist": {"packages": ["foo.bar<2"]}})
    drop_in.mirror()
    assert drop_in.projects() == ["a", "foo-bar"]
    assert drop_in.filenames("foo-bar") == [WHEEL, SDIST]
    assert (drop_in.filenames("a"), versions(drop_in, "a")) == ([], [])
    assert drop_in.links("a") == {}
    assert not drop_in.path("a-1.0.tar.gz").exists()


def test_case_41_one_blocklist_serves_projects_and_releases(drop_in):
    drop_in.configure(
        plugins=["blocklist_project", "blocklist_release"],
        sections={"blocklist": {"packages": ["a", "foo.bar==2.0"]}},
    )
    drop_in.mirror()
    assert drop_in.projects() == ["foo-bar"]
    assert drop_in.filenames("foo-bar") == [WHEEL, SDIST]
    assert drop_in.status == "10"


HASHED = """\
    --index-url https://index.example.org/simple
    foo.bar==1.0 \\
        --hash=sha256:{digest} \\
        --hash=sha256:{other}
    a ; python_version >= "3"  # the newest
    """


@pytest.mark.parametrize("text", ["foo.bar==1.0\na\n", dedent(HASHED)], ids=["plain", "hashed"])
def test_case_42_requirements_pin_some_and_leave_others_to_latest(tmp_path, drop_in, text):
    drop_in.index.upload("A", "2.0")
    digests = {"digest": drop_in.index.file(WHEEL).sha256, "other": drop_in.index.file(SDIST).sha256}
    (tmp_path / "requirements.txt").write_text(text.format(**digests))
    drop_in.configure(
        plugins=["project_requirements", "project_requirements_pinned", "latest_release"],
        sections={
            "allowlist": {"requirements_path": tmp_path, "requirements": ["requirements.txt"]},
            "latest_release": {"keep": 1},
        },
    )
    drop_in.index.upload("unlisted", "1.0")
    drop_in.mirror()
    assert drop_in.projects() == ["a", "foo-bar"]
    assert drop_in.filenames("foo-bar") == [WHEEL, SDIST]
    assert drop_in.filenames("a") == ["a-2.0-py3-none-any.whl"]


# -------------------------------------------------------------------------------------------- releases


def test_case_43_the_latest_include_the_one_that_upstream_calls_current(empty):
    for version in ("1.0", "2.0", "2.1b1", "2.1b2"):
        empty.index.upload("mome", version)
    empty.configure(plugins=["latest_release"], sections={"latest_release": {"keep": 2}})
    empty.mirror()
    assert sorted(versions(empty, "mome")) == ["2.0", "2.1b2"]


def test_case_44_pre_releases_and_patterns(empty):
    for version in ("1.0", "1.0a1", "1.0b2", "1.0rc3", "1.1.dev4", "1.0.post1"):
        empty.index.upload("rath", version)
    for name in ("snark-evil", "Snark-Evil", "evil", "snark-evil-twin"):
        empty.index.upload(name.replace("Snark", "Other"), "1.0")
    for version in ("0.1", "0.10", "10.1"):
        empty.index.upload("tove", version)
    empty.configure(
        plugins=["prerelease_release", "regex_project", "regex_release"],
        sections={"filter_regex": {"packages": [".+-evil$"], "releases": [r"0\.1"]}},
    )
    empty.mirror()
    assert empty.projects() == ["evil", "other-evil", "rath", "snark-evil-twin", "tove"]
    assert sorted(versions(empty, "rath")) == ["1.0", "1.0.post1"]
    assert versions(empty, "tove") == ["10.1"]


# ----------------------------------------------------------------------------------------------- files

WHEELS = [
    "cp27-cp27m-manylinux1_x86_64", "cp36-cp36m-win32", "cp38-cp38-win_amd64", "cp39-cp39-macosx_11_0_arm64",
    "cp310-cp310-musllinux_1_1_x86_64", "py3-none-any", "py2.py3-none-any",
]  # fmt: skip


@pytest.mark.parametrize(
    ("platform", "dropped"),
    [
        ("windows", ["cp36-cp36m-win32", "cp38-cp38-win_amd64"]),
        ("linux", ["cp27-cp27m-manylinux1_x86_64", "cp310-cp310-musllinux_1_1_x86_64"]),
        ("py2.7", ["cp27-cp27m-manylinux1_x86_64"]),
        ("win_amd64", ["cp38-cp38-win_amd64"]),
    ],
)
def test_case_45_platforms_are_left_out_and_source_stays(empty, platform, dropped):
    sdists = ["gimble-1.0.tar.gz", "gimble-1.0-win32.zip"]
    for name in (*(f"gimble-1.0-{tags}.whl" for tags in WHEELS), *sdists):
        empty.index.upload("gimble", "1.0", name, metadata=False)
    empty.configure(plugins=["exclude_platform"], sections={"blocklist": {"platforms": platform}})
    empty.mirror()
    kept = {f"gimble-1.0-{tags}.whl" for tags in WHEELS if tags not in dropped} | {*sdists}
    assert set(empty.filenames("gimble")) == kept


def test_case_46_a_project_that_is_too_large_is_dropped_unless_it_is_listed(empty):
    for name, size in (("large", 1025), ("listed", 1025), ("fits", 1024)):
        empty.index.upload(name, "1.0", f"{name}-1.0.tar.gz", content=b"x" * 1024)
        empty.index.upload(name, "2.0", f"{name}-2.0.tar.gz", content=b"y" * size)
    empty.configure(
        plugins=["size_project_metadata"],
        sections={"size_project_metadata": {"max_package_size": "2K"}, "allowlist": {"packages": ["listed"]}},
    )
    ran = empty.mirror()
    assert empty.projects() == ["fits", "listed"]
    assert "large-1.0.tar.gz" not in ran.files


@pytest.mark.parametrize(
    ("key", "patterns", "kept"),
    [
        ("not-null:info.classifiers", ["Topic ::"], {"net", "science"}),
        ("info.classifiers", ["Topic :: Science"], {"bare", "science"}),
        ("any:info.classifiers", ["Topic :: Science", "Topic :: Internet"], {"bare", "net", "science"}),
        ("all:info.classifiers", ["Topic :: Science", "Language"], {"bare", "science"}),
        ("all:not-null:info.classifiers", ["Topic :: Science", "Language"], {"science"}),
        ("none:match-null:info.classifiers", ["Topic :: Internet"], {"science"}),
        ("none:match-null:info.name", ["sci", "ET"], {"bare", "net"}),
        ("info.classifiers", ["Internet"], {"bare"}),
    ],
)
def test_case_47_metadata_of_a_project(empty, key, patterns, kept):
    empty.index.upload("science", "1.0")
    empty.index.upload("net", "1.0")
    empty.index.upload("bare", "1.0")
    empty.index.describe("science", classifiers=["Topic :: Science", "Language :: Python"])
    empty.index.describe("net", classifiers=["Topic :: Internet"])
    empty.index.describe("bare", classifiers=None)
    empty.configure(plugins=["regex_project_metadata"], sections={"regex_project_metadata": {key: patterns}})
    empty.mirror()
    assert set(empty.projects()) == kept


def test_case_48_files_for_some_pythons(empty):
    for version, said in (("1.0", ">=3.6"), ("2.0", "<3"), ("3.0", None), ("4.0", ">=3.6.*")):
        empty.index.upload("slithy", version, requires_python=said)
    empty.configure(
        plugins=["version_range_release_file_metadata"],
        sections={"version_range_release_file_metadata": {"any:release_file.requires_python": ["3.8"]}},
    )
    empty.mirror()
    assert set(versions(empty, "slithy")) == {"1.0", "3.0", "4.0"}, "what nobody can read counts as null"


# ------------------------------------------------------------------------------------------- other people's


def test_case_49_a_plugin_made_for_bandersnatch_works(tmp_path, drop_in):
    site = Site(tmp_path / "site")
    source = """\
        from bandersnatch.filter import FilterReleasePlugin

        class EvenReleases(FilterReleasePlugin):
            name = "even_release"

            def initialize_plugin(self):
                self.step = self.configuration.getint("even_release", "step")

            def filter(self, metadata):
                return int(metadata["version"].split(".")[0]) % self.step == 0
        """
    site.install(
        "bandersnatch-even",
        "1.0",
        {"bandersnatch_even": dedent(source)},
        {"bandersnatch_filter_plugins.v2.release": {"even_release": "bandersnatch_even:EvenReleases"}},
    )
    drop_in.configure(plugins=["even_release"], sections={"even_release": {"step": 2}})
    drop_in.mirror(env=site.env())
    assert drop_in.filenames("foo-bar") == [YANKED]
    assert drop_in.filenames("a") == []
