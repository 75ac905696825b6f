"""Plugins of other people: found by their entry points, named in `[plugins] enabled`, kept from harming a run.

`own` finds those that were written for us, `bandersnatch_plugins` those that were written for bandersnatch and need
`facade`. All of their rules stand behind `guard`. docs/plugins.md is the page for their authors.
"""

from __future__ import annotations

from frumious.filters.thirdparty.finding import find_builders
from frumious.filters.thirdparty.origin import BadPlugin

__all__ = ["BadPlugin", "find_builders"]
