"""`cleanup`: directories of unnormalized names, left by bandersnatch before 4.0, go when their project is next published."""

import pytest

from frumious.storage.local import LocalStorage
from support.index import SimulatedIndex
from support.world import World


@pytest.fixture
def world(tmp_path):
    index = SimulatedIndex()
    index.upload("Foo.Bar_baz", "1.0")
    root = tmp_path / "mirror"
    for page in ("Foo.Bar_baz/index.html", "Foo.Bar-baz/index.html", "other/notes.txt"):
        (root / "web/simple" / page).parent.mkdir(parents=True)
        (root / "web/simple" / page).write_text("old")
    return World(tmp_path, index=index, storage=LocalStorage(root), clean_names=True)


def directories(world):
    return sorted({key.split("/")[2] for key in world.keys("web/simple/") if key.count("/") > 2})


def test_other_spellings_of_a_published_project_go_and_strangers_stay(world):
    world.mirror(check=False)
    assert directories(world) == ["foo-bar-baz", "other"]


def test_without_the_option_they_stay(tmp_path, world):
    from dataclasses import replace

    world.options = replace(world.options, clean_names=False)
    world.mirror(check=False)
    assert directories(world) == ["Foo.Bar-baz", "Foo.Bar_baz", "foo-bar-baz", "other"]
