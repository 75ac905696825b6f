"""The lists of what a run changed and deleted: whole up to the last barrier, each path once, however the run ends."""

import asyncio
import os
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.storage_contract import expect, keys, stream
from frumious.errors import NoSpace, NoSuchObject, NotWritable, WrongContent
from frumious.storage.base import STAGING, Expected, Item
from frumious.storage.memory import MemoryStorage
from frumious.storage.recorded import RecordedStorage, change_lists
from support.faults import Failing

ROOT = "/srv/pypi"


class Lists:
    """The two files of one run, and the storage that writes them."""

    def __init__(self, tmp_path, inner=None):
        self.changed, self.deleted = tmp_path / "list", tmp_path / "list.deleted"
        self.lists = change_lists(self.changed, self.deleted, ROOT)
        self.lists.start()
        self.storage = RecordedStorage(inner or MemoryStorage(), self.lists)

    def read(self):
        """Return the keys in both lists; the files hold exactly that, each path once."""
        found = []
        for path in (self.changed, self.deleted):
            text = path.read_text()
            lines = text.split("\n") if text else []
            assert len(set(lines)) == len(lines)
            assert all(line.startswith(f"{ROOT}/web/") for line in lines)
            found.append([line.removeprefix(f"{ROOT}/") for line in lines])
        return tuple(found)


@pytest.fixture
def run(tmp_path):
    """Call an async function with lists; return what is in them after the storage was closed."""

    def call(work, inner=None):
        async def inside():
            found = Lists(tmp_path, inner)
            try:
                await work(found)
            finally:
                await found.storage.aclose()
            return found.read()

        return asyncio.run(inside())

    return call


def test_both_lists_begin_empty_whatever_was_there(tmp_path):
    (tmp_path / "list").write_text("of yesterday")
    (tmp_path / "list.deleted").symlink_to("nowhere")
    found = Lists(tmp_path)
    assert found.read() == ([], [])
    assert not found.deleted.is_symlink()


def test_everything_under_web_is_listed_and_nothing_else(run):
    async def work(found):
        storage = found.storage
        await storage.put("web/packages/f", stream(b"f"), expect(b"f"))
        await storage.put(f"{STAGING}f", stream(b"f"), Expected())
        await storage.write(
            [Item(f"{STAGING}p", b"p"), Item("status", b"1"), Item("web/last-modified", b"x")]
        )
        await storage.move([(f"{STAGING}p", "web/simple/a/index.html")])
        await storage.copy([("web/simple/a/index.html", "web/simple/a/index.v1_html")])
        await storage.alias([("web/packages/f", "web/pypi/a/json")])
        assert found.read() == ([], [])
        await storage.barrier()
        assert found.read()[0] == [
            "web/packages/f",
            "web/last-modified",
            "web/simple/a/index.html",
            "web/simple/a/index.v1_html",
            "web/pypi/a/json",
        ]

    run(work)


def test_a_list_has_no_newline_at_its_end_and_grows_with_every_barrier(run):
    async def work(found):
        for number in range(3):
            await found.storage.write([Item(f"web/{number}", b"x"), Item("web/same", b"x")])
            await found.storage.barrier()
            await found.storage.barrier()
        assert found.changed.read_text() == "\n".join(
            f"{ROOT}/{key}" for key in ("web/0", "web/same", "web/1", "web/2")
        )

    run(work)


def test_what_is_deleted_or_moved_away_is_listed_if_it_was_there(run):
    async def work(found):
        await found.storage.delete(["web/old", "web/none", "status"])
        await found.storage.move([("web/bad", ".frumious/trash/bad"), ("web/a", "web/b")])
        await found.storage.barrier()

    inner = MemoryStorage()
    asyncio.run(inner.write([Item(key, b"x") for key in ("web/old", "web/bad", "web/a", "status")]))
    assert run(work, inner) == (["web/b"], ["web/old", "web/bad", "web/a"])


def test_in_the_end_a_path_is_only_where_it_ended(run):
    async def work(found):
        storage = found.storage
        for _ in range(2):
            await storage.delete(["web/back"])
            await storage.write([Item("web/gone", b"1"), Item("web/kept", b"1")])
            await storage.barrier()
            await storage.write([Item("web/back", b"2")])
            await storage.delete(["web/gone"])
            await storage.barrier()
        assert "web/back" in found.read()[1]

    inner = MemoryStorage()
    asyncio.run(inner.write([Item("web/back", b"1")]))
    changed, deleted = run(work, inner)
    assert (sorted(changed), deleted) == (["web/back", "web/kept"], ["web/gone"])


def test_what_comes_and_goes_between_two_barriers_was_deleted(run):
    async def work(found):
        await found.storage.write([Item("web/a", b"1"), Item("web/b", b"1")])
        await found.storage.delete(["web/a", "web/b"])
        await found.storage.write([Item("web/b", b"2")])
        await found.storage.barrier()

    assert run(work) == (["web/b"], ["web/a"])


