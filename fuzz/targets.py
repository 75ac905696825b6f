"""One function for each reader: takes any bytes, fails if the reader does what it must not do.

What is promised of every reader: it raises its documented error and no other, and what comes out of it can be relied
on. Where there is a writer too, what was read and written is read again as the same.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from itertools import product
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import msgspec

from frumious.catalog.base import HeldFile
from frumious.cli.inspect import read_question
from frumious.config import parse_config
from frumious.config.loading import load
from frumious.errors import BadPage, ConfigError, UsageError
from frumious.filters.build import BUILDERS, build_selection
from frumious.filters.offer import Offer, package_type, version_in
from frumious.filters.requirements_files import BadRequirements, read_requirements
from frumious.filters.rules import Selection
from frumious.filters.sections import BadSetting, Entry, Sections
from frumious.model import layout
from frumious.model.layout import PageKind
from frumious.model.names import InvalidName, NormalizedName, normalize
from frumious.model.project import File, ListedProject, ProjectDetail
from frumious.pages import legacy_json, simple_html, simple_json, stored
from frumious.pages.parsed import ParsedList
from frumious.server.web.description import Markup, plain
from frumious.server.web.rendering import convert
from frumious.sync.options import Rendering
from frumious.sync.page import build_page, render
from support.harmless import assert_harmless

SIX = normalize("six")
URL = "https://index.example.org/simple/six/"
MIRROR = "https://mirror.example.org/pip/simple/six/"
SHA256 = "0123456789abcdef" * 4

_OURS: Mapping[str, frozenset[str]] = {
    "html": frozenset(),
    "head": frozenset(),
    "meta": frozenset({"charset", "name", "content"}),
    "title": frozenset(),
    "body": frozenset(),
    "h1": frozenset(),
    "a": frozenset(
        {
            "href",
            "data-requires-python",
            "data-dist-info-metadata",
            "data-core-metadata",
            "data-yanked",
            "data-provenance",
        }
    ),
    "br": frozenset(),
}
"""Every element and attribute that a page of ours may have."""


class _Looker(HTMLParser):
    """Fails at markup that is not ours, and counts links."""

    links = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert tag in _OURS, f"a <{tag}> in our page"
        assert len(set(names)) == len(names), f"an attribute of <{tag}> stands twice"
        assert set(names) <= _OURS[tag], f"<{tag}> with {names}"
        self.links += tag == "a"
        if tag == "a":
            href = dict(attrs)["href"] or ""
            assert urlsplit(urljoin(MIRROR, href)).scheme in {"http", "https"}, f"a link to {href}"

    def handle_comment(self, data: str) -> None:
        assert re.fullmatch(r"SERIAL [0-9]+", data), f"a comment {data!r}"

    def handle_decl(self, decl: str) -> None:
        assert decl == "DOCTYPE html"

    def handle_pi(self, data: str) -> None:
        raise AssertionError(f"a processing instruction {data!r}")

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(f"a marked section {data!r}")


def assert_only_ours(body: bytes, links: int) -> None:
    """Fail unless a page of ours has so many links, and no element, attribute or comment that is not ours."""
    looker = _Looker()
    looker.feed(body.decode())
    looker.close()
    assert looker.links == links


def assert_inside_packages(key: str) -> None:
    """Fail unless a key lies below `web/packages/`; said without the code that makes it."""
    assert key.startswith("web/packages/")
    for segment in key.split("/"):
        assert segment not in {"", ".", ".."}
        assert len(segment.encode()) <= 255
        assert "\\" not in segment
        assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in segment)


def _text(data: bytes) -> str:
    """Return any text, lone surrogates included."""
    return data.decode("utf-8", "surrogateescape")


# ------------------------------------------------------------------- pages


def _check_file(file: File) -> None:
    url = urlsplit(file.url)
    assert url.scheme in {"http", "https"}
    assert url.hostname
    assert not url.fragment
    key = layout.file_key(file.url, file.filename) or layout.content_key(SHA256, file.filename)
    assert_inside_packages(key)
    link = urljoin(MIRROR, layout.href(key))
    assert layout.file_key(link.replace("/pip/", "/", 1), file.filename) == key
    for digest in (file.digest, file.core_metadata):
        assert digest is None or isinstance(digest, bool) or re.fullmatch(r"[0-9a-f]{32,128}", digest.hex)
    assert file.size is None or 0 <= file.size < 2**63
    assert file.provenance is None or file.provenance.startswith("https://")


def _held(file: File) -> HeldFile:
    key = layout.file_key(file.url, file.filename) or layout.content_key(SHA256, file.filename)
    return HeldFile(file.filename, key, SHA256, 1, f"sha256={SHA256}")


def _check_detail(detail: ProjectDetail) -> None:
    names = [file.filename for file in detail.files]
    assert len(set(names)) == len(names)
    for file in detail.files:
        _check_file(file)
    again = simple_json.parse_project_detail(simple_json.encode_project_detail(detail), url=URL, name=SIX)
    assert msgspec.structs.replace(again, problems=()) == msgspec.structs.replace(detail, problems=())
    for rendering in (
        Rendering(),
        Rendering(release_files=False),
        Rendering(root_uri="https://cdn.example.org"),
    ):
        _check_published(detail, rendering)


def _check_published(detail: ProjectDetail, rendering: Rendering) -> None:
    page = build_page(detail, {file.filename: _held(file) for file in detail.files}, 7, rendering)
    pages = render(page, "Six", rendering).pages
    html = pages[layout.page_key(SIX, PageKind.HTML)]
    json = pages[layout.page_key(SIX, PageKind.V1_JSON)]
    assert_only_ours(html, len(page.files))
    if not rendering.release_files:
        # Upstream's own addresses: only JSON lets a file have another name than its address ends in.
        return
    from_html = simple_html.parse_project_detail(html, url=MIRROR, name=SIX)
    from_json = simple_json.parse_project_detail(json, url=MIRROR, name=SIX)
    assert from_html.problems == from_json.problems == ()
    assert [file.filename for file in from_html.files] == sorted(file.filename for file in page.files)
    for ours, theirs in zip(from_html.files, from_json.files, strict=True):
        assert (ours.filename, ours.url, ours.yanked) == (theirs.filename, theirs.url, theirs.yanked)
        assert (ours.requires_python, ours.provenance) == (theirs.requires_python, theirs.provenance)
    found = stored.read_page(html, PageKind.HTML, SIX)
    assert found.is_ours
    assert len(found.detail.files) == len(page.files)


def _check_list(listed: ParsedList) -> None:
    assert all(project.serial is None or 0 <= project.serial < 2**63 for project in listed.projects)
    projects = [project for project in listed.projects if _is_name(project.name)]
    html = b"".join(simple_html.render_project_list(projects, 7))
    assert_only_ours(html, len(projects))
    from_html = simple_html.parse_project_list(html, URL)
    json = b"".join(simple_json.render_project_list(projects, 7))
    from_json = simple_json.parse_project_list(json, URL)
    assert from_json.projects == tuple(projects)
    assert from_html.projects == tuple(ListedProject(project.name) for project in projects)


def _is_name(text: str) -> bool:
    try:
        normalize(text)
    except InvalidName:
        return False
    return True


def json_page(data: bytes) -> None:
    """A project's page as JSON."""
    try:
        detail = simple_json.parse_project_detail(data, url=URL, name=SIX)
    except BadPage:
        return
    _check_detail(detail)


