import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.estimators.importance import (
    Diagnostics,
    diagnostics,
    elbo,
    pooled_elbo,
    pooled_log_success,
    pooled_success,
)
from workers.estimators.scored_round import ScoredRound, balance_log_weights, pool

# Six outcomes, the last three correct; unequal on purpose. p is zero on one failure, q on another.
P = np.array([0.5, 0.3, 0.0, 0.15, 0.04, 0.01])
Q = np.array([0.1, 0.0, 0.2, 0.2, 0.1, 0.4])
CORRECT = np.array([False, False, False, True, True, True])
A = 0.2


def draw(rng: np.random.Generator, n_p: int, n_q: int) -> ScoredRound:
    y = np.concatenate([rng.choice(6, n_p, p=P), rng.choice(6, n_q, p=Q)])
    with np.errstate(divide="ignore"):
        return ScoredRound.of_pair(
            log_p=np.log(P[y]),
            log_q=np.log(Q[y]),
            is_correct=CORRECT[y],
            from_candidate=np.arange(y.size) >= n_p,
            n_p=n_p,
            n_q=n_q,
        )


def made(log_ratio: list[float], n_p: int, n_q: int, log_q: float = -50.0) -> ScoredRound:
    """Successes of the candidate only, failures unlisted."""
    size = len(log_ratio)
    return ScoredRound.of_pair(
        log_p=np.array(log_ratio) + log_q,
        log_q=np.full(size, log_q),
        is_correct=np.ones(size, dtype=bool),
        from_candidate=np.ones(size, dtype=bool),
        n_p=n_p,
        n_q=n_q,
    )


def pair_weights(log_p: list[float], log_q: list[float], n_p: int, n_q: int) -> np.ndarray:
    return balance_log_weights(log_p, np.array([log_p, log_q]), (n_p, n_q))


def test_balance_weights_by_hand() -> None:
    # n_p = 1, n_q = 3: w = p / ((p + 3 q)/4). p = 0.2, q = 0.1: 0.8/0.5; q = 0: 4; p = 0: 0.
    with np.errstate(divide="ignore"):
        logs = pair_weights(np.log([0.2, 0.2, 0.0]), np.log([0.1, 0.0, 0.1]), 1, 3)
    assert np.exp(logs) == pytest.approx([1.6, 4.0, 0.0])
    # One pool alone: 1 from p, p/q from q.
    assert pair_weights([-5.0], [-9.0], 7, 0) == pytest.approx([0.0])
    assert pair_weights([-1000.0], [-900.0], 0, 7) == pytest.approx([-100.0])


@given(
    st.floats(-800, -1), st.floats(-800, -1), st.integers(0, 100), st.integers(1, 100), st.floats(-500, 500)
)
def test_weights_are_bounded_and_shift_free(
    log_p: float, log_q: float, n_p: int, n_q: int, shift: float
) -> None:
    weight = pair_weights([log_p], [log_q], n_p, n_q)[0]
    assert pair_weights([log_p + shift], [log_q + shift], n_p, n_q)[0] == pytest.approx(weight, abs=1e-9)
    if n_p:
        assert weight <= math.log((n_p + n_q) / n_p) + 1e-12


