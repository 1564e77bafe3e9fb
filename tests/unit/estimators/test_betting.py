import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.estimators.betting import FRACTIONS, draws_to_settle, log_lower_bound, log_wealth
from workers.estimators.importance import pooled_log_success
from workers.estimators.scored_round import ScoredRound, balance_log_weights

# Outcomes 0..3, the last two correct. The pools' means of w 1_C differ a lot.
P = np.array([0.7, 0.2, 0.08, 0.02])
Q = np.array([0.05, 0.15, 0.1, 0.7])
CORRECT = np.array([False, False, True, True])
A = 0.1


def made(y: np.ndarray, n_p: int, p: np.ndarray = P, q: np.ndarray = Q) -> ScoredRound:
    return ScoredRound.of_pair(
        np.log(p[y]), np.log(q[y]), CORRECT[y], np.arange(y.size) >= n_p, n_p, y.size - n_p
    )


def draw(rng: np.random.Generator, n_p: int, n_q: int, p: np.ndarray = P, q: np.ndarray = Q) -> ScoredRound:
    return made(np.concatenate([rng.choice(4, n_p, p=p), rng.choice(4, n_q, p=q)]), n_p, p, q)


def deep(log_ratio: list[float], n_p: int, n_q: int) -> ScoredRound:
    size = len(log_ratio)
    log_q = np.full(size, -50.0)
    return ScoredRound.of_pair(
        np.array(log_ratio) + log_q, log_q, np.ones(size, bool), np.ones(size, bool), n_p, n_q
    )


def test_wealth_is_the_product_of_the_definition() -> None:
    scored = draw(np.random.default_rng(1), 3, 5)
    m = 0.07
    x = np.exp(balance_log_weights(scored.log_p, scored.log_proposals, (3, 5))) * scored.is_correct
    grid = [np.prod([1 + f / m * (value - m) for value in x]) for f in FRACTIONS]
    markov = x.mean() / m
    assert log_wealth([scored], math.log(m)) == pytest.approx(math.log(np.mean([*grid, markov])))
    assert log_wealth([scored], math.log(m), refused=True) == pytest.approx(math.log(markov / 9))


def test_grid_is_fixed_and_inside() -> None:
    assert ((FRACTIONS > 0) & (FRACTIONS < 1)).all()
    with pytest.raises(ValueError, match="read-only"):
        FRACTIONS[0] = 0.5


@pytest.mark.parametrize(("n_p", "n_q"), [(2, 2), (0, 3), (3, 1), (1, 3), (4, 0)])
@pytest.mark.parametrize("m", [A, 0.15, 0.6])
def test_mean_wealth_at_most_one_by_enumeration(n_p: int, n_q: int, m: float) -> None:
    # Every sequence of draws of both pools, exactly.
    mean = 0.0
    for y in itertools.product(range(4), repeat=n_p + n_q):
        chance = np.prod([(P if i < n_p else Q)[o] for i, o in enumerate(y)])
        mean += float(chance) * math.exp(log_wealth([made(np.array(y), n_p)], math.log(m)))
    assert mean <= 1.0 + 1e-9
    if m == A and 0 in (n_p, n_q):
        assert mean == pytest.approx(1.0)


def test_two_rounds_with_a_second_size_chosen_from_the_first() -> None:
    mean = 0.0
    for first in itertools.product(range(4), repeat=2):
        chance = P[first[0]] * Q[first[1]]
        n_p = 0 if CORRECT[first[1]] else 2
        for second in itertools.product(range(4), repeat=2):
            follow = np.prod([(P if i < n_p else Q)[o] for i, o in enumerate(second)])
            rounds = [made(np.array(first), 1), made(np.array(second), n_p)]
            mean += float(chance * follow) * math.exp(log_wealth(rounds, math.log(A)))
    assert mean <= 1.0 + 1e-9


