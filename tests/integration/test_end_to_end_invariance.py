"""How many workers there are, how large their batches are, where the cuts are: none of it changes a draw."""

import pytest
from agreement import differences, draws

FLOAT32_TOLERANCE = 1e-4
"""Log-probabilities are float32, and their last digits depend on what shares a batch: below 1e-6 nats a
token, 8 tokens a sample; importance weights multiply that by a few."""


def test_a_second_worker_changes_nothing_at_all(undisturbed, comparison, start_stack):
    stack = start_stack(workers=2)
    try:
        # Both workers at work: an engine takes seconds to start, a shard less than one.
        engines = {stack.engine(f"worker-{number}").pid for number in (1, 2)}
        assert len(engines) == 2
        analysis_id = stack.submit(comparison)
        found = stack.findings(analysis_id)
        assert draws(found.samples) == draws(undisturbed.samples)
        assert differences(found.document, undisturbed.document, 0.0) == []
        assert found.rows == undisturbed.rows
        assert len({attempt.worker_id for attempt in stack.attempts(analysis_id)}) == 2
    finally:
        stack.stop()


@pytest.mark.parametrize(
    "settings",
    [
        {"TILTSCOPE_BATCH_SIZE": "64"},
        pytest.param(
            {"TILTSCOPE_SHARD_TOKENS": "50000", "TILTSCOPE_BATCH_SIZE": "5"}, marks=pytest.mark.slow
        ),
    ],
    ids=["batches of 64", "batches of 5, one shard a side"],
)
def test_batches_and_cuts_change_rounding_alone(undisturbed, comparison, start_stack, settings):
    stack = start_stack(**settings)
    try:
        found = stack.findings(stack.submit(comparison))
        assert draws(found.samples) == draws(undisturbed.samples)
        assert differences(found.document, undisturbed.document, FLOAT32_TOLERANCE) == []
        assert differences(found.rows, undisturbed.rows, FLOAT32_TOLERANCE) == []
    finally:
        stack.stop()
