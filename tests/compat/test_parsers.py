"""Pages that the real program made of a nasty index, read back by other people's programs and compared with the index.

pypi-simple, simple-repository, pip's own parser and uv's resolver read them from nginx. What they are to say is the
index's own account of itself, not ours: file names, digests, yanks, requires-python, sizes, core metadata.
Conformance 11-41 as a whole (each by its number: pages/test_page_rules.py), 59, 67, 69, 103.

Where the assertions about a sync are covered, beside the end-to-end tests of this folder:

93   sync/test_mirror.py: a stale page is asked for again and never published; one that stays stale is owed and, after
     a day, accepted and told. test_http2.py: the same over HTTP/2.
94   There is no changelog cursor: the serials of the project list are the journal (docs/design.md §5). That an unknown
     or later change costs a fetch and never gets lost: sync/test_plan.py, sync/test_mirror.py (an upload during the run).
95   sync/test_crash.py, after every effect; cli/test_cli.py, kill -9 of the real process.
96   sync/test_crash.py, contract/test_storage_local.py (atomic replacement, short temporary names), cli/test_cli.py.
97   sync/test_mirror.py: yanks, quarantine and replaced files follow; a 404, a 5xx or an empty list removes nothing.
     What upstream deleted is kept and reported until removal is built (docs/design.md §5.5).
98   sync/test_mirror.py (every kind of wrong body), test_http2.py (wrong_hash, truncate_silent).
99   pages/test_simple_json.py, pages/test_simple_html.py, contract/upstream_contract.py, sync/test_mirror.py.
100  pages/test_simple_json.py, pages/test_simple_html.py, sync/test_mirror.py; whole runs: test_end_to_end.py.
101  upstream/test_polite.py, upstream/test_http.py; If-None-Match on pages: sync/test_mirror.py, test_real_pypi.py.
102  sync/test_mirror.py (empty projects, another spelling), test_end_to_end.py (deleted and made anew).
103  here: every legacy type, odd tag and unparsable name passes through.
104  sync/test_mirror.py: a replaced file gets a path of its own.
105  sync/test_mirror.py: changes of no serial are seen at the re-check; back-filled core metadata comes.
106  sync/test_mirror.py: project filters, for both forms and the project list.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tomllib
from typing import NamedTuple
from urllib.parse import unquote, urljoin, urlsplit

import pytest
import requests
import simple_repository.parser
from packaging.utils import canonicalize_name
from pip._internal.index.collector import IndexContent, parse_links
from pypi_simple import ACCEPT_HTML_ONLY, ACCEPT_JSON_ONLY, PyPISimple

from support.index import SimulatedIndex, serve
from support.index_pages import JSON_TYPE
from support.installers import isolated, needs_uv, run
from support.nginx import run_nginx
from support.program import Mirror

REASON = 'it\'s <b>"broken"</b> &amp; &lt;twice&gt;\r\n\tsee \U0001f622 \N{LATIN SMALL LETTER E WITH ACUTE}'
LONG_REASON = "The vorpal blade went snicker-snack. " * 40
STATUS_REASON = 'moved to "slithy" <tove> & co'
MANY = 12_000
MEDIA = {"json": JSON_TYPE, "html": "text/html"}
ACCEPT = {"json": ACCEPT_JSON_ONLY, "html": ACCEPT_HTML_ONLY}


class Fact(NamedTuple):
    """What a reader says of one file; None where a form does not say it."""

    filename: str
    sha256: str
    yanked: str | None
    requires_python: str | None
    metadata: str | None
    size: int | None = None


# ------------------------------------------------------------------ the index


def nasty() -> SimulatedIndex:
    """Everything that real indexes hold and a mirror must not stumble over (conformance section 13)."""
    index = SimulatedIndex()
    for name in ("0-._.-._.-._.-0", "con", "simple", "packages", "index", "Namespaces", "A"):
        index.upload(name, "1.0")
    index.create("tove")
    index.create("rath")
    index.release("rath", "1.0")
    upload_odd_names(index)
    upload_yanked(index)
    upload_junk_requirements(index)
    upload_legacy_types(index)
    index.upload("Mome.Rath_s", "1.0", metadata=False)
    index.upload("Mome.Rath_s", "1.1", provenance=True)
    index.upload("Mome.Rath_s", "1.1", "mome_rath_s-1.1.tar.gz")
    index.upload("Mome.Rath_s", "1.2", "mome_rath_s-1.2.tar.gz", content=b"")
    for name, status in (("Archie", "archived"), ("Deppy", "deprecated")):
        index.upload(name, "1.0")
        index.set_status(name, status, STATUS_REASON)
    index.upload("Hush", "1.0")
    return index


def upload_odd_names(index: SimulatedIndex) -> None:
    index.upload("borogove", "1.2+crew.1")
    index.upload("borogove", "1!2.0")
    for number, filename in enumerate(
        (
            "borogove 1.0 (final)~x@y.exe",
            "borogôve-%41%2f-1.0.zip",
            "a\"b<c>&d;e#f?g=h'i.egg",
            "borogove-1.0.tar.gz;",
            "borogove&lt-1.0.zip",
            "borogove-\U0001f40d-1.0.zip",
            "Borogove-01.0.0-py3-none-any.whl",
            "borogove-1.0-1build-py2.py3-none-any.whl",
            f"borogove-3.0-{'x' * 222}-none-any.whl"[:242] + ".whl",
            f"borogove-3.0{'y' * 236}.tar.gz"[:248] + ".tar.gz",
        )
    ):
        index.upload("borogove", "3.0" if "3.0" in filename else "1.0-final", filename, b"%d" % number)


def upload_yanked(index: SimulatedIndex) -> None:
    for version, reason in (("0.1", REASON), ("0.2", ""), ("0.3", LONG_REASON), ("0.4", "false")):
        index.upload("jubjub-bird", version)
        index.yank("jubjub-bird", version, reason)
    index.upload("jubjub-bird", "0.5")
    index.yank("jubjub-bird", "0.5", "taken back")
    index.unyank("jubjub-bird", "0.5")
    index.upload("only-yanked", "1.0")
    index.yank("only-yanked", "1.0", "\U0001f525")


def upload_junk_requirements(index: SimulatedIndex) -> None:
    for number, junk in enumerate((">=3.6.*", ">= '2.7'", ">=3.6,", "3", "<4 & >2", "", '>"3" <b>', "~=né")):
        index.upload("gyre", f"0.{number}", requires_python=junk)
    index.upload("gyre", "1.0", requires_python=">=3.8,!=3.9.0")
    index.upload("gyre", "9.0", requires_python=">=99")


def upload_legacy_types(index: SimulatedIndex) -> None:
    for ending in (
        "egg",
        "exe",
        "tar.bz2",
        "zip",
        "rpm",
        "msi",
        "dmg",
        "tgz",
        "tar.Z",
        "tbz",
        "tar.xz",
        "deb",
    ):
        index.upload("gimble", "2004d", f"gimble-2004d.{ending}")
    index.upload("gimble", "2004d", "gimble-2004d.linux-x86_64.tar.gz", b"a dumb one")
    index.upload("gimble", "1.0", "gimble-1.0-variants.json", b"{}")
    index.upload("gimble", "1.0", "gimble-1.0.tar.gz")
    index.upload("gimble", "1.0.0", "gimble-1.0.0.tar.gz")
    index.upload("gimble", "1.0.0", "gimble-1.0.0.zip", b"a second sdist")


@pytest.fixture(scope="module")
def index():
    return nasty()


@pytest.fixture(scope="module")
def mirror(index, tmp_path_factory):
    with serve(index) as served:
        made = Mirror(tmp_path_factory.mktemp("mirror"), served)
        first = made.run("mirror")
        index.quarantine("Hush")  # once it is mirrored; else there is nothing to say of it
        second = made.run("sync", "Hush")
    for done in (first, second):
        assert done.returncode == 0, done.stderr
        assert "WARNING" not in done.stderr
        assert "ERROR" not in done.stderr
    return made


@pytest.fixture(scope="module")
def nginx(mirror, tmp_path_factory):
    with run_nginx(
        "frumious-static.conf", mirror.directory / "web", tmp_path_factory.mktemp("nginx")
    ) as running:
        yield running


@pytest.fixture
def alone(tmp_path):
    return isolated(tmp_path)


def expected(index, name, form):
    """Return what the index says of a project's files, as a page of one form can say it."""
    return {
        Fact(
            file.filename,
            file.sha256,
            file.yanked,
            file.requires_python or None,
            file.metadata_sha256,
            len(file.content) if form == "json" else None,
        )
        for file in index.project(name).offered_files()
    }


