"""Which rule keeps or drops a project, a release or a file, and why. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from frumious.errors import AbsentProject, UsageError
from frumious.filters.offer import Offer, parsed
from frumious.filters.rules import KEEP, KEPT_OUT, Choice, Selection, Verdict, releases_left
from frumious.model.names import NormalizedName
from frumious.model.project import File, ProjectDetail
from frumious.sync.assess import parse_document
from frumious.sync.kept_out import with_kept_out
from frumious.sync.options import SyncOptions
from frumious.sync.pins import read_entry, with_pins
from frumious.sync.ports import Ports

PINNED = Verdict(keep=True, reason="brought back by `frumious trash restore`", rule="pinned")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about: a project, one release of it, or one file."""

    name: NormalizedName
    display: str
    version: str | None = None
    filename: str | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """What one rule says, in the order in which the rules are asked."""

    rule: str
    about: str
    """`project`, `release` or `file`."""
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class FileFate:
    """One file of a project, what becomes of it, and whether we hold it."""

    filename: str
    release: str | None
    size: int | None
    verdict: Verdict
    held: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer, for one screen."""

    question: Question
    display: str
    source: str
    """Where the facts are from: `catalog` or `upstream`; `nowhere` if neither has them."""
    published: bool
    owed: str | None
    """Why the last attempt failed, if it did."""
    verdict: Verdict
    """The outcome for what was asked about."""
    said: Sequence[Said]
    files: Sequence[FileFate]
    """The files that were asked about, in upstream's order."""


async def explain(ports: Ports, options: SyncOptions, question: Question) -> Explanation:
    """Answer from the catalog, else from upstream's page of the project.

    Raises UsageError for a release or a file that the project does not have, and what asking upstream raises.
    """
    selection = (await with_kept_out(ports, options)).selection
    row = (await ports.catalog.known([question.name])).get(question.name)
    owed = next((o.message for o in await ports.catalog.owed() if o.name == question.name), None)
    display = row.display if row is not None else question.display
    held, _ = await ports.catalog.held(question.name, ())
    source, detail, document = await _facts(ports, question.name)
    by_name = selection.judge(question.name, display)
    is_published = row is not None and row.published is not None
    if detail is None:
        verdict = by_name if not by_name.keep else Verdict(keep=False, reason="upstream has no such project")
        said = list(_by_name(selection, question.name, display))
        return Explanation(question, display, source, is_published, owed, verdict, said, ())
    offer = Offer.of(detail, display, ports.clock())
    if document is not None or selection.needs_document(offer):
        body = document if document is not None else await ports.upstream.legacy_document(question.name)
        offer = replace(offer, document=parse_document(question.name, body))
    choice = selection.choose(offer)
    pins = {pin.filename: read_entry(pin.entry) for pin in await ports.catalog.pins(question.name)}
    files = _asked_about(question, replace(offer, files=with_pins(detail, pins).files))
    fates = [
        FileFate(
            f.filename,
            offer.release_of(f),
            f.size,
            PINNED if f.filename in pins else _fate(by_name, choice, f),
            f.filename in held,
        )
        for f in files
    ]
    offered = [file for file in files if file in offer.files]
    said = [*_by_name(selection, question.name, display), *_by_offer(selection, offer, question, offered)]
    verdict = _outcome(by_name, choice, fates, question)
    return Explanation(question, display, source, is_published, owed, verdict, said, fates)


async def _facts(ports: Ports, name: NormalizedName) -> tuple[str, ProjectDetail | None, bytes | None]:
    revision = await ports.catalog.revision(name)
    if revision is not None:
        detail = ports.upstream.read(name, revision.body, revision.form, revision.url)
        return "catalog", detail, await ports.catalog.document(name)
    try:
        offered = await ports.upstream.project(name, None)
    except AbsentProject:
        return "nowhere", None, None
    return ("upstream", offered.detail, None) if offered is not None else ("nowhere", None, None)


def _asked_about(question: Question, offer: Offer) -> list[File]:
    if question.filename is not None:
        found = [file for file in offer.files if file.filename == question.filename]
        what = f"file {question.filename}"
    elif question.version is not None:
        found = [file for file in offer.files if _is_release(offer.release_of(file), question.version)]
        what = f"release {question.version} with files"
    else:
        return list(offer.files)
    if not found:
        error = UsageError(f"{question.name} has no {what}")
        error.hint = "ask about the project alone to see what it has"
        raise error
    return found


def _is_release(release: str | None, version: str) -> bool:
    if release is None:
        return False
    wanted = parsed(version)
    return release == version or (wanted is not None and parsed(release) == wanted)


def _fate(by_name: Verdict, choice: Choice, file: File) -> Verdict:
    if not by_name.keep:
        return by_name
    if not choice.project.keep:
        return choice.project
    return choice.files.get(file.filename, KEEP)


def _outcome(by_name: Verdict, choice: Choice, fates: Sequence[FileFate], question: Question) -> Verdict:
    dropped = by_name if not by_name.keep else choice.project
    if not dropped.keep:
        return PINNED if any(fate.verdict is PINNED for fate in fates) else dropped
    if question.version is None and question.filename is None:
        return KEEP
    return next((fate.verdict for fate in fates if fate.verdict.keep), fates[0].verdict)


def _by_name(selection: Selection, name: NormalizedName, display: str) -> Iterator[Said]:
    if name in selection.kept_out:
        yield Said(KEPT_OUT, "project", selection.judge(name, display))
    for rule in selection.rules:
        yield Said(rule.name, "project", rule.judge(name, display))


def _by_offer(
    selection: Selection, offer: Offer, question: Question, files: Sequence[File]
) -> Iterator[Said]:
    for rule in selection.offers:
        yield Said(rule.name, "project", rule.judge_project(offer))
    if question.version is None and question.filename is None:
        return
    for file_rule in selection.files:
        for file in files:
            yield Said(file_rule.name, f"file {file.filename}", file_rule.judge_file(offer, file))
    dropped_files = {
        file.filename
        for file in offer.files
        if not all(rule.judge_file(offer, file).keep for rule in selection.files)
    }
    left = releases_left(offer, dropped_files)
    asked = [release for release in left if release in {offer.release_of(file) for file in files}]
    dropped: set[str] = set()
    for release_rule in sorted(selection.releases, key=lambda rule: rule.is_last):
        seen = [release for release in left if not (release_rule.is_last and release in dropped)]
        verdicts = release_rule.judge_releases(offer, seen)
        dropped |= {release for release, verdict in verdicts.items() if not verdict.keep}
        for release in asked:
            if release in seen:
                yield Said(release_rule.name, f"release {release}", verdicts.get(release, KEEP))
