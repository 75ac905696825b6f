"""contrib/nginx/frumious-static.conf: what a static tree answers through plain nginx (conformance 110)."""

import gzip
import hashlib
import json
import re
import shutil
from urllib.parse import quote, unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.nginx import CONTRIB, check_config, render, run_nginx
from support.tree import build_small_tree

J = "application/vnd.pypi.simple.v1+json"
H = "application/vnd.pypi.simple.v1+html"
T = "text/html; charset=utf-8"
NOT_ACCEPTABLE = None

PAGES = ["/simple/", "/simple/jubjub-bird/"]


# --- the shipped files --------------------------------------------------------------------------------------------------


def test_nginx_accepts_every_shipped_file(tmp_path):
    names = sorted(path.name for path in CONTRIB.glob("*.conf"))
    assert names == ["frumious-hybrid.conf", "frumious-static.conf", "origin-note.conf"]

    for name in names:
        checked = check_config(render(name, tmp_path / "web", 8080), tmp_path / name)
        assert checked.returncode == 0, checked.stderr
        assert "[warn]" not in checked.stderr


@pytest.mark.parametrize("name", ["frumious-static.conf", "frumious-hybrid.conf"])
def test_the_shipped_server_block_loads_exactly_as_shipped(tmp_path, name):
    checked = check_config((CONTRIB / name).read_text(), tmp_path)

    assert "syntax is ok" in checked.stderr, checked.stderr


# --- which form (conformance 42-48, table 3.5) --------------------------------------------------------------------------

# What plain nginx does differently from the table is marked here and said in the file's comments; nothing else differs.
NEGOTIATED = [
    # absent, and clients that do not care (44)
    (None, T),
    ("", T),
    (" , ", T),
    ("*/*", T),
    ("*/*;q=0.1", T),
    # pip, unearth and pdm; uv; devpi; poetry; bandersnatch and shadowmire; old pip; browsers
    (f"{J}, {H}; q=0.1, text/html; q=0.01", J),
    (f"{J}, {H};q=0.2, text/html;q=0.01", J),
    (f"{H};q=0.2, {J}, text/html;q=0.01", J),
    (f"{J}, */*;q=0.1", J),
    (J, J),
    ("text/html", T),
    (H, H),
    ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", T),
    # q=0 excludes, in all its spellings; spaces are tolerated (46)
    (f"{J};q=0, */*", T),
    (f"{J};q=0.000, */*", T),
    (f"{J} ; q = 0 , */*", T),
    ("text/html;q=0, */*", J),
    (f"text/html;q=0, {J};q=0, */*", H),
    (f"{J};q=0", NOT_ACCEPTABLE),
    ("*/*;q=0", NOT_ACCEPTABLE),
    (f"*/*;q=0, {H}", H),
    # ties: JSON, unless only `*/*` speaks for it
    (f"text/html, {J}", J),
    (f"text/html, {H}", H),
    (f"{H}, */*", H),
    ("text/html, */*", T),
    ("application/*", J),
    ("text/*", T),
    ("text/*;q=0.5, application/*;q=0.4", T),
    # the q-value decides, to the third decimal, whatever the order
    (f"{J};q=0.2, {H};q=0.3", H),
    (f"{J};q=0.1, {H};q=0.101, text/html;q=0.099", H),
    (f"{J};q=0.101, {H};q=0.1, text/html;q=0.099", J),
    (f"text/html;q=0.9, {H};q=0.89, {J};q=0.899", T),
    (f"{J};q=0.50, {H};q=0.5", J),
    (f"{J};q=0.9, text/html;q=1.000", T),
    (f"{J};q=1.0, text/html;q=0.999", J),
    (f"{H};q=0.001", H),
    # `latest` (47)
    ("application/vnd.pypi.simple.latest+json", J),
    ("application/vnd.pypi.simple.latest+html", H),
    # case and other parameters
    ("Application/VND.PyPI.Simple.V1+JSON", J),
    (f"{J}; charset=utf-8", J),
    ("text/html;level=1;q=0.4, application/vnd.pypi.simple.v1+json;x=y; Q=0.3", T),
    # nothing we have (45)
    ("application/vnd.pypi.simple.v2+json", NOT_ACCEPTABLE),
    ("application/vnd.pypi.simple.v1+jsonp", NOT_ACCEPTABLE),
    ("application/json", NOT_ACCEPTABLE),
    ("image/png, text/plain;q=0.5", NOT_ACCEPTABLE),
    ("xtext/html", NOT_ACCEPTABLE),
    # no media type at all: an answer, never a 500 (46); documented: a q that is no number counts as 1
    (";;q==,,/", NOT_ACCEPTABLE),
    (f"{J};q=high, text/html;q=0.5", J),
    (f"{J};q=, text/html;q=0.5", J),
    # documented exception: of one type named twice the first counts
    (f"{J};q=0.1, text/html;q=0.5, {J};q=0.9", T),
]


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize(("accept", "expected"), NEGOTIATED)
def test_accept_chooses_the_form(nginx, page, accept, expected):
    answer = nginx.ask(page, {} if accept is None else {"Accept": accept})

    assert (answer.status, answer["Content-Type"]) == (
        (406, "text/plain; charset=utf-8") if expected is NOT_ACCEPTABLE else (200, expected)
    )
    assert answer.body.startswith(
        {J: b"{", H: b"<!DOCTYPE html>", T: b"<!DOCTYPE html>"}.get(expected, b"406 ")
    )


