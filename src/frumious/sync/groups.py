"""Several tasks as one: the first exception is the news, the rest are its echo."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


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
