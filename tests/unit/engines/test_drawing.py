import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.engines import drawing
from workers.engines.drawing import draw, inverse_transform
from workers.engines.errors import NonFiniteLogits
from workers.engines.kernels import Kernel
from workers.engines.policy import Policy, policy_log_probs


class Head:
    """Hidden states that are the scores."""

    head_rows = 7

    def scores(self, hidden, *, in_room=False, checked=True):
        return hidden


def laws(seed, rows, width, spread=3.0):
    return torch.from_numpy(np.random.default_rng(seed).normal(0, spread, (rows, width))).float()


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    width=st.sampled_from([1, 8, 300, 512, 513, 1000, 1024, 5000]),
    temperature=st.sampled_from([1.0, 0.6, 1.7]),
    hidden=st.booleans(),
)
def test_a_draw_is_the_float64_inverse_transform(seed, width, temperature, hidden):
    """Blocks and float32 exponentials move a boundary by a part in ten million, and a value as little."""
    scores, policy = laws(seed, 40, width), Policy(temperature=temperature)
    if hidden and width > 1:
        scores[:, np.random.default_rng(seed).permutation(width)[: width // 2]] = -torch.inf
    law = policy_log_probs(scores.double(), policy)
    uniforms = torch.from_numpy(np.random.default_rng(seed + 1).random(40))
    tokens, logprobs = draw(Head(), scores, policy, uniforms)
    torch.testing.assert_close(logprobs, law.gather(-1, tokens[:, None])[:, 0], rtol=0, atol=2e-6)
    cdf = law.exp().cumsum(-1)
    upper = cdf.gather(-1, tokens[:, None])[:, 0]
    lower = upper - logprobs.exp()
    assert ((uniforms > lower - 1e-6) & (uniforms < upper + 1e-6)).all()
    assert (tokens == inverse_transform(law, uniforms)).double().mean() > 0.95


@pytest.mark.parametrize("width", [5, 600, 4096])
@pytest.mark.parametrize("edge", [0.0, float(np.nextafter(1.0, 0.0))])
def test_extreme_uniforms_pick_possible_tokens(width, edge):
    scores = laws(1, 30, width)
    scores[:, :2] = scores[:, -2:] = -torch.inf
    tokens, logprobs = draw(Head(), scores, Policy(), torch.full((30,), edge, dtype=torch.float64))
    assert torch.isfinite(logprobs).all()
    assert set(tokens.tolist()) == ({2} if edge == 0 else {width - 3})


def test_truncated_policies_draw_from_what_survives():
    scores, policy = laws(2, 50, 900), Policy(top_k=3)
    uniforms = torch.from_numpy(np.random.default_rng(3).random(50))
    tokens, logprobs = draw(Head(), scores, policy, uniforms)
    law = policy_log_probs(scores.double(), policy)
    assert torch.equal(tokens, inverse_transform(law, uniforms))
    assert torch.equal(logprobs, law.gather(-1, tokens[:, None])[:, 0])


def test_a_row_does_not_depend_on_the_rows_beside_it():
    scores, uniforms = laws(4, 33, 3000), torch.from_numpy(np.random.default_rng(5).random(33))
    together = draw(Head(), scores, Policy(), uniforms)
    for row in range(33):
        alone = draw(Head(), scores[row : row + 1], Policy(), uniforms[row : row + 1])
        assert alone[0].item() == together[0][row].item()
        assert alone[1].item() == pytest.approx(together[1][row].item(), abs=1e-7)


def test_scores_that_are_no_law_are_refused(reference):
    hidden = torch.full((2, 16), float("nan"))
    with pytest.raises(NonFiniteLogits):
        draw(reference, hidden, Policy(), torch.zeros(2, dtype=torch.float64))


@pytest.mark.parametrize("width", [5, 300, 513, 1000, 9000])
@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_the_way_of_a_gpu_draws_the_same(width, temperature, monkeypatch):
    monkeypatch.setattr(Kernel, "enabled", False)
    scores = laws(5, 60, width)
    scores[:, 3 : width // 2 + 1] = -torch.inf
    uniforms = torch.from_numpy(np.random.default_rng(6).random(60))
    uniforms[:2] = torch.tensor([0.0, float(np.nextafter(1.0, 0.0))], dtype=torch.float64)
    want = draw(Head(), scores, Policy(temperature=temperature), uniforms)
    got = drawing._drawn_on_gpu(scores, temperature, uniforms)
    assert torch.equal(got[0], want[0])
    torch.testing.assert_close(got[1], want[1], rtol=0, atol=1e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_way_of_a_gpu_marks_rows_that_have_no_law(monkeypatch):
    monkeypatch.setattr(Kernel, "enabled", False)
    scores = laws(7, 4, 700)
    scores[1, 650], scores[2, 3] = torch.nan, torch.inf
    uniforms = torch.full((4,), 0.999, dtype=torch.float64)
    tokens, logprobs = drawing._drawn_on_gpu(scores.cuda(), 1.0, uniforms.cuda())
    assert logprobs.isnan().tolist() == [False, True, True, False]
    assert (tokens < 700).all()
