"""Scoring evidence far down and where the candidate misses modes: what it shows and what it never does."""

import numpy as np
import pytest
from scipy import stats

from benchmarks.calibration.experiments.scoring import SCORING
from benchmarks.calibration.frames import spec_of
from benchmarks.calibration.reports import report_of
from benchmarks.calibration.worlds import mode_world
from workers.estimators.counts import epsilon
from workers.estimators.regimes import CREATED, reference_class

REPLICATES = 300
COVERING = [
    cell for cell in SCORING.cells if cell.startswith("a = 1e-6") and ("n = 256" in cell or "b = 0.9" in cell)
]
MISSING = [cell for cell in SCORING.cells if "covers" in cell]


@pytest.mark.slow
@pytest.mark.parametrize("cell", COVERING)
def test_one_in_a_million_is_found_from_at_most_256_samples_a_side(cell: str) -> None:
    # A log-spread of up to 1 nat (standard deviation) inside C; b = 0.3 takes 256 a side, b = 0.9 takes 64.
    rows = SCORING.run(cell, 0, REPLICATES)
    assert np.mean([row["point within 1.5"] for row in rows]) >= 0.9
    assert np.mean([row["bound within 3"] for row in rows]) >= 0.9
    assert np.mean([row["bound holds"] for row in rows]) >= 0.975
    # The upper end is from the reference's own samples, and far above: nothing here shows `out`.
    assert all(row["interval holds"] for row in rows)
    assert not any(row["out"] for row in rows)


@pytest.mark.slow
@pytest.mark.parametrize("cell", MISSING)
def test_a_missed_mode_leaves_the_interval_honest(cell: str) -> None:
    rows = SCORING.run(cell, 0, REPLICATES)
    held = sum(row["interval holds"] for row in rows)
    assert stats.binomtest(int(held), REPLICATES, 0.95, alternative="less").pvalue > 0.001
    assert not any(row["out"] for row in rows)


@pytest.mark.slow
@pytest.mark.parametrize("covered", [0.5, 0.01, 1e-6])
@pytest.mark.parametrize("times", [4.0, 20.0, 100.0])
def test_a_collapsed_candidate_makes_nothing_unreachable(times: float, covered: float) -> None:
    # Whole adaptive reports of 10 prompts that the reference reaches, by a factor of 4 or more.
    rng, spec = np.random.default_rng(int(times * 1000) + int(1 / covered)), spec_of(10, most=2048)
    world = mode_world(times * epsilon(256, 0.5), 0.9, covered=covered)
    for _ in range(10):
        report = report_of(spec, [world] * 10, rng)
        assert not any(reference_class(record.evidence) == "out" for record in report.records)
        assert not any(regime.name in CREATED for regime in report.regimes)
