"""The verdict on a data set: elicitation, creation, mixed or inconclusive.

Rules in their order, from the design page "What Tiltscope measures", section 5. The verdict is about the
listed prompts, so every bound here resamples samples within prompts. It says what the samples show, never
what a model cannot do.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from workers.estimators.decision import Decision
from workers.estimators.estimate import Estimate
from workers.estimators.findings import NEWS, Finding, format_repair, regression, shrinkage
from workers.estimators.gain import CREATED, ELICITED, UNDETERMINED, CrossFit, PromptRecord, cross_fit
from workers.estimators.regimes import classify_regime, reference_class
from workers.estimators.share import CreationShare, GainSplit, Shares, data_set_shares
from workers.estimators.sign_flip import sign_flip_test
from workers.estimators.unsettled import samples_to_settle_prompts
from workers.estimators.unusable import Side, move_unusable, unusable_share

Label = Literal["elicitation", "creation", "mixed", "inconclusive"]
HELD_OUT: Final = frozenset({"heldout", "held-out", "held_out", "test", "eval", "evaluation"})
GAIN_LEVEL: Final = 0.001
MOVES: Final[dict[frozenset[Side], str]] = {
    frozenset({"reference"}): "the reference's",
    frozenset({"candidate"}): "the candidate's",
    frozenset({"reference", "candidate"}): "both sides'",
}
NOT_REACHED: Final = "not reached by this reference under this policy, signal and budget"


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """The verdict at another K_probe."""

    k_probe: int
    label: Label
    lower: Estimate
    upper: Estimate


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision and what it rests on.

    Attributes:
        label: The outcome.
        gain: The split of the gain.
        creation_share: The partially identified creation share.
        findings: Shrinkage and regression first, then how the candidate moved.
        reasons: Why the label, in plain words; shrinkage and regression lead, other findings follow.
        by_k_probe: The verdict as a curve over K_probe.
        gain_p_value: One-sided sign-flip p-value for a gain among the prompts that are not lost.
        undetermined_share: Undetermined |gain| over all |gain|.
        certified_elicited: Prompts in reach of the reference whose bound of b exceeds that of a.
        certified_created: Confirmed created prompts.
        samples_to_settle: Further samples that would settle the undetermined classes, where known.
    """

    label: Label
    gain: GainSplit
    creation_share: CreationShare
    findings: tuple[Finding, ...]
    reasons: tuple[str, ...]
    by_k_probe: tuple[CurvePoint, ...]
    gain_p_value: float
    undetermined_share: float
    certified_elicited: int
    certified_created: int
    samples_to_settle: int | None


@dataclass(frozen=True, slots=True)
class _Judgement:
    label: Label
    reasons: tuple[str, ...]
    gain: GainSplit
    share: CreationShare
    p_value: float
    undetermined: float
    certified: tuple[int, int]


def decide(
    prompts: Sequence[PromptRecord],
    decision: Decision,
    *,
    rng: np.random.Generator,
    blocking: Sequence[str] = (),
    at_k_probe: Mapping[int, Sequence[PromptRecord]] | None = None,
    movement: Sequence[Finding] = (),
) -> Verdict:
    """Decide on the listed prompts.

    Args:
        prompts: Every prompt with both sides, judged at the request's K_probe.
        decision: The thresholds.
        rng: Source of all resampling. Every judgement inside reuses one seed, so that labels differ only
            because evidence differs.
        blocking: Closure checks that fired and nulls that failed, in plain words.
        at_k_probe: The same prompts judged at other K_probe, for the curve.
        movement: Findings on how the candidate moved, which counts alone do not show.
    """
    drawn = _Resampling(decision, int(rng.integers(2**63)))
    main = _judge_with_sensitivity(prompts, drawn, blocking)
    points = []
    for k_probe, judged in sorted((at_k_probe or {}).items()):
        same = judged is prompts  # one seed: judging them again would say the same again
        other = main if same else _judge_with_sensitivity(judged, drawn, blocking)
        points.append(CurvePoint(k_probe, other.label, other.share.lower, other.share.upper))
    findings = (*_findings(prompts, main.gain, decision), *movement)
    news, others = ([f.detail for f in findings if (f.finding in NEWS) is lead] for lead in (True, False))
    return Verdict(
        label=main.label,
        gain=main.gain,
        creation_share=main.share,
        findings=findings,
        reasons=(*news, *main.reasons, *others),
        by_k_probe=tuple(points),
        gain_p_value=main.p_value,
        undetermined_share=main.undetermined,
        certified_elicited=main.certified[0],
        certified_created=main.certified[1],
        samples_to_settle=_samples_to_settle(prompts, decision),
    )


class _Resampling:
    """The resampled parts of judgements, all from one seed: what was resampled before is not drawn again."""

    def __init__(self, decision: Decision, seed: int) -> None:
        self.decision = decision
        self.seed = seed
        self._known: dict[bytes, tuple[Shares, float]] = {}

    def of(self, fit: CrossFit) -> tuple[Shares, float]:
        """The shares of a data set, and the p-value of a gain among the prompts that are not lost."""
        # Budgets beyond what the samples can tell apart fit alike.
        if (key := fit.key) not in self._known:
            rng = np.random.default_rng(self.seed)
            shares = data_set_shares(fit, confidence=1 - self.decision.alpha, rng=rng)
            lasting = fit.contributions()[:, [ELICITED, CREATED, UNDETERMINED]].sum(axis=1)
            self._known[key] = shares, sign_flip_test(np.sort(lasting), rng)
        return self._known[key]


