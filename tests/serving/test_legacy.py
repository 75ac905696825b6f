"""What is older than the Simple API's JSON, from a real mirror: legacy JSON, XML-RPC, RSS, `/stats/` (conformance 81-89)."""

import asyncio
import contextlib
import http.client
import json
import subprocess
import time
import xml.etree.ElementTree as ET
import xmlrpc.client
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from frumious.catalog.sqlite import open_catalog
from frumious.server.feeds import Feeds
from frumious.server.http import Request
from frumious.server.page_store import PageStore
from frumious.server.records import Records
from frumious.server.releases import Projects
from frumious.server.simple import SimpleApi
from frumious.server.tree import Tree
from support.index import SimulatedIndex, serve
from support.program import Mirror
from support.serving import serving

INFO = {
    "author", "author_email", "bugtrack_url", "classifiers", "description", "description_content_type", "docs_url",
    "download_url", "downloads", "dynamic", "home_page", "keywords", "license", "license_expression", "license_files",
    "maintainer", "maintainer_email", "name", "package_url", "platform", "project_url", "project_urls", "provides_extra",
    "release_url", "requires_dist", "requires_python", "summary", "version", "yanked", "yanked_reason",
}  # fmt: skip
FILE = {
    "comment_text", "core-metadata", "digests", "downloads", "filename", "has_sig", "md5_digest", "packagetype",
    "python_version", "requires_python", "size", "upload_time", "upload_time_iso_8601", "url", "yanked", "yanked_reason",
}  # fmt: skip
KEYS = {"info", "last_serial", "ownership", "releases", "urls"}
"""Without `vulnerabilities`: none known is not none."""


def an_index():
    index = SimulatedIndex()
    for version in ("1.0", "1.1", "2.0", "3.0rc1"):
        index.upload("Foo.Bar", version)
    index.upload("Foo.Bar", "1.0", "foo_bar-1.0.tar.gz")
    index.yank("Foo.Bar", "2.0", 'breaks "everything" <now>')
    index.upload("scikit-learn", "0.9")
    index.upload("reqwests", "1.0")
    index.create("empty")
    index.upload("gone", "1.0")
    index.upload("bad", "1.0")
    index.quarantine("bad")
    return index


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    """A mirror that was made by a run, and a server over it."""
    with serve(an_index()) as served:
        mirror = Mirror(tmp_path_factory.mktemp("legacy"), served)
        done = mirror.run("mirror")
        assert done.returncode == 0, done.stderr
        with serving(mirror.config, env=mirror.env) as server:
            yield mirror, server


@pytest.fixture(scope="module")
def server(there):
    return there[1]


class calls:  # noqa: N801 - reads as what it does
    """The XML-RPC interface; each call has a connection of its own, and closes it."""

    def __init__(self, server, path="/pypi"):
        self._url = server.url + path

    def __getattr__(self, method):
        def call(*arguments):
            with xmlrpc.client.ServerProxy(self._url, allow_none=True) as proxy:
                return getattr(proxy, method)(*arguments)

        return call


def document(server, path, **headers):
    answer = server.ask(path, **headers)
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == "application/json"
    return json.loads(answer.body)


# --- legacy JSON -------------------------------------------------------------------------------------------------------


def test_a_document_is_made_of_the_page_and_the_core_metadata(server):
    """Conformance 81-83, 85, 52, 70."""
    answer = server.ask("/pypi/foo-bar/json")
    said = json.loads(answer.body)
    page = json.loads(server.ask("/simple/foo-bar/", Accept="application/vnd.pypi.simple.v1+json").body)

    assert set(said) == KEYS
    assert set(said["info"]) == INFO
    assert said["info"]["name"] == "Foo.Bar"
    assert said["info"]["version"] == "1.1", "neither yanked nor a pre-release"
    assert set(said["releases"]) == {"1.0", "1.1", "2.0", "3.0rc1"}
    assert (
        answer.headers["x-pypi-last-serial"] == str(said["last_serial"]) == str(page["meta"]["_last-serial"])
    )
    files = {file["filename"]: file for files in said["releases"].values() for file in files}
    assert files.keys() == {file["filename"] for file in page["files"]}
    for listed in page["files"]:
        file = files[listed["filename"]]
        assert set(file) == FILE
        assert file["digests"]["sha256"] == listed["hashes"]["sha256"]
        assert (file["size"], file["upload_time_iso_8601"]) == (listed["size"], listed["upload-time"])
        assert (file["has_sig"], file["downloads"]) == (False, -1)
        url = urlsplit(file["url"])
        assert f"{url.scheme}://{url.netloc}" == server.url
        assert url.path.startswith("/packages/")
        assert server.ask(url.path).status == 200
    assert {file["yanked_reason"] for file in said["releases"]["2.0"]} == {'breaks "everything" <now>'}
    assert said["urls"] == said["releases"]["1.1"]