@pytest.mark.parametrize("left", range(0, 1001, 37))
def test_q_values_compare_as_numbers(nginx, left):
    """Against the same comparison by a programming language, for pairs that share no, some or all digits."""

    def text(thousandths: int) -> str:
        return (
            f"{thousandths / 1000:.3f}".rstrip("0").rstrip(".") if left % 2 else f"{thousandths / 1000:.3f}"
        )

    for right in (0, 1, 9, 10, 37, 99, 100, 101, 370, 407, 500, 814, 900, 990, 999, 1000):
        answer = nginx.ask("/simple/", {"Accept": f"{J};q={text(left)},text/html;q={text(right)}"})
        expected = J if left >= right else T
        assert answer["Content-Type"] == (expected if left or right else "text/plain; charset=utf-8"), (
            left,
            right,
        )


MATCHES = {J: ("*/*", "application/*", J), H: ("*/*", "application/*", H), T: ("*/*", "text/*", "text/html")}


@given(
    st.dictionaries(
        st.sampled_from([J, H, "text/html", "application/*", "text/*", "*/*", "image/png"]),
        st.none() | st.integers(0, 1000),
        max_size=6,
    ).flatmap(lambda entries: st.permutations(list(entries.items())))
)
@settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_accept_gets_what_a_program_would_choose(nginx, entries):
    """Conformance 43: the maps against PEP 691's rules written down as code."""
    wanted = dict(entries) or {"*/*": None}
    ranks = {}
    for form, ranges in MATCHES.items():
        exact = next((level for level in (2, 1, 0) if ranges[level] in wanted), None)
        if exact is not None and (q := wanted[ranges[exact]]) != 0:
            preferred = {J: 3, H: 2, T: 1} if exact else {J: 2, H: 1, T: 3}
            ranks[form] = (1000 if q is None else q, exact, preferred[form])
    expected = max(ranks, key=ranks.__getitem__) if ranks else "text/plain; charset=utf-8"

    accept = ", ".join(name if q is None else f"{name};q={q / 1000:.3f}" for name, q in entries)

    assert nginx.ask("/simple/", {"Accept": accept})["Content-Type"] == expected


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("encoding", ["+", "%2B", "%2b", "%20"])
def test_format_in_the_query_comes_before_accept(nginx, page, encoding):
    """Conformance 48."""
    for media_type, expected in [(J, J), (H, H), ("application/vnd.pypi.simple.latest+json", J)]:
        target = f"{page}?format={media_type.replace('+', encoding)}"
        assert nginx.ask(target, {"Accept": "text/html"})["Content-Type"] == expected
    assert nginx.ask(f"{page}?format=text/html", {"Accept": J})["Content-Type"] == T
    assert nginx.ask(f"{page}?x=1&format=text%2Fhtml&y=2", {"Accept": J})["Content-Type"] == T


@pytest.mark.parametrize("asked", ["application/vnd.pypi.simple.v2+json", "*/*", "json"])
def test_a_format_that_we_do_not_have_is_not_acceptable(nginx, asked):
    assert nginx.ask(f"/simple/?format={asked}").status == 406


