"""Cases 21 to 30 of bandersnatch: when files, upstream or the machine go wrong. See test_bandersnatch_cases.py."""

import hashlib
import os
import signal
import subprocess
from datetime import datetime

import pytest

from support import program
from support.bandersnatch_tree import bandersnatch_tree
from support.drop_in import DropIn, u0
from support.index import EmptyList, Garbage, Hang, SimulatedIndex, Stale, Status, Stuck, WrongBytes, serve
from support.program import wait_for

WHEEL, SDIST, YANKED = "foo_bar-1.0-py3-none-any.whl", "foo_bar-1.0.tar.gz", "foo_bar-2.0.tar.gz"


@pytest.fixture
def drop_in(tmp_path):
    with serve(u0()) as served:
        yield DropIn(tmp_path, served)


def put(drop_in, filename, content):
    """Put bytes where a file belongs, before anybody has mirrored it."""
    path = drop_in.path(filename)
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


def wrong(content):
    """Return as many bytes, but not these."""
    return bytes(len(content))


def no_temporary_files(drop_in):
    """Say whether a run left nothing that was under way, in `web/` or among what is ours."""
    hidden = [path for path in drop_in.web.rglob("*") if path.name.startswith(".")]
    staged = [path for path in (drop_in.directory / ".frumious/staging").rglob("*") if path.is_file()]
    return hidden + staged == []


# ------------------------------------------------------------------------------------- files that are there


def test_case_21_a_file_with_other_bytes_is_downloaded_again(drop_in):
    content = drop_in.index.file(SDIST).content
    path = put(drop_in, SDIST, wrong(content))
    ran = drop_in.mirror()
    assert SDIST in ran.files
    assert path.read_bytes() == content


def test_case_21_the_old_bytes_stay_until_the_new_ones_are_right(drop_in):
    content = drop_in.index.file(SDIST).content
    path = put(drop_in, SDIST, wrong(content))
    drop_in.served.faults.add(f"file:{SDIST}", WrongBytes(), times=None)
    drop_in.mirror(code=3)
    assert path.read_bytes() == wrong(content)
    drop_in.served.faults.clear()
    drop_in.mirror()
    assert path.read_bytes() == content


def test_case_21_in_a_tree_of_bandersnatch_too_when_the_project_is_next_due(drop_in):
    bandersnatch_tree(drop_in.index).on_disk(drop_in.directory)
    path = drop_in.path(SDIST)
    path.write_bytes(wrong(path.read_bytes()))
    drop_in.index.touch("Foo.Bar")
    ran = drop_in.mirror()
    assert ran.files == [SDIST]
    assert path.read_bytes() == drop_in.index.file(SDIST).content


@pytest.mark.parametrize(
    ("how", "content"),
    [("", None), ("", b""), ("--force-check", None), ("--force-check", b""), ("--force-check", b"wrong")],
    ids=["changed-lost", "changed-empty", "checked-lost", "checked-empty", "checked-damaged"],
)
def test_case_21_in_a_tree_of_ours_too(drop_in, how, content):
    """Where a project changed, sizes are compared; whoever asks for a check wants to know about bytes, too."""
    drop_in.mirror()
    path, right = drop_in.path("a-1.0.tar.gz"), drop_in.index.file("a-1.0.tar.gz").content
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content and content + right[len(content) :])
    if not how:
        drop_in.index.touch("A")
    ran = drop_in.mirror(*how.split())
    assert ran.files == ["a-1.0.tar.gz"]
    assert path.read_bytes() == right


def test_case_22_with_stat_a_right_file_only_has_its_time_mended(drop_in):
    drop_in.configure(compare_method="stat")
    file = drop_in.index.file(SDIST)
    path = put(drop_in, SDIST, file.content)
    os.utime(path, (1, 1))
    ran = drop_in.mirror()
    assert SDIST not in ran.files
    uploaded = datetime.fromisoformat(file.upload_time).timestamp()
    assert path.stat().st_mtime == pytest.approx(uploaded, abs=1e-5)


