"""Scoring samples under a model that did not draw them, and an arm's under the reference's own policy."""

from collections.abc import Callable
from itertools import groupby

import numpy as np
import pyarrow as pa

from workers.engines.causal_model import CausalModel
from workers.engines.scoring import score_pair
from workers.pipelines.sample import render
from workers.pipelines.spec import REFERENCE, AnalysisSpec
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

    Both models must share a tokenizer; the plan scores nothing where they do not. An arm is a law of its own
    of one model: `score_arm` scores its samples.

    Args:
        spec: The analysis.
        samples: Samples of one stream, prompts together.
        scorer: The participant whose model scores.
        sampling_model: The model that drew them.
        scoring_model: The model of `scorer`.
        should_stop: Asked between batches.
        on_progress: Told how many samples are scored.

    Raises:
        EngineAborted: `should_stop` said so.
    """
    if any(spec.streams[stream].is_arm for stream in samples["stream"].unique().to_pylist()):
        return score_arm(spec, samples, scoring_model, should_stop=should_stop, on_progress=on_progress)
    columns: dict[str, list[object]] = {name: [] for name in SCORES.names}
    # Checkpoints of a run score the reference's samples one after another, a teacher what others score too.
    several = spec.is_taught or (len(spec.checkpoints) > 1 and scorer in spec.checkpoints)
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


def score_arm(
    spec: AnalysisSpec,
    samples: pa.Table,
    model: CausalModel,
    *,
    should_stop: Callable[[], bool],
    on_progress: Callable[[int], None],
) -> pa.Table:
    """Score what an arm drew under the reference's own policy and rendering; rows keep their order.

    `own_logprob` is the density under which each was drawn, as recorded then. Terms of a pair of laws are
    null: the arm's own law is not computed again.

    Args:
        spec: The analysis.
        samples: Samples of one arm, prompts together.
        model: The reference.
        should_stop: Asked between batches.
        on_progress: Told how many samples are scored.

    Raises:
        EngineAborted: `should_stop` said so.
    """
    columns: dict[str, list[object]] = {name: [] for name in SCORES.names}
    model.states.begin()
    done = 0
    for prompt_index, group in groupby(samples.to_pylist(), key=lambda row: row["prompt_index"]):
        block = list(group)
        ids = [np.asarray(row["token_ids"], dtype=np.int32) for row in block]
        batch = score_pair(
            model,
            model,
            render(model, spec.prompts[prompt_index]),
            ids,
            spec.policy,
            [np.zeros(one.size, dtype=np.float32) for one in ids],
            drawn_here=False,
            should_stop=should_stop,
        )
        columns["prompt_index"] += [prompt_index] * len(block)
        columns["stream"] += [row["stream"] for row in block]
        columns["scorer"] += [REFERENCE] * len(block)
        columns["index"] += [row["index"] for row in block]
        columns["own_logprob"] += [np.sum(row["logprobs"], dtype=np.float64) for row in block]
        for name in ("logprob", "token_logprobs", "zero_cause"):
            columns[name] += list(getattr(batch, name))
        for name in ("token_kl", "kl", "entropy", "max_token_diff"):
            columns[name] += [None] * len(block)
        done += len(block)
        on_progress(done)
    return pa.table(columns, schema=SCORES)
