"""One configuration, two programs: what the real bandersnatch 8.2 mirrors, Frumious mirrors, and no more.

Each case is a configuration file that both programs read, run against the same served index. Where they are meant to
differ, the case says what each has alone, and why; any other difference fails, and so does one that is gone.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from support import program
from support.bandersnatch import Bandersnatch, Value, real_bandersnatch
from support.index import SimulatedIndex, serve

pytestmark = pytest.mark.slow

# ------------------------------------------------------------------------------------------ the index


def wood() -> SimulatedIndex:
    """Return an index of everything that a filter may stumble over."""
    index = SimulatedIndex()
    _plain(index)
    _versions(index)
    _platforms(index)
    _pythons(index)
    _described(index)
    return index


def _add(index: SimulatedIndex, name: str, version: str, *files: str, **facts: object) -> None:
    """Upload files of one release; without names one wheel."""
    for filename in files or [None]:
        index.upload(name, version, filename, metadata=filename is None, **facts)


def _plain(index: SimulatedIndex) -> None:
    """Names in all spellings, and what is beside the way."""
    for version in ("1.0", "2.0", "3.0rc1"):
        _add(index, "Foo.Bar", version)
    _add(index, "Foo.Bar", "1.0", "Foo.Bar-1.0.tar.gz")
    for version in ("0.9", "1.0", "1.1"):
        _add(index, "foo_baz", version)
    _add(index, "foobar", "1.0")
    _add(index, "FOO-Qux", "1.0")
    _add(index, "a", "1.0")
    _add(index, "Callooh_Callay", "1.0", "Callooh_Callay-1.0.zip")
    _add(index, "chortle-2", "2-1.0", "chortle-2-2-1.0.tar.gz")
    _add(index, "chortle-2", "3.0", "chortle-2-3.0.tar.gz")
    _add(index, "snark-evil", "1.0")
    _add(index, "boojum", "6.6.6")
    for version in ("1.0", "1.1", "2.0a1", "2.0"):
        _add(index, "Pinned.Pkg", version)
    # 65536 bytes over two releases, and one byte more.
    _add(index, "burble", "1.0", "burble-1.0.tar.gz", content=b"x" * 32768)
    _add(index, "burble", "2.0", "burble-2.0.tar.gz", content=b"y" * 32768)
    _add(index, "vorpal", "1.0", "vorpal-1.0.tar.gz", content=b"z" * 65537)


PRE_RELEASES = [
    "1.0.dev", "1.0.dev1", "1.0a", "1.0a1", "1.0alpha2", "1.0-alpha.3", "1.0a4.post1", "1.0a5.dev2", "1.0b1",
    "1.0beta2", "1.0_beta_3", "1.0c1", "1.0rc2", "1.0pre3", "1.0preview4", "1.0.RC5", "1.0rc6+crew.1",
    "1.1.dev1+crew.1", "1!0.5rc1",
]  # fmt: skip
FINALS = ["1.0", "1.0.post1", "1.0-2", "1.0+crew.1", "1!0.5"]


def _versions(index: SimulatedIndex) -> None:
    for version in [*PRE_RELEASES, *FINALS]:
        _add(index, "rath", version, f"rath-{version}.tar.gz")
    for version in ("1.0a1", "1.0a2", "1.0rc1"):
        _add(index, "borogove", version)
    for version in ("1.0", "1.2", "1.10", "2.0", "2.1b1", "2.1b2"):
        _add(index, "Mome", version)
    for version in ("1.0", "2.0", "3.0", "3.1"):
        _add(index, "jubjub", version)
    index.yank("jubjub", "3.0", "bites")
    index.yank("jubjub", "3.1")
    _add(index, "claw", "1.0", upload_time="2025-06-01T00:00:00.000000Z")
    _add(index, "claw", "2.0", upload_time="2020-01-01T00:00:00.000000Z")
    _add(index, "claw", "1.1", upload_time="2025-07-01T00:00:00.000000Z")
    _add(index, "claw", "0.9", "claw-0.9.tar.gz", upload_time="2019-01-01T00:00:00.000000Z")
    _add(index, "claw", "0.9", upload_time="2025-08-01T00:00:00.000000Z")
    for version in ("1.0", "1.1", "2004d", "0.1-unknown", "dev-r123"):
        _add(index, "old-snark", version, f"old-snark-{version}.tar.gz")
    for version in ("banana", "2004-x"):
        _add(index, "Whole_Odd", version, f"Whole_Odd-{version}.zip")
    _add(index, "tove", "1.0")
    _add(index, "tove", "0.9")
    index.release("tove", "2.0")
    index.create("gyre")
    index.release("gyre", "1.0")
    _add(index, "frabjous", "1.0", "Frabjous-1.0.zip", "frabjous-1.0.tar.bz2", "frabjous-1.0.tgz")
    _add(index, "frabjous", "2.0.0-beta1", "frabjous-2.0.0b1.tar.gz", "frabjous-2.0.0b1-py3-none-any.whl")
    _add(index, "frabjous", "1.5.0", "fj15.zip")


WHEEL_TAGS = [
    "cp27-cp27m-manylinux1_x86_64", "cp27-cp27mu-manylinux2010_i686", "py2-none-any", "py2.py3-none-any",
    "py3-none-any", "cp36-abi3-manylinux2014_x86_64", "cp36-cp36m-win32", "cp36-cp36m-linux_armv7l",
    "cp37-cp37m-linux_armv6l", "cp38-cp38-win_amd64", "cp39-cp39-macosx_10_9_x86_64",
    "cp39-cp39-macosx_11_0_arm64", "pp39-pypy39_pp73-win_amd64", "cp310-cp310-win_arm64",
    "cp310-cp310-manylinux_2_17_x86_64.manylinux2014_x86_64", "cp310-cp310-manylinux_2_28_aarch64",
    "cp311-cp311-manylinux2014_aarch64", "cp311-cp311-musllinux_1_1_x86_64", "cp312-cp312-linux_x86_64",
    "cp313-cp313t-macosx_11_0_universal2", "cp314-cp314-manylinux_2_28_x86_64", "cp315-cp315-win32",
    "cp39-cp39-freebsd_13_amd64", "py3.9-none-any", "py310-none-any", "jy27-none-any", "cp31-none-any",
    "cp312-abi3-android_21_arm64_v8a", "cp313-cp313-ios_13_0_arm64_iphoneos",
    "cp313-cp313-pyodide_2025_0_wasm32",
]  # fmt: skip


def _platforms(index: SimulatedIndex) -> None:
    for tags in WHEEL_TAGS:
        _add(index, "gimble", "1.0", f"gimble-1.0-{tags}.whl")
    _add(index, "gimble", "1.0", "gimble-1.0.tar.gz", "gimble-1.0-win32.zip")
    _add(index, "gimble", "2.0", "gimble-2.0-cp312-cp312-win_amd64.whl")
    _add(
        index, "wabe", "1.0",
        "wabe-1.0-py2.7.egg", "wabe-1.0-py2.7-win32.egg", "wabe-1.0-py2.6-macosx-10.9-x86_64.egg",
        "wabe-1.0-py3.4-linux-x86_64.egg", "wabe-1.0-py3.6-linux-i686.egg", "wabe-1.0.win32-py2.7.exe",
        "wabe-1.0.win32.exe", "wabe-1.0.win-amd64-py3.4.msi", "wabe-1.0.msi", "wabe-1.0-1.noarch.rpm",
        "wabe-1.0.macosx-10.9-intel.dmg", "wabe-1.0.zip",
    )  # fmt: skip
    _add(
        index, "wabe", "1.0", "wabe-1.0.linux-x86_64.tar.gz", "wabe-1.0.freebsd-9.0-amd64.tar.gz",
        kind="bdist_dumb",
    )  # fmt: skip


REQUIRES_PYTHON = {
    "0.1": None, "0.2": "", "0.3": ">=3.6", "0.4": "<3", "0.5": "==2.7.*", "0.6": ">=2.7,!=3.0.*,!=3.1.*",
    "0.7": "~=3.8", "0.8": ">=3.8,<3.12", "0.9": ">=4", "1.0": ">=3.10.1", "1.1": "!=3.9.*", "1.2": ">3.8",
    "1.3": ">= 3.12.0rc1", "1.4": ",>=3.9,",
}  # fmt: skip
MALFORMED = {"1.0": ">=3.6.*", "1.1": "python3", "1.2": ">=2.7 || >=3.4", "1.3": ">=3.6"}


def _pythons(index: SimulatedIndex) -> None:
    for version, said in REQUIRES_PYTHON.items():
        _add(index, "slithy", version, requires_python=said)
    _add(index, "slithy", "1.5", "slithy-1.5-py2-none-any.whl", requires_python="<3")
    _add(index, "slithy", "1.5", "slithy-1.5-py3-none-any.whl", requires_python=">=3.9")
    for version, said in MALFORMED.items():
        _add(index, "Manxome", version, requires_python=said)


def _described(index: SimulatedIndex) -> None:
    """What `info` says, where it says more than of every simulated project."""
    science = ["Topic :: Scientific/Engineering", "Programming Language :: Python :: 3"]
    index.describe(
        "Foo.Bar", classifiers=science, license="MIT", keywords="bars,foo", author="Löwe", summary="Bars of foo",
        requires_dist=["a>=1", "foo-baz ; extra == 'baz'"], project_urls={"Home": "https://example.org/foo"},
    )  # fmt: skip
    index.describe(
        "foo_baz", classifiers=[science[0], "Topic :: Internet"], license="BSD", keywords="bazes foo"
    )
    index.describe(
        "foobar", classifiers=["Private :: Do Not Upload"], license="", keywords="", author=None, summary=None
    )
    index.describe("FOO-Qux", classifiers=[science[1]], license="mit", summary="Deprecated: see foo")
    index.describe("a", classifiers=None, license="GPL", summary="an a\nMIT", requires_dist=[])
    index.describe("gimble", license="MIT License", author="Lewis", requires_dist=["a"])
    index.describe("rath", yanked=None, description_content_type="text/markdown")


def edge() -> SimulatedIndex:
    """Return an index of what cannot be mirrored with its files: for configurations without."""
    index = SimulatedIndex()
    index.create("bare")
    _add(index, "huge", "1.0", size=3 << 30)
    _add(index, "huge", "2.0", size=2 << 30)
    _add(index, "less", "1.0", size=(2 << 30) - 1)
    return index


INDEXES: Mapping[str, Callable[[], SimulatedIndex]] = {"wood": wood, "edge": edge}


# ------------------------------------------------------------------------------------------ the table


@dataclass(frozen=True)
class Apart:
    """A difference that is meant: what only one of the two has, and why.

    `name/` is a project's page, `name/file` a file on it.
    """

    why: str
    bandersnatch: frozenset[str] = frozenset()
    frumious: frozenset[str] = frozenset()
    code: int = 0
    """How Frumious ends."""


QUICK: dict[str, Value] = {"simple_format": "json", "core_metadata": "false"}
"""What filters have nothing to do with takes time."""


@dataclass(frozen=True)
class Case:
    """One configuration."""

    name: str
    plugins: Sequence[str]
    sections: Mapping[str, Mapping[str, Value]]
    apart: Sequence[Apart] = ()
    mirror: Mapping[str, Value] = field(default_factory=lambda: QUICK)
    files: Mapping[str, str] | None = None
    """Files beside the configuration file; `{here}` in a value is the folder of both."""
    index: str = "wood"
    idle: bool = False
    """Whether bandersnatch filters nothing then."""
    refused: str = ""
    """What Frumious's message must name, where it refuses: the section and the key."""
    like: str = ""
    """The case that comes to the same, where bandersnatch cannot read this one."""

    def __str__(self) -> str:
        return self.name


