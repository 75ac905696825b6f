"""bandersnatch's INI dialect: what configparser understands, with the line numbers that it forgets."""

from __future__ import annotations

import configparser
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from frumious.config.option import Option
from frumious.config.options import OPTIONS
from frumious.config.pypi import default_master
from frumious.config.settings import Line
from frumious.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Found:
    """A value as the file has it: text after interpolation, and the line of each of its lines."""

    text: str
    lines: tuple[int, ...]

    @property
    def line(self) -> int:
        return self.lines[0]

    def items(self) -> Iterator[Line]:
        texts = self.text.split("\n")
        # An interpolated value may bring lines of its own; they stand where the key stands.
        numbers = self.lines if len(texts) <= len(self.lines) else [self.line] * len(texts)
        return (Line(text.strip(), line) for text, line in zip(texts, numbers, strict=False) if text.strip())


@dataclass(frozen=True, slots=True)
class Ini:
    """A file as configparser understood it, and the lines that configparser forgets."""

    parser: configparser.ConfigParser
    sections: Mapping[str, int]
    lines: Mapping[tuple[str, str], tuple[int, ...]]
    """Of each key in the file, by the section in which it was written, the line of each line of its value."""
    references: frozenset[str]
    """Keys that some value names as `%(key)s`."""

    def place(self, option: Option) -> tuple[int, ...] | None:
        """Return the lines that give this option its value, those in [DEFAULT] included."""
        if own := self.lines.get((option.section, option.key)):
            return own
        if option.shipped or not self.parser.has_section(option.section):
            return None
        return self.lines.get((self.parser.default_section, option.key))

    def found(self, option: Option, lines: tuple[int, ...]) -> Found:
        """Return what the file says at that place; raises configparser.InterpolationError."""
        return Found(self.parser.get(option.section, option.key), lines)

    def value(self, section: str, key: str) -> str | None:
        """Return what any key comes to, defaults included; None for one that is not there, or has no value.

        Raises configparser.InterpolationError.
        """
        return self.parser.get(section, key, fallback="") or None


def _new_parser() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(delimiters="=")
    parser.optionxform = str  # type: ignore[assignment]  # the documented way; typeshed sees a method
    return parser


def read_ini(text: str, source: str) -> Ini:
    """Read the text of a file as bandersnatch does, its own defaults first; raises ConfigError."""
    parser = _new_parser()
    shipped = {
        option.key: option.default for option in OPTIONS if option.shipped and isinstance(option.default, str)
    }
    parser.read_dict({"mirror": shipped})
    layout = _scan(text)
    # configparser would find them too, but repeats them all in one message, which takes for ever if it is a long log
    # that somebody named by mistake.
    if layout.unreadable:
        first, *others = layout.unreadable
        also = f" (and {len(others)} more such lines)" if others else ""
        raise ConfigError(
            f"neither `[section]` nor `key = value`{also}",
            file=source,
            line=first,
            hint="only `=` separates key and value; further lines of a value are indented",
        )
    try:
        parser.read_file(io.StringIO(text, newline=None), source)
    except configparser.Error as error:
        raise _unreadable(error, source, layout) from None
    if ("mirror", "master") not in layout.keys and "master" in layout.references:
        parser.set("mirror", "master", default_master().replace("%", "%%"))
    lines = {where: tuple(numbers) for where, numbers in layout.keys.items()}
    return Ini(parser, layout.sections, lines, frozenset(layout.references))


def _unreadable(error: configparser.Error, source: str, layout: _Layout) -> ConfigError:
    match error:
        case configparser.DuplicateSectionError():
            return ConfigError(
                f"this section is already there, in line {layout.sections[error.section]}",
                file=source,
                section=error.section,
                line=error.lineno,
                hint="put the keys of both under one of them",
            )
        case configparser.DuplicateOptionError():
            return ConfigError(
                f"this key is already there, in line {layout.keys[error.section, error.option][0]}",
                file=source,
                section=error.section,
                key=error.option,
                line=error.lineno,
                hint="keep one of them",
            )
        case configparser.MissingSectionHeaderError():
            return ConfigError(
                f"{shown(error.line)} stands before any [section]",
                file=source,
                line=error.lineno,
                hint="the settings of a mirror stand under [mirror]",
            )
        case _:
            return ConfigError(error.message, file=source)


# Without the question mark, many `%(` with no end would each look through the rest of the line.
_REFERENCE = re.compile(r"%\(([^)]+)(\)s)?")


def _references(text: str) -> Iterator[str]:
    return (name for name, end in _REFERENCE.findall(text) if end)


@dataclass(frozen=True, slots=True)
class _Layout:
    """What stands in which line of a text; of what is there twice, the first place."""

    sections: dict[str, int] = field(default_factory=dict)
    keys: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    references: set[str] = field(default_factory=set)
    unreadable: list[int] = field(default_factory=list)
    """Lines in a section that are neither a section nor a key nor part of a value."""


def _scan(text: str) -> _Layout:
    """Find the lines of sections and keys by configparser's rules, up to a line that stands before any section."""
    found = _Layout()
    section, value, indent = "", None, 0
    for number, line in enumerate(io.StringIO(text, newline=None), start=1):
        stripped = line.strip()
        if stripped.startswith(("#", ";")):
            continue
        here = len(line) - len(line.lstrip())
        if not stripped or (value is not None and here > indent):
            if value is not None:
                value.append(number)
            found.references.update(_references(stripped))
            continue
        indent = here
        if header := configparser.ConfigParser.SECTCRE.match(stripped):
            section, value = header["header"], None
            found.sections.setdefault(section, number)
            continue
        if not section:
            break
        key, equals, _ = stripped.partition("=")
        if not key or not equals:
            found.unreadable.append(number)
        value = found.keys.setdefault((section, key.rstrip()), [number])
        found.references.update(_references(stripped))
    return found


_WORD = re.compile(r"\S+")


def without_secrets(text: str) -> str:
    """Return text without the user and password of an address in it."""
    return _WORD.sub(_without_userinfo, text)


def _without_userinfo(word: re.Match[str]) -> str:
    before, _, address = word[0].partition("//")
    _, at, rest = address.rpartition("@")
    return f"{before}//***@{rest}" if at else word[0]


def shown(text: str) -> str:
    """Return text for a message: in one line, not too long, and without the password of an address."""
    text = " ".join(without_secrets(text).split())
    return repr(text if len(text) <= 100 else text[:97] + "...")
