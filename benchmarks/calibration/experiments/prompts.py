"""Coverage of every interval of a prompt's row, against exact enumeration of random worlds."""

import math

import numpy as np

from benchmarks.calibration.experiment import Experiment, Interval, Row, Settings, interval
from benchmarks.calibration.frames import spec_of
from benchmarks.calibration.reports import report_of
from benchmarks.calibration.worlds import World, random_world
from workers.estimators.bootstrap_weights import BootstrapWeights
from workers.estimators.counts import epsilon
from workers.estimators.estimate import Estimate
from workers.estimators.price import PRICE_TOLERANCE
from workers.pipelines.prompt_result import PromptResult, best_success, estimate_prompt, printed_gain
from workers.pipelines.spec import CANDIDATE, REFERENCE

Z = 1.959964
K_PROBE = 64


def replicate(rng: np.random.Generator, cell: Settings) -> Row:
    """One world, sampled as the plan has it, and every interval that its row prints."""
    n = int(cell["n"])
    spec = spec_of(
        1, k_probe=K_PROBE, pilot=n, most=1024 if cell["adaptive"] else n, adaptive=cell["adaptive"]
    )
    world = random_world(rng)
    seen = report_of(spec, [world], rng, scored=cell.get("scored", True)).observations[0]
    result = estimate_prompt(spec, seen, BootstrapWeights(rng), missing_scores="not scored")
    return {**_counts(result, world, n), **_nats(result, world, n)}


def _counts(result: PromptResult, world: World, n: int) -> Row:
    p, q = result.printed[REFERENCE], result.printed[CANDIDATE]
    a, b = world.a, world.b
    sd_a, sd_b = math.sqrt(a * (1 - a) / n), math.sqrt(b * (1 - b) / n)
    return {
        "reference.success": interval(best_success(p), a, least_width=2 * Z * sd_a),
        "candidate.success": interval(best_success(q), b, least_width=2 * Z * sd_b),
        "reference.price": _certified(p.price, -math.log(a), 2 * Z * sd_a / a),
        "candidate.price": _certified(q.price, -math.log(b), 2 * Z * sd_b / b),
        "reference.price, graded ok, is near": _near(p.price, -math.log(a)),
        "candidate.price, graded ok, is near": _near(q.price, -math.log(b)),
        "gain": interval(printed_gain(result), b - a, least_width=2 * Z * math.hypot(sd_a, sd_b)),
    }


def _certified(price: Estimate, truth: float, least_width: float) -> Interval:
    """The interval of a price, whose grade is about the point: the ends hold whatever it says."""
    return [*interval(price, truth, least_width=least_width)[:3], 1.0]


def _near(price: Estimate, truth: float) -> Interval:
    """Whether a price graded ``ok`` lies within its tolerance; None where it is not."""
    if price.status != "ok" or price.value is None:
        return [None, None, None, None]
    return [float(abs(price.value - truth) <= PRICE_TOLERANCE), None, None, 1.0]


def _nats(result: PromptResult, world: World, n: int) -> Row:
    terms = result.terms
    if terms is None:
        raise ValueError("a capability analysis has token-level terms")
    a, b, kl = world.a, world.b, world.kl
    tilt, drift, escape = world.terms(out=a < epsilon(K_PROBE, 0.5))
    forward, reverse = (path.sum(axis=1) for path in world.paths())
    with np.errstate(divide="ignore", invalid="ignore"):
        k1 = np.where(world.q > 0, np.log(world.q / world.p), 0.0)
    row, log_z = terms.rows[0], math.log(1 - a + a * math.e)
    sd_log_z = math.sqrt(a * (1 - a) / n) * (math.e - 1) / (1 - a + a * math.e)
    found = {
        "kl": interval(terms.kl.rb, kl, least_width=_width(world.q, forward, n)),
        "kl_k1": interval(terms.kl.k1, kl, least_width=_width(world.q, k1, n)),
        "kl_per_token": interval(terms.kl.per_token, kl / 2),
        "kl_reverse": interval(terms.reverse.rb, world.reverse_kl, least_width=_width(world.p, reverse, n)),
        "tilt": interval(terms.decomposition.tilt, tilt),
        "drift": interval(terms.decomposition.drift, drift),
        "escape": interval(terms.decomposition.escape, escape),
        "log_partition": interval(row.log_partition, log_z, least_width=2 * Z * sd_log_z),
        "equilibrium": interval(row.equilibrium, -log_z, least_width=2 * Z * sd_log_z),
        "free_energy": interval(row.free_energy, kl - b),
        "gap": interval(row.gap, kl - b + log_z),
    }
    if a >= epsilon(K_PROBE, 0.5):
        beta = math.log(b / (1 - b)) - math.log(a / (1 - a))
        found["matched_inverse_temperature"] = interval(terms.decomposition.matched_inverse_temperature, beta)
    # One-sided: the truth may lie anywhere below the bound.
    bound = terms.certificate.price_bound
    held = None if bound.ci_high is None else float(-math.log(a) <= bound.ci_high)
    found["certificate"] = [held, None, None, 1.0]
    return found


def _width(law: np.ndarray, values: np.ndarray, n: int) -> float:
    mean = float(law @ values)
    return 2 * Z * math.sqrt(float(law @ (values - mean) ** 2) / n)


PROMPTS = Experiment(
    name="prompts",
    title="Intervals of a prompt's row",
    cells={
        "n = 8, fixed, counts": {"n": 8, "adaptive": False, "scored": False},
        "n = 16, fixed": {"n": 16, "adaptive": False, "replicates": 1900},
        "n = 64, adaptive": {"n": 64, "adaptive": True, "replicates": 2600},
        "n = 128, fixed": {"n": 128, "adaptive": False, "replicates": 2600},
    },
    replicate=replicate,
    full=1300,
    quick=20,
)
