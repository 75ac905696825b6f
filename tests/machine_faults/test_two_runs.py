"""Two runs at once, and a lock that is not what it should be."""

import errno
import os
import re
import shutil
import signal

import pytest

from frumious.errors import LockHeld, StorageError
from frumious.storage.lock import hold_lock
from support.index import Edit, Hang
from support.program import wait_for


def test_the_second_says_who_is_at_work_and_since_when(machine):
    machine.write(timeout=60)
    machine.served.faults.add("list", Hang())
    first = machine.start("mirror")
    try:
        wait_for(lambda: machine.served.requests("list"))
        second = machine.run()
    finally:
        first.kill()
        first.communicate()
    assert second.returncode == 4
    assert re.search(rf"held by process {first.pid} since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\)", second.stderr)
    assert first.returncode == -signal.SIGKILL
    machine.ends_whole()


def test_since_when_it_is_held_is_not_when_somebody_looked(tmp_path):
    path = tmp_path / ".lock"
    path.touch()
    os.utime(path, (1000, 1000))
    with hold_lock(path):
        taken = path.stat().st_mtime
        assert taken > 1000
        with pytest.raises(LockHeld) as caught, hold_lock(path):
            pass
        assert caught.value.since == path.stat().st_mtime == taken


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EIO])
def test_a_file_system_without_locks(tmp_path, number):
    def refuse(_descriptor, _how):
        raise OSError(number, os.strerror(number))

    with (
        pytest.raises(StorageError, match="cannot lock") as caught,
        hold_lock(tmp_path / ".lock", lock=refuse),
    ):
        pass
    assert type(caught.value) is StorageError
    assert "flock" in caught.value.hint


def test_a_directory_in_place_of_the_lock(machine):
    lock = machine.directory / ".lock"
    lock.mkdir(parents=True)
    done = machine.run()
    assert done.returncode == 1
    assert f"cannot open {lock}" in done.stderr
    assert "hint: something else stands where the lock belongs" in done.stderr
    lock.rmdir()
    machine.ends_whole()


def replaced(machine):
    (machine.directory / ".lock").unlink()
    (machine.directory / ".lock").touch()


def removed_with_the_mirror(machine):
    shutil.rmtree(machine.directory)


def moved_with_the_mirror(machine):
    machine.directory.rename(machine.directory.with_name("elsewhere"))


@pytest.mark.parametrize("change", [replaced, removed_with_the_mirror, moved_with_the_mirror])
def test_a_lock_that_is_gone_ends_the_run(machine, change):
    """Nothing would keep a second run away from then on."""
    machine.run()
    machine.index.upload("beta", "1.1")
    machine.served.faults.add("page:beta", Edit(lambda: change(machine)))
    done = machine.run("mirror", check=False)
    assert done.returncode == 1, done.stderr
    assert f"{machine.directory / '.lock'} was removed or replaced during the run" in done.stderr
    if machine.directory.joinpath("web/simple/beta").exists():
        assert len(machine.page("beta")["files"]) == 1, "published nothing"
    machine.ends_whole()
