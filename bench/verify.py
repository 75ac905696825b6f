"""How fast `frumious verify` reads, against openssl over the same files; and how much memory it takes.

    python -m bench.verify                     # 2 GB in 10,000 files: throughput, a ratio in one run
    python -m bench.verify --rows 10000000     # a catalog of ten million files: peak memory

Everything is made below a temporary directory and taken away again; nothing leaves this machine.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from frumious.model import layout
from frumious.model.layout import PageKind
from frumious.model.names import normalize
from frumious.model.project import Digest, ListedProject, PageFile, ProjectPage
from frumious.pages import simple_html, simple_json

FRUMIOUS = Path(sys.executable).parent / "frumious"
SERIAL = 1000


def make_tree(root: Path, files: int, total: int) -> None:
    """Write a mirror of `files` files with heavy-tailed sizes, about `total` bytes, in projects of about 33."""
    rng = random.Random(1)
    weights = [rng.lognormvariate(0, 1.5) for _ in range(files)]
    scale = total / sum(weights)
    listed = []
    numbers = iter(range(files))
    block = os.urandom(64 << 20)
    for project in range(max(1, files // 33)):
        name = normalize(f"project-{project}")
        page_files = []
        for number in (n for _, n in zip(range(33), numbers, strict=False)):
            size = min(max(500, int(weights[number] * scale)), len(block) // 2)
            start = rng.randrange(len(block) // 2)
            body = block[start : start + size]
            filename = f"project_{project}-{number}-py3-none-any.whl"
            key = layout.content_key(hashlib.blake2b(body, digest_size=32).hexdigest(), filename)
            write(root / key, body)
            digest = Digest("sha256", hashlib.sha256(body).hexdigest())
            page_files.append(PageFile(filename=filename, href=layout.href(key), digest=digest, size=size))
        page = ProjectPage(name=name, serial=SERIAL, files=tuple(page_files), versions=())
        write(root / layout.page_key(name, PageKind.V1_JSON), simple_json.render_project_detail(page))
        html = simple_html.render_project_detail(page, name)
        for kind in (PageKind.HTML, PageKind.V1_HTML):
            write(root / layout.page_key(name, kind), html)
        listed.append(ListedProject(name, SERIAL))
    write(root / "status", str(SERIAL).encode())


def write(path: Path, body: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)


def configure(root: Path) -> Path:
    config = root / "bench.conf"
    config.write_text(f"[mirror]\ndirectory = {root / 'mirror'}\nmaster = https://index.example.org\n")
    return config


def run(command: list[str], **options) -> tuple[float, float, int]:
    """Return seconds, CPU seconds and peak memory in MB of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False, **options)
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in {0, 6}:
        sys.exit(f"{command[0]} ended with {done.returncode}: {done.stderr.decode()[-2000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, cpu, after.ru_maxrss // 1024


def throughput(root: Path, files: int, total: int, rounds: int) -> None:
    mirror = root / "mirror"
    make_tree(mirror, files, total)
    config = configure(root)
    run([str(FRUMIOUS), "-c", str(config), "catalog", "rebuild"])
    paths = sorted(str(path) for path in (mirror / "web/packages").rglob("*") if path.is_file())
    size = sum(os.path.getsize(path) for path in paths)
    cores = len(os.sched_getaffinity(0))
    listing = root / "files"
    listing.write_bytes("\0".join(paths).encode())
    each = -(-len(paths) // cores)
    openssl = ["xargs", "-0", "-a", str(listing), f"-P{cores}", f"-n{each}", "openssl", "dgst", "-sha256"]
    commands = {
        "openssl dgst -sha256": openssl,
        "frumious verify": [str(FRUMIOUS), "-c", str(config), "verify", "--from-start"],
        "frumious verify --quick": [str(FRUMIOUS), "-c", str(config), "verify", "--quick", "--from-start"],
        "frumious --version": [str(FRUMIOUS), "--version"],
    }
    figures = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            figures[name].append(run(command))
    print(f"{len(paths):,} files, {size / 1e9:.2f} GB, {cores} cores, median of {rounds}")
    seconds = {name: statistics.median(f[0] for f in found) for name, found in figures.items()}
    for name, found in figures.items():
        cpu = statistics.median(f[1] for f in found)
        rate = f"{size / seconds[name] / 1e6:8,.0f} MB/s" if name != "frumious --version" else ""
        print(f"{name:26} {seconds[name]:7.2f} s  {cpu:6.2f} CPU-s  {rate}")
    ratio = seconds["openssl dgst -sha256"] / seconds["frumious verify"]
    print(f"throughput of verify, the whole process, against openssl: {ratio:.2f}")


def memory(root: Path, rows: int) -> None:
    """Make a catalog of so many files, none of which is there, and let every one of them be a finding."""
    import apsw

    mirror = root / "mirror"
    (mirror / "web/packages").mkdir(parents=True)
    (mirror / ".frumious").mkdir()
    config = configure(root)
    run([str(FRUMIOUS), "-c", str(config), "catalog", "rebuild"])
    db = apsw.Connection(str(mirror / ".frumious/catalog.sqlite3"))
    db.execute("PRAGMA synchronous = OFF")
    projects = rows // 20
    with db:
        db.executemany(
            "INSERT INTO project (id, name, display, serial, published, listed) VALUES (?, ?, ?, 1, 1, 1)",
            ((n, f"project-{n:08}", f"project-{n:08}") for n in range(1, projects + 1)),
        )
        db.executemany(
            "INSERT INTO object (id, key, sha256, size, verified_at) VALUES (?, ?, ?, 1000, 0)",
            (
                (n, layout.content_key(f"{n << 200:064x}", f"project-{n}.tar.gz"), n.to_bytes(32, "big"))
                for n in range(1, rows + 1)
            ),
        )
        db.executemany(
            "INSERT INTO file (project, filename, source, object) VALUES (?, ?, ?, ?)",
            (((n - 1) // 20 + 1, f"project-{n}.tar.gz", "url x", n) for n in range(1, projects * 20 + 1)),
        )
    db.close()
    for options in ([], ["--quick"]):
        seconds, cpu, peak = run([str(FRUMIOUS), "-c", str(config), "verify", "--from-start", *options])
        print(
            f"{rows:,} files in {projects:,} projects, {' '.join(options) or 'full'}: {seconds:.0f} s, {cpu:.0f} CPU-s,"
            f" peak {peak} MB"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--bytes", type=int, default=2_000_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, help="measure memory with so many catalog rows instead")
    parser.add_argument("--directory", type=Path, help="where the temporary directory is made")
    parsed = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="frumious-bench-", dir=parsed.directory))
    try:
        if parsed.rows:
            memory(root, parsed.rows)
        else:
            throughput(root, parsed.files, parsed.bytes, parsed.rounds)
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
