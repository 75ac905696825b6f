"""The real `frumious serve` on a free loopback port, for as long as a `with` block lasts."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from support.program import BIN

_SERVING = re.compile(r"serving .* at ((?:https?://|unix:)\S+?)/? by \d+ workers?")


@dataclass
class Answer:
    """One answer, whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    raw: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Serving:
    """A server that is up."""

    url: str
    process: subprocess.Popen[str]
    log: Path

    @property
    def port(self) -> int:
        port = urlsplit(self.url).port
        assert port is not None
        return port

    def ask(self, target: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
        """Send one request as it is written: the target is not touched, `If_None_Match=` becomes a header."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        with contextlib.closing(connection):
            connection.putrequest(method, target, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name.replace("_", "-"), value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            raw = answer.getheaders()
            return Answer(answer.status, {name.lower(): value for name, value in raw}, answer.read(), raw)

    def children(self) -> set[str]:
        """Return the process ids of its workers."""
        done = subprocess.run(
            ["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True, check=False
        )
        return set(done.stdout.split())

    def stop(self, number: int = signal.SIGTERM, timeout: float = 20) -> int:
        """Ask the server to end, and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout)


@contextlib.contextmanager
def serving(
    config: Path, *args: object, env: Mapping[str, str] | None = None, workers: int = 1, port: int = 0
) -> Iterator[Serving]:
    """Serve what a configuration file names; port 0 takes any."""
    log = config.with_name(f"{config.name}.serve.log")
    with log.open("w") as output:
        process = subprocess.Popen(
            [BIN / "frumious", "-c", config, "serve", "--port", str(port), "--workers", str(workers), *map(str, args)],
            stdout=output, stderr=output, text=True, env={**os.environ, **(env or {})}, start_new_session=True,
        )  # fmt: skip
    try:
        yield Serving(_await_url(process, log), process, log)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _await_url(process: subprocess.Popen[str], log: Path) -> str:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = _SERVING.search(log.read_text())
        if found:
            _await_answer(found[1], deadline)
            return found[1]
        assert process.poll() is None, f"serve ended with {process.returncode}:\n{log.read_text()}"
        time.sleep(0.02)
    raise AssertionError(f"serve did not say where it listens:\n{log.read_text()}")


def _await_answer(url: str, deadline: float) -> None:
    where = urlsplit(url)
    if where.scheme != "http":
        return  # whoever asks waits in the socket
    while time.monotonic() < deadline:
        with (
            contextlib.suppress(OSError),
            contextlib.closing(http.client.HTTPConnection("127.0.0.1", where.port, timeout=5)) as connection,
        ):
            connection.request("GET", "/health")
            connection.getresponse().read()
            return
        time.sleep(0.02)
    raise AssertionError(f"nobody answers at {url}")


def free_port() -> int:
    """Return a port that nobody has at this moment, for who must know it before the server is up."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def write_config(path: Path, directory: Path, server: str = "", **mirror: object) -> Path:
    """Write a configuration for a tree that is there."""
    lines = [
        f"{key.replace('_', '-')} = {value}" for key, value in {"directory": directory, **mirror}.items()
    ]
    path.write_text("\n".join(["[mirror]", *lines, "[server]", server, ""]))
    return path
