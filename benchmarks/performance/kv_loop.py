"""The loop one writes by hand: transformers' own model and cache, softmax, multinomial, one batch."""

import inspect

import torch
from torch import Tensor
from transformers import DynamicCache

from workers.engines.transformers_engine import TransformersEngine


@torch.inference_mode()
def kv_loop(engine: TransformersEngine, prompt: list[int], new: int, sequences: int) -> tuple[Tensor, Tensor]:
    """Draw completions of one prompt at T = 1; EOS ends nothing.

    The prompt is read once and its cache repeated: a loop that reads it in every row is slower. Randomness
    is torch's global generator.

    Args:
        engine: Holds transformers' model; nothing else of it is used.
        prompt: Token ids.
        new: Tokens a completion.
        sequences: Completions, in one batch.

    Returns:
        Token ids, and the log-probabilities they were drawn with, nats. Each of shape ``(sequences, new)``.
    """
    model = engine.model
    # transformers 5.24 renamed the argument, and warns of the old name.
    named = "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"
    cache = {named: DynamicCache(config=model.config)}
    logits = model(input_ids=torch.tensor([prompt], device=engine.device), logits_to_keep=1, **cache).logits
    cache[named].batch_repeat_interleave(sequences)
    logits = logits.expand(sequences, -1, -1)
    ids, chances = [], []
    for number in range(new):
        law = logits[:, -1].softmax(-1)
        drawn = torch.multinomial(law, 1)
        ids.append(drawn)
        chances.append(law.gather(-1, drawn))
        if number + 1 < new:
            logits = model(input_ids=drawn, **cache).logits
    return torch.cat(ids, dim=1), torch.cat(chances, dim=1).log()
