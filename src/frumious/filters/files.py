"""bandersnatch's rules on single files: platforms, and what the metadata of a file says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from frumious.filters.metadata import FileMetadata, read_ranges, read_regex
from frumious.filters.offer import Offer
from frumious.filters.plugin import Builder, Context, Rules
from frumious.filters.rules import KEEP, Verdict
from frumious.filters.sections import Entry
from frumious.filters.values import entries, refused
from frumious.model.project import File

_WINDOWS: Final = (".win32", "-win32", "win_amd64", "win-amd64", "win_arm64", "win-arm64")
_LINUX: Final = (
    "linux-i686",
    "linux-x86_64",
    "linux_armv7l",
    "linux_armv6l",
    "manylinux1_i686",
    "manylinux1_x86_64",
    "manylinux2010_i686",
    "manylinux2010_x86_64",
    "manylinux2014_x86_64",
    "manylinux2014_i686",
    "manylinux2014_aarch64",
    "manylinux2014_armv7l",
    "manylinux2014_ppc64",
    "manylinux2014_ppc64le",
    "manylinux2014_s390x",
    "-manylinux_",
    "musllinux",
)
_MACOS: Final = ("macosx_", "macosx-")
_SYSTEMS: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "windows": (_WINDOWS, ("bdist_msi", "bdist_wininst")),
    "win": (_WINDOWS, ("bdist_msi", "bdist_wininst")),
    "macos": (_MACOS, ("bdist_dmg",)),
    "macosx": (_MACOS, ("bdist_dmg",)),
    "freebsd": ((".freebsd", "-freebsd"), ()),
    "linux": (_LINUX, ("bdist_rpm",)),
}
"""Parts of file names, and kinds of files, by what stands for them."""
_PYTHON: Final = re.compile(r"py([23](?:\.\d{1,3})?)", re.ASCII)
_TOKENS: Final = (
    "`windows`, `macos`, `linux`, `freebsd`, a Python as `py2` or `py3.11`, or one of "
    f"{' '.join((*_WINDOWS, *_LINUX))}"
)


@dataclass(frozen=True, slots=True)
class ExcludePlatforms:
    """Drop binaries by their kind or by parts of their names; archives of source always stay."""

    parts: tuple[str, ...]
    kinds: frozenset[str] = frozenset()
    name: str = "exclude_platform"
    needs_document: bool = False

    @property
    def fingerprint(self) -> str:
        return f"exclude {' '.join(sorted(self.parts))} and {' '.join(sorted(self.kinds))}"

    def judge_file(self, offer: Offer, file: File) -> Verdict:
        filename = file.filename
        part = next((part for part in self.parts if part in filename), None)
        if filename.endswith(".whl"):  # most files: no need to ask what they are
            kind = "bdist_wheel"
        elif part is None and not self.kinds:
            return KEEP
        else:
            kind = offer.package_type(file)
        if kind == "sdist" or (part is None and kind not in self.kinds):
            return KEEP
        reason = f"its kind is {kind}" if kind in self.kinds else f"its name has {part!r}"
        return Verdict(keep=False, reason=reason, rule=self.name)


def _read_platforms(context: Context) -> Iterator[Entry]:
    for line in entries(context.sections, "blocklist", "platforms"):
        for word in line.text.split():
            yield Entry(word.lower(), line.line)


def _parts_of(token: Entry) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the parts of names and the kinds of files that a word stands for; raises BadSetting."""
    if (system := _SYSTEMS.get(token.text)) is not None:
        return system
    if (python := _PYTHON.fullmatch(token.text)) is not None:
        dotted, plain = python[1], python[1].replace(".", "")
        return (
            *(f"-{word}{plain}-" for word in ("cp", "pp", "ip", "jy")),
            f"-py{dotted}-",
            f"-py{dotted}.",
        ), ()
    if token.text in _WINDOWS or token.text in _LINUX:
        return (token.text,), ()
    hint = "blanks separate the words, not commas" if "," in token.text else None
    raise refused("blocklist", "platforms", token, _TOKENS, hint)


def _exclude_platform(context: Context, rules: Rules) -> None:
    found = [_parts_of(token) for token in _read_platforms(context)]
    if not found:
        raise refused("blocklist", "platforms", None, _TOKENS, "write, for instance, platforms = windows py2")
    parts = dict.fromkeys(part for parts, _ in found for part in parts)
    rules.files.append(
        ExcludePlatforms(tuple(parts), frozenset(kind for _, kinds in found for kind in kinds))
    )


def _regex_release_file_metadata(context: Context, rules: Rules) -> None:
    if conditions := read_regex(context.sections, "regex_release_file_metadata"):
        rules.files.append(FileMetadata("regex_release_file_metadata", conditions))


def _version_range_release_file_metadata(context: Context, rules: Rules) -> None:
    if conditions := read_ranges(context.sections, "version_range_release_file_metadata"):
        rules.files.append(FileMetadata("version_range_release_file_metadata", conditions))


BUILDERS: dict[str, Builder] = {
    "exclude_platform": _exclude_platform,
    "regex_release_file_metadata": _regex_release_file_metadata,
    "version_range_release_file_metadata": _version_range_release_file_metadata,
}
