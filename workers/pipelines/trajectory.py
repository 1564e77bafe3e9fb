"""The result document of a trajectory: every checkpoint of a run against one reference."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workers.estimators.dataset import mean_over_prompts
from workers.estimators.estimate import Estimate
from workers.estimators.findings import select_lost
from workers.estimators.first_loss import CheckpointLoss, checkpoint_losses, first_certified
from workers.pipelines.audit import alpha_of_samples
from workers.pipelines.checkpoints import CheckpointView, checkpoint_view
from workers.pipelines.committed import Committed
from workers.pipelines.document import Json, estimate_json, mean_json
from workers.pipelines.finalise import Findings, finalise
from workers.pipelines.frame import frame
from workers.pipelines.judge import Judge
from workers.pipelines.participants import Participant, are_identical
from workers.pipelines.plan import Notice
from workers.pipelines.prompt_result import CONFIDENCE
from workers.pipelines.spec import REFERENCE, AnalysisSpec
from workers.pipelines.success_steps import success_steps

OWN_PARTS = ("verdict", "gain", "free_energy", "support", "nulls", "diagnostics", "warnings")
"""What a checkpoint's entry takes from its comparison with the reference."""

OF_THE_REFERENCE = ("aa", "planted")
"""Nulls that the reference's samples alone decide: the same for every checkpoint."""

SHARES = ("truncated_share", "unparsed_share", "duplicate_share")


@dataclass(frozen=True, slots=True)
class _Checkpoint:
    stream: str
    step: int | None
    view: CheckpointView
    found: Findings
    loss: CheckpointLoss
    steps: Sequence[Estimate] = ()


def finalise_analysis(
    spec: AnalysisSpec,
    participants: Mapping[str, Participant],
    committed: Committed,
    *,
    analysis_id: str,
    usage: Mapping[str, Any],
    partial: bool,
    judge: Judge | None = None,
    noted: Sequence[Notice] = (),
) -> Findings:
    """Estimate everything of any analysis; see `finalise` for the arguments."""
    estimate = functools.partial(
        finalise, analysis_id=analysis_id, usage=usage, partial=partial, judge=judge, noted=noted
    )
    if not spec.checkpoints:
        return estimate(spec, participants, committed)
    views = [checkpoint_view(spec, participants, committed, stream) for stream in spec.checkpoints]
    found = [estimate(view.spec, view.participants, view.committed) for view in views]
    evidences = [[record.evidence for record in one.records] for one in found]
    losses = checkpoint_losses(evidences, alpha_of_samples(spec))
    steps = [
        success_steps(spec, committed, stream) if spec.score_neighbours else () for stream in spec.checkpoints
    ]
    checkpoints = [
        _Checkpoint(*one)
        for one in zip(spec.checkpoints, spec.steps, views, found, losses, steps, strict=True)
    ]
    place = {prompt.id: prompt.index for prompt in spec.prompts}
    rows = [
        {**row, "checkpoint": index, **_step_of(one, place[row["prompt_id"]])}
        for index, one in enumerate(checkpoints)
        for row in one.found.rows
    ]
    document = _document(spec, participants, checkpoints, analysis_id, dict(usage), partial)
    return Findings(document, rows, found[-1].verdict)


def _step_of(one: _Checkpoint, prompt: int) -> Json:
    """A prompt's own step; nothing where neighbours were not scored."""
    return {"success_step": estimate_json(one.steps[prompt])} if one.steps else {}


def _mean_step(spec: AnalysisSpec, one: _Checkpoint) -> Json:
    """The mean step over the prompts that have a row; nothing where neighbours were not scored."""
    if not one.steps:
        return {}
    seen = {row["prompt_id"] for row in one.found.rows}
    kept = sorted((p for p in spec.prompts if p.id in seen), key=lambda p: p.id)
    families = [f"\0{p.id}" if p.family is None else p.family for p in kept]
    mean = mean_over_prompts([one.steps[p.index] for p in kept], CONFIDENCE, families=families)
    return {"success_step": mean_json(mean)}


