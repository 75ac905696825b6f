"""What left can be had back and then stays; what the operator deletes is gone (design.md §5.5, §6.4)."""

import asyncio
import json
from dataclasses import replace

import pytest

from frumious.errors import UsageError
from frumious.filters.names import AllowNames, BlockNames
from frumious.filters.rules import KEEP, Selection, Verdict
from frumious.model.names import normalize
from frumious.storage.base import Item
from frumious.sync.delete import deletable
from frumious.sync.events import Notice
from frumious.sync.explain import Question, explain
from frumious.sync.options import Removal
from frumious.sync.preview import preview
from frumious.sync.remove import empty
from frumious.sync.summary import ExitCode
from frumious.sync.takeover import take_over
from frumious.sync.trash import empty_strays, listed, strays
from support.index import SimulatedIndex
from support.index_faults import Status
from support.world import World

DAY = 86400
TRASH = ".frumious/trash/"


@pytest.fixture
def world(tmp_path):
    index = SimulatedIndex()
    index.upload("A", "1.0", requires_python=">=3.8")
    index.upload("A", "2.0")
    index.upload("Foo.Bar", "1.0", "foo_bar-1.0.tar.gz")
    index.upload("gamma", "1.0")
    world = World(tmp_path, index=index)
    world.mirror()
    return world


class NoTwos:
    """Drops release 2.0 of everything."""

    name = "no_twos"
    fingerprint = "no twos"
    needs_document = False

    def judge_file(self, offer, file):
        return Verdict(False, "a two", self.name) if "2.0" in file.filename else KEEP


class Nobody:
    """Drops every project for what it offers."""

    name = "nobody"
    fingerprint = "nobody"
    needs_document = False

    def judge_project(self, offer):
        return Verdict(False, "whatever it offers", self.name)


def use(world, **changes):
    world.options = replace(world.options, **changes)


def block(*names):
    return Selection((BlockNames(frozenset(map(normalize, names))),))


def only(*names):
    return Selection((AllowNames(frozenset(map(normalize, names))),))


def told(world):
    return [event.text for event in world.events if isinstance(event, Notice)]


def trash(world):
    return world.keys(TRASH)


def in_trash(world, *names):
    async def ask(ports):
        return [row async for row in listed(ports, [normalize(name) for name in names])]

    return world.ask(ask)


def pages(world, name):
    """Return what a project's page says, without its serial."""
    page = world.page(name)
    return {key: value for key, value in page.items() if key != "meta"}


def head(world):
    return world.root()["meta"]["_last-serial"]


def journal(world):
    """Return the rows of the journal: name, action, serial."""

    async def work(catalog):
        return await catalog._read(
            lambda db: list(db.execute("SELECT name, action, serial FROM journal ORDER BY id"))
        )

    return world.catalog(work)


# ------------------------------------------------------------------------------------------------------- the list


def test_the_trash_says_what_lies_in_it_why_and_since_when(world):
    world.index.delete_project("a")
    world.index.quarantine("gamma")
    world.mirror()
    at = int(world.clock.now)
    rows = in_trash(world)
    assert {(row.project, row.reason) for row in rows} == {("a", "deleted"), ("gamma", "quarantined")}
    assert {row.at for row in rows} == {at}
    assert len(rows) == 6  # three wheels, their metadata
    assert {row.project for row in in_trash(world, "GAMMA")} == {"gamma"}
    assert in_trash(world, "foo-bar") == []


def test_what_a_filter_dropped_and_what_the_operator_deleted_say_so(world):
    use(world, selection=block("a"))
    world.mirror()
    world.clock.now += 3600
    world.delete("gamma")
    assert {(row.project, row.reason) for row in in_trash(world)} == {("a", "dropped"), ("gamma", "operator")}


def test_what_is_in_place_again_is_not_in_the_trash(world):
    world.index.quarantine("gamma")
    world.mirror()
    world.index.unquarantine("gamma")
    world.mirror()
    assert in_trash(world) == []


# ------------------------------------------------------------------------------------------------------- restored


def test_a_project_that_upstream_deleted_comes_back_whole_and_stays(world):
    before, old_head = pages(world, "a"), head(world)
    world.index.delete_project("a")
    world.mirror()
    summary = world.restore("A")
    assert (summary.exit_code, summary.files) == (ExitCode.WHOLE, 0)
    assert pages(world, "a") == before
    assert "A" in world.listed()
    assert world.page("a")["meta"]["_last-serial"] > old_head
    assert head(world) >= world.page("a")["meta"]["_last-serial"]
    assert trash(world) == []
    for _ in range(3):
        summary = world.mirror()
        assert (summary.exit_code, summary.removed, summary.vanished) == (ExitCode.WHOLE, [], [])
        world.clock.now += 40 * DAY
    assert pages(world, "a") == before


