"""Sixty cases of bandersnatch, as somebody meets them who changes over: the program, a file, an index, a directory.

Each case is what bandersnatch 8.2 does, or what Frumious deliberately does better (docs/bandersnatch.md lists those).
A test that covers case 21 is called `test_case_21_...`. Where a case fixes the bytes of a page, the same files, links,
digests and order of meaning are asked for. They stand in

    test_bandersnatch_cases.py          1-8     the command line, the configuration
    test_bandersnatch_cases_pages.py    9-20    what a run writes
    test_bandersnatch_cases_faults.py   21-30   when something is wrong: upstream, files, the machine
    test_bandersnatch_cases_state.py    31-38   status, todo, generation; force-check and sync
    test_bandersnatch_cases_filters.py  39-49   filters
    test_bandersnatch_cases_rest.py     50-60   other options, removal, hostile names, a mirror of a mirror
    test_bandersnatch_cases_verify.py   53, 54, 56
    test_bandersnatch_cases_delete.py   57
"""

import json
import re
from pathlib import Path

import pytest

from support import program
from support.bandersnatch import real_bandersnatch
from support.bandersnatch_tree import bandersnatch_tree
from support.drop_in import DropIn, u0
from support.index import serve

COMMANDS = [("mirror",), ("sync", "a")]


@pytest.fixture
def drop_in(tmp_path):
    with serve(u0()) as served:
        yield DropIn(tmp_path, served)


def test_every_case_has_a_test():
    found = set()
    for path in Path(__file__).parent.glob("test_bandersnatch_cases*.py"):
        found |= {
            int(number) for number in re.findall(r"^def test_case_(\d+)_", path.read_text(), re.MULTILINE)
        }
    assert found == set(range(1, 61))


# ------------------------------------------------------------------------------------- the command line


def test_case_01_without_arguments_the_help_is_printed():
    done = program.run(program="bandersnatch")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: bandersnatch ")
    for command, *_ in COMMANDS:
        assert f"\n    {command} " in done.stdout


def test_case_02_version_is_one_line():
    done = program.run("--version", program="bandersnatch")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"bandersnatch \d+\.\d+\.\d+\S*\n", done.stdout)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: words[0])
