"""Oracle: hand-made samples whose two passes agree exactly, and then do not by a known amount."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.estimators.agreement import TokenScores, sampler_identity, shared_prefixes, token_sums


def test_sampler_identity_sees_a_shift_that_sampling_noise_would_hide() -> None:
    rng = np.random.default_rng(0)
    stored, ratio = rng.normal(-9, 3, 1280), rng.normal(1, 2, 1280)
    rounding = rng.normal(0, 1e-6, 1280)
    assert sampler_identity(stored, stored + rounding, ratio).passed
    shifted = sampler_identity(stored, stored + rounding + 0.2, ratio)
    assert not shifted.passed
    assert shifted.blocking
    assert shifted.residual == pytest.approx(0.2, abs=1e-4)


def test_sampler_identity_allows_an_engine_its_noise_and_nothing_systematic() -> None:
    rng = np.random.default_rng(1)
    stored, ratio = rng.normal(-900, 30, 400), np.full(400, 50.0)
    noise = rng.normal(0, 0.6, 400)
    assert sampler_identity(stored, stored + noise, ratio).passed
    assert not sampler_identity(stored, stored + noise + 1.0, ratio).passed
    # The same systematic 0.4 nats are 1 % of 50 and all of a KL that is nearly 0.
    assert sampler_identity(stored, stored + 0.4, ratio).passed
    assert not sampler_identity(stored, stored + 0.4, np.zeros(400)).passed
    assert sampler_identity(np.empty(0), np.empty(0), np.empty(0)).passed
    assert sampler_identity(stored[:1], stored[:1], np.array([math.inf])).passed
    with pytest.raises(ValueError, match="per sample"):
        sampler_identity(stored, stored[:3], ratio)


def test_token_sums() -> None:
    tokens, edges = np.concatenate([np.float32([-1.5, -0.25]), [-2.0, -math.inf]]), np.array([0, 2, 4])
    assert token_sums(np.array([-1.75, -math.inf]), tokens, edges).passed
    assert not token_sums(np.array([-1.95, -math.inf]), tokens, edges).passed
    assert not token_sums(np.array([-1.75, -3.0]), tokens, edges).passed
    assert token_sums(np.empty(0), np.empty(0), np.zeros(1, np.int64)).passed


Sample = tuple[int, list[int], list[float]]


def samples(*rows: Sample) -> TokenScores:
    """Samples of (prompt, tokens, log-probabilities)."""
    lengths = np.array([0, *(len(tokens) for _, tokens, _ in rows)], np.int64)
    return TokenScores(
        np.array([prompt for prompt, _, _ in rows], np.int64),
        np.cumsum(lengths),
        np.array([token for _, tokens, _ in rows for token in tokens], np.int64),
        np.array([value for _, _, values in rows for value in values], np.float64),
    )


def test_shared_prefixes_by_hand() -> None:
    # Drawn: 1 2 3 and 1 4. Scored: 1 2 9 shares two tokens, 1 4 shares two, 7 none.
    drawn = samples((0, [1, 2, 3], [-0.5, -1.0, -2.0]), (0, [1, 4], [-0.5, -3.0]))
    scored = samples((0, [1, 2, 9], [-0.7, -1.0, -8.0]), (0, [1, 4], [-0.5, -3.4]), (0, [7], [-4.0]))
    check = shared_prefixes(drawn, scored, 0.0)
    assert check is not None
    assert check.residual == pytest.approx((0.2 + 0.0 + 0.0 + 0.4) / 4)
    assert not check.passed
    same = shared_prefixes(drawn, drawn, 0.0)
    assert same is not None
    assert (same.residual, same.passed) == (0.0, True)
    # An engine whose own tokens move by 0.1 is allowed 0.4.
    assert shared_prefixes(drawn, scored, 0.1).passed  # type: ignore[union-attr]
    assert shared_prefixes(drawn, samples((0, [7], [-4.0])), 0.0) is None
    assert shared_prefixes(drawn, samples(), 0.0) is None


def test_prompts_are_kept_apart() -> None:
    both = samples((0, [1], [-0.5]), (1, [1], [-2.5]))
    check = shared_prefixes(both, both, 0.0)
    assert check is not None
    assert check.passed
    crossed = shared_prefixes(both, samples((1, [1], [-0.5]), (0, [1], [-2.5])), 0.0)
    assert crossed is not None
    assert crossed.residual == pytest.approx(2.0)


def test_an_impossible_shared_token_is_finite_and_fails() -> None:
    check = shared_prefixes(samples((0, [1], [-0.5])), samples((0, [1], [-math.inf])), 0.0)
    assert check is not None
    assert math.isfinite(check.residual)
    assert not check.passed


def slow_mean(drawn: list[Sample], scored: list[Sample]) -> float | None:
    """The definition: the first drawn sample with a prefix says what its last token should be."""
    known: dict[tuple[int, tuple[int, ...]], float] = {}
    for prompt, tokens, values in drawn:
        for end, value in enumerate(values, 1):
            known.setdefault((prompt, tuple(tokens[:end])), value)
    found = [
        abs(value - known[prompt, tuple(tokens[:end])])
        for prompt, tokens, values in scored
        for end, value in enumerate(values, 1)
        if (prompt, tuple(tokens[:end])) in known
    ]
    return math.fsum(found) / len(found) if found else None


ROWS = st.lists(
    st.tuples(
        st.integers(0, 2), st.lists(st.tuples(st.integers(0, 2), st.floats(-9, 0, width=32)), max_size=4)
    ),
    max_size=8,
).map(lambda rows: [(prompt, [t for t, _ in pairs], [v for _, v in pairs]) for prompt, pairs in rows])


@given(ROWS, ROWS)
def test_shared_prefixes_are_those_of_the_definition(drawn: list[Sample], scored: list[Sample]) -> None:
    check = shared_prefixes(samples(*drawn), samples(*scored), 0.0)
    assert (None if check is None else check.residual) == slow_mean(drawn, scored)
