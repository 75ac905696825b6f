"""Anything may happen, in any order: edits upstream, faults, power cuts, other settings, other programs, time.

Whatever the order, every run leaves a tree that keeps its promises, serials that a mirror of this mirror can follow,
and `status` and `todo` that claim no more than is there; and one run after everything is well again leaves the pages
that a new mirror of the same index has. `FRUMIOUS_MACHINE_EXAMPLES` says how many stories are tried.
"""

import asyncio
import json
import os
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from frumious.errors import FrumiousError
from frumious.filters.names import AllowNames, BlockNames
from frumious.filters.offer import Offer
from frumious.filters.rules import KEEP, Selection, Verdict
from frumious.model.names import normalize
from frumious.model.project import File
from frumious.storage.base import Item
from frumious.sync.events import Notice, ProjectMissing
from frumious.sync.options import Removal
from frumious.sync.remove import empty
from frumious.sync.trash import listed, quarantined
from support.faults import PowerCut, StopAfter
from support.index import Cut, Garbage, Reset, ShortBytes, Stale, Status, Stuck, WrongBytes
from support.index_files import core_metadata, provenance
from support.invariants import PUBLIC, anchors
from support.world import Limits, World


@dataclass(frozen=True)
class NoWheels:
    """Drops wheels."""

    name: str = "no_wheels"
    fingerprint: str = "no wheels"
    needs_document: bool = False

    def judge_file(self, offer, file):
        return Verdict(False, "a wheel", self.name) if file.filename.endswith(".whl") else KEEP


@dataclass(frozen=True)
class AtLeastTwo:
    """Drops projects with fewer than two files."""

    name: str = "at_least_two"
    fingerprint: str = "two"
    needs_document: bool = False

    def judge_project(self, offer):
        return KEEP if len(offer.files) > 1 else Verdict(False, "too few", self.name)


@dataclass(frozen=True)
class Newest:
    """Keeps one release."""

    name: str = "newest"
    fingerprint: str = "newest"
    needs_document: bool = False
    is_last: bool = True

    def decides_alone(self, name):
        return False

    def judge_releases(self, offer, releases):
        newest = max(releases, key=float, default=None)
        return {r: Verdict(False, "old", self.name) for r in releases if r != newest}


NAMES = ("A", "Foo.Bar", "gamma", "x_y-z")
SPELLINGS = {"A": "a", "Foo.Bar": "foo_bar", "gamma": "GAMMA", "x_y-z": "X.Y.Z"}
DAY = 86400

names = st.sampled_from(NAMES)
choices = st.integers(0, 99)
effects = st.sampled_from(
    [
        ("page", Status(500)), ("page", Reset()), ("page", Stale()), ("page", Stuck()), ("page", Garbage()),
        ("file", Status(404)), ("file", Status(500)), ("file", WrongBytes()), ("file", ShortBytes()), ("file", Cut(20)),
        ("metadata", Status(404)), ("metadata", Status(500)), ("legacy", Status(500)), ("list", Status(503)), ("list", Garbage()),
    ]
)  # fmt: skip
selections = st.sampled_from(
    [
        (Selection(), 500),
        (Selection((BlockNames(frozenset({normalize("A")})),)), 500),
        (Selection((AllowNames(frozenset(map(normalize, ("A", "gamma")))),)), 500),
        (Selection((AllowNames(frozenset(map(normalize, ("Foo.Bar", "gamma")))),)), 0),  # too many names to ask one by one
        (Selection(files=(NoWheels(),)), 500),
        (Selection((AllowNames(frozenset(map(normalize, ("A", "Foo.Bar", "gamma")))),), files=(NoWheels(),)), 500),
        (Selection(offers=(AtLeastTwo(),), releases=(Newest(),)), 500),
        (Selection((BlockNames(frozenset({normalize("A")})),), offers=(AtLeastTwo(),)), 500),
    ]
)  # fmt: skip
removals = st.sampled_from(
    [
        Removal(),
        Removal(follow=False),
        Removal(max_projects=0, max_files=0, max_percent=0),
        Removal(trash_seconds=0),
    ]
)


