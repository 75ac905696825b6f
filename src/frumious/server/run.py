"""The HTTP server around the site: one parent, workers that share one listening socket, granian in each of them.

The socket is opened here and not by granian, so that a port in use is told as such, and systemd may hand one over.
"""

from __future__ import annotations

import multiprocessing
import os
import select
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, cast

from granian._granian import SocketHolder
from granian.constants import Interfaces, Loops, SSLProtocols
from granian.http import HTTP1Settings, HTTP2Settings
from granian.log import LogLevels
from granian.server.mp import MPServer, WorkerProcess

from frumious.server.adapter import STOPPING, Adapter
from frumious.server.certificate import Certificate
from frumious.server.listening import BACKLOG

_LARGEST_HEAD: Final = 64 << 10
"""Bytes of a request's line and headers."""
_HEAD_SECONDS: Final = 15
_STREAMS: Final = 100
_LOGGING: Final[dict[str, Any]] = {
    "handlers": {},
    "formatters": {},
    "loggers": {"_granian": {"handlers": [], "propagate": True}, "granian.access": {"handlers": []}},
}
"""What granian has to say goes to our log."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How the processes run."""

    workers: int
    shutdown_seconds: int


Make = Callable[[int, int], Adapter]
"""Makes what a worker answers with, in that worker: its number from 0, and how many had that number before it."""


def run_server(
    listening: socket.socket,
    make: Make,
    options: RunOptions,
    *,
    certificate: Certificate | None,
    tell: Callable[[str], None],
    reload: Callable[[], Certificate | None],
) -> bool:
    """Serve until SIGTERM or SIGINT; SIGHUP calls `reload` and makes every worker anew, with the certificate it returns.

    `tell` gets what is for the service manager: READY, RELOADING, STOPPING. Returns whether the end was asked for: False, where workers died again and again.
    """
    # Not spawned: a worker needs what the parent has read, and the socket. The parent has no threads when it forks first.
    multiprocessing.set_start_method("fork", force=True)
    server = _Server(listening, options)
    server.use(certificate)
    server.on_startup(lambda: tell("READY=1"))
    server.on_reload(lambda: server.use(reload()))
    server.on_shutdown(lambda: tell("STOPPING=1"))
    server.serve(target_loader=cast("Any", make), wrap_loader=False)
    return server.interrupt_signal


class _Server(MPServer):
    """granian's own, over a socket that is there already."""

    def __init__(self, listening: socket.socket, options: RunOptions) -> None:
        self._listening = listening
        self._generations = [0] * options.workers
        super().__init__(
            "frumious",
            interface=Interfaces.RSGI,
            workers=options.workers,
            loop=Loops.uvloop,
            websockets=False,
            backlog=BACKLOG,
            http1_settings=HTTP1Settings(
                header_read_timeout=_HEAD_SECONDS * 1000, max_buffer_size=_LARGEST_HEAD
            ),
            http2_settings=HTTP2Settings(max_concurrent_streams=_STREAMS, max_headers_size=_LARGEST_HEAD),
            log_level=LogLevels.warning,
            log_dictconfig=_LOGGING,
            respawn_failed_workers=True,
            respawn_interval=0.5,
            workers_kill_timeout=options.shutdown_seconds,
        )
        self.main_loop_interrupt = _Waking(  # type: ignore[assignment] # it does all that is asked of theirs
            lambda: self.interrupt_signal or self.reload_signal or bool(self.interrupt_children)
        )

    def use(self, certificate: Certificate | None) -> None:
        """Let workers that are made from now on serve https with a certificate, or http."""
        self._certificate = certificate  # it is there for as long as a worker may be made
        paths = (None, None) if certificate is None else certificate.paths
        self.ssl_ctx = (certificate is not None, *paths, None, str(SSLProtocols.tls12), None, [], False)

    def _spawn_worker(self, idx: int, target: Any, callback_loader: Any) -> WorkerProcess:  # type: ignore[override] # as theirs
        generation = self._generations[idx]
        self._generations[idx] += 1
        worker = super()._spawn_worker(idx, target, partial(callback_loader, idx, generation))
        # Between its birth and the moment when it heeds signals a worker has our handlers, and would lose the one that
        # asks it to stop. So it is born with signals held back, and lets them in when it can (`Adapter.__rsgi_init__`).
        start = worker.inner.start
        worker.inner.start = lambda: _holding_signals(start)
        return worker

    def _init_shared_socket(self) -> None:
        descriptor = self._listening.fileno()
        os.set_inheritable(descriptor, True)
        self._ssp = None
        self._sfd = descriptor  # type: ignore[assignment] # they say None of what they set later
        is_unix = self._listening.family == socket.AF_UNIX
        self._shd = SocketHolder(descriptor, is_unix, BACKLOG)  # type: ignore[call-arg, assignment] # their stub lacks it
        self._sso = self._listening


class _Waking:
    """What the parent waits for, in the place of granian's `threading.Event`.

    A signal that another thread receives does not end the wait for a lock, nor one that comes between looking and waiting,
    and two that come together may want the same lock. So the interpreter writes to a pipe as soon as there is a signal.
    """

    def __init__(self, is_asked: Callable[[], bool]) -> None:
        self._is_asked = is_asked
        self._reading, self._writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)

    def wait(self) -> None:
        while not self._is_asked():
            select.select([self._reading], [], [])
            with suppress(BlockingIOError):
                os.read(self._reading, 4096)

    def set(self) -> None:
        with suppress(BlockingIOError):  # it is full of reasons to wake up
            os.write(self._writing, b".")

    def clear(self) -> None:
        """Forget nothing: what is asked is asked until it is done."""


def _holding_signals(start: Callable[[], None]) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
