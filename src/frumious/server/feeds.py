"""RSS feeds of what is new here, and `/stats/` (conformance 88, 89)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Final
from xml.sax.saxutils import escape

from frumious.catalog.base import Catalog
from frumious.errors import BadPage
from frumious.model.names import InvalidName, NormalizedName, normalize
from frumious.server.http import CORS, Request, Response, etag_matches, json_answer, not_found, unchanged
from frumious.server.page_store import content_etag
from frumious.server.records import Records
from frumious.server.releases import Project, Projects, Release, without_illegal

MOST_UPDATES: Final = 100
MOST_NEW: Final = 40
MOST_LARGE: Final = 100
_DAY: Final = 86400


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of a feed."""

    title: str
    name: NormalizedName
    """The project that it leads to."""
    description: str
    at: float | None
    """Seconds since the epoch."""


class Feeds:
    """Answers below `/rss/`."""

    def __init__(self, records: Records, projects: Projects) -> None:
        self._records = records
        self._projects = projects
        self._kept: dict[str, tuple[int, list[Item]]] = {}
        self._looking = asyncio.Lock()

    async def answer(self, request: Request) -> Response:
        """Return a feed: `updates.xml`, `packages.xml`, or `project/<name>/releases.xml`."""
        match request.path.split("/")[2:]:
            case ["updates.xml"]:
                return await self._of_many(request, "newest updates", self._updates)
            case ["packages.xml"]:
                return await self._of_many(request, "newest projects", self._newest)
            case ["project", said, "releases.xml"]:
                return await self._of_one(request, said)
            case _:
                return not_found()

    async def _of_many(
        self, request: Request, title: str, find: Callable[[Catalog], Awaitable[list[Item]]]
    ) -> Response:
        # What reads a hundred projects is done once, whatever host it is asked for by.
        async with self._looking, self._records.catalog() as catalog:
            head = (await catalog.state()).head
            kept = self._kept.get(title)
            if kept is None or kept[0] != head:
                kept = self._kept[title] = head, await find(catalog)
        return _feed(request, title, kept[1])

    async def _updates(self, catalog: Catalog) -> list[Item]:
        return [
            item
            for change in await catalog.newest_changes(MOST_UPDATES)
            if (item := await self._item(change.name, change.at)) is not None
        ]

    async def _newest(self, catalog: Catalog) -> list[Item]:
        return [
            item
            for name in await catalog.newest_projects(MOST_NEW)
            if (item := await self._item(name, None, with_version=False)) is not None
        ]

    async def _of_one(self, request: Request, said: str) -> Response:
        try:
            name = normalize(said)
            project = await self._project(name)
        except (InvalidName, FileNotFoundError, BadPage):
            return not_found()
        newest = sorted(project.releases.values(), key=lambda one: _uploaded(one) or 0, reverse=True)
        items = [Item(one.version, name, "", _uploaded(one)) for one in newest[:MOST_NEW]]
        return _feed(request, f"releases of {project.display}", items)

    async def _project(self, name: NormalizedName) -> Project:
        page, kind = self._projects.page(name)
        return await asyncio.to_thread(self._projects.read, page, kind, name)

    async def _item(
        self, name: NormalizedName, at: float | None, *, with_version: bool = True
    ) -> Item | None:
        try:
            project = await self._project(name)
        except (FileNotFoundError, BadPage):
            return None
        newest = project.newest
        if newest is None:
            return None
        said = await asyncio.to_thread(self._projects.metadata, newest)
        title = f"{project.display} {newest.version}" if with_version else project.display
        return Item(title, name, said.get("summary") or "", _uploaded(newest) or at)


class Stats:
    """Answers `/stats/`."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._largest: tuple[int, dict[str, dict[str, int]]] | None = None
        self._looking = asyncio.Lock()

    async def answer(self, request: Request) -> Response:
        """Return how much is here, and the largest projects: looked for once after each change."""
        if request.path not in {"/stats", "/stats/"}:
            return not_found()
        async with self._records.catalog() as catalog:
            counts = await catalog.counts()
            async with self._looking:
                head = (await catalog.state()).head
                if self._largest is None or self._largest[0] != head:
                    rows = await catalog.largest(MOST_LARGE)
                    self._largest = head, {name: {"size": size} for name, size in rows}
        said = {"top_packages": self._largest[1], "total_packages_size": counts["bytes"]}
        return json_answer(200, said, [("cache-control", f"max-age={_DAY}, public"), ("vary", "Accept")])


def _uploaded(release: Release) -> float | None:
    said = min((file.upload_time for file in release.files if file.upload_time), default=None)
    try:
        return None if said is None else datetime.fromisoformat(said).replace(tzinfo=UTC).timestamp()
    except (ValueError, OverflowError):
        return None


def _feed(request: Request, title: str, items: list[Item]) -> Response:
    base_url = request.base_url
    said = "".join(_rendered(item, base_url) for item in items)
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<rss version="2.0"><channel>'
        f"<title>{_text(title)}</title><link>{_text(base_url)}/</link><description>{_text(title)} of this mirror"
        f"</description><language>en</language>{said}</channel></rss>\n"
    ).encode()
    etag = content_etag(body)
    headers = [
        ("content-type", "text/xml; charset=utf-8"),
        ("cache-control", "max-age=600, public"),
        ("etag", etag),
        *CORS,
    ]
    condition = request.headers("if-none-match")
    if condition is not None and etag_matches(condition, etag):
        return unchanged(headers)
    return Response(200, headers, body)


def _rendered(item: Item, base_url: str) -> str:
    at = "" if item.at is None else f"<pubDate>{formatdate(item.at, usegmt=True)}</pubDate>"
    link = _text(f"{base_url}/simple/{item.name}/")
    return (
        f"<item><title>{_text(item.title)}</title><link>{link}</link>"
        f'<guid isPermaLink="false">{link}#{_text(item.title)}</guid>'
        f"<description>{_text(item.description)}</description>{at}</item>"
    )


def _text(said: str) -> str:
    return escape(without_illegal(said))
