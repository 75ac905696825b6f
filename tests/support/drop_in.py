"""The program under bandersnatch's name, as somebody uses it who comes from there: their file, their tree, an index.

with serve(u0()) as served:
    drop_in = DropIn(tmp_path, served)
    drop_in.configure(json="true", plugins=["allowlist_project"], sections={"allowlist": {"packages": ["a"]}})
    ran = drop_in.mirror()                               # fails the test unless it ends with 0
    assert ran.pages == {"a"} and drop_in.status == "10"
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from support import program
from support.bandersnatch import Bandersnatch, Value
from support.index import Served, SimulatedIndex
from support.invariants import anchors

Attributes = dict[str, str | None]


def u0() -> SimulatedIndex:
    """Return the index that the compatibility cases start from: `A` with serial 5, `Foo.Bar` with 10."""
    index = SimulatedIndex()
    index.upload("A", "1.0", "a-1.0.tar.gz")
    index.upload("Foo.Bar", "1.0")
    index.upload("Foo.Bar", "1.0", "foo_bar-1.0.tar.gz")
    index.upload("Foo.Bar", "2.0", "foo_bar-2.0.tar.gz")
    index.yank("Foo.Bar", "2.0", "r")
    index.release("Foo.Bar", "3.0")
    number(index, a=5, foo_bar=10)
    return index


def number(index: SimulatedIndex, **serials: int) -> None:
    """Give projects other serials, the largest last: that is the serial of the index then."""
    for name, serial in serials.items():
        project = replace(index.project(name), serial=serial)
        index._amend(project)
        index.journal.append(replace(index.journal[-1], serial=serial, name=project.name))


@dataclass(frozen=True)
class Ran:
    """What came of a command."""

    code: int
    out: str
    log: str
    requests: tuple[str, ...]
    """Targets, as `support.index_faults` names them, oldest first."""

    @property
    def pages(self) -> set[str]:
        """The projects that upstream was asked for."""
        return {target.removeprefix("page:") for target in self.requests if target.startswith("page:")}

    @property
    def files(self) -> list[str]:
        """The files and core metadata that upstream was asked for."""
        return sorted(target.removeprefix("file:") for target in self.requests if target.startswith("file:"))


class DropIn:
    """A configuration file that bandersnatch reads too, and a directory beside it."""

    def __init__(self, tmp_path: Path, served: Served) -> None:
        self.served, self.index = served, served.index
        self.directory, self.config = tmp_path / "mirror", tmp_path / "bandersnatch.conf"
        self.web = self.directory / "web"
        self.configure()

    def configure(
        self,
        *,
        plugins: Iterable[str] = (),
        sections: Mapping[str, Mapping[str, Value]] | None = None,
        **mirror: Value,
    ) -> None:
        """Write the file anew; options of `[mirror]` are keywords (`support.bandersnatch`)."""
        Bandersnatch.write_config(
            self.config,
            self.directory,
            self.served.url,
            plugins=plugins,
            sections=sections,
            **{"timeout": 5, **mirror},
        )

    @property
    def env(self) -> dict[str, str]:
        """What the program needs to trust the index and to go there by no proxy."""
        trust = {} if self.served.ca_pem is None else {"SSL_CERT_FILE": str(self.served.ca_pem)}
        return {**trust, "no_proxy": "127.0.0.1,localhost"}

    def run(self, *args: object, code: int | None = 0, env: Mapping[str, str] = {}, **options: Any) -> Ran:
        """Run a command to its end, which must be `code` (None: any)."""
        seen = len(self.served.requests())
        done = program.run(
            "-c", self.config, *args, program="bandersnatch", env={**self.env, **env}, **options
        )
        requests = tuple(request.target for request in self.served.requests()[seen:])
        assert code is None or done.returncode == code, f"ended with {done.returncode}\n{done.stderr}"
        return Ran(done.returncode, done.stdout, done.stderr, requests)

    def mirror(self, *args: object, code: int | None = 0, **options: Any) -> Ran:
        """Run `mirror`."""
        return self.run("mirror", *args, code=code, **options)

    # What is on disk.

    def text(self, key: str) -> str | None:
        """Return the text of a file below the directory, None where there is none."""
        path = self.directory / key
        return path.read_text() if path.exists() else None

    @property
    def status(self) -> str | None:
        return self.text("status")

    @property
    def todo(self) -> str | None:
        return self.text("todo")

    @property
    def generation(self) -> str | None:
        return self.text("generation")

    def path(self, filename: str) -> Path:
        """Return where a file of the index belongs."""
        return self.web / self.index.file(filename).path[1:]

    def page(self, name: str = "") -> Any:
        """Return a project's JSON page, or the project list."""
        return json.loads((self.web / "simple" / name / "index.v1_json").read_text())

    def links(self, name: str = "") -> dict[str, Attributes]:
        """Return the links of a project's HTML page, or of the project list, with their attributes, in order."""
        return dict(anchors((self.web / "simple" / name / "index.html").read_bytes()))

    def filenames(self, name: str) -> list[str]:
        """Return the files that a project's page lists."""
        return [file["filename"] for file in self.page(name)["files"]]

    def projects(self) -> list[str]:
        """Return the normalized names of the project list, as it is linked."""
        return [href.rstrip("/").rpartition("/")[2] for href in self.links()]

    def tree(self, below: str = "") -> dict[str, bytes]:
        """Return every file below `web/` but what says when a run was."""
        return {
            path.relative_to(self.web).as_posix(): path.read_bytes()
            for path in sorted((self.web / below).rglob("*"))
            if path.is_file() and path.name != "last-modified"
        }
