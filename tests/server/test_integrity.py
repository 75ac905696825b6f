"""The Integrity API, asked without a socket (conformance §6, 72, 78, 80)."""

import json
import shutil
from urllib.parse import unquote

import pytest

from server.test_files import sent
from server.test_simple import header
from support.index_files import provenance
from support.tree import build_small_tree

INTEGRITY = "application/vnd.pypi.integrity.v1+json"
WHEEL = "boojum-1.2+crew.1-py3-none-any.whl"


@pytest.fixture(scope="module")
def attested(tmp_path_factory):
    """A tree in which one wheel has provenance, and the document."""
    tree = build_small_tree(tmp_path_factory.mktemp("attested"))
    file = tree.file(WHEEL)
    document = provenance(WHEEL, file.sha256)
    (tree.web / f"{unquote(file.path)[1:]}.provenance").write_bytes(document)
    return tree, file, document


@pytest.mark.parametrize(
    "path",
    [
        f"/integrity/boojum/1.2+crew.1/{WHEEL}/provenance",
        f"/integrity/Boojum/1.2.0+crew.1/{WHEEL}/provenance",
        f"/integrity/BOOJUM/1.2+Crew_1/{WHEEL}/provenance/",
        f"/integrity/boojum/v1.2+CREW.1/{WHEEL}/provenance",
    ],
)
def test_a_document_by_any_spelling_of_its_project_and_version(ask_over, attested, path):
    tree, _, document = attested
    answer = ask_over(tree.web)(path)
    assert (answer.status, sent(answer)) == (200, document)
    assert header(answer, "content-type") == INTEGRITY
    assert header(answer, "cache-control") == "max-age=600, public"
    assert header(answer, "vary") == "Accept"
    assert header(answer, "access-control-allow-origin") == "*"
    unchanged = ask_over(tree.web)(path, if_none_match=header(answer, "etag"))
    assert unchanged.status == 304


@pytest.mark.parametrize(
    ("accept", "status", "media_type"),
    [
        (None, 200, INTEGRITY),
        ("", 200, INTEGRITY),
        ("*/*", 200, INTEGRITY),
        ("application/*", 200, INTEGRITY),
        (INTEGRITY, 200, INTEGRITY),
        ("application/json", 200, "application/json"),
        (f"{INTEGRITY};q=0.5, application/json", 200, "application/json"),
        (f"{INTEGRITY};q=0, */*", 200, "application/json"),
        ("text/html", 406, "application/json"),
        ("application/vnd.pypi.simple.v1+json", 406, "application/json"),
        ("application/json;q=0", 406, "application/json"),
    ],
)
def test_what_a_client_accepts(ask_over, attested, accept, status, media_type):
    tree, _, _ = attested
    headers = {} if accept is None else {"accept": accept}
    answer = ask_over(tree.web)(f"/integrity/boojum/1.2+crew.1/{WHEEL}/provenance", **headers)
    assert (answer.status, header(answer, "content-type")) == (status, media_type)
    assert header(answer, "vary") == "Accept"
    if status == 406:
        assert json.loads(answer.body) == {"message": "Request not acceptable"}


@pytest.mark.parametrize(
    ("project", "version", "filename"),
    [
        ("boojum", "1.0", "boojum-1.0.tar.gz"),  # has none
        ("boojum", "1.0", WHEEL),  # of another version
        ("snark", "1.2+crew.1", WHEEL),  # of another project
        ("nobody", "1.2+crew.1", WHEEL),
        ("..", "1.2+crew.1", WHEEL),
        ("boojum", "1.2+crew.1", "..%2f..%2fetc"),
        ("boojum", "1.2+crew.1", f"{WHEEL}.metadata"),
        ("boojum", "x" * 3000, "y" * 3000),
    ],
)
def test_what_has_none_is_told_as_json(ask_over, attested, project, version, filename):
    tree, _, _ = attested
    answer = ask_over(tree.web)(f"/integrity/{project}/{version}/{filename}/provenance")
    assert answer.status == 404
    assert json.loads(answer.body) == {"message": f"No provenance available for {filename}"}


@pytest.mark.parametrize(
    "path", ["/integrity", "/integrity/", "/integrity/a/b/c", "/integrity/a/b/c/d/provenance"]
)
def test_other_paths_are_nothing(ask_over, attested, path):
    assert ask_over(attested[0].web)(path).status == 404


def test_a_quarantined_project_has_none_even_while_the_bytes_are_there(ask_over, attested, tmp_path):
    tree, _, _ = attested
    shutil.copytree(tree.web, tmp_path / "web")
    page = tmp_path / "web/simple/boojum/index.v1_json"
    said = json.loads(page.read_bytes())
    said["project-status"] = {"status": "quarantined"}
    said["files"] = []
    page.write_text(json.dumps(said))
    answer = ask_over(tmp_path / "web")(f"/integrity/boojum/1.2+crew.1/{WHEEL}/provenance")
    assert answer.status == 404


def test_where_the_page_names_it(ask_over, attested):
    """Conformance 80: it may change, so that nobody keeps it for ever."""
    tree, file, document = attested
    answer = ask_over(tree.web)(f"{unquote(file.path)}.provenance")
    assert (answer.status, sent(answer)) == (200, document)
    assert header(answer, "content-type") == INTEGRITY
    assert header(answer, "cache-control") == "max-age=600, public"
    foretold = ask_over(tree.web)(f"/packages/py3/b/boojum/{WHEEL}.provenance")
    assert (foretold.status, header(foretold, "location")) == (302, f"{file.path}.provenance")
