"""Names that bandersnatch knows and Frumious does not act on, so that no message takes them for typing errors."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

WORKING_PLUGINS = ("allowlist_project", "blocklist_project")
OTHER_PLUGINS = (
    "allowlist_release",
    "blocklist_release",
    "exclude_platform",
    "latest_release",
    "prerelease_release",
    "project_requirements",
    "project_requirements_pinned",
    "regex_project",
    "regex_project_metadata",
    "regex_release",
    "regex_release_file_metadata",
    "size_project_metadata",
    "version_range_release_file_metadata",
    "versions_count_project_metadata",
)
# Sections of bandersnatch that do nothing here so far: their keys, None where any key may stand.
OTHER_SECTIONS: Mapping[str, tuple[str, ...] | None] = {
    "filter_prerelease": ("packages",),
    "filter_regex": ("packages", "releases"),
    "latest_release": ("keep", "sort_by"),
    "regex_project_metadata": None,
    "regex_release_file_metadata": None,
    "s3": None,
    "size_project_metadata": ("max_package_size",),
    "version_range_release_file_metadata": None,
    "versions_count_project_metadata": ("min_versions", "max_versions"),
}
# Without these, bandersnatch's former names would be taken for a typing error of something else.
RENAMED = {
    "whitelist_project": "allowlist_project",
    "blacklist_project": "blocklist_project",
    "whitelist": "allowlist",
    "blacklist": "blocklist",
}
RETIRED = {
    ("mirror", "api-method"): "bandersnatch dropped this key in 8.0",
    ("mirror", "delete-packages"): "bandersnatch dropped this key in 3.0",
}


def closest(text: str, known: Iterable[str]) -> str | None:
    """Return the known name that `text` most resembles, None where nothing is near."""
    plain = {name.casefold().replace("_", "-"): name for name in known}
    matches = difflib.get_close_matches(text.casefold().replace("_", "-"), plain, n=1)
    return plain[matches[0]] if matches else None
