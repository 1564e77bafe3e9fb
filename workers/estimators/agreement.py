"""Whether two computations of one log-probability agree: exact identities, where no error can hide.

Sampling and scoring are two passes of one model, so each number that both produce must be the same up to the
rounding of their arithmetic. Identities between expectations (`closure`) have Monte Carlo noise to hide a
shift of a few tenths of a nat in; these have none.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workers.estimators.closure import FLOAT32_NATS, LARGEST_Z, Check

Floats = NDArray[np.float64]

#: A systematic error of the scores below this share of what they measure changes no reading of it.
LARGEST_SHARE: Final = 0.01
#: Rounding moves tokens of shared prefixes as it moves tokens of own samples, up to this factor.
NOISE_FACTOR: Final = 4.0
#: Relative rounding of a float32, for sums of tokens that were stored in it.
FLOAT32_ROUNDING: Final = 1e-6

Prefixes = Mapping[tuple[int, int], tuple[int, float]]
"""From a prefix's number and a token to the longer prefix's number and the token's log-probability, nats."""


class TokenScores(NamedTuple):
    """One sample, token by token.

    Attributes:
        tokens: Token ids. Shape ``(length,)``.
        logprobs: Log-probability of each under one law, nats. Shape ``(length,)``.
    """

    tokens: Sequence[int]
    logprobs: Sequence[float]


def sampler_identity(stored: Floats, recomputed: Floats, log_ratio: Floats) -> Check:
    """|mean| of recomputed - stored own log-probability of the samples. Blocking.

    Allowed are rounding, chance (4 standard errors), and 1 % of the mean |log-ratio|: an engine that rounds
    its activations has a KL to itself, which matters as a share of the KL that is measured.

    Args:
        stored: log-probability of each sample as its sampler recorded it, nats. Shape ``(n,)``.
        recomputed: The same from the scoring pass. Shape ``(n,)``.
        log_ratio: Sampler's minus scorer's log-probability, nats; infinite ones are left out. Shape ``(n,)``.

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


def token_sums(sequence: Floats, tokens: Sequence[Floats]) -> Check:
    """Largest |log p(y) - Σ_t log p(y_t|y_<t)| over samples, relative to the sum of |log p|. Blocking.

    Args:
        sequence: Log-probability of each sample, nats; -inf where p(y) = 0. Shape ``(n,)``.
        tokens: Its tokens' log-probabilities, stored as float32.
    """
    worst = 0.0
    for total, row in zip(sequence.tolist(), tokens, strict=True):
        again = math.fsum(row.tolist())
        if math.isinf(total) and math.isinf(again):
            continue
        finite = row if math.isfinite(again) else row[np.isfinite(row)]
        apart = abs(total - again) / (1 + float(np.abs(finite).sum()))
        worst = max(worst, apart if math.isfinite(apart) else 1.0)
    return Check("token_sums", worst, FLOAT32_ROUNDING, worst <= FLOAT32_ROUNDING, True)


def shared_prefixes(
    drawn: Sequence[Sequence[TokenScores]], scored: Sequence[Sequence[TokenScores]], noise: float
) -> Check | None:
    """Mean |difference| of a law's token log-probabilities where samples of both sides coincide. Blocking.

    Samples of one prompt share their first tokens: as long as a sample of the other side follows one that
    this model drew itself, what the scorer says of its next token must be what the sampler recorded.

    Args:
        drawn: By prompt, the law's own samples with the log-probabilities recorded at sampling, nats.
        scored: By prompt, the other side's samples with what the law's model scored, nats.
        noise: Mean of the largest token difference of a sample between its own sampling and scoring, nats.

    Returns:
        None where no prefix is shared.
    """
    total, matches = 0.0, 0
    for own, other in zip(drawn, scored, strict=True):
        prefixes = _prefixes(own)
        for sample in other:
            for difference in _differences(prefixes, sample):
                total += difference
                matches += 1
    if not matches:
        return None
    tolerance = max(FLOAT32_NATS, NOISE_FACTOR * noise)
    residual = min(total / matches, 1e9)  # a shared token that is scored as impossible is infinitely wrong
    return Check("shared_prefixes", residual, tolerance, residual <= tolerance, True)


def _prefixes(samples: Sequence[TokenScores]) -> Prefixes:
    """Every prefix of some samples, numbered; the empty one is 0."""
    table: dict[tuple[int, int], tuple[int, float]] = {}
    for sample in samples:
        place = 0
        for token, logprob in zip(sample.tokens, sample.logprobs, strict=True):
            place, _ = table.setdefault((place, token), (len(table) + 1, logprob))
    return table


def _differences(prefixes: Prefixes, sample: TokenScores) -> list[float]:
    found = []
    place = 0
    for token, logprob in zip(sample.tokens, sample.logprobs, strict=True):
        if (place, token) not in prefixes:
            break
        place, stored = prefixes[place, token]
        found.append(abs(logprob - stored))
    return found
