"""What the verdict can see: creation by price and samples, elicitation by rate and pilot."""

import numpy as np

from benchmarks.calibration.experiment import Experiment, Row, Settings
from benchmarks.calibration.frames import spec_of
from benchmarks.calibration.reports import report_of
from benchmarks.calibration.worlds import mode_world
from workers.estimators.counts import epsilon

B = 0.9
PROMPTS = 20
K_PROBE = 256


def replicate(rng: np.random.Generator, cell: Settings) -> Row:
    """One report of 20 prompts at one price, and its verdict."""
    spec = spec_of(PROMPTS, pilot=int(cell.get("pilot", 64)), most=int(cell["most"]))
    a = float(cell["times"]) * epsilon(K_PROBE, 0.5)
    flip = float(cell.get("flip", 0.0))
    report = report_of(spec, [mode_world(a, B)] * PROMPTS, rng, flip=flip, scored=cell.get("scored", True))
    return {
        "label": report.verdict(spec, rng).label,
        "created prompts": sum(report.created) / PROMPTS,
        "samples": report.samples / (2 * PROMPTS),
    }


TIMES = (0.7, 0.5, 0.3, 0.1, 0.01, 0.0001)
MOST = (1024, 1536, 2048, 4096)
CREATION = Experiment(
    name="creation",
    title="Power of creation",
    cells={f"a = {t:g} ε, n ≤ {n}": {"times": t, "most": n} for t in TIMES for n in MOST}
    | {"a = 0.01 ε, n ≤ 4096, verifier wrong 1 %": {"times": 0.01, "most": 4096, "flip": 0.01}},
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
