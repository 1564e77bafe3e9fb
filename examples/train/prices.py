"""Exact success of every shipped model on every shipped prompt: ``python examples/train/prices.py``."""

import argparse
import json
import statistics
import warnings
from pathlib import Path
from typing import Any, Final

import torch
from exact_success import exact_success
from peft import PeftConfig, PeftModel
from prompt_files import CONTENTS, read_prompts
from transformers import AutoModelForCausalLM, AutoTokenizer

MODELS: Final = ("tiny-base", "tiny-grpo", "tiny-sft", "tiny-lora", "tiny-new")
EXAMPLES: Final = Path(__file__).resolve().parents[1]

Prices = dict[str, dict[str, dict[str, float]]]
"""Success by model, by prompt file, by prompt id."""


def load(folder: Path) -> tuple[Any, Any]:
    """Model in float32 and evaluation mode, and its tokenizer; an adapter is merged into its base."""
    adapts = (folder / "adapter_config.json").is_file()
    base = folder.parent / PeftConfig.from_pretrained(folder).base_model_name_or_path if adapts else folder
    network = AutoModelForCausalLM.from_pretrained(str(base), dtype=torch.float32)
    if adapts:
        with warnings.catch_warnings():
            # PEFT asks transformers for something that transformers calls deprecated.
            warnings.simplefilter("ignore", FutureWarning)
            network = PeftModel.from_pretrained(network, folder).merge_and_unload()
    return network.eval(), AutoTokenizer.from_pretrained(str(base))


def measure(models: Path, prompts: Path) -> Prices:
    """Exact success probabilities at temperature 1, nothing truncated, eight new tokens at most."""
    prices: Prices = {}
    for model in MODELS:
        network, tokenizer = load(models / model)
        prices[model] = {
            name: {
                line["id"]: exact_success(network, tokenizer, line["prompt"], line["answer"]).value
                for line in read_prompts(prompts / f"{name}.jsonl")
            }
            for name in CONTENTS
        }
    return prices


def table(prices: Prices) -> str:
    """A Markdown table: minimum, median and maximum by model and family."""
    lines = ["| model | family | prompts | minimum | median | maximum |", "|---|---|---|---|---|---|"]
    for model in MODELS:
        for name, families in CONTENTS.items():
            for family in families:
                values = [v for key, v in prices[model][name].items() if key.startswith(f"{family}-")]
                cells = [f"{f(values):.3g}" for f in (min, statistics.median, max)]
                lines.append(f"| {model} | {family} | {len(values)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, default=EXAMPLES / "models")
    parser.add_argument("--prompts", type=Path, default=EXAMPLES / "prompts")
    parser.add_argument("--out", type=Path, default=EXAMPLES / "prices.json")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    prices = measure(arguments.models, arguments.prompts)
    arguments.out.write_text(json.dumps(prices, indent=1) + "\n")
    print(table(prices))


if __name__ == "__main__":
    main()