def test_an_empty_format_asks_for_nothing(nginx):
    assert nginx.ask("/simple/?format=", {"Accept": J})["Content-Type"] == J


def test_the_types_survive_somebody_elses_defaults(tree, tmp_path):
    """Conformance 42: an http block that gives every type a charset must not break devpi."""
    extra = "charset koi8-r; charset_types *; gzip_types *; autoindex on; etag off; add_header X-Theirs 1;"
    with run_nginx("frumious-static.conf", tree.web, tmp_path, extra=extra) as nginx:
        page = nginx.ask("/simple/snark/", {"Accept": J})
        html = nginx.ask("/simple/snark/", {"Accept": H})
        file = nginx.ask(tree.file("boojum-1.0.tar.gz").path, {"Accept-Encoding": "gzip"})

    assert (page["Content-Type"], page["X-Theirs"]) == (J, None)
    assert page["ETag"]
    assert html["Content-Type"] == H
    assert (file["Content-Encoding"], file["Content-Type"]) == (None, "application/octet-stream")


@pytest.mark.parametrize(("form", "kept"), [("HTML", T), ("JSON", J)])
def test_a_mirror_of_one_form_needs_only_the_edit_that_the_file_describes(tree, tmp_path, form, kept):
    """`simple-format`: then pip, which prefers JSON, still gets the HTML there is."""
    web = tmp_path / "web"
    shutil.copytree(tree.web, web)
    for page in (web / "simple").rglob("index.*"):
        if page.name.endswith("_json") is (form == "HTML"):
            page.unlink()

    def leave_only_default(text):
        for name in {"HTML": ["json"], "JSON": ["v1_html", "html"]}[form]:
            a_map = rf'(map \$http_accept \$frumious_{name} {{\n    default "-";\n)(?:    ".*\n)+}}'
            text, edits = re.subn(a_map, r"\1}", text)
            assert edits == 1
        return text

    with run_nginx("frumious-static.conf", web, tmp_path / "nginx", edit=leave_only_default) as nginx:
        answer = nginx.ask("/simple/snark/", {"Accept": f"{J}, {H}; q=0.1, text/html; q=0.2"})

    assert (answer.status, answer["Content-Type"]) == (200, kept)


# --- caches (conformance 49-51) -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_vary_stands_on_200_304_and_406(nginx, page):
    found = nginx.ask(page, {"Accept": J})
    unchanged = nginx.ask(page, {"Accept": J, "If-None-Match": found["ETag"]})
    refused = nginx.ask(page, {"Accept": "image/png"})

    assert [answer.status for answer in (found, unchanged, refused)] == [200, 304, 406]
    assert {answer["Vary"] for answer in (found, unchanged, refused)} == {"Accept, Accept-Encoding"}


@pytest.mark.parametrize("accept", [J, "text/html"])
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_a_known_page_is_not_sent_again(nginx, accept, encoding):
    """Conformance 50 and 51."""
    asked = {"Accept": accept, "Accept-Encoding": encoding}
    first = nginx.ask("/simple/jubjub-bird/", asked)

    for known in (first["ETag"], f'"other", {first["ETag"]}', "*"):
        again = nginx.ask("/simple/jubjub-bird/", asked | {"If-None-Match": known})
        assert (again.status, again.body) == (304, b"")
        assert again["ETag"]
        assert again["Vary"] == "Accept, Accept-Encoding"
        assert again["Cache-Control"] == "max-age=600, public"
    assert nginx.ask("/simple/jubjub-bird/", asked | {"If-None-Match": '"other"'}).status == 200
    assert first["Date"]


def test_each_form_and_each_encoding_has_its_own_etag(nginx):
    """Conformance 50."""
    etags = [
        nginx.ask("/simple/jubjub-bird/", {"Accept": accept, "Accept-Encoding": encoding})["ETag"]
        for accept in (J, "text/html")
        for encoding in ("identity", "gzip")
    ]

    assert None not in etags
    assert len(set(etags)) == 4


