"""`serve`: where it listens, what it says, and with which code it ends."""

from __future__ import annotations

import argparse
import errno
import ipaddress
import os
import socket
import ssl
from dataclasses import replace

from frumious.cli.console import log
from frumious.config import Loaded, Settings
from frumious.errors import ConfigError, NothingToServe, NotListening
from frumious.sync.summary import ExitCode
from frumious.wiring import make_adapter

MOST_WORKERS = 4


def run_serve(parsed: argparse.Namespace, loaded: Loaded) -> int:
    """Serve the mirror until a signal asks for the end; returns the exit code."""
    from frumious.server.run import RunOptions, run_server

    settings = _asked(parsed, loaded.settings)
    _check_tls(loaded)
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
        asked_to = run_server(listening, lambda: make_adapter(settings), options)
    if not asked_to:
        log.error("the workers died again and again; see above")
        return ExitCode.NOT_STARTED
    log.info("stopped")
    return ExitCode.WHOLE


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
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        place = loaded.places.get(("server", "tls-certificate"))
        raise ConfigError(
            f"{certificate} and {key} cannot be used together: {getattr(error, 'reason', None) or error.args[-1]}",
            file=loaded.source,
            section="server",
            key="tls-certificate",
            line=place.line if place else None,
            hint="both are PEM: a certificate with its chain, and its key without a password",
        ) from None


def _listen(settings: Settings) -> socket.socket:
    """Return the listening socket; raises NotListening."""
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
    host, port = listening.getsockname()[:2]
    address = ipaddress.ip_address(host.partition("%")[0])
    if address.is_unspecified:
        host = socket.getfqdn()
    elif address.version == 6:
        host = f"[{host}]"
    return f"{scheme}://{host}:{port}"
