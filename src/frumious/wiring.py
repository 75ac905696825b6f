"""Settings become connected objects, opened and closed as one. Only here are concrete adapters named."""

from __future__ import annotations

import asyncio
import os
import platform
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from frumious import __version__
from frumious.catalog.sqlite import open_catalog
from frumious.config import Loaded, Settings, SimpleFormat, default_master, diff_paths, is_taken
from frumious.config.ini import without_secrets
from frumious.errors import ConfigError, NotWritable
from frumious.filters.build import BUILDERS, UnknownPlugin, build_selection
from frumious.filters.rules import Selection
from frumious.filters.sections import BadSetting, Entry, Sections
from frumious.filters.thirdparty import BadPlugin, find_builders
from frumious.storage.local import LocalStorage, make_directory
from frumious.storage.lock import held_by, hold_lock
from frumious.storage.recorded import ChangeLists, RecordedStorage, change_lists
from frumious.sync.events import Notice, Observer
from frumious.sync.options import Removal, Rendering, SyncOptions
from frumious.sync.ports import Ports
from frumious.sync.status import Place
from frumious.upstream import simple_api
from frumious.upstream.http import HttpOptions, open_http
from frumious.upstream.polite import Polite, PoliteOptions
from frumious.upstream.simple_api import SimpleApiUpstream

if TYPE_CHECKING:
    from frumious.server.adapter import Adapter
    from frumious.server.counters import Counters

CONTACT = "https://example.org/frumious"
PYPI_REQUESTS_PER_SECOND = 200.0
BRIEF_SECONDS = 5.0
"""How long somebody who asks how things stand waits for upstream."""
LOCKED_SECONDS = 1.0
"""How long an answer of `serve` waits for a catalog that another program has locked."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A mirror that is ready for one command."""

    ports: Ports
    options: SyncOptions
    has_catalog: bool = True
    """False: there is none, and what is recorded now is forgotten in the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the command line asks of one run, beside the configuration."""

    force_check: bool = False
    """Ask upstream for every project again."""
    skip_root: bool = False
    """Leave the project list as it is."""
    confirmed: str | None = None
    """The plan of removals that the operator has looked at."""
    fresh_catalog: bool = False
    """Move a catalog that is there aside, and begin with an empty one."""


def user_agent() -> str:
    """Return what we call ourselves: name, version, contact, platform (conformance 101)."""
    return (
        f"frumious/{__version__} (+{CONTACT}) {platform.python_implementation()}/{platform.python_version()}"
        f" {platform.system()}/{platform.machine()}"
    )


@asynccontextmanager
async def open_mirror(loaded: Loaded, observe: Observer, asked: Asked = Asked()) -> AsyncIterator[Opened]:
    """Open everything that a command which publishes needs; the lock is held until it is closed.

    Raises ConfigError, LockHeld, StorageError, CatalogError; nothing has been asked of upstream then.
    """
    settings = loaded.settings
    selection = selection_of(loaded, lambda text: observe(Notice(text)))
    lists = change_lists_of(loaded, int(time.time()))
    manage_modes = settings.storage_filesystem_manage_permissions
    prepare_directory(settings.directory, manage_modes=manage_modes)
    async with AsyncExitStack() as stack:
        check_lock = stack.enter_context(hold_lock(settings.directory / ".lock", manage_modes=manage_modes))
        if lists is not None:
            lists.start()
        local = LocalStorage(settings.directory, manage_modes=manage_modes, check=check_lock)
        storage = local if lists is None else RecordedStorage(local, lists)
        stack.push_async_callback(storage.aclose)
        if asked.fresh_catalog:
            await asyncio.to_thread(move_catalog_aside, settings.catalog)
        catalog = await open_catalog(settings.catalog)
        stack.push_async_callback(catalog.aclose)
        upstream = await open_upstream(settings, observe, stack)
        yield Opened(
            Ports(upstream, storage, catalog, observe, time.time, asyncio.sleep, random.random),
            sync_options(settings, selection, asked),
        )


def move_catalog_aside(path: Path) -> None:
    """Give a catalog another name, with the files that SQLite keeps beside it; raises NotWritable."""
    try:
        for suffix in ("", "-wal", "-shm"):
            part = path.with_name(path.name + suffix)
            if part.exists() or part.is_symlink():
                part.replace(path.with_name(f"{path.name}.before-rebuild{suffix}"))
    except OSError as error:
        raise NotWritable(
            f"cannot rename {path} ({error.strerror})", hint=f"move it out of {path.parent} by hand"
        ) from error


