"""The closure checks of one report, and how the result document prints them."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from workers.estimators import closure
from workers.estimators.closure import Check, ScoredPair
from workers.estimators.ladder import mbar_estimates
from workers.pipelines.assessment import scored_rounds
from workers.pipelines.document import Json
from workers.pipelines.prompt_result import PromptResult, terms_of
from workers.pipelines.spec import AnalysisSpec

Floats = NDArray[np.float64]


def closure_checks(spec: AnalysisSpec, results: Sequence[PromptResult]) -> list[Check]:
    """Identities that must hold; a failed blocking one makes the verdict inconclusive."""
    terms = terms_of(results)
    pairs = [result.observed.pair for result in results if result.observed.pair is not None]
    ratios = [ScoredPair(pair.reference_log_ratio, -pair.candidate_log_ratio) for pair in pairs]
    sums = [
        closure.sum_identity(t.kl.rb, t.decomposition.tilt, t.decomposition.drift, t.decomposition.escape)
        for t in terms
    ]
    gaps = [check for result in results for check in _gap_checks(result)]
    forward = _differences([(pair.kl, pair.candidate_log_ratio) for pair in pairs])
    reverse = _differences([(pair.reverse_kl, pair.reference_log_ratio) for pair in pairs])
    checks = [_worst(found) for found in (sums, gaps) if found]
    if pairs:
        checks += [
            closure.rao_blackwell_against_k1(forward),
            closure.rao_blackwell_against_k1(reverse, of="reverse"),
            closure.overlap_identity(ratios),
            closure.mean_weight(ratios),
            closure.overlap(ratios),
            _ladder_zero(results),
            closure.weight_deficit(ratios),
        ]
    return checks


def _ladder_zero(results: Sequence[PromptResult]) -> Check:
    """MBAR between the models whose draws are all scored: log Z of each is 0, whatever they are."""
    rungs = [
        estimate
        for result in results
        for scored in scored_rounds(result.observed) or ()
        if scored.is_unselected and scored.sizes[0]
        for estimate in mbar_estimates(scored.log_proposals, scored.sizes)[1:]
    ]
    return closure.ladder_zero(rungs)


def _differences(estimates: Sequence[tuple[Floats, Floats]]) -> list[Floats]:
    """RB - k1 by sample, of the prompts where both are finite."""
    return [rb - k1 for rb, k1 in estimates if np.isfinite(rb).all() and np.isfinite(k1).all()]


def _gap_checks(result: PromptResult) -> list[Check]:
    """F - F* against KL(q||p_beta)/beta = (KL(q||p) - beta E_q[r] + log Z)/beta, term by term."""
    terms, pair = result.terms, result.observed.pair
    if terms is None or pair is None or terms.kl.rb.value is None:
        return []
    mean_reward = float(pair.rewards[pair.n_p :].mean())
    checks = []
    for row in terms.rows:
        values = (row.free_energy.value, row.equilibrium.value, row.log_partition.value)
        if None in values:
            continue
        free, least, log_z = (value for value in values if value is not None)
        to_tilt = terms.kl.rb.value - row.inverse_temperature * mean_reward + log_z
        checks.append(closure.gap_identity(free, least, to_tilt, row.inverse_temperature))
    return checks


def _worst(checks: Sequence[Check]) -> Check:
    return max(checks, key=lambda check: check.residual / check.tolerance if check.tolerance else math.inf)


def check_json(check: Check) -> Json:
    """A check as the result document has it."""
    return {
        "check": check.check,
        "residual": check.residual,
        "tolerance": check.tolerance,
        "passed": check.passed,
        "blocking": check.blocking,
    }
