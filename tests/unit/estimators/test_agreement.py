"""Oracle: hand-made samples whose two passes agree exactly, and then do not by a known amount."""

import math

import numpy as np
import pytest

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
    rows = [np.float32([-1.5, -0.25]).astype(float), np.array([-2.0, -math.inf])]
    assert token_sums(np.array([-1.75, -math.inf]), rows).passed
    assert not token_sums(np.array([-1.95, -math.inf]), rows).passed
    assert not token_sums(np.array([-1.75, -3.0]), rows).passed
    assert token_sums(np.empty(0), []).passed


def test_shared_prefixes_by_hand() -> None:
    # Drawn: 1 2 3 and 1 4. Scored: 1 2 9 shares two tokens, 1 4 shares two, 7 none.
    drawn = [TokenScores([1, 2, 3], [-0.5, -1.0, -2.0]), TokenScores([1, 4], [-0.5, -3.0])]
    scored = [
        TokenScores([1, 2, 9], [-0.7, -1.0, -8.0]),
        TokenScores([1, 4], [-0.5, -3.4]),
        TokenScores([7], [-4.0]),
    ]
    check = shared_prefixes([drawn], [scored], 0.0)
    assert check is not None
    assert check.residual == pytest.approx((0.2 + 0.0 + 0.0 + 0.4) / 4)
    assert not check.passed
    same = shared_prefixes([drawn], [drawn], 0.0)
    assert same is not None
    assert (same.residual, same.passed) == (0.0, True)
    # An engine whose own tokens move by 0.1 is allowed 0.4.
    assert shared_prefixes([drawn], [scored], 0.1).passed  # type: ignore[union-attr]
    assert shared_prefixes([drawn], [[TokenScores([7], [-4.0])]], 0.0) is None


def test_prompts_are_kept_apart() -> None:
    one, other = [TokenScores([1], [-0.5])], [TokenScores([1], [-2.5])]
    check = shared_prefixes([one, other], [one, other], 0.0)
    assert check is not None
    assert check.passed
    crossed = shared_prefixes([one, other], [other, one], 0.0)
    assert crossed is not None
    assert crossed.residual == pytest.approx(2.0)


def test_an_impossible_shared_token_is_finite_and_fails() -> None:
    check = shared_prefixes([[TokenScores([1], [-0.5])]], [[TokenScores([1], [-math.inf])]], 0.0)
    assert check is not None
    assert math.isfinite(check.residual)
    assert not check.passed
