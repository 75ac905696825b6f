"""docs/openapi.yaml and the real `frumious serve`: what is asked gets what is described, and all that is described is got.

Schemathesis asks, with data that fits the description and data that does not. So that it meets more than 404, most of its
paths are of what is here; and each answer that is described is asked for by name (`ASKED`).
"""

from __future__ import annotations

import base64
import functools
import json
import operator
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import FailureGroup

from frumious.pages.formats import HTML_TYPE, JSON_TYPE
from frumious.pages.provenance import MEDIA_TYPE as PROVENANCE
from frumious.server.access import token_line
from support import httpd
from support.index import SimulatedIndex, serve
from support.program import Mirror
from support.serving import serving, write_config

EXAMPLES = 20
"""For each operation, by chance; some forty more are those that schemathesis tries first."""
CONFIG = {
    "generation": {"max-examples": EXAMPLES},
    "checks": {
        # A range may end behind the end of what it is of.
        "positive_data_acceptance": {"expected-statuses": ["2xx", "3xx", "404", "416"]},
        # What is not understood is ignored: conditions and ranges by RFC 9110, other parameters as PyPI does.
        "negative_data_rejection": {"enabled": False},
        # No header is required.
        "missing_required_header": {"enabled": False},
        # Who logs in here is told the same as who does not; test_a_private_mirror has the other case.
        "ignored_auth": {"enabled": False},
        # Nothing can be made or deleted.
        "use_after_free": {"enabled": False},
        "ensure_resource_availability": {"enabled": False},
        "object_level_authorization": {"enabled": False},
    },
}
DESCRIPTION = schemathesis.openapi.from_path(
    Path(__file__).parents[2] / "docs/openapi.yaml", config=SchemathesisConfig.from_dict(CONFIG)
)
OPERATIONS = {
    operation.definition.raw["operationId"]: operation
    for operation in (found.ok() for found in DESCRIPTION.get_all_operations())
}


# --- what is asked -----------------------------------------------------------------------------------------------------


def an_index():
    index = SimulatedIndex()
    index.upload("Foo.Bar", "1.0", requires_python=">=3.8", provenance=True)
    index.upload("Foo.Bar", "1.0", "foo_bar-1.0.tar.gz")
    index.upload("Foo.Bar", "2.0")
    index.yank("Foo.Bar", "2.0", 'breaks "everything" <now>')
    index.upload("snark", "1.0", requires_dist=["foo-bar"])
    index.upload("old", "1.0rc1")
    index.archive("old")
    index.upload("bad", "1.0")
    index.create("empty")
    return index


INDEX = an_index()
WHEEL, SDIST = INDEX.file("foo_bar-1.0-py3-none-any.whl"), INDEX.file("foo_bar-1.0.tar.gz")


def place_of(file):
    """Return what stands for a file in any path."""
    first, second, rest, filename = file.path.split("/")[2:]
    return {"first": first, "second": second, "rest": rest, "filename": filename,
            "project": "foo-bar", "version": "1.0", "letter": "f"}  # fmt: skip


HERE = place_of(WHEEL)
NOWHERE = {**HERE, "first": "00", "project": "nope"}
REAL = [HERE, place_of(SDIST), *({**HERE, "project": name} for name in ("Foo.Bar", "snark", "old", "bad", "empty"))]  # fmt: skip
"""What is here, for paths that chance would never find."""

TEXT, XML = "text/plain; charset=utf-8", "text/xml; charset=utf-8"
BINARY, PLAIN_JSON, HTML = "application/octet-stream", "application/json", "text/html"
PLAIN = {"Accept-Encoding": "identity"}
HAS_IT, HALF, BEYOND = {"If-None-Match": "*"}, {"Range": "bytes=1-2"}, {"Range": "bytes=99999999-"}
CALL = b"<methodCall><methodName>changelog_last_serial</methodName></methodCall>"


