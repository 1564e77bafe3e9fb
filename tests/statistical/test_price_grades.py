"""Prices graded ``ok`` on enumerable worlds whose candidate visits all, some or hardly any of C."""

import math
from collections.abc import Iterator

import numpy as np
import pytest

from benchmarks.calibration.frames import spec_of
from benchmarks.calibration.worlds import Draws, World, mode_world, random_world
from workers.estimators.estimate import Estimate
from workers.estimators.price import PRICE_TOLERANCE
from workers.pipelines.assessment import reference_bounds

WORLDS, SAMPLES = 400, 64


def price_of(world: World, rng: np.random.Generator) -> Estimate:
    seen = Draws(world, rng).observe(0, (SAMPLES, SAMPLES), SAMPLES, scored=True)
    return reference_bounds(spec_of(1, pilot=SAMPLES), seen, 0.05).price


def priced(worlds: Iterator[World], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Whether each price is graded ok, and whether it lies within the tolerance of the enumerated one."""
    ok, near = [], []
    for world in worlds:
        found = price_of(world, rng)
        ok.append(found.status == "ok")
        near.append(found.value is not None and abs(found.value + math.log(world.a)) <= PRICE_TOLERANCE)
    return np.array(ok), np.array(near)


def dropping(rng: np.random.Generator, covered: float, most: float = 0.5) -> Iterator[World]:
    for _ in range(WORLDS):
        a = math.exp(rng.uniform(math.log(1e-5), math.log(most)))
        yield mode_world(a, float(rng.uniform(0.3, 0.95)), covered=covered)


@pytest.mark.parametrize(
    "covered", [0.5, 0.01, *(pytest.param(c, marks=pytest.mark.slow) for c in (0.1, 1e-4))]
)
def test_where_modes_are_dropped_ok_prices_are_near(covered: float) -> None:
    rng = np.random.default_rng(int(1e6 * covered))
    ok, near = priced(dropping(rng, covered), rng)
    print(f"covers {covered:g}: {ok.sum()} of {WORLDS} ok, {near[ok].mean():.3f} of these near")
    assert ok.sum() >= 40
    assert near[ok].mean() >= 0.95
    # Half of C is within the tolerance of all of it; else many points are far off, and none of these is ok.
    assert covered == 0.5 or (~near).sum() >= 0.1 * WORLDS


def test_in_covered_worlds_ok_prices_are_near_and_good_ones_are_ok() -> None:
    rng = np.random.default_rng(11)
    worlds = [random_world(rng) for _ in range(WORLDS)]
    ok, near = priced(iter(worlds), rng)
    good = np.array([world.a >= 0.1 for world in worlds])
    print(f"covered: {ok.sum()} of {WORLDS} ok, {near[ok].mean():.3f} near; {ok[good].mean():.3f} of good ok")
    assert near[ok].mean() >= 0.95
    assert good.sum() >= 80
    assert ok[good].mean() >= 0.9


def test_far_down_no_price_is_ok_whatever_the_weights_say() -> None:
    # a = 1e-6 and a candidate that visits all of C: right, and nothing of the reference's own shows it.
    rng = np.random.default_rng(12)
    ok, near = priced(iter([mode_world(1e-6, 0.9)] * 50), rng)
    assert near.all()
    assert not ok.any()
