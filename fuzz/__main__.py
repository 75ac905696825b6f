"""`python -m fuzz [TARGET] [--seconds N]`: look for inputs that a reader does not stand, led by the lines they reach.

What was learned is kept in `.cache/fuzz/TARGET/` for the next time; an input that fails is kept there too, and named.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / ".cache" / "fuzz"
MOST_BYTES = 4096
SLOW_SECONDS = 20
NO_ATHERIS = f"""error: NOTHING WAS FUZZED: atheris is not installed for this Python ({sys.version.split()[0]}).
hint: `make fuzz` installs it; it has wheels for CPython 3.11 to 3.14 on Linux (x86-64).
hint: The tests in tests/fuzz ask the same of the readers without it."""


def main() -> int:
    """Fuzz one target or all of them, one after the other; return 1 if anything was found."""
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    from fuzz.targets import TARGETS  # noqa: PLC0415 - it needs the path

    parser = argparse.ArgumentParser("python -m fuzz", description="Fuzz the readers of Frumious.")
    parser.add_argument("target", nargs="?", choices=sorted(TARGETS), help="one of them (default: all)")
    parser.add_argument("--seconds", type=int, default=60, metavar="N", help="for each target (default: 60)")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="only give this input to TARGET")
    said = parser.parse_args()
    if said.seconds < 1:
        parser.error("--seconds must be 1 or more")  # for libFuzzer 0 is for ever
    if said.replay is not None:
        if said.target is None:
            parser.error("--replay needs a TARGET")
        return replay(said.target, said.replay)
    if importlib.util.find_spec("atheris") is None:
        print(NO_ATHERIS, file=sys.stderr)
        return 2
    failed = [
        target
        for target in ([said.target] if said.target else sorted(TARGETS))
        if not fuzz(target, said.seconds)
    ]
    for target in failed:
        print(
            f"FOUND: {target}: python -m fuzz {target} --replay FILE, with a file of {KEPT / target}/failed/"
        )
    return bool(failed)


def replay(target: str, file: Path) -> int:
    """Give one input to a target; return 1 if it fails."""
    from fuzz.targets import TARGETS  # noqa: PLC0415 - as above

    try:
        TARGETS[target](file.read_bytes())
    except Exception:  # noqa: BLE001 - whatever it is, it is what was found
        traceback.print_exc()
        return 1
    print(f"{target} stands {file}")
    return 0


def fuzz(target: str, seconds: int) -> bool:
    """Fuzz a target for so long; say whether it stood."""
    from fuzz.corpus import seeds, words_of  # noqa: PLC0415 - as above

    learned, failed = KEPT / target / "learned", KEPT / target / "failed"
    for directory in (learned, failed):
        directory.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds()[target]):
        (learned / f"seed-{number}").write_bytes(seed)
    print(f"== {target}: {seconds} s", flush=True)
    with tempfile.NamedTemporaryFile("w", suffix=".dict", encoding="ascii") as words:
        words.writelines(f'"{_escaped(word)}"\n' for word in words_of(target))
        words.flush()
        options = (
            f"-max_total_time={seconds}",
            f"-max_len={MOST_BYTES}",
            f"-timeout={SLOW_SECONDS}",
            f"-artifact_prefix={failed}/",
            f"-dict={words.name}",
            "-print_final_stats=1",
            "-verbosity=0",
        )
        path = os.pathsep.join([str(ROOT), str(ROOT / "tests"), str(ROOT / "src")])
        done = subprocess.run(
            [sys.executable, "-m", "fuzz.harness", target, *options, str(learned)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": path},
            check=False,
        )
    return done.returncode == 0


def _escaped(word: str) -> str:
    """Return a word as libFuzzer's dictionaries want it."""
    return "".join(f"\\x{byte:02x}" for byte in word.encode("utf-8", "surrogatepass"))


if __name__ == "__main__":
    sys.exit(main())
