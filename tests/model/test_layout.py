"""Where things lie: nothing from upstream becomes a path unchecked."""

from __future__ import annotations

from pathlib import PurePosixPath
from urllib.parse import quote, unquote, urljoin, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from frumious.model import layout
from frumious.model.layout import PageKind
from frumious.model.names import normalize

HOST = "https://files.example.org"
B2 = "0123456789abcdef" * 4
SIX = normalize("six")
any_text = st.text(st.characters(exclude_categories=()), max_size=20)
paths = st.text(st.sampled_from("ab./\\%25fFcCeE0\0#?;:é \n"), max_size=30)
filenames = st.text(
    st.one_of(st.sampled_from("ab09.-_+!~%#?&;:@ é"), st.characters(exclude_categories=("Cc", "Cs"))),
    min_size=1,
    max_size=40,
).filter(layout.is_safe_filename)


def assert_inside_packages(key: str) -> None:
    """What a key must be, said without the code that makes it."""
    assert key.startswith("web/packages/")
    for segment in key.split("/"):
        assert segment not in {"", ".", ".."}
        assert len(segment.encode()) <= 255
        assert not set(segment) & {chr(code) for code in (*range(32), *range(127, 160))}
        assert "\\" not in segment
    assert PurePosixPath(key).parts == tuple(key.split("/"))


# File names


@pytest.mark.parametrize(
    "filename",
    [
        "six-1.16.0-py2.py3-none-any.whl",
        "six-1!2.0+local.1.tar.gz",
        "six 1.0 (final).exe",
        "sïx~@%41.zip",
        "...",
        ".hidden",
        "-rf",
        "con",
        "a" * 255,
        "é" * 127,
    ],
)
def test_odd_file_names_are_safe(filename):
    """Conformance 69 and 103."""
    assert layout.is_safe_filename(filename)


@pytest.mark.parametrize(
    "filename",
    [
        "",
        ".",
        "..",
        "a/b",
        "/a",
        "a\\b",
        "a\0",
        "a\n",
        "\x1f",
        "a\x7f",
        "a\x80",
        "a\x9f",
        "\ud800",
        "a" * 256,
        "é" * 128,
    ],
)
def test_what_cannot_be_one_segment_of_a_path_is_unsafe(filename):
    """Conformance 5 and 69."""
    assert not layout.is_safe_filename(filename)


# From upstream's URL to a key


@given(filenames)
def test_a_url_under_packages_keeps_its_path(filename):
    key = layout.file_key(f"{HOST}/packages/ab/cd/{quote(filename, safe='')}#sha256=00", filename)

    assert key == f"web/packages/ab/cd/{filename}"


@pytest.mark.parametrize(
    ("path", "filename"),
    [
        ("/packages/aa/six-1%2B1.whl", "six-1+1.whl"),
        ("/packages/aa/six-1+1.whl", "six-1+1.whl"),
        ("/packages/aa/six%201.whl", "six 1.whl"),
        ("/packages/aa/%C3%A9.whl", "é.whl"),
        ("/packages/aa/%2541.whl", "%41.whl"),
        ("/packages/aa/six.whl?x=1", "six.whl"),
    ],
)
def test_a_path_is_decoded_exactly_once(path, filename):
    """Conformance 69."""
    assert layout.file_key(HOST + path, filename) == f"web/packages/aa/{filename}"


@pytest.mark.parametrize(
    "path",
    [
        "/packages/../../etc/passwd",
        "/packages/%2e%2e/%2E%2E/etc/passwd",
        "/packages/..%2f..%2fetc/passwd",
        "/packages/a%2F..%2F..%2Fpasswd",
        "/packages/%5c..%5cpasswd",
        "/packages/..\\passwd",
        "/packages/./passwd",
        "/packages//passwd",
        "/packages/a%00/passwd",
        "/packages/a%0a/passwd",
        "/packages/a%7f/passwd",
        "/packages/a%c2%85/passwd",
        "/packages/%ff/passwd",
        "/packages/%c0%ae%c0%ae/passwd",
        "/packages/%ed%a0%80/passwd",
        "/packages/" + "a" * 256 + "/passwd",
        "/packages/" + "a/" * 16 + "passwd",
        "/packages/other",
        "/packages/passwd/",
        "/packages/",
        "/packages",
        "/packagesX/passwd",
        "/simple/passwd",
        "//packages/passwd",
        "/files/packages/passwd",
        "/%2e%2e/packages/passwd",
        "",
    ],
)
def test_a_path_that_cannot_be_ours_gives_no_key(path):
    """Conformance 69 and 70: the caller then stores by content."""
    assert layout.file_key(HOST + path, "passwd") is None


