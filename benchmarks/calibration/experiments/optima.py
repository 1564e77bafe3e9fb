"""Widths that the experiments over prompts would have at best: the fixed-n optimum of each interval.

The normal interval with the true variance at the same n and M, simulated once from the population; nobody can
compute it from data.
"""

import math
from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from benchmarks.calibration.experiment import Settings
from benchmarks.calibration.experiments.populations import KS, TAUS, N, gain_prompts, prompt_rates
from workers.estimators.pass_at_k import pass_at_k

Z = 1.959964
POPULATION = 500_000
Floats = np.ndarray


def curve_optima(cell: Settings) -> Mapping[str, float]:
    """Of `curves`: pass@k and the retention metrics from n = 64; coverage as if every a were known."""
    return _widths(_curve_deviations(), cell)


def gain_optima(cell: Settings) -> Mapping[str, float]:
    """Of `gains`: the total and its parts from a pilot of 64 a side, every prompt's cause known."""
    return _widths(_gain_deviations(), cell)


def _widths(deviations: Mapping[str, float], cell: Settings) -> dict[str, float]:
    return {name: 2 * Z * sd / math.sqrt(int(cell["prompts"])) for name, sd in deviations.items()}


@lru_cache(maxsize=1)
def _curve_deviations() -> dict[str, float]:
    """Standard deviation of what one prompt adds to each figure."""
    rng = np.random.default_rng(2)
    a, b = prompt_rates(rng, POPULATION)
    c, d = rng.binomial(N, a), rng.binomial(N, b)
    found = {}
    for k in KS:
        points = np.array([pass_at_k(N, successes, k) for successes in range(N + 1)], dtype=np.float64)
        found[f"pass@{k}"] = float(points[c].std())
    found |= {f"coverage {tau:g}": float((a >= tau).std()) for tau in TAUS}
    both, only_q, only_p = (c > 0) & (d > 0), (c == 0) & (d > 0), (c > 0) & (d == 0)
    srr, ndr = _influence(both, both | only_p), _influence(only_q, both | only_q)
    x, y = both.sum() / (both | only_p).sum(), only_q.sum() / (both | only_q).sum()
    found["srr"], found["ndr"] = float(srr.std()), float(ndr.std())
    found["sds"] = float((2 * (y / (x + y)) ** 2 * srr + 2 * (x / (x + y)) ** 2 * ndr).std())
    found["nscr"] = float(_influence(only_q.astype(float) - only_p, both | only_q | only_p).std())
    return found


def _influence(over: Floats, under: Floats) -> Floats:
    """Influence function of a ratio of means."""
    influence: Floats = (over - over.mean() / under.mean() * under) / under.mean()
    return influence


@lru_cache(maxsize=1)
def _gain_deviations() -> dict[str, float]:
    rng = np.random.default_rng(3)
    kinds, a, b = gain_prompts(rng, POPULATION)
    gain = rng.binomial(N, b) / N - rng.binomial(N, a) / N
    causes = {"elicited": (kinds == 0) | (kinds == 3), "created": kinds == 1, "lost": kinds == 2}
    parts = {f"gain.{name}": float((gain * is_cause).std()) for name, is_cause in causes.items()}
    return {"gain.total": float(gain.std()), **parts}
