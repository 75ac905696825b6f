"""File -> settings, with everything that is wrong or remarkable in it said at once."""

from __future__ import annotations

import configparser
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frumious.config.diff_file import Unresolved, expand
from frumious.config.filter_checks import FilterChecks
from frumious.config.ini import Found, Ini, read_ini, shown
from frumious.config.known import OTHER_SECTIONS, RENAMED, RETIRED, closest
from frumious.config.option import OWN_SECTIONS, Option
from frumious.config.options import CATALOG, KEYS, MAX_STREAMS, OPTIONS, STREAMS_PER_WORKER
from frumious.config.plugins import FREE_SECTIONS
from frumious.config.readers import Refused
from frumious.config.settings import Line, Loaded, MissingConfig, Place, Settings
from frumious.errors import ConfigError


def load(path: Path) -> Loaded:
    """Read the configuration file at `path`.

    Raises MissingConfig if there is none, and ConfigError with everything that is wrong in it.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise MissingConfig(path) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"cannot be read: {reason}", file=str(path)) from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"byte 0x{error.object[error.start]:02x} is not UTF-8",
            file=str(path),
            line=error.object.count(b"\n", 0, error.start) + 1,
            hint="save the file as UTF-8",
        ) from None
    return parse_config(text, str(path))


def parse_config(text: str, source: str) -> Loaded:
    """Read the text of a configuration file; `source` is what messages call it. Raises ConfigError."""
    ini = read_ini(text, source)
    findings = _Findings(source)
    values: dict[str, Any] = {}
    for option in OPTIONS:
        try:
            value = _value(option, ini, findings)
        except _Unusable as unusable:
            for problem in unusable.problems:
                findings.refuse(problem, option)
        else:
            values[option.name] = value
    _check_addresses(values, ini, findings)
    _check_company(values, ini, findings)
    filters = _filters(ini, findings)
    checks = FilterChecks(values, ini)
    for remark in checks.remarks():
        findings.warn(remark.text, remark.section, remark.key, remark.line)
    _note_unknown(ini, checks.foreign, findings)
    findings.settle()
    places = {where: Place(source, lines[0]) for where, lines in _places(ini).items()}
    return Loaded(_settings({**values, "filters": filters}), source, findings.warnings, places, _mirror(ini))


def _places(ini: Ini) -> dict[tuple[str, str], tuple[int, ...]]:
    """Return the lines of each key, those in [DEFAULT] also under the sections that take a value from there."""
    inherited = {(option.section, option.key): ini.place(option) for option in OPTIONS}
    return {**ini.lines, **{where: lines for where, lines in inherited.items() if lines is not None}}


def _mirror(ini: Ini) -> dict[str, str]:
    found = {}
    for key in ini.parser["mirror"] if ini.parser.has_section("mirror") else ():
        with suppress(configparser.InterpolationError):  # nobody reads it
            found[key] = ini.parser.get("mirror", key)
    return found


def _filters(ini: Ini, findings: _Findings) -> dict[str, dict[str, tuple[Line, ...]]]:
    """Return what stands in the sections of filters, those of plugins from elsewhere included."""
    found: dict[str, dict[str, tuple[Line, ...]]] = {
        section: {} for section in ini.sections if section not in {configparser.DEFAULTSECT, *OWN_SECTIONS}
    }
    options = {(option.section, option.key) for option in OPTIONS}
    for (section, key), lines in ini.lines.items():
        if section not in found or (section, key) in options:
            continue
        try:
            found[section][key] = tuple(Found(ini.parser.get(section, key), lines).items())
        except configparser.InterpolationError as error:
            # What nobody reads may stand there, as in bandersnatch.
            if section in FREE_SECTIONS:
                findings.refuse_key(_interpolation(error, lines[0]), section, key)
    for option in OPTIONS:
        if option.section in found and (place := ini.place(option)) is not None:
            with suppress(configparser.InterpolationError):  # it has been refused
                found[option.section][option.key] = tuple(ini.found(option, place).items())
    return {section: keys for section, keys in found.items() if keys}


def _settings(values: Mapping[str, Any]) -> Settings:
    kept = {name: value for name, value in values.items() if name in Settings.__slots__}
    kept["streams"] = kept["streams"] or min(MAX_STREAMS, STREAMS_PER_WORKER * kept["workers"])
    kept["max_bandwidth"] = kept["max_bandwidth"] or None
    kept["catalog"] = kept["catalog"] or kept["directory"] / CATALOG
    kept["run_after"] = kept["run_after"] or ()
    kept["server_trusted_proxies"] = kept["server_trusted_proxies"] or ()
    return Settings(**kept)


@dataclass(frozen=True, slots=True)
class _Problem:
    """Why a value cannot be used, where that is, and what to do."""

    text: str
    line: int | None
    hint: str | None = None


class _Unusable(Exception):
    """An option whose value, or lines of it, cannot be used."""

    def __init__(self, *problems: _Problem) -> None:
        super().__init__(*problems)
        self.problems = problems


class _Findings:
    """What is wrong and what is remarkable, collected so that all of it can be said at once."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._errors: list[ConfigError] = []
        self._warnings: list[ConfigError] = []

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(map(str, sorted(self._warnings, key=_line)))

    def refuse(self, problem: _Problem, option: Option) -> None:
        self.refuse_key(problem, option.section, option.key)

    def refuse_key(self, problem: _Problem, section: str, key: str) -> None:
        self._errors.append(
            ConfigError(
                problem.text,
                file=self._source,
                section=section,
                key=key,
                line=problem.line,
                hint=problem.hint,
            )
        )

    def refuse_section(self, section: str, line: int) -> None:
        """Refuse what was meant to be [plugins]: bandersnatch passes over it and mirrors everything."""
        self._errors.append(
            ConfigError(
                "unknown section; did you mean [plugins]?",
                file=self._source,
                section=section,
                line=line,
                hint="a filter that is not applied would mean a larger mirror than you asked for",
            )
        )

    def warn(self, text: str, section: str, key: str | None, line: int) -> None:
        # In the form of an error, so that a log reads evenly.
        self._warnings.append(ConfigError(text, file=self._source, section=section, key=key, line=line))

    def settle(self) -> None:
        """Raise what was refused, as one error."""
        if len(self._errors) == 1:
            raise self._errors[0]
        if self._errors:
            told = [
                f"{error} ({error.hint})" if error.hint else str(error)
                for error in sorted(self._errors, key=_line)
            ]
            raise ConfigError("\n".join([f"{len(told)} settings cannot be used:", *told]), file=self._source)


