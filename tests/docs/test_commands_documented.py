"""Every command and every option stands in docs/commands.md."""

import argparse
import re
from pathlib import Path

import pytest

from frumious.cli.parser import build_parser

ROOT = Path(__file__).resolve().parent.parent.parent
TEXT = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
PARSER = build_parser("frumious")


def commands() -> dict[str, argparse.ArgumentParser]:
    (subparsers,) = (a for a in PARSER._actions if isinstance(a, argparse._SubParsersAction))
    return subparsers.choices


def section(command: str) -> str:
    match = re.search(rf"^## `frumious {command}\b.*?(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert match, f"docs/commands.md has no section for {command}"
    return match[0]


@pytest.mark.parametrize("command", sorted(commands()))
def test_a_command_is_documented_with_its_options(command):
    common = {option for action in PARSER._actions for option in action.option_strings}
    for action in commands()[command]._actions:
        for option in action.option_strings:
            where = TEXT if option in common else section(command)
            assert f"`{option}" in where, f"{command} {option} is not documented"


def test_no_command_is_documented_that_does_not_exist():
    assert set(re.findall(r"^## `frumious (\w+)", TEXT, re.MULTILINE)) == set(commands())


def test_the_readme_names_every_command():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for command in commands():
        assert f"frumious {command}" in readme or f"bandersnatch.conf {command}" in readme
