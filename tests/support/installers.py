"""Real pip and real uv, cut off from every index, configuration and cache but the ones a test names."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

Environment = Mapping[str, str]


def isolated(folder: Path) -> dict[str, str]:
    """Return an environment without any index, configuration, cache or way out of this machine."""
    foreign = ("PIP_", "UV_", "VIRTUAL_ENV", "PYTHON", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(foreign)}
    nowhere = "http://127.0.0.1:9"
    return kept | {
        "HOME": str(folder / "home"),
        "XDG_CONFIG_HOME": str(folder / "home"),
        "http_proxy": nowhere,
        "https_proxy": nowhere,
        "no_proxy": "127.0.0.1",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_CACHE_DIR": str(folder / "pip-cache"),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "UV_CACHE_DIR": str(folder / "uv-cache"),
        "UV_NO_CONFIG": "1",
        "UV_PYTHON_DOWNLOADS": "never",
    }


def run(program: str, *arguments: object, env: Environment) -> str:
    """Run `python -m program`; what it prints is the test's message if it fails."""
    command = [sys.executable, "-m", program, *map(str, arguments)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def needs_pip() -> None:
    pytest.importorskip("pip", reason="pip is not in this environment, so installing with it is NOT tested")


def needs_uv() -> None:
    uv = pytest.importorskip(
        "uv", reason="uv is not installed, so installing with it is NOT tested (pip install uv)"
    )
    assert uv.find_uv_bin()


def pip_install(target: Path, index_url: str, env: Environment, *requirements: str) -> None:
    """Install into a folder, by default the project `snark`."""
    needs_pip()
    wanted = requirements or ("snark",)
    run("pip", "install", "--target", target, *wanted, env={**env, "PIP_INDEX_URL": index_url})


def uv_install(target: Path, index_url: str, env: Environment, *requirements: str) -> None:
    """Install into a folder, by default the project `snark`."""
    needs_uv()
    wanted = requirements or ("snark",)
    run(
        "uv", "pip", "install", "--python", sys.executable, "--target", target, *wanted,
        env={**env, "UV_DEFAULT_INDEX": index_url},
    )  # fmt: skip


INSTALLERS = {"pip": pip_install, "uv": uv_install}


def imported(target: Path, *modules: str) -> list[str]:
    """Return the `__version__` of modules, imported from a folder and nowhere else."""
    program = f"import sys; sys.path.insert(0, {str(target)!r})\n" + "".join(
        f"import {module}; print({module}.__version__)\n" for module in modules
    )
    command = [sys.executable, "-I", "-c", program]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split()
