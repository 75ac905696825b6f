"""From an index of any dialect through the real program and a real nginx into real installers, and nothing beside them.

The index is gone before the first installer starts, every proxy leads nowhere, and nginx's access log is the witness.
Conformance 41, 59, 64, 66-70, 100 and 107, 108, 110; which other tests cover which assertion of a sync is listed in
`compat/test_parsers.py`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from urllib.parse import quote, unquote, urljoin, urlsplit

import pytest

from support.index import SimulatedIndex, serve
from support.index_pages import DIALECTS, JSON_TYPE
from support.installers import INSTALLERS, imported, isolated, needs_pip, run
from support.invariants import anchors
from support.nginx import run_nginx
from support.program import Mirror

CONFIGS = ["frumious-static.conf", "origin-note.conf"]
SNARK, BOOJUM = "snark-1.0-py3-none-any.whl", "boojum-1.2+crew.1-py3-none-any.whl"
NEEDED = (SNARK, BOOJUM)
# What an index that speaks JSON of API 1.0 or plain HTML does not advertise, a mirror of it cannot.
WITH_METADATA = {name for name, dialect in DIALECTS.items() if dialect.core_metadata}


def crew() -> SimulatedIndex:
    """`snark` needs `boojum`, whose best version is a local one; one version of `Jubjub.Bird` is yanked."""
    index = SimulatedIndex()
    index.upload("snark", "1.0", requires_dist=["boojum>=1.2"])
    index.upload("Boojum", "1.0", "boojum-1.0.tar.gz")
    index.upload("Boojum", "1.2+crew.1", requires_python=">=3.8,<4")
    index.upload("Jubjub.Bird", "0.5")
    index.upload("Jubjub.Bird", "1.0")
    index.upload("Jubjub.Bird", "1.0", "jubjub bird-1!0~(né)+x@y,z.egg", b"no archive at all")
    index.yank("Jubjub.Bird", "0.5", 'bites "hard" <always>')
    index.create("tove")
    return index


@dataclass(frozen=True)
class Mirrored:
    """What a run of the program left of an index that is no longer there."""

    dialect: str
    index: SimulatedIndex
    mirror: Mirror

    @property
    def web(self):
        return self.mirror.directory / "web"

    def path(self, filename):
        """Return where a file lies, by the index's own account."""
        return self.index.file(filename).path


@pytest.fixture(scope="module", params=list(DIALECTS))
def mirrored(request, tmp_path_factory):
    index = crew()
    with serve(index, request.param) as served:
        mirror = Mirror(tmp_path_factory.mktemp(request.param), served)
        mirror.write(json=str(DIALECTS[request.param].legacy).lower())
        done = mirror.run("mirror")
    assert done.returncode == 0, done.stderr
    assert "ERROR" not in done.stderr
    return Mirrored(request.param, index, mirror)


@pytest.fixture
def alone(tmp_path):
    return isolated(tmp_path)


def expected_requests(mirrored):
    """Return what any installer of `snark` has to ask for, and no more."""
    wheels = {mirrored.path(filename) for filename in NEEDED}
    asked = {"/simple/snark/", "/simple/boojum/"} | wheels
    if mirrored.dialect in WITH_METADATA:
        asked |= {f"{wheel}.metadata" for wheel in wheels}
    return asked


@pytest.mark.parametrize("installer", sorted(INSTALLERS))
@pytest.mark.parametrize("config", CONFIGS)
def test_a_project_and_its_dependency_install_from_us_alone(mirrored, tmp_path, alone, config, installer):
    target = tmp_path / "target"
    with run_nginx(config, mirrored.web, tmp_path / "nginx") as nginx:
        INSTALLERS[installer](target, f"{nginx.url}/simple", alone)

    assert imported(target, "snark", "boojum") == ["1.0", "1.2+crew.1"]
    asked = [request for request in nginx.requests() if request.agent.startswith(f"{installer}/")]
    assert {request.status for request in asked} <= {200, 206}
    assert {unquote(request.target) for request in asked} == expected_requests(mirrored)


@pytest.mark.parametrize("config", CONFIGS)
def test_pip_downloads_by_hash_and_sees_the_versions(mirrored, tmp_path, alone, config):
    needs_pip()
    wheels = [mirrored.index.file(filename) for filename in NEEDED]
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(
        f"snark==1.0 --hash=sha256:{wheels[0].sha256}\nboojum==1.2+crew.1 --hash=sha256:{wheels[1].sha256}\n"
    )
    with run_nginx(config, mirrored.web, tmp_path / "nginx") as nginx:
        env = alone | {"PIP_INDEX_URL": f"{nginx.url}/simple/"}
        run("pip", "download", "--require-hashes", "-r", requirements, "--dest", tmp_path / "got", env=env)
        versions = run("pip", "index", "versions", "jubjub-bird", env=env)

    got = {path.name: path.read_bytes() for path in (tmp_path / "got").iterdir()}
    assert got == {wheel.filename: wheel.content for wheel in wheels}
    assert "Available versions: 1.0\n" in versions, "what is yanked is left out"
    asked = [request for request in nginx.requests() if request.agent.startswith("pip/")]
    assert {request.status for request in asked} == {200}
    # With hashes pip reads the wheels themselves, which it has to fetch anyway.
    assert {unquote(request.target) for request in asked} == {
        "/simple/snark/",
        "/simple/boojum/",
        "/simple/jubjub-bird/",
        *(wheel.path for wheel in wheels),
    }


