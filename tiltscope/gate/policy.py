"""What a gate demands: a policy file, checked line by line."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tiltscope.errors import UsageError
from tiltscope.gate.yaml_lines import Lines, load

Require = Literal["certified", "not_violated", "point"]
REQUIRE_HELP = (
    "`certified`: the whole interval keeps the bound; an interval across it cannot certify. `not_violated`: "
    "fails only where the whole interval breaks the bound. `point`: looks at the value alone."
)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Rule(_Strict):
    """What every rule has."""

    on_failure: Annotated[
        Literal["fail", "warn"], Field(description="Whether breaking it fails the gate or is only reported.")
    ] = "fail"


class Bound(Rule):
    """A bound on an estimate: at least one of `min` and `max`."""

    min: Annotated[float | None, Field(description="Least value, in the estimate's own unit.")] = None
    max: Annotated[float | None, Field(description="Greatest value, in the estimate's own unit.")] = None
    require: Annotated[Require | None, Field(description="Overrides the policy's `require`.")] = None
    accept_unreliable: Annotated[
        bool, Field(description="Let an estimate of status `unreliable` certify; by default it cannot.")
    ] = False

    @model_validator(mode="after")
    def _bounds_something(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("give `min` or `max`, or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"`min` ({self.min:g}) is above `max` ({self.max:g}): nothing can pass")
        return self


class VerdictRule(Rule):
    """Which verdicts pass; `inconclusive` cannot certify unless it is allowed."""

    allow: Annotated[
        list[Literal["elicitation", "creation", "mixed", "inconclusive"]],
        Field(min_length=1, description="Verdicts that pass."),
    ]


class Policy(_Strict):
    """A gate's policy."""

    version: Annotated[Literal[1], Field(description="Of this format.")]
    require: Annotated[Require, Field(description=REQUIRE_HELP)] = "certified"
    verdict: VerdictRule | None = None
    gain: Annotated[Bound | None, Field(description="`gain.total`, in success probability.")] = None
    created_share: Annotated[
        Bound | None,
        Field(
            description="Share of the gain that is created: from the lower bound's to the upper bound's end."
        ),
    ] = None
    shrinkage: Annotated[
        Bound | None, Field(description="Success probability lost where the reference reached: -`gain.lost`.")
    ] = None
    drift: Annotated[Bound | None, Field(description="`free_energy.drift`, nats a sequence.")] = None
    estimates: Annotated[
        dict[str, Bound],
        Field(description="Bounds by path, such as `support.candidate.pass_at_k[k=8].estimate`."),
    ] = {}
    accept_partial: Annotated[
        bool, Field(description="Let a result that lacks some items certify; by default it cannot.")
    ] = False
    analyses: Annotated[
        list[str],
        Field(description="Names of analyses that must be among those gated; a missing one cannot certify."),
    ] = []
    trajectory: Annotated[
        Literal["last", "every"], Field(description="Which checkpoints of a trajectory have to pass.")
    ] = "last"

    @model_validator(mode="after")
    def _demands_something(self) -> Self:
        rules = (self.verdict, self.gain, self.created_share, self.shrinkage, self.drift)
        if not self.estimates and all(rule is None for rule in rules):
            raise ValueError(
                "the policy has no rule; add one of verdict, gain, created_share, shrinkage, drift, estimates"
            )
        return self


def read_policy(path: Path) -> Policy:
    """A policy from its file.

    Raises:
        UsageError: it cannot be read or means nothing; every fault has its line.
    """
    content, lines = load(path)
    try:
        return Policy.model_validate(content)
    except ValidationError as error:
        faults = sorted(_fault(path, lines, fault) for fault in error.errors())
        raise UsageError("\n".join(text for _, text in faults)) from error


def _fault(path: Path, lines: Lines, fault: Any) -> tuple[int, str]:
    place = tuple(fault["loc"])
    line = lines.of(place)
    where = ".".join(str(step) for step in place)
    return line, f"{path}:{line}: {where + ': ' if where else ''}{_sentence(fault)}"


def _sentence(fault: Any) -> str:
    if fault["type"] == "extra_forbidden":
        model = Policy if len(fault["loc"]) == 1 else VerdictRule if fault["loc"][0] == "verdict" else Bound
        return f"no such field; there are {', '.join(model.model_fields)}"
    if fault["type"] == "missing":
        return "is required"
    return str(fault["msg"]).removeprefix("Value error, ")
