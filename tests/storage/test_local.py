"""What is a disk's own: modes, links, other file systems, full disks, killed processes, both barriers."""

import asyncio
import errno
import hashlib
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from contract.storage_contract import BIG, expect, keys, read, stream
from frumious.errors import NoSpace, NoSuchObject, NotWritable, StorageError
from frumious.storage.base import STAGING, Expected, Item
from frumious.storage.local import LocalStorage, _error, sync_file_systems


def no_links(source, target):
    raise OSError(errno.EPERM, "links are not permitted here")


def using(tmp_path, work, **options):
    async def inside():
        storage = LocalStorage(tmp_path, **options)
        try:
            return await work(storage)
        finally:
            await storage.aclose()

    return asyncio.run(inside())


def test_modes_do_not_depend_on_the_umask(tmp_path):
    async def work(storage):
        await storage.write([Item("web/simple/a/index.html", b"x")])
        await storage.put("web/packages/aa/bb/f", stream(b"x"), Expected())

    before = os.umask(0o077)
    try:
        using(tmp_path, work)
    finally:
        os.umask(before)
    for path in tmp_path.rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644), path


@pytest.mark.parametrize(("umask", "file", "folder"), [(0o027, 0o640, 0o750), (0o002, 0o664, 0o775)])
def test_modes_can_be_left_to_the_umask(tmp_path, umask, file, folder):
    (tmp_path / "web").mkdir()
    (tmp_path / "web").chmod(0o710)

    async def work(storage):
        await storage.write([Item("web/simple/a/index.html", b"x"), Item(f"{STAGING}p", b"x")])
        await storage.copy([(f"{STAGING}p", "web/simple/a/index.v1_html")])
        await storage.put("web/packages/aa/bb/f", stream(b"x"), expect(b"x"))

    before = os.umask(umask)
    try:
        using(tmp_path, work, manage_modes=False)
    finally:
        os.umask(before)
    assert (tmp_path / "web").stat().st_mode & 0o777 == 0o710
    for path in (tmp_path / "web").rglob("*"):
        assert path.stat().st_mode & 0o777 == (folder if path.is_dir() else file), path


# ------------------------------------------------------------------ aliases


def test_an_alias_is_a_relative_symbolic_link(tmp_path):
    async def work(storage):
        await storage.write([Item("web/simple/a/versions/1.html", b"1")])
        await storage.alias(
            [
                ("web/simple/a/versions/1.html", "web/simple/a/index.html"),
                ("web/simple/a/versions/1.html", "web/pypi/a/json"),
            ]
        )
        await storage.move([("web/simple/a/index.html", "web/simple/b/index.html")])

    using(tmp_path, work)
    links = {"pypi/a/json": "../../simple/a/versions/1.html", "simple/b/index.html": "../a/versions/1.html"}
    for key, text in links.items():
        assert (tmp_path / "web" / key).readlink() == Path(text)
    (tmp_path / "web").rename(tmp_path / "elsewhere")
    assert (tmp_path / "elsewhere/simple/b/index.html").read_bytes() == b"1"


def test_an_alias_leads_right_where_folders_are_links(tmp_path):
    (tmp_path / "m/web").mkdir(parents=True)
    (tmp_path / "disk/two/simple").mkdir(parents=True)
    (tmp_path / "m/web/simple").symlink_to(tmp_path / "disk/two/simple")

    async def work(storage):
        await storage.write([Item("web/json/a", b"1"), Item("web/simple/b", b"2")])
        await storage.alias([("web/json/a", "web/simple/a/x"), ("web/simple/b", "web/b")])
        await storage.move([("web/simple/a/x", "web/x"), ("web/b", "web/simple/c/d")])
        assert await read(storage, "web/x") == b"1"
        assert await read(storage, "web/simple/c/d") == b"2"

    using(tmp_path / "m", work)
    assert not (tmp_path / "m/web/x").readlink().is_absolute()


def test_links_of_others_are_followed_and_moved_as_they_are(tmp_path):
    """bandersnatch's `keep_index_versions` makes absolute ones."""

    async def work(storage):
        await storage.write([Item("web/a/versions/1", b"1")])
        (tmp_path / "web/a/index.html").symlink_to(tmp_path / "web/a/versions/1")
        assert await read(storage, "web/a/index.html") == b"1"
        await storage.copy([("web/a/index.html", "web/copy")])
        await storage.move([("web/a/index.html", "web/b/index.html")])
        assert await read(storage, "web/b/index.html") == await read(storage, "web/copy") == b"1"

    using(tmp_path, work)
    assert (tmp_path / "web/b/index.html").readlink() == tmp_path / "web/a/versions/1"
    assert not (tmp_path / "web/copy").is_symlink()


