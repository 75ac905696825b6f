"""The HTTP adapter against real sockets: what it follows, refuses, verifies, and how it tells what went wrong."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import inspect
import os
import shutil
import socket
import subprocess
import zlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
import trustme
from pyreqwest import exceptions as foreign
from pyreqwest.http import Url

from frumious.errors import ConfigError, RefusedAddress, Unreachable
from frumious.upstream.address import Reach, parse_address, reach_of, redirect_target
from frumious.upstream.environment import Proxies, choose_proxies, read_roots
from frumious.upstream.http import (
    BLOCK,
    TRANSLATIONS,
    Gunzip,
    HttpOptions,
    HttpTransport,
    open_http,
    refuse_inside,
    resolve,
)
from frumious.upstream.transport import Answer
from support.httpd import (
    Action,
    Cut,
    Ending,
    Hang,
    Httpd,
    Raw,
    Request,
    Reset,
    Response,
    Takeover,
    gzipped,
    redirect,
    serve,
    static,
)

AGENT = "frumious/0 (+https://example.org/contact)"
PLAIN = HttpOptions(AGENT, timeout=5, allow_http=True)
HASTY = HttpOptions(AGENT, timeout=0.3, allow_http=True)
MAX = 2**20
T = TypeVar("T")


def use(
    task: Callable[[HttpTransport], Awaitable[T]],
    options: HttpOptions = PLAIN,
    environment: dict[str, str] | None = None,
) -> T:
    """Run one task with a transport of its own, in an empty environment unless told otherwise."""

    async def main() -> T:
        async with open_http(options, environment or {}) as transport:
            return await task(transport)

    return asyncio.run(main())


def get(
    url: str, options: HttpOptions = PLAIN, environment: dict[str, str] | None = None, **headers: str
) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return use(lambda transport: transport.get(url, named, max_bytes=MAX), options, environment)


async def read(transport: HttpTransport, url: str, *, large: bool = True, **headers: str) -> list[bytes]:
    async with transport.stream(url, headers, large=large) as stream:
        return [block async for block in stream.chunks]


@pytest.fixture
def httpd() -> Iterator[Httpd]:
    with serve() as server:
        yield server


@pytest.fixture(scope="module")
def secure() -> Iterator[Httpd]:
    with serve(tls=True) as server:
        server.routes["/"] = Response(body=b"hello")
        yield server


# --- answers


def test_an_answer_is_what_the_server_sent(httpd):
    httpd.routes["/a"] = Response(404, [("X-Odd", "1"), ("Vary", "a"), ("Vary", "b")], b"not here")

    answer = get(f"{httpd.url}/a?b=c")

    assert (answer.status, answer.body, answer.url) == (404, b"not here", f"{httpd.url}/a?b=c")
    assert answer.headers == {"x-odd": "1", "vary": "a, b", "content-length": "8"}
    assert answer.http_version == "HTTP/1.1"


def test_we_say_who_we_are_and_what_we_read(httpd):
    """Conformance 101."""
    get(f"{httpd.url}/", if_none_match='"1"')
    use(lambda transport: transport.head(f"{httpd.url}/", {}))
    use(lambda transport: read(transport, f"{httpd.url}/"))

    assert {seen.headers["user-agent"] for seen in httpd.requests} == {AGENT}
    assert [seen.method for seen in httpd.requests] == ["GET", "HEAD", "GET"]
    assert [seen.headers["accept-encoding"] for seen in httpd.requests] == ["gzip", "identity", "identity"]
    assert httpd.requests[0].headers["if-none-match"] == '"1"'


def test_a_header_that_is_not_text_is_left_out(httpd):
    httpd.routes["/"] = Response(headers=[("X-Author", "J\xf6rg"), ("ETag", '"1"')], body=b"hello")

    answer = get(f"{httpd.url}/")

    assert answer.body == b"hello"
    assert answer.headers == {"etag": '"1"', "content-length": "5"}


def test_one_connection_serves_many_requests(httpd):
    httpd.routes["/a"], httpd.routes["/to-a"] = Response(body=b"hello"), redirect("/a")

    async def some(transport):
        for _ in range(3):
            await transport.get(f"{httpd.url}/to-a", {}, max_bytes=MAX)
            await transport.head(f"{httpd.url}/a", {})
            await read(transport, f"{httpd.url}/a", large=False)

    use(some)

    assert (len(httpd.requests), httpd.connections) == (12, 1)


def test_head_brings_headers_and_no_body(httpd):
    httpd.routes["/"] = Response(headers={"X-PyPI-Last-Serial": "7"}, body=b"hello")

    answer = use(lambda transport: transport.head(f"{httpd.url}/", {}))

    assert (answer.status, answer.body, answer.headers["x-pypi-last-serial"]) == (200, b"", "7")
    assert answer.headers["content-length"] == "5"


def test_unchanged_has_no_body_whatever_length_it_names(httpd):
    httpd.routes["/"] = Response(304, {"Content-Length": "5", "ETag": '"1"'})

    assert get(f"{httpd.url}/").status == 304


# --- compressed pages


def test_a_compressed_page_is_decoded(httpd):
    page = os.urandom(1000) * 500
    httpd.routes["/"] = gzipped(page, ETag='"1"')
    httpd.routes["/members"] = Response(headers={"Content-Encoding": "x-gzip"}, body=gzip.compress(b"a") * 3)
    httpd.routes["/empty"] = Response(headers={"Content-Encoding": "gzip"})

    assert get(f"{httpd.url}/").body == page
    assert get(f"{httpd.url}/members").body == b"aaa"
    assert get(f"{httpd.url}/empty").body == b""


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (gzip.compress(b"x" * 1000, mtime=0)[:-1], "ends early"),
        (gzip.compress(b"x" * 1000, mtime=0)[:5], "ends early"),
        (gzip.compress(b"x" * 1000, mtime=0)[:-8] + b"12345678", "damaged"),
        (b"<html>", "damaged"),
    ],
)
def test_a_compressed_page_that_is_not_whole_is_no_answer(httpd, body, reason):
    httpd.routes["/"] = Response(headers={"Content-Encoding": "gzip"}, body=body)

    with pytest.raises(Unreachable, match=reason) as caught:
        get(f"{httpd.url}/")

    assert caught.value.may_retry


def test_a_compression_nobody_asked_for_is_refused(httpd):
    httpd.routes["/"] = Response(headers={"Content-Encoding": "br"}, body=b"?")

    with pytest.raises(Unreachable, match="Content-Encoding br"):
        get(f"{httpd.url}/")


def test_the_longest_body_allowed_is_allowed(httpd):
    httpd.routes["/"], httpd.routes["/z"] = Response(body=b"x" * 1000), gzipped(b"x" * 1000)

    for path in ("/", "/z"):
        answer = use(lambda transport, path=path: transport.get(httpd.url + path, {}, max_bytes=1000))
        assert len(answer.body) == 1000
        with pytest.raises(Unreachable, match="longer than 999 bytes") as caught:
            use(lambda transport, path=path: transport.get(httpd.url + path, {}, max_bytes=999))
        assert not caught.value.may_retry


def test_an_endless_body_is_left_as_soon_as_it_is_too_long(httpd):
    async def pour(_reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(bytes(100_000))
            await writer.drain()

    httpd.routes["/"] = Takeover(pour)

    with pytest.raises(Unreachable, match="longer than"):
        get(f"{httpd.url}/")


def test_a_bomb_is_not_unpacked():
    bomb = gzip.compress(bytes(50_000_000))
    gunzip = Gunzip()

    assert len(gunzip.feed(bomb, 1001)) == 1001
    assert not gunzip.is_complete
    assert len(Gunzip().feed(gzip.compress(b"x" * 600) * 5, 1001)) == 1001


# --- files


def test_a_file_comes_block_by_block_as_it_is(httpd):
    data = os.urandom(3 * BLOCK + 10)
    httpd.routes["/f"] = static(data, etag='"1"')

    for large in (True, False):
        blocks = use(lambda transport, large=large: read(transport, f"{httpd.url}/f", large=large))
        assert b"".join(blocks) == data
        assert max(map(len, blocks)) <= BLOCK
        assert all(type(block) is bytes for block in blocks)


def test_the_rest_of_a_file_can_be_asked_for(httpd):
    httpd.routes["/f"] = static(b"0123456789", etag='"1"')

    async def rest(transport, validator):
        headers = {"range": "bytes=4-", "if-range": validator}
        async with transport.stream(f"{httpd.url}/f", headers, large=True) as stream:
            return stream.status, b"".join([block async for block in stream.chunks])

    assert use(lambda transport: rest(transport, '"1"')) == (206, b"456789")
    assert use(lambda transport: rest(transport, '"2"')) == (200, b"0123456789")


@pytest.mark.parametrize("status", [200, 206])
def test_a_file_that_was_compressed_on_the_way_is_refused(httpd, status):
    """A .tar.gz that a server takes for a compressed .tar: decoded it would be another file."""
    httpd.routes["/f.tar.gz"] = Response(status, {"Content-Encoding": "gzip"}, gzip.compress(b"x"))

    with pytest.raises(Unreachable, match="Content-Encoding gzip") as caught:
        use(lambda transport: read(transport, f"{httpd.url}/f.tar.gz"))

    assert not caught.value.may_retry


def test_a_compressed_error_page_does_not_hide_the_status(httpd):
    httpd.routes["/f"] = Response(503, {"Content-Encoding": "gzip"}, gzip.compress(b"sorry"))

    async def status(transport):
        async with transport.stream(f"{httpd.url}/f", {}, large=True) as stream:
            return stream.status

    assert use(status) == 503


# --- broken connections


@pytest.mark.parametrize("kind", [Cut, Reset])
@pytest.mark.parametrize("after", [None, 0, 1, 300_000, 599_999])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_breaks_off_is_no_answer(httpd, kind: type[Ending], after, chunked):
    httpd.routes["/"] = Response(body=b"x" * 600_000, chunked=chunked, ending=kind(after))

    for ask in (
        lambda transport: transport.get(f"{httpd.url}/", {}, max_bytes=MAX),
        lambda transport: read(transport, f"{httpd.url}/"),
    ):
        with pytest.raises(Unreachable) as caught:
            use(ask)
        assert caught.value.may_retry
        assert caught.value.url == f"{httpd.url}/"


def test_what_came_before_the_break_is_given(httpd):
    """Whoever stores it can ask for the rest; what does not fill a block is lost."""
    httpd.routes["/"] = Response(body=b"x" * 600_000, ending=Cut(BLOCK + 1000))
    got: list[bytes] = []

    async def collect(transport):
        async with transport.stream(f"{httpd.url}/", {}, large=True) as stream:
            async for block in stream.chunks:
                got.append(block)  # noqa: PERF401  # what came before the error is to be kept

    with pytest.raises(Unreachable):
        use(collect)
    assert [len(block) for block in got] == [BLOCK]


@pytest.mark.parametrize("after", [None, 0, 10])
def test_a_server_that_falls_silent_is_left_after_the_idle_timeout(httpd, after):
    httpd.routes["/"] = Response(body=b"x" * 1000, ending=Hang(after))

    for ask in (
        lambda transport: transport.get(f"{httpd.url}/", {}, max_bytes=MAX),
        lambda transport: read(transport, f"{httpd.url}/"),
    ):
        with pytest.raises(Unreachable, match=r"within 0\.3 s") as caught:
            use(ask, HASTY)
        # What `Polite` goes by.
        assert isinstance(caught.value.__cause__, TimeoutError)


def test_a_body_that_keeps_dripping_is_left_after_the_global_timeout(httpd):
    httpd.routes["/"] = Response(body=b"x" * 1000, piece=1, pause=0.05)

    with pytest.raises(Unreachable, match=r"not finished within 0\.4 s"):
        get(f"{httpd.url}/", HttpOptions(AGENT, global_timeout=0.4, allow_http=True))


def test_the_global_timeout_is_for_all_redirects_together(httpd):
    httpd.routes["/a"] = Response(302, {"Location": "/b"}, delay=0.3)
    httpd.routes["/b"] = Response(302, {"Location": "/c"}, delay=0.3)

    with pytest.raises(Unreachable, match=r"/b \(not finished within 0\.4 s"):
        get(f"{httpd.url}/a", HttpOptions(AGENT, global_timeout=0.4, allow_http=True))

    assert httpd.count("/c") == 0


@pytest.mark.parametrize(
    "data",
    [b"220 mail.example.org ESMTP\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", b"\x15\x03"],
)
def test_what_is_not_http_is_no_answer(httpd, data):
    httpd.routes["/"] = Raw(data)

    with pytest.raises(Unreachable):
        get(f"{httpd.url}/")


def test_nobody_listening_is_told_as_such():
    with socket.create_server(("127.0.0.1", 0)) as closing:
        port = closing.getsockname()[1]

    with pytest.raises(Unreachable, match="Connection refused") as caught:
        get(f"http://127.0.0.1:{port}/")

    assert caught.value.hint is None


def test_a_name_without_an_address_is_told_as_such():
    # No resolver asks the network for a label of more than 63 letters.
    name = f"{'a' * 64}.example.org"

    with pytest.raises(Unreachable, match=f"no address for the name of {name}: "):
        get(f"http://{name}/")


def test_a_cancelled_request_leaves_the_transport_usable(httpd):
    httpd.routes["/hang"], httpd.routes["/a"] = Hang(), Response(body=b"hello")

    async def main(transport):
        waiting = asyncio.create_task(transport.get(f"{httpd.url}/hang", {}, max_bytes=MAX))
        while not httpd.count("/hang"):
            await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        return await transport.get(f"{httpd.url}/a", {}, max_bytes=MAX)

    assert use(main).body == b"hello"


def test_a_closed_transport_says_so_and_may_be_closed_twice(httpd):
    async def main(transport):
        await transport.aclose()
        await transport.aclose()
        return await transport.get(f"{httpd.url}/", {}, max_bytes=MAX)

    with pytest.raises(Unreachable, match="transport is closed") as caught:
        use(main)

    assert not caught.value.may_retry


def test_every_exception_of_the_client_is_translated():
    classes = {
        kind
        for kind in vars(foreign).values()
        if inspect.isclass(kind) and issubclass(kind, BaseException) and kind.__module__ == foreign.__name__
    }

    assert len(classes) > 15
    assert classes == set(TRANSLATIONS)


# --- redirects


def test_a_redirect_is_followed_and_the_answer_says_where_it_came_from(httpd):
    httpd.routes["/a"], httpd.routes["/x/b"] = redirect("x/b?c=d#e", 301), redirect("../c", 308)
    httpd.routes["/c"] = Response(body=b"hello")

    answer = get(f"{httpd.url}/a", accept="text/html")

    assert (answer.body, answer.url) == (b"hello", f"{httpd.url}/c")
    assert [seen.target for seen in httpd.requests] == ["/a", "/x/b?c=d", "/c"]
    assert {seen.headers["accept"] for seen in httpd.requests} == {"text/html"}


def test_files_and_heads_follow_redirects_too(httpd):
    httpd.routes["/a"], httpd.routes["/b"] = redirect("/b", 307), Response(body=b"hello")

    assert use(lambda transport: read(transport, f"{httpd.url}/a")) == [b"hello"]
    assert use(lambda transport: transport.head(f"{httpd.url}/a", {})).status == 200
    assert httpd.count("/b", "HEAD") == 1


def test_five_redirects_and_no_more(httpd):
    for n in range(8):
        httpd.routes[f"/{n}"] = redirect(f"/{n + 1}")
    httpd.routes["/8"] = Response(body=b"hello")

    assert get(f"{httpd.url}/3").body == b"hello"
    with pytest.raises(RefusedAddress, match="more than 5 redirects"):
        get(f"{httpd.url}/2")


def test_a_circle_of_redirects_is_refused(httpd):
    httpd.routes["/a"], httpd.routes["/b"] = redirect("/b"), redirect("/a")

    with pytest.raises(RefusedAddress, match="circle"):
        get(f"{httpd.url}/a")

    assert len(httpd.requests) == 2


def test_a_redirect_without_an_address_is_an_answer(httpd):
    httpd.routes["/a"] = Response(302)

    assert get(f"{httpd.url}/a").status == 302


def test_a_redirect_to_plain_http_is_refused_unless_allowed(secure, httpd):
    secure.routes["/down"] = redirect(f"{httpd.url}/a")
    httpd.routes["/a"] = Response(body=b"hello")
    trusting = {"SSL_CERT_FILE": str(secure.ca_pem)}

    with pytest.raises(RefusedAddress, match="plain http") as caught:
        get(f"{secure.url}/down", HttpOptions(AGENT), trusting)

    assert "allow-non-https" in caught.value.hint
    assert not httpd.requests
    assert get(f"{secure.url}/down", PLAIN, trusting).body == b"hello"


def test_authorization_goes_to_no_other_origin(httpd):
    with serve() as other:
        httpd.routes["/here"], httpd.routes["/there"] = redirect("/"), redirect(f"{other.url}/")
        get(f"{httpd.url}/here", authorization="Bearer secret")
        get(f"{httpd.url}/there", authorization="Bearer secret")

        assert [seen.headers.get("authorization") for seen in httpd.requests] == ["Bearer secret"] * 3
        assert [seen.headers.get("authorization") for seen in other.requests] == [None]


def test_credentials_in_an_address_are_sent_to_its_origin_only_and_never_shown(httpd):
    address = httpd.url.replace("//", "//us%40er:pa%3Ass@")

    async def main(transport, other):
        httpd.routes["/away"] = redirect(other.url.replace("//", "//us%40er:pa%3Ass@") + "/")
        answers = [
            await transport.get(url, {}, max_bytes=MAX)
            for url in (f"{address}/a", f"{httpd.url}/b", f"{address}/away")
        ]
        httpd.routes["/c"] = Hang()
        with pytest.raises(Unreachable) as caught:
            await transport.get(f"{address}/c", {}, max_bytes=MAX)
        return [answer.url for answer in answers], str(caught.value)

    with serve() as other:
        urls, message = use(lambda transport: main(transport, other), HASTY)

        assert urls == [f"{httpd.url}/a", f"{httpd.url}/b", f"{other.url}/"]
        assert "pa%3Ass" not in message
        basic = "Basic " + base64.b64encode(b"us@er:pa:ss").decode()
        assert {seen.headers.get("authorization") for seen in httpd.requests} == {basic}
        assert other.requests[0].headers.get("authorization") is None


@pytest.mark.parametrize(
    ("here", "location", "refused"),
    [
        ("https://example.org/", "https://files.example.com/", None),
        ("https://example.org/", "//files.example.com/", None),
        ("https://example.org/", "https://93.184.215.14/", None),
        ("https://example.org/", "http://example.org/", "plain http"),
        ("https://example.org/", "ftp://example.org/", "neither https nor http"),
        ("https://example.org/", "file:///etc/passwd", "neither https nor http"),
        ("https://example.org/", "https://", "not an address"),
        ("https://example.org/", "https://127.0.0.1/", "loopback"),
        ("https://example.org/", "https://127.8.9.10:8080/", "loopback"),
        ("https://example.org/", "https://0x7f.1/", "loopback"),
        ("https://example.org/", "https://2130706433/", "loopback"),
        ("https://example.org/", "https://0.0.0.0/", "loopback"),
        ("https://example.org/", "https://[::1]/", "loopback"),
        ("https://example.org/", "https://[::ffff:127.0.0.1]/", "loopback"),
        ("https://example.org/", "https://LOCALHOST./", "loopback"),
        ("https://example.org/", "https://db.localhost/", "loopback"),
        ("https://example.org/", "https://169.254.169.254/latest/meta-data", "link-local"),
        ("https://example.org/", "https://[fe80::1]/", "link-local"),
        ("https://example.org/", "https://10.1.2.3/", "private"),
        ("https://example.org/", "https://172.16.0.1/", "private"),
        ("https://example.org/", "https://192.168.1.1/", "private"),
        ("https://example.org/", "https://100.64.0.1/", "private"),
        ("https://example.org/", "https://[fd00::1]/", "private"),
        ("https://93.184.215.14/", "https://10.1.2.3/", "private"),
        ("https://10.0.0.1/", "https://10.1.2.3/", None),
        ("https://10.0.0.1/", "https://169.254.169.254/", "link-local"),
        ("https://10.0.0.1/", "https://127.0.0.1/", "loopback"),
        ("https://127.0.0.1/", "https://localhost:8443/", None),
        ("https://localhost/", "https://10.1.2.3/", None),
        ("https://127.0.0.1/", "https://example.org/", None),
    ],
)
def test_nobody_outside_can_send_us_inside(here, location, refused):
    if refused is None:
        assert redirect_target(Url(here), location, allow_http=False).scheme == "https"
    else:
        with pytest.raises(RefusedAddress, match=refused):
            redirect_target(Url(here), location, allow_http=False)


def test_a_name_that_only_looks_like_an_address_is_a_name():
    assert reach_of("127.0.0.1.example.org") is Reach.PUBLIC
    assert reach_of("notlocalhost") is Reach.PUBLIC


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/",
        "/simple/",
        "",
        "https://",
        "http://example.org/",
        "https://a b/",
        "https://u:secret@x:port/",
    ],
)
def test_an_address_that_must_not_be_asked_is_refused(url):
    with pytest.raises(RefusedAddress) as caught:
        parse_address(url, allow_http=False)

    assert "secret" not in str(caught.value)
    assert not caught.value.may_retry


def test_a_refused_address_is_not_asked(httpd):
    with pytest.raises(RefusedAddress):
        get(f"{httpd.url}/", HttpOptions(AGENT))

    assert httpd.connections == 0


# --- certificates


def test_a_certificate_of_an_unknown_authority_is_refused(secure):
    with pytest.raises(Unreachable, match=r"certificate is not accepted: .*UnknownIssuer") as caught:
        get(f"{secure.url}/")

    assert "SSL_CERT_FILE" in caught.value.hint


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_an_authority_named_in_the_environment_is_accepted(secure, variable, host):
    trusting = {variable: str(secure.ca_pem)}

    assert get(f"https://{host}:{secure.port}/", environment=trusting).body == b"hello"
    assert use(lambda transport: read(transport, f"{secure.url}/"), environment=trusting) == [b"hello"]


def test_directories_of_authorities_are_accepted(secure, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    shutil.copy(secure.ca_pem, tmp_path / "one" / "company.crt")
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "two" / "other.pem"))
    (tmp_path / "two" / "notes.txt").write_text("nothing for a machine")
    both = f"{tmp_path / 'two'}{os.pathsep}{tmp_path / 'one'}"

    assert get(f"{secure.url}/", environment={"SSL_CERT_DIR": both}).body == b"hello"
    assert get(f"{secure.url}/", environment={"REQUESTS_CA_BUNDLE": str(tmp_path / "one")}).body == b"hello"


def test_the_first_variable_that_is_set_counts(secure, tmp_path):
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))

    def trust(**variables: object) -> None:
        get(f"{secure.url}/", environment={name: str(value) for name, value in variables.items()})

    trust(SSL_CERT_FILE=secure.ca_pem, CURL_CA_BUNDLE="/nowhere")
    trust(SSL_CERT_FILE="", REQUESTS_CA_BUNDLE=secure.ca_pem, CURL_CA_BUNDLE=other)
    with pytest.raises(Unreachable, match="certificate"):
        trust(SSL_CERT_FILE=other, REQUESTS_CA_BUNDLE=secure.ca_pem)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "cannot read .* (No such file or directory)"),
        ("", "holds no certificate"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "not all certificates"),
    ],
)
def test_an_authority_that_cannot_be_read_stops_us_before_any_request(tmp_path, content, problem):
    place = tmp_path / "ca.pem"
    if content is not None:
        place.write_text(content)

    with pytest.raises(ConfigError) as caught:
        get("https://localhost:1/", environment={"REQUESTS_CA_BUNDLE": str(place)})

    assert str(caught.value).startswith("REQUESTS_CA_BUNDLE: ")
    assert str(place) in str(caught.value)
    assert problem.partition(" .*")[0] in str(caught.value)


def test_without_variables_no_authority_is_added():
    assert read_roots({"PATH": "/bin"}) is None


# --- proxies


@pytest.mark.parametrize(
    ("environment", "http", "https"),
    [
        ({}, None, None),
        ({"https_proxy": "http://a"}, None, "http://a"),
        ({"HTTPS_PROXY": "http://A", "https_proxy": "http://a"}, None, "http://a"),
        ({"HTTPS_PROXY": "http://A"}, None, "http://A"),
        ({"http_proxy": "http://a"}, "http://a", None),
        # A CGI program gets this one from whoever asks.
        ({"HTTP_PROXY": "http://a"}, None, None),
        ({"all_proxy": "socks5h://a:1080", "https_proxy": "http://b"}, "socks5h://a:1080", "http://b"),
        ({"ALL_PROXY": "a:3128"}, "http://a:3128", "http://a:3128"),
        ({"https_proxy": "", "ALL_PROXY": "http://a"}, "http://a", "http://a"),
    ],
)
def test_the_environment_chooses_the_proxy(environment, http, https):
    assert choose_proxies(None, environment) == Proxies(http, https)
    assert choose_proxies("http://set", environment) == Proxies("http://set", "http://set")


@pytest.mark.parametrize(
    ("no_proxy", "bypass"),
    [
        ("example.org, .example.com,,*.example.net", "example.org,.example.com,.example.net"),
        ("10.0.0.0/8,[::1]:443,2001:db8::1,localhost:8080", "10.0.0.0/8,::1,2001:db8::1,localhost"),
    ],
)
def test_no_proxy_is_read_as_others_write_it(no_proxy, bypass):
    for name in ("no_proxy", "NO_PROXY"):
        assert choose_proxies("http://set", {name: no_proxy}).bypass == bypass


def test_no_proxy_star_means_every_host():
    assert choose_proxies("http://set", {"no_proxy": "example.org, *"}) == Proxies()


@pytest.mark.parametrize("proxy", ["socks4://user:secret@a", "https://user:secret@", "ftp://user:secret@a"])
def test_a_proxy_that_cannot_be_used_is_told_without_its_password(proxy):
    for setting, environment, key in ((proxy, {}, "proxy"), (None, {"HTTPS_PROXY": proxy}, "HTTPS_PROXY")):
        with pytest.raises(ConfigError) as caught:
            choose_proxies(setting, environment)
        assert str(caught.value).startswith(f"{key}: ")
        assert "secret" not in str(caught.value)


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
    finally:
        writer.close()


async def tunnel(port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Connect two streams to a loopback port, both ways, until one side ends."""
    there, back = await asyncio.open_connection("127.0.0.1", port)
    await asyncio.gather(pump(reader, back), pump(there, writer))


