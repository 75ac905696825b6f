"""The one test that leaves this machine: two tiny projects, by name, from the real index into a folder and into pip.

What answers as the real index may be less than it: HTML alone, or JSON of an older API, no serials, no ETags, no core
metadata. Nothing here needs them. FRUMIOUS_NO_PYPI=1 switches it off; an index that cannot be reached is no failure.
Conformance 100, 101.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import pytest

from frumious.config import default_master
from frumious.storage.local import LocalStorage
from support import invariants
from support.installers import isolated, needs_pip
from support.installers import run as run_module
from support.nginx import run_nginx
from support.program import run

PROJECTS = ("iniconfig", "mdurl")
"""Around ten files of ten kilobytes each, and no dependencies."""

pytestmark = [
    pytest.mark.real_pypi,
    pytest.mark.slow,
    pytest.mark.skipif(
        os.environ.get("FRUMIOUS_NO_PYPI", "") not in {"", "0"},
        reason="FRUMIOUS_NO_PYPI is set, so the real index is NOT tested",
    ),
]


@pytest.fixture(scope="module")
def master():
    """The default master, if it answers to somebody else's client in this environment."""
    address = default_master()
    for name in PROJECTS:
        request = urllib.request.Request(f"{address}/simple/{name}/", headers={"Accept": "*/*"})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                answer.read()
        except (OSError, urllib.error.URLError) as error:
            pytest.skip(f"the real index does not answer here ({error}), so it is NOT tested")
    return address


@contextlib.contextmanager
def serving(web, folder):
    """Yield the address of a server over the tree: nginx where there is one, else Python's own."""
    if shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"):
        with run_nginx("frumious-static.conf", web, folder) as nginx:
            yield nginx.url
        return
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(web))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def check_tree(directory):
    async def check():
        storage = LocalStorage(directory)
        try:
            await invariants.check(storage)
        finally:
            await storage.aclose()

    asyncio.run(check())


def test_two_tiny_projects_come_from_the_real_index_and_install(master, tmp_path):
    needs_pip()
    directory, config, summary = tmp_path / "mirror", tmp_path / "frumious.conf", tmp_path / "summary.json"
    names = "".join(f"    {name}\n" for name in PROJECTS)
    config.write_text(
        f"[mirror]\ndirectory = {directory}\nmaster = {master}\ntimeout = 20\nsummary-file = {summary}\n"
        f"[plugins]\nenabled =\n    allowlist_project\n[allowlist]\npackages =\n{names}"
    )

    done = run("-c", config, "mirror", timeout=300)
    if done.returncode == 3:  # a file that broke off on the long way: the next run goes on from there
        done = run("-c", config, "mirror", timeout=300)
    assert done.returncode == 0, done.stderr
    assert "ERROR" not in done.stderr
    check_tree(directory)
    for name in PROJECTS:
        page = json.loads((directory / "web/simple" / name / "index.v1_json").read_text())
        assert page["meta"]["api-version"] == "1.4", "every file is held, so every size is known"
        assert page["files"], name
        assert {file["url"][:15] for file in page["files"]} == {"../../packages/"}

    again = run("-c", config, "mirror", timeout=300)
    assert again.returncode == 0, again.stderr
    said = json.loads(summary.read_text())
    assert (said["updated"], said["unchanged"], said["files"]) == (0, 2, 0), "nothing new, nothing fetched"

    target = tmp_path / "target"
    with serving(directory / "web", tmp_path / "nginx") as address:
        env = {**isolated(tmp_path), "PIP_INDEX_URL": f"{address}/simple"}
        run_module("pip", "install", "--target", target, *PROJECTS, env=env)
    program = f"import sys; sys.path.insert(0, {str(target)!r}); import {', '.join(PROJECTS)}; print(mdurl.__file__)"
    shown = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert shown.stdout.startswith(str(target))
