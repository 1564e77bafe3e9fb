"""Demonstrations of an analysis as token ids behind the rendered prompt, scored by the reference."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from workers.engines.causal_model import CausalModel
from workers.engines.scoring import score_pair
from workers.errors import AnalysisFault
from workers.pipelines.rendering import render_ids
from workers.pipelines.sample import key_of, render
from workers.pipelines.shards import Item
from workers.pipelines.spec import AnalysisSpec, PromptSpec
from workers.pipelines.streams import DEMONSTRATIONS
from workers.pipelines.tables import SAMPLES


def demonstration_ids(model: CausalModel, prompt: PromptSpec, text: str) -> list[int]:
    """Token ids of a demonstration as the model would write it behind its prompt, EOS last."""
    end = model.tokenizer.eos_token_id
    return [*written_ids(model.tokenizer, prompt, text), end if end in model.eos_ids else min(model.eos_ids)]


def written_ids(tokenizer: Any, prompt: PromptSpec, text: str) -> list[int]:
    """Token ids of a demonstration behind its prompt, without EOS.

    The text is tokenised after the prompt's text where the prompt's own ids come first in that, and by itself
    otherwise: what was sampled follows the rendered prompt's ids, so that they must not change.
    """
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    if prompt.text is not None:
        before, together = render_ids(tokenizer, prompt), tokenizer(prompt.text + text)["input_ids"]
        if together[: len(before)] == before and tokenizer.eos_token_id not in together[len(before) :]:
            ids = together[len(before) :]
    return ids


def judged_by_ids(spec: AnalysisSpec, tokenizer: Any, prompts: Iterable[int]) -> AnalysisSpec:
    """The analysis with the demonstrations of some prompts as token ids in their keys.

    Args:
        spec: The analysis.
        tokenizer: Of the model whose samples are to be judged: each writes a text by its own.
        prompts: Indices of the prompts.
    """
    wanted = [spec.prompts[index] for index in set(prompts)]
    ids = {
        prompt.index: tuple(tuple(written_ids(tokenizer, prompt, text)) for text in prompt.key.demonstrations)
        for prompt in wanted
    }
    return _with_keys(spec, ids)


def judged_as_scored(spec: AnalysisSpec, samples: pa.Table) -> AnalysisSpec:
    """The same by what the reference scored, for samples of any model with its tokenizer.

    A prompt of which a demonstration was not scored keeps its texts alone.

    Args:
        spec: The analysis.
        samples: Samples of all streams.
    """
    given = samples.filter(pc.field("stream") == DEMONSTRATIONS)
    found: dict[int, list[tuple[int, ...]]] = {}
    for prompt, ids in zip(given["prompt_index"].to_pylist(), given["token_ids"].to_pylist(), strict=True):
        found.setdefault(prompt, []).append(tuple(ids[:-1]))
    whole = {
        prompt: tuple(ids)
        for prompt, ids in found.items()
        if len(ids) == len(spec.prompts[prompt].demonstrations)
    }
    return _with_keys(spec, whole)


def _with_keys(spec: AnalysisSpec, ids: Mapping[int, tuple[tuple[int, ...], ...]]) -> AnalysisSpec:
    prompts = (
        replace(prompt, key=replace(prompt.key, demonstration_ids=ids.get(prompt.index)))
        for prompt in spec.prompts
    )
    return replace(spec, prompts=tuple(prompts))


def demonstration_items(
    spec: AnalysisSpec,
    items: Sequence[Item],
    model: CausalModel,
    *,
    should_stop: Callable[[], bool],
    on_progress: Callable[[int], None],
) -> pa.Table:
    """The demonstrations of some items as rows of samples, their log-probabilities the reference's.

    Raises:
        AnalysisFault: one is longer than `max_new_tokens`, or has a token that the model does not.
        EngineAborted: `should_stop` said so.
    """
    columns: dict[str, list[object]] = {name: [] for name in SAMPLES.names}
    policy = spec.streams[DEMONSTRATIONS].policy
    done = 0
    for prompt_index, low, high in items:
        prompt = spec.prompts[prompt_index]
        prompt_ids = render(model, prompt)
        texts = [one.text for one in prompt.demonstrations[low:high]]
        ids = [np.asarray(demonstration_ids(model, prompt, text), dtype=np.int32) for text in texts]
        for number, tokens in enumerate(ids, low):
            _require_writable(model, prompt, number, tokens, policy.max_new_tokens)
        nothing = [np.zeros(len(tokens), dtype=np.float32) for tokens in ids]
        scored = score_pair(model, model, prompt_ids, ids, policy, nothing, should_stop=should_stop)
        columns["prompt_index"] += [prompt_index] * len(ids)
        columns["prompt_id"] += [prompt.id] * len(ids)
        columns["stream"] += [DEMONSTRATIONS] * len(ids)
        columns["stream_key"] += [key_of(spec, DEMONSTRATIONS, prompt_ids, model)] * len(ids)
        columns["index"] += range(low, high)
        columns["token_ids"] += ids
        columns["logprobs"] += scored.token_logprobs
        columns["finish_reason"] += ["eos"] * len(ids)
        columns["text"] += texts
        done += len(ids)
        on_progress(done)
    return pa.table(columns, schema=SAMPLES)


def _require_writable(
    model: CausalModel, prompt: PromptSpec, number: int, tokens: NDArray[np.int32], most: int
) -> None:
    where = f"/prompts/inline/{prompt.index}/demonstrations/{number}"
    if tokens.size > most:
        raise AnalysisFault(
            "demonstration_too_long",
            f"demonstration {number} of prompt {prompt.id!r} has {tokens.size} tokens with its EOS, and "
            f"max_new_tokens is {most}: no sample could be that long. Raise max_new_tokens or shorten it",
            where,
        )
    if int(tokens.max()) >= model.vocabulary_size:
        raise AnalysisFault(
            "demonstration_unwritable",
            f"demonstration {number} of prompt {prompt.id!r} has a token that the reference has no logit for",
            where,
        )
