"""A KL that exists under a truncated policy: from untruncated draws of the candidate alone."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workers.estimators.kl import KLResult, sequence_kl
from workers.pipelines.prompt_result import CONFIDENCE
from workers.pipelines.spec import AnalysisSpec
from workers.pipelines.streams import UNTRUNCATED


def untruncated_kl(
    spec: AnalysisSpec, scores: pa.Table, generator: Callable[[str], np.random.Generator]
) -> dict[int, KLResult]:
    """KL(q||p) of each prompt, y ~ q, both laws at temperature 1 without truncation.

    Args:
        spec: The analysis.
        scores: All scores; rows of the stream of untruncated draws are used, and no others.
        generator: Makes the source of a prompt's bootstrap weights from its name.
    """
    rows = scores.filter(pc.field("stream") == UNTRUNCATED)
    found = {}
    for index in sorted(set(rows["prompt_index"].to_pylist())):
        mine = rows.filter(pc.field("prompt_index") == index)
        own, other, kl = (
            np.asarray(mine[name].to_numpy(), dtype=np.float64) for name in ("own_logprob", "logprob", "kl")
        )
        lengths = np.array([len(row) for row in mine["token_kl"].to_pylist()], dtype=np.int64)
        rng = generator(f"untruncated/{spec.prompts[index].id}")
        found[index] = sequence_kl(kl, own - other, lengths, rng, CONFIDENCE)
    return found
