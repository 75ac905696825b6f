"""A directory passes the suite, with either barrier, without links; and answers as memory does."""

import asyncio
import errno

from hypothesis import given, settings
from hypothesis import strategies as st

from contract.storage_contract import StorageContract, expect, keys, read, stream
from frumious.errors import StorageError
from frumious.storage.base import STAGING, Item
from frumious.storage.local import LocalStorage
from frumious.storage.memory import MemoryStorage


class TestLocal(StorageContract):
    def make(self, tmp_path):
        return LocalStorage(tmp_path)


class TestWithoutSyncfs(StorageContract):
    def make(self, tmp_path):
        return LocalStorage(tmp_path, sync=None)  # what a system without syncfs(2) gets


def no_links(source, target):
    raise OSError(errno.EPERM, "links are not permitted here")


class TestWithoutLinks(StorageContract):
    def make(self, tmp_path):
        return LocalStorage(tmp_path, link=no_links)


# ------------------------------------------------- both backends, same answers

NAMES = st.sampled_from(["web/a", "web/b/c", "web/b/d", "web/b-e", "status", f"{STAGING}p1", f"{STAGING}p2"])
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), NAMES, st.binary(max_size=9)),
        st.tuples(st.just("put"), NAMES, st.binary(max_size=9)),
        st.tuples(st.just("copy"), NAMES, NAMES),
        st.tuples(st.just("move"), NAMES, NAMES),
        st.tuples(st.just("alias"), NAMES, NAMES),
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
            case "copy" | "move" | "alias":
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