def test_v1_html_is_never_confirmed_by_a_validator_of_the_same_bytes_as_text_html(nginx):
    """Documented exception to conformance 50: nginx makes one ETag for two names of one file."""
    html = nginx.ask("/simple/snark/", {"Accept": "text/html"})

    answer = nginx.ask(
        "/simple/snark/",
        {"Accept": H, "If-None-Match": html["ETag"], "If-Modified-Since": html["Last-Modified"]},
    )

    assert (answer.status, answer["Content-Type"], answer.body) == (200, H, html.body)
    by_time_alone = nginx.ask("/simple/snark/", {"Accept": H, "If-Modified-Since": html["Last-Modified"]})
    assert by_time_alone.status == 200
    assert (answer["ETag"], answer["Last-Modified"]) == (None, None)
    assert answer["Vary"] == "Accept, Accept-Encoding"
    assert answer["Cache-Control"] == "max-age=600, public"


def test_two_clients_through_one_cache_never_get_each_others_form(nginx):
    """Conformance 49, with a cache that does just what RFC 9111 lets it do."""
    cache = {}

    def fetch(accept):
        """Ask through the cache: a stored answer is reused for equal values of the headers it varies on."""
        for (varied, stored_for), stored in cache.items():
            if stored_for == tuple({"Accept": accept}.get(name) for name in varied):
                return stored
        known = ", ".join(stored["ETag"] for stored in cache.values() if stored["ETag"])
        answer = nginx.ask("/simple/snark/", {"Accept": accept} | ({"If-None-Match": known} if known else {}))
        if answer.status == 304:
            return next(stored for stored in cache.values() if stored["ETag"] == answer["ETag"])
        varied = tuple(name.strip() for name in answer["Vary"].split(","))
        return cache.setdefault((varied, tuple({"Accept": accept}.get(name) for name in varied)), answer)

    for accept, expected in [(J, J), ("text/html", T), (H, H), (f"{J};q=0.5", J), ("*/*", T), (H, H), (J, J)]:
        assert fetch(accept)["Content-Type"] == expected
    assert len(cache) == 3


@pytest.mark.parametrize("accept", [J, H, "text/html"])
def test_pages_travel_compressed(nginx, accept):
    """Conformance 55."""
    plain = nginx.ask("/simple/jubjub-bird/", {"Accept": accept})
    packed = nginx.ask(
        "/simple/jubjub-bird/",
        {"Accept": accept, "Accept-Encoding": "gzip, deflate, zstd", "Via": "1.1 cache"},
    )

    assert (plain["Content-Encoding"], packed["Content-Encoding"]) == (None, "gzip")
    assert gzip.decompress(packed.body) == plain.body
    assert packed["Content-Type"] == plain["Content-Type"]


# --- names and routing (conformance 2-11) -------------------------------------------------------------------------------


def test_every_listed_project_answers(nginx, tree):
    """Conformance 2."""
    listed = json.loads(nginx.ask("/simple/", {"Accept": J}).body)["projects"]

    assert [project["name"] for project in listed] == ["Boojum", "Jubjub.Bird", "Snark", "tove"]
    for name in tree.projects:
        assert nginx.ask(f"/simple/{name}/").status == 200


@pytest.mark.parametrize(
    ("asked", "location"),
    [
        ("/simple", "/simple/"),
        ("/simple?format=text/html&x=%2B", "/simple/?format=text/html&x=%2B"),
        ("/simple/snark", "/simple/snark/"),
        ("/simple/jubjub-bird?a=b", "/simple/jubjub-bird/?a=b"),
    ],
)
def test_a_missing_final_slash_is_one_permanent_hop(nginx, asked, location):
    """Conformance 3 and 56; the address is relative, so that it is right behind any proxy, host or port."""
    answer = nginx.ask(asked, {"Host": "elsewhere.example.org"})

    assert (answer.status, answer["Location"]) == (301, location)
    assert nginx.ask(location, {"Accept": J}).status == 200


@pytest.mark.parametrize("accept", [None, J, H, "text/html", "application/json", "image/png"])
@pytest.mark.parametrize("target", ["/simple/unknown/", "/simple/unknown"])
def test_an_unknown_project_is_a_small_404_for_every_accept(nginx, accept, target):
    """Conformance 6 and 7."""
    answer = nginx.ask(target, {} if accept is None else {"Accept": accept})

    assert (answer.status, answer.body) == (404, b"404 Not Found\n")
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert answer["Cache-Control"] is None


