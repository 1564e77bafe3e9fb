"""Responses kept under their idempotency keys, per tenant and route."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, insert, select
from sqlalchemy.exc import IntegrityError

from ledger.clock import now_us
from ledger.errors import Conflict
from ledger.tables import idempotency

_ONE: Final = select(idempotency).where(
    idempotency.c.tenant_id == bindparam("tenant"),
    idempotency.c.route == bindparam("route"),
    idempotency.c.key == bindparam("key"),
)


def find(conn: Connection, tenant_id: str, route: str, key: str) -> Row[Any] | None:
    """The stored answer: ``request_sha256``, ``status``, ``response``, ``analysis_id``; None if new."""
    return conn.execute(_ONE, {"tenant": tenant_id, "route": route, "key": key}).one_or_none()


def store(
    conn: Connection,
    *,
    tenant_id: str,
    route: str,
    key: str,
    request_sha256: str,
    status: int,
    response: Mapping[str, Any],
    analysis_id: str | None,
) -> None:
    """Keep an answer, in the transaction of what it answers.

    Args:
        conn: That transaction.
        tenant_id: Whose key.
        route: Method and path template.
        key: The key as sent.
        request_sha256: Hash of the canonical request body.
        status: HTTP status of the answer.
        response: Body of the answer.
        analysis_id: What the request made, if anything.

    Raises:
        Conflict: if the key is taken: another request committed first. The transaction must be
            rolled back.
    """
    try:
        conn.execute(
            insert(idempotency).values(
                tenant_id=tenant_id,
                route=route,
                key=key,
                request_sha256=request_sha256,
                status=status,
                response=dict(response),
                analysis_id=analysis_id,
                created_at=now_us(conn),
            )
        )
    except IntegrityError as error:
        raise Conflict(f"the idempotency key is taken on {route}") from error
