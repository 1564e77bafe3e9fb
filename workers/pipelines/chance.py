"""The chance floor: how often samples of other prompts satisfy a prompt's key.

What counts is whether the candidate says this answer where it is wrong. So a prompt that shares an accepted
answer takes no part: its samples satisfy the key because they are right there, and ten wordings of one
question would otherwise make each other look like chance. A guesser among four letters still says B on a
quarter of the prompts whose answer is another letter.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from workers.estimators.counts import clopper_pearson
from workers.pipelines.judge import Judge
from workers.pipelines.spec import CANDIDATE, AnalysisSpec
from workers.pipelines.verify import case_of, judged_ids
from workers.verifiers.choice import option_of
from workers.verifiers.judgement import AnswerKey, FinishReason
from workers.verifiers.numeric import parse_number

MAX_TEXTS: Final = 2_000
"""Samples judged against one key: enough to bound a floor below 0.2 %, and cheap for any verifier."""


@dataclass(frozen=True, slots=True)
class ChanceFloor:
    """How often samples of other prompts satisfy one prompt's key.

    Attributes:
        accepted: Samples that do.
        judged: Samples judged; verifier errors are left out.
        bound: Upper confidence bound of the rate, at half of the error level: with the lower bound of b at
            the other half, "b is above chance" errs with chance at most alpha.
    """

    accepted: int
    judged: int
    bound: float

    @property
    def rate(self) -> float:
        """The rate seen."""
        return self.accepted / self.judged


def chance_floors(
    spec: AnalysisSpec, samples: pa.Table, prompts: Sequence[int], judge: Judge
) -> dict[int, ChanceFloor]:
    """The floor of some prompts, from the candidate's pilot samples of prompts with other answers.

    The samples of different prompts have different chances; a binomial bound at their mean is then on the
    safe side (Hoeffding 1956: of sums of independent indicators with one mean the binomial spreads most).

    Args:
        spec: The analysis; where its keys hold token ids of demonstrations, by the candidate's tokenizer.
        samples: Sorted samples of all streams.
        prompts: Indices of the prompts whose floor is wanted.
        judge: Judges the samples.

    Returns:
        By prompt; a prompt without others to compare with has none, and no prompt has one where the signal
        judges all by the same key: there what satisfies another prompt's key says nothing about chance.
    """
    if not prompts or _judges_alike(spec.signal):
        return {}
    pilot = samples.filter(
        (pc.field("stream") == CANDIDATE) & (pc.field("index") < max(spec.pilots(CANDIDATE)))
    )
    columns = (pilot[name].to_pylist() for name in ("prompt_index", "index", "text", "finish_reason"))
    said: dict[tuple[str, FinishReason, tuple[int, ...] | None], int] = {}
    rows = []
    for prompt, index, text, finish, ids in zip(*columns, judged_ids(spec, pilot), strict=True):
        one = text, finish, None if ids is None else tuple(ids)
        rows.append((_rank(spec, prompt, index), prompt, said.setdefault(one, len(said))))
    # By a hash of what it is a sample of: neither the order of prompts nor the texts decide which are judged.
    rows.sort(key=itemgetter(0))
    texts = [_Said(*one) for one in said]
    answers = [_answers(spec.signal["kind"], prompt.key) for prompt in spec.prompts]
    floors = {}
    for prompt in prompts:
        apart = {other for other, accepted in enumerate(answers) if not answers[prompt] & accepted}
        chosen = islice(((other, number) for _, other, number in rows if other in apart), MAX_TEXTS)
        others = [number for other, number in chosen if other != prompt]
        if (floor := _floor(spec, texts, others, prompt, judge)) is not None:
            floors[prompt] = floor
    return floors


class _Said(NamedTuple):
    text: str
    finish_reason: FinishReason
    token_ids: tuple[int, ...] | None


def _floor(
    spec: AnalysisSpec, texts: Sequence[_Said], others: Sequence[int], prompt: int, judge: Judge
) -> ChanceFloor | None:
    key, stops = spec.prompts[prompt].key, spec.streams[CANDIDATE].policy.stop
    said = ((number, texts[number]) for number in set(others))
    made = {number: case_of(one.text, one.finish_reason, key, stops, one.token_ids) for number, one in said}
    cases = [made[number] for number in others]
    outcomes = [judgement.outcome for judgement in judge.judge(spec.signal, cases)]
    accepted, judged = outcomes.count("correct"), len(outcomes) - outcomes.count("verifier_error")
    if not judged:
        return None
    bound = clopper_pearson(accepted, judged, 1 - spec.thresholds.alpha)[1]
    return ChanceFloor(accepted, judged, bound)


def _judges_alike(signal: dict[str, Any]) -> bool:
    return signal.get("pattern") is not None or signal.get("json_schema") is not None


def _rank(spec: AnalysisSpec, prompt: int, index: int) -> bytes:
    return hashlib.sha256(f"{spec.seed}/{index}/{spec.prompts[prompt].id}".encode()).digest()


def _answers(kind: str, key: AnswerKey) -> frozenset[str]:
    """What a prompt accepts, in a form that shows when two prompts accept the same; equal tests count too."""
    found = set()
    for answer in key.demonstrations if kind == "demonstrations" else key.answers:
        form: object = answer.strip()
        if kind == "choice":
            form = option_of(answer, key.choices)
        elif kind in {"numeric", "math"} and (number := parse_number(answer)) is not None:
            form = number.normalize()
        found.add(str(form))
    return frozenset(found if key.tests is None else {*found, key.tests})
