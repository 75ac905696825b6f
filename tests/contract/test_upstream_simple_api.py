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
    def __init__(self, served, dialect, upstream, runner):
        self.index = served.index
        self.faults = served.faults
        self.requests = served.requests
        self.dialect = DIALECTS[dialect]
        self._upstream = upstream
        self._runner = runner

    def run(self, use):
        return self._runner.run(use(self._upstream))


class TestSimpleApiUpstream(UpstreamContract):
    @pytest.fixture(params=DIALECTS)
    def face(self, request):
        with serve(SimulatedIndex(), request.param) as served, asyncio.Runner() as runner:
            transport = runner.run(open_transport(served))
            upstream = SimpleApiUpstream(transport, served.url)
            yield OverHttp(served, request.param, upstream, runner)
            runner.run(upstream.aclose())