def test_wealth_rejects_the_truth_at_most_alpha_where_the_pools_differ() -> None:
    # The worlds of the test below: a bet that follows the draws rejects the true m = a nine times in ten.
    p, q = np.array([0.7, 0.29, 0.006, 0.004]), np.array([0.05, 0.05, 0.4, 0.5])
    rng, alpha, reps = np.random.default_rng(21), 0.05, 300
    wealths = [log_wealth([draw(rng, 60, 60, p, q)], math.log(0.01)) for _ in range(reps)]
    assert np.mean(np.array(wealths) >= math.log(1 / alpha)) <= alpha


@pytest.mark.slow
def test_betting_in_arrival_order_is_invalid_and_by_rounds_is_not() -> None:
    # The reference's draws come first, with mean 0.0002, then the candidate's, with mean 0.02: a = 0.01 lies
    # between. A lambda that may follow the draws stakes nothing on the first and much on the second, and
    # "rejects" the true m = a. One lambda for the whole round cannot.
    p, q = np.array([0.7, 0.29, 0.006, 0.004]), np.array([0.05, 0.05, 0.4, 0.5])
    a, alpha, size, reps = 0.01, 0.05, 60, 1000
    rng, by_arrival, by_round = np.random.default_rng(2), 0, 0
    for _ in range(reps):
        scored = draw(rng, size, size, p, q)
        x = np.exp(balance_log_weights(scored.log_p, scored.log_proposals, (size, size))) * scored.is_correct
        assert x[size:].mean() > a
        by_arrival += predictable_bet(x, size, a) >= math.log(1 / alpha)
        by_round += log_wealth([scored], math.log(a)) >= math.log(1 / alpha)
    assert by_arrival / reps > 0.9
    assert by_round / reps <= alpha


def predictable_bet(x: np.ndarray, n_p: int, m: float) -> float:
    """Greatest log wealth when lambda is set before each draw from the past draws of its own pool."""
    wealth, best = 0.0, 0.0
    for i, value in enumerate(x):
        past = x[n_p:i] if i >= n_p else x[:i]
        f = 0.0
        if past.size > 2:
            excess = past.mean() - m
            f = min(max(m * excess / (past.var() + excess**2), 0.0), 0.5)
        wealth += math.log(1.0 - f + f * value / m)
        best = max(best, wealth)
    return best


@pytest.mark.parametrize("sizes", [(1, 2, 1), (0, 2, 2), (2, 0, 2)])
@pytest.mark.parametrize("m", [A, 0.3])
def test_mean_wealth_of_three_proposals_at_most_one_by_enumeration(
    sizes: tuple[int, int, int], m: float
) -> None:
    # The third proposal misses a correct outcome and the reference has more failures.
    laws = np.array([P, Q, [0.5, 0.1, 0.4, 0.0]])
    drawn_by = np.repeat(np.arange(3), sizes)
    mean = 0.0
    for y in itertools.product(range(4), repeat=4):
        chance = float(np.prod([laws[j][o] for j, o in zip(drawn_by, y, strict=True)]))
        if chance == 0.0:
            continue
        seen = np.array(y)
        with np.errstate(divide="ignore"):
            scored = ScoredRound(
                proposals=("reference", "candidate", "arm"),
                sizes=sizes,
                log_p=np.log(P[seen]),
                log_proposals=np.log(laws[:, seen]),
                is_correct=CORRECT[seen],
                drawn_by=drawn_by,
            )
        mean += chance * math.exp(log_wealth([scored], math.log(m)))
    assert mean <= 1.0 + 1e-9


@pytest.mark.parametrize(("n_p", "n_q"), [(16, 16), (0, 32), (32, 4)])
def test_lower_bound_misses_at_most_alpha(n_p: int, n_q: int) -> None:
    rng = np.random.default_rng(3)
    missed = [log_lower_bound([draw(rng, n_p, n_q)], 0.1) > math.log(A) for _ in range(1000)]
    assert np.mean(missed) <= 0.1


def test_lower_bound_at_one_in_a_million_from_dozens_of_samples() -> None:
    # science.md: log-spread inside C of about 1 nat (standard deviation). b = 0.8, 64 draws of q, 16 of p.
    rng, a, b = np.random.default_rng(4), 1e-6, 0.8
    short, missed = [], 0
    for _ in range(200):
        hits = int(rng.binomial(64, b))
        ratios = math.log(a / b) - 0.5 + rng.normal(0, 1.0, hits)
        bound = log_lower_bound([deep(list(ratios), 16, 64)], 0.05)
        short.append(math.log(a) - bound)
        missed += bound > math.log(a)
    assert missed <= 10
    assert np.median(short) < 0.8


