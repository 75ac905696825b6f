"""The catalog in SQLite (WAL), through apsw: one writer thread, one reader thread, no transaction across an await.

apsw carries its own current SQLite, so that features and fixes do not depend on what Python was linked with
(docs/decisions/0001). All SQL of Frumious stands here, in `feed`, `removed`, `standing` and `schema`.
"""

from __future__ import annotations

import asyncio
import zlib
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import apsw

from frumious.catalog import feed, removed, standing
from frumious.catalog.base import (
    DELETED,
    DROPPED,
    OPERATOR,
    Adopted,
    Applied,
    Backlog,
    Batch,
    Change,
    Check,
    Decline,
    Failure,
    Finish,
    HeldFile,
    Holding,
    LastRuns,
    Leave,
    Owed,
    PastRevision,
    Pin,
    ProjectRow,
    Publication,
    Released,
    Revision,
    State,
    Trashed,
)
from frumious.catalog.failures import broken, cannot_open, translate
from frumious.catalog.schema import MIGRATIONS, VERSION
from frumious.errors import CatalogError, CatalogTooNew, CatalogTooOld, PathTaken
from frumious.model.layout import METADATA_SUFFIX, PROVENANCE_SUFFIX
from frumious.model.names import NormalizedName

T = TypeVar("T")

_ROW = (
    "name, display, serial, iif(leaving IS NULL, published, NULL), etag, body_digest, page_digest, page_modified, attempts, wanted, retry_at,"
    " stuck_serial, stuck_since, until, absent_at, declined"
)
_HELD = (
    "f.filename, o.key, o.sha256, o.size, f.source, m.sha256, m.size, o.verified_at, o.digest, v.sha256, v.size"
    " FROM project p JOIN file f ON f.project = p.id JOIN object o ON o.id = f.object"
    " LEFT JOIN object m ON m.id = f.metadata LEFT JOIN object v ON v.id = f.provenance"
)
"""What `_held_file` reads."""
_REFERRED = (
    "(EXISTS (SELECT 1 FROM file f WHERE f.object = object.id)"
    " OR EXISTS (SELECT 1 FROM file f WHERE f.metadata = object.id)"
    " OR EXISTS (SELECT 1 FROM file f WHERE f.provenance = object.id))"
)
"""Whether any page refers to an object."""
_WELL = (
    "attempts = 0, failed_since = NULL, retry_at = 0, wanted = NULL, error_kind = NULL, error = NULL,"
    " stuck_serial = NULL, stuck_since = NULL"
)
"""No failure."""
_UNKNOWN = "etag = NULL, body_digest = NULL, page_digest = NULL"
"""Nothing is known of upstream's page, nor that ours is as we rendered it."""
_BEGUN = {"rendering": "begun", "selection": "selections_begun", "choice": "choices_begun"}
"""Where the settings under which runs have begun are kept."""
_VARIABLES = 500
"""Names per `IN (…)`; below SQLite's oldest limit."""
BUSY_SECONDS = 10.0


async def open_catalog(
    path: Path | None,
    *,
    read_only: bool = False,
    briefly: bool = False,
    busy_seconds: float = BUSY_SECONDS,
) -> SqliteCatalog:
    """Open the catalog, making or migrating it as needed; None means one in memory.

    With `read_only` the file, which must be there, is left as it is; one of an earlier version is refused. With
    `briefly`, too, only a few quick questions may follow. Another program's lock is waited for `busy_seconds`. Raises CatalogTooNew (the file is left untouched), CatalogBroken, CatalogError.
    """
    catalog = SqliteCatalog(
        path, read_only=read_only and path is not None, briefly=briefly, busy_seconds=busy_seconds
    )
    try:
        await catalog.connect()
    except BaseException:
        await catalog.aclose()
        raise
    return catalog


