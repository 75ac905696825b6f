"""The core metadata inside distribution files, those included that are made to hurt."""

import bz2
import gzip
import io
import lzma
import subprocess
import sys
import tarfile
import zipfile
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frumious.search.archives import read_core_metadata
from frumious.search.documents import LONGEST

METADATA = b"Metadata-Version: 2.1\nName: six\nVersion: 1.0\n\nText\n"


def tar(members, format=tarfile.GNU_FORMAT):  # noqa: A002
    """Return a tar file of names and bodies."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=format) as archive:
        for name, body in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
    return packed.getvalue()


def zip_of(members, method=zipfile.ZIP_DEFLATED):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name, body in members.items():
            archive.writestr(name, body)
    return packed.getvalue()


def read(tmp_path, name, body):
    path = tmp_path / name
    path.write_bytes(body)
    return read_core_metadata(path)


SDIST = {"six-1.0/setup.py": b"raise SystemExit", "six-1.0/PKG-INFO": METADATA, "six-1.0/six.py": b""}


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("six-1.0.tar.gz", gzip.compress),
        ("SIX-1.0.TGZ", gzip.compress),
        ("six-1.0.tar.bz2", bz2.compress),
        ("six-1.0.tbz", bz2.compress),
        ("six-1.0.tar.xz", lzma.compress),
        ("six-1.0.tar", bytes),
    ],
)
def test_a_source_distribution(tmp_path, name, pack):
    assert read(tmp_path, name, pack(tar(SDIST))) == METADATA


@pytest.mark.parametrize(
    ("name", "members"),
    [
        ("six-1.0-py3-none-any.whl", {"six.py": b"", "six-1.0.dist-info/METADATA": METADATA}),
        ("six-1.0.zip", SDIST),
        ("six-1.0-py2.7.egg", {"six.py": b"", "EGG-INFO/PKG-INFO": METADATA}),
    ],
)
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_file(tmp_path, name, members, method):
    assert read(tmp_path, name, zip_of(members, method)) == METADATA


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("top", ["six-1.0", "./six-1.0", "x" * 90, "x" * 150, "ünï-1.0"])
def test_names_in_every_form_of_tar_file(tmp_path, format, top):  # noqa: A002
    body = tar({f"{top}/a": b"a" * 700, f"{top}/PKG-INFO": METADATA}, format)

    assert read(tmp_path, "six-1.0.tar.gz", gzip.compress(body)) == METADATA


def test_only_that_of_the_distribution_itself_counts(tmp_path):
    nested = {
        "PKG-INFO": b"not in a folder",
        "six-1.0/six.egg-info/PKG-INFO": b"a copy",
        "six-1.0/vendored/PKG-INFO": b"another project",
        "six-1.0/PKG-INFO-not": b"no",
    }
    wheel = {
        "vendored/other-1.0.dist-info/METADATA": b"no",
        "METADATA": b"no",
        "x.dist-info/METADATA.bak": b"no",
    }

    assert read(tmp_path, "six-1.0.tar.gz", gzip.compress(tar(nested))) is None
    assert read(tmp_path, "six-1.0.zip", zip_of(nested)) is None
    assert read(tmp_path, "six-1.0-py3-none-any.whl", zip_of(wheel)) is None


def test_what_is_no_file_is_not_read(tmp_path):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE):
            member = tarfile.TarInfo("six-1.0/PKG-INFO")
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)

    assert read(tmp_path, "six-1.0.tar", packed.getvalue()) is None


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("a.whl", b""),
        ("a.whl", b"PK\x05\x06" + b"\xff" * 18),
        ("a.tar.gz", b"\x1f\x8b\x08\x00"),
        ("a.tar.gz", b"not packed"),
        ("a.tar.gz", gzip.compress(tar(SDIST))[:100]),
        ("a.tar.gz", gzip.compress(tar(SDIST)[:700])),
        ("a.tar.bz2", b"BZh9 and no more"),
        ("a.tar.xz", b"\xfd7zXZ\x00"),
        ("a.tar", b"x" * 5000),
        ("a.tar", tar(SDIST)[:512]),
        ("a.exe", zip_of(SDIST)),
        ("a.rpm", b"\xed\xab\xee\xdb"),
        ("a", METADATA),
    ],
)
def test_what_is_broken_or_of_another_kind_says_nothing(tmp_path, name, body):
    assert read(tmp_path, name, body) is None


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_core_metadata(tmp_path / "six-1.0.tar.gz")


def test_metadata_that_is_too_long_is_none(tmp_path):
    fits, does_not = b"x" * LONGEST, b"x" * (LONGEST + 1)

    assert read(tmp_path, "a.tar.gz", gzip.compress(tar({"a/PKG-INFO": fits}))) == fits
    assert read(tmp_path, "a.tar.gz", gzip.compress(tar({"a/PKG-INFO": does_not}))) is None
    assert read(tmp_path, "a.whl", zip_of({"a.dist-info/METADATA": fits})) == fits
    assert read(tmp_path, "a.whl", zip_of({"a.dist-info/METADATA": does_not})) is None


@given(st.data())
def test_no_change_of_a_byte_makes_it_fail(tmp_path_factory, data):
    name, whole = data.draw(st.sampled_from([
        ("a.tar.gz", gzip.compress(tar(SDIST), mtime=0)),
        ("a.tar", tar({"x" * 150 + "/PKG-INFO": METADATA}, tarfile.PAX_FORMAT)),
        ("a.whl", zip_of({"six-1.0.dist-info/METADATA": METADATA})),
        ("a.tar.xz", lzma.compress(tar(SDIST))),
    ]))  # fmt: skip
    body = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))

    found = read(tmp_path_factory.getbasetemp(), name, bytes(body))

    assert found is None or len(found) <= LONGEST


# ------------------------------------------------------------------ hostile


def zeros(count, pack):
    """Return that many zeros, packed, without ever having them."""
    return b"".join([*(pack.compress(bytes(1 << 20)) for _ in range(count >> 20)), pack.flush()])


def header(name, size, kind=tarfile.REGTYPE):
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    return member.tobuf(tarfile.GNU_FORMAT)


def tar_gz_of_members(path):
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    one = header("a/b", 0) * 2048
    path.write_bytes(b"".join([*(packer.compress(one) for _ in range(200)), packer.flush()]))


def tar_gz_bomb(path):
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    path.write_bytes(packer.compress(header("a/b", 8 << 30)) + zeros(1 << 27, packer))


def tar_gz_of_long_names(path):
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    path.write_bytes(packer.compress(header("a", 1 << 30, tarfile.GNUTYPE_LONGNAME)) + zeros(1 << 27, packer))


def tar_gz_of_facts(path):
    facts = b"".join(b"15 %06x=%06x\n" % (n, n) for n in range(1 << 20))
    path.write_bytes(gzip.compress(header("a", len(facts), tarfile.XHDTYPE) + facts, 1))


def tar_bz2_bomb(path):
    path.write_bytes(bz2.compress(header("a/b", 8 << 30) + bytes(1 << 27)))


def tar_xz_of_a_huge_dictionary(path):
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 30}]
    path.write_bytes(lzma.compress(tar(SDIST), filters=filters))


def zip_bomb(path):
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.dist-info/METADATA", "w", force_zip64=True) as file,
    ):
        for _ in range(128):
            file.write(bytes(1 << 20))


def zip_of_entries(path):
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(70_000):
            archive.writestr(zipfile.ZipInfo(f"{number:06}" * 4), b"")


def zip_of_lzma(path):
    path.write_bytes(zip_of({"a.dist-info/METADATA": METADATA}, zipfile.ZIP_LZMA))


HOSTILE = {
    "a.tar.gz": [tar_gz_of_members, tar_gz_bomb, tar_gz_of_long_names, tar_gz_of_facts],
    "a.tar.bz2": [tar_bz2_bomb],
    "a.tar.xz": [tar_xz_of_a_huge_dictionary],
    "a.whl": [zip_bomb, zip_of_entries, zip_of_lzma],
}
READ = """
import resource, sys
from pathlib import Path
from frumious.search.archives import read_core_metadata
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert read_core_metadata(Path(sys.argv[1])) is None
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize(
    ("name", "make"), [(name, make) for name, makes in HOSTILE.items() for make in makes]
)
def test_a_hostile_archive_costs_little_memory_and_ends(tmp_path, name, make):
    make(tmp_path / name)

    done = subprocess.run(
        [sys.executable, "-c", READ, tmp_path / name], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 40 * 1024  # KiB
