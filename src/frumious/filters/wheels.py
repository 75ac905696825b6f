"""`wheel_tags`: the wheels that chosen interpreters on chosen platforms can install, by their tags (PEP 425).

What an interpreter accepts comes from `packaging.tags`, as pip's own answer does; what a platform accepts does too for
macOS, and is written out here for Linux, where packaging only knows the system it runs on (PEP 600, PEP 656). The rule
looks at file names alone: what a project says in `Requires-Python` is another filter's business.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from packaging.tags import Tag, compatible_tags, cpython_tags, generic_tags, mac_platforms, parse_tag

from frumious.filters.offer import Offer
from frumious.filters.plugin import Builder, Context, Rules
from frumious.filters.rules import KEEP, Verdict
from frumious.filters.sections import BadSetting, Entry, Sections
from frumious.filters.values import entries, read_choice, read_switch, refused, words
from frumious.model.project import File

_SECTION = "wheel_tags"
_ANY = "any"
_MANY = 65536
"""Tag strings to remember; all of PyPI has some ten thousand."""
_MANY_TAGS = 4096
"""No real wheel has more than a few dozen."""

_PYTHONS: Final = "versions and ranges, as in `3.11-3.13` or `3.9, 3.13t` (t: free-threaded)"
_WORDS: Final = (
    "`linux-x86_64`, `linux-aarch64`, `musllinux-x86_64`, `macos-arm64`, `macos-x86_64`, `windows-x86_64` and the like, "
    "or platform tags as in `manylinux_2_28_x86_64`"
)
_SDIST: Final = ("all", "when-no-wheel-fits", "none")


# ------------------------------------------------------------------------- what a platform can install

_NEWEST_GLIBC = _NEWEST_MUSL = 99
_NEWEST_MACOS = (99, 0)
_OLDEST_GLIBC: Final = {"x86_64": 5, "i686": 5}
"""manylinux begins with glibc 2.5 there, with 2.17 elsewhere (as in packaging)."""
_LEGACY: Final = {5: "manylinux1", 12: "manylinux2010", 17: "manylinux2014"}
_LEGACY_GLIBC: Final = {name: minor for minor, name in _LEGACY.items()}
_LINUX_ARCHS: Final = "x86_64|i686|aarch64|armv7l|armv6l|ppc64le|ppc64|s390x|riscv64|loongarch64"
_MAC_ARCHS: Final = "x86_64|arm64|i386|ppc64|ppc"
_LINUX_ALIASES: Final = {"amd64": "x86_64", "arm64": "aarch64", "x86": "i686", "i386": "i686"}
_WINDOWS: Final = {"x86_64": "win_amd64", "amd64": "win_amd64", "x86": "win32", "arm64": "win_arm64"}
_AS_IT_STANDS = re.compile(
    r"(?:win32|win_amd64|win_arm64|(?:android|ios|pyodide|pyemscripten|emscripten|wasi|freebsd|openbsd|netbsd|"
    r"dragonfly|solaris|sunos|aix|cygwin|haiku)_[a-z0-9_]+)"
)


def platform_tags(platform: str) -> tuple[str, ...]:
    """Return the platform tags of all wheels that a platform can install, none for a name that says nothing.

    A platform is a word (`linux-x86_64`) or a platform tag, which stands for the oldest system that has it:
    `manylinux_2_28_x86_64` takes what was built for glibc 2.28 or any older one.
    """
    name = platform.lower().replace("-", "_").replace(".", "_")
    for pattern, expand in _PLATFORMS:
        if found := pattern.fullmatch(name):
            return tuple(expand(found))
    return ()


def _glibc(newest: int, arch: str) -> Iterator[str]:
    for minor in range(newest, _OLDEST_GLIBC.get(arch, 17) - 1, -1):
        yield f"manylinux_2_{minor}_{arch}"
        if minor in _LEGACY:
            yield f"{_LEGACY[minor]}_{arch}"
    yield f"linux_{arch}"


def _musl(newest: int, arch: str) -> Iterator[str]:
    for minor in range(newest, -1, -1):
        yield f"musllinux_1_{minor}_{arch}"
    yield f"linux_{arch}"


def _linux_word(found: re.Match[str]) -> Iterator[str]:
    arch = _LINUX_ALIASES.get(found["arch"], found["arch"])
    if found["libc"] == "musllinux":
        return _musl(_NEWEST_MUSL, arch)
    return _glibc(_NEWEST_GLIBC, arch)


_PLATFORMS: Final[Sequence[tuple[re.Pattern[str], Callable[[re.Match[str]], Iterator[str]]]]] = (
    (
        re.compile(
            rf"(?P<libc>linux|manylinux|musllinux)_(?P<arch>{_LINUX_ARCHS}|{'|'.join(_LINUX_ALIASES)})"
        ),
        _linux_word,
    ),
    (
        re.compile(rf"manylinux_2_([0-9]{{1,2}})_({_LINUX_ARCHS})"),
        lambda found: _glibc(int(found[1]), found[2]),
    ),
    (
        re.compile(rf"({'|'.join(_LEGACY_GLIBC)})_({_LINUX_ARCHS})"),
        lambda found: _glibc(_LEGACY_GLIBC[found[1]], found[2]),
    ),
    (
        re.compile(rf"musllinux_1_([0-9]{{1,2}})_({_LINUX_ARCHS})"),
        lambda found: _musl(int(found[1]), found[2]),
    ),
    (re.compile(rf"macos_({_MAC_ARCHS})"), lambda found: mac_platforms(_newest_macos(found[1]), found[1])),
    (
        re.compile(rf"macosx_([0-9]{{2}})_([0-9]{{1,2}})_({_MAC_ARCHS})"),
        lambda found: mac_platforms((int(found[1]), int(found[2])), found[3]),
    ),
    (re.compile(rf"windows_({'|'.join(_WINDOWS)})"), lambda found: iter((_WINDOWS[found[1]],))),
    (_AS_IT_STANDS, lambda found: iter((found[0],))),
)


def _newest_macos(arch: str) -> tuple[int, int]:
    return _NEWEST_MACOS if arch in {"x86_64", "arm64"} else (10, 15)


# -------------------------------------------------------------------- what an interpreter can install

_Kind: TypeAlias = tuple[str, str]
"""Interpreter and ABI of a tag."""


@dataclass(frozen=True, slots=True)
class Python:
    """A version of Python, X.Y."""

    major: int
    minor: int
    free_threaded: bool = False

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}{'t' if self.free_threaded else ''}"


@dataclass(frozen=True, slots=True)
class Kinds:
    """What interpreters can install, without platforms: they accept every one of `native` on each of theirs."""

    native: frozenset[_Kind]
    pure: frozenset[_Kind]
    """Of wheels for any platform."""


def kinds_of(pythons: Sequence[Python], implementations: Sequence[str]) -> Kinds:
    """Return what these versions of these interpreters can install."""
    tags = {tag for python in pythons for name in implementations for tag in _TAGS[name](python)}
    return Kinds(
        frozenset((tag.interpreter, tag.abi) for tag in tags if tag.platform != _ANY),
        frozenset((tag.interpreter, tag.abi) for tag in tags if tag.platform == _ANY),
    )


_HERE = ("here",)
"""Stands for each platform: what an interpreter accepts does not depend on it."""


def _cpython(python: Python) -> Iterator[Tag]:
    version = (python.major, python.minor)
    digits = f"{python.major}{python.minor}"
    # Named here, for packaging would look at how the Python that runs this was built.
    if python.free_threaded:
        abis = [f"cp{digits}t"]
    elif version >= (3, 8):
        abis = [f"cp{digits}"]
    elif version >= (3, 3):
        abis = [f"cp{digits}m"]
    else:
        abis = [f"cp{digits}mu", f"cp{digits}m"]
    yield from cpython_tags(version, abis, _HERE)
    yield from compatible_tags(version, f"cp{digits}", _HERE)


def _pypy(python: Python) -> Iterator[Tag]:
    version = (python.major, python.minor)
    digits = f"{python.major}{python.minor}"
    # PyPy's ABI has been 7.3 since Python 3.6; that of its Python 2.7 has no version of Python in its name.
    abi = f"pypy{digits}_pp73" if python.major > 2 else "pypy_73"
    yield from generic_tags(f"pp{digits}", [abi], _HERE)
    yield from compatible_tags(version, f"pp{python.major}", _HERE)


_TAGS: Final[Mapping[str, Callable[[Python], Iterator[Tag]]]] = {"cpython": _cpython, "pypy": _pypy}
_SPELLED: Final = {"cpython": "CPython", "pypy": "PyPy"}


# ----------------------------------------------------------------------------------------- the rule


@dataclass(frozen=True, slots=True)
class Targets:
    """What wheels are to run on."""

    kinds: Kinds | None
    """None: any interpreter."""
    platforms: frozenset[str] | None
    """Platform tags; None: any."""
    shown: str = "the interpreters and platforms asked for"

    def accepts(self, tag: Tag) -> bool:
        """Say whether a wheel with this tag can be installed somewhere."""
        kind = (tag.interpreter, tag.abi)
        if tag.platform == _ANY:
            return self.kinds is None or kind in self.kinds.pure
        return (self.kinds is None or kind in self.kinds.native) and (
            self.platforms is None or tag.platform in self.platforms
        )

    @property
    def fingerprint(self) -> str:
        kinds = (self.kinds.native, self.kinds.pure) if self.kinds is not None else ()
        return f"{list(map(sorted, kinds))} {sorted(self.platforms) if self.platforms is not None else None}"


@dataclass(frozen=True, slots=True)
class WheelTags:
    """Keep the wheels that run on some target; source by policy; other kinds of files only if asked for."""

    targets: Targets
    pure: bool = True
    """Whether wheels for any platform are wanted."""
    sdist: str = "all"
    """`all`, `when-no-wheel-fits` (judged for each release) or `none`."""
    other: bool = False
    name: str = _SECTION
    needs_document: bool = False
    _seen: dict[str, Verdict] = field(default_factory=dict, repr=False, compare=False)
    """Verdicts by the three parts of a wheel's name that are tags: a few thousand for millions of files."""
    _last: list[tuple[Offer, frozenset[str]]] = field(default_factory=list, repr=False, compare=False)
    """The offer judged last, and its releases that have a wheel that fits: files of one offer come in a row."""

    @property
    def fingerprint(self) -> str:
        return f"tags {self.targets.fingerprint} {self.pure} {self.sdist} {self.other}"

    def judge_file(self, offer: Offer, file: File) -> Verdict:
        if file.filename.endswith(".whl"):
            return self._wheel(file.filename)
        kind = offer.package_type(file)
        if kind == "sdist":
            return self._source(offer, file)
        if self.other:
            return KEEP
        return Verdict(keep=False, reason=f"neither a wheel nor source ({kind})", rule=self.name)

    def _wheel(self, filename: str) -> Verdict:
        parts = filename.removesuffix(".whl").rsplit("-", 3)
        # NAME-VERSION[-BUILD]-PYTHON-ABI-PLATFORM: no part has a hyphen.
        if len(parts) != 4 or parts[0].count("-") not in {1, 2}:
            return Verdict(keep=False, reason="its name has no wheel tags", rule=self.name)
        text = "-".join(parts[1:])
        verdict = self._seen.get(text)
        if verdict is None:
            verdict = self._judge_tags(text)
            if len(self._seen) >= _MANY:
                self._seen.clear()
            self._seen[text] = verdict
        return verdict

    def _judge_tags(self, text: str) -> Verdict:
        try:
            tags = parse_tag(text) if _combinations(text) <= _MANY_TAGS else frozenset()
        except ValueError:
            tags = frozenset()
        if not tags:
            return Verdict(keep=False, reason="its name has no wheel tags", rule=self.name)
        fits = [tag for tag in tags if self.targets.accepts(tag)]
        if any(self.pure or tag.platform != _ANY for tag in fits):
            return KEEP
        reason = "for any platform, and pure = false" if fits else f"no tag runs on {self.targets.shown}"
        return Verdict(keep=False, reason=reason, rule=self.name)

    def _source(self, offer: Offer, file: File) -> Verdict:
        if self.sdist == "all":
            return KEEP
        if self.sdist == "none":
            return Verdict(keep=False, reason="source, and sdist = none", rule=self.name)
        release = offer.release_of(file)
        if release is None or release not in self._served(offer):
            return KEEP
        return Verdict(keep=False, reason="source, and its release has a wheel that fits", rule=self.name)

    def _served(self, offer: Offer) -> frozenset[str]:
        """Return the releases that have a wheel that fits."""
        for judged, served in self._last:
            if judged is offer:
                return served
        served = frozenset(
            release
            for file in offer.files
            if file.filename.endswith(".whl")
            and self._wheel(file.filename).keep
            and (release := offer.release_of(file)) is not None
        )
        self._last[:] = [(offer, served)]
        return served