# ---------------------------------------------------------------- the readers


def fetch(nginx, path, form):
    answer = nginx.ask(path, {"Accept": MEDIA[form]})
    assert answer.status == 200
    return answer.body


def pypi_simple_client(nginx):
    session = requests.Session()
    session.trust_env = False
    return PyPISimple(f"{nginx.url}/simple/", session=session)


def read_by_pypi_simple(nginx, name, form):
    with pypi_simple_client(nginx) as client:
        page = client.get_project_page(name, accept=ACCEPT[form])
    for file in page.packages:
        yield Fact(
            file.filename,
            file.digests["sha256"],
            (file.yanked_reason or "") if file.is_yanked else None,
            file.requires_python,
            file.metadata_digests["sha256"] if file.has_metadata else None,
            file.size,
        )


def read_by_simple_repository(nginx, name, form):
    text = fetch(nginx, f"/simple/{name}/", form).decode()
    if form == "json":
        page = simple_repository.parser.parse_json_project_page(text)
    else:
        page = simple_repository.parser.parse_html_project_page(text, name)
    for file in page.files:
        metadata = file.dist_info_metadata
        yield Fact(
            file.filename,
            file.hashes["sha256"],
            {True: "", False: None}.get(file.yanked, file.yanked),
            file.requires_python,
            metadata["sha256"] if metadata else None,
            file.size,
        )


