"""Plugins that were written for us, by their entry points; docs/plugins.md is what they are promised."""

import sys
from textwrap import dedent

import pytest

from frumious.errors import RuleFailed
from frumious.filters.build import UnknownPlugin
from frumious.filters.offer import Offer
from frumious.filters.plugin import Context, Rules
from frumious.filters.rules import Selection, Verdict
from frumious.filters.sections import BadSetting, sections
from frumious.filters.thirdparty import BadPlugin, find_builders
from frumious.filters.thirdparty.guard import add_guarded
from frumious.filters.thirdparty.origin import Origin
from frumious.model.names import normalize
from frumious.model.project import File
from support.plugins import Site

BUILTIN = ("allowlist_project", "latest_release")
GROUP = "frumious.filters"
ORIGIN = Origin("tulgey", "tulgey-plugins", "1.0")
WHEEL = File("snark-1.0-py3-none-any.whl", "https://example.org/snark-1.0-py3-none-any.whl")

PLAIN = dedent(
    """
    from frumious.filters.rules import Verdict

    class Small:
        name, fingerprint, needs_document = "tulgey", "small", False

        def judge_file(self, offer, file):
            return Verdict(keep=False, reason="not small")

    def build(context, rules):
        rules.files.append(Small())
    """
)


@pytest.fixture
def site(tmp_path):
    site = Site(tmp_path / "site")
    with site.visible():
        yield site


def offer(name="snark", files=(WHEEL,), **facts):
    return Offer(normalize(name), name, files, 0.0, **facts)


def built(enabled, **values):
    rules = Rules()
    for build in find_builders(enabled, BUILTIN).values():
        build(Context(sections(**values), frozenset(enabled)), rules)
    return rules


# ------------------------------------------------------------------ finding


def test_a_plugin_is_found_by_the_name_of_its_entry_point(site):
    site.install("tulgey-plugins", "1.0", {"tulgey_a": PLAIN}, {GROUP: {"tulgey": "tulgey_a:build"}})

    rules = built(["allowlist_project", "tulgey"])

    verdict = rules.files[0].judge_file(offer(), WHEEL)
    assert str(verdict) == "tulgey: not small"


def test_nothing_is_looked_for_where_nothing_is_enabled():
    assert find_builders([], BUILTIN) == {}
    assert find_builders(["allowlist_project"], BUILTIN) == {}


def test_only_what_is_enabled_is_imported(site):
    site.install(
        "tulgey-plugins", "1.0", {"tulgey_b": PLAIN, "tulgey_c": "raise RuntimeError"},
        {GROUP: {"tulgey": "tulgey_b:build", "broken": "tulgey_c:build"}},
    )  # fmt: skip

    assert list(find_builders(["tulgey"], BUILTIN)) == ["tulgey"]
    assert "tulgey_b" in sys.modules
    assert "tulgey_c" not in sys.modules


def test_a_name_that_nobody_has_is_refused(site):
    site.install("tulgey-plugins", "1.0", {}, {GROUP: {"tulgey": "nothing:build"}})

    with pytest.raises(UnknownPlugin, match="there is no plugin 'tulgy'") as caught:
        find_builders(["tulgy"], BUILTIN)

    assert (caught.value.section, caught.value.key, caught.value.plugin) == ("plugins", "enabled", "tulgy")
    assert caught.value.hint == "did you mean `tulgey`?"


def test_a_builtin_name_is_not_to_be_had(site):
    site.install("tulgey-plugins", "1.0", {}, {GROUP: {"latest_release": "nothing:build"}})

    with pytest.raises(BadPlugin, match=r"^latest_release is built in, and tulgey-plugins 1\.0 has a plugin"):
        find_builders(["latest_release"], BUILTIN)
    assert find_builders(["allowlist_project"], BUILTIN) == {}, "it is not enabled"


def test_two_distributions_with_one_name_are_both_named(site):
    for name in ("tulgey-plugins", "other-plugins"):
        site.install(name, "1.0", {}, {GROUP: {"tulgey": "nothing:build"}})

    with pytest.raises(
        BadPlugin, match=r"^tulgey is the name of a plugin of other-plugins 1\.0 and tulgey-plugins 1\.0$"
    ):
        find_builders(["tulgey"], BUILTIN)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise RuntimeError('two\\nlines')", "RuntimeError: two lines"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("def", "SyntaxError: "),
        ("", "AttributeError: "),
    ],
)
def test_what_cannot_be_imported_is_one_clear_error(site, source, said):
    site.install("tulgey-plugins", "1.0", {"tulgey_d": source}, {GROUP: {"tulgey": "tulgey_d:build"}})

    with pytest.raises(BadPlugin) as caught:
        find_builders(["tulgey"], BUILTIN)

    assert caught.value.problem.startswith(f"tulgey (tulgey-plugins 1.0) cannot be imported: {said}")
    assert "\n" not in caught.value.problem


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("build = 3", "cannot be used: tulgey_e:build is no function of (Context, Rules)"),
        ("def build(context, rules): {}['key']", "cannot be set up: KeyError: 'key'"),
        ("def build(): pass", "cannot be set up: TypeError: "),
        ("def build(context, rules): pass", "adds no rule, so it would do nothing"),
        ("def build(context, rules): rules.files.append(3)", "cannot be set up: TypeError: int has no method"),
        ("def build(context, rules): rules.releases.append(3)", "cannot be set up: TypeError: int has no method"),
        (PLAIN.replace('"small"', "None"), "cannot be set up: TypeError: the fingerprint of Small is None, not text"),
        (PLAIN.replace("needs_document", "other"), "cannot be set up: AttributeError: "),
    ],
)  # fmt: skip
def test_what_cannot_be_built_is_one_clear_error(site, source, said):
    site.install("tulgey-plugins", "1.0", {"tulgey_e": source}, {GROUP: {"tulgey": "tulgey_e:build"}})

    with pytest.raises(BadPlugin) as caught:
        built(["tulgey"])

    assert caught.value.problem.startswith(f"tulgey (tulgey-plugins 1.0) {said}")


