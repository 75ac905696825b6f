"""What our pages must be, by the numbered assertions of the conformance list (11-41); each test names its own."""

from __future__ import annotations

import hashlib
import json
import re
from urllib.parse import unquote, urldefrag, urljoin

import pytest
from hypothesis import given, settings

from frumious.model.names import InvalidName
from frumious.model.project import Digest, ListedProject, ProjectStatus
from frumious.pages import simple_html, simple_json
from pages.page_values import SIX, WHEEL, any_text, look, our_file, our_page, project_pages, sha256

NASTY = 'it\'s "broken", <b>&amp;</b>\r\n\tsee\x0b \U0001f622 &lt;'
NASTY_AS_WRITTEN = NASTY.replace("\x0b", "\ufffd")
PROVENANCE = "https://index.example.org/integrity/six/1.16.0/six/provenance"
NAMES = (
    WHEEL,
    "six-1.0+local.1.tar.gz",
    "six-1!2.0.tar.gz",
    "six 1.0 (final)~x@y.exe",
    "sïx-%41-1.0.zip",
    "a\"b<c>&d;e#f?g=h'i.egg",
    "six-1.0.tar.gz;",
    "six&lt-1.0.zip",
)
LIST = (ListedProject("0-._.-._.-0", 7), ListedProject("Foo.Bar", 9), ListedProject("six", 3))


def html(*files, display="six", **said) -> bytes:
    return simple_html.render_project_detail(our_page(*files, **said), display)


def page_json(*files, **said) -> dict:
    return json.loads(simple_json.render_project_detail(our_page(*files, **said)))


def list_html(projects=LIST, serial=9) -> bytes:
    return b"".join(simple_html.render_project_list(projects, serial))


def list_json(projects=LIST, serial=9) -> bytes:
    return b"".join(simple_json.render_project_list(projects, serial))


def attributes(*files) -> list[dict[str, str | None]]:
    return [found for found, _ in look(html(*files)).anchors]


# HTML


def test_a_page_is_html5_with_one_anchor_for_each_file_and_no_other():
    """Conformance 11."""
    body = html(*map(our_file, NAMES))

    assert body.startswith(b"<!DOCTYPE html>\n")
    assert [text for _, text in look(body).anchors] == sorted(NAMES)
    assert look(html()).anchors == []


def test_each_anchor_stands_on_its_own_line_with_a_space_before_each_attribute():
    """Conformance 11: people read these pages with regular expressions."""
    body = html(*(our_file(name, yanked=NASTY, core_metadata=True, requires_python=">3") for name in NAMES))

    lines = [line for line in body.decode().split("\n") if "<a" in line]
    assert len(lines) == len(NAMES)
    for line in lines:
        assert re.fullmatch(r'    <a( [a-z-]+="[^"]*")+>[^<]+</a><br />', line)


def test_the_list_is_html5_with_one_anchor_for_each_project():
    """Conformance 11."""
    body = list_html()

    assert body.startswith(b"<!DOCTYPE html>\n")
    assert [text for _, text in look(body).anchors] == ["0-._.-._.-0", "Foo.Bar", "six"]
    assert look(list_html([])).anchors == []


@pytest.mark.parametrize(
    "body", [html(), html(our_file(size=None)), list_html()], ids=["empty", "file", "list"]
)
def test_the_repository_version_stands_once_and_is_1_4(body):
    """Conformance 12."""
    assert look(body).meta("pypi:repository-version") == ["1.4"]


def test_the_text_of_an_anchor_is_what_its_link_ends_in():
    """Conformance 13."""
    for found, text in look(html(*map(our_file, NAMES))).anchors:
        link = urldefrag(urljoin("https://h.example.org/pip/simple/six/", found["href"])).url
        assert unquote(link.rpartition("/")[2], errors="strict") == text


def test_the_fragment_is_the_digest():
    """Conformance 14."""
    (found,) = attributes(our_file())

    assert found["href"].endswith(f"{WHEEL}#sha256={sha256(WHEEL)}")


