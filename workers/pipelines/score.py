"""Scoring one side's samples under the other side's model."""

from collections.abc import Callable
from itertools import groupby

import numpy as np
import pyarrow as pa

from workers.engines.causal_model import CausalModel
from workers.engines.scoring import score_pair
from workers.pipelines.sample import render
from workers.pipelines.spec import AnalysisSpec
from workers.pipelines.tables import SCORES


def score_samples(
    spec: AnalysisSpec,
    samples: pa.Table,
    scorer: str,
    sampling_model: CausalModel,
    scoring_model: CausalModel,
    *,
    should_stop: Callable[[], bool],
    on_progress: Callable[[int], None],
) -> pa.Table:
    """Score every sample of a table under both models, by its token ids; rows keep their order.

    Both models must share a tokenizer; the plan scores nothing where they do not.

    Args:
        spec: The analysis.
        samples: Samples of one stream, prompts together.
        scorer: The stream whose model scores.
        sampling_model: The model that drew them.
        scoring_model: The model of `scorer`.
        should_stop: Asked between batches.
        on_progress: Told how many samples are scored.

    Raises:
        EngineAborted: `should_stop` said so.
    """
    columns: dict[str, list[object]] = {name: [] for name in SCORES.names}
    # Checkpoints of a run score the reference's samples one after another.
    several = len(spec.checkpoints) > 1 and scorer in spec.checkpoints
    sampling_model.states.begin()
    rows = samples.to_pylist()
    done = 0
    for prompt_index, group in groupby(rows, key=lambda row: row["prompt_index"]):
        block = list(group)

        def report(finished: int, before: int = done) -> None:
            on_progress(before + finished)

        batch = score_pair(
            sampling_model,
            scoring_model,
            render(sampling_model, spec.prompts[prompt_index]),
            [np.asarray(row["token_ids"], dtype=np.int32) for row in block],
            spec.streams[block[0]["stream"]].policy,
            [np.asarray(row["logprobs"], dtype=np.float32) for row in block],
            keeps_states=several,
            should_stop=should_stop,
            on_progress=report,
        )
        columns["prompt_index"] += [prompt_index] * len(block)
        columns["stream"] += [row["stream"] for row in block]
        columns["scorer"] += [scorer] * len(block)
        columns["index"] += [row["index"] for row in block]
        for name in ("logprob", "own_logprob", "token_logprobs", "token_kl", "kl", "entropy", "zero_cause"):
            columns[name] += list(getattr(batch, name))
        columns["max_token_diff"] += list(batch.max_token_diff)
        done += len(block)
    return pa.table(columns, schema=SCORES)
