"""Plugins that were written for bandersnatch, with its package beside us and without (reference section 5.1).

`beside` is who supplies `bandersnatch.filter`: nobody, a package as it was before version 8, or the files of the real
8.2 (which want aiohttp, of which nothing is used here).
"""

import json
import shutil
import sys
from textwrap import dedent

import pytest

from frumious.errors import RuleFailed
from frumious.filters.build import UnknownPlugin
from frumious.filters.offer import Offer
from frumious.filters.plugin import Context, Rules
from frumious.filters.rules import Selection
from frumious.filters.sections import sections
from frumious.filters.thirdparty import BadPlugin, find_builders
from frumious.filters.thirdparty.facade import bandersnatch_modules
from frumious.model.names import normalize
from frumious.model.project import File
from support.bandersnatch import real_bandersnatch
from support.plugins import Site

BUILTIN = ("allowlist_project", "latest_release")
GROUPS = {
    kind: f"bandersnatch_filter_plugins.v2.{kind}"
    for kind in ("project", "metadata", "release", "release_file")
}
BASES = {
    "project": "FilterProjectPlugin",
    "metadata": "FilterMetadataPlugin",
    "release": "FilterReleasePlugin",
    "release_file": "FilterReleaseFilePlugin",
}
SPY = '''
from bandersnatch.filter import {base}

class Spy({base}):
    """Writes down what it is shown, then spoils it, and does as [spy] says."""

    name = "spy"
    deprecated_name = "old_spy"
    initialized = 0

    def initialize_plugin(self):
        self.initialized += 1
        section = self.configuration["spy"]
        self.drop = section["Drop"].split("\\n")
        self.seen = []

    def filter(self, metadata):
        self.seen.append(repr(metadata))
        verdict = not any(word in repr(metadata.get(key)) for word in self.drop for key in ("version", "release_file", "info"))
        metadata.pop("info")
        for key in ("releases", "release_file"):
            metadata.get(key, {{}}).clear()
        return verdict
'''
OLDER = {
    "__init__": "",
    "configuration": """
        from configparser import ConfigParser

        class One(type):
            def __call__(cls):
                if not hasattr(cls, "one"):
                    cls.one = super().__call__()
                return cls.one

        class BandersnatchConfig(metaclass=One):
            def __init__(self):
                self.config = ConfigParser(delimiters="=")
                self.config.optionxform = str
                self.config.read_dict({"plugins": {"enabled": "all"}, "spy": {"Drop": "default"}})
        """,
    "filter": """
        from .configuration import BandersnatchConfig

        class Filter:
            name, deprecated_name, older = "filter", "", True

            def __init__(self, *args, **kwargs):
                self.configuration = BandersnatchConfig().config
                if self.name in self.configuration["plugins"]["enabled"].split("\\n"):
                    self.initialize_plugin()

            def initialize_plugin(self):
                pass

            @property
            def allowlist(self):
                return self.configuration["allowlist"]

        class FilterProjectPlugin(Filter): ...
        class FilterMetadataPlugin(Filter): ...
        class FilterReleasePlugin(Filter): ...
        class FilterReleaseFilePlugin(Filter): ...
        """,
}


@pytest.fixture(params=["nothing", "older", "real"])
def beside(request, tmp_path):
    """A directory of packages with this bandersnatch in it."""
    site = Site(tmp_path / "site")
    package = site.directory / "bandersnatch"
    if request.param == "older":
        package.mkdir()
        for module, source in OLDER.items():
            (package / f"{module}.py").write_text(dedent(source))
    elif request.param == "real":
        (installed,) = real_bandersnatch().program.parents[1].glob("lib/python3*/site-packages/bandersnatch")
        shutil.copytree(installed, package, ignore=shutil.ignore_patterns("__pycache__", "tests"))
        for name in ("aiohttp", "aiohttp_socks"):
            stub = "def __getattr__(name):\n    return type(name, (Exception,), {})\n"
            (site.directory / f"{name}.py").write_text(stub)
    with site.visible():
        yield site


