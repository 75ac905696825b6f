"""What `plan` and `explain` print."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from frumious.errors import UsageError
from frumious.filters.rules import Verdict
from frumious.model.names import InvalidName, normalize
from frumious.sync.explain import Explanation, FileFate, Question
from frumious.sync.preview import Preview
from frumious.sync.text import counted, human_bytes

MOST_FILES = 20
MOST_FAILED = 10


def plan_text(found: Preview) -> str:
    """Return a preview for people."""
    return "\n".join(_plan_lines(found))


def plan_json(found: Preview) -> str:
    """Return a preview for machines."""
    return json.dumps(found.as_json(), indent=2, sort_keys=True)


def _plan_lines(found: Preview) -> Iterator[str]:
    yield "what `mirror` would do now (nothing has been changed)"
    yield ""
    yield (
        f"  look at   {counted(found.looked_at, 'project')}: {found.updated:,} to update,"
        f" {found.unchanged:,} unchanged"
    )
    yield f"  fetch     {counted(found.fetch_files, 'file')}, {human_bytes(found.fetch_bytes)}"
    yield (
        f"  keep      {counted(found.keep_projects, 'project')}, {counted(found.keep_files, 'file')},"
        f" {human_bytes(found.keep_bytes)}"
    )
    guard = "; more than a run removes on its own: it would wait for you to confirm" if found.guarded else ""
    yield (
        f"  remove    {counted(found.remove_projects, 'project')}, {counted(found.remove_files, 'file')}{guard}"
    )
    if found.rules:
        yield from ("", "dropped by the filters, of what was looked at")
        width = max(map(len, found.rules))
        for rule, count in sorted(found.rules.items()):
            parts = [counted(count.projects, "project")] if count.projects else []
            parts += [f"{counted(count.files, 'file')}, {human_bytes(count.bytes)}"] if count.files else []
            yield f"  {rule:<{width}}  {', '.join(parts)}"
    if found.largest:
        yield from ("", "largest downloads")
        width = max(len(large.name) for large in found.largest)
        for large in found.largest:
            yield f"  {large.name:<{width}}  {counted(large.files, 'file')}, {human_bytes(large.bytes)}"
    if found.failed:
        yield from ("", f"{counted(len(found.failed), 'project')} could not be looked at")
        for name, message in list(found.failed.items())[:MOST_FAILED]:
            yield f"  {name}: {message}"


# ------------------------------------------------------------------ explain


def read_question(text: str) -> Question:
    """Read NAME, NAME==VERSION or a file name; raises UsageError."""
    if "/" not in text and text.lower().endswith(
        (".whl", ".gz", ".zip", ".bz2", ".egg", ".exe", ".msi", ".tgz")
    ):
        return _question(_project_of(text), filename=text)
    name, _, version = text.partition("==")
    return _question(name.strip(), version=version.strip() or None)


def _project_of(filename: str) -> str:
    """Return the project that a file name shows: all before the first part that begins like a version."""
    parts = filename.split("-")
    end = next((i for i, part in enumerate(parts) if i and part[:1].isdigit()), 1)
    return "-".join(parts[:end])


def _question(name: str, *, version: str | None = None, filename: str | None = None) -> Question:
    try:
        return Question(normalize(name), name, version, filename)
    except InvalidName as error:
        usage = UsageError(f"{error.text!r} is not a project name")
        usage.hint = "ask about NAME, NAME==VERSION, or the name of a file"
        raise usage from None


def explanation_text(found: Explanation) -> str:
    """Return an explanation for people, in one screen."""
    return "\n".join(_explanation_lines(found))


def explanation_json(found: Explanation) -> str:
    """Return an explanation for machines."""
    return json.dumps(
        {
            "name": found.question.name,
            "version": found.question.version,
            "filename": found.question.filename,
            "source": found.source,
            "published": found.published,
            "owed": found.owed,
            **_verdict_json(found.verdict),
            "rules": [
                {"rule": said.rule, "about": said.about, **_verdict_json(said.verdict)} for said in found.said
            ],
            "files": [
                {
                    "filename": fate.filename,
                    "release": fate.release,
                    "size": fate.size,
                    "held": fate.held,
                    **_verdict_json(fate.verdict),
                }
                for fate in found.files
            ],
        },
        indent=2,
    )


def _verdict_json(verdict: Verdict) -> dict[str, object]:
    return {
        "keep": verdict.keep,
        "rule": verdict.rule or None,
        "reason": verdict.reason,
        "until": verdict.until,
    }


def _explanation_lines(found: Explanation) -> Iterator[str]:
    asked = found.question.filename or (
        f"{found.display}=={found.question.version}" if found.question.version else found.display
    )
    yield f"{asked}: {'kept' if found.verdict.keep else 'dropped'} ({found.verdict})"
    state = "published here" if found.published else "not published here"
    if found.owed:
        state += f"; the last attempt failed: {found.owed}"
    facts = {"catalog": "as upstream offered it last", "upstream": "as upstream offers it now"}
    yield f"  {state}; {facts.get(found.source, 'upstream does not offer it')}"
    if found.said:
        yield from ("", "rules, in order")
        width = max(len(said.rule) for said in found.said)
        for said in found.said:
            mark = "keep" if said.verdict.keep else "drop"
            why = "" if said.verdict.keep else f"  {said.verdict.reason}"
            yield f"  {said.rule:<{width}}  {mark}  {said.about}{why}"
    elif found.source != "nowhere":
        yield "  no filter is enabled"
    if found.files:
        yield from ("", _files_heading(found.files))
        for fate in sorted(found.files, key=lambda fate: fate.verdict.keep)[:MOST_FILES]:
            yield f"  {_fate_line(fate)}"
        if len(found.files) > MOST_FILES:
            yield f"  ... and {len(found.files) - MOST_FILES:,} more (--json shows all)"


def _files_heading(fates: Sequence[FileFate]) -> str:
    kept = sum(fate.verdict.keep for fate in fates)
    return f"{counted(len(fates), 'file')}: {kept:,} kept, {len(fates) - kept:,} dropped"


def _fate_line(fate: FileFate) -> str:
    if fate.verdict.keep:
        return f"keep  {fate.filename}{'' if fate.held else '  (not here yet)'}"
    return f"drop  {fate.filename}  {fate.verdict}"
