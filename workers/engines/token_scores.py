"""Numbers of two models' laws at positions of completions: log-probabilities, KL and entropy."""

from collections.abc import Iterator
from typing import Final, NamedTuple

import torch
from torch import Tensor

from workers.engines.causal_model import CausalModel
from workers.engines.divergence import token_entropy, token_kl
from workers.engines.exclusion import exclusions
from workers.engines.kernels import Kernel
from workers.engines.policy import Policy, policy_log_probs

# Elements of a law held at a time on a CPU; see `drawing`.
_CPU_ELEMENTS: Final = 1 << 18
_NEAR: Final = 1e-3
"""Nats below which a KL is computed from terms of second order; float32 leaves four digits there."""
_GONE: Final = 1e-36
_LARGEST: Final = 88.0
"""A weight below which a token has no mass worth counting, and the largest exponent in float32. With 150,000
tokens none of a scorer's probabilities below `_NEAR` is further above one that is not gone."""


class Numbers(NamedTuple):
    """Per position, in nats.

    Attributes:
        table: The sampler's log-probability, the scorer's, KL(sampler‖scorer) and the sampler's entropy,
            float64. Shape ``(4, n)``.
        causes: Why the scorer's is `-inf`; empty if it is not.
    """

    table: Tensor
    causes: list[str]


@torch.inference_mode()
def position_numbers(
    sampler: CausalModel,
    scorer: CausalModel,
    hidden: tuple[Tensor, Tensor],
    tokens: Tensor,
    policy: Policy,
    chunk: int | None = None,
    drawn_here: bool = True,
) -> Numbers:
    """Score positions, a few rows of logits at a time.

    Args:
        sampler: The model that drew.
        scorer: The model that judges; the same object where both are one law.
        hidden: Each model's final hidden states; the same tensor where both are one law. Shapes ``(n, h)``.
        tokens: What was drawn, on the CPU. Shape ``(n,)``.
        policy: The decoding policy of both.
        chunk: Positions whose logits exist at a time, at most.
        drawn_here: Whether the sampler drew the tokens at these positions.
    """
    rows = min(sampler.head_rows, scorer.head_rows)
    rows = rows if chunk is None else min(rows, chunk)
    table = None
    if not policy.is_truncating:
        table = _without_order(sampler, scorer, hidden, tokens, policy.temperature, rows)
    if table is None:
        return _in_order(sampler, scorer, hidden, tokens, policy, rows, drawn_here)
    causes = [""] * len(tokens)
    # A zero needs its cause, and a score that is NaN or +inf is an error: without truncation next to never.
    odd = torch.nonzero(~(table[:2] > float("-inf")).all(dim=0)).squeeze(-1)
    if len(odd):
        some = (hidden[0][odd.to(hidden[0].device)], hidden[1][odd.to(hidden[1].device)])
        found = _in_order(sampler, scorer, some, tokens[odd], policy, rows, drawn_here)
        table[:, odd] = found.table
        for place, cause in zip(odd.tolist(), found.causes, strict=True):
            causes[place] = cause
    return Numbers(table, causes)


def _without_order(
    sampler: CausalModel,
    scorer: CausalModel,
    hidden: tuple[Tensor, Tensor],
    tokens: Tensor,
    temperature: float,
    rows: int,
) -> Tensor | None:
    """The numbers without a look at which scores are largest; None if scores are no float32 of one width.

    Nothing is looked at on the way, so that a GPU is told of the next rows while it computes these.
    """
    tables = []
    for mine, theirs, ids in _pieces(sampler, scorer, hidden, tokens, rows, checked=False):
        if mine.dtype != torch.float32 or (theirs is not None and theirs.shape[-1] != mine.shape[-1]):
            return None
        numbers = _untruncated_on_gpu if mine.is_cuda else _untruncated
        tables.append(numbers(mine, theirs, ids, temperature))
    return torch.cat(tables, dim=1).cpu()


