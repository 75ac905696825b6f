"""`trash` and `delete` as they are typed and seen."""

import json
import os
import pty
import subprocess
import sys
import time

import pytest

from frumious.cli import run as in_process
from support.index import SimulatedIndex, serve
from support.program import BIN, LINE, Mirror, run

FOO = "foo_bar-1.0.tar.gz"


@pytest.fixture
def mirror(tmp_path):
    index = SimulatedIndex()
    for version in ("1.0", "2.0"):
        index.upload("A", version, f"a-{version}.tar.gz")
    index.upload("Foo.Bar", "1.0", FOO)
    index.upload("gamma", "1.0")
    with serve(index) as served:
        mirror = Mirror(tmp_path, served)
        assert mirror.run("mirror").returncode == 0
        yield mirror


def good(mirror, *args, code=0, **options):
    done = mirror.run(*args, **options)
    assert done.returncode == code, done.stderr
    return done


def listed(mirror):
    root = json.loads((mirror.directory / "web/simple/index.v1_json").read_text())
    return [project["name"] for project in root["projects"]]


def filenames(mirror, name):
    return [file["filename"] for file in mirror.page(name)["files"]]


def trash(mirror):
    return sorted(path.name for path in (mirror.directory / ".frumious/trash").rglob("*") if path.is_file())


def tree(mirror):
    return {
        path.relative_to(mirror.directory): path.stat().st_mtime_ns
        for path in mirror.directory.rglob("*")
        if path.is_file() and path.name != ".lock" and ".sqlite3" not in path.name
    }


def lines(done):
    return [LINE.sub("", line) for line in done.stderr.splitlines()]


def at_a_terminal(mirror, *args, answer):
    """Run a command with somebody at the keyboard; return its code and what it wrote."""
    ours, theirs = pty.openpty()
    try:
        process = subprocess.Popen(
            [BIN / "frumious", "-c", mirror.config, *args],
            stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, **mirror.env},
        )  # fmt: skip
        os.write(ours, answer.encode())
        out, _ = process.communicate(timeout=60)
    finally:
        os.close(ours)
        os.close(theirs)
    return process.returncode, out


# --------------------------------------------------------------------------------------------------------- trash


def test_the_list_says_project_file_size_why_and_until_when(mirror):
    mirror.index.delete_file("A", "a-1.0.tar.gz")
    mirror.index.quarantine("gamma")
    good(mirror, "mirror")
    before = tree(mirror)
    out = good(mirror, "trash", "list").stdout.splitlines()
    today, month = (time.strftime("%Y-%m-%d", time.gmtime(time.time() + d * 86400)) for d in (0, 30))
    size = mirror.index.blobs[
        next(path for path in mirror.index.blobs if path.endswith("a-1.0.tar.gz"))
    ].content
    assert out[0] == (
        f"a  a-1.0.tar.gz  {len(size)} B  upstream has deleted it  since {today}  until {month}"
    )
    assert out[1].startswith("gamma  gamma-1.0-py3-none-any.whl  ")
    assert "upstream has it in quarantine" in out[1]
    assert out[-1].startswith("3 files, ")
    assert good(mirror, "trash", "list", "GAMMA").stdout.count("gamma-1.0") == 2
    said = json.loads(good(mirror, "trash", "list", "--json").stdout)
    assert said["files"][0]["filename"] == "a-1.0.tar.gz"
    assert said["files"][0]["until"] - said["files"][0]["since"] == 30 * 86400
    assert said["totals"] == {
        "files": 3, "bytes": sum(one["size"] for one in said["files"]), "stray_files": 0, "stray_bytes": 0
    }  # fmt: skip
    assert tree(mirror) == before


def test_an_empty_list_is_a_list(mirror):
    assert good(mirror, "trash", "list").stdout == "0 files, 0 B\n"
    assert json.loads(good(mirror, "trash", "list", "--json").stdout)["files"] == []
    assert good(mirror, "trash", "list", "--pinned").stdout == "0 files pinned\n"
    assert good(mirror, "trash", "list", "a/b", code=2).stdout == ""


