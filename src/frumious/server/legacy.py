"""What PyPI offered before the Simple API had JSON, and what some clients still ask for: which path is whose."""

from __future__ import annotations

from collections.abc import Mapping

from frumious.server.feeds import Feeds, Stats
from frumious.server.http import READING, Answer, Request, moved, not_found, text
from frumious.server.legacy_json import LegacyJson
from frumious.server.records import Records
from frumious.server.releases import Projects
from frumious.server.search import NameSearch
from frumious.server.site import Route
from frumious.server.tree import Tree
from frumious.server.xmlrpc import XmlRpc


class PypiPaths:
    """Tells apart what is below `/pypi`: calls, documents, and pages that have moved."""

    def __init__(self, documents: LegacyJson, calls: XmlRpc) -> None:
        self._documents = documents
        self._calls = calls

    def answer(self, request: Request) -> Answer:
        """Return a document, the result of a call, or where a page is now."""
        if request.method == "POST":
            return self._calls.answer(request)
        match [part for part in request.path.split("/")[2:] if part]:
            case []:
                return text(200, "XML-RPC: POST here. Legacy JSON: /pypi/NAME/json. Simple API: /simple/")
            case [name, "json"]:
                return self._documents.answer(request, name, None)
            case [name, version, "json"]:
                return self._documents.answer(request, name, version)
            case [name] | [name, _]:
                return (
                    moved(f"{request.prefix}/simple/{name}/", permanently=False)
                    if _is_plain(name)
                    else not_found()
                )
            case _:
                return not_found()


def legacy_routes(
    tree: Tree, projects: Projects, records: Records, slow_records: Records
) -> Mapping[str, Route]:
    """Return the routes by first segment; what looks at every file asks `slow_records`, and keeps nobody waiting."""
    calls = XmlRpc(records, NameSearch(records, projects))
    documents = LegacyJson(tree, projects)
    return {
        "pypi": Route(PypiPaths(documents, calls).answer, own_methods=(*READING, "POST")),
        "RPC2": Route(calls.answer, ("POST",)),
        "json": Route(lambda request: _document(documents, request)),
        "rss": Route(Feeds(records, projects).answer),
        "stats": Route(Stats(slow_records).answer),
    }


def _document(documents: LegacyJson, request: Request) -> Answer:
    """Answer `/json/<name>`, where static mirrors have the same document (conformance 92)."""
    name = request.path[len("/json/") :]
    return not_found() if not name or "/" in name else documents.answer(request, name, None)


def _is_plain(name: str) -> bool:
    return name.isascii() and all(c.isalnum() or c in "-_." for c in name)