def _in_order(
    sampler: CausalModel,
    scorer: CausalModel,
    hidden: tuple[Tensor, Tensor],
    tokens: Tensor,
    policy: Policy,
    rows: int,
    drawn_here: bool,
) -> Numbers:
    """The numbers of any policy, from laws in float64, with the causes of zeros."""
    parts = [
        _numbers(sampler, scorer, mine, theirs, ids, policy, drawn_here)
        for mine, theirs, ids in _pieces(sampler, scorer, hidden, tokens, rows, checked=True)
    ]
    return Numbers(
        torch.cat([part.table for part in parts], dim=1), [cause for part in parts for cause in part.causes]
    )


def _pieces(
    sampler: CausalModel,
    scorer: CausalModel,
    hidden: tuple[Tensor, Tensor],
    tokens: Tensor,
    rows: int,
    *,
    checked: bool,
) -> Iterator[tuple[Tensor, Tensor | None, Tensor]]:
    """Scores of both models, None for a second one of the same law, and tokens, some rows at a time."""
    ids = tokens.to(hidden[0].device)
    for lo in range(0, len(ids), rows):
        part = ids[lo : lo + rows]
        mine = sampler.scores(hidden[0][lo : lo + rows], in_room=True, checked=checked)
        theirs = None
        if sampler is not scorer:
            theirs = scorer.scores(hidden[1][lo : lo + rows], in_room=True, checked=checked).to(mine.device)
        fine = len(part) if mine.is_cuda else max(1, _CPU_ELEMENTS // mine.shape[-1])
        for start in range(0, len(part), fine):
            cut = slice(start, start + fine)
            yield mine[cut], None if theirs is None else theirs[cut], part[cut]


def _numbers(
    sampler: CausalModel,
    scorer: CausalModel,
    mine: Tensor,
    theirs: Tensor | None,
    ids: Tensor,
    policy: Policy,
    drawn_here: bool,
) -> Numbers:
    # A token that was drawn was inside: where rounding says otherwise, rounding is wrong.
    law = policy_log_probs(
        mine.double(), policy, keep=ids if drawn_here else None, slack=sampler.edge_tolerance
    )
    own, entropy = _pick(law, ids), token_entropy(law)
    if theirs is None:
        judged, divergence = own, torch.zeros_like(own)
    else:
        other = policy_log_probs(theirs.double(), policy)
        width = max(law.shape[-1], other.shape[-1])
        law, other = _widened(law, width), _widened(other, width)
        judged, divergence = _pick(other, ids), token_kl(law, other)
    causes = [""] * len(ids)
    zero = torch.nonzero(judged == float("-inf")).squeeze(-1)
    if len(zero):
        shown = (mine if theirs is None else theirs).double()[zero]
        why = exclusions(shown, ids[zero], policy, scorer.edge_tolerance)
        for index, exclusion in zip(zero.tolist(), why, strict=True):
            causes[index] = exclusion.cause if exclusion is not None else "edge"
    return Numbers(torch.stack([own, judged, divergence, entropy]).cpu(), causes)


def _untruncated(mine: Tensor, theirs: Tensor | None, ids: Tensor, temperature: float) -> Tensor:
    """The four numbers where every token is possible: elements in float32, sums over them in float64."""
    shifted, weights, total = _shifted(mine, temperature)
    log_total = total.log()
    own = _at(shifted, ids) - log_total
    mean = (shifted * weights).sum(-1, dtype=torch.float64)
    if bool(mean.isnan().any()):  # a token whose score is -inf
        mean = (shifted * weights).nan_to_num_(nan=0.0).sum(-1, dtype=torch.float64)
    entropy = log_total - mean / total
    if theirs is None:
        return torch.stack([own, own, torch.zeros_like(own), entropy])
    other, mass, other_total = _shifted(theirs, temperature)
    judged = _at(other, ids) - other_total.log()
    gap = (log_total - other_total.log()).float()
    ratio = shifted.sub_(other).sub_(gap.unsqueeze(-1)).masked_fill_(weights == 0, 0.0)
    return torch.stack([own, judged, _divergence((weights, total), (mass, other_total), ratio), entropy])


def _plainly_untruncated(mine: Tensor, theirs: Tensor | None, ids: Tensor, temperature: float) -> Tensor:
    """As `_untruncated`, without a look at any element, so that sums need no memory for their terms."""
    shifted, weights, total = _shifted(mine, temperature)
    log_total = total.log()
    own = _at(shifted, ids) - log_total
    mean = (shifted * weights).masked_fill(weights == 0, 0.0).sum(-1, dtype=torch.float64)
    entropy = log_total - mean / total
    if theirs is None:
        return torch.stack([own, own, torch.zeros_like(own), entropy])
    other, mass, other_total = _shifted(theirs, temperature)
    judged = _at(other, ids) - other_total.log()
    gap = (log_total - other_total.log()).float().unsqueeze(-1)
    ratio = (shifted - other - gap).masked_fill(weights == 0, 0.0)
    far = (ratio * weights).sum(dim=-1, dtype=torch.float64) / total
    terms = torch.expm1((-ratio).clamp(max=_LARGEST)) + ratio
    gone = weights < _GONE
    near = (terms * weights).masked_fill(gone, 0.0).sum(dim=-1, dtype=torch.float64) / total
    near = near + mass.masked_fill(~gone, 0.0).sum(dim=-1, dtype=torch.float64) / other_total
    return torch.stack([own, judged, near.where(far < _NEAR, far).clamp(min=0.0), entropy])


_untruncated_on_gpu = Kernel(_plainly_untruncated)


def _divergence(sampler: tuple[Tensor, Tensor], scorer: tuple[Tensor, Tensor], ratio: Tensor) -> Tensor:
    """KL of laws given by weights and their totals, in float64; `ratio` is the log of the one over the other.

    The mean of r under the sampler is that of r + exp(-r) - 1, whose terms are positive and of second order:
    where the laws are close, rounding of the normalisers would drown the first and leaves the second alone.
    The mean of exp(-r) is the scorer's mass where the sampler has any; the rest of it is added.
    """
    weights, total = sampler
    divergence = (ratio * weights).sum(dim=-1, dtype=torch.float64) / total
    near = divergence < _NEAR
    if bool(near.any()):
        some = slice(None) if bool(near.all()) else near
        close, mine = ratio[some], weights[some]
        terms = close.neg().clamp_(max=_LARGEST).expm1_().add_(close).mul_(mine)
        rest = torch.zeros_like(divergence[some])
        if float(mine.min()) < _GONE:
            gone = mine < _GONE
            terms.masked_fill_(gone, 0.0)
            mass, other_total = scorer
            rest = mass[some].masked_fill(~gone, 0.0).sum(dim=-1, dtype=torch.float64) / other_total[some]
        divergence[some] = terms.sum(dim=-1, dtype=torch.float64) / total[some] + rest
    return divergence.clamp_(min=0.0)


def _shifted(scores: Tensor, temperature: float) -> tuple[Tensor, Tensor, Tensor]:
    scaled = scores / temperature if temperature != 1 else scores
    shifted = scaled - scaled.amax(dim=-1, keepdim=True)
    weights = shifted.exp()
    return shifted, weights, weights.sum(dim=-1, dtype=torch.float64)


def _at(shifted: Tensor, ids: Tensor) -> Tensor:
    return shifted.gather(-1, ids.unsqueeze(-1)).squeeze(-1).double()


def _pick(log_probs: Tensor, tokens: Tensor) -> Tensor:
    """Each row's token; `-inf` for a token beyond the vocabulary. Shape ``(n,)``."""
    known = tokens < log_probs.shape[-1]
    picked = log_probs.gather(-1, tokens.where(known, 0).unsqueeze(-1)).squeeze(-1)
    return picked.masked_fill(~known, float("-inf"))


def _widened(log_probs: Tensor, width: int) -> Tensor:
    missing = width - log_probs.shape[-1]
    return torch.nn.functional.pad(log_probs, (0, missing), value=float("-inf")) if missing else log_probs
