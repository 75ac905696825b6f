"""Earlier pages of a project, kept beside the one that is out (bandersnatch's `keep_index_versions`).

The page itself is then another name for the newest of them, `versions/index_SERIAL_TIMEZ.EXTENSION`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from frumious.storage.base import Storage

FOLDER = "versions/"
_NAME = re.compile(r"index_(\d+)_([^/_]+)Z\.(html|v1_html|v1_json)\Z")


def folder_of(page_key: str) -> str:
    """Return where the earlier pages of a project lie, by the key of one of its pages."""
    return f"{page_key.rpartition('/')[0]}/{FOLDER}"


def version_key(page_key: str, serial: int, now: float) -> str:
    """Return the key under which a page is kept."""
    extension = page_key.rpartition("/index.")[2]
    instant = f"{datetime.fromtimestamp(now, UTC):%Y-%m-%dT%H%M%S.%f}"
    return f"{folder_of(page_key)}index_{serial}_{instant}Z.{extension}"


def kept_pages(keys: Iterable[str]) -> list[str]:
    """Return the keys of earlier pages.

    With `hash-index` the folder of those of a project `v` would be that of the pages of a project `versions`.
    """
    return [key for key in keys if _NAME.search(key.rpartition("/")[2])]


def surplus(keys: Iterable[str], keep: int) -> list[str]:
    """Return the keys of the oldest pages beyond `keep` of each extension; what is no page of ours is left alone."""
    pages: dict[str, list[tuple[str, int, str]]] = {}
    for key in keys:
        found = _NAME.search(key.rpartition("/")[2])
        if found is not None:
            pages.setdefault(found[3], []).append((found[2], int(found[1]), key))
    return [key for kind in pages.values() for _, _, key in sorted(kind)[: -keep or len(kind)]]


async def keep_only(storage: Storage, page_keys: Sequence[str], keep: int) -> None:
    """Delete the oldest pages of projects, so that `keep` of each extension remain."""
    for folder in dict.fromkeys(folder_of(key) for key in page_keys):
        await storage.delete(surplus([stat.key async for stat in storage.list(folder)], keep))
