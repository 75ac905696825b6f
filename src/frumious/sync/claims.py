"""Who is filling which key in this run."""

from __future__ import annotations

from collections.abc import Mapping

from frumious.model.names import NormalizedName


class Claims:
    """Keys being filled in this run and not yet in the catalog, with what.

    Claim first, ask the catalog then: of two projects that want one key with different content, the later one finds
    the earlier one in one of the two places.
    """

    def __init__(self) -> None:
        self._sources: dict[str, tuple[str, int]] = {}
        """What fills a key, and for how many projects."""
        self._own: dict[NormalizedName, list[str]] = {}

    def claim(self, name: NormalizedName, wanted: Mapping[str, str]) -> frozenset[str]:
        """Claim keys for a project, in place of what it claimed before; return those that others fill otherwise."""
        self.release(name)
        refused = set()
        own = self._own[name] = []
        for key, source in wanted.items():
            present, count = self._sources.get(key, (source, 0))
            if present != source:
                refused.add(key)
                continue
            self._sources[key] = (source, count + 1)
            own.append(key)
        return frozenset(refused)

    def release(self, name: NormalizedName) -> None:
        """Give back what a project claimed."""
        for key in self._own.pop(name, ()):
            source, count = self._sources.pop(key)
            if count > 1:
                self._sources[key] = (source, count - 1)