def test_scratch_names_are_short(tmp_path):
    async def work(storage):  # conformance 96
        for algorithm in ("sha512", "sha256"):
            with pytest.raises(ConnectionResetError):
                await storage.put(
                    "web/" + "x" * 250,
                    stream(BIG, fail_after=2 * 10**6),
                    expect(BIG, algorithm),
                    validator='"v"',
                )
        names = [path.name for path in (tmp_path / STAGING).iterdir()]
        assert len(names) == 4
        assert all(len(name) <= 64 for name in names)

    using(tmp_path, work)


def test_a_partial_survives_the_process(tmp_path):
    async def first(storage):
        with pytest.raises(ConnectionResetError):
            await storage.put("web/f", stream(BIG, fail_after=2 * 10**6), expect(BIG), validator='"v"')

    async def second(storage):
        await storage.clean_staging(3600)
        return await storage.partial(expect(BIG))

    using(tmp_path, first)
    assert using(tmp_path, second).validator == '"v"'


KILLED = """
import asyncio, hashlib, os, signal, sys
from pathlib import Path
from frumious.storage.local import LocalStorage
from frumious.storage.base import Expected
data = bytes(range(256)) * 12000
async def body():
    yield data[:int(sys.argv[2])]
    os.kill(os.getpid(), signal.SIGKILL)
expected = Expected("sha256", hashlib.sha256(data).hexdigest(), len(data))
asyncio.run(LocalStorage(Path(sys.argv[1])).put("web/f", body(), expected, validator=sys.argv[3]))
"""


def put_and_be_killed(root, after: int, validator: str):
    done = subprocess.run([sys.executable, "-c", KILLED, root, str(after), validator], check=False)
    assert done.returncode == -signal.SIGKILL


def test_a_killed_process_leaves_a_partial_that_can_be_continued(tmp_path):
    put_and_be_killed(tmp_path, 2_000_000, '"v"')

    async def work(storage):
        await storage.clean_staging(3600)
        partial = await storage.partial(expect(BIG))
        assert (partial.size, partial.validator) == (2_000_000, '"v"')
        await storage.put("web/f", stream(BIG[2_000_000:]), expect(BIG), offset=2_000_000, validator='"v"')
        assert await read(storage, "web/f") == BIG

    using(tmp_path, work)


def test_the_validator_of_an_earlier_body_does_not_stand_beside_a_later_one(tmp_path):
    put_and_be_killed(tmp_path, 2_000_000, '"old"')
    put_and_be_killed(tmp_path, 1000, '"new"')  # too short to have noted its own

    async def work(storage):
        partial = await storage.partial(expect(BIG))
        assert (partial.size, partial.validator) == (1000, None)

    using(tmp_path, work)


def test_directories_that_became_empty_go_but_the_frame_stays(tmp_path):
    for part in ("web/simple", "web/packages"):
        (tmp_path / part).mkdir(parents=True)

    async def work(storage):
        await storage.write([Item("web/packages/aa/bb/f", b"x"), Item("web/simple/a/index.html", b"x")])
        await storage.delete(["web/packages/aa/bb/f", "web/simple/a/index.html"])

    using(tmp_path, work)
    assert sorted(str(p.relative_to(tmp_path)) for p in (tmp_path / "web").rglob("*")) == [
        "web/packages",
        "web/simple",
    ]


def test_a_directory_removed_behind_our_back_is_made_again(tmp_path):
    async def work(storage):
        await storage.write([Item("web/packages/aa/f", b"x")])
        (tmp_path / "web/packages/aa/f").unlink()
        (tmp_path / "web/packages/aa").rmdir()
        await storage.write([Item("web/packages/aa/g", b"x")])
        assert await keys(storage) == ["web/packages/aa/g"]

    using(tmp_path, work)


def test_a_symbolic_link_in_place_of_a_page_is_replaced_not_followed(tmp_path):
    """bandersnatch's keep_index_versions leaves such links."""
    (tmp_path / "web").mkdir()
    outside = tmp_path / "outside"
    outside.write_text("theirs")
    (tmp_path / "web/page").symlink_to(outside)

    async def work(storage):
        await storage.write([Item("web/page", b"ours")])

    using(tmp_path, work)
    assert outside.read_text() == "theirs"
    assert (tmp_path / "web/page").read_bytes() == b"ours"
    assert not (tmp_path / "web/page").is_symlink()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of one megabyte."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "frumious-test", place], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("cannot mount a small tmpfs (needs root): a full disk is NOT tested here")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_full_disk_is_told_and_nothing_is_torn(small_disk):
    async def work(storage):
        await storage.write([Item("web/f", b"before")])
        data = os.urandom(2_000_000)
        with pytest.raises(NoSpace, match="no space left"):
            await storage.put("web/f", stream(data), expect(data))
        with pytest.raises(NoSpace):
            await storage.write([Item("web/f", data)])
        assert await read(storage, "web/f") == b"before"
        await storage.clean_staging(-1)
        small = os.urandom(200_000)
        await storage.put("web/f", stream(small), expect(small))
        assert hashlib.sha256(await read(storage, "web/f")).digest() == hashlib.sha256(small).digest()

    using(small_disk, work)