def read_by_pip(nginx, name, form):
    url = f"{nginx.url}/simple/{name}/"
    body = fetch(nginx, f"/simple/{name}/", form)
    for link in parse_links(IndexContent(body, MEDIA[form], None, url, cache_link_parsing=False)):
        metadata = link.metadata_link()
        hashes = metadata.as_hashes() if metadata else None
        assert link.hash_name == "sha256"
        yield Fact(
            link.filename,
            link.hash,
            link.yanked_reason,
            link.requires_python,
            hashes._allowed["sha256"][0] if hashes else None,
            None,
        )


READERS = {
    "pypi-simple": read_by_pypi_simple,
    "simple-repository": read_by_simple_repository,
    "pip": read_by_pip,
}


@pytest.mark.parametrize("form", sorted(MEDIA))
@pytest.mark.parametrize("reader", sorted(READERS))
def test_everybody_reads_what_the_index_says(index, nginx, reader, form):
    for name in index.names():
        found = list(READERS[reader](nginx, name, form))
        wanted = expected(index, name, form if reader != "pip" else "html")  # pip passes sizes over
        assert len(found) == len(wanted), name
        assert set(found) == wanted, name


@pytest.mark.parametrize("form", sorted(MEDIA))
def test_everybody_reads_the_same_project_list(index, nginx, form):
    """Quarantined projects are left out; empty ones are not."""
    listed = {project.name for _, project in index.view().listed()}
    body = fetch(nginx, "/simple/", form)
    with pypi_simple_client(nginx) as client:
        assert client.get_index_page(accept=ACCEPT[form]).projects == sorted(listed, key=canonicalize_name)
    parse = getattr(simple_repository.parser, f"parse_{form}_project_list")
    assert {project.name for project in parse(body.decode()).projects} == listed
    assert {"tove", "rath", "only-yanked"} <= listed
    assert "Hush" not in listed


