"""The real program as a subprocess, and a configuration file beside a served index for it to read."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from support.index import Served

BIN = Path(sys.executable).parent
LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (DEBUG|INFO|WARNING|ERROR|CRITICAL): ")
"""How every line of a log begins."""


def run(
    *args: object,
    program: str = "frumious",
    env: Mapping[str, str] | None = None,
    timeout: float = 60,
    **options: Any,
) -> subprocess.CompletedProcess[str]:
    """Run a command line to its end."""
    return subprocess.run(
        [BIN / program, *map(str, args)],
        capture_output=True, text=True, timeout=timeout, check=False, env={**os.environ, **(env or {})}, **options,
    )  # fmt: skip


class Mirror:
    """A configuration file beside a served index."""

    def __init__(self, tmp_path: Path, served: Served) -> None:
        self.index, self.served = served.index, served
        self.directory, self.config = tmp_path / "mirror", tmp_path / "frumious.conf"
        self.write()

    def write(self, extra: str = "", **keys: object) -> None:
        """Write the configuration: the served index is the master, `extra` stands at the end."""
        values = {"directory": self.directory, "master": self.served.url, "timeout": 2, **keys}
        lines = [f"{key.replace('_', '-')} = {value}" for key, value in values.items()]
        self.config.write_text("\n".join(["[mirror]", *lines, extra, ""]))

    @property
    def env(self) -> dict[str, str]:
        """What the program needs to trust the served index and to go there by no proxy."""
        trust = {} if self.served.ca_pem is None else {"SSL_CERT_FILE": str(self.served.ca_pem)}
        return {**trust, "no_proxy": "127.0.0.1,localhost"}

    def run(self, *args: object, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command with this configuration."""
        return run("-c", self.config, *args, env=self.env, **options)

    def start(self, *args: object) -> subprocess.Popen[str]:
        """Start a command with this configuration, and do not wait for it."""
        return subprocess.Popen(
            [BIN / "frumious", "-c", self.config, *map(str, args)],
            stderr=subprocess.PIPE, text=True, env={**os.environ, **self.env},
        )  # fmt: skip

    def page(self, name: str) -> Any:
        """Return a project's JSON page."""
        return json.loads((self.directory / "web/simple" / name / "index.v1_json").read_text())


def wait_for(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Return once a condition holds; AssertionError if it takes too long."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)