NAMES = [
    "# what we use",
    "Foo.Bar",
    "foo_baz>=1",
    "FOO_qux[extra]  # the third",
    "a ; python_version < '3'",
]
REQUIREMENTS = """\
# what the others use
-i https://index.example.org/simple
Foo.Bar==1.0  # why
Foo-Bar==3.0rc1
pinned_pkg[extra]>=1.1,<2.0
foo_baz ; python_version > '2'
snark-evil @ https://index.example.org/snark_evil-1.0.zip
"""
EVERYWHERE = ["Windows", "macos", "LINUX", "freebsd"]


def _wheels(*releases: str) -> frozenset[str]:
    """Return pure wheels as `foo-baz 1.0` names them."""
    pairs = (release.split() for release in releases)
    return frozenset(f"{name}/{name.replace('-', '_')}-{version}-py3-none-any.whl" for name, version in pairs)


def _sdists(name: str, *versions: str) -> frozenset[str]:
    return frozenset(f"{name}/{name}-{version}.tar.gz" for version in versions)


FOO_BAR_1 = _wheels("foo-bar 1.0") | {"foo-bar/Foo.Bar-1.0.tar.gz"}
FRABJOUS_1 = frozenset(
    {"frabjous/Frabjous-1.0.zip", "frabjous/frabjous-1.0.tar.bz2", "frabjous/frabjous-1.0.tgz"}
)
PATTERNS = Apart(
    "its patterns know the most usual spellings of pre-releases only",
    bandersnatch=_sdists(
        "rath", "1.0.dev", "1.0a", "1.0-alpha.3", "1.0a4.post1", "1.0_beta_3", "1.0c1", "1.0pre3", "1.0preview4",
        "1.0.RC5", "1.0rc6+crew.1", "1.1.dev1+crew.1",
    ),
)  # fmt: skip
LIVE = "what another filter drops has taken the place of an older release, or not, by their order in the JSON"