def test_better_than_markov() -> None:
    scored = deep([-14.0, -13.8, -14.1, -14.3] * 12, 16, 64)
    assert log_lower_bound([scored], 0.05) > log_lower_bound([scored], 0.05, refused=True) + 3.0


def test_refused_leaves_markovs_bound() -> None:
    # Log of the mean of X minus log(9/alpha): Markov's inequality at its ninth of the level.
    scored = deep([-14.0, -2.0, -30.0], 16, 64)
    mean = pooled_log_success([scored]).value
    assert log_lower_bound([scored], 0.05, refused=True) == pytest.approx(mean - math.log(9 / 0.05))
    rng = np.random.default_rng(7)
    missed = [log_lower_bound([draw(rng, 2, 6)], 0.3, refused=True) > math.log(A) for _ in range(2000)]
    assert np.mean(missed) <= 0.3 / 9
    # A round without a success leaves Markov's product nothing.
    assert log_lower_bound([scored, deep([], 0, 4)], 0.05, refused=True) == -math.inf


def test_bound_solves_its_equation_and_holds_far_down() -> None:
    scored = deep([-900.0, -901.0, -900.5] * 5, 0, 20)
    bound = log_lower_bound([scored], 0.05)
    assert -903 < bound < -900
    assert log_wealth([scored], bound) == pytest.approx(math.log(20.0), abs=1e-6)
    assert log_lower_bound([deep([], 4, 4)], 0.05) == -math.inf
    assert log_lower_bound([], 0.05) == -math.inf
    assert log_wealth([], -3.0) == 0.0
    with pytest.raises(ValueError, match="finite"):
        log_wealth([], -math.inf)


@given(
    st.lists(st.floats(-30, -1), min_size=1, max_size=12),
    st.integers(0, 10),
    st.integers(0, 20),
    st.floats(-40, 0),
    st.floats(0.01, 5),
)
def test_wealth_falls_in_the_mean(
    ratios: list[float], n_p: int, failures: int, log_mean: float, step: float
) -> None:
    rounds = [deep(ratios, n_p, len(ratios) + failures)]
    assert log_wealth(rounds, log_mean) >= log_wealth(rounds, log_mean + step)
    assert log_lower_bound(rounds, 0.05) <= log_lower_bound(rounds, 0.2) + 1e-8


def test_the_forecast_of_draws_is_enough_when_they_go_on_as_they_went() -> None:
    """The pilot's candidate draws again and again: the forecast's size is enough, half of it is not."""
    scored = draw(np.random.default_rng(3), 20, 20)
    log_m, target = math.log(0.06), math.log(40)
    more = draws_to_settle([scored], log_m, target)
    assert more is not None
    assert more > 10
    own = scored.log_p[20:], scored.log_proposals[1, 20:], scored.is_correct[20:]

    def again(n: int) -> float:
        index = np.arange(n) % 20
        further = ScoredRound.of_pair(*(part[index] for part in own), np.ones(n, bool), 0, n)
        return log_wealth([scored, further], log_m)

    whole = math.ceil(more / 20) * 20
    assert again(whole) >= target > again(more // 2)


def test_no_draws_are_forecast_where_none_would_help() -> None:
    scored = draw(np.random.default_rng(3), 20, 20)
    assert draws_to_settle([scored], math.log(1e-6), 3.0) == 0
    assert draws_to_settle([scored], math.log(0.4), math.log(40)) is None  # a = 0.1: no stake grows
    assert draws_to_settle([deep([], 4, 4)], math.log(0.1), 3.0) is None  # no success
    reference_only = ScoredRound.of_pair([], [], np.ones(0, bool), np.ones(0, bool), 9, 0)
    assert draws_to_settle([reference_only], math.log(0.1), 3.0) is None
