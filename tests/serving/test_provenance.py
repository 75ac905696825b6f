"""Provenance from an index to whoever asks: mirrored by the real program, served by it and by nginx (conformance §6)."""

import json
import re
from urllib.parse import unquote, urlsplit

import pytest

from support.index import SimulatedIndex, serve
from support.index_files import provenance
from support.nginx import run_nginx
from support.program import Mirror
from support.serving import serving

BASE = "https://mirror.example.org"
INTEGRITY = "application/vnd.pypi.integrity.v1+json"


@pytest.fixture(scope="module")
def index():
    index = SimulatedIndex()
    index.upload("snark", "1.0", provenance=True)
    index.upload("snark", "1.0", "snark-1.0.tar.gz")
    forged = index.upload("boojum", "1.0", provenance=True)
    index.set_provenance(forged.filename, provenance(forged.filename, "00" * 32))
    return index


@pytest.fixture(scope="module")
def mirrored(index, tmp_path_factory):
    with serve(index) as served:
        mirror = Mirror(tmp_path_factory.mktemp("attested"), served)
        mirror.write(base_url=BASE)
        done = mirror.run("mirror")
        assert done.returncode == 0, done.stderr
        assert len(served.requests("provenance:*")) == 2
        again = mirror.run("mirror")
        assert again.returncode == 0, again.stderr
        assert len(served.requests("provenance:*")) == 2
        yield mirror, done


@pytest.fixture(scope="module")
def server(mirrored):
    with serving(mirrored[0].config, env=mirrored[0].env) as running:
        yield running


def path_on_page(mirror, name):
    """Return the path of the provenance that the page names, under our own address."""
    (said,) = [file["provenance"] for file in mirror.page(name)["files"] if "provenance" in file]
    assert said.startswith(f"{BASE}/packages/")
    return urlsplit(said).path


def test_what_is_not_the_files_own_is_told_and_not_named(mirrored):
    """Conformance 79."""
    mirror, done = mirrored
    assert "boojum-1.0-py3-none-any.whl: upstream's provenance is of something else" in done.stderr
    assert [file.get("provenance") for file in mirror.page("boojum")["files"]] == [None]


def test_the_address_on_the_page_and_the_integrity_api_give_the_same_document(mirrored, server, index):
    file = index.file("snark-1.0-py3-none-any.whl")
    for target in (path_on_page(mirrored[0], "snark"), f"/integrity/snark/1.0/{file.filename}/provenance"):
        answer = server.ask(target, Accept=INTEGRITY)
        assert (answer.status, answer.body) == (200, file.provenance)
        assert answer.headers["content-type"] == INTEGRITY
    none = server.ask("/integrity/snark/1.0/snark-1.0.tar.gz/provenance")
    assert (none.status, json.loads(none.body)) == (
        404,
        {"message": "No provenance available for snark-1.0.tar.gz"},
    )
    page = server.ask("/simple/snark/", Accept="text/html").body.decode()
    assert re.findall('data-provenance="([^"]*)"', page) == [BASE + path_on_page(mirrored[0], "snark")]


@pytest.mark.parametrize("config", ["frumious-static.conf", "frumious-hybrid.conf"])
def test_nginx_gives_what_the_page_names_and_not_for_ever(mirrored, server, index, tmp_path, config):
    """Conformance 80."""

    def in_front(text):
        return text.replace("server 127.0.0.1:8080;", f"server 127.0.0.1:{server.port};")

    file = index.file("snark-1.0-py3-none-any.whl")
    with run_nginx(config, mirrored[0].directory / "web", tmp_path, edit=in_front) as nginx:
        answer = nginx.ask(path_on_page(mirrored[0], "snark"))
        assert (answer.status, answer.body) == (200, file.provenance)
        assert answer["content-type"] == INTEGRITY
        assert answer["cache-control"] == "max-age=600, public"
        whole = nginx.ask(unquote(file.path))
        assert "immutable" in whole["cache-control"]


def test_a_mirror_of_this_mirror_has_it_too(mirrored, server, index, tmp_path):
    """It asks us, not the address on the page, which is nobody's here."""
    below = Mirror(tmp_path, mirrored[0].served)
    below.write(master=server.url, allow_non_https="true", base_url="https://below.example.org")
    done = below.run("mirror")
    assert done.returncode == 0, done.stderr
    file = index.file("snark-1.0-py3-none-any.whl")
    assert (below.directory / f"web{unquote(file.path)}.provenance").read_bytes() == file.provenance
    named = [file.get("provenance") for file in below.page("snark")["files"]]
    assert f"https://below.example.org{file.path}.provenance" in named


def test_verify_knows_it(mirrored, index):
    mirror, _ = mirrored
    assert mirror.run("verify").returncode == 0
    place = mirror.directory / f"web{unquote(index.file('snark-1.0-py3-none-any.whl').path)}.provenance"
    before = place.read_bytes()
    place.write_bytes(b"x")
    found = mirror.run("verify", "--json")
    assert found.returncode != 0
    assert [json.loads(line).get("kind") for line in found.stdout.splitlines()][:-1] == ["provenance-wrong"]
    mended = mirror.run("verify", "--repair")
    assert place.read_bytes() == before, mended.stderr