def _no_files(*releases: str) -> Apart:
    why = "`info.version` is a release without files, and takes the place of one that has some"
    return Apart(why, frumious=_wheels(*releases))


NOTHING_RANKS = Apart(
    "of a project without any version by PEP 440 it keeps `info.version` alone, however many it may keep",
    frumious=frozenset({"whole-odd/Whole_Odd-banana.zip"}),
)
LIVE_WITHOUT_PRERELEASES = Apart(
    LIVE,
    bandersnatch=_sdists("rath", "1.1.dev1+crew.1"),
    frumious=_wheels("mome 1.10", "pinned-pkg 1.1") | FOO_BAR_1 | FRABJOUS_1 | _sdists("rath", "1.0-2"),
)
NO_FILES = {**QUICK, "release_files": "false"}
NO_DOCUMENT = Apart("a project without releases has no legacy JSON", frumious=frozenset({"bare/"}))
MALFORMED_KILLS = Apart(
    "one malformed requires_python ends a whole project, without a word",
    frumious=_wheels(*(f"manxome {version}" for version in MALFORMED)) | {"manxome/"},
)


def _latest(keep: int, *others: str, sort_by: str = "", **sections: Mapping[str, Value]) -> dict[str, object]:
    options: dict[str, Value] = {"keep": keep, **({"sort_by": sort_by} if sort_by else {})}
    return {"plugins": [*others, "latest_release"], "sections": {"latest_release": options, **sections}}


def _one(plugin: str, **options: Value) -> dict[str, object]:
    """Return a plugin alone, whose section has its own name."""
    return {"plugins": [plugin], "sections": {plugin: options}}


