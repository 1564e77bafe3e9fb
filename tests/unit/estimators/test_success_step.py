"""Oracle: enumerated laws, whose chance of C is a finite sum."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.estimators.ladder import bar
from workers.estimators.success_step import APART, FEW, LEAST_SUCCESSES, success_step

ATOMS = 12
CORRECT = np.arange(ATOMS) < 5


def laws(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two checkpoints: the second tilts the first towards C and drifts."""
    p = rng.dirichlet(np.ones(ATOMS))
    q = p * np.exp(1.5 * CORRECT + 0.5 * rng.standard_normal(ATOMS))
    return p, q / q.sum()


def successes(law: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
    drawn = np.searchsorted(np.cumsum(law), uniforms).clip(max=ATOMS - 1)
    return drawn[CORRECT[drawn]]


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("n", [48, 256])
def test_intervals_hold_the_enumerated_difference(shared: bool, n: int) -> None:
    # Draws of their own, and draws from the same uniforms, as two checkpoints at one seed make them.
    rng, held, made = np.random.default_rng(7), 0, 0
    for _ in range(500):
        p, q = laws(rng)
        truth = math.log(q[CORRECT].sum() / p[CORRECT].sum())
        ratio, first = np.log(q / p), rng.random(n)
        second = first if shared else rng.random(n)
        found = success_step(ratio[successes(p, first)], ratio[successes(q, second)])
        if found.value is None:
            continue
        made += 1
        held += found.ci_low <= truth <= found.ci_high  # type: ignore[operator]
    print(f"n = {n}, shared {shared}: {made} of 500 estimable, {held / made:.3f} hold")
    assert made > 250
    assert held / made >= 0.95 - 3 * math.sqrt(0.05 * 0.95 / made)


def test_a_pure_tilt_is_found_exactly_by_hand() -> None:
    # On C both laws are proportional: every log-ratio is log(0.6/0.2), and there is nothing left to vary.
    found = success_step(np.full(10, math.log(3.0)), np.full(30, math.log(3.0)))
    assert found.value == pytest.approx(math.log(3.0))
    assert found.std_error == pytest.approx(0.0, abs=1e-6)


def test_from_one_to_the_other_and_back_is_nothing() -> None:
    rng = np.random.default_rng(8)
    p, q = laws(rng)
    ratio = np.log(q / p)
    at_p, at_q = successes(p, rng.random(200)), successes(q, rng.random(200))
    there, back = success_step(ratio[at_p], ratio[at_q]), success_step(-ratio[at_q], -ratio[at_p])
    assert there.value == pytest.approx(-back.value, abs=1e-9)  # type: ignore[operator]
    assert there.std_error == pytest.approx(back.std_error, rel=1e-6)


def test_few_successes_and_strangers_are_not_estimable() -> None:
    enough, few = np.zeros(LEAST_SUCCESSES), np.zeros(LEAST_SUCCESSES - 1)
    assert success_step(enough, enough).status == "ok"
    assert (success_step(few, enough).reason, success_step(enough, few).reason) == (FEW, FEW)
    # Each would have drawn the other's successes once in e^60: nothing says how they compare.
    far = success_step(np.full(20, -60.0), np.full(20, 60.0))
    assert (far.status, far.reason) == ("undefined", APART)
    none = success_step(np.full(20, -np.inf), np.full(20, np.inf))
    assert (none.status, none.reason) == ("undefined", APART)


@given(st.floats(-5.0, 5.0), st.integers(0, 2**32 - 1))
def test_a_shift_of_all_ratios_is_a_shift_of_the_step(shift: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.normal(-0.3, 0.5, 20), rng.normal(0.3, 0.5, 30)
    plain, moved = success_step(first, second), success_step(first + shift, second + shift)
    assert moved.value == pytest.approx(plain.value + shift, abs=1e-8)  # type: ignore[operator]
    # Wider than for independent draws, by sqrt 2 and more for Student.
    narrow = bar(first, second)
    assert plain.std_error == pytest.approx(math.sqrt(2) * narrow.std_error)  # type: ignore[operator]
    assert plain.ci_low < narrow.ci_low  # type: ignore[operator]
