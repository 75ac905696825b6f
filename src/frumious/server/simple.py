"""The Simple API, list and pages, from the stored tree (PEP 503, 691, 700, 740, 792; conformance 2-10, 42-57)."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from typing import Final

from frumious.model.layout import WEB, PageKind, page_key, root_page_key
from frumious.model.names import InvalidName, NormalizedName, normalize
from frumious.pages.formats import HTML_TYPE, JSON_TYPE, TEXT_HTML
from frumious.server.http import Answer, Request, moved, not_acceptable, not_found
from frumious.server.negotiation import AVAILABLE, acceptable, asked_format, coding
from frumious.server.page_store import Page, PageStore

BASE: Final = "/simple/"
# In the order in which they are looked for: older trees have `index.html` alone.
_STORED: Final = {
    JSON_TYPE: (PageKind.V1_JSON,),
    HTML_TYPE: (PageKind.HTML, PageKind.V1_HTML),
    TEXT_HTML: (PageKind.HTML, PageKind.V1_HTML),
}
_FIXED: Final = {
    PageKind.HTML.value: TEXT_HTML,
    PageKind.V1_HTML.value: HTML_TYPE,
    PageKind.V1_JSON.value: JSON_TYPE,
}


class SimpleApi:
    """Answers below `/simple/`."""

    def __init__(self, pages: PageStore, *, hash_index: bool) -> None:
        self._pages = pages
        self._hash_index = hash_index

    def answer(self, request: Request) -> Answer:
        """Return the project list, a project's page, or where it is."""
        rest = request.path[len(BASE) :]
        if not rest:
            return _moved_to(request, BASE) if request.path == BASE[:-1] else self._negotiated(request, None)
        name, slash, file = rest.partition("/")
        if not slash and name in _FIXED:  # as static mirrors are asked for the list
            return self._stored(request, None, PageKind(name))
        try:
            return self._project(request, name, normalize(name), slash, file)
        except InvalidName:
            return not_found()

    def _project(
        self, request: Request, name: str, normalized: NormalizedName, slash: str, file: str
    ) -> Answer:
        if normalized == name and slash and not file:
            return self._negotiated(request, normalized)
        if not file:  # both faults in one hop (conformance 3, 4)
            return _moved_to(request, f"{BASE}{normalized}/")
        if normalized != name or file not in _FIXED:
            return not_found()
        return self._stored(request, normalized, PageKind(file))

    def place(self, name: NormalizedName, kind: PageKind) -> str:
        """Return where a project's page lies below `web/`."""
        return _place(name, kind, self._hash_index)

    def stored(self, name: NormalizedName) -> tuple[Page, PageKind]:
        """Return the richest stored page of a project, and which it is; raises FileNotFoundError."""
        for kind in (PageKind.V1_JSON, PageKind.HTML, PageKind.V1_HTML):
            with suppress(FileNotFoundError, NotADirectoryError):
                return self._pages.page(_place(name, kind, self._hash_index)), kind
        raise FileNotFoundError

    def _negotiated(self, request: Request, name: NormalizedName | None) -> Answer:
        wanted = asked_format(request.query) if request.query else None
        if wanted is None:
            wanted = acceptable(request.headers("accept"))
        try:
            page, media_type = self._first(name, wanted)
        except FileNotFoundError:
            try:
                self._first(name, _STORED)
            except FileNotFoundError:
                return not_found()
            return not_acceptable(AVAILABLE)
        return self._sent(request, page, media_type)

    def _first(self, name: NormalizedName | None, media_types: Iterable[str]) -> tuple[Page, str]:
        """Return the first page that is stored, and as what it is to be sent; raises FileNotFoundError."""
        for media_type in media_types:
            for kind in _STORED[media_type]:
                try:
                    return self._pages.page(_place(name, kind, self._hash_index)), media_type
                except (FileNotFoundError, NotADirectoryError):
                    continue
        raise FileNotFoundError

    def _stored(self, request: Request, name: NormalizedName | None, kind: PageKind) -> Answer:
        return self._sent(request, self._pages.page(_place(name, kind, self._hash_index)), _FIXED[kind.value])

    def _sent(self, request: Request, page: Page, media_type: str) -> Answer:
        headers = request.headers
        return page.answer(media_type, coding(headers("accept-encoding")), headers("if-none-match"))


@lru_cache(maxsize=1 << 14)
def _place(name: NormalizedName | None, kind: PageKind, hash_index: bool) -> str:  # noqa: FBT001 - a cache goes by position
    """Return where a page lies below `web/`."""
    key = root_page_key(kind) if name is None else page_key(name, kind, hash_index=hash_index)
    return key.removeprefix(WEB)


def _moved_to(request: Request, path: str) -> Answer:
    query = f"?{request.query}" if request.query else ""
    return moved(f"{request.prefix}{path}{query}", permanently=True)
