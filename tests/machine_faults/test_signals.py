"""Signals while a run waits, downloads, publishes, reads a tree, removes: it ends soon, says so, and the next goes on."""

import os
import shutil
import signal
import subprocess
import sys

import pytest

from support.httpd import Response
from support.index import Hang
from support.program import BIN, wait_for

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
SOON = 20
"""Seconds, on a machine that has much else to do."""


def ended(process, number):
    """Send a signal; return what the program said in the end, after it has ended as it should."""
    process.send_signal(number)
    _, said = process.communicate(timeout=SOON)
    assert process.returncode == 128 + number, said
    assert "Traceback" not in said, said
    assert said.count(f"by {signal.Signals(number).name}; what is published stays") == 1, said
    return said


@pytest.mark.parametrize("number", SIGNALS)
def test_while_it_waits_for_the_list(machine, number):
    machine.write(timeout=60)
    machine.served.faults.add("list", Hang())
    process = machine.start("mirror")
    wait_for(lambda: machine.served.requests("list"))
    assert len(ended(process, number).splitlines()) == 1
    machine.ends_whole()


def test_in_a_large_download_that_goes_on_where_it_was(machine):
    file = machine.index.upload("big", "1.0", content=os.urandom(3_000_000))
    routes = machine.served.httpd.routes
    routes[file.path] = Response(headers={"ETag": '"1"'}, body=file.content, piece=100_000, pause=0.02)
    process = machine.start("mirror")
    staging = machine.directory / ".frumious/staging"
    wait_for(lambda: any(p.stat().st_size > 1_500_000 for p in staging.glob("d*")))
    ended(process, signal.SIGTERM)
    (left,) = [p for p in staging.glob("d*") if p.suffix != ".v"]
    asked = []

    async def rest(request):
        asked.append(request.headers.get("range"))
        begin = int(asked[0].removeprefix("bytes=").removesuffix("-"))
        place = {"Content-Range": f"bytes {begin}-{file.size - 1}/{file.size}", "ETag": '"1"'}
        return Response(206, place, file.content[begin:])

    routes[file.path] = rest
    size = left.stat().st_size
    machine.ends_whole()
    assert asked == [f"bytes={size}-"]


@pytest.fixture
def many(machine):
    """A mirror of enough projects for a signal to come in between."""
    for number in range(60):
        machine.index.upload(f"p{number}", "1.0", content=b"%d" % number, metadata=False)
    return machine


def test_while_it_publishes(many):
    process = many.start("mirror")
    wait_for(lambda: any((many.directory / "web/simple").glob("p*")))
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=SOON)
    assert process.returncode in {0, 143}, said  # it may have been at its last page
    many.check()
    many.ends_whole()


def test_while_it_takes_over_a_tree(many):
    many.run()
    shutil.rmtree(many.directory / ".frumious")
    process = many.start("mirror")
    wait_for((many.directory / ".frumious/catalog.sqlite3").exists)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=SOON)
    assert process.returncode in {0, 143}, said
    many.check()
    many.ends_whole()


def test_while_it_removes(many):
    many.run()
    for number in range(40):
        many.index.delete_project(f"p{number}")
    process = many.start("mirror")
    wait_for(lambda: not (many.directory / "web/simple/p0").exists())
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=SOON)
    assert process.returncode in {0, 143}, said
    many.check()
    many.ends_whole()
    assert not (many.directory / "web/simple/p39").exists()


@pytest.mark.parametrize("number", SIGNALS)
def test_before_anything_has_begun(tmp_path, number):
    """The configuration is a FIFO that nobody writes to: the program waits where no loop runs yet."""
    config = tmp_path / "config"
    os.mkfifo(config)
    process = subprocess.Popen([BIN / "frumious", "-c", config, "mirror"], stderr=subprocess.PIPE, text=True)
    with config.open("w"):  # returns when it is being read
        ended(process, number)


def test_after_the_run_while_the_command_after_works(machine, tmp_path):
    ran = tmp_path / "ran"
    script = tmp_path / "after"
    script.write_text(f"#!/bin/sh\ntouch {ran}\nexec sleep 60\n")
    script.chmod(0o755)
    machine.write(run_after=script)
    process = machine.start("mirror")
    wait_for(ran.exists)
    children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True)
    try:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=SOON)
    finally:
        os.kill(int(children.stdout), signal.SIGKILL)
    _, said = process.communicate()
    assert process.returncode == 143
    assert "ended by SIGTERM" in said
    machine.ends_whole()


def test_whoever_wants_a_signal_ignored_has_it_ignored(machine):
    """`nohup frumious mirror &`, and the terminal goes away."""
    machine.write(timeout=60)
    machine.served.faults.add("list", Hang())
    process = subprocess.Popen(
        ["nohup", BIN / "frumious", "-c", machine.config, "mirror"],
        stderr=subprocess.PIPE, text=True, env={**os.environ, **machine.env},
    )  # fmt: skip
    wait_for(lambda: machine.served.requests("list"))
    process.send_signal(signal.SIGHUP)
    said = ended(process, signal.SIGTERM)
    assert "SIGHUP" not in said


STUBBORN = """
import asyncio
from frumious.cli.stopping import asked_by_signal, end_at_once_on_signals

async def work():
    loop = asyncio.get_running_loop()
    with asked_by_signal(loop, lambda number: print("asked", number, flush=True)):
        print("ready", flush=True)
        await asyncio.sleep(60)  # a disk that does not answer: nothing that is asked helps

end_at_once_on_signals()
asyncio.run(work())
"""


@pytest.mark.parametrize("second", SIGNALS)
def test_the_second_signal_ends_it_at_once(second):
    process = subprocess.Popen(
        [sys.executable, "-c", STUBBORN],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == f"asked {signal.SIGTERM.value}\n"
    ended(process, second)
