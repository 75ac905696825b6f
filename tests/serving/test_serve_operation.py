"""`frumious serve` in operation: a private mirror, metrics, logs, proxies, systemd, and how it ends."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from frumious.server.adapter import Trusted
from support.installers import isolated
from support.program import BIN, run
from support.serving import serving, write_config
from support.tree import build_small_tree


def until(is_so, seconds=20):
    """Wait until something is so, and fail if it never is."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.02)


def credentials(name, password=None):
    """Make a line with the real command; return it, and what to log in with."""
    arguments = ["credentials", name, *([] if password else ["--token"])]
    done = run(*arguments, input=f"{password}\n" if password else None)
    assert done.returncode == 0, done.stderr
    return done.stdout, password or done.stderr.split()[-1]


@pytest.fixture(scope="module")
def private(tree, tmp_path_factory):
    folder = tmp_path_factory.mktemp("private")
    line, _ = credentials("alice", "correct horse")
    token_line, token = credentials("ci")
    (folder / "users").write_text(line + token_line)
    config = write_config(
        folder / "f.conf", tree.web.parent, f"users = {folder / 'users'}\naccess-log = {folder / 'log'}"
    )
    with serving(config, workers=2) as server:
        yield server, token, folder


def test_nothing_is_said_to_who_is_not_known(private, tree):
    """Conformance 58."""
    server, _, _ = private
    answers = [
        server.ask(target)
        for target in ("/simple/", "/nowhere", "/metrics", "/pypi/snark/json", tree.files[0].path)
    ]

    assert {answer.status for answer in answers} == {401}
    assert len({answer.body for answer in answers}) == 1
    assert server.ask("/health").status == 200


@pytest.mark.parametrize("installer", ["pip", "uv"])
@pytest.mark.parametrize("who", ["alice", "__token__"])
def test_installers_log_in(private, tmp_path, installer, who):
    server, token, _ = private
    secret = "correct%20horse" if who == "alice" else token
    index = server.url.replace("://", f"://{who}:{secret}@") + "/simple/"
    install = {
        "pip": ["-m", "pip", "install", "--index-url", index, "--target", tmp_path / "target", "snark"],
        "uv": ["-m", "uv", "pip", "install", "--index-url", index, "--target", tmp_path / "target", "snark"],
    }[installer]

    done = subprocess.run([sys.executable, *map(str, install)], env=isolated(tmp_path), capture_output=True, text=True, check=False)  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "target/snark").is_dir()


def test_netrc_logs_in_and_a_wrong_password_does_not(private, tmp_path):
    server, _, _ = private
    env = isolated(tmp_path)
    for password, code in (("correct horse", 0), ("wrong horse", 1)):
        netrc = tmp_path / "netrc"
        netrc.write_text(f'machine 127.0.0.1 login alice password "{password}"\n')
        netrc.chmod(0o600)
        done = subprocess.run(
            [sys.executable, "-m", "pip", "download", "--no-input", "--no-deps", "--index-url", f"{server.url}/simple/", "-d", tmp_path, "snark"],
            env={**env, "NETRC": str(netrc)}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stderr


def test_what_was_asked_for_is_logged_without_secrets(private):
    server, token, folder = private
    referer = f"http://u:{token}@example.org/?t={token}"
    server.ask(
        f"/simple/snark/?x={token}",
        Referer=referer,
        Authorization=f"Bearer {token}",
        User_Agent='test "agent',
    )
    text = (folder / "log").read_text()

    assert '"GET /simple/snark/?..." 200' in text
    assert '"http://example.org/"' in text
    assert token not in text
    assert "correct" not in text


def test_bad_users_are_named(tree, tmp_path):
    (tmp_path / "users").write_text("alice:secret\n")
    config = write_config(tmp_path / "f.conf", tree.web.parent, f"users = {tmp_path / 'users'}")

    done = run("-c", config, "serve", "--port", "0")

    assert done.returncode == 2
    assert f"{tmp_path / 'users'}, line 1" in done.stderr
    assert "frumious credentials" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "given"), [(["a:b"], "long enough\n"), (["alice"], "short\n"), (["alice"], "\n")]
)
def test_bad_credentials_are_refused(arguments, given):
    done = run("credentials", *arguments, input=given)

    assert (done.returncode, done.stdout) == (2, "")
    assert "ERROR" in done.stderr


