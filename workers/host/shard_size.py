"""How many tokens a shard is planned for."""

from typing import Final

LEAST_TOKENS: Final = 1_000
"""Below this what a shard costs beside its work shows, however slow the model is."""


def shard_tokens(most: int, seconds: float, pace: float | None) -> int:
    """New tokens of a shard.

    Args:
        most: Of the settings: what may be lost when an engine dies.
        seconds: Engine time wanted of a shard; 0 wants `most` tokens.
        pace: New tokens a second that the models asked for drew lately; None if they drew nothing.
    """
    if not seconds or pace is None:
        return most
    return min(most, max(LEAST_TOKENS, round(pace * seconds)))
