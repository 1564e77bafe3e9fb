"""What the service takes, as dictionaries for a type checker.

Generated from docs/openapi.json by `make openapi`: change the contract, not this file.
"""

from typing import Any, Literal, Required, TypedDict


class LargerBudget(TypedDict, total=False):
    """The parts of a budget that may grow; what is left out stays, and so do k_use and k_probe."""

    samples_per_prompt: int | None
    max_samples_per_prompt: int | None
    max_total_tokens: int | None
    """Null lifts the limit; left out, it stays."""
    untruncated_samples_per_prompt: int | None


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
    untruncated_samples_per_prompt: int
    """Under a truncated policy: draws of the candidate at temperature 1 without truncation, for a KL that
    exists. 0 draws none.
    """


class Checkpoint(TypedDict, total=False):
    """A checkpoint of the run that a trajectory follows."""

    source: Literal["model"]
    model: Required[str]
    step: int | None
    """The training step it was saved at; later checkpoints have larger ones."""


class DatasetPrompts(TypedDict, total=False):
    """Prompts kept under an id: see POST /v1/datasets."""

    dataset: Required[str]


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
    collapse_max_entropy_share: float
    drift_dominated_min_share: float
    drift_dominated_min_nats: float
    format_repair_max_share: float


ImportParticipant = TypedDict(
    "ImportParticipant", {"source": Required[Literal["import"]], "import": Required[str]}, total=False
)
"""An imported log as one side of an analysis: its samples are there already."""


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


class AnsweredBehaviour(TypedDict, total=False):
    """Label a success with the accepted answer that it gave: the modes of a prompt with several answers."""

    by: Required[Literal["answer"]]


class ArmPolicy(TypedDict, total=False):
    """What an arm changes of the analysis's policy; what is left out stays as there."""

    temperature: float | list[float] | None
    """A list is a grid: one arm for each, named `NAME-TEMPERATURE`."""
    top_k: int | None
    top_p: float | None
    min_p: float | None
    max_new_tokens: int | None
    stop: list[str] | None


class Demonstration(TypedDict, total=False):
    """A worked example."""

    prompt: Required[str]
    completion: Required[str]


class AuditCounts(TypedDict, total=False):
    """What a person found of the verifier: how many right and wrong texts it accepted."""

    right: Required[int]
    """Texts that are right."""
    accepted_right: Required[int]
    """Those that the verifier accepted."""
    wrong: Required[int]
    """Texts that are wrong."""
    accepted_wrong: Required[int]
    """Those that the verifier accepted."""


class AuditedText(TypedDict, total=False):
    """A completion with the label of a person."""

    prompt_id: Required[str]
    text: Required[str]
    is_right: Required[bool]


class CapturedBehaviour(TypedDict, total=False):
    """Label a success with what a pattern captures in its text; no match leaves it without a label."""

    by: Required[Literal["capture"]]
    pattern: Required[str]
    """RE2 over the whole text; group 1 if there is one, else the whole match."""
    which: Literal["first", "last"]


class Extract(TypedDict, total=False):
    """How to find the answer inside a completion; a text without one is `unparsed`."""

    find: Literal["pattern", "boxed", "last_number", "after"]
    r"""`pattern`: what an RE2 pattern matches. `boxed`: the content of \boxed{…}, braces balanced.
    `last_number`: the last decimal number. `after`: the rest of the line after `marker`, without a
    colon, emphasis, dollar signs and the final full stop.
    """
    pattern: str | None
    """With `pattern`: RE2; group 1 if there is one, else the whole match."""
    marker: str | None
    """With `after`: the words before the answer, in any case."""
    which: Literal["first", "last"]
    """Which counts where there are several; `last_number` is always the last."""


class DemonstratedText(TypedDict, total=False):
    """A completion that shows what is wanted (signal `demonstrations`)."""

    text: Required[str]
    """Without EOS, which is added."""
    logprob: float | None
    """log π_D(y), nats: of the text and its end under the law it was drawn from, if that is known.
    KL(π_D‖·) and coverage need it.
    """


