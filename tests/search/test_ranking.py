"""How what was found is ordered."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frumious.model.names import normalize
from frumious.search.ranking import (
    FAR,
    FOUND,
    NEAR,
    Answer,
    Match,
    Way,
    order_of,
    popularity_of,
    rank,
    score,
)

UNUSED, USED = order_of(normalize("unused"), 0), order_of(normalize("used"), 10**6)


def match(number, order=UNUSED, closeness=0.0):
    return Match((0, number), order, closeness)


def answer(way, *matches, count=None):
    return Answer(way, matches, len(matches) if count is None else count)


def places(ranking):
    return [document for (_, document), _ in ranking.places]


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (Way.NAME, Way.SQUASHED),
        (Way.SQUASHED, Way.BEGINS),
        (Way.BEGINS, Way.WORDS),
        (Way.WORDS, Way.PREFIX),
        (Way.PREFIX, Way.WITHIN),
        (Way.WITHIN, Way.TEXT),
        (Way.TEXT, Way.UNFINISHED),
        (Way.UNFINISHED, Way.TYPO),
        (Way.TYPO, Way.TYPOS),
        (Way.TYPOS, Way.TEXT_TYPO),
        (Way.TEXT_TYPO, Way.SOME),
    ],
)
def test_of_what_is_used_as_much_the_better_way_comes_first(better, worse):
    for order in (UNUSED, USED):
        assert places(rank([answer(worse, match(1, order)), answer(better, match(2, order))])) == [2, 1]


def test_what_is_used_a_lot_overtakes_what_nobody_uses_but_not_the_name_itself():
    learnhub, scikit_learn, learn = match(1), match(2, USED), match(3)

    ranking = rank([answer(Way.PREFIX, learnhub), answer(Way.WORDS, scikit_learn), answer(Way.NAME, learn)])

    assert places(ranking) == [3, 2, 1]


@pytest.mark.parametrize("found", FOUND)
@pytest.mark.parametrize("further", [*NEAR, *FAR])
def test_nothing_that_was_only_guessed_overtakes_what_was_found(found, further):
    assert score(found, match(1)) > score(further, match(1, USED, closeness=1e9))


def test_downloads_decide_between_equals_and_then_brevity():
    orders = [
        order_of(normalize(name), downloads)
        for name, downloads in [("long-name", 900), ("short", 900), ("much-longer-name", 90), ("a", 0)]
    ]

    assert sorted(orders, reverse=True) == [orders[1], orders[0], orders[2], orders[3]]


@given(st.integers(-5, 2**70), st.integers(-5, 2**70))
def test_more_downloads_never_order_lower(fewer, more):
    fewer, more = sorted([fewer, more])

    orders = [order_of(normalize("six"), downloads) for downloads in (fewer, more)]

    assert orders == sorted(orders)
    assert all(0 <= order < 2**53 and 0 <= popularity_of(order) <= 1 for order in orders)


MATCHES = st.builds(
    Match,
    place=st.tuples(st.integers(0, 2), st.integers(0, 30)),
    order=st.integers(0, 1000).map(lambda level: level << 40),
    closeness=st.floats(0, 1e6),
)
ANSWERS = st.lists(
    st.builds(
        lambda way, matches: (way, sorted(matches, key=lambda m: (score(way, m), m.order), reverse=True)),
        st.sampled_from(Way),
        st.lists(MATCHES, max_size=20, unique_by=lambda m: m.place),
    ),
    max_size=6,
    unique_by=lambda pair: pair[0],
)


def of_one_order(answers):
    """Give each project the order that it has in all answers, as an index does."""
    orders = {m.place: m.order for _, matches in answers for m in matches}
    told = []
    for way, matches in answers:
        same = [replace(m, order=orders[m.place]) for m in matches]
        told.append((way, sorted(same, key=lambda m: (score(way, m), m.order), reverse=True)))
    return told


@given(ANSWERS, st.integers(1, 20))
def test_pages_agree_however_deep_one_leafs(answers, wanted):
    whole = [Answer(way, matches, len(matches)) for way, matches in of_one_order(answers)]
    first = [replace(one, matches=one.matches[:wanted]) for one in whole]

    assert [worth for _, worth in rank(first).places[:wanted]] == [
        worth for _, worth in rank(whole).places[:wanted]
    ]


@given(ANSWERS)
def test_a_project_comes_once_and_by_its_best_way(answers):
    ranking = rank([Answer(way, matches, len(matches)) for way, matches in answers])

    best = {}
    for way, matches in answers:
        for one in matches:
            best[one.place] = max(score(way, one), best.get(one.place, 0.0))
    assert dict(ranking.places) == best
    assert len(ranking.places) == len(best)
    worths = [worth for _, worth in ranking.places]
    assert worths == sorted(worths, reverse=True)


def test_the_total_is_exact_where_everything_was_told_and_a_lower_bound_elsewhere():
    told = rank([answer(Way.WORDS, match(1), match(2)), answer(Way.TEXT, match(2), match(3))])
    more = rank([answer(Way.WORDS, match(1), match(2), count=700), answer(Way.TEXT, match(3))])

    assert (told.total, told.is_exact) == (3, True)
    assert (more.total, more.is_exact) == (700, False)
    assert (rank([]).total, rank([]).is_exact) == (0, True)


def test_a_guess_is_one_only_where_nothing_else_was_found():
    guess = answer(Way.TYPO, match(1))

    assert rank([answer(Way.NAME), guess]).is_guess
    assert not rank([answer(Way.NAME, match(2)), guess]).is_guess
    assert not rank([answer(Way.NAME)]).is_guess