def _line(error: ConfigError) -> int:
    return error.line or 0


def _value(option: Option, ini: Ini, findings: _Findings) -> Any:
    """Return what the file says of an option, else its default; raises _Unusable."""
    found = _find(option, ini)
    if found is None:
        return _default(option)
    if option.many:
        value: Any = _read_lines(option, found)
    else:
        value = None if option.may_be_empty and not found.text else _read_one(option, found)
    if note := option.note(found.text):
        findings.warn(note, option.section, option.key, found.line)
    return value


def _find(option: Option, ini: Ini) -> Found | None:
    lines = ini.place(option)
    if lines is None:
        return None
    try:
        found = ini.found(option, lines)
        return Found(expand(found.text, ini.value), found.lines) if option.references else found
    except Unresolved as unresolved:
        problem = _Problem(
            _in_one_line(str(unresolved)), lines[0], "write, for instance, {{mirror_directory}}"
        )
    except configparser.InterpolationError as error:
        problem = _interpolation(error, lines[0])
    raise _Unusable(problem)


def _interpolation(error: configparser.InterpolationError, line: int) -> _Problem:
    match error:
        case configparser.InterpolationMissingOptionError():
            return _Problem(f"%({_in_one_line(error.reference)})s names a key that is not there", line)
        case configparser.InterpolationDepthError():
            return _Problem("%(...)s goes too deep; does it name itself?", line)
        case _:
            return _Problem("a bare % cannot be used", line, "write %% for a percent sign")


def _in_one_line(text: str) -> str:
    """Return text for a message: a name that stands for a value may go over several lines."""
    return " ".join(text.split())


def _default(option: Option) -> Any:
    if option.required:
        hint = f"write it under [{option.section}]: {option.key} = {option.example}"
        raise _Unusable(_Problem("this key is required", None, hint))
    text = option.default_text()
    if option.many:
        return ()
    return option.read(text) if text else None


def _read_lines(option: Option, found: Found) -> tuple[Line, ...]:
    items = tuple(found.items())
    problems = []
    for item in items:
        try:
            option.read(item.text)
        except Refused as refused:
            problems.append(_problem(option, item.text, item.line, refused))
    if problems:
        raise _Unusable(*problems)
    return items


def _read_one(option: Option, found: Found) -> Any:
    try:
        if "\n" not in found.text:
            return option.read(found.text)
        hint = None  # where the lines are those of another key, that one is told too
        if len(found.lines) > 1:
            hint = f"line {found.lines[1]} is indented, which makes it part of this value"
        raise Refused("the value has more than one line", hint)
    except Refused as refused:
        raise _Unusable(_problem(option, found.text, found.line, refused)) from None


