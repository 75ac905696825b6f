"""What the port promises (`frumious.search.base`), of the engine over real files."""

import asyncio
import random
import shutil
import subprocess
import sys
import tempfile

import pytest

from frumious.errors import (
    FrumiousError,
    SearchIndexAbsent,
    SearchIndexBroken,
    SearchIndexLocked,
)
from frumious.model.names import normalize
from frumious.search.base import DEPTH, Query
from frumious.search.fields import FORMAT
from frumious.search.tantivy import TantivyIndex
from support.searching import entry, make_index, names, search


def run(coroutine):
    return asyncio.run(coroutine)


def files(directory):
    return {
        str(path.relative_to(directory)): (path.stat().st_mtime_ns, path.stat().st_ino)
        for path in directory.rglob("*")
    }


@pytest.fixture
def index(tmp_path):
    return make_index(
        tmp_path / "search", [entry("six", "Compatibility"), entry("idna", "Domain names")], position=3
    )


# ------------------------------------------------------------------ reading


def test_all_that_is_shown_of_a_project(tmp_path):
    said = entry("PyYAML", "YAML\n  parser\x00 and " + "long " * 200, version="6.0", modified=1_700_000_000)

    (hit,) = search(make_index(tmp_path, [said]), "pyyaml").hits

    assert (hit.name, hit.display, hit.version, hit.modified) == ("pyyaml", "PyYAML", "6.0", 1_700_000_000)
    assert hit.summary.startswith("YAML parser and long")
    assert hit.summary.endswith("…")
    assert 500 < len(hit.summary) <= 512


def test_keywords_author_and_topics_find_a_project(tmp_path):
    said = entry(
        "jabberwock",
        keywords=["vorpal", "blade"],
        author="Lewis Carroll",
        classifiers=["Topic :: Games/Entertainment :: Slaying", "License :: OSI Approved :: MIT License"],
    )
    index = make_index(tmp_path, [said, entry("other")])

    for words in ("vorpal", "carroll", "slaying", "slay vorpal", "jabberwock carroll"):
        assert names(index, words) == ["jabberwock"]
    assert names(index, "approved") == []


def test_classifiers_narrow_a_query_and_are_one(tmp_path):
    kinds = {
        "sqlite-tool": ["Topic :: Database :: Front-Ends", "Environment :: Console"],
        "sqlite-web": ["Topic :: Database"],
        "sqlite": [],
    }
    index = make_index(
        tmp_path, [entry(name, classifiers=said, downloads=len(said)) for name, said in kinds.items()]
    )

    assert names(index, "sqlite", classifiers=["Topic :: Database"]) == ["sqlite-tool", "sqlite-web"]
    assert names(index, "sqlite", classifiers=["Topic :: Database", "Environment :: Console"]) == [
        "sqlite-tool"
    ]
    assert names(index, "", classifiers=["Topic :: Database"]) == ["sqlite-tool", "sqlite-web"]
    assert names(index, "web", classifiers=["Topic"]) == ["sqlite-web"]
    assert names(index, "", classifiers=["Topic :: Data"]) == []


def test_no_page_is_deeper_than_the_limit(tmp_path):
    index = make_index(tmp_path, [entry(f"many-{number}") for number in range(DEPTH + 50)])

    last = search(index, "many", offset=DEPTH - 5, limit=20)

    assert (len(last.hits), last.total, last.is_exact) == (5, DEPTH + 50, False)
    assert list(search(index, "many", offset=DEPTH, limit=20).hits) == []


def test_a_page_of_nothing_is_a_mistake():
    for wrong in ({"offset": -1}, {"limit": 0}):
        with pytest.raises(ValueError, match="offset"):
            Query("six", **wrong)


def test_entries_of_any_length_and_any_characters_are_taken(tmp_path):
    odd = entry(
        "odd",
        "\ud800\x00" * 100_000,
        version="\x00" * 5000,
        keywords=["k" * 100_000] * 1000,
        author="\ufdfa" * 100_000,
        classifiers=["Topic :: " + "x" * 100_000, "\ud800"] * 1000,
        downloads=2**80,
    )
    longest = entry("n" * 250, downloads=-5)
    index = make_index(tmp_path, [odd, longest])

    assert names(index, "odd") == ["odd"]
    assert names(index, "n" * 250) == ["n" * 250]
    assert names(index, "n" * 200) == ["n" * 250]


