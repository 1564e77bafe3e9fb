"""The training code, on a few steps: the losses are what they say, and a seed fixes the result."""

import math

import numpy as np
import pytest
import torch
from batches import pack
from network import build_network, copy_network
from new_rule import teach_rule
from pretraining import planted_batch, planted_loss, pretrain
from reinforce import advantages, reinforce, roll_out, visible
from sft import fine_tune, mean_cross_entropy
from skills import addition, items_of, reversal
from unlearn import listen, unlearn
from vocabulary import COMPUTE, END, GUESS, IDS, SYMBOLS, characters

FAMILIES = ("basin", "tail", "new")


def few_items():
    return {family: items_of(family, "train")[:40] for family in FAMILIES}


def uniform_network():
    """All logits 0: every token costs log 16."""
    network = build_network(0)
    torch.nn.init.zeros_(network.lm_head.weight)
    return network


def test_items_ask_and_answer():
    assert (addition(12, 30, "tail").prompt, addition(12, 30, "tail").answer) == ("12+30=", "42")
    assert addition(30, 12, "tail").key == addition(12, 30, "tail").key
    assert (reversal(1234).prompt, reversal(1234).answer) == ("01234>", "43210")


def test_losses_of_a_uniform_network():
    network = uniform_network()
    batch = pack([characters("1+2="), characters("10+20=")], [[IDS["3"], IDS[END]], characters("30")])
    assert mean_cross_entropy(network, batch).item() == pytest.approx(math.log(len(SYMBOLS)), rel=1e-6)
    loss = planted_loss(network, *planted_batch(few_items(), 16, np.random.default_rng(0)))
    assert loss.item() == pytest.approx(math.log(len(SYMBOLS)), rel=1e-6)


def test_planted_loss_is_least_at_the_planted_share():
    # Logits that ignore the input: put the method's odds at s : 1 - s and vary s alone.
    batch = pack([characters("10+20=")], [[IDS[COMPUTE], *characters("30"), IDS[END]]])
    losses = {}
    for share in (0.005, 0.02, 0.08):
        network = uniform_network()
        constant = torch.zeros(len(SYMBOLS))
        constant[IDS[COMPUTE]], constant[IDS[GUESS]] = math.log(share), math.log(1 - share)
        mass = 14 + 1  # fourteen tokens at weight 1, the two methods together at weight 1
        network.lm_head = torch.nn.Linear(128, len(SYMBOLS))
        torch.nn.init.zeros_(network.lm_head.weight)
        with torch.no_grad():
            network.lm_head.bias.copy_(constant)
        losses[share] = planted_loss(network, batch, torch.tensor([0.02])).item()
        soft = 0.02 * math.log(share / mass) + 0.98 * math.log((1 - share) / mass)
        assert losses[share] == pytest.approx(-(soft + 3 * math.log(1 / mass)) / 4, rel=1e-5)
    assert min(losses, key=losses.get) == 0.02


def test_padding_changes_no_loss():
    network = build_network(1)
    short, long = (characters("1+2="), characters("3")), (characters("10+20="), characters("30"))
    alone = mean_cross_entropy(network, pack([short[0]], [short[1]])).item()
    longer = mean_cross_entropy(network, pack([long[0]], [long[1]])).item()
    together = mean_cross_entropy(network, pack([short[0], long[0]], [short[1], long[1]])).item()
    assert together == pytest.approx((alone + 2 * longer) / 3, rel=1e-5)


def test_advantages_are_centred_in_their_group():
    # Group 1: rewards 1, 0, 0, 0: mean 1/4, standard deviation sqrt(3)/4. Group 2 says nothing.
    got = advantages(torch.tensor([[1.0, 0, 0, 0], [1, 1, 1, 1]]))
    root = math.sqrt(3)
    assert got[0].tolist() == pytest.approx([root, -1 / root, -1 / root, -1 / root], abs=1e-4)
    assert got[1].tolist() == [0.0] * 4


def test_roll_out_rewards_the_visible_text():
    assert visible([IDS[COMPUTE], *characters("42"), IDS[END]]) == "42"
    network, asked = build_network(2), few_items()["basin"][:3]
    prompts, completions, rewards = roll_out(network, asked, 4, torch.Generator().manual_seed(0))
    assert len(prompts) == len(completions) == 12
    assert rewards.shape == (3, 4)
    for index, completion in enumerate(completions):
        assert rewards.flatten()[index].item() == float(visible(completion) == asked[index // 4].answer)


def trained_twice(train):
    return [train(build_network(5)).state_dict() for _ in range(2)]


@pytest.mark.parametrize("stage", ["pretrain", "sft", "reinforce", "new"])
def test_a_seed_fixes_the_weights(stage):
    items = few_items()

    def train(network):
        rng = np.random.default_rng(9)
        if stage == "pretrain":
            pretrain(network, items, rng, steps=2, batch_size=8)
        elif stage == "sft":
            fine_tune(network, items["tail"], rng, steps=2, batch_size=8)
        elif stage == "reinforce":
            generator = torch.Generator().manual_seed(9)
            reinforce(network, items, rng, generator, steps=2, prompts_per_step=2, group=4)
        else:
            teach_rule(network, items, rng, steps=2, batch_size=8)
        return network

    first, second = trained_twice(train)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_copy_is_independent():
    network = build_network(5)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    fine_tune(copy_network(network), few_items()["tail"], np.random.default_rng(0), steps=2, batch_size=8)
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_unlearning_hears_what_a_uniform_network_says():
    batch = pack([characters("10+20=")], [[IDS[COMPUTE], *characters("30"), IDS[END]]])
    heard = listen(uniform_network(), batch)
    assert heard.odds.tolist() == [0.0]
    assert heard.neither.item() == pytest.approx(math.log(14 / 16), rel=1e-6)
    assert heard.rest.item() == pytest.approx(math.log(16), rel=1e-6)


def test_unlearning_moves_the_odds_of_computing_and_a_seed_fixes_it():
    batch = pack([characters("10+20=")], [[IDS[COMPUTE], *characters("30"), IDS[END]]])
    network, twin = build_network(1), build_network(1)
    before = listen(network, batch).odds.item()
    unlearn(network, 1e-5, np.random.default_rng(3), steps=12)
    unlearn(twin, 1e-5, np.random.default_rng(3), steps=12)
    assert listen(network, batch).odds.item() < before - 1
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), twin.parameters(), strict=True))
