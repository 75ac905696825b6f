"""`frumious serve`, the real program over real HTTP (conformance 2-10, 42-71)."""

import contextlib
import gzip
import hashlib
import http.client
import json
import os
import re
import signal
import socket
import ssl
import threading
import time
from urllib.parse import unquote

import pytest
import trustme

from frumious.pages.formats import HTML_TYPE as H
from frumious.pages.formats import JSON_TYPE as J
from frumious.pages.formats import TEXT_HTML as T
from support.installers import INSTALLERS, isolated
from support.program import run
from support.serving import serving, write_config
from support.tree import SERIAL, build_small_tree

ASKED = {"Accept": f"{J}, {H}; q=0.1, {T}; q=0.01", "Accept_Encoding": "gzip, zstd"}
WHEEL = "snark-1.0-py3-none-any.whl"


@pytest.fixture(scope="module")
def server(tree, tmp_path_factory):
    config = write_config(tmp_path_factory.mktemp("serve") / "frumious.conf", tree.web.parent)
    with serving(config, workers=2) as running:
        yield running


def raw(server, request):
    """Send bytes, and return all that comes back."""
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        connection.settimeout(10)
        connection.sendall(request)
        parts = []
        with contextlib.suppress(ConnectionResetError):
            while part := connection.recv(65536):
                parts.append(part)
        return b"".join(parts)


def test_a_page_over_the_wire(server, tree):
    answer = server.ask("/simple/jubjub-bird/", **ASKED)
    plain = server.ask("/simple/jubjub-bird/", Accept=J)

    assert (answer.status, answer.headers["content-type"], answer.headers["content-encoding"]) == (
        200,
        J,
        "zstd",
    )
    assert plain.body == (tree.web / "simple/jubjub-bird/index.v1_json").read_bytes()
    assert plain.headers["x-pypi-last-serial"] == str(SERIAL)
    assert "date" in plain.headers
    assert plain.headers["server"].startswith("frumious/")
    assert server.ask("/simple/jubjub-bird/", If_None_Match=plain.headers["etag"], Accept=J).status == 304


@pytest.mark.parametrize(
    "target",
    [
        "/simple/", "/simple/snark/", "/simple", "/simple/nope/", "/last-modified", "/health", "/nowhere", "{wheel}",
        "{wheel}.metadata", "/packages/source/s/snark/snark-1.0-py3-none-any.whl",
    ],
)  # fmt: skip
@pytest.mark.parametrize("extra", [{}, {"Range": "bytes=0-5"}, {"Accept_Encoding": "gzip"}])
def test_head_says_what_get_says(server, tree, target, extra):
    """Conformance 8."""
    target = target.format(wheel=tree.file(WHEEL).path)
    got, head = server.ask(target, Accept=J, **extra), server.ask(target, "HEAD", Accept=J, **extra)

    assert head.body == b""
    assert head.status == got.status
    assert {**head.headers, "date": ""} == {**got.headers, "date": ""}
    assert len(got.body) == int(got.headers["content-length"])


def test_every_header_is_there_once(server, tree):
    for target in ("/simple/", "/simple/snark/", "/health", "/nowhere", tree.file(WHEEL).path):
        names = [name.lower() for name, _ in server.ask(target).raw]
        assert len(names) == len(set(names)), target


def test_files_under_every_spelling(server, tree):
    """Conformance 69, 71."""
    for file in tree.files:
        spellings = {
            file.path,
            file.path.replace("+", "%2B").replace("!", "%21"),
            file.path + "?x=1",
            file.path + "#x",
        }
        if file.path.isascii():
            spellings.add(file.path.replace("~", "%7e").replace("-", "%2D"))
        for target in spellings:
            answer = server.ask(target)
            assert answer.status == 200, target
            assert hashlib.sha256(answer.body).hexdigest() == file.sha256
    assert unquote(tree.files[-1].path) != tree.files[-1].path, "one of them needs it"


@pytest.mark.parametrize(
    "target",
    [
        "/packages/%2e%2e/%2e%2e/f.conf", "/packages/..%2f..%2fstatus", "//etc/passwd", "/%2e%2e/.lock", "/packages/%00",
        "/packages/%5c..%5c", "/simple/%2e%2e/last-modified", "/simple/%0a/", "/simple/snark%00/", "/packages/%ff%fe",
        "/simple/%ef%bc%8e%ef%bc%8e/",
    ],
)  # fmt: skip
def test_nothing_outside_the_tree(server, target):
    assert server.ask(target).status == 404


