"""From names in `[plugins] enabled` to builders: ours by the table of built-ins, theirs by entry points."""

from __future__ import annotations

from collections.abc import Collection

from frumious.filters.build import UnknownPlugin
from frumious.filters.plugin import Builder
from frumious.filters.thirdparty import own
from frumious.filters.thirdparty.bandersnatch_plugins import bandersnatch_builders


def find_builders(enabled: Collection[str], builtin: Collection[str]) -> dict[str, Builder]:
    """Return a builder for each enabled plugin that is not built in.

    Only what is enabled is imported. For a name that is neither built in nor in our group of entry points, plugins
    made for bandersnatch have to be imported to learn their names. Raises BadPlugin for one that cannot be used, and
    UnknownPlugin for a name that nobody has.
    """
    if not enabled:
        return {}
    builders = own.own_builders(enabled, builtin)
    unknown = [name for name in enabled if name not in builtin and name not in builders]
    if unknown:
        builders |= bandersnatch_builders(unknown, builtin)
    for name in unknown:
        if name not in builders:
            raise UnknownPlugin(name, [*builtin, *sorted(own.names())])
    return builders
