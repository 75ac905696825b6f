"""`size_release_file`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frumious.filters.build import build_selection
from frumious.filters.offer import Offer
from frumious.filters.sections import BadSetting, sections
from frumious.filters.sizes import LimitSize
from frumious.model.names import normalize
from frumious.model.project import File


def selection(**keys):
    return build_selection(["size_release_file"], sections(size_release_file=keys))


def offered(name: str, *sizes: int | None) -> Offer:
    files = [File(f"{name}-{n}.tar.gz", "u", size=size) for n, size in enumerate(sizes)]
    return Offer(normalize(name), name, files, 0.0)


def kept(rules, offer):
    choice = rules.choose(offer)
    return [file.size for file in offer.files if choice.keeps(file)]


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("1000", 1000),
        ("1K", 1024),
        ("1 kb", 1024),
        ("1.5KiB", 1536),
        ("200M", 200 * 1024**2),
        ("2 T", 2 * 1024**4),
    ],
)
def test_a_file_of_the_size_is_kept_and_one_byte_more_is_not(text, limit):
    rules = selection(max_size=text)

    assert kept(rules, offered("slithy", limit - 1, limit, limit + 1, None)) == [limit - 1, limit, None]


def test_excepted_projects_have_no_limit_however_they_are_spelled():
    rules = selection(max_size="1K", **{"except": "Big.Model  # why\nother"})

    assert kept(rules, offered("big_model", 5000)) == [5000]
    assert kept(rules, offered("bigmodel", 5000)) == []


def test_the_reason_names_both_sizes_and_does_not_make_them_look_equal():
    rules = selection(max_size="200M")
    near, far = 200 * 1024**2 + 1, 3 * 1024**3

    reasons = [verdict.reason for verdict in rules.choose(offered("a", near, far)).files.values()]

    assert reasons == ["it has 209715201 bytes, more than 200 MiB", "it has 3 GiB, more than 200 MiB"]


@pytest.mark.parametrize("text", ["0", "-1", "big", "1X", "10 iB", "0.0001", "\u0661M"])
def test_a_limit_that_is_none_is_refused_with_its_place(text):
    with pytest.raises(BadSetting, match="cannot be used; allowed: a number of bytes") as caught:
        selection(max_size=text)

    assert (caught.value.section, caught.value.key, caught.value.line) == ("size_release_file", "max_size", 1)


def test_a_limit_is_required():
    with pytest.raises(BadSetting, match="required"):
        build_selection(["size_release_file"], sections())


def test_an_exception_is_a_name():
    with pytest.raises(BadSetting) as caught:
        selection(max_size="1K", **{"except": "a\nb==1"})

    assert (caught.value.key, caught.value.line) == ("except", 2)


@given(st.integers(), st.integers(min_value=1))
def test_any_size_is_judged(size, limit):
    offer = offered("a", size)

    assert LimitSize(limit).judge_file(offer, offer.files[0]).keep == (size <= limit)
