"""From replicates to shares, with the tests they must pass."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

import numpy as np
from scipy import stats

from benchmarks.calibration.experiment import Interval, Row
from benchmarks.calibration.experiments.data_sets import PARTS

ALPHA: Final = 0.05
LEVEL: Final = 0.001
"""Of the binomial test against the nominal coverage."""
NOMINAL: Final = {"certificate": 0.925}
"""Where it is not 95 %: what the intervals of KL and of b leave together."""
ALL: Final = "all"
UNRELIABLE: Final = ", graded unreliable"
"""Intervals that the report itself warns of are counted apart, and promise nothing."""


@dataclass(frozen=True)
class Coverage:
    """Coverage of one interval type in one cell, or in all of an experiment.

    Attributes:
        interval: The type.
        cell: The cell; `ALL` for all of them.
        n: Replicates in which there was an interval.
        undefined: Replicates without one.
        covered: Share that held the truth.
        nominal: What is promised.
        p_value: One-sided binomial, against coverage below nominal.
        width: Median width of those with two ends; None if there are none.
        ratio: Median ratio to the fixed-n optimum; None where that is not known.
    """

    interval: str
    cell: str
    n: int
    undefined: int
    covered: float
    nominal: float
    p_value: float
    width: float | None
    ratio: float | None

    def fails(self, looks: int = 1) -> bool:
        """Whether coverage is below nominal beyond chance, this line being one of so many (Bonferroni)."""
        return self.p_value < LEVEL / looks and not self.interval.endswith(UNRELIABLE)


def coverages(
    rows: Mapping[str, Sequence[Row]], optima: Mapping[str, Mapping[str, float]] | None = None
) -> list[Coverage]:
    """Every interval type of an experiment, each cell and all of them together.

    Args:
        rows: Replicates by cell.
        optima: Fixed-n optimum of a width by cell and type, for types whose replicates do not bring it.
    """
    by_type: dict[str, dict[str, list[Interval]]] = {}
    for cell, found in rows.items():
        for name in found[0]:
            triples = [row[name] for row in found if name in row]
            triples = _against_mean(triples) if name in PARTS else triples
            best = (optima or {}).get(cell, {}).get(name)
            by_type.setdefault(name, {})[cell] = triples if best is None else _with_optimum(triples, best)
        for row in found:  # a type that some replicates lack
            for name in row.keys() - found[0].keys():
                by_type.setdefault(name, {}).setdefault(cell, []).append(row[name])
    summary = []
    for name, cells in by_type.items():
        for kind, wanted in ((name, True), (f"{name}{UNRELIABLE}", False)):
            graded = {cell: [x for x in found if (x[3] != 0.0) == wanted] for cell, found in cells.items()}
            everything = [one for found in graded.values() for one in found]
            if any(one[0] is not None for one in everything):
                summary += [
                    _coverage(kind, cell, found) for cell, found in {**graded, ALL: everything}.items()
                ]
    return summary


def _with_optimum(triples: list[Interval], best: float) -> list[Interval]:
    return [[held, width, None if held is None else best, good] for held, width, _, good in triples]


def _against_mean(triples: list[Interval]) -> list[Interval]:
    """Value and ends to coverage of the mean value of the cell."""
    values = [value for value, _, _, _ in triples if value is not None]
    target = float(np.mean(values)) if values else 0.0
    kept: list[Interval] = []
    for _, low, high, _ in triples:
        if low is None or high is None:
            kept.append([None, None, None, None])
        else:
            kept.append([float(low <= target <= high), high - low, None, 1.0])
    return kept


def _coverage(name: str, cell: str, triples: Sequence[Interval]) -> Coverage:
    held = [bool(triple[0]) for triple in triples if triple[0] is not None]
    widths = [triple[1] for triple in triples if triple[1] is not None]
    ratios = [t[1] / t[2] for t in triples if t[1] is not None and t[2] is not None and t[2] > 0]
    nominal = NOMINAL.get(name, 1 - ALPHA)
    test = stats.binomtest(sum(held), len(held), nominal, alternative="less") if held else None
    return Coverage(
        interval=name,
        cell=cell,
        n=len(held),
        undefined=len(triples) - len(held),
        covered=sum(held) / len(held) if held else math.nan,
        nominal=nominal,
        p_value=1.0 if test is None else float(test.pvalue),
        width=median(widths) if widths else None,
        ratio=median(ratios) if ratios else None,
    )


@dataclass(frozen=True)
class FalseCreation:
    """Reports of a null family that confirm a created prompt.

    Attributes:
        family: The cell.
        reports: Replicates R.
        rate: Share of reports with a false claim.
        bound: α + 2.33·sqrt(α(1 - α)/R).
        unseen_rule: Share of reports in which the literature's rule claims one.
        unseen_prompts: Prompts a report that it claims, on average.
        samples: Samples a prompt and side, on average.
        unconfirmed: Prompts a report that look created but are not confirmed, on average.
    """

    family: str
    reports: int
    rate: float
    bound: float
    unseen_rule: float
    unseen_prompts: float
    samples: float
    unconfirmed: float

    @property
    def failed(self) -> bool:
        """Whether the rate is above the bound."""
        return self.rate > self.bound


def false_creation(rows: Mapping[str, Sequence[Row]]) -> list[FalseCreation]:
    """The null families, each with the bound that its number of reports sets."""
    return [
        FalseCreation(
            family=cell,
            reports=len(found),
            rate=_mean(found, "false"),
            bound=ALPHA + 2.33 * math.sqrt(ALPHA * (1 - ALPHA) / len(found)),
            unseen_rule=_mean(found, "unseen rule"),
            unseen_prompts=_mean(found, "unseen rule prompts"),
            samples=_mean(found, "samples"),
            unconfirmed=_mean(found, "unconfirmed"),
        )
        for cell, found in rows.items()
    ]


@dataclass(frozen=True)
class Power:
    """Verdicts of one cell.

    Attributes:
        cell: The cell.
        reports: Replicates.
        labels: Share of each verdict.
        created: Share of prompts that are confirmed created.
        samples: Samples a prompt and side, on average.
    """

    cell: str
    reports: int
    labels: Mapping[str, float]
    created: float
    samples: float


def power(rows: Mapping[str, Sequence[Row]]) -> list[Power]:
    """Shares of the verdicts."""
    names = ("elicitation", "creation", "mixed", "inconclusive")
    return [
        Power(
            cell=cell,
            reports=len(found),
            labels={name: sum(row["label"] == name for row in found) / len(found) for name in names},
            created=_mean(found, "created prompts"),
            samples=_mean(found, "samples"),
        )
        for cell, found in rows.items()
    ]


def shares(rows: Mapping[str, Sequence[Row]]) -> dict[str, dict[str, float]]:
    """Mean of every number, by cell; what is None is left out."""
    found: dict[str, dict[str, float]] = {}
    for cell, replicates in rows.items():
        found[cell] = {"replicates": float(len(replicates))}
        for name in replicates[0]:
            values = [row[name] for row in replicates if row[name] is not None]
            found[cell][name] = float(np.mean(values)) if values else math.nan
    return found


def _mean(rows: Sequence[Row], name: str) -> float:
    return float(np.mean([row[name] for row in rows]))
