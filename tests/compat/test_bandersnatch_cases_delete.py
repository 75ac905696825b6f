"""Case 57 of bandersnatch: `delete`. See test_bandersnatch_cases.py; the real program does it beside us."""

import json
import shutil

import pytest

from support.bandersnatch import real_bandersnatch
from support.drop_in import DropIn, u0
from support.index import serve

STATE = {
    "simple/index.html", "simple/index.v1_html", "simple/index.v1_json", "local.json", "local.db.serial",
}  # fmt: skip
"""The project list, which bandersnatch leaves as it is."""


@pytest.fixture
def drop_in(tmp_path):
    with serve(u0()) as served:
        yield DropIn(tmp_path, served)


def made(place, served, **options):
    place.mkdir()
    drop_in = DropIn(place, served)
    drop_in.configure(**options)
    return drop_in


def of_foo_bar(drop_in):
    return {key for key in drop_in.tree() if "foo" in key.lower()}


@pytest.mark.parametrize("spelling", ["Foo.Bar", "foo-bar", "FOO_bar"])
def test_case_57_a_deleted_project_leaves_nothing(drop_in, spelling):
    drop_in.configure(json="true")
    drop_in.mirror()
    before = drop_in.tree()
    ran = drop_in.run("delete", spelling)
    assert ran.requests == ()
    assert of_foo_bar(drop_in) == set()
    assert drop_in.projects() == ["a"]
    assert {key: body for key, body in before.items() if key not in STATE and "foo" not in key.lower()} == {
        key: body for key, body in drop_in.tree().items() if key not in STATE
    }
    assert not (drop_in.web / "pypi/foo-bar").exists()
    assert not (drop_in.web / "simple/foo-bar").exists()
    assert drop_in.mirror().pages == set()


def test_case_57_it_comes_back_with_its_next_change(drop_in):
    drop_in.mirror()
    drop_in.run("delete", "Foo.Bar")
    drop_in.index.upload("Foo.Bar", "9.0")
    drop_in.mirror()
    assert "foo_bar-9.0-py3-none-any.whl" in drop_in.filenames("foo-bar")


@pytest.mark.parametrize("options", [{"hash_index": "true"}, {"keep_index_versions": "2"}, {"json": "true"}])
def test_case_57_everything_goes_in_every_layout(drop_in, options):
    drop_in.configure(**options)
    drop_in.mirror()
    drop_in.index.upload("Foo.Bar", "9.0")
    drop_in.mirror()
    assert of_foo_bar(drop_in)
    drop_in.run("delete", "Foo.Bar")
    assert of_foo_bar(drop_in) == set()
    assert not [path for path in drop_in.web.rglob("*") if "foo" in path.name.lower()]


@pytest.mark.parametrize("name", [".", "..", "", "a/b"])
def test_case_57_what_is_no_name_is_refused(drop_in, name):
    drop_in.run("delete", "--", name, code=2)
    assert not drop_in.directory.exists()


def test_case_57_no_name_at_all_is_nothing_to_do(drop_in):
    ran = drop_in.run("delete")
    assert (ran.out, ran.log) == ("", "")
    assert not drop_in.directory.exists()


def test_case_57_a_dry_run_lists(drop_in):
    drop_in.configure(json="true")
    drop_in.mirror()
    before = drop_in.tree()
    ran = drop_in.run("delete", "--dry-run", "--workers", "3", "--skip-json-fetch", "Foo.Bar")
    listed = {line.strip().removeprefix("web/") for line in ran.out.splitlines()[1:]}
    assert listed == of_foo_bar(drop_in)
    assert drop_in.tree() == before


@pytest.mark.parametrize("taken_over", [False, True])
@pytest.mark.parametrize("options", [{}, {"hash_index": "true"}])
def test_case_57_a_tree_of_the_real_program_loses_what_it_would_delete(tmp_path, options, taken_over):
    with serve(u0()) as served:
        bandersnatch = real_bandersnatch(SSL_CERT_FILE=str(served.ca_pem))
        theirs, ours = (made(tmp_path / name, served, json="true", **options) for name in ("theirs", "ours"))
        done = bandersnatch.mirror(theirs.config)
        assert done.returncode == 0, done.stderr
        shutil.copytree(theirs.directory, ours.directory, symlinks=True)
        if taken_over:
            ours.mirror()
        done = bandersnatch.run("-c", theirs.config, "delete", "Foo.Bar")
        assert done.returncode == 0, done.stderr
        ran = ours.run("delete", "Foo.Bar")
        assert ran.requests == ()
        left = {key for key in theirs.tree() if key not in STATE}
        assert {key for key in ours.tree() if key not in STATE} == left
        assert not [key for key in left if "foo" in key.lower()]
        root = json.loads((theirs.web / "simple/index.v1_json").read_text())
        assert "foo-bar" in [project["name"] for project in root["projects"]]  # theirs lists it still
        assert ours.projects() == ["a"]
