"""The checks that need no test of their own: style, types, layers, what must not be committed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def tool(*command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"


def test_ruff_finds_nothing():
    tool("ruff", "check", "--no-cache", ".")


def test_everything_is_formatted():
    tool("ruff", "format", "--check", "--no-cache", ".")


def test_types_are_strict():
    tool("mypy")


def test_layers_hold():
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_documentation_builds(tmp_path):
    tool("mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site"))


def committed() -> list[Path]:
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout: nothing says what is committed")
    return [ROOT / name for name in done.stdout.splitlines()]


def test_no_registry_host_and_no_machine_path_is_committed():
    """PyPI's address comes from pypi-simple's constant (docs/design.md §8)."""
    from pypi_simple import PYPI_SIMPLE_ENDPOINT

    host = re.match(r"https://([^/]+)/", PYPI_SIMPLE_ENDPOINT)[1]
    files_host = f"files.{'python' + 'hosted'}.org"
    found = []
    for path in committed():
        try:
            text = path.read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError):
            continue
        found += [
            f"{path.relative_to(ROOT)}: {word}" for word in (host, files_host, f"{ROOT}/") if word in text
        ]
    assert found == []


def test_every_public_port_method_says_what_it_promises():
    import ast

    missing = []
    for path in sorted((ROOT / "src/frumious").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if not ast.get_docstring(tree) and path.name != "py.typed":
            missing.append(f"{path.name}: module")
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                if not ast.get_docstring(node):
                    missing.append(f"{path.name}: {node.name}")
                if any(getattr(base, "id", "") == "Protocol" for base in node.bases):
                    missing += [
                        f"{path.name}: {node.name}.{item.name}"
                        for item in node.body
                        if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)
                        and not ast.get_docstring(item)
                    ]
    assert missing == []
