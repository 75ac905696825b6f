"""What upstream removed, and what filters drop, leaves: list, page, bytes to trash, deletion (design.md §5.5, §6.4)."""

from dataclasses import dataclass, replace

import pytest

from frumious.errors import UsageError
from frumious.filters.names import AllowNames, BlockNames
from frumious.filters.rules import KEEP, Selection, Verdict
from frumious.model.names import normalize
from frumious.storage.local import LocalStorage
from frumious.sync.options import Removal
from frumious.sync.remove import Holdings, is_too_much
from frumious.sync.summary import ExitCode
from support.faults import PowerCut, StopAfter
from support.index import SimulatedIndex
from support.index_faults import Status
from support.world import World

DAY = 86400
TRASH = ".frumious/trash/"


@pytest.fixture
def world(tmp_path):
    index = SimulatedIndex()
    index.upload("A", "1.0")
    index.upload("A", "2.0")
    index.upload("Foo.Bar", "1.0", "foo_bar-1.0.tar.gz")
    index.upload("gamma", "1.0")
    return World(tmp_path, index=index)


@dataclass(frozen=True)
class DropVersions:
    """Drops files by a part of their name."""

    part: str
    name: str = "drop_versions"
    needs_document: bool = False

    @property
    def fingerprint(self):
        return f"drop {self.part}"

    def judge_file(self, offer, file):
        drops = self.part in file.filename
        return Verdict(False, "said so", self.name) if drops else KEEP


@dataclass(frozen=True)
class DropProjects:
    """Drops projects for what they offer: fewer files than this."""

    least: int
    name: str = "drop_projects"
    needs_document: bool = False

    @property
    def fingerprint(self):
        return f"least {self.least}"

    def judge_project(self, offer):
        return KEEP if len(offer.files) >= self.least else Verdict(False, "too small", self.name)


def use(world, **changes):
    world.options = replace(world.options, **changes)


def block(*names):
    return Selection((BlockNames(frozenset(map(normalize, names))),))


def trash(world):
    return world.keys(TRASH)


def files(world, name=""):
    return [key for key in world.keys("web/packages/") if name in key]


# ------------------------------------------------------------- upstream removed


def test_a_project_that_upstream_deleted_leaves_with_its_bytes_in_the_same_run(world):
    world.mirror()
    world.index.delete_project("a")
    summary = world.mirror()
    assert summary.removed == ["a"]
    assert summary.exit_code is ExitCode.WHOLE
    assert world.listed() == ["Foo.Bar", "gamma"]
    assert world.keys("web/simple/a/") == []
    assert files(world, "/A-") == files(world, "/a-") == []
    assert len(trash(world)) == 4  # two wheels, their metadata
    assert world.mirror().updated == 0


def test_a_file_that_upstream_deleted_leaves_the_page_and_the_tree_in_the_same_run(world):
    world.mirror()
    (gone,) = [f for f in world.filenames("a") if "2.0" in f]
    world.index.delete_file("a", gone)
    summary = world.mirror()
    assert gone not in world.filenames("a")
    assert files(world, gone) == []
    assert summary.trashed == 2
    assert world.listed() == ["A", "Foo.Bar", "gamma"]


def test_one_404_is_no_proof_where_no_list_says_so(world):
    use(world, selection=Selection((AllowNames(frozenset({normalize("a"), normalize("gamma")})),)))
    world.mirror()
    world.faults.add("page:a", Status(404))
    assert world.mirror().removed == []
    assert world.page("a") is not None
    assert world.mirror().removed == []  # it was a moment's weakness
    world.index.delete_project("a")
    assert world.mirror().removed == []
    assert world.mirror().removed == ["a"]
    assert world.listed() == ["gamma"]


def test_a_page_that_is_back_makes_the_404_forgotten(world):
    use(world, selection=Selection((AllowNames(frozenset({normalize("a")})),)))
    world.mirror()
    for _ in range(3):
        world.faults.add("page:a", Status(404))
        world.mirror()
        world.mirror()
    assert world.page("a") is not None


