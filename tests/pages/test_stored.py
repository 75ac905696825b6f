"""Pages as they lie in a tree: what bandersnatch and Frumious wrote is read without a parser, and says the same."""

from __future__ import annotations

from urllib.parse import urldefrag, urljoin

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frumious.errors import BadPage
from frumious.model.layout import PageKind, file_key
from frumious.model.project import Digest, File
from frumious.pages import simple_html, simple_json, stored
from frumious.pages.legacy_json import ReleaseFacts
from frumious.pages.reading import Unusable, resolve
from pages.page_values import SIX, URL, our_file, our_page, project_pages
from support.bandersnatch_tree import bandersnatch_tree
from support.index import SimulatedIndex

BASE = "https://tree.invalid/web/simple/six/"
SHA = "a" * 64


def html(links: str, title: str = "Six", head: str = "") -> bytes:
    return (
        f"<!DOCTYPE html>\n<html>\n  <head>\n{head}    <title>Links for {title}</title>\n  </head>\n  <body>\n"
        f"    <h1>Links for {title}</h1>\n{links}  </body>\n</html>\n<!--SERIAL 12-->"
    ).encode()


# ------------------------------------------------------------------ reading


@settings(max_examples=200, deadline=None)
@given(project_pages())
def test_our_html_says_the_same_with_and_without_a_parser(page):
    body = simple_html.render_project_detail(page, "Six")
    found = stored.read_page(body, PageKind.HTML, SIX)
    assert found.detail == simple_html.parse_project_detail(body, url=BASE, name=SIX)
    assert (found.display, found.is_ours) == ("Six", True)


@settings(max_examples=100, deadline=None)
@given(project_pages())
def test_our_json_is_known_as_ours(page):
    body = simple_json.render_project_detail(page)
    found = stored.read_page(body, PageKind.V1_JSON, SIX)
    assert found.detail == simple_json.parse_project_detail(body, url=BASE, name=SIX)
    assert (found.display, found.is_ours) == (None, True)


@pytest.fixture
def index():
    index = SimulatedIndex()
    index.upload("Foo.Bar", "1.0+x.1", requires_python='>=3.8, <4; "q" & <a>')
    index.upload("Foo.Bar", "1.0", "Foo.Bar-1.0.tar.gz", content=b"sdist")
    index.yank("foo-bar", "1.0", 'bites "hard" <always> & more')
    return index


@pytest.mark.parametrize("version", ["2.0", "4", "7", "8.2"])
def test_html_of_every_version_is_read_without_a_parser(index, version):
    page = bandersnatch_tree(index, version).objects["web/simple/foo-bar/index.html"].data
    name = "foo-bar"
    quick = stored._read_lines(page, BASE.replace("six", name), name)
    assert quick is not None
    assert quick.detail == simple_html.parse_project_detail(page, url=BASE.replace("six", name), name=name)
    detail = quick.detail
    assert (quick.display, quick.is_ours, len(detail.files)) == ("Foo.Bar", False, 2)
    assert detail.serial == (None if version == "2.0" else index.project("foo-bar").serial)
    assert {file.digest.algorithm for file in detail.files} == {"md5" if version == "2.0" else "sha256"}
    assert {stored.key_of(file, None) for file in detail.files} == {
        f"web{index.file(name).path}" for name in ("Foo.Bar-1.0.tar.gz", "foo_bar-1.0+x.1-py3-none-any.whl")
    }


@pytest.mark.parametrize(
    "links",
    [
        '    <a href="../../packages/a/six-1.tar.gz">six-1.tar.gz</a>\n',  # no line break
        "    <a href='../../packages/a/six-1.tar.gz'>six-1.tar.gz</a><br/>\n",
        '    <a class="x" href="../../packages/a/six-1.tar.gz">six-1.tar.gz</a><br/>\n',
        '    <a href="../../packages/a/six-1.tar.gz" data-requires-python=">=3">six-1.tar.gz</a><br/>\n',
        '    <a href="../../packages/a/six-1.tar.gz"><b>six</b></a><br/>\n    <p>more</p>\n',
        '    <a href="../">up</a><br/>\n    <a href="../../packages/a/six-1.tar.gz">six-1.tar.gz</a><br/>\n',
    ],
)
def test_anything_else_goes_to_a_parser(links):
    detail = stored.read_page(html(links), PageKind.HTML, SIX).detail
    assert [file.filename for file in detail.files] == ["six-1.tar.gz"]
    assert (detail.serial, detail.problems) == (12, ())


def test_a_base_element_counts():
    links = '    <a href="packages/a/six-1.tar.gz">six-1.tar.gz</a><br/>\n'
    head = '    <base href="../../">\n'
    (file,) = stored.read_page(html(links, head=head), PageKind.HTML, SIX).detail.files
    assert stored.key_of(file, None) == "web/packages/a/six-1.tar.gz"


@pytest.mark.parametrize(
    "body", [b"", b"plain", b"\xff\xfe<html>", html("", title="Seven"), html("<a")[:100]]
)
def test_what_is_no_page_of_the_project_is_a_bad_page_or_empty(body):
    try:
        page = stored.read_page(body, PageKind.HTML, SIX)
    except BadPage:
        return
    assert page.detail.files == ()


