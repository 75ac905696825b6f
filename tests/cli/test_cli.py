"""What a person types and what they see: the real program, a real HTTPS index, real files."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support.index import Drip, Hang, SimulatedIndex, Status, serve
from support.program import BIN, LINE, Mirror, run, wait_for


@pytest.fixture
def mirror(tmp_path):
    index = SimulatedIndex()
    index.upload("A", "1.0", "A-1.0.tar.gz")
    index.upload("Foo.Bar", "1.0")
    with serve(index) as served:
        yield Mirror(tmp_path, served)


# ------------------------------------------------------------------ usage


@pytest.mark.parametrize("program", ["frumious", "bandersnatch"])
def test_help_and_version(program):
    nothing = run(program=program)
    assert (nothing.returncode, nothing.stderr) == (0, "")
    assert "mirror" in nothing.stdout
    assert run("--help", program=program).stdout == nothing.stdout
    version = run("--version", program=program)
    assert version.returncode == 0
    assert re.fullmatch(rf"{program} \d+\.\d+\.\d+\n", version.stdout)


@pytest.mark.parametrize("args", [["nonsense"], ["mirror", "--nonsense"], ["sync"], ["-c"]])
def test_wrong_usage_is_2(args):
    done = run(*args)
    assert done.returncode == 2
    assert "usage:" in done.stderr


def test_a_name_that_is_no_project_name_is_refused(tmp_path):
    done = run("-c", tmp_path / "none.conf", "sync", "../etc")
    assert done.returncode == 2
    assert "'../etc' is not a project name" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_help_costs_little_more_than_python():
    """Not timed: what it costs is what it imports."""
    code = (
        "import sys; from frumious.cli import run; run(['--version']);"
        "print([m for m in ('msgspec', 'apsw', 'pyreqwest', 'rich', 'asyncio') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


# -------------------------------------------------------- configuration file


@pytest.mark.parametrize("args", [["mirror"], ["sync", "six"]])
def test_a_missing_configuration_is_written_and_nothing_else(tmp_path, args):
    config = tmp_path / "bandersnatch.conf"
    done = run(*args, "-c", config)
    assert done.returncode == 1
    first, second = done.stderr.splitlines()
    assert LINE.match(first)[1] == LINE.match(second)[1] == "WARNING"
    assert str(config) in first
    assert "default" in first
    assert "review it" in second
    assert list(tmp_path.iterdir()) == [config]
    assert "[mirror]" in config.read_text()


def test_a_configuration_that_cannot_be_written_is_told(tmp_path):
    done = run("-c", tmp_path / "no" / "such" / "dir" / "f.conf", "mirror")
    assert done.returncode == 1
    assert "ERROR" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_value_names_its_place_and_nothing_is_asked(mirror):
    mirror.write(workers=11)
    done = mirror.run("mirror")
    assert done.returncode == 2
    assert f"{mirror.config}:" in done.stderr
    assert "[mirror] workers" in done.stderr
    assert "10" in done.stderr
    assert mirror.served.requests() == []
    assert not mirror.directory.exists()


def test_a_bad_line_in_a_list_names_its_line(mirror):
    mirror.write(
        "[plugins]\nenabled =\n    allowlist_project\n[allowlist]\npackages =\n    good\n    not a name!"
    )
    done = mirror.run("mirror")
    assert done.returncode == 2
    number = mirror.config.read_text().splitlines().index("    not a name!") + 1
    assert f"{mirror.config}:{number}: [allowlist] packages: " in done.stderr
    assert not mirror.directory.exists()


def test_the_option_stands_before_or_after_the_command(mirror):
    assert run("-c", mirror.config, "mirror", env=mirror.env).returncode == 0
    assert run("mirror", "-c", mirror.config, env=mirror.env).returncode == 0


# ----------------------------------------------------------------- mirroring


def test_a_run_in_a_log_is_plain_lines_with_one_summary(mirror):
    done = mirror.run("mirror")
    assert done.returncode == 0
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert all(LINE.match(line) for line in lines), lines
    assert re.search(
        r"INFO: mirror: 2 updated, 0 unchanged, 0 failed, 2 files \(.*\) downloaded, ", lines[-1]
    )
    assert [f["filename"] for f in mirror.page("foo-bar")["files"]] == ["foo_bar-1.0-py3-none-any.whl"]
    again = mirror.run("mirror")
    assert again.returncode == 0
    assert "0 updated" in again.stderr.splitlines()[-1]


def test_files_are_readable_whatever_the_umask(mirror):
    done = mirror.run("mirror", preexec_fn=lambda: os.umask(0o077))
    assert done.returncode == 0
    for path in (mirror.directory / "web").rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644), path


def test_html_forms_share_their_bytes(mirror):
    mirror.run("mirror")
    one, other = (mirror.directory / "web/simple/a" / name for name in ("index.html", "index.v1_html"))
    assert one.samefile(other)


def test_a_failing_project_is_named_and_owed(mirror):
    mirror.served.faults.add("page:a", Status(404 + 46), times=None)
    done = mirror.run("mirror")
    assert done.returncode == 3
    assert re.search(r"ERROR: a: .*450", done.stderr)
    assert "1 failed, 1 owed" in done.stderr.splitlines()[-1]
    assert (mirror.directory / "todo").exists()


def test_the_debug_option_logs_every_project(mirror):
    done = mirror.run("mirror", "--debug")
    assert "DEBUG: foo-bar: published" in done.stderr


def test_an_upstream_that_is_not_there_is_one_line(mirror, tmp_path):
    mirror.write(master="https://127.0.0.1:9")
    done = mirror.run("mirror")
    assert done.returncode == 1
    assert "no answer from https://127.0.0.1:9/simple/" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_certificate_is_told_with_the_fix(mirror):
    done = run("-c", mirror.config, "mirror", env={"no_proxy": "*"})
    assert done.returncode == 1
    assert "SSL_CERT_FILE" in done.stderr


def test_sync_of_names(mirror):
    assert mirror.run("sync", "Foo_Bar").returncode == 0
    assert not (mirror.directory / "web/simple/a").exists()
    assert not (mirror.directory / "status").exists()
    done = mirror.run("sync", "nosuch")
    assert done.returncode == 3
    assert "nosuch: upstream has no such project" in done.stderr


def test_the_summary_file_and_the_command_after(mirror, tmp_path):
    summary, ran = tmp_path / "summary.json", tmp_path / "ran"
    script = tmp_path / "after"
    script.write_text(f'#!/bin/sh\necho "$FRUMIOUS_SUMMARY" >> {ran}\n')
    script.chmod(0o755)
    mirror.write(summary_file=summary, run_after=script)
    assert mirror.run("mirror").returncode == 0
    written = json.loads(summary.read_text())
    assert (written["updated"], written["exit_code"], written["failed"]) == (2, 0, {})
    assert json.loads(ran.read_text())["updated"] == 2
    assert mirror.run("mirror").returncode == 0
    assert len(ran.read_text().splitlines()) == 1, "nothing changed, so nothing runs"


def test_a_failing_command_after_is_told(mirror):
    mirror.write(run_after="/no/such/program")
    done = mirror.run("mirror")
    assert done.returncode == 0
    assert "run-after: cannot run /no/such/program" in done.stderr


def test_too_little_space_is_a_clear_stop(mirror):
    mirror.write(
        "[plugins]\nenabled =\n    allowlist_project\n[allowlist]\npackages =\n    a\n    foo-bar",
        min_free="99%%",
    )
    done = mirror.run("mirror")
    assert done.returncode == 1
    assert "min-free" in done.stderr
    assert mirror.served.requests("file:*") == []


# --------------------------------------------------- locks, signals, crashes


def test_a_second_run_ends_at_once_with_one_line(mirror):
    mirror.write(timeout=30)
    mirror.served.faults.add("page:a", Hang())
    first = mirror.start("mirror")
    try:
        wait_for(lambda: mirror.served.requests("page:a"))
        second = mirror.run("mirror")
    finally:
        first.kill()
        first.communicate()
    assert second.returncode == 4
    (line,) = second.stderr.splitlines()
    assert "another run is at work" in line
    assert str(first.pid) in line


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_cleanly(mirror, number):
    mirror.write(timeout=30)
    mirror.served.faults.add("page:a", Hang())
    process = mirror.start("mirror")
    wait_for(lambda: mirror.served.requests("page:a"))
    process.send_signal(number)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 128 + number
    assert "stopped by" in errors
    assert "Traceback" not in errors
    assert mirror.run("mirror").returncode == 0


def test_killed_again_and_again_it_ends_up_whole(mirror):
    """kill -9 of the real process at growing distances from its start; each next run goes on (conformance 96)."""
    for number in range(30):
        mirror.index.upload(f"p{number}", "1.0", content=bytes([number]) * 300_000)
    mirror.served.faults.add("file:*", Drip(20_000), times=40)
    killed = 0
    for files in range(2, 26, 4):
        killed += kill_after(mirror, files)
        check_tree(mirror.directory)
    assert killed >= 3
    done = mirror.run("mirror")
    assert done.returncode == 0, done.stderr
    check_tree(mirror.directory)
    listed = json.loads((mirror.directory / "web/simple/index.v1_json").read_text())["projects"]
    assert len(listed) == 32
    assert not (mirror.directory / "todo").exists()


def kill_after(mirror, files):
    """Start a run and kill it once it has asked for so many files; say whether it was still running."""
    asked = len(mirror.served.requests("file:*"))
    process = mirror.start("mirror")
    wait_for(lambda: process.poll() is not None or len(mirror.served.requests("file:*")) >= asked + files)
    process.kill()
    process.communicate()
    return process.returncode == -signal.SIGKILL


def check_tree(directory: Path) -> None:
    import asyncio

    from frumious.storage.local import LocalStorage
    from support import invariants

    async def check():
        storage = LocalStorage(directory)
        try:
            await invariants.check(storage)
        finally:
            await storage.aclose()

    asyncio.run(check())


# ------------------------------------------------------------------ terminal


def test_in_a_terminal_there_is_live_progress(mirror):
    pty = pytest.importorskip("pty")
    mirror.write(timeout=30)
    mirror.served.faults.add("page:a", Hang())
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [BIN / "frumious", "-c", mirror.config, "mirror"],
        stderr=follower, env={**os.environ, **mirror.env, "TERM": "xterm", "COLUMNS": "140"},
    )  # fmt: skip
    os.close(follower)
    shown = ""
    try:
        while "1/2 projects" not in shown:
            shown += os.read(leader, 65536).decode(errors="replace")
    finally:
        process.kill()
        process.wait()
        os.close(leader)
    assert "1 files" in shown
    assert "left" in shown
