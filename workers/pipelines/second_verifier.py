"""A second verifier's word on rare successes.

A success that is one of few may be the verifier's mistake. Judged again are the candidate's successes where
creation may be claimed, and the reference's where it is not certified within reach at K_use. What the second
verifier refuses confirms no creation; and where the reference's class rests on refused successes, it is
undetermined.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from workers.estimators.gain import PromptRecord
from workers.pipelines.assessment import assess_reference
from workers.pipelines.committed import Committed
from workers.pipelines.document import Json
from workers.pipelines.judge import Judge
from workers.pipelines.observations import observe
from workers.pipelines.plan import Notice
from workers.pipelines.prompt_result import PromptResult
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
    """

    checked: Mapping[str, int]
    disagreements: tuple[Disagreement, ...]
    class_holds: bool

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
    rare = {
        REFERENCE: {r.spec.index for r in results if r.reference.use.label != "in"},
        CANDIDATE: set(claimed),
    }
    rows = _successes(committed, rare)
    cases = [
        case_of(row["text"], row["finish_reason"], spec.prompts[row["prompt_index"]].key, spec.policy.stop)
        for row in rows
    ]
    judged = judge.judge(spec.second_signal, cases)
    refused = [
        (row, Disagreement(row["stream"], row["index"], judgement.outcome, judgement.detail))
        for row, judgement in zip(rows, judged, strict=True)
        if judgement.outcome != "correct"
    ]
    unsettled = _unsettled(spec, results, committed, [row for row, _ in refused])
    return {
        prompt: SecondOpinion(
            checked={
                stream: sum(row["prompt_index"] == prompt and row["stream"] == stream for row in rows)
                for stream in rare
            },
            disagreements=tuple(found for row, found in refused if row["prompt_index"] == prompt),
            class_holds=prompt not in unsettled,
        )
        for prompt in sorted({row["prompt_index"] for row in rows})
    }


def with_opinions(
    results: Sequence[PromptResult], records: Sequence[PromptRecord], opinions: Mapping[int, SecondOpinion]
) -> list[PromptRecord]:
    """The records with what the second verifier said."""
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
            record = replace(record, evidence=evidence)
        heard.append(record)
    return heard


def opinion_json(opinion: SecondOpinion) -> Json:
    """As a prompt row has it."""
    return {
        "checked": dict(opinion.checked),
        "disagreements": [
            {"side": found.side, "index": found.index, "outcome": found.outcome, "detail": found.detail}
            for found in opinion.disagreements
        ],
        "reference_class_holds": opinion.class_holds,
    }


def opinion_notices(opinions: Mapping[int, SecondOpinion]) -> list[Notice]:
    """That the two verifiers disagree, where they do."""
    refused = sum(len(opinion.disagreements) for opinion in opinions.values())
    if not refused:
        return []
    checked = sum(sum(opinion.checked.values()) for opinion in opinions.values())
    unsettled = sum(not opinion.class_holds for opinion in opinions.values())
    return [
        Notice(
            "second_verifier_disagrees",
            f"the second verifier does not accept {refused} of {checked} rare successes; on {unsettled} "
            "prompts the reference's class rests on them and is undetermined",
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


def _unsettled(
    spec: AnalysisSpec,
    results: Sequence[PromptResult],
    committed: Committed,
    refused: Sequence[Mapping[str, Any]],
) -> set[int]:
    """Prompts whose reference class changes if refused successes are failures."""
    keys = {(row["stream"], row["prompt_index"], row["index"]) for row in refused}
    if not keys:
        return set()
    outcomes = committed.outcomes
    columns = (outcomes[name].to_pylist() for name in ("stream", "prompt_index", "index", "outcome"))
    judged = [
        "incorrect" if (s, p, i) in keys else outcome for s, p, i, outcome in zip(*columns, strict=True)
    ]
    place = outcomes.schema.get_field_index("outcome")
    without = outcomes.set_column(place, outcomes.schema.field("outcome"), pa.array(judged, pa.string()))
    again = {prompt.index: prompt for prompt in observe(spec, without, committed.scores, committed.beside)}
    affected = {row["prompt_index"] for row in refused}
    changed = set()
    for result in results:
        if result.spec.index in affected:
            anew = assess_reference(spec, again[result.spec.index])
            before = result.reference.use.label, result.reference.probe.label
            if (anew.use.label, anew.probe.label) != before:
                changed.add(result.spec.index)
    return changed
