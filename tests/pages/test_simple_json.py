"""Reading the Simple API as JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from frumious.errors import BadPage, UnsupportedVersion
from frumious.model.project import Digest, File, ListedProject, ProjectDetail, ProjectStatus
from frumious.pages.simple_json import parse_project_detail, parse_project_list
from pages.page_values import FILES, SIX, URL, WHEEL, sha256, their_file, their_page

LIST_URL = "https://index.example.org/simple/"
DEEP = b"[" * 200_000 + b"]" * 200_000
UNUSABLE = [
    pytest.param(their_file("../../etc/passwd"), id="traversal"),
    pytest.param(their_file("a/b.whl"), id="slash"),
    pytest.param(their_file(".."), id="dots"),
    pytest.param(their_file(""), id="no name"),
    pytest.param(their_file("x" * 256), id="too long"),
    pytest.param(their_file("a\n.whl"), id="line feed"),
    pytest.param(their_file("a\x85.whl"), id="control character"),
    pytest.param(their_file() | {"filename": None}, id="null name"),
    pytest.param({"url": URL, "hashes": {}}, id="absent name"),
    pytest.param(their_file(url=...), id="absent URL"),
    pytest.param(their_file(url=5), id="number for URL"),
    pytest.param(their_file(url="ftp://files.example.org/a.whl"), id="ftp"),
    pytest.param(their_file(url="file:///etc/passwd"), id="file"),
    pytest.param(their_file(url="javascript:alert(1)"), id="script"),
    pytest.param(their_file(url="https://[::1/a.whl"), id="broken URL"),
    pytest.param(their_file(url="http:///a.whl"), id="no host"),
    pytest.param(their_file(url="https://a b.example.org/a.whl"), id="space in host"),
    pytest.param(their_file(url="https://files.example.org:99999/a.whl"), id="no such port"),
    pytest.param(their_file(hashes={"sha256": "ab" * 20}), id="short sha256"),
    pytest.param(their_file(hashes={"sha256": "x" * 64}), id="sha256 not hex"),
    pytest.param(their_file(hashes={"sha256": 5, "md5": "0" * 32}), id="number for sha256"),
    pytest.param(their_file(hashes="sha256"), id="text for hashes"),
    pytest.param(their_file(requires_python=3), id="number for requires-python"),
    pytest.param(their_file(yanked=["no"]), id="list for yanked"),
    pytest.param("six.whl", id="text for a file"),
    pytest.param(None, id="null for a file"),
]


def read(body: bytes, url: str = URL) -> ProjectDetail:
    return parse_project_detail(body, url=url, name=SIX)


def read_file(**said) -> File:
    detail = read(their_page(their_file(**said)))
    assert detail.problems == ()
    (file,) = detail.files
    return file


def test_every_key_of_version_1_4_is_read():
    detail = read(
        their_page(
            their_file(
                requires_python=">=2.7, !=3.0.*",
                size=11053,
                upload_time="2021-05-05T14:18:17.237400Z",
                yanked="broken",
                core_metadata={"sha256": sha256("metadata")},
                data_dist_info_metadata={"sha256": sha256("other")},
                gpg_sig=False,
                provenance="https://index.example.org/integrity/six/1.16.0/six/provenance",
            ),
            meta={"api-version": "1.4", "_last-serial": 10251369, "_other": 1},
            project_status={"status": "archived", "reason": "done"},
            versions=["1.15.0", "1.16.0"],
            namespaces=None,
            alternate_locations=[],
        )
    )

    assert detail == ProjectDetail(
        name=SIX,
        files=(
            File(
                filename=WHEEL,
                url=f"{FILES}/packages/d9/5a/{sha256(WHEEL)[:60]}/{WHEEL}",
                digest=Digest("sha256", sha256(WHEEL)),
                size=11053,
                requires_python=">=2.7, !=3.0.*",
                upload_time="2021-05-05T14:18:17.237400Z",
                yanked="broken",
                core_metadata=Digest("sha256", sha256("metadata")),
                provenance="https://index.example.org/integrity/six/1.16.0/six/provenance",
            ),
        ),
        versions=("1.15.0", "1.16.0"),
        status=ProjectStatus.ARCHIVED,
        status_reason="done",
        serial=10251369,
        api_version="1.4",
        problems=(),
    )


def test_what_a_page_of_version_1_0_lacks_is_unknown():
    detail = read(their_page(their_file(), meta={"api-version": "1.0"}))

    assert detail.files == (
        File(WHEEL, f"{FILES}/packages/d9/5a/{sha256(WHEEL)[:60]}/{WHEEL}", Digest("sha256", sha256(WHEEL))),
    )
    assert (detail.versions, detail.status, detail.serial, detail.api_version) == (None, None, None, "1.0")


def test_a_page_without_meta_is_of_version_1_0():
    assert read(their_page(meta=...)).api_version == "1.0"
    assert read(their_page(meta={})).api_version == "1.0"


def test_a_newer_minor_version_is_read_as_far_as_it_is_known():
    """Conformance 99."""
    detail = read(their_page(their_file(sparkle=1), meta={"api-version": "1.5"}, namespaces=[{"name": "x"}]))

    assert detail.api_version == "1.5"
    assert len(detail.files) == 1
    assert detail.problems == ()


def test_another_major_version_is_refused():
    """Conformance 99."""
    with pytest.raises(UnsupportedVersion):
        read(their_page(their_file(), meta={"api-version": "2.0"}))
    with pytest.raises(UnsupportedVersion):
        parse_project_list(b'{"meta":{"api-version":"2.0"},"projects":[]}', LIST_URL)


@pytest.mark.parametrize("said", ["six", "Six", "SIX"])
def test_a_page_may_name_the_project_as_it_likes(said):
    assert read(their_page(name=said)).name == SIX


def test_a_page_need_not_name_the_project():
    assert read(their_page(name=...)).name == SIX


@pytest.mark.parametrize("said", ["seven", "", "../six", "six\n", 6, ["six"]])
def test_a_page_naming_another_project_is_refused(said):
    with pytest.raises(BadPage, match="another project"):
        read(their_page(their_file(), name=said))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"files":null}',
        b'{"files":{}}',
        b'{"message":"Not Found"}',
        b'{"files":[],"meta":7}',
        b'{"files":[],"meta":{"api-version":1.4}}',
        b'{"files":[],"meta":{"api-version":"garbage"}}',
        b"<!DOCTYPE html><html></html>",
        their_page(their_file())[:-9],
        their_page(their_file()) + b"x",
        b'{"files":[],"x":NaN',
        b"\xff\xfe\x00",
        DEEP,
        b'{"files":' + DEEP + b"}",
        b'{"files":[],"meta":' + DEEP + b"}",
        b'{"files":[],"unknown":' + DEEP + b"}",
    ],
)
def test_what_is_no_page_is_refused(body):
    """Conformance 100: an error document must never pass for a project that lost its files."""
    with pytest.raises(BadPage) as caught:
        read(body)
    assert type(caught.value) is BadPage
    with pytest.raises(BadPage):
        parse_project_list(body, LIST_URL)


@pytest.mark.parametrize("bad", UNUSABLE)
def test_a_file_that_cannot_be_used_is_left_out_and_told(bad):
    """Conformance 100, and design.md §6.8."""
    detail = read(their_page(their_file("before.whl"), bad, their_file("six.whl")))

    assert [file.filename for file in detail.files] == ["before.whl", "six.whl"]
    (problem,) = detail.problems
    assert "left out" in problem
    assert problem.isprintable()
    assert len(problem) < 300


def test_a_file_whose_unknown_keys_nest_too_deeply_is_no_page():
    body = their_page(their_file(unknown="DEEP")).replace(b'"DEEP"', DEEP)

    with pytest.raises(BadPage):
        read(body)


def test_a_hostile_page_does_not_fill_the_log():
    detail = read(their_page(*[their_file("../x")] * 5000, their_file()))

    assert len(detail.files) == 1
    assert len(detail.problems) == 100


@pytest.mark.parametrize(
    "files", [[their_file("../x")], [1, 2], [None], [their_file(url="javascript:x")] * 3]
)
def test_a_page_of_which_no_file_can_be_used_is_none(files):
    with pytest.raises(BadPage, match=f"none of its {len(files)} files can be used"):
        read(their_page(*files))


def test_of_two_different_files_with_one_name_the_first_stays():
    detail = read(their_page(their_file(size=1), their_file(size=2), their_file("other.whl")))

    assert [(file.filename, file.size) for file in detail.files] == [(WHEEL, 1), ("other.whl", None)]
    assert len(detail.problems) == 1
    assert WHEEL in detail.problems[0]


def test_the_same_file_twice_is_one_file():
    detail = read(their_page(their_file(size=1), their_file(size=1)))

    assert len(detail.files) == 1
    assert detail.problems == ()


@pytest.mark.parametrize(
    ("link", "url"),
    [
        ("../../packages/a.whl", "https://index.example.org/packages/a.whl"),
        ("a.whl", "https://index.example.org/simple/six/a.whl"),
        ("/a.whl", "https://index.example.org/a.whl"),
        ("//files.example.org/a.whl", "https://files.example.org/a.whl"),
        ("https://files.example.org/a.whl#sha256=00", "https://files.example.org/a.whl"),
        ("http://files.example.org/a.whl", "http://files.example.org/a.whl"),
        ("HTTPS://files.example.org/a.whl", "https://files.example.org/a.whl"),
        ("https://files.example.org:8443/a.whl", "https://files.example.org:8443/a.whl"),
        ("https://files.example.org:65535/a.whl", "https://files.example.org:65535/a.whl"),
        ("https://[::1]:8080/a.whl", "https://[::1]:8080/a.whl"),
        ("https://files.example.org/a b+c%20d.whl", "https://files.example.org/a%20b+c%20d.whl"),
        ("https://files.example.org/ä.whl", "https://files.example.org/%C3%A4.whl"),
        ("https://files.example.org/a.whl?token=x&y", "https://files.example.org/a.whl?token=x&y"),
        ('https://files.example.org/"<>.whl', "https://files.example.org/%22%3C%3E.whl"),
    ],
)
def test_a_link_becomes_an_absolute_url_without_fragment(link, url):
    """Conformance 41."""
    assert read_file(url=link).url == url


@pytest.mark.parametrize(
    ("hashes", "digest"),
    [
        ({"md5": "0" * 32, "sha256": "a" * 64}, Digest("sha256", "a" * 64)),
        ({"sha256": "AB" * 32}, Digest("sha256", "ab" * 32)),
        ({"SHA256": "ab" * 32}, Digest("sha256", "ab" * 32)),
        ({"md5": "0" * 32, "sha512": "1" * 128, "sha384": "2" * 96}, Digest("sha512", "1" * 128)),
        ({"sha1": "1" * 40, "md5": "0" * 32}, Digest("md5", "0" * 32)),
        ({"sha1": "1" * 40}, Digest("sha1", "1" * 40)),
        ({"md5": "short", "sha1": "1" * 40}, Digest("sha1", "1" * 40)),
        ({"blake2b": "b" * 128}, Digest("blake2b", "b" * 128)),
        ({"blake2b": "b" * 64}, None),
        ({"blake2b_256": "b" * 64}, None),
        ({"sha256": None, "md5": "0" * 32}, Digest("md5", "0" * 32)),
        ({"shake_128": "0" * 32, "crc32": "0" * 8}, None),
        ({"md5": 5}, None),
        ({}, None),
        (None, None),
        (..., None),
    ],
)
def test_the_digest_is_the_best_that_can_be_checked(hashes, digest):
    """Conformance 32 and 100."""
    assert read_file(hashes=hashes).digest == digest


@pytest.mark.parametrize(
    ("said", "size"),
    [
        (0, 0),
        (5, 5),
        (None, None),
        (-1, None),
        ("5", None),
        (5.5, None),
        (True, None),
        (2**63, None),
        (10**400, None),
    ],
)
def test_a_size_is_a_number_of_bytes_or_unknown(said, size):
    """Conformance 100."""
    assert read_file(size=said).size == size


@pytest.mark.parametrize("said", [None, "", "  ", ...])
def test_an_empty_requires_python_is_unknown(said):
    """Conformance 100."""
    assert read_file(requires_python=said).requires_python is None


@pytest.mark.parametrize("said", [">=3.6.*", ">= '2.7'", ">=3,", "spam"])
def test_requires_python_is_passed_on_verbatim_however_odd(said):
    assert read_file(requires_python=said).requires_python == said


@pytest.mark.parametrize(
    "said",
    ["2021-05-05T14:18:17Z", "2021-05-05T14:18:17.2Z", "2020-02-29T23:59:59.999999Z", "1970-01-01T00:00:00Z"],
)
def test_an_upload_time_is_kept_verbatim(said):
    """Conformance 29."""
    assert read_file(upload_time=said).upload_time == said


@pytest.mark.parametrize(
    "said",
    [
        "",
        None,
        7,
        "yesterday",
        "2021-05-05",
        "2021-05-05T14:18:17",
        "2021-05-05T14:18:17+00:00",
        "2021-05-05 14:18:17Z",
        "2021-02-29T00:00:00Z",
        "2021-13-01T00:00:00Z",
        "2021-04-31T00:00:00Z",
        "2021-05-05T24:00:00Z",
        "2021-05-05T14:18:17.1234567Z",
        "2021-05-05T14:18:17.Z",
        "2021-05-05T14:18:17Z\n",
        "0000-01-01T00:00:00Z",
        "\u0662\u0660\u0662\u0661-05-05T14:18:17Z",
    ],
)
def test_a_malformed_upload_time_is_unknown(said):
    """Conformance 100."""
    assert read_file(upload_time=said).upload_time is None


@pytest.mark.parametrize(
    ("said", "yanked"), [(..., None), (None, None), (False, None), (True, ""), ("", ""), ("why", "why")]
)
def test_a_yank_is_never_lost(said, yanked):
    """Conformance 75."""
    assert read_file(yanked=said).yanked == yanked


@pytest.mark.parametrize(
    ("said", "metadata"),
    [
        ({"sha256": "A" * 64}, Digest("sha256", "a" * 64)),
        ({"sha512": "a" * 128}, Digest("sha512", "a" * 128)),
        ({"crc32": "0" * 8}, True),
        ({}, True),
        ({"sha256": "short"}, None),
        (True, True),
        (False, False),
        (None, None),
        ("yes", None),
        (1, None),
    ],
)
@pytest.mark.parametrize("key", ["core_metadata", "dist_info_metadata", "data_dist_info_metadata"])
def test_core_metadata_is_read_under_its_three_names(key, said, metadata):
    """Conformance 31 and 100."""
    assert read_file(**{key: said}).core_metadata == metadata


def test_the_present_name_of_core_metadata_wins():
    file = read_file(core_metadata=False, dist_info_metadata=True, data_dist_info_metadata={})

    assert file.core_metadata is False


@pytest.mark.parametrize(
    "said",
    ["http://index.example.org/p", "/integrity/p", "", "https://", "https://[/p", 5, None, "ftp://h/p"],
)
def test_provenance_that_is_not_absolute_https_is_left_out(said):
    """Conformance 35."""
    assert read_file(provenance=said).provenance is None


@pytest.mark.parametrize(
    ("said", "serial"),
    [
        (5, 5),
        ("5", 5),
        (0, 0),
        (None, None),
        ("", None),
        ("5x", None),
        (-5, None),
        (5.5, None),
        (True, None),
        (2**63, None),
        ("9" * 19, None),
        ("9" * 6000, None),
        ("\u0665", None),
    ],
)
def test_a_serial_is_a_number_or_its_digits(said, serial):
    """Conformance 100."""
    meta = {"api-version": "1.4", "_last-serial": said}

    assert read(their_page(meta=meta)).serial == serial
    assert parse_project_list(json.dumps({"meta": meta, "projects": []}).encode(), LIST_URL).serial == serial


@pytest.mark.parametrize(
    "said",
    [
        {"project_status": {"status": "quarantined", "reason": "malware"}},
        {"meta": {"api-version": "1.4", "project-status": {"status": "quarantined", "reason": "malware"}}},
        {
            "meta": {
                "api-version": "1.4",
                "project-status": "quarantined",
                "project-status-reason": "malware",
            }
        },
    ],
)
def test_a_status_is_read_wherever_the_standard_shows_it(said):
    """Conformance 34, and its §3.4: the example in the standard differs from the rule."""
    detail = read(their_page(**said))

    assert (detail.status, detail.status_reason) == (ProjectStatus.QUARANTINED, "malware")
    assert detail.problems == ()


@pytest.mark.parametrize(
    "said", [{"status": "haunted", "reason": "boo"}, "haunted", 5, ["active"], {"status": {}}]
)
def test_an_unknown_status_is_told(said):
    detail = read(their_page(their_file(), project_status=said))

    assert (detail.status, detail.status_reason) == (None, None)
    assert len(detail.files) == 1
    assert "project status" in detail.problems[0]


@pytest.mark.parametrize("reason", [None, "", 5])
def test_a_status_needs_no_reason(reason):
    detail = read(their_page(project_status={"status": "active", "reason": reason}))

    assert (detail.status, detail.status_reason) == (ProjectStatus.ACTIVE, None)


def test_versions_are_unique_texts_in_upstreams_order():
    detail = read(their_page(versions=["2.0", "1.0", "2.0", "junk!", 3, None]))

    assert detail.versions == ("2.0", "1.0", "junk!")
    assert len(detail.problems) == 1


@pytest.mark.parametrize("said", [None, "1.0", {"1.0": []}])
def test_versions_that_are_no_list_are_unknown(said):
    detail = read(their_page(their_file(), versions=said))

    assert detail.versions is None
    assert len(detail.files) == 1


def test_half_a_surrogate_pair_spoils_neither_page_nor_file():
    """Python writes such JSON without complaint; no UTF-8 can hold it."""
    body = their_page(their_file(yanked="bad \ud83d!"), their_file("ok.whl", yanked="fine \U0001f600"))
    assert b"\\ud83d!" in body

    files = read(body).files

    assert [file.yanked for file in files] == ["bad \ufffd!", "fine \U0001f600"]


def test_a_byte_order_mark_is_no_obstacle():
    assert len(read(b"\xef\xbb\xbf" + their_page(their_file())).files) == 1


# The list


def test_a_list_gives_names_as_they_are_written_and_serials():
    body = b"""{"meta": {"api-version": "1.4", "_last-serial": 31}, "projects": [
        {"name": "0-._.-._.-0", "_last-serial": 7}, {"name": "Foo.Bar", "_last-serial": "8"}, {"name": "six"}]}"""

    page = parse_project_list(body, LIST_URL)

    assert page.projects == (
        ListedProject("0-._.-._.-0", 7),
        ListedProject("Foo.Bar", 8),
        ListedProject("six", None),
    )
    assert (page.serial, page.problems, page.api_version) == (31, (), "1.4")


def test_the_serial_of_a_list_may_stand_at_top_level():
    assert parse_project_list(b'{"projects":[],"_last-serial":"12"}', LIST_URL).serial == 12
    assert (
        parse_project_list(b'{"projects":[],"_last-serial":1,"meta":{"_last-serial":2}}', LIST_URL).serial
        == 2
    )


def test_an_entry_without_a_name_is_left_out_and_told():
    body = b'{"projects":[{"name":"a"},{"name":5},{},null,"b",[],{"name":"c","_last-serial":[]}]}'

    page = parse_project_list(body, LIST_URL)

    assert page.projects == (ListedProject("a"), ListedProject("c"))
    assert len(page.problems) == 5


def test_the_list_says_its_version_so_that_the_caller_can_warn():
    """Conformance 99."""
    assert parse_project_list(b'{"projects":[],"meta":{"api-version":"1.9"}}', LIST_URL).api_version == "1.9"


# Whatever comes

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FILE_KEYS = [
    "filename",
    "url",
    "hashes",
    "size",
    "requires-python",
    "upload-time",
    "yanked",
    "core-metadata",
    "dist-info-metadata",
    "provenance",
]
some_files = st.one_of(
    values,
    st.dictionaries(st.sampled_from(FILE_KEYS), values),
    st.builds(
        lambda extra: their_file() | extra, st.dictionaries(st.sampled_from(FILE_KEYS), values, max_size=2)
    ),
)
some_pages = st.fixed_dictionaries(
    {},
    optional={
        "files": st.lists(some_files, max_size=3) | values,
        "projects": st.lists(st.dictionaries(st.sampled_from(["name", "_last-serial"]), values) | values)
        | values,
        "name": st.just("six") | values,
        "meta": st.dictionaries(st.sampled_from(["api-version", "_last-serial", "project-status"]), values)
        | values,
        "versions": values,
        "project-status": values,
        "_last-serial": values,
    },
)


@given(
    st.binary()
    | some_pages.map(lambda page: json.dumps(page).encode())
    | values.map(lambda v: json.dumps(v).encode())
)
@example(b'{"files":[{"filename":"a","url":"//[","hashes":{}}]}')
@example(b'{"files":[],"name":"\\ud800"}')
@settings(deadline=None, max_examples=300)
def test_no_bytes_raise_another_error_than_the_two(body):
    """Conformance 100."""
    for read_page in (read, lambda body: parse_project_list(body, LIST_URL)):
        try:
            page = read_page(body)
        except BadPage:
            continue
        repr(page).encode()  # no lone surrogates inside


@given(st.text(st.characters(exclude_categories=())), st.sampled_from([URL, "https://[", "", "http://h"]))
@settings(deadline=None)
def test_no_link_raises_another_error(link, url):
    try:
        detail = read(their_page(their_file(url=link)), url)
    except BadPage:
        return
    for file in detail.files:
        assert file.url.isascii()
        assert file.url.startswith(("http://", "https://"))
        assert "#" not in file.url
