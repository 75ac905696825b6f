"""Plugins that were written for bandersnatch: found by its groups of entry points, and known by `name` of the class."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from frumious.filters.plugin import Builder, Context, Rules
from frumious.filters.sections import Sections
from frumious.filters.thirdparty.adapters import ADAPTERS
from frumious.filters.thirdparty.facade import bandersnatch_modules, configure
from frumious.filters.thirdparty.guard import add_guarded
from frumious.filters.thirdparty.origin import CRASHES, BadPlugin, Origin, refusing, told


@dataclass(frozen=True, slots=True)
class _Found:
    """One enabled plugin: its class, from which group, and by which of its names it is enabled."""

    asked: tuple[str, ...]
    origin: Origin
    group: str
    make: Any


@dataclass(frozen=True, slots=True)
class _Broken:
    """An entry point that cannot be imported, and might have been a plugin that is asked for."""

    origin: Origin
    error: BaseException


def bandersnatch_builders(wanted: Collection[str], builtin: Collection[str]) -> dict[str, Builder]:
    """Return a builder for each wanted name that an installed plugin has; raises BadPlugin.

    Each installed plugin is imported, since only its class says its name; but none of bandersnatch's own, nor one
    whose entry point has the name of a built-in plugin. One that is broken is an error only if it may be wanted.
    """
    by_name: dict[str, list[_Found]] = defaultdict(list)
    broken: list[_Broken] = []
    aliases: set[str] = set()
    with bandersnatch_modules():
        for group, point in _entry_points(builtin):
            found = _look(group, point, wanted)
            if isinstance(found, _Broken):
                broken.append(found)
            elif found is not None:
                by_name[found.asked[0]].append(found)
                aliases.update(found.asked[1:])
    _refuse_broken(broken, [name for name in wanted if name not in aliases], by_name)
    for name, plugins in by_name.items():
        packages = sorted({found.origin.package for found in plugins})
        if len(packages) > 1:
            raise BadPlugin(
                name,
                f"{name} is the name of a plugin of {' and '.join(packages)}",
                "uninstall the one that you do not mean",
            )
    # A plugin that is enabled by both of its names is one plugin.
    return {name: _builder(by_name.get(name, ())) for name in (*by_name, *(aliases - by_name.keys()))}


def _entry_points(builtin: Collection[str]) -> Iterator[tuple[str, EntryPoint]]:
    for group in ADAPTERS:
        for point in entry_points(group=group):
            if point.name not in builtin and not Origin.of(point).is_bandersnatch:
                yield group, point


def _look(group: str, point: EntryPoint, wanted: Collection[str]) -> _Found | _Broken | None:
    try:
        make = point.load()
        names = [make.name, getattr(make, "deprecated_name", "")]
        asked = tuple(name for name in dict.fromkeys(names) if name in wanted)
    except CRASHES as error:
        return _Broken(Origin.of(point), error)
    return None if not asked else _Found(asked, Origin.of(point, str(make.name)), group, make)


def _refuse_broken(
    broken: Sequence[_Broken], wanted: Collection[str], found: Mapping[str, list[_Found]]
) -> None:
    """Raise BadPlugin for a broken plugin that is wanted, or may be: another part of one that is, or a missing one."""
    missing = [name for name in wanted if name not in found]
    used = {plugin.origin.distribution for plugins in found.values() for plugin in plugins}
    for each in broken:
        origin = each.origin
        if origin.plugin in wanted or origin.distribution in used or missing:
            asked = origin.plugin if origin.plugin in wanted else next(iter(missing or wanted))
            maybe = (
                f", and {asked!r} may be another name of it"
                if asked in missing and asked != origin.plugin
                else ""
            )
            raise BadPlugin(
                asked, f"{origin} cannot be imported: {told(each.error)}{maybe}", _hint(each.error)
            ) from each.error


def _hint(error: BaseException) -> str | None:
    if isinstance(error, ImportError) and (error.name or "").partition(".")[0].startswith("bandersnatch"):
        return "it needs more of bandersnatch than its plugin interface; that is there if bandersnatch is installed too"
    return "install what it needs" if isinstance(error, ImportError) else None


def _builder(plugins: Sequence[_Found]) -> Builder:
    def build(context: Context, rules: Rules) -> None:
        with bandersnatch_modules():
            for plugin in plugins:
                # An error of theirs while they read their settings: it seldom says more than which key it missed.
                with refusing(plugin.origin, "set up", asked=plugin.asked[0]):
                    configure(context)
                    found = Rules()
                    fingerprint = f"{plugin.group} {_digest(context.sections)}"
                    ADAPTERS[plugin.group](found, plugin.make(), plugin.origin.plugin, fingerprint)
                    add_guarded(plugin.origin, found, rules)

    return build


def _digest(sections: Sections) -> str:
    """Return what changes with any setting of any filter: a plugin may read all of them."""
    said = {
        section: {key: [line.text for line in lines] for key, lines in keys.items()}
        for section, keys in sections.values.items()
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
