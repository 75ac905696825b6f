"""What somebody uploaded is read for whoever asks, in bounded time, whatever it is (docs/security.md)."""

import io
import json
import shutil
import tarfile
import zipfile
from urllib.parse import unquote

import pytest

from server.test_files import sent


@pytest.fixture
def web(tree, tmp_path):
    shutil.copytree(tree.web, tmp_path / "web")
    return tmp_path / "web"


def place(web, tree, filename):
    return web / unquote(tree.file(filename).path)[1:]


def test_metadata_of_a_hundred_thousand_headers(ask_over, web, tree):
    """With a parser that compares each with all others this takes minutes, and the request as long."""
    beside = place(web, tree, "snark-1.0-py3-none-any.whl")
    headers = "".join(f"X-{number}: y\n" for number in range(100_000))
    beside.with_name(f"{beside.name}.metadata").write_text(
        f"Name: snark\nSummary: softly\n{headers}\nand suddenly\n"
    )

    answer = ask_over(web)("/pypi/snark/json")

    assert answer.status == 200
    info = json.loads(sent(answer))["info"]
    assert (info["summary"], info["name"]) == ("softly", "snark")


@pytest.mark.parametrize("kind", ["many members", "long header", "not gzip"])
def test_a_source_distribution_made_to_harm(ask_over, web, tree, kind):
    """It is served as it is, and says nothing of the release."""
    body = io.BytesIO()
    if kind == "not gzip":
        body.write(b"\x1f\x8b" + b"\xff" * 1000)
    else:
        with tarfile.open(fileobj=body, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
            count = 30_000 if kind == "many members" else 1
            for number in range(count):
                member = tarfile.TarInfo(f"boojum-1.0/{number}")
                if kind == "long header":
                    member.pax_headers = {"comment": "x" * (8 << 20)}
                archive.addfile(member)
            said = b"Metadata-Version: 2.1\nName: boojum\nVersion: 1.0\nSummary: behind it all\n"
            last = tarfile.TarInfo("boojum-1.0/PKG-INFO")
            last.size = len(said)
            archive.addfile(last, io.BytesIO(said))
    place(web, tree, "boojum-1.0.tar.gz").write_bytes(body.getvalue())

    answer = ask_over(web)("/pypi/boojum/1.0/json")

    assert answer.status == 200
    assert json.loads(sent(answer))["info"]["summary"] is None


def test_a_wheel_of_many_members(ask_over, web, tree):
    wheel = place(web, tree, "snark-1.0-py3-none-any.whl")
    wheel.with_name(f"{wheel.name}.metadata").unlink()
    with zipfile.ZipFile(wheel, "w") as archive:
        for number in range(60_000):
            archive.writestr(f"{number}/{'x' * 60}", b"")
        archive.writestr("snark-1.0.dist-info/METADATA", "Name: snark\nSummary: behind it all\n")

    answer = ask_over(web)("/pypi/snark/json")

    assert answer.status == 200
    assert json.loads(sent(answer))["info"]["summary"] is None
