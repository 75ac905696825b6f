"""No input takes a reader longer than it is long: what is eight times as long may take eight times the work, not 64.

How much work something was is told by the processor time of this thread alone, as a ratio of the same work on less
input, with room for a factor of three; nothing here depends on how fast the machine is. Work that would go on for ever
is cut off.
"""

from __future__ import annotations

import ast
import gc
import importlib
import pkgutil
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pytest

import frumious
from frumious.cli.inspect import read_question
from frumious.config import parse_config
from frumious.config.ini import without_secrets
from frumious.errors import BadPage, ConfigError, UsageError
from frumious.filters import metadata, names, values, wheels
from frumious.filters.offer import parsed
from frumious.filters.requirements_files import BadRequirements, read_requirements
from frumious.filters.sections import BadSetting, sections
from frumious.model import layout
from frumious.model.layout import PageKind
from frumious.model.names import InvalidName, normalize
from frumious.pages import legacy_json, simple_html, simple_json, stored
from frumious.pages.reading import Unusable, resolve
from frumious.search.documents import parse_core_metadata
from frumious.server.releases import read_metadata

SHORT, LONG = 12_500, 100_000
ALLOWED = 3 * LONG / SHORT
NOTHING = 0.03
"""Seconds of work that say nothing about how it grows."""
FOR_EVER = 20.0

Read = Callable[[str], object]
REFUSALS = (BadPage, ConfigError, BadSetting, BadRequirements, UsageError, InvalidName, Unusable)


class TookForEver(Exception):
    pass


@contextmanager
def cut_off(seconds: float = FOR_EVER) -> Iterator[None]:
    """Raise TookForEver when a block has used the processor for too long."""

    def stop(*_):
        raise TookForEver

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def work(read: Read, text: str) -> float:
    gc.disable()  # what it costs goes by all that other tests have left in this process
    try:
        started = time.thread_time()
        with suppress(REFUSALS):
            read(text)
        return time.thread_time() - started
    finally:
        gc.enable()


def grows_with_its_input(read: Read, text_of: Callable[[int], str]) -> bool:
    """Say whether reading a text of some length takes work in proportion; measured again where it seems not so."""
    with cut_off():
        short, long = work(read, text_of(SHORT)), work(read, text_of(LONG))
        for _ in range(4):
            if long < NOTHING or long < ALLOWED * short:
                return True
            short, long = max(short, work(read, text_of(SHORT))), min(long, work(read, text_of(LONG)))
    return False


