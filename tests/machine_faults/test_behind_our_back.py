"""Somebody changes the mirror's directory while a run is on: no traceback, nothing torn, the next run is whole."""

import os
import shutil

import pytest

from support.index import Edit
from support.machine import filename_of


def a_page_deleted(machine):
    shutil.rmtree(machine.directory / "web/simple/beta")


def a_file_of_another_size(machine):
    (machine.directory / filename_of(machine, "beta")).write_bytes(b"other")


def a_file_deleted(machine):
    (machine.directory / filename_of(machine, "beta")).unlink()


def staging_deleted(machine):
    shutil.rmtree(machine.directory / ".frumious/staging")


def all_of_ours_deleted(machine):
    shutil.rmtree(machine.directory / ".frumious")


def the_catalog_deleted(machine):
    for path in (machine.directory / ".frumious").glob("catalog*"):
        path.unlink()


def the_catalog_emptied(machine):
    os.truncate(machine.directory / ".frumious/catalog.sqlite3", 0)


def the_state_files_deleted(machine):
    (machine.directory / "status").unlink()
    (machine.directory / "generation").unlink()


@pytest.mark.parametrize(
    ("change", "moment"),
    [
        (a_page_deleted, "file:zeta*.whl"),
        (a_file_of_another_size, "list"),
        (a_file_deleted, "page:beta"),
        (staging_deleted, "file:zeta*.whl"),
        (all_of_ours_deleted, "page:beta"),
        (the_catalog_deleted, "file:zeta*.whl"),
        (the_catalog_emptied, "page:beta"),
        (the_state_files_deleted, "file:zeta*.whl"),
    ],
)
def test_changed_during_a_run(machine, change, moment):
    machine.run()
    machine.index.upload("beta", "1.1")
    machine.index.upload("zeta", "1.1")
    machine.served.faults.add(moment, Edit(lambda: change(machine)))
    done = machine.run("mirror", check=change is not a_file_deleted)
    assert done.returncode in {0, 1, 3}, done.stderr
    if done.returncode == 1:
        assert "hint: " in done.stderr
    machine.ends_whole()
