"""`status` as it is typed and seen: the real program, a real index, every state a mirror can be in."""

import asyncio
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest

from frumious.cli.status_command import status_text
from frumious.config import load
from frumious.sync.status import AtWork, Failing, HeldBack, report
from frumious.wiring import open_reader, place_of
from support.index import Hang, Reset, SimulatedIndex, Status, serve
from support.program import Mirror, run, wait_for

ROOT = Path(__file__).parents[2]


@pytest.fixture
def mirror(tmp_path):
    index = SimulatedIndex()
    for name in ("alpha", "Foo.Bar", "gamma"):
        index.upload(name, "1.0")
    with serve(index) as served:
        yield Mirror(tmp_path, served)


def status(mirror, *args, code=0):
    done = mirror.run("status", *args)
    assert done.returncode == code, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


def told(mirror, *args, code=0):
    return json.loads(status(mirror, "--json", *args, code=code))


def line(text, label):
    """Return what stands behind a label, lines after it included."""
    found = re.search(rf"^  {label:<11} (.*(?:\n {{14}}.*)*)", text, re.MULTILINE)
    return found and " ".join(found[1].split())


def everything(folder):
    return {
        path.relative_to(folder): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else None)
        for path in folder.rglob("*")
    }


# ------------------------------------------------------------------ the states


def test_before_the_first_run(mirror):
    text = status(mirror)
    assert text.startswith(f"{mirror.directory}: no mirror yet; `frumious mirror` begins one\n")
    assert line(text, "settings") == str(mirror.config)
    assert not mirror.directory.exists()


def test_whole_and_up_to_date(mirror):
    assert mirror.run("mirror").returncode == 0
    before, asked = everything(mirror.directory), len(mirror.served.requests())
    text = status(mirror)
    assert text.startswith(f"{mirror.directory}: whole, and up to date\n")
    assert line(text, "serial") == str(mirror.index.serial)
    assert line(text, "upstream") == "the same"
    assert line(text, "as of") == "now"
    assert "code 0: whole 3 updated, 0 unchanged, 0 failed, 3 files" in line(text, "last run")
    assert line(text, "here").startswith("3 projects, 3 files, ")
    assert " free; the catalog has " in line(text, "disk")
    assert [r.target for r in mirror.served.requests()[asked:]] == ["serial"]
    assert everything(mirror.directory) == before


def test_upstream_is_ahead(mirror):
    assert mirror.run("mirror").returncode == 0
    serial = mirror.index.serial
    mirror.index.upload("alpha", "2.0")
    text = status(mirror)
    ahead = mirror.index.serial - serial
    assert line(text, "upstream") == f"{mirror.index.serial}, {ahead} ahead"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d, less than a minute ago", line(text, "as of"))


def test_projects_are_owed(mirror):
    for name in ("alpha", "gamma"):
        mirror.served.faults.add(f"page:{name}", Status(403), times=None)
    assert mirror.run("mirror").returncode == 3
    text = status(mirror)
    assert text.startswith(f"{mirror.directory}: 2 projects owed\n")
    assert line(text, "owed") == "2 projects, to be tried by the next run"
    assert line(text, "as of") == "now, but for what is owed"
    assert re.search(r"^  alpha: once since [-\d]+ [\d:]+; tried again: next run$", text, re.MULTILINE)
    assert f"    {mirror.served.url}/simple/alpha/ answered 403\n" in text


def test_ten_failing_projects_are_named_and_all_of_them_if_asked_for(mirror):
    for number in range(13):
        mirror.index.upload(f"bad-{number}", "1.0")
    mirror.served.faults.add("page:bad-*", Status(403), times=None)
    assert mirror.run("mirror").returncode == 3
    text = status(mirror)
    assert len(re.findall(r"^  bad-\d+: ", text, re.MULTILINE)) == 10
    assert "  ... and 3 more (--failing shows all)\n" in text
    text = status(mirror, "--failing")
    assert len(re.findall(r"^  bad-\d+: ", text, re.MULTILINE)) == 13
    assert "more (" not in text


def test_upstream_cannot_be_asked(mirror):
    assert mirror.run("mirror").returncode == 0
    mirror.served.faults.add("serial", Reset(), times=None)
    text = status(mirror)
    assert line(text, "upstream").startswith(f"cannot be asked: no answer from {mirror.served.url}/simple/ (")
    assert text.startswith(f"{mirror.directory}: whole, as of its last run\n")


def test_nobody_waits_for_an_upstream_that_hangs(mirror):
    mirror.write(timeout=1)
    mirror.served.faults.add("serial", Hang(), times=None)
    mirror.directory.mkdir()
    (mirror.directory / "status").write_text("7")
    assert line(status(mirror), "upstream").startswith("cannot be asked: ")
    assert len(mirror.served.requests("serial")) == 1  # once, whatever comes of it


