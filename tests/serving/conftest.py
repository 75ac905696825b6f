"""One small tree, and one nginx over it, for all tests of this folder."""

import pytest

from support.nginx import run_nginx
from support.tree import build_small_tree


@pytest.fixture(scope="session")
def tree(tmp_path_factory):
    return build_small_tree(tmp_path_factory.mktemp("mirror"))


@pytest.fixture(scope="session")
def nginx(tree, tmp_path_factory):
    with run_nginx("frumious-static.conf", tree.web, tmp_path_factory.mktemp("nginx")) as running:
        yield running
