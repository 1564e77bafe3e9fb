"""Whether sampling and scoring agree about the same samples, token by token."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from workers.estimators.agreement import TokenScores, sampler_identity, shared_prefixes, token_sums
from workers.estimators.closure import Check
from workers.pipelines.spec import CANDIDATE, REFERENCE

Row = dict[str, Any]
SAMPLED = ("stream", "prompt_index", "index", "token_ids", "logprobs")
SCORED = ("stream", "prompt_index", "index", "logprob", "own_logprob", "token_logprobs", "max_token_diff")


def agreement_checks(samples: pa.Table, scores: pa.Table, prompts: Sequence[int]) -> list[Check]:
    """Exact identities between the two passes; none where nothing was scored.

    Args:
        samples: All samples, with the log-probabilities their sampler recorded.
        scores: All scores of the other side's model.
        prompts: Indices of the prompts that are reported.
    """
    rows = list(_joined(samples, scores, set(prompts)))
    if not rows:
        return []
    own = np.array([row["own_logprob"] for row in rows])
    stored = np.array([float(np.sum(np.asarray(row["logprobs"], dtype=np.float64))) for row in rows])
    other = np.array([row["logprob"] for row in rows])
    tokens = [np.asarray(row["token_logprobs"], dtype=np.float64) for row in rows]
    checks = [sampler_identity(stored, own, own - other), token_sums(other, tokens)]
    noise = float(np.mean([row["max_token_diff"] for row in rows]))
    sides = [_shared(rows, law, other, prompts, noise) for law, other in _laws()]
    found = [check for check in sides if check is not None]
    return [*checks, max(found, key=lambda check: check.residual)] if found else checks


def _laws() -> tuple[tuple[str, str], ...]:
    return (REFERENCE, CANDIDATE), (CANDIDATE, REFERENCE)


def _shared(rows: Sequence[Row], law: str, other: str, prompts: Sequence[int], noise: float) -> Check | None:
    """Samples that `law` drew itself against samples of the other side that it scored."""
    drawn: dict[int, list[TokenScores]] = {index: [] for index in prompts}
    scored: dict[int, list[TokenScores]] = {index: [] for index in prompts}
    for row in rows:
        if row["stream"] == law:
            drawn[row["prompt_index"]].append(TokenScores(row["token_ids"], row["logprobs"]))
        elif row["stream"] == other:
            scored[row["prompt_index"]].append(TokenScores(row["token_ids"], row["token_logprobs"]))
    return shared_prefixes([drawn[i] for i in prompts], [scored[i] for i in prompts], noise)


def _joined(samples: pa.Table, scores: pa.Table, prompts: set[int]) -> Iterator[Row]:
    """Scored samples of both sides, each with what was recorded when it was drawn."""
    found = {_key(row): row for row in scores.select(SCORED).to_pylist() if row["prompt_index"] in prompts}
    for row in samples.select(SAMPLED).to_pylist():
        score = found.get(_key(row))
        if score is not None and row["stream"] in (REFERENCE, CANDIDATE):
            yield {**row, **score}


def _key(row: Row) -> tuple[str, int, int]:
    return row["stream"], row["prompt_index"], row["index"]
