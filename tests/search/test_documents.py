"""What core metadata says, whoever wrote it (conformance, section 13)."""

import importlib.metadata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.metadata import parse_email

from frumious.model.names import normalize
from frumious.search.documents import LONGEST, CoreMetadata, entry_of, parse_core_metadata

WHOLE = """\
Metadata-Version: 2.4
Name: Foo.Bar
Version: 1.0
Summary: Does this
 and that
Keywords: web,http client , json
Author-email: "Jane Doe" <jane@example.org>, Joe <joe@example.org>
License-Expression: MIT OR Apache-2.0
License: the old field
Home-page: https://example.org/
Project-URL: Source, https://example.org/source?a=b,c
Project-URL: nothing
Project-URL: Docs,https://example.org/docs
Requires-Python: >=3.11
Requires-Dist: idna>=3
Requires-Dist: six ; extra == "old"
Provides-Extra: old
Classifier: Topic :: Utilities
Classifier: Programming Language :: Python :: 3
Description-Content-Type: text/markdown; charset=UTF-8; variant=GFM

# Foo

Text: not a header
"""


def test_all_that_is_told():
    assert parse_core_metadata(WHOLE.encode()) == CoreMetadata(
        name="Foo.Bar",
        version="1.0",
        summary="Does this and that",
        keywords=["web", "http client", "json"],
        classifiers=["Topic :: Utilities", "Programming Language :: Python :: 3"],
        author="Jane Doe, Joe",
        license="MIT OR Apache-2.0",
        license_expression="MIT OR Apache-2.0",
        home_page="https://example.org/",
        project_urls=[("Source", "https://example.org/source?a=b,c"), ("Docs", "https://example.org/docs")],
        requires_dist=["idna>=3", 'six ; extra == "old"'],
        requires_python=">=3.11",
        provides_extra=["old"],
        description="# Foo\n\nText: not a header\n",
        description_content_type="text/markdown; charset=UTF-8; variant=GFM",
    )


def field(text, name):
    body = text if isinstance(text, bytes) else text.encode()
    return getattr(parse_core_metadata(body), name)


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("Keywords: web http json", "keywords", ["web", "http", "json"]),
        ("Keywords: ,,", "keywords", []),
        ("Author: Jane\nAuthor-email: x@example.org", "author", "Jane"),
        ("Author: UNKNOWN\nMaintainer: Joe", "author", "Joe"),
        ("Author-email: x@example.org", "author", ""),
        ("License: UNKNOWN", "license", ""),
        ("License: MIT License\n\tPermission is hereby granted", "license", "MIT License Permission is hereby granted"),
        ("Home-page: UNKNOWN", "home_page", None),
        ("Summary: UNKNOWN", "summary", ""),
        ("Summary: one\nSummary: two", "summary", "one"),
        ("SUMMARY:no blank", "summary", "no blank"),
        (b"Summary: caf\xe9", "summary", "café"),
        ("Summary: café".encode(), "summary", "café"),
        ("Summary: a\x00b\x1b[31mc\u202e", "summary", "a b [31mc"),
        ("Summary: cr\rName: x\r\nVersion: 2\r\n", "version", "2"),
        ("Classifier: UNKNOWN\nClassifier: A :: B", "classifiers", ["A :: B"]),
        ("Name: x\n\nbody\r\nlines\r", "description", "body\nlines\n"),
        ("Description: old\n        way\n       |of it\n        \n         more", "description", "old\nway\nof it\n\n more"),
        ("Description: header\n\nbody", "description", "body"),
        ("Description: header\n\n \n", "description", "header"),
        (b"Name: x\n\nb\xf6dy", "description", "bödy"),
        ("no header at all", "description", "no header at all"),
        ("", "description", ""),
        ("\nName: x", "name", ""),
    ],
)  # fmt: skip
def test_one_field(text, name, value):
    assert field(text, name) == value


def test_a_summary_is_short_and_so_is_a_license():
    said = parse_core_metadata(b"Summary: " + b"word " * 10_000 + b"\nLicense: " + b"x" * 100_000)

    assert len(said.summary) <= 512
    assert len(said.license) <= 512


def test_it_agrees_with_packaging_on_what_is_installed_here():
    compared = 0
    for distribution in importlib.metadata.distributions():
        body = (distribution.read_text("METADATA") or "").encode()
        theirs, odd = parse_email(body)
        if not body or odd:
            continue
        ours = parse_core_metadata(body)
        assert ours.name == theirs["name"]
        assert ours.summary == " ".join(theirs.get("summary", "").split())
        assert ours.description == theirs.get("description", "").replace("\r\n", "\n")
        assert ours.classifiers == theirs.get("classifiers", [])
        assert ours.requires_dist == theirs.get("requires_dist", [])
        assert dict(ours.project_urls) == theirs.get("project_urls", {})
        compared += 1
    assert compared > 20


LINES = st.sampled_from([
    b"Name: x", b"Summary: a", b"Summary", b" goes on", b"\t", b"", b": ", b"Description: b", b"       |c", b"\xff",
    b"Project-URL: a, b", b"Project-URL", b"Keywords: ,", b"Author-email: <<@>>", b"From here", b"Content-Type: multipart/mixed; boundary=a",
])  # fmt: skip


@given(
    st.one_of(
        st.binary(),
        st.lists(st.tuples(LINES, st.sampled_from([b"\n", b"\r\n", b"\r"]))).map(
            lambda lines: b"".join(a + b for a, b in lines)
        ),
    )
)
def test_no_bytes_make_it_fail(body):
    said = parse_core_metadata(body)

    for name in ("name", "version", "summary", "author", "license"):
        value = getattr(said, name)
        assert "\n" not in value
        value.encode()


@pytest.mark.parametrize(
    "body",
    [
        b"".join(b"X%d: a\n" % number for number in range(400_000)),
        b"Classifier: x\n" * 280_000,
        b"Summary: " + b"a" * LONGEST,
        b"Summary: a\n" + b" b\n" * 1_000_000,
        b"Author: " + b"<" * LONGEST,
        b"Author: " + b"a@" * 2_000_000,
        b"Description: " + b"       |a\n " * 300_000,
        b"a" * LONGEST,
        b"\n" * LONGEST,
        b"\r" * LONGEST,
    ],
    ids=["headers", "classifiers", "line", "lines", "brackets", "addresses", "indents", "no header", "newlines", "returns"],
)  # fmt: skip
def test_what_is_huge_is_read_once(body):
    """`packaging` needs minutes for the first of these: a test that comes to its end is the proof."""
    said = parse_core_metadata(body + b"tail" * 1_000_000)

    assert len(said.description) <= LONGEST
    assert len(said.classifiers) <= 20_000


def test_what_the_mirror_knows_of_a_project_counts_for_its_entry():
    said = parse_core_metadata(WHOLE.encode())

    entry = entry_of(normalize("foo-bar"), "Foo.Bar", "1.0.post1", said, downloads=7, modified=99)

    assert (entry.name, entry.display, entry.version) == ("foo-bar", "Foo.Bar", "1.0.post1")
    assert (entry.downloads, entry.modified) == (7, 99)
    assert (entry.summary, entry.keywords, entry.classifiers) == (
        said.summary,
        said.keywords,
        said.classifiers,
    )
    assert entry.author == "Jane Doe, Joe"
