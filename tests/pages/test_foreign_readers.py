"""Our pages, read by other people's programs: pypi-simple, simple-repository and pip."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pypi_simple
import pytest
from pip._internal.index.collector import IndexContent, parse_links
from simple_repository import parser as simple_repository

from frumious.model.project import Digest, ListedProject, ProjectStatus
from frumious.pages import simple_html, simple_json
from pages.page_values import SIX, URL, WHEEL, our_file, our_page, sha256

PROVENANCE = "https://index.example.org/integrity/six/1.16.0/six/provenance"
SDIST = "six-1.16.0.tar.gz"
ODD = "six 1.0+local!~é.zip"
REASON = 'it\'s <b>"broken"</b> &amp; "twice"\nsee \U0001f622'
PAGE = our_page(
    our_file(
        WHEEL,
        requires_python=">=2.7, !=3.0.*, <4",
        core_metadata=Digest("sha256", sha256("metadata")),
        provenance=PROVENANCE,
    ),
    our_file(SDIST, yanked=REASON, upload_time="2021-05-05T14:18:17Z"),
    our_file(ODD, yanked="", size=0, core_metadata=False),
    status=ProjectStatus.ARCHIVED,
    status_reason=REASON,
    versions=("1.0+local", "1.16.0"),
)
IN_ORDER = [ODD, WHEEL, SDIST]
LIST = (ListedProject("Foo.Bar", 7), ListedProject("six", 9))


@pytest.fixture
def page_json() -> bytes:
    return simple_json.render_project_detail(PAGE)


@pytest.fixture
def page_html() -> bytes:
    return simple_html.render_project_detail(PAGE, "Six")


def pypi_simple_page(form: str, page_json: bytes, page_html: bytes) -> pypi_simple.ProjectPage:
    if form == "json":
        return pypi_simple.ProjectPage.from_json_data(json.loads(page_json), base_url=URL)
    return pypi_simple.ProjectPage.from_html(SIX, page_html, base_url=URL, from_encoding="utf-8")


@pytest.mark.parametrize("form", ["json", "html"])
def test_pypi_simple_reads_the_page(form, page_json, page_html):
    page = pypi_simple_page(form, page_json, page_html)

    assert page.repository_version == "1.4"
    assert (page.status, page.status_reason) == (pypi_simple.ProjectStatus.ARCHIVED, REASON)
    odd, wheel, sdist = page.packages
    assert [odd.filename, wheel.filename, sdist.filename] == IN_ORDER
    assert (wheel.project, wheel.version, wheel.package_type) == ("six", "1.16.0", "wheel")
    assert wheel.digests == {"sha256": sha256(WHEEL)}
    assert wheel.requires_python == ">=2.7, !=3.0.*, <4"
    assert (wheel.has_metadata, wheel.metadata_digests) == (True, {"sha256": sha256("metadata")})
    assert wheel.provenance_url == PROVENANCE
    assert [file.is_yanked for file in page.packages] == [True, False, True]
    assert sdist.yanked_reason == REASON
    assert not odd.has_metadata
    for file in page.packages:
        assert file.url.startswith("https://index.example.org/packages/")


def test_pypi_simple_reads_what_only_json_says(page_json, page_html):
    page = pypi_simple_page("json", page_json, page_html)

    assert page.last_serial == "10251369"
    assert page.versions == ["1.0+local", "1.16.0"]
    assert [file.size for file in page.packages] == [0, 11053, 11053]
    assert page.packages[1].upload_time == datetime(2021, 5, 5, 14, 18, 17, 237400, tzinfo=UTC)


def test_pypi_simple_reads_the_lists():
    as_json = b"".join(simple_json.render_project_list(LIST, 9))
    as_html = b"".join(simple_html.render_project_list(LIST, 9))

    for index in (
        pypi_simple.IndexPage.from_json_data(json.loads(as_json)),
        pypi_simple.IndexPage.from_html(as_html, from_encoding="utf-8"),
    ):
        assert (index.projects, index.repository_version) == (["Foo.Bar", "six"], "1.4")


def test_simple_repository_reads_the_json_page(page_json):
    page = simple_repository.parse_json_project_page(page_json.decode())

    assert (page.name, page.meta.api_version, page.versions) == ("six", "1.4", {"1.0+local", "1.16.0"})
    odd, wheel, sdist = page.files
    assert [file.filename for file in page.files] == IN_ORDER
    assert wheel.hashes == {"sha256": sha256(WHEEL)}
    assert wheel.dist_info_metadata == {"sha256": sha256("metadata")}
    assert (odd.yanked, wheel.yanked, sdist.yanked) == (True, False, REASON)
    assert (odd.size, wheel.size) == (0, 11053)
    assert sdist.upload_time == datetime(2021, 5, 5, 14, 18, 17)  # noqa: DTZ001 - as it gives it


def test_simple_repository_reads_the_html_page(page_html):
    page = simple_repository.parse_html_project_page(page_html.decode(), "six")

    odd, wheel, sdist = page.files
    assert [file.filename for file in page.files] == IN_ORDER
    assert wheel.hashes == {"sha256": sha256(WHEEL)}
    assert wheel.requires_python == ">=2.7, !=3.0.*, <4"
    assert wheel.dist_info_metadata == {"sha256": sha256("metadata")}
    assert (odd.yanked, wheel.yanked, sdist.yanked) == (True, None, REASON)


def test_simple_repository_reads_the_lists():
    as_json = b"".join(simple_json.render_project_list(LIST, 9)).decode()
    as_html = b"".join(simple_html.render_project_list(LIST, 9)).decode()

    for index in (
        simple_repository.parse_json_project_list(as_json),
        simple_repository.parse_html_project_list(as_html),
    ):
        assert {project.name for project in index.projects} == {"Foo.Bar", "six"}


@pytest.mark.parametrize("form", ["json", "html"])
def test_pip_reads_the_page(form, page_json, page_html):
    body, media = (
        (page_json, "application/vnd.pypi.simple.v1+json") if form == "json" else (page_html, "text/html")
    )

    links = list(parse_links(IndexContent(body, media, None, URL, cache_link_parsing=False)))

    odd, wheel, sdist = links
    assert [link.filename for link in links] == IN_ORDER
    assert (wheel.hash_name, wheel.hash) == ("sha256", sha256(WHEEL))
    assert wheel.requires_python == ">=2.7, !=3.0.*, <4"
    assert (odd.yanked_reason, wheel.yanked_reason, sdist.yanked_reason) == ("", None, REASON)
    metadata = wheel.metadata_link()
    assert metadata is not None
    assert metadata.url_without_fragment == wheel.url_without_fragment + ".metadata"
    assert metadata.as_hashes() is not None
    assert odd.metadata_link() is None
    for link in links:
        assert link.url.startswith("https://index.example.org/packages/")
