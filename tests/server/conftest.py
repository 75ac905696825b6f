"""One small tree for all tests of this folder, and the site over it, asked without a socket."""

from __future__ import annotations

import asyncio
import inspect

import pytest

from frumious.server.build import SiteOptions, build_site
from frumious.server.http import Request
from frumious.server.records import Records
from support.tree import build_small_tree


async def _no_catalog():
    raise AssertionError("there is none to open")


class Asked:
    """A site, and how a test asks it."""

    def __init__(self, options, catalog):
        self.site = build_site(options, Records(_no_catalog, catalog), Records(_no_catalog, catalog))

    def __call__(self, path, method="GET", query="", prefix="", **headers):
        """Return the answer to one request; `if_none_match=` is a header."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}

        request = Request(method, path, query, sent.get, "127.0.0.1", f"http://example.org{prefix}", prefix)
        answer = self.site.answer(request)
        return asyncio.run(answer) if inspect.isawaitable(answer) else answer


@pytest.fixture(scope="session")
def tree(tmp_path_factory):
    return build_small_tree(tmp_path_factory.mktemp("mirror"))


@pytest.fixture(scope="session")
def ask(tree):
    return Asked(SiteOptions(web=tree.web), tree.web.parent / "no-catalog")


@pytest.fixture
def ask_over():
    """Ask over any tree."""
    return lambda web, **options: Asked(SiteOptions(web=web, **options), web.parent / "no-catalog")
