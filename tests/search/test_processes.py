"""One process writes, others read, and a writer may be killed at any moment."""

import asyncio
import random
import signal
import subprocess
import sys
import time

import pytest

from frumious.search.tantivy import TantivyIndex
from support.searching import entry, make_index, names, search

# Every commit replaces all of its projects by ones of its own version: a mixture would be seen.
WRITER = """
import asyncio, pathlib, sys
from frumious.model.names import normalize
from frumious.search.base import Entry
from frumious.search.tantivy import TantivyIndex

how, count = sys.argv[2], int(sys.argv[3])
index = TantivyIndex(pathlib.Path(sys.argv[1]))

async def main():
    position = await index.position()
    while True:
        position += 1
        entries = [Entry(normalize(f"project-{n}"), f"project-{n}", str(position), "same") for n in range(count)]
        async def batches():
            for start in range(0, count, 50):
                yield entries[start : start + 50]
        print("begin", position, flush=True)
        await (index.apply(entries, [], position) if how == "apply" else index.rebuild(batches(), position))
        print("done", position, flush=True)

asyncio.run(main())
"""
COUNT = 60


@pytest.fixture
def directory(tmp_path):
    made = tmp_path / "search"
    make_index(made, [entry(f"project-{n}", "same", version="0") for n in range(COUNT)], position=0)
    return made


def write(directory, how):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, directory, how, str(COUNT)], stdout=subprocess.PIPE, text=True
    )


def seen(directory):
    """Return the position of an index, having checked that everything in it is of that."""
    index = TantivyIndex(directory)
    position = asyncio.run(index.position())
    found = search(index, "same", limit=COUNT + 1)
    assert asyncio.run(index.projects()) == COUNT
    assert len(found.hits) == COUNT
    assert {hit.version for hit in found.hits} == {str(position)}
    return position


@pytest.mark.parametrize("how", ["apply", "rebuild"])
def test_a_writer_that_is_killed_leaves_the_last_commit_and_no_lock(directory, how):
    pick = random.Random(how)  # noqa: S311
    for _ in range(3):
        done = 0
        with write(directory, how) as process:
            for line in process.stdout:
                word, number = line.split()
                done = int(number) if word == "done" else done
                if word == "begin" and number.endswith(("3", "6", "9")):
                    break
            time.sleep(pick.random() * 0.08)  # somewhere in the middle of what has begun
            process.send_signal(signal.SIGKILL)
            process.stdout.read()
        assert seen(directory) >= done
    index = TantivyIndex(directory)
    asyncio.run(index.apply([entry("after")], [], 99))
    assert names(index, "after") == ["after"]
    # What the killed ones had begun is gone with the commit after them.
    assert sum(1 for path in directory.rglob("*") if path.is_file()) < 100


@pytest.mark.parametrize("how", ["apply", "rebuild"])
def test_readers_see_whole_commits_while_another_process_writes(directory, how):
    reader = TantivyIndex(directory)
    positions = set()
    with write(directory, how) as process:
        for line in process.stdout:
            if line == "done 1\n":
                break
        for _ in range(80):
            found = search(reader, "same", limit=COUNT + 1)
            versions = {hit.version for hit in found.hits}
            assert (len(found.hits), len(versions)) == (COUNT, 1)
            positions |= versions
        process.terminate()
        process.stdout.read()

    assert len(positions) > 2
    assert seen(directory) >= max(map(int, positions))
