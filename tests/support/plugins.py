"""Distributions with entry points, as pip leaves them in a directory of packages.

site = Site(tmp_path / "site")
site.install("example-plugins", "1.0", {"example": "def build(context, rules): …"},
             {"frumious.filters": {"weekday": "example:build"}})
site.env()                                     # for a subprocess
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import invalidate_caches
from pathlib import Path
from sys import modules, path

EntryPoints = Mapping[str, Mapping[str, str]]
"""By group and name: where the object is, as `module:attribute`."""


class Site:
    """A directory of installed packages."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(exist_ok=True)

    def install(self, name: str, version: str, sources: Mapping[str, str], entry_points: EntryPoints) -> None:
        """Install modules, by their name, and what describes them."""
        for module, source in sources.items():
            (self.directory / f"{module}.py").write_text(source)
        info = self.directory / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        lines = []
        for group, points in entry_points.items():
            lines += [f"[{group}]", *(f"{point} = {value}" for point, value in points.items()), ""]
        (info / "entry_points.txt").write_text("\n".join(lines))

    def env(self) -> dict[str, str]:
        """Return what a subprocess needs to see it."""
        rest = os.environ.get("PYTHONPATH")
        return {"PYTHONPATH": os.pathsep.join([str(self.directory), *([rest] if rest else [])])}

    @contextmanager
    def visible(self) -> Iterator[None]:
        """Let this process see it, and forget afterwards what was imported from it."""
        path.insert(0, str(self.directory))
        invalidate_caches()
        before = set(modules)
        try:
            yield
        finally:
            path.remove(str(self.directory))
            for name in set(modules) - before:
                where = getattr(modules[name], "__file__", None)
                if where and Path(where).is_relative_to(self.directory):
                    del modules[name]
