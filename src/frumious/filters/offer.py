"""A project as upstream offers it: what rules judge beyond the name, and facts that file names tell."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from packaging.version import Version

from frumious.model.names import NormalizedName
from frumious.model.project import File, ProjectDetail

Document = Mapping[str, Any]
"""A legacy JSON document as it was parsed: `info`, `releases`, `urls`; empty where upstream has none."""

_SUFFIXES = {
    ".whl": "bdist_wheel",
    ".egg": "bdist_egg",
    ".exe": "bdist_wininst",
    ".msi": "bdist_msi",
    ".dmg": "bdist_dmg",
    ".rpm": "bdist_rpm",
    ".deb": "bdist_deb",
}
_ARCHIVE = re.compile(
    r"\.(?:tar(?:\.(?:gz|bz2|xz|Z|lz|lzma|zst))?|tgz|tbz2?|txz|zip|7z)\Z", re.IGNORECASE | re.ASCII
)
# distutils puts the platform behind the version: `foo-1.0.linux-x86_64.tar.gz`, `foo-1.0.win32-py2.7.exe`. A hyphen
# in front of it (`foo-1.0-win32.zip`) is somebody's own idea of an archive of source.
_PLATFORM = re.compile(
    r"\.(?:win32|win-(?:amd64|ia64|arm64|arm32)"
    r"|(?:linux|macosx|darwin|(?:free|open|net)bsd|dragonfly|cygwin|mingw|solaris|sunos|aix|irix|hp-ux|osf1|java)"
    r"[0-9.]*(?=-|\Z))",
    re.IGNORECASE | re.ASCII,
)
_PYTHON = re.compile(r"-py\d(?:\.\d+)?(?=[-.]|\Z)", re.IGNORECASE | re.ASCII)
_RUNS = re.compile(r"[-_.]+")
_LOOSE = re.compile(r"[-_.+!]+")


@dataclass(frozen=True, slots=True)
class Offer:
    """One project as upstream offers it now."""

    name: NormalizedName
    display: str
    """The name as upstream's list spells it."""
    files: Sequence[File]
    now: float
    """Seconds since 1970."""
    versions: Sequence[str] | None = None
    """Every release, those without files too (PEP 700); None where upstream does not say."""
    document: Document | None = None
    """The legacy JSON; None where nobody asked for it."""
    _releases: dict[str, str | None] = field(default_factory=dict, init=False, repr=False, compare=False)
    _entries: dict[str, tuple[str, Mapping[str, Any]]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _listed: Listed = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_listed", Listed(self.versions or ()))
        if self.document is not None:
            self._entries.update(_entries(self.document))

    @classmethod
    def of(cls, detail: ProjectDetail, display: str, now: float, document: Document | None = None) -> Offer:
        """Return what a page offers."""
        return cls(detail.name, display, detail.files, now, detail.versions, document)

    def release_of(self, file: File) -> str | None:
        """Return the release that a file belongs to, as upstream spells it; None where nothing says it."""
        try:
            return self._releases[file.filename]
        except KeyError:
            found = self._find_release(file.filename)
            self._releases[file.filename] = found
            return found

    def _find_release(self, filename: str) -> str | None:
        if (said := self._entries.get(filename)) is not None:
            return said[0]
        found = _release(filename, self.name, self._listed)
        if found is None or not self.versions or found in self._listed:
            return found
        # A version that upstream does not list is a wrong guess, as of `foo-1.0-1.zip`: the legacy JSON knows better.
        return None if self.document is None else found

    def entry(self, file: File) -> Mapping[str, Any] | None:
        """Return what the legacy JSON says of a file (`packagetype`, `python_version`, …)."""
        found = self._entries.get(file.filename)
        return found[1] if found is not None else None

    def package_type(self, file: File) -> str:
        """Return a file's kind in the legacy JSON's words: `sdist`, `bdist_wheel`, `bdist_egg`, …"""
        entry = self.entry(file)
        said = entry.get("packagetype") if entry is not None else None
        return said if isinstance(said, str) and said else package_type(file.filename, self.name)


class Listed:
    """The releases that upstream lists, by spelling and by version; what it knows is found once."""

    __slots__ = ("_by_runs", "_by_spelling", "_by_version", "_versions")

    def __init__(self, versions: Sequence[str]) -> None:
        self._versions = versions
        self._by_version: dict[Version, str] | None = None
        self._by_spelling: frozenset[str] | None = None
        self._by_runs: dict[str, str] | None = None

    def __bool__(self) -> bool:
        return bool(self._versions)

    def __contains__(self, text: str) -> bool:
        if self._by_spelling is None:
            self._by_spelling = frozenset(self._versions)
        return text in self._by_spelling

    def spelled(self, text: str) -> str | None:
        """Return a version in the spelling of the list, in PEP 440's if it is not there; None for text that is neither."""
        if not text or text in self:
            return text or None
        wanted = parsed(text)
        if wanted is None:
            if self._by_runs is None:
                self._by_runs = {_loose(v): v for v in sorted(self._versions, reverse=True)}
            return self._by_runs.get(_loose(text), None if self else text)
        if self._by_version is None:
            # Of several spellings of a version the first wins, in the order of the alphabet: so from behind.
            known = ((parsed(v), v) for v in sorted(self._versions, reverse=True))
            self._by_version = {version: v for version, v in known if version is not None}
        return self._by_version.get(wanted, str(wanted))


def _loose(version: str) -> str:
    return _LOOSE.sub("-", version).lower()


def _entries(document: Document) -> Iterator[tuple[str, tuple[str, Mapping[str, Any]]]]:
    releases = document.get("releases")
    for version, entries in releases.items() if isinstance(releases, dict) else ():
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, dict) and isinstance(name := entry.get("filename"), str):
                yield name, (version, entry)


