"""Arms: other ways to sample the reference than the analysis's own policy and rendering."""

import re
from collections.abc import Sequence
from string import Formatter
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema, model_validator

from api_schemas.base import Document
from api_schemas.policies import MinP, NewTokens, Policy, Stops, Temperature, TopK, TopP
from api_schemas.prompts import PromptText

MAX_ARMS: Final = 16
"""Arms of an analysis: each must be ruled out with draws of its own wherever creation is claimed."""

MAX_DEMONSTRATIONS: Final = 64
"""Worked examples of an arm: more than few-shot prompts use, few enough to send with a request."""

MAX_TEXT: Final = 100_000
"""Characters of a prefix or template: longer than any hint, shorter than most contexts."""

ARM_NAME: Final = r"^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$"
UNTRUNCATED: Final = "untruncated"
"""Name of the arm at temperature 1 without truncation that is added where none covers it."""

METADATA: Final = "metadata."
ArmRole = Literal["elicitation", "assisted"]
ChatTemplateOf = Literal["reference", "candidate"]


def _arm_name(value: str) -> str:
    if re.fullmatch(ARM_NAME, value) is None:
        raise ValueError("an arm's name has up to 64 letters, digits, '.', '_' and '-', as in `few-shot`")
    return value


def template_fields(template: str) -> list[str]:
    """What a template fills in: `prompt`, and `metadata.KEY` for values of the prompt's metadata.

    Raises:
        ValueError: it is no template, or fills in something else.
    """
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        raise ValueError(f"no template: {error}; write a literal brace twice, as {{{{ or }}}}") from None
    fields = []
    for _, name, spec, conversion in parts:
        if name is None:
            continue
        known = name == "prompt" or (name.startswith(METADATA) and len(name) > len(METADATA))
        if not known or spec or conversion:
            raise ValueError(
                "a template fills in {prompt}, and {metadata.KEY} for values of a prompt's `metadata`, and "
                "nothing else; write a literal brace twice, as {{ or }}"
            )
        fields.append(name)
    return fields


def _template(value: str) -> str:
    if "prompt" not in template_fields(value):
        raise ValueError("a template says where the prompt goes: it needs {prompt}")
    return value


ArmName = Annotated[str, AfterValidator(_arm_name), WithJsonSchema({"type": "string", "pattern": ARM_NAME})]
ArmText = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT)]


class Demonstration(Document):
    """A worked example."""

    prompt: PromptText
    completion: PromptText


class ArmPolicy(Document):
    """What an arm changes of the analysis's policy; what is left out stays as there."""

    temperature: (
        Temperature | Annotated[list[Temperature], Field(min_length=1, max_length=MAX_ARMS)] | None
    ) = Field(
        None,
        description="A list is a grid: one arm for each, named `NAME-TEMPERATURE`.",
        examples=[[0.7, 1.3]],
    )
    top_k: TopK | None = None
    top_p: TopP | None = None
    min_p: MinP | None = None
    max_new_tokens: NewTokens | None = None
    stop: Stops | None = None

    def over(self, policy: Policy) -> "list[ArmPolicy]":
        """The whole policy, gaps filled from the analysis's; one for each temperature of a grid."""
        given = self.model_dump(exclude_none=True)
        grid = self.temperature if isinstance(self.temperature, list) else None
        filled = {**policy.model_dump(), **given}
        laws = [{**filled, "temperature": t} for t in grid] if grid is not None else [filled]
        return [ArmPolicy.model_validate(law) for law in laws]


class Arm(Document):
    """One way to sample the reference.

    A prompt is rendered as `prefix`, then each demonstration, filled into `template` like the prompt, with
    its completion and `separator`, then the prompt filled into `template`. In a prompt of `messages`,
    `template` fills the last message, demonstrations are turns before the conversation, and `prefix` opens
    the first message that is not the system's.
    """

    name: ArmName = Field(examples=["few-shot"])
    role: ArmRole = Field(
        description="`elicitation`: no knowledge is added. `assisted`: a hint, a tool's answer or the like."
    )
    policy: ArmPolicy | None = None
    prefix: ArmText | None = Field(None, examples=["Think step by step. "])
    template: Annotated[ArmText, AfterValidator(_template)] | None = Field(
        None,
        description="A format string: {prompt} is the prompt, {metadata.KEY} a value of its `metadata`.",
        examples=["Hint: {metadata.hint}\n{prompt}"],
    )
    chat_template: ChatTemplateOf | None = Field(
        None, description="Render through this model's chat template; a plain prompt becomes a user's turn."
    )
    format_repair: bool = Field(
        False,
        description="Open the prompt with a ready-made instruction on the form in which the signal reads "
        "answers, and no word of what is right. It becomes the arm's `prefix`.",
    )
    demonstrations: Annotated[list[Demonstration], Field(max_length=MAX_DEMONSTRATIONS)] = Field(default=[])
    separator: Annotated[str, StringConstraints(max_length=1_000)] = "\n\n"

    @model_validator(mode="after")
    def _demonstrations_have_no_metadata(self) -> Self:
        if self.demonstrations and self.template and len(set(template_fields(self.template))) > 1:
            raise ValueError("demonstrations have no metadata that the template could fill in")
        return self

    @model_validator(mode="after")
    def _repair_adds_no_knowledge(self) -> Self:
        if self.format_repair and self.role != "elicitation":
            raise ValueError("`format_repair` adds no knowledge: the arm's role is `elicitation`")
        return self

    @property
    def renders_plainly(self) -> bool:
        """Whether prompts are rendered as in the analysis itself."""
        plain = self.template in (None, "{prompt}")
        words = self.prefix or self.format_repair or self.demonstrations
        return plain and not words and self.chat_template is None

    def expanded(self, policy: Policy) -> list["Arm"]:
        """The arm with its policy filled in from the analysis's, once for each temperature of a grid."""
        given = self.policy or ArmPolicy()
        filled = given.over(policy)
        if not isinstance(given.temperature, list):
            return [self.model_copy(update={"policy": filled[0]})]
        return [
            self.model_copy(update={"name": f"{self.name}-{law.temperature:g}", "policy": law})
            for law in filled
        ]


def repaired(arm: Arm, instruction: str) -> Arm:
    """A format-repair arm with its instruction as the prefix; any other arm as it is."""
    wordless = arm.format_repair and arm.prefix is None
    return arm.model_copy(update={"prefix": instruction}) if wordless else arm


def is_untruncated(policy: Policy | ArmPolicy) -> bool:
    """Whether every token keeps its probability: temperature 1, nothing cut."""
    law = (policy.temperature, policy.top_k, policy.top_p, policy.min_p)
    return law == (1.0, 0, 1.0, 0.0)


def covers_untruncated(policy: Policy, arms: Sequence[Arm]) -> bool:
    """Whether the policy or an expanded elicitation arm samples the plain prompt at temperature 1, uncut."""
    return is_untruncated(policy) or any(is_plain_and_untruncated(arm) for arm in arms)


def is_plain_and_untruncated(arm: Arm) -> bool:
    """Whether an expanded arm is the one that always counts."""
    plain = arm.role == "elicitation" and arm.renders_plainly
    return plain and arm.policy is not None and is_untruncated(arm.policy)


def untruncated_arm(policy: Policy) -> Arm:
    """The arm at temperature 1 without truncation, with the policy's stops and length."""
    law = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}
    filled = ArmPolicy.model_validate({**policy.model_dump(), **law})
    return Arm(name=UNTRUNCATED, role="elicitation", policy=filled)
