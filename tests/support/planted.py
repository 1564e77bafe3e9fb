"""Analyses of planted laws: two-token completions with known chances, run through the real pipelines.

A completion is a pair of digits, the text "ij". Samples of a prompt depend on its id, the stream and their
index alone, so neither the order of prompts nor the number of rounds can change them.
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from workers.pipelines.audit import audited
from workers.pipelines.checkpoints import plan_following
from workers.pipelines.committed import Committed, read_committed
from workers.pipelines.finalise import Findings
from workers.pipelines.judge import Judge
from workers.pipelines.participants import Participant
from workers.pipelines.plan import plan_pilot
from workers.pipelines.spec import TEACHER, AnalysisSpec
from workers.pipelines.streams import DEMONSTRATIONS
from workers.pipelines.tables import SAMPLES, SCORES, from_parquet, of_items, to_parquet
from workers.pipelines.trajectory import finalise_analysis
from workers.pipelines.verify import verify_samples

EOS = 10


@dataclass(frozen=True)
class Law:
    """Chance of the first token, and of the second given the first. Shapes `(v,)` and `(v, v)`, v <= 10."""

    first: np.ndarray
    second: np.ndarray

    @property
    def joint(self) -> np.ndarray:
        return self.first[:, None] * self.second


def random_law(rng: np.random.Generator, v: int = 4, *, zeros: float = 0.0) -> Law:
    def rows(*shape: int) -> np.ndarray:
        weights = rng.dirichlet(np.ones(v), shape)
        weights[rng.random(weights.shape) < zeros] = 0.0
        weights[weights.sum(axis=-1) == 0] = 1 / v
        return weights / weights.sum(axis=-1, keepdims=True)

    return Law(rows(), rows(v))


def bernoulli_law(success: float, answer: str = "00", v: int = 10) -> Law:
    """One completion with chance `success`, the others alike."""
    joint = np.full((v, v), (1 - success) / (v * v - 1))
    joint[int(answer[0]), int(answer[1])] = success
    return law_of(joint)


def law_with(chances: dict[str, float], v: int = 10) -> Law:
    """The given completions with their chances, the others alike."""
    joint = np.full((v, v), (1 - sum(chances.values())) / (v * v - len(chances)))
    for text, chance in chances.items():
        joint[int(text[0]), int(text[1])] = chance
    return law_of(joint)


def law_of(joint: np.ndarray) -> Law:
    """The law with these chances of pairs. Shape `(v, v)`."""
    v = joint.shape[0]
    first = joint.sum(axis=1)
    second = np.full((v, v), 1 / v)
    second[first > 0] = joint[first > 0] / first[first > 0, None]
    return Law(first, second)


@dataclass(frozen=True)
class PlantedPrompt:
    """A prompt with both laws and its accepted texts."""

    id: str
    p: Law
    q: Law | None
    answers: tuple[str, ...] = ("00",)
    family: str | None = None
    split: str | None = None
    checkpoints: tuple[Law, ...] = ()
    arms: dict[str, Law] = field(default_factory=dict)
    """Laws of the reference under arms, by stream; the plain law where an arm has none."""
    teacher: Law | None = None
    """Law of the demonstrations."""
    demonstrations: tuple[str, ...] = ()

    def chance(self, law: Law) -> float:
        return math.fsum(law.joint[int(text[0]), int(text[1])] for text in self.answers)

    @property
    def a(self) -> float:
        return self.chance(self.p)

    @property
    def b(self) -> float:
        assert self.q is not None
        return self.chance(self.q)

    @property
    def kl(self) -> float:
        assert self.q is not None
        return kl_between(self.q, self.p)


def kl_between(one: Law, other: Law) -> float:
    """KL(one‖other) of pairs, nats."""
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = one.joint * (np.log(one.joint) - np.log(other.joint))
    return float(np.where(one.joint > 0, terms, 0.0).sum())


def planted(prompt_id: str, a: float, b: float | None, **changes: Any) -> PlantedPrompt:
    """A prompt with chances of success a and b; its answer follows from its id."""
    answer = f"{int(hashlib.sha256(prompt_id.encode()).hexdigest(), 16) % 100:02d}"
    q = None if b is None else bernoulli_law(b, answer)
    return PlantedPrompt(prompt_id, bernoulli_law(a, answer), q, **{"answers": (answer,), **changes})


def planted_checkpoints(prompt_id: str, a: float, bs: Sequence[float]) -> PlantedPrompt:
    """A prompt whose checkpoints have these chances of success."""
    prompt = planted(prompt_id, a, None)
    return replace(prompt, checkpoints=tuple(bernoulli_law(b, prompt.answers[0]) for b in bs))


def participant(stream: str, *, model: str | None = None, tokenizer: str = "tok") -> Participant:
    name = stream if model is None else model
    return Participant(stream, name, f"/models/{name}", f"w-{name}", None, tokenizer, 64, 1000)


def request_of(prompts: Sequence[PlantedPrompt], **changes: Any) -> dict[str, Any]:
    from local_run import request

    inline = [
        {"id": p.id, "prompt": p.id, "answers": list(p.answers), "family": p.family, "split": p.split}
        | ({"demonstrations": [{"text": text} for text in p.demonstrations]} if p.demonstrations else {})
        for p in prompts
    ]
    if any(p.demonstrations for p in prompts):
        changes = {"kind": "free_energy", "signal": {"kind": "demonstrations"}, **changes}
    if any(p.teacher is not None for p in prompts):
        changes = {"teacher": {"model": "teacher"}, **changes}
    candidate = any(p.q is not None for p in prompts)
    count = max(len(p.checkpoints) for p in prompts)
    if count:
        models = [{"model": f"step-{i}", "step": 10 * i} for i in range(count)]
        changes = {"kind": "trajectory", "candidates": models, **changes}
    return request(inline, candidate=candidate, **changes)


Relabel = Callable[[str, str, int, str], str]
"""From prompt id, stream, sample index and outcome to the outcome that is committed."""


@dataclass
class PlantedRun:
    """Rounds until the end; `fails` names shards that are given up."""

    prompts: Sequence[PlantedPrompt]
    spec: AnalysisSpec
    tokenizers: tuple[str, str] = ("tok", "tok")
    models: tuple[str | None, str | None] = (None, None)
    teachers_tokenizer: str = "tok"
    shard_tokens: int = 4096
    relabel: Relabel | None = None
    fails: Callable[[int, Any], bool] = lambda number, shard: False
    stop_after: int | None = None
    inputs: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    rounds: int = 0
    tokens: int = 0

    def __post_init__(self) -> None:
        self.participants = {
            stream: participant(stream, model=model, tokenizer=tokenizer)
            for stream, tokenizer, model in zip(
                ("reference", "candidate"), self.tokenizers, self.models, strict=True
            )
            if stream in self.spec.sides
        } | {stream: participant(stream) for stream in self.spec.checkpoints}
        if self.spec.is_taught:
            self.participants[TEACHER] = participant(TEACHER, tokenizer=self.teachers_tokenizer)
        self._draws: dict[tuple[int, str], np.ndarray] = {}

    def run(self, *, partial: bool = False) -> Findings:
        lengths = {stream: [1] * len(self.prompts) for stream in self.spec.streams}
        plan = plan_pilot(self.spec, self.participants, lengths, shard_tokens=self.shard_tokens)
        while plan.shards and plan.shards[0].work != "finalise" and self.rounds != self.stop_after:
            self.run_round(plan.shards)
            plan = self.plan()
        return self.finalise(partial=partial)

    def plan(self) -> Any:
        return plan_following(
            audited(self.spec, Judge()),
            self.participants,
            self.committed(with_samples=False),
            self.inputs,
            self.failures,
            sampled_tokens=self.tokens,
            shard_tokens=self.shard_tokens,
        )

    def finalise(self, *, partial: bool = False) -> Findings:
        return finalise_analysis(
            self.spec,
            self.participants,
            self.committed(with_samples=True),
            analysis_id="anl_planted",
            usage={},
            partial=partial,
        )

    def committed(self, *, with_samples: bool) -> Committed:
        return read_committed(
            self.spec,
            self.inputs,
            self.failures,
            lambda shard: self.files[shard["key"]],
            with_samples=with_samples,
        )

    def run_round(self, shards: Any) -> None:
        self.rounds += 1
        drawn: dict[int, pa.Table] = {}
        for shard in shards:
            if (source := shard.depends_on_id) is not None:
                drawn[shard.idx] = from_parquet(self.files[source], SAMPLES)
            elif shard.depends_on_idx in drawn:
                drawn[shard.idx] = drawn[shard.depends_on_idx]
            if self.fails(self.rounds, shard) or (shard.work != "sample" and shard.idx not in drawn):
                self.failures.append({**shard.to_message(), "code": "x", "detail": "x"})
                continue
            if shard.work == "sample":
                table = self.sample(shard.stream, shard.items)
                drawn[shard.idx] = table
                self.tokens += sum(map(len, table["token_ids"].to_pylist()))
            elif shard.work == "verify":
                table = self.verify(drawn[shard.idx])
            else:
                table = self.score(of_items(drawn[shard.idx], shard.items), shard.scorer)
            key = f"{self.rounds}-{shard.idx}"
            self.files[key] = to_parquet(table)
            self.inputs.append({**shard.to_message(), "round": self.rounds, "key": key, "shard_id": key})

    def law(self, prompt: int, stream: str) -> Law:
        planted = self.prompts[prompt]
        if stream == TEACHER:
            assert planted.teacher is not None
            return planted.teacher
        if stream in self.spec.checkpoints:
            return planted.checkpoints[self.spec.checkpoints.index(stream)]
        is_reference = self.spec.streams[stream].participant == "reference"
        found = planted.arms.get(stream, planted.p) if is_reference else planted.q
        assert found is not None
        return found

    def draws(self, prompt: int, stream: str) -> np.ndarray:
        """Token pairs of all samples the budget allows. Shape `(n, 2)`."""
        key = (prompt, stream)
        if stream == DEMONSTRATIONS:
            shown = self.prompts[prompt].demonstrations
            return np.array([[int(digit) for digit in text] for text in shown])
        if key not in self._draws:
            name = f"{self.spec.seed}/{self.spec.streams[stream].draws_as}/{self.prompts[prompt].id}"
            rng = np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]))
            joint = self.law(prompt, stream).joint
            n = max(self.spec.budget.max_samples_per_prompt, max(self.spec.pilots(stream)))
            flat = rng.choice(joint.size, size=n, p=joint.ravel())
            self._draws[key] = np.stack(np.unravel_index(flat, joint.shape), axis=1)
        return self._draws[key]

    def sample(self, stream: str, items: Sequence[tuple[int, int, int]]) -> pa.Table:
        columns: dict[str, list[Any]] = {name: [] for name in SAMPLES.names}
        for prompt, low, high in items:
            law, pairs = self.law(prompt, stream), self.draws(prompt, stream)[low:high]
            columns["prompt_index"] += [prompt] * len(pairs)
            columns["prompt_id"] += [self.prompts[prompt].id] * len(pairs)
            columns["stream"] += [stream] * len(pairs)
            columns["stream_key"] += [f"{stream}{prompt}"] * len(pairs)
            columns["index"] += range(low, high)
            columns["token_ids"] += [[int(i), int(j), EOS] for i, j in pairs]
            columns["logprobs"] += [
                [math.log(law.first[i]), math.log(law.second[i, j]), 0.0] for i, j in pairs
            ]
            columns["finish_reason"] += ["eos"] * len(pairs)
            columns["text"] += [f"{i}{j}" for i, j in pairs]
        return pa.table(columns, schema=SAMPLES)

    def verify(self, samples: pa.Table) -> pa.Table:
        table = verify_samples(self.spec, samples, lambda _: None)
        if self.relabel is None:
            return table
        rows = zip(
            *(table[n].to_pylist() for n in ("prompt_index", "stream", "index", "outcome")), strict=True
        )
        outcomes = [self.relabel(self.prompts[p].id, s, i, outcome) for p, s, i, outcome in rows]
        position = table.schema.get_field_index("outcome")
        return table.set_column(position, table.schema.field("outcome"), pa.array(outcomes, pa.string()))

    def score(self, samples: pa.Table, scorer: str) -> pa.Table:
        columns: dict[str, list[Any]] = {name: [] for name in SCORES.names}
        names = ("prompt_index", "stream", "index", "token_ids")
        for prompt, stream, index, (i, j, _) in zip(*(samples[n].to_pylist() for n in names), strict=True):
            own, other = self.law(prompt, stream), self.law(prompt, scorer)
            kls = [kl_of(own.first, other.first), kl_of(own.second[i], other.second[i]), 0.0]
            tokens = [log(other.first[i]), log(other.second[i, j]), 0.0]
            columns["prompt_index"].append(prompt)
            columns["stream"].append(stream)
            columns["scorer"].append(scorer)
            columns["index"].append(index)
            columns["logprob"].append(sum(tokens))
            columns["own_logprob"].append(log(own.first[i]) + log(own.second[i, j]))
            columns["token_logprobs"].append(tokens)
            columns["token_kl"].append(kls)
            columns["kl"].append(sum(kls))
            columns["entropy"].append(entropy_of(own.first) + entropy_of(own.second[i]))
            columns["zero_cause"].append("vocabulary" if math.isinf(sum(tokens)) else "")
            columns["max_token_diff"].append(0.0)
        return pa.table(columns, schema=SCORES)


def planted_run(
    prompts: Sequence[PlantedPrompt], *, run: dict[str, Any] | None = None, **changes: Any
) -> PlantedRun:
    return PlantedRun(prompts, AnalysisSpec.from_request(request_of(prompts, **changes)), **(run or {}))


def log(x: float) -> float:
    return math.log(x) if x > 0 else -math.inf


def kl_of(own: np.ndarray, other: np.ndarray) -> float:
    kept = own > 0
    if (other[kept] == 0).any():
        return math.inf
    return max(float((own[kept] * np.log(own[kept] / other[kept])).sum()), 0.0)


def entropy_of(own: np.ndarray) -> float:
    kept = own[own > 0]
    return float(-(kept * np.log(kept)).sum())
