"""PyPI's legacy JSON, `/pypi/<name>/json` and `/pypi/<name>/<version>/json` (conformance 81-85, its section 9.1).

A document that is stored is sent as it lies. Where there is none it is made of the project's page and the core metadata
of its newest release: no fact is invented, and what is known here of no project (who owns it, its vulnerabilities) is
left empty or, where empty would be a statement, left out.
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from typing import Any, Final
from urllib.parse import quote

from packaging.metadata import RawMetadata

from frumious.errors import BadPage
from frumious.model.layout import WEB, href, legacy_json_keys
from frumious.model.names import InvalidName, NormalizedName, normalize
from frumious.model.project import Digest, File
from frumious.server.files import file_answer
from frumious.server.http import (
    SERIAL_HEADER,
    Answer,
    Headers,
    Request,
    Response,
    etag_matches,
    json_answer,
    moved,
)
from frumious.server.page_store import Page, content_etag
from frumious.server.releases import Project, Projects, Release, instant
from frumious.server.tree import Tree

_CONTROL: Final = "max-age=900, public"
_KEPT: Final = 256


class LegacyJson:
    """Answers of the legacy JSON API."""

    def __init__(self, tree: Tree, projects: Projects) -> None:
        self._tree = tree
        self._projects = projects
        self._made: OrderedDict[tuple[str, str | None, str], tuple[Page, Response]] = OrderedDict()

    def answer(self, request: Request, said: str, version: str | None) -> Answer:
        """Return the document of a project, or of one of its releases."""
        try:
            name = normalize(said)
        except InvalidName:
            return _absent()
        if name != said:
            release = "" if version is None else f"/{quote(version, safe='+!')}"
            return moved(f"{request.prefix}/pypi/{name}{release}/json", permanently=True)
        try:
            page, _ = self._projects.page(name)
        except FileNotFoundError:
            return _absent()
        stored = self._stored(request, name, page) if version is None else None
        return stored or self._document(request, name, version, page)

    def _stored(self, request: Request, name: NormalizedName, page: Page) -> Response | None:
        for key in reversed(legacy_json_keys(name)):
            try:
                found = self._tree.at(key.removeprefix(WEB))
            except (FileNotFoundError, NotADirectoryError):
                continue
            answer = file_answer(request, found, "application/json", _CONTROL)
            return Response(answer.status, [*answer.headers, *_serial_header(page.serial)], answer.body)
        return None

    async def _document(
        self, request: Request, name: NormalizedName, version: str | None, page: Page
    ) -> Response:
        key = (name, version, request.base_url)
        made = self._made.get(key)
        if made is None or made[0] is not page:
            page, kind = self._projects.page(name)
            try:
                project = await asyncio.to_thread(self._projects.read, page, kind, name)
                document = await asyncio.to_thread(self._make, project, version, request.base_url)
            except (FileNotFoundError, BadPage):
                return _absent()
            made = page, _ready(document, page.serial)
            self._made[key] = made
            if len(self._made) > _KEPT:
                self._made.popitem(last=False)
        response = made[1]
        condition = request.headers("if-none-match")
        etag = next(value for header, value in response.headers if header == "etag")
        if condition is not None and etag_matches(condition, etag):
            return Response(304, response.headers)
        return response

    def _make(self, project: Project, version: str | None, base_url: str) -> dict[str, Any]:
        release = project.newest if version is None else project.release(version)
        if release is None:
            raise FileNotFoundError
        document: dict[str, Any] = {
            "info": _info(project, release, self._projects.metadata(release), base_url),
            "last_serial": project.serial,
            "ownership": {"organization": None, "roles": []},
            "urls": self._files(project, release, base_url),
        }
        if version is None:
            document["releases"] = {
                one.version: self._files(project, one, base_url) for one in project.releases.values()
            }
        return document

    def _files(self, project: Project, release: Release, base_url: str) -> list[dict[str, Any]]:
        return [self._file(project, file, base_url) for file in release.files]

    def _file(self, project: Project, file: File, base_url: str) -> dict[str, Any]:
        key = self._projects.place(file)
        url = file.url if key is None else href(key, root=base_url)  # below /packages/: conformance 70
        known = {} if file.digest is None else {file.digest.algorithm: file.digest.hex}
        kind = project.offer.package_type(file)
        return {
            "comment_text": None,
            "core-metadata": _core_metadata(file.core_metadata),
            "digests": {"blake2b_256": None, "md5": None, "sha256": None, **known},
            "downloads": -1,
            "filename": file.filename,
            "has_sig": False,
            "md5_digest": known.get("md5"),
            "packagetype": kind,
            "python_version": _python_version(file.filename, kind),
            "requires_python": file.requires_python,
            "size": file.size,
            **instant(file.upload_time),
            "url": url,
            "yanked": file.yanked is not None,
            "yanked_reason": file.yanked or None,
        }


def _ready(document: dict[str, Any], serial: str | None) -> Response:
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    answer = json_answer(200, {}, [("cache-control", _CONTROL), *_serial_header(serial)])
    encoded = body.encode(errors="replace")
    return Response(200, [*answer.headers, ("etag", content_etag(encoded))], encoded)


def _absent() -> Response:
    return json_answer(404, {"message": "Not Found"})


def _serial_header(serial: str | None) -> Headers:
    return [] if serial is None else [(SERIAL_HEADER, serial)]


def _core_metadata(said: Digest | bool | None) -> dict[str, str] | bool:  # noqa: FBT001 - as the page puts it
    return {said.algorithm: said.hex} if isinstance(said, Digest) else bool(said)


def _python_version(filename: str, kind: str) -> str:
    if kind == "bdist_wheel":
        parts = filename.removesuffix(".whl").split("-")
        return parts[-3] if len(parts) >= 5 else "any"
    return "source" if kind == "sdist" else "any"


def _info(project: Project, release: Release, said: RawMetadata, base_url: str) -> dict[str, Any]:
    page = f"{base_url}/simple/{project.name}/"
    keywords = said.get("keywords")
    platforms = said.get("platforms")
    return {
        "author": said.get("author"),
        "author_email": said.get("author_email"),
        "bugtrack_url": None,
        "classifiers": said.get("classifiers", []),
        "description": said.get("description", ""),
        "description_content_type": said.get("description_content_type"),
        "docs_url": None,
        "download_url": said.get("download_url"),
        "downloads": {"last_day": -1, "last_month": -1, "last_week": -1},
        "dynamic": said.get("dynamic"),
        "home_page": said.get("home_page"),
        "keywords": None if keywords is None else ",".join(keywords),
        "license": said.get("license"),
        "license_expression": said.get("license_expression"),
        "license_files": said.get("license_files"),
        "maintainer": said.get("maintainer"),
        "maintainer_email": said.get("maintainer_email"),
        "name": said.get("name") or project.display,
        "package_url": page,
        "platform": None if platforms is None else ",".join(platforms),
        "project_url": page,
        "project_urls": said.get("project_urls"),
        "provides_extra": said.get("provides_extra"),
        "release_url": page,
        "requires_dist": said.get("requires_dist"),
        "requires_python": next((f.requires_python for f in release.files if f.requires_python), None),
        "summary": said.get("summary"),
        "version": release.version,
        "yanked": release.is_yanked,
        "yanked_reason": release.yanked_reason,
    }
