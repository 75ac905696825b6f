"""Something else stands where a page, a file or a state file belongs: never followed out, never waited for."""

import asyncio
import os
import shutil
import socket

import pytest

from frumious.storage.local import LocalStorage
from support.machine import filename_of

PAGES = ("index.html", "index.v1_html", "index.v1_json")


def fifo(path, _theirs):
    os.mkfifo(path)


def unix_socket(path, theirs):
    listening = theirs.with_name("s")  # its own path may be too long for one
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(listening))
    listening.rename(path)


def empty_directory(path, _theirs):
    path.mkdir()


def link_to_nowhere(path, _theirs):
    path.symlink_to("nowhere")


def link_in_a_circle(path, _theirs):
    path.symlink_to(path.name)


def link_to_the_outside(path, theirs):
    path.symlink_to(theirs)


@pytest.mark.parametrize(
    "make",
    [fifo, unix_socket, empty_directory, link_to_nowhere, link_in_a_circle, link_to_the_outside],
)
def test_what_is_no_file_is_replaced(machine, tmp_path, make):
    machine.run()
    theirs = tmp_path / "theirs"
    theirs.write_text("not ours")
    file = machine.directory / filename_of(machine, "beta")
    places = [machine.directory / "web/simple/beta" / page for page in PAGES]
    places += [file, file.with_name(f"{file.name}.metadata")]
    places += [machine.directory / "web/simple" / page for page in PAGES]
    places += [machine.directory / name for name in ("status", "generation", "web/last-modified")]
    for place in places:
        place.unlink()
        make(place, theirs)
    make(machine.directory / "todo", theirs)
    machine.index.upload("beta", "1.1")
    done = machine.run()
    assert done.returncode == 0, done.stderr
    for place in places:
        assert place.is_file(), place
        assert not place.is_symlink(), place
    assert theirs.read_text() == "not ours"
    machine.ends_whole()


@pytest.mark.parametrize("place", ["web/simple/beta/index.html", "file"])
def test_a_directory_with_something_in_it_fails_one_project(machine, place):
    """A directory in the way costs nobody else anything, and is named."""
    machine.run()
    path = machine.directory / (filename_of(machine, "beta") if place == "file" else place)
    path.unlink()
    path.mkdir()
    (path / "theirs").touch()
    machine.index.upload("beta", "1.1")
    machine.index.upload("delta", "1.0")
    for _ in range(2):
        done = machine.run("mirror", check=False)
        assert done.returncode == 3, done.stderr
        assert f"beta: {path.relative_to(machine.directory)}: a directory stands where" in done.stderr
    assert machine.page("delta")
    assert "beta" in (machine.directory / "todo").read_text()
    shutil.rmtree(path)
    machine.ends_whole()


@pytest.mark.parametrize("place", ["web/simple/index.v1_json", "generation"])
def test_a_directory_where_a_state_file_belongs(machine, place):
    machine.run()
    path = machine.directory / place
    path.unlink()
    path.mkdir()
    (path / "theirs").touch()
    machine.index.upload("beta", "1.1")
    done = machine.run("mirror", check=False)
    assert done.returncode == 1
    assert f"{place}: a directory stands where a file must be" in done.stderr
    assert f"hint: move {path} away" in done.stderr
    shutil.rmtree(path)
    machine.ends_whole()


@pytest.mark.parametrize("make", [link_to_nowhere, link_in_a_circle, fifo])
def test_what_is_no_directory_fails_one_project(machine, tmp_path, make):
    machine.run()
    path = machine.directory / "web/simple/delta"
    make(path, tmp_path)
    machine.index.upload("beta", "1.1")
    machine.index.upload("delta", "1.0")
    done = machine.run()
    assert done.returncode == 3, done.stderr
    assert "delta: web/simple/delta/" in done.stderr
    assert "a file stands where a directory must be" in done.stderr
    assert len(machine.page("beta")["files"]) == 2
    path.unlink()
    machine.ends_whole()


def test_a_file_in_place_of_web(machine):
    machine.run()
    machine.directory.joinpath("web").rename(machine.directory / "elsewhere")
    (machine.directory / "web").touch()
    done = machine.run("mirror", check=False)
    assert done.returncode == 1
    assert f"{machine.directory / 'web'} is not a directory" in done.stderr
    (machine.directory / "web").unlink()
    machine.directory.joinpath("elsewhere").rename(machine.directory / "web")
    machine.ends_whole()


def test_a_link_that_leads_back_is_not_followed(machine):
    machine.run()
    simple = machine.directory / "web/simple"
    before = keys_below(machine.directory)
    (simple / "circle").symlink_to(".")
    (simple / "alpha/up").symlink_to("../..")
    (simple / "root").symlink_to("/")
    assert keys_below(machine.directory) == before
    shutil.rmtree(machine.directory / ".frumious")
    done = machine.run("mirror", check=False)
    assert done.returncode == 0, done.stderr
    assert "taken over from the tree: 3 projects" in done.stderr


def keys_below(directory):
    async def work():
        storage = LocalStorage(directory)
        try:
            return [stat.key async for stat in storage.list("web/simple/")]
        finally:
            await storage.aclose()

    return asyncio.run(work())
