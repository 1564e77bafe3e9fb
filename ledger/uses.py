"""What an analysis needs beside its models: it cannot be deleted while the analysis is there."""

from collections.abc import Iterable

from sqlalchemy import Connection, insert

from ledger.tables import uses


def record(conn: Connection, analysis_id: str, resource_ids: Iterable[str]) -> None:
    """Record that an analysis uses data sets, in the transaction that creates it."""
    rows = [{"analysis_id": analysis_id, "resource_id": resource} for resource in sorted(set(resource_ids))]
    if rows:
        conn.execute(insert(uses), rows)