def test_a_quarantined_project_loses_its_bytes_at_once_and_gets_them_back_without_a_download(world):
    world.mirror()
    before = files(world)
    world.index.quarantine("a")
    world.mirror()
    assert "A" not in world.listed()
    assert world.filenames("a") == []
    assert len(files(world)) == len(before) - 4
    world.index.unquarantine("a")
    summary = world.mirror()
    assert summary.files == 0
    assert files(world) == before
    assert "A" in world.listed()


def test_a_quarantined_project_has_no_legacy_document_until_it_is_lifted(world):
    """Conformance 73: a web server on the tree alone must not offer it either."""
    world.rendering(legacy_json=True)
    keys = ("web/json/a", "web/pypi/a/json")
    world.mirror()
    assert all(world.read(key) for key in keys)
    world.index.quarantine("a")
    world.mirror()
    assert [world.read(key) for key in keys] == [None, None]
    assert world.read("web/pypi/foo-bar/json") is not None
    world.index.unquarantine("a")
    world.mirror()
    assert all(world.read(key) for key in keys)


def test_quarantine_is_followed_even_where_nothing_else_is_removed(world):
    use(world, removal=Removal(follow=False, max_projects=0, max_files=0, max_percent=0))
    world.mirror()
    world.index.quarantine("a")
    summary = world.mirror()
    assert summary.exit_code is ExitCode.WHOLE
    assert world.filenames("a") == []
    assert files(world, "/a-") + files(world, "/A-") == []


def test_a_project_that_was_owed_and_is_deleted_leaves_the_list_too(world):
    world.mirror()
    world.index.upload("A", "3.0")
    world.faults.add("page:a", Status(500), times=None)
    assert world.mirror().owed == 1
    world.faults.clear()
    world.index.delete_project("a")
    assert world.mirror().removed == ["a"]
    assert world.listed() == ["Foo.Bar", "gamma"]
    assert world.text("todo") is None


def test_a_project_that_comes_back_in_another_spelling_leaves_one_directory(world):
    world.mirror()
    world.index.delete_project("foo.bar")
    world.mirror()
    world.index.upload("foo_bar", "1.0", "foo_bar-1.0.tar.gz", content=b"other")
    world.mirror()
    assert sorted({key.split("/")[2] for key in world.keys("web/simple/") if "foo" in key}) == ["foo-bar"]
    assert "foo_bar" in world.listed()


# --------------------------------------------------------------------- trash


def test_the_trash_is_emptied_when_its_time_has_come(world):
    world.mirror()
    world.index.delete_project("a")
    world.mirror()
    world.clock.now += 29 * DAY
    world.mirror()
    assert len(trash(world)) == 4
    world.clock.now += 2 * DAY
    world.mirror()
    assert trash(world) == []


def test_without_a_grace_period_bytes_go_at_once(world):
    use(world, removal=Removal(trash_seconds=0))
    world.mirror()
    world.index.delete_project("a")
    world.mirror()
    assert trash(world) == []
    assert files(world, "/a-") + files(world, "/A-") == []


def test_what_comes_back_with_other_bytes_is_downloaded(world):
    world.mirror()
    (name,) = world.filenames("foo-bar")
    world.index.delete_file("foo-bar", name)
    world.mirror()
    world.index.upload("Foo.Bar", "1.0", "foo_bar-1.0.tar.gz", content=b"quite other bytes")
    assert world.mirror().files == 1


# --------------------------------------------------------------------- filters


def test_what_a_filter_newly_drops_leaves_the_list_now_and_the_disk_an_hour_later(world):
    world.mirror()
    use(world, selection=block("a"))
    summary = world.mirror()
    assert summary.removed == ["a"]
    assert world.listed() == ["Foo.Bar", "gamma"]
    assert world.page("a") is None
    assert len(files(world, "/a-") + files(world, "/A-")) == 4  # for clients that hold the page
    world.clock.now += 3600
    world.mirror()
    assert files(world, "/a-") + files(world, "/A-") == []
    assert len(trash(world)) == 4


def test_what_is_allowed_again_in_time_is_not_downloaded_again(world):
    world.mirror()
    before = world.tree().keys()
    use(world, selection=block("a"))
    world.mirror()
    world.clock.now += 2 * DAY
    world.mirror()
    use(world, selection=Selection())
    assert world.mirror().files == 0
    assert world.tree().keys() == before