@pytest.mark.parametrize(
    ("request_bytes", "statuses"),
    [
        (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", {414, 431}),
        (b"GET /simple/ HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 500_000 + b"\r\n\r\n", {431}),
        (b"GET /simple/ HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 500 + b"\r\n", {431}),
        (b"nonsense\r\n\r\n", {400}),
        (b"GET /simple /x HTTP/1.1\r\n\r\n", {400}),
        (b"GET simple/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", {400}),
        (b"\x16\x03\x01\x02\x00\x01\x00", {400}),
        (b"BREW /simple/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", {405}),
        (b"POST /simple/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc", {405}),
        (b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", {200, 204, 400}),
        (
            b"GET http://elsewhere.example.org/simple/snark HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            {301},
        ),
        (b"GET /health HTTP/1.0\r\n\r\n", {200}),
    ],
)
def test_odd_requests_get_an_answer(server, request_bytes, statuses):
    answer = raw(server, request_bytes)

    assert int(re.match(rb"HTTP/1\.[01] (\d{3})", answer)[1]) in statuses, answer[:100]
    assert server.ask("/health").status == 200


def test_a_redirect_does_not_name_a_host_that_a_client_made_up(server):
    """Conformance 56: caches keep it for ever, so it must not lead anybody elsewhere."""
    answer = raw(server, b"GET /simple/Snark HTTP/1.1\r\nHost: evil.example.org\r\nConnection: close\r\n\r\n")

    assert b"location: /simple/snark/\r\n" in answer


def test_a_list_too_large_to_be_kept_arrives_whole(tmp_path):
    tree = build_small_tree(tmp_path / "mirror")
    projects = [{"_last-serial": number, "name": f"project-{number}"} for number in range(150_000)]
    body = json.dumps({"meta": {"_last-serial": 7, "api-version": "1.4"}, "projects": projects}).encode()
    (tree.web / "simple/index.v1_json").write_bytes(body)
    assert len(body) > 4 << 20

    with serving(write_config(tmp_path / "f.conf", tree.web.parent)) as server:
        plain, zipped = (
            server.ask("/simple/", Accept=J),
            server.ask("/simple/", Accept=J, Accept_Encoding="gzip"),
        )
        head = server.ask("/simple/", "HEAD", Accept=J, Accept_Encoding="gzip")

    assert plain.body == gzip.decompress(zipped.body) == body
    assert len(zipped.body) < len(body) / 4
    assert head.headers["content-length"] == str(len(zipped.body))
    assert plain.headers["x-pypi-last-serial"] == "7"


def test_below_a_path_behind_a_proxy(tree, tmp_path):
    config = write_config(tmp_path / "f.conf", tree.web.parent, "base-url = https://example.org/mirror/")
    with serving(config) as server:
        for prefix in ("/mirror", ""):  # whether or not the proxy takes it away
            assert server.ask(f"{prefix}/simple/snark/").status == 200
            assert server.ask(f"{prefix}/simple/snark").headers["location"] == "/mirror/simple/snark/"
        assert server.ask("/mirrors/simple/snark/").status == 404
        assert "--index-url https://example.org/mirror/simple/" in server.log.read_text()


def test_https(tree, tmp_path):
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    certificate.private_key_pem.write_to_path(key)
    config = write_config(tmp_path / "f.conf", tree.web.parent, f"tls-certificate = {chain}\ntls-key = {key}")
    context = ssl.create_default_context()
    authority.configure_trust(context)

    with serving(config) as server:
        assert server.url.startswith("https://")
        connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=context, timeout=10)
        with contextlib.closing(connection):
            connection.request("GET", "/simple/snark/")
            assert connection.getresponse().status == 200


# --- readers while a sync writes ---------------------------------------------------------------------------------------


def test_no_reader_sees_a_half_state_while_pages_are_rewritten(tmp_path):
    """Headers and body are of one page, in every form and coding, however fast it is replaced (50, 52, 96)."""
    tree = build_small_tree(tmp_path / "mirror")
    folder = tree.web / "simple/snark"

    def write(serial):
        filler = [{"filename": f"snark-{number}.zip", "serial": serial} for number in range(serial % 40 * 25)]
        body = json.dumps(
            {"files": filler, "meta": {"_last-serial": serial, "api-version": "1.4"}, "name": "snark"}
        )
        new = folder / "new"
        new.write_text(body)
        new.rename(folder / "index.v1_json")

    write(1)
    stop, problems, seen = threading.Event(), [], set()

    def read(server, coding):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        while not stop.is_set():
            connection.request("GET", "/simple/snark/", headers={"Accept": J, "Accept-Encoding": coding})
            answer = connection.getresponse()
            body = answer.read()
            if answer.headers["Content-Encoding"] == "gzip":
                body = gzip.decompress(body)
            page = json.loads(body)
            serial = page["meta"]["_last-serial"]
            seen.add(serial)
            if answer.status != 200 or str(serial) != answer.headers["X-PyPI-Last-Serial"]:
                problems.append((answer.status, serial, answer.headers["X-PyPI-Last-Serial"]))
            problems.extend(file for file in page["files"] if file["serial"] != serial)
        connection.close()

    with serving(write_config(tmp_path / "f.conf", tree.web.parent), workers=2) as server:
        readers = [
            threading.Thread(target=read, args=(server, coding)) for coding in ("gzip", "identity") * 2
        ]
        for reader in readers:
            reader.start()
        for serial in range(2, 600):
            write(serial)
        stop.set()
        for reader in readers:
            reader.join()

    assert not problems
    assert len(seen) > 10, "the readers did read while it was written"


# --- beginning and end -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_it_is_told_to(tree, tmp_path, number):
    """Also before all of its workers are up."""
    with serving(write_config(tmp_path / "f.conf", tree.web.parent), workers=4) as server:
        assert server.ask("/health").status == 200
        assert server.stop(number) == 0
        assert "stopped" in server.log.read_text()
        assert "Traceback" not in server.log.read_text()


def test_workers_are_made_anew_while_it_serves(tree, tmp_path):
    with serving(write_config(tmp_path / "f.conf", tree.web.parent)) as server:
        worker = server.children()
        server.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 20
        while not server.children() - worker or server.children() & worker:
            assert server.ask("/health").status == 200
            assert time.monotonic() < deadline, "they were never replaced"
        assert server.ask("/simple/snark/").status == 200


def test_a_worker_that_dies_is_replaced(tree, tmp_path):
    with serving(write_config(tmp_path / "f.conf", tree.web.parent), workers=2) as server:
        before = server.children()
        os.kill(int(min(before)), signal.SIGKILL)
        deadline = time.monotonic() + 20
        while not server.children() - before:
            assert time.monotonic() < deadline, "it was never replaced"
            with contextlib.suppress(OSError):
                server.ask("/health")
        assert server.ask("/simple/snark/").status == 200


def test_a_port_that_is_taken(server, tree, tmp_path):
    config = write_config(tmp_path / "f.conf", tree.web.parent)

    done = run("-c", config, "serve", "--port", server.port)

    assert done.returncode == 1
    assert f"cannot listen at 127.0.0.1, port {server.port}: Address already in use" in done.stderr
    assert "--port" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--port", "70000"], "no port from 0 to 65535"),
        (["--port", "x"], "no port from 0 to 65535"),
        (["--workers", "0"], "no number of processes"),
        (["--host", "192.0.2.1"], "cannot listen at 192.0.2.1"),
        (["--host", "no such host.invalid"], "no address, no name"),
        (["--host", "unix:run/frumious.sock"], "the path of a socket is absolute"),
    ],
)
def test_bad_arguments_are_named(tree, tmp_path, arguments, said):
    done = run("-c", write_config(tmp_path / "f.conf", tree.web.parent), "serve", "--port", "0", *arguments)

    assert done.returncode in {1, 2}
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("server", "said"),
    [
        ("port = nonsense", "[server] port"),
        ("host = http://x", "[server] host"),
        ("tls-certificate = {file}", "without `tls-key`"),
        ("tls-certificate = {file}\ntls-key = {file}", "cannot be used together"),
        ("tls-key = /nowhere/at/all", "[server] tls-key"),
        ("prot = 1", "prot"),
    ],
)
def test_bad_settings_are_named(tree, tmp_path, server, said):
    junk = tmp_path / "junk.pem"
    junk.write_text("junk")
    config = write_config(tmp_path / "f.conf", tree.web.parent, server.format(file=junk))

    done = (
        run("-c", config, "serve", "--port", "0", timeout=20)
        if "prot" not in server
        else run("-c", config, "config", "check")
    )

    assert said in done.stderr + done.stdout
    assert done.returncode == (0 if "prot" in server else 2)


def test_no_mirror_to_serve(tmp_path):
    done = run("-c", write_config(tmp_path / "f.conf", tmp_path / "nothing"), "serve")

    assert done.returncode == 1
    assert "there is no mirror in" in done.stderr
    assert "frumious mirror" in done.stderr


@pytest.mark.parametrize("installer", sorted(INSTALLERS))
def test_installers_install_from_it(server, tmp_path, installer):
    INSTALLERS[installer](tmp_path / "target", f"{server.url}/simple/", isolated(tmp_path))

    assert {path.name for path in (tmp_path / "target").glob("*.dist-info")} == {
        "snark-1.0.dist-info", "boojum-1.2+crew.1.dist-info",
    }  # fmt: skip
