"""What a rule is and what it says.

There are four kinds, by what they need to know and what they judge: a `ProjectRule` a project by its name, an
`OfferRule` a project by what upstream offers of it, a `FileRule` one file, a `ReleaseRule` releases. All are pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from frumious.filters.offer import Offer
from frumious.model.names import InvalidName, NormalizedName, normalize
from frumious.model.project import File


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rule decides, and why."""

    keep: bool
    reason: str
    """A sentence without the name of the rule: `not in [allowlist] packages`."""
    rule: str = ""
    """The name of the rule, as in `[plugins] enabled`."""
    until: float | None = None
    """When time alone turns the verdict; seconds since 1970."""

    def __str__(self) -> str:
        return f"{self.rule}: {self.reason}" if self.rule else self.reason


KEEP = Verdict(keep=True, reason="no rule drops it")


class Rule(Protocol):
    """What all kinds have in common."""

    @property
    def name(self) -> str:
        """Its name, as in `[plugins] enabled`."""
        ...

    @property
    def fingerprint(self) -> str:
        """Text that changes whenever a verdict may, but for time."""
        ...


class ProjectRule(Rule, Protocol):
    """A rule on projects, by name alone."""

    @property
    def only(self) -> frozenset[NormalizedName] | None:
        """The names it can keep, where these are plain names; None where it cannot list them."""
        ...

    def judge(self, name: NormalizedName, display: str) -> Verdict:
        """Keep or drop a project; `display` is its name as upstream's list spells it."""
        ...


class OfferRule(Rule, Protocol):
    """A rule on projects, by what upstream offers of them."""

    @property
    def needs_document(self) -> bool:
        """Whether it reads upstream's legacy JSON (`Offer.document`), which costs a request for each project."""
        ...

    def judge_project(self, offer: Offer) -> Verdict:
        """Keep or drop a project as a whole."""
        ...


class FileRule(Rule, Protocol):
    """A rule on single files."""

    @property
    def needs_document(self) -> bool:
        """As of `OfferRule`."""
        ...

    def judge_file(self, offer: Offer, file: File) -> Verdict:
        """Keep or drop one file."""
        ...


class ReleaseRule(Rule, Protocol):
    """A rule on releases."""

    @property
    def needs_document(self) -> bool:
        """As of `OfferRule`."""
        ...

    @property
    def is_last(self) -> bool:
        """Whether it chooses among what all other rules left, such as the newest three."""
        ...

    def decides_alone(self, name: NormalizedName) -> bool:
        """Whether for this project no other release rule is asked."""
        ...

    def judge_releases(self, offer: Offer, releases: Sequence[str]) -> Mapping[str, Verdict]:
        """Return a verdict for each of these releases (as upstream spells them) that it drops, or keeps for a time."""
        ...


@dataclass(frozen=True, slots=True)
class Choice:
    """What the rules make of one project as upstream offers it."""

    project: Verdict
    files: Mapping[str, Verdict]
    """The verdict on each file that is dropped, by file name."""
    releases: Mapping[str, Verdict]
    """The verdict on each release that is dropped."""
    until: float | None = None
    """When time alone turns any of the verdicts."""

    def keeps(self, file: File) -> bool:
        """Say whether a file is selected."""
        return self.project.keep and file.filename not in self.files


EVERYTHING = Choice(KEEP, {}, {})
KEPT_OUT = "kept_out"
"""What stands for the name of a rule where the operator has deleted a project for good."""


