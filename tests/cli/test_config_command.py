"""`config check` and `config show`, and what settings and options do, as the real program does it."""

import json
import os
import re

import pytest

from frumious.config.options import OPTIONS
from support.index import SimulatedIndex, Status, serve
from support.program import BIN, LINE, Mirror, run


@pytest.fixture
def mirror(tmp_path):
    index = SimulatedIndex()
    index.upload("a", "1.0")
    index.upload("b", "1.0")
    with serve(index) as served:
        yield Mirror(tmp_path, served)


@pytest.fixture
def config(tmp_path):
    """Write a configuration file, without an index for it, and return its path."""

    def write(text: str):
        path = tmp_path / "f.conf"
        path.write_text(f"[mirror]\ndirectory = {tmp_path}/m\nmaster = https://index.example.org\n{text}")
        return path

    return write


# --------------------------------------------------------------------- check


@pytest.mark.parametrize("program", ["frumious", "bandersnatch"])
def test_check_of_a_good_file(config, tmp_path, program):
    path = config("")
    done = run("config", "check", "-c", path, program=program, env={"PATH": str(BIN)})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"{path}: ok, no warnings",
        f"bandersnatch: {BIN}/bandersnatch is Frumious",
    ]
    assert list(tmp_path.iterdir()) == [path]


def test_check_counts_warnings_and_logs_them(config):
    path = config("nonsense = 1\n")
    done = run("-c", path, "config", "check")
    assert done.returncode == 0
    assert done.stdout.startswith(f"{path}: ok, 1 warning\n")
    assert re.fullmatch(LINE.pattern + r".*\[mirror\] nonsense: unknown key, ignored.*\n", done.stderr)
    path = config("nonsense = 1\n[s3]\nx = 1\n")
    assert run("-c", path, "config", "check").stdout.startswith(f"{path}: ok, 2 warnings\n")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("workers = 11\n", "f.conf:4: [mirror] workers: '11' cannot be used"),
        (
            "storage-backend = s3\n",
            "f.conf:4: [mirror] storage-backend: 's3' cannot be used: not supported yet",
        ),
        (
            "[plugins]\nenabled = allowlist_project\n[allowlist]\npackages = not a name!\n",
            "f.conf:7: [allowlist] packages: ",
        ),
        (
            "diff-file = {{mirror_directory}}/status\n",
            "f.conf:4: [mirror] diff-file: {tmp}/m/status is not free for a list",
        ),
        ("diff-file = {{mirror_nothing}}\n", "f.conf:4: [mirror] diff-file: {{mirror_nothing}} names a key"),
    ],
)
@pytest.mark.parametrize("command", [["config", "check"], ["config", "show"], ["mirror"]])
def test_what_a_run_would_refuse_is_refused(config, tmp_path, text, problem, command):
    path = config(text)
    done = run("-c", path, *command)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{tmp_path}/{problem.replace('{tmp}', str(tmp_path))}" in done.stderr
    assert list(tmp_path.iterdir()) == [path], "nothing was touched"


@pytest.mark.parametrize("action", ["check", "show"])
def test_a_missing_file_is_not_written(tmp_path, action):
    done = run("-c", tmp_path / "f.conf", "config", action)
    assert done.returncode == 2
    assert "there is no such configuration file" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("script", "told"),
    [
        (
            "#!/usr/bin/python3\nfrom bandersnatch.main import main\n",
            "is the original bandersnatch, not Frumious",
        ),
        ("#!/usr/bin/python3\nfrom frumious.cli import main\n", "is Frumious"),
        ("#!/bin/sh\n", "is neither Frumious nor the original bandersnatch"),
        (None, "not on PATH"),
    ],
)
def test_check_says_whose_program_bandersnatch_is(config, tmp_path, script, told):
    folder = tmp_path / "bin"
    folder.mkdir()
    if script is not None:
        (folder / "bandersnatch").write_text(script)
        (folder / "bandersnatch").chmod(0o755)
    done = run("-c", config(""), "config", "check", env={"PATH": str(folder)})
    start = "bandersnatch: " if script is None else f"bandersnatch: {folder}/bandersnatch "
    assert done.stdout.splitlines()[1] == f"{start}{told}"


# ---------------------------------------------------------------------- show


