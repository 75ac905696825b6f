"""What the builder of a plugin gets and gives: the door between a configuration file and rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from frumious.filters.rules import FileRule, OfferRule, ProjectRule, ReleaseRule
from frumious.filters.sections import Sections


@dataclass(slots=True)
class Rules:
    """What builders add their rules to; a plugin may have several."""

    projects: list[ProjectRule] = field(default_factory=list)
    offers: list[OfferRule] = field(default_factory=list)
    files: list[FileRule] = field(default_factory=list)
    releases: list[ReleaseRule] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Context:
    """What a builder may look at."""

    sections: Sections
    enabled: frozenset[str]
    """All plugins in force: some read another one's list only if that one is."""
    mirror: Mapping[str, str] = field(default_factory=dict)
    """What `[mirror]` says, defaults included, after interpolation; plugins made for bandersnatch may read it."""
    warn: Callable[[str], None] = lambda _: None
    """Takes a sentence about settings that can be used but may not do what was meant, with their place."""


Builder: TypeAlias = Callable[[Context, Rules], None]
"""Adds the rules of one plugin; raises BadSetting."""