@dataclass(frozen=True, slots=True)
class Selection:
    """All rules together: what no rule drops is kept."""

    rules: tuple[ProjectRule, ...] = ()
    offers: tuple[OfferRule, ...] = ()
    files: tuple[FileRule, ...] = ()
    releases: tuple[ReleaseRule, ...] = ()
    kept_out: Mapping[NormalizedName, int] = field(default_factory=dict)
    """Projects that the operator has deleted for good, and when; none of them is on the mirror, so that the list need
    not be compared anew when one is added: the fingerprint does not show them."""
    _needs: bool = field(init=False, repr=False, compare=False, default=False)

    def __post_init__(self) -> None:
        needs = (
            any(rule.needs_document for rule in self.offers)
            or any(rule.needs_document for rule in self.files)
            or any(rule.needs_document for rule in self.releases)
        )
        object.__setattr__(self, "_needs", needs)

    # ------------------------------------------------------------- by name

    @property
    def fingerprint(self) -> str:
        """A digest of the rules on names: when it changes, the list has to be compared anew."""
        return _digest(self.rules)

    @property
    def only(self) -> frozenset[NormalizedName] | None:
        """Every name that can be selected, where the rules amount to a list of plain names."""
        listed = [rule.only for rule in self.rules if rule.only is not None]
        if not listed or self._reads_display:
            return None
        return frozenset(name for name in frozenset.intersection(*listed) if self.judge(name).keep)

    @property
    def _reads_display(self) -> bool:
        """Whether the spelling of a name may matter, which upstream's list alone says.

        A rule says so by `reads_display`. One on names that does not say it is taken at its worst.
        """
        others = (*self.offers, *self.files, *self.releases)
        return any(getattr(rule, "reads_display", rule.only is None) for rule in self.rules) or any(
            getattr(rule, "reads_display", False) for rule in others
        )

    def judge(self, name: NormalizedName, display: str | None = None) -> Verdict:
        """Return the first verdict on a name that drops, else a keeping one."""
        if (since := self.kept_out.get(name)) is not None:
            date = f"{datetime.fromtimestamp(since, UTC):%Y-%m-%d}"
            reason = f"kept out by `frumious delete --keep-out` since {date}"
            return Verdict(keep=False, reason=reason, rule=KEPT_OUT)
        for rule in self.rules:
            verdict = rule.judge(name, display if display is not None else name)
            if not verdict.keep:
                return verdict
        return KEEP

    def keeps(self, display: str) -> NormalizedName | None:
        """Return the normalized name of a listed project if it is valid and selected."""
        try:
            name = normalize(display)
        except InvalidName:
            return None
        is_plain = not self.rules and not self.kept_out
        return name if is_plain or self.judge(name, display).keep else None

    # ------------------------------------------------------------ by offer

    @property
    def judges_offers(self) -> bool:
        """Whether any rule looks beyond names."""
        return bool(self.offers or self.files or self.releases)

    @property
    def choice_fingerprint(self) -> str:
        """A digest of the rules on what is offered: when it changes, every project has to be judged anew."""
        return _digest((*self.offers, *self.files, *self.releases)) if self.judges_offers else "none"

    def needs_document(self, offer: Offer) -> bool:
        """Say whether the legacy JSON must be asked for before `choose` can judge this offer."""
        if offer.document is not None or not self.judges_offers:
            return False
        if self._needs or not self.releases:
            return self._needs
        # Old file names do not always say which release they belong to, least of all where upstream lists none; the
        # legacy JSON does.
        return offer.versions is None or any(offer.release_of(f) is None for f in offer.files)

    def choose(self, offer: Offer) -> Choice:
        """Judge a project as upstream offers it: as a whole, then its files, then what releases these leave."""
        if not self.judges_offers:
            return EVERYTHING
        times: list[float] = []
        for rule in self.offers:
            verdict = rule.judge_project(offer)
            _note(times, verdict)
            if not verdict.keep:
                return Choice(verdict, {}, {}, min(times, default=None))
        files = dict(self._judge_files(offer, times))
        releases = self._judge_releases(offer, files, times)
        for file in offer.files:
            release = offer.release_of(file)
            if release is not None and (dropped := releases.get(release)) is not None:
                files.setdefault(file.filename, dropped)
        return Choice(KEEP, files, releases, min(times, default=None))

    def _judge_files(self, offer: Offer, times: list[float]) -> Iterator[tuple[str, Verdict]]:
        for file in offer.files:
            for rule in self.files:
                verdict = rule.judge_file(offer, file)
                _note(times, verdict)
                if not verdict.keep:
                    yield file.filename, verdict
                    break

    def _judge_releases(
        self, offer: Offer, dropped_files: Mapping[str, Verdict], times: list[float]
    ) -> dict[str, Verdict]:
        if not self.releases:
            return {}
        left = releases_left(offer, dropped_files)
        alone = [rule for rule in self.releases if rule.decides_alone(offer.name)]
        dropped: dict[str, Verdict] = {}
        for rule in alone or sorted(self.releases, key=lambda rule: rule.is_last):
            # Rules that come last choose among what is left; all others see everything, whatever their order.
            seen = [release for release in left if not (rule.is_last and release in dropped)]
            for release, verdict in rule.judge_releases(offer, seen).items():
                _note(times, verdict)
                if not verdict.keep:
                    dropped.setdefault(release, verdict)
        return dropped


def releases_left(offer: Offer, dropped_files: Collection[str]) -> list[str]:
    """Return the releases that rules choose among: those that have a file which no rule on files drops."""
    return list(
        dict.fromkeys(
            release
            for file in offer.files
            if file.filename not in dropped_files and (release := offer.release_of(file)) is not None
        )
    )


def _note(times: list[float], verdict: Verdict) -> None:
    if verdict.until is not None:
        times.append(verdict.until)


def _digest(rules: Iterable[Rule]) -> str:
    return hashlib.sha256("\n".join(rule.fingerprint for rule in rules).encode()).hexdigest()[:16]
