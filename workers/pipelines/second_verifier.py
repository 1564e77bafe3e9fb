"""A second verifier's word on rare successes.

A success that is one of few may be the verifier's mistake. Judged again are the candidate's successes where
creation may be claimed, and the reference's, under its own policy and every arm, where it is not certified
within reach at K_use. What the second verifier refuses confirms no creation; and where the reference's class,
or an arm's, rests on refused successes, it is undetermined.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from workers.estimators.gain import PromptRecord
from workers.estimators.regimes import PromptEvidence, Reach
from workers.pipelines.arms import assisted_reaches, elicitation_reaches
from workers.pipelines.assessment import assess_reference
from workers.pipelines.committed import Committed
from workers.pipelines.document import Json
from workers.pipelines.judge import Judge
from workers.pipelines.observations import PromptObservations, observe
from workers.pipelines.plan import Notice
from workers.pipelines.prompt_result import PromptResult
from workers.pipelines.proposals import anew
from workers.pipelines.spec import CANDIDATE, REFERENCE, AnalysisSpec
from workers.pipelines.verify import case_of

MAX_CHECKED: Final = 200
"""Successes judged again, a prompt and side, the earliest first: beyond it they are rare no more."""


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A success that the second verifier does not accept."""

    side: str
    index: int
    outcome: str
    detail: str


@dataclass(frozen=True, slots=True)
class SecondOpinion:
    """What the second verifier said of one prompt.

    Attributes:
        checked: Successes judged again, by side.
        disagreements: Those it does not accept.
        class_holds: Whether the reference's classes stay as they are without them.
        unsettled_arms: Arms that reach at K_probe with them, and not without them.
        without: The prompt as it would be seen without them; None where none was refused.
    """

    checked: Mapping[str, int]
    disagreements: tuple[Disagreement, ...]
    class_holds: bool
    unsettled_arms: tuple[str, ...] = ()
    without: PromptObservations | None = None

    @property
    def confirms_candidate(self) -> bool | None:
        """Whether every success of the candidate was accepted; None if none was judged again."""
        if not self.checked.get(CANDIDATE):
            return None
        return not any(found.side == CANDIDATE for found in self.disagreements)


def second_opinions(
    spec: AnalysisSpec,
    results: Sequence[PromptResult],
    claimed: Collection[int],
    committed: Committed,
    judge: Judge,
) -> dict[int, SecondOpinion]:
    """Judge the rare successes again.

    Args:
        spec: The analysis.
        results: The prompts.
        claimed: Indices of prompts on which creation may be claimed.
        committed: Samples and outcomes.
        judge: Judges by the second signal.

    Returns:
        By prompt index; empty without a second signal.
    """
    if spec.second_signal is None:
        return {}
    doubtful = {result.spec.index for result in results if result.reference.use.label != "in"}
    rare = {REFERENCE: doubtful, CANDIDATE: set(claimed)}
    rare |= {arm.name: doubtful for arm in (*spec.elicitation, *spec.assisted)}
    rows = _successes(committed, rare)
    cases = [
        case_of(
            row["text"],
            row["finish_reason"],
            spec.prompts[row["prompt_index"]].key,
            spec.streams[row["stream"]].policy.stop,
        )
        for row in rows
    ]
    judged = judge.judge(spec.second_signal, cases)
    refused = [
        (row, Disagreement(row["stream"], row["index"], judgement.outcome, judgement.detail))
        for row, judgement in zip(rows, judged, strict=True)
        if judgement.outcome != "correct"
    ]
    again = _without(spec, committed, [row for row, _ in refused])
    known = {result.spec.index: result for result in results}
    return {
        prompt: _opinion(
            spec,
            known[prompt],
            Counter(row["stream"] for row in rows if row["prompt_index"] == prompt),
            tuple(found for row, found in refused if row["prompt_index"] == prompt),
            again,
        )
        for prompt in sorted({row["prompt_index"] for row in rows})
    }


def _opinion(
    spec: AnalysisSpec,
    result: PromptResult,
    checked: Mapping[str, int],
    refused: tuple[Disagreement, ...],
    again: Sequence[PromptObservations],
) -> SecondOpinion:
    sides = {side: checked.get(side, 0) for side in (REFERENCE, CANDIDATE)}
    if not refused:
        return SecondOpinion({**sides, **checked}, (), class_holds=True)
    without = again[result.spec.index]
    fresh = assess_reference(spec, without)
    before = result.reference.use.label, result.reference.probe.label
    reached, left = (
        {reach.arm for reach in _arms(spec, seen) if reach.label == "in"}
        for seen in (result.observed, without)
    )
    return SecondOpinion(
        {**sides, **checked},
        refused,
        class_holds=(fresh.use.label, fresh.probe.label) == before,
        unsettled_arms=tuple(sorted(reached - left)),
        without=without,
    )


