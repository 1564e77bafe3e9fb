"""What the rule of the literature would have said: "unseen in n = K samples" means out of reach.

Printed beside our classes, never used by them. The rule has no error control: a prompt that K samples solve
with chance 0.87 is called unreached 13 % of the time. Rule and vocabulary: Yue et al. (arXiv 2504.13837),
Wu et al. (arXiv 2507.14843).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from workers.estimators.counts import epsilon


@dataclass(frozen=True, slots=True)
class UnseenRule:
    """Counts by the rule, at the samples at hand.

    Attributes:
        budget: K.
        prompts: Prompts judged; those without reference samples are left out.
        unreached: Prompts without a success among the reference's first K samples.
        created_claims: Of these, prompts with a success among the candidate's first K samples.
        reference_samples: The fewest samples a prompt the rule saw of the reference, at most K.
        candidate_samples: Likewise of the candidate; 0 without one.
        short: Prompts judged on fewer than K samples of either side, so that the rule is weaker still.
    """

    budget: int
    prompts: int
    unreached: int
    created_claims: int
    reference_samples: int
    candidate_samples: int
    short: int


def unseen_rule(
    reference: Sequence[ArrayLike], candidate: Sequence[ArrayLike] | None, *, budget: int
) -> UnseenRule:
    """Apply the rule at n = min(K, samples at hand).

    Args:
        reference: Success of every sample of each prompt, in sample order, top-up included. Each ``(n_i,)``.
        candidate: Likewise for the candidate; None for a one-sided analysis.
        budget: K, at least 1.

    Raises:
        ValueError: K < 1, or sides that do not pair.
    """
    if budget < 1:
        raise ValueError("K is at least 1")
    if candidate is not None and len(candidate) != len(reference):
        raise ValueError("the sides list the same prompts")
    first = [np.asarray(outcomes, np.bool_)[:budget] for outcomes in reference]
    second = [np.asarray(outcomes, np.bool_)[:budget] for outcomes in candidate or [()] * len(first)]
    judged = [(p, q) for p, q in zip(first, second, strict=True) if p.size]
    unseen = [(p, q) for p, q in judged if not p.any()]
    return UnseenRule(
        budget=budget,
        prompts=len(judged),
        unreached=len(unseen),
        created_claims=sum(bool(q.any()) for _, q in unseen),
        reference_samples=min((p.size for p, _ in judged), default=0),
        candidate_samples=min((q.size for _, q in judged), default=0),
        short=sum(p.size < budget or (candidate is not None and q.size < budget) for p, q in judged),
    )


def chance_of_unseen(reach: float, budget: int) -> float:
    """How often the rule calls a prompt unreached whose pass@K is `reach`: 1 - reach, from n = K samples.

    Args:
        reach: pass@K of the prompt, in (0, 1).
        budget: K.
    """
    return float((1.0 - epsilon(budget, reach)) ** budget)