def test_case_03_a_missing_configuration_is_written_and_nothing_else(tmp_path, command):
    config = tmp_path / "bandersnatch.conf"
    done = program.run("-c", config, *command, program="bandersnatch", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert [program.LINE.match(line)[1] for line in done.stderr.splitlines()] == ["WARNING", "WARNING"]
    assert "review it, then run 'bandersnatch' again" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["bandersnatch.conf"]

    checked = program.run("-c", config, "config", "check")
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: words[0])
def test_case_04_where_it_cannot_be_written_nothing_is(tmp_path, command):
    config = tmp_path / "absent" / "bandersnatch.conf"
    done = program.run("-c", config, *command, program="bandersnatch", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    first, *_ = done.stderr.splitlines()
    assert " ERROR: " in first
    assert str(config) in first
    assert list(tmp_path.iterdir()) == []


def test_case_05_the_configuration_may_be_named_after_the_command_too(drop_in):
    done = program.run("mirror", "-c", drop_in.config, program="bandersnatch", env=drop_in.env)
    assert done.returncode == 0, done.stderr
    assert drop_in.status == "10"


# -------------------------------------------------------------------------------------- the configuration


def test_case_06_a_key_that_nobody_knows_is_ignored_with_one_warning(drop_in):
    drop_in.configure(delete_packages="true", wrokers="5")
    ran = drop_in.mirror()
    warnings = [line for line in ran.log.splitlines() if " WARNING: " in line]
    assert len(warnings) == 2
    assert "delete-packages" in warnings[0]
    assert "wrokers" in warnings[1]
    assert "workers" in warnings[1].replace("wrokers", "")
    assert drop_in.status == "10"


def test_case_06_a_plugin_that_nobody_has_is_an_error(drop_in):
    drop_in.configure(plugins=["alowlist_project"], sections={"allowlist": {"packages": ["a"]}})
    ran = drop_in.mirror(code=2)
    assert "'alowlist_project'" in ran.log
    assert "`allowlist_project`" in ran.log
    assert ran.requests == ()
    assert not drop_in.directory.exists()


def test_case_07_without_a_directory_nothing_begins(tmp_path, drop_in):
    text = drop_in.config.read_text().replace(f"directory = {drop_in.directory}\n", "")
    drop_in.config.write_text(text)
    ran = drop_in.mirror(code=2, cwd=tmp_path)
    first, *_ = ran.log.splitlines()
    assert f"{drop_in.config}" in first
    assert "[mirror] directory" in first
    assert ran.requests == ()
    assert [path.name for path in tmp_path.iterdir()] == [drop_in.config.name]


BAD = {
    "workers": "11",
    "compare_method": "x",
    "digest_name": "x",
    "simple_format": "x",
    "json": "maybe",
    "storage_backend": "s3",
}


@pytest.mark.parametrize("key", BAD)
def test_case_08_a_value_that_cannot_be_used_ends_it_before_any_request(drop_in, key):
    drop_in.configure(**{key: BAD[key]})
    ran = drop_in.mirror(code=2)
    place = key if key == "digest_name" else key.replace("_", "-")
    line = drop_in.config.read_text().splitlines().index(f"{place} = {BAD[key]}") + 1
    assert f"{drop_in.config}:{line}: [mirror] {place}: " in ran.log
    assert f"'{BAD[key]}'" in ran.log
    assert ran.requests == ()
    assert not drop_in.directory.exists()


# ------------------------------------------------------------------------------------- beside the sixty cases


def test_the_example_that_bandersnatch_writes_can_be_used_as_it_is(tmp_path):
    real_bandersnatch().run("-c", tmp_path / "bandersnatch.conf", "mirror")
    done = program.run("-c", tmp_path / "bandersnatch.conf", "config", "check")
    assert done.returncode == 0, done.stderr
    assert f"{tmp_path}/bandersnatch.conf: ok, no warnings" in done.stdout


def test_a_plan_for_a_tree_of_bandersnatch_is_what_the_first_run_does(drop_in):
    drop_in.index.upload("gone", "1.0")
    bandersnatch_tree(drop_in.index).on_disk(drop_in.directory)
    drop_in.index.delete_project("gone")
    new = drop_in.index.upload("A", "2.0")
    before = drop_in.tree()
    plan = json.loads(drop_in.run("plan", "--json").out)
    assert drop_in.tree() == before
    assert not (drop_in.directory / ".frumious").exists()
    assert (plan["fetch_files"], plan["fetch_bytes"]) == (1, len(new.content))
    assert (plan["keep_projects"], plan["remove_projects"]) == (2, 1)

    ran = drop_in.mirror()
    assert (ran.pages, ran.files) == ({"a", "gone"}, [new.filename, f"{new.filename}.metadata"])
    assert drop_in.projects() == ["a", "foo-bar"]


LOG_CONFIG = """\
[loggers]
keys = root, bandersnatch
[handlers]
keys = file
[formatters]
keys = plain
[logger_root]
level = WARNING
handlers =
[logger_bandersnatch]
level = INFO
handlers = file
qualname = bandersnatch
propagate = 0
[handler_file]
class = FileHandler
args = ("{path}",)
formatter = plain
[formatter_plain]
format = %(levelname)s %(message)s
"""


def test_a_log_config_that_names_the_logger_bandersnatch_gets_our_lines(tmp_path, drop_in):
    (tmp_path / "log.ini").write_text(LOG_CONFIG.format(path=tmp_path / "mirror.log"))
    drop_in.configure(log_config=tmp_path / "log.ini")
    ran = drop_in.mirror()
    told = [line.split(" ", 2)[2].replace(": ", " ", 1) for line in ran.log.splitlines()]
    assert told
    assert (tmp_path / "mirror.log").read_text().splitlines() == told
