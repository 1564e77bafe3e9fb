"""Whether sampling and scoring agree about the same samples, token by token."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workers.estimators.agreement import TokenScores, sampler_identity, shared_prefixes, token_sums
from workers.estimators.closure import Check
from workers.numerics.ragged import row_sums
from workers.pipelines.spec import CANDIDATE, REFERENCE
from workers.pipelines.tables import lists, of_stream

SAMPLED = ("prompt_index", "index", "token_ids", "logprobs")
SCORED = ("prompt_index", "index", "logprob", "own_logprob", "token_logprobs", "max_token_diff")


@dataclass(frozen=True, slots=True)
class _Side:
    """Scored samples of one side in sample order, and the same samples as they were drawn."""

    drawn: pa.Table
    scored: pa.Table

    def tokens(self, *, as_drawn: bool) -> TokenScores:
        """The samples token by token, as they were drawn or as they were scored."""
        logprobs, edges = lists(self.drawn["logprobs"] if as_drawn else self.scored["token_logprobs"])
        ids, again = lists(self.drawn["token_ids"])
        if not np.array_equal(edges, again):
            raise ValueError("every token of a sample has a log-probability")
        prompts = self.drawn["prompt_index"].to_numpy().astype(np.int64)
        return TokenScores(prompts, edges, ids.astype(np.int64), logprobs)


def agreement_checks(
    samples: pa.Table, scores: pa.Table, prompts: Sequence[int], pilots: Mapping[str, Sequence[int]]
) -> list[Check]:
    """Exact identities between the two passes; none where nothing was scored.

    They hold for every sample, whichever were chosen. What an error is measured against does not: of later
    draws successes alone are scored, so the ratio of the two laws is taken over the pilots.

    Args:
        samples: All samples, with the log-probabilities their sampler recorded.
        scores: All scores of the other side's model.
        prompts: Indices of the prompts that are reported.
        pilots: Size of each prompt's pilot, by side.
    """
    sides = {stream: _joined(samples, scores, stream, prompts) for stream in (CANDIDATE, REFERENCE)}
    drawn = pa.concat_tables(side.drawn for side in sides.values())
    scored = pa.concat_tables(side.scored for side in sides.values())
    if not scored.num_rows:
        return []
    own, other = (scored[name].to_numpy() for name in ("own_logprob", "logprob"))
    stored = row_sums(*lists(drawn["logprobs"]))
    in_pilot = np.concatenate([_in_pilot(side.drawn, pilots[stream]) for stream, side in sides.items()])
    ratio = np.where(in_pilot, own - other, np.nan)
    checks = [sampler_identity(stored, own, ratio), token_sums(other, *lists(scored["token_logprobs"]))]
    noise = float(np.mean(scored["max_token_diff"].to_numpy().astype(np.float64)))
    shared = [
        shared_prefixes(sides[law].tokens(as_drawn=True), sides[other].tokens(as_drawn=False), noise)
        for law, other in _laws()
    ]
    found = [check for check in shared if check is not None]
    return [*checks, max(found, key=lambda check: check.residual)] if found else checks


def _laws() -> tuple[tuple[str, str], ...]:
    return (REFERENCE, CANDIDATE), (CANDIDATE, REFERENCE)


def _in_pilot(drawn: pa.Table, pilots: Sequence[int]) -> NDArray[np.bool_]:
    """Which samples of a side are its pilot's. Shape `(n,)`."""
    sizes = np.asarray(pilots, dtype=np.int64)
    return np.asarray(drawn["index"].to_numpy() < sizes[drawn["prompt_index"].to_numpy()], dtype=np.bool_)


def _joined(samples: pa.Table, scores: pa.Table, stream: str, prompts: Sequence[int]) -> _Side:
    """The samples of a side that were scored."""
    drawn, scored = of_stream(samples, stream).select(SAMPLED), of_stream(scores, stream).select(SCORED)
    keys, here, there = np.intersect1d(_keys(drawn), _keys(scored), return_indices=True)
    kept = np.isin(keys >> 32, np.asarray(prompts, dtype=np.int64))
    return _Side(drawn.take(here[kept]), scored.take(there[kept]))


def _keys(table: pa.Table) -> NDArray[np.int64]:
    """A number for each prompt and sample, in their order."""
    prompt, sample = (table[name].to_numpy().astype(np.int64) for name in ("prompt_index", "index"))
    return np.asarray((prompt << 32) + sample, dtype=np.int64)
