"""How many more samples would settle a prompt that is undetermined."""

from collections.abc import Callable

from workers.estimators.counts import in_shape, log_e_in, log_e_out, log_mixture

_MOST_SAMPLES = 10**9


def samples_to_settle(
    successes: int, n: int, threshold: float, target_log_e: float, planned_n: int
) -> int | None:
    """How many more samples make `log_e_out` reach the target if none of them succeeds.

    Every failure raises the e-value (its factor is the posterior mean of (1 - theta)/(1 - threshold) over
    theta < threshold), so the answer is exact.

    Returns:
        0 if the target is met already; None beyond 1e9 samples.

    Raises:
        ValueError: As `log_e_out`.
    """
    log_e_out(successes, n, threshold, planned_n)

    def reached(more: int) -> bool:
        return log_e_out(successes, n + more, threshold, planned_n) >= target_log_e

    return 0 if reached(0) else _least(reached)


def samples_to_settle_in(successes: int, n: int, threshold: float, target_log_e: float) -> int | None:
    """How many more samples make `log_e_in` reach the target if successes keep coming at the rate c/n.

    A forecast for planning, never evidence: it evaluates the mixture at fractional counts.

    Returns:
        0 if the target is met already; None if c/n <= threshold or beyond 1e9 samples.

    Raises:
        ValueError: As `log_e_in`.
    """
    if log_e_in(successes, n, threshold) >= target_log_e:
        return 0
    if n == 0 or successes / n <= threshold:
        return None
    rate, shape = successes / n, in_shape(threshold)

    def reached(more: int) -> bool:
        total = n + more
        return log_mixture(rate * total, total, threshold, shape, above=True) >= target_log_e

    return _least(reached)


def _least(reached: Callable[[int], bool]) -> int | None:
    """The least positive number for which `reached` holds, if it then holds for every larger one."""
    high = 1
    while not reached(high):
        high *= 2
        if high > _MOST_SAMPLES:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high
