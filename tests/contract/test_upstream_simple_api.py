"""The Simple API adapter keeps the port's promises over real HTTPS, in every dialect an index may speak."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from contract.upstream_contract import UpstreamContract
from frumious.upstream.http import HttpOptions, open_http
from frumious.upstream.simple_api import SimpleApiUpstream
from support.index import SimulatedIndex, serve
from support.index_pages import DIALECTS


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
            options = HttpOptions("frumious-tests (https://example.org)")
            trust = {"SSL_CERT_FILE": str(served.ca_pem)}
            opened = AsyncExitStack()
            transport = runner.run(opened.enter_async_context(open_http(options, trust)))
            upstream = SimpleApiUpstream(transport, served.url)
            yield OverHttp(served, request.param, upstream, runner)
            runner.run(opened.aclose())