@given(
    st.tuples(*(st.sampled_from([c, c.upper()]) for c in "jubjub")).map("".join),
    st.text("-_.", min_size=1, max_size=5),
    st.sampled_from(["bird", "Bird", "BIRD", "biRd"]),
    st.sampled_from(["", "/"]),
)
@settings(max_examples=60, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_other_spelling_of_a_name_is_one_permanent_hop_away(nginx, first, separators, second, slash):
    """Conformance 1 and 4."""
    spelling = f"{first}{separators}{second}"
    answer = nginx.ask(f"/simple/{spelling}{slash}?a=b")

    if (spelling, slash) == ("jubjub-bird", "/"):
        assert answer.status == 200
    else:
        assert (answer.status, answer["Location"]) == (301, "/simple/jubjub-bird/?a=b")


def test_a_legacy_document_is_found_by_every_spelling_too(nginx):
    """Conformance 84."""
    answer = nginx.ask("/pypi/Jubjub__Bird/json?a=b")

    assert (answer.status, answer["Location"]) == (301, "/pypi/jubjub-bird/json?a=b")
    assert nginx.ask("/pypi/jubjub-bird/json").status == 200


@pytest.mark.parametrize("name", ["Unknown", "A" * 8, "A" * 9, "A" * 40, "a_b" * 30, "a" + "_.-" * 60 + "a"])
@pytest.mark.parametrize("place", ["/simple/{}/", "/simple/{}", "/pypi/{}/json"])
def test_a_name_that_nobody_has_is_a_404_however_much_there_is_to_turn(nginx, place, name):
    """nginx gives up with a 500 when a request is rewritten ten times (conformance 5)."""
    assert nginx.ask(place.format(name)).status == 404


@pytest.mark.parametrize(
    "target",
    [
        "/simple/-snark/",
        "/simple/snark-/",
        "/simple/sn%61rk%0A/",
        "/simple/snark/%0A",
        "/simple/snark%00/",
        "/simple/%D1%95nark/",
        "/simple/snark%2F",
        "/simple%2Fsnark/",
        "/simple/../simple/snark/",
        "/simple/%2e%2e/simple/snark/",
        "/simple/./snark/",
        "/simple/..%2f..%2fstatus",
        "/simple/..\\snark/",
        "/../status",
        "/simple/snark/../../../status",
    ],
)
def test_what_is_no_name_never_reaches_a_file(nginx, target):
    """Conformance 5."""
    assert nginx.ask(target).status in {400, 404}


@pytest.mark.parametrize(
    "target", ["/simple/index.html", "/simple/snark/index.html", "/simple/snark/index.v1_html"]
)
def test_html_answers_only_where_the_url_ends_in_a_slash(nginx, target):
    """Conformance 9: elsewhere the links in it would lead astray."""
    assert nginx.ask(target).status == 404


@pytest.mark.parametrize("target", ["/simple/index.v1_json", "/simple/snark/index.v1_json"])
def test_the_json_form_can_be_asked_for_by_its_file_name(nginx, target):
    """As static mirrors do among each other, whatever their Accept says."""
    answer = nginx.ask(target, {"Accept": "application/json"})

    assert (answer.status, answer["Content-Type"]) == (200, J)


@pytest.mark.parametrize("target", ["/simple/namespaces", "/simple/namespaces/", "/simple/namespace/snark"])
def test_there_are_no_namespaces(nginx, target):
    """Conformance 10: we say API 1.4."""
    assert nginx.ask(target).status == 404


@pytest.mark.parametrize("page", PAGES)
def test_the_three_forms_agree(nginx, page):
    """Conformance 11, 12, 24 and 39, as they arrive."""
    document = json.loads(nginx.ask(page, {"Accept": J}).body)
    html = nginx.ask(page).body.decode()

    assert nginx.ask(page, {"Accept": H}).body.decode() == html
    assert document["meta"]["api-version"] == "1.4"
    assert html.count('name="pypi:repository-version" content="1.4"') == 1
    assert len(re.findall(r"<a[ >]", html)) == len(document.get("files", document.get("projects")))


@pytest.mark.parametrize(
    "target",
    ["/", "/simple/snark/x", "/packages", "/packages/", "/packages/00/", "/json/", "/local-stats/days/"],
)
def test_nothing_else_is_served_and_no_folder_is_listed(nginx, target):
    assert nginx.ask(target).status == 404


def test_no_hidden_file_is_served(tree, nginx):
    hidden = [tree.web / ".htpasswd", tree.web / "simple" / ".lock", tree.web / "packages" / ".part"]
    for path in hidden:
        path.write_text("secret")

    answers = [nginx.ask(f"/{path.relative_to(tree.web)}").status for path in hidden]

    for path in hidden:
        path.unlink()
    assert answers == [404, 404, 404]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "PROPFIND"])
