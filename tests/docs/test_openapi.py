"""docs/openapi.yaml is valid, and describes the routes of the server: all of them, and no others."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis

from frumious import __version__
from frumious.config import parse_config
from frumious.model.layout import LAST_MODIFIED, LOCAL_JSON, LOCAL_SERIAL, WEB
from frumious.server.counters import Counters
from frumious.wiring import make_adapter

PAGE = Path(__file__).parents[2] / "docs/openapi.yaml"
TEXT = PAGE.read_text(encoding="utf-8")
DESCRIBED = schemathesis.openapi.from_file(TEXT)
PATHS = DESCRIBED.raw_schema["paths"]
METHODS = {"get", "post"}
FILES = {key.removeprefix(WEB) for key in (LAST_MODIFIED, LOCAL_JSON, LOCAL_SERIAL)}
"""What no route answers: files of the tree."""


@pytest.fixture(scope="module")
def routes(tmp_path_factory):
    directory = tmp_path_factory.mktemp("no-mirror")
    settings = parse_config(f"[mirror]\ndirectory = {directory}\n", "test.conf").settings
    return make_adapter(settings, Counters(1))._site._routes


def test_it_is_valid():
    DESCRIBED.validate()


def test_what_is_not_valid_would_be_found():
    broken = copy.deepcopy(DESCRIBED.raw_schema)
    del broken["paths"]["/health"]["get"]["responses"]["200"]["description"]
    with pytest.raises(Exception, match="description"):
        schemathesis.openapi.from_dict(broken).validate()


def test_it_is_of_this_version():
    assert DESCRIBED.raw_schema["info"]["version"] == __version__


def test_every_route_is_described_and_nothing_else(routes):
    assert {path.split("/")[1] for path in PATHS} - FILES == set(routes)
    assert {path[1:] for path in PATHS if path[1:] in FILES} == FILES


@pytest.mark.parametrize("path", sorted(path for path in PATHS if path[1:] not in FILES))
def test_the_methods_are_those_of_the_route(routes, path):
    first, _, rest = path[1:].partition("/")
    route = routes[first]
    allowed = route.methods if rest or route.own_methods is None else route.own_methods

    assert {method.upper() for method in METHODS & PATHS[path].keys()} == set(allowed) - {"HEAD"}
    assert "GET" not in allowed or "HEAD" in allowed


def references(said: object) -> Iterator[str]:
    if isinstance(said, dict):
        for key, value in said.items():
            if key == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(said, list):
        for value in said:
            yield from references(value)


def test_every_component_is_used_and_every_reference_leads_somewhere():
    components = {
        f"#/components/{kind}/{name}"
        for kind, named in DESCRIBED.raw_schema["components"].items()
        if kind != "securitySchemes"
        for name in named
    }
    assert set(references(DESCRIBED.raw_schema)) == components


def test_every_operation_has_a_name_of_its_own():
    names = re.findall(r"operationId: (\S+)", TEXT)
    assert len(names) == len(set(names)) == sum(len(METHODS & item.keys()) for item in PATHS.values())


def test_the_page_about_serving_leads_to_it():
    assert "](openapi.yaml)" in (PAGE.parent / "serving.md").read_text(encoding="utf-8")
