"""`serve`: where it listens, what it says, and with which code it ends."""

from __future__ import annotations

import argparse
import errno
import ipaddress
import os
import socket
import ssl
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from frumious.cli.console import log, tell
from frumious.config import Loaded, Settings, load
from frumious.errors import ConfigError, NothingToServe, NotListening
from frumious.server.access import BadUsers, read_users
from frumious.server.access_log import AccessLog
from frumious.sync.summary import ExitCode
from frumious.wiring import make_adapter

if TYPE_CHECKING:
    from frumious.server.adapter import Adapter

MOST_WORKERS = 4
_FIRST_OF_SYSTEMD = 3


def run_serve(parsed: argparse.Namespace, loaded: Loaded) -> int:
    """Serve the mirror until a signal asks for the end; returns the exit code."""
    from frumious.server.counters import Counters
    from frumious.server.run import RunOptions, run_server

    settings = _asked(parsed, loaded.settings)
    check(loaded)
    _check_tree(settings)
    with _listen(settings) as listening:
        options = RunOptions(
            workers=settings.server_workers or min(MOST_WORKERS, len(os.sched_getaffinity(0))),
            shutdown_seconds=settings.server_shutdown_timeout,
            certificate=settings.server_tls_certificate,
            key=settings.server_tls_key,
        )
        url = _url(listening, settings)
        log.info("serving %s at %s/ by %d workers", settings.directory, url, options.workers)
        log.info("pip install --index-url %s/simple/ NAME", settings.server_base_url or url)
        counters = Counters(options.workers)
        current = Current(parsed, settings)

        def make(worker: int, generation: int) -> Adapter:
            counters.begin(worker, generation)
            return make_adapter(current.settings, counters)

        asked_to = run_server(listening, make, options, tell=tell_manager, reload=current.reload)
    if not asked_to:
        log.error("the workers died again and again; see above")
        return ExitCode.NOT_STARTED
    log.info("stopped")
    return ExitCode.WHOLE


class Current:
    """The settings that workers are made with; SIGHUP reads them again."""

    def __init__(self, parsed: argparse.Namespace, settings: Settings) -> None:
        self._parsed = parsed
        self.settings = settings

    def reload(self) -> None:
        """Read the configuration again; one that cannot be used leaves everything as it is."""
        tell_manager(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            loaded = load(self._parsed.config)
            check(loaded)
        except ConfigError as error:
            tell(error)
            log.error("the configuration was not read again; the server goes on as before")
        else:
            self._warn_of_restart(loaded.settings)
            self.settings = _asked(self._parsed, loaded.settings)
            log.info("the configuration was read again")
        tell_manager("READY=1")

    def _warn_of_restart(self, new: Settings) -> None:
        asked = _asked(self._parsed, new)
        for name in ("host", "port", "workers", "tls_certificate", "tls_key", "shutdown_timeout"):
            if getattr(asked, f"server_{name}") != getattr(self.settings, f"server_{name}"):
                log.warning(
                    "[server] %s takes effect when the server is started again", name.replace("_", "-")
                )


def check(loaded: Loaded) -> None:
    """Raise ConfigError for files of the settings that cannot be used, before a client finds out."""
    _check_tls(loaded)
    settings = loaded.settings
    if settings.server_users is not None:
        try:
            read_users(settings.server_users)
        except BadUsers as error:
            raise _refused(
                loaded, "users", str(error), "make a line with `frumious credentials NAME`"
            ) from None
    if isinstance(settings.server_access_log, Path):
        try:
            AccessLog(settings.server_access_log).close()
        except OSError as error:
            said = f"{settings.server_access_log} cannot be written ({error.strerror})"
            hint = "make its directory, or give it to the user that runs `frumious serve`"
            raise _refused(loaded, "access-log", said, hint) from None


def tell_manager(said: str) -> None:
    """Tell systemd how far we are, where it has asked for that (sd_notify)."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out, suppress(OSError):
        out.sendto(said.encode(), f"\0{address[1:]}" if address.startswith("@") else address)


def _asked(parsed: argparse.Namespace, settings: Settings) -> Settings:
    given = {"server_host": parsed.host, "server_port": parsed.port, "server_workers": parsed.workers}
    return replace(settings, **{name: value for name, value in given.items() if value is not None})


def _check_tree(settings: Settings) -> None:
    web = settings.directory / "web"
    if not web.is_dir():
        raise NothingToServe(
            f"there is no mirror in {settings.directory}", hint="`frumious mirror` makes one; then serve it"
        )
    if not os.access(web, os.R_OK | os.X_OK):
        raise NothingToServe(f"{web} cannot be read", hint="run `frumious serve` as a user who may read it")


def _check_tls(loaded: Loaded) -> None:
    """Raise ConfigError for a certificate and a key that cannot be used, before the first client finds out."""
    certificate, key = loaded.settings.server_tls_certificate, loaded.settings.server_tls_key
    if certificate is None or key is None:
        return
    for setting, path in (("tls-certificate", certificate), ("tls-key", key)):
        try:
            path.open("rb").close()
        except OSError as error:
            raise _refused(loaded, setting, f"{path} cannot be read ({error.strerror})") from None
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        said = f"{certificate} and {key} cannot be used together: {getattr(error, 'reason', None) or error.args[-1]}"
        hint = "both are PEM: a certificate with its chain, and its key without a password"
        raise _refused(loaded, "tls-certificate", said, hint) from None


def _refused(loaded: Loaded, key: str, said: str, hint: str | None = None) -> ConfigError:
    place = loaded.places.get(("server", key))
    line = place.line if place else None
    return ConfigError(said, file=loaded.source, section="server", key=key, line=line, hint=hint)


def _listen(settings: Settings) -> socket.socket:
    """Return the listening socket, that of systemd where it gives one; raises NotListening."""
    if os.environ.get("LISTEN_PID") == str(os.getpid()) and os.environ.get("LISTEN_FDS", "0") != "0":
        listening = socket.socket(fileno=_FIRST_OF_SYSTEMD)
        listening.setblocking(False)
        return listening
    host, port = settings.server_host, settings.server_port
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(1024)
        except BaseException:
            listening.close()
            raise
    except OSError as error:
        raise NotListening(host, port, error.strerror or str(error), hint=_hint(error, port)) from None
    listening.setblocking(False)
    return listening


def _hint(error: OSError, port: int) -> str | None:
    if error.errno == errno.EADDRINUSE:
        return f"another program has port {port} (`ss -ltnp 'sport = :{port}'` names it); choose one with --port or [server] port"
    if error.errno in {errno.EACCES, errno.EPERM}:
        return "ports below 1024 are for root; choose another, or let systemd or nginx hold it"
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return "use an address of this machine, 127.0.0.1, or 0.0.0.0 for all of them"
    return None


def _url(listening: socket.socket, settings: Settings) -> str:
    scheme = "http" if settings.server_tls_certificate is None else "https"
    if listening.family == socket.AF_UNIX:
        return f"unix:{listening.getsockname()}"
    host, port = listening.getsockname()[:2]
    address = ipaddress.ip_address(host.partition("%")[0])
    if address.is_unspecified:
        host = socket.getfqdn()
    elif address.version == 6:
        host = f"[{host}]"
    return f"{scheme}://{host}:{port}"
