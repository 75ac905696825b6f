"""Mirror a handful of real projects, serve the tree, install one of them with pip and with uv; show every step.

Reaches PyPI for the named projects only. Everything is made in `.demo/`, which may be thrown away.
"""

from __future__ import annotations

import contextlib
import functools
import http.server
import os
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / ".demo"
PROJECTS = ("six", "packaging", "attrs", "click", "idna", "markupsafe")
INSTALLED = "attrs"


def say(text: str) -> None:
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}", flush=True)


def run(*command: str | Path, env: dict[str, str] | None = None) -> None:
    shown = shlex.join(str(part).replace(f"{ROOT}/", "") for part in command)
    print(f"$ {shown}", flush=True)
    code = subprocess.run([str(part) for part in command], check=False, env=env).returncode
    if code:
        raise SystemExit(
            f"\nerror: this ended with {code}: {shown}\nWhat stands above says why; run the demo again afterwards."
        )


def mirror() -> Path:
    """Let Frumious write its default configuration, change what a person would change, and mirror."""
    program, config = Path(sys.executable).with_name("frumious"), DEMO / "bandersnatch.conf"
    say("1. A first run without a configuration file writes one")
    config.unlink(missing_ok=True)
    code = subprocess.run([program, "-c", config, "mirror"], check=False).returncode
    if code != 1:
        raise SystemExit(f"expected exit code 1, got {code}")
    text = config.read_text(encoding="utf-8")
    for before, after in (
        ("directory = /srv/pypi\n", f"directory = {DEMO / 'mirror'}\n"),
        (";enabled =\n;    allowlist_project\n", "enabled =\n    allowlist_project\n"),
        (
            ";packages =\n;    six\n;    requests\n",
            "packages =\n" + "".join(f"    {name}\n" for name in PROJECTS),
        ),
    ):
        if before not in text:
            raise SystemExit(f"the default configuration has changed: no {before!r} in it")
        text = text.replace(before, after, 1)
    config.write_text(text, encoding="utf-8")
    say(f"2. Mirror {', '.join(PROJECTS)}")
    run(program, "-c", config, "mirror")
    say("3. Again: nothing new, so nothing is downloaded")
    run(program, "-c", config, "mirror")
    return DEMO / "mirror" / "web"


class Quiet(http.server.SimpleHTTPRequestHandler):
    """The tree as plain files: enough for pip and uv; contrib/nginx is for real use."""

    served: list[str] = []  # noqa: RUF012 - one server, one log

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class says so
        self.served.append(self.path)


@contextlib.contextmanager
def serve(web: Path) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(web)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/simple/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def clean_environment(index: str) -> dict[str, str]:
    """Return an environment in which installers know our mirror and nothing else."""
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "UV_")) and "proxy" not in k.lower()
    }
    return {
        **kept,
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": index,
        "UV_NO_CONFIG": "1",
        "UV_DEFAULT_INDEX": index,
    }


def install(index: str) -> None:
    environment = clean_environment(index)
    for tool in ("pip", "uv"):
        say(
            f"{4 if tool == 'pip' else 5}. Install {INSTALLED} from the mirror with {tool}, into a new environment"
        )
        place = DEMO / f"with-{tool}"
        shutil.rmtree(place, ignore_errors=True)
        python = place / "bin" / "python"
        if tool == "pip":
            run(sys.executable, "-m", "venv", place)
            run(
                python,
                "-m",
                "pip",
                "install",
                "--no-cache-dir",
                "--disable-pip-version-check",
                INSTALLED,
                env=environment,
            )
        else:
            uv = find_uv()
            if uv is None:
                print("skipped: uv is not on the PATH and could not be installed")
                continue
            run(uv, "venv", "--python", sys.executable, place, env=environment)
            run(uv, "pip", "install", "--no-cache", "--python", python, INSTALLED, env=environment)
        run(python, "-c", f'import attr; print("{INSTALLED}", attr.__version__, "works")')


def find_uv() -> str | None:
    beside = Path(sys.executable).with_name("uv")
    if not beside.exists():
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", "uv"], check=False)
    return str(beside) if beside.exists() else shutil.which("uv")


def main() -> None:
    DEMO.mkdir(exist_ok=True)
    web = mirror()
    with serve(web) as index:
        print(f"\nserving {web.relative_to(ROOT)} at {index}")
        install(index)
    say("Done")
    print(
        f"{len(Quiet.served)} requests, all to this mirror. The tree is in {web.relative_to(ROOT)}; look into it,"
    )
    print("or put nginx in front of it: docs/serving.md")


if __name__ == "__main__":
    main()
