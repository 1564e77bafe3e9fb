"""Streams: who draws, under which policy, from which rendering of a prompt."""

from dataclasses import dataclass
from typing import Any, Literal

from workers.engines.policy import Policy
from workers.pipelines.rendering import PLAIN, Demonstration, Rendering

ARM = "arm:"
UNTRUNCATED = "untruncated"
DEMONSTRATIONS = "demonstrations"
Role = Literal["reference", "candidate", "elicitation", "assisted", "untruncated", "demonstrations"]
CHECKPOINT = "candidate:"


@dataclass(frozen=True, slots=True)
class Stream:
    """Samples that share a model, a policy and a rendering; no two streams share draws.

    Attributes:
        name: Part of every stream key: `reference`, `candidate`, `arm:few-shot`.
        role: A side of the analysis, an arm of the reference, draws of the candidate at temperature 1 without
            truncation, from which a KL is estimated that the policy's own draws do not have, or texts that
            the request brings and nobody draws.
        participant: Stream of the side whose model draws; a side's own name.
        policy: The decoding policy.
        rendering: How prompts become text.
        repairs_format: Whether it is an arm that says in which form the signal reads answers.
    """

    name: str
    role: Role
    participant: str
    policy: Policy
    rendering: Rendering = PLAIN
    repairs_format: bool = False

    @property
    def draws_as(self) -> str:
        """The stream's name in its keys: a checkpoint draws what it draws as the candidate of an analysis."""
        return "candidate" if self.role == "candidate" else self.name

    @property
    def is_arm(self) -> bool:
        """Whether it is another way to sample the reference, and no side of its own."""
        return self.role in ("elicitation", "assisted")

    @property
    def is_side(self) -> bool:
        """Whether it is one of the models that are compared, under the policy of the request."""
        return self.role in ("reference", "candidate")

    @property
    def arm(self) -> str:
        """The arm's name in the request; empty for a side."""
        return self.name.removeprefix(ARM) if self.is_arm else ""

    @property
    def covers_untruncated(self) -> bool:
        """Whether it draws plain prompts at temperature 1 without truncation, the arm that always counts."""
        law = not self.policy.is_truncating and self.policy.temperature == 1.0
        return law and self.rendering == PLAIN and self.role != "assisted"

    @property
    def cost(self) -> tuple[int, int]:
        """What orders arms, cheapest first: tokens that may be drawn, then characters that are read."""
        return self.policy.max_new_tokens, self.rendering.added


def side_of(name: str, role: Literal["reference", "candidate"], policy: Policy) -> Stream:
    """The stream of a side."""
    return Stream(name, role, name, policy)


def untruncated_of(participant: str, policy: Policy) -> Stream:
    """The stream of a side's draws at temperature 1 without truncation, as long as the policy's."""
    raw = Policy(max_new_tokens=policy.max_new_tokens, stop=policy.stop)
    return Stream(UNTRUNCATED, "untruncated", participant, raw)


def demonstrations_of(reference: str, policy: Policy) -> Stream:
    """The stream of the request's demonstrations, as the reference would write them."""
    return Stream(DEMONSTRATIONS, "demonstrations", reference, policy)


def arm_of(arm: dict[str, Any], reference: str) -> Stream:
    """The stream of an arm that the gateway wrote out: its policy is whole."""
    policy = {**arm["policy"], "stop": tuple(arm["policy"]["stop"])}
    rendering = Rendering(
        prefix=arm["prefix"] or "",
        template=arm["template"] or "{prompt}",
        demonstrations=tuple(Demonstration(d["prompt"], d["completion"]) for d in arm["demonstrations"]),
        separator=arm["separator"],
        chat_template=arm["chat_template"],
    )
    repairs = arm.get("format_repair", False)
    return Stream(ARM + arm["name"], arm["role"], reference, Policy(**policy), rendering, repairs)