@pytest.fixture
def alone(tmp_path):
    """A directory of packages without bandersnatch."""
    site = Site(tmp_path / "site")
    with site.visible():
        yield site


def install(site, kind, source=None, *, name="spy-plugins", module="spy_module", point="spy"):
    source = SPY.format(base=BASES[kind]) if source is None else dedent(source)
    site.install(name, "1.0", {module: source}, {GROUPS[kind]: {point: f"{module}:Spy"}})


def build(*enabled, mirror=None, **values):
    rules = Rules()
    context = Context(sections(**values), frozenset(enabled), mirror=mirror or {})
    for builder in find_builders(enabled, BUILTIN).values():
        builder(context, rules)
    return rules


def selection(rules):
    return Selection(tuple(rules.projects), tuple(rules.offers), tuple(rules.files), tuple(rules.releases))


def plugin(rule):
    """Return what other people wrote, behind guard and adapter."""
    return rule.rule.plugin


def entry(filename):
    return {"filename": filename, "packagetype": "sdist", "upload_time_iso_8601": "2026-01-01T00:00:00Z"}


def snark(*versions, files=None, document=True):
    """Return an offer of a project with a source distribution for each version."""
    names = {version: f"snark-{version}.tar.gz" for version in versions}
    legacy = {
        "info": {"name": "Snark", "version": versions[-1], "classifiers": ["Topic :: Tea"]},
        "releases": {version: [entry(name)] for version, name in names.items()},
        "urls": [],
        "last_serial": 5,
    }
    files = [File(name, f"https://example.org/{name}") for name in (files or names.values())]
    return Offer(normalize("snark"), "Snark", files, 0.0, versions, legacy if document else None)


# ------------------------------------------------- the four kinds of plugins


def test_a_project_plugin_gets_the_name_as_upstream_spells_it(beside):
    install(beside, "project")
    rules = build("spy", spy={"Drop": "Boojum"})

    chosen = selection(rules)

    assert chosen.judge(normalize("snark"), "Snark").keep
    assert str(chosen.judge(normalize("boojum"), "Boojum")) == "spy: the plugin says no"
    assert plugin(rules.projects[0]).seen == ["{'info': {'name': 'Snark'}}", "{'info': {'name': 'Boojum'}}"]
    assert not chosen.needs_document(snark("1.0", document=False))


def test_a_metadata_plugin_gets_the_whole_document(beside):
    install(beside, "metadata")
    rules = build("spy", spy={"Drop": "Topic :: Tea"})
    offer = snark("1.0", "2.0")
    before = json.dumps(offer.document)

    choice = selection(rules).choose(offer)

    assert str(choice.project) == "spy: the plugin says no"
    assert plugin(rules.offers[0]).seen == [repr(json.loads(before))]
    assert json.dumps(offer.document) == before
    assert selection(rules).needs_document(snark("1.0", document=False))


def test_a_release_plugin_is_asked_for_each_release_and_sees_those_left(beside):
    install(beside, "release")
    rules = build("spy", spy={"Drop": "1.0\n2.0"})
    offer = snark("1.0", "2.0", "3.0")
    before = json.dumps(offer.document)

    choice = selection(rules).choose(offer)

    assert {release: str(verdict) for release, verdict in choice.releases.items()} == {
        "1.0": "spy: the plugin says no",
        "2.0": "spy: the plugin says no",
    }
    assert choice.files.keys() == {"snark-1.0.tar.gz", "snark-2.0.tar.gz"}
    shown = [eval(text) for text in plugin(rules.releases[0]).seen]  # noqa: S307 - repr of plain values
    assert [metadata["version"] for metadata in shown] == ["1.0", "2.0", "3.0"]
    assert [list(metadata["releases"]) for metadata in shown] == [
        ["1.0", "2.0", "3.0"],
        ["2.0", "3.0"],
        ["3.0"],
    ]
    assert shown[0]["releases"]["2.0"] == [entry("snark-2.0.tar.gz")]
    assert {metadata["info"]["name"] for metadata in shown} == {"Snark"}
    assert json.dumps(offer.document) == before


