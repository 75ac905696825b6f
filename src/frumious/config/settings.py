"""What a configuration file comes to: values, and the two errors that concern the file as a whole."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from frumious.errors import ConfigError, FrumiousError


class MissingConfig(ConfigError):
    """There is no configuration file; whoever asked may write a default one."""

    exit_code = 1

    def __init__(self, path: Path) -> None:
        super().__init__("there is no such configuration file", file=str(path))
        self.path = path


class DefaultNotWritten(FrumiousError):
    """The default configuration file could not be created; nothing was."""

    def __init__(self, path: Path, reason: str, *, hint: str | None = None) -> None:
        super().__init__(f"cannot create a default configuration file at {path}: {reason}")
        self.path, self.reason, self.hint = path, reason, hint


class SimpleFormat(Enum):
    """Which forms of the Simple API pages are stored."""

    ALL = "ALL"
    HTML = "HTML"
    JSON = "JSON"


@dataclass(frozen=True, slots=True)
class Line:
    """One item of a list as it stands in the file, and where: its line counts from 1."""

    text: str
    line: int


@dataclass(frozen=True, slots=True)
class MinFree:
    """How much must stay free on the mirror's file system: bytes, or a share of its size."""

    bytes: int = 0
    percent: float = 0.0

    def of(self, total: int) -> int:
        """Return the bytes that must stay free on a file system of `total` bytes."""
        return max(self.bytes, math.ceil(total * self.percent / 100))


class Place(NamedTuple):
    """Where a setting stands."""

    source: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What one configuration file asks for; docs/configuration.md says what each setting means."""

    directory: Path
    """Absolute."""
    catalog: Path
    """Absolute."""
    storage_filesystem_manage_permissions: bool
    """False: the umask decides the modes of files and directories."""
    json: bool
    release_files: bool
    core_metadata: bool
    provenance: bool
    simple_format: SimpleFormat
    hash_index: bool
    root_uri: str | None
    """Without a final slash."""
    base_url: str | None
    """Public address of `web/`, without a final slash."""
    digest_name: str
    """hashlib's name of it."""
    keep_index_versions: int
    master: str
    """Without a final slash."""
    allow_non_https: bool
    download_mirror: str | None
    """Without a final slash."""
    download_mirror_no_fallback: bool
    proxy: str | None
    """None: the environment decides."""
    timeout: float
    global_timeout: float
    workers: int
    streams: int
    max_requests_per_second: float | None
    """None: the caller decides, by what upstream is; 0: no limit."""
    max_bandwidth: int | None
    """Bytes per second; None: no limit."""
    stop_on_error: bool
    compare_method: str
    """`hash` or `stat`."""
    recheck_days: int
    removal: str
    """`follow` or `keep`."""
    trash_days: int
    removal_max_projects: int
    removal_max_files: int
    removal_max_percent: float
    cleanup: bool
    cleanup_todo: bool
    delete_missing_packages: bool
    verifiers: int | None
    diff_file: Path | None
    """Absolute, with its references expanded; `diff_file.diff_paths` says where a run writes."""
    diff_append_epoch: bool
    exit_codes: str
    """`frumious` or `bandersnatch`."""
    min_free: MinFree
    log_config: Path | None
    summary_file: Path | None
    run_after: tuple[str, ...]
    """An argument vector; empty: nothing to run."""
    server_host: str
    server_port: int
    server_socket_mode: int
    server_base_url: str | None
    """Without a final slash."""
    server_workers: int | None
    server_tls_certificate: Path | None
    server_tls_key: Path | None
    server_users: Path | None
    server_trusted_proxies: tuple[str, ...]
    """Networks."""
    server_access_log: str | Path
    """`off`, `stderr`, or a file."""
    server_metrics: str
    """`local` or `everybody`."""
    server_page_max_age: int
    """Seconds."""
    server_page_cache: int
    """Bytes, in each worker."""
    server_shutdown_timeout: int
    """Seconds."""
    plugins: tuple[Line, ...]
    filters: Mapping[str, Mapping[str, tuple[Line, ...]]]
    """What stands in the sections that filters read, by section and key."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, what has to be said about their file, and where each key of it stands."""

    settings: Settings
    source: str
    """What messages call the file."""
    warnings: tuple[str, ...]
    places: Mapping[tuple[str, str], Place]
    """By section and key; keys that are not in the file are not here. One in [DEFAULT] is under every section that
    takes its value from there, too."""
    mirror: Mapping[str, str]
    """What the keys of [mirror] come to as text, bandersnatch's defaults included."""
