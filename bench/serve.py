"""How fast `frumious serve` is, against nginx and other index servers over the same projects, in one run on loopback.

    .venv/bin/python bench/serve.py            # two tables; needs nginx and wrk (apt-get install nginx wrk)
    .venv/bin/python bench/serve.py --peers    # devpi-server, proxpi, pypiserver and simple-repository-server too, or those named

One worker each, pinned to core 1; wrk on core 0. Medians of rounds in which the servers take turns.

devpi-server and proxpi mirror our own index and have every page and file before it is measured, so that they answer from their
caches; the other two list a folder with the same file names. A page has the same files everywhere; peers leave out some of what
it says of them, so that theirs are shorter, by up to 60 %. Each peer has an environment in `.cache/peers`, made by its first run
and kept: delete it for newer versions. A peer that cannot be had is named and left out, and so is work that it does not do (a 304
without an ETag).
"""

from __future__ import annotations

import argparse
import base64
import fcntl
import hashlib
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin, urlsplit

ROOT = Path(__file__).parents[1]
ENVIRONMENTS = ROOT / ".cache/peers"
HOST = "127.0.0.1"
ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01"
PAGES, PAGES_WITH_PEERS = 500, 50
SMALL, SMALL_FILES, BIG = 20_000, 300, 50 << 20
INSTALL_SECONDS, START_SECONDS, WARM_SECONDS, SETTLE_SECONDS = 300, 60, 300, 30
NGINX = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; {user}
events {{ worker_connections 1024; }}
http {{ access_log off; sendfile on; tcp_nopush off; keepalive_requests 10000000;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  map $http_accept $page {{ default index.html; "~application/vnd\\.pypi\\.simple\\.v1\\+json" index.v1_json; }}
  server {{ listen 127.0.0.1:{port}; root {web};
    location ~ ^/simple/[^/]+/$ {{ add_header Vary Accept; types {{}} default_type application/vnd.pypi.simple.v1+json; try_files $uri$page =404; }}
    location / {{ types {{}} default_type application/octet-stream; }} }} }}