NAME_CASES = [
    Case("no-plugin", [], {}, mirror={}, idle=True),
    Case("allow-names", ["allowlist_project"], {"allowlist": {"packages": NAMES}}),
    Case(
        "allow-a-name-that-is-not-there",
        ["allowlist_project"],
        {"allowlist": {"packages": ["nosuch", "claw"]}},
        apart=[Apart("a name that upstream does not have is mostly misspelt: the run says so", code=3)],
    ),
    Case(
        "allow-names-and-regex-raw",
        ["allowlist_project", "regex_project"],
        {"allowlist": {"packages": NAMES}, "filter_regex": {"packages": ["[A-Z]"]}},
    ),
    Case("allow-nothing-is-all", ["allowlist_project"], {}, idle=True),
    Case(
        "block-names",
        ["blocklist_project"],
        {"blocklist": {"packages": ["foo.bar", "FOO-BAZ", "gimble==1.0", "wabe[x]", "snark_evil", "# no"]}},
    ),
    Case(
        "allow-and-block-names",
        ["allowlist_project", "blocklist_project"],
        {"allowlist": {"packages": NAMES}, "blocklist": {"packages": ["foo-bar", "gimble"]}},
    ),
    Case("regex-project", ["regex_project"], {"filter_regex": {"packages": [".+-evil$", "foo"]}}),
    Case("regex-project-raw", ["regex_project"], {"filter_regex": {"packages": ["[A-Z]", ".*_"]}}),
    Case("regex-project-flags", ["regex_project"], {"filter_regex": {"packages": "(?i)FOO[-.]"}}),
    Case("regex-project-none", ["regex_project"], {"filter_regex": {"releases": "1"}}, idle=True),
    Case(
        "requirements",
        ["project_requirements"],
        {"allowlist": {"requirements_path": "{here}", "requirements": "crew.txt"}},
        files={"crew.txt": REQUIREMENTS},
    ),
    Case(
        "requirements-glob",
        ["project_requirements"],
        {
            "allowlist": {
                "requirements_path": "{here}/crew",
                "requirements": ["# all", "*.txt  # of them", "a.in"],
            }
        },
        files={
            "crew/one.txt": "Foo.Bar\n",
            "crew/two.txt": "MOME<2\n",
            "crew/a.in": "a\n",
            "crew/b.in": "claw\n",
        },
    ),
    Case(
        "requirements-and-allowlist",
        ["allowlist_project", "project_requirements"],
        {"allowlist": {"packages": NAMES, "requirements_path": "{here}", "requirements": "crew.txt"}},
        files={"crew.txt": REQUIREMENTS},
    ),
    Case(
        "requirements-of-none",
        ["project_requirements"],
        {"allowlist": {"requirements_path": "{here}", "requirements": "*.txt"}},
        idle=True,
    ),
]

RELEASE_CASES = [
    Case(
        "requirements-pinned",
        ["project_requirements", "project_requirements_pinned"],
        {"allowlist": {"requirements_path": "{here}", "requirements": "crew.txt"}},
        files={"crew.txt": REQUIREMENTS},
    ),
    Case(
        "requirements-pinned-alone",
        ["project_requirements_pinned"],
        {"allowlist": {"requirements_path": "{here}", "requirements": "crew.txt"}},
        files={"crew.txt": REQUIREMENTS},
    ),
    Case(
        "requirements-pinned-decides-alone",
        ["project_requirements", "project_requirements_pinned", "prerelease_release", "latest_release"],
        {
            "allowlist": {"requirements_path": "{here}", "requirements": "crew.txt"},
            "latest_release": {"keep": 1},
        },
        files={"crew.txt": REQUIREMENTS},
    ),
    Case(
        "allow-releases",
        ["allowlist_release"],
        {
            "allowlist": {
                "packages": ["foo.bar<2", "Foo_Bar==3.0rc1", "mome", "rath>=1.0", "old-snark # all", "tove"]
            }
        },
    ),
    Case("allow-no-releases", ["allowlist_release"], {}),
    Case(
        "allow-names-and-releases",
        ["allowlist_project", "allowlist_release"],
        {"allowlist": {"packages": NAMES}},
    ),
    Case(
        "block-releases",
        ["blocklist_release"],
        {"blocklist": {"packages": ["foo.bar==2.0", "MOME<2", "old-snark", "rath==1.0.*", "jubjub>=3", "a"]}},
    ),
    Case(
        "block-names-and-releases",
        ["blocklist_project", "blocklist_release"],
        {"blocklist": {"packages": ["a", "foo.bar==2.0", "Pinned.Pkg~=1.0", "frabjous>1"]}},
    ),
    Case(
        "allow-and-block-releases",
        ["allowlist_release", "blocklist_release"],
        {"allowlist": {"packages": ["mome", "foo-bar"]}, "blocklist": {"packages": ["mome==1.2", "mome>2"]}},
    ),
    Case("regex-release", ["regex_release"], {"filter_regex": {"releases": [".*(rc|a|b)\\d*$", "^1\\.0$"]}}),
    Case(
        "regex-release-start",
        ["regex_release"],
        {"filter_regex": {"releases": ["2", "dev", "0.1-u", ".*beta"]}},
    ),
    Case(
        "regex-project-and-release",
        ["regex_project", "regex_release"],
        {"filter_regex": {"packages": "f", "releases": ".*-"}},
    ),
    Case("prereleases", ["prerelease_release"], {}, apart=[PATTERNS]),
    Case(
        "prereleases-of-some",
        ["prerelease_release"],
        {"filter_prerelease": {"packages": ["Foo.Bar", "RATH", "borogove"]}},
        apart=[
            PATTERNS,
            Apart(
                "a name in the list that differs from the normalized one in `info.name` is never found",
                bandersnatch=_wheels("foo-bar 3.0rc1"),
            ),
        ],
    ),
    Case(
        "prereleases-and-regex",
        ["prerelease_release", "regex_release"],
        {"filter_regex": {"releases": "1\\.0(a|b|c|rc)?"}},
        apart=[Apart(PATTERNS.why, bandersnatch=_sdists("rath", "1.1.dev1+crew.1"))],
    ),
    Case("latest-1", **_latest(1), apart=[_no_files("tove 1.0")]),
    Case("latest-2", **_latest(2), apart=[NOTHING_RANKS, _no_files("tove 0.9")]),
    Case("latest-3", **_latest(3), apart=[NOTHING_RANKS]),
    Case("latest-100", **_latest(100), apart=[NOTHING_RANKS]),
    Case("latest-0-is-off", **_latest(0), idle=True),
    Case("latest-by-time-1", **_latest(1, sort_by="time"), apart=[_no_files("tove 1.0")]),
    Case("latest-by-time-2", **_latest(2, sort_by="time"), apart=[_no_files("tove 1.0")]),
    Case("latest-by-time-100", **_latest(100, sort_by="time"), idle=True),
    Case("latest-by-version", **_latest(2, sort_by="version"), apart=[NOTHING_RANKS, _no_files("tove 0.9")]),
    Case(
        "latest-without-prereleases",
        **_latest(2, "prerelease_release"),
        apart=[LIVE_WITHOUT_PRERELEASES, NOTHING_RANKS, _no_files("tove 0.9")],
    ),
    Case(
        "latest-by-time-without-prereleases",
        **_latest(1, "prerelease_release", sort_by="time"),
        apart=[_no_files("tove 1.0")],
    ),
    Case(
        "latest-of-allowed",
        **_latest(
            1,
            "allowlist_project",
            "allowlist_release",
            allowlist={"packages": ["mome<2", "foo.bar>=2", "jubjub", "rath==1.0.*", "tove"]},
        ),
        apart=[Apart(LIVE, frumious=_wheels("mome 1.10") | _sdists("rath", "1.0-2")), _no_files("tove 1.0")],
    ),
    Case(
        "latest-of-not-blocked",
        **_latest(2, "blocklist_release", blocklist={"packages": ["mome==2.0", "jubjub>=3", "foo_baz==1.1"]}),
        apart=[
            Apart(LIVE, frumious=_wheels("foo-baz 0.9", "jubjub 1.0", "mome 1.10")),
            NOTHING_RANKS,
            _no_files("tove 0.9"),
        ],
    ),
    Case(
        "latest-of-not-matched",
        **_latest(2, "regex_release", filter_regex={"releases": [".*0$"]}),
        apart=[
            Apart(
                LIVE,
                frumious=_wheels("claw 0.9", "foo-baz 0.9", "mome 1.2", "pinned-pkg 1.1")
                | _sdists("claw", "0.9"),
            ),
            NOTHING_RANKS,
            _no_files("tove 0.9"),
        ],
    ),
    Case(
        "latest-with-a-file-left",
        **_latest(
            1,
            "exclude_platform",
            "version_range_release_file_metadata",
            blocklist={"platforms": "windows"},
            version_range_release_file_metadata={"any:release_file.requires_python": "3.8"},
        ),
        apart=[
            Apart(
                "`info.version` has lost its files to another filter, and takes the place of a release that has some",
                frumious=_wheels("slithy 1.1")
                | {f"gimble/gimble-1.0-{tags}.whl" for tags in WHEEL_TAGS if "win" not in tags}
                | {"gimble/gimble-1.0.tar.gz", "gimble/gimble-1.0-win32.zip"},
            ),
            Apart(MALFORMED_KILLS.why, frumious=_wheels("manxome 1.3") | {"manxome/"}),
            _no_files("tove 1.0"),
        ],
    ),
]