def test_a_file_filter_takes_effect_on_what_is_there_without_asking_upstream(world):
    world.mirror()
    use(world, selection=Selection(files=(DropVersions("2.0"),)))
    world.upstream.faults.clear()
    asked = len(world.upstream.requests("page:*"))
    summary = world.mirror()
    assert len(world.upstream.requests("page:*")) == asked
    assert summary.updated == 1
    assert all("2.0" not in name for name in world.filenames("a"))
    assert world.page("a")["versions"] == ["1.0"]
    use(world, selection=Selection())
    assert world.mirror().files == 0
    assert any("2.0" in name for name in world.filenames("a"))


def test_a_file_filter_takes_effect_although_upstream_says_that_nothing_has_changed(world):
    named = Selection((AllowNames(frozenset({normalize("a"), normalize("gamma")})),))
    use(world, selection=named)
    world.mirror()
    use(world, selection=replace(named, files=(DropVersions("2.0"),)))
    assert world.mirror().updated == 1
    assert all("2.0" not in name for name in world.filenames("a"))


def test_a_project_dropped_for_what_it_offers_is_not_asked_for_each_time(world):
    use(world, selection=Selection(offers=(DropProjects(2),)))
    summary = world.mirror()
    assert (summary.updated, summary.declined) == (1, 2)
    assert world.listed() == ["A"]
    asked = len(world.upstream.requests("page:*"))
    assert world.mirror().declined == 0
    assert len(world.upstream.requests("page:*")) == asked
    assert world.text("todo") is None


def test_a_declined_project_comes_when_the_filter_goes_and_leaves_when_it_returns(world):
    strict = Selection(offers=(DropProjects(2),))
    use(world, selection=strict)
    world.mirror()
    use(world, selection=Selection())
    world.mirror()
    assert world.listed() == ["A", "Foo.Bar", "gamma"]
    use(world, selection=strict)
    summary = world.mirror()
    assert sorted(summary.removed) == ["foo-bar", "gamma"]
    assert world.listed() == ["A"]
    assert world.page("gamma") is None


def test_a_declined_project_is_judged_by_the_filters_of_today_when_it_is_selected_again(world):
    use(world, selection=Selection(offers=(DropProjects(2),)))
    world.mirror()
    use(world, selection=Selection((AllowNames(frozenset({normalize("a")})),)), small_selection=0)
    world.mirror()
    use(world, selection=Selection())
    world.mirror()
    assert world.listed() == ["A", "Foo.Bar", "gamma"]


def test_a_declined_project_that_nobody_selects_stays_away_whatever_else_changes(world):
    use(world, selection=Selection(offers=(DropProjects(2),)))
    world.mirror()
    use(world, selection=block("gamma"))
    world.mirror()
    world.rendering(hash_index=True)
    world.mirror()
    assert world.listed() == ["A", "Foo.Bar"]


def test_what_filters_judge_again_is_looked_at_when_it_would_have_been(world):
    world.rendering(legacy_json=True)
    world.mirror()  # from the catalog: the documents come with the next look
    use(world, selection=Selection(files=(DropVersions("9.9"),)))
    world.mirror()
    world.clock.now += 2 * 3600
    use(world, selection=Selection(files=(DropVersions("9.8"),)))
    world.mirror()
    assert world.read("web/json/a") is not None


def test_a_declined_project_that_changes_its_offer_is_published(world):
    use(world, selection=Selection(offers=(DropProjects(2),)))
    world.mirror()
    world.index.upload("gamma", "2.0")
    world.mirror()
    assert "gamma" in world.listed()


@dataclass(frozen=True)
class HoldUntil:
    """Holds every file of 2.0 until an instant."""

    until: float
    name: str = "hold"
    needs_document: bool = False
    fingerprint: str = "hold"

    def judge_file(self, offer, file):
        if "2.0" in file.filename and offer.now < self.until:
            return Verdict(False, "too young", self.name, until=self.until)
        return KEEP


