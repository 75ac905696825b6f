"""The statements about what has left: trash, pages as they were, pins, names kept out. `sqlite` runs them."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import apsw

from frumious.catalog.base import PastRevision, Pin, Released, Revision, Trashed
from frumious.model.layout import SIDECARS
from frumious.model.names import NormalizedName


def _pinned(table: str, project: str) -> str:
    """Return the condition that the file at `key`, or the one it describes, is pinned."""
    places = ["'/' || pin.filename", *(f"'/' || pin.filename || '{suffix}'" for suffix in SIDECARS)]
    named = " OR ".join(f"substr({table}.key, -length({place})) = {place}" for place in places)
    return (
        f"EXISTS (SELECT 1 FROM pin WHERE pin.project = {table}.{project} AND pin.lifted_at IS NULL"
        f" AND ({named}))"
    )


TRASH_PINNED = _pinned("trash", "project")
OBJECT_PINNED = _pinned("object", "released_by")
TRASH = f"place, key, sha256, size, project, reason, at, released_at, {TRASH_PINNED}"
RELEASED = f"key, sha256, size, reason, released_by, released_at, {OBJECT_PINNED}"
_IS_BACK = "EXISTS (SELECT 1 FROM object o WHERE o.key = trash.key AND o.sha256 = trash.sha256 AND o.released_at IS NULL)"
TRASH_WANTED = f"({TRASH_PINNED} AND NOT {_IS_BACK})"
"""Bytes of a pinned file that are not in place, as in quarantine."""


def trashed(row: Sequence[Any]) -> Trashed:
    """Read a row of `TRASH`."""
    place, key, sha256, size, project, reason, at, released_at, is_pinned = row
    return Trashed(
        place, key, sha256.hex(), size, project or None, reason, at, released_at, is_pinned=bool(is_pinned)
    )


def released(row: Sequence[Any]) -> Released:
    """Read a row of `RELEASED`."""
    key, sha256, size, reason, project, at, is_pinned = row
    return Released(key, sha256.hex(), size, reason, project, at, is_pinned=bool(is_pinned))


# ------------------------------------------------------------------------------------------------------- trash


def put_trash(db: apsw.Connection, entry: Trashed) -> None:
    db.execute(
        "INSERT OR REPLACE INTO trash (place, key, sha256, size, project, reason, at, released_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            entry.place, entry.key, bytes.fromhex(entry.sha256), entry.size, entry.project or "", entry.reason,
            entry.at, entry.released_at,
        ),
    )  # fmt: skip


def trashed_files(
    db: apsw.Connection, after: Trashed | None, limit: int, project: NormalizedName | None
) -> list[Trashed]:
    behind = (after.project or "", after.key, after.place) if after is not None else ("", "", "")
    only = " AND project = ?4" if project is not None else ""
    sql = (
        f"SELECT {TRASH} FROM trash WHERE (project, key, place) > (?1, ?2, ?3){only} AND NOT {_IS_BACK}"
        " ORDER BY project, key, place LIMIT ?5"
    )
    return [trashed(row) for row in db.execute(sql, (*behind, project, limit))]


def trashed_as(db: apsw.Connection, filename: str) -> list[Trashed]:
    sql = (
        f"SELECT {TRASH} FROM trash WHERE substr(key, -length(?1) - 1) = '/' || ?1 AND NOT {_IS_BACK}"
        " ORDER BY at, id"
    )
    return [trashed(row) for row in db.execute(sql, (filename,))]


# ------------------------------------------------------------------------------------------- pages as they were


def keep_past(db: apsw.Connection, name: str, at: int) -> None:
    """Keep the page that is about to be replaced or forgotten, if anything of it was released just now."""
    db.execute(
        "INSERT OR IGNORE INTO past_revision"
        " SELECT p.name, ?2, p.display, r.form, r.url, r.body FROM project p JOIN revision r ON r.project = p.id"
        " WHERE p.name = ?1 AND EXISTS (SELECT 1 FROM object WHERE released_by = ?1 AND released_at = ?2)",
        (name, at),
    )


def past_revisions(db: apsw.Connection, name: NormalizedName) -> list[PastRevision]:
    sql = "SELECT at, display, form, url, body FROM past_revision WHERE project = ? ORDER BY at DESC"
    return [
        PastRevision(at, display, Revision(form, url, zlib.decompress(body)))
        for at, display, form, url, body in db.execute(sql, (name,))
    ]


def forget_past(db: apsw.Connection) -> None:
    """Forget the words of what cannot be had back any more; there are few of either."""
    db.execute(
        "DELETE FROM past_revision WHERE"
        " NOT EXISTS (SELECT 1 FROM trash t WHERE t.project = past_revision.project"
        " AND t.released_at = past_revision.at)"
        " AND NOT EXISTS (SELECT 1 FROM object o WHERE o.released_by = past_revision.project"
        " AND o.released_at = past_revision.at)"
    )
    db.execute(
        "DELETE FROM pin WHERE lifted_at IS NOT NULL"
        " AND NOT EXISTS (SELECT 1 FROM project p JOIN file f ON f.project = p.id"
        " WHERE p.name = pin.project AND f.filename = pin.filename)"
        " AND NOT EXISTS (SELECT 1 FROM trash t WHERE t.project = pin.project)"
        " AND NOT EXISTS (SELECT 1 FROM object o WHERE o.released_by = pin.project)"
    )


# -------------------------------------------------------------------------------------------------------- pins


def pin(db: apsw.Connection, pins: Sequence[Pin], displays: Mapping[NormalizedName, str]) -> None:
    for one in pins:
        db.execute(
            "INSERT OR REPLACE INTO pin VALUES (?, ?, ?, ?, NULL)",
            (one.project, one.filename, one.entry, one.at),
        )
    for name, at in {one.project: one.at for one in pins}.items():
        db.execute(
            "INSERT INTO project (name, display, due_at) VALUES (?1, ?2, ?3)"
            " ON CONFLICT (name) DO UPDATE SET etag = NULL, body_digest = NULL, due_at = ?3",
            (name, displays.get(name, name), at),
        )


def unpin(db: apsw.Connection, name: str, filenames: Sequence[str] | None, at: int) -> int:
    sql = "UPDATE pin SET lifted_at = ? WHERE project = ? AND lifted_at IS NULL"
    if filenames is None:
        db.execute(sql, (at, name))
        count = db.changes()
    else:
        count = 0
        for filename in filenames:
            db.execute(f"{sql} AND filename = ?", (at, name, filename))
            count += db.changes()
    if count:
        db.execute(
            "UPDATE project SET etag = NULL, body_digest = NULL, due_at = ? WHERE name = ?", (at, name)
        )
    return count


def keep_out(db: apsw.Connection, names: Sequence[str], at: int) -> None:
    db.executemany("INSERT OR IGNORE INTO kept_out VALUES (?, ?)", [(name, at) for name in names])


def pins(db: apsw.Connection, name: NormalizedName, *, lifted: bool) -> list[Pin]:
    which = "" if lifted else " AND lifted_at IS NULL"
    sql = (
        "SELECT filename, entry, at, lifted_at IS NOT NULL FROM pin"
        f" WHERE project = ?{which} ORDER BY filename"
    )
    return [
        Pin(name, filename, entry, at, is_lifted=bool(is_lifted))
        for filename, entry, at, is_lifted in db.execute(sql, (name,))
    ]


def look_at_pinned(db: apsw.Connection, name: str, at: int) -> None:
    """Have a project with pins looked at, since its page was changed by somebody else or is gone."""
    db.execute(
        "UPDATE project SET due_at = ?2 WHERE name = ?1"
        " AND EXISTS (SELECT 1 FROM pin WHERE project = ?1 AND lifted_at IS NULL)",
        (name, at),
    )