@dataclass(frozen=True)
class Ask:
    """One request, and what must come of it."""

    operation: str
    status: int
    media_type: str | None
    path: dict[str, str] = field(default_factory=lambda: HERE)
    headers: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    server: str = "server"
    """The fixture that is asked: `server`, or `bare`, where there is nothing yet."""

    def case(self):
        operation = OPERATIONS[self.operation]
        body: dict[str, Any] = {} if self.body is None else {"body": self.body, "media_type": "text/xml"}
        return operation.Case(
            path_parameters=path_of(operation, self.path), headers=dict(self.headers), query=dict(self.query), **body,
        )  # fmt: skip


def accept(media_type):
    return {"Accept": media_type}


def of_a_page(name, *media_types, other_forms=True):
    negotiated = (Ask(name, 200, one, headers=accept(one)) for one in media_types)
    chosen = (Ask(name, 200, one, query={"format": one}) for one in media_types if other_forms)
    refused = (Ask(name, 406, TEXT, headers=accept("image/png")),) if other_forms else ()
    return [*negotiated, *chosen, *refused, Ask(name, 304, None, headers=HAS_IT)]


def of_a_file(name, *media_types):
    return [
        *(Ask(name, 200, one, headers=accept(one)) for one in media_types),
        *(Ask(name, 206, one, headers={**accept(one), **HALF}) for one in media_types),
        Ask(name, 304, None, headers=HAS_IT),
        Ask(name, 416, TEXT, headers=BEYOND),
    ]


def missing(*names, media_type=TEXT, path=NOWHERE, server="server"):
    return [Ask(name, 404, media_type, path, server=server) for name in names]


LISTS = ("list_projects", "list_projects_as_json", "list_projects_as_v1_html", "list_projects_as_html")
PAGES = ("describe_project", "describe_project_as_json", "describe_project_as_v1_html", "describe_project_as_html")  # fmt: skip
FILES = ("get_file", "get_metadata", "get_provenance")
DOCUMENTS = ("get_project_document", "get_project_document_as_static_mirrors_have_it", "get_release_document")
STATIC = ("get_last_modified", "get_serials", "get_serial")
FEEDS = ("get_newest_updates", "get_newest_projects", "get_newest_releases")
FORMS = (JSON_TYPE, HTML_TYPE, HTML)
SPELLED = {**HERE, "project": "Foo_Bar"}
STRAY = {**HERE, "project": "a/b/c"}
"""No path that is anybody's."""

