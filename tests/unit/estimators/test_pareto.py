import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from workers.estimators.pareto import pareto_k


@pytest.mark.parametrize(
    ("k", "n", "tail"), [(0.2, 1000, 95), (1.0, 1000, 95), (2.0, 60, 12), (-0.5, 60, 12)]
)
def test_recovers_a_known_shape(k: float, n: int, tail: int) -> None:
    # Mean over replicates, pulled to 1/2 with the weight of 10 draws; the fit itself is a little low.
    rng = np.random.default_rng(1)
    shapes = [pareto_k(np.log(stats.genpareto.rvs(k, size=n, random_state=rng)), n) for _ in range(300)]
    assert np.mean(shapes) == pytest.approx((tail * k + 5) / (tail + 10), abs=0.2)  # type: ignore[arg-type]


def test_matches_maximum_likelihood() -> None:
    excess = stats.genpareto.rvs(0.4, size=2000, random_state=np.random.default_rng(2))
    values = np.log(excess)
    tail = int(np.ceil(3 * np.sqrt(2000)))
    ordered = np.sort(excess)
    fitted = stats.genpareto.fit(ordered[-tail:] - ordered[-tail - 1], floc=0)[0]
    shape = pareto_k(values, 2000)
    assert shape == pytest.approx((tail * fitted + 5) / (tail + 10), abs=0.05)


@pytest.mark.parametrize(("n", "spread"), [(100, 0.3), (100, 2.0), (400, 1.0), (900, 4.0)])
def test_agrees_with_arviz(n: int, spread: float) -> None:
    # The same published algorithm by other hands (dev extra). At these n no tail size needs rounding.
    psislw = pytest.importorskip("arviz_stats.base").array_stats.psislw
    for seed in range(5):
        logs = np.random.default_rng(seed).normal(0, spread, n)
        theirs = float(psislw(-logs)[1])  # it takes log-likelihoods, whose negatives are the log-weights
        assert pareto_k(logs, n) == pytest.approx(theirs, abs=1e-6)


def test_too_few_or_equal_weights_have_no_tail() -> None:
    assert pareto_k([], 10) is None
    assert pareto_k([0.0, -1.0, -2.0, -3.0], 400) is None
    assert pareto_k(np.zeros(200), 200) is None
    assert pareto_k([-np.inf] * 10, 10) is None
    with pytest.raises(ValueError, match="every draw"):
        pareto_k([0.0, 0.0], 1)


def test_light_and_heavy() -> None:
    rng = np.random.default_rng(3)
    light, heavy = pareto_k(rng.normal(0, 0.3, 400), 400), pareto_k(rng.normal(0, 5.0, 400), 400)
    assert light is not None
    assert heavy is not None
    assert light < 0.3 < 0.7 < heavy


@given(st.integers(0, 10**6), st.floats(-900, 900))
def test_shift_and_order_cancel(seed: int, shift: float) -> None:
    rng = np.random.default_rng(seed)
    logs = rng.normal(0, 2, 60)
    assert pareto_k(rng.permutation(logs) + shift, 80) == pytest.approx(pareto_k(logs, 80), abs=1e-6)


@given(st.integers(0, 2**32 - 1), st.integers(2, 12))
def test_the_noise_of_equal_weights_has_no_shape(seed: int, kinds: int) -> None:
    """A short completion is drawn again and again, and its log-probability depends a little on the batch."""
    rng = np.random.default_rng(seed)
    exact = rng.normal(0, 1.0, kinds)[rng.integers(0, kinds, 96)]
    noisy = exact + rng.normal(0, 1e-6, exact.size)
    plain, shaken = pareto_k(exact, 192), pareto_k(noisy, 192)
    assert (plain is None) == (shaken is None)
    if plain is not None:
        assert shaken == pytest.approx(plain, abs=0.02)
