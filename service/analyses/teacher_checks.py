"""Whether a teacher is the only source of its demonstrations' probabilities."""

from collections.abc import Iterable, Iterator

from api_schemas.prompts import Prompt
from api_schemas.requests import AnalysisRequest
from service.analyses.findings import Finding


def check_teacher(request: AnalysisRequest, prompts: Iterable[Prompt]) -> Iterator[Finding]:
    """Check that no demonstration brings a probability that the teacher gives too.

    The two would have to agree, and a KL to the teacher beside a KL from another law would mislead.

    Args:
        request: The request.
        prompts: Its prompts, in order; a finding is at its place as if they were inline.
    """
    if request.teacher is None:
        return
    for index, prompt in enumerate(prompts):
        for number, one in enumerate(prompt.demonstrations or ()):
            if one.logprob is not None:
                yield Finding(
                    "demonstrations_law_named_twice",
                    f"demonstration {number} of prompt `{prompt.id}` has a `logprob`, and `teacher` scores "
                    "it too: two sources of one probability may disagree. Leave out one of the two",
                    f"/prompts/inline/{index}/demonstrations/{number}/logprob",
                )
                break
