"""One report: the real planner decides what is drawn, the real estimators and rules what is claimed."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.calibration.worlds import NEVER, Draws, Errors, World
from workers.estimators.decision import Decision
from workers.estimators.gain import PromptRecord
from workers.estimators.literature import unseen_rule
from workers.estimators.regimes import CREATED, Regime, classify_regime
from workers.estimators.verdict import Verdict, decide
from workers.pipelines.assessment import assess_candidate, assess_reference
from workers.pipelines.audit import audited
from workers.pipelines.judge import Judge
from workers.pipelines.later_rounds import which_count
from workers.pipelines.observations import PromptObservations
from workers.pipelines.prompt_result import PromptResult
from workers.pipelines.spec import CANDIDATE, REFERENCE, AnalysisSpec
from workers.pipelines.topup import wanted_samples
from workers.pipelines.verdict_section import records_of, with_floors


@dataclass(frozen=True)
class Report:
    """What was found of some prompts.

    Attributes:
        spec: The analysis, its audit counted.
        observations: What was drawn in the end.
        records: The prompts as the verdict sees them.
        regimes: Their regimes.
        draws: The samples, for other rules on the same data.
    """

    spec: AnalysisSpec
    observations: list[PromptObservations]
    records: list[PromptRecord]
    regimes: list[Regime]
    draws: list[Draws]

    @property
    def created(self) -> list[bool]:
        """Prompts that are confirmed created."""
        return [regime.name in CREATED and regime.confirmed for regime in self.regimes]

    @property
    def scored(self) -> int:
        """Samples that were scored under the other side's model."""
        pairs = sum(o.pair.log_p.size for o in self.observations if o.pair is not None)
        return pairs + sum(part.log_p.size for o in self.observations for part in o.further_rounds)

    @property
    def samples(self) -> int:
        """Samples of both sides and of the arms."""
        sides = sum(o.reference.n + (o.candidate.n if o.candidate else 0) for o in self.observations)
        return sides + sum(arm.n for o in self.observations for arm in o.arms.values())

    def verdict(self, rng: np.random.Generator) -> Verdict:
        """The verdict, without its curve over K_probe."""
        thresholds = self.spec.thresholds
        names = Decision.__dataclass_fields__
        decision = Decision(**{name: getattr(thresholds, name) for name in names})
        return decide(self.records, decision, rng=rng)

    def claimed_by_unseen(self, budget: int) -> int:
        """Prompts the literature's rule calls created: solved by the candidate, unseen by the reference."""
        for draw in self.draws:
            draw.extend(0, budget)
            draw.extend(1, budget)
        sides = [[draw.judged[side][:budget] for draw in self.draws] for side in (0, 1)]
        return int(unseen_rule(sides[0], sides[1], budget=budget).created_claims)


def report_of(
    spec: AnalysisSpec,
    worlds: Sequence[World],
    rng: np.random.Generator,
    *,
    scored: bool = True,
    errors: Errors = NEVER,
) -> Report:
    """Run an analysis of planted worlds to its end.

    Chance floors are 0: a floor can only withhold a claim of creation.

    Args:
        spec: The analysis.
        worlds: One a prompt.
        rng: Source of all samples.
        scored: Whether the two sides can score each other's samples.
        errors: Those of the verifier; the analysis may bring an audit of it.
    """
    spec = audited(spec, Judge())
    draws = [Draws(world, rng, errors) for world in worlds]
    pilot = spec.budget.samples_per_prompt
    drawn = {stream: [pilot] * len(worlds) for stream in (REFERENCE, CANDIDATE)}
    drawn |= {arm.name: [0] * len(worlds) for arm in spec.elicitation}
    later: list[list[tuple[int, int]]] = [[] for _ in worlds]

    def seen(i: int) -> PromptObservations:
        found = draws[i].observe(
            i,
            (drawn[REFERENCE][i], drawn[CANDIDATE][i]),
            pilot,
            scored=scored,
            arms={arm.name: drawn[arm.name][i] for arm in spec.elicitation},
        )
        if found.pilot_round is None or not later[i]:
            return found
        rounds = [draws[i].later_round(*each) for each in later[i]]
        counted = itertools.compress(rounds, which_count(spec, found.pilot_round, rounds))
        return replace(found, further_rounds=tuple(counted))

    observations = [seen(i) for i in range(len(worlds))]
    while spec.budget.adaptive:
        more = wanted_samples(spec, observations, drawn)
        changed = {i for stream in drawn for i, count in enumerate(more[stream]) if count}
        if not changed:
            break
        for i, count in enumerate(more[CANDIDATE]):
            if count:
                later[i].append((drawn[CANDIDATE][i], drawn[CANDIDATE][i] + count))
        for stream, before in drawn.items():
            drawn[stream] = [n + count for n, count in zip(before, more[stream], strict=True)]
        observations = [seen(i) if i in changed else before for i, before in enumerate(observations)]
    results = [
        PromptResult(
            spec=spec.prompts[o.index],
            observed=o,
            reference=assess_reference(spec, o),
            candidate=assess_candidate(spec, o),
            printed={},
            terms=None,
        )
        for o in observations
    ]
    records = with_floors(records_of(spec, results), [0.0] * len(results))
    return Report(
        spec, observations, records, [classify_regime(record.evidence) for record in records], draws
    )