def test_a_release_file_plugin_gets_the_file_as_the_legacy_json_has_it(beside):
    install(beside, "release_file")
    rules = build("spy", spy={"Drop": "snark-2.0"})
    offer = snark("1.0", "2.0")
    before = json.dumps(offer.document)

    choice = selection(rules).choose(offer)

    assert {name: str(verdict) for name, verdict in choice.files.items()} == {
        "snark-2.0.tar.gz": "spy: the plugin says no"
    }
    assert eval(plugin(rules.files[0]).seen[0]) == {  # noqa: S307 - repr of plain values
        "info": offer.document["info"],
        "release": "1.0",
        "release_file": entry("snark-1.0.tar.gz"),
    }
    assert json.dumps(offer.document) == before


def test_the_group_says_what_is_judged_whatever_the_base_class(beside):
    site_source = SPY.format(base="FilterMetadataPlugin")  # as bandersnatch-updated-plugin has it
    install(beside, "release_file", site_source)

    rules = build("spy", spy={"Drop": "nothing"})

    assert (len(rules.files), len(rules.offers)) == (1, 0)


# ------------------------------------------------------------ configuration


def test_a_plugin_reads_the_whole_configuration(beside):
    install(
        beside,
        "project",
        """
        from bandersnatch.configuration import BandersnatchConfig
        from bandersnatch.filter import Filter, FilterProjectPlugin

        AT_IMPORT = BandersnatchConfig()

        class Spy(FilterProjectPlugin, Filter):
            name = "spy"

            def initialize_plugin(self):
                one = BandersnatchConfig()
                assert one is AT_IMPORT
                config = getattr(one, "config", one)
                assert config["spy"]["Key"] == "100%"
                assert config.get("mirror", "directory") == "/srv/pypi"
                assert config.getint("spy", "depth", fallback=3) == 3
                assert config["plugins"]["enabled"].split("\\n") == ["latest_release", "spy"]
                assert self.allowlist["packages"].split("\\n") == ["six", "requests>=2"]
                assert "defaults" not in config
                self.settings = dict(self.configuration["spy"])

            def filter(self, metadata):
                return self.configuration["spy"]["Key"] == "100%" and bool(self.settings)
        """,
    )

    rules = build(
        "spy", "latest_release",
        mirror={"directory": "/srv/pypi"}, spy={"Key": "100%"}, allowlist={"packages": "six\nrequests>=2"},
    )  # fmt: skip

    assert rules.projects[0].judge(normalize("snark"), "Snark").keep


def test_a_second_configuration_replaces_the_first(beside):
    install(beside, "project")
    build("spy", spy={"Drop": "Snark"}, other={"a": "b"})

    rules = build("spy", spy={"Drop": "Boojum"})

    assert rules.projects[0].judge(normalize("snark"), "Snark").keep
    assert "other" not in plugin(rules.projects[0]).configuration


def test_a_plugin_is_initialized_once(beside):
    install(beside, "project")

    rules = build("spy", spy={"Drop": ""})

    assert plugin(rules.projects[0]).initialized == 1


def test_a_plugin_answers_to_its_deprecated_name(alone):
    install(alone, "project")

    rules = build("old_spy", spy={"Drop": "Snark"})

    assert str(rules.projects[0].judge(normalize("snark"), "Snark")) == "spy: the plugin says no"


def test_a_plugin_enabled_by_both_of_its_names_is_there_once(alone):
    install(alone, "project")

    for enabled in (["spy", "old_spy"], ["old_spy", "spy"]):
        assert len(build(*enabled, spy={"Drop": "Snark"}).projects) == 1


