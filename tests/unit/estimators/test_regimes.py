"""The regime table, rule by rule, and the confirmations of a created prompt."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.estimators.counts import epsilon, log_e_in, log_e_out
from workers.estimators.regimes import (
    CREATED,
    REGIMES,
    PromptEvidence,
    Reach,
    ReachClass,
    RegimeName,
    SupportZeros,
    classify_regime,
    reference_class,
    select_out,
)

LABELS: tuple[ReachClass, ...] = ("in", "out", "undetermined")


def reach(label: ReachClass, budget: int = 256, arm: str = "", log_e_out: float = 9.0) -> Reach:
    return Reach(
        label=label,
        budget=budget,
        successes=0,
        samples=1600,
        log_e_in=5.0,
        log_e_out=log_e_out,
        planned_samples=4096,
        arm=arm,
    )


def evidence(
    use: ReachClass,
    probe: ReachClass,
    candidate_use: ReachClass,
    candidate_probe: ReachClass,
    elicitation: tuple[ReachClass, ...] = (),
    assisted: tuple[ReachClass, ...] = (),
    zeros: SupportZeros | None = None,
) -> PromptEvidence:
    return PromptEvidence(
        reference_use=reach(use, 8),
        reference_probe=reach(probe),
        candidate_use=reach(candidate_use, 8),
        candidate_probe=reach(candidate_probe),
        elicitation_arms=tuple(reach(label, arm=f"t{i}") for i, label in enumerate(elicitation)),
        assisted_arms=tuple(reach(label, arm=f"hint{i}") for i, label in enumerate(assisted)),
        selected=True,
        candidate_low=0.5,
        chance_floor=0.1,
        zeros=zeros,
    )


ALL_ZERO = SupportZeros(successes=5, causes={"top_k": 3, "vocabulary": 2})
ONE_REACHED = replace(ALL_ZERO, successes=6)
U: ReachClass = "undetermined"
TABLE: list[tuple[str, PromptEvidence, RegimeName]] = [
    ("lost before basin", evidence("in", "in", "out", "out"), "lost"),
    ("lost before tail", evidence(U, "in", "out", "out"), "lost"),
    ("candidate out at K_use only is not lost", evidence(U, "in", "out", U), "tail"),
    ("out at K_probe implies out at K_use", evidence("in", "in", U, "out"), "lost"),
    ("an arm's reach is not lost", evidence("out", "out", "out", "out", ("in",)), "tail"),
    ("basin", evidence("in", "in", "in", "in"), "basin"),
    ("in at K_use implies K_probe", evidence("in", U, U, U), "basin"),
    ("tail, out at K_use", evidence("out", "in", "in", "in"), "tail"),
    ("tail, undetermined at K_use", evidence(U, "in", U, U), "tail"),
    ("tail through an arm", evidence("out", "out", "in", "in", ("out", "in")), "tail"),
    ("an open arm leaves it open", evidence("out", "out", "in", "in", ("out", U)), "undetermined"),
    ("singular", evidence("out", "out", "in", "in", zeros=ALL_ZERO), "singular"),
    ("singular before barrier", evidence("out", "out", "in", "in", (), ("in",), ALL_ZERO), "singular"),
    ("one success with p > 0", evidence("out", "out", "in", "in", zeros=ONE_REACHED), "unreached"),
    (
        "zeros at the edge prove nothing",
        evidence("out", "out", "in", "in", zeros=SupportZeros(successes=5, causes={"top_p": 4}, edge=1)),
        "unreached",
    ),
    ("no success scored", evidence("out", "out", "in", "in", zeros=SupportZeros(successes=0)), "unreached"),
    ("barrier", evidence("out", "out", "in", "in", ("out",), (U, "in")), "barrier"),
    ("unreached", evidence("out", "out", "in", "in", ("out",), ("out", U)), "unreached"),
    ("beyond", evidence("out", "out", "out", U), "beyond"),
    ("candidate open", evidence("out", "out", U, "in"), "undetermined"),
    ("reference open", evidence(U, U, "in", "in"), "undetermined"),
    ("contradiction of the reference", evidence("in", "out", "in", "in"), "undetermined"),
    ("contradiction of the candidate", evidence("out", "out", "in", "out"), "undetermined"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("given_", "expected"), [case[1:] for case in TABLE], ids=[case[0] for case in TABLE]
)
def test_first_rule_that_holds(given_: PromptEvidence, expected: RegimeName) -> None:
    assert classify_regime(given_).name == expected


def test_every_combination_has_one_regime_and_the_rules_order() -> None:
    """The slow definition, straight from the table, over all 3^4 classes with 0 or 1 arm of either kind."""
    arms: list[tuple[ReachClass, ...]] = [(), *((label,) for label in LABELS)]
    for use, probe, c_use, c_probe, elicitation, assisted in product(*[LABELS] * 4, arms, arms):
        if (use, probe) == ("in", "out") or (c_use, c_probe) == ("in", "out"):
            continue
        reached = "in" in (use, probe)
        out = probe == "out" and all(arm == "out" for arm in elicitation)
        if reached and c_probe == "out":
            expected = "lost"
        elif use == "in":
            expected = "basin"
        elif reached or "in" in elicitation:
            expected = "tail"
        elif out and c_use == "in":
            expected = "barrier" if "in" in assisted else "unreached"
        elif out and "out" in (c_use, c_probe):
            expected = "beyond"
        else:
            expected = "undetermined"
        found = classify_regime(evidence(use, probe, c_use, c_probe, elicitation, assisted))
        assert found.name == expected, (use, probe, c_use, c_probe, elicitation, assisted)
        assert found.name in REGIMES
        assert found.confirmed <= (found.name in CREATED)


class TestConfirmation:
    created = evidence("out", "out", "in", "in", ("out",))

    def failed(self, prompt: PromptEvidence) -> list[str]:
        regime = classify_regime(prompt)
        assert regime.confirmed == all(check.passed for check in regime.confirmation)
        return [check.check for check in regime.confirmation if not check.passed]

    def test_confirmed(self) -> None:
        assert self.failed(self.created) == []
        assert classify_regime(self.created).confirmed

    def test_each_condition_can_fail_alone(self) -> None:
        assert self.failed(replace(self.created, selected=False)) == ["e_bh"]
        assert self.failed(replace(self.created, untruncated_covered=False)) == ["every_arm_out"]
        assert self.failed(replace(self.created, second_verifier=False)) == ["second_verifier"]
        assert self.failed(replace(self.created, chance_floor=0.5)) == ["above_chance_floor"]
        assert self.failed(replace(self.created, chance_floor=None)) == ["above_chance_floor"]

    def test_second_verifier_only_where_given(self) -> None:
        checks = [check.check for check in classify_regime(self.created).confirmation]
        assert checks == ["every_arm_out", "e_bh", "above_chance_floor"]
        assert self.failed(replace(self.created, second_verifier=True)) == []

    def test_others_have_none(self) -> None:
        assert classify_regime(evidence("in", "in", "in", "in")).confirmation == ()


class TestEvidence:
    def test_says_which_bound_decided_from_which_samples(self) -> None:
        lines = classify_regime(evidence("out", "out", "in", "in", ("out",))).evidence
        assert lines[1] == "reference at K = 256: out, counts, 0 of 1600 samples, log e-value 9.0 nats"
        assert lines[2].startswith("reference with elicitation arm t0 at K = 256: out")
        assert lines[-1] == "not reached by this reference under this policy, signal and budget"
        assert not any("impossible" in line for line in lines)

    def test_names_the_arm_that_reached(self) -> None:
        lines = classify_regime(evidence("out", "out", "in", "in", ("out", "in"))).evidence
        assert lines[-1] == "in only through elicitation arm t1"

    def test_undetermined_says_what_would_settle_it(self) -> None:
        prompt = evidence("undetermined", "undetermined", "in", "in")
        prompt = replace(prompt, reference_probe=replace(prompt.reference_probe, samples_to_settle=700))
        assert "about 700 more would settle it" in classify_regime(prompt).evidence[1]

    def test_zeros_and_their_cause(self) -> None:
        zeros = SupportZeros(successes=6, causes={"vocabulary": 2, "top_k": 3}, edge=1)
        lines = classify_regime(evidence("out", "out", "in", "in", zeros=zeros)).evidence
        assert any(
            "5 of 6 successes of the candidate (top_k 3, vocabulary 2); 1 more only" in x for x in lines
        )


class TestSelection:
    def test_least_evidence_over_the_policies_is_ranked(self) -> None:
        # M = 2: the first needs log 20 = 3.0 with two selected, log 40 = 3.7 alone.
        strong = evidence("out", "out", "in", "in", ("out",))
        weak = replace(strong, elicitation_arms=(reach("out", arm="t", log_e_out=2.9),))
        assert select_out([strong, strong], 0.05).tolist() == [True, True]
        assert select_out([strong, weak], 0.05).tolist() == [True, False]
        assert (
            select_out([replace(strong, reference_probe=reach("out", log_e_out=3.2)), weak], 0.05).sum() == 0
        )


class TestUnusableAsSuccesses:
    def test_recomputes_class_from_counts(self) -> None:
        n, unusable = 1600, 100
        before = Reach(
            label="out",
            budget=256,
            successes=0,
            samples=n,
            log_e_in=-3.0,
            log_e_out=log_e_out(0, n, epsilon(256, 0.5), 4096),
            planned_samples=4096,
            unusable=unusable,
        )
        after = before.with_unusable_as_successes(alpha=0.05, reach=0.5)
        assert (after.label, after.successes, after.unusable) == ("in", 100, 0)
        assert after.log_e_in == log_e_in(100, n, epsilon(256, 0.5))

    def test_in_by_scoring_stays_in(self) -> None:
        before = replace(reach("in"), log_e_in=12.0, bound="counts and scoring", unusable=1)
        after = before.with_unusable_as_successes(alpha=0.05, reach=0.5)
        assert after.label == "in"
        assert after.log_e_in == 12.0


@given(st.sampled_from(LABELS), st.lists(st.sampled_from(LABELS), max_size=3))
def test_out_means_out_under_every_policy(probe: ReachClass, arms: list[ReachClass]) -> None:
    found = reference_class(evidence(probe, probe, "in", "in", tuple(arms)))
    everything = {probe, *arms}
    assert (found == "out") == (everything == {"out"})
    assert (found == "in") == ("in" in everything)


@pytest.mark.parametrize(
    "bad",
    [
        {"budget": 0},
        {"successes": 1601},
        {"unusable": 1601},
        {"log_e_in": float("nan")},
    ],
)
def test_reach_refuses_contradictions(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"budget|successes|unusable|NaN"):
        replace(reach("out"), **bad)


def test_selection_shape() -> None:
    assert select_out([], 0.05).shape == np.zeros(0).shape
