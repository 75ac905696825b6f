"""The operator's note that this program was born from, step by step as it is typed there.

Two warnings and a default file; directory, master, workers and timeout; the tree that appears; nginx with four lines;
pip.conf without a final slash; a cron line that starts a run every minute of every fourth hour.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.index import Hang, SimulatedIndex, Status, serve
from support.installers import isolated, needs_pip
from support.installers import run as run_module
from support.nginx import run_nginx
from support.program import LINE, Mirror, run, wait_for

CRON = Path(__file__).resolve().parents[2] / "contrib" / "cron" / "frumious"


@pytest.fixture
def index():
    made = SimulatedIndex()
    made.upload("1020-nester", "1.0", requires_dist=["0805nexter"])
    made.upload("0805nexter", "1.1.0")
    made.upload("0805nexter", "1.1.0", "0805nexter-1.1.0.zip")
    return made


@pytest.fixture
def mirror(index, tmp_path):
    """The default file, edited as the note's reader does: where to, and where from."""
    with serve(index) as served:
        made = Mirror(tmp_path, served)
        made.config.unlink()
        assert run("mirror", "-c", made.config, program="bandersnatch").returncode == 1
        edit(made.config, directory=made.directory, master=served.url)
        yield made


def edit(config, **values):
    """Change settings that the default file has set, in their lines."""
    text = config.read_text()
    for key, value in values.items():
        text, count = re.subn(rf"(?m)^{key} = .*$", f"{key} = {value}", text)
        assert count == 1, f"the default file has no line for {key}"
    config.write_text(text)


# ------------------------------------------------------- the first two lines


@pytest.mark.parametrize("program", ["bandersnatch", "frumious"])
def test_the_first_run_warns_in_two_lines_and_stops(tmp_path, program):
    config = tmp_path / "bandersnatch.conf"
    done = run("-c", config, "mirror", program=program)

    assert done.returncode == 1
    assert done.stdout == ""
    first, second = done.stderr.splitlines()
    for line in (first, second):
        assert LINE.match(line)[1] == "WARNING"
    assert re.search(rf"{re.escape(str(config))} was missing: a default one has been created$", first)
    assert re.search(rf"review it, then run '{program}' again$", second)
    assert list(tmp_path.iterdir()) == [config]


def test_the_default_file_has_what_the_note_explains(tmp_path):
    """`directory`, `master` by https, `timeout` 10, `workers` 3."""
    config = tmp_path / "bandersnatch.conf"
    run("-c", config, "mirror")

    lines = config.read_text().splitlines()
    assert {"timeout = 10", "workers = 3"} <= set(lines)
    assert [line for line in lines if line.startswith("directory = /")]
    assert [line for line in lines if line.startswith("master = https://")]
    assert [line for line in lines if line.lstrip(";").startswith("download-mirror")]


@pytest.mark.parametrize("workers", range(3, 11))
def test_as_many_workers_as_the_note_allows(mirror, workers):
    edit(mirror.config, workers=workers)
    done = mirror.run("mirror")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("workers", [0, 11, 50])
def test_more_workers_than_ten_are_refused_before_anything_is_asked(mirror, workers):
    edit(mirror.config, workers=workers)
    done = mirror.run("mirror")
    assert done.returncode == 2
    assert "[mirror] workers" in done.stderr
    assert mirror.served.requests() == []
    assert not mirror.directory.exists()


def test_the_master_must_be_https(mirror):
    edit(mirror.config, master="http://index.example.org")
    done = mirror.run("mirror")
    assert done.returncode == 2
    assert "[mirror] master" in done.stderr
    assert "https" in done.stderr


# ---------------------------------------------------------------- the tree


def test_what_appears_under_the_directory(mirror, index):
    """The note's own listing; the directory is made."""
    assert not mirror.directory.exists()
    done = mirror.run("mirror")
    assert done.returncode == 0, done.stderr

    assert {path.name for path in mirror.directory.iterdir()} == {
        ".frumious", ".lock", "generation", "status", "web",
    }  # fmt: skip
    assert (mirror.directory / "generation").read_text() == "5"
    assert (mirror.directory / "status").read_text() == str(index.serial)
    web = mirror.directory / "web"
    assert {path.name for path in web.iterdir()} == {
        "last-modified", "local-stats", "packages", "simple", "local.json", "local.db.serial",
    }  # fmt: skip
    assert (web / "local-stats/days").is_dir()
    assert (web / "simple/1020-nester/index.html").is_file()
    for project in ("1020-nester", "0805nexter"):
        for file in index.project(project).offered_files():
            assert (web / file.path.lstrip("/")).read_bytes() == file.content
    assert re.fullmatch(
        r"/packages/[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{60}/0805nexter-1\.1\.0\.zip",
        index.file("0805nexter-1.1.0.zip").path,
    )