@asynccontextmanager
async def open_reader(
    loaded: Loaded, observe: Observer, *, readers: int | None = None, briefly: bool = False
) -> AsyncIterator[Opened]:
    """Open everything that a command which only reads needs: no lock is taken and nothing is made or changed.

    `readers`: how many files are inspected at the same time; None: one for each core. `briefly`: for a few quick
    questions, so that upstream is asked but once, and not waited for.

    Raises ConfigError, StorageError, CatalogError.
    """
    settings = loaded.settings
    selection = selection_of(loaded, lambda text: observe(Notice(text)))
    async with AsyncExitStack() as stack:
        manage_modes = settings.storage_filesystem_manage_permissions
        storage = LocalStorage(settings.directory, manage_modes=manage_modes, readers=readers)
        stack.push_async_callback(storage.aclose)
        there = await asyncio.to_thread(settings.catalog.exists)
        catalog = await open_catalog(settings.catalog if there else None, read_only=there, briefly=briefly)
        stack.push_async_callback(catalog.aclose)
        upstream = await open_upstream(settings, observe, stack, briefly=briefly)
        yield Opened(
            Ports(upstream, storage, catalog, observe, time.time, asyncio.sleep, random.random),
            sync_options(settings, selection),
            has_catalog=there,
        )


def place_of(loaded: Loaded) -> Place:
    """Return where the mirror lies, and who holds its lock."""
    settings = loaded.settings
    return Place(
        config=loaded.source,
        directory=str(settings.directory),
        upstream=without_secrets(settings.master),
        catalog_bytes=_size_of_catalog(settings.catalog),
        holder=held_by(settings.directory / ".lock"),
    )


def _size_of_catalog(path: Path) -> int | None:
    size = None
    with suppress(FileNotFoundError):  # the second one comes and goes
        size = path.stat().st_size
        size += path.with_name(f"{path.name}-wal").stat().st_size
    return size


def selection_of(loaded: Loaded, warn: Callable[[str], None] = lambda _: None) -> Selection:
    """Return the rules of the configuration; raises ConfigError with file, section, key and line.

    `warn` gets what the filters have to say of settings that can be used.
    """
    settings = loaded.settings
    sections = Sections(
        {
            section: {
                key: tuple(Entry(line.text, line.line) for line in lines) for key, lines in keys.items()
            }
            for section, keys in settings.filters.items()
        }
    )
    enabled = {plugin.text: plugin.line for plugin in reversed(settings.plugins)}
    names = [plugin.text for plugin in settings.plugins]
    try:
        others = find_builders(names, BUILDERS)
        return build_selection(names, sections, warn, others=others, mirror=loaded.mirror)
    except BadSetting as error:
        raise ConfigError(
            error.problem,
            file=loaded.source,
            section=error.section,
            key=error.key,
            line=enabled.get(error.plugin) if isinstance(error, (BadPlugin, UnknownPlugin)) else error.line,
            hint=error.hint,
        ) from None


def change_lists_of(loaded: Loaded, started: int) -> ChangeLists | None:
    """Return the lists that `diff-file` asks for, not begun yet; raises ConfigError for a place that is taken."""
    settings = loaded.settings
    paths = diff_paths(settings, started)
    if paths is None:
        return None
    for path in paths:
        if is_taken(path, settings) or path == Path(loaded.source).absolute():
            place = loaded.places.get(("mirror", "diff-file"))
            raise ConfigError(
                f"{path} is not free for a list: it belongs to the mirror or its configuration",
                file=loaded.source,
                section="mirror",
                key="diff-file",
                line=place.line if place else None,
                hint="write, for instance, {{mirror_directory}}/mirrored-files",
            )
    return change_lists(*paths, settings.directory)


def rendering_of(settings: Settings) -> Rendering:
    """Return how pages are to look."""
    return Rendering(
        html=settings.simple_format is not SimpleFormat.JSON,
        json=settings.simple_format is not SimpleFormat.HTML,
        hash_index=settings.hash_index,
        root_uri=settings.root_uri,
        release_files=settings.release_files,
        core_metadata=settings.core_metadata,
        provenance=settings.provenance,
        legacy_json=settings.json,
        base_url=settings.base_url,
        digest=settings.digest_name,
    )


def removal_of(settings: Settings, confirmed: str | None = None) -> Removal:
    """Return what is to happen to what leaves."""
    return Removal(
        follow=settings.removal == "follow",
        trash_seconds=settings.trash_days * 86400,
        max_projects=settings.removal_max_projects,
        max_files=settings.removal_max_files,
        max_percent=settings.removal_max_percent,
        confirmed=confirmed,
    )


