"""Compare the stored project list with the catalog, however long it is: some thousand names are in memory at a time."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Iterator

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


async def wrong_lists(ports: Ports, rendering: Rendering) -> dict[str, str]:
    """Return what is wrong with the project list, by the key of each form.

    A list that the next run writes anyway is not looked at, nor one that names projects of another program's tree of
    which the catalog knows nothing yet.
    """
    state = await ports.catalog.state()
    owed = await ports.catalog.owed()
    rows = await ports.catalog.known([one.name for one in owed])
    if state.root_stale or any(row.published is None for row in rows.values()):
        return {}
    wrong = {}
    for kind in rendering.kinds:
        key = layout.root_page_key(kind)
        (facts,) = await ports.storage.inspect([key], sha256=True)
        why = _unfit(facts)
        if why is None and facts is not None:
            why = await _why_wrong(ports, facts, state.head, is_json=kind is PageKind.V1_JSON)
        if why is not None:
            wrong[key] = why
    return wrong


def _unfit(facts: Inspected | None) -> str | None:
    if facts is None:
        return "the project list is not there"
    if facts.problem is not None:
        return f"cannot be read ({facts.problem})"
    return None if facts.is_public else "others cannot read it"


async def _why_wrong(ports: Ports, facts: Inspected, head: int, *, is_json: bool) -> str | None:
    start = 0 if is_json else max(0, facts.size - _SERIAL_WITHIN)
    around = b"".join([block async for block in ports.storage.open(facts.key, start, _SERIAL_WITHIN)])
    said = _SERIAL.search(around)
    if said is None:
        return "it has no serial"
    serial = int(said[1] or said[2])
    if serial > head:
        return f"its serial is {serial:,}, that of the mirror {head:,}"
    if await _digest(ports, serial, is_json=is_json) != facts.sha256:
        return "it does not name the projects that have a page"
    return None


async def _digest(ports: Ports, serial: int, *, is_json: bool) -> str:
    """Return the sha256 of the list as it should be."""
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
        pages = simple_json if is_json else simple_html
        digest = hashlib.sha256()
        for block in pages.render_project_list(projects(), serial):
            digest.update(block)
        return digest.hexdigest()

    return await asyncio.to_thread(work)
