"""Every verdict is reached at the default sizes, by 20 prompts and by 100, on a population of its own.

The planner decides what is drawn, the estimators and rules of the service what is claimed; see
`benchmarks.calibration.reports`.
"""

from collections import Counter

import numpy as np
import pytest
from scipy.stats import binom

from benchmarks.calibration.frames import spec_of
from benchmarks.calibration.reports import report_of
from benchmarks.calibration.worlds import World, mode_world
from workers.estimators.counts import epsilon
from workers.estimators.verdict import Verdict

ALPHA = 0.05
FAR, TAIL, BASIN, TAUGHT = 1e-9, 0.02, 0.6, 0.9
EDGE = 0.8 * epsilon(256, 0.5)
"""Out of reach, but closer to epsilon(K_probe) than 4,096 samples tell."""

POPULATIONS = {
    "a tail skill is lifted": ([(TAIL, TAUGHT)], "elicitation", set()),
    "a far skill is taught": ([(FAR, TAUGHT)], "creation", set()),
    "three of five are lifted, two taught": ([(TAIL, TAUGHT)] * 3 + [(FAR, TAUGHT)] * 2, "mixed", set()),
    "nothing changed": ([(TAIL, TAIL), (BASIN, BASIN), (FAR, FAR)], "inconclusive", set()),
    "what is taught lay at the edge of reach": ([(EDGE, TAUGHT)], "inconclusive", set()),
    "losses only": ([(BASIN, 0.1)], "inconclusive", {"regression"}),
    "losses only, of all there was": ([(BASIN, 0.0)], "inconclusive", {"regression", "shrinkage"}),
    "half is taught, half is lost": ([(FAR, TAUGHT), (BASIN, 0.0)], "creation", {"shrinkage"}),
    "half is lifted, half is lost": ([(TAIL, TAUGHT), (BASIN, 0.0)], "elicitation", {"shrinkage"}),
}


def analysed(chances: list[tuple[float, float]], rng: np.random.Generator, *, most: int = 4096) -> Verdict:
    """The verdict on prompts with these (a, b), at the defaults of the API."""
    worlds: dict[tuple[float, float], World] = {pair: mode_world(*pair) for pair in set(chances)}
    report = report_of(spec_of(len(chances), most=most), [worlds[pair] for pair in chances], rng)
    return report.verdict(rng)


@pytest.mark.parametrize("prompts", [20, pytest.param(100, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", POPULATIONS)
def test_every_verdict_is_reached(name: str, prompts: int) -> None:
    kinds, label, findings = POPULATIONS[name]
    chances = [kinds[i % len(kinds)] for i in range(prompts)]
    verdict = analysed(chances, np.random.default_rng(prompts))
    assert verdict.label == label, verdict.reasons
    assert {finding.finding for finding in verdict.findings} == findings


SIX_PERCENT = 0.06
LIFTED = TAIL + 0.9 * (1 - SIX_PERCENT) / SIX_PERCENT / 19
"""What 19 tail prompts reach where the one that is taught, to 0.9, holds 6 % of the gain of all 20."""


def most_calls(runs: int) -> int:
    """As many as a rate of alpha exceeds once in a thousand times."""
    return int(binom.ppf(0.999, runs, ALPHA))


def labels_at_six_percent(runs: int, most: int, a: float) -> Counter[str]:
    """Labels of lists of 20 prompts of which one, with 6 % of the gain, was out of the reference's reach."""
    chances = [(TAIL, LIFTED)] * 19 + [(a, 0.9)]
    return Counter(
        analysed(chances, np.random.default_rng([most, run]), most=most).label for run in range(runs)
    )


@pytest.mark.parametrize(("most", "a"), [(4096, FAR), (512, FAR), (4096, EDGE)])
def test_six_percent_of_creation_is_no_elicitation(most: int, a: float) -> None:
    """Where 4,096 samples confirm the created prompt, and where it must stay undetermined."""
    labels = labels_at_six_percent(12, most, a)
    assert labels["elicitation"] <= most_calls(12), labels


@pytest.mark.slow
@pytest.mark.parametrize(("most", "a"), [(4096, FAR), (512, FAR), (4096, EDGE)])
def test_six_percent_of_creation_is_no_elicitation_in_many_runs(most: int, a: float) -> None:
    labels = labels_at_six_percent(300, most, a)
    assert labels["elicitation"] <= most_calls(300), labels


def population_intervals(runs: int) -> list[tuple[float, float]]:
    """Of 20 prompts drawn from a population with a created share of 6 %: intervals of its two ends."""
    taught = SIX_PERCENT * (TAUGHT - TAIL) / (SIX_PERCENT * (TAUGHT - TAIL) + (1 - SIX_PERCENT) * TAUGHT)
    found = []
    for run in range(runs):
        rng = np.random.default_rng([6, run])
        chances = [(FAR, TAUGHT) if one else (TAIL, TAUGHT) for one in rng.random(20) < taught]
        share = analysed(chances, rng).creation_share
        found.append((share.population_lower.ci_low or 0.0, share.population_upper.ci_high or 0.0))
    return found


def test_a_list_without_a_created_prompt_leaves_six_percent_to_its_population() -> None:
    """The verdict is about the list: three of ten lists of 20 hold none, and rightly read `elicitation`."""
    verdict = analysed([(TAIL, TAUGHT)] * 20, np.random.default_rng(6))
    assert verdict.label == "elicitation"
    assert verdict.creation_share.upper.ci_high < SIX_PERCENT
    assert verdict.creation_share.population_upper.ci_high > SIX_PERCENT


@pytest.mark.slow
def test_the_population_of_twenty_prompts_keeps_its_six_percent_in_many_runs() -> None:
    missed = sum(not low <= SIX_PERCENT <= high for low, high in population_intervals(400))
    assert missed <= most_calls(400)
