"""Compare the stored project list, and what mirrors of this mirror follow, with the catalog.

However long they are: some thousand names are in memory at a time.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from frumious.model import layout
from frumious.model.layout import PageKind
from frumious.model.project import ListedProject
from frumious.pages import simple_html, simple_json
from frumious.storage.base import Inspected
from frumious.sync.files import CHUNK
from frumious.sync.options import Rendering
from frumious.sync.ports import Ports

_SERIAL = re.compile(rb'"_last-serial":([0-9]{1,19})\b|<!--SERIAL ([0-9]{1,19})-->')
_SERIAL_WITHIN = 64
"""Bytes at the beginning, or the end, of our lists in which the serial stands."""
_LONE_SERIAL = re.compile(rb"[0-9]{1,19}\n")

Render = Callable[[Iterable[ListedProject]], Iterator[bytes]]


async def wrong_lists(ports: Ports, rendering: Rendering) -> dict[str, str]:
    """Return what is wrong with the project list and with what repeats it, by key.

    A list that the next run writes anyway is not looked at, nor one that names projects of another program's tree of
    which the catalog knows nothing yet.
    """
    state = await ports.catalog.state()
    owed = await ports.catalog.owed()
    rows = await ports.catalog.known([one.name for one in owed])
    if state.root_stale or any(row.published is None for row in rows.values()):
        return {}
    wrong = {}
    for key in (*map(layout.root_page_key, rendering.kinds), layout.LOCAL_JSON, layout.LOCAL_SERIAL):
        (facts,) = await ports.storage.inspect([key], sha256=True)
        why = _unfit(facts)
        if why is None and facts is not None:
            why = await _why_wrong(ports, facts, state.head)
        if why is not None:
            wrong[key] = why
    return wrong


def _unfit(facts: Inspected | None) -> str | None:
    if facts is None:
        return "it is not there"
    if facts.problem is not None:
        return f"cannot be read ({facts.problem})"
    return None if facts.is_public else "others cannot read it"


async def _why_wrong(ports: Ports, facts: Inspected, head: int) -> str | None:
    if facts.key == layout.LOCAL_SERIAL:
        return await _why_wrong_serial(ports, facts, head)
    render: Render = simple_json.render_serials
    if facts.key != layout.LOCAL_JSON:
        is_json = facts.key == layout.root_page_key(PageKind.V1_JSON)
        said = await _said(ports, facts, is_json=is_json)
        if said is None:
            return "it has no serial"
        if said > head:
            return f"its serial is {said:,}, that of the mirror {head:,}"
        render = partial((simple_json if is_json else simple_html).render_project_list, serial=said)
    if await _digest(ports, render) != facts.sha256:
        return "it does not name the projects that have a page, or not with their serials"
    return None


async def _why_wrong_serial(ports: Ports, facts: Inspected, head: int) -> str | None:
    text = b"".join([block async for block in ports.storage.open(facts.key, 0, _SERIAL_WITHIN)])
    if not _LONE_SERIAL.fullmatch(text):
        return "it is no serial"
    if not await ports.catalog.highest_published() <= int(text) <= head:
        return f"it says {int(text):,}, and the mirror's serial is {head:,}"
    return None


async def _said(ports: Ports, facts: Inspected, *, is_json: bool) -> int | None:
    """Return the serial that stands in a list."""
    start = 0 if is_json else max(0, facts.size - _SERIAL_WITHIN)
    around = b"".join([block async for block in ports.storage.open(facts.key, start, _SERIAL_WITHIN)])
    said = _SERIAL.search(around)
    return None if said is None else int(said[1] or said[2])


async def _digest(ports: Ports, render: Render) -> str:
    """Return the sha256 of a list as it should be."""
    loop = asyncio.get_running_loop()

    def projects() -> Iterator[ListedProject]:
        after = ""
        while True:
            coming = asyncio.run_coroutine_threadsafe(ports.catalog.projects(after, CHUNK), loop)
            if not (rows := coming.result()):
                return
            yield from (ListedProject(display, published) for _, display, published in rows)
            after = rows[-1][0]

    def work() -> str:
        digest = hashlib.sha256()
        for block in render(projects()):
            digest.update(block)
        return digest.hexdigest()

    return await asyncio.to_thread(work)
