"""One additive term of a decomposition: its value, ends and error, before it becomes an Estimate."""

import math
from typing import Final, NamedTuple

from workers.estimators.estimate import Estimate

NATS: Final = "nats"
UNSEEN_SUCCESS: Final = "no reference success: only bounds"


class Term(NamedTuple):
    """Nats of one term.

    Attributes:
        value: None if the samples only bound it.
        low: Lower end.
        high: Upper end; may be +inf.
        std_error: None if it cannot be computed.
    """

    value: float | None
    low: float
    high: float
    std_error: float | None


def cover(term: Term) -> Term:
    """The term with an interval that holds its value."""
    if term.value is None:
        return term
    return term._replace(low=min(term.low, term.value), high=max(term.high, term.value))


def union(first: Term | str, second: Term | str) -> Term | str:
    """The first term with an interval that holds both; a reason stands for an undefined term and wins."""
    if isinstance(first, str) or isinstance(second, str):
        return first if isinstance(first, str) else second
    return first._replace(low=min(first.low, second.low), high=max(first.high, second.high))


def term_estimate(term: Term | str, kl: Estimate, n: int, confidence: float) -> Estimate:
    """The term as an Estimate; it is as weak as the KL it is part of, unless it is exact."""
    if isinstance(term, str):
        return Estimate.undefined(term, NATS, n)
    exact = term.low == term.high
    weak = kl.status == "unreliable" and not exact
    missing = term.value is None
    return Estimate.from_interval(
        math.inf if term.value is None else term.value,
        term.low,
        term.high,
        confidence=confidence,
        n=n,
        unit=NATS,
        std_error=term.std_error,
        reason=UNSEEN_SUCCESS if missing else (kl.reason if weak else ""),
        status="unreliable" if weak and not missing else None,
    )
