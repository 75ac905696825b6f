"""The table of routes, and that every request gets an answer (conformance 5, 57, and issue 5: bad input)."""

import logging

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from frumious.server.http import Request, TooLong, text
from frumious.server.site import Route, Site, Unavailable
from server.test_simple import header

STATUSES = {200, 204, 206, 301, 302, 304, 400, 404, 405, 406, 416, 503}


@pytest.mark.parametrize(
    "path", ["/simple/", "/simple/snark/", "/packages/x", "/last-modified", "/health", "/nowhere"]
)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE", "BREW"])
def test_other_methods(ask, path, method):
    """Conformance 57."""
    answer = ask(path, method=method)

    assert (answer.status, header(answer, "allow")) == (405, "GET, HEAD, OPTIONS")


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/pypi", "GET, HEAD, POST, OPTIONS"),
        ("/pypi/", "GET, HEAD, POST, OPTIONS"),
        ("/pypi/snark", "GET, HEAD, OPTIONS"),
        ("/pypi/snark/json", "GET, HEAD, OPTIONS"),
        ("/RPC2", "POST, OPTIONS"),
    ],
)
def test_methods_are_those_of_the_path(ask, path, methods):
    """Conformance 57; schemathesis found that POST was offered where it is refused."""
    assert header(ask(path, method="OPTIONS"), "allow") == methods
    assert header(ask(path, method="DELETE"), "allow") == methods
    for method in {"GET", "POST"} - set(methods.split(", ")):
        refused = ask(path, method=method)
        assert (refused.status, header(refused, "allow")) == (405, methods)


@pytest.mark.parametrize("condition", ["*", '"an-etag"', ""])
def test_a_feed_that_is_not_there_is_not_there_under_any_condition(ask, condition):
    """Schemathesis found a 500."""
    assert ask("/rss/project/nope/releases.xml", if_none_match=condition).status == 404


@pytest.mark.parametrize("path", ["/simple/", "/packages/x", "/nowhere"])
def test_a_browser_may_ask_first(ask, path):
    """Conformance 54."""
    answer = ask(path, method="OPTIONS", origin="https://example.com", access_control_request_headers="range")

    assert (answer.status, answer.body) == (204, b"")
    assert header(answer, "access-control-allow-origin") == "*"
    assert "Range" in header(answer, "access-control-allow-headers")
    assert "GET" in header(answer, "access-control-allow-methods")


def test_health_and_ready(ask):
    assert ask("/health").status == 200
    assert ask("/ready", query="pages").status == 200
    assert ask("/ready", query="pages=").status == 200, "as most clients write it"
    missing = ask("/ready")
    assert missing.status == 503
    assert b"there is no catalog" in missing.body
    assert header(missing, "cache-control") == "no-store"


@pytest.mark.parametrize("path", ["", "*", "simple/", "http://example.org/simple/"])
def test_a_path_that_is_none(ask, path):
    assert ask(path).status == 400


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (FileNotFoundError(), 404),
        (NotADirectoryError(), 404),
        (TooLong("at most 3 bytes"), 413),
        (Unavailable("the catalog is locked"), 503),
        (OSError(5, "Input/output error"), 503),
        (ValueError("a defect"), 500),
    ],
)
@pytest.mark.parametrize("later", [False, True])
def test_what_goes_wrong_is_that_request_s_alone(error, status, later, caplog):
    import asyncio

    def at_once(_request):
        raise error

    async def in_time(_request):
        raise error

    site = Site({}, Route(in_time if later else at_once))
    answer = site.answer(Request("GET", "/x"))
    answer = asyncio.run(answer) if later else answer

    assert answer.status == status
    assert b"defect" not in answer.body, "what went wrong inside is for the log"
    if status == 500:
        assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_the_first_segment_says_who_answers():
    site = Site({"simple": Route(lambda _r: text(200, "simple"))}, Route(lambda _r: text(200, "other")))
    for path, who in [
        ("/simple", "simple"),
        ("/simple/x", "simple"),
        ("/simpleton", "other"),
        ("//simple/", "other"),
    ]:
        assert site.answer(Request("GET", path)).body.decode().strip() == who


PATHS = st.one_of(
    st.text(max_size=80).map(lambda text: "/" + text),
    st.lists(
        st.sampled_from(
            [
                "simple",
                "packages",
                "snark",
                "boojum",
                "..",
                ".",
                "",
                "index.html",
                "etc",
                "b3",
                "\x00",
                "é",
                "json",
                "source",
                "s",
            ]
        ),
        max_size=7,
    ).map(lambda parts: "/" + "/".join(parts)),
)
HEADERS = st.dictionaries(
    st.sampled_from(["accept", "accept_encoding", "if_none_match", "if_modified_since", "range", "if_range"]),
    st.text(max_size=60),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(PATHS, HEADERS, st.text(max_size=30), st.sampled_from(["GET", "HEAD", "POST", "OPTIONS"]))
def test_every_request_has_an_answer_of_the_right_kind(ask, tree, path, headers, query, method):
    answer = ask(path, method=method, query=query, **headers)

    assert answer.status in STATUSES
    assert answer.status in {204, 304} or header(answer, "content-type")
    path_sent = getattr(answer.body, "path", None)
    assert path_sent is None or path_sent.startswith(f"{tree.web}/")
    for name, value in answer.headers:
        assert name == name.lower()
        assert "\n" not in value
        assert "\r" not in value
