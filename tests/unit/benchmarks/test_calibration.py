"""The calibration study runs, resumes and publishes; its figures are the study's own business."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks.calibration.catalogue import CATALOGUE
from benchmarks.calibration.experiment import Experiment, interval
from benchmarks.calibration.experiments.optima import curve_optima, gain_optima
from benchmarks.calibration.frames import spec_of
from benchmarks.calibration.publish import failed_coverage, publish
from benchmarks.calibration.reports import report_of
from benchmarks.calibration.store import Store
from benchmarks.calibration.summary import ALL, coverages, false_creation
from benchmarks.calibration.worlds import Draws, Errors, hidden_world, mode_world, random_world
from workers.estimators.estimate import Estimate


def first_cells(experiment: Experiment, count: int) -> Experiment:
    """The experiment with one cell and few replicates."""
    name = next(iter(experiment.cells))
    cells = {name: {**experiment.cells[name], "replicates": count}}
    return Experiment(
        experiment.name, experiment.title, cells, experiment.replicate, full=count, quick=count, chunk=2
    )


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_every_experiment_runs_and_depends_on_its_number_alone(name: str) -> None:
    small = first_cells(CATALOGUE[name], 3)
    cell = next(iter(small.cells))
    rows = small.run(cell, 0, 2)
    assert small.run(cell, 1, 1) == rows[1:]
    assert json.loads(json.dumps(rows)) == rows


def test_a_stopped_study_goes_on_and_publishes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, small = Store(tmp_path / "work"), {name: first_cells(e, 3) for name, e in CATALOGUE.items()}
    monkeypatch.setattr("benchmarks.calibration.publish.CATALOGUE", small)
    for experiment in small.values():
        chunks = store.missing(experiment, "full")
        assert [(first, count) for _, first, count in chunks] == [(0, 2), (2, 1)]
        for cell, first, count in chunks[:1]:
            store.save(experiment, cell, first, experiment.run(cell, first, count))
        assert store.missing(experiment, "full") == chunks[1:]
        for cell, first, count in chunks[1:]:
            store.save(experiment, cell, first, experiment.run(cell, first, count))
        assert not store.missing(experiment, "full")
        assert [len(rows) for rows in store.rows(experiment, "full").values()] == [3]
    publish(store, "full", tmp_path / "out")
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert {f"{name}.csv" for name in CATALOGUE} | {"results.md", "prompts.png", "nulls.png"} <= written

    # What is not repeated stays, and is said to be older.
    page = (tmp_path / "out" / "results.md").read_text("utf-8")
    publish(Store(tmp_path / "nothing"), "full", tmp_path / "out")
    kept = (tmp_path / "out" / "results.md").read_text("utf-8")
    note = "\n\nOf an earlier study: its replicates were not repeated with the rest."
    assert (kept.count(note), kept.replace(note, "")) == (len(CATALOGUE), page)


def test_an_interval_is_judged_against_the_truth() -> None:
    estimate = Estimate(value=0.5, ci_low=0.4, ci_high=0.7, confidence=0.95, n=9, unit="x")
    assert interval(estimate, 0.6, least_width=0.2) == [1.0, pytest.approx(0.3), 0.2, 1.0]
    assert interval(estimate, 0.71)[0] == 0.0
    open_ended = Estimate(value=None, ci_low=2.0, confidence=0.95, status="censored", reason="x", unit="nats")
    assert interval(open_ended, 5.0) == [1.0, None, None, 1.0]
    assert interval(open_ended, 1.0)[0] == 0.0
    assert interval(Estimate.undefined("x"), 1.0) == [None] * 4


def test_undercoverage_is_found_and_doubtful_intervals_are_counted_apart() -> None:
    good = {"a": [1.0, 1.0, None, 1.0]}
    bad, doubtful = {"a": [0.0, 1.0, None, 1.0]}, {"a": [0.0, 1.0, None, 0.0]}
    found = coverages({"cell": [good] * 900 + [bad] * 100 + [doubtful] * 50})
    by_name = {one.interval: one for one in found if one.cell == ALL}
    assert (by_name["a"].n, by_name["a"].covered, by_name["a"].fails()) == (1000, 0.9, True)
    apart = by_name["a, graded unreliable"]
    assert (apart.n, apart.covered, apart.fails()) == (50, 0.0, False)
    assert not coverages({"cell": [good] * 94 + [bad] * 6})[0].fails()


def test_a_wide_cell_does_not_hide_a_narrow_one() -> None:
    good, bad = {"a": [1.0, 1.0, None, 1.0]}, {"a": [0.0, 1.0, None, 1.0]}
    found = coverages({"M = 10": [good] * 1000, "M = 40": [good] * 910 + [bad] * 90})
    whole = next(one for one in found if one.cell == ALL)
    assert whole.covered > 0.95
    (failure,) = failed_coverage(found)
    assert failure.startswith("a, M = 40: 91.00% of 1000 hold")


def test_parts_are_judged_against_their_mean() -> None:
    rows = [{"gain.created": [x, x - 1.0, x + 1.0, 1.0]} for x in (0.0, 0.5, 1.0, 4.5)]  # mean 1.5
    assert coverages({"cell": rows})[0].covered == 0.5  # only 0.5 and 1.0 lie within 1 of it


def test_the_bound_on_false_creation_by_hand() -> None:
    row = {"unseen rule": 1.0, "unseen rule prompts": 3.0, "samples": 64.0, "unconfirmed": 0.0}
    rows = [{**row, "false": float(i < 8)} for i in range(100)]
    (family,) = false_creation({"tilt": rows})
    # 0.05 + 2.33 sqrt(0.05 * 0.95 / 100)
    assert family.bound == pytest.approx(0.05 + 2.33 * 0.0217945, abs=1e-6)
    assert (family.rate, family.failed) == (0.08, False)


def test_worlds_are_exact() -> None:
    world = random_world(np.random.default_rng(3))
    assert (math.fsum(world.p), math.fsum(world.q)) == (pytest.approx(1.0), pytest.approx(1.0))
    forward, reverse = world.paths()
    # The expected sum of token-level divergences along a path is the divergence of the pair.
    assert float(world.q @ forward.sum(axis=1)) == pytest.approx(world.kl)
    assert float(world.p @ reverse.sum(axis=1)) == pytest.approx(world.reverse_kl)
    for out in (True, False):
        terms = world.terms(out)
        assert sum(terms) == pytest.approx(world.kl)
        assert min(terms) >= -1e-12
    collapsed = mode_world(0.02, 0.9, covered=0.01)
    assert (collapsed.a, collapsed.b) == (pytest.approx(0.02), pytest.approx(0.9))
    tilt = mode_world(0.02, 0.9)
    ratios = tilt.q[tilt.correct & (tilt.q > 0)] / tilt.p[tilt.correct & (tilt.q > 0)]
    assert ratios == pytest.approx(np.full(ratios.size, 45.0))


def test_a_verifier_errs_at_its_rates_and_an_audit_counts_them() -> None:
    errors, rng = Errors(accepts=0.1, refuses=0.4), np.random.default_rng(5)
    correct = np.arange(20_000) < 10_000
    judged = errors.judged(correct, rng)
    # Five standard errors of a rate from 10,000 texts.
    assert judged[correct].mean() == pytest.approx(0.6, abs=5 * math.sqrt(0.24 / 10_000))
    assert judged[~correct].mean() == pytest.approx(0.1, abs=5 * math.sqrt(0.09 / 10_000))
    audit = errors.audit((10_000, 5_000), rng)
    assert (audit["right"], audit["wrong"]) == (10_000, 5_000)
    assert audit["accepted_right"] == pytest.approx(6_000, abs=5 * math.sqrt(10_000 * 0.24))
    assert audit["accepted_wrong"] == pytest.approx(500, abs=5 * math.sqrt(5_000 * 0.09))
    assert Errors().judged(correct, rng) is correct


@pytest.mark.parametrize(
    ("cell", "label"),
    [
        ("a = 0.01 ε, n ≤ 4096, verifier wrong 1 %", "elicitation"),
        ("a = 0.01 ε, n ≤ 4096, verifier wrong 1 %, audit of 500 + 500", "inconclusive"),
        ("a = 64 ε, n ≤ 4096, verifier wrong 1 %, audit of 500 + 500", "elicitation"),
        ("a = 0.01 ε, n ≤ 4096, verifier wrong 1 %, audit of 2,000 + 10,000, K_probe = 32", "creation"),
    ],
)
def test_an_audit_takes_back_a_verdict_that_rests_on_the_verifiers_errors(cell: str, label: str) -> None:
    (row,) = CATALOGUE["creation"].run(cell, 0, 1)
    assert row["label"] == label


def test_draws_extend_what_was_drawn() -> None:
    draws = Draws(mode_world(0.3, 0.8), np.random.default_rng(4))
    first = draws.observe(0, (8, 8), 8, scored=True)
    later = draws.observe(0, (20, 8), 8, scored=True)
    assert (later.reference.correct[:8] == first.reference.correct).all()
    assert (later.reference.n, later.reference.pilot_n, first.pair.n_p) == (20, 8, 8)


def test_what_truncation_hides_is_found_by_the_arm_that_always_counts() -> None:
    spec, generator = spec_of(3, k_probe=64, most=2048, top_p=0.95), np.random.default_rng(4)
    hidden = report_of(spec, [hidden_world(0.2, 0.9)] * 3, generator, scored=False)
    assert [regime.name for regime in hidden.regimes] == ["tail"] * 3
    assert all(
        o.reference.successes == 0 and o.arms["arm:untruncated"].successes for o in hidden.observations
    )
    taught = report_of(spec, [hidden_world(1e-9, 0.9)] * 3, generator, scored=False)
    assert taught.created == [True] * 3


def test_widths_at_best_are_those_of_the_population() -> None:
    """sd of a over Beta(0.5, 2) plus its sampling variance; every prompt counted once among the causes."""
    curves, gains = curve_optima({"prompts": 25}), gain_optima({"prompts": 25})
    mean, variance = 0.2, 0.2 * 0.8 / 3.5
    sampling = (mean - mean**2 - variance) / 64
    assert curves["pass@1"] == pytest.approx(2 * 1.96 * math.sqrt((variance + sampling) / 25), rel=0.01)
    assert curves["coverage 0.5"] < curves["coverage 0.1"]
    assert gain_optima({"prompts": 100})["gain.total"] == pytest.approx(gains["gain.total"] / 2)
    # Created: a quarter of prompts, each with a gain uniform on (0.6, 0.95).
    second = 0.25 * (0.775**2 + 0.35**2 / 12 + 0.775 * 0.225 / 64)
    sd = math.sqrt(second - (0.25 * 0.775) ** 2)
    assert gains["gain.created"] == pytest.approx(2 * 1.96 * sd / 5, rel=0.02)
