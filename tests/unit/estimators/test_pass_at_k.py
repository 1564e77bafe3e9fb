import itertools
import math
from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from workers.estimators.pass_at_k import (
    mean_pass_at_k,
    pass_at_k,
    pass_at_k_curve,
    pass_at_k_sampling_variance,
    pass_at_k_variance,
)


@st.composite
def triples(draw: st.DrawFn) -> tuple[int, int, int]:
    n = draw(st.integers(1, 120))
    return n, draw(st.integers(0, n)), draw(st.integers(1, n))


def test_worked_example() -> None:
    # n = 4, c = 1, k = 2: 3 of the 6 pairs hold the correct draw.
    assert pass_at_k(4, 1, 2) == pytest.approx(3 / 6)
    # n = 5, c = 2, k = 3: only {3 failures} of C(5, 3) = 10 misses.
    assert pass_at_k(5, 2, 3) == pytest.approx(9 / 10)
    assert pass_at_k(5, 0, 5) == 0.0
    assert pass_at_k(5, 1, 5) == 1.0


def test_beyond_the_samples_it_is_undefined() -> None:
    assert pass_at_k(4, 4, 5) is None
    assert pass_at_k(0, 0, 1) is None
    for bad in ((4, 5, 1), (4, 1, 0), (4, -1, 1)):
        with pytest.raises(ValueError, match=r"successes|budget"):
            pass_at_k(*bad)


@given(triples())
def test_matches_the_exact_rational(nck: tuple[int, int, int]) -> None:
    n, c, k = nck
    assert pass_at_k(n, c, k) == pytest.approx(float(1 - Fraction(comb(n - c, k), comb(n, k))), abs=1e-12)


@given(triples())
def test_monotone(nck: tuple[int, int, int]) -> None:
    n, c, k = nck
    value = pass_at_k(n, c, k)
    assert value is not None
    if c < n:
        assert pass_at_k(n, c + 1, k) >= value  # type: ignore[operator]
    if k < n:
        assert pass_at_k(n, c, k + 1) >= value  # type: ignore[operator]


@given(triples(), st.floats(0.01, 0.99))
def test_unbiased_with_its_exact_variance(nck: tuple[int, int, int], a: float) -> None:
    n, _, k = nck
    weights = stats.binom.pmf(np.arange(n + 1), n, a)
    values = np.array([pass_at_k(n, c, k) for c in range(n + 1)])
    mean = float(weights @ values)
    assert mean == pytest.approx(1 - (1 - a) ** k, abs=1e-9)
    assert pass_at_k_variance(n, a, k) == pytest.approx(float(weights @ (values - mean) ** 2), abs=1e-9)


@given(triples(), st.one_of(st.just(0.0), st.floats(1e-9, 1.0)))
def test_sampling_variance_is_unbiased_up_to_half_the_samples(nck: tuple[int, int, int], a: float) -> None:
    n, _, k = nck
    if n < 2 or 2 * k > n:
        return
    estimates = [pass_at_k_sampling_variance(n, c, k) for c in range(n + 1)]
    assert min(estimates) >= 0.0  # type: ignore[type-var]
    mean = float(stats.binom.pmf(np.arange(n + 1), n, a) @ np.array(estimates, dtype=float))
    assert mean == pytest.approx(pass_at_k_variance(n, a, k), abs=1e-9)


def test_variance_edges() -> None:
    # n = k: one Bernoulli, (1-a)^k (1 - (1-a)^k)
    assert pass_at_k_variance(3, 0.5, 3) == pytest.approx(1 / 8 * 7 / 8)
    assert pass_at_k_variance(3, 0.0, 2) == 0.0
    assert pass_at_k_sampling_variance(1, 1, 1) is None
    assert pass_at_k_sampling_variance(4, 2, 5) is None
    # 2k > n at c = 0: a = 1/10, not the certainty of a = 0
    assert pass_at_k_sampling_variance(4, 0, 4) == pytest.approx(pass_at_k_variance(4, 0.1, 4))
    # theory-notes C1: a = 0.02, n = 200, k = 50: sd 0.195
    assert math.sqrt(pass_at_k_variance(200, 0.02, 50)) == pytest.approx(0.195, abs=0.003)


