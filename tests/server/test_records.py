"""The catalog as the server has it: whatever is wrong with it is a reason to say, and no answer loses it (issue 5, "Bad input")."""

import asyncio
import re

import apsw
import pytest

from frumious.catalog.schema import VERSION
from frumious.catalog.sqlite import open_catalog
from frumious.server.records import Records
from frumious.server.site import Unavailable


def records_of(path):
    return Records(lambda: open_catalog(path, read_only=True, busy_seconds=0.05), path)


async def make(path):
    catalog = await open_catalog(path)
    await catalog.aclose()


async def head(records):
    async with records.catalog() as catalog:
        return (await catalog.state()).head


def test_what_is_missing_is_neither_made_nor_forgotten(tmp_path):
    path = tmp_path / "catalog.sqlite3"

    async def ask():
        records = records_of(path)
        with pytest.raises(Unavailable, match="there is no catalog; `frumious mirror` makes one"):
            await head(records)
        assert list(tmp_path.iterdir()) == []
        await make(path)
        try:
            return await head(records)
        finally:
            await records.aclose()

    assert asyncio.run(ask()) == 0


def test_who_has_a_catalog_keeps_it_when_another_takes_its_place(tmp_path):
    path, other = tmp_path / "catalog.sqlite3", tmp_path / "other.sqlite3"

    async def ask():
        await make(path)
        await make(other)
        records = records_of(path)
        async with records.catalog() as first:
            assert (await first.state()).head == 0
            other.replace(path)
            async with records.catalog() as second:
                assert second is not first
                assert (await first.state()).head == (await second.state()).head == 0
        with pytest.raises(RuntimeError):  # nobody has it any more: it is closed
            await first.state()
        async with records.catalog() as again:
            assert again is second
        await records.aclose()

    asyncio.run(ask())


def test_many_share_one(tmp_path):
    path, opened = tmp_path / "catalog.sqlite3", []

    async def open_it():
        opened.append(await open_catalog(path, read_only=True))
        return opened[-1]

    async def ask():
        await make(path)
        records = Records(open_it, path)
        try:
            return await asyncio.gather(*(head(records) for _ in range(20)))
        finally:
            await records.aclose()

    assert asyncio.run(ask()) == [0] * 20
    assert len(opened) == 1


def _garbage(path):
    path.write_bytes(b"nothing that SQLite knows" * 100)


def _newer(path):
    asyncio.run(make(path))
    with apsw.Connection(str(path)) as db:
        db.execute(f"PRAGMA user_version = {VERSION + 1}")


def _older(path):
    path.write_bytes(b"")


def _directory(path):
    path.mkdir()


@pytest.mark.parametrize(
    ("spoil", "reason", "told"),
    [
        (_garbage, "the catalog is damaged;", "is damaged .*; `frumious catalog rebuild`"),
        (_newer, "written by a newer Frumious;", "newer Frumious .*; upgrade Frumious"),
        (_older, "written by an earlier Frumious;", "earlier Frumious .*; the next `mirror` brings it up to date"),
        (_directory, "the catalog cannot be read;", "cannot open .*move it away"),
    ],
)  # fmt: skip
def test_clients_are_told_why_and_the_log_where_and_what_to_do(tmp_path, caplog, spoil, reason, told):
    path = tmp_path / "catalog.sqlite3"
    spoil(path)
    before = path.read_bytes() if path.is_file() else None
    records = records_of(path)

    for _ in range(3):
        with pytest.raises(Unavailable, match=reason) as caught:
            asyncio.run(head(records))
        assert str(tmp_path) not in str(caught.value)

    (line,) = caplog.messages
    assert str(path) in line
    assert re.search(told, line)
    assert (path.read_bytes() if path.is_file() else None) == before


def test_a_lock_is_waited_for_once_and_not_by_each(tmp_path):
    path, tried = tmp_path / "catalog.sqlite3", []
    asyncio.run(make(path))
    db = apsw.Connection(str(path))
    for statement in ("PRAGMA locking_mode = EXCLUSIVE", "BEGIN EXCLUSIVE", "UPDATE meta SET value = value"):
        db.execute(statement)

    async def open_it():
        tried.append(path)
        return await open_catalog(path, read_only=True, busy_seconds=0.05)

    async def ask():
        records = Records(open_it, path)
        return await asyncio.gather(*(head(records) for _ in range(20)), return_exceptions=True)

    try:
        answers = asyncio.run(ask())
    finally:
        db.close()

    assert {type(said) for said in answers} == {Unavailable}
    assert all("is locked by another program" in str(said) for said in answers)
    assert len(tried) == 1
