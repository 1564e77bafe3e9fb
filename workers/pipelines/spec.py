"""The analysis as the pipelines see it: plain values, read once from the stored request."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from workers.engines.policy import Policy
from workers.estimators.verifier_noise import Noise, NoiseBounds
from workers.pipelines.streams import CHECKPOINT, Stream, arm_of, demonstrations_of, side_of, untruncated_of
from workers.verifiers.judgement import AnswerKey

Kind = Literal["support", "free_energy", "capability", "trajectory"]
REFERENCE, CANDIDATE = "reference", "candidate"
TEACHER = "teacher"
"""The participant that scores demonstrations and both sides' pilots, and draws nothing."""


@dataclass(frozen=True, slots=True)
class Demonstrated:
    """A demonstration: its text, and its log-probability under the law it was drawn from, nats, if known."""

    text: str
    logprob: float | None


@dataclass(frozen=True, slots=True)
class PromptSpec:
    """One prompt: its rendering source, what is right and its place in the data set."""

    index: int
    id: str
    text: str | None
    messages: tuple[dict[str, str], ...] | None
    key: AnswerKey
    family: str | None
    split: str | None
    demonstrations: tuple[Demonstrated, ...] = ()

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What an arm's template may fill in."""
        return self.key.metadata


@dataclass(frozen=True, slots=True)
class Budget:
    """Samples per prompt and side, and the two budgets that define reach."""

    k_use: int
    k_probe: int
    samples_per_prompt: int
    max_samples_per_prompt: int
    max_total_tokens: int | None
    adaptive: bool
    untruncated_samples_per_prompt: int = 64


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The request's `decision`."""

    alpha: float
    reach: float
    elicitation_max_share: float
    creation_min_share: float
    mixed_min_share: float
    mixed_max_share: float
    undetermined_max_share: float
    unusable_max_share: float
    collapse_max_entropy_share: float
    drift_dominated_min_share: float
    drift_dominated_min_nats: float
    format_repair_max_share: float


@dataclass(frozen=True, slots=True)
class AnalysisSpec:
    """An analysis request with every default filled in.

    Attributes:
        streams: Everything that draws, by name: the sides in order, then the arms, cheapest first.
        signal: The signal's settings, as a verifier is built from them.
        inverse_temperatures: The beta grid, in 1/reward.
        second_signal: Re-judges rare successes; None without one.
        audit_request: The request's audit of the verifier; None without one.
        noise: The audit, counted; None before, and without one.
        steps: Of a trajectory: the training step of each checkpoint, None where the request says none.
        score_neighbours: Of a trajectory: whether each checkpoint scores the pilots of those beside it.
        share_proposals: Whether what elicitation arms drew, once scored, speaks for the reference's own
            policy; of a trajectory, also whether each checkpoint's pilot does when another one is judged.
        comparisons: Checkpoints that share one error level for losses; 1 but for those of a trajectory.
        fixed: For each imported side, how many samples there are of each prompt; nothing is added to them.
        is_taught: Whether a teacher takes part: the law of the demonstrations is a model's.
    """

    kind: Kind
    streams: Mapping[str, Stream]
    prompts: tuple[PromptSpec, ...]
    signal: dict[str, Any]
    policy: Policy
    budget: Budget
    thresholds: Thresholds
    inverse_temperatures: tuple[float, ...]
    seed: int
    second_signal: dict[str, Any] | None = None
    audit_request: dict[str, Any] | None = None
    noise: Noise | None = None
    steps: tuple[int | None, ...] = ()
    score_neighbours: bool = False
    share_proposals: bool = False
    comparisons: int = 1
    fixed: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    is_taught: bool = False

    @property
    def success_threshold(self) -> float | None:
        """Of a dense reward: r(x, y) at or above it is a success. None for a verifier, r in {0, 1}."""
        threshold: float | None = self.signal.get("success_threshold")
        return threshold

    @classmethod
    def from_request(
        cls,
        request: dict[str, Any],
        prompts: tuple[PromptSpec, ...] | None = None,
        fixed: Mapping[str, tuple[int, ...]] | None = None,
    ) -> "AnalysisSpec":
        """Read a request that the gateway validated and completed.

        Args:
            request: The request.
            prompts: Its prompts, where it only names them.
            fixed: Samples that imported sides have; then sampling follows the fixed plan.
        """
        policy = Policy(**{**request["policy"], "stop": tuple(request["policy"]["stop"])})
        return cls(
            kind=request["kind"],
            streams={stream.name: stream for stream in _streams(request, policy, scored=not fixed)},
            prompts=prompt_specs(request["prompts"]["inline"]) if prompts is None else prompts,
            signal=request["signal"],
            policy=policy,
            budget=Budget(**{**request["budget"], **({"adaptive": False} if fixed else {})}),
            thresholds=Thresholds(**request["decision"]),
            inverse_temperatures=tuple(request["inverse_temperatures"]),
            seed=request["seed"],
            second_signal=request["second_signal"],
            audit_request=request["audit"],
            steps=tuple(one["step"] for one in request.get("candidates") or ()),
            score_neighbours=request.get("score_neighbours", False),
            share_proposals=request.get("share_proposals", False),
            fixed=fixed or {},
            is_taught=request.get("teacher") is not None,
        )

    @property
    def class_noise(self) -> NoiseBounds | None:
        """Bounds of the verifier's error rates at the level of the classes; None without an audit."""
        return None if self.noise is None else self.noise.for_classes

    @property
    def checkpoints(self) -> tuple[str, ...]:
        """Streams of a trajectory's checkpoints, in training order."""
        return tuple(name for name in self.streams if name.startswith(CHECKPOINT))

    @property
    def sides(self) -> tuple[str, ...]:
        """Streams of the models that are compared; every prompt needs their pilots."""
        return tuple(name for name, stream in self.streams.items() if stream.is_side)

    @property
    def elicitation(self) -> tuple[Stream, ...]:
        """Elicitation arms, cheapest first."""
        return tuple(stream for stream in self.streams.values() if stream.role == "elicitation")

    @property
    def assisted(self) -> tuple[Stream, ...]:
        """Assisted arms, cheapest first."""
        return tuple(stream for stream in self.streams.values() if stream.role == "assisted")

    @property
    def proposing(self) -> tuple[Stream, ...]:
        """Elicitation arms whose samples speak for the reference's own policy too, if the request says so.

        An arm with another length limit or other stop strings is none: what ends its samples need not end
        those of the analysis, so that p(y) is another event's. Assisted arms are none by choice: what they
        draw belongs to a question of its own, whether help brings the reference there.
        """
        own = (self.policy.max_new_tokens, set(self.policy.stop))
        arms = self.elicitation if self.share_proposals else ()
        return tuple(arm for arm in arms if (arm.policy.max_new_tokens, set(arm.policy.stop)) == own)

    @property
    def piloted(self) -> tuple[str, ...]:
        """Streams that draw a pilot of every prompt.

        An arm costs draws only where creation is claimed, unless its own reach is asked for (`support`), or
        the plan is fixed and every draw is made at once.
        """
        arms_too = self.kind == "support" or not self.budget.adaptive
        return tuple(s for s, stream in self.streams.items() if arms_too or not stream.is_arm)

    @property
    def reaching(self) -> tuple[str, ...]:
        """Streams from which reach is judged: the sides and the arms."""
        return tuple(name for name, stream in self.streams.items() if stream.is_side or stream.is_arm)

    def pilot(self, stream: str, prompt: int) -> int:
        """Samples of a prompt that are drawn before any is looked at: all there are of an imported side."""
        if stream in self.fixed:
            return self.fixed[stream][prompt]
        if self.streams[stream].role == "untruncated":
            return self.budget.untruncated_samples_per_prompt
        if self.streams[stream].role == "demonstrations":
            return len(self.prompts[prompt].demonstrations)
        return self.budget.samples_per_prompt

    def pilots(self, stream: str) -> tuple[int, ...]:
        """The same for every prompt."""
        return tuple(self.pilot(stream, prompt.index) for prompt in self.prompts)


