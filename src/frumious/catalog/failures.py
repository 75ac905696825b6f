"""What goes wrong between the catalog, SQLite and the disk, as errors that say what to do."""

from __future__ import annotations

import os
from pathlib import Path

import apsw

from frumious.errors import CatalogBroken, CatalogError, CatalogLocked

BESIDE = 65536
"""Bytes that SQLite needs for the files beside the catalog before it can change anything."""


def translate(error: apsw.Error, path: Path | None) -> CatalogError:
    """Return an error of SQLite as one of ours; `path` is None for a catalog in memory."""
    where = str(path or "the catalog in memory")
    match error:
        case apsw.CorruptError() | apsw.NotADBError() | apsw.FormatError():
            return broken(path, error)
        case apsw.BusyError() | apsw.LockedError():
            return CatalogLocked(
                f"{where} is locked by another program ({error})", hint="end that program, or wait for it"
            )
        case apsw.ReadOnlyError() | apsw.CantOpenError() | apsw.PermissionsError() | apsw.IOError():
            # Of the files beside the catalog SQLite does not say that the disk is full.
            return no_space(path) if _is_full(path) else cannot_open(path, str(error))
        case apsw.FullError():
            return no_space(path)
        case _:
            return CatalogError(f"{where}: {type(error).__name__}: {error}")


def broken(path: Path | None, error: Exception) -> CatalogBroken:
    """Return the error for a catalog whose bytes are not what was written."""
    return CatalogBroken(
        f"{path or 'the catalog in memory'} is damaged ({error})",
        hint="`frumious catalog rebuild` makes it again from the tree; files that are right are not downloaded twice",
    )


def no_space(path: Path | None) -> CatalogError:
    """Return the error for a full disk."""
    return CatalogError(
        f"no space left to write {path or 'the catalog in memory'}",
        hint="free some space and run again; nothing is lost",
    )


def cannot_open(path: Path | None, reason: str | None) -> CatalogError:
    """Return the error for a catalog that cannot be opened, read or written, with what stands in the way."""
    if path is None:
        return CatalogError(f"cannot open or write the catalog in memory ({reason})")
    hint = f"check owner, mode and disk of {path} and of its directory"
    for part in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        if part.is_symlink() or (part.exists() and not part.is_file()):
            hint = f"{part} is no file: move it away, then run `frumious catalog rebuild`"
    return CatalogError(f"cannot open or write {path} ({reason})", hint=hint)


def _is_full(path: Path | None) -> bool:
    if path is None:
        return False
    disk = os.statvfs(path.parent)
    return disk.f_bavail * disk.f_frsize < BESIDE or (disk.f_files > 0 and disk.f_favail == 0)