@pytest.mark.parametrize("algorithm", ["sha1", "sha224", "sha3_256", "blake2s"])
def test_a_digest_that_installers_refuse_in_links_is_not_in_the_link(algorithm):
    """Conformance 14."""
    digest = Digest(algorithm, hashlib.new(algorithm, b"").hexdigest())

    (found,) = attributes(our_file(digest=digest))

    assert "#" not in found["href"]
    assert page_json(our_file(digest=digest))["files"][0]["hashes"] == {algorithm: digest.hex}


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512", "blake2b", "md5"])
def test_a_digest_that_installers_know_is_in_the_link(algorithm):
    """Conformance 14."""
    digest = Digest(algorithm, hashlib.new(algorithm, b"").hexdigest())

    (found,) = attributes(our_file(digest=digest))

    assert urldefrag(found["href"]).fragment == f"{algorithm}={digest.hex}"


def test_requires_python_is_encoded_and_comes_back_whole():
    """Conformance 15."""
    body = html(our_file(requires_python=">=3.8,<4 & '2.7'"))

    assert b'data-requires-python="&gt;=3.8,&lt;4 &amp; ' in body
    assert look(body).anchors[0][0]["data-requires-python"] == ">=3.8,<4 & '2.7'"


@pytest.mark.parametrize("said", [None, ""])
def test_an_empty_requires_python_is_left_out(said):
    """Conformance 15 and 28."""
    assert "data-requires-python" not in attributes(our_file(requires_python=said))[0]
    assert "requires-python" not in page_json(our_file(requires_python=said))["files"][0]


def test_a_yanked_file_stays_listed_with_its_reason():
    """Conformance 16 and 30."""
    file = our_file(yanked=NASTY)

    assert attributes(file)[0]["data-yanked"] == NASTY_AS_WRITTEN
    assert page_json(file)["files"][0]["yanked"] == NASTY_AS_WRITTEN


def test_a_yank_without_a_reason_has_an_empty_value_in_html_and_is_true_in_json():
    """Conformance 16 and 30: pip takes the bare attribute for "not yanked"."""
    file = our_file(yanked="")

    assert b' data-yanked=""' in html(file)
    assert page_json(file)["files"][0]["yanked"] is True


def test_a_file_that_is_not_yanked_does_not_look_so():
    """Conformance 16 and 30."""
    assert "data-yanked" not in attributes(our_file())[0]
    assert page_json(our_file())["files"][0]["yanked"] is False


def test_core_metadata_is_named_twice_alike_in_html():
    """Conformance 17."""
    found = attributes(
        our_file("a.whl", core_metadata=Digest("sha256", sha256("m"))),
        our_file("b.whl", core_metadata=True),
        our_file("c.whl", core_metadata=False),
        our_file("d.whl", core_metadata=None),
    )

    assert [file.get("data-core-metadata") for file in found] == [f"sha256={sha256('m')}", "true", None, None]
    assert [file.get("data-dist-info-metadata") for file in found] == [
        file.get("data-core-metadata") for file in found
    ]


def test_provenance_is_there_or_absent():
    """Conformance 18 and 35: that it is absolute and https, the readers see to."""
    files = our_file("a.whl", provenance=PROVENANCE), our_file("b.whl")

    assert [found.get("data-provenance") for found in attributes(*files)] == [PROVENANCE, None]
    assert [file.get("provenance") for file in page_json(*files)["files"]] == [PROVENANCE, None]


@pytest.mark.parametrize("status", ProjectStatus)
def test_the_status_is_one_of_four_in_both_forms(status):
    """Conformance 19 and 34."""
    seen = look(html(status=status, status_reason=NASTY))

    assert seen.meta("pypi:project-status") == [status.value]
    assert seen.meta("pypi:project-status-reason") == [NASTY_AS_WRITTEN]
    page = page_json(status=status, status_reason=NASTY)
    assert page["project-status"] == {"status": status.value, "reason": NASTY_AS_WRITTEN}
    assert "project-status" not in page["meta"]


def test_a_reason_stands_only_with_a_status():
    """Conformance 19 and 34."""
    seen = look(html(status_reason="why"))

    assert seen.meta("pypi:project-status") == seen.meta("pypi:project-status-reason") == []
    assert "project-status" not in page_json(status_reason="why")
    assert page_json(status=ProjectStatus.ARCHIVED)["project-status"] == {"status": "archived"}
    assert look(html(status=ProjectStatus.ARCHIVED)).meta("pypi:project-status-reason") == []


def test_the_serial_trails_the_page():
    """Conformance 20."""
    assert html(our_file()).endswith(b"</html>\n<!--SERIAL 10251369-->\n")
    assert list_html(serial=12).endswith(b"</html>\n<!--SERIAL 12-->\n")


