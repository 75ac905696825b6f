"""Files that stay although upstream has removed them or a filter drops them: what pins change of an offer. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import msgspec

from frumious.filters.offer import version_in
from frumious.filters.rules import KEEP, Choice
from frumious.model.project import File, ProjectDetail, ProjectStatus

Pins = Mapping[str, File]
"""The pinned files of a project as upstream described them, by file name."""


def write_entry(file: File) -> str:
    """Return what is kept of a pinned file: JSON that `read_entry` reads."""
    return msgspec.json.encode(file, order="sorted").decode()


def read_entry(entry: str) -> File:
    """Read what `write_entry` wrote."""
    return msgspec.json.decode(entry, type=File)


def without_files(detail: ProjectDetail) -> ProjectDetail:
    """Return the page of a project of which upstream offers nothing that is wanted; its pins are all there is.

    One that upstream had in quarantine before it went stays in quarantine.
    """
    return ProjectDetail(
        detail.name, (), status=detail.status, status_reason=detail.status_reason, api_version="1.0"
    )


def with_pins(detail: ProjectDetail, pins: Pins) -> ProjectDetail:
    """Return a page with its pinned files: upstream's words for what it still offers, else those kept with the pin.

    Under a name that stands for other bytes now, the pinned ones stay. Quarantine is stronger than a pin (PEP 792).
    """
    if not pins or detail.status is ProjectStatus.QUARANTINED:
        return detail
    files = [
        pins[file.filename] if file.filename in pins and _is_other(file, pins[file.filename]) else file
        for file in detail.files
    ]
    offered = {file.filename for file in detail.files}
    more = [file for filename, file in pins.items() if filename not in offered]
    versions = detail.versions
    if versions is not None:
        shown = (version_in(file.filename, detail.name, versions) for file in more)
        versions = tuple(dict.fromkeys([*versions, *(version for version in shown if version is not None)]))
    return msgspec.structs.replace(detail, files=(*files, *more), versions=versions)


def keeping(choice: Choice, detail: ProjectDetail, pins: Pins) -> Choice:
    """Return what the filters choose of a page, with what is pinned."""
    if not pins:
        return choice
    if choice.project.keep:
        files = {filename: said for filename, said in choice.files.items() if filename not in pins}
        return replace(choice, files=files)
    dropped = {file.filename: choice.project for file in detail.files if file.filename not in pins}
    return Choice(KEEP, dropped, {}, choice.until)


def _is_other(file: File, pinned: File) -> bool:
    """Say whether upstream offers other bytes under the name of a pinned file, as far as one can tell."""
    ours, theirs = pinned.digest, file.digest
    return ours is not None and theirs is not None and ours.algorithm == theirs.algorithm and ours != theirs