def test_restoring_again_changes_nothing(world):
    world.index.delete_project("a")
    world.mirror()
    world.restore("A")
    before = world.tree()
    assert world.restore("A").exit_code is ExitCode.WHOLE
    assert world.tree() == before


def test_a_file_that_upstream_deleted_comes_back_in_its_words_and_stays_beside_what_is_new(world):
    (gone,) = [name for name in world.filenames("a") if "1.0" in name]
    before = {file["filename"]: file for file in world.page("a")["files"]}
    world.index.yank("A", "2.0", "broken")
    world.index.delete_file("a", gone)
    world.mirror()
    assert gone not in world.filenames("a")
    world.restore(gone)
    after = {file["filename"]: file for file in world.page("a")["files"]}
    assert after[gone] == before[gone]
    assert after[gone]["requires-python"] == ">=3.8"
    assert after[gone]["core-metadata"]
    world.index.upload("A", "3.0")
    world.mirror()
    assert len(world.filenames("a")) == 3
    assert sorted(world.page("a")["versions"]) == ["1.0", "2.0", "3.0"]


def test_what_a_filter_drops_stays_when_it_is_restored(world):
    use(world, selection=Selection(files=(NoTwos(),)))
    world.mirror()
    (gone,) = [one.key.rpartition("/")[2] for one in released(world) if one.key.endswith(".whl")]
    world.restore(gone)  # it has not even left `web/`
    assert gone in world.filenames("a")
    world.index.upload("A", "3.0")
    world.index.upload("gamma", "2.0")
    world.mirror()
    assert len(world.filenames("a")) == 3
    assert all("2.0" not in name for name in world.filenames("gamma"))


def released(world):
    return world.catalog(lambda catalog: catalog.released_files())


@pytest.mark.parametrize("selection", [block("a"), only("foo.bar", "gamma"), Selection(offers=(Nobody(),))])
def test_one_file_of_a_project_that_the_filters_drop_stays_alone(world, selection):
    use(world, selection=selection, removal=Removal(max_projects=9))
    world.mirror()
    world.clock.now += 3600
    world.mirror()
    assert world.page("a") is None
    names = [row.key.rpartition("/")[2] for row in in_trash(world, "a") if row.key.endswith(".whl")]
    world.restore(names[0])
    assert world.filenames("a") == [names[0]]
    world.index.upload("A", "3.0")
    for _ in range(2):
        world.mirror()
        assert world.filenames("a") == [names[0]]
        world.clock.now += 40 * DAY
    use(world, selection=Selection())
    world.mirror()
    assert len(world.filenames("a")) == 3


def test_a_pinned_file_stays_alone_when_a_filter_newly_drops_its_project(world):
    (gone,) = [name for name in world.filenames("a") if "1.0" in name]
    world.index.delete_file("a", gone)
    world.mirror()
    world.restore(gone)
    use(world, selection=block("a"))
    assert world.ask(lambda ports: preview(ports, world.options)).remove_files == 1
    summary = world.mirror()
    assert (summary.exit_code, summary.removed) == (ExitCode.WHOLE, [])
    assert world.filenames("a") == [gone]
    use(world, selection=Selection())
    world.mirror()
    assert len(world.filenames("a")) == 2


def test_explain_tells_what_is_pinned(world):
    gone, stays = sorted(world.filenames("a"))
    world.index.delete_file("a", gone)
    world.mirror()
    world.restore(gone)
    use(world, selection=block("a"))
    world.mirror()

    def said(filename):
        question = Question(normalize("a"), "a", filename=filename)
        return world.ask(lambda ports: explain(ports, world.options, question))

    assert str(said(gone).verdict) == "pinned: brought back by `frumious trash restore`"
    assert [(fate.filename, fate.held) for fate in said(gone).files] == [(gone, True)]
    assert said(None).verdict.rule == "pinned"
    with pytest.raises(UsageError, match=stays):  # nobody asks upstream about the rest
        said(stays)


