"""The probe passes here, and notices each kind of miscalculation."""

import pytest
import torch

from workers.engines import known_answer as probe
from workers.engines.known_answer import known_answer


def test_this_machine_computes():
    assert known_answer("cpu") is None


def test_a_wrong_product(monkeypatch):
    real = torch.Tensor.__matmul__
    monkeypatch.setattr(torch.Tensor, "__matmul__", lambda a, b: real(a, b) + (torch.arange(64) == 17))
    assert known_answer("cpu") == "a product of integer matrices is wrong"


@pytest.mark.parametrize("error", [1e-3, float("nan")])
def test_a_wrong_law(monkeypatch, error):
    real = probe.policy_log_probs
    monkeypatch.setattr(probe, "policy_log_probs", lambda logits, policy: real(logits, policy) + error)
    assert known_answer("cpu") == "a normalised law is wrong"


def test_a_wrong_draw(monkeypatch):
    real = probe.inverse_transform
    monkeypatch.setattr(probe, "inverse_transform", lambda law, uniforms: real(law, uniforms).roll(1))
    assert known_answer("cpu") == "a sampled token is wrong"


def test_a_device_that_refuses(monkeypatch):
    def refuse(*_):
        raise RuntimeError("CUDA error: device-side assert triggered")

    monkeypatch.setattr(probe, "policy_log_probs", refuse)
    assert known_answer("cpu") == "the device refuses to compute: RuntimeError"
