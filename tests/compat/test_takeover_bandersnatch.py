"""A tree of the real bandersnatch is taken over as it is; and those that the other tests make are like it."""

import pytest

from frumious.storage.local import LocalStorage
from frumious.sync.takeover import take_over
from support.bandersnatch import real_bandersnatch
from support.bandersnatch_tree import bandersnatch_tree
from support.index import SimulatedIndex, serve
from support.world import World


@pytest.fixture
def index():
    index = SimulatedIndex()
    index.upload("A", "1.0", "a-1.0.tar.gz", content=b"sdist of a", metadata=False)
    index.upload("Foo.Bar", "1.0", requires_python=">=3.8, <4")
    index.upload("Foo.Bar", "1.0+x.1")
    index.upload("Foo.Bar", "2.0")
    index.yank("foo-bar", "2.0", 'bites "hard" <always>')
    return index


OPTIONS = {
    "plain": {},
    "json": {"json": "true"},
    "hash-index": {"hash_index": "true"},
    "keep": {"keep_index_versions": "2"},
    "md5": {"digest_name": "md5"},
    "html": {"simple_format": "HTML"},
}


@pytest.mark.parametrize("kind", OPTIONS)
def test_a_tree_of_the_real_bandersnatch_is_taken_over(tmp_path, index, kind):
    with serve(index) as served:
        bandersnatch = real_bandersnatch(SSL_CERT_FILE=str(served.ca_pem))
        folder = tmp_path / "mirror"
        config = bandersnatch.write_config(tmp_path / "b.conf", folder, served.url, **OPTIONS[kind])
        done = bandersnatch.mirror(config)
        assert done.returncode == 0, done.stderr
    world = World(tmp_path, index=index, storage=LocalStorage(folder))
    world.rendering(hash_index=kind == "hash-index", json=kind != "html")
    before = _pages(world)
    assert len(before) > 5

    taken = world._run(lambda ports: take_over(ports, world.options), None, check=False)

    # Of md5 alone nobody can tell whether a file is right without reading it.
    assert (taken.projects, taken.files, taken.incomplete) == (2, 0 if kind == "md5" else 4, 0)
    assert world.mirror(check=False).failed == {}
    assert [
        r.target for r in world.upstream.requests() if r.target.partition(":")[0] in {"page", "file"}
    ] == []
    assert _pages(world) == before
    if kind != "keep":
        like = bandersnatch_tree(
            index,
            json=kind == "json",
            hash_index=kind == "hash-index",
            digest="md5" if kind == "md5" else "sha256",
            simple_json=kind != "html",
        )
        ours = {key: stored.data for key, stored in like.objects.items() if key in before}
        assert sorted(ours) == sorted(before)
        for key in before:
            if key.endswith("html"):
                assert ours[key] == before[key]


def _pages(world):
    return {
        key: body
        for key, body in world.tree().items()
        if key.startswith(("web/simple/", "web/packages/", "web/json/", "web/pypi/")) and key.count("/") > 2
    }