def test_metrics_are_of_all_workers(tree, tmp_path):
    with serving(write_config(tmp_path / "f.conf", tree.web.parent), workers=3) as server:
        for _ in range(30):
            server.ask("/simple/snark/")
        said = server.ask("/metrics").body.decode()
        server.process.send_signal(signal.SIGHUP)
        until(lambda: "read again" in server.log.read_text())
        time.sleep(2.5)  # the workers are replaced one after the other
        again = server.ask("/metrics").body.decode()

    line = 'frumious_http_requests_total{route="simple",status="200"} 30'
    assert line in said
    assert line in again, "what earlier workers have counted stays"
    numbers = {name: int(value) for name, value in re.findall(r"^(frumious_\w+) (\d+)$", said, re.MULTILINE)}
    assert numbers["frumious_page_cache_hits_total"] + numbers["frumious_page_cache_misses_total"] == 30
    assert numbers["frumious_page_cache_pages"] == numbers["frumious_page_cache_misses_total"] <= 3
    assert numbers["frumious_page_cache_bytes"] > 0
    assert numbers["frumious_http_requests_in_flight"] == 1, "the one that asks for them"
    assert "frumious_page_cache_pages 0\n" in again, "the new ones have kept nothing yet"


# --- behind a proxy ----------------------------------------------------------------------------------------------------


def test_only_a_trusted_proxy_is_believed(tree, tmp_path):
    forwarded = {
        "X_Forwarded_For": "203.0.113.9, 198.51.100.7", "X_Forwarded_Proto": "https", "X_Forwarded_Host": "pypi.example.org",
    }  # fmt: skip
    for trusted, client, origin in (
        ("trusted-proxies = 127.0.0.0/8", "198.51.100.7", "https://pypi.example.org"),
        ("trusted-proxies = 127.0.0.1, 198.51.100.0/24", "203.0.113.9", "https://pypi.example.org"),
        ("trusted-proxies = 192.0.2.1", "127.0.0.1", None),
        ("", "127.0.0.1", None),
    ):
        log = tmp_path / "log"
        log.unlink(missing_ok=True)
        config = write_config(tmp_path / "f.conf", tree.web.parent, f"access-log = {log}\n{trusted}")
        with serving(config) as server:
            feed = server.ask("/rss/project/snark/releases.xml", **forwarded)
            assert f"<link>{origin or server.url}/simple/snark/</link>".encode() in feed.body
        assert log.read_text().splitlines()[-1].startswith(f"{client} - - ")


def where_from(server, **headers):
    """Return where a redirect leads, what a feed names and what a legacy document does."""
    document = json.loads(server.ask("/pypi/snark/json", **headers).body)
    feed = server.ask("/rss/project/snark/releases.xml", **headers).body.decode()
    return (
        server.ask("/simple/Snark", **headers).headers["location"],
        re.findall(r"<link>([^<]*)/simple/snark/</link>", feed)[0],
        document["urls"][0]["url"].partition("/packages/")[0],
    )


@pytest.fixture(scope="module")
def behind(tree, tmp_path_factory):
    config = write_config(
        tmp_path_factory.mktemp("behind") / "f.conf", tree.web.parent, "trusted-proxies = 127.0.0.1"
    )
    with serving(config) as server:
        yield server


@pytest.mark.parametrize(
    ("said", "prefix"),
    [
        ("/mirror", "/mirror"),
        ("/mirror/", "/mirror"),
        ("/a/b.c~d", "/a/b.c~d"),
        ("/simple", "/simple"),
        ("/", ""),
        ("", ""),
        ("mirror", ""),
        ("//example.net", ""),
        ("/a//b", ""),
        ("/a, /b", ""),
        ("/a?b", ""),
        ("/<script>", ""),
        ("https://example.net/x", ""),
        ("/" + "a" * 255, ""),
    ],
)
def test_a_proxy_says_which_path_it_takes_away(behind, said, prefix):
    headers = {"X_Forwarded_Prefix": said, "X_Forwarded_Host": "example.org", "X_Forwarded_Proto": "https"}
    public = f"https://example.org{prefix}"

    assert where_from(behind, **headers) == (f"{prefix}/simple/snark/", public, public)
    assert behind.ask("/simple/snark/", **headers).status == 200
    assert behind.ask("/simple", **headers).headers["location"] == f"{prefix}/simple/"


