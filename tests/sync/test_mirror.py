"""Scenarios: given an index, when we mirror, then these pages and files. Every run ends with the invariants."""

import asyncio
import hashlib
import json

import pytest

from frumious.errors import BadPage, BadStatus, NoSpace, StorageError, Unreachable
from frumious.filters.names import AllowNames, BlockNames
from frumious.filters.rules import Selection
from frumious.model.names import normalize
from frumious.sync.events import Notice
from frumious.sync.options import Removal
from frumious.sync.summary import ExitCode
from support.index import (
    Cut,
    Edit,
    EmptyList,
    Garbage,
    NoRange,
    OtherRange,
    Reset,
    ShortBytes,
    Stale,
    Status,
    Stuck,
    WrongBytes,
)
from support.world import START, Limits, World


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    made.index.upload("A", "1.0", "A-1.0.tar.gz")
    made.index.upload("Foo.Bar", "1.0")
    made.index.upload("Foo.Bar", "2.0", "foo_bar-2.0.tar.gz", requires_python=">=3.8")
    return made


def only(*names):
    return Selection((AllowNames(frozenset(map(normalize, names))),))


def notices(world):
    return [event.text for event in world.events if isinstance(event, Notice)]


# ---------------------------------------------------------------- first sync


def test_a_first_mirror_has_everything(world):
    summary = world.mirror()

    assert summary.exit_code is ExitCode.WHOLE
    assert (summary.updated, summary.unchanged, summary.files) == (2, 0, 3)
    assert world.listed() == ["A", "Foo.Bar"]
    assert sorted(world.filenames("foo-bar")) == ["foo_bar-1.0-py3-none-any.whl", "foo_bar-2.0.tar.gz"]
    assert world.text("status") == str(world.index.serial)
    assert world.text("generation") == "5"
    assert world.text("todo") is None
    assert world.text("web/last-modified").endswith("\n")


def test_pages_lie_where_bandersnatch_puts_them(world):
    world.mirror()
    kinds = ("index.html", "index.v1_html", "index.v1_json")
    expected = {f"web/simple/{place}{kind}" for place in ("", "a/", "foo-bar/") for kind in kinds}
    assert set(world.keys("web/simple/")) == expected
    wheel = world.index.file("foo_bar-1.0-py3-none-any.whl")
    assert f"web{wheel.path}" in world.keys("web/packages/")
    assert f"web{wheel.path}.metadata" in world.keys("web/packages/")
    assert len(world.keys("web/packages/")) == 4
    assert world.read("web/simple/a/index.html") == world.read("web/simple/a/index.v1_html")


def test_published_serials_are_upstreams_in_a_first_sync(world):
    world.mirror()
    assert world.page("a")["meta"]["_last-serial"] < world.page("foo-bar")["meta"]["_last-serial"]
    assert world.root()["meta"]["_last-serial"] == world.index.serial


def test_what_mirrors_of_this_mirror_follow_says_what_the_list_says(world):
    """Conformance 92."""

    def check():
        listed = json.loads(world.text("web/simple/index.v1_json"))
        expected = {normalize(project["name"]): project["_last-serial"] for project in listed["projects"]}
        assert json.loads(world.text("web/local.json")) == expected
        assert int(world.text("web/local.db.serial")) == listed["meta"]["_last-serial"]
        return expected

    world.mirror()
    assert set(check()) == {"a", "foo-bar"}
    world.index.delete_project("A")
    world.index.upload("B", "1.0")
    world.mirror()
    assert set(check()) == {"b", "foo-bar"}
    world.index.delete_project("B")
    world.index.delete_project("Foo.Bar")
    world.index.create("empty")
    world.mirror()
    assert set(check()) == {"empty"}


@pytest.mark.parametrize("key", ["web/local.json", "web/local.db.serial"])
def test_it_is_written_anew_where_it_is_missing(world, key):
    """As in a tree of bandersnatch, or of an earlier version."""
    world.mirror()
    before = world.text(key)
    asyncio.run(world.storage.delete([key]))

    world.mirror()

    assert world.text(key) == before


