"""Pages and lists (conformance 2-10, 42-56), asked without a socket."""

import gzip
import json
import os
import shutil
import sys

import pytest

from frumious.pages.formats import HTML_TYPE as H
from frumious.pages.formats import JSON_TYPE as J
from frumious.pages.formats import TEXT_HTML as T
from frumious.server import page_store
from support.tree import SERIAL, build_small_tree

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PAGES = ["/simple/", "/simple/jubjub-bird/"]
ALL = f"{J}, {H};q=0.2, {T};q=0.01"


def header(answer, name):
    found = [value for key, value in answer.headers if key == name]
    assert len(found) <= 1, f"{name} is there twice"
    return found[0] if found else None


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize(("accept", "file", "media_type"), [
    (ALL, "index.v1_json", J), (H, "index.html", H), (T, "index.html", T), (None, "index.html", T),
])  # fmt: skip
def test_a_page_is_the_stored_bytes(ask, tree, path, accept, file, media_type):
    answer = ask(path, **({"accept": accept} if accept else {}))

    assert answer.status == 200
    assert answer.body == (tree.web / path[1:] / file).read_bytes()
    assert header(answer, "content-type") == media_type
    assert header(answer, "x-pypi-last-serial") == str(SERIAL)
    assert header(answer, "vary") == "Accept, Accept-Encoding"
    assert header(answer, "cache-control") == "max-age=600, public"
    assert header(answer, "access-control-allow-origin") == "*"
    assert "X-PyPI-Last-Serial" in header(answer, "access-control-expose-headers")


@pytest.mark.parametrize("path", PAGES)
def test_every_form_and_coding_has_an_etag_of_its_own(ask, path):
    """Conformance 50, 51."""
    seen = {}
    for accept in (J, H, T):
        for coding in (None, "gzip", "zstd"):
            asked = {"accept": accept} | ({"accept_encoding": coding} if coding else {})
            answer = ask(path, **asked)
            etag = header(answer, "etag")
            form = (accept, header(answer, "content-encoding"))  # none where too small to gain by it
            assert seen.setdefault(etag, form) == form
            for condition in (etag, f"W/{etag}", "*", f'"other", {etag}'):
                again = ask(path, **asked, if_none_match=condition)
                assert (again.status, again.body) == (304, b"")
                for name in (
                    "etag",
                    "vary",
                    "cache-control",
                    "x-pypi-last-serial",
                    "access-control-allow-origin",
                ):
                    assert header(again, name) == header(answer, name)
            assert ask(path, **asked, if_none_match='"other"').status == 200
    assert {accept for accept, _ in seen.values()} == {J, H, T}


def test_pages_are_compressed_from_a_kilobyte_on(ask, tree):
    """Conformance 55."""
    stored = (tree.web / "simple/jubjub-bird/index.v1_json").read_bytes()
    assert len(stored) > 1024

    zipped = ask("/simple/jubjub-bird/", accept=J, accept_encoding="gzip, deflate")
    small = ask("/simple/tove/", accept=J, accept_encoding="gzip, deflate, zstd")
    better = ask("/simple/jubjub-bird/", accept=J, accept_encoding="gzip, deflate, zstd")

    assert header(zipped, "content-encoding") == "gzip"
    assert gzip.decompress(zipped.body) == stored
    assert header(better, "content-encoding") == "zstd"
    assert zstd.decompress(better.body) == stored
    assert header(small, "content-encoding") is None


def test_nothing_that_fits_is_406(ask):
    """Conformance 45, 49; an unknown project is 404 for every Accept (6)."""
    for path in PAGES:
        answer = ask(path, accept="application/json")
        assert answer.status == 406
        assert J in answer.body.decode()
        assert "accept" in header(answer, "vary").lower()
    assert ask("/simple/nope/", accept="application/json").status == 404


