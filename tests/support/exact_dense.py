"""Exact energies of a dense reward on an enumerable law, by root finding and sums alone; nats."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import logsumexp

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class DenseLaw:
    """Reference p, candidate q and reward r of every completion. Shapes `(n,)`."""

    log_p: Floats
    log_q: Floats
    rewards: Floats

    @property
    def kl(self) -> float:
        return float(np.exp(self.log_q) @ (self.log_q - self.log_p))

    @property
    def reverse_kl(self) -> float:
        return float(np.exp(self.log_p) @ (self.log_p - self.log_q))

    @property
    def mean_rewards(self) -> tuple[float, float]:
        return float(np.exp(self.log_p) @ self.rewards), float(np.exp(self.log_q) @ self.rewards)

    def log_partition(self, beta: float) -> float:
        return float(logsumexp(self.log_p + beta * self.rewards))

    def response(self, beta: float) -> tuple[float, float]:
        """E_{p_β}[r] and Var_{p_β}(r)."""
        weights = np.exp(self.log_p + beta * self.rewards - self.log_partition(beta))
        mean = float(weights @ self.rewards)
        return mean, float(weights @ (self.rewards - mean) ** 2)

    def gap(self, beta: float) -> float:
        """KL(q‖p_β)/β, from its definition."""
        log_tilted = self.log_p + beta * self.rewards - self.log_partition(beta)
        return float(np.exp(self.log_q) @ (self.log_q - log_tilted)) / beta

    @property
    def matched(self) -> float:
        """β* with E_{p_β*}[r] = E_q[r]."""
        target = self.mean_rewards[1]
        return float(brentq(lambda beta: self.response(beta)[0] - target, -500.0, 500.0, xtol=1e-12))

    def parts(self, out: NDArray[np.bool_]) -> tuple[float, float, float]:
        """Tilt, drift and escape where `out` is out of reach, each from its definition. Shape `(n,)`."""
        p, q = np.exp(self.log_p), np.exp(self.log_q)
        c, p_out = float(q[out].sum()), float(p[out].sum())
        escape = 0.0
        if out.any():
            inside = float(q[out] @ (self.log_q[out] - np.log(c) - self.log_p[out] + np.log(p_out)))
            escape = c * np.log(c / p_out) + (1 - c) * np.log((1 - c) / (1 - p_out)) + inside
        kept = DenseLaw(
            self.log_p[~out] - np.log(1 - p_out), self.log_q[~out] - np.log(1 - c), self.rewards[~out]
        )
        beta = kept.matched
        log_tilted = kept.log_p + beta * kept.rewards - kept.log_partition(beta)
        tilt = float(np.exp(log_tilted) @ (log_tilted - kept.log_p))
        drift = float(np.exp(kept.log_q) @ (kept.log_q - log_tilted))
        return (1 - c) * tilt, (1 - c) * drift, escape