def test_what_grows_faster_than_its_input_is_seen():
    starts, anywhere = re.compile(r"a*b").match, re.compile(r"a*b").search

    assert grows_with_its_input(starts, lambda size: "a" * size)
    assert not grows_with_its_input(anywhere, lambda size: "a" * (size // 10))
    with pytest.raises(TookForEver), cut_off(0.1):
        anywhere("a" * LONG)


# Readers, with inputs made to harm: a beginning, something over and over, an end.

SIX = normalize("six")
URL = "https://index.example.org/simple/six/"
OPENING = (
    "<!DOCTYPE html>\n<html>\n  <head>\n    <title>Links for six</title>\n  </head>\n  <body>\n"
    "    <h1>Links for six</h1>\n"
)


@dataclass(frozen=True)
class Harm:
    begin: str
    again: str
    end: str = ""

    def __call__(self, size: int) -> str:
        return self.begin + self.again * (size // len(self.again)) + self.end


def read_html(text: str) -> None:
    body = text.encode()
    for read in (
        lambda: simple_html.parse_project_detail(body, url=URL, name=SIX),
        lambda: simple_html.parse_project_list(body, URL),
        lambda: stored.read_page(body, PageKind.HTML, SIX),
    ):
        try:
            read()
        except BadPage:
            continue


HTML = [
    *(Harm("<a>", again) for again in ("<", "<!--", "<!--x>", "<!", "<!x>", "<?", "<![", "<![CDATA[", "<![if x>", "&#", "&")),
    *(Harm("<a>", again) for again in ("<a ", '<a x=">"', "<a x='", "<a x=", "<a x =\"'", "</", "</a", "</a <", "</x>", "<a/", "<a>x")),
    *(Harm("<html>", again) for again in ("<b>", "<a>", "<div>", "</div>", "<script>", "<script></", "<title>", "<meta ", "<base ")),
    *(Harm("<html>", again) for again in ("<base href=x>", "<meta name='pypi:a' content=b>", "<!-- SERIAL", "<!-- SERIAL 1")),
    *(Harm("<a ", again, ">") for again in ("x ", "=", '"', "x=1 ", "/", "x/", " ")),
    *(Harm("<a href='", again, "x'>x</a>") for again in ("../", "&#x", "&am", "%", ";", "#", "?", "//", "1:", "@", "=")),
    *(Harm(f"<html><!--{text}", again) for text in ("", "SERIAL", "SERIAL 1") for again in (" ", "1")),
    Harm("<a href='http://[", "1:", "]'>x</a>"),
    Harm("<a href='x#", "&sha256=1", "'>x</a>"),
    Harm("<a href=x data-core-metadata='", "a", "='>x</a>"),
    *(Harm(OPENING, again) for again in (" ", "\n", '    <a href="x">', '<a href="x">x</a><br />\n', "</body>")),
    Harm(OPENING + "<a", ' x="y"', ">"),
    Harm(OPENING + "</body></html>", " "),
    *(Harm("<html><head>", again) for again in ("\n", " <meta >", "<meta x>\n", "<title>Links for ")),
]  # fmt: skip


@pytest.mark.parametrize("text_of", HTML, ids=repr)
def test_html_made_to_harm(text_of):
    """Python's parser, used the usual way, reads the rest of a page again for every tag without an end."""
    assert grows_with_its_input(read_html, text_of)


def read_json(text: str) -> None:
    body = text.encode()
    for read in (
        lambda: simple_json.parse_project_detail(body, url=URL, name=SIX),
        lambda: simple_json.parse_project_list(body, URL),
        lambda: legacy_json.parse_release_facts(body, URL),
        lambda: legacy_json.published(body, {"a": "b"}),
    ):
        try:
            read()
        except BadPage:
            continue


JSON = [
    *(Harm("", again) for again in ("[", '{"a":', '{"files":[', "1", '"', "\\", " ", "-")),
    *(Harm('{"files":[', again, '{"filename":"a","url":"x"}]}') for again in ("1,", '{"filename":"a","url":"http://a/a"},')),
    *(Harm('{"name":"six","versions":[', again, '"1"]}') for again in ('"1",', "[],")),
    *(Harm('{"files":[{"filename":"a","url":"', again, '"}]}') for again in ("../", "https://a/;", "#", "a.", "%", "\\ud800")),
    Harm('{"files":[{"filename":"', "a", '","url":"x"}]}'),
    Harm('{"x":"\\ud800","files":[', '{"filename":"a","url":"http://a/a"},', "1]}"),
    Harm('{"meta":{"api-version":"', "1", '"},"files":[]}'),
    Harm('{"meta":{"_last-serial":', "1", '},"files":[]}'),
    Harm('{"projects":[', '{"name":"a"},', "1]}"),
    Harm('{"releases":{"1":[', '{"filename":"a"},', "1]}}"),
    Harm('{"urls":[{"filename":"', "a", '"}]}'),
]  # fmt: skip


@pytest.mark.parametrize("text_of", JSON, ids=repr)
def test_json_made_to_harm(text_of):
    assert grows_with_its_input(read_json, text_of)


def read_configuration(text: str) -> None:
    parse_config(f"[mirror]\ndirectory = /d\n{text}", "m.conf")


CONFIGURATIONS = [
    *(Harm(f"{key} = ", again, end) for key, again, end in (
        *(("master", again, " x") for again in ("%(", "%(a", "//", "https://", "@", "é", "a.", ":1")),
        *(("workers", again, "x") for again in (" ", "1")),
        ("timeout", "1", ""), ("min-free", "1", "%"), ("diff-file", "{{", ""), ("diff-file", "{{mirror_directory}}", ""),
        ("run-after", "'a' ", ""), ("run-after", '"', ""), ("root_uri", "/", ""), ("proxy", "@", ""), ("log-config", "a/", ""),
    )),
    *(Harm("", again, "\n") for again in ("k\n", "= 1\n", "[", "]", "k=", "%", "\n", "  \n", ";\n", "\n ;", "é")),
    *(Harm("[plugins]\nenabled =", again) for again in ("\n  a", " a,", " a", " -", "\n  é!")),
    *(Harm("[x", again, "]\n") for again in ("x", "]", "[", "_")),
    *(Harm("[allowlist]\npackages =", again) for again in ("\n  six", "\n  six>=1", "\n  a b", " #")),
]  # fmt: skip


@pytest.mark.parametrize("text_of", CONFIGURATIONS, ids=repr)
def test_configuration_made_to_harm(text_of):
    assert grows_with_its_input(read_configuration, text_of)


REQUIREMENTS = [
    *(Harm("six", again, "b") for again in (" ", "\t", " ;", " #", "@", ">=1,", "==1", "==1.", "[a,", " \\\n", "-")),
    *(Harm("six ; ", again) for again in ("(", "'", "python_version<'3' and ", "a")),
    *(Harm("", again, "x") for again in ("six\n", "//", "${A", "-r ", "--hash ", "git+", "a-", ".whl[", ".tar.", "#coding:", "\\\n")),
]  # fmt: skip


@pytest.mark.parametrize("text_of", REQUIREMENTS, ids=repr)
def test_requirements_made_to_harm(tmp_path, text_of):
    def read(text: str) -> None:
        path = tmp_path / "requirements.txt"
        path.write_text(text)
        read_requirements(path, {}, lambda _: None)

    assert grows_with_its_input(read, text_of)


TEXTS = [
    *(Harm("six-", again, ".whl") for again in ("a-", "1.", "-py3.", ".tar.", "linux")),
    *(Harm("1", again, end) for again in (".1", ".0", "a", " ", "0", "-", "+a.", "rc1", "dev", "!") for end in ("", "x")),
    *(Harm("https://", again, "/x") for again in ("a.", ":", "@", "[", "/../", "%2e", ";", "?", "#")),
    *(Harm("/packages/", again, "a") for again in ("a/", "%2e%2e/", "../", "//")),
    *(Harm("3.11", again, "3.12") for again in (" ", " -", "-", ",", "\t-\t")),
    *(Harm("", again) for again in ("(", "(?:", "[", "a*", "(a)", "\\", "|", "(?=", "==", "//", "//@", "linux_", ">=1,")),
]  # fmt: skip
READERS: dict[str, Read] = {
    "question": read_question,
    "name": normalize,
    "version": parsed,
    "key": lambda text: layout.file_key(text, "a"),
    "link": lambda text: layout.href(f"web/{text}"),
    "address": lambda text: resolve(URL, text),
    "secrets": without_secrets,
    "size": values.parse_size,
    "duration": values.parse_duration,
    "count": values.parse_count,
    "metadata size": metadata.parse_size,
    "platform": wheels.platform_tags,
    "pythons": lambda text: wheels._read_pythons(sections(wheel_tags={"python": text})),
    "allowlist": lambda text: names.allowed_names(sections(allowlist={"packages": text})),
}


METADATA = {
    "different headers": lambda size: "".join(f"X-{n}: v\n" for n in range(size // 10)),
    "one header in every case": lambda size: "".join(
        "".join(c.upper() if n >> at & 1 else c for at, c in enumerate("classifier")) + ": v\n"
        for n in range(size // 14)
    ),
    "different links": lambda size: "".join(f"Project-URL: {n}, http://x\n" for n in range(size // 24)),
    "a header that goes on": Harm("Summary: a\n", " b\n"),
    "keywords": Harm("Keywords: ", "a,"),
    "encoded words": Harm("Author: \xff", "=?utf-8?q?a?= "),
    "parts": Harm("Content-Type: multipart/mixed; boundary=a\n\n", "--a\n\n"),
}


@pytest.mark.parametrize("name", METADATA)
def test_core_metadata_made_to_harm(name):
    """Whoever uploads a file writes it, and `serve` reads it for whoever asks."""

    def read(text: str) -> object:
        body = text.encode("latin-1")
        return read_metadata(body), parse_core_metadata(body)

    assert grows_with_its_input(read, METADATA[name])


@pytest.mark.parametrize("reader", READERS)
def test_text_made_to_harm(reader):
    slow = [text_of for text_of in TEXTS if not grows_with_its_input(READERS[reader], text_of)]

    assert slow == []


# Every regular expression in the source, as it is used there.

SEARCHING = {"search", "sub", "subn", "split", "findall", "finditer"}


@dataclass(frozen=True)
class Expression:
    place: str
    pattern: re.Pattern[str] | re.Pattern[bytes]
    searches: bool

    def run(self, text: str) -> None:
        given = text if isinstance(self.pattern.pattern, str) else text.encode()
        (self.pattern.search if self.searches else self.pattern.match)(given)


def expressions() -> Iterator[Expression]:
    """Yield each expression that a module compiles or uses, and whether it is searched for anywhere in a text."""
    for module in pkgutil.walk_packages(frumious.__path__, "frumious."):
        if module.name.rpartition(".")[2] == "__main__":
            continue
        loaded = importlib.import_module(module.name)
        tree = ast.parse(Path(loaded.__file__).read_text(encoding="utf-8"))
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        used = [(ast.unparse(call.func), call) for call in calls]
        for name, value in vars(loaded).items():
            if isinstance(value, re.Pattern) and _assigns(tree, name):
                methods = {called.rpartition(".")[2] for called, _ in used if called.startswith(f"{name}.")}
                yield Expression(f"{module.name}.{name}", value, searches=bool(methods & SEARCHING))
        for called, call in used:
            method = called.removeprefix("re.")
            if (
                called != method
                and method in SEARCHING | {"match", "fullmatch"}
                and isinstance(call.args[0], ast.Constant)
            ):
                pattern = re.compile(call.args[0].value)
                yield Expression(f"{module.name}:{call.lineno}", pattern, searches=method in SEARCHING)
    for pattern, _ in wheels._PLATFORMS:
        yield Expression("frumious.filters.wheels._PLATFORMS", pattern, searches=False)


def _assigns(tree: ast.Module, name: str) -> bool:
    return any(
        isinstance(node, ast.Assign | ast.AnnAssign) and name in ast.unparse(node).split("=")[0]
        for node in tree.body
    )


EXPRESSIONS = list(expressions())


def harms(expression: Expression) -> Iterator[Harm]:
    """Yield texts of the words of an expression: after each of its beginnings, each of its words over and over."""
    source = expression.pattern.pattern
    source = source.decode("latin-1") if isinstance(source, bytes) else source
    words = list(dict.fromkeys(re.findall(r"[A-Za-z0-9_]{2,}|[^\w\s]", source)))[:12]
    plain = re.sub(r"\\[sSdDwWbBAZ]|[\\()\[\]?*+|^$]", "", source)
    begins = dict.fromkeys(["", *(plain[:end] for end in (1, 2, 4, 8, 16)), *words[:3]])
    again = dict.fromkeys([*words, " ", "0", "a", "1.", "a ", "a-", ".a", " #", "//", "<a "])
    for begin, text in product(begins, again):
        yield Harm(begin, text, "\0")


def test_the_expressions_of_the_source_are_found():
    found = {expression.place for expression in EXPRESSIONS}

    assert len(EXPRESSIONS) > 60
    assert {"frumious.pages.reading._PLAIN_URL", "frumious.filters.requirements_files._COMMENT"} <= found
    assert any(expression.searches for expression in EXPRESSIONS)


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=lambda expression: expression.place)
def test_no_expression_looks_at_the_same_text_over_and_over(expression):
    slow = [text_of for text_of in harms(expression) if not grows_with_its_input(expression.run, text_of)]

    assert slow == []
