"""One publisher at a time, between real processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from frumious.errors import LockHeld, NotWritable
from frumious.storage.lock import hold_lock, holder_in


def test_the_lock_is_held_by_one(tmp_path):
    path = tmp_path / ".lock"
    with hold_lock(path), pytest.raises(LockHeld, match=f"process {os.getpid()}"), hold_lock(path):
        pass
    with hold_lock(path):
        assert path.read_bytes() == b""


def test_a_killed_holder_frees_the_lock(tmp_path):
    script = "import sys, time; from pathlib import Path; from frumious.storage.lock import hold_lock\nwith hold_lock(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", script, tmp_path / ".lock"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(LockHeld) as caught, hold_lock(tmp_path / ".lock"):
            pass
        assert f"process {process.pid}" in str(caught.value)
        assert caught.value.exit_code == 4
        process.kill()
    with hold_lock(tmp_path / ".lock"):
        pass


def test_a_lock_that_cannot_be_made_is_told():
    with pytest.raises(NotWritable, match="cannot open"), hold_lock(Path("/nonexistent/dir/.lock")):
        pass


def test_everybody_may_read_the_lock_whatever_the_umask(tmp_path):
    before = os.umask(0o077)
    try:
        with hold_lock(tmp_path / ".lock"):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / ".lock").stat().st_mode & 0o777 == 0o644


def test_a_program_that_we_start_does_not_inherit_the_lock(tmp_path):
    with hold_lock(tmp_path / ".lock"):
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        with hold_lock(tmp_path / ".lock"):
            pass
    finally:
        child.kill()
        child.wait()


# What /proc/locks looks like.
LOCKS = """\
1: POSIX  ADVISORY  WRITE 10 08:01:77 0 EOF
2: FLOCK  ADVISORY  WRITE 20 08:02:77 0 EOF
3: FLOCK  ADVISORY  WRITE 30 08:01:77 0 EOF
3: -> FLOCK  ADVISORY  WRITE 40 08:01:77 0 EOF
4: FLOCK  ADVISORY  WRITE 0 08:01:88 0 EOF
5: FLOCK  ADVISORY  WRITE 50 08:01:777 0 EOF
"""


@pytest.mark.parametrize(
    ("minor", "inode", "says"),
    [
        pytest.param(1, 77, "process 30", id="not the same inode on another disk, nor one that waits"),
        pytest.param(9, 777, "process 50", id="the table may know the disk by another number"),
        pytest.param(1, 88, "another process", id="a holder in another container has no number"),
        pytest.param(1, 99, "another process", id="nobody that the table knows"),
    ],
)
def test_the_holder_is_found_in_the_table_of_locks(minor, inode, says):
    assert holder_in(LOCKS, 8, minor, inode) == says
