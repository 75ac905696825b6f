"""Which part of a file a Range asks for (conformance 62-65)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frumious.server.ranges import Span, Unsatisfiable, asked_span, still_applies


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("bytes=0-9", Span(0, 10)),
        ("bytes=10-", Span(10, 90)),
        ("bytes=99-99", Span(99, 1)),
        ("bytes=90-1000", Span(90, 10)),
        ("bytes=-5", Span(95, 5)),
        ("bytes=-1000", Span(0, 100)),
        ("BYTES=0-0", Span(0, 1)),
        ("bytes = 0-0", None),
        ("bytes= 0 - 9 ", Span(0, 10)),
        # not ranges: the whole file
        ("bytes=-", None),
        ("bytes=5-2", None),
        ("bytes=a-b", None),
        ("bytes=0-1,3-4", None),
        ("lines=0-1", None),
        ("", None),
        ("bytes=٣-٤", None),
        (f"bytes={'9' * 500}-", None),
    ],
)
def test_the_span(header, expected):
    assert asked_span(header, 100) == expected


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", f"bytes={'9' * 20}-", "bytes=-0"])
def test_nothing_there_to_send(header):
    with pytest.raises(Unsatisfiable):
        asked_span(header, 100)


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=0-0", "bytes=-1"])
def test_no_part_of_an_empty_file(header):
    with pytest.raises(Unsatisfiable):
        asked_span(header, 0)


@given(st.one_of(st.text(max_size=50), st.from_regex(r"bytes=\d{0,22}-\d{0,22}")), st.integers(0, 1 << 40))
def test_a_span_lies_in_the_file(header, size):
    try:
        span = asked_span(header, size)
    except Unsatisfiable:
        return
    if span is not None:
        assert span.length > 0
        assert 0 <= span.start < span.start + span.length <= size


def test_if_range_holds_for_what_we_have():
    """Conformance 65."""
    assert still_applies(None, '"a"', "Thu, 01 Jan 2026 00:00:00 GMT")
    assert still_applies('"a"', '"a"', "Thu, 01 Jan 2026 00:00:00 GMT")
    assert still_applies("Thu, 01 Jan 2026 00:00:00 GMT", '"a"', "Thu, 01 Jan 2026 00:00:00 GMT")
    assert not still_applies('"b"', '"a"', "Thu, 01 Jan 2026 00:00:00 GMT")
    assert not still_applies('W/"a"', '"a"', "Thu, 01 Jan 2026 00:00:00 GMT")
    assert not still_applies("Thu, 01 Jan 2026 00:00:01 GMT", '"a"', "Thu, 01 Jan 2026 00:00:00 GMT")