def test_a_display_name_is_escaped_once():
    """Conformance 21."""
    seen = look(html(display=NASTY))

    assert seen.texts["title"] == seen.texts["h1"] == f"Links for {NASTY_AS_WRITTEN}"


@given(project_pages(any_text), any_text)
@settings(deadline=None)
def test_no_text_breaks_a_page(page, display):
    """Conformance 21: valid UTF-8, no raw control characters, and no text gets out of its place."""
    body = simple_html.render_project_detail(page, display)

    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", body.decode())
    assert len(look(body).anchors) == body.count(b"<a ") == len(page.files)
    assert body.count(b"\n") == simple_html.render_project_detail(page, "").count(b"\n")
    json.loads(simple_json.render_project_detail(page).decode())


def test_keys_of_the_rejected_and_of_the_unadopted_proposals_do_not_occur():
    """Conformance 22 and 36."""
    full = our_file(core_metadata=True, provenance=PROVENANCE, yanked="x", requires_python=">3")
    both = html(full) + simple_json.render_project_detail(our_page(full)) + list_html() + list_json()

    for key in (b"tracks", b"alternate-locations", b"namespaces", b"gpg-sig"):
        assert key not in both


def test_the_list_links_to_normalized_names_beside_it():
    """Conformance 23."""
    assert [found["href"] for found, _ in look(list_html()).anchors] == ["0-0/", "foo-bar/", "six/"]


def test_a_name_that_can_have_no_page_cannot_be_listed():
    with pytest.raises(InvalidName):
        list_html([ListedProject("<b>")])


# JSON


def test_documents_are_objects_of_version_1_4():
    """Conformance 24."""
    assert page_json(our_file())["meta"]["api-version"] == "1.4"
    assert page_json()["meta"]["api-version"] == "1.4"
    assert json.loads(list_json())["meta"]["api-version"] == "1.4"


def test_a_page_that_lacks_a_size_claims_version_1_0_only():
    """Conformance 24 and 27, as design.md §5 has it: from 1.1 on `size` is mandatory."""
    page = page_json(our_file("a.whl", size=None), our_file("b.whl", size=0))

    assert page["meta"] == {"_last-serial": 10251369, "api-version": "1.0"}
    assert [file.get("size", "unknown") for file in page["files"]] == ["unknown", 0]
    assert page["versions"] == ["1.16.0"]


def test_the_name_is_the_normalized_one():
    """Conformance 25."""
    assert page_json(name=SIX)["name"] == "six"


def test_versions_are_unique_and_sorted_and_junk_does_no_harm():
    """Conformance 26."""
    assert page_json(versions=("2.0", "1.0", "not a version", "1.0", "1.0.0"))["versions"] == [
        "1.0",
        "1.0.0",
        "2.0",
        "not a version",
    ]
    assert page_json(versions=())["versions"] == []


def test_a_file_has_exactly_the_keys_of_what_is_known():
    """Conformance 27 and 28: what is unknown is left out, never null or empty."""
    bare = our_file("a.whl", upload_time=None, digest=None)
    full = our_file(
        "b.whl",
        core_metadata=Digest("sha256", sha256("m")),
        requires_python=">=2.7",
        provenance=PROVENANCE,
        yanked="why",
    )

    assert page_json(bare, full)["files"] == [
        {"filename": "a.whl", "hashes": {}, "size": 11053, "url": bare.href, "yanked": False},
        {
            "core-metadata": {"sha256": sha256("m")},
            "filename": "b.whl",
            "hashes": {"sha256": sha256("b.whl")},
            "provenance": PROVENANCE,
            "requires-python": ">=2.7",
            "size": 11053,
            "upload-time": "2021-05-05T14:18:17.237400Z",
            "url": full.href,
            "yanked": "why",
        },
    ]


@given(project_pages(any_text))
@settings(deadline=None)
def test_nothing_is_null_and_no_fact_is_empty(page):
    """Conformance 28, 30 and 33."""
    document = json.loads(simple_json.render_project_detail(page))

    for file in document["files"]:
        assert None not in file.values()
        assert "" not in file.values()
        assert isinstance(file["hashes"], dict)
        assert isinstance(file["yanked"], bool) or file["yanked"]
    assert document.get("project-status", {}) is not None


