"""Looks at HTML as a browser does, and fails at whatever could do something; said without the code that cleans it."""

from __future__ import annotations

import re

from selectolax.lexbor import LexborHTMLParser

PREFIX = "user-content-"
TAGS = frozenset(
    [
        "a",
        "abbr",
        "b",
        "blockquote",
        "br",
        "caption",
        "cite",
        "code",
        "col",
        "colgroup",
        "dd",
        "del",
        "details",
        "div",
        "dl",
        "dt",
        "em",
        "figcaption",
        "figure",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "i",
        "kbd",
        "li",
        "ol",
        "p",
        "pre",
        "span",
        "strong",
        "sub",
        "summary",
        "sup",
        "table",
        "tbody",
        "td",
        "th",
        "thead",
        "tr",
        "ul",
        "var",
    ]
)
ATTRIBUTES = frozenset(
    ["align", "class", "colspan", "href", "id", "rel", "rowspan", "start", "tabindex", "title"]
)
OF_IMAGES = frozenset(["alt", "class", "height", "id", "loading", "referrerpolicy", "src", "width"])
REL = {"nofollow", "noopener", "noreferrer", "ugc"}
# What a browser skips in an address: it reads `java\tscript:` as what it is not written as.
_SKIPPED = re.compile(r"[\x00-\x20\x7f]")
_CLASS = re.compile(r"[a-z][a-z0-9-]{0,20}")


def assert_harmless(html: str, *, images: bool = False) -> None:
    """Fail unless HTML stays where it is put in a page of ours, and is text, links that lead elsewhere, and form alone."""
    page = LexborHTMLParser(
        '<!doctype html><html><head><title>t</title></head><body><main><div id="here">'
        f'{html}</div><p id="after">after</p></main></body></html>'
    )
    (here,) = page.css("#here")
    (after,) = page.css("#after")
    assert after.parent == here.parent, "it closes what it stands in"
    assert after.text() == "after", "it opens what it does not close"
    assert [child.tag for child in page.css_first("main").iter()] == ["div", "p"], (
        "it gets out of where it is put"
    )

    seen = set()
    for node in here.traverse():
        if node == here:
            continue
        said = {name: value or "" for name, value in node.attributes.items()}
        assert node.tag in TAGS or (images and node.tag == "img"), f"a <{node.tag}>"
        allowed = OF_IMAGES if node.tag == "img" else ATTRIBUTES
        assert set(said) <= allowed, f"<{node.tag}> with {sorted(said)}"
        if "id" in said:
            assert said["id"].startswith(PREFIX), f"an id {said['id']!r} that is not its own"
            assert said["id"] not in seen, f"an id {said['id']!r} twice"
            seen.add(said["id"])
        for word in said.get("class", "").split():
            assert _CLASS.fullmatch(word), f"a class {word!r}"
        if node.tag == "a":
            _assert_link(said)
        if node.tag == "img":
            assert _scheme(said["src"]) in {"http", "https"}, f"an image from {said['src']!r}"
            assert said["alt"], "an image without words"
            assert said["referrerpolicy"] == "no-referrer"


def _assert_link(said: dict[str, str]) -> None:
    assert set(said.get("rel", "").split()) == REL
    if "href" not in said:
        return
    url = said["href"]
    if url.startswith("#"):
        assert url.startswith(f"#{PREFIX}"), f"a link to {url!r}, which is not its own"
        return
    assert _scheme(url) in {"http", "https", "mailto"}, f"a link to {url!r}"


def _scheme(url: str) -> str | None:
    """Return what stands before the colon, as a browser reads it; None for an address that leads into this server."""
    found = re.match(r"([a-z][a-z0-9+.-]*):(.*)", _SKIPPED.sub("", url), re.IGNORECASE | re.DOTALL)
    if found is None:
        return None
    scheme = found[1].lower()
    # `https:path` is an address of this server for a browser.
    return scheme if scheme not in {"http", "https"} or re.match(r"[/\\]{2}[^/\\]", found[2]) else None
