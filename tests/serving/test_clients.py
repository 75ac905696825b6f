"""What developers type, at several ages, against the real server (conformance 107-109)."""

import json
import os
import re
import subprocess
import sys

import pytest

from support.clients import old_python, pip_wheel, tool
from support.installers import isolated
from support.serving import serving, write_config

PIPS = ["22.2", "22.3", "23.1", "23.2", "24.0", "25.0"]
"""Before core metadata; the ones that a stray key breaks; the first that read it; some since. The newest is pip here."""
SNARK, BOOJUM = "snark-1.0-py3-none-any.whl", "boojum-1.2+crew.1-py3-none-any.whl"
BOTH = {"snark-1.0.dist-info", "boojum-1.2+crew.1.dist-info"}
_LINE = re.compile(r'"(?P<method>[A-Z]+) (?P<target>\S+)" (?P<status>\d{3}) ')


@pytest.fixture(scope="module")
def server(tree, tmp_path_factory):
    folder = tmp_path_factory.mktemp("clients")
    config = write_config(folder / "f.conf", tree.web.parent, f"access-log = {folder / 'log'}")
    with serving(config) as running:
        running.requests = folder / "log"
        yield running


@pytest.fixture
def asked(server):
    """Return what has been asked since the test began."""
    begin = server.requests.stat().st_size

    def since():
        with server.requests.open() as log:
            log.seek(begin)
            return [
                (found["method"], found["target"], int(found["status"]))
                for found in _LINE.finditer(log.read())
            ]

    return since


@pytest.fixture
def alone(tmp_path):
    return isolated(tmp_path)


def run(*command, env, cwd=None, timeout=120):
    done = subprocess.run(
        [*map(str, command)], env=env, cwd=cwd, capture_output=True, text=True, check=False, timeout=timeout
    )
    assert done.returncode == 0, f"{done.args}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def installed(target):
    return {path.name for path in target.glob("*.dist-info")}


# --- pip ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", PIPS)
def test_pip_installs(server, tmp_path, alone, version):
    pip = pip_wheel(version) / "pip"

    run(
        sys.executable,
        pip,
        "install",
        "--index-url",
        f"{server.url}/simple",
        "--target",
        tmp_path / "t",
        "snark",
        env=alone,
    )

    assert installed(tmp_path / "t") == BOTH


@pytest.mark.parametrize("version", ["3.6", "3.7", "3.8"])
def test_the_pip_that_came_with_an_old_python_finds_the_files(server, tmp_path, alone, version):
    python = old_python(version)

    run(
        python,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--index-url",
        f"{server.url}/simple",
        "-d",
        tmp_path,
        "snark",
        env=alone,
    )

    assert (tmp_path / SNARK).exists()


def test_pip_with_hashes_only_binary_download_and_index(server, tree, tmp_path, alone):
    lines = [
        f"{name} --hash=sha256:{tree.file(file).sha256}\n"
        for name, file in (("snark==1.0", SNARK), ("boojum==1.2+crew.1", BOOJUM))
    ]
    (tmp_path / "requirements.txt").write_text("".join(lines))
    index = ("--index-url", f"{server.url}/simple/")
    pip = (sys.executable, "-m", "pip")

    run(
        *pip,
        "install",
        *index,
        "--require-hashes",
        "-r",
        tmp_path / "requirements.txt",
        "--target",
        tmp_path / "t",
        env=alone,
    )
    run(*pip, "download", *index, "--only-binary", ":all:", "-d", tmp_path / "d", "snark", env=alone)
    versions = run(*pip, "index", "versions", *index, "boojum", env=alone)

    assert installed(tmp_path / "t") == BOTH
    assert {path.name for path in (tmp_path / "d").iterdir()} == {SNARK, BOOJUM}
    assert "Available versions: 1.2+crew.1, 1.0" in versions


def test_a_wrong_hash_is_refused(server, tmp_path, alone):
    (tmp_path / "requirements.txt").write_text(f"snark==1.0 --hash=sha256:{'0' * 64}\n")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "download", "--no-deps", "--index-url", f"{server.url}/simple/", "-r", tmp_path / "requirements.txt", "-d", tmp_path],
        env=alone, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "hash" in done.stderr.lower()


# --- uv ----------------------------------------------------------------------------------------------------------------


def test_uv_resolves_by_core_metadata_alone(server, tree, tmp_path, alone, asked):
    """No wheel is fetched to find out what it needs."""
    (tmp_path / "in.txt").write_text("snark\n")

    out = run(sys.executable, "-m", "uv", "pip", "compile", "-q", "--index-url", f"{server.url}/simple/", tmp_path / "in.txt", env=alone)  # fmt: skip

    assert "boojum==1.2+crew.1" in out
    got = {target.replace("%2B", "+") for _, target, status in asked() if status == 200}
    assert got == {
        "/simple/snark/", "/simple/boojum/", f"{tree.file(SNARK).path}.metadata", f"{tree.file(BOOJUM).path}.metadata",
    }  # fmt: skip


