import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.engines.policy import Policy
from workers.engines.seeds import stream_key, uniforms

PARTS = {
    "weights_digest": "w",
    "adapter_digest": None,
    "tokenizer_digest": "t",
    "prompt_ids": [1, 2],
    "policy": Policy().canonical(),
    "seed": 0,
    "stream": "reference",
}
KEY = stream_key(**PARTS)


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50), st.integers(1, 11))
def test_ranges_compose(a, b, c, length):
    lo, mid, hi = sorted((a, b, c))
    parts = [uniforms(KEY, lo, mid, length), uniforms(KEY, mid, hi, length)]
    np.testing.assert_array_equal(np.concatenate(parts), uniforms(KEY, lo, hi, length))


def test_far_samples_cost_nothing_to_reach():
    far = uniforms(KEY, 10**12, 10**12 + 2, 3)
    assert far.shape == (2, 3)
    assert np.unique(far).size == 6


def test_samples_share_no_uniform():
    drawn = uniforms(KEY, 0, 500, 7)
    assert np.unique(drawn).size == drawn.size
    assert drawn.min() >= 0
    assert drawn.max() < 1


def test_values_are_those_of_philox_with_the_key_of_the_stream():
    # Pins the layout: results already stored depend on it.
    block = np.random.Generator(np.random.Philox(key=int(KEY[:32], 16))).random(24)
    np.testing.assert_array_equal(uniforms(KEY, 0, 3, 6), block.reshape(3, 8)[:, :6])


@pytest.mark.parametrize(
    "change",
    [
        {"weights_digest": "x"},
        {"adapter_digest": "x"},
        {"tokenizer_digest": "x"},
        {"prompt_ids": [1, 2, 3]},
        {"policy": Policy(temperature=0.5).canonical()},
        {"seed": 1},
        {"stream": "candidate"},
        {"precision": "bfloat16"},
    ],
)
def test_every_part_changes_the_stream(change):
    assert stream_key(**(PARTS | change)) != KEY


def test_key_is_stable():
    assert stream_key(**PARTS) == KEY
    assert stream_key(**PARTS, precision="float32") == KEY
    assert len(KEY) == 64


@pytest.mark.parametrize(("lo", "hi", "length"), [(-1, 2, 1), (3, 2, 1), (0, 1, 0)])
def test_meaningless_ranges_are_refused(lo, hi, length):
    with pytest.raises(ValueError, match="need"):
        uniforms(KEY, lo, hi, length)