@pytest.mark.parametrize("form", sorted(MEDIA))
def test_statuses_and_provenance_come_through(index, mirror, nginx, form):
    with pypi_simple_client(nginx) as client:
        pages = {
            name: client.get_project_page(name, accept=ACCEPT[form])
            for name in ("archie", "deppy", "hush", "mome-rath-s")
        }
    assert {name: (page.status.value, page.status_reason) for name, page in pages.items()} == {
        "archie": ("archived", STATUS_REASON),
        "deppy": ("deprecated", STATUS_REASON),
        "hush": ("quarantined", None),
        "mome-rath-s": ("active", None),
    }
    assert {page.repository_version for page in pages.values()} == {"1.4"}
    wheel = index.file("mome_rath_s-1.1-py3-none-any.whl")
    assert {file.filename: file.provenance_url for file in pages["mome-rath-s"].packages} == {
        "mome_rath_s-1.0-py3-none-any.whl": None,
        wheel.filename: mirror.served.url + wheel.provenance_path,
        "mome_rath_s-1.1.tar.gz": None,
        "mome_rath_s-1.2.tar.gz": None,
    }


def test_versions_and_times_are_the_indexs(index, nginx):
    """Conformance 26, 29."""
    with pypi_simple_client(nginx) as client:
        for name in index.names():
            page = client.get_project_page(name, accept=ACCEPT_JSON_ONLY)
            files = index.project(name).offered_files()
            assert sorted(page.versions) == sorted({file.version for file in files})
            said = json.loads(fetch(nginx, f"/simple/{name}/", "json"))
            assert {f["filename"]: f["upload-time"] for f in said["files"]} == {
                f.filename: f.upload_time for f in files
            }
            assert page.last_serial == str(index.project(name).serial)


def test_every_file_of_an_odd_name_answers_under_its_link(index, nginx):
    """Conformance 59, 67, 69, 103."""
    for name in index.names():
        for entry in json.loads(fetch(nginx, f"/simple/{name}/", "json"))["files"]:
            target = urljoin(f"/simple/{name}/", entry["url"])
            answer = nginx.ask(target)
            assert answer.status == 200, target
            assert hashlib.sha256(answer.body).hexdigest() == entry["hashes"]["sha256"]
            assert len(answer.body) == entry["size"]
            file = index.file(entry["filename"])
            sidecar = nginx.ask(f"{target}.metadata")
            assert (sidecar.status, sidecar.body == file.metadata) == (
                (200, True) if file.metadata is not None else (404, False)
            ), target


# ------------------------------------------------------------------------- uv


def uv_lock(folder, index_url, env, *requirements):
    """Resolve by uv and return what its lock says: {name version: {file name: (digest, size, upload time)}}."""
    needs_uv()
    folder.mkdir()
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "carroll"\nversion = "0"\n'
        f'requires-python = ">={sys.version_info.major}.{sys.version_info.minor}"\n'
        f"dependencies = {json.dumps(requirements)}\n"
    )
    shown = run(
        "uv", "lock", "--project", folder, "--python", sys.executable,
        env={**env, "UV_DEFAULT_INDEX": index_url},
    )  # fmt: skip
    locked = tomllib.loads((folder / "uv.lock").read_text())
    found = {}
    for package in locked["package"]:
        if "registry" not in package["source"]:
            continue
        assert package["source"]["registry"] == index_url
        files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
        found[f"{package['name']} {package['version']}"] = {
            unquote(urlsplit(file["url"]).path).rpartition("/")[2]: (
                file["hash"],
                file.get("size"),
                file.get("upload-time"),
            )
            for file in files
        }
    return found, shown


def as_locked(index, *filenames):
    """Return what uv's lock has to say of some files."""
    files = [index.file(filename) for filename in filenames]
    return {
        file.filename: (f"sha256:{file.sha256}", len(file.content), uv_time(file.upload_time))
        for file in files
    }


def uv_time(said):
    """Return an instant in uv's spelling: a fraction without trailing zeros."""
    return said.rstrip("Z").rstrip("0") + "Z" if "." in said else said


