"""`frumious serve` at a Unix socket, for a proxy on the same machine (docs/serving.md)."""

import contextlib
import errno
import http.client
import os
import re
import shutil
import signal
import socket
import stat
import tempfile
from pathlib import Path

import pytest

from support.nginx import run_nginx
from support.program import run, wait_for
from support.serving import Answer, serving, write_config

SERVING = Path(__file__).parents[2] / "docs/serving.md"


@pytest.fixture(scope="module")
def folder():
    """A short path: that of a socket has at most 107 bytes."""
    made = Path(tempfile.mkdtemp(prefix="f-"))
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def place(folder):
    return folder / "serve.sock"


@pytest.fixture(scope="module")
def server(tree, folder, place):
    settings = f"host = unix:{place}\naccess-log = {folder / 'log'}"
    with serving(write_config(folder / "f.conf", tree.web.parent, settings), workers=2) as running:
        yield running


class ByPath(http.client.HTTPConnection):
    """A connection to a Unix socket."""

    def __init__(self, path, host="pypi.example.org"):
        super().__init__(host, timeout=20)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def ask(place, target, **headers):
    with contextlib.closing(ByPath(place)) as connection:
        connection.request(
            "GET", target, headers={name.replace("_", "-"): said for name, said in headers.items()}
        )
        answer = connection.getresponse()
        said = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, said, answer.read())


def is_refused(place):
    with socket.socket(socket.AF_UNIX) as asking:
        return asking.connect_ex(str(place)) == errno.ECONNREFUSED


def logged(folder):
    return (folder / "log").read_text().splitlines()[-1]


def test_pages_and_files_come_through_it(server, place, tree):
    file = tree.file("snark-1.0-py3-none-any.whl")

    assert ask(place, "/simple/snark/").status == 200
    assert ask(place, file.path).body == file.body
    assert ask(place, "/simple/Snark").headers["location"] == "/simple/snark/"
    assert f"at unix:{place} by 2 workers" in server.log.read_text()
    assert "--index-url" not in server.log.read_text(), "pip reads no socket"


def test_only_its_user_and_group_may_connect(server, place):
    found = place.stat()

    assert stat.S_ISSOCK(found.st_mode)
    assert stat.S_IMODE(found.st_mode) == 0o660


def test_whoever_comes_through_it_is_believed(server, place, folder):
    """As a trusted proxy is: who can connect is decided by the mode of the socket."""
    feed = ask(
        place, "/rss/project/snark/releases.xml",
        X_Forwarded_For="203.0.113.9", X_Forwarded_Proto="https", X_Forwarded_Host="mirror.example.org",
    )  # fmt: skip
    assert b"<link>https://mirror.example.org/simple/snark/</link>" in feed.body
    assert logged(folder).startswith("203.0.113.9 - - ")

    assert b"<link>http://pypi.example.org/simple/" in ask(place, "/rss/project/snark/releases.xml").body
    assert logged(folder).startswith("- - - "), "nobody's address"


def test_without_an_address_nobody_is_of_this_machine(server, place):
    """A proxy that says nothing of its clients opens `/metrics` to none of them."""
    assert ask(place, "/metrics").status == 403
    assert ask(place, "/metrics", X_Forwarded_For="203.0.113.9").status == 403
    assert ask(place, "/metrics", X_Forwarded_For="127.0.0.1").status == 200


def test_the_path_of_the_socket_is_told_nobody(server, place):
    """Who names no host is given no path instead."""
    with socket.socket(socket.AF_UNIX) as raw:
        raw.settimeout(20)
        raw.connect(str(place))
        raw.sendall(b"GET /rss/project/snark/releases.xml HTTP/1.0\r\n\r\n")
        said = b"".join(iter(lambda: raw.recv(1 << 16), b""))

    assert said.startswith(b"HTTP/1.0 200")
    assert b"<link>http://localhost/simple/snark/</link>" in said
    assert str(place).encode() not in said


