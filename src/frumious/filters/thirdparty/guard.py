"""What stands around every rule that is not ours: if it raises, that is one project's failure with the rule's name.

What a rule says of itself (name, fingerprint, which kind of names it keeps) is asked once, when it is built, so that
nothing but a judgement can fail later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from frumious.errors import RuleFailed
from frumious.filters.offer import Offer
from frumious.filters.plugin import Rules
from frumious.filters.rules import KEEP, FileRule, OfferRule, ProjectRule, ReleaseRule, Verdict
from frumious.filters.thirdparty.origin import CRASHES, Origin, told
from frumious.model.names import NormalizedName, normalize
from frumious.model.project import File

T = TypeVar("T")


def add_guarded(origin: Origin, found: Rules, rules: Rules) -> None:
    """Add what a plugin built to all rules, each behind a guard; raises whatever is wrong with one of them."""
    for project_rule in found.projects:
        guarded = _project_rule(origin, project_rule)
        rules.projects.append(guarded)
        rules.offers.append(SecondLook(origin, project_rule, guarded.name, guarded.fingerprint))
    rules.offers.extend(_offer_rule(origin, rule) for rule in found.offers)
    rules.files.extend(_file_rule(origin, rule) for rule in found.files)
    rules.releases.extend(_release_rule(origin, rule) for rule in found.releases)


# ------------------------------------------------------------ at build time


def _project_rule(origin: Origin, rule: ProjectRule) -> GuardedProjectRule:
    _demand_method(rule, "judge")
    names: Iterable[str] | None = rule.only
    # A name in another spelling would match nothing, and an allowlist of such names would empty the mirror.
    only = None if names is None else frozenset(normalize(name) for name in names)
    return GuardedProjectRule(origin, rule, origin.plugin, _fingerprint(origin, "project", rule), only)


def _offer_rule(origin: Origin, rule: OfferRule) -> GuardedOfferRule:
    _demand_method(rule, "judge_project")
    print_ = _fingerprint(origin, "offer", rule)
    return GuardedOfferRule(origin, rule, origin.plugin, print_, bool(rule.needs_document))


def _file_rule(origin: Origin, rule: FileRule) -> GuardedFileRule:
    _demand_method(rule, "judge_file")
    print_ = _fingerprint(origin, "file", rule)
    return GuardedFileRule(origin, rule, origin.plugin, print_, bool(rule.needs_document))


def _release_rule(origin: Origin, rule: ReleaseRule) -> GuardedReleaseRule:
    _demand_method(rule, "judge_releases")
    _demand_method(rule, "decides_alone")
    print_ = _fingerprint(origin, "release", rule)
    return GuardedReleaseRule(
        origin, rule, origin.plugin, print_, bool(rule.needs_document), bool(rule.is_last)
    )


def _demand_method(rule: object, method: str) -> None:
    if not callable(getattr(rule, method, None)):
        raise TypeError(f"{type(rule).__name__} has no method {method}()")


def _fingerprint(origin: Origin, kind: str, rule: Any) -> str:
    said = rule.fingerprint
    if not isinstance(said, str):
        raise TypeError(f"the fingerprint of {type(rule).__name__} is {said!r}, not text")
    # Another version of the plugin may judge otherwise by the same settings.
    return f"{kind} {origin} {said}"


# ------------------------------------------------------- while rules judge


def _asked(origin: Origin, question: Callable[[], T]) -> T:
    """Return an answer of a rule; raises RuleFailed where there is none."""
    try:
        return question()
    except RuleFailed as error:  # it knows that it cannot judge; here it is said whose it is
        raise RuleFailed(str(origin), error.reason) from error
    except CRASHES as error:
        raise RuleFailed(str(origin), told(error)) from error


def _checked(origin: Origin, verdict: object) -> Verdict:
    """Return a verdict with the rule's name; raises RuleFailed for anything else."""
    if not isinstance(verdict, Verdict):
        raise RuleFailed(str(origin), f"its answer is {verdict!r:.80}, not a Verdict")
    if verdict.until is not None and not isinstance(verdict.until, int | float):
        raise RuleFailed(str(origin), f"`until` is {verdict.until!r:.80}, not seconds since 1970")
    if verdict.rule or (verdict.keep and verdict.until is None):
        return verdict
    return replace(verdict, rule=origin.plugin)


@dataclass(frozen=True, slots=True)
class GuardedProjectRule:
    """A rule on names that cannot fail; whom it fails to judge is kept, for `SecondLook` to fail one by one.

    All names are judged at once, before any project is looked at, so there is no project yet that could fail alone.
    """

    origin: Origin
    rule: ProjectRule
    name: str
    fingerprint: str
    only: frozenset[NormalizedName] | None

    def judge(self, name: NormalizedName, display: str) -> Verdict:
        try:
            return _judged_name(self.origin, self.rule, name, display)
        except RuleFailed:
            return KEEP


@dataclass(frozen=True, slots=True)
class SecondLook:
    """The same rule on names, asked again of each project: where it raises, it is that project that fails."""

    origin: Origin
    rule: ProjectRule
    name: str
    fingerprint: str
    needs_document: bool = False

    def judge_project(self, offer: Offer) -> Verdict:
        return _judged_name(self.origin, self.rule, offer.name, offer.display)


def _judged_name(origin: Origin, rule: ProjectRule, name: NormalizedName, display: str) -> Verdict:
    return _checked(origin, _asked(origin, lambda: rule.judge(name, display)))


@dataclass(frozen=True, slots=True)
class GuardedOfferRule:
    """A rule on projects that raises nothing but RuleFailed."""

    origin: Origin
    rule: OfferRule
    name: str
    fingerprint: str
    needs_document: bool

    def judge_project(self, offer: Offer) -> Verdict:
        return _checked(self.origin, _asked(self.origin, lambda: self.rule.judge_project(offer)))


@dataclass(frozen=True, slots=True)
class GuardedFileRule:
    """A rule on files that raises nothing but RuleFailed."""

    origin: Origin
    rule: FileRule
    name: str
    fingerprint: str
    needs_document: bool

    def judge_file(self, offer: Offer, file: File) -> Verdict:
        return _checked(self.origin, _asked(self.origin, lambda: self.rule.judge_file(offer, file)))


@dataclass(frozen=True, slots=True)
class GuardedReleaseRule:
    """A rule on releases that raises nothing but RuleFailed."""

    origin: Origin
    rule: ReleaseRule
    name: str
    fingerprint: str
    needs_document: bool
    is_last: bool

    def decides_alone(self, name: NormalizedName) -> bool:
        return bool(_asked(self.origin, lambda: self.rule.decides_alone(name)))

    def judge_releases(self, offer: Offer, releases: Sequence[str]) -> Mapping[str, Verdict]:
        said = _asked(self.origin, lambda: dict(self.rule.judge_releases(offer, releases)))
        return {release: _checked(self.origin, verdict) for release, verdict in said.items()}