def test_a_format_in_the_query_beats_accept(ask):
    """Conformance 48."""
    assert header(ask("/simple/snark/", query=f"format={J}", accept=T), "content-type") == J
    assert ask("/simple/snark/", query="format=image/png", accept=T).status == 406
    assert header(ask("/simple/snark/", query="x=format", accept=H), "content-type") == H


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/simple", "/simple/"),
        ("/simple/snark", "/simple/snark/"),
        ("/simple/Jubjub.Bird", "/simple/jubjub-bird/"),
        ("/simple/Jubjub._.BIRD/", "/simple/jubjub-bird/"),
        ("/simple/namespaces", "/simple/namespaces/"),
    ],
)
def test_one_hop_to_the_name_as_it_should_be(ask, path, location):
    """Conformance 3, 4, 9, 10, 56."""
    answer = ask(path)

    assert (answer.status, header(answer, "location")) == (301, location)
    assert header(ask(path, query="format=x"), "location") == f"{location}?format=x"
    assert header(ask(path, prefix="/pypi"), "location") == f"/pypi{location}"


@pytest.mark.parametrize(
    "path",
    [
        "/simple/nope/", "/simple//", "/simple/../", "/simple/./", "/simple/.hidden/", "/simple/-x/", "/simple/x\n/",
        "/simple/snark\x00/", "/simple/\u017fnark/", "/simple/snark/extra/", "/simple/snark/../boojum/", "/simple/snark//",
        "/simple/Snark/index.html", "/simple/snark/index.php", "/simple/namespace/x", f"/simple/{'x' * 5000}/",
        "/simple/../../etc/passwd", "/simple/snark/index.html/",
    ],
)  # fmt: skip
def test_what_is_not_there_is_404_for_everybody(ask, path):
    """Conformance 5, 6, 10."""
    for accept in (None, J, T, "application/json"):
        answer = ask(path, **({"accept": accept} if accept else {}))
        assert answer.status in {301, 404}
        if answer.status == 301:  # to the normalized name, which is not there either
            assert ask(header(answer, "location")).status == 404


@pytest.mark.parametrize(
    ("file", "media_type"), [("index.html", T), ("index.v1_html", H), ("index.v1_json", J)]
)
@pytest.mark.parametrize("path", PAGES)
def test_the_names_of_static_mirrors_are_answered_too(ask, path, file, media_type):
    answer = ask(path + file, accept="image/png")

    assert (answer.status, header(answer, "content-type")) == (200, media_type)


def test_a_tree_that_has_one_form_gives_it_to_whoever_takes_it(tmp_path, ask_over):
    tree = build_small_tree(tmp_path)
    for path in (tree.web / "simple").rglob("index.v1_*"):
        path.unlink()
    ask = ask_over(tree.web)

    assert header(ask("/simple/snark/", accept=ALL), "content-type") == H
    assert header(ask("/simple/", accept="*/*"), "content-type") == T
    assert ask("/simple/snark/", accept=J).status == 406


def test_hash_index(tmp_path, ask_over):
    """bandersnatch's layout by first letters is under the same addresses."""
    tree = build_small_tree(tmp_path)
    simple = tree.web / "simple"
    for name in tree.projects:
        folder = simple / name[0]
        folder.mkdir()
        shutil.move(simple / name, folder / name)

    ask = ask_over(tree.web, hash_index=True)

    assert ask("/simple/snark/", accept=J).status == 200
    assert ask("/simple/s/").status == 404


def test_a_page_that_is_replaced_is_the_new_one_at_once(tmp_path, ask_over):
    tree = build_small_tree(tmp_path)
    ask = ask_over(tree.web)
    place = tree.web / "simple/snark/index.v1_json"
    before = ask("/simple/snark/", accept=J)

    new = place.with_name("new")
    new.write_bytes(place.read_bytes().replace(b'"_last-serial":4242', b'"_last-serial":4243'))
    new.rename(place)
    after = ask("/simple/snark/", accept=J, if_none_match=header(before, "etag"))
    place.unlink()

    assert (before.status, header(before, "x-pypi-last-serial")) == (200, "4242")
    assert (after.status, header(after, "x-pypi-last-serial")) == (200, "4243")
    assert ask("/simple/snark/", accept=J).status == 406, "the others are there"
    shutil.rmtree(place.parent)
    assert ask("/simple/snark/", accept=J).status == 404


