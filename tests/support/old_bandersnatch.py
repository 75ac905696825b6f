"""bandersnatch 2.0.0, which follows its upstream by XML-RPC, in an environment of its own.

It starts on Python 3.7 and on nothing that is still kept, so it is looked for as `python3.7` on PATH and at pyenv's, and
fetched by nobody. `scripts/setup test` runs this file as a program; where it did not, the first test that needs the
environment makes it.
"""

from __future__ import annotations

import fcntl
import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

VERSION = "2.0.0"
ROOT = Path(__file__).parents[2]
HOME = ROOT / ".venv-bandersnatch-2.0"


class Missing(Exception):
    """There is none here; the text says why."""


def old_bandersnatch() -> Path:
    """Return the program; skip the test where there is none."""
    import pytest

    outcome = _outcome()
    if isinstance(outcome, Missing):
        pytest.skip(
            f"no bandersnatch {VERSION} here ({outcome}), so mirroring from us with it (XML-RPC) is NOT tested"
        )
    return outcome


def ensure() -> Path:
    """Return the program, making its environment if need be; raises Missing."""
    program = HOME / "bin/bandersnatch"
    folder = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)  # two test runs may start together
        if not _starts(program):
            shutil.rmtree(HOME, ignore_errors=True)
            _must(_python(), "-m", "venv", HOME)
            # It is started through `pkg_resources`: with a setuptools of its own time.
            _must(HOME / "bin/pip", "install", "-q", f"bandersnatch=={VERSION}", "setuptools<58")
    finally:
        os.close(folder)
    if not _starts(program):
        raise Missing(f"{HOME.name} was made, but its program does not start")
    return program


@functools.cache
def _outcome() -> Path | Missing:
    try:
        return ensure()
    except Missing as missing:
        return missing  # trying takes long, so it is tried once


def _python() -> Path:
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found = [*pyenv.glob("versions/3.7.*/bin/python"), *filter(None, [shutil.which("python3.7")])]
    for python in map(Path, found):
        if _starts(python):
            return python
    raise Missing("it needs Python 3.7: `pyenv install 3.7`")


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
    try:
        ensure()
    except Missing as missing:
        sys.exit(f"warning: no bandersnatch {VERSION}: {missing}")
