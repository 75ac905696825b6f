"""An answer that ends, or is reset, at any byte: never taken for the whole, never another error than a clear one."""

import asyncio

import pytest

from frumious.errors import Unreachable, UpstreamError
from frumious.model.names import normalize
from frumious.upstream.http import HttpOptions, open_http
from frumious.upstream.simple_api import SimpleApiUpstream
from support import httpd
from support.index_pages import JSON_TYPE

NAME = normalize("six")
FILES = {
    JSON_TYPE: b'{"meta":{"api-version":"1.0","_last-serial":7},"name":"six","files":'
    b'[{"filename":"six-1.0.tar.gz","url":"/packages/six-1.0.tar.gz","hashes":{}}]}',
    "text/html": b'<!DOCTYPE html><html><body><a href="/packages/six-1.0.tar.gz">six-1.0.tar.gz</a></body></html>',
}
LISTS = {
    JSON_TYPE: b'{"meta":{"api-version":"1.0","_last-serial":7},"projects":[{"name":"six"}]}',
    "text/html": b'<!DOCTYPE html><html><body><a href="/simple/six/">six</a></body></html>',
}


def whole(body, content_type, *, length):
    """Return the bytes of an answer, with its length or with the end of the connection as its end."""
    said = f"Content-Length: {len(body)}\r\n" if length else "Connection: close\r\n"
    return f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\n{said}\r\n".encode() + body


@pytest.mark.parametrize("content_type", [JSON_TYPE, "text/html"])
@pytest.mark.parametrize("resets", [False, True], ids=["ends", "resets"])
@pytest.mark.parametrize("what", ["page", "list"])
def test_a_small_answer_that_breaks_off_at_any_byte_is_no_answer(content_type, resets, what):
    body = (FILES if what == "page" else LISTS)[content_type]
    answer = whole(body, content_type, length=True)

    async def ask_all(url):
        wrong = []
        async with open_http(HttpOptions("test", timeout=5, allow_http=True), {}) as transport:
            upstream = SimpleApiUpstream(transport, url)
            for at in range(len(answer) + 1):
                served.routes["/simple/six/"] = served.routes["/simple/"] = breaking(
                    answer[:at], resets=resets
                )
                try:
                    found = await (
                        upstream.project(NAME, None) if what == "page" else upstream.project_list(None)
                    )
                except Unreachable:
                    found = None
                if (found is None) != (at < len(answer)):
                    wrong.append((at, found))
        return wrong

    with httpd.serve() as served:
        assert asyncio.run(ask_all(served.url)) == []


def breaking(data, *, resets):
    async def speak(_reader, writer):
        writer.write(data)
        await writer.drain()
        if resets and data:
            await asyncio.sleep(0)
            writer.transport.abort()

    return httpd.Takeover(speak)


@pytest.mark.parametrize("what", ["page", "list"])
def test_json_whose_length_nobody_says_is_refused_where_it_is_cut(what):
    """HTTP/1.0 style: the end of the connection is the end of the body, so that only the reader can tell."""
    body = (FILES if what == "page" else LISTS)[JSON_TYPE]

    async def ask_all(url):
        taken = []
        async with open_http(HttpOptions("test", timeout=5, allow_http=True), {}) as transport:
            upstream = SimpleApiUpstream(transport, url)
            for at in range(len(body)):
                raw = httpd.Raw(whole(body[:at], JSON_TYPE, length=False))
                served.routes["/simple/six/"] = served.routes["/simple/"] = raw
                try:
                    await (upstream.project(NAME, None) if what == "page" else upstream.project_list(None))
                except UpstreamError:
                    continue
                taken.append(at)
        return taken

    with httpd.serve() as served:
        assert asyncio.run(ask_all(served.url)) == []
