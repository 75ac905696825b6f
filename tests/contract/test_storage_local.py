"""A directory passes the suite, with either barrier, without links; and what is a disk's own."""

import asyncio
import errno
import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.storage_contract import BIG, StorageContract, expect, keys, read, stream
from frumious.errors import LockHeld, NoSpace, NoSuchObject, NotWritable, StorageError
from frumious.storage.base import STAGING, Expected, Item
from frumious.storage.local import LocalStorage, _error
from frumious.storage.lock import hold_lock
from frumious.storage.memory import MemoryStorage


class TestLocal(StorageContract):
    def make(self, tmp_path):
        return LocalStorage(tmp_path)


class TestWithoutSyncfs(StorageContract):
    def make(self, tmp_path):
        storage = LocalStorage(tmp_path)
        storage._sync = None  # what a system without syncfs(2) gets
        return storage


def no_links(source, target):
    raise OSError(errno.EPERM, "links are not permitted here")


class TestWithoutLinks(StorageContract):
    def make(self, tmp_path):
        return LocalStorage(tmp_path, link=no_links)


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


def test_a_killed_process_leaves_a_partial_that_can_be_continued(tmp_path):
    script = (
        "import asyncio, hashlib, os, signal, sys\n"
        "from pathlib import Path\n"
        "from frumious.storage.local import LocalStorage\n"
        "from frumious.storage.base import Expected\n"
        "data = bytes(range(256)) * 12000\n"
        "async def body():\n"
        "    yield data[:2000000]\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "expected = Expected('sha256', hashlib.sha256(data).hexdigest(), len(data))\n"
        "asyncio.run(LocalStorage(Path(sys.argv[1])).put('web/f', body(), expected, validator='\"v\"'))\n"
    )
    done = subprocess.run([sys.executable, "-c", script, tmp_path], check=False)
    assert done.returncode == -signal.SIGKILL

    async def work(storage):
        await storage.clean_staging(3600)
        partial = await storage.partial(expect(BIG))
        assert (partial.size, partial.validator) == (2_000_000, '"v"')
        await storage.put("web/f", stream(BIG[2_000_000:]), expect(BIG), offset=2_000_000, validator='"v"')
        assert await read(storage, "web/f") == BIG

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
        assert {path.stat().st_dev for path in storage._file_systems()} >= {
            root.stat().st_dev,
            small_disk.stat().st_dev,
        }

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


# -------------------------------------------------------------------- the lock


def test_the_lock_is_held_by_one(tmp_path):
    path = tmp_path / ".lock"
    with hold_lock(path), pytest.raises(LockHeld, match=f"process {os.getpid()}"), hold_lock(path):
        pass
    with hold_lock(path):
        assert path.read_bytes() == b""


def test_a_killed_holder_frees_the_lock(tmp_path):
    script = "import sys, time; from pathlib import Path; from frumious.storage.lock import hold_lock\nwith hold_lock(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", script, tmp_path / ".lock"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(LockHeld) as caught, hold_lock(tmp_path / ".lock"):
            pass
        assert f"process {process.pid}" in str(caught.value)
        assert caught.value.exit_code == 4
        process.kill()
    with hold_lock(tmp_path / ".lock"):
        pass


def test_a_lock_that_cannot_be_made_is_told():
    with pytest.raises(NotWritable, match="cannot open"), hold_lock(Path("/nonexistent/dir/.lock")):
        pass


# ------------------------------------------------- both backends, same answers

NAMES = st.sampled_from(["web/a", "web/b/c", "web/b/d", "web/b-e", "status", f"{STAGING}p1", f"{STAGING}p2"])
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), NAMES, st.binary(max_size=9)),
        st.tuples(st.just("put"), NAMES, st.binary(max_size=9)),
        st.tuples(st.just("copy"), NAMES, NAMES),
        st.tuples(st.just("move"), NAMES, NAMES),
        st.tuples(st.just("delete"), NAMES, st.just("")),
        st.tuples(st.just("barrier"), st.just(""), st.just("")),
    ),
    max_size=12,
)


async def apply(storage, operation):
    kind, first, second = operation
    try:
        match kind:
            case "write":
                await storage.write([Item(first, second)])
            case "put":
                await storage.put(first, stream(second), expect(second))
            case "copy" | "move" if first != second:
                await getattr(storage, kind)([(first, second)])
            case "delete":
                await storage.delete([first])
            case "barrier":
                await storage.barrier()
    except StorageError as error:
        return type(error)
    return None


@settings(max_examples=60, deadline=None)
@given(OPERATIONS)
def test_disk_and_memory_give_the_same_answers(tmp_path_factory, operations):
    async def work():
        disk, memory = LocalStorage(tmp_path_factory.mktemp("disk")), MemoryStorage()
        try:
            for operation in operations:
                assert await apply(disk, operation) == await apply(memory, operation), operation
                for prefix in ("", STAGING):
                    found = await keys(disk, prefix)
                    assert found == await keys(memory, prefix)
                    for key in found:
                        assert await read(disk, key) == await read(memory, key)
        finally:
            await disk.aclose()

    asyncio.run(work())