def test_uv_locks_what_the_index_says(index, nginx, tmp_path, alone):
    """Hashes, sizes, upload times; what is yanked is passed over, what cannot be parsed in nobody's way."""
    wanted = [
        "0-0",
        "con",
        "simple",
        "a",
        "borogove",
        "jubjub.bird",
        "gyre",
        "mome-rath-s<1.2",
        "archie",
        "deppy",
    ]
    locked, _ = uv_lock(tmp_path / "project", f"{nginx.url}/simple", alone, *wanted)

    assert locked == {
        "0-0 1.0": as_locked(index, *filenames(index, "0-0")),
        "con 1.0": as_locked(index, "con-1.0-py3-none-any.whl"),
        "simple 1.0": as_locked(index, "simple-1.0-py3-none-any.whl"),
        "a 1.0": as_locked(index, "a-1.0-py3-none-any.whl"),
        "borogove 1!2.0": as_locked(index, "borogove-1!2.0-py3-none-any.whl"),
        "jubjub-bird 0.5": as_locked(index, "jubjub_bird-0.5-py3-none-any.whl"),
        # One for every Python that there is, one for those to come: both requires-python were read.
        "gyre 1.0": as_locked(index, "gyre-1.0-py3-none-any.whl"),
        "gyre 9.0": as_locked(index, "gyre-9.0-py3-none-any.whl"),
        "mome-rath-s 1.1": as_locked(index, "mome_rath_s-1.1-py3-none-any.whl", "mome_rath_s-1.1.tar.gz"),
        "archie 1.0": as_locked(index, "archie-1.0-py3-none-any.whl"),
        "deppy 1.0": as_locked(index, "deppy-1.0-py3-none-any.whl"),
    }


def filenames(index, name):
    return [file.filename for file in index.project(name).offered_files()]


def test_uv_says_why_a_file_was_yanked(nginx, tmp_path, alone):
    _, shown = uv_lock(
        tmp_path / "project", f"{nginx.url}/simple", alone, "jubjub-bird==0.3", "only-yanked==1.0"
    )

    assert LONG_REASON.strip() in shown
    assert "\U0001f525" in shown


@pytest.mark.parametrize("name", ["tove", "rath", "hush"])
def test_uv_takes_a_project_without_files_for_one_without_versions(nginx, tmp_path, alone, name):
    with pytest.raises(AssertionError, match=f"no versions of {name}"):
        uv_lock(tmp_path / "project", f"{nginx.url}/simple", alone, name)


# --------------------------------------------------------- twelve thousand files


@pytest.fixture(scope="module")
def crowd():
    """One project of 12,000 wheels, a hundred to a version; every hundredth yanked."""
    index = SimulatedIndex()
    for number in range(MANY):
        version = f"{number // 100}.0"
        index.upload(
            "crowd", version, f"crowd-{version}-{number % 100}-py3-none-any.whl", b"%d" % number, metadata=False
        )  # fmt: skip
    for version in (f"{number}.0" for number in range(0, MANY // 100, 10)):
        index.yank("crowd", version, "too many")
    index.upload("crowd", "1000.0")
    return index


@pytest.fixture(scope="module")
def crowd_server(crowd, tmp_path_factory):
    """Pages only, so the files stay upstream's: it goes on, by plain http, for uv does not know the test's CA."""
    with serve(crowd, tls=False) as served:
        made = Mirror(tmp_path_factory.mktemp("crowd"), served)
        made.write(release_files="false", allow_non_https="true", timeout=30)
        done = made.run("mirror")
        assert done.returncode == 0, done.stderr
        assert served.requests("file:*") == []
        folder = tmp_path_factory.mktemp("nginx")
        with run_nginx("frumious-static.conf", made.directory / "web", folder) as running:
            yield running


@pytest.mark.slow
@pytest.mark.parametrize("form", sorted(MEDIA))
@pytest.mark.parametrize("reader", sorted(READERS))
def test_everybody_reads_a_project_of_twelve_thousand_files(crowd, crowd_server, reader, form):
    found = list(READERS[reader](crowd_server, "crowd", form))
    assert len(found) == MANY + 1
    assert set(found) == expected(crowd, "crowd", form if reader != "pip" else "html")


@pytest.mark.slow
def test_uv_resolves_among_twelve_thousand_files(crowd, crowd_server, tmp_path, alone):
    locked, _ = uv_lock(tmp_path / "project", f"{crowd_server.url}/simple", alone, "crowd")
    assert locked == {"crowd 1000.0": as_locked(crowd, "crowd-1000.0-py3-none-any.whl")}