def test_reading_writes_nothing_there_and_leaves_nothing_elsewhere(index, tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    before = files(tmp_path / "search")

    for _ in range(60):
        assert names(TantivyIndex(tmp_path / "search"), "six") == ["six"]

    assert files(tmp_path / "search") == before
    assert list(scratch.iterdir()) == []


def test_many_ask_at_once(index):
    async def ask():
        return await asyncio.gather(*(index.search(Query("six")) for _ in range(200)))

    assert {hit.name for results in run(ask()) for hit in results.hits} == {"six"}


# ------------------------------------------------------------------ writing


def test_projects_are_put_replaced_and_removed_and_the_position_moves(index):
    assert (run(index.position()), run(index.projects())) == (3, 2)

    run(
        index.apply(
            [entry("six", "Python 2 and 3"), entry("attrs")], [normalize("idna"), normalize("nobody")], 7
        )
    )

    assert (run(index.position()), run(index.projects())) == (7, 2)
    assert names(index, "compatibility") == []
    assert names(index, "six") == ["six"]
    assert names(index, "idna") == []
    assert names(index, "attrs") == ["attrs"]


def test_what_is_both_put_and_removed_is_gone(index):
    run(index.apply([entry("six")], [normalize("six")], 4))

    assert names(index, "six") == []


def test_a_change_of_nothing_moves_the_position(index):
    run(index.apply([], [], 9))

    assert (run(index.position()), run(index.projects())) == (9, 2)


def test_another_object_sees_what_was_written(index, tmp_path):
    reader = TantivyIndex(tmp_path / "search")
    assert names(reader, "attrs") == []

    run(index.apply([entry("attrs")], [], 4))

    assert (names(reader, "attrs"), run(reader.position())) == (["attrs"], 4)


def test_changes_of_one_object_wait_for_each_other(index):
    async def change():
        await asyncio.gather(*(index.apply([entry(f"p{number}")], [], number) for number in range(5)))

    run(change())

    assert run(index.projects()) == 7


def test_two_writers_do_not_mix(index, tmp_path):
    async def rebuild_and_write():
        async def batches():
            yield [entry("attrs")]
            with pytest.raises(SearchIndexLocked) as told:
                await TantivyIndex(tmp_path / "search").apply([entry("six")], [], 5)
            assert told.value.may_retry
            yield [entry("wheel")]

        await index.rebuild(batches(), 8)

    run(rebuild_and_write())

    assert run(index.projects()) == 2


def test_until_a_rebuilt_index_is_whole_the_earlier_one_answers(index, tmp_path):
    reader = TantivyIndex(tmp_path / "search")

    async def rebuild():
        async def batches():
            yield [entry("attrs")]
            assert [hit.name for hit in (await reader.search(Query("six"))).hits] == ["six"]
            assert await reader.position() == 3
            yield [entry("wheel")]

        await index.rebuild(batches(), 8)

    run(rebuild())

    assert (names(reader, "six"), names(reader, "wheel"), run(reader.position())) == ([], ["wheel"], 8)


def test_what_goes_wrong_while_it_is_rebuilt_changes_nothing(index):
    async def batches():
        yield [entry("attrs")]
        raise LookupError("the catalog")

    with pytest.raises(LookupError, match="the catalog"):
        run(index.rebuild(batches(), 8))

    assert (names(index, "six"), names(index, "attrs"), run(index.position())) == (["six"], [], 3)
    run(index.apply([entry("attrs")], [], 4))
    assert names(index, "attrs") == ["attrs"]


def test_an_index_that_was_cleared_is_empty_and_goes_on_from_the_beginning(index):
    run(index.clear())

    assert (run(index.position()), run(index.projects()), names(index, "six")) == (0, 0, [])
    run(index.apply([entry("attrs")], [], 1))
    assert names(index, "attrs") == ["attrs"]


def test_however_often_it_is_written_it_stays_small(index, tmp_path):
    for number in range(60):
        run(index.apply([entry("six", f"for the {number}th time")], [], number))

    assert len(files(tmp_path / "search")) < 120
    assert names(index, "six") == ["six"]
    assert run(index.projects()) == 2


def test_what_a_rebuilt_index_replaces_leaves_the_disk(index, tmp_path):
    def size():
        return sum(path.stat().st_size for path in (tmp_path / "search").rglob("*"))

    async def batches():
        yield [entry(f"project-{number}", "a summary of this and that") for number in range(2000)]

    run(index.rebuild(batches(), 4))
    once = size()
    for _ in range(3):
        run(index.rebuild(batches(), 4))

    assert size() < once * 1.5


# ------------------------------------------------------------------ what is not there, or not whole


@pytest.mark.parametrize("made", [None, "top", "empty"])
def test_where_there_is_none_that_is_said(tmp_path, made):
    if made is not None:
        (tmp_path / "search" / (str(FORMAT) if made == "empty" else "")).mkdir(parents=True)
    index = TantivyIndex(tmp_path / "search")
    before = files(tmp_path)

    for question in (index.position, index.projects, lambda: index.search(Query("six"))):
        with pytest.raises(SearchIndexAbsent):
            run(question())
    with pytest.raises(SearchIndexAbsent):
        run(index.apply([entry("six")], [], 1))

    assert files(tmp_path) == before


def test_what_another_version_has_written_is_not_read_and_goes_with_the_next_rebuild(tmp_path):
    (tmp_path / "search").mkdir()
    other = tmp_path / "search" / str(FORMAT + 1)
    shutil.copytree(tmp_path / "search", other)
    (other / "meta.json").write_text("{}")

    with pytest.raises(SearchIndexAbsent):
        run(TantivyIndex(tmp_path / "search").position())
    make_index(tmp_path / "search", [entry("six")])

    assert sorted(path.name for path in (tmp_path / "search").iterdir()) == [str(FORMAT), "lock"]


def test_an_index_that_was_never_committed_is_none(tmp_path):
    index = TantivyIndex(tmp_path)

    async def batches():
        with pytest.raises(SearchIndexAbsent):
            await TantivyIndex(tmp_path).position()
        yield [entry("six")]

    run(index.rebuild(batches(), 1))

    assert names(index, "six") == ["six"]


DAMAGES = {
    "meta cut": lambda files: files["meta.json"].write_bytes(files["meta.json"].read_bytes()[:30]),
    "meta zero": lambda files: files["meta.json"].write_bytes(bytes(400)),
    "meta of something else": lambda files: files["meta.json"].write_text('{"segments": []}'),
    "terms cut": lambda files: files["term"].write_bytes(files["term"].read_bytes()[:-20]),
    "terms zero": lambda files: files["term"].write_bytes(bytes(files["term"].stat().st_size)),
    "store gone": lambda files: files["store"].unlink(),
    "postings empty": lambda files: files["idx"].write_bytes(b""),
    "a directory": lambda files: (files["fast"].unlink(), files["fast"].mkdir()),
}


def damaged(tmp_path, damage):
    directory = tmp_path / "search" / str(FORMAT)
    DAMAGES[damage](
        {path.name if path.name == "meta.json" else path.suffix[1:]: path for path in directory.iterdir()}
    )


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_index_is_told_and_mended_by_a_rebuild(index, tmp_path, damage):
    damaged(tmp_path, damage)

    fresh = TantivyIndex(tmp_path / "search")
    for question in (fresh.position, lambda: fresh.search(Query("six")), lambda: fresh.apply([], [], 4)):
        with pytest.raises(SearchIndexBroken) as told:
            run(question())
    assert str(tmp_path) in str(told.value)
    assert told.value.hint is not None

    assert names(make_index(tmp_path / "search", [entry("six")]), "six") == ["six"]


@pytest.mark.parametrize("damage", ["meta zero", "terms cut"])
def test_a_damaged_index_can_be_cleared(index, tmp_path, damage):
    damaged(tmp_path, damage)

    run(TantivyIndex(tmp_path / "search").clear())

    assert run(TantivyIndex(tmp_path / "search").projects()) == 0


def test_an_index_that_goes_while_it_is_open_is_told(index, tmp_path):
    assert names(index, "six") == ["six"]

    shutil.rmtree(tmp_path / "search")

    with pytest.raises(SearchIndexAbsent):
        run(index.search(Query("six")))


FLIPS = """
import asyncio, pathlib, sys
from frumious.errors import FrumiousError
from frumious.search.base import Query
from frumious.search.tantivy import TantivyIndex
for line in sys.stdin:
    index = TantivyIndex(pathlib.Path(line.strip()))
    for words in ("six", "idnaa", "domain names", "s"):
        try:
            asyncio.run(index.search(Query(words)))
        except FrumiousError as error:
            print(error.kind, flush=True)
        else:
            print("answered", flush=True)
"""


def test_a_bit_that_flipped_is_told_or_does_no_harm(index, tmp_path):
    """In a process of its own: the engine maps files, and what it does with a wrong byte is not ours to promise."""
    pick = random.Random(4)  # noqa: S311
    whole = {path: path.read_bytes() for path in (tmp_path / "search" / str(FORMAT)).iterdir()}
    for number in range(40):
        copy = tmp_path / "flipped" / str(number) / str(FORMAT)
        copy.mkdir(parents=True)
        hit = pick.choice([path for path, body in whole.items() if body])
        for path, body in whole.items():
            at = pick.randrange(len(body)) if path == hit else None
            flipped = (
                body
                if at is None
                else body[:at] + bytes([body[at] ^ 1 << pick.randrange(8)]) + body[at + 1 :]
            )
            (copy / path.name).write_bytes(flipped)

    done = subprocess.run(
        [sys.executable, "-c", FLIPS],
        input="\n".join(str(tmp_path / "flipped" / str(number)) for number in range(40)),
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip

    assert len(done.stdout.split()) == 160
    assert set(done.stdout.split()) <= {"answered", "search-index-broken", "search-index-absent"}


def test_a_file_in_the_way_is_told(tmp_path):
    (tmp_path / "search").write_text("")

    with pytest.raises(FrumiousError):
        make_index(tmp_path / "search", [entry("six")])


# ------------------------------------------------------------------ the rest of the program


def test_nobody_pays_for_the_engine_who_does_not_search():
    program = "import sys, frumious.cli, frumious.search.base; print('tantivy' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"
