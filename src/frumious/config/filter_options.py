"""The keys that bandersnatch's filters read.

They are text here: the filter reads them, and refuses what it cannot use, with the same words for what is allowed.
"""

from __future__ import annotations

from collections.abc import Callable

from frumious.config.option import BOOL, SELECTION, InFile, Option
from frumious.config.readers import read_package, read_text

_PACKAGES = "one project on each line, indented under the key; what follows `#` is a comment"
_PATTERNS = "one regular expression of Python's on each line; what follows ` #` is a comment"
_TAGS = "`any:` (default), `all:` or `none:`, and `match-null:` (default) or `not-null:`"
_SEARCH = "Whether patterns may match anywhere; without it they match from the first character on."


def _filter(
    section: str,
    key: str,
    allowed: str,
    doc: str,
    *,
    read: Callable[[str], str] = read_text,
    many: bool = False,
    default: str = "",
    shown: str = "",
) -> Option:
    return Option(
        section=section,
        key=key,
        read=read,
        allowed=allowed,
        doc=doc,
        default_shown=shown or (f"`{default}`" if default else "none" if many else ""),
        may_be_empty=True,
        many=many,
        in_file=InFile.ABSENT,
        group=SELECTION,
    )


FILTER_OPTIONS: tuple[Option, ...] = (
    Option(
        section="allowlist",
        key="packages",
        read=read_package,
        allowed=_PACKAGES,
        doc="With `allowlist_project`: mirror these projects only. Lines are requirements (PEP 508) of which only the "
        "name counts. An empty list allows everything. With `allowlist_release`: mirror the releases that these lines "
        "take, and none of projects without a line. `size_project_metadata` and `versions_count_project_metadata` let "
        "these projects pass, whatever else is enabled.",
        default_shown="none",
        example="\n    six\n    requests",
        may_be_empty=True,
        many=True,
        group=SELECTION,
    ),
    _filter(
        "blocklist",
        "packages",
        _PACKAGES,
        "With `blocklist_project`: never mirror these projects. Only lines with a bare name count. With "
        "`blocklist_release`: drop the releases that these lines take; a bare name takes all.",
        read=read_package,
        many=True,
    ),
    _filter(
        "blocklist",
        "platforms",
        "words, separated by blanks or lines: `windows`, `macos`, `linux`, `freebsd`, a Python as `py2` or `py3.11`, "
        "or an architecture as `win_amd64` or `manylinux2014_aarch64`",
        "With `exclude_platform`: drop the binaries for these platforms. Required.",
        many=True,
    ),
    _filter(
        "filter_regex",
        "packages",
        _PATTERNS,
        "With `regex_project`: drop the projects whose name, as the index spells it, begins with a match.",
        read=read_package,
        many=True,
    ),
    _filter(
        "filter_regex",
        "releases",
        _PATTERNS,
        "With `regex_release`: drop the releases whose version begins with a match.",
        read=read_package,
        many=True,
    ),
    _filter(
        "filter_prerelease",
        "packages",
        _PACKAGES,
        "The projects that `prerelease_release` is about.",
        read=read_package,
        many=True,
        shown="all",
    ),
    _filter(
        "latest_release",
        "keep",
        "a whole number; 0 keeps every release",
        "With `latest_release`: keep this many releases of each project, the newest. Required.",
    ),
    _filter(
        "latest_release",
        "sort_by",
        "`version` or `time`",
        "Which releases are the newest: the greatest by PEP 440, or those uploaded last.",
        default="version",
    ),
    _filter(
        "regex_project_metadata",
        "TAGS:PATH",
        _PATTERNS,
        "With `regex_project_metadata`: any key that is a path in the legacy JSON, such as `info.classifiers`, with tags "
        f"in front of it: {_TAGS}. Mirror the projects of which all keys are true.",
        many=True,
    ),
    _filter("regex_project_metadata", "search", BOOL, _SEARCH, default="false"),
    _filter(
        "regex_release_file_metadata",
        "TAGS:PATH",
        _PATTERNS,
        "With `regex_release_file_metadata`: the same for files. Paths begin with `info.` or `release_file.`, or are "
        "`release`.",
        many=True,
    ),
    _filter("regex_release_file_metadata", "search", BOOL, _SEARCH, default="false"),
    _filter(
        "version_range_release_file_metadata",
        "TAGS:PATH",
        "one version on each line",
        "With `version_range_release_file_metadata`: any key that is a path, such as `release_file.requires_python`, "
        "with `any:` and `match-null:` (default) or `not-null:` in front of it. Mirror the files whose range at each "
        "path contains one of the versions.",
        many=True,
    ),
    _filter(
        "version_range_project_metadata",
        "TAGS:PATH",
        "one version on each line",
        "With `version_range_project_metadata`: the same for projects, as with `info.requires_python`.",
        many=True,
    ),
    _filter(
        "size_project_metadata",
        "max_package_size",
        "a number of bytes, or with K, M, G, T or P (binary: 1K is 1024); 0 is no limit",
        "With `size_project_metadata`: drop projects whose files have more bytes together. Required.",
    ),
    _filter(
        "versions_count_project_metadata",
        "min_versions",
        "a whole number; 0 is no limit",
        "With `versions_count_project_metadata`: drop projects with fewer releases. One of the two is required.",
    ),
    _filter(
        "versions_count_project_metadata",
        "max_versions",
        "a whole number; 0 is no limit",
        "With `versions_count_project_metadata`: drop projects with more releases.",
    ),
)
