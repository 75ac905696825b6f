"""docs/configuration.md says what the code does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from frumious.config import parse_config
from frumious.config.options import KEYS
from frumious.config.reference import reference_markdown, update_reference
from frumious.errors import ConfigError

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
TEXT = PAGE.read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```ini\n(.*?)```", TEXT, re.DOTALL)


def test_the_reference_is_what_the_code_generates():
    assert update_reference(TEXT) == TEXT, "run: python -m frumious.config docs/configuration.md"


def test_an_old_reference_is_replaced_and_the_rest_is_kept(tmp_path):
    page = tmp_path / "page.md"
    begin, *_, end = reference_markdown().split("\n")
    page.write_text(f"before\n{begin}\nold\n{end}\nafter\n")

    subprocess.run([sys.executable, "-m", "frumious.config", page], check=True)

    assert page.read_text() == f"before\n{reference_markdown()}\nafter\n"


def test_a_page_without_the_marks_is_refused():
    with pytest.raises(ValueError, match="must hold the lines"):
        update_reference("nothing")


def test_every_known_key_and_section_is_in_the_reference():
    reference = reference_markdown()

    for section, keys in KEYS.items():
        assert f"`[{section}]`" in reference
        for key in keys or ():
            assert f"`{key}`" in reference


@pytest.mark.parametrize("text", EXAMPLES)
def test_the_examples_load_without_a_warning(text):
    assert parse_config(text, "example.conf").warnings == ()


def test_there_are_examples():
    assert len(EXAMPLES) == 4


def test_the_message_shown_is_the_message_given():
    with pytest.raises(ConfigError) as caught:
        parse_config("\n\n[mirror]\ndirectory = /d\n\n\nworkers = 11\n", "/etc/bandersnatch.conf")

    assert f"```text\n{caught.value}\n```" in TEXT