def test_the_guard_is_asked_about_the_rest_of_a_pinned_project(world):
    (gone,) = [name for name in world.filenames("a") if "1.0" in name]
    world.index.delete_file("a", gone)
    world.mirror()
    world.restore(gone)
    use(world, selection=block("a"), removal=Removal(max_projects=0, max_files=0, max_percent=0))
    summary = world.mirror()
    assert summary.held_back["files"] == 1
    assert len(world.filenames("a")) == 2
    use(world, removal=replace(world.options.removal, confirmed=summary.held_back["plan"]))
    assert world.mirror().exit_code is ExitCode.WHOLE
    assert world.filenames("a") == [gone]


@pytest.mark.parametrize("follow", [True, False])
def test_what_is_not_pinned_goes_when_upstream_deletes_the_project(world, follow):
    (gone,) = [name for name in world.filenames("a") if "1.0" in name]
    world.index.delete_file("a", gone)
    world.mirror()
    world.restore(gone)
    use(world, removal=Removal(follow=follow))
    world.index.delete_project("a")
    world.mirror()
    assert len(world.filenames("a")) == (1 if follow else 2)
    assert gone in world.filenames("a")
    world.mirror()
    assert len(world.filenames("a")) == (1 if follow else 2)


def test_a_project_that_is_back_upstream_has_its_new_files_and_the_pinned_ones(world):
    world.index.delete_project("a")
    world.mirror()
    world.restore("A")
    world.index.upload("a", "5.0")
    world.mirror()
    assert len(world.filenames("a")) == 3
    world.index.quarantine("a")
    world.mirror()
    assert world.filenames("a") == []


@pytest.mark.parametrize("days", [0, 30])
def test_quarantine_is_stronger_than_a_pin_and_the_pin_is_there_when_it_is_lifted(world, days):
    (gone,) = [name for name in world.filenames("a") if "1.0" in name]
    world.index.delete_file("a", gone)
    world.mirror()
    world.restore(gone)
    use(world, removal=Removal(trash_seconds=days * DAY))
    world.index.quarantine("a")
    world.mirror()
    assert world.filenames("a") == []
    assert [key for key in world.keys("web/packages/") if f"/{gone}" in key] == []
    world.clock.now += 90 * DAY
    world.mirror()  # the trash is emptied, but not of what is wanted back
    world.index.unquarantine("a")
    assert world.mirror().exit_code is ExitCode.WHOLE
    assert gone in world.filenames("a")
    assert len(world.filenames("a")) == 2


def test_what_upstream_deleted_while_it_was_in_quarantine_stays_out(world):
    world.index.quarantine("a")
    world.mirror()
    world.index.delete_project("a")
    world.mirror()
    world.clock.now += DAY
    world.mirror()
    world.restore("a")
    assert any("in quarantine" in text for text in told(world))
    for _ in range(2):
        assert world.filenames("a") == []
        assert "A" not in world.listed()
        world.clock.now += 40 * DAY
        world.mirror()


def test_other_bytes_under_the_name_of_a_pinned_file_do_not_take_its_place(world):
    (name,) = world.filenames("foo-bar")
    (before,) = world.page("foo-bar")["files"]
    world.index.replace("foo.bar", name, b"other bytes")
    world.mirror()
    assert world.page("foo-bar")["files"][0]["hashes"] != before["hashes"]
    world.restore(name)
    assert world.page("foo-bar")["files"][0]["hashes"] == before["hashes"]
    world.index.touch("foo.bar")
    world.mirror()
    assert world.page("foo-bar")["files"][0]["hashes"] == before["hashes"]


def test_upstreams_words_count_for_what_it_still_offers(world):
    use(world, selection=Selection(files=(NoTwos(),)))
    world.mirror()
    world.restore("A")
    world.index.yank("A", "2.0", "broken")
    world.mirror()
    yanked = {file["filename"]: file["yanked"] for file in world.page("a")["files"]}
    assert [said for name, said in yanked.items() if "2.0" in name] == ["broken"]


def test_what_is_known_is_enough_where_no_page_is_known(world):
    world.index.delete_project("foo.bar")
    world.mirror()

    async def forget(catalog):
        await catalog._write(lambda db: db.execute("DELETE FROM past_revision"))

    world.catalog(forget)
    world.restore("foo_bar-1.0.tar.gz")
    (file,) = world.page("foo-bar")["files"]
    assert file["filename"] == "foo_bar-1.0.tar.gz"
    assert world.page("foo-bar")["versions"] == ["1.0"]
    assert any("no page that listed it is known" in text for text in told(world))
    world.mirror()
    assert world.filenames("foo-bar") == ["foo_bar-1.0.tar.gz"]


