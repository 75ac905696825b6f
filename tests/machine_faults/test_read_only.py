"""Places that cannot be written, from the start or from the middle of a run on: the line names the place and the fix."""

import os
import subprocess

import pytest

from support.index import Edit
from support.program import wait_for


def refused(done, *words):
    assert done.returncode == 1, done.stderr
    for word in (*words, "hint: "):
        assert word in done.stderr, done.stderr


def test_a_disk_that_turns_read_only_in_the_middle(machine, disks):
    disk = disks(size="4m")
    machine.directory.mkdir()
    (machine.directory / "web").symlink_to(disk)
    assert machine.run().returncode == 0
    machine.index.upload("beta", "1.1")

    def remount(how: str) -> bool:
        return not subprocess.run(["mount", "-o", f"remount,{how}", disk], check=False).returncode

    machine.served.faults.add("file:beta-1.1*.whl", Edit(lambda: wait_for(lambda: remount("ro"))))
    done = machine.run()
    assert remount("rw")
    refused(done, "Read-only file system", "check owner, mode and mount of ")
    machine.ends_whole()


@pytest.mark.parametrize(
    ("place", "moment"),
    [
        ("web/simple/beta", None),
        ("web/packages", None),
        (".frumious/staging", None),
        ("web/simple/beta", "file:beta-1.1*.whl"),
    ],
)
def test_a_directory_that_may_not_be_written(machine, bound_by_modes, place, moment):
    machine.run()
    machine.index.upload("beta", "1.1")
    folder = machine.directory / place
    if moment is None:
        folder.chmod(0o555)
    else:
        machine.served.faults.add(moment, Edit(lambda: folder.chmod(0o555)))
    done = machine.run("mirror", **bound_by_modes)
    folder.chmod(0o755)
    refused(done, f"hint: check owner, mode and mount of {folder}")
    machine.ends_whole()


@pytest.mark.parametrize("place", ["web", ".frumious/catalog.sqlite3", ".lock"])
def test_what_somebody_else_owns(machine, bound_by_modes, place):
    if os.geteuid():
        pytest.skip("only root can give a file away: a mirror of somebody else is NOT tested here")
    machine.run()
    machine.index.upload("beta", "1.1")
    path = machine.directory / place
    os.chown(path, 65534, 65534)
    done = machine.run("mirror", **bound_by_modes)
    os.chown(path, 0, 0)
    refused(done, str(path))
    machine.ends_whole()
