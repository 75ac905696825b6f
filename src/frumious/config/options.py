"""The one table of options: it drives the reading, the default file and the reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from frumious.config.filter_options import FILTER_OPTIONS
from frumious.config.known import OTHER_SECTIONS
from frumious.config.option import BOOL, FILE, SELECTION, InFile, Option
from frumious.config.own_filter_options import OWN_FILTER_OPTIONS
from frumious.config.pypi import default_master
from frumious.config.readers import (
    master_note,
    path_note,
    read_bool,
    read_catalog,
    read_command,
    read_digest_name,
    read_existing_file,
    read_global_timeout,
    read_min_free,
    read_number,
    read_path,
    read_plugin,
    read_proxy,
    read_root_uri,
    read_simple_format,
    read_size,
    read_storage_backend,
    read_text,
    read_timeout,
    read_url,
    slash_note,
    whole,
    word,
)

MAX_WORKERS = 10
MAX_STREAMS = 100
STREAMS_PER_WORKER = 10
CATALOG = ".frumious/catalog.sqlite3"


_URL = "an https:// address (http:// with `allow-non-https = true`), without query or fragment"
_SIZES = "a number of bytes, or with K, M, G, T or P (binary: 1K is 1024)"

WHERE = "Where it lies"
UPSTREAM = "Upstream"
WRITTEN = "What is written"
POLITE = "Speed and politeness"
RUNS = "Runs"
NOT_YET = "Accepted, without effect so far"


def _idle(
    key: str,
    read: Callable[[str], Any],
    allowed: str,
    *,
    doc: str,
    section: str = "mirror",
    default: str = "",
    shipped: bool = True,
    same: bool = True,
    many: bool = False,
) -> Option:
    """Return a key of bandersnatch's without effect; `same`: its default asks for what happens anyway."""
    return Option(
        section=section,
        key=key,
        read=read,
        allowed=allowed,
        doc=doc,
        default=default,
        shipped=shipped and section == "mirror",
        may_be_empty=not default,
        many=many,
        in_file=InFile.ABSENT,
        group=NOT_YET,
        works=False,
        same_as=default if default and same else None,
    )


