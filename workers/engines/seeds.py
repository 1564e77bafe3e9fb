"""The uniforms of a sample stream: a function of what is sampled, not of who samples it.

Sample i of a stream uses its own block of one counter-based generator, so any range of samples can be drawn
alone, in any batch, shard or worker. Philox: Salmon et al., "Parallel random
numbers: as easy as 1, 2, 3", SC 2011.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

# Part of every stream key: raise it when the map from uniforms to tokens changes.
SAMPLER_VERSION = 1

# One step of Philox's counter yields four 64-bit words; a double uses one.
_DOUBLES_PER_STEP = 4


def stream_key(
    *,
    weights_digest: str,
    adapter_digest: str | None,
    tokenizer_digest: str,
    prompt_ids: Sequence[int],
    policy: Mapping[str, object],
    seed: int,
    stream: str,
    precision: str = "float32",
) -> str:
    """The name of a stream of samples, as 64 hex digits.

    Args:
        weights_digest: Of the sampling model.
        adapter_digest: Of its adapter, if any.
        tokenizer_digest: Of its tokenizer.
        prompt_ids: The rendered prompt.
        policy: `Policy.canonical()`.
        seed: The analysis's seed.
        stream: The participant, e.g. `reference`: two participants with one model never share draws.
        precision: Of the weights in memory: rounded ones are another law, whose samples are not this one's.
    """
    parts: list[object] = [
        SAMPLER_VERSION,
        weights_digest,
        adapter_digest,
        tokenizer_digest,
        [int(token) for token in prompt_ids],
        dict(policy),
        seed,
        stream,
        *([] if precision == "float32" else [precision]),
    ]
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def uniforms(stream_key: str, lo: int, hi: int, max_new_tokens: int) -> NDArray[np.float64]:
    """Uniforms in [0, 1) for samples lo to hi-1 of a stream, one per token.

    Args:
        stream_key: As `stream_key` returns it; its first 128 bits are the generator's key.
        lo: First sample.
        hi: One past the last sample.
        max_new_tokens: T, the policy's length limit.

    Returns:
        Shape ``(hi - lo, T)``.

    Raises:
        ValueError: if not ``0 <= lo <= hi`` or ``max_new_tokens < 1``.
    """
    if not 0 <= lo <= hi or max_new_tokens < 1:
        raise ValueError("need 0 <= lo <= hi and max_new_tokens >= 1")
    steps = -(-max_new_tokens // _DOUBLES_PER_STEP)
    bits = np.random.Philox(key=int(stream_key[:32], 16))
    bits.advance(lo * steps)
    block = np.random.Generator(bits).random((hi - lo, steps * _DOUBLES_PER_STEP))
    return np.ascontiguousarray(block[:, :max_new_tokens])
