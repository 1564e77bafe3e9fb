"""Health of the gateway."""

from typing import Literal

from api_schemas.base import Document


class Liveness(Document):
    """The event loop turns."""

    status: Literal["ok"]


class Readiness(Document):
    """What the gateway needs, part by part; `degraded` parts do not keep it from accepting work."""

    status: Literal["ready", "starting"]
    checks: dict[str, Literal["ok", "degraded", "failed"]]
