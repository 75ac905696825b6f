"""`config check` and `config show`: the configuration as a run would read it; nothing is changed."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from frumious.cli.console import log
from frumious.config import Line, Loaded, MinFree, MissingConfig, Place, SimpleFormat, load
from frumious.config.ini import without_secrets
from frumious.config.option import Option
from frumious.config.options import OPTIONS
from frumious.errors import ConfigError
from frumious.wiring import change_lists_of, requests_per_second, selection_of

Value = str | int | float | bool | None

_SECRET = re.compile(r"password|passwd|secret|token|access_key|credential", re.IGNORECASE)
"""Keys whose values are nobody's business: those of `[s3]`, of plugins from elsewhere."""
_SCRIPT_BYTES = 8192


# ------------------------------------------------------------------ commands


def check(path: Path) -> int:
    """Print that a run could use this file, with its warnings, and whose program `bandersnatch` is.

    Raises ConfigError if it could not.
    """
    loaded = _load(path)
    warnings = len(loaded.warnings)
    told = {0: "no warnings", 1: "1 warning"}.get(warnings, f"{warnings} warnings")
    print(f"{loaded.source}: ok, {told}")
    print(f"bandersnatch: {whose_program('bandersnatch')}")
    return 0


def show(path: Path, *, as_json: bool) -> int:
    """Print every setting and where it comes from. Raises ConfigError for a file that a run could not use."""
    loaded = _load(path)
    found = list(settings_of(loaded))
    if as_json:
        listed = [
            {
                "section": setting.section,
                "key": setting.key,
                "value": setting.value,
                "line": setting.place.line if setting.place else None,
            }
            for setting in found
        ]
        print(json.dumps({"file": loaded.source, "warnings": loaded.warnings, "settings": listed}, indent=2))
        return 0
    for setting in found:
        place = f"{setting.place.source}:{setting.place.line}" if setting.place else "default"
        print(f"[{setting.section}] {setting.key} = {_text(setting.value)}  # {place}")
    return 0


def _load(path: Path) -> Loaded:
    """Read a file as a run does, up to the point where a run touches something; its warnings are logged."""
    try:
        loaded = load(path)
    except MissingConfig:
        raise ConfigError(
            "there is no such configuration file",
            file=str(path),
            hint="`mirror` writes a default one there, or name another with -c",
        ) from None
    for warning in loaded.warnings:
        log.warning("%s", warning)
    selection_of(loaded, lambda text: log.warning("%s", text))
    change_lists_of(loaded, 0)
    return loaded


# ------------------------------------------------------------------ settings


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as a run would use it, or one item of a list; passwords are hidden."""

    section: str
    key: str
    value: Value
    place: Place | None
    """None: nobody set it."""


def settings_of(loaded: Loaded) -> Iterator[Setting]:
    """Yield every setting: what the program reads in the order of the reference, then what only filters know."""
    shown = set()
    for option in OPTIONS:
        shown.add((option.section, option.key))
        if not option.is_filter:
            yield from _own(option, loaded)
        elif option.section in loaded.settings.filters:
            yield from _of_filter(option, loaded)
    for section, keys in loaded.settings.filters.items():
        for key, lines in keys.items():
            if (section, key) not in shown:
                yield from _items(section, key, lines, loaded)


def _own(option: Option, loaded: Loaded) -> Iterator[Setting]:
    if option.many:
        yield from _items(option.section, option.key, loaded.settings.plugins, loaded)
        return
    place = loaded.places.get((option.section, option.key))
    yield Setting(option.section, option.key, _hidden(option.key, _value(option, loaded)), place)


def _value(option: Option, loaded: Loaded) -> Value:
    if option.key == "max-requests-per-second":
        return requests_per_second(loaded.settings) or 0
    # What is in no field has one allowed value: its default.
    match getattr(loaded.settings, option.name, option.default_text()):
        case None | bool() | int() | float() | str() as value:
            return value
        case SimpleFormat() as form:
            return form.value
        case MinFree() as free:
            return f"{free.percent:g}%" if free.percent else free.bytes
        case tuple() as words:
            return shlex.join(words)
        case other:
            return str(other)


def _of_filter(option: Option, loaded: Loaded) -> Iterator[Setting]:
    lines = loaded.settings.filters[option.section].get(option.key)
    if lines is not None:
        yield from _items(option.section, option.key, lines, loaded)
    elif text := option.default_text():
        yield Setting(option.section, option.key, text, None)


def _items(section: str, key: str, lines: tuple[Line, ...], loaded: Loaded) -> Iterator[Setting]:
    for line in lines:
        yield Setting(section, key, _hidden(key, line.text), Place(loaded.source, line.line))
    if not lines:
        yield Setting(section, key, None, loaded.places.get((section, key)))


def _hidden(key: str, value: Value) -> Value:
    if not isinstance(value, str):
        return value
    return "***" if value and _SECRET.search(key) else without_secrets(value)


def _text(value: Value) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:g}"
        case _:
            return str(value)


# ------------------------------------------------------------------- program


def whose_program(name: str) -> str:
    """Return which program a name on PATH is; both Frumious and bandersnatch install one called `bandersnatch`."""
    found = shutil.which(name)
    if found is None:
        return "not on PATH"
    try:
        with Path(found).open("rb") as file:
            text = file.read(_SCRIPT_BYTES)
    except OSError as error:
        return f"{found} ({error.strerror})"
    if b"frumious.cli" in text:
        return f"{found} is Frumious"
    if b"bandersnatch.main" in text:
        return f"{found} is the original bandersnatch, not Frumious"
    return f"{found} is neither Frumious nor the original bandersnatch"
