"""Cases 53, 54 and 56 of bandersnatch: `verify` under its name (see test_bandersnatch_cases.py)."""

import shutil

import pytest

from support.drop_in import DropIn, u0
from support.index import serve

WHEEL = "foo_bar-1.0-py3-none-any.whl"


@pytest.fixture
def drop_in(tmp_path):
    with serve(u0()) as served:
        drop_in = DropIn(tmp_path, served)
        drop_in.configure(json=True)
        drop_in.mirror()
        yield drop_in


def harm(drop_in):
    """One file missing, one corrupt, one stray, and what a broken download leaves."""
    drop_in.path("a-1.0.tar.gz").unlink()
    corrupt = drop_in.path(WHEEL)
    corrupt.write_bytes(corrupt.read_bytes()[::-1])
    strays = [drop_in.web / "packages/aa/bb/stray-1.0.tar.gz", corrupt.with_name(f".{WHEEL}.x1y2z3")]
    for stray in strays:
        stray.parent.mkdir(parents=True, exist_ok=True)
        stray.write_text("x")
    return strays


def test_case_53_what_is_missing_or_corrupt_is_downloaded_and_strays_go_when_asked(drop_in):
    whole = drop_in.tree("web/packages")
    strays = harm(drop_in)
    before = drop_in.tree("web")
    ran = drop_in.run("verify", "--dry-run", "--delete", code=None)
    assert ran.files == []
    assert drop_in.tree("web") == before
    ran = drop_in.run("verify")
    assert [name for name in ran.files if not name.endswith(".metadata")] == [
        "a-1.0.tar.gz",
        WHEEL,
    ]
    assert all(stray.exists() for stray in strays)
    ran = drop_in.run("verify", "--delete")
    assert ran.files == []
    assert not any(stray.exists() for stray in strays)
    assert drop_in.tree("web/packages") == whole
    drop_in.run("verify", "--dry-run")


def test_case_54_the_files_of_a_project_whose_documents_are_corrupt_are_kept(drop_in):
    whole = drop_in.tree("web/packages")
    (drop_in.web / "json/foo-bar").write_text("{")
    drop_in.run("verify", "--delete")
    assert drop_in.tree("web/packages") == whole
    # And though its pages are, too, and upstream does not answer.
    for page in (drop_in.web / "simple/foo-bar").iterdir():
        page.write_text("<html>")
    (drop_in.directory / ".frumious/catalog.sqlite3").unlink()
    drop_in.index.delete_project("Foo.Bar")
    drop_in.run("verify", "--delete", code=None)
    assert drop_in.tree("web/packages") == whole


def test_case_56_an_empty_or_missing_json_folder_ends_as_it_did_for_those_who_watch_for_it(drop_in):
    drop_in.configure(json=True, **{"exit-codes": "bandersnatch"})
    whole = drop_in.tree("web")
    shutil.rmtree(drop_in.web / "json")
    (drop_in.web / "json").mkdir()
    drop_in.run("verify", "--dry-run", code=3)
    drop_in.run("verify", code=3)
    assert drop_in.tree("web") == whole, "it is repaired all the same"
    shutil.rmtree(drop_in.web / "json")
    drop_in.run("verify", code=1)
    drop_in.run("verify", code=0)
    # With our own codes it is a finding like any other.
    drop_in.configure(json=True)
    shutil.rmtree(drop_in.web / "json")
    drop_in.run("verify", "--dry-run", code=6)
    drop_in.run("verify", code=0)
