"""A mirror that follows another as shadowmire does, which is on no package index: its protocol, spoken by us.

Two ways. Of a static tree: `local.json` and `local.db.serial`, then `json/<n>`, `simple/<n>/index.v1_json` and files at
`../../packages/` of the project's page. Of an index: XML-RPC for the list, `/pypi/<n>/json`, `/simple/<n>/` as JSON, files
where the documents say. What differs from what was recorded is fetched, what is off the list is removed (conformance
§9.6, §11).
"""

from __future__ import annotations

import json
import shutil
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit
from xmlrpc.client import ServerProxy

from frumious.model.names import normalize

JSON_PAGE = "application/vnd.pypi.simple.v1+json"


class ShadowmireClient:
    """A tree below `web`, kept after the mirror at `upstream`."""

    def __init__(self, upstream: str, web: Path, *, has_local_json: bool) -> None:
        self._upstream = upstream.rstrip("/") + "/"
        self._web = web
        self._is_static = has_local_json
        self._serials: dict[str, int] = {}
        self.head = 0

    @property
    def serials(self) -> Mapping[str, int]:
        """What it holds, as it would say in a `local.json` of its own."""
        return self._serials

    def sync(self) -> set[str]:
        """Bring the tree up to date, and return the projects that were fetched or removed."""
        self.head, remote = self._listed()
        gone = set(self._serials) - set(remote)
        for name in gone:
            self._remove(name)
        changed = {name for name, serial in remote.items() if self._serials.get(name) != serial}
        for name in sorted(changed):
            self._update(name)
        return gone | changed

    def _listed(self) -> tuple[int, dict[str, int]]:
        if self._is_static:
            listed = json.loads(self._get("local.json")[0])
            assert all(normalize(name) == name for name in listed)
            return int(self._get("local.db.serial")[0]), listed
        with ServerProxy(urljoin(self._upstream, "pypi")) as calls:
            head: Any = calls.changelog_last_serial()
            serials: Any = calls.list_packages_with_serial()
            return head, {normalize(name): serial for name, serial in serials.items()}

    def _update(self, name: str) -> None:
        try:
            body, media_type = self._get(f"json/{name}" if self._is_static else f"pypi/{name}/json")
        except FileNotFoundError:
            return  # asked for again next time
        assert media_type == "application/json"
        document = json.loads(body)
        has_metadata = {file["filename"] for file in self._page(name) if file.get("core-metadata")}
        page = self._web / "simple" / name / "index.v1_json"
        before = json.loads(page.read_text())["files"] if page.exists() else []
        files = [file for release in document["releases"].values() for file in release]
        entries = [self._file(name, file, has_metadata) for file in files]
        for old in {file["url"] for file in before} - {entry["url"] for entry in entries}:
            self._place(name, old).unlink()
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(json.dumps({"files": entries}))
        place = self._web / "json" / name
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(body)
        self._serials[name] = document["last_serial"]

    def _page(self, name: str) -> list[dict[str, Any]]:
        """Return the files of a page; none where it is not of the very type that it should be."""
        if self._is_static:
            body, _ = self._get(f"simple/{name}/index.v1_json")
        else:
            body, media_type = self._get(f"simple/{name}/", JSON_PAGE)
            if media_type != JSON_PAGE:
                return []
        files: list[dict[str, Any]] = json.loads(body)["files"]
        return files

    def _file(self, name: str, file: Mapping[str, Any], has_metadata: set[str]) -> dict[str, Any]:
        path = urlsplit(file["url"]).path
        assert path.startswith("/packages")
        href = f"../..{path}"
        url = urljoin(f"{self._upstream}simple/{name}/", href) if self._is_static else file["url"]
        place = self._place(name, href)
        wanted = [(url, place)]
        if file["filename"] in has_metadata:
            wanted.append((f"{url}.metadata", place.with_name(f"{place.name}.metadata")))
        for source, target in wanted:
            if not target.exists() or (target is place and target.stat().st_size != file["size"]):
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(self._get(source)[0])
        return {
            "filename": file["filename"],
            "url": href,
            "hashes": {"sha256": file["digests"]["sha256"]},
            "size": file["size"],
            "upload-time": file["upload_time_iso_8601"],
            "yanked": file["yanked_reason"] or file["yanked"],
            "core-metadata": file["filename"] in has_metadata,
        }

    def _remove(self, name: str) -> None:
        folder = self._web / "simple" / name
        for file in json.loads((folder / "index.v1_json").read_text())["files"]:
            self._place(name, file["url"]).unlink()
        shutil.rmtree(folder)
        (self._web / "json" / name).unlink()
        del self._serials[name]

    def _place(self, name: str, href: str) -> Path:
        return (self._web / "simple" / name / unquote(href)).resolve()

    def _get(self, target: str, accept: str = "*/*") -> tuple[bytes, str]:
        """Return a body and its media type, as it was sent; raises FileNotFoundError."""
        asked = urllib.request.Request(urljoin(self._upstream, target), headers={"Accept": accept})
        try:
            with urllib.request.urlopen(asked, timeout=20) as answer:
                return answer.read(), answer.headers["Content-Type"]
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 404:
                    raise FileNotFoundError(target) from None
                raise
