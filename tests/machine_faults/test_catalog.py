"""A catalog that is damaged, lost, locked, or from another version; `catalog rebuild` needs no second download."""

import asyncio
import os
import random
import shutil
import subprocess
import sys

import apsw
import pytest

from contract.catalog_contract import publication
from frumious.catalog.base import Batch
from frumious.catalog.sqlite import open_catalog
from frumious.errors import CatalogError
from frumious.model.names import normalize
from support.index import Hang
from support.program import wait_for
from support.world import World

BLOCK = 4096


def catalog_of(machine):
    return machine.directory / ".frumious/catalog.sqlite3"


def rebuilds(machine):
    """Make the catalog again; then everything is there, and nothing was downloaded that was there."""
    done = machine.run("catalog", "rebuild")
    assert done.returncode == 0, done.stderr
    machine.ends_whole()


def says_how_to_mend(done):
    assert done.returncode == 1, done.stderr
    assert "catalog.sqlite3 is damaged" in done.stderr
    assert "hint: `frumious catalog rebuild` makes it again" in done.stderr


@pytest.mark.parametrize("blocks", [0.01, 12])
def test_cut_off(machine, blocks):
    machine.run()
    machine.index.upload("beta", "1.1")
    os.truncate(catalog_of(machine), int(blocks * BLOCK))
    says_how_to_mend(machine.run())
    rebuilds(machine)


@pytest.mark.parametrize("first", [0, 8])
def test_random_bytes_in_it(machine, first):
    machine.run()
    machine.index.upload("beta", "1.1")
    with catalog_of(machine).open("r+b") as file:
        file.seek(first * BLOCK)
        file.write(random.Random(first).randbytes(4 * BLOCK))  # noqa: S311 - repeatable
    says_how_to_mend(machine.run())
    rebuilds(machine)


def test_damage_anywhere_is_an_error_of_ours(tmp_path):
    """Cut at every block, and every block overwritten: nothing but CatalogError, whatever is asked."""
    world = World(tmp_path)
    for number in range(30):
        world.index.upload(f"p{number}", "1.0")
    world.mirror()
    good = world.catalog_path.read_bytes()
    chance = random.Random(7)  # noqa: S311 - repeatable
    told = 0
    for start in range(0, len(good), BLOCK):
        noise = chance.randbytes(BLOCK)
        for damaged in (good[:start], good[:start] + noise + good[start + BLOCK :]):
            world.catalog_path.write_bytes(damaged)
            try:
                asyncio.run(use(world.catalog_path))
            except CatalogError:
                told += 1
            for beside in world.catalog_path.parent.glob("catalog.sqlite3-*"):
                beside.unlink()
    assert told > len(good) // BLOCK


async def use(path):
    catalog = await open_catalog(path)
    try:
        await catalog.state()
        await catalog.applied()
        for name in await catalog.names("", 100):
            await catalog.known([name])
            await catalog.held(name, [])
            await catalog.revision(name)
        await catalog.due(2_000_000_000, 100)
        await catalog.commit_batch(Batch(1, [publication()]))
    finally:
        await catalog.aclose()


def emptied(path):
    path.write_bytes(b"")


def removed(path):
    path.unlink()


@pytest.mark.parametrize("change", [emptied, removed])
def test_an_empty_one_is_none_and_made_again_without_being_asked(machine, change):
    machine.run()
    machine.index.upload("beta", "1.1")
    change(catalog_of(machine))
    machine.ends_whole()


def fifo(path):
    os.mkfifo(path)


def circle(path):
    path.symlink_to(path.name)


@pytest.mark.parametrize("make", [fifo, circle])
def test_something_else_in_its_place(machine, make):
    machine.run()
    path = catalog_of(machine)
    path.unlink()
    make(path)
    done = machine.run()
    assert done.returncode == 1
    assert f"hint: {path} is no file: move it away, then run `frumious catalog rebuild`" in done.stderr
    rebuilds(machine)


def test_a_newer_one_is_left_as_it_is(machine):
    machine.run()
    path = catalog_of(machine)
    db = apsw.Connection(str(path))
    db.execute("PRAGMA user_version = 99")
    db.close()
    before = path.read_bytes()
    for command in ("mirror", "plan", "verify"):
        done = machine.run(command)
        assert done.returncode == 1, done.stderr
        assert "was written by a newer Frumious (schema 99" in done.stderr
        assert "hint: upgrade Frumious" in done.stderr
    assert path.read_bytes() == before


def test_what_was_not_yet_in_the_file_is_lost(machine):
    """The `-wal` file is deleted after a crash: the last batches are gone, their pages are not."""
    machine.run()
    machine.write(timeout=60)
    for name in ("beta", "delta", "waiting"):
        machine.index.upload(name, "1.1")
    machine.served.faults.add("page:waiting", Hang())
    process = machine.start("mirror")
    wait_for((machine.directory / "web/simple/delta/index.v1_json").exists)
    process.kill()
    process.communicate()
    (wal,) = catalog_of(machine).parent.glob("*-wal")
    wal.unlink()
    machine.ends_whole()


HOLDER = """
import sys, apsw
db = apsw.Connection(sys.argv[1])
db.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


def test_one_that_another_program_writes_to(tmp_path):
    path = tmp_path / "catalog.sqlite3"

    async def work():
        catalog = await open_catalog(path, busy_seconds=0.1)
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLDER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        try:
            assert await asyncio.to_thread(holder.stdout.readline) == b"held\n"
            assert await catalog.names("", 9) == [], "reading goes on"
            with pytest.raises(CatalogError, match="is locked by another program") as caught:
                await catalog.commit_batch(Batch(1, [publication()]))
            assert "end that program" in caught.value.hint
        finally:
            holder.communicate()
        await catalog.commit_batch(Batch(1, [publication()]))
        assert await catalog.names("", 9) == [normalize("six")]
        await catalog.aclose()

    asyncio.run(work())


def test_a_catalog_elsewhere_whose_directory_cannot_be_made(machine, tmp_path):
    (tmp_path / "file").touch()
    machine.write(catalog=tmp_path / "file/catalog.sqlite3")
    done = machine.run()
    assert done.returncode == 1
    assert f"cannot open or write {tmp_path / 'file/catalog.sqlite3'}" in done.stderr
    machine.write()
    shutil.rmtree(machine.directory / ".frumious", ignore_errors=True)
    machine.ends_whole()
