"""A disk that is full, or read-only."""

import asyncio
import random
import subprocess

import pytest

from frumious.errors import NoSpace, NotWritable
from frumious.search.tantivy import TantivyIndex
from support.searching import entry, make_index, names


@pytest.fixture
def disk(tmp_path):
    """Give a file system of 2 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "frumious-test", place]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("cannot mount a small tmpfs (needs root): a failing disk is NOT tested here")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def test_a_full_disk_is_told_and_leaves_the_index_as_it_was(disk):
    index = make_index(disk / "search", [entry("six")], position=3)
    pick = random.Random(1)  # noqa: S311
    many = [entry(f"p{number}", pick.randbytes(200).hex()) for number in range(20_000)]

    for change in (index.apply(many, [], 4), index.rebuild(one_batch(many), 4)):
        with pytest.raises(NoSpace) as told:
            asyncio.run(change)
        assert "the mirror does not depend on it" in told.value.hint

    assert (names(index, "six"), asyncio.run(index.position())) == (["six"], 3)
    asyncio.run(index.apply([entry("idna")], [], 5))
    assert names(index, "idna") == ["idna"]


async def one_batch(entries):
    yield entries


def test_a_read_only_disk_can_be_searched(disk):
    make_index(disk / "search", [entry("six")], position=3)
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    index = TantivyIndex(disk / "search")

    assert names(index, "six") == ["six"]
    for change in (index.apply([], [], 4), index.clear()):
        with pytest.raises(NotWritable) as told:
            asyncio.run(change)
        assert str(disk) in told.value.hint
