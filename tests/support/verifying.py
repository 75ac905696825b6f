"""`frumious verify` of a `World`."""

import asyncio
from contextlib import asynccontextmanager

from frumious.catalog.sqlite import open_catalog
from frumious.sync.ports import Ports
from frumious.sync.verify.run import VerifyOptions, verify


def verify_in(world, *, wrap=lambda ports: ports, publisher=None, is_busy=lambda: False, **wanted):
    """Verify a world; return the report and the findings as pairs."""
    findings = []

    async def inside():
        catalog = await open_catalog(world.catalog_path)
        try:
            ports = Ports(
                world.upstream, world.storage, catalog, world.events.append, world.clock, world.clock.sleep, lambda: 0.5
            )  # fmt: skip

            @asynccontextmanager
            async def opened():
                yield ports, world.options

            return await verify(
                wrap(ports),
                world.options,
                VerifyOptions(**wanted),
                publisher or opened,
                findings.append,
                is_busy,
            )
        finally:
            await catalog.aclose()

    report = asyncio.run(inside())
    return report, [(finding.kind.value, finding.key) for finding in findings]
