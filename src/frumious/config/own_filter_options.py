"""The keys that filters of our own read; bandersnatch passes over them."""

from __future__ import annotations

from frumious.config.option import Option

OWN_FILTER_OPTIONS: tuple[Option, ...] = ()
