"""`plan`, `explain`, `catalog rebuild` and `mirror --confirm` as they are typed and seen."""

import json
import re

import pytest

from support.index import SimulatedIndex, serve
from support.program import Mirror, run


@pytest.fixture
def mirror(tmp_path):
    index = SimulatedIndex()
    for version in ("1.0", "2.0", "2.1rc1"):
        index.upload("A", version)
    index.upload("Foo.Bar", "1.0", "foo_bar-1.0.tar.gz")
    index.upload("gamma", "1.0")
    with serve(index) as served:
        yield Mirror(tmp_path, served)


def tree(mirror):
    return {
        path.relative_to(mirror.directory): path.stat().st_mtime_ns
        for path in mirror.directory.rglob("*")
        if path.is_file() and ".frumious" not in path.parts
    }


PRERELEASES = "[plugins]\nenabled =\n    prerelease_release\n"
NO_GAMMA = "[plugins]\nenabled =\n    blocklist_project\n[blocklist]\npackages =\n    gamma\n"


def test_a_plan_before_the_first_run_makes_nothing(mirror):
    done = mirror.run("plan")
    assert done.returncode == 0, done.stderr
    assert "look at   3 projects: 3 to update, 0 unchanged" in done.stdout
    assert re.search(r"fetch     5 files, [\d.]+ kB", done.stdout)
    assert not mirror.directory.exists()
    assert not [r for r in mirror.served.requests() if r.target.startswith("file:")]


def test_a_plan_names_what_each_filter_drops_and_what_would_go(mirror):
    assert mirror.run("mirror").returncode == 0
    before = tree(mirror)
    mirror.write(PRERELEASES)
    done = mirror.run("plan")
    assert "prerelease_release  1 file" in done.stdout
    assert "remove    0 projects, 1 file" in done.stdout
    assert tree(mirror) == before
    found = json.loads(mirror.run("plan", "--json").stdout)
    assert found["rules"]["prerelease_release"]["files"] == 1
    assert found["remove_files"] == 1
    assert mirror.run("mirror").returncode == 0
    assert [f["filename"] for f in mirror.page("a")["files"]] == [
        "a-1.0-py3-none-any.whl",
        "a-2.0-py3-none-any.whl",
    ]


def test_an_explanation_is_one_screen_with_the_rule_that_decided(mirror):
    mirror.write(PRERELEASES)
    done = mirror.run("explain", "A==2.1rc1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("A==2.1rc1: dropped (prerelease_release: ")
    assert len(done.stdout.splitlines()) < 25
    found = json.loads(mirror.run("explain", "a-2.1rc1-py3-none-any.whl", "--json").stdout)
    assert (found["keep"], found["rule"]) == (False, "prerelease_release")
    assert mirror.run("explain", "a").stdout.startswith("a: kept")


@pytest.mark.parametrize(
    ("what", "said"), [("a==9.9", "9.9"), ("../x", "'../x' is not a project name"), ("a-9.9.tar.gz", "9.9")]
)
def test_what_cannot_be_explained_is_a_usage_error(mirror, what, said):
    done = mirror.run("explain", what)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stdout == ""


def test_without_a_configuration_nothing_is_written(tmp_path):
    for command in (["plan"], ["explain", "a"], ["catalog", "rebuild"]):
        done = run("-c", tmp_path / "none.conf", *command)
        assert done.returncode != 0
        assert list(tmp_path.iterdir()) == []


def test_removals_that_wait_are_confirmed_by_their_name(mirror):
    limits = {"removal_max_projects": 0, "removal_max_files": 0, "removal_max_percent": 0}
    mirror.write(**limits)
    assert mirror.run("mirror").returncode == 0
    mirror.index.delete_project("gamma")
    done = mirror.run("mirror")
    assert done.returncode == 5
    (plan,) = re.findall(r"mirror --confirm (\w+)", done.stderr)
    assert "gamma" in done.stderr
    assert mirror.page("gamma")
    assert "it would wait for you to confirm" in mirror.run("plan").stdout
    done = mirror.run("mirror", "--confirm", "nonsense")
    assert done.returncode == 2
    assert "'nonsense'" in done.stderr
    done = mirror.run("mirror", "--confirm", plan)
    assert done.returncode == 0, done.stderr
    assert "removed from the mirror: gamma" in done.stderr
    assert not (mirror.directory / "web/simple/gamma").exists()
    assert list((mirror.directory / ".frumious/trash").rglob("gamma*"))


def test_a_changed_filter_takes_effect_and_back(mirror):
    assert mirror.run("mirror").returncode == 0
    mirror.write(NO_GAMMA)
    assert "removed from the mirror: gamma" in mirror.run("mirror").stderr
    mirror.write()
    seen = len(mirror.served.requests())
    assert mirror.run("mirror").returncode == 0
    assert mirror.page("gamma")
    assert not [r for r in mirror.served.requests()[seen:] if r.target.startswith("file:")]


def test_a_damaged_catalog_says_what_to_do_and_that_helps(mirror):
    assert mirror.run("mirror").returncode == 0
    catalog = mirror.directory / ".frumious/catalog.sqlite3"
    for path in catalog.parent.glob("catalog.sqlite3*"):
        path.write_bytes(b"not a database, by any means" * 100)
    done = mirror.run("mirror")
    assert done.returncode == 1
    assert "catalog rebuild" in done.stderr
    done = mirror.run("catalog", "rebuild")
    assert done.returncode == 0, done.stderr
    assert "catalog rebuilt: 3 projects, 5 files" in done.stderr
    seen = len(mirror.served.requests())
    assert mirror.run("mirror").returncode == 0
    assert [r.target for r in mirror.served.requests()[seen:]] == ["list"]
