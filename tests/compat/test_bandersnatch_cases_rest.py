"""Cases 50 to 60 of bandersnatch: other options, removal, hostile names, a mirror of a mirror.

See test_bandersnatch_cases.py; 53, 54 and 56 are about `verify`, 57 is in test_bandersnatch_cases_delete.py.
"""

import json
import re
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest

from support import httpd
from support.drop_in import DropIn, u0
from support.index import Blob, Garbage, SimulatedIndex, Status, WrongBytes, serve
from support.index_pages import DIALECTS, JSON_TYPE, Place, detail_json
from support.nginx import run_nginx

WHEEL, SDIST, YANKED = "foo_bar-1.0-py3-none-any.whl", "foo_bar-1.0.tar.gz", "foo_bar-2.0.tar.gz"
FORMS = ("html", "v1_html", "v1_json")


@pytest.fixture
def drop_in(tmp_path):
    with serve(u0()) as served:
        yield DropIn(tmp_path, served)


# -------------------------------------------------------------------------------------- keep_index_versions


def test_case_50_earlier_pages_are_kept_beside_the_one_that_is_out(drop_in):
    drop_in.configure(keep_index_versions="2")
    folder = drop_in.web / "simple/a"
    for version in ("2.0", "3.0", "4.0"):
        drop_in.index.upload("A", version)
        drop_in.mirror()
    for form in FORMS:
        kept = sorted((folder / "versions").glob(f"*.{form}"))
        assert len(kept) == 2
        page = folder / f"index.{form}"
        assert page.is_symlink()
        assert not page.readlink().is_absolute(), "the tree can be moved"
        assert page.resolve() == kept[-1].resolve()
        earlier = kept[0].read_text()
        assert "a-3.0-py3" in earlier
        assert "a-4.0-py3" not in earlier
    assert "a-4.0-py3-none-any.whl" in drop_in.filenames("a")
    assert not (drop_in.web / "simple/versions").exists()


# ------------------------------------------------------------------------------------------------ diff-file


def listed(path):
    """Return the paths of a list of changes."""
    text = path.read_text()
    assert not text.endswith("\n")
    return text.splitlines()


def test_case_51_a_run_lists_what_it_changed(drop_in):
    drop_in.configure(diff_file="{{mirror_directory}}/lists/changed", json="true")
    drop_in.mirror()
    changed = listed(drop_in.directory / "lists/changed")
    assert len(changed) == len(set(changed))
    assert {Path(path).relative_to(drop_in.web).as_posix() for path in changed} == {
        *drop_in.tree(), "last-modified"
    }  # fmt: skip

    new = drop_in.index.upload("A", "2.0")
    drop_in.mirror()
    changed = {
        Path(p).relative_to(drop_in.web).as_posix() for p in listed(drop_in.directory / "lists/changed")
    }
    wheel = new.path[1:]
    assert changed >= {wheel, f"{wheel}.metadata", "json/a", "simple/a/index.html", "simple/a/index.v1_json"}
    assert not [path for path in changed if "foo-bar" in path]


def test_case_51_projects_that_failed_and_deletions_are_listed_too(drop_in):
    drop_in.configure(diff_file=drop_in.directory / "changed")
    drop_in.mirror()
    gone = [drop_in.path("a-1.0.tar.gz"), drop_in.web / "simple/a/index.html"]
    drop_in.index.delete_project("A")
    here = drop_in.index.upload("Foo.Bar", "4.0", "foo_bar-4.0.tar.gz")
    bad = drop_in.index.upload("Foo.Bar", "4.0")
    drop_in.served.faults.add(f"file:{bad.filename}", WrongBytes(), times=None)
    drop_in.mirror(code=3)
    changed = listed(drop_in.directory / "changed")
    assert str(drop_in.path(here.filename)) in changed
    assert str(drop_in.path(bad.filename)) not in changed
    assert {str(path) for path in gone} <= set(listed(drop_in.directory / "changed.deleted"))
    assert not [path for path in gone if path.exists()]


