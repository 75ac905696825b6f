"""bandersnatch's rules on what a project's or file's metadata says: patterns, version ranges, sizes, counts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeAlias

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from frumious.filters.names import allowed_names, pattern_texts, read_patterns
from frumious.filters.offer import Offer, parsed
from frumious.filters.plugin import Builder, Context, Rules
from frumious.filters.rules import KEEP, Verdict
from frumious.filters.sections import BadSetting, Entry, Sections
from frumious.filters.values import entries, read, read_switch, refused
from frumious.model.names import NormalizedName
from frumious.model.project import File

# ---------------------------------------------------------------------- where a value is

Read: TypeAlias = Callable[[Offer, File | None], Any]
"""Finds what stands at a path; None for nothing."""


def _digest(file: File) -> str | None:
    return file.digest.hex if file.digest is not None and file.digest.algorithm == "sha256" else None


ON_PAGE: Final[Mapping[str, Callable[[File], Any]]] = {
    "release_file.digests.sha256": _digest,
    "release_file.filename": lambda file: file.filename,
    "release_file.requires_python": lambda file: file.requires_python,
    "release_file.size": lambda file: file.size,
    "release_file.upload_time": lambda file: file.upload_time and file.upload_time[:19],
    "release_file.upload_time_iso_8601": lambda file: file.upload_time,
    "release_file.url": lambda file: file.url,
    "release_file.yanked": lambda file: file.yanked is not None,
    "release_file.yanked_reason": lambda file: file.yanked or None,
}
"""What the Simple page says of a file too, in the words of the legacy JSON."""
_OF_PROJECTS: Final = ("info", "last_serial", "ownership", "releases", "urls", "vulnerabilities")
_OF_FILES: Final = ("info", "release", "release_file")


@dataclass(frozen=True, slots=True)
class Path:
    """A dotted path in the legacy JSON; what the Simple page says too is read from there."""

    text: str

    @property
    def needs_document(self) -> bool:
        return self.text not in ON_PAGE and self.text not in {
            "info.name",
            "release",
            "release_file.packagetype",
        }

    def reader(self) -> Read:
        """Return what finds the value; it never raises."""
        text = self.text
        if (on_page := ON_PAGE.get(text)) is not None:
            return lambda _, file: on_page(file) if file is not None else None
        match text:
            case "info.name":
                return lambda offer, _: offer.display
            case "release":
                return lambda offer, file: offer.release_of(file) if file is not None else None
            case "release_file.packagetype":
                return lambda offer, file: offer.package_type(file) if file is not None else None
        steps = text.split(".")
        if steps[0] == "release_file":
            return lambda offer, file: _at(offer.entry(file), steps[1:]) if file is not None else None
        return lambda offer, _: _at(offer.document, steps)


def _at(node: Any, steps: Sequence[str]) -> Any:
    for step in steps:
        if not isinstance(node, Mapping):
            return None
        node = node.get(step)
    return node


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a section with paths: `TAG:TAG:PATH`."""

    path: Path
    mode: str = "any"
    """`any`, `all` or `none`."""
    takes_null: bool = True


def read_key(sections: Sections, section: str, key: str, tags: Sequence[str]) -> Key:
    """Return the meaning of a key; the last tag of a kind counts. Raises BadSetting."""
    *found, path = key.split(":")
    lines = sections.lines(section, key)
    line = lines[0].line if lines else None
    mode, takes_null = "any", True
    for tag in found:
        if tag not in tags:
            allowed = f"`{'`, `'.join(tags[:-1])}` or `{tags[-1]}`"
            raise BadSetting(
                section,
                key,
                f"{tag!r} is no tag",
                line=line,
                hint=f"a path may have {allowed} in front of it",
            )
        if tag in {"any", "all", "none"}:
            mode = tag
        else:
            takes_null = tag == "match-null"
    roots = _OF_PROJECTS if section.endswith("_project_metadata") else _OF_FILES
    steps = path.split(".")
    if steps[0] not in roots or not all(steps):
        raise BadSetting(
            section,
            key,
            f"{path!r} is no path in the metadata that this plugin sees",
            line=line,
            hint=f"paths begin with {', '.join(roots[:-1])} or {roots[-1]}, as in `info.license`",
        )
    return Key(Path(path), mode, takes_null)


