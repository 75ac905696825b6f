"""The keys of [server]: how `frumious serve` runs."""

from __future__ import annotations

from frumious.config.option import InFile, Option
from frumious.config.readers import (
    path_note,
    read_existing_file,
    read_host,
    read_size,
    read_url,
    slash_note,
    whole,
)

SERVING = "How it is served"

SERVER_OPTIONS: tuple[Option, ...] = (
    Option(
        section="server",
        key="host",
        read=read_host,
        allowed="an address of this machine, or a name of it; `0.0.0.0` and `::` mean all of them",
        doc="Where `frumious serve` listens. As it is, only programs of this machine can reach it.",
        default="127.0.0.1",
        group=SERVING,
    ),
    Option(
        section="server",
        key="port",
        read=whole(0, 65535),
        allowed="a whole number from 0 to 65535; 0 takes any port that is free",
        doc="The port on which it listens.",
        default="8080",
        group=SERVING,
    ),
    Option(
        section="server",
        key="base-url",
        read=read_url,
        allowed="an http:// or https:// address, without query or fragment",
        doc="The address under which clients reach the server, where that is not what they ask for: behind a proxy, or "
        "below a path. Paths are then answered with and without that path before them.",
        default_shown="what a request names",
        example="https://pypi.example.org/mirror",
        may_be_empty=True,
        note=slash_note,
        group=SERVING,
    ),
    Option(
        section="server",
        key="workers",
        read=whole(1, 256),
        allowed="a whole number from 1 to 256",
        doc="Processes that answer requests.",
        default_shown="one for each core, at most 4",
        example="2",
        group=SERVING,
    ),
    Option(
        section="server",
        key="tls-certificate",
        read=read_existing_file,
        allowed="a path of a file that is there: a certificate with its chain, PEM",
        doc="Serve https with this certificate; needs `tls-key`.",
        example="/etc/ssl/certs/pypi.example.org.pem",
        may_be_empty=True,
        note=path_note,
        group=SERVING,
    ),
    Option(
        section="server",
        key="tls-key",
        read=read_existing_file,
        allowed="a path of a file that is there: the key of `tls-certificate`, PEM, without a password",
        doc="The private key of `tls-certificate`.",
        example="/etc/ssl/private/pypi.example.org.key",
        may_be_empty=True,
        note=path_note,
        group=SERVING,
    ),
    Option(
        section="server",
        key="page-max-age",
        read=whole(0, 86400),
        allowed="a whole number of seconds from 0 to 86400",
        doc="How long clients and caches may use a page before they ask whether it is still the same.",
        default="600",
        group=SERVING,
    ),
    Option(
        section="server",
        key="page-cache",
        read=read_size,
        allowed="a number of bytes, or with K, M, G, T or P (binary: 1K is 1024)",
        doc="Memory in which each worker keeps pages that were asked for lately.",
        default="32M",
        in_file=InFile.ABSENT,
        group=SERVING,
    ),
    Option(
        section="server",
        key="shutdown-timeout",
        read=whole(1, 3600),
        allowed="a whole number of seconds from 1 to 3600",
        doc="How long downloads that are under way may go on when the server is told to stop.",
        default="30",
        in_file=InFile.ABSENT,
        group=SERVING,
    ),
)
