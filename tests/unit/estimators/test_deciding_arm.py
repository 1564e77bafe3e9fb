"""The slow definition: take the arm away, and see the regime or its e-value change."""

from dataclasses import replace
from itertools import product

import pytest

from workers.estimators.deciding_arm import deciding_arm
from workers.estimators.regimes import (
    CREATED,
    PromptEvidence,
    Reach,
    ReachClass,
    classify_regime,
)

LABELS: tuple[ReachClass, ...] = ("in", "out", "undetermined")


def reach(label: ReachClass, arm: str = "", log_e_out: float = 9.0, budget: int = 256) -> Reach:
    return Reach(
        label=label,
        budget=budget,
        successes=0,
        samples=64,
        log_e_in=9.0 if label == "in" else -1.0,
        log_e_out=log_e_out if label == "out" else -2.0,
        planned_samples=2048,
        arm=arm,
    )


def evidence(
    use: ReachClass,
    probe: ReachClass,
    candidate: ReachClass,
    elicitation: tuple[ReachClass, ...],
    assisted: tuple[ReachClass, ...],
) -> PromptEvidence:
    return PromptEvidence(
        reference_use=reach(use, budget=8),
        reference_probe=reach(probe),
        candidate_use=reach(candidate, budget=8),
        candidate_probe=reach(candidate),
        selected=True,
        candidate_low=0.5,
        chance_floor=0.0,
        elicitation_arms=tuple(reach(x, f"e{i}", 5.0 + i) for i, x in enumerate(elicitation)),
        assisted_arms=tuple(reach(x, f"a{i}") for i, x in enumerate(assisted)),
    )


def without(one: PromptEvidence, name: str) -> PromptEvidence:
    return replace(
        one,
        elicitation_arms=tuple(arm for arm in one.elicitation_arms if arm.arm != name),
        assisted_arms=tuple(arm for arm in one.assisted_arms if arm.arm != name),
    )


def test_without_the_deciding_arm_the_prompt_is_another() -> None:
    named = 0
    pairs = [(), *product(LABELS), *product(LABELS, LABELS)]
    for use, probe, candidate, elicitation, assisted in product(LABELS, LABELS, LABELS, pairs, pairs[:4]):
        one = evidence(use, probe, candidate, elicitation, assisted)
        regime = classify_regime(one)
        arm = deciding_arm(one, regime.name)
        if arm is None:
            continue
        named += 1
        less = without(one, arm)
        label = next(x.label for x in (*one.elicitation_arms, *one.assisted_arms) if x.arm == arm)
        rivals = sum(x.label == label for x in (*less.elicitation_arms, *less.assisted_arms))
        if regime.name in CREATED and arm.startswith("e"):
            least = min(x.log_e_out for x in (one.reference_probe, *one.elicitation_arms))
            assert least < min(x.log_e_out for x in (less.reference_probe, *less.elicitation_arms))
        elif not rivals:
            assert classify_regime(less).name != regime.name, (one, arm)
    assert named > 50


@pytest.mark.parametrize("elicitation", [(), ("out",), ("undetermined",), ("in",)])
def test_where_no_arm_matters_none_is_named(elicitation: tuple[ReachClass, ...]) -> None:
    basin = evidence("in", "in", "in", elicitation, ())
    assert deciding_arm(basin, classify_regime(basin).name) is None
    own = evidence("out", "out", "in", (), ())
    assert deciding_arm(own, classify_regime(own).name) is None


def test_the_cheapest_of_several_that_reach_is_named() -> None:
    tail = evidence("undetermined", "undetermined", "in", ("out", "in"), ())
    assert deciding_arm(tail, "tail") == "e1"
    both = evidence("undetermined", "undetermined", "in", ("in", "in"), ())
    assert deciding_arm(both, "tail") == "e0"
    barrier = evidence("out", "out", "in", ("out",), ("out", "in"))
    assert deciding_arm(barrier, classify_regime(barrier).name) == "a1"
