import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workers.engines import token_scores
from workers.engines.divergence import token_entropy, token_kl
from workers.engines.errors import NonFiniteLogits
from workers.engines.kernels import Kernel
from workers.engines.policy import Policy, policy_log_probs
from workers.engines.token_scores import position_numbers


class Head:
    """Hidden states that are the scores."""

    head_rows = 9
    edge_tolerance = 1e-4

    def __init__(self):
        self.read = 0

    def scores(self, hidden, *, in_room=False, checked=True):
        self.read += len(hidden)
        if checked and not bool(hidden.amax().isfinite()):
            raise NonFiniteLogits("not finite")
        return hidden


@pytest.fixture(params=["CPU", "GPU"])
def way(request, monkeypatch):
    """The numbers are computed in two ways: for a CPU, and for the compiler of a GPU."""
    monkeypatch.setattr(Kernel, "enabled", False)
    if request.param == "GPU":
        monkeypatch.setattr(token_scores, "_untruncated", token_scores._untruncated_on_gpu)


def scores(seed, rows, width, spread=3.0):
    return torch.from_numpy(np.random.default_rng(seed).normal(0, spread, (rows, width))).float()


def numbers(mine, theirs, tokens, policy, **kwargs):
    return position_numbers(Head(), Head(), (mine, theirs), tokens, policy, **kwargs)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10**6),
    width=st.sampled_from([2, 7, 512, 6000]),
    distance=st.sampled_from([1e-4, 1e-2, 1.0, 6.0]),
    temperature=st.sampled_from([1.0, 0.7]),
    holes=st.booleans(),
)
def test_float32_elements_give_the_float64_numbers(way, seed, width, distance, temperature, holes):
    mine = scores(seed, 20, width)
    theirs = mine + distance * scores(seed + 1, 20, width, 1.0)
    if holes and width > 2:
        mine[:, 1] = theirs[:, 1] = -torch.inf
    tokens, policy = mine.argmax(-1), Policy(temperature=temperature)
    table, causes = numbers(mine, theirs, tokens, policy)
    one, two = (policy_log_probs(x.double(), policy) for x in (mine, theirs))
    at = tokens[:, None]
    close = {"rtol": 3e-7, "atol": 3e-6}  # float32 of scores some tens of nats apart
    torch.testing.assert_close(table[0], one.gather(-1, at)[:, 0], **close)
    torch.testing.assert_close(table[1], two.gather(-1, at)[:, 0], **close)
    torch.testing.assert_close(table[3], token_entropy(one), **close)
    # Near laws have a small KL, of which a part in a hundred is wrong at most.
    torch.testing.assert_close(table[2], token_kl(one, two), rtol=1e-2, atol=1e-10)
    assert set(causes) == {""}


@pytest.mark.parametrize("rarest", [-torch.inf, -400.0, -95.0, -84.0])
@pytest.mark.parametrize("mass", [1e-7, 1e-5, 8e-4])
def test_what_the_sampler_never_draws_counts_where_laws_are_close(way, rarest, mass):
    """The scorer's mass there is the divergence: small, and not nothing."""
    mine = scores(15, 20, 50, 1.0)
    mine[:, 3] = rarest
    theirs = mine.clone()
    theirs[:, 3] = mine.logsumexp(-1) + np.log(mass)
    theirs[:10, 4] += 1e-3
    table, _ = numbers(mine, theirs, torch.zeros(20, dtype=torch.long), Policy())
    one, two = (policy_log_probs(x.double(), Policy()) for x in (mine, theirs))
    torch.testing.assert_close(table[2], token_kl(one, two), rtol=1e-2, atol=1e-10)
    assert table[2].min() > 0.9 * mass


def test_equal_scores_of_two_models_have_no_divergence(way):
    mine = scores(3, 30, 4000)
    table, _ = numbers(mine, mine.clone(), mine.argmax(-1), Policy())
    assert (table[2] == 0).all()
    assert torch.equal(table[0], table[1])