def test_a_second_run_asks_for_the_list_only_and_changes_nothing(world):
    world.mirror()
    before = world.tree()
    asked = len(world.upstream.requests())

    summary = world.mirror()

    (request,) = world.upstream.requests()[asked:]
    assert request.target == "list"
    assert request.etag is not None
    assert (summary.updated, summary.exit_code) == (0, ExitCode.WHOLE)
    after = world.tree()
    assert before.pop("web/last-modified") < after.pop("web/last-modified")
    assert after == before


def test_one_change_costs_one_page(world):
    world.mirror()
    world.index.upload("a", "1.1", "A-1.1.tar.gz")

    asked = len(world.upstream.requests())
    world.mirror()

    assert [r.target for r in world.upstream.requests()[asked:]] == ["list", "page:a", "file:A-1.1.tar.gz"]
    assert world.filenames("a") == ["A-1.0.tar.gz", "A-1.1.tar.gz"]
    assert world.text("status") == str(world.index.serial)


def test_an_empty_project_has_an_empty_page(world):
    world.index.create("empty")  # conformance 102
    world.mirror()
    assert world.filenames("empty") == []
    assert "empty" in world.listed()


# --------------------------------------------------------- files and metadata


def test_core_metadata_is_mirrored_and_advertised(world):
    world.mirror()
    page = {file["filename"]: file for file in world.page("foo-bar")["files"]}
    wheel = world.index.file("foo_bar-1.0-py3-none-any.whl")
    assert page[wheel.filename]["core-metadata"] == {"sha256": wheel.metadata_sha256}
    assert page["foo_bar-2.0.tar.gz"]["core-metadata"] is False
    assert world.read(f"web{wheel.path}.metadata") == wheel.metadata


def test_core_metadata_can_be_switched_off(tmp_path):
    world = World(tmp_path)
    world.rendering(core_metadata=False)
    world.index.upload("six", "1.0")
    world.mirror()
    assert not [key for key in world.keys() if key.endswith(".metadata")]
    assert "core-metadata" not in world.page("six")["files"][0]


def test_advertised_metadata_that_is_not_there_is_not_advertised_by_us(world):
    world.faults.add("file:*.metadata", Status(404), times=None)
    summary = world.mirror()
    assert summary.exit_code is ExitCode.WHOLE
    assert any("core metadata that it does not have" in text for text in notices(world))
    assert all(not file.get("core-metadata") for file in world.page("foo-bar")["files"])
    world.faults.clear()
    world.clock.now += 7200
    world.mirror()
    assert any(file.get("core-metadata") for file in world.page("foo-bar")["files"])


def test_core_metadata_that_was_not_to_be_had_twice_comes_with_a_later_look(tmp_path):
    world = World(tmp_path)
    wheel = world.index.upload("A", "1.0").filename
    world.faults.add(f"file:{wheel}.metadata", Status(404), times=2)
    for _ in range(2):
        world.mirror()
        assert world.page("a")["files"][0]["core-metadata"] is False
        world.clock.now += 2 * 3600
    world.clock.now += 40 * 86400
    world.mirror()
    assert world.page("a")["files"][0]["core-metadata"]


def test_a_back_filled_metadata_file_comes_without_the_wheel(world):
    world.index.upload("late", "1.0", metadata=None)
    world.mirror()
    world.index.backfill_metadata(
        "late", "late-1.0-py3-none-any.whl", b"Metadata-Version: 2.1\nName: late\nVersion: 1.0\n"
    )
    world.index.touch("late")
    asked = len(world.upstream.requests("file:*"))
    world.mirror()
    assert [r.target for r in world.upstream.requests("file:*")[asked:]] == [
        "file:late-1.0-py3-none-any.whl.metadata"
    ]


def test_files_carry_their_upload_time(world):
    world.mirror()
    file = next(f for f in world.page("a")["files"])
    (stat,) = [s for s in world_stats(world, "web/packages/") if s.key.endswith("A-1.0.tar.gz")]
    from datetime import datetime

    assert stat.modified == datetime.fromisoformat(file["upload-time"]).timestamp()


def world_stats(world, prefix):
    import asyncio

    async def collect():
        return [stat async for stat in world.storage.list(prefix)]

    return asyncio.run(collect())