def test_case_51_the_epoch_ends_the_name_and_a_directory_gets_a_file(tmp_path, drop_in):
    (tmp_path / "lists").mkdir()
    drop_in.configure(diff_file=tmp_path / "lists")
    drop_in.mirror()
    assert (tmp_path / "lists/mirrored-files").is_file()

    drop_in.configure(diff_file=tmp_path / "lists", diff_append_epoch="true")
    drop_in.mirror()
    names = [path.name for path in tmp_path.iterdir() if path.is_file() and path.name.startswith("lists")]
    assert [name for name in names if re.fullmatch(r"lists-\d{10}", name)]


# ------------------------------------------------------------------------------------------ download-mirror


@contextmanager
def nearby(drop_in, answer):
    """Serve a mirror for downloads that has nothing, or everything with other bytes."""

    async def handler(request):
        blob = drop_in.index.blobs.get(unquote(request.path))
        if answer == "absent" or blob is None:
            return httpd.Response(404)
        return httpd.Response(body=blob.content if answer == "right" else bytes(len(blob.content)))

    with httpd.serve(handler) as server:
        yield server


@pytest.mark.parametrize("slash", ["", "/"])
def test_case_52_files_come_from_the_download_mirror(drop_in, slash):
    with nearby(drop_in, "right") as server:
        drop_in.configure(download_mirror=server.url + slash, allow_non_https="true")
        assert drop_in.mirror().files == []
        assert all(request.path.startswith("/packages/") for request in server.requests)
        assert len(server.requests) == 5
    assert drop_in.filenames("foo-bar") == [WHEEL, SDIST, YANKED]


@pytest.mark.parametrize("answer", ["absent", "wrong"])
def test_case_52_what_it_lacks_comes_from_where_upstream_says(drop_in, answer):
    with nearby(drop_in, answer) as server:
        drop_in.configure(download_mirror=server.url, allow_non_https="true")
        drop_in.mirror()
        assert server.requests
    assert drop_in.path(SDIST).read_bytes() == drop_in.index.file(SDIST).content
    assert drop_in.status == "10"


@pytest.mark.parametrize("answer", ["absent", "wrong"])
def test_case_52_unless_there_is_no_falling_back(drop_in, answer):
    with nearby(drop_in, answer) as server:
        drop_in.configure(
            download_mirror=server.url, allow_non_https="true", download_mirror_no_fallback="true"
        )
        ran = drop_in.mirror(code=3)
    assert ran.files == []
    assert drop_in.tree("packages") == {}
    assert drop_in.todo.splitlines()[1:] == ["A 5", "Foo.Bar 10"]


# ------------------------------------------------------------------------------------------ names and paths


def page_of(drop_in, name):
    """Return upstream's page of a project, for a test to spoil."""
    place = Place(drop_in.served.url, drop_in.served.url)
    return json.loads(detail_json(name, drop_in.index.project(name), DIALECTS["json"], place))


def answer(drop_in, name, page):
    drop_in.served.faults.add(f"page:{name}", Garbage(json.dumps(page).encode(), JSON_TYPE), times=None)


def test_case_55_an_encoded_plus_is_one_file_under_one_name(drop_in):
    file = drop_in.index.upload("boojum", "1.2+crew.1")
    page = page_of(drop_in, "boojum")
    (entry,) = page["files"]
    entry["url"] = entry["url"].replace("+", "%2B")
    answer(drop_in, "boojum", page)
    drop_in.mirror()
    held = [key for key in drop_in.tree("packages") if "boojum" in key]
    assert held == [file.path[1:], f"{file.path[1:]}.metadata"]
    for link in (*drop_in.links("boojum"), *(entry["url"] for entry in drop_in.page("boojum")["files"])):
        path = urlsplit(urljoin("https://pypi.example.org/simple/boojum/", link)).path
        assert (drop_in.web / unquote(path)[1:]).read_bytes() == file.content

    before = drop_in.tree("packages")
    assert drop_in.mirror("--force-check").files == []
    assert drop_in.tree("packages") == before


