"""contrib/nginx/frumious-hybrid.conf: files by nginx, all else by `frumious serve`, pages from the tree while that is down."""

import contextlib
import gzip
import hashlib
import json
import re
import socket
from xmlrpc.client import Fault, ServerProxy

import pytest

from support.installers import INSTALLERS, imported, isolated
from support.nginx import Nginx, run_nginx
from support.serving import free_port, serving, write_config
from support.tree import SERIAL, build_small_tree

CONFIG = "frumious-hybrid.conf"
J = "application/vnd.pypi.simple.v1+json"
H = "application/vnd.pypi.simple.v1+html"
T = "text/html"
WHEEL = "snark-1.0-py3-none-any.whl"
FROM_HERE = "trusted-proxies = 127.0.0.1"


def in_front_of(port, *, private=False):
    """Change the shipped file as its comments say."""

    def edit(text):
        text, ports = re.subn(r"server 127\.0\.0\.1:8080;", f"server 127.0.0.1:{port};", text)
        assert ports == 1
        if private:
            text, doors = re.subn(r"(?m)^    # (auth_request /frumious-access; +# PRIVATE)", r"    \1", text)
            text, words = re.subn(r"(set \$frumious_for) public;( +# PRIVATE)", r"\1 private;\2", text)
            assert (doors, words) == (1, 1)
        return text

    return edit


@contextlib.contextmanager
def nobody_at(port):
    """Keep a port, so that whoever connects is refused."""
    with socket.socket() as holding:
        holding.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holding.bind(("127.0.0.1", port))
        yield


@pytest.fixture(scope="module")
def server(tree, tmp_path_factory):
    config = write_config(tmp_path_factory.mktemp("serve") / "frumious.conf", tree.web.parent, FROM_HERE)
    with serving(config) as running:
        yield running


