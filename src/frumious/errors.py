"""Every error that Frumious raises on purpose: whose fault, whether a retry may help, which exit code.

    FrumiousError
    ├── UsageError                 the command line asks for something impossible
    ├── ConfigError                the configuration file is wrong: names file, section, key, line
    ├── UpstreamError              the other side, or the way to it
    │   ├── Unreachable            no usable answer: DNS, TLS, reset, timeout, cut body (retry)
    │   ├── BadStatus              an HTTP status that is no answer (retry: 408, 425, 429, 5xx)
    │   ├── AbsentProject          404 or 410 for a project
    │   ├── StaleProject           a page older than the list says (retry)
    │   ├── BadPage                what came is not a page of the Simple API
    │   ├── UnsupportedVersion     `api-version` with another major (PEP 629)
    │   ├── RefusedAddress         a URL we must not follow: plain http, another scheme, too many redirects
    │   └── WrongContent           bytes that differ from what the index promised (digest, size)
    ├── StorageError               our own disk or bucket
    │   ├── NoSpace                full, or less free than `min-free`
    │   ├── NotWritable            permission, read-only file system
    │   ├── NoSuchObject           a key that holds nothing
    │   └── PathTaken              another project's different file stands at that path
    ├── CatalogError               our own database
    │   ├── CatalogTooNew          written by a newer Frumious; left untouched
    │   └── CatalogBroken          SQLite cannot read it
    ├── SearchError                the search index, which can be made anew at any time
    │   ├── SearchIndexAbsent      there is none, or only one of another version
    │   ├── SearchIndexBroken      the engine cannot read it, or failed over it
    │   └── SearchIndexLocked      another process is writing it (retry)
    ├── LockHeld                   another publisher is at work
    ├── NothingToServe             there is no mirror where the server looks for one, or it may not be read
    ├── NotListening               the server cannot have the address or the port
    ├── RuleFailed                 a rule from outside raised instead of judging a project
    └── InternalError              a defect of ours, met while one project was looked at

An error carries facts; its message is made here, once. `hint` says what to do next. Misuse by the programmer is a plain
`ValueError` or `TypeError` and is not part of this tree.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar


class FrumiousError(Exception):
    """Base of all errors raised on purpose.

    `exit_code` is that of design.md §10; `may_retry` says whether the same call may succeed later without anybody
    changing anything.
    """

    exit_code: ClassVar[int] = 1
    may_retry: bool = False
    hint: str | None = None

    @property
    def kind(self) -> str:
        """A short stable word for ledgers and JSON, e.g. `stale-project`."""
        return "".join(f"-{c.lower()}" if c.isupper() else c for c in type(self).__name__).lstrip("-")


class UsageError(FrumiousError):
    """The command line asks for something impossible."""

    exit_code = 2


class ConfigError(FrumiousError):
    """A setting that cannot be used: says where it stands, what it is, and what is allowed."""

    exit_code = 2

    def __init__(
        self,
        problem: str,
        *,
        file: str | None = None,
        section: str | None = None,
        key: str | None = None,
        line: int | None = None,
        hint: str | None = None,
    ) -> None:
        place = ""
        if file is not None:
            place = f"{file}:{line}: " if line is not None else f"{file}: "
        if section is not None:
            place += f"[{section}] "
        if key is not None:
            place += f"{key}: "
        super().__init__(f"{place}{problem}")
        self.problem, self.file, self.section, self.key, self.line = problem, file, section, key, line
        self.hint = hint


class UpstreamError(FrumiousError):
    """Upstream, or the way to it, failed."""


class Unreachable(UpstreamError):
    """No usable answer came: DNS, connect, TLS, reset, time-out, a body that ends early."""

    may_retry = True

    def __init__(self, url: str, reason: str, *, hint: str | None = None) -> None:
        super().__init__(f"no answer from {url} ({reason})")
        self.url, self.reason, self.hint = url, reason, hint


class BadStatus(UpstreamError):
    """An HTTP status that is no answer. `retry_after` is in seconds, as the server asked."""

    RETRYABLE: ClassVar[frozenset[int]] = frozenset(
        {408, 425, 429, 500, 502, 503, 504, 520, 522, 523, 524, 527}
    )

    def __init__(self, url: str, status: int, retry_after: float | None = None) -> None:
        super().__init__(f"{url} answered {status}")
        self.url, self.status, self.retry_after = url, status, retry_after
        self.may_retry = status in self.RETRYABLE


class AbsentProject(UpstreamError):
    """Upstream has no such project (404 or 410)."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name}: upstream has no such project")
        self.name = name


