"""The real program on a machine that fails: what it may leave behind, what it says, and what the next run makes of it."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

from frumious.model.names import normalize
from frumious.storage.local import LocalStorage
from support import invariants
from support.program import LINE, Mirror


class Machine(Mirror):
    """A mirror whose machine fails; after each run the tree is checked for lies."""

    def run(
        self, command: str = "mirror", *args: object, check: bool = True, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run a command; whatever becomes of it, it shows no traceback, and with `check` it leaves nothing torn."""
        done = super().run(command, *args, **options)
        check_log(done.stderr)
        if check:
            self.check()
        return done

    def check(self) -> None:
        """Raise AssertionError if the tree promises what it does not hold."""
        if self.directory.is_dir():
            check_tree(self.directory)
            self.check_claims()

    def check_claims(self) -> None:
        """Raise AssertionError if `status` and `todo` claim more than is published (design.md §6.3)."""
        status, owed = self.directory / "status", set()
        if not status.is_file():
            return
        if (todo := self.directory / "todo").is_file():
            owed = {line.partition(" ")[0] for line in todo.read_text().splitlines()[1:]}
        for name in self.index.names():
            serial = self.index.project(name).serial
            if serial <= int(status.read_text()) and name not in owed:
                assert self.page(name)["meta"]["_last-serial"] >= serial, f"status claims {name}"

    def ends_whole(self) -> subprocess.CompletedProcess[str]:
        """Run again now that the machine is well: everything is there, and nothing was fetched that was whole."""
        whole = {path.name for path in (self.directory / "web/packages").rglob("*") if path.is_file()}
        before = len(self.served.requests("file:*"))
        done = self.run("mirror")
        assert done.returncode == 0, done.stderr
        asked = {r.target.partition(":")[2] for r in self.served.requests("file:*")[before:]}
        assert not asked & whole, f"downloaded twice: {asked & whole}"
        for name in self.index.names():
            files = [file["filename"] for file in self.page(name)["files"]]
            assert files == [file.filename for file in self.index.project(name).offered_files()]
        listed = json.loads((self.directory / "web/simple/index.v1_json").read_text())["projects"]
        assert [normalize(project["name"]) for project in listed] == self.index.names()
        assert int((self.directory / "status").read_text()) == self.index.serial
        assert not (self.directory / "todo").is_file()
        return done


def check_log(said: str) -> None:
    """Raise AssertionError if something is no line of a log, or tells of a defect."""
    assert all(LINE.match(line) for line in said.splitlines()), said
    assert "internal error" not in said, said


def filename_of(mirror: Mirror, name: str) -> str:
    """Return where the first file of a project lies, below the mirror's directory."""
    return "web/" + mirror.page(name)["files"][0]["url"].removeprefix("../../")


def check_tree(directory: Path) -> None:
    """Raise AssertionError if the pages below a directory promise what is not there."""

    async def check() -> None:
        storage = LocalStorage(directory)
        try:
            await invariants.check(storage)
        finally:
            await storage.aclose()

    asyncio.run(check())


def fill(folder: Path, *, leave: int = 0) -> Path:
    """Fill the disk on which a folder lies, but for so many bytes; return the file that does it."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 65536)
        except OSError:
            file.truncate(max(0, file.tell() - leave))
    return ballast