@pytest.fixture(scope="module")
def hybrid(tree, server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hybrid")
    with run_nginx(CONFIG, tree.web, folder, edit=in_front_of(server.port)) as running:
        yield running


@pytest.fixture(scope="module")
def headless(tree, tmp_path_factory):
    """Nobody is behind it."""
    port = free_port()
    folder = tmp_path_factory.mktemp("headless")
    with nobody_at(port), run_nginx(CONFIG, tree.web, folder, edit=in_front_of(port)) as running:
        yield running


# --- in front of a server -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        "/simple/", "/simple/jubjub-bird/", "/simple/Jubjub_Bird?a=b", "/simple", "/simple/unknown/",
        "/simple/snark/index.v1_json", "/simple/?format=text/html", "/simple/..%2fstatus", "/pypi/snark/json",
        "/pypi/snark/1.0/json", "/json/snark", "/packages/source/s/snark/snark-1.0-py3-none-any.whl", "/stats/",
        "/rss/updates.xml", "/integrity/snark/1.0/x/provenance", "/health", "/ready?pages", "/robots.txt", "/nowhere",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Accept": J, "Accept-Encoding": "gzip"},
        {"Accept": f"{J};q=0.1, text/html;q=0.5", "Accept-Encoding": "zstd"},
        {"Accept": "image/png"},
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE"])
def test_what_the_server_says_passes_unchanged(hybrid, server, method, target, headers):
    """Conformance 2-10 and 42-57 hold behind nginx because they hold before it."""
    headers = {"Host": "pypi.example.org"} | headers
    direct = Nginx(server.port, hybrid.folder).ask(target, headers, method=method)
    answer = hybrid.ask(target, headers, method=method)

    said = {name.lower(): value for name, value in direct.headers.items()}
    told = {name.lower(): value for name, value in answer.headers.items()}
    # Where no length is told, nginx sends the body in pieces; for the client it is the same.
    told.pop("transfer-encoding", None)
    said.pop("transfer-encoding", None)
    assert (answer.status, told) == (direct.status, said)
    assert answer.body == direct.body


def test_calls_go_through(hybrid):
    """This tree has no catalog; what says so is the server behind (conformance 86, 87)."""
    with ServerProxy(f"{hybrid.url}/pypi") as proxy:
        with pytest.raises(Fault) as unknown:
            proxy.nothing_of_the_kind()
        assert unknown.value.faultCode == -32601
    answer = hybrid.ask("/RPC2", method="POST", body=b"x" * 200_000)
    assert answer.status == 413


def test_the_server_behind_knows_under_which_address_it_is_asked(hybrid):
    answer = hybrid.ask("/pypi/snark/1.0/json", {"Host": "pypi.example.org"})

    (file,) = json.loads(answer.body)["urls"]
    assert file["url"].startswith("http://pypi.example.org/packages/")


def test_numbers_are_for_this_machine_alone(hybrid):
    """The server behind would let in everybody who comes through nginx, were its proxies not named."""
    assert hybrid.ask("/metrics").status == 200
    with socket.create_connection(
        ("127.0.0.1", hybrid.port), 10, source_address=("127.0.0.2", 0)
    ) as connection:
        connection.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 403 ")


# --- files, whoever is behind -------------------------------------------------------------------------------------------


@pytest.fixture(params=["hybrid", "headless"])
def either(request):
    return request.getfixturevalue(request.param)


def test_every_file_is_sent_by_nginx(either, tree):
    """Conformance 59, 60, 61, 66 and 67."""
    for file in tree.files:
        for body, path in [(file.body, file.path), (file.metadata, f"{file.path}.metadata")]:
            answer = either.ask(path, {"Accept-Encoding": "gzip"})
            assert (answer.status, answer.body) == (
                (404, b"404 Not Found\n") if body is None else (200, body)
            )
            if body is not None:
                assert answer["Content-Encoding"] is None
                assert answer["Accept-Ranges"] == "bytes"
                assert answer["Content-Type"] == "application/octet-stream"
                assert answer["Cache-Control"] == "max-age=365000000, immutable, public"
                assert answer["Access-Control-Allow-Origin"] == "*"


def test_parts_of_files(either, tree):
    """Conformance 62-65."""
    file = tree.file(WHEEL)
    etag = either.ask(file.path, method="HEAD")["ETag"]

    assert either.ask(file.path, {"Range": "bytes=10-99"}).body == file.body[10:100]
    assert either.ask(file.path, {"Range": "bytes=-20"}).body == file.body[-20:]
    assert either.ask(file.path, {"Range": f"bytes={len(file.body)}-"}).status == 416
    assert either.ask(file.path, {"Range": "bytes=5-", "If-Range": etag}).status == 206
    assert either.ask(file.path, {"Range": "bytes=5-", "If-Range": '"other"'}).status == 200
    assert either.ask(file.path, {"If-None-Match": etag}).status == 304


def test_who_asks_for_files_in_other_ways(either, tree):
    """Conformance 54, 57, 69 and 71."""
    path = tree.file(WHEEL).path
    folder, _, filename = path.rpartition("/")

    assert (either.ask(path, method="POST", body=b"x").status, either.ask(path, method="PUT")["Allow"]) == (
        405,
        "GET, HEAD, OPTIONS",
    )
    preflight = either.ask(path, {"Origin": "https://app.example.org"}, method="OPTIONS")
    assert (preflight.status, preflight["Access-Control-Allow-Methods"]) == (204, "GET, HEAD, OPTIONS")
    assert "Range" in (preflight["Access-Control-Allow-Headers"] or "")
    assert either.ask(f"{path}?x=1#y").status == 200
    assert either.ask(f"{folder}/x/../{filename}").status == 404
    odd = tree.file("jubjub bird-1!0~(né)+x@y,z.egg")
    assert either.ask(odd.path).body == either.ask(odd.path.replace("+", "%2B")).body == odd.body


@pytest.mark.parametrize("name", ["last-modified", "local.json", "local.db.serial"])
def test_what_is_static_is_sent_by_nginx(either, tree, name):
    """Conformance 90 and 92."""
    answer = either.ask(f"/{name}")

    assert (answer.status, answer.body) == (200, (tree.web / name).read_bytes())
    assert answer["Content-Type"] == ("application/json" if name.endswith("json") else "text/plain")


# --- while nobody is behind ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, T),
        ("*/*", T),
        ("text/html", T),
        (f"{J}, {H}; q=0.1, text/html; q=0.01", J),  # pip, pdm
        (f"{J}, {H};q=0.2, text/html;q=0.01", J),  # uv
        (f"{H};q=0.2, {J}, text/html;q=0.01", J),  # devpi
        (f"{J}, */*;q=0.1", J),  # poetry
        ("application/vnd.pypi.simple.latest+json", J),
        (f"{J};q=0, */*", T),
        (f"{J} ; q=0.00, text/html", T),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", T),
    ],
)
@pytest.mark.parametrize("page", ["/simple/", "/simple/jubjub-bird/"])
def test_installers_get_their_pages_from_the_tree(headless, tree, page, accept, expected):
    """Conformance 43, for those who ask in earnest."""
    answer = headless.ask(page, {} if accept is None else {"Accept": accept})
    stored = "index.v1_json" if expected == J else "index.html"

    assert (answer.status, answer["Content-Type"]) == (200, expected)
    assert answer.body == (tree.web / page[1:] / stored).read_bytes()
    assert answer["Vary"] == "Accept, Accept-Encoding"
    assert answer["Cache-Control"] == "max-age=60, public"
    packed = headless.ask(page, {"Accept": accept or "*/*", "Accept-Encoding": "gzip"})
    if packed["Content-Encoding"]:
        assert gzip.decompress(packed.body) == answer.body
    again = {"Accept": accept or "*/*", "If-None-Match": answer["ETag"]}
    assert headless.ask(page, again).status == 304


