"""A whole mirror over HTTP/2 from the fake PyPI of bench/upstream: nginx with a generated world, and faults one by one.

Needs nginx with its Lua module, openssl, and the fake's fixed ports; where they are missing this is skipped and said.
What comes of a run is compared with the data set itself. Conformance 59, 93, 98, 101.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import zlib
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest

from frumious.model.names import normalize
from frumious.storage.local import LocalStorage
from support import invariants
from support.program import Mirror

BENCH = Path(__file__).resolve().parents[2] / "bench" / "upstream"
PORTS = (8443, 8444, 8480, 8451)
LUA = Path("/usr/lib/nginx/modules/ngx_http_lua_module.so")
INDEX = "https://127.0.0.1:8443"
PROJECTS = 30
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"

pytestmark = pytest.mark.slow


def missing():
    """Return why the fake cannot run here, None if it can."""
    for program in ("nginx", "openssl"):
        if shutil.which(program, path=PATH) is None:
            return f"{program} is not installed"
    if not LUA.exists():
        return "nginx has no Lua module (Debian: apt-get install libnginx-mod-http-lua)"
    for port in PORTS:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return f"port {port} is in use"
    return None


@dataclass(frozen=True)
class Model:
    """One project of the data set."""

    display: str
    serial: int
    files: dict[str, dict]

    @property
    def name(self):
        return normalize(self.display)


@dataclass(frozen=True)
class Asked:
    """One line of the fake's access log."""

    status: int
    uri: str
    protocol: str
    connection: int


class Fake:
    """The fake PyPI: its programs (a copy, whose log also says the protocol), its data, its state."""

    def __init__(self, folder):
        self.programs, self.data, self.state = folder / "upstream", folder / "data", folder / "state"
        shutil.copytree(BENCH, self.programs)
        template = self.programs / "nginx.conf.tmpl"
        text = template.read_text()
        before = '"$http_accept"\';'
        assert text.count(before) == 1
        template.write_text(text.replace(before, '"$http_accept" $server_protocol $connection\';'))
        self.call("make_upstream.py", "gen", "--out", self.data, "--projects", PROJECTS)
        self.models = {}
        for path in sorted((self.data / "model").glob("*.json")):
            said = json.loads(path.read_text())
            files = {
                file["filename"]: {**file, "version": version}
                for version, release in said["releases"].items()
                for file in release
            }
            self.models[path.stem] = Model(said["info"]["name"], said["last_serial"], files)

    def call(self, program, *args):
        """Run one of the fake's programs. Its output goes to a file: what it starts would keep a pipe open."""
        log = self.programs / "output.log"
        with log.open("ab") as output:
            done = subprocess.run(
                [sys.executable, self.programs / program, *map(str, args)],
                env={**os.environ, "PATH": PATH, "FAKE_UPSTREAM_STATE": str(self.state), "no_proxy": "*"},
                stdout=output, stderr=output, check=False, timeout=60,
            )  # fmt: skip
        assert done.returncode == 0, log.read_text()

    def start(self, *faults):
        self.call(
            "upstream.py", "start", "--data", self.data, *(word for f in faults for word in ("--fault", f))
        )

    def stop(self):
        self.call("upstream.py", "stop")

    @property
    def faults(self):
        return json.loads((self.state / "run" / "faults.json").read_text())

    def asked(self):
        """Return what was asked since the start; complete only after `stop`, for the log is buffered."""
        pattern = re.compile(r'\S+ (\d+) \d+ \S+ \S+ "([^"]*)" "[^"]*" (\S+) (\d+)\Z')
        found = [pattern.match(line) for line in (self.state / "run" / "access.log").read_text().splitlines()]
        return [Asked(int(m[1]), m[2], m[3], int(m[4])) for m in found]

    def broken(self):
        """Return the projects of which the truncating faults hit a file: the Lua side chooses by CRC of the path."""
        return {
            name
            for name, model in self.models.items()
            for path in self.paths(model)
            if zlib.crc32(f"{path}t".encode()) % 100 == 0
        }

    def provenance(self, model):
        """Return where each provenance of a project is here, by where a mirror has it."""
        return {
            f"{urlsplit(file['url']).path}.provenance": f"/integrity/{model.name}/{file['version']}/{name}/provenance"
            for name, file in model.files.items()
            if file.get("_provenance")
        }

    def paths(self, model):
        """Return the paths of everything that a mirror of this project has to fetch below /packages/."""
        for file in model.files.values():
            path = urlsplit(file["url"]).path
            yield path
            if file["core-metadata"]:
                yield f"{path}.metadata"


@pytest.fixture(scope="module")
def fake(tmp_path_factory):
    if reason := missing():
        pytest.skip(f"{reason}, so mirroring over HTTP/2 is NOT tested")
    made = Fake(tmp_path_factory.mktemp("fake"))
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
def mirror(fake, tmp_path):
    made = Mirror(tmp_path, SimpleNamespace(url=INDEX, ca_pem=fake.state / "tls" / "ca.pem", index=None))
    made.write(timeout=10)
    return made


def assert_whole(mirror, fake):
    """Compare pages, bytes, sidecars and times with the data set: nothing missing, nothing else."""
    assert_sound(mirror, fake)
    root = json.loads((mirror.directory / "web/simple/index.v1_json").read_text())
    assert {project["name"] for project in root["projects"]} == {m.display for m in fake.models.values()}
    for name in fake.models:
        assert_page(mirror, fake, name)
    stored = {path.relative_to(mirror.directory / "web").as_posix() for path in stored_files(mirror)}
    assert stored == {
        path.lstrip("/")
        for model in fake.models.values()
        for path in (*fake.paths(model), *fake.provenance(model))
    }
    assert not (mirror.directory / "todo").exists()
    assert (mirror.directory / "web/last-modified").exists()


