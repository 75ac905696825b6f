"""The keys that filters of our own read, which bandersnatch passes over; and those of requirements files.

They are text here: the filter reads them, and refuses what it cannot use, with the same words for what is allowed.
"""

from __future__ import annotations

from frumious.config.option import BOOL, SELECTION, InFile, Option
from frumious.config.readers import read_text

_NAMES = "one project on each line"
_DURATION = "a whole number with h, d or w (hours, days, weeks), as in `7d`"


def _own(
    section: str, key: str, allowed: str, doc: str, *, many: bool = False, default: str = "", shown: str = ""
) -> Option:
    return Option(
        section=section,
        key=key,
        read=read_text,
        allowed=allowed,
        doc=doc,
        default_shown=shown or (f"`{default}`" if default else "none" if many else ""),
        may_be_empty=True,
        many=many,
        in_file=InFile.ABSENT,
        group=SELECTION,
    )


OWN_FILTER_OPTIONS: tuple[Option, ...] = (
    _own(
        "allowlist",
        "requirements",
        "one file name or pattern (with `*`, `**` for directories of any depth) on each line",
        "With `project_requirements`: mirror the projects that these requirements files name. With "
        "`project_requirements_pinned`: of each of them only the versions that the files ask for.",
        many=True,
    ),
    _own(
        "allowlist",
        "requirements_path",
        "a path of a directory",
        "Where the files of `requirements` lie.",
        shown="the current directory",
    ),
    _own(
        "latest_per_line",
        "keep",
        "a whole number, 1 or more",
        "With `latest_per_line`: keep this many releases of each release line, the newest. Required.",
    ),
    _own(
        "latest_per_line",
        "line",
        "`major` or `minor`",
        "What makes a release line: X (`major`) or X.Y (`minor`).",
        default="minor",
    ),
    _own(
        "latest_per_line",
        "packages",
        _NAMES,
        "The projects that `latest_per_line` is about.",
        many=True,
        shown="all",
    ),
    _own(
        "size_release_file",
        "max_size",
        "a number of bytes, more than 0, or with K, M, G, T or P (binary: 1K is 1024)",
        "With `size_release_file`: the largest file to mirror. Required.",
    ),
    _own("size_release_file", "except", _NAMES, "Projects whose files may have any size.", many=True),
    _own(
        "upload_time",
        "not_before",
        "a date as `2019-01-31`, or an instant as `2019-01-31T12:00:00Z`; UTC",
        "With `upload_time`: mirror nothing that was uploaded earlier.",
    ),
    _own(
        "upload_time",
        "cool_down",
        _DURATION,
        "With `upload_time`: mirror a file when it has been public for this long.",
    ),
    _own(
        "upload_time",
        "except",
        f"{_NAMES}, with a cool-down of its own behind it if it has one: {_DURATION}",
        "Projects without `cool_down`, or with another one.",
        many=True,
    ),
    _own(
        "upload_time",
        "undated",
        "`hold` or `keep`",
        "What to do with files of which upstream does not say when they were uploaded.",
        shown="`hold` with `cool_down`, else `keep`",
    ),
    _own(
        "wheel_tags",
        "python",
        "versions and ranges, as in `3.11-3.13` or `3.9, 3.13t` (t: free-threaded)",
        "With `wheel_tags`: keep the wheels that these versions of Python can install.",
        many=True,
        shown="any",
    ),
    _own(
        "wheel_tags",
        "implementation",
        "`cpython`, `pypy` or both",
        "Which interpreters `python` is about.",
        many=True,
        default="cpython",
    ),
    _own(
        "wheel_tags",
        "platforms",
        "`linux-x86_64`, `linux-aarch64`, `musllinux-x86_64`, `macos-arm64`, `macos-x86_64`, `windows-x86_64` and the "
        "like, or platform tags as in `manylinux_2_28_x86_64`",
        "With `wheel_tags`: keep the wheels that these platforms can install. A tag stands for the oldest system that "
        "has it, so that wheels for older systems are kept too.",
        many=True,
        shown="any",
    ),
    _own("wheel_tags", "pure", BOOL, "Whether to keep wheels for any platform.", default="true"),
    _own(
        "wheel_tags",
        "sdist",
        "`all`, `when-no-wheel-fits` or `none`",
        "Which source distributions to keep; whether a wheel fits is judged for each release.",
        default="all",
    ),
    _own(
        "wheel_tags",
        "other",
        BOOL,
        "Whether to keep files that are neither wheels nor source: eggs, installers and the like.",
        default="false",
    ),
)
