"""Cases 31 to 38 of bandersnatch: what a run finds, and what it is asked for. See test_bandersnatch_cases.py."""

import os
import subprocess

import pytest

from support import program
from support.bandersnatch_tree import bandersnatch_tree
from support.drop_in import DropIn, number, u0
from support.index import Hang, Status, serve
from support.program import wait_for


@pytest.fixture
def drop_in(tmp_path):
    with serve(u0()) as served:
        yield DropIn(tmp_path, served)


def theirs(drop_in, **state):
    """Lay out the tree of a bandersnatch that ran before the latest changes: U0 as it was with serial 10."""
    tree = bandersnatch_tree(u0(), **{"status": "10", **state})
    tree.on_disk(drop_in.directory)
    return tree


# ------------------------------------------------------------------------------------- what a run finds


def test_case_31_a_pending_todo_is_finished(drop_in):
    drop_in.index.upload("foobar", "1.0")
    number(drop_in.index, foobar=20)
    theirs(drop_in, todo="20\nfoobar 1")
    ran = drop_in.mirror()
    assert ran.pages == {"foobar"}
    assert drop_in.projects() == ["a", "foo-bar", "foobar"]
    assert drop_in.filenames("foobar") == ["foobar-1.0-py3-none-any.whl"]
    assert (drop_in.status, drop_in.todo) == ("20", None)


def test_case_31_a_todo_of_changes_is_finished_and_nothing_else_is_asked_for(drop_in):
    """bandersnatch replays the list of its last run; what it had finished of that is not asked for again."""
    new = drop_in.index.upload("A", "2.0")
    theirs(drop_in, todo=f"{drop_in.index.serial}\nA {drop_in.index.serial}")
    ran = drop_in.mirror()
    assert ran.pages == {"a"}
    assert set(ran.files) == {new.filename, f"{new.filename}.metadata"}
    assert (drop_in.status, drop_in.todo) == (str(drop_in.index.serial), None)


@pytest.mark.parametrize("todo", ["foo", "", "foo\nbar", "20\nfoobar", "\x00\xff"])
def test_case_32_a_todo_that_makes_no_sense_is_dropped(drop_in, todo):
    number(drop_in.index, a=1000, foo_bar=1234)
    tree = bandersnatch_tree(drop_in.index, status="1234", todo=todo)
    tree.on_disk(drop_in.directory)
    drop_in.index.upload("A", "2.0")
    ran = drop_in.mirror()
    assert ran.pages == {"a"}, "it goes on from 1234"
    assert (drop_in.status, drop_in.todo) == (str(drop_in.index.serial), None)
    assert drop_in.generation == "5"


@pytest.mark.parametrize("generation", ["2", "3", "4", "garbage", "", None])
def test_case_33_with_an_older_generation_nothing_that_it_claims_is_believed(drop_in, generation):
    """bandersnatch forgets `status` then; what it would find missing is found here, too."""
    for name in ("lost", "old"):
        drop_in.index.upload(name, "1.0")
    tree = bandersnatch_tree(drop_in.index, status=str(drop_in.index.serial))
    drop_in.index.upload("old", "2.0")
    tree.delete(*[key for key in tree.objects if key.startswith("web/simple/lost/")])
    tree.put("status", str(drop_in.index.serial))
    tree.on_disk(drop_in.directory)
    drop_in.path("a-1.0.tar.gz").unlink()
    path = drop_in.directory / "generation"
    path.unlink() if generation is None else path.write_text(generation)

    ran = drop_in.mirror()
    assert ran.files == ["a-1.0.tar.gz", "old-2.0-py3-none-any.whl", "old-2.0-py3-none-any.whl.metadata"]
    assert drop_in.projects() == ["a", "foo-bar", "lost", "old"]
    assert drop_in.filenames("lost") == ["lost-1.0-py3-none-any.whl"]
    assert (drop_in.status, drop_in.todo) == (str(drop_in.index.serial), None)
    assert drop_in.generation == "5"


def test_case_33_a_newer_generation_is_refused(drop_in):
    theirs(drop_in)
    (drop_in.directory / "generation").write_text("9")
    before = drop_in.tree()
    ran = drop_in.mirror(code=1)
    assert "`generation` says 9" in ran.log
    assert ran.requests == ()
    assert (drop_in.tree(), drop_in.status, drop_in.generation) == (before, "10", "9")


@pytest.mark.parametrize("status", ["", "\x00\x00", "10\n20", "ten"])
def test_case_34_a_status_that_is_no_number_is_recovered_from(drop_in, status):
    theirs(drop_in, status=None)
    (drop_in.directory / "status").write_text(status)
    new = drop_in.index.upload("A", "2.0")
    ran = drop_in.mirror()
    assert set(ran.files) == {new.filename, f"{new.filename}.metadata"}
    assert new.filename in drop_in.filenames("a")
    assert (drop_in.status, drop_in.todo) == (str(drop_in.index.serial), None)