ASKED = [
    *(ask for name in (LISTS[0], PAGES[0]) for ask in of_a_page(name, *FORMS)),
    *(ask for names in (LISTS, PAGES) for name, form in zip(names[1:], FORMS, strict=True) for ask in of_a_page(name, form, other_forms=False)),
    Ask("find_list", 301, TEXT),
    Ask("find_project", 301, TEXT, NOWHERE),
    Ask("describe_project", 301, TEXT, SPELLED),
    Ask("describe_project", 200, JSON_TYPE, {"project": "old"}, accept(JSON_TYPE)),
    Ask("describe_project", 200, JSON_TYPE, {"project": "bad"}, accept(JSON_TYPE)),
    Ask("describe_project", 200, JSON_TYPE, {"project": "empty"}, accept(JSON_TYPE)),
    *missing(*LISTS, server="bare"),
    *missing(*PAGES),
    *missing("find_project", path={"project": "-"}),
    *of_a_file("get_file", BINARY), *of_a_file("get_metadata", TEXT), *of_a_file("get_provenance", PROVENANCE),
    *missing(*FILES, "find_file"),
    Ask("find_file", 302, TEXT),
    *of_a_file("get_integrity", PROVENANCE, PLAIN_JSON),
    Ask("get_integrity", 406, PLAIN_JSON, headers=accept("text/html")),
    *(Ask(name, 200, PLAIN_JSON, {**HERE, "project": project}) for name in DOCUMENTS for project in ("foo-bar", "snark")),
    *(Ask(name, 301, TEXT, SPELLED) for name in DOCUMENTS),
    *(Ask(name, 304, None, headers=HAS_IT) for name in DOCUMENTS),
    *missing(*DOCUMENTS, "get_integrity", media_type=PLAIN_JSON),
    *missing(*DOCUMENTS, "get_integrity", path=STRAY),
    *(Ask(name, 302, TEXT) for name in ("find_project_from_old_address", "find_release_from_old_address")),
    *missing("find_project_from_old_address", "find_release_from_old_address", path={"project": "!", "version": "1"}),
    Ask("explain_pypi", 200, TEXT),
    *(Ask(name, 200, XML, body=body) for name in ("call", "call_at_rpc2") for body in (CALL, b"<methodCall/>")),
    *(Ask(name, 413, TEXT, body=b" " * 70_000) for name in ("call", "call_at_rpc2")),
    *(Ask(name, 200, XML) for name in FEEDS),
    *(Ask(name, 304, None, headers=HAS_IT) for name in FEEDS),
    *missing("get_newest_releases"),
    *(Ask(name, 503, TEXT, server="bare") for name in (*FEEDS[:2], "get_stats")),
    Ask("get_stats", 200, PLAIN_JSON),
    *(ask for name, media_type in zip(STATIC, (TEXT, PLAIN_JSON, BINARY), strict=True) for ask in of_a_file(name, media_type)),
    *missing(*STATIC, server="bare"),
    Ask("get_health", 200, PLAIN_JSON),
    Ask("get_readiness", 200, PLAIN_JSON),
    Ask("get_readiness", 200, PLAIN_JSON, query={"pages": ""}),
    Ask("get_readiness", 503, PLAIN_JSON, server="bare"),
    Ask("get_metrics", 200, "text/plain; version=0.0.4; charset=utf-8"),
    Ask("get_metrics", 200, "text/plain; version=0.0.4; charset=utf-8", server="bare"),
    Ask("get_metrics", 403, TEXT, headers={"X-Forwarded-For": "192.0.2.1"}),
]  # fmt: skip
FIRST = {ask.operation: ask for ask in reversed(ASKED) if ask.status < 400}
"""One request for each operation that is answered with what is here."""


def path_of(operation, place):
    return {parameter.name: place[parameter.name] for parameter in operation.path_parameters}


@DESCRIPTION.hook
def before_add_examples(context, examples):
    examples.append(FIRST[context.operation.definition.raw["operationId"]].case())


@DESCRIPTION.hook
def before_generate_path_parameters(context, strategy):
    real = [path_of(context.operation, place) for place in REAL]
    return st.just(real[0]) | st.sampled_from(real) | strategy if any(real) else strategy


@schemathesis.deserializer("text/plain", HTML, HTML_TYPE)
def read_text(_context, response):
    return response.content.decode()


@schemathesis.deserializer("text/xml")
def read_xml(_context, response):
    ET.fromstring(response.content)  # noqa: S314 - our own
    return response.content.decode()


# --- the servers -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mirror(tmp_path_factory):
    """Stored documents and one that has to be made, provenance, an archived project and one in quarantine."""
    with serve(INDEX) as served:
        mirror = Mirror(tmp_path_factory.mktemp("described"), served)
        mirror.write("[server]\ntrusted-proxies = 127.0.0.1\n", json="true", base_url="https://mirror.example.org")  # fmt: skip
        assert mirror.run("mirror").returncode == 0
        INDEX.quarantine("bad")
        done = mirror.run("mirror")
        assert done.returncode == 0, done.stderr
    for document in ("pypi/snark/json", "json/snark"):
        Path(mirror.directory, "web", document).unlink()
    return mirror


@pytest.fixture(scope="module")
def server(mirror):
    with serving(mirror.config) as running:
        yield running


@pytest.fixture(scope="module")
def private(mirror, tmp_path_factory):
    folder = tmp_path_factory.mktemp("private")
    users = folder / "users"
    users.write_text(token_line("ci", "a-token") + "\n")
    with serving(write_config(folder / "private.conf", mirror.directory, f"users = {users}")) as running:
        yield running


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """A server over a directory in which no run has been yet."""
    folder = tmp_path_factory.mktemp("bare")
    (folder / "mirror/web").mkdir(parents=True)
    with serving(write_config(folder / "bare.conf", folder / "mirror")) as running:
        yield running


