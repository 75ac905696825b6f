"""`exclude_yanked`."""

import pytest

from frumious.filters.build import build_selection
from frumious.filters.offer import Offer
from frumious.filters.sections import Sections
from frumious.model.names import normalize
from frumious.model.project import File


def chosen(*files: File):
    offer = Offer(normalize("tove"), "tove", files, 0.0)
    return build_selection(["exclude_yanked"], Sections()).choose(offer)


def test_only_yanked_files_are_dropped():
    kept = File("tove-1.0.tar.gz", "u")
    yanked = File("tove-1.0-py3-none-any.whl", "u", yanked="bites")

    choice = chosen(kept, yanked)

    assert choice.keeps(kept)
    assert str(choice.files[yanked.filename]) == "exclude_yanked: yanked: bites"


@pytest.mark.parametrize(("said", "reason"), [("", "yanked"), (" \n", "yanked"), ("a\nb", "yanked: a b")])
def test_the_reason_is_one_line_and_may_be_absent(said, reason):
    choice = chosen(File("tove-1.0.tar.gz", "u", yanked=said))

    assert choice.files["tove-1.0.tar.gz"].reason == reason
