"""How what is found is ordered: by the way in which it was found, then by how much it is used. Pure.

The engine is asked several questions, each of which finds projects in one way (`Way`) and gives the best of them
first. A project counts by the best way it was found in. Every answer is in the order of the scores made here, so that
the first N of each hold the first N of all: pages agree, however deep somebody leafs.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from frumious.model.names import NormalizedName

_LEVELS: Final = 1000
_MOST_USED: Final = 6.0
"""A million downloads, as a power of ten: what is used more is used as much."""
_LEVEL_SHIFT: Final = 40
_BREVITY_SHIFT: Final = 32
_LONGEST: Final = 255
_HALF: Final = 20.0
"""The engine's score of a text that gets half of what a text can get."""


class Way(Enum):
    """A way in which a project is found: what it is worth at least, and how much more the most used one gets.

    What is used a lot may overtake what was found in a somewhat better way: for `learn`, `scikit-learn` comes before
    `learnhub`, which nobody uses. Nothing overtakes the project whose very name was typed, and what was only guessed
    never overtakes what was found.
    """

    NAME = (200.0, 0.0)
    """It has the name that was typed."""
    SQUASHED = (190.0, 5.0)
    """It has that name but for separators."""
    BEGINS = (66.0, 30.0)
    """Its name begins with the words that were typed."""
    WORDS = (62.0, 30.0)
    """Its name has these words."""
    PREFIX = (56.0, 30.0)
    """Its name begins with what was typed, in the middle of a word."""
    WITHIN = (46.0, 30.0)
    """Its name has it somewhere."""
    TEXT = (40.0, 12.0)
    """Name, summary, keywords, author and topics together have the words."""
    LISTED = (40.0, 30.0)
    """No words were typed: it has the classifiers that were asked for."""
    UNFINISHED = (26.0, 12.0)
    """They have the words, if the last one goes on."""
    TYPO = (20.0, 6.0)
    """Its name differs in one letter."""
    TYPOS = (14.0, 6.0)
    """Its name differs in two letters."""
    TEXT_TYPO = (8.0, 6.0)
    """They have the words but for one letter in each."""
    SOME = (2.0, 6.0)
    """They have some of the words."""

    def __init__(self, base: float, bonus: float) -> None:
        self.base = base
        self.bonus = bonus

    @property
    def is_by_text(self) -> bool:
        """Whether the engine's own score says how good it is; how much it is used is in that."""
        return self in {Way.TEXT, Way.UNFINISHED, Way.TEXT_TYPO, Way.SOME}

    @property
    def is_guess(self) -> bool:
        """Whether what is found so has not what was typed."""
        return self in {Way.TYPO, Way.TYPOS, Way.TEXT_TYPO, Way.SOME}


FOUND: Final = (Way.NAME, Way.SQUASHED, Way.BEGINS, Way.WORDS, Way.PREFIX, Way.WITHIN, Way.TEXT, Way.LISTED)
"""Ways in which a project is found that has what was typed."""
NEAR: Final = (Way.UNFINISHED, Way.TYPO)
"""Ways that are gone, too, where those find fewer than `FEW`: somebody is typing still, or has mistyped."""
FAR: Final = (Way.TYPOS, Way.TEXT_TYPO, Way.SOME)
"""Ways that are gone where all those find nothing."""
FEW: Final = 10
FURTHER_LIMIT: Final = 20
"""How many are told for each way of `NEAR` and `FAR`; each is worth less than any of `FOUND`, at most."""

Place = tuple[int, int]
"""Where the engine has a project; good for one opened index."""


@dataclass(frozen=True, slots=True)
class Match:
    """One project in one answer."""

    place: Place
    order: int
    """See `order_of`."""
    closeness: float = 0.0
    """The engine's score of its text; 0 and more."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found in one way, the best first."""

    way: Way
    matches: Sequence[Match]
    count: int
    """How many there are, with those that were not asked for."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """Everything that was found, as far as it was asked for."""

    places: Sequence[tuple[Place, float]]
    """Each project once, the best first, with its score."""
    total: int
    is_exact: bool
    """Whether `total` is how many there are; else there are at least so many."""
    is_guess: bool
    """Whether none was found but by guessing."""


def order_of(name: NormalizedName, downloads: int) -> int:
    """Return the number by which the engine orders what it finds in one way: most used first, then short, then any.

    It is below 2**53, as an engine may compute with floating point numbers.
    """
    level = round(_LEVELS * min(1.0, math.log10(1 + max(0, downloads)) / _MOST_USED))
    brevity = _LONGEST - min(len(name), _LONGEST)
    return level << _LEVEL_SHIFT | brevity << _BREVITY_SHIFT | zlib.crc32(name.encode())


def popularity_of(order: int) -> float:
    """Return how much a project is used, from 0 to 1, by its order."""
    return (order >> _LEVEL_SHIFT) / _LEVELS


def score(way: Way, match: Match) -> float:
    """Return what a project is worth that was found in one way."""
    share = match.closeness / (match.closeness + _HALF) if way.is_by_text else popularity_of(match.order)
    return way.base + way.bonus * share


def rank(answers: Sequence[Answer]) -> Ranking:
    """Return every project of the answers by the best way it was found in."""
    best: dict[Place, tuple[float, int]] = {}
    for answer in answers:
        for match in answer.matches:
            worth = score(answer.way, match), match.order
            best[match.place] = max(worth, best.get(match.place, worth))
    ordered = sorted(best.items(), key=lambda item: (item[1], item[0]), reverse=True)
    return Ranking(
        places=[(place, worth) for place, (worth, _) in ordered],
        total=max([len(best), *(answer.count for answer in answers)]),
        is_exact=all(answer.count <= len(answer.matches) for answer in answers),
        is_guess=bool(best) and all(answer.way.is_guess for answer in answers if answer.matches),
    )
