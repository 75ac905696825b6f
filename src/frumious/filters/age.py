"""`upload_time`: nothing older than a date, and nothing that has not been public for a while (a cool-down).

A cool-down keeps a stolen release out for the days in which others find it. It asks when a file was uploaded, which
the JSON form of the Simple API says (PEP 700) and the HTML form does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Final

from frumious.filters.offer import Offer
from frumious.filters.plugin import Builder, Context, Rules
from frumious.filters.rules import KEEP, Verdict
from frumious.filters.sections import BadSetting, Entry, Sections
from frumious.filters.values import DURATIONS, entries, parse_duration, read, read_choice, read_name, refused
from frumious.model.names import NormalizedName
from frumious.model.project import File

_SECTION = "upload_time"
_DAY = 86400
_INSTANTS: Final = "a date as `2019-01-31`, or an instant as `2019-01-31T12:00:00Z`; UTC"
_EXCEPTIONS: Final = (
    f"one project on each line, with a cool-down of its own behind it if it has one: {DURATIONS}"
)


@dataclass(frozen=True, slots=True)
class LimitAge:
    """Drop files uploaded too long ago, and hold those uploaded too recently until they have matured."""

    not_before: float | None = None
    """Seconds since 1970."""
    cool_down: int = 0
    """Seconds."""
    own: Mapping[NormalizedName, int] = field(default_factory=dict)
    """Cool-downs of single projects; 0 exempts one, and its undated files too."""
    hold_undated: bool = False
    name: str = _SECTION
    needs_document: bool = False

    @property
    def fingerprint(self) -> str:
        own = " ".join(f"{name}={seconds}" for name, seconds in sorted(self.own.items()))
        return f"age {self.not_before} {self.cool_down} {self.hold_undated} except {own}"

    def judge_file(self, offer: Offer, file: File) -> Verdict:
        cool_down = self.own.get(offer.name, self.cool_down)
        uploaded = instant(file.upload_time)
        if uploaded is None:
            if not self.hold_undated or self.own.get(offer.name) == 0:
                return KEEP
            return Verdict(keep=False, reason="upstream does not say when it was uploaded", rule=self.name)
        if self.not_before is not None and uploaded < self.not_before:
            reason = f"uploaded on {_day(uploaded)}, before {_day(self.not_before)}"
            return Verdict(keep=False, reason=reason, rule=self.name)
        matures = uploaded + cool_down
        if not cool_down or matures <= offer.now:
            return KEEP
        reason = f"uploaded {_ago(offer.now - uploaded)}, held until {_when(matures, offer.now)}"
        return Verdict(keep=False, reason=reason, rule=self.name, until=matures)


def instant(text: str | None) -> float | None:
    """Return seconds since 1970, None for what is no date or instant; without a zone UTC is meant."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()


def _day(seconds: float) -> str:
    return _utc(seconds, "%Y-%m-%d")


def _when(seconds: float, now: float) -> str:
    """Return a day, with the hour where the day alone says little."""
    return _utc(seconds, "%Y-%m-%d" if seconds - now > 2 * _DAY else "%Y-%m-%d %H:%M UTC")


def _utc(seconds: float, form: str) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime(form)
    except (OverflowError, OSError, ValueError):
        return "a day that no calendar has"


def _ago(seconds: float) -> str:
    if seconds < 0:
        return "in the future"
    for unit, name in ((_DAY, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= unit:
            count = int(seconds // unit)
            return f"{count} {name}{'s' if count > 1 else ''} ago"
    return "just now"


def _read_cool_downs(sections: Sections) -> dict[NormalizedName, int]:
    found: dict[NormalizedName, int] = {}
    for entry in entries(sections, _SECTION, "except"):
        name, *rest = entry.text.split(maxsplit=1)
        seconds = parse_duration(rest[0]) if rest else 0
        if seconds is None:
            raise refused(_SECTION, "except", entry, _EXCEPTIONS)
        found[read_name(_SECTION, "except", Entry(name, entry.line), _EXCEPTIONS)] = seconds
    return found


def _upload_time(context: Context, rules: Rules) -> None:
    sections = context.sections
    not_before = read(sections, _SECTION, "not_before", _parse_day, _INSTANTS)
    cool_down = read(sections, _SECTION, "cool_down", parse_duration, DURATIONS) or 0
    own = _read_cool_downs(sections)
    undated = read_choice(sections, _SECTION, "undated", ("hold", "keep"))
    if not_before is None and not cool_down and undated != "hold":
        hint = "write `cool_down = 7d` or `not_before = 2019-01-01` under it"
        raise BadSetting(
            _SECTION, None, "upload_time is enabled, but nothing here says which age is wanted", hint=hint
        )
    if own and not cool_down:
        line = sections.lines(_SECTION, "except")[0].line
        raise BadSetting(_SECTION, "except", "there is no `cool_down` to except a project from", line=line)
    hold = undated == "hold" or (undated is None and cool_down > 0)
    rules.files.append(LimitAge(not_before, cool_down, own, hold))


def _parse_day(text: str) -> float | None:
    """Return the first instant of a day, or an instant."""
    try:
        return datetime.combine(date.fromisoformat(text), time(), UTC).timestamp()
    except ValueError:
        return instant(text)


BUILDERS: dict[str, Builder] = {"upload_time": _upload_time}
