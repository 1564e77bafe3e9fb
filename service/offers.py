"""Which signals this deployment offers."""

import ipaddress
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urlsplit

from service.settings import Settings

HTTPS_PORT: Final = 443


@dataclass(frozen=True, slots=True)
class Offers:
    """What the operator switched on.

    Attributes:
        python: The signal `python`.
        http_hosts: Hosts the signal `http` may ask.
        http_loopback: Whether it may ask the workers' own machine.
    """

    python: bool = False
    http_hosts: frozenset[str] = frozenset()
    http_loopback: bool = False

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """As the settings say."""
        return cls(settings.python_signal, settings.http_signal_hosts, settings.http_signal_loopback)

    def refusal(self, kind: str) -> str | None:
        """Why a kind of signal is not offered and who can change that; None if it is."""
        if kind == "python" and not self.python:
            return (
                "the signal `python` runs programs that models wrote, and is off here; the operator switches "
                "it on with TILTSCOPE_PYTHON_SIGNAL=1 for gateway and workers, which then need bubblewrap"
            )
        if kind == "http" and not (self.http_hosts or self.http_loopback):
            return (
                "the signal `http` is off here; the operator lists the hosts that may judge in "
                "TILTSCOPE_HTTP_SIGNAL_HOSTS, for gateway and workers"
            )
        return None

    def url_refusal(self, url: str) -> str | None:
        """Why a worker would refuse to ask this URL, as far as its text shows; None if it may."""
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".").lower()
        try:
            port = parts.port or (HTTPS_PORT if parts.scheme == "https" else 80)
        except ValueError:
            return "the URL has no valid port"
        if not host or parts.username is not None or parts.password is not None:
            return "the URL needs a host, and takes no user name or password; a header may hold a secret"
        if self.http_loopback and _is_loopback(host):
            return None
        if parts.scheme != "https":
            return "the URL must be https"
        names = {f"{host}:{port}"} | ({host, "*"} if port == HTTPS_PORT else set())
        if names.isdisjoint(self.http_hosts):
            offered = ", ".join(sorted(self.http_hosts)) or "none"
            return f"the operator does not allow {host}:{port}; allowed are: {offered}"
        return None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
