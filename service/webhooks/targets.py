"""Which URLs a webhook may have, as far as their text tells; names are looked up on delivery."""

import ipaddress
from urllib.parse import urlsplit

from api_schemas.problems import FieldProblem
from service.errors import ValidationFailed
from service.settings import Settings, is_loopback


def check_url(url: str, settings: Settings) -> None:
    """Refuse what would never be delivered.

    Raises:
        ValidationFailed: it would not, and why.
    """
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        raise _refused("this is no URL") from None
    if not host or "@" in parts.netloc:
        raise _refused("the URL needs a host, and takes no user name or password")
    if settings.webhook_loopback and is_loopback(host):
        return
    if parts.scheme != "https" and not settings.webhook_http:
        raise _refused("the URL must begin with https://")
    if port not in settings.webhook_ports:
        allowed = ", ".join(str(port) for port in sorted(settings.webhook_ports))
        raise _refused(f"port {port} is not allowed here; allowed: {allowed}")
    if is_loopback(host) or not _may_be_public(host):
        raise _refused("the URL leads to an address that is not public")


def _may_be_public(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return True


def _refused(detail: str) -> ValidationFailed:
    fault = FieldProblem(detail=detail, pointer="/url")
    return ValidationFailed(detail, code="webhook_url_not_allowed", errors=[fault])