@pytest.mark.parametrize("target", ["/simple/", "/simple/snark/", "/packages/x", "/pypi/snark/json", "/pypi"])
def test_only_reading_is_allowed(nginx, method, target):
    """Conformance 57."""
    answer = nginx.ask(target, method=method, body=b"x")

    assert (answer.status, answer["Allow"]) == (405, "GET, HEAD, OPTIONS")


def test_head_equals_get(nginx, tree):
    """Conformance 8."""
    targets = [*PAGES, "/simple", "/simple/unknown/", "/pypi/snark/json", "/pypi/none/json", "/last-modified"]
    targets += [tree.file("snark-1.0-py3-none-any.whl").path, f"{tree.files[0].path}.metadata"]
    for target in targets:
        for headers in ({"Accept": J}, {"Accept": "text/html"}, {"Accept": "image/png"}):
            get, head = nginx.ask(target, headers), nginx.ask(target, headers, method="HEAD")
            assert (head.status, head.headers, head.body) == (get.status, get.headers, b""), target


# --- files (conformance 59-71) ------------------------------------------------------------------------------------------


def test_every_link_of_every_page_gives_the_promised_bytes(nginx, tree):
    """Conformance 59, 67 and 70, from the page to the disk."""
    seen = 0
    for name in tree.projects:
        for file in json.loads(nginx.ask(f"/simple/{name}/", {"Accept": J}).body)["files"]:
            path = file["url"].removeprefix("../..")
            assert path.startswith("/packages/")
            answer = nginx.ask(path)
            assert (answer.status, answer["Content-Length"]) == (200, str(file["size"]))
            assert hashlib.sha256(answer.body).hexdigest() == file["hashes"]["sha256"]
            beside = nginx.ask(f"{path}.metadata")
            if promised := file.get("core-metadata"):
                assert hashlib.sha256(beside.body).hexdigest() == promised["sha256"]
            else:
                assert beside.status == 404
            seen += 1
    assert seen == len(tree.files)


@pytest.mark.parametrize("accepted", ["identity", "gzip", "gzip, deflate, br, zstd", "*"])
def test_distributions_are_never_encoded(nginx, tree, accepted):
    """Conformance 60 and 61: a `.tar.gz` is an octet stream, not gzip-encoded tar."""
    for file in tree.files:
        for method in ("GET", "HEAD"):
            answer = nginx.ask(file.path, {"Accept-Encoding": accepted}, method=method)
            assert (answer["Content-Encoding"], answer["Accept-Ranges"]) == (None, "bytes")
            assert answer["Content-Type"] == "application/octet-stream"
            assert answer["Content-Length"] == str(len(file.body))


def test_core_metadata_may_travel_compressed(nginx, tree):
    """Conformance 67; PyPI does so too."""
    file = tree.file("snark-1.0-py3-none-any.whl")
    plain, packed = (nginx.ask(f"{file.path}.metadata", {"Accept-Encoding": e}) for e in ("identity", "gzip"))

    assert plain.body == gzip.decompress(packed.body) == file.metadata
    assert plain["Vary"] == packed["Vary"] == "Accept-Encoding"
    assert plain["Cache-Control"] == "max-age=365000000, immutable, public"


def test_ranges(nginx, tree):
    """Conformance 62, 63 and 64."""
    file = tree.file("snark-1.0-py3-none-any.whl")
    size = len(file.body)

    def ask(value):
        answer = nginx.ask(file.path, {"Range": value})
        return answer.status, answer["Content-Range"], answer.body

    assert ask("bytes=0-0") == (206, f"bytes 0-0/{size}", file.body[:1])
    assert ask("bytes=10-99") == (206, f"bytes 10-99/{size}", file.body[10:100])
    assert ask("bytes=100-") == (206, f"bytes 100-{size - 1}/{size}", file.body[100:])
    assert ask("bytes=100-999999") == (206, f"bytes 100-{size - 1}/{size}", file.body[100:])
    assert ask("bytes=-20") == (206, f"bytes {size - 20}-{size - 1}/{size}", file.body[-20:])
    assert ask("bytes=-999999")[2] == file.body
    assert ask(f"bytes={size}-")[:2] == (416, f"bytes */{size}")
    for garbage in ("bytes=9-3", "bytes=", "bytes=a-b", "bytes=-", "lines=1-2", "bytes"):
        assert ask(garbage)[0] in {200, 416}


