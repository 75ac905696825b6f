"""`wheel_tags`."""

import platform as running
import sys
import sysconfig

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.tags import parse_tag, sys_tags

from frumious.filters.build import build_selection
from frumious.filters.offer import Offer
from frumious.filters.sections import BadSetting, sections
from frumious.filters.wheels import Python, Targets, WheelTags, kinds_of, platform_tags
from frumious.model.names import normalize
from frumious.model.project import File


def rule(**keys: str) -> WheelTags:
    (found,) = build_selection(["wheel_tags"], sections(wheel_tags=keys)).files
    return found


def offered(*filenames: str) -> Offer:
    return Offer(normalize("gimble"), "gimble", [File(name, "u") for name in filenames], 0.0)


def kept(said: WheelTags, *filenames: str) -> list[str]:
    offer = offered(*filenames)
    return [file.filename for file in offer.files if said.judge_file(offer, file).keep]


def wheels(tags: str) -> list[str]:
    return [f"gimble-1.0-{tag}.whl" for tag in tags.split()]


LINUX = {"python": "3.11-3.13", "platforms": "linux-x86_64\nlinux-aarch64"}


@pytest.mark.parametrize(
    ("keys", "fit", "unfit"),
    [
        # What the issue asks for.
        (
            LINUX,
            """cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64 cp313-cp313-manylinux_2_28_aarch64
            cp36-abi3-manylinux2014_x86_64 cp311-abi3-manylinux_2_34_aarch64 py3-none-manylinux1_x86_64
            py3-none-any py2.py3-none-any py310-none-any cp312-none-any cp312-none-linux_x86_64""",
            """cp310-cp310-manylinux2014_x86_64 cp314-cp314-manylinux2014_x86_64 cp314-abi3-manylinux2014_x86_64
            cp313-cp313t-manylinux2014_x86_64 pp311-pypy311_pp73-manylinux2014_x86_64
            cp312-cp312-musllinux_1_2_x86_64 cp312-cp312-manylinux2014_i686 cp312-cp312-win_amd64
            cp312-cp312-macosx_11_0_arm64 py2-none-any py314-none-any cp310-none-any cp312-cp312-any
            cp312-cp312-manylinux1_aarch64 jy27-none-any""",
        ),
        # The glibc of the tag and every older one.
        (
            {"python": "3.12", "platforms": "manylinux_2_17_x86_64"},
            """cp312-cp312-manylinux_2_17_x86_64 cp312-cp312-manylinux_2_5_x86_64 cp312-cp312-manylinux1_x86_64
            cp312-cp312-manylinux_2_28_x86_64.manylinux2010_x86_64 cp312-cp312-linux_x86_64""",
            "cp312-cp312-manylinux_2_28_x86_64 cp312-cp312-manylinux_2_18_x86_64 cp312-cp312-manylinux_2_17_aarch64",
        ),
        (
            {"python": "3.12", "platforms": "manylinux2014_aarch64, musllinux_1_1_x86_64"},
            "cp312-cp312-manylinux_2_17_aarch64 cp312-cp312-musllinux_1_0_x86_64 cp312-cp312-musllinux_1_1_x86_64",
            "cp312-cp312-manylinux_2_28_aarch64 cp312-cp312-musllinux_1_2_x86_64",
        ),
        (
            {"python": "3.12", "platforms": "musllinux-amd64 windows-x86 linux-arm64"},
            "cp312-cp312-musllinux_1_2_x86_64 cp312-cp312-win32 cp312-cp312-manylinux_2_39_aarch64",
            "cp312-cp312-manylinux_2_17_x86_64 cp312-cp312-win_amd64",
        ),
        (
            {"python": "3.12", "platforms": "macosx_12_0_arm64 win_amd64"},
            """cp312-cp312-macosx_11_0_arm64 cp312-cp312-macosx_12_0_universal2 cp312-cp312-macosx_10_9_universal2
            cp312-cp312-win_amd64""",
            "cp312-cp312-macosx_13_0_arm64 cp312-cp312-macosx_10_9_x86_64 cp312-cp312-win_arm64",
        ),
        (
            {"python": "3.12", "platforms": "macos-x86_64"},
            "cp312-cp312-macosx_10_9_x86_64 cp312-cp312-macosx_15_0_x86_64 cp312-cp312-macosx_26_0_universal2",
            "cp312-cp312-macosx_11_0_arm64",
        ),
        # Interpreters.
        (
            {"python": "3.11", "implementation": "pypy", "platforms": "linux-x86_64"},
            "pp311-pypy311_pp73-manylinux2014_x86_64 pp3-none-any py3-none-any py311-none-manylinux1_x86_64",
            "cp311-cp311-manylinux2014_x86_64 cp311-none-any cp39-abi3-manylinux1_x86_64",
        ),
        (
            {"python": "3.11", "implementation": "CPython, PyPy"},
            "pp311-pypy311_pp73-win_amd64 cp311-cp311-macosx_11_0_arm64",
            "cp312-cp312-win_amd64",
        ),
        (
            {"python": "3.13t-3.14t"},
            "cp313-cp313t-win_amd64 cp314-cp314t-win_amd64 py3-none-any",
            "cp313-cp313-win_amd64 cp39-abi3-win_amd64",
        ),
        (
            {"python": "2.7\n3.7", "platforms": "linux-x86_64"},
            "cp27-cp27mu-manylinux1_x86_64 cp27-cp27m-manylinux1_x86_64 cp37-cp37m-manylinux1_x86_64 py2-none-any",
            "cp37-cp37-manylinux1_x86_64 cp36-cp36m-manylinux1_x86_64",
        ),
        # Either half alone.
        (
            {"platforms": "windows-x86_64"},
            "cp27-cp27m-win_amd64 jy27-none-win_amd64 py2-none-any cp39-none-any",
            "cp312-cp312-win32",
        ),
        ({"sdist": "none"}, "cp27-cp27m-win_amd64 py3-none-any", ""),
        # Without pure ones.
        ({**LINUX, "pure": "false"}, "cp312-cp312-manylinux1_x86_64", "py3-none-any cp312-none-any"),
        # As they stand.
        (
            {"platforms": "android_21_arm64_v8a pyodide_2025_0_wasm32"},
            "cp312-abi3-android_21_arm64_v8a cp313-cp313-pyodide_2025_0_wasm32",
            "cp313-cp313-ios_13_0_arm64_iphoneos cp312-abi3-android_24_arm64_v8a",
        ),
    ],
)
def test_wheels_are_chosen_by_their_tags(keys, fit, unfit):
    said = rule(**keys)

    assert kept(said, *wheels(fit)) == wheels(fit)
    assert kept(said, *wheels(unfit)) == []


