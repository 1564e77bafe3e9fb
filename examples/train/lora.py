"""A LoRA of the example base: ``python examples/train/lora.py``.

The same fine-tuning on computed sums as `sft`, by an adapter of 9,216 parameters; about ten seconds. The
folder is what PEFT saves, and names its base by id.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from sft import fine_tune
from skills import Item, items_of
from transformers import AutoModelForCausalLM, logging


def main() -> None:
    models = Path(__file__).resolve().parents[1] / "models"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", type=Path, default=models / "tiny-base")
    parser.add_argument("--out", type=Path, default=models / "tiny-lora")
    parser.add_argument("--rank", type=int, default=4)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    torch.manual_seed(arguments.seed)
    base = AutoModelForCausalLM.from_pretrained(arguments.base)
    config = LoraConfig(
        r=arguments.rank,
        lora_alpha=2 * arguments.rank,
        target_modules=["q_proj", "v_proj", "o_proj"],
        task_type="CAUSAL_LM",
    )
    network = get_peft_model(base, config)
    items: list[Item] = items_of("tail", "train") + items_of("basin", "train")
    fine_tune(network, items, np.random.default_rng([arguments.seed, 2]), steps=60, peak_rate=3e-3)
    # Ids, not paths: the registry finds the base by the name of its folder.
    network.peft_config["default"].base_model_name_or_path = arguments.base.name
    network.save_pretrained(arguments.out, save_embedding_layers=False)
    (arguments.out / "README.md").unlink(missing_ok=True)


if __name__ == "__main__":
    main()