"""


class Unavailable(Exception):
    """A server cannot be had, or does not do what is to be measured; the text says why."""


# --- what is served


@dataclass(frozen=True)
class Tree:
    """A mirror's `web/`, and the names of its projects with pages of 10 KB.

    Its other projects are `large`, with a page of 1 MB, `small` with files of 20 KB, and `big` with one of 50 MB. Only the files of
    those two exist; the others are listed and never asked for.
    """

    web: Path
    projects: tuple[str, ...]

    def files(self, project: str) -> list[dict[str, str]]:
        """Return what the page of a project lists."""
        return json.loads((self.web / "simple" / project / "index.v1_json").read_text())["files"]


def make_tree(web: Path, count: int) -> Tree:
    """Make the projects, `count` of them with pages of 10 KB."""
    pick = random.Random(7)

    def digits(count: int) -> str:
        return "".join(pick.choice("0123456789abcdef") for _ in range(count))

    def entry(name: str, number: int, body: bytes | None = None) -> str:
        filename = f"{name}-1.{number}-py3-none-any.whl"
        path = f"packages/{digits(2)}/{digits(2)}/{digits(60)}/{filename}"
        size, digest = 12345, digits(64)
        if body is not None:
            size, digest = len(body), hashlib.sha256(body).hexdigest()
            (web / path).parent.mkdir(parents=True)
            (web / path).write_bytes(body)
        return (
            f'{{"core-metadata":{{"sha256":"{digits(64)}"}},"filename":"{filename}","hashes":{{"sha256":"{digest}"}},"requires-python":">=3.9","size":{size},'
            f'"upload-time":"2024-01-02T03:04:05.678901Z","url":"../../{path}","yanked":false}}'
        )

    def write_page(name: str, entries: list[str]) -> None:
        folder = web / "simple" / name
        folder.mkdir(parents=True)
        body = f'{{"files":[{",".join(entries)}],"meta":{{"_last-serial":7,"api-version":"1.4"}},"name":"{name}","versions":[]}}'
        (folder / "index.v1_json").write_text(body)
        (folder / "index.html").write_text(
            f"<!DOCTYPE html><html><body>{body}</body></html>\n<!--SERIAL 7-->\n"
        )

    def entries_of_length(name: str, length: int) -> Iterator[str]:
        number = 0
        while length > 0:
            yield (made := entry(name, number))
            length -= len(made)
            number += 1

    names = tuple(f"p{number}" for number in range(count))
    for name in names:
        write_page(name, list(entries_of_length(name, 10_000)))
    write_page("large", list(entries_of_length("large", 1_000_000)))
    write_page("small", [entry("small", number, pick.randbytes(SMALL)) for number in range(SMALL_FILES)])
    write_page("big", [entry("big", 0, os.urandom(BIG))])
    listed = [{"name": name} for name in (*names, "large", "small", "big")]
    root = json.dumps({"meta": {"_last-serial": 7, "api-version": "1.4"}, "projects": listed})
    for name in ("index.html", "index.v1_json"):
        (web / "simple" / name).write_text(root)
    return Tree(web, names)


def lay_out(tree: Tree, folders: Path, together: Path) -> None:
    """Put the files of a tree into a folder for each project, and all of them into one. What is only listed is an empty wheel."""
    together.mkdir()
    for page in (tree.web / "simple").glob("*/index.v1_json"):
        project = folders / page.parent.name
        project.mkdir(parents=True)
        for file in tree.files(project.name):
            laid, body = project / file["filename"], page.parent / file["url"]
            if body.exists():
                laid.hardlink_to(body.resolve())
            else:
                laid.write_bytes(b"PK\x05\x06" + bytes(18))
            (together / laid.name).hardlink_to(laid)


# --- the servers


@dataclass(frozen=True)
class Server:
    """A server that listens, and what stands there in place of `/simple`."""

    name: str
    port: int
    prefix: str = "/simple"

    def page(self, project: str) -> str:
        return f"{self.prefix}/{project}/"

    def files(self, project: str) -> list[str]:
        """Return the paths of a project's files as the server's own page gives them."""
        answer = ask(self.port, self.page(project), {"Accept": ACCEPT})
        return file_paths(self.page(project), answer.content_type, answer.body)


class Programs:
    """Programs that run on core 1, with their logs in a folder. Ends all of them, and what they started."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, port: int, *command: object, **environment: str) -> None:
        """Start a program and return when its port answers.

        Raises Unavailable with the last line of its log if it ends before, or takes longer than `START_SECONDS`.
        """
        log = self._folder / f"{name}.log"
        ours = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
        with log.open("wb") as said:
            process = subprocess.Popen(
                ["taskset", "-c", "1", *map(str, command)],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env={**ours, **environment},
                start_new_session=True,
            )
        self._running[name] = process
        for _ in range(START_SECONDS * 10):
            if process.poll() is not None:
                raise Unavailable(f"ended with code {process.returncode}: {last_line(log.read_bytes())}")
            try:
                socket.create_connection((HOST, port), 1).close()
            except OSError:
                time.sleep(0.1)
            else:
                return
        raise Unavailable(f"does not listen after {START_SECONDS} s: {last_line(log.read_bytes())}")

    def settle(self, name: str) -> None:
        """Return when a program has nothing more to do: slow ones work on for clients that have gone, at the cost of who is next.

        Raises Unavailable if that takes longer than `SETTLE_SECONDS`.
        """
        used = cpu_ticks(self._running[name].pid)
        for _ in range(SETTLE_SECONDS * 5):
            time.sleep(0.2)
            before, used = used, cpu_ticks(self._running[name].pid)
            if used - before <= 1:
                return
        raise Unavailable(f"is still busy {SETTLE_SECONDS} s after it was asked last")

    def stop(self, name: str, patience: float = 10) -> None:
        """End a program, if it runs; one that has not ended after `patience` seconds is killed, and so are the processes it leaves behind."""
        process = self._running.pop(name, None)
        if process is None:
            return
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience)
        with suppress(ProcessLookupError):  # nothing of it is left
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop_all(self) -> None:
        for name in list(self._running):
            self.stop(name)