def test_the_fingerprint_changes_with_any_filter_setting_and_the_version(alone):
    install(alone, "metadata")

    def fingerprint(**values):
        return build("spy", spy={"Drop": "x"}, **values).offers[0].fingerprint

    assert fingerprint() == fingerprint()
    assert fingerprint() != fingerprint(allowlist={"packages": "six"})
    assert "spy (spy-plugins 1.0)" in fingerprint()


# ------------------------------------------------------- what may be missing


@pytest.mark.parametrize(
    ("kind", "rule"), [("metadata", "offers"), ("release", "releases"), ("release_file", "files")]
)
def test_without_a_document_the_project_fails(alone, kind, rule):
    install(alone, kind)
    rules = build("spy", spy={"Drop": "x"})

    with pytest.raises(
        RuleFailed, match=r"the rule spy \(spy-plugins 1\.0\) failed: upstream has no legacy JSON"
    ):
        selection(rules).choose(snark("1.0", document=False))


@pytest.mark.parametrize("kind", ["metadata", "release", "release_file"])
def test_a_project_without_files_has_no_document_to_judge(alone, kind):
    install(alone, kind)
    rules = build("spy", spy={"Drop": "x"})

    assert selection(rules).choose(Offer(normalize("snark"), "Snark", (), 0.0)).project.keep


def test_a_file_that_the_document_does_not_know_fails_the_project(alone):
    install(alone, "release_file")
    rules = build("spy", spy={"Drop": "x"})

    with pytest.raises(RuleFailed, match=r"legacy JSON does not know snark-9\.tar\.gz"):
        selection(rules).choose(snark("1.0", files=["snark-9.tar.gz"]))


def test_a_plugin_that_raises_fails_the_project(beside):
    install(beside, "metadata", "from bandersnatch.filter import *\nclass Spy(FilterMetadataPlugin):\n    name = 'spy'\n"
            "    def filter(self, metadata):\n        return metadata['no such key']\n")  # fmt: skip

    with pytest.raises(
        RuleFailed, match=r"^the rule spy \(spy-plugins 1\.0\) failed: KeyError: 'no such key'$"
    ):
        selection(build("spy")).choose(snark("1.0"))


# ------------------------------------------------------------------ finding


def test_nothing_is_imported_for_a_name_that_is_known(alone):
    install(alone, "project", "raise RuntimeError")
    alone.install(
        "ours",
        "1.0",
        {"ours_module": "def build(context, rules): ..."},
        {"frumious.filters": {"ours": "ours_module:build"}},
    )

    assert list(find_builders(["latest_release", "ours"], BUILTIN)) == ["ours"]
    assert "spy_module" not in sys.modules


def test_ours_comes_before_theirs(alone):
    install(alone, "project", "raise RuntimeError")
    alone.install(
        "spy-ours",
        "1.0",
        {"ours_module": "def build(context, rules): ..."},
        {"frumious.filters": {"spy": "ours_module:build"}},
    )

    assert list(find_builders(["spy"], BUILTIN)) == ["spy"]


def test_bandersnatchs_own_plugins_are_left_alone(alone):
    group = GROUPS["release"]
    alone.install(
        "Bandersnatch", "8.2.0", {"theirs": "raise RuntimeError"}, {group: {"regex_release": "theirs:Spy"}}
    )
    alone.install(
        "fork", "1.0", {"fork_module": "raise RuntimeError"}, {group: {"latest_release": "fork_module:Spy"}}
    )

    with pytest.raises(UnknownPlugin, match=r"^there is no plugin 'regex_release'$"):
        find_builders(["regex_release"], BUILTIN)


def test_a_plugin_of_two_groups_is_built_of_both(alone):
    source = "from bandersnatch.filter import Filter\nclass Spy(Filter):\n    name = 'spy'\n"
    points = {GROUPS["project"]: {"one": "spy_module:Spy"}, GROUPS["release"]: {"two": "spy_module:Spy"}}
    alone.install("spy-plugins", "1.0", {"spy_module": source}, points)

    rules = build("spy")

    assert (len(rules.projects), len(rules.releases)) == (1, 1)