OPTIONS: tuple[Option, ...] = (
    Option(
        key="directory",
        read=read_path,
        allowed=FILE,
        doc="The directory of the mirror; created, with its parents, if it is not there. A web server serves `web/` "
        "in it. A relative path starts at the current directory; `~` is not expanded.",
        example="/srv/pypi",
        required=True,
        note=path_note,
        in_file=InFile.SET,
        group=WHERE,
    ),
    Option(
        key="catalog",
        read=read_catalog,
        allowed="a path of a SQLite file, on a local file system",
        doc="Where Frumious notes what upstream offers and what the mirror holds.",
        default_shown=f"`<directory>/{CATALOG}`",
        example=f"/srv/pypi/{CATALOG}",
        may_be_empty=True,
        note=path_note,
        group=WHERE,
    ),
    Option(
        key="storage-backend",
        read=read_storage_backend,
        allowed="`filesystem`",
        doc="Where bytes are kept. bandersnatch's `s3` is not supported yet and refused.",
        default="filesystem",
        shipped=True,
        in_file=InFile.ABSENT,
        group=WHERE,
    ),
    Option(
        key="min-free",
        read=read_min_free,
        allowed=f"{_SIZES}, or a share of the file system such as `5%%` (a percent sign is doubled in this file)",
        doc="What must stay free on the file system of `directory`. Before the first byte a run compares what it "
        "plans to fetch with the space that is free, less this, and stops if it does not fit.",
        default="0",
        example="20G",
        group=WHERE,
    ),
    Option(
        key="master",
        read=read_url,
        allowed=_URL,
        doc="The index to mirror: the address to which `/simple/` is added. A final slash is dropped.",
        default=default_master,
        default_shown="PyPI",
        shipped=True,
        note=master_note,
        in_file=InFile.SET,
        group=UPSTREAM,
    ),
    Option(
        key="allow-non-https",
        read=read_bool,
        allowed=BOOL,
        doc="Allow plain http:// for `master`, `download-mirror` and where they redirect to. Whoever sits on the way "
        "can then change what you mirror.",
        default="false",
        shipped=True,
        group=UPSTREAM,
    ),
    Option(
        key="download-mirror",
        read=read_url,
        allowed=_URL,
        doc="Fetch files from this mirror first: its address takes the place of scheme and host of a file's. "
        "What it lacks, or has with another digest, comes from the original address. A final slash is dropped.",
        example="https://mirror.example.org",
        shipped=True,
        may_be_empty=True,
        note=slash_note,
        group=UPSTREAM,
    ),
    Option(
        key="download-mirror-no-fallback",
        read=read_bool,
        allowed=BOOL,
        doc="Never fall back from `download-mirror` to the original address.",
        default="false",
        shipped=True,
        group=UPSTREAM,
    ),
    Option(
        key="proxy",
        read=read_proxy,
        allowed="an http://, https://, socks5:// or socks5h:// address",
        doc="The proxy for all requests. Not set: `https_proxy`, `http_proxy`, `all_proxy` and `no_proxy` of the "
        "environment decide.",
        example="http://proxy.example.org:3128",
        shipped=True,
        may_be_empty=True,
        group=UPSTREAM,
    ),
    Option(
        key="timeout",
        read=read_timeout,
        allowed="seconds, more than 0",
        doc="How long to wait for a connection, and for the next bytes on it. Low on purpose: a stuck connection is "
        "better dropped and tried again than waited for.",
        default="10",
        shipped=True,
        in_file=InFile.SET,
        group=UPSTREAM,
    ),
    Option(
        key="global-timeout",
        read=read_global_timeout,
        allowed="seconds; 0 stands for 18000",
        doc="How long one request may take in all, the download of a large file included.",
        default="1800",
        shipped=True,
        in_file=InFile.SET,
        group=UPSTREAM,
    ),
    Option(
        key="json",
        read=read_bool,
        allowed=BOOL,
        doc="Also write upstream's legacy JSON documents, as `web/json/NAME` and `web/pypi/NAME/json`.",
        default="false",
        shipped=True,
        in_file=InFile.SET,
        group=WRITTEN,
    ),
    Option(
        key="release-files",
        read=read_bool,
        allowed=BOOL,
        doc="Fetch the files themselves. With false only pages are kept; they link to `root_uri` if it is set, else "
        "to the addresses on upstream's pages.",
        default="true",
        shipped=True,
        in_file=InFile.SET,
        group=WRITTEN,
    ),
    Option(
        key="core-metadata",
        read=read_bool,
        allowed=BOOL,
        doc="Also fetch the core metadata of wheels (PEP 658), which lets installers resolve without downloading.",
        default="true",
        shipped=True,
        in_file=InFile.SET,
        group=WRITTEN,
    ),
    Option(
        key="simple-format",
        read=read_simple_format,
        allowed="ALL, HTML or JSON, in any case",
        doc="Which forms of the pages to write: HTML (PEP 503), JSON (PEP 691) or both.",
        default="ALL",
        shipped=True,
        in_file=InFile.SET,
        group=WRITTEN,
    ),
    Option(
        key="hash-index",
        read=read_bool,
        allowed=BOOL,
        doc="Put the pages of a project under `simple/FIRST-CHARACTER/NAME/`. pip cannot use this without rewriting "
        "rules in the web server.",
        default="false",
        shipped=True,
        in_file=InFile.SET,
        group=WRITTEN,
    ),
    Option(
        key="root_uri",
        read=read_root_uri,
        allowed="an http:// or https:// address, or a path that starts with one slash",
        doc="What links to files begin with; not set, they are relative. A final slash is dropped.",
        example="https://files.example.org",
        shipped=True,
        may_be_empty=True,
        note=slash_note,
        group=WRITTEN,
    ),
    Option(
        key="workers",
        read=whole(1, MAX_WORKERS),
        allowed=f"a whole number from 1 to {MAX_WORKERS}",
        doc="Connections to one host, and large files in flight, at the same time. Leave it at 3 unless upstream is "
        "yours or its operators agreed.",
        default="3",
        shipped=True,
        in_file=InFile.SET,
        group=POLITE,
    ),
    Option(
        key="streams",
        read=whole(1, MAX_STREAMS),
        allowed=f"a whole number from 1 to {MAX_STREAMS}",
        doc="Pages and small files in flight over all connections together, where upstream speaks HTTP/2.",
        default_shown=f"{STREAMS_PER_WORKER} for each worker",
        example="30",
        may_be_empty=True,
        group=POLITE,
    ),
    Option(
        key="max-requests-per-second",
        read=read_number,
        allowed="a number; 0 is no limit",
        doc="How many requests to start in a second.",
        default_shown="200 towards PyPI itself, no limit elsewhere",
        example="50",
        may_be_empty=True,
        group=POLITE,
    ),
    Option(
        key="max-bandwidth",
        read=read_size,
        allowed=f"{_SIZES}; 0 is no limit",
        doc="How many bytes to fetch in a second, all connections together.",
        default_shown="no limit",
        example="10M",
        may_be_empty=True,
        group=POLITE,
    ),
    Option(
        key="stop-on-error",
        read=read_bool,
        allowed=BOOL,
        doc="End the run at the first project that fails. Otherwise the others are finished, and the failed one "
        "keeps its old page and is tried again by the next run.",
        default="false",
        shipped=True,
        in_file=InFile.SET,
        group=RUNS,
    ),
    Option(
        key="recheck-days",
        read=whole(1, 3650),
        allowed="a whole number from 1 to 3650",
        doc="Ask for an unchanged project again after so many days: not everything that changes upstream moves a "
        "serial.",
        default="14",
        group=RUNS,
    ),
    Option(
        key="run-after",
        read=read_command,
        allowed="a command with its arguments, quoted as in a shell (no shell runs it)",
        doc="A command to run after a run that changed something, for instance to purge a cache.",
        example="/usr/local/bin/purge-cache --all",
        may_be_empty=True,
        group=RUNS,
    ),
    Option(
        key="summary-file",
        read=read_path,
        allowed=FILE,
        doc="Write a summary of each run there, as JSON.",
        example="/var/log/frumious/summary.json",
        may_be_empty=True,
        note=path_note,
        group=RUNS,
    ),
    Option(
        key="log-config",
        read=read_existing_file,
        allowed="a path of a file that is there, in the format of Python's `logging.config.fileConfig`",
        doc="Configure logging by this file, in addition.",
        example="/etc/bandersnatch-log.conf",
        shipped=True,
        may_be_empty=True,
        note=path_note,
        group=RUNS,
    ),
    Option(
        section="plugins",
        key="enabled",
        read=read_plugin,
        allowed="`allowlist_project` and `blocklist_project`, one on each line",
        doc="The filters in force. Any other name is refused, since a filter that is not applied would mean a larger "
        "mirror than you asked for.",
        default_shown="none",
        example="\n    allowlist_project",
        may_be_empty=True,
        many=True,
        group=SELECTION,
        field="plugins",
    ),
    *FILTER_OPTIONS,
    *OWN_FILTER_OPTIONS,
    _idle(
        "compare-method",
        word("hash", "stat"),
        "`hash` or `stat`",
        default="hash",
        doc="How bandersnatch finds out that a file on disk is the right one.",
    ),
    _idle(
        "digest_name",
        read_digest_name,
        "a digest that Python's hashlib knows, in any case",
        default="sha256",
        doc="The digest in pages. Frumious publishes SHA-256.",
    ),
    _idle(
        "keep_index_versions",
        whole(0),
        "a whole number, 0 or more",
        default="0",
        shipped=False,
        doc="How many earlier pages of a project to keep.",
    ),
    _idle("diff-file", read_text, FILE, doc="Where bandersnatch lists the files that a run wrote."),
    _idle(
        "diff-append-epoch",
        read_bool,
        BOOL,
        default="false",
        doc="Add the time to the name of `diff-file`.",
    ),
    _idle(
        "cleanup",
        read_bool,
        BOOL,
        default="false",
        doc="Remove directories of unnormalized names, left by bandersnatch before 4.0.",
    ),
    _idle(
        "cleanup_todo",
        read_bool,
        BOOL,
        default="false",
        doc="Drop projects that upstream does not have from `todo`.",
    ),
    _idle(
        "delete_missing_packages",
        read_bool,
        BOOL,
        default="false",
        doc="Delete projects that upstream does not have any more.",
    ),
    _idle(
        "verifiers",
        whole(1),
        "a whole number, 1 or more",
        default="3",
        same=False,
        doc="Projects that `verify` looks at, at the same time.",
    ),
    _idle(
        "storage-filesystem-manage-permissions",
        read_bool,
        BOOL,
        default="true",
        doc="Set the mode of files. Frumious makes them readable for everybody.",
    ),
    _idle(
        "requirements",
        read_text,
        "one file name on each line",
        section="allowlist",
        many=True,
        doc="Requirements files, for `project_requirements`.",
    ),
    _idle("requirements_path", read_text, FILE, section="allowlist", doc="Where `requirements` lie."),
    _idle(
        "platforms",
        read_text,
        "words, separated by blanks or lines",
        section="blocklist",
        many=True,
        doc="Platforms whose files `exclude_platform` drops.",
    ),
)


KEYS: Mapping[str, tuple[str, ...] | None] = {
    section: tuple(option.key for option in OPTIONS if option.section == section)
    for section in dict.fromkeys(option.section for option in OPTIONS)
} | dict(OTHER_SECTIONS)
"""The keys of every known section; None where any key may stand."""
