"""Project names: text becomes a type at the door."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from packaging.utils import canonicalize_name, is_normalized_name

from frumious.model.names import MAX_NAME_BYTES, InvalidName, normalize

# As packaging.python.org states it, "Names and normalization".
VALID = re.compile(r"^([A-Z0-9]|[A-Z0-9][A-Z0-9._-]*[A-Z0-9])\Z", re.IGNORECASE | re.ASCII)
names = st.from_regex(VALID).filter(lambda name: len(name) <= MAX_NAME_BYTES)
almost_names = st.text(st.sampled_from("aZ09-_. /\\%\n\0é\u212a\u0661"), max_size=8)


@given(names)
@example("0-._.-._.-._.-._.-._.-._.-0")
def test_a_name_is_normalized_as_the_packaging_library_does_it(name):
    """Conformance 1."""
    assert normalize(name) == canonicalize_name(name)
    assert is_normalized_name(normalize(name))


@given(names)
def test_normalizing_twice_changes_nothing(name):
    """Conformance 1."""
    assert normalize(normalize(name)) == normalize(name)


@given(names)
def test_spellings_of_one_project_are_one_name(name):
    """Conformance 1."""
    other = re.sub(r"[-_.]+", "_.-", name).swapcase()

    assert normalize(other) == normalize(name)


@given(names)
def test_a_normalized_name_can_be_a_directory_on_any_file_system(name):
    """Conformance 5."""
    normal = normalize(name)

    assert normal.isascii()
    assert normal == normal.lower()
    assert not set(normal) - set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert 1 <= len(normal) <= 250


@given(st.one_of(st.text(), almost_names))
def test_only_valid_text_is_a_name(text):
    """Conformance 5."""
    if VALID.match(text):
        normalize(text)
    else:
        with pytest.raises(InvalidName):
            normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "-",
        "_x",
        "x-",
        "six\n",
        "six\r\n",
        "../six",
        "six/..",
        "a/b",
        "a\\b",
        "%2e%2e",
        "a%2Fb",
        "six\0",
        "s ix",
        " six",
        "sıx",  # noqa: RUF001 - a dotless i
        "\u212aelvin",  # the Kelvin sign is a K to a regex that ignores case without re.ASCII
        "\u017fix",  # so is the long s an S
        "\uff53\uff49\uff58",
        "\u0661",
        "\ud800",
        "a" * 251,
    ],
)
def test_what_could_be_a_path_or_look_like_a_name_is_refused(text):
    """Conformance 5."""
    with pytest.raises(InvalidName) as caught:
        normalize(text)
    assert caught.value.text == text
    assert len(str(caught.value)) < 400
    assert str(caught.value).isprintable()


def test_the_longest_name_that_we_accept_has_250_characters():
    assert normalize("A" * 250) == "a" * 250
