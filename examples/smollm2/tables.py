"""The page of results: what came out, prompt by prompt, in Markdown."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from tiltscope.summary import number, these_prompts

Json = dict[str, Any]


TERMS = ("gain", "kl", "tilt", "drift", "escape")
REACH = (
    "prompt",
    "regime",
    "reference",
    "candidate",
    "price, nats",
    "successes",
    "worth",
    "heaviest",
    "spread",
)
SHOWN = 3


def results_page(
    result: Json, rows: Sequence[Json], samples: Sequence[Json], fixed: int, agreement: str
) -> str:
    """Verdict, means, one line a prompt with its weights, and the samples spent."""
    verdict, usage = result["verdict"], result["usage"]
    regimes = Counter(row["regime"] for row in rows).most_common()
    parts = [
        "# Results",
        "Written by `examples/demo_smollm2.py`. Intervals are 95 %; ± is for exactly these prompts. "
        "[What it means](../smollm2.md).",
        f"**Verdict: {verdict['label']}.** {verdict['sentence']}",
        "\n".join(f"- {reason}" for reason in verdict["reasons"]),
        table(("mean over the prompts", "value"), _means(result)),
        "Regimes: " + ", ".join(f"{number_of} {name}" for name, number_of in regimes) + ".",
        f"Samples: {usage['samples']:,} drawn ({usage['sampled_tokens']:,} tokens); the fixed plan of equal "
        f"error control takes {fixed:,}. reasoning-gym's own scorer: {agreement}.",
        "## Reach and weights",
        "Prices are in nats. The right half grades what rests on scored draws: successes among the scored "
        "draws of both sides, what they are worth (effective number), the share of the heaviest, the spread "
        "of their log-weights (standard deviation, nats), and the Pareto shape.",
        table((*REACH, "k̂", "grade"), [_reach(row) for row in rows]),
        "## Free energy",
        table(
            ("prompt", "gain", "KL(q‖p)", "tilt", "drift", "escape"),
            [(row["prompt_id"], *(number(row[key], 2) for key in TERMS)) for row in rows],
        ),
        "## Some completions",
        table(("prompt", "side", "outcome", "text"), _shown(samples)),
        "## Warnings",
        "\n".join(f"- {warning['detail']}" for warning in result["warnings"]) or "None.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _means(result: Json) -> list[tuple[str, str]]:
    gain, terms, shares = result["gain"], result["free_energy"], result["diagnostics"]
    sides = ("reference", "candidate")
    return [
        *((f"success of the {side}", these_prompts(result["support"][side]["success"])) for side in sides),
        *((f"gain, {part}", these_prompts(gain[part])) for part in gain),
        *((f"{name}, nats", these_prompts(terms[name])) for name in TERMS[1:]),
        *(
            (f"share {kind}, {side}", f"{shares[f'{kind}_share'][side]:.1%}")
            for kind in ("truncated", "unparsed")
            for side in sides
        ),
    ]


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; bars inside cells are escaped."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _reach(row: Json) -> tuple[str, ...]:
    sides = (f"{row[s]['successes']} / {row[s]['samples']}" for s in ("reference", "candidate"))
    head = (row["prompt_id"], row["regime"], *sides, number(row["reference"]["price"], 2))
    weights = row["weights"]
    if weights is None:
        return (*head, *["not scored"] * 6)
    share, shape = weights["largest_share"], weights["pareto_k"]
    return (
        *head,
        f"{weights['successes']} / {weights['draws']}",
        f"{weights['ess']:.1f}",
        "-" if share is None else f"{share:.0%}",
        f"{weights['log_spread']:.2f}",
        "-" if shape is None else f"{shape:.2f}",
        "ok" if weights["status"] == "ok" else f"{weights['status']}: {weights['reason']}",
    )


def _shown(samples: Sequence[Json]) -> list[tuple[str, ...]]:
    """The first few draws of each side on the first prompt of each level."""
    return [
        (sample["prompt_id"], sample["side"], sample["outcome"] or "-", repr(sample["text"]))
        for sample in samples
        if sample["prompt_id"].endswith("-1") and sample["index"] < SHOWN
    ]
