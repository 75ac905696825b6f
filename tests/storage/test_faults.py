"""The storages that fail on purpose do fail, and only then."""

import asyncio
from itertools import chain, combinations

import pytest

from contract.storage_contract import expect, keys, read, stream
from frumious.errors import FrumiousError, NoSpace
from frumious.storage.base import STAGING, Item
from frumious.storage.memory import MemoryStorage
from support.faults import Failing, PowerCut, StopAfter


async def program(storage):
    await storage.put("web/f", stream(b"f"), expect(b"f"))
    await storage.write([Item(f"{STAGING}a", b"a"), Item(f"{STAGING}b", b"b")])
    await storage.barrier()
    await storage.move([(f"{STAGING}a", "web/a"), (f"{STAGING}b", "web/b")])
    await storage.delete(["web/f"])


def test_every_item_of_a_batch_is_an_effect_and_so_is_a_barrier():
    counting = StopAfter(MemoryStorage(), 10**9)
    asyncio.run(program(counting))
    assert counting.effects == 7


@pytest.mark.parametrize(
    ("n", "there"),
    [
        (0, []),
        (1, ["web/f"]),
        (2, [f"{STAGING}a", "web/f"]),
        (4, [f"{STAGING}a", f"{STAGING}b", "web/f"]),
        (5, [f"{STAGING}b", "web/a", "web/f"]),
    ],
)
def test_the_power_fails_before_the_nth_effect_and_stays_off(n, there):
    async def work():
        inner = MemoryStorage()
        stopping = StopAfter(inner, n)
        with pytest.raises(PowerCut):
            await program(stopping)
        for call in (
            lambda: stopping.stat([]),
            stopping.barrier,
            lambda: read(stopping, "web/f"),
            lambda: keys(stopping),
        ):
            with pytest.raises(PowerCut):
                await call()
        assert stopping.effects == n
        assert sorted([*await keys(inner), *await keys(inner, STAGING)]) == there

    asyncio.run(work())


def test_a_power_cut_is_no_error_that_our_code_may_answer():
    assert not issubclass(PowerCut, FrumiousError)


def test_a_rule_refuses_the_keys_it_names_and_no_others():
    async def work():
        inner = MemoryStorage()
        await inner.write([Item("web/bad", b"1"), Item("web/good", b"1")])
        failing = Failing(inner, lambda key: NoSpace("full") if key.endswith("bad") else None)
        for call in (
            lambda: failing.put("web/bad", stream(b"2"), expect(b"2")),
            lambda: failing.write([Item(f"web/{name}", b"2") for name in ("first", "bad", "last")]),
            lambda: failing.copy([("web/good", "web/bad")]),
            lambda: failing.move([("web/good", "web/bad")]),
            lambda: failing.delete(["web/bad"]),
        ):
            with pytest.raises(NoSpace):
                await call()
        assert await keys(failing) == ["web/bad", "web/first", "web/good"]
        assert await read(failing, "web/bad") == b"1"

    asyncio.run(work())


def test_whatever_a_power_cut_takes_durable_bytes_are_under_one_of_their_names():
    """Over every subset of the effects after the barrier."""

    async def work():
        storage = MemoryStorage()
        await program(storage)
        seen = set()
        for kept in chain.from_iterable(combinations(range(3), size) for size in range(4)):
            after = storage.lose(kept)
            there = [*await keys(after), *await keys(after, STAGING)]
            for name in "ab":
                assert (f"web/{name}" in there) != (f"{STAGING}{name}" in there)
            for key in there:
                assert await read(after, key) == key[-1].encode()
            seen.add(frozenset(there))
        assert len(seen) == 8

    asyncio.run(work())
