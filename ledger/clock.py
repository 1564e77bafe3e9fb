"""The database's clock: leases must not depend on any worker's own."""

from typing import Final

from sqlalchemy import BigInteger, Connection, literal_column, select

_NOW: Final = {
    name: select(literal_column(text, BigInteger))
    for name, text in {
        # julianday resolves 40 us, so the rounding recovers SQLite's own millisecond exactly
        "sqlite": "CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000",
        # clock_timestamp, not now(): a transaction that waited for a lock must see the present
        "postgresql": "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)",
    }.items()
}


def now_us(conn: Connection) -> int:
    """The database's present time.

    Returns:
        Microseconds since the Unix epoch; SQLite resolves milliseconds.
    """
    return int(conn.execute(_NOW[conn.dialect.name]).scalar_one())


def microseconds(seconds: float) -> int:
    """A duration in the ledger's unit."""
    return round(seconds * 1_000_000)
