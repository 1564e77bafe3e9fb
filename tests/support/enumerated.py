"""Enumerated pairs of laws with any reward and any set out of reach: every term as an exact sum."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import rel_entr

from workers.estimators.estimate import Estimate
from workers.estimators.reading import CandidateScores


@dataclass(frozen=True)
class Pair:
    """p, q, reward and behaviour of each atom; `success` is C. Arrays of shape `(atoms,)`."""

    p: np.ndarray
    q: np.ndarray
    reward: np.ndarray
    success: np.ndarray
    behaviour: tuple[str | None, ...]

    @property
    def kl(self) -> float:
        return divergence(self.q, self.p)

    def members(self, labels: set[str | None]) -> np.ndarray:
        return np.array([s and z in labels for s, z in zip(self.success, self.behaviour, strict=True)])

    def terms(self, out: np.ndarray) -> dict[str, float]:
        """Escape, tilt and drift by their definitions in science.md, none as the rest of the others."""
        c, p_out = float(self.q[out].sum()), float(self.p[out].sum())
        inside = ~out
        escape = bernoulli(c, p_out)
        if c > 0:
            escape += c * divergence(self.q[out] / c, self.p[out] / p_out)
        if c >= 1:
            return {"escape": escape, "tilt": 0.0, "drift": 0.0}
        ps, qs = self.p[inside] / (1 - p_out), self.q[inside] / (1 - c)
        tilted = self.matched(ps, qs, self.reward[inside])
        return {
            "escape": escape,
            "tilt": (1 - c) * divergence(tilted, ps),
            "drift": (1 - c) * divergence(qs, tilted),
        }

    def strategy(self, out: np.ndarray) -> float:
        """(1-c)·KL of the labels under q|S and the matched tilt of p|S, failures being one label."""
        c, p_out = float(self.q[out].sum()), float(self.p[out].sum())
        inside = ~out
        ps, qs = self.p[inside] / (1 - p_out), self.q[inside] / (1 - c)
        tilted = self.matched(ps, qs, self.reward[inside])
        names = [(bool(self.success[i]), self.behaviour[i]) for i in np.flatnonzero(inside)]
        cells = sorted(set(names), key=str)
        sums = [[law[[name == cell for name in names]].sum() for cell in cells] for law in (qs, tilted)]
        return (1 - c) * divergence(np.array(sums[0]), np.array(sums[1]))

    @staticmethod
    def matched(ps: np.ndarray, qs: np.ndarray, reward: np.ndarray) -> np.ndarray:
        target = float(qs @ reward)
        for extreme in (reward.min(), reward.max()):
            if abs(target - extreme) < 1e-12:
                kept = np.where(reward == extreme, ps, 0.0)
                return kept / kept.sum()

        def tilted(beta: float) -> np.ndarray:
            weights = ps * np.exp(beta * (reward - target))
            return weights / weights.sum()

        beta = brentq(lambda b: float(tilted(b) @ reward) - target, -60, 60, xtol=1e-13, rtol=1e-14)
        return tilted(beta)

    def draw(self, law: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
        return rng.choice(law.size, size=n, p=law)

    def scores(self, atoms: np.ndarray) -> CandidateScores:
        """One-token sequences: the Rao-Blackwellised KL of each is the whole KL."""
        with np.errstate(divide="ignore"):
            ratio = np.log(self.q[atoms]) - np.log(self.p[atoms])
        return CandidateScores(np.full(atoms.size, self.kl), ratio, self.success[atoms])


def divergence(q: np.ndarray, p: np.ndarray) -> float:
    return float(rel_entr(q, p).sum())


def bernoulli(b: float, a: float) -> float:
    return divergence(np.array([b, 1 - b]), np.array([a, 1 - a]))


def random_pair(seed: int, atoms: int = 24, *, dense: bool = False, labels: int = 3) -> Pair:
    rng = np.random.default_rng(seed)
    p, q = rng.dirichlet(np.full(atoms, 0.7)), rng.dirichlet(np.full(atoms, 0.7))
    success = rng.random(atoms) < 0.5
    success[:labels], success[-2:] = True, False
    reward = success.astype(float)
    if dense:
        reward = np.where(success, rng.uniform(0.5, 1.0, atoms), rng.uniform(0.0, 0.5, atoms)).round(2)
    q = q * np.exp(3 * reward)  # most random pairs hardly move the reward
    q /= q.sum()
    names = tuple(f"z{int(rng.integers(labels))}" if s else None for s in success)
    return Pair(p, q, reward, success, names)


def exact_rate(value: float, half: float = 0.0, confidence: float = 0.9875) -> Estimate:
    return Estimate(
        value=value,
        std_error=0.0,
        ci_low=max(value - half, 0.0),
        ci_high=min(value + half, 1.0),
        confidence=confidence,
        n=1000,
        unit="probability",
    )


def within(estimate: Estimate, truth: float) -> bool:
    low = -math.inf if estimate.ci_low is None else estimate.ci_low
    high = math.inf if estimate.ci_high is None else estimate.ci_high
    return low - 1e-9 <= truth <= high + 1e-9
