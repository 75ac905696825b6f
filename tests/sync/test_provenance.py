"""Provenance documents beside the files they speak of (conformance §6, 18, 35, 72, 79, 80, 95, 105)."""

import asyncio
from dataclasses import replace

import pytest

from frumious.storage.base import Item
from frumious.sync.events import Notice
from frumious.sync.provenance import TRIES
from frumious.sync.summary import ExitCode
from support.index import Status
from support.index_files import provenance
from support.verifying import verify_in
from support.world import World

BASE = "https://mirror.example.org"
DAY = 86400


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    world.rendering(provenance=True, base_url=BASE)
    return world


def key_of(file) -> str:
    return f"web{file.path}.provenance"


def named(world, project="six"):
    """Return what the page says of the provenance of each file."""
    return [file.get("provenance") for file in world.page(project)["files"]]


def notices(world) -> list[str]:
    return [event.text for event in world.events if isinstance(event, Notice)]


def asked(world) -> int:
    return len(world.upstream.requests("provenance:*"))


def test_a_document_is_beside_its_file_and_the_page_names_it(world):
    file = world.index.upload("six", provenance=True)
    world.index.upload("six", "1.0", "six-1.0.tar.gz")
    world.mirror()
    assert world.read(key_of(file)) == file.provenance
    assert named(world) == [f"{BASE}{file.path}.provenance", None]
    html = world.text("web/simple/six/index.html")
    assert f'data-provenance="{BASE}{file.path}.provenance"' in html
    assert html.count("data-provenance") == 1
    world.mirror()
    assert asked(world) == 1


@pytest.mark.parametrize("base", [None, "http://mirror.example.org"])
def test_without_an_https_address_of_ours_the_page_names_upstreams(world, base):
    """Conformance 18, 35: absolute and https, or not at all."""
    world.rendering(base_url=base)
    file = world.index.upload("six", provenance=True)
    world.mirror()
    assert world.read(key_of(file)) == file.provenance
    assert named(world) == [f"https://index.example.org{file.provenance_path}"]


def test_switched_off_nothing_is_fetched_and_upstreams_word_is_passed_on(world):
    world.rendering(provenance=False)
    file = world.index.upload("six", provenance=True)
    world.mirror()
    assert (asked(world), world.read(key_of(file))) == (0, None)
    assert named(world) == [f"https://index.example.org{file.provenance_path}"]
    world.rendering(provenance=True)
    world.mirror()
    assert named(world) == [f"{BASE}{file.path}.provenance"]
    assert world.read(key_of(file)) == file.provenance
    world.rendering(provenance=False)
    world.mirror()
    assert named(world) == [f"https://index.example.org{file.provenance_path}"]
    assert world.read(key_of(file)) is None
    assert world.upstream.requests("file:*.whl") == world.upstream.requests("file:*.whl")[:1]


def test_without_release_files_there_is_nothing_to_keep_it_beside(world):
    world.rendering(release_files=False)
    file = world.index.upload("six", provenance=True)
    world.mirror()
    assert asked(world) == 0
    assert named(world) == [f"https://index.example.org{file.provenance_path}"]


@pytest.mark.parametrize("wrong", ["of another file", "garbage", "too long"])
def test_a_document_that_is_not_the_files_own_is_told_and_not_published(world, wrong):
    """Conformance 79; the file itself is, and installs."""
    file = world.index.upload("six", provenance=True)
    said = {
        "of another file": provenance(file.filename, "ab" * 32),
        "garbage": b"<html>",
        "too long": b" " * (2 << 20),
    }
    world.index.set_provenance(file.filename, said[wrong])
    assert world.mirror().exit_code is ExitCode.WHOLE
    assert any(text.startswith(f"{file.filename}: upstream's provenance") for text in notices(world))
    assert (named(world), world.read(key_of(file))) == ([None], None)
    assert world.read(f"web{file.path}") == file.content
    world.index.set_provenance(file.filename, file.provenance)
    world.clock.now += DAY
    world.mirror()
    assert named(world) == [f"{BASE}{file.path}.provenance"]


def test_a_document_that_is_not_to_be_had_fails_nobody_and_is_asked_for_again_soon(world):
    file = world.index.upload("six", provenance=True)
    world.faults.add("provenance:*", Status(503))
    assert world.mirror().exit_code is ExitCode.WHOLE
    assert any("six: provenance is not to be had now" in text for text in notices(world))
    assert named(world) == [None]
    world.mirror()
    assert asked(world) == 1
    world.clock.now += 3600
    world.mirror()
    assert named(world) == [f"{BASE}{file.path}.provenance"]
    assert len(world.upstream.requests("file:*.whl")) == 1


def test_an_index_that_is_down_is_not_asked_for_every_document(world):
    for number in range(20):
        world.index.upload("six", f"1.{number}", provenance=True)
    world.faults.add("provenance:*", Status(503), times=None)
    world.options = replace(world.options, streams=1)
    assert world.mirror().exit_code is ExitCode.WHOLE
    assert asked(world) == TRIES


def test_a_document_that_upstream_names_and_has_not_is_not_named_here(world):
    file = world.index.upload("six", provenance=True)
    world.index.blobs.pop(file.provenance_path)
    assert world.mirror().exit_code is ExitCode.WHOLE
    assert named(world) == [None]