def test_offline_asks_nobody(mirror):
    assert mirror.run("mirror").returncode == 0
    asked = len(mirror.served.requests())
    text = status(mirror, "--offline")
    assert line(text, "upstream") == "not asked"
    assert len(mirror.served.requests()) == asked


def test_the_last_run_gave_up(mirror):
    assert mirror.run("mirror").returncode == 0
    mirror.served.faults.add("list", Status(403), times=None)
    assert mirror.run("mirror").returncode == 1
    text = status(mirror)
    assert text.startswith(f"{mirror.directory}: the last run gave up\n")
    assert f"code 1: {mirror.served.url}/simple/ answered 403" in line(text, "last run")
    assert line(text, "last whole")


def test_a_run_is_on_and_then_it_is_killed(mirror):
    assert mirror.run("mirror").returncode == 0
    mirror.index.upload("slow", "1.0")
    mirror.index.upload("alpha", "2.0")
    mirror.write(timeout=60)
    mirror.served.faults.add("file:slow*", Hang(), times=None)
    with mirror.start("mirror") as process:
        wait_for(lambda: (mirror.page("alpha")["files"])[1:])
        text = status(mirror)
        assert re.search(rf"^process {process.pid}: mirror since .*, 1 change so far$", line(text, "at work"))
        assert text.startswith(f"{mirror.directory}: whole, as of its last run; a run is on\n")
        process.send_signal(signal.SIGKILL)
        process.communicate()
    text = status(mirror)
    assert "it was stopped from outside" in line(text, "unfinished")
    assert line(text, "at work") is None


