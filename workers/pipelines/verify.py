"""Judging sampled texts."""

from collections.abc import Callable

import pyarrow as pa

from workers.pipelines.spec import AnalysisSpec
from workers.pipelines.tables import OUTCOMES
from workers.verifiers.registry import build_verifier

REPORT_EVERY = 256
"""Samples between two progress reports: often enough for a bar, too seldom to cost anything."""


def judged_text(text: str, finish_reason: str, stops: tuple[str, ...]) -> str:
    """The text a verifier sees: what comes before the stop string that ended the sample."""
    if finish_reason != "stop":
        return text
    ends = [text.index(stop) for stop in stops if stop in text]
    return text[: min(ends)] if ends else text


def verify_samples(spec: AnalysisSpec, samples: pa.Table, on_progress: Callable[[int], None]) -> pa.Table:
    """Judge every sample of a table; the result has its rows in the same order."""
    verifier = build_verifier(spec.signal)
    outcomes, rewards, behaviours, details = [], [], [], []
    columns = (samples[name].to_pylist() for name in ("prompt_index", "text", "finish_reason"))
    for row, (prompt, text, finish) in enumerate(zip(*columns, strict=True), start=1):
        judgement = verifier.judge(
            judged_text(text, finish, spec.policy.stop), spec.prompts[prompt].key, finish
        )
        outcomes.append(judgement.outcome)
        rewards.append(judgement.reward)
        behaviours.append(judgement.behaviour)
        details.append(judgement.detail)
        if row % REPORT_EVERY == 0:
            on_progress(row)
    keys = {name: samples[name] for name in ("prompt_index", "stream", "index")}
    judged = {"outcome": outcomes, "reward": rewards, "behaviour": behaviours, "detail": details}
    return pa.table({**keys, **judged}, schema=OUTCOMES)
