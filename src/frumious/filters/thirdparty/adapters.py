"""Plugins of bandersnatch as our four kinds of rules: each gets a document of the shape that it was written for.

What they get is theirs to change: a copy. They answer with yes or no, without a reason or a time.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from frumious.errors import RuleFailed
from frumious.filters.offer import Document, Offer
from frumious.filters.plugin import Rules
from frumious.filters.rules import KEEP, Verdict
from frumious.model.names import NormalizedName
from frumious.model.project import File


class Plugin(Protocol):
    """What we ask of an instance of a bandersnatch plugin."""

    def filter(self, metadata: dict[str, Any], /) -> object:
        """Return something true to keep what is described."""
        ...


@dataclass(frozen=True, slots=True)
class _Adapter:
    plugin: Plugin
    name: str
    fingerprint: str

    def _verdict(self, metadata: dict[str, Any]) -> Verdict:
        if self.plugin.filter(metadata):
            return KEEP
        return Verdict(keep=False, reason="the plugin says no", rule=self.name)

    def _document(self, offer: Offer) -> Document:
        """Return the legacy JSON; raises RuleFailed where there is none: it cannot judge, and must not let pass."""
        if offer.document is None:
            raise RuleFailed(self.name, "upstream has no legacy JSON of this project, which the plugin reads")
        return offer.document

    def _part(self, offer: Offer, key: str) -> dict[str, Any]:
        """Return a copy of `info` or `releases`."""
        part = self._document(offer).get(key)
        if not isinstance(part, dict):
            raise RuleFailed(self.name, f"upstream's legacy JSON has no `{key}`")
        return copy.deepcopy(part)


@dataclass(frozen=True, slots=True)
class ProjectAdapter(_Adapter):
    """A plugin of the group `project`."""

    only: frozenset[NormalizedName] | None = None

    def judge(self, name: NormalizedName, display: str) -> Verdict:  # noqa: ARG002 - the port's
        return self._verdict({"info": {"name": display}})


@dataclass(frozen=True, slots=True)
class MetadataAdapter(_Adapter):
    """A plugin of the group `metadata`."""

    needs_document: bool = True

    def judge_project(self, offer: Offer) -> Verdict:
        if offer.document is None and not offer.files:
            return (
                KEEP  # PyPI has no legacy JSON of a project without files, and there is nothing to keep out
            )
        return self._verdict(copy.deepcopy(dict(self._document(offer))))


@dataclass(frozen=True, slots=True)
class ReleaseFileAdapter(_Adapter):
    """A plugin of the group `release_file`."""

    needs_document: bool = True

    def judge_file(self, offer: Offer, file: File) -> Verdict:
        info = self._part(offer, "info")
        entry, release = offer.entry(file), offer.release_of(file)
        if entry is None or release is None:
            raise RuleFailed(self.name, f"upstream's legacy JSON does not know {file.filename}")
        return self._verdict({"info": info, "release": release, "release_file": copy.deepcopy(dict(entry))})


@dataclass(frozen=True, slots=True)
class ReleaseAdapter(_Adapter):
    """A plugin of the group `release`, asked once for each release."""

    needs_document: bool = True
    is_last: bool = True
    """It sees the releases that are left, as bandersnatch shows them."""

    def decides_alone(self, name: NormalizedName) -> bool:  # noqa: ARG002 - the port's
        return False

    def judge_releases(self, offer: Offer, releases: Sequence[str]) -> Mapping[str, Verdict]:
        if not releases:
            return {}
        info, all_releases = self._part(offer, "info"), self._part(offer, "releases")
        left = {release: all_releases.get(release) or [] for release in releases}
        dropped = {}
        for release in releases:
            # What the plugin drops is gone from the next question; what it does to the dictionary is not.
            verdict = self._verdict({"info": info, "version": release, "releases": dict(left)})
            if not verdict.keep:
                dropped[release] = verdict
                del left[release]
        return dropped


Add = Callable[[Rules, Plugin, str, str], None]


def _add_project(rules: Rules, plugin: Plugin, name: str, fingerprint: str) -> None:
    rules.projects.append(ProjectAdapter(plugin, name, fingerprint))


def _add_metadata(rules: Rules, plugin: Plugin, name: str, fingerprint: str) -> None:
    rules.offers.append(MetadataAdapter(plugin, name, fingerprint))


def _add_release(rules: Rules, plugin: Plugin, name: str, fingerprint: str) -> None:
    rules.releases.append(ReleaseAdapter(plugin, name, fingerprint))


def _add_release_file(rules: Rules, plugin: Plugin, name: str, fingerprint: str) -> None:
    rules.files.append(ReleaseFileAdapter(plugin, name, fingerprint))


ADAPTERS: Mapping[str, Add] = {
    "bandersnatch_filter_plugins.v2.project": _add_project,
    "bandersnatch_filter_plugins.v2.metadata": _add_metadata,
    "bandersnatch_filter_plugins.v2.release": _add_release,
    "bandersnatch_filter_plugins.v2.release_file": _add_release_file,
}
"""By group of entry points: it says what a plugin judges, whichever base class it has."""
