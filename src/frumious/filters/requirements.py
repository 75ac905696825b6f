"""`project_requirements` and `project_requirements_pinned`: what requirements files ask for, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.specifiers import SpecifierSet

from frumious.filters.names import AllowNames
from frumious.filters.offer import Offer
from frumious.filters.plugin import Builder, Context, Rules
from frumious.filters.requirements_files import BadRequirements, Line, read_requirements
from frumious.filters.rules import Verdict
from frumious.filters.sections import BadSetting, Entry, Sections
from frumious.filters.values import entries
from frumious.model.names import NormalizedName

_NAMES = "project_requirements"
_PINNED = "project_requirements_pinned"
_SECTION, _KEY = "allowlist", "requirements"
_PLACE = f"[{_SECTION}] {_KEY}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one line asks for, under the constraints that hold where it stands: a version must be in every group."""

    groups: tuple[tuple[SpecifierSet, ...], ...]
    """A version is in a group if any of its specifiers contains it."""

    @property
    def is_pinned(self) -> bool:
        """Whether it does not take every version."""
        return any(all(map(str, group)) for group in self.groups)

    def contains(self, release: str) -> bool:
        return all(any(_contains(specifier, release) for specifier in group) for group in self.groups)

    def __str__(self) -> str:
        return ",".join(" or ".join(sorted(map(str, group))) for group in self.groups if all(map(str, group)))


def _contains(specifier: SpecifierSet, release: str) -> bool:
    if not str(specifier):
        return True
    try:
        return specifier.contains(release, prereleases=True)
    except ValueError:  # InvalidVersion, or a number that is too long for Python
        return False


@dataclass(frozen=True, slots=True)
class PinReleases:
    """Keep of each project the releases that some line takes, and nothing of projects that no line asks for.

    Where a line has a version no other rule on releases is asked. Where none has, every version passes.
    """

    wanted: Mapping[NormalizedName, tuple[Wanted, ...]]
    name: str = _PINNED
    needs_document: bool = False
    is_last: bool = False

    @property
    def fingerprint(self) -> str:
        lines = (f"{name} {' | '.join(sorted(map(str, said)))}" for name, said in sorted(self.wanted.items()))
        return "pin " + "; ".join(lines)

    def decides_alone(self, name: NormalizedName) -> bool:
        return any(line.is_pinned for line in self.wanted.get(name, ()))

    def judge_releases(self, offer: Offer, releases: Sequence[str]) -> Mapping[str, Verdict]:
        lines = self.wanted.get(offer.name)
        if lines is None:
            unlisted = Verdict(keep=False, reason=f"its project is not in {_PLACE}", rule=self.name)
            return dict.fromkeys(releases, unlisted)
        said = " or ".join(sorted({str(line) for line in lines}))
        other = Verdict(keep=False, reason=f"{_PLACE} asks for {said}", rule=self.name)
        return {release: other for release in releases if not any(line.contains(release) for line in lines)}


def wanted_of(files: Iterable[Sequence[Line]]) -> dict[NormalizedName, tuple[Wanted, ...]]:
    """Return what files ask for, each with the constraints that it includes itself."""
    found: dict[NormalizedName, dict[Wanted, None]] = {}
    for lines in files:
        constraints = _constraints(lines)
        for line in lines:
            if not line.constraint:
                wanted = Wanted(((line.specifier,), *constraints.get(line.name, ())))
                found.setdefault(line.name, {})[wanted] = None
    return {name: tuple(wanted) for name, wanted in found.items()}


def _constraints(lines: Iterable[Line]) -> dict[NormalizedName, tuple[tuple[SpecifierSet, ...], ...]]:
    """Return constraints by project: all that count everywhere, and one of those that count somewhere.

    `six==1.15 ; python_version < "3"` and `six==1.16 ; python_version >= "3"` are meant for different environments.
    """
    always: dict[NormalizedName, list[SpecifierSet]] = {}
    sometimes: dict[NormalizedName, list[SpecifierSet]] = {}
    for line in lines:
        if line.constraint and str(line.specifier):
            (sometimes if line.marked else always).setdefault(line.name, []).append(line.specifier)
    return {
        name: (
            *((specifier,) for specifier in always.get(name, ())),
            *((tuple(sometimes[name]),) if name in sometimes else ()),
        )
        for name in {**always, **sometimes}
    }


# -------------------------------------------------------------------------------------- from sections


def read_files(
    sections: Sections, environ: Mapping[str, str], warn: Callable[[str], None]
) -> Iterator[tuple[Line, ...]]:
    """Yield the lines of each file in `[allowlist] requirements`; raises BadSetting."""
    directory = sections.one(_SECTION, "requirements_path")
    # The default is the current directory, as it is bandersnatch's.
    root = Path(directory.text if directory is not None else "")
    for entry in entries(sections, _SECTION, _KEY):

        def warn_here(text: str, entry: Entry = entry) -> None:
            warn(f"{_PLACE} (line {entry.line}): {text}" if entry.line else f"{_PLACE}: {text}")

        for path in _paths(root, entry, warn_here):
            try:
                yield read_requirements(path, environ, warn_here)
            except BadRequirements as error:
                raise sections.bad(_SECTION, _KEY, entry, error.problem, error.hint) from None


def _paths(root: Path, entry: Entry, warn: Callable[[str], None]) -> list[Path]:
    if "*" not in entry.text:
        return [root / entry.text]
    pattern = Path(entry.text)
    try:
        if pattern.anchor:
            found = Path(pattern.anchor).glob(str(pattern.relative_to(pattern.anchor)))
        else:
            found = root.glob(entry.text)
        paths = sorted(path for path in found if path.is_file())
    except (ValueError, OSError) as error:
        raise BadSetting(
            _SECTION, _KEY, f"{entry.text!r} is no pattern for files: {error}", line=entry.line
        ) from None
    if not paths:
        warn(f"no file matches {entry.text!r} in {root.absolute()}")
    return paths


def _project_requirements(context: Context, rules: Rules) -> None:
    names = frozenset(wanted_of(read_files(context.sections, os.environ, context.warn)))
    if not names:
        context.warn(f"{_PLACE} asks for nothing, so {_NAMES} allows every project")
    rules.projects.append(AllowNames(names, _NAMES, _PLACE))


def _project_requirements_pinned(context: Context, rules: Rules) -> None:
    # What there is to warn of in the files has been said once, if the other plugin reads them too.
    warn = context.warn if _NAMES not in context.enabled else _say_nothing
    wanted = wanted_of(read_files(context.sections, os.environ, warn))
    if not wanted:
        context.warn(f"{_PLACE} asks for nothing, so {_PINNED} drops every release of every project")
    rules.releases.append(PinReleases(wanted))


def _say_nothing(_: str) -> None:
    pass


BUILDERS: dict[str, Builder] = {
    "project_requirements": _project_requirements,
    "project_requirements_pinned": _project_requirements_pinned,
}
