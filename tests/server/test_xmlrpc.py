"""Bodies of XML-RPC calls, whatever they are: always an answer that a client can read (conformance 57, 87)."""

import asyncio
import xmlrpc.client
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frumious.server.http import Request
from frumious.server.records import Records
from frumious.server.xmlrpc import XmlRpc


async def _no_catalog():
    raise AssertionError("there is none to open")


class _Nothing:
    """Finds nothing."""

    async def search(self, words, limit):
        assert all(isinstance(word, str) for word in words)
        assert len(words) <= 20 < limit
        return []


CALLS = XmlRpc(Records(_no_catalog, Path("/nonexistent/catalog.sqlite3")), _Nothing())


def answer(body):
    async def read(limit):
        assert len(body) <= limit
        return body

    response = asyncio.run(CALLS.answer(Request("POST", "/pypi", read_body=read)))
    assert response.status == 200
    assert dict(response.headers)["content-type"].startswith("text/xml")
    return response.body


def result(body):
    """Return what a call gives, or the code of its fault; fails for an answer that is neither."""
    try:
        (said,), method = xmlrpc.client.loads(answer(body))
    except xmlrpc.client.Fault as fault:
        return fault.faultCode
    assert method is None
    return said


def search(*parameters):
    said = "".join(f"<param><value>{one}</value></param>" for one in parameters)
    return f"<methodCall><methodName>search</methodName><params>{said}</params></methodCall>".encode()


NO_WORDS = "<struct></struct>"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (search("<bigdecimal>x</bigdecimal>"), -32700),
        (search("<int>" + "9" * 5000 + "</int>"), -32700),
        (search("<base64>x</base64>"), -32700),
        (search("<boolean>7</boolean>"), -32700),
        (search("<struct><member><name>a</name></member></struct>"), -32700),
        (search(NO_WORDS, "<array><data></data></array>"), -32602),
        (search(NO_WORDS, NO_WORDS), -32602),
        (search(NO_WORDS, "or", "or"), -32602),
        (b"<?xml version='1.0' encoding='utf-7'?><methodCall/>", -32700),
        (b"<?xml version='1.0' encoding='hex'?><methodCall/>", -32700),
        (b"<methodResponse><fault><value>x</value></fault></methodResponse>", -32700),
        (b"<!DOCTYPE a [<!ENTITY b 'c'>]><methodCall><methodName>&b;</methodName></methodCall>", -32700),
    ],
)
def test_what_is_no_call_gets_a_fault(body, code):
    assert result(body) == code


def test_without_a_catalog_the_fault_says_so():
    with pytest.raises(xmlrpc.client.Fault, match="there is no catalog") as caught:
        xmlrpc.client.loads(answer(xmlrpc.client.dumps((), "changelog_last_serial").encode()))

    assert caught.value.faultCode == -32500


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**31), 2**31 - 1)
    | st.floats()
    | st.text()
    | st.binary(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["name", "summary", "x"]), inner)
    ),
    max_leaves=8,
)
_METHODS = st.sampled_from(
    [
        "search",
        "changelog_since_serial",
        "changelog_last_serial",
        "browse",
        "list_packages_with_serial",
        "search ",
    ]
)
_TAGS = [
    "methodCall", "methodName", "params", "param", "value", "array", "data", "struct", "member", "name", "int", "i8",
    "nil", "boolean", "double", "string", "base64", "dateTime.iso8601", "bigdecimal", "biginteger", "fault", "ex:nil",
]  # fmt: skip
_PIECES = st.lists(
    st.sampled_from([f"<{tag}>" for tag in _TAGS] + [f"</{tag}>" for tag in _TAGS])
    | st.sampled_from(["search", "browse", "1", "x", "&lt;", "&#65;", "&#0;", "&b;", "<?p?>", "<![CDATA["])
    | st.text(max_size=5)
)


@st.composite
def _elements(draw, depth=3):
    """Well-formed markup of the tags that mean something, in any order."""
    tag = draw(st.sampled_from(_TAGS))
    inner = st.sampled_from(["", "1", "x", "search", "2026"])
    parts = draw(st.lists(inner | _elements(depth - 1), max_size=3)) if depth else [draw(inner)]
    return f"<{tag}>{''.join(parts)}</{tag}>"


@given(method=_METHODS, values=st.lists(_VALUES, max_size=3))
def test_any_values_get_an_answer(method, values):
    body = xmlrpc.client.dumps(tuple(values), method, allow_none=True)

    result(body.encode(errors="replace")[: 64 << 10])


@given(value=_elements(), bare=st.booleans())
def test_any_markup_gets_an_answer(value, bare):
    result(value.encode() if bare else search(value))


@given(st.binary(max_size=200) | _PIECES.map(lambda pieces: "".join(pieces).encode(errors="replace")))
def test_any_body_gets_an_answer(body):
    result(body)
