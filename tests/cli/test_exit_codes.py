"""Our exit codes, and bandersnatch's for who asks for them: one table, with the real program."""

import re
import signal
from pathlib import Path

import pytest

from frumious.cli.exit_codes import bandersnatch_code, wants_bandersnatch_codes
from frumious.sync.summary import ExitCode
from support.index import Hang, SimulatedIndex, Status, serve
from support.program import Mirror, run, wait_for

PAGE = (Path(__file__).parents[2] / "docs/commands.md").read_text()


@pytest.fixture
def mirror(tmp_path):
    index = SimulatedIndex()
    index.upload("a", "1.0")
    index.upload("b", "1.0")
    with serve(index) as served:
        yield Mirror(tmp_path, served)


@pytest.mark.parametrize(
    ("code", "facts", "theirs"),
    [
        (0, {}, 0),
        (1, {}, 1),
        (2, {}, 1),
        (2, {"usage": True}, 2),
        (3, {}, 0),
        (3, {"stopped": True}, 1),
        (4, {}, 1),
        (5, {}, 1),
        (6, {}, 0),
        (130, {}, 130),
        (143, {}, 143),
    ],
)
def test_what_bandersnatch_would_have_ended_with(code, facts, theirs):
    assert bandersnatch_code(code, **facts) == theirs


def test_every_code_is_in_the_table():
    for code in ExitCode:
        assert re.search(rf"^\| {code.value} \| ", PAGE, re.MULTILINE)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (b"[mirror]\nworkers = 99\nexit-codes = bandersnatch\n", True),
        (b"exit-codes=bandersnatch\r\n[nonsense\n\xff", True),
        (b"[mirror]\n# exit-codes = bandersnatch\n;exit-codes = bandersnatch\n", False),
        (b"exit-codes = bandersnatchx\n", False),
        (b"", False),
    ],
)
def test_a_file_that_cannot_be_read_may_still_say_whose_codes(tmp_path, text, wanted):
    (tmp_path / "f.conf").write_bytes(text)
    assert wants_bandersnatch_codes(tmp_path / "f.conf") is wanted
    assert not wants_bandersnatch_codes(tmp_path / "none.conf")


# --------------------------------------------------------- the real program


BOTH = pytest.mark.parametrize("codes", ["frumious", "bandersnatch"])


def pick(codes: str, ours: int, theirs: int) -> int:
    return theirs if codes == "bandersnatch" else ours


@BOTH
def test_a_whole_run(mirror, codes):
    mirror.write(exit_codes=codes)
    assert mirror.run("mirror").returncode == 0
    assert mirror.run("sync", "a").returncode == 0


@BOTH
def test_a_run_that_leaves_projects_owed(mirror, codes):
    mirror.write(exit_codes=codes)
    mirror.served.faults.add("page:a", Status(450), times=None)
    assert mirror.run("mirror").returncode == pick(codes, 3, 0)
    assert mirror.run("sync", "a", "nosuch").returncode == pick(codes, 3, 0)
    assert (mirror.directory / "todo").exists()


@BOTH
def test_a_run_that_stops_at_the_first_error(mirror, codes):
    mirror.write(exit_codes=codes, stop_on_error="true")
    mirror.served.faults.add("page:*", Status(450), times=None)
    assert mirror.run("mirror").returncode == pick(codes, 3, 1)


@BOTH
def test_wrong_usage(mirror, codes):
    mirror.write(exit_codes=codes)
    assert mirror.run("mirror", "--nonsense").returncode == 2
    assert mirror.run("sync", "../etc").returncode == 2


@BOTH
def test_a_wrong_setting(mirror, codes):
    mirror.write(exit_codes=codes, workers=11)
    assert mirror.run("mirror").returncode == pick(codes, 2, 1)
    assert mirror.run("config", "check").returncode == 2, "bandersnatch has no such command"


@BOTH
def test_an_upstream_that_is_not_there(mirror, codes):
    mirror.write(exit_codes=codes, master="https://127.0.0.1:9")
    assert mirror.run("mirror").returncode == 1


@BOTH
def test_a_missing_file(mirror, tmp_path, codes):
    assert run("-c", tmp_path / "none.conf", "mirror").returncode == 1


@BOTH
def test_another_run_at_work_and_a_signal(mirror, codes):
    mirror.write(exit_codes=codes, timeout=30)
    mirror.served.faults.add("page:a", Hang())
    first = mirror.start("mirror")
    try:
        wait_for(lambda: mirror.served.requests("page:a"))
        assert mirror.run("mirror").returncode == pick(codes, 4, 1)
        first.send_signal(signal.SIGTERM)
        first.communicate(timeout=20)
    finally:
        first.kill()
    assert first.returncode == 143


def test_the_summary_has_our_codes_always(mirror, tmp_path):
    import json

    mirror.write(exit_codes="bandersnatch", summary_file=tmp_path / "s.json")
    mirror.served.faults.add("page:a", Status(450), times=None)
    assert mirror.run("mirror").returncode == 0
    assert json.loads((tmp_path / "s.json").read_text())["exit_code"] == 3
