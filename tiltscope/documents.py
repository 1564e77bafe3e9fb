"""What the service answers.

Generated from docs/openapi.json by `make openapi`: change the contract, not this file.
"""

from typing import Any, Literal

from tiltscope.document import Document, EstimateDocument


class ItemError(Document):
    """A part of the plan that could not be done."""

    prompt_id: str | None = None
    code: str
    detail: str


class Links(Document):
    """Where to go from here."""

    self: str
    cancel: str
    extend: str
    events: str
    result: str
    report: str


class Progress(Document):
    """How far an analysis is; `total` grows when a round is added."""

    phase: Literal["planning", "sampling", "verifying", "scoring", "estimating", "reporting"] | str
    completed: int
    total: int
    fraction: float
    eta_seconds: float | None = None


class Usage(Document):
    """What an analysis has spent, over all sides and nulls; `samples` counts new draws."""

    samples: int
    sampled_tokens: int
    scored_tokens: int
    cached_samples: int
    engine_seconds: float


class PlannedFigure(Document):
    """A number reckoned from the request, and from what; or the reason why there is none."""

    value: float | None = None
    unit: str
    reason: str
    """What the number assumes, or why there is none."""


class PlannedRange(Document):
    """What is spent in any case, and at most; they differ where sampling is adaptive."""

    pilot: int
    maximum: int


class Estimate(EstimateDocument):
    """A number with its error, or the reason why there is none."""

    value: float | None = None
    std_error: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    confidence: float | None = None
    n: int
    unit: str
    status: Literal["ok", "unreliable", "undefined", "censored"] | str
    reason: str


class DatasetEstimate(EstimateDocument):
    """A mean over prompts: the interval is for the population of prompts."""

    value: float | None = None
    std_error: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    confidence: float | None = None
    n: int
    unit: str
    status: Literal["ok", "unreliable", "undefined", "censored"] | str
    reason: str
    sampling_std_error: float | None = None
    """Standard error for exactly these prompts: sampling alone."""


class Artifact(Document):
    """A stored file and the hash it is checked against before it is sent."""

    object: Literal["artifact"]
    name: str
    media_type: str
    bytes: int
    sha256: str
    href: str


class AuditEntry(Document):
    """One request that may have changed something."""

    id: str
    object: Literal["audit_entry"]
    actor: str
    action: str
    target: str
    status: int
    request_id: str
    created_at: str


class BehaviourCount(Document):
    """How often one side showed a behaviour."""

    successes: int
    samples: int


class Behaviours(Document):
    """Behaviours of the candidate over all prompts, by class of the reference at K_probe."""

    judged: int
    within_reach: int
    out_of_reach: int
    undetermined: int
    error_control: str


class CheckpointShrinkage(Document):
    """Evidence that a checkpoint lost some prompt, with multiplicity over all checkpoints."""

    certified: bool
    log_e_value: float | None = None
    """Against `no prompt is lost here`, nats; null without a prompt."""
    needed_log_e_value: float
    """log(checkpoints / alpha): no checkpoint is wrong with chance 1 - alpha."""
    prompt_ids: list[str]
    """Prompts whose loss e-BH keeps at this checkpoint alone."""


class Null(Document):
    """A null experiment on samples already drawn."""

    null: str
    status: Literal["passed", "failed", "not_run"] | str
    expected: dict[str, float]
    observed: dict[str, float]
    reason: str


class Warning(Document):
    """Something a reader must know before quoting a number."""

    code: str
    detail: str


class ClassesAtK(Document):
    """How many prompts are in, out of reach or undetermined at one budget, each at level alpha."""

    k: int
    epsilon: float
    """Least chance of success that counts as within reach."""
    budget_nats: float
    """The same as a price: -log epsilon."""
    prompts: dict[str, int]


class ClosureCheck(Document):
    """An identity that must hold, and by how much it does."""

    check: str
    residual: float | None = None
    tolerance: float
    passed: bool
    blocking: bool