class StaleProject(UpstreamError):
    """The page that came is older than upstream's own list says."""

    may_retry = True

    def __init__(self, name: str, *, asked: int, got: int) -> None:
        super().__init__(f"{name}: page has serial {got}, the list says {asked}")
        self.name, self.asked, self.got = name, asked, got


class BadPage(UpstreamError):
    """What came is not a page of the Simple API, or not one we can trust."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"{url}: {reason}")
        self.url, self.reason = url, reason


class UnsupportedVersion(BadPage):
    """PEP 629: a page with another major `api-version` must not be used."""

    def __init__(self, url: str, version: str) -> None:
        super().__init__(url, f"API version {version}, this program understands 1.x")
        self.version = version


class RefusedAddress(UpstreamError):
    """A URL that must not be followed."""

    def __init__(self, url: str, reason: str, *, hint: str | None = None) -> None:
        super().__init__(f"{url} is refused: {reason}")
        self.url, self.reason, self.hint = url, reason, hint


class WrongContent(UpstreamError):
    """Bytes that differ from what the index promised; nothing of them became visible."""

    may_retry = True

    def __init__(self, what: str, *, expected: str, got: str) -> None:
        super().__init__(f"{what}: expected {expected}, got {got}")
        self.what, self.expected, self.got = what, expected, got


class StorageError(FrumiousError):
    """Our own disk or bucket failed."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class NoSpace(StorageError):
    """The disk is full, or would have less than `min-free` left."""


class NotWritable(StorageError):
    """Permission denied, or a read-only file system."""


class NoSuchObject(StorageError):
    """A key that holds nothing."""


class PathTaken(StorageError):
    """Another project's different file already stands at that path."""


class CatalogError(FrumiousError):
    """Our own database failed."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class CatalogTooNew(CatalogError):
    """The catalog was written by a newer Frumious; it is left untouched."""


class CatalogTooOld(CatalogError):
    """The catalog was written by an earlier Frumious, and who reads it may not change it."""


class CatalogLocked(CatalogError):
    """Another program has the catalog for itself, and did not give it up in time."""


class CatalogBroken(CatalogError):
    """SQLite cannot read the catalog."""


class SearchError(FrumiousError):
    """The search index, which is made of what is here and can be made anew at any time, cannot be used."""

    hint = "rebuild it: nothing is lost, it is made of what is in the mirror"

    def __init__(self, directory: str, reason: str) -> None:
        super().__init__(f"{directory}: {reason}")
        self.directory, self.reason = directory, reason


class SearchIndexAbsent(SearchError):
    """There is no search index, or only one that another version of Frumious reads."""

    def __init__(self, directory: str) -> None:
        super().__init__(directory, "there is no search index that this version can read")


class SearchIndexBroken(SearchError):
    """The engine cannot read the search index, or failed while it did."""


class SearchIndexLocked(SearchError):
    """Another process is writing the search index."""

    may_retry = True
    hint = "wait until it has ended"

    def __init__(self, directory: str) -> None:
        super().__init__(directory, "another process is writing the search index")


class NothingToServe(FrumiousError):
    """There is no mirror in the directory of the configuration, or it may not be read."""

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class NotListening(FrumiousError):
    """The address, the port or the path (then without a port) on which to serve cannot be had."""

    def __init__(self, host: str, port: int | None, reason: str, *, hint: str | None = None) -> None:
        super().__init__(f"cannot listen at {host}{'' if port is None else f', port {port}'}: {reason}")
        self.host, self.port, self.reason, self.hint = host, port, reason, hint


class LockHeld(FrumiousError):
    """Another publisher is at work on this mirror."""

    exit_code = 4

    def __init__(self, path: str, holder: str, since: float | None = None) -> None:
        when = (
            "" if since is None else f" since {datetime.fromtimestamp(since).astimezone():%Y-%m-%d %H:%M:%S}"
        )
        super().__init__(
            f"another run is at work on this mirror ({path} is held by {holder}{when}); nothing to do here"
        )
        self.path, self.holder, self.since = path, holder, since


class RuleFailed(FrumiousError):
    """A rule that is not ours raised, or gave no verdict, while it judged one project; the others go on."""

    hint = "the plugin's authors want to know; until then the project stays as it is"

    def __init__(self, rule: str, reason: str) -> None:
        super().__init__(f"the rule {rule} failed: {reason}")
        self.rule, self.reason = rule, reason


class InternalError(FrumiousError):
    """A defect of ours, met while one project was looked at; the others go on."""

    hint = "please report this with the output of --debug"

    def __init__(self, cause: Exception) -> None:
        super().__init__(f"internal error: {type(cause).__name__}: {cause}")
        self.__cause__ = cause