def test_documents_are_compared_again_in_time_although_the_page_stays(world):
    """Conformance 80, 105."""
    file = world.index.upload("six", provenance=True)
    world.index.upload("plain")
    world.mirror()
    serial = world.page("six")["meta"]["_last-serial"]
    other = provenance(file.filename, file.sha256, note="signed once more")
    world.index.set_provenance(file.filename, other)
    world.mirror()
    assert world.read(key_of(file)) == file.provenance
    world.clock.now += 18 * DAY
    world.mirror()
    assert world.read(key_of(file)) == other
    assert world.page("six")["meta"]["_last-serial"] == serial
    assert asked(world) == 2
    world.mirror()
    assert asked(world) == 2
    world.clock.now += 18 * DAY
    world.mirror()
    assert asked(world) == 3
    assert len(world.upstream.requests("file:*")) == 4  # two wheels and their metadata, once each
    assert verify_in(world)[1] == []


def test_a_look_that_fails_keeps_the_document_there_is(world):
    file = world.index.upload("six", provenance=True)
    world.mirror()
    for effect in (Status(500), None):
        world.clock.now += 18 * DAY
        if effect is None:
            world.index.set_provenance(file.filename, b"garbage")
        else:
            world.faults.add("provenance:*", effect)
        world.mirror()
        assert world.read(key_of(file)) == file.provenance
        assert named(world) == [f"{BASE}{file.path}.provenance"]


def test_what_could_not_be_compared_is_asked_for_in_an_hour_and_not_with_every_run(world):
    world.index.upload("six", provenance=True)
    world.mirror()
    world.clock.now += 18 * DAY
    world.faults.add("provenance:*", Status(503), times=None)
    world.mirror()
    assert asked(world) == 2
    world.mirror()
    world.sync("six")
    assert asked(world) == 2
    world.faults.clear()
    world.clock.now += 3700
    world.sync("six")
    assert asked(world) == 3
    world.sync("six")
    assert asked(world) == 3


def test_what_upstream_no_longer_names_goes(world):
    file = world.index.upload("six", provenance=True)
    world.mirror()
    world.index.set_provenance(file.filename, None)
    world.index.touch("six")
    world.mirror()
    assert (named(world), world.read(key_of(file))) == ([None], None)
    assert world.read(f"web{file.path}") == file.content


def test_it_goes_with_its_file(world):
    file = world.index.upload("six", provenance=True)
    world.index.upload("six", "2.0", provenance=True)
    world.mirror()
    world.index.delete_file("six", file.filename)
    world.mirror()
    assert world.read(key_of(file)) is None
    assert len([key for key in world.keys("web/packages/") if key.endswith(".provenance")]) == 1


def test_a_restored_file_has_its_provenance_back(world):
    file = world.index.upload("six", provenance=True)
    world.index.upload("six", "2.0")
    world.mirror()
    world.index.delete_file("six", file.filename)
    world.index.blobs.pop(file.provenance_path)
    world.mirror()
    world.restore(file.filename)
    assert world.read(key_of(file)) == file.provenance
    assert f"{BASE}{file.path}.provenance" in named(world)
    assert not [key for key in world.keys(".frumious/trash/") if file.filename in key]


def test_a_quarantined_project_has_none_and_gets_it_back_without_a_request(world):
    """Conformance 72."""
    world.index.upload("other")
    file = world.index.upload("six", provenance=True)
    world.mirror()
    world.index.quarantine("six")
    world.mirror()
    assert world.read(key_of(file)) is None
    world.index.unquarantine("six")
    world.mirror()
    assert world.read(key_of(file)) == file.provenance
    assert named(world) == [f"{BASE}{file.path}.provenance"]
    assert asked(world) == 1


def test_a_document_that_was_lost_is_fetched_again_with_the_next_look(world):
    file = world.index.upload("six", provenance=True)
    world.mirror()
    asyncio.run(world.storage.delete([key_of(file)]))
    world.index.touch("six")
    world.mirror()
    assert world.read(key_of(file)) == file.provenance
    assert len(world.upstream.requests("file:*.whl")) == 1


@pytest.mark.parametrize("harm", ["lost", "damaged"])
def test_verify_finds_and_mends_it(world, harm):
    file = world.index.upload("six", provenance=True)
    world.mirror()
    if harm == "lost":
        asyncio.run(world.storage.delete([key_of(file)]))
    else:
        asyncio.run(world.storage.write([Item(key_of(file), b"x" * len(file.provenance))]))
    found = [("provenance-wrong", key_of(file))]
    assert verify_in(world)[1] == found
    report, said = verify_in(world, repair=True)
    assert (report.repaired, said) == (1, found)
    assert world.read(key_of(file)) == file.provenance
    assert verify_in(world)[1] == []
    assert len(world.upstream.requests("file:*.whl")) == 1


def test_deleting_a_project_takes_it_away(world):
    world.index.upload("six", provenance=True)
    world.index.upload("seven", provenance=True)
    world.mirror()
    world.delete("six")
    assert [key for key in world.keys("web/packages/") if "six" in key] == []


def test_files_are_counted_without_it(world):
    world.index.upload("six", "1.0", "six-1.0.tar.gz", provenance=True)
    world.mirror()
    counts = world.catalog(lambda catalog: catalog.counts())
    assert counts["files"] == 1
    assert counts["bytes"] == sum(len(world.read(key)) for key in world.keys("web/packages/"))
