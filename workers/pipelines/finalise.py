"""From committed artefacts to the result document: a pure function, rerunnable."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workers.estimators.bootstrap_weights import BootstrapWeights
from workers.estimators.gain import PromptRecord
from workers.pipelines.audit import audited
from workers.pipelines.chance import ChanceFloor, chance_floors
from workers.pipelines.closure_checks import closure_checks
from workers.pipelines.committed import Committed, assert_complete, complete_prompts
from workers.pipelines.demonstrations import judged_as_scored
from workers.pipelines.demonstrations_section import (
    PromptDemonstrations,
    demonstration_rows,
    demonstrations_section,
    read_demonstrations,
)
from workers.pipelines.diagnostics_section import diagnostics_section, draws_of, warnings_of
from workers.pipelines.document import Json
from workers.pipelines.findings_section import movement_findings
from workers.pipelines.frame import frame
from workers.pipelines.free_energy_section import free_energy_section
from workers.pipelines.generators import generator
from workers.pipelines.judge import Judge
from workers.pipelines.nulls import null_json, null_results
from workers.pipelines.observations import PromptObservations, observe
from workers.pipelines.participants import Participant, share_tokenizer
from workers.pipelines.plan import Notice, comparison_notices
from workers.pipelines.prompt_result import (
    DIFFERENT_TOKENIZERS,
    IMPORTED,
    NOT_SCORED,
    PromptResult,
    estimate_prompt,
    regime_of,
)
from workers.pipelines.prompt_rows import prompt_rows
from workers.pipelines.score_agreement import agreement_checks
from workers.pipelines.second_verifier import (
    SecondOpinion,
    opinion_json,
    opinion_notices,
    second_opinions,
    with_opinions,
)
from workers.pipelines.spec import AnalysisSpec
from workers.pipelines.streams import DEMONSTRATIONS
from workers.pipelines.support_section import support_section
from workers.pipelines.teacher import teacher_checks, why_unscored
from workers.pipelines.topup import wanted_samples
from workers.pipelines.untruncated import untruncated_kl
from workers.pipelines.verdict_section import (
    curve_of_k_probe,
    gain_json,
    may_be_created,
    records_of,
    verdict_json,
    verdict_of,
    with_floors,
)


@dataclass(frozen=True, slots=True)
class Findings:
    """What an analysis found.

    Attributes:
        document: The result document.
        rows: The prompt rows.
        verdict: The verdict's label, or None.
        records: The prompts as the verdict saw them; none without a candidate.
    """

    document: Json
    rows: list[Json]
    verdict: str | None
    records: Sequence[PromptRecord] = ()


def finalise(
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
    """Estimate everything from what was committed.

    Args:
        spec: The analysis.
        participants: Models by stream.
        committed: Samples, outcomes and scores.
        analysis_id: Printed in the document.
        usage: What was spent, printed in the document.
        partial: Whether the analysis ended early or lacks items: then prompts with an incomplete pilot are
            left out, where otherwise they are an error.
        noted: What was noticed while the sides were paired.
        judge: The process's own, for chance floors; by default one that uses nothing an operator allows.

    Raises:
        PlanMismatchError: a complete analysis lacks rows.
    """
    if not partial:
        assert_complete(spec, committed)
    judge, requested = judge or Judge(), spec
    spec = audited(spec, judge)
    if DEMONSTRATIONS in spec.streams and share_tokenizer(participants):
        spec = judged_as_scored(spec, committed.samples)
    kept = set(complete_prompts(spec, committed))
    observed = [
        p for p in observe(spec, committed.outcomes, committed.scores, committed.beside) if p.index in kept
    ]
    notices = [*noted, *comparison_notices(participants)]
    if len(kept) < len(spec.prompts):
        missing = len(spec.prompts) - len(kept)
        notices.append(
            Notice("prompts_left_out", f"{missing} prompts lack a part of their pilot and are left out")
        )
    if not partial and _is_cut(spec, observed, committed):
        limit = spec.budget.max_total_tokens
        notices.append(
            Notice(
                "token_limit",
                f"max_total_tokens {limit} ended the sampling while further samples could have settled more",
            )
        )
    missing_scores = _why_unscored(participants)
    weights = BootstrapWeights(generator(spec, "bootstrap"))
    results = [
        estimate_prompt(
            spec,
            prompt,
            weights,
            missing_scores=missing_scores,
        )
        for prompt in observed
    ]
    # By id: what is resampled over prompts must not depend on the order of the request.
    results.sort(key=lambda result: result.spec.id)
    document = {
        "object": "analysis.result",
        "analysis_id": analysis_id,
        "kind": spec.kind,
        "partial": partial,
        "frame": frame(requested, participants),
    }
    untaught = why_unscored(spec, participants)
    return _assemble(spec, document, committed, results, notices, dict(usage), judge, weights, untaught)


def _why_unscored(participants: Mapping[str, Participant]) -> str:
    """Why a prompt would have no scored pair."""
    if any(side.imported for side in participants.values()):
        return IMPORTED
    return NOT_SCORED if share_tokenizer(participants) else DIFFERENT_TOKENIZERS


def _assemble(
    spec: AnalysisSpec,
    document: Json,
    committed: Committed,
    results: Sequence[PromptResult],
    notices: Sequence[Notice],
    usage: Json,
    judge: Judge,
    weights: BootstrapWeights,
    untaught: str,
) -> Findings:
    rng = generator(spec, "sections")
    observed = [result.observed for result in results]
    nulls = null_results(spec, observed)
    checks = []
    if spec.kind != "support" and results:
        kept = [result.spec.index for result in results]
        checks = [
            *closure_checks(spec, results),
            *agreement_checks(
                committed.samples, committed.scores, kept, {side: spec.pilots(side) for side in spec.sides}
            ),
            *teacher_checks(spec, committed.by_teacher, kept),
        ]
    floors: dict[int, ChanceFloor] = {}
    records: list[PromptRecord] | None = None
    regimes, verdict = None, None
    opinions: dict[int, SecondOpinion] = {}
    if results and all(result.candidate is not None for result in results):
        budgets = curve_of_k_probe(spec) if spec.kind == "capability" else [spec.budget.k_probe]
        curve = {k: records_of(spec, results, k) for k in budgets}
        claimed = _claimed(results, curve.values())
        floors = chance_floors(spec, committed.samples, sorted(claimed), judge)
        opinions = second_opinions(spec, results, claimed, committed, judge)
        known = [floors[r.spec.index].bound if r.spec.index in floors else None for r in results]
        curve = {
            k: with_opinions(spec, results, with_floors(found, known), opinions) for k, found in curve.items()
        }
        records = curve[spec.budget.k_probe]
        regimes = [regime_of(record) for record in records]
        if spec.kind == "capability":
            failed = [check.check for check in checks if check.blocking and not check.passed]
            movement = movement_findings(spec, results)
            verdict = verdict_of(spec, records, curve, nulls, failed, movement, generator(spec, "verdict"))
            document |= {"verdict": verdict_json(verdict), "gain": gain_json(verdict)}
    document["support"] = support_section(spec, results, regimes, rng)
    if spec.kind != "support":
        raw = untruncated_kl(spec, committed.scores, weights)
        document["free_energy"] = free_energy_section(spec, results, checks, rng, weights, untruncated=raw)
    demonstrated: dict[str, PromptDemonstrations] = {}
    if DEMONSTRATIONS in spec.streams:
        indices = [result.spec.index for result in results]
        shown = read_demonstrations(spec, committed, indices, weights, missing=untaught)
        document["demonstrations"] = demonstrations_section(spec, shown)
        demonstrated = {one.prompt.id: one for one in shown}
    drawing = [name for name in spec.streams if name != DEMONSTRATIONS]
    draws = {stream: draws_of(committed.samples, stream) for stream in drawing}
    warnings = [*notices, *warnings_of(spec, results, draws), *opinion_notices(opinions)]
    document |= {
        "nulls": [null_json(null) for null in nulls],
        "diagnostics": diagnostics_section(spec, results, draws, checks, floors),
        "usage": usage,
        "warnings": [{"code": notice.code, "detail": notice.detail} for notice in warnings],
    }
    rows = prompt_rows(spec, results, records)
    for row, result in zip(rows, results, strict=True):
        if (opinion := opinions.get(result.spec.index)) is not None:
            row["second_verifier"] = opinion_json(opinion)
        if result.spec.id in demonstrated:
            row |= demonstration_rows(demonstrated[result.spec.id])
    place = {prompt.id: prompt.index for prompt in spec.prompts}
    rows.sort(key=lambda row: place[row["prompt_id"]])
    return Findings(document, rows, None if verdict is None else verdict.label, records or ())


def _is_cut(spec: AnalysisSpec, observed: Sequence[PromptObservations], committed: Committed) -> bool:
    """Whether only the limit on tokens kept another round away."""
    if spec.budget.max_total_tokens is None or not spec.budget.adaptive:
        return False
    wanted = wanted_samples(spec, observed, committed.drawn)
    return any(count for counts in wanted.values() for count in counts)


def _claimed(results: Sequence[PromptResult], at_k_probe: Iterable[Sequence[PromptRecord]]) -> set[int]:
    """The prompts on which creation may be claimed, at any K_probe of the curve."""
    return {
        result.spec.index
        for records in at_k_probe
        for result, record in zip(results, records, strict=True)
        if may_be_created(record)
    }
