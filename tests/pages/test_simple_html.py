"""Reading the Simple API as HTML: PyPI's page, older pages, and what file servers make of a directory."""

from __future__ import annotations

import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frumious.errors import BadPage, UnsupportedVersion
from frumious.model.project import Digest, File, ListedProject, ProjectDetail, ProjectStatus
from frumious.pages.simple_html import parse_project_detail, parse_project_list
from pages.page_values import SIX, URL, sha256

LIST_URL = "https://index.example.org/simple/"
A = sha256("a")
PYPI = f"""<!DOCTYPE html>
<html>
  <head>
    <meta name="pypi:repository-version" content="1.4">
    <meta name="pypi:project-status" content="archived">
    <meta name="pypi:project-status-reason" content="done &amp; dusted">
    <title>Links for six</title>
  </head>
  <body>
    <h1>Links for six</h1>
    <a href="https://files.example.org/packages/aa/bb/{A[:60]}/six-1.0.tar.gz#sha256={A}" >six-1.0.tar.gz</a><br />
    <a href="https://files.example.org/packages/aa/cc/{A[:60]}/six-1.0-py3-none-any.whl#sha256={A}" \
data-requires-python="&gt;=2.7, &lt;4" data-dist-info-metadata="sha256={A}" data-core-metadata="sha256={A}" \
data-yanked="&quot;broken&quot;&#10;twice" \
data-provenance="https://index.example.org/integrity/six/1.0/x/provenance">six-1.0-py3-none-any.whl</a><br />
</body>
</html>
<!--SERIAL 10251369-->""".encode()


def read(body: bytes | str, url: str = URL) -> ProjectDetail:
    return parse_project_detail(body.encode() if isinstance(body, str) else body, url=url, name=SIX)


def read_file(link: str) -> File:
    detail = read(f"<html><body>{link}</body></html>")
    assert detail.problems == ()
    (file,) = detail.files
    return file


def anchor(attributes: str = "", text: str = "a.whl") -> str:
    return f'<a href="a.whl" {attributes}>{text}</a>'


def test_pypis_page_is_read():
    assert read(PYPI) == ProjectDetail(
        name=SIX,
        files=(
            File(
                "six-1.0.tar.gz",
                f"https://files.example.org/packages/aa/bb/{A[:60]}/six-1.0.tar.gz",
                Digest("sha256", A),
            ),
            File(
                "six-1.0-py3-none-any.whl",
                f"https://files.example.org/packages/aa/cc/{A[:60]}/six-1.0-py3-none-any.whl",
                Digest("sha256", A),
                requires_python=">=2.7, <4",
                yanked='"broken"\ntwice',
                core_metadata=Digest("sha256", A),
                provenance="https://index.example.org/integrity/six/1.0/x/provenance",
            ),
        ),
        status=ProjectStatus.ARCHIVED,
        status_reason="done & dusted",
        serial=10251369,
        api_version="1.4",
    )


def test_a_page_as_the_first_standard_had_it_is_read():
    """Conformance 100."""
    detail = read(
        "<html><body><a href='../../packages/six-1.0.zip#md5=" + "0" * 32 + "'>six-1.0.zip</a></body></html>"
    )

    assert detail == ProjectDetail(
        name=SIX,
        files=(
            File("six-1.0.zip", "https://index.example.org/packages/six-1.0.zip", Digest("md5", "0" * 32)),
        ),
    )


@pytest.mark.parametrize("body", [b"", b"   ", b"Not Found", b'{"files": []}', b"%PDF-1.7", b"<xml></xml>"])
def test_what_is_no_html_is_refused(body):
    """Conformance 100: it must not pass for a project that lost its files."""
    with pytest.raises(BadPage):
        read(body)
    with pytest.raises(BadPage):
        parse_project_list(body, LIST_URL)


def test_a_project_without_files_is_read():
    """Conformance 102."""
    detail = read("<!DOCTYPE html><html><body></body></html>")

    assert (detail.files, detail.problems) == ((), ())


def version(said: str) -> str:
    return f'<html><head><meta name="pypi:repository-version" content="{said}"></head><body>{anchor()}</body></html>'


