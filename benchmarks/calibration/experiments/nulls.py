"""False creation: reports of models in which nothing was created, and how many confirm a created prompt."""

import numpy as np

from benchmarks.calibration.experiment import Experiment, Row, Settings
from benchmarks.calibration.frames import spec_of
from benchmarks.calibration.reports import report_of
from benchmarks.calibration.worlds import Errors, World, hidden_world, mode_world, tilted
from workers.estimators.counts import epsilon

B = 0.9
ODDS = 50.0
TRUNCATING = 0.95
WRONG = {"errors": {"accepts": 0.01, "refuses": 0.01}}
STRICT = {"errors": {"refuses": 0.8}}
AUDIT = {"audit": (500, 500)}


def replicate(rng: np.random.Generator, cell: Settings) -> Row:
    """One report of M prompts of a null family."""
    k_probe, prompts = int(cell.get("k_probe", 256)), int(cell.get("prompts", 20))
    errors = Errors(**cell.get("errors", {}))
    spec = spec_of(
        prompts,
        k_probe=k_probe,
        most=max(2048, 8 * k_probe),
        top_p=cell.get("top_p", 1.0),
        audit=errors.audit(cell["audit"], rng) if "audit" in cell else None,
    )
    threshold = epsilon(k_probe, 0.5)
    worlds = [_world(rng, cell, threshold) for _ in range(prompts)]
    report = report_of(spec, worlds, rng, scored=cell.get("scored", True), errors=errors)
    unreached = sum(regime.name in {"unreached", "singular"} for regime in report.regimes)
    return {
        "false": float(any(report.created)),
        "false prompts": float(sum(report.created)),
        "unconfirmed": float(unreached - sum(report.created)),
        "unseen rule": float(report.claimed_by_unseen(k_probe) > 0),
        "unseen rule prompts": float(report.claimed_by_unseen(k_probe)),
        "samples": report.samples / (2 * prompts),
    }


def _world(rng: np.random.Generator, cell: Settings, threshold: float) -> World:
    match cell["family"]:
        case "threshold":
            return mode_world(threshold, B)
        case "tilt":
            a = max(threshold, float(rng.beta(0.5, 5.0)))
            return mode_world(a, tilted(a, ODDS))
        case "aa":
            a = float(rng.beta(0.1, 1.0))
            return mode_world(a, a)
        case "collapsed":
            return mode_world(cell["times"] * threshold, B, covered=0.01)
        case "truncated":
            return hidden_world(cell["times"] * threshold, B)
    raise ValueError(f"no family {cell['family']}")


NULLS = Experiment(
    name="nulls",
    title="False creation per report",
    cells={
        "tilt at a = ε, counts": {"family": "threshold", "scored": False, "replicates": 1500},
        "tilt at a = ε, counts, K_probe = 64": {
            "family": "threshold",
            "scored": False,
            "k_probe": 64,
            "replicates": 2000,
        },
        "tilt at a = ε, counts, K_probe = 1024": {"family": "threshold", "scored": False, "k_probe": 1024},
        "tilt at a = ε, counts, M = 60": {
            "family": "threshold",
            "scored": False,
            "prompts": 60,
            "replicates": 200,
        },
        "tilt at a = ε, scored": {"family": "threshold", "prompts": 10},
        "tilt, a ~ Beta(0.5, 5) above ε": {"family": "tilt"},
        "A/A, a ~ Beta(0.1, 1)": {"family": "aa", "replicates": 500},
        "collapsed, a = ε": {"family": "collapsed", "times": 1, "prompts": 10},
        "collapsed, a = 2ε": {"family": "collapsed", "times": 2, "prompts": 10},
        "collapsed, a = 5ε": {"family": "collapsed", "times": 5, "prompts": 10},
        "tilt, verifier wrong 1 %": {"family": "tilt", "scored": False, **WRONG},
        **{
            f"top-p hides C, untruncated a = {name}": {
                "family": "truncated",
                "times": times,
                "top_p": TRUNCATING,
                "scored": False,
                "prompts": 10,
            }
            for name, times in (("ε", 1), ("5ε", 5))
        },
        "tilt, verifier wrong 1 %, audit of 500 + 500": {
            "family": "tilt",
            "scored": False,
            **WRONG,
            **AUDIT,
        },
        "tilt at a = ε, verifier refuses 80 % of right, audit of 500 + 500": {
            "family": "threshold",
            "scored": False,
            **STRICT,
            **AUDIT,
        },
    },
    replicate=replicate,
    full=300,
    quick=10,
    chunk=50,
)