def test_a_required_hash_that_is_another_is_refused(mirrored, tmp_path, alone):
    """The counter-test: the hashes of our pages are looked at."""
    needs_pip()
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(f"boojum==1.2+crew.1 --hash=sha256:{'0' * 64}\n")
    with (
        run_nginx(CONFIGS[0], mirrored.web, tmp_path / "nginx") as nginx,
        pytest.raises(AssertionError, match="DO NOT MATCH THE HASHES"),
    ):
        run(
            "pip", "download", "--require-hashes", "-r", requirements, "--dest", tmp_path / "got",
            env=alone | {"PIP_INDEX_URL": f"{nginx.url}/simple/"},
        )  # fmt: skip


@pytest.fixture(scope="module")
def nginx(mirrored, tmp_path_factory):
    with run_nginx(CONFIGS[0], mirrored.web, tmp_path_factory.mktemp("nginx")) as running:
        yield running


def pages(nginx):
    """Return every project's JSON page, by its path, as nginx gives it."""
    root = json.loads(nginx.ask("/simple/", {"Accept": JSON_TYPE}).body)
    found = {}
    for project in root["projects"]:
        path = f"/simple/{project['name'].lower().replace('.', '-')}/"
        answer = nginx.ask(path, {"Accept": JSON_TYPE})
        assert (answer.status, answer["Content-Type"]) == (200, JSON_TYPE)
        found[path] = json.loads(answer.body)
    return found


def test_every_linked_file_answers_with_what_its_page_says(mirrored, nginx):
    """Conformance 41, 59, 66, 67."""
    checked = 0
    for path, page in pages(nginx).items():
        for file in page["files"]:
            target = urljoin(path, file["url"])
            answer = nginx.ask(target)
            assert answer.status == 200
            assert int(answer["Content-Length"]) == file["size"] == len(answer.body)
            assert hashlib.sha256(answer.body).hexdigest() == file["hashes"]["sha256"]
            assert answer["Cache-Control"] == "max-age=365000000, immutable, public"
            sidecar = nginx.ask(f"{target}.metadata")
            advertised = file.get("core-metadata")
            assert sidecar.status == (200 if advertised else 404)
            if advertised:
                assert hashlib.sha256(sidecar.body).hexdigest() == advertised["sha256"]
                assert sidecar.body == mirrored.index.file(file["filename"]).metadata
            checked += 1
    assert checked == 6


def test_a_file_of_an_odd_name_is_served_under_every_spelling_of_it(mirrored, nginx):
    """Conformance 69, and 64: a range behind the end."""
    file = mirrored.index.file("jubjub bird-1!0~(né)+x@y,z.egg")
    for safe in ("/", "/+!~()@,", "/+", "/!~"):
        assert nginx.ask(quote(file.path, safe=safe)).body == file.content
    behind = nginx.ask(quote(file.path), {"Range": f"bytes={len(file.content)}-"})
    assert (behind.status, behind["Content-Range"]) == (416, f"bytes */{len(file.content)}")
    folder, _, name = file.path.rpartition("/")
    for refused in (f"{folder}/..%2F{quote(name)}", f"{folder}/../x/{quote(name)}", "/packages//etc/passwd"):
        assert nginx.ask(refused).status == 404


def test_pages_say_api_1_4_for_files_we_hold_and_leave_out_what_nobody_knows(mirrored, nginx):
    """Conformance 24, 27, 29, 100: sizes that upstream does not tell are those of the stored files, times are not made up."""
    told_times = DIALECTS[mirrored.dialect].minor >= 1
    for page in pages(nginx).values():
        assert page["meta"]["api-version"] == "1.4"
        for file in page["files"]:
            original = mirrored.index.file(file["filename"])
            assert file["size"] == len(original.content)
            assert file.get("upload-time") == (original.upload_time if told_times else None)


def test_html_and_json_say_the_same(mirrored, nginx):
    """Conformance 39."""
    for path, page in pages(nginx).items():
        html = anchors(nginx.ask(path, {"Accept": "text/html"}).body)
        assert [(href, said.get("data-yanked"), said.get("data-requires-python")) for href, said in html] == [
            (
                f"{file['url']}#sha256={file['hashes']['sha256']}",
                {True: "", False: None}.get(file["yanked"], file["yanked"]),
                file.get("requires-python"),
            )
            for file in page["files"]
        ]


