"""One attack on one project of an index, run for real: what is harmed, what is told, and what the next run makes of it.

The index has three projects: `victim`, which is attacked, `other`, which changes at the same time, and `still`. A copy of
a mirror made before is brought up to date while the attack goes on, and again when it is over.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from frumious.cli import run
from support import httpd
from support.index import IndexFile, Served, SimulatedIndex, Site
from support.index_pages import JSON_TYPE, Place

OLD, NEW = "victim-1.0-py3-none-any.whl", "victim-2.0-py3-none-any.whl"
TAGS = {"html", "head", "meta", "title", "body", "h1", "a", "br"}
ATTRIBUTES = {
    "meta": {"charset", "name", "content"},
    "a": {
        "href",
        "data-requires-python",
        "data-dist-info-metadata",
        "data-core-metadata",
        "data-yanked",
        "data-provenance",
    },
}

Override = Callable[[httpd.Request, str, bytes], "httpd.Action | None"]
"""A request, its target, and the good body: what is answered instead; None: the good answer."""


@dataclass
class Result:
    """What came of a run."""

    code: int
    log: str
    seconds: float
    peak_mb: float


_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["frumious.cli.command"])
"""A process of its own for each run, without the half second that it takes to import everything."""


def _run(argv: list[str], env: dict[str, str], log: str, memory: str) -> None:
    """Be the program, in a process that has imported it; leave the peak of its memory in kB."""
    os.environ.clear()
    os.environ.update(env)
    with Path(log).open("wb", buffering=0) as stream:
        os.dup2(stream.fileno(), 2)
    code = run(argv)
    sys.stderr.flush()
    Path(memory).write_text(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))
    os._exit(code)


class Range:
    """A served index that can be told to misbehave, and a whole mirror of how it was before its last edits."""

    def __init__(self, folder: Path, served: Served, site: Site, extra: dict[str, Any]) -> None:
        self.folder, self.served, self.site, self._extra = folder, served, site, extra
        self.index = served.index
        self.before = folder / "before"

    def attack_with(self, override: Override | None) -> None:
        """Answer so from now on."""
        self._extra["override"] = override

    def place(self, tmp_path: Path) -> Target:
        """Return a copy of the mirror, below a folder that is empty otherwise."""
        target = Target(self, tmp_path / "ground")
        target.directory.parent.mkdir()
        shutil.copytree(self.before, target.directory, symlinks=True)
        return target


class Target:
    """One copy of the mirror, to be attacked."""

    def __init__(self, ground: Range, folder: Path) -> None:
        self.range, self.folder = ground, folder
        self.directory = folder / "mirror"
        self.config = folder / "frumious.conf"
        self.extra = ""

    def run(self, *args: str, seconds: float = 60, trust: bool = True) -> Result:
        """Run `mirror` to its end, which must come within so many seconds."""
        served = self.range.served
        self.config.write_text(
            f"[mirror]\ndirectory = {self.directory}\nmaster = {served.url}\ntimeout = 1\nglobal-timeout = 6\n{self.extra}\n"
        )
        env = {**os.environ, "no_proxy": "127.0.0.1,localhost"}
        if trust:
            env["SSL_CERT_FILE"] = str(served.ca_pem)
        began = time.monotonic()
        log, memory = self.folder.parent / "log", self.folder.parent / "memory"
        argv = ["-c", str(self.config), "mirror", *args]
        process = _PROCESSES.Process(target=_run, args=(argv, env, str(log), str(memory)))
        process.start()
        process.join(seconds)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise AssertionError(f"it does not end: {log.read_text()}")
        peak = int(memory.read_text()) if memory.exists() else 0
        return Result(process.exitcode, log.read_text(), time.monotonic() - began, peak / 1024)

    # What there is.

    def page(self, name: str) -> Any:
        return json.loads((self.directory / "web/simple" / name / "index.v1_json").read_text())

    def files(self, name: str) -> list[str]:
        return [file["filename"] for file in self.page(name)["files"]]

    def tree(self) -> dict[str, bytes]:
        """Return every file below `web/`, by its path there."""
        web = self.directory / "web"
        return {str(p.relative_to(web)): p.read_bytes() for p in sorted(web.rglob("*")) if p.is_file()}

    def check(self) -> None:
        """Assert what must hold whatever upstream does."""
        assert {p.name for p in self.folder.iterdir()} <= {"mirror", "frumious.conf"}, (
            "something lies outside"
        )
        ours = {"web", ".frumious", ".lock", "status", "todo", "generation"}
        assert {p.name for p in self.directory.iterdir()} <= ours
        for path in self.directory.rglob("*"):
            assert not path.is_symlink()
            assert path.resolve().is_relative_to(self.directory.resolve())
        web = self.directory / "web"
        assert {p.name for p in web.iterdir()} <= {
            "simple", "packages", "local-stats", "last-modified", "local.json", "local.db.serial",
        }  # fmt: skip
        names = {p.name for p in (web / "simple").iterdir() if p.is_dir()}
        listed = {
            entry["name"].lower()
            for entry in json.loads((web / "simple/index.v1_json").read_text())["projects"]
        }
        assert listed == names
        for name in names:
            folder = web / "simple" / name
            check_page(folder / "index.v1_json", name, web)
            check_html((folder / "index.html").read_bytes(), f"/simple/{name}/", web)
        check_html((web / "simple/index.html").read_bytes(), "/simple/", web)


def check_page(path: Path, name: str, web: Path) -> None:
    """Assert that a JSON page lists only what is there, with the right digest, and its core metadata."""
    page = json.loads(path.read_bytes())
    assert page["name"] == name
    for file in page["files"]:
        stored = path_of(urljoin(f"/simple/{name}/", file["url"]), web)
        assert stored.name == file["filename"]
        body = stored.read_bytes()
        assert hashlib.sha256(body).hexdigest() == file["hashes"]["sha256"]
        assert len(body) == file["size"]
        if said := file.get("core-metadata"):
            metadata = stored.with_name(f"{stored.name}.metadata").read_bytes()
            assert hashlib.sha256(metadata).hexdigest() == said["sha256"]


def path_of(link: str, web: Path) -> Path:
    """Return where a link leads, which must be a file of ours."""
    parts = urlsplit(link)
    assert not parts.scheme
    assert not parts.netloc
    path = web / unquote(parts.path).lstrip("/")
    assert path.resolve().is_relative_to((web / "packages").resolve())
    return path


class _Reader(HTMLParser):
    def __init__(self, base: str, web: Path) -> None:
        super().__init__()
        self.base, self.web = base, web

    def handle_starttag(self, tag, attrs):
        assert tag in TAGS, f"an element that is not ours: {tag}"
        assert {key for key, _ in attrs} <= ATTRIBUTES.get(tag, set()), attrs
        link = dict(attrs).get("href")
        if link is None:
            return
        if self.base == "/simple/":
            assert (self.web / "simple" / link / "index.html").is_file()
        else:
            assert path_of(urljoin(self.base, link.partition("#")[0]), self.web).is_file()


def check_html(body: bytes, base: str, web: Path) -> None:
    """Assert that an HTML page has no element, attribute or link that is not ours."""
    reader = _Reader(base, web)
    reader.feed(body.decode())
    reader.close()


@contextmanager
def open_range(folder: Path) -> Iterator[Range]:
    """Serve an index over https, mirror it, and edit it: `victim` and `other` have a new release."""
    index = SimulatedIndex()
    for name in ("victim", "other", "still"):
        index.upload(name, "1.0")
    extra: dict[str, Any] = {"override": None}

    async def handler(request: httpd.Request) -> httpd.Action:
        path = unquote(request.path)
        headers = {**request.headers, "accept": request.headers.get("accept", "*/*")}
        answer = site.answer(request.method, path, headers)
        good = httpd.Response(
            answer.status, {key.title(): value for key, value in answer.headers.items()}, answer.body
        )
        override = extra["override"]
        if override is None:
            return good
        return override(request, site.log[-1].target, answer.body) or good

    with httpd.serve(handler, tls=True) as server:
        site = Site(index, "json", Place(server.url, server.url))
        served = Served(server.url, server.ca_pem, index, site.faults, site.requests, server)
        ground = Range(folder, served, site, extra)
        target = Target(ground, folder / "first")
        target.folder.mkdir()
        done = target.run()
        assert done.code == 0, done.log
        target.check()
        target.directory.rename(ground.before)
        for name in ("victim", "other"):
            index.upload(name, "2.0")
        yield ground


# ------------------------------------------------------------------------------------- answers instead


def answered(target: str, action: httpd.Action | Callable[[bytes], httpd.Action | None]) -> Override:
    """Answer one target so, and everything else well."""

    def override(_request: httpd.Request, asked: str, good: bytes) -> httpd.Action | None:
        if asked != target:
            return None
        if not callable(action):
            return action
        return action(good) if good else None  # nothing to change: it has not changed since

    return override


def json_page(body: bytes, serial: int | None = None) -> httpd.Response:
    """Return a page of the Simple API in JSON."""
    headers = {"Content-Type": JSON_TYPE}
    if serial is not None:
        headers["X-PyPI-Last-Serial"] = str(serial)
    return httpd.Response(200, headers, body)


def edited(target: str, change: Callable[[Any], Any]) -> Override:
    """Answer with a page that has been edited as JSON; `change` edits in place or returns another."""

    def act(good: bytes) -> httpd.Action | None:
        if not good.startswith(b"{"):
            return None  # asked for in HTML
        page = json.loads(good)
        return json_page(json.dumps(change(page) or page).encode())

    return answered(target, act)


def on_new_file(**changes: Any) -> Override:
    """Edit what the victim's page says of its new file."""

    def change(page: Any) -> None:
        page["files"][-1] |= changes

    return edited("page:victim", change)


def new_file(index: SimulatedIndex) -> IndexFile:
    return index.file(NEW)
