"""Cases 9 to 20 of bandersnatch: what a run writes. See test_bandersnatch_cases.py."""

import json
import re
import time
from datetime import datetime

import pytest

from support.drop_in import DropIn, u0
from support.index import serve

WHEEL, SDIST, YANKED = "foo_bar-1.0-py3-none-any.whl", "foo_bar-1.0.tar.gz", "foo_bar-2.0.tar.gz"
FORMS = {"index.html", "index.v1_html", "index.v1_json"}


@pytest.fixture
def drop_in(tmp_path):
    with serve(u0()) as served:
        yield DropIn(tmp_path, served)


def said(link):
    """Return the attributes of a link but its target."""
    return {key: value for key, value in link.items() if key != "href"}


# ------------------------------------------------------------------------------------------- a first run


def test_case_09_a_first_run_leaves_the_tree_that_bandersnatch_leaves(drop_in):
    drop_in.mirror()
    assert (drop_in.status, drop_in.generation, drop_in.todo) == ("10", "5", None)
    files = [drop_in.index.file(name).path[1:] for name in ("a-1.0.tar.gz", WHEEL, SDIST, YANKED)]
    sidecar = f"{drop_in.index.file(WHEEL).path[1:]}.metadata"
    pages = {f"simple/{folder}{form}" for folder in ("", "a/", "foo-bar/") for form in FORMS}
    tree = drop_in.tree()
    assert tree.keys() == {*files, sidecar, *pages, "local.json", "local.db.serial"}
    assert [tree[name] for name in files] == [drop_in.index.blobs[f"/{name}"].content for name in files]
    assert tree[sidecar] == drop_in.index.file(WHEEL).metadata
    assert re.fullmatch(r"\d{8}T\d\d:\d\d:\d\d\n", drop_in.text("web/last-modified"))


def test_case_10_the_html_page_says_the_same(drop_in):
    drop_in.mirror()
    page = (drop_in.web / "simple/foo-bar/index.html").read_text()
    assert (drop_in.web / "simple/foo-bar/index.v1_html").read_text() == page
    assert "<title>Links for Foo.Bar</title>" in page
    assert page.rstrip().endswith("<!--SERIAL 10-->")

    files = [drop_in.index.file(name) for name in (WHEEL, SDIST, YANKED)]
    metadata = f"sha256={files[0].metadata_sha256}"
    links = drop_in.links("foo-bar")
    assert list(links) == [f"../..{file.path}#sha256={file.sha256}" for file in files]
    assert [said(link) for link in links.values()] == [
        {"data-core-metadata": metadata, "data-dist-info-metadata": metadata},
        {},
        {"data-yanked": "r"},
    ]


def test_case_11_the_json_page_says_the_same(drop_in):
    drop_in.mirror()
    page = drop_in.page("foo-bar")
    assert {"files", "meta", "name", "versions"} <= page.keys()
    assert page["name"] == "foo-bar"
    assert int(page["meta"]["_last-serial"]) == 10
    assert page["versions"] == ["1.0", "2.0"]
    wheel, sdist, yanked = page["files"]
    for entry, name in zip(page["files"], (WHEEL, SDIST, YANKED), strict=True):
        file = drop_in.index.file(name)
        assert entry["filename"] == name
        assert entry["url"] == f"../..{file.path}"
        assert entry["hashes"] == {"sha256": file.sha256}
        assert (entry["size"], entry.get("requires-python")) == (len(file.content), None)
        assert datetime.fromisoformat(entry["upload-time"]) == datetime.fromisoformat(file.upload_time)
    assert wheel["core-metadata"] == {"sha256": drop_in.index.file(WHEEL).metadata_sha256}
    assert sdist["core-metadata"] is False
    assert (wheel["yanked"], sdist["yanked"], yanked["yanked"]) == (False, False, "r")

    listed = {project["name"]: project["_last-serial"] for project in drop_in.page()["projects"]}
    assert listed == {"A": 5, "Foo.Bar": 10}
    assert drop_in.projects() == ["a", "foo-bar"]


def test_case_12_modes_and_times_suit_a_web_server(drop_in):
    drop_in.mirror(umask=0o077)
    for path in [drop_in.web, *drop_in.web.rglob("*")]:
        assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644), path
    uploaded = datetime.fromisoformat(drop_in.index.file(WHEEL).upload_time).timestamp()
    file = drop_in.path(WHEEL)
    assert file.stat().st_mtime == pytest.approx(uploaded, abs=1e-5)
    assert file.with_name(f"{WHEEL}.metadata").stat().st_mtime == pytest.approx(uploaded, abs=1e-5)


# ------------------------------------------------------------------------------------------- further runs


def test_case_13_with_nothing_new_only_the_list_is_asked_for(drop_in):
    drop_in.mirror()
    before, stamps = drop_in.tree(), times(drop_in)
    earlier = drop_in.text("web/last-modified")
    time.sleep(1.1)  # it says seconds
    ran = drop_in.mirror()
    assert ran.requests == ("list",)
    assert drop_in.text("web/last-modified") > earlier
    assert (drop_in.tree(), times(drop_in)) == (before, stamps)


