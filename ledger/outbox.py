"""Messages to webhooks: written with what they tell, sent until they are taken or given up."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from sqlalchemy import Connection, Engine, Row, Select, and_, delete, insert, or_, select, update

from ledger.clock import microseconds, now_us
from ledger.database import read, write
from ledger.ids import new_id
from ledger.tables import analyses, deliveries, outbox, webhooks

_TOLD: Final = ("id", "kind", "status", "partial", "verdict", "revision", "result_revision")

Outcome = Literal["delivered", "retried", "given_up"]

WINDOW: Final = 100
"""Due messages looked at for one claim: most may be of one busy webhook, which gets one at a time."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message that its holder is to send now.

    Attributes:
        id: The same at every attempt.
        webhook_id: Whom it is for.
        tenant_id: Whose.
        url: Where to.
        kind: What it tells of.
        payload: What it tells.
        created_at: When that happened, in microseconds.
        attempt: 1 for the first.
        secrets: Sealed secrets that sign it, the newest first.
    """

    id: str
    webhook_id: str
    tenant_id: str
    url: str
    kind: str
    payload: Mapping[str, Any]
    created_at: int
    attempt: int
    secrets: tuple[str, ...] = field(repr=False)


def tell_end(conn: Connection, analysis_id: str) -> None:
    """Write a message of an analysis's end for each webhook of its tenant that wants to know.

    Args:
        conn: The transaction that ends it: neither is there without the other.
        analysis_id: Which; already in its last status.
    """
    ended = conn.execute(select(analyses).where(analyses.c.id == analysis_id)).one()
    if ended.kind == "import":  # no event of an analysis, though the ledger runs it as one
        return
    kind = f"analysis.{ended.status}"
    # Kept from deletion until the commit: a message for nobody would undo the ending.
    listening = select(webhooks.c.id, webhooks.c.events).where(webhooks.c.tenant_id == ended.tenant_id)
    for webhook in conn.execute(listening.with_for_update(read=True, key_share=True)).all():
        if kind in webhook.events:
            payload = {name: getattr(ended, name) for name in _TOLD}
            enqueue(conn, ended.tenant_id, webhook.id, kind, payload)


def enqueue(
    conn: Connection, tenant_id: str, webhook_id: str, kind: str, payload: Mapping[str, Any]
) -> Row[Any]:
    """Write a message, due at once."""
    now = now_us(conn)
    row = insert(outbox).values(
        id=new_id("msg"),
        tenant_id=tenant_id,
        webhook_id=webhook_id,
        kind=kind,
        payload=dict(payload),
        next_at=now,
        created_at=now,
    )
    return conn.execute(row.returning(outbox)).one()


def claim(engine: Engine, *, limit: int, busy: Collection[str], hold_seconds: float) -> list[Message]:
    """Take messages to send, one for each webhook, so that a slow one delays no other.

    Args:
        engine: The ledger.
        limit: Most messages.
        busy: Webhooks that the caller is sending to.
        hold_seconds: After this, a message of which nothing was recorded is due again: its holder died.

    Returns:
        The messages, those due longest first. Each counts an attempt.
    """
    with read(engine) as conn:
        if conn.execute(_due(now_us(conn), busy).limit(1)).first() is None:
            return []
    with write(engine) as conn:
        now = now_us(conn)
        due = _due(now, busy).order_by(outbox.c.next_at, outbox.c.id).limit(WINDOW)
        rows = conn.execute(due.with_for_update(of=outbox, skip_locked=True)).all()
        firsts: dict[str, Row[Any]] = {}
        for row in rows:
            firsts.setdefault(row.webhook_id, row)
        chosen = list(firsts.values())[:limit]
        held = outbox.c.id.in_([row.id for row in chosen])
        values = {"attempts": outbox.c.attempts + 1, "next_at": now + microseconds(hold_seconds)}
        conn.execute(update(outbox).where(held).values(**values))
        return [_message(row, now) for row in chosen]


def record(
    engine: Engine,
    message: Message,
    *,
    status: int | None,
    error: str | None,
    retry_seconds: float | None = None,
) -> Outcome | None:
    """Record what became of an attempt.

    Args:
        engine: The ledger.
        message: What was sent.
        status: HTTP status; None without an answer.
        error: Why it was not taken; None if it was.
        retry_seconds: When to try again; None gives up.

    Returns:
        What is to become of the message; None if its webhook was removed meanwhile.
    """
    outcome: Outcome = "delivered" if error is None else "given_up" if retry_seconds is None else "retried"
    with write(engine) as conn:
        there = select(webhooks.c.id).where(webhooks.c.id == message.webhook_id)
        # The webhook before its messages, as its deletion locks them.
        if conn.execute(there.with_for_update(read=True, key_share=True)).one_or_none() is None:
            return None
        now = now_us(conn)
        retry_at = None if retry_seconds is None or error is None else now + microseconds(retry_seconds)
        ours = and_(outbox.c.id == message.id, outbox.c.sent_at.is_(None))
        if outcome == "delivered":
            conn.execute(update(outbox).where(ours).values(sent_at=now, given_up_at=None))
        else:
            # Whoever took it meanwhile decides for itself.
            ours = and_(ours, outbox.c.attempts == message.attempt)
            values = {"given_up_at": now} if retry_at is None else {"next_at": retry_at}
            conn.execute(update(outbox).where(ours).values(**values))
        row = insert(deliveries).values(
            id=new_id("dlv"),
            tenant_id=message.tenant_id,
            webhook_id=message.webhook_id,
            message_id=message.id,
            attempt=message.attempt,
            status=status,
            error=error,
            outcome=outcome,
            next_at=retry_at,
            attempted_at=now,
        )
        conn.execute(row)
    return outcome


def list_deliveries(
    conn: Connection, tenant_id: str, webhook_id: str, *, limit: int, after: tuple[int, str] | None = None
) -> Sequence[Row[Any]]:
    """A page of attempts, newest first, behind ``(attempted_at, id)``; with kind and payload of each."""
    query = (
        select(deliveries, outbox.c.kind, outbox.c.payload)
        .join(outbox, outbox.c.id == deliveries.c.message_id)
        .where(deliveries.c.tenant_id == tenant_id, deliveries.c.webhook_id == webhook_id)
    )
    if after is not None:
        attempted_at, delivery_id = after
        same_time = and_(deliveries.c.attempted_at == attempted_at, deliveries.c.id < delivery_id)
        query = query.where(or_(deliveries.c.attempted_at < attempted_at, same_time))
    order = deliveries.c.attempted_at.desc(), deliveries.c.id.desc()
    return conn.execute(query.order_by(*order).limit(limit)).all()


def forget(engine: Engine, *, seconds: float) -> int:
    """Delete the messages that were taken or given up so long ago, with their attempts; how many."""
    with write(engine) as conn:
        old = now_us(conn) - microseconds(seconds)
        over = or_(outbox.c.sent_at < old, outbox.c.given_up_at < old)
        return int(conn.execute(delete(outbox).where(over)).rowcount)


def _due(now: int, busy: Collection[str]) -> Select[Any]:
    hook = (webhooks.c.url, webhooks.c.secret, webhooks.c.old_secret, webhooks.c.old_until)
    return (
        select(outbox, *hook)
        .join(webhooks, webhooks.c.id == outbox.c.webhook_id)
        .where(
            outbox.c.sent_at.is_(None),
            outbox.c.given_up_at.is_(None),
            outbox.c.next_at <= now,
            outbox.c.webhook_id.not_in(busy),
        )
    )


def _message(row: Row[Any], now: int) -> Message:
    both = row.old_secret is not None and row.old_until > now
    return Message(
        id=row.id,
        webhook_id=row.webhook_id,
        tenant_id=row.tenant_id,
        url=row.url,
        kind=row.kind,
        payload=row.payload,
        created_at=row.created_at,
        attempt=row.attempts + 1,
        secrets=(row.secret, row.old_secret) if both else (row.secret,),
    )