PLATFORM_CASES = [
    Case(f"exclude-{name}", ["exclude_platform"], {"blocklist": {"platforms": tokens}})
    for name, tokens in {
        "windows": "windows",
        "macos": "macos",
        "aliases": "Win MacOSX",
        "linux": "linux",
        "freebsd": "freebsd",
        "py2": "py2",
        "py3": "py3",
        "py2.7-py3.6": "py2.7 py3.6",
        "py2.6-py3.1-py3.4": "py2.6 py3.1 py3.4",
        "new-pythons": ["py3.9", "py3.10", "py3.12 py3.14"],
        "windows-archs": "win_amd64 -win32 .WIN32 win-amd64",
        "linux-archs": "manylinux2014_aarch64 linux_armv7l manylinux1_x86_64 linux-i686",
        "new-linuxes": "-manylinux_ musllinux win_arm64",
        "everything": [*EVERYWHERE, "py2", "py3"],
    }.items()
] + [
    Case(
        "exclude-and-block",
        ["exclude_platform", "blocklist_project"],
        {"blocklist": {"platforms": EVERYWHERE, "packages": ["foo-bar"]}},
    ),
]

SIZE, COUNT = "size_project_metadata", "versions_count_project_metadata"
PROJECT, FILE, RANGE = (
    "regex_project_metadata",
    "regex_release_file_metadata",
    "version_range_release_file_metadata",
)
PYTHON, SCIENCE = "Programming Language :: Python :: 3$", "Topic :: Scientific"


def _project(name: str, paths: Mapping[str, Value], **more: object) -> Case:
    return Case(name, [PROJECT], {PROJECT: paths}, **more)


def _file(name: str, paths: Mapping[str, Value], **more: object) -> Case:
    return Case(name, [FILE], {FILE: paths}, **more)


def _range(name: str, paths: Mapping[str, Value], only: Sequence[str] = (), **more: object) -> Case:
    names = {"allowlist": {"packages": only}} if only else {}
    return Case(name, [RANGE, *(["allowlist_project"] if only else [])], {RANGE: paths, **names}, **more)