def _streams(request: dict[str, Any], policy: Policy, *, scored: bool) -> list[Stream]:
    """Everything that draws, and the demonstrations; untruncated draws only where both can score them."""
    sides = [side_of(REFERENCE, "reference", policy)]
    if request["candidate"] is not None:
        sides.append(side_of(CANDIDATE, "candidate", policy))
    names = [f"{CHECKPOINT}{index}" for index in range(len(request.get("candidates") or ()))]
    sides.extend(side_of(name, "candidate", policy) for name in names)
    arms = [arm_of(arm, REFERENCE) for arm in request["arms"]]
    raw = []
    wanted = Budget(**request["budget"]).untruncated_samples_per_prompt
    kl_is_asked = request["candidate"] is not None and request["kind"] != "support" and scored
    if kl_is_asked and policy.is_truncating and wanted:
        raw.append(untruncated_of(CANDIDATE, policy))
    if request["signal"]["kind"] == "demonstrations":
        raw.append(demonstrations_of(REFERENCE, policy))
    return [*sides, *sorted(arms, key=lambda arm: arm.cost), *raw]


def prompt_specs(prompts: Iterable[dict[str, Any]]) -> tuple[PromptSpec, ...]:
    """Prompts with every default filled in, in order."""
    return tuple(_prompt(index, prompt) for index, prompt in enumerate(prompts))


def renumbered(prompts: Iterable[PromptSpec]) -> tuple[PromptSpec, ...]:
    """The same prompts with indices of their own."""
    return tuple(replace(prompt, index=index) for index, prompt in enumerate(prompts))


def _prompt(index: int, prompt: dict[str, Any]) -> PromptSpec:
    messages = prompt["messages"]
    return PromptSpec(
        index=index,
        id=prompt["id"],
        text=prompt["prompt"],
        messages=None if messages is None else tuple(messages),
        key=answer_key(prompt),
        family=prompt["family"],
        split=prompt["split"],
        demonstrations=tuple(
            Demonstrated(one["text"], one["logprob"]) for one in prompt.get("demonstrations") or ()
        ),
    )


def answer_key(prompt: dict[str, Any]) -> AnswerKey:
    """What a prompt of a request says about right and wrong."""
    answers = prompt["answers"] if prompt["answer"] is None else [prompt["answer"]]
    turns = [f"{turn['role']}: {turn['content']}" for turn in prompt["messages"] or ()]
    return AnswerKey(
        answers=tuple(answers or ()),
        choices=tuple(prompt["choices"] or ()),
        tests=prompt["tests"],
        prompt="\n".join(turns) if prompt["prompt"] is None else prompt["prompt"],
        prompt_id=prompt["id"],
        metadata=prompt["metadata"] or {},
        demonstrations=tuple(one["text"] for one in prompt.get("demonstrations") or ()),
    )
