"""The Integrity API: the provenance of one file, as it lies beside it (PEP 740; conformance §6, 78, 80)."""

from __future__ import annotations

from typing import Final

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import Version

from frumious.filters.offer import parsed
from frumious.model.layout import PROVENANCE_SUFFIX, WEB
from frumious.pages.provenance import MEDIA_TYPE
from frumious.server.files import A_WHILE, Files, file_answer
from frumious.server.http import Answer, Request, Response, json_answer, not_found
from frumious.server.negotiation import chosen
from frumious.server.tree import Tree

_TYPES: Final = (MEDIA_TYPE, "application/json")
_VARY: Final = ("vary", "Accept")


class Integrity:
    """Answers `/integrity/<project>/<version>/<filename>/provenance`."""

    def __init__(self, tree: Tree, files: Files) -> None:
        self._tree, self._files = tree, files

    def answer(self, request: Request) -> Answer:
        """Return a document; 404 where there is none of such a file, 406 where the client wants no JSON."""
        match request.path.removesuffix("/").split("/")[2:]:
            case [project, version, filename, "provenance"]:
                return self._document(request, project, version, filename)
            case _:
                return not_found()

    async def _document(self, request: Request, project: str, version: str, filename: str) -> Response:
        media_type = chosen(request.headers("accept"), _TYPES)
        if media_type is None:
            return json_answer(406, {"message": "Request not acceptable"}, [_VARY])
        key = None
        if _is_version_of(version, filename):
            key = await self._files.place(project, filename + PROVENANCE_SUFFIX)
        try:
            if key is None:
                raise FileNotFoundError
            found = self._tree.at(key.removeprefix(WEB))
        except FileNotFoundError:
            return json_answer(404, {"message": f"No provenance available for {filename}"}, [_VARY])
        answer = file_answer(request, found, media_type, A_WHILE)
        answer.headers.append(_VARY)
        return answer


def _is_version_of(version: str, filename: str) -> bool:
    """Say whether a file belongs to a version, however that is spelled: `1.0` is `1.0.0`."""
    try:
        own: Version = (
            parse_wheel_filename(filename)[1]
            if filename.endswith(".whl")
            else parse_sdist_filename(filename)[1]
        )
    except (InvalidWheelFilename, InvalidSdistFilename):
        return False
    return parsed(version) == own
