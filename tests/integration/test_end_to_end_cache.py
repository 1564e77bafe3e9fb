"""Samples drawn once are read by later analyses of the real engine, and change no number."""

import pytest
from agreement import differences, draws


@pytest.fixture(scope="module")
def warm(start_stack):
    stack = start_stack(TILTSCOPE_SAMPLE_CACHE="1")
    yield stack
    stack.stop()


def fixed(comparison, samples):
    budget = {**comparison["budget"], "samples_per_prompt": samples, "adaptive": False}
    return {**comparison, "budget": budget}


def spent(stack, analysis_id):
    usage = stack.ended(analysis_id)["usage"]
    return usage["samples"], usage["cached_samples"]


def planned(stack, request):
    answer = stack.client.post("/v1/analyses?validate_only=true", json=request)
    assert answer.status_code == 200, answer.text
    return answer.json()["cached_samples"]


def unspent(findings):
    """The document without what it cost."""
    return {name: value for name, value in findings.document.items() if name != "usage"}


def test_the_same_again_draws_nothing_and_more_draws_the_rest(warm, comparison):
    sides, prompts = 2, len(comparison["prompts"]["inline"])
    first = warm.submit(fixed(comparison, 32))
    found = warm.findings(first)
    assert spent(warm, first) == (sides * prompts * 32, 0)

    # A plan counts what a worker then finds: below, as it was drawn, and beyond it.
    for samples in (8, 32, 48):
        assert planned(warm, fixed(comparison, samples)) == sides * prompts * min(samples, 32)
    assert planned(warm, {**fixed(comparison, 32), "seed": comparison["seed"] + 1}) == 0

    again = warm.submit(fixed(comparison, 32))
    same = warm.findings(again)
    assert spent(warm, again) == (0, sides * prompts * 32)
    assert draws(same.samples) == draws(found.samples)
    assert same.rows == found.rows
    assert differences(unspent(same), unspent(found), 0.0) == []

    grown = warm.submit(fixed(comparison, 48))
    more = warm.findings(grown)
    assert spent(warm, grown) == (sides * prompts * 16, sides * prompts * 32)
    cold = warm.submit({**fixed(comparison, 48), "seed": comparison["seed"] + 1})
    assert spent(warm, cold) == (sides * prompts * 48, 0)

    # Deleting the ones that drew takes nothing from those that read.
    for analysis_id in (first, grown):
        assert warm.client.delete(f"/v1/analyses/{analysis_id}").status_code == 204
    assert warm.findings(again).rows == found.rows
    regrown = warm.submit(fixed(comparison, 48))
    assert spent(warm, regrown) == (sides * prompts * 16, sides * prompts * 32)
    assert draws(warm.findings(regrown).samples) == draws(more.samples)


def test_a_budget_of_tokens_is_planned_as_if_all_were_drawn(warm, comparison):
    budget = comparison["budget"] | {"max_total_tokens": 4000}
    cold = warm.submit({**comparison, "seed": 5, "budget": budget})
    found = warm.findings(cold)
    found_again = warm.findings(warm.submit({**comparison, "seed": 5, "budget": budget}))
    assert draws(found_again.samples) == draws(found.samples)
    assert differences(unspent(found_again), unspent(found), 0.0) == []


def test_a_checkpoint_draws_what_it_drew_as_a_candidate(warm, comparison):
    alone = fixed({**comparison, "seed": 6}, 16)
    prompts, candidate = len(comparison["prompts"]["inline"]), alone.pop("candidate")
    # First in the run a checkpoint that is new, so that its place does not give the name away.
    run = {**alone, "kind": "trajectory", "candidates": [{"model": "tiny-new"}, candidate]}
    warm.ended(warm.submit({**alone, "candidate": candidate}))
    assert planned(warm, run) == 2 * prompts * 16
    along = warm.submit(run)
    assert spent(warm, along) == (prompts * 16, 2 * prompts * 16)
    # And the other way round.
    other = {**alone, "candidate": {"model": "tiny-new"}}
    assert planned(warm, other) == 2 * prompts * 16
    assert spent(warm, warm.submit(other)) == (0, 2 * prompts * 16)
