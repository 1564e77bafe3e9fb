"""How the engine's cost grows with the length of completions and with the vocabulary."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from benchmarks.performance.machine import peak_memory
from benchmarks.performance.outcome import Curve, Figure
from benchmarks.performance.random_models import TINY, build
from benchmarks.performance.session import Session, figure
from workers.engines.completions import SampleBatch
from workers.engines.loading import load_engine
from workers.engines.policy import Policy
from workers.engines.scoring import score_pair
from workers.engines.transformers_engine import TransformersEngine

LENGTHS = (8, 16, 32, 64, 128)
VOCABULARIES = (512, 2_048, 8_192, 32_768)
PROMPT, ROWS, NEW = 64, 256, 32
REPEATS = 3
LEAST_MEMORY = 0.1
"""MiB below which the resident set says nothing, and a logarithmic plot shows nothing."""


@dataclass(frozen=True, slots=True)
class _Cost:
    """Microseconds of CPU a token, and MiB above the model.

    Attributes:
        draw: Of a token drawn.
        score: Of a token scored under two models.
        memory: While scoring.
    """

    draw: float
    score: float
    memory: float


def engine_scaling(session: Session) -> tuple[list[Figure], list[Curve]]:
    """Measure: the tiny shape, one thread, seconds of CPU time."""
    torch.set_num_threads(1)
    by_length = _by_length(session)
    by_vocabulary = {
        size: _cost(session, *_pair(session, size), NEW) for size in VOCABULARIES[: session.size(4, 2)]
    }
    session.report(f"by length: {by_length}, by vocabulary: {by_vocabulary}")
    return (
        [
            figure(
                "CPU time of a drawn token, longest completions over shortest",
                [by_length[max(by_length)].draw / by_length[min(by_length)].draw],
                "cases",
                from_clocks=True,
                limit="below 1 while few tokens share a prompt; then attention to what was drawn",
            ),
            figure(
                "extra memory of scoring, any length and vocabulary",
                [cost.memory for cost in (*by_length.values(), *by_vocabulary.values())],
                "cases",
                unit="MiB",
                limit="a fixed number of tokens is read together, and of logits exists at a time",
            ),
        ],
        [
            Curve(
                "CPU time by completion length",
                "new tokens a completion",
                "microseconds of CPU a token",
                {
                    "drawn": [[n, cost.draw] for n, cost in by_length.items()],
                    "scored by two": [[n, cost.score] for n, cost in by_length.items()],
                },
            ),
            Curve(
                "CPU time by vocabulary",
                "tokens in the vocabulary",
                "microseconds of CPU a token",
                {
                    "drawn": [[v, cost.draw] for v, cost in by_vocabulary.items()],
                    "scored by two": [[v, cost.score] for v, cost in by_vocabulary.items()],
                },
            ),
            Curve(
                "Memory of scoring",
                "new tokens a completion, or tokens in the vocabulary",
                "MiB above the models",
                {
                    "by completion length": [[n, cost.memory] for n, cost in by_length.items()],
                    "by vocabulary": [[v, cost.memory] for v, cost in by_vocabulary.items()],
                },
            ),
        ],
    )


def _by_length(session: Session) -> dict[int, _Cost]:
    pair = _pair(session, TINY.vocabulary)
    lengths = LENGTHS[: session.size(6, 2)]
    longest = _draw(session, pair[0], lengths[-1], 16)
    shortest = _draw(session, pair[0], lengths[0], 16)
    same = [
        np.array_equal(short, long[: lengths[0]])
        for short, long in zip(shortest.token_ids, longest.token_ids, strict=True)
    ]
    session.check("a larger limit changes no token before it", all(same), f"{sum(same)} of {len(same)} rows")
    return {length: _cost(session, *pair, length) for length in lengths}


def _pair(session: Session, vocabulary: int) -> tuple[TransformersEngine, TransformersEngine]:
    shape = replace(TINY, vocabulary=vocabulary)
    one, two = (load_engine(build(session.scratch / f"{vocabulary}-{n}", shape, seed=n)) for n in (1, 2))
    one.eos_ids = two.eos_ids = frozenset()
    return one, two


def _draw(session: Session, engine: TransformersEngine, length: int, rows: int) -> SampleBatch:
    prompt = session.rng("prompt").integers(0, TINY.vocabulary - 1, PROMPT).tolist()
    uniforms = session.rng("uniforms").random((rows, max(LENGTHS)))[:, :length]
    return engine.sample(prompt, uniforms, Policy(max_new_tokens=length), rows)


def _cost(session: Session, one: TransformersEngine, two: TransformersEngine, length: int) -> _Cost:
    rows = max(16, ROWS * NEW // length)
    prompt = session.rng("prompt").integers(0, TINY.vocabulary - 1, PROMPT).tolist()
    drawn = _draw(session, one, length, rows)

    def score() -> None:
        policy = Policy(max_new_tokens=length)
        score_pair(one, two, prompt, drawn.token_ids, policy, drawn.logprobs)

    score()
    tokens = rows * length
    return _Cost(
        draw=_microseconds(lambda: _draw(session, one, length, rows)) / tokens,
        score=_microseconds(score) / tokens,
        memory=max(LEAST_MEMORY, peak_memory(score) / 2**20),
    )


def _microseconds(work: Callable[[], object]) -> float:
    """CPU time of a call, the least of a few."""
    found = []
    for _ in range(REPEATS):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return 1e6 * min(found)
