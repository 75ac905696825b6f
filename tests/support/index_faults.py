"""What can go wrong with a simulated index, as values; the in-process face and the served one read the same.

A fault is an effect with a target. Targets: `list` (GET of the project list), `serial` (HEAD of it), `page:<name>`,
`legacy:<name>`, `file:<filename>`, `mirror:<filename>` (the download mirror of the in-process face),
`provenance:<filename>`; shell patterns are allowed (`page:*`). Core metadata is `file:<filename>.metadata`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from support.index import Snapshot


@dataclass(frozen=True)
class Status:
    """An HTTP status instead of an answer: `Status(404)`, `Status(429, retry_after=2)`."""

    code: int
    retry_after: int | None = None


@dataclass(frozen=True)
class Reset:
    """The connection breaks before an answer."""


@dataclass(frozen=True)
class Hang:
    """No answer ever comes; the client has to give up."""


@dataclass(frozen=True)
class Stale:
    """The page as it was before the project's last edit (404 if there was none), or as of a snapshot.

    The list can only be stale as of a snapshot.
    """

    as_of: Snapshot | None = None


@dataclass(frozen=True)
class Stuck:
    """The page as it is now under a serial that is `behind` too low (conformance 8.1: stuck serials)."""

    behind: int = 1


@dataclass(frozen=True)
class EmptyList:
    """A project list that names nobody."""


@dataclass(frozen=True)
class ApiVersion:
    """A list or page that says another `api-version`."""

    version: str


@dataclass(frozen=True)
class Garbage:
    """A 200 answer that is something else."""

    body: bytes = b"<html><body>Sign in to the network</body></html>"
    content_type: str = "text/html"


@dataclass(frozen=True)
class Cut:
    """The body breaks off after `at` bytes although more was announced."""

    at: int


@dataclass(frozen=True)
class WrongBytes:
    """A body of the right length with one byte changed."""


@dataclass(frozen=True)
class ShortBytes:
    """A complete answer with the last byte missing, announced as if that were right."""


@dataclass(frozen=True)
class Drip:
    """The body comes in small pieces, with a turn for everybody else between them."""

    piece: int = 64


@dataclass(frozen=True)
class NoRange:
    """`Range` is ignored: the whole file with 200."""


@dataclass(frozen=True)
class OtherRange:
    """206 with a range that begins elsewhere than asked."""

    shift: int = 1


@dataclass(frozen=True)
class Edit:
    """Not a fault of the answer: something happens to the index first, while the client is at work."""

    action: Callable[[], object]


Effect = (
    Status
    | Reset
    | Hang
    | Stale
    | Stuck
    | EmptyList
    | ApiVersion
    | Garbage
    | Cut
    | WrongBytes
    | ShortBytes
    | Drip
    | NoRange
    | OtherRange
    | Edit
)


@dataclass
class _Planned:
    target: str
    effect: Effect
    left: int | None
    skip: int


class Faults:
    """The faults still to come, oldest first; each request takes the first that fits it."""

    def __init__(self) -> None:
        self._planned: list[_Planned] = []

    def add(self, target: str, effect: Effect, *, times: int | None = 1, after: int = 0) -> None:
        """Plan an effect for the next `times` requests of a target (None: for ever), not counting the first `after`."""
        self._planned.append(_Planned(target, effect, times, after))

    def clear(self) -> None:
        """Forget all: upstream is well again."""
        self._planned.clear()

    def take(self, target: str) -> Effect | None:
        """Return what happens to this request, None for a good answer."""
        for planned in self._planned:
            if planned.left == 0 or not fnmatchcase(target, planned.target):
                continue
            if planned.skip:
                planned.skip -= 1
                continue
            if planned.left is not None:
                planned.left -= 1
            return planned.effect
        return None
