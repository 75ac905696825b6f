"""A mirror of a real index on loopback, and disks of our own that can be full or read-only."""

import ctypes
import os
import signal
import subprocess
from pathlib import Path

import pytest

from support.index import SimulatedIndex, serve
from support.machine import Machine

CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER = range(4)
PR_CAPBSET_DROP = 24


def offered() -> SimulatedIndex:
    """Return what upstream has at first."""
    index = SimulatedIndex()
    for name in ("alpha", "beta", "gamma"):
        index.upload(name, "1.0")
    return index


@pytest.fixture(scope="session", autouse=True)
def signals_that_come_through():
    """A shell without job control has its background jobs ignore SIGINT, and what they start, too."""
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


@pytest.fixture
def machine(tmp_path):
    """A mirror that has not run yet."""
    with serve(offered()) as served:
        yield Machine(tmp_path, served)


@pytest.fixture
def disks(tmp_path):
    """Make small file systems: `disks(size="1m", nr_inodes=100)` returns where one is mounted."""
    mounted: list[Path] = []

    def disk(**options: object) -> Path:
        place = tmp_path / f"disk{len(mounted)}"
        place.mkdir()
        text = ",".join(f"{key}={value}" for key, value in options.items())
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", text, "frumious-test", place], capture_output=True, check=False
        )
        if done.returncode:
            pytest.skip("cannot mount a small tmpfs (needs root): a failing disk is NOT tested here")
        mounted.append(place)
        return place

    yield disk
    for place in mounted:
        subprocess.run(["umount", place], check=True)


@pytest.fixture
def bound_by_modes():
    """Options of a subprocess that owners and modes stop, also where the tests run as root."""
    return {"preexec_fn": _obey_modes} if os.geteuid() == 0 else {}


def _obey_modes() -> None:
    """Give up, with the next program, what lets root pass by owners and modes."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER):
        if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")
