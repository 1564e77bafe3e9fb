"""The chance floor: how often samples of other prompts satisfy a prompt's key."""

from collections import Counter
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from workers.pipelines.spec import CANDIDATE, AnalysisSpec
from workers.pipelines.verify import judged_text
from workers.verifiers.judgement import FinishReason
from workers.verifiers.registry import build_verifier

MAX_TEXTS = 2_000
"""Distinct texts judged against one key: enough to see a floor of a percent, and cheap for any verifier."""

Texts = Counter[tuple[str, FinishReason]]


def chance_floors(spec: AnalysisSpec, samples: pa.Table, prompts: Sequence[int]) -> dict[int, float]:
    """The floor of some prompts, from the candidate's pilot samples of all the others.

    Args:
        spec: The analysis.
        samples: Sorted samples of all streams.
        prompts: Indices of the prompts whose floor is wanted.

    Returns:
        By prompt; a prompt without others has none.
    """
    if not prompts:
        return {}
    pilot = samples.filter(
        (pc.field("stream") == CANDIDATE) & (pc.field("index") < spec.budget.samples_per_prompt)
    )
    texts: dict[int, Texts] = {}
    columns = (pilot[name].to_pylist() for name in ("prompt_index", "text", "finish_reason"))
    for prompt, text, finish in zip(*columns, strict=True):
        judged = judged_text(text, finish, spec.policy.stop)
        texts.setdefault(prompt, Counter())[judged, finish] += 1
    floors = {prompt: _floor(spec, texts, prompt) for prompt in prompts}
    return {prompt: floor for prompt, floor in floors.items() if floor is not None}


def _floor(spec: AnalysisSpec, texts: Mapping[int, Texts], prompt: int) -> float | None:
    others: Texts = Counter()
    for other, found in texts.items():
        if other != prompt:
            others.update(found)
    # Ties are broken by text: the order of prompts must not decide which texts count.
    judged = sorted(others.items(), key=lambda item: (-item[1], item[0]))[:MAX_TEXTS]
    total = sum(count for _, count in judged)
    if not total:
        return None
    verifier = build_verifier(spec.signal)
    key = spec.prompts[prompt].key
    accepted = sum(
        count for (text, finish), count in judged if verifier.judge(text, key, finish).outcome == "correct"
    )
    return accepted / total
