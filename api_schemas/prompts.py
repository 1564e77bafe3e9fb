"""Prompts: what is asked, and what counts as an answer."""

from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, StringConstraints, Tag, model_validator

from api_schemas.base import Document, JsonObject
from api_schemas.ids import DATASET_ID

MAX_INLINE_PROMPTS = 1_000
"""Inline prompts a request: more belong in a data set, so that a retry does not resend megabytes."""

MAX_PROMPT_CHARACTERS = 200_000
"""Characters a prompt: above any context a registered model has, below what exhausts a gateway."""

MAX_TEST_CHARACTERS = 50_000
"""Characters of a prompt's tests: above the longest of the public code benchmarks."""

MAX_DEMONSTRATIONS = 64
"""Demonstrations of one prompt: each is read by both models, and a mean over prompts gains little more."""

MAX_DEMONSTRATION_CHARACTERS = 100_000
"""Characters of a demonstration, as of an audited text."""

PromptText = Annotated[str, StringConstraints(min_length=1, max_length=MAX_PROMPT_CHARACTERS)]


class Message(Document):
    """One turn of a chat prompt."""

    role: Literal["system", "user", "assistant"]
    content: PromptText


class DemonstratedText(Document):
    """A completion that shows what is wanted (signal `demonstrations`)."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=MAX_DEMONSTRATION_CHARACTERS)] = Field(
        description="Without EOS, which is added.", examples=["42"]
    )
    logprob: Annotated[float, Field(le=0.0, ge=-1e9)] | None = Field(
        None,
        description="log π_D(y), nats: of the text and its end under the law it was drawn from, if that is "
        "known. KL(π_D‖·) and coverage need it.",
    )


class Prompt(Document):
    """One prompt, as raw text or as chat messages, with its accepted answers."""

    id: Annotated[str, StringConstraints(min_length=1, max_length=200)] = Field(examples=["p1"])
    prompt: PromptText | None = Field(
        None,
        description="Encoded by the tokenizer's own defaults, without a chat template.",
        examples=["12+30="],
    )
    messages: Annotated[list[Message], Field(min_length=1, max_length=200)] | None = Field(
        None, description="Encoded by the tokenizer's chat template with a generation prompt."
    )
    answer: Annotated[str, StringConstraints(max_length=10_000)] | None = Field(None, examples=["42"])
    answers: (
        Annotated[
            list[Annotated[str, StringConstraints(max_length=10_000)]], Field(min_length=1, max_length=100)
        ]
        | None
    ) = None
    choices: (
        Annotated[
            list[Annotated[str, StringConstraints(min_length=1, max_length=10_000)]],
            Field(min_length=2, max_length=26),
        ]
        | None
    ) = Field(
        None,
        description="The options of a multiple-choice prompt, in order: A, B, C, … (signal `choice`).",
        examples=[["Paris", "Rome"]],
    )
    tests: Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEST_CHARACTERS)] | None = Field(
        None,
        description="Python that runs after the completion and raises if it is wrong (signal `python`).",
        examples=["assert add(1, 2) == 3"],
    )
    demonstrations: (
        Annotated[list[DemonstratedText], Field(min_length=1, max_length=MAX_DEMONSTRATIONS)] | None
    ) = Field(None, description="Completions drawn from the law that was learnt (signal `demonstrations`).")
    family: Annotated[str, StringConstraints(max_length=200)] | None = Field(
        None, description="Prompts of one family are resampled together.", examples=["add2"]
    )
    split: Annotated[str, StringConstraints(max_length=100)] | None = Field(None, examples=["heldout"])
    metadata: JsonObject | None = None

    @model_validator(mode="after")
    def _one_text_and_one_key(self) -> Self:
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("give exactly one of `prompt` and `messages`")
        if self.answer is not None and self.answers is not None:
            raise ValueError("give at most one of `answer` and `answers`")
        return self


class DatasetPrompts(Document):
    """Prompts kept under an id: see POST /v1/datasets."""

    dataset: Annotated[str, StringConstraints(pattern=DATASET_ID)] = Field(
        examples=["ds_01JD8ZC6Q5V6TQ3N4R5S6T7V8W"]
    )


class InlinePrompts(Document):
    """Prompts carried in the request itself."""

    inline: Annotated[list[Prompt], Field(min_length=1, max_length=MAX_INLINE_PROMPTS)]


def _where(value: object) -> str:
    if isinstance(value, DatasetPrompts) or (isinstance(value, dict) and "dataset" in value):
        return "dataset"
    return "inline"


Prompts = Annotated[
    Annotated[InlinePrompts, Tag("inline")] | Annotated[DatasetPrompts, Tag("dataset")],
    Discriminator(_where),
]
"""In the request itself, or in a data set."""
