"""The helper that `description` starts: a text on standard input, safe HTML on standard output, within limits.

Whatever goes wrong ends it with another code than 0, or by a signal; there is nothing to clean up. That is how hostile
texts are dealt with: some take the libraries for ever, some the whole memory, some end the process.
"""

from __future__ import annotations

import resource
import sys
from typing import Final

from frumious.server.web.description import Markup

MOST_PROCESSOR_SECONDS: Final = 5
MOST_MEMORY: Final = 1024 * 1024 * 1024
MOST_HTML: Final = 4 * 1024 * 1024
"""Characters; a text of references or footnotes can come to a hundred times its length."""


class Unrenderable(Exception):
    """A text is not what it is said to be, or comes to too much."""


def convert(text: str, markup: Markup, *, remote_images: bool) -> str:
    """Return a text as safe HTML. Raises `Unrenderable`, and whatever the libraries raise."""
    # Only what this text needs: docutils costs five times as much to import as the rest.
    from frumious.server.web.sanitizing import sanitize  # noqa: PLC0415

    html: str | None
    if markup is Markup.REST:
        from readme_renderer import rst  # noqa: PLC0415

        html = rst.render(text)
    else:
        from readme_renderer import markdown  # noqa: PLC0415

        html = markdown.render(text, variant=markup.value)
    return _bounded(sanitize(_bounded(html), remote_images=remote_images))


def _bounded(html: str | None) -> str:
    if html is None or len(html) > MOST_HTML:
        raise Unrenderable
    return html


def limit_this_process() -> None:
    """Let the system end this process when it takes too much, whatever it is doing then."""
    for what, most in (
        (resource.RLIMIT_CPU, MOST_PROCESSOR_SECONDS),
        (resource.RLIMIT_AS, MOST_MEMORY),
        (resource.RLIMIT_CORE, 0),
    ):
        _, allowed = resource.getrlimit(what)
        most_here = most if allowed == resource.RLIM_INFINITY else min(most, allowed)
        resource.setrlimit(what, (most_here, most_here))


def main(markup: str, *options: str) -> None:
    """Render standard input."""
    limit_this_process()
    text = sys.stdin.buffer.read().decode()
    html = convert(text, Markup(markup), remote_images="--remote-images" in options)
    sys.stdout.buffer.write(html.encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