def cpu_ticks(group: int) -> int:
    """Return the processor time that the processes of a group have used, in ticks (100 a second)."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[2]) == group:
                ticks += int(fields[11]) + int(fields[12])
    return ticks


def start_frumious(programs: Programs, folder: Path, web: Path) -> Server:
    config = folder / "f.conf"
    config.write_text(f"[mirror]\ndirectory = {web.parent}\n")
    port = free_port()
    program = Path(sys.executable).with_name("frumious")
    programs.start("frumious", port, program, "-c", config, "serve", "--workers", 1, "--port", port)
    return Server("frumious", port)


def start_nginx(programs: Programs, folder: Path, web: Path) -> Server:
    port = free_port()
    user = "user root;" if os.getuid() == 0 else ""
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, port=port, web=web, user=user))
    programs.start("nginx", port, "nginx", "-c", config)
    return Server("nginx", port)


# --- the peers: each has its packages, and a function that starts it


@dataclass(frozen=True)
class Place:
    """What peers are started with."""

    programs: Programs
    folder: Path
    """Where each of them may make one for its data."""
    environments: Path
    """Where the environments are that they are installed in."""
    index: str
    """The URL of our project list, to mirror."""
    folders: Path
    """All files, a folder for each project."""
    together: Path
    """All files in one folder."""


@dataclass(frozen=True)
class Peer:
    """Another index server; the first of its packages bears its name. `start` is given the folder of their programs."""

    packages: tuple[str, ...]
    start: Callable[[Place, Path], Server]

    @property
    def name(self) -> str:
        return self.packages[0].partition("[")[0]


def start_devpi(place: Place, programs: Path) -> Server:
    """Start devpi-server with one index, a mirror of ours."""
    port, data = free_port(), place.folder / "devpi"
    must("devpi-init", START_SECONDS, programs / "devpi-init", "--serverdir", data, "--no-root-pypi")
    serve = (programs / "devpi-server", "--serverdir", data, "--host", HOST, "--port", port)
    place.programs.start("devpi-server", port, *serve)
    login = json.loads(ask(port, "/+login", method="POST", said={"user": "root", "password": ""}).body)
    who = base64.b64encode(f"root:{login['result']['password']}".encode()).decode()
    mirror = {"type": "mirror", "mirror_url": place.index, "mirror_cache_expiry": 86400}
    ask(port, "/root/mirror", {"X-Devpi-Auth": who}, method="PUT", said=mirror)
    return Server("devpi-server", port, "/root/mirror/+simple")


def start_proxpi(place: Place, programs: Path) -> Server:
    """Start proxpi with the worker and the threads of its own container image."""
    port, data = free_port(), place.folder / "proxpi"
    data.mkdir()
    gunicorn = ("gunicorn", "--threads", 2, "--bind", f"{HOST}:{port}", "proxpi.server:app")
    place.programs.start(
        "proxpi",
        port,
        programs / "python",
        "-m",
        *gunicorn,
        PROXPI_INDEX_URL=place.index,
        PROXPI_INDEX_TTL="86400",
        PROXPI_CACHE_DIR=str(data),
        PROXPI_DOWNLOAD_TIMEOUT="60",  # or it redirects to us what does not arrive in 0.9 s
    )
    return Server("proxpi", port, "/index")


def start_pypiserver(place: Place, programs: Path) -> Server:
    """Start pypiserver with the kind of worker of its own container image."""
    port = free_port()
    # All files in one folder: it watches each folder on its own, and the system allows but 128 of that.
    serve = ("run", "-i", HOST, "-p", port, "--disable-fallback", "--server", "gunicorn", place.together)
    arguments = "--worker-class gevent --workers 1"
    place.programs.start("pypiserver", port, programs / "pypi-server", *serve, GUNICORN_CMD_ARGS=arguments)
    return Server("pypiserver", port)


def start_simple_repository_server(place: Place, programs: Path) -> Server:
    port, name = free_port(), "simple-repository-server"
    place.programs.start(name, port, programs / name, "--host", HOST, "--port", port, place.folders)
    return Server(name, port)


PEERS = (
    Peer(("devpi-server",), start_devpi),
    Peer(("proxpi", "gunicorn"), start_proxpi),
    Peer(("pypiserver[cache]", "gunicorn", "gevent"), start_pypiserver),
    Peer(("simple-repository-server",), start_simple_repository_server),
)


def start_peers(peers: Sequence[Peer], place: Place, tree: Tree) -> tuple[list[Server], list[str]]:
    """Install, start and warm peers; return those that have the whole tree, and a line for each of the others that says why not."""
    servers, missing = [], []
    for peer in peers:
        began = time.monotonic()
        try:
            programs = install(peer, place.environments)
            server = peer.start(place, programs)
            warm(server, tree)
            place.programs.settle(server.name)
            known = version(peer, programs)
        except (Unavailable, LookupError, ValueError) as why:  # the latter: it does not speak as it used to
            place.programs.stop(peer.name)
            missing.append(f"NOT MEASURED: {peer.name}: {why!s}")
            print(missing[-1], file=sys.stderr, flush=True)
        else:
            servers.append(server)
            print(f"{peer.name} {known}: ready after {time.monotonic() - began:.0f} s", flush=True)
    return servers, missing


def install(peer: Peer, environments: Path) -> Path:
    """Return the folder of a peer's programs; its environment is made when there is none that was finished for these packages."""
    environments.mkdir(parents=True, exist_ok=True)
    environment = environments / peer.name
    finished, wanted = environment / "finished", " ".join(peer.packages)
    uv = (sys.executable, "-m", "uv")
    with alone(environments / f"{peer.name}.lock"):
        if not finished.exists() or finished.read_text() != wanted:
            make = ("venv", "-q", "--clear", "--python", sys.executable, environment)
            must("its environment", INSTALL_SECONDS, *uv, *make)
            fill = ("pip", "install", "-q", "--python", environment / "bin/python", *peer.packages)
            must("its installation", INSTALL_SECONDS, *uv, *fill)
            finished.write_text(wanted)
    return environment / "bin"


