from hypothesis import given
from hypothesis import strategies as st

from workers.engines.batch_memory import GROW_AFTER, BatchLimits, BatchMemory, BatchSize


def test_halved_at_once_and_grown_back_after_successes():
    size = BatchSize(64)
    size.failed(64)
    assert size.size == 32
    for _ in range(GROW_AFTER):
        assert size.size == 32
        size.fitted(32)
    assert size.size == 64
    for _ in range(5 * GROW_AFTER):
        size.fitted(64)
    assert size.size == 64


def test_a_small_rest_proves_nothing():
    size = BatchSize(64)
    size.failed(64)
    for _ in range(5 * GROW_AFTER):
        size.fitted(3)
    assert size.size == 32


@given(capacity=st.integers(1, 300), most=st.integers(1, 300))
def test_it_settles_within_half_of_what_fits(capacity, most):
    size = BatchSize(most)
    for _ in range(200):
        if size.size > capacity:
            size.failed(size.size)
        else:
            size.fitted(size.size)
    assert 1 <= size.size <= most
    assert min(capacity, most) / 2 < max(size.size, 1) or size.size * 2 > min(capacity, most)


def test_each_model_and_length_has_its_own():
    memory = BatchMemory()
    memory.size_for("a", 100, 64).failed(64)
    assert memory.size_for("a", 120, 64).size == 32
    assert memory.size_for("a", 130, 64).size == 64
    assert memory.size_for("b", 100, 64).size == 64
    assert memory.size_for("a", 100, 16).size == 16
    assert memory.size_for("a", 100, 64).size <= 64


def test_limits_suit_the_device_unless_they_are_set(reference):
    assert BatchLimits.of(reference) == (512, 32_768)
    assert BatchLimits.of(reference, 7, 900) == (7, 900)


def test_a_token_takes_what_a_read_prompt_takes(reference, gpt2):
    assert reference.read([2] * 20).bytes == 20 * reference.token_bytes
    assert gpt2.read([2] * 20).bytes == 20 * gpt2.token_bytes
