"""PyPI's XML-RPC interface: what older mirrors follow, and what `pip search` asks (conformance 86, 87).

Serials are those of the project list that is out. A run that is on has published pages above it, in any order, and
somebody who were told of one would believe that he had seen the others.
"""

from __future__ import annotations

import asyncio
import inspect
import tempfile
import xmlrpc.client
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final
from xml.parsers.expat import ExpatError
from xml.sax.saxutils import escape

from frumious.catalog.base import Change
from frumious.server.http import Request, Response
from frumious.server.page_store import KeptFile
from frumious.server.records import Records
from frumious.server.releases import without_illegal
from frumious.server.search import Search
from frumious.server.site import Unavailable

LONGEST: Final = 64 << 10
"""Bytes of a request."""
MOST_CHANGES: Final = 50_000
MOST_HITS: Final = 100
_MOST_WORDS: Final = 20
_PAGE: Final = 20_000
_DEFECT, _UNKNOWN, _BAD, _NO_XML = -32500, -32601, -32602, -32700
_LARGEST: Final = (1 << 31) - 1

_OPENING: Final = "<?xml version='1.0'?>\n<methodResponse><params><param><value>"
_CLOSING: Final = "</value></param></params></methodResponse>\n"
_GONE: Final = frozenset({
    "changelog", "list_packages", "package_data", "package_releases", "package_urls", "release_data", "release_urls",
    "top_packages", "updated_releases", "system.multicall",
})  # fmt: skip
"""Methods that PyPI had once, and answers with a fault."""
_ACTIONS: Final = {"publish": "update", "remove": "remove project"}
"""Other mirrors look at the project for any of them, and read no more out of it."""


