"""What `bench/serve.py` promises of its peers: one that cannot be had is named and left out, and nothing is measured by mistake.

A tree of the benchmark is served by `frumious serve`, which stands for a peer here; what peers do wrong is done by the server for tests.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.serve import (
    BIG,
    SMALL,
    WORK,
    Peer,
    Place,
    Programs,
    Server,
    Tree,
    Unavailable,
    ask,
    file_paths,
    free_port,
    lay_out,
    make_tree,
    start_frumious,
    start_peers,
    table,
    warm,
)
from support.httpd import Httpd, Response, redirect, serve
from support.program import wait_for

ETAG_WORK = next(work for work in WORK if work.status == 304)
DEAF = """
import os, signal, socket, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = os.fork()
if child:
    open(sys.argv[2], "w").write(f"{os.getpid()} {child}")
    listening = socket.create_server(("127.0.0.1", int(sys.argv[1])))
time.sleep(60)
"""
SLOW = """
import pathlib, socket, sys, time
listening = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while time.process_time() < 1:
    pass
pathlib.Path(sys.argv[2]).touch()
time.sleep(60)
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return make_tree(tmp_path_factory.mktemp("bench") / "mirror/web", 2)


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    made = Programs(tmp_path)
    yield made
    made.stop_all()


@pytest.fixture
def place(tmp_path: Path, programs: Programs) -> Place:
    return Place(
        programs, tmp_path, tmp_path / "environments", "", tmp_path / "folders", tmp_path / "together"
    )


