"""The result document's `diagnostics` and `warnings`: what grades the numbers."""

import itertools
import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workers.estimators.closure import Check
from workers.estimators.counts import epsilon
from workers.estimators.dataset import mean_over_prompts
from workers.estimators.estimate import Estimate
from workers.estimators.selection import log_target
from workers.estimators.settle import samples_to_settle
from workers.pipelines.assessment import planned_samples
from workers.pipelines.audit import audit_json
from workers.pipelines.chance import ChanceFloor
from workers.pipelines.document import Json, estimate_json, mean_json
from workers.pipelines.mean_success import families_of
from workers.pipelines.observations import SideObservations
from workers.pipelines.plan import Notice
from workers.pipelines.prompt_result import CONFIDENCE, PromptResult, covers_untruncated
from workers.pipelines.spec import CANDIDATE, REFERENCE, AnalysisSpec
from workers.pipelines.tables import list_rows, of_stream

TOKEN_TOLERANCE = 1e-3
"""Nats by which a recomputed token log-probability may differ: float32 stays a thousand times below."""

COLLISIONS_FACTOR, COLLISIONS_SLACK = 3.0, 10.0
"""Equal pairs of samples beyond three times the expected number, and ten, mean reused seeds."""


@dataclass(frozen=True, slots=True)
class Draws:
    """The token sequences of one side.

    Attributes:
        counts: How often each was drawn, by prompt; a sequence is known by any hashable name.
        total_chance: Sum over draws of their probability p(y), by prompt.
    """

    counts: dict[int, Counter[Hashable]]
    total_chance: dict[int, float]


def draws_of(samples: pa.Table, stream: str) -> Draws:
    """Count the sequences of one side; the table is sorted."""
    draws = Draws({}, {})
    rows = of_stream(samples, stream)
    prompts, names = rows["prompt_index"].to_numpy(), _sequence_names(rows)
    chances = [None if one is None else math.exp(math.fsum(one)) for one in list_rows(rows["logprobs"])]
    edges = np.flatnonzero(np.diff(prompts, prepend=-1, append=-1)).tolist()
    for low, high in itertools.pairwise(edges):
        prompt = int(prompts[low])
        draws.counts[prompt] = Counter(names[low:high])
        if known := [chance for chance in chances[low:high] if chance is not None]:
            draws.total_chance[prompt] = sum(known)
    return draws


def _sequence_names(rows: pa.Table) -> list[Hashable]:
    """A name for each row's sequence: the bytes of its token ids, or its text where it was imported."""
    ids = rows["token_ids"]
    if ids.null_count:
        pairs = zip(list_rows(ids), rows["text"].to_pylist(), strict=True)
        return [text if one is None else tuple(one) for one, text in pairs]
    values, edges = pc.list_flatten(ids).to_numpy(), np.cumsum(pc.list_value_length(ids).to_numpy())
    data = memoryview(values.tobytes())
    ends = (edges * values.itemsize).tolist()
    return [bytes(data[low:high]) for low, high in itertools.pairwise([0, *ends])]


def diagnostics_section(
    spec: AnalysisSpec,
    results: Sequence[PromptResult],
    draws: Mapping[str, Draws],
    checks: Sequence[Check],
    floors: Mapping[int, ChanceFloor],
) -> Json:
    """Weight diagnostics, shares of unusable samples, overlap and chance floor."""
    section: Json = {
        "truncated_share": {s: _share(results, s, "truncated") for s in spec.reaching},
        "unparsed_share": {s: _share(results, s, "unparsed") for s in spec.reaching},
        "duplicate_share": {s: _duplicates(draws[s]) for s in spec.reaching},
    }
    scorings = [r.reference.evidence.scoring for r in results if r.reference.evidence.scoring is not None]
    if scorings:
        n = len(scorings)
        section["ess"] = _mean([s.ess for s in scorings], "samples", n)
        shapes = [s.pareto_k for s in scorings if s.pareto_k is not None]
        section["pareto_k"] = _mean(shapes, "shape", len(shapes))
    overlaps = [check.residual for check in checks if check.check == "overlap"]
    if overlaps:
        section["overlap"] = _mean(overlaps, "share", len(results))
    scored = [r for r in results if r.terms is not None]
    masses = [r.terms.kl.singular_mass for r in scored if r.terms is not None]
    if masses:
        families = families_of(scored)
        mean = mean_over_prompts(masses, CONFIDENCE, least=0.0, most=1.0, families=families)
        section["singular_mass"] = mean_json(mean)
    section |= audit_json(spec)
    if floors:
        section["chance_floor"] = _mean([floor.rate for floor in floors.values()], "probability", len(floors))
    return section


def warnings_of(
    spec: AnalysisSpec, results: Sequence[PromptResult], draws: Mapping[str, Draws]
) -> list[Notice]:
    """What a reader must know before quoting a number, beyond what planning noticed."""
    found = [
        _uncertifiable(spec, len(results)),
        _unprobed_policy(spec),
        _equal_laws(results),
        *(_unjudged(results, stream) for stream in spec.reaching),
        _lone_prompt(results),
        _equal_prompts(results),
        _token_differences(results),
        *(_reused_seeds(draws[stream], stream) for stream in draws),
    ]
    return [notice for notice in found if notice is not None]


