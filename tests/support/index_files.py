"""Small real distribution files for the simulated index: wheels that install, sdists that unpack.

Bytes depend on the arguments alone, so that a test can upload the same file twice.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import re
import tarfile
import zipfile
from collections.abc import Sequence

KINDS = {
    "whl": "bdist_wheel",
    "egg": "bdist_egg",
    "exe": "bdist_wininst",
    "msi": "bdist_msi",
    "dmg": "bdist_dmg",
    "rpm": "bdist_rpm",
}
_EPOCH = (2026, 1, 1, 0, 0, 0)


def core_metadata(
    name: str, version: str, *, requires_python: str | None = None, requires_dist: Sequence[str] = ()
) -> bytes:
    """Return a METADATA file."""
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", f"Summary: {name}, simulated"]
    if requires_python:
        lines.append(f"Requires-Python: {requires_python}")
    lines += [f"Requires-Dist: {requirement}" for requirement in requires_dist]
    return ("\n".join(lines) + "\n").encode()


def provenance(filename: str, sha256: str, **changes: object) -> bytes:
    """Return a provenance document (PEP 740) of a file; its signatures are filler. `changes` replace its parts."""
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": filename, "digest": {"sha256": sha256}}],
        "predicateType": "https://index.example.org/attestations/publish/v1",
        "predicate": None,
    }
    attestation = {
        "version": 1,
        "verification_material": {"certificate": "AAAA", "transparency_entries": [{}]},
        "envelope": {
            "statement": base64.b64encode(json.dumps(statement).encode()).decode(),
            "signature": "AAAA",
        },
    }
    publisher = {"kind": "Forge", "repository": "toves/slithy", "workflow": "release.yml"}
    document = {
        "version": 1,
        "attestation_bundles": [{"publisher": publisher, "attestations": [attestation]}],
    }
    return json.dumps({**document, **changes}).encode()


def module_name(name: str) -> str:
    """Return the module that a simulated distribution contains, e.g. `foo_bar` for `Foo.Bar`."""
    return name.replace("-", "_").replace(".", "_").lower()


def package_type(filename: str) -> str:
    """Return the legacy JSON's word for the kind of a file, as far as its name tells."""
    return KINDS.get(filename.rpartition(".")[2], "sdist")


def python_version(filename: str, kind: str) -> str:
    """Return the legacy JSON's `python_version`: a wheel's first tag, `2.7` of an egg or installer, else `source`."""
    if filename.endswith(".whl"):
        return filename.split("-")[-3]
    found = re.search(r"-py(\d\.\d+)", filename)
    return found[1] if found else "source" if kind == "sdist" else "any"


def make_wheel(name: str, version: str, metadata: bytes) -> bytes:
    """Return a wheel with one module, whose `__version__` is the version."""
    info = f"{module_name(name)}-{version}.dist-info"
    members = {
        f"{module_name(name)}/__init__.py": f"__version__ = {version!r}\n".encode(),
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: simulated\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},sha256={_record_digest(data)},{len(data)}\n" for path, data in members.items())
    members[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, data in members.items():
            archive.writestr(zipfile.ZipInfo(path, _EPOCH), data)
    return buffer.getvalue()


def make_sdist(name: str, version: str, metadata: bytes) -> bytes:
    """Return a .tar.gz with PKG-INFO and one module; it unpacks, but nothing builds it offline."""
    top = f"{module_name(name)}-{version}"
    members = {
        f"{top}/PKG-INFO": metadata,
        f"{top}/pyproject.toml": f'[project]\nname = "{name}"\nversion = "{version}"\n'.encode(),
        f"{top}/{module_name(name)}.py": f"__version__ = {version!r}\n".encode(),
    }
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for path, data in members.items():
            member = tarfile.TarInfo(path)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def _record_digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
