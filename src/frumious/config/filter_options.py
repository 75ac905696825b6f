"""The keys that bandersnatch's filters read."""

from __future__ import annotations

from frumious.config.option import SELECTION, InFile, Option
from frumious.config.readers import read_package

_PACKAGES = "one project on each line, indented under the key; comments on lines of their own"

FILTER_OPTIONS: tuple[Option, ...] = (
    Option(
        section="allowlist",
        key="packages",
        read=read_package,
        allowed=_PACKAGES,
        doc="With `allowlist_project`: mirror these projects only. Lines are requirements (PEP 508) of which only the "
        "name counts. An empty list allows everything.",
        default_shown="none",
        example="\n    six\n    requests",
        may_be_empty=True,
        many=True,
        group=SELECTION,
    ),
    Option(
        section="blocklist",
        key="packages",
        read=read_package,
        allowed=_PACKAGES,
        doc="With `blocklist_project`: never mirror these projects. Only lines with a bare name count.",
        default_shown="none",
        may_be_empty=True,
        many=True,
        in_file=InFile.ABSENT,
        group=SELECTION,
    ),
)
