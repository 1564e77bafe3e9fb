"""Checkpoints of the run that made tiny-grpo: ``python examples/train/checkpoints.py --out DIR --every 9``.

About twenty seconds of a core. The same seed goes through the same steps as ``train.py``, so that the last
checkpoint is ``tiny-grpo`` itself on a machine that rounds as the one that made it.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from network import save_network
from reinforce import reinforce
from skills import Family, items_of
from transformers import LlamaForCausalLM, logging

STEPS = 36
"""Of the run that made tiny-grpo."""


def train_with_checkpoints(base: Path, out: Path, *, every: int, steps: int, seed: int) -> list[Path]:
    """Train as ``train.py`` does and save every so many steps, and the last; returns the folders."""
    families: tuple[Family, ...] = ("basin", "tail", "new")
    network = LlamaForCausalLM.from_pretrained(base, dtype=torch.float32)
    saved: list[Path] = []

    def keep(step: int) -> None:
        if step % every == 0 or step == steps:
            saved.append(out / f"grpo-step-{step:03d}")
            save_network(network, saved[-1])

    reinforce(
        network,
        {family: items_of(family, "train") for family in families},
        np.random.default_rng([seed, 1]),
        torch.Generator().manual_seed(seed),
        steps=steps,
        after_step=keep,
    )
    return saved


def main() -> None:
    examples = Path(__file__).resolve().parents[1]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", type=Path, default=examples / "models" / "tiny-base")
    parser.add_argument("--out", type=Path, required=True, help="folder of the model folders")
    parser.add_argument("--every", type=int, default=9, help="steps between two checkpoints")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    for folder in train_with_checkpoints(
        arguments.base, arguments.out, every=arguments.every, steps=STEPS, seed=arguments.seed
    ):
        print(folder)


if __name__ == "__main__":
    main()
