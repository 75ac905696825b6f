"""Other mirrors mirror from us, completely, and their trees are whole (conformance 38, 92, 109, 110)."""

import hashlib
import json
import os
import re
import subprocess
import urllib.request
from pathlib import Path
from urllib.parse import urljoin, urlsplit
from xmlrpc.client import ServerProxy

import pytest

from support.bandersnatch import Bandersnatch, real_bandersnatch
from support.index import SimulatedIndex, serve
from support.nginx import run_nginx
from support.program import Mirror, run
from support.serving import free_port, serving

OLD_PYTHON = Path.home() / ".pyenv/versions/3.7.16/bin/python"
OLD_HOME = Path(__file__).parents[2] / ".venv-bandersnatch-2.0"


def an_index():
    index = SimulatedIndex()
    index.upload("Foo.Bar", "1.0")
    index.upload("Foo.Bar", "1.0", "foo_bar-1.0.tar.gz")
    index.upload("Foo.Bar", "2.0")
    index.yank("Foo.Bar", "2.0", "broken")
    index.upload("six", "1.17")
    index.upload("gone", "1.0")
    return index


def edit(index):
    index.upload("six", "1.18")
    index.upload("new", "0.1")
    index.delete_project("gone")


class Upstream:
    """Our mirror of a simulated index, and what it holds."""

    def __init__(self, folder, served, extra="", **keys):
        self.index = served.index
        self.mirror = Mirror(folder, served)
        self.mirror.write(extra, **keys)
        self.web = Path(self.mirror.directory, "web")
        self.sync()

    def sync(self):
        done = self.mirror.run("mirror")
        assert done.returncode == 0, done.stderr

    def files(self):
        """Return names of files by project, with their digests."""
        pages = {
            path.parent.name: json.loads(path.read_text())["files"]
            for path in self.web.glob("simple/*/index.v1_json")
        }
        return {
            name: {file["filename"]: file["hashes"]["sha256"] for file in files}
            for name, files in pages.items()
            if files
        }


def files_of(web):
    """Return names of files by project of somebody's tree, with the digests of the bytes that are really there."""
    found = {}
    for path in web.glob("simple/*/index.v1_json"):
        for file in json.loads(path.read_text())["files"]:
            body = (path.parent / urlsplit(file["url"]).path).resolve().read_bytes()
            found.setdefault(path.parent.name, {})[file["filename"]] = hashlib.sha256(body).hexdigest()
    return found


@pytest.fixture
def upstream(tmp_path):
    (tmp_path / "ours").mkdir()
    with serve(an_index()) as served:
        yield Upstream(tmp_path / "ours", served)


def mirrored_twice(upstream, sync, web):
    """Sync, change the world, sync again: each time the other tree holds what ours holds."""
    sync()
    assert files_of(web) == upstream.files()
    assert set(upstream.files()) == {"foo-bar", "six", "gone"}
    edit(upstream.index)
    upstream.sync()
    sync()
    ours = upstream.files()
    assert set(ours) == {"foo-bar", "six", "new"}
    theirs = files_of(web)
    assert {name: theirs[name] for name in ours} == ours
    return theirs


def test_frumious_mirrors_from_it(upstream, tmp_path):
    with serving(upstream.mirror.config, env=upstream.mirror.env) as server:
        config = tmp_path / "theirs.conf"
        config.write_text(
            f"[mirror]\ndirectory = {tmp_path / 'theirs'}\nmaster = {server.url}\nallow-non-https = true\n"
        )

        def sync():
            done = run("-c", config, "mirror", env={"no_proxy": "127.0.0.1"})
            assert done.returncode == 0, done.stderr

        theirs = mirrored_twice(upstream, sync, tmp_path / "theirs/web")
        again = run("-c", config, "mirror", env={"no_proxy": "127.0.0.1"})
        verified = run("-c", config, "verify", env={"no_proxy": "127.0.0.1"})

    assert "gone" not in theirs
    assert "0 updated" in again.stderr
    assert verified.returncode == 0, verified.stdout


@pytest.mark.slow
@pytest.mark.parametrize("legacy", ["stored", "made"])
def test_bandersnatch_8_mirrors_from_it(tmp_path, legacy):
    """It asks for /simple as JSON, then for the legacy JSON and its header."""
    bandersnatch = real_bandersnatch()
    with serve(an_index()) as served:
        (tmp_path / "ours").mkdir()
        port = free_port()
        stored = {"json": "true", "base_url": f"http://127.0.0.1:{port}"}
        upstream = Upstream(tmp_path / "ours", served, **(stored if legacy == "stored" else {}))
        with serving(upstream.mirror.config, env=upstream.mirror.env, port=port) as server:
            config = Bandersnatch.write_config(tmp_path / "theirs.conf", tmp_path / "theirs", server.url)

            def sync():
                done = bandersnatch.mirror(config)
                assert done.returncode == 0, done.stderr
                assert not (tmp_path / "theirs/todo").exists(), done.stderr

            mirrored_twice(upstream, sync, tmp_path / "theirs/web")
            status = (tmp_path / "theirs/status").read_text().strip()
            listed = json.loads((upstream.web / "simple/index.v1_json").read_text())

    assert int(status) == max(project["_last-serial"] for project in listed["projects"])


