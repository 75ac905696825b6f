"""Other mirrors mirror from what nginx alone serves, with frumious-static.conf (conformance 38, 109, 110)."""

import contextlib

import pytest

from support.bandersnatch import Bandersnatch, real_bandersnatch
from support.downstream import Upstream, an_index, mirrored_twice
from support.index import serve
from support.nginx import run_nginx
from support.program import run

NO_PROXY = {"no_proxy": "127.0.0.1"}


@contextlib.contextmanager
def static_upstream(tmp_path):
    """Our mirror as its operator sets it up for other mirrors: documents, which name files by its own address."""
    web = tmp_path / "ours/mirror/web"
    web.mkdir(parents=True)
    with serve(an_index()) as served, run_nginx("frumious-static.conf", web, tmp_path / "nginx") as nginx:
        yield Upstream(tmp_path / "ours", served, json="true", base_url=nginx.url), nginx


def test_frumious_mirrors_from_it(tmp_path):
    config = Bandersnatch.write_config(tmp_path / "theirs.conf", tmp_path / "theirs", "http://127.0.0.1:9")

    def command(name):
        return run("-c", config, name, env=NO_PROXY)

    def sync():
        done = command("mirror")
        assert done.returncode == 0, done.stderr

    with static_upstream(tmp_path) as (upstream, nginx):
        Bandersnatch.write_config(config, tmp_path / "theirs", nginx.url)
        theirs = mirrored_twice(upstream, sync, tmp_path / "theirs/web")
        again = command("mirror")
        verified = command("verify")

    assert set(theirs) == {"foo-bar", "six", "new"}
    assert "0 updated" in again.stderr
    assert (verified.returncode, verified.stdout) == (0, "")


@pytest.mark.slow
def test_bandersnatch_8_mirrors_from_it(tmp_path):
    """It wants a serial in a header, https or leave to do without, and addresses of files that it can use as they are."""
    bandersnatch = real_bandersnatch()
    config = tmp_path / "theirs.conf"

    def sync():
        done = bandersnatch.mirror(config)
        assert done.returncode == 0, done.stderr
        assert not (tmp_path / "theirs/todo").exists(), done.stderr
        assert "ERROR" not in done.stderr, done.stderr

    with static_upstream(tmp_path) as (upstream, nginx):
        Bandersnatch.write_config(config, tmp_path / "theirs", nginx.url, json="true")
        mirrored_twice(upstream, sync, tmp_path / "theirs/web")

    verified = run("-c", config, "verify")  # theirs refuses http
    assert "4 projects, 7 files, nothing found" in verified.stderr  # what has left the list it keeps
    assert verified.returncode == 0, verified.stdout
