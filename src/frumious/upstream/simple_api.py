"""The Upstream port over HTTP: the Simple API as JSON or HTML, with the legacy JSON where HTML says too little.

Which dialect upstream speaks is what each answer's Content-Type says; nothing is configured or remembered, except
that an upstream has no legacy JSON. Retrying and politeness are the transport's.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Literal, TypeVar
from urllib.parse import urlsplit

import msgspec

from frumious.errors import AbsentProject, BadPage, BadStatus, Unreachable, UpstreamError
from frumious.model.names import NormalizedName
from frumious.model.project import Digest, File, ProjectDetail
from frumious.pages import formats, legacy_json, provenance, simple_html, simple_json
from frumious.pages.reading import serial_of
from frumious.upstream.base import FileBody, OfferedList, OfferedProject
from frumious.upstream.transport import Answer, Stream, Transport

LIST_MAX = 256 * 2**20
"""Longest project list we read. PyPI's, with serials, is 60 MB."""
DETAIL_MAX = 64 * 2**20
"""Longest project page or legacy document we read. 12,000 files make 7 MB of JSON."""
MIRROR_TRIES = 5
"""Files in a row without an answer, after which a download mirror is left alone for the rest of the run."""
LARGE = 4 * 2**20
"""Files above this size get a connection of their own (design.md §5, Politeness)."""
THREAD_ABOVE = 2**20
"""Bodies above this size are read in a thread, so that nothing else waits for them."""

Read = TypeVar("Read")

# A plain HTML index would otherwise be asked once for every one of 900 thousand projects.
_OPTIONAL_TRIES = 3
_ETAG = re.compile(r'(W/)?"[^"]*"\Z')
_CONTENT_RANGE = re.compile(r"\s*bytes\s+([0-9]{1,19})-[0-9]+/([0-9]+|\*)\s*\Z", re.IGNORECASE | re.ASCII)
_CHECK_MASTER = "check `master`: it is the address that `/simple/` is appended to"


@dataclass(frozen=True, slots=True)
class Options:
    """How to ask one upstream."""

    download_mirror: str | None = None
    """Base address that is asked for each file first; the path of the file's URL is appended."""
    no_fallback: bool = False
    """With `download_mirror`: never ask the original address."""
    facts_from_legacy: bool = True
    """Ask the legacy JSON for sizes and upload times that an HTML page lacks."""


