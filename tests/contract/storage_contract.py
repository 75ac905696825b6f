"""What every storage must do; `frumious.storage.base` is the text these tests read sentence by sentence."""

import asyncio
import hashlib
from dataclasses import replace

import pytest

from frumious.errors import NoSuchObject, WrongContent
from frumious.storage.base import STAGING, Expected, Item, Options

ODD_KEYS = [
    "web/packages/a b/x+1.0.tar.gz",
    "web/packages/%41/100%.zip",
    "web/packages/ünï/日本語-1.0.whl",
    "web/packages/q/" + "x" * 246,
    "web/packages/!~(1)'/a;b=c,d&e@f$g*.whl",
]
BIG = bytes(range(256)) * 12_000  # 3 MB: many blocks


def expect(data: bytes, algorithm: str = "sha256") -> Expected:
    return Expected(algorithm, hashlib.new(algorithm, data).hexdigest(), len(data))


async def stream(
    data: bytes, piece: int = 65536, fail_after: int | None = None, error: BaseException | None = None
):
    for start in range(0, len(data), piece):
        if fail_after is not None and start >= fail_after:
            raise error or ConnectionResetError("the body broke off")
        yield data[start : start + piece]
        await asyncio.sleep(0)


async def broken_put(storage, data: bytes, after: int, *, validator: str | None, offset: int = 0):
    """Leave a partial of `data`: the body, which begins at `offset`, breaks off when `after` bytes have come."""
    body = stream(data[offset:], fail_after=after)
    with pytest.raises(ConnectionResetError):
        await storage.put("web/f", body, expect(data), offset=offset, validator=validator)


async def read(storage, key, *args):
    return b"".join([block async for block in storage.open(key, *args)])


async def keys(storage, prefix="", after=""):
    return [stat.key async for stat in storage.list(prefix, after)]


