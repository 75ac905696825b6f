"""SQLite, in a file and in memory, and what is SQLite's own: versions, damage, locks."""

import asyncio
import hashlib

import apsw
import pytest

from contract.catalog_contract import CatalogContract, publication
from frumious.catalog.base import Batch
from frumious.catalog.schema import MIGRATIONS, VERSION
from frumious.catalog.sqlite import open_catalog
from frumious.errors import CatalogBroken, CatalogError, CatalogTooNew
from frumious.model.names import normalize


class TestFile(CatalogContract):
    def open(self, tmp_path):
        return open_catalog(tmp_path / "sub" / "catalog.sqlite3")


class TestMemory(CatalogContract):
    def open(self, tmp_path):
        return open_catalog(None)


async def _open_and_close(path):
    catalog = await open_catalog(path)
    await catalog.aclose()


def test_what_was_committed_is_there_after_opening_again(tmp_path):
    async def first():
        catalog = await open_catalog(tmp_path / "c")
        await catalog.commit_batch(Batch(at=1, published=[publication("six")]))
        await catalog.aclose()

    async def second():
        catalog = await open_catalog(tmp_path / "c")
        try:
            return await catalog.names("", 5)
        finally:
            await catalog.aclose()

    asyncio.run(first())
    assert asyncio.run(second()) == ["six"]


def test_a_newer_catalog_is_refused_and_left_untouched(tmp_path):
    path = tmp_path / "catalog.sqlite3"
    db = apsw.Connection(str(path))
    db.execute(f"PRAGMA user_version = {VERSION + 1}; CREATE TABLE theirs (x)")
    db.close()
    before = hashlib.sha256(path.read_bytes()).hexdigest()

    with pytest.raises(CatalogTooNew, match="newer Frumious") as caught:
        asyncio.run(_open_and_close(path))

    assert "upgrade" in caught.value.hint
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["catalog.sqlite3"]


def test_a_file_that_is_no_database_is_named(tmp_path):
    path = tmp_path / "catalog.sqlite3"
    path.write_bytes(b"not a database at all, by any means" * 100)
    with pytest.raises(CatalogBroken, match=r"catalog\.sqlite3 is damaged"):
        asyncio.run(_open_and_close(path))


def test_a_directory_in_its_place_is_named(tmp_path):
    with pytest.raises(CatalogError, match="cannot open or write"):
        asyncio.run(_open_and_close(tmp_path))


def test_every_migration_brings_an_old_catalog_forward(tmp_path):
    path = tmp_path / "c"
    asyncio.run(_open_and_close(path))
    db = apsw.Connection(str(path))
    assert db.execute("PRAGMA user_version").fetchone() == (VERSION,)
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    db.close()


def test_a_catalog_opened_for_reading_is_read_and_not_written(tmp_path):
    async def work():
        first = await open_catalog(tmp_path / "c")
        await first.commit_batch(Batch(at=1, published=[publication("six")]))
        catalog = await open_catalog(tmp_path / "c", read_only=True)
        assert (await catalog.counts())["projects"] == 1
        with pytest.raises(ValueError, match="for reading"):
            await catalog.distrust()
        await catalog.aclose()
        await first.aclose()

    asyncio.run(work())


def test_an_earlier_catalog_is_not_brought_forward_by_somebody_who_only_reads(tmp_path):
    async def work():
        (await open_catalog(tmp_path / "c", read_only=True)).aclose()

    path = tmp_path / "c"
    asyncio.run(_open_and_close(path))
    db = apsw.Connection(str(path))
    db.execute(f"PRAGMA user_version = {VERSION - 1}")
    db.close()
    with pytest.raises(CatalogError, match="earlier Frumious") as caught:
        asyncio.run(work())
    assert "mirror" in caught.value.hint


