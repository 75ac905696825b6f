"""Which addresses may be asked for, and where a redirect may lead; pure.

Addresses are read by the HTTP client's own parser, so that what is judged here is what the client would connect to.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from enum import IntEnum

from pyreqwest.http import Url

from frumious.errors import RefusedAddress

_USERINFO = re.compile(r"//[^/?#\s]*@")


class Reach(IntEnum):
    """How far away a host is, by its address as written; a name counts as public."""

    PUBLIC = 0
    PRIVATE = 1
    LINK_LOCAL = 2
    LOOPBACK = 3


def reach_of(host: str) -> Reach:
    """Return where this host lies. It is spelled as `Url` spells it, so `0x7f.1` is 127.0.0.1 already."""
    host = host.rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return Reach.LOOPBACK
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return Reach.PUBLIC
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    address = address if mapped is None else mapped
    if address.is_loopback or address.is_unspecified:
        return Reach.LOOPBACK
    if address.is_link_local:
        return Reach.LINK_LOCAL
    return Reach.PUBLIC if address.is_global else Reach.PRIVATE


def parse_address(url: str, *, allow_http: bool) -> Url:
    """Return an address that may be asked, without its fragment; raises RefusedAddress."""
    try:
        address = Url(url)
    except ValueError:
        raise RefusedAddress(redacted(url), "it is not an address") from None
    return _permitted(address, allow_http=allow_http)


def redirect_target(here: Url, location: str, *, allow_http: bool) -> Url:
    """Return where a redirect leads, if it may be followed; raises RefusedAddress.

    It may lead outwards, or stay among private or among link-local addresses; a server on this machine may send us
    anywhere. So nobody outside can make us ask what only we can reach.
    """
    try:
        target = here.join(location)
    except ValueError:
        raise RefusedAddress(redacted(str(here)), "it redirects to what is not an address") from None
    target = _permitted(target, allow_http=allow_http)
    if target.username or target.password is not None:
        target = target.with_password(None).with_username("")
    check_reach(here, target, reach_of(here.host_str or ""), reach_of(target.host_str or ""))
    return target


def check_reach(here: Url, target: Url, source: Reach, reach: Reach) -> None:
    """Refuse a redirect that leads from one host to another that lies nearer; raises RefusedAddress."""
    if reach not in {Reach.PUBLIC, source} and source is not Reach.LOOPBACK:
        raise RefusedAddress(
            str(target), f"{here.host_str} redirects to a {reach.name.lower().replace('_', '-')} address"
        )


def nearest(addresses: Iterable[str]) -> Reach:
    """Return how near the nearest of the addresses of one name lies; none at all count as public."""
    return max(map(reach_of, addresses), default=Reach.PUBLIC)


def _permitted(address: Url, *, allow_http: bool) -> Url:
    if address.scheme not in {"https", "http"}:
        raise RefusedAddress(redacted(str(address)), f"{address.scheme} is neither https nor http")
    if address.scheme == "http" and not allow_http:
        raise RefusedAddress(
            redacted(str(address)),
            "it is plain http",
            hint="set `allow-non-https = true` if that is all right",
        )
    return address if address.fragment is None else address.with_fragment(None)


def redacted(text: str) -> str:
    """Return a text without the user names and passwords of the addresses in it."""
    return _USERINFO.sub("//", text)