def _document(
    spec: AnalysisSpec,
    participants: Mapping[str, Participant],
    checkpoints: Sequence[_Checkpoint],
    analysis_id: str,
    usage: Json,
    partial: bool,
) -> Json:
    first = checkpoints[0].found.document
    return {
        "object": "analysis.result",
        "analysis_id": analysis_id,
        "kind": spec.kind,
        "partial": partial,
        "frame": _frame(spec, participants),
        "checkpoints": [_entry(spec, index, one) for index, one in enumerate(checkpoints)],
        "first_shrinkage": _first_shrinkage(checkpoints),
        "support": {REFERENCE: first["support"][REFERENCE]},
        "nulls": [null for null in first["nulls"] if null["null"] in OF_THE_REFERENCE],
        "diagnostics": {name: _shares(checkpoints, name) for name in SHARES},
        "usage": usage,
        "warnings": _warnings(spec, checkpoints),
    }


def _frame(spec: AnalysisSpec, participants: Mapping[str, Participant]) -> Json:
    """The frame, with the checkpoints' models as a list in training order."""
    whole = frame(spec, participants)
    sides = [whole.pop(stream) for stream in spec.checkpoints]
    return {REFERENCE: whole.pop(REFERENCE), "candidates": sides, **whole}


def _entry(spec: AnalysisSpec, index: int, one: _Checkpoint) -> Json:
    document = one.found.document
    lost = select_lost([r.evidence for r in one.found.records], alpha_of_samples(spec))
    shrinkage = {
        "certified": one.loss.certified,
        "log_e_value": one.loss.log_e_value,
        "needed_log_e_value": one.loss.needed,
        "prompt_ids": [r.prompt_id for r, kept in zip(one.found.records, lost, strict=True) if kept],
    }
    parts = {name: document[name] for name in OWN_PARTS if name in document}
    return {
        "checkpoint": index,
        "candidate": one.view.participants["candidate"].model_id,
        "step": one.step,
        "shrinkage": shrinkage,
        **_mean_step(spec, one),
        **parts,
        "nulls": [null for null in parts["nulls"] if null["null"] not in OF_THE_REFERENCE],
    }


def _first_shrinkage(checkpoints: Sequence[_Checkpoint]) -> Json | None:
    """The first checkpoint at which shrinkage is certified; None where it is at none."""
    index = first_certified([one.loss for one in checkpoints])
    if index is None:
        return None
    one = checkpoints[index]
    return {
        "checkpoint": index,
        "candidate": one.view.participants["candidate"].model_id,
        "step": one.step,
    }


def _shares(checkpoints: Sequence[_Checkpoint], name: str) -> Json:
    """A share of samples by stream, the reference's first."""
    own = [(one.stream, one.found.document["diagnostics"][name]) for one in checkpoints]
    return {REFERENCE: own[0][1][REFERENCE], **{stream: shares["candidate"] for stream, shares in own}}


def _warnings(spec: AnalysisSpec, checkpoints: Sequence[_Checkpoint]) -> list[Json]:
    """Warnings that every checkpoint's comparison shares, and what concerns checkpoints among themselves."""
    found = [one.found.document["warnings"] for one in checkpoints]
    shared = [warning for warning in found[0] if all(warning in others for others in found[1:])]
    if len(found) == 1:
        shared = [warning for warning in shared if warning["code"] == "token_limit"]
    if len(checkpoints) > 1:
        detail = (
            f"each of the {len(checkpoints)} verdicts holds at alpha {spec.thresholds.alpha:g} on its own; "
            "`first_shrinkage` holds for all checkpoints together"
        )
        shared.append({"code": "several_verdicts", "detail": detail})
    for index, one in enumerate(checkpoints):
        for other in checkpoints[:index]:
            pair = {
                REFERENCE: other.view.participants["candidate"],
                "candidate": one.view.participants["candidate"],
            }
            if are_identical(pair):
                names = f"`{pair[REFERENCE].model_id}` and `{pair['candidate'].model_id}`"
                detail = f"checkpoints {names} are one model by content: they share every draw"
                shared.append({"code": "equal_checkpoints", "detail": detail})
    return shared
