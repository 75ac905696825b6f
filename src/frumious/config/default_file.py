"""The file that the first run writes."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Mapping
from pathlib import Path

from frumious.config.option import BOOL, FILE, InFile, Option
from frumious.config.options import OPTIONS
from frumious.config.pypi import default_master
from frumious.config.settings import DefaultNotWritten

_WIDTH = 100
_HEADER = """\
# The configuration of a mirror of a Python package index, for Frumious and bandersnatch alike.
#
# Lines with # explain. Lines with ; are settings that are switched off: take the ; away to switch
# one on. A comment needs a line of its own, and a percent sign is written %%.
#
# As it stands, this file asks for the whole index: for PyPI that is hundreds of thousands of
# projects and tens of terabytes. The end of the file shows how to name the projects you want.
"""


_HINTS: Mapping[type[Exception], str] = {
    FileNotFoundError: "name another place with -c, or create the directory first",
    PermissionError: "name another place with -c, or make the file as a user who may write there",
}


def default_config_text(master: str) -> str:
    """Return a commented configuration file that mirrors `master`; bandersnatch reads it too."""
    parts = [_HEADER]
    section = group = ""
    for option in OPTIONS:
        if option.in_file is InFile.ABSENT:
            continue
        if option.section != section:
            section = option.section
            parts.append(f"[{section}]\n")
        if option.group != group:
            group = option.group
            parts.append(f"# --- {group} ---\n")
        parts.append(_setting(option, master))
    return "\n".join(parts)


def _setting(option: Option, master: str) -> str:
    comment = option.doc if option.allowed in {BOOL, FILE} else f"{option.doc} Allowed: {option.allowed}."
    lines = textwrap.wrap(comment.replace("`", ""), _WIDTH, initial_indent="# ", subsequent_indent="# ")
    value = master.replace("%", "%%") if option.key == "master" else option.example or option.default_text()
    switch = "" if option.in_file is InFile.SET else ";"
    lines += [f"{switch}{line.rstrip()}" for line in f"{option.key} = {value}".split("\n")]
    return "\n".join(lines) + "\n"


def write_default_config(path: Path) -> None:
    """Create a default configuration file at `path`, whole or not at all.

    Raises DefaultNotWritten, and has created nothing, if something is there already or it cannot be written. Parent
    directories are not created, as bandersnatch does not.
    """
    text = default_config_text(default_master())
    try:
        staged = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
        _write_new(staged, text)
        try:
            _place(staged, path, text)
        finally:
            staged.unlink(missing_ok=True)
    except FileExistsError:
        raise DefaultNotWritten(path, "something is there already, which is left alone") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        hint = _HINTS.get(type(error), "name another place with -c")
        raise DefaultNotWritten(path, reason, hint=hint) from None


def _write_new(path: Path, text: str) -> None:
    # The mode is subject to the umask: unlike pages, this file may come to hold the password of a proxy.
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644), "w", encoding="utf-8") as file:
        try:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        except OSError:
            path.unlink()
            raise


def _place(staged: Path, path: Path, text: str) -> None:
    try:
        path.hardlink_to(staged)  # unlike a rename it never replaces what is there
    except FileExistsError:
        raise
    except OSError:
        _write_new(path, text)  # a file system without links: whole, or removed again, but not at one stroke
