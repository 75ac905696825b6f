"""Provenance documents (PEP 740): who published a file, as upstream says; whether one speaks of a certain file. Pure.

Signatures are not verified: that takes the certificates of whoever signed, and is for those who install. What is
checked is that a document is about the very bytes it is kept with.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    parse_sdist_filename,
    parse_wheel_filename,
)

MEDIA_TYPE = "application/vnd.pypi.integrity.v1+json"
LONGEST = 1 << 20
"""Bytes of a document; one of today has about ten thousand."""
VERSION = 1


class _Envelope(msgspec.Struct):
    statement: str
    signature: str


class _Attestation(msgspec.Struct):
    version: int
    verification_material: dict[str, Any]
    envelope: _Envelope


class _Bundle(msgspec.Struct):
    publisher: dict[str, Any]
    attestations: list[_Attestation]


class _Document(msgspec.Struct):
    version: int
    attestation_bundles: list[_Bundle]


class _Subject(msgspec.Struct):
    digest: dict[str, str]
    name: str | None = None


class _Statement(msgspec.Struct):
    subject: list[_Subject]


_DOCUMENT = msgspec.json.Decoder(_Document)
_STATEMENT = msgspec.json.Decoder(_Statement)


def problem_of(body: bytes, filename: str, sha256: str) -> str | None:
    """Return why a document is not the provenance of a file, None if it is (conformance 79).

    It must be of version 1 and have attestations, each with one subject: the file, by its name and its digest.
    """
    if len(body) > LONGEST:
        return f"longer than {LONGEST} bytes"
    try:
        document = _DOCUMENT.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        return f"not a provenance document: {error}"
    attestations = [one for bundle in document.attestation_bundles for one in bundle.attestations]
    if document.version != VERSION or any(one.version != VERSION for one in attestations):
        return f"of another version than {VERSION}"
    if not attestations:
        return "it has no attestations"
    problems = (_problem_of_statement(one.envelope.statement, filename, sha256) for one in attestations)
    return next((problem for problem in problems if problem is not None), None)


def _problem_of_statement(encoded: str, filename: str, sha256: str) -> str | None:
    try:
        subjects = _STATEMENT.decode(base64.b64decode(encoded, validate=True)).subject
    except (msgspec.DecodeError, binascii.Error, ValueError, RecursionError) as error:
        return f"an attestation that cannot be read: {error}"
    if len(subjects) != 1:
        return f"an attestation of {len(subjects)} subjects"
    subject = subjects[0]
    if subject.digest.get("sha256", "").lower() != sha256:
        return f"it is about sha256 {subject.digest.get('sha256')!r}, not {sha256}"
    if subject.name is not None and not _is_same_file(subject.name, filename):
        return f"it is about {subject.name!r}"
    return None


def _is_same_file(said: str, filename: str) -> bool:
    """Say whether two names mean one file: those of wheels may order their tags otherwise."""
    if said == filename:
        return True
    try:
        if filename.endswith(".whl"):
            return parse_wheel_filename(said) == parse_wheel_filename(filename)
        return parse_sdist_filename(said) == parse_sdist_filename(filename)
    except (InvalidWheelFilename, InvalidSdistFilename):
        return False