def test_a_newer_minor_version_is_read_and_no_warning_escapes():
    """Conformance 99."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        detail = read(version("1.9"))

    assert (detail.api_version, len(detail.files)) == ("1.9", 1)


@pytest.mark.parametrize("said", ["2.0", "0.9"])
def test_another_major_version_is_refused(said):
    """Conformance 99."""
    with pytest.raises(UnsupportedVersion) as caught:
        read(version(said))
    assert caught.value.version == said
    with pytest.raises(UnsupportedVersion):
        parse_project_list(version(said).encode(), LIST_URL)


@pytest.mark.parametrize("said", ["", "one", "1"])
def test_a_garbled_version_is_refused(said):
    with pytest.raises(BadPage):
        read(version(said))


def test_a_version_in_the_middle_of_the_page_counts_as_none_but_another_major_is_refused():
    late = '<html><body>{}<meta name="pypi:repository-version" content="{}"></body></html>'

    assert read(late.format(anchor(), "1.9")).api_version == "1.0"
    with pytest.raises(UnsupportedVersion):
        read(late.format(anchor(), "2.0"))


def test_the_base_of_a_page_counts():
    page = (
        '<html><head><base href="../../files/"></head><body>'
        '<a href="a.whl">a.whl</a><a href="../b.whl">b.whl</a><a href="http://[">broken</a></body></html>'
    )

    detail = read(page)

    assert [file.url for file in detail.files] == [
        "https://index.example.org/files/a.whl",
        "https://index.example.org/b.whl",
    ]
    assert len(detail.problems) == 1


@pytest.mark.parametrize(
    "link",
    [
        '<a href="ftp://h.example.org/a.whl">a.whl</a>',
        '<a href="javascript:alert(1)">a.whl</a>',
        '<a href="mailto:someone@example.org">a.whl</a>',
        '<a href="https://[/a.whl">a.whl</a>',
        '<a href="..%2F..%2Fetc%2Fpasswd">passwd</a>',
        '<a href="%2e%2e">dots</a>',
        '<a href="a%00.whl">a.whl</a>',
        '<a href="a%ff.whl">a.whl</a>',
        '<a href="a%5cb.whl">a.whl</a>',
        '<a href="a.whl#sha256=short">a.whl</a>',
    ],
)
def test_a_link_that_cannot_be_used_is_left_out_and_told(link):
    """Conformance 69 and 100."""
    detail = read(f'<html><body>{link}<a href="ok.whl">ok.whl</a></body></html>')

    assert [file.filename for file in detail.files] == ["ok.whl"]
    (problem,) = detail.problems
    assert "left out" in problem


def test_links_to_directories_and_to_nowhere_are_no_files():
    """Real pages have them: directory listings, and tables of contents."""
    detail = read(
        '<html><body><a href="../">Parent Directory</a><a href="?C=N;O=D">Name</a><a href="#top">Top</a>'
        '<a name="top">here</a><a href="sub/">sub</a><a href="..">up</a><a href="a.whl">a.whl</a></body></html>'
    )

    assert [file.filename for file in detail.files] == ["a.whl"]
    assert detail.problems == ()


def test_the_name_of_a_file_is_what_its_link_ends_in():
    """As installers take it: nginx cuts long names short in the text."""
    file = read_file('<a href="a%20long+name-1.0.tar.gz#sha256=' + A + '"><b>a long+na..&gt;</b></a>')

    assert file.filename == "a long+name-1.0.tar.gz"
    assert file.url == "https://index.example.org/simple/six/a%20long+name-1.0.tar.gz"


@pytest.mark.parametrize(
    ("attributes", "yanked"),
    [
        ("", None),
        ("data-yanked", ""),
        ('data-yanked=""', ""),
        ('data-yanked="false"', "false"),
        ("data-yanked='&lt;b&gt; &amp;amp; \"x\"'", '<b> &amp; "x"'),
    ],
)
def test_the_attribute_alone_yanks_a_file(attributes, yanked):
    """Conformance 16 and 75."""
    assert read_file(anchor(attributes)).yanked == yanked


@pytest.mark.parametrize(
    ("attributes", "metadata"),
    [
        ("", None),
        ('data-core-metadata="true"', True),
        ('data-core-metadata="false"', False),
        ("data-core-metadata", True),
        (f'data-core-metadata="sha256={A}"', Digest("sha256", A)),
        (f'data-core-metadata="SHA256={A.upper()}"', Digest("sha256", A)),
        (f'data-dist-info-metadata="sha256={A}"', Digest("sha256", A)),
        (f'data-core-metadata="false" data-dist-info-metadata="sha256={A}"', False),
        ('data-core-metadata="sha256=short"', True),
        ('data-core-metadata="sha256=abcd"', None),
        ('data-core-metadata="crc32=00000000"', True),
    ],
)
def test_core_metadata_is_read_under_both_names(attributes, metadata):
    """Conformance 17."""
    assert read_file(anchor(attributes)).core_metadata == metadata


@pytest.mark.parametrize(
    ("fragment", "digest"),
    [
        (f"sha256={A}", Digest("sha256", A)),
        (f"SHA256={A.upper()}", Digest("sha256", A)),
        (f"egg=six&sha256={A}", Digest("sha256", A)),
        ("md5=" + "0" * 32, Digest("md5", "0" * 32)),
        ("md5=short", None),
        ("egg=six", None),
        ("sha256=", None),
        ("", None),
    ],
)
def test_the_fragment_is_the_digest(fragment, digest):
    """Conformance 14."""
    assert read_file(f'<a href="a.whl#{fragment}">a.whl</a>').digest == digest


@pytest.mark.parametrize("said", ["", "/relative", "http://index.example.org/p"])
def test_provenance_that_is_not_absolute_https_is_left_out(said):
    """Conformance 18."""
    assert read_file(anchor(f'data-provenance="{said}"')).provenance is None


def test_an_empty_requires_python_is_unknown():
    """Conformance 15 and 100."""
    assert read_file(anchor('data-requires-python=""')).requires_python is None


def test_an_unknown_status_is_told():
    detail = read(
        '<html><head><meta name="pypi:project-status" content="haunted"></head>'
        f"<body>{anchor()}</body></html>"
    )

    assert (detail.status, len(detail.files)) == (None, 1)
    assert "haunted" in detail.problems[0]


def test_of_two_different_files_with_one_name_the_first_stays():
    detail = read(
        '<html><a href="x/a.whl">a.whl</a><a href="y/a.whl">a.whl</a><a href="x/a.whl">a.whl</a></html>'
    )

    assert [file.url for file in detail.files] == [URL + "x/a.whl"]
    assert len(detail.problems) == 1


def test_a_page_that_is_not_utf_8_is_read_all_the_same():
    assert (
        read('<html><a href="a.whl" data-yanked="zurückgezogen">a.whl</a></html>'.encode("latin-1"))
        .files[0]
        .yanked
        == "zurückgezogen"
    )
    assert read("\ufeff" + PYPI.decode()).serial == 10251369


def test_the_last_serial_counts():
    """Conformance 20: it is a trailer."""
    assert read("<html><body><!--SERIAL 1--></body></html>\n<!--SERIAL 2-->\n").serial == 2


def test_the_list_gives_names_as_they_are_written():
    body = (
        b'<!DOCTYPE html><html><head><meta name="pypi:repository-version" content="1.3"></head><body>'
        b'<a href="/simple/foo-bar/">Foo.Bar</a><a href="six/"> six\n</a><a href="empty/"></a></body></html>'
        b"<!--SERIAL 31-->"
    )

    page = parse_project_list(body, LIST_URL)

    assert page.projects == (ListedProject("Foo.Bar"), ListedProject("six"))
    assert (page.serial, page.api_version) == (31, "1.3")
    assert len(page.problems) == 1


markup = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "<html>", "<head>", "</head>", "<body>", "</body>", "<base href='x/'>", "<base href='http://['>",
                "<a href='a.whl'>", "<a href='//['>", "<a href='a.whl#sha256=0' data-yanked>", "<a>", "</a>", "<!--",
                "-->", "<![CDATA[", "<?xml", "<!", "&#0;", "&#xd800;", "&", "<script>", "<title>", "<table><a ",
                '<meta name="pypi:repository-version" content="1.9">', '<meta name="pypi:project-status" content="x">',
                "<!--SERIAL 5-->", "<a href=x data-core-metadata>", "<a href=/a.whl class=b rel='c d'>a</a>", '"', "'",
            ]
        ),
        st.text(max_size=5),
    ),
    max_size=12,
).map("".join)  # fmt: skip


@given(st.binary() | markup.map(lambda text: text.encode("utf-8", "surrogatepass")))
@settings(deadline=None, max_examples=300)
def test_no_bytes_raise_another_error_than_the_two(body):
    """Conformance 100."""
    for read_page in (read, lambda body: parse_project_list(body, LIST_URL)):
        try:
            page = read_page(body)
        except BadPage:
            continue
        repr(page).encode()


@pytest.mark.parametrize(
    "end",
    [
        "<",
        "<a",
        "<a href",
        '<a href="b.whl',
        "<a href='b.whl>b.whl</a>",
        "</a",
        "<!-- SERIAL 1",
        "<script>",
        "<!",
    ],
)
def test_a_page_that_is_cut_short_is_refused(end):
    """Conformance 100: it must not pass for a project that lost files."""
    with pytest.raises(BadPage, match="ends in the middle"):
        read(f"<html><body>{anchor()}{end}")
    with pytest.raises(BadPage, match="ends in the middle"):
        parse_project_list(f"<html><body>{anchor()}{end}".encode(), LIST_URL)


def test_a_link_ends_where_the_next_begins():
    page = parse_project_list(
        b'<html><a href="foo/">foo<p><a href="bar/">b<i>a</i>r</a> and <a href="six/">six', LIST_URL
    )

    assert [project.name for project in page.projects] == ["foo", "bar", "six"]


@pytest.mark.parametrize(
    "markup", ['<base href="x/">', '<meta name="pypi:project-status" content="archived">']
)
def test_what_belongs_in_the_head_counts_nowhere_else(markup):
    for begin in ("<html><head></head>", "<html><body>", "<html><a>"):
        detail = read(f"{begin}{markup}{anchor()}</body></html>")

        assert (detail.status, detail.files[0].url) == (None, URL + "a.whl")


@pytest.mark.parametrize("markup", ["<![x y]>", '<base href="http://[">'])
def test_markup_that_cannot_be_read_is_refused(markup):
    with pytest.raises(BadPage, match="cannot be read"):
        read(f"<html><head>{markup}</head><body>{anchor()}</body></html>")


def test_a_page_of_unclosed_tags_is_read():
    body = "<html><body>" + "<div><p><b>" * 20_000 + anchor()

    assert len(read(body).files) == 1
