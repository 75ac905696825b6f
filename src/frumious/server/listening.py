"""The listening socket: one that systemd hands over, a port, or a path (`unix:/run/frumious/serve.sock`)."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from frumious.errors import NotListening

UNIX: Final = "unix:"
"""What stands before the path of a Unix socket."""
BACKLOG: Final = 1024
_FIRST_OF_SYSTEMD: Final = 3


@contextmanager
def open_listening(host: str, port: int, socket_mode: int) -> Iterator[socket.socket]:
    """Give the socket, that of systemd where there is one; raises NotListening.

    `socket_mode` says who may connect to a Unix socket. Nothing is left of that in the end.
    """
    if os.environ.get("LISTEN_PID") == str(os.getpid()) and os.environ.get("LISTEN_FDS", "0") != "0":
        opened = _given()
    elif host.startswith(UNIX):
        opened = _at_path(Path(host.removeprefix(UNIX)), socket_mode)
    else:
        opened = _at_port(host, port)
    with opened as listening:
        listening.setblocking(False)
        yield listening


def public_url(listening: socket.socket, scheme: str) -> str:
    """Return where a socket is reached: with a slash at its end, or the path of a Unix socket."""
    if listening.family == socket.AF_UNIX:
        return f"{UNIX}{listening.getsockname()}"
    host, port = listening.getsockname()[:2]
    address = ipaddress.ip_address(host.partition("%")[0])
    if address.is_unspecified:
        host = socket.getfqdn()
    elif address.version == 6:
        host = f"[{host}]"
    return f"{scheme}://{host}:{port}/"


@contextmanager
def _given() -> Iterator[socket.socket]:
    with socket.socket(fileno=_FIRST_OF_SYSTEMD) as listening:
        yield listening


@contextmanager
def _at_port(host: str, port: int) -> Iterator[socket.socket]:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(BACKLOG)
        except BaseException:
            listening.close()
            raise
    except OSError as error:
        raise NotListening(host, port, error.strerror or str(error), hint=_hint(error, port)) from None
    with listening:
        yield listening


@contextmanager
def _at_path(path: Path, mode: int) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        try:
            _make_way(path)
            before = os.umask(0o777 & ~mode)  # from its first moment nobody else can connect
            try:
                listening.bind(str(path))
            finally:
                os.umask(before)
            made = _identity(path)
            listening.listen(BACKLOG)
        except OSError as error:
            raise NotListening(
                f"{UNIX}{path}", None, error.strerror or str(error), hint=_path_hint(error, path)
            ) from None
        try:
            yield listening
        finally:
            with suppress(OSError):  # it may be another's by now
                if _identity(path) == made:
                    path.unlink()


def _make_way(path: Path) -> None:
    """Remove a socket at which nobody listens any more; raises OSError for anything else that stands there."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise OSError(errno.EEXIST, os.strerror(errno.EEXIST))
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
            asking.setblocking(False)
            asking.connect(str(path))
    except FileNotFoundError:
        return
    except ConnectionRefusedError:
        path.unlink()
        return
    except BlockingIOError:  # somebody listens, and has much to do
        pass
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _identity(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_ino, found.st_mtime_ns


def _hint(error: OSError, port: int) -> str | None:
    if error.errno == errno.EADDRINUSE:
        return f"another program has port {port} (`ss -ltnp 'sport = :{port}'` names it); choose one with --port or [server] port"
    if error.errno in {errno.EACCES, errno.EPERM}:
        return "ports below 1024 are for root; choose another, or let systemd or nginx hold it"
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return "use an address of this machine, 127.0.0.1, or 0.0.0.0 for all of them"
    return None


def _path_hint(error: OSError, path: Path) -> str | None:
    if error.errno == errno.EADDRINUSE:
        return f"another program listens there (`ss -lxp src {path}` names it)"
    if error.errno == errno.EEXIST:
        return f"{path} is no socket: move it away, or choose another path"
    if error.errno == errno.ENOENT:
        return f"make {path.parent}, for the user that runs `frumious serve`"
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return f"let the user that runs `frumious serve` write in {path.parent}"
    return None
