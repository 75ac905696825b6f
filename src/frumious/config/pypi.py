"""PyPI's own address, as the pypi-simple package knows it."""

from __future__ import annotations

import ast
import importlib.util
from functools import cache
from pathlib import Path

_PACKAGE, _CONSTANT = "pypi_simple", "PYPI_SIMPLE_ENDPOINT"


@cache
def default_master() -> str:
    """Return the address of PyPI, without a final slash."""
    endpoint = _read_endpoint() or _import_endpoint()
    return endpoint.removesuffix("/").removesuffix("/simple")


def _read_endpoint() -> str | None:
    # Importing the package costs a third of a second, and every run has to know whether its master is PyPI.
    try:
        found = importlib.util.find_spec(_PACKAGE)
        tree = ast.parse(Path(found.origin).read_bytes()) if found and found.origin else None
    except (OSError, SyntaxError, ValueError):  # no source: a zip, byte code alone
        return None
    return next(filter(None, map(_constant, tree.body)), None) if tree else None


def _constant(statement: ast.stmt) -> str | None:
    match statement:
        case (
            ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(value)))
            | ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=str(value)))
        ) if name == _CONSTANT:
            return value
        case _:
            return None


def _import_endpoint() -> str:
    from pypi_simple import PYPI_SIMPLE_ENDPOINT  # noqa: PLC0415

    return PYPI_SIMPLE_ENDPOINT