class Message(TypedDict, total=False):
    """One turn of a chat prompt."""

    role: Required[Literal["system", "user", "assistant"]]
    content: Required[str]


class NamedPattern(TypedDict, total=False):
    """A label and the pattern of the texts that bear it."""

    label: Required[str]
    pattern: Required[str]


class WebhookRequest(TypedDict, total=False):
    """What is needed to be told."""

    url: Required[str]
    """Where to POST: https, on a public address and a port that the operator allows. Redirects are not
    followed.
    """
    events: Required[
        list[Literal["analysis.succeeded", "analysis.failed", "analysis.cancelled", "analysis.expired"]]
    ]
    name: str | None
    """What you call it."""


class AnalysisExtension(TypedDict, total=False):
    """How an analysis that has ended goes on.

    After success the budget must be larger. An analysis that ended early, with a partial result, may
    also go on under the budget it had.
    """

    budget: LargerBudget
    deadline_seconds: int | None
    """From now; without it, there is none."""


class Arm(TypedDict, total=False):
    """One way to sample the reference.

    A prompt is rendered as `prefix`, then each demonstration, filled into `template` like the prompt,
    with its completion and `separator`, then the prompt filled into `template`. In a prompt of
    `messages`, `template` fills the last message, demonstrations are turns before the conversation, and
    `prefix` opens the first message that is not the system's.
    """

    name: Required[str]
    role: Required[Literal["elicitation", "assisted"]]
    """`elicitation`: no knowledge is added. `assisted`: a hint, a tool's answer or the like."""
    policy: ArmPolicy | None
    prefix: str | None
    template: str | None
    """A format string: {prompt} is the prompt, {metadata.KEY} a value of its `metadata`."""
    chat_template: Literal["reference", "candidate"] | None
    """Render through this model's chat template; a plain prompt becomes a user's turn."""
    format_repair: bool
    """Open the prompt with a ready-made instruction on the form in which the signal reads answers, and no
    word of what is right. It becomes the arm's `prefix`.
    """
    demonstrations: list[Demonstration]
    separator: str


class VerifierAudit(TypedDict, total=False):
    """How often the verifier errs, by counts or by labelled texts that it then judges itself.

    The two error rates, with their intervals, widen every bound and every class: what the verifier's
    noise could explain is undetermined. The rates are taken to be the same on every prompt.
    """

    counts: AuditCounts | None
    texts: list[AuditedText] | None


class Prompt(TypedDict, total=False):
    """One prompt, as raw text or as chat messages, with its accepted answers."""

    id: Required[str]
    prompt: str | None
    """Encoded by the tokenizer's own defaults, without a chat template."""
    messages: list[Message] | None
    """Encoded by the tokenizer's chat template with a generation prompt."""
    answer: str | None
    answers: list[str] | None
    choices: list[str] | None
    """The options of a multiple-choice prompt, in order: A, B, C, … (signal `choice`)."""
    tests: str | None
    """Python that runs after the completion and raises if it is wrong (signal `python`)."""
    demonstrations: list[DemonstratedText] | None
    """Completions drawn from the law that was learnt (signal `demonstrations`)."""
    family: str | None
    """Prompts of one family are resampled together."""
    split: str | None
    metadata: dict[str, Any] | None


class NamedBehaviour(TypedDict, total=False):
    """Label a success with the first name whose pattern is found in its text."""

    by: Required[Literal["patterns"]]
    patterns: Required[list[NamedPattern]]
    otherwise: str | None
    """The label of a success that no pattern names."""


class InlinePrompts(TypedDict, total=False):
    """Prompts carried in the request itself."""

    inline: Required[list[Prompt]]


class ChoiceSignal(TypedDict, total=False):
    """Accept a text that names the right option, by letter or by its words.

    A prompt's `answer` is a letter or an option of its `choices`.
    """

    extract: Extract | None
    behaviour: CapturedBehaviour | NamedBehaviour | AnsweredBehaviour | None
    """How to label a success with the behaviour it shows; without it all successes are one."""
    kind: Required[Literal["choice"]]