class Confirmation(Document):
    """One requirement of a confirmed creation claim."""

    check: str
    passed: bool
    detail: str


class Dataset(Document):
    """A data set: immutable, so that an analysis that names it can be repeated."""

    id: str
    object: Literal["dataset"]
    name: str | None = None
    sha256: str
    """Of the content: equal prompts in equal order have one id."""
    prompts: int
    bytes: int
    families: int
    """Distinct families."""
    splits: dict[str, int]
    """Prompts of each split."""
    created_at: str


class FieldProblem(Document):
    """One fault of a request and where it is: a place in the body, or a parameter."""

    detail: str
    pointer: str | None = None
    """JSON Pointer (RFC 6901) into the body."""
    line: int | None = None
    """Line of an uploaded file, from 1."""
    parameter: str | None = None
    """Name of the query parameter, path parameter or header."""


class FirstShrinkage(Document):
    """The first checkpoint at which shrinkage is certified."""

    checkpoint: int
    candidate: str
    step: int | None = None


class ImportedCounts(Document):
    """Fewest and most samples of a prompt."""

    fewest: int
    most: int


class LiteratureRule(Document):
    """What the single-budget rule `unseen in K samples` would have said."""

    budget: int
    unreached: int
    created_claims: int


class Liveness(Document):
    """The event loop turns."""

    status: Literal["ok"]


class Model(Document):
    """A registered model: what its id stands for, by content."""

    id: str
    object: Literal["model"]
    kind: Literal["model", "adapter"] | str
    status: Literal["ready", "invalid"] | str
    detail: str | None = None
    architecture: str | None = None
    parameters: int | None = None
    bytes: int | None = None
    context_length: int | None = None
    base: str | None = None
    weights_digest: str | None = None
    adapter_digest: str | None = None
    tokenizer_digest: str | None = None


class SupportZeros(Document):
    """Successes of the candidate's scored pilot that the reference gives probability zero."""

    successes: int
    """Successes that were scored."""
    causes: dict[str, int]
    """Those with a zero, by cause: `vocabulary`, `top_k`, `top_p` or `min_p`."""
    edge: int
    """Those whose only zeros lie within rounding of the nucleus edge: no evidence."""


class WeightsRow(Document):
    """Diagnostics of the weights p/mixture of a prompt's scored successes; the mixture is of both sides.

    None of them sees a mode of success that no draw visited.
    """

    draws: int
    """Samples of both sides, failures included."""
    successes: int
    """Successes that the reference gives a chance."""
    ess: float
    """Effective number of successes: (Σw)²/Σw²."""
    largest_share: float | None = None
    """Share of the weight that one success carries; null without any."""
    log_spread: float
    """Standard deviation of log w over successes, nats; scoring refuses above 3."""
    log_range: float
    """Largest minus least log w, nats."""
    pareto_k: float | None = None
    """PSIS shape of the largest weights; null where none can be fitted."""
    status: Literal["ok", "unreliable", "undefined"] | str
    reason: str


class Readiness(Document):
    """What the gateway needs, part by part; `degraded` parts do not keep it from accepting work."""

    status: Literal["ready", "starting"] | str
    checks: dict[str, Literal["ok", "degraded", "failed"] | str]


class Sample(Document):
    """One completion; its token ids and their log-probabilities are in `samples.parquet`."""

    prompt_id: str
    side: str
    """Whose: `reference`, `candidate` or an arm."""
    index: int
    """Number of the draw, from 0, per prompt and side."""
    text: str
    finish_reason: str
    """`eos`, `stop` or `length`."""
    outcome: Literal["correct", "incorrect", "unparsed", "truncated", "verifier_error"] | str | None = None
    """None if it was not judged."""
    reward: float | None = None
    behaviour: str | None = None
    """What kind of success this is, where the signal says."""
    detail: str | None = None
    """Why the verifier decided so, where it says."""
    tokens: int | None = None
    """None for an imported sample."""
    logprob: float | None = None
    """Of the completion under the policy it was drawn by; nats."""