def version(peer: Peer, programs: Path) -> str:
    ask_it = f"import importlib.metadata as m; print(m.version({peer.name!r}))"
    return must("its version", START_SECONDS, programs / "python", "-c", ask_it)


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Keep other runs out of an environment that is being made."""
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def must(what: str, seconds: int, *command: object) -> str:
    """Return what a command prints; raises Unavailable if it fails or takes longer than `seconds`."""
    try:
        done = subprocess.run([*map(str, command)], capture_output=True, check=False, timeout=seconds)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{what}: {error}") from None
    if done.returncode != 0:
        raise Unavailable(f"{what} failed: {last_line(done.stderr)}")
    return done.stdout.decode().strip()


def warm(server: Server, tree: Tree) -> None:
    """Ask once for everything that will be measured; raises Unavailable if a page is short of files or a file of bytes."""
    end = time.monotonic() + WARM_SECONDS

    def get(path: str) -> Answer:
        if time.monotonic() > end:
            raise Unavailable(f"has not everything after {WARM_SECONDS} s")
        return ask(server.port, path, {"Accept": ACCEPT})

    for project in (*tree.projects, "large", "small", "big"):
        page = get(server.page(project))
        listed = file_paths(server.page(project), page.content_type, page.body)
        if len(listed) != len(tree.files(project)):
            raise Unavailable(f"lists {len(listed)} files of {project}, not {len(tree.files(project))}")
    for project, size in (("small", SMALL), ("big", BIG)):
        for path in server.files(project):
            if (received := len(get(path).body)) != size:
                raise Unavailable(f"{path} has {received} bytes, not {size}")


# --- asking


@dataclass(frozen=True)
class Answer:
    """What a server answered."""

    status: int
    content_type: str
    etag: str | None
    body: bytes


def ask(
    port: int,
    path: str,
    headers: dict[str, str] | None = None,
    *,
    method: str = "GET",
    said: object = None,
    expect: int = 200,
) -> Answer:
    """Return the answer of a server on this machine; raises Unavailable unless it has the expected status. Follows no redirect."""
    connection = http.client.HTTPConnection(HOST, port, timeout=60)
    body = None if said is None else json.dumps(said)
    sent = {**({} if said is None else {"Content-Type": "application/json"}), **(headers or {})}
    try:
        connection.request(method, path, body, sent)
        answer = connection.getresponse()
        received = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(f"{method} {path}: {error or type(error).__name__}") from None
    finally:
        connection.close()
    if answer.status != expect:
        raise Unavailable(f"{method} {path} is answered with {answer.status}, not {expect}")
    return Answer(answer.status, answer.headers.get_content_type(), answer.headers["ETag"], received)


def file_paths(page: str, content_type: str, body: bytes) -> list[str]:
    """Return the paths of the files on a project's page, which is JSON or HTML."""
    if content_type.endswith("json"):
        links = [file["url"] for file in json.loads(body)["files"]]
    else:
        links = re.findall(r'<a[^>]+href="([^"]+)"', body.decode())
    return [urlsplit(urljoin(page, link)).path for link in links]


