"""How fast search is at the size of PyPI: names and summaries made up, on disk, one query at a time.

    .venv/bin/python bench/search.py [--projects 886000]

Prints how long the index takes to build, how large it is, what memory that takes, how long a commit of 300 projects takes
afterwards, and the median and the 99th percentile of each kind of query, with the median of the processor's time, which others on
the machine disturb less. `found` counts the queries of which the project that they were made from is among the first 20.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import random
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import accumulate, islice
from pathlib import Path

from frumious.model.names import normalize
from frumious.search.base import Entry, Query
from frumious.search.tantivy import TantivyIndex

QUERIES = 300
BATCH = 2000
# What real names are made of, so that prefixes, words and parts of names are as crowded as they are there.
COMMON = (
    "python django flask api client data tools utils lib core async http web test pytest plugin sdk aws azure google cloud ml ai model"
    " learn torch tensor graph json yaml xml sql db redis kafka bot telegram discord auth crypto stats plot time log config cli kit"
).split()


def make(count: int) -> Iterator[Entry]:
    """Yield projects: names of one to three words, summaries of words as frequent as in a language (Zipf)."""
    pick = random.Random(7)
    syllables = [a + b for a in "bcdfghjklmnprstvwz" for b in ("a", "e", "i", "o", "u", "an", "or", "ix")]
    vocabulary = ["".join(pick.choices(syllables, k=pick.randint(2, 4))) for _ in range(30_000)]
    vocabulary[: len(COMMON)] = COMMON
    weights = list(accumulate(1 / (rank + 1) for rank in range(len(vocabulary))))
    seen = set()
    while len(seen) < count:
        parts = [
            pick.choice(COMMON)
            if pick.random() < 0.4
            else "".join(pick.choices(syllables, k=pick.randint(2, 4)))
            for _ in range(pick.choice((1, 2, 2, 3)))
        ]
        name = normalize("-".join(parts))
        if name in seen:
            continue
        seen.add(name)
        summary = " ".join(pick.choices(vocabulary, cum_weights=weights, k=pick.randint(5, 12)))
        # PyPI's downloads follow such a law; half of the projects have nearly none.
        downloads = int(pick.paretovariate(0.6)) if pick.random() < 0.5 else 0
        yield Entry(
            name, name, "1.0", summary, keywords=parts, author=" ".join(parts[:1]), downloads=downloads
        )


def typo(name: str, pick: random.Random) -> str:
    """Return a name with one letter missing, exchanged with its neighbour, or another."""
    at = pick.randrange(len(name) - 1)
    match pick.randrange(3):
        case 0:
            return name[:at] + name[at + 1 :]
        case 1:
            return name[:at] + name[at + 1] + name[at] + name[at + 2 :]
        case _:
            return name[:at] + pick.choice("aeioustrn") + name[at + 1 :]


def build(directory: Path, count: int, say) -> None:
    """Build the index, in a process of its own, and say what that took."""

    async def run() -> None:
        async def batches() -> AsyncIterator[list[Entry]]:
            rest = make(count)
            while batch := list(islice(rest, BATCH)):
                yield batch

        index = TantivyIndex(directory)
        began = time.perf_counter()
        await index.rebuild(batches(), 1)
        say.put((time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))

    asyncio.run(run())


async def measure(index: TantivyIndex, kind: str, text: Callable[[Entry], str], sample: list[Entry]) -> None:
    times, work, found = [], [], 0
    for one in sample:
        query = Query(text(one))
        began, worked = time.perf_counter(), time.process_time()
        results = await index.search(query)
        times.append((time.perf_counter() - began) * 1000)
        work.append((time.process_time() - worked) * 1000)
        found += any(hit.name == one.name for hit in results.hits)
    cuts = statistics.quantiles(times, n=100)
    print(
        f"{kind:14} p50 {cuts[49]:6.2f} ms   p99 {cuts[98]:6.2f} ms   processor {statistics.median(work):6.2f} ms"
        f"   found {found} of {len(sample)}",
        flush=True,
    )


async def ask(directory: Path, count: int) -> None:
    pick = random.Random(8)
    known = [entry for entry in make(count) if entry.downloads > 20]
    index = TantivyIndex(directory)
    began = time.perf_counter()
    await index.projects()
    print(f"opened in {(time.perf_counter() - began) * 1000:.1f} ms", flush=True)
    kinds: dict[str, Callable[[Entry], str]] = {
        "exact": lambda one: one.name,
        "prefix of 1": lambda one: one.name[:1],
        "prefix of 2": lambda one: one.name[:2],
        "prefix of 3": lambda one: one.name[:3],
        "prefix of 5": lambda one: one.name[:5],
        "two words": lambda one: " ".join(one.summary.split()[:2]),
        "common word": lambda one: pick.choice(COMMON),
        "substring": lambda one: one.name.replace("-", "")[1:-1],
        "substring of 4": lambda one: one.name.replace("-", "")[1:5],
        "typo": lambda one: typo(one.name, pick),
        "unfinished": lambda one: " ".join(one.summary.split()[:3])[:-2],
        "nonsense": lambda one: "".join(pick.choices("abcdefghijklmnopqrstuvwxyz", k=12)),
    }
    for kind, text in kinds.items():
        await measure(index, kind, text, pick.sample(known, QUERIES))
    changed = pick.sample(known, 300)
    began = time.perf_counter()
    await index.apply(changed, (), 2)
    print(f"a commit of 300 projects: {(time.perf_counter() - began) * 1000:.0f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--projects", type=int, default=886_000)
    asked = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="frumious-bench-"))
    try:
        spawn = multiprocessing.get_context("spawn")
        said = spawn.Queue()
        process = spawn.Process(target=build, args=(directory, asked.projects, said))
        process.start()
        seconds, peak = said.get()
        process.join()
        size = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
        print(
            f"{asked.projects:,} projects: {seconds:.0f} s, {size / 1e6:.0f} MB, peak {peak:.0f} MB",
            flush=True,
        )
        asyncio.run(ask(directory, asked.projects))
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
