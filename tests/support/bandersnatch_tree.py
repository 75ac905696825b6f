"""Trees as the versions of bandersnatch left them, without running one: pages, files, state.

    tree = bandersnatch_tree(index, "7", json=True)          # "2.0", "4", "7" or "8.2"
    tree.objects["web/simple/six/index.html"]                # bytes, and when they were written
    tree.on_disk(tmp_path)                                   # with symbolic links, or
    storage = tree.in_memory()

What each version writes was read in its source (`generate_simple_page` and its successors).
"""

from __future__ import annotations

import asyncio
import html
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from frumious.model.names import normalize
from frumious.storage.base import Item, Options
from frumious.storage.memory import MemoryStorage
from support.index import IndexFile, Project, SimulatedIndex
from support.index_pages import Place, legacy_json

WRITTEN = 1_790_000_000.25
"""When all of it was written: bandersnatch leaves mtimes alone, so they have fractions."""
PLACE = Place("https://index.example.org", "https://files.example.org")


@dataclass(frozen=True)
class Stored:
    """An object and its time."""

    data: bytes
    modified: float = WRITTEN


@dataclass
class Tree:
    """Everything below the mirror's directory."""

    objects: dict[str, Stored] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    """Symbolic links: key to key; on disk they are absolute, as bandersnatch makes them."""

    def put(self, key: str, data: str | bytes, modified: float = WRITTEN) -> None:
        self.objects[key] = Stored(data.encode() if isinstance(data, str) else data, modified)

    def delete(self, *keys: str) -> None:
        for key in keys:
            del self.objects[key]

    def change(self, key: str, data: bytes, *, later: float = 100) -> None:
        """Replace an object by another program's."""
        self.objects[key] = Stored(data, self.objects[key].modified + later)

    def on_disk(self, folder: Path) -> Path:
        for key, stored in self.objects.items():
            path = folder / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(stored.data)
            os.utime(path, (stored.modified, stored.modified))
        for key, target in self.links.items():
            (folder / key).parent.mkdir(parents=True, exist_ok=True)
            (folder / key).symlink_to(folder.absolute() / target)
        return folder

    def in_memory(self) -> MemoryStorage:
        storage = MemoryStorage(free=10**15)

        async def fill() -> None:
            await storage.write(
                [Item(key, s.data, Options(modified=s.modified)) for key, s in self.objects.items()]
            )
            await storage.alias([(target, key) for key, target in self.links.items()])
            await storage.barrier()

        asyncio.run(fill())
        return storage


@dataclass(frozen=True)
class Style:
    """What a version writes, and the options of `[mirror]` that matter."""

    version: str
    json: bool = False
    """`web/json` and `web/pypi`."""
    hash_index: bool = False
    keep: int = 0
    """keep_index_versions."""
    digest: str = "sha256"
    root_uri: str | None = None
    simple_json: bool = True
    """simple-format, from 6 on."""
    simple_html: bool = True

    @property
    def is_old(self) -> bool:
        return self.version == "2.0"

    @property
    def is_new(self) -> bool:
        return self.version in {"7", "8.2"}


def bandersnatch_tree(
    index: SimulatedIndex,
    version: str = "8.2",
    *,
    names: Iterable[str] | None = None,
    status: str | None = "",
    todo: str | None = None,
    **options: Any,
) -> Tree:
    """Return a mirror of an index as it is now, of everything or of some projects; `status` "" is the right one."""
    style = Style(version, **options)
    style = replace(style, digest="md5") if style.is_old else style
    tree = Tree()
    projects = [index.project(name) for name in (names if names is not None else index.names())]
    for project in projects:
        _put_project(tree, project, style)
    _put_root(tree, projects, style)
    tree.put("generation", "5")
    tree.put("web/last-modified", "20260101T00:00:00\n")
    if status is not None:
        tree.put("status", status or str(index.serial))
    if todo is not None:
        tree.put("todo", todo)
    return tree


def _put_project(tree: Tree, project: Project, style: Style) -> None:
    name = normalize(project.name)
    files = project.offered_files()
    for file in files:
        uploaded = datetime.fromisoformat(file.upload_time).timestamp()
        tree.put(f"web{file.path}", file.content, uploaded)
        if style.is_new and file.metadata is not None:
            tree.put(f"web{file.path}.metadata", file.metadata, uploaded)
    pages = {}
    if style.simple_html or not style.is_new:
        pages["html"] = _html(project, files, style)
        if style.is_new:
            pages["v1_html"] = pages["html"]
    if style.is_new and style.simple_json:
        pages["v1_json"] = _json(project, files, style)
    for directory in _directories(project.name, style):
        for ending, page in pages.items():
            _put_page(tree, directory, ending, page, project.serial, style)
    document = legacy_json(project, PLACE)
    if style.json and document is not None:
        text = json.dumps(json.loads(document), indent=4, sort_keys=True)
        tree.put(f"web/json/{name}", text)
        tree.put(f"web/pypi/{name}/json", text)


