"""Plugins that were written for us: entry points of the group `frumious.filters`, each one a `Builder`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from importlib.metadata import EntryPoint, entry_points

from frumious.filters.plugin import Builder, Context, Rules
from frumious.filters.thirdparty.guard import add_guarded
from frumious.filters.thirdparty.origin import BadPlugin, Origin, refusing

GROUP = "frumious.filters"


def own_builders(enabled: Collection[str], builtin: Collection[str]) -> dict[str, Builder]:
    """Import the enabled plugins, and no others; raises BadPlugin."""
    builders = {}
    for name, points in _enabled_points(enabled).items():
        origins = sorted(map(Origin.of, points))
        packages = " and ".join(origin.package for origin in origins)
        if name in builtin:
            raise BadPlugin(
                name,
                f"{name} is built in, and {packages} has a plugin of the same name",
                "uninstall one that you do not need; its authors may want to choose another name",
            )
        if len(points) > 1:
            raise BadPlugin(
                name,
                f"{name} is the name of a plugin of {packages}",
                "uninstall the one that you do not mean",
            )
        builders[name] = _load(points[0], origins[0])
    return builders


def names() -> frozenset[str]:
    """Return the names of all plugins of this group that are installed."""
    return frozenset(point.name for point in entry_points(group=GROUP))


def _enabled_points(enabled: Collection[str]) -> Mapping[str, list[EntryPoint]]:
    found: dict[str, list[EntryPoint]] = defaultdict(list)
    for point in entry_points(group=GROUP):
        if point.name in enabled:
            found[point.name].append(point)
    return found


def _load(point: EntryPoint, origin: Origin) -> Builder:
    with refusing(origin, "imported"):
        build = point.load()
    if not callable(build):
        raise BadPlugin(
            origin.plugin, f"{origin} cannot be used: {point.value} is no function of (Context, Rules)"
        )

    def build_guarded(context: Context, rules: Rules) -> None:
        found = Rules()
        with refusing(origin, "set up"):
            build(context, found)
            if not (found.projects or found.offers or found.files or found.releases):
                # A name that is enabled and does nothing means a larger mirror than somebody asked for.
                raise BadPlugin(origin.plugin, f"{origin} adds no rule, so it would do nothing")
            add_guarded(origin, found, rules)

    return build_guarded
