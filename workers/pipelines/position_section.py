"""What the scores say along a completion: both KLs by token position, and the entropies."""

from collections.abc import Callable, Sequence
from itertools import zip_longest

from workers.estimators.bootstrap_weights import BootstrapWeights
from workers.estimators.dataset import mean_over_prompts
from workers.estimators.kl import KLResult, by_position
from workers.estimators.sample_mean import mean_estimate
from workers.numerics.ragged import Ragged
from workers.pipelines.document import Json, mean_json
from workers.pipelines.mean_success import families_of
from workers.pipelines.observations import ScoredPair
from workers.pipelines.prompt_result import CONFIDENCE, FreeEnergyTerms, PromptResult

POSITIONS = 64
"""Token positions listed: a chart has no room for more, and the prompts' Parquet file has them all."""


def entropy_json(results: Sequence[PromptResult], weights: BootstrapWeights) -> Json:
    """Mean over prompts of each side's sequence entropy along its own samples."""
    families = families_of([result for result in results if result.observed.pair is not None])
    pairs = [result.observed.pair for result in results if result.observed.pair is not None]
    sides = {
        "reference": [pair.entropy_p for pair in pairs],
        "candidate": [pair.entropy_q for pair in pairs],
    }
    return {
        side: mean_json(
            mean_over_prompts(
                [mean_estimate(v, weights, unit="nats", confidence=CONFIDENCE, floor=0.0) for v in values],
                CONFIDENCE,
                least=0.0,
                families=families,
            )
        )
        for side, values in sides.items()
    }


def positions_json(results: Sequence[PromptResult]) -> list[Json]:
    """Both KLs by token position, means over the prompts that have them; each adds up to its KL."""
    forward = _contributions(results, lambda t: t.kl, lambda pair: pair.token_kl)
    reverse = _contributions(results, lambda t: t.reverse, lambda pair: pair.reverse_token_kl)
    return [
        {"position": position, "estimate": there, "reverse": back}
        for position, (there, back) in enumerate(zip_longest(forward, reverse))
        if there is not None
    ]


def _contributions(
    results: Sequence[PromptResult],
    kl: Callable[[FreeEnergyTerms], KLResult],
    token_kl: Callable[[ScoredPair], Ragged],
) -> list[Json]:
    kept = [r for r in results if r.terms is not None and kl(r.terms).rb.value is not None]
    tables = [token_kl(r.observed.pair) for r in kept if r.observed.pair is not None]
    longest = max((int(table.lengths.max(initial=0)) for table in tables), default=0)
    found = [by_position(table, min(longest, POSITIONS)) for table in tables]
    families = families_of(kept)
    return [
        mean_json(
            mean_over_prompts([row.contribution for row in rows], CONFIDENCE, least=0.0, families=families)
        )
        for rows in zip(*found, strict=True)
    ]