def json_list(data: bytes) -> None:
    """A project list as JSON."""
    try:
        listed = simple_json.parse_project_list(data, URL)
    except BadPage:
        return
    _check_list(listed)


def html_page(data: bytes) -> None:
    """A project's page as HTML."""
    try:
        detail = simple_html.parse_project_detail(data, url=URL, name=SIX)
    except BadPage:
        return
    _check_detail(detail)


def html_list(data: bytes) -> None:
    """A project list as HTML."""
    try:
        listed = simple_html.parse_project_list(data, URL)
    except BadPage:
        return
    _check_list(listed)


def stored_page(data: bytes) -> None:
    """A page that lies in a tree, whoever wrote it."""
    for kind in PageKind:
        try:
            found = stored.read_page(data, kind, SIX)
        except BadPage:
            continue
        assert found.display is None or normalize(found.display) == SIX
        for file in found.detail.files:
            for root_uri in (None, "https://cdn.example.org"):
                key = stored.key_of(file, root_uri)
                if key is not None:
                    assert_inside_packages(key)
                    assert key.rpartition("/")[2] == file.filename


def legacy_document(data: bytes) -> None:
    """The legacy JSON: facts of files, and a document to pass on."""
    try:
        facts = legacy_json.parse_release_facts(data, URL)
    except BadPage:
        facts = {}
    for said in facts.values():
        assert said.size is None or 0 <= said.size < 2**63
        assert said.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", said.sha256)
    try:
        whole = legacy_json.canonical(data)
        ours = legacy_json.published(data, dict.fromkeys(facts, URL))
    except BadPage:
        return
    assert legacy_json.canonical(whole) == whole
    assert legacy_json.canonical(ours) == ours


