"""From the names in `[plugins] enabled` and the sections of the file to rules. One table says who builds what."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence

from frumious.filters import (
    age,
    files,
    latest,
    metadata,
    names,
    releases,
    requirements,
    sizes,
    wheels,
    yanked,
)
from frumious.filters.plugin import Builder, Context, Rules
from frumious.filters.rules import Selection
from frumious.filters.sections import BadSetting, Sections

BUILDERS: Mapping[str, Builder] = {
    **names.BUILDERS,
    **releases.BUILDERS,
    **files.BUILDERS,
    **metadata.BUILDERS,
    **requirements.BUILDERS,
    **age.BUILDERS,
    **latest.BUILDERS,
    **sizes.BUILDERS,
    **wheels.BUILDERS,
    **yanked.BUILDERS,
}
"""Every built-in plugin by its name in `[plugins] enabled`."""


def build_selection(
    enabled: Sequence[str],
    sections: Sections,
    warn: Callable[[str], None] = lambda _: None,
    *,
    others: Mapping[str, Builder] | None = None,
    mirror: Mapping[str, str] | None = None,
) -> Selection:
    """Return the rules of the enabled plugins; `others` are those that are not built in.

    Raises BadSetting, and UnknownPlugin for a name that nobody has: a filter that is not applied would mean a larger mirror.
    """
    builders = {**(others or {}), **BUILDERS}
    context = Context(sections, frozenset(enabled), mirror or {}, warn)
    rules = Rules()
    for name in dict.fromkeys(enabled):
        if name not in builders:
            raise UnknownPlugin(name, builders)
        builders[name](context, rules)
    return selection_of(rules)


class UnknownPlugin(BadSetting):
    """A name in `[plugins] enabled` that no plugin has."""

    def __init__(self, plugin: str, known: Iterable[str]) -> None:
        meant = difflib.get_close_matches(plugin, known, n=1)
        hint = f"did you mean `{meant[0]}`?" if meant else "one that is not built in has to be installed"
        super().__init__("plugins", "enabled", f"there is no plugin {plugin!r}", hint=hint)
        self.plugin = plugin


def selection_of(rules: Rules) -> Selection:
    """Return collected rules as one value."""
    return Selection(tuple(rules.projects), tuple(rules.offers), tuple(rules.files), tuple(rules.releases))
