import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.auth.keys import ApiKey

PEPPER = "p" * 32


def test_a_key_reads_back_and_matches_its_hash_only_under_its_pepper():
    key = ApiKey.generate()
    stored = key.keyed_hash(PEPPER)
    assert ApiKey.parse(key.text) == key
    assert key.matches(stored, PEPPER)
    assert not key.matches(stored, "q" * 32)
    assert key.secret not in stored
    assert not ApiKey(key.id, "0" * 43).matches(stored, PEPPER)


def test_two_keys_differ():
    assert len({ApiKey.generate().text for _ in range(100)}) == 100


@given(st.integers(0, 70), st.sampled_from("0Az9_-"))
def test_one_mistyped_character_is_noticed(place, other):
    text = ApiKey("0123456789abcdef", "A" * 43).text
    place %= len(text)
    changed = text[:place] + other + text[place + 1 :]
    assert (ApiKey.parse(changed) is None) == (changed != text)


@pytest.mark.parametrize("text", ["", "tsk_", "tsk_a_b", ApiKey.generate().text[:-1], "x" * 10_000])
def test_what_is_no_key_is_none(text):
    assert ApiKey.parse(text) is None
