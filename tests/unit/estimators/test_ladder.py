"""Oracles: enumerated tilts, Gaussians in closed form, and pymbar."""

import logging
import math

import numpy as np
import pytest

from workers.estimators.ladder import bar, mbar, mbar_estimates


def gaussians(rng, means, scales, sizes):
    """Unnormalised e^(-(x-m)²/2s²): log Z = log s + log √2π. Shape ``(K, N)``."""
    draws = np.concatenate([rng.normal(m, s, n) for m, s, n in zip(means, scales, sizes, strict=True)])
    return np.stack([-((draws - m) ** 2) / (2 * s**2) for m, s in zip(means, scales, strict=True)])


def test_gaussians_in_closed_form_with_honest_errors():
    rng = np.random.default_rng(0)
    means, scales, sizes = (0.0, 1.0, 2.5), (1.0, 1.5, 0.7), (200, 150, 300)
    truth = np.log(scales) - math.log(scales[0])
    z = []
    for _ in range(200):
        found = mbar_estimates(gaussians(rng, means, scales, sizes), sizes)
        assert found[0].value == 0.0
        z.append([(e.value - t) / e.std_error for e, t in zip(found[1:], truth[1:], strict=True)])
    assert np.abs(np.mean(z, axis=0)).max() < 0.3
    assert np.std(z, axis=0) == pytest.approx([1.0, 1.0], abs=0.15)


def test_agrees_with_pymbar():
    logging.disable(logging.WARNING)
    from pymbar import MBAR
    from pymbar.other_estimators import bar as pymbar_bar

    rng = np.random.default_rng(1)
    means, scales, sizes = (0.0, 0.8, 1.7, 5.0), (1.0, 1.4, 0.6, 1.0), (80, 120, 60, 0)
    densities = gaussians(rng, means, scales, sizes)
    ours = mbar(densities, sizes)
    theirs = MBAR(-densities, np.array(sizes), solver_protocol="robust").compute_free_energy_differences()
    np.testing.assert_allclose(ours.log_z, -theirs["Delta_f"][0], atol=1e-8)
    variance = ours.covariance[0, 0] + np.diag(ours.covariance) - 2 * ours.covariance[0]
    np.testing.assert_allclose(np.sqrt(np.maximum(variance, 0)), theirs["dDelta_f"][0], atol=1e-6)
    two = gaussians(rng, means[:2], scales[:2], (80, 120))
    ratio = two[1] - two[0]
    theirs = pymbar_bar(-ratio[:80], ratio[80:], method="self-consistent-iteration", relative_tolerance=1e-13)
    found = bar(ratio[:80], ratio[80:])
    assert found.value == pytest.approx(-theirs["Delta_f"], abs=1e-7)
    # Two approximations of one error: Bennett's own, and MBAR's for two states.
    assert found.std_error == pytest.approx(theirs["dDelta_f"], rel=0.02)


@pytest.mark.parametrize("beta", [0.5, 3.0])
def test_a_tilt_without_draws_of_its_own_is_that_of_enumeration(beta):
    """Rungs p, a checkpoint q and the tilt p·e^(βr): log Z of the tilt, from draws of p and q alone."""
    rng = np.random.default_rng(2)
    p, q = rng.dirichlet(np.ones(12)), rng.dirichlet(np.ones(12))
    reward = rng.random(12)
    truth = math.log(float(p @ np.exp(beta * reward)))
    sizes = (400, 400, 0)
    values = []
    for _ in range(60):
        atoms = np.concatenate([rng.choice(12, 400, p=p), rng.choice(12, 400, p=q)])
        densities = np.stack([np.log(p), np.log(q), np.log(p) + beta * reward])[:, atoms]
        found = mbar_estimates(densities, sizes)
        values.append((found[2].value - truth) / found[2].std_error)
        assert abs(found[1].value) < 5 * found[1].std_error  # two normalised laws
    assert abs(np.mean(values)) < 0.5
    assert np.std(values) == pytest.approx(1.0, abs=0.3)


def test_two_laws_differ_by_nothing_and_a_shift_is_found():
    rng = np.random.default_rng(3)
    p, q = rng.dirichlet(np.ones(20)), rng.dirichlet(np.ones(20))
    ratio = np.log(q) - np.log(p)
    first, second = ratio[rng.choice(20, 1280, p=p)], ratio[rng.choice(20, 1280, p=q)]
    honest = bar(first, second)
    assert abs(honest.value) < 4 * honest.std_error
    shifted = bar(first + 0.3, second + 0.3)
    assert shifted.value == pytest.approx(honest.value + 0.3, abs=1e-9)
    same = bar(np.zeros(10), np.zeros(30))
    assert (same.value, same.std_error) == (0.0, pytest.approx(0.0, abs=1e-6))


def test_exclusive_support_and_strangers():
    # Half of each side's draws are impossible for the other: Z of the common half is known on both sides.
    ratio = np.array([0.0] * 50 + [-np.inf] * 50), np.array([0.0] * 50 + [np.inf] * 50)
    found = bar(*ratio)
    assert found.value == pytest.approx(0.0, abs=1e-9)
    far = bar(np.full(20, -60.0), np.full(20, 60.0))
    assert far.status in ("unreliable", "undefined")
    assert bar(np.empty(0), np.zeros(3)).status == "undefined"


def test_refusals():
    with pytest.raises(ValueError, match="as many draws"):
        mbar(np.zeros((2, 3)), [1, 1])
    with pytest.raises(ValueError, match="first rung"):
        mbar(np.zeros((2, 3)), [0, 3])
    with pytest.raises(ValueError, match="NaN"):
        mbar(np.array([[math.nan]]), [1])
    with pytest.raises(ValueError, match="every rung"):
        mbar(np.array([[-math.inf], [0.0]]), [1, 0])
    with pytest.raises(ValueError, match="own"):
        bar(np.array([math.inf]), np.zeros(1))
