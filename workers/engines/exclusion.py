"""Why a token has probability zero under a policy."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from workers.engines.policy import Policy, shortfalls

ZeroCause = Literal["top_k", "top_p", "min_p", "edge", "vocabulary"]

# Logits of one prefix computed in batches of different shapes differ by about 1e-5 in float32 and by up to
# 0.04 in bfloat16 (measured on 135M parameters): closer to the edge than this, rounding decides.
EDGE_TOLERANCE: dict[torch.dtype, float] = {
    torch.float64: 1e-9,
    torch.float32: 1e-4,
    torch.bfloat16: 5e-2,
    torch.float16: 1e-2,
}

_FILTERS: tuple[ZeroCause, ...] = ("top_k", "top_p", "min_p")


@dataclass(frozen=True)
class Exclusion:
    """What gave a token probability zero.

    Attributes:
        cause: The first filter that removed it; `edge` if rounding could have; `vocabulary` if the model has
            no such token.
        distance: Nats of logit movement that would let it back in, as in `shortfalls`; inf for `vocabulary`.
    """

    cause: ZeroCause
    distance: float


def exclusions(logits: Tensor, tokens: Tensor, policy: Policy, tolerance: float) -> list[Exclusion | None]:
    """Explain each token's exclusion, None for a token that has positive probability.

    Args:
        logits: Scores, `-inf` where the vocabulary has no token. Shape ``(n, v)``.
        tokens: Token ids; one beyond ``v`` is outside the vocabulary. Shape ``(n,)``.
        policy: The decoding policy.
        tolerance: Distances up to this are `edge`, normally `EDGE_TOLERANCE[dtype of the model]`.
    """
    scaled = logits.double() / policy.temperature
    known = tokens < scaled.shape[-1]
    safe = tokens.where(known, 0)
    known = known & (scaled.gather(-1, safe.unsqueeze(-1)).squeeze(-1) > float("-inf"))
    gaps = shortfalls(scaled, safe, policy)
    rows = zip(known.tolist(), gaps.tolist(), strict=True)
    return [_explain(is_known, row, tolerance) for is_known, row in rows]


def _explain(known: bool, gaps: list[float], tolerance: float) -> Exclusion | None:
    if not known:
        return Exclusion("vocabulary", float("inf"))
    # A token tied with the edge is at distance 0 and still outside; top-k and min-p keep their ties.
    failed = [i for i, gap in enumerate(gaps) if gap > 0 or (_FILTERS[i] == "top_p" and gap == 0)]
    if not failed:
        return None
    distance = max(gaps[i] for i in failed)
    return Exclusion("edge" if distance <= tolerance else _FILTERS[failed[0]], distance)