@pytest.mark.parametrize(
    ("keys", "filename", "reason"),
    [
        (
            LINUX,
            "gimble-1.0-cp310-cp310-win32.whl",
            "no tag runs on CPython 3.11-3.13, linux-x86_64 or linux-aarch64",
        ),
        (
            {"python": "3.13 3.9, 3.10 3.13t", "implementation": "cpython pypy"},
            "gimble-1.0-cp38-cp38-win32.whl",
            "no tag runs on CPython or PyPy 3.9-3.10, 3.13, 3.13t",
        ),
        (
            {"platforms": "win32 win_amd64 win_arm64 linux-x86_64 linux-aarch64"},
            "gimble-1.0-cp38-cp38-macosx_11_0_arm64.whl",
            "no tag runs on any of 5 platforms",
        ),
        ({**LINUX, "pure": "no"}, "gimble-1.0-py3-none-any.whl", "for any platform, and pure = false"),
        (LINUX, "gimble-1.0.whl", "its name has no wheel tags"),
        (LINUX, "gimble-1.0-1-2-py3-none-any.whl", "its name has no wheel tags"),
        (
            LINUX,
            "gimble-1.0-" + ".".join("a" * 5000) + "-none-" + ".".join("b" * 5000) + ".whl",
            "its name has no wheel tags",
        ),
        (LINUX, "gimble-1.0.win32.exe", "neither a wheel nor source (bdist_wininst)"),
        ({**LINUX, "sdist": "none"}, "gimble-1.0.tar.gz", "source, and sdist = none"),
    ],
)
def test_the_reason_says_what_was_asked_for(keys, filename, reason):
    offer = offered(filename)

    verdict = rule(**keys).judge_file(offer, offer.files[0])

    assert (verdict.keep, verdict.reason) == (False, reason)