def _problem(option: Option, text: str, line: int | None, refused: Refused) -> _Problem:
    hint = refused.hint
    if hint is None and re.search(r"\s[#;]", text):
        hint = "a comment needs its own line"
    reason = f": {refused.reason}" if refused.reason else ""
    return _Problem(f"{shown(text)} cannot be used{reason}; allowed: {option.allowed}", line, hint)


# What only several settings together can tell. A setting that was refused is not among the values.


def _check_addresses(values: Mapping[str, Any], ini: Ini, findings: _Findings) -> None:
    if values.get("allow_non_https", True):
        return
    for option in OPTIONS:
        if option.key in {"master", "download-mirror"}:
            address = values.get(option.name) or ""
            if address.lower().startswith("http://"):
                lines = ini.place(option) or (None,)
                refused = Refused("it is not encrypted")
                findings.refuse(_problem(option, address, lines[0], refused), option)


def _check_company(values: Mapping[str, Any], ini: Ini, findings: _Findings) -> None:
    """Warn of settings that do nothing, or something unexpected, without another."""
    for key, value, needed, effect in (
        ("download-mirror-no-fallback", True, "download-mirror", "this has no effect"),
        ("release-files", False, "root_uri", "the pages link to the addresses on upstream's pages"),
        ("diff-append-epoch", True, "diff-file", "this has no effect"),
    ):
        lines = ini.lines.get(("mirror", key))
        if lines and values.get(_name(key)) is value and values.get(_name(needed), "refused") is None:
            findings.warn(f"without `{needed}` {effect}", "mirror", key, lines[0])
    for key, other in (("tls-certificate", "tls-key"), ("tls-key", "tls-certificate")):
        lines = ini.lines.get(("server", key))
        if (
            lines
            and values.get(f"server_{_name(key)}")
            and not values.get(f"server_{_name(other)}", "refused")
        ):
            findings.refuse_key(_Problem(f"without `{other}` this cannot be used", lines[0]), "server", key)
    lines = ini.lines.get(("mirror", "delete_missing_packages"))
    if lines and values.get("delete_missing_packages") and values.get("removal") == "keep":
        text = "with `removal = keep` this has no effect"
        findings.warn(text, "mirror", "delete_missing_packages", lines[0])


def _name(key: str) -> str:
    return key.replace("-", "_")


# Keys and sections that nothing reads


def _note_unknown(ini: Ini, foreign: Sequence[str], findings: _Findings) -> None:
    unless = f" unless {' or '.join(foreign)} reads it" if foreign else ""
    for section, line in ini.sections.items():
        if section in OTHER_SECTIONS:
            findings.warn("accepted, has no effect yet", section, None, line)
        elif section not in KEYS and section != configparser.DEFAULTSECT:
            meant = RENAMED.get(section) or closest(section, KEYS)
            if meant == "plugins":
                findings.refuse_section(section, line)
            elif section not in foreign:
                findings.warn(_unknown("section", meant, "[{}]", unless), section, None, line)
    for (section, key), lines in ini.lines.items():
        if note := _key_note(section, key, ini):
            findings.warn(note, section, key, lines[0])


def _key_note(section: str, key: str, ini: Ini) -> str | None:
    if section == configparser.DEFAULTSECT:
        return _default_note(key, ini)
    keys = KEYS.get(section)
    if keys is None or key in keys:
        return None
    if retired := RETIRED.get((section, key)):
        return f"ignored: {retired}"
    if homes := [f"[{home}]" for home, known in KEYS.items() if known and key in known]:
        return f"unknown key here, ignored; it belongs in {' or '.join(homes)}"
    return _unknown("key", closest(key, keys), "`{}`")


def _default_note(key: str, ini: Ini) -> str | None:
    """Return what to say of a key in [DEFAULT]; a name that other values refer to needs no section of its own."""
    if key in ini.references:
        return None
    if any(option.key == key and option.shipped for option in OPTIONS):
        return "has no effect here, since bandersnatch's own default goes before it; write it under [mirror]"
    known = {name for keys in KEYS.values() for name in keys or ()}
    return None if key in known else _unknown("key", closest(key, known), "`{}`")


def _unknown(what: str, meant: str | None, form: str, unless: str = "") -> str:
    return f"unknown {what}, ignored{unless}" + (f"; did you mean {form.format(meant)}?" if meant else "")