def test_what_the_scorer_cannot_say_is_infinitely_far_and_has_a_cause():
    mine = scores(4, 6, 50)
    theirs = mine.clone()
    theirs[:, 5] = -torch.inf
    tokens = torch.tensor([5, 1, 1, 5, 1, 1])
    table, causes = numbers(mine, theirs, tokens, Policy())
    assert torch.isinf(table[2]).all()
    assert torch.isneginf(table[1]).tolist() == [True, False, False, True, False, False]
    assert [bool(cause) for cause in causes] == [True, False, False, True, False, False]
    whole, _ = numbers(mine, theirs, torch.ones(6, dtype=torch.long), Policy())
    assert torch.isinf(whole[2]).all()


@pytest.mark.parametrize("policy", [Policy(), Policy(top_k=5)])
def test_chunks_change_nothing(policy):
    mine, theirs = scores(5, 40, 700), scores(6, 40, 700)
    tokens = mine.argmax(-1)
    whole = numbers(mine, theirs, tokens, policy)
    parts = numbers(mine, theirs, tokens, policy, chunk=1)
    torch.testing.assert_close(whole.table, parts.table, rtol=0, atol=1e-6)
    assert whole.causes == parts.causes


@pytest.mark.parametrize("side", ["mine", "theirs"])
@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
@pytest.mark.parametrize("row", [0, 25])
def test_scores_that_are_none_are_an_error_in_whichever_chunk(way, side, wrong, row):
    """Nothing is looked at chunk by chunk: a bad score at a token that nobody drew is found at the end."""
    sides = {"mine": scores(7, 30, 50), "theirs": scores(8, 30, 50)}
    tokens = torch.zeros(30, dtype=torch.long)
    sides[side][row, 17] = wrong
    with pytest.raises(NonFiniteLogits):
        numbers(sides["mine"], sides["theirs"], tokens, Policy())


def test_scores_of_one_law_that_are_none_are_an_error(way):
    """The numbers of a model that scores its own draws come from one side alone."""
    head, mine = Head(), scores(9, 30, 50)
    mine[12, 3] = float("nan")
    with pytest.raises(NonFiniteLogits):
        position_numbers(head, head, (mine, mine), torch.zeros(30, dtype=torch.long), Policy())


@pytest.mark.parametrize("policy", [Policy(top_k=5), Policy(top_p=0.9)])
def test_a_truncating_policy_reads_every_position_once(policy):
    head = Head()
    position_numbers(head, head, (scores(10, 30, 50),) * 2, torch.zeros(30, dtype=torch.long), policy)
    assert head.read == 30


def test_only_positions_whose_token_is_impossible_are_read_twice(way):
    """Of a model that masks tokens, one of them in a batch costs its own position, not the batch."""
    sampler, scorer = Head(), Head()
    mine, theirs = scores(11, 30, 50), scores(12, 30, 50)
    theirs[:, 5] = -torch.inf
    tokens = torch.ones(30, dtype=torch.long)
    tokens[[4, 20]] = 5
    table, causes = position_numbers(sampler, scorer, (mine, theirs), tokens, Policy())
    assert (sampler.read, scorer.read) == (32, 32)
    assert [place for place, cause in enumerate(causes) if cause] == [4, 20]
    assert torch.isneginf(table[1]).nonzero().squeeze(-1).tolist() == [4, 20]
    one, two = (policy_log_probs(x.double(), Policy()) for x in (mine, theirs))
    torch.testing.assert_close(table[0], one.gather(-1, tokens[:, None])[:, 0], rtol=3e-7, atol=3e-6)
    torch.testing.assert_close(table[1], two.gather(-1, tokens[:, None])[:, 0], rtol=3e-7, atol=3e-6)


@pytest.mark.parametrize("drawn_here", [True, False])
def test_a_token_that_the_sampler_itself_cannot_say(way, drawn_here):
    """Imported completions may hold one."""
    mine, theirs = scores(13, 30, 50), scores(14, 30, 50)
    mine[:, 5] = -torch.inf
    tokens = torch.ones(30, dtype=torch.long)
    tokens[7] = 5
    table, causes = numbers(mine, theirs, tokens, Policy(), drawn_here=drawn_here)
    assert torch.isneginf(table[0]).nonzero().squeeze(-1).tolist() == [7]
    assert torch.isfinite(table[1:]).all()
    assert set(causes) == {""}