async def connect_proxy(request: Request) -> Action:
    """A proxy: tunnels what says CONNECT, answers the rest itself."""
    if request.method != "CONNECT":
        return Response(body=b"through the proxy")

    async def connect(reader, writer):
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        await tunnel(int(request.target.rpartition(":")[2]), reader, writer)

    return Takeover(connect)


def test_https_goes_through_the_proxy_and_stays_encrypted(secure):
    trusting = {"SSL_CERT_FILE": str(secure.ca_pem)}
    with serve(connect_proxy) as proxy:
        address = proxy.url.replace("//", "//us%40er:pa%3Ass@")
        assert get(f"{secure.url}/", HttpOptions(AGENT, proxy=address), trusting).body == b"hello"
        assert get(f"{secure.url}/", environment={**trusting, "https_proxy": address}).body == b"hello"

        asked = [(seen.method, seen.target) for seen in proxy.requests]
        assert asked == [("CONNECT", f"localhost:{secure.port}")] * 2
        basic = "Basic " + base64.b64encode(b"us@er:pa:ss").decode()
        assert {seen.headers["proxy-authorization"] for seen in proxy.requests} == {basic}


def test_a_certificate_is_good_for_its_own_names_only(secure):
    trusting = {"SSL_CERT_FILE": str(secure.ca_pem)}

    with (
        serve(connect_proxy) as proxy,
        pytest.raises(Unreachable, match=r"not accepted: .*not valid for name"),
    ):
        get(f"https://other.example.org:{secure.port}/", HttpOptions(AGENT, proxy=proxy.url), trusting)


