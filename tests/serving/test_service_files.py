"""contrib/systemd and contrib/cron: accepted by the programs they are for, and true to design.md §10."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

CONTRIB = Path(__file__).resolve().parents[2] / "contrib"
SERVICE = CONTRIB / "systemd" / "frumious-mirror.service"
TIMER = CONTRIB / "systemd" / "frumious-mirror.timer"
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
    units = [tmp_path / SERVICE.name, tmp_path / TIMER.name]
    units[0].write_text(SERVICE.read_text().replace("/usr/local/bin/frumious", str(true)))
    units[1].write_text(TIMER.read_text())

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