METADATA_CASES = [
    _project("project-any", {"info.classifiers": [PYTHON, "Private"]}),
    _project("project-all", {"all:info.classifiers": [PYTHON, SCIENCE]}),
    _project("project-none", {"none:info.classifiers": [PYTHON, "Private"]}),
    _project("project-any-not-null", {"any:not-null:info.classifiers": [PYTHON, SCIENCE]}),
    _project("project-all-not-null", {"not-null:all:info.classifiers": [PYTHON, SCIENCE]}),
    _project("project-none-match-null", {"none:match-null:info.license": "MIT"}),
    _project("project-none-not-null", {"none:not-null:info.license": "MIT"}),
    _project("project-not-null", {"not-null:info.license": ".*"}),
    _project("project-not-null-then-match-null", {"not-null:match-null:info.license": "MIT"}),
    _project("project-scalar", {"not-null:info.license": ["mit", "MIT$", "(?i)bsd"]}),
    _project("project-search", {"not-null:info.summary": ["foo", "MIT"], "search": "true"}),
    _project("project-match", {"not-null:info.summary": ["foo", "MIT"], "search": "no"}),
    _project("project-multi-line", {"info.summary": "an a$"}),
    _project("project-two-keys", {"not-null:info.license": "MIT", "info.author": "L(ö|e)w"}),
    _project("project-empty-string", {"info.author": "L"}),
    _project("project-name", {"info.name": ["foo", "FOO"], "info.version": "1"}),
    Case(
        "project-name-of-listed",
        ["allowlist_project", PROJECT],
        {"allowlist": {"packages": NAMES}, PROJECT: {"info.name": "[a-z]"}},
    ),
    _project("project-dictionary", {"not-null:info.project_urls.Home": "https:"}),
    _project("project-list", {"not-null:info.requires_dist": ["a$", "a[<>=]"]}),
    _project("project-index-is-null", {"info.classifiers.0": "x", "not-null:info.keywords": "bars"}),
    _project("project-no-such-path", {"not-null:info.nosuch": ".*"}),
    _project("project-any-of-no-patterns", {"info.license": ""}),
    _project("project-all-of-no-patterns", {"all:info.license": ""}, idle=True),
    _project("project-none-of-no-patterns", {"none:info.license": ""}, idle=True),
    _project("project-without-section", {}, idle=True),
    _project("project-not-text", {"info.yanked": "True"}, index="edge", mirror=NO_FILES, apart=[NO_DOCUMENT]),
    _project(
        "project-path-into-text",
        {"info.name.u": "u"},
        index="edge",
        mirror=NO_FILES,
        apart=[
            NO_DOCUMENT,
            Apart(
                "a path that goes on behind a text ends a project, if the text has what the path wants",
                frumious=_wheels("huge 1.0", "huge 2.0") | {"huge/"},
            ),
        ],
    ),
    _file("file-kinds", {"any:release_file.packagetype": ["sdist", "bdist_wheel"]}),
    _file("file-no-kinds", {"none:release_file.packagetype": ["bdist_(rpm|msi|dmg|dumb)", "sdist"]}),
    _file("file-names", {"release_file.filename": [".*\\.whl$", "wabe-1.0.win32"]}),
    _file("file-names-search", {"none:release_file.filename": ["win", "-cp3\\d-"], "search": "yes"}),
    _file("file-releases", {"release": ["1\\.", "2004"]}),
    _file("file-pythons", {"release_file.python_version": ["py3$", "cp3", "3", "source"]}),
    _file("file-requires-python", {"not-null:release_file.requires_python": "(>=|~=) ?[34]"}),
    _file(
        "file-no-requires-python",
        {"none:release_file.requires_python": "<"},
        apart=[Apart("an empty requires_python is none at all to us", bandersnatch=_wheels("slithy 0.2"))],
    ),
    _file("file-yank-reasons", {"not-null:release_file.yanked_reason": "."}),
    _file("file-times", {"all:release_file.upload_time": ["2026", ".*T00:0[0-2]"]}),
    _file("file-iso-times", {"release_file.upload_time_iso_8601": ["20.*00Z$", "2026.*500000Z$"]}),
    _file("file-digests", {"release_file.digests.md5": "[0-7]", "release_file.md5_digest": "[4-9a-f]"}),
    _file("file-urls", {"release_file.url": ["http.*/packages/[0-7]"]}),
    _file("file-of-project", {"not-null:info.license": "MIT", "release_file.filename": ".*(whl|gz)$"}),
    _file("file-versions-of-info", {"info.version": "1", "release": "1"}),
    _range("range-3.8", {"any:release_file.requires_python": "3.8"}, apart=[MALFORMED_KILLS]),
    _range("range-two", {"release_file.requires_python": ["2.7", "3.12"]}, apart=[MALFORMED_KILLS]),
    _range(
        "range-pre-release", {"match-null:release_file.requires_python": "3.12.0rc1"}, apart=[MALFORMED_KILLS]
    ),
    _range(
        "range-not-null",
        {"not-null:release_file.requires_python": "3.10"},
        ["slithy", "manxome", "a"],
        apart=[
            Apart(
                "a null ends a whole project, as a malformed requires_python does",
                frumious=frozenset({"a/", "slithy/", "manxome/"})
                | _wheels(
                    "manxome 1.3",
                    *(
                        f"slithy {version}"
                        for version in ("0.3", "0.6", "0.7", "0.8", "1.1", "1.2", "1.4", "1.5")
                    ),
                ),
            )
        ],
    ),
    _range(
        "range-of-info",
        {"info.requires_python": "3.8", "release_file.requires_python": "3.10"},
        apart=[MALFORMED_KILLS],
    ),
    Case("size-equal", **_one(SIZE, max_package_size="64K")),
    Case("size-less", **_one(SIZE, max_package_size="65535")),
    Case("size-words", **_one(SIZE, max_package_size="0.0625 MB")),
    Case("size-zero-is-off", **_one(SIZE, max_package_size="0"), idle=True),
    Case(
        "size-but-listed",
        [SIZE],
        {
            SIZE: {"max_package_size": "2 KiB"},
            "allowlist": {"packages": ["Vorpal>1", "mome"]},
        },
    ),
    Case(
        "size-of-listed",
        [SIZE, "allowlist_project"],
        {
            SIZE: {"max_package_size": "1kb"},
            "allowlist": {"packages": ["Vorpal", "mome", "a"]},
        },
    ),
    Case(
        "size-gigabytes",
        **_one(SIZE, max_package_size="2 gigabytes"),
        index="edge",
        mirror=NO_FILES,
        apart=[NO_DOCUMENT],
    ),
    Case("count-min", **_one(COUNT, min_versions=2)),
    Case("count-max", **_one(COUNT, max_versions=3)),
    Case("count-both", **_one(COUNT, min_versions=2, max_versions=3)),
    Case("count-zero-is-off", **_one(COUNT, min_versions=0), idle=True),
    Case(
        "count-but-listed",
        [COUNT],
        {COUNT: {"min_versions": 4}, "allowlist": {"packages": ["a", "Foo.Bar"]}},
    ),
]