@pytest.mark.parametrize(
    ("host", "no_proxy", "is_direct"),
    [
        ("127.0.0.1", "", False),
        ("127.0.0.1", "*", True),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "10.0.0.0/8, 127.0.0.0/8", True),
        ("127.0.0.1", "10.0.0.0/8,localhost", False),
        ("localhost", "localhost:80", True),
        ("localhost", ".localhost", True),
        ("localhost", "host", False),
        ("localhost", "LOCALHOST", True),
    ],
)
def test_no_proxy_names_the_hosts_that_are_asked_directly(httpd, host, no_proxy, is_direct):
    httpd.routes["/"] = Response(body=b"directly")
    expected = b"directly" if is_direct else b"through the proxy"
    with serve(connect_proxy) as proxy:
        url = f"http://{host}:{httpd.port}/"
        set_explicitly = HttpOptions(AGENT, proxy=proxy.url, allow_http=True)
        assert get(url, set_explicitly, {"NO_PROXY": no_proxy}).body == expected
        assert get(url, environment={"http_proxy": proxy.url, "no_proxy": no_proxy}).body == expected


def test_a_proxy_that_wants_credentials_is_told_without_showing_any(secure):
    async def ask_who_is_there(_request):
        return Response(407)

    with (
        serve(ask_who_is_there) as proxy,
        pytest.raises(Unreachable, match="proxy authorization required") as caught,
    ):
        get(f"{secure.url}/", HttpOptions(AGENT, proxy=proxy.url.replace("//", "//user:secret@")))

    assert "secret" not in str(caught.value)
    assert "`proxy`" in caught.value.hint


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_socks_proxies_work_with_credentials(secure, scheme):
    said: list[bytes] = []

    ended = asyncio.Event()

    async def socks(reader, writer):
        """RFC 1928 and RFC 1929, the client's side taken on trust."""
        _version, methods = await reader.readexactly(2)
        await reader.readexactly(methods)
        writer.write(b"\x05\x02")
        for _ in range(2):
            size = (await reader.readexactly(2))[1] if not said else (await reader.readexactly(1))[0]
            said.append(await reader.readexactly(size))
        writer.write(b"\x01\x00")
        kind = (await reader.readexactly(4))[3]
        size = 4 if kind == 1 else (await reader.readexactly(1))[0]
        said.append(await reader.readexactly(size))
        port = int.from_bytes(await reader.readexactly(2))
        writer.write(b"\x05\x00\x00\x01" + bytes(6))
        await tunnel(port, reader, writer)
        ended.set()

    async def main():
        server = await asyncio.start_server(socks, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            options = HttpOptions(AGENT, proxy=f"{scheme}://user:pass@127.0.0.1:{port}")
            async with open_http(options, {"SSL_CERT_FILE": str(secure.ca_pem)}) as transport:
                answer = await transport.get(f"{secure.url}/", {}, max_bytes=MAX)
            await asyncio.wait_for(ended.wait(), 10)
        return answer.body

    assert asyncio.run(main()) == b"hello"
    assert said[:2] == [b"user", b"pass"]
    # The h leaves the name to the proxy.
    assert said[2] == (b"localhost" if scheme == "socks5h" else bytes([127, 0, 0, 1]))


# --- HTTP/2

_NGINX = """
{user}
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
    uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
    server {{
        listen 127.0.0.1:{port} ssl http2;
        ssl_certificate {folder}/server.pem;
        ssl_certificate_key {folder}/server.pem;
        root {folder}/www;
    }}
}}
"""


@pytest.fixture
def http2(tmp_path) -> Iterator[tuple[str, Path]]:
    """An nginx that speaks HTTP/2: its address, and the authority to trust."""
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed, so HTTP/2 is NOT tested (Debian: apt-get install nginx)")
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "f").write_bytes(b"x" * 600_000)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(
        str(tmp_path / "server.pem")
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        user = "user root;" if os.geteuid() == 0 else ""
        config = tmp_path / "nginx.conf"
        config.write_text(_NGINX.format(user=user, folder=tmp_path, port=port))
        # The socket is inherited: no port is guessed, and the first request waits in it.
        nginx = subprocess.Popen(
            [program, "-c", str(config), "-p", str(tmp_path), "-e", str(tmp_path / "error.log")],
            env={**os.environ, "NGINX": f"{listener.fileno()};"},
            pass_fds=[listener.fileno()],
            stderr=subprocess.DEVNULL,
        )
    try:
        yield f"https://localhost:{port}", tmp_path / "ca.pem"
    finally:
        nginx.terminate()
        nginx.wait(10)


def test_http2_is_used_for_all_but_large_files(http2):
    url, ca_pem = http2

    async def versions(transport):
        async with transport.stream(f"{url}/f", {}, large=False) as small:
            assert sum([len(block) async for block in small.chunks]) == 600_000
        async with transport.stream(f"{url}/f", {}, large=True) as large:
            assert sum([len(block) async for block in large.chunks]) == 600_000
        page = await transport.get(f"{url}/f", {}, max_bytes=MAX)
        head = await transport.head(f"{url}/f", {})
        return [answer.http_version for answer in (small, large, page, head)]

    said = use(versions, environment={"SSL_CERT_FILE": str(ca_pem)})

    assert said == ["HTTP/2.0", "HTTP/1.1", "HTTP/2.0", "HTTP/2.0"]


@pytest.mark.parametrize(
    ("here", "target", "refused"),
    [
        (["93.184.216.34"], ["93.184.216.35"], False),
        (["93.184.216.34"], ["127.0.0.1"], True),
        (["93.184.216.34"], ["93.184.216.35", "10.0.0.1"], True),
        (["93.184.216.34"], ["169.254.169.254"], True),
        (["93.184.216.34"], ["::1"], True),
        (["93.184.216.34"], ["::ffff:10.0.0.1"], True),
        (["93.184.216.34"], ["fe80::1"], True),
        (["93.184.216.34"], [], False),
        (["10.0.0.1"], ["10.0.0.2"], False),
        (["10.0.0.1"], ["127.0.0.1"], True),
        (["10.0.0.1"], ["169.254.169.254"], True),
        (["127.0.0.1"], ["10.0.0.1"], False),
        ([], ["10.0.0.1"], True),
    ],
)
def test_a_redirect_to_a_name_is_judged_by_the_addresses_it_stands_for(here, target, refused):
    places = {"index.example.org": here, "inside.example.org": target}

    async def resolve(host):
        return places[host]

    async def follow():
        await refuse_inside(Url("https://index.example.org/"), Url("https://inside.example.org/"), resolve)

    if refused:
        with pytest.raises(RefusedAddress, match=r"inside\.example\.org"):
            asyncio.run(follow())
    else:
        asyncio.run(follow())


def test_names_are_resolved_by_the_system():
    assert set(asyncio.run(resolve("localhost"))) <= {"127.0.0.1", "::1"}
    assert asyncio.run(resolve("localhost"))
    assert asyncio.run(resolve("[::1]")) == ["::1"]
    assert asyncio.run(resolve("no-such-host.invalid")) == ()


def test_a_body_of_very_many_compressed_parts_is_refused_before_it_costs_much():
    member = gzip.compress(b"")
    gunzip = Gunzip()
    with pytest.raises(zlib.error, match="more than 1000 members"):
        gunzip.feed(member * 10_000, 10)
    parts = [gzip.compress(b"x" * n) for n in range(1000)]
    assert Gunzip().feed(b"".join(parts), 10**6) == b"x" * sum(range(1000))
