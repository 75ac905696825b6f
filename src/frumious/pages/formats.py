"""Media types and versions of the Simple API: which reader an answer needs, and whether we may read it."""

from __future__ import annotations

import re
from typing import Final, Literal

from frumious.errors import BadPage, UnsupportedVersion

JSON_TYPE: Final = "application/vnd.pypi.simple.v1+json"
HTML_TYPE: Final = "application/vnd.pypi.simple.v1+html"
TEXT_HTML: Final = "text/html"

ACCEPT: Final = f"{JSON_TYPE}, {HTML_TYPE};q=0.2, {TEXT_HTML};q=0.01"
"""What we ask upstream for: JSON says more than HTML ever will (PEP 833)."""

API_VERSION: Final = "1.4"
"""What our pages declare, and the newest version whose keys we know."""
LEGACY_API_VERSION: Final = "1.0"
"""What a page is that declares nothing (PEP 629), and a JSON page of ours that lacks sizes (PEP 700 wants them all)."""

_MAJOR, _MINOR = (int(number) for number in API_VERSION.split("."))
_VERSION = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})\Z")
_FORMS: Final[dict[str, Literal["json", "html"]]] = {
    JSON_TYPE: "json",
    "application/json": "json",  # what simple file servers make of an index.json
    HTML_TYPE: "html",
    TEXT_HTML: "html",
}


def form_of(content_type: str | None) -> Literal["json", "html"] | None:
    """Return the form of a page by its Content-Type, None for one that we cannot use."""
    if content_type is None:
        return None
    return _FORMS.get(content_type.partition(";")[0].strip().lower())


def check_api_version(version: str, url: str) -> bool:
    """Say whether a page's version is newer than ours, so that the caller can warn (PEP 629).

    Raises UnsupportedVersion for another major version, BadPage for what is no version.
    """
    found = _VERSION.match(version)
    if found is None:
        raise BadPage(url, f"api-version {version[:20]!r} is not a version")
    major, minor = int(found[1]), int(found[2])
    if major != _MAJOR:
        raise UnsupportedVersion(url, version)
    return minor > _MINOR