class SimpleApiUpstream:
    """An index that speaks the Simple API, at `master` + `/simple/`.

    `on_notice` gets what an operator should know but no call fails for, each sentence once.
    """

    def __init__(
        self,
        transport: Transport,
        master: str,
        options: Options = Options(),
        *,
        on_notice: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._transport = transport
        self._master = master.rstrip("/")
        self._options = options
        self._on_notice = on_notice
        self._noticed: set[str] = set()
        self._legacy = _Optional()
        self._provenance = _Optional()
        self._mirror_silent = 0

    async def project_list(self, etag: str | None) -> OfferedList | None:
        url = f"{self._master}/simple/"
        answer = await self._transport.get(url, _page_headers(etag), max_bytes=LIST_MAX)
        self._notice_moved("/simple/", answer.url)
        if _is_unchanged(answer, etag):
            return None
        if answer.status != 200:
            error = _bad_status(answer)
            error.hint = _CHECK_MASTER if answer.status in {404, 410} else None
            raise error
        reader = simple_json if _form(answer) == "json" else simple_html
        listed = await _read(answer.body, lambda: reader.parse_project_list(answer.body, answer.url))
        self._notice_newer(listed.api_version, answer.url)
        if listed.problems:
            self._notice(
                f"{answer.url}: {len(listed.problems)} entries left out, first: {listed.problems[0]}"
            )
        serial = _header_serial(answer)
        return OfferedList(
            projects=listed.projects,
            serial=listed.serial if serial is None else serial,
            etag=_etag(answer.headers),
        )

    async def serial(self) -> int | None:
        answer = await self._transport.head(f"{self._master}/simple/", _page_headers(None))
        return _header_serial(answer) if answer.status == 200 else None

    async def project(
        self, name: NormalizedName, etag: str | None, *, fresh: bool = False
    ) -> OfferedProject | None:
        url = f"{self._master}/simple/{name}/"
        answer = await self._transport.get(url, _page_headers(etag, fresh=fresh), max_bytes=DETAIL_MAX)
        self._notice_moved(f"/simple/{name}/", answer.url)
        if answer.status in {404, 410}:
            raise AbsentProject(name)
        if _is_unchanged(answer, etag):
            return None
        if answer.status != 200:
            raise _bad_status(answer)
        form = _form(answer)
        said = await _read(answer.body, lambda: self.read(name, answer.body, form, answer.url))
        self._notice_newer(said.api_version, answer.url)
        detail, is_settled = await self._completed(said, form, _header_serial(answer))
        # Without an ETag the page is asked for anew next time, and then the legacy JSON too.
        kept_etag = _etag(answer.headers) if is_settled else None
        if detail == said:
            return OfferedProject(said, answer.body, form, answer.url, kept_etag)
        # Something came from elsewhere (a header, the legacy JSON): keep a page that says it too, so that `read`
        # needs no second request.
        return OfferedProject(
            detail, simple_json.encode_project_detail(detail), "json", answer.url, kept_etag
        )

    def read(self, name: NormalizedName, body: bytes, form: str, url: str) -> ProjectDetail:
        if form == "json":
            return simple_json.parse_project_detail(body, url=url, name=name)
        if form == "html":
            return simple_html.parse_project_detail(body, url=url, name=name)
        raise ValueError(f"no such form of a page: {form!r}")

    async def legacy_document(self, name: NormalizedName) -> bytes | None:
        answer = await self._legacy_answer(name)
        return None if answer is None else answer.body

    async def provenance(self, url: str) -> bytes | None:
        if self._provenance.is_absent:
            return None
        answer = await self._transport.get(
            self._here(url),
            {"accept": f"{provenance.MEDIA_TYPE}, application/json;q=0.9"},
            max_bytes=provenance.LONGEST,
        )
        if answer.status not in {200, 403, 404, 410}:
            raise _bad_status(answer)
        self._learn_of_provenance(answered=answer.status == 200)
        return answer.body if answer.status == 200 else None

    def _learn_of_provenance(self, *, answered: bool) -> None:
        self._provenance.learn(answered=answered)
        if self._provenance.is_absent:
            self._notice(f"{self._master} names provenance and has none: it is left out of our pages")

    def _here(self, url: str) -> str:
        """Return an address at this index: a mirror's pages may name documents of the index it mirrors itself."""
        here, there = urlsplit(self._master), urlsplit(url)
        if (here.scheme, here.netloc) == (there.scheme, there.netloc):
            return url
        return f"{here.scheme}://{here.netloc}{here.path}{there.path}"

    def sources(self, url: str) -> Sequence[str]:
        mirror = self._options.download_mirror
        if mirror is None:
            return (url,)
        mirrored = mirror.rstrip("/") + urlsplit(url).path
        if self._options.no_fallback or mirrored == url:
            return (mirrored,)
        return (url,) if self._mirror_silent >= MIRROR_TRIES else (mirrored, url)

    def _notice_mirror(self, address: str, *, answered: bool) -> None:
        """Count files in a row for which the download mirror gave no answer; soon it is not asked any more."""
        mirror = self._options.download_mirror
        if mirror is None or not address.startswith(mirror):
            return
        self._mirror_silent = 0 if answered else self._mirror_silent + 1
        if self._mirror_silent == MIRROR_TRIES and not self._options.no_fallback:
            self._notice(
                f"download-mirror {mirror} does not answer: files come from their original address in this run"
            )

    @asynccontextmanager
    async def file(
        self, address: str, *, size: int | None, offset: int = 0, validator: str | None = None
    ) -> AsyncIterator[FileBody]:
        large = (size is None or size > LARGE) and not address.endswith(".metadata")
        whole = {"accept-encoding": "identity"}
        rest = {**whole, "range": f"bytes={offset}-", "if-range": validator or ""}
        asks_rest = offset > 0 and validator is not None
        async with AsyncExitStack() as opened:
            try:
                stream = await opened.enter_async_context(
                    self._transport.stream(address, rest if asks_rest else whole, large=large)
                )
            except Unreachable:
                self._notice_mirror(address, answered=False)
                raise
            self._notice_mirror(address, answered=True)
            if stream.status == 416 and asks_rest:
                # Upstream has less than we hold: what we hold is of no use.
                await opened.aclose()
                asks_rest = False
                stream = await opened.enter_async_context(self._transport.stream(address, whole, large=large))
            if stream.status not in {200, 206}:
                raise _bad_status(stream)
            yield FileBody(
                chunks=stream.chunks,
                offset=_start(stream, offset if asks_rest else 0),
                validator=_validator(stream.headers),
                modified=_last_modified(stream.headers),
                url=stream.url,
            )

    async def aclose(self) -> None:
        await self._transport.aclose()

    async def _completed(
        self, said: ProjectDetail, form: Literal["json", "html"], header: int | None
    ) -> tuple[ProjectDetail, bool]:
        """Add what the page itself did not say, the header's serial and the legacy JSON's facts.

        The second value is False where the legacy JSON may say more later although the page stays as it is.
        """
        detail = said if header is None else msgspec.structs.replace(said, serial=header)
        wants_facts = form == "html" and self._options.facts_from_legacy and not self._legacy.is_absent
        if not wants_facts or all(map(_is_complete, detail.files)):
            return detail, True
        try:
            facts = await self._facts(said.name)
        except UpstreamError as error:
            # Facts that were there yesterday must not vanish from our page because of one bad moment.
            if self._legacy.has_answered and error.may_retry:
                raise
            self._learn_of_legacy(answered=False)
            return detail, not error.may_retry
        self._learn_of_legacy(answered=facts is not None)
        if facts is None:
            return detail, True
        files = tuple(_with_facts(file, facts.get(file.filename)) for file in detail.files)
        lags = any(not _is_same_content(file.digest, facts.get(file.filename)) for file in detail.files)
        return msgspec.structs.replace(detail, files=files), not lags

    async def _facts(self, name: NormalizedName) -> Mapping[str, legacy_json.ReleaseFacts] | None:
        answer = await self._legacy_answer(name)
        if answer is None:
            return None
        return await _read(answer.body, lambda: legacy_json.parse_release_facts(answer.body, answer.url))

    def _learn_of_legacy(self, *, answered: bool) -> None:
        self._legacy.learn(answered=answered)
        if self._legacy.is_absent:
            self._notice(
                f"{self._master} has HTML pages and no legacy JSON: sizes and upload times stay unknown there"
            )

    async def _legacy_answer(self, name: NormalizedName) -> Answer | None:
        url = f"{self._master}/pypi/{name}/json"
        answer = await self._transport.get(url, {"accept": "application/json"}, max_bytes=DETAIL_MAX)
        if answer.status in {404, 410}:
            return None
        if answer.status != 200:
            raise _bad_status(answer)
        return answer

    def _notice_moved(self, path: str, url: str) -> None:
        """Say once where the index has moved to, if it answers from another address."""
        now = url.removesuffix(path)
        if now not in {url, self._master}:
            self._notice(
                f"{self._master} redirects to {now}: write `master = {now}` and spare each page a request"
            )

    def _notice_newer(self, version: str, url: str) -> None:
        if formats.check_api_version(version, url):
            self._notice(
                f"{self._master} speaks Simple API {version}; what is newer than {formats.API_VERSION} is ignored"
            )

    def _notice(self, sentence: str) -> None:
        if sentence not in self._noticed:
            self._noticed.add(sentence)
            self._on_notice(sentence)


class _Optional:
    """Whether upstream has a thing at all, learned from its answers."""

    def __init__(self) -> None:
        self.has_answered = False
        self._failures = 0

    @property
    def is_absent(self) -> bool:
        return not self.has_answered and self._failures >= _OPTIONAL_TRIES

    def learn(self, *, answered: bool) -> None:
        self.has_answered = self.has_answered or answered
        self._failures += not answered


async def _read(body: bytes, reader: Callable[[], Read]) -> Read:
    return await asyncio.to_thread(reader) if len(body) > THREAD_ABOVE else reader()


def _is_complete(file: File) -> bool:
    return file.size is not None and file.upload_time is not None


def _with_facts(file: File, facts: legacy_json.ReleaseFacts | None) -> File:
    """Add what the page lacks, unless the legacy JSON means other bytes (a cache may be older than the page)."""
    if facts is None or not _is_same_content(file.digest, facts):
        return file
    digest = file.digest
    if facts.sha256 is not None and (digest is None or digest.algorithm == "md5"):
        digest = Digest("sha256", facts.sha256)
    return msgspec.structs.replace(
        file,
        digest=digest,
        size=facts.size if file.size is None else file.size,
        upload_time=facts.upload_time if file.upload_time is None else file.upload_time,
    )


def _is_same_content(digest: Digest | None, facts: legacy_json.ReleaseFacts | None) -> bool:
    if facts is None:
        return False
    promised = {"sha256": facts.sha256, "md5": facts.md5}.get(digest.algorithm) if digest else None
    return digest is None or promised is None or promised == digest.hex


def _page_headers(etag: str | None, *, fresh: bool = False) -> dict[str, str]:
    headers = {"accept": formats.ACCEPT}
    if etag is not None:
        headers["if-none-match"] = etag
    if fresh:
        headers["cache-control"] = "no-cache"
    return headers


def _is_unchanged(answer: Answer, etag: str | None) -> bool:
    return answer.status == 304 and etag is not None


def _form(answer: Answer) -> Literal["json", "html"]:
    content_type = answer.headers.get("content-type")
    form = formats.form_of(content_type)
    if form is None:
        error = BadPage(
            answer.url, f"Content-Type {content_type!r} is neither JSON nor HTML of the Simple API"
        )
        error.hint = _CHECK_MASTER
        raise error
    return form


def _header_serial(answer: Answer) -> int | None:
    return serial_of(answer.headers.get("x-pypi-last-serial", "").strip())


def _etag(headers: Mapping[str, str]) -> str | None:
    said = headers.get("etag", "").strip()
    return said if _ETAG.match(said) else None


def _validator(headers: Mapping[str, str]) -> str | None:
    """Return what `If-Range` may name: a strong ETag, or a date (RFC 9110 §13.1.5)."""
    etag = _etag(headers)
    if etag is not None and not etag.startswith("W/"):
        return etag
    return headers.get("last-modified")


def _last_modified(headers: Mapping[str, str]) -> float | None:
    return _instant(headers.get("last-modified"))


def _instant(said: str | None) -> float | None:
    try:
        return None if said is None else parsedate_to_datetime(said).timestamp()
    except (ValueError, OverflowError):
        return None


def _start(stream: Stream, asked: int) -> int:
    """Return where the body begins; Unreachable if that is not where it was asked to begin."""
    if stream.status == 200:
        return 0
    said = stream.headers.get("content-range", "")
    found = _CONTENT_RANGE.match(said)
    if found is None or int(found[1]) != asked:
        raise Unreachable(
            stream.url, f"asked for bytes from {asked}, got {said or 'a part that is not named'}"
        )
    return asked


def _bad_status(answer: Answer | Stream) -> BadStatus:
    return BadStatus(answer.url, answer.status, _retry_after(answer.headers))


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return `Retry-After` in seconds; a date counts from the answer's own `Date`, so no clock is needed."""
    said = headers.get("retry-after", "").strip()
    if said.isascii() and said.isdecimal():
        return float(said)
    until, now = _instant(said or None), _instant(headers.get("date"))
    return None if until is None or now is None else max(0.0, until - now)
