"""What a hostile or broken upstream does to us: one row for each attack, each run with the real program over https.

In every row another project changes at the same time and must come through; what was good before must be there byte for
byte; nothing may lie outside; the run must end; and when the attack is over, the next run must be whole.
"""

import asyncio
import gzip
import json
from dataclasses import dataclass
from typing import Any

import pytest

from support import httpd
from support.hostile import NEW, OLD, answered, edited, json_page, on_new_file, open_range
from support.index_pages import JSON_TYPE

BOTH, BEFORE = [OLD, NEW], [OLD]
PAGE, LIST, FILE, METADATA = "page:victim", "list", f"file:{NEW}", f"file:{NEW}.metadata"
SCRIPT = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
MEMORY_MB = 260
"""More than a run with nothing special takes, much less than any bomb."""
LIST_MEMORY_MB = 600
"""The same for a list, which may be 256 MiB long."""


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    with open_range(tmp_path_factory.mktemp("range")) as ground:
        yield ground


@dataclass(frozen=True)
class Row:
    """One attack and what comes of it."""

    name: str
    attack: Any
    files: Any
    """What the victim's page lists then."""
    code: int = 0
    said: str = ""
    """Part of the log."""
    other: bool = True
    """Whether the other project gets its new release."""
    extra: str = ""


def url_of(path, host="{host}"):
    return on_new_file(url=f"https://{host}{path}" if host else path)


# ------------------------------------------------------------------------------------------ names of files

LEFT_OUT = "left out"
FILENAMES = {
    "up": "../../../../victim-2.0.whl",
    "one-up": "..",
    "here": ".",
    "nothing": "",
    "absolute": "/etc/passwd",
    "folder": "a/victim-2.0.whl",
    "backslash": "..\\..\\victim-2.0.whl",
    "unc": "\\\\server\\share\\victim-2.0.whl",
    "nul": "victim-2.0\0.whl",
    "newline": "victim-2.0\n.whl",
    "return": "victim-2.0\r.whl",
    "escape": "victim-2.0\x1b[31m.whl",
    "delete": "victim-2.0\x7f.whl",
    "c1": "victim-2.0\x9b.whl",
    "256-bytes": "victim-2.0-" + "x" * 241 + ".whl",
    "4096-bytes": "victim-2.0-" + "x" * 4081 + ".whl",
    "255-characters": "victim-2.0-" + "é" * 240 + ".whl",
}
ODD_FILENAMES = {
    "255-bytes": "victim-2.0-" + "x" * 240 + ".whl",
    "device": "NUL.whl",
    "drive": "C:victim-2.0.whl",
    "hidden": ".victim-2.0.whl",
    "percent": "%2e%2e%2fvictim-2.0.whl",
    "markup": "victim-2.0<script>alert(1)<script>.whl",
    "quote": 'victim-2.0"onmouseover="alert(1).whl',
    "bidi": "victim-2.0\u202egnp.whl",
    "page": "index.html",
    "ours": ".frumious-0",
    "other-case": OLD.upper(),
    "decomposed": "victim-2.0-e\u0301.whl",
}

# ---------------------------------------------------------------------------------------------- addresses

