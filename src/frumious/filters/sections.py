"""What a configuration file says to filters: text, by section and key, with the line of each item."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a value, without blanks at its ends; its line in the file counts from 1."""

    text: str
    line: int = 0


class BadSetting(ValueError):
    """A setting of a filter that cannot be used: where it stands, what is wrong, what to do."""

    def __init__(
        self,
        section: str,
        key: str | None,
        problem: str,
        *,
        line: int | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(problem)
        self.section, self.key, self.problem, self.line, self.hint = section, key, problem, line, hint


@dataclass(frozen=True, slots=True)
class Sections:
    """The sections that filters read, after interpolation; empty lines are not in it."""

    values: Mapping[str, Mapping[str, tuple[Entry, ...]]] = field(default_factory=dict)

    def keys(self, section: str) -> tuple[str, ...]:
        """Return the keys of a section, in the order of the file."""
        return tuple(self.values.get(section, ()))

    def lines(self, section: str, key: str) -> tuple[Entry, ...]:
        """Return the lines of a value; empty for a key that is absent."""
        return self.values.get(section, {}).get(key, ())

    def one(self, section: str, key: str) -> Entry | None:
        """Return a value of one line, None for an absent or empty one; raises BadSetting for more."""
        found = self.lines(section, key)
        if len(found) > 1:
            raise BadSetting(section, key, "the value has more than one line", line=found[1].line)
        return found[0] if found else None

    def bad(
        self, section: str, key: str, entry: Entry | None, problem: str, hint: str | None = None
    ) -> BadSetting:
        """Return an error for one line of a value."""
        return BadSetting(section, key, problem, line=entry.line if entry else None, hint=hint)


def sections(**values: Mapping[str, str]) -> Sections:
    """Return sections from plain text, as tests and examples write them."""
    return Sections(
        {
            section: {
                key: tuple(
                    Entry(line.strip(), n) for n, line in enumerate(text.split("\n"), 1) if line.strip()
                )
                for key, text in keys.items()
            }
            for section, keys in values.items()
        }
    )
