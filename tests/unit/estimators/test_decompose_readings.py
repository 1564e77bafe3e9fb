"""Oracle: enumerated pairs whose terms are computed by their definitions (tests/support/enumerated.py)."""

import math

import numpy as np
import pytest
from enumerated import Pair, divergence, exact_rate, random_pair, within

from workers.estimators.behaviours import strategy_drift, within_strategy
from workers.estimators.bootstrap_weights import BootstrapWeights
from workers.estimators.decomposition import SupportReading, decompose_readings, exact_terms
from workers.estimators.estimate import Estimate
from workers.estimators.inside_tilt import binary_tilt, dense_tilt, missing_tilt
from workers.estimators.sample_mean import mean_estimate
from workers.estimators.tilt import matched_tilt


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("seed", range(25))
def test_the_definitions_add_up_and_are_not_negative(seed: int, dense: bool) -> None:
    """On enumerated models, for O none, part and all of C: the sum to 1e-9, and each term >= -1e-12."""
    pair = random_pair(seed, dense=dense)
    for out in (np.zeros(24, bool), pair.members({"z0"}), pair.success):
        terms = pair.terms(out)
        assert math.fsum(terms.values()) == pytest.approx(pair.kl, abs=1e-9)
        assert min(terms.values()) >= -1e-12
        if not out.any():
            assert terms["escape"] == 0.0


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("beta", [-3.0, 0.7, 4.0])
def test_an_exact_gibbs_tilt_has_no_drift(beta: float, dense: bool) -> None:
    base = random_pair(4, dense=dense)
    weights = base.p * np.exp(beta * base.reward)
    pair = Pair(base.p, weights / weights.sum(), base.reward, base.success, base.behaviour)
    terms = pair.terms(np.zeros(24, bool))
    assert terms["drift"] == pytest.approx(0.0, abs=1e-12)
    assert terms["tilt"] == pytest.approx(pair.kl, abs=1e-12)
    found, cost = matched_tilt(base.reward, float(pair.q @ base.reward), np.log(base.p))
    assert found == pytest.approx(beta, abs=1e-9)
    assert cost == pytest.approx(pair.kl, abs=1e-12)


@pytest.mark.parametrize("seed", range(10))
def test_exact_terms_take_a_part_of_c(seed: int) -> None:
    pair = random_pair(seed)
    out = pair.members({"z1"})
    c, p_out = float(pair.q[out].sum()), float(pair.p[out].sum())
    kl_out = divergence(pair.q[out] / c, pair.p[out] / p_out) if c > 0 else 0.0
    a, b = float(pair.p[pair.success].sum()), float(pair.q[pair.success].sum())
    terms = exact_terms(pair.kl, a, b, p_out=p_out, q_out=c, kl_out=kl_out)
    expected = pair.terms(out)
    assert terms.escape == pytest.approx(expected["escape"], abs=1e-12)
    assert terms.tilt == pytest.approx(expected["tilt"], abs=1e-12)
    assert terms.drift == pytest.approx(expected["drift"], abs=1e-12)


def decomposed(pair: Pair, out: np.ndarray, seed: int, *, dense: bool, n: int = 64, n_p: int = 256):
    """From samples of both sides, as the pipeline does it, with p(O) and a_S known up to their counts."""
    rng = np.random.default_rng(seed)
    here, there = pair.draw(pair.q, n, rng), pair.draw(pair.p, n_p, rng)
    scores = pair.scores(here)
    kl = Estimate(value=pair.kl, std_error=0.0, n=n, unit="nats")
    mass = rate(out[there]) if out.any() else None
    inside = ~out[here] if out.any() else None
    if dense:
        reference = pair.reward[there][~out[there]]
        tilt = dense_tilt(pair.reward[here], inside, reference, BootstrapWeights(rng), 0.025 / 3)
    else:
        tilt = binary_tilt(pair.success[here], inside, rate(pair.success[there][~out[there]]), 0.025 / 3)
    reading = SupportReading(out[here], mass, tilt)
    return decompose_readings(scores, kl, [reading], BootstrapWeights(rng), reference_error=0.025), tilt


