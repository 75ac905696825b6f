"""The site, put together: which room answers what. A new route is one line here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from frumious.server.counters import Counters
from frumious.server.files import Files
from frumious.server.health import Health
from frumious.server.integrity import Integrity
from frumious.server.legacy import legacy_routes
from frumious.server.page_store import PageStore
from frumious.server.records import Records
from frumious.server.releases import Projects
from frumious.server.simple import SimpleApi
from frumious.server.site import Route, Site
from frumious.server.tree import Tree


@dataclass(frozen=True, slots=True)
class SiteOptions:
    """How the tree lies, and how it is sent."""

    web: Path
    hash_index: bool = False
    root_uri: str | None = None
    page_max_age: int = 600
    """Seconds."""
    page_cache: int = 32 << 20
    """Bytes."""


def build_site(
    options: SiteOptions,
    records: Records,
    slow_records: Records,
    more: Mapping[str, Route] | None = None,
    counters: Counters | None = None,
) -> Site:
    """Return the site over one tree and its catalog, which `slow_records` opens once more for what takes long."""
    tree = Tree(options.web)
    pages = PageStore(
        tree,
        capacity=options.page_cache,
        cache_control=f"max-age={options.page_max_age}, public",
        counters=counters,
    )
    simple = SimpleApi(pages, hash_index=options.hash_index)
    files = Files(tree, simple, root_uri=options.root_uri)
    projects = Projects(tree, simple, root_uri=options.root_uri)
    health = Health(tree, records)
    return Site(
        {
            "simple": Route(simple.answer),
            "packages": Route(files.package),
            "integrity": Route(Integrity(tree, files).answer),
            "health": Route(health.health),
            "ready": Route(health.ready),
            **legacy_routes(tree, projects, records, slow_records),
            **(more or {}),
        },
        fallback=Route(files.other),
    )
