"""How many samples settle a prompt: the number found, drawn as failures, does settle it."""

import math
from dataclasses import replace

import pytest

from workers.estimators.counts import epsilon, log_e_in, log_e_out
from workers.estimators.regimes import PromptEvidence, Reach, classify_regime, select_out
from workers.estimators.settle import samples_to_settle, samples_to_settle_in
from workers.estimators.unsettled import samples_to_settle_prompts

ALPHA, REACH, K_USE, K_PROBE, PLANNED = 0.05, 0.5, 8, 256, 2048
LEVEL = -math.log(ALPHA)


def reach_of(c: int, n: int, budget: int) -> Reach:
    threshold = epsilon(budget, REACH)
    e_in, e_out = log_e_in(c, n, threshold), log_e_out(c, n, threshold, PLANNED)
    label = "in" if e_in >= LEVEL else "out" if e_out >= LEVEL else "undetermined"
    more = samples_to_settle(c, n, threshold, LEVEL, PLANNED) if label == "undetermined" else None
    return Reach(
        label=label,
        budget=budget,
        successes=c,
        samples=n,
        log_e_in=e_in,
        log_e_out=e_out,
        planned_samples=PLANNED,
        samples_to_settle=more,
    )


def evidence(p: tuple[int, int], q: tuple[int, int]) -> PromptEvidence:
    return PromptEvidence(
        reference_use=reach_of(*p, K_USE),
        reference_probe=reach_of(*p, K_PROBE),
        candidate_use=reach_of(*q, K_USE),
        candidate_probe=reach_of(*q, K_PROBE),
        selected=False,
        candidate_low=0.5,
        chance_floor=0.0,
    )


def with_selection(prompts: list[PromptEvidence]) -> list[PromptEvidence]:
    kept = select_out(prompts, ALPHA)
    return [replace(one, selected=bool(is_kept)) for one, is_kept in zip(prompts, kept, strict=True)]


def needed(prompts: list[PromptEvidence]) -> list[int | None]:
    return samples_to_settle_prompts(with_selection(prompts), alpha=ALPHA, reach=REACH)


def test_a_settled_prompt_needs_nothing() -> None:
    assert needed([evidence((30, 64), (60, 64)), evidence((0, 3000), (60, 64))]) == [0, 0]


def test_an_undetermined_class_is_settled_by_the_number_given() -> None:
    more = needed([evidence((0, 64), (60, 64))])[0]
    assert more is not None
    assert classify_regime(evidence((0, 64 + more), (60, 64))).name == "unreached"
    assert classify_regime(evidence((0, 63 + more), (60, 64))).name == "undetermined"


def test_both_sides_count_where_both_are_open() -> None:
    alone = [needed([evidence(*sides)])[0] for sides in (((0, 64), (60, 64)), ((0, 3000), (4, 64)))]
    both = needed([evidence((0, 64), (4, 64))])[0]
    assert both == sum(one for one in alone if one is not None)


@pytest.mark.parametrize("created", [1, 4])
def test_a_claim_that_e_bh_drops_is_kept_after_the_number_given(created: int) -> None:
    """1,200 failures call one prompt out, but not among twenty."""
    others = [evidence((30, 64), (60, 64))] * (20 - created)
    more = needed([evidence((0, 1200), (60, 64))] * created + others)[:created]
    assert len(set(more)) == 1
    assert more[0]
    kept = with_selection([evidence((0, 1200 + more[0]), (60, 64))] * created + others)[:created]
    dropped = with_selection([evidence((0, 1199 + more[0]), (60, 64))] * created + others)[:created]
    assert [one.selected for one in (*kept, *dropped)] == [True] * created + [False] * created


def test_no_number_of_samples_measures_a_chance_floor() -> None:
    missing = [replace(evidence((0, 3000), (60, 64)), chance_floor=None)]
    assert needed(missing) == [None]


def test_one_arm_on_its_way_in_settles_the_prompt_alone() -> None:
    """Own policy and a cold arm lack a thousand failures each; a hot arm with 3 of 64 lacks a handful."""
    threshold = epsilon(K_PROBE, REACH)
    own = evidence((0, 64), (60, 64))
    cold = replace(reach_of(0, 64, K_PROBE), arm="cold")
    more = samples_to_settle_in(1, 100, threshold, LEVEL + math.log(2))
    assert more is not None
    hot = replace(reach_of(1, 100, K_PROBE), arm="hot", label="undetermined", tests=2).forecast(more)
    assert needed([replace(own, elicitation_arms=(cold,))]) == [2 * needed([own])[0]]
    assert needed([replace(own, elicitation_arms=(cold, hot))]) == [more]
    # The number given does settle it: at that rate the arm is in, and the prompt in its tail.
    c, n = round((100 + more) / 100), 100 + more
    assert log_e_in(c + 1, n, threshold) >= LEVEL + math.log(2)


def test_a_policy_with_an_open_end_does_not_hide_the_others() -> None:
    """Where noise leaves one policy without a forecast, what is known of the others is told."""
    own = evidence((0, 64), (60, 64))
    silent = replace(reach_of(0, 64, K_PROBE), arm="silent", samples_to_settle=None)
    assert needed([replace(own, elicitation_arms=(silent,))]) == needed([own])