def test_mean_and_its_two_errors() -> None:
    rng = np.random.default_rng(1)
    point = mean_pass_at_k([4, 4, 4, 4], [0, 1, 2, 4], 1, rng)
    # (0 + 1/4 + 1/2 + 1)/4
    assert point.mean.value == pytest.approx(7 / 16)
    values = np.array([0, 0.25, 0.5, 1])
    assert point.mean.std_error == pytest.approx(values.std(ddof=1) / 2)
    # k = 1: v(1-v)/(n-1) each
    assert point.sampling_std_error == pytest.approx(math.sqrt(sum(v * (1 - v) / 3 for v in values)) / 4)
    assert point.mean.ci_low < 7 / 16 < point.mean.ci_high  # type: ignore[operator]
    assert point.mean.n == 4


def test_mean_is_undefined_where_a_prompt_is_too_short() -> None:
    rng = np.random.default_rng(1)
    short = mean_pass_at_k([4, 2], [1, 1], 3, rng)
    assert (short.mean.status, short.sampling_std_error) == ("undefined", None)
    assert mean_pass_at_k([], [], 1, rng).mean.status == "undefined"


def test_all_zero_is_not_certainty() -> None:
    rng = np.random.default_rng(1)
    none = mean_pass_at_k([8] * 20, [0] * 20, 4, rng).mean
    # Clopper-Pearson, 0 of 20: 1 - 0.025^(1/20) = 16.8 %
    assert (none.value, none.std_error, none.ci_low) == (0.0, None, 0.0)
    assert none.ci_high == pytest.approx(1 - 0.025**0.05)
    every = mean_pass_at_k([8] * 20, [8] * 20, 4, rng).mean
    assert (every.value, every.ci_high) == (1.0, 1.0)
    assert every.ci_low == pytest.approx(0.025**0.05)
    families = mean_pass_at_k([8] * 20, [0] * 20, 4, rng, families=["a", "b"] * 10).mean
    assert families.ci_high == pytest.approx(1 - 0.025**0.5)


def test_families_widen() -> None:
    cs = [0] * 10 + [8] * 10
    families = ["a"] * 5 + ["b"] * 5 + ["c"] * 5 + ["d"] * 5
    alone = mean_pass_at_k([8] * 20, cs, 2, np.random.default_rng(1)).mean
    grouped = mean_pass_at_k([8] * 20, cs, 2, np.random.default_rng(1), families=families).mean
    assert grouped.std_error > 1.8 * alone.std_error  # type: ignore[operator]
    assert grouped.ci_high - grouped.ci_low > alone.ci_high - alone.ci_low  # type: ignore[operator]


def test_curve() -> None:
    points = pass_at_k_curve([8, 8], [1, 5], [1, 2, 8, 16], np.random.default_rng(2))
    values = [point.mean.value for point in points[:3]]
    assert values == sorted(values)  # type: ignore[type-var]
    assert [point.k for point in points] == [1, 2, 8, 16]
    assert points[3].mean.status == "undefined"
    assert values[1] == pytest.approx(np.mean([_pairs(8, 1), _pairs(8, 5)]))


def test_ends_never_fall_as_k_grows() -> None:
    # Nine families near 1: at k = 4 the ends are read from weights, from k = 16 on they have a closed form.
    cs, families = [62, 64, 63, 61, 64, 60, 64, 63, 62] * 2, list(range(9)) * 2
    for seed in range(20):
        rng = np.random.default_rng(seed)
        points = pass_at_k_curve([64] * 18, cs, [1, 2, 4, 8, 16, 32, 64], rng, families=families)
        ends = np.array([[p.mean.ci_low, p.mean.ci_high] for p in points], dtype=np.float64)
        assert (np.diff(ends, axis=0) >= 0).all()


def _pairs(n: int, c: int) -> float:
    pairs = list(itertools.combinations(range(n), 2))
    return sum(min(pair) < c for pair in pairs) / len(pairs)


