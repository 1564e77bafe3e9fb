"""Whether two computations of one log-probability agree: exact identities, where no error can hide.

Sampling and scoring are two passes of one model, so each number that both produce must be the same up to the
rounding of their arithmetic. Identities between expectations (`closure`) have Monte Carlo noise to hide a
shift of a few tenths of a nat in; these have none.
"""

import itertools
import math
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workers.estimators.closure import FLOAT32_NATS, LARGEST_Z, Check

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: A systematic error of the scores below this share of what they measure changes no reading of it.
LARGEST_SHARE: Final = 0.01
#: Rounding moves tokens of shared prefixes as it moves tokens of own samples, up to this factor.
NOISE_FACTOR: Final = 4.0
#: Relative rounding of a float32, for sums of tokens that were stored in it.
FLOAT32_ROUNDING: Final = 1e-6


class TokenScores(NamedTuple):
    """Samples token by token.

    Attributes:
        prompts: A number for the prompt of each sample. Shape ``(n,)``.
        edges: Where each sample's tokens begin, and where the last one's end. Shape ``(n + 1,)``.
        tokens: Token ids of all samples. Shape ``(length,)``.
        logprobs: Log-probability of each token under one law, nats. Shape ``(length,)``.
    """

    prompts: Ints
    edges: Ints
    tokens: Ints
    logprobs: Floats


def sampler_identity(stored: Floats, recomputed: Floats, log_ratio: Floats) -> Check:
    """|mean| of recomputed - stored own log-probability of the samples. Blocking.

    Allowed are rounding, chance (4 standard errors), and 1 % of the mean |log-ratio|: an engine that rounds
    its activations has a KL to itself, which matters as a share of the KL that is measured.

    Args:
        stored: log-probability of each sample as its sampler recorded it, nats. Shape ``(n,)``.
        recomputed: The same from the scoring pass. Shape ``(n,)``.
        log_ratio: Sampler's minus scorer's log-probability, nats. Left out are infinite ones, and NaN for
            samples that were chosen by their outcome. Shape ``(n,)``.

    Raises:
        ValueError: Shapes differ.
    """
    if not stored.shape == recomputed.shape == log_ratio.shape:
        raise ValueError("one stored, recomputed and relative log-probability per sample")
    if stored.size == 0:
        return Check("sampler_identity", 0.0, FLOAT32_NATS, True, True)
    difference = recomputed - stored
    finite = np.abs(log_ratio[np.isfinite(log_ratio)])
    measured = float(finite.mean()) if finite.size else 0.0
    error = float(difference.std(ddof=1)) / math.sqrt(stored.size) if stored.size > 1 else 0.0
    tolerance = max(FLOAT32_NATS, LARGEST_Z * error, LARGEST_SHARE * measured)
    residual = abs(float(difference.mean()))
    return Check("sampler_identity", residual, tolerance, residual <= tolerance, True)


def token_sums(sequence: Floats, logprobs: Floats, edges: Ints) -> Check:
    """Largest |log p(y) - Σ_t log p(y_t|y_<t)| over samples, relative to the sum of |log p|. Blocking.

    Args:
        sequence: Log-probability of each sample, nats; -inf where p(y) = 0. Shape ``(n,)``.
        logprobs: Their tokens' log-probabilities, stored as float32. Shape ``(length,)``.
        edges: Where each sample's tokens begin, and where the last one's end. Shape ``(n + 1,)``.
    """
    values, owners = logprobs.tolist(), np.repeat(np.arange(sequence.size), np.diff(edges))
    again = np.array([math.fsum(values[low:high]) for low, high in itertools.pairwise(edges.tolist())])
    sizes = np.where(np.isfinite(logprobs), np.abs(logprobs), 0.0)
    compared = ~(np.isinf(sequence) & np.isinf(again))
    total = np.bincount(owners, weights=sizes, minlength=sequence.size)[compared]
    apart = np.abs(sequence[compared] - again[compared]) / (1 + total)
    worst = float(np.where(np.isfinite(apart), apart, 1.0).max(initial=0.0))
    return Check("token_sums", worst, FLOAT32_ROUNDING, worst <= FLOAT32_ROUNDING, True)


def shared_prefixes(drawn: TokenScores, scored: TokenScores, noise: float) -> Check | None:
    """Mean |difference| of a law's token log-probabilities where samples of both sides coincide. Blocking.

    Samples of one prompt share their first tokens: as long as a sample of the other side follows one that
    this model drew itself, what the scorer says of its next token must be what the sampler recorded.

    Args:
        drawn: The law's own samples with the log-probabilities recorded at sampling.
        scored: The other side's samples with what the law's model scored.
        noise: Mean of the largest token difference of a sample between its own sampling and scoring, nats.

    Returns:
        None where no prefix is shared.
    """
    found = np.concatenate([np.empty(0), *_differences(drawn, scored)])
    if not found.size:
        return None
    tolerance = max(FLOAT32_NATS, NOISE_FACTOR * noise)
    # A shared token that is scored as impossible is infinitely wrong.
    residual = min(math.fsum(found.tolist()) / found.size, 1e9)
    return Check("shared_prefixes", residual, tolerance, residual <= tolerance, True)


def _differences(drawn: TokenScores, scored: TokenScores) -> Iterator[Floats]:
    """|difference| of shared tokens, position by position; of equal prefixes the first drawn one counts."""
    stride = 1 + max(drawn.tokens.max(initial=0), scored.tokens.max(initial=0))
    own, other = np.arange(drawn.prompts.size), np.arange(scored.prompts.size)
    # A prefix is numbered by what it extends and its last token; the empty one by its prompt.
    own_prefix, other_prefix = drawn.prompts, scored.prompts
    for position in itertools.count():
        goes_on, follows = (
            side.edges[rows] + position < side.edges[rows + 1]
            for side, rows in ((drawn, own), (scored, other))
        )
        own, other = own[goes_on], other[follows]
        if not own.size or not other.size:
            return
        here, there = drawn.edges[own] + position, scored.edges[other] + position
        known, first, own_prefix = np.unique(
            own_prefix[goes_on] * stride + drawn.tokens[here], return_index=True, return_inverse=True
        )
        wanted = other_prefix[follows] * stride + scored.tokens[there]
        place = np.minimum(np.searchsorted(known, wanted), known.size - 1)
        shared = known[place] == wanted
        other, other_prefix = other[shared], place[shared]
        yield np.abs(scored.logprobs[there[shared]] - drawn.logprobs[here[first[other_prefix]]])