class ContainsSignal(TypedDict, total=False):
    """Accept a text in which an answer stands."""

    extract: Extract | None
    behaviour: CapturedBehaviour | NamedBehaviour | AnsweredBehaviour | None
    """How to label a success with the behaviour it shows; without it all successes are one."""
    kind: Required[Literal["contains"]]
    match: Literal["any", "all"]
    """Whether one answer suffices, or all must stand."""
    ignore_case: bool
    whole_words: bool
    """Letters, digits or an underscore right beside an answer spoil it: 42 is not in 142."""


class DemonstrationsSignal(TypedDict, total=False):
    """Take each prompt's `demonstrations` as what was to be learnt: for kind `free_energy`.

    Both models score the demonstrations: cross-entropy, and how typical each is for the reference. A
    sample is a success if it is one of them, token by token. Temperature 1, no truncation, no stop
    strings.
    """

    kind: Required[Literal["demonstrations"]]
    extract: None
    """The whole text is compared."""
    behaviour: CapturedBehaviour | NamedBehaviour | AnsweredBehaviour | None


class ExactSignal(TypedDict, total=False):
    """Accept a text that equals an answer, white space at both ends ignored."""

    extract: Extract | None
    behaviour: CapturedBehaviour | NamedBehaviour | AnsweredBehaviour | None
    """How to label a success with the behaviour it shows; without it all successes are one."""
    kind: Required[Literal["exact"]]


class HttpSignal(TypedDict, total=False):
    """Ask an endpoint of yours for the reward of each completion.

    It receives `body` as JSON by POST, its places filled in ({{completion}}, {{prompt}}, {{prompt_id}},
    {{answer}}, {{answers}}, {{choices}}, {{metadata}}, {{finish_reason}}), and answers with JSON.
    Headers may hold {{secret:NAME}}, which the operator keeps for the endpoint's host. Only hosts that
    the operator lists in TILTSCOPE_HTTP_SIGNAL_HOSTS are asked.
    """

    kind: Required[Literal["http"]]
    extract: None
    """The endpoint receives the whole completion."""
    behaviour: CapturedBehaviour | NamedBehaviour | AnsweredBehaviour | None
    url: Required[str]
    headers: dict[str, str]
    body: dict[str, Any]
    reward_at: str
    """JSON Pointer of the reward: a number or a boolean."""
    behaviour_at: str | None
    """JSON Pointer of a behaviour label."""
    success_threshold: float | None
    """Reward from which a completion is a success; without it only 0, 1, false and true."""
    batch_size: int
    """Completions a request; above 1, request and response are arrays of equal length."""
    concurrency: int
    """Requests at once, by each worker."""
    timeout_seconds: float
    retries: int
    """After 408, 425, 429, 5xx or a lost connection, with growing pauses."""


class JsonSchemaSignal(TypedDict, total=False):
    """Accept a text that is JSON and satisfies a schema; without `json_schema`, a prompt's answer is one.

    A code fence around the document is ignored. Patterns are RE2, and a schema refers to nothing
    outside.
    """

    extract: Extract | None
    behaviour: CapturedBehaviour | NamedBehaviour | AnsweredBehaviour | None
    """How to label a success with the behaviour it shows; without it all successes are one."""
    kind: Required[Literal["json_schema"]]
    json_schema: dict[str, Any] | None


class MathSignal(TypedDict, total=False):
    r"""Accept a text whose expression equals an answer as mathematics, by math-verify.

    Without `extract` the text is searched for LaTeX, \boxed{} and expressions.
    """

    extract: Extract | None
    behaviour: CapturedBehaviour | NamedBehaviour | AnsweredBehaviour | None
    """How to label a success with the behaviour it shows; without it all successes are one."""
    kind: Required[Literal["math"]]


class NumericSignal(TypedDict, total=False):
    """Accept a text that reads as a number close to an answer."""

    extract: Extract | None
    behaviour: CapturedBehaviour | NamedBehaviour | AnsweredBehaviour | None
    """How to label a success with the behaviour it shows; without it all successes are one."""
    kind: Required[Literal["numeric"]]
    absolute_tolerance: float
    relative_tolerance: float


