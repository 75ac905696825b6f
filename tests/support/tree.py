"""A small mirror on disk, laid out by hand as a sync would leave it: real wheels, rendered pages, nothing mocked."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from frumious.model.layout import (
    LAST_MODIFIED,
    LOCAL_JSON,
    LOCAL_SERIAL,
    LOCAL_STATS,
    PageKind,
    content_key,
    href,
    legacy_json_keys,
    metadata_key,
    page_key,
    root_page_key,
)
from frumious.model.names import normalize
from frumious.model.project import Digest, ListedProject, PageFile, ProjectPage
from frumious.pages import simple_html, simple_json
from support.index_files import core_metadata, make_sdist, make_wheel

SERIAL = 4242
UPLOADED = "2026-01-01T00:00:00Z"
MTIME = 1767225600  # the same instant: what an ETag is made of must not change from run to run


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One distribution of the tree: `path` is its URL path, encoded as our pages write it."""

    filename: str
    path: str
    body: bytes
    metadata: bytes | None
    yanked: str | None = None

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.body).hexdigest()


@dataclass(frozen=True, slots=True)
class SmallTree:
    """The tree: `web` is what a web server is pointed at."""

    web: Path
    projects: dict[str, tuple[StoredFile, ...]]

    @property
    def files(self) -> tuple[StoredFile, ...]:
        return tuple(file for files in self.projects.values() for file in files)

    def file(self, filename: str) -> StoredFile:
        return next(file for file in self.files if file.filename == filename)


def build_small_tree(folder: Path, *, hash_index: bool = False) -> SmallTree:
    """Write a mirror of four projects below `folder`.

    `snark` needs `boojum`, which has a local version (`+`) and a sdist; `jubjub-bird` has a yanked file and one with every
    odd character; `tove` has no files.
    """
    projects = {
        "Snark": (_wheel(folder, "snark", "1.0", requires_dist=("boojum>=1.2",)),),
        "Boojum": (
            _wheel(folder, "boojum", "1.2+crew.1"),
            _put(folder, "boojum-1.0.tar.gz", make_sdist("boojum", "1.0", core_metadata("boojum", "1.0"))),
        ),
        "Jubjub.Bird": (
            _wheel(folder, "jubjub_bird", "0.5", yanked='bites "hard" <always> \N{BIRD}'),
            _wheel(folder, "jubjub_bird", "1.0"),
            _put(folder, "jubjub bird-1!0~(né)+x@y,z.egg", b"not an archive at all" * 200),
        ),
        "tove": (),
    }
    for display, files in projects.items():
        _write_project(folder, display, files, hash_index=hash_index)
    _write_project_list(folder, projects)
    _write(folder, LAST_MODIFIED, b"20260101T00:00:00\n")
    (folder / LOCAL_STATS).mkdir(parents=True)
    return SmallTree(folder / "web", {normalize(display): files for display, files in projects.items()})


def _wheel(
    folder: Path, name: str, version: str, *, requires_dist: tuple[str, ...] = (), yanked: str | None = None
) -> StoredFile:
    # Long enough to be worth compressing, as real descriptions are.
    description = "\n" + "The vorpal blade went snicker-snack. " * 60 + "\n"
    metadata = core_metadata(name, version, requires_dist=requires_dist) + description.encode()
    filename = f"{name}-{version}-py3-none-any.whl"
    return _put(folder, filename, make_wheel(name, version, metadata), metadata=metadata, yanked=yanked)


def _put(
    folder: Path, filename: str, body: bytes, *, metadata: bytes | None = None, yanked: str | None = None
) -> StoredFile:
    key = content_key(hashlib.blake2b(body, digest_size=32).hexdigest(), filename)
    _write(folder, key, body)
    if metadata is not None:
        beside = metadata_key(key)
        assert beside is not None
        _write(folder, beside, metadata)
    return StoredFile(filename, href(key, root=""), body, metadata, yanked)


def _page_file(file: StoredFile) -> PageFile:
    metadata = file.metadata
    return PageFile(
        filename=file.filename,
        href=f"../..{file.path}",
        digest=Digest("sha256", file.sha256),
        size=len(file.body),
        upload_time=UPLOADED,
        yanked=file.yanked,
        core_metadata=None if metadata is None else Digest("sha256", hashlib.sha256(metadata).hexdigest()),
    )


def _write_project(folder: Path, display: str, files: Iterable[StoredFile], *, hash_index: bool) -> None:
    name = normalize(display)
    page_files = tuple(_page_file(file) for file in files)
    versions = tuple(sorted({file.filename.split("-")[1].removesuffix(".tar.gz") for file in page_files}))
    page = ProjectPage(name=name, serial=SERIAL, files=page_files, versions=versions)
    html = simple_html.render_project_detail(page, display)
    _write(
        folder,
        page_key(name, PageKind.V1_JSON, hash_index=hash_index),
        simple_json.render_project_detail(page),
    )
    _write_html(folder, page_key(name, PageKind.HTML, hash_index=hash_index), html)
    legacy = json.dumps({"info": {"name": display}, "last_serial": SERIAL}).encode()
    for key in legacy_json_keys(name):
        _write(folder, key, legacy)


def _write_project_list(folder: Path, displays: Iterable[str]) -> None:
    listed = [ListedProject(display, SERIAL) for display in sorted(displays, key=normalize)]
    _write(folder, root_page_key(PageKind.V1_JSON), b"".join(simple_json.render_project_list(listed, SERIAL)))
    _write_html(
        folder, root_page_key(PageKind.HTML), b"".join(simple_html.render_project_list(listed, SERIAL))
    )
    _write(folder, LOCAL_JSON, b"".join(simple_json.render_serials(listed)))
    _write(folder, LOCAL_SERIAL, f"{SERIAL}\n".encode())


def _write_html(folder: Path, key: str, body: bytes) -> None:
    """One file under two names, as a sync writes it; so both have one mtime, and nginx one ETag for them."""
    _write(folder, key, body)
    page = folder / key
    page.with_name(PageKind.V1_HTML.value).hardlink_to(page)


def _write(folder: Path, key: str, body: bytes) -> None:
    path = folder / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    os.utime(path, (MTIME, MTIME))