@pytest.mark.parametrize("fault", [WrongBytes(), ShortBytes(), Status(500), Status(404), Reset(), Cut(10)])
def test_a_file_that_cannot_be_had_fails_its_project_alone(world, fault):
    world.faults.add("file:foo_bar-2.0.tar.gz", fault, times=None)

    summary = world.mirror()

    assert summary.exit_code is ExitCode.OWED
    assert list(summary.failed) == ["foo-bar"]
    assert world.page("foo-bar") is None
    assert world.listed() == ["A"]
    assert world.text("todo").splitlines()[0] == str(world.index.serial)
    assert world.text("todo").splitlines()[1].startswith("Foo.Bar ")
    assert world.text("web/last-modified") is None
    # conformance 98: nothing of the wrong file is visible; the good file of the same project is there already
    assert not [key for key in world.keys("web/") if "foo_bar-2.0" in key]
    assert [key for key in world.keys("web/") if "foo_bar-1.0" in key]


def test_a_failed_project_keeps_its_old_page_and_comes_next_time(world):
    world.mirror()
    old = world.page("a")
    world.index.upload("a", "1.1", "A-1.1.tar.gz")
    world.faults.add("file:A-1.1.tar.gz", WrongBytes(), times=None)
    assert world.mirror().exit_code is ExitCode.OWED
    assert world.page("a") == old
    assert world.text("status") == str(world.index.serial)

    world.faults.clear()
    summary = world.mirror()

    assert summary.exit_code is ExitCode.WHOLE
    assert len(world.filenames("a")) == 2
    assert world.text("todo") is None
    # late: above the head of the list that was out (design.md §5)
    assert world.page("a")["meta"]["_last-serial"] == world.index.serial + 1


def test_one_failing_project_never_holds_back_others(world):
    world.faults.add("page:a", Status(500), times=None)
    world.mirror()
    for version in ("3.0", "4.0"):
        world.index.upload("foo-bar", version)
        assert world.mirror().exit_code is ExitCode.OWED
        assert f"foo_bar-{version}-py3-none-any.whl" in world.filenames("foo-bar")
        assert world.text("status") == str(world.index.serial)


def test_a_body_that_breaks_off_is_resumed(world):
    big = bytes(range(256)) * 20_000
    world.index.upload("big", "1.0", content=big)
    (file,) = world.index.project("big").offered_files()
    world.faults.add(f"file:{file.filename}", Cut(3_000_000))

    assert world.mirror().exit_code is ExitCode.WHOLE

    _, second = world.upstream.requests(f"file:{file.filename}")
    assert second.headers["range"] == "bytes=3000000-"
    assert second.headers["if-range"]


@pytest.mark.parametrize("answer", [NoRange(), OtherRange()])
def test_an_upstream_that_cannot_resume_gives_the_whole_file(world, answer):
    world.index.upload("big", "1.0", content=bytes(range(256)) * 20_000)
    (file,) = world.index.project("big").offered_files()
    world.faults.add(f"file:{file.filename}", Cut(3_000_000))
    world.faults.add(f"file:{file.filename}", answer)
    assert world.mirror().exit_code is ExitCode.WHOLE
    assert len(world.filenames("big")) == 1


def test_bytes_that_are_in_place_are_not_downloaded_again(world):
    world.mirror()
    packages = {key: world.read(key) for key in world.keys("web/packages/")}
    lose_catalog(world)  # the tree is all there is
    asked = len(world.upstream.requests("file:*"))
    world.options = _with(world, force_check=True)  # and all of it is looked at

    summary = world.mirror()

    assert world.upstream.requests("file:*")[asked:] == []
    assert summary.adopted == 3
    assert {key: world.read(key) for key in world.keys("web/packages/")} == packages


def test_bytes_in_place_that_are_wrong_are_replaced_when_they_are_looked_at(world):
    world.mirror()
    lose_catalog(world)
    (key,) = [k for k in world.keys("web/packages/") if k.endswith("A-1.0.tar.gz")]
    good = world.read(key)
    put(world, key, b"x" * len(good))
    assert world.mirror(check=False).files == 0  # the size is right, and nobody has read it yet
    world.options = _with(world, force_check=True)
    summary = world.mirror()
    assert summary.exit_code is ExitCode.WHOLE
    assert summary.files == 1
    assert world.read(key) == good