def _combinations(text: str) -> int:
    """Return how many tags a compressed set stands for, which a name made to harm can make very many."""
    return math.prod(part.count(".") + 1 for part in text.split("-"))


# -------------------------------------------------------------------------------------- from sections

_RANGE = re.compile(r"([23])\.([0-9]{1,2})(t?)(?:-([23])\.([0-9]{1,2})(t?))?")


def _read_pythons(sections: Sections) -> list[Python]:
    found: list[Python] = []
    for line in entries(sections, _SECTION, "python"):
        for word in re.split(r"[\s,]+", "-".join(map(str.strip, line.text.split("-")))):
            if word:
                found += _pythons(Entry(word, line.line))
    return found


def _pythons(entry: Entry) -> Iterator[Python]:
    match = _RANGE.fullmatch(entry.text)
    if match is None:
        raise refused(_SECTION, "python", entry, _PYTHONS)
    major, first, threads, last_major, last, last_threads = match.groups()
    if last is None:
        last_major, last, last_threads = major, first, threads
    if (last_major, last_threads) != (major, threads) or int(last) < int(first):
        raise refused(_SECTION, "python", entry, _PYTHONS, "a range goes from an older to a newer X.Y")
    for minor in range(int(first), int(last) + 1):
        if threads and (int(major), minor) < (3, 13):
            raise refused(
                _SECTION, "python", entry, _PYTHONS, "free-threaded Python begins with 3.13: `3.13t`"
            )
        yield Python(int(major), minor, bool(threads))