def test_case_22_with_stat_size_and_time_are_believed(drop_in):
    """As in bandersnatch: who wants bytes to be read does not ask for `stat`."""
    drop_in.configure(compare_method="stat")
    file = drop_in.index.file(SDIST)
    path = put(drop_in, SDIST, wrong(file.content))
    uploaded = datetime.fromisoformat(file.upload_time).timestamp()
    os.utime(path, (uploaded, uploaded))
    assert SDIST not in drop_in.mirror().files


def test_case_23_another_digest_changes_the_fragments_and_downloads_nothing(drop_in):
    drop_in.mirror()
    before = drop_in.tree("packages")
    drop_in.configure(digest_name="md5")
    for args in ((), ("--force-check",)):
        ran = drop_in.mirror(*args)
        assert ran.files == []
        expected = [f"../..{drop_in.index.file(name).path}#md5={md5(before, drop_in, name)}" for name in (WHEEL, SDIST, YANKED)]  # fmt: skip
        assert list(drop_in.links("foo-bar")) == expected
        for file in drop_in.page("foo-bar")["files"]:
            assert file["hashes"] == {"sha256": drop_in.index.file(file["filename"]).sha256}
    assert drop_in.tree("packages") == before


def md5(tree, drop_in, name):
    return hashlib.md5(tree[drop_in.index.file(name).path[1:]], usedforsecurity=False).hexdigest()


@pytest.mark.parametrize("name", ["sha1", "sha224"])
def test_case_23_a_digest_that_installers_refuse_is_refused(drop_in, name):
    drop_in.configure(digest_name=name)
    ran = drop_in.mirror(code=2)
    assert "[mirror] digest_name" in ran.log
    assert ran.requests == ()


# --------------------------------------------------------------------------------------- upstream is wrong


def test_case_24_a_file_with_a_wrong_digest_is_not_published_and_not_forgotten(drop_in):
    drop_in.served.faults.add(f"file:{SDIST}", WrongBytes(), times=None)
    ran = drop_in.mirror(code=3)
    assert "foo-bar: " in ran.log
    assert not drop_in.path(SDIST).exists()
    assert no_temporary_files(drop_in)
    assert {WHEEL, YANKED} <= set(ran.files), "the others are fetched all the same"
    assert drop_in.path(WHEEL).exists()
    assert drop_in.filenames("a") == ["a-1.0.tar.gz"]
    assert not (drop_in.web / "simple/foo-bar").exists()
    assert drop_in.status == "10"
    assert drop_in.todo.splitlines() == ["10", "Foo.Bar 10"]

    drop_in.served.faults.clear()
    ran = drop_in.mirror()
    assert ran.files == [SDIST]
    assert drop_in.filenames("foo-bar") == [WHEEL, SDIST, YANKED]
    assert drop_in.todo is None


@pytest.mark.slow
def test_case_25_one_project_that_is_stale_for_ever_holds_back_nobody(drop_in):
    drop_in.mirror()
    drop_in.index.touch("A")
    serial = drop_in.index.serial
    drop_in.served.faults.add("page:a", Stuck(), times=None)
    for version in ("4.0", "5.0"):
        new = drop_in.index.upload("Foo.Bar", version)
        drop_in.mirror(code=3)
        assert new.filename in drop_in.filenames("foo-bar")
        assert drop_in.status == str(drop_in.index.serial)
        assert drop_in.todo.splitlines()[1:] == [f"A {serial}"]
    assert drop_in.projects() == ["a", "foo-bar"], "its old page stays"


def test_case_26_a_page_that_is_stale_twice_is_good_the_third_time(drop_in):
    drop_in.index.touch("A")
    drop_in.served.faults.add("page:a", Stale(), times=2)
    ran = drop_in.mirror()
    assert ran.requests.count("page:a") == 3
    assert drop_in.todo is None


