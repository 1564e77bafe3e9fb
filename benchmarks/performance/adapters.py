"""B10: a base and its LoRA adapter in one resident model, against two full models."""

import gc
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import torch

from benchmarks.performance.benchmark import Benchmark
from benchmarks.performance.outcome import Outcome
from benchmarks.performance.random_models import LARGE, build, build_adapter
from benchmarks.performance.session import Session, figure
from workers.engines.adapter_folder import checked_adapter
from workers.engines.adapters import attach_adapter
from workers.engines.causal_model import ModelIdentity
from workers.engines.digests import adapter_digest
from workers.engines.loading import load_engine
from workers.engines.policy import Policy
from workers.engines.transformers_engine import TransformersEngine

RANK, PROMPT, NEW, ROWS = 16, 64, 8, 64


def run(session: Session) -> Outcome:
    """135M shape, rank 16 on every linear layer, one thread."""
    torch.set_num_threads(1)
    folder = build(session.scratch / "base", LARGE, seed=1)
    lora, merged = build_adapter(session.scratch / "lora", folder, RANK)
    warm = load_engine(folder)  # imports and allocators
    del warm
    base, own = _grown(lambda: load_engine(folder))
    adapted, more = _grown(lambda: _attached(base, lora))
    whole, second = _grown(lambda: load_engine(merged))
    share = (own + more) / (2 * own)  # a merged model's file may repeat a tied head
    prompt = session.rng("prompt").integers(0, LARGE.vocabulary - 1, PROMPT).tolist()
    for engine in (base, adapted, whole):
        engine.eos_ids = frozenset()
    session.check(
        "the adapter computes by the own forward", adapted.is_lean, f"{adapted.parameters:,} parameters"
    )
    laws = [engine.logits(engine.read(prompt).hidden).log_softmax(-1) for engine in (adapted, whole, base)]
    worst = float((laws[0] - laws[1]).abs().max())
    moved = float((laws[0] - laws[2]).abs().max())
    session.check("the merged model's law", worst < 1e-3, f"largest difference {worst:.1e} nats")
    session.check("it is another law than the base's", moved > 0.1, f"largest difference {moved:.2f} nats")
    policy = Policy(max_new_tokens=NEW)
    uniforms = session.rng("uniforms").random((ROWS, NEW))
    speed = session.compare(
        "speed",
        _draws(adapted, prompt, uniforms, policy),
        _draws(whole, prompt, uniforms, policy),
        blocks=6,
        patience=2,
        clock=time.process_time,
    )
    extra = adapted.parameters / base.parameters - 1
    return Outcome(
        figures=(
            figure(
                "memory over two full models",
                [share],
                "runs",
                at_most=0.56,
                limit=f"{(1 + extra) / 2:.3f}: half, and half of {100 * extra:.1f} % more parameters",
            ),
            figure(
                "speed over the merged model",
                speed.ratios,
                "blocks",
                at_least=0.9,
                limit=f"{1 / (1 + extra):.2f} by the adapter's operations",
                holds_back="products with 16 columns run below the rate of wide ones",
                from_clocks=True,
            ),
        ),
        notes=(
            f"Rank {RANK} on all seven linear layers. Memory is the growth of the resident set while a model "
            f"is loaded: base {own / 2**20:.0f} MiB, adapter {more / 2**20:.0f}, second full model "
            f"{second / 2**20:.0f}. Merged copies would be faster by the rest and cost a full model; in half "
            "precision merging would round the weights, and so change the law.",
        ),
    )


BENCHMARK = Benchmark(
    title="B10 LoRA pair", against="two full models, the second one merged, by the same engine", run=run
)


def _attached(base: TransformersEngine, lora: Path) -> TransformersEngine:
    tokenizer = base.identity.tokenizer_digest
    identity = ModelIdentity(base.identity.weights_digest, tokenizer, adapter_digest(lora))
    return attach_adapter(base, checked_adapter(lora, base_tokenizer=tokenizer), identity)


def _draws(
    engine: TransformersEngine, prompt: list[int], uniforms: np.ndarray, policy: Policy
) -> Callable[[], float]:
    def work() -> float:
        engine.prefixes.clear()
        engine.sample(prompt, uniforms, policy, len(uniforms))
        return float(uniforms.size)

    return work


def _grown(load: Callable[[], TransformersEngine]) -> tuple[TransformersEngine, int]:
    """A model, and by how many bytes the resident set grew."""
    gc.collect()
    before = psutil.Process().memory_info().rss
    engine = load()
    for parameter in engine.model.parameters():
        parameter.detach().sum()  # pages of a mapped file count once they are touched
    gc.collect()
    return engine, psutil.Process().memory_info().rss - before
