"""What every catalog must do; `frumious.catalog.base` is the text these tests read sentence by sentence."""

import asyncio
from dataclasses import replace

import pytest

from frumious.catalog.base import (
    DELETED,
    DROPPED,
    OPERATOR,
    QUARANTINED,
    Adopted,
    Applied,
    Backlog,
    Batch,
    Catalog,
    Check,
    Decline,
    Failure,
    Finish,
    HeldFile,
    Leave,
    Pin,
    Publication,
    Revision,
    Running,
    RunRecord,
    Trashed,
)
from frumious.errors import PathTaken
from frumious.model.names import normalize

SHA_A, SHA_B, SHA_M = "a" * 64, "b" * 64, "c" * 64


def run(coroutine):
    return asyncio.run(coroutine)


def publication(name="six", *, published=5, serial=5, **changes):
    values = {
        "name": normalize(name),
        "display": name,
        "serial": serial,
        "published": published,
        "revision": Revision("json", f"https://index.example.org/simple/{name}/", b'{"name": "x"}' * 50),
        "body_digest": b"body",
        "page_digest": b"page",
        "page_modified": 1000,
        "etag": '"e"',
        "due_at": 5000,
        "listed": True,
    }
    return Publication(**{**values, **changes})


def failure(name="six", **changes):
    values = {
        "name": normalize(name), "display": name, "wanted": 9, "kind": "bad-status", "message": "answered 500",
        "retry_at": 100,
    }  # fmt: skip
    return Failure(**{**values, **changes})


def held(filename="six-1.0.tar.gz", key="web/packages/aa/six-1.0.tar.gz", sha256=SHA_A, **changes):
    return HeldFile(filename, key, sha256, 10, f"sha256={sha256}", **changes)


def trashed(name, **changes):
    project = changes.pop("project", name.partition("-")[0])
    values = {
        "place": f".frumious/trash/{name}", "key": f"web/packages/x/{name}", "sha256": SHA_A, "size": 10,
        "project": project, "reason": DELETED, "at": 1,
    }  # fmt: skip
    return Trashed(**{**values, **changes})


def adopted(name="six", **changes):
    values = {
        "name": normalize(name), "display": name, "serial": 5, "published": 5, "page_modified": 1000, "due_at": 5000,
        "names": [file.filename for file in changes.get("hold", ())],
    }  # fmt: skip
    return Adopted(**{**values, **changes})


