"""The per-prompt rows."""

from collections.abc import Sequence
from dataclasses import replace

from workers.estimators.deciding_arm import deciding_arm
from workers.estimators.estimate import Estimate
from workers.estimators.evidence import SideEvidence
from workers.estimators.gain import PromptRecord
from workers.estimators.price import margin
from workers.estimators.regimes import Reach, Regime, classify_regime
from workers.estimators.unsettled import samples_to_settle_prompts
from workers.pipelines.arm_section import arm_rows
from workers.pipelines.assessment import SideAssessment
from workers.pipelines.audit import noise_lines
from workers.pipelines.behaviour_section import is_labelled, row_behaviours_json
from workers.pipelines.document import Json, estimate_json
from workers.pipelines.observations import SideObservations
from workers.pipelines.prompt_decomposition import Strategies
from workers.pipelines.prompt_result import PromptResult, best_success, printed_gain, support_zeros
from workers.pipelines.spec import CANDIDATE, REFERENCE, AnalysisSpec
from workers.pipelines.temperature_section import row_json
from workers.pipelines.weights_row import weights_json

LISTED_BEHAVIOURS = 100
"""Behaviours a row lists: a label that is nearly unique to each sample is no behaviour, and fills no page."""


def prompt_rows(
    spec: AnalysisSpec, results: Sequence[PromptResult], records: Sequence[PromptRecord] | None
) -> list[Json]:
    """One row a prompt, in the order of the results.

    Args:
        spec: The analysis.
        results: The prompts.
        records: The same as the verdict sees them; None without a candidate.
    """
    if records is None:
        return [_row(spec, result, None, _to_settle(result.reference.probe), None) for result in results]
    evidences = [record.evidence for record in records]
    decision = spec.thresholds
    needs = samples_to_settle_prompts(evidences, alpha=decision.alpha, reach=decision.reach)
    regimes = [classify_regime(one) for one in evidences]
    arms = [deciding_arm(one, regime.name) for one, regime in zip(evidences, regimes, strict=True)]
    return [_row(spec, *one) for one in zip(results, regimes, needs, arms, strict=True)]


def _row(
    spec: AnalysisSpec, result: PromptResult, regime: Regime | None, more: int | None, arm: str | None
) -> Json:
    prompt = result.observed
    row: Json = {
        "prompt_id": result.spec.id,
        "family": result.spec.family,
        "split": result.spec.split,
        "reference": _side(spec, result, REFERENCE, prompt.reference, result.reference),
        "evidence": list(regime.evidence) if regime is not None else _lines(result),
        "samples_to_settle": more,
    }
    if prompt.candidate is not None and result.candidate is not None:
        row["candidate"] = _side(spec, result, CANDIDATE, prompt.candidate, result.candidate)
        audit = None if spec.noise is None else spec.noise.audit
        row["gain"] = estimate_json(printed_gain(result, audit))
    if spec.noise is not None:
        row["evidence"] += noise_lines(spec, result)
    if regime is not None:
        row |= {
            "regime": regime.name,
            "confirmed": regime.confirmed,
            "confirmation": [
                {"check": check.check, "passed": check.passed, "detail": check.detail}
                for check in regime.confirmation
            ],
        }
    if arms := arm_rows(spec, result):
        row |= {"arms": arms, "deciding_arm": arm}
    zeros = support_zeros(prompt.pair)
    if zeros is not None and (zeros.causes or zeros.edge):
        row["support_zeros"] = {
            "successes": zeros.successes,
            "causes": dict(zeros.causes),
            "edge": zeros.edge,
        }
    if result.reference.evidence.scoring is not None:
        row["weights"] = weights_json(result.reference.evidence.scoring)
    if result.terms is not None:
        row |= {
            "kl": estimate_json(result.terms.kl.rb),
            "kl_reverse": estimate_json(result.terms.reverse.rb),
            "tilt": estimate_json(result.terms.decomposition.tilt),
            "drift": estimate_json(result.terms.decomposition.drift),
            "escape": estimate_json(result.terms.decomposition.escape),
            "log_partition": [row_json(r) for r in result.terms.rows],
        }
        if result.terms.strategies is not None:
            row |= _strategies(result, result.terms.strategies)
    return row


def _strategies(result: PromptResult, strategies: Strategies) -> Json:
    """What a labeller adds: the candidate's behaviours, most frequent first, and the split of drift."""
    samples = {
        "reference": result.observed.reference.n,
        "candidate": 0 if result.observed.candidate is None else result.observed.candidate.pilot_n,
    }
    return {
        "drift_parts": {
            "strategy_level": estimate_json(strategies.strategy),
            "within_strategy": estimate_json(strategies.within),
        },
        "behaviours": [
            {
                "behaviour": found.label,
                "reference": {"successes": found.reference, "samples": samples["reference"]},
                "candidate": {"successes": found.candidate, "samples": samples["candidate"]},
                "class_at_k_probe": found.reach,
            }
            for found in strategies.behaviours[:LISTED_BEHAVIOURS]
        ],
    }


def _side(
    spec: AnalysisSpec,
    result: PromptResult,
    stream: str,
    side: SideObservations,
    assessment: SideAssessment,
) -> Json:
    printed = result.printed[stream]
    return {
        "successes": side.successes,
        "samples": side.n,
        "success": estimate_json(_graded_success(printed)),
        "price": estimate_json(printed.price),
        "margin": estimate_json(margin(printed.price, spec.budget.k_probe, spec.thresholds.reach)),
        "class_at_k_use": assessment.use.label,
        "class_at_k_probe": assessment.probe.label,
        **(row_behaviours_json(result, stream) if is_labelled(spec) else {}),
    }


def _graded_success(evidence: SideEvidence) -> Estimate:
    """The chance of success with the grade of its price: one number in two units."""
    success, price = best_success(evidence), evidence.price
    if success.status == "ok" and price.status == "unreliable":
        return replace(success, status=price.status, reason=price.reason)
    return success


def _lines(result: PromptResult) -> list[str]:
    sides: list[tuple[str, SideAssessment]] = [("reference", result.reference)]
    if result.candidate is not None:
        sides.append(("candidate", result.candidate))
    return [_line(name, reach) for name, side in sides for reach in (side.use, side.probe)]


def _line(name: str, reach: Reach) -> str:
    return (
        f"{name} at K = {reach.budget}: {reach.label}, {reach.bound}, "
        f"{reach.successes} of {reach.samples} samples"
    )


def _to_settle(reach: Reach) -> int | None:
    """Further samples that would settle a class; 0 where it is settled."""
    return reach.samples_to_settle if reach.label == "undetermined" else 0