class Mirroring(RuleBasedStateMachine):
    """A mirror and its upstream; every rule is something that happens in real life."""

    @initialize()
    def begin(self):
        self.folder = Path(tempfile.mkdtemp(prefix="machine-"))
        self.world = World(self.folder, streams=4)
        self.world.rendering(provenance=True, base_url=PUBLIC)
        self.index = self.world.index
        self.number = 1
        self.accepted = set()
        """Projects whose too old or absent page was accepted: what they show may be behind until the next look."""
        self.seen = None
        """What a mirror of this mirror has: its head, and the words of each page."""
        self.synced = set()
        self.was_cut = False
        self.held = None
        """The plan of removals that waits."""
        self.has_kept = False
        """Whether a run has kept what should leave; it is looked at again when its time comes."""
        self.deleted = set()
        """Projects that the operator has deleted, some of them for good: nobody knows when they come back."""
        self.index.upload("always", "1.0")  # an upstream that lists nobody is not believed
        self.index.upload("A", "1.0", "A-1.0.tar.gz")
        self.index.upload("Foo.Bar", "1.0")

    def teardown(self):
        if hasattr(self, "folder"):
            try:
                self.ends_well()
            finally:
                shutil.rmtree(self.folder)

    # ------------------------------------------------------------ upstream

    def has(self, name):
        return normalize(name) in self.index.names()

    def some_file(self, name, choice):
        files = (
            [f for r in self.index.project(name).releases.values() for f in r.files] if self.has(name) else []
        )
        return files[choice % len(files)] if files else None

    @rule(name=names, wheel=st.booleans(), attested=st.booleans())
    def upload(self, name, wheel, attested):
        self.number += 1
        version = f"{self.number}.0"
        filename = None if wheel else f"{name}-{version}.tar.gz"
        self.index.upload(name, version, filename, provenance=attested)

    @rule(name=names, choice=choices, said=st.sampled_from(["other", "wrong", "none"]))
    def change_provenance(self, name, choice, said):
        """No serial moves."""
        if file := self.some_file(name, choice):
            self.number += 1
            documents = {
                "other": provenance(file.filename, file.sha256, number=self.number),
                "wrong": provenance(file.filename, "00" * 32),
                "none": None,
            }
            self.index.set_provenance(file.filename, documents[said])

    @rule(name=names, choice=choices, reason=st.sampled_from([None, "", "broken"]))
    def yank(self, name, choice, reason):
        if file := self.some_file(name, choice):
            if reason is None:
                self.index.unyank(name, file.version)
            else:
                self.index.yank(name, file.version, reason)

    @rule(name=names, choice=choices)
    def delete_file(self, name, choice):
        if file := self.some_file(name, choice):
            self.index.delete_file(name, file.filename)

    @rule(name=names, choice=choices)
    def replace_file(self, name, choice):
        if file := self.some_file(name, choice):
            self.number += 1
            self.index.replace(name, file.filename, b"other bytes %d" % self.number)

    @rule(name=names)
    def delete_project(self, name):
        if self.has(name):
            self.index.delete_project(name)

    @rule(name=names)
    def rename(self, name):
        if self.has(name):
            display = self.index.project(name).name
            self.index.rename(SPELLINGS[name] if display == name else name)

    @rule(name=names, on=st.booleans())
    def quarantine(self, name, on):
        if self.has(name) and (self.index.project(name).status == "quarantined") is not on:
            (self.index.quarantine if on else self.index.unquarantine)(name)

    @rule(name=names, on=st.booleans())
    def archive(self, name, on):
        if self.has(name) and self.index.project(name).status != "quarantined":
            (self.index.archive if on else self.index.unarchive)(name)

    @rule(name=names)
    def touch(self, name):
        if self.has(name):
            self.index.touch(name)

    @rule(name=names, choice=choices)
    def change_metadata(self, name, choice):
        file = self.some_file(name, choice)
        if file and file.filename.endswith(".whl"):
            self.number += 1
            body = core_metadata(name, file.version) + b"X: %d\n" % self.number
            self.index.backfill_metadata(name, file.filename, body)

    @rule(effect=effects, name=names, choice=choices, times=st.sampled_from([1, 3, None]))
    def break_something(self, effect, name, choice, times):
        kind, fault = effect
        file = self.some_file(name, choice)
        target = {
            "list": "list",
            "page": f"page:{normalize(name)}",
            "legacy": f"legacy:{normalize(name)}",
            "file": f"file:{file.filename}" if file else "file:none",
            "metadata": f"file:{file.filename}.metadata" if file else "file:none",
        }[kind]
        self.world.faults.add(target, fault, times=times)

    @rule()
    def mend(self):
        self.world.faults.clear()

    # ------------------------------------------------------------ ourselves

    @rule(
        option=st.sampled_from(
            ["html", "json", "hash_index", "release_files", "core_metadata", "legacy_json", "provenance"]
        )
    )
    def turn_a_setting(self, option):
        rendering = self.world.options.rendering
        now = replace(rendering, **{option: not getattr(rendering, option)})
        if now.kinds:
            self.world.options = replace(self.world.options, rendering=now)

    @rule(selection=selections)
    def select(self, selection):
        rules, small = selection
        self.world.options = replace(self.world.options, selection=rules, small_selection=small)

    @rule(removal=removals)
    def remove_so(self, removal):
        self.world.options = replace(self.world.options, removal=removal)

    @rule()
    def confirm(self):
        """Confirm what waits, for one run."""
        if self.held is None:
            return
        before = self.world.options
        self.world.options = replace(before, removal=replace(before.removal, confirmed=self.held))
        self.held = None
        self.mirror()
        self.world.options = before

    @rule(hours=st.sampled_from([1, 5, 25, 24 * 16]))
    def wait(self, hours):
        self.world.clock.now += hours * 3600

    @rule()
    def another_program_was_here(self):
        if self.world.text("status") is None:
            return  # we never came to an end here: there is nothing to compare with

        async def interfere():
            await self.world.storage.write([Item("status", b"1")])
            pages = [stat.key async for stat in self.world.storage.list("web/simple/")]
            await self.world.storage.write([Item(key, b"theirs") for key in pages if key.endswith("v1_html")])

        if self.world.catalog(lambda catalog: catalog.leaving()):
            self.seen = None  # what was about to go is back as the other program has it, under its old serial
        asyncio.run(interfere())

    @rule()
    def run(self):
        self.mirror()

    @rule(name=names)
    def sync(self, name):
        self.synced.add(normalize(name))
        self.attempt(lambda: self.world.sync(name, check=False))

    @rule(name=names, keep_out=st.booleans())
    def delete(self, name, keep_out):
        self.deleted.add(normalize(name))
        summary = self.attempt(lambda: self.world.delete(name, keep_out=keep_out, check=False))
        if summary is not None:
            assert files_of(self.world, normalize(name)) is None

    @rule(choice=choices, whole=st.booleans())
    def restore(self, choice, whole):
        asked = self.some_removed(choice, whole=whole)
        if asked is not None:
            self.attempt(lambda: self.world.restore(asked, check=False))

    @rule(choice=choices)
    def unpin(self, choice):
        pinned = sorted(self.pins())
        if pinned:
            self.attempt(lambda: self.world.unpin(pinned[choice % len(pinned)], check=False))

    @rule(days=st.sampled_from([0, 3]))
    def empty(self, days):
        before = int(self.world.clock.now) - days * DAY
        self.world.ask(lambda ports: empty(ports, before))
        self.check_promises()

    def some_removed(self, choice, *, whole):
        """Return the name of a project of which something is in the trash, or of such a file; None if there is none."""

        async def ask(ports):
            return [(row.project, row.key.rpartition("/")[2]) async for row in listed(ports)]

        found = [row for row in self.world.ask(ask) if not row[1].endswith(".metadata")]
        if not found:
            return None
        project, filename = found[choice % len(found)]
        return project if whole else filename

    @rule(
        n=st.integers(0, 80),
        lost=st.integers(0, 2**16),
        name=names,
        choice=choices,
        command=st.sampled_from(["mirror", "mirror", "delete", "restore", "unpin"]),
    )
    def power_cut(self, n, lost, name, choice, command):
        self.was_cut = True
        storage = StopAfter(self.world.storage, n)
        try:
            if command == "mirror":
                self.world.mirror(storage=storage, check=False, limits=Limits(projects=2, seconds=1))
            elif command == "delete":
                self.deleted.add(normalize(name))
                self.world.delete(name, keep_out=bool(choice % 2), storage=storage, check=False)
            elif command == "unpin":
                self.world.unpin(name, storage=storage, check=False)
            elif (asked := self.some_removed(choice, whole=bool(choice % 2))) is not None:
                self.world.restore(asked, storage=storage, check=False)
        except (PowerCut, BaseExceptionGroup) as error:
            if isinstance(error, BaseExceptionGroup) and error.subgroup(PowerCut) is None:
                raise
        except FrumiousError:
            pass
        self.world.storage = self.world.storage.lose(lambda number: bool(lost >> number % 16 & 1))
        self.learn_what_was_accepted()
        self.check_promises()

    # ------------------------------------------------------------ what holds

    def attempt(self, run):
        """Return the summary of a run, None where nothing could be done; the tree keeps its promises in any case."""
        try:
            return run()
        except FrumiousError:
            return None
        finally:
            self.learn_what_was_accepted()
            self.check_promises()

    def mirror(self):
        summary = self.attempt(lambda: self.world.mirror(check=False))
        if summary is not None and summary.held_back is not None:
            self.held = summary.held_back["plan"]
        if summary is not None and summary.stopped is None:
            self.check_claims()
            self.check_pins()
            self.follow()
        return summary

    def learn_what_was_accepted(self):
        notices = [event.text for event in self.world.events if isinstance(event, Notice)]
        known = ("for a day; accepted", "there is no page yet")
        self.accepted |= {text.partition(":")[0] for text in notices if text.endswith(known)}
        self.accepted |= {event.name for event in self.world.events if isinstance(event, ProjectMissing)}

    def check_promises(self):
        self.world.check()
        kept_out = self.world.catalog(lambda catalog: catalog.kept_out())
        for name in kept_out:
            assert files_of(self.world, name) is None or self.was_cut, f"{name} is kept out and there"

    def pins(self):
        """Return the pinned files of each project."""

        async def ask(catalog):
            return {
                name: {pin.filename for pin in await catalog.pins(name)} for name in await catalog.pinned()
            }

        return self.world.catalog(ask)

    def check_pins(self):
        """What is pinned is on its page, unless that could not be made or is in quarantine."""
        if not self.world.options.rendering.release_files:
            return
        todo = {normalize(line.split()[0]) for line in (self.world.text("todo") or "0").splitlines()[1:]}
        for name, filenames in self.pins().items():
            if name in todo | self.accepted or self.is_quarantined(name):
                continue
            found = files_of(self.world, name)
            there = {file["filename"] for file in found or ()}
            assert filenames <= there, f"{filenames - there} of {name} is pinned and not there"

    def is_quarantined(self, name):
        """Say whether a project is in quarantine, or was when upstream deleted it."""
        detail = self.world.ask(lambda ports: quarantined(ports, [name]))
        return bool(detail) or (self.has(name) and self.index.project(name).status == "quarantined")

    def check_claims(self):
        """`status` and `todo` claim no more than is there (design.md §6.3).

        Without a project list nobody can tell that a page is too old.
        """
        selection, small = self.world.options.selection, self.world.options.small_selection
        if selection.only is not None and len(selection.only) <= small:
            return
        todo = {normalize(line.split()[0]) for line in (self.world.text("todo") or "0").splitlines()[1:]}
        self.has_kept |= not self.world.options.removal.follow
        lags = self.held is not None or self.has_kept
        pins = self.pins()
        for name in self.selected():
            if name in todo | self.accepted | self.deleted | pins.keys():
                continue
            found, offered = files_of(self.world, name), self.offered(name)
            if offered is None:
                assert found is None or lags, f"{name} is dropped and there"
                continue
            assert found is not None, f"{name} is claimed and not there"
            if lags:  # what should leave stays
                assert offered <= words(found), f"{name} is claimed and behind"
            else:
                assert words(found) == offered, f"{name} is claimed and behind"

    def selected(self):
        listed = [name for name, _ in self.index.view().listed()]
        return [name for name in listed if self.world.options.selection.judge(name).keep]

    def offered(self, name):
        """Return the words of a page as the filters leave it; None where they leave no page."""
        files = self.index.project(name).offered_files()
        offer = Offer(name, name, [File(f.filename, "") for f in files], 0.0)
        choice = self.world.options.selection.choose(offer)
        if not choice.project.keep and self.index.project(name).status != "quarantined":
            return None
        return {(f.filename, f.sha256, f.yanked) for f in files if f.filename not in choice.files}

    def follow(self):
        """A mirror of this mirror, which asks for what is above its head, sees every change; numbers never fall."""
        if not self.world.options.rendering.json:
            self.seen = None
            return
        root = self.world.root()
        head = root["meta"]["_last-serial"]
        listed = {normalize(p["name"]): p["_last-serial"] for p in root["projects"]}
        pages = {name: files_of(self.world, name) for name in listed}
        if self.seen is not None:
            old_head, old_pages = self.seen
            assert head >= old_head, "the head fell"
            for name, serial in listed.items():
                if pages[name] != old_pages.get(name):
                    assert serial > old_head, f"{name} changed under {serial}, and {old_head} was out already"
        self.seen = head, pages

    def ends_well(self):
        self.world.faults.clear()
        self.world.rendering(html=True, json=True)
        self.world.options = replace(self.world.options, removal=Removal())
        self.forget_commands()
        for wait in (40 * DAY, 2 * 3600, 2 * 3600):
            self.world.clock.now += wait
            summary = self.mirror()
            assert summary is not None
        assert (summary.failed, summary.owed, summary.stopped) == ({}, 0, None)
        place = self.folder / "fresh"
        place.mkdir()
        fresh = World(place, index=self.index)
        fresh.options = self.world.options
        fresh.mirror()
        for name in self.selected():
            assert files_of(self.world, name) == files_of(fresh, name), name
            assert page_keys(self.world, name) == page_keys(fresh, name), name
            if files_of(fresh, name) is None:
                continue
            assert status_of(self.world, name) == status_of(fresh, name), name
        # `sync` takes what it is asked for, and a new mirror never hears of what is in quarantine.
        mine, theirs = set(map(normalize, self.world.listed())), set(map(normalize, fresh.listed()))
        assert theirs <= mine <= theirs | self.synced
        hidden = {name for name in self.index.names() if self.index.project(name).status == "quarantined"}
        pages = {place.rpartition("/")[2] for place in pages_of(self.world) - pages_of(fresh)}
        assert pages <= self.synced | hidden
        # What a power cut leaves without a trace in the catalog is for `verify` to find.
        if self.world.options.rendering.release_files and not self.synced - theirs and not self.was_cut:
            assert len(bodies_of(self.world)) == len(bodies_of(fresh))

    def forget_commands(self):
        """Undo what makes this mirror another than a new one: pins, and what was deleted."""
        for name in self.pins():
            self.world.unpin(name, check=False)
        self.world.catalog(lambda catalog: catalog.let_in([normalize(name) for name in NAMES]))
        for name in self.deleted:
            if self.has(name):
                self.index.touch(name)