def test_a_path_that_is_not_ours_to_know_is_not_believed(tree, tmp_path):
    """Neither from anybody, nor where `base-url` says it already."""
    base = "https://pypi.example.org/mirror"
    for settings, prefix, public in (
        ("", "", None),
        (f"trusted-proxies = 127.0.0.1\nbase-url = {base}", "/mirror", base),
        ("trusted-proxies = 127.0.0.1\nbase-url = https://pypi.example.org", "", "https://pypi.example.org"),
    ):
        with serving(write_config(tmp_path / "f.conf", tree.web.parent, settings)) as server:
            public = public or server.url  # noqa: PLW2901 - a port that is free
            said = where_from(server, X_Forwarded_Prefix="/other")
            assert said == (f"{prefix}/simple/snark/", public, public)


@pytest.mark.parametrize(
    ("said", "client"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("203.0.113.9, 127.0.0.1", "203.0.113.9"),
        ("127.0.0.1", "127.0.0.1"),
        ('fe80::1%x" forged', "unknown"),
        ("::1%lo", "unknown"),
        ("203.0.113.9:55", "unknown"),
        ("nonsense", "unknown"),
        ("[2001:db8::7]", "2001:db8::7"),
        (None, "::ffff:127.0.0.1"),
        ("", "::ffff:127.0.0.1"),
    ],
)
def test_what_a_proxy_says_of_a_client(said, client):
    trusted = Trusted(("127.0.0.0/8",))

    assert trusted.covers("::ffff:127.0.0.1"), "as a socket of IPv6 puts it"
    assert trusted.client(said, "::ffff:127.0.0.1") == client


# --- what clients are told of a failure ---------------------------------------------------------------------------------


def test_no_answer_says_where_things_lie(tmp_path):
    """The log does: it is for those who run the server."""
    tree = build_small_tree(tmp_path / "mirror")
    catalog = tmp_path / "mirror/.frumious/catalog.sqlite3"
    catalog.parent.mkdir()
    catalog.write_bytes(b"nothing that SQLite knows" * 100)
    (tmp_path / "outside").write_text("a secret")
    (tree.web / "packages/outside").symlink_to(tmp_path / "outside")
    call = b"<?xml version='1.0'?><methodCall><methodName>changelog_last_serial</methodName><params/></methodCall>"
    with serving(write_config(tmp_path / "f.conf", tree.web.parent)) as server:
        answers = {
            target: server.ask(target)
            for target in (
                "/ready", "/rss/updates.xml", "/stats/", "/search", "/metrics", "/packages/outside", "/simple/nothing/", "/%00",
            )
        }  # fmt: skip
        answers["/RPC2"] = server.ask("/RPC2", "POST", call, Content_Type="text/xml")
        log = server.log.read_text()

    assert {target: answers[target].status for target in ("/ready", "/rss/updates.xml", "/stats/")} == {
        "/ready": 503, "/rss/updates.xml": 503, "/stats/": 503,
    }  # fmt: skip
    assert b"the catalog is damaged" in answers["/ready"].body
    assert b"faultString" in answers["/RPC2"].body
    assert b"the catalog is damaged" in answers["/RPC2"].body
    for target, answer in answers.items():
        assert str(tmp_path).encode() not in answer.body, target
        assert not any(str(tmp_path) in value for value in answer.headers.values()), target
    assert f"{catalog} is damaged" in log
    assert "frumious catalog rebuild" in log


# --- signals -----------------------------------------------------------------------------------------------------------


