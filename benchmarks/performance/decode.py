"""B6: drawing completions, against transformers' `generate`, one by one and in batches, and a bare loop."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.performance.benchmark import Benchmark
from benchmarks.performance.kv_loop import kv_loop
from benchmarks.performance.outcome import Figure, Outcome
from benchmarks.performance.random_models import LARGE, TINY, Shape, build, product_rate
from benchmarks.performance.session import Session, figure
from workers.engines.loading import load_engine
from workers.engines.policy import Policy
from workers.engines.scoring import score_pair
from workers.engines.transformers_engine import TransformersEngine

PROMPT = 64
CHECKED = 12
"""New tokens of the completions whose log-probabilities are checked."""
BATCH = 64
"""Completions of `generate`'s batch."""
LOOP_BATCHES = (64, 256, 1024)
"""Completions of the bare loop's batch: of those we draw at least as many of, the fastest is compared."""
TINY_AIM = 60.0
"""What the design aims at for the tiny shape, one by one; the target is half of it."""
HOLDS_TINY = (
    "products of these widths run at about half the rate of large ones; the rest are elementwise operations "
    "and small products of attention, one a row and head"
)
HOLDS_LARGE = "the head and the layers are at the rate of products here: float32 without bf16 hardware"


def run(session: Session) -> Outcome:
    """Tiny and 135M shapes, one thread."""
    torch.set_num_threads(1)
    figures = [
        *_shape(
            session, "tiny", TINY, rows=session.size(1024, 256), loop=session.size(4, 2), targets=(30.0, 4.0)
        ),
        *_shape(session, "135M", LARGE, rows=BATCH, loop=1, blocks=3, patience=1.7, targets=(12.0, 1.4)),
    ]
    reached = "reached" if figures[0].value >= TINY_AIM else "not reached"
    notes = (
        f"Prompt of {PROMPT} tokens, {session.size(48, 8)} new ones, T = 1 without truncation (top_k = 0 for "
        f"`generate` too), float32, one thread, seconds of CPU time, EOS never ends. {BATCH} completions of "
        "the 135M shape, whose targets were set for bfloat16 in hardware, which this processor may lack.",
        f"Tiny, over generate one by one: {TINY_AIM:.0f}, twice the target, is what the design aims at; "
        f"{reached} here.",
        "The bare KV loop is written by hand around transformers' model and cache: softmax and multinomial "
        "at T = 1, the prompt read once and its cache repeated, all sequences in one batch. The fastest of "
        f"{', '.join(f'{batch:,}' for batch in LOOP_BATCHES)} sequences is compared, none larger than our "
        "own number.",
    )
    return Outcome(figures=tuple(figures), notes=notes)


BENCHMARK = Benchmark(
    title="B6 decode throughput",
    against="transformers `generate`, one by one and with num_return_sequences, and a bare KV loop",
    run=run,
)


def _shape(
    session: Session,
    name: str,
    shape: Shape,
    *,
    rows: int,
    loop: int,
    targets: tuple[float, float],
    blocks: int = 6,
    patience: float = 3,
) -> list[Figure]:
    engine = load_engine(build(session.scratch / name, shape, seed=1))
    engine.eos_ids = frozenset()
    prompt = session.rng(name).integers(0, shape.vocabulary - 1, PROMPT).tolist()
    new = session.size(48, 8)
    policy = Policy(max_new_tokens=new)
    check_answers(session, name, engine, prompt)

    def ours() -> float:
        engine.prefixes.clear()  # the comparators read the prompt at each call too
        engine.sample(prompt, session.rng(name, "u").random((rows, new)), policy, 512)
        return rows * new

    bare = _fastest_loop(session, name, engine, prompt, new, rows)
    one, many, by_hand = session.compare_all(
        name,
        ours,
        {
            "one": generate(engine, prompt, new, 1, loop),
            "many": generate(engine, prompt, new, BATCH, 1),
            "by hand": bare_loop(engine, prompt, new, bare),
        },
        blocks=blocks,
        patience=patience,
        clock=time.process_time,
    ).values()
    limit = product_rate() / shape.flops
    holds = HOLDS_TINY if shape is TINY else HOLDS_LARGE
    said = f"{limit:,.0f} tokens/s at the rate of float32 products measured beside it"
    made: dict[str, Any] = {"from_clocks": True, "limit": said, "holds_back": holds}
    return [
        figure(f"{name}: over generate one by one", one.ratios, "blocks", at_least=targets[0], **made),
        figure(
            f"{name}: over generate with {BATCH} sequences",
            many.ratios,
            "blocks",
            at_least=targets[1],
            **made,
        ),
        figure(f"{name}: over a bare KV loop with {bare:,} sequences", by_hand.ratios, "blocks", **made),
        figure(f"{name}: tokens a second", many.ours, "blocks", unit="tokens/s", **made),
        figure(f"{name}: share of the limit", [x / limit for x in many.ours], "blocks", unit="share", **made),
    ]


