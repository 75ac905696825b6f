"""The simulated upstream keeps the port's promises."""

from __future__ import annotations

import asyncio

import pytest

from contract.upstream_contract import UpstreamContract
from support.index import SimulatedIndex, SimulatedUpstream
from support.index_pages import DIALECTS


class InProcess:
    def __init__(self, dialect):
        self.index = SimulatedIndex()
        self.dialect = DIALECTS[dialect]
        self._upstream = SimulatedUpstream(self.index, dialect)
        self.faults = self._upstream.faults
        self.requests = self._upstream.requests

    def run(self, use):
        return asyncio.run(use(self._upstream))


class TestSimulatedUpstream(UpstreamContract):
    @pytest.fixture(params=[name for name, dialect in DIALECTS.items() if dialect.form == "json"])
    def face(self, request):
        return InProcess(request.param)