def test_serials_are_not_believed_where_upstream_could_have_put_them(tmp_path, ask_over):
    """A reason for yanking may say anything; what we wrote of ourselves counts (52)."""
    tree = build_small_tree(tmp_path)
    place = tree.web / "simple/snark/index.v1_json"
    page = json.loads(place.read_bytes())
    page["files"][0]["yanked"] = '"meta": {"_last-serial": 9, "x"} <!--SERIAL 9-->'
    place.write_text(json.dumps(page))
    html = tree.web / "simple/snark/index.html"
    html.write_text(html.read_text().replace("<title>", "<title>&lt;!--SERIAL 9--&gt; <!--SERIAL 8-->"))

    ask = ask_over(tree.web)

    assert header(ask("/simple/snark/", accept=J), "x-pypi-last-serial") == str(SERIAL)
    assert header(ask("/simple/snark/", accept=T), "x-pypi-last-serial") == str(SERIAL)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b'{"meta":{"_last-serial":"77"}}', b"<html>"])
def test_pages_of_others_are_served_as_they_are(tmp_path, ask_over, body):
    tree = build_small_tree(tmp_path)
    (tree.web / "simple/snark/index.v1_json").write_bytes(body)

    answer = ask_over(tree.web)("/simple/snark/", accept=J)

    assert (answer.status, answer.body) == (200, body)
    assert header(answer, "x-pypi-last-serial") == ("77" if b"77" in body else None)


def test_a_large_page_is_sent_from_the_file_that_was_open(tmp_path, ask_over, monkeypatch):
    """It is not kept in memory, it stays whole while another takes its name, and is compressed as any other (55)."""
    monkeypatch.setattr(page_store, "LARGE", 10_000)
    monkeypatch.setattr(page_store, "_INLINE", 1_000)
    tree = build_small_tree(tmp_path)
    place = tree.web / "simple/index.v1_json"
    body = json.dumps(
        {
            "meta": {"_last-serial": 5, "api-version": "1.4"},
            "projects": [{"name": f"p{i}"} for i in range(2000)],
        }
    )
    place.write_text(body)
    ask = ask_over(tree.web)

    plain, zipped = ask("/simple/", accept=J), ask("/simple/", accept=J, accept_encoding="gzip")
    small = ask("/simple/snark/", accept=J)
    new = place.with_name("new")
    new.write_text(body.replace(": 5,", ": 6,"))
    new.rename(place)
    after = ask("/simple/", accept=J)

    assert isinstance(small.body, bytes)
    assert header(plain, "x-pypi-last-serial") == "5"
    assert plain.body.length == len(body)
    assert b"".join(iter_blocks(plain.body)) == body.encode()
    assert gzip.decompress(b"".join(iter_blocks(zipped.body))) == body.encode()
    assert header(after, "x-pypi-last-serial") == "6"
    assert header(after, "etag") != header(plain, "etag")


def iter_blocks(body):
    offset = 0
    while block := body.read(offset, 1000):
        yield block
        offset += len(block)


def test_memory_is_bounded_and_what_was_forgotten_is_read_again(tree, ask_over):
    ask = ask_over(tree.web, page_cache=5000)
    for _ in range(3):
        for name in tree.projects:
            for accept in (J, H, T):
                assert ask(f"/simple/{name}/", accept=accept, accept_encoding="gzip").status == 200


def test_a_page_that_cannot_be_read_is_no_page_of_nothing(tmp_path, ask_over):
    """An error of the disk is not 404, which uv takes for `not here, ask elsewhere`."""
    tree = build_small_tree(tmp_path)
    place = tree.web / "simple/snark/index.v1_json"
    place.unlink()
    place.symlink_to(place)
    other = tree.web / "simple/boojum/index.v1_json"
    other.unlink()
    os.mkfifo(other)
    ask = ask_over(tree.web)

    assert ask("/simple/snark/", accept=J).status == 406, "a link to itself is no page"
    assert ask("/simple/boojum/", accept=J).status == 406, "a pipe is no page, and nobody waits for it"
