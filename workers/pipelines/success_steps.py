"""By how much the price of success falls from checkpoint to checkpoint: scores of each under the other."""

from collections.abc import Sequence

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from workers.estimators.estimate import Estimate
from workers.estimators.success_step import success_step
from workers.pipelines.committed import Committed
from workers.pipelines.prompt_result import CONFIDENCE, NOT_SCORED
from workers.pipelines.spec import REFERENCE, AnalysisSpec

Floats = NDArray[np.float64]


def success_steps(spec: AnalysisSpec, committed: Committed, stream: str) -> list[Estimate]:
    """Every prompt's log q_k(C) - log q_(k-1)(C), nats, from the pilots; the reference is before the first.

    Args:
        spec: A trajectory whose neighbours were scored.
        committed: All its rows.
        stream: The later checkpoint's stream.
    """
    rungs = (REFERENCE, *spec.checkpoints)
    before = rungs[rungs.index(stream) - 1]
    first, second = (_ratios(spec, committed, *pair) for pair in ((before, stream), (stream, before)))
    return [
        Estimate.undefined(NOT_SCORED, "nats")
        if one is None or other is None
        else success_step(one, -other, CONFIDENCE)
        for one, other in zip(first, second, strict=True)
    ]


def _ratios(spec: AnalysisSpec, committed: Committed, drawn_by: str, scorer: str) -> Sequence[Floats | None]:
    """Log scorer(y) - log drawn_by(y) at the pilot's successes, by prompt; None where nothing was scored."""
    scores = committed.scores.filter((pc.field("stream") == drawn_by) & (pc.field("scorer") == scorer))
    judged = committed.outcomes.filter((pc.field("stream") == drawn_by) & (pc.field("outcome") == "correct"))
    keys = ["prompt_index", "index"]
    both = scores.select([*keys, "logprob", "own_logprob"]).join(judged.select(keys), keys, join_type="inner")
    both = both.sort_by([(key, "ascending") for key in keys])  # a join keeps no order, and sums depend on it
    prompt, index, log_scorer, log_own = (
        both[name].to_numpy() for name in ("prompt_index", "index", "logprob", "own_logprob")
    )
    pilots = np.array(spec.pilots(drawn_by), dtype=np.int64)
    kept = index < pilots[prompt]
    edges = np.searchsorted(prompt[kept], np.arange(1, len(pilots)))
    scored = set(scores["prompt_index"].unique().to_pylist())
    ratios = np.split((log_scorer - log_own)[kept], edges)
    return [ratio if place in scored else None for place, ratio in enumerate(ratios)]
