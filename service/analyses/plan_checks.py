"""Whether prompts can be told apart and the plan is one the service would run."""

from collections.abc import Iterator, Sequence

from api_schemas.prompts import Prompt
from api_schemas.requests import AnalysisRequest
from service.analyses.findings import Finding
from service.analyses.model_checks import sides
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
    streams = prompts * len(sides(request))
    if each * streams <= max_samples:
        return
    affordable = max_samples // streams
    yield Finding(
        "too_many_samples",
        f"{each:,} samples for each of {prompts:,} prompts and {len(sides(request))} "
        f"sides are {each * streams:,}, more than the {max_samples:,} an analysis may plan; allow at most "
        f"{affordable:,} here, or ask about fewer prompts",
        f"/budget/{field}",
    )


def _check_tokens(request: AnalysisRequest, prompts: int) -> Iterator[Finding]:
    """The pilot is drawn whole or not at all, so a token budget has to hold it."""
    limit, each = request.budget.max_total_tokens, request.policy.max_new_tokens
    samples = request.budget.samples_per_prompt
    count = len(sides(request))
    pilot = prompts * count * samples * each
    if limit is None or pilot <= limit:
        return
    yield Finding(
        "too_few_tokens",
        f"the pilot alone may take {pilot:,} tokens: {samples:,} samples for each of {prompts:,} prompts and "
        f"{count} sides, up to {each:,} tokens each. Raise max_total_tokens from {limit:,} to that, lower "
        "samples_per_prompt or max_new_tokens, or leave the limit out",
        "/budget/max_total_tokens",
    )