COMBINED_CASES = [
    Case(
        "office",
        ["blocklist_project", "exclude_platform", "prerelease_release", "latest_release"],
        {
            "blocklist": {"packages": ["snark-evil", "manxome"], "platforms": ["windows", "macos", "py2"]},
            "latest_release": {"keep": 2},
        },
        mirror={},
        apart=[LIVE_WITHOUT_PRERELEASES, NOTHING_RANKS, _no_files("tove 0.9")],
    ),
    Case(
        "science",
        [
            PROJECT,
            COUNT,
            SIZE,
            "regex_release",
        ],
        {
            PROJECT: {"any:not-null:info.classifiers": SCIENCE},
            COUNT: {"min_versions": 1, "max_versions": 5},
            SIZE: {"max_package_size": "10M"},
            "filter_regex": {"releases": ".*rc"},
        },
    ),
    Case("edge-without-filter", [], {}, index="edge", mirror=NO_FILES, apart=[NO_DOCUMENT], idle=True),
]
PLAIN = {"wood": NAME_CASES[0], "edge": COMBINED_CASES[-1]}
CASES = [*NAME_CASES, *RELEASE_CASES, *PLATFORM_CASES, *METADATA_CASES, *COMBINED_CASES]


def _refused(
    name: str, plugin: str, section: str, key: str, value: Value | None, *, idle: bool = True, **others: Value
) -> Case:
    options = others if value is None else {key: value, **others}
    return Case(
        name, [plugin], {section: options} if options else {}, idle=idle, refused=f"[{section}] {key}"
    )


REFUSED = [
    _refused("refused-size", SIZE, SIZE, "max_package_size", "lots"),
    _refused("refused-size-without-number", SIZE, SIZE, "max_package_size", ""),
    _refused("refused-size-missing", SIZE, SIZE, "max_package_size", None),
    _refused("refused-count", COUNT, COUNT, "min_versions", "few"),
    _refused("refused-count-fraction", COUNT, COUNT, "max_versions", "2.5"),
    _refused("refused-count-min-beyond-max", COUNT, COUNT, "min_versions", 5, max_versions=2),
    _refused("refused-count-missing", COUNT, COUNT, "min_versions", None),
    _refused("refused-keep", "latest_release", "latest_release", "keep", "all"),
    _refused("refused-keep-missing", "latest_release", "latest_release", "keep", None),
    _refused("refused-keep-negative", "latest_release", "latest_release", "keep", -1, idle=False),
    _refused("refused-sort", "latest_release", "latest_release", "sort_by", "date", idle=False, keep=1),
    _refused("refused-platform", "exclude_platform", "blocklist", "platforms", "aarch64"),
    _refused("refused-python", "exclude_platform", "blocklist", "platforms", "py3.15 py310"),
    _refused("refused-part-of-linux", "exclude_platform", "blocklist", "platforms", "nux", idle=False),
    _refused("refused-platforms-missing", "exclude_platform", "blocklist", "platforms", None),
    _refused("refused-tag", PROJECT, PROJECT, "some:info.license", "MIT", idle=False),
    _refused("refused-tag-of-files", FILE, FILE, "All:release_file.filename", ".*gz", idle=False),
    _refused("refused-search", PROJECT, PROJECT, "search", "maybe", **{"info.name": "."}),
]
BEYOND = [
    Case(
        "block-names-with-comments",
        ["blocklist_project"],
        {"blocklist": {"packages": ["foo.bar # why", "FOO-BAZ", "snark_evil"]}},
        like="block-names",
    ),
    Case(
        "requirements-with-hashes",
        ["project_requirements", "project_requirements_pinned"],
        {"allowlist": {"requirements_path": "{here}", "requirements": "crew.txt"}},
        files={"crew.txt": REQUIREMENTS.replace("==3.0rc1", "==3.0rc1 \\\n  --hash=sha256:" + "0" * 64)},
        like="requirements-pinned",
    ),
]


# ------------------------------------------------------------------------------------------ running


@dataclass(frozen=True)
class Mirrored:
    """What one program made of one configuration."""

    done: CompletedProcess[str]
    pages: frozenset[str]
    """`name/` for each project with a page, `name/file` for each file on it."""
    linked: frozenset[str]
    """What the pages link to, below `web`, sidecars too."""
    stored: frozenset[str]
    """What lies below `web/packages`."""


def mirrored(directory: Path, done: CompletedProcess[str]) -> Mirrored:
    web, pages, linked = directory / "web", set[str](), set[str]()
    for path in (web / "simple").glob("*/index.v1_json"):
        name = path.parent.name
        pages.add(f"{name}/")
        for file in json.loads(path.read_text())["files"]:
            pages.add(f"{name}/{file['filename']}")
            place, ours, key = file["url"].partition("../../")
            if ours and not place:
                linked |= {key, f"{key}.metadata"} if file.get("core-metadata") else {key}
    stored = {path.relative_to(web).as_posix() for path in (web / "packages").rglob("*") if path.is_file()}
    return Mirrored(done, frozenset(pages), frozenset(linked), frozenset(stored))