def installed(peer: Peer, environments: Path) -> Peer:
    """Make it look as if a peer had been installed: its Python is ours."""
    programs = environments / peer.name / "bin"
    programs.mkdir(parents=True)
    (programs / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (programs / "python").chmod(0o755)
    (programs.parent / "finished").write_text(" ".join(peer.packages))
    return peer


def test_peers_that_cannot_be_had_are_named_and_the_others_serve(place: Place, tree: Tree, capsys):
    def ends(place: Place, programs: Path) -> Server:
        place.programs.start(
            "uvloop", free_port(), programs / "python", "-c", "raise SystemExit('no room left')"
        )
        raise AssertionError("it did not start")

    absent = Peer(("nobody-has-this", "--no-index"), ends)
    broken = installed(Peer(("uvloop",), ends), place.environments)
    good = installed(
        Peer(("frumious",), lambda place, _: start_frumious(place.programs, place.folder, tree.web)),
        place.environments,
    )

    servers, missing = start_peers((absent, broken, good), place, tree)

    assert [server.name for server in servers] == ["frumious"]
    assert [line.partition(": ")[2].partition(":")[0] for line in missing] == ["nobody-has-this", "uvloop"]
    assert "its installation failed" in missing[0]
    assert missing[1].endswith("ended with code 1: no room left")
    said = capsys.readouterr()
    assert said.err.splitlines() == missing
    assert "frumious" in said.out


def test_a_program_that_does_not_want_to_end_is_killed_with_its_children(programs: Programs, tmp_path: Path):
    port, told = free_port(), tmp_path / "processes"
    programs.start("deaf", port, sys.executable, "-c", DEAF, port, told)
    processes = [int(number) for number in told.read_text().split()]
    assert all(map(alive, processes))

    programs.stop("deaf", patience=0.2)

    wait_for(lambda: not any(map(alive, processes)))


def alive(process: int) -> bool:
    """Whether a process runs; one that has ended and is not waited for yet does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_program_has_settled_when_it_does_no_more_work(programs: Programs, tmp_path: Path):
    port, done = free_port(), tmp_path / "done"
    programs.start("slow", port, sys.executable, "-c", SLOW, port, done)

    programs.settle("slow")

    assert done.exists()


def test_folders_for_peers_hold_the_bytes_of_the_tree(tree: Tree, tmp_path: Path):
    lay_out(tree, tmp_path / "folders", tmp_path / "together")

    for project in (*tree.projects, "large", "small", "big"):
        names = {file["filename"] for file in tree.files(project)}
        assert {path.name for path in (tmp_path / "folders" / project).iterdir()} == names
        assert all((tmp_path / "together" / name).exists() for name in names)
    assert {path.stat().st_size for path in (tmp_path / "folders/small").iterdir()} == {SMALL}
    assert (tmp_path / "together/big-1.0-py3-none-any.whl").stat().st_size == BIG


@pytest.fixture
def peer(tree: Tree) -> Iterator[Httpd]:
    """A server that has the tree and gives it without an ETag."""
    with serve() as httpd:
        for project in (*tree.projects, "large", "small", "big"):
            page = (tree.web / "simple" / project / "index.v1_json").read_bytes()
            httpd.routes[f"/simple/{project}/"] = Response(
                body=page, headers={"Content-Type": "application/vnd.pypi.simple.v1+json"}
            )
        for project in ("small", "big"):
            for file in tree.files(project):
                path = file["url"].removeprefix("../..")
                httpd.routes[path] = Response(body=(tree.web / path[1:]).read_bytes())
        yield httpd


def test_a_server_with_the_whole_tree_is_warm(tree: Tree, peer: Httpd):
    warm(Server("peer", peer.port), tree)

    asked = {request.target for request in peer.requests}
    assert asked == set(peer.routes)


@pytest.mark.parametrize("fault", ["redirect", "short file", "short page"])
def test_a_server_without_the_whole_tree_is_not_measured(tree: Tree, peer: Httpd, fault: str):
    server = Server("peer", peer.port)
    path = server.files("small")[7]
    match fault:
        case "redirect":
            peer.routes[path], why = redirect("/elsewhere"), f"GET {path} is answered with 302, not 200"
        case "short file":
            peer.routes[path], why = Response(body=b"PK"), f"{path} has 2 bytes, not {SMALL}"
        case "short page":
            page = json.dumps({"files": []}).encode()
            peer.routes["/simple/p1/"] = Response(
                body=page, headers={"Content-Type": "application/vnd.pypi.simple.v1+json"}
            )
            why = "lists 0 files of p1"

    with pytest.raises(Unavailable) as told:
        warm(server, tree)

    assert why in str(told.value)


def test_a_304_is_measured_only_where_there_is_one(
    tree: Tree, peer: Httpd, programs: Programs, tmp_path: Path
):
    ours = start_frumious(programs, tmp_path, tree.web)
    page = ours.page("p1")

    headers = ETAG_WORK.headers_for(ours, page)

    assert ask(ours.port, page, headers, expect=304).body == b""
    with pytest.raises(Unavailable, match="no ETag"):
        ETAG_WORK.headers_for(Server("peer", peer.port), page)


def test_links_are_found_in_both_forms_of_a_page():
    page = "/root/mirror/+simple/six/"
    as_json = b'{"files": [{"url": "../../+f/a1/six-1.0.tar.gz#sha256=00"}, {"url": "/x/six-2.0.tar.gz"}]}'
    as_html = b'<a href="../../+f/a1/six-1.0.tar.gz#sha256=00">1</a><a data-yanked="" href="/x/six-2.0.tar.gz">2</a>'

    wanted = ["/root/mirror/+f/a1/six-1.0.tar.gz", "/x/six-2.0.tar.gz"]
    assert file_paths(page, "application/vnd.pypi.simple.v1+json", as_json) == wanted
    assert file_paths(page, "text/html", as_html) == wanted


def test_the_table_compares_medians_and_shows_what_was_not_measured():
    rates = {
        "pages": {"frumious": [900.0, 1000.0, 5000.0], "slow": [10.0, 8.0, 9000.0]},
        "304": {"frumious": [7.0]},
    }

    rows = [line.split() for line in table(rates, ["frumious", "slow"]).splitlines()]

    assert rows == [
        ["answers", "a", "second", "frumious", "slow"],
        ["pages", "1,000", "10"],
        ["304", "7", "-"],
        [],
        ["frumious", "is", "N", "times", "frumious", "slow"],
        ["pages", "1.00", "100.00"],
        ["304", "1.00", "-"],
    ]
