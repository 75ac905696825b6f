"""`serve`: where it listens, what it says, and with which code it ends."""

from __future__ import annotations

import argparse
import os
import socket
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from frumious.cli.console import log, tell
from frumious.config import Loaded, Settings, load
from frumious.errors import ConfigError, NothingToServe
from frumious.server.access import BadUsers, read_users
from frumious.server.access_log import AccessLog
from frumious.server.certificate import BadCertificate, Certificate
from frumious.server.listening import UNIX, open_listening, public_url
from frumious.sync.summary import ExitCode
from frumious.wiring import make_adapter

if TYPE_CHECKING:
    from frumious.server.adapter import Adapter

MOST_WORKERS = 4


def run_serve(parsed: argparse.Namespace, loaded: Loaded) -> int:
    """Serve the mirror until a signal asks for the end; returns the exit code."""
    from frumious.server.counters import Counters
    from frumious.server.run import RunOptions, run_server

    settings = _asked(parsed, loaded.settings)
    certificate = check(loaded)
    _check_tree(settings)
    with open_listening(settings.server_host, settings.server_port, settings.server_socket_mode) as listening:
        options = RunOptions(
            workers=settings.server_workers or min(MOST_WORKERS, len(os.sched_getaffinity(0))),
            shutdown_seconds=settings.server_shutdown_timeout,
        )
        url = public_url(listening, "http" if certificate is None else "https")
        log.info("serving %s at %s by %d workers", settings.directory, url, options.workers)
        if not url.startswith(UNIX) or settings.server_base_url:
            log.info(
                "pip install --index-url %s/simple/ NAME", settings.server_base_url or url.removesuffix("/")
            )
        counters = Counters(options.workers)
        current = Current(parsed, settings, certificate)

        def make(worker: int, generation: int) -> Adapter:
            counters.begin(worker, generation)
            return make_adapter(current.settings, counters)

        asked_to = run_server(
            listening, make, options, certificate=certificate, tell=tell_manager, reload=current.reload
        )
    if not asked_to:
        log.error("the workers died again and again; see above")
        return ExitCode.NOT_STARTED
    log.info("stopped")
    return ExitCode.WHOLE


class Current:
    """The settings that workers are made with; SIGHUP reads them again."""

    def __init__(
        self, parsed: argparse.Namespace, settings: Settings, certificate: Certificate | None
    ) -> None:
        self._parsed = parsed
        self._certificate = certificate
        self.settings = settings

    def reload(self) -> Certificate | None:
        """Read the configuration and the certificate again, and return this; what cannot be used leaves everything as it is."""
        tell_manager(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            loaded = load(self._parsed.config)
            certificate = check(loaded)
        except ConfigError as error:
            tell(error)
            log.error("the configuration was not read again; the server goes on as before")
        else:
            self._warn_of_restart(loaded.settings)
            self.settings = _asked(self._parsed, loaded.settings)
            self._certificate = certificate
            log.info("the configuration was read again")
        tell_manager("READY=1")
        return self._certificate

    def _warn_of_restart(self, new: Settings) -> None:
        asked = _asked(self._parsed, new)
        for name in ("host", "port", "socket_mode", "workers", "shutdown_timeout"):
            if getattr(asked, f"server_{name}") != getattr(self.settings, f"server_{name}"):
                log.warning(
                    "[server] %s takes effect when the server is started again", name.replace("_", "-")
                )


def check(loaded: Loaded) -> Certificate | None:
    """Return the certificate; raises ConfigError for files of the settings that cannot be used, before a client finds out."""
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
    return _certificate(loaded)


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


def _certificate(loaded: Loaded) -> Certificate | None:
    certificate, key = loaded.settings.server_tls_certificate, loaded.settings.server_tls_key
    if certificate is None or key is None:
        return None
    try:
        return Certificate(certificate, key)
    except OSError as error:
        setting, path = ("tls-key", key) if error.filename == str(key) else ("tls-certificate", certificate)
        raise _refused(loaded, setting, f"{path} cannot be read ({error.strerror})") from None
    except BadCertificate as error:
        said = f"{certificate} and {key} cannot be used together: {error}"
        hint = "both are PEM: a certificate with its chain, and its key without a password"
        raise _refused(loaded, "tls-certificate", said, hint) from None


def _refused(loaded: Loaded, key: str, said: str, hint: str | None = None) -> ConfigError:
    place = loaded.places.get(("server", key))
    line = place.line if place else None
    return ConfigError(said, file=loaded.source, section="server", key=key, line=line, hint=hint)
