"""What a run costs grows with what changed: counted in requests and effects, not in seconds."""

import pytest

from support.faults import StopAfter
from support.world import Limits, World

MANY = 1500


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    for number in range(MANY):
        made.index.upload("big", f"1.{number}", f"big-1.{number}.tar.gz", content=b"%d" % number)
    for number in range(50):
        made.index.upload(f"p{number}", "1.0")
    made.mirror(limits=Limits(projects=50))
    return made


def cost(world) -> tuple[int, int]:
    """Run, and return how many requests were made and how many effects storage saw."""
    asked = len(world.upstream.requests())
    counting = StopAfter(world.storage, 10**9)
    world.mirror(storage=counting, check=False)
    return len(world.upstream.requests()) - asked, counting.effects


def test_nothing_new_is_one_request_and_a_few_small_files(world):
    requests, effects = cost(world)
    assert requests == 1
    assert effects <= 8  # the state files and two barriers


def test_one_new_file_in_a_project_of_many_is_one_download(world):
    world.index.upload("big", "2.0", "big-2.0.tar.gz", content=b"new")
    requests, effects = cost(world)
    assert requests == 3  # list, page, file
    assert effects <= 30
    assert len(world.filenames("big")) == MANY + 1


def test_effects_grow_with_changed_projects_only(world):
    costs = []
    for number in (1, 5, 10):
        for changed in range(number):
            world.index.touch(f"p{changed}")
        costs.append(cost(world)[1])
    steps = (costs[1] - costs[0]) / 4, (costs[2] - costs[1]) / 5
    assert max(steps) <= 9  # three staged, three renamed, a share of the batch's barrier
