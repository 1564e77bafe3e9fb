"""Make the example models and prompt files: ``python examples/train/train.py --out examples/models``.

One thread, about six and a half minutes of a quiet core, no download. The same seed on the same machine and
library versions gives the same bytes.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import torch
from network import build_network, copy_network, save_network
from new_rule import teach_rule
from pretraining import pretrain
from prompt_files import write_prompt_files
from reinforce import reinforce
from sft import fine_tune
from skills import Family, Item, items_of
from transformers import LlamaForCausalLM, logging
from vocabulary import build_tokenizer

Items = dict[Family, list[Item]]


def make_base(items: Items, seed: int) -> tuple[LlamaForCausalLM, float]:
    """The base model and the CPU seconds it took."""
    network = build_network(seed)
    return network, pretrain(network, items, np.random.default_rng([seed, 0]))


def make_grpo(base: LlamaForCausalLM, items: Items, seed: int) -> tuple[LlamaForCausalLM, float]:
    """The base after REINFORCE with a group baseline."""
    network = copy_network(base)
    generator = torch.Generator().manual_seed(seed)
    return network, reinforce(network, items, np.random.default_rng([seed, 1]), generator)


def make_sft(base: LlamaForCausalLM, items: Items, seed: int) -> tuple[LlamaForCausalLM, float]:
    """The base after fine-tuning on computed sums."""
    network = copy_network(base)
    return network, fine_tune(network, items["tail"] + items["basin"], np.random.default_rng([seed, 2]))


def make_new(base: LlamaForCausalLM, items: Items, seed: int) -> tuple[LlamaForCausalLM, float]:
    """The base after fine-tuning on reversal, with replay of sums."""
    network = copy_network(base)
    return network, teach_rule(network, items, np.random.default_rng([seed, 3]))


POST_TRAINED: Final[dict[str, Callable[[LlamaForCausalLM, Items, int], tuple[LlamaForCausalLM, float]]]] = {
    "tiny-grpo": make_grpo,
    "tiny-sft": make_sft,
    "tiny-new": make_new,
}


def train_all(models: Path, prompts: Path, seed: int) -> None:
    """Train the base, choose the prompts by its prices, post-train three times, save as each is done."""
    families: tuple[Family, ...] = ("basin", "tail", "new")
    items: Items = {family: items_of(family, "train") for family in families}
    seconds: dict[str, float] = {}
    base, seconds["tiny-base"] = make_base(items, seed)
    save_network(base, models / "tiny-base")
    examined = write_prompt_files(base.eval(), build_tokenizer(), prompts)
    for name, make in POST_TRAINED.items():
        network, seconds[name] = make(base, items, seed)
        save_network(network, models / name)
    record = {"seed": seed, "torch": torch.__version__, "cpu_seconds": seconds, "heldout_examined": examined}
    (models / "training.json").write_text(json.dumps(record, indent=1) + "\n")


def main() -> None:
    examples = Path(__file__).resolve().parents[1]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=examples / "models", help="folder of the model folders")
    parser.add_argument(
        "--prompts", type=Path, default=examples / "prompts", help="folder of the prompt files"
    )
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    train_all(arguments.out, arguments.prompts, arguments.seed)


if __name__ == "__main__":
    main()