MORE_BETAS = [(0.1, 1.0), (0.5, 2.0), (0.5, 0.5), (5.0, 0.3)]
BETAS = [(0.1, 10.0), (2.0, 2.0), (2.0, 0.1)]
BETAS += [pytest.param(shape, marks=pytest.mark.slow) for shape in MORE_BETAS]


@pytest.mark.parametrize("shape", BETAS)
def test_population_intervals_hold_the_mean_of_beta_prompts(shape: tuple[float, float]) -> None:
    # E (1-a)^k = B(s, t+k)/B(s, t), at budgets where prompts crowd at 0, spread, and crowd at 1.
    rng, replicates = np.random.default_rng(3), 150
    for k, prompts in itertools.product((1, 8, 64), (2, 5, 20)):
        s, t = shape
        truth = -math.expm1(float(special.betaln(s, t + k) - special.betaln(s, t)))
        covered = 0
        for _ in range(replicates):
            cs = rng.binomial(64, rng.beta(s, t, prompts))
            ends = mean_pass_at_k([64] * prompts, cs, k, rng, resamples=300).mean
            covered += ends.ci_low <= truth <= ends.ci_high  # type: ignore[operator]
        assert covered / replicates >= 0.95 - 3 * math.sqrt(0.05 * 0.95 / replicates), (k, prompts)


def test_population_intervals_are_not_much_wider_than_students() -> None:
    # Spread prompts, Beta(1/2, 1) at k = 1: sd sqrt(4/45), and half a value more at each end.
    rng, widths = np.random.default_rng(4), []
    for _ in range(100):
        cs = rng.binomial(64, rng.beta(0.5, 1.0, 40))
        ends = mean_pass_at_k([64] * 40, cs, 1, rng).mean
        widths.append(ends.ci_high - ends.ci_low)  # type: ignore[operator]
    students = 2 * 2.02 * math.sqrt(4 / 45 / 40)
    assert 1.0 <= np.mean(widths) / students <= 1.35


def test_two_prompts_near_one_say_little() -> None:
    # 40 and 42 of 64 at k = 20: both are 1 to five digits, and two draws of prompts exclude hardly anything.
    mean = mean_pass_at_k([64, 64], [40, 42], 20, np.random.default_rng(0)).mean
    assert mean.value == pytest.approx(1.0, abs=1e-5)
    assert mean.ci_low == pytest.approx(math.sqrt(0.025), abs=0.03)
    assert mean.ci_high == pytest.approx(1.0, abs=1e-5)


def test_the_ends_of_a_curve_never_fall() -> None:
    ns, cs = [64] * 20, [3, 20, 60, 61] * 5
    curve = pass_at_k_curve(ns, cs, [64, 1, 2, 16], np.random.default_rng(0))
    assert [point.k for point in curve] == [64, 1, 2, 16]
    ends = {point.k: (point.mean.ci_low, point.mean.ci_high) for point in curve}
    for smaller, larger in itertools.pairwise((1, 2, 16, 64)):
        assert ends[smaller][0] < ends[larger][0]  # type: ignore[operator]
        assert ends[smaller][1] <= ends[larger][1]  # type: ignore[operator]


def test_a_curve_saturated_from_the_start_stays_uncertain():
    low = [
        point.mean.ci_low for point in pass_at_k_curve([8] * 5, [8] * 5, [1, 2, 8], np.random.default_rng(0))
    ]
    assert low == [pytest.approx(0.025 ** (1 / 5))] * 3


def test_next_to_one_there_is_an_interval_too():
    ns, cs, k = [64] * 10, [40] * 5 + [42] * 5, 22
    points = [pass_at_k(64, c, k) for c in (40, 42)]
    assert points[0] < 1.0
    assert points == pytest.approx([1.0, 1.0], abs=1e-9)
    mean = mean_pass_at_k(ns, cs, k, np.random.default_rng(0)).mean
    assert (mean.ci_low, mean.ci_high) == (pytest.approx(0.025 ** (1 / 10)), pytest.approx(1.0))
