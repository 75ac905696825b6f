"""Settings become connected objects, opened and closed as one. Only here are concrete adapters named."""

from __future__ import annotations

import asyncio
import os
import platform
import random
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from frumious import __version__
from frumious.catalog.sqlite import open_catalog
from frumious.config import Loaded, Settings, SimpleFormat, default_master
from frumious.errors import ConfigError, NotWritable
from frumious.filters.build import build_selection
from frumious.filters.rules import Selection
from frumious.filters.sections import BadSetting, Entry, Sections
from frumious.storage.local import LocalStorage, make_directory
from frumious.storage.lock import hold_lock
from frumious.sync.events import Notice, Observer
from frumious.sync.fetch import Ports
from frumious.sync.options import Rendering, SyncOptions
from frumious.upstream import simple_api
from frumious.upstream.http import HttpOptions, open_http
from frumious.upstream.polite import Polite, PoliteOptions
from frumious.upstream.simple_api import SimpleApiUpstream

CONTACT = "https://example.org/frumious"
PYPI_REQUESTS_PER_SECOND = 200.0


@dataclass(frozen=True, slots=True)
class Opened:
    """A mirror that is ready for one command."""

    ports: Ports
    options: SyncOptions


def user_agent() -> str:
    """Return what we call ourselves: name, version, contact, platform (conformance 101)."""
    return (
        f"frumious/{__version__} (+{CONTACT}) {platform.python_implementation()}/{platform.python_version()}"
        f" {platform.system()}/{platform.machine()}"
    )


@asynccontextmanager
async def open_mirror(loaded: Loaded, observe: Observer) -> AsyncIterator[Opened]:
    """Open everything that a command which publishes needs; the lock is held until it is closed.

    Raises ConfigError, LockHeld, StorageError, CatalogError; nothing has been asked of upstream then.
    """
    settings = loaded.settings
    selection = selection_of(loaded)
    prepare_directory(settings.directory)
    async with AsyncExitStack() as stack:
        stack.enter_context(hold_lock(settings.directory / ".lock"))
        storage = LocalStorage(settings.directory)
        stack.push_async_callback(storage.aclose)
        catalog = await open_catalog(settings.catalog)
        stack.push_async_callback(catalog.aclose)
        upstream = await open_upstream(settings, observe, stack)
        yield Opened(
            Ports(upstream, storage, catalog, observe, time.time, asyncio.sleep, random.random),
            sync_options(settings, selection),
        )


def selection_of(loaded: Loaded) -> Selection:
    """Return the rules of the configuration; raises ConfigError with file, section, key and line."""
    settings = loaded.settings
    sections = Sections(
        {
            section: {
                key: tuple(Entry(line.text, line.line) for line in lines) for key, lines in keys.items()
            }
            for section, keys in settings.filters.items()
        }
    )
    try:
        return build_selection([plugin.text for plugin in settings.plugins], sections)
    except BadSetting as error:
        raise ConfigError(
            error.problem,
            file=loaded.source,
            section=error.section,
            key=error.key,
            line=error.line,
            hint=error.hint,
        ) from None


def rendering_of(settings: Settings) -> Rendering:
    """Return how pages are to look."""
    return Rendering(
        html=settings.simple_format is not SimpleFormat.JSON,
        json=settings.simple_format is not SimpleFormat.HTML,
        hash_index=settings.hash_index,
        root_uri=settings.root_uri,
        release_files=settings.release_files,
        core_metadata=settings.core_metadata,
        legacy_json=settings.json,
    )


def sync_options(settings: Settings, selection: Selection) -> SyncOptions:
    """Return what the engine is told."""
    disk = os.statvfs(settings.directory)
    return SyncOptions(
        rendering=rendering_of(settings),
        selection=selection,
        streams=settings.streams,
        stop_on_error=settings.stop_on_error,
        min_free=settings.min_free.of(disk.f_blocks * disk.f_frsize),
        recheck_seconds=settings.recheck_days * 86400,
    )


def prepare_directory(directory: Path) -> None:
    """Make the mirror's directory and the folders a web server and bandersnatch expect; raises NotWritable."""
    try:
        for part in ("web/simple", "web/packages", "web/local-stats/days"):
            make_directory(directory / part)
    except OSError as error:
        what = "is not a directory" if directory.exists() and not directory.is_dir() else error.strerror
        verb = "write in" if directory.is_dir() else "make"
        raise NotWritable(
            f"[mirror] directory: cannot {verb} {directory} ({what})",
            hint="give it to the user that runs frumious, or change [mirror] directory",
        ) from error


async def open_upstream(settings: Settings, observe: Observer, stack: AsyncExitStack) -> SimpleApiUpstream:
    """Return the upstream of the configuration behind one polite HTTP client."""

    def notice(text: str) -> None:
        observe(Notice(text))

    transport = await stack.enter_async_context(
        open_http(
            HttpOptions(
                user_agent=user_agent(),
                timeout=settings.timeout,
                global_timeout=settings.global_timeout,
                proxy=settings.proxy,
                allow_http=settings.allow_non_https,
            )
        )
    )
    polite = Polite(
        transport,
        PoliteOptions(
            workers=settings.workers,
            streams=settings.streams,
            max_requests_per_second=requests_per_second(settings),
            max_bandwidth=settings.max_bandwidth,
        ),
        time.monotonic,
        asyncio.sleep,
        random.random,
        on_notice=notice,
    )
    options = simple_api.Options(
        download_mirror=settings.download_mirror, no_fallback=settings.download_mirror_no_fallback
    )
    return SimpleApiUpstream(polite, settings.master, options, on_notice=notice)


def requests_per_second(settings: Settings) -> float | None:
    """Return the limit: what is set (0: none), else 200 towards PyPI itself and none elsewhere (design.md §5)."""
    if settings.max_requests_per_second is not None:
        return settings.max_requests_per_second or None
    # The name behind the default address is compared, not spelled out here (design.md §8); only a master that
    # could be PyPI pays for the import.
    return PYPI_REQUESTS_PER_SECOND if settings.master == default_master() else None