class Fault(Exception):
    """What a call is answered with instead of a result."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__(said)
        self.code, self.said = code, said


class XmlRpc:
    """Answers the calls."""

    def __init__(self, records: Records, search: Search) -> None:
        self._records = records
        self._search = search
        self._listed: tuple[int, KeptFile] | None = None
        self._listing = asyncio.Lock()
        self._methods: Mapping[str, Callable[..., Awaitable[str | KeptFile]]] = {
            "changelog_last_serial": self._last_serial,
            "changelog_since_serial": self._since_serial,
            "list_packages_with_serial": self._list_packages,
            "search": self._find,
            "package_roles": self._nobody,
            "user_packages": self._nobody,
            "browse": self._nobody,
        }

    async def answer(self, request: Request) -> Response:
        """Return the result of a call, or its fault: both with status 200, as the protocol wants it."""
        try:
            result = await self._call(await request.body(LONGEST))
        except Fault as fault:
            return _response(_fault(fault))
        except Unavailable as error:
            return _response(_fault(Fault(_DEFECT, f"RuntimeError: {error}")))
        if isinstance(result, KeptFile):
            return Response(200, [*_HEADERS, ("content-length", str(result.length))], result)
        return _response(f"{_OPENING}{result}{_CLOSING}".encode())

    async def _call(self, body: bytes) -> str | KeptFile:
        method, values = read_call(body)
        call = self._methods.get(method)
        if call is None:
            if method in _GONE:
                raise Fault(_DEFECT, f"RuntimeError: {method} is not answered here, nor by PyPI any more")
            raise Fault(_UNKNOWN, f"server error; requested method not found: {method[:100]!r}")
        try:
            inspect.signature(call).bind(*values)
        except TypeError:
            raise Fault(_BAD, f"client error; {method} does not take {len(values)} parameters") from None
        return await call(*values)

    async def _last_serial(self) -> str:
        async with self._records.catalog() as catalog:
            return _int((await catalog.state()).head)

    async def _since_serial(self, serial: object) -> str:
        if isinstance(serial, bool) or not isinstance(serial, int):
            raise Fault(_BAD, "client error; since_serial must be an int")
        async with self._records.catalog() as catalog:
            head = (await catalog.state()).head
            changes = await catalog.changes(min(max(serial, -1), 1 << 62), head, MOST_CHANGES)
        return await asyncio.to_thread(_changelog, changes)

    async def _list_packages(self) -> KeptFile:
        async with self._listing, self._records.catalog() as catalog:
            head = (await catalog.state()).head
            if self._listed is None or self._listed[0] != head:
                with tempfile.TemporaryFile(prefix="frumious-") as file:
                    file.write(f"{_OPENING}<struct>".encode())
                    after = ""
                    while rows := await catalog.projects(after, _PAGE):
                        after = rows[-1][0]
                        file.write(await asyncio.to_thread(_members, rows, head))
                    file.write(f"</struct>{_CLOSING}".encode())
                    file.flush()
                    self._listed = head, KeptFile(file, file.tell())
            return self._listed[1]

    async def _find(self, spec: object, operator: object = "and") -> str:
        if not isinstance(spec, dict) or operator not in ("and", "or"):  # it may be a list: no key of a set
            raise Fault(_BAD, "client error; search takes a struct of words, and `and` or `or`")
        # pip puts the same words into both fields and says `or`: the fields are alternatives, the words are not.
        said = [value for field in ("name", "summary") for value in _texts(spec.get(field))]
        words = dict.fromkeys(word for value in said for word in value.split())
        hits = await self._search.search(list(words)[:_MOST_WORDS], MOST_HITS)
        return _value(
            [
                {"name": hit.name, "summary": hit.summary, "version": hit.version, "_pypi_ordering": False}
                for hit in hits
            ]
        )

    async def _nobody(self, *_parameters: object) -> str:
        return "<array><data></data></array>"  # who owns what is known to PyPI alone


def read_call(body: bytes) -> tuple[str, tuple[Any, ...]]:
    """Return the method and the parameters of a call; raises Fault for what is none.

    Declarations of a document type are refused unread: they are what XML bombs are made of, and no client sends one.
    """
    if b"<!" in body or b"\x00" in body:
        raise Fault(_NO_XML, "parse error; declarations are not accepted")
    try:
        values, method = xmlrpc.client.loads(body, use_builtin_types=True)
    except (
        ExpatError,
        xmlrpc.client.Error,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        ArithmeticError,  # a decimal that is none
    ) as error:
        raise Fault(_NO_XML, f"parse error; not well formed: {type(error).__name__}") from None
    if not isinstance(method, str):
        raise Fault(_NO_XML, "parse error; no method is named")
    return method, values


def _texts(said: object) -> list[str]:
    values = said if isinstance(said, list) else [said]
    return [value for value in values if isinstance(value, str)]


def _changelog(changes: Iterable[Change]) -> str:
    rows = (
        f"<value><array><data><value><string>{_text(change.display)}</string></value><value><nil/></value>"
        f"<value>{_int(change.at)}</value><value><string>{_ACTIONS.get(change.action, change.action)}</string></value>"
        f"<value>{_int(change.serial)}</value></data></array></value>"
        for change in changes
    )
    return f"<array><data>{''.join(rows)}</data></array>"


def _members(rows: Iterable[tuple[str, str, int]], head: int) -> bytes:
    # What a run that is on has published is told as of the list that is out, and again when it is on the next one.
    return "".join(
        f"<member><name>{_text(display)}</name><value>{_int(min(serial, head))}</value></member>"
        for _, display, serial in rows
    ).encode()


def _int(number: int) -> str:
    return f"<int>{number}</int>" if number <= _LARGEST else f"<i8>{number}</i8>"


def _text(said: str) -> str:
    return escape(without_illegal(said))


def _value(said: object) -> str:
    """Return a result of lists, structs and texts."""
    if isinstance(said, bool):
        return f"<boolean>{said:d}</boolean>"
    if isinstance(said, list):
        return f"<array><data>{''.join(f'<value>{_value(one)}</value>' for one in said)}</data></array>"
    if isinstance(said, dict):
        members = (
            f"<member><name>{key}</name><value>{_value(one)}</value></member>" for key, one in said.items()
        )
        return f"<struct>{''.join(members)}</struct>"
    return f"<string>{_text(str(said))}</string>"


def _fault(fault: Fault) -> bytes:
    said = f"<struct><member><name>faultCode</name><value><int>{fault.code}</int></value></member>"
    said += f"<member><name>faultString</name><value><string>{_text(fault.said)}</string></value></member></struct>"
    return f"<?xml version='1.0'?>\n<methodResponse><fault><value>{said}</value></fault></methodResponse>\n".encode()


_HEADERS: Final = [
    ("content-type", "text/xml; charset=utf-8"),
    ("x-content-type-options", "nosniff"),
    ("cache-control", "no-store"),
]


def _response(body: bytes) -> Response:
    return Response(200, _HEADERS, body)