class VerifierDisagreement(Document):
    """A success that the second verifier does not accept."""

    side: str
    index: int
    outcome: str
    detail: str


class SignalExample(Document):
    """A signal, a prompt, and what becomes of some completions."""

    signal: dict[str, Any]
    prompt: dict[str, Any]
    accepted: str
    refused: str


class VerdictAtK(Document):
    """The verdict had K_probe been something else."""

    k_probe: int
    label: Literal["elicitation", "creation", "mixed", "inconclusive"] | str
    creation_share_lower: float | None = None
    creation_share_upper: float | None = None


class Webhook(Document):
    """A webhook; its secret is shown when it is made and when it is rotated, and never again."""

    id: str
    object: Literal["webhook"]
    name: str | None = None
    url: str
    events: list[
        Literal["analysis.succeeded", "analysis.failed", "analysis.cancelled", "analysis.expired"] | str
    ]
    old_secret_until: str | None = None
    """Until when the secret of before the last rotation signs too."""
    created_at: str


class WebhookDelivery(Document):
    """One attempt to deliver a message."""

    id: str
    object: Literal["webhook_delivery"]
    message_id: str
    """The header `webhook-id`, the same at every attempt."""
    type: str
    analysis_id: str | None = None
    """What ended; null for a test."""
    attempt: int
    """From 1; one during which the service died is missing."""
    outcome: Literal["delivered", "retried", "given_up"] | str
    """`delivered`: answered with 2xx. `retried`: tried again at `next_attempt_at`."""
    status: int | None = None
    """HTTP status; null without an answer."""
    error: str | None = None
    attempted_at: str
    next_attempt_at: str | None = None


class WebhookMessage(Document):
    """A message that waits to be delivered."""

    id: str
    """The header `webhook-id`, the same at every attempt."""
    object: Literal["webhook_message"]
    type: str
    created_at: str


class WebhookWithSecret(Document):
    """A webhook, and what verifies its messages."""

    id: str
    object: Literal["webhook"]
    name: str | None = None
    url: str
    events: list[
        Literal["analysis.succeeded", "analysis.failed", "analysis.cancelled", "analysis.expired"] | str
    ]
    old_secret_until: str | None = None
    """Until when the secret of before the last rotation signs too."""
    created_at: str
    secret: str
    """Keep it: it is not shown again. As the libraries of Standard Webhooks take it."""


class SmallestDetectable(Document):
    """Effects that the pilot would show; smaller ones may go unnoticed."""

    gain: PlannedFigure
    success: PlannedFigure


class ArmRow(Document):
    """The reference on one prompt under one arm that was drawn there."""

    arm: str
    role: Literal["elicitation", "assisted"] | str
    successes: int
    samples: int
    success: Estimate
    class_at_k_probe: Literal["in", "out", "undetermined"] | str


class CreationShare(Document):
    """The partially identified share of created gain: [created, created + undetermined] / gain."""

    lower: Estimate
    upper: Estimate


class DemonstrationPrice(Document):
    """-log of one demonstration's probability under both models and under its own law, nats."""

    reference: Estimate
    candidate: Estimate
    teacher: Estimate
    """-log π_D(y): by `teacher`, or as `logprob` gives it."""


class DriftPartsRow(Document):
    """Drift of one prompt, between behaviours and within them."""

    strategy_level: Estimate
    within_strategy: Estimate


class FreeEnergyRow(Document):
    """Free-energy terms of one prompt at one inverse temperature."""

    inverse_temperature: float
    log_partition: Estimate
    equilibrium: Estimate
    free_energy: Estimate | None = None
    gap: Estimate | None = None


class KLToTeacherRow(Document):
    """KL of both models to the demonstrations' law on one prompt, over the model's own samples; nats."""

    reference: Estimate
    candidate: Estimate


class Retention(Document):
    """Support-change metrics of arXiv 2507.14843, beside their null from two halves of one model."""

    budget: int
    srr: Estimate
    ndr: Estimate
    sds: Estimate
    nscr: Estimate
    null: dict[str, Estimate] | None = None


