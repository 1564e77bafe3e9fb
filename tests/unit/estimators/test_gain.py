"""Per-prompt gains and the cross-fitted split, against hand arithmetic and the slow definition."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from workers.estimators.counts import clopper_pearson, epsilon, log_e_in
from workers.estimators.gain import (
    CREATED,
    ELICITED,
    LOST,
    UNDETERMINED,
    PromptRecord,
    SideSamples,
    cross_fit,
    gain_estimate,
)
from workers.estimators.regimes import PromptEvidence, Reach, ReachClass
from workers.estimators.verifier_noise import Audit, NoiseBounds

K_USE, K_PROBE, ALPHA, REACH = 8, 256, 0.05, 0.5


def side(outcomes: str, low: float | None = None, high: float | None = None) -> SideSamples:
    """Outcomes in sample order: 1 success, 0 failure, t truncated."""
    pilot = np.array([mark == "1" for mark in outcomes], np.bool_)
    unusable = np.array([mark == "t" for mark in outcomes], np.bool_)
    bounds = clopper_pearson(int(pilot.sum()), pilot.size, 0.95)
    return SideSamples(
        pilot=pilot,
        pilot_unusable=unusable,
        successes=int(pilot.sum()),
        samples=pilot.size,
        unusable=int(unusable.sum()),
        low=bounds[0] if low is None else low,
        high=bounds[1] if high is None else high,
    )


def prompt(
    reference: SideSamples,
    candidate: SideSamples,
    label: ReachClass,
    *,
    selected: bool = True,
    floor: float | None = 0.0,
    family: str | None = None,
) -> PromptRecord:
    def reach(budget: int, found: ReachClass) -> Reach:
        return Reach(
            label=found,
            budget=budget,
            successes=0,
            samples=2000,
            log_e_in=0.0,
            log_e_out=0.0,
            planned_samples=4096,
        )

    evidence = PromptEvidence(
        reference_use=reach(K_USE, "out" if label == "out" else "undetermined"),
        reference_probe=reach(K_PROBE, label),
        candidate_use=reach(K_USE, "in"),
        candidate_probe=reach(K_PROBE, "in"),
        selected=selected,
        candidate_low=candidate.low,
        chance_floor=floor,
    )
    return PromptRecord(
        prompt_id="p", evidence=evidence, reference=reference, candidate=candidate, family=family
    )


def split(record: PromptRecord) -> list[float]:
    return [float(part) for part in cross_fit([record], alpha=ALPHA, reach=REACH).contributions()[0]]


class TestGainEstimate:
    def test_by_hand(self) -> None:
        # a = 1/4 in [0.1, 0.5], b = 3/4 in [0.6, 0.8]: gain 0.5,
        # low 0.5 - 1.06 sqrt(0.15^2 + 0.25^2) = 0.1909595, high 0.5 + 1.06 sqrt(0.05^2 + 0.15^2) = 0.6676007.
        found = gain_estimate(side("1000", 0.1, 0.5), side("0111", 0.6, 0.8), confidence=0.95)
        assert found.value == 0.5
        assert found.ci_low == pytest.approx(0.1909595, abs=1e-7)
        assert found.ci_high == pytest.approx(0.6676007, abs=1e-7)
        assert found.std_error == pytest.approx(math.sqrt(2 * 0.25 * 0.75 / 3))
        assert (found.n, found.unit) == (4, "probability")

    def test_point_is_the_pilot_even_outside_the_totals(self) -> None:
        # The pilot shows 2/4, all 4,000 samples bound a by 0.01: centre 0.01, interval holds 0.75 - 0.5.
        topped_up = replace(side("1100"), samples=4000, low=0.001, high=0.01)
        found = gain_estimate(topped_up, side("0111", 0.6, 0.8), confidence=0.95)
        assert found.value == 0.25
        assert found.ci_low == 0.25
        assert found.ci_high == pytest.approx(0.74 + 1.06 * math.hypot(0.05, 0.009))

    def test_no_samples_is_undefined_and_one_has_no_error_bar(self) -> None:
        assert gain_estimate(side(""), side("1"), confidence=0.95).status == "undefined"
        assert gain_estimate(side("0"), side("1"), confidence=0.95).std_error is None

    @pytest.mark.parametrize("n", [4, 8, 16, 24])
    def test_coverage_by_enumeration(self, n: int) -> None:
        sides = [side("1" * c + "0" * (n - c)) for c in range(n + 1)]
        found = [[gain_estimate(p, q, confidence=0.95) for q in sides] for p in sides]
        low = np.array([[one.ci_low for one in row] for row in found], np.float64)
        high = np.array([[one.ci_high for one in row] for row in found], np.float64)
        rates = [0.0, 0.01, 0.02, 0.05, *np.linspace(0.1, 0.9, 9), 0.95, 0.99, 1.0]
        mass = {rate: binom.pmf(np.arange(n + 1), n, rate) for rate in rates}
        for a in rates:
            for b in rates:
                holds = (low <= b - a + 1e-12) & (b - a - 1e-12 <= high)
                assert (np.outer(mass[a], mass[b]) * holds).sum() >= 0.95, (a, b)

    def test_an_audit_stretches_the_gain_back(self) -> None:
        # f = 0.1, m = 0.1: accepted rates of 0.25 and 0.75 are 0.1875 and 0.8125, and errors grow by 1/0.8.
        audit = Audit(right=100, accepted_right=90, wrong=100, accepted_wrong=10)
        found = gain_estimate(side("1000", 0.1, 0.5), side("0111", 0.6, 0.9), confidence=0.95, audit=audit)
        assert found.value == pytest.approx(0.625)
        assert found.std_error == pytest.approx(math.sqrt(2 * 0.25 * 0.75 / 3) / 0.8)
        reach = 1.06 * math.hypot(0.8125 - 0.6, 0.5 - 0.1875)
        assert found.ci_low == pytest.approx(0.625 - reach)
        blind = Audit(right=10, accepted_right=1, wrong=10, accepted_wrong=9)
        assert gain_estimate(side("1"), side("1"), confidence=0.95, audit=blind).status == "undefined"

    @pytest.mark.parametrize(("a", "b"), [(0.0, 0.0), (0.1, 0.9), (0.3, 0.5), (0.9, 0.9)])
    def test_coverage_with_an_audit_by_enumeration(self, a: float, b: float) -> None:
        """All counts of 24 samples a side, under a verifier whose two rates are known."""
        n, f, m = 24, 0.1, 0.2
        noise = NoiseBounds(f, f, m, m)
        audit = Audit(right=1000, accepted_right=800, wrong=1000, accepted_wrong=100)
        seen = [side("1" * c + "0" * (n - c)) for c in range(n + 1)]
        ends = [noise.true_interval(one.low, one.high) for one in seen]
        sides = [replace(one, low=low, high=high) for one, (low, high) in zip(seen, ends, strict=True)]
        held = 0.0
        mass = [binom.pmf(np.arange(n + 1), n, f + rate * (1 - f - m)) for rate in (a, b)]
        for i, p in enumerate(sides):
            for j, q in enumerate(sides):
                one = gain_estimate(p, q, confidence=0.95, audit=audit)
                held += mass[0][i] * mass[1][j] * (one.ci_low - 1e-9 <= b - a <= one.ci_high + 1e-9)
        assert held >= 0.95


class TestCauses:
    """Folds of 8: all successes are `in` at K_use, so the deciding fold matters only where said."""

    hit, miss = "1" * 8, "0" * 8

    def test_in_reach_is_elicited(self) -> None:
        assert split(prompt(side("0" * 16), side(self.hit * 2), "in")) == [1.0, 0.0, 0.0, 0.0]

    def test_out_and_taught_is_created(self) -> None:
        assert split(prompt(side("0" * 16), side(self.hit * 2), "out")) == [0.0, 1.0, 0.0, 0.0]

    def test_unconfirmed_counts_as_undetermined(self) -> None:
        assert split(prompt(side("0" * 16), side(self.hit * 2), "out", selected=False))[UNDETERMINED] == 1.0
        assert split(prompt(side("0" * 16), side(self.hit * 2), "out", floor=None))[UNDETERMINED] == 1.0
        # Eight of eight show b > 0.63 only.
        assert split(prompt(side("0" * 16), side(self.hit * 2), "out", floor=0.7))[UNDETERMINED] == 1.0
        assert split(prompt(side("0" * 16), side(self.hit * 2), "out", floor=0.6))[CREATED] == 1.0

    def test_open_reference_is_undetermined(self) -> None:
        assert split(prompt(side("0" * 16), side(self.hit * 2), "undetermined"))[UNDETERMINED] == 1.0

    def test_what_a_strict_verifier_refuses_is_not_lost(self) -> None:
        """It accepts half of what is right: 40 of 80 a side are a = b = 1, and no decline."""
        noise = NoiseBounds(0.0, 0.0, 0.5, 0.5)
        half = side("10" * 40)
        one = replace(half, noise=noise, low=2 * half.low, high=min(1.0, 2 * half.high))
        assert one.low > half.high
        fit = cross_fit([prompt(one, one, "in")], alpha=ALPHA, reach=REACH)
        assert fit.causes_seen().tolist() == [[ELICITED, ELICITED]]
        fewer = replace(one, pilot=side("1" + "0" * 79).pilot, successes=1, low=0.0, high=0.3)
        assert split(prompt(one, fewer, "in"))[LOST] == pytest.approx(1 / 80 - 1 / 2)

    def test_what_a_lax_verifier_accepts_is_not_reached(self) -> None:
        """A fifth of the wrong texts is accepted: 20 of 80 exceed epsilon(8) of it, and show no success."""
        noise = NoiseBounds(0.2, 0.2, 0.0, 0.0)
        few = side("1000" * 40)
        plain = prompt(side("0" * 40), few, "out")
        assert split(plain)[CREATED] == pytest.approx(0.25)
        evidence = plain.evidence
        noisy = replace(evidence, candidate_use=replace(evidence.candidate_use, noise=noise))
        assert split(replace(plain, evidence=noisy))[CREATED] == 0.0

    def test_decline_is_lost_whatever_the_reference(self) -> None:
        # The deciding fold bounds b by 0.369; a >= 0.79.
        for label in ("in", "undetermined"):
            assert split(prompt(side("1" * 16), side(self.miss * 2), label)) == [0.0, 0.0, -1.0, 0.0]

    def test_a_decline_that_is_not_certified_is_not_lost(self) -> None:
        assert split(prompt(side("1" * 4 + "0" * 12), side(self.miss * 2), "in"))[ELICITED] == -0.25

    def test_one_fold_decides_the_other_measures(self) -> None:
        # Fold 1 (all hits) decides `created` for fold 2 (gain 0); fold 2 decides `undetermined` for fold 1.
        assert split(prompt(side("0" * 16), side(self.hit + self.miss), "out")) == [0.0, 0.0, 0.0, 0.5]
        assert split(prompt(side("0" * 16), side(self.miss + self.hit), "out")) == [0.0, 0.0, 0.0, 0.5]

    def test_unequal_folds_weigh_by_their_samples(self) -> None:
        # Five samples: folds 111 and 00, b = 0.6, a = 0.5 of 4; both folds decide `elicited`.
        assert split(prompt(side("0101"), side("11100"), "in"))[ELICITED] == pytest.approx(0.1)

    def test_one_sample_and_none(self) -> None:
        assert split(prompt(side("0"), side("1"), "in")) == [1.0, 0.0, 0.0, 0.0]
        fit = cross_fit([prompt(side("0"), side(""), "in")], alpha=ALPHA, reach=REACH)
        assert (fit.size, fit.excluded) == (0, 1)


def slow_split(record: PromptRecord) -> list[float]:
    """The definition, one fold at a time."""
    pilot = [bool(x) for x in record.candidate.pilot]
    middle = (len(pilot) + 1) // 2
    folds = [pilot[:middle], pilot[middle:]]
    label = record.evidence.reference_probe.label
    a = sum(map(int, record.reference.pilot)) / len(record.reference.pilot)
    parts = [0.0] * 4
    for decides, measures in ((folds[0], folds[1]), (folds[1], folds[0])):
        if not measures:
            continue
        c, n = sum(decides), len(decides)
        within = n > 0 and log_e_in(c, n, epsilon(K_USE, REACH)) >= math.log(1 / ALPHA)
        upper = clopper_pearson(c, n, 1 - ALPHA)[1] if n else 1.0
        if label == "out" and record.evidence.selected and within:
            cause = CREATED
        elif upper < record.reference.low:
            cause = LOST
        else:
            cause = ELICITED if label == "in" else UNDETERMINED
        parts[cause] += (sum(measures) / len(measures) - a) * len(measures) / len(pilot)
    return parts


OUTCOMES = st.text(alphabet="01", min_size=1, max_size=40)
RECORDS = st.builds(
    lambda p, q, label, selected: prompt(side(p), side(q), label, selected=selected),
    OUTCOMES,
    OUTCOMES,
    st.sampled_from(["in", "out", "undetermined"]),
    st.booleans(),
)


class TestProperties:
    @given(st.lists(RECORDS, min_size=1, max_size=12))
    def test_matches_the_slow_definition(self, records: list[PromptRecord]) -> None:
        found = sorted(cross_fit(records, alpha=ALPHA, reach=REACH).contributions().tolist())
        expected = sorted(slow_split(record) for record in records)
        assert np.allclose(np.sort(found, axis=0), np.sort(expected, axis=0), atol=1e-12)

    @given(RECORDS)
    def test_parts_sum_to_the_pilot_difference(self, record: PromptRecord) -> None:
        b, a = record.candidate.pilot.mean(), record.reference.pilot.mean()
        assert sum(split(record)) == pytest.approx(float(b - a), abs=1e-12)

    @settings(max_examples=20)
    @given(st.lists(RECORDS, min_size=1, max_size=6))
    def test_order_of_prompts_changes_no_resample(self, records: list[PromptRecord]) -> None:
        draws = [
            cross_fit(order, alpha=ALPHA, reach=REACH).resample(np.random.default_rng(1), 20)
            for order in (records, records[::-1])
        ]
        assert np.array_equal(draws[0], draws[1])


class TestResample:
    def test_blocks_do_not_change_the_shape_or_the_centre(self) -> None:
        records = [prompt(side("0100" * 8), side("0111" * 8), "in")] * 10
        draws = cross_fit(records, alpha=ALPHA, reach=REACH).resample(np.random.default_rng(0), 4000)
        assert draws.shape == (4000, 5)
        # 32 samples a side: sd of the mean of ten gains is sqrt(2 * 3/16 / 32 / 10) = 0.0342.
        assert draws[:, :4].sum(axis=1).mean() == pytest.approx(0.5, abs=4 * 0.0342 / math.sqrt(4000))
        assert draws[:, :4].sum(axis=1).std() == pytest.approx(0.0342, rel=0.1)

    def test_only_successes_do_not_read_as_certain(self) -> None:
        records = [prompt(side("0" * 32), side("1" * 32), "in")] * 10
        draws = cross_fit(records, alpha=ALPHA, reach=REACH).resample(np.random.default_rng(0), 2000)
        assert draws[:, ELICITED].std() > 0.005

    def test_slack_is_epsilon_where_created(self) -> None:
        created, elicited = (prompt(side("0" * 32), side("1" * 32), label) for label in ("out", "in"))
        fit = cross_fit([created, elicited], alpha=ALPHA, reach=REACH)
        assert fit.created_slack().mean() == pytest.approx(epsilon(K_PROBE, REACH) / 2)
        assert fit.resample(np.random.default_rng(0), 50)[:, 4].max() == pytest.approx(
            epsilon(K_PROBE, REACH) / 2
        )

    def test_standard_error_is_the_spread_over_replicates(self) -> None:
        rng = np.random.default_rng(11)
        totals, errors = [], []
        for _ in range(150):
            records = []
            for a, b in ((0.1, 0.5), (0.3, 0.9), (0.5, 0.4), (0.05, 0.2)):
                p, q = ("".join("1" if x < rate else "0" for x in rng.random(40)) for rate in (a, b))
                records.append(prompt(side(p), side(q), "in"))
            fit = cross_fit(records, alpha=ALPHA, reach=REACH)
            totals.append(fit.contributions().sum(axis=1).mean())
            errors.append(fit.resample(rng, 300)[:, :4].sum(axis=1).std())
        assert 0.85 < np.mean(errors) / np.std(totals) < 1.15


def test_cross_fitting_removes_the_winner_s_curse() -> None:
    """b = 0.15 is `in` at K_use only in lucky folds; the gain of those must still average b - a."""
    rng, b, n = np.random.default_rng(3), 0.15, 64
    weight, gain, naive = 0.0, 0.0, []
    for _ in range(1500):
        pilot = rng.random(n) < b
        record = prompt(side("0" * 64), side("".join("1" if x else "0" for x in pilot)), "out")
        fit = cross_fit([record], alpha=ALPHA, reach=REACH)
        chosen = fit.causes_seen()[0] == CREATED
        weight += chosen.mean()
        gain += float(fit.contributions()[0, CREATED])
        if chosen.any():
            naive.append(pilot.mean())
    assert weight > 50
    assert gain / weight == pytest.approx(b, abs=0.02)
    assert float(np.mean(naive)) > b + 0.02


class TestUnusable:
    def test_counted_as_successes(self) -> None:
        before = replace(side("10tt"), samples=40, successes=3, unusable=12)
        after = before.with_unusable_as_successes(alpha=ALPHA, threshold=epsilon(K_PROBE, REACH))
        assert after.pilot.tolist() == [True, False, True, True]
        assert (after.successes, after.samples, after.unusable) == (15, 40, 0)
        assert after.low <= 15 / 40 <= after.high

    def test_nothing_to_move(self) -> None:
        one = side("10")
        assert one.with_unusable_as_successes(alpha=ALPHA, threshold=0.1) is one


@pytest.mark.parametrize(
    "bad",
    [
        {"samples": 3},
        {"successes": 1},
        {"successes": 3},
        {"unusable": 0},
        {"unusable": 2},
        {"low": 0.9, "high": 0.1},
        {"pilot_unusable": np.zeros(3, np.bool_)},
        {"pilot_unusable": np.ones(4, np.bool_)},
    ],
)
def test_sides_refuse_contradictions(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"pilot|unusable|bounds|totals"):
        replace(side("110t"), **bad)
