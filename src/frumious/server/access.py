"""Who may read a private mirror: names with passwords or tokens from a file (conformance 58).

The file has one `name:secret` a line. A password stands as `scrypt$n$r$p$salt$key`, a token, which is long and random,
as `sha256$digest`; both are made by `frumious credentials`. Comments begin with `#`.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import logging
import os
import re
import time
from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from frumious.server.http import CORS, Answer, Request, Response, text, unavailable
from frumious.server.site import Site

log = logging.getLogger("frumious.server")

N, R, P = 1 << 14, 8, 1
"""What a password costs to check: 16 MiB, some 50 ms."""
TOKEN_BYTES: Final = 32
_MOST_N: Final = 1 << 17
_AT_ONCE: Final = 1
"""Passwords that a worker checks at the same time: guessing them takes a part of one core, and what is known is answered beside."""
_MOST_WAITING: Final = 32
"""Passwords that are or wait to be checked: the last one waits for a second or two."""
_MOST_OF_ONE: Final = 8
"""So for those of one client, so that whoever guesses does not keep the others from logging in."""
_AGAIN_SECONDS: Final = 2
_REMEMBERED_SECONDS: Final = 300.0
_MOST_REMEMBERED: Final = 4096
_LOOK_SECONDS: Final = 1.0
_LONGEST: Final = 4096
_LINE = re.compile(
    r"(?P<name>[^:\s#\x00-\x1f][^:\x00-\x1f\x7f]{0,199}):(?P<secret>(?:scrypt|sha256)\$[A-Za-z0-9+/=$]{1,400})\Z"
)
_OPEN: Final = frozenset({"/health"})
"""What says nothing of the mirror."""


class TooMany(Exception):
    """More passwords are to be checked than may wait: this one was not looked at."""


class BadUsers(Exception):
    """A file of users that cannot be used: which line, and why."""

    def __init__(self, path: Path, line: int | None, reason: str) -> None:
        super().__init__(f"{path}{'' if line is None else f', line {line}'}: {reason}")
        self.path, self.line, self.reason = path, line, reason


@dataclass(frozen=True, slots=True)
class Users:
    """What a file says."""

    passwords: Mapping[str, str]
    """Hashes by name."""
    tokens: frozenset[str]
    """Digests, hex."""


def password_line(name: str, password: str) -> str:
    """Return the line for somebody with a password; raises ValueError for a name that cannot stand there."""
    salt = os.urandom(16)
    return _line(name, f"scrypt${N}${R}${P}${_b64(salt)}${_b64(_key(password, salt, N, R, P))}")


def token_line(name: str, token: str) -> str:
    """Return the line for somebody with a token; raises ValueError for a name that cannot stand there."""
    return _line(name, f"sha256${_digest(token)}")


def read_users(path: Path) -> Users:
    """Return who may read; raises BadUsers."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadUsers(path, None, getattr(error, "strerror", None) or "it is not UTF-8") from None
    passwords: dict[str, str] = {}
    tokens: set[str] = set()
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _LINE.match(line.strip())
        kind, *parts = found["secret"].split("$") if found else [""]
        if found is None or not (_is_password(parts) if kind == "scrypt" else _is_token(parts)):
            raise BadUsers(path, number, "no line that `frumious credentials` has made")
        if kind == "sha256":
            tokens.add(parts[0])
        elif found["name"] in passwords:
            raise BadUsers(path, number, f"{found['name']} is there twice")
        else:
            passwords[found["name"]] = found["secret"]
    return Users(passwords, frozenset(tokens))


