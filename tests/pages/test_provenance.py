"""Provenance documents: which are taken for a file's own (conformance §6, 79)."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frumious.pages.provenance import LONGEST, problem_of
from support.index_files import provenance

SHA = "ab" * 32
WHEEL = "six-1.16.0-py2.py3-none-any.whl"


def with_statement(said) -> bytes:
    """Return a document of which the only statement says this."""
    text = said if isinstance(said, bytes) else json.dumps(said).encode()
    document = json.loads(provenance(WHEEL, SHA))
    document["attestation_bundles"][0]["attestations"][0]["envelope"]["statement"] = base64.b64encode(
        text
    ).decode()
    return json.dumps(document).encode()


def subject(name=WHEEL, **digest):
    return {"name": name, "digest": digest or {"sha256": SHA}}


@pytest.mark.parametrize(
    "body",
    [
        provenance(WHEEL, SHA),
        provenance(WHEEL, SHA.upper()),
        provenance("six-1.16.0-py3.py2-none-any.whl", SHA),  # the same tags, in another order
        provenance("Six-1.16.0-py2.py3-none-any.whl", SHA),
        with_statement({"subject": [{"digest": {"sha256": SHA}}]}),
        with_statement({"subject": [subject(sha256=SHA, sha512="cd")], "predicateType": "unheard of"}),
    ],
    ids=["plain", "upper case", "tag order", "spelling", "no name", "more digests"],
)
def test_what_is_about_the_file_is_its_provenance(body):
    assert problem_of(body, WHEEL, SHA) is None


def test_the_provenance_of_an_sdist_may_spell_its_name_otherwise():
    assert problem_of(provenance("foo_bar-1.0.tar.gz", SHA), "foo.bar-1.0.tar.gz", SHA) is None


def test_an_attestation_more_must_be_about_the_file_too():
    document = json.loads(provenance(WHEEL, SHA))
    other = json.loads(provenance(WHEEL, "cd" * 32))["attestation_bundles"]
    document["attestation_bundles"] += other
    assert problem_of(json.dumps(document).encode(), WHEEL, SHA) is not None


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (provenance(WHEEL, "cd" * 32), "it is about sha256 'cdcd"),
        (provenance("seven-1.16.0-py2.py3-none-any.whl", SHA), "it is about 'seven-"),
        (provenance("six-1.16.0.tar.gz", SHA), "it is about 'six-1.16.0.tar.gz'"),
        (provenance("../../etc/passwd", SHA), "it is about '../../etc/passwd'"),
        (provenance(WHEEL, SHA, version=2), "of another version than 1"),
        (provenance(WHEEL, SHA, attestation_bundles=[]), "it has no attestations"),
        (provenance(WHEEL, SHA, attestation_bundles={}), "not a provenance document"),
        (
            provenance(WHEEL, SHA, attestation_bundles=[{"publisher": {}, "attestations": []}]),
            "no attestations",
        ),
        (with_statement({"subject": []}), "of 0 subjects"),
        (with_statement({"subject": [subject(), subject()]}), "of 2 subjects"),
        (with_statement({"subject": [subject(md5="x")]}), "it is about sha256 None"),
        (with_statement([]), "cannot be read"),
        (with_statement(b"\xff\xfe"), "cannot be read"),
        (b"", "not a provenance document"),
        (b"<html>", "not a provenance document"),
        (b'{"message": "ok"}', "not a provenance document"),
        (b"[" * 100_000, "not a provenance document"),
        (b" " * (LONGEST + 1), "longer than"),
    ],
)
def test_anything_else_is_refused_with_the_reason(body, said):
    assert said in (problem_of(body, WHEEL, SHA) or "")


def test_a_statement_that_is_not_base64_is_refused():
    document = json.loads(provenance(WHEEL, SHA))
    document["attestation_bundles"][0]["attestations"][0]["envelope"]["statement"] = "no base64!"
    assert "cannot be read" in (problem_of(json.dumps(document).encode(), WHEEL, SHA) or "")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=9,
)


@given(_JSON)
def test_no_statement_makes_it_fail(said):
    assert problem_of(with_statement(said), WHEEL, SHA) is not None


@given(_JSON, st.sampled_from(["version", "attestation_bundles"]))
def test_no_document_makes_it_fail(said, key):
    problem_of(provenance(WHEEL, SHA, **{key: said}), WHEEL, SHA)
    assert problem_of(json.dumps(said).encode(), WHEEL, SHA) is not None
