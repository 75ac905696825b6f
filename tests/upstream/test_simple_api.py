"""What the Simple API adapter makes of odd answers; the port's promises are in `contract/upstream_contract.py`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import pytest

from frumious.errors import BadPage, BadStatus, Unreachable
from frumious.model.names import normalize
from frumious.model.project import Digest, File, ProjectDetail, ProjectStatus
from frumious.pages import formats, simple_json
from frumious.upstream.simple_api import (
    DETAIL_MAX,
    LARGE,
    LIST_MAX,
    THREAD_ABOVE,
    Options,
    SimpleApiUpstream,
)
from frumious.upstream.transport import Answer, Stream

T = TypeVar("T")
SIX = normalize("six")
MASTER = "https://index.example.org"
LIST = f"{MASTER}/simple/"
PAGE = f"{MASTER}/simple/six/"
LEGACY = f"{MASTER}/pypi/six/json"
WHEEL = "six-1.0-py3-none-any.whl"
DEFAULTS = Options()
SHA = "aa" * 32
FILE = f"https://files.example.org/packages/aa/bb/{'cc' * 30}/{WHEEL}"


@dataclass
class ScriptedTransport:
    """A transport that plays answers by address, the last one for ever, and keeps what was asked."""

    answers: dict[str, list[Answer | Exception]] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    bounds: list[int] = field(default_factory=list)
    large: list[bool] = field(default_factory=list)
    closed: bool = False

    def add(
        self,
        address: str,
        body: bytes = b"",
        status: int = 200,
        *,
        content_type: str = formats.JSON_TYPE,
        url: str | None = None,
        **headers: str,
    ) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = Answer(status, {"content-type": content_type, **named}, body, url or address)
        self.answers.setdefault(address, []).append(answer)

    def add_error(self, address: str, error: Exception) -> None:
        self.answers.setdefault(address, []).append(error)

    async def get(self, url, headers, *, max_bytes):
        self.bounds.append(max_bytes)
        return self._next("GET", url, headers)

    async def head(self, url, headers):
        return self._next("HEAD", url, headers)

    @asynccontextmanager
    async def stream(self, url, headers, *, large):
        self.large.append(large)
        answer = self._next("GET", url, headers)

        async def chunks():
            yield answer.body

        yield Stream(answer.status, answer.headers, chunks(), answer.url)

    async def aclose(self):
        self.closed = True

    def count(self, address: str) -> int:
        return sum(url == address for _, url, _ in self.asked)

    def _next(self, method, url, headers):
        self.asked.append((method, url, dict(headers)))
        script = self.answers.get(url, [Answer(404, {}, b"", url)])
        answer = script.pop(0) if len(script) > 1 else script[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def transport():
    return ScriptedTransport()


def ask(
    transport: ScriptedTransport,
    use: Callable[[SimpleApiUpstream], Awaitable[T]],
    options: Options = DEFAULTS,
    *,
    master: str = MASTER,
    notices: list[str] | None = None,
) -> T:
    upstream = SimpleApiUpstream(
        transport, master, options, on_notice=(notices if notices is not None else []).append
    )
    return asyncio.run(use(upstream))


def page(*files: dict, version: str = "1.4", **extra) -> bytes:
    return json.dumps(
        {
            "meta": {"api-version": version, **extra},
            "name": "six",
            "versions": ["1.0"],
            "files": list(files),
        }
    ).encode()


def entry(**facts) -> dict:
    return {"filename": WHEEL, "url": FILE, "hashes": {"sha256": SHA}, "size": 3, **facts}


def html_page(fragment: str = f"#sha256={SHA}") -> bytes:
    return f'<!DOCTYPE html><html><body><a href="{FILE}{fragment}">{WHEEL}</a></body></html>'.encode()


def legacy(**changes) -> bytes:
    """Return a legacy document that knows of the wheel on the HTML page."""
    facts = {
        "filename": WHEEL,
        "url": FILE,
        "size": 3,
        "upload_time_iso_8601": "2026-01-01T00:00:00.000001Z",
        "digests": {"sha256": SHA, "md5": "bb" * 16},
        "md5_digest": "bb" * 16,
        "requires_python": None,
        "yanked": False,
        "yanked_reason": None,
        **changes,
    }
    return json.dumps(
        {"info": {"name": "six"}, "last_serial": 5, "releases": {"1.0": [facts]}, "urls": []}
    ).encode()


def get_page(upstream: SimpleApiUpstream):
    return upstream.project(SIX, None)


# Addresses and headers.


@pytest.mark.parametrize("master", ["https://h.example.org/root/pypi", "https://h.example.org/root/pypi/"])
def test_master_may_have_a_path(transport, master):
    transport.add("https://h.example.org/root/pypi/simple/six/", page())
    transport.add("https://h.example.org/root/pypi/pypi/six/json", b"{}")

    assert ask(transport, get_page, master=master).detail.files == ()
    assert ask(transport, lambda upstream: upstream.legacy_document(SIX), master=master) == b"{}"


def test_links_are_relative_to_the_address_that_answered(transport):
    """Conformance 41."""
    transport.add(PAGE, page(entry(url=f"../../f/{WHEEL}")), url="https://cdn.example.net/deep/simple/six/")

    answer = ask(transport, get_page)

    assert answer.detail.files[0].url == f"https://cdn.example.net/deep/f/{WHEEL}"
    assert answer.url == "https://cdn.example.net/deep/simple/six/"


def test_pages_are_asked_for_in_every_form_and_bounded(transport):
    transport.add(LIST, json.dumps({"meta": {"api-version": "1.0"}, "projects": []}).encode())
    transport.add(PAGE, page())

    ask(transport, lambda upstream: upstream.project_list('W/"a"'))
    ask(transport, get_page)

    assert [headers for _, _, headers in transport.asked] == [
        {"accept": formats.ACCEPT, "if-none-match": 'W/"a"'},
        {"accept": formats.ACCEPT},
    ]
    assert transport.bounds == [LIST_MAX, DETAIL_MAX]


@pytest.mark.parametrize(
    ("said", "kept"),
    [('"a"', '"a"'), ('W/"a"', 'W/"a"'), ("a", None), ("", None), ('"a', None), ('"a", "b"', None)],
)
def test_only_a_well_formed_etag_is_kept_as_it_is(transport, said, kept):
    transport.add(PAGE, page(), etag=said)

    assert ask(transport, get_page).etag == kept


def test_unchanged_is_an_error_where_nobody_asked(transport):
    transport.add(PAGE, status=304)

    with pytest.raises(BadStatus, match="304"):
        ask(transport, get_page)


def test_closing_closes_the_transport(transport):
    ask(transport, lambda upstream: upstream.aclose())

    assert transport.closed


# Answers that point at a wrong `master`.


def test_a_missing_list_points_at_the_setting(transport):
    with pytest.raises(BadStatus) as error:
        ask(transport, lambda upstream: upstream.project_list(None))

    assert "`master`" in error.value.hint


@pytest.mark.parametrize("content_type", ["application/octet-stream", "text/plain", ""])
def test_a_page_of_no_known_type_points_at_the_setting(transport, content_type):
    transport.add(PAGE, page(), content_type=content_type)

    with pytest.raises(BadPage, match="Content-Type") as error:
        ask(transport, get_page)
    assert "`master`" in error.value.hint


def test_a_page_of_12000_files_is_read(transport):
    """Conformance 55, design.md §9."""
    transport.add(
        PAGE, page(*(entry(filename=f"six-{n}.zip", url=f"../f/six-{n}.zip") for n in range(12_000)))
    )

    answer = ask(transport, get_page)

    assert len(answer.body) > THREAD_ABOVE
    assert len(answer.detail.files) == 12_000


# Serials.


def test_the_headers_serial_counts_before_the_bodys(transport):
    transport.add(PAGE, page(**{"_last-serial": "7"}))
    transport.add(PAGE, page(**{"_last-serial": 7}), x_pypi_last_serial="9")
    transport.add(PAGE, page(), x_pypi_last_serial="nine")

    assert [ask(transport, get_page).detail.serial for _ in range(3)] == [7, 9, None]


@pytest.mark.parametrize("said", ["9" * 19, "9" * 20, "9" * 5000, "-1", "\u0661"])
def test_a_header_serial_that_can_be_none_is_passed_over(transport, said):
    """Neither SQLite nor Python reads numbers of any length."""
    transport.add(PAGE, page(**{"_last-serial": 7}), x_pypi_last_serial=said)

    assert ask(transport, get_page).detail.serial == 7


def test_a_serial_that_only_the_header_gave_is_in_the_kept_page(transport):
    transport.add(PAGE, page(entry()), x_pypi_last_serial="9")

    answer = ask(transport, get_page)

    async def read(upstream):
        return upstream.read(SIX, answer.body, answer.form, answer.url)

    assert answer.detail.serial == 9
    assert ask(transport, read) == answer.detail


def test_a_page_that_says_all_is_kept_byte_for_byte(transport):
    body = page(entry(), _private="kept", **{"_last-serial": 9})
    transport.add(PAGE, body, x_pypi_last_serial="9")

    answer = ask(transport, get_page)

    assert (answer.form, answer.body) == ("json", body)


# Versions of the API.


def test_a_newer_minor_version_is_noticed_once(transport):
    """Conformance 99."""
    transport.add(PAGE, page(entry(), version="1.5"))
    notices: list[str] = []

    async def twice(upstream):
        return [await upstream.project(SIX, None), await upstream.project(SIX, None)]

    answers = ask(transport, twice, notices=notices)

    assert [len(answer.detail.files) for answer in answers] == [1, 1]
    assert len(notices) == 1
    assert "1.5" in notices[0]


def test_a_newer_list_is_noticed_too(transport):
    transport.add(LIST, b'{"meta": {"api-version": "1.5"}, "projects": [], "namespaces": []}')
    notices: list[str] = []

    ask(transport, lambda upstream: upstream.project_list(None), notices=notices)

    assert len(notices) == 1


def test_an_index_that_has_moved_is_told_once_with_the_line_to_change(transport):
    moved = "https://new.example.org/pypi"
    transport.add(LIST, b'{"meta": {"api-version": "1.0"}, "projects": []}', url=f"{moved}/simple/")
    transport.add(PAGE, page(entry()), url=f"{moved}/simple/six/")
    notices: list[str] = []

    async def ask_both(upstream):
        await upstream.project_list(None)
        await upstream.project(SIX, None)

    ask(transport, ask_both, notices=notices)

    assert len(notices) == 1
    assert f"{MASTER} redirects to {moved}" in notices[0]
    assert f"`master = {moved}`" in notices[0]


@pytest.mark.parametrize("url", [LIST, f"{LIST}?page=1", "https://cdn.example.org/a/b.json"])
def test_an_answer_from_nowhere_in_particular_is_no_move(transport, url):
    transport.add(LIST, b'{"meta": {"api-version": "1.0"}, "projects": []}', url=url)
    notices: list[str] = []

    ask(transport, lambda upstream: upstream.project_list(None), notices=notices)

    assert notices == []


@pytest.mark.parametrize("version", ["1.0", "1.4"])
def test_known_versions_are_nothing_to_speak_of(transport, version):
    transport.add(PAGE, page(entry(), version=version))
    notices: list[str] = []

    ask(transport, get_page, notices=notices)

    assert notices == []


def test_entries_left_out_of_the_list_are_noticed(transport):
    projects = [{"name": "six"}, {"name": 3}]
    transport.add(LIST, json.dumps({"meta": {"api-version": "1.0"}, "projects": projects}).encode())
    notices: list[str] = []

    listed = ask(transport, lambda upstream: upstream.project_list(None), notices=notices)

    assert [project.name for project in listed.projects] == ["six"]
    assert len(notices) == 1


# Facts that HTML lacks.


def html(transport, body: bytes | None = None, name: str = "six"):
    address = f"{MASTER}/simple/{name}/"
    transport.add(address, body or html_page(), content_type="text/html; charset=utf-8", etag='"a"')


def test_an_html_page_gets_size_and_time_from_the_legacy_json(transport):
    """Conformance 100."""
    html(transport)
    transport.add(LEGACY, legacy())

    answer = ask(transport, get_page)

    (file,) = answer.detail.files
    assert answer.etag == '"a"'
    assert (file.size, file.upload_time) == (3, "2026-01-01T00:00:00.000001Z")
    assert simple_json.parse_project_detail(answer.body, url=answer.url, name=SIX) == answer.detail


def test_a_page_of_md5_gets_its_sha256_from_the_legacy_json(transport):
    html(transport, html_page(f"#md5={'bb' * 16}"))
    transport.add(LEGACY, legacy())

    assert ask(transport, get_page).detail.files[0].digest == Digest("sha256", SHA)


@pytest.mark.parametrize(
    ("fragment", "facts"),
    [
        (f"#sha256={SHA}", {"digests": {"sha256": "dd" * 32}}),
        (f"#md5={'bb' * 16}", {"digests": {"md5": "ee" * 16}, "md5_digest": "ee" * 16}),
        (f"#sha256={SHA}", {"filename": "six-2.0-py3-none-any.whl"}),
    ],
)
def test_facts_of_other_bytes_are_not_taken_over(transport, fragment, facts):
    html(transport, html_page(fragment))
    transport.add(LEGACY, legacy(**facts))

    answer = ask(transport, get_page)

    (file,) = answer.detail.files
    assert (file.size, file.upload_time) == (None, None)
    assert answer.etag is None  # the legacy JSON lags behind: ask again next time


def test_the_legacy_json_is_not_asked_when_that_is_switched_off(transport):
    html(transport)
    transport.add(LEGACY, legacy())

    answer = ask(transport, get_page, Options(facts_from_legacy=False))

    assert (answer.form, answer.detail.files[0].size) == ("html", None)
    assert transport.count(LEGACY) == 0


def test_the_legacy_json_is_not_asked_for_a_page_without_files(transport):
    html(transport, b"<!DOCTYPE html><html><body><h1>Links for six</h1></body></html>")

    assert ask(transport, get_page).detail.files == ()
    assert transport.count(LEGACY) == 0


NAMES = [normalize(f"p{number}") for number in range(6)]


async def ask_all(upstream: SimpleApiUpstream) -> list[int | None]:
    return [(await upstream.project(name, None)).detail.files[0].size for name in NAMES]


def asked_for_legacy(transport: ScriptedTransport) -> int:
    return sum("/pypi/" in url for _, url, _ in transport.asked)


def test_an_index_without_legacy_json_is_soon_not_asked_for_it(transport):
    for name in NAMES:
        html(transport, name=name)
    notices: list[str] = []

    assert ask(transport, ask_all, notices=notices) == [None] * 6

    assert asked_for_legacy(transport) == 3
    assert len(notices) == 1
    assert "legacy JSON" in notices[0]


@pytest.mark.parametrize("answer", [{"status": 403}, {"status": 500}, {"body": b"<html>Sign in</html>"}])
def test_a_legacy_address_that_never_answers_spoils_no_page(transport, answer):
    for name in NAMES:
        html(transport, name=name)
        transport.add(f"{MASTER}/pypi/{name}/json", content_type="text/html", **answer)

    assert ask(transport, ask_all) == [None] * 6
    assert asked_for_legacy(transport) == 3


def test_an_index_that_has_answered_is_asked_for_ever(transport):
    for name in NAMES:
        html(transport, name=name)
    transport.add(f"{MASTER}/pypi/p0/json", legacy())

    assert ask(transport, ask_all) == [3, None, None, None, None, None]
    assert asked_for_legacy(transport) == 6


@pytest.mark.parametrize(("status", "etag"), [(404, '"a"'), (403, '"a"'), (503, None)])
def test_a_page_is_asked_for_anew_when_its_facts_may_come_later(transport, status, etag):
    html(transport)
    transport.add(LEGACY, status=status)

    answer = ask(transport, get_page)

    assert (answer.detail.files[0].size, answer.etag) == (None, etag)


def test_facts_do_not_vanish_for_one_bad_moment(transport):
    for name in NAMES[:2]:
        html(transport, name=name)
    transport.add(f"{MASTER}/pypi/p0/json", legacy())
    transport.add(f"{MASTER}/pypi/p1/json", status=503)

    async def both(upstream):
        assert (await upstream.project(NAMES[0], None)).detail.files[0].size == 3
        with pytest.raises(BadStatus) as busy:
            await upstream.project(NAMES[1], None)
        return busy.value

    assert ask(transport, both).may_retry


# The page that is kept when several answers were put together.


@pytest.mark.parametrize(
    "detail",
    [
        ProjectDetail(SIX, ()),
        ProjectDetail(SIX, (), versions=(), serial=0, api_version="1.4"),
        ProjectDetail(
            SIX,
            (File("a-1.zip", "https://f.example.org/a-1.zip"),),
            status=ProjectStatus.DEPRECATED,
            status_reason='use "b" ☃',
        ),
        ProjectDetail(
            SIX,
            (
                File("a-1.zip", "https://f.example.org/%C3%BC/a-1.zip", Digest("md5", "aa" * 16), yanked=""),
                File(
                    WHEEL,
                    FILE,
                    Digest("sha256", SHA),
                    size=0,
                    requires_python=">=3.8,<4",
                    upload_time="2026-01-01T00:00:00Z",
                    yanked='no "good"\n',
                    core_metadata=Digest("sha256", "dd" * 32),
                    provenance="https://i.example.org/p",
                ),
                File("b-1.whl", "https://f.example.org/b-1.whl", core_metadata=True),
                File("c-1.whl", "https://f.example.org/c-1.whl", core_metadata=False),
            ),
            versions=("1.0", "1"),
            serial=12,
            api_version="1.3",
        ),
    ],
)
def test_an_encoded_detail_reads_as_itself(detail):
    assert (
        simple_json.parse_project_detail(simple_json.encode_project_detail(detail), url=PAGE, name=SIX)
        == detail
    )


# Files.


def open_file(transport: ScriptedTransport, options: Options = DEFAULTS, **asked):
    asked = {"size": 3, **asked}

    async def read(upstream):
        async with upstream.file(FILE, **asked) as body:
            return body, b"".join([chunk async for chunk in body.chunks])

    return ask(transport, read, options)


def test_a_file_is_asked_for_without_any_encoding(transport):
    """Conformance 60."""
    transport.add(FILE, b"abc")

    open_file(transport)
    open_file(transport, offset=2, validator='"v"')
    open_file(transport, offset=2)

    whole = {"accept-encoding": "identity"}
    rest = {**whole, "range": "bytes=2-", "if-range": '"v"'}
    assert [headers for _, _, headers in transport.asked] == [whole, rest, whole]


def test_large_and_unmeasured_files_get_connections_of_their_own(transport):
    transport.add(FILE, b"abc")
    transport.add(f"{FILE}.metadata", b"abc")

    for size in (0, LARGE, LARGE + 1, None):
        open_file(transport, size=size)

    async def metadata(upstream):
        async with upstream.file(f"{FILE}.metadata", size=None):
            pass

    ask(transport, metadata)
    assert transport.large == [False, False, True, True, False]


@pytest.mark.parametrize(
    ("headers", "validator"),
    [
        ({"etag": '"a"', "last_modified": "Thu, 01 Jan 2026 00:00:01 GMT"}, '"a"'),
        (
            {"etag": 'W/"a"', "last_modified": "Thu, 01 Jan 2026 00:00:01 GMT"},
            "Thu, 01 Jan 2026 00:00:01 GMT",
        ),
        ({"etag": 'W/"a"'}, None),
        ({}, None),
    ],
)
def test_a_download_is_continued_only_under_what_if_range_may_name(transport, headers, validator):
    transport.add(FILE, b"abc", **headers)

    body, _ = open_file(transport)

    assert body.validator == validator
    assert body.modified == (1767225601.0 if "last_modified" in headers else None)


@pytest.mark.parametrize("said", ["yesterday", "Thu, 99 Jan 2026 00:00:01 GMT", ""])
def test_a_broken_date_is_no_date(transport, said):
    transport.add(FILE, b"abc", last_modified=said)

    assert open_file(transport)[0].modified is None


@pytest.mark.parametrize(
    "content_range",
    [
        "bytes 0-9/10",
        "bytes 3-9/10",
        "bytes */10",
        "items 2-9/10",
        "bytes 2-",
        "",
        "bytes -2-9/10",
        f"bytes {'2' * 5000}-/9",
    ],
    ids=lambda said: said[:16],
)
def test_a_part_that_does_not_start_where_asked_is_refused(transport, content_range):
    transport.add(FILE, b"x", 206, content_range=content_range)

    with pytest.raises(Unreachable):
        open_file(transport, offset=2, validator='"v"')


@pytest.mark.parametrize("content_range", ["bytes 2-9/10", "Bytes 2-9/*"])
def test_a_part_that_starts_where_asked_is_taken(transport, content_range):
    transport.add(FILE, b"cdefghij", 206, content_range=content_range)

    body, data = open_file(transport, offset=2, validator='"v"')

    assert (body.offset, data) == (2, b"cdefghij")


def test_a_part_that_nobody_asked_for_is_refused(transport):
    transport.add(FILE, b"x", 206, content_range="bytes 2-9/10")

    with pytest.raises(Unreachable):
        open_file(transport)


def test_a_rest_that_upstream_has_not_is_fetched_whole(transport):
    """Conformance 64."""
    transport.add(FILE, b"", 416, content_range="bytes */3")
    transport.add(FILE, b"abc")

    body, data = open_file(transport, offset=7, validator='"v"')

    assert (body.offset, data) == (0, b"abc")
    assert "range" not in transport.asked[-1][2]


def test_416_to_a_plain_question_is_an_error(transport):
    transport.add(FILE, b"", 416)

    with pytest.raises(BadStatus, match="416"):
        open_file(transport)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "120"}, 120.0),
        ({"retry_after": "Thu, 01 Jan 2026 00:01:00 GMT", "date": "Thu, 01 Jan 2026 00:00:00 GMT"}, 60.0),
        ({"retry_after": "Thu, 01 Jan 2026 00:01:00 GMT", "date": "Fri, 02 Jan 2026 00:00:00 GMT"}, 0.0),
        ({"retry_after": "Thu, 01 Jan 2026 00:01:00 GMT"}, None),
        ({"retry_after": "soon"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_told_in_seconds(transport, headers, seconds):
    transport.add(FILE, b"", 503, **headers)

    with pytest.raises(BadStatus) as busy:
        open_file(transport)
    assert busy.value.retry_after == seconds


# Download mirrors.


@pytest.mark.parametrize("mirror", ["https://m.example.net/pool", "https://m.example.net/pool/"])
def test_a_download_mirror_is_tried_before_the_original(transport, mirror):
    def sources(options: Options) -> list[str]:
        async def listed(upstream):
            return list(upstream.sources(f"{FILE}?x=1"))

        return ask(transport, listed, options)

    mirrored = FILE.replace("https://files.example.org", "https://m.example.net/pool")
    assert sources(Options()) == [f"{FILE}?x=1"]
    assert sources(Options(download_mirror=mirror)) == [mirrored, f"{FILE}?x=1"]
    assert sources(Options(download_mirror=mirror, no_fallback=True)) == [mirrored]


def test_a_download_mirror_that_is_the_origin_is_tried_once(transport):
    async def listed(upstream):
        return list(upstream.sources(FILE))

    assert ask(transport, listed, Options(download_mirror="https://files.example.org/")) == [FILE]


def test_a_download_mirror_that_never_answers_is_soon_left_alone(transport):
    mirror = "https://m.example.net"
    mirrored = FILE.replace("https://files.example.org", mirror)
    transport.add_error(mirrored, Unreachable(mirrored, "connection refused"))
    transport.add(FILE, b"abc")
    notices: list[str] = []

    async def fetch(upstream):
        for _ in range(8):
            for address in upstream.sources(FILE):
                try:
                    async with upstream.file(address, size=3):
                        break
                except Unreachable:
                    continue

    ask(transport, fetch, Options(download_mirror=mirror), notices=notices)

    assert transport.count(mirrored) == 5
    assert transport.count(FILE) == 8
    assert notices == [
        f"download-mirror {mirror} does not answer: files come from their original address in this run"
    ]


def test_a_download_mirror_that_answers_now_and_then_is_asked_on(transport):
    mirror = "https://m.example.net"
    mirrored = FILE.replace("https://files.example.org", mirror)
    for _ in range(3):
        transport.add_error(mirrored, Unreachable(mirrored, "reset"))
        transport.add(mirrored, b"", 404)

    async def fetch(upstream):
        for _ in range(6):
            try:
                async with upstream.file(upstream.sources(FILE)[0], size=3):
                    pass
            except (Unreachable, BadStatus):
                pass
        return list(upstream.sources(FILE))

    assert ask(transport, fetch, Options(download_mirror=mirror)) == [mirrored, FILE]
