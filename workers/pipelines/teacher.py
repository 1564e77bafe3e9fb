"""The law of the demonstrations as a model: what the teacher says of the samples of both sides."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workers.estimators import closure
from workers.estimators.bootstrap_weights import BootstrapWeights
from workers.estimators.closure import Check
from workers.estimators.demonstrations import FloatArray
from workers.estimators.estimate import Estimate
from workers.estimators.kl import TRUNCATED_SUPPORT, KLResult, undefined_kl
from workers.pipelines.participants import Participant, share_tokenizer
from workers.pipelines.scored_kl import rao_blackwell_less_k1, scored_kl
from workers.pipelines.spec import CANDIDATE, REFERENCE, TEACHER, AnalysisSpec

UNNAMED: Final = (
    "no `teacher` was named: KL to pi_D is a mean over a model's own samples, which a model of pi_D has to "
    "score"
)
OTHER_TOKENIZER: Final = "the teacher has another tokenizer, so token probabilities do not compare"
UNSCORED: Final = "the teacher did not score all of it: the analysis ended early"
OUTSIDE: Final = "truncated support: the teacher gives probability zero to tokens that were sampled"


def why_unscored(spec: AnalysisSpec, participants: Mapping[str, Participant]) -> str:
    """Why a prompt would lack a score of the teacher's."""
    if not spec.is_taught:
        return UNNAMED
    return UNSCORED if share_tokenizer(participants, TEACHER) else OTHER_TOKENIZER


def kl_to_teacher(
    spec: AnalysisSpec, by_teacher: pa.Table, prompt: int, weights: BootstrapWeights, missing: str
) -> dict[str, KLResult]:
    """KL(p||pi_D), y ~ p, and KL(q||pi_D), y ~ q, of one prompt, by side; nats.

    With E = -log(pi_D/p) the second is F_1(q) = E_q[E] + KL(q||p), whose minimum is 0, at pi_D.

    Args:
        spec: The analysis.
        by_teacher: What the teacher scored.
        prompt: The prompt's index.
        weights: Of the Bayesian bootstrap.
        missing: Why its scores would be missing.
    """
    found = {}
    for side in (REFERENCE, CANDIDATE):
        rows = _pilot(spec, by_teacher, prompt, side)
        found[side] = undefined_kl(missing) if rows is None else _told(scored_kl(rows, weights))
    return found


def log_teacher(by_teacher: pa.Table, prompt: int, stream: str, indices: Sequence[int]) -> FloatArray | None:
    """Log pi_D(y) of texts of one prompt, nats; None unless the teacher scored all of them."""
    rows = by_teacher.filter((pc.field("prompt_index") == prompt) & (pc.field("stream") == stream))
    if rows["index"].to_pylist() != list(indices):
        return None
    return np.asarray(rows["logprob"].to_numpy(), dtype=np.float64)


def teacher_checks(spec: AnalysisSpec, by_teacher: pa.Table, prompts: Sequence[int]) -> list[Check]:
    """Whether both estimators of the KL to the teacher agree, over the samples of both sides; none without.

    Args:
        spec: The analysis.
        by_teacher: What the teacher scored.
        prompts: Indices of the prompts that are reported.
    """
    if not spec.is_taught:
        return []
    pilots = (_pilot(spec, by_teacher, prompt, side) for side in (REFERENCE, CANDIDATE) for prompt in prompts)
    differences = [rao_blackwell_less_k1(rows) for rows in pilots if rows is not None]
    finite = [found for found in differences if np.isfinite(found).all()]
    return [closure.rao_blackwell_against_k1(finite, of="teacher")]


def _pilot(spec: AnalysisSpec, by_teacher: pa.Table, prompt: int, side: str) -> pa.Table | None:
    """The scores of a pilot; None unless all of it was scored."""
    size = spec.pilot(side, prompt)
    mine = (pc.field("prompt_index") == prompt) & (pc.field("stream") == side)
    rows = by_teacher.filter(mine & (pc.field("index") < size))
    return rows if rows.num_rows == size else None


def _told(kl: KLResult) -> KLResult:
    """The result with a reason that names whose support is meant."""

    def told(estimate: Estimate) -> Estimate:
        return replace(estimate, reason=OUTSIDE) if estimate.reason == TRUNCATED_SUPPORT else estimate

    return KLResult(
        told(kl.rb), told(kl.k1), told(kl.per_token), told(kl.difference), singular_mass=kl.singular_mass
    )