def _mean(values: Sequence[float], unit: str, n: int) -> Json:
    if not values:
        return estimate_json(Estimate.undefined("too few weights", unit, n))
    return estimate_json(Estimate(value=math.fsum(values) / len(values), n=n, unit=unit))


def _observed(results: Sequence[PromptResult], stream: str) -> list[SideObservations]:
    sides = (result.observed.stream(stream) for result in results)
    return [side for side in sides if side is not None]


def _share(results: Sequence[PromptResult], stream: str, outcome: str) -> float:
    sides = _observed(results, stream)
    total = sum(sum(side.outcomes.values()) for side in sides)
    return sum(side.outcomes[outcome] for side in sides) / total if total else 0.0


def _duplicates(draws: Draws) -> float:
    """Share of samples that repeat an earlier one of their prompt; short answers repeat often."""
    total = sum(found.total() for found in draws.counts.values())
    return 1 - sum(len(found) for found in draws.counts.values()) / total if total else 0.0


def _uncertifiable(spec: AnalysisSpec, prompts: int) -> Notice | None:
    """Whether no number of failures that the plan allows could certify `out` at K_probe."""
    most = spec.budget.max_samples_per_prompt if spec.budget.adaptive else min(spec.pilots(REFERENCE))
    threshold = epsilon(spec.budget.k_probe, spec.thresholds.reach)
    planned = planned_samples(spec, spec.budget.k_probe)
    target = log_target(max(prompts, 1), max(prompts, 1), spec.thresholds.alpha)
    need = samples_to_settle(0, 0, threshold, target, planned)
    if need is not None and need <= most:
        return None
    reachable = max(1, int(most / (need or most) * spec.budget.k_probe))
    return Notice(
        "k_probe_uncertifiable",
        f"saying that the reference does not reach a prompt at k_probe {spec.budget.k_probe} takes {need} "
        f"samples without a success, and {most} are allowed: creation cannot be certified. They suffice for "
        f"a k_probe of about {reachable}; or raise max_samples_per_prompt",
    )


def _unprobed_policy(spec: AnalysisSpec) -> Notice | None:
    """Temperature 1 without truncation always counts as an elicitation arm; here it was not drawn."""
    if CANDIDATE not in spec.streams or covers_untruncated(spec):
        return None
    return Notice(
        "creation_unconfirmable",
        "under this policy the reference is not sampled at temperature 1 without truncation, where it may "
        "still reach: a created prompt stays unconfirmed and counts as undetermined",
    )


def _equal_laws(results: Sequence[PromptResult]) -> Notice | None:
    """Whether no scored sample tells the two sides apart, as when an adapter was not applied."""
    pairs = [result.observed.pair for result in results if result.observed.pair is not None]
    if not pairs or any(np.any(pair.log_p != pair.log_q) or np.any(pair.kl != 0) for pair in pairs):
        return None
    return Notice(
        "equal_distributions",
        "the two sides give every scored sample the same probability: an adapter may not have been applied",
    )


def _unjudged(results: Sequence[PromptResult], stream: str) -> Notice | None:
    """Verifier errors, which are left out, with the rates they leave possible."""
    sides = _observed(results, stream)
    errors = sum(side.outcomes["verifier_error"] for side in sides)
    if not errors:
        return None
    total = sum(side.n for side in sides) + errors
    successes = sum(side.successes for side in sides)
    return Notice(
        "verifier_errors",
        f"the verifier failed on {errors} of {total} {stream} samples, which are left out: over all of them "
        f"the share of successes lies between {successes / total:.1%} and {(successes + errors) / total:.1%}",
    )


def _lone_prompt(results: Sequence[PromptResult]) -> Notice | None:
    if len(results) != 1:
        return None
    return Notice("one_prompt", "one prompt: data-set intervals are sampling intervals of that prompt")


def _equal_prompts(results: Sequence[PromptResult]) -> Notice | None:
    texts = Counter((r.spec.text, str(r.spec.messages)) for r in results)
    repeated = sum(count for count in texts.values() if count > 1)
    if not repeated:
        return None
    return Notice(
        "equal_prompts",
        f"{repeated} prompts share their text with another: they share draws too, and count as independent "
        "in no sense",
    )


def _token_differences(results: Sequence[PromptResult]) -> Notice | None:
    worst = max((r.observed.pair.max_token_diff for r in results if r.observed.pair is not None), default=0.0)
    if worst <= TOKEN_TOLERANCE:
        return None
    return Notice(
        "engine_mismatch",
        f"a token's log-probability differs by {worst:.2g} nats between sampling and scoring: sequence "
        "weights and KL carry that error times the length",
    )


def _reused_seeds(draws: Draws, stream: str) -> Notice | None:
    """Compare equal pairs with their expectation C(n, 2) E[p(y)], p(y) as the sampler recorded it."""
    observed, expected = 0.0, 0.0
    for prompt, counts in draws.counts.items():
        if prompt not in draws.total_chance:
            continue  # imported samples: nobody knows how likely each was
        n = counts.total()
        observed += sum(count * (count - 1) / 2 for count in counts.values())
        expected += (n - 1) / 2 * draws.total_chance[prompt]
    if observed <= COLLISIONS_FACTOR * expected + COLLISIONS_SLACK:
        return None
    return Notice(
        "duplicate_samples",
        f"{observed:.0f} pairs of {stream} samples are equal where about {expected:.0f} were expected: seeds "
        "may have been reused",
    )
