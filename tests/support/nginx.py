"""A real nginx on a free loopback port, for as long as a `with` block lasts."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

CONTRIB = Path(__file__).resolve().parents[2] / "contrib" / "nginx"

# What Debian's nginx.conf says in its http block, so that our server blocks are tested under somebody else's defaults.
_MAIN = """
{user}
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
worker_processes 1;
events {{ worker_connections 128; }}
http {{
    sendfile on;
    tcp_nopush on;
    types_hash_max_size 2048;
    include {mime_types};
    default_type application/octet-stream;
    gzip on;
    access_log {folder}/access.log combined;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {extra}
    include {site};
}}
"""

_LOGGED = re.compile(
    r'"(?P<method>\S+) (?P<target>\S+) [^"]*" (?P<status>\d{3}) \d+ "[^"]*" "(?P<agent>.*)"$'
)


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One line of the access log."""

    method: str
    target: str
    status: int
    agent: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What nginx answered: status, header fields in order, undecoded body."""

    status: int
    fields: tuple[tuple[str, str], ...]
    body: bytes

    def __getitem__(self, name: str) -> str | None:
        """Return a header's value, several lines joined, or None."""
        values = [value for field, value in self.fields if field.lower() == name.lower()]
        return ", ".join(values) if values else None

    @property
    def headers(self) -> dict[str, str]:
        """All header fields but those that change from run to run or belong to the connection."""
        noise = {"date", "server", "connection", "keep-alive"}
        return {name: value for name, value in self.fields if name.lower() not in noise}


@dataclass(frozen=True, slots=True)
class Nginx:
    """A running nginx."""

    port: int
    folder: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self, target: str, headers: Mapping[str, str] | None = None, *, method: str = "GET", body: bytes = b""
    ) -> Answer:
        """Send one request as it is typed: nothing in `target` is encoded, no header is added but a Host."""
        headers = headers or {}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            connection.putrequest(method, target, skip_host="Host" in headers, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            if body:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body or None)
            response = connection.getresponse()
            return Answer(response.status, tuple(response.getheaders()), response.read())

    def requests(self) -> list[LoggedRequest]:
        """Return what was asked. Complete only after the `with` block: nginx writes a line after the answer is gone."""
        lines = (self.folder / "access.log").read_text().splitlines()
        found = [match for line in lines if (match := _LOGGED.search(line))]
        assert len(found) == len(lines), lines
        return [LoggedRequest(m["method"], m["target"], int(m["status"]), m["agent"]) for m in found]


def render(name: str, web: Path, port: int) -> str:
    """Return a shipped server block made to serve `web` on a loopback port, changed only where it says CHANGE."""
    text = (CONTRIB / name).read_text()
    text, listens = re.subn(
        r"(?m)^    listen [\w.]+(:80)?;.*$", f"    listen 127.0.0.1:{port};", text, count=1
    )
    text = re.sub(r"(?m)^    listen \[::\]:80;\n", "", text)
    text, roots = re.subn(r"(?m)^    root /srv/pypi/web;.*$", f"    root {web};", text)
    assert (listens, roots) == (1, 1), (
        "the shipped file no longer has the lines that a user is told to change"
    )
    return text


def check_config(site: str, folder: Path, *, extra: str = "") -> subprocess.CompletedProcess[str]:
    """Let nginx read a configuration, without serving anything."""
    command = [_find_nginx(), "-t", "-c", str(_write_config(site, folder, extra)), "-p", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


@contextlib.contextmanager
def run_nginx(
    name: str, web: Path, folder: Path, *, extra: str = "", edit: Callable[[str], str] = str
) -> Iterator[Nginx]:
    """Serve `web` by the shipped file `name`; `extra` stands in the http block before it, `edit` changes its text.

    The listening socket is made here and inherited, so that no port is guessed and the first request can wait in it.
    """
    program = _find_nginx()
    folder.mkdir(parents=True, exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        config = _write_config(edit(render(name, web, port)), folder, extra)
        with (folder / "output.log").open("wb") as output:
            process = subprocess.Popen(
                [program, "-c", str(config), "-p", str(folder)],
                env={**os.environ, "NGINX": f"{listener.fileno()};"},
                pass_fds=[listener.fileno()],
                stdout=output,
                stderr=output,
            )
    nginx = Nginx(port, folder)
    try:
        _wait_until_ready(nginx)
        yield nginx
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _find_nginx() -> str:
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.skip(
            "nginx is not installed, so what it would serve is NOT tested (Debian: apt-get install nginx)"
        )
    return program


def _write_config(site: str, folder: Path, extra: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "site.conf").write_text(site)
    mime_types = Path("/etc/nginx/mime.types")
    if not mime_types.exists():
        mime_types = folder / "mime.types"
        mime_types.write_text("types { text/html html; application/gzip gz; }")
    config = folder / "nginx.conf"
    # Root's workers would become `nobody`, who cannot look into a private temporary directory.
    user = "user root;" if os.geteuid() == 0 else ""
    config.write_text(
        _MAIN.format(
            folder=folder, mime_types=mime_types, site=folder / "site.conf", user=user, extra=extra
        ).lstrip()
    )
    return config


def _wait_until_ready(nginx: Nginx) -> None:
    """One request: it waits in the inherited socket until nginx takes it, and is reset if nginx dies."""
    try:
        nginx.ask("/ready-or-not")
    except (OSError, http.client.HTTPException) as error:
        logs = [log.read_text() for log in sorted(nginx.folder.glob("*.log"))]
        raise AssertionError("nginx did not start:\n" + "\n".join(logs)) from error