def test_one_name_of_two_distributions_is_refused(alone):
    install(alone, "project")
    install(alone, "release", name="other-plugins", module="other_module")

    with pytest.raises(
        BadPlugin, match=r"^spy is the name of a plugin of other-plugins 1\.0 and spy-plugins 1\.0$"
    ):
        build("spy", spy={"Drop": "x"})


def test_a_broken_plugin_is_named_with_its_reason(beside):
    install(beside, "project", "import no_such_module")

    with pytest.raises(BadPlugin) as caught:
        build("spy")

    assert caught.value.problem == (
        "spy (spy-plugins 1.0) cannot be imported: ModuleNotFoundError: No module named 'no_such_module'"
    )
    assert caught.value.hint == "install what it needs"


def test_a_broken_plugin_that_nobody_asked_for_is_no_harm(alone):
    install(alone, "project")
    install(
        alone, "project", "raise RuntimeError", name="other-plugins", module="other_module", point="other"
    )

    assert len(build("spy", spy={"Drop": "x"}).projects) == 1


def test_a_broken_plugin_may_be_the_one_that_is_missing(alone):
    install(alone, "project", "raise RuntimeError('moon')", point="spy_entry_point")

    with pytest.raises(
        BadPlugin, match=r"^spy_entry_point .* RuntimeError: moon, and 'spy' may be another name of it$"
    ):
        build("spy")


def test_a_broken_half_of_a_plugin_is_an_error(alone):
    points = {GROUPS["project"]: {"spy": "spy_module:Spy"}, GROUPS["release"]: {"more": "spy_more:Spy"}}
    sources = {"spy_module": SPY.format(base="FilterProjectPlugin"), "spy_more": "raise RuntimeError"}
    alone.install("spy-plugins", "1.0", sources, points)

    with pytest.raises(BadPlugin, match=r"^more .* cannot be imported: RuntimeError$"):
        build("spy", spy={"Drop": "x"})


@pytest.mark.parametrize("module", ["bandersnatch.utils", "bandersnatch_filter_plugins.allowlist_name"])
def test_what_only_the_real_package_has_is_said(alone, module):
    install(alone, "project", f"import {module}")

    with pytest.raises(BadPlugin, match="cannot be imported: ModuleNotFoundError") as caught:
        build("spy")

    assert "if bandersnatch is installed too" in caught.value.hint


def test_a_plugin_that_cannot_read_its_settings_is_named(beside):
    install(beside, "project")

    with pytest.raises(
        BadPlugin, match=r"^spy \(spy-plugins 1\.0\) cannot be set up: KeyError: 'spy'$"
    ) as caught:
        build("spy")

    assert caught.value.plugin == "spy"


def test_the_stand_ins_are_gone_afterwards(alone):
    install(alone, "project")
    build("spy", spy={"Drop": "x"})

    assert not [name for name in sys.modules if name.split(".")[0] == "bandersnatch"]
    with pytest.raises(ModuleNotFoundError):
        import bandersnatch.filter  # noqa: F401


def test_a_directory_called_bandersnatch_is_not_the_package(alone):
    (alone.directory / "bandersnatch" / "data").mkdir(parents=True)
    install(alone, "project")

    assert len(build("spy", spy={"Drop": "x"}).projects) == 1


def test_the_stand_in_keeps_the_contract(alone):
    with bandersnatch_modules():
        import bandersnatch.filter as theirs

        class Plugin(theirs.FilterReleaseFilePlugin):
            name = "not enabled"

        made = Plugin()

    assert [
        base.name
        for base in (theirs.FilterProjectPlugin, theirs.FilterMetadataPlugin, theirs.FilterReleasePlugin)
    ]
    assert made.deprecated_name == ""
    assert made.check_match(name="x") is made.filter({}) is made.pinned_version_exists({}) is False
    with pytest.raises(KeyError):
        _ = made.blocklist