def free_port() -> int:
    with socket.create_server((HOST, 0)) as listening:
        return listening.getsockname()[1]


def last_line(log: bytes) -> str:
    lines = log.decode(errors="replace").strip().splitlines()
    return lines[-1][-300:] if lines else "it says nothing"


# --- measuring


@dataclass(frozen=True)
class Work:
    """Requests that are sent again and again: which paths, with which headers, and the status of a good answer."""

    name: str
    connections: int
    paths: Callable[[Server, Tree], list[str]]
    headers: tuple[tuple[str, str], ...] = ()
    status: int = 200

    def headers_for(self, server: Server, path: str) -> dict[str, str]:
        """Return the headers for a server, after a look whether it answers as it should; raises Unavailable if not."""
        headers = dict(self.headers)
        if self.status == 304:
            etag = ask(server.port, path, headers).etag
            if etag is None:
                raise Unavailable("its pages have no ETag")
            headers["If-None-Match"] = etag
        ask(server.port, path, headers, expect=self.status)
        return headers


PAGE_HEADERS = (("Accept", ACCEPT),)
WORK = (
    Work(
        "pages of 10 KB",
        32,
        lambda server, tree: [server.page(project) for project in tree.projects],
        PAGE_HEADERS,
    ),
    Work("304", 32, lambda server, _: [server.page("p7")], PAGE_HEADERS, 304),
    Work("page of 1 MB", 8, lambda server, _: [server.page("large")], PAGE_HEADERS),
    Work("files of 20 KB", 32, lambda server, _: server.files("small")),
    Work(
        "ranges of 64 KB",
        32,
        lambda server, _: server.files("big"),
        (("Range", "bytes=1000000-1065535"),),
        206,
    ),
    Work("file of 50 MB", 4, lambda server, _: server.files("big")),
)
OURS = ("frumious", "nginx")
Rates = dict[str, dict[str, list[float]]]
"""Answers per second in each round, by the name of the work and that of the server."""


def measure(
    programs: Programs, servers: Sequence[Server], tree: Tree, rounds: int, seconds: int
) -> tuple[Rates, list[str]]:
    """Return rates, and a line for what a peer does not do; raises Unavailable if frumious or nginx does not do it."""
    rates: Rates = {work.name: {} for work in WORK}
    refused: dict[tuple[str, str], str] = {}
    for _ in range(rounds):
        for work in WORK:
            for server in servers:
                if (work.name, server.name) in refused:
                    continue
                try:
                    paths = work.paths(server, tree)
                    headers = work.headers_for(server, paths[0])
                    rate = wrk(server.port, paths, headers, work.connections, seconds)
                    programs.settle(server.name)
                except Unavailable as why:
                    if server.name in OURS:
                        raise
                    refused[work.name, server.name] = str(why)
                    rates[work.name].pop(server.name, None)
                else:
                    rates[work.name].setdefault(server.name, []).append(rate)
    return rates, [f"not measured: {server}: {work}: {why}" for (work, server), why in refused.items()]