OTHERS = ["gimble-1.0-py2.7.egg", "gimble-1.0.win32.exe", "gimble-1.0.linux-x86_64.tar.gz"]


def test_other_kinds_are_kept_only_if_asked_for():
    assert kept(rule(**LINUX), *OTHERS) == []
    assert kept(rule(**LINUX, other="true"), *OTHERS) == OTHERS


def test_a_build_number_is_no_tag():
    assert kept(rule(**LINUX), "gimble-1.0-1-py3-none-any.whl", "gimble-1.0-2x-cp38-cp38-win32.whl") == [
        "gimble-1.0-1-py3-none-any.whl"
    ]


@pytest.mark.parametrize(
    ("policy", "left"),
    [
        ("all", ["gimble-1.0.tar.gz", "gimble-2.0.zip", "gimble-3.0.tar.gz"]),
        ("when-no-wheel-fits", ["gimble-2.0.zip", "gimble-3.0.tar.gz"]),
        ("none", []),
    ],
)
def test_source_is_kept_by_policy_for_each_release(policy, left):
    files = [
        "gimble-1.0.tar.gz",
        "gimble-1.0-cp312-cp312-manylinux1_x86_64.whl",
        "gimble-2.0.zip",
        "gimble-2.0-cp312-cp312-win_amd64.whl",
        "gimble-3.0.tar.gz",
    ]

    found = kept(rule(**LINUX, sdist=policy), *files)

    assert [name for name in found if not name.endswith(".whl")] == left


def test_a_pure_wheel_that_is_not_wanted_does_not_stand_for_the_source():
    files = ["gimble-1.0.tar.gz", "gimble-1.0-py3-none-any.whl"]

    assert kept(rule(**LINUX, sdist="when-no-wheel-fits"), *files) == files[1:]
    assert kept(rule(**LINUX, sdist="when-no-wheel-fits", pure="false"), *files) == files[:1]


def test_offers_are_not_mixed_up():
    said = rule(**LINUX, sdist="when-no-wheel-fits")
    one, other = offered("gimble-1.0.tar.gz", "gimble-1.0-py3-none-any.whl"), offered("gimble-1.0.tar.gz")

    for _ in range(2):
        assert not said.judge_file(one, one.files[0]).keep
        assert said.judge_file(other, other.files[0]).keep


