import json
import math
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from workers.estimators.closure import (
    ScoredPair,
    gap_identity,
    ladder_zero,
    mean_weight,
    overlap,
    overlap_identity,
    prompt_overlap,
    rao_blackwell_against_k1,
    sum_identity,
    weight_deficit,
)
from workers.estimators.estimate import Estimate


def draw(p: np.ndarray, q: np.ndarray, n_p: int, n_q: int, rng: np.random.Generator) -> ScoredPair:
    with np.errstate(divide="ignore"):
        ratio = np.log(p) - np.log(q)
    return ScoredPair(ratio[rng.choice(p.size, n_p, p=p)], ratio[rng.choice(p.size, n_q, p=q)])


def pair_of(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.full(30, 0.7)), rng.dirichlet(np.full(30, 0.7))


def test_overlap_matches_the_sum_over_the_world() -> None:
    p, q = pair_of(1)
    rng = np.random.default_rng(0)
    n_p, n_q = 30, 90  # unequal: the counts matter
    exact = float(((n_p + n_q) * p * q / (n_p * p + n_q * q)).sum())
    values = [prompt_overlap(draw(p, q, n_p, n_q, rng)) for _ in range(400)]
    assert np.mean(values) == pytest.approx(exact, abs=0.01)
    assert prompt_overlap(ScoredPair(np.zeros(5), np.zeros(9))) == pytest.approx(1.0)
    assert prompt_overlap(ScoredPair(np.full(5, np.inf), np.full(9, -np.inf))) == 0.0


def test_overlap_identity_is_a_z_score() -> None:
    rng = np.random.default_rng(2)
    z = []
    for seed in range(300):
        pairs = [draw(*pair_of(seed + k), 40, 60, rng) for k in range(3)]
        z.append(overlap_identity(pairs).residual)
    # |z| of a normal variable: mean square 1
    assert math.sqrt(np.mean(np.square(z))) == pytest.approx(1.0, abs=0.15)
    assert max(z) < 4


def test_overlap_identity_notices_a_shift_of_the_scores() -> None:
    rng = np.random.default_rng(2)
    p, q = pair_of(1)
    good = draw(p, q, 2000, 2000, rng)
    bad = ScoredPair(good.reference + 1.0, good.candidate + 1.0)
    assert overlap_identity([good]).passed
    assert not overlap_identity([bad]).passed


def test_overlap_identity_forgives_rare_draws_and_only_those() -> None:
    # Disjoint but for one draw of p at which q is a little likelier than p allows: z is far beyond 4.
    far = np.full(64, 40.0)
    rare = ScoredPair(np.append(far, 3.0), -far)
    assert overlap_identity([rare]).passed
    many = ScoredPair(np.concatenate([far, np.full(30, -1.0)]), -far)
    assert not overlap_identity([many]).passed


def test_mean_weight_blocks_only_the_impossible() -> None:
    rng = np.random.default_rng(0)
    good = mean_weight([draw(*pair_of(3), 50, 50, rng)])
    assert good.passed
    assert good.blocking
    assert good.residual == pytest.approx(1.0, abs=1.0)
    bad = mean_weight([ScoredPair(np.zeros(2), np.array([0.0, 9000.0]))])
    assert not bad.passed
    assert math.isfinite(bad.residual)
    # Exactly at the tolerance it fires: mean of (2000, 0) is 1000.
    assert not mean_weight([ScoredPair(np.zeros(2), np.array([math.log(2000.0) + 1e-12, -np.inf]))]).passed
    assert mean_weight([ScoredPair(np.zeros(1), np.full(3, -np.inf))]).residual == 0.0
    assert mean_weight([]).passed


def test_weight_deficit_reports_and_never_blocks() -> None:
    far = weight_deficit([ScoredPair(np.zeros(2), np.full(50, -20.0))])
    assert not far.passed
    assert not far.blocking
    assert far.residual == pytest.approx(1.0)
    assert weight_deficit([ScoredPair(np.zeros(2), np.zeros(50))]).passed
    assert weight_deficit([]).passed