def assert_page(mirror, fake, name):
    model = fake.models[name]
    page = mirror.page(name)
    assert page["meta"]["api-version"] == "1.4"
    assert [file["filename"] for file in page["files"]] == sorted(model.files)
    for file in page["files"]:
        said = model.files[file["filename"]]
        path = urlsplit(said["url"]).path
        assert file["url"] == f"../..{path}"
        assert (file["hashes"], file["size"]) == ({"sha256": said["digests"]["sha256"]}, said["size"])
        assert file["yanked"] == (said["yanked_reason"] or said["yanked"])
        assert file.get("requires-python") == said["requires_python"]
        assert file.get("core-metadata") == said["core-metadata"]
        assert file["upload-time"] == said["upload_time_iso_8601"]
        mtime = (mirror.directory / "web" / path.lstrip("/")).stat().st_mtime
        assert mtime == pytest.approx(
            datetime.fromisoformat(said["upload_time_iso_8601"]).timestamp(), abs=1e-5
        )


def assert_sound(mirror, fake):
    """What is there is right, whatever is missing: no byte that differs from the data set, no dangling link."""
    documents = {
        path: original for model in fake.models.values() for path, original in fake.provenance(model).items()
    }
    for path in stored_files(mirror):
        place = f"/{path.relative_to(mirror.directory / 'web')}"
        original = fake.data / documents.get(place, place)[1:]
        assert digest(path) == digest(original), path

    async def check():
        storage = LocalStorage(mirror.directory)
        try:
            await invariants.check(storage)
        finally:
            await storage.aclose()

    asyncio.run(check())


def stored_files(mirror):
    return [path for path in (mirror.directory / "web/packages").rglob("*") if path.is_file()]


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def serial(fake):
    return json.loads((fake.data / "simple/index.json").read_text())["meta"]["_last-serial"]


# ------------------------------------------------------------------ the tests


def test_the_fake_speaks_http_2(fake):
    """The witness for all that follows."""
    fake.start()
    trust = ssl.create_default_context(cafile=fake.state / "tls" / "ca.pem")
    trust.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection(("127.0.0.1", 8443), timeout=10) as plain,
        trust.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
    ):
        assert secure.selected_alpn_protocol() == "h2"


def test_a_whole_mirror_over_http_2(fake, mirror):
    fake.start()
    first = mirror.run("mirror", timeout=120)
    again = mirror.run("mirror")
    fake.stop()

    assert first.returncode == 0, first.stderr
    assert again.returncode == 0, again.stderr
    assert_whole(mirror, fake)
    assert (mirror.directory / "status").read_text() == str(serial(fake))
    *asked, last = fake.asked()
    assert (last.uri, last.status) == ("/simple/", 304), "the second run asks for the list and nothing else"
    assert Counter(request.uri for request in asked) == Counter(
        ["/simple/"]
        + [f"/simple/{name}/" for name in fake.models]
        + [path for model in fake.models.values() for path in fake.paths(model)]
        + [path for model in fake.models.values() for path in fake.provenance(model).values()]
    ), "everything once"
    assert any(map(fake.provenance, fake.models.values()))
    assert {request.status for request in asked} == {200}
    assert {request.protocol for request in asked} == {"HTTP/2.0"}
    hosts = {request.connection for request in asked}
    assert len(hosts) <= 2 * 3, "three workers: three connections to each of two hosts"


def test_one_answer_of_500_in_a_hundred_is_got_over(fake, mirror):
    fake.start("error500")
    done = mirror.run("mirror", timeout=120)
    fake.stop()

    assert [request.status for request in fake.asked()].count(500) >= 5, "the fault took place"
    assert done.returncode == 0, done.stderr
    assert_whole(mirror, fake)


@pytest.mark.parametrize("fault", ["truncate", "truncate_silent", "wrong_hash", "stale"])
def test_a_fault_costs_the_projects_it_hits_until_it_ends(fake, mirror, fault):
    fake.start(fault)
    hit = {
        "truncate": fake.broken,
        "truncate_silent": fake.broken,
        "wrong_hash": lambda: {hit_by_wrong_hash(fake)},
        "stale": lambda: set(fake.faults["stale"]),
    }[fault]()
    assert 0 < len(hit) < PROJECTS

    ill = mirror.run("mirror", timeout=300)

    assert ill.returncode == 3, ill.stderr
    assert_sound(mirror, fake)
    assert {path.parent.name for path in (mirror.directory / "web/simple").glob("*/index.v1_json")} == (
        set(fake.models) - hit
    )
    for name in set(fake.models) - hit:
        assert_page(mirror, fake, name)
    todo = (mirror.directory / "todo").read_text().splitlines()
    assert todo[0] == str(serial(fake))
    assert sorted(todo[1:]) == sorted(f"{fake.models[n].display} {fake.models[n].serial}" for n in hit)
    assert not (mirror.directory / "web/last-modified").exists()
    said = {
        line.split(" ERROR: ")[1].partition(":")[0] for line in ill.stderr.splitlines() if "ERROR" in line
    }
    assert said == hit, "each is named"

    fake.start()
    well = mirror.run("mirror", timeout=120)
    fake.stop()

    assert well.returncode == 0, well.stderr
    assert_whole(mirror, fake)
    assert (mirror.directory / "status").read_text() == str(serial(fake))
    pages = {request.uri for request in fake.asked() if re.fullmatch(r"/simple/[^/]+/", request.uri)}
    assert pages == {f"/simple/{name}/" for name in hit}, "only what was owed is asked for"


def hit_by_wrong_hash(fake):
    path = fake.faults["wrong_hash"]
    return next(name for name, model in fake.models.items() if path in fake.paths(model))
