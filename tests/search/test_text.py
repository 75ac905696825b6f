"""Words, the same for what is indexed and for what is typed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frumious.model.names import normalize
from frumious.search.text import (
    LONGEST_QUERY,
    fold,
    grams,
    one_line,
    parse_typed,
    squash,
    words_of,
    words_of_name,
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Python HTTP for Humans.", ["python", "http", "humans"]),
        ("snake_case, C++ & *wild*", ["snake", "case", "c", "wild"]),
        ("Café-Müller", ["cafe", "muller"]),
        ("\uff26\uff35\uff2c\uff2c width ﬁne", ["full", "width", "fine"]),
        ("异步http框架", ["异", "步", "异步", "http", "框", "架", "框架"]),
        ("中", ["中"]),
        ("データ・分析", ["デ", "ー", "タ", "デー", "ータ", "分", "析", "分析"]),
        ("기계 학습", ["기", "계", "기계", "학", "습", "학습"]),
        ("Größe ÅNGSTRÖM", ["grosse", "angstrom"]),
        ("\0\ud800 --- 😀", []),
    ],
)
def test_words_of_a_text(text, words):
    assert words_of(text) == words


@pytest.mark.parametrize(
    ("typed", "words", "names"),
    [
        ("scikit_learn", ["scikit", "learn"], ["scikit", "learn"]),
        (" Zope.Interface ", ["zope", "interface"], ["zope", "interface"]),
        ("the http client", ["http", "client"], ["the", "http", "client"]),
        ("机器学习", ["机器", "器学", "学习"], []),
        ("机", ["机"], []),
        ("requests 中文", ["requests", "中文"], []),
        ("?!", [], []),
    ],
)
def test_what_is_typed_is_read_as_text_and_as_a_name(typed, words, names):
    read = parse_typed(typed)

    assert (list(read.words), list(read.names)) == (words, names)


def test_what_every_project_is_need_not_be_said_of_it():
    beside_another, alone = parse_typed("python http library"), parse_typed("python")

    assert (beside_another.words, beside_another.weak) == (["http"], ["python", "library"])
    assert (alone.words, alone.weak) == (["python"], [])


@pytest.mark.parametrize(
    ("display", "words"),
    [
        ("scikit-learn", {"scikit", "learn"}),
        ("PyYAML", {"pyyaml", "yaml"}),
        ("BeautifulSoup4", {"beautifulsoup4", "beautifulsoup", "beautiful", "soup"}),
        ("python3-saml", {"python3", "saml", "python"}),
        ("pytest", {"pytest", "test"}),
        ("numpy", {"numpy", "num"}),
        ("boto3", {"boto3", "boto"}),
        ("XMLParser", {"xmlparser", "xml", "parser"}),
        ("pypi", {"pypi"}),
        ("six", {"six"}),
    ],
)
def test_words_of_a_name(display, words):
    assert set(words_of_name(normalize(display), display)) == words


def test_a_name_is_one_however_it_is_separated():
    spellings = ["scikit-learn", "Scikit_Learn", "scikit.learn", "scikit--learn"]

    assert {squash(normalize(spelling)) for spelling in spellings} == {"scikitlearn"}
    assert {parse_typed(spelling).squashed for spelling in [*spellings, "SciKit Learn"]} == {"scikitlearn"}


def test_every_three_neighbours():
    assert grams("yaml") == ["yam", "aml"]
    assert grams("ab") == []


@given(st.text(max_size=LONGEST_QUERY))
def test_every_word_of_a_text_finds_it(text):
    indexed = set(words_of(text))

    typed = parse_typed(text)

    assert indexed.issuperset(typed.words)


@given(st.text(max_size=3000))
def test_however_much_is_typed_little_is_asked(text):
    typed = parse_typed(text)

    assert len(typed.words) + len(typed.weak) <= 16
    # A character may stand for several: U+FDFA is a sentence of eighteen.
    assert len(typed.squashed) <= 18 * LONGEST_QUERY
    assert typed.squashed == "" or (typed.squashed.isascii() and typed.squashed.isalnum())


@given(st.text(), st.integers(1, 600))
def test_any_text_becomes_a_line_that_can_be_shown(text, longest):
    line = one_line(text, longest)

    assert len(line) <= longest
    assert "\n" not in line
    line.encode()
    assert one_line(line, longest) == line


@given(st.characters(exclude_categories=["Cs"]))
def test_what_is_folded_stays_as_it_is(character):
    assert fold(fold(character)) == fold(character)