class SideRow(Document):
    """One side of one prompt.

    `success` is the chance of one success: for the reference the point that pools scored draws where
    that is sound, else the pilot's rate; its interval may use every sample. A row's `gain` is of the
    pilots alone.
    """

    successes: int
    samples: int
    success: Estimate
    price: Estimate
    margin: Estimate | None = None
    """Budget at k_probe minus price, nats; within reach if not negative."""
    class_at_k_use: Literal["in", "out", "undetermined"] | str
    class_at_k_probe: Literal["in", "out", "undetermined"] | str
    behaviours: dict[str, int] | None = None
    """The labels that occur most, with their counts."""
    behaviour_entropy: Estimate | None = None
    unseen_mass: Estimate | None = None
    novel_mass: Estimate | None = None


class VerifierAuditResult(Document):
    """How often the verifier errs, by the request's audit; all bounds and classes allow for it."""

    right: int
    wrong: int
    false_positive_rate: Estimate
    false_negative_rate: Estimate


class ArmSupport(Document):
    """What the reference reaches under one arm, over the prompts on which it was drawn."""

    arm: str
    role: Literal["elicitation", "assisted"] | str
    prompts: int
    """Prompts on which it was drawn."""
    samples: int
    successes: int
    reached: int
    """Prompts that are `in` at k_probe under this arm."""
    out: int
    """Prompts that are `out` at k_probe under this arm."""
    undetermined: int
    success: DatasetEstimate | None = None
    """Mean over prompts, where the arm draws a pilot of every prompt."""


class Certificate(Document):
    """The KL certificate -log a <= (KL + H(b))/b, beside the budget it is held against."""

    price_bound: DatasetEstimate
    budget: float
    certified_prompts: int


class ComparedFreeEnergy(Document):
    """KL(q||p), y ~ q, and its parts; nats, means over prompts."""

    kl: DatasetEstimate
    tilt: DatasetEstimate
    drift: DatasetEstimate
    escape: DatasetEstimate


class ComparedSuccess(Document):
    """Chance of success of each side, means over prompts."""

    reference: DatasetEstimate
    candidate: DatasetEstimate | None = None


class CoverageAtN(Document):
    """P over demonstrations that the ratio of their own probability to the model's is at least n."""

    reference: DatasetEstimate
    candidate: DatasetEstimate
    n: int


class CoveragePoint(Document):
    """Share of prompts whose success probability is at least tau."""

    tau: float
    estimate: DatasetEstimate


class CrossEntropy(Document):
    """-E log of the model's probability over the demonstrations; nats a sequence."""

    reference: DatasetEstimate
    candidate: DatasetEstimate
    change: DatasetEstimate
    """Candidate's less reference's, paired."""


class DriftParts(Document):
    """Drift split by the behaviour of each success: between behaviours, and within them and failures."""

    strategy_level: DatasetEstimate
    within_strategy: DatasetEstimate


class FreeEnergyAtBeta(Document):
    """Free-energy terms at one inverse temperature, means over prompts."""

    inverse_temperature: float
    log_partition: DatasetEstimate
    equilibrium: DatasetEstimate
    free_energy: DatasetEstimate
    gap: DatasetEstimate


class Gain(Document):
    """E_q[r] - E_p[r], split; the parts sum to the total."""

    total: DatasetEstimate
    elicited: DatasetEstimate
    created: DatasetEstimate
    lost: DatasetEstimate
    undetermined: DatasetEstimate


class KLToTeacher(Document):
    """KL of both models to the demonstrations' law, each over the model's own samples; nats a sequence."""

    reference: DatasetEstimate
    candidate: DatasetEstimate
    change: DatasetEstimate
    """KL(q‖π_D) - KL(p‖π_D): below 0 where the candidate is nearer than the reference."""


class MeanEnergy(Document):
    """Mean energy E = -r of each side."""

    reference: DatasetEstimate
    candidate: DatasetEstimate