def _read_implementations(sections: Sections) -> list[str]:
    found = list(words(sections, _SECTION, "implementation"))
    for word in found:
        if word.text.lower() not in _TAGS:
            raise refused(_SECTION, "implementation", word, "`cpython`, `pypy` or both")
    return list(dict.fromkeys(word.text.lower() for word in found))


def _read_targets(sections: Sections) -> Targets:
    pythons = _read_pythons(sections)
    implementations = _read_implementations(sections)
    if implementations and not pythons:
        line = sections.lines(_SECTION, "implementation")[0].line
        raise BadSetting(
            _SECTION,
            "implementation",
            "without `python` it says nothing",
            line=line,
            hint="write `python = 3.11-3.13`",
        )
    named: dict[str, tuple[str, ...]] = {}
    for word in words(sections, _SECTION, "platforms"):
        named[word.text] = platform_tags(word.text)
        if not named[word.text]:
            raise refused(_SECTION, "platforms", word, _WORDS)
    implementations = implementations or ["cpython"]
    shown = [
        *(
            [f"{' or '.join(_SPELLED[name] for name in implementations)} {_ranges(pythons)}"]
            if pythons
            else []
        ),
        *([_few(list(named))] if named else []),
    ]
    return Targets(
        kinds_of(pythons, implementations) if pythons else None,
        frozenset(tag for tags in named.values() for tag in tags) if named else None,
        ", ".join(shown),
    )