def test_rao_blackwell_check_has_unit_spread_and_catches_a_bias() -> None:
    rng = np.random.default_rng(1)
    z = [rao_blackwell_against_k1([rng.normal(0, k, 64) for k in (1, 3, 5)]).residual for _ in range(400)]
    assert math.sqrt(np.mean(np.square(z))) == pytest.approx(1.0, abs=0.15)
    assert not rao_blackwell_against_k1([rng.normal(1, 1, 64) for _ in range(3)]).passed
    assert rao_blackwell_against_k1([np.zeros(64)]).residual == 0.0
    assert rao_blackwell_against_k1([np.full(64, 1e-6)]).passed
    assert not rao_blackwell_against_k1([np.full(64, 0.5)]).passed
    assert rao_blackwell_against_k1([]).passed


def test_a_long_tail_rarely_fires_the_rao_blackwell_check() -> None:
    rng = np.random.default_rng(3)
    tail = rng.lognormal(0, 1, (4000, 64)) - math.exp(0.5)
    uncorrected = np.abs(tail.mean(axis=1)) / (tail.std(axis=1, ddof=1) / 8)
    fired = [not rao_blackwell_against_k1([row]).passed for row in tail]
    assert np.mean(uncorrected > 4) > 0.006
    assert np.mean(fired) < 0.003
    # A bias of the same sign as the tail, or against it, is still found.
    assert not rao_blackwell_against_k1([row + 3 for row in tail[:20]]).passed
    assert not rao_blackwell_against_k1([row - 3 for row in tail[:20]]).passed


def test_ladder_zero_measures_a_shift_in_nats() -> None:
    def rung(value: float, error: float = 0.1, **changes: Any) -> Estimate:
        return Estimate(value=value, std_error=error, n=9, unit="nats", **changes)

    good = ladder_zero([rung(0.05), rung(-0.1), rung(0.02)])
    assert good.passed
    assert not good.blocking
    off = ladder_zero([rung(0.3) for _ in range(25)])
    assert not off.passed
    assert off.residual == pytest.approx(0.3)
    assert off.tolerance == pytest.approx(4 * 0.1 / 5, abs=2e-4)
    strangers = ladder_zero([rung(9.0, status="unreliable", reason="no overlap")])
    assert strangers.passed


def test_float_identities() -> None:
    assert gap_identity(-0.5 + 1.2, -0.1, 1.6, 2.0).passed
    broken = gap_identity(-0.5 + 1.2, -0.1, 1.7, 2.0)
    assert not broken.passed
    assert broken.residual == pytest.approx(0.05)
    kl, tilt, drift, escape = (Estimate(value=v, n=9, unit="nats") for v in (3.0, 1.0, 1.5, 0.5))
    assert sum_identity(kl, tilt, drift, escape).passed
    assert not sum_identity(kl, tilt, drift, drift).passed
    assert sum_identity(kl, Estimate.undefined("truncated_support"), drift, escape).passed


@given(st.integers(0, 9999), st.integers(2, 30), st.integers(2, 30))
@example(22, 2, 2)  # a variance whose power of 3/2 is no float any more
@settings(max_examples=40, deadline=None)
def test_bounds_permutation_and_json(seed: int, n_p: int, n_q: int) -> None:
    rng = np.random.default_rng(seed)
    pair = ScoredPair(rng.normal(0, 400, n_p), rng.normal(0, 400, n_q))
    turned = ScoredPair(pair.reference[::-1], pair.candidate[::-1])
    assert 0 <= prompt_overlap(pair) <= 1
    assert prompt_overlap(turned) == pytest.approx(prompt_overlap(pair))
    assert overlap_identity([turned]).residual == pytest.approx(overlap_identity([pair]).residual)
    for check in (mean_weight([pair]), weight_deficit([pair]), overlap([pair]), overlap_identity([pair])):
        json.dumps(asdict(check), allow_nan=False)
