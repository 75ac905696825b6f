"""The one table of built-in plugins: what each does, and which keys it reads. `frumious.filters` makes rules of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Key = tuple[str, str | None]
"""A section and a key in it; None for all of them, whatever they are called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """One name for `[plugins] enabled`."""

    name: str
    does: str
    """A sentence."""
    reads: tuple[Key, ...] = ()
    heeds: tuple[Key, ...] = ()
    """What it reads if it is there, and others are made for."""
    empty: str = ""
    """What it means that there is nothing in `reads`; without a word, that is as good as anything, or an error."""
    limits: tuple[Key, ...] = ()
    """Numbers of which 0 is no limit; without any limit it does nothing."""


_ALLOWED: Key = ("allowlist", "packages")
_BLOCKED: Key = ("blocklist", "packages")

BANDERSNATCH_PLUGINS: tuple[Plugin, ...] = (
    Plugin(
        name="allowlist_project",
        does="Mirror the listed projects only.",
        reads=(_ALLOWED,),
        empty="everything is allowed",
    ),
    Plugin(
        name="blocklist_project",
        does="Never mirror the listed projects.",
        reads=(_BLOCKED,),
        empty="nothing is blocked",
    ),
    Plugin(
        name="regex_project",
        does="Drop projects whose name matches a pattern.",
        reads=(("filter_regex", "packages"),),
        empty="nothing is dropped",
    ),
    Plugin(
        name="project_requirements",
        does="Mirror the projects that requirements files name.",
        reads=(("allowlist", "requirements"), ("allowlist", "requirements_path")),
    ),
    Plugin(
        name="allowlist_release",
        does="Mirror the releases that the lines of a list take, and of unlisted projects none.",
        reads=(_ALLOWED,),
        empty="every release of every project is dropped",
    ),
    Plugin(
        name="blocklist_release",
        does="Drop the releases that the lines of a list take.",
        reads=(_BLOCKED,),
        empty="nothing is blocked",
    ),
    Plugin(
        name="project_requirements_pinned",
        does="Mirror the releases that requirements files ask for, and of other projects none.",
        reads=(("allowlist", "requirements"), ("allowlist", "requirements_path")),
    ),
    Plugin(
        name="regex_release",
        does="Drop releases whose version matches a pattern.",
        reads=(("filter_regex", "releases"),),
        empty="nothing is dropped",
    ),
    Plugin(
        name="prerelease_release",
        does="Drop pre-releases.",
        reads=(("filter_prerelease", "packages"),),
    ),
    Plugin(
        name="latest_release",
        does="Mirror the newest releases of each project only.",
        reads=(("latest_release", "keep"), ("latest_release", "sort_by")),
        limits=(("latest_release", "keep"),),
    ),
    Plugin(
        name="exclude_platform",
        does="Drop binaries for some platforms and versions of Python.",
        reads=(("blocklist", "platforms"),),
    ),
    Plugin(
        name="regex_release_file_metadata",
        does="Mirror the files whose metadata matches patterns.",
        reads=(("regex_release_file_metadata", None),),
        empty="every file is kept",
    ),
    Plugin(
        name="version_range_release_file_metadata",
        does="Mirror the files for some versions of Python: whose range of versions contains one of a list.",
        reads=(("version_range_release_file_metadata", None),),
        empty="every file is kept",
    ),
    Plugin(
        name="regex_project_metadata",
        does="Mirror the projects whose metadata matches patterns.",
        reads=(("regex_project_metadata", None),),
        empty="every project is kept",
    ),
    Plugin(
        name="version_range_project_metadata",
        does="The same as `version_range_release_file_metadata` for projects; bandersnatch has it, but cannot enable it.",
        reads=(("version_range_project_metadata", None),),
        empty="every project is kept",
    ),
    Plugin(
        name="size_project_metadata",
        does="Drop projects whose files are too large together.",
        reads=(("size_project_metadata", "max_package_size"),),
        heeds=(_ALLOWED,),
        limits=(("size_project_metadata", "max_package_size"),),
    ),
    Plugin(
        name="versions_count_project_metadata",
        does="Drop projects with too few or too many releases.",
        reads=(
            ("versions_count_project_metadata", "min_versions"),
            ("versions_count_project_metadata", "max_versions"),
        ),
        heeds=(_ALLOWED,),
        limits=(
            ("versions_count_project_metadata", "min_versions"),
            ("versions_count_project_metadata", "max_versions"),
        ),
    ),
)
OWN_PLUGINS: tuple[Plugin, ...] = (
    Plugin(name="exclude_yanked", does="Drop yanked files."),
    Plugin(
        name="size_release_file",
        does="Drop files that are too large.",
        reads=(("size_release_file", "max_size"), ("size_release_file", "except")),
    ),
    Plugin(
        name="upload_time",
        does="Drop files that are too old, and hold those that are too new.",
        reads=tuple(("upload_time", key) for key in ("not_before", "cool_down", "except", "undated")),
    ),
    Plugin(
        name="wheel_tags",
        does="Mirror the wheels that some Pythons and platforms can install.",
        reads=tuple(
            ("wheel_tags", key) for key in ("python", "implementation", "platforms", "pure", "sdist", "other")
        ),
    ),
    Plugin(
        name="latest_per_line",
        does="Mirror the newest releases of each release line only.",
        reads=tuple(("latest_per_line", key) for key in ("keep", "line", "packages")),
    ),
)
PLUGINS: Mapping[str, Plugin] = {plugin.name: plugin for plugin in (*BANDERSNATCH_PLUGINS, *OWN_PLUGINS)}

FREE_SECTIONS = frozenset(
    section for plugin in PLUGINS.values() for section, key in plugin.reads if key is None
)
"""Sections in which any key may stand."""
SEARCH = "search"
"""The one key in them that is not free."""


def readers(section: str, key: str | None = None) -> list[str]:
    """Return the plugins that a key is made for; those that any key of the section is made for, without one."""
    return [
        plugin.name
        for plugin in PLUGINS.values()
        if any(section == where and (None in {key, known} or key == known) for where, known in plugin.reads)
    ]


def heeders(section: str, key: str | None = None) -> list[str]:
    """Return the plugins that look at a key which is made for others."""
    return [
        plugin.name
        for plugin in PLUGINS.values()
        if any(section == where and key in {None, known} for where, known in plugin.heeds)
    ]