# ------------------------------------------------------- names and places


def name(data: bytes) -> None:
    """Text that may be a project's name."""
    text = _text(data)
    try:
        normal = normalize(text)
    except InvalidName:
        return
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", normal)
    assert normalize(normal) == normal
    for kind in PageKind:
        assert layout.page_key(normal, kind) == f"web/simple/{normal}/{kind.value}"


def place(data: bytes) -> None:
    """A URL and a file name, parted by a line feed: the key they give, and the link that leads back."""
    url, _, filename = _text(data).partition("\n")
    if not layout.is_safe_filename(filename):
        assert layout.file_key(url, filename) is None
        return
    key = layout.file_key(url, filename)
    for found in (key, layout.content_key(SHA256, filename)):
        if found is None:
            continue
        assert_inside_packages(found)
        assert found.rpartition("/")[2] == filename
        link = layout.href(found)
        assert link.isascii()
        assert layout.file_key(urljoin("https://mirror.example.org/simple/six/", link), filename) == found
        beside = layout.metadata_key(found)
        if beside is not None:
            assert_inside_packages(beside)


def filename(data: bytes) -> None:
    """A file name, and behind a line feed what upstream lists as versions: kind and release."""
    text, *versions = _text(data).split("\n")
    if not layout.is_safe_filename(text):
        return
    for project in (SIX, _first_part(text)):
        found = version_in(text, project, versions)
        assert found is None or found
        assert package_type(text, project)
        offer = Offer(project, project, (), 0.0, versions)
        file = File(text, URL + "x")
        assert offer.release_of(file) in {found, None}
        assert offer.package_type(file) == package_type(text, project)


def _first_part(text: str) -> NormalizedName:
    try:
        return normalize(text.partition("-")[0])
    except InvalidName:
        return SIX


def question(data: bytes) -> None:
    """What is typed behind `explain`."""
    try:
        asked = read_question(_text(data))
    except UsageError as error:
        assert error.hint
        return
    assert normalize(asked.name) == asked.name
    assert asked.version != ""
    assert asked.filename != ""


# ---------------------------------------------------- what operators write


_DIRECTORY = tempfile.TemporaryDirectory(prefix="frumious-fuzz-")
_FILE = Path(_DIRECTORY.name) / "input"


def configuration(data: bytes) -> None:
    """The configuration file."""
    _FILE.write_bytes(data)
    try:
        loaded = load(_FILE)
    except ConfigError as error:
        _check_refusal(error)
        return
    assert loaded.settings.directory.is_absolute()
    for warning in loaded.warnings:
        assert re.match(rf"{re.escape(str(_FILE))}:[0-9]+: ", warning)
    assert parse_config(data.decode("utf-8-sig"), str(_FILE)).settings == loaded.settings


