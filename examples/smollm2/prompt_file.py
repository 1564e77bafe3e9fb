"""The prompts of the example: ``python examples/smollm2/prompt_file.py`` writes `prompts.jsonl` anew."""

import json
from itertools import islice
from pathlib import Path
from typing import Any, Final

from sums import LEVELS, items

PER_LEVEL: Final = 7
SEED: Final = 20_000_000
"""Far from the seeds of the training sums; the split keeps the two apart whatever the seeds."""

TARGET = Path(__file__).resolve().parent / "prompts.jsonl"


def prompts() -> list[dict[str, Any]]:
    """Held-out sums of every level, as the contract wants prompts."""
    return [
        {
            "id": f"{level}-{number}",
            "messages": item.messages,
            "answer": item.answer,
            "split": "heldout",
            "metadata": {"expression": item.expression},
        }
        for level in LEVELS
        for number, item in enumerate(islice(items(level, SEED, held_out=True), PER_LEVEL), start=1)
    ]


if __name__ == "__main__":
    TARGET.write_text("".join(json.dumps(prompt) + "\n" for prompt in prompts()))
    print(f"wrote {TARGET}")
