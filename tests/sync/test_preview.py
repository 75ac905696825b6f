"""`plan` says what `mirror` then does, and changes nothing; `explain` says which rule decided."""

import asyncio
from dataclasses import dataclass, replace

import pytest

from frumious.catalog.sqlite import open_catalog
from frumious.errors import UsageError
from frumious.filters.names import BlockNames
from frumious.filters.rules import KEEP, Selection, Verdict
from frumious.model.names import normalize
from frumious.sync.explain import Question, explain
from frumious.sync.options import Removal
from frumious.sync.ports import Ports
from frumious.sync.preview import preview
from support.index import SimulatedIndex
from support.index_faults import Status
from support.world import World


@dataclass(frozen=True)
class DropWheels:
    name: str = "drop_wheels"
    fingerprint: str = "wheels"
    needs_document: bool = False

    def judge_file(self, offer, file):
        return Verdict(False, "a wheel", self.name) if file.filename.endswith(".whl") else KEEP


@dataclass(frozen=True)
class Newest:
    name: str = "newest"
    fingerprint: str = "newest"
    needs_document: bool = False
    is_last: bool = True

    def decides_alone(self, name):
        return False

    def judge_releases(self, offer, releases):
        return {release: Verdict(False, "old", self.name) for release in sorted(releases)[:-1]}


@pytest.fixture
def world(tmp_path):
    index = SimulatedIndex()
    for version in ("1.0", "2.0"):
        index.upload("A", version)
        index.upload("A", version, f"a-{version}.tar.gz")
    index.upload("Foo.Bar", "1.0", "foo_bar-1.0.tar.gz", content=b"x" * 5000)
    index.upload("gamma", "1.0")
    return World(tmp_path, index=index)


def ask(world, work):
    async def inside():
        there = world.catalog_path.exists()
        catalog = await open_catalog(world.catalog_path if there else None, read_only=there)
        try:
            ports = Ports(
                world.upstream,
                world.storage,
                catalog,
                lambda _: None,
                world.clock,
                world.clock.sleep,
                lambda: 0.5,
            )
            return await work(ports)
        finally:
            await catalog.aclose()

    return asyncio.run(inside())


def plan(world):
    return ask(world, lambda ports: preview(ports, world.options))


def explained(world, name, **about):
    question = Question(normalize(name), name, **about)
    return ask(world, lambda ports: explain(ports, world.options, question))


def test_a_first_plan_says_what_the_first_run_does_and_makes_nothing(world):
    found = plan(world)
    assert not world.catalog_path.exists()
    assert world.keys() == []
    summary = world.mirror()
    assert (found.looked_at, found.updated) == (3, summary.updated) == (3, 3)
    assert found.fetch_files == summary.files == 6
    assert found.largest[0].name == "foo-bar"
    assert found.keep_projects == 0


def test_no_file_is_asked_for(world):
    plan(world)
    assert world.upstream.requests("file:*") == []


def test_with_nothing_new_nothing_is_planned(world):
    world.mirror()
    found = plan(world)
    assert (found.updated, found.fetch_files, found.remove_files) == (0, 0, 0)
    assert (found.keep_projects, found.keep_files) == (3, 6)


def test_removals_and_news_are_counted_as_the_run_then_makes_them(world):
    world.mirror()
    world.index.delete_project("gamma")
    world.index.delete_file("a", "a-1.0.tar.gz")
    world.index.upload("A", "3.0")
    found = plan(world)
    assert (found.remove_projects, found.remove_files, found.fetch_files) == (1, 2, 1)
    before = world.tree()
    assert world.tree() == before
    summary = world.mirror()
    assert summary.removed == ["gamma"]
    assert summary.files == 1


def test_each_rule_is_told_apart(world):
    world.mirror()
    rules = Selection((BlockNames(frozenset({normalize("gamma")})),), files=(DropWheels(),))
    world.options = replace(world.options, selection=rules, removal=Removal(max_projects=0, max_files=0))
    found = plan(world)
    assert found.rules["blocklist_project"].projects == 1
    assert found.rules["drop_wheels"].files == 2
    assert (found.remove_projects, found.remove_files) == (1, 3)
    assert found.guarded
    assert world.mirror().held_back["files"] == found.remove_files


def test_what_cannot_be_looked_at_is_named_and_the_rest_is_planned(world):
    world.faults.add("page:a", Status(500), times=None)
    found = plan(world)
    assert list(found.failed) == ["a"]
    assert found.updated == 2


# --------------------------------------------------------------------- explain


def test_a_dropped_project_names_its_rule(world):
    world.options = replace(
        world.options, selection=Selection((BlockNames(frozenset({normalize("gamma")})),))
    )
    found = explained(world, "gamma")
    assert not found.verdict.keep
    assert str(found.verdict) == "blocklist_project: in [blocklist] packages"
    assert found.source == "upstream"


def test_every_rule_is_asked_about_one_file(world):
    world.mirror()
    world.options = replace(world.options, selection=Selection(files=(DropWheels(),), releases=(Newest(),)))
    found = explained(world, "A", filename="a-1.0.tar.gz")
    assert found.source == "catalog"
    assert [(said.rule, said.verdict.keep) for said in found.said] == [
        ("drop_wheels", True),
        ("newest", False),
    ]
    assert str(found.verdict) == "newest: old"
    assert found.files[0].held
    assert explained(world, "A", version="2.0").verdict.keep


def test_a_project_that_is_kept_shows_the_fate_of_its_files(world):
    world.mirror()
    world.options = replace(world.options, selection=Selection(files=(DropWheels(),)))
    found = explained(world, "a")
    assert found.verdict.keep
    assert {fate.filename: fate.verdict.keep for fate in found.files}["a-2.0.tar.gz"]
    assert sum(not fate.verdict.keep for fate in found.files) == 2


@pytest.mark.parametrize("about", [{"version": "9.9"}, {"filename": "a-9.9.tar.gz"}])
def test_what_does_not_exist_is_an_error_that_names_it(world, about):
    with pytest.raises(UsageError, match=r"9\.9"):
        explained(world, "a", **about)


def test_a_project_that_upstream_does_not_have_is_said_to_be_so(world):
    found = explained(world, "nosuch")
    assert (found.source, found.verdict.keep) == ("nowhere", False)


def test_a_failing_project_says_why(world):
    world.faults.add("page:a", Status(500), times=None)
    world.mirror()
    world.faults.clear()
    assert "500" in explained(world, "a").owed
