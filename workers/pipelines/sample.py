"""Drawing samples of a shard."""

import functools
from collections.abc import Callable, Sequence

import pyarrow as pa

from workers.engines.batch_memory import BatchMemory, BatchSize
from workers.engines.batch_tuning import fastest_batch
from workers.engines.causal_model import CausalModel
from workers.engines.completions import SampleBatch
from workers.engines.decoding import Wanted, sample_prompts
from workers.engines.seeds import stream_key, uniforms
from workers.pipelines.rendering import PLAIN, Rendering, render_ids
from workers.pipelines.shards import Item
from workers.pipelines.spec import AnalysisSpec, PromptSpec
from workers.pipelines.tables import SAMPLES


def render(
    model: CausalModel,
    prompt: PromptSpec,
    rendering: Rendering = PLAIN,
    chat_template: str | None = None,
) -> list[int]:
    """Token ids of a prompt under a model's tokenizer; see `render_ids`."""
    return render_ids(model.tokenizer, prompt, rendering, chat_template)


def key_of(spec: AnalysisSpec, stream: str, prompt_ids: Sequence[int], model: CausalModel) -> str:
    """The stream key of a rendered prompt's samples."""
    return stream_key(
        weights_digest=model.identity.weights_digest,
        adapter_digest=model.identity.adapter_digest,
        tokenizer_digest=model.identity.tokenizer_digest,
        prompt_ids=prompt_ids,
        policy=spec.streams[stream].policy.canonical(),
        seed=spec.seed,
        stream=spec.streams[stream].draws_as,
        precision=str(model.dtype).removeprefix("torch."),
    )


def sample_items(
    spec: AnalysisSpec,
    stream: str,
    items: Sequence[Item],
    model: CausalModel,
    *,
    chat_template: str | None = None,
    batch_size: int,
    batch_tokens: int = 1 << 15,
    should_stop: Callable[[], bool],
    on_progress: Callable[[int], None],
    memory: BatchMemory | None = None,
    tunes: bool = False,
) -> pa.Table:
    """Draw the samples of some items; the same items give the same samples wherever they are drawn.

    Args:
        spec: The analysis.
        stream: The stream to draw from; part of every stream key.
        items: Prompt indices and ranges of sample indices.
        model: Its participant's model.
        chat_template: Text of the chat template that its rendering names, if that is not the model's own.
        batch_size: Rows decoded together at most.
        batch_tokens: Tokens, prompt included, whose keys and values are held at once at most.
        should_stop: Asked at every token.
        on_progress: Told how many samples are drawn.
        memory: What fits on the device, if anything is remembered.
        tunes: Whether the fastest batch size is measured and remembered too.

    Raises:
        EngineAborted: `should_stop` said so.
    """
    columns: dict[str, list[object]] = {name: [] for name in SAMPLES.names}
    source, done = spec.streams[stream], 0
    policy = source.policy
    wanted: list[Wanted] = []
    keys: list[str] = []
    for prompt_index, low, high in items:
        prompt_ids = render(model, spec.prompts[prompt_index], source.rendering, chat_template)
        keys.append(key_of(spec, stream, prompt_ids, model))
        wanted.append(Wanted(prompt_ids, uniforms(keys[-1], low, high, policy.max_new_tokens)))
    batches: list[SampleBatch] = [SampleBatch()] * len(items)
    for alike in _alike([len(each.prompt_ids) + policy.max_new_tokens for each in wanted]):

        def report(finished: int, before: int = done) -> None:
            on_progress(before + finished)

        part = [wanted[place] for place in alike]
        length = max(len(each.prompt_ids) for each in part) + policy.max_new_tokens
        most = max(1, min(batch_size, batch_tokens // length))
        drawn = sample_prompts(
            model,
            part,
            policy,
            most,
            should_stop,
            report,
            None if memory is None else _size(memory, model, length, most, tunes),
        )
        for place, batch in zip(alike, drawn, strict=True):
            batches[place] = batch
        done += sum(len(each.uniforms) for each in part)
    for (prompt_index, low, high), key, batch in zip(items, keys, batches, strict=True):
        count = high - low
        columns["prompt_index"] += [prompt_index] * count
        columns["prompt_id"] += [spec.prompts[prompt_index].id] * count
        columns["stream"] += [stream] * count
        columns["stream_key"] += [key] * count
        columns["index"] += range(low, high)
        columns["token_ids"] += batch.token_ids
        columns["logprobs"] += batch.logprobs
        columns["finish_reason"] += batch.finish_reasons
        columns["text"] += batch.texts
    return pa.table(columns, schema=SAMPLES)


def _size(memory: BatchMemory, model: CausalModel, length: int, most: int, tunes: bool) -> BatchSize:
    fastest = functools.partial(fastest_batch, model, length, most) if tunes else None
    return memory.size_for(model.identity.weights_digest, length, most, fastest)


def _alike(lengths: Sequence[int]) -> list[list[int]]:
    """Places of items by length, within a factor of two: decoded together, they need little padding."""
    groups: dict[int, list[int]] = {}
    for place, length in enumerate(lengths):
        groups.setdefault(length.bit_length(), []).append(place)
    return [groups[key] for key in sorted(groups)]
