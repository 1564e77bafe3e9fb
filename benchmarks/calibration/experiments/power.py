"""What the verdict can see: creation by price and samples, elicitation by rate and pilot."""

import numpy as np

from benchmarks.calibration.experiment import Experiment, Row, Settings
from benchmarks.calibration.frames import spec_of
from benchmarks.calibration.reports import report_of
from benchmarks.calibration.worlds import Errors, mode_world
from workers.estimators.counts import epsilon

B = 0.9
PROMPTS = 20
K_PROBE = 256


def replicate(rng: np.random.Generator, cell: Settings) -> Row:
    """One report of 20 prompts at one price, and its verdict."""
    k_probe, errors = int(cell.get("k_probe", K_PROBE)), Errors(**cell.get("errors", {}))
    audit = errors.audit(cell["audit"], rng) if "audit" in cell else None
    pilot = int(cell.get("pilot", 64))
    spec = spec_of(PROMPTS, k_probe=k_probe, pilot=pilot, most=int(cell["most"]), audit=audit)
    worlds = [mode_world(float(cell["times"]) * epsilon(k_probe, 0.5), B)] * PROMPTS
    report = report_of(spec, worlds, rng, errors=errors, scored=cell.get("scored", True))
    return {
        "label": report.verdict(rng).label,
        "created prompts": sum(report.created) / PROMPTS,
        "samples": report.samples / (2 * PROMPTS),
    }


TIMES = (0.7, 0.5, 0.3, 0.1, 0.01, 0.0001)
MOST = (1024, 1536, 2048, 4096)
WRONG = {"errors": {"accepts": 0.01, "refuses": 0.01}}
STRICT = {"errors": {"refuses": 0.8}}
"""A verifier that sees one right answer of five: what it refuses makes a reference look out of reach."""
AUDIT, LARGE_AUDIT = {"audit": (500, 500)}, {"audit": (2_000, 10_000)}
CREATION = Experiment(
    name="creation",
    title="Power of creation",
    cells={f"a = {t:g} ε, n ≤ {n}": {"times": t, "most": n} for t in TIMES for n in MOST}
    | {
        "a = 0.01 ε, n ≤ 4096, verifier wrong 1 %": {"times": 0.01, "most": 4096, **WRONG},
        "a = 0.01 ε, n ≤ 4096, verifier wrong 1 %, audit of 500 + 500": {
            "times": 0.01,
            "most": 4096,
            **WRONG,
            **AUDIT,
        },
        "a = 0.01 ε, n ≤ 4096, verifier wrong 1 %, K_probe = 32": {
            "times": 0.01,
            "most": 4096,
            "k_probe": 32,
            **WRONG,
        },
        "a = 0.01 ε, n ≤ 4096, verifier wrong 1 %, audit of 2,000 + 10,000, K_probe = 32": {
            "times": 0.01,
            "most": 4096,
            "k_probe": 32,
            **WRONG,
            **LARGE_AUDIT,
        },
        "a = 64 ε, n ≤ 4096, verifier wrong 1 %, audit of 500 + 500": {
            "times": 64,
            "most": 4096,
            **WRONG,
            **AUDIT,
        },
        "a = ε, n ≤ 4096, verifier refuses 80 % of right": {"times": 1, "most": 4096, **STRICT},
        "a = ε, n ≤ 4096, verifier refuses 80 % of right, audit of 500 + 500": {
            "times": 1,
            "most": 4096,
            **STRICT,
            **AUDIT,
        },
    },
    replicate=replicate,
    full=20,
    quick=2,
    chunk=20,
)
ELICITATION = Experiment(
    name="elicitation",
    title="Power of elicitation",
    cells={
        f"a = {t:g} ε, pilot {n}{'' if scored else ', counts'}": {
            "times": t,
            "pilot": n,
            "most": n,
            "scored": scored,
        }
        for t in (2, 4, 8, 16, 64)
        for n in (32, 64, 128)
        for scored in (True, False)
    },
    replicate=replicate,
    full=20,
    quick=2,
    chunk=20,
)