def test_uv_reads_a_wheel_without_metadata_by_ranges(tree, tmp_path, alone):
    """A wheel that is offered without core metadata is read from its end (conformance 108)."""
    web = tmp_path / "mirror/web"
    page = json.loads((tree.web / "simple/boojum/index.v1_json").read_text())
    page["files"] = [file for file in page["files"] if file["filename"] == BOOJUM]
    (file,) = page["files"]
    del file["core-metadata"]
    place = web / tree.file(BOOJUM).path[1:]
    place.parent.mkdir(parents=True)
    place.write_bytes(tree.file(BOOJUM).body)
    (web / "simple/boojum").mkdir(parents=True)
    (web / "simple/boojum/index.v1_json").write_text(json.dumps(page))
    (tmp_path / "in.txt").write_text("boojum\n")
    config = write_config(tmp_path / "f.conf", tmp_path / "mirror", f"access-log = {tmp_path / 'log'}")

    with serving(config) as server:
        run(sys.executable, "-m", "uv", "pip", "compile", "-q", "--index-url", f"{server.url}/simple/", tmp_path / "in.txt", env=alone)  # fmt: skip

    lines = [found for found in _LINE.finditer((tmp_path / "log").read_text()) if ".whl" in found["target"]]
    asked = {(found["method"], int(found["status"])) for found in lines}
    assert ("GET", 206) in asked
    assert ("GET", 200) not in asked, "the whole was not needed"


@pytest.mark.parametrize(("before", "fits"), [("2026-02-01", True), ("2025-12-31", False)])
def test_uv_excludes_what_is_newer(server, tmp_path, alone, before, fits):
    (tmp_path / "in.txt").write_text("snark\n")
    done = subprocess.run(
        [sys.executable, "-m", "uv", "pip", "compile", "-q", "--no-deps", "--exclude-newer", before, "--index-url", f"{server.url}/simple/", tmp_path / "in.txt"],
        env=alone, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode == 0) is fits, done.stderr


def test_uv_locks_and_syncs(server, tmp_path, alone, asked):
    project = tmp_path / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text(
        '[project]\nname = "hunt"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["snark"]\n'
        f'[[tool.uv.index]]\nurl = "{server.url}/simple/"\ndefault = true\n'
    )
    env = {key: value for key, value in alone.items() if key != "UV_NO_CONFIG"}

    run(sys.executable, "-m", "uv", "sync", "-q", "--python", sys.executable, env=env, cwd=project)
    first = (project / "uv.lock").read_bytes()
    run(
        sys.executable,
        "-m",
        "uv",
        "lock",
        "-q",
        "--upgrade",
        "--python",
        sys.executable,
        env=env,
        cwd=project,
    )

    assert (project / "uv.lock").read_bytes() == first
    assert b"sha256:" in first
    assert {status for _, _, status in asked()} <= {200, 304}


# --- poetry, pdm, pipenv -----------------------------------------------------------------------------------------------


def project_of(tmp_path, text):
    project = tmp_path / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text(text)
    return project


def test_poetry_locks_and_installs(server, tmp_path, alone):
    poetry = tool("poetry")
    project = project_of(
        tmp_path,
        '[project]\nname = "hunt"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["snark"]\n'
        f'[tool.poetry]\npackage-mode = false\n[[tool.poetry.source]]\nname = "mirror"\nurl = "{server.url}/simple/"\npriority = "primary"\n',
    )
    env = {
        **alone,
        "POETRY_VIRTUALENVS_IN_PROJECT": "true",
        "POETRY_CACHE_DIR": str(tmp_path / "cache"),
        "POETRY_CONFIG_DIR": str(tmp_path / "config"),
    }

    run(poetry, "lock", "-n", env=env, cwd=project)
    run(poetry, "install", "-n", env=env, cwd=project)

    lock = (project / "poetry.lock").read_text()
    assert f"{SNARK}" in lock
    assert "sha256:" in lock
    assert {path.name for path in project.glob(".venv/lib/*/site-packages/*.dist-info")} >= {
        "snark-1.0.dist-info"
    }


def test_pdm_locks_and_installs(server, tmp_path, alone, asked):
    pdm = tool("pdm")
    project = project_of(
        tmp_path,
        '[project]\nname = "hunt"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["snark"]\n'
        f'[[tool.pdm.source]]\nname = "pypi"\nurl = "{server.url}/simple"\nverify_ssl = false\n[tool.pdm]\ndistribution = false\n',
    )
    env = {
        **alone,
        "PDM_CHECK_UPDATE": "0",
        "PDM_CACHE_DIR": str(tmp_path / "cache"),
        "PDM_IGNORE_SAVED_PYTHON": "1",
    }

    run(pdm, "use", "-q", "-f", sys.executable, env=env, cwd=project)
    done = subprocess.run(
        [pdm, "install", "-q"], env=env, cwd=project, capture_output=True, text=True, check=False
    )
    if re.search(r"\[(Attribute|Type)Error\]", done.stderr + done.stdout) and not asked():
        pytest.skip(
            f"this pdm breaks before it asks for anything, so it is NOT tested: {done.stderr.strip()[-200:]}"
        )
    assert done.returncode == 0, done.stderr

    assert SNARK in (project / "pdm.lock").read_text()
    assert {path.name for path in project.glob(".venv/lib/*/site-packages/*.dist-info")} >= BOTH


def test_pipenv_locks_with_hashes_and_installs(server, tmp_path, alone):
    """It asks for the page without an Accept, and takes the hashes from the links (44)."""
    pipenv = tool("pipenv")
    project = tmp_path / "project"
    project.mkdir()
    env = {
        **alone,
        "PIPENV_PYPI_MIRROR": f"{server.url}/simple",
        "PIPENV_VENV_IN_PROJECT": "1",
        "PIPENV_CACHE_DIR": str(tmp_path / "cache"),
        "PATH": os.environ["PATH"],
    }

    run(pipenv, "--python", sys.executable, "install", "-q", "snark", env=env, cwd=project, timeout=180)

    lock = json.loads((project / "Pipfile.lock").read_text())
    assert set(lock["default"]) == {"snark", "boojum"}
    assert all(entry["hashes"] for entry in lock["default"].values())
    assert {path.name for path in project.glob(".venv/lib/*/site-packages/*.dist-info")} >= BOTH