ADDRESSES = {
    "up": "/packages/../../../etc/victim-2.0-py3-none-any.whl",
    "encoded-up": "/packages/%2e%2e/%2e%2e/victim-2.0-py3-none-any.whl",
    "encoded-slash": "/packages/..%2f..%2fvictim-2.0-py3-none-any.whl",
    "doubly-encoded": "/packages/%252e%252e/%252e%252e/victim-2.0-py3-none-any.whl",
    "overlong": "/packages/%c0%ae%c0%ae/victim-2.0-py3-none-any.whl",
    "backslash": "/packages/..\\..\\victim-2.0-py3-none-any.whl",
    "encoded-backslash": "/packages/..%5c..%5c/victim-2.0-py3-none-any.whl",
    "nul": "/packages/a%00b/victim-2.0-py3-none-any.whl",
    "simple": "/simple/victim/index.html",
    "other-name": f"/packages/aa/bb/{OLD}",
    "deep": "/packages/" + "a/" * 300 + "victim-2.0-py3-none-any.whl",
    "long": "/packages/" + "a" * 300 + "/victim-2.0-py3-none-any.whl",
}
SCHEMES = {
    "javascript": "javascript:alert(1)//victim-2.0-py3-none-any.whl",
    "data": "data:text/html,victim-2.0-py3-none-any.whl",
    "file": "file:///etc/passwd",
    "ftp": "ftp://example.org/victim-2.0-py3-none-any.whl",
    "half-ipv6": "https://[::1/victim-2.0-py3-none-any.whl",
    "not-a-port": "https://127.0.0.1:99999/victim-2.0-py3-none-any.whl",
}
REFUSED = {
    "plain-http": "http://127.0.0.1:9/victim-2.0-py3-none-any.whl",
    "no-host": "https:///victim-2.0-py3-none-any.whl",
    "nothing": "",
}


def bytes_anywhere(path):
    """Say that the new file lies under a path, and have its bytes there, and its metadata beside them."""

    def override(request, asked, good):
        if asked == PAGE and good:
            page = json.loads(good)
            page["files"][-1]["url"] = path
            return json_page(json.dumps(page).encode())
        if asked in {LIST, PAGE, "serial", "page:other"} or "other" in request.target:
            return None
        return httpd.Response(
            body=override.metadata if request.target.endswith(".metadata") else override.content
        )

    return override


# ------------------------------------------------------------------------------------------------ digests

WRONG_DIGESTS = {"wrong": {"sha256": "0" * 64}, "md5-wrong": {"md5": "0" * 32}}
DIGESTS = {
    "short": {"sha256": "0" * 63},
    "long": {"sha256": "0" * 65},
    "not-hex": {"sha256": "g" * 64},
    "number": {"sha256": 5},
}


def change_digest(change):
    def edit(page):
        file = page["files"][-1]
        file["hashes"] = change(file["hashes"])

    return edited(PAGE, edit)


# ------------------------------------------------------------------------------------------- whole pages

DEEP = b'{"meta":' + b"[" * 200_000 + b"]" * 200_000 + b"}"
BAD_PAGES = {
    "empty": b"",
    "null": b"null",
    "number": b"5",
    "list": b"[]",
    "text": b'"victim"',
    "html": b"<html><body>Sign in to the network</body></html>",
    "deep": DEEP,
    "cut-json": b'{"meta": {"api-version": "1.1"}, "name": "victim", "files": [{"filename": "victim-1',
    "not-utf-8": b'{"meta": {"api-version": "1.0"}, "name": "vict\xff\xfem", "files": []}',
    "no-files": b'{"meta": {"api-version": "1.0"}, "name": "victim"}',
    "files-null": b'{"meta": {"api-version": "1.0"}, "name": "victim", "files": null}',
    "files-object": b'{"meta": {"api-version": "1.0"}, "name": "victim", "files": {"a": 1}}',
    "files-of-numbers": b'{"meta": {"api-version": "1.0"}, "name": "victim", "files": [1, 2]}',
    "of-another": b'{"meta": {"api-version": "1.0"}, "name": "other", "files": []}',
    "name-is-a-path": b'{"meta": {"api-version": "1.0"}, "name": "../other", "files": []}',
    "version-2": b'{"meta": {"api-version": "2.0"}, "name": "victim", "files": []}',
    "version-text": b'{"meta": {"api-version": "one"}, "name": "victim", "files": []}',
    "nan": b'{"meta": {"api-version": "1.0", "_last-serial": NaN}, "name": "victim", "files": []}',
}  # fmt: skip