def test_words_are_forgotten_with_the_last_byte(world):
    async def count(catalog):
        return await catalog._read(lambda db: db.execute("SELECT count(*) FROM past_revision").fetchone()[0])

    world.index.delete_project("foo.bar")
    world.index.delete_file("a", world.filenames("a")[0])
    world.mirror()
    assert world.catalog(count) == 2
    world.clock.now += 40 * DAY
    world.mirror()
    assert trash(world) == []
    assert world.catalog(count) == 0


def test_pages_follow_the_settings_and_the_pins(world):
    world.index.delete_project("foo.bar")
    world.mirror()
    world.restore("foo.bar")
    before = pages(world, "foo-bar")
    world.rendering(hash_index=True)
    world.mirror()
    assert world.page("foo-bar") is None
    page = json.loads(world.read("web/simple/f/foo-bar/index.v1_json"))
    assert page["files"][0]["filename"] == before["files"][0]["filename"]


def test_another_programs_page_gets_the_pinned_file_again(world):
    world.index.delete_project("foo.bar")
    world.mirror()
    world.restore("foo.bar")
    asyncio.run(world.storage.delete(world.keys("web/simple/foo-bar/")))
    asyncio.run(world.storage.write([Item("status", b"1")]))
    world.mirror()
    world.mirror()
    assert world.filenames("foo-bar") == ["foo_bar-1.0.tar.gz"]


def test_what_is_not_there_is_named_with_what_is(world):
    world.index.delete_project("gamma")
    world.mirror()
    before = world.tree()
    with pytest.raises(UsageError, match="'gama'") as caught:
        world.restore("gama")
    assert "gamma" in caught.value.hint
    with pytest.raises(UsageError, match=r"gamma-9\.0") as caught:
        world.restore("gamma", "gamma-9.0-py3-none-any.whl")
    assert "gamma-1.0-py3-none-any.whl" in caught.value.hint
    with pytest.raises(UsageError, match="neither"):
        world.restore("../x")
    assert world.tree() == before


def test_a_pinned_file_whose_bytes_are_lost_leaves_its_project_as_it_is(world):
    (gone,) = [name for name in world.filenames("a") if "1.0" in name]
    world.index.delete_file("a", gone)
    world.mirror()
    asyncio.run(world.storage.delete(trash(world)))
    world.faults.add(f"file:{gone}", Status(404), times=None)
    summary = world.restore(gone)
    assert summary.exit_code is ExitCode.OWED
    assert gone not in world.filenames("a")


# ------------------------------------------------------------------------------------------------------- unpinned


def test_a_project_without_pins_that_upstream_has_not_leaves_at_once(world):
    world.index.delete_project("a")
    world.mirror()
    before = pages(world, "a") if world.page("a") else None
    assert before is None
    world.restore("A")
    back = pages(world, "a")
    summary = world.unpin("A")
    assert summary.removed == ["a"]
    assert world.page("a") is None
    assert len(trash(world)) == 4
    world.restore("A")  # the words were not forgotten with the pin
    assert pages(world, "a") == back


def test_an_unpinned_file_leaves_and_the_others_stay(world):
    gone = world.filenames("a")
    world.index.delete_project("a")
    world.mirror()
    world.restore("A")
    world.unpin(gone[0])
    assert world.filenames("a") == gone[1:]
    world.mirror()
    assert world.filenames("a") == gone[1:]


@pytest.mark.parametrize("selection", [block("a"), Selection(files=(NoTwos(),))])
def test_what_the_filters_drop_leaves_when_it_is_not_pinned_any_more(world, selection):
    use(world, selection=selection)
    world.mirror()
    kept = world.filenames("a") if world.page("a") else None
    world.restore("A")
    assert len(world.filenames("a")) == 2
    world.unpin("A")
    assert (world.filenames("a") if world.page("a") else None) == kept


@pytest.mark.parametrize("way", ["deleted upstream", "dropped by name"])
def test_a_project_that_came_to_be_there_for_its_pins_alone_goes_with_them(world, way):
    use(world, selection=Selection(offers=(Nobody(),)), removal=Removal(max_projects=9))
    world.mirror()
    world.restore("A")
    if way == "deleted upstream":
        world.index.delete_project("a")
    else:
        use(world, selection=block("a"))
    world.mirror()
    assert len(world.filenames("a")) == 2
    world.unpin("A")
    assert world.page("a") is None


