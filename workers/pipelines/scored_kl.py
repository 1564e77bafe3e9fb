"""KL of sequences from what one scorer made of one prompt's samples."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workers.estimators.bootstrap_weights import BootstrapWeights
from workers.estimators.kl import KLResult, sequence_kl
from workers.pipelines.prompt_result import CONFIDENCE


def scored_kl(rows: pa.Table, weights: BootstrapWeights) -> KLResult:
    """KL(sampler||scorer), y ~ sampler, both under the policy of the stream, nats.

    Args:
        rows: Scores of one prompt, stream and scorer, one row a sample.
        weights: Of the Bayesian bootstrap.
    """
    lengths = np.array([len(row) for row in rows["token_kl"].to_pylist()], dtype=np.int64)
    return sequence_kl(_floats(rows, "kl"), log_ratios(rows), lengths, weights, CONFIDENCE)


def log_ratios(rows: pa.Table) -> NDArray[np.float64]:
    """The log of sampler(y) less that of scorer(y), nats; `+inf` where the scorer excludes y."""
    return _floats(rows, "own_logprob") - _floats(rows, "logprob")


def rao_blackwell_less_k1(rows: pa.Table) -> NDArray[np.float64]:
    """Of each sample, what the two estimators of one KL differ by, nats; not finite where neither exists."""
    with np.errstate(invalid="ignore"):
        return _floats(rows, "kl") - log_ratios(rows)


def _floats(rows: pa.Table, column: str) -> NDArray[np.float64]:
    return np.asarray(rows[column].to_numpy(), dtype=np.float64)