def test_packages_on_another_file_system_work(tmp_path, small_disk):
    root = tmp_path / "root"
    (root / "web").mkdir(parents=True)
    (small_disk / "pool").mkdir()
    (root / "web/packages").symlink_to(small_disk / "pool")

    async def work(storage):
        await storage.put("web/packages/aa/f", stream(b"data"), expect(b"data"))
        await storage.write([Item("web/packages/aa/g", b"page")])
        await storage.barrier()

    using(root, work)
    assert sorted(p.name for p in (small_disk / "pool/aa").iterdir()) == ["f", "g"]


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, NoSpace), (errno.EDQUOT, NoSpace), (errno.EFBIG, NoSpace),
        (errno.EACCES, NotWritable), (errno.EPERM, NotWritable), (errno.EROFS, NotWritable),
        (errno.ENOENT, NoSuchObject), (errno.ENOTDIR, NoSuchObject),
        (errno.EIO, StorageError), (errno.ENAMETOOLONG, StorageError),
    ],
)  # fmt: skip
def test_errors_of_the_system_say_whose_fault(number, kind):
    error = _error(OSError(number, os.strerror(number)), "web/key")
    assert type(error) is kind
    assert "web/key" in str(error)


def test_a_name_too_long_for_the_disk_is_an_error_of_ours(tmp_path):
    async def work(storage):
        with pytest.raises(StorageError, match="too long"):
            await storage.put("web/" + "x" * 300, stream(b"x"), Expected())
        assert await keys(storage, STAGING) == []

    using(tmp_path, work)


def with_a_shard_elsewhere(tmp_path, small_disk):
    """Return a root where one shard, below the directories that everybody knows, is on another disk."""
    root = tmp_path / "root"
    (root / "web/packages").mkdir(parents=True)
    (root / "web/packages/aa").symlink_to(small_disk)
    return root


def test_the_barrier_reaches_every_file_system_that_was_written(tmp_path, small_disk):
    root, reached = with_a_shard_elsewhere(tmp_path, small_disk), []

    async def work(storage):
        await storage.put("web/packages/aa/bb/f", stream(b"data"), expect(b"data"))
        await storage.delete(["web/packages/aa/bb/f"])
        await storage.barrier()

    using(root, work, sync=lambda disks: reached.extend(os.fstat(disk).st_dev for disk in disks))
    assert set(reached) == {root.stat().st_dev, small_disk.stat().st_dev}


def test_a_deletion_alone_reaches_its_file_system(tmp_path, small_disk):
    root, reached = with_a_shard_elsewhere(tmp_path, small_disk), []
    (small_disk / "f").write_bytes(b"data")

    async def work(storage):
        await storage.delete(["web/packages/aa/f"])
        await storage.barrier()

    using(root, work, sync=lambda disks: reached.extend(os.fstat(disk).st_dev for disk in disks))
    assert small_disk.stat().st_dev in reached


def test_a_put_cancelled_while_it_is_carried_to_another_disk_leaves_nothing(tmp_path, small_disk):
    root, data = with_a_shard_elsewhere(tmp_path, small_disk), os.urandom(700_000)

    async def work(storage):
        async def body():
            yield data
            asyncio.get_running_loop().call_soon(
                task.cancel
            )  # comes when put first waits: for the copying thread

        task = asyncio.create_task(storage.put("web/packages/aa/f", body(), expect(data)))
        with pytest.raises(asyncio.CancelledError):
            await task

    using(root, work)
    assert list(small_disk.iterdir()) == []
    assert list((root / STAGING).iterdir()) == []


def test_a_copy_that_does_not_fit_leaves_nothing(small_disk):
    async def work(storage):
        await storage.write([Item("web/f", os.urandom(600_000)), Item("web/g", b"before")])
        for target in ("web/g", f"{STAGING}g"):
            with pytest.raises(NoSpace):
                await storage.copy([("web/f", target)])
        assert await read(storage, "web/g") == b"before"
        assert await keys(storage, STAGING) == []

    using(small_disk, work, link=no_links)


def test_a_read_only_disk_is_told_and_can_be_read(small_disk):
    async def fill(storage):
        await storage.write([Item("web/f", b"before"), Item("web/g", b"g")])

    async def work(storage):
        for attempt in (
            lambda: storage.put("web/f", stream(b"x"), expect(b"x")),
            lambda: storage.write([Item("web/f", b"x")]),
            lambda: storage.copy([("web/g", "web/f")]),
            lambda: storage.move([("web/g", "web/f")]),
            lambda: storage.delete(["web/f"]),
        ):
            with pytest.raises(NotWritable, match="Read-only"):
                await attempt()
        assert await read(storage, "web/f") == b"before"

    using(small_disk, fill)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    using(small_disk, work)