def _directories(display: str, style: Style) -> list[str]:
    """Return a project's directories: 2.0 made three, for pip 1.5 and 8.0."""
    name = normalize(display)
    spellings = [name]
    if style.is_old:
        legacy = re.sub(r"[^A-Za-z0-9.]+", "-", display).lower()
        spellings = list(dict.fromkeys([display, legacy, name]))
    if not style.hash_index:
        return [f"web/simple/{spelling}" for spelling in spellings]
    return [f"web/simple/{s[0]}/{s}" for s in spellings]


def _put_page(tree: Tree, directory: str, ending: str, page: str, serial: int, style: Style) -> None:
    key = f"{directory}/index.{ending}"
    if not style.keep:
        tree.put(key, page)
        return
    stamp = "2026-09-21T102030.000001Z"
    tree.put(
        f"{directory}/versions/index_{max(0, serial - 1)}_2026-09-20T102030.000001Z.{ending}", "an older one"
    )
    tree.put(f"{directory}/versions/index_{serial}_{stamp}.{ending}", page)
    tree.links[key] = f"{directory}/versions/index_{serial}_{stamp}.{ending}"


def _html(project: Project, files: list[IndexFile], style: Style) -> str:
    by = (lambda file: _url(file, style)) if style.is_old else (lambda file: file.filename)
    links = [
        f'<a href="{_url(f, style)}#{style.digest}={_digest(f, style)}"{_tags(f, style)}>{f.filename}</a><br/>'
        for f in sorted(files, key=by)
    ]
    if style.is_old:
        return "\n".join(
            [
                f"<html><head><title>Links for {project.name}</title></head><body>",
                f"<h1>Links for {project.name}</h1>",
                *links,
                "</body></html>",
            ]
        )
    meta = '    <meta name="pypi:repository-version" content="1.0">\n' if style.is_new else ""
    head = f"<!DOCTYPE html>\n<html>\n  <head>\n{meta}    <title>Links for {project.name}</title>\n  </head>\n  <body>\n"
    lines = "\n".join(f"    {link}" for link in links)
    return f"{head}    <h1>Links for {project.name}</h1>\n{lines}\n  </body>\n</html>\n<!--SERIAL {project.serial}-->"


def _tags(file: IndexFile, style: Style) -> str:
    tags = ""
    if style.is_old:
        return tags
    if file.requires_python is not None:
        tags += f' data-requires-python="{html.escape(file.requires_python)}"'
    if style.is_new:
        if file.metadata is not None:
            said = f"sha256={file.metadata_sha256}"
            tags += f' data-core-metadata="{said}" data-dist-info-metadata="{said}"'
        if file.yanked is not None:
            tags += f' data-yanked="{html.escape(file.yanked)}"'
    return tags


def _json(project: Project, files: list[IndexFile], style: Style) -> str:
    page: Mapping[str, Any] = {
        "files": [
            {
                "filename": file.filename,
                "hashes": {style.digest: _digest(file, style)},
                "requires-python": file.requires_python,
                "size": len(file.content),
                "upload-time": file.upload_time,
                "url": _url(file, style),
                "yanked": file.yanked is not None,
                "core-metadata": False if file.metadata is None else {"sha256": file.metadata_sha256},
            }
            for file in sorted(files, key=lambda file: file.filename)
        ],
        "meta": {"api-version": "1.1", "_last-serial": str(project.serial)},
        "name": normalize(project.name),
        "versions": sorted(version for version, release in project.releases.items() if release.files),
    }
    return json.dumps(page)


def _url(file: IndexFile, style: Style) -> str:
    return (style.root_uri or "../..") + quote(file.path, safe="/+!~@=:,;()$&'*")


def _digest(file: IndexFile, style: Style) -> str:
    return file.md5 if style.digest == "md5" else file.sha256


def _put_root(tree: Tree, projects: Iterable[Project], style: Style) -> None:
    names = sorted(d.rpartition("/")[2] for p in projects for d in _directories(p.name, style))
    lines = "".join(f'    <a href="{name}/">{name}</a><br/>\n' for name in names)
    page = f"<!DOCTYPE html>\n<html>\n  <head>\n    <title>Simple Index</title>\n  </head>\n  <body>\n{lines}  </body>\n</html>"
    if style.simple_html or not style.is_new:
        tree.put("web/simple/index.html", page)
    if style.is_new:
        if style.simple_html:
            tree.put("web/simple/index.v1_html", page)
        if style.simple_json:
            listed = {
                "meta": {"_last-serial": 0, "api-version": "1.1"},
                "projects": [{"name": n} for n in names],
            }
            tree.put("web/simple/index.v1_json", json.dumps(listed))
