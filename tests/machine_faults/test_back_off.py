"""What stays wrong costs a run its retries and no more, however often it has failed."""

import asyncio

from contract.catalog_contract import SHA_A, SHA_B, held, publication
from frumious.catalog.sqlite import open_catalog
from frumious.storage.local import LocalStorage
from frumious.storage.memory import MemoryStorage
from frumious.sync.fetch import Prepared
from frumious.sync.options import Limits, Rendering
from frumious.sync.page import Rendered
from frumious.sync.plan import next_retry
from frumious.sync.ports import Ports
from frumious.sync.publish import Publisher
from frumious.sync.summary import ExitCode
from support.index import SimulatedIndex, SimulatedUpstream
from support.world import Clock, World

HOUR = 3600


def prepared(name, sha256, attempts=0):
    """Return a project that lists one file, under the same key as all others do."""
    page = f"web/simple/{name}/index.v1_json"
    return Prepared(
        publication(name, hold=[held(sha256=sha256)]), Rendered({page: b"{}"}, {}, b""), attempts=attempts
    )


def test_a_path_that_is_taken_is_tried_again_ever_more_rarely():
    """Two projects claim one path: which is second is known only when they are recorded (design.md §5, Paths)."""

    async def work():
        catalog, clock = await open_catalog(None), Clock()
        ports = Ports(
            SimulatedUpstream(SimulatedIndex()), MemoryStorage(), catalog, lambda _: None, clock, clock.sleep,
            lambda: 0.5,
        )  # fmt: skip
        publisher = Publisher(ports, Rendering(), (), Limits(seconds=0.01), lambda _: None)
        await publisher.add(prepared("one", SHA_A))
        await publisher.add(prepared("two", SHA_B, attempts=9))
        await publisher.end()
        await publisher.run()
        (owed,) = await catalog.owed()
        await catalog.aclose()
        return owed, clock.now

    owed, now = asyncio.run(work())
    assert (owed.name, owed.kind, owed.attempts) == ("two", "path-taken", 10)
    assert owed.retry_at == next_retry(now, 10)
    assert owed.retry_at > now + HOUR


def test_a_place_that_is_taken_is_tried_again_ever_more_rarely(tmp_path):
    """A directory stands where a page belongs and nobody takes it away: forty runs, three hours apart."""
    root = tmp_path / "mirror"
    (root / "web/simple/bad/index.v1_json/theirs").mkdir(parents=True)
    world = World(tmp_path, storage=LocalStorage(root))
    world.index.upload("bad", "1.0")
    world.index.upload("good", "1.0")
    retried = 0
    for _ in range(40):
        before = len(world.upstream.requests("page:bad"))
        world.clock.now += 3 * HOUR
        world.storage = LocalStorage(root)
        assert world.mirror().exit_code is ExitCode.OWED
        asyncio.run(world.storage.aclose())
        retried += len(world.upstream.requests("page:bad")) > before
    (owed,) = world.catalog(lambda catalog: catalog.owed())
    assert owed.attempts == retried
    assert 5 <= retried <= 15, "at first in every run, then once a day"
    assert len(world.upstream.requests("file:bad*whl")) == 1
    assert len(world.upstream.requests("page:good")) == 1
