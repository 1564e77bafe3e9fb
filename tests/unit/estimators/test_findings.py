"""Findings on planted records: what must be found, and what must not."""

import math
from dataclasses import replace

import numpy as np
import pytest

from workers.estimators.counts import epsilon, log_e_in, log_e_out
from workers.estimators.findings import (
    collapse,
    drift_dominated,
    format_repair,
    log_e_lost,
    regression,
    select_lost,
    shrinkage,
)
from workers.estimators.gain import PromptRecord, SideSamples, cross_fit
from workers.estimators.regimes import PromptEvidence, Reach, classify_regime
from workers.estimators.share import GainSplit, data_set_shares

K_USE, K_PROBE, PILOT, PLANNED, ALPHA = 8, 256, 64, 2048, 0.05


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def reach_of(c: int, n: int, budget: int) -> Reach:
    threshold, target = epsilon(budget, 0.5), -math.log(ALPHA)
    e_in, e_out = log_e_in(c, n, threshold), log_e_out(c, n, threshold, PLANNED)
    label = "in" if e_in >= target else "out" if e_out >= target else "undetermined"
    return Reach(
        label=label,
        budget=budget,
        successes=c,
        samples=n,
        log_e_in=e_in,
        log_e_out=e_out,
        planned_samples=PLANNED,
    )


def record(name: str, p: tuple[int, int], q: tuple[int, int], **changes) -> PromptRecord:
    """Counts (c, n) of both sides; the pilot is the first 64."""
    evidence = PromptEvidence(
        reference_use=reach_of(*p, K_USE),
        reference_probe=reach_of(*p, K_PROBE),
        candidate_use=reach_of(*q, K_USE),
        candidate_probe=reach_of(*q, K_PROBE),
        selected=False,
        candidate_low=0.0,
    )
    return PromptRecord(prompt_id=name, evidence=evidence, reference=side(*p), candidate=side(*q), **changes)


def side(c: int, n: int, unusable: int = 0) -> SideSamples:
    """The pilot's successes first, then its unusable samples."""
    in_pilot = min(c, PILOT)
    place = np.arange(PILOT)
    return SideSamples(
        pilot=place < in_pilot,
        pilot_unusable=(place >= in_pilot) & (place < in_pilot + unusable),
        successes=c,
        samples=n,
        unusable=unusable,
        low=0.0,
        high=1.0,
    )


def gain_of(prompts: list[PromptRecord]) -> GainSplit:
    return data_set_shares(cross_fit(prompts, alpha=ALPHA, reach=0.5), confidence=0.95, rng=rng()).gain


class TestShrinkage:
    def test_a_loss_needs_both_e_values(self) -> None:
        lost = record("p", (40, 64), (0, 3000)).evidence
        assert log_e_lost(lost) == min(lost.reference_probe.log_e_in, lost.candidate_probe.log_e_out)
        assert log_e_lost(record("p", (0, 3000), (0, 3000)).evidence) < 0
        assert log_e_lost(record("p", (40, 64), (40, 64)).evidence) < 0

    def test_one_of_twenty_needs_twenty_times_the_evidence(self) -> None:
        others = [record(f"k{i}", (30, 64), (40, 64)) for i in range(19)]
        # E_out(0 of 1300) = 23 > 20 calls it out alone, E_out(0 of 2600) = 970 > 20/0.05 among twenty.
        for n, kept in ((1300, False), (2600, True)):
            prompts = [*others, record("gone", (30, 64), (0, n))]
            assert classify_regime(prompts[-1].evidence).name == "lost"
            assert select_lost([one.evidence for one in prompts], ALPHA).any() == kept
            found = shrinkage(prompts, ALPHA)
            assert (None if found is None else found.prompt_ids) == (("gone",) if kept else None)

    def test_many_losses_help_each_other(self) -> None:
        prompts = [record(f"k{i}", (30, 64), (40, 64)) for i in range(10)]
        prompts += [record(f"g{i}", (30, 64), (0, 1600)) for i in range(10)]
        found = shrinkage(prompts, ALPHA)
        assert found is not None
        assert len(found.prompt_ids) == 10
        assert found.detail.startswith("10 of 20 prompts are lost")

    @pytest.mark.slow
    def test_what_sits_on_the_threshold_is_rarely_called_lost(self) -> None:
        """The reference reaches all 20; the candidate's rate is epsilon exactly, which still is reach."""
        edge, called, reports = epsilon(K_PROBE, 0.5), 0, 200
        generator = rng(11)
        for _ in range(reports):
            prompts = []
            for i in range(20):
                n, c = PILOT, int(generator.binomial(PILOT, edge))
                # Stop as soon as it looks lost: the e-value is valid at any stopping time.
                while n < 4096 and c == 0:
                    n, c = n + 256, c + int(generator.binomial(256, edge))
                prompts.append(record(f"p{i}", (30, 64), (c, n)))
            called += shrinkage(prompts, ALPHA) is not None
        assert called <= 22  # binomial 99.9 % at 0.05 of 200


