"""A KL that exists under a truncated policy: from untruncated draws of the candidate alone."""

import pyarrow as pa
import pyarrow.compute as pc

from workers.estimators.bootstrap_weights import BootstrapWeights
from workers.estimators.kl import KLResult
from workers.pipelines.scored_kl import scored_kl
from workers.pipelines.spec import AnalysisSpec
from workers.pipelines.streams import UNTRUNCATED


def untruncated_kl(spec: AnalysisSpec, scores: pa.Table, weights: BootstrapWeights) -> dict[int, KLResult]:
    """KL(q||p) of each prompt, y ~ q, both laws at temperature 1 without truncation.

    Args:
        spec: The analysis.
        scores: All scores; rows of the stream of untruncated draws are used, and no others.
        weights: Of the Bayesian bootstrap.
    """
    rows = scores.filter(pc.field("stream") == UNTRUNCATED)
    found = {}
    for index in sorted(set(rows["prompt_index"].to_pylist())):
        mine = rows.filter(pc.field("prompt_index") == index)
        found[index] = scored_kl(mine, weights)
    return found
