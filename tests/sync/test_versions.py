"""`keep_index_versions`: earlier pages beside the one that is out, which is a relative link to the newest."""

from dataclasses import replace

import pytest

from frumious.storage.local import LocalStorage
from frumious.sync.versions import surplus, version_key
from support.index import SimulatedIndex
from support.world import World


@pytest.fixture
def world(tmp_path):
    index = SimulatedIndex()
    index.upload("A", "1.0")
    root = tmp_path / "mirror"
    root.mkdir()
    world = World(tmp_path, index=index, storage=LocalStorage(root), keep_versions=2)
    world.root_path = root
    return world


def versions(world, extension):
    found = (world.root_path / "web/simple/a/versions").glob(f"*.{extension}")
    return sorted(found, key=lambda path: path.name.split("_")[2])


def test_the_page_is_a_relative_link_to_the_newest_of_two(world):
    for n in range(2, 6):
        world.mirror(check=False)
        world.index.upload("A", f"{n}.0")
    for name, extension in (
        ("index.html", "html"),
        ("index.v1_html", "v1_html"),
        ("index.v1_json", "v1_json"),
    ):
        page = world.root_path / "web/simple/a" / name
        kept = versions(world, extension)
        assert len(kept) == 2
        assert not page.readlink().is_absolute()
        assert page.resolve() == kept[-1]
    assert len(world.page("a")["files"]) == 4
    assert len(world.listed()) == 1


def test_names_say_serial_and_time_as_bandersnatch_writes_them():
    key = version_key("web/simple/a/index.v1_json", 12, 1_800_000_000.25)
    assert key == "web/simple/a/versions/index_12_2027-01-15T080000.250000Z.v1_json"


def test_the_oldest_go_by_time_whatever_the_serial_and_strangers_stay():
    keys = [
        f"v/index_{serial}_2026-01-0{day}T000000.000000Z.html" for serial, day in ((10, 2), (9, 1), (8, 3))
    ]
    assert surplus([*keys, "v/notes.html", "v/index_1_2026-01-01T000000.0Z.v1_html"], 2) == [keys[1]]


def test_switched_off_again_the_page_is_a_file_of_its_own(world):
    world.mirror(check=False)
    world.options = replace(world.options, keep_versions=0)
    world.index.upload("A", "2.0")
    world.mirror(check=False)
    assert not (world.root_path / "web/simple/a/index.html").is_symlink()
    assert len(world.page("a")["files"]) == 2


def test_a_project_that_leaves_takes_its_earlier_pages_along(world):
    world.index.upload("b", "1.0")
    world.mirror(check=False)
    world.index.delete_project("a")
    world.mirror(check=False)
    assert not (world.root_path / "web/simple/a").exists()
