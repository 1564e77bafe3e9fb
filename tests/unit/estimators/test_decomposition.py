"""Oracle: an enumerable world of two-token sequences, where every term is an exact sum."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import rel_entr

from workers.estimators.bootstrap_weights import BootstrapWeights
from workers.estimators.closure import sum_identity
from workers.estimators.counts import clopper_pearson
from workers.estimators.decomposition import Decomposition, decompose, exact_terms
from workers.estimators.estimate import Estimate
from workers.estimators.kl import TRUNCATED_SUPPORT, sequence_kl
from workers.estimators.partition import gap, log_partition
from workers.estimators.reading import CandidateScores
from workers.estimators.sample_mean import mean_estimate
from workers.estimators.tilt import matched_inverse_temperature, matched_tilt


@dataclass(frozen=True)
class World:
    """p, q over pairs of tokens and a binary reward; arrays of shape (first, second)."""

    p: np.ndarray
    q: np.ndarray
    reward: np.ndarray

    @property
    def a(self) -> float:
        return float(self.p[self.reward == 1].sum())

    @property
    def b(self) -> float:
        return float(self.q[self.reward == 1].sum())

    @property
    def kl(self) -> float:
        return kl(self.q.ravel(), self.p.ravel())

    def kl_inside(self, mask: np.ndarray) -> float:
        q, p = self.q[mask], self.p[mask]
        return kl(q / q.sum(), p / p.sum()) if q.sum() > 0 else 0.0

    def scores(self, n: int, rng: np.random.Generator) -> CandidateScores:
        first, second = np.unravel_index(rng.choice(self.q.size, size=n, p=self.q.ravel()), self.q.shape)
        q1, p1 = self.q.sum(axis=1), self.p.sum(axis=1)
        inner = rel_entr(self.q / q1[:, None], self.p / p1[:, None]).sum(axis=1)
        with np.errstate(divide="ignore"):
            ratio = np.log(self.q[first, second]) - np.log(self.p[first, second])
        return CandidateScores(kl(q1, p1) + inner[first], ratio, self.reward[first, second] == 1)

    def reference(self, n: int, rng: np.random.Generator, confidence: float = 0.975) -> Estimate:
        return count_estimate(int(rng.binomial(n, self.a)), n, confidence)


def kl(q: np.ndarray, p: np.ndarray) -> float:
    return float(rel_entr(q, p).sum())


def count_estimate(c: int, n: int, confidence: float = 0.975) -> Estimate:
    low, high = clopper_pearson(c, n, confidence)
    error = math.sqrt(c / n * (1 - c / n) / n)
    return Estimate(
        value=c / n, std_error=error, ci_low=low, ci_high=high, confidence=confidence, n=n, unit="probability"
    )


def random_world(seed: int, shape: tuple[int, int] = (4, 5), concentration: float = 0.7) -> World:
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(math.prod(shape), concentration)).reshape(shape)
    q = rng.dirichlet(np.full(math.prod(shape), concentration)).reshape(shape)
    reward = (rng.random(shape) < 0.3).astype(float)
    reward[0, 0], reward[-1, -1] = 1.0, 0.0
    return World(p, q, reward)


def run(world: World, seed: int, n: int = 64, n_reference: int = 400, reach: str = "in") -> Decomposition:
    rng = np.random.default_rng(seed)
    scores, reference = world.scores(n, rng), world.reference(n_reference, rng)
    total = mean_estimate(scores.kl_rb, BootstrapWeights(rng), unit="nats", floor=0.0)
    return decompose(scores, total, reference, reach, BootstrapWeights(rng))  # type: ignore[arg-type]


def as_arrays(world: World) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return world.p.ravel(), world.q.ravel(), world.reward.ravel()


@pytest.mark.parametrize("seed", range(20))
def test_exact_terms_match_the_definitions(seed: int) -> None:
    world = random_world(seed)
    p, q, r = as_arrays(world)
    # O: the part of C with odd index; S its complement.
    out = (r == 1) & (np.arange(r.size) % 2 == 1)
    c, p_out = q[out].sum(), p[out].sum()
    kl_out = kl(q[out] / c, p[out] / p_out) if out.any() else 0.0
    terms = exact_terms(world.kl, world.a, world.b, p_out=p_out, q_out=c, kl_out=kl_out)

    ps, qs, rs = p[~out] / (1 - p_out), q[~out] / (1 - c), r[~out]
    beta, _ = matched_tilt(rs, float(qs @ rs), np.log(ps))
    tilted = ps * np.exp(beta * rs)
    tilted /= tilted.sum()
    assert terms.tilt == pytest.approx((1 - c) * kl(tilted, ps), abs=1e-12)
    assert terms.drift == pytest.approx((1 - c) * kl(qs, tilted), abs=1e-12)
    assert terms.drift is not None
    assert terms.escape + terms.tilt + terms.drift == pytest.approx(world.kl, abs=1e-12)
    assert min(terms.escape, terms.tilt, terms.drift) >= -1e-12
    # science.md's estimator of escape never needs log p(O).
    estimator = float((q[out] * np.log(q[out] / p[out])).sum()) + (1 - c) * math.log((1 - c) / (1 - p_out))
    assert terms.escape == pytest.approx(estimator, abs=1e-12)


@pytest.mark.parametrize("seed", range(10))
def test_gap_identity(seed: int) -> None:
    world = random_world(seed)
    p, q, r = as_arrays(world)
    beta = 1.7
    tilted = p * np.exp(beta * r)
    tilted /= tilted.sum()
    exact = kl(q, tilted) / beta
    assert gap(beta, -world.b, world.kl, log_partition(world.a, beta)) == pytest.approx(exact, abs=1e-12)


@pytest.mark.parametrize("beta", [-2.0, 0.5, 3.0])
def test_a_pure_tilt_has_no_drift_and_no_escape(beta: float) -> None:
    world = random_world(3)
    q = world.p * np.exp(beta * world.reward)
    tilt = World(world.p, q / q.sum(), world.reward)
    terms = exact_terms(tilt.kl, tilt.a, tilt.b)
    assert terms.escape == 0.0
    assert terms.drift == pytest.approx(0.0, abs=1e-12)
    assert matched_inverse_temperature(tilt.a, tilt.b) == pytest.approx(beta, abs=1e-12)


def test_exact_limits() -> None:
    # c = 1: everything is escape. KL = -log p(O) + KL_O.
    terms = exact_terms(math.log(10) + 0.3, 0.1, 1.0, p_out=0.1, q_out=1.0, kl_out=0.3)
    assert terms.escape == pytest.approx(math.log(10) + 0.3)
    assert (terms.tilt, terms.is_retreat) == (0.0, False)
    assert terms.drift == pytest.approx(0.0, abs=1e-12)
    # c = 0 < p(O): retreat, -log(1 - p(O)).
    terms = exact_terms(1.0, 0.2, 0.0, p_out=0.2)
    assert terms.escape == pytest.approx(-math.log(0.8))
    assert terms.is_retreat
    assert terms.tilt == 0.0
    # a_S = 0 < b_S: infinite.
    terms = exact_terms(math.inf, 0.0, 0.4)
    assert terms.tilt == math.inf
    assert terms.drift is None
    # β* infinite at b = 1: the tilt is p conditioned on C, -log a.
    assert exact_terms(5.0, 0.25, 1.0).tilt == pytest.approx(math.log(4))
    # q = p.
    assert exact_terms(0.0, 0.3, 0.3)[:3] == (0.0, 0.0, 0.0)
    with pytest.raises(ValueError, match="need"):
        exact_terms(1.0, 0.1, 0.2, p_out=0.3)


def test_equal_models_give_exactly_zero() -> None:
    world = random_world(1)
    same = World(world.p, world.p, world.reward)
    for reach in ("in", "out", "undetermined"):
        result = run(same, 5, reach=reach)
        assert (result.tilt.value, result.drift.value, result.escape.value) == (0.0, 0.0, 0.0)
        assert (result.drift.ci_low, result.tilt.ci_high) == (0.0, 0.0)
        assert result.escape.ci_low == 0.0


def truth(world: World, reach: str) -> dict[str, float]:
    success = world.reward == 1
    if reach == "in":
        terms = exact_terms(world.kl, world.a, world.b)
    else:
        terms = exact_terms(
            world.kl, world.a, world.b, p_out=world.a, q_out=world.b, kl_out=world.kl_inside(success)
        )
    return {"tilt": terms.tilt, "drift": terms.drift or 0.0, "escape": terms.escape}


def interior_world(a: float, b: float, reach_seed: int) -> World:
    world = random_world(reach_seed, concentration=1.5)
    success = world.reward == 1

    def with_mass(weights: np.ndarray, mass: float) -> np.ndarray:
        scale = np.where(success, mass / weights[success].sum(), (1 - mass) / weights[~success].sum())
        return weights * scale

    return World(with_mass(world.p, a), with_mass(world.q, b), world.reward)


@pytest.mark.parametrize(
    ("reach", "a", "b"), [("in", 0.1, 0.7), ("in", 0.4, 0.6), ("out", 1e-4, 0.4), ("out", 1e-3, 0.3)]
)
def test_sample_terms_converge_with_honest_errors(reach: str, a: float, b: float) -> None:
    world = interior_world(a, b, 11)
    exact = truth(world, reach)
    results = [run(world, seed, n=200, n_reference=600, reach=reach) for seed in range(120)]
    for name, value in exact.items():
        estimates = [getattr(result, name) for result in results]
        covered = np.mean([e.ci_low - 1e-12 <= value <= e.ci_high + 1e-12 for e in estimates])
        assert covered >= 0.95
        if value == 0:
            assert all(e.value == 0 for e in estimates)
            continue
        z = np.array([(e.value - value) / e.std_error for e in estimates])
        assert abs(z.mean()) < 0.35, name
        assert 0.85 <= z.std(ddof=1) <= 1.15, name


@pytest.mark.parametrize(("reach", "a", "b"), [("in", 0.03, 0.9), ("in", 0.5, 0.1), ("out", 1e-3, 0.97)])
def test_coverage_at_a_pilot_of_64(reach: str, a: float, b: float) -> None:
    world = interior_world(a, b, 4)
    exact = truth(world, reach)
    results = [run(world, seed, n_reference=64, reach=reach) for seed in range(200)]
    for name, value in exact.items():
        ends = [(getattr(r, name).ci_low, getattr(r, name).ci_high) for r in results]
        covered = [
            (low or 0.0) - 1e-12 <= value <= (math.inf if high is None else high + 1e-12)
            for low, high in ends
        ]
        assert np.mean(covered) >= 0.95, name


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["in", "out", "undetermined"]), st.integers(2, 80))
def test_terms_are_non_negative_and_add_up(seed: int, reach: str, n: int) -> None:
    rng = np.random.default_rng(seed)
    world = random_world(seed)
    scores, reference = world.scores(n, rng), world.reference(50, rng)
    total = sequence_kl(scores.kl_rb, scores.log_ratio, np.full(n, 2), BootstrapWeights(rng)).rb
    result = decompose(scores, total, reference, reach, BootstrapWeights(rng), leans_out=seed % 2 == 0)  # type: ignore[arg-type]
    terms = (result.tilt, result.drift, result.escape)
    for term in terms:
        assert term.value is None or term.value >= 0
        assert term.ci_low is None or term.ci_low >= 0
        if term.value is not None:
            assert (term.ci_low or 0.0) <= term.value <= (math.inf if term.ci_high is None else term.ci_high)
    assert sum_identity(total, *terms).passed
    if reach == "in":
        assert result.escape.value == 0.0
    order = rng.permutation(n)
    shuffled = CandidateScores(scores.kl_rb[order], scores.log_ratio[order], scores.is_success[order])
    again = [
        decompose(s, total, reference, "in", BootstrapWeights(np.random.default_rng(1)))
        for s in (scores, shuffled)
    ]
    assert again[0].drift.ci_high == pytest.approx(again[1].drift.ci_high, rel=1e-9, abs=1e-12)


def test_undetermined_holds_both_readings() -> None:
    world = interior_world(0.01, 0.6, 2)
    rng = np.random.default_rng(0)
    scores, reference = world.scores(64, rng), count_estimate(1, 100)
    total = sequence_kl(scores.kl_rb, scores.log_ratio, np.full(64, 2), BootstrapWeights(rng)).rb

    def under(reach: str, *, leans_out: bool = False) -> Decomposition:
        return decompose(
            scores, total, reference, reach, BootstrapWeights(np.random.default_rng(3)), leans_out=leans_out
        )  # type: ignore[arg-type]

    inside, outside = under("in"), under("out")
    both, other = under("undetermined"), under("undetermined", leans_out=True)
    assert both.tilt.value == inside.tilt.value
    assert other.escape.value == outside.escape.value
    assert both.escape.ci_low == 0.0
    assert both.escape.ci_high is not None
    assert both.escape.ci_high >= (outside.escape.value or 0.0)
    assert (both.tilt.ci_low, both.tilt.ci_high) == (0.0, inside.tilt.ci_high)


def test_no_reference_success_leaves_only_bounds() -> None:
    world = interior_world(1e-6, 0.9, 2)
    rng = np.random.default_rng(0)
    scores = world.scores(64, rng)
    total = sequence_kl(scores.kl_rb, scores.log_ratio, np.full(64, 2), BootstrapWeights(rng)).rb
    result = decompose(scores, total, count_estimate(0, 64), "in", BootstrapWeights(rng))
    assert (result.tilt.value, result.tilt.status) == (None, "censored")
    assert result.tilt.ci_low is not None
    assert result.tilt.ci_low > 0
    assert result.tilt.ci_low <= truth(world, "in")["tilt"] <= (result.tilt.ci_high or 0)
    assert result.matched_inverse_temperature.status == "censored"


def test_truncated_support_keeps_the_bernoulli_tilt() -> None:
    world = interior_world(0.3, 0.6, 2)
    p = world.p.copy()
    p[0, 0] = 0.0
    cut = World(p / p.sum(), world.q, world.reward)
    rng = np.random.default_rng(0)
    scores = cut.scores(200, rng)
    assert np.isposinf(scores.log_ratio).any()
    total = sequence_kl(scores.kl_rb, scores.log_ratio, np.full(200, 2), BootstrapWeights(rng)).rb
    inside = decompose(scores, total, count_estimate(60, 200), "in", BootstrapWeights(rng))
    assert (inside.drift.status, inside.drift.reason) == ("undefined", TRUNCATED_SUPPORT)
    assert inside.tilt.value == pytest.approx(0.19, abs=0.15)
    assert inside.tilt.status == "ok"
    assert inside.escape.value == 0.0
    outside = decompose(scores, total, count_estimate(60, 200), "out", BootstrapWeights(rng))
    assert outside.escape.reason == outside.drift.reason == TRUNCATED_SUPPORT
    assert outside.tilt.value == 0.0


def test_retreat_is_named() -> None:
    world = interior_world(0.4, 0.05, 2)
    assert run(world, 1, reach="out").is_retreat
    assert not run(world, 1, reach="in").is_retreat


def test_all_or_no_successes() -> None:
    for b in (1.0, 0.0):
        world = interior_world(0.2, b, 2)
        for reach in ("in", "out"):
            exact = truth(world, reach)
            result = run(world, 3, n=200, n_reference=2000, reach=reach)
            assert result.tilt.value == pytest.approx(exact["tilt"], abs=0.15)
            assert result.escape.value == pytest.approx(exact["escape"], abs=0.35)


def test_refusals() -> None:
    rng = np.random.default_rng(0)
    scores = CandidateScores(np.ones(3), np.ones(3), np.array([True, False, True]))
    total = sequence_kl(scores.kl_rb, scores.log_ratio, np.full(3, 2), BootstrapWeights(rng)).rb
    with pytest.raises(ValueError, match="half of the error"):
        decompose(scores, total, count_estimate(1, 9, 0.95), "in", BootstrapWeights(rng))
    with pytest.raises(ValueError, match="one value per sample"):
        decompose(
            CandidateScores(np.ones(2), np.ones(3), np.ones(3, bool)),
            total,
            count_estimate(1, 9),
            "in",
            BootstrapWeights(rng),
        )
    with pytest.raises(ValueError, match="NaN"):
        decompose(
            CandidateScores(np.ones(1), np.array([-np.inf]), np.ones(1, bool)),
            total,
            count_estimate(1, 9),
            "in",
            BootstrapWeights(rng),
        )


def test_escape_by_hand_when_the_reference_is_not_rare() -> None:
    # b = 1/4, a = 0.4: mean of 1_C·log q/p = (2 - 1)/8 and (3/4)·log(0.75/0.6); KL is far larger.
    success = np.array([True, True] + [False] * 6)
    scores = CandidateScores(np.full(8, 5.0), np.array([2.0, -1.0] + [0.3] * 6), success)
    rng = np.random.default_rng(0)
    total = mean_estimate(scores.kl_rb, BootstrapWeights(rng), unit="nats", floor=0.0)
    result = decompose(scores, total, count_estimate(40, 100), "out", BootstrapWeights(rng))
    exact = 1 / 8 + 0.75 * math.log(0.75 / 0.6)
    assert result.escape.value == pytest.approx(exact, abs=1e-12)
    assert result.drift.value == pytest.approx(5.0 - exact, abs=1e-12)
    assert result.is_retreat


def test_the_bias_correction_removes_most_of_the_plug_in_bias() -> None:
    world = interior_world(0.15, 0.85, 11)
    exact = truth(world, "in")["tilt"]
    rng = np.random.default_rng(0)
    corrected, plug_in = [], []
    for _ in range(400):
        scores, reference = world.scores(64, rng), world.reference(64, rng)
        total = Estimate(value=50.0, n=64, unit="nats")  # far away, so that no projection interferes
        corrected.append(decompose(scores, total, reference, "in", BootstrapWeights(rng)).tilt.value)
        plug_in.append(exact_terms(50.0, reference.value or 0.0, float(scores.is_success.mean())).tilt)
    error, before = np.mean(corrected) - exact, np.mean(plug_in) - exact
    assert before > 0.03
    assert abs(error) < before / 2