def test_what_upstream_offers_stays_when_it_is_not_pinned_any_more(world):
    (gone,) = [name for name in world.filenames("a") if "1.0" in name]
    world.index.delete_file("a", gone)
    world.mirror()
    world.restore(gone)
    world.unpin(gone)
    assert len(world.filenames("a")) == 1
    with pytest.raises(UsageError, match="not pinned"):
        world.unpin("gamma")


# -------------------------------------------------------------------------------------------------------- deleted


def test_a_deleted_project_leaves_list_pages_and_tree(world):
    world.rendering(legacy_json=True)
    world.mirror()
    old = head(world)
    summary = world.delete("A")
    assert (summary.exit_code, summary.removed) == (ExitCode.WHOLE, ["a"])
    assert world.listed() == ["Foo.Bar", "gamma"]
    assert [key for key in world.keys("web/") if "/a/" in key or key.endswith("/a")] == []
    assert len(trash(world)) == 4
    assert head(world) == old + 1
    assert journal(world)[-1][:2] == ("a", "remove")
    assert world.mirror().updated == 0
    assert world.listed() == ["Foo.Bar", "gamma"]


def test_it_comes_back_with_upstreams_next_change(world):
    world.delete("A")
    world.index.upload("A", "3.0")
    world.mirror()
    assert len(world.filenames("a")) == 3


def test_it_does_not_come_back_when_it_is_kept_out(world):
    world.delete("A", "never.seen", keep_out=True)
    world.index.upload("A", "3.0")
    world.index.upload("never-seen", "3.0")
    world.clock.now += 40 * DAY
    found = world.ask(lambda ports: preview(ports, world.options))
    assert found.rules["kept_out"].projects == 2
    summary = world.mirror()
    assert (summary.updated, world.listed()) == (0, ["Foo.Bar", "gamma"])
    said = world.ask(lambda ports: explain(ports, world.options, Question(normalize("a"), "A")))
    assert not said.verdict.keep
    assert str(said.verdict).startswith("kept_out: kept out by `frumious delete --keep-out` since 20")
    assert [one.rule for one in said.said] == ["kept_out"]


@pytest.mark.parametrize("selection", [Selection(), only("a", "gamma"), block("foo.bar")])
def test_naming_it_lets_it_in_again(world, selection):
    use(world, selection=selection)
    world.mirror()
    world.delete("A", keep_out=True)
    world.mirror()
    assert "A" not in world.listed()
    world.sync("A")
    assert "a: was kept out, and is not any more" in told(world)
    assert len(world.filenames("a")) == 2
    world.mirror()
    assert "A" in world.listed()


def test_restoring_it_lets_it_in_again(world):
    world.delete("A", keep_out=True)
    world.restore("A")
    assert "a: was kept out, and is not any more" in told(world)
    assert len(world.filenames("a")) == 2
    world.index.upload("A", "3.0")
    world.mirror()
    assert len(world.filenames("a")) == 3


def test_keeping_one_out_leaves_alone_what_was_asked_for_against_the_filters(world):
    use(world, selection=block("gamma"))
    world.mirror()
    world.sync("gamma")
    world.delete("A", keep_out=True)
    world.mirror()
    assert world.listed() == ["Foo.Bar", "gamma"]


def test_a_deleted_project_is_not_pinned_any_more(world):
    world.index.delete_project("a")
    world.mirror()
    world.restore("A")
    back = pages(world, "a")
    world.delete("A")
    world.mirror()
    assert world.page("a") is None
    world.restore("a")
    assert pages(world, "a") == back


def test_what_is_not_on_the_mirror_is_said_and_nothing_is_done(world):
    before = world.tree()
    summary = world.delete("nobody", "knows")
    assert (summary.exit_code, summary.removed) == (ExitCode.WHOLE, [])
    assert told(world) == ["nobody: not on this mirror", "knows: not on this mirror"]
    assert world.tree() == before


def test_a_project_that_failed_is_not_owed_any_more_when_it_is_deleted(world):
    world.index.upload("A", "3.0")
    world.faults.add("page:a", Status(500), times=None)
    assert world.mirror().owed == 1
    assert world.delete("A").owed == 0
    assert world.text("todo") is None


def test_without_a_grace_period_bytes_are_gone(world):
    use(world, removal=Removal(trash_seconds=0))
    world.delete("A")
    assert trash(world) == []
    assert [key for key in world.keys("web/packages/") if "/a-" in key.lower()] == []


