"""One line a request, in the combined format with the seconds at its end; written whole, so that workers may share a file."""

from __future__ import annotations

import os
import re
import time
from functools import lru_cache
from pathlib import Path

from frumious.server.http import Request, Response

_MODE = 0o640


class AccessLog:
    """Writes requests to a file; what a client says of itself cannot end a line or begin another."""

    def __init__(self, path: Path | None) -> None:
        """Raises OSError where the file cannot be written; None: standard error."""
        self._descriptor = (
            2 if path is None else os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _MODE)
        )

    def close(self) -> None:
        """Close the file."""
        if self._descriptor != 2:
            os.close(self._descriptor)

    def observe(self, request: Request, response: Response, seconds: float) -> None:
        """Write one line. A disk that is full costs the line, not the answer."""
        # What follows a question mark says little here, and may be somebody's secret.
        target = f"{_plain(request.path)}{'?...' if request.query else ''}"
        headers = request.headers
        length = response.length if request.method != "HEAD" else 0
        line = (
            f'{_plain(request.client)} - - [{_now(int(time.time()))}] "{_plain(request.method)} {target}" '
            f'{response.status} {length} "{_plain(_without_secrets(headers("referer")))}" "{_plain(headers("user-agent"))}" {seconds:.6f}\n'
        )
        try:
            os.write(self._descriptor, line.encode())
        except OSError:
            return


def _without_secrets(referer: str | None) -> str | None:
    """Return an address without user, password and query."""
    return None if referer is None else re.sub(r"//[^/@?#]*@", "//", referer.partition("?")[0])


@lru_cache(maxsize=4)
def _now(seconds: int) -> str:
    return time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(seconds))


def _plain(said: str | None) -> str:
    """Return text that is printable ASCII without quotation marks, cut where it gets long."""
    if not said:
        return "-"
    escaped = said[:2000].encode("unicode_escape").decode("ascii")
    return escaped.replace('"', "\\x22")
