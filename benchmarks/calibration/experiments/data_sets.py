"""Coverage of the intervals over prompts: means, curves, retention, the gain split and the creation share."""

import math
from functools import lru_cache

import numpy as np

from benchmarks.calibration.experiment import Experiment, Interval, Row, Settings, interval
from benchmarks.calibration.experiments.optima import curve_optima, gain_optima
from benchmarks.calibration.experiments.populations import KS, TAUS, N, gain_prompts, prompt_rates
from benchmarks.calibration.frames import spec_of
from benchmarks.calibration.reports import report_of
from benchmarks.calibration.worlds import mode_world
from workers.estimators.bootstrap_weights import BootstrapWeights
from workers.estimators.coverage import coverage
from workers.estimators.crossing import crossing_k
from workers.estimators.dataset import mean_over_prompts
from workers.estimators.gain import cross_fit
from workers.estimators.pass_at_k import pass_at_k_curve
from workers.estimators.retention import retention, solved_within
from workers.estimators.sample_mean import mean_estimate
from workers.estimators.share import data_set_shares
from workers.estimators.unseen import behaviour_entropy, unseen_mass

Z = 1.959964
POPULATION = 2_000_000
ALPHABET = 40


@lru_cache(maxsize=1)
def _curve_truths() -> dict[str, float]:
    a, b = prompt_rates(np.random.default_rng(1), POPULATION)
    truths = {f"pass@{k}": float(np.mean(1 - (1 - a) ** k)) for k in KS}
    truths |= {f"coverage {tau:g}": float(np.mean(a >= tau)) for tau in TAUS}
    solved_p, solved_q = 1 - (1 - a) ** N, 1 - (1 - b) ** N
    both, only_q = float(np.mean(solved_p * solved_q)), float(np.mean((1 - solved_p) * solved_q))
    only_p = float(np.mean(solved_p * (1 - solved_q)))
    srr, ndr = both / (both + only_p), only_q / (both + only_q)
    truths |= {"srr": srr, "ndr": ndr, "sds": 2 * srr * ndr / (srr + ndr)}
    truths["nscr"] = (only_q - only_p) / (both + only_q + only_p)
    ks = np.arange(1, N + 1)
    lead = [float(np.mean((1 - b) ** k - (1 - a) ** k)) for k in ks]
    truths["crossing_k"] = float(next(k for k, ahead in zip(ks, lead, strict=True) if ahead >= 0))
    return truths


def curves(rng: np.random.Generator, cell: Settings) -> Row:
    """Support curves and metrics of M prompts at n = 64 a side, counts alone."""
    a, b = prompt_rates(rng, int(cell["prompts"]))
    ns = np.full(a.size, N)
    c, d = rng.binomial(ns, a), rng.binomial(ns, b)
    truths = _curve_truths()
    row = {
        f"pass@{point.k}": interval(point.mean, truths[f"pass@{point.k}"])
        for point in pass_at_k_curve(ns, c, KS, rng)
    }
    row |= {
        f"coverage {tau:g}": interval(coverage(c, ns, tau, rng), truths[f"coverage {tau:g}"]) for tau in TAUS
    }
    found = retention(solved_within(c, ns, N, rng), solved_within(d, ns, N, rng), rng)
    row |= {name: interval(getattr(found, name), truths[name]) for name in ("srr", "ndr", "sds", "nscr")}
    row["crossing_k"] = interval(crossing_k(c, ns, d, ns, rng), truths["crossing_k"])
    return row


def means(rng: np.random.Generator, cell: Settings) -> Row:
    """Mean over prompts of a skewed divergence, each measured with error; behaviours of one prompt."""
    prompts = int(cell["prompts"])
    kl = rng.gamma(1.5, 1.0, prompts)
    draws = [rng.gamma(2.0, x / 2.0, N) for x in kl]
    each = [mean_estimate(values, BootstrapWeights(rng), unit="nats", floor=0.0) for values in draws]
    found = mean_over_prompts(each, least=0.0)
    variance = (1.5 + (1.5 + 1.5**2) / 2 / N) / prompts
    weights = 1.0 / np.arange(1, ALPHABET + 1)
    law = weights / weights.sum()
    labels = rng.choice(ALPHABET, size=N, p=law).tolist()
    unseen = float(law[~np.isin(np.arange(ALPHABET), labels)].sum())
    entropy = float(-(law @ np.log(law)))
    return {
        "mean over prompts": interval(found.population, 1.5, least_width=2 * Z * math.sqrt(variance)),
        "unseen_mass": interval(unseen_mass(labels), unseen),
        "behaviour_entropy": interval(behaviour_entropy(labels), entropy),
    }


def gains(rng: np.random.Generator, cell: Settings) -> Row:
    """Gain split and creation share of an adaptive analysis: elicited, created, lost and flat prompts."""
    prompts = int(cell["prompts"])
    spec = spec_of(prompts, most=4096)
    kinds, a, b = gain_prompts(rng, prompts)
    worlds = [mode_world(float(x), float(y)) for x, y in zip(a, b, strict=True)]
    report = report_of(spec, worlds, rng, scored=False)
    shares = data_set_shares(cross_fit(report.records, alpha=0.05, reach=0.5), confidence=0.95, rng=rng)
    total, created = float((b - a).mean()), float((b - a)[kinds == 1].sum())
    share = created / float((b - a)[kinds != 2].sum())
    lower, upper = shares.creation.lower, shares.creation.upper
    row: Row = {
        "gain.total": interval(shares.gain.total.estimate, GAIN),
        "gain.total (these prompts)": _sampling(shares.gain.total, total),
        "creation_share": [None, None, None, None],
    }
    if lower.ci_low is not None and upper.ci_high is not None:
        held = float(lower.ci_low <= share <= upper.ci_high)
        row["creation_share"] = [held, upper.ci_high - lower.ci_low, None, 1.0]
    for part in ("elicited", "created", "lost", "undetermined"):
        estimate = getattr(shares.gain, part).estimate
        row[f"gain.{part}"] = [estimate.value, estimate.ci_low, estimate.ci_high, 1.0]
    return row


GAIN = 0.5 * (0.775 - 0.21) + 0.25 * (0.775 - 1e-6) - 0.1 * 0.8 * 0.6
"""Mean gain of the population of `gains`."""

PARTS = ("gain.elicited", "gain.created", "gain.lost", "gain.undetermined")
"""Kept as value and ends: their target is the mean over replicates, which only the whole study knows."""


def _sampling(part: object, truth: float) -> Interval:
    low, high = getattr(part, "sampling_low", None), getattr(part, "sampling_high", None)
    if low is None or high is None:
        return [None, None, None, None]
    return [float(low <= truth <= high), high - low, None, 1.0]


CURVES = Experiment(
    name="curves",
    title="Support curves and metrics",
    cells={f"M = {m}": {"prompts": m} for m in (10, 20, 40, 100)},
    replicate=curves,
    optima=curve_optima,
    full=1700,
    quick=20,
)
MEANS = Experiment(
    name="means",
    title="Means over prompts and behaviour statistics",
    cells={f"M = {m}": {"prompts": m} for m in (10, 20)},
    replicate=means,
    full=2600,
    quick=10,
)
GAINS = Experiment(
    name="gains",
    title="Gain split and creation share",
    cells={f"M = {m}": {"prompts": m} for m in (10, 20)},
    replicate=gains,
    optima=gain_optima,
    full=2500,
    quick=10,
)