@pytest.mark.parametrize(
    ("keys", "key", "text"),
    [
        ({}, None, "nothing here says"),
        ({"python": "3.11 - 3.13, foo"}, "python", "'foo' cannot be used; allowed: versions and ranges"),
        ({"python": "3"}, "python", "versions and ranges"),
        ({"python": "3.11.2"}, "python", "versions and ranges"),
        ({"python": "4.0"}, "python", "versions and ranges"),
        ({"python": ">=3.9"}, "python", "versions and ranges"),
        ({"python": "3.13-3.11"}, "python", "versions and ranges"),
        ({"python": "2.7-3.5"}, "python", "versions and ranges"),
        ({"python": "3.13-3.14t"}, "python", "versions and ranges"),
        ({"python": "3.12t"}, "python", "versions and ranges"),
        ({"implementation": "pypy"}, "implementation", "without `python`"),
        ({"python": "3.12", "implementation": "jython"}, "implementation", "`cpython`, `pypy` or both"),
        ({"platforms": "linux"}, "platforms", "linux-x86_64"),
        ({"platforms": "linux-x86_65"}, "platforms", "linux-x86_64"),
        ({"platforms": "manylinux_3_1_x86_64"}, "platforms", "linux-x86_64"),
        ({"platforms": "manylinux_2_4_x86_64_v2"}, "platforms", "linux-x86_64"),
        ({"platforms": "macosx_9_0_x86_64"}, "platforms", "linux-x86_64"),
        ({"platforms": "windows"}, "platforms", "linux-x86_64"),
        ({"platforms": "any"}, "platforms", "linux-x86_64"),
        ({"python": "3.12", "pure": "maybe"}, "pure", "true or false"),
        ({"python": "3.12", "other": "maybe"}, "other", "true or false"),
        ({"python": "3.12", "sdist": "some"}, "sdist", "`all`, `when-no-wheel-fits` or `none`"),
    ],
)
def test_a_bad_value_is_refused_with_its_place(keys, key, text):
    with pytest.raises(BadSetting, match=text) as caught:
        rule(**keys)

    assert (caught.value.section, caught.value.key, caught.value.line) == (
        "wheel_tags",
        key,
        1 if key else None,
    )


def test_a_range_may_have_blanks():
    assert rule(python="3.11 - 3.13 , 3.9") == rule(python="3.9\n3.11-3.13")


def test_verdicts_are_remembered_by_tags_and_not_by_names():
    said = rule(**LINUX)

    kept(said, *(f"gimble-{n}.0-py3-none-any.whl" for n in range(50)))

    assert len(said._seen) == 1


# ------------------------------------------------------------------ as packaging, and so pip, sees it


def here() -> list[str]:
    """Return the platform that runs this test, as the configuration names it."""
    if sys.platform == "darwin":
        major, minor = running.mac_ver()[0].split(".")[:2]
        return [f"macosx_{major}_{minor}_{running.machine()}"]
    if sys.platform == "win32":
        return [sysconfig.get_platform().replace("-", "_")]
    libc, version = running.libc_ver()
    if libc != "glibc":
        pytest.skip("no glibc here")
    return [f"manylinux_{version.replace('.', '_')}_{running.machine()}"]


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="only CPython's tags are compared")
def test_the_tags_accepted_are_those_of_the_running_interpreter():
    threads = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    python = Python(sys.version_info.major, sys.version_info.minor, threads)
    platforms = frozenset(tag for name in here() for tag in platform_tags(name))
    kinds = kinds_of([python], ["cpython"])

    ours = {f"{i}-{a}-{p}" for i, a in kinds.native for p in platforms}
    ours |= {f"{i}-{a}-any" for i, a in kinds.pure}
    ours = {tag for text in ours for tag in parse_tag(text)}

    assert ours == set(sys_tags())
    targets = Targets(kinds, platforms)
    assert all(map(targets.accepts, sys_tags()))


# --------------------------------------------------------------------------------------------- anything

names = st.one_of(
    st.text(max_size=40),
    st.from_regex(
        r"gimble-[0-3]\.[0-3](-[0-9])?-(py2\.py3|py3|cp31[0-4]|pp311)-(none|abi3|cp312)-[a-z0-9_.]{0,20}\.whl"
    ),
    st.from_regex(r"gimble-[0-3]\.[0-3]\.(tar\.gz|zip|exe|win32\.exe)", fullmatch=True),
)


@given(st.lists(names, unique=True, max_size=8), st.randoms())
def test_any_name_is_judged_and_order_never_matters(filenames, random):
    said = rule(**LINUX, sdist="when-no-wheel-fits")
    found = set(kept(said, *filenames))
    random.shuffle(filenames)

    assert set(kept(rule(**LINUX, sdist="when-no-wheel-fits"), *filenames)) == found
    assert set(kept(said, *filenames)) == found


@given(st.text())
def test_any_text_names_a_platform_or_none(text):
    assert all(isinstance(tag, str) for tag in platform_tags(text))
