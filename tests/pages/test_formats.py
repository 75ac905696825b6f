"""Media types and versions."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frumious.errors import BadPage, UnsupportedVersion
from frumious.pages import formats

URL = "https://index.example.org/simple/six/"


@pytest.mark.parametrize(
    ("content_type", "form"),
    [
        ("application/vnd.pypi.simple.v1+json", "json"),
        ("application/vnd.pypi.simple.v1+html", "html"),
        ("text/html", "html"),
        ("application/json", "json"),
        ("Text/HTML; charset=UTF-8", "html"),
        (" application/vnd.PyPI.simple.v1+JSON ;charset=utf-8", "json"),
        ("application/vnd.pypi.simple.v2+json", None),
        ("text/plain", None),
        ("text/html, application/json", None),
        ("", None),
        (None, None),
    ],
)
def test_the_content_type_tells_the_form(content_type, form):
    assert formats.form_of(content_type) == form


def test_json_is_asked_for_first_and_plain_html_last():
    ranges = [part.strip().partition(";q=") for part in formats.ACCEPT.split(",")]

    weights = {media: float(weight or 1) for media, _, weight in ranges}
    assert weights[formats.JSON_TYPE] == 1
    assert weights[formats.JSON_TYPE] > weights[formats.HTML_TYPE] > weights[formats.TEXT_HTML] > 0


@pytest.mark.parametrize(
    ("version", "newer"), [("1.0", False), ("1.4", False), ("1.5", True), ("1.10", True), ("1.03", False)]
)
def test_a_newer_minor_version_is_read_and_told(version, newer):
    """Conformance 99."""
    assert formats.check_api_version(version, URL) is newer


@pytest.mark.parametrize("version", ["2.0", "0.9", "10.0"])
def test_another_major_version_is_refused(version):
    """Conformance 99."""
    with pytest.raises(UnsupportedVersion) as caught:
        formats.check_api_version(version, URL)
    assert (caught.value.url, caught.value.version) == (URL, version)


@pytest.mark.parametrize(
    "version", ["", "1", "one", "1.", "1.4.0", " 1.4", "1.4\n", "-1.4", "1.\u0664", "1." + "9" * 5000]
)
def test_what_is_no_version_is_no_page(version):
    with pytest.raises(BadPage) as caught:
        formats.check_api_version(version, URL)
    assert type(caught.value) is BadPage


@given(st.text())
def test_no_text_raises_another_error(text):
    formats.form_of(text)
    with suppress(BadPage):
        formats.check_api_version(text, URL)