def test_what_is_restored_is_pinned_until_it_is_not(mirror):
    mirror.index.delete_project("foo.bar")
    good(mirror, "mirror")
    done = good(mirror, "trash", "restore", FOO)
    assert "restore: 1 project with a new page, 1 file back, pinned" in done.stderr
    assert filenames(mirror, "foo-bar") == [FOO]
    assert trash(mirror) == []
    assert good(mirror, "trash", "list", "--pinned").stdout.startswith(f"foo-bar  {FOO}  pinned since 20")
    (pin,) = json.loads(good(mirror, "trash", "list", "--pinned", "--json").stdout)["pins"]
    assert (pin["project"], pin["filename"]) == ("foo-bar", FOO)
    good(mirror, "mirror")
    assert filenames(mirror, "foo-bar") == [FOO]
    done = good(mirror, "trash", "unpin", "Foo_Bar")
    assert "unpin: 0 projects with a new page, 1 project removed" in done.stderr
    assert "Foo.Bar" not in listed(mirror)
    assert trash(mirror) == [FOO]


def test_a_name_that_is_not_in_the_trash_is_refused_with_what_is(mirror):
    mirror.index.delete_project("gamma")
    good(mirror, "mirror")
    done = good(mirror, "trash", "restore", "gama", code=2)
    assert lines(done)[-2:] == [
        "nothing of 'gama' is in the trash",
        "hint: there is gamma; `frumious trash list` shows all",
    ]
    good(mirror, "trash", "unpin", "gamma", code=2)


def test_the_trash_is_emptied_for_good(mirror):
    good(mirror, "delete", "A")
    assert "would be deleted" in good(mirror, "trash", "empty", "--dry-run").stdout
    assert trash(mirror) == ["a-1.0.tar.gz", "a-2.0.tar.gz"]
    assert "trash: 0 files (0 B) deleted" in good(mirror, "trash", "empty", "--older-than", "1").stderr
    assert "trash: 2 files (" in good(mirror, "trash", "empty").stderr
    assert trash(mirror) == []
    good(mirror, "trash", "empty", "--older-than", "soon", code=2)


def test_the_trash_of_a_lost_catalog_is_counted_and_emptied(mirror):
    good(mirror, "delete", "A")
    (mirror.directory / ".frumious/catalog.sqlite3").unlink()
    for _ in range(2):
        out = good(mirror, "trash", "list").stdout.splitlines()
        assert out[0] == "0 files, 0 B"
        assert out[1].startswith("2 files more, ")
        assert json.loads(good(mirror, "trash", "list", "--json").stdout)["totals"]["stray_files"] == 2
        good(mirror, "catalog", "rebuild")
    assert "0 files (0 B) deleted" in good(mirror, "trash", "empty", "--older-than", "0").stderr
    assert "2 files (" in good(mirror, "trash", "empty", "--yes").stderr
    assert trash(mirror) == []


def test_whoever_sits_at_a_terminal_is_asked(mirror):
    code, out = at_a_terminal(mirror, "delete", "A", answer="n\n")
    assert (code, "A" in listed(mirror)) == (1, True)
    assert "delete 1 project from this mirror? [y/N]" in out
    assert "a: 3 pages, 2 files, " in out
    code, _ = at_a_terminal(mirror, "delete", "A", answer="y\n")
    assert (code, "A" in listed(mirror)) == (0, False)
    code, out = at_a_terminal(mirror, "trash", "empty", answer="\n")
    assert (code, len(trash(mirror))) == (1, 2)
    assert "for good? [y/N]" in out
    code, _ = at_a_terminal(mirror, "trash", "empty", answer="yes\n")
    assert (code, trash(mirror)) == (0, [])
    code, out = at_a_terminal(mirror, "delete", "--yes", "gamma", answer="")
    assert (code, "?" in out, listed(mirror)) == (0, False, ["Foo.Bar"])


# -------------------------------------------------------------------------------------------------------- delete


def test_a_deleted_project_is_gone_and_what_follows_is_said(mirror):
    done = good(mirror, "delete", "gamma", "nobody")
    assert listed(mirror) == ["A", "Foo.Bar"]
    said = lines(done)
    assert "nobody: not on this mirror" in said
    assert any(line.startswith("delete: 1 project removed, 2 files (") for line in said)
    assert any("comes back when upstream changes it" in line for line in said)


