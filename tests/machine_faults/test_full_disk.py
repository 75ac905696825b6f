"""A disk that is full in the middle of a run: one line says so, nothing is torn, and the next run goes on (conformance 96)."""

import resource
from contextlib import suppress

import pytest

from frumious.errors import NoSpace
from frumious.sync.summary import ExitCode
from support.faults import Failing
from support.index import Edit
from support.machine import fill
from support.world import World

BIG = b"x" * 300_000


def use(machine, disk, **keys):
    machine.directory = disk / "mirror"
    machine.write(**keys)


def changed(machine):
    """Run once, and have upstream change what is there and bring something new."""
    assert machine.run().returncode == 0
    for name in ("alpha", "beta", "delta"):
        machine.index.upload(name, "1.1")


def says_full(done):
    assert done.returncode == 1, done.stderr
    assert "no space left" in done.stderr or "min-free" in done.stderr, done.stderr
    assert "hint: free some space" in done.stderr, done.stderr


@pytest.mark.parametrize("moment", ["list", "file:beta-1.1*", "file:big*"])
def test_full_from_a_moment_on(machine, disks, moment):
    disk = disks(size="4m")
    use(machine, disk)
    changed(machine)
    machine.index.upload("big", "1.0", content=BIG)
    filled = []
    machine.served.faults.add(moment, Edit(lambda: filled.append(fill(disk))))
    says_full(machine.run())
    filled[0].unlink()
    machine.ends_whole()


def test_full_in_the_first_run(machine, disks):
    disk = disks(size="512k")
    use(machine, disk)
    for name in ("big", "other-big"):
        machine.index.upload(name, "1.0", content=name.encode() * 25_000)
    machine.index.upload("third-big", "1.0", content=BIG)
    says_full(machine.run())
    machine.index.delete_project("third-big")
    machine.index.delete_project("other-big")
    machine.ends_whole()


@pytest.mark.parametrize("pages", [0, 18, 26])
def test_room_for_so_many_blocks_and_no_more(machine, disks, pages):
    """Which step is the first that does not fit differs: the catalog opened, a file, staged pages, a commit."""
    disk = disks(size="4m")
    use(machine, disk)
    changed(machine)
    ballast = fill(disk, leave=pages * 4096)
    says_full(machine.run())
    ballast.unlink()
    machine.ends_whole()


@pytest.mark.parametrize("pages", [0, 24])
def test_the_catalog_on_a_full_disk_of_its_own(machine, tmp_path, disks, pages):
    disk = disks(size="4m")
    use(machine, tmp_path, catalog=disk / "catalog.sqlite3")
    changed(machine)
    ballast = fill(disk, leave=pages * 4096)
    says_full(machine.run())
    ballast.unlink()
    machine.ends_whole()


def test_no_inode_left(machine, disks):
    disk = disks(size="4m", nr_inodes=120)
    use(machine, disk)
    changed(machine)
    taken = disk / "taken"
    taken.mkdir()

    def take() -> None:
        for number in range(200):
            with suppress(OSError):
                (taken / str(number)).touch()

    machine.served.faults.add("page:beta", Edit(take))
    says_full(machine.run())
    before_the_catalog_opens = machine.run()
    says_full(before_the_catalog_opens)
    for path in taken.iterdir():
        path.unlink()
    machine.ends_whole()


def test_a_limit_on_the_size_of_files_is_a_full_disk(machine):
    """What users without a disk of their own can test: the system refuses further bytes."""
    machine.index.upload("big", "1.0", content=BIG * 5)
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))  # noqa: E731
    says_full(machine.run("mirror", preexec_fn=limit))
    machine.ends_whole()


@pytest.mark.parametrize(
    "key", ["web/simple/index.html", "web/simple/index.v1_json", "status", "todo", "generation"]
)
def test_full_while_a_state_file_is_written(tmp_path, key):
    world = World(tmp_path)
    world.index.upload("good", "1.0")
    world.index.upload("bad", "1.0")
    world.faults.add("page:bad", Edit(lambda: world.index.upload("good", "1.1")))
    world.mirror()
    before = world.text("status")
    world.index.upload("bad", "1.1")
    world.index.upload("failing", "1.0")
    world.index.lose_bytes("failing-1.0-py3-none-any.whl")
    full = Failing(world.storage, lambda made: NoSpace(f"no space left for {made}") if made == key else None)
    with pytest.raises(NoSpace, match=key):
        world.mirror(storage=full, check=False)
    world.check()
    assert world.text("status") == before
    assert world.mirror().exit_code is ExitCode.OWED
    assert "failing" in world.text("todo")
    assert world.listed() == ["bad", "good"]
