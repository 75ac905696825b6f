"""PyPI's legacy JSON, `/pypi/<name>/json` and `/pypi/<name>/<version>/json` (conformance 81-85, its section 9.1).

A document that is stored is sent as it lies, unless the page says otherwise. Where there is none it is made of the
project's page and the core metadata of its newest release: no fact is invented, and what is known here of no project (who owns it, its vulnerabilities) is
left empty or, where empty would be a statement, left out.
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from packaging.metadata import RawMetadata

from frumious.errors import BadPage
from frumious.model.layout import WEB, PageKind, href, legacy_json_keys
from frumious.model.names import InvalidName, NormalizedName, normalize
from frumious.model.project import Digest, File
from frumious.pages.legacy_json import parse_contents
from frumious.server.http import (
    CORS,
    SERIAL_HEADER,
    Answer,
    Request,
    Response,
    etag_matches,
    json_answer,
    moved,
    unchanged,
)
from frumious.server.page_store import Page, content_etag
from frumious.server.releases import Project, Projects, Release, instant
from frumious.server.tree import Found, Tree

_CONTROL: Final = "max-age=900, public"
_CAPACITY: Final = 16 << 20
_SHARE: Final = 4
"""What is larger than one part in so many would push too much else out."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """An answer, and the page and the stored document that it was made of."""

    made_of: tuple[object, object]
    response: Response


class LegacyJson:
    """Answers of the legacy JSON API; the latest are kept, in about `capacity` bytes."""

    def __init__(self, tree: Tree, projects: Projects, *, capacity: int = _CAPACITY) -> None:
        self._tree = tree
        self._projects = projects
        self._capacity = capacity
        self._kept: OrderedDict[tuple[str, str | None, str], _Kept] = OrderedDict()
        self._total = 0

    def answer(self, request: Request, said: str, version: str | None) -> Answer:
        """Return the document of a project, or of one of its releases."""
        try:
            name = normalize(said)
        except InvalidName:
            return _absent()
        if name != said:
            release = "" if version is None else f"/{quote(version, safe='+!')}"
            return moved(f"{request.prefix}/pypi/{name}{release}/json", permanently=True)
        return self._document(request, name, version)

    async def _document(self, request: Request, name: NormalizedName, version: str | None) -> Response:
        try:
            page, kind = self._projects.page(name)
            stored = self._stored(name) if version is None else None
            made_of = page.identity, stored and stored.etag
            key = (name, version, request.base_url)
            kept = self._kept.get(key)
            if kept is None or kept.made_of != made_of:
                response = await asyncio.to_thread(self._ready, page, kind, stored, key)
                kept = _Kept(made_of, response)
                self._keep(key, kept)
            else:
                self._kept.move_to_end(key)
        except (FileNotFoundError, BadPage):
            return _absent()
        headers = kept.response.headers
        condition = request.headers("if-none-match")
        if condition is not None and etag_matches(condition, dict(headers)["etag"]):
            return unchanged(headers)
        return kept.response

    def _stored(self, name: NormalizedName) -> Found | None:
        for key in reversed(legacy_json_keys(name)):
            with suppress(FileNotFoundError, NotADirectoryError):
                return self._tree.at(key.removeprefix(WEB))
        return None

    def _keep(self, key: tuple[str, str | None, str], kept: _Kept) -> None:
        earlier = self._kept.pop(key, None)
        if earlier is not None:
            self._total -= earlier.response.length
        if kept.response.length > self._capacity // _SHARE:
            return
        self._kept[key] = kept
        self._total += kept.response.length
        while self._total > self._capacity:
            _, oldest = self._kept.popitem(last=False)
            self._total -= oldest.response.length

    def _ready(
        self, page: Page, kind: PageKind, stored: Found | None, key: tuple[NormalizedName, str | None, str]
    ) -> Response:
        """Return the answer; raises FileNotFoundError where the project offers nothing, BadPage."""
        name, version, base_url = key
        project = self._projects.read(page, kind, name)
        if not project.releases:
            raise FileNotFoundError
        body = None if stored is None else _as_it_lies(stored, project)
        if body is None:
            made = self._make(project, version, base_url)
            said = json.dumps(made, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
            body = said.encode(errors="replace")
        headers = [
            ("content-type", "application/json"),
            ("x-content-type-options", "nosniff"),
            *CORS,
            ("cache-control", _CONTROL),
            *([] if page.serial is None else [(SERIAL_HEADER, page.serial)]),
            ("etag", content_etag(body)),
        ]
        return Response(200, headers, body)

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


def _as_it_lies(stored: Found, project: Project) -> bytes | None:
    """Return a stored document; None for one that is of another serial than the page, or names a file that it does not.

    That is how it is after a filter was added, until the document comes anew, and as long as it is upstream's own.
    """
    try:
        body = Path(stored.path).read_bytes()
        serial, filenames = parse_contents(body, stored.path)
    except (BadPage, FileNotFoundError):  # it may be taken away while it is asked for
        return None
    is_current = project.serial is None or serial == project.serial
    return body if is_current and filenames <= {file.filename for file in project.offer.files} else None


def _absent() -> Response:
    return json_answer(404, {"message": "Not Found"})


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
