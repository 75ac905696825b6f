"""The real program with plugins of other people: the example of docs/plugins.md, and one that is on PyPI.

FRUMIOUS_NO_PYPI=1 switches off what has to be fetched; where it cannot be, that is skipped and said.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from textwrap import dedent

import pytest

from support.index import SimulatedIndex, serve
from support.plugins import Site
from support.program import Mirror, run

ROOT = Path(__file__).parents[2]
PUBLISHED = "bandersnatch-updated-plugin"
PROJECT, RELEASE_FILE = (f"bandersnatch_filter_plugins.v2.{kind}" for kind in ("project", "release_file"))


def shown(language: str) -> str:
    """Return the one block of this language in docs/plugins.md."""
    page = (ROOT / "docs/plugins.md").read_text(encoding="utf-8")
    (block,) = re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return block


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path / "site")


@pytest.fixture
def mirror(tmp_path):
    """`snark` with and without provenance, `six` without."""
    index = SimulatedIndex(now=datetime.now(UTC) - timedelta(days=1))
    index.upload("snark", "1.0")
    index.upload("snark", "2.0", provenance=b"{}")
    index.upload("six", "1.0")
    with serve(index) as served:
        yield Mirror(tmp_path, served)


def mirrored(mirror: Mirror) -> dict[str, list[str]]:
    """Return the files on each page, without the ends of their names."""
    pages = sorted((mirror.directory / "web/simple").glob("*/index.v1_json"))
    names = [page.parent.name for page in pages]
    return {
        name: [file["filename"].removesuffix("-py3-none-any.whl") for file in mirror.page(name)["files"]]
        for name in names
    }


def do(mirror: Mirror, site: Site, configuration: str) -> subprocess.CompletedProcess[str]:
    mirror.write(dedent(configuration))
    return run("-c", mirror.config, "mirror", env=mirror.env | site.env())


# ------------------------------------------------------------------------------ the example of the page


def install_example(site: Site) -> None:
    project = tomllib.loads(shown("toml"))["project"]
    (module,) = {
        value.partition(":")[0] for points in project["entry-points"].values() for value in points.values()
    }
    site.install(project["name"], project["version"], {module: shown("python")}, project["entry-points"])


def test_the_example_runs_as_it_is_shown(mirror, site):
    install_example(site)

    done = do(mirror, site, shown("ini"))

    assert done.returncode == 0, done.stderr
    assert mirrored(mirror) == {"six": ["six-1.0"], "snark": ["snark-2.0"]}


def test_the_example_refuses_a_bad_setting(mirror, site):
    install_example(site)

    done = do(mirror, site, shown("ini").replace("six", "a six"))

    assert done.returncode == 2
    assert "[with_provenance] except: 'a six' is not the name of a project" in done.stderr
    assert f"{mirror.config}:" in done.stderr
    assert not mirror.directory.exists()


def test_the_example_is_typed(tmp_path):
    (tmp_path / "with_provenance.py").write_text(shown("python"))

    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", tmp_path / "with_provenance.py"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout


# ------------------------------------------------------------------------------ what may go wrong

ENABLED = """
    [plugins]
    enabled =
        weekday
    """


def test_a_plugin_that_is_not_there_is_one_clear_error(mirror, site):
    done = do(mirror, site, ENABLED)

    assert done.returncode == 2
    assert "there is no plugin 'weekday'" in done.stderr
    assert_clear(mirror, done)


def test_a_plugin_that_cannot_be_imported_is_one_clear_error(mirror, site):
    points = {"frumious.filters": {"weekday": "weekday_plugin:build"}}
    site.install("weekdays", "2.1", {"weekday_plugin": "import no_such_module"}, points)

    done = do(mirror, site, ENABLED)

    assert done.returncode == 2
    assert (
        "weekday (weekdays 2.1) cannot be imported: ModuleNotFoundError: No module named 'no_such_module'"
        in done.stderr
    )
    assert_clear(mirror, done)


def assert_clear(mirror: Mirror, done: subprocess.CompletedProcess[str]) -> None:
    line = mirror.config.read_text().splitlines().index("    weekday") + 1
    assert f"{mirror.config}:{line}: [plugins] enabled: " in done.stderr
    assert "Traceback" not in done.stderr
    assert not mirror.directory.exists()


@pytest.mark.parametrize("kind", ["project", "file"])
def test_a_rule_that_raises_is_one_projects_failure(mirror, site, kind):
    source = """
        from frumious.filters.rules import KEEP

        class Rule:
            name, fingerprint, only, needs_document = "weekday", "none", None, False

            def judge(self, name, display):
                return {"six": KEEP}[name]

            def judge_file(self, offer, file):
                return self.judge(offer.name, offer.display)

        def build(context, rules):
            rules.KINDs.append(Rule())
        """
    points = {"frumious.filters": {"weekday": "weekday_plugin:build"}}
    site.install("weekdays", "2.1", {"weekday_plugin": dedent(source).replace("KIND", kind)}, points)

    done = do(mirror, site, ENABLED)

    assert done.returncode not in {0, 2}
    assert "the rule weekday (weekdays 2.1) failed: KeyError: 'snark'" in done.stderr
    assert "Traceback" not in done.stderr
    assert mirrored(mirror) == {"six": ["six-1.0"]}


# ------------------------------------------------------------------------------ bandersnatch's plugins


def test_a_plugin_written_for_bandersnatch_runs(mirror, site):
    source = """
        from bandersnatch.filter import FilterProjectPlugin, FilterReleaseFilePlugin

        class ShortNames(FilterProjectPlugin):
            name = "short_names"

            def initialize_plugin(self):
                self.longest = self.configuration.getint("short_names", "longest")

            def filter(self, metadata):
                return len(metadata["info"]["name"]) <= self.longest

        class NotOne(FilterReleaseFilePlugin):
            name = "not_one"

            def filter(self, metadata):
                assert metadata["release_file"]["filename"].endswith(".whl")
                return metadata["release"] != "1.0"
        """
    points = {PROJECT: {"a": "short:ShortNames"}, RELEASE_FILE: {"b": "short:NotOne"}}
    site.install("short-names", "1.0", {"short": dedent(source)}, points)

    done = do(
        mirror,
        site,
        """
        [plugins]
        enabled =
            short_names
            not_one
        [short_names]
        longest = 4
        """,
    )
    assert done.returncode == 0, done.stderr
    assert mirrored(mirror) == {"six": []}

    done = do(mirror, site, "[plugins]\nenabled =\n    short_names\n[short_names]\nlongest = 5")
    assert done.returncode == 0, done.stderr
    assert mirrored(mirror) == {"six": ["six-1.0"], "snark": ["snark-1.0", "snark-2.0"]}


def test_a_plugin_written_for_bandersnatch_may_read_the_mirrors_settings(mirror, site):
    source = """
        from bandersnatch.filter import FilterProjectPlugin

        class Elsewhere(FilterProjectPlugin):
            name = "elsewhere"

            def initialize_plugin(self):
                assert self.configuration["mirror"]["directory"].endswith("/mirror")
                assert self.configuration["mirror"]["workers"] == "3"

            def filter(self, metadata):
                return True
        """
    site.install("elsewhere", "1.0", {"elsewhere": dedent(source)}, {PROJECT: {"a": "elsewhere:Elsewhere"}})

    done = do(mirror, site, "[plugins]\nenabled = elsewhere")

    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A real plugin, without what it depends on: bandersnatch."""
    if os.environ.get("FRUMIOUS_NO_PYPI", "") not in {"", "0"}:
        pytest.skip(f"FRUMIOUS_NO_PYPI is set, so {PUBLISHED} is NOT tested")
    if find_spec("dateutil") is None:
        pytest.skip(f"there is no python-dateutil, so {PUBLISHED} is NOT tested")
    site = Site(tmp_path_factory.mktemp("published") / "site")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", site.directory, f"{PUBLISHED}==0.1.0"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    if done.returncode != 0:
        pytest.skip(f"{PUBLISHED} cannot be had ({done.stderr.strip()[-200:]}), so it is NOT tested")
    return site


@pytest.mark.real_pypi
def test_a_published_plugin_runs(mirror, published):
    index = mirror.index
    index.upload("snark", "0.1", "snark-0.1.tar.gz", upload_time="2020-01-01T00:00:00.000000Z")

    done = do(mirror, published, "[plugins]\nenabled = updated\n\n[updated]\nmaximum_days_old = 30\n")

    assert done.returncode == 0, done.stderr
    assert mirrored(mirror) == {"six": ["six-1.0"], "snark": ["snark-1.0", "snark-2.0"]}


@pytest.mark.real_pypi
def test_a_published_plugin_without_its_section_fails_project_by_project(mirror, published):
    done = do(mirror, published, "[plugins]\nenabled = updated\n")

    assert done.returncode not in {0, 2}
    assert "the rule updated (bandersnatch-updated-plugin 0.1.0) failed: AttributeError: " in done.stderr
    assert mirrored(mirror) == {}