@pytest.mark.parametrize("url", ["https://[::1/packages/a", "/packages/\ud800", "", "\0"])
def test_a_url_that_cannot_be_parsed_gives_no_key(url):
    assert layout.file_key(url, "a") is None


@given(paths | any_text, filenames)
@example("%2e%2e/a", "a")
def test_no_url_leads_out_of_the_packages(path, filename):
    """Conformance 69, and design.md §6.8."""
    for url in (f"{HOST}/packages/{path}/{filename}", f"{HOST}/packages/{path}", path):
        key = layout.file_key(url, filename)
        if key is not None:
            assert_inside_packages(key)
            assert key.rpartition("/")[2] == filename


@given(filenames)
def test_a_file_without_a_path_lies_by_its_content(filename):
    key = layout.content_key(B2, filename)

    assert key == f"web/packages/01/23/{B2[4:]}/{filename}"
    assert_inside_packages(key)


# Core metadata


def test_core_metadata_lies_beside_its_file():
    """Conformance 67."""
    assert layout.metadata_key("web/packages/aa/six.whl") == "web/packages/aa/six.whl.metadata"


@pytest.mark.parametrize(
    ("filename", "fits"), [("a" * 246, True), ("a" * 247, False), ("é" * 123, True), ("é" * 124, False)]
)
def test_core_metadata_whose_name_would_be_too_long_is_not_kept(filename, fits):
    """Conformance §13.8."""
    assert layout.is_safe_filename(filename)

    key = layout.metadata_key(f"web/packages/aa/{filename}")

    assert (key is not None) is fits
    assert key is None or layout.is_safe_filename(key.rpartition("/")[2])


# Links


@given(filenames)
@example("six-1.0.tar.gz;")
@example("a:b")
@example("%2e%2e")
@example(" ")
def test_a_link_leads_back_to_the_key(filename):
    """Conformance 13 and 69: under any prefix, as browsers and installers resolve it."""
    key = layout.content_key(B2, filename)

    link = layout.href(key)

    url = urlsplit(urljoin("https://mirror.example.org/some/pip/simple/six/", link))
    assert link.isascii()
    assert (url.query, url.fragment) == ("", "")
    assert "/some/pip/" + key.removeprefix("web/") == unquote(url.path, errors="strict")
    assert layout.file_key(urljoin("https://mirror.example.org/simple/six/", link), filename) == key


def test_a_link_leaves_plus_and_bang_as_they_are():
    """Conformance §13.7: some back ends take an encoded plus for a space, and the other way round."""
    assert layout.href("web/packages/aa/six-1!2.0+l 1%.whl") == "../../packages/aa/six-1!2.0+l%201%25.whl"


def test_a_link_may_start_at_another_root():
    key = "web/packages/aa/six.whl"

    assert layout.href(key, root="https://cdn.example.org") == "https://cdn.example.org/packages/aa/six.whl"


# Pages


def test_pages_lie_where_bandersnatch_puts_them():
    assert [layout.page_key(SIX, kind) for kind in PageKind] == [
        "web/simple/six/index.html",
        "web/simple/six/index.v1_html",
        "web/simple/six/index.v1_json",
    ]
    assert layout.page_key(SIX, PageKind.HTML, hash_index=True) == "web/simple/s/six/index.html"
    assert layout.root_page_key(PageKind.V1_JSON) == "web/simple/index.v1_json"
    assert layout.legacy_json_keys(SIX) == ("web/json/six", "web/pypi/six/json")


@pytest.mark.parametrize(
    ("spelling", "same"), [("Six", True), ("SIX", True), ("si-x", False), ("six-6", False)]
)
def test_spellings_of_one_project_share_its_page_and_others_do_not(spelling, same):
    """Conformance 1."""
    key = layout.page_key(normalize(spelling), PageKind.HTML)

    assert (key == layout.page_key(SIX, PageKind.HTML)) is same
