"""A whole mirror in a test: a simulated index, storage, a catalog on disk, a clock that only moves when told.

world = World(tmp_path)
world.index.upload("six", "1.0")
summary = world.mirror()
assert world.page("six")["files"] ...
"""

import asyncio
import json
from dataclasses import replace

from frumious.catalog.sqlite import open_catalog
from frumious.model.names import normalize
from frumious.storage.memory import MemoryStorage
from frumious.sync.engine import delete, mirror, restore, sync, unpin
from frumious.sync.options import Limits, Rendering, SyncOptions
from frumious.sync.ports import Ports
from support import invariants
from support.index import SimulatedIndex, SimulatedUpstream

START = 1_800_000_000


class Clock:
    """Time that moves when somebody sleeps, or when the test says so."""

    def __init__(self) -> None:
        self.now = float(START)
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


class World:
    """One mirror of one simulated index."""

    def __init__(self, tmp_path, *, storage=None, index=None, dialect="json", **options) -> None:
        self.index = index or SimulatedIndex()
        self.dialect = dialect
        self.upstream = SimulatedUpstream(self.index, dialect)
        self.storage = storage if storage is not None else MemoryStorage(free=10**15)
        self.catalog_path = tmp_path / "catalog.sqlite3"
        self.clock = Clock()
        self.options = replace(SyncOptions(streams=4), **options)
        self.events: list[object] = []

    @property
    def faults(self):
        return self.upstream.faults

    def rendering(self, **changes) -> None:
        self.options = replace(self.options, rendering=replace(self.options.rendering, **changes))

    def mirror(self, *, storage=None, check=True, limits=Limits(projects=3, seconds=0.01)):
        return self._run(lambda ports: mirror(ports, self.options, limits), storage, check=check)

    def sync(self, *names, storage=None, check=True):
        pairs = [(normalize(name), name) for name in names]
        return self._run(lambda ports: sync(ports, self.options, pairs), storage, check=check)

    def delete(self, *names, keep_out=False, storage=None, check=True):
        pairs = [(normalize(name), name) for name in names]
        return self._run(
            lambda ports: delete(ports, self.options, pairs, keep_out=keep_out), storage, check=check
        )

    def restore(self, *asked, storage=None, check=True):
        return self._run(lambda ports: restore(ports, self.options, asked), storage, check=check)

    def unpin(self, *asked, storage=None, check=True):
        return self._run(lambda ports: unpin(ports, self.options, asked), storage, check=check)

    def ask(self, question):
        """Return what a function says that is given what a run acts on, and changes nothing."""
        return self._run(question, None, check=False)

    def _run(self, command, storage, *, check):
        self.events = []

        async def inside():
            catalog = await open_catalog(self.catalog_path)
            try:
                ports = Ports(
                    self.upstream,
                    storage if storage is not None else self.storage,
                    catalog,
                    self.events.append,
                    self.clock,
                    self.clock.sleep,
                    lambda: 0.5,
                )
                return await command(ports)
            finally:
                await catalog.aclose()

        self.clock.now += 60
        summary = asyncio.run(inside())
        if check:
            self.check()
        return summary

    def check(self, storage=None) -> None:
        asyncio.run(invariants.check(storage or self.storage))
        invariants.check_sums(self.catalog_path)

    def catalog(self, work):
        """Call an async function with the catalog."""

        async def inside():
            catalog = await open_catalog(self.catalog_path)
            try:
                return await work(catalog)
            finally:
                await catalog.aclose()

        return asyncio.run(inside())

    def read(self, key: str) -> bytes | None:
        return asyncio.run(invariants.read(self.storage, key))

    def text(self, key: str) -> str | None:
        body = self.read(key)
        return None if body is None else body.decode()

    def page(self, name: str):
        """Return a project's JSON page, None where there is none."""
        body = self.read(f"web/simple/{name}/index.v1_json")
        return None if body is None else json.loads(body)

    def filenames(self, name: str) -> list[str]:
        return [file["filename"] for file in self.page(name)["files"]]

    def root(self):
        return json.loads(self.read("web/simple/index.v1_json"))

    def listed(self) -> list[str]:
        return [project["name"] for project in self.root()["projects"]]

    def keys(self, prefix: str = "") -> list[str]:
        return asyncio.run(invariants.keys(self.storage, prefix))

    def tree(self) -> dict[str, bytes | None]:
        """Return everything that is published, and the state files."""
        return {key: self.read(key) for key in self.keys() if not key.startswith(".frumious/")}


__all__ = ["START", "Clock", "Limits", "Rendering", "World"]
