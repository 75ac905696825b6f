"""What a project's page and the core metadata in the tree say of its releases: for the APIs that are older than both."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from packaging.metadata import RawMetadata, parse_email
from packaging.version import Version

from frumious.errors import BadPage
from frumious.filters.offer import Offer, parsed
from frumious.model.layout import WEB, PageKind, metadata_key
from frumious.model.names import NormalizedName
from frumious.model.project import File, ProjectStatus
from frumious.pages.stored import TITLE_WITHIN, key_of, read_page, read_title
from frumious.search.archives import read_core_metadata
from frumious.search.documents import LONGEST, known_headers
from frumious.server.page_store import Page
from frumious.server.simple import SimpleApi
from frumious.server.tree import Tree

_FIELDS: Final = frozenset(
    {
        "author", "author-email", "classifier", "description", "description-content-type", "download-url", "dynamic", "home-page",
        "keywords", "license", "license-expression", "license-file", "maintainer", "maintainer-email", "metadata-version", "name",
        "platform", "project-url", "provides-extra", "requires-dist", "requires-python", "summary", "version",
    }
)  # fmt: skip
"""Headers that the legacy JSON has a place for."""
_ILLEGAL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_EVERY: Final = Version("0.dev0")


@dataclass(frozen=True, slots=True)
class Release:
    """One version of a project, and the files of it that are here."""

    version: str
    files: tuple[File, ...]

    @property
    def is_yanked(self) -> bool:
        """Every file of it is."""
        return all(file.yanked is not None for file in self.files)

    @property
    def yanked_reason(self) -> str | None:
        """The first reason that is given."""
        return next((file.yanked for file in self.files if file.yanked), None) if self.is_yanked else None

    def rank(self) -> tuple[bool, bool, Version, str]:
        """The newest is the highest of those that are not yanked and no pre-releases, where there are any."""
        version = parsed(self.version)
        is_plain = version is not None and not version.is_prerelease
        return not self.is_yanked, is_plain, version or _EVERY, self.version


@dataclass(frozen=True, slots=True)
class Project:
    """One project as its page here says."""

    name: NormalizedName
    display: str
    serial: int | None
    releases: Mapping[str, Release]
    """By version as upstream spells it, in the order of versions."""
    offer: Offer

    @property
    def newest(self) -> Release | None:
        """The release that stands for the project; None where it has none (conformance 83)."""
        return max(self.releases.values(), key=Release.rank, default=None)

    def release(self, version: str) -> Release | None:
        """Return a release by any spelling of its version, by its own first (conformance 84)."""
        if version in self.releases:
            return self.releases[version]
        wanted = parsed(version)
        found = [
            release
            for said, release in self.releases.items()
            if wanted is not None and parsed(said) == wanted
        ]
        return found[0] if len(found) == 1 else None


class Projects:
    """Reads projects from the tree. What takes long is for a thread."""

    def __init__(self, tree: Tree, simple: SimpleApi, *, root_uri: str | None) -> None:
        self._tree = tree
        self._simple = simple
        self._root_uri = root_uri

    def page(self, name: NormalizedName) -> tuple[Page, PageKind]:
        """Return a project's stored page; raises FileNotFoundError. At once, and not for another thread."""
        return self._simple.stored(name)

    def read(self, page: Page, kind: PageKind, name: NormalizedName) -> Project:
        """Return what a page says; raises FileNotFoundError for a quarantined project, BadPage."""
        stored = read_page(page.read(), kind, name)
        detail = stored.detail
        if detail.status is ProjectStatus.QUARANTINED:
            raise FileNotFoundError
        display = stored.display or self._display(name) or name
        offer = Offer.of(detail, display, 0)
        files: dict[str, list[File]] = {}
        for file in detail.files:
            release = offer.release_of(file)
            if release is not None:
                files.setdefault(release, []).append(file)
        releases = {version: Release(version, tuple(files[version])) for version in sorted(files, key=_order)}
        return Project(name, display, detail.serial, releases, offer)

    def place(self, file: File) -> str | None:
        """Return the key of a file that is ours, None for a link to elsewhere."""
        return key_of(file, self._root_uri)

    def metadata(self, release: Release) -> RawMetadata:
        """Return the core metadata of a release as it is here: beside a wheel, else in a wheel, else in a sdist.

        Empty where there is none, or none that can be read.
        """
        files = sorted(release.files, key=lambda file: not file.filename.endswith(".whl"))
        for read in (self._beside, self._inside):
            for file in files:
                key = self.place(file)
                body = None if key is None else read(key, file.filename)
                if body:
                    return read_metadata(body)
        return RawMetadata()

    def _beside(self, key: str, _filename: str) -> bytes | None:
        beside = metadata_key(key)
        try:
            found = self._tree.at((beside or key).removeprefix(WEB))
        except OSError:
            return None
        if beside is None or found.stat.st_size > LONGEST:
            return None
        return Path(found.path).read_bytes()

    def _inside(self, key: str, _filename: str) -> bytes | None:
        try:
            return read_core_metadata(Path(self._tree.at(key.removeprefix(WEB)).path))
        except OSError:
            return None

    def _display(self, name: NormalizedName) -> str | None:
        try:
            with Path(self._tree.at(self._simple.place(name, PageKind.HTML)).path).open("rb") as file:
                return read_title(file.read(TITLE_WITHIN), name)
        except (OSError, BadPage):
            return None


def read_metadata(body: bytes) -> RawMetadata:
    """Return what core metadata says, as far as it can be read, in time proportional to the bytes."""
    # The time of `parse_email` grows with the square of the number of different headers, and 90 kB of them take seconds.
    return parse_email(known_headers(body, _FIELDS))[0]


def _order(version: str) -> tuple[Version, str]:
    return parsed(version) or _EVERY, version


def without_illegal(said: str) -> str:
    """Return text without what XML cannot say."""
    return _ILLEGAL.sub("", said)


def instant(said: str | None) -> dict[str, Any]:
    """Return an upload time in the two spellings of the legacy JSON."""
    return {
        "upload_time": None if said is None else said[:19],
        "upload_time_iso_8601": said,
    }
