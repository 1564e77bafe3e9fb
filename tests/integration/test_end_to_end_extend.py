"""Extending an analysis of the real engine: only what is missing is drawn, and nothing else changes."""

import pytest
from agreement import differences, draws
from kills import kill_while_running

SIDES = 2
KEPT = ("usage", "revision", "warnings")
ROUNDING = 1e-5
"""Float32 log-probabilities depend a little on the batch that they were computed in."""


def fixed(comparison, samples):
    budget = {**comparison["budget"], "samples_per_prompt": samples, "adaptive": False}
    return {**comparison, "budget": budget}


def extend(stack, analysis_id, **body):
    answer = stack.client.post(f"/v1/analyses/{analysis_id}/extend", json=body)
    assert answer.status_code == 202, answer.text
    return answer.json()


def unrevised(document):
    """A document without what an extension is allowed to say of itself."""
    warnings = [warning for warning in document["warnings"] if warning["code"] != "extended"]
    return {**{name: value for name, value in document.items() if name not in KEPT}, "warnings": warnings}


@pytest.fixture(scope="module")
def fresh_id(stack, comparison):
    """One that had the larger budget from the start."""
    return stack.submit(fixed(comparison, 40))


class TestFixedPlan:
    def test_it_equals_one_that_had_the_budget_from_the_start(self, stack, comparison, fresh_id):
        prompts = len(comparison["prompts"]["inline"])
        analysis_id = stack.submit(fixed(comparison, 16))
        first = stack.findings(analysis_id)
        before = stack.analysis(analysis_id)
        assert before["usage"]["samples"] == SIDES * prompts * 16

        accepted = extend(stack, analysis_id, budget={"samples_per_prompt": 40})
        assert (accepted["revision"], accepted["result_revision"]) == (2, 1)
        assert accepted["spec"]["budget"]["samples_per_prompt"] == 40
        while_running = stack.client.get(f"/v1/analyses/{analysis_id}/result").json()
        assert while_running["revision"] in (1, 2)  # 2 on a machine that was faster than this test

        grown, fresh = stack.findings(analysis_id), stack.findings(fresh_id)
        after = stack.analysis(analysis_id)
        assert (after["revision"], after["result_revision"]) == (2, 2)
        # New draws are those of the larger budget and no others: what was there is counted once.
        assert after["usage"]["samples"] == SIDES * prompts * 40
        assert after["usage"]["scored_tokens"] == stack.analysis(fresh_id)["usage"]["scored_tokens"]
        assert draws(grown.samples) == draws(fresh.samples)
        kept = [row for row in draws(grown.samples) if row["index"] < 16]
        assert kept == draws(first.samples)
        assert differences(unrevised(grown.document), unrevised(fresh.document), ROUNDING) == []
        assert differences(grown.rows, fresh.rows, ROUNDING) == []
        assert [w["code"] for w in grown.document["warnings"]].count("extended") == 1
        assert grown.document["revision"] == 2

    def test_its_events_go_on_where_they_ended(self, stack, comparison):
        analysis_id = stack.submit(fixed(comparison, 8))
        stack.succeeded(analysis_id)
        extend(stack, analysis_id, budget={"samples_per_prompt": 10})
        stack.succeeded(analysis_id)
        with stack.client.stream("GET", f"/v1/analyses/{analysis_id}/events") as stream:
            types = [
                line.removeprefix("event: ") for line in stream.iter_lines() if line.startswith("event:")
            ]
        assert types.count("ended") == types.count("extended") == types.count("done") == 1
        assert types.index("ended") < types.index("extended")
        assert types[-1] == "done"


class TestAdaptivePlan:
    def test_it_goes_on_to_what_the_larger_budget_allows(self, stack, comparison):
        small = {**comparison["budget"], "max_samples_per_prompt": 40}
        analysis_id = stack.submit({**comparison, "budget": small})
        stack.succeeded(analysis_id)
        drawn = stack.analysis(analysis_id)["usage"]["samples"]
        extend(stack, analysis_id, budget={"max_samples_per_prompt": 256})
        stack.succeeded(analysis_id)
        more = stack.analysis(analysis_id)["usage"]["samples"]
        assert drawn < more
        # A pilot that grows into what was drawn already is scored there, and drawn where it was not.
        extend(stack, analysis_id, budget={"samples_per_prompt": 48})
        found = stack.findings(analysis_id)
        counts = found.samples.group_by(["stream", "prompt_id"]).aggregate([("index", "count")])
        assert min(counts["index_count"].to_pylist()) >= 48
        usage = stack.analysis(analysis_id)["usage"]
        assert usage["samples"] == found.samples.num_rows


class TestInterrupted:
    def test_a_worker_that_dies_while_it_is_extended_changes_nothing(self, stack, comparison, fresh_id):
        analysis_id = stack.submit(fixed(comparison, 16))
        stack.succeeded(analysis_id)
        worker = stack.part("worker-1")
        stack.engine().suspend()  # so that what it samples is not over before anybody looks
        extend(stack, analysis_id, budget={"samples_per_prompt": 40})
        kill_while_running(stack, analysis_id, worker, "sample", 0)
        found, fresh = stack.findings(analysis_id), stack.findings(fresh_id)
        assert draws(found.samples) == draws(fresh.samples)
        assert differences(unrevised(found.document), unrevised(fresh.document), ROUNDING) == []
        assert stack.part("worker-1").pid != worker.pid
        assert "lost" in {attempt.outcome for attempt in stack.attempts(analysis_id)}

    def test_cancelling_keeps_the_result_there_is_and_a_later_extension_goes_on(self, stack, comparison):
        analysis_id = stack.submit(fixed(comparison, 16))
        first = stack.findings(analysis_id)
        extend(stack, analysis_id, budget={"samples_per_prompt": 96})
        stack.until(lambda: stack.running(analysis_id, "sample", 1), "the extension samples")
        stack.client.post(f"/v1/analyses/{analysis_id}/cancel")
        ended = stack.ended(analysis_id)
        assert (ended["status"], ended["revision"], ended["result_revision"]) == ("cancelled", 2, 1)
        assert not ended["partial"]
        assert stack.result(analysis_id) == first.document
        drawn = ended["usage"]["samples"]

        path, smaller = f"/v1/analyses/{analysis_id}/extend", {"budget": {"samples_per_prompt": 95}}
        refused = stack.client.post(path, json=smaller)
        assert refused.status_code == 422
        assert refused.json()["code"] == "budget_not_larger"

        extend(stack, analysis_id)  # cut short: it may go on under the budget it has
        found = stack.findings(analysis_id)
        usage = stack.analysis(analysis_id)["usage"]
        assert usage["samples"] == found.samples.num_rows == SIDES * len(comparison["prompts"]["inline"]) * 96
        assert usage["samples"] > drawn >= SIDES * len(comparison["prompts"]["inline"]) * 16
        assert found.document["revision"] == 3
