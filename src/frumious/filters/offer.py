"""A project as upstream offers it: what rules judge beyond the name, and facts that file names tell."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from packaging.version import InvalidVersion, Version

from frumious.model.names import NormalizedName
from frumious.model.project import File, ProjectDetail

Document = Mapping[str, Any]
"""A legacy JSON document as it was parsed: `info`, `releases`, `urls`."""

_ARCHIVE = re.compile(r"\.(?:tar\.(?:gz|bz2|xz|Z|lzma|zst)|tgz|tbz|zip)\Z", re.IGNORECASE)
_DUMB = re.compile(
    r"[.-](?:linux|macosx|darwin|win32|win-amd64|freebsd|cygwin|solaris|sunos|aix)\b", re.IGNORECASE
)
_SUFFIXES = {
    ".whl": "bdist_wheel",
    ".egg": "bdist_egg",
    ".exe": "bdist_wininst",
    ".msi": "bdist_msi",
    ".dmg": "bdist_dmg",
    ".rpm": "bdist_rpm",
    ".deb": "bdist_deb",
}
_RUNS = re.compile(r"[-_.]+")


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
    """The legacy JSON, where a rule needs it and upstream has it."""
    _releases: dict[str, str | None] = field(default_factory=dict, repr=False, compare=False)
    _entries: dict[str, tuple[str, Mapping[str, Any]]] = field(
        default_factory=dict, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        if self.document is not None:
            self._entries.update(_entries(self.document))

    @classmethod
    def of(cls, detail: ProjectDetail, display: str, now: float, document: Document | None = None) -> Offer:
        """Return what a page offers."""
        return cls(detail.name, display, detail.files, now, detail.versions, document)

    def release_of(self, file: File) -> str | None:
        """Return the release that a file belongs to, as upstream spells it; None where nothing says it."""
        if file.filename in self._entries:
            return self._entries[file.filename][0]
        try:
            return self._releases[file.filename]
        except KeyError:
            found = version_in(file.filename, self.name, self.versions or ())
            self._releases[file.filename] = found
            return found

    def entry(self, file: File) -> Mapping[str, Any] | None:
        """Return what the legacy JSON says of a file (`packagetype`, `python_version`, …)."""
        found = self._entries.get(file.filename)
        return found[1] if found is not None else None

    def package_type(self, file: File) -> str:
        """Return a file's kind in the legacy JSON's words: `sdist`, `bdist_wheel`, `bdist_egg`, …"""
        entry = self.entry(file)
        said = entry.get("packagetype") if entry is not None else None
        return said if isinstance(said, str) and said else package_type(file.filename)


def _entries(document: Document) -> dict[str, tuple[str, Mapping[str, Any]]]:
    releases = document.get("releases")
    return {
        entry["filename"]: (version, entry)
        for version, entries in (releases.items() if isinstance(releases, dict) else ())
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, dict) and isinstance(entry.get("filename"), str)
    }


def package_type(filename: str) -> str:
    """Return the kind of a file by its name, in the legacy JSON's words; `sdist` for any archive of source."""
    kind = _SUFFIXES.get(filename[filename.rfind(".") :].lower())
    if kind is not None:
        return kind
    return "bdist_dumb" if _DUMB.search(_ARCHIVE.sub("", filename)) else "sdist"


def version_in(filename: str, name: NormalizedName, versions: Sequence[str]) -> str | None:
    """Return the release that a file name shows, in the spelling of `versions` where it is one of these.

    A wheel's second part is its version; what else there is begins with the project's name, in any spelling.
    """
    if filename.endswith(".whl"):
        parts = filename.split("-")
        # Wheels escape a hyphen of the version as an underscore.
        return _spelled(parts[1].replace("_", "-"), versions) if len(parts) >= 5 else None
    rest = _after_name(filename, name)
    if rest is None:
        return None
    if package_type(filename) == "sdist":
        return _spelled(_ARCHIVE.sub("", rest), versions)
    # An egg, an installer: the version ends somewhere before the platform. The longest that fits is meant.
    fits = [v for v in versions if re.match(re.escape(v).replace("\\-", "[-_]") + r"(?=[-.])", rest)]
    if fits:
        return max(fits, key=len)
    return _spelled(re.split(r"-|\.(?:linux|macosx|win)", rest, maxsplit=1)[0], versions)


def _after_name(filename: str, name: NormalizedName) -> str | None:
    """Return what follows the project's name and a separator, None if the file name does not begin with it."""
    pattern = r"[-_.]+".join(map(re.escape, name.split("-"))) + r"[-_]+"
    found = re.match(pattern, filename, re.IGNORECASE)
    return filename[found.end() :] if found is not None else None


def _spelled(text: str, versions: Sequence[str]) -> str | None:
    """Return a version in the spelling of upstream's list; as it stands if there is no such list, or if it is none of these."""
    if not text or text in versions:
        return text or None
    wanted = parsed(text)
    if wanted is None:
        loose = _RUNS.sub("-", text).lower()
        return next((v for v in versions if _RUNS.sub("-", v).lower() == loose), None if versions else text)
    return next((v for v in versions if parsed(v) == wanted), str(wanted))


@lru_cache(maxsize=16384)
def parsed(version: str) -> Version | None:
    """Return a version by PEP 440, None for text that is none."""
    try:
        return Version(version)
    except InvalidVersion:
        return None