def times(drop_in):
    return {
        path: path.stat().st_mtime_ns
        for part in ("simple", "packages")
        for path in (drop_in.web / part).rglob("*")
        if path.is_file()
    }


def test_case_14_of_what_changed_only_that_is_asked_for(drop_in):
    drop_in.mirror()
    drop_in.index.touch("A")
    assert drop_in.index.serial == 11
    ran = drop_in.mirror()
    assert ran.requests == ("list", "page:a")
    assert drop_in.status == "11"


# ---------------------------------------------------------------------------------- options for what is out


def test_case_15_json_keeps_the_legacy_documents(drop_in):
    drop_in.configure(
        json="true",
        plugins=["blocklist_release"],
        sections={"blocklist": {"packages": ["foo.bar==2.0"]}},
    )
    drop_in.mirror()
    assert drop_in.filenames("foo-bar") == [WHEEL, SDIST]
    text = drop_in.text("web/json/foo-bar")
    document = json.loads(text)
    assert document.keys() >= {"info", "last_serial", "releases", "urls"}
    assert {version: len(files) for version, files in document["releases"].items()} == {
        "1.0": 2,
        "2.0": 1,
        "3.0": 0,
    }, "unfiltered"
    assert json.dumps(document, indent=4, sort_keys=True) == text
    assert drop_in.text("web/pypi/foo-bar/json") == text


def test_case_15_with_a_base_url_the_public_one_tells_of_what_is_here(drop_in):
    drop_in.configure(
        json="true",
        base_url="https://pypi.example.org",
        plugins=["blocklist_release"],
        sections={"blocklist": {"packages": ["foo.bar==2.0"]}},
    )
    drop_in.mirror()
    assert "2.0" in json.loads(drop_in.text("web/json/foo-bar"))["releases"]
    document = json.loads(drop_in.text("web/pypi/foo-bar/json"))
    urls = {file["url"] for files in document["releases"].values() for file in files}
    assert urls == {f"https://pypi.example.org{drop_in.index.file(name).path}" for name in (WHEEL, SDIST)}


def test_case_16_hash_index_adds_a_directory_and_changes_no_link(drop_in):
    drop_in.configure(hash_index="true")
    drop_in.mirror()
    assert {path.name for path in (drop_in.web / "simple/f/foo-bar").iterdir()} == FORMS
    assert {path.name for path in (drop_in.web / "simple").iterdir() if path.is_dir()} == {"a", "f"}
    assert drop_in.projects() == ["a", "foo-bar"]
    assert all(href.startswith("../../packages/") for href in drop_in.links("f/foo-bar"))


@pytest.mark.parametrize("root", ["https://files.example.org", "https://files.example.org/"])
def test_case_17_root_uri_stands_before_every_link(drop_in, root):
    drop_in.configure(root_uri=root)
    ran = drop_in.mirror()
    expected = [
        f"https://files.example.org{drop_in.index.file(name).path}" for name in (WHEEL, SDIST, YANKED)
    ]
    assert [file["url"] for file in drop_in.page("foo-bar")["files"]] == expected
    assert [href.partition("#")[0] for href in drop_in.links("foo-bar")] == expected
    assert (" WARNING: " in ran.log) == root.endswith("/"), "a final slash is dropped, and said"


def test_case_18_without_release_files_pages_lead_to_upstreams(drop_in):
    drop_in.configure(release_files="false")
    ran = drop_in.mirror()
    assert " WARNING: " in ran.log
    assert "release-files" in ran.log
    assert ran.files == []
    assert drop_in.tree("packages") == {}
    for file in drop_in.page("foo-bar")["files"]:
        assert file["url"] == f"{drop_in.served.url}{drop_in.index.file(file['filename']).path}"
        assert file["hashes"] == {"sha256": drop_in.index.file(file["filename"]).sha256}
    assert drop_in.status == "10"


@pytest.mark.parametrize(
    ("form", "expected"), [("json", {"index.v1_json"}), ("Html", {"index.html", "index.v1_html"})]
)
def test_case_19_simple_format_chooses_the_forms(drop_in, form, expected):
    drop_in.configure(simple_format=form)
    drop_in.mirror()
    for folder in ("", "a", "foo-bar"):
        files = {path.name for path in (drop_in.web / "simple" / folder).iterdir() if path.is_file()}
        assert files == expected


def test_case_19_a_form_that_is_no_longer_wanted_goes(drop_in):
    drop_in.mirror()
    drop_in.configure(simple_format="JSON")
    ran = drop_in.mirror()
    assert (ran.pages, ran.files) == (set(), [])
    assert {key.rpartition("/")[2] for key in drop_in.tree("simple")} == {"index.v1_json"}


def test_case_20_without_core_metadata_nothing_tells_of_it(drop_in):
    drop_in.configure(core_metadata="false")
    ran = drop_in.mirror()
    assert not [name for name in (*ran.files, *drop_in.tree()) if name.endswith(".metadata")]
    assert all(set(link) == {"href"} or "data-yanked" in link for link in drop_in.links("foo-bar").values())
    assert not any(file.get("core-metadata") for file in drop_in.page("foo-bar")["files"])