def rate(hits: np.ndarray) -> Estimate:
    from workers.estimators.counts import clopper_pearson

    low, high = clopper_pearson(int(hits.sum()), hits.size, 0.9875)
    value = float(hits.mean())
    return Estimate(
        value=value, std_error=math.sqrt(value * (1 - value) / hits.size), ci_low=low, ci_high=high,
        confidence=0.9875, n=hits.size, unit="probability",
    )  # fmt: skip


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("part", ["none", "z0", "all"])
def test_sample_terms_cover_and_add_up(part: str, dense: bool) -> None:
    pair = random_pair(8, dense=dense)
    out = {"none": np.zeros(24, bool), "z0": pair.members({"z0"}), "all": pair.success}[part]
    exact = pair.terms(out)
    covered = dict.fromkeys(exact, 0)
    values = {name: [] for name in exact}
    for seed in range(120):
        found, _ = decomposed(pair, out, seed, dense=dense)
        total = 0.0
        for name, truth in exact.items():
            estimate = getattr(found, name)
            assert estimate.value is not None, estimate.reason
            assert estimate.value >= 0
            covered[name] += within(estimate, truth)
            values[name].append(estimate.value)
            total += estimate.value
        assert total == pytest.approx(pair.kl, abs=1e-9)
    for name, truth in exact.items():
        assert covered[name] >= 0.95 * 120, (name, covered[name])
        assert np.mean(values[name]) == pytest.approx(truth, abs=0.12), name


def test_dense_tilt_errors_are_honest() -> None:
    pair = random_pair(3, dense=True)
    truth = pair.terms(np.zeros(24, bool))
    z = {"tilt": [], "drift": []}
    for seed in range(200):
        found, _ = decomposed(pair, np.zeros(24, bool), seed, dense=True, n=256, n_p=512)
        for name, values in z.items():
            estimate = getattr(found, name)
            values.append((estimate.value - truth[name]) / estimate.std_error)
    for name, values in z.items():
        assert abs(np.mean(values)) < 0.35, name
        assert 0.85 <= np.std(values, ddof=1) <= 1.15, name


def test_infinite_beta_conditions_on_the_extreme_reward() -> None:
    """q gives all its mass to the best reward: tilt = -log p(best), β* is not finite."""
    base = random_pair(2, dense=True)
    reward = np.minimum(base.reward, 0.75)
    best = reward == 0.75
    q = np.where(best, base.p, 0.0)
    pair = Pair(base.p, q / q.sum(), reward, base.success, base.behaviour)
    exact = pair.terms(np.zeros(24, bool))
    assert exact["tilt"] == pytest.approx(-math.log(base.p[best].sum()))
    assert exact["drift"] == pytest.approx(0.0, abs=1e-12)
    found, tilt = decomposed(pair, np.zeros(24, bool), 1, dense=True, n=64, n_p=4000)
    assert tilt.beta.value is None
    assert tilt.beta.status == "censored"
    assert found.tilt.value == pytest.approx(exact["tilt"], abs=0.3)
    assert within(found.tilt, exact["tilt"])


def test_a_mean_reward_that_the_reference_never_showed_is_only_bounded() -> None:
    rng = np.random.default_rng(0)
    tilt = dense_tilt(
        np.full(20, 2.0) + 0.01 * rng.random(20), None, rng.random(50), BootstrapWeights(rng), 0.01
    )
    assert not isinstance(tilt.term, str)
    assert tilt.term.value is None
    assert tilt.term.high == math.inf
    assert tilt.beta.status == "censored"


def test_retreat_is_named_and_c_in_0_1() -> None:
    pair = random_pair(5)
    out = pair.members({"z0"})
    for c in (0.0, 1.0):
        q = np.where(out, pair.p * (c / pair.p[out].sum()), pair.p * ((1 - c) / pair.p[~out].sum()))
        moved = Pair(pair.p, q, pair.reward, pair.success, pair.behaviour)
        exact = moved.terms(out)
        found, _ = decomposed(moved, out, 0, dense=False, n_p=2000)
        assert found.is_retreat == (c == 0.0)
        assert found.escape.value == pytest.approx(exact["escape"], abs=0.1)
        expected = -math.log(1 - pair.p[out].sum()) if c == 0.0 else -math.log(pair.p[out].sum())
        assert exact["escape"] == pytest.approx(expected)
        assert exact["drift"] == pytest.approx(0.0, abs=1e-12)


def test_nothing_diverges_from_itself_whatever_is_out() -> None:
    base = random_pair(6, dense=True)
    pair = Pair(base.p, base.p, base.reward, base.success, base.behaviour)
    for out in (np.zeros(24, bool), base.members({"z0"}), base.success):
        found, _ = decomposed(pair, out, 3, dense=True)
        assert (found.tilt.value, found.drift.value, found.escape.value) == (0.0, 0.0, 0.0)


