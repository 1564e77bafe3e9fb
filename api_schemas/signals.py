"""Evaluation signals: how a completion's text is judged."""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from api_schemas.base import Document, JsonObject
from api_schemas.behaviours import Behaviour
from api_schemas.extraction import Extract
from api_schemas.model_ids import ModelId
from api_schemas.patterns import Pattern

HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,64}$")]
HeaderValue = Annotated[str, StringConstraints(pattern=r"^[\x20-\x7e]{1,1000}$")]
JsonPointer = Annotated[str, StringConstraints(pattern=r"^(/[^/]*)*$", max_length=200)]


class Judging(Document):
    """What every signal can be told.

    A reward in R defines a success by `success_threshold`; verifiers answer 0 or 1 and need none.
    """

    extract: Extract | None = None
    behaviour: Behaviour | None = Field(
        None,
        description="How to label a success with the behaviour it shows; without it all successes are one.",
    )


class ExactSignal(Judging):
    """Accept a text that equals an answer, white space at both ends ignored."""

    kind: Literal["exact"]


class NumericSignal(Judging):
    """Accept a text that reads as a number close to an answer."""

    kind: Literal["numeric"]
    absolute_tolerance: Annotated[float, Field(ge=0)] = 0.0
    relative_tolerance: Annotated[float, Field(ge=0, lt=1)] = 0.0


class RegexSignal(Judging):
    """Accept a text that an RE2 pattern matches; without `pattern`, each prompt's answer is the pattern."""

    kind: Literal["regex"]
    pattern: Pattern | None = None
    match: Literal["search", "full"] = "full"


class ChoiceSignal(Judging):
    """Accept a text that names the right option, by letter or by its words.

    A prompt's `answer` is a letter or an option of its `choices`.
    """

    kind: Literal["choice"]


class ContainsSignal(Judging):
    """Accept a text in which an answer stands."""

    kind: Literal["contains"]
    match: Literal["any", "all"] = Field("any", description="Whether one answer suffices, or all must stand.")
    ignore_case: bool = False
    whole_words: bool = Field(
        False,
        description="Letters, digits or an underscore right beside an answer spoil it: 42 is not in 142.",
    )


class MathSignal(Judging):
    """Accept a text whose expression equals an answer as mathematics, by math-verify.

    Without `extract` the text is searched for LaTeX, \\boxed{} and expressions.
    """

    kind: Literal["math"]


class JsonSchemaSignal(Judging):
    """Accept a text that is JSON and satisfies a schema; without `json_schema`, a prompt's answer is one.

    A code fence around the document is ignored. Patterns are RE2, and a schema refers to nothing outside.
    """

    kind: Literal["json_schema"]
    json_schema: JsonObject | None = Field(None, examples=[{"type": "object", "required": ["name"]}])


class PythonSignal(Judging):
    """Accept a program that passes its prompt's `tests`, run in a sandbox without network.

    The program is what `extract` finds, or else the last fenced block, or else the whole text. The tests run
    after it in its namespace and raise if it is wrong; `PROGRAM` is its source. Off unless the operator sets
    TILTSCOPE_PYTHON_SIGNAL=1.
    """

    kind: Literal["python"]
    program: Literal["completion", "prompt_and_completion"] = Field(
        "completion", description="`prompt_and_completion` where a completion goes on with the prompt's code."
    )
    seconds: Annotated[float, Field(ge=1, le=30)] = Field(
        5.0, description="CPU time of program and tests; a program that needs more is incorrect."
    )
    memory_mb: Annotated[int, Field(ge=64, le=2_048)] = 512


class HttpSignal(Document):
    """Ask an endpoint of yours for the reward of each completion.

    It receives `body` as JSON by POST, its places filled in ({{completion}}, {{prompt}}, {{prompt_id}},
    {{answer}}, {{answers}}, {{choices}}, {{metadata}}, {{finish_reason}}), and answers with JSON. Headers may
    hold {{secret:NAME}}, which the operator keeps for the endpoint's host. Only hosts that the operator lists
    in TILTSCOPE_HTTP_SIGNAL_HOSTS are asked.
    """

    kind: Literal["http"]
    extract: None = Field(None, description="The endpoint receives the whole completion.")
    behaviour: Behaviour | None = None
    url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s]+$", max_length=2_000)]
    headers: Annotated[dict[HeaderName, HeaderValue], Field(max_length=16)] = Field(
        default={}, examples=[{"Authorization": "Bearer {{secret:judge}}"}]
    )
    body: JsonObject = Field(
        default={"prompt": "{{prompt}}", "completion": "{{completion}}", "answers": "{{answers}}"}
    )
    reward_at: JsonPointer = Field(
        "/reward", description="JSON Pointer of the reward: a number or a boolean."
    )
    behaviour_at: JsonPointer | None = Field(None, description="JSON Pointer of a behaviour label.")
    success_threshold: float | None = Field(
        None, description="Reward from which a completion is a success; without it only 0, 1, false and true."
    )
    batch_size: Annotated[int, Field(ge=1, le=256)] = Field(
        1, description="Completions a request; above 1, request and response are arrays of equal length."
    )
    concurrency: Annotated[int, Field(ge=1, le=64)] = Field(
        4, description="Requests at once, by each worker."
    )
    timeout_seconds: Annotated[float, Field(gt=0, le=300)] = 30.0
    retries: Annotated[int, Field(ge=0, le=10)] = Field(
        3, description="After 408, 425, 429, 5xx or a lost connection, with growing pauses."
    )


class RewardModelSignal(Document):
    """Reward a completion by a model of the registry with a sequence-classification head.

    Safetensors only. With a chat template the prompt is a turn of the user and the completion one of the
    assistant; without one the completion follows the prompt.
    """

    kind: Literal["reward_model"]
    extract: None = Field(None, description="The model reads the whole completion.")
    behaviour: Behaviour | None = None
    model: ModelId = Field(description="Registry id of the reward model.")
    success_threshold: float = Field(description="Reward from which a completion is a success.")
    label: Annotated[int, Field(ge=0, le=10_000)] = Field(0, description="Which output of the head counts.")
    activation: Literal["none", "sigmoid", "softmax"] = "none"


class DemonstrationsSignal(Document):
    """Take each prompt's `demonstrations` as what was to be learnt: for kind `free_energy`.

    Both models score the demonstrations: cross-entropy, and how typical each is for the reference. A sample
    is a success if it is one of them, token by token. Temperature 1, no truncation, no stop strings.
    """

    kind: Literal["demonstrations"]
    extract: None = Field(None, description="The whole text is compared.")
    behaviour: Behaviour | None = None


Signal = Annotated[
    ExactSignal
    | NumericSignal
    | RegexSignal
    | ChoiceSignal
    | ContainsSignal
    | MathSignal
    | JsonSchemaSignal
    | PythonSignal
    | HttpSignal
    | RewardModelSignal
    | DemonstrationsSignal,
    Field(discriminator="kind"),
]


class SignalExample(Document):
    """A signal, a prompt, and what becomes of some completions."""

    signal: dict[str, Any]
    prompt: dict[str, Any]
    accepted: str
    refused: str


class SignalDescription(Document):
    """A signal, the JSON Schema of its settings, and whether this deployment offers it."""

    object: Literal["signal"]
    kind: str
    version: str
    description: str
    needs_answer: bool
    available: bool
    unavailable_because: str | None
    example: SignalExample
    settings_schema: dict[str, Any]


class SignalList(Document):
    """Every signal."""

    object: Literal["list"]
    data: list[SignalDescription]
    has_more: bool
    next_cursor: str | None
