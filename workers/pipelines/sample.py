"""Drawing samples of a shard."""

from collections.abc import Callable, Sequence

import pyarrow as pa

from workers.engines.batch_memory import BatchMemory
from workers.engines.causal_model import CausalModel
from workers.engines.decoding import sample_completions
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

    Raises:
        EngineAborted: `should_stop` said so.
    """
    columns: dict[str, list[object]] = {name: [] for name in SAMPLES.names}
    source, done = spec.streams[stream], 0
    policy = source.policy
    for prompt_index, low, high in items:
        prompt = spec.prompts[prompt_index]
        prompt_ids = render(model, prompt, source.rendering, chat_template)
        key = key_of(spec, stream, prompt_ids, model)

        def report(finished: int, before: int = done) -> None:
            on_progress(before + finished)

        length = len(prompt_ids) + policy.max_new_tokens
        most = max(1, min(batch_size, batch_tokens // length))
        batch = sample_completions(
            model,
            prompt_ids,
            uniforms(key, low, high, policy.max_new_tokens),
            policy,
            most,
            should_stop,
            report,
            None if memory is None else memory.size_for(model.identity.weights_digest, length, most),
        )
        count = high - low
        columns["prompt_index"] += [prompt_index] * count
        columns["prompt_id"] += [prompt.id] * count
        columns["stream"] += [stream] * count
        columns["stream_key"] += [key] * count
        columns["index"] += range(low, high)
        columns["token_ids"] += batch.token_ids
        columns["logprobs"] += batch.logprobs
        columns["finish_reason"] += batch.finish_reasons
        columns["text"] += batch.texts
        done += count
    return pa.table(columns, schema=SAMPLES)
