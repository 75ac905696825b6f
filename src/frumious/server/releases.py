"""What a project's page and the core metadata in the tree say of its releases: for the APIs that are older than both."""

from __future__ import annotations

import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, cast

from packaging.metadata import RawMetadata, parse_email
from packaging.version import Version

from frumious.errors import BadPage
from frumious.filters.offer import Offer, parsed
from frumious.model.layout import WEB, PageKind, metadata_key
from frumious.model.names import NormalizedName
from frumious.model.project import File, ProjectStatus
from frumious.pages.stored import TITLE_WITHIN, key_of, read_page, read_title
from frumious.server.page_store import Page
from frumious.server.simple import SimpleApi
from frumious.server.tree import Tree

_LONGEST: Final = 4 << 20
"""Bytes of core metadata; what is longer is not read."""
_UNPACKED: Final = 64 << 20
"""Bytes of an archive in which its metadata is looked for."""
_MEMBERS: Final = 20_000
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
                    return parse_email(body)[0]
        return RawMetadata()

    def _beside(self, key: str, _filename: str) -> bytes | None:
        beside = metadata_key(key)
        try:
            found = self._tree.at((beside or key).removeprefix(WEB))
        except OSError:
            return None
        if beside is None or found.stat.st_size > _LONGEST:
            return None
        return Path(found.path).read_bytes()

    def _inside(self, key: str, filename: str) -> bytes | None:
        try:
            path = self._tree.at(key.removeprefix(WEB)).path
            if filename.endswith((".whl", ".zip")):
                return _from_zip(path, "METADATA" if filename.endswith(".whl") else "PKG-INFO")
            if filename.endswith((".tar.gz", ".tgz")):
                return _from_tar(path)
        except (
            OSError,
            ValueError,
            RuntimeError,
            EOFError,
            zlib.error,
            zipfile.BadZipFile,
            tarfile.TarError,
        ):
            pass  # whatever is wrong with an archive: it says nothing
        return None

    def _display(self, name: NormalizedName) -> str | None:
        try:
            with Path(self._tree.at(self._simple.place(name, PageKind.HTML)).path).open("rb") as file:
                return read_title(file.read(TITLE_WITHIN), name)
        except (OSError, BadPage):
            return None


def _order(version: str) -> tuple[Version, str]:
    return parsed(version) or _EVERY, version


def _from_zip(path: str, wanted: str) -> bytes | None:
    with zipfile.ZipFile(path) as archive:
        if len(archive.infolist()) > _MEMBERS:
            return None
        for member in archive.infolist():
            folder, _, last = member.filename.rpartition("/")
            if last == wanted and "/" not in folder and member.file_size <= _LONGEST:
                with archive.open(member) as file:
                    return _at_most(file)
    return None


def _from_tar(path: str) -> bytes | None:
    with (
        Path(path).open("rb") as packed,
        tarfile.open(fileobj=cast("IO[bytes]", _Unpacking(packed)), mode="r|") as archive,
    ):
        for count, member in enumerate(archive):
            if count > _MEMBERS:
                return None
            folder, _, last = member.name.rpartition("/")
            if last == "PKG-INFO" and "/" not in folder and member.isfile() and member.size <= _LONGEST:
                file = archive.extractfile(member)
                return None if file is None else _at_most(file)
    return None


def _at_most(file: IO[bytes]) -> bytes | None:
    body = file.read(_LONGEST + 1)
    return body if len(body) <= _LONGEST else None


class _Unpacking:
    """A gzip file that ends, with an error, where it has become too long."""

    def __init__(self, packed: IO[bytes]) -> None:
        self._blocks = _unpacked(packed)
        self._rest = b""

    def read(self, size: int) -> bytes:
        while len(self._rest) < size and (block := next(self._blocks, b"")):
            self._rest += block
        said, self._rest = self._rest[:size], self._rest[size:]
        return said


def _unpacked(packed: IO[bytes]) -> Iterator[bytes]:
    unpacking = zlib.decompressobj(16 + zlib.MAX_WBITS)
    total = 0
    while block := packed.read(64 << 10):
        while block:
            unpacked = unpacking.decompress(block, 1 << 20)
            total += len(unpacked)
            if total > _UNPACKED:
                raise EOFError("too long")
            yield unpacked
            block = unpacking.unconsumed_tail


def without_illegal(said: str) -> str:
    """Return text without what XML cannot say."""
    return _ILLEGAL.sub("", said)


def instant(said: str | None) -> dict[str, Any]:
    """Return an upload time in the two spellings of the legacy JSON."""
    return {
        "upload_time": None if said is None else said[:19],
        "upload_time_iso_8601": said,
    }
