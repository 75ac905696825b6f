"""Real pip and real uv install from a tree that nginx serves, and from nothing else (conformance 107, 108, 110)."""

import sys
from pathlib import Path

import pytest

from support.installers import INSTALLERS, imported, isolated, run
from support.nginx import run_nginx

CONTRIB = Path(__file__).resolve().parents[2] / "contrib"
CONFIGS = ["frumious-static.conf", "origin-note.conf"]
INDEX_PATHS = ["/simple", "/simple/"]

NEEDED = ("snark-1.0-py3-none-any.whl", "boojum-1.2+crew.1-py3-none-any.whl")


@pytest.fixture
def alone(tmp_path):
    return isolated(tmp_path)


def assert_installed(target):
    """Both projects are there, with the versions that the mirror holds, and import."""
    assert {path.name for path in target.glob("*.dist-info")} == {
        "snark-1.0.dist-info",
        "boojum-1.2+crew.1.dist-info",
    }
    assert imported(target, "snark", "boojum") == ["1.0", "1.2+crew.1"]


@pytest.mark.parametrize("installer", sorted(INSTALLERS))
@pytest.mark.parametrize("index_path", INDEX_PATHS)
@pytest.mark.parametrize("config", CONFIGS)
def test_a_project_and_its_dependency_install_from_us_alone(
    tree, tmp_path, alone, config, index_path, installer
):
    with run_nginx(config, tree.web, tmp_path / "nginx") as nginx:
        INSTALLERS[installer](tmp_path / "target", nginx.url + index_path, alone)

    assert_installed(tmp_path / "target")
    asked = [request for request in nginx.requests() if request.agent.startswith(f"{installer}/")]
    got = {request.target.replace("%2B", "+") for request in asked if request.status == 200}
    wheels = {tree.file(filename).path for filename in NEEDED}
    assert {"/simple/snark/", "/simple/boojum/"} <= got, "one hop to each page"
    assert wheels <= got, "the bytes came from here"
    assert {f"{wheel}.metadata" for wheel in wheels} <= got, "dependencies were read from core metadata"
    assert got == {"/simple/snark/", "/simple/boojum/"} | wheels | {f"{wheel}.metadata" for wheel in wheels}
    assert {request.status for request in asked} == {200}


def test_pip_downloads_with_required_hashes(tree, tmp_path, alone, nginx):
    wheels = [tree.file(filename) for filename in NEEDED]
    lines = [f"{name}=={version} --hash=sha256:{wheel.sha256}" for wheel, (name, version) in
             zip(wheels, [("snark", "1.0"), ("boojum", "1.2+crew.1")], strict=True)]  # fmt: skip
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("\n".join(lines))

    run(
        "pip", "download", "--require-hashes", "-r", requirements, "--dest", tmp_path / "got",
        env=alone | {"PIP_INDEX_URL": f"{nginx.url}/simple"},
    )  # fmt: skip

    assert {path.name: path.read_bytes() for path in (tmp_path / "got").iterdir()} == {
        wheel.filename: wheel.body for wheel in wheels
    }


def test_pip_sees_the_versions_and_leaves_out_what_is_yanked(alone, nginx):
    shown = run(
        "pip", "index", "versions", "jubjub-bird", env=alone | {"PIP_INDEX_URL": f"{nginx.url}/simple/"}
    )

    assert "Available versions: 1.0\n" in shown


def test_the_example_for_pip_works_as_shipped(tmp_path, alone, nginx):
    """Only the host is replaced, as its reader does."""
    text = (CONTRIB / "pip" / "pip.conf").read_text()
    assert text.count("index-url = http://pypi.example.org/simple\n") == 1
    config = tmp_path / "pip.conf"
    config.write_text(text.replace("pypi.example.org", f"127.0.0.1:{nginx.port}"))

    run(
        "pip",
        "install",
        "--target",
        tmp_path / "target",
        "snark",
        env=alone | {"PIP_CONFIG_FILE": str(config)},
    )

    assert_installed(tmp_path / "target")


def test_the_example_for_uv_works_as_shipped(tmp_path, alone, nginx):
    pytest.importorskip("uv", reason="uv is not installed, so its example is NOT tested (pip install uv)")
    config = tmp_path / "uv.toml"
    text = (CONTRIB / "pip" / "uv.toml").read_text()
    config.write_text(text.replace("pypi.example.org", f"127.0.0.1:{nginx.port}"))
    env = {name: value for name, value in alone.items() if name != "UV_NO_CONFIG"}

    run(
        "uv", "pip", "install", "--config-file", config, "--python", sys.executable,
        "--target", tmp_path / "target", "snark", env=env,
    )  # fmt: skip

    assert_installed(tmp_path / "target")
