"""Whether the gateway can accept work."""

from collections.abc import Callable
from typing import Literal

import structlog
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from api_schemas.health import Readiness
from ledger import models
from ledger.database import read, schema_is_current
from ledger.errors import LedgerError
from service.resources import Resources
from service.settings import REGISTRY_TENANT

Check = Literal["ok", "degraded", "failed"]

log = structlog.get_logger(__name__)


def readiness(resources: Resources) -> Readiness:
    """Check each part; without Redis work is still accepted, because workers look by themselves."""
    checks: dict[str, Check] = {
        "database": _check("database", lambda: schema_is_current(resources.engine)),
        "registry": _check("registry", lambda: _registry(resources)),
        "disk": _check("disk", lambda: _disk(resources)),
        "redis": "ok" if _redis(resources) else "degraded",
    }
    return Readiness(status="starting" if "failed" in checks.values() else "ready", checks=checks)


def _check(part: str, works: Callable[[], bool]) -> Check:
    try:
        return "ok" if works() else "failed"
    except (SQLAlchemyError, OSError, LedgerError) as error:
        log.warning("not_ready", part=part, error=type(error).__name__)
        return "failed"


def _registry(resources: Resources) -> bool:
    with read(resources.engine) as conn:
        return models.is_scanned(conn, REGISTRY_TENANT)


def _disk(resources: Resources) -> bool:
    resources.artefacts.check_writable(resources.settings.min_free_bytes)
    return True


def _redis(resources: Resources) -> bool:
    timeout = resources.settings.wakeup_timeout_seconds
    try:
        client = Redis.from_url(
            resources.settings.redis_url, socket_connect_timeout=timeout, socket_timeout=timeout
        )
        with client:
            return bool(client.ping())
    except (RedisError, ValueError):
        return False
