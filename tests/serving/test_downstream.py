"""Other mirrors mirror from `frumious serve`, completely, and their trees are whole (conformance 38, 92, 109)."""

import hashlib
import json
import os
import re
import subprocess
from urllib.parse import unquote

import pytest

from support.bandersnatch import Bandersnatch, real_bandersnatch
from support.downstream import Upstream, an_index, edit, mirrored_twice
from support.index import serve
from support.old_bandersnatch import VERSIONS, old_bandersnatch
from support.program import run
from support.serving import free_port, serving


@pytest.fixture
def upstream(tmp_path):
    with serve(an_index()) as served:
        yield Upstream(tmp_path / "ours", served)


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
    verified = run("-c", config, "verify")  # theirs refuses http
    assert "4 projects, 7 files, nothing found" in verified.stderr  # what has left the list it keeps
    assert verified.returncode == 0, verified.stdout


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS)
def test_an_older_bandersnatch_mirrors_from_it(tmp_path, version):
    """They follow serials by XML-RPC, speak https alone, and some want MD5, which only stored documents have."""
    program = old_bandersnatch(version)
    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    chain, key, ca = tmp_path / "chain.pem", tmp_path / "key.pem", tmp_path / "ca.pem"
    chain.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    certificate.private_key_pem.write_to_path(key)
    authority.cert_pem.write_to_path(ca)
    with serve(an_index()) as served:
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
                done = subprocess.run([program, "-c", config, "mirror"], env=env, capture_output=True, text=True, check=False, timeout=120, cwd=tmp_path)  # fmt: skip
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
    """Return the files of a tree by its HTML, which has MD5 or SHA-256."""
    found = {}
    for path in web.glob("simple/*/index.html"):
        for href, algorithm, digest in re.findall(
            r'href="([^"#]+)#(md5|sha256)=([0-9a-f]+)', path.read_text()
        ):
            body = (path.parent / unquote(href)).resolve().read_bytes()
            assert hashlib.new(algorithm, body).hexdigest() == digest
            found.setdefault(path.parent.name, {})[unquote(href.rpartition("/")[2])] = hashlib.sha256(
                body
            ).hexdigest()
    return found
