"""Which form and which coding a client gets (conformance 42-48, the table of its section 3.5)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frumious.pages.formats import HTML_TYPE as H
from frumious.pages.formats import JSON_TYPE as J
from frumious.pages.formats import TEXT_HTML as T
from frumious.server.negotiation import TYPES, acceptable, asked_format, coding

TABLE = [
    # absent, and clients that take anything (44): curl, requests, pipenv, setuptools
    (None, T),
    ("", T),
    ("  ", T),
    ("*/*", T),
    ("*/*;q=0.1", T),
    # pip, unearth and pdm; uv; devpi; poetry; bandersnatch and shadowmire; pip before 22.2; browsers
    (f"{J}, {H}; q=0.1, {T}; q=0.01", J),
    (f"{J}, {H};q=0.2, {T};q=0.01", J),
    (f"{H};q=0.2, {J}, {T};q=0.01", J),
    (f"{J}, */*;q=0.1", J),
    (J, J),
    (T, T),
    ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", T),
    # how much each is liked: 46
    (f"{J};q=0, */*", T),
    (f"{T}, {J}", J),
    (f"{J};q=0.1, {T};q=0.2", T),
    (f"{J} ; q = 0.1 , {H} ; q = 0.2", H),
    ("application/*", H),
    ("text/*", T),
    (f"application/*, {J};q=0.5", H),
    # names of versions (47)
    ("application/vnd.pypi.simple.latest+json", J),
    ("application/vnd.pypi.simple.latest+html", H),
    (f"application/vnd.pypi.simple.v2+json, {H};q=0.3", H),
    # spelling
    (J.upper(), J),
    (f"{J}; charset=utf-8", J),
    (f"{J};charset=utf-8;q=0.1, {T};q=0.2", T),
    # nothing that we have (45)
    ("application/vnd.pypi.simple.v2+json", None),
    ("application/json", None),
    ("image/png", None),
    (f"{J};q=0", None),
    ("*/*;q=0", None),
    # what makes no sense is skipped (46)
    (f"{J};q=nonsense, {T};q=0.5", T),
    (f"{J};q=7, {T};q=0.5", T),
    (f"{J};q=-1, {T}", T),
    (";;;,,,q=1", None),
    (f", ,{H},", H),
    ("x" * 5000, T),
]


@pytest.mark.parametrize(("accept", "expected"), TABLE)
def test_the_form_is_the_one_liked_best(accept, expected):
    found = acceptable(accept)

    assert (found[0] if found else None) == expected


def test_what_is_refused_is_not_even_second():
    assert J not in acceptable(f"{J};q=0, */*")


def test_all_that_is_allowed_is_there_in_order_for_trees_that_lack_a_form():
    assert acceptable(f"{J}, {H};q=0.2, {T};q=0.01") == (J, H, T)
    assert acceptable(f"{J}, */*;q=0.1") == (J, T, H)


@given(
    st.one_of(
        st.none(),
        st.text(max_size=200),
        st.text("*/;q=.0123456789, application+jsonvndpysimple", max_size=200),
    )
)
def test_no_header_is_too_strange(accept):
    assert set(acceptable(accept)) <= set(TYPES)
    assert coding(accept) in {None, "gzip", "zstd"}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", None),
        ("x=1", None),
        (f"format={J}", (J,)),
        (f"format={J.replace('+', '%2B')}", (J,)),
        (f"format={J.replace('+', '%20')}", (J,)),
        (f"format={J.replace('/', '%2F')}", (J,)),
        (f"a=b&format={H}&c", (H,)),
        ("format=application/vnd.pypi.simple.latest+json", (J,)),
        ("format=text/html", (T,)),
        ("format=", ()),
        ("format=*/*", ()),
        ("format=application/json", ()),
    ],
)
def test_a_format_in_the_query(query, expected):
    """Conformance 48."""
    assert asked_format(query) == expected


@pytest.mark.parametrize(
    ("accept_encoding", "expected"),
    [
        (None, None),
        ("", None),
        ("identity", None),
        ("gzip", "gzip"),
        ("gzip, deflate", "gzip"),
        ("gzip, deflate, zstd", "zstd"),
        ("zstd;q=0.5, gzip", "gzip"),
        ("gzip;q=0", None),
        ("gzip;q=0, *", "zstd"),
        ("*", "zstd"),
        ("*;q=0", None),
        ("gzip;q=0.5, identity", None),
        ("br", None),
        ("gzip;q=x", None),
        ("GZIP", "gzip"),
    ],
)
def test_the_coding(accept_encoding, expected):
    assert coding(accept_encoding) == expected