def test_an_upload_time_is_upstreams_to_the_letter():
    """Conformance 29."""
    times = ("2021-05-05T14:18:17.237400Z", "2021-05-05T14:18:17Z", "2021-05-05T14:18:17.5Z")
    files = [our_file(f"{n}.whl", upload_time=time) for n, time in enumerate(times)]

    assert tuple(file["upload-time"] for file in page_json(*files)["files"]) == times


@pytest.mark.parametrize("said", [True, False])
def test_core_metadata_has_its_present_name_only(said):
    """Conformance 31."""
    (file,) = page_json(our_file(core_metadata=said))["files"]

    assert file["core-metadata"] is said
    assert not [key for key in file if "dist-info" in key]


def test_hashes_are_the_one_digest():
    """Conformance 32 and 33."""
    (file,) = page_json(our_file())["files"]

    assert file["hashes"] == {"sha256": sha256(WHEEL)}
    assert len(file["hashes"]["sha256"]) == 2 * hashlib.new("sha256").digest_size
    assert page_json(our_file(digest=None))["files"][0]["hashes"] == {}


def test_keys_of_our_own_start_with_an_underscore():
    """Conformance 37."""
    page = page_json(our_file(core_metadata=True, yanked="x"), status=ProjectStatus.ACTIVE)

    assert set(page) == {"files", "meta", "name", "project-status", "versions"}
    assert set(page["meta"]) == {"_last-serial", "api-version"}


def test_the_list_gives_serials_as_numbers():
    """Conformance 38."""
    assert list_json() == (
        b'{"meta":{"_last-serial":9,"api-version":"1.4"},"projects":['
        b'{"_last-serial":7,"name":"0-._.-._.-0"},{"_last-serial":9,"name":"Foo.Bar"},'
        b'{"_last-serial":3,"name":"six"}]}\n'
    )
    assert list_json([]) == b'{"meta":{"_last-serial":9,"api-version":"1.4"},"projects":[]}\n'


def test_a_long_list_comes_in_blocks_and_is_one_document():
    """Conformance 38: 900 thousand projects must not stand in memory as one text."""
    projects = [ListedProject(f"project-{n}", n) for n in range(10_000)]

    for blocks, read in (
        (list(simple_json.render_project_list(iter(projects), 9)), simple_json.parse_project_list),
        (list(simple_html.render_project_list(iter(projects), 9)), simple_html.parse_project_list),
    ):
        assert len(blocks) > 3
        assert all(64 * 1024 <= len(block) < 96 * 1024 for block in blocks[:-1])
        names = [project.name for project in read(b"".join(blocks), "https://index.example.org/").projects]
        assert names == [project.name for project in projects]


@given(project_pages())
@settings(deadline=None)
def test_equal_pages_are_equal_bytes(page):
    """Conformance 40: the order in which files and versions come is not the page's."""
    other = our_page(
        *reversed(page.files),
        serial=page.serial,
        versions=(*reversed(page.versions), *page.versions),
        status=page.status,
        status_reason=page.status_reason,
    )

    assert simple_json.render_project_detail(page) == simple_json.render_project_detail(other)
    assert simple_html.render_project_detail(page, "Six") == simple_html.render_project_detail(other, "Six")


def test_json_is_compact_sorted_and_ends_in_one_newline():
    """Conformance 40: UTF-8 as it is, as PyPI writes it."""
    page = our_page(
        our_file(yanked="zurückgezogen", core_metadata=Digest("sha256", sha256("m")), provenance=PROVENANCE),
        status=ProjectStatus.ARCHIVED,
        status_reason="alt",
    )

    body = simple_json.render_project_detail(page)

    expected = json.dumps(json.loads(body), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    assert body == expected.encode() + b"\n"


@pytest.mark.parametrize("prefix", ["", "/some/path"])
def test_links_lead_to_files_wherever_the_tree_is_mounted(prefix):
    """Conformance 41."""
    file = our_file()
    page = f"https://mirror.example.org{prefix}/simple/six/"
    place = sha256("place " + WHEEL)

    for link in (page_json(file)["files"][0]["url"], attributes(file)[0]["href"].partition("#")[0]):
        assert urljoin(page, link) == (
            f"https://mirror.example.org{prefix}/packages/{place[:2]}/{place[2:4]}/{place[4:]}/{WHEEL}"
        )
