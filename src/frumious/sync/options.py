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
    base_url: str | None = None
    """Public address of `web/`, without a final slash: for links in the legacy JSON that we publish."""
    digest: str = "sha256"
    """hashlib's name of the digest in the fragments of HTML pages; JSON always has sha256."""
    provenance: bool = False
    """Pages name only provenance that is here; False: they pass on what upstream's name."""

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
class Removal:
    """What happens to what upstream removed and what filters drop (design.md §5.5)."""

    follow: bool = True
    """False: nothing is removed, except what is quarantined."""
    trash_seconds: int = 30 * 86400
    """Removed bytes can be restored for this long; 0: they are deleted at once."""
    max_projects: int = 100
    max_files: int = 1000
    max_percent: float = 5.0
    """A run that would remove more than such a number and more than such a share removes nothing."""
    confirmed: str | None = None
    """The plan of removals that the operator has confirmed."""


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
    removal: Removal = Removal()
    trust_stat: bool = False
    """A file in place with the right size and time is taken for the right one, unread (`compare-method = stat`)."""
    keep_versions: int = 0
    """How many earlier pages of a project are kept beside the one that is out (`keep_index_versions`)."""
    force_check: bool = False
    """Ask for every project again, whatever is known of it."""
    skip_root: bool = False
    """Leave the project list as it is."""
    clean_names: bool = False
    """Remove directories of unnormalized names (`cleanup`)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a batch is full: whatever comes first (design.md §6; measured in docs/decisions/0001)."""

    projects: int = 256
    bytes: int = 64 * 1024 * 1024
    seconds: float = 1.0