def _judge_with_sensitivity(
    prompts: Sequence[PromptRecord], drawn: _Resampling, blocking: Sequence[str]
) -> _Judgement:
    main, decision = _judge(prompts, drawn, blocking), drawn.decision
    share = unusable_share(prompts)
    if share <= decision.unusable_max_share:
        return main
    plain = main if not blocking else _judge(prompts, drawn, ())
    for sides, words in MOVES.items():
        moved = move_unusable(prompts, sides, decision)
        label = _judge(moved, drawn, ()).label
        if label != plain.label:
            reason = (
                f"truncated and unparsed samples reach {share:.0%} on one side; counting {words} as "
                f"successes would turn {plain.label} into {label}"
            )
            known = main.reasons if main.label == "inconclusive" else ()
            return replace(main, label="inconclusive", reasons=(*known, reason))
    return main


def _judge(prompts: Sequence[PromptRecord], drawn: _Resampling, blocking: Sequence[str]) -> _Judgement:
    decision = drawn.decision
    fit = cross_fit(prompts, alpha=decision.alpha, reach=decision.reach)
    shares, p_value = drawn.of(fit)
    sizes = np.abs(fit.contributions()).sum(axis=0)
    undetermined = float(sizes[UNDETERMINED] / sizes.sum()) if sizes.sum() > 0 else 0.0
    certified = _certified(prompts)
    reasons = [*blocking, *_doubts(p_value, undetermined, shares.creation, fit.size, decision)]
    if reasons:
        label: Label = "inconclusive"
    else:
        label, reason = _label(prompts, shares.creation, certified, drawn)
        reasons = [reason]
    return _Judgement(label, tuple(reasons), shares.gain, shares.creation, p_value, undetermined, certified)


def _doubts(
    p_value: float, undetermined: float, share: CreationShare, prompts: int, decision: Decision
) -> list[str]:
    doubts = []
    if p_value > GAIN_LEVEL or share.lower.value is None:
        detail = f"no gain is shown: one-sided sign-flip p = {p_value:.3g}, needs {GAIN_LEVEL:g}"
        least = math.ceil(-math.log2(GAIN_LEVEL))
        if prompts < least:
            detail += f", which takes at least {least} prompts"
        doubts.append(detail)
    if undetermined > decision.undetermined_max_share:
        doubts.append(
            f"{undetermined:.0%} of the gain, in absolute value, lies in undetermined prompts; "
            f"at most {decision.undetermined_max_share:.0%} is allowed"
        )
    return doubts


def _label(
    prompts: Sequence[PromptRecord],
    share: CreationShare,
    certified: tuple[int, int],
    drawn: _Resampling,
) -> tuple[Label, str]:
    decision = drawn.decision
    low, high = share.lower.ci_low, share.upper.ci_high
    if low is None or high is None:  # no gain: already a doubt
        return "inconclusive", "the creation share is undefined"
    between = f"the creation share of the gain lies between {low:.1%} and {high:.1%}, bounds included"
    if high <= decision.elicitation_max_share:
        most = decision.elicitation_max_share
        return (
            "elicitation",
            f"at most {high:.1%} of the gain is created, bounds included; {most:.0%} is allowed",
        )
    doubt = ""
    if low >= decision.creation_min_share:
        confirmed, words = _held_out_confirms(prompts, drawn)
        if confirmed:
            least = decision.creation_min_share
            needed = f"{least:.0%} is needed"
            return (
                "creation",
                f"at least {low:.1%} of the gain is created, bounds included; {needed}{words}; {NOT_REACHED}",
            )
        doubt = words
    if low > decision.mixed_min_share and high < decision.mixed_max_share:
        return "mixed", between + doubt
    if all(certified):
        elicited, created = certified
        return "mixed", f"{elicited} prompts are certified elicited and {created} confirmed created{doubt}"
    return "inconclusive", f"{between}: no rule holds{doubt}"


def _held_out_confirms(prompts: Sequence[PromptRecord], drawn: _Resampling) -> tuple[bool, str]:
    """Whether held-out prompts alone show creation, where the data set marks a split."""
    if all(prompt.split is None for prompt in prompts):
        return True, ""
    held_out = [prompt for prompt in prompts if (prompt.split or "").lower() in HELD_OUT]
    decision = drawn.decision
    shares, _ = drawn.of(cross_fit(held_out, alpha=decision.alpha, reach=decision.reach))
    low = shares.creation.lower.ci_low
    if low is not None and low >= decision.creation_min_share:
        return True, f", and at least {low:.1%} on the {len(held_out)} held-out prompts"
    shown = "no gain" if low is None else f"only {low:.1%}"
    return False, f"; creation is not confirmed by the {len(held_out)} held-out prompts, which show {shown}"


def _certified(prompts: Sequence[PromptRecord]) -> tuple[int, int]:
    elicited = sum(
        reference_class(prompt.evidence) == "in" and prompt.candidate.low > prompt.reference.high
        for prompt in prompts
    )
    return elicited, sum(classify_regime(prompt.evidence).confirmed for prompt in prompts)


def _findings(prompts: Sequence[PromptRecord], gain: GainSplit, decision: Decision) -> list[Finding]:
    found = [
        shrinkage(prompts, decision.alpha),
        regression(gain),
        format_repair(
            prompts,
            gain,
            max_share=decision.format_repair_max_share,
            confidence=1 - decision.alpha,
        ),
    ]
    return [finding for finding in found if finding is not None]


def _samples_to_settle(prompts: Sequence[PromptRecord], decision: Decision) -> int | None:
    """Further samples of either side for everything that counts as undetermined, where known."""
    evidences = [prompt.evidence for prompt in prompts]
    needs = samples_to_settle_prompts(evidences, alpha=decision.alpha, reach=decision.reach)
    known = [need for need in needs if need]
    return sum(known) if known else None
