"""Behaviours among the successes: how many kinds a side shows, and what only the candidate was seen to do."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from workers.estimators.dataset import mean_over_prompts
from workers.estimators.estimate import Estimate
from workers.estimators.unseen import NATS, PROBABILITY, behaviour_entropy, novel_mass, unseen_mass
from workers.pipelines.document import Json, estimate_json, mean_json
from workers.pipelines.observations import SideObservations
from workers.pipelines.prompt_result import CONFIDENCE, PromptResult
from workers.pipelines.spec import CANDIDATE, REFERENCE, AnalysisSpec

NO_LABELLER: Final = "the signal labels no behaviours: give it `behaviour`"
NO_SUCCESS: Final = "no labelled success in the pilot"

LISTED: Final = 20
"""Labels listed a prompt and side: a reader compares a handful, and the samples file has them all."""


@dataclass(frozen=True, slots=True)
class SideBehaviours:
    """What one side of one prompt was seen to do.

    Attributes:
        entropy: H(g | success), nats, from the pilot's labelled successes.
        unseen: Mass of behaviours that the pilot did not show, of all samples.
        novel: The candidate's mass on behaviours that no reference sample showed; None for the reference.
        counts: How often each label occurs, over all samples.
    """

    entropy: Estimate
    unseen: Estimate
    novel: Estimate | None
    counts: Counter[str]


def is_labelled(spec: AnalysisSpec) -> bool:
    """Whether the signal labels successes."""
    return spec.signal.get("behaviour") is not None


def side_behaviours(result: PromptResult, stream: str) -> SideBehaviours:
    """The behaviours of one side of a prompt.

    Failures and successes without a label are one known kind: they are no behaviour inside C. Entropy and
    masses use the pilot, whose size no outcome decided; what the reference showed is taken from all its
    samples.

    Raises:
        ValueError: the side has no samples.
    """
    observed = result.observed
    side = observed.reference if stream == REFERENCE else observed.candidate
    if side is None:
        raise ValueError("the side was not sampled")
    pilot = side.behaviours[: side.pilot_n]
    labels = [label for label in pilot if label is not None]
    entropy = (
        behaviour_entropy(labels, confidence=CONFIDENCE) if labels else Estimate.undefined(NO_SUCCESS, NATS)
    )
    novel = None
    if stream == CANDIDATE:
        novel = novel_mass(observed.reference.behaviours, pilot, CONFIDENCE, known=(None,))
    counts = Counter(label for label in side.behaviours if label is not None)
    return SideBehaviours(entropy, unseen_mass(pilot, CONFIDENCE, known=(None,)), novel, counts)


def behaviours_json(spec: AnalysisSpec, results: Sequence[PromptResult], stream: str) -> Json:
    """A side's `behaviour_entropy`, `unseen_mass` and, the candidate's, `novel_mass`: means over prompts."""
    names = {"behaviour_entropy": NATS, "unseen_mass": PROBABILITY}
    names |= {"novel_mass": PROBABILITY} if stream == CANDIDATE else {}
    if not is_labelled(spec):
        return {name: _mean_json([Estimate.undefined(NO_LABELLER, unit)]) for name, unit in names.items()}
    found = [side_behaviours(result, stream) for result in results if _side(result, stream) is not None]
    columns = {
        "behaviour_entropy": [one.entropy for one in found],
        "unseen_mass": [one.unseen for one in found],
        "novel_mass": [one.novel for one in found if one.novel is not None],
    }
    return {name: _mean_json(columns[name]) for name in names}


def row_behaviours_json(result: PromptResult, stream: str) -> Json:
    """The same of one prompt, with the labels that occur most."""
    found = side_behaviours(result, stream)
    row: Json = {
        "behaviours": dict(found.counts.most_common(LISTED)),
        "behaviour_entropy": estimate_json(found.entropy),
        "unseen_mass": estimate_json(found.unseen),
    }
    if found.novel is not None:
        row["novel_mass"] = estimate_json(found.novel)
    return row


def _side(result: PromptResult, stream: str) -> SideObservations | None:
    return result.observed.reference if stream == REFERENCE else result.observed.candidate


def _mean_json(estimates: Sequence[Estimate]) -> Json:
    if len(estimates) == 1 and estimates[0].value is None:
        return {**estimate_json(estimates[0]), "sampling_std_error": None}
    most = 1.0 if estimates and estimates[0].unit == PROBABILITY else math.inf
    return mean_json(mean_over_prompts(estimates, CONFIDENCE, least=0.0, most=most))