def test_legacy_json_names_files_below_packages(mirrored, nginx):
    """Conformance 70."""
    if not DIALECTS[mirrored.dialect].legacy:
        assert nginx.ask("/pypi/snark/json").status == 404
        return
    answer = nginx.ask("/pypi/boojum/json")
    document = json.loads(answer.body)
    urls = [file["url"] for files in document["releases"].values() for file in files]
    assert len(urls) == 2
    for url in urls:
        assert urlsplit(url).path.startswith("/packages/")
        assert nginx.ask(urlsplit(url).path).status == 200
    assert nginx.ask("/json/boojum").body == answer.body


def test_a_second_run_changes_no_byte_of_what_is_served(tmp_path):
    """Conformance 40: whatever the dialect, also where nothing but the content tells that a page is the same."""
    for dialect in DIALECTS:
        with serve(crew(), dialect) as served:
            (tmp_path / dialect).mkdir()
            mirror = Mirror(tmp_path / dialect, served)
            assert mirror.run("mirror").returncode == 0
            before = stamps(mirror.directory / "web")
            asked = len(served.requests("file:*"))
            done = mirror.run("mirror")
            assert done.returncode == 0, done.stderr
            assert "0 updated" in done.stderr.splitlines()[-1], dialect
            assert stamps(mirror.directory / "web") == before
            assert len(served.requests("file:*")) == asked


def stamps(web):
    """Return what nginx makes its ETags of, for every page and file."""
    found = (path for part in ("simple", "packages") for path in (web / part).rglob("*") if path.is_file())
    return {
        path.relative_to(web).as_posix(): (path.stat().st_mtime_ns, path.stat().st_size) for path in found
    }


@pytest.mark.parametrize(("dialect", "version"), [("html", "1.0"), ("html+legacy", "1.4"), ("json", "1.4")])
def test_without_release_files_a_page_claims_only_what_upstream_told(tmp_path, dialect, version):
    """No file is held, so a size that upstream does not tell stays unknown, and PEP 700 then forbids 1.1 and later."""
    index = crew()
    with serve(index, dialect) as served:
        mirror = Mirror(tmp_path, served)
        mirror.write(release_files="false")
        done = mirror.run("mirror")
        assert done.returncode == 0, done.stderr
        assert served.requests("file:*") == []
    page = mirror.page("boojum")
    assert page["meta"]["api-version"] == version
    for file in page["files"]:
        original = index.file(file["filename"])
        assert file["url"] == served.url + quote(original.path, safe="/+!")
        assert file["hashes"] == {"sha256": original.sha256}
        assert file.get("size") == (None if version == "1.0" else len(original.content))
    assert mirror.page("tove")["meta"]["api-version"] == "1.4", "a page without files lacks no size"
    assert [path for path in (mirror.directory / "web/packages").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("installer", sorted(INSTALLERS))
def test_without_release_files_installers_go_to_upstream_for_them(tmp_path, alone, installer):
    """Pages from us, files from where they are; over plain http here, because installers would not know the test's CA."""
    with serve(crew(), "json", tls=False) as served:
        mirror = Mirror(tmp_path, served)
        mirror.write(release_files="false", allow_non_https="true")
        done = mirror.run("mirror")
        assert done.returncode == 0, done.stderr
        with run_nginx(CONFIGS[0], mirror.directory / "web", tmp_path / "nginx") as nginx:
            INSTALLERS[installer](tmp_path / "target", f"{nginx.url}/simple", alone)
        assert {f"file:{filename}" for filename in NEEDED} <= {r.target for r in served.requests("file:*")}

    assert imported(tmp_path / "target", "snark", "boojum") == ["1.0", "1.2+crew.1"]
    asked = [request for request in nginx.requests() if request.agent.startswith(f"{installer}/")]
    assert {(request.target, request.status) for request in asked} == {
        ("/simple/snark/", 200),
        ("/simple/boojum/", 200),
    }


def test_a_project_deleted_and_made_anew_by_somebody_else_is_only_the_new_one(tmp_path):
    """Conformance 102: one directory, the new spelling, no file of the old one, a serial that did not fall."""
    index = crew()
    with serve(index) as served:
        mirror = Mirror(tmp_path, served)
        assert mirror.run("mirror").returncode == 0
        before = mirror.page("jubjub-bird")["meta"]["_last-serial"]
        index.delete_project("Jubjub.Bird")
        gone = mirror.run("mirror")
        assert gone.returncode == 0
        assert "removed from the mirror: jubjub-bird" in gone.stderr
        assert not (mirror.directory / "web/simple/jubjub-bird").exists()
        index.upload("jubjub_bird", "7.0")
        assert mirror.run("mirror").returncode == 0

    page = mirror.page("jubjub-bird")
    assert [file["filename"] for file in page["files"]] == ["jubjub_bird-7.0-py3-none-any.whl"]
    assert page["versions"] == ["7.0"]
    assert page["meta"]["_last-serial"] > before
    folders = sorted(path.name for path in (mirror.directory / "web/simple").iterdir() if path.is_dir())
    assert folders == ["boojum", "jubjub-bird", "snark", "tove"]
    root = json.loads((mirror.directory / "web/simple/index.v1_json").read_text())
    assert [project["name"] for project in root["projects"]] == ["Boojum", "jubjub_bird", "snark", "tove"]