def old_bandersnatch():
    """Return bandersnatch 2.0.0, made once; skips loudly where its Python is not there or it does not install."""
    if not OLD_PYTHON.exists():
        pytest.skip(
            f"{OLD_PYTHON} is not there, so mirroring with bandersnatch 2.0.0 (XML-RPC) is NOT tested"
        )
    program = OLD_HOME / "bin/bandersnatch"
    if not program.exists():
        made = subprocess.run(
            [OLD_PYTHON, "-m", "venv", OLD_HOME], capture_output=True, text=True, check=False
        )
        if made.returncode == 0:
            made = subprocess.run(
                [OLD_HOME / "bin/pip", "install", "-q", "bandersnatch==2.0.0", "setuptools<58"],
                capture_output=True, text=True, check=False, timeout=300,
            )  # fmt: skip
        if made.returncode != 0:
            pytest.skip(
                f"bandersnatch 2.0.0 cannot be installed, so mirroring with it is NOT tested: {made.stderr[-300:]}"
            )
    return program


@pytest.mark.slow
def test_bandersnatch_2_mirrors_from_it(tmp_path):
    """It follows serials by XML-RPC, speaks https alone, and wants MD5, which only stored documents have."""
    program = old_bandersnatch()
    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    chain, key, ca = tmp_path / "chain.pem", tmp_path / "key.pem", tmp_path / "ca.pem"
    chain.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    certificate.private_key_pem.write_to_path(key)
    authority.cert_pem.write_to_path(ca)
    with serve(an_index()) as served:
        (tmp_path / "ours").mkdir()
        port = free_port()
        tls = f"[server]\ntls-certificate = {chain}\ntls-key = {key}\n"
        upstream = Upstream(tmp_path / "ours", served, tls, json="true", base_url=f"https://localhost:{port}")
        with serving(upstream.mirror.config, env=upstream.mirror.env, port=port) as server:
            config = tmp_path / "theirs.conf"
            config.write_text(
                f"[mirror]\ndirectory = {tmp_path / 'theirs'}\nmaster = https://localhost:{server.port}\ntimeout = 10\nworkers = 2\n"
                "stop-on-error = false\nhash-index = false\njson = false\n"
            )
            env = {
                **os.environ,
                "REQUESTS_CA_BUNDLE": str(ca),
                "SSL_CERT_FILE": str(ca),
                "no_proxy": "localhost,127.0.0.1",
            }

            def sync():
                done = subprocess.run([program, "-c", config, "mirror"], env=env, capture_output=True, text=True, check=False, timeout=120)  # fmt: skip
                assert done.returncode == 0, done.stderr
                assert "Traceback" not in done.stderr, done.stderr[-3000:]

            sync()
            first = old_files(tmp_path / "theirs/web")
            ours = upstream.files()
            assert {name: first[name] for name in ours} == ours
            edit(upstream.index)
            upstream.sync()
            sync()
            second = old_files(tmp_path / "theirs/web")
    ours = upstream.files()
    assert {name: second[name] for name in ours} == ours


def old_files(web):
    """Return the files of a tree that has HTML alone, with MD5."""
    found = {}
    for path in web.glob("simple/*/index.html"):
        for href, digest in re.findall(r'href="([^"#]+)#md5=([0-9a-f]{32})', path.read_text()):
            body = (path.parent / href).resolve().read_bytes()
            assert hashlib.md5(body).hexdigest() == digest  # noqa: S324 - what it writes
            found.setdefault(path.parent.name, {})[href.rpartition("/")[2]] = hashlib.sha256(body).hexdigest()
    return found


# --- shadowmire's protocol, spoken by a client of our own ----------------------------------------------------------------


def fetch(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read()


def shadow_sync(base, web, state, serials):
    """Bring a tree up to date with the serials of upstream: document by document, files beside, as shadowmire does."""
    for name in set(state) - set(serials):
        del state[name]
    for name, serial in serials.items():
        if state.get(name) == serial:
            continue
        document = json.loads(fetch(urljoin(base, f"/json/{name}")))
        page = {"files": []}
        for files in document["releases"].values():
            for file in files:
                path = urlsplit(file["url"]).path
                assert path.startswith("/packages/")
                place = web / path[1:]
                if not place.exists():
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_bytes(fetch(urljoin(base, f"/simple/{name}/../..{path}")))
                entry = {
                    "filename": file["filename"],
                    "url": f"../..{path}",
                    "hashes": {"sha256": file["digests"]["sha256"]},
                }
                page["files"].append(
                    {**entry, "size": file["size"], "upload-time": file["upload_time_iso_8601"]}
                )
        folder = web / "simple" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "index.v1_json").write_text(json.dumps(page))
        state[name] = document["last_serial"]


@pytest.mark.parametrize("way", ["serve", "static", "xml-rpc"])
def test_shadowmire_mirrors_from_it(tmp_path, way):
    """By `local.json` from our server or from nginx alone, and by XML-RPC (92)."""
    with serve(an_index()) as served:
        (tmp_path / "ours").mkdir()
        upstream = Upstream(tmp_path / "ours", served, **({"json": "true"} if way == "static" else {}))
        context = (
            run_nginx("frumious-static.conf", upstream.web, tmp_path / "nginx")
            if way == "static"
            else serving(upstream.mirror.config, env=upstream.mirror.env)
        )
        web, state = tmp_path / "theirs", {}
        with context as server:

            def sync():
                if way == "xml-rpc":
                    with ServerProxy(f"{server.url}/pypi") as proxy:
                        said = {
                            name.lower().replace(".", "-"): serial
                            for name, serial in proxy.list_packages_with_serial().items()
                        }
                else:
                    said = json.loads(fetch(f"{server.url}/local.json"))
                    assert int(fetch(f"{server.url}/local.db.serial")) >= max(said.values())
                shadow_sync(server.url, web, state, said)

            theirs = mirrored_twice(upstream, sync, web)
    assert set(state) == set(upstream.files())
    assert set(theirs) >= set(state)