# --------------------------------------------------------------------------- conditions


@dataclass(frozen=True, slots=True)
class Patterns:
    """What patterns ask of the values at a path."""

    key: Key
    patterns: tuple[re.Pattern[str], ...]
    read: Read
    search: bool = False

    @property
    def fingerprint(self) -> str:
        key = self.key
        return f"{key.mode} {key.takes_null} {key.path.text} {self.search} {pattern_texts(self.patterns)}"

    @property
    def needs_document(self) -> bool:
        return self.key.path.needs_document

    def objection(self, offer: Offer, file: File | None) -> str | None:
        """Return why these values do not pass, None if they do."""
        if not self.patterns:
            return f"no pattern is given for {self.key.path.text}" if self.key.mode == "any" else None
        values = _values(self.read(offer, file))
        path = self.key.path.text
        if not values:
            # `none` drops what says nothing, whatever else the key says, as it does in bandersnatch.
            passes = self.key.takes_null and self.key.mode != "none"
            return None if passes else f"{path} says nothing"
        match self.key.mode:
            case "none":
                found = next((pattern for pattern in self.patterns if self._matches(pattern, values)), None)
                return f"pattern {found.pattern!r} matches {path}" if found is not None else None
            case "all":
                left = next(
                    (pattern for pattern in self.patterns if not self._matches(pattern, values)), None
                )
                return f"pattern {left.pattern!r} does not match {path}" if left is not None else None
            case _:
                if any(self._matches(pattern, values) for pattern in self.patterns):
                    return None
                return f"{_shown(values)} at {path} matches no pattern"

    def _matches(self, pattern: re.Pattern[str], values: Sequence[str]) -> bool:
        match = pattern.search if self.search else pattern.match
        return any(match(value) is not None for value in values)


def _values(found: Any) -> list[str]:
    if found is None:
        return []
    return [_text(value) for value in (found if isinstance(found, list) else [found])]


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, default=str)
    except RecursionError:
        return ""


def _shown(values: Sequence[str]) -> str:
    text = ", ".join(map(repr, values[:3])) + (", …" if len(values) > 3 else "")
    return text if len(text) <= 80 else text[:77] + "…"


@dataclass(frozen=True, slots=True)
class Range:
    """What versions ask of a range at a path, such as `>=3.8`: that it contains one of them, pre-releases too."""

    key: Key
    versions: tuple[Version, ...]
    read: Read

    @property
    def fingerprint(self) -> str:
        versions = " ".join(sorted(map(str, self.versions)))
        return f"{self.key.takes_null} {self.key.path.text} {versions}"

    @property
    def needs_document(self) -> bool:
        return self.key.path.needs_document

    def objection(self, offer: Offer, file: File | None) -> str | None:
        """Return why this range does not pass, None if it does."""
        said, path = self.read(offer, file), self.key.path.text
        fits = _contains(said, self.versions) if isinstance(said, str) and said else None
        if fits is None:
            # A malformed range says as little as none.
            if self.key.takes_null:
                return None
            return (
                f"{path} says nothing"
                if not said
                else f"{_text(said)[:80]!r} at {path} is no range of versions"
            )
        return None if fits else f"{said[:80]!r} at {path} has none of {', '.join(map(str, self.versions))}"


@lru_cache(maxsize=4096)
def _contains(said: str, versions: tuple[Version, ...]) -> bool | None:
    """Say whether a range contains one of the versions; None for text that is no range."""
    try:
        specifier = SpecifierSet(said)
        return any(specifier.contains(version, prereleases=True) for version in versions)
    except ValueError:  # InvalidSpecifier, or a number with more digits than Python reads
        return None


Condition: TypeAlias = Patterns | Range


