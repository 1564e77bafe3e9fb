"""The engine on a GPU: drawing and scoring in bfloat16, against transformers."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM

from benchmarks.performance.benchmark import Benchmark
from benchmarks.performance.decode import bare_loop, generate
from benchmarks.performance.outcome import Figure, Outcome
from benchmarks.performance.random_models import HALF_BILLION, LARGE, Shape, build, product_rate
from benchmarks.performance.session import Session, figure
from workers.engines.kernels import Kernel
from workers.engines.loading import load_engine
from workers.engines.policy import Policy
from workers.engines.scoring import score_pair
from workers.engines.transformers_engine import TransformersEngine

PROMPT, NEW = 64, 48
ROWS = 1024
"""Completions we draw, and of the largest batches of the comparators."""
FEW = 64
"""Completions of `generate`'s batch, as on a CPU."""
PART = 64
"""Sequences whose full logits the comparator holds: 1.4 GB in float32 for the smaller vocabulary."""


def run(session: Session) -> Outcome:
    """Shapes of 135 and 494 million parameters with random weights."""
    session.check("a GPU", torch.cuda.is_available(), _device_name())
    torch.set_num_threads(1)
    figures = [
        *_shape(session, "135M", LARGE, targets=(30.0, 4.0, 2.8, 2.0)),
        *_shape(session, "494M", HALF_BILLION, targets=(None, None, None, None)),
    ]
    notes = (
        f"On one {_device_name()}. Random weights in bfloat16, a prompt of {PROMPT} tokens, {NEW} new ones, "
        f"T = 1 without truncation, EOS never ends; {ROWS:,} completions of ours. Both sides draw from "
        "the same weights; ours sums the head's products in float32, transformers rounds logits to bfloat16.",
        "Plain: the same forward without recorded steps and compiled kernels. Error: root mean square of "
        "log-probabilities against transformers' forward of the same weights in float32.",
        f"Scoring: {ROWS:,} sequences of {PROMPT + NEW} tokens, the first {PROMPT} shared, against full "
        f"logits in float32 of {PART} sequences at a time.",
    )
    return Outcome(figures=tuple(figures), notes=notes)


BENCHMARK = Benchmark(
    title="Drawing and scoring on a GPU",
    against="transformers `generate`, a bare KV loop, and full logits, on the same GPU",
    run=run,
    needs_gpu=True,
)

Aim = float | None


def _shape(session: Session, name: str, shape: Shape, targets: tuple[Aim, Aim, Aim, Aim]) -> list[Figure]:
    folder = build(session.scratch / name, shape, seed=1, dtype=torch.bfloat16)
    engine = load_engine(folder, device="cuda")
    engine.eos_ids = frozenset()
    session.check(f"{name}: computes by the own forward", engine.is_lean, f"{engine.parameters:,} parameters")
    prompt = session.rng(name).integers(0, shape.vocabulary - 1, PROMPT).tolist()
    policy = Policy(max_new_tokens=NEW)
    uniforms = session.rng(name, "u").random((ROWS, NEW))
    drawn = engine.sample(prompt, uniforms, policy, ROWS)
    errors = _errors(engine, folder.as_posix(), prompt, np.stack(drawn.token_ids), np.stack(drawn.logprobs))
    session.check(f"{name}: log-probabilities", errors[0] < 0.1, f"error {errors[0]:.2e} nats a token")

    def ours() -> float:
        engine.prefixes.clear()
        engine.sample(prompt, uniforms, policy, ROWS)
        return float(ROWS * NEW)

    def plain() -> float:
        with _plain(engine):
            return ours()

    times = session.compare_all(
        f"{name} draws",
        ours,
        {
            "one": generate(engine, prompt, NEW, 1, 1),
            "few": generate(engine, prompt, NEW, FEW, 1),
            "many": generate(engine, prompt, NEW, ROWS, 1),
            "bare": bare_loop(engine, prompt, NEW, ROWS),
            "plain": plain,
        },
        blocks=3,
        patience=1.7,
    )
    rate = product_rate(8192, 8192, "cuda", torch.bfloat16)
    limit = rate / shape.flops
    holds = "passes over a float32 law of the whole vocabulary for each token, and products far from square"
    said = f"{limit:,.0f} tokens/s at {rate / 1e12:,.0f} Tflop/s, measured beside it"

    def made(label: str, key: str, aim: Aim = None) -> Figure:
        return figure(
            f"{name}: {label}",
            times[key].ratios,
            "blocks",
            at_least=aim,
            from_clocks=True,
            limit=said,
            holds_back=holds,
        )

    ours_rates = times["one"].ours
    return [
        made("over generate one by one", "one", targets[0]),
        made(f"over generate with {FEW} sequences", "few", targets[1]),
        made(f"over generate with {ROWS:,} sequences", "many"),
        made(f"over a bare KV loop with {ROWS:,} sequences", "bare"),
        made("over the same forward, plain", "plain"),
        figure(f"{name}: tokens a second", ours_rates, "blocks", unit="tokens/s", from_clocks=True),
        figure(
            f"{name}: share of the limit",
            [each / limit for each in ours_rates],
            "blocks",
            unit="share",
            from_clocks=True,
            limit=said,
            holds_back=holds,
        ),
        figure(f"{name}: error of drawn log-probabilities", [errors[0]], "runs", unit="nats"),
        figure(f"{name}: error of transformers' in bfloat16 over ours", [errors[1] / errors[0]], "runs"),
        *_scoring(session, name, engine, prompt, drawn.token_ids, drawn.logprobs, targets[2:]),
    ]


