"""The upstream port's promises, tested against every dialect; subclass it and give a `face` (see test_upstream_*).

What a dialect cannot say is part of the expectation: it must come out as unknown, never as something made up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

import pytest

from frumious.errors import AbsentProject, BadPage, BadStatus, Unreachable, UnsupportedVersion
from frumious.model.names import NormalizedName, normalize
from frumious.model.project import Digest, File, ProjectStatus
from frumious.upstream.base import FileBody, OfferedList, OfferedProject, Upstream
from support.index import (
    ApiVersion,
    Cut,
    Drip,
    EmptyList,
    Garbage,
    IndexFile,
    NoRange,
    OtherRange,
    Request,
    Reset,
    SimulatedIndex,
    Stale,
    Status,
)
from support.index_faults import Faults
from support.index_pages import Dialect

T = TypeVar("T")
SIX = normalize("six")
NO_PAGE = Garbage(b"%PDF-1.7", "application/pdf")


class Face(Protocol):
    """One upstream under test, over one simulated index."""

    index: SimulatedIndex
    dialect: Dialect
    faults: Faults

    def run(self, use: Callable[[Upstream], Awaitable[T]]) -> T:
        """Open the upstream, use it, close it. It does not retry."""

    def requests(self, pattern: str) -> Sequence[Request]: ...


@dataclass(frozen=True)
class Download:
    """A download read to its end."""

    data: bytes
    offset: int
    validator: str | None
    modified: float | None


def offered_list(face: Face, etag: str | None = None) -> OfferedList | None:
    return face.run(lambda upstream: upstream.project_list(etag))


def offered(face: Face, name: NormalizedName = SIX, etag: str | None = None) -> OfferedProject:
    answer = face.run(lambda upstream: upstream.project(name, etag))
    assert answer is not None
    return answer


def download(face: Face, url: str, offset: int = 0, validator: str | None = None) -> Download:
    async def read(upstream: Upstream) -> Download:
        async with upstream.file(url, size=None, offset=offset, validator=validator) as body:
            data = b"".join([chunk async for chunk in body.chunks])
            return Download(data, body.offset, body.validator, body.modified)

    return face.run(read)


async def read_into(held: bytearray, body: FileBody) -> None:
    async for chunk in body.chunks:
        held.extend(chunk)


def known_serial(face: Face, serial: int) -> int | None:
    return None if face.dialect.serials == "none" else serial


def expected_file(face: Face, file: IndexFile, url: str) -> File:
    """Say what this dialect can tell of a file; `url` stands for an address that only the server knows."""
    dialect = face.dialect
    sized = dialect.minor >= 1 if dialect.form == "json" else dialect.legacy
    metadata: Digest | bool | None = None
    if dialect.core_metadata:
        metadata = Digest("sha256", file.metadata_sha256) if file.metadata_sha256 else False
    if dialect.form == "html" and metadata is False:
        metadata = None  # HTML has no way to say that there is none
    return File(
        file.filename,
        url,
        Digest("sha256", file.sha256),
        size=len(file.content) if sized else None,
        requires_python=file.requires_python,
        upload_time=file.upload_time if sized else None,
        yanked=file.yanked,
        core_metadata=metadata,
    )


class UpstreamContract:
    """Promises of `frumious.upstream.base.Upstream`."""

    # The list.

    def test_the_list_gives_display_names_and_the_serials_there_are(self, face: Face):
        face.index.upload("Foo.Bar")
        face.index.create("empty")
        face.index.upload("evil")
        face.index.quarantine("evil")

        answer = offered_list(face)

        assert sorted(project.name for project in answer.projects) == ["Foo.Bar", "empty"]
        assert answer.serial == known_serial(face, face.index.serial)
        # HTML has no place for a project's own serial.
        listed = {"Foo.Bar": 4, "empty": 6} if face.dialect.form == "json" else {}
        for project in answer.projects:
            wanted = listed.get(project.name)
            assert project.serial == (None if wanted is None else known_serial(face, wanted))

    def test_a_list_of_nobody_is_a_list(self, face: Face):
        face.faults.add("list", EmptyList())

        assert offered_list(face).projects == ()

    def test_an_unchanged_list_is_not_fetched_again(self, face: Face):
        face.index.upload("six")
        first = offered_list(face)
        if not face.dialect.etags:
            assert first.etag is None
            return

        assert offered_list(face, first.etag) is None
        assert face.requests("list")[-1].etag == first.etag

        face.index.upload("idna")
        assert len(offered_list(face, first.etag).projects) == 2

    def test_what_is_no_list_is_an_error_of_its_kind(self, face: Face):
        face.index.upload("six")
        for effect in (NO_PAGE, ApiVersion("2.0"), Status(503), Status(404), Reset()):
            face.faults.add("list", effect)

        with pytest.raises(BadPage):
            offered_list(face)
        with pytest.raises(UnsupportedVersion):
            offered_list(face)
        with pytest.raises(BadStatus) as busy:
            offered_list(face)
        assert (busy.value.status, busy.value.may_retry) == (503, True)
        with pytest.raises(BadStatus) as absent:
            offered_list(face)
        assert (absent.value.status, absent.value.may_retry) == (404, False)
        with pytest.raises(Unreachable):
            offered_list(face)
        assert len(offered_list(face).projects) == 1

    def test_a_list_that_breaks_off_is_no_list(self, face: Face):
        face.index.upload("six")
        face.faults.add("list", Cut(20))

        with pytest.raises(Unreachable):
            offered_list(face)

    # The global serial alone.

    def test_the_serial_comes_from_a_head_request_where_there_is_one(self, face: Face):
        face.index.upload("six")
        says = face.dialect.serial_header and face.dialect.serials != "none"

        assert face.run(lambda upstream: upstream.serial()) == (face.index.serial if says else None)
        assert [request.method for request in face.requests("serial")] == ["HEAD"]

    def test_an_upstream_that_knows_no_head_has_no_serial(self, face: Face):
        for status in (404, 405, 501):
            face.faults.add("serial", Status(status))
            assert face.run(lambda upstream: upstream.serial()) is None

    def test_an_upstream_that_is_away_is_an_error(self, face: Face):
        face.faults.add("serial", Reset())

        with pytest.raises(Unreachable):
            face.run(lambda upstream: upstream.serial())

    # A project.

    def test_a_page_gives_every_file_with_all_that_is_said_of_it(self, face: Face):
        files = [
            face.index.upload("Foo.Bar", "1.0", requires_python=">=3.8, <4"),
            face.index.upload("foo-bar", "1.0", "foo_bar-1.0.tar.gz"),
            face.index.upload("foo_bar", "2!2.0+a", "sp ace-2!2.0+a.zip"),
            face.index.upload("foo_bar", "3", "foo.bar-3-cp39-grün.egg"),
        ]

        answer = offered(face, normalize("foo-bar"))

        detail = answer.detail
        assert detail.name == "foo-bar"
        assert detail.serial == known_serial(face, face.index.serial)
        urls = [file.url for file in detail.files]
        assert all(url.startswith("https://") for url in urls)
        assert list(detail.files) == [expected_file(face, *pair) for pair in zip(files, urls, strict=True)]
        assert [download(face, url).data for url in urls] == [file.content for file in files]
        known = face.dialect.form == "json" and face.dialect.minor >= 1
        assert (detail.versions is not None) == known
        if known:
            assert set(detail.versions) == {"1.0", "2!2.0+a", "3"}

    def test_a_yank_is_told_with_its_reason(self, face: Face):
        face.index.upload("six", "1.0")
        face.index.upload("six", "2.0")
        face.index.upload("six", "3.0")
        face.index.yank("six", "1.0", 'a "b" <c> & ☃')
        face.index.yank("six", "2.0")

        assert [file.yanked for file in offered(face).detail.files] == ['a "b" <c> & ☃', "", None]

    def test_status_is_told_where_the_dialect_has_it(self, face: Face):
        face.index.upload("six")
        face.index.archive("six")

        assert offered(face).detail.status is (ProjectStatus.ARCHIVED if face.dialect.minor >= 4 else None)

    def test_a_quarantined_or_empty_project_is_a_page_without_files(self, face: Face):
        face.index.create("empty")
        face.index.upload("six")
        face.index.quarantine("six")

        assert offered(face, normalize("empty")).detail.files == ()
        assert offered(face).detail.files == ()

    def test_a_kept_page_reads_as_the_same_detail_without_a_request(self, face: Face):
        face.index.upload("six", requires_python="<4")
        face.index.upload("six", "1.0", "six-1.0.tar.gz")
        face.index.yank("six", "1.0", "<why> \"'&")
        answer = offered(face)
        asked = len(face.requests("*"))

        async def read(upstream: Upstream):
            return upstream.read(SIX, answer.body, answer.form, answer.url)

        assert face.run(read) == answer.detail
        assert len(face.requests("*")) == asked

    def test_one_page_is_one_request(self, face: Face):
        face.index.upload("six")

        offered(face)

        assert len(face.requests("page:*")) == 1
        assert len(face.requests("list")) == 0
        asks_legacy = face.dialect.form == "html"
        assert len(face.requests("legacy:*")) == asks_legacy

    def test_an_unchanged_page_is_not_fetched_again(self, face: Face):
        face.index.upload("six")
        first = offered(face)
        if not face.dialect.etags:
            assert first.etag is None
            return

        assert face.run(lambda upstream: upstream.project(SIX, first.etag)) is None
        assert face.requests("page:six")[-1].etag == first.etag

        face.index.touch("six")
        assert offered(face, SIX, first.etag).detail.serial == known_serial(face, face.index.serial)

    def test_an_unchanged_index_without_etags_gives_the_same_bytes(self, face: Face):
        face.index.upload("six")

        assert offered(face).body == offered(face).body

    def test_fresh_asks_caches_to_revalidate(self, face: Face):
        face.index.upload("six")

        face.run(lambda upstream: upstream.project(SIX, None))
        face.run(lambda upstream: upstream.project(SIX, None, fresh=True))

        asked = [request.headers.get("cache-control") for request in face.requests("page:six")]
        assert asked == [None, "no-cache"]

    def test_an_old_page_is_handed_over_as_it_is(self, face: Face):
        face.index.upload("six", "1.0")
        old = face.index.serial
        face.index.upload("six", "2.0")
        face.faults.add("page:six", Stale())

        assert offered(face).detail.serial == known_serial(face, old)

    def test_an_absent_project_is_absent(self, face: Face):
        with pytest.raises(AbsentProject) as unknown:
            offered(face)
        assert unknown.value.name == "six"

        face.index.upload("six")
        face.faults.add("page:six", Status(410))
        with pytest.raises(AbsentProject):
            offered(face)
        assert len(offered(face).detail.files) == 1

    def test_what_is_no_page_is_an_error_of_its_kind(self, face: Face):
        """Conformance 99: another major version is refused."""
        face.index.upload("six")
        for effect in (NO_PAGE, ApiVersion("2.0"), Status(429, retry_after=7), Reset(), Cut(30)):
            face.faults.add("page:six", effect)

        with pytest.raises(BadPage):
            offered(face)
        with pytest.raises(UnsupportedVersion) as newer:
            offered(face)
        assert newer.value.version == "2.0"
        with pytest.raises(BadStatus) as limited:
            offered(face)
        assert (limited.value.status, limited.value.retry_after, limited.value.may_retry) == (429, 7, True)
        with pytest.raises(Unreachable):
            offered(face)
        with pytest.raises(Unreachable):
            offered(face)
        assert len(offered(face).detail.files) == 1

    def test_a_newer_minor_version_is_read(self, face: Face):
        """Conformance 99."""
        face.index.upload("six")
        face.faults.add("page:six", ApiVersion("1.9"))
        face.faults.add("list", ApiVersion("1.9"))

        assert offered(face).detail.api_version == "1.9"
        assert len(offered_list(face).projects) == 1

    # The legacy document.

    def test_the_legacy_document_is_given_where_there_is_one(self, face: Face):
        face.index.upload("six")
        face.index.create("empty")

        document = face.run(lambda upstream: upstream.legacy_document(SIX))

        assert (document is not None) == face.dialect.legacy
        if document is not None:
            assert (
                hashlib.sha256(face.index.file("six-1.0-py3-none-any.whl").content).hexdigest().encode()
                in document
            )
        assert face.run(lambda upstream: upstream.legacy_document(normalize("empty"))) is None
        assert face.run(lambda upstream: upstream.legacy_document(normalize("nobody"))) is None

    def test_a_legacy_document_that_cannot_be_had_now_is_an_error(self, face: Face):
        face.index.upload("six")
        face.faults.add("legacy:six", Status(503))

        with pytest.raises(BadStatus):
            face.run(lambda upstream: upstream.legacy_document(SIX))

    # Files.

    def test_a_file_comes_whole_with_its_facts(self, face: Face):
        content = bytes(range(256)) * 3000
        file = face.index.upload("six", "1.0", "six-1.0.zip", content)
        url = offered(face).detail.files[0].url

        got = download(face, url)

        assert (got.data, got.offset) == (content, 0)
        assert got.modified == datetime.fromisoformat(file.upload_time).replace(microsecond=0).timestamp()
        assert got.validator is not None
        if face.dialect.etags:
            assert got.validator.startswith('"')

    def test_core_metadata_lies_beside_its_file(self, face: Face):
        file = face.index.upload("six")

        assert download(face, f"{offered(face).detail.files[0].url}.metadata").data == file.metadata

    def test_provenance_is_asked_of_this_index_wherever_its_page_says_it_is(self, face: Face):
        file = face.index.upload("six", provenance=True)
        elsewhere = f"https://elsewhere.example.org{file.provenance_path}"

        assert face.run(lambda upstream: upstream.provenance(elsewhere)) == file.provenance
        if face.dialect.minor >= 3 and (said := offered(face).detail.files[0].provenance) is not None:
            assert face.run(lambda upstream: upstream.provenance(said)) == file.provenance

    def test_provenance_that_is_not_there_is_none_and_a_failure_is_an_error(self, face: Face):
        file = face.index.upload("six", provenance=True)
        url = f"https://elsewhere.example.org{file.provenance_path}"
        for effect in (Status(404), Status(503), Reset()):
            face.faults.add("provenance:*", effect)

        assert face.run(lambda upstream: upstream.provenance(url)) is None
        with pytest.raises(BadStatus):
            face.run(lambda upstream: upstream.provenance(url))
        with pytest.raises(Unreachable):
            face.run(lambda upstream: upstream.provenance(url))

    def test_an_empty_file_is_a_file(self, face: Face):
        face.index.upload("six", "1.0", "six-1.0.zip", b"")

        assert download(face, offered(face).detail.files[0].url).data == b""

    def test_blocks_are_of_bounded_size(self, face: Face):
        face.index.upload("six", "1.0", "six-1.0.zip", b"x" * 3_000_000)
        url = offered(face).detail.files[0].url

        async def blocks(upstream: Upstream) -> list[int]:
            async with upstream.file(url, size=3_000_000) as body:
                return [len(chunk) async for chunk in body.chunks]

        sizes = face.run(blocks)
        assert sum(sizes) == 3_000_000
        assert max(sizes) <= 256 * 1024

    def test_a_broken_download_goes_on_where_it_stopped(self, face: Face):
        content = bytes(range(256)) * 8000
        face.index.upload("six", "1.0", "six-1.0.zip", content)
        url = offered(face).detail.files[0].url
        face.faults.add("file:*", Cut(1_900_000))
        held = bytearray()

        async def broken(upstream: Upstream) -> str | None:
            async with upstream.file(url, size=len(content)) as body:
                with pytest.raises(Unreachable):
                    await read_into(held, body)
                return body.validator

        validator = face.run(broken)
        # What a client had read ahead may be lost with the connection; what was handed over counts.
        assert len(held) > 0
        rest = download(face, url, len(held), validator)

        assert rest.offset == len(held)
        assert bytes(held) + rest.data == content

    @pytest.mark.parametrize("offset", [1, 255, 2047])
    def test_a_rest_starts_where_it_was_asked(self, face: Face, offset: int):
        content = bytes(range(256)) * 8
        face.index.upload("six", "1.0", "six-1.0.zip", content)
        url = offered(face).detail.files[0].url

        rest = download(face, url, offset, download(face, url).validator)

        assert (rest.offset, rest.data) == (offset, content[offset:])

    def test_a_rest_that_cannot_be_had_is_the_whole(self, face: Face):
        content = bytes(range(256)) * 8
        face.index.upload("six", "1.0", "six-1.0.zip", content)
        url = offered(face).detail.files[0].url
        validator = download(face, url).validator

        changed = download(face, url, 100, '"another"')
        unnamed = download(face, url, 100, None)
        beyond = download(face, url, len(content), validator)
        face.faults.add("file:*", NoRange())
        ignored = download(face, url, 100, validator)

        assert {(got.offset, got.data) for got in (changed, unnamed, beyond, ignored)} == {(0, content)}

    def test_a_rest_from_elsewhere_is_refused(self, face: Face):
        face.index.upload("six")
        url = offered(face).detail.files[0].url
        validator = download(face, url).validator
        face.faults.add("file:*", OtherRange())

        with pytest.raises(Unreachable):
            download(face, url, 10, validator)

    def test_a_slow_body_arrives_too(self, face: Face):
        file = face.index.upload("six")
        url = offered(face).detail.files[0].url
        face.faults.add("file:*", Drip(100))

        assert download(face, url).data == file.content

    def test_a_file_that_is_not_there_does_not_open(self, face: Face):
        face.index.upload("six")
        url = offered(face).detail.files[0].url
        for effect in (Status(403), Status(503, retry_after=3), Reset()):
            face.faults.add("file:*", effect)

        with pytest.raises(BadStatus, match="403"):
            download(face, url)
        with pytest.raises(BadStatus) as busy:
            download(face, url)
        assert (busy.value.may_retry, busy.value.retry_after) == (True, 3)
        with pytest.raises(Unreachable):
            download(face, url)
        face.index.lose_bytes("six-1.0-py3-none-any.whl")
        with pytest.raises(BadStatus, match="404"):
            download(face, url)

    def test_a_file_has_itself_for_its_source(self, face: Face):
        async def sources(upstream: Upstream) -> Sequence[str]:
            return upstream.sources("https://files.example.org/packages/a.whl")

        assert list(face.run(sources)) == ["https://files.example.org/packages/a.whl"]