def test_a_release_has_a_document_of_its_own(server):
    """Conformance 81, 84."""
    said = document(server, "/pypi/foo-bar/2.0/json")

    assert set(said) == KEYS - {"releases"}
    assert (said["info"]["version"], said["info"]["yanked"]) == ("2.0", True)
    assert {file["filename"] for file in document(server, "/pypi/foo-bar/2.0.0/json")["urls"]} == {
        file["filename"] for file in said["urls"]
    }


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/pypi/Foo.Bar/json", "/pypi/foo-bar/json"),
        ("/pypi/FOO_bar/1.0/json", "/pypi/foo-bar/1.0/json"),
        ("/pypi/foo-bar/", "/simple/foo-bar/"),
    ],
)
def test_where_it_is_now(server, path, location):
    assert server.ask(path).headers["location"] == location


@pytest.mark.parametrize(
    "path",
    [
        "/pypi/nope/json",
        "/pypi/foo-bar/9/json",
        "/pypi/empty/json",
        "/pypi/bad/json",
        "/pypi/..%2f/json",
        "/pypi/foo-bar/x/y/json",
    ],
)
def test_what_is_not_there(server, path):
    """Conformance 7, 73."""
    answer = server.ask(path)

    assert answer.status == 404
    assert len(answer.body) < 100
    if answer.headers["content-type"] == "application/json":
        assert json.loads(answer.body) == {"message": "Not Found"}


def test_a_document_that_has_not_changed_is_not_sent_again(server):
    first = server.ask("/pypi/foo-bar/json")

    assert server.ask("/pypi/foo-bar/json", If_None_Match=first.headers["etag"]).status == 304


def test_a_stored_document_is_sent_as_it_lies(tmp_path):
    with serve(an_index()) as served:
        mirror = Mirror(tmp_path, served)
        mirror.write(json="true")
        assert mirror.run("mirror").returncode == 0
        with serving(mirror.config, env=mirror.env) as server:
            answer = server.ask("/pypi/foo-bar/json")
            version = server.ask("/pypi/foo-bar/1.0/json")
    stored = Path(mirror.directory, "web/pypi/foo-bar/json").read_bytes()

    assert answer.body == stored
    assert int(answer.headers["x-pypi-last-serial"]) >= json.loads(stored)["last_serial"]
    assert json.loads(version.body)["info"]["version"] == "1.0"


def test_what_filters_and_quarantine_keep_from_the_mirror_is_in_no_stored_document(tmp_path):
    """Conformance 52, 73, 106; without `base-url` the stored documents are upstream's own, all files included."""
    index = an_index()
    with serve(index) as served:
        mirror = Mirror(tmp_path, served)
        mirror.write(json="true")
        assert mirror.run("mirror").returncode == 0
        index.quarantine("gone")
        kept = Path(mirror.directory, "web/pypi/gone/json").read_bytes()
        index.upload("only-rc", "1.0rc1")
        mirror.write("[plugins]\nenabled = prerelease_release\n", json="true")
        assert mirror.run("mirror").returncode == 0
        stored = Path(mirror.directory, "web/pypi/gone/json")
        assert not stored.exists()
        stored.parent.mkdir(exist_ok=True)
        stored.write_bytes(kept)  # as versions before left it
        Path(mirror.directory, "web/json/gone").write_bytes(kept)
        with serving(mirror.config, env=mirror.env) as server:
            answers = {
                name: server.ask(f"/pypi/{name}/json") for name in ("foo-bar", "gone", "only-rc", "reqwests")
            }
            static = server.ask("/json/gone")
            page = json.loads(
                server.ask("/simple/foo-bar/", Accept="application/vnd.pypi.simple.v1+json").body
            )
    web = Path(mirror.directory, "web")
    assert b"3.0rc1" in Path(web, "pypi/foo-bar/json").read_bytes(), "else this test says nothing"

    said = json.loads(answers["foo-bar"].body)
    assert {file["filename"] for files in said["releases"].values() for file in files} == {
        file["filename"] for file in page["files"]
    }
    assert "3.0rc1" not in said["releases"]
    assert answers["foo-bar"].headers["x-pypi-last-serial"] == str(said["last_serial"])
    assert said["last_serial"] == page["meta"]["_last-serial"]
    assert [answers[name].status for name in ("gone", "only-rc", "reqwests")] == [404, 404, 200]
    assert static.status == 404


