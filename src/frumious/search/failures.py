"""What the engine and the system say when something fails, in our words."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from frumious.errors import FrumiousError, NoSpace, NotWritable, SearchIndexBroken, StorageError

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_DENIED: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_SHORT: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EIO})
"""Says something of this machine, and nothing of the index."""
_SYSTEM: Final = re.compile(r"\bOs \{ code: (\d+)")
_LITTLE: Final = 64 << 20
"""Bytes; with less on the disk the engine's writer has ended because of that, which it does not tell."""
_LONGEST_REASON: Final = 200


@contextmanager
def told(directory: Path, verb: str) -> Iterator[None]:
    """Raise NoSpace, NotWritable, StorageError or SearchIndexBroken for whatever goes wrong in the block.

    The engine raises ValueError with a text for everything, and where it finds what it did not think of, Rust's panic,
    which is no Exception and has no name to import. `verb` is what was to be done, `read` or `write`.
    """
    try:
        yield
    except FrumiousError:
        raise
    except OSError as error:
        raise _failure(directory, verb, error.errno, str(error)) from error
    except (ValueError, RuntimeError) as error:
        said = _SYSTEM.search(str(error))
        raise _failure(directory, verb, int(said[1]) if said else None, str(error)) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise _failure(directory, verb, None, str(error)) from error


def _failure(directory: Path, verb: str, number: int | None, reason: str) -> FrumiousError:
    reason = reason.partition("\n")[0][:_LONGEST_REASON]
    if number in _FULL or (number is None and verb == "write" and _free(directory) < _LITTLE):
        return NoSpace(
            f"no space left for the search index in {directory}",
            hint="free some space; the index is as it was, and the mirror does not depend on it",
        )
    if number is not None and number in _DENIED:
        return NotWritable(
            f"cannot {verb} the search index in {directory} ({os.strerror(number)})",
            hint=f"check owner, mode and mount of {directory}",
        )
    if number is not None and number in _SHORT:
        return StorageError(f"cannot {verb} the search index in {directory} ({os.strerror(number)})")
    return SearchIndexBroken(str(directory), f"cannot {verb} the search index ({reason})")


def _free(directory: Path) -> int:
    try:
        return shutil.disk_usage(directory).free
    except OSError:
        return _LITTLE