def _check_refusal(error: ConfigError) -> None:
    """Fail unless an error names the file, and the line of each thing that is there."""
    first, *others = str(error).split("\n")
    assert error.file == str(_FILE)
    if others:
        assert re.fullmatch(rf"{re.escape(str(_FILE))}: {len(others)} settings cannot be used:", first)
    for line in others or [first]:
        is_absent = line.startswith(f"{_FILE}: ") and "this key is required" in line
        assert is_absent or re.match(rf"{re.escape(str(_FILE))}:[0-9]+: ", line), line


def filters(data: bytes) -> None:
    """Sections of filters as a configuration file has them: `[section]`, `key = value`, further lines indented."""
    values: dict[str, dict[str, list[Entry]]] = {}
    section, lines = "plugins", list[Entry]()
    for number, line in enumerate(_text(data).split("\n"), 1):
        if line.startswith("["):
            section = line.strip("[]")
        elif "=" in line and not line.startswith(" "):
            key, _, value = line.partition("=")
            lines = values.setdefault(section, {}).setdefault(key.strip(), [])
            lines.append(Entry(value.strip(), number))
        elif line.strip():
            lines.append(Entry(line.strip(), number))
    # They would name files of this machine.
    values.get("allowlist", {}).pop("requirements", None)
    sections = Sections(
        {
            where: {key: tuple(entry for entry in said if entry.text) for key, said in keys.items()}
            for where, keys in values.items()
        }
    )
    for plugin in BUILDERS:
        try:
            selection = build_selection([plugin], sections)
        except BadSetting as error:
            assert error.problem
        else:
            _check_selection(selection)


_OFFER = Offer(
    SIX,
    "Six",
    tuple(
        File(name, f"https://files.example.org/packages/aa/{name}", size=size, upload_time=when)
        for name, size, when in (
            ("six-1.0.tar.gz", 11, "2021-05-05T14:18:17Z"),
            ("six-1.1rc1-cp313-cp313-manylinux_2_17_x86_64.whl", 2**40, None),
            ("six-1.1-py2.7-win32.egg", None, "2031-05-05T14:18:17.5Z"),
            ("odd", None, None),
        )
    ),
    1_700_000_000.0,
    ("1.0", "1.1", "1.1rc1", "odd"),
    {
        "info": {"version": "1.1", "requires_python": ">=3", "classifiers": ["A :: B"], "keywords": None},
        "releases": {"1.0": [{"filename": "six-1.0.tar.gz", "packagetype": "sdist", "size": 11}], "odd": 7},
    },
)


def _check_selection(selection: Selection) -> None:
    assert selection.judge(SIX, "Six").keep or selection.judge(SIX, "Six").reason
    choice = selection.choose(_OFFER)
    assert choice.files.keys() <= {file.filename for file in _OFFER.files}
    assert all(verdict.reason for verdict in choice.files.values())


def requirements(data: bytes) -> None:
    """A requirements file."""
    _FILE.write_bytes(data)
    told: list[str] = []
    try:
        lines = read_requirements(_FILE, {"NAME": "six"}, told.append)
    except BadRequirements as error:
        assert str(_FILE) in str(error)  # of a file that it includes, too
        return
    for line in lines:
        assert normalize(line.name) == line.name
    for sentence in told:
        assert re.match(r".+:[0-9]+: ", sentence)


# ------------------------------------------------------------ descriptions


def shown_description(data: bytes) -> None:
    """A description of a project, as each kind it may be said to be, with images and without."""
    text = data.decode("utf-8", "replace")
    assert_harmless(plain(text))
    for markup, images in product((Markup.GFM, Markup.COMMONMARK, Markup.REST), (False, True)):
        try:
            html = convert(text, markup, remote_images=images)
        except Exception:  # noqa: BLE001, S112 - it ends the helper; the text is shown then
            continue
        assert_harmless(html, images=images)


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    "configuration": configuration,
    "description": shown_description,
    "filename": filename,
    "filters": filters,
    "html-list": html_list,
    "html-page": html_page,
    "json-list": json_list,
    "json-page": json_page,
    "legacy-document": legacy_document,
    "name": name,
    "place": place,
    "question": question,
    "requirements": requirements,
    "stored-page": stored_page,
}
"""Every reader by its name on the command line."""
