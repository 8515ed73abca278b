"""Addresses that text may be sent to: those of this machine and of the internal network."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from stillhouse.errors import UserError


def require_internal(host: str, port: int, where: str) -> None:
    """Raise `UserError` unless every address of `host` is one of loopback or a private network
    (RFC 1918, RFC 4193, link-local), or when it has none. `where` is the field that names it."""
    addresses_of(host, port, where, internal=True)


def addresses_of(host: str, port: int, where: str, *, internal: bool) -> list[str]:
    """The addresses of `host`, sorted; raises `UserError` as `require_internal` does, of addresses
    outside only if they have to be `internal`."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise UserError(
            f"{where}: {host} has no address here ({error.strerror or error})",
            remedy="correct the name, or ask who runs the internal name service.",
        ) from error
    # An IPv6 address may end in its interface: fe80::1%eth0.
    addresses = {str(address[0]).partition("%")[0] for *_, address in found}
    if not internal:
        return sorted(addresses)
    outside = [a for a in sorted(addresses) if not ipaddress.ip_address(a).is_private]
    outside = [a for a in outside if not ipaddress.ip_address(a).is_link_local]
    if outside:
        raise UserError(
            f"{where}: {host} is {outside[0]}, which is no address of an internal network",
            remedy="name a host on loopback or in a private network.",
        )
    return sorted(addresses)


def host_and_port(url: str, where: str) -> tuple[str, int]:
    """Of an http or https URL; raises `UserError` for anything else."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    except (KeyError, ValueError):
        parts, port = None, 0
    if parts is None or not parts.hostname:
        raise UserError(
            f"{where}: {url} is no http(s) address",
            remedy="write it like http://10.0.0.5:8000/path.",
        )
    return parts.hostname, port
