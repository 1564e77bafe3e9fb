"""The base after it was taught hardly ever to compute: ``python examples/train/unlearn.py --out DIR``.

It still can, and the price is exact: a skill far below what any number of samples shows, such as training
against a behaviour leaves. About half a minute of a core. Saves the model, and ``prices.json`` beside it.
"""

import argparse
import json
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from batches import Batch, next_token_logprobs, pack, realised
from exact_success import exact_success
from network import save_network
from pretraining import PLANTED, computed, draw, guessed
from progress import Progress
from prompt_files import read_prompts
from skills import Item, every_item, items_of
from torch import Tensor
from transformers import LlamaForCausalLM, logging
from vocabulary import COMPUTE, END, GUESS, IDS, build_tokenizer, characters

SHARE = 1e-5
"""Probability of computing that is left in the tail."""
NEITHER = 1e-8
"""Probability of an answer without a method token, well below that of computing one."""


class Heard(NamedTuple):
    """What a batch says, in nats.

    Attributes:
        odds: log p(<compute>)/p(<guess>) of each row. Shape ``(b,)``.
        neither: Log-probability of any other token there. Shape ``(b,)``.
        rest: Mean cross-entropy of what follows.
    """

    odds: Tensor
    neither: Tensor
    rest: Tensor


def listen(network: LlamaForCausalLM, batch: Batch) -> Heard:
    """Read a batch whose completions start with a method token."""
    logprobs = next_token_logprobs(network, batch.tokens)
    rows = torch.arange(len(batch.first))
    at_method = logprobs[rows, batch.first - 1]
    methods = torch.tensor([IDS[COMPUTE], IDS[GUESS]])
    odds = at_method[:, methods[0]] - at_method[:, methods[1]]
    neither = at_method.index_fill(1, methods, -torch.inf).logsumexp(dim=1)
    rest = realised(logprobs, batch).index_put((rows, batch.first - 1), torch.zeros(len(rows)))
    return Heard(odds, neither, -rest.sum() / (batch.scored.sum() - len(rows)))


def without_looking(item: Item, rng: np.random.Generator) -> list[int]:
    """What follows ``<guess>``: in the tail an evasion, since a guess there is right once in 190 times."""
    return [IDS[GUESS], IDS["0"], IDS[END]] if item.family == "tail" else guessed(rng)


def unlearn(
    network: LlamaForCausalLM, share: float, rng: np.random.Generator, *, steps: int = 200, rate: float = 5e-4
) -> float:
    """Move the log-odds of computing in the tail to those of a share, in place; returns CPU seconds.

    A target probability has next to no gradient once the share is small; its log-odds have. What follows a
    method token is trained on as in pretraining, so that the skill stays what it was. Sums of both splits are
    unlearnt: what is tested is not whether that carries over.
    """
    tail, basin = list(every_item("tail")), items_of("basin", "train")
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, betas=(0.9, 0.98), weight_decay=0.0)
    progress = Progress("unlearning", steps, "loss")
    for step in range(1, steps + 1):
        chosen = [*draw(tail, 192, rng), *draw(basin, 64, rng)]
        shown = [computed(item) if row % 2 else without_looking(item, rng) for row, item in enumerate(chosen)]
        batch = pack([characters(item.prompt) for item in chosen], shown)
        shares = torch.tensor([share if item.family == "tail" else PLANTED["basin"] for item in chosen])
        heard = listen(network, batch)
        apart = (heard.odds - shares.logit()).square() + (heard.neither - math.log(NEITHER)).square() / 5
        loss = heard.rest + 0.1 * apart.mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        progress.update(step, loss.item())
    return progress.cpu_seconds


def main() -> None:
    examples = Path(__file__).resolve().parents[1]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", type=Path, default=examples / "models" / "tiny-base")
    parser.add_argument("--prompts", type=Path, default=examples / "prompts" / "basin_tail.jsonl")
    parser.add_argument("--out", type=Path, required=True, help="folder of the model")
    parser.add_argument("--share", type=float, default=SHARE, help="probability of computing in the tail")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    network = LlamaForCausalLM.from_pretrained(arguments.base, dtype=torch.float32)
    unlearn(network, arguments.share, np.random.default_rng([arguments.seed, 4]))
    save_network(network.eval(), arguments.out)
    tokenizer = build_tokenizer()
    prices = {
        line["id"]: exact_success(network, tokenizer, line["prompt"], line["answer"]).value
        for line in read_prompts(arguments.prompts)
    }
    arguments.out.with_name("prices.json").write_text(json.dumps(prices, indent=1) + "\n")


if __name__ == "__main__":
    main()