def sync_options(settings: Settings, selection: Selection, asked: Asked = Asked()) -> SyncOptions:
    """Return what the engine is told."""
    disk = os.statvfs(_nearest(settings.directory))
    return SyncOptions(
        rendering=rendering_of(settings),
        selection=selection,
        streams=settings.streams,
        stop_on_error=settings.stop_on_error,
        min_free=settings.min_free.of(disk.f_blocks * disk.f_frsize),
        recheck_seconds=settings.recheck_days * 86400,
        removal=removal_of(settings, asked.confirmed),
        trust_stat=settings.compare_method == "stat",
        keep_versions=settings.keep_index_versions,
        force_check=asked.force_check,
        skip_root=asked.skip_root,
        clean_names=settings.cleanup,
    )


def _nearest(directory: Path) -> Path:
    """Return the directory itself, or the nearest one above it that is there."""
    return next(path for path in (directory, *directory.parents) if path.is_dir())


def prepare_directory(directory: Path, *, manage_modes: bool = True) -> None:
    """Make the mirror's directory and the folders a web server and bandersnatch expect; raises NotWritable."""
    try:
        for part in ("web/simple", "web/packages", "web/local-stats/days"):
            make_directory(directory / part, manage_modes=manage_modes)
    except FileExistsError as error:
        raise NotWritable(
            f"[mirror] directory: {error.filename} is not a directory",
            hint="move away what stands there, or change [mirror] directory",
        ) from error
    except OSError as error:
        what = "is not a directory" if directory.exists() and not directory.is_dir() else error.strerror
        verb = "write in" if directory.is_dir() else "make"
        raise NotWritable(
            f"[mirror] directory: cannot {verb} {directory} ({what})",
            hint="give it to the user that runs frumious, or change [mirror] directory",
        ) from error


async def open_upstream(
    settings: Settings, observe: Observer, stack: AsyncExitStack, *, briefly: bool = False
) -> SimpleApiUpstream:
    """Return the upstream of the configuration behind one polite HTTP client; `briefly`: as of `open_reader`."""

    def notice(text: str) -> None:
        observe(Notice(text))

    transport = await stack.enter_async_context(
        open_http(
            HttpOptions(
                user_agent=user_agent(),
                timeout=min(settings.timeout, BRIEF_SECONDS) if briefly else settings.timeout,
                global_timeout=BRIEF_SECONDS if briefly else settings.global_timeout,
                proxy=settings.proxy,
                allow_http=settings.allow_non_https,
            )
        )
    )
    manners = PoliteOptions(
        workers=settings.workers,
        streams=settings.streams,
        max_requests_per_second=requests_per_second(settings),
        max_bandwidth=settings.max_bandwidth,
    )
    polite = Polite(
        transport,
        replace(manners, tries=1) if briefly else manners,
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


def make_adapter(settings: Settings, counters: Counters) -> Adapter:
    """Return what a worker of `serve` answers with; no catalog is opened before it is asked for.

    Raises OSError for an access log that cannot be written.
    """
    from frumious.server.access import Access, Guarded  # noqa: PLC0415 - only `serve` pays for the HTTP server
    from frumious.server.access_log import AccessLog  # noqa: PLC0415 - as above
    from frumious.server.adapter import Adapter, Public  # noqa: PLC0415 - as above
    from frumious.server.build import SiteOptions, build_site  # noqa: PLC0415 - as above
    from frumious.server.metrics import Metrics  # noqa: PLC0415 - as above
    from frumious.server.records import Records  # noqa: PLC0415 - as above
    from frumious.server.site import Route  # noqa: PLC0415 - as above

    def records() -> Records:
        return Records(
            lambda: open_catalog(settings.catalog, read_only=True, busy_seconds=LOCKED_SECONDS),
            settings.catalog,
        )

    mine = records()
    metrics = Metrics(
        mine, counters, settings.directory, for_everybody=settings.server_metrics == "everybody"
    )
    site = build_site(
        SiteOptions(
            web=settings.directory / "web",
            hash_index=settings.hash_index,
            root_uri=settings.root_uri,
            page_max_age=settings.server_page_max_age,
            page_cache=settings.server_page_cache,
        ),
        mine,
        records(),
        {"metrics": Route(metrics.answer)},
        counters,
    )
    observers = [counters.observe]
    if settings.server_access_log != "off":
        place = settings.server_access_log
        observers.append(AccessLog(place if isinstance(place, Path) else None).observe)
    return Adapter(
        site if settings.server_users is None else Guarded(site, Access(settings.server_users)),
        Public(settings.server_base_url, settings.server_trusted_proxies),
        counters,
        tuple(observers),
    )
