"""The reference in docs/configuration.md."""

from __future__ import annotations

from frumious.config.known import OTHER_SECTIONS
from frumious.config.option import Option
from frumious.config.options import OPTIONS
from frumious.config.plugins import PLUGINS

BEGIN = "<!-- begin: written by `python -m frumious.config`, do not edit -->"
END = "<!-- end -->"


def reference_markdown() -> str:
    """Return the reference of all options."""
    parts = [BEGIN, "", "## Reference", ""]
    section = group = ""
    for option in _by_section():
        if option.group != group:
            section, group = "", option.group
            parts += [f"### {group}", ""]
        if option.section != section:
            section = option.section
            parts += [f"In `[{section}]`:", ""]
        parts += [
            f"**`{option.key}`** — {option.doc}",
            f"Allowed: {option.allowed}. Default: {_default_shown(option)}.",
            "",
        ]
        if option.field == "plugins":
            parts += [*_plugins(), ""]
    parts += [_OTHER_SECTIONS_INTRO, ""]
    parts += [f"* `[{name}]`: any key" for name in OTHER_SECTIONS]
    return "\n".join([*parts, "", END])


_OTHER_SECTIONS_INTRO = "Whole sections that do nothing so far; a warning names each one that is there:"


def _by_section() -> list[Option]:
    """Return all options, those of one section in one group together, else in the order of the table."""
    places: dict[tuple[str, str], list[Option]] = {}
    for option in OPTIONS:
        places.setdefault((option.group, option.section), []).append(option)
    groups = list(dict.fromkeys(option.group for option in OPTIONS))
    return [
        option
        for place in sorted(places, key=lambda place: groups.index(place[0]))
        for option in places[place]
    ]


def _plugins() -> list[str]:
    rows = ["| Plugin | Does | Reads |", "|---|---|---|"]
    for plugin in PLUGINS.values():
        places: dict[str, list[str]] = {}
        for section, key in (*plugin.reads, *plugin.heeds):
            places.setdefault(section, []).extend([f"`{key}`"] if key else [])
        reads = "; ".join(f"`[{section}]` {', '.join(keys)}".rstrip() for section, keys in places.items())
        rows.append(f"| `{plugin.name}` | {plugin.does} | {reads or 'nothing'} |")
    return rows


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
