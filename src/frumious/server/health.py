"""`/health` and `/ready`: for whoever restarts a server, and for whoever sends it requests."""

from __future__ import annotations

import asyncio
from typing import Final

from frumious.model.layout import WEB, PageKind, root_page_key
from frumious.server.http import Headers, Request, Response, json_answer
from frumious.server.records import Records
from frumious.server.site import Unavailable
from frumious.server.tree import Tree

_NOT_KEPT: Final[Headers] = [("cache-control", "no-store")]
_LISTS: Final = tuple(root_page_key(kind).removeprefix(WEB) for kind in PageKind)


class Health:
    """Answers about the server itself."""

    def __init__(self, tree: Tree, records: Records) -> None:
        self._tree = tree
        self._records = records

    def health(self, _request: Request) -> Response:
        """Say that this process answers; nothing else is looked at."""
        return json_answer(200, {"status": "ok"}, _NOT_KEPT)

    async def ready(self, request: Request) -> Response:
        """Say whether everything can be answered: 503 names what cannot.

        Without a catalog pages and files are served all the same; `?pages` asks about these alone.
        """
        checks = {"pages": await asyncio.to_thread(self._pages)}
        if request.query not in {"pages", "pages="}:
            checks["catalog"] = await self._catalog()
        is_ready = all(said == "ok" for said in checks.values())
        said = {"status": "ready" if is_ready else "not ready", "checks": checks}
        return json_answer(200 if is_ready else 503, said, _NOT_KEPT)

    def _pages(self) -> str:
        for place in _LISTS:
            try:
                self._tree.at(place)
            except FileNotFoundError:
                continue
            except OSError as error:
                return f"{place} cannot be read: {error.strerror}"
            return "ok"
        return "there is no project list yet; `frumious mirror` makes one"

    async def _catalog(self) -> str:
        try:
            async with self._records.catalog():
                return "ok"
        except Unavailable as error:
            return str(error)
