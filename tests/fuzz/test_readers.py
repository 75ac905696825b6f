"""Every reader, given anything: its documented error and no other, and results that can be relied on.

What must hold is said in `fuzz/targets.py`, which the coverage-guided fuzzing (`python -m fuzz`) uses too. Here inputs
are made three ways: of the words of each format, by changing what can be read, and by structure.
"""

from __future__ import annotations

import json
from html import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frumious.config.options import OPTIONS
from frumious.pages import simple_html
from fuzz import targets
from fuzz.corpus import seeds, words_of
from fuzz.targets import TARGETS, assert_only_ours
from pages.page_values import any_text, our_file, our_page, sha256

SEEDS = seeds()
few = settings(deadline=None, max_examples=60)


def encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def pieces(target: str) -> st.SearchStrategy[bytes]:
    words = st.sampled_from(words_of(target)).map(encoded)
    return st.one_of(words, words, st.text(max_size=5).map(encoded), st.binary(max_size=4))


@st.composite
def changed_seeds(draw: st.DrawFn, target: str) -> bytes:
    """Something that can be read, with a few places written over."""
    data = bytearray(draw(st.sampled_from(SEEDS[target])))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 12)))
        data[start:end] = draw(pieces(target) | st.just(bytes(data[start:end] * 2)))
    return bytes(data)


def inputs(target: str) -> st.SearchStrategy[bytes]:
    words = st.lists(pieces(target), max_size=30).map(b"".join)
    return st.one_of(changed_seeds(target), words, st.binary(max_size=100))


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_any_input_is_read_or_refused(target):
    """Conformance 5, 69 and 100; design.md §6.8."""

    @few
    @given(inputs(target))
    def check(data):
        TARGETS[target](data)

    check()


def test_every_reader_has_something_to_start_from():
    assert SEEDS.keys() == TARGETS.keys()
    for target, found in SEEDS.items():
        assert words_of(target)
        for data in found:
            TARGETS[target](data)


# By structure: pages whose every value may be anything.

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=5,
)
hostile_texts = st.sampled_from(
    [
        "<script>alert(1)</script>",
        '"><script>alert(1)</script>',
        "' onmouseover='alert(1)",
        '" onmouseover="alert(1)" x="',
        "--><img src=x>",
        "]]><b>",
        "&lt;b&gt;&#60;b&#62;",
        "javascript:alert(1)",
        "data:text/html,x",
        "../../../etc/passwd",
        "%2e%2e/%2e%2e",
        "..\\..",
        "a\0b",
        "a\r\nSet-Cookie: x",
        "\u202e\u2066",
        "\ud800",
        "six-1.0.tar.gz",
        "https://files.example.org/packages/aa/six-1.0.tar.gz",
        "//files.example.org/packages/../six-1.0.tar.gz",
    ]
)
digests = st.sampled_from([sha256("a"), sha256("a").upper(), "00", ""]) | any_text
texts = hostile_texts | any_text
wire_files = st.fixed_dictionaries(
    {"filename": texts, "url": texts},
    optional={
        "hashes": st.dictionaries(st.sampled_from(["sha256", "SHA256", "md5", "blake2b"]) | any_text, digests)
        | json_values,
        "size": st.integers(-1, 2**64) | json_values,
        "requires-python": texts | json_values,
        "upload-time": st.just("2021-05-05T14:18:17Z") | json_values,
        "yanked": texts | json_values,
        "core-metadata": st.booleans() | st.dictionaries(any_text, digests, max_size=2) | json_values,
        "dist-info-metadata": json_values,
        "provenance": texts | json_values,
    },
)
wire_pages = st.fixed_dictionaries(
    {"files": st.lists(wire_files | json_values, max_size=4) | json_values},
    optional={
        "name": st.sampled_from(["six", "SIX"]) | json_values,
        "meta": st.fixed_dictionaries(
            {}, optional={"api-version": st.sampled_from(["1.4", "1.999", "2.0"]) | json_values, "_last-serial": json_values}
        )
        | json_values,
        "versions": st.lists(texts, max_size=3) | json_values,
        "project-status": st.fixed_dictionaries(
            {}, optional={"status": st.sampled_from(["archived", "quarantined"]) | json_values, "reason": texts}
        )
        | json_values,
    },
)  # fmt: skip


@few
@given(wire_pages)
def test_a_json_page_whose_every_value_may_be_anything(page):
    """Conformance 39, 69 and 100."""
    targets.json_page(json.dumps(page).encode())


