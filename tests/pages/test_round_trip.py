"""What we write, our readers read back: both forms say the same, and what the page says (conformance 39)."""

from __future__ import annotations

from urllib.parse import urljoin

import msgspec
from hypothesis import given, settings

from frumious.model.project import File, PageFile, ProjectDetail, ProjectPage
from frumious.pages import simple_html, simple_json
from pages.page_values import SIX, URL, any_text, project_pages


def from_json(page: ProjectPage) -> ProjectDetail:
    return simple_json.parse_project_detail(simple_json.render_project_detail(page), url=URL, name=SIX)


def from_html(page: ProjectPage) -> ProjectDetail:
    body = simple_html.render_project_detail(page, "Six")
    return simple_html.parse_project_detail(body, url=URL, name=SIX)


def meant(file: PageFile) -> File:
    """Say what a reader should learn of a file that we publish."""
    return File(
        filename=file.filename,
        url=urljoin(URL, file.href),
        digest=file.digest,
        size=file.size,
        requires_python=file.requires_python,
        upload_time=file.upload_time,
        yanked=file.yanked,
        core_metadata=file.core_metadata,
        provenance=file.provenance,
    )


def as_html_says(detail: ProjectDetail) -> ProjectDetail:
    """Take away what HTML has no place for."""
    files = tuple(
        msgspec.structs.replace(file, size=None, upload_time=None, core_metadata=file.core_metadata or None)
        for file in detail.files
    )
    return msgspec.structs.replace(detail, files=files, versions=None, api_version="1.4")


@given(project_pages())
@settings(deadline=None, max_examples=200)
def test_json_says_what_the_page_says(page):
    files = sorted(page.files, key=lambda file: file.filename)

    assert from_json(page) == ProjectDetail(
        name=page.name,
        files=tuple(map(meant, files)),
        versions=tuple(sorted(set(page.versions))),
        status=page.status,
        status_reason=(page.status_reason or None) if page.status else None,
        serial=page.serial,
        api_version="1.0" if any(file.size is None for file in files) else "1.4",
        problems=(),
    )


@given(project_pages())
@settings(deadline=None, max_examples=200)
def test_html_says_what_json_says(page):
    """Conformance 39."""
    assert from_html(page) == as_html_says(from_json(page))


@given(project_pages(any_text))
@settings(deadline=None)
def test_the_forms_agree_even_on_text_that_neither_can_carry(page):
    """Conformance 39: control characters and lone surrogates give way to U+FFFD in both."""
    assert from_html(page) == as_html_says(from_json(page))