def test_a_bad_setting_keeps_its_place(site):
    source = dedent(
        """
        def build(context, rules):
            entry = context.sections.one("tulgey", "depth")
            raise context.sections.bad("tulgey", "depth", entry, "too deep")
        """
    )
    site.install("tulgey-plugins", "1.0", {"tulgey_f": source}, {GROUP: {"tulgey": "tulgey_f:build"}})

    with pytest.raises(BadSetting, match="too deep") as caught:
        built(["tulgey"], tulgey={"depth": "9"})

    assert (caught.value.section, caught.value.key, caught.value.line) == ("tulgey", "depth", 1)


# ------------------------------------------------------------------ judging


class Rule:
    """A rule of all four kinds that answers with what it is told, or raises it."""

    name, fingerprint, needs_document, is_last = "anything", "text", False, False
    only = None

    def __init__(self, answer):
        self.answer = answer

    def judge(self, name, display):
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer

    def judge_project(self, offer):
        return self.judge("", "")

    def judge_file(self, offer, file):
        return self.judge("", "")

    def judge_releases(self, offer, releases):
        return dict.fromkeys(releases, self.judge("", ""))

    def decides_alone(self, name):
        return bool(self.judge("", ""))


def selection(**found):
    rules = Rules()
    add_guarded(ORIGIN, Rules(**found), rules)
    return Selection(tuple(rules.projects), tuple(rules.offers), tuple(rules.files), tuple(rules.releases))


KINDS = pytest.mark.parametrize("kind", ["projects", "offers", "files", "releases"])


@KINDS
@pytest.mark.parametrize("error", [KeyError("depth"), SystemExit(1), RecursionError()])
def test_a_rule_that_raises_fails_the_project_and_is_named(kind, error):
    rules = selection(**{kind: [Rule(error)]})

    with pytest.raises(RuleFailed) as caught:
        rules.choose(offer())

    assert str(caught.value).startswith(
        f"the rule tulgey (tulgey-plugins 1.0) failed: {type(error).__name__}"
    )
    assert caught.value.kind == "rule-failed"
    assert not caught.value.may_retry


@KINDS
@pytest.mark.parametrize(
    ("answer", "said"), [(True, "its answer is True, not a Verdict"), (Verdict(True, "", until="noon"), "`until` is 'noon'")]
)  # fmt: skip
def test_an_answer_that_is_no_verdict_fails_the_project(kind, answer, said):
    rules = selection(**{kind: [Rule(answer)]})

    with pytest.raises(RuleFailed, match=said):
        rules.choose(offer())


@KINDS
def test_a_rule_may_say_that_it_cannot_judge(kind):
    rules = selection(**{kind: [Rule(RuleFailed("tulgey", "the list is too old"))]})

    with pytest.raises(
        RuleFailed, match=r"^the rule tulgey \(tulgey-plugins 1\.0\) failed: the list is too old$"
    ):
        rules.choose(offer())


def test_an_interrupt_is_nobodys_failure():
    rules = selection(files=[Rule(KeyboardInterrupt())])

    with pytest.raises(KeyboardInterrupt):
        rules.choose(offer())


def test_a_rule_on_names_that_raises_neither_ends_the_planning_nor_drops_the_project():
    rules = selection(projects=[Rule(ValueError("odd name"))])

    assert rules.keeps("Snark") == "snark"


@KINDS
def test_a_verdict_bears_the_name_in_enabled(kind):
    rules = selection(**{kind: [Rule(Verdict(keep=False, reason="slithy", until=5.0))]})

    choice = rules.choose(offer())

    verdicts = [choice.project, *choice.files.values(), *choice.releases.values()]
    assert {str(v) for v in verdicts if not v.keep} == {"tulgey: slithy"}
    assert choice.until == 5.0
    if kind == "projects":
        assert str(rules.judge(normalize("snark"))) == "tulgey: slithy"


@KINDS
def test_a_fingerprint_changes_with_the_version_of_the_plugin(kind):
    def fingerprints(version):
        rules = Rules()
        add_guarded(Origin("tulgey", "tulgey-plugins", version), Rules(**{kind: [Rule(None)]}), rules)
        return [rule.fingerprint for rule in getattr(rules, kind)]

    assert fingerprints("1.0") == fingerprints("1.0") != fingerprints("1.1")


def test_names_that_a_rule_lists_are_normalized():
    rule = Rule(Verdict(keep=True, reason=""))
    rule.only = {"Snark.Hunt", "boojum"}

    assert selection(projects=[rule]).only == {"snark-hunt", "boojum"}
