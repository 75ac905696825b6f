"""Which form of a page, and which coding of it, a client asks for (PEP 691, RFC 9110 §12.5). Pure."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

from frumious.pages.formats import HTML_TYPE, JSON_TYPE, TEXT_HTML

TYPES: Final = (JSON_TYPE, HTML_TYPE, TEXT_HTML)
"""What we have, the richest first: it wins where a client likes several equally well."""
AVAILABLE: Final = ", ".join(TYPES)
_PLAIN_FIRST: Final = (TEXT_HTML, HTML_TYPE, JSON_TYPE)
"""The order for who takes anything: pipenv, curl and old tools expect HTML (conformance 44)."""
_MEANT: Final = {
    JSON_TYPE: JSON_TYPE,
    HTML_TYPE: HTML_TYPE,
    TEXT_HTML: TEXT_HTML,
    "application/vnd.pypi.simple.latest+json": JSON_TYPE,
    "application/vnd.pypi.simple.latest+html": HTML_TYPE,
}
_RANGES: Final[dict[str, tuple[str, ...]]] = {
    "*/*": TYPES,
    "application/*": (JSON_TYPE, HTML_TYPE),
    "text/*": (TEXT_HTML,),
}

GZIP: Final = "gzip"
ZSTD: Final = "zstd"
CODINGS: Final = (ZSTD, GZIP)
"""The better one first."""
_LONGEST: Final = 2000
"""Characters of a header beyond which it is nonsense, and is read as if it were absent."""


@lru_cache(maxsize=1024)
def acceptable(accept: str | None) -> tuple[str, ...]:
    """Return the types of ours that an Accept header allows, the one liked best first (conformance §3.5).

    An absent or empty header means anything. Parts that make no sense are skipped.
    """
    if not accept or not accept.strip() or len(accept) > _LONGEST:
        return _PLAIN_FIRST
    liked: dict[str, tuple[int, float]] = {}  # by type: how exactly it was named, and its weight
    for said, weight in _weighted(accept):
        types: tuple[str, ...] = _RANGES.get(said, ())
        exactness = 0 if said == "*/*" else 1
        if said in _MEANT:
            types, exactness = (_MEANT[said],), 2
        for one in types:
            if one not in liked or exactness > liked[one][0]:
                liked[one] = (exactness, weight)
            elif exactness == liked[one][0]:
                liked[one] = (exactness, max(weight, liked[one][1]))
    return tuple(sorted((one for one in liked if liked[one][1] > 0), key=lambda one: _rank(one, *liked[one])))


def _rank(one: str, exactness: int, weight: float) -> tuple[float, int, int]:
    named = exactness == 2
    return (-weight, -named, (TYPES if named else _PLAIN_FIRST).index(one))


@lru_cache(maxsize=256)
def chosen(accept: str | None, offered: tuple[str, ...]) -> str | None:
    """Return which of some types an Accept header likes best, the first of equals; None if it wants none of them.

    An absent, empty or overlong header means anything.
    """
    if not accept or not accept.strip() or len(accept) > _LONGEST:
        return offered[0]
    weights = dict(_weighted(accept))
    anything = weights.get("*/*", 0.0)
    liked = {one: weights.get(one, weights.get(one.partition("/")[0] + "/*", anything)) for one in offered}
    best = max(offered, key=lambda one: liked[one])
    return best if liked[best] > 0 else None


@lru_cache(maxsize=256)
def asked_format(query: str) -> tuple[str, ...] | None:
    """Return what `?format=` asks for: nothing where it is no type of ours, None where it does not stand there.

    The plus sign of a type may come as it is, encoded, or as the space that a form makes of it (conformance 48).
    """
    for part in query.split("&"):
        key, _, value = part.partition("=")
        if key == "format":
            meant = _MEANT.get(unquote(value.replace("+", "%2B")).replace(" ", "+").strip().lower())
            return () if meant is None else (meant,)
    return None


@lru_cache(maxsize=1024)
def coding(accept_encoding: str | None) -> str | None:
    """Return the content coding to send, None for the bytes as they are (RFC 9110 §12.5.3)."""
    if not accept_encoding or len(accept_encoding) > _LONGEST:
        return None
    weights = dict(_weighted(accept_encoding))
    anything = weights.get("*", 0.0)
    best = max(CODINGS, key=lambda one: weights.get(one, anything))
    weight = weights.get(best, anything)
    return best if weight > 0 and weight >= weights.get("identity", 0.0) else None


def _weighted(header: str) -> Iterator[tuple[str, float]]:
    """Yield the items of a header with their weights; one whose weight makes no sense is skipped."""
    for item in header.lower().split(","):
        said, *parameters = (part.strip() for part in item.split(";"))
        weight: float | None = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip() == "q":
                weight = _weight(value.strip())
        if said and weight is not None:
            yield said, weight


def _weight(text: str) -> float | None:
    if not text or len(text) > 5 or not set(text) <= set("0123456789."):
        return None
    try:
        weight = float(text)
    except ValueError:
        return None
    return weight if weight <= 1 else None
