"""Text of a section -> a value, for rules of our own; what cannot be used is refused with its place and what is allowed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from frumious.filters.sections import BadSetting, Entry, Sections
from frumious.model.names import InvalidName, NormalizedName, normalize

_T = TypeVar("_T")
_COMMENT = re.compile(r"(^|\s)#.*")
_SEPARATOR = re.compile(r"[\s,]+")

SIZES: Final = "a number of bytes, more than 0, or with K, M, G, T or P (binary: 1K is 1024)"
DURATIONS: Final = "a whole number with h, d or w (hours, days, weeks), as in `7d`"
SWITCH: Final = "true or false (also yes/no, on/off, 1/0)"

_STATES = {
    "1": True,
    "yes": True,
    "true": True,
    "on": True,
    "0": False,
    "no": False,
    "false": False,
    "off": False,
}
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,15})?)\s*(?:([KMGTP])(?:i?B)?|B)?", re.IGNORECASE | re.ASCII)
_DURATION = re.compile(r"(\d{1,6})\s*([hdw])", re.IGNORECASE | re.ASCII)
_SECONDS = {"h": 3600, "d": 86400, "w": 7 * 86400}


def refused(section: str, key: str, entry: Entry | None, allowed: str, hint: str | None = None) -> BadSetting:
    """Return the error for a value that cannot be used, or for one that is missing."""
    line = entry.line if entry else None
    if entry is None:
        return BadSetting(section, key, f"this key is required; allowed: {allowed}", line=line, hint=hint)
    text = entry.text if len(entry.text) <= 100 else entry.text[:97] + "..."
    if hint is None and _COMMENT.search(entry.text):
        hint = "a comment needs its own line"
    return BadSetting(section, key, f"{text!r} cannot be used; allowed: {allowed}", line=line, hint=hint)


def entries(sections: Sections, section: str, key: str) -> Iterator[Entry]:
    """Yield the lines of a list without comments at their ends."""
    for entry in sections.lines(section, key):
        if text := _COMMENT.sub("", entry.text).strip():
            yield Entry(text, entry.line)


def words(sections: Sections, section: str, key: str) -> Iterator[Entry]:
    """Yield the words of a list, whether lines, blanks or commas part them."""
    for entry in entries(sections, section, key):
        for word in _SEPARATOR.split(entry.text):
            if word:
                yield Entry(word, entry.line)


def read_names(sections: Sections, section: str, key: str) -> frozenset[NormalizedName]:
    """Return a list of projects, one on each line; raises BadSetting."""
    return frozenset(read_name(section, key, entry) for entry in entries(sections, section, key))


def read_name(
    section: str, key: str, entry: Entry, allowed: str = "one project on each line"
) -> NormalizedName:
    """Return the name of a project; raises BadSetting."""
    try:
        return normalize(entry.text)
    except InvalidName:
        raise refused(section, key, entry, allowed) from None


def read(
    sections: Sections, section: str, key: str, parse: Callable[[str], _T | None], allowed: str
) -> _T | None:
    """Return the value of one line, None for a key that is absent or empty; raises BadSetting where `parse` gives None."""
    entry = sections.one(section, key)
    if entry is None:
        return None
    value = parse(entry.text)
    if value is None:
        raise refused(section, key, entry, allowed)
    return value


def read_switch(sections: Sections, section: str, key: str, *, default: bool) -> bool:
    """Return true or false; raises BadSetting."""
    found = read(sections, section, key, lambda text: _STATES.get(text.lower()), SWITCH)
    return default if found is None else found


def read_choice(sections: Sections, section: str, key: str, choices: tuple[str, ...]) -> str | None:
    """Return one of some words; raises BadSetting."""
    allowed = ", ".join(f"`{choice}`" for choice in choices[:-1]) + f" or `{choices[-1]}`"
    return read(sections, section, key, lambda text: text if text in choices else None, allowed)


def parse_size(text: str) -> int | None:
    """Return bytes, in binary units whatever their spelling: 1K = 1KB = 1KiB = 1024."""
    if (match := _SIZE.fullmatch(text)) is None:
        return None
    number, unit = match.groups()
    return int(float(number) * 1024 ** (" KMGTP".index(unit.upper()) if unit else 0)) or None


def parse_duration(text: str) -> int | None:
    """Return seconds; None for text that is no duration."""
    match = _DURATION.fullmatch(text)
    return int(match[1]) * _SECONDS[match[2].lower()] if match else None


def parse_count(text: str) -> int | None:
    """Return a whole number of 1 or more."""
    found = re.fullmatch(r"0*([1-9][0-9]{0,8})", text, re.ASCII)
    return int(found[1]) if found else None
