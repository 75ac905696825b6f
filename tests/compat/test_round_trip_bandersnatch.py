"""One directory, two programs: bandersnatch, then Frumious, then bandersnatch again; nothing is downloaded twice."""

import pytest

from support.bandersnatch import Bandersnatch, real_bandersnatch
from support.index import SimulatedIndex, serve
from support.index_faults import Status
from support.program import run


@pytest.fixture
def index():
    index = SimulatedIndex()
    index.upload("A", "1.0")
    index.upload("A", "1.0", "a-1.0.tar.gz", content=b"sdist of a")
    index.upload("Foo.Bar", "1.0", "Foo.Bar-1.0.tar.gz", content=b"sdist of foo")
    index.upload("Foo.Bar", "2.0")
    index.yank("foo-bar", "1.0", "broken")
    for n in range(20):
        index.upload(f"project-{n}", "1.0")
    return index


class Both:
    """Two programs with one configuration file and one directory."""

    def __init__(self, tmp_path, served, **options):
        self.bandersnatch: Bandersnatch = real_bandersnatch(SSL_CERT_FILE=str(served.ca_pem))
        self.served, self.directory = served, tmp_path / "mirror"
        self.config = self.bandersnatch.write_config(
            tmp_path / "m.conf", self.directory, served.url, **options
        )
        self.env = {"SSL_CERT_FILE": str(served.ca_pem), "no_proxy": "127.0.0.1,localhost"}

    def old(self):
        """Run bandersnatch; return what it asked for."""
        seen = len(self.served.requests())
        done = self.bandersnatch.mirror(self.config)
        assert done.returncode == 0, done.stderr
        return Asked(self.served.requests()[seen:], done.stderr)

    def new(self, *args):
        """Run Frumious; return what it asked for."""
        seen = len(self.served.requests())
        done = run("-c", self.config, *(args or ("mirror",)), env=self.env)
        assert done.returncode == 0, done.stderr
        return Asked(self.served.requests()[seen:], done.stderr)

    def tree(self):
        """Return every published file but what says when a run was."""
        web = self.directory / "web"
        return {
            str(path.relative_to(web)): path.read_bytes()
            for path in web.rglob("*")
            if path.is_file() and path.name != "last-modified"
        }

    def text(self, name):
        path = self.directory / name
        return path.read_text() if path.exists() else None


class Asked:
    def __init__(self, requests, log):
        self.targets, self.log = [request.target for request in requests], log

    @property
    def files(self):
        # `/simple` without a slash, as bandersnatch asks for the list, is no page of its own.
        found = [target for target in self.targets if target.startswith(("file:", "metadata:"))]
        return [target for target in found if target != "file:simple"]

    @property
    def projects(self):
        return [target for target in self.targets if target.startswith(("page:", "legacy:"))]


def layouts():
    return pytest.mark.parametrize(
        "options",
        [
            {},
            {"json": "true"},
            {"hash_index": "true"},
            {"simple_format": "HTML"},
            {"simple_format": "JSON"},
            {"keep_index_versions": "2"},
            {"root_uri": "https://files.example.org"},
            {"digest_name": "md5"},
        ],
        ids=lambda options: "-".join(options) or "plain",
    )


@layouts()
def test_a_mirror_of_bandersnatch_is_taken_over_as_it_stands(tmp_path, index, options):
    with serve(index) as served:
        both = Both(tmp_path, served, **options)
        both.old()
        before = both.tree()
        pages = {name: body for name, body in before.items() if name.count("/") > 1}
        asked = both.new()
        assert (asked.projects, asked.files) == ([], []), asked.log
        after = both.tree()
        assert {name: after.get(name) for name in pages} == pages
        assert both.text("status") == str(index.serial)
        # Nothing is new: not for this run, and not for the next.
        assert both.new().projects == []


@layouts()
def test_what_changed_since_is_all_that_is_fetched(tmp_path, index, options):
    with serve(index) as served:
        both = Both(tmp_path, served, **options)
        both.old()
        index.upload("A", "2.0")
        asked = both.new()
        assert {target.partition(":")[2] for target in asked.projects} == {"a"}
        assert len(asked.files) == 2, asked.files  # the wheel and its metadata


@layouts()
def test_bandersnatch_goes_on_where_frumious_was(tmp_path, index, options):
    with serve(index) as served:
        both = Both(tmp_path, served, **options)
        both.new()
        assert both.old().files == []
        index.upload("A", "2.0")
        index.upload("new", "1.0")
        asked = both.old()
        assert {target.partition(":")[2] for target in asked.projects} == {"a", "new"}
        if (
            "digest_name" not in options
        ):  # bandersnatch compares md5 with sha256, and fetches everything again
            assert len(asked.files) == 4, asked.files
        assert both.text("status") == str(index.serial)


@layouts()
def test_there_and_back_and_there_again(tmp_path, index, options):
    with serve(index) as served:
        both = Both(tmp_path, served, **options)
        both.new()
        index.upload("A", "2.0")
        both.old()
        index.upload("Foo.Bar", "3.0")
        asked = both.new()
        assert {target.partition(":")[2] for target in asked.projects} == {"foo-bar"}, asked.log
        assert len(asked.files) == 2
        page = both.tree()
        assert any("a-2.0" in name for name in page)
        index.upload("project-3", "2.0")
        assert {t.partition(":")[2] for t in both.old().projects} == {"project-3"}
        assert both.new().projects == []


def test_a_lost_catalog_is_made_again_from_the_tree(tmp_path, index):
    with serve(index) as served:
        both = Both(tmp_path, served)
        both.new()
        before = both.tree()
        for path in (both.directory / ".frumious").glob("catalog*"):
            path.unlink()
        asked = both.new("catalog", "rebuild")
        assert asked.targets == []
        asked = both.new()
        assert (asked.projects, asked.files) == ([], [])
        assert {n: b for n, b in both.tree().items() if n.count("/") > 1} == {
            n: b for n, b in before.items() if n.count("/") > 1
        }


def test_a_pending_todo_is_finished_by_the_other_program(tmp_path, index):
    with serve(index) as served:
        both = Both(tmp_path, served)
        both.old()
        index.upload("A", "2.0")
        index.upload("Foo.Bar", "3.0")
        served.faults.add("page:a", Status(500), times=None)
        served.faults.add("legacy:a", Status(500), times=None)
        both.bandersnatch.mirror(both.config)
        assert both.text("todo") is not None
        served.faults.clear()
        both.new()
        assert both.text("todo") is None
        assert both.text("status") == str(index.serial)
        assert any("a-2.0" in name for name in both.tree())
