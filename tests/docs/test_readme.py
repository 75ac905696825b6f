"""The READMEs, and what every page for people owes its reader: links that lead somewhere, examples that work."""

from __future__ import annotations

import argparse
import configparser
import re
import shlex
from pathlib import Path

import pytest

from frumious import __version__
from frumious.cli.parser import build_parser
from frumious.config import parse_config
from frumious.config.options import KEYS
from frumious.config.plugins import readers
from frumious.sync.summary import ExitCode

ROOT = Path(__file__).parents[2]
READMES = ("README.md", "README.zh-CN.md")
DOCS = tuple(str(page.relative_to(ROOT)) for page in sorted((ROOT / "docs").rglob("*.md")))
PAGES = (*READMES, "CONTRIBUTING.md", "CHANGELOG.md", *DOCS)

FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
PROGRAMS = ("frumious", "bandersnatch")


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str) -> list[tuple[str, str]]:
    """Return language and content of every fenced block."""
    return FENCE.findall(text_of(page))


def prose(page: str) -> str:
    return FENCE.sub("", text_of(page))


def headings(page: str) -> list[tuple[int, str]]:
    return [(len(marks), title) for marks, title in HEADING.findall(prose(page))]


def anchors(page: Path) -> set[str]:
    """Return what a `#` in a link can name: a heading in lower case, blanks as hyphens, without punctuation."""
    titles = (title for _, title in headings(str(page.relative_to(ROOT))))
    return {re.sub(r"[^\w -]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def commands() -> dict[str, argparse.ArgumentParser]:
    (subparsers,) = (
        a for a in build_parser("frumious")._actions if isinstance(a, argparse._SubParsersAction)
    )
    return subparsers.choices


# ------------------------------------------------------------------- links


def local_links() -> list[tuple[str, str]]:
    return [
        (page, target)
        for page in PAGES
        for target in LINK.findall(prose(page))
        if not re.match(r"[a-z]+:", target)
    ]


@pytest.mark.parametrize(("page", "target"), local_links())
def test_a_link_leads_somewhere(page, target):
    path, _, anchor = target.partition("#")
    there = (ROOT / page).parent / path if path else ROOT / page

    assert there.exists()
    assert there.resolve().is_relative_to(ROOT)
    if anchor:
        assert anchor in anchors(there.resolve())


def test_there_are_links():
    assert {page for page, _ in local_links()} >= set(READMES)


# ---------------------------------------------------------------- examples


def ini_blocks() -> list[tuple[str, str]]:
    return [(page, body) for page in PAGES for language, body in blocks(page) if language == "ini"]


def is_ours(body: str) -> bool:
    """Tell our configuration from pip.conf and systemd units: the first section is one that we know."""
    first = re.search(r"^\[([^]]+)\]", body, re.MULTILINE)
    return first is not None and first[1] in KEYS


def completed(body: str) -> str:
    """Return a block with the one key added that a file must have, and the plugins that its sections are for."""
    if "[plugins]" not in body:
        plugins = [
            name for section in re.findall(r"^\[([^]]+)\]", body, re.MULTILINE) for name in readers(section)
        ]
        body += "\n[plugins]\nenabled =\n" + "".join(f"    {name}\n" for name in plugins) if plugins else ""
    if re.search(r"^directory *=", body, re.MULTILINE):
        return body
    if "[mirror]\n" in body:
        return body.replace("[mirror]\n", "[mirror]\ndirectory = /srv/pypi\n", 1)
    return f"[mirror]\ndirectory = /srv/pypi\n\n{body}"


@pytest.mark.parametrize(("page", "body"), [(p, b) for p, b in ini_blocks() if is_ours(b)])
def test_a_configuration_shown_loads_without_a_warning(page, body):
    assert parse_config(completed(body), page).warnings == ()


@pytest.mark.parametrize(("page", "body"), [(p, b) for p, b in ini_blocks() if not is_ours(b)])
def test_any_other_file_shown_is_well_formed(page, body):
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.read_string(body, page)

    assert parser.sections()


@pytest.mark.parametrize("page", READMES)
def test_both_readmes_show_a_configuration(page):
    assert sum(is_ours(body) for shown, body in ini_blocks() if shown == page) == 2


def typed(page: str) -> list[list[str]]:
    """Return every call of our program in a console block or in backquotes, as words without the program's path."""
    shown = [
        line.removeprefix("$ ")
        for language, body in blocks(page)
        if language == "console"
        for line in body.splitlines()
        if line.startswith("$ ")
    ]
    shown += re.findall(r"`([^`\n]+)`", prose(page))
    calls = [line.split() for line in shown if line.startswith(tuple(f"{name} " for name in PROGRAMS))]
    return [shlex.split(" ".join(words).replace("NAME...", "NAME")) for words in calls]


@pytest.mark.parametrize("page", READMES)
def test_what_is_typed_exists(page):
    calls = typed(page)
    assert len(calls) >= 10

    for program, *arguments in calls:
        try:
            build_parser(program).parse_args(arguments)
        except SystemExit as ended:  # --help and --version
            assert ended.code == 0, f"{program} {shlex.join(arguments)}"  # noqa: PT017 - argparse's way to return


@pytest.mark.parametrize("page", READMES)
def test_help_is_shown_for_the_program_and_every_command(page):
    asked = [arguments[:-1] for _, *arguments in typed(page) if arguments[-1:] == ["--help"]]

    assert sorted(asked) == [[], *([command] for command in sorted(commands()))]


@pytest.mark.parametrize("page", READMES)
def test_the_version_shown_is_ours(page):
    assert f"$ frumious --version\nfrumious {__version__}\n" in text_of(page)


# ------------------------------------------------------- what a README owes


@pytest.mark.parametrize("page", READMES)
def test_every_command_is_named(page):
    for command in commands():
        assert f"`frumious {command}" in prose(page)


@pytest.mark.parametrize("page", READMES)
def test_the_two_commands_are_named_and_exist(page):
    makefile = text_of("Makefile")
    for target in ("demo", "test"):
        assert f"make {target}" in text_of(page)
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
        assert f"sh scripts/{target}\n" in text_of(page)
        assert (ROOT / "scripts" / target).is_file()


@pytest.mark.parametrize("page", READMES)
def test_every_exit_code_of_the_program_is_in_the_table(page):
    for code in ExitCode:
        assert re.search(rf"^\| {code.value} \| ", prose(page), re.MULTILINE)


@pytest.mark.parametrize("page", READMES)
def test_no_index_is_spelled_out(page):
    hosts = re.findall(r"https?://([^/\s`|)]+)", text_of(page))

    assert {
        host for host in hosts if not re.fullmatch(r"(.+\.)?example\.(org|com)|…|127\.0\.0\.1:8080", host)
    } == set()


def test_both_readmes_have_the_same_sections():
    english, chinese = map(headings, READMES)

    assert [level for level, _ in english] == [level for level, _ in chinese]


def test_both_readmes_show_the_same_code():
    english, chinese = map(blocks, READMES)

    assert english == chinese


def test_both_readmes_link_to_the_same_places():
    english, chinese = (LINK.findall(prose(page)) for page in READMES)

    assert [t for t in english if t not in READMES] == [t for t in chinese if t not in READMES]


def test_both_readmes_have_tables_and_lists_of_the_same_length():
    for mark in (r"^\|", r"^\* "):
        english, chinese = (len(re.findall(mark, prose(page), re.MULTILINE)) for page in READMES)

        assert english == chinese
