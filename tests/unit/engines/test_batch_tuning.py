"""The batch size is measured by a clock that the tests make."""

import pytest
import torch

from workers.engines import batch_tuning
from workers.engines.batch_memory import BatchMemory
from workers.engines.batch_tuning import fastest_batch
from workers.engines.causal_model import CausalModel


class Machine:
    """A clock on which a step of so many rows takes so long; remembers what was tried."""

    def __init__(self, monkeypatch, seconds):
        self.now, self.tried = 0.0, []
        extend = CausalModel.extend

        def step(model, cache, token_ids):
            rows, count = token_ids.shape
            if count == 1:
                self.now += seconds(rows)
                self.tried.append(rows)
            return extend(model, cache, token_ids)

        monkeypatch.setattr(CausalModel, "extend", step)

    def clock(self):
        return self.now


@pytest.mark.parametrize("name", ["reference", "gpt2"])
@pytest.mark.parametrize(
    ("seconds", "best"),
    [
        (lambda rows: 1e-3 + 1e-4 * rows, 128),  # gains 7 % from 64 to 128, 4 % after
        (lambda rows: 1e-4 * rows, 32),  # gains nothing
        (lambda rows: 1e-3, 500),  # the more the better
        (lambda rows: 1e-3 if rows <= 64 else 1e-2, 64),
    ],
)
def test_rows_double_as_long_as_that_pays(request, monkeypatch, name, seconds, best):
    machine = Machine(monkeypatch, seconds)
    model = request.getfixturevalue(name)
    assert fastest_batch(model, 40, 500, machine.clock) == best


def test_a_slow_model_is_not_tried_for_long(reference, monkeypatch):
    machine = Machine(monkeypatch, lambda rows: 1.0)
    assert fastest_batch(reference, 40, 500, machine.clock) == batch_tuning.LEAST
    assert set(machine.tried) == {batch_tuning.LEAST}


def test_it_never_exceeds_what_is_allowed_or_fits(reference, monkeypatch):
    machine = Machine(monkeypatch, lambda rows: 1e-3)
    assert fastest_batch(reference, 40, 7, machine.clock) == 7
    step = CausalModel.extend

    def narrow(model, cache, token_ids):
        if len(token_ids) > 100:
            raise torch.OutOfMemoryError("out of memory")
        return step(model, cache, token_ids)

    monkeypatch.setattr(CausalModel, "extend", narrow)
    assert fastest_batch(reference, 40, 500, machine.clock) == 64


def test_it_is_measured_once_for_a_model_and_length():
    asked, memory = [], BatchMemory()

    def fastest():
        asked.append(1)
        return 96

    assert memory.size_for("a", 100, 512, fastest).size == 96
    assert memory.size_for("a", 120, 512, fastest).size == 96
    assert memory.size_for("a", 120, 64, fastest).size == 64
    assert len(asked) == 1
    memory.size_for("a", 300, 512, fastest)
    assert len(asked) == 2
    assert memory.size_for("b", 100, 512).size == 512
