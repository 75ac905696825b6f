"""What the environment says of certificate authorities and proxies; values only, no connection is made."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pyreqwest.http import Url

from frumious.errors import ConfigError

CA_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Where certificate authorities are named; the first that is set counts, and what it names is trusted beside the
system's roots. (In the environment of the process itself SSL_CERT_FILE and SSL_CERT_DIR also replace the system's
roots, as they do for OpenSSL: the TLS library reads them too.)"""

_PEM = b"-----BEGIN CERTIFICATE-----"
_PROXY_SCHEMES = frozenset({"http", "https", "socks5", "socks5h"})
_HOST_AND_PORT = re.compile(r"([^:]+|\[[^\]]*\])(:\d+)?\Z")


@dataclass(frozen=True, slots=True)
class Roots:
    """Certificates to trust beside the system's, and who named them."""

    variable: str
    place: str
    pem: tuple[bytes, ...]


def read_roots(environment: Mapping[str, str]) -> Roots | None:
    """Return what the first of CA_VARIABLES that is set names, a file or directories; raises ConfigError."""
    variable = next((name for name in CA_VARIABLES if environment.get(name)), None)
    if variable is None:
        return None
    value = environment[variable]
    # OpenSSL separates several directories as PATH does.
    places = value.split(os.pathsep) if variable == "SSL_CERT_DIR" else [value]
    pem: list[bytes] = []
    try:
        for place in map(Path, filter(None, places)):
            pem.extend(file.read_bytes() for file in _certificate_files(place))
    except OSError as error:
        raise ConfigError(f"cannot read {error.filename} ({error.strerror})", key=variable) from error
    if not any(_PEM in text for text in pem):
        raise ConfigError(
            f"{value} holds no certificate",
            key=variable,
            hint="name a PEM file, or a directory of *.pem or *.crt",
        )
    return Roots(variable, value, tuple(text for text in pem if _PEM in text))


def _certificate_files(place: Path) -> Iterable[Path]:
    if not place.is_dir():
        return [place]
    return sorted(file for file in place.iterdir() if file.suffix in {".pem", ".crt"})


@dataclass(frozen=True, slots=True)
class Proxies:
    """Which proxy is asked for which scheme, and the hosts that are asked directly."""

    http: str | None = None
    https: str | None = None
    bypass: str = ""


def choose_proxies(proxy: str | None, environment: Mapping[str, str]) -> Proxies:
    """Return the proxies in force: the one that is set, else the environment's; `no_proxy` counts for both.

    HTTP_PROXY in capitals is left alone: a CGI program gets it from whoever asks (CVE-2016-5385). Raises ConfigError,
    which does not show the address, since there may be a password in it.
    """
    bypass = _bypass(environment.get("no_proxy") or environment.get("NO_PROXY") or "")
    if bypass is None:
        return Proxies()
    if proxy is not None:
        address = _proxy_address(proxy, "proxy")
        return Proxies(address, address, bypass)

    def first(*names: str) -> str | None:
        name = next((name for name in names if environment.get(name)), None)
        return None if name is None else _proxy_address(environment[name], name)

    return Proxies(
        http=first("http_proxy", "all_proxy", "ALL_PROXY"),
        https=first("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"),
        bypass=bypass,
    )


def _bypass(text: str) -> str | None:
    """Return a no_proxy list as the client reads it, None if it names every host.

    The client matches a domain with what is below it, addresses and networks; not `*`, wild cards or ports.
    """
    entries = [entry.strip() for entry in text.split(",")]
    if "*" in entries:
        return None
    hosts = [_HOST_AND_PORT.sub(r"\1", entry.removeprefix("*")).strip("[]") for entry in entries]
    return ",".join(filter(None, hosts))


def _proxy_address(text: str, key: str) -> str:
    text = text if "://" in text else f"http://{text}"
    try:
        address = Url(text)
    except ValueError:
        raise ConfigError("it is not an address", key=key) from None
    if address.scheme not in _PROXY_SCHEMES or not address.has_host:
        raise ConfigError(
            f"{address.scheme} is no kind of proxy", key=key, hint="use http, https, socks5 or socks5h"
        )
    return text