def test_a_verdict_that_time_turns_takes_effect_without_any_change_upstream(world):
    use(world, selection=Selection(files=(HoldUntil(world.clock.now + 5 * DAY),)))
    world.mirror()
    assert all("2.0" not in name for name in world.filenames("a"))
    head = world.root()["meta"]["_last-serial"]
    world.clock.now += 2 * DAY
    assert world.mirror().updated == 0
    world.clock.now += 3 * DAY
    assert world.mirror().updated == 1
    assert any("2.0" in name for name in world.filenames("a"))
    assert world.page("a")["meta"]["_last-serial"] > head


# ----------------------------------------------------------------------- guard


@pytest.mark.parametrize(
    ("projects", "files", "too_much"),
    [(0, 0, False), (10, 0, False), (11, 0, True), (0, 100, False), (0, 101, True), (11, 101, True)],
)
def test_the_guard_wants_number_and_share(projects, files, too_much):
    removal = Removal(max_projects=10, max_files=100, max_percent=5)
    assert is_too_much(projects, files, Holdings(200, 2000), removal) is too_much
    assert not is_too_much(projects, files, Holdings(10_000, 100_000), removal)


def guarded(world, **changes):
    use(world, removal=replace(Removal(max_projects=0, max_files=0, max_percent=5), **changes))


def test_too_much_at_once_removes_nothing_and_waits_for_the_operator(world):
    world.mirror()
    before = {key for key in world.tree() if not key.endswith("last-modified")}
    guarded(world)
    world.index.delete_project("a")
    world.index.delete_file("gamma", world.filenames("gamma")[0])
    summary = world.mirror()
    assert summary.exit_code is ExitCode.GUARDED
    assert summary.removed == []
    held = summary.held_back
    assert (held["projects"], held["files"]) == (1, 3)
    assert held["names"] == ("a", "gamma")
    assert {key for key in world.tree() if not key.endswith("last-modified")} == before
    assert world.filenames("gamma") != []
    # Nobody has confirmed anything: the next run says the same.
    assert world.mirror().held_back["plan"] == held["plan"]
    guarded(world, confirmed=held["plan"])
    summary = world.mirror()
    assert summary.exit_code is ExitCode.WHOLE
    assert summary.removed == ["a"]
    assert world.filenames("gamma") == []
    assert world.mirror().exit_code is ExitCode.WHOLE


def test_what_was_not_in_the_confirmed_plan_meets_the_guard_anew(world):
    world.mirror()
    guarded(world)
    world.index.delete_project("a")
    plan = world.mirror().held_back["plan"]
    world.index.delete_project("gamma")
    guarded(world, confirmed=plan)
    summary = world.mirror()
    assert summary.removed == ["a"]
    assert summary.held_back["names"] == ("gamma",)
    assert "gamma" in world.listed()


def test_other_news_comes_through_while_removals_wait(world):
    world.mirror()
    guarded(world)
    world.index.delete_file("a", world.filenames("a")[0])
    world.index.upload("A", "3.0")
    world.index.upload("delta", "1.0")
    summary = world.mirror()
    assert summary.held_back is not None
    assert len(world.filenames("a")) == 3
    assert "delta" in world.listed()
    world.check()


def test_a_filter_whose_removals_wait_has_not_taken_effect_and_does_when_they_are_confirmed(world):
    world.mirror()
    guarded(world)
    use(world, selection=block("a", "gamma"))
    plan = world.mirror().held_back["plan"]
    assert world.listed() == ["A", "Foo.Bar", "gamma"]
    guarded(world, confirmed=plan)
    world.mirror()
    assert world.listed() == ["Foo.Bar"]


def test_what_waits_for_the_operator_follows_the_settings(world):
    world.mirror()
    guarded(world)
    use(world, selection=block("a"))
    world.rendering(hash_index=True)
    assert world.mirror().held_back is not None
    assert world.read("web/simple/a/a/index.v1_json") is not None
    assert world.page("a") is None


def test_an_unknown_plan_is_refused_before_anything_happens(world):
    world.mirror()
    before = world.tree()
    guarded(world, confirmed="12345678")
    with pytest.raises(UsageError, match="12345678"):
        world.mirror()
    assert world.tree() == before


