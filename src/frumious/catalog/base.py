"""The catalog port: use cases, never SQL or sessions. `tests/contract/catalog_contract.py` tests this page.

Every method raises CatalogError. Each one is one transaction: it happened or it did not, and what it committed
survives a power cut. Values of time are seconds since 1970.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from frumious.model.names import NormalizedName

DELETED = "deleted"
"""Why something left: upstream has it no more."""
DROPPED = "dropped"
"""A filter drops it."""
QUARANTINED = "quarantined"
"""Upstream has put it in quarantine."""
OPERATOR = "operator"
"""The operator has deleted it."""


@dataclass(frozen=True, slots=True)
class ProjectRow:
    """What the catalog knows of a project."""

    name: NormalizedName
    display: str
    serial: int | None
    """Upstream's serial of the page that is published; None: unknown or not published."""
    published: int | None
    """The serial we published; None while there is no page, or one that is about to go."""
    etag: str | None
    body_digest: bytes | None
    """sha256 of upstream's page; None asks for the next answer to be read whatever it says."""
    page_digest: bytes | None
    """Digest of what we rendered."""
    page_modified: float
    attempts: int
    """Failures since the last success; 0 means nothing is owed."""
    wanted: int | None
    """The serial that was asked for when it failed."""
    retry_at: int
    stuck_serial: int | None
    """The too old serial upstream keeps giving, and since when."""
    stuck_since: int | None
    until: int | None = None
    """When time alone turns a verdict of the filters."""
    absent_at: int | None = None
    """Since when upstream has no such page."""
    declined: str | None = None
    """The verdict for which it is known and not published."""


@dataclass(frozen=True, slots=True)
class HeldFile:
    """A file of a project whose bytes we hold and have checked."""

    filename: str
    key: str
    sha256: str
    size: int
    source: str
    """The digest under which upstream offered it (`sha256=…`), or its address where it gave none."""
    metadata: str | None = None
    """sha256 of the core metadata that is stored beside it."""
    metadata_size: int = 0
    verified: bool = True
    """Whether its bytes have been read and compared; False: taken over from another program's tree."""
    digest: str | None = None
    """Another digest of the same bytes, for pages that want it: `md5=…`."""
    provenance: str | None = None
    """sha256 of the provenance document that is stored beside it."""
    provenance_size: int = 0


@dataclass(frozen=True, slots=True)
class Revision:
    """Upstream's page of a project as it came."""

    form: str
    url: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Publication:
    """A project whose page is staged and durable, about to be renamed into place."""

    name: NormalizedName
    display: str
    serial: int | None
    published: int
    revision: Revision
    body_digest: bytes | None
    page_digest: bytes
    page_modified: float
    etag: str | None
    due_at: int | None
    """When upstream is asked again; None: when it would have been, since it was not asked now."""
    listed: bool
    """Whether the project list names it (a quarantined project is not listed, conformance 73)."""
    hold: Sequence[HeldFile] = ()
    """Files that are new, or changed."""
    release: Sequence[str] = ()
    """Names of files that upstream no longer lists, or offers with other bytes."""
    release_reason: str = DELETED
    """Why: `DELETED`, or `QUARANTINED`."""
    dropped: Sequence[str] = ()
    """Names of files that the page no longer lists because of a filter."""
    until: int | None = None
    document: bytes | None = None
    """Upstream's legacy JSON, where a filter reads it; None leaves what is known."""
    is_owed: bool = False
    """It was made from what is known already: a failure of the last look at upstream stands."""


@dataclass(frozen=True, slots=True)
class Decline:
    """A project that upstream offers and a filter drops for what it offers; it has no page."""

    name: NormalizedName
    display: str
    serial: int | None
    revision: Revision
    body_digest: bytes | None
    etag: str | None
    due_at: int
    reason: str
    until: int | None = None
    document: bytes | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """A project that was asked for and is as it was."""

    name: NormalizedName
    serial: int | None
    etag: str | None
    due_at: int | None
    """As of `Publication`."""
    is_absent: bool = False
    """Upstream has no such page; what we have stays until that is certain."""
    reread: bool = False
    """The next answer is to be read, whatever it says: something of it was put off."""
    until: int | None = None
    """When time alone turns a verdict of the filters; None leaves what is known."""
    body_digest: bytes | None = None
    """sha256 of upstream's page, where it was read; None leaves what is known."""
    is_owed: bool = False
    """As of `Publication`."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A project that could not be brought up to date; it is owed."""

    name: NormalizedName
    display: str
    wanted: int | None
    """The serial that was asked for."""
    kind: str
    message: str
    retry_at: int
    stuck_serial: int | None = None
    attempts: int = 1
    """How many failures in a row this is at least; what is recorded may be more."""
    refetch: bool = False
    """Whether the page that is out is not as the settings want it: it is read again, whatever upstream says of it."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Outcomes that are committed together."""

    at: int
    published: Sequence[Publication] = ()
    checked: Sequence[Check] = ()
    failed: Sequence[Failure] = ()
    declined: Sequence[Decline] = ()
    settles: bool = True
    """Whether a barrier has been passed since the renames of earlier batches, so that these are settled."""


