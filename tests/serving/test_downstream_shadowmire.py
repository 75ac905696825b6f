"""shadowmire mirrors from us, by `local.json` and by XML-RPC (conformance 92, 109)."""

import contextlib
import json
import re

import pytest

from support.downstream import Upstream, an_index, files_of, mirrored_twice
from support.index import serve
from support.nginx import run_nginx
from support.serving import serving
from support.shadowmire_client import ShadowmireClient

FROM_HERE = "[server]\ntrusted-proxies = 127.0.0.1\n"


@contextlib.contextmanager
def static(upstream, folder):
    with run_nginx("frumious-static.conf", upstream.web, folder) as nginx:
        yield nginx.url


@contextlib.contextmanager
def served(upstream, _folder):
    with serving(upstream.mirror.config, env=upstream.mirror.env) as server:
        yield server.url


@contextlib.contextmanager
def hybrid(upstream, folder):
    with serving(upstream.mirror.config, env=upstream.mirror.env) as server:

        def edit(text):
            return re.sub(r"server 127\.0\.0\.1:8080;", f"server 127.0.0.1:{server.port};", text)

        with run_nginx("frumious-hybrid.conf", upstream.web, folder, edit=edit) as nginx:
            yield nginx.url


@pytest.mark.parametrize(
    ("ours", "has_documents", "has_local_json"),
    [(static, True, True), (served, False, True), (served, True, False), (hybrid, False, True), (hybrid, False, False)],
    ids=["static", "serve", "serve-xml-rpc", "hybrid", "hybrid-xml-rpc"],
)  # fmt: skip
def test_it_holds_what_we_hold_and_nothing_is_fetched_twice(tmp_path, ours, has_documents, has_local_json):
    """A static tree needs `json = true`: shadowmire reads the documents."""
    keys = {"json": "true"} if has_documents and has_local_json else {}
    with serve(an_index()) as index:
        upstream = Upstream(tmp_path / "ours", index, FROM_HERE, **keys)
        with ours(upstream, tmp_path / "nginx") as url:
            client = ShadowmireClient(url, tmp_path / "theirs", has_local_json=has_local_json)
            theirs = mirrored_twice(upstream, client.sync, tmp_path / "theirs")
            again = client.sync()
    listed = json.loads((upstream.web / "simple/index.v1_json").read_text())

    assert set(theirs) == set(upstream.files()), "what is gone here is gone there"
    assert again == set()
    assert client.serials == json.loads((upstream.web / "local.json").read_text())
    assert client.head == listed["meta"]["_last-serial"]
    for page in (upstream.web / "simple").glob("*/index.v1_json"):
        for file in json.loads(page.read_text())["files"]:
            place = page.parent / f"{file['url']}.metadata"
            copy = (tmp_path / "theirs/simple" / page.parent.name / f"{file['url']}.metadata").resolve()
            assert copy.exists() is bool(file.get("core-metadata"))
            assert not copy.exists() or copy.read_bytes() == place.resolve().read_bytes()


def test_the_copies_yanked_files_are_marked(tmp_path):
    """Conformance 75."""
    with serve(an_index()) as index:
        upstream = Upstream(tmp_path / "ours", index, json="true")
        with static(upstream, tmp_path / "nginx") as url:
            ShadowmireClient(url, tmp_path / "theirs", has_local_json=True).sync()

    page = json.loads((tmp_path / "theirs/simple/foo-bar/index.v1_json").read_text())
    assert {file["filename"]: file["yanked"] for file in page["files"]} == {
        "foo_bar-1.0-py3-none-any.whl": False,
        "foo_bar-1.0.tar.gz": False,
        "foo_bar-2.0+local.1-py3-none-any.whl": "broken",
    }
    assert files_of(tmp_path / "theirs") == upstream.files()


def test_what_we_publish_under_a_serial_of_our_own_is_fetched_once(tmp_path):
    """Upstream archives a project under no serial, we publish that under one; documents say it too."""
    with serve(an_index()) as index:
        upstream = Upstream(tmp_path / "ours", index, json="true")
        with static(upstream, tmp_path / "nginx") as url:
            client = ShadowmireClient(url, tmp_path / "theirs", has_local_json=True)
            client.sync()
            upstream.index.archive("six")
            checked = upstream.mirror.run("mirror", "--force-check")
            fetched = [client.sync(), client.sync()]

    assert checked.returncode == 0, checked.stderr
    assert fetched == [{"six"}, set()]