# --- XML-RPC -----------------------------------------------------------------------------------------------------------


def test_the_methods_that_mirrors_use(server):
    """Conformance 86."""
    listed = json.loads(server.ask("/simple/", Accept="application/vnd.pypi.simple.v1+json").body)
    proxy = calls(server)

    head = proxy.changelog_last_serial()
    rows = proxy.changelog_since_serial(0)

    assert head == listed["meta"]["_last-serial"]
    assert proxy.list_packages_with_serial() == {p["name"]: p["_last-serial"] for p in listed["projects"]}
    assert {row[0] for row in rows} >= {p["name"] for p in listed["projects"]}
    assert [row[4] for row in rows] == sorted(row[4] for row in rows)
    for name, version, at, action, serial in rows:
        assert (type(name), version, type(action)) == (str, None, str)
        assert 0 < serial <= head
        assert abs(at - time.time()) < 3600
    assert proxy.changelog_since_serial(head) == []
    assert calls(server, "/RPC2").changelog_last_serial() == head


def test_what_changes_is_told_and_what_leaves(tmp_path):
    index = an_index()
    with serve(index) as served:
        mirror = Mirror(tmp_path, served)
        assert mirror.run("mirror").returncode == 0
        with serving(mirror.config, env=mirror.env) as server:
            proxy = calls(server)
            before = proxy.changelog_last_serial()
            index.upload("reqwests", "2.0")
            index.delete_project("gone")
            assert mirror.run("mirror").returncode == 0
            told = {(row[0], row[3]) for row in proxy.changelog_since_serial(before)}
            names = proxy.list_packages_with_serial()

    assert {("reqwests", "update"), ("gone", "remove project")} <= told
    assert "gone" not in names


@pytest.mark.parametrize(
    ("method", "arguments", "code"),
    [
        ("list_packages", (), -32500),
        ("release_data", ("a", "1"), -32500),
        ("system.multicall", ([],), -32500),
        ("nonsense", (), -32601),
        ("changelog_since_serial", (), -32602),
        ("changelog_since_serial", ("1",), -32602),
        ("changelog_since_serial", (True,), -32602),
        ("search", ("x",), -32602),
        ("search", ({"name": "x"}, "xor"), -32602),
    ],
)
def test_faults(server, method, arguments, code):
    """Conformance 87."""
    with pytest.raises(xmlrpc.client.Fault) as caught:
        getattr(calls(server), method)(*arguments)

    assert caught.value.faultCode == code


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 200),
        (b"nonsense", 200),
        (b"<!DOCTYPE x [<!ENTITY a 'b'>]><methodCall><methodName>&a;</methodName></methodCall>", 200),
        ("<methodCall><methodName>x</methodName></methodCall>".encode("utf-16"), 200),
        (b"<methodCall><methodName>search</methodName><params>" + b"<param><value><array><data>" * 2000, 200),
        (b"x" * 100_000, 413),
    ],
)
def test_bodies_that_are_no_calls(server, body, status):
    answer = server.ask("/pypi", "POST", body, Content_Type="text/xml")

    assert answer.status == status
    if status == 200:
        with pytest.raises(xmlrpc.client.Fault):
            xmlrpc.client.loads(answer.body)


def test_search_finds_names(server):
    proxy = calls(server)

    found = proxy.search({"name": ["scikit"], "summary": ["scikit"]}, "or")

    assert [(hit["name"], hit["version"]) for hit in found] == [("scikit-learn", "0.9")]
    assert [hit["name"] for hit in proxy.search({"name": "Foo_bar"})] == ["Foo.Bar"]
    assert proxy.search({"name": ["no", "such"]}) == []
    assert proxy.search({}) == []


OLD_PIP = Path.home() / ".pyenv/versions/3.6.15/bin/python"