def test_regression_is_about_these_prompts() -> None:
    worse = regression(gain_of([record(f"p{i}", (40, 64), (5, 64)) for i in range(12)]))
    assert worse is not None
    assert "less often" in worse.detail
    assert regression(gain_of([record(f"p{i}", (20, 64), (22, 64)) for i in range(12)])) is None


class TestCollapse:
    def test_a_tilt_has_not_collapsed(self) -> None:
        tilted = rng(1).uniform(1.0, 3.0, 12)
        noise = rng(2).normal(0.0, 0.05, 12)
        assert self.found(tilted + noise, tilted) is None

    def test_half_of_the_entropy_is_the_line(self) -> None:
        tilted = rng(1).uniform(1.0, 3.0, 12)
        assert self.found(0.55 * tilted, tilted) is None
        found = self.found(0.4 * tilted, tilted)
        assert found is not None
        assert "keeps 40%" in found.detail

    def test_few_families_show_nothing(self) -> None:
        tilted = np.full(12, 2.0)
        assert self.found(0.1 * tilted, tilted, families=["a", "b"] * 6) is None
        assert self.found(np.zeros(0), np.zeros(0), families=[]) is None

    def found(self, candidate: np.ndarray, tilted: np.ndarray, families: list[str] | None = None):
        labels = [f"{i}" for i in range(len(tilted))] if families is None else families
        settings = {"max_share": 0.5, "confidence": 0.95, "families": labels}
        return collapse(candidate, tilted, "sequence entropy", **settings)


def test_drift_dominates_where_most_nats_are_neither_asked_for_nor_escape() -> None:
    kl, labels = rng(1).uniform(1.0, 2.0, 12), [f"{i}" for i in range(12)]
    settings = {"min_share": 0.5, "min_nats": 0.1, "confidence": 0.95, "families": labels}
    found = drift_dominated(kl, 0.8 * kl, **settings)
    assert found is not None
    assert found.detail.startswith("80% of the KL")
    assert drift_dominated(kl, 0.4 * kl, **settings) is None
    assert drift_dominated(np.zeros(12), np.zeros(12), **settings) is None
    assert drift_dominated(0.05 * kl, 0.04 * kl, **settings) is None  # a twentieth of a nat is no news


FORMAT = {"max_share": 0.5, "confidence": 0.95}


class TestFormatRepair:
    def prompts(self, unparsed: int) -> list[PromptRecord]:
        """The reference succeeds on 16 of 64 and leaves some unparsed; the candidate on 48 of 64."""
        return [
            replace(record(f"p{i}", (16, 64), (48, 64)), reference=side(16, 64, unparsed)) for i in range(12)
        ]

    def test_the_gain_vanishes_among_parsed_samples(self) -> None:
        prompts = self.prompts(44)  # 16 of 20 parsed ones succeed: 0.8 against 0.75
        found = format_repair(prompts, gain_of(prompts), **FORMAT)
        assert found is not None
        assert "-0.050 instead of +0.500" in found.detail

    def test_an_arm_that_repairs_the_format_shows_it(self) -> None:
        fixed = replace(reach_of(40, 64, K_PROBE), arm="fix", repairs_format=True)
        open_arm = replace(reach_of(1, 64, K_PROBE), arm="fix", repairs_format=True)
        other = replace(reach_of(40, 64, K_PROBE), arm="hot")
        arms = [(fixed,), (fixed, other), (open_arm,), (other,), *[()] * 8]
        assert (fixed.label, open_arm.label) == ("in", "undetermined")
        prompts = [
            replace(one, evidence=replace(one.evidence, elicitation_arms=reaches))
            for one, reaches in zip(self.prompts(44), arms, strict=True)
        ]
        found = format_repair(prompts, gain_of(prompts), **FORMAT)
        assert found is not None
        assert "shown by arm fix on 2 of 12 prompts that gained, where 80 of 128" in found.detail
        assert found.prompt_ids == ("p0", "p1")

    def test_without_such_an_arm_it_is_suspected(self) -> None:
        prompts = self.prompts(44)
        found = format_repair(prompts, gain_of(prompts), **FORMAT)
        assert found is not None
        assert found.detail.startswith("format repair suspected:")
        assert found.prompt_ids == ()

    def test_a_gain_that_stays_is_no_repair(self) -> None:
        for unparsed in (0, 16):
            prompts = self.prompts(unparsed)
            assert format_repair(prompts, gain_of(prompts), **FORMAT) is None

    def test_a_reference_that_never_parses_shows_no_gain_on_parsed_samples(self) -> None:
        prompts = [replace(record(f"p{i}", (0, 64), (48, 64)), reference=side(0, 64, 64)) for i in range(12)]
        assert format_repair(prompts, gain_of(prompts), **FORMAT) is not None

    def test_without_a_gain_nothing_was_repaired(self) -> None:
        prompts = [
            replace(record(f"p{i}", (48, 64), (48, 64)), reference=side(10, 64, 50)) for i in range(12)
        ]
        even = [replace(one, candidate=side(10, 64, 50)) for one in prompts]
        assert format_repair(even, gain_of(even), **FORMAT) is None
