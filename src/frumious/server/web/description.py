"""The description of a project as HTML that a page can show: Markdown, reStructuredText or plain text, never harmful.

What somebody uploaded is turned into HTML by libraries that take for ever, or the whole memory, for some texts. They
run in a process of their own with limits on both (`rendering`); where that comes to nothing, the text is shown as it
is. Nothing of them is imported here. Why so: docs/decisions/0004-descriptions.md.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from enum import Enum
from html import escape
from typing import Final, Self

MOST_CHARACTERS: Final = 512 * 1024
"""What is longer is cut at the end of a line before it."""
MOST_SECONDS: Final = 15.0
"""How long the helper may take in all. What ends it, on any but a crowded machine, is the processor time it may use."""
_MOST_TYPE: Final = 200
_UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


class Markup(Enum):
    """What a description is written in. The value is the helper's argument."""

    GFM = "GFM"
    COMMONMARK = "CommonMark"
    REST = "reST"
    PLAIN = "plain"


class Description(str):
    """HTML that may stand in a page as it is, inside one element of its own."""

    __slots__ = ("as_text", "is_cut")

    is_cut: bool
    """The text is longer than is shown; the last element is then `<p class="cut">…</p>`."""
    as_text: bool
    """It could not be rendered as what it is said to be, and is shown as plain text."""

    def __new__(cls, html: str, *, is_cut: bool = False, as_text: bool = False) -> Self:
        made = super().__new__(cls, html)
        made.is_cut = is_cut
        made.as_text = as_text
        return made

    def __html__(self) -> str:
        """Return the HTML, as template engines ask for it."""
        return str(self)


def render(text: str, content_type: str | None, *, remote_images: bool = False) -> Description:
    """Return a description as safe HTML, by its Description-Content-Type; None is reStructuredText.

    Starts a process and waits for it, for `MOST_SECONDS` at most: call it in a thread, and keep what it returns. Never
    raises. Without `remote_images` a browser loads nothing for it: an image is a link with its words.
    """
    if not text.strip():
        return Description("")
    shown, is_cut = _shortened(text)
    markup = markup_of(content_type)
    html = None if markup is Markup.PLAIN else _helped(shown, markup, remote_images=remote_images)
    as_text = html is None and markup is not Markup.PLAIN
    html = plain(shown) if html is None else html
    return Description(html + '<p class="cut">…</p>' if is_cut else html, is_cut=is_cut, as_text=as_text)


def markup_of(content_type: str | None) -> Markup:
    """Return what a Description-Content-Type says; plain text for what nobody knows.

    Absent is reStructuredText (core metadata specification); `UNKNOWN` is how old tools wrote that something is absent.
    """
    said = (content_type or "").strip()
    if len(said) > _MOST_TYPE:
        return Markup.PLAIN
    kind, *parameters = (part.strip().lower() for part in said.split(";"))
    match kind:
        case "" | "unknown" | "text/x-rst":
            return Markup.REST
        case "text/markdown":
            pairs = (parameter.partition("=") for parameter in parameters)
            variant = {name.strip(): value.strip().strip('"') for name, _, value in pairs}.get("variant")
            return Markup.COMMONMARK if variant == "commonmark" else Markup.GFM
        case _:
            return Markup.PLAIN


def plain(text: str) -> str:
    """Return text as it is, in one element."""
    return f'<pre class="plain">{escape(_UNPRINTABLE.sub("", text), quote=False)}</pre>'


def _shortened(text: str) -> tuple[str, bool]:
    if len(text) <= MOST_CHARACTERS:
        return text, False
    end = text.rfind("\n", MOST_CHARACTERS // 2, MOST_CHARACTERS)
    return text[: MOST_CHARACTERS if end < 0 else end], True


def _helped(text: str, markup: Markup, *, remote_images: bool) -> str | None:
    """Return what the helper makes of it; None when it fails, whatever the reason."""
    command = [sys.executable, "-P", "-m", "frumious.server.web.rendering", markup.value]
    if remote_images:
        command.append("--remote-images")
    try:
        done = subprocess.run(  # noqa: S603 - our own module; the text goes to its standard input
            command,
            input=_UNPRINTABLE.sub("", text).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=MOST_SECONDS,
            check=False,
            # docutils would take settings from the working directory, the home directory and /etc.
            env={**os.environ, "DOCUTILSCONFIG": ""},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode() if done.returncode == 0 else None
