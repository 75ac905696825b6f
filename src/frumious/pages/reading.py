"""What the readers share: turning what upstream wrote into facts that the rest may rely on.

Upstream's optional facts come out as None when they make no sense. What a client's choice or safety hangs on
(name, URL, sha256) makes the file Unusable: it is left out and told, and the page stays.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from typing import Any, Final, TypeVar
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

from frumious.model.layout import is_safe_filename
from frumious.model.project import Digest, File, ProjectStatus

T = TypeVar("T")

MAX_INTEGER: Final = 2**63 - 1
"""Larger sizes and serials are nonsense, and SQLite cannot hold them."""
MAX_PROBLEMS: Final = 100
"""Sentences kept of one page: a hostile page shall not fill memory or log."""

# Fixed-length digests that hashlib guarantees, in the order in which we would rather have them. `blake2b` is
# hashlib's 512-bit one: PyPI's BLAKE2b-256 under that name has the wrong length and is passed over.
_HEX_LENGTHS: Final = {
    "sha256": 64,
    "sha512": 128,
    "sha384": 96,
    "blake2b": 128,
    "blake2s": 64,
    "sha3_512": 128,
    "sha3_384": 96,
    "sha3_256": 64,
    "sha3_224": 56,
    "sha224": 56,
    "md5": 32,  # before sha1: clients accept it in a fragment
    "sha1": 40,
}
_HEX = re.compile(r"[0-9a-f]+\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_DIGITS = re.compile(r"[0-9]{1,19}\Z")
_INSTANT = re.compile(
    r"((?!0000)[0-9]{4})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?Z\Z"
)
# An absolute URL that needs no second look: no fragment, nothing to encode, no port that could be too large.
_PLAIN_URL = re.compile(
    r"https?://[A-Za-z0-9.-]+(?::[1-9][0-9]{1,3})?/[A-Za-z0-9._~!$&'()*+,;=:@/?%-]*\Z", re.ASCII
)
# The same for a link of a mirror's page to its own files; no segment begins with a dot.
_PLAIN_PAGE = re.compile(
    r"https?://[A-Za-z0-9.-]+(?::[1-9][0-9]{1,3})?(?:/[A-Za-z0-9._~-]+){2,}/\Z", re.ASCII
)
_PLAIN_SEGMENT = r"[A-Za-z0-9_~!$&'()*+,=:@%-][A-Za-z0-9._~!$&'()*+,=:@%-]*"
_PLAIN_LINK = re.compile(rf"\.\./\.\./({_PLAIN_SEGMENT}(?:/{_PLAIN_SEGMENT})*)(?:#|\Z)", re.ASCII)
# A semicolon at the end of a path, which urljoin would lose.
_PATH_END = re.compile(r"\A([^?#]*);(?=[?#]|\Z)")
_NETLOC = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%\[\]-]+\Z")
_URL_SAFE: Final = "/%!$&'()*+,;=:@~?"


class Unusable(Exception):
    """A file that is left out of a page, and why; never leaves `frumious.pages`."""


def digest_of(algorithm: str, hexadecimal: object) -> Digest | None:
    """Return a digest that hashlib can check, None for any other."""
    if not isinstance(hexadecimal, str):
        return None
    lower = hexadecimal.lower()
    if _HEX_LENGTHS.get(algorithm) != len(lower) or not _HEX.match(lower):
        return None
    return Digest(algorithm, lower)


def best_digest(hashes: Mapping[str, Any]) -> Digest | None:
    """Return sha256 where it is given, else the best of the rest, None where none can be checked.

    Raises Unusable for a sha256 that cannot be one: what promises it promises nothing.
    """
    sha256 = hashes.get("sha256")
    if isinstance(sha256, str) and _SHA256.match(sha256):
        return Digest("sha256", sha256)
    lowered = {key.lower(): value for key, value in hashes.items()}
    for algorithm in _HEX_LENGTHS:
        if (value := lowered.get(algorithm)) is not None:
            digest = digest_of(algorithm, value)
            if digest is not None:
                return digest
            if algorithm == "sha256":
                raise Unusable("its sha256 is malformed")
    return None


def metadata_of(hashes: Mapping[str, Any]) -> Digest | bool | None:
    """Return what a dictionary of hashes says of core metadata: it is there, and best with a digest (PEP 714)."""
    try:
        return best_digest(hashes) or True
    except Unusable:
        return None


def resolve(page_url: str, link: str) -> str:
    """Return a link of a page as an absolute URL, percent-encoded, without fragment.

    Raises Unusable for anything that is not http or https, or that cannot be parsed.
    """
    if _PLAIN_URL.match(link):
        return link
    if (up := _PLAIN_LINK.match(link)) and _PLAIN_PAGE.match(page_url):
        return f"{page_url.rsplit('/', 3)[0]}/{up[1]}"
    try:
        parts = urlsplit(urljoin(page_url, _PATH_END.sub(r"\1%3B", link)))
        _ = parts.port  # parsed only when asked for
        path, query = quote(parts.path, safe=_URL_SAFE), quote(parts.query, safe=_URL_SAFE)
    except ValueError as error:
        raise Unusable("its URL cannot be parsed") from error
    if parts.scheme not in {"http", "https"}:
        raise Unusable("its URL is neither http nor https")
    if not parts.hostname or not _NETLOC.match(parts.netloc):
        raise Unusable("its URL has no usable host")
    return urlunsplit((parts.scheme, parts.netloc, path or "/", query, ""))


def secure_url(link: object) -> str | None:
    """Return an absolute https URL, None for anything else (PEP 740 wants no less)."""
    if not isinstance(link, str) or link[:8].lower() != "https://":
        return None
    try:
        return resolve(link, link)
    except Unusable:
        return None


def instant_of(text: object) -> str | None:
    """Return an upload time verbatim if it is one as PEP 700 writes them, else None."""
    if not isinstance(text, str):
        return None
    found = _INSTANT.match(text)
    if found is None:
        return None
    if found[3] > "28":
        try:
            date(int(found[1]), int(found[2]), int(found[3]))
        except ValueError:
            return None
    return text


def count_of(value: object) -> int | None:
    """Return a number of bytes, None for what is none."""
    return value if type(value) is int and 0 <= value <= MAX_INTEGER else None


def serial_of(value: object) -> int | None:
    """Return a serial, given as number or as digits, None for what is none."""
    if isinstance(value, str) and _DIGITS.match(value):
        value = int(value)
    return count_of(value)


def status_of(status: object, reason: object, problems: list[str]) -> tuple[ProjectStatus | None, str | None]:
    """Return a status marker (PEP 792) and its reason; one that is unknown is told and taken as absent."""
    if status is None:
        return None, None
    try:
        marker = ProjectStatus(status)
    except ValueError:
        tell(problems, f"unknown project status {shown(status)}")
        return None, None
    return marker, reason if isinstance(reason, str) and reason else None


def told(text: str | None) -> str | None:
    """Return text that says something, None for empty."""
    return text if text is not None and text.strip() else None


def safe_filename(text: str) -> str:
    """Return a file name that can be part of a path; raises Unusable."""
    if not is_safe_filename(text):
        raise Unusable("its name is unsafe")
    return text


def shown(value: object) -> str:
    """Return upstream's value for a sentence, short and without control characters."""
    return repr(value[:120] if isinstance(value, str) else type(value).__name__)


def read_files(
    entries: Iterable[T], read: Callable[[T], File], name_of: Callable[[T], object], problems: list[str]
) -> Iterator[File]:
    """Yield the files that can be used, each name once; tell the rest in `problems`."""
    seen: dict[str, File] = {}
    for entry in entries:
        try:
            file = read(entry)
        except Unusable as error:
            tell(problems, f"{shown(name_of(entry))} left out: {error}")
            continue
        first = seen.setdefault(file.filename, file)
        if first is file:
            yield file
        elif first != file:
            tell(problems, f"{shown(file.filename)} left out: the page lists it twice, differently")


def tell(problems: list[str], sentence: str) -> None:
    """Keep a sentence unless there are too many already."""
    if len(problems) < MAX_PROBLEMS:
        problems.append(sentence)
