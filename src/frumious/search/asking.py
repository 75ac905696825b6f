"""What the engine is asked, one question for each way of finding (`ranking.Way`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from tantivy import Filter, Occur, Query, Schema, TextAnalyzer, TextAnalyzerBuilder, Tokenizer

from frumious.search.fields import STARTS, TEXT_WEIGHTS, fit_classifier
from frumious.search.ranking import Way
from frumious.search.text import Typed, grams

_ALSO: Final = 0.2
"""What the other fields add that have a word, too."""
_LONGEST_INDEXED: Final = 40
"""Bytes; the engine's `en_stem` drops longer words."""
_SHORTEST_GUESS: Final = 4
"""Letters in which one may be wrong."""
_SHORTEST_TWO: Final = 8
"""Letters in which two may be wrong."""
_LONGEST_GUESS: Final = 48
"""Letters: what is longer is looked up only as it is."""
_SOME: Final = 3
"""One of so many words has to be there for `Way.SOME`; those that have more come first."""
_SHORTEST_UNFINISHED: Final = 3
"""Letters of a word that may go on."""
_ENDING: Final = 3
"""Letters that stemming takes off a word, most often."""


class Questions:
    """Makes the engine's queries. Not for two threads at once."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._stemmer = _build_stemmer()
        self._made: Mapping[Way, Callable[[Typed], Query | None]] = {
            Way.NAME: self._name,
            Way.SQUASHED: self._squashed,
            Way.BEGINS: self._begins,
            Way.WORDS: self._words,
            Way.PREFIX: self._prefix,
            Way.WITHIN: self._within,
            Way.TEXT: self._text,
            Way.UNFINISHED: self._unfinished,
            Way.TYPO: self._typo,
            Way.TYPOS: self._typos,
            Way.TEXT_TYPO: self._text_typo,
            Way.SOME: self._some,
        }

    def ask(self, way: Way, typed: Typed, classifiers: Sequence[str]) -> Query | None:
        """Return the question that finds projects in one way; None where it can find none."""
        filters = [self._term("classifiers", fit_classifier(said)) for said in classifiers]
        if way is Way.LISTED:
            return _all(filters) if filters and not typed.words and not typed.names else None
        query = self._made[way](typed)
        if query is None or not filters:
            return query
        return _all([query, *(Query.const_score_query(filter_, 0.0) for filter_ in filters)])

    # ------------------------------------------------------------- names

    def _name(self, typed: Typed) -> Query | None:
        return self._term("name", "-".join(typed.names)) if typed.names else None

    def _squashed(self, typed: Typed) -> Query | None:
        return self._term("squashed", typed.squashed) if typed.names else None

    def _begins(self, typed: Typed) -> Query | None:
        return self._term("begins", "-".join(typed.names)) if typed.names else None

    def _words(self, typed: Typed) -> Query | None:
        is_fit = typed.names and typed.words
        return _all([self._term("words", word) for word in typed.words]) if is_fit else None

    def _prefix(self, typed: Typed) -> Query | None:
        if not typed.names:
            return None
        if len(typed.squashed) <= STARTS:
            return self._term("starts", typed.squashed)
        return self._pattern("squashed", typed.squashed)

    def _within(self, typed: Typed) -> Query | None:
        parts: list[str | tuple[int, str]] = [*grams(typed.squashed)]
        match parts:
            case []:
                return None
            case [str(one)]:
                return self._term("grams", one, "position")
            case _:
                return Query.phrase_query(self._schema, "grams", parts)

    def _typo(self, typed: Typed) -> Query | None:
        is_fit = _SHORTEST_GUESS <= len(typed.squashed) <= _LONGEST_GUESS
        return self._similar("squashed", typed.squashed, 1) if is_fit else None

    def _typos(self, typed: Typed) -> Query | None:
        is_fit = _SHORTEST_TWO <= len(typed.squashed) <= _LONGEST_GUESS
        return self._similar("squashed", typed.squashed, 2) if is_fit else None

    # ------------------------------------------------------------- text

    def _text(self, typed: Typed) -> Query | None:
        words = self._in_text(typed.words)
        if not words:
            return None
        return _all(words, also=self._in_text(typed.weak) or ())

    def _unfinished(self, typed: Typed) -> Query | None:
        if not typed.words or len(typed.words[-1]) < _SHORTEST_UNFINISHED:
            return None
        *whole, last = typed.words
        words = self._in_text(whole)
        if words is None:
            return None
        goes_on = [self._pattern(field, last) for field in ("words", "keywords", "summary")]
        # The stem of what it will be may be behind already: `learni` will be `learning`, which is there as `learn`.
        shorter = [last[:-less] for less in range(1, _ENDING + 1) if len(last) - less >= _SHORTEST_UNFINISHED]
        is_there = [self._term(field, stem, "freq") for stem in shorter for field in ("keywords", "summary")]
        return _all([*words, Query.disjunction_max_query([*goes_on, *is_there])])

    def _text_typo(self, typed: Typed) -> Query | None:
        words = self._in_text(typed.words)
        if not words or not any(map(_may_be_wrong, typed.words)):
            return None
        return _all([self._or_similar(word, q) for word, q in zip(typed.words, words, strict=True)])

    def _some(self, typed: Typed) -> Query | None:
        words = self._in_text(typed.words)
        if not words or len(words) == 1:
            return None
        return Query.boolean_query([(Occur.Should, word) for word in words], max(1, len(words) // _SOME))

    def _in_text(self, words: Sequence[str]) -> list[Query] | None:
        """Return a question for each of the words; None where one of them is in no text."""
        queries = [self._word(word) for word in words]
        found = [query for query in queries if query is not None]
        return found if len(found) == len(queries) else None

    def _word(self, word: str) -> Query | None:
        stems = self._stemmer.analyze(word)
        if len(stems) != 1:
            return None
        fields = [
            Query.boost_query(self._term(field, stems[0], "freq"), weight)
            for field, weight in TEXT_WEIGHTS.items()
        ]
        return Query.disjunction_max_query(fields, _ALSO)

    def _or_similar(self, word: str, as_it_is: Query) -> Query:
        if not _may_be_wrong(word):
            return as_it_is
        similar = [self._similar(field, self._stemmer.analyze(word)[0], 1) for field in ("title", "summary")]
        return Query.disjunction_max_query([as_it_is, *similar])

    # ------------------------------------------------------------- the engine's words

    def _term(self, field: str, value: str, option: str = "basic") -> Query:
        return Query.term_query(self._schema, field, value, option)

    def _pattern(self, field: str, prefix: str) -> Query:
        # Letters and digits mean themselves in a regular expression.
        return Query.regex_query(self._schema, field, f"{prefix}.*")

    def _similar(self, field: str, value: str, distance: int) -> Query:
        return Query.fuzzy_term_query(self._schema, field, value, distance)


def _all(queries: Sequence[Query], *, also: Sequence[Query] = ()) -> Query:
    return Query.boolean_query(
        [*((Occur.Must, query) for query in queries), *((Occur.Should, query) for query in also)]
    )


def _may_be_wrong(word: str) -> bool:
    return _SHORTEST_GUESS <= len(word) <= _LONGEST_GUESS and word.isascii()


def _build_stemmer() -> TextAnalyzer:
    """Return what the engine calls `en_stem`, as it is not to be had by that name."""
    builder = TextAnalyzerBuilder(Tokenizer.simple()).filter(Filter.remove_long(_LONGEST_INDEXED))
    return builder.filter(Filter.lowercase()).filter(Filter.stemmer("english")).build()
