"""The words that an operator reads, as they stand: whoever changes one changes it here too."""

import logging
import os
import subprocess
import sys

import pytest

from frumious.cli.console import log_event
from frumious.cli.progress import Pace, Tally, clock, live_lines, progress_line
from frumious.sync import events
from support.index import Hang, SimulatedIndex, Status, serve
from support.program import BIN, LINE, Mirror, run


@pytest.fixture
def mirror(tmp_path):
    index = SimulatedIndex()
    index.upload("a", "1.0")
    index.upload("b", "1.0")
    with serve(index) as served:
        yield Mirror(tmp_path, served)


def told(done) -> list[str]:
    """Return the lines of a log without their times; every line has one."""
    lines = done.stderr.splitlines()
    assert all(map(LINE.match, lines)), lines
    return [line.split(" ", 2)[2] for line in lines]


# ----------------------------------------------------------- configuration


def refused(tmp_path, text) -> list[str]:
    config = tmp_path / "f.conf"
    config.write_text(text)
    done = run("-c", config, "mirror")
    assert done.returncode == 2
    assert not (tmp_path / "m").exists()
    return [line.replace(f"{config}", "f.conf") for line in told(done)]


def test_one_wrong_value(tmp_path):
    assert refused(tmp_path, f"[mirror]\ndirectory = {tmp_path}/m\nworkers = 11 # more\n") == [
        "ERROR: f.conf:3: [mirror] workers: '11 # more' cannot be used; allowed: a whole number from 1 to 10",
        "ERROR: hint: a comment needs its own line",
    ]