def test_size_and_time_are_enough_if_the_operator_says_so(world):
    world.mirror()
    lose_catalog(world)
    world.options = _with(world, force_check=True, trust_stat=True)
    (key,) = [k for k in world.keys("web/packages/") if k.endswith("A-1.0.tar.gz")]
    good = world.read(key)
    asyncio.run(_spoil_unseen(world, key, good))
    world.mirror(check=False)
    assert world.read(key) != good


def test_a_wrong_time_is_mended_without_a_download(world):
    world.mirror()
    lose_catalog(world)
    (key,) = [k for k in world.keys("web/packages/") if k.endswith("A-1.0.tar.gz")]
    (before,) = asyncio.run(world.storage.stat([key]))
    asyncio.run(world.storage.date([(key, 5.0)]))
    world.options = _with(world, force_check=True, trust_stat=True)
    assert world.mirror().files == 0
    assert asyncio.run(world.storage.stat([key])) == [before]


async def _spoil_unseen(world, key, good):
    """Replace bytes under the same size and time."""
    from frumious.storage.base import Item, Options

    (stat,) = await world.storage.stat([key])
    await world.storage.write([Item(key, b"x" * len(good), Options(modified=stat.modified))])


def test_a_replaced_file_gets_a_path_of_its_own(world):
    world.mirror()
    before = world.page("a")["files"][0]
    world.index.replace("a", "A-1.0.tar.gz", b"other bytes under the same name")  # conformance 104
    world.mirror()
    (after,) = world.page("a")["files"]
    assert after["hashes"] != before["hashes"]
    assert after["url"] != before["url"]


# -------------------------------------------------------------- serials, stale


def test_a_stale_page_is_asked_for_again_and_never_published(world):
    world.mirror()
    world.index.upload("a", "1.1", "A-1.1.tar.gz")
    world.faults.add("page:a", Stale(), times=2)
    summary = world.mirror()  # conformance 93
    assert summary.exit_code is ExitCode.WHOLE
    assert len(world.filenames("a")) == 2
    assert world.clock.slept[:2] == [1.0, 2.0]
    assert [r.headers.get("cache-control") for r in world.upstream.requests("page:a")[-3:]] == [
        None,
        "no-cache",
        "no-cache",
    ]


def test_a_page_that_stays_stale_is_owed_and_accepted_after_a_day(world):
    world.mirror()
    world.index.upload("a", "1.1", "A-1.1.tar.gz")
    world.faults.add("page:a", Stuck(), times=None)

    summary = world.mirror()
    assert "says" in summary.failed["a"]
    assert world.text("todo").endswith(f"A {world.index.serial}")
    assert len(world.filenames("a")) == 1

    world.clock.now += 23 * 3600
    assert world.mirror().exit_code is ExitCode.OWED

    world.clock.now += 3600
    summary = world.mirror()
    assert summary.exit_code is ExitCode.WHOLE
    assert any("for a day; accepted" in text for text in notices(world))
    assert len(world.filenames("a")) == 2
    assert world.mirror().exit_code is ExitCode.WHOLE


def test_an_upstream_without_serials_is_compared_by_content(tmp_path):
    world = World(tmp_path, dialect="json-1.0-no-serials")
    world.index.upload("a", "1.0")
    world.index.upload("b", "1.0")
    assert world.mirror().exit_code is ExitCode.WHOLE
    assert world.text("status") is None  # unknown: left alone
    pages = {name: world.read(f"web/simple/{name}/index.v1_json") for name in "ab"}

    summary = world.mirror()
    assert (summary.updated, summary.unchanged) == (0, 2)

    world.index.upload("a", "2.0")
    summary = world.mirror()
    assert (summary.updated, summary.unchanged) == (1, 1)
    assert world.read("web/simple/b/index.v1_json") == pages["b"]
    assert world.page("a")["meta"]["_last-serial"] > json.loads(pages["a"])["meta"]["_last-serial"]