@pytest.mark.skipif(
    not OLD_PIP.exists(), reason=f"{OLD_PIP} is not there, so `pip search` is NOT tested with a real pip"
)
def test_pip_search(server):
    """What the team this product was born in missed most."""
    done = subprocess.run(
        [OLD_PIP, "-m", "pip", "search", "--disable-pip-version-check", "--index", f"{server.url}/pypi", "scikit"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert "scikit-learn (0.9)" in done.stdout


# --- RSS and stats -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "titles"),
    [
        ("/rss/updates.xml", {"Foo.Bar 1.1", "scikit-learn 0.9", "reqwests 1.0", "gone 1.0"}),
        ("/rss/packages.xml", {"Foo.Bar", "scikit-learn", "reqwests", "gone"}),
        ("/rss/project/foo-bar/releases.xml", {"1.0", "1.1", "2.0", "3.0rc1"}),
    ],
)
def test_feeds(server, path, titles):
    """Conformance 88."""
    answer = server.ask(path)
    feed = ET.fromstring(answer.body)  # noqa: S314 - our own

    assert answer.headers["content-type"].startswith("text/xml")
    assert {item.findtext("title") for item in feed.iter("item")} == titles
    for item in feed.iter("item"):
        link = item.findtext("link")
        assert link.startswith(server.url)
        assert server.ask(urlsplit(link).path).status == 200
        assert item.findtext("pubDate")
    assert server.ask(path, If_None_Match=answer.headers["etag"]).status == 304


def test_each_host_gets_links_to_itself(server):
    def links(host):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        with contextlib.closing(connection):
            connection.request("GET", "/rss/updates.xml", headers={"Host": host})
            feed = ET.fromstring(connection.getresponse().read())  # noqa: S314 - our own
        return {item.findtext("link") for item in feed.iter("item")}

    for host in ("pypi.example.org", "mirror.example.com"):
        assert links(host) == {
            f"http://{host}/simple/{name}/" for name in ("foo-bar", "gone", "reqwests", "scikit-learn")
        }


def test_a_feed_is_made_once_whatever_the_hosts_that_it_is_asked_for_by(there):
    """Whoever makes up hosts costs no more than others: a feed reads a hundred projects."""
    mirror, _ = there
    read = []

    class Counting(Projects):
        def read(self, page, kind, name):
            read.append(name)
            return super().read(page, kind, name)

    async def ask():
        tree = Tree(mirror.directory / "web")
        pages = PageStore(tree, capacity=1 << 20, cache_control="no-store")
        projects = Counting(tree, SimpleApi(pages, hash_index=False), root_uri=None)
        catalog = mirror.directory / ".frumious/catalog.sqlite3"
        records = Records(lambda: open_catalog(catalog, read_only=True), catalog)
        feeds = Feeds(records, projects)
        requests = [
            Request("GET", "/rss/packages.xml", base_url=f"https://{n}.example.org") for n in range(5)
        ]
        try:
            return await asyncio.gather(*map(feeds.answer, requests))
        finally:
            await records.aclose()

    answers = asyncio.run(ask())

    assert [f"https://{n}.example.org/simple/foo-bar/".encode() in a.body for n, a in enumerate(answers)] == [
        True
    ] * 5
    assert sorted(read) == sorted(set(read))
    assert "foo-bar" in read


@pytest.mark.parametrize(
    "path", ["/rss/", "/rss/nope.xml", "/rss/project/nope/releases.xml", "/rss/project/../releases.xml"]
)
def test_no_such_feed(server, path):
    assert server.ask(path).status == 404


def test_stats(there):
    """Conformance 89."""
    mirror, server = there
    said = document(server, "/stats/")

    sizes = [
        path.stat().st_size for path in Path(mirror.directory, "web/packages").rglob("*") if path.is_file()
    ]
    assert said["total_packages_size"] == sum(sizes)
    assert set(said["top_packages"]) == {"Foo.Bar", "scikit-learn", "reqwests", "gone"}
    assert list(said) == ["top_packages", "total_packages_size"]


def test_without_a_catalog_what_needs_none_goes_on(tmp_path):
    with serve(an_index()) as served:
        mirror = Mirror(tmp_path, served)
        assert mirror.run("mirror").returncode == 0
        for part in Path(mirror.directory, ".frumious").glob("catalog.sqlite3*"):
            part.rename(part.with_name(f"moved-{part.name}"))
        with serving(mirror.config, env=mirror.env) as server:
            assert server.ask("/simple/foo-bar/").status == 200
            assert server.ask("/pypi/foo-bar/json").status == 200
            assert server.ask("/ready").status == 503
            for path in ("/rss/updates.xml", "/stats/"):
                answer = server.ask(path)
                assert (answer.status, b"there is no catalog" in answer.body) == (503, True)
            with pytest.raises(xmlrpc.client.Fault, match="there is no catalog"):
                calls(server).changelog_last_serial()
            for part in Path(mirror.directory, ".frumious").glob("moved-*"):
                part.rename(part.with_name(part.name.removeprefix("moved-")))
            assert server.ask("/ready").status == 200, "found again without a restart"
            assert calls(server).changelog_last_serial() > 0
