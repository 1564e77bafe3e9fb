"""Scoring evidence far down: how close the point and the bound come, and what a missed mode does."""

import math

import numpy as np

from benchmarks.calibration.experiment import Experiment, Row, Settings
from workers.estimators.counts import epsilon
from workers.estimators.evidence import Levels, classify, reference_evidence
from workers.estimators.importance import pooled_success
from workers.estimators.price import PRICE_TOLERANCE
from workers.estimators.reference_counts import ReferenceCounts
from workers.estimators.scored_round import ScoredRound

ALPHA = 0.05


def replicate(rng: np.random.Generator, cell: Settings) -> Row:
    """One prompt of success rate a: n draws a side, log-ratios inside C normal with the cell's deviation.

    The candidate visits the share `covered` of p(C), in equal parts of its own mass.
    """
    a, b, n, spread = float(cell["a"]), float(cell["b"]), int(cell["n"]), float(cell["spread"])
    covered = float(cell.get("covered", 1.0))
    hits_q, hits_p = int(rng.binomial(n, b)), int(rng.binomial(n, a))
    # log p/q of a candidate's success, exp(.) of mean a·covered/b; the reference's are tilted by the ratio.
    centre = math.log(a * covered / b) - spread**2 / 2
    ratios = centre + spread * rng.standard_normal(hits_q)
    seen = rng.random(hits_p) < covered
    own = np.where(seen, centre + spread**2 + spread * rng.standard_normal(hits_p), np.inf)
    log_q = np.full(hits_p + hits_q, -80.0)
    log_q[:hits_p][~seen] = -np.inf
    log_p = np.where(np.isinf(log_q), -80.0, log_q + np.concatenate([np.where(seen, own, 0.0), ratios]))
    hits = hits_p + hits_q
    scored = ScoredRound.of_pair(log_p, log_q, np.ones(hits, bool), np.arange(hits) >= hits_p, n, n)
    counts = ReferenceCounts(pilot_successes=hits_p, pilot_n=n, successes=hits_p, n=n)
    levels = Levels(
        epsilon_use=epsilon(8, 0.5),
        epsilon_probe=epsilon(256, 0.5),
        planned_n=2048,
        alpha=ALPHA,
        adaptive=True,
    )
    made = reference_evidence(counts, [scored], levels)
    point = pooled_success([scored]).value
    at = made.at_probe
    label = classify(at.log_e_in, at.log_e_out, -math.log(ALPHA), -math.log(ALPHA))
    low = math.exp(made.log_lower)
    return {
        "point within 1.5": float(point is not None and 1 / 1.5 <= point / a <= 1.5),
        "bound within 3": float(low >= a / 3),
        "bound holds": float(low <= a),
        "interval holds": float(low <= a <= made.upper),
        "in": float(label == "in"),
        "out": float(label == "out"),
        "graded ok": float(made.price.status == "ok"),
        "graded ok and far": float(
            made.price.status == "ok"
            and made.price.value is not None
            and abs(made.price.value + math.log(a)) > PRICE_TOLERANCE
        ),
        "log bound": made.log_lower - math.log(a) if low > 0 else None,
    }


SCORING = Experiment(
    name="scoring",
    title="Scoring evidence",
    cells={
        f"a = 1e-6, spread {s:g}, b = {b:g}, n = {n}": {"a": 1e-6, "b": b, "n": n, "spread": s}
        for s in (0.3, 1.0)
        for b in (0.3, 0.9)
        for n in (64, 256)
    }
    | {
        f"a = {a:g}, covers {c:g} of C": {"a": a, "b": 0.9, "n": 64, "spread": 0.3, "covered": c}
        for a in (1e-3, 1e-2, 0.1)
        for c in (0.5, 0.01, 1e-6)
    },
    replicate=replicate,
    full=1000,
    quick=20,
)