class CatalogContract:
    """Inherit, and give `open` as a method that returns a coroutine of a new, empty catalog."""

    def open(self, tmp_path):
        raise NotImplementedError  # the subclass says which catalog

    @pytest.fixture
    def use(self, tmp_path):
        def call(work):
            async def inside():
                catalog: Catalog = await self.open(tmp_path)
                try:
                    return await work(catalog)
                finally:
                    await catalog.aclose()

            return run(inside())

        return call

    def test_a_new_catalog_knows_nothing(self, use):
        async def work(catalog):
            state = await catalog.state()
            assert (state.head, state.status, state.todo, state.root_stale) == (0, None, None, True)
            assert await catalog.applied() is None
            assert await catalog.known([normalize("six")]) == {}
            assert await catalog.owed() == []
            assert await catalog.highest_published() == 0
            assert await catalog.counts() == {"projects": 0, "files": 0, "bytes": 0, "owed": 0}

        use(work)

    def test_a_publication_is_found_again(self, use):
        async def work(catalog):
            await catalog.commit_batch(Batch(at=1, published=[publication("Foo.Bar", hold=[held()])]))
            row = (await catalog.known([normalize("foo-bar"), normalize("other")]))[normalize("foo-bar")]
            assert (row.display, row.serial, row.published, row.etag) == ("Foo.Bar", 5, 5, '"e"')
            assert (row.body_digest, row.page_digest, row.page_modified) == (b"body", b"page", 1000)
            revision = await catalog.revision(normalize("foo-bar"))
            assert revision == publication("Foo.Bar").revision
            assert await catalog.projects("", 10) == [("foo-bar", "Foo.Bar", 5)]
            assert await catalog.names("", 10) == ["foo-bar"]
            assert await catalog.highest_published() == 5
            assert await catalog.counts() == {"projects": 1, "files": 1, "bytes": 10, "owed": 0}

        use(work)

    def test_a_publication_may_leave_the_time_of_the_next_look_as_it_was(self, use):
        async def work(catalog):
            await catalog.commit_batch(Batch(at=1, published=[publication()]))
            await catalog.commit_batch(Batch(at=2, published=[publication(due_at=None)]))
            assert await catalog.due(4999, 10) == []
            assert [row.name for row in await catalog.due(5000, 10)] == ["six"]

        use(work)

    def test_an_unlisted_project_has_a_page_but_is_not_in_the_list(self, use):
        async def work(catalog):
            await catalog.commit_batch(Batch(at=1, published=[publication(listed=False)]))
            assert await catalog.projects("", 10) == []
            assert await catalog.names("", 10) == ["six"]

        use(work)

    def test_projects_come_in_name_order_and_pages(self, use):
        async def work(catalog):
            names = ["b", "a", "c-d", "c"]
            await catalog.commit_batch(Batch(at=1, published=[publication(n) for n in names]))
            assert [row[0] for row in await catalog.projects("", 2)] == ["a", "b"]
            assert [row[0] for row in await catalog.projects("b", 9)] == ["c", "c-d"]

        use(work)

    def test_held_files_come_with_their_metadata_and_other_owners(self, use):
        async def work(catalog):
            file = held(metadata=SHA_M, metadata_size=3)
            await catalog.commit_batch(Batch(at=1, published=[publication("six", hold=[file])]))
            files, taken = await catalog.held(normalize("six"), [file.key])
            assert files == {file.filename: file}
            assert taken == {}
            files, taken = await catalog.held(normalize("other"), [file.key, "web/packages/none"])
            assert files == {}
            assert taken == {file.key: (SHA_A, 10)}

        use(work)

    def test_held_files_come_with_their_provenance_and_it_may_change_in_place(self, use):
        async def work(catalog):
            six, file = (
                normalize("six"),
                held(metadata=SHA_M, metadata_size=3, provenance=SHA_B, provenance_size=5),
            )
            await catalog.commit_batch(Batch(at=1, published=[publication("six", hold=[file])]))
            assert (await catalog.held(six, []))[0] == {file.filename: file}
            assert await catalog.unknown_objects([f"{file.key}.provenance"]) == []
            other = held(metadata=SHA_M, metadata_size=3, provenance=SHA_A, provenance_size=7)
            await catalog.commit_batch(Batch(at=2, published=[publication("six", hold=[other])]))
            assert (await catalog.held(six, []))[0] == {file.filename: other}
            assert await catalog.released(9, 0, 9) == []
            assert [one.files for one in await catalog.holdings([six])] == [[other]]
            bare = held(metadata=SHA_M, metadata_size=3)
            await catalog.commit_batch(Batch(at=3, published=[publication("six", hold=[bare])]))
            assert (await catalog.held(six, []))[0] == {file.filename: bare}
            (released,) = await catalog.released(9, 0, 9)
            assert (released.key, released.sha256, released.size) == (f"{file.key}.provenance", SHA_A, 7)

        use(work)

    def test_a_released_file_releases_its_provenance(self, use):
        async def work(catalog):
            file = held(provenance=SHA_B, provenance_size=5)
            await catalog.commit_batch(Batch(at=1, published=[publication("six", hold=[file])]))
            assert (await catalog.counts())["files"] == 1
            gone = publication("six", published=6, release=[file.filename])
            await catalog.commit_batch(Batch(at=2, published=[gone]))
            keys = [file.key, f"{file.key}.provenance"]
            assert sorted(one.key for one in await catalog.released(9, 0, 9)) == keys
            await catalog.forget_objects(keys)
            assert await catalog.counts() == {"projects": 1, "files": 0, "bytes": 0, "owed": 0}

        use(work)

    def test_many_names_and_keys_are_asked_for_at_once(self, use):
        async def work(catalog):
            names = [f"p{i}" for i in range(1500)]
            batch = [publication(n, hold=[held(key=f"web/packages/{n}")]) for n in names]
            await catalog.commit_batch(Batch(at=1, published=batch))
            assert len(await catalog.known([normalize(n) for n in [*names, "no"]])) == 1500
            _, taken = await catalog.held(normalize("no"), (f"web/packages/{n}" for n in names))
            assert len(taken) == 1500

        use(work)

    def test_a_path_that_stands_for_other_bytes_is_refused_and_nothing_is_recorded(self, use):
        async def work(catalog):
            await catalog.commit_batch(Batch(at=1, published=[publication("one", hold=[held()])]))
            with pytest.raises(PathTaken):
                await catalog.commit_batch(
                    Batch(
                        at=2,
                        published=[publication("innocent"), publication("two", hold=[held(sha256=SHA_B)])],
                    )
                )
            assert await catalog.names("", 10) == ["one"]
            same = publication("three", hold=[held(filename="other-name.tar.gz")])
            await catalog.commit_batch(Batch(at=3, published=[same]))
            assert (await catalog.counts())["files"] == 1

        use(work)

    def test_a_released_file_is_no_longer_the_projects(self, use):
        async def work(catalog):
            await catalog.commit_batch(Batch(at=1, published=[publication(hold=[held()])]))
            await catalog.commit_batch(
                Batch(at=2, published=[publication(published=6, release=["six-1.0.tar.gz"])])
            )
            files, taken = await catalog.held(normalize("six"), [held().key])
            assert (files, taken) == ({}, {})
            assert (await catalog.counts())["files"] == 1  # its bytes are there until somebody collects them

        use(work)

    def test_a_path_that_no_page_refers_to_is_free_for_other_bytes(self, use):
        async def work(catalog):
            file = held(metadata=SHA_M, metadata_size=3)
            await catalog.commit_batch(Batch(at=1, published=[publication("one", hold=[file])]))
            await catalog.commit_batch(Batch(at=2, published=[publication("two", hold=[file])]))
            other = held(sha256=SHA_B, metadata=SHA_A, metadata_size=4)
            gone = publication("one", published=6, release=[file.filename])
            await catalog.commit_batch(Batch(at=3, published=[gone]))
            with pytest.raises(PathTaken):
                await catalog.commit_batch(Batch(at=4, published=[publication("three", hold=[other])]))
            gone = publication("two", published=6, release=[file.filename])
            await catalog.commit_batch(Batch(at=5, published=[gone, publication("three", hold=[other])]))
            files, _ = await catalog.held(normalize("three"), [])
            assert files == {other.filename: other}

        use(work)

    def test_settings_that_have_begun_are_known_until_a_run_has_come_through(self, use):
        async def work(catalog):
            for rendering in ("one", "two", "one"):
                await catalog.begin(rendering)
            assert (await catalog.state()).begun == ("one", "two")
            record = RunRecord("mirror", 1, 2, 0, "{}")
            await catalog.finish(Finish(record))
            assert (await catalog.state()).begun == ("one", "two")
            await catalog.finish(Finish(record, rendering="two"))
            state = await catalog.state()
            assert (state.rendering, state.begun) == ("two", ())

        use(work)

    def test_what_stands_in_the_state_files_is_taken_for_ours(self, use):
        async def work(catalog):
            await catalog.settle(head=1, status="2", todo="t")
            await catalog.found(status="1", todo=None)
            state = await catalog.state()
            assert (state.status, state.todo) == ("1", None)

        use(work)

    def test_a_failure_can_ask_for_the_page_to_be_read_again(self, use):
        async def work(catalog):
            await catalog.commit_batch(Batch(at=1, published=[publication()]))
            await catalog.commit_batch(Batch(at=2, failed=[failure(refetch=True)]))
            row = (await catalog.known([normalize("six")]))[normalize("six")]
            assert (row.etag, row.body_digest, row.page_digest) == (None, None, None)
            assert (row.serial, row.published, row.attempts) == (5, 5, 1)

        use(work)

    def test_publications_are_unsettled_until_a_later_batch_or_settle(self, use):
        async def work(catalog):
            await catalog.commit_batch(Batch(at=1, published=[publication("a"), publication("b")]))
            assert await catalog.unsettled() == ["a", "b"]
            await catalog.commit_batch(Batch(at=2, published=[publication("c")]))
            assert await catalog.unsettled() == ["c"]
            await catalog.commit_batch(Batch(at=2, published=[publication("d")], settles=False))
            assert await catalog.unsettled() == ["c", "d"]
            await catalog.settle(head=7, status="7", todo=None)
            assert await catalog.unsettled() == []
            state = await catalog.state()
            assert (state.head, state.writing_status, state.status) == (7, "7", None)

        use(work)

    def test_the_head_never_falls(self, use):
        async def work(catalog):
            await catalog.settle(head=7, status=None, todo=None)
            await catalog.settle(head=3, status=None, todo=None)
            assert (await catalog.state()).head == 7

        use(work)

    def test_failures_are_counted_and_a_success_strikes_them_off(self, use):
        async def work(catalog):
            await catalog.commit_batch(Batch(at=10, failed=[failure()]))
            await catalog.commit_batch(Batch(at=20, failed=[failure(message="answered 503", retry_at=200)]))
            (owed,) = await catalog.owed()
            assert (owed.attempts, owed.since, owed.message, owed.retry_at) == (2, 10, "answered 503", 200)
            assert (await catalog.counts())["owed"] == 1
            assert await catalog.names("", 10) == []
            assert [row.name for row in await catalog.due(199, 10)] == []
            assert [row.name for row in await catalog.due(200, 10)] == ["six"]
            await catalog.commit_batch(Batch(at=30, published=[publication()]))
            assert await catalog.owed() == []

        use(work)

    def test_a_failure_keeps_what_is_published(self, use):
        async def work(catalog):
            await catalog.commit_batch(Batch(at=1, published=[publication()]))
            await catalog.commit_batch(Batch(at=2, failed=[failure()]))
            row = (await catalog.known([normalize("six")]))[normalize("six")]
            assert (row.published, row.attempts) == (5, 1)
            await catalog.forget_failures([normalize("six")])
            assert await catalog.owed() == []

        use(work)

    def test_a_stuck_serial_is_dated_from_its_first_sight(self, use):
        async def work(catalog):
            six = [normalize("six")]
            await catalog.commit_batch(Batch(at=10, failed=[failure(stuck_serial=4)]))
            await catalog.commit_batch(Batch(at=20, failed=[failure(stuck_serial=4)]))
            row = (await catalog.known(six))[six[0]]
            assert (row.stuck_serial, row.stuck_since) == (4, 10)
            await catalog.commit_batch(Batch(at=30, failed=[failure(stuck_serial=5)]))
            row = (await catalog.known(six))[six[0]]
            assert (row.stuck_serial, row.stuck_since) == (5, 30)
            await catalog.commit_batch(Batch(at=40, failed=[failure()]))
            row = (await catalog.known(six))[six[0]]
            assert (row.stuck_serial, row.stuck_since) == (None, None)

        use(work)

    def test_a_check_moves_the_due_time(self, use):
        async def work(catalog):
            await catalog.commit_batch(
                Batch(at=1, published=[publication("a", due_at=50), publication("b", due_at=40)])
            )
            assert [row.name for row in await catalog.due(49, 10)] == ["b"]
            assert [row.name for row in await catalog.due(50, 10)] == ["b", "a"]
            assert [row.name for row in await catalog.due(50, 1)] == ["b"]
            await catalog.commit_batch(Batch(at=50, checked=[Check(normalize("b"), 8, '"f"', 900)]))
            row = (await catalog.known([normalize("b")]))[normalize("b")]
            assert (row.serial, row.etag) == (8, '"f"')
            assert [row.name for row in await catalog.due(50, 10)] == ["a"]
            await catalog.commit_batch(Batch(at=50, checked=[Check(normalize("a"), 8, None, None)]))
            assert [row.name for row in await catalog.due(50, 10)] == ["a"]

        use(work)

    def test_holdings_are_what_published_projects_hold_in_order(self, use):
        async def work(catalog):
            names = [normalize(name) for name in ("six", "ten", "gone", "none")]
            two = held(
                "six-2.0.tar.gz", "web/packages/bb/six-2.0.tar.gz", SHA_B, metadata=SHA_M, metadata_size=3
            )
            await catalog.commit_batch(
                Batch(
                    at=1, published=[publication("ten"), publication("gone"), publication(hold=[two, held()])]
                )
            )
            await catalog.leave([Leave(names[2], DELETED)], 2)
            holdings = await catalog.holdings(names)
            assert [holding.row.name for holding in holdings] == ["six", "ten"]
            assert holdings[0].files == [held(), two]
            assert holdings[1].files == []
            assert holdings[0].row == (await catalog.known(names))[names[0]]
            assert all(holding.is_unsettled and holding.is_readable for holding in holdings)
            await catalog.settle(head=9, status=None, todo=None)
            assert not any(holding.is_unsettled for holding in await catalog.holdings(names))

        use(work)

    def test_unknown_objects_are_those_that_nothing_is_recorded_of(self, use):
        async def work(catalog):
            await catalog.commit_batch(
                Batch(at=1, published=[publication(hold=[held(metadata=SHA_M, metadata_size=3)])])
            )
            key = held().key
            asked = ["web/packages/z", key, f"{key}.metadata", "web/packages/a"]
            assert await catalog.unknown_objects(asked) == ["web/packages/z", "web/packages/a"]
            await catalog.commit_batch(Batch(at=2, published=[publication(release=[held().filename])]))
            assert await catalog.unknown_objects(asked) == ["web/packages/z", "web/packages/a"]  # it waits
            many = [f"web/packages/{number:04}" for number in range(1200)]
            assert await catalog.unknown_objects(many) == many

        use(work)

    def test_what_is_doubted_is_read_again_and_stays_published(self, use):
        async def work(catalog):
            six, ten = normalize("six"), normalize("ten")
            file = held(metadata=SHA_M, metadata_size=3)
            await catalog.commit_batch(Batch(at=1, published=[publication(hold=[file]), publication("ten")]))
            before = await catalog.known([six, ten])
            await catalog.doubt([six], files=False)
            after = await catalog.known([six, ten])
            assert after[ten] == before[ten]
            assert after[six] == replace(before[six], etag=None, body_digest=None)
            assert (await catalog.holdings([six]))[0].files == [file]
            await catalog.doubt([six])
            assert (await catalog.holdings([six]))[0].files == [replace(file, verified=False)]
            await catalog.finish(Finish(RunRecord("mirror", 1, 2, 0, "{}"), root_published=True))
            assert not (await catalog.state()).root_stale
            await catalog.doubt([], root=True)
            assert (await catalog.state()).root_stale
            assert await catalog.damage() == []

        use(work)

    def test_a_check_can_ask_for_the_page_to_be_read_again(self, use):
        async def work(catalog):
            six = normalize("six")
            await catalog.commit_batch(Batch(at=1, published=[publication()]))
            await catalog.commit_batch(Batch(at=2, checked=[Check(six, 5, None, 9, body_digest=b"new")]))
            assert (await catalog.known([six]))[six].body_digest == b"new"
            await catalog.commit_batch(Batch(at=3, checked=[Check(six, 5, None, 9, reread=True)]))
            assert (await catalog.known([six]))[six].body_digest is None

        use(work)

    def test_distrust_forgets_pages_but_not_files(self, use):
        async def work(catalog):
            await catalog.commit_batch(Batch(at=1, published=[publication(hold=[held()])]))
            await catalog.distrust()
            row = (await catalog.known([normalize("six")]))[normalize("six")]
            assert (row.etag, row.body_digest, row.serial, row.published) == (None, None, None, 5)
            files, _ = await catalog.held(normalize("six"), [])
            assert list(files) == ["six-1.0.tar.gz"]
            assert await catalog.applied() is None

        use(work)

    def test_the_end_of_a_run_is_remembered(self, use):
        async def work(catalog):
            applied = Applied(["A", "Foo.Bar", "ünicode"], [5, 10, 0])
            record = RunRecord("mirror", 1, 2, 0, "{}")
            await catalog.finish(
                Finish(record, "10", "10\na 5", "selection", "{}", '"etag"', applied, root_published=True)
            )
            state = await catalog.state()
            assert (state.status, state.todo, state.selection, state.list_etag) == (
                "10",
                "10\na 5",
                "selection",
                '"etag"',
            )
            assert not state.root_stale
            found = await catalog.applied()
            assert (list(found.names), list(found.serials)) == (applied.names, applied.serials)
            await catalog.finish(Finish(record, "11", None))
            state = await catalog.state()
            assert (state.status, state.todo, state.selection, state.list_etag) == (
                "11",
                None,
                "selection",
                '"etag"',
            )
            await catalog.commit_batch(Batch(at=1, published=[publication()]))
            assert (await catalog.state()).root_stale

        use(work)

    def test_an_empty_list_is_a_list(self, use):
        async def work(catalog):
            await catalog.finish(Finish(RunRecord("mirror", 1, 2, 0, "{}"), applied=Applied([], [])))
            found = await catalog.applied()
            assert list(found.names) == []

        use(work)

    def test_what_is_adopted_is_known_and_unverified(self, use):
        async def work(catalog):
            file = held(metadata=SHA_M, metadata_size=3)
            assert await catalog.adopt([adopted("Foo.Bar", hold=[file])], 10, head=3) == []
            row = (await catalog.known([normalize("foo-bar")]))[normalize("foo-bar")]
            assert (row.display, row.serial, row.published, row.page_modified) == ("Foo.Bar", 5, 5, 1000)
            assert (row.etag, row.body_digest, row.page_digest, row.attempts) == (None, None, None, 0)
            files, _ = await catalog.held(normalize("foo-bar"), [])
            assert files == {file.filename: replace(file, verified=False)}
            assert await catalog.revision(normalize("foo-bar")) is None
            assert await catalog.unsettled() == []
            assert await catalog.projects("", 9) == [("foo-bar", "Foo.Bar", 5)]
            assert [r.name for r in await catalog.due(5000, 9)] == ["foo-bar"]
            assert (await catalog.state()).head == 5
            await catalog.adopt([adopted("other", published=2)], 10, head=9)
            assert (await catalog.state()).head == 9

        use(work)

    def test_adoption_takes_the_place_of_what_is_known(self, use):
        async def work(catalog):
            gone, kept, lost = (held(f"six-{n}.tar.gz", f"web/packages/{n}") for n in "123")
            await catalog.commit_batch(Batch(at=1, published=[publication("Six", hold=[gone, kept, lost])]))
            await catalog.commit_batch(Batch(at=2, failed=[failure("Six")]))
            await catalog.finish(
                Finish(RunRecord("mirror", 1, 2, 0, "{}"), list_etag="e", applied=Applied(["Six"], [5]),
                       root_published=True)
            )  # fmt: skip
            page = adopted(
                "six", display=None, serial=None, published=7, hold=[kept], names=[kept.filename, lost.filename],
                lost=[lost.filename],
            )  # fmt: skip
            assert await catalog.adopt([page], 10) == []
            six = normalize("six")
            row = (await catalog.known([six]))[six]
            assert (row.display, row.serial, row.published, row.attempts) == ("Six", None, 7, 0)
            assert (row.etag, row.body_digest, row.page_digest) == (None, None, None)
            assert await catalog.revision(six) is None
            assert await catalog.unsettled() == []
            files, taken = await catalog.held(six, [gone.key, lost.key])
            assert (files, taken) == ({kept.filename: kept}, {})  # it was verified, and is the same
            assert [one.key for one in await catalog.released(10, 0, 9)] == [
                gone.key
            ]  # the other is not there
            assert await catalog.applied() is None
            state = await catalog.state()
            assert (state.list_etag, state.root_stale, state.head) == (None, True, 7)

        use(work)

    def test_a_file_of_another_content_takes_the_place_of_the_projects_own(self, use):
        async def work(catalog):
            await catalog.commit_batch(Batch(at=1, published=[publication(hold=[held()])]))
            other = held(sha256=SHA_B)
            assert await catalog.adopt([adopted("six", hold=[other])], 10) == []
            files, _ = await catalog.held(normalize("six"), [])
            assert files == {other.filename: replace(other, verified=False)}
            assert await catalog.released(10, 0, 9) == []

        use(work)

    def test_adoption_of_a_page_that_nobody_can_read_releases_nothing(self, use):
        async def work(catalog):
            await catalog.commit_batch(Batch(at=1, published=[publication(hold=[held()])]))
            await catalog.adopt([adopted("six", serial=None, published=0, names=None)], 10)
            files, _ = await catalog.held(normalize("six"), [])
            assert files == {held().filename: held()}
            assert await catalog.released(10, 0, 9) == []

        use(work)

    def test_of_two_projects_that_claim_a_path_the_second_is_looked_at_again(self, use):
        async def work(catalog):
            pages = [
                adopted("one", hold=[held()]),
                adopted("two", hold=[held(sha256=SHA_B), held("x", "web/packages/x")]),
            ]
            assert await catalog.adopt(pages, 10) == ["two"]
            rows = await catalog.known([normalize("one"), normalize("two")])
            assert [row.serial for row in rows.values()] == [5, None]
            files, _ = await catalog.held(normalize("two"), [])
            assert list(files) == ["x"]
            assert [row.name for row in await catalog.due(10, 9)] == ["two"]
            same = adopted("three", hold=[held("other-name")])
            assert await catalog.adopt([same], 11) == []

        use(work)

    def test_a_project_that_was_leaving_or_declined_and_has_a_page_is_back(self, use):
        async def work(catalog):
            six = normalize("six")
            await catalog.commit_batch(Batch(at=1, published=[publication()]))
            await catalog.leave([Leave(six, "dropped")], 2)
            await catalog.adopt([adopted("six")], 10)
            assert await catalog.leaving() == []
            assert await catalog.names("", 9) == ["six"]

        use(work)

    def test_a_project_without_a_page_where_it_belongs_is_not_published(self, use):
        async def work(catalog):
            await catalog.adopt([adopted("six", published=None, serial=None, due_at=None, hold=[held()])], 10)
            assert await catalog.names("", 9) == []
            assert await catalog.due(10**9, 9) == []
            _, taken = await catalog.held(normalize("x"), [held().key])
            assert taken == {held().key: (SHA_A, 10)}

        use(work)

    def test_a_lost_page_is_published_no_more_and_its_files_stay(self, use):
        async def work(catalog):
            six = normalize("six")
            await catalog.commit_batch(Batch(at=1, published=[publication(hold=[held()])]))
            await catalog.finish(Finish(RunRecord("mirror", 1, 2, 0, "{}"), applied=Applied(["six"], [5])))
            await catalog.lose_pages([six, normalize("unknown")], 10)
            row = (await catalog.known([six]))[six]
            assert (row.serial, row.published, row.page_digest) == (None, None, None)
            assert await catalog.projects("", 9) == []
            assert list((await catalog.held(six, []))[0]) == [held().filename]
            assert await catalog.released(10**9, 0, 9) == []
            assert (await catalog.applied(), await catalog.unsettled()) == (None, [])
            assert await catalog.revision(six) is None

        use(work)

    def test_pages_are_lost_and_the_list_is_kept(self, use):
        async def work(catalog):
            await catalog.commit_batch(Batch(at=1, published=[publication()]))
            listed = Finish(
                RunRecord("mirror", 1, 2, 0, "{}"), applied=Applied(["six"], [5]), root_published=True
            )
            await catalog.finish(listed)
            await catalog.lose_pages([normalize("six")], 10, forgets_list=False)
            assert list((await catalog.applied()).names) == ["six"]
            assert (await catalog.state()).root_stale

        use(work)

    def test_a_failure_may_know_of_more_before_it(self, use):
        async def work(catalog):
            for attempts, counted in ((4, 4), (2, 5), (1, 6), (9, 9)):
                await catalog.commit_batch(Batch(at=1, failed=[failure(attempts=attempts)]))
                assert [one.attempts for one in await catalog.owed()] == [counted]

        use(work)

    def test_times_of_a_clock_that_was_ahead_are_pulled_in(self, use):
        async def work(catalog):
            ahead = [failure("far", retry_at=9000, stuck_serial=1), failure("near", retry_at=1500)]
            await catalog.commit_batch(Batch(at=8000, failed=ahead))
            await catalog.commit_batch(Batch(at=8000, published=[publication("late", due_at=9000)]))
            await catalog.commit_batch(Batch(at=900, published=[publication("meant", due_at=9000)]))
            await catalog.trashed([trashed("a-1", at=500), trashed("b-1", at=8000)])
            await catalog.pull_in(1000, retries_by=2000, checks_by=3000)
            assert {one.name: one.retry_at for one in await catalog.owed()} == {"far": 1000, "near": 1500}
            rows = await catalog.known([normalize("far")])
            assert [row.stuck_since for row in rows.values()] == [1000]
            assert [row.name for row in await catalog.due(1000, 9)] == ["far", "late"]
            assert [one.at for one in await catalog.trash(1000, 9)] == [500, 1000]

        use(work)

    # -------------------------------------------------------------------------------- what has left, and stays

    def test_the_trash_comes_in_pages_in_order_and_by_project(self, use):
        async def work(catalog):
            rows = [trashed(f"{name}-{n}") for name in ("b", "a", "c") for n in "12"]
            await catalog.trashed([*rows, trashed("stray-1", project=None)])
            found, after = [], None
            while part := await catalog.trashed_files(after, 2):
                found += part
                after = part[-1]
            assert [row.key.rpartition("/")[2] for row in found] == [
                "stray-1", "a-1", "a-2", "b-1", "b-2", "c-1", "c-2"
            ]  # fmt: skip
            assert found[1] == rows[2]
            assert await catalog.trashed_files(None, 9, project=normalize("b")) == rows[:2]
            assert await catalog.trashed_as("c-2") == [rows[5]]
            assert await catalog.trashed_as("2") == []
            assert await catalog.trash_projects() == ["a", "b", "c"]
            assert await catalog.trash_places([rows[0].place, "no"]) == {rows[0].place}

        use(work)

    def test_what_is_in_place_again_is_not_listed_as_trash(self, use):
        async def work(catalog):
            file = held()
            await catalog.trashed([trashed("six-1.0.tar.gz", project="six", key=file.key)])
            await catalog.commit_batch(Batch(at=2, published=[publication(hold=[held(sha256=SHA_B)])]))
            assert len(await catalog.trashed_files(None, 9)) == 1  # other bytes
            await catalog.commit_batch(
                Batch(at=3, published=[publication(release=[file.filename]), publication("x", hold=[file])])
            )
            assert await catalog.trashed_files(None, 9) == []
            assert await catalog.trashed_as(file.filename) == []
            assert len(await catalog.trash(9, 9)) == 1

        use(work)

    @pytest.mark.parametrize("way", ["deleted", "dropped", "replaced", "declined", "left", "adopted"])
    def test_the_page_is_kept_that_listed_what_was_released(self, use, way):
        async def work(catalog):
            six = normalize("six")
            first = publication(hold=[held()])
            await catalog.commit_batch(Batch(at=1, published=[first]))
            later = publication(published=6, revision=Revision("html", "u", b"later"))
            match way:
                case "deleted":
                    change = replace(later, release=[held().filename], release_reason=QUARANTINED)
                    await catalog.commit_batch(Batch(at=2, published=[change]))
                case "dropped":
                    change = replace(later, dropped=[held().filename])
                    await catalog.commit_batch(Batch(at=2, published=[change]))
                case "replaced":
                    change = replace(later, hold=[held(key="web/packages/other", sha256=SHA_B)])
                    await catalog.commit_batch(Batch(at=2, published=[change]))
                case "declined":
                    decline = Decline(six, "six", 6, later.revision, b"", None, 9, "said so")
                    await catalog.commit_batch(Batch(at=2, declined=[decline]))
                case "left":
                    await catalog.leave([Leave(six, DELETED)], 2)
                    await catalog.gone([six])
                case "adopted":
                    await catalog.adopt([adopted(names=[])], 2)
            (past,) = await catalog.past_revisions(six)
            assert (past.at, past.display, past.revision) == (2, "six", first.revision)
            (gone,) = await catalog.released_files(project=six)
            assert (gone.key, gone.at) == (held().key, 2)
            reasons = {"deleted": QUARANTINED, "dropped": DROPPED, "declined": DROPPED}
            assert gone.reason == reasons.get(way, DELETED)
            assert await catalog.released_files(filename=held().filename) == [gone]
            assert await catalog.released_files(filename="1.0.tar.gz") == []
            # It is known as long as something of it can be had back, and not longer.
            end = Finish(RunRecord("mirror", 1, 2, 0, "{}"))
            await catalog.finish(end)
            await catalog.trashed([trashed("x", project="six", key=gone.key, released_at=gone.at)])
            await catalog.finish(end)
            assert await catalog.past_revisions(six) == [past]
            await catalog.emptied([trashed("x").place])
            await catalog.finish(end)
            assert await catalog.past_revisions(six) == []

        use(work)

    def test_a_page_is_not_kept_where_nothing_left(self, use):
        async def work(catalog):
            await catalog.commit_batch(Batch(at=1, published=[publication(hold=[held()])]))
            await catalog.commit_batch(Batch(at=2, published=[publication(published=6, hold=[held()])]))
            assert await catalog.past_revisions(normalize("six")) == []

        use(work)

    def test_a_pin_is_known_until_it_is_lifted_and_its_words_longer(self, use):
        async def work(catalog):
            six, other = normalize("six"), normalize("other")
            await catalog.commit_batch(Batch(at=1, published=[publication(hold=[held()])]))
            pins = [Pin(six, "b", "{}", 5), Pin(six, "a", "[]", 5), Pin(other, held().filename, "1", 6)]
            await catalog.pin(pins, {other: "Other", six: "SIX"})
            assert await catalog.pins(six) == [pins[1], pins[0]]
            assert await catalog.pinned() == ["other", "six"]
            rows = await catalog.known([six, other])
            assert (rows[six].display, rows[six].body_digest, rows[six].etag) == ("six", None, None)
            assert (rows[other].display, rows[other].published) == ("Other", None)
            assert [row.name for row in await catalog.due(6, 9)] == ["six", "other"]
            assert await catalog.unpin(six, ["a", "none"], 7) == 1
            assert await catalog.unpin(six, ["a"], 7) == 0
            assert await catalog.pins(six) == [pins[0]]
            assert await catalog.pins(six, lifted=True) == [replace(pins[1], is_lifted=True), pins[0]]
            assert await catalog.unpin(six, None, 8) == 1
            assert (await catalog.pinned(), await catalog.pinned(lifted=True)) == (
                ["other"],
                ["other", "six"],
            )
            await catalog.finish(Finish(RunRecord("mirror", 1, 2, 0, "{}")))
            assert (await catalog.pins(six, lifted=True), await catalog.pins(other)) == ([], pins[2:])

        use(work)

    def test_what_is_pinned_is_kept_in_the_trash_with_its_metadata(self, use):
        async def work(catalog):
            six, file = normalize("six"), held(metadata=SHA_M, metadata_size=3)
            await catalog.commit_batch(Batch(at=1, published=[publication(hold=[file])]))
            await catalog.pin([Pin(six, file.filename, "{}", 1)], {})
            await catalog.commit_batch(Batch(at=2, published=[publication(release=[file.filename])]))
            gone = await catalog.released(2, 0, 9)
            assert [one.is_pinned for one in gone] == [True, True]
            await catalog.trashed(
                [trashed(str(n), project="six", key=one.key) for n, one in enumerate(gone)]
                + [trashed("z", project="six", key=f"{file.key}.zip")]
            )
            assert [row.key for row in await catalog.trash(9, 9)] == [f"{file.key}.zip"]
            assert [row.is_pinned for row in await catalog.trashed_files(None, 9)] == [True, True, False]
            await catalog.unpin(six, None, 3)
            assert len(await catalog.trash(9, 9)) == 3

        use(work)

    @pytest.mark.parametrize("keep_out", [False, True])
    def test_what_the_operator_deletes_leaves_without_its_pins(self, use, keep_out):
        async def work(catalog):
            names = [normalize(name) for name in ("six", "lost")]
            await catalog.commit_batch(
                Batch(at=1, published=[publication(hold=[held()]), publication("lost")])
            )
            await catalog.lose_pages([names[1]], 1)
            await catalog.pin([Pin(names[0], held().filename, "{}", 1)], {})
            await catalog.leave([Leave(name, OPERATOR) for name in names], 2, keep_out=keep_out)
            assert await catalog.leaving() == ["lost", "six"]
            assert await catalog.pinned() == []
            assert [one.reason for one in await catalog.released(2, 3600, 9)] == [OPERATOR]
            assert await catalog.kept_out() == (dict.fromkeys(sorted(names), 2) if keep_out else {})
            assert (await catalog.state()).root_stale
            await catalog.leave([Leave(names[0], DELETED)], 3)  # it is leaving
            assert [one.at for one in await catalog.released(3, 0, 9)] == [2]
            await catalog.gone(names)
            assert await catalog.known(names) == {}

        use(work)

    def test_what_is_kept_out_is_so_until_it_is_let_in(self, use):
        async def work(catalog):
            six, ten = normalize("six"), normalize("ten")
            await catalog.keep_out([six, ten], 5)
            await catalog.keep_out([six], 9)
            assert await catalog.kept_out() == {six: 5, ten: 5}
            assert await catalog.let_in([normalize("no"), six]) == [six]
            assert await catalog.kept_out() == {ten: 5}

        use(work)

    @pytest.mark.parametrize("change", ["adopt", "lose"])
    def test_a_pinned_project_that_others_changed_is_due_at_once(self, use, change):
        async def work(catalog):
            six = normalize("six")
            await catalog.commit_batch(Batch(at=1, published=[publication()]))
            await catalog.pin([Pin(six, "x", "{}", 1)], {})
            await catalog.commit_batch(Batch(at=2, published=[publication(due_at=900)]))
            if change == "adopt":
                await catalog.adopt([adopted(due_at=900)], 10)
            else:
                await catalog.lose_pages([six], 10)
            assert [row.name for row in await catalog.due(10, 9)] == ["six"]

        use(work)

    def test_the_sums_follow_every_change(self, use):
        async def work(catalog):
            async def sums():
                counts = await catalog.counts()
                return counts["projects"], counts["files"], counts["bytes"]

            file = held(metadata=SHA_M, metadata_size=3)
            other = held("ten-1.0.tar.gz", "web/packages/ten", SHA_B)
            await catalog.commit_batch(Batch(at=1, published=[publication(hold=[file])]))
            assert await sums() == (1, 1, 13)  # core metadata has bytes, and is no file of its own
            await catalog.commit_batch(
                Batch(at=2, published=[publication("ten", hold=[other])], failed=[failure("no")])
            )
            assert await sums() == (2, 2, 23)
            await catalog.commit_batch(
                Batch(at=3, published=[publication(published=6, release=[file.filename])])
            )
            assert await sums() == (2, 2, 23)
            entry = Trashed("t/1", file.key, file.sha256, 10, None, "deleted", 4)
            await catalog.trashed([entry])
            assert await sums() == (2, 1, 13)
            await catalog.forget_objects([f"{file.key}.metadata"])
            assert await sums() == (2, 1, 10)
            await catalog.adopt([adopted("ten", hold=[replace(other, size=7)])], 5)
            assert await sums() == (2, 1, 7)
            await catalog.lose_pages([normalize("six")], 6)
            assert (await sums())[0] == 1
            await catalog.leave([Leave(normalize("ten"), "deleted")], 7)
            await catalog.gone([normalize("ten")])
            assert (await sums())[0] == 0

        use(work)

    def test_a_run_is_on_until_it_ends(self, use):
        async def work(catalog):
            runs = await catalog.last_runs()
            assert (runs.last, runs.through, runs.whole, runs.running) == (None, None, None, None)
            await catalog.commit_batch(Batch(at=1, published=[publication("before")]))
            await catalog.run_began("mirror", 10)
            await catalog.commit_batch(Batch(at=11, published=[publication("a"), publication("b")]))
            assert (await catalog.last_runs()).running == Running("mirror", 10, 2)
            record = RunRecord("mirror", 10, 20, 0, "{}")
            await catalog.finish(Finish(record))
            runs = await catalog.last_runs()
            assert (runs.last, runs.running) == (record, None)

        use(work)

    def test_a_run_that_broke_off_is_remembered_with_the_reason(self, use):
        async def work(catalog):
            await catalog.run_broke_off(1, "nobody began", 5)
            assert (await catalog.last_runs()).last is None
            await catalog.run_began("sync", 10)
            await catalog.run_broke_off(1, "no answer", 15)
            runs = await catalog.last_runs()
            assert (runs.last.command, runs.last.started, runs.last.finished) == ("sync", 10, 15)
            assert runs.last.exit_code == 1
            assert "no answer" in runs.last.summary
            assert runs.running is None

        use(work)

    def test_the_latest_run_of_each_kind_is_found(self, use):
        async def work(catalog):
            ended = [
                RunRecord("mirror", 1, 2, 0, "{}"),
                RunRecord("mirror", 3, 4, 5, "{}"),
                RunRecord("mirror", 5, 6, 3, '{"stopped": "no answer"}'),
                RunRecord("sync", 7, 8, 0, "{}"),
            ]
            for record in ended:
                await catalog.finish(Finish(record))
            runs = await catalog.last_runs()
            assert (runs.last, runs.through, runs.whole) == (ended[3], ended[1], ended[0])

        use(work)

    def test_the_backlog_says_what_is_still_to_be_done(self, use):
        async def work(catalog):
            assert await catalog.backlog(100) == Backlog(0, 0, 0, 0, None, 0, 0, 0, 0, 0, 0, None, None)
            due, later, waits = (
                publication(n, due_at=at) for n, at in (("due", 90), ("later", 900), ("w", 900))
            )
            files = publication("files", due_at=900, hold=[held(), held("x.zip", "web/packages/x", SHA_B)])
            await catalog.commit_batch(
                Batch(
                    at=1,
                    published=[due, later, replace(waits, until=200), files, publication("owed", due_at=90)],
                    failed=[failure("owed", retry_at=100), failure("patient", retry_at=101)],
                )
            )
            await catalog.leave([Leave(normalize("files"), "deleted")], 50)
            entries = [Trashed(f"t/{n}", f"k/{n}", SHA_A, n, None, "deleted", 10 * n) for n in (3, 4)]
            await catalog.trashed(entries)
            assert await catalog.backlog(100) == Backlog(
                owed=2, retries_due=1, rechecks_due=1, waiting=1, waiting_until=200, unsettled=5, leaving=1,
                released=2, released_bytes=20, trashed=2, trashed_bytes=7, trashed_first=30, trashed_last=40,
            )  # fmt: skip
            assert (await catalog.backlog(200)).waiting == 0  # its time has come: it is due

        use(work)

    # --- what others follow

    def test_changes_are_told_up_to_the_list_that_is_out(self, use):
        async def work(catalog):
            await catalog.commit_batch(
                Batch(published=[publication("a", published=3), publication("B_b", published=2)], at=7)
            )
            before = await catalog.changes(0, (await catalog.state()).head, 10)
            await catalog.settle(head=4, status=None, todo=None)
            await catalog.commit_batch(Batch(published=[publication("c", published=9)], at=8))
            after = await catalog.changes(0, (await catalog.state()).head, 10)
            assert before == []
            assert [(change.display, change.action, change.serial, change.at) for change in after] == [
                ("B_b", "publish", 2, 7), ("a", "publish", 3, 7),
            ]  # fmt: skip
            assert await catalog.changes(3, 4, 10) == []

        use(work)

    def test_all_changes_of_a_serial_are_told_or_none(self, use):
        """Whoever asks on from the last serial he was told would never hear of the rest."""

        async def work(catalog):
            published = [publication(f"p{n}", published=n // 3 + 1) for n in range(9)]
            await catalog.commit_batch(Batch(published=published, at=1))
            await catalog.settle(head=9, status=None, todo=None)
            for limit in range(1, 10):
                seen, after = [], 0
                while found := await catalog.changes(after, 9, limit):
                    seen += [change.name for change in found]
                    after = found[-1].serial
                assert sorted(seen) == [f"p{n}" for n in range(9)]

        use(work)

    def test_who_has_followed_up_to_the_list_is_told_of_what_leaves_it(self, use):
        async def work(catalog):
            await catalog.commit_batch(Batch(published=[publication("a", published=3)], at=1))
            await catalog.settle(head=7, status=None, todo=None)
            await catalog.leave([Leave(normalize("a"), DELETED)], 5)
            await catalog.settle(head=12, status=None, todo=None)
            (told,) = await catalog.changes(7, 12, 10)
            assert (told.name, told.action, told.serial) == ("a", "remove", 8)

        use(work)

    def test_the_newest_first(self, use):
        async def work(catalog):
            await catalog.commit_batch(
                Batch(published=[publication("a"), publication("b"), publication("c")], at=1)
            )
            await catalog.commit_batch(Batch(published=[publication("a", published=6)], at=2))
            assert [change.name for change in await catalog.newest_changes(2)] == ["a", "c"]
            assert await catalog.newest_projects(2) == ["c", "b"]

        use(work)

    def test_names_that_have_words_in_them(self, use):
        async def work(catalog):
            names = ["scikit-learn", "learn-scikit-learn", "sci", "hidden-scikit"]
            await catalog.commit_batch(
                Batch(published=[publication(name, listed=name != "hidden-scikit") for name in names], at=1)
            )
            assert await catalog.names_with(["scikit"], 10) == ["scikit-learn", "learn-scikit-learn"]
            assert await catalog.names_with(["learn", "scikit"], 1) == ["scikit-learn"]
            assert await catalog.names_with(["%"], 10) == []

        use(work)

    def test_the_projects_with_the_most_bytes(self, use):
        async def work(catalog):
            files = [
                held("b-1.zip", "web/packages/b-1.zip", SHA_A),
                held("b-2.zip", "web/packages/b-2.zip", SHA_B),
            ]
            await catalog.commit_batch(
                Batch(published=[publication("A", hold=[held()]), publication("b", hold=files)], at=1)
            )
            assert await catalog.largest(5) == [("b", 20), ("A", 10)]
            assert await catalog.largest(1) == [("b", 20)]

        use(work)
