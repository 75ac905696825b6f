"""Requirements files as pip reads them -> projects and the versions that lines ask for.

The only module of filters that opens files. Not here: what a mirror makes of it, which `requirements` decides.

Like pip: byte order marks and PEP 263 lines, comments, continued lines, `${NAME}`, options, files that include files.
Unlike pip: markers are not evaluated, for a mirror serves many environments; nothing is fetched; and a line that names
no project of an index (a path, an address) is told and passed over.
"""

from __future__ import annotations

import argparse
import codecs
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NoReturn

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet

from frumious.model.names import InvalidName, NormalizedName, normalize


class BadRequirements(ValueError):
    """A requirements file that cannot be used; the text begins with file and line."""

    def __init__(self, problem: str, hint: str | None = None) -> None:
        super().__init__(problem)
        self.problem, self.hint = problem, hint


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a requirements file that names a project of an index."""

    name: NormalizedName
    specifier: SpecifierSet
    """Empty for any version."""
    marked: bool
    """Whether it counts in some environments only."""
    constraint: bool
    """Whether it restricts versions without asking for the project."""


def read_requirements(
    path: Path, environ: Mapping[str, str], warn: Callable[[str], None]
) -> tuple[Line, ...]:
    """Return the lines of a requirements file and of those it includes; raises BadRequirements."""
    return tuple(_Reading(environ, warn).read(_Include(path, constraint=False)))


# ------------------------------------------------------------------------------- files, and files in files


@dataclass(frozen=True, slots=True)
class _Include:
    path: Path
    constraint: bool
    chain: tuple[tuple[Path, str], ...] = ()
    """The files that led here, outermost first, each with the place that led on."""


@dataclass(slots=True)
class _Reading:
    """One file as pip would be given it, with all that it includes."""

    environ: Mapping[str, str]
    warn: Callable[[str], None]
    done: set[tuple[Path, bool]] = field(default_factory=set)
    """What has been read, and as what: a file may be included from several places."""

    def read(self, include: _Include) -> Iterator[Line]:
        text_of_file = _text_of(include)
        here = include.path.resolve()
        if any(path == here for path, _ in include.chain):
            places = " -> ".join(place for _, place in include.chain)
            raise BadRequirements(f"{places} -> {include.path}: these files include each other in a loop")
        if (here, include.constraint) in self.done:
            return
        self.done.add((here, include.constraint))
        for number, text in _logical_lines(text_of_file):
            place = f"{include.path}:{number}"
            raw, options = _split_options(text)
            expanded = self._expand(raw)
            if raw:
                found = self._requirement(expanded, raw, place, constraint=include.constraint)
                if found is not None:
                    yield found
                continue
            for constraint, target in self._includes(self._expand(options), place):
                chain = (*include.chain, (here, place))
                yield from self.read(_Include(_target(include.path, target, place), constraint, chain))

    def _expand(self, text: str) -> str:
        """Put in variables of the environment as pip does: `${NAME}` in capitals, left alone where empty."""
        return _VARIABLE.sub(lambda found: self.environ.get(found[1]) or found[0], text)

    def _requirement(self, text: str, raw: str, place: str, *, constraint: bool) -> Line | None:
        said = _parsed(text)
        of_index = said is not None and (said.url is not None or not _PATH.search(_subject(text)))
        if said is not None and of_index:
            specifier = SpecifierSet() if said.url else said.specifier
            return Line(normalize(said.name), specifier, said.marker is not None, constraint)
        if _ADDRESS.match(text) or _PATH.search(_subject(text)):
            self.warn(f"{place}: {_shown(raw)} is no project of an index, passed over")
            return None
        unset = _VARIABLE.search(text)
        hint = f"the environment has no variable {unset[1]}" if unset else None
        raise BadRequirements(f"{place}: {_shown(raw)} is not a requirement", hint)

    def _includes(self, options: str, place: str) -> Iterator[tuple[bool, str]]:
        """Yield the files that a line of options includes, and whether as constraints."""
        try:
            said, unknown = _OPTIONS.parse_known_args(shlex.split(options))
        except ValueError as error:
            raise BadRequirements(f"{place}: {_shown(options)} cannot be read: {error}") from None
        for path in said.editable:
            self.warn(f"{place}: {_shown(f'-e {path}')} is no project of an index, passed over")
        if unknown:
            self.warn(f"{place}: {_shown(' '.join(unknown))} is no option that pip has, passed over")
        yield from ((False, target) for target in said.requirement)
        yield from ((True, target) for target in said.constraint)


def _parsed(text: str) -> Requirement | None:
    try:
        said = Requirement(text)
        normalize(said.name)
    except (InvalidRequirement, InvalidName, RecursionError):  # the last for `six; ((((((…`
        return None
    return said


def _target(including: Path, target: str, place: str) -> Path:
    if _SCHEME.match(target):
        raise BadRequirements(
            f"{place}: {_shown(target)} is an address, and only files are read",
            "download it, and name the file",
        )
    return including.parent / target


def _text_of(include: _Include) -> str:
    by = f", included by {include.chain[-1][1]}" if include.chain else ""
    try:
        data = include.path.read_bytes()
    except FileNotFoundError:
        raise BadRequirements(f"{include.path}: there is no such file{by}") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise BadRequirements(f"{include.path}: cannot be read: {reason}{by}") from None
    encoding, skipped = _encoding(data)
    try:
        return data[skipped:].decode(encoding)
    except LookupError:
        raise BadRequirements(f"{include.path}: there is no encoding {encoding!r}") from None
    except UnicodeError as error:
        line = data.count(b"\n", 0, skipped + getattr(error, "start", 0)) + 1
        raise BadRequirements(
            f"{include.path}:{line}: this is not {encoding}",
            "save the file as UTF-8, or name its encoding in the first line: # -*- coding: latin-1 -*-",
        ) from None


_BOMS: Final = (
    # The order counts: the mark of UTF-16 is the beginning of that of UTF-32.
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
)
_CODING = re.compile(rb"#.*?coding[:=]\s*([-\w.]+)")


def _encoding(data: bytes) -> tuple[str, int]:
    """Return the encoding of a file and the length of its byte order mark."""
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return encoding, len(mark)
    for line in data.split(b"\n", 2)[:2]:
        if found := _CODING.match(line):
            return found[1].decode("ascii", "replace"), 0
    return "utf-8", 0


# --------------------------------------------------------------------------------------- what a line is

# None of these may look at the same text over and over, as `\s+#` does in a long row of blanks.
_COMMENT = re.compile(r"(?:^|\s)#.*$")
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_ADDRESS = re.compile(r"(?:[a-z][a-z0-9+.-]*://|(?:file|git|hg|svn|bzr)(?:\+[a-z]+)?:)", re.IGNORECASE)
_PATH = re.compile(r"[/\\]|^[.~]|\.(?:whl|tar\.\w+|tgz|tbz)(?:\[[^\[\]]*\])?$", re.IGNORECASE)
_USERINFO = re.compile(r"//[^\s/]*@")


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield lines without comments, joined where a backslash ends one; each with the number of its first."""
    begun, parts = 0, list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        comment = line.lstrip().startswith("#")
        begun = begun if parts else number
        if line.endswith("\\") and not comment:
            parts.append(line.rstrip("\\"))
            continue
        # A comment ends what was continued; the blank makes that it is seen as one.
        parts.append(f" {line}" if comment else line)
        yield from _without_comment(begun, "".join(parts))
        parts = []
    yield from _without_comment(begun, "".join(parts))


