"""The reference in docs/configuration.md."""

from __future__ import annotations

from frumious.config.known import OTHER_PLUGINS, OTHER_SECTIONS
from frumious.config.option import Option
from frumious.config.options import NOT_YET, OPTIONS

BEGIN = "<!-- begin: written by `python -m frumious.config`, do not edit -->"
END = "<!-- end -->"


def reference_markdown() -> str:
    """Return the reference of all options."""
    parts = [BEGIN, "", "## Reference", ""]
    section = group = ""
    for option in OPTIONS:
        if option.group != group:
            section, group = "", option.group
            parts += [f"### {group}", ""]
            if group == NOT_YET:
                parts += [_NOT_YET_INTRO, ""]
        if option.section != section:
            section = option.section
            parts += [f"In `[{section}]`:", ""]
        parts += [
            f"**`{option.key}`** — {option.doc}",
            f"Allowed: {option.allowed}. Default: {_default_shown(option)}.",
            "",
        ]
    parts += [_OTHER_SECTIONS_INTRO, ""]
    for name, keys in OTHER_SECTIONS.items():
        parts.append(f"* `[{name}]`: {', '.join(f'`{key}`' for key in keys) if keys else 'any key'}")
    parts += ["", "These plugins of bandersnatch are known, and refused until they work:", ""]
    parts += [f"* `{plugin}`" for plugin in OTHER_PLUGINS]
    return "\n".join([*parts, "", END])


_NOT_YET_INTRO = (
    "bandersnatch's keys that do nothing here so far. They are checked as bandersnatch checks them, and a warning "
    "names each one that asks for something else than what happens anyway."
)
_OTHER_SECTIONS_INTRO = "Whole sections that do nothing so far; a warning names each one that is there:"


def _default_shown(option: Option) -> str:
    if option.required:
        return "none, it is required"
    if option.default_shown:
        return option.default_shown
    return f"`{option.default}`" if option.default else "not set"


def update_reference(page: str) -> str:
    """Return a Markdown page with the reference between its two marks made new."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page must hold the lines {BEGIN!r} and {END!r}")
    return f"{before}{reference_markdown()}{after}"
