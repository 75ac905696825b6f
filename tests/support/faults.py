"""Storage that fails on purpose: wrappers around any storage."""

from collections.abc import Callable

from frumious.errors import FrumiousError


class PowerCut(Exception):
    """The machine is off; nothing more happens."""


class StopAfter:
    """A storage on which the power fails before effect number `n` (from 0), and stays off: reads fail then, too.

    Every item of a batched call is an effect of its own, and so is a barrier.
    """

    def __init__(self, inner, n: int) -> None:
        self._inner, self._left = inner, n
        self._off = False
        self.effects = 0

    def _look(self) -> None:
        if self._off:
            raise PowerCut

    def _effect(self) -> None:
        self._look()
        if self._left <= 0:
            self._off = True
            raise PowerCut
        self._left -= 1
        self.effects += 1

    @property
    def capabilities(self):
        return self._inner.capabilities

    async def put(self, *args, **options):
        self._effect()
        return await self._inner.put(*args, **options)

    async def partial(self, expected):
        self._look()
        return await self._inner.partial(expected)

    async def discard_partial(self, expected):
        self._effect()
        await self._inner.discard_partial(expected)

    async def write(self, items):
        for item in items:
            self._effect()
            await self._inner.write([item])

    async def copy(self, pairs):
        for pair in pairs:
            self._effect()
            await self._inner.copy([pair])

    async def move(self, pairs):
        for pair in pairs:
            self._effect()
            await self._inner.move([pair])

    async def alias(self, pairs):
        for pair in pairs:
            self._effect()
            await self._inner.alias([pair])

    async def date(self, times):
        for one in times:
            self._effect()
            await self._inner.date([one])

    async def delete(self, keys):
        for key in keys:
            self._effect()
            await self._inner.delete([key])

    async def open(self, *args):
        self._look()
        async for block in self._inner.open(*args):
            yield block

    async def read(self, *args):
        self._look()
        return await self._inner.read(*args)

    async def stat(self, keys):
        self._look()
        return await self._inner.stat(keys)

    async def inspect(self, keys, *, sha256):
        self._look()
        return await self._inner.inspect(keys, sha256=sha256)

    async def make_public(self, keys):
        for key in keys:
            self._effect()
            await self._inner.make_public([key])

    async def list(self, *args):
        self._look()
        async for stat in self._inner.list(*args):
            yield stat

    async def barrier(self):
        self._effect()
        await self._inner.barrier()

    async def clean_staging(self, max_age):
        self._effect()
        return await self._inner.clean_staging(max_age)

    async def free_bytes(self):
        self._look()
        return await self._inner.free_bytes()

    async def aclose(self):
        await self._inner.aclose()


class Failing(StopAfter):
    """A storage that refuses what a rule says, again and again: `Failing(inner, lambda key: NoSpace(...) or None)`.

    The rule is asked about each key that would be made, replaced or deleted; reading is never refused.
    """

    def __init__(self, inner, rule: Callable[[str], FrumiousError | None]) -> None:
        super().__init__(inner, 10**12)
        self._rule = rule

    def _refuse(self, key: str) -> None:
        if (error := self._rule(key)) is not None:
            raise error

    async def put(self, key, *args, **options):
        self._refuse(key)
        return await super().put(key, *args, **options)

    async def write(self, items):
        for item in items:
            self._refuse(item.key)
            await super().write([item])

    async def move(self, pairs):
        for pair in pairs:
            self._refuse(pair[1])
            await super().move([pair])

    async def copy(self, pairs):
        for pair in pairs:
            self._refuse(pair[1])
            await super().copy([pair])

    async def alias(self, pairs):
        for pair in pairs:
            self._refuse(pair[1])
            await super().alias([pair])

    async def delete(self, keys):
        for key in keys:
            self._refuse(key)
            await super().delete([key])
