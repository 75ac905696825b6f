"""Installers of several ages and makes, each fetched once and by its name, for tests of what they ask of a server.

They live in `.cache/clients` of the checkout; what cannot be had is skipped, and the skip says what is not tested then.
"""

from __future__ import annotations

import fcntl
import functools
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

HOME = Path(__file__).parents[2] / ".cache/clients"
PYENV = Path.home() / ".pyenv/versions"


@contextmanager
def _alone(name: str) -> Iterator[Path]:
    """Give the folder of a client while nobody else makes it."""
    HOME.mkdir(parents=True, exist_ok=True)
    with (HOME / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield HOME / name


def _must(name: str, *command: object) -> None:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, timeout=300)
    if done.returncode != 0:
        pytest.skip(f"{name} cannot be had, so it is NOT tested: {done.stderr.strip()[-200:]}")


@functools.cache
def pip_wheel(version: str) -> Path:
    """Return the wheel of a pip, which runs from where it lies: `python WHEEL/pip install`."""
    name = f"pip-{version}"
    with _alone(name) as folder:
        if not list(folder.glob("*.whl")):
            _must(
                name, sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:",
                "--python-version", "3.11", "-d", folder, f"pip=={version}",
            )  # fmt: skip
        (wheel,) = folder.glob("*.whl")
        return wheel


@functools.cache
def tool(name: str) -> Path:
    """Return the program of an installer that has an environment of its own: poetry, pdm, pipenv."""
    with _alone(name) as folder:
        program = folder / "bin" / name
        if not program.exists():
            _must(
                name, sys.executable, "-m", "uv", "venv", "-q", "--clear", "--python", sys.executable, folder
            )
            _must(name, sys.executable, "-m", "uv", "pip", "install", "-q", "--python", folder / "bin/python", name)  # fmt: skip
        return program


def old_python(version: str) -> Path:
    """Return a Python of pyenv's by the beginning of its version; skips where there is none."""
    for path in sorted(PYENV.glob(f"{version}.*/bin/python"), reverse=True):
        return path
    pytest.skip(f"Python {version} is not at pyenv's, so its own pip is NOT tested")