def test_somebody_else_holds_the_lock(mirror):
    assert mirror.run("mirror").returncode == 0
    with (mirror.directory / ".lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert line(status(mirror), "at work") == f"process {os.getpid()} holds the lock"


def test_removals_wait_for_the_operator(mirror):
    mirror.write(removal_max_projects=0, removal_max_files=0, removal_max_percent=0)
    assert mirror.run("mirror").returncode == 0
    mirror.index.delete_project("gamma")
    assert mirror.run("mirror").returncode == 5
    text = status(mirror)
    assert text.startswith(f"{mirror.directory}: removals wait for you\n")
    held = line(text, "held back")
    assert held.startswith("1 project and 1 file in all would go: gamma to confirm it: ")
    (plan,) = re.findall(r"frumious mirror --confirm (\w+)$", held)
    assert mirror.run("mirror", "--confirm", plan).returncode == 0
    text = status(mirror)
    assert line(text, "held back") is None
    assert re.fullmatch(
        r"[12] files?, [\d.]+ k?B, kept until \d{4}-\d\d-\d\d \d\d:\d\d or longer", line(text, "trash")
    )


def test_a_cool_down_makes_projects_wait(mirror):
    mirror.write("[plugins]\nenabled =\n    upload_time\n[upload_time]\ncool_down = 5000w\n")
    assert mirror.run("mirror").returncode == 0
    assert line(status(mirror), "waiting").startswith("3 projects for a filter's time, the first until ")


def test_pages_without_a_catalog(mirror):
    assert mirror.run("mirror").returncode == 0
    shutil.rmtree(mirror.directory / ".frumious")
    text = status(mirror)
    assert text.startswith(
        f"{mirror.directory}: pages without a catalog; the next `mirror` takes them over\n"
    )
    assert line(text, "serial") == str(mirror.index.serial)
    assert not (mirror.directory / ".frumious").exists()


def test_another_program_was_here(mirror):
    assert mirror.run("mirror").returncode == 0
    (mirror.directory / "status").write_text("7")
    text = status(mirror)
    assert line(text, "changed").startswith("another program wrote `status` or `todo`; ")


# -------------------------------------------------------------- for monitoring


def test_monitoring_ends_with_three_where_something_is_late(mirror):
    assert "  late: no run has looked at everything yet" in status(mirror, "--max-age", "1h", code=3)
    mirror.served.faults.add("page:alpha", Status(403), times=None)
    assert mirror.run("mirror").returncode == 3
    found = told(mirror, "--max-age", "1d")
    assert found["late"] == []
    wait_for(lambda: time.time() - found["failing"][0]["since"] > 2)
    assert "alpha: owed for more than 1.0 s" in told(mirror, "--max-age", "1s", code=3)["late"]


@pytest.mark.parametrize("age", ["", "x", "0", "1.5h", "1w"])
def test_a_time_that_is_none_is_a_usage_error(mirror, age):
    done = mirror.run("status", "--max-age", age)
    assert done.returncode == 2
    assert "is no time such as" in done.stderr


AS_NOBODY = """
import contextlib, io, os, sys
from frumious.cli import run
with contextlib.redirect_stdout(io.StringIO()):
    run(sys.argv[1:])  # imports what that other user may not be able to read
os.setgroups([]); os.setgid(65534); os.setuid(65534)
sys.exit(run(sys.argv[1:]))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_user_who_may_only_read_is_told_the_same(mirror):
    assert mirror.run("mirror").returncode == 0
    with tempfile.TemporaryDirectory() as folder:  # pytest's own is for nobody else
        Path(folder).chmod(0o755)
        shutil.copytree(mirror.directory, Path(folder) / "mirror", symlinks=True)
        mirror.directory = Path(folder) / "mirror"
        mirror.config = Path(folder) / "frumious.conf"
        mirror.write()
        before = everything(mirror.directory)
        command = [sys.executable, "-c", AS_NOBODY, "-c", mirror.config, "status", "--offline"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        assert f"{mirror.directory}: whole, as of its last run" in done.stdout
        assert everything(mirror.directory) == before


# ---------------------------------------------------------------------- errors


def test_a_configuration_that_cannot_be_used_is_told_as_ever(mirror):
    mirror.write("[plugins]\nenabled =\n    no_such_plugin\n")
    done = mirror.run("status")
    assert done.returncode == 2
    assert "no_such_plugin" in done.stderr
    assert done.stdout == ""
    assert run("-c", mirror.config.with_name("none.conf"), "status").returncode == 1
    assert not mirror.config.with_name("none.conf").exists()


def test_no_secret_of_the_configuration_is_shown(mirror):
    mirror.write(master=mirror.served.url.replace("://", "://user:hunter2@"))
    assert mirror.run("mirror").returncode == 0
    mirror.served.faults.add("serial", Reset(), times=None)
    assert "hunter2" not in status(mirror, "--json")


def test_a_terminal_is_not_told_what_to_do_by_what_upstream_says(mirror):
    mirror.served.faults.add("page:alpha", Status(403), times=None)
    assert mirror.run("mirror").returncode == 3
    found = _report(mirror)
    evil = Failing("alpha", "bad-page", "\x1b]0;owned\x07 it says \x9b31m", 1, found.at, found.at)
    text = status_text(replace(found, failing=(evil,)), most_failing=10)
    assert all(c.isprintable() or c == "\n" for c in text)
    assert "owned" in text


def test_lines_fit_a_terminal_of_80_columns(mirror):
    mirror.served.faults.add("page:alpha", Status(403), times=None)
    assert mirror.run("mirror").returncode == 3
    found = _report(mirror)
    wordy = Failing("alpha", "bad-page", "one word after another " * 20, 1200, found.at, found.at + 90)
    held = HeldBack("5f0c2a91", 412, 9310, 18_200_000_000, tuple(f"project-{n}" for n in range(10)))
    work = AtWork(None, "mirror", found.at, 1_000_000)
    shown = replace(
        found, directory="/srv/pypi", config="/etc/frumious.conf", failing=(wordy,), held_back=held, at_work=work,
        changed_by_others=True, backlog=replace(found.backlog, owed=412, retries_due=3, waiting=9, waiting_until=1,
        rechecks_due=10**5, unsettled=4, leaving=4, released=7, released_bytes=7, trashed=9, trashed_bytes=10**12),
    )  # fmt: skip
    text = status_text(shown, most_failing=10)
    assert max(map(len, text.splitlines())) <= 80
    assert len(text.splitlines()) > 25
    assert line(text, "owed") == "412 projects, 3 of them to be tried by the next run"
    assert re.search(
        r"^  alpha: 1,200 times since [-\d]+ [\d:]+; tried again: after [-\d]+ [\d:]+$", text, re.MULTILINE
    )


def _report(mirror):
    loaded = load(mirror.config)

    async def work():
        async with open_reader(loaded, lambda _event: None, briefly=True) as opened:
            return await report(opened.ports, opened.options, place_of(loaded), ask_upstream=False)

    return asyncio.run(work())


# ------------------------------------------------------------------------ docs


def test_every_key_of_the_json_is_documented(mirror):
    mirror.write(removal_max_projects=0, removal_max_files=0, removal_max_percent=0)
    mirror.served.faults.add("page:alpha", Status(403), times=None)
    assert mirror.run("mirror").returncode == 3
    mirror.index.delete_project("gamma")
    assert mirror.run("mirror").returncode == 5
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    section = text.partition("### The status for machines")[2].partition("\n## ")[0]
    with (mirror.directory / ".lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        said = told(mirror, "--max-age", "1d", code=3)

    def keys(value):
        for item in value if isinstance(value, list) else ():
            yield from keys(item)
        for key, inner in value.items() if isinstance(value, dict) else ():
            yield key
            yield from keys(inner)

    assert said["at_work"]
    assert said["held_back"]
    assert said["failing"]
    missing = {key for key in keys(said) if f"`{key}`" not in section}
    assert not missing


def test_it_starts_without_what_only_a_terminal_needs():
    done = subprocess.run(
        [sys.executable, "-c", "import sys, frumious.cli.status_command as s; print('rich' in sys.modules)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "False\n"
