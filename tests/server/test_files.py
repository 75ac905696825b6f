"""Files (conformance 59-71), asked without a socket."""

import os
import shutil
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frumious.model.layout import is_safe_filename
from frumious.server.http import FileBody
from frumious.server.tree import Tree
from server.test_simple import header
from support.tree import build_small_tree

WHEEL = "snark-1.0-py3-none-any.whl"
FOR_EVER = "max-age=365000000, immutable, public"


def sent(answer):
    body = answer.body
    if isinstance(body, FileBody):
        with Path(body.path).open("rb") as file:
            file.seek(body.start)
            return file.read(body.length)
    return body


def test_every_file_of_the_mirror(ask, tree):
    """Conformance 59-61, 66, 67."""
    for file in tree.files:
        path = unquote(file.path)
        answer = ask(path, accept_encoding="gzip, zstd, br")
        assert (answer.status, sent(answer)) == (200, file.body)
        assert header(answer, "content-length") == str(len(file.body))
        assert header(answer, "content-type") == "application/octet-stream"
        assert header(answer, "content-encoding") is None
        assert header(answer, "accept-ranges") == "bytes"
        assert header(answer, "cache-control") == FOR_EVER
        assert header(answer, "access-control-allow-origin") == "*"
        metadata = ask(f"{path}.metadata")
        assert metadata.status == (200 if file.metadata else 404)
        assert file.metadata is None or sent(metadata) == file.metadata


@pytest.mark.parametrize(
    ("asked", "status", "content_range"),
    [
        ("bytes=0-9", 206, "bytes 0-9/{size}"),
        ("bytes=-10", 206, "bytes {tail}-{last}/{size}"),
        ("bytes=100-", 206, "bytes 100-{last}/{size}"),
        ("bytes=0-999999", 206, "bytes 0-{last}/{size}"),
        ("bytes=-999999", 206, "bytes 0-{last}/{size}"),
        ("bytes=5-2", 200, None),
        ("bytes=0-1,5-6", 200, None),
        ("nonsense", 200, None),
        ("bytes=999999-", 416, "bytes */{size}"),
    ],
)
def test_parts(ask, tree, asked, status, content_range):
    """Conformance 62-64."""
    file = tree.file(WHEEL)
    size = len(file.body)
    expected = content_range and content_range.format(size=size, last=size - 1, tail=size - 10)

    answer = ask(file.path, range=asked)

    assert (answer.status, header(answer, "content-range")) == (status, expected)
    if status == 206:
        start, end = expected[6:].partition("/")[0].split("-")
        assert sent(answer) == file.body[int(start) : int(end) + 1]
        assert header(answer, "content-length") == str(len(sent(answer)))


def test_a_download_is_resumed_only_of_the_same_file(ask, tree):
    """Conformance 65."""
    file = tree.file(WHEEL)
    whole = ask(file.path)

    for still in (header(whole, "etag"), header(whole, "last-modified")):
        assert ask(file.path, range="bytes=10-", if_range=still).status == 206
    for other in ('"other"', "Thu, 01 Jan 1970 00:00:00 GMT", "nonsense"):
        assert ask(file.path, range="bytes=10-", if_range=other).status == 200


def test_what_is_unchanged_is_not_sent_again(ask, tree):
    file = tree.file(WHEEL)
    whole = ask(file.path)

    assert ask(file.path, if_none_match=header(whole, "etag")).status == 304
    assert ask(file.path, if_modified_since=header(whole, "last-modified")).status == 304
    assert ask(file.path, if_none_match='"x"', if_modified_since=header(whole, "last-modified")).status == 200


@pytest.mark.parametrize("first", ["source", "py3", "2.7", "any"])
def test_a_path_that_can_be_foretold_leads_to_the_file(ask, tree, first):
    """Conformance 68."""
    file = tree.file(WHEEL)

    answer = ask(f"/packages/{first}/s/snark/{WHEEL}")
    metadata = ask(f"/packages/{first}/s/snark/{WHEEL}.metadata", prefix="/pypi")

    assert (answer.status, header(answer, "location")) == (302, file.path)
    assert header(metadata, "location") == f"/pypi{file.path}.metadata"
    assert ask(unquote(file.path)).status == 200


