"""Names that bandersnatch knows, or knew, and Frumious does not act on, so that no message takes them for typing errors."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

OTHER_SECTIONS = ("s3",)
"""Sections of bandersnatch that do nothing here so far; any key may stand in them."""
# Without these, bandersnatch's former names would be taken for a typing error of something else.
RENAMED = {
    "whitelist_project": "allowlist_project",
    "whitelist_release": "allowlist_release",
    "blacklist_project": "blocklist_project",
    "blacklist_release": "blocklist_release",
    "whitelist": "allowlist",
    "blacklist": "blocklist",
}
RETIRED = {
    ("mirror", "api-method"): "bandersnatch dropped this key in 8.0",
    ("mirror", "delete-packages"): "bandersnatch dropped this key in 3.0",
}


def closest(text: str, known: Iterable[str]) -> str | None:
    """Return the known name that `text` most resembles, None where nothing is near."""
    plain = {name.casefold().replace("_", "-"): name for name in known}
    matches = difflib.get_close_matches(text.casefold().replace("_", "-"), plain, n=1)
    return plain[matches[0]] if matches else None