# --- by chance ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def met():
    """Count what an operation was answered with: 2xx must be among it, or 3xx where there is nothing else to be had.

    Answers of 404 alone, or to OPTIONS, would say nothing.
    """
    answers = Counter()
    yield answers
    (name,) = {name for name, _ in answers}
    assert any(status // 100 == FIRST[name].status // 100 for _, status in answers), answers


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # `met` is meant to be of all examples
def asked_by_chance(case, server, met):
    response = case.call(base_url=server.url)
    if case.method == case.operation.method.upper():
        met[case.operation.definition.raw["operationId"], response.status_code] += 1
    case.validate_response(response)


# A function for each operation: tests that schemathesis makes of one have one id, and of these pytest-xdist runs one.
for name in OPERATIONS:
    globals()[f"test_{name}_by_chance"] = DESCRIPTION.include(operation_id=name).parametrize()(
        asked_by_chance
    )


# --- by name -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ask", ASKED, ids=lambda ask: f"{ask.operation}-{ask.status}-{ask.server}")
def test_each_answer_is_as_described(request, ask):
    case = ask.case()

    response = case.call(base_url=request.getfixturevalue(ask.server).url)

    assert response.status_code == ask.status
    assert response.headers.get("content-type", [None])[0] == ask.media_type
    case.validate_response(response, excluded_checks=[not_a_server_error])  # a 503 may be what is expected


def described(name):
    """Return the statuses of an operation, each with the types of its body."""
    for status, response in OPERATIONS[name].definition.raw["responses"].items():
        kind = response.get("$ref", "").rpartition("/")[2]
        meant = DESCRIPTION.raw_schema["components"]["responses"][kind] if kind else response
        for media_type in meant.get("content", [None]):
            yield int(status), media_type


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_answer_that_is_described_is_asked_for(name):
    """But 401, which test_a_private_mirror has, and 503 where it takes a disk that fails or a flood of passwords (tests/server)."""
    asked = {(ask.status, ask.media_type) for ask in ASKED if ask.operation == name}
    known = {said for said in described(name) if said[0] != 401}

    assert known - asked <= {(503, TEXT)}
    assert asked <= known


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_a_private_mirror(private, name):
    """Conformance 58: nobody is told anything but 401, and whoever is known what everybody else is told elsewhere."""
    case, known = FIRST[name].case(), FIRST[name].case()
    known.headers["Authorization"] = f"Basic {base64.b64encode(b'anybody:a-token').decode()}"

    refused, answered = case.call(base_url=private.url), known.call(base_url=private.url)

    assert refused.status_code == (200 if name == "get_health" else 401)
    assert answered.status_code == FIRST[name].status
    assert "public" not in "".join(answered.headers.get("cache-control", []))
    case.validate_response(refused)
    known.validate_response(answered)


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_head_and_options(server, name):
    """Conformance 54, 57: HEAD is GET without the body."""
    ask = FIRST[name]
    got = ask.case().call(base_url=server.url, headers=PLAIN)
    target = got.request.url.removeprefix(server.url)
    sent = {key.replace("-", "_"): value for key, value in (ask.headers | PLAIN).items()}
    methods = {method.upper() for method in DESCRIPTION.raw_schema["paths"][OPERATIONS[name].path]}
    if "GET" in methods:
        methods.add("HEAD")

    assert set(server.ask(target, "OPTIONS").headers["allow"].split(", ")) == methods | {"OPTIONS"}
    if got.request.method == "GET":
        head = server.ask(target, "HEAD", **sent)
        changing = {"date", "content-length"} if name == "get_metrics" else {"date"}
        assert (head.status, head.body) == (got.status_code, b"")
        assert headers_but(changing, head.headers) == headers_but(changing, said_by(got))


def headers_but(names, headers):
    return {key: value for key, value in headers.items() if key not in names}


def said_by(response):
    return {key: value for key, (value,) in response.headers.items()}


# --- that it would be noticed ------------------------------------------------------------------------------------------


def without(*keys):
    """Return what takes a key out of a document."""

    def change(body):
        said = json.loads(body)
        *way, last = keys
        del functools.reduce(operator.getitem, way, said)[last]
        return json.dumps(said).encode()

    return change


def with_other(value, *keys):
    """Return what puts something else into a document."""

    def change(body):
        said = json.loads(body)
        *way, last = keys
        functools.reduce(operator.getitem, way, said)[last] = value
        return json.dumps(said).encode()

    return change


def replaced(old, new):
    return lambda body: body.replace(old, new, 1)


WRONG = [
    ("list_projects_as_json", without("meta", "_last-serial")),
    ("list_projects_as_json", with_other("9", "projects", 0, "_last-serial")),
    ("list_projects_as_json", with_other("../x", "projects", 0, "name")),
    ("list_projects_as_json", with_other(1, "more")),
    ("list_projects_as_html", replaced(b"pypi:repository-version", b"version")),
    ("list_projects_as_html", lambda body: body[:100]),
    ("describe_project_as_json", without("files", 0, "hashes")),
    ("describe_project_as_json", with_other("-1", "files", 0, "size")),
    ("describe_project_as_json", with_other("yesterday", "files", 0, "upload-time")),
    ("describe_project_as_json", with_other({"sha256": "no digest"}, "files", 0, "core-metadata")),
    ("describe_project_as_json", with_other("Foo.Bar", "name")),
    ("describe_project_as_json", with_other({"status": "lost"}, "project-status")),
    ("get_metadata", lambda _body: b"<html>"),
    ("get_provenance", with_other(2, "version")),
    ("get_integrity", without("attestation_bundles", 0, "attestations", 0, "envelope", "statement")),
    ("get_project_document", without("releases")),
    ("get_project_document", with_other(None, "info", "version")),
    ("get_release_document", without("urls", 0, "digests", "sha256")),
    ("get_release_document", with_other("8", "last_serial")),
    ("call", replaced(b"</methodResponse>", b"")),
    ("call", replaced(b"params", b"parameters")),
    ("get_newest_updates", replaced(b"<channel>", b"")),
    ("get_stats", with_other("1 MB", "total_packages_size")),
    ("get_last_modified", lambda _body: b"today\n"),
    ("get_serials", with_other(1, "Foo.Bar")),
    ("get_health", with_other("ill", "status")),
    ("get_readiness", without("checks", "pages")),
    ("get_metrics", replaced(b" gauge", b" gouge")),
]


def lying(right, headers, body):
    """Return a server that says what another has said, but for these headers and this body."""
    said = headers_but({"content-length"}, said_by(right) | headers)

    async def lie(_request):
        return httpd.Response(
            right.status_code, headers_but([key for key in said if said[key] is None], said), body
        )

    return httpd.serve(lie)


@pytest.mark.parametrize(("name", "change"), WRONG)
def test_a_wrong_body_would_be_noticed(server, name, change):
    case = FIRST[name].case()
    right = case.call(base_url=server.url, headers=PLAIN)
    case.validate_response(right)

    with lying(right, {}, change(right.content)) as liar:
        wrong = case.call(base_url=liar.url, headers=PLAIN)

    with pytest.raises(FailureGroup, match=r"violates schema|deserialization"):
        case.validate_response(wrong)


@pytest.mark.parametrize(
    ("name", "header", "value"),
    [
        ("list_projects", "etag", None),
        ("list_projects", "vary", "Accept"),
        ("describe_project", "x-pypi-last-serial", "many"),
        ("get_file", "accept-ranges", "none"),
        ("get_file", "cache-control", "no-store"),
        ("get_integrity", "vary", None),
        ("find_project", "location", "https://elsewhere.example.org/"),
        ("call", "cache-control", "public"),
    ],
)
def test_a_wrong_header_would_be_noticed(server, name, header, value):
    case = FIRST[name].case()
    right = case.call(base_url=server.url, headers=PLAIN)

    with lying(right, {header: value}, right.content) as liar:
        wrong = case.call(base_url=liar.url, headers=PLAIN)

    with pytest.raises(FailureGroup, match="header"):
        case.validate_response(wrong)
