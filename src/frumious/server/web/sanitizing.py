"""HTML of a description -> HTML that fits into a page of ours and can do nothing there.

Two steps. First what well-formed HTML says is put in our words: headings below the page's own, images as links, ids
with a prefix, no link that leads into this server. Then a sanitizer goes over it with a list of what may stay. It comes
last, so that the first step need not be trusted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from html.parser import HTMLParser
from typing import Final
from urllib.parse import unquote, urlsplit

import nh3
from pygments.token import STANDARD_TYPES  # type: ignore[import-untyped]  # a table of names; its stubs bring docutils' along

ID_PREFIX: Final = "user-content-"
"""Before every id, so that none is one of the page's. The renderers put it before most of them already."""
REL: Final = "nofollow noopener noreferrer ugc"
SCHEMES: Final = frozenset({"http", "https", "mailto"})
CLASSES: Final = frozenset(
    {
        "admonition", "admonition-title", "note", "tip", "hint", "important", "warning", "caution", "danger", "attention", "error",
        "image", "task", "scroll", "math", "label", "footnote", "line", "line-block",
        "rubric", "topic-title",
    }
)  # fmt: skip
"""Every class that may stay, but for those of highlighted code."""
_OF_SPANS: Final = CLASSES | set(STANDARD_TYPES.values())

_RENAMED: Final[Mapping[str, str]] = {
    # The page has an h1 of its own.
    "h1": "h2", "h2": "h3", "h3": "h4", "h4": "h5", "h5": "h6",
    # Landmarks are the page's to set.
    "aside": "div", "nav": "div", "section": "div",
    "acronym": "abbr", "tt": "code",
}  # fmt: skip
_EMPTY: Final = frozenset({"br", "col", "hr"})
_TAGS: Final = _EMPTY | {
    "a", "abbr", "b", "blockquote", "caption", "cite", "code", "colgroup", "dd", "del", "details", "div", "dl", "dt", "em",
    "figcaption", "figure", "h2", "h3", "h4", "h5", "h6", "i", "kbd", "li", "ol", "p", "pre", "span", "strong", "sub", "summary",
    "sup", "table", "tbody", "td", "th", "thead", "tr", "ul", "var",
}  # fmt: skip
_CLOSED: Final = _TAGS - _EMPTY - {"a"}
"""What ends where its end tag stands; a link may have become something else, or nothing."""
_ANYWHERE: Final = frozenset({"id", "class"})
_ATTRIBUTES: Final[Mapping[str, frozenset[str]]] = {
    "a": frozenset({"href", "title"}),
    "abbr": frozenset({"title"}),
    "div": frozenset({"align", "tabindex"}),
    "img": frozenset({"src", "alt", "width", "height", "loading", "referrerpolicy"}),
    "ol": frozenset({"start"}),
    "pre": frozenset({"tabindex"}),
    "td": frozenset({"align", "colspan", "rowspan"}),
    **dict.fromkeys(("h2", "h3", "h4", "h5", "h6", "p", "th"), frozenset({"align"})),
}
_VALUES: Final[Mapping[str, re.Pattern[str]]] = {
    "align": re.compile(r"left|center|right"),
    "tabindex": re.compile(r"0"),
    "width": re.compile(r"[0-9]{1,4}%?"),
    "height": re.compile(r"[0-9]{1,4}%?"),
    "colspan": re.compile(r"[0-9]{1,3}"),
    "rowspan": re.compile(r"[0-9]{1,3}"),
    "start": re.compile(r"-?[0-9]{1,9}"),
}
"""What such an attribute may say; all others may say anything."""


def sanitize(html: str, *, remote_images: bool) -> str:
    """Return HTML with nothing but what is on the lists of this module.

    `html` is what a sanitizer wrote, so that it is well-formed. With `remote_images` a browser loads images of it, and
    without it nothing.
    """
    rewriter = _Rewriter(remote_images=remote_images)
    rewriter.feed(html)
    rewriter.close()
    return only_allowed(rewriter.html(), remote_images=remote_images)


def only_allowed(html: str, *, remote_images: bool) -> str:
    """Return any HTML without what is not on the lists of this module."""
    return nh3.clean(
        html,
        tags=set(_TAGS | {"img"} if remote_images else _TAGS),
        attributes={tag: set(_ATTRIBUTES.get(tag, frozenset()) | _ANYWHERE) for tag in _TAGS | {"img"}},
        attribute_filter=_kept,
        url_schemes=set(SCHEMES),
        link_rel=REL,
    )


def _kept(tag: str, name: str, value: str) -> str | None:
    """Return what may stay of an attribute's value."""
    match name:
        case "class":
            known = _OF_SPANS if tag == "span" else CLASSES
            return " ".join(word for word in value.split() if word in known) or None
        case "id":
            return value if value.startswith(ID_PREFIX) else None
        case "href":
            return value if value.startswith(f"#{ID_PREFIX}") or _is_absolute(value) else None
        case "src":
            return value if _is_absolute(value, frozenset({"http", "https"})) else None
        case _:
            allowed = _VALUES.get(name)
            return value if allowed is None or allowed.fullmatch(value) else None