def test_what_would_go_is_listed_and_nothing_is_changed(mirror):
    before = tree(mirror)
    done = good(mirror, "delete", "--dry-run", "foo_bar", "nobody")
    out = done.stdout.splitlines()
    assert out[0].startswith("foo-bar: 3 pages, 1 file, ")
    assert "  web/simple/foo-bar/index.html" in out
    assert out[-1].endswith(f"/{FOO}")
    assert "nobody: not on this mirror" in done.stderr
    assert tree(mirror) == before


def test_what_is_kept_out_is_said_by_plan_and_explain_and_comes_when_it_is_asked_for(mirror):
    done = good(mirror, "delete", "--keep-out", "A")
    assert "kept out until `frumious sync` or `frumious trash restore` names them: a" in done.stderr
    mirror.index.upload("A", "3.0", "a-3.0.tar.gz")
    assert "kept_out  1 project" in good(mirror, "plan").stdout
    good(mirror, "mirror")
    assert "A" not in listed(mirror)
    said = good(mirror, "explain", "a").stdout
    assert said.startswith("a: dropped (kept_out: kept out by `frumious delete --keep-out` since 20")
    assert "a: was kept out, and is not any more" in good(mirror, "sync", "a").stderr
    assert len(filenames(mirror, "a")) == 3


def test_what_is_no_name_is_refused_before_anything_happens(mirror):
    before = tree(mirror)
    for name in (".", "..", "", "a/b", "a\n", "a\0", "-a", "ä", "../a", "a" * 251):
        assert in_process(["-c", str(mirror.config), "delete", "--", "A", name]) == 2
    done = good(mirror, "delete", "--", "A", ".", code=2, program="bandersnatch")
    assert lines(done) == ["'.' is not a project name; nothing is deleted"]
    assert tree(mirror) == before


def test_names_that_are_not_here_are_an_error_unless_we_are_called_bandersnatch(mirror):
    before = tree(mirror)
    assert "nobody: not on this mirror" in good(mirror, "delete", "nobody", code=2).stderr
    good(mirror, "delete", "--dry-run", "nobody", code=2)
    good(mirror, "delete", "nobody", program="bandersnatch")
    mirror.write(exit_codes="bandersnatch")
    good(mirror, "delete", "nobody")
    assert {key: tree(mirror)[key] for key in before if "web/packages" in str(key)} == {
        key: before[key] for key in before if "web/packages" in str(key)
    }


def test_without_a_name_there_is_nothing_to_do(mirror, tmp_path):
    before = tree(mirror)
    assert "no project is named" in good(mirror, "delete", code=2).stderr
    done = good(mirror, "delete", program="bandersnatch")
    assert (done.stdout, done.stderr) == ("", "")
    assert run("-c", tmp_path / "none.conf", "delete", program="bandersnatch").returncode == 0
    assert tree(mirror) == before


def test_nothing_is_deleted_while_another_run_is_at_work(mirror):
    held = (
        "import fcntl,sys; f = open(sys.argv[1], 'a+'); fcntl.flock(f, fcntl.LOCK_EX); print('held', flush=True);"
        " sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", held, mirror.directory / ".lock"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as other:  # fmt: skip
        assert other.stdout.readline() == "held\n"
        for command in (["delete", "A"], ["trash", "empty"], ["trash", "restore", "A"]):
            assert "another run is at work" in good(mirror, *command, code=4).stderr
        good(mirror, "delete", "--dry-run", "A")
        good(mirror, "trash", "list")
        other.stdin.close()
    assert "A" in listed(mirror)


def test_the_operators_command_runs_after_a_deletion(mirror, tmp_path):
    mirror.write(run_after=f"{sys.executable} -c \"open(r'{tmp_path}/ran','a').write('x')\"")
    good(mirror, "delete", "A")
    assert (tmp_path / "ran").read_text() == "x"
    good(mirror, "delete", "nobody", code=2)
    assert (tmp_path / "ran").read_text() == "x"