def shown(path) -> list[str]:
    done = run("-c", path, "config", "show")
    assert done.returncode == 0, done.stderr
    return done.stdout.replace(str(path), "f.conf").splitlines()


def test_show_has_every_setting_once_with_its_place(config, tmp_path):
    lines = shown(
        config(
            "workers = 5\nmin-free = 5%%\nrun-after = purge 'a b'\n"
            "[plugins]\nenabled =\n    allowlist_project\n"
            "[allowlist]\npackages =\n    six\n    attrs >= 2\n"
        )
    )
    assert {
        f"[mirror] directory = {tmp_path}/m  # f.conf:2",
        f"[mirror] catalog = {tmp_path}/m/.frumious/catalog.sqlite3  # default",
        "[mirror] workers = 5  # f.conf:4",
        "[mirror] streams = 50  # default",
        "[mirror] min-free = 5%  # f.conf:5",
        "[mirror] run-after = purge 'a b'  # f.conf:6",
        "[mirror] json = false  # default",
        "[mirror] simple-format = ALL  # default",
        "[mirror] storage-backend = filesystem  # default",
        "[mirror] max-requests-per-second = 0  # default",
        "[mirror] timeout = 10  # default",
        "[mirror] proxy =   # default",
        "[plugins] enabled = allowlist_project  # f.conf:9",
        "[allowlist] packages = six  # f.conf:12",
        "[allowlist] packages = attrs >= 2  # f.conf:13",
    } <= set(lines)
    for option in OPTIONS:
        if option.section == "mirror":
            assert sum(line.startswith(f"[mirror] {option.key} = ") for line in lines) == 1
    assert len(set(lines)) == len(lines)


def test_show_includes_sections_that_only_plugins_from_elsewhere_know(config):
    assert "[example_rules] answer = 42  # f.conf:5" in shown(config("[example_rules]\nanswer = 42\n"))


def test_show_says_where_an_inherited_value_stands(tmp_path):
    path = tmp_path / "f.conf"
    path.write_text(
        f"[DEFAULT]\ndirectory = {tmp_path}/m\nrecheck-days = 3\n[mirror]\nmaster = https://a.example.org\n"
    )
    assert {f"[mirror] directory = {tmp_path}/m  # f.conf:2", "[mirror] recheck-days = 3  # f.conf:3"} <= set(
        shown(path)
    )


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_show_hides_secrets(config, options):
    path = config(
        "proxy = http://me:hush%%2F@p.example.org:3128\nroot_uri = https://you:hush@f.example.org\n"
        "run-after = curl https://u:hush@x.example.org\n"
        "[s3]\naws_secret_access_key = hush\n[example_rules]\ntoken = hush\nurl =\n    https://u:hush@z.example.org\n"
    )
    done = run("-c", path, "config", "show", *options)
    assert done.returncode == 0
    assert "hush" not in done.stdout
    assert "http://***@p.example.org:3128" in done.stdout


def test_show_for_machines(config):
    path = config(
        "workers = 5\nnonsense = 1\njson = yes\n[plugins]\nenabled =\n    blocklist_project\n[blocklist]\npackages = six\n"
    )
    done = run("config", "show", "--json", "-c", path)
    found = json.loads(done.stdout)
    assert found["file"] == str(path)
    assert len(found["warnings"]) == 1
    assert {"section": "mirror", "key": "workers", "value": 5, "line": 4} in found["settings"]
    assert {"section": "mirror", "key": "json", "value": True, "line": 6} in found["settings"]
    assert {"section": "mirror", "key": "proxy", "value": None, "line": None} in found["settings"]
    assert {"section": "blocklist", "key": "packages", "value": "six", "line": 11} in found["settings"]


def test_config_wants_an_action():
    done = run("config")
    assert done.returncode == 2
    assert "usage:" in done.stderr


# --------------------------------------------- settings and options of a run


def lists(mirror, name="list"):
    found = []
    for path in (mirror.directory.parent / name, mirror.directory.parent / f"{name}.deleted"):
        text = path.read_text()
        assert not text.endswith("\n")
        found.append({line.removeprefix(f"{mirror.directory}/") for line in text.split("\n") if line})
    return tuple(found)


