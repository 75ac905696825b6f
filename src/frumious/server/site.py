"""The table of routes: the first segment of a path says who answers.

A new route is one line where the site is put together (`build.py`) and one handler somewhere in this package.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass

from frumious.server.http import (
    CORS,
    READING,
    Answer,
    Handler,
    Request,
    Response,
    TooLong,
    not_found,
    other_method,
    text,
    unavailable,
)

log = logging.getLogger("frumious.server")

_ALLOWED_HEADERS = "Accept, Authorization, Content-Type, If-Modified-Since, If-None-Match, If-Range, Range"


class Unavailable(Exception):
    """What an answer needs cannot be had now; it says why. Becomes 503."""


@dataclass(frozen=True, slots=True)
class Route:
    """Who answers everything below one first segment."""

    handler: Handler
    methods: tuple[str, ...] = READING
    own_methods: tuple[str, ...] | None = None
    """Of the segment itself, with or without a slash behind it, where they are others than below it."""


class Site:
    """All routes. It answers every request with a response, whatever its handlers do."""

    def __init__(self, routes: Mapping[str, Route], fallback: Route) -> None:
        """Take the routes by their first segment (`simple`, `packages`, …) and who answers all else."""
        self._routes = routes
        self._fallback = fallback

    def answer(self, request: Request) -> Answer:
        """Return the response, or what becomes it; never raises."""
        path = request.path
        if not path.startswith("/"):
            return text(400, "400 Bad Request: the path does not begin with a slash")
        first, _, rest = path[1:].partition("/")
        route = self._routes.get(first, self._fallback)
        methods = route.methods if rest or route.own_methods is None else route.own_methods
        if request.method not in methods:
            return _other_method(request, methods)
        try:
            answer = route.handler(request)
        except Exception as error:  # noqa: BLE001 - one request's failure is that request's
            return _failed(request, error)
        return answer if isinstance(answer, Response) else _guarded(request, answer)


def _other_method(request: Request, methods: tuple[str, ...]) -> Response:
    if request.method != "OPTIONS":
        return other_method(methods)
    allow = ", ".join((*methods, "OPTIONS"))
    return Response(
        204,
        [
            ("allow", allow),
            *CORS,
            ("access-control-allow-methods", allow),
            ("access-control-allow-headers", _ALLOWED_HEADERS),
            ("access-control-max-age", "86400"),
        ],
    )


async def _guarded(request: Request, answer: Awaitable[Response]) -> Response:
    try:
        return await answer
    except Exception as error:  # noqa: BLE001 - one request's failure is that request's
        return _failed(request, error)


def _failed(request: Request, error: Exception) -> Response:
    """Return what an exception becomes: only what is nobody's plan is our defect, and logged as such."""
    if isinstance(error, FileNotFoundError | NotADirectoryError | IsADirectoryError):
        return not_found()
    if isinstance(error, TooLong):
        return text(413, f"413 Content Too Large: {error}")
    if isinstance(error, Unavailable):
        return unavailable(str(error))
    if isinstance(error, OSError):
        log.error("%s %s: %s", request.method, request.path[:200], error)
        return unavailable("the mirror's files cannot be read")
    log.error("%s %s: internal error", request.method, request.path[:200], exc_info=error)
    return text(500, "500 Internal Server Error", [("cache-control", "no-store")])
