"""The verdict on planted populations, drawn from known success rates, and its invariances."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.estimators.counts import epsilon, log_e_in, log_e_out, success_interval
from workers.estimators.decision import Decision
from workers.estimators.gain import PromptRecord, SideSamples
from workers.estimators.regimes import PromptEvidence, Reach, ReachClass, select_out
from workers.estimators.selection import log_target
from workers.estimators.unusable import move_unusable, unusable_share
from workers.estimators.verdict import Label, Verdict, decide

DECISION = Decision()
K_USE, K_PROBE, PILOT, MAXIMUM = 8, 256, 64, 4096
SIGNIFICANT = -math.log(DECISION.alpha)


def reach_of(c: int, n: int, budget: int, unusable: int = 0, reach: float = DECISION.reach) -> Reach:
    threshold = epsilon(budget, reach)
    e_in, e_out = log_e_in(c, n, threshold), log_e_out(c, n, threshold, MAXIMUM)
    label: ReachClass = "undetermined"
    if e_in >= SIGNIFICANT:
        label = "in"
    elif e_out >= SIGNIFICANT:
        label = "out"
    return Reach(
        label=label,
        budget=budget,
        successes=c,
        samples=n,
        log_e_in=e_in,
        log_e_out=e_out,
        planned_samples=MAXIMUM,
        unusable=unusable,
    )


def side(pilot: np.ndarray, c: int, n: int, unusable: np.ndarray | None = None) -> SideSamples:
    flags = np.zeros(pilot.size, np.bool_) if unusable is None else unusable
    low, high = success_interval(
        int(pilot.sum()),
        pilot.size,
        c,
        n,
        confidence=1 - DECISION.alpha,
        threshold=epsilon(K_PROBE, DECISION.reach),
        adaptive=True,
    )
    return SideSamples(
        pilot=pilot.astype(np.bool_),
        pilot_unusable=flags,
        successes=c,
        samples=n,
        unusable=int(flags.sum()),
        low=low,
        high=high,
    )


def record(
    name: str,
    reference: SideSamples,
    candidate: SideSamples,
    k_probe: int = K_PROBE,
    family: str | None = None,
    split: str | None = None,
) -> PromptRecord:
    p, q = reference, candidate
    evidence = PromptEvidence(
        reference_use=reach_of(p.successes, p.samples, K_USE, p.unusable),
        reference_probe=reach_of(p.successes, p.samples, k_probe, p.unusable),
        candidate_use=reach_of(q.successes, q.samples, K_USE, q.unusable),
        candidate_probe=reach_of(q.successes, q.samples, k_probe, q.unusable),
        selected=False,
        candidate_low=q.low,
        chance_floor=0.0,
    )
    return PromptRecord(
        prompt_id=name, evidence=evidence, reference=p, candidate=q, family=family, split=split
    )


def select(records: Sequence[PromptRecord]) -> list[PromptRecord]:
    kept = select_out([r.evidence for r in records], DECISION.alpha)
    return [
        replace(r, evidence=replace(r.evidence, selected=bool(k))) for r, k in zip(records, kept, strict=True)
    ]


def top_up(
    a: np.ndarray, c: np.ndarray, rng: np.random.Generator, *, aim: str, maximum: int
) -> tuple[np.ndarray, np.ndarray]:
    """Reference counts after rounds of 128 until each prompt is settled; `aim` sets when `out` is."""
    n, threshold = np.full(a.size, PILOT), epsilon(K_PROBE, DECISION.reach)
    while True:
        e_in = np.array([log_e_in(int(x), int(m), threshold) for x, m in zip(c, n, strict=True)])
        e_out = np.array([log_e_out(int(x), int(m), threshold, MAXIMUM) for x, m in zip(c, n, strict=True)])
        claimed = int(((c == 0) & (e_in < SIGNIFICANT)).sum())
        target = log_target(a.size, max(claimed, 1), DECISION.alpha) if aim == "e_bh" else SIGNIFICANT
        open_prompts = (e_in < SIGNIFICANT) & (e_out < target) & (n < maximum)
        if not open_prompts.any():
            return c, n
        step = np.where(open_prompts, np.minimum(128, maximum - n), 0)
        c, n = c + rng.binomial(step, a), n + step


def simulate(
    a: Sequence[float],
    b: Sequence[float],
    rng: np.random.Generator,
    *,
    aim: str = "e_bh",
    maximum: int = MAXIMUM,
) -> list[PromptRecord]:
    rates_p, rates_q = np.array(a, np.float64), np.array(b, np.float64)
    pilot_p = rng.random((rates_p.size, PILOT)) < rates_p[:, None]
    pilot_q = rng.random((rates_q.size, PILOT)) < rates_q[:, None]
    c, n = top_up(rates_p, pilot_p.sum(axis=1), rng, aim=aim, maximum=maximum)
    records = [
        record(
            f"p{i}", side(pilot_p[i], int(c[i]), int(n[i])), side(pilot_q[i], int(pilot_q[i].sum()), PILOT)
        )
        for i in range(rates_p.size)
    ]
    return select(records)


def verdict(records: Sequence[PromptRecord], seed: int = 0) -> Verdict:
    return decide(records, DECISION, rng=np.random.default_rng(seed))


def labels(a: Sequence[float], b: Sequence[float], seeds: int, **options: str) -> list[Label]:
    out = []
    for seed in range(seeds):
        rng = np.random.default_rng([20260508, seed])
        out.append(decide(simulate(a, b, rng, **options), DECISION, rng=rng).label)
    return out


TAIL, FAR, TAUGHT = 0.015, 1e-5, 0.9
SPREAD = [float(rate) for rate in np.linspace(0.0, 0.95, 20)]
PLANTED: list[tuple[str, list[float], list[float], Label]] = [
    ("a tail skill is lifted", [TAIL] * 20, [TAUGHT] * 20, "elicitation"),
    ("far-out skills are taught", [FAR] * 20, [TAUGHT] * 20, "creation"),
    ("twelve lifted, eight taught", [TAIL] * 12 + [FAR] * 8, [TAUGHT] * 20, "mixed"),
    ("three of twenty taught", [TAIL] * 17 + [FAR] * 3, [TAUGHT] * 20, "mixed"),
    ("nothing changed", SPREAD, SPREAD, "inconclusive"),
    ("nothing changed, in the tail", [TAIL] * 20, [TAIL] * 20, "inconclusive"),
    ("only losses", [0.6] * 20, [0.1] * 20, "inconclusive"),
]


class TestPlantedPopulations:
    @pytest.mark.parametrize(("name", "a", "b", "expected"), PLANTED, ids=[case[0] for case in PLANTED])
    def test_label(self, name: str, a: list[float], b: list[float], expected: Label) -> None:
        assert labels(a, b, 3) == [expected] * 3

    @pytest.mark.slow
    @pytest.mark.parametrize(("name", "a", "b", "expected"), PLANTED, ids=[case[0] for case in PLANTED])
    def test_label_at_least_49_times_of_50(
        self, name: str, a: list[float], b: list[float], expected: Label
    ) -> None:
        assert labels(a, b, 50).count(expected) >= 49

    def test_aiming_at_one_prompt_leaves_rare_creation_open(self) -> None:
        # 3 of 20 at 1/alpha = 20 each: e-BH needs 20/(0.05 * 3) = 133.
        a, b = [TAIL] * 17 + [FAR] * 3, [TAUGHT] * 20
        assert labels(a, b, 3, aim="alpha") == ["inconclusive"] * 3

    @pytest.mark.slow
    def test_half_and_half_is_mixed(self) -> None:
        # The true share, 9/(9 + 8.85) = 0.504, lies just above the threshold of creation.
        found = labels([TAIL] * 10 + [FAR] * 10, [TAUGHT] * 20, 50)
        assert set(found) <= {"mixed", "creation"}
        assert found.count("mixed") >= 42

    @pytest.mark.slow
    def test_tilt_at_the_threshold_is_rarely_called_created(self) -> None:
        # Every a is epsilon exactly, the worst case of reach: science.md reports 2 false claims in 60.
        edge, false_claims = epsilon(K_PROBE, DECISION.reach), 0
        for seed in range(60):
            rng = np.random.default_rng([7, seed])
            records = simulate([edge] * 20, [0.5] * 20, rng)
            false_claims += verdict(records).certified_created > 0
        assert false_claims <= 9  # binomial 99.9 % at alpha = 0.05

    def test_creation_takes_about_1600_reference_draws(self) -> None:
        records = simulate([FAR] * 20, [TAUGHT] * 20, np.random.default_rng(1))
        drawn = [record.reference.samples for record in records]
        assert 1100 <= float(np.mean(drawn)) <= 1700

    def test_without_a_top_up_nothing_is_created(self) -> None:
        records = simulate([FAR] * 20, [TAUGHT] * 20, np.random.default_rng(1), maximum=PILOT)
        result = verdict(records)
        assert result.label == "inconclusive"
        assert result.undetermined_share == 1.0
        assert result.certified_created == 0


class TestFindings:
    def test_regression_leads_the_reasons(self) -> None:
        result = verdict(simulate([0.6] * 20, [0.1] * 20, np.random.default_rng(0)))
        assert [finding.finding for finding in result.findings] == ["regression"]
        assert result.reasons[0] == result.findings[0].detail

    def test_no_regression_on_gains_or_nothing(self) -> None:
        assert not verdict(simulate([TAIL] * 20, [TAUGHT] * 20, np.random.default_rng(0))).findings
        assert not verdict(simulate([0.5] * 20, [0.5] * 20, np.random.default_rng(0))).findings

    def test_shrinkage_names_the_prompts(self) -> None:
        records = simulate([TAIL] * 19, [TAUGHT] * 19, np.random.default_rng(0))
        hit, miss = np.ones(PILOT, np.bool_), np.zeros(PILOT, np.bool_)
        lost = record("gone", side(hit, PILOT, PILOT), side(miss, 0, 2600))  # e-BH: 20/0.05
        result = verdict(select([*records, lost]))
        assert [finding.finding for finding in result.findings] == ["shrinkage"]
        assert result.findings[0].prompt_ids == ("gone",)
        assert result.label == "elicitation"  # never netted against the gains


class TestDoubts:
    def test_a_blocking_check_makes_it_inconclusive(self) -> None:
        records = simulate([TAIL] * 20, [TAUGHT] * 20, np.random.default_rng(0))
        blocked = decide(records, DECISION, rng=np.random.default_rng(0), blocking=["z = 5"])
        assert blocked.label == "inconclusive"
        assert blocked.reasons == ("z = 5",)

    def test_undetermined_share_is_a_threshold_of_the_decision(self) -> None:
        records = simulate([TAIL] * 10, [TAUGHT] * 10, np.random.default_rng(0))
        records += [
            replace(one, prompt_id=f"u{i}")
            for i, one in enumerate(
                simulate([FAR] * 10, [TAUGHT] * 10, np.random.default_rng(1), maximum=PILOT)
            )
        ]
        found = verdict(records)
        assert found.label == "inconclusive"
        assert 0.45 < found.undetermined_share < 0.55
        lenient = decide(records, replace(DECISION, undetermined_max_share=0.9), rng=np.random.default_rng(0))
        assert "undetermined prompts" not in " ".join(lenient.reasons)

    def test_undetermined_gain_alone_withholds_a_creation(self) -> None:
        # 13 created and 7 never topped up: the share is at least 0.65, but 35 % of the gain is open.
        rng = np.random.default_rng(0)
        created = simulate([FAR] * 20, [TAUGHT] * 20, rng)[:13]
        unsettled = simulate([FAR] * 7, [TAUGHT] * 7, rng, maximum=PILOT)
        records = [*created, *(replace(one, prompt_id=f"u{i}") for i, one in enumerate(unsettled))]
        assert verdict(records).label == "inconclusive"
        lenient = replace(DECISION, undetermined_max_share=0.5)
        assert decide(records, lenient, rng=np.random.default_rng(0)).label == "creation"

    def test_creation_needs_the_lower_end(self) -> None:
        # 10 lifted, 6 created, 5 open: the share lies between 0.29 and 0.52.
        rng = np.random.default_rng(0)
        known = simulate([TAIL] * 10 + [FAR] * 6, [TAUGHT] * 16, rng)
        unsettled = simulate([FAR] * 5, [TAUGHT] * 5, rng, maximum=PILOT)
        found = verdict([*known, *(replace(one, prompt_id=f"u{i}") for i, one in enumerate(unsettled))])
        assert found.creation_share.upper.ci_high is not None
        assert found.creation_share.upper.ci_high > DECISION.creation_min_share
        assert found.label == "mixed"

    def test_nine_prompts_cannot_show_a_gain(self) -> None:
        found = verdict(simulate([TAIL] * 9, [TAUGHT] * 9, np.random.default_rng(0)))
        assert found.gain_p_value == pytest.approx(2**-9)
        assert found.label == "inconclusive"
        assert "at least 10 prompts" in found.reasons[0]

    def test_one_and_no_prompts(self) -> None:
        assert verdict(simulate([TAIL], [TAUGHT], np.random.default_rng(0))).label == "inconclusive"
        assert verdict([]).label == "inconclusive"
        assert verdict([]).gain.total.estimate.status == "undefined"


class TestHeldOut:
    def test_creation_needs_the_held_out_prompts(self) -> None:
        created = simulate([FAR] * 20, [TAUGHT] * 20, np.random.default_rng(0))
        confirmed = [replace(one, split="heldout" if i < 8 else "train") for i, one in enumerate(created)]
        assert verdict(confirmed).label == "creation"
        both = simulate([FAR] * 20 + [TAIL] * 5, [TAUGHT] * 25, np.random.default_rng(1))
        assert verdict(both).label == "creation"  # 20 of 25, until the tail prompts are held out
        refuted = [replace(one, split="HeldOut" if i >= 20 else "train") for i, one in enumerate(both)]
        found = verdict(refuted)
        assert found.label == "mixed"
        assert "not confirmed by the 5 held-out prompts" in found.reasons[-1]
        assert verdict([replace(one, split="train") for one in created]).label != "creation"


class TestUnusable:
    """Reference that fails by truncation: its out-of-reach prompts are format failures."""

    def records(self, truncated: int) -> list[PromptRecord]:
        flags = np.zeros(PILOT, np.bool_)
        flags[:truncated] = True
        records = []
        for one in simulate([FAR] * 20, [TAUGHT] * 20, np.random.default_rng(0)):
            n = one.reference.samples
            moved = replace(one.reference, pilot_unusable=flags, unusable=int(n * truncated / PILOT))
            records.append(record(one.prompt_id, moved, one.candidate))
        return select(records)

    def test_above_the_limit_a_changed_label_is_withheld(self) -> None:
        records = self.records(16)
        assert unusable_share(records) == pytest.approx(0.25, abs=0.01)
        found = verdict(records)
        assert found.label == "inconclusive"
        assert "the reference's" in found.reasons[-1]
        assert "creation into elicitation" in found.reasons[-1]

    def test_below_the_limit_it_stands(self) -> None:
        assert verdict(self.records(6)).label == "creation"

    def test_moving_changes_one_side_only(self) -> None:
        records = self.records(16)
        moved = move_unusable(records, {"reference"}, DECISION)
        for before, after in zip(records, moved, strict=True):
            assert after.reference.successes == before.reference.successes + before.reference.unusable
            assert int(after.reference.pilot.sum()) == int(before.reference.pilot.sum()) + 16
            assert after.evidence.reference_probe.label == "in"
            assert after.candidate is before.candidate
            assert not after.evidence.selected

    def test_a_label_that_survives_is_kept(self) -> None:
        # A reference that reaches them anyway: more successes change nothing that matters.
        flags = np.arange(PILOT) < 20
        records = []
        for one in simulate([TAIL] * 20, [TAUGHT] * 20, np.random.default_rng(0)):
            cut = flags & ~one.reference.pilot
            topped_up = one.reference.samples - PILOT
            unusable = int(cut.sum()) + topped_up // 4
            moved = replace(one.reference, pilot_unusable=cut, unusable=unusable)
            records.append(record(one.prompt_id, moved, one.candidate))
        assert unusable_share(records) > DECISION.unusable_max_share
        assert verdict(select(records)).label == "elicitation"


class TestCurve:
    def test_a_tail_skill_turns_into_creation_at_a_small_budget(self) -> None:
        # a = 0.004 is 1.5 epsilon(256) but a fifth of epsilon(32) = 0.0214: the verdict depends on K_probe.
        rng = np.random.default_rng(2)
        a = np.full(20, 0.004)
        pilot_p, pilot_q = rng.random((20, PILOT)) < a[:, None], rng.random((20, PILOT)) < TAUGHT
        c, n = pilot_p.sum(axis=1) + rng.binomial(4032, a), 4096
        sides = [
            (side(pilot_p[i], int(c[i]), n), side(pilot_q[i], int(pilot_q[i].sum()), PILOT))
            for i in range(20)
        ]
        at = {
            k: select([record(f"p{i}", p, q, k_probe=k) for i, (p, q) in enumerate(sides)])
            for k in (32, 1024)
        }
        found = decide(at[1024], DECISION, rng=np.random.default_rng(0), at_k_probe=at)
        assert found.label == "elicitation"
        assert [(point.k_probe, point.label) for point in found.by_k_probe] == [
            (32, "creation"),
            (1024, "elicitation"),
        ]


class TestInvariances:
    @settings(max_examples=25, deadline=None)
    @given(seed=st.integers(0, 10_000), shuffle=st.integers(0, 10_000))
    def test_order_and_names_of_prompts_change_nothing(self, seed: int, shuffle: int) -> None:
        rng = np.random.default_rng(seed)
        a = rng.choice([0.0, TAIL, 0.3], 12)
        records = simulate(list(a), list(rng.uniform(0, 1, 12)), rng, maximum=1600)
        records = [replace(one, family=f"f{i % 5}") for i, one in enumerate(records)]
        order = np.random.default_rng(shuffle).permutation(len(records))
        renamed = [
            replace(records[i], prompt_id=f"x{shuffle + i}", family=f"g{records[i].family}") for i in order
        ]
        before, after = verdict(records), verdict(renamed)
        assert before.label == after.label
        assert before.creation_share == after.creation_share
        assert before.gain_p_value == after.gain_p_value
        assert before.gain == after.gain

    def test_the_same_seed_gives_the_same_verdict(self) -> None:
        records = simulate([TAIL] * 17 + [FAR] * 3, [TAUGHT] * 20, np.random.default_rng(0))
        assert verdict(records, 5) == verdict(records, 5)


@pytest.mark.parametrize("bad", [{"alpha": 0.0}, {"alpha": 0.6}, {"reach": 1.0}, {"mixed_max_share": 1.5}])
def test_thresholds_are_checked(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="in"):
        Decision(**bad)
