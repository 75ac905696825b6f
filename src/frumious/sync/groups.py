"""Several tasks as one: the first exception is the news, the rest are its echo."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


def first(error: BaseException) -> BaseException:
    """Return the first exception of a group, however deep; any other exception is itself."""
    return first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


async def at_once(work: Callable[[], Awaitable[None]], count: int) -> None:
    """Run `work` that many times at once; if one of them raises, end the others and raise that."""
    if count == 1:  # nine projects in ten have one new file
        await work()
        return
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(_coroutine(work))
    except BaseExceptionGroup as errors:
        raise first(errors) from None


async def _coroutine(work: Callable[[], Awaitable[None]]) -> None:
    await work()


async def for_each(items: AsyncIterator[T], work: Callable[[T], Awaitable[None]], workers: int) -> None:
    """Do `work` for each item, so many at once; if one of them raises, end the others and raise that."""
    turn = asyncio.Lock()  # an async generator serves one at a time
    end = object()

    async def worker() -> None:
        while True:
            async with turn:
                item = await anext(items, end)
            if item is end:
                return
            await work(item)  # type: ignore[arg-type]  # what is not `end` is an item

    await at_once(worker, workers)
