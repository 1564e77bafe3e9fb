"""Randomness of the estimates: resampling weights, splits and sign flips."""

import hashlib

import numpy as np

from workers.pipelines.spec import AnalysisSpec


def generator(spec: AnalysisSpec, purpose: str) -> np.random.Generator:
    """Resampling that depends on the request's seed and on what it is for, not on what ran before."""
    digest = hashlib.sha256(f"{spec.seed}/{purpose}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16]))
