"""What a run is told, as values."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from frumious.filters.rules import Selection
from frumious.model.layout import PageKind


@dataclass(frozen=True, slots=True)
class Rendering:
    """The settings that decide how a page looks and where it lies; a change renders every page again."""

    html: bool = True
    json: bool = True
    hash_index: bool = False
    root_uri: str | None = None
    release_files: bool = True
    core_metadata: bool = True
    legacy_json: bool = False

    @property
    def kinds(self) -> tuple[PageKind, ...]:
        """The stored forms of a page, in the order in which they are put in place."""
        html = (PageKind.HTML, PageKind.V1_HTML) if self.html else ()
        return (*html, PageKind.V1_JSON) if self.json else html

    def dumps(self) -> str:
        """Return these settings as text that `loads` reads."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def loads(cls, text: str) -> Rendering:
        """Read what `dumps` wrote; settings it does not know have their defaults."""
        known = cls.__dataclass_fields__
        return cls(**{key: value for key, value in json.loads(text).items() if key in known})


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """What to mirror, and how."""

    rendering: Rendering = Rendering()
    selection: Selection = field(default_factory=Selection)
    streams: int = 30
    """Projects looked at, and files of one project fetched, at the same time; politeness is the client's."""
    stop_on_error: bool = False
    min_free: int = 0
    """Bytes that must stay free on the mirror's file system."""
    recheck_seconds: int = 14 * 86400
    """An unchanged project is asked for again after this long: not everything moves a serial."""
    small_selection: int = 500
    """Up to so many plainly named projects are asked for one by one instead of reading the project list."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a batch is full: whatever comes first (design.md §6; measured in docs/decisions/0001)."""

    projects: int = 256
    bytes: int = 64 * 1024 * 1024
    seconds: float = 1.0
