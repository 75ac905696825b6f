"""From what upstream says and what we hold to what we publish. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion

from frumious.catalog.base import HeldFile
from frumious.model import layout
from frumious.model.layout import PageKind
from frumious.model.names import InvalidName, NormalizedName, normalize
from frumious.model.project import Digest, File, PageFile, ProjectDetail, ProjectPage, ProjectStatus
from frumious.pages import simple_html, simple_json
from frumious.sync.options import Rendering


@dataclass(frozen=True, slots=True)
class Rendered:
    """A project's pages as bytes, by the key where each belongs."""

    pages: Mapping[str, bytes]
    links: Mapping[str, str]
    """Keys that hold the same bytes as another: new key to existing key."""
    digest: bytes

    @property
    def size(self) -> int:
        """Bytes to write."""
        return sum(map(len, self.pages.values()))


def build_page(
    detail: ProjectDetail, held: Mapping[str, HeldFile], serial: int, rendering: Rendering
) -> ProjectPage:
    """Return what we say of a project.

    With release files, a file is listed only if it is in `held`; without, links are upstream's own. A quarantined
    project offers nothing (PEP 792; conformance 72).
    """
    files: tuple[PageFile, ...] = ()
    versions: tuple[str, ...] = ()
    if detail.status is not ProjectStatus.QUARANTINED:
        if rendering.release_files:
            files = tuple(
                _held_file(f, held[f.filename], rendering) for f in detail.files if f.filename in held
            )
        else:
            files = tuple(_linked_file(f, rendering) for f in detail.files)
        versions = detail.versions if detail.versions is not None else _versions(detail)
    return ProjectPage(
        name=detail.name,
        serial=serial,
        files=files,
        versions=versions,
        status=detail.status,
        status_reason=detail.status_reason,
    )


def _held_file(file: File, held: HeldFile, rendering: Rendering) -> PageFile:
    metadata: Digest | bool | None = None
    if rendering.core_metadata:
        if held.metadata is not None:
            metadata = Digest("sha256", held.metadata)
        elif file.core_metadata is not None:
            metadata = False
    return PageFile(
        filename=file.filename,
        href=layout.href(held.key, root=rendering.root_uri or "../.."),
        digest=Digest("sha256", held.sha256),
        fragment=_fragment(held, rendering),
        size=held.size,
        requires_python=file.requires_python,
        upload_time=file.upload_time,
        yanked=file.yanked,
        core_metadata=metadata,
        provenance=_provenance(file, held, rendering),
    )


def _provenance(file: File, held: HeldFile, rendering: Rendering) -> str | None:
    """Return where the provenance of a file is: here, if we have an address that a page may name (PEP 740: https)."""
    if not rendering.provenance:
        return file.provenance
    if held.provenance is None:
        return None
    base = rendering.base_url
    if base is None or not base.lower().startswith("https://"):
        return file.provenance
    return layout.href(held.key + layout.PROVENANCE_SUFFIX, root=base)


def _fragment(held: HeldFile, rendering: Rendering) -> Digest | None:
    algorithm, _, hexadecimal = (held.digest or "").partition("=")
    return Digest(algorithm, hexadecimal) if algorithm == rendering.digest else None


def _linked_file(file: File, rendering: Rendering) -> PageFile:
    href = file.url
    if rendering.root_uri is not None and (path := urlsplit(file.url).path).startswith("/packages/"):
        href = rendering.root_uri + path
    return PageFile(
        filename=file.filename,
        href=href,
        digest=file.digest,
        size=file.size,
        requires_python=file.requires_python,
        upload_time=file.upload_time,
        yanked=file.yanked,
        core_metadata=file.core_metadata if rendering.core_metadata else None,
        provenance=file.provenance,
    )


def _versions(detail: ProjectDetail) -> tuple[str, ...]:
    """Return the versions that file names show, where upstream does not list them; PEP 700 wants the key."""
    found: dict[str, None] = {}
    for file in detail.files:
        try:
            if file.filename.endswith(".whl"):
                found[str(parse_wheel_filename(file.filename)[1])] = None
            else:
                found[str(parse_sdist_filename(file.filename)[1])] = None
        except (InvalidWheelFilename, InvalidSdistFilename, InvalidVersion):
            continue
    return tuple(found)


def render(page: ProjectPage, display: str, rendering: Rendering) -> Rendered:
    """Return every form of a page that is to be stored."""
    pages: dict[str, bytes] = {}
    links: dict[str, str] = {}
    digest = hashlib.sha256()  # not BLAKE2: processors have instructions for this one
    if rendering.html:
        html = layout.page_key(page.name, PageKind.HTML, hash_index=rendering.hash_index)
        pages[html] = simple_html.render_project_detail(page, display)
        links[layout.page_key(page.name, PageKind.V1_HTML, hash_index=rendering.hash_index)] = html
    if rendering.json:
        json = layout.page_key(page.name, PageKind.V1_JSON, hash_index=rendering.hash_index)
        pages[json] = simple_json.render_project_detail(page)
    for body in pages.values():
        digest.update(body)
    return Rendered(pages, links, digest.digest())


_SAFE = re.compile("[^A-Za-z0-9.]+")
"""What setuptools' `safe_name` replaces."""
EVERYWHERE = (Rendering(legacy_json=True), Rendering(hash_index=True))
"""Settings that store pages wherever a page can be."""


def stale_keys(name: NormalizedName, before: Iterable[Rendering], now: Rendering) -> tuple[str, ...]:
    """Return the keys of a project's pages that any of `before` stored and `now` does not."""

    def keys(rendering: Rendering) -> set[str]:
        found = {layout.page_key(name, kind, hash_index=rendering.hash_index) for kind in rendering.kinds}
        return found | set(layout.legacy_json_keys(name)) if rendering.legacy_json else found

    return tuple(sorted({key for rendering in before for key in keys(rendering)} - keys(now)))


def spelled_keys(name: NormalizedName, spellings: Iterable[str]) -> tuple[str, ...]:
    """Return the keys at which programs before us may have stored a project under other spellings of its name."""
    others = set(spellings) | {_SAFE.sub("-", spelling) for spelling in spellings}
    others |= {name.replace("-", "_"), name.replace("-", ".")}
    keys: list[str] = []
    for spelling in sorted(others - {name}):
        if _normalized(spelling) != name:
            continue
        for folder in (f"{layout.SIMPLE}{spelling}/", f"{layout.SIMPLE}{spelling[0]}/{spelling}/"):
            keys += [f"{folder}{kind.value}" for kind in PageKind]
        keys += [f"{layout.WEB}json/{spelling}", f"{layout.WEB}pypi/{spelling}/json"]
    return tuple(keys)


def _normalized(spelling: str) -> NormalizedName | None:
    try:
        return normalize(spelling)
    except InvalidName:
        return None


def unnormalized_keys(name: NormalizedName, display: str) -> tuple[str, ...]:
    """Return the keys of pages that earlier bandersnatches stored under spellings that are not normalized."""
    spellings = {display, _SAFE.sub("-", display)} - {name}
    return tuple(
        f"{layout.SIMPLE}{spelling}/{kind.value}"
        for spelling in sorted(spellings)
        if layout.is_safe_filename(spelling)
        for kind in PageKind
    )
