"""Judging sampled texts."""

from collections.abc import Callable

import pyarrow as pa

from workers.pipelines.judge import Judge
from workers.pipelines.spec import AnalysisSpec
from workers.pipelines.tables import OUTCOMES
from workers.verifiers.judgement import Case


def judged_text(text: str, finish_reason: str, stops: tuple[str, ...]) -> str:
    """The text a verifier sees: what comes before the stop string that ended the sample."""
    if finish_reason != "stop":
        return text
    ends = [text.index(stop) for stop in stops if stop in text]
    return text[: min(ends)] if ends else text


def verify_samples(
    spec: AnalysisSpec, samples: pa.Table, on_progress: Callable[[int], None], judge: Judge | None = None
) -> pa.Table:
    """Judge every sample of a table; the result has its rows in the same order.

    Args:
        spec: The analysis.
        samples: Samples of any prompts and streams.
        on_progress: Told how many are judged.
        judge: The process's own; by default one that uses nothing an operator has to allow.
    """
    columns = (samples[name].to_pylist() for name in ("prompt_index", "stream", "text", "finish_reason"))
    stops = {name: stream.policy.stop for name, stream in spec.streams.items()}
    cases = [
        Case(judged_text(text, finish, stops[stream]), spec.prompts[prompt].key, finish)
        for prompt, stream, text, finish in zip(*columns, strict=True)
    ]
    judgements = (judge or Judge()).judge(spec.signal, cases, on_progress)
    keys = {name: samples[name] for name in ("prompt_index", "stream", "index")}
    judged = {
        name: [getattr(judgement, name) for judgement in judgements]
        for name in ("outcome", "reward", "behaviour", "detail")
    }
    return pa.table({**keys, **judged}, schema=OUTCOMES)
