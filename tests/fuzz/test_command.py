"""`python -m fuzz`: it fuzzes, or says loudly that it does not."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fuzz", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.skipif(importlib.util.find_spec("atheris") is not None, reason="atheris is installed here")
def test_without_atheris_it_says_that_nothing_was_fuzzed():
    done = run("name", "--seconds", "1")

    assert done.returncode == 2
    assert "NOTHING WAS FUZZED" in done.stderr
    assert "make fuzz" in done.stderr


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed: make fuzz")
def test_with_atheris_it_fuzzes():
    assert run("name", "--seconds", "1").returncode == 0


def test_one_input_can_be_given_again(tmp_path):
    (tmp_path / "input").write_bytes(b"six")

    done = run("name", "--replay", str(tmp_path / "input"))

    assert (done.returncode, "name stands" in done.stdout) == (0, True)


def test_a_run_without_an_end_is_refused():
    """libFuzzer takes 0 seconds for that."""
    done = run("name", "--seconds", "0")

    assert (done.returncode, "1 or more" in done.stderr) == (2, True)
