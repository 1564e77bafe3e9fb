"""With an audit of a verifier that errs, losses and creation are claimed no oftener than their level allows.

Each null is one that the verifier's errors turn into a claim; without the audit they do.
"""

import numpy as np
import pytest
from scipy.stats import binom

from benchmarks.calibration.frames import spec_of
from benchmarks.calibration.reports import report_of
from benchmarks.calibration.worlds import Draws, Errors, mode_world
from workers.estimators.counts import epsilon
from workers.estimators.first_loss import checkpoint_losses, first_certified
from workers.estimators.regimes import PromptEvidence
from workers.pipelines.assessment import assess_candidate, assess_reference
from workers.pipelines.audit import alpha_of_samples, audited
from workers.pipelines.judge import Judge

ALPHA, K_PROBE = 0.05, 64
STRICT = Errors(refuses=0.8)
"""It sees one right answer of five, so that a rate of epsilon looks like a fifth of it."""
AUDIT = (300, 300)
CHECKPOINTS, PROMPTS = 2, 3


def most_false(runs: int) -> int:
    """As many as a rate of alpha exceeds once in a thousand times."""
    return int(binom.ppf(0.999, runs, ALPHA))


def first_loss(rng: np.random.Generator, *, with_audit: bool) -> int | None:
    """Of a run whose checkpoints all succeed at epsilon exactly: none of its prompts is lost."""
    audit = STRICT.audit(AUDIT, rng)
    spec = spec_of(PROMPTS, k_probe=K_PROBE, most=1_000, audit=audit if with_audit else None)
    counted = audited(spec, Judge())
    worlds = [mode_world(0.9, epsilon(K_PROBE, 0.5))] * PROMPTS
    evidence = [[evidence_of(counted, world, rng) for world in worlds] for _ in range(CHECKPOINTS)]
    return first_certified(checkpoint_losses(evidence, alpha_of_samples(spec)))


def evidence_of(spec, world, rng) -> PromptEvidence:
    seen = Draws(world, rng, STRICT).observe(0, (200, 1_000), 64, scored=False)
    reference, candidate = assess_reference(spec, seen), assess_candidate(spec, seen)
    return PromptEvidence(
        reference_use=reference.use,
        reference_probe=reference.probe,
        candidate_use=candidate.use,
        candidate_probe=candidate.probe,
        selected=False,
        candidate_low=0.0,
    )


def test_no_first_shrinkage_where_the_verifier_is_what_failed() -> None:
    rng, runs = np.random.default_rng(20), 40
    found = [first_loss(rng, with_audit=True) for _ in range(runs)]
    assert sum(one is not None for one in found) <= most_false(runs)
    assert sum(first_loss(rng, with_audit=False) is not None for _ in range(10)) >= 8


@pytest.mark.parametrize(("with_audit", "runs"), [(True, 25), (False, 5)])
def test_no_creation_where_the_verifier_refuses_what_the_reference_reaches(
    with_audit: bool, runs: int
) -> None:
    rng, false = np.random.default_rng(21), 0
    for _ in range(runs):
        audit = STRICT.audit(AUDIT, rng) if with_audit else None
        spec = spec_of(10, k_probe=K_PROBE, most=768, audit=audit)
        worlds = [mode_world(epsilon(K_PROBE, 0.5), 0.9)] * 10
        false += any(report_of(spec, worlds, rng, errors=STRICT, scored=False).created)
    assert false <= most_false(runs) if with_audit else false == runs


def test_a_loss_is_still_certified_under_an_audit() -> None:
    rng = np.random.default_rng(22)
    spec = spec_of(1, k_probe=K_PROBE, most=4_000, audit=STRICT.audit((2_000, 2_000), rng))
    counted = audited(spec, Judge())
    seen = Draws(mode_world(0.9, 0.0), rng, STRICT).observe(0, (200, 4_000), 64, scored=False)
    reference, candidate = assess_reference(counted, seen), assess_candidate(counted, seen)
    assert (reference.probe.label, candidate.probe.label) == ("in", "out")
