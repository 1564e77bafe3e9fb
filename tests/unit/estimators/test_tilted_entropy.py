"""Against enumeration of small laws."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.estimators.tilted_entropy import tilted_entropy


def entropy(law: np.ndarray) -> float:
    kept = law[law > 0]
    return float(-(kept * np.log(kept)).sum())


def tilt(p: np.ndarray, success: np.ndarray, b: float) -> np.ndarray:
    a = p[success].sum()
    return np.where(success, p * b / a, p * (1 - b) / (1 - a))


P = np.array([0.1, 0.3, 0.2, 0.4])
SUCCESS = np.array([True, True, False, False])


def every_tenth() -> np.ndarray:
    """Ten samples that show each sequence exactly as often as P has it."""
    return np.repeat(np.arange(4), [1, 3, 2, 4])


@pytest.mark.parametrize("b", [0.0, 0.25, 0.4, 0.9, 1.0])
def test_exact_on_samples_that_match_the_law(b: float) -> None:
    drawn = every_tenth()
    found = tilted_entropy(np.log(P[drawn]), SUCCESS[drawn], b)
    assert found == pytest.approx(entropy(tilt(P, SUCCESS, b)), abs=1e-12)


def test_without_a_needed_class_there_is_none() -> None:
    log_p = np.log(np.array([0.2, 0.3]))
    failures = np.array([False, False])
    assert tilted_entropy(log_p, failures, 0.5) is None
    assert tilted_entropy(log_p, failures, 0.0) is not None
    with pytest.raises(ValueError, match="in \\[0, 1\\]"):
        tilted_entropy(log_p, failures, 1.5)


@given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.95))
def test_estimates_the_entropy_of_the_tilt(seed: int, b: float) -> None:
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(6, 2.0))
    success = np.arange(6) < 3
    drawn = rng.choice(6, size=4000, p=p)
    found = tilted_entropy(np.log(p[drawn]), success[drawn], b)
    assert found is not None
    within = [p[success] / p[success].sum(), p[~success] / p[~success].sum()]
    spread = max(float(np.log(law).max() - np.log(law).min()) for law in within)
    rarest = min(p[success].sum(), p[~success].sum())
    # The mean of log p within a class of n samples, and the log of its share: six of their errors.
    error = (spread + math.sqrt(1 / rarest)) / math.sqrt(4000 * rarest)
    assert found == pytest.approx(entropy(tilt(p, success, b)), abs=6 * error)
