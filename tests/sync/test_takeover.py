"""A tree that another program made is taken over: the catalog knows it, and nothing of it changes."""

import asyncio
import json
import os
import re
import sys
from dataclasses import replace

import pytest

from frumious.errors import StorageError
from frumious.model.names import normalize
from frumious.storage.local import LocalStorage
from frumious.sync.events import FileHeld, Notice, TreeRead
from frumious.sync.takeover import take_over
from support.bandersnatch_tree import WRITTEN, bandersnatch_tree
from support.index import SimulatedIndex
from support.world import World

VERSIONS = ["2.0", "4", "7", "8.2"]


@pytest.fixture
def index():
    index = SimulatedIndex()
    index.upload("A", "1.0", "a-1.0.tar.gz", content=b"sdist of a", metadata=False)
    index.upload("Foo.Bar", "1.0", requires_python=">=3.8, <4")
    index.upload("Foo.Bar", "1.0", "Foo.Bar-1.0.tar.gz", content=b"sdist of foo", metadata=False)
    index.upload("Foo.Bar", "2.0")
    index.yank("foo-bar", "1.0", 'bites "hard" <always>')
    index.upload("Some_Thing", "1.0+local.1")
    index.create("tove")
    return index


class Mirror(World):
    """A world that begins with somebody else's tree."""

    def __init__(self, tmp_path, index, tree, *, local=False, **options):
        self.folder = tmp_path / "mirror"
        storage = LocalStorage(tree.on_disk(self.folder)) if local else tree.in_memory()
        super().__init__(tmp_path, index=index, storage=storage, **options)

    def take_over(self, **options):
        return self._run(lambda ports: take_over(ports, self.options, **options), None, check=False)

    def requests(self, pattern):
        return [request.target for request in self.upstream.requests(pattern)]

    def row(self, name):
        return self.catalog(lambda catalog: _row(catalog, normalize(name)))

    def files(self, name):
        return self.catalog(lambda catalog: _files(catalog, normalize(name)))

    def notices(self, level="warning"):
        return [e.text for e in self.events if isinstance(e, Notice) and e.level == level]

    def pages(self):
        return {
            k: v for k, v in self.tree().items() if re.match(r"web/(simple/.*/|packages/|json/|pypi/)", k)
        }


async def _row(catalog, name):
    return (await catalog.known([name])).get(name)


async def _files(catalog, name):
    return (await catalog.held(name, ()))[0]


# ------------------------------------------------------------------ every layout


LAYOUTS = {
    "4": {"version": "4"},
    "4-json": {"version": "4", "json": True},
    "4-hash-index": {"version": "4", "hash_index": True},
    "7": {"version": "7"},
    "8.2": {"version": "8.2"},
    "8.2-json": {"version": "8.2", "json": True},
    "8.2-hash-index": {"version": "8.2", "hash_index": True},
    "8.2-keep": {"version": "8.2", "keep": 2},
    "8.2-hash-index-keep": {"version": "8.2", "keep": 2, "hash_index": True},
    "8.2-json-only": {"version": "8.2", "simple_html": False},
    "8.2-html-only": {"version": "8.2", "simple_json": False},
    "8.2-root-uri": {"version": "8.2", "root_uri": "https://mirror.example.com"},
    "8.2-root-uri-path": {"version": "8.2", "root_uri": "https://mirror.example.com/pypi/web"},
}


def _listed(mirror):
    """Return the names on the project list; JSON alone does not know how upstream spells them."""
    spelled = {normalize(name): name for name in ("A", "Foo.Bar", "Some_Thing", "tove")}
    if not mirror.options.rendering.json:
        return re.findall(r">([^<]+)</a>", mirror.text("web/simple/index.html"))
    if not mirror.options.rendering.html:
        return [spelled[name] for name in mirror.listed()]
    return mirror.listed()


def _mirror(tmp_path, index, layout, *, local, **more):
    style = LAYOUTS[layout]
    mirror = Mirror(tmp_path, index, bandersnatch_tree(index, **style, **more), local=local)
    mirror.rendering(
        hash_index=style.get("hash_index", False),
        root_uri=style.get("root_uri"),
        html=style.get("simple_html", True),
        json=style.get("simple_json", True),
    )
    return mirror


