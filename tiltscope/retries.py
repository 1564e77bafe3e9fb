"""When to send a request again, and after how long."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from random import Random

import httpx

AGAIN = frozenset({408, 425, 429, 502, 503, 504})
"""Statuses that a later try may change. Every request of this client is safe to repeat: reads are, uploads
are named by their content, and what creates something carries an idempotency key."""


@dataclass(frozen=True)
class Retries:
    """Exponential pauses with full jitter, never shorter than the service asks for.

    Attributes:
        attempts: Tries altogether; 1 never tries again.
        base_seconds: Upper end of the first pause; each further one is twice as long.
        longest_seconds: Upper end of any pause. A `Retry-After` beyond it is not waited for, but raised.
        random: Where jitter comes from: clients that failed together must not come back together.
    """

    attempts: int = 6
    base_seconds: float = 0.5
    longest_seconds: float = 60.0
    random: Random = field(default_factory=Random, repr=False)

    def pause(self, tries: int, outcome: httpx.Response | httpx.TransportError) -> float | None:
        """Seconds until the next try; None if there must be none.

        Args:
            tries: Tries so far, this one included.
            outcome: What came of the last one.
        """
        if tries >= self.attempts:
            return None
        jittered = self.random.uniform(0, min(self.base_seconds * 2 ** (tries - 1), self.longest_seconds))
        if not isinstance(outcome, httpx.Response):
            return jittered
        if outcome.status_code not in AGAIN:
            return None
        asked = retry_after(outcome)
        if asked is None:
            return jittered
        return None if asked > self.longest_seconds else asked + jittered


def retry_after(response: httpx.Response) -> float | None:
    """Seconds that `Retry-After` asks for (RFC 9110: a number or a date); None without a usable one."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdecimal():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
