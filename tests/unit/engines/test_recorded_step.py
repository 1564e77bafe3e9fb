import pytest
import torch

from workers.engines.recorded_step import NotRecorded, refusal


def record_without_memory():
    """As a recording ends: it is invalid by then, and says so over what made it so."""
    try:
        raise torch.OutOfMemoryError("full")
    finally:
        raise RuntimeError("capture was invalidated")


def test_memory_that_runs_out_while_recording_is_no_refusal():
    assert isinstance(refusal(torch.OutOfMemoryError("full")), torch.OutOfMemoryError)
    with pytest.raises(RuntimeError, match="invalidated") as caught:
        record_without_memory()
    assert isinstance(refusal(caught.value), torch.OutOfMemoryError)


def test_any_other_failure_is_one():
    assert isinstance(refusal(RuntimeError("operation not permitted when stream is capturing")), NotRecorded)
