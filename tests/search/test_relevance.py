"""What a person expects to see first, over a few thousand projects."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from support.searching import known_entries, make_index, names, search, unknown_entries


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    entries = {one.name: one for one in [*unknown_entries(4000), *known_entries()]}
    return make_index(tmp_path_factory.mktemp("search"), entries.values())


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        # the very name, however it is spelled
        ("requests", ["requests", "requests-oauthlib"]),
        (" REQUESTS ", ["requests"]),
        ("scikit-learn", ["scikit-learn"]),
        ("scikit_learn", ["scikit-learn"]),
        ("scikit learn", ["scikit-learn"]),
        ("scikitlearn", ["scikit-learn"]),
        ("zope interface", ["zope.interface"]),
        ("django rest framework", ["djangorestframework"]),
        ("flask", ["Flask"]),
        ("\uff4e\uff55\uff4d\uff50\uff59", ["numpy"]),
        # the beginning of a name
        ("req", ["requests"]),
        ("djan", ["Django"]),
        ("scikit", ["scikit-learn", "scikit-image"]),
        ("beautiful soup", ["beautifulsoup4"]),
        ("boto", ["boto3", "botocore"]),
        ("psycopg", ["psycopg2-binary", "psycopg2"]),
        # words of a name, and parts of it
        ("yaml", ["PyYAML"]),
        ("learn", ["scikit-learn"]),
        ("dotenv", ["python-dotenv"]),
        ("dateutil", ["python-dateutil"]),
        ("soup", ["beautifulsoup4"]),
        ("alchemy", ["SQLAlchemy"]),
        ("opencv", ["opencv-python"]),
        ("mqtt", ["paho-mqtt"]),
        ("cors django", ["django-cors-headers"]),
        # what it is about
        ("machine learning", {"scikit-learn", "imbalanced-learn", "tensorflow"}),
        ("image processing", ["scikit-image"]),
        ("postgresql", {"asyncpg", "psycopg2", "psycopg2-binary"}),
        ("python yaml", ["PyYAML"]),
        ("next generation http", ["httpx"]),
        ("web frameworks", {"Django", "Flask"}),
        ("plotting", ["matplotlib"]),
        ("scraping html", ["beautifulsoup4"]),
        ("imaging", {"scikit-image", "Pillow"}),
        ("type annotations", ["pandas-stubs"]),
        # what somebody is typing still
        ("machine learni", {"scikit-learn", "imbalanced-learn"}),
        ("screen scrap", ["beautifulsoup4"]),
        # mistyped
        ("reqeusts", ["requests"]),
        ("numppy", ["numpy"]),
        ("nmpy", ["numpy"]),
        ("pyyml", ["PyYAML"]),
        ("scikit-laern", ["scikit-learn"]),
        ("djngo", ["Django"]),
        ("beutifulsuop4", ["beautifulsoup4"]),
        ("matplotlb", ["matplotlib"]),
        ("tensrflow", ["tensorflow"]),
        ("setuptolos", ["setuptools"]),
        ("mahcine learning", ["scikit-learn"]),
        # pasted
        ("requests 2.31.0", ["requests"]),
        # other languages
        ("网络", ["wangluo"]),
        ("异步 网络", ["wangluo"]),
        ("网络框架", ["wangluo"]),
        ("汉字", ["pypinyin"]),
        ("拼音转换", ["pypinyin"]),
        ("形態素", ["janome"]),
        ("한국어", ["konlpy"]),
        ("자연어 처리", ["konlpy"]),
    ],
)
def test_what_comes_first(index, typed, first):
    found = names(index, typed, limit=len(first))

    assert type(first)(found) == first  # in this order, or in any where it is a set


@pytest.mark.parametrize(
    ("typed", "better", "worse"),
    [
        ("pandas", "pandas", "pandas-stubs"),
        ("pandas", "pandas-stubs", "geopandas"),
        ("pytest", "pytest-cov", "pytest-xdist"),
        ("learn", "scikit-learn", "learn2learn"),
        ("learn", "learn2learn", "learning-loop-node"),
        ("yaml", "PyYAML", "yaml-config"),
        ("http", "httpx", "aiohttp"),
        ("http", "aiohttp", "requests"),
        ("requests", "requests-oauthlib", "requests-mock"),
    ],
)
def test_what_comes_before_what(index, typed, better, worse):
    found = names(index, typed, limit=200)

    assert found.index(better) < found.index(worse)


@pytest.mark.parametrize(
    ("typed", "is_guess"), [("requests", False), ("reqeusts", True), ("machine lear", False)]
)
def test_what_was_only_guessed_is_said(index, typed, is_guess):
    assert search(index, typed).is_guess is is_guess


def test_who_types_a_name_letter_by_letter_sees_it_soon_and_to_the_end(index):
    places = [names(index, "matplotlib"[:length]).index("matplotlib") for length in range(3, 11)]

    assert places == [0] * 8


@pytest.mark.parametrize("typed", ["client", "a", "python", "my", "flask"])
def test_pages_fit_together(index, typed):
    whole = names(index, typed, limit=100)

    pages = [one for offset in range(0, 100, 7) for one in names(index, typed, offset=offset, limit=7)]

    assert pages[: len(whole)] == whole
    assert len(set(whole)) == len(whole)


@pytest.mark.parametrize(
    "typed", ["", " ", "\0", "\ud800", "*", "-._", '"', "😀", "/" * 999, "\n\t", "ⅷⅷⅷⅷ\u0300", "§§"]
)
def test_what_nobody_can_mean_finds_nothing(index, typed):
    results = search(index, typed)

    assert (list(results.hits), results.total, results.is_exact) == ([], 0, True)


@pytest.mark.parametrize(
    "typed",
    [
        '"unclosed',
        "name:requests",
        "a AND (b OR",
        "requests\0numpy",
        "[a-z]* .* \\",
        "^$+?{}|",
        "a" * 10_000,
        "requests " * 2000,
        "的" * 5000,
        "é" * 300,
        "\ufdfa" * 300,
        "~2 requests~ *quests",
        "request\u202es",
    ],
)
def test_no_query_is_too_odd(index, typed):
    results = search(index, typed)

    assert len(results.hits) <= 20


@settings(max_examples=150)
@given(st.text(max_size=80))
@example("ǆ" * 40)
def test_no_text_makes_it_fail(index, typed):
    results = search(index, typed, limit=5)

    assert len(results.hits) <= 5
    assert results.total >= len(results.hits)
