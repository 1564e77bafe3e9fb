"""exact_success against the sum over every completion there is."""

from itertools import product

import pytest
import torch
from exact_success import exact_success
from network import build_network
from vocabulary import END, IDS, SYMBOLS, build_tokenizer

LIMIT = 3


def every_completion() -> list[tuple[int, ...]]:
    end = IDS[END]
    rest = [token for token in range(len(SYMBOLS)) if token != end]
    ended = [(*stem, end) for length in range(LIMIT) for stem in product(rest, repeat=length)]
    return ended + list(product(rest, repeat=LIMIT))


@torch.no_grad()
def brute_force(network, tokenizer, prompt: str, answer: str) -> tuple[float, float]:
    """Mass of the accepted completions and of all completions, one at a time by the chain rule."""
    head = tokenizer.encode(prompt)
    accepted, total = 0.0, 0.0
    for length in range(1, LIMIT + 1):
        group = [completion for completion in every_completion() if len(completion) == length]
        logprobs = network(torch.tensor([[*head, *c] for c in group])).logits.double().log_softmax(-1)
        for row, completion in enumerate(group):
            mass = sum(logprobs[row, len(head) - 1 + i, token].item() for i, token in enumerate(completion))
            mass = torch.tensor(mass, dtype=torch.float64).exp().item()
            total += mass
            if tokenizer.decode(list(completion), skip_special_tokens=True).strip() == answer:
                accepted += mass
    return accepted, total


@pytest.mark.parametrize("answer", ["7", "42", "138"])
def test_equals_the_sum_over_all_completions(answer):
    network, tokenizer = build_network(3).eval(), build_tokenizer()
    accepted, total = brute_force(network, tokenizer, "12+30=", answer)
    exact = exact_success(network, tokenizer, "12+30=", answer, max_new_tokens=LIMIT)
    assert total == pytest.approx(1.0, abs=1e-5)
    assert accepted > 1e-5
    assert exact.value == pytest.approx(accepted, rel=1e-5)
    assert exact.unscored == 0.0


def test_counts_the_members():
    # One character, limit 3, hidden tokens h in {compute, guess}. Ended: 7 E; h7 E and 7h E, 2 each.
    # Cut by the limit: h h 7 in any order, 3 places x 4 fillings = 12. Together 1 + 4 + 12.
    network, tokenizer = build_network(3).eval(), build_tokenizer()
    assert exact_success(network, tokenizer, "1+6=", "7", max_new_tokens=3).members == 17


def test_answer_longer_than_the_limit_is_impossible():
    network, tokenizer = build_network(3).eval(), build_tokenizer()
    exact = exact_success(network, tokenizer, "99+99=", "198", max_new_tokens=2)
    assert (exact.value, exact.unscored, exact.members) == (0.0, 0.0, 0)


def test_unscored_bounds_what_was_left_aside():
    network, tokenizer = build_network(3).eval(), build_tokenizer()
    whole = exact_success(network, tokenizer, "12+30=", "42", max_new_tokens=5).value
    part = exact_success(network, tokenizer, "12+30=", "42", max_new_tokens=5, negligible=1e-3)
    assert part.unscored > 0
    assert part.value < whole <= part.value + part.unscored


def test_refuses_an_answer_with_a_special_token():
    network, tokenizer = build_network(3).eval(), build_tokenizer()
    with pytest.raises(ValueError, match="one token per character"):
        exact_success(network, tokenizer, "1+6=", "<guess>7")