def test_a_range_is_resumed_only_of_the_same_file(nginx, tree):
    """Conformance 65."""
    file = tree.file("snark-1.0-py3-none-any.whl")
    known = nginx.ask(file.path, method="HEAD")

    for validator, status in [(known["ETag"], 206), (known["Last-Modified"], 206), ('"other"', 200)]:
        assert nginx.ask(file.path, {"Range": "bytes=5-", "If-Range": validator}).status == status


def test_files_are_immutable_to_every_cache(nginx, tree):
    """Conformance 66."""
    path = tree.files[0].path
    etag = nginx.ask(path)["ETag"]
    answers = [
        nginx.ask(path),
        nginx.ask(path, {"Range": "bytes=0-1"}),
        nginx.ask(path, {"If-None-Match": etag}),
    ]

    assert [answer.status for answer in answers] == [200, 206, 304]
    assert {answer["Cache-Control"] for answer in answers} == {"max-age=365000000, immutable, public"}
    assert nginx.ask("/packages/00/none.whl")["Cache-Control"] is None


def test_every_spelling_of_an_odd_name_gives_the_file(nginx, tree):
    """Conformance 69."""
    odd = tree.file("jubjub bird-1!0~(né)+x@y,z.egg")
    local = tree.file("boojum-1.2+crew.1-py3-none-any.whl")
    spellings = [
        odd.path,
        quote(unquote(odd.path), safe="/"),
        quote(unquote(odd.path), safe="/").lower(),
        quote(unquote(odd.path), safe="/+!~@,()"),
    ]

    for spelling in spellings:
        assert nginx.ask(spelling).body == odd.body, spelling
    assert "+" in local.path
    assert nginx.ask(local.path).body == nginx.ask(local.path.replace("+", "%2B")).body == local.body
    assert nginx.ask(local.path.replace("+", "%20")).status == 404


def test_an_encoded_slash_or_a_dot_segment_is_refused(nginx, tree):
    """Conformance 69."""
    path = tree.files[0].path
    folder, _, filename = path.rpartition("/")

    for target in (f"{folder}%2F{filename}", f"{folder}%2f{filename}", f"{folder}/x/../{filename}"):
        assert nginx.ask(target).status == 404
    assert nginx.ask(f"/packages/..{path}").status == 404
    assert nginx.ask("/packages/%2e%2e/%2e%2e/status").status in {400, 404}


@pytest.mark.parametrize("tail", ["?x=1", "#sha256=abc", "?a=%2F..&b=/../"])
def test_queries_and_fragments_are_ignored_for_files(nginx, tree, tail):
    """Conformance 71."""
    file = tree.file("boojum-1.2+crew.1-py3-none-any.whl")

    assert nginx.ask(f"{file.path}{tail}").body == file.body


# --- browsers, legacy documents, the whole set of headers ---------------------------------------------------------------