def package_type(filename: str, name: NormalizedName | None = None) -> str:
    """Return the kind of a file by its name, in the legacy JSON's words; `sdist` for any archive of source.

    With the name of its project, a platform in that name is not taken for the file's.
    """
    kind = _SUFFIXES.get(filename[filename.rfind(".") :].lower())
    if kind is not None:
        return kind
    rest = _after_name(filename, name) if name is not None else None
    return "bdist_dumb" if _PLATFORM.search(filename if rest is None else rest) else "sdist"


def version_in(filename: str, name: NormalizedName, versions: Sequence[str]) -> str | None:
    """Return the release that a file name shows, in the spelling of `versions` where it is one of these."""
    return _release(filename, name, Listed(versions))


def _release(filename: str, name: NormalizedName, listed: Listed) -> str | None:
    end = filename[filename.rfind(".") :].lower()
    if end == ".whl":
        version = _version_of_wheel(filename, name)
        # Wheels escape a hyphen of the version as an underscore.
        return listed.spelled(version.replace("_", "-")) if version is not None else None
    rest = _after_name(filename, name)
    if rest is None:
        return None
    if end not in _SUFFIXES:
        text = _ARCHIVE.sub("", rest)
        platform = _PLATFORM.search(text)
        return listed.spelled(text[: platform.start()] if platform else text)
    return _release_of_binary(rest[: -len(end)], end, listed)


def _release_of_binary(rest: str, end: str, listed: Listed) -> str | None:
    """Return the release of an egg, an installer, a package: the version ends somewhere before the platform."""
    if end == ".egg":
        # Eggs escape a hyphen of the version as an underscore.
        text = rest.partition("-")[0].replace("_", "-")
    elif end == ".rpm":
        # VERSION-RELEASE.ARCHITECTURE; a hyphen of the version is an underscore.
        text = rest.rpartition("-")[0].replace("_", "-")
    else:
        ends = [match.start() for part in (_PLATFORM, _PYTHON) if (match := part.search(rest))]
        text = rest[: min(ends, default=len(rest))]
    found = listed.spelled(text)
    if not listed or (found is not None and found in listed):
        return found
    # Written by hand, then: the longest beginning that is a release is meant.
    places = [match.start() for match in re.finditer(r"(?<!^)[-._]", rest)]
    return next((rest[:place] for place in reversed(places) if rest[:place] in listed), found)


def _version_of_wheel(filename: str, name: NormalizedName) -> str | None:
    """Return a wheel's second part; where the project's name has hyphens, against the rules, what follows the name."""
    parts = filename.split("-")
    if len(parts) < 5:
        return None
    for count in range(1, len(parts) - 3):
        if _RUNS.sub("-", "-".join(parts[:count])).lower() == name:
            return parts[count]
    return parts[1]


def _after_name(filename: str, name: NormalizedName) -> str | None:
    """Return what follows the project's name and a separator, None if the file name does not begin with it."""
    size = len(name)
    if filename[size : size + 1] in {"-", "_"}:
        head = filename[:size]
        if head == name or head.lower().replace("_", "-").replace(".", "-") == name:
            return filename[size + 1 :].lstrip("-_")
    found = _name_pattern(name).match(filename)
    return filename[found.end() :] if found is not None else None


@lru_cache(maxsize=256)
def _name_pattern(name: NormalizedName) -> re.Pattern[str]:
    return re.compile(r"[-_.]+".join(map(re.escape, name.split("-"))) + r"[-_]+", re.IGNORECASE | re.ASCII)


@lru_cache(maxsize=16384)
def parsed(version: str) -> Version | None:
    """Return a version by PEP 440, None for text that is none."""
    try:
        return Version(version)
    except ValueError:  # InvalidVersion, or a number with more digits than Python reads
        return None
