"""Arms through the real service: under a truncated policy, creation is confirmed by the arm that is added."""

import pytest

from api_schemas.results import ResultDocument
from api_schemas.rows import PromptRow

BUDGET = {"k_use": 4, "k_probe": 16, "samples_per_prompt": 32, "max_samples_per_prompt": 256}


@pytest.fixture(scope="module")
def found(stack, prompts):
    body = {
        "kind": "capability",
        "reference": {"source": "model", "model": "tiny-base"},
        "candidate": {"source": "model", "model": "tiny-new"},
        "prompts": {
            "inline": [{**one, "metadata": {"hint": one["answer"]}} for one in prompts("new_rule", 0, 2)]
        },
        "signal": {"kind": "exact"},
        "policy": {"top_p": 0.9, "max_new_tokens": 8},
        "arms": [{"name": "hint", "role": "assisted", "template": "{metadata.hint}={prompt}"}],
        "budget": BUDGET,
        "seed": 3,
    }
    return stack.findings(stack.submit(body))


def test_creation_is_confirmed_under_the_arm_that_was_added(found):
    document = ResultDocument.model_validate(found.document)
    assert [(arm["name"], arm["role"]) for arm in found.document["frame"]["arms"]] == [
        ("untruncated", "elicitation"),
        ("hint", "assisted"),
    ]
    assert "creation_unconfirmable" not in {warning.code for warning in document.warnings}
    for row in map(PromptRow.model_validate, found.rows):
        assert row.confirmed, row
        assert [arm.class_at_k_probe for arm in row.arms if arm.role == "elicitation"] == ["out"]


def test_an_arms_samples_are_kept_under_its_name_and_counted_in_its_row(found):
    streams = found.samples["stream"].to_pylist()
    assert set(streams) == {"reference", "candidate", "arm:untruncated", "arm:hint", "untruncated"}
    for arm in found.document["support"]["arms"]:
        assert arm["samples"] == streams.count(f"arm:{arm['arm']}")
        assert arm["samples"] == sum(
            a["samples"] for r in found.rows for a in r["arms"] if a["arm"] == arm["arm"]
        )


def test_a_barrier_on_the_shipped_models(stack, prompts):
    """Any number counts. The base leaves these prompts unanswered, and answers once a sum follows them."""
    body = {
        "kind": "capability",
        "reference": {"source": "model", "model": "tiny-base"},
        "candidate": {"source": "model", "model": "tiny-new"},
        "prompts": {"inline": [{**one, "metadata": {"sum": "12+3="}} for one in prompts("new_rule", 6, 12)]},
        "signal": {"kind": "regex", "pattern": "[0-9]{2,5}"},
        "policy": {"max_new_tokens": 8},
        "arms": [
            {"name": "sum", "role": "assisted", "template": "{prompt}{metadata.sum}"},
        ],
        "budget": {**BUDGET, "max_samples_per_prompt": 512},
        "seed": 5,
    }
    rows = [PromptRow.model_validate(row) for row in stack.findings(stack.submit(body)).rows]
    barriers = [row for row in rows if row.regime == "barrier"]
    assert len(barriers) >= 3  # the base answers some of the others unaided
    for row in barriers:
        classes = {arm.arm: arm.class_at_k_probe for arm in row.arms}
        assert (classes, row.deciding_arm) == ({"sum": "in"}, "sum")
        # Samples of the other prompts answer this one as well: chance explains it, and nothing is confirmed.
        assert not row.confirmed
        assert "above_chance_floor" in {check.check for check in row.confirmation if not check.passed}


def with_a_hot_arm(prompts, **budget):
    return {
        "kind": "support",
        "reference": {"source": "model", "model": "tiny-base"},
        "prompts": {"inline": prompts("basin_tail", 8, 14)},
        "signal": {"kind": "exact"},
        "policy": {"max_new_tokens": 8},
        "arms": [{"name": "hot", "role": "elicitation", "policy": {"temperature": 1.6}}],
        "budget": {**BUDGET, "k_probe": 256, **budget},
        "seed": 7,
    }


def test_what_an_arm_drew_is_scored_and_speaks_for_the_own_policy(stack, prompts):
    body = with_a_hot_arm(prompts, adaptive=False)
    rows = {}
    for share in (False, True):
        analysis = stack.submit({**body, "share_proposals": share})
        read, planned = scored(stack, analysis)
        assert (read > 0, read <= planned) == (share, True)
        rows[share] = [PromptRow.model_validate(row) for row in stack.findings(analysis).rows]
    sides = {share: [row.reference for row in found] for share, found in rows.items()}
    for mine, theirs in zip(sides[True], sides[False], strict=True):
        assert (mine.samples, mine.successes) == (theirs.samples, theirs.successes)
        assert mine.price.ci_low == theirs.price.ci_low
    # Where the own samples hold no success, those of the arm bound the price.
    shown = [
        (mine.price.ci_high, theirs.price.ci_high)
        for mine, theirs in zip(sides[True], sides[False], strict=True)
        if mine.successes == 0
    ]
    assert any(mine is not None and theirs is None for mine, theirs in shown)


def test_an_adaptive_analysis_scores_no_more_than_was_planned(stack, prompts):
    body = with_a_hot_arm(prompts)
    read, planned = scored(stack, stack.submit({**body, "share_proposals": True}))
    assert 0 < read <= planned


def scored(stack, analysis):
    """Tokens that an analysis scored, and the most that its plan said."""
    ended = stack.ended(analysis)
    plan = stack.client.post("/v1/analyses?validate_only=true", json=ended["spec"]).json()
    return ended["usage"]["scored_tokens"], plan["scored_tokens"]["maximum"]