def test_a_run_lists_what_it_wrote_even_if_a_project_failed(mirror):
    mirror.write(diff_file="{{mirror_directory}}/../list", json="true")
    mirror.served.faults.add("page:a", Status(450), times=None)
    assert mirror.run("mirror").returncode == 3
    changed, deleted = lists(mirror)
    written = {
        str(path.relative_to(mirror.directory))
        for path in (mirror.directory / "web").rglob("*")
        if path.is_file()
    }
    assert changed == written
    assert "web/json/b" in changed
    assert deleted == set()
    assert mirror.run("mirror").returncode == 3
    assert not any("packages" in key for key in lists(mirror)[0]), "the list of one run"


def test_a_run_with_nothing_new_has_an_empty_list_but_for_the_time(mirror):
    mirror.write(diff_file="{{mirror_directory}}/../list")
    assert mirror.run("mirror").returncode == 0
    assert mirror.run("mirror").returncode == 0
    assert lists(mirror) == ({"web/last-modified"}, set())


def test_the_epoch_keeps_the_lists_apart(mirror, tmp_path):
    mirror.write(diff_file=f"{tmp_path}/list", diff_append_epoch="true")
    assert mirror.run("mirror").returncode == 0
    names = sorted(path.name for path in tmp_path.glob("list*"))
    assert re.fullmatch(r"list-(\d{10}) list-\1\.deleted", " ".join(names))


def test_a_list_that_cannot_be_written_stops_the_run_before_it_begins(mirror, tmp_path):
    (tmp_path / "list").mkdir()
    (tmp_path / "list/mirrored-files").mkdir()
    mirror.write(diff_file=f"{tmp_path}/list")
    done = mirror.run("mirror")
    assert done.returncode == 1
    assert f"[mirror] diff-file: {tmp_path}/list/mirrored-files is not a file" in done.stderr
    assert mirror.served.requests() == []


def test_a_second_run_leaves_the_list_of_the_first_alone(mirror, tmp_path):
    from frumious.storage.lock import hold_lock

    mirror.write(diff_file=f"{tmp_path}/list")
    assert mirror.run("mirror").returncode == 0
    before = lists(mirror)
    with hold_lock(mirror.directory / ".lock"):
        assert mirror.run("mirror").returncode == 4
    assert lists(mirror) == before


def test_modes_can_be_left_to_the_umask(mirror):
    mirror.write(storage_filesystem_manage_permissions="false")
    done = mirror.run("mirror", preexec_fn=lambda: os.umask(0o027))
    assert done.returncode == 0
    for path in (mirror.directory, *(mirror.directory / "web").rglob("*"), mirror.directory / ".lock"):
        assert path.stat().st_mode & 0o777 == (0o750 if path.is_dir() else 0o640), path


def test_options_of_bandersnatch_are_accepted(mirror):
    assert mirror.run("mirror").returncode == 0
    for args in (["--force-check"], ["--cleanup-todo"], ["--force-check", "--cleanup-todo", "--debug"]):
        assert mirror.run("mirror", *args).returncode == 0
    assert mirror.run("sync", "--skip-simple-root", "a").returncode == 0
    assert run("mirror", "-c", mirror.config, "--force-check", env=mirror.env).returncode == 0


def test_earlier_pages_are_relative_links_and_listed(mirror, tmp_path):
    """Compatibility case 50: as many files of each form as `keep_index_versions` says."""
    config = mirror.config.read_text() + "keep_index_versions = 2\n" + f"diff-file = {tmp_path}/list\n"
    mirror.config.write_text(config)
    for number in range(2, 5):
        assert mirror.run("mirror").returncode == 0
        mirror.index.upload("a", f"{number}.0")
    folder = mirror.directory / "web/simple/a"
    page = folder / "index.html"
    assert page.is_symlink()
    assert not page.readlink().is_absolute()
    assert "a-3.0" in page.read_text()
    for form in ("html", "v1_html", "v1_json"):
        assert len(list(folder.glob(f"versions/*.{form}"))) == 2
    changed, deleted = lists(mirror)
    assert "web/simple/a/index.html" in changed
    assert f"web/simple/a/{page.readlink()}" in changed
    assert {key.rpartition("/")[0] for key in deleted} == {"web/simple/a/versions"}
