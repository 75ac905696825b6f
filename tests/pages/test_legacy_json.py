"""PyPI's legacy JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frumious.errors import BadPage
from frumious.pages.legacy_json import ReleaseFacts, canonical, parse_contents, parse_release_facts, published
from pages.page_values import sha256

URL = "https://index.example.org/pypi/six/json"
WHEEL = {
    "comment_text": "",
    "core-metadata": {"sha256": sha256("m")},
    "digests": {"blake2b_256": sha256("b"), "md5": "0" * 32, "sha256": sha256("w")},
    "downloads": -1,
    "filename": "six-1.16.0-py2.py3-none-any.whl",
    "has_sig": False,
    "md5_digest": "1" * 32,
    "packagetype": "bdist_wheel",
    "requires_python": ">=2.7, !=3.0.*",
    "size": 11053,
    "upload_time": "2021-05-05T14:18:17",
    "upload_time_iso_8601": "2021-05-05T14:18:17.237400Z",
    "url": "https://files.example.org/packages/six-1.16.0-py2.py3-none-any.whl",
    "yanked": True,
    "yanked_reason": "broken",
}
GARBAGE = [
    b"",
    b"null",
    b"[]",
    b'"text"',
    b"{",
    b"\xff",
    b"<html></html>",
    b"[" * 200_000 + b"]" * 200_000,
    b'{"info":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
]


def facts(*files, **document) -> dict[str, ReleaseFacts]:
    body = json.dumps({"info": {}, "releases": {"1.16.0": list(files)}, **document}).encode()
    return dict(parse_release_facts(body, URL))


def test_the_facts_of_each_file_are_read():
    assert facts(WHEEL) == {
        "six-1.16.0-py2.py3-none-any.whl": ReleaseFacts(
            size=11053,
            upload_time="2021-05-05T14:18:17.237400Z",
            sha256=sha256("w"),
            md5="0" * 32,
            requires_python=">=2.7, !=3.0.*",
            yanked="broken",
        )
    }


@pytest.mark.parametrize(("said", "serial"), [(7, 7), ("7", 7), (None, None), (-1, None), ([], None)])
def test_what_a_document_is_about(said, serial):
    document = {
        "last_serial": said,
        "releases": {"1": [WHEEL], "2": None},
        "urls": [{"filename": "b.zip"}, 5],
    }

    assert parse_contents(json.dumps(document).encode(), URL) == (serial, {WHEEL["filename"], "b.zip"})


@pytest.mark.parametrize("body", GARBAGE)
def test_what_is_no_document_is_about_nothing(body):
    with pytest.raises(BadPage):
        parse_contents(body, URL)


def test_what_is_missing_or_malformed_is_unknown():
    """Conformance 100."""
    odd = {
        "filename": "odd",
        "digests": {"sha256": "short", "md5": None},
        "size": -1,
        "upload_time_iso_8601": "",
        "requires_python": "",
    }

    assert facts({"filename": "bare"}, odd) == {"bare": ReleaseFacts(), "odd": ReleaseFacts()}


def test_an_old_document_has_times_without_a_zone_and_one_digest():
    old = {"filename": "a.zip", "md5_digest": "AB" * 16, "upload_time": "2011-05-05T14:18:17", "size": 0}

    assert facts(old) == {"a.zip": ReleaseFacts(size=0, upload_time="2011-05-05T14:18:17Z", md5="ab" * 16)}


@pytest.mark.parametrize(
    ("said", "yanked"),
    [
        ({"yanked": False, "yanked_reason": None}, None),
        ({"yanked": True, "yanked_reason": None}, ""),
        ({}, None),
    ],
)
def test_a_yank_may_have_no_reason(said, yanked):
    assert facts({"filename": "a", **said})["a"].yanked == yanked


def test_a_file_that_cannot_be_read_is_left_out():
    assert set(facts({"filename": 5}, None, "a", {}, {"filename": "good"})) == {"good"}


@pytest.mark.parametrize("name", [None, 5, [], {}, ["good"]])
def test_a_file_whose_name_is_no_text_is_not_passed_on(name):
    body = json.dumps({"urls": [{"filename": name}, {"filename": "good"}]}).encode()

    assert json.loads(published(body, {"good": URL})) == {"urls": [{"filename": "good", "url": URL}]}


def test_the_document_of_one_release_has_only_urls():
    assert set(parse_release_facts(json.dumps({"info": {}, "urls": [WHEEL]}).encode(), URL)) == {
        WHEEL["filename"]
    }
    assert set(facts({"filename": "a"}, urls=[{"filename": "b"}])) == {"a", "b"}


@pytest.mark.parametrize("body", [*GARBAGE, b"{}", b'{"message":"Not Found"}', b'{"releases":[]}'])
def test_what_is_no_document_is_refused(body):
    with pytest.raises(BadPage) as caught:
        parse_release_facts(body, URL)
    assert caught.value.url == URL


@pytest.mark.parametrize("body", [*GARBAGE, b'{"a":NaN}', b'{"a":1e999}', b'{"a":' + b"9" * 5000 + b"}"])
def test_only_an_object_can_be_made_canonical(body):
    with pytest.raises(BadPage):
        canonical(body)


def test_the_canonical_form_is_that_of_bandersnatch():
    body = '{"urls":[],"info":{"name":"Größe","a":1.5},"last_serial":7}'.encode()

    assert canonical(body) == (
        b'{\n    "info": {\n        "a": 1.5,\n        "name": "Gr\\u00f6\\u00dfe"\n    },\n'
        b'    "last_serial": 7,\n    "urls": []\n}'
    )


def test_a_document_says_the_serial_under_which_we_publish():
    """Conformance 92: mirrors of this mirror compare it with `local.json`."""
    body = b'{"last_serial": 7, "releases": {}, "urls": []}'

    assert json.loads(canonical(body, 9)) == {"last_serial": 9, "releases": {}, "urls": []}
    assert json.loads(published(body, {}, 9)) == {"last_serial": 9, "releases": {}, "urls": []}
    assert json.loads(published(body, {}))["last_serial"] == 7


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=())),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=())),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
            max_leaves=5,
        ),
    )
)
@settings(deadline=None)
def test_the_canonical_form_says_the_same_and_is_its_own(document):
    body = canonical(json.dumps(document).encode())

    assert json.loads(body) == document
    assert canonical(body) == body
    assert body.isascii()


@given(st.binary())
def test_no_bytes_raise_another_error(body):
    for read in (canonical, lambda body: parse_release_facts(body, URL)):
        try:
            read(body)
        except BadPage:
            continue
