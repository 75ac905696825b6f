"""What a simulated index says, rendered without any help of the program under test.

Shapes follow PyPI (docs: conformance sections 2, 3 and 9.1); `Dialect` takes away what lesser indexes lack.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from packaging.version import InvalidVersion, Version

if TYPE_CHECKING:
    from support.index import IndexFile, Project, Release, Snapshot

JSON_TYPE = "application/vnd.pypi.simple.v1+json"
HTML_TYPE = "text/html"


@dataclass(frozen=True)
class Dialect:
    """What one kind of index offers."""

    form: Literal["json", "html"] = "json"
    """`html` answers HTML to everybody, `json` to those who ask for it."""
    api: str = "1.4"
    serials: Literal["int", "string", "none"] = "int"
    """How serials stand in bodies; `none` takes them out of headers and HTML comments too."""
    serial_header: bool = True
    etags: bool = True
    core_metadata: bool = True
    legacy: bool = True
    relative: bool = False
    """File links relative to the page, as static mirrors write them."""

    @property
    def minor(self) -> int:
        return int(self.api.partition(".")[2])


DIALECTS = {
    "json": Dialect(),
    "json-string-serials": Dialect(serials="string", serial_header=False),
    "json-1.0-no-serials": Dialect(api="1.0", serials="none", etags=False, core_metadata=False, legacy=False),
    "html+legacy": Dialect(form="html"),
    "html": Dialect(form="html", api="1.0", serials="none", etags=False, legacy=False, relative=True),
}


NULL_INFO = [
    "author_email", "bugtrack_url", "description_content_type", "docs_url", "download_url", "dynamic", "home_page",
    "keywords", "license", "license_expression", "license_files", "maintainer", "maintainer_email", "platform",
    "project_urls", "provides_extra", "requires_dist",
]  # fmt: skip
"""What `info` says nothing about unless a test does (`SimulatedIndex.describe`)."""


@dataclass(frozen=True)
class Place:
    """Where an index stands: base addresses without a final slash."""

    index: str
    files: str

    def file_url(self, path: str) -> str:
        return self.files + quote(path, safe="/+!~@=:,;()$&'*")


def list_json(snapshot: Snapshot, dialect: Dialect) -> bytes:
    listed = sorted(snapshot.listed(), key=lambda item: item[0])
    return _dump(
        {
            "meta": _meta(dialect, snapshot.serial),
            "projects": [{"name": project.name, **_serial(dialect, project.serial)} for _, project in listed],
        }
    )


def list_html(snapshot: Snapshot, dialect: Dialect) -> bytes:
    listed = sorted(snapshot.listed(), key=lambda item: item[0])
    anchors = "".join(
        f'    <a href="/simple/{name}/">{html.escape(project.name)}</a>\n' for name, project in listed
    )
    return _document("Simple index", anchors, dialect, snapshot.serial)


def detail_json(name: str, project: Project, dialect: Dialect, place: Place) -> bytes:
    page: dict[str, Any] = {
        "meta": _meta(dialect, project.serial),
        "name": name,
        "files": [_file(file, dialect, place) for file in project.offered_files()],
    }
    if dialect.minor >= 1:
        page["versions"] = sorted({file.version for file in project.offered_files()})
    if dialect.minor >= 4:
        page["project-status"] = {"status": project.status}
        if project.status_reason is not None:
            page["project-status"]["reason"] = project.status_reason
    return _dump(page)


def detail_html(name: str, project: Project, dialect: Dialect, place: Place) -> bytes:
    anchors = "".join(_anchor(file, dialect, place) for file in project.offered_files())
    status = ""
    if dialect.minor >= 4:
        status = f'    <meta name="pypi:project-status" content="{project.status}">\n'
    return _document(f"Links for {name}", anchors, dialect, project.serial, status)


def legacy_json(project: Project, place: Place) -> bytes | None:
    """Return `/pypi/<name>/json`; None where PyPI answers 404: no releases, or the project quarantined."""
    releases = [release for release in project.releases.values() if not release.quarantined]
    if not releases or project.status == "quarantined":
        return None
    latest = latest_release(releases)
    requires_python = latest.files[0].requires_python if latest.files else None
    return _dump(
        {
            "info": {
                **dict.fromkeys(NULL_INFO),
                "author": "",
                "classifiers": [],
                "description": f"{project.name}, simulated",
                "downloads": {"last_day": -1, "last_month": -1, "last_week": -1},
                "name": project.name,
                "requires_python": requires_python,
                "summary": f"{project.name}, simulated",
                "version": latest.version,
                "yanked": latest.yanked is not None,
                "yanked_reason": latest.yanked or None,
                **project.info,
            },
            "last_serial": project.serial,
            "releases": {
                release.version: [_legacy_file(file, place) for file in release.files] for release in releases
            },
            "urls": [_legacy_file(file, place) for file in latest.files],
            "vulnerabilities": [],
            "ownership": {"organization": None, "roles": [{"role": "Owner", "user": "tove"}]},
        }
    )


def latest_release(releases: Sequence[Release]) -> Release:
    """Return the one of which PyPI tells in `info`: not yanked before yanked, final before pre-release, then the greatest.

    Releases without files count, and versions that are none of PEP 440 come last.
    """
    return max(releases, key=lambda release: (release.yanked is None, *_rank(release.version)))


def _rank(version: str) -> tuple[int, Version, tuple[str, ...]]:
    try:
        parsed = Version(version)
    except InvalidVersion:
        return 0, Version("0"), tuple(_legacy_parts(version))
    return 1 if parsed.is_prerelease else 2, parsed, ()


def _legacy_parts(version: str) -> Iterator[str]:
    """Yield what setuptools compared before PEP 440, and PyPI does to this day: numbers come after words."""
    words = {"pre": "c", "preview": "c", "-": "final-", "rc": "c", "dev": "@"}
    for part in re.findall(r"\d+|[a-z]+|-|[^\d.a-z-]+", version.lower()):
        yield part.zfill(8) if part.isdigit() else f"*{words.get(part, part)}"
    yield "*final"


def _file(file: IndexFile, dialect: Dialect, place: Place) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "filename": file.filename,
        "url": _link(file, dialect, place),
        "hashes": {"sha256": file.sha256},
        "requires-python": file.requires_python,
        "yanked": False if file.yanked is None else file.yanked or True,
    }
    if dialect.minor >= 1:
        entry |= {"size": file.size, "upload-time": file.upload_time}
    if dialect.core_metadata:
        known = False if file.metadata is None else {"sha256": file.metadata_sha256}
        entry |= {"core-metadata": known, "data-dist-info-metadata": known}
    if dialect.minor >= 3:
        entry["provenance"] = None if file.provenance is None else place.index + file.provenance_path
    return entry


def _anchor(file: IndexFile, dialect: Dialect, place: Place) -> str:
    attributes = f'href="{html.escape(_link(file, dialect, place))}#sha256={file.sha256}"'
    if file.requires_python:
        attributes += f' data-requires-python="{html.escape(file.requires_python)}"'
    if file.yanked is not None:
        attributes += f' data-yanked="{html.escape(file.yanked)}"'
    if dialect.core_metadata and file.metadata is not None:
        digest = f"sha256={file.metadata_sha256}"
        attributes += f' data-dist-info-metadata="{digest}" data-core-metadata="{digest}"'
    if dialect.minor >= 3 and file.provenance is not None:
        attributes += f' data-provenance="{place.index}{file.provenance_path}"'
    return f"    <a {attributes}>{html.escape(file.filename)}</a><br />\n"


def _legacy_file(file: IndexFile, place: Place) -> dict[str, Any]:
    instant = file.upload_time.partition(".")[0].removesuffix("Z")
    return {
        "comment_text": "",
        "core-metadata": False if file.metadata is None else {"sha256": file.metadata_sha256},
        "digests": {"blake2b_256": file.blake2b_256, "md5": file.md5, "sha256": file.sha256},
        "downloads": -1,
        "filename": file.filename,
        "has_sig": False,
        "md5_digest": file.md5,
        "packagetype": file.packagetype,
        "python_version": file.python_version,
        "requires_python": file.requires_python,
        "size": file.size,
        "upload_time": instant,
        "upload_time_iso_8601": file.upload_time,
        "url": place.file_url(file.path),
        "yanked": file.yanked is not None,
        "yanked_reason": file.yanked or None,
    }


def _link(file: IndexFile, dialect: Dialect, place: Place) -> str:
    url = place.file_url(file.path)
    return f"../..{url.removeprefix(place.files)}" if dialect.relative else url


def _meta(dialect: Dialect, serial: int) -> dict[str, Any]:
    return {"api-version": dialect.api, **_serial(dialect, serial)}


def _serial(dialect: Dialect, serial: int) -> dict[str, Any]:
    match dialect.serials:
        case "int":
            return {"_last-serial": serial}
        case "string":
            return {"_last-serial": str(serial)}
        case "none":
            return {}


def _document(title: str, anchors: str, dialect: Dialect, serial: int, head: str = "") -> bytes:
    comment = "" if dialect.serials == "none" else f"\n<!--SERIAL {serial}-->"
    return (
        "<!DOCTYPE html>\n<html>\n  <head>\n"
        f'    <meta name="pypi:repository-version" content="{dialect.api}">\n'
        f"{head}    <title>{title}</title>\n  </head>\n  <body>\n"
        f"    <h1>{title}</h1>\n{anchors}  </body>\n</html>{comment}"
    ).encode()


def _dump(document: object) -> bytes:
    text = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text.encode() + b"\n"
