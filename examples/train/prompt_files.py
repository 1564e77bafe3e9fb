"""The prompt files: held-out items in the order of their hashes, kept if the base's exact price fits."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from exact_success import exact_success
from skills import Family, Item, items_of
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast


def threshold(budget: int, reach: float = 0.5) -> float:
    """epsilon(K, rho) = 1 - (1 - rho)^(1/K): the success that reaches C within K samples with chance rho."""
    return 1.0 - (1.0 - reach) ** (1.0 / budget)


WINDOWS: Final[Mapping[Family, tuple[float, float]]] = {
    "basin": (0.25, 0.65),
    "tail": (2 * threshold(256), threshold(8) / 2),
    "new": (0.0, 1e-6),
}
"""What the base's exact success must be for a prompt to stand in a file: half-open intervals."""
CONTENTS: Final[Mapping[str, Mapping[Family, int]]] = {
    "basin_tail": {"tail": 14, "basin": 8},
    "new_rule": {"new": 20},
}


class Selection(NamedTuple):
    """The items of one family that a file holds, and how many were looked at to find them."""

    items: list[Item]
    examined: int


def select(
    network: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, family: Family, count: int
) -> Selection:
    """The first ``count`` held-out items by hash whose base success lies in the family's window.

    Of two sums that differ in the order of their operands only the first is looked at.
    """
    low, high = WINDOWS[family]
    chosen: list[Item] = []
    distinct = {item.digest: item for item in reversed(items_of(family, "heldout"))}
    ordered = [distinct[digest] for digest in sorted(distinct)]
    for examined, item in enumerate(ordered, start=1):
        success = exact_success(network, tokenizer, item.prompt, item.answer, negligible=1e-15)
        if low <= success.value and success.value + success.unscored < high:
            chosen.append(item)
        if len(chosen) == count:
            return Selection(chosen, examined)
    raise ValueError(f"only {len(chosen)} held-out {family} items lie in [{low:g}, {high:g})")


def template(item: Item) -> str:
    """The family a prompt is resampled with: its skill and its first digit.

    Items of one skill that start alike share most of what the model reads before the answer.
    """
    return f"{item.family}-{item.prompt[0]}"


def write_prompts(path: Path, items: Iterable[Item]) -> None:
    """JSON Lines, one prompt a line."""
    lines = [
        {"id": f"{item.family}-{index:02d}", "prompt": item.prompt, "answer": item.answer}
        | {"family": template(item), "split": item.split}
        for index, item in enumerate(items)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def read_prompts(path: Path) -> list[dict[str, Any]]:
    """The lines of a prompt file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def write_prompt_files(
    network: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path
) -> dict[str, int]:
    """Write every file into ``folder``; returns how many held-out items were examined, by family."""
    examined: dict[str, int] = {}
    for name, families in CONTENTS.items():
        items: list[Item] = []
        for family, count in families.items():
            selection = select(network, tokenizer, family, count)
            examined[family] = selection.examined
            items += selection.items
        write_prompts(folder / f"{name}.jsonl", items)
    return examined