def test_a_file_that_two_projects_list_stays(world):
    (name,) = world.filenames("foo-bar")
    key = next(key for key in world.keys("web/packages/") if key.endswith(name))

    async def share(catalog):
        held, _ = await catalog.held(normalize("foo-bar"), ())
        row = (await catalog.known([normalize("gamma")]))[normalize("gamma")]

        def work(db):
            db.execute(
                "INSERT INTO file (project, filename, source, object) SELECT p.id, 'other', 's', o.id"
                " FROM project p, object o WHERE p.name = ? AND o.key = ?",
                (row.name, held[name].key),
            )

        await catalog._write(work)

    world.catalog(share)
    world.delete("foo.bar")
    assert key in world.keys("web/packages/")


def test_pages_of_other_spellings_earlier_pages_and_the_other_layout_go_too(world):
    use(world, keep_versions=2)
    world.index.upload("Foo.Bar", "2.0")
    world.mirror(check=False)
    odd = [
        "web/simple/Foo.Bar/index.html",
        "web/simple/foo_bar/index.v1_json",
        "web/simple/fOO-bAR/index.html",
        "web/simple/f/foo-bar/index.html",
        "web/simple/foo-bar/versions/index_3_2026-01-01T000000.0Z.html",
        "web/json/Foo.Bar",
    ]
    asyncio.run(world.storage.write([Item(key, b"x") for key in odd]))
    found = world.ask(lambda ports: deletable(ports, {normalize("foo-bar"): "fOO-bAR"}))
    assert set(odd) <= set(found[0].pages)
    assert {key for key in world.keys("web/packages/") if "foo_bar" in key} == set(found[0].files)
    use(world, keep_versions=0)
    world.delete("fOO-bAR")
    assert [key for key in world.keys("web/") if "foo" in key.lower()] == []
    world.check()


def test_the_folder_of_another_project_is_left_alone(tmp_path):
    index = SimulatedIndex()
    for name in ("v", "versions"):
        index.upload(name, "1.0")
    world = World(tmp_path, index=index)
    world.rendering(hash_index=True)
    world.mirror()
    world.delete("v")
    assert world.keys("web/simple/v/") == [
        f"web/simple/v/versions/index.{kind}" for kind in ("html", "v1_html", "v1_json")
    ]


def test_a_tree_that_another_program_made_is_taken_over_first(world, tmp_path):
    place = tmp_path / "other"
    place.mkdir()
    other = World(place, index=world.index, storage=world.storage)
    asyncio.run(world.storage.delete(["status", "todo"]))
    summary = other.delete("A")
    assert summary.removed == ["a"]
    assert other.listed() == ["Foo.Bar", "gamma"]
    assert other.page("a") is None
    assert [key for key in other.keys("web/packages/") if "/a-" in key.lower()] == []
    assert other.mirror().files == 0


def test_a_page_that_only_the_tree_knows_goes(world):
    asyncio.run(world.storage.write([Item("web/simple/Stray/index.html", b"<html></html>")]))
    asyncio.run(world.storage.write([Item("web/simple/s/stray-two/index.html", b"<html></html>")]))
    assert sorted(world.delete("Stray", "stray.two").removed) == ["stray", "stray-two"]
    assert [key for key in world.keys("web/") if "tray" in key] == []


# -------------------------------------------------------------------------------------------------------- emptied


def test_the_trash_is_emptied_on_demand_of_what_is_old_enough(world):
    world.index.delete_project("a")
    world.mirror()
    world.clock.now += 5 * DAY
    world.index.delete_project("gamma")
    world.mirror()
    now = int(world.clock.now)
    assert world.ask(lambda ports: empty(ports, now - 3 * DAY))[0] == 4
    assert {row.project for row in in_trash(world)} == {"gamma"}
    assert world.ask(lambda ports: empty(ports, now + 60))[0] == 2
    assert trash(world) == []


def test_the_trash_of_a_lost_catalog_is_found_and_emptied(world, tmp_path):
    world.index.delete_project("a")
    world.mirror()
    world.catalog_path.unlink()
    world.ask(lambda ports: take_over(ports, world.options))
    world.index.delete_project("gamma")
    world.mirror()

    async def found(ports):
        return [stat.key async for stat in strays(ports)]

    assert len(world.ask(found)) == 4
    count, size = world.ask(empty_strays)
    assert count == 4
    assert size > 0
    assert {row.project for row in in_trash(world)} == {"gamma"}
    assert len(trash(world)) == 2
