"""The statements behind `status`: sums, the runs, what waits. `sqlite` runs them.

Each is answered from a sum or an index, so that it takes milliseconds whatever the mirror holds.
"""

from __future__ import annotations

import json
from typing import Any

import apsw

from frumious.catalog.base import Backlog, LastRuns, Running, RunRecord

_RUN = "SELECT command, started, finished, exit_code, summary FROM run"
_THROUGH = "command = 'mirror' AND exit_code IN (0, 3, 5) AND json_extract(summary, '$.stopped') IS NULL"
_WHOLE = "command = 'mirror' AND exit_code = 0"


def counts(db: apsw.Connection) -> dict[str, int]:
    projects, files, size = _row(db, "SELECT projects, files, bytes FROM total")
    (owed,) = _row(db, "SELECT count(*) FROM project WHERE attempts > 0")
    return {"projects": projects, "files": files, "bytes": size, "owed": owed}


def run_began(db: apsw.Connection, command: str, started: int) -> None:
    said = {"command": command, "started": started, "journal": _journal(db)}
    db.execute("INSERT OR REPLACE INTO meta VALUES ('running', ?)", (json.dumps(said),))


def run_ended(db: apsw.Connection, run: RunRecord) -> None:
    db.execute(
        "INSERT INTO run (command, started, finished, exit_code, summary) VALUES (?, ?, ?, ?, ?)",
        (run.command, run.started, run.finished, run.exit_code, run.summary),
    )
    db.execute("DELETE FROM meta WHERE key = 'running'")


def run_broke_off(db: apsw.Connection, exit_code: int, reason: str, at: int) -> None:
    run = _running(db)
    if run is not None:
        summary = json.dumps({"stopped": reason})
        run_ended(db, RunRecord(run.command, run.started, at, exit_code, summary))


def last_runs(db: apsw.Connection) -> LastRuns:
    return LastRuns(_last(db, "true"), _last(db, _THROUGH), _last(db, _WHOLE), _running(db))


def backlog(db: apsw.Connection, now: int) -> Backlog:
    owed, retries, owed_due = _row(
        db,
        "SELECT count(*), coalesce(sum(retry_at <= ?1), 0), coalesce(sum(due_at <= ?1), 0)"
        " FROM project WHERE attempts > 0",
        now,
    )
    (due,) = _row(db, "SELECT count(*) FROM project INDEXED BY project_due WHERE due_at <= ?", now)
    waiting, first = _row(
        db, "SELECT count(*), min(until) FROM project INDEXED BY project_until WHERE until > ?", now
    )
    (unsettled,) = _row(db, "SELECT count(*) FROM unsettled")
    (leaving,) = _row(db, "SELECT count(*) FROM project WHERE leaving IS NOT NULL")
    released = _row(
        db,
        "SELECT count(*), coalesce(sum(size), 0) FROM object INDEXED BY object_released"
        " WHERE released_at IS NOT NULL",
    )
    trash = _row(
        db, "SELECT count(*), coalesce(sum(size), 0), min(at), max(at) FROM trash INDEXED BY trash_at"
    )
    return Backlog(
        owed, retries, due - owed_due, waiting, first, unsettled, leaving, *released, *trash,
    )  # fmt: skip


def _last(db: apsw.Connection, which: str) -> RunRecord | None:
    row = db.execute(f"{_RUN} WHERE {which} ORDER BY id DESC LIMIT 1").fetchone()
    return row and RunRecord(*row)


def _running(db: apsw.Connection) -> Running | None:
    row = db.execute("SELECT value FROM meta WHERE key = 'running'").fetchone()
    if row is None:
        return None
    said = json.loads(row[0])
    return Running(said["command"], said["started"], _journal(db) - said["journal"])


def _journal(db: apsw.Connection) -> int:
    (last,) = _row(db, "SELECT coalesce(max(id), 0) FROM journal")
    return int(last)


def _row(db: apsw.Connection, sql: str, *values: int) -> tuple[Any, ...]:
    """Return the only row of a statement that always has one."""
    (row,) = db.execute(sql, values).fetchall()
    return tuple(row)