def test_todo_is_there_while_something_is_owed(mirror, index):
    """In bandersnatch's form: the serial, then a name and its serial on each line."""
    mirror.served.faults.add("file:0805nexter-1.1.0.zip", Status(404), times=None)
    assert mirror.run("mirror").returncode == 3

    todo = (mirror.directory / "todo").read_text().splitlines()
    assert todo == [str(index.serial), f"0805nexter {index.project('0805nexter').serial}"]
    assert (mirror.directory / "status").read_text() == str(index.serial)
    assert not (mirror.directory / "web/last-modified").exists()
    assert not (mirror.directory / "web/simple/0805nexter").exists()

    mirror.served.faults.clear()
    assert mirror.run("mirror").returncode == 0
    assert not (mirror.directory / "todo").exists()
    assert (mirror.directory / "web/last-modified").exists()


# ------------------------------------------------------- nginx and pip.conf


def test_pip_installs_through_the_notes_nginx_and_its_pip_conf(mirror, index, tmp_path):
    """Both as typed, but for port and path: four lines of nginx, an `index-url` without a final slash, `trusted-host`."""
    needs_pip()
    assert mirror.run("mirror").returncode == 0
    target = tmp_path / "target"
    with run_nginx("origin-note.conf", mirror.directory / "web", tmp_path / "nginx") as nginx:
        config = tmp_path / "pip.conf"
        config.write_text(
            f"[global]\nindex-url = http://127.0.0.1:{nginx.port}/simple\ntrusted-host = 127.0.0.1\n"
        )
        env = {**isolated(tmp_path), "PIP_CONFIG_FILE": str(config)}
        run_module("pip", "install", "--target", target, "1020-nester", env=env)
        listing = nginx.ask("/simple/1020-nester/")
        folder = nginx.ask("/packages/")

    assert {path.name for path in target.glob("*.dist-info")} == {
        "1020_nester-1.0.dist-info",
        "0805nexter-1.1.0.dist-info",
    }
    assert listing["Content-Type"] == "text/html; charset=utf-8"
    assert b"1020_nester-1.0-py3-none-any.whl" in listing.body
    assert b"Index of /packages/" in folder.body, "autoindex"
    wheels = {
        index.file(name).path
        for name in ("1020_nester-1.0-py3-none-any.whl", "0805nexter-1.1.0-py3-none-any.whl")
    }
    asked = {request.target for request in nginx.requests() if request.agent.startswith("pip/")}
    assert asked == {
        "/simple/1020-nester/",
        "/simple/0805nexter/",
        *wheels,
        *(f"{w}.metadata" for w in wheels),
    }


# ------------------------------------------------------------------- cron


def test_the_crontab_we_ship_says_what_the_notes_line_does():
    text = CRON.read_text()
    assert "`* */4 * * *`" in text
    assert re.search(r"(?m)^0 \*/4 \* \* \*  \S", text)
    assert len(re.findall(r"(?m)^[^#\n]* \* \* ", text)) == 1


def test_a_run_a_minute_does_no_harm(mirror, index):
    """`* */4 * * *`: while a run is at work, each next one ends at once with one line and code 4; those that follow the
    whole one ask for the list with `If-None-Match` and for nothing else."""
    edit(mirror.config, timeout=60)
    mirror.served.faults.add("page:1020-nester", Hang())
    first = mirror.start("mirror")
    try:
        # It hangs at one page, and the other project with its three files is done.
        wait_for(
            lambda: mirror.served.requests("page:1020-nester") and len(mirror.served.requests("file:*")) == 3
        )
        asked = len(mirror.served.requests())
        for _ in range(2):
            second = mirror.run("mirror")
            assert second.returncode == 4
            (line,) = second.stderr.splitlines()
            assert LINE.match(line)
            assert f"{first.pid}" in line
        assert len(mirror.served.requests()) == asked, "it does not even ask"
    finally:
        first.kill()
        first.communicate()

    assert mirror.run("mirror").returncode == 0
    before = tree(mirror.directory)
    for _ in range(3):
        asked = len(mirror.served.requests())
        done = mirror.run("mirror")
        assert done.returncode == 0
        (request,) = mirror.served.requests()[asked:]
        assert (request.target, request.method, request.status) == ("list", "GET", 304)
        assert request.etag is not None
    assert tree(mirror.directory) == before


def tree(directory):
    """Return what is published, by its bytes and times; but for when the last run was."""
    return {
        path.relative_to(directory).as_posix(): (path.stat().st_mtime_ns, path.read_bytes())
        for path in (directory / "web").rglob("*")
        if path.is_file() and path.name != "last-modified"
    }
