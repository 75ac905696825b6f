"""Memory storage passes the suite, and loses what a power cut loses."""

import asyncio

from contract.storage_contract import StorageContract, keys, read
from frumious.storage.base import STAGING, Item
from frumious.storage.memory import MemoryStorage
from support.faults import Failing, StopAfter


class TestMemory(StorageContract):
    def make(self, tmp_path):
        return MemoryStorage()


class TestWrapped(StorageContract):
    """A wrapper keeps every promise of what it wraps."""

    def make(self, tmp_path):
        return StopAfter(Failing(MemoryStorage(), lambda _: None), 10**9)


def test_what_came_after_the_barrier_may_be_lost():
    async def work():
        storage = MemoryStorage()
        await storage.write([Item("web/a", b"1"), Item(f"{STAGING}b", b"new")])
        await storage.barrier()
        await storage.write([Item("web/a", b"2")])
        await storage.move([(f"{STAGING}b", "web/b")])
        await storage.delete(["web/a"])
        nothing = storage.lose([])
        assert await read(nothing, "web/a") == b"1"
        assert await keys(nothing, STAGING) == [f"{STAGING}b"]
        only_the_move = storage.lose([1])
        assert await read(only_the_move, "web/b") == b"new"
        assert await read(only_the_move, "web/a") == b"1"
        everything = storage.lose(lambda _: True)
        assert await keys(everything) == ["web/b"]

    asyncio.run(work())


def test_an_alias_may_outlive_what_it_stands_for():
    async def work():
        storage = MemoryStorage()
        await storage.write([Item("web/v/1", b"1")])
        await storage.alias([("web/v/1", "web/a")])
        assert await keys(storage.lose([1])) == []
        assert await keys(storage.lose([0])) == ["web/v/1"]
        assert await read(storage.lose([0, 1]), "web/a") == b"1"

    asyncio.run(work())


def test_a_rename_of_what_was_lost_is_lost_too():
    async def work():
        storage = MemoryStorage()
        await storage.write([Item(f"{STAGING}b", b"new")])
        await storage.move([(f"{STAGING}b", "web/b")])
        assert await keys(storage.lose([1])) == []

    asyncio.run(work())