def test_string_serials_are_serials(tmp_path):
    world = World(tmp_path, dialect="json-string-serials")
    world.index.upload("a", "1.0")
    world.mirror()  # conformance 100
    assert world.page("a")["meta"]["_last-serial"] == world.index.serial
    assert world.text("status") == str(world.index.serial)


def test_a_change_of_no_serial_is_seen_at_the_re_check(world):
    world.mirror()
    before = world.page("a")["meta"]["_last-serial"]
    world.index.archive("a")
    world.mirror()
    assert "project-status" not in world.page("a") or world.page("a")["project-status"]["status"] == "active"
    world.clock.now += 15 * 86400
    world.mirror()  # conformance 77, 105
    assert world.page("a")["project-status"] == {"status": "archived"}
    assert world.page("a")["meta"]["_last-serial"] > before


def test_yanks_come_and_go(world):
    world.mirror()
    world.index.yank("a", "1.0", 'do "not" <use>\n\N{BUG}')
    world.mirror()  # conformance 75
    assert world.page("a")["files"][0]["yanked"] == 'do "not" <use>\n\N{BUG}'
    world.index.unyank("a", "1.0")
    world.mirror()
    assert world.page("a")["files"][0]["yanked"] is False


def test_a_quarantined_project_offers_nothing_and_is_not_listed(world):
    world.mirror()
    world.index.quarantine("a")
    world.clock.now += 15 * 86400  # gone from the list: seen at the re-check
    world.mirror()
    assert world.page("a")["files"] == []
    assert world.page("a")["project-status"]["status"] == "quarantined"
    assert world.listed() == ["Foo.Bar"]


def test_a_project_under_another_spelling_keeps_one_directory(world):
    world.mirror()
    world.index.rename("foo_bar")
    world.mirror()  # conformance 102
    assert [key for key in world.keys("web/simple/") if "bar" in key.lower()] == [
        f"web/simple/foo-bar/index.{kind}" for kind in ("html", "v1_html", "v1_json")
    ]
    assert "foo_bar" in world.listed()


def test_a_vanished_project_is_kept_and_reported_if_nothing_is_to_be_removed(world):
    world.options = _with(world, removal=Removal(follow=False))
    world.mirror()
    world.index.delete_project("a")
    summary = world.mirror()
    assert summary.vanished == ["a"]
    assert summary.exit_code is ExitCode.WHOLE
    assert world.page("a") is not None


def test_a_listed_project_without_a_page_is_no_failure_and_is_asked_again(world):
    world.faults.add("page:a", Status(404))
    summary = world.mirror()
    assert summary.exit_code is ExitCode.WHOLE
    assert world.listed() == ["Foo.Bar"]
    world.mirror()
    assert world.listed() == ["A", "Foo.Bar"]


# ------------------------------------------------------------------- the list


@pytest.mark.parametrize("fault", [Status(500), Status(404), Reset(), Garbage()])
def test_without_a_list_nothing_changes(world, fault):
    world.mirror()
    before = world.tree()
    world.index.upload("a", "2.0")
    world.faults.add("list", fault)
    with pytest.raises((BadStatus, BadPage, Unreachable)):
        world.mirror()
    assert world.tree() == before


def test_an_empty_list_where_there_was_one_changes_nothing(world):
    world.mirror()
    before = world.tree()
    world.index.upload("a", "2.0")
    world.faults.add("list", EmptyList())
    with pytest.raises(BadPage, match="empty"):
        world.mirror()
    assert world.tree() == before


def test_an_upload_during_the_run_is_not_claimed_by_status(world):
    seen = world.index.serial
    world.faults.add("page:a", Edit(lambda: world.index.upload("zeta", "1.0")))
    world.mirror()
    assert world.text("status") == str(seen)
    world.mirror()
    assert "zeta" in world.listed()


# ------------------------------------------------------------------ selection