class PythonSignal(TypedDict, total=False):
    """Accept a program that passes its prompt's `tests`, run in a sandbox without network.

    The program is what `extract` finds, or else the last fenced block, or else the whole text. The
    tests run after it in its namespace and raise if it is wrong; `PROGRAM` is its source. Off unless
    the operator sets TILTSCOPE_PYTHON_SIGNAL=1.
    """

    extract: Extract | None
    behaviour: CapturedBehaviour | NamedBehaviour | AnsweredBehaviour | None
    """How to label a success with the behaviour it shows; without it all successes are one."""
    kind: Required[Literal["python"]]
    program: Literal["completion", "prompt_and_completion"]
    """`prompt_and_completion` where a completion goes on with the prompt's code."""
    seconds: float
    """CPU time of program and tests; a program that needs more is incorrect."""
    memory_mb: int


class RegexSignal(TypedDict, total=False):
    """Accept a text that an RE2 pattern matches; without `pattern`, each prompt's answer is the pattern."""

    extract: Extract | None
    behaviour: CapturedBehaviour | NamedBehaviour | AnsweredBehaviour | None
    """How to label a success with the behaviour it shows; without it all successes are one."""
    kind: Required[Literal["regex"]]
    pattern: str | None
    match: Literal["search", "full"]


class RewardModelSignal(TypedDict, total=False):
    """Reward a completion by a model of the registry with a sequence-classification head.

    Safetensors only. With a chat template the prompt is a turn of the user and the completion one of
    the assistant; without one the completion follows the prompt.
    """

    kind: Required[Literal["reward_model"]]
    extract: None
    """The model reads the whole completion."""
    behaviour: CapturedBehaviour | NamedBehaviour | AnsweredBehaviour | None
    model: Required[str]
    """Registry id of the reward model."""
    success_threshold: Required[float]
    """Reward from which a completion is a success."""
    label: int
    """Which output of the head counts."""
    activation: Literal["none", "sigmoid", "softmax"]


class AnalysisRequest(TypedDict, total=False):
    """An analysis to run."""

    kind: Required[Literal["support", "free_energy", "capability", "trajectory"]]
    name: str | None
    labels: dict[str, str]
    reference: Required[ModelParticipant | ImportParticipant]
    candidate: ModelParticipant | ImportParticipant | None
    candidates: list[Checkpoint] | None
    """Checkpoints of one run in training order, for kind `trajectory`."""
    teacher: ModelParticipant | None
    """For the signal `demonstrations`: the model they were drawn from, with the reference's tokenizer. It
    scores them, and the pilots of both sides, which gives KL(q‖π_D). It draws nothing.
    """
    score_neighbours: bool
    """For kind `trajectory`: score each checkpoint's pilot under the checkpoints beside it too.
    `success_step` then tells how far the price of success falls from one to the next; a pilot is read
    up to three times instead of once.
    """
    share_proposals: bool
    """Let samples of others show what the reference reaches under its own policy: the successes of its
    elicitation arms, which it then scores, and, for kind `trajectory`, every checkpoint's scored
    samples when another checkpoint is judged. Draws nothing more; evidence is averaged over them, so
    each weighs less. Arms with other `stop` or `max_new_tokens` than the analysis's are left out.
    """
    prompts: InlinePrompts | DatasetPrompts | None
    """Required unless every side is an import; then those of the imports are meant."""
    signal: Required[
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
        | DemonstrationsSignal
    ]
    second_signal: (
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
        | DemonstrationsSignal
        | None
    )
    """Judges each rare success again; what it refuses is listed, and confirms nothing."""
    audit: VerifierAudit | None
    policy: Policy
    budget: Budget
    arms: list[Arm]
    """Other ways to sample the reference. It is out of reach only where it is out under every elicitation
    arm; an assisted arm that reaches makes a created prompt a barrier.
    """
    inverse_temperatures: list[float]
    decision: Decision
    deadline_seconds: int | None
    seed: int