def pages_of(world):
    """Return the directories of pages."""
    return {key.rpartition("/")[0] for key in world.keys("web/simple/")}


def bodies_of(world):
    """Return the keys of release files; core metadata stays when nobody advertises it any more."""
    return [key for key in world.keys("web/packages/") if not key.endswith(".metadata")]


def page_of(world, name):
    shard = f"{name[0]}/" if world.options.rendering.hash_index else ""
    return f"web/simple/{shard}{name}/"


def files_of(world, name):
    """Return what a project's page says of its files; None where there is no page."""
    body = world.read(f"{page_of(world, name)}index.v1_json")
    if body is not None and world.options.rendering.json:
        facts = (
            "filename", "hashes", "yanked", "core-metadata", "requires-python", "upload-time", "url", "provenance",
        )  # fmt: skip
        return [{fact: file.get(fact) for fact in facts} for file in json.loads(body)["files"]]
    body = world.read(f"{page_of(world, name)}index.html")
    if body is None:
        return None
    return [
        {
            "filename": href.partition("#")[0].rpartition("/")[2],
            "hashes": {"sha256": href.partition("#sha256=")[2]},
            "yanked": attributes.get("data-yanked", False),
        }
        for href, attributes in anchors(body)
    ]


def words(files):
    """Return what of the files upstream says, too."""
    return {
        (f["filename"], f["hashes"]["sha256"], None if f["yanked"] is False else "" if f["yanked"] is True else f["yanked"])
        for f in files
    }  # fmt: skip


def status_of(world, name):
    page = json.loads(world.read(f"{page_of(world, name)}index.v1_json"))
    return page.get("project-status"), page["versions"]


def page_keys(world, name):
    """Return every key where something of a project may be served."""
    places = [
        f"web/simple/{name}/index",
        f"web/simple/{name[0]}/{name}/index",
        f"web/json/{name}",
        f"web/pypi/{name}/",
    ]
    return [key for place in places for key in world.keys(place)]


Mirroring.TestCase.settings = settings(
    max_examples=int(os.environ.get("FRUMIOUS_MACHINE_EXAMPLES", "25")),
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    **({"phases": [Phase.generate]} if os.environ.get("FRUMIOUS_MACHINE_RAW") else {}),
)
TestMirroring = Mirroring.TestCase