def test_a_small_allowlist_does_not_fetch_the_list(world):
    world.options = _with(world, selection=only("foo-bar"))
    world.mirror()
    assert world.upstream.requests("list") == []
    assert world.listed() == ["Foo.Bar"] or world.listed() == ["foo-bar"]
    assert world.text("status") == str(world.index.serial)

    asked = len(world.upstream.requests())
    assert world.mirror().updated == 0
    requests = world.upstream.requests()[asked:]
    assert [r.target for r in requests] == ["serial", "page:foo-bar"]
    assert requests[1].etag is not None


def test_a_name_that_upstream_does_not_have_is_named(world):
    world.options = _with(world, selection=only("foo-bar", "no-such-project"))
    summary = world.mirror()
    assert summary.missing == ["no-such-project"]
    assert summary.exit_code is ExitCode.OWED
    assert world.text("todo") is None


def test_a_blocklist_drops(world):
    world.options = _with(world, selection=Selection((BlockNames(frozenset({normalize("a")})),)))
    world.mirror()
    assert world.listed() == ["Foo.Bar"]
    assert world.text("status") == str(world.index.serial)


def test_a_newly_allowed_project_comes_without_being_forced(world):
    block = Selection((BlockNames(frozenset({normalize("a")})),))
    world.options = _with(world, selection=block)
    world.mirror()
    world.options = _with(world, selection=Selection())
    world.mirror()
    assert world.listed() == ["A", "Foo.Bar"]
    assert (
        world.page("a")["meta"]["_last-serial"] > world.index.serial
    )  # newly allowed: above the head that was out


def _with(world, **changes):
    from dataclasses import replace

    return replace(world.options, **changes)


# ------------------------------------------------------------------ rendering


@pytest.mark.parametrize(
    ("change", "present", "absent"),
    [
        ({"html": False}, "web/simple/a/index.v1_json", "web/simple/a/index.html"),
        ({"json": False}, "web/simple/a/index.v1_html", "web/simple/a/index.v1_json"),
        ({"hash_index": True}, "web/simple/a/a/index.html", "web/simple/a/index.html"),
    ],
)
def test_a_change_of_form_renders_everything_again_without_a_request(world, change, present, absent):
    world.mirror()
    world.rendering(**change)
    asked = len(world.upstream.requests())
    world.mirror(check=False)
    assert [r.target for r in world.upstream.requests()[asked:]] == ["list"]
    assert world.read(present) is not None
    assert world.read(absent) is None


def test_without_release_files_links_are_upstreams(world):
    world.rendering(release_files=False)
    world.mirror()
    assert world.keys("web/packages/") == []
    (file,) = world.page("a")["files"]
    assert file["url"].startswith("https://files.example.org/packages/")
    assert file["hashes"]["sha256"] == world.index.file("A-1.0.tar.gz").sha256


def test_release_files_switched_on_later_come_without_a_page_request(world):
    world.rendering(release_files=False)
    world.mirror()
    world.rendering(release_files=True)
    asked = len(world.upstream.requests("page:*"))
    world.mirror()
    assert len(world.upstream.requests("page:*")) == asked
    assert world.page("a")["files"][0]["url"].startswith("../../packages/")


def test_root_uri_stands_before_every_link(world):
    world.rendering(root_uri="https://cdn.example.org")
    world.mirror()
    assert world.page("a")["files"][0]["url"].startswith("https://cdn.example.org/packages/")


def test_legacy_json_is_written_twice(world):
    world.rendering(legacy_json=True)
    world.mirror()
    document = world.text("web/json/foo-bar")
    assert json.loads(document)["info"]["name"] == "Foo.Bar"
    assert document.startswith('{\n    "')
    assert world.text("web/pypi/foo-bar/json") == document


def test_a_page_that_is_replaced_is_a_second_younger(world):
    world.clock.now = START
    world.mirror()
    (first,) = [
        s for s in world_stats(world, "web/simple/a/") if s.key.endswith("html") and "v1" not in s.key
    ]
    world.index.upload("a", "1.1")
    world.clock.now = first.modified - 100  # a clock that was set back
    world.mirror()
    (second,) = [
        s for s in world_stats(world, "web/simple/a/") if s.key.endswith("html") and "v1" not in s.key
    ]
    assert second.modified == first.modified + 1


# ------------------------------------------------------------ around the run