@dataclass(frozen=True, slots=True)
class ProjectMetadata:
    """Keep projects of which every condition holds."""

    name: str
    conditions: tuple[Condition, ...]

    @property
    def fingerprint(self) -> str:
        return f"{self.name} {' and '.join(condition.fingerprint for condition in self.conditions)}"

    @property
    def needs_document(self) -> bool:
        return any(condition.needs_document for condition in self.conditions)

    @property
    def reads_display(self) -> bool:
        return any(condition.key.path.text == "info.name" for condition in self.conditions)

    def judge_project(self, offer: Offer) -> Verdict:
        return _verdict(self.name, self.conditions, offer, None)


@dataclass(frozen=True, slots=True)
class FileMetadata:
    """Keep files of which every condition holds."""

    name: str
    conditions: tuple[Condition, ...]

    @property
    def fingerprint(self) -> str:
        return f"{self.name} {' and '.join(condition.fingerprint for condition in self.conditions)}"

    @property
    def needs_document(self) -> bool:
        return any(condition.needs_document for condition in self.conditions)

    @property
    def reads_display(self) -> bool:
        return any(condition.key.path.text == "info.name" for condition in self.conditions)

    def judge_file(self, offer: Offer, file: File) -> Verdict:
        return _verdict(self.name, self.conditions, offer, file)


def _verdict(name: str, conditions: Sequence[Condition], offer: Offer, file: File | None) -> Verdict:
    for condition in conditions:
        objection = condition.objection(offer, file)
        if objection is not None:
            return Verdict(keep=False, reason=objection, rule=name)
    return KEEP


_SEARCH: Final = "search"
_NULLS: Final = ("match-null", "not-null")


def read_regex(sections: Sections, section: str) -> tuple[Condition, ...]:
    """Return the conditions of `regex_project_metadata` or `regex_release_file_metadata`; raises BadSetting."""
    search = read_switch(sections, section, _SEARCH, default=False)
    found = []
    for text in sections.keys(section):
        if text != _SEARCH:
            key = read_key(sections, section, text, ("any", "all", "none", *_NULLS))
            found.append(Patterns(key, read_patterns(sections, section, text), key.path.reader(), search))
    return tuple(found)


def read_ranges(sections: Sections, section: str) -> tuple[Condition, ...]:
    """Return the conditions of `version_range_…_metadata`; raises BadSetting."""
    found = []
    for text in sections.keys(section):
        key = read_key(sections, section, text, ("any", *_NULLS))
        versions = tuple(_version(section, text, entry) for entry in entries(sections, section, text))
        found.append(Range(key, versions, key.path.reader()))
    return tuple(found)


def _version(section: str, key: str, entry: Entry) -> Version:
    version = parsed(entry.text)
    if version is None:
        raise refused(section, key, entry, "one version on each line, as in `3.11`")
    return version


# --------------------------------------------------------------------- sizes and counts


@dataclass(frozen=True, slots=True)
class LimitProjectSize:
    """Drop projects whose files have more bytes together; what upstream gives no size of counts for nothing."""

    max_size: int
    exempt: frozenset[NormalizedName] = frozenset()
    name: str = "size_project_metadata"
    needs_document: bool = False

    @property
    def fingerprint(self) -> str:
        return f"project size {self.max_size} except {' '.join(sorted(self.exempt))}"

    def judge_project(self, offer: Offer) -> Verdict:
        if offer.name in self.exempt:
            return KEEP
        size = sum(file.size or 0 for file in offer.files)
        if size <= self.max_size:
            return KEEP
        reason = f"its files have {size:,} bytes together, more than {self.max_size:,}"
        return Verdict(keep=False, reason=reason, rule=self.name)