def _arms(spec: AnalysisSpec, prompt: PromptObservations, k_probe: int | None = None) -> tuple[Reach, ...]:
    return (*elicitation_reaches(spec, prompt, k_probe), *assisted_reaches(spec, prompt, k_probe))


def with_opinions(
    spec: AnalysisSpec,
    results: Sequence[PromptResult],
    records: Sequence[PromptRecord],
    opinions: Mapping[int, SecondOpinion],
) -> list[PromptRecord]:
    """The records, at any K_probe, with what the second verifier said."""
    heard = []
    for result, record in zip(results, records, strict=True):
        opinion = opinions.get(result.spec.index)
        if opinion is not None:
            evidence = replace(record.evidence, second_verifier=opinion.confirms_candidate)
            if not opinion.class_holds:
                evidence = replace(
                    evidence,
                    reference_use=replace(evidence.reference_use, label="undetermined"),
                    reference_probe=replace(evidence.reference_probe, label="undetermined"),
                )
            if opinion.without is not None:
                evidence = _doubted(spec, evidence, opinion.without)
            record = replace(record, evidence=evidence)
        heard.append(record)
    return heard


def _doubted(spec: AnalysisSpec, evidence: PromptEvidence, without: PromptObservations) -> PromptEvidence:
    """Arms that reach by refused successes alone are undetermined; no other class gains from a refusal."""
    left = {r.arm for r in _arms(spec, without, evidence.reference_probe.budget) if r.label == "in"}

    def doubted(arms: tuple[Reach, ...]) -> tuple[Reach, ...]:
        return tuple(
            replace(one, label="undetermined") if one.label == "in" and one.arm not in left else one
            for one in arms
        )

    return replace(
        evidence,
        elicitation_arms=doubted(evidence.elicitation_arms),
        assisted_arms=doubted(evidence.assisted_arms),
    )


def opinion_json(opinion: SecondOpinion) -> Json:
    """As a prompt row has it."""
    return {
        "checked": dict(opinion.checked),
        "disagreements": [
            {"side": found.side, "index": found.index, "outcome": found.outcome, "detail": found.detail}
            for found in opinion.disagreements
        ],
        "reference_class_holds": opinion.class_holds,
        "unsettled_arms": list(opinion.unsettled_arms),
    }


def opinion_notices(opinions: Mapping[int, SecondOpinion]) -> list[Notice]:
    """That the two verifiers disagree, where they do."""
    refused = sum(len(opinion.disagreements) for opinion in opinions.values())
    if not refused:
        return []
    checked = sum(sum(opinion.checked.values()) for opinion in opinions.values())
    unsettled = sum(not opinion.class_holds for opinion in opinions.values())
    by_arms = sum(bool(opinion.unsettled_arms) for opinion in opinions.values())
    further = f", and on {by_arms} prompts that of an arm" if by_arms else ""
    return [
        Notice(
            "second_verifier_disagrees",
            f"the second verifier does not accept {refused} of {checked} rare successes; on {unsettled} "
            f"prompts the reference's class rests on them and is undetermined{further}",
        )
    ]


def _successes(committed: Committed, rare: Mapping[str, Collection[int]]) -> list[dict[str, Any]]:
    """The samples to judge again, at most `MAX_CHECKED` a prompt and side."""
    correct = committed.outcomes.filter(pc.field("outcome") == "correct")
    wanted: dict[tuple[str, int], list[int]] = {}
    columns = (correct[name].to_pylist() for name in ("stream", "prompt_index", "index"))
    for stream, prompt, index in zip(*columns, strict=True):
        found = wanted.setdefault((stream, prompt), [])
        if prompt in rare.get(stream, ()) and len(found) < MAX_CHECKED:
            found.append(index)
    kept = {(stream, prompt, index) for (stream, prompt), found in wanted.items() for index in found}
    names = ["stream", "prompt_index", "index", "text", "finish_reason"]
    return [
        row
        for row in committed.samples.select(names).to_pylist()
        if (row["stream"], row["prompt_index"], row["index"]) in kept
    ]


def _without(
    spec: AnalysisSpec, committed: Committed, refused: Sequence[Mapping[str, Any]]
) -> list[PromptObservations]:
    """Every prompt as it would be seen if refused successes were failures; empty where none was refused."""
    keys = {(row["stream"], row["prompt_index"], row["index"]) for row in refused}
    if not keys:
        return []
    outcomes = committed.outcomes
    columns = (outcomes[name].to_pylist() for name in ("stream", "prompt_index", "index", "outcome"))
    judged = [
        "incorrect" if (s, p, i) in keys else outcome for s, p, i, outcome in zip(*columns, strict=True)
    ]
    place = outcomes.schema.get_field_index("outcome")
    without = outcomes.set_column(place, outcomes.schema.field("outcome"), pa.array(judged, pa.string()))
    beside = anew(spec, committed.beside, without, committed.scores)
    return observe(spec, without, committed.scores, beside)
