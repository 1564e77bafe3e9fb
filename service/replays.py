"""Requests that are repeated under their idempotency key: what was answered before is answered again."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel
from sqlalchemy import Connection

from ledger import idempotency
from ledger.database import read
from service.errors import ValidationFailed
from service.resources import Resources

ACCEPTED: Final = 202


def remember(
    conn: Connection,
    resources: Resources,
    route: str,
    key: str | None,
    digest: str,
    made: BaseModel,
    *,
    created: str,
) -> None:
    """Keep the answer for a repetition of its request, in the transaction that does what was asked.

    Args:
        conn: That transaction.
        resources: The gateway's resources.
        route: Method and path template.
        key: The caller's idempotency key; without one nothing is kept.
        digest: Hash of the canonical request.
        made: The answer.
        created: Id of what the request made or changed.
    """
    if key is not None:
        idempotency.store(
            conn,
            tenant_id=resources.tenant,
            route=route,
            key=key,
            request_sha256=digest,
            status=ACCEPTED,
            response=made.model_dump(mode="json"),
            analysis_id=created,
        )


def replayed(resources: Resources, route: str, key: str | None, digest: str) -> Mapping[str, Any] | None:
    """The answer that a request had before; None if it is new.

    Args:
        resources: The gateway's resources.
        route: Method and path template.
        key: The caller's idempotency key; without one every request is new.
        digest: Hash of the canonical request.

    Raises:
        ValidationFailed: the key was used for another request.
    """
    if key is None:
        return None
    with read(resources.engine) as conn:
        stored = idempotency.find(conn, resources.tenant, route, key)
    if stored is None:
        return None
    if stored.request_sha256 != digest:
        raise ValidationFailed(
            "this Idempotency-Key was used for another request; use a new key for a new request",
            code="idempotency_key_reused",
        )
    response: Mapping[str, Any] = stored.response
    return response
