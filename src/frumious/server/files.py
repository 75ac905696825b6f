"""Files of the tree: distributions and their core metadata, and whatever else lies in `web/` (conformance 59-71)."""

from __future__ import annotations

import asyncio
import re
from pathlib import PurePosixPath
from typing import Final

from frumious.errors import BadPage
from frumious.model.layout import METADATA_SUFFIX, PROVENANCE_SUFFIX, SIDECARS, PageKind, href
from frumious.model.names import InvalidName, NormalizedName, normalize
from frumious.pages.provenance import MEDIA_TYPE as PROVENANCE
from frumious.pages.stored import key_of, read_page
from frumious.server.http import (
    CORS,
    Answer,
    FileBody,
    Headers,
    Request,
    Response,
    etag_matches,
    http_date,
    moved,
    not_found,
    text,
)
from frumious.server.page_store import Page
from frumious.server.ranges import Unsatisfiable, asked_span, still_applies
from frumious.server.simple import SimpleApi
from frumious.server.tree import Found, Tree

_FOR_EVER: Final = "max-age=365000000, immutable, public"
A_WHILE: Final = "max-age=600, public"
_BINARY: Final = "application/octet-stream"
_BY_DIGEST = re.compile(r"/packages/[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{60}/[^/]+\Z")
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".json": "application/json",
    ".ico": "image/x-icon",
    ".bz2": "application/x-bzip2",
}
_CORS: Final[Headers] = [
    CORS[0],
    ("access-control-expose-headers", "Accept-Ranges, Content-Length, Content-Range, ETag"),
]


class Files:
    """Answers for files, by their paths."""

    def __init__(self, tree: Tree, simple: SimpleApi, *, root_uri: str | None) -> None:
        self._tree = tree
        self._simple = simple
        self._root_uri = root_uri

    def package(self, request: Request) -> Answer:
        """Return a distribution file or its core metadata, whole or in part; a path that can be foretold leads to it."""
        path = request.path
        try:
            found = self._tree.named(path)
        except FileNotFoundError:
            return self._foretold(request, path[1:].split("/"))
        if path.endswith(PROVENANCE_SUFFIX):
            return file_answer(request, found, PROVENANCE, A_WHILE)  # it may change (conformance 80)
        # A path made of a digest never holds anything else; any other may be given to a new file (conformance 66, 104).
        control = _FOR_EVER if _BY_DIGEST.match(path) else A_WHILE
        media_type = "text/plain; charset=utf-8" if path.endswith(METADATA_SUFFIX) else _BINARY
        return file_answer(request, found, media_type, control)

    def other(self, request: Request) -> Answer:
        """Return what else lies in `web/`: `last-modified`, statistics, the operator's own robots.txt."""
        suffix = PurePosixPath(request.path).suffix
        media_type = _TYPES.get(suffix, _BINARY if suffix else _TYPES[".txt"])
        return file_answer(request, self._tree.named(request.path), media_type, A_WHILE)

    async def place(self, project: str, filename: str) -> str | None:
        """Return the key of a project's file, or of what lies beside one, by its page; None where it names no such file."""
        try:
            name = normalize(project)
            page, kind = self._simple.stored(name)
            return await asyncio.to_thread(_place_of, page, kind, name, filename, self._root_uri)
        except (InvalidName, FileNotFoundError, BadPage):
            return None

    def _foretold(self, request: Request, segments: list[str]) -> Answer:
        """Answer `/packages/<source or a Python version>/<first letter>/<project>/<file>` (conformance 68)."""
        if len(segments) != 5 or len(segments[2]) != 1 or not segments[3].startswith(segments[2]):
            return not_found()
        return self._looked_up(request, segments[3], segments[4])

    async def _looked_up(self, request: Request, project: str, filename: str) -> Response:
        key = await self.place(project, filename)
        return not_found() if key is None else moved(request.prefix + href(key, root=""), permanently=False)


def _place_of(
    page: Page, kind: PageKind, name: NormalizedName, filename: str, root_uri: str | None
) -> str | None:
    suffix = next((end for end in SIDECARS if filename.endswith(end)), "")
    wanted = filename.removesuffix(suffix)
    for file in read_page(page.read(), kind, name).detail.files:
        if file.filename == wanted:
            key = key_of(file, root_uri)
            return None if key is None else key + suffix
    return None


def file_answer(request: Request, found: Found, media_type: str, cache_control: str) -> Response:
    """Return a file, the part of it that is asked for, or that it is unchanged (RFC 9110 §13, §14)."""
    etag, size = found.etag, found.stat.st_size
    modified = http_date(int(found.stat.st_mtime))
    headers: Headers = [
        ("etag", etag),
        ("cache-control", cache_control),
        ("last-modified", modified),
        ("accept-ranges", "bytes"),
        *_CORS,
    ]
    asked = request.headers
    condition = asked("if-none-match")
    if condition is not None:
        if etag_matches(condition, etag):
            return Response(304, headers)
    elif asked("if-modified-since") == modified:
        return Response(304, headers)
    headers += [("content-type", media_type), ("x-content-type-options", "nosniff")]
    try:
        span = asked_span(asked("range"), size) if still_applies(asked("if-range"), etag, modified) else None
    except Unsatisfiable:
        return text(
            416,
            f"416 Range Not Satisfiable: the file has {size} bytes",
            [("content-range", f"bytes */{size}"), *_CORS],
        )
    if span is None:
        body = FileBody(found.path, 0, size, whole=True)
        return Response(200, [*headers, ("content-length", str(size))], body)
    last = span.start + span.length - 1
    return Response(
        206,
        [
            *headers,
            ("content-length", str(span.length)),
            ("content-range", f"bytes {span.start}-{last}/{size}"),
        ],
        FileBody(found.path, span.start, span.length, whole=False),
    )