def test_the_configuration_is_read_again(tree, tmp_path):
    config = write_config(tmp_path / "f.conf", tree.web.parent, "page-max-age = 5")
    with serving(config) as server:
        assert "max-age=5," in server.ask("/simple/").headers["cache-control"]
        for text, said in (
            ("page-max-age = nonsense", "goes on as before"),
            ("page-max-age = 7\nshutdown-timeout = 3", "shutdown-timeout takes effect when"),
        ):
            write_config(config, tree.web.parent, text)
            server.process.send_signal(signal.SIGHUP)
            until(lambda: said in server.log.read_text())  # noqa: B023 - called at once
        until(lambda: "max-age=7," in server.ask("/simple/").headers["cache-control"])
        assert "Traceback" not in server.log.read_text()


def test_a_download_that_is_under_way_is_finished(tmp_path):
    """And nobody new is let in while it is."""
    tree = build_small_tree(tmp_path / "mirror")
    body = os.urandom(30 << 20)
    place = tree.web / "packages/large.bin"
    place.write_bytes(body)
    with serving(write_config(tmp_path / "f.conf", tree.web.parent)) as server:
        with urllib.request.urlopen(f"{server.url}/packages/large.bin", timeout=30) as answer:
            got = answer.read(1000)
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            with pytest.raises(OSError):  # noqa: PT011 - refused, or never answered
                server_gone(server)
            got += answer.read()
        assert server.process.wait(20) == 0
    assert got == body


def server_gone(server):
    with socket.create_connection(("127.0.0.1", server.port), 1) as connection:
        connection.settimeout(1)
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        if not connection.recv(1):
            raise OSError("closed")


# --- systemd -----------------------------------------------------------------------------------------------------------


def test_a_socket_of_systemd_is_used_and_it_is_told(tree, tmp_path):
    """As systemd does it: descriptor 3, LISTEN_FDS, LISTEN_PID, NOTIFY_SOCKET."""
    config = write_config(tmp_path / "f.conf", tree.web.parent)
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told.bind(str(tmp_path / "notify"))
    told.settimeout(20)
    listening = socket.create_server(("127.0.0.1", 0))
    start = (
        f"import os\nos.dup2({listening.fileno()}, 3)\nos.environ['LISTEN_PID'] = str(os.getpid())\n"
        f"os.execv({str(BIN / 'frumious')!r}, ['frumious', '-c', {str(config)!r}, 'serve', '--workers', '2'])"
    )
    env = {**os.environ, "LISTEN_FDS": "1", "NOTIFY_SOCKET": str(tmp_path / "notify")}
    process = subprocess.Popen(
        [sys.executable, "-c", start], env=env, pass_fds=(listening.fileno(), *([3] if listening.fileno() == 3 else [])),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert told.recv(100) == b"READY=1"
        with contextlib.closing(
            urllib.request.urlopen(f"http://127.0.0.1:{listening.getsockname()[1]}/health", timeout=10)
        ) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGHUP)
        assert told.recv(100).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
        assert told.recv(100) == b"READY=1"
        process.terminate()
        assert told.recv(100) == b"STOPPING=1"
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        listening.close()
        told.close()


def test_many_at_once_get_whole_files(tmp_path):
    """200 downloads side by side, in bounded memory."""
    tree = build_small_tree(tmp_path / "mirror")
    body = os.urandom(3 << 20)
    (tree.web / "packages/file.bin").write_bytes(body)
    wrong = []

    def download(url):
        try:
            with urllib.request.urlopen(url, timeout=60) as answer:
                if answer.read() != body:
                    wrong.append("torn")
        except OSError as error:
            wrong.append(error)

    with serving(write_config(tmp_path / "f.conf", tree.web.parent), workers=1) as server:
        threads = [
            threading.Thread(target=download, args=(f"{server.url}/packages/file.bin",)) for _ in range(200)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (worker,) = subprocess.run(["pgrep", "-P", str(server.process.pid)], capture_output=True, text=True, check=True).stdout.split()  # fmt: skip
        with Path(f"/proc/{worker}/status").open() as status:
            peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))

    assert not wrong
    assert peak < 150 * 1024, "KiB"