def test_foretold_with_other_spellings(ask, tree):
    egg = next(file for file in tree.files if file.filename.endswith(".egg"))

    found = ask(f"/packages/source/J/Jubjub.Bird/{egg.filename}")

    assert (found.status, header(found, "location")) == (302, egg.path)


@pytest.mark.parametrize(
    "path",
    [
        "/packages/source/x/snark/snark-1.0-py3-none-any.whl", "/packages/source/s/snark/nope.tar.gz",
        "/packages/source/s/nope/nope-1.tar.gz", "/packages/source/s/s_/x", "/packages/source/s/snark",
        "/packages", "/packages/", "/packages//", "/packages/../status", "/packages/../../etc/passwd",
        "/packages/./x", "/packages/a\x00b", "/packages/a\\b", "/packages/.hidden", f"/packages/{'x' * 300}",
        "/packages/" + "x/" * 3000 + "x", "/packages/\ud800", "/packages/b3", "/.lock", "/../.lock", "/", "//", "/status",
        "/..", "/web/last-modified", "/simple/../last-modified",
    ],
)  # fmt: skip
def test_nothing_else_is_there(ask, path):
    """Conformance 5, 69: nothing outside the tree, no directory, no hidden file."""
    assert ask(path).status == 404


def test_what_else_lies_in_web(tmp_path, ask_over):
    tree = build_small_tree(tmp_path)
    (tree.web / "robots.txt").write_text("User-agent: *\n")
    (tree.web / "favicon.ico").write_bytes(b"\0")
    ask = ask_over(tree.web)

    assert header(ask("/last-modified"), "content-type") == "text/plain; charset=utf-8"
    assert header(ask("/robots.txt"), "content-type") == "text/plain; charset=utf-8"
    assert header(ask("/favicon.ico"), "content-type") == "image/x-icon"
    assert header(ask("/last-modified"), "cache-control") == "max-age=600, public"


def test_links_that_lead_out_are_not_followed_but_for_the_operators_own(tmp_path, ask_over):
    """A `packages` on another disk is fine; a link deeper in the tree to elsewhere is not."""
    tree = build_small_tree(tmp_path / "mirror")
    disk = tmp_path / "disk"
    shutil.move(tree.web / "packages", disk)
    (tree.web / "packages").symlink_to(disk)
    secret = tmp_path / "secret"
    secret.write_text("secret")
    page = tree.web / "simple/snark/index.html"
    page.unlink()
    page.symlink_to(secret)
    (disk / "leak").symlink_to(secret)
    (disk / "folder").symlink_to(tmp_path)
    (disk / "inside").symlink_to(tree.web / "last-modified")
    ask = ask_over(tree.web)

    assert ask(tree.file(WHEEL).path).status == 200
    assert ask("/packages/inside").status == 200
    for path in ("/packages/leak", "/packages/folder/secret"):
        assert ask(path).status == 404
    assert b"secret" not in ask("/simple/snark/").body


def test_a_link_that_is_turned_elsewhere_is_looked_at_again(tmp_path, ask_over):
    tree = build_small_tree(tmp_path / "mirror")
    secret = tmp_path / "secret"
    secret.write_text("secret")
    link = tree.web / "packages/link"
    link.symlink_to(tree.web / "last-modified")
    ask = ask_over(tree.web)
    assert ask("/packages/link").status == 200

    link.unlink()
    link.symlink_to(secret)

    assert ask("/packages/link").status == 404


def test_a_file_that_cannot_be_read_is_our_fault_and_said_so(tmp_path, ask_over, monkeypatch):
    tree = build_small_tree(tmp_path)
    real = os.stat

    def broken(path, *args, **kwargs):
        if str(path).endswith("last-modified"):
            raise OSError(5, "Input/output error")
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, "stat", broken)

    answer = ask_over(tree.web)("/last-modified")

    assert (answer.status, header(answer, "retry-after")) == (503, "30")


@given(st.text(max_size=40).filter(lambda text: "/" not in text))
def test_the_segments_of_a_path_are_names_that_the_tree_may_have(segment):
    assert is_found(segment) == (is_safe_filename(segment) and not segment.startswith("."))


def is_found(segment):
    class Any(Tree):
        def at(self, relative):
            return relative.encode() is not None

    try:
        return Any(None).named(f"/{segment}")
    except (FileNotFoundError, UnicodeEncodeError):
        return False
