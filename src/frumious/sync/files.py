"""The few files around the pages: the project list, `status`, `todo`, `generation`, `last-modified`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

from frumious.catalog.base import Owed
from frumious.errors import NoSuchObject
from frumious.model import layout
from frumious.model.layout import PageKind
from frumious.model.names import normalize
from frumious.model.project import ListedProject
from frumious.pages import simple_html, simple_json
from frumious.storage.base import STAGING, Expected, Item, Options, Storage
from frumious.sync.options import Rendering
from frumious.sync.ports import Ports

CHUNK = 5000
LONGEST_STATE_FILE = 256 * 1024 * 1024


async def read_text(storage: Storage, key: str) -> str | None:
    """Return a small state file, None where there is none; bytes that are no text are replaced, not refused."""
    body = bytearray()
    try:
        async for block in storage.open(key, 0, LONGEST_STATE_FILE):
            body += block
    except NoSuchObject:
        return None
    return body.decode(errors="replace")


async def write_texts(storage: Storage, texts: Mapping[str, str]) -> None:
    """Write small state files, in this order."""
    await storage.write([Item(key, text.encode()) for key, text in texts.items()])


def todo_text(status: str | None, owed: Sequence[Owed]) -> str:
    """Return the owed projects in bandersnatch's form: the target serial, then a name and a serial on each line."""
    lines = [f"{o.display} {o.wanted or 0}" for o in owed]
    return "\n".join([status or "0", *lines])


async def write_root(
    ports: Ports, rendering: Rendering, head: int, kept: Sequence[ListedProject] = ()
) -> None:
    """Publish the project list: what the catalog lists, and `kept`; all of them have a page (design.md §6.2)."""
    storage = ports.storage
    projects: list[ListedProject] = []
    after = ""
    while rows := await ports.catalog.projects(after, CHUNK):
        projects += [ListedProject(display, serial) for _, display, serial in rows]
        after = rows[-1][0]
    if kept:
        projects = sorted([*projects, *kept], key=lambda project: normalize(project.name))
    html, json = layout.root_page_key(PageKind.HTML), layout.root_page_key(PageKind.V1_JSON)
    now = ports.clock()
    before = [stat.modified for stat in await storage.stat([html, json]) if stat is not None]
    options = Options(modified=max([int(now), *(int(modified) + 1 for modified in before)]))
    moves: list[tuple[str, str]] = []
    if rendering.html:
        await storage.put(
            f"{STAGING}r1", _async(simple_html.render_project_list(projects, head)), Expected(), options
        )
        await storage.copy([(f"{STAGING}r1", f"{STAGING}r2")])
        moves += [(f"{STAGING}r1", html), (f"{STAGING}r2", layout.root_page_key(PageKind.V1_HTML))]
    if rendering.json:
        await storage.put(
            f"{STAGING}r3", _async(simple_json.render_project_list(projects, head)), Expected(), options
        )
        moves.append((f"{STAGING}r3", json))
    # What mirrors of this mirror follow moves after the list that it repeats.
    await storage.put(f"{STAGING}r4", _async(simple_json.render_serials(projects)), Expected(), options)
    await storage.write([Item(f"{STAGING}r5", f"{head}\n".encode(), options)])
    moves += [(f"{STAGING}r4", layout.LOCAL_JSON), (f"{STAGING}r5", layout.LOCAL_SERIAL)]
    await storage.barrier()
    await storage.move(moves)
    await storage.delete([layout.root_page_key(kind) for kind in PageKind if kind not in rendering.kinds])


async def _async(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk
