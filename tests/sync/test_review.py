"""What could go wrong at night: interrupted first runs, two crashes in a row, changed settings beside failures,
upstreams that share, lose or reuse paths, projects that nobody selects any more.
"""

import asyncio
import hashlib
from dataclasses import replace

import pytest
from msgspec.structs import replace as struct_replace

from frumious.errors import NoSpace
from frumious.filters.names import AllowNames, BlockNames
from frumious.filters.rules import Selection
from frumious.model.names import normalize
from frumious.model.project import Digest
from frumious.storage.base import Item
from frumious.storage.local import LocalStorage
from frumious.sync.events import Notice
from frumious.sync.summary import ExitCode
from support.faults import Failing, PowerCut, StopAfter
from support.index import Cut, Reset, Status, WrongBytes
from support.world import Limits, World


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    made.index.upload("A", "1.0", "A-1.0.tar.gz")
    made.index.upload("Foo.Bar", "1.0")
    made.index.upload("gamma", "0.1")
    return made


def only(*names):
    return Selection((AllowNames(frozenset(map(normalize, names))),))


def block(*names):
    return Selection((BlockNames(frozenset(map(normalize, names))),))


def select(world, selection):
    world.options = replace(world.options, selection=selection)


def notices(world):
    return [event.text for event in world.events if isinstance(event, Notice)]


def asked_since(world, count, pattern="*"):
    return [r.target for r in world.upstream.requests()[count:] if r in world.upstream.requests(pattern)]


def put(world, key, body):
    asyncio.run(world.storage.write([Item(key, body)]))


def forget_catalog(world):
    for suffix in ("", "-wal", "-shm"):
        world.catalog_path.with_name(world.catalog_path.name + suffix).unlink(missing_ok=True)


def stopped(world, n, **options):
    """Run until the power fails before effect `n`; say whether it did."""
    try:
        world.mirror(storage=StopAfter(world.storage, n), check=False, **options)
    except (PowerCut, BaseExceptionGroup) as error:
        if not is_power_cut(error):
            raise
        return True
    return False


def is_power_cut(error):
    if isinstance(error, BaseExceptionGroup):
        return any(map(is_power_cut, error.exceptions))
    return isinstance(error, PowerCut)


class Rewritten:
    """An upstream whose pages say something else: `change(name, file) -> file`."""

    def __init__(self, inner, change):
        self._inner, self._change = inner, change

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def _detail(self, detail):
        files = tuple(self._change(detail.name, file) for file in detail.files)
        return struct_replace(detail, files=files)

    async def project(self, name, etag, *, fresh=False):
        offered = await self._inner.project(name, etag, fresh=fresh)
        return offered and replace(offered, detail=self._detail(offered.detail))

    def read(self, *arguments):
        return self._detail(self._inner.read(*arguments))


def rewrite(world, change):
    inner, world.upstream = world.upstream, Rewritten(world.upstream, change)
    return inner


# ------------------------------------------------------------ what is asked for


def test_a_name_that_is_typed_twice_is_looked_at_once(world):
    summary = world.sync("A", "a", "foo-bar", "Foo_Bar")
    assert (summary.updated, summary.exit_code) == (2, ExitCode.WHOLE)
    assert len(world.upstream.requests("page:*")) == 2


def test_projects_that_nobody_selects_any_more_do_not_stand_before_those_that_are_due(world):
    world.mirror()
    select(world, block("a"))
    world.mirror()
    world.clock.now += 20 * 86400
    world.mirror()
    assert world.catalog(lambda catalog: catalog.due(int(world.clock.now), 10)) == []


def test_a_failing_project_that_leaves_a_small_allowlist_leaves_the_ledger(world):
    select(world, only("a", "gamma"))
    world.faults.add("page:a", Status(500), times=None)
    assert world.mirror().exit_code is ExitCode.OWED
    select(world, only("gamma"))
    assert world.mirror().exit_code is ExitCode.WHOLE
    assert world.text("todo") is None


def test_a_project_that_leaves_the_list_is_asked_about_in_the_same_run(world):
    """Quarantined projects leave the list: nobody should be offered malware until the next re-check."""
    world.mirror()
    world.index.quarantine("a")
    world.mirror()
    assert world.page("a")["files"] == []
    assert world.listed() == ["Foo.Bar", "gamma"]


def test_a_deleted_project_is_not_asked_for_every_hour_for_ever(world):
    world.mirror()
    world.index.delete_project("a")
    for _ in range(24):
        world.clock.now += 3600
        world.mirror()
    assert len(world.upstream.requests("page:a")) <= 4


def test_a_deleted_project_does_not_cost_the_list_its_etag(world):
    world.mirror()
    world.index.delete_project("a")
    for _ in range(3):
        world.clock.now += 3 * 3600
        world.mirror()
    assert world.upstream.requests("list")[-1].status == 304


def test_a_name_with_a_line_break_in_the_list_spoils_nothing(world):
    original = world.upstream.project_list

    async def project_list(etag):
        offered = await original(etag)
        if offered is None:
            return None
        odd = struct_replace(offered.projects[0], name="odd\nname")
        return replace(offered, projects=(*offered.projects, odd))

    world.upstream.project_list = project_list
    assert world.mirror().exit_code is ExitCode.WHOLE
    world.index.upload("A", "1.1", "A-1.1.tar.gz")
    assert world.mirror().exit_code is ExitCode.WHOLE
    assert len(world.filenames("a")) == 2


def test_pages_without_a_serial_are_not_new_at_every_check(world):
    """A list with serials whose pages have none (a proxy that drops the header and rewrites the body)."""
    original = world.upstream.project

    async def project(name, etag, *, fresh=False):
        offered = await original(name, None, fresh=fresh)
        detail = struct_replace(offered.detail, serial=None)
        return replace(offered, detail=detail, etag=None)

    world.upstream.project = project
    world.mirror()
    before = world.read("web/simple/a/index.v1_json")
    world.clock.now += 30 * 86400
    world.mirror()
    assert world.read("web/simple/a/index.v1_json") == before


# ----------------------------------------------------- settings beside failures


def test_settings_that_change_after_an_interrupted_first_run_reach_every_page(world):
    for number in range(20):
        world.index.upload(f"p{number}", "1.0")
    assert stopped(world, 40, limits=Limits(projects=3, seconds=5))
    assert len(world.keys("web/simple/")) > 3, "something was published before the cut"
    world.rendering(json=False)
    assert world.mirror().exit_code is ExitCode.WHOLE
    assert [key for key in world.keys("web/simple/") if key.endswith("json")] == []


def test_a_project_that_cannot_be_rendered_again_is_owed_until_it_is(world):
    world.rendering(release_files=False)
    world.mirror()
    world.rendering(release_files=True)
    world.faults.add("file:A-1.0.tar.gz", Status(404), times=None)
    summary = world.mirror()
    assert "a" in summary.failed
    assert summary.exit_code is ExitCode.OWED
    assert world.page("gamma")["files"][0]["url"].startswith("../../packages/")

    summary = world.mirror()
    assert (summary.exit_code, summary.updated) == (ExitCode.OWED, 0), "the others are not rendered again"

    world.faults.clear()
    summary = world.mirror()
    assert (summary.exit_code, summary.updated) == (ExitCode.WHOLE, 1)
    assert world.page("a")["files"][0]["url"].startswith("../../packages/")


def test_a_project_that_is_rendered_late_leaves_nothing_in_its_old_place(world):
    world.rendering(release_files=False, legacy_json=True)
    world.mirror()
    world.rendering(release_files=True, hash_index=True, html=False, legacy_json=False)
    world.faults.add("file:A-1.0.tar.gz", Status(404), times=None)
    assert world.mirror(check=False).exit_code is ExitCode.OWED
    world.faults.clear()
    assert world.mirror(check=False).exit_code is ExitCode.WHOLE
    assert world.keys("web/simple/a/") == ["web/simple/a/a/index.v1_json"]
    assert world.keys("web/json/") == world.keys("web/pypi/") == []


def test_pages_that_are_rendered_again_are_asked_about_no_later(world):
    world.mirror()
    world.index.archive("a")  # no serial tells of it
    world.clock.now += 13 * 86400
    world.rendering(core_metadata=False)
    world.mirror()
    world.clock.now += 5 * 86400
    world.mirror()
    assert world.page("a")["project-status"] == {"status": "archived"}


def test_stop_on_error_stops_while_pages_are_rendered_again(world):
    world.rendering(release_files=False)
    world.mirror()
    world.options = replace(world.options, stop_on_error=True, streams=1)
    world.rendering(release_files=True)
    world.faults.add("file:A-1.0.tar.gz", Status(404), times=None)
    asked = len(world.upstream.requests())
    summary = world.mirror(check=False)
    assert summary.stopped
    assert [r.target for r in world.upstream.requests()[asked:]] == ["file:A-1.0.tar.gz"]
    world.faults.clear()
    assert world.mirror().exit_code is ExitCode.WHOLE


# --------------------------------------------------------------- after a crash


def test_pages_are_put_in_place_again_without_upstream(world):
    """Whatever was missing when a page was published, putting it in place again needs nobody but us."""
    world.faults.add("file:*.metadata", Status(404), times=None)
    for n in range(200):
        if not stopped(world, n, limits=Limits(projects=2, seconds=5)):
            break
        if world.catalog(lambda catalog: catalog.unsettled()):
            world.faults.clear()
            world.faults.add("file:*", Status(500), times=None)
            world.faults.add("page:*", Reset(), times=None)
            assert world.mirror().exit_code is ExitCode.OWED
            return
    pytest.fail("no run ended between the transaction and the renames")


def crash_after_status(world):
    """Let a run write `status` and die before the catalog says so."""

    class Dying(StopAfter):
        async def write(self, items):
            await super().write(items)
            if any(item.key == "status" for item in items):
                self._left = 0

    with pytest.raises(BaseException) as caught:  # noqa: PT011
        world.mirror(storage=Dying(world.storage, 10**9), check=False)
    assert is_power_cut(caught.value)


def crash_before_status(world):
    """Let a run die with everything settled and nothing of it written."""

    def rule(key):
        return NoSpace("full") if key == "generation" else None

    with pytest.raises(NoSpace):
        world.mirror(storage=Failing(world.storage, rule), check=False)


def test_two_crashes_in_a_row_are_not_taken_for_another_program(world):
    world.mirror()
    world.index.upload("A", "1.1", "A-1.1.tar.gz")
    crash_after_status(world)
    world.index.upload("A", "1.2", "A-1.2.tar.gz")
    crash_before_status(world)
    asked = len(world.upstream.requests("page:*"))
    assert world.mirror().exit_code is ExitCode.WHOLE
    assert not any("another program" in text for text in notices(world))
    assert len(world.upstream.requests("page:*")) == asked


def test_a_look_at_everything_goes_on_where_it_was_interrupted(world):
    for number in range(20):
        world.index.upload(f"p{number}", "1.0")
    world.mirror()
    put(world, "status", b"?")
    before = len(world.upstream.requests("page:*"))
    assert stopped(world, 4, limits=Limits(projects=3, seconds=5))
    first = len(world.upstream.requests("page:*")) - before
    assert 3 < first < 23
    assert world.mirror().exit_code is ExitCode.WHOLE
    assert len(world.upstream.requests("page:*")) - before < 23 + first
    assert world.text("status") == str(world.index.serial)


def test_status_is_never_ahead_of_todo(world):
    """A power cut may keep the younger of two writes and lose the older one (design.md §6.3)."""
    world.mirror()
    world.index.upload("A", "1.1", "A-1.1.tar.gz")
    world.faults.add("file:A-1.1.tar.gz", WrongBytes(), times=None)
    done = False
    for n in range(100):
        trial = World(world.catalog_path.parent / "none", storage=world.storage.lose(lambda _: True))
        del trial
        place = world.catalog_path.parent / f"n{n}"
        place.mkdir()
        again = World(place, index=world.index)
        again.upstream.faults.add("file:A-1.1.tar.gz", WrongBytes(), times=None)
        done = not stopped(again, n)
        effects = len(again.storage._effects)
        for kept in range(effects):
            left = again.storage.lose([kept])
            tree = World(place, storage=left, index=world.index)
            if tree.text("status") is not None:
                assert tree.text("todo") is not None, f"effect {n}, kept {kept}"
        if done:
            break
    assert done


def test_closing_waits_for_what_still_writes(tmp_path):
    """The lock goes after this: nothing of ours may be renaming then."""
    finished = []

    def slow(_folders):
        import time

        time.sleep(0.2)
        finished.append(True)

    async def run():
        storage = LocalStorage(tmp_path, sync=slow)
        task = asyncio.create_task(storage.barrier())
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await storage.aclose()

    asyncio.run(run())
    assert finished


# ------------------------------------------------------------- bytes and paths


def test_files_that_stand_in_place_need_no_space(world):
    world.mirror()
    forget_catalog(world)
    world.storage._free = 10
    world.options = replace(world.options, force_check=True)
    summary = world.mirror()
    assert summary.exit_code is ExitCode.WHOLE
    assert summary.adopted == 3


def on_disk(tmp_path, **options):
    folder = tmp_path / "mirror"
    folder.mkdir()
    return World(tmp_path, storage=LocalStorage(folder, sync=lambda _: None), **options)


def test_the_same_bytes_for_two_projects_over_a_bad_line(tmp_path):
    world = on_disk(tmp_path)
    body = bytes(range(256)) * 20_000
    for name in ("one", "two", "three"):
        world.index.upload(name, "1.0", content=body, metadata=False)
    world.faults.add("file:*", Cut(3_000_000), times=6)
    summary = world.mirror()
    assert summary.failed == {}
    assert summary.exit_code is ExitCode.WHOLE


def test_one_address_for_two_projects_that_is_stored_by_content(tmp_path):
    world = on_disk(tmp_path)
    wheel = world.index.upload("one", "1.0", "x-1.0.tar.gz", content=b"shared" * 1000)
    world.index.upload("two", "1.0", "x-1.0.tar.gz", content=b"shared" * 1000)
    address = "https://files.example.org/other/x-1.0.tar.gz"
    world.index.blobs["/other/x-1.0.tar.gz"] = world.index.blobs[wheel.path]
    rewrite(world, lambda _name, file: struct_replace(file, url=address))
    summary = world.mirror()
    assert (summary.failed, summary.exit_code) == ({}, ExitCode.WHOLE)


def test_a_path_that_another_project_got_meanwhile_is_not_overwritten(tmp_path):
    """`slow` looks at its files before `quick` publishes, and comes to the shared path after that."""
    world = World(tmp_path, streams=2)
    wheel = world.index.upload("quick", "1.0", content=b"quick", metadata=False)
    for number in range(12):
        world.index.upload("slow", f"{number}", f"slow-{number}.tar.gz")
    world.index.upload("slow", "99", wheel.filename, content=b"slow", metadata=False)
    own = world.index.project("slow").releases["99"].files[0].path

    def change(name, file):
        if name != "slow" or file.filename != wheel.filename:
            return file
        return struct_replace(file, url="https://other.example.org" + wheel.path)

    inner = rewrite(world, change)
    original = inner.file

    def slowly(address, **options):
        from contextlib import asynccontextmanager

        @asynccontextmanager
        async def opened(address=address):
            if "slow-" in address:
                await asyncio.sleep(0.05)
            if "other.example.org" in address:
                address = "https://files.example.org" + own
            async with original(address, **options) as body:
                yield body

        return opened()

    inner.file = slowly
    summary = world.mirror(limits=Limits(projects=1, seconds=0.01))
    assert list(summary.failed) == ["slow"]
    assert world.read(f"web{wheel.path}") == b"quick"


def test_core_metadata_that_changes_is_never_advertised_wrongly(world):
    """Whoever holds the page that is out must still get what it promises."""
    world.mirror()
    index = world.index
    wheel = index.file("foo_bar-1.0-py3-none-any.whl")
    index.backfill_metadata(
        "foo-bar", wheel.filename, b"Metadata-Version: 2.1\nName: foo-bar\nVersion: 1.0\nX: 1\n"
    )
    index.upload("foo-bar", "2.0", "foo_bar-2.0.tar.gz")
    summary = world.mirror()
    assert summary.exit_code is ExitCode.WHOLE
    assert "foo_bar-2.0.tar.gz" in world.filenames("foo-bar")
    assert world.mirror().exit_code is ExitCode.WHOLE


def test_core_metadata_of_another_project_is_not_overwritten(world):
    world.mirror()
    wheel = world.index.file("foo_bar-1.0-py3-none-any.whl")
    world.index.upload("evil", "1.0", wheel.filename, content=wheel.content, metadata=b"Name: evil\n")
    world.index.blobs[f"/evil{wheel.path}.metadata"] = world.index.blobs.pop(f"{wheel.path}.metadata")

    # Another host with the same path and the same file, and core metadata of its own.
    original = world.upstream.file

    def file(address, **options):
        if address.startswith("https://evil.example.org"):
            address = address.replace("https://evil.example.org", "https://files.example.org/evil")
        return original(address, **options)

    world.upstream.file = file

    def change(name, file):
        if name != "evil":
            return file
        return struct_replace(file, url=file.url.replace("files.example.org", "evil.example.org"))

    rewrite(world, change)
    world.mirror()  # checks that what foo-bar advertises is there


def test_a_file_that_comes_back_is_taken_over_whatever_its_digest(tmp_path):
    world = World(tmp_path)
    file = world.index.upload("a", "1.0", "a-1.0.tar.gz")
    world.index.upload("a", "2.0", "a-2.0.tar.gz")
    md5 = {f.sha256: f.md5 for f in (file, world.index.file("a-2.0.tar.gz"))}
    rewrite(world, lambda _, f: struct_replace(f, digest=Digest("md5", md5[f.digest.hex])))
    world.mirror()
    world.index.quarantine("a", "1.0")
    world.mirror()
    assert world.filenames("a") == ["a-2.0.tar.gz"]
    world.index.unquarantine("a", "1.0")
    summary = world.mirror()
    assert summary.failed == {}
    assert world.filenames("a") == ["a-1.0.tar.gz", "a-2.0.tar.gz"]


@pytest.mark.parametrize("digest", ["sha256", None])
def test_another_file_under_the_path_of_one_that_was_deleted(tmp_path, digest):
    """`/packages/<file name>`, as small index servers have it: deleted, mirrored, uploaded again with other bytes."""
    world = World(tmp_path)
    world.index.upload("a", "1.0", "a-1.0.tar.gz", content=b"first")
    world.index.upload("a", "2.0", "a-2.0.tar.gz")

    def change(_, file):
        new = struct_replace(file, url=f"https://files.example.org/packages/{file.filename}")
        return new if digest else struct_replace(new, digest=None)

    def publish():
        for release in world.index.project("a").releases.values():
            for file in release.files:
                world.index.blobs[f"/packages/{file.filename}"] = world.index.blobs[file.path]

    rewrite(world, change)
    publish()
    world.mirror()
    world.index.delete_release("a", "1.0")
    world.mirror()
    world.index.upload("a", "1.0", "a-1.0.tar.gz", content=b"second, other bytes")
    publish()
    summary = world.mirror()
    assert summary.failed == {}
    (file,) = [f for f in world.page("a")["files"] if f["filename"] == "a-1.0.tar.gz"]
    assert file["hashes"]["sha256"] == hashlib.sha256(b"second, other bytes").hexdigest()
