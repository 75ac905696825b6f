"""What one key of the configuration file is: how it is read, what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

OWN_SECTIONS = frozenset({"mirror", "plugins", "server"})
"""Sections that are not about filters."""


class InFile(Enum):
    """How an option appears in the default file."""

    SET = "set"
    COMMENTED = "commented out"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One key of the configuration file."""

    section: str = "mirror"
    key: str
    read: Callable[[str], Any]
    allowed: str
    doc: str
    default: str | Callable[[], str] = ""
    """Text as it would stand in the file; empty means not set."""
    default_shown: str = ""
    """How the reference puts a default that is computed."""
    example: str = ""
    """What the default file shows where the default shows nothing."""
    shipped: bool = False
    """bandersnatch reads a default for it from a file of its own before the user's, which thus hides [DEFAULT]."""
    may_be_empty: bool = False
    required: bool = False
    many: bool = False
    """A list: `read` takes one line of it."""
    note: Callable[[str], str | None] = lambda _: None
    """What to warn of in a value that can be used."""
    in_file: InFile = InFile.COMMENTED
    group: str = ""
    field: str | None = None
    """The name in Settings; None: `key` as an identifier."""
    references: bool = False
    """`{{SECTION_OPTION}}` in its value stands for the value of another key."""

    @property
    def name(self) -> str:
        """The name of its field in Settings; what filters read is under its section in `Settings.filters`."""
        prefix = "" if self.section in {"mirror", "plugins"} else f"{self.section}_"
        return self.field or prefix + self.key.replace("-", "_")

    @property
    def is_filter(self) -> bool:
        """Whether a filter reads it, as text."""
        return self.section not in OWN_SECTIONS

    def default_text(self) -> str:
        """Return the text that stands for an absent key."""
        return self.default() if callable(self.default) else self.default


BOOL = "true or false (also yes/no, on/off, 1/0)"
FILE = "a path"
SELECTION = "What is mirrored"