@dataclass(frozen=True, slots=True)
class Owed:
    """A failing project, as the ledger has it."""

    name: NormalizedName
    display: str
    wanted: int | None
    kind: str
    message: str
    attempts: int
    since: int
    retry_at: int


@dataclass(frozen=True, slots=True)
class State:
    """How far the mirror is: a few facts that outlive a run."""

    head: int = 0
    """Global serial of the list we published last; never falls."""
    selection: str | None = None
    """Fingerprint of the filters on names under which the list was last applied."""
    rendering: str | None = None
    """The settings under which pages were last rendered, as JSON."""
    begun: tuple[str, ...] = ()
    """Other settings under which runs have begun to render pages, and did not come through all of them."""
    list_etag: str | None = None
    status: str | None = None
    """What we wrote to `status` and `todo`: other content there means somebody else ran."""
    todo: str | None = None
    writing_status: str | None = None
    """What the end of a run was about to write there; either is ours."""
    writing_todo: str | None = None
    root_stale: bool = True
    """The project list on disk is older than the pages."""
    choice: str | None = None
    """Fingerprint of the filters on what is offered under which every project was last judged."""
    selections_begun: tuple[str, ...] = ()
    """Other filters under which runs have begun, and did not come through; so for the next one."""
    choices_begun: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Applied:
    """A project list as last applied: selected display names and their serials (0: none), in the same order."""

    names: Sequence[str]
    serials: Sequence[int]


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run, for `status` and for people."""

    command: str
    started: int
    finished: int
    exit_code: int
    summary: str


@dataclass(frozen=True, slots=True)
class Running:
    """A run that began and has not ended: it is on, or it was killed."""

    command: str
    started: int
    changes: int
    """Pages published and projects removed since it began."""


@dataclass(frozen=True, slots=True)
class LastRuns:
    """What is remembered of runs; each is the latest of its kind, None if there was none."""

    last: RunRecord | None
    """That ended, whatever it was and however it ended."""
    through: RunRecord | None
    """Of `mirror`, that looked at everything it had to: exit code 0, 3 or 5, and not stopped early."""
    whole: RunRecord | None
    """Of `mirror`, that left nothing owed and nothing waiting."""
    running: Running | None


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is still to be done, in numbers."""

    owed: int
    """Failing projects."""
    retries_due: int
    """Those of them whose time has come."""
    rechecks_due: int
    """Other projects that are to be looked at again by now."""
    waiting: int
    """Projects of which a filter keeps something back for a time, and the first time that is over."""
    waiting_until: int | None
    unsettled: int
    leaving: int
    released: int
    """Objects in `web/` that no page refers to, and their bytes."""
    released_bytes: int
    trashed: int
    """Objects in the trash, their bytes, and since when the oldest and the latest of them lie there."""
    trashed_bytes: int
    trashed_first: int | None
    trashed_last: int | None


@dataclass(frozen=True, slots=True)
class Finish:
    """What the end of a run leaves behind."""

    run: RunRecord
    status: str | None = None
    todo: str | None = None
    selection: str | None = None
    rendering: str | None = None
    list_etag: str | None = None
    applied: Applied | None = None
    """None leaves the list as it was applied before."""
    root_published: bool = False
    choice: str | None = None


@dataclass(frozen=True, slots=True)
class Leave:
    """A project that is removed."""

    name: NormalizedName
    reason: str
    """`DELETED`, `DROPPED` or `OPERATOR`; the last of them takes one without a page, too."""


@dataclass(frozen=True, slots=True)
class Released:
    """An object in `web/` that no page refers to."""

    key: str
    sha256: str
    size: int
    reason: str
    project: NormalizedName | None
    """The project that referred to it last."""
    at: int = 0
    """Since when none does."""
    is_pinned: bool = False
    """Its file is pinned: it is wanted back."""


