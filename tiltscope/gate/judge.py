"""A policy held against results."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

from tiltscope.document import EstimateDocument
from tiltscope.gate.policy import Bound, Policy, Require, VerdictRule
from tiltscope.result import estimates_below

Outcome = Literal["passed", "failed", "uncertified"]
PATHS = {"gain": "gain.total", "drift": "free_energy.drift"}


@dataclass(frozen=True, slots=True)
class Subject:
    """What is gated: a result, or a checkpoint of a trajectory.

    Attributes:
        name: For people.
        content: The result document, or the part of it, as JSON.
        partial: Whether the result lacks items.
    """

    name: str
    content: Mapping[str, Any]
    partial: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule held against one subject.

    Attributes:
        subject: Its name.
        rule: What was demanded.
        outcome: Whether it holds, is broken, or cannot be certified either way.
        detail: By what.
        counts: Whether it decides about the gate, or is only reported.
    """

    subject: str
    rule: str
    outcome: Outcome
    detail: str
    counts: bool = True


@dataclass(frozen=True, slots=True)
class Interval:
    """What is known of a quantity: ends may be infinite."""

    low: float
    high: float
    value_low: float
    value_high: float

    @classmethod
    def of(cls, lower: EstimateDocument, upper: EstimateDocument) -> "Interval":
        """From the estimate of a quantity, or from those of its identified lower and upper bound."""
        infinity = float("inf")
        low = -infinity if lower.ci_low is None else lower.ci_low
        high = infinity if upper.ci_high is None else upper.ci_high
        value_low = low if lower.value is None else lower.value
        value_high = high if upper.value is None else upper.value
        return cls(low, high, value_low, value_high)

    def negated(self) -> "Interval":
        """Of minus the quantity."""
        return Interval(-self.high, -self.low, -self.value_high, -self.value_low)

    def __str__(self) -> str:
        values = dict.fromkeys(f"{value + 0.0:.4g}" for value in (self.value_low, self.value_high))
        return f"{' to '.join(values)} [{self.low + 0.0:.4g}, {self.high + 0.0:.4g}]"


def subjects_of(name: str, content: Mapping[str, Any], policy: Policy) -> list[Subject]:
    """A result as what is gated: itself, or the checkpoints of its trajectory that count."""
    partial = bool(content.get("partial"))
    checkpoints = content.get("checkpoints")
    if not checkpoints:
        return [Subject(name, content, partial)]
    chosen = checkpoints if policy.trajectory == "every" else checkpoints[-1:]
    return [Subject(f"{name} / {_candidate(checkpoint)}", checkpoint, partial) for checkpoint in chosen]


def _candidate(checkpoint: Mapping[str, Any]) -> str:
    side = checkpoint.get("candidate")
    return str(side.get("model", side)) if isinstance(side, Mapping) else str(side)


def judge(policy: Policy, subjects: Iterable[Subject], names: Iterable[str] = ()) -> list[Finding]:
    """Every rule against every subject.

    Args:
        policy: What is demanded.
        subjects: What is gated.
        names: Names of the gated analyses, for the policy's list of those that must be there.
    """
    present = set(names)
    findings = [
        Finding(name, "is among the gated analyses", "uncertified", "it is missing")
        for name in policy.analyses
        if name not in present
    ]
    for subject in subjects:
        findings += _findings(policy, subject)
    return findings


def _findings(policy: Policy, subject: Subject) -> Iterator[Finding]:
    if subject.partial and not policy.accept_partial:
        yield Finding(
            subject.name, "is complete", "uncertified", "the result is partial: some items are missing"
        )
    if policy.verdict is not None:
        yield _verdict(policy.verdict, subject)
    estimates = dict(estimates_below(subject.content))
    rules: dict[str, Bound | None] = {
        "gain": policy.gain,
        "created_share": policy.created_share,
        "shrinkage": policy.shrinkage,
        "drift": policy.drift,
        **policy.estimates,
    }
    for name, bound in rules.items():
        if bound is not None:
            yield _bound(name, bound, bound.require or policy.require, estimates, subject.name)


def _verdict(rule: VerdictRule, subject: Subject) -> Finding:
    demanded = f"verdict is {' or '.join(rule.allow)}"
    counts = rule.on_failure == "fail"
    verdict = subject.content.get("verdict")
    if not isinstance(verdict, Mapping):
        return Finding(subject.name, demanded, "uncertified", "the result has no verdict", counts)
    label = verdict["label"]
    reasons = "; ".join(verdict.get("reasons") or ())
    detail = f"{label}{': ' + reasons if reasons else ''}"
    if label in rule.allow:
        return Finding(subject.name, demanded, "passed", detail, counts)
    outcome: Outcome = "uncertified" if label == "inconclusive" else "failed"
    return Finding(subject.name, demanded, outcome, detail, counts)


def _bound(
    name: str, bound: Bound, require: Require, estimates: Mapping[str, EstimateDocument], subject: str
) -> Finding:
    demanded = f"{name} {_demand(bound)}" + ("" if require == "certified" else f" ({require})")
    counts = bound.on_failure == "fail"
    paths = _paths(name)
    missing = [path for path in paths if path not in estimates]
    if missing:
        return Finding(subject, demanded, "uncertified", _missing(missing[0], estimates), counts)
    found = [estimates[path] for path in paths]
    interval = Interval.of(found[0], found[-1])
    if name == "shrinkage":
        interval = interval.negated()
    for estimate in found:
        if estimate.value is None or (estimate.status == "unreliable" and not bound.accept_unreliable):
            detail = (
                f"{interval}, {estimate.status}: {estimate.reason}"
                if estimate.value is not None
                else (f"{estimate.status}: {estimate.reason}")
            )
            return Finding(subject, demanded, "uncertified", detail, counts)
    return Finding(
        subject, demanded, _outcome(bound, require, interval), f"{interval} {found[0].unit}", counts
    )


def _outcome(bound: Bound, require: Require, interval: Interval) -> Outcome:
    least = -float("inf") if bound.min is None else bound.min
    greatest = float("inf") if bound.max is None else bound.max
    if require == "point":
        return "passed" if least <= interval.value_low and interval.value_high <= greatest else "failed"
    if interval.high < least or interval.low > greatest:
        return "failed"
    if require == "not_violated" or (least <= interval.low and interval.high <= greatest):
        return "passed"
    return "uncertified"


def _demand(bound: Bound) -> str:
    parts = [] if bound.min is None else [f"≥ {bound.min:g}"]
    return " and ".join(parts + ([] if bound.max is None else [f"≤ {bound.max:g}"]))


def _paths(name: str) -> list[str]:
    if name == "created_share":
        return ["verdict.creation_share.lower", "verdict.creation_share.upper"]
    return ["gain.lost"] if name == "shrinkage" else [PATHS.get(name, name)]


def _missing(path: str, estimates: Mapping[str, EstimateDocument]) -> str:
    near = get_close_matches(path, estimates, n=1)
    return f"the result has no {path}" + (f"; did you mean {near[0]}?" if near else "")


def overall(findings: Iterable[Finding]) -> Outcome:
    """What the gate says: broken, else not certified, else passed."""
    outcomes = {finding.outcome for finding in findings if finding.counts}
    return "failed" if "failed" in outcomes else "uncertified" if "uncertified" in outcomes else "passed"
