"""The real bandersnatch, in an environment of its own, to compare with and to take over from.

    bandersnatch = real_bandersnatch()                       # skips, and says why, where it cannot be had
    config = bandersnatch.write_config(
        tmp_path / "bandersnatch.conf", tmp_path / "mirror", served.url,
        plugins=["latest_release"], sections={"latest_release": {"keep": 2}}, json="true",
    )
    done = bandersnatch.mirror(config)
    assert done.returncode == 0, done.stderr

It wants a newer Python than Frumious, so it lives in `.venv-bandersnatch` beside `.venv`, for which it looks for a
Python on PATH and at pyenv's, and in the end asks uv to fetch one. `scripts/setup test` runs this file as a program;
where it did not, the first test that needs the environment makes it.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

VERSION = "8.2"
OLDEST_PYTHON = (3, 12)
ROOT = Path(__file__).parents[2]
HOME = ROOT / ".venv-bandersnatch"

Value = str | float | Path | Sequence[str]
"""A sequence is a list of bandersnatch: one item on each line."""


class Missing(Exception):
    """There is no bandersnatch here; the text says why."""


@dataclass(frozen=True)
class Bandersnatch:
    """A program, and how to run it beside a served index."""

    program: Path
    env: Mapping[str, str] = field(default_factory=dict)
    """For example SSL_CERT_FILE, where the index speaks https with a certificate of its own."""

    def run(self, *args: object, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a command line to its end."""
        # It goes to a proxy whatever NO_PROXY says; with no proxy variables there is none.
        proxies = {name: "" for name in os.environ if name.lower().endswith("_proxy")}
        return _run([self.program, *args], timeout=timeout, env=proxies | dict(self.env))

    def mirror(self, config: Path) -> subprocess.CompletedProcess[str]:
        """Run one `mirror`. It ends with 0 also where projects failed: see `done.stderr` and `todo`."""
        return self.run("-c", config, "mirror")

    @staticmethod
    def write_config(
        path: Path,
        directory: Path,
        master: str,
        *,
        plugins: Iterable[str] = (),
        sections: Mapping[str, Mapping[str, Value]] | None = None,
        **mirror: Value,
    ) -> Path:
        """Write a configuration file, for Frumious as well, and return its path.

        Options of `[mirror]` are keywords: `allow_non_https` is `allow-non-https`, but for the four that bandersnatch
        itself spells with an underscore.
        """
        base: dict[str, Value] = {"directory": directory, "master": master, "timeout": 30}
        if not master.startswith("https:"):
            base["allow-non-https"] = "true"
        options = {name if name in UNDERSCORED else name.replace("_", "-"): mirror[name] for name in mirror}
        everything: dict[str, Mapping[str, Value]] = {"mirror": base | options}
        if enabled := list(plugins):
            everything["plugins"] = {"enabled": enabled}
        everything.update(sections or {})
        path.write_text("\n".join(_section(name, options) for name, options in everything.items()))
        return path


UNDERSCORED = {"root_uri", "digest_name", "keep_index_versions", "cleanup_todo", "delete_missing_packages"}


def real_bandersnatch(**env: str) -> Bandersnatch:
    """Return the real program, with these variables in its environment; skip the test where there is none."""
    import pytest

    try:
        return Bandersnatch(_found_or_made(), env)
    except Missing as missing:
        pytest.skip(f"no bandersnatch {VERSION} here ({missing}), so Frumious is NOT compared with it")


def ensure() -> Path:
    """Return the program, making its environment if need be; raises Missing."""
    with _one_at_a_time():
        if (program := _working()) is None:
            _make_environment()
            _install()
            program = _working()
    if program is None:
        raise Missing(f"{HOME.name} was made, but its program does not start")
    return program


@functools.cache
def _outcome() -> Path | Missing:
    try:
        return ensure()
    except Missing as missing:
        return missing  # trying takes long, so it is tried once


def _found_or_made() -> Path:
    outcome = _outcome()
    if isinstance(outcome, Missing):
        raise outcome
    return outcome


def _working() -> Path | None:
    program = HOME / "bin" / "bandersnatch"
    said = _run([program, "--version"]).stdout
    return program if f" {VERSION}." in said else None


def _make_environment() -> None:
    shutil.rmtree(HOME, ignore_errors=True)
    problems = []
    for python in _pythons():
        done = _run([python, "-m", "venv", "--without-pip", HOME])
        if done.returncode == 0:
            return
        problems.append(f"{python}: {_problem(done)}")
    if uv := shutil.which(
        "uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    ):
        wanted = ">=" + ".".join(map(str, OLDEST_PYTHON))
        done = _run([uv, "venv", "--quiet", "--python", wanted, HOME], timeout=600)
        if done.returncode == 0:
            return
        problems.append(f"uv: {_problem(done)}")
    wanted = ".".join(map(str, OLDEST_PYTHON))
    raise Missing("; ".join([f"it needs Python {wanted} or newer", *problems]))


def _install() -> None:
    # This environment's pip installs into the other, which needs none then.
    target = ["--python", HOME / "bin" / "python"]
    done = _run(
        [sys.executable, "-m", "pip", *target, "install", "--quiet", f"bandersnatch=={VERSION}.*"],
        timeout=600,
    )
    if done.returncode != 0:
        raise Missing(f"pip: {_problem(done)}")


def _pythons() -> Iterator[str]:
    """Yield the Pythons that are new enough."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    names = [sys.executable, "python3", "python3.14", "python3.13", "python3.12"]
    found = [path for name in names if (path := shutil.which(name))]
    found += map(str, sorted(pyenv.glob("versions/3.*/bin/python"), reverse=True))
    question = f"import sys; sys.exit(sys.version_info < {OLDEST_PYTHON})"
    for python in dict.fromkeys(found):
        if _run([python, "-c", question]).returncode == 0:
            yield python


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Hold a lock that needs no file of its own: two test runs may start together."""
    folder = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _run(
    command: Sequence[object], *, timeout: float = 60, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    words = [str(word) for word in command]
    try:
        return subprocess.run(
            words,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            env={**os.environ, **(env or {})},
        )
    except OSError as error:
        return subprocess.CompletedProcess(words, 127, "", str(error))


def _problem(done: subprocess.CompletedProcess[str]) -> str:
    """Return the line that says most: the first error, else the last of all."""
    lines = (done.stderr or done.stdout).strip().splitlines() or [f"exit code {done.returncode}"]
    return next((line for line in lines if line.lower().startswith("error")), lines[-1])


def _section(name: str, options: Mapping[str, Value]) -> str:
    lines = [f"[{name}]"]
    for key, value in options.items():
        if isinstance(value, str) or not isinstance(value, Sequence):
            lines.append(f"{key} = {value}")
        else:
            lines += [f"{key} =", *(f"    {item}" for item in value)]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    try:
        ensure()
    except Missing as missing:
        sys.exit(f"warning: no bandersnatch {VERSION}: {missing}")
