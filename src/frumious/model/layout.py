"""The only place that builds paths: keys of the tree on disk, and links between pages and files.

A key is a path relative to the mirror's directory, with `/` between segments (`web/simple/six/index.html`).
Nothing from upstream becomes a key without passing `normalize` or `file_key` (design.md §6.8).
"""

from __future__ import annotations

import re
from enum import Enum
from urllib.parse import quote, unquote_to_bytes, urlsplit

from frumious.model.names import NormalizedName

WEB = "web/"
SIMPLE = "web/simple/"
PACKAGES = "web/packages/"
STATUS = "status"
TODO = "todo"
GENERATION = "generation"
LAST_MODIFIED = "web/last-modified"
LOCAL_JSON = "web/local.json"
"""Every listed project with its serial, for mirrors of this mirror (shadowmire's)."""
LOCAL_SERIAL = "web/local.db.serial"
LOCAL_STATS = "web/local-stats/days/"

MAX_SEGMENT_BYTES = 255
METADATA_SUFFIX = ".metadata"
PROVENANCE_SUFFIX = ".provenance"
SIDECARS = (METADATA_SUFFIX, PROVENANCE_SUFFIX)
"""Ends of the names of what lies beside a distribution file and comes and goes with it."""
# As packaging indexes write them: `+` and `!` stay literal, spaces and the rest are encoded (conformance §13.7). So is
# the semicolon: Python's urljoin drops one at the end.
_SAFE = "/+!~@=:,()$&'*"
# Path separators, and the control characters (C0, DEL, C1) that no HTML page can show.
_UNSAFE = re.compile(r"[\x00-\x1f/\\\x7f-\x9f]")


class PageKind(Enum):
    """The three names under which a page is stored; the value is the file name."""

    HTML = "index.html"
    V1_HTML = "index.v1_html"
    V1_JSON = "index.v1_json"


def root_page_key(kind: PageKind) -> str:
    """Return the key of the project list in one form."""
    return f"{SIMPLE}{kind.value}"


def page_key(name: NormalizedName, kind: PageKind, *, hash_index: bool = False) -> str:
    """Return the key of a project's page in one form; `hash_index` adds bandersnatch's first-letter directory."""
    shard = f"{name[0]}/" if hash_index else ""
    return f"{SIMPLE}{shard}{name}/{kind.value}"


def legacy_json_keys(name: NormalizedName) -> tuple[str, str]:
    """Return the two keys of a project's legacy JSON document: `json/<n>` and `pypi/<n>/json`."""
    return f"{WEB}json/{name}", f"{WEB}pypi/{name}/json"


def is_safe_filename(filename: str) -> bool:
    """Say whether a distribution file name can be one segment of a path.

    PyPI itself refuses ASCII control characters, `/` and the backslash; we also refuse what a file system cannot hold
    and what a page cannot say.
    """
    if filename in {"", ".", ".."} or _UNSAFE.search(filename):
        return False
    if filename.isascii():
        return len(filename) <= MAX_SEGMENT_BYTES
    try:
        return len(filename.encode()) <= MAX_SEGMENT_BYTES
    except UnicodeEncodeError:  # a lone surrogate
        return False


def file_key(url: str, filename: str) -> str | None:
    """Return the key that upstream's URL path gives, or None where that path cannot be ours.

    The path is decoded once and taken over when it lies under `/packages/`, has only plain segments and ends in
    `filename`; otherwise the caller stores by content (`content_key`).
    """
    try:
        path = unquote_to_bytes(urlsplit(url).path).decode()
    except (UnicodeDecodeError, UnicodeEncodeError, ValueError):
        return None
    if not path.startswith("/packages/"):
        return None
    segments = path.split("/")[2:]
    if len(segments) > 16 or segments[-1] != filename or not all(map(is_safe_filename, segments)):
        return None
    return PACKAGES + "/".join(segments)


def content_key(blake2b_256: str, filename: str) -> str:
    """Return the key of a file by its BLAKE2b-256 digest (64 hex), split as PyPI splits it: 2, 2, 60."""
    return f"{PACKAGES}{blake2b_256[:2]}/{blake2b_256[2:4]}/{blake2b_256[4:]}/{filename}"


def metadata_key(key: str) -> str | None:
    """Return the key of a file's core metadata (PEP 658), or None where that name would be too long to store."""
    return _beside(key, METADATA_SUFFIX)


def provenance_key(key: str) -> str | None:
    """Return the key of a file's provenance document (PEP 740), or None as for `metadata_key`."""
    return _beside(key, PROVENANCE_SUFFIX)


def _beside(key: str, suffix: str) -> str | None:
    is_too_long = len(key.rpartition("/")[2].encode()) + len(suffix) > MAX_SEGMENT_BYTES
    return None if is_too_long else key + suffix


def href(key: str, *, root: str = "../..") -> str:
    """Return the link from a project page to a stored file: percent-encoded, relative to `simple/<name>/`.

    `root` replaces the two dots up (bandersnatch's `root_uri`).
    """
    return f"{root}/{quote(key.removeprefix(WEB), safe=_SAFE)}"
