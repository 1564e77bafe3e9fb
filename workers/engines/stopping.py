"""Stop strings: whether a completion's last token completed one, found by decoding its tail alone."""

from collections.abc import Callable, Sequence
from typing import Final

_MARGIN: Final = 8
"""Characters beyond the longest stop string: a tail may begin with a space dropped or with broken bytes."""


def completes_stop(
    text: Callable[[Sequence[int]], str], token_ids: Sequence[int], stop: Sequence[str]
) -> bool:
    """Whether the text holds a stop string, if it held none before its last token.

    A new stop string ends among the characters of the last token, so that its length and what a tail may show
    wrongly at its beginning are decoded: the cost of a token does not grow with the completion.

    Args:
        text: Decodes tokens.
        token_ids: The completion, at least one token.
        stop: Strings, at least one.
    """
    reach = max(map(len, stop)) + _MARGIN
    width = reach + 1
    # Tokens may be shorter than a character, or leave no text at all.
    while width < len(token_ids) and len(text(token_ids[-width:-1])) < reach:
        width *= 2
    tail = token_ids[-width:]
    found = _holds(text(tail), stop)
    # A tail that begins within a word may show what the whole text does not.
    return found and (len(tail) == len(token_ids) or _holds(text(token_ids), stop))


def _holds(text: str, stop: Sequence[str]) -> bool:
    return any(one in text for one in stop)
