"""How long to wait before a message is sent again."""

from dataclasses import dataclass

GROWTH = 4.0
"""Of each pause over the one before: a short hiccup is over within seconds, a long one is not hammered."""


@dataclass(frozen=True, slots=True)
class RetryPauses:
    """Exponential pauses, capped and jittered.

    Attributes:
        attempts: Attempts in all.
        first_seconds: The first pause, before jitter.
        longest_seconds: No pause is longer.
    """

    attempts: int
    first_seconds: float
    longest_seconds: float

    def after(self, attempt: int, *, jitter: float, asked: float | None = None) -> float | None:
        """Seconds to wait after a failed attempt.

        Args:
            attempt: Its number, from 1.
            jitter: Uniform in [0, 1): the pause is between half and one and a half of its mean, so that
                receivers who come back are not met by everything at once.
            asked: What `Retry-After` asks for, in seconds: not less, but no longer than the longest.

        Returns:
            Seconds; None after the last attempt.
        """
        if attempt >= self.attempts:
            return None
        # Where the power would overflow, the cap has long been reached.
        grown = self.first_seconds * GROWTH ** min(attempt - 1, 50)
        pause = min(grown, self.longest_seconds) * (0.5 + jitter)
        return min(max(pause, asked or 0.0), self.longest_seconds)
