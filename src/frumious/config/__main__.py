"""`python -m frumious.config docs/configuration.md`: write the reference into the page, or print it."""

from __future__ import annotations

import sys
from pathlib import Path

from frumious.config.reference import reference_markdown, update_reference

if not sys.argv[1:]:
    sys.stdout.write(reference_markdown() + "\n")
for path in map(Path, sys.argv[1:]):
    path.write_text(update_reference(path.read_text(encoding="utf-8")), encoding="utf-8")