def test_several_wrong_values_are_a_line_each(tmp_path):
    text = f"[mirror]\ndirectory = {tmp_path}/m\nproxy = box:3128\njson = ja\nmin-free = 5%\n"
    assert refused(tmp_path, text) == [
        "ERROR: f.conf: 3 settings cannot be used:",
        (
            "ERROR: f.conf:3: [mirror] proxy: 'box:3128' cannot be used; allowed: an http://, https://, socks5:// or"
            " socks5h:// address (did you mean http://box:3128?)"
        ),
        "ERROR: f.conf:4: [mirror] json: 'ja' cannot be used; allowed: true or false (also yes/no, on/off, 1/0)",
        "ERROR: f.conf:5: [mirror] min-free: a bare % cannot be used (write %% for a percent sign)",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[mirror]\nworkers = 3\n\nworkers = 4\n", "f.conf:4: [mirror] workers: this key is already there, in line 2"),
        ("[mirror]\n[plugins]\n[mirror]\n", "f.conf:3: [mirror] this section is already there, in line 1"),
        ("directory = /x\n", "f.conf:1: 'directory = /x' stands before any [section]"),
        ("", "f.conf: [mirror] directory: this key is required"),
        ("[mirror]\ndirectory: /x\n", "f.conf:2: neither `[section]` nor `key = value`"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_well_formed(tmp_path, text, problem):
    first, second = refused(tmp_path, text)
    assert first == f"ERROR: {problem}"
    assert second.startswith("ERROR: hint: ")


def test_an_address_without_its_kind(tmp_path):
    *_, hint = refused(tmp_path, f"[mirror]\ndirectory = {tmp_path}/m\nmaster = index.example.org/root\n")
    assert hint == "ERROR: hint: did you mean https://index.example.org/root?"


def test_a_log_config_that_cannot_be_used_is_named_where_it_is_set(tmp_path):
    (tmp_path / "log.ini").write_text("[loggers]\n")
    assert refused(tmp_path, f"[mirror]\ndirectory = {tmp_path}/m\nlog-config = {tmp_path}/log.ini\n") == [
        f"ERROR: f.conf:3: [mirror] log-config: {tmp_path}/log.ini cannot be used for logging: no 'formatters' in it",
        "ERROR: hint: it must be in the format of Python's logging.config.fileConfig",
    ]


def test_an_empty_name_of_a_configuration_file(tmp_path):
    done = run("-c", "", "mirror")
    assert done.returncode == 2
    assert "argument -c/--config: an empty name" in done.stderr


def test_no_place_for_a_default_configuration(tmp_path):
    config = tmp_path / "no" / "f.conf"
    assert told(run("-c", config, "mirror")) == [
        f"ERROR: cannot create a default configuration file at {config}: No such file or directory",
        "ERROR: hint: name another place with -c, or create the directory first",
    ]


def test_a_run_does_not_import_the_package_that_knows_pypi(tmp_path):
    """Only its constant is read: importing it takes longer than everything else together."""
    code = (
        "import sys; from frumious.config import default_master; print(default_master().count('/'));"
        "print('pypi_simple' in sys.modules);"
        "import pypi_simple; print(pypi_simple.PYPI_SIMPLE_ENDPOINT == default_master() + '/simple/')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2", "False", "True"]


# -------------------------------------------------------------------- runs


def test_a_run_and_the_next(mirror):
    first = told(mirror.run("mirror"))
    assert first[0].startswith("INFO: project list: 2 projects, serial ")
    assert first[1] == "INFO: 2 projects to look at"
    assert first[2].startswith("INFO: mirror: 2 updated, 0 unchanged, 0 failed, 2 files (")
    assert len(first) == 3
    assert told(mirror.run("sync", "a"))[0] == "INFO: 1 project to look at"
    assert told(mirror.run("mirror"))[0] == "INFO: project list: not changed since the last run"


def test_when_upstream_has_none_of_the_projects_the_master_may_be_wrong(mirror):
    lines = told(mirror.run("sync", "nix", "nox"))
    assert "ERROR: nix: upstream has no such project; check its spelling" in lines
    assert (
        lines[-1] == f"ERROR: hint: upstream has none of these projects; check `master` ({mirror.served.url})"
    )
    assert "hint" not in told(mirror.run("sync", "a", "nix"))[-1]


def test_the_summary_of_a_run_that_could_not_begin_says_why(mirror, tmp_path):
    import json

    mirror.served.faults.add("list", Status(404), times=None)
    mirror.write(summary_file=tmp_path / "s.json")
    assert mirror.run("mirror").returncode == 1
    written = json.loads((tmp_path / "s.json").read_text())
    assert (written["command"], written["exit_code"], written["updated"]) == ("mirror", 1, 0)
    assert "404" in written["stopped"]


def test_a_held_lock_leaves_the_summary_alone(mirror, tmp_path):
    mirror.write(summary_file=tmp_path / "s.json", timeout=30)
    mirror.served.faults.add("page:a", Hang())
    process = mirror.start("mirror")
    try:
        from support.program import wait_for

        wait_for(lambda: mirror.served.requests("page:a"))
        assert mirror.run("mirror").returncode == 4
    finally:
        process.kill()
        process.communicate()
    assert not (tmp_path / "s.json").exists()


@pytest.mark.parametrize("handler", ["FileHandler", "StreamHandler"])
def test_the_root_logger_of_log_config_gets_every_line_once(mirror, tmp_path, handler):
    args = f"({str(tmp_path / 'own.log')!r},)" if handler == "FileHandler" else "(sys.stderr,)"
    (tmp_path / "log.ini").write_text(
        "[loggers]\nkeys=root\n[handlers]\nkeys=h\n[formatters]\nkeys=f\n[formatter_f]\nformat=own %(message)s\n"
        f"[logger_root]\nlevel=INFO\nhandlers=h\n[handler_h]\nclass={handler}\nformatter=f\nargs={args}\n"
    )
    mirror.write(log_config=tmp_path / "log.ini")
    done = mirror.run("mirror")
    own = (tmp_path / "own.log").read_text() if handler == "FileHandler" else done.stderr
    assert own.count("own 2 projects to look at") == 1
    assert done.stderr.count("2 projects to look at") == 1


@pytest.mark.parametrize("handler", ["FileHandler", "StreamHandler"])
@pytest.mark.parametrize("propagate", [0, 1])
def test_the_logger_bandersnatch_of_log_config_gets_every_line_once(mirror, tmp_path, handler, propagate):
    args = f"({str(tmp_path / 'own.log')!r},)" if handler == "FileHandler" else "(sys.stderr,)"
    (tmp_path / "log.ini").write_text(
        "[loggers]\nkeys=root,b\n[handlers]\nkeys=h\n[formatters]\nkeys=f\n[formatter_f]\nformat=own %(message)s\n"
        "[logger_root]\nlevel=INFO\nhandlers=\n"
        f"[logger_b]\nlevel=INFO\nhandlers=h\nqualname=bandersnatch\npropagate={propagate}\n"
        f"[handler_h]\nclass={handler}\nformatter=f\nargs={args}\n"
    )
    mirror.write(log_config=tmp_path / "log.ini")
    done = mirror.run("mirror")
    own = (tmp_path / "own.log").read_text() if handler == "FileHandler" else done.stderr
    assert own.count("own 2 projects to look at") == 1
    assert done.stderr.count("2 projects to look at") == 1


def test_the_level_of_the_logger_bandersnatch_is_ours(mirror, tmp_path):
    (tmp_path / "log.ini").write_text(
        "[loggers]\nkeys=root,b\n[handlers]\nkeys=\n[formatters]\nkeys=\n[logger_root]\nhandlers=\n"
        "[logger_b]\nlevel=ERROR\nhandlers=\nqualname=bandersnatch\n"
    )
    mirror.write(log_config=tmp_path / "log.ini")
    assert mirror.run("mirror").stderr == ""


def test_closed_standard_streams_do_not_matter(mirror):
    command = f"exec '{BIN / 'frumious'}' -c '{mirror.config}' mirror <&- >&- 2>&-"
    done = subprocess.run(["sh", "-c", command], env={**os.environ, **mirror.env}, timeout=60, check=False)
    assert done.returncode == 0


# ---------------------------------------------------------------- progress


def some_tally() -> Tally:
    tally = Tally()
    for event in (
        events.Planned(80),
        events.FilesPlanned("a", 10, 40_000_000),
        events.BytesReceived(10_000_000),
        events.FileHeld("a", "a-1.0.tar.gz", 10_000_000, downloaded=True),
        *[events.ProjectUnchanged(f"p{number}") for number in range(19)],
        events.ProjectFailed("b", "bad-page", "no"),
    ):
        tally.see(event)
    return tally


def test_live_progress_is_two_lines():
    assert live_lines(Tally(), Pace(0.0), 3.0) == ("asking upstream, 0:03 gone", "0 files, 0 B, 0 B/s")
    assert live_lines(some_tally(), Pace(0.0), 10.0) == (
        "20/80 projects, 0:30 left, 0:10 gone",
        "1 files, 10.0 MB of 40.0 MB known, 1.0 MB/s, 1 failed",
    )


def test_reading_a_tree_is_progress():
    tally = Tally()
    tally.see(events.TreeRead(500, 9000))
    tally.see(events.TreeRead(800, 0))
    assert live_lines(tally, Pace(0.0), 3.0)[0] == "reading the tree: 1,300 projects, 0:03 gone"
    assert progress_line(tally, Pace(0.0), 3.0) == "reading the tree: 1,300 projects, 0:03 gone"
    tally.see(events.Planned(9))
    assert live_lines(tally, Pace(0.0), 3.0)[0].startswith("0/9 projects")


def test_progress_in_a_log_is_one_line():
    assert progress_line(some_tally(), Pace(0.0), 10.0) == (
        "20 of 80 projects, 1 files, 10.0 MB of 40.0 MB known, 1.0 MB/s, 1 failed, 0:30 left, 0:10 gone"
    )


def test_the_rate_is_that_of_the_last_seconds():
    tally, pace = some_tally(), Pace(0.0)
    for second in range(100):
        pace.bytes_per_second(tally, float(second))
    assert pace.bytes_per_second(tally, 100.0) == 0


def test_live_lines_of_the_whole_of_pypi_fit_80_columns():
    tally, pace = Tally(), Pace(0.0)
    tally.planned, tally.done, tally.failed = 999_999, 500_000, 12_345
    tally.files, tally.bytes, tally.bytes_planned = 18_000_000, 30 * 10**12, 33 * 10**12
    first, second = live_lines(tally, pace, 150_000.0)
    assert len(first) + 25 <= 80
    assert len(second) <= 80


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.4, "0:00"), (65, "1:05"), (7265, "2:01:05"), (200_000, "2 d 7 h")]
)
def test_durations(seconds, shown):
    assert clock(seconds) == shown


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (events.ListRead(1, None, changed=True), "INFO: project list: 1 project"),
        (events.ListRead(2000, 7, changed=True), "INFO: project list: 2,000 projects, serial 7"),
        (events.ListRead(2, 7, changed=False), "INFO: project list: not changed since the last run"),
        (events.Planned(1), "INFO: 1 project to look at"),
        (events.ProjectFailed("a", "x", "a: why"), "ERROR: a: why"),
        (events.ProjectMissing("a", held=True), "WARNING: a: upstream no longer has it; our copy is kept"),
        (
            events.ProjectMissing("a", held=False),
            "ERROR: a: upstream has no such project; check its spelling",
        ),
        (events.Notice("so it is", "info"), "INFO: so it is"),
        (events.Notice("so it is"), "WARNING: so it is"),
        (events.ProjectPublished("a", 5, 2), "DEBUG: a: published, serial 5, 2 files"),
        (events.ProjectUnchanged("a"), "DEBUG: a: unchanged"),
        (events.FileHeld("a", "a-1.0.tar.gz", 1, downloaded=False), "DEBUG: a: a-1.0.tar.gz (was in place)"),
        (events.BytesReceived(1), None),
        (events.FilesPlanned("a", 1, 1), None),
    ],
)
def test_events_as_lines(event, line):
    lines = []

    class Kept(logging.Handler):
        def emit(self, record):
            lines.append(f"{record.levelname}: {record.getMessage()}")

    logger, handler = logging.getLogger("frumious"), Kept()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        log_event(event)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
    assert lines == ([] if line is None else [line])
