"""The exact value of every quantity of an analysis, by enumerating the completions of tiny models."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from workers.engines.enumeration import enumerate_completions
from workers.engines.policy import Policy
from workers.engines.transformers_engine import TransformersEngine
from workers.pipelines.sample import render
from workers.pipelines.spec import AnalysisSpec, PromptSpec, prompt_specs
from workers.verifiers.registry import build_verifier


@dataclass(frozen=True)
class ExactPrompt:
    """Exact figures of one prompt; nats. `kl` is infinite where q leaves the support of p."""

    a: float
    b: float
    kl: float
    escape_if_out: float
    singular_mass: float

    @property
    def gain(self) -> float:
        return self.b - self.a

    def tilt(self, out: bool) -> float:
        return 0.0 if out else bernoulli_kl(self.b, self.a)

    def escape(self, out: bool) -> float:
        return self.escape_if_out if out else 0.0

    def drift(self, out: bool) -> float:
        return self.kl - self.tilt(out) - self.escape(out)

    def log_partition(self, beta: float) -> float:
        return math.log(1 - self.a + self.a * math.exp(beta))

    def free_energy(self, beta: float) -> float:
        return -self.b + self.kl / beta

    def gap(self, beta: float) -> float:
        return self.free_energy(beta) + self.log_partition(beta) / beta


def bernoulli_kl(b: float, a: float) -> float:
    def term(x: float, y: float) -> float:
        return 0.0 if x == 0 else math.inf if y == 0 else x * math.log(x / y)

    return term(b, a) + term(1 - b, 1 - a)


def exact_prompts(
    spec: AnalysisSpec, reference: TransformersEngine, candidate: TransformersEngine
) -> list[ExactPrompt]:
    return [_exact(spec, prompt, reference, candidate) for prompt in spec.prompts]


def likely_answers(
    engines: Sequence[TransformersEngine], prompt: str, policy: Policy, rng: np.random.Generator
) -> str:
    """A text that one of the models says now and then: success rates of all sizes, neither 0 nor 1."""
    prompt_spec = plain_prompt(prompt)
    engine = engines[int(rng.integers(len(engines)))]
    completions = enumerate_completions(engine, render(engine, prompt_spec), policy)
    texts = [engine.text(c.token_ids).strip() for c in completions]
    weights = np.sqrt(np.exp([c.log_prob for c in completions]))
    return texts[int(rng.choice(len(texts), p=weights / weights.sum()))]


def plain_prompt(text: str) -> PromptSpec:
    """A prompt without an answer, as requests spell it."""
    inline = {"id": "x", "prompt": text, "messages": None, "answer": None, "answers": None, "choices": None}
    return prompt_specs([{**inline, "tests": None, "metadata": None, "family": None, "split": None}])[0]


def _law(spec: AnalysisSpec, prompt: PromptSpec, engine: TransformersEngine) -> dict[Any, tuple[float, bool]]:
    verifier = build_verifier(spec.signal)
    return {
        tuple(c.token_ids): (
            c.log_prob,
            verifier.judge(engine.text(c.token_ids), prompt.key, c.finish_reason).outcome == "correct",
        )
        for c in enumerate_completions(engine, render(engine, prompt), spec.policy)
    }


def _exact(
    spec: AnalysisSpec, prompt: PromptSpec, reference: TransformersEngine, candidate: TransformersEngine
) -> ExactPrompt:
    p, q = _law(spec, prompt, reference), _law(spec, prompt, candidate)
    a = math.fsum(math.exp(lp) for lp, right in p.values() if right)
    b = math.fsum(math.exp(lq) for lq, right in q.values() if right)
    singular = math.fsum(math.exp(lq) for y, (lq, _) in q.items() if y not in p)
    if singular > 0:
        return ExactPrompt(a, b, math.inf, math.inf, singular)
    kl = math.fsum(math.exp(lq) * (lq - p[y][0]) for y, (lq, _) in q.items())
    inside = math.fsum(math.exp(lq) * (lq - p[y][0]) for y, (lq, right) in q.items() if right)
    rest = 0.0 if b >= 1 else (1 - b) * math.log((1 - b) / (1 - a))
    return ExactPrompt(a, b, kl, inside + rest, 0.0)
