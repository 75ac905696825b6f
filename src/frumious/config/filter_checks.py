"""Filters that find nothing to go by, and settings that no enabled filter reads: never silence."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from frumious.config.ini import Ini
from frumious.config.options import KEYS, OPTIONS
from frumious.config.plugins import FREE_SECTIONS, PLUGINS, SEARCH, Key, Plugin, heeders, readers
from frumious.config.readers import is_name
from frumious.config.settings import Line


@dataclass(frozen=True, slots=True)
class Remark:
    """What to warn of, and where."""

    text: str
    section: str
    key: str | None
    line: int


_OPTIONS = {(option.section, option.key): option for option in OPTIONS}
_COMMENT = re.compile(r"(^|\s)#.*")
_ZERO = re.compile(r"0+(\.0*)?\s*[a-z]*", re.IGNORECASE | re.ASCII)


class FilterChecks:
    """What is remarkable about the filters of one file; a value that was refused is not among `values`."""

    def __init__(self, values: Mapping[str, Any], ini: Ini) -> None:
        enabled: tuple[Line, ...] | None = values.get("plugins")
        self._values, self._ini = values, ini
        self._knows = enabled is not None
        self._enabled = {item.text: item.line for item in reversed(enabled or ())}
        self.foreign = tuple(item.text for item in enabled or () if item.text not in PLUGINS)
        """Enabled plugins that are not built in, which may read anything."""

    def remarks(self) -> Iterator[Remark]:
        """Yield what to warn of; nothing where the names of the enabled plugins cannot be used."""
        if not self._knows:
            return
        for name, line in self._enabled.items():
            if name in PLUGINS:
                yield from self._idle(PLUGINS[name], line)
        for section, line in self._ini.sections.items():
            if section in KEYS and readers(section):
                yield from self._unread(section, line)
        if "blocklist_project" in self._enabled and "blocklist_release" not in self._enabled:
            yield from self._versions_in_blocklist()

    # ------------------------------------------- enabled, but nothing to go by

    def _idle(self, plugin: Plugin, line: int) -> Iterator[Remark]:
        if plugin.empty and not any(map(self._is_there, plugin.reads)):
            places = " and ".join(
                f"[{section}] {key}" if key else f"[{section}]" for section, key in plugin.reads
            )
            yield Remark(
                f"{plugin.name} finds nothing in {places}: {plugin.empty}", "plugins", "enabled", line
            )
        limits = [limit for where in plugin.limits for limit in self._limit(where)]
        if limits and all(_ZERO.fullmatch(text) for _, text in limits):
            where, _ = limits[0]
            yield Remark(f"{plugin.name} has no limit, and does nothing", *where, self._line(*where))
        for section, key in plugin.reads:
            if key is None:
                yield from self._without_items(section)

    def _is_there(self, where: Key) -> bool:
        section, key = where
        if key is None:
            return any(at == section and name != SEARCH for at, name in self._ini.lines)
        name = _OPTIONS[section, key].name
        return bool(self._values.get(name, "refused"))

    def _limit(self, where: Key) -> Iterator[tuple[tuple[str, str], str]]:
        section, key = where
        if key is not None and (text := self._values.get(_OPTIONS[section, key].name)):
            yield (section, key), text

    def _without_items(self, section: str) -> Iterator[Remark]:
        """Warn of paths for which nothing is listed: the mode alone decides then, for all the same."""
        for (at, key), lines in self._ini.lines.items():
            if at != section or key == SEARCH or self._ini.parser.get(at, key, raw=True).strip():
                continue
            mode = next(
                (tag for tag in reversed(key.split(":")[:-1]) if tag in {"any", "all", "none"}), "any"
            )
            passes = "nothing passes that says anything" if "range" in section else "nothing passes"
            effect = passes if mode == "any" else "everything passes"
            yield Remark(f"nothing is listed here, so {effect}", section, key, lines[0])

    # ------------------------------------------------------- there, but not read

    def _unread(self, section: str, line: int) -> Iterator[Remark]:
        if section in FREE_SECTIONS:
            there = [(at, key) for at, key in self._ini.lines if at == section]
        else:
            there = [
                key for key, option in _OPTIONS.items() if key[0] == section and self._values.get(option.name)
            ]
        if there and not self._is_read(section) and (len(there) > 1 or section in FREE_SECTIONS):
            yield Remark(self._without_effect("section", readers(section)), section, None, line)
            return
        for at, key in there:
            if not self._is_read(at, key):
                what = "list" if _OPTIONS[at, key].many else "key"
                yield Remark(self._without_effect(what, readers(at, key)), at, key, self._line(at, key))

    def _is_read(self, section: str, key: str | None = None) -> bool:
        return any(name in self._enabled for name in (*readers(section, key), *heeders(section, key)))

    def _without_effect(self, what: str, names: list[str]) -> str:
        unless = f" unless {' or '.join(self.foreign)} reads it" if self.foreign else ""
        return (
            f"this {what} has no effect{unless}, since [plugins] enabled does not name {' or '.join(names)}"
        )

    def _versions_in_blocklist(self) -> Iterator[Remark]:
        for item in self._values.get("blocklist_packages", ()):
            text = _COMMENT.sub("", item.text).strip()
            if text and not is_name(text):
                why = "a line with more than a name is for blocklist_release, which [plugins] enabled does not name"
                yield Remark(f"{text} has no effect: {why}", "blocklist", "packages", item.line)

    def _line(self, section: str, key: str) -> int:
        option = _OPTIONS[section, key]
        value = self._values.get(option.name)
        if option.many and value:
            line: int = value[0].line
            return line
        lines = self._ini.place(option)
        return lines[0] if lines else 0
