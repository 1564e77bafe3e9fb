"""B7: scoring completions and full-vocabulary KL, against transformers' full logits."""

import time

import numpy as np
import torch

from benchmarks.performance.benchmark import Benchmark
from benchmarks.performance.machine import peak_memory
from benchmarks.performance.outcome import Outcome
from benchmarks.performance.random_models import LARGE, build
from benchmarks.performance.session import Session, figure
from workers.engines.loading import load_engine
from workers.engines.policy import Policy
from workers.engines.scoring import score_pair

PROMPT, NEW = 64, 48
BATCH = 8
"""Sequences of a full-logits batch: 176 MB of logits, as lm-evaluation-harness keeps them."""


def run(session: Session) -> Outcome:
    """135M shape, 112 tokens of which 64 are a shared prompt, one thread."""
    torch.set_num_threads(1)
    one = load_engine(build(session.scratch / "one", LARGE, seed=1))
    two = load_engine(build(session.scratch / "two", LARGE, seed=2))
    rows = session.size(24, 8)
    rng = session.rng("completions")
    prompt = rng.integers(0, LARGE.vocabulary - 1, PROMPT).tolist()
    ids = [rng.integers(0, LARGE.vocabulary - 1, NEW).astype(np.int32) for _ in range(rows)]
    nothing = [np.zeros(NEW, dtype=np.float32)] * rows
    full = torch.tensor([prompt + row.tolist() for row in ids])
    parts = [full[lo : lo + BATCH] for lo in range(0, rows, BATCH)]
    policy, tokens = Policy(max_new_tokens=NEW), float(rows * (PROMPT + NEW))

    @torch.inference_mode()
    def laws(model: torch.nn.Module, part: torch.Tensor) -> torch.Tensor:
        whole: torch.Tensor = model(input_ids=part).logits.log_softmax(-1)
        return whole[:, PROMPT - 1 : -1]

    @torch.inference_mode()
    def stock_scores() -> torch.Tensor:
        found = [laws(one.model, part).gather(-1, part[:, PROMPT:, None]).squeeze(-1) for part in parts]
        return torch.cat(found)

    @torch.inference_mode()
    def stock_kl() -> torch.Tensor:
        found = []
        for part in parts:
            mine, theirs = laws(two.model, part), laws(one.model, part)
            found.append((mine.exp() * (mine - theirs)).sum(-1))
        return torch.cat(found)

    found = score_pair(one, one, prompt, ids, policy, nothing)
    worst = float(np.abs(np.stack(found.token_logprobs) - stock_scores().numpy()).max())
    session.check("log-probabilities", worst < 1e-4, f"largest difference {worst:.1e} nats a token")
    session.check("KL of a model with itself", not np.any(found.kl), "exactly 0")
    pair = score_pair(two, one, prompt, ids, policy, nothing)
    worst = float(np.abs(np.stack(pair.token_kl) - stock_kl().numpy()).max())
    session.check("KL", worst < 1e-4, f"largest difference {worst:.1e} nats a token")

    def ours() -> float:
        one.prefixes.clear()  # the prompt is read anew, as the comparator does
        score_pair(one, one, prompt, ids, policy, nothing)
        return tokens

    def ours_pair() -> float:
        one.prefixes.clear()
        two.prefixes.clear()
        score_pair(two, one, prompt, ids, policy, nothing)
        return tokens

    def theirs() -> float:
        stock_scores()
        return tokens

    def theirs_pair() -> float:
        stock_kl()
        return tokens

    scores = session.compare("scores", ours, theirs, blocks=3, patience=1.7, clock=time.process_time)
    divergence = session.compare(
        "KL", ours_pair, theirs_pair, blocks=3, patience=1.7, clock=time.process_time
    )
    memory = {
        name: peak_memory(work) / 2**20 for name, work in (("a", ours), ("b", ours_pair), ("c", theirs))
    }
    shared = (rows * NEW + PROMPT) / (rows * (PROMPT + NEW))
    limit = f"{1 / shared:.2f} from reading the prompt once, plus the comparator's passes over its logits"
    held = "float32 products, which both sides do at one rate; bfloat16 hardware would add to both"
    return Outcome(
        figures=(
            figure(
                "scores over full logits",
                scores.ratios,
                "blocks",
                at_least=2.8,
                limit=limit,
                holds_back=held,
                from_clocks=True,
            ),
            figure(
                "KL over full logits",
                divergence.ratios,
                "blocks",
                at_least=2.0,
                limit=limit,
                holds_back=held,
                from_clocks=True,
            ),
            figure("extra memory of scores", [memory["a"]], "runs", unit="MiB", at_most=64.0),
            figure("extra memory of KL", [memory["b"]], "runs", unit="MiB"),
            figure("extra memory of full logits", [memory["c"]], "runs", unit="MiB"),
        ),
        notes=(
            f"{rows} sequences of {PROMPT + NEW} tokens, the first {PROMPT} shared, float32, one "
            "thread, seconds of CPU time. KL holds logits of two models at once.",
        ),
    )


BENCHMARK = Benchmark(
    title="B7 scoring",
    against="transformers' logits of whole sequences, log_softmax, gather",
    run=run,
)