@dataclass(frozen=True, slots=True)
class Trashed:
    """Bytes that left `web/` and can be had back."""

    place: str
    """Where they lie: a key of the storage."""
    key: str
    """Where they lay."""
    sha256: str
    size: int
    project: NormalizedName | None
    reason: str
    at: int
    released_at: int | None = None
    """Since when no page refers to it; None: not known."""
    is_pinned: bool = False
    """As of `Released`; it stays until it is not."""


@dataclass(frozen=True, slots=True)
class PastRevision:
    """Upstream's page of a project as it was published until something of it was released."""

    at: int
    display: str
    revision: Revision


@dataclass(frozen=True, slots=True)
class Pin:
    """A file that stays, although upstream has removed it or a filter drops it."""

    project: NormalizedName
    filename: str
    entry: str
    """What upstream said of it: JSON that `frumious.sync.pins` reads."""
    at: int
    is_lifted: bool = False
    """It is no pin any more, only what is known of the file."""


@dataclass(frozen=True, slots=True)
class Adopted:
    """A project as its page in the tree says, which the catalog did not make, or does not know as it is now."""

    name: NormalizedName
    display: str | None
    """None: as it is known, else the name itself."""
    serial: int | None
    """Upstream's; None asks for the project to be looked at."""
    published: int | None
    """What the page says; None where there is no page where it belongs."""
    page_modified: float
    due_at: int | None
    listed: bool = True
    hold: Sequence[HeldFile] = ()
    """Files that are in place; `verified` is taken for False."""
    names: Sequence[str] | None = None
    """Every file that the page lists, by name; None: nobody knows, and nothing is released."""
    lost: Sequence[str] = ()
    """Files of the page whose bytes are not there, or are others."""


@dataclass(frozen=True, slots=True)
class Holding:
    """What the catalog says of a project with a page, for comparison with what is there."""

    row: ProjectRow
    files: Sequence[HeldFile]
    is_unsettled: bool = False
    """Its page may not have reached its place."""
    is_readable: bool = True
    """Whether upstream's page, as it is kept, can be read."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change of what is published."""

    name: NormalizedName
    display: str
    """The project's name as upstream spells it now; the normalized one of a project that is forgotten."""
    action: str
    """`publish` or `remove`."""
    serial: int
    """Under which it is told: the page's, or for what left one above the list that showed it."""
    at: int