@pytest.mark.parametrize("local", [False, True], ids=["memory", "disk"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_first_run_asks_for_nothing_but_the_list_and_leaves_every_page(tmp_path, index, layout, local):
    mirror = _mirror(tmp_path, index, layout, local=local)
    before = mirror.pages()

    done = mirror.take_over()

    assert (done.projects, done.files, done.incomplete, done.unreadable) == (4, 5, 0, 0)
    assert mirror.pages() == before
    assert mirror.notices() == []
    summary = mirror.mirror(check=False)
    assert (summary.failed, summary.updated, summary.files, summary.adopted) == ({}, 0, 0, 0)
    assert mirror.requests("page:*") == mirror.requests("file:*") == []
    assert mirror.pages() == before
    assert mirror.text("status") == str(index.serial)
    assert _listed(mirror) == ["A", "Foo.Bar", "Some_Thing", "tove"]


def test_what_is_taken_over_is_known(tmp_path, index):
    mirror = Mirror(tmp_path, index, bandersnatch_tree(index))
    mirror.take_over()

    row = mirror.row("foo-bar")
    serial = index.project("foo-bar").serial
    assert (row.display, row.serial, row.published) == ("Foo.Bar", serial, serial)
    assert (row.etag, row.body_digest, row.page_digest) == (None, None, None)
    assert row.page_modified == WRITTEN
    held = mirror.files("foo-bar")
    assert sorted(held) == [
        "Foo.Bar-1.0.tar.gz",
        "foo_bar-1.0-py3-none-any.whl",
        "foo_bar-2.0-py3-none-any.whl",
    ]
    wheel, offered = held["foo_bar-2.0-py3-none-any.whl"], index.file("foo_bar-2.0-py3-none-any.whl")
    assert (wheel.key, wheel.sha256, wheel.size) == (f"web{offered.path}", offered.sha256, offered.size)
    assert (wheel.source, wheel.verified) == (f"sha256={offered.sha256}", False)
    assert (wheel.metadata, wheel.metadata_size) == (offered.metadata_sha256, len(offered.metadata))
    assert mirror.files("a")["a-1.0.tar.gz"].metadata is None
    assert [e for e in mirror.events if isinstance(e, TreeRead)] == [TreeRead(4, 5)]
    assert mirror.notices("info") == ["taken over from the tree: 4 projects, 5 files"]
    state = mirror.catalog(lambda catalog: catalog.state())
    assert (state.head, state.root_stale) == (index.serial, True)


def test_rechecks_of_a_tree_are_spread(tmp_path, index):
    mirror = Mirror(tmp_path, index, bandersnatch_tree(index), recheck_seconds=1000)
    mirror.take_over()
    now = int(mirror.clock())
    assert mirror.catalog(lambda catalog: catalog.due(now + 500, 9)) == []
    due = mirror.catalog(lambda catalog: catalog.due(now + 501, 9))
    assert sorted(row.name for row in due) == ["a", "foo-bar", "some-thing", "tove"]


def test_a_later_change_brings_what_is_new_and_nothing_else(tmp_path, index):
    mirror = Mirror(tmp_path, index, bandersnatch_tree(index))
    mirror.take_over()
    mirror.mirror()
    index.upload("Foo.Bar", "3.0", metadata=False)
    summary = mirror.mirror()
    assert mirror.requests("page:*") == ["page:foo-bar"]
    assert mirror.requests("file:*.whl") == ["file:foo_bar-3.0-py3-none-any.whl"]
    assert (summary.updated, summary.files, summary.failed) == (1, 1, {})
    assert len(mirror.filenames("foo-bar")) == 4


def test_bytes_that_were_taken_over_unread_are_read_when_their_project_is_due(tmp_path, index):
    tree = bandersnatch_tree(index)
    key = f"web{index.file('a-1.0.tar.gz').path}"
    tree.objects[key] = replace(tree.objects[key], data=b"SDIST OF A")  # the same size
    mirror = Mirror(tmp_path, index, tree, recheck_seconds=1000)
    mirror.take_over()
    mirror.mirror(check=False)
    assert mirror.read(key) == b"SDIST OF A"
    mirror.clock.now += 2000
    mirror.mirror()
    assert mirror.read(key) == b"sdist of a"
    assert mirror.requests("file:*.gz") == ["file:a-1.0.tar.gz"]


# ------------------------------------------------------------------ bandersnatch 2.0


@pytest.mark.parametrize("hash_index", [False, True])
def test_a_tree_of_2_0_is_read_once_a_project_and_hashed_in_place(tmp_path, index, hash_index):
    mirror = Mirror(tmp_path, index, bandersnatch_tree(index, "2.0", hash_index=hash_index))
    mirror.rendering(hash_index=hash_index)
    done = mirror.take_over()
    # Its pages say neither how new they are nor a digest that would do.
    assert (done.projects, done.files, done.incomplete) == (4, 0, 4)
    assert mirror.row("foo-bar").display == "Foo.Bar"
    assert mirror.row("foo-bar").published == 0
    summary = mirror.mirror(check=False)
    assert (summary.updated, summary.files, summary.adopted) == (4, 0, 5)
    assert [f for f in mirror.requests("file:*") if not f.endswith(".metadata")] == []
    assert mirror.requests("page:*").count("page:foo-bar") == 1
    place = "web/simple/F/Foo.Bar" if hash_index else "web/simple/Foo.Bar"
    assert mirror.read(f"{place}/index.html") is not None  # nobody asked for it to go


def test_a_tree_of_2_0_with_json_gives_digests_and_sizes(tmp_path, index):
    mirror = Mirror(tmp_path, index, bandersnatch_tree(index, "2.0", json=True))
    done = mirror.take_over()
    assert (done.projects, done.files, done.incomplete) == (4, 5, 4)
    assert mirror.files("a")["a-1.0.tar.gz"].sha256 == index.file("a-1.0.tar.gz").sha256


def test_a_document_that_contradicts_the_page_says_nothing(tmp_path, index):
    tree = bandersnatch_tree(index, "2.0", json=True)
    document = json.loads(tree.objects["web/json/a"].data)
    for file in (*document["releases"]["1.0"], *document["urls"]):
        file["digests"] = {"md5": "0" * 32, "sha256": "0" * 64}
    tree.put("web/json/a", json.dumps(document))
    tree.put("web/json/foo-bar", "{")
    mirror = Mirror(tmp_path, index, tree)
    mirror.take_over()
    assert mirror.files("a") == mirror.files("foo-bar") == {}
    assert list(mirror.files("some-thing")) == ["some_thing-1.0+local.1-py3-none-any.whl"]


def test_md5_pages_of_later_versions_pass_without_a_request(tmp_path, index):
    mirror = Mirror(tmp_path, index, bandersnatch_tree(index, "8.2", digest="md5"))
    done = mirror.take_over()
    assert (done.projects, done.files, done.incomplete) == (4, 0, 0)
    before = mirror.pages()
    mirror.mirror(check=False)
    assert mirror.requests("page:*") == mirror.requests("file:*") == []
    assert mirror.pages() == before


def test_a_directory_under_another_spelling_counts_where_there_is_no_other(tmp_path, index):
    tree = bandersnatch_tree(index, "4")
    for key in [key for key in tree.objects if key.startswith("web/simple/foo-bar/")]:
        for spelling in ("Foo.Bar", "foo.bar"):
            tree.objects[key.replace("foo-bar", spelling)] = tree.objects[key]
        tree.delete(key)
    mirror = Mirror(tmp_path, index, tree)
    done = mirror.take_over()
    assert (done.projects, done.files, done.incomplete) == (4, 5, 1)
    row = mirror.row("foo-bar")
    assert (row.serial, row.published) == (None, None)  # clients find no page where they look for it
    summary = mirror.mirror(check=False)
    assert (summary.updated, summary.adopted) == (1, 3)
    assert mirror.requests("page:*") == ["page:foo-bar"]
    assert len(mirror.filenames("foo-bar")) == 3


# ------------------------------------------------------------------ what is not whole


@pytest.mark.parametrize("damage", ["missing", "short", "empty", "directory"])
@pytest.mark.parametrize("version", ["4", "8.2"])
def test_a_file_that_is_not_there_is_fetched(tmp_path, index, version, damage):
    tree = bandersnatch_tree(index, version)
    key = f"web{index.file('Foo.Bar-1.0.tar.gz').path}"
    if damage == "short" and version == "4":
        tree = bandersnatch_tree(index, version, json=True)  # the only place where it says sizes
    if damage in {"missing", "directory"}:
        tree.delete(key)
    else:
        tree.objects[key] = replace(tree.objects[key], data=b"sdist" if damage == "short" else b"")
    if damage == "directory":
        tree.put(f"{key}/in/the/way", b"")
    mirror = Mirror(tmp_path, index, tree)
    done = mirror.take_over()
    assert (done.projects, done.files, done.incomplete) == (4, 4, 1)
    assert mirror.row("foo-bar").serial is None
    assert "Foo.Bar-1.0.tar.gz" not in mirror.files("foo-bar")
    if damage == "directory":
        return  # in memory both can be
    summary = mirror.mirror(check=False)
    assert mirror.read(key) == b"sdist of foo"
    assert (mirror.requests("page:*"), summary.failed) == (["page:foo-bar"], {})
    assert [f for f in mirror.requests("file:*") if not f.endswith(".metadata")] == [
        "file:Foo.Bar-1.0.tar.gz"
    ]


def test_metadata_that_is_advertised_and_not_there_is_fetched(tmp_path, index):
    tree = bandersnatch_tree(index)
    key = f"web{index.file('foo_bar-2.0-py3-none-any.whl').path}.metadata"
    tree.delete(key)
    mirror = Mirror(tmp_path, index, tree)
    assert mirror.take_over().incomplete == 1
    mirror.mirror()
    assert mirror.read(key) == index.file("foo_bar-2.0-py3-none-any.whl").metadata


BROKEN = {
    "empty": b"",
    "cut": b'{"files": [{"filename": "a-1.0.tar.gz", "ur',
    "no-json": b"\x00" * 500,
    "other-project": b'{"files": [], "meta": {"api-version": "1.1", "_last-serial": "3"}, "name": "another"}',
    "other-version": b'{"files": [], "meta": {"api-version": "2.0"}, "name": "a"}',
    "wrong-types": b'{"files": {}, "meta": []}',
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_page_that_cannot_be_read_is_told_once_kept_and_replaced(tmp_path, index, kind):
    tree = bandersnatch_tree(index)
    tree.put("web/simple/a/index.v1_json", BROKEN[kind])
    mirror = Mirror(tmp_path, index, tree)
    done = mirror.take_over()
    assert (done.projects, done.files, done.incomplete, done.unreadable) == (4, 4, 1, 1)
    (told,) = mirror.notices()
    assert "web/simple/a/index.v1_json: cannot be read (" in told
    assert mirror.read("web/simple/a/index.v1_json") == BROKEN[kind]
    row = mirror.row("a")
    assert (row.serial, row.published) == (None, 0)  # there is a page, and nobody knows how new
    summary = mirror.mirror()
    assert (summary.updated, summary.adopted, summary.files) == (1, 1, 0)
    assert mirror.filenames("a") == ["a-1.0.tar.gz"]


@pytest.mark.parametrize(
    "page", [b"", b"no markup at all", b"<html><title>Links for other</title><a href='x'>x</a>"]
)
def test_html_that_cannot_be_read_is_no_different(tmp_path, index, page):
    tree = bandersnatch_tree(index, "4")
    tree.put("web/simple/a/index.html", page)
    mirror = Mirror(tmp_path, index, tree)
    assert mirror.take_over().unreadable == 1
    assert len(mirror.notices()) == 1


def test_many_broken_pages_are_counted_instead_of_listed(tmp_path):
    index = SimulatedIndex()
    for n in range(25):
        index.upload(f"p{n}", metadata=False)
    tree = bandersnatch_tree(index)
    for n in range(25):
        tree.put(f"web/simple/p{n}/index.v1_json", b"{")
    mirror = Mirror(tmp_path, index, tree)
    assert mirror.take_over().unreadable == 25
    told = mirror.notices()
    assert len(told) == 21
    assert "25" in told[-1]


@pytest.mark.parametrize(
    "link",
    [
        "../../../packages/aa/a-1.0.tar.gz",
        "../../packages/../../../etc/a-1.0.tar.gz",
        "../../packages/%2e%2e/%2e%2e/a-1.0.tar.gz",
        "../../packages/a%00b/a-1.0.tar.gz",
        "../../simple/a/a-1.0.tar.gz",
        "../a-1.0.tar.gz",
        "/etc/a-1.0.tar.gz",
        "https://elsewhere.example.net/files/a-1.0.tar.gz",
        "https://tree.invalid/web/packages/../../status/a-1.0.tar.gz",
    ],
)
@pytest.mark.parametrize("kind", ["index.v1_json", "index.html"])
def test_a_link_to_anything_else_is_left_alone(tmp_path, index, kind, link):
    tree = bandersnatch_tree(index, simple_json=kind == "index.v1_json")
    ours = f"../..{index.file('a-1.0.tar.gz').path}"
    key = f"web/simple/a/{kind}"
    tree.put(key, tree.objects[key].data.replace(ours.encode(), link.encode()))
    mirror = Mirror(tmp_path, index, tree)
    done = mirror.take_over()
    assert (done.files, mirror.files("a")) == (4, {})
    assert mirror.row("a").serial == index.project("a").serial


def test_links_to_the_host_of_upstream_count_by_their_path(tmp_path, index):
    tree = bandersnatch_tree(index, root_uri="https://files.example.org")
    mirror = Mirror(tmp_path, index, tree)
    assert mirror.take_over().files == 5


def test_without_release_files_no_file_is_looked_for(tmp_path, index):
    tree = bandersnatch_tree(index, root_uri="https://files.example.org")
    tree.delete(*[key for key in tree.objects if key.startswith("web/packages/")])
    mirror = Mirror(tmp_path, index, tree)
    mirror.rendering(release_files=False)
    done = mirror.take_over()
    assert (done.projects, done.files, done.incomplete) == (4, 0, 0)
    mirror.mirror(check=False)
    assert mirror.requests("page:*") == []


def test_two_pages_that_claim_one_path_are_both_looked_at_again(tmp_path, index):
    tree = bandersnatch_tree(index)
    page = json.loads(tree.objects["web/simple/some-thing/index.v1_json"].data)
    stolen = index.file("a-1.0.tar.gz")
    page["files"].append(
        {"filename": "a-1.0.tar.gz", "url": f"../..{stolen.path}", "hashes": {"sha256": "0" * 64}}
    )
    tree.put("web/simple/some-thing/index.v1_json", json.dumps(page))
    mirror = Mirror(tmp_path, index, tree)
    done = mirror.take_over()
    assert (done.projects, done.incomplete) == (4, 1)
    assert mirror.row("some-thing").serial is None
    assert list(mirror.files("a")) == ["a-1.0.tar.gz"]
    mirror.mirror()
    assert mirror.filenames("some-thing") == ["some_thing-1.0+local.1-py3-none-any.whl"]


# ------------------------------------------------------------------ what is no page


def test_what_is_no_project_is_left_alone(tmp_path, index):
    tree = bandersnatch_tree(index)
    for key in (
        "web/simple/.hidden/index.html", "web/simple/@eaDir/index.html", "web/simple/" + "x" * 251 + "/index.html",
        "web/simple/file", "web/simple/a/.index.html.abcdefgh", "web/simple/a/notes/index.html", "web/simple/empty/notes",
    ):  # fmt: skip
        tree.put(key, b"anything")
    mirror = Mirror(tmp_path, index, tree)
    before = mirror.tree()
    done = mirror.take_over()
    assert (done.projects, done.unreadable) == (4, 0)
    assert mirror.tree() == before
    odd, other = sorted(mirror.notices())
    assert odd.startswith("directories below web/simple that are no project's, left alone: 3 (")
    assert len(odd) < 250
    assert other.startswith("pages left alone: 1")


def test_the_other_layout_is_told(tmp_path, index):
    mirror = Mirror(tmp_path, index, bandersnatch_tree(index, hash_index=True))
    assert mirror.take_over().projects == 0
    assert mirror.notices() == ["pages left alone: 12; they lie where `hash-index = true` puts them"]
    summary = mirror.mirror(check=False)
    assert (summary.updated, summary.adopted, summary.failed) == (4, 5, {})


def test_an_empty_directory_is_nothing_to_take_over(tmp_path):
    mirror = World(tmp_path)
    done = mirror._run(lambda ports: take_over(ports, mirror.options), None, check=False)
    assert (done.projects, mirror.events) == (0, [])


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("place", ["simple", "simple/a", "simple/a/index.v1_json"])
def test_what_must_not_be_read_is_one_clear_error(tmp_path, index, place):
    mirror = Mirror(tmp_path, index, bandersnatch_tree(index), local=True)
    path = mirror.folder / "web" / place
    path.chmod(0)
    try:
        with pytest.raises(StorageError, match=f"cannot read web/{place}"):
            mirror.take_over()
    finally:
        path.chmod(0o755)


def test_broken_links_among_the_pages_are_no_pages(tmp_path, index):
    mirror = Mirror(tmp_path, index, bandersnatch_tree(index, keep=2), local=True)
    for page in (mirror.folder / "web/simple/a").glob("index.*"):
        page.unlink()
        page.symlink_to("/nowhere/index")
    done = mirror.take_over()
    assert (done.projects, done.unreadable) == (3, 0)
    versions = sorted(path.name for path in (mirror.folder / "web/simple/a/versions").iterdir())
    assert len(versions) == 6
    assert mirror.mirror(check=False).failed == {}
    assert mirror.filenames("a") == ["a-1.0.tar.gz"]
    assert sorted(path.name for path in (mirror.folder / "web/simple/a/versions").iterdir()) == versions


# ------------------------------------------------------------------ state files


def test_what_todo_names_is_looked_at(tmp_path, index):
    todo = f"{index.serial}\nFoo.Bar 3\nnot-there 1\n/broken line"
    mirror = Mirror(tmp_path, index, bandersnatch_tree(index, todo=todo))
    assert mirror.take_over().incomplete == 1
    mirror.mirror()
    assert mirror.requests("page:*") == ["page:foo-bar"]


def test_what_bandersnatch_had_not_got_to_is_fetched(tmp_path, index):
    tree = bandersnatch_tree(
        index, names=["A", "Foo.Bar"], status="1", todo=f"{index.serial}\nSome_Thing 6\ntove 7"
    )
    mirror = Mirror(tmp_path, index, tree)
    assert mirror.take_over().projects == 2
    mirror.mirror()
    assert sorted(mirror.requests("page:*")) == ["page:some-thing", "page:tove"]
    assert (mirror.text("todo"), mirror.text("status")) == (None, str(index.serial))


@pytest.mark.parametrize("status", [None, " ", "abc", "9" * 30, "-3"])
def test_a_broken_status_is_no_hindrance(tmp_path, index, status):
    mirror = Mirror(tmp_path, index, bandersnatch_tree(index, status=status, todo="nonsense"))
    assert mirror.take_over().projects == 4
    mirror.mirror()
    assert mirror.requests("page:*") == []
    assert mirror.text("status") == str(index.serial)


# ------------------------------------------------------------------ only what changed


def _again(mirror, index, names):
    """Let bandersnatch write the pages of some projects a minute later."""
    theirs = bandersnatch_tree(index, names=names)
    keys = [key for key in theirs.objects if re.match(r"web/(simple/.*/|packages/)", key)]

    async def work():
        from frumious.storage.base import Item, Options

        await mirror.storage.write(
            [Item(k, theirs.objects[k].data, Options(modified=mirror.clock() + 90)) for k in keys]
        )

    asyncio.run(work())


def test_only_pages_that_somebody_changed_are_read(tmp_path, index):
    mirror = World(tmp_path, index=index)
    mirror.mirror()
    index.upload("Foo.Bar", "3.0")
    index.upload("later", "1.0")
    _again(mirror, index, ["Foo.Bar", "later"])
    mirror.clock.now += 200
    done = _changed(mirror)
    assert (done.projects, done.files, done.unchanged, done.gone) == (2, 5, 3, 0)
    asked = len(mirror.upstream.requests("page:*"))
    files = len(mirror.upstream.requests("file:*"))
    summary = mirror.mirror(check=False)
    assert (summary.updated, summary.failed) == (0, {})
    assert (len(mirror.upstream.requests("page:*")), len(mirror.upstream.requests("file:*"))) == (
        asked,
        files,
    )
    assert mirror.listed() == ["A", "Foo.Bar", "later", "Some_Thing", "tove"]
    assert _changed(mirror).unchanged == 5


def _changed(mirror):
    return mirror._run(lambda ports: take_over(ports, mirror.options, only_changed=True), None, check=False)


def test_a_file_that_left_the_page_is_released_and_one_that_nobody_can_tell_is_not(tmp_path, index):
    mirror = World(tmp_path, index=index)
    mirror.mirror()
    key = f"web{index.file('Foo.Bar-1.0.tar.gz').path}"
    index.delete_file("foo-bar", "Foo.Bar-1.0.tar.gz")
    _again(mirror, index, ["Foo.Bar"])
    _changed(mirror)
    released = mirror.catalog(lambda catalog: catalog.released(int(mirror.clock()), 0, 9))
    assert [(one.key, one.reason) for one in released] == [(key, "deleted")]


def test_a_page_of_somebody_else_that_cannot_be_read_releases_nothing(tmp_path, index):
    mirror = World(tmp_path, index=index)
    mirror.mirror()

    async def spoil():
        from frumious.storage.base import Item, Options

        options = Options(modified=mirror.clock() + 90)
        await mirror.storage.write([Item("web/simple/foo-bar/index.v1_json", b"{", options)])

    asyncio.run(spoil())
    done = _changed(mirror)
    assert (done.unreadable, done.unchanged) == (1, 3)
    assert mirror.catalog(lambda catalog: catalog.released(int(mirror.clock()), 0, 9)) == []
    assert len(mirror.catalog(lambda catalog: catalog.held(normalize("foo-bar"), ()))[0]) == 3
    mirror.mirror()
    assert len(mirror.filenames("foo-bar")) == 3


def test_bytes_that_somebody_took_away_are_missed_and_fetched(tmp_path, index):
    mirror = World(tmp_path, index=index)
    mirror.mirror()
    key = f"web{index.file('Foo.Bar-1.0.tar.gz').path}"
    _again(mirror, index, ["Foo.Bar"])
    asyncio.run(mirror.storage.delete([key]))
    assert _changed(mirror).incomplete == 1
    mirror.mirror()
    assert mirror.read(key) == b"sdist of foo"


def test_a_page_that_somebody_deleted_is_made_again(tmp_path, index):
    mirror = World(tmp_path, index=index)
    mirror.mirror()
    pages = mirror.keys("web/simple/foo-bar/")
    asyncio.run(mirror.storage.delete(pages))
    done = _changed(mirror)
    assert (done.projects, done.gone, done.unchanged) == (0, 1, 3)
    row = mirror.catalog(lambda catalog: _row(catalog, normalize("foo-bar")))
    assert (row.serial, row.published) == (None, None)
    summary = mirror.mirror()
    assert (summary.updated, summary.files) == (1, 0)
    assert mirror.keys("web/simple/foo-bar/") == pages


def test_a_take_over_that_was_broken_off_goes_on(tmp_path):
    index = SimulatedIndex()
    for n in range(1200):
        index.create(f"p{n:04}")
    mirror = Mirror(tmp_path, index, bandersnatch_tree(index))
    told = []

    class Broken(Exception):
        pass

    def stop(event):
        told.append(event)
        if len(told) == 2:
            raise Broken

    with pytest.raises(Broken):
        mirror._run(lambda ports: take_over(replace(ports, observe=stop), mirror.options), None, check=False)
    assert told == [TreeRead(500, 0), TreeRead(500, 0)]
    done = mirror.take_over(only_changed=True)
    assert (done.projects, done.unchanged, done.gone) == (200, 1000, 0)
    mirror.mirror(check=False)
    assert mirror.requests("page:*") == []


# ------------------------------------------------------------------ our own tree


def _lose_catalog(mirror):
    for path in mirror.catalog_path.parent.glob("catalog.sqlite3*"):
        path.unlink()


def test_a_lost_catalog_is_built_again_from_our_own_tree(tmp_path, index):
    mirror = World(tmp_path, index=index)
    mirror.mirror()
    pages, asked = mirror.tree(), len(mirror.upstream.requests())
    held = mirror.catalog(lambda catalog: _files(catalog, normalize("foo-bar")))
    _lose_catalog(mirror)
    done = mirror._run(lambda ports: take_over(ports, mirror.options), None, check=False)
    assert (done.projects, done.files, done.incomplete) == (4, 5, 0)
    again = mirror.catalog(lambda catalog: _files(catalog, normalize("foo-bar")))
    assert again == {name: replace(file, verified=False) for name, file in held.items()}
    mirror.mirror()
    after = mirror.tree()
    assert {k: v for k, v in after.items() if k.startswith("web/simple/") and k.count("/") > 2} == {
        k: v for k, v in pages.items() if k.startswith("web/simple/") and k.count("/") > 2
    }
    assert [r.target for r in mirror.upstream.requests()[asked:] if not r.target.startswith("list")] == []
    assert mirror.listed() == ["A", "Foo.Bar", "Some_Thing", "tove"]


def test_a_serial_of_ours_that_upstream_may_not_have_given_is_asked_about(tmp_path, index):
    mirror = World(tmp_path, index=index)
    mirror.mirror()
    serial = index.serial
    page = mirror.page("a")
    page["meta"]["_last-serial"] = serial + 1
    mirror_page = json.dumps(page, separators=(",", ":")).encode()

    async def put():
        from frumious.storage.base import Item

        await mirror.storage.write([Item("web/simple/a/index.v1_json", mirror_page)])

    asyncio.run(put())
    _lose_catalog(mirror)
    done = mirror._run(lambda ports: take_over(ports, mirror.options), None, check=False)
    assert done.incomplete == 1
    row = mirror.catalog(lambda catalog: _row(catalog, normalize("a")))
    assert (row.serial, row.published) == (None, serial + 1)


def test_names_come_from_our_list_where_there_are_no_pages_in_html(tmp_path, index):
    mirror = World(tmp_path, index=index)
    mirror.rendering(html=False)
    mirror.mirror()
    _lose_catalog(mirror)
    mirror._run(lambda ports: take_over(ports, mirror.options), None, check=False)
    assert mirror.catalog(lambda catalog: _row(catalog, normalize("foo-bar"))).display == "Foo.Bar"


def test_a_quarantined_project_stays_off_the_list(tmp_path, index):
    mirror = World(tmp_path, index=index)
    mirror.mirror()
    index.quarantine("a")
    mirror.mirror()
    assert mirror.page("a")["files"] == []
    _lose_catalog(mirror)
    mirror._run(lambda ports: take_over(ports, mirror.options), None, check=False)
    assert [row[0] for row in mirror.catalog(lambda catalog: catalog.projects("", 9))] == [
        "foo-bar", "some-thing", "tove",
    ]  # fmt: skip


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_ends_as_a_whole_mirror(tmp_path, index, version):
    mirror = Mirror(
        tmp_path, index, bandersnatch_tree(index, version), recheck_seconds=1000, clean_names=True
    )
    mirror.take_over()
    mirror.mirror(check=False)
    mirror.clock.now += 5000
    summary = mirror.mirror(check=version != "2.0")
    assert summary.failed == {}
    assert mirror.listed() == ["A", "Foo.Bar", "Some_Thing", "tove"]
    assert len(mirror.filenames("foo-bar")) == 3
    assert [f for f in mirror.requests("file:*") if not f.endswith(".metadata")] == []
    assert not [
        e
        for e in mirror.events
        if isinstance(e, FileHeld) and e.downloaded and not e.filename.endswith(".metadata")
    ]


def test_a_serial_that_we_gave_a_page_is_not_held_against_upstream_after_a_rebuild(tmp_path):
    world = World(tmp_path, recheck_seconds=1000)
    for name in ("a", "b"):
        world.index.upload(name, "1.0")
    world.mirror()
    world.rendering(core_metadata=False)  # the page changes, and upstream's serial does not
    world.mirror()
    world.index.upload("c", "1.0")
    world.mirror()
    for path in tmp_path.glob("catalog.sqlite3*"):
        path.unlink()
    assert world.mirror().failed == {}
    world.clock.now += 5000
    assert world.mirror().failed == {}