def test_two_projects_cannot_claim_one_path_with_different_bytes(world):
    wheel = world.index.upload("one", "1.0", content=b"one")
    world.mirror()
    thief = world.index.upload("two", "1.0", wheel.filename, content=b"two")
    upstream = world.upstream

    original = upstream.project

    async def project(name, etag, *, fresh=False):
        offered = await original(name, etag, fresh=fresh)
        if name == "two" and offered is not None:
            from dataclasses import replace

            from msgspec.structs import replace as struct_replace

            stolen = "https://files.example.org" + wheel.path
            files = tuple(struct_replace(f, url=stolen) for f in offered.detail.files)
            return replace(offered, detail=struct_replace(offered.detail, files=files))
        return offered

    upstream.project = project
    summary = world.mirror()
    assert "already held with other content" in summary.failed["two"]
    assert hashlib.sha256(world.read(f"web{wheel.path}")).hexdigest() == wheel.sha256
    assert thief.sha256 != wheel.sha256


def test_other_peoples_runs_are_noticed_and_what_they_changed_is_read(world):
    world.mirror()
    put(world, "status", b"1")
    asked = len(world.upstream.requests("page:*"))
    summary = world.mirror(check=False)
    assert any("another program" in text for text in notices(world))
    assert len(world.upstream.requests("page:*")) == asked
    assert (summary.unchanged, summary.files) == (2, 0)
    assert world.text("status") == str(world.index.serial)


@pytest.mark.parametrize("status", [b"", b"x"])
def test_a_status_that_says_nothing_makes_every_project_be_looked_at_again(world, status):
    world.mirror()
    put(world, "status", status)
    put(world, "web/simple/a/index.html", b"theirs")
    asked = len(world.upstream.requests("page:*"))
    summary = world.mirror(check=False)
    assert any("looked at again" in text for text in notices(world))
    assert len(world.upstream.requests("page:*")) == asked + 2
    assert summary.files == 0
    assert world.text("status") == str(world.index.serial)
    assert b"theirs" not in world.read("web/simple/a/index.html")


def test_a_tree_of_an_unknown_generation_is_refused(world):
    import asyncio

    from frumious.storage.base import Item

    asyncio.run(world.storage.write([Item("generation", b"9")]))
    with pytest.raises(StorageError, match="generation"):
        world.mirror()
    assert world.keys("web/") == []


def test_sync_takes_only_the_named_and_leaves_status(world):
    world.mirror()
    status = world.text("status")
    world.index.upload("a", "1.1")
    world.index.upload("foo-bar", "9.0")
    summary = world.sync("Foo_Bar")
    assert (summary.updated, summary.exit_code) == (1, ExitCode.WHOLE)
    assert len(world.filenames("a")) == 1
    assert world.text("status") == status
    world.mirror()
    assert len(world.filenames("a")) == 2


def test_sync_of_a_name_upstream_does_not_have(world):
    summary = world.sync("no-such")
    assert summary.missing == ["no-such"]
    assert summary.exit_code is ExitCode.OWED


def test_sync_brings_a_project_that_filters_drop(world):
    world.options = _with(world, selection=Selection((BlockNames(frozenset({normalize("a")})),)))
    world.mirror()
    world.sync("a")
    assert world.listed() == ["A", "Foo.Bar"] or world.listed() == ["a", "Foo.Bar"]


def test_too_little_space_is_told_before_the_first_byte(world):
    world.options = _with(world, selection=only("a", "foo-bar"), min_free=10**18)
    with pytest.raises(NoSpace, match="min-free"):
        world.mirror()
    assert world.upstream.requests("file:*") == []


def test_stop_on_error_ends_the_run_and_keeps_what_is_done(world):
    world.options = _with(world, stop_on_error=True, streams=1)
    world.faults.add("page:foo-bar", Status(500), times=None)
    summary = world.mirror()
    assert summary.stopped.startswith("stop-on-error")
    assert summary.exit_code is ExitCode.OWED
    assert world.listed() == ["A"]
    assert world.text("status") is None


