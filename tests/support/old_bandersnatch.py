"""bandersnatches that follow their upstream by XML-RPC, each in an environment of its own: 2.0.0 to 7.1.0.

Each starts on few Pythons, so these are looked for on PATH and at pyenv's, and fetched by nobody. `scripts/setup test` runs this file
as a program; where it did not, the first test that needs an environment makes it.
"""

from __future__ import annotations

import fcntl
import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

VERSIONS = {"2.0.0": "3.7", "3.6.0": "3.7", "4.4.0": "3.8", "5.3.0": "3.10", "6.6.0": "3.11", "7.1.0": "3.12"}
"""The last release of each line (the first of 2: what the origin of this project had), and a Python that runs it."""
OF_THEIR_TIME = {
    version: ["setuptools<58", *(["packaging<22"] if version < "6" else [])] for version in VERSIONS
}
"""What they import and later releases no longer have: `pkg_resources`, `LegacyVersion`."""
ROOT = Path(__file__).parents[2]


class Missing(Exception):
    """There is none here; the text says why."""


def old_bandersnatch(version: str) -> Path:
    """Return the program; skip the test where there is none."""
    import pytest

    outcome = _outcome(version)
    if isinstance(outcome, Missing):
        pytest.skip(
            f"no bandersnatch {version} here ({outcome}), so mirroring from us with it (XML-RPC) is NOT tested"
        )
    return outcome


def ensure(version: str) -> Path:
    """Return the program, making its environment if need be; raises Missing."""
    home = ROOT / f".venv-bandersnatch-{version.rpartition('.')[0]}"
    program = home / "bin/bandersnatch"
    folder = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)  # two test runs may start together
        if not _starts(program):
            shutil.rmtree(home, ignore_errors=True)
            _must(_python(VERSIONS[version]), "-m", "venv", home)
            _must(home / "bin/pip", "install", "-q", f"bandersnatch=={version}", *OF_THEIR_TIME[version])
    finally:
        os.close(folder)
    if not _starts(program):
        raise Missing(f"{home.name} was made, but its program does not start")
    return program


@functools.cache
def _outcome(version: str) -> Path | Missing:
    try:
        return ensure(version)
    except Missing as missing:
        return missing  # trying takes long, so it is tried once


def _python(minor: str) -> Path:
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found = [*pyenv.glob(f"versions/{minor}.*/bin/python"), *filter(None, [shutil.which(f"python{minor}")])]
    for python in map(Path, found):
        if _starts(python):
            return python
    raise Missing(f"it needs Python {minor}: `pyenv install {minor}`")


def _starts(program: Path) -> bool:
    try:
        done = subprocess.run([program, "--help"], capture_output=True, check=False, timeout=60)
    except OSError:
        return False
    return done.returncode == 0


def _must(*command: object) -> None:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, timeout=300)
    if done.returncode != 0:
        raise Missing(((done.stderr or done.stdout).strip().splitlines() or ["no reason given"])[-1])


if __name__ == "__main__":
    missing = [f"{version} ({one})" for version in VERSIONS if isinstance(one := _outcome(version), Missing)]
    if missing:
        sys.exit(f"warning: no bandersnatch {', '.join(missing)}")