def test_another_projects_page_is_refused():
    with pytest.raises(BadPage, match="naming another project: 'Seven'"):
        stored.read_page(html("", title="Seven"), PageKind.HTML, SIX)
    with pytest.raises(BadPage, match="naming another project"):
        stored.read_title(html("", title="Seven"), SIX)


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"<title>Links for SIX</title>", "SIX"),
        (b"<title>Links for ???</title>", None),
        (b"<title>Links for \xff</title>", None),
        (b"<title>Simple index</title>", None),
        (b"", None),
    ],
)
def test_the_title_says_how_upstream_spells_the_name(head, said):
    assert stored.read_title(head, SIX) == said


def test_a_page_of_a_newer_world_is_refused():
    head = '    <meta name="pypi:repository-version" content="2.0">\n'
    with pytest.raises(BadPage, match="API version"):
        stored.read_page(html("", head=head), PageKind.HTML, SIX)


def test_a_status_marker_is_read():
    body = simple_html.render_project_detail(our_page(our_file()), "Six")
    head = b'    <meta name="pypi:project-status" content="archived">\n    <title>'
    detail = stored.read_page(body.replace(b"    <title>", head), PageKind.HTML, SIX).detail
    assert detail.status is not None
    assert detail.status.value == "archived"


# ------------------------------------------------------------------ links

LINKS = st.text("aZ09._-~!$&'()*+,;=:@%/#?2e ", min_size=0, max_size=30)


@settings(max_examples=500)
@given(LINKS, st.sampled_from([BASE, URL, "https://h/", "https://h/a/", "http://h:80/a/b/", "https://h/a/b"]))
def test_a_relative_link_means_what_urljoin_says(rest, base):
    link = f"../../{rest}"
    try:
        found = resolve(base, link)
    except Unusable:
        return
    if set(link) & set(" ;?#"):
        return  # encoded, or cut
    assert found == urldefrag(urljoin(base, link))[0]


@settings(max_examples=500)
@given(st.text("aZ09._+!~-%/2eé", min_size=1, max_size=40))
def test_a_key_is_what_layout_says(path):
    filename = path.rpartition("/")[2]
    file = File(filename, f"https://tree.invalid/web/packages/{path}")
    assert stored.key_of(file, None) == file_key(f"https://h/packages/{path}", filename)


@pytest.mark.parametrize(
    ("url", "root_uri", "key"),
    [
        ("https://tree.invalid/web/packages/aa/f.whl", None, "web/packages/aa/f.whl"),
        ("https://tree.invalid/packages/aa/f.whl", None, None),
        ("https://tree.invalid/web/simple/aa/f.whl", None, None),
        ("https://files.example.org/packages/aa/f.whl", None, "web/packages/aa/f.whl"),
        ("https://files.example.org/packages/aa/f.whl", "https://m.example.com", "web/packages/aa/f.whl"),
        ("https://m.example.com/x/packages/aa/f.whl", "https://m.example.com/x", "web/packages/aa/f.whl"),
        ("https://m.example.com/xx/packages/aa/f.whl", "https://m.example.com/x", None),
        ("https://m.example.com/x/packages/aa/f.whl", None, None),
        ("https://tree.invalid/web/packages/aa/" + "f" * 300, None, None),
        ("https://tree.invalid/web/packages/" + "a/" * 17 + "f.whl", None, None),
    ],
)
def test_where_a_link_leads(url, root_uri, key):
    assert stored.key_of(File(url.rpartition("/")[2], url), root_uri) == key


def test_a_long_link_takes_no_long_time():
    assert resolve(BASE, "../../" + "a" * 50_000 + "\x00").endswith("%00")


# ------------------------------------------------------------------ the legacy document


FILE = File("f", "https://h/f", digest=Digest("md5", "0" * 32))


@pytest.mark.parametrize(
    ("file", "facts", "digest", "size"),
    [
        (FILE, None, FILE.digest, None),
        (FILE, ReleaseFacts(size=3, sha256=SHA, md5="0" * 32), Digest("sha256", SHA), 3),
        (FILE, ReleaseFacts(size=3, sha256=SHA), Digest("sha256", SHA), 3),
        (FILE, ReleaseFacts(size=3, sha256=SHA, md5="1" * 32), FILE.digest, None),
        (FILE, ReleaseFacts(size=3), FILE.digest, 3),
        (msgspec.structs.replace(FILE, size=4), ReleaseFacts(size=3, sha256=SHA), FILE.digest, 4),
        (msgspec.structs.replace(FILE, digest=None), ReleaseFacts(sha256=SHA), Digest("sha256", SHA), None),
        (msgspec.structs.replace(FILE, digest=Digest("sha256", "b" * 64)), ReleaseFacts(size=1, sha256=SHA), Digest("sha256", "b" * 64), None),
    ],
)  # fmt: skip
def test_the_legacy_document_adds_what_the_page_leaves_open(file, facts, digest, size):
    found = stored.with_facts(file, facts)
    assert (found.digest, found.size) == (digest, size)