def test_a_catalog_of_the_first_release_keeps_what_it_knows_and_learns_what_is_not_referred_to(tmp_path):
    db = apsw.Connection(str(tmp_path / "c"))
    for migration in MIGRATIONS[:2]:
        db.execute(migration)
    db.execute("PRAGMA user_version = 2")
    db.execute(
        "INSERT INTO project (name, display, serial, published, listed) VALUES ('six', 'six', 5, 5, 1)"
    )
    for number, key in enumerate(("web/packages/a/six-1.0.tar.gz", "web/packages/b/six-0.9.tar.gz"), 1):
        db.execute(
            "INSERT INTO object (id, key, sha256, size, verified_at) VALUES (?, ?, ?, 3, 100)",
            (number, key, b"x" * 32),
        )
    db.execute("INSERT INTO file (project, filename, source, object) VALUES (1, 'six-1.0.tar.gz', 's', 1)")
    db.execute("INSERT INTO meta VALUES ('selection', 'abc'), ('head', 5)")
    db.close()

    async def work():
        catalog = await open_catalog(tmp_path / "c")
        row = (await catalog.known([normalize("six")]))[normalize("six")]
        assert (row.serial, row.published, row.declined, row.until) == (5, 5, None, None)
        files, _ = await catalog.held(normalize("six"), [])
        assert files["six-1.0.tar.gz"].verified
        assert [one.key for one in await catalog.released(200, 3600, 10)] == ["web/packages/b/six-0.9.tar.gz"]
        state = await catalog.state()
        assert (state.selection, state.choice, state.head) == ("abc", None, 5)
        await catalog.aclose()

    asyncio.run(work())


def test_a_catalog_from_before_pins_keeps_its_trash(tmp_path):
    db = apsw.Connection(str(tmp_path / "c"))
    for migration in MIGRATIONS[:3]:
        db.execute(migration)
    db.execute("PRAGMA user_version = 3")
    for number, project in enumerate(("six", None)):
        db.execute(
            "INSERT INTO trash (place, key, sha256, size, project, reason, at) VALUES (?, ?, ?, 3, ?, 'deleted', 7)",
            (f"place{number}", f"web/packages/{number}/six-1.0.tar.gz", b"x" * 32, project),
        )
    db.close()

    async def work():
        catalog = await open_catalog(tmp_path / "c")
        rows = await catalog.trashed_files(None, 9)
        assert [(row.place, row.project, row.released_at) for row in rows] == [
            ("place1", None, None),
            ("place0", "six", None),
        ]
        assert await catalog.trash(7, 9) == rows[::-1]
        assert await catalog.past_revisions(normalize("six")) == []
        await catalog.aclose()

    asyncio.run(work())


def test_the_sums_begin_with_what_an_earlier_catalog_holds(tmp_path):
    db = apsw.Connection(str(tmp_path / "c"))
    for migration in MIGRATIONS[:3]:
        db.execute(migration)
    db.execute("PRAGMA user_version = 3")
    db.execute("INSERT INTO project (name, display, published) VALUES ('six', 'six', 5), ('no', 'no', NULL)")
    for key, size in (("p/six-1.0.tar.gz", 7), ("p/six-1.0.tar.gz.metadata", 2)):
        db.execute(
            "INSERT INTO object (key, sha256, size, verified_at) VALUES (?, ?, ?, 1)", (key, b"x", size)
        )
    db.close()

    async def work():
        catalog = await open_catalog(tmp_path / "c")
        counts = await catalog.counts()
        await catalog.aclose()
        return counts

    assert asyncio.run(work()) == {"projects": 1, "files": 1, "bytes": 9, "owed": 0}


async def _read_briefly(path):
    catalog = await open_catalog(path, read_only=True, briefly=True)
    try:
        return await catalog.names("", 5)
    finally:
        await catalog.aclose()


def test_a_brief_look_leaves_nothing_behind(tmp_path):
    async def write():
        catalog = await open_catalog(tmp_path / "c")
        await catalog.commit_batch(Batch(at=1, published=[publication("six")]))
        await catalog.aclose()

    asyncio.run(write())
    before = (tmp_path / "c").read_bytes()
    (tmp_path / "odd ?#%").mkdir()
    (tmp_path / "c").rename(tmp_path / "odd ?#%/c")
    assert asyncio.run(_read_briefly(tmp_path / "odd ?#%/c")) == ["six"]
    assert [path.name for path in (tmp_path / "odd ?#%").iterdir()] == ["c"]
    assert (tmp_path / "odd ?#%/c").read_bytes() == before


def test_a_brief_look_sees_what_a_writer_has_just_committed(tmp_path):
    async def work():
        catalog = await open_catalog(tmp_path / "c")
        await catalog.commit_batch(Batch(at=1, published=[publication("six")]))
        seen = await _read_briefly(tmp_path / "c")
        await catalog.aclose()
        return seen

    assert asyncio.run(work()) == ["six"]
