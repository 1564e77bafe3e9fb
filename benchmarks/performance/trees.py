"""Pairs of laws over trees of tokens, every path enumerated: means and variances are finite sums."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class TreePair:
    """Two laws of sequences of T tokens from V, where a token depends on its position and the one before.

    Attributes:
        p: Reference's chances. Shape ``(T, V, V)``; at the first position each row is the same.
        q: Candidate's chances. Shape ``(T, V, V)``.
    """

    p: Floats
    q: Floats

    @cached_property
    def paths(self) -> Ints:
        """Every sequence. Shape ``(V^T, T)``."""
        length, v = self.p.shape[:2]
        return np.stack(np.meshgrid(*[np.arange(v)] * length, indexing="ij"), axis=-1).reshape(-1, length)

    @cached_property
    def log_p(self) -> Floats:
        """Log-chance of each sequence under p, nats. Shape ``(V^T,)``."""
        return self._along(np.log(self.p))

    @cached_property
    def log_q(self) -> Floats:
        """The same under q. Shape ``(V^T,)``."""
        return self._along(np.log(self.q))

    @cached_property
    def law(self) -> Floats:
        """Chance of each sequence under q. Shape ``(V^T,)``."""
        chances = np.exp(self.log_q)
        normalised: Floats = chances / chances.sum()
        return normalised

    @cached_property
    def kl_along(self) -> Floats:
        """Sum over tokens of KL(q_t‖p_t) along each sequence, nats. Shape ``(V^T,)``."""
        return self._of_prefix((self.q * np.log(self.q / self.p)).sum(axis=2))

    @cached_property
    def entropy_along(self) -> Floats:
        """Sum over tokens of the entropy of q_t along each sequence, nats. Shape ``(V^T,)``."""
        return self._of_prefix(-(self.q * np.log(self.q)).sum(axis=2))

    def mean(self, values: Floats) -> float:
        """Exact expectation under q."""
        return float(self.law @ values)

    def variance(self, values: Floats) -> float:
        """Exact variance under q."""
        return float(self.law @ (values - self.mean(values)) ** 2)

    def _along(self, logs: Floats) -> Floats:
        before = np.concatenate([np.zeros_like(self.paths[:, :1]), self.paths[:, :-1]], axis=1)
        picked: Floats = logs[np.arange(self.paths.shape[1]), before, self.paths].sum(axis=1)
        return picked

    def _of_prefix(self, each: Floats) -> Floats:
        before = np.concatenate([np.zeros_like(self.paths[:, :1]), self.paths[:, :-1]], axis=1)
        summed: Floats = each[np.arange(self.paths.shape[1]), before].sum(axis=1)
        return summed


def drifted(
    rng: np.random.Generator, *, strength: float, changed: float, length: int = 8, v: int = 4
) -> TreePair:
    """A candidate that drifts: some contexts' logits move by normal noise.

    Args:
        rng: Source of the laws.
        strength: Standard deviation of the noise, nats.
        changed: Share of contexts that move; fine-tuning by rewards moves few.
        length: T.
        v: V.
    """
    p = _random_law(rng, length, v)
    moved = rng.random((length, v, 1)) < changed
    moved[1] = True  # or nothing moves now and then, and no divergence is left to estimate
    q = p * np.exp(strength * rng.standard_normal(p.shape) * moved)
    q[0] = q[0, 0]
    return TreePair(p, q / q.sum(axis=2, keepdims=True))


def tilted(rng: np.random.Generator, *, inverse_temperature: float, length: int = 8, v: int = 4) -> TreePair:
    """The exponential tilt of the reference towards sequences whose last token is 0 (Doob's transform)."""
    p = _random_law(rng, length, v)
    ahead = np.where(np.arange(v) == 0, np.exp(inverse_temperature), 1.0)
    q = np.empty_like(p)
    for t in reversed(range(length)):
        weighted = p[t] * ahead
        ahead = weighted.sum(axis=1)
        q[t] = weighted / ahead[:, None]
    return TreePair(p, q)


def _random_law(rng: np.random.Generator, length: int, v: int) -> Floats:
    p = rng.dirichlet(np.ones(v), (length, v))
    p = (p + 0.01) / (1 + 0.01 * v)
    p[0] = p[0, 0]
    return np.asarray(p, dtype=np.float64)