class OfBothSides(Document):
    """One figure of both models."""

    reference: DatasetEstimate
    candidate: DatasetEstimate


class PassAtK(Document):
    """One point of a pass@k curve."""

    k: int
    estimate: DatasetEstimate


class PositionKL(Document):
    """Nats at one token position, means over prompts (0 once a sample ended); each sums to its KL.

    `estimate` is of KL(q||p) along candidate samples, `reverse` of KL(p||q) along reference samples.
    """

    position: int
    estimate: DatasetEstimate
    reverse: DatasetEstimate | None = None


class ResponsePoint(Document):
    """The reference tilted by beta: E_{p_beta}[r] and Var_{p_beta}(r), means over prompts."""

    inverse_temperature: float
    mean_reward: DatasetEstimate
    heat_capacity: DatasetEstimate


class SideEntropy(Document):
    """Entropy of the sampled sequences, nats a sequence."""

    reference: DatasetEstimate | None = None
    candidate: DatasetEstimate | None = None


class UntruncatedKL(Document):
    """KL(q||p) from separate draws of the candidate at temperature 1 without truncation.

    Means over prompts. The law of the request's policy gives zero to part of what the candidate draws,
    so its own KL is not defined; this one is of other laws, those of `policy`.
    """

    kl: DatasetEstimate
    kl_k1: DatasetEstimate
    samples_per_prompt: int
    policy: dict[str, Any]


class ArtifactList(Document):
    """The files of one analysis, by name."""

    object: Literal["list"]
    data: list[Artifact]
    has_more: bool
    next_cursor: str | None = None


class AuditLog(Document):
    """One page of entries, newest first."""

    object: Literal["list"]
    data: list[AuditEntry]
    has_more: bool
    next_cursor: str | None = None


class BehaviourRow(Document):
    """A behaviour of the candidate on one prompt; null is a success without a label."""

    behaviour: str | None = None
    reference: BehaviourCount
    candidate: BehaviourCount
    class_at_k_probe: Literal["in", "out", "undetermined"] | str


class DatasetList(Document):
    """One page of data sets, newest first."""

    object: Literal["list"]
    data: list[Dataset]
    has_more: bool
    next_cursor: str | None = None


class Problem(Document):
    """A problem (RFC 9457) with a stable code."""

    type: str | None = None
    title: str
    status: int
    detail: str
    code: str
    """Stable; branch on this."""
    request_id: str | None = None
    instance: str | None = None
    errors: list[FieldProblem] | None = None


class ImportSummary(Document):
    """What a log holds, and what can be made of it."""

    model: str | None = None
    """Who wrote the samples, where the log says."""
    prompts: int
    samples: int
    samples_per_prompt: ImportedCounts
    answers: int
    """Prompts that have an accepted answer."""
    logprobs: int
    """Samples with a log-probability of their own."""
    sampling: dict[str, float | int | str | bool]
    """Settings, where the log says."""
    filters: list[str]
    """Filters that the log has been through (lm-eval)."""
    supports: list[str]
    """Kinds of analysis that it can be a side of."""


class ModelList(Document):
    """One page of models, by id."""

    object: Literal["list"]
    data: list[Model]
    has_more: bool
    next_cursor: str | None = None


class SampleList(Document):
    """One page of samples, by side, prompt and draw."""

    object: Literal["list"]
    data: list[Sample]
    has_more: bool
    next_cursor: str | None = None


class SecondVerifierRow(Document):
    """What the second verifier said of the rare successes of one prompt: by side, or `arm:NAME`."""

    checked: dict[str, int]
    disagreements: list[VerifierDisagreement]
    reference_class_holds: bool
    unsettled_arms: list[str] | None = None
    """Arms that reach at K_probe with the refused successes, and not without them."""


class SignalDescription(Document):
    """A signal, the JSON Schema of its settings, and whether this deployment offers it."""

    object: Literal["signal"]
    kind: str
    version: str
    description: str
    needs_answer: bool
    available: bool
    unavailable_because: str | None = None
    example: SignalExample
    settings_schema: dict[str, Any]