class SqliteCatalog:
    """`frumious.catalog.base.Catalog` over one SQLite file."""

    def __init__(
        self,
        path: Path | None,
        *,
        read_only: bool = False,
        briefly: bool = False,
        busy_seconds: float = BUSY_SECONDS,
    ) -> None:
        self._path, self._read_only, self._briefly = path, read_only, briefly
        self._busy_seconds = busy_seconds
        self._write_thread = ThreadPoolExecutor(1, "catalog-writer")
        # A database in memory has one connection, hence one thread for both.
        self._read_thread = ThreadPoolExecutor(1, "catalog-reader") if path else self._write_thread
        self._writer: apsw.Connection | None = None
        self._reader: apsw.Connection | None = None

    # ------------------------------------------------------------- plumbing

    async def connect(self) -> None:
        """Open both connections; see `open_catalog`."""
        if self._read_only:
            connect = _connect_briefly if self._briefly else _connect_reader
            self._reader = await self._in(self._read_thread, lambda: connect(self._path, self._busy_seconds))
            (version,) = await self._in(
                self._read_thread, lambda: _one(_open(self._reader), "PRAGMA user_version")
            )
            _check_version(int(version), self._path, migrates=False)
            return
        self._writer = await self._in(self._write_thread, lambda: _connect(self._path, self._busy_seconds))
        self._reader = (
            await self._in(self._read_thread, lambda: _connect_reader(self._path, self._busy_seconds))
            if self._path
            else self._writer
        )

    async def aclose(self) -> None:
        """Close connections and threads."""
        for thread, connection in {self._read_thread: self._reader, self._write_thread: self._writer}.items():
            if connection is not None:
                await self._in(thread, connection.close)
            thread.shutdown(wait=False)

    async def _in(self, thread: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        def translated() -> T:
            try:
                return work()
            except apsw.Error as error:
                raise translate(error, self._path) from error
            except zlib.error as error:
                raise broken(self._path, error) from error
            except OSError as error:
                raise cannot_open(self._path, error.strerror) from error

        return await asyncio.get_running_loop().run_in_executor(thread, translated)

    async def _read(self, work: Callable[[apsw.Connection], T]) -> T:
        connection = _open(self._reader)
        return await self._in(self._read_thread, lambda: work(connection))

    async def _write(self, work: Callable[[apsw.Connection], None]) -> None:
        if self._read_only:
            raise ValueError("the catalog was opened for reading")
        connection = _open(self._writer)

        def transaction() -> None:
            with connection:
                work(connection)

        await self._in(self._write_thread, transaction)

    # -------------------------------------------------------------- reading

    async def state(self) -> State:
        def work(db: apsw.Connection) -> State:
            meta = dict(db.execute("SELECT key, value FROM meta"))
            return State(
                head=meta.get("head", 0),
                selection=meta.get("selection"),
                choice=meta.get("choice"),
                selections_begun=tuple(meta.get("selections_begun", "").splitlines()),
                choices_begun=tuple(meta.get("choices_begun", "").splitlines()),
                rendering=meta.get("rendering"),
                begun=tuple(meta.get("begun", "").splitlines()),
                list_etag=meta.get("list_etag"),
                status=meta.get("status"),
                todo=meta.get("todo"),
                writing_status=meta.get("writing_status"),
                writing_todo=meta.get("writing_todo"),
                root_stale=bool(meta.get("root_stale", 1)),
            )

        return await self._read(work)

    async def applied(self) -> Applied | None:
        def work(db: apsw.Connection) -> Applied | None:
            row = db.execute("SELECT names, serials FROM applied").fetchone()
            if row is None:
                return None
            serials = array("q")
            serials.frombytes(row[1])
            return Applied(row[0].decode().split("\n") if serials else (), serials)

        return await self._read(work)

    async def known(self, names: Sequence[NormalizedName]) -> dict[NormalizedName, ProjectRow]:
        def work(db: apsw.Connection) -> dict[NormalizedName, ProjectRow]:
            found: dict[NormalizedName, ProjectRow] = {}
            for i in range(0, len(names), _VARIABLES):
                part = names[i : i + _VARIABLES]
                sql = f"SELECT {_ROW} FROM project WHERE name IN ({_marks(part)})"
                for row in db.execute(sql, tuple(part)):
                    found[row[0]] = ProjectRow(*row)
            return found

        return await self._read(work)

    async def held(
        self, name: NormalizedName, keys: Iterable[str]
    ) -> tuple[dict[str, HeldFile], dict[str, tuple[str, int]]]:
        wanted = tuple(keys)

        def work(db: apsw.Connection) -> tuple[dict[str, HeldFile], dict[str, tuple[str, int]]]:
            sql = f"SELECT {_HELD} WHERE p.name = ? AND o.state = 'held'"
            files = {row[0]: _held_file(row) for row in db.execute(sql, (name,))}
            taken: dict[str, tuple[str, int]] = {}
            own = {f.key for f in files.values()}
            asked = [key for key in wanted if key not in own]
            for i in range(0, len(asked), _VARIABLES):
                part = asked[i : i + _VARIABLES]
                sql = (
                    "SELECT key, sha256, size FROM object WHERE state = 'held'"
                    f" AND key IN ({_marks(part)}) AND {_REFERRED}"
                )
                for key, sha256, size in db.execute(sql, tuple(part)):
                    taken[key] = (sha256.hex(), size)
            return files, taken

        return await self._read(work)

    async def revision(self, name: NormalizedName) -> Revision | None:
        def work(db: apsw.Connection) -> Revision | None:
            row = db.execute(
                "SELECT r.form, r.url, r.body FROM project p JOIN revision r ON r.project = p.id WHERE p.name = ?",
                (name,),
            ).fetchone()
            return row and Revision(row[0], row[1], zlib.decompress(row[2]))

        return await self._read(work)

    async def unsettled(self) -> list[NormalizedName]:
        return await self._read(
            lambda db: [
                row[0]
                for row in db.execute(
                    "SELECT p.name FROM unsettled u JOIN project p ON p.id = u.project ORDER BY p.name"
                )
            ]
        )

    async def due(self, now: int, limit: int) -> list[ProjectRow]:
        def work(db: apsw.Connection) -> list[ProjectRow]:
            owed = f"SELECT {_ROW} FROM project WHERE attempts > 0 AND retry_at <= ? ORDER BY name"
            rows = [ProjectRow(*row) for row in db.execute(owed, (now,))]
            again = (
                f"SELECT {_ROW} FROM project INDEXED BY project_due"
                " WHERE due_at <= ? AND attempts = 0 ORDER BY due_at LIMIT ?"
            )
            return rows + [ProjectRow(*row) for row in db.execute(again, (now, limit))]

        return await self._read(work)

    async def owed(self) -> list[Owed]:
        return await self._read(
            lambda db: [
                Owed(*row)
                for row in db.execute(
                    "SELECT name, display, wanted, error_kind, error, attempts, failed_since, retry_at"
                    " FROM project WHERE attempts > 0 ORDER BY name"
                )
            ]
        )

    async def projects(self, after: str, limit: int) -> list[tuple[NormalizedName, str, int]]:
        return await self._read(
            lambda db: list(
                db.execute(
                    "SELECT name, display, published FROM project"
                    " WHERE name > ? AND published IS NOT NULL AND listed ORDER BY name LIMIT ?",
                    (after, limit),
                )
            )
        )

    async def names(self, after: str, limit: int, *, declined: bool = False) -> list[NormalizedName]:
        which = "published IS NOT NULL AND leaving IS NULL"
        if declined:  # what is about to go may be wanted again
            which = "(published IS NOT NULL OR declined IS NOT NULL)"
        return await self._read(
            lambda db: [
                row[0]
                for row in db.execute(
                    f"SELECT name FROM project WHERE name > ? AND {which} ORDER BY name LIMIT ?",
                    (after, limit),
                )
            ]
        )

    async def document(self, name: NormalizedName) -> bytes | None:
        def work(db: apsw.Connection) -> bytes | None:
            row = db.execute(
                "SELECT d.body FROM project p JOIN document d ON d.project = p.id WHERE p.name = ?", (name,)
            ).fetchone()
            return row and zlib.decompress(row[0])

        return await self._read(work)

    async def leaving(self) -> list[NormalizedName]:
        sql = "SELECT name FROM project WHERE leaving IS NOT NULL ORDER BY name"
        return await self._read(lambda db: [row[0] for row in db.execute(sql)])

    async def released(self, now: int, delay: int, limit: int) -> list[Released]:
        sql = (
            f"SELECT {removed.RELEASED} FROM object INDEXED BY object_released"
            " WHERE released_at <= ?1 AND (reason <> 'dropped' OR released_at <= ?1 - ?2)"
            f" AND NOT {_REFERRED} ORDER BY released_at LIMIT ?3"
        )
        return await self._read(
            lambda db: [removed.released(row) for row in db.execute(sql, (now, delay, limit))]
        )

    async def in_trash(self, keys: Sequence[str]) -> dict[str, Trashed]:
        def work(db: apsw.Connection) -> dict[str, Trashed]:
            found: dict[str, Trashed] = {}
            for i in range(0, len(keys), _VARIABLES):
                part = keys[i : i + _VARIABLES]
                sql = f"SELECT {removed.TRASH} FROM trash WHERE key IN ({_marks(part)}) ORDER BY at"
                found |= {row[1]: removed.trashed(row) for row in db.execute(sql, tuple(part))}
            return found

        return await self._read(work)

    async def trash(self, before: int, limit: int) -> list[Trashed]:
        sql = (
            f"SELECT {removed.TRASH} FROM trash WHERE at <= ? AND NOT {removed.TRASH_WANTED}"
            " ORDER BY at, id LIMIT ?"
        )
        return await self._read(lambda db: [removed.trashed(row) for row in db.execute(sql, (before, limit))])

    async def trashed_files(
        self, after: Trashed | None, limit: int, *, project: NormalizedName | None = None
    ) -> list[Trashed]:
        return await self._read(lambda db: removed.trashed_files(db, after, limit, project))

    async def trashed_as(self, filename: str) -> list[Trashed]:
        return await self._read(lambda db: removed.trashed_as(db, filename))

    async def trash_projects(self) -> list[NormalizedName]:
        sql = "SELECT DISTINCT project FROM trash WHERE project <> '' ORDER BY project"
        return await self._read(lambda db: [row[0] for row in db.execute(sql)])

    async def trash_places(self, places: Sequence[str]) -> set[str]:
        def work(db: apsw.Connection) -> set[str]:
            known: set[str] = set()
            for i in range(0, len(places), _VARIABLES):
                part = places[i : i + _VARIABLES]
                sql = f"SELECT place FROM trash WHERE place IN ({_marks(part)})"
                known.update(row[0] for row in db.execute(sql, tuple(part)))
            return known

        return await self._read(work)

    async def released_files(
        self, *, project: NormalizedName | None = None, filename: str | None = None
    ) -> list[Released]:
        which = (
            "(?1 IS NULL OR released_by = ?1) AND (?2 IS NULL OR substr(key, -length(?2) - 1) = '/' || ?2)"
        )
        sql = (
            f"SELECT {removed.RELEASED} FROM object INDEXED BY object_released"
            f" WHERE released_at IS NOT NULL AND {which} AND NOT {_REFERRED} ORDER BY released_at, key"
        )
        return await self._read(
            lambda db: [removed.released(row) for row in db.execute(sql, (project, filename))]
        )

    async def past_revisions(self, name: NormalizedName) -> list[PastRevision]:
        return await self._read(lambda db: removed.past_revisions(db, name))

    async def pins(self, name: NormalizedName, *, lifted: bool = False) -> list[Pin]:
        return await self._read(lambda db: removed.pins(db, name, lifted=lifted))

    async def pinned(self, *, lifted: bool = False) -> list[NormalizedName]:
        which = "" if lifted else " WHERE lifted_at IS NULL"
        sql = f"SELECT DISTINCT project FROM pin{which} ORDER BY project"
        return await self._read(lambda db: [row[0] for row in db.execute(sql)])

    async def kept_out(self) -> dict[NormalizedName, int]:
        return await self._read(lambda db: dict(db.execute("SELECT name, at FROM kept_out ORDER BY name")))

    async def file_counts(self, names: Sequence[NormalizedName]) -> tuple[int, int]:
        def work(db: apsw.Connection) -> tuple[int, int]:
            files = size = 0
            for i in range(0, len(names), _VARIABLES):
                part = names[i : i + _VARIABLES]
                sql = (
                    "SELECT count(*), coalesce(sum(o.size), 0) FROM project p JOIN file f ON f.project = p.id"
                    f" JOIN object o ON o.id = f.object WHERE p.name IN ({_marks(part)})"
                )
                more = _one(db, sql, part)
                files, size = files + more[0], size + more[1]
            return files, size

        return await self._read(work)

    async def plan(self, plan: str) -> str | None:
        def work(db: apsw.Connection) -> str | None:
            row = db.execute("SELECT body FROM removal_plan WHERE id = ?", (plan,)).fetchone()
            return row and row[0]

        return await self._read(work)

    async def highest_published(self) -> int:
        return await self._read(
            lambda db: _one(db, "SELECT max(published) FROM project WHERE published IS NOT NULL")[0] or 0
        )

    async def changes(self, after: int, head: int, limit: int) -> list[Change]:
        return await self._read(lambda db: feed.changes(db, after, head, limit))

    async def newest_changes(self, limit: int) -> list[Change]:
        return await self._read(lambda db: feed.newest_changes(db, limit))

    async def newest_projects(self, limit: int) -> list[NormalizedName]:
        return await self._read(lambda db: feed.newest_projects(db, limit))

    async def names_with(self, parts: Sequence[str], limit: int) -> list[NormalizedName]:
        return await self._read(lambda db: feed.names_with(db, parts, limit))

    async def largest(self, limit: int) -> list[tuple[str, int]]:
        return await self._read(lambda db: feed.largest(db, limit))

    async def counts(self) -> dict[str, int]:
        return await self._read(standing.counts)

    async def holdings(self, names: Sequence[NormalizedName]) -> list[Holding]:
        def work(db: apsw.Connection) -> list[Holding]:
            found: list[Holding] = []
            for i in range(0, len(names), _VARIABLES):
                found += _holdings(db, names[i : i + _VARIABLES])
            return sorted(found, key=lambda holding: holding.row.name)

        return await self._read(work)

    async def unknown_objects(self, keys: Sequence[str]) -> list[str]:
        def work(db: apsw.Connection) -> list[str]:
            known: set[str] = set()
            for i in range(0, len(keys), _VARIABLES):
                part = keys[i : i + _VARIABLES]
                sql = f"SELECT key FROM object WHERE key IN ({_marks(part)})"
                known.update(row[0] for row in db.execute(sql, tuple(part)))
            return [key for key in keys if key not in known]

        return await self._read(work)

    async def damage(self) -> list[str]:
        def work(db: apsw.Connection) -> list[str]:
            return [str(said) for (said,) in db.execute("PRAGMA quick_check(10)") if said != "ok"]

        return await self._read(work)

    async def last_runs(self) -> LastRuns:
        return await self._read(standing.last_runs)

    async def backlog(self, now: int) -> Backlog:
        return await self._read(lambda db: standing.backlog(db, now))

    # -------------------------------------------------------------- writing

    async def doubt(self, names: Sequence[NormalizedName], *, files: bool = True, root: bool = False) -> None:
        def work(db: apsw.Connection) -> None:
            for name in names:
                db.execute("UPDATE project SET etag = NULL, body_digest = NULL WHERE name = ?", (name,))
                for column in ("object", "metadata", "provenance") if files else ():
                    db.execute(
                        f"UPDATE object SET verified_at = 0 WHERE id IN (SELECT f.{column} FROM project p"
                        " JOIN file f ON f.project = p.id WHERE p.name = ?)",
                        (name,),
                    )
            if root:
                _set(db, root_stale=1)

        await self._write(work)

    async def commit_batch(self, batch: Batch) -> None:
        def work(db: apsw.Connection) -> None:
            if batch.settles:
                db.execute("DELETE FROM unsettled")
            for publication in batch.published:
                _publish(db, publication, batch.at)
            for check in batch.checked:
                _check(db, check, batch.at)
            for failure in batch.failed:
                _fail(db, failure, batch.at)
            for decline in batch.declined:
                _decline(db, decline, batch.at)
            if batch.published:
                _set(db, root_stale=1)

        await self._write(work)

    async def begin(self, rendering: str, selection: str | None = None, choice: str | None = None) -> None:
        def work(db: apsw.Connection) -> None:
            begun = {"begun": rendering, "selections_begun": selection, "choices_begun": choice}
            for key, value in begun.items():
                (before,) = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone() or ("",)
                if value is not None and value not in before.splitlines():
                    _set(db, **{key: f"{before}{value}\n"})

        await self._write(work)

    async def found(self, *, status: str | None, todo: str | None) -> None:
        await self._write(lambda db: _set(db, status=status, todo=todo))

    async def settle(self, *, head: int, status: str | None, todo: str | None) -> None:
        def work(db: apsw.Connection) -> None:
            db.execute("DELETE FROM unsettled")
            _set(db, writing_status=status, writing_todo=todo)
            db.execute(
                "INSERT INTO meta VALUES ('head', ?1) ON CONFLICT (key) DO UPDATE SET value = max(value, ?1)",
                (head,),
            )

        await self._write(work)

    async def leave(self, projects: Sequence[Leave], at: int, *, keep_out: bool = False) -> None:
        def work(db: apsw.Connection) -> None:
            for leave in projects:
                if leave.reason == OPERATOR:
                    removed.unpin(db, leave.name, None, at)
                _leave(db, leave, at)
            if keep_out:
                removed.keep_out(db, [leave.name for leave in projects], at)
            _set(db, root_stale=1)

        await self._write(work)

    async def gone(self, names: Sequence[NormalizedName]) -> None:
        def work(db: apsw.Connection) -> None:
            for name in names:
                row = db.execute(
                    "SELECT id, declined FROM project WHERE name = ? AND leaving IS NOT NULL", (name,)
                ).fetchone()
                if row is None:
                    continue
                db.execute("DELETE FROM unsettled WHERE project = ?", (row[0],))
                if row[1] is not None:
                    db.execute(
                        "UPDATE project SET leaving = NULL, published = NULL, page_digest = NULL WHERE id = ?",
                        (row[0],),
                    )
                    continue
                for table in ("revision", "document", "file"):
                    db.execute(f"DELETE FROM {table} WHERE project = ?", (row[0],))
                db.execute("DELETE FROM project WHERE id = ?", (row[0],))

        await self._write(work)

    async def trashed(self, entries: Sequence[Trashed]) -> None:
        def work(db: apsw.Connection) -> None:
            for entry in entries:
                removed.put_trash(db, entry)
            _forget_objects(db, [entry.key for entry in entries])

        await self._write(work)

    async def forget_objects(self, keys: Sequence[str]) -> None:
        await self._write(lambda db: _forget_objects(db, keys))

    async def emptied(self, places: Sequence[str]) -> None:
        def work(db: apsw.Connection) -> None:
            db.executemany("DELETE FROM trash WHERE place = ?", [(place,) for place in places])

        await self._write(work)

    async def pin(self, pins: Sequence[Pin], displays: Mapping[NormalizedName, str]) -> None:
        await self._write(lambda db: removed.pin(db, pins, displays))

    async def unpin(self, name: NormalizedName, filenames: Sequence[str] | None, at: int) -> int:
        counts: list[int] = []
        await self._write(lambda db: counts.append(removed.unpin(db, name, filenames, at)))
        return counts[0]

    async def keep_out(self, names: Sequence[NormalizedName], at: int) -> None:
        await self._write(lambda db: removed.keep_out(db, names, at))

    async def let_in(self, names: Sequence[NormalizedName]) -> list[NormalizedName]:
        let: list[NormalizedName] = []

        def work(db: apsw.Connection) -> None:
            for name in names:
                db.execute("DELETE FROM kept_out WHERE name = ?", (name,))
                if db.changes():
                    let.append(name)

        await self._write(work)
        return let

    async def put_plan(self, plan: str, body: str, at: int) -> None:
        def work(db: apsw.Connection) -> None:
            db.execute("DELETE FROM removal_plan")
            db.execute("INSERT INTO removal_plan VALUES (?, ?, ?)", (plan, at, body))

        await self._write(work)

    async def pull_in(self, now: int, *, retries_by: int, checks_by: int) -> None:
        def work(db: apsw.Connection) -> None:
            db.execute(
                "UPDATE project SET retry_at = ?1 WHERE attempts > 0 AND retry_at > ?2", (now, retries_by)
            )
            db.execute("UPDATE project SET stuck_since = ?1 WHERE attempts > 0 AND stuck_since > ?1", (now,))
            db.execute(
                "UPDATE project SET due_at = ?1 WHERE due_at > ?2 AND checked_at > ?1", (now, checks_by)
            )
            db.execute("UPDATE trash SET at = ?1 WHERE at > ?1", (now,))

        await self._write(work)

    async def forget_failures(self, names: Sequence[NormalizedName]) -> None:
        def work(db: apsw.Connection) -> None:
            db.executemany(
                "UPDATE project SET attempts = 0, failed_since = NULL, retry_at = 0, error_kind = NULL, error = NULL,"
                " wanted = NULL, stuck_serial = NULL, stuck_since = NULL WHERE name = ?",
                [(name,) for name in names],
            )

        await self._write(work)

    async def distrust(self, *, pages: bool = True, files: bool = False) -> None:
        def work(db: apsw.Connection) -> None:
            if pages:
                db.execute("UPDATE project SET etag = NULL, body_digest = NULL, serial = NULL")
            if files:
                db.execute("UPDATE object SET verified_at = 0")
            db.execute("DELETE FROM applied")
            _set(db, list_etag=None, root_stale=1)

        await self._write(work)

    async def finish(self, finish: Finish) -> None:
        def work(db: apsw.Connection) -> None:
            standing.run_ended(db, finish.run)
            _set(db, status=finish.status, todo=finish.todo)
            for key in ("selection", "choice", "rendering"):
                if (value := getattr(finish, key)) is not None:
                    _set(db, **{key: value})
            for key in ("rendering", "selection", "choice"):
                if getattr(finish, key) is not None:
                    _set(db, **{_BEGUN[key]: ""})
            if finish.applied is not None:
                _set(db, list_etag=finish.list_etag)
                db.execute(
                    "INSERT OR REPLACE INTO applied VALUES (0, ?, ?)",
                    ("\n".join(finish.applied.names).encode(), array("q", finish.applied.serials).tobytes()),
                )
            if finish.root_published:
                _set(db, root_stale=0)
            removed.forget_past(db)

        await self._write(work)

    async def run_began(self, command: str, started: int) -> None:
        await self._write(lambda db: standing.run_began(db, command, started))

    async def run_broke_off(self, exit_code: int, reason: str, at: int) -> None:
        await self._write(lambda db: standing.run_broke_off(db, exit_code, reason, at))

    async def adopt(self, projects: Sequence[Adopted], at: int, *, head: int = 0) -> list[NormalizedName]:
        refused: list[NormalizedName] = []

        def work(db: apsw.Connection) -> None:
            refused.extend(p.name for p in projects if not _adopt(db, p, at))
            _forget_list(db, max([head, *(p.published or 0 for p in projects)]))

        await self._write(work)
        return refused

    async def lose_pages(
        self, names: Sequence[NormalizedName], at: int, *, forgets_list: bool = True
    ) -> None:
        def work(db: apsw.Connection) -> None:
            for name in names:
                row = db.execute("SELECT id, published FROM project WHERE name = ?", (name,)).fetchone()
                if row is None or row[1] is None:
                    continue
                db.execute(
                    f"UPDATE project SET serial = NULL, published = NULL, listed = 0, due_at = NULL, until = NULL,"
                    f" leaving = NULL, {_UNKNOWN}, {_WELL} WHERE id = ?",
                    (row[0],),
                )
                _forget_page(db, row[0])
                removed.look_at_pinned(db, name, at)
                _journal_removal(db, name, at)
            if forgets_list:
                _forget_list(db, 0)
            _set(db, root_stale=1)

        await self._write(work)


# ------------------------------------------------------------------ statements


def _holdings(db: apsw.Connection, names: Sequence[str]) -> list[Holding]:
    """Return what the published ones of these projects hold, in no order of the projects."""
    which = f"p.name IN ({_marks(names)}) AND p.published IS NOT NULL AND p.leaving IS NULL"
    rows = {
        row[0]: ProjectRow(*row[1:])
        for row in db.execute(f"SELECT p.id, {_ROW} FROM project p WHERE {which}", tuple(names))
    }
    files: dict[int, list[HeldFile]] = {project: [] for project in rows}
    sql = f"SELECT p.id, {_HELD} WHERE {which} AND o.state = 'held' ORDER BY f.project, f.filename"
    for row in db.execute(sql, tuple(names)):
        files[row[0]].append(_held_file(row[1:]))
    sql = f"SELECT u.project FROM unsettled u JOIN project p ON p.id = u.project WHERE {which}"
    unsettled = {row[0] for row in db.execute(sql, tuple(names))}
    sql = f"SELECT r.project, r.body FROM revision r JOIN project p ON p.id = r.project WHERE {which}"
    unreadable = {row[0] for row in db.execute(sql, tuple(names)) if not _is_readable(row[1])}
    return [
        Holding(row, files[project], project in unsettled, project not in unreadable)
        for project, row in rows.items()
    ]


def _is_readable(compressed: bytes) -> bool:
    try:
        zlib.decompress(compressed)  # which checks a sum of it
    except zlib.error:
        return False
    return True


def _publish(db: apsw.Connection, p: Publication, at: int) -> None:
    well = "" if p.is_owed else f", {_WELL}"
    (project,) = _one(
        db,
        "INSERT INTO project (name, display, serial, published, listed, etag, body_digest, page_digest, page_modified,"
        " checked_at, due_at, until) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
        " ON CONFLICT (name) DO UPDATE SET display = ?2, serial = ?3, published = ?4, listed = ?5, etag = ?6,"
        " body_digest = ?7, page_digest = ?8, page_modified = ?9, checked_at = ?10, due_at = coalesce(?11, due_at),"
        f" until = ?12, leaving = NULL, declined = NULL, absent_at = NULL{well} RETURNING id",
        (
            p.name, p.display, p.serial, p.published, p.listed, p.etag, p.body_digest, p.page_digest, p.page_modified,
            at, p.due_at, p.until,
        ),
    )  # fmt: skip
    db.execute("INSERT OR IGNORE INTO unsettled VALUES (?)", (project,))
    db.execute(
        "INSERT INTO journal (name, action, serial, at) VALUES (?, 'publish', ?, ?)",
        (p.name, p.published, at),
    )
    _release(db, project, p.name, p.release, p.release_reason, at)
    _release(db, project, p.name, p.dropped, DROPPED, at)
    for held in p.hold:
        _put_file(db, project, p.name, held, at)
    if p.release or p.dropped or p.hold:
        removed.keep_past(db, p.name, at)
    _revise(db, project, p.revision, p.document, at)


def _put_file(db: apsw.Connection, project: int, name: str, held: HeldFile, at: int) -> None:
    before = db.execute(
        "SELECT object, metadata, provenance FROM file WHERE project = ? AND filename = ?",
        (project, held.filename),
    ).fetchall()
    if before and before[0][2] is not None:
        # Other words of upstream's about the same file may lie at the same key.
        db.execute(
            "UPDATE file SET provenance = NULL WHERE project = ? AND filename = ?", (project, held.filename)
        )
    verified = at if held.verified else 0
    body = _hold(db, held.key, held.sha256, held.size, verified, held.digest)
    metadata = provenance = None
    if held.metadata is not None:
        metadata = _hold(db, held.key + METADATA_SUFFIX, held.metadata, held.metadata_size, verified)
    if held.provenance is not None:
        provenance = _hold(db, held.key + PROVENANCE_SUFFIX, held.provenance, held.provenance_size, verified)
    db.execute(
        "INSERT OR REPLACE INTO file (project, filename, source, object, metadata, provenance)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (project, held.filename, held.source, body, metadata, provenance),
    )
    _let_go_of(db, name, before, {body, metadata, provenance}, DELETED, at)


def _release(
    db: apsw.Connection, project: int, name: str, filenames: Sequence[str], reason: str, at: int
) -> None:
    """Delete files of a project; what no page refers to any more is released."""
    for filename in filenames:
        rows = db.execute(
            "DELETE FROM file WHERE project = ? AND filename = ? RETURNING object, metadata, provenance",
            (project, filename),
        ).fetchall()
        _let_go_of(db, name, rows, set(), reason, at)


def _let_go_of(
    db: apsw.Connection,
    name: str,
    rows: Sequence[Sequence[Any]],
    keeps: AbstractSet[int | None],
    reason: str,
    at: int,
) -> None:
    """Release the objects of these rows, but for those that the project goes on to refer to."""
    for row in rows:
        _let_go(
            db, name, [int(found) for found in row if found is not None and found not in keeps], reason, at
        )


def _let_go(db: apsw.Connection, name: str, objects: Sequence[int], reason: str, at: int) -> None:
    for found in objects:
        db.execute(
            "UPDATE object SET released_at = ?, reason = ?, released_by = ?"
            f" WHERE id = ? AND NOT {_REFERRED}",
            (at, reason, name, found),
        )


def _revise(db: apsw.Connection, project: int, revision: Revision, document: bytes | None, at: int) -> None:
    db.execute(
        "INSERT OR REPLACE INTO revision VALUES (?, ?, ?, ?, ?)",
        (project, revision.form, revision.url, zlib.compress(revision.body, 1), at),
    )
    if document is not None:
        db.execute("INSERT OR REPLACE INTO document VALUES (?, ?)", (project, zlib.compress(document, 1)))


def _hold(
    db: apsw.Connection, key: str, sha256: str, size: int, verified_at: int, extra: str | None = None
) -> int:
    """Record an object we hold; PathTaken if the key stands for other bytes."""
    digest = bytes.fromhex(sha256)
    sql = f"SELECT id, sha256, {_REFERRED} FROM object WHERE key = ?"
    for found, known, is_referred in db.execute(sql, (key,)):
        if known == digest:
            db.execute(
                "UPDATE object SET size = ?, verified_at = max(verified_at, ?), digest = coalesce(?, digest),"
                " released_at = NULL, reason = NULL, released_by = NULL WHERE id = ?",
                (size, verified_at, extra, found),
            )
            return int(found)
        if is_referred:
            raise PathTaken(f"{key} is already held with other content")
    row = _one(
        db,
        "INSERT INTO object (key, sha256, size, verified_at, digest) VALUES (?1, ?2, ?3, ?4, ?5)"
        " ON CONFLICT (key) DO UPDATE SET sha256 = ?2, size = ?3, verified_at = ?4, digest = ?5, state = 'held',"
        " released_at = NULL, reason = NULL, released_by = NULL RETURNING id",
        (key, digest, size, verified_at, extra),
    )
    return int(row[0])


def _forget_objects(db: apsw.Connection, keys: Sequence[str]) -> None:
    db.executemany(f"DELETE FROM object WHERE key = ? AND NOT {_REFERRED}", [(key,) for key in keys])


def _decline(db: apsw.Connection, d: Decline, at: int) -> None:
    (project,) = _one(
        db,
        "INSERT INTO project (name, display, serial, etag, body_digest, checked_at, due_at, until, declined)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
        " ON CONFLICT (name) DO UPDATE SET display = ?2, serial = ?3, etag = ?4, body_digest = ?5, checked_at = ?6,"
        f" due_at = ?7, until = ?8, declined = ?9, absent_at = NULL, {_WELL} RETURNING id",
        (d.name, d.display, d.serial, d.etag, d.body_digest, at, d.due_at, d.until, d.reason),
    )
    if _leave(db, Leave(d.name, DROPPED), at):
        _set(db, root_stale=1)
    _revise(db, project, d.revision, d.document, at)


def _leave(db: apsw.Connection, leave: Leave, at: int) -> bool:
    """Take a project off the list and the ledger, and release its files; False if it is not published, or leaving."""
    row = db.execute(
        f"UPDATE project SET leaving = ?1, listed = 0, {_WELL} WHERE name = ?2 AND leaving IS NULL"
        " AND (published IS NOT NULL OR ?1 = ?3) RETURNING id, published",
        (leave.reason, leave.name, OPERATOR),
    ).fetchone()
    if row is None:
        return False
    project = int(row[0])
    names = db.execute("SELECT filename FROM file WHERE project = ?", (project,)).fetchall()
    _release(db, project, leave.name, [str(name) for (name,) in names], leave.reason, at)
    removed.keep_past(db, leave.name, at)
    if row[1] is not None:
        _journal_removal(db, leave.name, at)
    return True


def _check(db: apsw.Connection, c: Check, at: int) -> None:
    absent = "coalesce(absent_at, ?4)" if c.is_absent else "NULL"
    db.execute(
        f"UPDATE project SET serial = ?1, etag = ?2, due_at = coalesce(?3, due_at), checked_at = ?4,"
        " body_digest = iif(?8, NULL, coalesce(?7, body_digest)),"
        " until = coalesce(?6, until),"
        f" absent_at = {absent}{'' if c.is_owed else f', {_WELL}'} WHERE name = ?5",
        (c.serial, c.etag, c.due_at, at, c.name, c.until, c.body_digest, c.reread),
    )


def _fail(db: apsw.Connection, f: Failure, at: int) -> None:
    db.execute(
        "INSERT INTO project (name, display, attempts, failed_since, retry_at, wanted, error_kind, error,"
        " stuck_serial, stuck_since) VALUES (?1, ?2, ?9, ?3, ?4, ?5, ?6, ?7, ?8, iif(?8 IS NULL, NULL, ?3))"
        " ON CONFLICT (name) DO UPDATE SET attempts = max(attempts + 1, ?9), failed_since = coalesce(failed_since, ?3),"
        " retry_at = ?4, wanted = ?5, error_kind = ?6, error = ?7,"
        " stuck_since = CASE WHEN ?8 IS NULL THEN NULL WHEN stuck_serial = ?8 THEN stuck_since ELSE ?3 END,"
        " stuck_serial = ?8",
        (f.name, f.display, at, f.retry_at, f.wanted, f.kind, f.message, f.stuck_serial, f.attempts),
    )
    if f.refetch:
        db.execute(
            "UPDATE project SET etag = NULL, body_digest = NULL, page_digest = NULL WHERE name = ?", (f.name,)
        )


def _journal_removal(db: apsw.Connection, name: NormalizedName, at: int) -> None:
    # Above the list that still shows it, so that whoever has followed up to that list is told.
    db.execute(
        "INSERT INTO journal (name, action, serial, at)"
        " VALUES (?, 'remove', coalesce((SELECT value FROM meta WHERE key = 'head'), 0) + 1, ?)",
        (name, at),
    )


def _adopt(db: apsw.Connection, a: Adopted, at: int) -> bool:
    """Record a project as its page says; False if a file of it is held with other content."""
    known = db.execute("SELECT id FROM project WHERE name = ?", (a.name,)).fetchone() is not None
    (project,) = _one(
        db,
        "INSERT INTO project (name, display, serial, published, listed, page_modified, checked_at, due_at)"
        " VALUES (?1, coalesce(?2, ?1), ?3, ?4, ?5, ?6, ?7, ?8)"
        " ON CONFLICT (name) DO UPDATE SET display = coalesce(?2, display), serial = ?3, published = ?4, listed = ?5,"
        " page_modified = ?6, checked_at = ?7, due_at = ?8, until = NULL, declined = NULL, leaving = NULL,"
        f" absent_at = NULL, {_UNKNOWN}, {_WELL} RETURNING id",
        (a.name, a.display, a.serial, a.published, a.listed, a.page_modified, at, a.due_at),
    )
    if known:
        _give_up(db, project, a, at)
        removed.keep_past(db, a.name, at)
        _forget_page(db, project)
        removed.look_at_pinned(db, a.name, at)
    if a.published is not None:
        db.execute(
            "INSERT INTO journal (name, action, serial, at) VALUES (?, 'publish', ?, ?)",
            (a.name, a.published, at),
        )
    refused = [held for held in a.hold if not _adopt_file(db, project, a.name, held, at, known=known)]
    if refused:
        db.execute("UPDATE project SET serial = NULL, due_at = ? WHERE id = ?", (at, project))
    return not refused


def _adopt_file(
    db: apsw.Connection, project: int, name: str, held: HeldFile, at: int, *, known: bool
) -> bool:
    before: list[tuple[Any, ...]] = []
    if known:
        # First: what the project itself refers to does not stand in its way.
        before = db.execute(
            "DELETE FROM file WHERE project = ? AND filename = ? RETURNING object, metadata, provenance",
            (project, held.filename),
        ).fetchall()
    body = _adopt_object(db, held.key, held.sha256, held.size, held.digest)
    metadata = None
    if body is not None:
        if held.metadata is not None:
            metadata = _adopt_object(db, held.key + METADATA_SUFFIX, held.metadata, held.metadata_size, None)
        db.execute(
            "INSERT INTO file (project, filename, source, object, metadata) VALUES (?, ?, ?, ?, ?)",
            (project, held.filename, held.source, body, metadata),
        )
    _let_go_of(db, name, before, {body, metadata}, DELETED, at)
    return body is not None and (metadata is not None or held.metadata is None)


def _adopt_object(db: apsw.Connection, key: str, sha256: str, size: int, extra: str | None) -> int | None:
    """Record an object that nobody has read; None if a page refers to other content there.

    One statement in all cases but the last: there may be 18 million of them.
    """
    row = db.execute(
        "INSERT INTO object (key, sha256, size, verified_at, digest) VALUES (?1, ?2, ?3, 0, ?4)"
        " ON CONFLICT (key) DO UPDATE SET size = ?3, digest = coalesce(?4, digest),"
        " verified_at = iif(size = ?3, verified_at, 0), state = 'held',"
        " released_at = NULL, reason = NULL, released_by = NULL WHERE sha256 = ?2 RETURNING id",
        (key, bytes.fromhex(sha256), size, extra),
    ).fetchone()
    if row is not None:
        return int(row[0])
    try:
        return _hold(db, key, sha256, size, 0, extra)
    except PathTaken:
        return None


def _give_up(db: apsw.Connection, project: int, a: Adopted, at: int) -> None:
    """Release what a page no longer lists, and forget what is not there."""
    lost = set(a.lost)
    if lost:
        rows = db.execute(
            "SELECT filename, o.key, m.key, v.key FROM file f LEFT JOIN object o ON o.id = f.object"
            " LEFT JOIN object m ON m.id = f.metadata LEFT JOIN object v ON v.id = f.provenance"
            " WHERE f.project = ?",
            (project,),
        ).fetchall()
        gone = [row for row in rows if row[0] in lost]
        db.executemany(
            "DELETE FROM file WHERE project = ? AND filename = ?", [(project, str(row[0])) for row in gone]
        )
        _forget_objects(db, [str(key) for row in gone for key in row[1:] if key is not None])
    if a.names is not None:
        rows = db.execute("SELECT filename FROM file WHERE project = ?", (project,)).fetchall()
        names = set(a.names)
        _release(db, project, a.name, [str(n) for (n,) in rows if n not in names], DELETED, at)


def _forget_page(db: apsw.Connection, project: int) -> None:
    """Forget what upstream said of a project."""
    for table in ("revision", "document", "unsettled"):
        db.execute(f"DELETE FROM {table} WHERE project = ?", (project,))


def _forget_list(db: apsw.Connection, head: int) -> None:
    """Have the next list of upstream compared with the projects themselves, and ours written again."""
    db.execute("DELETE FROM applied")
    db.execute(
        "INSERT INTO meta VALUES ('head', ?) ON CONFLICT (key) DO UPDATE SET value = max(value, excluded.value)",
        (head,),
    )
    _set(db, list_etag=None, root_stale=1)


def _held_file(row: Sequence[Any]) -> HeldFile:
    return HeldFile(
        row[0],
        row[1],
        row[2].hex(),
        row[3],
        row[4],
        row[5] and row[5].hex(),
        row[6] or 0,
        verified=row[7] > 0,
        digest=row[8],
        provenance=row[9] and row[9].hex(),
        provenance_size=row[10] or 0,
    )


def _set(db: apsw.Connection, **values: str | int | None) -> None:
    db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", list(values.items()))


def _one(db: apsw.Connection, sql: str, values: Sequence[object] = ()) -> tuple[Any, ...]:
    """Return the only row of a statement that always has one."""
    row: tuple[Any, ...] | None = db.execute(sql, tuple(values)).fetchone()
    if row is None:
        raise CatalogError(f"no row: {sql}")
    return row


def _open(connection: apsw.Connection | None) -> apsw.Connection:
    if connection is None:
        raise ValueError("the catalog is not open")
    return connection


def _marks(values: Sequence[str]) -> str:
    return ",".join("?" * len(values))


# ------------------------------------------------------------------ connections


def _connect(path: Path | None, busy_seconds: float) -> apsw.Connection:
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
    db = apsw.Connection(str(path) if path else ":memory:")
    try:
        # Before anything that writes: a newer catalog must be left untouched, byte for byte.
        (version,) = _one(db, "PRAGMA user_version")
        _check_version(version, path, migrates=True)
        db.set_busy_timeout(int(busy_seconds * 1000))
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(
            "PRAGMA synchronous = FULL"
        )  # one fsync per batch: what we say is recorded survives a power cut
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("PRAGMA cache_size = -65536")
        for number in range(version + 1, VERSION + 1):
            with db:
                db.execute(MIGRATIONS[number - 1])
                db.execute(f"PRAGMA user_version = {number}")
    except BaseException:
        db.close()
        raise
    return db


def _check_version(version: int, path: Path | None, *, migrates: bool) -> None:
    if version > VERSION:
        raise CatalogTooNew(
            f"{path} was written by a newer Frumious (schema {version}, this program knows {VERSION})",
            hint="upgrade Frumious on this machine, or point `catalog` at another file",
        )
    if version < VERSION and not migrates:
        raise CatalogTooOld(
            f"{path} was written by an earlier Frumious (schema {version}, this program wants {VERSION})",
            hint="the next `mirror` brings it up to date",
        )


def _connect_reader(path: Path | None, busy_seconds: float) -> apsw.Connection:
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    db.set_busy_timeout(int(busy_seconds * 1000))
    return db


def _connect_briefly(path: Path | None, busy_seconds: float) -> apsw.Connection:
    """Connect for a few quick questions, also as a user who may only read.

    A database that nobody has open has no `-wal` file, and SQLite would make one, which another user may not, and
    leave it there. So it is told that nobody writes: who begins to in these moments writes into a new `-wal` file.
    """
    if path is None or path.with_name(f"{path.name}-wal").exists():
        return _connect_reader(path, busy_seconds)
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    return apsw.Connection(f"file:{quote(str(path))}?immutable=1", flags=flags)