class Access:
    """Tells who may read. The file is read again when it changes; one that is broken then changes nothing."""

    def __init__(self, path: Path) -> None:
        """A file that cannot be used names nobody."""
        self._path = path
        self._identity = _identity(path)
        self._users = Users({}, frozenset())
        self._read()
        self._looked_at = time.monotonic()
        self._secret = os.urandom(32)
        self._remembered: OrderedDict[bytes, float] = OrderedDict()
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._checks: dict[bytes, asyncio.Task[bool]] = {}
        self._waiting: Counter[str] = Counter()
        self._decoy = password_line("nobody", base64.b64encode(os.urandom(12)).decode()).partition(":")[2]

    async def may_read(self, authorization: str | None, client: str = "") -> bool:
        """Say whether an Authorization header names somebody of the file (RFC 7617, RFC 6750); raises TooMany.

        Whoever is known stays known without another check while he goes on asking, and the file is as it was.
        """
        self._look()
        if authorization is None or len(authorization) > _LONGEST:
            return False
        mark = hmac.digest(self._secret, authorization.encode(errors="surrogateescape"), "sha256")
        if self._remembered.get(mark, 0.0) > time.monotonic():
            self._remember(mark)
            return True
        scheme, _, said = authorization.strip().partition(" ")
        if scheme.lower() == "bearer":
            return _digest(said.strip()) in self._users.tokens
        basic = _read_basic(said) if scheme.lower() == "basic" else None
        if basic is None:
            return False
        name, password = basic
        return _digest(password) in self._users.tokens or await self._fits(mark, name, password, client)

    async def _fits(self, mark: bytes, name: str, password: str, client: str) -> bool:
        """Return the outcome of a check, of one that is under way for the same header if there is: uv asks 50 times at once."""
        check = self._checks.get(mark)
        if check is None:
            if self._waiting.total() >= _MOST_WAITING or self._waiting[client] >= _MOST_OF_ONE:
                raise TooMany
            self._waiting[client] += 1
            check = self._checks[mark] = asyncio.ensure_future(self._check(mark, name, password, client))
        return await asyncio.shield(check)

    async def _check(self, mark: bytes, name: str, password: str, client: str) -> bool:
        users = self._users
        known = users.passwords.get(name)
        try:
            async with self._slots:  # a name that nobody has takes as long
                fits = await asyncio.to_thread(_fits, known or self._decoy, password)
        finally:
            self._waiting -= Counter([client])
            del self._checks[mark]
        may = fits and known is not None
        if may and users is self._users:  # the file has not changed meanwhile
            self._remember(mark)
        return may

    def _remember(self, mark: bytes) -> None:
        self._remembered[mark] = time.monotonic() + _REMEMBERED_SECONDS
        self._remembered.move_to_end(mark)
        if len(self._remembered) > _MOST_REMEMBERED:
            self._remembered.popitem(last=False)

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._looked_at < _LOOK_SECONDS:
            return
        self._looked_at = now
        identity = _identity(self._path)
        if identity == self._identity:
            return
        self._identity = identity
        self._read()
        self._remembered.clear()

    def _read(self) -> None:
        try:
            self._users = read_users(self._path)
        except BadUsers as error:
            said = (
                "those who could read still can"
                if self._users != Users({}, frozenset())
                else "nobody can read"
            )
            log.error("%s; %s", error, said)  # noqa: TRY400 - whoever wrote the line needs no traceback


class Guarded:
    """A site behind the door: whoever is not known is told so, before anything else is said."""

    def __init__(self, site: Site, access: Access) -> None:
        self._site = site
        self._access = access

    def answer(self, request: Request) -> Answer:
        """Return the site's answer, or 401: the same for what is there and what is not."""
        if (
            request.path in _OPEN or request.method == "OPTIONS"
        ):  # a browser asks first, and without credentials
            return self._site.answer(request)
        return self._guarded(request)

    async def _guarded(self, request: Request) -> Response:
        try:
            is_known = await self._access.may_read(request.headers("authorization"), request.client)
        except TooMany:
            return unavailable("too many passwords are to be checked", retry_after=_AGAIN_SECONDS)
        if not is_known:
            return text(
                401,
                "401 Unauthorized: this mirror is private",
                [
                    ("www-authenticate", 'Basic realm="Frumious", charset="UTF-8"'),
                    ("cache-control", "no-store"),
                    CORS[0],
                ],
            )
        request.is_known = True
        answer = self._site.answer(request)
        response = answer if isinstance(answer, Response) else await answer
        return Response(response.status, [_private(*header) for header in response.headers], response.body)


def _private(name: str, value: str) -> tuple[str, str]:
    """Return a header that keeps caches which several people share from keeping an answer."""
    return name, value.replace("public", "private") if name == "cache-control" else value


def _read_basic(said: str) -> tuple[str, str] | None:
    try:
        name, colon, password = base64.b64decode(said.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (name, password) if colon else None


def _line(name: str, secret: str) -> str:
    line = f"{name}:{secret}"
    if not _LINE.match(line):
        raise ValueError(
            f"{name!r} cannot be a name: no colon, no blank at its beginning, at most 200 characters"
        )
    return line


def _is_password(parts: list[str]) -> bool:
    return (
        len(parts) == 5
        and all(part.isdecimal() and len(part) < 7 for part in parts[:3])
        and 2 <= int(parts[0]) <= _MOST_N
        and not int(parts[0]) & (int(parts[0]) - 1)
        and 1 <= int(parts[1]) <= 16
        and 1 <= int(parts[2]) <= 4
        and all(_is_b64(part) for part in parts[3:])
    )


def _is_token(parts: list[str]) -> bool:
    return len(parts) == 1 and re.fullmatch("[0-9a-f]{64}", parts[0]) is not None


def _is_b64(said: str) -> bool:
    try:
        return bool(base64.b64decode(said, validate=True))
    except binascii.Error:
        return False


def _fits(secret: str, password: str) -> bool:
    _, n, r, p, salt, key = secret.split("$")
    made = _key(password, base64.b64decode(salt), int(n), int(r), int(p))
    return hmac.compare_digest(made, base64.b64decode(key))


def _key(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    said = password.encode(errors="surrogateescape")
    return hashlib.scrypt(said, salt=salt, n=n, r=r, p=p, maxmem=256 * n * r, dklen=32)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()


def _b64(said: bytes) -> str:
    return base64.b64encode(said).decode()


def _identity(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
