"""Times on the wire."""

from datetime import UTC, datetime


def timestamp(microseconds: int) -> str:
    """RFC 3339 in UTC of microseconds since the Unix epoch."""
    seconds, rest = divmod(microseconds, 1_000_000)
    moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