TRAVERSALS = ["/packages/%2e%2e/%2e%2e/%2e%2e/x", "/packages/../../../x", "/packages/..%2f..%2f..%2fx", "/packages/aa//x"]  # fmt: skip


@pytest.mark.parametrize("path", TRAVERSALS)
def test_case_59_no_address_of_upstreams_leads_out_of_the_tree(tmp_path, drop_in, path):
    name = "snark-1.0.tar.gz"
    file = drop_in.index.upload("snark", "1.0", name)
    page = page_of(drop_in, "snark")
    (entry,) = page["files"]
    entry["url"] = f"{drop_in.served.url}{path.removesuffix('x')}{name}"
    answer(drop_in, "snark", page)
    blob = drop_in.index.blobs[file.path]
    for found in (f"/{name}", unquote(f"{path.removesuffix('x')}{name}"), f"/packages/{name}"):
        drop_in.index.blobs[found] = Blob(blob.content, blob.modified)
    drop_in.mirror()
    outside = [p for p in tmp_path.rglob(f"*{name}*") if not p.is_relative_to(drop_in.web / "packages")]
    assert outside == []
    assert {p.name for p in tmp_path.iterdir()} == {"mirror", "bandersnatch.conf"}
    (link,) = drop_in.links("snark")
    target = (drop_in.web / "simple/snark" / unquote(link.partition("#")[0])).resolve()
    assert target.is_relative_to(drop_in.web / "packages")
    assert target.read_bytes() == file.content


def test_case_59_no_name_of_upstreams_becomes_a_path_or_markup(tmp_path, drop_in):
    for hostile in ('x"><b>', "../../evil", "..", "a b", "<script>alert(1)</script>"):
        drop_in.index.create(hostile)
    odd = drop_in.index.upload("Foo.Bar", "4.0", 'foo_bar-4.0"><b>.tar.gz', content=b"bold")
    drop_in.mirror()
    assert drop_in.projects() == ["a", "foo-bar"]
    assert odd.filename in drop_in.filenames("foo-bar")
    for path in drop_in.web.glob("simple/**/*html"):
        text = path.read_text().lower()
        assert "<b>" not in text
        assert "<script" not in text
    link = next(href for href in drop_in.links("foo-bar") if "4.0" in href)
    target = (drop_in.web / "simple/foo-bar" / unquote(link.partition("#")[0])).resolve()
    assert target.read_bytes() == b"bold"
    assert {p.name for p in tmp_path.iterdir()} == {"mirror", "bandersnatch.conf"}
    assert {p.name for p in (drop_in.web / "simple").iterdir() if p.is_dir()} == {"a", "foo-bar"}


# ----------------------------------------------------------------------------------- what upstream removed


def in_trash(drop_in):
    """Return what can be brought back, by file name."""
    trash = drop_in.directory / ".frumious/trash"
    return {path.name: path.read_bytes() for path in trash.rglob("*") if path.is_file()}


def test_case_58_what_upstream_removed_leaves_and_can_be_had_back(drop_in):
    drop_in.mirror()
    sdist, yanked = drop_in.index.file("a-1.0.tar.gz"), drop_in.index.file(YANKED)
    drop_in.index.delete_project("A")
    drop_in.index.delete_file("Foo.Bar", YANKED)
    drop_in.mirror()
    assert drop_in.projects() == ["foo-bar"]
    assert not (drop_in.web / "simple/a").exists()
    assert drop_in.filenames("foo-bar") == [WHEEL, SDIST]
    assert {path.rpartition("/")[2] for path in drop_in.tree("packages")} == {
        WHEEL,
        f"{WHEEL}.metadata",
        SDIST,
    }
    assert in_trash(drop_in) == {sdist.filename: sdist.content, yanked.filename: yanked.content}
    assert (drop_in.status, drop_in.todo) == (str(drop_in.index.serial), None)