def test_several_readings_unite() -> None:
    pair = random_pair(8)
    rng = np.random.default_rng(0)
    here = pair.draw(pair.q, 64, rng)
    kl = mean_estimate(pair.scores(here).kl_rb, BootstrapWeights(rng), unit="nats", floor=0.0)
    readings = []
    for labels in ({"z0"}, {"z0", "z1"}):
        out = pair.members(labels)
        a_inside = float(pair.p[pair.success & ~out].sum() / pair.p[~out].sum())
        tilt = binary_tilt(pair.success[here], ~out[here], exact_rate(a_inside, 0.05), 0.008)
        readings.append(SupportReading(out[here], exact_rate(float(pair.p[out].sum()), 0.02), tilt))
    alone = [
        decompose_readings(pair.scores(here), kl, [r], BootstrapWeights(np.random.default_rng(1)))
        for r in readings
    ]
    both = decompose_readings(pair.scores(here), kl, readings, BootstrapWeights(np.random.default_rng(1)))
    assert both.escape.value == alone[0].escape.value
    # Escape grows with O: a finer partition tells more.
    assert (alone[1].escape.value or 0) >= (alone[0].escape.value or 0)
    assert (both.escape.ci_high or 0) >= (alone[1].escape.value or 0)
    with pytest.raises(ValueError, match="a reading"):
        decompose_readings(pair.scores(here), kl, [], BootstrapWeights(rng))


def test_a_missing_tilt_says_why() -> None:
    pair = random_pair(8)
    rng = np.random.default_rng(0)
    here = pair.draw(pair.q, 64, rng)
    kl = Estimate(value=pair.kl, std_error=0.0, n=64, unit="nats")
    reading = SupportReading(np.zeros(64, bool), None, missing_tilt("no reward", 64))
    found = decompose_readings(pair.scores(here), kl, [reading], BootstrapWeights(rng))
    assert found.tilt.reason == found.drift.reason == "no reward"
    assert found.escape.value == 0.0


@pytest.mark.parametrize("seed", [1, 5, 8])
def test_strategy_level_drift_is_that_of_the_labels(seed: int) -> None:
    """Chain rule: the definition over labels (failures one of them), and what is within them."""
    pair = random_pair(seed)
    out = np.zeros(24, bool)
    truth = pair.strategy(out)
    drift = pair.terms(out)["drift"]
    assert 0 <= truth <= drift + 1e-12
    held, values = 0, []
    for trial in range(60):
        rng = np.random.default_rng(trial)
        here, there = pair.draw(pair.q, 128, rng), pair.draw(pair.p, 400, rng)
        labels = sorted({z for z in pair.behaviour if z is not None})
        counts = [
            [sum(pair.success[i] and pair.behaviour[i] == z for i in atoms) for z in labels]
            for atoms in (there, here)
        ]
        known = Estimate(
            value=drift, ci_low=drift, ci_high=drift, confidence=0.95, std_error=0.0, n=128, unit="nats"
        )
        found = strategy_drift(counts[0], 400, counts[1], 128, known)
        assert found.value is not None
        held += within(found, truth)
        values.append(found.value)
        rest = within_strategy(known, found)
        assert found.value + (rest.value or 0.0) == pytest.approx(drift)
    assert held >= 0.95 * 60
    assert np.mean(values) == pytest.approx(truth, abs=0.06)


def test_strategy_drift_by_hand() -> None:
    # q: 0.3 and 0.1 of 100, p: 0.1 and 0.3. Σ q log q/p - 0.4 log(0.4/0.4) = 0.3 log 3 - 0.1 log 3.
    drift = Estimate(value=9.0, n=100, unit="nats")
    found = strategy_drift([10, 30], 100, [30, 10], 100, drift, p_masses=[0.1, 0.3])
    assert found.value == pytest.approx(0.2 * math.log(3) - 1 / 200)
    assert strategy_drift([10], 100, [30], 100, drift).value == 0.0
    unseen = strategy_drift([0, 30], 100, [30, 10], 100, drift)
    assert (unseen.value, unseen.status) == (None, "censored")
    assert (unseen.ci_low or 0) > 0
    missing = Estimate.undefined("truncated_support", "nats")
    assert strategy_drift([1, 1], 9, [1, 1], 9, missing).reason == "truncated_support"
    with pytest.raises(ValueError, match="one count"):
        strategy_drift([1], 9, [1, 1], 9, drift)
