"""A close look at files that somebody has done something to."""

import asyncio
import hashlib
import os
import threading

import pytest

from frumious.storage.base import Item
from frumious.storage.local import LocalStorage

KEY = "web/packages/aa/bb/x.whl"


def inspect(tmp_path, *keys, sha256=True, public=(), **options):
    """Store one file, let it be inspected, and return what is said of these keys."""

    async def inside():
        storage = LocalStorage(tmp_path, **options)
        try:
            await storage.make_public(public)
            return await storage.inspect(keys or [KEY], sha256=sha256)
        finally:
            await storage.aclose()

    return asyncio.run(inside())


@pytest.fixture
def path(tmp_path):
    async def write():
        storage = LocalStorage(tmp_path)
        await storage.write([Item(KEY, b"wheel")])
        await storage.aclose()

    asyncio.run(write())
    return tmp_path / KEY


def test_a_file_is_public_if_it_and_every_folder_above_are(tmp_path, path):
    assert inspect(tmp_path)[0].is_public
    for place, mode, usual in (
        (path, 0o640, 0o644),
        (path.parent.parent, 0o750, 0o755),
        (path.parent, 0o751, 0o755),
    ):
        place.chmod(mode)
        assert not inspect(tmp_path)[0].is_public
        assert inspect(tmp_path, manage_modes=False)[0].is_public
        assert inspect(tmp_path, public=[KEY])[0].is_public
        assert place.stat().st_mode & 0o777 == usual


def test_what_is_no_file_is_not_there_and_holds_nobody(tmp_path, path):
    for name in ("fifo", "loop", "dangling", "folder", "socket"):
        (path.parent / name).unlink(missing_ok=True)
    os.mkfifo(path.parent / "fifo")
    (path.parent / "loop").symlink_to("loop")
    (path.parent / "dangling").symlink_to("nowhere")
    (path.parent / "folder").mkdir()
    folder = KEY.rpartition("/")[0]
    names = ["fifo", "loop", "dangling", "folder", "none", "x.whl/below"]
    assert inspect(tmp_path, *(f"{folder}/{name}" for name in names)) == [None] * len(names)


def test_links_are_followed(tmp_path, path):
    (path.parent / "link").symlink_to("x.whl")
    (found,) = inspect(tmp_path, f"{KEY.rpartition('/')[0]}/link")
    assert found.sha256 == hashlib.sha256(b"wheel").hexdigest()


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_what_we_may_not_read_is_told(tmp_path, path):
    path.chmod(0)
    (found,) = inspect(tmp_path)
    assert "ermission" in found.problem


def test_files_are_read_in_as_many_threads_as_asked_for(tmp_path, path):
    keys = [f"web/packages/{number}" for number in range(200)]

    async def inside():
        storage = LocalStorage(tmp_path, readers=3)
        try:
            await storage.write([Item(key, b"x" * 100_000) for key in keys])
            found = await storage.inspect(keys, sha256=True)
            threads = [t.name for t in threading.enumerate() if t.name.startswith("storage-reader")]
        finally:
            await storage.aclose()
        return found, threads

    found, threads = asyncio.run(inside())
    assert {one.sha256 for one in found} == {hashlib.sha256(b"x" * 100_000).hexdigest()}
    assert 1 <= len(threads) <= 3


@pytest.mark.parametrize("size", [0, 1, 256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1, 3 * 256 * 1024])
def test_every_length_is_read_whole(tmp_path, size):
    body = os.urandom(size)
    (tmp_path / "x").write_bytes(body)
    (found,) = inspect(tmp_path, "x")
    assert (found.size, found.sha256) == (size, hashlib.sha256(body).hexdigest())
