"""The Simple API adapter keeps the port's promises over real HTTPS, in every dialect an index may speak."""

from __future__ import annotations

import asyncio

import pytest
from contract.upstream_contract import UpstreamContract
from support.index import SimulatedIndex, serve
from support.index_pages import DIALECTS

from frumious.upstream.http import HttpTransport
from frumious.upstream.simple_api import SimpleApiUpstream


class OverHttp:
    def __init__(self, served, dialect):
        self._served = served
        self.index = served.index
        self.faults = served.faults
        self.requests = served.requests
        self.dialect = DIALECTS[dialect]

    def run(self, use):
        async def opened():
            upstream = SimpleApiUpstream(open_transport(self._served), self._served.url)
            try:
                return await use(upstream)
            finally:
                await upstream.aclose()

        return asyncio.run(opened())


class TestSimpleApiUpstream(UpstreamContract):
    @pytest.fixture(params=DIALECTS)
    def face(self, request):
        with serve(SimulatedIndex(), request.param) as served:
            yield OverHttp(served, request.param)