class StorageContract:
    """Inherit, and give `make` as a method that returns a new, empty storage."""

    def make(self, tmp_path):
        raise NotImplementedError  # the subclass says which storage

    @pytest.fixture
    def use(self, tmp_path):
        def call(work):
            async def inside():
                storage = self.make(tmp_path)
                try:
                    return await work(storage)
                finally:
                    await storage.aclose()

            return asyncio.run(inside())

        return call

    # ------------------------------------------------------------------ put

    @pytest.mark.parametrize("data", [b"", b"x", b"hello" * 1000, BIG])
    def test_what_is_put_is_there(self, use, data):
        async def work(storage):
            stored = await storage.put("web/packages/f", stream(data), expect(data))
            assert (stored.key, stored.size) == ("web/packages/f", len(data))
            assert stored.sha256 == hashlib.sha256(data).hexdigest()
            assert await read(storage, "web/packages/f") == data

        use(work)

    @pytest.mark.parametrize("algorithm", ["md5", "sha512", "blake2b", "sha256"])
    def test_any_hashlib_digest_can_be_expected(self, use, algorithm):
        async def work(storage):
            stored = await storage.put("web/f", stream(b"data"), expect(b"data", algorithm))
            assert stored.sha256 == hashlib.sha256(b"data").hexdigest()
            with pytest.raises(WrongContent):
                await storage.put("web/g", stream(b"datb"), expect(b"data", algorithm))

        use(work)

    @pytest.mark.parametrize("key", ODD_KEYS)
    def test_odd_keys_are_keys(self, use, key):
        async def work(storage):
            await storage.put(key, stream(b"x"), Expected())
            assert await read(storage, key) == b"x"
            assert await keys(storage) == [key]

        use(work)

    @pytest.mark.parametrize("key", ["", "/etc/passwd", "a//b", "../x", "web/../../x", "a/./b", "a\0b", "a/"])
    def test_what_is_no_key_is_refused(self, use, key):
        async def work(storage):
            with pytest.raises(ValueError, match="not a key"):
                await storage.put(key, stream(b"x"), Expected())
            with pytest.raises(ValueError, match="not a key"):
                await storage.write([Item(key, b"x")])
            with pytest.raises(ValueError, match="not a key"):
                await storage.delete([key])
            with pytest.raises(ValueError, match="not a key"):
                await storage.alias([("web/a", key)])
            with pytest.raises(ValueError, match="not a key"):
                await storage.stat([key])

        use(work)

    @pytest.mark.parametrize(
        "wrong",
        [
            pytest.param(lambda d: Expected("sha256", "0" * 64, len(d)), id="digest"),
            pytest.param(lambda d: Expected(size=len(d) + 1), id="too short"),
            pytest.param(lambda d: Expected(size=len(d) - 1), id="too long"),
            pytest.param(
                lambda d: Expected("sha256", hashlib.sha256(d).hexdigest(), len(d) - 1), id="size lies"
            ),
        ],
    )
    @pytest.mark.parametrize("data", [b"some bytes", BIG])
    def test_wrong_bytes_are_refused_and_invisible(self, use, wrong, data):
        async def work(storage):
            await storage.write([Item("web/f", b"before")])
            with pytest.raises(WrongContent):
                await storage.put("web/f", stream(data), wrong(data))
            assert await read(storage, "web/f") == b"before"
            assert await keys(storage) == ["web/f"]
            assert await storage.partial(wrong(data)) is None
            assert await keys(storage, STAGING) == []

        use(work)

    def test_an_endless_body_is_stopped_at_its_size(self, use):
        async def work(storage):
            taken = 0

            async def endless():
                nonlocal taken
                while True:
                    taken += 1
                    yield b"x" * 1000

            with pytest.raises(WrongContent, match="more"):
                await storage.put("web/f", endless(), Expected(size=10_000))
            assert taken == 11

        use(work)

    @pytest.mark.parametrize("error", [ConnectionResetError("broke"), asyncio.CancelledError()])
    def test_what_the_body_raises_passes_and_nothing_is_visible(self, use, error):
        async def work(storage):
            await storage.write([Item("web/f", b"before")])
            with pytest.raises(type(error)):
                await storage.put(
                    "web/f", stream(BIG, fail_after=10**6, error=error), Expected(size=len(BIG))
                )
            assert await read(storage, "web/f") == b"before"
            assert await keys(storage, STAGING) == []

        use(work)

    def test_a_cancelled_put_leaves_nothing(self, use):
        async def work(storage):
            async def hanging():
                yield b"x" * 100
                await asyncio.Event().wait()

            task = asyncio.create_task(storage.put("web/f", hanging(), Expected()))
            await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await keys(storage) == []
            assert await keys(storage, STAGING) == []

        use(work)

    def test_puts_of_one_key_at_the_same_time_end_in_one_of_them(self, use):
        async def work(storage):
            bodies = [bytes([n]) * 300_000 for n in range(6)]
            await asyncio.gather(*(storage.put("web/f", stream(b), expect(b)) for b in bodies))
            assert await read(storage, "web/f") in bodies
            assert await keys(storage, STAGING) == []

        use(work)

    def test_puts_of_one_digest_at_the_same_time_do_not_mix(self, use):
        async def work(storage):
            names = [f"web/f{n}" for n in range(4)]
            await asyncio.gather(*(storage.put(n, stream(BIG, piece=100_000), expect(BIG)) for n in names))
            for name in names:
                assert await read(storage, name) == BIG
            assert await keys(storage, STAGING) == []

        use(work)

    # ------------------------------------------------------------- partials

    def test_an_interrupted_put_is_continued(self, use):
        async def work(storage):
            if not storage.capabilities.resumable:
                pytest.skip("this storage keeps no partials")
            with pytest.raises(ConnectionResetError):
                await storage.put("web/f", stream(BIG, fail_after=2 * 10**6), expect(BIG), validator='"v1"')
            partial = await storage.partial(expect(BIG))
            assert partial.validator == '"v1"'
            assert 0 < partial.size < len(BIG)
            stored = await storage.put(
                "web/f", stream(BIG[partial.size :]), expect(BIG), offset=partial.size, validator='"v1"'
            )
            assert stored.size == len(BIG)
            assert await read(storage, "web/f") == BIG
            assert await storage.partial(expect(BIG)) is None
            assert await keys(storage, STAGING) == []

        use(work)

    def test_a_continuation_that_does_not_fit_is_refused_and_forgotten(self, use):
        async def work(storage):
            with pytest.raises(ConnectionResetError):
                await storage.put("web/f", stream(BIG, fail_after=10**6), expect(BIG), validator='"v"')
            size = (await storage.partial(expect(BIG))).size
            with pytest.raises(WrongContent):
                await storage.put("web/f", stream(bytes(len(BIG) - size)), expect(BIG), offset=size)
            assert await storage.partial(expect(BIG)) is None
            assert await keys(storage) == []

        use(work)

    def test_a_partial_without_a_validator_is_kept_too(self, use):
        async def work(storage):
            await broken_put(storage, BIG, 10**6, validator=None)
            assert (await storage.partial(expect(BIG))).validator is None

        use(work)

    def test_a_second_break_keeps_what_came_and_the_validator(self, use):
        """A 206 that answers If-Range need not repeat Last-Modified (RFC 9110, 15.3.7)."""

        async def work(storage):
            await broken_put(storage, BIG, 10**6, validator='"v"')
            first = await storage.partial(expect(BIG))
            await broken_put(storage, BIG, 10**6, validator=None, offset=first.size)
            second = await storage.partial(expect(BIG))
            assert second.size > first.size
            assert second.validator == '"v"'
            await storage.put("web/f", stream(BIG[second.size :]), expect(BIG), offset=second.size)
            assert await read(storage, "web/f") == BIG

        use(work)

    def test_a_body_that_starts_anew_does_not_inherit_a_validator(self, use):
        async def work(storage):
            await broken_put(storage, BIG, 2 * 10**6, validator='"old"')
            await broken_put(storage, BIG, 10**6, validator=None)
            assert (await storage.partial(expect(BIG))).validator is None

        use(work)

    def test_a_cancelled_continuation_keeps_the_partial(self, use):
        async def work(storage):
            await broken_put(storage, BIG, 2 * 10**6, validator='"v"')
            before = await storage.partial(expect(BIG))

            async def hanging():
                await asyncio.Event().wait()
                yield b""

            task = asyncio.create_task(
                storage.put("web/f", hanging(), expect(BIG), offset=before.size, validator='"v"')
            )
            asyncio.get_running_loop().call_soon(task.cancel)
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await storage.partial(expect(BIG)) == before

        use(work)

    def test_there_must_be_something_to_continue(self, use):
        async def work(storage):
            for expected in (expect(BIG), Expected(size=9)):
                with pytest.raises(ValueError, match="partial"):
                    await storage.put("web/f", stream(b"rest"), expected, offset=5)

        use(work)

    @pytest.mark.parametrize("offset", [1, 10**9])
    def test_a_wrong_offset_is_a_mistake(self, use, offset):
        async def work(storage):
            with pytest.raises(ConnectionResetError):
                await storage.put("web/f", stream(BIG, fail_after=10**6), expect(BIG), validator='"v"')
            with pytest.raises(ValueError, match="partial"):
                await storage.put("web/f", stream(b"rest"), expect(BIG), offset=offset)

        use(work)

    def test_a_discarded_partial_is_gone(self, use):
        async def work(storage):
            with pytest.raises(ConnectionResetError):
                await storage.put("web/f", stream(BIG, fail_after=10**6), expect(BIG), validator='"v"')
            await storage.discard_partial(expect(BIG))
            await storage.discard_partial(expect(BIG))
            assert await storage.partial(expect(BIG)) is None

        use(work)

    def test_staging_is_cleaned_but_young_partials_stay(self, use):
        async def work(storage):
            with pytest.raises(ConnectionResetError):
                await storage.put("web/f", stream(BIG, fail_after=10**6), expect(BIG), validator='"v"')
            scratch = [f"{STAGING}{name}" for name in ("p1", "draft", "d", "deep/er/p", "deep/p")]
            await storage.write([Item(key, b"x") for key in (*scratch, "web/kept")])
            assert await storage.clean_staging(3600) == len(scratch)
            assert await storage.partial(expect(BIG)) is not None
            assert await storage.clean_staging(-1) == 1
            assert await storage.clean_staging(-1) == 0
            assert await storage.partial(expect(BIG)) is None
            assert await keys(storage) == ["web/kept"]

        use(work)

    # -------------------------------------------------------------- batches

    def test_writes_replace(self, use):
        async def work(storage):
            await storage.write([Item("web/a", b"1"), Item("web/b", b"2")])
            await storage.write([Item("web/a", b"3")])
            assert [await read(storage, key) for key in ("web/a", "web/b")] == [b"3", b"2"]

        use(work)

    def test_modified_is_a_fact_of_the_object(self, use):
        async def work(storage):
            moment = 1_600_000_000.123456
            await storage.write([Item("web/a", b"1", Options(modified=moment))])
            await storage.put("web/b", stream(b"2"), Expected(), Options(modified=moment))
            await storage.copy([("web/a", "web/c")])
            await storage.move([("web/b", "web/d")])
            stats = await storage.stat(["web/a", "web/b", "web/c", "web/d"])
            assert stats[1] is None
            assert [s.modified for s in stats if s] == [pytest.approx(moment, abs=1e-6)] * 3
            assert [s.size for s in stats if s] == [1, 1, 1]

        use(work)

    def test_copies_are_independent_of_what_replaces_them(self, use):
        async def work(storage):
            await storage.write([Item("web/a", b"1"), Item("web/b", b"old")])
            await storage.copy([("web/a", "web/b"), ("web/a", "web/sub/c")])
            await storage.write([Item("web/a", b"2")])
            assert [await read(storage, key) for key in ("web/a", "web/b", "web/sub/c")] == [b"2", b"1", b"1"]

        use(work)

    def test_moves_replace_and_the_source_is_gone(self, use):
        async def work(storage):
            await storage.write([Item(f"{STAGING}1", b"new"), Item("web/x/y", b"old")])
            await storage.copy([(f"{STAGING}1", f"{STAGING}2")])
            await storage.move([(f"{STAGING}1", "web/x/y"), (f"{STAGING}2", "web/x/z")])
            assert await read(storage, "web/x/y") == await read(storage, "web/x/z") == b"new"
            assert await keys(storage, STAGING) == []

        use(work)

    def test_moving_one_link_onto_another_takes_the_source_away(self, use):
        async def work(storage):
            await storage.write([Item("web/a", b"1")])
            await storage.copy([("web/a", "web/b")])
            await storage.move([("web/a", "web/b")])
            assert await keys(storage) == ["web/b"]

        use(work)

    @pytest.mark.parametrize("method", ["copy", "move"])
    @pytest.mark.parametrize("key", ["web/a", f"{STAGING}a"])
    def test_what_goes_onto_itself_stays(self, use, method, key):
        async def work(storage):
            await storage.write([Item(key, b"1")])
            await getattr(storage, method)([(key, key)])
            assert await read(storage, key) == b"1"
            with pytest.raises(NoSuchObject, match="web/none"):
                await getattr(storage, method)([("web/none", "web/none")])

        use(work)

    def test_staging_has_room_for_deeper_keys(self, use):
        async def work(storage):
            await storage.write([Item(f"{STAGING}a/b", b"1")])
            await storage.copy([(f"{STAGING}a/b", f"{STAGING}c/d")])
            await storage.put(f"{STAGING}e/f", stream(b"1"), Expected())
            assert await keys(storage, STAGING) == [f"{STAGING}{k}" for k in ("a/b", "c/d", "e/f")]

        use(work)

    @pytest.mark.parametrize("method", ["copy", "move"])
    def test_an_absent_source_is_named_and_what_came_before_has_happened(self, use, method):
        async def work(storage):
            await storage.write([Item("web/a", b"1"), Item("web/c", b"1")])
            with pytest.raises(NoSuchObject, match="web/none"):
                await getattr(storage, method)(
                    [("web/a", "web/b"), ("web/none", "web/d"), ("web/c", "web/e")]
                )
            found = await keys(storage)
            assert "web/b" in found
            assert "web/e" not in found

        use(work)

    def test_delete_is_idempotent(self, use):
        async def work(storage):
            await storage.write([Item("web/packages/a/b/c", b"1"), Item("web/packages/a/d", b"2")])
            await storage.delete(["web/packages/a/b/c", "web/packages/a/b/c", "web/none/at/all"])
            assert await keys(storage) == ["web/packages/a/d"]
            await storage.write([Item("web/packages/a/b/c", b"again")])
            assert await read(storage, "web/packages/a/b/c") == b"again"

        use(work)

    def test_empty_batches_are_nothing(self, use):
        async def work(storage):
            await storage.write([])
            await storage.copy([])
            await storage.move([])
            await storage.alias([])
            await storage.delete([])
            assert await storage.stat([]) == []
            assert await storage.read([]) == []
            assert await keys(storage) == []

        use(work)

    def test_a_time_is_set_and_the_bytes_stay(self, use):
        async def work(storage):
            await storage.write([Item("web/a", b"bytes")])
            await storage.date([("web/a", 1_234_567_890.25)])
            (stat,) = await storage.stat(["web/a"])
            assert stat.modified == 1_234_567_890.25
            assert await read(storage, "web/a") == b"bytes"
            with pytest.raises(NoSuchObject):
                await storage.date([("web/none", 1.0)])

        use(work)

    # -------------------------------------------------------------- aliases

    @pytest.fixture
    def with_alias(self, use):
        """Call with a storage in which `web/p/index` stands for `web/p/versions/1`."""

        def call(work):
            async def inside(storage):
                if not storage.capabilities.aliases:
                    pytest.skip("this storage has no aliases")
                await storage.write([Item("web/p/versions/1", b"one", Options(modified=1.6e9))])
                await storage.alias([("web/p/versions/1", "web/p/index")])
                await work(storage)

            return use(inside)

        return call

    def test_an_alias_reads_as_what_it_stands_for(self, with_alias):
        async def work(storage):
            assert await read(storage, "web/p/index") == b"one"
            assert await read(storage, "web/p/index", 1, 1) == b"n"
            (stat,) = await storage.stat(["web/p/index"])
            assert (stat.key, stat.size, stat.modified) == ("web/p/index", 3, 1.6e9)
            assert await keys(storage, "web/p/") == ["web/p/index", "web/p/versions/1"]
            await storage.write([Item("web/p/versions/1", b"changed")])
            assert await read(storage, "web/p/index") == b"changed"

        with_alias(work)

    @pytest.mark.parametrize("how", ["write", "put", "copy", "move", "alias"])
    def test_what_replaces_an_alias_leaves_its_target_alone(self, with_alias, how):
        async def work(storage):
            await storage.write([Item("web/q", b"two")])
            match how:
                case "write":
                    await storage.write([Item("web/p/index", b"two")])
                case "put":
                    await storage.put("web/p/index", stream(b"two"), expect(b"two"))
                case _:
                    await getattr(storage, how)([("web/q", "web/p/index")])
            assert await read(storage, "web/p/index") == b"two"
            assert await read(storage, "web/p/versions/1") == b"one"

        with_alias(work)

    def test_an_alias_replaces_what_was_there(self, with_alias):
        async def work(storage):
            await storage.write([Item("web/p/versions/2", b"two"), Item("web/p/page", b"page")])
            await storage.alias([("web/p/versions/2", name) for name in ("web/p/index", "web/p/page")])
            assert await read(storage, "web/p/index") == await read(storage, "web/p/page") == b"two"
            assert await read(storage, "web/p/versions/1") == b"one"
            assert await keys(storage, STAGING) == []

        with_alias(work)

    def test_a_deleted_alias_leaves_its_target_alone(self, with_alias):
        async def work(storage):
            await storage.delete(["web/p/index", "web/p/index"])
            assert await keys(storage) == ["web/p/versions/1"]
            assert await read(storage, "web/p/versions/1") == b"one"

        with_alias(work)

    @pytest.mark.parametrize(
        "key", ["web/p/index2", "web/index", "web/a/b/c/index", ".frumious/trash/x/index"]
    )
    def test_a_moved_alias_stands_for_the_same_key(self, with_alias, key):
        async def work(storage):
            await storage.move([("web/p/index", key)])
            assert await read(storage, key) == b"one"
            assert await storage.stat(["web/p/index"]) == [None]
            await storage.write([Item("web/p/versions/1", b"changed")])
            assert await read(storage, key) == b"changed"

        with_alias(work)

    def test_a_copied_alias_is_an_object_of_its_own(self, with_alias):
        async def work(storage):
            await storage.copy([("web/p/index", "web/c"), ("web/p/index", "web/p/index")])
            await storage.copy([("web/p/index", "web/p/versions/1")])  # onto what it stands for
            await storage.write([Item("web/p/versions/1", b"changed")])
            assert await read(storage, "web/c") == b"one"
            assert await read(storage, "web/p/index") == b"changed"

        with_alias(work)

    def test_an_alias_of_what_is_gone_holds_nothing_until_it_is_back(self, with_alias):
        async def work(storage):
            await storage.delete(["web/p/versions/1"])
            assert await storage.stat(["web/p/index"]) == [None]
            assert await keys(storage) == []
            with pytest.raises(NoSuchObject):
                await read(storage, "web/p/index")
            with pytest.raises(NoSuchObject, match="web/p/index"):
                await storage.copy([("web/p/index", "web/c")])
            await storage.move([("web/p/index", "web/index")])
            await storage.write([Item("web/p/versions/1", b"back")])
            assert await read(storage, "web/index") == b"back"

        with_alias(work)

    def test_there_is_no_alias_of_nothing_or_of_an_alias(self, with_alias):
        async def work(storage):
            for key in ("web/none", "web/p", "web/p/index"):
                with pytest.raises(NoSuchObject, match=key):
                    await storage.alias([(key, "web/b")])
            await storage.alias([("web/p/versions/1", "web/p/versions/1")])
            assert await keys(storage) == ["web/p/index", "web/p/versions/1"]

        with_alias(work)

    def test_an_alias_moved_onto_its_target_is_no_trap(self, with_alias):
        async def work(storage):
            await storage.move([("web/p/index", "web/p/versions/1")])
            assert await keys(storage) == []
            assert await storage.stat(["web/p/versions/1"]) == [None]
            with pytest.raises(NoSuchObject):
                await read(storage, "web/p/versions/1")
            await storage.barrier()
            await storage.write([Item("web/p/versions/1", b"two")])
            assert await keys(storage) == ["web/p/versions/1"]

        with_alias(work)

    def test_the_barrier_covers_aliases(self, with_alias):
        async def work(storage):
            await storage.barrier()
            await storage.move([("web/p/index", "web/index")])
            await storage.delete(["web/p/versions/1"])
            await storage.barrier()
            assert await keys(storage) == []

        with_alias(work)

    # -------------------------------------------------------------- reading

    @pytest.mark.parametrize(("start", "length"), [(0, None), (5, None), (5, 3), (0, 0), (9, 5), (100, 5)])
    def test_parts_can_be_read(self, use, start, length):
        async def work(storage):
            data = b"0123456789"
            await storage.write([Item("web/a", data)])
            end = None if length is None else start + length
            assert await read(storage, "web/a", start, length) == data[start:end]

        use(work)

    def test_reading_what_is_not_there_fails_on_the_first_step(self, use):
        async def work(storage):
            body = storage.open("web/none")
            with pytest.raises(NoSuchObject):
                await anext(body)

        use(work)

    def test_what_only_has_keys_below_it_is_no_object(self, use):
        async def work(storage):
            await storage.write([Item("web/a/b", b"1")])
            assert await storage.stat(["web", "web/a", "web/a/b/c"]) == [None, None, None]
            for key in ("web/a", "web/a/b/c"):
                with pytest.raises(NoSuchObject):
                    await read(storage, key)
                await storage.delete([key])
            assert await keys(storage) == ["web/a/b"]

        use(work)

    @pytest.mark.parametrize("count", [1, 100])
    def test_a_close_look_says_what_is_there_and_reads_it_only_when_asked(self, use, count):
        async def work(storage):
            bodies = {f"web/p/{number}": b"x" * number * 5000 for number in range(count)}
            moment = Options(modified=1_600_000_000.0)
            await storage.write([Item(key, body, moment) for key, body in bodies.items()])
            asked = ["web/none", *bodies, "web/p"]
            found = await storage.inspect(asked, sha256=True)
            assert found[0] is None
            assert found[-1] is None
            for one, (key, body) in zip(found[1:-1], bodies.items(), strict=True):
                assert (one.key, one.size, one.modified) == (key, len(body), 1_600_000_000.0)
                assert one.sha256 == hashlib.sha256(body).hexdigest()
                assert one.is_public
                assert one.problem is None
            again = await storage.inspect(asked, sha256=False)
            assert [one and replace(one, sha256=None) for one in found] == again
            assert await storage.inspect([], sha256=True) == []
            await storage.make_public([*bodies])
            assert await storage.inspect(asked, sha256=True) == found

        use(work)

    def test_only_what_is_there_is_made_public(self, use):
        async def work(storage):
            with pytest.raises(NoSuchObject):
                await storage.make_public(["web/none"])

        use(work)

    def test_a_close_look_follows_aliases(self, use):
        async def work(storage):
            if not storage.capabilities.aliases:
                return
            await storage.write([Item("web/a", b"1")])
            await storage.alias([("web/a", "web/b")])
            (found,) = await storage.inspect(["web/b"], sha256=True)
            assert (found.key, found.sha256) == ("web/b", hashlib.sha256(b"1").hexdigest())

        use(work)

    @pytest.mark.parametrize("prefix", ["../", "web/../../", "/etc/", "a//b"])
    def test_nothing_is_listed_that_no_key_can_name(self, use, prefix):
        async def work(storage):
            with pytest.raises(ValueError, match="not a key"):
                await keys(storage, prefix)

        use(work)

    def test_listing_is_in_key_order(self, use):
        async def work(storage):
            names = ["web/a", "web/a-b", "web/a/b", "web/a/b-c", "web/a.b", "web/b/c/d", "status", "web/ab/x"]
            names.remove("web/a")  # a file and a directory of one name cannot both be
            await storage.write([Item(name, b"x") for name in reversed(names)])
            assert await keys(storage) == sorted(names)
            assert await keys(storage, "web/a") == sorted(n for n in names if n.startswith("web/a"))
            assert await keys(storage, "web/a/") == ["web/a/b", "web/a/b-c"]
            assert await keys(storage, "nothing/") == []
            for after in names:
                assert await keys(storage, "", after) == [n for n in sorted(names) if n > after]

        use(work)

    def test_listing_while_others_write_and_delete(self, use):
        async def work(storage):
            await storage.write([Item(f"web/k{n:04}", b"x") for n in range(2500)])
            seen = []
            async for stat in storage.list("web/"):
                seen.append(stat.key)
                if len(seen) == 10:
                    await storage.delete([f"web/k{n:04}" for n in range(2000, 2500)])
                    await storage.write([Item("web/zzz", b"x")])
            assert seen[:2000] == [f"web/k{n:04}" for n in range(2000)]

        use(work)

    def test_scratch_is_listed_only_when_asked_for(self, use):
        async def work(storage):
            await storage.write([Item(f"{STAGING}p1", b"x"), Item("web/a", b"x")])
            assert await keys(storage) == ["web/a"]
            assert await keys(storage, STAGING) == [f"{STAGING}p1"]

        use(work)

    def test_the_barrier_returns(self, use):
        async def work(storage):
            await storage.barrier()
            await storage.write([Item("web/a", b"x"), Item(f"{STAGING}b", b"x")])
            await storage.move([(f"{STAGING}b", "web/deep/er/b")])
            await storage.delete(["web/a"])
            await storage.barrier()
            assert await keys(storage) == ["web/deep/er/b"]

        use(work)

    def test_small_objects_are_read_many_at_once(self, use):
        async def work(storage):
            await storage.write([Item("web/a", b"one"), Item("web/d/b", b"")])
            asked = ["web/a", "web/none", "web/d/b", "web/d", "web/a/below"]
            assert await storage.read(asked) == [b"one", None, b"", None, None]
            assert await storage.read(["web/a"], 2) == [b"on"]
            with pytest.raises(ValueError, match="not a key"):
                await storage.read(["web/../a"])

        use(work)