def _is_absolute(url: str, schemes: frozenset[str] = SCHEMES) -> bool:
    """Tell whether an address leads to another host, or to a mailbox, and nowhere else."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in schemes and bool(parts.netloc or (parts.scheme == "mailto" and parts.path))


def _own_id(said: str) -> str:
    return ID_PREFIX + said.removeprefix(ID_PREFIX)


@dataclass(slots=True)
class _Link:
    """A link that is open."""

    at: int
    """Where among the parts it begins."""
    end: str
    instead: str
    """What stands in its place when there is nothing in it."""
    holds: bool = False
    """Something in it can be seen."""


class _Rewriter(HTMLParser):
    """Reads well-formed HTML and writes it again in our words."""

    def __init__(self, *, remote_images: bool) -> None:
        super().__init__(convert_charrefs=True)
        self._remote_images = remote_images
        self._parts: list[str] = []
        self._links: list[_Link] = []
        self._spans: list[str] = []
        self._ids: set[str] = set()

    def html(self) -> str:
        return "".join(self._parts)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        match tag:
            case "a":
                self._open_link(said)
            case "img":
                self._show(self._image(said))
            case "input" if said.get("type") == "checkbox":
                # A field of a form would want a label, and there is nothing to fill in.
                self._show(f'<span class="task">{"☑" if "checked" in said else "☐"}</span>')
            case "table":
                # Wide ones are scrolled by themselves, by keyboard too.
                self._parts.append(f'<div class="scroll" tabindex="0"><table{self._id(said)}>')
            case "pre":
                self._parts.append(f'<pre tabindex="0"{self._id(said)}>')
            case "span":
                # What docutils makes of ``this``.
                self._spans.append("code" if "literal" in said.get("class", "").split() else "span")
                self._open(self._spans[-1], said)
            case _:
                self._open(_RENAMED.get(tag, tag), said)

    def handle_endtag(self, tag: str) -> None:
        match tag:
            case "a" if self._links:
                self._close_link(self._links.pop())
            case "table":
                self._parts.append("</table></div>")
            case "span" if self._spans:
                self._parts.append(f"</{self._spans.pop()}>")
            case _:
                name = _RENAMED.get(tag, tag)
                if name in _CLOSED:
                    self._parts.append(f"</{name}>")

    def handle_data(self, data: str) -> None:
        self._show(escape(data, quote=False), seen=not data.isspace())

    def _show(self, html: str, *, seen: bool = True) -> None:
        self._parts.append(html)
        for link in self._links[-1:]:
            link.holds |= seen

    def _open(self, name: str, said: Mapping[str, str]) -> None:
        if name not in _TAGS:
            return
        known = _ATTRIBUTES.get(name, frozenset()) | {"class"}
        kept = "".join(_attribute(key, said[key]) for key in said if key in known)
        self._parts.append(f"<{name}{self._id(said)}{kept}>")

    def _id(self, said: Mapping[str, str]) -> str:
        """Return the attribute, for the first element that has this id."""
        if not said.get("id"):
            return ""
        own = _own_id(said["id"])
        if own in self._ids:
            return ""
        self._ids.add(own)
        return _attribute("id", own)

    def _open_link(self, said: Mapping[str, str]) -> None:
        href, anchor = said.get("href", ""), self._id(said)
        if href.startswith("#") and len(href) > 1:
            href = f"#{_own_id(href[1:])}"
        elif not _is_absolute(href):
            # It was meant for the place the description was written for; here it would lead somewhere else.
            href = ""
        instead = f"<span{anchor}></span>" if anchor else ""
        if href:
            title = _attribute("title", said["title"]) if said.get("title") else ""
            start, end = f"<a{anchor}{_attribute('href', href)}{title}>", "</a>"
        else:
            start, end = (f"<span{anchor}>", "</span>") if anchor else ("", "")
        self._links.append(_Link(len(self._parts), end, instead))
        self._parts.append(start)

    def _close_link(self, link: _Link) -> None:
        if link.holds:
            self._parts.append(link.end)
        else:
            # Links of headings to themselves: a screen reader would read them without a name.
            self._parts[link.at] = link.instead

    def _image(self, said: Mapping[str, str]) -> str:
        url, words = said.get("src", ""), _words_of(said)
        is_remote = _is_absolute(url, frozenset({"http", "https"}))
        if is_remote and self._remote_images:
            size = "".join(_attribute(name, said[name]) for name in ("width", "height") if name in said)
            return (
                f"<img{_attribute('src', url)}{_attribute('alt', words)}{size}"
                ' loading="lazy" referrerpolicy="no-referrer">'
            )
        if is_remote and not any(link.end == "</a>" for link in self._links):
            return f'<a class="image"{_attribute("href", url)}>{escape(words)}</a>'
        return f'<span class="image">{escape(words)}</span>'


def _attribute(name: str, value: str) -> str:
    return f' {name}="{escape(value)}"'


def _words_of(image: Mapping[str, str]) -> str:
    """Return what an image says to those who do not see it; where nobody said anything, what its address says."""
    url = image.get("src", "")
    said = image.get("alt", "").strip()
    if said and said != url:  # docutils gives the address where there are no words
        return said
    try:
        parts = urlsplit(url)
    except ValueError:
        return "…"
    return unquote(parts.path.rstrip("/").rpartition("/")[2]) or parts.netloc or "…"