class Catalog(Protocol):
    """The truth about a mirror."""

    async def state(self) -> State:
        """Return how far we are."""
        ...

    async def applied(self) -> Applied | None:
        """Return the project list as last applied."""
        ...

    async def known(self, names: Sequence[NormalizedName]) -> dict[NormalizedName, ProjectRow]:
        """Return the rows of those projects that have one."""
        ...

    async def held(
        self, name: NormalizedName, keys: Iterable[str]
    ) -> tuple[dict[str, HeldFile], dict[str, tuple[str, int]]]:
        """Return the project's files by file name, and of the other `keys` those that any page refers to: sha256, size."""
        ...

    async def revision(self, name: NormalizedName) -> Revision | None:
        """Return upstream's page as it is published."""
        ...

    async def commit_batch(self, batch: Batch) -> None:
        """Record outcomes: rows, revisions, files, journal.

        The publications become *unsettled*; if the batch `settles`, those of earlier batches cease to be: their
        pages were renamed before the barrier that this call follows (design.md §6).

        Raises PathTaken if a file's key is held with other content that any page refers to; nothing of the batch is
        recorded then.
        """
        ...

    async def unsettled(self) -> list[NormalizedName]:
        """Return the projects whose page may not have reached its place: render them again after an unclean end."""
        ...

    async def begin(self, rendering: str, selection: str | None = None, choice: str | None = None) -> None:
        """Record that pages may be rendered, and projects judged, under these settings from now on (`State.begun`)."""
        ...

    async def found(self, *, status: str | None, todo: str | None) -> None:
        """Record what stands in `status` and `todo`: from now on that is what we wrote."""
        ...

    async def settle(self, *, head: int, status: str | None, todo: str | None) -> None:
        """Record that every page reached its place, the head that the next list will show (it never falls), and
        what is about to be written to `status` and `todo`.
        """
        ...

    async def due(self, now: int, limit: int) -> list[ProjectRow]:
        """Return projects whose retry or re-check time has come: owed ones first, earliest first."""
        ...

    async def pull_in(self, now: int, *, retries_by: int, checks_by: int) -> None:
        """Bring back to `now` what a clock that was ahead has recorded for a time that may never come.

        Nobody waits for a retry after `retries_by`; nor for a re-check after `checks_by` that was recorded after `now`.
        """
        ...

    async def owed(self) -> list[Owed]:
        """Return every failing project, by name."""
        ...

    async def forget_failures(self, names: Sequence[NormalizedName]) -> None:
        """Strike projects off the ledger: nobody asks for them any more."""
        ...

    async def projects(self, after: str, limit: int) -> list[tuple[NormalizedName, str, int]]:
        """Return name, display name and published serial of listed projects in name order."""
        ...

    async def names(self, after: str, limit: int, *, declined: bool = False) -> list[NormalizedName]:
        """Return every published project in name order; with `declined` those too that a filter keeps from it."""
        ...

    async def document(self, name: NormalizedName) -> bytes | None:
        """Return upstream's legacy JSON, where a filter has read it."""
        ...

    async def leave(self, projects: Sequence[Leave], at: int, *, keep_out: bool = False) -> None:
        """Take projects off the list and the ledger, and release their files; their pages are still out (`leaving`).

        What the operator deletes is not pinned any more, and with `keep_out` not wanted.
        """
        ...

    async def leaving(self) -> list[NormalizedName]:
        """Return the projects that have left the list and whose pages may still be out, by name."""
        ...

    async def gone(self, names: Sequence[NormalizedName]) -> None:
        """Record that the pages of projects that were leaving are gone."""
        ...

    async def released(self, now: int, delay: int, limit: int) -> list[Released]:
        """Return objects that no page refers to: at once, or `delay` seconds later where a filter dropped them."""
        ...

    async def trashed(self, entries: Sequence[Trashed]) -> None:
        """Record that objects lie in the trash, and no longer where they lay."""
        ...

    async def forget_objects(self, keys: Sequence[str]) -> None:
        """Strike objects off that no page refers to and that are not there any more."""
        ...

    async def in_trash(self, keys: Sequence[str]) -> dict[str, Trashed]:
        """Return the latest of what lies in the trash for each of these keys."""
        ...

    async def trash(self, before: int, limit: int) -> list[Trashed]:
        """Return what has been in the trash since `before` or longer and is not wanted back (pinned, and not in place), oldest first."""
        ...

    async def emptied(self, places: Sequence[str]) -> None:
        """Record that these places of the trash are empty."""
        ...

    async def trashed_files(
        self, after: Trashed | None, limit: int, *, project: NormalizedName | None = None
    ) -> list[Trashed]:
        """Return what lies in the trash behind `after`, in order of projects and keys, or only a project's.

        What is in place again is left out.
        """
        ...

    async def trashed_as(self, filename: str) -> list[Trashed]:
        """Return what lies in the trash under the name of a file, the latest last."""
        ...

    async def trash_projects(self) -> list[NormalizedName]:
        """Return the projects of which anything lies in the trash, by name."""
        ...

    async def trash_places(self, places: Sequence[str]) -> set[str]:
        """Return those of these places of the trash at which something is known to lie."""
        ...

    async def released_files(
        self, *, project: NormalizedName | None = None, filename: str | None = None
    ) -> list[Released]:
        """Return the objects still in place that no page refers to: of a project, or under the name of a file."""
        ...

    async def past_revisions(self, name: NormalizedName) -> list[PastRevision]:
        """Return the project's pages as they were when files were released that can still be had back, latest first."""
        ...

    async def pin(self, pins: Sequence[Pin], displays: Mapping[NormalizedName, str]) -> None:
        """Pin files, in place of earlier pins of the same names; their projects are due at once.

        `displays` has the projects' names as upstream spells them, for those of which nothing else is known.
        """
        ...

    async def unpin(self, name: NormalizedName, filenames: Sequence[str] | None, at: int) -> int:
        """Lift the pins of a project's files, all of them for None, and return how many these were; it is due at once."""
        ...

    async def pins(self, name: NormalizedName, *, lifted: bool = False) -> list[Pin]:
        """Return the pins of a project's files in order of their names; with `lifted` those too that are none any more."""
        ...

    async def pinned(self, *, lifted: bool = False) -> list[NormalizedName]:
        """Return the projects with pins, by name; `lifted` as of `pins`."""
        ...

    async def keep_out(self, names: Sequence[NormalizedName], at: int) -> None:
        """Record that these projects are not wanted; what was recorded earlier keeps its date."""
        ...

    async def let_in(self, names: Sequence[NormalizedName]) -> list[NormalizedName]:
        """Forget that projects are not wanted, and return those of which that was so."""
        ...

    async def kept_out(self) -> dict[NormalizedName, int]:
        """Return the projects that are not wanted, and since when."""
        ...

    async def file_counts(self, names: Sequence[NormalizedName]) -> tuple[int, int]:
        """Return how many files these projects have together, and their bytes."""
        ...

    async def put_plan(self, plan: str, body: str, at: int) -> None:
        """Keep a plan of removals that waits for the operator, in place of any other."""
        ...

    async def plan(self, plan: str) -> str | None:
        """Return a plan of removals that was kept, None if there is none of that name."""
        ...

    async def highest_published(self) -> int:
        """Return the highest serial of any page; 0 if there is none."""
        ...

    async def distrust(self, *, pages: bool = True, files: bool = False) -> None:
        """Forget upstream's list as it was applied; with `pages` what upstream's pages were like, so that each is asked
        for again; with `files` that bytes have been read, so that they are read again.
        """
        ...

    async def finish(self, finish: Finish) -> None:
        """Record the end of a run; with `rendering`, nothing else is begun any more.

        What was known of files that cannot be had back any more is forgotten.
        """
        ...

    async def counts(self) -> dict[str, int]:
        """Return `projects` with a page; `files` in place, core metadata not counted; `bytes` with it; `owed`."""
        ...

    async def adopt(self, projects: Sequence[Adopted], at: int, *, head: int = 0) -> list[NormalizedName]:
        """Record projects as their pages in the tree say, in place of what is known; the list is forgotten.

        Nothing is known then of upstream's page. The head is at least `head`, and the serial of every page. A file at
        a key that another page refers to with other content is left out, and its project is looked at again; these
        projects are returned.
        """
        ...

    async def lose_pages(
        self, names: Sequence[NormalizedName], at: int, *, forgets_list: bool = True
    ) -> None:
        """Record that these projects have no page any more, and no failure of theirs.

        What they hold stays theirs. With `forgets_list` the next list of upstream is compared with all projects.
        """
        ...

    async def holdings(self, names: Sequence[NormalizedName]) -> list[Holding]:
        """Return what is held by those of these projects that have a page, by name, files in order of their names."""
        ...

    async def unknown_objects(self, keys: Sequence[str]) -> list[str]:
        """Return those of these keys at which the catalog knows no object, in their order."""
        ...

    async def doubt(self, names: Sequence[NormalizedName], *, files: bool = True, root: bool = False) -> None:
        """Have projects looked at anew: upstream's page is read whatever it says, and with `files` all their bytes.

        With `root` the project list is written again.
        """
        ...

    async def damage(self) -> list[str]:
        """Return what is wrong with the database itself, in words; it is read whole. At most ten."""
        ...

    async def run_began(self, command: str, started: int) -> None:
        """Record that a run is on, until `finish` or `run_broke_off`."""
        ...

    async def run_broke_off(self, exit_code: int, reason: str, at: int) -> None:
        """Record that the run that began did not come to its `finish`; nothing where none is on."""
        ...

    async def changes(self, after: int, head: int, limit: int) -> list[Change]:
        """Return the changes of serials above `after` up to `head`, by serial: about `limit`, and all of each serial."""
        ...

    async def newest_changes(self, limit: int) -> list[Change]:
        """Return the projects that were published last, the newest first."""
        ...

    async def newest_projects(self, limit: int) -> list[NormalizedName]:
        """Return the projects that came last, the newest first."""
        ...

    async def names_with(self, parts: Sequence[str], limit: int) -> list[NormalizedName]:
        """Return listed projects whose names have every one of `parts` in them, the shortest first."""
        ...

    async def largest(self, limit: int) -> list[tuple[str, int]]:
        """Return display names and bytes of the projects with the most bytes; it looks at every file."""
        ...

    async def last_runs(self) -> LastRuns:
        """Return what is remembered of runs."""
        ...

    async def backlog(self, now: int) -> Backlog:
        """Return what is still to be done, in numbers."""
        ...

    async def aclose(self) -> None:
        """Close connections and threads."""
        ...
