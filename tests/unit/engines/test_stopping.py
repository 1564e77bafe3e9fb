"""Stop strings are found in the tail exactly where they are in the whole text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from workers.engines.stopping import completes_stop

STOPS = st.lists(st.text("ab né😀", min_size=1, max_size=6), min_size=1, max_size=3)


def byte_level():
    """Every byte is a token, a character up to four of them; a few longer tokens, and one that is no text."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    longer = ["ab", "Ġa", "aaaaaaaaaaaaaaaaaaaa", "ĠĠĠĠĠĠĠĠ"]
    vocabulary = {token: index for index, token in enumerate([*letters, *longer])}
    made = Tokenizer(models.BPE(vocabulary, []))
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(["<nothing>"])
    return made


def metaspace():
    """A decoder that drops the space a text begins with."""
    made = Tokenizer(
        models.WordLevel({t: i for i, t in enumerate(["▁", "▁a", "a", "b", "▁b", "n", "é"])}, "a")
    )
    made.decoder = decoders.Metaspace()
    return made


TOKENIZERS = {"byte_level": byte_level(), "metaspace": metaspace()}


def decoder(tokenizer):
    return lambda ids: tokenizer.decode(list(ids), skip_special_tokens=True)


def ids_for(tokenizer):
    """Tokens that make stop strings likely, and any others now and then."""
    size = tokenizer.get_vocab_size()
    written = "ab né😀" if size > 100 else "ab"
    likely = sorted({i for letter in written for i in _pieces(tokenizer, letter)})
    return st.lists(st.one_of(st.sampled_from(likely), st.integers(0, size - 1)), min_size=1, max_size=120)


def _pieces(tokenizer, letter):
    table = dict(zip(_bytes_in_order(), _chars_in_order(), strict=True))
    names = [table[byte] for byte in letter.encode()] if tokenizer.get_vocab_size() > 100 else [letter]
    return [tokenizer.token_to_id(name) for name in names if tokenizer.token_to_id(name) is not None]


def _bytes_in_order():
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return shown + [byte for byte in range(256) if byte not in shown]


def _chars_in_order():
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(byte) for byte in shown] + [chr(256 + n) for n in range(256 - len(shown))]


@pytest.mark.parametrize("name", TOKENIZERS)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_the_tail_shows_what_the_whole_text_shows(name, data):
    tokenizer = TOKENIZERS[name]
    text, stop = decoder(tokenizer), data.draw(STOPS)
    ids = data.draw(ids_for(tokenizer))
    for length in range(1, len(ids) + 1):
        whole = any(one in text(ids[:length]) for one in stop)
        assert completes_stop(text, ids[:length], stop) == whole
        if whole:
            return


@pytest.mark.parametrize("stop", ["x" * 30, "é😀" * 10])
def test_a_long_stop_string_in_short_tokens_is_found(stop):
    tokenizer = TOKENIZERS["byte_level"]
    table = dict(zip(_bytes_in_order(), _chars_in_order(), strict=True))
    ids = [tokenizer.token_to_id(table[byte]) for byte in (60 * "ab" + stop).encode()]
    text = decoder(tokenizer)
    assert completes_stop(text, ids, [stop])
    assert not any(completes_stop(text, ids[:length], [stop]) for length in range(1, len(ids)))


def test_what_only_a_tail_seems_to_hold_is_no_stop_string():
    """A decoder that shows the beginning of a tail wrongly."""

    def text(ids):
        return ("^" if len(ids) < 300 else "a") + "a" * len(ids)

    assert completes_stop(text, [1] * 299, ["^" + "a" * 10, "b"])
    assert not completes_stop(text, [1] * 300, ["^" + "a" * 10, "b"])


def test_a_token_costs_the_same_however_long_the_completion_is():
    decoded = []

    def text(ids):
        decoded.append(len(ids))
        return "a" * len(ids)

    costs = []
    for length in (100, 10_000):
        decoded.clear()
        assert not completes_stop(text, [1] * length, ["abc"])
        costs.append(sum(decoded))
    assert costs[0] == costs[1] <= 40
