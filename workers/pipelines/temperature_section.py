"""The reference at each inverse temperature: partition function, free energies, gap and response."""

import math
from collections.abc import Sequence

from workers.estimators.dataset import mean_over_prompts
from workers.estimators.estimate import Estimate
from workers.estimators.tilt_rows import TiltRow, mean_tilt_rows
from workers.pipelines.document import Json, estimate_json, mean_json
from workers.pipelines.prompt_energy import is_dense
from workers.pipelines.prompt_result import CONFIDENCE, FreeEnergyTerms
from workers.pipelines.spec import AnalysisSpec


def row_json(row: TiltRow) -> Json:
    """One prompt's terms at one inverse temperature."""
    return {
        "inverse_temperature": row.inverse_temperature,
        "log_partition": estimate_json(row.log_partition),
        "equilibrium": estimate_json(row.equilibrium),
        "free_energy": estimate_json(row.free_energy),
        "gap": estimate_json(row.gap),
    }


def rows_json(prompts: Sequence[Sequence[TiltRow]], families: Sequence[str]) -> list[Json]:
    """Means over prompts of the terms at each inverse temperature."""
    return [
        {
            "inverse_temperature": row.inverse_temperature,
            "log_partition": mean_json(row.log_partition),
            "equilibrium": mean_json(row.equilibrium),
            "free_energy": mean_json(row.free_energy),
            "gap": mean_json(row.gap),
        }
        for row in mean_tilt_rows(prompts, CONFIDENCE, families=families)
    ]


def response_json(
    spec: AnalysisSpec,
    terms: Sequence[FreeEnergyTerms],
    families: Sequence[str],
) -> list[Json]:
    """Means over prompts of the response and the heat capacity at each inverse temperature."""

    def mean(estimates: Sequence[Estimate], least: float, most: float) -> Json:
        return mean_json(mean_over_prompts(estimates, CONFIDENCE, least=least, most=most, families=families))

    dense = is_dense(spec)
    lowest, highest, capacity = (-math.inf, math.inf, math.inf) if dense else (0.0, 1.0, 0.25)

    return [
        {
            "inverse_temperature": points[0].inverse_temperature,
            "mean_reward": mean([point.mean_reward for point in points], lowest, highest),
            "heat_capacity": mean([point.heat_capacity for point in points], 0.0, capacity),
        }
        for points in zip(*(term.response for term in terms), strict=True)
    ]