def whole_page(body, content_type=JSON_TYPE):
    return answered(PAGE, httpd.Response(200, {"Content-Type": content_type}, body))


def bomb(size=300_000_000):
    """Return a small answer that becomes very large."""
    body = gzip.compress(b" " * 1_000_000) * (size // 1_000_000)
    return httpd.Response(200, {"Content-Type": JSON_TYPE, "Content-Encoding": "gzip"}, body)


def endless(content_type=JSON_TYPE):
    """Return an answer that goes on for ever, as fast as it can."""

    async def pour(reader, writer):
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n"
        writer.write(head.encode())
        chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
        while not (writer.is_closing() or reader.at_eof()):
            writer.write(chunk)
            await writer.drain()
            await asyncio.sleep(0)

    return httpd.Takeover(pour)


def dripping(good):
    """Return the right answer, a byte a second."""
    return httpd.Response(200, {"Content-Type": JSON_TYPE}, good, piece=1, pause=0.9)


# -------------------------------------------------------------------------------------------------- rows


def replaced_text(field, value):
    def change(page):
        page["files"][-1][field] = value

    return edited(PAGE, change)


def page_text(**changes):
    return edited(PAGE, lambda page: page.update(changes))


def twice(**changes):
    def change(page):
        page["files"].append({**page["files"][-1], **changes})

    return edited(PAGE, change)


def serial(value, header=None):
    def act(good):
        page = json.loads(good)
        if value is None:
            page["meta"].pop("_last-serial", None)
        else:
            page["meta"]["_last-serial"] = value
        return json_page(json.dumps(page).encode(), header)

    return answered(PAGE, act)


def on_list(change):
    return edited(LIST, change)


def redirected_once(request, asked, _good):
    """Answer with a redirect, unless it has been followed."""
    if asked == PAGE and "?" not in request.target:
        return httpd.redirect("/simple/victim/?again")
    return None


def redirected_seven_times(request, asked, _good):
    if asked == PAGE and len(request.target.partition("?")[2]) < 7:
        return httpd.redirect(f"/simple/victim/?{'x' * (1 + len(request.target.partition('?')[2]))}")
    return None


ROWS = [
    # names of files
    *(Row(f"filename-{n}", on_new_file(filename=v), BEFORE, said=LEFT_OUT) for n, v in FILENAMES.items()),
    *(Row(f"filename-{n}", on_new_file(filename=v), sorted([OLD, v])) for n, v in ODD_FILENAMES.items()),
    Row("filename-number", on_new_file(filename=5), BEFORE, said=LEFT_OUT),
    Row("filename-twice", twice(), BOTH),
    Row("filename-twice-with-other-bytes", twice(hashes={"sha256": "0" * 64}), BOTH),
    # addresses
    *(Row(f"address-{n}", bytes_anywhere(v), BOTH) for n, v in ADDRESSES.items()),
    *(Row(f"scheme-{n}", on_new_file(url=v), BEFORE, said=LEFT_OUT) for n, v in SCHEMES.items()),
    *(Row(f"scheme-{n}", on_new_file(url=v), BEFORE, code=3) for n, v in REFUSED.items()),
    # digests and sizes
    *(Row(f"digest-{n}", on_new_file(hashes=v), BEFORE, said=LEFT_OUT) for n, v in DIGESTS.items()),
    *(Row(f"digest-{n}", on_new_file(hashes=v), BEFORE, code=3) for n, v in WRONG_DIGESTS.items()),
    Row("digest-null", on_new_file(hashes={"sha256": None}), BOTH),
    Row("digest-none", on_new_file(hashes={}), BOTH),
    Row("digest-unknown", on_new_file(hashes={"whirlpool": "0" * 128}), BOTH),
    Row("digest-upper-case", change_digest(lambda h: {"sha256": h["sha256"].upper()}), BOTH),
    Row("digest-name-upper-case", change_digest(lambda h: {"SHA256": h["sha256"]}), BOTH),
    Row("digest-wrong-metadata", on_new_file(**{"core-metadata": {"sha256": "0" * 64}}), BEFORE, code=3),
    *(Row(f"size-{n}", on_new_file(size=n), BEFORE, code=3) for n in (1, 10**6, 10**18)),
    *(Row(f"size-{n!r}", on_new_file(size=n), BOTH) for n in (-1, "1", 1.5, None, True)),
    # scripts in every field of text
    *(Row(f"script-{f}", replaced_text(f, SCRIPT), BOTH) for f in ("requires-python", "yanked", "upload-time", "provenance")),
    Row("script-status", page_text(**{"project-status": {"status": SCRIPT, "reason": SCRIPT}}), BOTH),
    Row("script-reason", page_text(**{"project-status": {"status": "archived", "reason": SCRIPT}}), BOTH),
    Row("script-versions", page_text(versions=[SCRIPT, "1.0"]), BOTH),
    Row("javascript-provenance", replaced_text("provenance", "javascript:alert(1)"), BOTH),
    # whole pages
    *(Row(f"page-{n}", whole_page(v), BEFORE, code=3) for n, v in BAD_PAGES.items()),
    Row("page-type-binary", whole_page(b"{}", "application/octet-stream"), BEFORE, code=3),
    Row("page-bomb", answered(PAGE, bomb()), BEFORE, code=3, said="longer"),
    Row("page-endless", answered(PAGE, endless()), BEFORE, code=3),
    Row("page-of-10-gb", answered(PAGE, httpd.Response(200, {"Content-Type": JSON_TYPE, "Content-Length": str(10**10)}, b" " * 10, ending=httpd.Hang())), BEFORE, code=3),
    Row("page-a-byte-a-second", answered(PAGE, dripping), BEFORE, code=3),
    Row("page-hangs", answered(PAGE, httpd.Hang()), BEFORE, code=3),
    Row("page-resets", answered(PAGE, httpd.Reset()), BEFORE, code=3),
    Row("page-garbage", answered(PAGE, httpd.Raw(b"\x00\x01nonsense\r\n\r\n")), BEFORE, code=3),
    # redirects
    Row("redirect-once", redirected_once, BOTH),
    Row("redirect-seven-times", redirected_seven_times, BEFORE, code=3, said="more than 5 redirects"),
    Row("redirect-circle", answered(PAGE, httpd.redirect("/simple/victim/")), BEFORE, code=3, said="circle"),
    Row("redirect-to-http", answered(PAGE, httpd.redirect("http://127.0.0.1:9/x")), BEFORE, code=3, said="plain http"),
    Row("redirect-to-file", answered(PAGE, httpd.redirect("file:///etc/passwd")), BEFORE, code=3, said="neither https nor http"),
    Row("redirect-to-nothing", answered(PAGE, httpd.redirect("https://[")), BEFORE, code=3),
    Row("redirect-without-address", answered(PAGE, httpd.Response(302)), BEFORE, code=3),
    Row("redirect-file-to-http", answered(FILE, httpd.redirect("http://127.0.0.1:9/x")), BEFORE, code=3, said="plain http"),
    # statuses
    *(Row(f"page-{s}", answered(PAGE, httpd.Response(s)), BEFORE, code=3, said=str(s)) for s in (400, 403, 429, 500, 503)),
    Row("page-404", answered(PAGE, httpd.Response(404)), BEFORE),
    Row("page-410", answered(PAGE, httpd.Response(410)), BEFORE),
    Row("page-204", answered(PAGE, httpd.Response(204)), BEFORE, code=3),
    Row("page-304-unasked", answered(PAGE, httpd.Response(304)), BEFORE, code=3),
    *(Row(f"file-{s}", answered(FILE, httpd.Response(s)), BEFORE, code=3, said=str(s)) for s in (403, 404, 410, 429, 500, 503)),
    *(Row(f"metadata-{s}", answered(METADATA, httpd.Response(s)), BOTH) for s in (403, 404, 410)),
    *(Row(f"metadata-{s}", answered(METADATA, httpd.Response(s)), BEFORE, code=3) for s in (429, 500, 503)),
    # bodies of files
    Row("file-other-bytes", answered(FILE, lambda good: httpd.Response(body=good[::-1])), BEFORE, code=3),
    Row("file-shorter", answered(FILE, lambda good: httpd.Response(body=good[:-1])), BEFORE, code=3),
    Row("file-longer", answered(FILE, lambda good: httpd.Response(body=good + b"x")), BEFORE, code=3),
    Row("file-empty", answered(FILE, httpd.Response()), BEFORE, code=3),
    Row("file-endless", answered(FILE, endless("application/octet-stream")), BEFORE, code=3),
    Row("file-compressed", answered(FILE, httpd.gzipped), BEFORE, code=3),
    Row("file-hangs", answered(FILE, lambda good: httpd.Response(body=good, ending=httpd.Hang(10))), BEFORE, code=3),
    Row("metadata-other-bytes", answered(METADATA, lambda good: httpd.Response(body=good[::-1])), BEFORE, code=3),
    # serials
    Row("serial-backwards", serial(1), BEFORE, code=3, said="serial 1"),
    Row("serial-none", serial(None), BOTH),
    Row("serial-text", serial("99999"), BOTH),
    Row("serial-words", serial("soon"), BOTH),
    Row("serial-negative", serial(-5), BOTH),
    Row("serial-of-40-digits", serial(10**40), BOTH),
    Row("serial-float", serial(1e300), BOTH),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_an_attack_harms_nobody_else_and_passes(ground, tmp_path, row):
    attack = row.attack
    file = ground.index.file(NEW)
    attack.content, attack.metadata = file.content, file.metadata
    target = ground.place(tmp_path)
    target.extra = row.extra
    good = target.tree()
    ground.attack_with(attack)
    try:
        done = target.run()
    finally:
        ground.attack_with(None)
    assert "Traceback" not in done.log
    assert "internal error" not in done.log
    target.check()
    assert (done.code, target.files("victim")) == (row.code, row.files), done.log
    assert row.said in done.log
    assert done.peak_mb < MEMORY_MB
    assert len(target.files("other")) == 1 + row.other
    after = target.tree()
    assert {
        path: body for path, body in good.items() if path.startswith("packages/")
    }.items() <= after.items()
    if row.code:
        assert "victim" in done.log
    # What upstream said of a serial is taken for that until it says something new, or somebody asks.
    healed = target.run(*(["--force-check"] if row.code == 0 else []))
    target.check()
    assert (healed.code, target.files("victim"), len(target.files("other"))) == (0, BOTH, 2), healed.log


LISTS = {
    "empty": (on_list(lambda page: page.update(projects=[])), "empty"),
    "not-json": (answered(LIST, httpd.Response(200, {"Content-Type": JSON_TYPE}, b"{")), ""),
    "null": (answered(LIST, httpd.Response(200, {"Content-Type": JSON_TYPE}, b"null")), ""),
    "deep": (answered(LIST, httpd.Response(200, {"Content-Type": JSON_TYPE}, DEEP)), ""),
    "wrong-type": (answered(LIST, httpd.Response(200, {"Content-Type": "image/png"}, b"\x89PNG")), ""),
    "login-page": (answered(LIST, httpd.Response(200, {"Content-Type": "text/html"}, b"<html>Sign in</html>")), ""),
    "names-not-a-list": (on_list(lambda page: page.update(projects={"a": 1})), ""),
    "version-2": (on_list(lambda page: page["meta"].update({"api-version": "2.0"})), ""),
    "bomb": (answered(LIST, bomb(3_000_000_000)), ""),
    "hangs": (answered(LIST, httpd.Hang()), ""),
    "resets": (answered(LIST, httpd.Reset()), ""),
    "circle": (answered(LIST, httpd.redirect("/simple/")), "circle"),
    "to-http": (answered(LIST, httpd.redirect("http://127.0.0.1:9/simple/")), "plain http"),
    "cut": (answered(LIST, lambda good: httpd.Response(200, {"Content-Type": JSON_TYPE}, good, ending=httpd.Cut(40))), ""),
    **{str(s): (answered(LIST, httpd.Response(s)), str(s)) for s in (403, 404, 429, 500, 503)},
}  # fmt: skip


@pytest.mark.parametrize("name", LISTS)
def test_a_list_that_cannot_be_used_changes_nothing(ground, tmp_path, name):
    attack, said = LISTS[name]
    target = ground.place(tmp_path)
    good = target.tree()
    ground.attack_with(attack)
    try:
        done = target.run()
    finally:
        ground.attack_with(None)
    assert done.code == 1, done.log
    assert said in done.log
    assert "Traceback" not in done.log
    assert "internal error" not in done.log
    assert done.peak_mb < LIST_MEMORY_MB
    assert target.tree() == good
    healed = target.run()
    assert healed.code == 0, healed.log
    assert target.files("victim") == BOTH


def names(*more):
    return on_list(lambda page: page["projects"].extend({"name": name, "_last-serial": 900} for name in more))


ODD_LISTS = {
    "half": on_list(lambda page: page.update(projects=page["projects"][:1])),
    "twice": on_list(lambda page: page["projects"].extend(page["projects"])),
    "in-other-spellings": on_list(lambda page: page["projects"].extend({**p, "name": p["name"].upper()} for p in list(page["projects"]))),
    "up": names("../../x", "..", ".", "", "/", "a/b", "..\\x", "x\0y", "x\ny"),
    "markup": names("<script>alert(1)</script>", 'a"onload=alert(1)', "&lt;"),
    "long": names("x" * 300, "x" * 100_000),
    "not-ascii": names("p\u0430yp\u0430l", "Ünï", "\u202eevil", "\ud800"),
    "names-that-are-none": on_list(lambda page: page["projects"].extend([{"name": 5}, {"name": None}, {}, 7, None, "x"])),
    "serials-backwards": on_list(lambda page: [p.update({"_last-serial": 1}) for p in page["projects"]] and page["meta"].update({"_last-serial": 1})),
    "serials-text": on_list(lambda page: [p.update({"_last-serial": str(p["_last-serial"])}) for p in page["projects"]] and None),
    "serials-none": on_list(lambda page: [p.pop("_last-serial") for p in page["projects"]] and None),
    "serials-huge": on_list(lambda page: page["meta"].update({"_last-serial": 10**30})),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD_LISTS)
def test_a_list_that_lies_loses_nothing_that_its_pages_do_not_confirm(ground, tmp_path, name):
    target = ground.place(tmp_path)
    good = target.tree()
    ground.attack_with(ODD_LISTS[name])
    try:
        done = target.run()
    finally:
        ground.attack_with(None)
    assert done.code in {0, 1, 3}, done.log
    assert "Traceback" not in done.log
    assert "internal error" not in done.log
    target.check()
    assert {n for n in target.tree() if n.startswith("packages/")} >= {
        n for n in good if n.startswith("packages/")
    }
    for project in ("victim", "other", "still"):
        assert target.files(project)
    healed = target.run()
    target.check()
    assert healed.code == 0, healed.log
    assert (target.files("victim"), len(target.files("other")), len(target.files("still"))) == (BOTH, 2, 1)


def test_a_certificate_that_nobody_vouches_for_is_refused(ground, tmp_path):
    target = ground.place(tmp_path)
    good = target.tree()
    done = target.run(trust=False)
    assert done.code == 1
    assert "certificate" in done.log
    assert target.tree() == good
