import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import rel_entr

from workers.estimators.bootstrap_weights import BootstrapWeights
from workers.estimators.counts import clopper_pearson
from workers.estimators.kl import TRUNCATED_SUPPORT, by_position, sequence_kl, singular_mass
from workers.numerics.ragged import Ragged


class Chain:
    """Two-token sequences; first and second conditional probabilities of q and p."""

    def __init__(self, seed: int, concentration: float = 0.5) -> None:
        rng = np.random.default_rng(seed)
        alpha = np.full(4, concentration)
        self.q1, self.p1 = rng.dirichlet(alpha + 0.5), rng.dirichlet(alpha + 0.5)
        self.q2, self.p2 = rng.dirichlet(alpha, size=4), rng.dirichlet(alpha, size=4)
        self.first = float(rel_entr(self.q1, self.p1).sum())
        self.inner = rel_entr(self.q2, self.p2).sum(axis=1)
        self.kl = self.first + float(self.q1 @ self.inner)

    def draw(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        y1 = rng.choice(4, size=n, p=self.q1)
        y2 = np.array([rng.choice(4, p=self.q2[i]) for i in y1])
        ratio = np.log(self.q1[y1] / self.p1[y1]) + np.log(self.q2[y1, y2] / self.p2[y1, y2])
        return self.first + self.inner[y1], ratio


def test_both_estimators_are_unbiased_with_honest_errors() -> None:
    chain = Chain(5, 2.0)
    rng = np.random.default_rng(1)
    z: dict[str, list[float]] = {"rb": [], "k1": [], "difference": [], "per_token": []}
    truth = {"rb": chain.kl, "k1": chain.kl, "difference": 0.0, "per_token": chain.kl / 2}
    variances = []
    for _ in range(250):
        result = sequence_kl(*chain.draw(100, rng), np.full(100, 2), BootstrapWeights(rng))
        for name, scores in z.items():
            estimate = getattr(result, name)
            scores.append((estimate.value - truth[name]) / estimate.std_error)
        variances.append((result.rb.std_error, result.k1.std_error))
    for name, scores in z.items():
        assert abs(np.mean(scores)) < 0.25, name
        assert 0.85 <= np.std(scores, ddof=1) <= 1.15, name
    assert np.mean([rb < k1 for rb, k1 in variances]) > 0.95  # type: ignore[operator]


@pytest.mark.parametrize("seed", [0, 3, 8])
def test_coverage_on_skewed_worlds(seed: int) -> None:
    chain = Chain(seed, 0.6)
    rng = np.random.default_rng(seed)
    covered = []
    for _ in range(200):
        got = sequence_kl(*chain.draw(64, rng), np.full(64, 2), BootstrapWeights(rng)).rb
        assert got.ci_low is not None
        assert got.ci_high is not None
        covered.append(got.ci_low <= chain.kl <= got.ci_high)
    assert np.mean(covered) >= 0.95


def test_equal_models_give_exactly_zero() -> None:
    rng = np.random.default_rng(0)
    result = sequence_kl(np.zeros(64), np.zeros(64), np.full(64, 3), BootstrapWeights(rng))
    for estimate in (result.rb, result.k1, result.per_token, result.difference):
        assert (estimate.value, estimate.ci_low, estimate.ci_high, estimate.std_error) == (0, 0, 0, 0)
        assert estimate.status == "ok"
    assert (result.singular_mass.value, result.singular_mass.ci_low) == (0.0, 0.0)


def test_truncated_support_is_undefined_beside_its_mass() -> None:
    rng = np.random.default_rng(0)
    ratio = np.array([0.1, math.inf, 0.3, math.inf, 0.2])
    result = sequence_kl(np.full(5, 0.2), ratio, np.full(5, 2), BootstrapWeights(rng))
    for estimate in (result.rb, result.k1, result.per_token, result.difference):
        assert (estimate.status, estimate.reason, estimate.value) == ("undefined", TRUNCATED_SUPPORT, None)
    assert result.singular_mass.value == pytest.approx(0.4)
    assert (result.singular_mass.ci_low, result.singular_mass.ci_high) == clopper_pearson(2, 5, 0.95)
    # An infinite full-vocabulary KL is enough, though no excluded token was drawn.
    hidden = sequence_kl(
        np.array([0.1, math.inf, 0.1]), np.full(3, 0.1), np.full(3, 2), BootstrapWeights(rng)
    )
    assert hidden.rb.reason == TRUNCATED_SUPPORT
    assert hidden.singular_mass.value == 0.0


def test_per_token_is_a_ratio_of_means() -> None:
    rng = np.random.default_rng(0)
    # 1 nat in 2 tokens, 5 nats in 10: 6/12, and the same rate in every sequence leaves no error.
    got = sequence_kl(
        np.array([1.0, 5.0]), np.array([1.0, 5.0]), np.array([2, 10]), BootstrapWeights(rng)
    ).per_token
    assert (got.value, got.std_error, got.ci_low, got.ci_high) == (0.5, 0.0, 0.5, 0.5)


def test_long_sequences_weigh_more_per_token() -> None:
    # (1 + 9)/(2 + 3) = 2, not the mean of 1/2 and 3
    got = sequence_kl(
        np.array([1.0, 9.0]), np.ones(2), np.array([2, 3]), BootstrapWeights(np.random.default_rng(0))
    ).per_token
    assert got.value == 2.0
    # residuals 1 - 4 and 9 - 6: standard deviation sqrt(18), error sqrt(18/2) = 3, over a mean length of 2.5
    assert got.std_error == pytest.approx(3 / 2.5)


def test_positions_add_up_to_the_sequence_kl() -> None:
    rows = [np.array([0.5, 0.25, 1.0]), np.array([0.5]), np.array([0.5, 0.75])]
    got = by_position(Ragged.of(rows))
    assert [p.reaching for p in got] == [3, 2, 1]
    assert [p.position for p in got] == [0, 1, 2]
    contributions = [p.contribution.value or 0.0 for p in got]
    assert contributions == pytest.approx([0.5, 1 / 3, 1 / 3])
    assert sum(contributions) == pytest.approx(sum(row.sum() for row in rows) / 3)
    assert got[1].contribution.std_error == pytest.approx(np.std([0.25, 0.0, 0.75], ddof=1) / math.sqrt(3))
    assert by_position(Ragged.of([])) == []
    # Beyond every sample the contribution is 0, not unknown.
    assert [p.contribution.value for p in by_position(Ragged.of(rows), 5)[3:]] == [0.0, 0.0]


def test_an_infinite_position_is_undefined_alone() -> None:
    got = by_position(Ragged.of([np.array([0.1, math.inf]), np.array([0.1, 0.2])]))
    assert [p.contribution.status for p in got] == ["ok", "undefined"]


@given(st.integers(0, 10_000), st.integers(2, 40))
@settings(max_examples=40, deadline=None)
def test_properties(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    kl_rb, ratio, lengths = rng.gamma(0.5, 2, n), rng.normal(1, 2, n), rng.integers(1, 9, n)
    got = sequence_kl(kl_rb, ratio, lengths, BootstrapWeights(np.random.default_rng(1)))
    order = rng.permutation(n)
    again = sequence_kl(
        kl_rb[order], ratio[order], lengths[order], BootstrapWeights(np.random.default_rng(1))
    )
    assert again.rb == got.rb
    assert again.k1 == got.k1
    assert again.per_token.value == pytest.approx(got.per_token.value)
    for estimate in (got.rb, got.per_token):
        assert estimate.ci_low is not None
        assert estimate.ci_high is not None
        assert 0 <= estimate.ci_low <= (estimate.value or 0.0) <= estimate.ci_high
    shifted = sequence_kl(kl_rb + 3, ratio, lengths, BootstrapWeights(np.random.default_rng(1)))
    assert shifted.rb.value == pytest.approx((got.rb.value or 0.0) + 3)


def test_refusals_and_empty_samples() -> None:
    rng = np.random.default_rng(0)
    one = np.array([1])
    with pytest.raises(ValueError, match="one value per sample"):
        sequence_kl(np.ones(2), np.ones(1), one, BootstrapWeights(rng))
    with pytest.raises(ValueError, match="-inf"):
        sequence_kl(np.ones(1), np.array([-math.inf]), one, BootstrapWeights(rng))
    with pytest.raises(ValueError, match="negative"):
        sequence_kl(np.array([-0.1]), np.ones(1), one, BootstrapWeights(rng))
    with pytest.raises(ValueError, match="at least one token"):
        sequence_kl(np.ones(1), np.ones(1), np.array([0]), BootstrapWeights(rng))
    with pytest.raises(ValueError, match="NaN or negative"):
        by_position(Ragged.of([np.array([math.nan])]))
    nothing = sequence_kl(np.array([]), np.array([]), np.array([], dtype=np.int64), BootstrapWeights(rng))
    assert {nothing.rb.status, nothing.per_token.status, nothing.singular_mass.status} == {"undefined"}
    assert singular_mass(np.array([])).status == "undefined"


def test_k1_can_beat_rao_blackwell() -> None:
    """The sum of conditional expectations is no conditional expectation of the sum: an exact counterexample.

    q draws A with chance 0.9 and B with 0.1, p the other way round; after B, p has 1/81 of what q is sure of.
    Then log q/p is log 9 on both sequences, while the Rao-Blackwellised sum is larger after B.
    """
    q = np.array([0.9, 0.1])
    k1 = np.array([math.log(9), -math.log(9) + math.log(81)])
    first = 0.8 * math.log(9)  # KL of the first token: 0.9 log 9 - 0.1 log 9
    rb = np.array([first, first + math.log(81)])
    assert float(q @ k1) == pytest.approx(float(q @ rb))

    def variance(x: np.ndarray) -> float:
        return float(q @ (x - q @ x) ** 2)

    assert variance(k1) == pytest.approx(0.0, abs=1e-12)
    assert variance(rb) > 1.7
