"""From the names in `[plugins] enabled` and the sections of the file to rules. One table says who builds what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from frumious.filters import names
from frumious.filters.plugin import Builder, Context, Rules
from frumious.filters.rules import Selection
from frumious.filters.sections import Sections

BUILDERS: Mapping[str, Builder] = {
    **names.BUILDERS,
}
"""Every built-in plugin by its name in `[plugins] enabled`."""


def build_selection(enabled: Sequence[str], sections: Sections) -> Selection:
    """Return the rules of the enabled plugins; names that are not in BUILDERS are somebody else's. Raises BadSetting."""
    context = Context(sections, frozenset(enabled))
    rules = Rules()
    for name in dict.fromkeys(enabled):
        if (builder := BUILDERS.get(name)) is not None:
            builder(context, rules)
    return selection_of(rules)


def selection_of(rules: Rules) -> Selection:
    """Return collected rules as one value."""
    return Selection(tuple(rules.projects), tuple(rules.offers), tuple(rules.files), tuple(rules.releases))
