"""Whether prompts can be told apart and the plan is one the service would run."""

from collections.abc import Iterator, Sequence

from api_schemas.prompts import Prompt
from api_schemas.requests import AnalysisRequest
from service.analyses.findings import Finding
from service.analyses.model_checks import imported_sides, sides
from service.analyses.prompt_source import PromptSource


def check_plan(request: AnalysisRequest, source: PromptSource, *, max_samples: int) -> list[Finding]:
    """Check the ids of the prompts and the number of samples that may be drawn.

    Args:
        request: The request.
        source: Its prompts.
        max_samples: Samples an analysis may plan, over prompts and sides.
    """
    return [
        *_check_ids(source.inline),
        *_check_samples(request, source.count, max_samples),
        *_check_tokens(request, source.count),
    ]


def _check_ids(prompts: Sequence[Prompt]) -> Iterator[Finding]:
    first: dict[str, int] = {}
    for index, prompt in enumerate(prompts):
        if prompt.id in first:
            yield Finding(
                "duplicate_prompt_id",
                f"the id `{prompt.id}` is already that of prompt {first[prompt.id]}; ids tell prompts apart, "
                "so give this one another (equal texts are fine)",
                f"/prompts/inline/{index}/id",
            )
        else:
            first[prompt.id] = index


def _check_samples(request: AnalysisRequest, prompts: int, max_samples: int) -> Iterator[Finding]:
    field = "max_samples_per_prompt" if request.budget.adaptive else "samples_per_prompt"
    each: int = getattr(request.budget, field)
    drawing = len(sides(request)) + len(request.arms)
    streams = prompts * drawing
    if not streams or each * streams <= max_samples:
        return
    affordable = max_samples // streams
    yield Finding(
        "too_many_samples",
        f"{each:,} samples for each of {prompts:,} prompts and {drawing} "
        f"{_drawing(request)} are {each * streams:,}, more than the {max_samples:,} an analysis may plan; "
        f"allow at most {affordable:,} here, or ask about fewer prompts",
        f"/budget/{field}",
    )


def _check_tokens(request: AnalysisRequest, prompts: int) -> Iterator[Finding]:
    """The pilot is drawn whole or not at all, so a token budget has to hold it."""
    limit, samples = request.budget.max_total_tokens, request.budget.samples_per_prompt
    lengths = side_lengths(request) + arm_lengths(request) * arms_have_pilots(request)
    count = len(lengths)
    pilot = prompts * (samples * sum(lengths) + untruncated_draws(request) * request.policy.max_new_tokens)
    if limit is None or pilot <= limit:
        return
    yield Finding(
        "too_few_tokens",
        f"the pilot alone may take {pilot:,} tokens: {samples:,} samples for each of {prompts:,} prompts and "
        f"{count} {_drawing(request, count)}, up to {max(lengths):,} tokens each. Raise max_total_tokens "
        f"from {limit:,} to that, lower samples_per_prompt or max_new_tokens, or leave the limit out",
        "/budget/max_total_tokens",
    )


def side_lengths(request: AnalysisRequest) -> list[int]:
    """New tokens a sample of each side may have."""
    return [request.policy.max_new_tokens] * len(sides(request))


def arm_lengths(request: AnalysisRequest) -> list[int]:
    """New tokens a sample of each arm may have."""
    return [
        (arm.policy and arm.policy.max_new_tokens) or request.policy.max_new_tokens for arm in request.arms
    ]


def proposing_arms(request: AnalysisRequest) -> int:
    """Arms of a completed request that may speak for the reference's own policy.

    An elicitation arm that samples end under as under the analysis's; see `AnalysisSpec.proposing`.
    """
    own = (request.policy.max_new_tokens, set(request.policy.stop))
    laws = [arm.policy for arm in request.arms if arm.role == "elicitation"]
    return sum(law is not None and (law.max_new_tokens, set(law.stop or ())) == own for law in laws)


def untruncated_draws(request: AnalysisRequest) -> int:
    """Untruncated draws a prompt, for a KL that exists under a truncated policy."""
    policy = request.policy
    truncates = policy.top_k > 0 or policy.top_p < 1 or policy.min_p > 0
    scored = request.candidate is not None and not imported_sides(request)
    wanted = truncates and request.kind != "support" and scored
    return request.budget.untruncated_samples_per_prompt if wanted else 0


def arms_have_pilots(request: AnalysisRequest) -> bool:
    """Whether every arm draws a pilot of every prompt, rather than where creation is claimed."""
    return request.kind == "support" or not request.budget.adaptive


def _drawing(request: AnalysisRequest, count: int | None = None) -> str:
    shown = bool(request.arms) and (count is None or count > len(sides(request)))
    return "sides and arms" if shown else "sides"
