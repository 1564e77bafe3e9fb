import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.estimators.coverage import coverage, coverage_sampling_error


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


counts = st.lists(st.integers(0, 20), min_size=1, max_size=25).map(np.array)


def test_by_hand() -> None:
    # 10/20 = 0.5 counts as reaching 0.5; shares 0, 0.5, 0.95, 1
    c, n = np.array([0, 10, 19, 20]), np.full(4, 20)
    assert coverage(c, n, 0.5, rng()).value == 0.75
    assert coverage(c, n, 0.951, rng()).value == 0.25
    assert coverage(c, n, 1.0, rng()).value == 0.25
    # Binomial(2, 1/2) reaches 1 of 2 with probability 3/4: sqrt(3/16)
    assert coverage_sampling_error(np.array([1]), np.array([2]), 0.5) == pytest.approx((3 / 16) ** 0.5)
    assert coverage_sampling_error(np.array([0, 2]), np.array([2, 2]), 0.5) == 0.0


def test_interval_covers_the_population() -> None:
    generator = rng()
    for tau in (0.05, 0.3):
        # a ~ Beta(0.5, 2); G(τ) by a large sample
        exact = float((generator.beta(0.5, 2, 400_000) >= tau).mean())
        covered = []
        for _ in range(300):
            c = generator.binomial(32, generator.beta(0.5, 2, 30))
            got = coverage(c, np.full(30, 32), tau, generator)
            covered.append((got.ci_low or 0.0) <= exact <= (got.ci_high or 0.0))
        assert np.mean(covered) >= 0.95


def test_below_one_success_is_not_resolved() -> None:
    got = coverage(np.array([0, 3]), np.array([64, 64]), 0.01, rng())
    assert (got.value, got.status) == (0.5, "unreliable")
    # 0 of 64 does not exclude a >= 0.01: the upper end stays at 1.
    assert got.ci_high == 1.0
    assert coverage(np.array([]), np.array([]), 0.5, rng()).status == "undefined"
    for bad in (0.0, 1.1):
        with pytest.raises(ValueError, match="tau"):
            coverage(np.array([1]), np.array([2]), bad, rng())
    with pytest.raises(ValueError, match="c <= n"):
        coverage(np.array([3]), np.array([2]), 0.5, rng())


@given(counts, st.floats(0.01, 1.0), st.floats(0.01, 1.0))
def test_decreasing_bounded_and_order_free(c: np.ndarray, tau: float, other: float) -> None:
    n = np.full(c.size, 20)
    low, high = coverage(c, n, min(tau, other), rng()), coverage(c, n, max(tau, other), rng())
    assert (high.value or 0.0) <= (low.value or 0.0)
    for got in (low, high):
        assert 0 <= (got.ci_low or 0.0) <= (got.value or 0.0) <= (got.ci_high or 0.0) <= 1
    assert coverage(c[::-1], n, tau, rng()) == coverage(c, n, tau, rng())


def test_families_of_equal_prompts_count_once() -> None:
    # Ten prompts far on either side of τ; each four times over in a family is no more than once.
    c, n = np.repeat([0, 64], [4, 6]), np.full(10, 64)
    once = coverage(c, n, 0.3, rng())
    copies = np.repeat(c, 4), np.repeat(n, 4), 0.3
    alike = coverage(*copies, rng(), families=np.repeat(range(10), 4))
    independent = coverage(*copies, rng())
    assert alike.value == once.value == 0.6
    assert alike.std_error == pytest.approx(once.std_error)
    width = [(one.ci_high or 0) - (one.ci_low or 0) for one in (once, alike, independent)]
    assert width[2] < width[0] < width[1] < 1.3 * width[0]
    # All above: 40 prompts in 10 families are 10 witnesses.
    sure = coverage(np.full(40, 64), np.full(40, 64), 0.3, rng(), families=np.repeat(range(10), 4))
    assert sure.ci_low == pytest.approx(
        coverage(np.full(10, 64), np.full(10, 64), 0.3, rng()).ci_low, abs=0.02
    )
    assert coverage(c, n, 0.3, rng(), families=["f"] * 10).status == "unreliable"


def test_interval_covers_with_families() -> None:
    # Families share their a ~ Beta(0.5, 2): 20 families of 3.
    generator = rng(5)
    exact = float((generator.beta(0.5, 2, 400_000) >= 0.3).mean())
    covered = []
    for _ in range(200):
        c = generator.binomial(32, np.repeat(generator.beta(0.5, 2, 20), 3))
        got = coverage(c, np.full(60, 32), 0.3, generator, families=np.repeat(range(20), 3))
        covered.append((got.ci_low or 0.0) <= exact <= (got.ci_high or 0.0))
    assert np.mean(covered) >= 0.95