def wrk(port: int, paths: Sequence[str], headers: dict[str, str], connections: int, seconds: int) -> float:
    """Return answers per second; raises Unavailable if any of them is an error."""
    command = ["taskset", "-c", "0", "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s"]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        if (
            len(paths) > 1
        ):  # a script costs wrk time: without need it would be wrk that is measured, not nginx
            listed = ",".join(json.dumps(path) for path in paths)
            script.write(
                f"local p={{{listed}}} local i=0 request=function() i=i%#p+1 return wrk.format('GET',p[i]) end"
            )
            script.flush()
            command += ["-s", script.name]
        command.append(f"http://{HOST}:{port}{paths[0]}")
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 60)
    errors = re.search(r"(Non-2xx.*|Socket errors.*)", done.stdout)
    if errors:
        raise Unavailable(errors[1])
    return float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)[1])


def table(rates: Rates, servers: Sequence[str]) -> str:
    """Return answers per second of each server, and how many times as many frumious gives; a dash where a server was not measured."""
    width = max(12, *(len(server) + 2 for server in servers))
    middle = {
        work: {server: statistics.median(values) for server, values in found.items()}
        for work, found in rates.items()
    }

    def row(title: str, cells: Sequence[str]) -> str:
        return f"{title:24}" + "".join(f"{cell:>{width}}" for cell in cells)

    lines = [row("answers a second", servers)]
    for work, found in middle.items():
        lines.append(row(work, [f"{found[server]:,.0f}" if server in found else "-" for server in servers]))
    lines += ["", row("frumious is N times", servers)]
    for work, found in middle.items():
        ours = found.get("frumious", 0.0)
        lines.append(
            row(work, [f"{ours / found[server]:.2f}" if found.get(server) else "-" for server in servers])
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--seconds", type=int, default=2, help="how long each kind of work is measured in a round"
    )
    parser.add_argument("--rounds", type=int, default=3)
    known = [peer.name for peer in PEERS]
    parser.add_argument(
        "--peers",
        nargs="*",
        choices=known,
        metavar="PEER",
        help=f"other index servers too: all, or some of {', '.join(known)}",
    )
    asked = parser.parse_args()
    for program in ("wrk", "nginx", "taskset"):
        if shutil.which(program) is None:
            raise SystemExit(f"{program} is not installed (apt-get install wrk nginx util-linux)")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers end with us
    folder = Path(tempfile.mkdtemp(prefix="frumious-bench-"))
    folder.chmod(0o755)
    programs = Programs(folder)
    try:
        tree = make_tree(folder / "mirror/web", PAGES if asked.peers is None else PAGES_WITH_PEERS)
        servers = [start_frumious(programs, folder, tree.web), start_nginx(programs, folder, tree.web)]
        missing: list[str] = []
        if asked.peers is not None:
            index = f"http://{HOST}:{servers[0].port}/simple/"
            place = Place(programs, folder, ENVIRONMENTS, index, folder / "folders", folder / "together")
            lay_out(tree, place.folders, place.together)
            wanted = [peer for peer in PEERS if not asked.peers or peer.name in asked.peers]
            others, missing = start_peers(wanted, place, tree)
            servers += others
        rates, refused = measure(programs, servers, tree, asked.rounds, asked.seconds)
        print(table(rates, [server.name for server in servers]))
        for line in (*missing, *refused):
            print(line)
    except Unavailable as why:
        raise SystemExit(f"the benchmark cannot run: {why}") from None
    finally:
        programs.stop_all()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
