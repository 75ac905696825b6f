"""`verify` as it is typed and seen: every kind of damage is found, nothing is changed unless asked for, repair mends it."""

import fcntl
import json
import os
import shutil
import subprocess
from pathlib import Path

import apsw
import pytest

from support.index import SimulatedIndex, serve
from support.program import Mirror


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A whole mirror that nobody changes."""
    index = SimulatedIndex()
    for version in ("1.0", "2.0"):
        index.upload("A", version)
    index.upload("Foo.Bar", "1.0", "foo_bar-1.0.tar.gz")
    index.upload("gamma", "1.0")
    with serve(index) as served:
        mirror = Mirror(tmp_path_factory.mktemp("original"), served)
        mirror.write(json="true")
        done = mirror.run("mirror")
        assert done.returncode == 0, done.stderr
        yield mirror


@pytest.fixture
def mirror(original, tmp_path):
    mirror = Mirror(tmp_path, original.served)
    mirror.write(json="true")
    subprocess.run(["cp", "-a", original.directory, mirror.directory], check=True)
    return mirror


def verify(mirror, *args, code=None, **options):
    done = mirror.run("verify", *args, **options)
    assert code is None or done.returncode == code, done.stdout + done.stderr
    return done


def found(mirror, *args, code=6, **options):
    """Return the findings as pairs, and the summary."""
    lines = [
        json.loads(line) for line in verify(mirror, "--json", *args, code=code, **options).stdout.splitlines()
    ]
    return [(line["kind"], line["key"]) for line in lines[:-1]], lines[-1]["summary"]


def tree(mirror, *, ours=False):
    return {
        str(path.relative_to(mirror.directory)): (
            path.lstat().st_mode,
            path.lstat().st_mtime_ns,
            path.read_bytes(),
        )
        for path in sorted(mirror.directory.rglob("*"))
        if path.is_file() and (ours or ".frumious" not in path.parts)
    }


def stored(mirror, filename):
    (path,) = (mirror.directory / "web/packages").rglob(filename)
    return path


def key(mirror, path):
    return str(path.relative_to(mirror.directory))


def test_a_whole_mirror_is_whole(mirror):
    before = tree(mirror)
    done = verify(mirror, code=0)
    assert done.stdout == ""
    assert "3 projects, 4 files, nothing found" in done.stderr
    assert tree(mirror) == before
    assert not (mirror.directory / ".frumious/verify.json").exists()


# ------------------------------------------------------------------ one row for each kind of damage


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def flip(path):
    stat = path.stat()
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 1
    path.write_bytes(body)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def be_directory(path):
    path.unlink()
    path.mkdir()


def be_fifo(path):
    path.unlink()
    os.mkfifo(path)


def dangle(path):
    path.unlink()
    path.symlink_to("nowhere")


def private(path):
    path.chmod(0o600)


def private_directory(path):
    path.parent.chmod(0o700)


def garble(path):
    path.write_bytes(b"\xff\x00{[" * 40)


def empty(path):
    path.write_bytes(b"")


def ahead(path):
    path.write_text("99999\n")


def other_page(path):
    shutil.copy(path.parent.parent / "gamma" / path.name, path)


WHEEL, SIDECAR = "a-1.0-py3-none-any.whl", "a-1.0-py3-none-any.whl.metadata"
PAGE, V1_HTML, V1_JSON = "web/simple/a/index.html", "web/simple/a/index.v1_html", "web/simple/a/index.v1_json"
ROOT_HTML, ROOT_JSON = "web/simple/index.html", "web/simple/index.v1_json"
LOCAL_JSON, LOCAL_SERIAL = "web/local.json", "web/local.db.serial"

DAMAGES = [
    (WHEEL, Path.unlink, "missing"),
    (WHEEL, cut, "wrong-size"),
    (WHEEL, empty, "wrong-size"),
    (WHEEL, flip, "wrong-digest"),
    (WHEEL, be_fifo, "missing"),
    (WHEEL, dangle, "missing"),
    (WHEEL, private, "wrong-mode"),
    (WHEEL, private_directory, "wrong-mode"),
    (SIDECAR, Path.unlink, "metadata-wrong"),
    (SIDECAR, cut, "metadata-wrong"),
    (SIDECAR, flip, "metadata-wrong"),
    (PAGE, Path.unlink, "page-missing"),
    (PAGE, cut, "page-wrong"),
    (PAGE, garble, "page-wrong"),
    (PAGE, other_page, "page-wrong"),
    (PAGE, private, "wrong-mode"),
    (V1_HTML, Path.unlink, "page-missing"),
    (V1_HTML, empty, "page-wrong"),
    (V1_JSON, Path.unlink, "page-missing"),
    (V1_JSON, flip, "page-wrong"),
    (V1_JSON, other_page, "page-wrong"),
    ("web/json/a", Path.unlink, "document-wrong"),
    ("web/json/a", garble, "document-wrong"),
    ("web/pypi/a/json", garble, "document-wrong"),
    (ROOT_HTML, Path.unlink, "list-wrong"),
    (ROOT_HTML, cut, "list-wrong"),
    (ROOT_JSON, flip, "list-wrong"),
    (ROOT_JSON, garble, "list-wrong"),
    (ROOT_JSON, private, "list-wrong"),
    (LOCAL_JSON, Path.unlink, "list-wrong"),
    (LOCAL_JSON, flip, "list-wrong"),
    (LOCAL_SERIAL, Path.unlink, "list-wrong"),
    (LOCAL_SERIAL, ahead, "list-wrong"),
    (LOCAL_SERIAL, garble, "list-wrong"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("where", "damage", "kind"), DAMAGES, ids=[f"{w.rpartition('/')[2]}-{d.__name__}" for w, d, _ in DAMAGES]
)
def test_damage_is_found_and_changed_by_nobody_and_repaired_when_asked(mirror, where, damage, kind):
    whole = tree(mirror)
    path = mirror.directory / where if "/" in where else stored(mirror, where)
    # A page and its other name may be one file.
    body = path.read_bytes()
    path.unlink()
    path.write_bytes(body)
    mtime = whole[key(mirror, path)][1]
    os.utime(path, ns=(mtime, mtime))
    damage(path)
    before = tree(mirror) if not path.is_fifo() else None
    findings, summary = found(mirror)
    expected = EITHER.get((where, damage), key(mirror, path))
    assert (kind, expected) in findings
    assert {k for _, k in findings} <= {expected, BESIDE.get(where, ""), f"{key(mirror, path)}.metadata"}
    assert summary["remaining"] == len(findings)
    if before is not None:
        assert tree(mirror) == before
    repaired, summary = found(mirror, "--repair", code=0)
    assert repaired == findings
    assert (summary["remaining"], summary["repaired"]) == (0, len(findings))
    assert {k: (mode, body) for k, (mode, _, body) in tree(mirror).items()} == {
        k: (mode, body) for k, (mode, _, body) in whole.items()
    }


BESIDE = {PAGE: V1_HTML}
"""What differs from a page that is damaged, and is not."""
EITHER = {(V1_JSON, flip): PAGE}
"""Under which name it stands when only the digest of both says that one is wrong."""


def test_a_dry_run_changes_nothing_whatever_else_is_asked_for(mirror):
    flip(stored(mirror, WHEEL))
    (mirror.directory / "web/packages/stray").write_text("x")
    before = tree(mirror)
    findings, _ = found(mirror, "--dry-run", "--repair", "--delete", "--json-update")
    assert [kind for kind, _ in findings] == ["wrong-digest", "stray"]
    assert tree(mirror) == before


def test_after_a_repair_the_mirror_is_whole_and_goes_on(mirror):
    for filename in (WHEEL, SIDECAR):
        flip(stored(mirror, filename))
    for page in (PAGE, V1_JSON, ROOT_JSON):
        garble(mirror.directory / page)
    asked = len(mirror.served.requests())
    done = verify(mirror, "--repair", code=0)
    assert "5 findings" in done.stderr
    assert "5 repaired" in done.stderr
    targets = [request.target for request in mirror.served.requests()[asked:]]
    assert sorted(t for t in targets if t.startswith("file:")) == [f"file:{WHEEL}", f"file:{SIDECAR}"]
    assert verify(mirror, code=0).stdout == ""
    again = mirror.run("mirror")
    assert again.returncode == 0
    assert "0 updated" in again.stderr


def test_what_upstream_no_longer_has_is_told_and_the_rest_stays(tmp_path):
    index = SimulatedIndex()
    index.upload("A", "1.0")
    index.upload("A", "2.0")
    with serve(index) as served:
        mirror = Mirror(tmp_path, served)
        assert mirror.run("mirror").returncode == 0
        index.lose_bytes(WHEEL)
        flip(stored(mirror, WHEEL))
        findings, summary = found(mirror, "--repair")
        assert findings == [("wrong-digest", key(mirror, stored(mirror, WHEEL)))]
        assert summary["remaining"] == 1
        assert len(mirror.page("a")["files"]) == 2


def test_verify_takes_no_lock_and_repair_says_who_has_it(mirror):
    flip(stored(mirror, WHEEL))
    with (mirror.directory / ".lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        findings, _ = found(mirror)
        assert len(findings) == 1
        done = verify(mirror, "--repair", code=4)
    assert f"process {os.getpid()}" in done.stderr


# ---------------------------------------------------------------------------------------- strays


STRAYS = (
    "web/packages/aa/bb/left-1.0.whl",
    "web/packages/.frumious-3",
    "web/json/gone",
    "web/pypi/gone/json",
)


def litter(mirror, *names):
    for name in names:
        path = mirror.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def test_strays_are_told_and_with_delete_they_go_to_the_trash(mirror):
    litter(mirror, *STRAYS, "web/robots.txt", "web/simple.txt")
    findings, _ = found(mirror)
    assert sorted(findings) == sorted(("stray", name) for name in STRAYS)
    findings, summary = found(mirror, "--delete", code=0)
    assert summary["repaired"] == len(STRAYS)
    assert not any((mirror.directory / name).exists() for name in STRAYS)
    assert (mirror.directory / "web/robots.txt").read_text() == "web/robots.txt"
    bodies = {p.read_text() for p in (mirror.directory / ".frumious/trash").rglob("*") if p.is_file()}
    assert bodies == set(STRAYS)
    assert verify(mirror, code=0).stdout == ""


def test_without_a_trash_strays_are_gone(mirror):
    mirror.write(json="true", trash_days=0)
    litter(mirror, *STRAYS)
    assert verify(mirror, "--delete", code=0).stdout.count("(repaired)") == len(STRAYS)
    assert not list((mirror.directory / ".frumious").rglob("left-1.0.whl"))


def test_bytes_that_came_before_a_run_died_are_strays_and_come_back_without_a_download(tmp_path):
    index = SimulatedIndex()
    index.upload("A", "1.0")
    with serve(index) as served:
        mirror = Mirror(tmp_path, served)
        assert mirror.run("mirror").returncode == 0
        later = index.upload("A", "3.0")
        litter(mirror, f"web{later.path}")
        (mirror.directory / f"web{later.path}").write_bytes(later.content)
        assert verify(mirror, "--delete", code=0).stdout.startswith("stray")
        asked = len(served.requests())
        assert mirror.run("mirror").returncode == 0
        targets = [r.target for r in served.requests()[asked:]]
        assert "file:a-3.0-py3-none-any.whl" not in targets
        assert len(mirror.page("a")["files"]) == 2


def test_no_stray_goes_while_a_page_cannot_be_read(mirror):
    """bandersnatch deletes the files of a package whose JSON it could not read."""
    litter(mirror, STRAYS[0])
    garble(mirror.directory / V1_JSON)
    done = verify(mirror, "--delete", code=6)
    assert "strays are left alone" in done.stderr
    assert (mirror.directory / STRAYS[0]).exists()
    assert stored(mirror, WHEEL).exists()
    verify(mirror, "--delete", "--repair", code=0)
    assert not (mirror.directory / STRAYS[0]).exists()


def test_a_page_that_nobody_knows_keeps_its_files_and_is_taken_over_by_a_repair(mirror):
    shutil.copytree(mirror.directory / "web/simple/gamma", mirror.directory / "web/simple/delta")
    for page in (mirror.directory / "web/simple/delta").iterdir():
        page.write_bytes(page.read_bytes().replace(b"gamma", b"delta"))
    wheel = stored(mirror, "gamma-1.0-py3-none-any.whl")
    twin = wheel.with_name("delta-1.0-py3-none-any.whl")
    shutil.copy2(wheel, twin)
    findings, _ = found(mirror, "--delete")
    assert ("stray", "web/simple/delta/index.html") in findings
    assert twin.exists()
    found(mirror, "--delete", "--repair", code=None)
    assert twin.exists()
    assert not [k for kind, k in found(mirror, code=None)[0] if k.startswith("web/packages")]


def test_under_the_name_of_bandersnatch_it_repairs_and_strays_are_left_unless_asked(mirror):
    flip(stored(mirror, WHEEL))
    litter(mirror, STRAYS[0])
    done = verify(mirror, "--dry-run", code=6, program="bandersnatch")
    assert "wrong-digest" in done.stdout
    done = verify(mirror, code=0, program="bandersnatch")
    assert "(repaired)" in done.stdout
    assert (mirror.directory / STRAYS[0]).exists()
    verify(mirror, "--delete", "--workers", "2", code=0, program="bandersnatch")
    assert not (mirror.directory / STRAYS[0]).exists()


# --------------------------------------------------------------------------- parts, and the catalog


def test_quick_reads_only_files_whose_time_is_wrong(mirror):
    flip(stored(mirror, WHEEL))
    verify(mirror, "--quick", code=0)
    os.utime(stored(mirror, WHEEL))
    assert found(mirror, "--quick")[0][0][0] == "wrong-digest"
    verify(mirror, "--quick", "--repair", code=0)
    os.utime(stored(mirror, WHEEL))
    verify(mirror, "--quick", code=0)
    Path.unlink(stored(mirror, SIDECAR))
    assert found(mirror, "--quick")[0][0][0] == "metadata-wrong"


def test_slices_are_disjoint_and_together_everything(mirror):
    for name in ("a-1.0-py3-none-any.whl", "foo_bar-1.0.tar.gz", "gamma-1.0-py3-none-any.whl"):
        cut(stored(mirror, name))
    litter(mirror, *STRAYS)
    whole, _ = found(mirror)
    parts = [found(mirror, "--slice", f"{n}/3", code=None) for n in (1, 2, 3)]
    assert sorted(finding for findings, _ in parts for finding in findings) == sorted(whole)
    assert sum(summary["projects"] for _, summary in parts) == 3


@pytest.mark.parametrize(
    "args",
    [("--slice", "0/3"), ("--slice", "4/3"), ("--slice", "x"), ("--budget", "0"), ("--budget", "1w"),
     ("--workers", "-1"), ("--slice", "1/2", "--delete"), ("extra",)],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_before_anything_is_read(mirror, args):
    done = verify(mirror, *args, code=2)
    assert "Traceback" not in done.stderr
    assert args[-1] in done.stderr or args[0] in done.stderr


def test_a_page_of_upstreams_that_cannot_be_read_any_more_is_found_and_asked_for_again(mirror):
    db = apsw.Connection(str(mirror.directory / ".frumious/catalog.sqlite3"))
    with db:
        db.execute(
            "UPDATE revision SET body = x'00' WHERE project = (SELECT id FROM project WHERE name = 'a')"
        )
    db.close()
    assert [kind for kind, _ in found(mirror)[0]] == ["catalog-damaged"]
    assert found(mirror, "--repair", code=0)[1]["repaired"] == 1
    verify(mirror, code=0)


def test_a_damaged_catalog_is_told_and_nothing_is_deleted(mirror):
    litter(mirror, STRAYS[0])
    path = mirror.directory / ".frumious/catalog.sqlite3"
    assert mirror.run("mirror").returncode == 0  # the write-ahead log is empty after it
    body = bytearray(path.read_bytes())
    for start in range(4096 * 3, len(body), 4096):
        body[start : start + 64] = b"\xff" * 64
    path.write_bytes(body)
    done = verify(mirror, "--delete")
    assert done.returncode in {1, 6}
    assert "damaged" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert (mirror.directory / STRAYS[0]).exists()


def test_without_a_catalog_the_tree_is_compared_with_itself(mirror):
    shutil.rmtree(mirror.directory / ".frumious")
    verify(mirror, code=0)
    assert not (mirror.directory / ".frumious/catalog.sqlite3").exists()
    cut(stored(mirror, WHEEL))
    assert [kind for kind, _ in found(mirror)[0]] == ["wrong-size"]


def test_names_that_a_terminal_would_act_on_are_shown_harmless(mirror):
    litter(mirror, "web/packages/\x1b[31mred\nline")
    done = verify(mirror, code=6)
    assert done.stdout.count("\n") == 1
    assert "\x1b" not in done.stdout
    assert "\\x1b[31mred\\nline" in done.stdout


def test_where_no_mirror_is_nothing_is_whole(mirror, tmp_path):
    mirror.write(directory=tmp_path / "elsewhere")
    done = verify(mirror, code=1)
    assert f"there is no mirror in {tmp_path / 'elsewhere'}" in done.stderr
    assert not (tmp_path / "elsewhere").exists()
