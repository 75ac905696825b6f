"""The text of one value -> the value, or Refused; and what is worth a word although it can be used."""

from __future__ import annotations

import configparser
import ipaddress
import math
import os
import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from frumious.config.known import RENAMED
from frumious.config.settings import MinFree, SimpleFormat

MOST_SOCKET_BYTES = 107
"""Of the path of a Unix socket, on Linux."""


class Refused(ValueError):
    """A value that cannot be used; what is allowed is said by the option."""

    def __init__(self, reason: str = "", hint: str | None = None) -> None:
        super().__init__(reason)
        self.reason, self.hint = reason, hint


def read_bool(text: str) -> bool:
    try:
        return configparser.ConfigParser.BOOLEAN_STATES[text.lower()]
    except KeyError:
        raise Refused from None


def whole(low: int, high: int | None = None) -> Callable[[str], int]:
    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise Refused from None
        if number < low or (high is not None and number > high):
            raise Refused
        return number

    return read


def read_number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise Refused from None
    if not math.isfinite(number) or number < 0:
        raise Refused
    return number


def read_timeout(text: str) -> float:
    seconds = read_number(text)
    if not seconds:
        raise Refused
    return seconds


NO_GLOBAL_TIMEOUT = 18000.0
"""What bandersnatch makes of `global-timeout = 0`: five hours."""


def read_global_timeout(text: str) -> float:
    return read_number(text) or NO_GLOBAL_TIMEOUT


_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,15})?)\s*(?:([KMGTP])(?:i?B)?|B)?", re.IGNORECASE | re.ASCII)
_PERCENT = re.compile(r"(\d{1,2}(?:\.\d{1,15})?)\s*%", re.ASCII)


def read_size(text: str) -> int:
    if (match := _SIZE.fullmatch(text)) is None:
        raise Refused
    number, unit = match.groups()
    # Binary units whatever the spelling, as bandersnatch reads max_package_size: 1K = 1KB = 1KiB = 1024.
    factor = 1024 ** (" KMGTP".index(unit.upper()) if unit else 0)
    return int(float(number) * factor)


def read_min_free(text: str) -> MinFree:
    if match := _PERCENT.fullmatch(text):
        return MinFree(percent=float(match[1]))
    return MinFree(bytes=read_size(text))


def read_path(text: str) -> Path:
    if not text or "\0" in text:
        raise Refused
    return Path(text).absolute()


def read_existing_file(text: str) -> Path:
    path = read_path(text)
    try:
        found = path.is_file()
    except OSError as error:
        raise Refused(error.strerror or "unreadable") from None
    if not found:
        raise Refused("there is no such file")
    return path


def read_catalog(text: str) -> Path:
    if "://" in text:
        raise Refused("only a SQLite file is supported")
    return read_path(text)


def _split_url(text: str, schemes: Sequence[str]) -> SplitResult:
    # urlsplit drops line feeds and tabs without a word, so they are looked for first.
    if any(c <= " " or c == "\x7f" for c in text):
        raise Refused("blanks and control characters have no place in an address")
    if "://" not in text and re.match(r"[\w.-]+(:\d+)?(/|$)", text):
        raise Refused(hint=f"did you mean {schemes[0]}://{text}?")
    try:
        url = urlsplit(text)
        host, _ = url.hostname, url.port
    except ValueError:
        raise Refused from None
    if url.scheme not in schemes:
        raise Refused
    if not host:
        raise Refused("it has no host")
    if url.query or url.fragment or text.endswith(("?", "#")):
        raise Refused("it must have no query and no fragment")
    return url


def read_url(text: str) -> str:
    _split_url(text, ("https", "http"))
    return text.rstrip("/")


def read_host(text: str) -> str:
    """Return an address or a name to listen at, an IPv6 address without its brackets, or `unix:` and an absolute path."""
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path.startswith("/") or "\0" in path or len(os.fsencode(path)) > MOST_SOCKET_BYTES:
            raise Refused(f"the path of a socket is absolute and has at most {MOST_SOCKET_BYTES} bytes")
        return text
    host = text.removeprefix("[").removesuffix("]")
    if not re.fullmatch(r"[A-Za-z0-9._:%-]{1,255}", host, re.ASCII):
        raise Refused(hint="write the port into `port`" if "/" in text else None)
    return host


def read_mode(text: str) -> int:
    if not re.fullmatch(r"0?[0-7]{3}", text):
        raise Refused
    return int(text, 8)