PROGRAMS = {
    "bandersnatch": Bandersnatch.mirror,
    "frumious": lambda _bandersnatch, config: program.run(
        "-c", config, "mirror", env={"no_proxy": "127.0.0.1"}
    ),
}


def mirror(which: str, case: Case, folder: Path, bandersnatch: Bandersnatch, master: str) -> Mirrored:
    """Run one of the two with a case's configuration, in a folder of its own."""
    here, directory = folder / which, folder / which / "mirror"
    here.mkdir(parents=True)
    for name, text in (case.files or {}).items():
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_text(text)
    sections = {
        name: {
            key: value.replace("{here}", str(here)) if isinstance(value, str) else value
            for key, value in section.items()
        }
        for name, section in case.sections.items()
    }
    config = bandersnatch.write_config(
        here / "mirror.conf", directory, master,
        plugins=case.plugins, sections=sections, workers=10, **case.mirror,
    )  # fmt: skip
    found = mirrored(directory, PROGRAMS[which](bandersnatch, config))
    shutil.rmtree(directory, ignore_errors=True)  # there are many
    return found


class Runs:
    """All runs of both programs, each made once; those of the selected tests start at once, a few at a time."""

    def __init__(self, start: Callable[[str, Case], Future[Mirrored]]) -> None:
        self._start = start
        self._made: dict[tuple[str, str], Future[Mirrored]] = {}

    def start(self, which: str, case: Case) -> Future[Mirrored]:
        key = (which, case.name)
        if key not in self._made:
            self._made[key] = self._start(which, case)
        return self._made[key]

    def __call__(self, which: str, case: Case) -> Mirrored:
        return self.start(which, case).result()

    def everything(self, case: Case) -> frozenset[str]:
        """Return what bandersnatch mirrors of a case's index without any filter."""
        return self("bandersnatch", PLAIN[case.index]).pages


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    bandersnatch = real_bandersnatch()
    with ExitStack() as stack:
        masters = {name: stack.enter_context(serve(make(), tls=False)).url for name, make in INDEXES.items()}
        pool = stack.enter_context(ThreadPoolExecutor(os.cpu_count()))
        stack.callback(pool.shutdown, cancel_futures=True)

        def start(which: str, case: Case) -> Future[Mirrored]:
            folder = tmp_path_factory.mktemp("case")
            return pool.submit(mirror, which, case, folder, bandersnatch, masters[case.index])

        runs = Runs(start)
        for case in PLAIN.values():
            runs.start("bandersnatch", case)
        for item in request.session.items:
            case = item.callspec.params.get("case") if hasattr(item, "callspec") else None
            if item.path == request.path and isinstance(case, Case):
                for which in PROGRAMS:
                    runs.start(which, case)
        yield runs


# ------------------------------------------------------------------------------------------ the tests


def named(cases: Sequence[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=str)


def test_every_plugin_of_bandersnatch_has_a_case() -> None:
    groups = (
        "entry.name for entry in entry_points() if entry.group.startswith('bandersnatch_filter_plugins.v2.')"
    )
    question = f"from importlib.metadata import entry_points; print(*({groups}))"
    python = real_bandersnatch().program.with_name("python")
    shown = subprocess.run([python, "-c", question], capture_output=True, text=True, check=True, timeout=60)

    assert {plugin for case in CASES for plugin in case.plugins} == set(shown.stdout.split())


def test_every_case_has_a_name_of_its_own() -> None:
    names = [case.name for case in (*CASES, *REFUSED, *BEYOND)]
    assert len(set(names)) == len(names)


@named(CASES)
def test_frumious_mirrors_what_bandersnatch_mirrors(runs: Runs, case: Case) -> None:
    theirs, ours = runs("bandersnatch", case), runs("frumious", case)

    assert theirs.done.returncode == 0, theirs.done.stderr
    assert ours.done.returncode == max((apart.code for apart in case.apart), default=0), ours.done.stderr
    assert (theirs.pages == runs.everything(case)) == case.idle, "a case that proves nothing, or too much"
    assert theirs.pages - ours.pages == united(apart.bandersnatch for apart in case.apart)
    assert ours.pages - theirs.pages == united(apart.frumious for apart in case.apart)
    assert ours.stored == ours.linked
    assert theirs.stored == theirs.linked


def united(sets: Iterable[frozenset[str]]) -> frozenset[str]:
    return frozenset().union(*sets)


@named(REFUSED)
def test_what_bandersnatch_passes_over_is_an_error_that_names_the_key(runs: Runs, case: Case) -> None:
    theirs, ours = runs("bandersnatch", case), runs("frumious", case)

    assert theirs.done.returncode == 0, theirs.done.stderr
    if case.idle:
        assert theirs.pages == runs.everything(case)
    assert ours.done.returncode == 2, ours.done.stderr
    assert case.refused in ours.done.stderr
    assert ours.pages == frozenset()


@named(BEYOND)
def test_what_ends_bandersnatch_is_read_by_frumious(runs: Runs, case: Case) -> None:
    theirs, ours = runs("bandersnatch", case), runs("frumious", case)

    assert theirs.done.returncode == 1
    assert theirs.pages == frozenset()
    assert ours.done.returncode == 0, ours.done.stderr
    assert ours.pages == runs("frumious", next(other for other in CASES if other.name == case.like)).pages