def test_a_browser_may_read_files_by_range(nginx, tree):
    """Conformance 54."""
    path = tree.files[0].path
    asked = nginx.ask(
        path,
        {
            "Origin": "https://app.example.org",
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "range",
        },
        method="OPTIONS",
    )

    assert (asked.status, asked.body) == (204, b"")
    assert asked["Access-Control-Allow-Origin"] == "*"
    assert asked["Access-Control-Allow-Methods"] == asked["Allow"] == "GET, HEAD, OPTIONS"
    assert "Range" in asked["Access-Control-Allow-Headers"].split(", ")
    for target in (path, "/simple/snark/", "/simple/snark", "/simple/unknown/", "/pypi/snark/json"):
        assert nginx.ask(target)["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("target", ["/json/snark", "/pypi/snark/json", "/json/jubjub-bird"])
def test_legacy_documents_are_json(nginx, target):
    """Conformance 85: under `pypi/`, where bandersnatch asks, with a serial that no list exceeds."""
    answer = nginx.ask(target)

    assert (answer.status, answer["Content-Type"]) == (200, "application/json")
    assert json.loads(answer.body)["info"]["name"].lower() in {"snark", "jubjub.bird"}
    assert answer["Cache-Control"] == "max-age=900, public"
    assert int(answer["X-PyPI-Last-Serial"] or 0) == (999_999_999_999 if target.startswith("/pypi/") else 0)


@pytest.mark.parametrize(
    "target",
    ["/json/none", "/pypi/none/json", "/pypi/snark/1.0/json", "/pypi/None/json", "/json/Snark", "/json/"],
)
def test_a_missing_legacy_document_is_a_json_404(nginx, target):
    """Conformance 7."""
    answer = nginx.ask(target)

    assert (answer.status, answer["Content-Type"]) == (404, "application/json")
    assert json.loads(answer.body) == {"message": "Not Found"}


def test_last_modified_is_plain_text(nginx):
    """Conformance 90."""
    answer = nginx.ask("/last-modified")

    assert (answer["Content-Type"], answer.body) == ("text/plain; charset=utf-8", b"20260101T00:00:00\n")


@pytest.mark.parametrize(
    ("target", "media_type"),
    [("/local.json", "application/json"), ("/local.db.serial", "text/plain; charset=utf-8")],
)
def test_mirrors_of_the_mirror_find_what_they_follow(nginx, tree, target, media_type):
    """Conformance 92."""
    answer = nginx.ask(target)

    assert (answer.status, answer["Content-Type"]) == (200, media_type)
    assert answer.body == (tree.web / target[1:]).read_bytes()
    assert answer["Cache-Control"] == "max-age=60, public"


def test_only_a_path_that_holds_a_digest_is_immutable(tree, nginx):
    """Conformance 66: an older tree has other paths, and they may get another file."""
    old = tree.web / "packages/source/s/snark/snark-0.1.tar.gz"
    old.parent.mkdir(parents=True, exist_ok=True)
    old.write_bytes(b"old")

    answer = nginx.ask("/packages/source/s/snark/snark-0.1.tar.gz")
    old.unlink()

    assert (answer.body, answer["Cache-Control"]) == (b"old", "max-age=600, public")


def test_the_whole_header_set_of_a_page_and_a_file(nginx, tree):
    everywhere = {
        "X-Content-Type-Options": "nosniff",
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Expose-Headers": "Accept-Ranges, Content-Range, ETag",
        "Accept-Ranges": "bytes",
        "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT",
    }
    page = nginx.ask("/simple/snark/", {"Accept": J})
    file = tree.file("snark-1.0-py3-none-any.whl")

    assert page.headers == everywhere | {
        "Content-Type": J,
        "Content-Length": str(len(page.body)),
        "ETag": f'"6955b900-{len(page.body):x}"',
        "Vary": "Accept, Accept-Encoding",
        "Cache-Control": "max-age=600, public",
    }
    assert nginx.ask(file.path).headers == everywhere | {
        "Content-Type": "application/octet-stream",
        "Content-Length": str(len(file.body)),
        "ETag": f'"6955b900-{len(file.body):x}"',
        "Cache-Control": "max-age=365000000, immutable, public",
    }
    assert "1.22" not in (page["Server"] or "")


def test_a_sharded_tree_is_served_under_the_same_urls(tmp_path):
    """`hash-index = true`, by the one line that the file has for it."""
    tree = build_small_tree(tmp_path / "mirror", hash_index=True)

    def use_the_commented_line(text):
        text, lines = re.subn(r"# (set \$frumious_folder /simple/\$frumious_letter/)", r"\1", text)
        assert lines == 1
        return text

    with run_nginx(
        "frumious-static.conf", tree.web, tmp_path / "nginx", edit=use_the_commented_line
    ) as nginx:
        page = nginx.ask("/simple/jubjub-bird/", {"Accept": J})
        html = nginx.ask("/simple/jubjub-bird/")
        redirect = nginx.ask("/simple/snark")
        listed = nginx.ask("/simple/", {"Accept": J})
        missing = [
            nginx.ask(target).status for target in ("/simple/j/", "/simple/s/snark/", "/simple/unknown/")
        ]

    assert json.loads(page.body)["name"] == "jubjub-bird"
    assert html["Content-Type"] == T
    assert (redirect.status, redirect["Location"]) == (301, "/simple/snark/")
    assert listed["Content-Type"] == J
    assert missing == [404, 404, 404]
