"""What the service takes, as dictionaries for a type checker.

Generated from docs/openapi.json by `make openapi`: change the contract, not this file.
"""

from typing import Any, Literal, Required, TypedDict


class AnalysisPatch(TypedDict, total=False):
    """What may change of an analysis; a field that is absent stays, `labels` are replaced as a whole."""

    name: str | None
    labels: dict[str, str]


class Budget(TypedDict, total=False):
    """What may be spent, and the two budgets that define reach."""

    k_use: int
    k_probe: int
    samples_per_prompt: int
    max_samples_per_prompt: int
    max_total_tokens: int | None
    adaptive: bool


class Decision(TypedDict, total=False):
    """The thresholds of the verdict."""

    alpha: float
    reach: float
    elicitation_max_share: float
    creation_min_share: float
    mixed_min_share: float
    mixed_max_share: float
    undetermined_max_share: float
    unusable_max_share: float


class ModelParticipant(TypedDict, total=False):
    """A model of the registry as one side of an analysis."""

    source: Literal["model"]
    model: Required[str]


class Policy(TypedDict, total=False):
    """The decoding policy: temperature, then top-k, then top-p or min-p, renormalised at each token."""

    temperature: float
    top_k: int
    top_p: float
    min_p: float
    max_new_tokens: int
    stop: list[str]


class Extract(TypedDict, total=False):
    """How to find the answer inside a completion; a text without a match is `unparsed`."""

    pattern: Required[str]
    """RE2; group 1 if there is one, else the whole match."""
    which: Literal["first", "last"]


class Message(TypedDict, total=False):
    """One turn of a chat prompt."""

    role: Required[Literal["system", "user", "assistant"]]
    content: Required[str]


class ExactSignal(TypedDict, total=False):
    """Accept a text that equals an answer, white space at both ends ignored."""

    kind: Required[Literal["exact"]]
    extract: Extract | None


class NumericSignal(TypedDict, total=False):
    """Accept a text that reads as a number close to an answer."""

    kind: Required[Literal["numeric"]]
    extract: Extract | None
    absolute_tolerance: float
    relative_tolerance: float


class RegexSignal(TypedDict, total=False):
    """Accept a text that an RE2 pattern matches; without `pattern`, each prompt's answer is the pattern."""

    kind: Required[Literal["regex"]]
    extract: Extract | None
    pattern: str | None
    match: Literal["search", "full"]


class Prompt(TypedDict, total=False):
    """One prompt, as raw text or as chat messages, with its accepted answers."""

    id: Required[str]
    prompt: str | None
    """Encoded by the tokenizer's own defaults, without a chat template."""
    messages: list[Message] | None
    """Encoded by the tokenizer's chat template with a generation prompt."""
    answer: str | None
    answers: list[str] | None
    family: str | None
    """Prompts of one family are resampled together."""
    split: str | None
    metadata: dict[str, Any] | None


class InlinePrompts(TypedDict, total=False):
    """Prompts carried in the request itself."""

    inline: Required[list[Prompt]]


class AnalysisRequest(TypedDict, total=False):
    """An analysis to run."""

    kind: Required[Literal["support", "free_energy", "capability"]]
    name: str | None
    labels: dict[str, str]
    reference: Required[ModelParticipant]
    candidate: ModelParticipant | None
    prompts: Required[InlinePrompts]
    signal: Required[ExactSignal | NumericSignal | RegexSignal]
    policy: Policy
    budget: Budget
    arms: list[dict[str, Any]]
    """No arm is offered yet: only [] is accepted."""
    inverse_temperatures: list[float]
    decision: Decision
    deadline_seconds: int | None
    seed: int
