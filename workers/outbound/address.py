"""Which addresses we connect to for a caller: public ones of allowed hosts and ports, checked and pinned."""

import ipaddress
import socket
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from workers.errors import WorkerError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], list[str]]

HTTP_PORT, HTTPS_PORT = 80, 443

TRANSLATED: Final = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
"""Networks whose last 32 bits a gateway reads as an IPv4 address (RFC 6052, RFC 8215)."""


class AddressRefused(WorkerError):
    """Nothing of ours must connect there; the message says why."""

    code = "address_refused"


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect and what to say there.

    Attributes:
        ip: The checked address: connecting to the name again could lead elsewhere.
        host: The name, for TLS and the Host header.
        port: TCP port.
        scheme: https, or http where that is allowed.
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
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return shown if self.port == _own_port(self.scheme) else f"{shown}:{self.port}"


def resolve_by_system(host: str, port: int) -> list[str]:
    """Every address of a name."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def target_of(
    url: str,
    *,
    hosts: Collection[str],
    loopback: bool,
    http: bool = False,
    ports: Collection[int] = frozenset({HTTPS_PORT}),
    resolve: Resolve = resolve_by_system,
) -> Target:
    """Check a URL and resolve it once.

    Args:
        url: The caller's.
        hosts: Allowed `host` or `host:port`; without a port any of `ports`. `*` is every public host.
        loopback: Whether this machine itself is allowed, over http or https and at any port.
        http: Whether http is allowed elsewhere too.
        ports: Those of hosts that are listed without one.
        resolve: Addresses of a name.

    Raises:
        AddressRefused: it must not be connected to.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".").lower()
    try:
        port = parts.port or _own_port(parts.scheme)
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
    if parts.scheme != "https" and not (http and parts.scheme == "http"):
        raise AddressRefused("the URL is not https")
    if not _is_allowed(host, port, hosts, ports):
        raise AddressRefused(f"the operator does not allow {host}:{port}")
    for address in addresses:
        if not is_public(address):
            raise AddressRefused(f"{host} leads to an address that is not public")
    return Target(str(addresses[0]), host, port, parts.scheme, path)


def is_public(address: Address) -> bool:
    """Whether an address, as it is, belongs to the internet at large."""
    unusual = address.is_multicast or address.is_reserved
    return address.is_global and not unusual and not (address.version == 6 and address.is_site_local)


def _own_port(scheme: str) -> int:
    return HTTPS_PORT if scheme == "https" else HTTP_PORT


def _is_allowed(host: str, port: int, hosts: Collection[str], ports: Collection[int]) -> bool:
    names = {f"{host}:{port}"} | ({host, "*"} if port in ports else set())
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
