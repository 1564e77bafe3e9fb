"""Divergence and entropy of next-token laws over the whole vocabulary."""

from torch import Tensor


def token_kl(sampler: Tensor, scorer: Tensor) -> Tensor:
    """KL(sampler‖scorer) of each row of log-probabilities, in nats.

    Args:
        sampler: Normalised, `-inf` outside the support. Shape ``(n, v)``.
        scorer: The same over the same ids. Shape ``(n, v)``.

    Returns:
        float64, `+inf` where the sampler's support leaves the scorer's. Shape ``(n,)``.
    """
    sampler, scorer = sampler.double(), scorer.double()
    possible = sampler > float("-inf")
    escapes = (possible & (scorer == float("-inf"))).any(dim=-1)
    terms = sampler.exp() * (sampler - scorer)
    # Rounding of a sum that cannot be negative may leave -1e-17.
    total = terms.masked_fill(~possible, 0.0).sum(dim=-1).clamp(min=0.0)
    return total.masked_fill(escapes, float("inf"))


def token_entropy(log_probs: Tensor) -> Tensor:
    """Entropy of each row of log-probabilities, in nats, float64. Shape ``(n, v)`` to ``(n,)``."""
    log_probs = log_probs.double()
    terms = log_probs.exp() * log_probs
    return -terms.masked_fill(log_probs == float("-inf"), 0.0).sum(dim=-1)
