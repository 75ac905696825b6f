"""Where a plugin comes from, and the one way to say that it cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import EntryPoint

from packaging.utils import canonicalize_name

from frumious.filters.sections import BadSetting

CRASHES = (Exception, SystemExit)
"""What other people's code may raise, and a run survives."""


class BadPlugin(BadSetting):
    """A name in `[plugins] enabled` that cannot be put into force."""

    def __init__(self, plugin: str, problem: str, hint: str | None = None) -> None:
        super().__init__("plugins", "enabled", problem, hint=hint)
        self.plugin = plugin


@dataclass(frozen=True, slots=True, order=True)
class Origin:
    """A plugin's name, and the distribution that brings it."""

    plugin: str
    distribution: str
    version: str

    @classmethod
    def of(cls, point: EntryPoint, plugin: str | None = None) -> Origin:
        """Return where an entry point comes from."""
        dist = point.dist
        # A distribution with damaged metadata has neither name nor version, whatever the types say.
        name = (dist.metadata["Name"] if dist else None) or "an unnamed distribution"
        version = (dist.metadata["Version"] if dist else None) or "?"
        return cls(plugin or point.name, name, version)

    @property
    def is_bandersnatch(self) -> bool:
        """Whether the distribution is bandersnatch itself."""
        return canonicalize_name(self.distribution) == "bandersnatch"

    @property
    def package(self) -> str:
        """The distribution and its version."""
        return f"{self.distribution} {self.version}"

    def __str__(self) -> str:
        return f"{self.plugin} ({self.package})"


def told(error: BaseException) -> str:
    """Return an exception of other people's code in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@contextmanager
def refusing(
    origin: Origin, what: str, *, asked: str | None = None, hint: str | None = None
) -> Iterator[None]:
    """Turn what other people's code raises into BadPlugin: `X cannot be <what>: why`; BadSetting passes."""
    try:
        yield
    except BadSetting:
        raise
    except CRASHES as error:
        problem = f"{origin} cannot be {what}: {told(error)}"
        raise BadPlugin(asked or origin.plugin, problem, hint) from error
