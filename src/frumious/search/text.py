"""How text becomes words, the same for what is indexed and for what is typed. Pure.

A word is a run of letters and digits, folded: compatibility forms and case are one, Latin letters have no accents.
Chinese, Japanese and Korean are written without spaces between words (or with endings that hide them), and no
dictionary is at hand: every two neighbours of such a run are a word, which finds what holds the whole run and little
else. Indexed are the single characters too, for who types one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from frumious.model.names import NormalizedName

LONGEST_QUERY: Final = 256
"""Characters."""
_MOST_WORDS: Final = 16
_GRAM: Final = 3
_SHORTEST_PART: Final = 3
"""What is left of a word of a name without its ornaments is a word if it has so many characters."""

_CJK: Final = (
    "\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff"
)
_RUN: Final = re.compile(rf"[{_CJK}]+|[^\W_{_CJK}]+")
_IS_CJK: Final = re.compile(rf"[{_CJK}]")
_ACCENTS: Final = re.compile("[\u0300-\u036f]")
# What would tear a line or turn its direction, and what UTF-8 cannot say.
_UNFIT: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
_HUMP: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
# What a name has because it is one of a Python project: `pyyaml`, `python3-saml`, `jsonpy`.
_ORNAMENTS: Final = re.compile(r"\A(?:python[23]?|py)|(?:py|python)\Z")
_DIGITS: Final = "0123456789"

_EMPTY_WORDS: Final = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "but",
        "by",
        "for",
        "from",
        "if",
        "in",
        "into",
        "is",
        "it",
        "no",
        "not",
        "of",
        "on",
        "or",
        "such",
        "that",
        "the",
        "their",
        "then",
        "there",
        "these",
        "they",
        "this",
        "to",
        "was",
        "will",
        "with",
        "your",
    ]
)
"""Of English: they are in no index."""
_WEAK_WORDS: Final = frozenset(
    ["lib", "library", "module", "package", "python", "python2", "python3", "pypi"]
)
"""Beside other words these say nothing: everything here is a package of Python."""


@dataclass(frozen=True, slots=True)
class Typed:
    """What is looked for."""

    words: Sequence[str]
    """What the text of a project has to have."""
    weak: Sequence[str]
    """What makes it better when it is there."""
    names: Sequence[str]
    """The words if they may be those of a name, which has letters of ASCII and digits only; else none."""

    @property
    def squashed(self) -> str:
        """The name that was typed, without separators."""
        return "".join(self.names)


def parse_typed(typed: str) -> Typed:
    """Return what is looked for by whatever was typed."""
    runs = _RUN.findall(fold(typed[:LONGEST_QUERY]))
    words = list(dict.fromkeys(word for run in runs for word in _sought(run)))[:_MOST_WORDS]
    strong = [word for word in words if word not in _EMPTY_WORDS and word not in _WEAK_WORDS]
    weak = [word for word in words if word in _WEAK_WORDS]
    if not strong:
        strong, weak = weak, []
    return Typed(strong, weak, runs if all(map(str.isascii, runs)) else ())


def fold(text: str) -> str:
    """Return text of which equal spellings are equal."""
    if text.isascii():
        return text.lower()
    plain = _ACCENTS.sub("", unicodedata.normalize("NFKD", text.casefold()))
    return unicodedata.normalize("NFKC", plain.casefold())


def words_of(text: str) -> list[str]:
    """Return the words under which a text is indexed, in its order."""
    found: list[str] = []
    for run in _RUN.findall(fold(text)):
        if _IS_CJK.match(run):
            found += [*run, *_pairs(run)]
        elif run not in _EMPTY_WORDS:
            found.append(run)
    return found


def words_of_name(name: NormalizedName, display: str) -> list[str]:
    """Return the words of a name: its parts, the humps of its spelling, and each without `py` and without a number."""
    parts = dict.fromkeys(name.split("-"))
    humps = [hump.lower() for hump in _HUMP.findall(display) if len(hump) >= _SHORTEST_PART]
    parts.update(dict.fromkeys(humps))
    for part in list(parts):
        for plain in (_ORNAMENTS.sub("", part), part.rstrip(_DIGITS)):
            if len(plain) >= _SHORTEST_PART:
                parts[plain] = None
    return list(parts)


def squash(name: NormalizedName) -> str:
    """Return a name without separators."""
    return name.replace("-", "")


def grams(squashed: str) -> list[str]:
    """Return every three neighbours of a squashed name."""
    return [squashed[start : start + _GRAM] for start in range(len(squashed) - _GRAM + 1)]


def one_line(text: str, longest: int) -> str:
    """Return text as one line that can be shown, cut at `longest` characters."""
    # Cut first: what is thrown away must not cost anything. Of what is left some may be blanks.
    line = " ".join(_UNFIT.sub(" ", text[: longest * 4]).split())
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


def joined(words: Iterable[str]) -> str:
    """Return words as the engine's tokenizers take them apart again."""
    return " ".join(words)


def _sought(run: str) -> list[str]:
    return _pairs(run) if len(run) > 1 and _IS_CJK.match(run) else [run]


def _pairs(run: str) -> list[str]:
    return [run[start : start + 2] for start in range(len(run) - 1)]
