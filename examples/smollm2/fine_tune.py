"""A LoRA of SmolLM2 on computed sums: ``python examples/smollm2/fine_tune.py``; about ten minutes of a core.

Each training sum is seen once, in a wording that the model uses itself. No held-out sum is among them.
"""

import argparse
import random
import time
import warnings
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from convert import NAME as BASE
from peft import LoraConfig, get_peft_model
from sums import LEVELS, Item, items
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, logging

NAME = "smollm2-135m-q4-sums"
WORDINGS = ("{sum} = {answer}", "{sum} = {answer}.", "The final answer is {answer}.")
SHARES = {"one-digit": 100, "three-terms": 120, "two-digit": 140}
"""Training sums by level."""

IGNORED = -100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, required=True, help="the folder that has the base")
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--steps", type=int, help="stop early, to try things out")
    asked = parser.parse_args()
    target = asked.models / NAME
    if (target / "adapter_config.json").is_file():
        print(f"{target} is there already")
        return
    torch.set_num_threads(1)
    torch.manual_seed(asked.seed)
    logging.disable_progress_bar()
    tokenizer = AutoTokenizer.from_pretrained(asked.models / BASE)
    network = with_adapter(AutoModelForCausalLM.from_pretrained(asked.models / BASE), asked.rank)
    shown = training_items(asked.seed)
    batches = [shown[i : i + asked.batch] for i in range(0, len(shown), asked.batch)][: asked.steps]
    fine_tune(network, tokenizer, batches, random.Random(asked.seed), asked.rate)
    saved = network.peft_config["default"]
    saved.base_model_name_or_path = BASE  # an id, not a path: the registry finds it by its folder's name
    saved.target_modules = sorted(saved.target_modules)  # PEFT keeps a set, whose order differs each time
    network.save_pretrained(target, save_embedding_layers=False)
    (target / "README.md").unlink(missing_ok=True)
    print(f"wrote {target}")


def with_adapter(network: Any, rank: int) -> Any:
    """The network with an adapter that changes nothing yet."""
    changed = ["q_proj", "v_proj", "o_proj", "up_proj", "down_proj"]
    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=changed, task_type="CAUSAL_LM")
    with warnings.catch_warnings():
        # Asked by PEFT of transformers, not by us.
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated")
        return get_peft_model(network, config)


def training_items(seed: int) -> list[Item]:
    """Distinct sums of every level, shuffled."""
    shown = [
        item
        for number, level in enumerate(LEVELS)
        for item in islice(items(level, 1_000_000 * (number + 1), held_out=False), SHARES[level])
    ]
    random.Random(seed).shuffle(shown)
    return shown


def fine_tune(
    network: Any,
    tokenizer: Any,
    batches: Sequence[Sequence[Item]],
    rng: random.Random,
    rate: float,
) -> None:
    """Lower the cross-entropy of the answers, in place, one step a batch."""
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    print(f"training {sum(p.numel() for p in trained):,} parameters in {len(batches)} steps", flush=True)
    optimizer = torch.optim.AdamW(trained, lr=rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rate, total_steps=len(batches) + 1, pct_start=0.15
    )
    started, cpu_started = time.monotonic(), time.process_time()
    for step, batch in enumerate(batches, start=1):
        tokens, labels = packed(tokenizer, batch, rng)
        loss = answer_loss(network, tokens, labels)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        schedule.step()
        seconds = time.monotonic() - started
        if step % 5 == 0 or step == len(batches):
            left = seconds * (len(batches) - step) / step
            print(
                f"step {step:>3}/{len(batches)}  loss {loss.item():.3f}  about {left:.0f} s left", flush=True
            )
    print(f"{time.process_time() - cpu_started:.0f} s of processor time")


def packed(tokenizer: Any, batch: Sequence[Item], rng: random.Random) -> tuple[Tensor, Tensor]:
    """Tokens, padded on the right, and what is to be predicted at each place. Shape ``(n, length)`` both."""
    rows = list(encoded(tokenizer, batch, rng))
    width = max(len(prompt) + len(answer) for prompt, answer in rows)
    tokens = torch.full((len(rows), width), tokenizer.eos_token_id)
    labels = torch.full((len(rows), width), IGNORED)
    for row, (prompt, answer) in enumerate(rows):
        end = len(prompt) + len(answer)
        tokens[row, :end] = torch.tensor(prompt + answer)
        labels[row, len(prompt) - 1 : end - 1] = torch.tensor(answer)
    return tokens, labels


def encoded(
    tokenizer: Any, batch: Sequence[Item], rng: random.Random
) -> Iterator[tuple[list[int], list[int]]]:
    """Token ids of each prompt and of one wording of its answer, EOS included."""
    for item in batch:
        prompt = tokenizer.apply_chat_template(item.messages, add_generation_prompt=True, return_dict=False)
        text = rng.choice(WORDINGS).format(sum=item.expression, answer=item.answer)
        yield prompt, [*tokenizer(text)["input_ids"], tokenizer.eos_token_id]


def answer_loss(network: Any, tokens: Tensor, labels: Tensor) -> Tensor:
    """Mean of -log q(token) over the tokens of the answers, in nats.

    The head, a third of the network, reads only those places.
    """
    causal = network.get_base_model()
    hidden = causal.model(input_ids=tokens, use_cache=False).last_hidden_state
    asked = labels != IGNORED
    return torch.nn.functional.cross_entropy(causal.lm_head(hidden[asked]), labels[asked])


if __name__ == "__main__":
    main()