@dataclass(frozen=True, slots=True)
class LimitCount:
    """Drop projects with too few or too many releases, those without files included."""

    min_versions: int = 0
    max_versions: int = 0
    """0: no limit."""
    exempt: frozenset[NormalizedName] = frozenset()
    name: str = "versions_count_project_metadata"
    needs_document: bool = False

    @property
    def fingerprint(self) -> str:
        return f"count {self.min_versions} {self.max_versions} except {' '.join(sorted(self.exempt))}"

    def judge_project(self, offer: Offer) -> Verdict:
        if offer.name in self.exempt:
            return KEEP
        count = _count(offer)
        if count < self.min_versions:
            limit = f"less than {self.min_versions}"
        elif self.max_versions and count > self.max_versions:
            limit = f"more than {self.max_versions}"
        else:
            return KEEP
        has = f"{count} release{'' if count == 1 else 's'}"
        return Verdict(keep=False, reason=f"it has {has}, {limit}", rule=self.name)


def _count(offer: Offer) -> int:
    if offer.versions is not None:
        return len(set(offer.versions))
    return len({release for file in offer.files if (release := offer.release_of(file)) is not None})


# humanfriendly's words, which bandersnatch reads; binary whatever the spelling.
_SIZE = re.compile(
    r"""
    (\d{1,15}(?:\.\d{1,15})?) \s*
    (?:b|bytes?|([kmgtpezy])(?:i?b|(?:ilo|ega|iga|era|eta|xa|etta|otta)bytes?|(?:i|e|x|o)bibytes?)?)?
    """,
    re.IGNORECASE | re.ASCII | re.VERBOSE,
)
_SIZES: Final = "a number of bytes, or with K, M, G, T or P (binary: 1K is 1024); 0 is no limit"
_COUNTS: Final = "a whole number; 0 is no limit"


def parse_size(text: str) -> int | None:
    """Return bytes, as bandersnatch reads them: `64K`, `2 GiB`, `1.5 megabytes`."""
    if (found := _SIZE.fullmatch(text)) is None:
        return None
    number, unit = found.groups()
    return int(float(number) * 1024 ** (" kmgtpezy".index(unit.lower()) if unit else 0))


def parse_limit(text: str) -> int | None:
    """Return a whole number, 0 or more."""
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) else None


def _exempt(context: Context) -> frozenset[NormalizedName]:
    # The list exempts from limits whether or not allowlist_project is enabled, as in bandersnatch.
    return allowed_names(context.sections)


def _size_project_metadata(context: Context, rules: Rules) -> None:
    section = "size_project_metadata"
    limit = read(context.sections, section, "max_package_size", parse_size, _SIZES)
    if limit is None:
        hint = "write, for instance, max_package_size = 1G"
        raise refused(section, "max_package_size", None, _SIZES, hint)
    if limit:
        rules.offers.append(LimitProjectSize(limit, _exempt(context)))


def _versions_count_project_metadata(context: Context, rules: Rules) -> None:
    section = "versions_count_project_metadata"
    least = read(context.sections, section, "min_versions", parse_limit, _COUNTS)
    most = read(context.sections, section, "max_versions", parse_limit, _COUNTS)
    if least is None and most is None:
        raise refused(section, "min_versions", None, _COUNTS, "write it, or max_versions, or both")
    least, most = least or 0, most or 0
    if most and least > most:
        entry = context.sections.one(section, "min_versions")
        raise context.sections.bad(
            section,
            "min_versions",
            entry,
            f"{least} is more than max_versions, which is {most}",
            "swap the two?",
        )
    if least or most:
        rules.offers.append(LimitCount(least, most, _exempt(context)))


def _regex_project_metadata(context: Context, rules: Rules) -> None:
    if conditions := read_regex(context.sections, "regex_project_metadata"):
        rules.offers.append(ProjectMetadata("regex_project_metadata", conditions))


def _version_range_project_metadata(context: Context, rules: Rules) -> None:
    if conditions := read_ranges(context.sections, "version_range_project_metadata"):
        rules.offers.append(ProjectMetadata("version_range_project_metadata", conditions))


BUILDERS: dict[str, Builder] = {
    "regex_project_metadata": _regex_project_metadata,
    "size_project_metadata": _size_project_metadata,
    "version_range_project_metadata": _version_range_project_metadata,
    "versions_count_project_metadata": _versions_count_project_metadata,
}
