import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from workers.estimators.dataset import mean_over_prompts
from workers.estimators.estimate import Estimate


def ok(value: float, error: float | None = 0.1) -> Estimate:
    return Estimate(value=value, std_error=error, n=64, unit="nats")


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_value_and_sampling_error_by_hand() -> None:
    got = mean_over_prompts([ok(float(i), 0.3) for i in range(9)])
    assert got.population.value == 4.0
    # sqrt(9·0.09)/9 = 0.1; the population's is that of 0..8: sqrt(7.5/9)
    assert got.sampling_std_error == pytest.approx(0.1)
    assert got.population.std_error == pytest.approx(math.sqrt(7.5 / 9))
    assert (got.population.n, got.population.status) == (9, "ok")


def test_missing_prompts_are_counted() -> None:
    missing = Estimate.undefined("truncated_support", "nats")
    censored = Estimate(
        value=None, ci_low=1.0, confidence=0.95, n=3, unit="nats", status="censored", reason="bounds"
    )
    got = mean_over_prompts([ok(float(i)) for i in range(9)] + [missing, missing, censored])
    assert got.population.status == "unreliable"
    assert got.population.reason == "3 of 12 prompts excluded: 1 bounds, 2 truncated_support"
    assert got.population.value == 4.0
    nothing = mean_over_prompts([missing])
    assert (nothing.population.status, nothing.sampling_std_error) == ("undefined", None)
    assert mean_over_prompts([]).population.reason == "no prompts"


def test_one_prompt_keeps_its_sampling_interval() -> None:
    only = Estimate(value=2.0, std_error=0.2, ci_low=1.5, ci_high=2.6, confidence=0.95, n=64, unit="nats")
    got = mean_over_prompts([only]).population
    assert (got.value, got.ci_low, got.ci_high, got.n) == (2.0, 1.5, 2.6, 1)
    assert (got.status, got.reason) == ("unreliable", "one prompt: a sampling interval")


def test_many_unreliable_prompts_and_missing_errors() -> None:
    weak = Estimate(value=1.0, std_error=None, n=4, unit="nats", status="unreliable", reason="only 4 samples")
    got = mean_over_prompts([ok(float(i)) for i in range(9)] + [weak] * 3)
    assert got.population.reason == "3 of 12 prompts unreliable"
    assert got.sampling_std_error is None
    with pytest.raises(ValueError, match="one unit"):
        mean_over_prompts([ok(1.0), Estimate(value=1.0, n=1, unit="reward")])


def test_population_interval_covers_skewed_prompts() -> None:
    generator, covered, z = rng(5), [], []
    for _ in range(300):
        # 25 prompts, true values Gamma(0.5), each seen with error 0.1
        values = generator.gamma(0.5, 2, 25) + generator.normal(0, 0.1, 25)
        got = mean_over_prompts([ok(float(v)) for v in values]).population
        covered.append((got.ci_low or 0) <= 1.0 <= (got.ci_high or 0))
        z.append((got.value or 0) - 1.0)
    # Not below 95 % by a binomial test at 0.001.
    assert stats.binomtest(sum(covered), len(covered), 0.95, alternative="less").pvalue > 0.001
    assert abs(np.mean(z)) < 0.06


@given(st.lists(st.floats(-50, 50), min_size=2, max_size=20), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_order_and_shift(values: list[float], random: object) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    first, second = (mean_over_prompts([ok(v) for v in vs]).population for vs in (values, shuffled))
    assert first == second
    moved = mean_over_prompts([ok(v + 1) for v in values]).population
    assert moved.value == pytest.approx((first.value or 0.0) + 1, abs=1e-9)
    assert min(values) - 1e-9 <= (first.value or 0.0) <= max(values) + 1e-9


def test_known_bounds_hold_the_ends() -> None:
    got = mean_over_prompts([ok(0.0), ok(0.0), ok(0.3)], least=0.0, most=0.31).population
    assert (got.ci_low, got.ci_high) == (0.0, 0.31)


def test_families_are_one_draw_each() -> None:
    # Families of equal prompts: repeating every prompt five times must not narrow the interval.
    values = [0.3, 1.1, 2.0, 0.7, 1.6, 0.1, 0.9, 2.4]
    once = mean_over_prompts([ok(v) for v in values]).population
    repeated = [v for v in values for _ in range(5)]
    labels = [f"f{v}" for v in repeated]
    clustered = mean_over_prompts([ok(v) for v in repeated], families=labels).population
    blind = mean_over_prompts([ok(v) for v in repeated]).population
    assert clustered.value == pytest.approx(once.value)
    assert clustered.ci_low == pytest.approx(once.ci_low)
    assert clustered.ci_high == pytest.approx(once.ci_high)
    assert clustered.std_error == pytest.approx(once.std_error)
    assert (blind.ci_high or 0) < (clustered.ci_high or 0)
    assert clustered.n == len(repeated)


def test_families_of_unequal_sizes_have_the_error_of_a_ratio() -> None:
    """Oracle: the spread of the mean over freshly drawn populations of families."""
    generator = np.random.default_rng(0)
    means, errors = [], []
    for _ in range(400):
        sizes = generator.integers(1, 9, 30)
        effects = generator.normal(1.0, 0.5, 30)
        labels = np.repeat(np.arange(30), sizes)
        values = effects[labels] + generator.normal(0, 0.2, labels.size)
        got = mean_over_prompts([ok(float(v)) for v in values], families=[str(i) for i in labels])
        means.append(got.population.value)
        errors.append(got.population.std_error)
    assert np.mean(errors) == pytest.approx(np.std(means, ddof=1), rel=0.15)


def test_few_families_say_so() -> None:
    two = mean_over_prompts([ok(float(i)) for i in range(8)], families=["a", "b"] * 4).population
    assert (two.status, "2 families" in two.reason) == ("unreliable", True)
    seven = mean_over_prompts([ok(float(i)) for i in range(14)], families=list("abcdefg") * 2).population
    assert (seven.status, seven.reason) == ("unreliable", "only 7 families")
    one = mean_over_prompts([ok(float(i)) for i in range(8)], families=["a"] * 8).population
    assert (one.ci_low, one.reason) == (None, "one family has no error bar")
    with pytest.raises(ValueError, match="one family"):
        mean_over_prompts([ok(1.0)], families=[])
