"""What the server counts, and what `/metrics` says (docs/metrics.md)."""

import asyncio
import os
import re
import time
from pathlib import Path

import pytest

from frumious.catalog.base import Batch, Finish, RunRecord
from frumious.catalog.sqlite import open_catalog
from frumious.server.access_log import AccessLog
from frumious.server.counters import IN_FLIGHT, PAGE_HITS, PAGES, Counters
from frumious.server.http import Request, Response
from frumious.server.metrics import Metrics, is_loopback
from frumious.server.records import Records

DOCUMENT = Path(__file__).parents[2] / "docs/metrics.md"


def test_workers_add_up_and_what_a_dead_one_counted_stays():
    counters = Counters(2)
    for worker, generation in [(0, 0), (1, 0), (0, 1), (0, 2)]:
        pid = os.fork()
        if not pid:
            counters.begin(worker, generation)
            for _ in range(100):
                counters.observe(Request("GET", "/simple/six/"), Response(200, [], b"12345"), 0.003)
            counters.observe(Request("HEAD", "/nowhere"), Response(404, [], b"gone"), 7.0)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0

    assert {(route, status): count for route, status, count in counters.requests()} == {
        ("simple", 200): 400, ("other", 404): 4,
    }  # fmt: skip
    assert dict(counters.bytes_sent()) == {"simple": 2000}
    durations = {route: (buckets, seconds) for route, buckets, seconds in counters.durations()}
    assert sum(durations["simple"][0]) == durations["simple"][0][3] == 400
    assert durations["simple"][1] == pytest.approx(1.2)
    assert durations["other"][0][-2] == 4


def test_what_a_worker_has_at_the_moment_is_gone_with_its_process():
    counters = Counters(1)
    ready, go_on = os.pipe(), os.pipe()
    pid = os.fork()
    if not pid:
        counters.begin(0, 0)
        counters.add(PAGE_HITS, 5)
        counters.set(PAGES, 7)
        with counters.in_flight():
            os.write(ready[1], b".")
            os.read(go_on[0], 1)
            os._exit(1)
    os.read(ready[0], 1)
    counters.begin(0, 1)  # the next one, while the first is ending
    counters.set(PAGES, 2)
    with counters.in_flight():
        meanwhile = [counters.total(what) for what in (PAGE_HITS, PAGES, IN_FLIGHT)]
        os.write(go_on[1], b".")
        os.waitpid(pid, 0)
        after = [counters.total(what) for what in (PAGE_HITS, PAGES, IN_FLIGHT)]
    for descriptor in (*ready, *go_on):
        os.close(descriptor)

    assert meanwhile == [5, 9, 2]
    assert after == [5, 2, 1]
    assert counters.total(IN_FLIGHT) == 0
    counters.begin(0, 2)
    assert counters.total(PAGES) == 2, "what the first one had is not its successor's"
    assert counters.total(PAGE_HITS) == 5


async def filled(path):
    catalog = await open_catalog(path)
    await catalog.commit_batch(Batch(at=1))
    await catalog.settle(head=77, status="70", todo=None)
    await catalog.finish(Finish(RunRecord("mirror", 100, 160, 0, '{"serial": 82}'), status="70"))
    await catalog.aclose()


def metrics_of(path, directory, client="127.0.0.1", **options):
    counters = Counters(1)
    counters.observe(Request("GET", "/simple/"), Response(200, [], b"x"), 0.001)

    async def work():
        records = Records(lambda: open_catalog(path, read_only=True), path)
        metrics = Metrics(records, counters, directory, for_everybody=options.get("for_everybody", False))
        try:
            return await metrics.answer(
                Request("GET", "/metrics", client=client, is_known=options.get("is_known", False))
            )
        finally:
            await records.aclose()

    return asyncio.run(work())


@pytest.fixture
def catalog(tmp_path):
    path = tmp_path / "catalog.sqlite3"
    asyncio.run(filled(path))
    return path


def test_every_metric_is_documented_and_every_documented_one_is_there(catalog, tmp_path):
    answer = metrics_of(catalog, tmp_path)
    said = answer.body.decode()

    there = set(re.findall(r"^# TYPE (\S+) ", said, re.MULTILINE))
    documented = set(re.findall(r"^\| `(frumious_\w+)`", DOCUMENT.read_text(), re.MULTILINE))
    assert there == documented
    assert "frumious_serial 77\n" in said
    assert "frumious_upstream_serial 70\n" in said
    assert "frumious_upstream_seen_serial 82\n" in said
    assert "frumious_lag_serials 12\n" in said
    (age,) = re.findall(r"^frumious_list_age_seconds (\d+)$", said, re.MULTILINE)
    assert abs(int(age) - (time.time() - 100)) < 60
    assert "frumious_last_run_seconds 60\n" in said
    assert 'frumious_http_requests_total{route="simple",status="200"} 1\n' in said
    assert 'frumious_http_request_seconds_bucket{route="simple",le="+Inf"} 1\n' in said


def test_prometheus_could_read_it(catalog, tmp_path):
    """Each line is a comment or a sample, and each sample belongs to the metric whose type came last."""
    name = ""
    for line in metrics_of(catalog, tmp_path).body.decode().splitlines():
        if line.startswith("# TYPE "):
            name = line.split()[2]
        elif not line.startswith("#"):
            found = re.fullmatch(r'([a-z_]+)(\{[a-z]+="[^"]*"(?:,[a-z]+="[^"]*")*\})? (-?[0-9.e+]+)', line)
            assert found, line
            assert found[1].startswith(name)


def test_without_a_catalog_the_server_is_still_told_of(tmp_path):
    said = metrics_of(tmp_path / "none", tmp_path).body.decode()

    assert "frumious_catalog_up 0\n" in said
    assert "frumious_http_requests_total" in said
    assert "frumious_serial" not in said


@pytest.mark.parametrize(
    ("client", "options", "status"),
    [
        ("127.0.0.1", {}, 200), ("[::1]", {}, 200), ("192.0.2.1", {}, 403), ("", {}, 403),
        ("192.0.2.1", {"is_known": True}, 200), ("192.0.2.1", {"for_everybody": True}, 200),
    ],
)  # fmt: skip
def test_metrics_are_for_this_machine(catalog, tmp_path, client, options, status):
    assert metrics_of(catalog, tmp_path, client, **options).status == status


def test_what_is_of_this_machine():
    assert is_loopback("127.8.9.1")
    assert not is_loopback("nonsense")


def test_a_client_cannot_write_lines_of_its_own(tmp_path):
    place = tmp_path / "access.log"
    log = AccessLog(place)
    sent = {"user-agent": 'pip/25 "x"\r\n127.0.0.1 - - forged', "referer": None}
    log.observe(
        Request("GET", "/simple/\n\x1b[31m/é", "q=1\r2", sent.get, "192.0.2.7"),
        Response(200, [], b"1234"),
        0.0123,
    )
    log.observe(Request("HEAD", "/x" * 5000, "", sent.get, "::1"), Response(404, [], b"1234"), 0.5)
    log.close()

    first, second = place.read_text().splitlines()

    assert re.fullmatch(
        r'192\.0\.2\.7 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\] "GET [^"]* 200 4 "-" "[^"]*" 0\.012300'.replace(
            '[^"]* 200', '[^"]*" 200'
        ),
        first,
    ), first
    assert "forged" in first
    assert "\x1b" not in first
    assert len(second) < 2500
    assert place.stat().st_mode & 0o007 == 0
