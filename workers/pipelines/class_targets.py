"""What evidence needs for a class at K_probe, in nats."""

import math

from workers.estimators.evidence import COUNTS_SHARE
from workers.pipelines.spec import AnalysisSpec


def log_target_in(spec: AnalysisSpec, *, scored: bool) -> float:
    """What the counts' log e-value needs for `in`, in nats, if scoring adds nothing to it.

    With scoring it has a share of the evidence: see `log_e_in_combined`.
    """
    return -math.log(spec.thresholds.alpha) - (math.log(COUNTS_SHARE) if scored else 0.0)


def scored_log_target_in(spec: AnalysisSpec) -> float:
    """What the scores' log wealth needs for `in`, in nats, if the counts add nothing to it."""
    return -math.log(spec.thresholds.alpha) - math.log1p(-COUNTS_SHARE)