@few
@given(
    st.lists(
        st.fixed_dictionaries({"name": texts}, optional={"_last-serial": json_values}) | json_values,
        max_size=5,
    )
)
def test_a_json_list_whose_every_value_may_be_anything(projects):
    targets.json_list(json.dumps({"meta": {"api-version": "1.4"}, "projects": projects}).encode())


@few
@given(
    st.dictionaries(texts, st.lists(wire_files | json_values, max_size=3) | json_values, max_size=3),
    json_values,
)
def test_a_legacy_document_whose_every_value_may_be_anything(releases, urls):
    targets.legacy_document(json.dumps({"info": {}, "releases": releases, "urls": urls}).encode())


attributes = st.dictionaries(
    st.sampled_from(
        [
            "href",
            "data-yanked",
            "data-requires-python",
            "data-core-metadata",
            "data-provenance",
            "onclick",
            "style",
        ]
    ),
    texts,
)


def anchor(said: dict[str, str], text: str) -> str:
    written = [f' {key}="{escape(value)}"' for key, value in said.items()]
    return f"<a{''.join(written)}>{escape(text)}</a>"


@few
@given(st.lists(st.builds(anchor, attributes, texts), max_size=5), texts, texts)
def test_an_html_page_whose_every_value_may_be_anything(anchors, status, reason):
    """Conformance 39, 69 and 100."""
    body = encoded(
        f'<!DOCTYPE html><html><head><meta name="pypi:project-status" content="{escape(status)}">'
        f'<meta name="pypi:project-status-reason" content="{escape(reason)}"></head><body>{"".join(anchors)}</body></html>'
    )

    targets.html_page(body)
    targets.html_list(body)
    targets.stored_page(body)


# By structure: configuration files.

CONFIG_WORDS = [
    *("true", "false", "0", "1", "11", "-1", "1e9", "nan", "1_0", "9" * 5000, "10%", "1K", "99999999999999P"),
    *(
        "https://index.example.org",
        "http://[",
        "https://me:p@h.example.org",
        "socks4://h",
        "//",
        "/",
        "/d",
        "~/x",
        "\0",
    ),
    *(
        "%",
        "%%",
        "%(directory)s",
        "%(nothing)s",
        "%(workers",
        "{{mirror_directory}}",
        "{{}}",
        "{{a_b}}",
        "'",
        '"a b"',
    ),
    *(
        "allowlist_project",
        "all",
        "latest_release",
        "wheel_tags",
        "six>=1",
        "six,foo",
        "# x",
        "a ; b",
        "\ufeff",
        "\u2028",
    ),
]
values = st.lists(st.sampled_from(CONFIG_WORDS) | st.text(max_size=4), max_size=4).map(" ".join)
lines = st.one_of(
    st.builds("{} = {}\n".format, st.sampled_from([option.key for option in OPTIONS]), values),
    st.builds("  {}\n".format, values),
    st.builds("[{}]\n".format, st.sampled_from([*sorted({option.section for option in OPTIONS}), "DEFAULT", "x", "plugin"])),
    st.builds("{} = {}\r\n".format, st.text(max_size=4), values),
    st.builds("{}\n".format, values),
    st.sampled_from(["\n", "; comment\n", "#\n", "\t\n", "\r", "\x0b\n"]),
)  # fmt: skip


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from(["", "\ufeff"]),
    st.sampled_from(["", "[mirror]\ndirectory = /d\n"]),
    st.lists(lines, max_size=12),
)
def test_a_configuration_file_loads_or_says_file_and_line(mark, begin, rest):
    targets.configuration(encoded(mark + begin + "".join(rest)))


# That the checks above can fail.


@pytest.mark.parametrize(
    "markup",
    [
        "<script>x</script>",
        '<img src="x">',
        '<a href="javascript:x">x</a>',
        '<a href="x" onclick="x">x</a>',
        '<a href="x" href="y">x</a>',
        "<!-- x -->",
        "<?php x ?>",
        "<![CDATA[x]]>",
        '<a href="x">one too many</a>',
    ],
)
def test_markup_that_is_not_ours_is_seen(markup):
    page = simple_html.render_project_detail(our_page(our_file()), "Six").decode()
    assert_only_ours(page.encode(), links=1)

    with pytest.raises(AssertionError):
        assert_only_ours(page.replace("<br />", markup).encode(), links=1)