def test_what_the_tree_cannot_say_waits_for_the_server(headless):
    assert headless.ask("/simple/snark/index.v1_json")["Content-Type"] == J
    assert headless.ask("/simple/unknown/").status == 404
    assert headless.ask("/simple/", method="POST", body=b"x").status == 405
    redirect = headless.ask("/simple/snark")
    assert (redirect.status, redirect["Location"]) == (302, "/simple/snark/")  # a 301 is kept for ever
    for target in (
        "/pypi/snark/json",
        "/stats/",
        "/health",
        "/metrics",
        "/packages/source/s/snark/snark-1.0.tar.gz",
    ):
        answer = headless.ask(target)
        assert (answer.status, answer["Retry-After"], answer["Cache-Control"]) == (503, "30", "no-store")
        assert answer.body.startswith(b"503 ")
    assert headless.ask("/pypi", method="POST", body=b"<methodCall/>").status == 503


@pytest.mark.parametrize("installer", sorted(INSTALLERS))
@pytest.mark.parametrize("index_path", ["/simple", "/simple/"])
def test_installing_works_from_either(either, tmp_path, installer, index_path):
    """Conformance 107 and 108."""
    INSTALLERS[installer](tmp_path / "target", either.url + index_path, isolated(tmp_path))

    assert imported(tmp_path / "target", "snark", "boojum") == ["1.0", "1.2+crew.1"]


def test_the_server_may_come_and_go(tree, tmp_path):
    """Nobody has to tell nginx."""
    config = write_config(tmp_path / "frumious.conf", tree.web.parent, FROM_HERE)
    port = free_port()
    with run_nginx(CONFIG, tree.web, tmp_path / "nginx", edit=in_front_of(port)) as nginx:
        serials = []
        for is_up in (False, True, False, True):
            with serving(config, port=port) if is_up else nobody_at(port):
                page = nginx.ask("/simple/snark/", {"Accept": J})
                assert page.status == 200
                serials.append(page["X-PyPI-Last-Serial"])

    assert serials == [None, str(SERIAL), None, str(SERIAL)]


# --- for some only ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def private(tree, tmp_path_factory):
    """Two lines changed, as the file says; a token is `s3cret`."""
    folder = tmp_path_factory.mktemp("private")
    users = folder / "users"
    users.write_text(f"ci:sha256${hashlib.sha256(b's3cret').hexdigest()}\n")
    config = write_config(folder / "frumious.conf", tree.web.parent, f"{FROM_HERE}\nusers = {users}")
    with (
        serving(config) as server,
        run_nginx(CONFIG, tree.web, folder / "nginx", edit=in_front_of(server.port, private=True)) as running,
    ):
        yield running


def targets(tree):
    path = tree.file(WHEEL).path
    return [
        path, f"{path}.metadata", path[:-1], "/simple/", "/simple/snark/", "/simple/unknown/", "/pypi/snark/json",
        "/last-modified", "/local.json", "/nowhere",
    ]  # fmt: skip


def test_whoever_is_not_known_learns_nothing_from_nginx_either(private, tree):
    """Conformance 58: the same for what is there and what is not."""
    for target in targets(tree):
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            answer = private.ask(target, headers)
            assert answer.status == 401, target
            assert (answer["WWW-Authenticate"] or "").startswith("Basic "), target
    assert private.ask("/health").status == 401


def test_whoever_is_known_gets_everything_and_no_shared_cache_keeps_it(private, tree):
    known = {"Authorization": "Bearer s3cret"}
    statuses = []
    for target in targets(tree):
        answer = private.ask(target, known)
        statuses.append(answer.status)
        assert "public" not in (answer["Cache-Control"] or ""), target

    assert statuses == [200, 200, 404, 200, 200, 404, 200, 200, 200, 404]
    assert private.ask(tree.file(WHEEL).path, known | {"Range": "bytes=0-3"}).status == 206


def test_nobody_gets_in_while_nobody_keeps_the_door(tmp_path):
    tree = build_small_tree(tmp_path / "mirror")
    port = free_port()
    edit = in_front_of(port, private=True)
    with nobody_at(port), run_nginx(CONFIG, tree.web, tmp_path / "nginx", edit=edit) as nginx:
        answers = [nginx.ask(target, {"Authorization": "Bearer s3cret"}) for target in targets(tree)]

    assert {answer.status for answer in answers} == {503}