def test_a_run_that_is_broken_off_lists_what_it_had_put_in_place(run):
    async def work(found):
        await found.storage.write([Item("web/a", b"1")])
        with pytest.raises(asyncio.CancelledError):
            raise asyncio.CancelledError

    assert run(work) == (["web/a"], [])


def test_refused_bytes_are_no_change(run):
    async def work(found):
        with pytest.raises(WrongContent):
            await found.storage.put("web/a", stream(b"1"), expect(b"2"))
        await found.storage.barrier()

    inner = MemoryStorage()
    asyncio.run(inner.write([Item("web/a", b"before")]))
    assert run(work, inner) == ([], [])


def test_a_batch_that_fails_half_way_is_listed_as_far_as_it_is_there(run):
    async def work(found):
        with pytest.raises(NoSpace):
            await found.storage.write([Item(f"web/{name}", b"x") for name in ("first", "bad", "last")])
        with pytest.raises(NoSpace):
            await found.storage.delete(["web/old", "web/bad-old"])
        await found.storage.barrier()

    inner = MemoryStorage()
    asyncio.run(inner.write([Item("web/old", b"x"), Item("web/bad-old", b"x")]))
    failing = Failing(inner, lambda key: NoSpace("full") if "bad" in key else None)
    assert run(work, failing) == (["web/first"], ["web/old"])


def test_what_a_failed_barrier_owed_the_next_one_lists(run):
    class Once(Failing):
        failed = False

        async def barrier(self):
            if not self.failed:
                self.failed = True
                raise NoSpace("full")
            await super().barrier()

    async def work(found):
        await found.storage.write([Item("web/a", b"1")])
        with pytest.raises(NoSpace):
            await found.storage.barrier()
        assert found.read() == ([], [])
        await found.storage.write([Item("web/b", b"1")])
        await found.storage.barrier()

    assert run(work, Once(MemoryStorage(), lambda _: None)) == (["web/a", "web/b"], [])


def test_a_list_that_cannot_be_written_any_more_ends_the_run_and_goes_on_where_it_was(run):
    async def work(found):
        await found.storage.write([Item("web/a", b"1")])
        await found.storage.barrier()
        found.changed.rename(found.changed.with_name("away"))
        await found.storage.write([Item("web/b", b"1")])
        with pytest.raises(NotWritable, match=r"\[mirror\] diff-file: cannot write .*list \(No such file"):
            await found.storage.barrier()
        found.changed.with_name("away").rename(found.changed)
        with found.changed.open("a") as half:
            half.write("\n/srv/py")  # as a full disk leaves it

    assert run(work) == (["web/a", "web/b"], [])


@pytest.mark.parametrize("kind", ["directory", "fifo", "parent is a file"])
def test_what_cannot_be_a_list_is_left_alone_and_told(tmp_path, kind):
    path = tmp_path / "list"
    if kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.write_text("mine")
        path /= "inside"
    lists = change_lists(path, path.with_name("list.deleted"), ROOT)
    with pytest.raises(NotWritable, match=r"\[mirror\] diff-file: ") as refused:
        lists.start()
    assert str(path) in str(refused.value)
    assert refused.value.hint
    assert kind != "parent is a file" or (tmp_path / "list").read_text() == "mine"


def test_missing_directories_are_made(tmp_path):
    change_lists(tmp_path / "a/b/list", tmp_path / "a/b/list.deleted", ROOT).start()
    assert sorted(path.name for path in (tmp_path / "a/b").iterdir()) == ["list", "list.deleted"]


NAMES = st.sampled_from(["web/a", "web/b", "web/c", f"{STAGING}p", ".frumious/trash/t"])
STEPS = st.lists(
    st.tuples(st.sampled_from(["write", "move", "copy", "alias", "delete", "barrier"]), NAMES, NAMES),
    max_size=15,
)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_applied_to_the_tree_before_the_lists_give_the_tree_after(tmp_path_factory, steps):
    async def work():
        inner = MemoryStorage()
        await inner.write([Item("web/a", b"0"), Item("web/b", b"0")])
        before = set(await keys(inner, "web/"))
        found = Lists(tmp_path_factory.mktemp("lists"), inner)
        for number, (kind, one, other) in enumerate(steps):
            with suppress(NoSuchObject):
                match kind:
                    case "write":
                        await found.storage.write([Item(one, b"%d" % number)])
                    case "delete":
                        await found.storage.delete([one])
                    case "barrier":
                        await found.storage.barrier()
                    case _:
                        await getattr(found.storage, kind)([(one, other)])
        await found.storage.aclose()
        changed, deleted = map(set, found.read())
        assert not changed & deleted
        after = set(await keys(inner, "web/"))
        assert not deleted & after
        if "alias" not in {kind for kind, _, _ in steps}:
            # An alias goes with what it stands for, and nobody touched it then.
            assert changed <= after
            assert (before | changed) - deleted == after

    asyncio.run(work())
