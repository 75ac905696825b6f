"""What the operator has deleted for good is kept in the catalog, and is a rule on names in every command."""

from __future__ import annotations

from dataclasses import replace

from frumious.sync.options import SyncOptions
from frumious.sync.ports import Ports


async def with_kept_out(ports: Ports, options: SyncOptions) -> SyncOptions:
    """Return options whose selection knows what is kept out."""
    kept_out = await ports.catalog.kept_out()
    return replace(options, selection=replace(options.selection, kept_out=kept_out)) if kept_out else options