class WebhookList(Document):
    """One page of webhooks, newest first."""

    object: Literal["list"]
    data: list[Webhook]
    has_more: bool
    next_cursor: str | None = None


class WebhookDeliveryList(Document):
    """One page of attempts, newest first."""

    object: Literal["list"]
    data: list[WebhookDelivery]
    has_more: bool
    next_cursor: str | None = None


class AnalysisPlan(Document):
    """The answer to `validate_only`: nothing is stored."""

    object: Literal["analysis.plan"]
    prompts: int
    samples: PlannedRange
    """Over all prompts and sides."""
    tokens: PlannedRange
    """New ones, if every sample were as long as it may be."""
    scored_tokens: PlannedRange
    """Tokens that a model reads without having drawn them: samples of other models, each once by every
    model that scores it, and demonstrations; at most also what arms draw where `share_proposals` has
    their successes scored. If each were as long as it may be.
    """
    cached_samples: int
    """Of the sides' pilots: samples that an earlier analysis drew, so that they are read instead. Arms are
    not counted, nor what is beyond the pilot.
    """
    seconds: PlannedFigure
    """For the pilot, once a worker is free."""
    maximum_seconds: PlannedFigure
    """For everything that may be drawn."""
    smallest_detectable: SmallestDetectable


class ComparedVerdict(Document):
    """The verdict without what led to it."""

    label: Literal["elicitation", "creation", "mixed", "inconclusive"] | str
    sentence: str
    creation_share: CreationShare


class Verdict(Document):
    """The answer."""

    label: Literal["elicitation", "creation", "mixed", "inconclusive"] | str
    sentence: str
    creation_share: CreationShare
    findings: list[str]
    reasons: list[str]
    by_k_probe: list[VerdictAtK]
    gain_p_value: float
    """One-sided sign-flip test of a gain among the prompts that are not lost."""
    certified: dict[str, int]
    """Prompts certified elicited, confirmed created."""
    samples_to_settle: int | None = None
    """Further samples that would settle what is undetermined, if known."""


class DemonstrationRow(Document):
    """One demonstration of a prompt."""

    index: int
    tokens: int
    """EOS included."""
    price: DemonstrationPrice
    typicality: Estimate
    """One-sided p-value of its price among the reference's own finished samples of matched length."""


class Diagnostics(Document):
    """What grades the estimates; means over the prompts where defined."""

    ess: Estimate | None = None
    pareto_k: Estimate | None = None
    overlap: Estimate | None = None
    singular_mass: DatasetEstimate | None = None
    chance_floor: Estimate | None = None
    verifier_audit: VerifierAuditResult | None = None
    truncated_share: dict[str, float]
    unparsed_share: dict[str, float]
    duplicate_share: dict[str, float]


class Demonstrations(Document):
    """What both models say of the demonstrations."""

    count: int
    cross_entropy: CrossEntropy
    cross_entropy_per_token: OfBothSides
    atypical_share: DatasetEstimate
    """Of demonstrations whose typicality is at most 0.05: at most 5 % if the reference drew them."""
    kl_from_teacher: OfBothSides
    """KL(π_D‖p) and KL(π_D‖q), nats."""
    kl_to_teacher: KLToTeacher
    """KL(p‖π_D) and KL(q‖π_D), nats, Rao-Blackwellised over the full vocabulary; takes a `teacher`. With E
    = -log(π_D/p) the free energy F_1(q) is KL(q‖π_D), and its minimum 0, at π_D: the candidate's figure
    is its gap.
    """
    kl_to_teacher_k1: OfBothSides
    """The same by the mean of log q - log π_D, the cross-check; noisier."""
    coverage: list[CoverageAtN]