def test_an_upstream_that_goes_silent_ends_the_run(tmp_path):
    world = World(tmp_path, streams=2)
    for number in range(60):
        world.index.upload(f"p{number}", "1.0")
    world.faults.add("page:*", Reset(), times=None)
    summary = world.mirror()
    assert "stopped answering" in summary.stopped
    assert len(world.upstream.requests("page:*")) < 30
    world.faults.clear()
    assert world.mirror().exit_code is ExitCode.WHOLE
    assert len(world.listed()) == 60


def test_a_newer_minor_version_is_processed_and_a_newer_major_refused(world):
    from support.index import ApiVersion

    world.faults.add("page:a", ApiVersion("1.9"))
    world.faults.add("page:foo-bar", ApiVersion("2.0"), times=None)
    summary = world.mirror()  # conformance 99
    assert list(summary.failed) == ["foo-bar"]
    assert world.page("a")["meta"]["api-version"] == "1.4"


def test_many_projects_go_through_many_batches(tmp_path):
    world = World(tmp_path)
    for number in range(40):
        world.index.upload(f"p{number}", "1.0")
    summary = world.mirror(limits=Limits(projects=7, seconds=5))
    assert (summary.updated, len(world.listed())) == (40, 40)


def test_equal_input_gives_equal_bytes(tmp_path):
    trees = []
    for place in ("one", "two"):  # conformance 40
        (tmp_path / place).mkdir()
        world = World(tmp_path / place)
        for number in range(10):
            world.index.upload(f"p{number}", "1.0")
        world.mirror()
        trees.append(world.tree())
    assert trees[0] == trees[1]


def test_a_full_disk_ends_the_run_and_nothing_is_torn(world):
    from support.faults import Failing

    for number in range(5):
        world.index.upload("many", f"1.{number}")
    full = Failing(world.storage, lambda key: NoSpace("no space left") if "many-1.3" in key else None)
    with pytest.raises(NoSpace):
        world.mirror(storage=full)
    world.check()
    assert world.mirror().exit_code is ExitCode.WHOLE  # space came back
    assert len(world.filenames("many")) == 5


def test_a_storage_fault_of_one_file_is_its_projects_alone(world):
    from support.faults import Failing

    for number in range(5):
        world.index.upload("many", f"1.{number}")
    odd = Failing(
        world.storage, lambda key: StorageError("File name too long") if "many-1.3" in key else None
    )
    summary = world.mirror(storage=odd)
    assert summary.failed == {"many": "File name too long"}
    assert world.listed() == ["A", "Foo.Bar"]


def test_a_defect_met_in_one_project_does_not_cost_the_others(world):
    original = world.upstream.project

    async def project(name, etag, *, fresh=False):
        if name == "a":
            raise ZeroDivisionError("a defect")
        return await original(name, etag, fresh=fresh)

    world.upstream.project = project
    summary = world.mirror()
    assert summary.failed == {"a": "internal error: ZeroDivisionError: a defect"}
    assert world.listed() == ["Foo.Bar"]


# ------------------------------------------------------------ another's tree


def lose_catalog(world):
    for suffix in ("", "-wal", "-shm"):
        world.catalog_path.with_name(world.catalog_path.name + suffix).unlink(missing_ok=True)


def test_sync_of_one_project_takes_over_the_tree_around_it(world):
    world.mirror()
    lose_catalog(world)
    world.sync("a")
    assert world.listed() == ["A", "Foo.Bar"]


def test_a_project_that_fails_while_its_tree_is_taken_over_stays_listed(world):
    world.mirror()
    lose_catalog(world)
    world.index.upload("a", "2.0")
    world.faults.add("page:a", Status(500), times=None)
    assert world.mirror().exit_code is ExitCode.OWED
    assert world.listed() == ["A", "Foo.Bar"]


def test_a_take_over_that_ends_early_leaves_the_list(world):
    world.mirror()
    before = world.listed()
    lose_catalog(world)
    world.options = _with(world, stop_on_error=True, streams=1)
    world.index.upload("a", "2.0")
    world.faults.add("page:a", Status(500), times=None)
    assert world.mirror().stopped
    assert world.listed() == before


def put(world, key, body):
    from frumious.storage.base import Item

    asyncio.run(world.storage.write([Item(key, body)]))
