import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from workers.engines.divergence import token_entropy, token_kl


def test_token_kl_by_hand():
    q = torch.tensor([[0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [1.0, 0.0, 0.0]], dtype=torch.float64).log()
    p = torch.tensor([[0.25, 0.25, 0.5], [1.0, 0.0, 0.0], [0.5, 0.5, 0.0]], dtype=torch.float64).log()
    assert token_kl(q, p).tolist() == pytest.approx([np.log(2), np.inf, np.log(2)])
    assert token_entropy(q).tolist() == pytest.approx([np.log(2), np.log(2), 0])


def test_mass_too_small_to_represent_still_counts_as_support():
    q = torch.tensor([[0.0, -800.0]], dtype=torch.float64)
    p = torch.tensor([[0.0, -np.inf]], dtype=torch.float64)
    assert token_kl(q, p).tolist() == [np.inf]


rows = arrays(np.float64, 6, elements=st.one_of(st.just(-np.inf), st.floats(-30, 30)))


@settings(max_examples=200, deadline=None)
@given(rows, rows, st.permutations(range(6)))
def test_token_kl_is_a_divergence(one, two, order):
    if np.isneginf(one).all() or np.isneginf(two).all():
        return
    q, p = (torch.from_numpy(row)[None].log_softmax(-1) for row in (one, two))
    value = token_kl(q, p)
    assert value >= 0
    assert token_kl(q, q) == 0
    torch.testing.assert_close(token_kl(q[:, order], p[:, order]), value, rtol=1e-9, atol=1e-12)
    outside = ((q > -torch.inf) & (p == -torch.inf)).any()
    assert bool(value.isinf()) == bool(outside)
    assert 0 <= float(token_entropy(q)) <= np.log(6) + 1e-12
