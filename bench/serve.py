"""How fast `frumious serve` is, against nginx and other index servers over the same tree, in one run on loopback.

    .venv/bin/python bench/serve.py            # a table; needs nginx and wrk (apt-get install nginx wrk)
    .venv/bin/python bench/serve.py --peers    # pypiserver, simple-repository-server, devpi-server and proxpi too, fetched by name

One worker each, pinned to core 1; wrk on core 0. Medians of rounds in which the servers take turns.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[1]
ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01"
PAGES, FILES = 500, 300
PEER_PAGES = 20
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


def make_tree(web: Path) -> tuple[list[str], str]:
    """Make pages of 10 KB, one of 1 MB, files of 20 KB and one of 50 MB; return the paths of the small files and of the large one."""
    pick = random.Random(7)

    def digits(count: int) -> str:
        return "".join(pick.choice("0123456789abcdef") for _ in range(count))

    def page(name: str, size: int) -> None:
        entries, length = [], 0
        while length < size:
            filename = f"{name}-1.{len(entries)}-py3-none-any.whl"
            entry = (
                f'{{"core-metadata":{{"sha256":"{digits(64)}"}},"filename":"{filename}","hashes":{{"sha256":"{digits(64)}"}},"requires-python":">=3.9",'
                f'"size":12345,"upload-time":"2024-01-02T03:04:05.678901Z","url":"../../packages/{digits(2)}/{digits(2)}/{digits(60)}/{filename}","yanked":false}}'
            )
            entries.append(entry)
            length += len(entry)
        folder = web / "simple" / name
        folder.mkdir(parents=True)
        body = f'{{"files":[{",".join(entries)}],"meta":{{"_last-serial":7,"api-version":"1.4"}},"name":"{name}","versions":[]}}'
        (folder / "index.v1_json").write_text(body)
        (folder / "index.html").write_text(
            f"<!DOCTYPE html><html><body>{body.replace('<', '')}</body></html>\n<!--SERIAL 7-->\n"
        )

    for number in range(PAGES):
        page(f"p{number}", 10_000)
    page("large", 1_000_000)
    listed = [{"name": f"p{number}"} for number in range(PAGES)]
    root = json.dumps({"meta": {"_last-serial": 7, "api-version": "1.4"}, "projects": listed})
    for name in ("index.html", "index.v1_json"):
        (web / "simple" / name).write_text(root)
    small = []
    for number in range(FILES):
        folder = web / "packages" / digits(2) / digits(2) / digits(60)
        folder.mkdir(parents=True)
        (folder / f"f{number}.whl").write_bytes(pick.randbytes(20_000))
        small.append(f"/{(folder / f'f{number}.whl').relative_to(web)}")
    folder = web / "packages/aa/bb" / ("c" * 60)
    folder.mkdir(parents=True)
    (folder / "big.whl").write_bytes(os.urandom(50 << 20))
    return small, f"/{(folder / 'big.whl').relative_to(web)}"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


def await_port(port: int) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit(f"nobody listens on port {port}")


class Servers:
    """The programs, each on core 1."""

    def __init__(self, folder: Path, web: Path) -> None:
        self._folder, self._web = folder, web
        self._running: list[subprocess.Popen[bytes]] = []
        self.ports: dict[str, int] = {}
        self.prefixes: dict[str, str] = {}
        """What stands in place of `/simple`, where that is not it."""
        self.environment = {
            key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")
        }

    def start(self, name: str, *command: object, port: int = 0) -> None:
        """Start a program and wait for its port, which is its last argument unless it is given."""
        port = port or int(str(command[-1]))
        self._running.append(
            subprocess.Popen(
                ["taskset", "-c", "1", *map(str, command)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=self.environment,
            )
        )
        await_port(port)
        self.ports[name] = port

    def frumious(self) -> None:
        config = self._folder / "f.conf"
        config.write_text(f"[mirror]\ndirectory = {self._web.parent}\n")
        self.start(
            "frumious",
            ROOT / ".venv/bin/frumious",
            "-c",
            config,
            "serve",
            "--workers",
            1,
            "--port",
            free_port(),
        )

    def nginx(self) -> None:
        port = free_port()
        user = "user root;" if os.getuid() == 0 else ""
        (self._folder / "nginx.conf").write_text(
            NGINX.format(folder=self._folder, port=port, web=self._web, user=user)
        )
        self._running.append(
            subprocess.Popen(
                ["taskset", "-c", "1", "nginx", "-c", str(self._folder / "nginx.conf")],
                stderr=subprocess.DEVNULL,
            )
        )
        await_port(port)
        self.ports["nginx"] = port

    def peers(self) -> None:
        """Start other servers: two make their pages of files, two have them from us and keep them."""
        home = self._folder / "peers"
        uv = [sys.executable, "-m", "uv"]
        subprocess.run([*uv, "venv", "-q", home], check=True)
        packages = ("pypiserver", "simple-repository-server", "devpi-server", "proxpi", "gunicorn")
        subprocess.run([*uv, "pip", "install", "-q", "--python", home / "bin/python", *packages], check=True)
        flat = self._folder / "flat"
        for number in range(PEER_PAGES):
            project = flat / f"p{number}"
            project.mkdir(parents=True)
            for release in range(25):  # about as long a page as the others have
                (project / f"p{number}-1.{release}-py3-none-any.whl").write_bytes(b"PK\x05\x06" + bytes(18))
        here, program = ("127.0.0.1", home / "bin")
        self.start(
            "pypiserver",
            program / "pypi-server",
            "run",
            "-i",
            here,
            "--disable-fallback",
            flat,
            "-p",
            free_port(),
        )
        self.start(
            "simple-repository-server",
            program / "simple-repository-server",
            flat,
            "--host",
            here,
            "--port",
            free_port(),
        )
        ours = f"http://127.0.0.1:{self.ports['frumious']}/simple/"
        self.environment["PROXPI_INDEX_URL"] = ours
        port = free_port()
        # One worker with threads, as its own container image starts it.
        gunicorn = ("-m", "gunicorn", "-w", 1, "--threads", 4, "-b", f"{here}:{port}", "proxpi.server:app")
        self.start("proxpi", program / "python", *gunicorn, port=port)
        self.prefixes["proxpi"] = "/index"
        data = self._folder / "devpi"
        subprocess.run(
            [program / "devpi-init", "--serverdir", data, "--no-root-pypi"], check=True, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.start(
            "devpi", program / "devpi-server", "--serverdir", data, "--host", here, "--port", free_port()
        )
        self._mirror_by_devpi(ours)
        self.prefixes["devpi"] = "/root/mirror/+simple"
        for name in ("proxpi", "devpi"):
            for number in range(PEER_PAGES):  # from now on they have it
                ask(f"http://127.0.0.1:{self.ports[name]}{self.prefixes[name]}/p{number}/", Accept=ACCEPT)

    def _mirror_by_devpi(self, index: str) -> None:
        base = f"http://127.0.0.1:{self.ports['devpi']}"
        login = json.loads(ask(f"{base}/+login", "POST", {"user": "root", "password": ""}))
        who = base64.b64encode(f"root:{login['result']['password']}".encode()).decode()
        settings = {"type": "mirror", "mirror_url": index, "mirror_cache_expiry": 86400}
        ask(f"{base}/root/mirror", "PUT", settings, X_Devpi_Auth=who)

    def stop(self) -> None:
        for process in self._running:
            process.terminate()
        for process in self._running:
            process.wait(20)


def ask(url: str, method: str = "GET", said: object = None, **headers: str) -> bytes:
    """Return the body of an answer; `headers` are spelled with underscores."""
    body = None if said is None else json.dumps(said).encode()
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, body, {"Content-Type": "application/json", **sent}, method=method)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
        return answer.read()


def wrk(
    url: str, seconds: int, connections: int, *, headers: tuple[str, ...] = (), paths: list[str] | None = None
) -> float:
    """Return answers per second; anything but success ends the benchmark."""
    command = [
        "taskset",
        "-c",
        "0",
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{seconds}s",
        *(part for header in headers for part in ("-H", header)),
    ]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        if paths:
            listed = ",".join(f'"{path}"' for path in paths)
            script.write(
                f"local p={{{listed}}} local i=0 request=function() i=i%#p+1 return wrk.format('GET',p[i]) end"
            )
            script.flush()
            command += ["-s", script.name]
        said = subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise SystemExit(f"{url}: {said}")
    return float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", action="store_true", help="fetch and start other index servers too")
    asked = parser.parse_args()
    for program in ("wrk", "nginx", "taskset"):
        if shutil.which(program) is None:
            raise SystemExit(f"{program} is not installed (apt-get install wrk nginx util-linux)")
    folder = Path(tempfile.mkdtemp(prefix="frumious-bench-"))
    folder.chmod(0o755)
    web = folder / "mirror/web"
    servers = Servers(folder, web)
    try:
        small, big = make_tree(web)
        servers.frumious()
        servers.nginx()
        if asked.peers:
            servers.peers()
        measure(servers, small, big, asked)
    finally:
        servers.stop()
        shutil.rmtree(folder, ignore_errors=True)


def measure(servers: Servers, small: list[str], big: str, asked: argparse.Namespace) -> None:
    accept = f"Accept: {ACCEPT}"
    pages = [f"/simple/p{number}/" for number in range(PAGES)]
    work = {
        "pages of 10 KB": dict(connections=32, headers=(accept,), paths=pages),
        "304": dict(connections=32, headers=(accept,), path="/simple/p7/", conditional=True),
        "page of 1 MB": dict(connections=8, headers=(accept,), path="/simple/large/"),
        "files of 20 KB": dict(connections=32, paths=small),
        "ranges of 64 KB": dict(connections=32, headers=("Range: bytes=1000000-1065535",), path=big),
        "file of 50 MB": dict(connections=4, path=big),
    }
    found: dict[str, dict[str, list[float]]] = {name: {} for name in work}
    for _ in range(asked.rounds):
        for name, how in work.items():
            for server, port in servers.ports.items():
                if server not in {"frumious", "nginx"} and name != "pages of 10 KB":
                    continue
                base = f"http://127.0.0.1:{port}"
                headers = how.get("headers", ())
                if how.get("conditional"):
                    request = urllib.request.Request(base + how["path"], headers={"Accept": ACCEPT})
                    with urllib.request.urlopen(request) as answer:
                        headers = (*headers, f"If-None-Match: {answer.headers['ETag']}")
                paths = how.get("paths")
                if server not in {"frumious", "nginx"}:
                    prefix = servers.prefixes.get(server, "/simple")
                    paths = [page.replace("/simple", prefix) for page in pages[:PEER_PAGES]]
                rate = wrk(
                    base + how.get("path", "/"),
                    asked.seconds,
                    how["connections"],
                    headers=headers,
                    paths=paths,
                )
                found[name].setdefault(server, []).append(rate)
    print(f"{'':18}" + "".join(f"{server:>26}" for server in servers.ports) + f"{'of nginx':>10}")
    for name, rates in found.items():
        middle = {server: statistics.median(values) for server, values in rates.items()}
        row = "".join(
            f"{middle[server]:>20,.0f} /s   " if server in middle else f"{'':26}" for server in servers.ports
        )
        print(f"{name:18}{row}{middle['frumious'] / middle['nginx']:>10.2f}")


if __name__ == "__main__":
    main()
