"""The one table of options: it drives the reading, the default file and the reference."""

from __future__ import annotations

from collections.abc import Mapping

from frumious.config.filter_options import FILTER_OPTIONS
from frumious.config.known import OTHER_SECTIONS
from frumious.config.option import BOOL, FILE, SELECTION, InFile, Option
from frumious.config.own_filter_options import OWN_FILTER_OPTIONS
from frumious.config.plugins import FREE_SECTIONS
from frumious.config.pypi import default_master
from frumious.config.readers import (
    DIGESTS,
    digest_note,
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
    read_share,
    read_simple_format,
    read_size,
    read_storage_backend,
    read_timeout,
    read_url,
    slash_note,
    whole,
    word,
)
from frumious.config.server_options import SERVER_OPTIONS

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
REMOVAL = "What leaves"


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
        key="storage-filesystem-manage-permissions",
        read=read_bool,
        allowed=BOOL,
        doc="Make files and directories readable by everybody (0644 and 0755), whatever the umask. With false the "
        "umask decides, and nobody's modes are changed.",
        default="true",
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
        key="provenance",
        read=read_bool,
        allowed=BOOL,
        doc="Also fetch the provenance of files (PEP 740: who published them, signed) where upstream has it, and check "
        "that it is about these very files. Pages name this mirror's copy where `base-url` is https, else upstream's. "
        "With false, pages pass on what upstream's say, unchecked.",
        default="true",
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
        key="base-url",
        read=read_url,
        allowed="an https:// or http:// address, without query or fragment",
        doc="The public address of this mirror, under which `web/` is served. With it the links in "
        "`web/pypi/NAME/json` lead to this mirror, and pages name its copies of provenance if it is https. A final slash "
        "is dropped.",
        example="https://pypi.example.org",
        may_be_empty=True,
        note=slash_note,
        group=WRITTEN,
    ),
    Option(
        key="digest_name",
        read=read_digest_name,
        allowed=f"{', '.join(DIGESTS[:-1])} or {DIGESTS[-1]}, in any case",
        doc="The digest in the links of HTML pages. JSON pages have SHA-256 whatever stands here, and files are "
        "compared by it: a change downloads nothing again.",
        default="sha256",
        shipped=True,
        note=digest_note,
        in_file=InFile.ABSENT,
        group=WRITTEN,
    ),
    Option(
        key="keep_index_versions",
        read=whole(0),
        allowed="a whole number; 0 keeps none",
        doc="How many pages of a project to keep, the one that is out included, in `versions/` beside it. The page "
        "itself is then a relative symbolic link to the newest.",
        default="0",
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
        key="compare-method",
        read=word("hash", "stat"),
        allowed="`hash` or `stat`",
        doc="How to find out that a file on disk which the catalog does not know is the right one: read it, or trust "
        "its size and time.",
        default="hash",
        shipped=True,
        in_file=InFile.ABSENT,
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
        key="diff-file",
        read=read_path,
        allowed=FILE,
        doc="List the files that a run made or changed there, and those that it deleted in a second file whose name "
        "has `.deleted` at the end. In an existing directory the name is `mirrored-files`. `{{SECTION_OPTION}}` "
        "stands for the value of another key.",
        example="{{mirror_directory}}/mirrored-files",
        shipped=True,
        may_be_empty=True,
        note=path_note,
        references=True,
        group=RUNS,
    ),
    Option(
        key="diff-append-epoch",
        read=read_bool,
        allowed=BOOL,
        doc="Add `-` and the start of the run, in seconds since 1970, to the name of `diff-file`. Older lists then "
        "stay: removing them is up to you.",
        default="false",
        shipped=True,
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
        key="exit-codes",
        read=word("frumious", "bandersnatch"),
        allowed="`frumious` or `bandersnatch`",
        doc="Whose exit codes to use; with `bandersnatch`, a run that left projects for the next one ends with 0.",
        default="frumious",
        group=RUNS,
    ),
    Option(
        key="verifiers",
        read=whole(1),
        allowed="a whole number, 1 or more",
        doc="Files that `verify` reads at the same time.",
        default_shown="one for each core",
        example="3",
        in_file=InFile.ABSENT,
        group=RUNS,
    ),
    Option(
        key="removal",
        read=word("follow", "keep"),
        allowed="`follow` or `keep`",
        doc="What to do with projects and files that upstream has removed, or that the filters drop: follow, or keep "
        "them. What upstream has quarantined is withdrawn in either case.",
        default="follow",
        group=REMOVAL,
    ),
    Option(
        key="trash-days",
        read=whole(0, 3650),
        allowed="a whole number from 0 to 3650",
        doc="How long removed files can be brought back. 0: they are deleted at once.",
        default="30",
        group=REMOVAL,
    ),
    Option(
        key="removal-max-projects",
        read=whole(0),
        allowed="a whole number, 0 or more",
        doc="The guard: a run that would remove more projects than this, and a larger share than "
        "`removal-max-percent`, removes nothing.",
        default="100",
        group=REMOVAL,
    ),
    Option(
        key="removal-max-files",
        read=whole(0),
        allowed="a whole number, 0 or more",
        doc="The same for files.",
        default="1000",
        group=REMOVAL,
    ),
    Option(
        key="removal-max-percent",
        read=read_share,
        allowed="a number from 0 to 100, without a percent sign",
        doc="The share of the mirror's projects, or files, up to which a run may remove more than those numbers.",
        default="5",
        group=REMOVAL,
    ),
    Option(
        key="cleanup",
        read=read_bool,
        allowed=BOOL,
        doc="Remove directories of unnormalized names in `web/simple`, left by bandersnatch before 4.0.",
        default="false",
        shipped=True,
        in_file=InFile.ABSENT,
        group=REMOVAL,
    ),
    Option(
        key="cleanup_todo",
        read=read_bool,
        allowed=BOOL,
        doc="bandersnatch: drop projects that upstream does not have from `todo`. Frumious does this anyway, so that "
        "neither value changes anything.",
        default="false",
        shipped=True,
        in_file=InFile.ABSENT,
        group=REMOVAL,
    ),
    Option(
        key="delete_missing_packages",
        read=read_bool,
        allowed=BOOL,
        doc="bandersnatch: delete projects that upstream does not have any more. Frumious does this with "
        "`removal = follow`, its default, so that neither value changes anything: write `removal = keep` to keep them.",
        default="false",
        shipped=True,
        in_file=InFile.ABSENT,
        group=REMOVAL,
    ),
    *SERVER_OPTIONS,
    Option(
        section="plugins",
        key="enabled",
        read=read_plugin,
        allowed="names of plugins, one on each line",
        doc="The filters in force: those below, and plugins that are installed beside Frumious. Any other name is "
        "refused, since a filter that is not applied would mean a larger mirror than you asked for.",
        default_shown="none",
        example="\n    allowlist_project",
        may_be_empty=True,
        many=True,
        group=SELECTION,
        field="plugins",
    ),
    *FILTER_OPTIONS,
    *OWN_FILTER_OPTIONS,
)


KEYS: Mapping[str, tuple[str, ...] | None] = {
    section: tuple(option.key for option in OPTIONS if option.section == section)
    for section in dict.fromkeys(option.section for option in OPTIONS)
} | dict.fromkeys((*FREE_SECTIONS, *OTHER_SECTIONS))
"""The keys of every known section; None where any key may stand."""
