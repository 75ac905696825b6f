"""The fields of the engine's index, and what an entry is in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import msgspec
from tantivy import Document, Schema, SchemaBuilder

from frumious.search.base import Entry
from frumious.search.ranking import order_of, popularity_of
from frumious.search.text import grams, joined, one_line, squash, words_of, words_of_name

FORMAT: Final = 1
"""Counts up with every change of what is here, of what `text.py` makes of a text, or of the engine's own files."""

TEXT_WEIGHTS: Final = {"title": 4.0, "keywords": 2.0, "summary": 1.5, "author": 1.0, "topics": 0.5}
"""Fields that are searched for words, and how much a word counts in them."""

STARTS: Final = 6
"""Up to so many first letters of a name are terms of their own: too many names begin with them to walk through."""

STATE: Final = ":state"
"""What the one document that is no project has for a name; no project can."""
_MOST_POPULAR: Final = 14.0
"""The engine multiplies the score of a text by log2(2 + this): by 4 for what is used most, by 1 for what nobody uses."""
_LONGEST_SUMMARY: Final = 512
_LONGEST_DISPLAY: Final = 250
_LONGEST_VERSION: Final = 128
_LONGEST_TEXT: Final = 2000
"""Characters of keywords, and of an author."""
_MOST_CLASSIFIERS: Final = 200
_LONGEST_CLASSIFIER: Final = 256
_BETWEEN: Final = " :: "
_TOPICS: Final = ("Topic :: ", "Framework :: ")


class Shown(NamedTuple):
    """What is stored of a project to be shown."""

    name: str
    display: str
    version: str
    summary: str
    modified: int | None


def build_schema() -> Schema:
    """Return the engine's schema."""
    builder = SchemaBuilder()
    for exact in ("name", "squashed", "classifiers"):
        builder.add_text_field(exact, tokenizer_name="raw", index_option="basic")
    for several in ("begins", "starts", "words"):
        builder.add_text_field(several, tokenizer_name="whitespace", index_option="basic")
    builder.add_text_field("grams", tokenizer_name="whitespace", index_option="position")
    for text in TEXT_WEIGHTS:
        builder.add_text_field(text, tokenizer_name="en_stem", index_option="freq")
    builder.add_unsigned_field("order", fast=True)
    builder.add_float_field("popularity", fast=True)
    builder.add_bytes_field("stored", stored=True)
    return builder.build()


def document_of(entry: Entry, schema: Schema) -> Document:
    """Return a project as the engine takes it."""
    squashed = squash(entry.name)
    words = words_of_name(entry.name, entry.display[:_LONGEST_DISPLAY])
    classifiers = [fit_classifier(said) for said in entry.classifiers[:_MOST_CLASSIFIERS]]
    order = order_of(entry.name, entry.downloads)
    summary = one_line(entry.summary, _LONGEST_SUMMARY)
    shown = Shown(
        entry.name,
        one_line(entry.display, _LONGEST_DISPLAY),
        one_line(entry.version, _LONGEST_VERSION),
        summary,
        entry.modified,
    )
    fields = {
        "name": entry.name,
        "squashed": squashed,
        "begins": joined(_beginnings(entry.name, "-")),
        "starts": joined(squashed[:length] for length in range(1, STARTS + 1)),
        "words": joined(words),
        "grams": joined(grams(squashed)),
        "classifiers": list(
            dict.fromkeys(part for said in classifiers for part in (*_beginnings(said, _BETWEEN), said))
        ),
        "title": joined(words),
        "keywords": _text(entry.keywords),
        "summary": joined(words_of(summary)),
        "author": _text([entry.author]),
        "topics": _text(said.rpartition(_BETWEEN)[2] for said in classifiers if said.startswith(_TOPICS)),
        "order": order,
        "popularity": _MOST_POPULAR * popularity_of(order),
        "stored": msgspec.json.encode(shown),
    }
    return Document.from_dict(fields, schema)


def read_shown(document: Document) -> Shown:
    """Return what is stored of a project; raises ValueError."""
    try:
        return msgspec.json.decode(_stored(document), type=Shown)
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from error


def state_of(position: int, schema: Schema) -> Document:
    """Return the document that says up to which entry of the journal the index is current."""
    return Document.from_dict({"name": STATE, "stored": str(position).encode()}, schema)


def read_position(document: Document) -> int:
    """Return what `state_of` has put there; raises ValueError."""
    return int(_stored(document))


def _stored(document: Document) -> bytes:
    return bytes(document.get_first("stored") or b"")


def fit_classifier(said: str) -> str:
    """Return a classifier as it is indexed and asked for."""
    return one_line(said, _LONGEST_CLASSIFIER)


def _beginnings(text: str, between: str) -> Iterator[str]:
    """Yield all that a text begins with and that ends before a separator."""
    at = text.find(between)
    while at >= 0:
        yield text[:at]
        at = text.find(between, at + len(between))


def _text(said: Iterable[str]) -> str:
    return joined(words_of(" ".join(said)[:_LONGEST_TEXT]))
