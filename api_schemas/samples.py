"""Samples: what each side wrote for each prompt, and how it was judged."""

from typing import Annotated, Literal

from pydantic import Field

from api_schemas.base import Document

Outcome = Literal["correct", "incorrect", "unparsed", "truncated", "verifier_error"]


class Sample(Document):
    """One completion; its token ids and their log-probabilities are in `samples.parquet`."""

    prompt_id: Annotated[str, Field(examples=["p1"])]
    side: Annotated[
        str, Field(description="Whose: `reference`, `candidate` or an arm.", examples=["candidate"])
    ]
    index: Annotated[int, Field(description="Number of the draw, from 0, per prompt and side.")]
    text: str
    finish_reason: Annotated[str, Field(description="`eos`, `stop` or `length`.", examples=["eos"])]
    outcome: Annotated[Outcome | None, Field(description="None if it was not judged.")]
    reward: float | None
    behaviour: Annotated[
        str | None, Field(description="What kind of success this is, where the signal says.")
    ]
    detail: Annotated[str | None, Field(description="Why the verifier decided so, where it says.")]
    tokens: Annotated[int | None, Field(description="None for an imported sample.")]
    logprob: Annotated[
        float | None,
        Field(description="Of the completion under the policy it was drawn by; nats."),
    ]


class SampleList(Document):
    """One page of samples, by side, prompt and draw."""

    object: Literal["list"]
    data: list[Sample]
    has_more: bool
    next_cursor: str | None