def test_case_34_also_one_of_our_own(drop_in):
    drop_in.mirror()
    (drop_in.directory / "status").write_text("")
    assert drop_in.mirror().files == []
    assert drop_in.status == "10"


# ----------------------------------------------------------------------------------- what a run is asked for


def test_case_35_a_second_process_is_refused_as_long_as_one_runs(drop_in):
    drop_in.served.faults.add("file:a-1.0.tar.gz", Hang(), times=None)
    first = subprocess.Popen(
        [program.BIN / "bandersnatch", "-c", drop_in.config, "mirror"],
        env={**os.environ, **drop_in.env}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        wait_for(lambda: drop_in.served.requests("file:a-1.0.tar.gz"))
        for command in (["mirror"], ["sync", "a"], ["mirror", "--force-check"]):
            ran = drop_in.run(*command, code=4)
            assert len(ran.log.splitlines()) <= 2
            assert str(first.pid) in ran.log
        assert first.poll() is None
    finally:
        first.terminate()
        first.communicate(timeout=20)
    drop_in.served.faults.clear()
    drop_in.mirror()


def test_case_36_force_check_asks_for_every_project_and_downloads_nothing(drop_in):
    drop_in.mirror()
    before = drop_in.tree()
    ran = drop_in.mirror("--force-check")
    assert (ran.pages, ran.files) == ({"a", "foo-bar"}, [])
    assert (drop_in.tree(), drop_in.status) == (before, "10")


def test_case_36_also_with_a_todo(drop_in):
    drop_in.served.faults.add("page:a", Status(500), times=None)
    drop_in.mirror(code=3)
    assert drop_in.todo is not None
    drop_in.served.faults.clear()
    ran = drop_in.mirror("--force-check")
    assert (ran.pages, ran.files) == ({"a", "foo-bar"}, ["a-1.0.tar.gz"])
    assert (drop_in.status, drop_in.todo) == ("10", None)


def test_case_36_in_a_tree_of_bandersnatch_too(drop_in):
    theirs(drop_in)
    ran = drop_in.mirror("--force-check")
    assert (ran.pages, ran.files) == ({"a", "foo-bar"}, [])


def test_case_37_sync_looks_at_one_project_and_leaves_the_rest_as_it_is(drop_in):
    drop_in.mirror()
    finished = drop_in.text("web/last-modified")
    new = drop_in.index.upload("Foo.Bar", "4.0")
    drop_in.index.upload("A", "4.0")
    drop_in.index.upload("brandnew", "1.0")
    ran = drop_in.run("sync", "Foo_Bar", "brandnew")
    assert ran.pages == {"foo-bar", "brandnew"}
    assert new.filename in drop_in.filenames("foo-bar")
    assert drop_in.projects() == ["a", "brandnew", "foo-bar"], "the project list is written anew"
    assert (drop_in.status, drop_in.todo) == ("10", None)
    assert drop_in.text("web/last-modified") == finished
    assert drop_in.mirror().pages == {"a"}, "what it did not look at is still to come"


def test_case_37_the_project_list_can_be_left_alone(drop_in):
    drop_in.mirror()
    drop_in.index.upload("brandnew", "1.0")
    drop_in.run("sync", "--skip-simple-root", "brandnew")
    assert drop_in.filenames("brandnew") == ["brandnew-1.0-py3-none-any.whl"]
    assert drop_in.projects() == ["a", "foo-bar"]


def test_case_37_a_pending_todo_survives(drop_in):
    drop_in.served.faults.add("page:a", Status(500), times=None)
    drop_in.mirror(code=3)
    todo = drop_in.todo
    drop_in.run("sync", "Foo_Bar", code=None)
    assert drop_in.todo == todo == "10\nA 5"
    drop_in.served.faults.clear()
    drop_in.run("sync", "a")
    assert drop_in.todo is None, "nothing is owed any more"


def test_case_38_sync_of_a_name_that_nobody_has_is_an_error(drop_in):
    ran = drop_in.run("sync", "nosuch", code=3)
    assert "nosuch: upstream has no such project" in ran.log
    assert drop_in.todo is None


def test_case_38_and_none_with_the_exit_codes_of_bandersnatch(drop_in):
    drop_in.configure(exit_codes="bandersnatch")
    ran = drop_in.run("sync", "nosuch", code=0)
    assert "nosuch: upstream has no such project" in ran.log