def test_case_27_a_listed_project_without_a_page_is_told_of_and_no_error(drop_in):
    drop_in.served.faults.add("page:a", Status(404), times=None)
    ran = drop_in.mirror()
    assert "a: listed by upstream, but there is no page" in ran.log
    assert drop_in.projects() == ["foo-bar"]
    assert (drop_in.status, drop_in.todo) == ("10", None)


def test_case_27_one_that_was_mirrored_goes_when_its_page_stays_away(drop_in):
    drop_in.mirror()
    drop_in.index.touch("A")
    drop_in.served.faults.add("page:a", Status(404), times=None)
    first = drop_in.mirror()
    assert "a: upstream no longer has it; our copy is kept" in first.log
    assert drop_in.projects() == ["a", "foo-bar"]
    second = drop_in.mirror()
    assert "removed from the mirror: a" in second.log
    assert drop_in.projects() == ["foo-bar"]
    assert not (drop_in.web / "simple/a").exists()
    assert not drop_in.path("a-1.0.tar.gz").exists()


def test_case_28_a_server_error_of_one_project_is_its_own(drop_in):
    drop_in.served.faults.add("page:a", Status(500), times=None)
    ran = drop_in.mirror(code=3)
    assert "ERROR: a: " in ran.log
    assert ran.requests.count("page:a") > 1, "tried again in the same run"
    assert drop_in.projects() == ["foo-bar"]
    assert (drop_in.status, drop_in.todo) == ("10", "10\nA 5")
    drop_in.served.faults.clear()
    assert drop_in.mirror().pages == {"a"}
    assert drop_in.todo is None


def test_case_28_one_that_passes_is_none(drop_in):
    drop_in.served.faults.add("page:a", Status(500))
    assert "ERROR" not in drop_in.mirror().log
    assert drop_in.projects() == ["a", "foo-bar"]


@pytest.mark.parametrize("effect", [Status(403), Garbage(), EmptyList()], ids=["refused", "garbage", "empty"])
def test_case_29_without_a_list_nothing_changes(drop_in, effect):
    drop_in.mirror()
    before = drop_in.tree()
    drop_in.index.upload("A", "2.0")
    drop_in.served.faults.add("list", effect, times=None)
    ran = drop_in.mirror(code=1)
    assert " ERROR: " in ran.log
    assert set(ran.requests) == {"list"}
    assert (drop_in.tree(), drop_in.status, drop_in.todo) == (before, "10", None)


# ----------------------------------------------------------------------------------------------- the machine


def test_case_30_after_a_kill_only_the_rest_is_fetched(tmp_path):
    index = SimulatedIndex()
    for number in range(8):
        index.upload(f"project-{number}", "1.0", f"project_{number}-1.0.tar.gz")
    index.upload("project-7", "1.0")
    last = "project_7-1.0.tar.gz"
    with serve(index) as served:
        killed, whole = (DropIn(folder(tmp_path, name), served) for name in ("killed", "whole"))
        served.faults.add(f"file:{last}", Hang())
        process = start(killed)
        names = [blob.rpartition("/")[2] for blob in index.blobs]
        wait_for(
            lambda: {request.target for request in served.requests("file:*")} >= {f"file:{n}" for n in names}
        )
        wait_for(lambda: len(killed.tree("packages")) == len(names) - 1)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not killed.path(last).exists()
        assert killed.status is None

        ran = killed.mirror()
        assert ran.files == [last]
        assert no_temporary_files(killed)
        whole.mirror()
        assert killed.tree() == whole.tree()
        assert (killed.status, killed.todo) == (str(index.serial), None)


def folder(tmp_path, name):
    (tmp_path / name).mkdir()
    return tmp_path / name


def start(drop_in):
    return subprocess.Popen(
        [program.BIN / "bandersnatch", "-c", drop_in.config, "mirror"],
        env={**os.environ, **drop_in.env}, stderr=subprocess.DEVNULL,
    )  # fmt: skip