def test_case_58_more_than_a_run_removes_on_its_own_waits_for_somebody(drop_in):
    drop_in.configure(removal_max_projects="0", removal_max_percent="0")
    drop_in.mirror()
    before = drop_in.tree("packages")
    drop_in.index.delete_project("A")
    ran = drop_in.mirror(code=5)
    assert drop_in.projects() == ["a", "foo-bar"]
    assert drop_in.tree("packages") == before
    plan = re.search(r"mirror --confirm ([0-9a-f]+)", ran.log)[1]
    drop_in.mirror("--confirm", plan)
    assert drop_in.projects() == ["foo-bar"]


def test_case_58_with_removal_keep_nothing_is_removed(drop_in):
    drop_in.configure(removal="keep")
    drop_in.mirror()
    before = drop_in.tree("packages")
    drop_in.index.delete_project("A")
    drop_in.index.delete_file("Foo.Bar", YANKED)
    ran = drop_in.mirror()
    assert "a: upstream no longer has it; our copy is kept" in ran.log
    assert drop_in.projects() == ["a", "foo-bar"]
    assert drop_in.filenames("a") == ["a-1.0.tar.gz"]
    assert drop_in.tree("packages") == before


# ------------------------------------------------------------------------------------- a mirror of a mirror


@contextmanager
def plain(web, _folder):
    """Serve a tree as a server does that knows nothing of indexes: `index.html` for a directory, files as they are."""

    async def handler(request):
        path = web / unquote(request.path).lstrip("/")
        path = path / "index.html" if path.is_dir() else path
        if not path.is_file():
            return httpd.Response(404)
        kind = "text/html" if path.suffix == ".html" else "application/octet-stream"
        return httpd.Response(headers={"Content-Type": kind}, body=path.read_bytes())

    with httpd.serve(handler) as server:
        yield server


@contextmanager
def nginx(web, folder):
    with run_nginx("frumious-static.conf", web, folder) as server:
        yield server


@pytest.mark.parametrize("server", [nginx, plain], ids=lambda server: server.__name__)
def test_case_60_a_tree_of_ours_can_be_mirrored(tmp_path, drop_in, server):
    def second_run():
        with server(drop_in.web, tmp_path / "server") as running:
            second = DropIn(below, replace(drop_in.served, url=running.url, ca_pem=None))
            second.configure()
            second.mirror()
        return second

    below = tmp_path / "below"
    below.mkdir()
    drop_in.index.upload("boojum", "1.2+crew.1", requires_python=">=3.8,<4")
    drop_in.mirror()
    same(drop_in, second_run())

    drop_in.index.upload("A", "2.0")
    drop_in.index.delete_project("boojum")
    drop_in.mirror()
    same(drop_in, second_run())


def same(first, second):
    """Assert that two mirrors say and hold the same."""
    assert second.tree("packages") == first.tree("packages")
    assert second.projects() == first.projects()
    for name in first.projects():
        assert second.links(name) == first.links(name)
        assert second.page(name)["versions"] == first.page(name)["versions"]
    assert (second.status, second.todo) == (first.status, None)


def test_case_60_what_changed_above_is_all_that_is_asked_for_below(tmp_path):
    index = SimulatedIndex()
    for number in range(5):
        index.upload(f"project-{number}", "1.0")
    below = tmp_path / "below"
    below.mkdir()
    with serve(index) as served:
        first = DropIn(tmp_path, served)
        first.mirror()
        with run_nginx("frumious-static.conf", first.web, tmp_path / "nginx") as server:
            second = DropIn(below, replace(served, url=server.url, ca_pem=None))
            second.mirror()
            index.upload("project-3", "2.0")
            served.faults.add("page:project-4", Status(500), times=None)
            first.mirror()
            second.mirror()
        targets = [request.target for request in server.requests() if request.status == 200]
    after = targets[len(targets) - targets[::-1].index("/simple/") :]
    assert [target for target in after if target.startswith("/simple/")] == ["/simple/project-3/"]
    assert second.status == first.status == str(index.serial)
