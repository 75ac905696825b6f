"""The statements behind feeds, the XML-RPC interface and the search for names. `sqlite` runs them.

A reader is told of a change when the project list that shows it is out: serials above the list's head belong to a run
that is still on, and publishes pages in any order (design.md §5).
"""

from __future__ import annotations

from collections.abc import Sequence

import apsw

from frumious.catalog.base import Change
from frumious.model.names import NormalizedName

_CHANGE = (
    "SELECT j.name, coalesce(p.display, j.name), j.action, j.serial, j.at"
    " FROM journal j LEFT JOIN project p ON p.name = j.name"
)


def changes(db: apsw.Connection, after: int, head: int, limit: int) -> list[Change]:
    last = db.execute(
        "SELECT serial FROM journal WHERE serial > ? AND serial <= ? ORDER BY serial LIMIT 1 OFFSET ?",
        (after, head, limit - 1),
    ).fetchone()
    # All of one serial or none: whoever asks on from there would never be told of the rest.
    rows = db.execute(
        f"{_CHANGE} WHERE j.serial > ? AND j.serial <= ? ORDER BY j.serial, j.id",
        (after, head if last is None else last[0]),
    )
    return [Change(*row) for row in rows]


def newest_changes(db: apsw.Connection, limit: int) -> list[Change]:
    rows = db.execute(
        f"{_CHANGE} WHERE j.id IN (SELECT max(id) FROM (SELECT id, name FROM journal WHERE action = 'publish'"
        " ORDER BY id DESC LIMIT ?) GROUP BY name) AND p.published IS NOT NULL ORDER BY j.id DESC LIMIT ?",
        (limit * 10, limit),
    )
    return [Change(*row) for row in rows]


def newest_projects(db: apsw.Connection, limit: int) -> list[NormalizedName]:
    rows = db.execute(
        "SELECT name FROM project WHERE published IS NOT NULL ORDER BY id DESC LIMIT ?", (limit,)
    )
    return [NormalizedName(name) for (name,) in rows]


def names_with(db: apsw.Connection, parts: Sequence[str], limit: int) -> list[NormalizedName]:
    wanted = " AND ".join("instr(name, ?)" for _ in parts)
    rows = db.execute(
        f"SELECT name FROM project WHERE published IS NOT NULL AND listed AND {wanted}"
        " ORDER BY length(name), name LIMIT ?",
        (*parts, limit),
    )
    return [NormalizedName(name) for (name,) in rows]


def largest(db: apsw.Connection, limit: int) -> list[tuple[str, int]]:
    rows = db.execute(
        "SELECT p.display, sum(o.size) AS bytes FROM file f JOIN object o ON o.id = f.object"
        " JOIN project p ON p.id = f.project WHERE p.published IS NOT NULL"
        " GROUP BY f.project ORDER BY bytes DESC, p.name LIMIT ?",
        (limit,),
    )
    return [(str(name), int(size)) for name, size in rows]
