"""Judging what was sampled."""

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Final

import pyarrow as pa

from workers.pipelines.judge import Judge
from workers.pipelines.spec import AnalysisSpec
from workers.pipelines.tables import OUTCOMES, list_rows
from workers.verifiers.judgement import AnswerKey, Case, FinishReason

JUDGED: Final = ("outcome", "reward", "behaviour", "detail")
"""What a judgement says, in columns of `OUTCOMES`."""


def judged_text(text: str, finish_reason: str, stops: tuple[str, ...]) -> str:
    """The text a verifier sees: what comes before the stop string that ended the sample."""
    if finish_reason != "stop":
        return text
    ends = [text.index(stop) for stop in stops if stop in text]
    return text[: min(ends)] if ends else text


def case_of(
    text: str,
    finish_reason: FinishReason,
    key: AnswerKey,
    stops: tuple[str, ...],
    token_ids: Sequence[int] | None = None,
) -> Case:
    """What is judged of a sample: its text, and its tokens where the key knows those of demonstrations.

    A sample that a stop string ended has its text alone: one token may hold the end of what it says and the
    beginning of the stop.

    Args:
        text: All that was decoded.
        finish_reason: How it ended.
        key: Its prompt's.
        stops: Its policy's.
        token_ids: All that were sampled, EOS included; None where they are not at hand.
    """
    ids = None
    if token_ids is not None and key.demonstration_ids is not None and finish_reason != "stop":
        ids = tuple(token_ids[:-1] if finish_reason == "eos" else token_ids)
    return Case(judged_text(text, finish_reason, stops), key, finish_reason, ids)


def judged_ids(spec: AnalysisSpec, samples: pa.Table) -> Sequence[Sequence[int] | None]:
    """Token ids of each sample, EOS included; none where the signal judges texts."""
    if spec.signal["kind"] != "demonstrations":
        return [None] * samples.num_rows
    return list_rows(samples["token_ids"])


def verify_samples(
    spec: AnalysisSpec, samples: pa.Table, on_progress: Callable[[int], None], judge: Judge | None = None
) -> pa.Table:
    """Judge every sample of a table; the result has its rows in the same order.

    Args:
        spec: The analysis; where its keys hold token ids of demonstrations, by the samples' tokenizer.
        samples: Samples of any prompts and streams.
        on_progress: Told how many are judged.
        judge: The process's own; by default one that uses nothing an operator has to allow.
    """
    judgements = (judge or Judge()).judge(spec.signal, _cases(spec, samples), on_progress)
    keys = {name: samples[name] for name in ("prompt_index", "stream", "index")}
    said = attrgetter(*JUDGED)
    columns = zip(*map(said, judgements), strict=True) if judgements else ([] for _ in JUDGED)
    return pa.table({**keys, **dict(zip(JUDGED, columns, strict=True))}, schema=OUTCOMES)


def _cases(spec: AnalysisSpec, samples: pa.Table) -> list[Case]:
    """What is judged of each sample; one object for samples of a prompt that say the same."""
    stops = {name: stream.policy.stop for name, stream in spec.streams.items()}
    columns = (samples[name].to_pylist() for name in ("prompt_index", "stream", "text", "finish_reason"))
    made: dict[tuple[object, ...], Case] = {}
    cases = []
    for prompt, stream, text, finish, ids in zip(*columns, judged_ids(spec, samples), strict=True):
        name = prompt, stream, text, finish, None if ids is None else tuple(ids)
        case = made.get(name)
        if case is None:
            case = made[name] = case_of(text, finish, spec.prompts[prompt].key, stops[stream], ids)
        cases.append(case)
    return cases
