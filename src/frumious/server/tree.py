"""`web/` as the server reads it: regular files of the tree and nothing else, never a change.

Paths come from requests. A segment that could climb or hide is refused before the file system sees it, and what a
symbolic link leads to must lie in the tree, or below a link that the operator has put directly into `web/` (a
`packages` on another disk).
"""

from __future__ import annotations

import errno
import logging
import os
import re
import stat
from pathlib import Path
from typing import NamedTuple

log = logging.getLogger("frumious.server")

_MOST_KNOWN = 16384
# Segments that are one name each, as `model.layout` lets them into the tree, and not hidden: nothing that climbs.
_VISIBLE = re.compile(r"(?:/[^/.\\\x00-\x1f\x7f-\x9f][^/\\\x00-\x1f\x7f-\x9f]*)+\Z")
_NOTHING = {errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.ENOENT}


class Found(NamedTuple):
    """A regular file of the tree."""

    path: str
    stat: os.stat_result

    @property
    def etag(self) -> str:
        """A strong validator: another one after every replacement, the same in every worker."""
        return f'"{self.stat.st_mtime_ns:x}-{self.stat.st_size:x}"'


class Tree:
    """Read-only access to `web/`."""

    def __init__(self, web: Path) -> None:
        self._web = str(web)
        self._inside: dict[str, tuple[int, int]] = {}
        """Files whose links have been followed, by path: they need no second look while they are the same file."""

    @property
    def web(self) -> str:
        """The directory."""
        return self._web

    def named(self, path: str) -> Found:
        """Return a file by the path of a request, which begins with a slash; raises FileNotFoundError, OSError."""
        if not _VISIBLE.match(path):
            raise FileNotFoundError
        return self.at(path[1:])

    def at(self, relative: str) -> Found:
        """Return a file by a path below `web/` that is known to be safe; raises FileNotFoundError, OSError."""
        path = f"{self._web}/{relative}"
        try:
            found = os.stat(path)
        except OSError as error:
            if error.errno in _NOTHING:
                raise FileNotFoundError from None
            raise
        except ValueError:  # text that no file system can hold
            raise FileNotFoundError from None
        if not stat.S_ISREG(found.st_mode):
            raise FileNotFoundError(path)
        identity = (found.st_dev, found.st_ino)
        if self._inside.get(path) != identity:
            self._follow(path)
            if len(self._inside) >= _MOST_KNOWN:
                self._inside.clear()
            self._inside[path] = identity
        return Found(path, found)

    def _follow(self, path: str) -> None:
        real = os.path.realpath(path)
        if not any(real.startswith(f"{root}/") for root in self._roots()):
            log.warning("not served, since it leads out of the mirror: %s -> %s", path, real)
            raise FileNotFoundError(path)

    def _roots(self) -> list[str]:
        real = os.path.realpath(self._web)
        with os.scandir(real) as entries:
            links = [
                os.path.realpath(entry.path) for entry in entries if entry.is_symlink() and entry.is_dir()
            ]
        return [real, *links]
