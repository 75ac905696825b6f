"""A mirror of ours that others mirror from: a tiny world, a change to it, and how a copy of it is compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from support.index import Served, SimulatedIndex
from support.program import Mirror

Files = Mapping[str, Mapping[str, str]]
"""SHA-256 of files by name, by project."""


def an_index() -> SimulatedIndex:
    """Return a small index with an odd file name, a yanked release and a project that will go."""
    index = SimulatedIndex()
    index.upload("Foo.Bar", "1.0")
    index.upload("Foo.Bar", "1.0", "foo_bar-1.0.tar.gz")
    index.upload("Foo.Bar", "2.0+local.1")
    index.yank("Foo.Bar", "2.0+local.1", "broken")
    index.upload("six", "1.17")
    index.upload("gone", "1.0")
    return index


def edit(index: SimulatedIndex) -> None:
    """Change it: a project more, one less, one with another release."""
    index.upload("six", "1.18")
    index.upload("new", "0.1")
    index.delete_project("gone")


class Upstream:
    """Our mirror of a simulated index, and what it holds."""

    def __init__(self, folder: Path, served: Served, extra: str = "", **keys: Any) -> None:
        self.index = served.index
        folder.mkdir(parents=True, exist_ok=True)
        self.mirror = Mirror(folder, served)
        self.mirror.write(extra, **keys)
        self.web = Path(self.mirror.directory, "web")
        self.sync()

    def sync(self) -> None:
        """Run our own `mirror`."""
        done = self.mirror.run("mirror")
        assert done.returncode == 0, done.stderr

    def files(self) -> Files:
        """Return what our pages say."""
        pages = {
            path.parent.name: json.loads(path.read_text())["files"]
            for path in self.web.glob("simple/*/index.v1_json")
        }
        return {
            name: {file["filename"]: file["hashes"]["sha256"] for file in files}
            for name, files in pages.items()
            if files
        }


def files_of(web: Path) -> Files:
    """Return what somebody's JSON pages link to, with the digests of the bytes that are really there."""
    found: dict[str, dict[str, str]] = {}
    for path in web.glob("simple/*/index.v1_json"):
        for file in json.loads(path.read_text())["files"]:
            body = (path.parent / unquote(urlsplit(file["url"]).path)).resolve().read_bytes()
            found.setdefault(path.parent.name, {})[file["filename"]] = hashlib.sha256(body).hexdigest()
    return found


def mirrored_twice(upstream: Upstream, sync: Callable[[], None], web: Path) -> Files:
    """Sync, change the world, sync again: each time the other tree, which is returned, holds what ours holds."""
    sync()
    assert files_of(web) == upstream.files()
    assert set(upstream.files()) == {"foo-bar", "six", "gone"}
    edit(upstream.index)
    upstream.sync()
    sync()
    ours = upstream.files()
    assert set(ours) == {"foo-bar", "six", "new"}
    theirs = files_of(web)
    assert {name: theirs[name] for name in ours} == ours
    return theirs
