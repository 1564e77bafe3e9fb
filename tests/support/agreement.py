"""Whether two runs of one analysis found the same."""

import math
from typing import Any

import pyarrow as pa

DRAWN = (
    "prompt_index",
    "prompt_id",
    "stream",
    "stream_key",
    "index",
    "token_ids",
    "finish_reason",
    "text",
    "outcome",
    "reward",
    "detail",
)
"""What a sample is; its log-probabilities carry the rounding of the batch they were computed in."""

UNLIKE = {"analysis_id", "engine_seconds"}
"""Names in a result document that two runs never share."""


def draws(samples: pa.Table) -> list[dict[str, Any]]:
    """The samples, without floating-point rounding; equal lists are equal sample sets."""
    rows: list[dict[str, Any]] = samples.select(list(DRAWN)).to_pylist()
    return sorted(rows, key=lambda row: (row["stream"], row["prompt_index"], row["index"]))


def differences(one: Any, other: Any, tolerance: float, path: str = "") -> list[str]:
    """Where two documents differ: floats by more than `tolerance` (absolute, relative), the rest at all."""
    if isinstance(one, dict) and isinstance(other, dict):
        if one.keys() != other.keys():
            return [f"{path}: keys {sorted(one.keys() ^ other.keys())}"]
        named = [(f"{path}/{name}", one[name], other[name]) for name in one if name not in UNLIKE]
    elif isinstance(one, list) and isinstance(other, list):
        if len(one) != len(other):
            return [f"{path}: {len(one)} and {len(other)} items"]
        named = [(f"{path}/{i}", a, b) for i, (a, b) in enumerate(zip(one, other, strict=True))]
    elif isinstance(one, float) and isinstance(other, float):
        close = math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance)
        return [] if close else [f"{path}: {one!r} and {other!r}"]
    else:
        return [] if type(one) is type(other) and one == other else [f"{path}: {one!r} and {other!r}"]
    return [found for where, a, b in named for found in differences(a, b, tolerance, where)]
