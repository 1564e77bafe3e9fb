"""Whether one more analysis may wait here: a tenant's quotas, and a queue that nobody keeps up with."""

from sqlalchemy import Connection

from ledger import quotas
from service.errors import TooManyRequests, Unavailable
from service.limits.headers import quota_headers, retry_after
from service.resources import Resources


def require_place(conn: Connection, resources: Resources) -> None:
    """Check the quotas in the transaction that takes the place.

    Args:
        conn: A writing transaction.
        resources: The gateway's resources.

    Raises:
        TooManyRequests: the tenant has as much open as it may.
        Unavailable: the queue is long and nobody has come for its first in a while.
    """
    settings, tenant = resources.settings, resources.tenant
    most, most_rows = settings.limit("max_open_analyses"), settings.limit("max_waiting_rows")
    if most or most_rows:
        quotas.hold_tenant(conn, tenant)
    pause = settings.quota_retry_seconds
    if most and (there := quotas.open_analyses(conn, tenant)) >= most:
        raise TooManyRequests(
            f"{there:,} analyses of this tenant have not ended yet, of {most:,} it may have open; wait for "
            "one, or cancel one",
            code="too_many_open_analyses",
            headers=quota_headers("open-analyses", most, pause),
        )
    if most_rows and (rows := quotas.waiting_rows(conn, tenant)) >= most_rows:
        raise TooManyRequests(
            f"{rows:,} samples of this tenant wait to be drawn, judged or scored, of {most_rows:,} that may; "
            "wait for some of its analyses, or cancel one",
            code="too_much_waiting",
            headers=quota_headers("waiting-rows", most_rows, pause),
        )
    most_queued = settings.limit("max_queued_analyses")
    if not most_queued:
        return
    queue = quotas.queue(conn)
    if queue.analyses >= most_queued and queue.longest_seconds >= settings.overload_seconds:
        raise Unavailable(
            f"{queue.analyses:,} analyses wait for a worker, the first for {queue.longest_seconds:,.0f} s: "
            "the service is overloaded and accepted nothing; try again later",
            code="overloaded",
            headers=retry_after(settings.overload_retry_seconds),
        )
