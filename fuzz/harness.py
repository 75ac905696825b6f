"""One target under atheris, in a process of its own: `python -m fuzz` starts it."""

from __future__ import annotations

import sys

import atheris

# Only what is imported in here is watched for new lines reached.
with atheris.instrument_imports(include=["frumious", "packaging", "html", "configparser", "_markupbase"]):
    from fuzz.targets import TARGETS

if __name__ == "__main__":
    target, *options = sys.argv[1:]
    atheris.Setup([sys.argv[0], *options], TARGETS[target])
    atheris.Fuzz()