class SideSupport(Document):
    """What one side reaches."""

    success: DatasetEstimate
    pass_at_k: list[PassAtK]
    coverage: list[CoveragePoint]
    classes: list[ClassesAtK] | None = None
    outcomes: dict[str, int]
    behaviour_entropy: DatasetEstimate | None = None
    """Entropy of the behaviours of successes, nats."""
    unseen_mass: DatasetEstimate | None = None
    """Good-Turing mass of behaviours that the pilot did not show."""
    novel_mass: DatasetEstimate | None = None
    """The candidate's mass on behaviours that no reference sample showed."""


class FreeEnergy(Document):
    """The free-energy decomposition; nats, KL is KL(q||p) with y ~ q."""

    kl: DatasetEstimate
    kl_k1: DatasetEstimate
    kl_per_token: DatasetEstimate
    kl_reverse: DatasetEstimate | None = None
    """KL(p||q) along reference draws, y ~ p."""
    kl_reverse_k1: DatasetEstimate | None = None
    kl_untruncated: UntruncatedKL | None = None
    tilt: DatasetEstimate
    drift: DatasetEstimate
    escape: DatasetEstimate
    retreat: DatasetEstimate | None = None
    drift_parts: DriftParts | None = None
    behaviours: Behaviours | None = None
    mean_energy: MeanEnergy
    matched_inverse_temperature: DatasetEstimate
    by_inverse_temperature: list[FreeEnergyAtBeta]
    response: list[ResponsePoint] | None = None
    entropy: SideEntropy | None = None
    by_position: list[PositionKL] | None = None
    certificate: Certificate | None = None
    closure: list[ClosureCheck]


class Analysis(Document):
    """An analysis."""

    id: str
    object: Literal["analysis"]
    kind: Literal["support", "free_energy", "capability", "trajectory"] | str
    name: str | None = None
    labels: dict[str, str]
    status: Literal["queued", "running", "cancelling", "succeeded", "failed", "cancelled", "expired"] | str
    partial: bool
    version: int
    revision: int
    """1, and one more for each time the analysis was extended."""
    result_revision: int | None = None
    """Of the result there is: that of before while an extension runs; null without."""
    progress: Progress
    spec: dict[str, Any]
    usage: Usage
    error: Problem | None = None
    errors: list[ItemError]
    created_at: str
    started_at: str | None = None
    finished_at: str | None = None
    deadline_at: str | None = None
    retained_until: str | None = None
    links: Links


class Import(Document):
    """An import: parsed by a worker; an analysis that names it waits for it."""

    id: str
    object: Literal["import"]
    format: Literal["lm-eval", "inspect", "jsonl", "openai-evals", "evalplus"] | str
    name: str | None = None
    status: Literal["queued", "running", "cancelling", "succeeded", "failed", "cancelled", "expired"] | str
    filter: str | None = None
    """The filter that was asked for."""
    sha256: str
    """Of the file as it arrived."""
    bytes: int
    summary: ImportSummary | None = None
    error: Problem | None = None
    warnings: list[Warning]
    created_at: str
    finished_at: str | None = None


class SignalList(Document):
    """Every signal."""

    object: Literal["list"]
    data: list[SignalDescription]
    has_more: bool
    next_cursor: str | None = None


class Compared(Document):
    """What one analysis found, or one checkpoint of a trajectory; what it did not compute is absent."""

    analysis_id: str
    name: str | None = None
    labels: dict[str, str]
    kind: Literal["support", "free_energy", "capability", "trajectory"] | str
    status: Literal["queued", "running", "cancelling", "succeeded", "failed", "cancelled", "expired"] | str
    partial: bool
    checkpoint: int | None = None
    """Of a trajectory: which checkpoint."""
    candidate: str | None = None
    """The checkpoint's model."""
    success: ComparedSuccess
    verdict: ComparedVerdict | None = None
    gain: Gain | None = None
    free_energy: ComparedFreeEnergy | None = None
    regimes: dict[str, int] | None = None


