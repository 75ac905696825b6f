"""bandersnatch's INI dialect: what configparser understands, with the line numbers that it forgets."""

from __future__ import annotations

import configparser
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

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
    try:
        parser.read_file(io.StringIO(text, newline=None), source)
    except configparser.Error as error:
        raise _unreadable(error, source, text) from None
    sections, lines, references = _scan(text)
    if ("mirror", "master") not in lines and "master" in references:
        parser.set("mirror", "master", default_master().replace("%", "%%"))
    return Ini(parser, sections, lines, references)


def _unreadable(error: configparser.Error, source: str, text: str) -> ConfigError:
    match error:
        case configparser.DuplicateSectionError():
            return ConfigError(
                f"this section is already there, in line {_scan(text)[0][error.section]}",
                file=source,
                section=error.section,
                line=error.lineno,
                hint="put the keys of both under one of them",
            )
        case configparser.DuplicateOptionError():
            return ConfigError(
                f"this key is already there, in line {_scan(text)[1][error.section, error.option][0]}",
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
        case configparser.ParsingError():
            lines = sorted({line for line, _ in error.errors})
            also = f" (and {len(lines) - 1} more such lines)" if len(lines) > 1 else ""
            return ConfigError(
                f"neither `[section]` nor `key = value`{also}",
                file=source,
                line=lines[0],
                hint="only `=` separates key and value; further lines of a value are indented",
            )
        case _:
            return ConfigError(error.message, file=source)


_REFERENCE = re.compile(r"%\(([^)]+)\)s")


def _scan(text: str) -> tuple[dict[str, int], dict[tuple[str, str], tuple[int, ...]], frozenset[str]]:
    """Find the lines of sections and keys by configparser's rules, in a text that it has accepted.

    Or has accepted but for something that is there twice: the first place is kept.
    """
    sections: dict[str, int] = {}
    lines: dict[tuple[str, str], list[int]] = {}
    references: set[str] = set()
    section, value, indent = "", None, 0
    for number, line in enumerate(io.StringIO(text, newline=None), start=1):
        stripped = line.strip()
        if stripped.startswith(("#", ";")):
            continue
        here = len(line) - len(line.lstrip())
        if not stripped or (value is not None and here > indent):
            if value is not None:
                value.append(number)
            references.update(_REFERENCE.findall(stripped))
            continue
        indent = here
        if header := configparser.ConfigParser.SECTCRE.match(stripped):
            section, value = header["header"], None
            sections.setdefault(section, number)
            continue
        value = lines.setdefault((section, stripped.partition("=")[0].rstrip()), [number])
        references.update(_REFERENCE.findall(stripped))
    return sections, {where: tuple(numbers) for where, numbers in lines.items()}, frozenset(references)


_USERINFO = re.compile(r"//\S*@")


def without_secrets(text: str) -> str:
    """Return text without the user and password of an address in it."""
    return _USERINFO.sub("//***@", text)


def shown(text: str) -> str:
    """Return text for a message: in one line, not too long, and without the password of an address."""
    text = " ".join(without_secrets(text).split())
    return repr(text if len(text) <= 100 else text[:97] + "...")