@pytest.mark.parametrize("number", sorted(errno.errorcode))
def test_every_error_of_the_system_has_a_place_and_names_the_key(number):
    error = _error(OSError(number, os.strerror(number)), "web/key")
    assert isinstance(error, StorageError)
    assert "web/key" in str(error)
    if type(error) is StorageError:
        assert os.strerror(number) in str(error)


def test_a_file_where_a_directory_must_be_is_not_an_absent_object(tmp_path):
    async def work(storage):
        await storage.write([Item("web/a", b"1")])
        for attempt in (
            lambda: storage.write([Item("web/a/b", b"2")]),
            lambda: storage.put("web/a/b/c", stream(b"2"), expect(b"2")),
            lambda: storage.move([("web/a", "web/a/b")]),
        ):
            with pytest.raises(StorageError, match="a file stands where a directory must be") as caught:
                await attempt()
            assert type(caught.value) is StorageError
        assert await keys(storage) == ["web/a"]
        assert await keys(storage, STAGING) == []

    using(tmp_path, work)


def test_what_is_no_file_is_no_object(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "broken").symlink_to("nowhere")

    async def work(storage):
        assert await keys(storage) == []
        for key in ("pipe", "broken"):
            with pytest.raises(NoSuchObject):
                await asyncio.wait_for(read(storage, key), 5)

    using(tmp_path, work)


def test_two_keys_that_lead_to_one_name_do_not_lose_it(tmp_path):
    (tmp_path / "web/real").mkdir(parents=True)
    (tmp_path / "web/alias").symlink_to("real")

    async def work(storage):
        await storage.write([Item("web/real/f", b"1")])
        await storage.move([("web/real/f", "web/alias/f")])
        assert await read(storage, "web/real/f") == b"1"

    using(tmp_path, work)


def test_a_copy_does_not_write_through_a_link_that_is_in_its_place(tmp_path):
    async def link(storage):
        await storage.write([Item("web/shown", b"shown"), Item("web/other", b"other")])
        await storage.copy([("web/shown", f"{STAGING}p")])

    async def work(storage):
        await storage.copy([("web/other", f"{STAGING}p")])
        assert await read(storage, f"{STAGING}p") == b"other"
        assert await read(storage, "web/shown") == b"shown"

    using(tmp_path, link)
    using(tmp_path, work, link=no_links)


# ------------------------------------------------------------------ the barrier


@pytest.mark.parametrize(("number", "kind"), [(errno.EIO, StorageError), (errno.ENOSPC, NoSpace)])
def test_a_barrier_that_fails_says_so(tmp_path, number, kind):
    def fails(disks):
        raise OSError(number, os.strerror(number))

    async def work(storage):
        await storage.write([Item("web/a", b"1")])
        with pytest.raises(kind, match=os.strerror(number)):
            await storage.barrier()

    using(tmp_path, work, sync=fails)


def test_what_syncfs_returns_is_looked_at(tmp_path):
    descriptor = os.open(tmp_path, os.O_RDONLY)
    sync_file_systems([descriptor])
    os.close(descriptor)
    with pytest.raises(OSError, match="Bad file descriptor"):
        sync_file_systems([descriptor])


def test_what_a_failed_barrier_owed_the_next_one_owes(tmp_path):
    async def work(storage):
        await storage.write([Item("web/a", b"1")])
        (tmp_path / "web/a").unlink()
        os.mknod(tmp_path / "web/a", stat.S_IFSOCK)  # opening it for fsync(2) fails
        for _ in range(2):
            with pytest.raises(StorageError, match="No such device"):
                await storage.barrier()
        (tmp_path / "web/a").unlink()
        await storage.barrier()

    using(tmp_path, work, sync=None)


def test_a_barrier_of_fsyncs_reaches_every_directory_that_changed(tmp_path):
    """A deletion is durable only with the directory that lost the name; a move, with both."""

    async def work(storage):
        await storage.write([Item("web/packages/aa/bb/f", b"1"), Item("web/old/g", b"1")])
        await storage.barrier()
        assert storage._touched == set()
        await storage.delete(["web/packages/aa/bb/f"])
        await storage.move([("web/old/g", "web/new/g")])
        assert {f"{tmp_path}/web/{part}" for part in ("packages", "old", "new", "new/g")} <= storage._touched
        await storage.barrier()

    using(tmp_path, work, sync=None)


def test_closing_gives_back_every_descriptor(tmp_path):
    async def work(storage):
        await storage.write([Item("web/a", b"1")])
        await storage.barrier()

    using(tmp_path, work)  # what the interpreter itself opens on first use
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        using(tmp_path, work)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