def read_networks(text: str) -> tuple[str, ...]:
    """Return networks, each in its canonical spelling."""
    try:
        return tuple(str(ipaddress.ip_network(part.strip(), strict=False)) for part in text.split(","))
    except ValueError as error:
        raise Refused(str(error)) from None


def read_log_place(text: str) -> str | Path:
    """Return `off`, `stderr`, or an absolute path."""
    return text if text in {"off", "stderr"} else read_path(text)


def read_root_uri(text: str) -> str:
    path = text.rstrip("/")
    if text.startswith("/") and not text.startswith("//") and path and not set(path) & set(' ?#\\<>"'):
        return path
    return read_url(text)


def read_proxy(text: str) -> str:
    if text.lower().startswith("socks4"):
        raise Refused("SOCKS 4 is not supported")
    url = _split_url(text, ("http", "https", "socks5", "socks5h"))
    if url.path not in {"", "/"}:
        raise Refused("a proxy's address has no path")
    return text.rstrip("/")


def read_simple_format(text: str) -> SimpleFormat:
    try:
        return SimpleFormat[text.upper()]
    except KeyError:
        raise Refused from None


def read_command(text: str) -> tuple[str, ...]:
    if "\0" in text:
        raise Refused
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise Refused(str(error).lower()) from None


def read_share(text: str) -> float:
    number = read_number(text)
    if number > 100:
        raise Refused
    return number


def read_storage_backend(text: str) -> str:
    if text != "filesystem":
        raise Refused("not supported yet")
    return text


# What hashlib has everywhere and gives a digest of one length. Whether installers know it is said by digest_note.
DIGESTS = (
    "md5",
    "sha256",
    "sha384",
    "sha512",
    "sha3_224",
    "sha3_256",
    "sha3_384",
    "sha3_512",
    "blake2b",
    "blake2s",
)
_UV_KNOWS = frozenset({"md5", "sha256", "sha384", "sha512", "blake2b"})


def read_digest_name(text: str) -> str:
    name = text.lower()
    if name in {"sha1", "sha224"}:
        raise Refused("uv refuses every HTML page with this digest")
    if name not in DIGESTS:
        raise Refused
    return name


def digest_note(text: str) -> str | None:
    name = text.lower()
    if name not in _UV_KNOWS:
        return "uv refuses HTML pages with this digest, and pip does not check it"
    return "pip does not check this digest" if name == "blake2b" else None


def word(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise Refused
        return text

    return read


def read_text(text: str) -> str:
    return text


_NAME = re.compile(r"[A-Z0-9](?:[A-Z0-9._-]*[A-Z0-9])?", re.IGNORECASE | re.ASCII)
_ONE_PER_LINE = "write one item on each line, indented under the key"


def _refuse_comma_list(text: str) -> None:
    # A requirement may hold commas (`six>=1,<2`), so only a row of bare names is taken for a list.
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if "," in text and parts and all(map(is_name, parts)):
        raise Refused("commas do not separate items", hint=_ONE_PER_LINE)


def is_name(text: str) -> bool:
    """Say whether text is the name of a project, and nothing more."""
    return _NAME.fullmatch(text) is not None


def read_package(text: str) -> str:
    _refuse_comma_list(text)
    return text


_PLUGIN = re.compile(r"[\w.-]+")


def read_plugin(text: str) -> str:
    """Return a name that a plugin may have; whether one has it is known when they are loaded."""
    _refuse_comma_list(text)
    if text == "all":
        raise Refused(
            "in bandersnatch it also enables filters that drop every file nobody listed",
            hint="name the plugins you mean, one on each line",
        )
    if len(text.split()) > 1:
        raise Refused("blanks do not separate items, and a comment needs its own line", hint=_ONE_PER_LINE)
    if (meant := RENAMED.get(text)) is not None:
        raise Refused("bandersnatch has given this plugin another name", hint=f"did you mean `{meant}`?")
    if not _PLUGIN.fullmatch(text):
        raise Refused("no plugin can have this name")
    return text


def slash_note(text: str) -> str | None:
    return "the final slash is dropped (bandersnatch would keep it)" if text.endswith("/") else None


def master_note(text: str) -> str | None:
    if text.rstrip("/").endswith("/simple"):
        return "ends in /simple, which is added to it for every request; the index is probably one level up"
    return slash_note(text)


def path_note(text: str) -> str | None:
    if text.startswith("~"):
        return "`~` is not expanded: this is a directory of that name"
    if re.search(r"\s[#;]", text):
        return "a comment needs its own line: this one is part of the path"
    return None