def generate(
    engine: TransformersEngine, prompt: list[int], new: int, sequences: int, calls: int
) -> Callable[[], float]:
    """Calls of `generate`, untruncated, each for so many sequences of `new` tokens."""
    ids = torch.tensor([prompt], device=engine.device)

    @torch.inference_mode()
    def work() -> float:
        for _ in range(calls):
            engine.model.generate(
                ids,
                do_sample=True,
                top_k=0,
                top_p=1.0,
                max_new_tokens=new,
                min_new_tokens=new,
                num_return_sequences=sequences,
                pad_token_id=0,
            )
        return float(sequences * calls * new)

    return work


def bare_loop(engine: TransformersEngine, prompt: list[int], new: int, sequences: int) -> Callable[[], float]:
    """The loop written by hand, for so many sequences of `new` tokens."""

    def work() -> float:
        kv_loop(engine, prompt, new, sequences)
        return float(sequences * new)

    return work


def _fastest_loop(
    session: Session, name: str, engine: TransformersEngine, prompt: list[int], new: int, rows: int
) -> int:
    """The batch in which the bare loop draws most tokens a second; not compared, only chosen by."""
    batches = [batch for batch in LOOP_BATCHES if batch <= rows]
    if len(batches) == 1:
        return batches[0]
    pace = {}
    for batch in batches:
        work = bare_loop(engine, prompt, new, batch)
        work()
        start = time.process_time()
        pace[batch] = work() / (time.process_time() - start)
    session.report(f"{name}: the bare loop's tokens a second by batch: {pace}")
    return max(pace, key=lambda batch: pace[batch])


def check_answers(session: Session, name: str, engine: TransformersEngine, prompt: list[int]) -> None:
    """What was drawn has the log-probabilities of transformers' full forward; batches do not matter.

    What the bare loop draws has the log-probabilities that we score it with.
    """
    policy = Policy(max_new_tokens=CHECKED)
    uniforms = session.rng(name, "check").random((24, policy.max_new_tokens))
    drawn = engine.sample(prompt, uniforms, policy, 24)
    small = engine.sample(prompt, uniforms, policy, 5)
    same = all(np.array_equal(a, b) for a, b in zip(drawn.token_ids, small.token_ids, strict=True))
    session.check(f"{name}: the same samples in other batches", same, "24 completions, batches of 24 and 5")
    ids = torch.from_numpy(np.stack(drawn.token_ids)).long()
    with torch.inference_mode():
        full = torch.cat([torch.tensor([prompt]).expand(len(ids), -1), ids], dim=1)
        law = engine.model(input_ids=full).logits[:, PROMPT - 1 : -1].double().log_softmax(-1)
    want = law.gather(-1, ids.unsqueeze(-1)).squeeze(-1).numpy()
    worst = float(np.abs(want - np.stack(drawn.logprobs)).max())
    session.check(f"{name}: log-probabilities", worst < 1e-4, f"largest difference {worst:.1e} nats a token")
    ids, chances = kv_loop(engine, prompt, CHECKED, 24)
    rows = [row.numpy().astype(np.int32) for row in ids]
    own = [row.numpy() for row in chances]
    worst = float(score_pair(engine, engine, prompt, rows, policy, own).max_token_diff.max())
    session.check(
        f"{name}: log-probabilities of the bare loop's tokens",
        worst < 1e-4,
        f"largest difference {worst:.1e} nats a token",
    )