def test_nothing_is_removed_where_the_operator_keeps_everything(world):
    use(world, removal=Removal(follow=False))
    world.mirror()
    gone = world.filenames("a")[0]
    world.index.delete_file("a", gone)
    world.index.delete_project("gamma")
    world.index.upload("A", "3.0")
    for _ in range(3):
        world.mirror()
    assert gone in world.filenames("a")
    assert len(world.filenames("a")) == 3
    assert "gamma" in world.listed()
    use(world, removal=Removal())
    world.clock.now += 30 * DAY  # every project is due
    world.mirror()
    world.clock.now += DAY
    world.mirror()
    assert gone not in world.filenames("a")
    assert "gamma" not in world.listed()


def test_a_project_that_is_kept_against_the_filters_follows_the_settings_and_gets_nothing_new(world):
    use(world, removal=Removal(follow=False))
    world.mirror()
    use(world, selection=Selection(offers=(DropProjects(9),)))
    world.index.upload("gamma", "2.0")
    world.rendering(hash_index=True)
    world.mirror()
    assert world.read("web/simple/g/gamma/index.v1_json") is not None
    assert world.page("gamma") is None
    assert len(files(world, "gamma-2.0")) == 0
    assert "gamma" in world.listed()


def test_a_project_that_is_owed_stays_owed_when_only_settings_made_its_page_anew(world):
    world.mirror()
    world.index.upload("A", "3.0")
    world.faults.add("page:a", Status(500), times=None)
    assert world.mirror().owed == 1
    use(world, selection=Selection(files=(DropVersions("1.0"),)))
    summary = world.mirror()
    assert summary.owed == 1
    world.faults.clear()
    world.mirror()
    assert any("3.0" in name for name in world.filenames("a"))


def test_a_dropped_project_that_is_wanted_again_before_its_page_was_gone_stays(world):
    world.mirror()
    use(world, selection=block("a"))
    for n in range(60):
        stopping = StopAfter(world.storage, n)
        try:
            world.mirror(storage=stopping, check=False)
        except (PowerCut, ExceptionGroup):
            use(world, selection=Selection())
            world.mirror()
            assert world.page("a") is not None
            assert "A" in world.listed()
            use(world, selection=block("a"))
        else:
            break


# ---------------------------------------------------------------------- crashes


@pytest.mark.parametrize("change", ["project", "file", "filter", "offers"])
def test_a_removal_that_dies_anywhere_is_finished_by_the_next_run(tmp_path, change):
    for n in range(200):
        index = SimulatedIndex()
        for name in ("A", "gamma"):
            index.upload(name, "1.0")
            index.upload(name, "2.0")
        directory = tmp_path / f"{change}{n}"
        directory.mkdir()
        world = World(directory, index=index)
        world.mirror()
        match change:
            case "project":
                index.delete_project("a")
            case "file":
                index.delete_file("a", world.filenames("a")[0])
            case "filter":
                use(world, selection=block("a"))
            case "offers":
                index.delete_release("a", "1.0")
                use(world, selection=Selection(offers=(DropProjects(2),)))
        stopping = StopAfter(world.storage, n)
        try:
            world.mirror(storage=stopping, check=False)
        except (PowerCut, ExceptionGroup):
            world.check()
            world.mirror()
            world.clock.now += 3600
            world.mirror()
        else:
            assert n > 5
            break
        if change == "file":
            assert len(world.filenames("a")) == 1
        else:
            assert world.listed() == ["gamma"]
            assert world.keys("web/simple/a/") == []
        assert len(files(world)) == (6 if change == "file" else 4)
    else:
        pytest.fail("a run never came to its end")


def test_trash_lies_outside_the_web_tree_on_a_real_disk(tmp_path):
    index = SimulatedIndex()
    index.upload("A", "1.0")
    index.upload("b", "1.0")
    root = tmp_path / "mirror"
    root.mkdir()
    world = World(tmp_path, index=index, storage=LocalStorage(root))
    world.mirror()
    index.delete_project("a")
    world.mirror()
    assert [path for path in (root / "web").rglob("*") if "A-1" in path.name or "a-1" in path.name] == []
    assert list((root / ".frumious/trash").rglob("*.whl"))
    assert not [
        path for path in (root / "web/packages").rglob("*") if path.is_dir() and not any(path.iterdir())
    ]
