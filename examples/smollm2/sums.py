"""Sums from reasoning-gym as prompts: three levels, and held-out items by a hash of what is added."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

LEVELS: Final[Mapping[str, Mapping[str, int]]] = {
    "one-digit": {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1},
    "three-terms": {"min_terms": 3, "max_terms": 3, "min_digits": 1, "max_digits": 1},
    "two-digit": {"min_terms": 2, "max_terms": 2, "min_digits": 2, "max_digits": 2},
}
"""Settings of reasoning-gym's `chain_sum`, easy for the model to hard."""

HELD_OUT_ONE_IN: Final = 4


@dataclass(frozen=True)
class Item:
    """One task: its level, the question as reasoning-gym words it, the expression in it and the answer."""

    level: str
    question: str
    expression: str
    answer: str

    @property
    def is_held_out(self) -> bool:
        """Whether it is never trained on."""
        return is_held_out(self.expression)

    @property
    def messages(self) -> list[dict[str, str]]:
        """The conversation that ends before the model's turn."""
        return [{"role": "user", "content": self.question}]


def signed_terms(expression: str) -> list[int]:
    """The terms of `3 + 4 - 5` with their signs, ascending: equal for sums that differ in order alone."""
    first, *rest = expression.split(" ")
    signs = {"+": 1, "-": -1}
    return sorted(
        [int(first), *(signs[op] * int(term) for op, term in zip(rest[::2], rest[1::2], strict=True))]
    )


def is_held_out(expression: str) -> bool:
    """The split, by a hash of the terms: reordering an expression does not move it to the other side."""
    digest = hashlib.sha256(repr(signed_terms(expression)).encode()).digest()
    return int.from_bytes(digest[:8], "big") % HELD_OUT_ONE_IN == 0


def data_set(level: str, size: int, seed: int) -> Any:
    """reasoning-gym's own data set of a level; item i is a function of `seed + i` alone."""
    import reasoning_gym

    return reasoning_gym.create_dataset("chain_sum", size=size, seed=seed, **LEVELS[level])


def items(level: str, seed: int, *, held_out: bool, size: int = 10_000) -> Iterator[Item]:
    """Distinct items of one side of the split, in the order in which reasoning-gym makes them."""
    seen: set[str] = set()
    for entry in data_set(level, size, seed):
        expression = entry["metadata"]["expression"]
        key = repr(signed_terms(expression))
        if key not in seen and is_held_out(expression) == held_out:
            seen.add(key)
            yield Item(level, entry["question"], expression, entry["answer"])


def last_number(text: str) -> str:
    """The last number in a text, empty if there is none; a minus after a digit subtracts."""
    found = re.findall(r"(?<![0-9A-Za-z)])-?[0-9][0-9,]*(?:\.[0-9]+)?|[0-9][0-9,]*(?:\.[0-9]+)?", text)
    return found[-1].rstrip(",") if found else ""


def gym_accepts(text: str, answer: str) -> bool:
    """What reasoning-gym's scorer says of the last number in a completion.

    It raises on some texts that are no numbers; those are no answers.
    """
    from reasoning_gym.utils import compute_decimal_reward

    try:
        return compute_decimal_reward(last_number(text), oracle_answer=answer) == 1.0
    except (ArithmeticError, ValueError):
        return False