@contextmanager
def _plain(engine: TransformersEngine) -> Iterator[None]:
    engine.records_steps = Kernel.enabled = False
    try:
        yield
    finally:
        engine.records_steps = Kernel.enabled = True


@torch.inference_mode()
def _errors(
    engine: TransformersEngine, folder: str, prompt: list[int], ids: np.ndarray, drawn: np.ndarray
) -> tuple[float, float]:
    """Root mean square errors of drawn log-probabilities and of transformers' in bfloat16, nats a token."""
    wide: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    wide.to("cuda").eval()
    part = torch.from_numpy(ids[:PART]).long().cuda()
    full = torch.cat([torch.tensor([prompt], device="cuda").expand(len(part), -1), part], dim=1)
    laws = [model(full).logits[:, PROMPT - 1 : -1].double().log_softmax(-1) for model in (wide, engine.model)]
    want, theirs = (law.gather(-1, part.unsqueeze(-1)).squeeze(-1).cpu().numpy() for law in laws)
    ours, stock = (float(np.sqrt(np.square(each - want).mean())) for each in (drawn[:PART], theirs))
    return ours, stock


def _scoring(
    session: Session,
    name: str,
    engine: TransformersEngine,
    prompt: list[int],
    ids: list[np.ndarray],
    stored: list[np.ndarray],
    targets: tuple[Aim, Aim],
) -> list[Figure]:
    folder = build(session.scratch / f"{name}-2", _shape_of(name), 2, torch.bfloat16)
    other = load_engine(folder, device="cuda")
    other.eos_ids = frozenset()
    policy = Policy(max_new_tokens=NEW)
    rows = torch.from_numpy(np.stack(ids)).long()
    full = torch.cat([torch.tensor([prompt]).expand(len(rows), -1), rows], dim=1).cuda()
    parts = torch.split(full, PART)
    found = score_pair(engine, engine, prompt, ids, policy, stored)
    worst = float(found.max_token_diff.max())
    session.check(f"{name}: scores of what was drawn", worst < 0.5, f"largest difference {worst:.1e} nats")
    session.check(f"{name}: KL of a model with itself", not np.any(found.kl), "exactly 0")
    tokens = float(full.numel())

    @torch.inference_mode()
    def laws(model: torch.nn.Module, part: torch.Tensor) -> torch.Tensor:
        whole: torch.Tensor = model(input_ids=part).logits.float().log_softmax(-1)
        return whole[:, PROMPT - 1 : -1]

    @torch.inference_mode()
    def their_scores() -> float:
        found = [laws(engine.model, part).gather(-1, part[:, PROMPT:, None]) for part in parts]
        torch.cat(found).cpu()
        return tokens

    @torch.inference_mode()
    def their_kl() -> float:
        found = []
        for part in parts:
            mine, theirs = laws(engine.model, part), laws(other.model, part)
            found.append((mine.exp() * (mine - theirs)).sum(-1))
        torch.cat(found).cpu()
        return tokens

    def our_scores() -> float:
        engine.prefixes.clear()
        score_pair(engine, engine, prompt, ids, policy, stored)
        return tokens

    def our_kl() -> float:
        engine.prefixes.clear()
        other.prefixes.clear()
        score_pair(engine, other, prompt, ids, policy, stored)
        return tokens

    pairs = (("scores", our_scores, their_scores), ("KL", our_kl, their_kl))
    figures = [
        figure(
            f"{name}: {what} over full logits",
            session.compare(f"{name} {what}", ours, theirs, blocks=3, patience=1.7).ratios,
            "blocks",
            at_least=aim,
            from_clocks=True,
        )
        for (what, ours, theirs), aim in zip(pairs, targets, strict=True)
    ]
    return [
        *figures,
        figure(f"{name}: extra memory of KL", [_extra(our_kl)], "runs", unit="MiB"),
        figure(f"{name}: extra memory of full logits' KL", [_extra(their_kl)], "runs", unit="MiB"),
    ]


def _shape_of(name: str) -> Shape:
    return LARGE if name == "135M" else HALF_BILLION


def _extra(work: Callable[[], float]) -> float:
    """MiB that the GPU holds during a call, at most, beyond what it held before."""
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    work()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


def _device_name() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
