"""The simulated index behaves as PyPI does where a mirror can see it; otherwise scenario tests prove nothing."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import json
import ssl
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from email.message import Message
from io import BytesIO

import pytest

from frumious.errors import AbsentProject, BadPage, BadStatus, Unreachable, UnsupportedVersion
from frumious.model.layout import file_key
from frumious.model.names import normalize
from frumious.model.project import ProjectStatus
from frumious.upstream.base import OfferedList, OfferedProject
from support.index import (
    ApiVersion,
    Cut,
    Drip,
    Edit,
    EmptyList,
    Garbage,
    Hang,
    OtherRange,
    Reset,
    Served,
    ShortBytes,
    SimulatedIndex,
    SimulatedUpstream,
    Stale,
    Status,
    Stuck,
    WrongBytes,
    serve,
)
from support.index_pages import JSON_TYPE


def listed(upstream: SimulatedUpstream) -> dict[str, int | None]:
    offered = asyncio.run(upstream.project_list(None))
    assert offered is not None
    return {project.name: project.serial for project in offered.projects}


def page(upstream: SimulatedUpstream, name: str) -> OfferedProject:
    offered = asyncio.run(upstream.project(normalize(name), None))
    assert offered is not None
    return offered


def filenames(upstream: SimulatedUpstream, name: str) -> list[str]:
    return [file.filename for file in page(upstream, name).detail.files]


def legacy(upstream: SimulatedUpstream, name: str) -> dict | None:
    document = asyncio.run(upstream.legacy_document(normalize(name)))
    return None if document is None else json.loads(document)


def download(upstream: SimulatedUpstream, url: str, offset: int = 0, validator: str | None = None) -> bytes:
    async def read() -> bytes:
        async with upstream.file(url, size=None, offset=offset, validator=validator) as body:
            return b"".join([chunk async for chunk in body.chunks])

    return asyncio.run(read())


@pytest.fixture
def index():
    return SimulatedIndex()


@pytest.fixture
def upstream(index):
    return SimulatedUpstream(index)


def test_an_uploaded_wheel_installs_with_pip(index, tmp_path):
    wheel = index.upload("Foo.Bar", "1.5", requires_python=">=3.9")
    path = tmp_path / wheel.filename
    path.write_bytes(wheel.content)

    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-compile"]
    subprocess.run([*pip, "--target", str(tmp_path / "lib"), str(path)], check=True, capture_output=True)

    assert (tmp_path / "lib/foo_bar/__init__.py").read_text() == "__version__ = '1.5'\n"


def test_core_metadata_is_the_wheels_own(index):
    wheel = index.upload("six", "1.0", requires_dist=["idna>=2"])

    with zipfile.ZipFile(BytesIO(wheel.content)) as archive:
        assert archive.read("six-1.0.dist-info/METADATA") == wheel.metadata
    assert index.upload("six", "1.0", "six-1.0.tar.gz").metadata is None


def test_the_journal_counts_one_serial_a_row_and_keeps_the_spelling_of_the_time(index):
    index.upload("Foo.Bar", "1.0")
    index.upload("foo_bar", "1.0", "foo_bar-1.0.tar.gz")

    assert [(row.serial, row.name, row.action) for row in index.journal] == [
        (1, "Foo.Bar", "create"),
        (2, "Foo.Bar", "add Owner tove"),
        (3, "Foo.Bar", "new release"),
        (4, "Foo.Bar", "add py3 file foo_bar-1.0-py3-none-any.whl"),
        (5, "foo_bar", "add py3 file foo_bar-1.0.tar.gz"),
    ]
    assert index.serial == index.project("FOO-BAR").serial == 5
    assert index.project("foo-bar").name == "foo_bar"


def test_the_list_names_projects_as_displayed_with_their_serials(index, upstream):
    index.upload("Foo.Bar")
    index.create("empty")

    assert listed(upstream) == {"Foo.Bar": 4, "empty": 6}
    assert index.serial == 6


def test_a_file_path_is_a_content_address_that_a_mirror_takes_over(index):
    file = index.upload("six")

    digest = hashlib.blake2b(file.content, digest_size=32).hexdigest()
    assert file.path == f"/packages/{digest[:2]}/{digest[2:4]}/{digest[4:]}/{file.filename}"
    assert file_key(f"https://files.example.org{file.path}", file.filename) == f"web{file.path}"


@pytest.mark.parametrize(
    "filename", ["a+b-1.0+local.zip", "sp ace-1!1.0.tar.gz", "grün-1.0.egg", "a%2Fb-1.zip"]
)
def test_odd_file_names_are_linked_encoded_and_found_again(index, upstream, filename):
    file = index.upload("odd", "1.0", filename)

    url = page(upstream, "odd").detail.files[0].url

    assert url.isascii()
    assert " " not in url
    assert download(upstream, url) == file.content


# Conformance section 7: what PyPI answers in each situation.


def test_a_quarantined_project_leaves_the_list_and_offers_nothing_until_lifted(index, upstream):
    index.upload("six")
    before = index.serial

    index.quarantine("six")

    assert listed(upstream) == {}
    assert page(upstream, "six").detail.status is ProjectStatus.QUARANTINED
    assert filenames(upstream, "six") == []
    assert legacy(upstream, "six") is None
    assert index.journal[-1].action == "project quarantined"
    assert index.serial == before + 1

    index.unquarantine("six")

    assert listed(upstream) == {"six": before + 2}
    assert filenames(upstream, "six") == ["six-1.0-py3-none-any.whl"]


def test_a_quarantined_release_loses_its_files_alone(index, upstream):
    index.upload("six", "1.0")
    index.upload("six", "2.0")

    index.quarantine("six", "2.0")

    detail = page(upstream, "six").detail
    assert detail.versions == ("1.0",)
    assert detail.status is ProjectStatus.ACTIVE
    assert list(legacy(upstream, "six")["releases"]) == ["1.0"]
    assert (index.journal[-1].action, index.journal[-1].version) == ("release quarantined", "2.0")


def test_archiving_changes_the_page_and_no_serial(index, upstream):
    index.upload("six")
    before, serial = page(upstream, "six"), index.serial

    index.archive("six")

    after = page(upstream, "six")
    assert after.detail.status is ProjectStatus.ARCHIVED
    assert after.etag != before.etag
    assert index.serial == after.detail.serial == serial


def test_empty_projects_and_releases_without_files(index, upstream):
    index.create("empty")
    index.create("bare")
    index.release("bare", "1.0")

    assert page(upstream, "empty").detail.versions == ()
    assert legacy(upstream, "empty") is None
    assert page(upstream, "bare").detail.versions == ()
    assert legacy(upstream, "bare")["releases"] == {"1.0": []}


def test_a_yank_marks_every_file_of_the_release_and_those_uploaded_later(index, upstream):
    index.upload("six", "1.0")
    index.upload("six", "2.0")
    index.yank("six", "1.0", 'br"ok<en>\n☃')
    index.upload("six", "1.0", "six-1.0.tar.gz")

    assert [file.yanked for file in page(upstream, "six").detail.files] == [
        'br"ok<en>\n☃',
        'br"ok<en>\n☃',
        None,
    ]

    index.yank("six", "2.0")
    index.unyank("six", "1.0")

    assert [file.yanked for file in page(upstream, "six").detail.files] == [None, None, ""]


def test_deletions_are_seen_in_pages_and_journal_while_bytes_stay(index, upstream):
    index.upload("six", "1.0")
    index.upload("six", "1.0", "six-1.0.tar.gz")
    kept = index.upload("six", "2.0")
    urls = [file.url for file in page(upstream, "six").detail.files]

    index.delete_file("six", "six-1.0.tar.gz")
    assert filenames(upstream, "six") == ["six-1.0-py3-none-any.whl", kept.filename]

    index.delete_release("six", "1.0")
    assert filenames(upstream, "six") == [kept.filename]

    index.delete_project("six")
    assert listed(upstream) == {}
    with pytest.raises(AbsentProject):
        page(upstream, "six")
    assert [row.action for row in index.journal[-3:]] == [
        "remove file six-1.0.tar.gz",
        "remove release",
        "remove project",
    ]
    assert all(download(upstream, url) for url in urls)


def test_a_project_created_again_has_the_new_spelling_and_a_higher_serial(index, upstream):
    index.upload("Foo-Bar")
    index.delete_project("foo-bar")
    gone = index.serial

    index.upload("foo.bar", "9.0")

    assert listed(upstream) == {"foo.bar": index.serial}
    assert index.serial > gone
    assert filenames(upstream, "foo-bar") == ["foo_bar-9.0-py3-none-any.whl"]


def test_a_rename_keeps_everything_but_the_spelling(index, upstream):
    index.upload("Foo-Bar")
    before = page(upstream, "foo-bar").detail.files

    index.rename("foo_bar")

    assert listed(upstream) == {"foo_bar": index.serial}
    assert page(upstream, "foo-bar").detail.files == before


def test_other_bytes_under_the_same_name_are_another_address(index, upstream):
    index.upload("six", "1.0", "six-variants.json", b"{}")
    old = page(upstream, "six").detail.files[0]

    index.replace("six", "six-variants.json", b'{"a": 1}')

    new = page(upstream, "six").detail.files[0]
    assert (new.filename, download(upstream, new.url)) == (old.filename, b'{"a": 1}')
    assert new.url != old.url
    with pytest.raises(ValueError, match="exists"):
        index.upload("six", "1.0", "six-variants.json", b"")


def test_core_metadata_added_later_moves_no_serial(index, upstream):
    index.upload("six", metadata=False)
    file = page(upstream, "six").detail.files[0]
    assert file.core_metadata is False
    with pytest.raises(BadStatus, match="404"):
        download(upstream, f"{file.url}.metadata")
    serial = index.serial

    index.backfill_metadata("six", file.filename)

    digest = page(upstream, "six").detail.files[0].core_metadata
    body = download(upstream, f"{file.url}.metadata")
    assert hashlib.sha256(body).hexdigest() == digest.hex
    assert index.serial == serial


def test_legacy_json_has_pypis_keys_and_the_pages_facts(index, upstream):
    index.upload("Foo.Bar", "1.0", requires_python=">=3.8")
    index.upload("foo.bar", "2.0")
    index.yank("foo-bar", "2.0", "why")

    document, files = legacy(upstream, "foo-bar"), page(upstream, "foo-bar").detail.files

    assert set(document) == {"info", "last_serial", "releases", "urls", "vulnerabilities", "ownership"}
    assert document["info"]["version"] == "1.0"  # the newest that is not yanked
    assert document["last_serial"] == index.serial
    for file in files:
        (entry,) = document["releases"][file.filename.split("-")[1]]
        assert (entry["size"], entry["upload_time_iso_8601"]) == (file.size, file.upload_time)
        assert entry["digests"]["sha256"] == file.digest.hex
        assert entry["yanked"] is (file.yanked is not None)


def test_legacy_json_tells_of_the_release_that_pypi_takes_for_the_latest(index, upstream):
    for version in ("1.0", "1.10", "1.9", "2.0rc1", "0.1-odd"):
        index.upload("six", version, f"six-{version}.tar.gz")

    def told():
        return legacy(upstream, "six")["info"]["version"]

    assert told() == "1.10"
    index.release("six", "1.11")
    assert told() == "1.11", "a release without files counts"
    index.yank("six", "1.11")
    index.yank("six", "1.10")
    index.yank("six", "1.9")
    index.yank("six", "1.0")
    assert told() == "2.0rc1"
    index.yank("six", "2.0rc1")
    assert told() == "0.1-odd"


def test_legacy_json_says_what_a_test_described(index, upstream):
    index.upload("six", "1.0", "six-1.0-cp39-cp39-win_amd64.whl", b"x", size=5 << 30)
    index.upload("six", "1.0", "six-1.0-py2.7.egg", b"egg")
    index.upload("six", "1.0", "six-1.0.linux-x86_64.tar.gz", b"y", kind="bdist_dumb")
    before = index.serial
    index.describe("Six", classifiers=["Typing :: Typed"], summary=None)

    document = legacy(upstream, "six")

    assert document["info"]["classifiers"] == ["Typing :: Typed"]
    assert (document["info"]["summary"], document["info"]["keywords"]) == (None, None)
    assert document["last_serial"] == index.serial == before + 1
    said = [
        (entry["packagetype"], entry["python_version"], entry["size"])
        for entry in document["releases"]["1.0"]
    ]
    assert said == [("bdist_wheel", "cp39", 5 << 30), ("bdist_egg", "2.7", 3), ("bdist_dumb", "any", 1)]
    assert [file.size for file in page(upstream, "six").detail.files] == [5 << 30, 3, 1]


# Conditional requests and ranges.


def test_the_same_page_is_not_sent_twice(index, upstream):
    index.upload("six")
    first, offered = page(upstream, "six"), asyncio.run(upstream.project_list(None))

    assert asyncio.run(upstream.project(normalize("six"), first.etag)) is None
    assert asyncio.run(upstream.project_list(offered.etag)) is None

    index.touch("six")

    assert isinstance(asyncio.run(upstream.project(normalize("six"), first.etag)), OfferedProject)
    assert isinstance(asyncio.run(upstream.project_list(offered.etag)), OfferedList)
    assert [request.status for request in upstream.requests("page:six")] == [200, 304, 200]
    assert upstream.requests("page:six")[1].etag == first.etag


# Faults: each is one value, and passes.


def test_a_stale_page_is_that_before_the_last_edit(index, upstream):
    index.upload("six", "1.0")
    old = page(upstream, "six").detail
    index.upload("six", "2.0")
    upstream.faults.add("page:six", Stale(), times=2)

    assert [page(upstream, "six").detail == old for _ in range(3)] == [True, True, False]


def test_a_new_projects_stale_page_is_absent(index, upstream):
    index.upload("six")
    upstream.faults.add("page:six", Stale())

    with pytest.raises(AbsentProject):
        page(upstream, "six")
    assert filenames(upstream, "six") == ["six-1.0-py3-none-any.whl"]


def test_a_stale_list_is_one_of_a_named_moment(index, upstream):
    index.upload("six")
    then = index.snapshot()
    index.upload("idna")
    upstream.faults.add("list", Stale(then))
    upstream.faults.add("list", EmptyList())

    assert [sorted(listed(upstream)) for _ in range(3)] == [["six"], [], ["idna", "six"]]


def test_a_stuck_page_stays_behind_the_list(index, upstream):
    index.upload("six")
    upstream.faults.add("page:*", Stuck(), times=None)

    assert {page(upstream, "six").detail.serial for _ in range(5)} == {listed(upstream)["six"] - 1}

    upstream.faults.clear()
    assert page(upstream, "six").detail.serial == listed(upstream)["six"]


def test_statuses_reach_the_caller_with_their_facts(index, upstream):
    index.upload("six")
    for status in (Status(429, retry_after=7), Status(503), Status(410), Reset()):
        upstream.faults.add("page:six", status)

    with pytest.raises(BadStatus) as limited:
        page(upstream, "six")
    assert (limited.value.status, limited.value.retry_after) == (429, 7)
    with pytest.raises(BadStatus, match="503"):
        page(upstream, "six")
    with pytest.raises(AbsentProject):
        page(upstream, "six")
    with pytest.raises(Unreachable):
        page(upstream, "six")
    assert page(upstream, "six").detail.serial == index.serial


def test_pages_can_be_something_else(index, upstream):
    index.upload("six")
    upstream.faults.add("list", Garbage())
    upstream.faults.add("list", ApiVersion("2.0"))

    with pytest.raises(BadPage):
        listed(upstream)
    with pytest.raises(UnsupportedVersion):
        listed(upstream)


def test_bodies_can_break_change_and_drip(index, upstream):
    content = bytes(range(256)) * 8
    url = f"https://files.example.org{index.upload('six', '1.0', 'six-1.0.zip', content).path}"
    for effect in (Cut(100), WrongBytes(), ShortBytes(), Drip(10)):
        upstream.faults.add("file:six-*", effect)

    with pytest.raises(Unreachable, match="early"):
        download(upstream, url)
    wrong = download(upstream, url)
    assert len(wrong) == len(content)
    assert wrong != content
    assert download(upstream, url) == content[:-1]
    assert download(upstream, url) == content


def test_a_hanging_request_waits_until_it_is_given_up(index, upstream):
    upstream.faults.add("list", Hang())

    async def wait() -> tuple[bool, bool]:
        asked = asyncio.create_task(upstream.project_list(None))
        for _ in range(20):
            await asyncio.sleep(0)
        hung = not asked.done()
        asked.cancel()
        await asyncio.wait([asked])
        return hung, asked.cancelled()

    assert asyncio.run(wait()) == (True, True)
    assert listed(upstream) == {}


def test_a_fault_can_wait_for_its_turn(index, upstream):
    index.upload("six")
    upstream.faults.add("list", Reset(), after=2)

    assert listed(upstream) == listed(upstream) == {"six": 4}
    with pytest.raises(Unreachable):
        listed(upstream)


def test_the_index_can_change_while_somebody_asks(index, upstream):
    index.upload("six")
    upstream.faults.add("page:six", Edit(lambda: index.yank("six", "1.0", "late")))

    assert listed(upstream) == {"six": 4}
    assert page(upstream, "six").detail.serial == 5


def test_a_range_from_elsewhere_is_refused(index, upstream):
    url = f"https://files.example.org{index.upload('six').path}"
    upstream.faults.add("file:*", OtherRange(), after=1)

    async def validator() -> str | None:
        async with upstream.file(url, size=None) as body:
            return body.validator

    etag = asyncio.run(validator())
    with pytest.raises(Unreachable):
        download(upstream, url, 10, etag)


def test_a_download_mirror_comes_first_and_has_faults_of_its_own(index):
    upstream = SimulatedUpstream(index, download_mirror="https://mirror.example.net/pool/")
    file = index.upload("six")
    upstream.faults.add("mirror:*", WrongBytes())

    first, second = upstream.sources(page(upstream, "six").detail.files[0].url)

    assert first == f"https://mirror.example.net/pool{file.path}"
    assert download(upstream, first) != file.content
    assert download(upstream, second) == download(upstream, first) == file.content


def test_lost_bytes_are_a_404_for_a_listed_file(index, upstream):
    file = index.upload("six")
    index.lose_bytes(file.filename)

    with pytest.raises(BadStatus, match="404"):
        download(upstream, page(upstream, "six").detail.files[0].url)


# Dialects of the in-process face.


def test_an_old_index_says_neither_sizes_nor_serials(index):
    index.upload("six")
    upstream = SimulatedUpstream(index, "json-1.0-no-serials")

    offered = page(upstream, "six")
    (file,) = offered.detail.files

    assert listed(upstream) == {"six": None}
    assert (offered.etag, offered.detail.serial, offered.detail.versions) == (None, None, None)
    assert (file.size, file.upload_time, file.core_metadata) == (None, None, None)
    assert asyncio.run(upstream.serial()) is None


def test_serials_may_be_strings_in_bodies_only(index):
    index.upload("six")
    upstream = SimulatedUpstream(index, "json-string-serials")

    assert page(upstream, "six").detail.serial == index.serial
    assert listed(upstream) == {"six": index.serial}
    assert asyncio.run(upstream.serial()) is None  # no header


# The served face.


def fetch(served: Served, path: str, **headers: str) -> tuple[int, Message, bytes]:
    """Ask as a plain client does, redirects followed."""
    trust = ssl.create_default_context(cafile=served.ca_pem) if served.ca_pem else None
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with urllib.request.urlopen(
            urllib.request.Request(served.url + path, headers=named), context=trust
        ) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.status, error.headers, error.read()


@pytest.mark.parametrize("dialect", ["json", "html"])
def test_pip_installs_from_the_served_index(index, tmp_path, dialect):
    index.upload("idna", "3.0", "idna-3.0.tar.gz")
    index.upload("Foo.Bar", "1.0", requires_dist=["idna>=2"])
    index.upload("idna", "2.5", requires_python=">=3.9")

    with serve(index, dialect, tls=False, prefix="/root/pypi") as served:
        pip = [
            sys.executable,
            "-m",
            "pip",
            "--isolated",
            "install",
            "--quiet",
            "--no-cache-dir",
            "--no-compile",
        ]
        where = ["--only-binary=:all:", "--index-url", f"{served.url}/simple/"]
        subprocess.run([*pip, *where, "--target", str(tmp_path), "foo-bar"], check=True, capture_output=True)

    assert (tmp_path / "idna/__init__.py").read_text() == "__version__ = '2.5'\n"
    assert (tmp_path / "foo_bar/__init__.py").exists()


def test_the_served_index_says_what_the_one_in_process_says(index, upstream):
    index.upload("six")

    with serve(index) as served:
        status, headers, body = fetch(served, "/simple/six/", accept=JSON_TYPE)
        again = fetch(served, "/simple/six/", accept=JSON_TYPE, if_none_match=headers["etag"])

    ours, theirs = json.loads(page(upstream, "six").body), json.loads(body)
    for document in (ours, theirs):
        for file in document["files"]:
            file["url"] = urllib.parse.urlsplit(file["url"]).path
    assert (status, theirs) == (200, ours)
    assert headers["x-pypi-last-serial"] == str(index.serial)
    assert (again[0], again[2]) == (304, b"")


def test_the_served_index_answers_html_to_those_who_do_not_ask_for_json(index):
    """Conformance 44, as PyPI does."""
    index.upload("six")

    with serve(index, tls=False) as served:
        assert fetch(served, "/simple/")[1]["content-type"] == "text/html"
        assert fetch(served, "/simple/", accept=JSON_TYPE)[1]["content-type"] == JSON_TYPE


@pytest.mark.parametrize("asked", ["/simple/Foo_Bar/", "/simple/foo-bar", "/simple/FOO.bar"])
def test_other_spellings_are_one_redirect_away(index, asked):
    """Conformance 3 and 4, as PyPI does."""
    index.upload("Foo.Bar")

    with serve(index, tls=False, prefix="/p") as served:
        assert fetch(served, asked)[0] == 200
        assert [request.status for request in served.requests("page:*")] == [301, 200]


def test_faults_are_the_same_over_http(index):
    index.upload("six", "1.0", "six-1.0.zip", b"x" * 1000)

    with serve(index, tls=False) as served:
        path = index.file("six-1.0.zip").path
        served.faults.add("page:six", Status(429, retry_after=5))
        served.faults.add("file:*", Cut(10))
        served.faults.add("file:*", Reset())
        served.faults.add("file:*", Drip(100))

        status, headers, _ = fetch(served, "/simple/six/")
        assert (status, headers["retry-after"]) == (429, "5")
        with pytest.raises(http.client.IncompleteRead):
            fetch(served, path)
        with pytest.raises(OSError, match="reset"):
            fetch(served, path)
        assert fetch(served, path)[2] == b"x" * 1000
        assert [request.status for request in served.requests("file:*")] == [200, None, 200]