def test_refusals() -> None:
    with pytest.raises(ValueError, match="every proposal"):
        pair_weights([-1.0], [-math.inf], 0, 3)
    with pytest.raises(ValueError, match="NaN"):
        pair_weights([math.nan], [-1.0], 1, 3)
    with pytest.raises(ValueError, match="at least one draw"):
        pair_weights([-1.0], [-1.0], 0, 0)
    yes, no = np.array([True]), np.array([False])
    one = np.array([-1.0])
    with pytest.raises(ValueError, match="under the proposal that drew it"):
        ScoredRound.of_pair(one, np.array([-math.inf]), yes, yes, 1, 1)
    with pytest.raises(ValueError, match="lists no more"):
        ScoredRound.of_pair(one, one, yes, no, 0, 1)
    with pytest.raises(ValueError, match="one shape"):
        ScoredRound.of_pair(one, one, np.array([True, True]), yes, 1, 1)
    with pytest.raises(ValueError, match="booleans"):
        ScoredRound.of_pair(one, one, np.array([0.7]), yes, 1, 1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no round"):
        pool([])


@pytest.mark.parametrize(("n_p", "n_q"), [(1, 3), (5, 2), (0, 4), (3, 0)])
def test_unbiased_by_enumeration(n_p: int, n_q: int) -> None:
    # E = (n_p sum_C p w + n_q sum_C q w)/N, over the part of C that the pools cover.
    with np.errstate(divide="ignore"):
        w = np.exp(pair_weights(np.log(P[3:]), np.log(Q[3:]), n_p, n_q))
    mean = (n_p * (P[3:] * w).sum() + n_q * (Q[3:] * w).sum()) / (n_p + n_q)
    assert mean == pytest.approx(A)


def test_unlisted_failures_change_nothing() -> None:
    full = draw(np.random.default_rng(1), 9, 14)
    keep = full.is_correct
    short = ScoredRound.of_pair(
        full.log_p[keep],
        full.log_proposals[1][keep],
        full.is_correct[keep],
        full.drawn_by[keep] == 1,
        9,
        14,
    )
    assert pooled_success([short]) == pooled_success([full])
    assert diagnostics([short]) == diagnostics([full])


def test_point_and_standard_error_are_calibrated() -> None:
    rng = np.random.default_rng(2)
    estimates = [pooled_success([draw(rng, 40, 60)]) for _ in range(600)]
    z = np.array([(e.value - A) / e.std_error for e in estimates])  # type: ignore[operator]
    assert abs(np.mean([e.value for e in estimates]) - A) < 0.003  # type: ignore[arg-type]
    assert 0.85 <= z.std() <= 1.15
    assert estimates[0].ci_high is None


def test_log_and_plain_points_agree() -> None:
    scored = draw(np.random.default_rng(3), 30, 50)
    plain, logged = pooled_success([scored]), pooled_log_success([scored])
    assert plain.value == pytest.approx(math.exp(logged.value))  # type: ignore[arg-type]
    assert plain.std_error == pytest.approx(plain.value * logged.std_error)  # type: ignore[operator]
    deep = pooled_log_success([made([-900.0] * 40, 0, 50)])
    # 40 of 50 draws at e^-900
    assert deep.value == pytest.approx(-900.0 + math.log(0.8))


def test_rounds_pool_with_the_sizes_of_the_run() -> None:
    rng = np.random.default_rng(4)
    (whole,) = pool([draw(rng, 10, 20), draw(rng, 0, 30)])
    assert (whole.sizes, whole.draws, whole.log_p.size) == ((10, 50), 60, 60)


def test_no_success_is_undefined() -> None:
    none = made([], 10, 10)
    assert pooled_success([none]).status == "undefined"
    assert pooled_log_success([none]).status == "undefined"
    assert diagnostics([none]) == Diagnostics(20, 0, 0.0, 0.0, None, 0.0, 0.0)


def test_diagnostics_by_hand() -> None:
    # n_p = 0: w = p/q = 1, 1, 2 -> ess 16/6, share 1/2, spread log 2
    seen = diagnostics([made([0.0, 0.0, math.log(2.0)], 0, 8)])
    assert seen.ess == pytest.approx(16 / 6)
    assert seen.max_share == pytest.approx(0.5)
    assert seen.log_spread == pytest.approx(math.log(2.0))
    assert seen.log_spread_sd == pytest.approx(math.log(2.0) / math.sqrt(3.0))
    assert (seen.draws, seen.successes, seen.pareto_k) == (8, 3, None)
    status, reason = seen.grade()
    assert status == "unreliable"
    assert "effective sample size 2.7" in reason
    assert "50%" in reason


def test_grades() -> None:
    rng = np.random.default_rng(5)
    good = diagnostics([made(list(rng.normal(-10, 0.3, 50)), 64, 64)])
    assert good.grade() == ("ok", "")
    wide = diagnostics([made(list(rng.normal(-10, 4.0, 50)), 64, 64)])
    assert wide.refused
    assert wide.grade()[0] == "unreliable"
    assert "log-spread" in wide.grade()[1]
    # A far-away success of the reference weighs at most N/n_p = 2, whatever p/q is.
    log_q = np.array([-1.0, -1.1, -1.0, -30.0])
    mixed = ScoredRound.of_pair(
        log_q + np.array([0.0, 0.0, 0.1, 25.0]),
        log_q,
        np.ones(4, bool),
        np.array([True, True, True, False]),
        4,
        4,
    )
    assert diagnostics([mixed]).log_spread == pytest.approx(math.log(2.0), abs=1e-9)


def test_a_collapsed_candidate_looks_perfect_and_is_100_times_too_low() -> None:
    # q covers the correct mode that holds 1 % of p(C): the reason for the asymmetry rule.
    a = 4.98e-3
    rng = np.random.default_rng(6)
    hit = int(rng.binomial(200, 0.9))
    scored = made(list(math.log(0.01 * a / 0.9) + rng.normal(0, 0.02, hit)), 0, 200)
    point = pooled_success([scored])
    assert point.status == "ok"
    assert point.value < a / 90  # type: ignore[operator]
    assert diagnostics([scored]).ess > 150


def test_elbo() -> None:
    # log(4/8) + mean(-3, -5, -3, -5) = log(1/2) - 4
    bound = elbo([-3.0, -5.0, -3.0, -5.0], 8)
    assert bound.value == pytest.approx(math.log(0.5) - 4.0)
    # var of the mean (4/3)/4 = 1/3, delta method for log b (1 - 1/2)/4 = 1/8
    assert bound.std_error == pytest.approx(math.sqrt(1 / 3 + 1 / 8))
    assert bound.ci_low < bound.value - 1  # type: ignore[operator]
    assert elbo([], 8).status == "undefined"
    assert elbo([-1.0, -math.inf], 8).reason == "truncated_support"
    assert elbo([-2.0], 4).std_error is None
    # Exactly: log b + E_{q|C} log p/q is below log a by KL(q|C || p|C).
    b = Q[3:].sum()
    exact = math.log(b) + float((Q[3:] / b) @ np.log(P[3:] / Q[3:]))
    gap = float((Q[3:] / b) @ np.log((Q[3:] / b) / (P[3:] / A)))
    assert exact + gap == pytest.approx(math.log(A))
    y = np.repeat([3, 4, 5], [200, 100, 400])
    assert elbo(np.log(P[y] / Q[y]), 1000).value == pytest.approx(exact)


def test_standard_error_by_hand() -> None:
    # Pools of 2 and 3, p = q everywhere, so w = 1. Of p's draws 1 succeeds, of q's 2:
    # sum of n_j s_j^2 = 2 * 1/2 + 3 * 1/3 = 2, over N = 5.
    log = np.full(3, -2.0)
    scored = ScoredRound.of_pair(log, log, np.ones(3, bool), np.array([False, True, True]), 2, 3)
    made_point = pooled_success([scored])
    assert made_point.value == pytest.approx(3 / 5)
    assert made_point.std_error == pytest.approx(math.sqrt(2.0) / 5)
    # One draw in a pool has no spread to show.
    single = ScoredRound.of_pair(log, log, np.ones(3, bool), np.array([False, True, True]), 1, 3)
    assert pooled_success([single]).std_error is None


# Three proposals: the reference, a candidate, and a second one that covers what the candidate does not.
Q2 = np.array([0.4, 0.1, 0.1, 0.0, 0.4, 0.0])
LAWS = np.array([P, Q, Q2])


def draw_of(rng: np.random.Generator, laws: np.ndarray, sizes: tuple[int, ...]) -> ScoredRound:
    drawn_by = np.repeat(np.arange(len(sizes)), sizes)
    y = np.array([rng.choice(6, p=laws[j]) for j in drawn_by], dtype=np.int64)
    with np.errstate(divide="ignore"):
        return ScoredRound(
            proposals=("reference", "candidate", "arm")[: len(sizes)],
            sizes=sizes,
            log_p=np.log(P[y]),
            log_proposals=np.log(laws[: len(sizes)][:, y]),
            is_correct=CORRECT[y],
            drawn_by=drawn_by,
        )


@pytest.mark.parametrize("sizes", [(1, 3, 2), (0, 2, 5), (4, 0, 1)])
def test_any_number_of_proposals_is_unbiased_by_enumeration(sizes: tuple[int, ...]) -> None:
    with np.errstate(divide="ignore"):
        w = np.exp(balance_log_weights(np.log(P[3:]), np.log(LAWS[:, 3:]), sizes))
    mean = sum(n * (law[3:] * w).sum() for n, law in zip(sizes, LAWS, strict=True)) / sum(sizes)
    assert mean == pytest.approx(A)


def test_point_from_three_proposals_is_calibrated() -> None:
    rng = np.random.default_rng(12)
    estimates = [pooled_success([draw_of(rng, LAWS, (20, 30, 25))]) for _ in range(500)]
    z = np.array([(e.value - A) / e.std_error for e in estimates])  # type: ignore[operator]
    assert abs(z.mean()) < 0.2
    assert 0.85 <= z.std() <= 1.15


def test_rounds_of_other_proposals_stay_apart_and_still_estimate_a() -> None:
    # A checkpoint whose draws were scored under the reference alone, beside the pilot of two sides.
    rng, values = np.random.default_rng(13), []
    for _ in range(400):
        pilot = draw(rng, 20, 20)
        y = rng.choice(6, 30, p=[0.2, 0.1, 0.1, 0.3, 0.2, 0.1])
        q = np.log(np.array([0.2, 0.1, 0.1, 0.3, 0.2, 0.1])[y])
        with np.errstate(divide="ignore"):
            alone = ScoredRound(
                proposals=("checkpoint",),
                sizes=(30,),
                log_p=np.log(P[y]),
                log_proposals=q[None, :],
                is_correct=CORRECT[y],
                drawn_by=np.zeros(30, dtype=np.int64),
            )
        assert len(pool([pilot, alone])) == 2
        values.append(pooled_success([pilot, alone]))
    z = np.array([(e.value - A) / e.std_error for e in values])  # type: ignore[operator]
    assert abs(z.mean()) < 0.2
    assert 0.85 <= z.std() <= 1.15


def test_whole_run_pooling_is_mbar_with_known_constants() -> None:
    # Two rounds: a^ = sum over successes of p / (N_p p + N_q q), whatever round they came in.
    rng = np.random.default_rng(14)
    rounds = [draw(rng, 10, 20), draw(rng, 0, 30)]
    slow = 0.0
    for part in rounds:
        p, q = np.exp(part.log_p), np.exp(part.log_proposals[1])
        slow += float((part.is_correct * p / (10 * p + 50 * q)).sum())
    assert pooled_success(rounds).value == pytest.approx(slow)


def test_refusals_of_many_proposals() -> None:
    one, yes, zero = np.array([-1.0]), np.array([True]), np.array([0])
    with pytest.raises(ValueError, match="names of their own"):
        made_of(("a", "a"), (1, 1), one, np.stack([one, one]), yes, zero)
    with pytest.raises(ValueError, match="index into"):
        made_of(("a", "b"), (1, 1), one, np.stack([one, one]), yes, zero + 2)
    with pytest.raises(ValueError, match="the reference's density"):
        made_of(("reference", "b"), (1, 1), one, np.stack([one - 0.1, one]), yes, zero)
    with pytest.raises(ValueError, match="at least one draw"):
        made_of(("a", "b"), (0, 0), one, np.stack([one, one]), yes, zero)
    with pytest.raises(ValueError, match="one shape"):
        made_of(("a", "b"), (1, 1), one, np.stack([one]), yes, zero)


def made_of(
    proposals: tuple[str, ...],
    sizes: tuple[int, ...],
    log_p: np.ndarray,
    log_proposals: np.ndarray,
    is_correct: np.ndarray,
    drawn_by: np.ndarray,
) -> ScoredRound:
    return ScoredRound(
        proposals=proposals,
        sizes=sizes,
        log_p=log_p,
        log_proposals=log_proposals,
        is_correct=is_correct,
        drawn_by=drawn_by,
    )


def test_elbo_of_the_mixture_is_below_and_tighter_than_the_candidates() -> None:
    rng = np.random.default_rng(15)
    scored = draw_of(rng, LAWS, (0, 4000, 4000))
    kept = scored.is_correct & (scored.drawn_by == 1)
    alone = elbo(scored.log_p[kept] - scored.log_proposals[1][kept], 4000)
    mixed = pooled_elbo([scored])
    assert alone.value < mixed.value < math.log(A) + 0.02  # type: ignore[operator]
