"""Which addresses a worker may connect to for a caller: public ones of allowed hosts, checked and pinned."""

import ipaddress
import socket
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from workers.errors import WorkerError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], list[str]]

HTTPS_PORT: Final = 443

TRANSLATED: Final = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
"""Networks whose last 32 bits a gateway reads as an IPv4 address (RFC 6052, RFC 8215)."""


class AddressRefused(WorkerError):
    """A worker must not connect there; the message says why."""

    code = "address_refused"


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect and what to say there.

    Attributes:
        ip: The checked address: connecting to the name again could lead elsewhere.
        host: The name, for TLS and the Host header.
        port: TCP port.
        scheme: https, or http on this machine.
        path: Path and query.
    """

    ip: str
    host: str
    port: int
    scheme: str
    path: str

    @property
    def url(self) -> str:
        """The URL with the address in place of the name."""
        shown = f"[{self.ip}]" if ":" in self.ip else self.ip
        return f"{self.scheme}://{shown}:{self.port}{self.path}"

    @property
    def host_header(self) -> str:
        """The Host header: with the port where it is not the scheme's own."""
        return self.host if (self.scheme, self.port) == ("https", HTTPS_PORT) else f"{self.host}:{self.port}"


def resolve_by_system(host: str, port: int) -> list[str]:
    """Every address of a name."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def target_of(
    url: str, *, hosts: Collection[str], loopback: bool, resolve: Resolve = resolve_by_system
) -> Target:
    """Check a URL and resolve it once.

    Args:
        url: The caller's.
        hosts: Allowed `host` or `host:port`; without a port that of https. `*` is every public host.
        loopback: Whether this machine itself is allowed, over http or https and at any port.
        resolve: Addresses of a name.

    Raises:
        AddressRefused: it must not be connected to.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".").lower()
    try:
        port = parts.port or (HTTPS_PORT if parts.scheme == "https" else 80)
    except ValueError:
        raise AddressRefused("the URL has no valid port") from None
    if not host or parts.username is not None or parts.password is not None:
        raise AddressRefused("the URL needs a host, and takes no user name or password")
    path = parts.path or "/"
    path += f"?{parts.query}" if parts.query else ""
    addresses = _addresses(host, port, resolve)
    if loopback and all(address.is_loopback for address in addresses):
        if parts.scheme not in {"http", "https"}:
            raise AddressRefused("the URL is neither http nor https")
        return Target(str(addresses[0]), host, port, parts.scheme, path)
    if parts.scheme != "https":
        raise AddressRefused("the URL is not https")
    if not _is_allowed(host, port, hosts):
        raise AddressRefused(f"the operator does not allow {host}:{port}")
    for address in addresses:
        if not address.is_global or address.is_multicast:
            raise AddressRefused(f"{host} leads to an address that is not public")
    return Target(str(addresses[0]), host, port, parts.scheme, path)


def _is_allowed(host: str, port: int, hosts: Collection[str]) -> bool:
    names = {f"{host}:{port}"} | ({host, "*"} if port == HTTPS_PORT else set())
    return not names.isdisjoint(hosts)


def _addresses(host: str, port: int, resolve: Resolve) -> list[Address]:
    try:
        found = resolve(host, port)
        addresses = [_plain(ipaddress.ip_address(text.partition("%")[0])) for text in found]
    except (OSError, ValueError, UnicodeError):
        addresses = []
    if not addresses:
        raise AddressRefused(f"{host} has no address")
    return addresses


def _plain(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, where it does: a mapped loopback is a loopback."""
    if isinstance(address, ipaddress.IPv6Address):
        if any(address in network for network in TRANSLATED):
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        return address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1] or address
    return address