def _ranges(pythons: Sequence[Python]) -> str:
    """Return versions as a person writes them: `3.9, 3.11-3.13`."""
    runs: list[list[Python]] = []
    for python in sorted(set(pythons), key=lambda p: (p.free_threaded, p.major, p.minor)):
        if runs and runs[-1][-1] == Python(python.major, python.minor - 1, python.free_threaded):
            runs[-1].append(python)
        else:
            runs.append([python])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def _few(names: list[str]) -> str:
    return " or ".join(names) if len(names) <= 4 else f"any of {len(names)} platforms"


def _wheel_tags(context: Context, rules: Rules) -> None:
    sections = context.sections
    if not sections.keys(_SECTION):
        hint = "write `python = 3.11-3.13` and `platforms = linux-x86_64` under it"
        raise BadSetting(
            _SECTION, None, "wheel_tags is enabled, but nothing here says what is wanted", hint=hint
        )
    rules.files.append(
        WheelTags(
            _read_targets(sections),
            pure=read_switch(sections, _SECTION, "pure", default=True),
            sdist=read_choice(sections, _SECTION, "sdist", _SDIST) or "all",
            other=read_switch(sections, _SECTION, "other", default=False),
        )
    )


BUILDERS: dict[str, Builder] = {"wheel_tags": _wheel_tags}