def _without_comment(number: int, text: str) -> Iterator[tuple[int, str]]:
    if left := _COMMENT.sub("", text).strip():
        yield number, left


def _split_options(text: str) -> tuple[str, str]:
    """Return what stands before the first option, and the options; only one of both counts for pip."""
    found = re.search(r"(?:^|\s)-", text)
    return (text[: found.start()].rstrip(), text[found.start() :].lstrip()) if found else (text, "")


def _subject(text: str) -> str:
    """Return what a line is about, without its marker and versions."""
    return re.split(r";|[<>=!~]=|[<>@]", text, maxsplit=1)[0].rstrip()


def _shown(text: str) -> str:
    """Return text for a message: not too long, and without the password of an address."""
    text = " ".join(_USERINFO.sub("//***@", text).split())
    return repr(text if len(text) <= 100 else text[:97] + "...")


class _Options(argparse.ArgumentParser):
    """The options of requirements files, long ones in any unambiguous length, as pip's parser takes them."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def _option_parser() -> _Options:
    parser = _Options(add_help=False, usage="", allow_abbrev=True)
    for flags, dest in (
        (("-r", "--requirement"), "requirement"),
        (("-c", "--constraint"), "constraint"),
        (("-e", "--editable"), "editable"),
    ):
        parser.add_argument(*flags, dest=dest, action="append", default=[])
    for names in _WITH_VALUE:
        parser.add_argument(*names, dest="ignored", action="append")
    for flag in _WITHOUT_VALUE:
        parser.add_argument(flag, dest="ignored_flag", action="store_true")
    return parser


_WITH_VALUE: Final[Sequence[Sequence[str]]] = (
    ("-i", "--index-url", "--pypi-url"),
    ("--extra-index-url",),
    ("-f", "--find-links"),
    ("--no-binary",),
    ("--only-binary",),
    ("--trusted-host",),
    ("--use-feature",),
    ("--all-releases",),
    ("--only-final",),
    ("--hash",),
    ("-C", "--config-settings", "--config-setting"),
    ("--global-option",),
    ("--install-option",),
)
_WITHOUT_VALUE: Final = (
    "--no-index",
    "--prefer-binary",
    "--require-hashes",
    "--no-require-hashes",
    "--pre",
)
_OPTIONS: Final = _option_parser()