class PromptRow(Document):
    """What was found about one prompt."""

    prompt_id: str
    checkpoint: int | None = None
    """Of a trajectory: which checkpoint."""
    success_step: Estimate | None = None
    """With `score_neighbours`: as the checkpoint's, of this prompt; nats."""
    family: str | None = None
    split: str | None = None
    regime: (
        Literal["lost", "basin", "tail", "singular", "barrier", "unreached", "beyond", "undetermined"]
        | str
        | None
    ) = None
    confirmed: bool | None = None
    confirmation: list[Confirmation] | None = None
    gain: Estimate | None = None
    reference: SideRow
    candidate: SideRow | None = None
    kl: Estimate | None = None
    kl_reverse: Estimate | None = None
    tilt: Estimate | None = None
    drift: Estimate | None = None
    escape: Estimate | None = None
    drift_parts: DriftPartsRow | None = None
    behaviours: list[BehaviourRow] | None = None
    log_partition: list[FreeEnergyRow] | None = None
    arms: list[ArmRow] | None = None
    deciding_arm: str | None = None
    """The arm that decides the regime; null where the own policy does."""
    demonstrations: list[DemonstrationRow] | None = None
    kl_to_teacher: KLToTeacherRow | None = None
    """With demonstrations: KL(p‖π_D) and KL(q‖π_D), nats."""
    support_zeros: SupportZeros | None = None
    weights: WeightsRow | None = None
    """Where scored draws speak for the reference's success."""
    evidence: list[str]
    second_verifier: SecondVerifierRow | None = None
    samples_to_settle: int | None = None
    """Further samples that would settle it: 0 where it is settled, null if unknown."""


class Support(Document):
    """Reach of the sides, and the regimes of the prompts."""

    reference: SideSupport
    candidate: SideSupport | None = None
    arms: list[ArmSupport] | None = None
    regimes: dict[str, int] | None = None
    literature_rule: LiteratureRule | None = None
    retention: Retention | None = None
    crossing_k: Estimate | None = None


class AnalysisList(Document):
    """One page of analyses, newest first."""

    object: Literal["list"]
    data: list[Analysis]
    has_more: bool
    next_cursor: str | None = None


class ImportList(Document):
    """One page of imports, newest first."""

    object: Literal["list"]
    data: list[Import]
    has_more: bool
    next_cursor: str | None = None


class Comparison(Document):
    """Finished analyses in the order asked for; a trajectory gives one entry a checkpoint."""

    object: Literal["comparison"]
    data: list[Compared]
    warnings: list[Warning]
    """In what the requests differ beside the models compared."""


class PromptRowList(Document):
    """One page of prompt rows."""

    object: Literal["list"]
    data: list[PromptRow]
    has_more: bool
    next_cursor: str | None = None


class CheckpointResult(Document):
    """One checkpoint of a trajectory against the reference."""

    checkpoint: int
    candidate: str
    step: int | None = None
    shrinkage: CheckpointShrinkage
    success_step: DatasetEstimate | None = None
    """With `score_neighbours`: mean over prompts of log b minus that of the checkpoint before, or of the
    reference; nats, by BAR over the successes of both.
    """
    verdict: Verdict | None = None
    gain: Gain | None = None
    free_energy: FreeEnergy | None = None
    support: Support
    nulls: list[Null]
    diagnostics: Diagnostics
    warnings: list[Warning]


class ResultDocument(Document):
    """Everything one analysis found."""

    object: Literal["analysis.result"]
    analysis_id: str
    kind: Literal["support", "free_energy", "capability", "trajectory"] | str
    partial: bool
    revision: int | None = None
    """1, and one more for each time the analysis was extended."""
    frame: dict[str, Any]
    verdict: Verdict | None = None
    gain: Gain | None = None
    checkpoints: list[CheckpointResult] | None = None
    """Of a trajectory, in training order."""
    first_shrinkage: FirstShrinkage | None = None
    """First checkpoint at which shrinkage is certified, at alpha for the whole run."""
    support: Support
    free_energy: FreeEnergy | None = None
    demonstrations: Demonstrations | None = None
    nulls: list[Null]
    diagnostics: Diagnostics
    usage: dict[str, Any]
    warnings: list[Warning]