def test_nginx_asks_through_it(server, place, folder, tree, tmp_path):
    """The line that docs/serving.md names, in the shipped file."""

    def edit(text):
        text, count = re.subn(r"server 127\.0\.0\.1:8080;", f"server unix:{place};", text)
        assert count == 1
        return text

    with run_nginx("frumious-hybrid.conf", tree.web, tmp_path, edit=edit) as nginx:
        page = nginx.ask("/simple/snark/", {"Accept": "application/vnd.pypi.simple.v1+json"})
        feed = nginx.ask(
            "/rss/project/snark/releases.xml", {"Host": "pypi.example.org", "X-Forwarded-Prefix": "/x"}
        )
        metrics = nginx.ask("/metrics")

    assert (page.status, page["X-PyPI-Last-Serial"]) == (200, "4242")
    assert b"<link>http://pypi.example.org/simple/snark/</link>" in feed.body, "no client may say a prefix"
    assert metrics.status == 200
    assert logged(folder).startswith("127.0.0.1 - - ")


def test_below_a_path_as_the_documentation_says(server, place, tree, tmp_path):
    (snippet,) = re.findall(r"```nginx\n(location /mirror/ .*?)```", SERVING.read_text(), re.DOTALL)
    assert snippet.count("/run/frumious/serve.sock") == 1
    location = snippet.replace("/run/frumious/serve.sock", str(place))
    file = tree.file("snark-1.0-py3-none-any.whl")

    def edit(text):
        (listen,) = re.findall(r"(?m)^    listen 127\.0\.0\.1:\d+;", text)
        return f"server {{\n{listen}\n{location}\n}}"

    with run_nginx("frumious-hybrid.conf", tree.web, tmp_path, edit=edit) as nginx:
        page = nginx.ask("/mirror/simple/snark/")
        redirect = nginx.ask("/mirror/simple/Snark")
        feed = nginx.ask("/mirror/rss/project/snark/releases.xml", {"Host": "pypi.example.org"})
        wheel = nginx.ask(f"/mirror{file.path}")

    assert page.status == 200
    assert redirect["Location"] == "/mirror/simple/snark/"
    assert b"<link>http://pypi.example.org/mirror/simple/snark/</link>" in feed.body
    assert wheel.body == file.body


# --- the file itself ----------------------------------------------------------------------------------------------------


@pytest.fixture
def config(tree, folder):
    """Write a configuration; give it with the place of its socket, where nothing is left in the end."""
    place = folder / "other.sock"
    yield lambda more="": (
        write_config(folder / "other.conf", tree.web.parent, f"host = unix:{place}\n{more}"),
        place,
    )
    place.unlink(missing_ok=True)


def test_nothing_is_left_behind_and_what_a_killed_server_left_is_no_obstacle(config):
    path, place = config("socket-mode = 666")
    with serving(path) as server:
        assert stat.S_IMODE(place.stat().st_mode) == 0o666
        assert ask(place, "/health").status == 200
        os.killpg(server.process.pid, signal.SIGKILL)
        server.process.wait()
    wait_for(lambda: is_refused(place))
    assert place.is_socket()

    with serving(path) as server:
        assert ask(place, "/health").status == 200
        server.process.send_signal(signal.SIGHUP)
        assert server.stop() == 0
    assert not place.exists()


def test_a_socket_that_another_took_is_left_to_him(config):
    path, place = config()
    with serving(path) as server:
        assert ask(place, "/health").status == 200
        place.unlink()
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(place))
            assert server.stop() == 0
            assert place.is_socket()


def test_a_place_that_is_taken_is_named(config, server, folder):
    path, place = config()
    place.write_text("somebody's")
    taken = run("-c", path, "serve")
    twice = run("-c", path, "serve", "--host", f"unix:{folder / 'serve.sock'}")
    nowhere = run("-c", path, "serve", "--host", f"unix:{folder}/nowhere/serve.sock")

    assert (taken.returncode, twice.returncode, nowhere.returncode) == (1, 1, 1)
    assert f"cannot listen at unix:{place}: File exists" in taken.stderr
    assert "is no socket" in taken.stderr
    assert place.read_text() == "somebody's"
    assert "another program listens there" in twice.stderr
    assert ask(folder / "serve.sock", "/health").status == 200
    assert f"make {folder}/nowhere" in nowhere.stderr
